// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Items waiting on one edge, in order.
///
/// An item is on at most one edge, so `buffer` has room for two pools: waiting items, and items already taken but not yet moved
/// out of the way.
@frozen
@usableFromInline
struct EdgeQueue {
    @usableFromInline let buffer: UnsafeMutablePointer<Int32>
    @usableFromInline var head: Int
    @usableFromInline var tail: Int
    /// Items taken off the edge so far.
    @usableFromInline var moved: UInt64
    /// The edge leads back to an element that runs earlier.
    @usableFromInline var isBack: Bool
    /// The number of the edge in the graph; -1 when the output is not connected.
    @usableFromInline var edge: Int32 = -1
    /// The end of the current round; items appended behind it wait for the next.
    @usableFromInline var end = 0
    /// In a cycle: how many of the waiting items were already counted as having gone round.
    @usableFromInline var counted = 0
    // A whole cache line each: queues are indexed by a shift, and no two share a line.
    @usableFromInline let padding: UInt64 = 0

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

// Queues are always reached by pointer: with these, `queue.pointee.tail` is written `queue.tail`.
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
    @inlinable @inline(__always) var isEmpty: Bool { pointee.head == pointee.tail }
    @inlinable @inline(__always) var count: Int { pointee.tail &- pointee.head }
}
