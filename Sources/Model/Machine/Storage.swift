// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// An array in separate memory, for the event loop: no reference counts, no uniqueness checks. It grows by doubling, which is
/// rare: sizes follow what is in flight, not the length of the run.
struct Block<T: BitwiseCopyable>: ~Copyable {
    private(set) var base: UnsafeMutablePointer<T>
    private(set) var capacity: Int
    private let fill: T

    init(_ capacity: Int, _ fill: T) {
        self.capacity = max(1, capacity)
        self.fill = fill
        base = .allocate(capacity: self.capacity)
        base.initialize(repeating: fill, count: self.capacity)
    }

    deinit { base.deallocate() }

    subscript(_ k: Int) -> T {
        @inline(__always) get { base[k] }
        @inline(__always) nonmutating set { base[k] = newValue }
    }

    mutating func grow(to size: Int) {
        let larger = UnsafeMutablePointer<T>.allocate(capacity: size)
        larger.initialize(repeating: fill, count: size)
        larger.update(from: base, count: capacity)
        base.deallocate()
        base = larger
        capacity = size
    }
}

/// A future event: ordered by time, then kind, then the order in which it was planned.
struct Event: BitwiseCopyable {
    /// The order of events at the same time: services end before items arrive.
    enum Kind: UInt8 {
        case serviceEnd
        case leave
        case delivery
        case command
        case interrupt
        case macDone
        case wireOut
    }

    var time: Int64
    /// Kind in the top byte, then a running number.
    var rank: UInt64
    var subject: Int32

    var kind: Kind { Kind(rawValue: UInt8(rank &>> 56)) ?? .serviceEnd }

    @inline(__always)
    static func < (a: Event, b: Event) -> Bool { a.time != b.time ? a.time < b.time : a.rank < b.rank }
}

/// A binary heap of events.
struct EventQueue: ~Copyable {
    private var heap = Block(1024, Event(time: 0, rank: 0, subject: 0))
    private(set) var count = 0
    private var planned: UInt64 = 0

    /// The time of the next event; ``Int64/max`` if there is none.
    var nextTime: Int64 { count == 0 ? .max : heap[0].time }

    mutating func plan(_ kind: Event.Kind, at time: Int64, _ subject: Int32) {
        if count == heap.capacity { heap.grow(to: 2 * count) }
        let event = Event(time: time, rank: UInt64(kind.rawValue) &<< 56 | planned, subject: subject)
        planned &+= 1
        let base = heap.base
        var hole = count
        count &+= 1
        while hole > 0 {
            let parent = (hole &- 1) &>> 1
            if !(event < base[parent]) { break }
            base[hole] = base[parent]
            hole = parent
        }
        base[hole] = event
    }

    /// Removes and returns the next event; there must be one.
    mutating func next() -> Event {
        let base = heap.base
        let first = base[0]
        count &-= 1
        if count > 0 {
            let last = base[count]
            var hole = 0
            while true {
                var child = 2 &* hole &+ 1
                if child >= count { break }
                if child &+ 1 < count, base[child &+ 1] < base[child] { child &+= 1 }
                if !(base[child] < last) { break }
                base[hole] = base[child]
                hole = child
            }
            base[hole] = last
        }
        return first
    }
}

/// An entry that is in at most one list at a time.
protocol Linked: BitwiseCopyable {
    /// The index of the next in the list; -1 at its end.
    var next: Int32 { get set }
}

/// The free places of a block. The block doubles if there are none.
struct FreeList: BitwiseCopyable {
    private var head: Int32 = -1
    /// Number of the block's places that have ever been on this list: none at first.
    private var listed = 0

    @inline(__always)
    mutating func take<Element: Linked>(_ block: inout Block<Element>) -> Int32 {
        if head < 0 { grow(&block) }
        let k = head
        head = block.base[Int(k)].next
        return k
    }

    @inline(__always)
    mutating func give<Element: Linked>(_ k: Int32, _ block: borrowing Block<Element>) {
        block.base[Int(k)].next = head
        head = k
    }

    private mutating func grow<Element: Linked>(_ block: inout Block<Element>) {
        if listed == block.capacity { block.grow(to: 2 * listed) }
        for k in (listed..<block.capacity).reversed() {
            block.base[k].next = head
            head = Int32(k)
        }
        listed = block.capacity
    }
}
