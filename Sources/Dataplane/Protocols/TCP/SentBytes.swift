// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Bytes that left in order and are not acknowledged, of many directions: a receiver may not have got them, and may take another
/// copy, which can differ (Ptacek and Newsham 1998, "inconsistent retransmission").
///
/// Bounded: when all blocks are taken, the oldest bytes of a direction that has many are forgotten, and when one direction has
/// more than its share, its own are. A copy of forgotten bytes cannot be judged.
final class SentBytes {
    /// The bytes of one direction, without holes.
    struct List: BitwiseCopyable {
        fileprivate var head: Int32 = -1
        fileprivate var tail: Int32 = -1
        /// The sequence number of the first byte of the first block, and the one after the last byte.
        fileprivate var first: UInt32 = 0
        fileprivate var end: UInt32 = 0
        /// Its link in the list of directions with such bytes.
        var link = IndexList.Link()

        var isEmpty: Bool { head < 0 }
    }
    /// What comparing a copy gives.
    enum Comparison: Equatable {
        case same
        /// They differ, at this offset first.
        case differs(at: Int)
        /// Some of the bytes are not remembered; the others are the same.
        case unknown
    }

    static let blockBytes = 2048

    /// Blocks that one direction may take.
    private let share: Int
    private let bytes: ZeroedMemory<UInt8>
    private let links: ZeroedMemory<Int32>
    private var free: SlotPool
    /// Directions with bytes, the one that began first in front.
    private var owners = IndexList()
    private let ownerLinks: IndexList.Links
    private let lists: FlowColumn<List>
    /// Bytes forgotten before they were acknowledged.
    private(set) var forgotten: UInt64 = 0

    /// - Parameters:
    ///   - capacity: bytes that may be remembered, rounded up to blocks; 0 for none.
    ///   - share: bytes of these that one direction may have.
    ///   - lists: the lists of the directions, and their links.
    init(
        capacity: Int,
        share: Int,
        lists: FlowColumn<List>,
        links ownerLinks: IndexList.Links
    ) throws(OutOfMemory) {
        let blocks = (capacity + SentBytes.blockBytes - 1) / SentBytes.blockBytes
        self.share = max(1, share / SentBytes.blockBytes)
        self.ownerLinks = ownerLinks
        self.lists = lists
        bytes = try ZeroedMemory(blocks * SentBytes.blockBytes)
        links = try ZeroedMemory(blocks)
        free = try SlotPool(blocks)
    }

    deinit {
        bytes.deallocate()
        links.deallocate()
    }

    /// Bytes of memory that are taken.
    var memoryBytes: Int { free.used * SentBytes.blockBytes }

    private func block(_ n: Int32) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(bytes.base) + Int(n) &* SentBytes.blockBytes
    }

    // MARK: Remembering

    /// Remembers the next bytes of direction `owner`. Bytes that do not follow those before them replace these.
    func append(_ source: UnsafeRawPointer, _ count: Int, at sequence: UInt32, of owner: Int32) {
        let list = lists[owner]
        if !list.pointee.isEmpty, list.pointee.end != sequence { forget(owner) }
        var done = 0
        while done < count {
            if list.pointee.isEmpty {
                list.pointee.first = sequence &+ UInt32(truncatingIfNeeded: done)
                list.pointee.end = list.pointee.first
            }
            let used = Int(list.pointee.end &- list.pointee.first)
            let offset = used % SentBytes.blockBytes
            if offset == 0 || list.pointee.isEmpty {
                if used / SentBytes.blockBytes >= share { forgetFirstBlock(of: owner) }
                // Its own bytes may be those forgotten.
                guard addBlock(to: owner) else { continue }
            }
            let n = min(count - done, SentBytes.blockBytes - offset)
            (block(list.pointee.tail) + offset).copyMemory(from: source + done, byteCount: n)
            list.pointee.end &+= UInt32(truncatingIfNeeded: n)
            done += n
        }
    }

    /// Adds a block to a direction's list; false if the list had to be forgotten for that.
    private func addBlock(to owner: Int32) -> Bool {
        let list = lists[owner]
        var taken = free.take()
        if taken == nil {
            let largest = largest(orOwn: owner)
            forgetFirstBlock(of: largest)
            if largest == owner, list.pointee.isEmpty { return false }
            taken = free.take()
        }
        guard let n = taken else { preconditionFailure("bytes are remembered without room for any") }
        links.base[Int(n)] = -1
        if list.pointee.isEmpty {
            list.pointee.head = n
            owners.append(owner, ownerLinks)
        } else {
            links.base[Int(list.pointee.tail)] = n
        }
        list.pointee.tail = n
        return true
    }

    /// The direction with most bytes, of those remembered for longest and the one that asks: whoever has few keeps them.
    private func largest(orOwn owner: Int32) -> Int32 {
        func size(_ owner: Int32) -> UInt32 {
            lists[owner].pointee.isEmpty ? 0 : lists[owner].pointee.end &- lists[owner].pointee.first
        }
        var best = owner
        var at = owners.first
        for _ in 0..<8 where at >= 0 {
            if size(at) > size(best) { best = at }
            at = owners.next(at, ownerLinks)
        }
        return best
    }

    // MARK: Forgetting

    /// Frees what is wholly before `number`.
    func release(before number: UInt32, of owner: Int32) {
        let list = lists[owner]
        if list.pointee.isEmpty { return }
        if !TCPSequence.precedes(number, list.pointee.end) { return forget(owner) }
        while TCPSequence.distance(number, from: list.pointee.first) >= Int32(SentBytes.blockBytes) {
            removeFirstBlock(of: owner)
        }
    }

    /// Frees all of a direction.
    func forget(_ owner: Int32) {
        while !lists[owner].pointee.isEmpty { removeFirstBlock(of: owner) }
    }

    private func forgetFirstBlock(of owner: Int32) {
        let list = lists[owner].pointee
        forgotten &+= UInt64(min(UInt32(SentBytes.blockBytes), list.end &- list.first))
        removeFirstBlock(of: owner)
    }

    private func removeFirstBlock(of owner: Int32) {
        let list = lists[owner]
        let n = list.pointee.head
        list.pointee.head = links.base[Int(n)]
        list.pointee.first &+= UInt32(SentBytes.blockBytes)
        free.give(n)
        if list.pointee.isEmpty {
            list.pointee.tail = -1
            owners.remove(owner, ownerLinks)
        }
    }

    // MARK: Comparing

    /// Compares a copy of bytes from `sequence` on with those remembered.
    func compare(_ copy: UnsafeRawPointer, _ count: Int, at sequence: UInt32, of owner: Int32) -> Comparison {
        let list = lists[owner]
        if list.pointee.isEmpty { return .unknown }
        // The part of the copy that is remembered, as offsets into what is.
        let start = Int(TCPSequence.distance(sequence, from: list.pointee.first))
        let from = max(0, start)
        let to = min(start + count, Int(list.pointee.end &- list.pointee.first))
        if from >= to { return .unknown }
        var n = list.pointee.head
        for _ in 0..<from / SentBytes.blockBytes { n = links.base[Int(n)] }
        var at = from
        while at < to {
            let offset = at % SentBytes.blockBytes
            let size = min(to - at, SentBytes.blockBytes - offset)
            if let k = firstDifference(block(n) + offset, copy + (at - start), size) {
                return .differs(at: at - start + k)
            }
            at += size
            n = links.base[Int(n)]
        }
        return to - from == count ? .same : .unknown
    }

    /// The remembered bytes from this sequence number on, `most` of them; fewer if not all are remembered.
    func bytes(from sequence: UInt32, most: Int, of owner: Int32) -> [UInt8] {
        let list = lists[owner].pointee
        let offset = Int(TCPSequence.distance(sequence, from: list.first))
        let end = min(offset + most, Int(list.end &- list.first))
        guard !list.isEmpty, offset >= 0, offset < end else { return [] }
        var n = list.head
        for _ in 0..<offset / SentBytes.blockBytes { n = links.base[Int(n)] }
        return (offset..<end).map { at in
            if at > offset, at % SentBytes.blockBytes == 0 { n = links.base[Int(n)] }
            return UnsafeRawPointer(block(n)).byte(at % SentBytes.blockBytes)
        }
    }
}

/// The offset of the first byte in which `a` and `b` differ; nil if they are equal.
func firstDifference(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Int? {
    var k = 0
    while k + 8 <= count,
        a.loadUnaligned(fromByteOffset: k, as: UInt64.self) == b.loadUnaligned(fromByteOffset: k, as: UInt64.self)
    {
        k += 8
    }
    while k < count {
        if a.byte(k) != b.byte(k) { return k }
        k += 1
    }
    return nil
}
