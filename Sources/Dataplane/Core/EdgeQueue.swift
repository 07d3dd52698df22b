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
    /// In a cycle: how many of the items that wait were counted as having come round.
    @usableFromInline var counted = 0
    // A whole cache line each: queues are found by a shift, and none shares a line with another.
    @usableFromInline let padding: UInt64 = 0

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

// Queues are always reached by pointer: these make `queue.tail` of `queue.pointee.tail`.
extension UnsafeMutablePointer<EdgeQueue> {
    @inlinable @inline(__always) var buffer: UnsafeMutablePointer<Int32> { pointee.buffer }
    @inlinable @inline(__always)
    var head: Int {
        get { pointee.head }
        nonmutating set { pointee.head = newValue }
    }
    @inlinable @inline(__always)
    var tail: Int {
        get { pointee.tail }
        nonmutating set { pointee.tail = newValue }
    }
    @inlinable @inline(__always)
    var moved: UInt64 {
        get { pointee.moved }
        nonmutating set { pointee.moved = newValue }
    }
    @inlinable @inline(__always)
    var isBack: Bool {
        get { pointee.isBack }
        nonmutating set { pointee.isBack = newValue }
    }
    @inlinable @inline(__always)
    var edge: Int32 {
        get { pointee.edge }
        nonmutating set { pointee.edge = newValue }
    }
    @inlinable @inline(__always)
    var end: Int {
        get { pointee.end }
        nonmutating set { pointee.end = newValue }
    }
    @inlinable @inline(__always)
    var counted: Int {
        get { pointee.counted }
        nonmutating set { pointee.counted = newValue }
    }
    /// Nothing waits.
    @inlinable @inline(__always) var isEmpty: Bool { pointee.head == pointee.tail }
    /// How many items wait.
    @inlinable @inline(__always) var count: Int { pointee.tail &- pointee.head }
}
