// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Segments that wait for earlier ones: lists of a bounded number of nodes, each list in order of sequence numbers.
///
/// Overlapping segments agree on every byte they share: an arriving segment is reconciled with those that wait, byte by byte,
/// by the ``OverlapPolicy``. So it does not matter from which of them a byte is read later. A segment keeps the range it
/// arrived with, as receivers' policies depend on that.
final class HeldSegments {
    struct Node: BitwiseCopyable {
        /// The item of the segment.
        var item: Int32
        /// The next in sequence; -1 for none.
        var next: Int32
        /// Sequence numbers of its first byte and after its last one.
        var start: UInt32
        var end: UInt32
        /// The number of its bytes that were captured.
        var captured: UInt32
        var ending: TCPEnding

        /// A segment that is in no list yet.
        init(_ item: Int32, _ segment: TCPSegment, _ ending: TCPEnding) {
            self.item = item
            next = -1
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
    private var free: SlotPool
    /// Total bytes of all waiting segments.
    private(set) var bytes = 0

    init(capacity: Int) throws(OutOfMemory) {
        memory = try ZeroedMemory(capacity)
        nodes = memory.base
        free = try SlotPool(capacity)
    }

    deinit { memory.deallocate() }

    var isFull: Bool { free.isFull }
    /// The number of waiting segments.
    var count: Int { free.used }

    /// Inserts a segment in order among those of its direction; there must be room.
    func insert(_ node: Node, in list: inout List) {
        guard let n = free.take() else { preconditionFailure("more segments wait than there is room for") }
        nodes[Int(n)] = node
        bytes += Int(node.end &- node.start)
        if list.isEmpty || TCPSequence.precedes(list.farthest, node.end) { list.farthest = node.end }
        list.count += 1
        list.bytes &+= Int32(truncatingIfNeeded: node.end &- node.start)
        // Mostly they arrive in order, behind the hole.
        if list.last >= 0, !TCPSequence.precedes(node.start, nodes[Int(list.last)].start) {
            nodes[Int(list.last)].next = n
            nodes[Int(n)].next = -1
            list.last = n
            return
        }
        var before: Int32 = -1
        var at = list.first
        while at >= 0, !TCPSequence.precedes(node.start, nodes[Int(at)].start) {
            before = at
            at = nodes[Int(at)].next
        }
        nodes[Int(n)].next = at
        if before < 0 { list.first = n } else { nodes[Int(before)].next = n }
        if at < 0 { list.last = n }
    }

    /// The first segment of a direction; nil if none waits.
    func first(of list: List) -> Node? { list.isEmpty ? nil : nodes[Int(list.first)] }

    /// The sequence number of the first waiting byte of a direction; nil if there is none.
    func start(of list: List) -> UInt32? { list.isEmpty ? nil : nodes[Int(list.first)].start }

    /// Whether the second segment of a direction begins where the first ends.
    func isFollowed(_ list: List) -> Bool {
        let first = nodes[Int(list.first)]
        return first.next >= 0 && nodes[Int(first.next)].start == first.end
    }

    /// Removes the first segment of a direction, which must have one.
    @discardableResult
    func removeFirst(from list: inout List) -> Node {
        let n = list.first
        let node = nodes[Int(n)]
        list.first = node.next
        if list.first < 0 { list.last = -1 }
        list.count -= 1
        list.bytes &-= Int32(truncatingIfNeeded: node.end &- node.start)
        free.give(n)
        bytes -= Int(node.end &- node.start)
        return node
    }
}
