// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Where an item stands in the order in which a direct run with batches of one would handle it, within its origin.
struct Order: BitwiseCopyable {
    /// The place of the element; in a cycle that of its first, then whether the item comes from outside, the round, and the place
    /// of the element.
    var a: UInt64 = 0
    var b: UInt64 = 0
    var c: UInt64 = 0

    /// Rounds are told apart up to this one.
    static let mostRounds: UInt64 = 1 << 23 - 1

    /// How often the item has gone round the cycle that it is in.
    var round: UInt64 { a &>> 24 & Order.mostRounds }

    @inline(__always)
    static func < (x: Order, y: Order) -> Bool {
        x.a != y.a ? x.a < y.a : x.b != y.b ? x.b < y.b : x.c < y.c
    }
}

/// One item, or one call, on its way to one element.
struct Job: Linked {
    enum Kind: UInt8 {
        /// A packet that comes in at a wire.
        case arrival
        /// An item on an edge.
        case item
        /// A call: a timer, or the end of a flow or of the input.
        case control
        /// A marker, on its way along a slow path and back.
        case marker
    }

    /// The origin it belongs to: the arrival or the call that led to it.
    var origin: Int64 = 0
    var order = Order()
    /// When it is delivered, while it is in the channel.
    var time: Int64 = 0
    /// What the work knows it by.
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
    /// It has just come to this executor, which has its work for each item still to do.
    var isNew = true
    /// It was let through at its merge point.
    var isAdmitted = false
    /// The marker that it waits for; -1 for none.
    var awaited: Int64 = -1
    /// It waits in the reorder buffer.
    var isWaiting = false
    /// The element that a marker goes back to, and the merge points there that it need not wait at any more.
    var table: Int32 = -1
    var passed: UInt32 = 0
    /// It holds a place in the ring towards the host.
    var hasPlace = false
    /// It is announced by the interrupt that the host must handle first.
    var interrupts = false
    /// Bytes of it that stayed on the NIC, while it is on the host.
    var parked: UInt32 = 0
    /// The way of a packet that an element had held; -1 where it belongs to that of its origin.
    var journey: Int32 = -1

    /// It goes on before `other` where all wait for each other: markers first, then the oldest.
    func isBefore(_ other: Job) -> Bool {
        (kind == .marker) != (other.kind == .marker) ? kind == .marker : origin < other.origin
    }

    /// Makes it the job of a child that goes on at `node`.
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

/// What one visit leaves behind: an item on an edge.
struct Child: BitwiseCopyable {
    var ref: Int32
    var edge: Int32
    var length: UInt32
    var headers: UInt16
    /// It is the item that came in, not one that was made or had been held.
    var isSame: Bool
    /// It had been held by the element that lets it go.
    var isReleased = false
    var order: Order
}

/// What one visit costs: picoseconds of computing, of waiting, and accesses to memory in thousandths.
struct Cost: BitwiseCopyable {
    var compute: Int64 = 0
    var wait: Int64 = 0
    var accesses: Int64 = 0
}

/// A call that the model makes in its time: a timer, or the end of a flow.
struct Control: BitwiseCopyable {
    /// The element that caused it; its side tells the others.
    var node: Int32
    /// The calls are `first ..< first + count` among those of the work.
    var first: Int32
    var count: Int32
    /// Chooses the core that makes the calls, where a hash does.
    var key: UInt32 = 0
    /// Functional time.
    var time: Int64
    /// It may happen when all origins up to this one are done.
    var after: Int64
}

/// Packets and what becomes of them: the elements themselves, or the record of a run.
protocol Work: ~Copyable {
    /// What the last visit or call let go.
    var children: UnsafeMutablePointer<Child> { get }
    /// The last visit held the item that came in.
    var holds: Bool { get }
    /// The last visit left the item where it was: it waits for this marker, and comes again when that is back; -1 where it did not.
    var awaited: Int64 { get }
    /// The marker that the last visit sent, and the key of the flow it is of.
    mutating func takeMarker() -> (number: Int64, key: UInt32)?
    /// Calls under way at one time, at the most.
    var mostCalls: Int { get }
    /// The virtual time of the next arrival; ``Int64/max`` when there is none.
    var nextArrival: Int64 { get }
    /// The virtual time at which the next timer is due, as far as arrivals tell what time it is; ``Int64/max`` when there is none.
    var nextTimer: Int64 { get }
    /// That time has come.
    mutating func reachTimer(_ time: Int64)
    /// The next packet. `time` is functional; nil when no item was free for it.
    mutating func arrive() -> (job: Job, key: UInt32, time: Int64)?
    /// A stay of an item on a thread begins, with all that it leads to there.
    mutating func beginService()
    /// Does the work of a job: gives the number of children, and adds its cost.
    mutating func visit(_ job: UnsafePointer<Job>, _ cost: inout Cost) -> Int
    /// It asks to be told when an item has left a wire, and not before.
    var awaitsSending: Bool { get }
    /// The last bit of an item has left its wire.
    mutating func sent(_ job: Job, at time: Int64)
    /// A job was dropped between elements.
    mutating func abandon(_ job: Job)
    /// The next call to be made: those announced since, or a timer whose time has come, now that all items before `watermark`
    /// (functional time) are done. What a timer leads to is done before the next fires: so timers wait while `isBusy` with calls.
    mutating func nextControl(watermark: Int64, newest: Int64, isBusy: Bool) -> Control?
    /// The `k`-th call of a control.
    func call(_ k: Int32) -> (ref: Int32, node: Int32)
    /// All that a control led to is done.
    mutating func done(_ control: Control)
}

/// How often an operation was counted in one call.
struct OperationCount: BitwiseCopyable {
    var operation: Int32 = 0
    var count: UInt64 = 0
}

/// The cost of operations on one side, in picoseconds.
struct CostTable: ~Copyable {
    /// Thousandths of cycles and accesses for one of each operation.
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
        // With one thread nothing can be done while the core waits, so waiting is as good as computing.
        let alone = profile.threads == 1
        for (k, cost) in profile.costs.enumerated() {
            rows[k] = Row(
                cycles: Int64(cost.cycles + (alone ? cost.wait : 0)),
                wait: alone ? 0 : Int64(cost.wait),
                accesses: Int64(cost.accesses)
            )
        }
    }

    /// Adds the cost of `n` different operations.
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

    /// Picoseconds of so many thousandths of a cycle.
    @inline(__always)
    func time(_ cycles: Int64) -> Int64 { cycles == 0 ? 0 : scale(cycles, by: 1_000_000_000, over: clock) }
}
