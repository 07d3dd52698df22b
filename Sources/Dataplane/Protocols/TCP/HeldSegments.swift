// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Segments that wait for earlier ones: lists of a bounded number of nodes, each list in order of sequence numbers.
///
/// A list is searched from its nearer end, and back from there only as far as something may overlap (`reach`). Overlapping segments agree on every byte they share: an arriving segment is reconciled with those that wait, byte by byte,
/// by the ``OverlapPolicy``. So it does not matter from which of them a byte is read later. A segment keeps the range it
/// arrived with, as receivers' policies depend on that.
final class HeldSegments {
    struct Node: BitwiseCopyable {
        /// The item of the segment.
        var item: Int32
        /// The next in sequence and the one before; -1 for none.
        var next: Int32 = -1
        var previous: Int32 = -1
        /// Sequence numbers of its first byte and after its last one.
        var start: UInt32
        var end: UInt32
        /// The number of its bytes that were captured.
        var captured: UInt32
        /// The greatest end of this and all before it, or more.
        var reach: UInt32
        var ending: TCPEnding

        /// A segment that is in no list yet.
        init(_ item: Int32, _ segment: TCPSegment, _ ending: TCPEnding) {
            self.item = item
            reach = segment.end
            start = segment.start
            end = segment.end
            captured = segment.captured
            self.ending = ending
        }
    }
    /// The segments of one direction, by node number.
    struct List: BitwiseCopyable {
        var first: Int32 = -1
        var last: Int32 = -1
        var count: Int32 = 0
        var bytes: Int32 = 0
        /// The greatest end of any of them.
        var farthest: UInt32 = 0

        var isEmpty: Bool { first < 0 }
        /// Whether both lists are empty, in one test.
        @inline(__always)
        static func areEmpty(_ a: List, _ b: List) -> Bool { a.first & b.first < 0 }
    }

    let nodes: UnsafeMutablePointer<Node>
    private let memory: ZeroedMemory<Node>
    /// Node numbers that ``find(_:_:in:)`` found, at its end.
    private let found: ZeroedMemory<Int32>
    private let capacity: Int
    private var free: SlotPool
    /// Total bytes of all waiting segments.
    private(set) var bytes = 0

    init(capacity: Int) throws(OutOfMemory) {
        memory = try ZeroedMemory(capacity)
        nodes = memory.base
        self.capacity = capacity
        found = try ZeroedMemory(capacity)
        free = try SlotPool(capacity)
    }

    deinit {
        memory.deallocate()
        found.deallocate()
    }

    var isFull: Bool { free.isFull }
    /// The number of waiting segments.
    var count: Int { free.used }

    /// Inserts a segment in order among those of its direction; there must be room.
    func insert(_ node: Node, in list: inout List) {
        guard let n = free.take() else { preconditionFailure("more segments wait than there is room for") }
        bytes += Int(node.end &- node.start)
        if list.isEmpty || TCPSequence.precedes(list.farthest, node.end) { list.farthest = node.end }
        list.count += 1
        list.bytes &+= Int32(truncatingIfNeeded: node.end &- node.start)
        let before = last(of: list, until: node.start)
        let behind = before < 0 ? list.first : nodes[Int(before)].next
        let new = nodes + Int(n)
        new.pointee = node
        new.pointee.previous = before
        new.pointee.next = behind
        if before < 0 {
            list.first = n
        } else {
            nodes[Int(before)].next = n
            new.pointee.reach = TCPSequence.later(node.end, nodes[Int(before)].reach)
        }
        if behind < 0 { list.last = n } else { nodes[Int(behind)].previous = n }
        var k = behind
        while k >= 0, TCPSequence.precedes(nodes[Int(k)].reach, node.end) {
            nodes[Int(k)].reach = node.end
            k = nodes[Int(k)].next
        }
    }

    /// The last segment of a direction that begins at `number` or before; -1 if none does. From both ends at once, so that it is
    /// found quickly near either: mostly segments arrive in order, behind the hole.
    private func last(of list: List, until number: UInt32) -> Int32 {
        var (front, back) = (list.first, list.last)
        while back >= 0 {
            if !TCPSequence.precedes(number, nodes[Int(back)].start) { return back }
            back = nodes[Int(back)].previous
            if TCPSequence.precedes(number, nodes[Int(front)].start) { return nodes[Int(front)].previous }
            front = nodes[Int(front)].next
        }
        return -1
    }

    /// Finds the segments of a direction that share bytes with `start..<end`, in order; ``found(_:of:)`` gives them. Returns how many
    /// there are, and how many bytes they share with it in all.
    func find(_ start: UInt32, _ end: UInt32, in list: List) -> (count: Int, shared: Int) {
        var count = 0
        var shared = 0
        var n = last(of: list, until: end &- 1)
        while n >= 0 {
            let node = nodes + Int(n)
            if !TCPSequence.precedes(start, node.pointee.reach) { break }
            if TCPSequence.precedes(start, node.pointee.end) {
                count &+= 1
                found.base[capacity &- count] = n
                let from = TCPSequence.later(start, node.pointee.start)
                shared &+= Int(TCPSequence.precedes(end, node.pointee.end) ? end &- from : node.pointee.end &- from)
            }
            n = node.pointee.previous
        }
        return (count, shared)
    }

    /// The `k`th of the last `count` segments found.
    @inline(__always)
    func found(_ k: Int, of count: Int) -> UnsafeMutablePointer<Node> {
        nodes + Int(found.base[capacity &- count &+ k])
    }

    /// The first segment of a direction; nil if none waits.
    func first(of list: List) -> Node? { list.isEmpty ? nil : nodes[Int(list.first)] }

    /// The sequence number of the first waiting byte of a direction; nil if there is none.
    func start(of list: List) -> UInt32? { list.isEmpty ? nil : nodes[Int(list.first)].start }

    /// Removes the first segment of a direction, which must have one.
    @discardableResult
    func removeFirst(from list: inout List) -> Node { remove(list.first, from: &list) }

    /// Removes one of the segments of a direction; its farthest end stays.
    @discardableResult
    func remove(_ n: Int32, from list: inout List) -> Node {
        let node = nodes[Int(n)]
        if node.previous < 0 { list.first = node.next } else { nodes[Int(node.previous)].next = node.next }
        if node.next < 0 { list.last = node.previous } else { nodes[Int(node.next)].previous = node.previous }
        list.count -= 1
        list.bytes &-= Int32(truncatingIfNeeded: node.end &- node.start)
        free.give(n)
        bytes -= Int(node.end &- node.start)
        return node
    }
}
