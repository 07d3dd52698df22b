// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Held items, in order, each with a due time: a ring of fixed size.
final class HeldItems {
    private struct Entry {
        var due: Int64
        var item: Int32
        /// How many items the element had seen when this one arrived.
        var seen: UInt64
    }
    private let entries: UnsafeMutablePointer<Entry>
    private let capacity: Int
    private var head = 0
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        entries = .allocate(capacity: capacity)
        entries.initialize(repeating: Entry(due: 0, item: 0, seen: 0), count: capacity)
    }

    deinit { entries.deallocate() }

    var isFull: Bool { count == capacity }
    var isEmpty: Bool { count == 0 }

    /// Appends an item; there must be room.
    func push(_ item: Int32, due: Int64, seen: UInt64 = 0) {
        precondition(!isFull, "more items held than there is room for")
        var place = head &+ count
        if place >= capacity { place &-= capacity }
        entries[place] = Entry(due: due, item: item, seen: seen)
        count &+= 1
    }

    /// The due time of the first item; nil if there is none.
    var due: Int64? { count > 0 ? entries[head].due : nil }
    /// How many items had been seen when the first one arrived; nil if there is none.
    var seen: UInt64? { count > 0 ? entries[head].seen : nil }

    /// Removes and returns the first item; there must be one.
    func pop() -> Int32 {
        let item = entries[head].item
        head = head &+ 1 == capacity ? 0 : head &+ 1
        count &-= 1
        return item
    }
}
