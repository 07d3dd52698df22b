// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// What every element is at run time: calls that both runtimes make, on either side, with any batch size.
///
/// An element never learns on which side it runs, nor the time of day: only the items' own functional time. Its outputs
/// and counted operations must not depend on where batches are cut.
open class ElementBase {
    public init() {}

    /// Takes a batch that arrived at `input`. Every item must leave, be used, be dropped or be held.
    open func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        refuse()
    }

    /// Apart, since it puts text together.
    @inline(never)
    private func refuse() -> Never { fatalError("\(type(of: self)) does not take items") }

    /// A timer came due. The element is told its due time in functional nanoseconds, never the current time.
    open func timer(_ id: Int, due: Int64, _ context: borrowing Context) {}

    /// A flow of the nearest table upstream has ended; its per-flow state can be given back.
    open func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {}

    /// For flow tables: all elements know that the flow has ended, its slot may be used again.
    open func flowReleased(_ flow: FlowRef, _ context: borrowing Context) {}

    /// The marker that was sent behind the packets of a flow is back: none of them is under way any more. Lets nothing go, but may
    /// send the next marker.
    open func markerReturned(_ flow: FlowRef, _ context: borrowing Context) {}

    /// The input has ended: whatever is held must be emitted, used or dropped.
    open func finish(_ context: borrowing Context) {}

    /// The outputs by which `process` lets items go with ``Context/emitRound(_:_:)`` only; behind each of these items, and behind one
    /// that ends a flow, it stops where ``Context/mustWait`` says so. Nil for elements that never stop.
    ///
    /// What comes into a cycle, and what comes to a flow table, is handed over one item at a time, for one may change what becomes
    /// of the next. An element that stops itself is handed whole batches.
    open var outputsThatStop: Set<Int>? { nil }

    /// Opens what the element writes to, so that what cannot be written is told before the first packet is read. Called once
    /// before a run, never when a graph is only checked. Throws what the destination throws.
    open func open() throws {}

    /// Writes out what the element has buffered. Throws what the destination throws.
    open func flush() throws {}

    /// Bytes that its tables, buffers and automata can take, known once it is made; state that it keeps for each flow of the table
    /// upstream (``ElementType/stateBytesPerFlow``) comes on top. What is placed on a side must fit in that side's memory.
    open var memoryBytes: Int { 0 }

    /// For flow tables: what is in the table.
    open var flowCounts: FlowCounts { FlowCounts() }
}

/// What a flow table holds.
public struct FlowCounts: Sendable {
    /// Flows in the table now.
    public var now = 0
    /// Flows there can be.
    public var most = 0
    /// Flows created so far.
    public var created: UInt64 = 0
    /// Nanoseconds for which a flow stays after its last packet; 0 for ever.
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

/// On what an element's behaviour may depend; decides which invariance laws it is held to.
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

/// Where an element type may be placed.
public enum Sides: String, Sendable, CaseIterable {
    case either
    case nic
    case host
}

/// What an element is told when it is made.
public struct Setup: Sendable {
    /// The element's name in the graph, e.g. `front/sort`.
    public var path: String
    /// The capacity of the nearest flow table upstream; 0 where there is none. For arrays of per-flow state.
    public var flows: Int
    /// How many items the element may hold back: what ``ElementType/heldItems(_:)`` asks for, or its part of half the pool.
    public var items: Int
    /// The run's seed.
    public var seed: UInt64
    /// The key for keyed hashes: from the seed for captures, from the system for live interfaces.
    public var hashKey: HashKey
    /// The layouts of the run's records and commands.
    public var layouts: LayoutTable
    /// Files, filters and whatever else comes from outside.
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

    /// The seed of this element alone: adding another element to the graph does not change it.
    public var elementSeed: UInt64 { hash(seed, path) }
}

/// What elements get from the outside world. No element does input or output by itself.
public protocol Services: Sendable {
    /// Opens a destination of bytes: a file by name, or `-` for standard output.
    func openSink(_ name: String) throws -> any ByteSink
    /// As ``openSink(_:)``; where `appends`, what the file holds stays and bytes come behind it.
    func openSink(_ name: String, appends: Bool) throws -> any ByteSink
    /// The bytes of a file that an element is made from, at most `most`. Throws when it cannot be read or is longer.
    func readFile(_ name: String, most: Int) throws -> [UInt8]
    /// Compiles a filter in pcap-filter syntax for a link type to a classic BPF program; nil when the link type, or the
    /// filter for it, is refused. Throws ``FilterError`` when the filter is wrong for every link type.
    func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]?
}

extension Services {
    /// For services without files: the same as a new sink.
    public func openSink(_ name: String, appends: Bool) throws -> any ByteSink { try openSink(name) }

    /// For services without files: there is none to read.
    public func readFile(_ name: String, most: Int) throws -> [UInt8] {
        throw FileError("there is no file '\(name)' here")
    }
}

/// A file that an element is made from and that cannot be read.
public struct FileError: Error, Sendable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}

/// A filter that libpcap refuses, with its words.
public struct FilterError: Error, Sendable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}
