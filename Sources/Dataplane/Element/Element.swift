// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The run-time side of every element: calls that both runtimes make, on either side, with any batch size.
///
/// An element never knows which side it runs on, nor the time of day: only the items' own functional time. Its outputs and
/// counted operations must not depend on where batches are cut.
open class ElementBase {
    public init() {}

    /// Handles a batch that arrived at `input`. Every item must leave, be used, be dropped or be held.
    open func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        refuse()
    }

    /// A separate function, since it builds a string.
    @inline(never)
    private func refuse() -> Never { fatalError("\(type(of: self)) does not take items") }

    /// A timer came due. The element is told its due time in functional nanoseconds, never the current time.
    open func timer(_ id: Int, due: Int64, _ context: borrowing Context) {}

    /// A flow of the nearest upstream table has ended; its per-flow state can be freed.
    open func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {}

    /// For flow tables: all elements have been told of the flow's end, so its slot may be reused.
    open func flowReleased(_ flow: FlowRef, _ context: borrowing Context) {}

    /// The marker sent behind the packets of a flow has returned: none of them is under way any more. May not emit items, but
    /// may send the next marker.
    open func markerReturned(_ flow: FlowRef, _ context: borrowing Context) {}

    /// The input has ended: whatever is held must be emitted, used or dropped.
    open func finish(_ context: borrowing Context) {}

    /// The outputs to which `process` emits only with ``Context/emitRound(_:_:)``; after each of these items, and after one
    /// that ends a flow, it stops if ``Context/mustWait`` is true. Nil for elements that never stop.
    ///
    /// Items that enter a cycle, or reach a flow table, are handed over one at a time, since one may change the fate of the
    /// next. An element that stops itself gets whole batches.
    open var outputsThatStop: Set<Int>? { nil }

    /// Opens what the element writes to, so that an unwritable destination is reported before the first packet is read. Called
    /// once before a run, never when a graph is only checked. Throws what the destination throws.
    open func open() throws {}

    /// Passes on what the element has buffered, in a run that goes on. Throws what the destination throws.
    open func sync() throws {}

    /// Completes what the element writes, at the end of a run. Throws what the destination throws.
    open func flush() throws {}

    /// The most bytes that its tables, buffers and automata can take, known once it is made; per-flow state of the upstream
    /// table (``ElementType/stateBytesPerFlow``) comes on top. It must fit in the memory of the side it is placed on.
    open var memoryBytes: Int { 0 }

    /// For flow tables: the number of flows in the table, and its limits.
    open var flowCounts: FlowCounts { FlowCounts() }
}

/// Flow counts of a flow table.
public struct FlowCounts: Sendable {
    /// Flows in the table now.
    public var now = 0
    /// The most flows there can be.
    public var most = 0
    /// Flows created so far.
    public var created: UInt64 = 0
    /// Nanoseconds for which a flow stays after its last packet; 0 means forever.
    public var stays: Int64 = 0

    public init() {}
}

/// The reasons for which an element drops items, in the order of their numbers.
///
/// ```swift
/// public enum Drop: Int, DropReason {
///     case tooShort, badChecksum
///     public var about: String { ... }
/// }
/// ```
/// In statistics and documents a reason is named by its case, in snake case: `too_short`.
public protocol DropReason: RawRepresentable, CaseIterable, Sendable where RawValue == Int {
    /// One phrase that completes "an item is dropped when".
    var about: String { get }
}

/// For elements that drop nothing.
public enum NeverDrops: Int, DropReason {
    /// Never counted; an enumeration with raw values needs a case.
    case never
    public var about: String { "never" }
}

/// What an element's behaviour may depend on; decides which invariance laws apply to it.
public enum Depends: String, Sendable, CaseIterable {
    /// On the item alone.
    case item
    /// On the item and the earlier items of its flow.
    case flow
    /// On the order of items across flows.
    case order
    /// On functional time.
    case clock
}

/// How packets may be divided among threads with an element each, that share nothing, and each element still find all it needs.
public enum Divides: String, Sendable, CaseIterable {
    /// In any way.
    case items
    /// Those of one flow, both directions, stay together.
    case flows
    /// All between two hosts stay together: some of them have no ports, or other ends inside.
    case hosts
    /// Not at all: there is one element for all.
    case never
}

/// The sides an element type may be placed on.
public enum Sides: String, Sendable, CaseIterable {
    case either
    case nic
    case host
}

/// The environment an element is made in.
public struct Setup: Sendable {
    /// The element's name in the graph, e.g. `front/sort`.
    public var path: String
    /// The capacity of the nearest upstream flow table, for arrays of per-flow state; 0 if there is none.
    public var flows: Int
    /// How many items the element may hold: what ``ElementType/heldItems(_:)`` asks for, or its share of half the pool.
    public var items: Int
    /// Which of several equal elements it is, between which packets are divided, and how many there are.
    public var share: (number: Int, of: Int) = (0, 1)
    /// The run's seed.
    public var seed: UInt64
    /// The key for keyed hashes: from the seed for captures, from the system for live interfaces.
    public var hashKey: HashKey
    /// The layouts of the run's records and commands.
    public var layouts: LayoutTable
    /// Files, filters and everything else from outside.
    public var services: any Services

    public init(
        path: String,
        flows: Int,
        items: Int = 16_384,
        seed: UInt64,
        hashKey: HashKey,
        layouts: LayoutTable = LayoutTable(),
        services: any Services
    ) {
        self.path = path
        self.flows = flows
        self.items = items
        self.seed = seed
        self.hashKey = hashKey
        self.layouts = layouts
        self.services = services
    }

    /// The seed of this element alone: it does not change when other elements are added to the graph.
    public var elementSeed: UInt64 { hash(seed, path) }
}

/// Access to the outside world. No element does input or output by itself.
public protocol Services: Sendable {
    /// Opens a destination of bytes: a file by name, or `-` for standard output.
    func openSink(_ name: String) throws -> any ByteSink
    /// Like ``openSink(_:)``; if `appends`, the file's contents stay and new bytes follow them.
    func openSink(_ name: String, appends: Bool) throws -> any ByteSink
    /// The contents of a file that an element is made from. Throws if it cannot be read or is longer than `most` bytes.
    func readFile(_ name: String, most: Int) throws -> [UInt8]
    /// Compiles a filter in pcap-filter syntax for a link type to a classic BPF program; nil when the link type, or the
    /// filter for it, is refused. Throws ``FilterError`` when the filter is wrong for every link type.
    func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]?
}

extension Services {
    /// The default for services without files: opens a new sink.
    public func openSink(_ name: String, appends: Bool) throws -> any ByteSink { try openSink(name) }

    /// The default for services without files: always throws.
    public func readFile(_ name: String, most: Int) throws -> [UInt8] {
        throw FileError("there is no file '\(name)' here")
    }
}

/// A file needed to make an element cannot be read.
public struct FileError: Error, Sendable, CustomStringConvertible {
    public var description: String
    /// The file, if the system refused it; nil if its contents cannot be used.
    public var file: String?
    public init(_ description: String, file: String? = nil) {
        self.description = description
        self.file = file
    }
}

/// A filter that libpcap rejects, with its message.
public struct FilterError: Error, Sendable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}
