// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// What an element type declares about itself, once: everything else (parsing, checking, `show`, elements-docs, the JSON
/// schema, the law suite) is derived from it.
public protocol ElementType: ElementBase {
    /// The values of the parameters; `Config()` holds the defaults.
    associatedtype Config: ElementConfig
    /// The reasons for which it drops items.
    associatedtype Drop: DropReason = NeverDrops

    /// One phrase that completes "the element ...": `answers TCP SYNs without keeping state`.
    static var summary: String { get }
    /// The family the documents list it under.
    static var category: Category { get }
    /// What the result for an item depends on; decides which laws apply to the element.
    static var depends: Depends { get }
    /// How packets may be divided among several of it; by default that follows from ``depends``.
    static var divides: Divides { get }
    /// The sides it may be placed on; both by default.
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
    /// Bytes of state kept for each flow of the upstream table; if not 0, `flowEnded` is called.
    static var stateBytesPerFlow: Int { get }
    /// For flow tables, whose emitted items carry a flow: the number of flows there is room for. Nil for other elements.
    static func flowCapacity(_ config: Config) -> Int?
    /// The output by which packets take a slow path that leads back to the element: where that crosses the channel, the element
    /// sends markers behind them (``Context/sendMarker(behind:)``). Nil for elements that send none.
    static var slowOutput: Int? { get }
    /// The most items that it may hold. The pool is enlarged by what all elements may hold; if `--pool` sets its size, elements
    /// that hold items share half of it, so that packets can always enter: ``Setup/items`` is each one's share.
    static func heldItems(_ config: Config) -> Int
    /// The shortest delay of timers armed in `process` or `flowEnded`; nil when they arm none. Sources end a batch before a
    /// timer armed in it could be due, so that each fires between the right two packets.
    static func shortestTimer(_ config: Config) -> ShortestTimer?
    /// Small runs shown in the documents and run by the tests.
    static var examples: [Example] { get }

    /// Makes an element. Throws ``ParameterError`` when values that are valid alone are not valid together, or what a service
    /// throws. Does no input or output except opening sinks.
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
    /// By item or by flow where it depends on no more than that.
    public static var divides: Divides {
        switch depends {
        case .item: .items
        case .flow: .flows
        case .order, .clock: .never
        }
    }
    public static var sides: Sides { .either }
    public static var parameters: [Parameter<Config>] { [] }
    public static var handlers: [Handler<Self>] { [] }
    public static var operations: [Operation] { [] }
    public static var stateBytesPerFlow: Int { 0 }
    public static func flowCapacity(_ config: Config) -> Int? { nil }
    public static func heldItems(_ config: Config) -> Int { 0 }
    public static var slowOutput: Int? { nil }
    public static func shortestTimer(_ config: Config) -> ShortestTimer? { nil }
    public static var examples: [Example] { [] }
}

/// The shortest delay of an element's timers.
public enum ShortestTimer: Equatable, Sendable, BitwiseCopyable {
    /// At least so many nanoseconds after they are armed. The larger, the less often batches are cut where packets are sparse.
    case after(Int64)
    /// Only at multiples of so many nanoseconds, as timers of a ``TimingWheel`` are: no batch spans one.
    case tick(Int64)

    /// The earliest functional time, in nanoseconds, at which a timer armed at `now` may be due.
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
    case neighbours = "Addresses and neighbours"
    case flows = "Flows"
    case streams = "Streams"
    case metadata = "Metadata"
    case queueing = "Queueing and shaping"
    case sinks = "Sinks"
    case testing = "Testing"
    case other = "Other"
}

/// A named value that can be read from a running element.
public struct Handler<E>: Sendable {
    /// The name in statistics, in snake case.
    public let name: String
    /// One phrase for documents, with the unit.
    public let about: String
    /// How the values of equal elements, among which packets are divided, make one.
    public enum Sum: Sendable {
        /// They add up.
        case total
        /// The greatest counts: it is the same for all, or what one of them reached.
        case greatest
    }
    let sum: Sum
    let read: @Sendable (E) -> Int

    public init(_ name: String, _ about: String, sum: Sum = .total, _ read: @escaping @Sendable (E) -> Int) {
        self.name = name
        self.about = about
        self.sum = sum
        self.read = read
    }
}

/// A small run of one element: packets as text in, expected output by port.
public struct Example: Sendable {
    /// A few words on what the run shows.
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
