// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A list of indices in insertion order, each at most once; any of them can be removed.
///
/// The links are stored with what the indices name (``Links``), so nothing is allocated, every operation takes constant time,
/// and zeroed memory is an empty list and an unlisted link. Several lists may share one array of links, as an index is in only
/// one at a time. The links are passed to every call, so that a list takes 12 bytes.
struct IndexList: BitwiseCopyable {
    /// The neighbours of one index, stored beside the index's other state.
    struct Link: BitwiseCopyable {
        /// 0 in no list, `Link.end` at the end, otherwise the neighbour plus one.
        fileprivate var before: Int32 = 0
        fileprivate var after: Int32 = 0

        fileprivate static let end: Int32 = -1

        @inline(__always)
        var isListed: Bool { before != 0 }
    }

    /// An array with one link per record.
    struct Links: BitwiseCopyable {
        private let first: UnsafeMutableRawPointer
        private let stride: Int

        /// - Parameters:
        ///   - first: the link of index 0.
        ///   - stride: bytes from one link to the next.
        init(first: UnsafeMutableRawPointer, stride: Int) {
            self.first = first
            self.stride = stride
        }

        /// The links at `path` in consecutive records.
        init<Record>(in records: UnsafeMutablePointer<Record>, at path: KeyPath<Record, Link>) {
            guard let offset = MemoryLayout<Record>.offset(of: path) else { preconditionFailure("no stored property") }
            self.init(first: UnsafeMutableRawPointer(records) + offset, stride: MemoryLayout<Record>.stride)
        }

        @inline(__always)
        subscript(_ i: Int32) -> UnsafeMutablePointer<Link> {
            (first + Int(i) &* stride).assumingMemoryBound(to: Link.self)
        }
    }

    // The index plus one, so that 0 is an empty list.
    private var head: Int32 = 0
    private var tail: Int32 = 0
    private var size: Int32 = 0

    @inline(__always)
    var count: Int { Int(size) }
    @inline(__always)
    var isEmpty: Bool { head == 0 }
    /// The index at the front; -1 when the list is empty.
    @inline(__always)
    var first: Int32 { head &- 1 }
    /// The index at the back; -1 when the list is empty.
    @inline(__always)
    var last: Int32 { tail &- 1 }

    /// The index after `i`; -1 at the back.
    @inline(__always)
    func next(_ i: Int32, _ links: Links) -> Int32 {
        assert(links[i].pointee.isListed, "\(i) is in no list, so nothing is behind it")
        return max(links[i].pointee.after, 0) &- 1
    }

    /// The index before `i`; -1 at the front.
    @inline(__always)
    func previous(_ i: Int32, _ links: Links) -> Int32 {
        assert(links[i].pointee.isListed, "\(i) is in no list, so nothing is before it")
        return max(links[i].pointee.before, 0) &- 1
    }

    /// Appends `i`, which must be in no list.
    @inline(__always)
    mutating func append(_ i: Int32, _ links: Links) {
        let link = links[i]
        assert(!link.pointee.isListed, "\(i) is put into a list and is in one")
        link.pointee = Link(before: tail == 0 ? Link.end : tail, after: Link.end)
        if tail == 0 { head = i &+ 1 } else { links[last].pointee.after = i &+ 1 }
        tail = i &+ 1
        size &+= 1
    }

    /// Removes `i`, which must be in the list.
    @inline(__always)
    mutating func remove(_ i: Int32, _ links: Links) {
        let link = links[i].pointee
        assert(holds(i, links), "\(i) is taken out of a list that it is not in")
        if link.before > 0 { links[link.before &- 1].pointee.after = link.after } else { head = max(link.after, 0) }
        if link.after > 0 { links[link.after &- 1].pointee.before = link.before } else { tail = max(link.before, 0) }
        links[i].pointee = Link()
        size &-= 1
    }

    /// Moves `i`, which must be in the list, to the back.
    mutating func moveToBack(_ i: Int32, _ links: Links) {
        remove(i, links)
        append(i, links)
    }

    /// Removes and returns the index at the front; -1 when the list is empty.
    mutating func removeFirst(_ links: Links) -> Int32 {
        let i = first
        if i >= 0 { remove(i, links) }
        return i
    }

    /// Whether `i` is in a list, and in this one as far as its neighbours or the list's ends can tell.
    private func holds(_ i: Int32, _ links: Links) -> Bool {
        let link = links[i].pointee
        guard link.isListed else { return false }
        let isBehind = link.before > 0 ? links[link.before &- 1].pointee.after == i &+ 1 : first == i
        let isBefore = link.after > 0 ? links[link.after &- 1].pointee.before == i &+ 1 : last == i
        return isBehind && isBefore
    }
}
