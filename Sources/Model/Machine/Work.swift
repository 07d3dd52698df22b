// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// An item's position in the order in which a direct run with batches of one would handle it, within its origin.
struct Order: BitwiseCopyable {
    /// The position of the element; in a cycle that of its first element, then whether the item comes from outside, the round,
    /// and the position of the element.
    var a: UInt64 = 0
    var b: UInt64 = 0
    var c: UInt64 = 0

    /// Rounds are distinguished up to this one.
    static let mostRounds: UInt64 = 1 << 23 - 1

    /// How often the item has gone round its cycle.
    var round: UInt64 { a &>> 24 & Order.mostRounds }

    @inline(__always)
    static func < (x: Order, y: Order) -> Bool {
        x.a != y.a ? x.a < y.a : x.b != y.b ? x.b < y.b : x.c < y.c
    }
}

/// One item, or one call, on its way to one element.
struct Job: Linked {
    enum Kind: UInt8 {
        /// A packet arriving at a wire.
        case arrival
        /// An item on an edge.
        case item
        /// A call: a timer, or the end of a flow or of the input.
        case control
        /// A marker, on its path along a slow path and back.
        case marker
    }

    /// The origin it belongs to: the arrival or the call that led to it.
    var origin: Int64 = 0
    var order = Order()
    /// Its delivery time, while it is in the channel.
    var time: Int64 = 0
    /// Its identity for the work.
    var ref: Int32 = 0
    var node: Int32 = 0
    /// The edge it is on; -1 for an arrival or a call.
    var edge: Int32 = -1
    var length: UInt32 = 0
    var next: Int32 = -1
    /// Bytes of its headers.
    var headers: UInt16 = 0
    var kind = Kind.item
    /// How much of it is on the host, while it is there.
    var level = Routes.Level.whole
    /// It has just arrived at this executor, whose per-item cost is still to be charged.
    var isNew = true
    /// It was admitted at its merge point.
    var isAdmitted = false
    /// The marker that it waits for; -1 for none.
    var awaited: Int64 = -1
    /// An arrival that may belong to the flow of any other before it, whatever their keys: it begins once they are through.
    var waitsForAll = false
    /// It waits in the reorder buffer.
    var isWaiting = false
    /// The element that a marker returns to, and the merge points there that it has already passed.
    var table: Int32 = -1
    var passed: UInt32 = 0
    /// It occupies a place in the ring towards the host.
    var hasPlace = false
    /// It is announced by the interrupt that the host must handle first.
    var interrupts = false
    /// Bytes of it that stayed on the NIC, while it is on the host.
    var parked: UInt32 = 0
    /// The journey of a packet that an element had held; -1 if it belongs to that of its origin.
    var journey: Int32 = -1

    /// Whether it continues before `other` if all wait for each other: markers first, then the oldest.
    func isBefore(_ other: Job) -> Bool {
        (kind == .marker) != (other.kind == .marker) ? kind == .marker : origin < other.origin
    }

    /// Turns it into the job of a child that continues at `node`.
    @inline(__always)
    mutating func become(_ child: Child, at node: Int32, _ level: Routes.Level) {
        order = child.order
        ref = child.ref
        self.node = node
        edge = child.edge
        length = child.length
        headers = child.headers
        kind = .item
        self.level = level
        isNew = false
        isAdmitted = false
        awaited = -1
        hasPlace = false
        interrupts = false
        parked = 0
        journey = -1
    }
}

/// The result of a visit: an item on an edge.
struct Child: BitwiseCopyable {
    var ref: Int32
    var edge: Int32
    var length: UInt32
    var headers: UInt16
    /// It is the item that entered, not one that was made or had been held.
    var isSame: Bool
    /// It had been held by the element that releases it.
    var isReleased = false
    var order: Order
}

/// The cost of a visit: picoseconds of computing and waiting, and memory accesses in thousandths.
struct Cost: BitwiseCopyable {
    var compute: Int64 = 0
    var wait: Int64 = 0
    var accesses: Int64 = 0
}

/// A call made by the model at its time: a timer, or the end of a flow.
struct Control: BitwiseCopyable {
    /// The element that caused it; its side notifies the others.
    var node: Int32
    /// Its calls are `first ..< first + count` among those of the work.
    var first: Int32
    var count: Int32
    /// Selects the core that makes the calls, if a hash does.
    var key: UInt32 = 0
    /// Functional time.
    var time: Int64
    /// It may happen once all origins up to this one are done.
    var after: Int64
}

/// Packets and their processing: by the elements themselves, or from the record of a run.
protocol Work: ~Copyable {
    /// The items released by the last visit or call.
    var children: UnsafeMutablePointer<Child> { get }
    /// The last visit held the item that entered.
    var holds: Bool { get }
    /// The marker for which the last visit left its item in place; the item is presented again once that has returned. -1 if it
    /// did not.
    var awaited: Int64 { get }
    /// The number of the marker that the last visit sent.
    mutating func takeMarker() -> Int64?
    /// The most concurrent calls.
    var mostCalls: Int { get }
    /// The virtual time of the next arrival; ``Int64/max`` if there is none.
    var nextArrival: Int64 { get }
    /// The virtual due time of the next timer, as far as arrivals define the time; ``Int64/max`` if there is none.
    var nextTimer: Int64 { get }
    /// The due time of a timer has come.
    mutating func reachTimer(_ time: Int64)
    /// The next packet. `time` is functional; nil if no item was free for it.
    mutating func arrive() -> (job: Job, key: UInt32, time: Int64)?
    /// Begins a stay of an item on a thread, with everything it leads to there.
    mutating func beginService()
    /// Does the work of a job: returns the number of children, and adds its cost.
    mutating func visit(_ job: UnsafePointer<Job>, _ cost: inout Cost) -> Int
    /// Whether it must be told when an item has left a wire, and not before.
    var awaitsSending: Bool { get }
    /// The last bit of an item has left its wire.
    mutating func sent(_ job: Job, at time: Int64)
    /// A job was dropped between elements.
    mutating func abandon(_ job: Job)
    /// The next call to make: those announced since, or a due timer, now that all items before `watermark` (functional time)
    /// are done. A timer's effects are done before the next fires, so timers wait while `isBusy` with calls.
    mutating func nextControl(watermark: Int64, newest: Int64, isBusy: Bool) -> Control?
    /// The `k`-th call of a control.
    func call(_ k: Int32) -> (ref: Int32, node: Int32)
    /// Everything that a control led to is done.
    mutating func done(_ control: Control)
}

/// The count of an operation in one call.
struct OperationCount: BitwiseCopyable {
    var operation: Int32 = 0
    var count: UInt64 = 0
}

/// The cost of operations on one side, in picoseconds.
struct CostTable: ~Copyable {
    /// The cost of one of each operation, in thousandths of cycles and accesses.
    private let rows: Block<Row>
    private let clock: Int64

    private struct Row: BitwiseCopyable {
        var cycles: Int64 = 0
        var wait: Int64 = 0
        var accesses: Int64 = 0
    }

    init(_ profile: ExecutorProfile) {
        clock = Int64(profile.clock)
        rows = Block(profile.costs.count, Row())
        // With one thread nothing can be done while the core waits, so waiting counts as computing.
        let alone = profile.threads == 1
        for (k, cost) in profile.costs.enumerated() {
            rows[k] = Row(
                cycles: Int64(cost.cycles + (alone ? cost.wait : 0)),
                wait: alone ? 0 : Int64(cost.wait),
                accesses: Int64(cost.accesses)
            )
        }
    }

    /// Adds the cost of `n` distinct operations.
    @inline(__always)
    func add(_ cost: inout Cost, _ counts: UnsafePointer<OperationCount>, _ n: Int) {
        var sum = Row()
        for k in 0..<n {
            let n = Int64(truncatingIfNeeded: min(counts[k].count, 1 &<< 20))
            let row = rows[Int(counts[k].operation)]
            sum.cycles &+= n &* row.cycles
            sum.wait &+= n &* row.wait
            sum.accesses &+= n &* row.accesses
        }
        cost.compute &+= time(sum.cycles)
        if sum.wait != 0 { cost.wait &+= time(sum.wait) }
        cost.accesses &+= sum.accesses
    }

    /// Picoseconds for thousandths of a cycle.
    @inline(__always)
    func time(_ cycles: Int64) -> Int64 { cycles == 0 ? 0 : scale(cycles, by: 1_000_000_000, over: clock) }
}
