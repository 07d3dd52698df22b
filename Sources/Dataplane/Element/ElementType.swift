// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// What an element type declares about itself, once: everything else (parsing, checking, `show`, elements-docs, the JSON
/// schema, the law suite) is made from it.
public protocol ElementType: ElementBase {
    /// The values of the parameters; `Config()` holds the defaults.
    associatedtype Config: ElementConfig
    /// Why items are dropped.
    associatedtype Drop: DropReason = NeverDrops

    /// One phrase that completes "the element ...": `answers TCP SYNs without keeping state`.
    static var summary: String { get }
    /// The family the documents list it under.
    static var category: Category { get }
    /// What the outcome for an item depends on; decides which laws the element is held to.
    static var depends: Depends { get }
    /// The sides it may be placed on; both unless it says otherwise.
    static var sides: Sides { get }
    /// The input ports, and how much of an item each reads. Ports may depend on the configuration.
    static func inputs(_ config: Config) -> [Input]
    /// The output ports.
    static func outputs(_ config: Config) -> [Output]
    /// The keys of the element in a graph file, by key path into ``Config``.
    static var parameters: [Parameter<Config>] { get }
    /// Named values that can be read from a running element.
    static var handlers: [Handler<Self>] { get }
    /// The operations the element counts.
    static var operations: [Operation] { get }
    /// Bytes of state kept for each flow of the table upstream; not 0 means that `flowEnded` is called.
    static var stateBytesPerFlow: Int { get }
    /// It is a flow table: the items it emits carry a flow. Gives the number of flows it has room for.
    static func flowCapacity(_ config: Config) -> Int?
    /// It sends markers (``Context/sendMarker(behind:spread:)``) where its cycle crosses the channel.
    static var sendsMarkers: Bool { get }
    /// Items that it holds back at the most. The pool is made larger by what all elements may hold; where `--pool` sets it, those
    /// that hold items share half of it, so that packets can always enter: ``Setup/items`` says what is left for each.
    static func heldItems(_ config: Config) -> Int
    /// How soon a timer may be due that `process` or `flowEnded` arms; nil when they arm none. Sources end a batch before a timer
    /// armed in it could be due, so that each fires between the right two packets.
    static func shortestTimer(_ config: Config) -> ShortestTimer?
    /// Small runs shown in the documents and run by the tests.
    static var examples: [Example] { get }

    /// Makes an element. Throws ``ParameterError`` when values that are fine alone do not go together, or what a service
    /// throws. Does no input or output but opening sinks.
    init(_ config: Config, _ setup: Setup) throws
}

/// An element: the class that runs and the declaration beside it.
public typealias Element = ElementBase & ElementType

/// The values of an element's parameters.
public protocol ElementConfig: Sendable {
    init()
}

/// For elements without parameters.
public struct NoConfig: ElementConfig {
    public init() {}
}

extension ElementType {
    /// The name in graph files: the name of the Swift type.
    public static var name: String { String(describing: Self.self) }
    public static var sides: Sides { .either }
    public static var parameters: [Parameter<Config>] { [] }
    public static var handlers: [Handler<Self>] { [] }
    public static var operations: [Operation] { [] }
    public static var stateBytesPerFlow: Int { 0 }
    public static func flowCapacity(_ config: Config) -> Int? { nil }
    public static func heldItems(_ config: Config) -> Int { 0 }
    public static var sendsMarkers: Bool { false }
    public static func shortestTimer(_ config: Config) -> ShortestTimer? { nil }
    public static var examples: [Example] { [] }
}

/// How soon the timers of an element may be due.
public enum ShortestTimer: Equatable, Sendable, BitwiseCopyable {
    /// So many nanoseconds after they are armed, or later. The larger it is, the less often batches are cut where packets are sparse.
    case after(Int64)
    /// At multiples of so many nanoseconds only, as those of a ``TimingWheel`` are: no batch spans one.
    case tick(Int64)

    /// The first moment, in functional nanoseconds, at which a timer may be due that is armed at `now`.
    public func first(after now: Int64) -> Int64 {
        switch self {
        case .after(let span): return later(now, by: span)
        case .tick(let tick):
            let rest = now % tick
            return later(now, by: tick - (rest < 0 ? rest + tick : rest))
        }
    }
}

/// The families of elements, as the documents list them.
public enum Category: String, Sendable, CaseIterable {
    case wires = "Wires"
    case checking = "Checking and classification"
    case flows = "Flows"
    case streams = "Streams"
    case metadata = "Metadata"
    case queueing = "Queueing and shaping"
    case sinks = "Sinks"
    case testing = "Testing"
    case other = "Other"
}

/// A named value of a running element.
public struct Handler<E>: Sendable {
    /// The name in statistics, in snake case.
    public let name: String
    /// One phrase for documents, with the unit.
    public let about: String
    let read: @Sendable (E) -> Int

    public init(_ name: String, _ about: String, _ read: @escaping @Sendable (E) -> Int) {
        self.name = name
        self.about = about
        self.read = read
    }
}

/// A small run of one element: text packets in, what leaves by which output.
public struct Example: Sendable {
    /// A few words: what the run shows.
    public var title: String
    /// Parameters in YAML flow style, for example `{limit: 3}`; empty for the defaults.
    public var config: String
    /// For each input its packets, in the text form of ``PacketText``.
    public var inputs: [(port: String, packets: [String])]
    /// For each output the packets expected there, as text patterns.
    public var outputs: [(port: String, packets: [String])]
    /// Drops expected, by reason.
    public var drops: [(reason: String, count: Int)]

    /// Packets and patterns are in the text form of ``PacketText``; records are `name=value` words.
    public init(
        _ title: String,
        config: String = "",
        in inputs: KeyValuePairs<String, [String]>,
        out outputs: KeyValuePairs<String, [String]>,
        drops: KeyValuePairs<String, Int> = [:]
    ) {
        self.title = title
        self.config = config
        self.inputs = inputs.map { ($0.key, $0.value) }
        self.outputs = outputs.map { ($0.key, $0.value) }
        self.drops = drops.map { ($0.key, $0.value) }
    }
}
