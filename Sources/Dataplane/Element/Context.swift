// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Items that wait on one edge, in order.
///
/// An item is on at most one edge, so `buffer` has room for two pools: what waits, and what was taken and not yet
/// moved down.
@frozen
@usableFromInline
struct EdgeQueue {
    @usableFromInline let buffer: UnsafeMutablePointer<Int32>
    @usableFromInline var head: Int
    @usableFromInline var tail: Int
    /// Items that were taken off the edge so far.
    @usableFromInline var moved: UInt64
    /// The edge leads back to an element that runs earlier.
    @usableFromInline var isBack: Bool
    /// The number of the edge in the graph; -1 where no edge leads.
    @usableFromInline var edge: Int32 = -1
    /// Where the round in progress ends; what is appended behind waits for the next.
    @usableFromInline var end = 0
    // A whole cache line each: queues are found by a shift, and none shares a line with another.
    @usableFromInline let padding: (UInt64, UInt64) = (0, 0)

    /// Puts an item at the end.
    @inlinable @inline(__always)
    mutating func append(_ i: Int32) {
        buffer[tail] = i
        tail &+= 1
    }

    @usableFromInline
    init(buffer: UnsafeMutablePointer<Int32>) {
        self.buffer = buffer
        head = 0
        tail = 0
        moved = 0
        isBack = false
    }
}

/// The counters and outputs of one element, and what its calls need of the runtime.
@frozen
@usableFromInline
struct NodeState {
    /// One queue for each output.
    @usableFromInline let outputs: UnsafeMutablePointer<EdgeQueue>
    /// For each output, whether an edge leads on.
    @usableFromInline let connected: UnsafeMutablePointer<Bool>
    /// Items dropped, by reason.
    @usableFromInline let drops: UnsafeMutablePointer<UInt64>
    /// Operations counted, by ``Operation``.
    @usableFromInline let operations: UnsafeMutablePointer<UInt64>
    /// Bits of the operations counted since somebody last looked.
    @usableFromInline var touched: UInt32 = 0
    /// Due times by timer identity, in functional nanoseconds; ``Context/unarmed`` where none is armed.
    @usableFromInline let timers: UnsafeMutablePointer<Int64>
    @usableFromInline let pool: UnsafeMutablePointer<PoolState>
    @usableFromInline let run: UnsafeMutablePointer<RunState>
    /// The element's place in the graph.
    @usableFromInline let index: Int32
    @usableFromInline var entered: UInt64 = 0
    @usableFromInline var made: UInt64 = 0
    @usableFromInline var used: UInt64 = 0
    @usableFromInline var held: Int64 = 0
}

/// What all elements of one run share.
@frozen
@usableFromInline
struct RunState {
    /// The earliest armed timer of any element.
    @usableFromInline var nextDue: Int64 = .max
    /// The origin that items made without a parent inherit.
    @usableFromInline var originTime: Int64 = 0
    @usableFromInline var originSequence: UInt64 = 0
    /// Flows whose end was announced and not yet told to the elements.
    @usableFromInline var ended: UnsafeMutablePointer<EndedFlow>
    @usableFromInline var endedCount: Int = 0
    @usableFromInline var endedCapacity: Int
}

/// A flow that has ended, on its way to the elements that keep state for it.
@frozen
public struct EndedFlow: Sendable {
    /// The element (a flow table) that announced the end.
    public var table: Int32
    /// The flow, as the table numbers it.
    public var flow: FlowRef
    /// What ended it.
    public var reason: FlowEnd
    /// Functional time and origin of the item that caused the end.
    public var time: Int64
    /// Origin number of that item.
    public var sequence: UInt64
}

/// Why a flow ended.
@frozen
public enum FlowEnd: UInt8, Sendable, CaseIterable {
    /// Its 4-tuple was used again by a new connection.
    case reused
    /// No packet for the idle time-out.
    case idle
    /// The table was full and made room.
    case evicted
    /// The input ended.
    case eof
}

extension FlowEnd {
    /// The words of records for how a connection ended, by number.
    static let words = ["rst", "fin", "idle", "eof", "evicted"]

    /// The number among ``words`` of the strongest cause: a RST or FIN that was seen, else why the flow ended.
    func strongest(rst: Bool, fin: Bool) -> UInt8 {
        if rst { return 0 }
        if fin { return 1 }
        return switch self {
        case .idle: 2
        case .eof, .reused: 3
        case .evicted: 4
        }
    }
}

/// What an element may do with the items it was handed. Valid during the call only.
///
/// Each item handed to an element, made by it or held by it must leave by exactly one of ``emit(_:_:)``,
/// ``drop(_:_:)`` or ``use(_:)``, or be held: that is the conservation law the runtime checks.
@frozen
public struct Context {
    /// The pool's items, by index.
    public let items: UnsafeMutablePointer<Item>
    @usableFromInline let node: UnsafeMutablePointer<NodeState>

    @usableFromInline
    init(items: UnsafeMutablePointer<Item>, node: UnsafeMutablePointer<NodeState>) {
        self.items = items
        self.node = node
    }

    /// How many timers an element has, identities `0 ..< timerCount`.
    public static let timerCount = 4
    /// The due time of a timer that is not armed.
    @inlinable @inline(__always) public static var unarmed: Int64 { .max }

    /// Item `i`.
    @inlinable @inline(__always)
    public subscript(_ i: Int32) -> UnsafeMutablePointer<Item> { items + Int(i) }

    // MARK: Letting items go

    /// The item leaves by `output`.
    @inlinable @inline(__always)
    public func emit(_ i: Int32, _ output: Int) {
        let queue = node.pointee.outputs + output
        let tail = queue.pointee.tail
        queue.pointee.buffer[tail] = i
        queue.pointee.tail = tail &+ 1
    }

    /// The queues of the outputs, for elements that sort packets one by one; kept in a register, they cost a load less.
    @inlinable @inline(__always)
    var outputs: UnsafeMutablePointer<EdgeQueue> { node.pointee.outputs }

    /// All items of the batch leave by `output`, in order.
    @inlinable @inline(__always)
    public func emit(_ batch: Batch, _ output: Int) {
        let queue = node.pointee.outputs + output
        let tail = queue.pointee.tail
        (queue.pointee.buffer + tail).update(from: batch.index, count: batch.count)
        queue.pointee.tail = tail &+ batch.count
    }

    /// The items `from ..< to` of the batch leave by `output`, in order.
    ///
    /// Elements that let most items pass emit them in runs: a filter costs nothing for what it does not stop.
    @inlinable @inline(__always)
    public func emit(_ batch: Batch, from: Int, to: Int, _ output: Int) {
        if from < to { emit(Batch(items: batch.items, index: batch.index + from, count: to &- from), output) }
    }

    /// The item is dropped for a reason, an index into the type's list of drop reasons; counted, and its slot is free.
    @inlinable @inline(__always)
    public func drop(_ i: Int32, _ reason: Int) {
        node.pointee.drops[reason] &+= 1
        node.pointee.pool.pointee.release(i)
    }

    /// The item is dropped for a reason named by the element's own enumeration.
    @inlinable @inline(__always)
    public func drop<R: DropReason>(_ i: Int32, _ reason: R) { drop(i, reason.rawValue) }

    /// The item's life ends here on purpose: it reached a sink, was coalesced or joined with others.
    @inlinable @inline(__always)
    public func use(_ i: Int32) {
        node.pointee.used &+= 1
        node.pointee.pool.pointee.release(i)
    }

    /// The life of all items of the batch ends here on purpose.
    @inlinable @inline(__always)
    public func use(_ batch: Batch) {
        node.pointee.used &+= UInt64(batch.count)
        node.pointee.pool.pointee.release(batch)
    }

    /// The item stays in the element until ``resume(_:)``.
    @inlinable @inline(__always)
    public func hold(_ i: Int32) {
        node.pointee.held &+= 1
        items[Int(i)].flags.insert(.held)
    }

    /// A held item is current again; it must then leave by `emit`, `drop` or `use`.
    @inlinable @inline(__always)
    public func resume(_ i: Int32) {
        node.pointee.held &-= 1
        items[Int(i)].flags.subtract(.held)
    }

    /// Whether an edge leads on from `output`; an optional output may have none, and what is emitted there is dropped.
    @inlinable @inline(__always)
    public func isConnected(_ output: Int) -> Bool { node.pointee.connected[output] }

    // MARK: Making items

    /// A new item of `capacity` writable bytes that inherits origin, time and flow of item `i`; nil when the pool is
    /// empty. Its `length` is `capacity`; its bytes are not set.
    @inlinable
    public func make(from i: Int32, capacity: Int) -> Int32? {
        guard let j = node.pointee.pool.pointee.make(capacity: capacity) else { return nil }
        node.pointee.made &+= 1
        let parent = items + Int(i)
        let child = items + Int(j)
        child.pointee.time = parent.pointee.time
        child.pointee.sequence = parent.pointee.sequence
        child.pointee.made = parent.pointee.made == .max ? .max : parent.pointee.made &+ 1
        child.pointee.flow = parent.pointee.flow
        child.pointee.linkType = parent.pointee.linkType
        child.pointee.interface = parent.pointee.interface
        child.pointee.hops = parent.pointee.hops
        return j
    }

    /// A new item of `capacity` writable bytes with the origin of what the runtime works on: the ended flow, the timer,
    /// the last item. For use outside `process`.
    @inlinable
    public func make(capacity: Int) -> Int32? {
        guard let j = node.pointee.pool.pointee.make(capacity: capacity) else { return nil }
        node.pointee.made &+= 1
        items[Int(j)].time = node.pointee.run.pointee.originTime
        items[Int(j)].sequence = node.pointee.run.pointee.originSequence
        return j
    }

    /// A copy of item `i`, with bytes of its own; nil when the pool is empty.
    @inlinable
    public func copy(_ i: Int32) -> Int32? {
        let length = Int(items[Int(i)].length)
        guard let j = make(from: i, capacity: length) else { return nil }
        let (data, flags, made) = (items[Int(j)].data, items[Int(j)].flags, items[Int(j)].made)
        data.copyMemory(from: items[Int(i)].data, byteCount: length)
        items[Int(j)] = items[Int(i)]
        items[Int(j)].data = data
        items[Int(j)].made = made
        items[Int(j)].flags.subtract([.owned, .large, .held])
        items[Int(j)].flags.formUnion(flags)
        return j
    }

    /// Makes the bytes of item `i` writable, copying them out of the capture when they are not.
    @inlinable
    public func own(_ i: Int32) {
        if items[Int(i)].flags.isDisjoint(with: [.owned, .large]) { node.pointee.pool.pointee.own(i) }
    }

    // MARK: Counting and time

    /// Counts `n` operations. What an element counts must not depend on where batches are cut.
    @inlinable @inline(__always)
    public func did(_ operation: Operation, _ n: Int) {
        node.pointee.operations[operation.rawValue] &+= UInt64(truncatingIfNeeded: n)
        node.pointee.touched |= 1 &<< UInt32(truncatingIfNeeded: operation.rawValue)
    }

    /// Arms timer `id` of this element at functional time `due`, in nanoseconds; an armed one is moved.
    ///
    /// A timer that is armed again when it fires must be due later than it was: otherwise it fires without end.
    @inlinable
    public func arm(_ id: Int, at due: Int64) {
        node.pointee.timers[id] = due
        if due < node.pointee.run.pointee.nextDue { node.pointee.run.pointee.nextDue = due }
    }

    /// Disarms timer `id` of this element.
    @inlinable
    public func disarm(_ id: Int) { node.pointee.timers[id] = Context.unarmed }

    /// Announces that a flow of this table has ended, at item `i`; the elements that keep state for it are told after
    /// the batch. For flow tables only.
    public func endFlow(_ flow: FlowRef, _ reason: FlowEnd, time: Int64, sequence: UInt64) {
        let run = node.pointee.run
        if run.pointee.endedCount == run.pointee.endedCapacity { run.pointee.grow() }
        run.pointee.ended[run.pointee.endedCount] = EndedFlow(
            table: node.pointee.index,
            flow: flow,
            reason: reason,
            time: time,
            sequence: sequence
        )
        run.pointee.endedCount += 1
    }

    /// The origin of what the runtime works on now: functional time in nanoseconds and sequence.
    public var origin: (time: Int64, sequence: UInt64) {
        (node.pointee.run.pointee.originTime, node.pointee.run.pointee.originSequence)
    }
}

extension RunState {
    mutating func grow() {
        let larger = UnsafeMutablePointer<EndedFlow>.allocate(capacity: endedCapacity * 2)
        larger.moveInitialize(from: ended, count: endedCount)
        ended.deallocate()
        ended = larger
        endedCapacity *= 2
    }
}
