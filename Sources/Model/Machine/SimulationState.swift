// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A list of jobs, linked through them.
struct List: BitwiseCopyable {
    var head: Int32 = -1
    var tail: Int32 = -1
    var count: Int32 = 0

    @inline(__always)
    mutating func append(_ j: Int32, _ jobs: UnsafeMutablePointer<Job>) {
        jobs[Int(j)].next = -1
        if tail < 0 { head = j } else { jobs[Int(tail)].next = j }
        tail = j
        count &+= 1
    }

    mutating func prepend(_ j: Int32, _ jobs: UnsafeMutablePointer<Job>) {
        jobs[Int(j)].next = head
        head = j
        if tail < 0 { tail = j }
        count &+= 1
    }

    /// Removes a job that is in the list.
    mutating func remove(_ j: Int32, _ jobs: UnsafeMutablePointer<Job>) {
        if head == j {
            _ = popFirst(jobs)
            return
        }
        var before = head
        while jobs[Int(before)].next != j { before = jobs[Int(before)].next }
        jobs[Int(before)].next = jobs[Int(j)].next
        if tail == j { tail = before }
        count &-= 1
    }

    @inline(__always)
    mutating func popFirst(_ jobs: UnsafeMutablePointer<Job>) -> Int32? {
        let j = head
        if j < 0 { return nil }
        head = jobs[Int(j)].next
        if head < 0 { tail = -1 }
        count &-= 1
        return j
    }
}

/// An arrival or call and everything it led to, while any of that is under way.
struct OriginState: BitwiseCopyable {
    /// The kind of event that began it.
    enum Kind: UInt8 {
        case packet
        case control
        case marker
    }

    var arrival: Int64 = 0
    /// Functional time in nanoseconds.
    var time: Int64 = 0
    /// The end of the last service that put something on a wire; -1 if there was none.
    var emitted: Int64 = -1
    var lastWork: Int64 = 0
    /// Neighbours among the origins in flight in this bucket; -1 for none.
    var before: Int64 = -1
    var after: Int64 = -1
    var control = Control(node: 0, first: 0, count: 0, time: 0, after: 0)
    var jobs: Int32 = 0
    /// How many calls of the control have been made.
    var told: Int32 = 0
    var key: UInt32 = 0
    var bucket: Int32 = 0
    var kind = Kind.packet
    var isDropped = false
    /// An element holds the packet: its latency is that of its journey.
    var isHeld = false
    var isDone = false
}

/// The path of a packet that was held, from the call that released it.
struct Journey: Linked {
    /// When it would have arrived if it had not been held.
    var arrival: Int64 = 0
    var emitted: Int64 = -1
    var lastWork: Int64 = 0
    var jobs: Int32 = 0
    var next: Int32 = -1
    var isDropped = false
    /// Another element holds it: the rest is another journey.
    var isHeld = false
}

/// One item's stay on a hardware thread.
struct Service: Linked {
    var origin: Int64 = 0
    /// The items that leave the side when it ends.
    var out = List()
    /// The items that a port sends when it ends.
    var sent = List()
    var core: Int32 = 0
    var isHost = false
    var leaves: Int64 = 0
    /// Its thread is free, and its output waits in the reorder buffer.
    var hasPlace = false
    /// The reorder buffer was full, so it waits on its thread.
    var keepsThread = false
    var next: Int32 = -1
}

/// Facts about an edge.
struct EdgeFacts: BitwiseCopyable {
    var to: Int32 = 0
    var crosses = false
    var isSlow = false
    /// Commands cross here by the control path.
    var isControl = false
    var needs = Routes.Level.whole
    /// Its merge point; -1 if it leads to none.
    var merge: Int32 = -1
    /// The classes that an item on it can still reach.
    var approaching: UInt64 = 0
    /// Where a marker waits for returning items: what itself waits for a marker before its element does not arrive there.
    var returning: UInt64 = 0
}

/// Facts about a node.
struct NodeFacts: BitwiseCopyable {
    var isHost = false
    /// Its wire number; -1 if it is no wire.
    var wire: Int32 = -1
    var arriving = Routes.Level.whole
    /// The first element on the far side that its markers reach; -1 if it sends none.
    var far: Int32 = -1
    /// The merge points where its markers return, as a bit set.
    var returns: UInt32 = 0
    var after: UInt64 = 0
    var entering: UInt64 = 0
}
