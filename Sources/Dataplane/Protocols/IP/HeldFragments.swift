// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Fragments of incomplete packets: for each packet, by its place, a list in order of arrival, and one bit per 8 bytes present.
///
/// All fragments except the last are multiples of 8 bytes long, so blocks of 8 bytes suffice. With the bits a fragment costs
/// the same in any order of arrival; whose bytes count is resolved once, when the packet is complete.
final class HeldFragments {
    struct Node: BitwiseCopyable {
        /// The item of the fragment.
        var item: Int32
        /// The next in order of arrival; -1 for none.
        var next: Int32
        /// The bytes of the packet it brings, and where they begin in the item.
        var start: Int32
        var end: Int32
        var data: Int32
    }
    /// The fragments of one packet, by node number.
    struct List: BitwiseCopyable {
        var first: Int32 = -1
        var last: Int32 = -1
        var count: Int32 = 0
        /// Number of blocks present.
        var blocks: Int32 = 0
        /// Size of the packet's fragmented part; 0 until the last fragment has been seen.
        var total: Int32 = 0
        /// The greatest end of any fragment.
        var farthest: Int32 = 0
        /// Some block arrived more than once.
        var isOverlapped = false

        var isComplete: Bool { total > 0 && blocks == (total + 7) / 8 }
    }

    private static let wordsPerPacket = (IPFragment.mostBytes + 511) / 512

    private let nodes: ZeroedMemory<Node>
    private let lists: ZeroedMemory<List>
    private let bits: ZeroedMemory<UInt64>
    /// For each block the node whose bytes count, while a packet with overlaps is being reassembled.
    private let owners: ZeroedMemory<Int32>
    private var free: SlotPool
    /// Total bytes of all fragments.
    private(set) var bytes = 0

    /// Room for `capacity` fragments of packets at places below `places`.
    init(capacity: Int, places: Int) throws(OutOfMemory) {
        free = try SlotPool(capacity)
        nodes = try ZeroedMemory(capacity)
        lists = try ZeroedMemory(places)
        bits = try ZeroedMemory(places * HeldFragments.wordsPerPacket)
        owners = try ZeroedMemory(HeldFragments.wordsPerPacket * 64)
    }

    deinit {
        nodes.deallocate()
        lists.deallocate()
        bits.deallocate()
        owners.deallocate()
    }

    var isFull: Bool { free.isFull }
    /// The number of waiting fragments.
    var count: Int { free.used }

    /// The fragments of the packet at `place`, which must have begun.
    func list(_ place: Int32) -> List { lists.base[Int(place)] }

    /// Begins a packet at `place`.
    func begin(_ place: Int32) { lists.base[Int(place)] = List() }

    /// Appends a fragment; there must be room.
    func append(_ item: Int32, _ fragment: IPFragment, to place: Int32) {
        guard let n = free.take() else { preconditionFailure("more fragments wait than there is room for") }
        nodes.base[Int(n)] = Node(
            item: item,
            next: -1,
            start: Int32(fragment.start),
            end: Int32(fragment.end),
            data: Int32(fragment.data)
        )
        bytes += fragment.size
        let list = lists.base + Int(place)
        if list.pointee.last >= 0 { nodes.base[Int(list.pointee.last)].next = n } else { list.pointee.first = n }
        list.pointee.last = n
        list.pointee.count += 1
        list.pointee.farthest = max(list.pointee.farthest, Int32(fragment.end))
        if !fragment.more { list.pointee.total = Int32(fragment.end) }
        var new: Int32 = 0
        words(fragment, of: place) { word, mask in
            new += Int32((mask & ~word.pointee).nonzeroBitCount)
            word.pointee |= mask
        }
        list.pointee.blocks += new
        if new < Int32((fragment.size + 7) / 8) { list.pointee.isOverlapped = true }
    }

    /// Whether some of the fragment's bytes are already present.
    func overlaps(_ fragment: IPFragment, at place: Int32) -> Bool {
        var isThere = false
        words(fragment, of: place) { word, mask in if word.pointee & mask != 0 { isThere = true } }
        return isThere
    }

    /// The fragment with the same range, if no fragments overlap; nil if there is none.
    func twin(of fragment: IPFragment, at place: Int32) -> Node? {
        var n = list(place).first
        while n >= 0 {
            let node = nodes.base[Int(n)]
            if Int(node.start) == fragment.start, Int(node.end) == fragment.end { return node }
            n = node.next
        }
        return nil
    }

    /// Removes the first fragment of a packet; nil if none is left, and the place may be reused.
    func removeFirst(from place: Int32) -> Node? {
        let list = lists.base + Int(place)
        let n = list.pointee.first
        if n < 0 {
            let words = (Int(list.pointee.farthest) + 511) / 512
            (bits.base + Int(place) * HeldFragments.wordsPerPacket).update(repeating: 0, count: words)
            list.pointee = List()
            return nil
        }
        let node = nodes.base[Int(n)]
        list.pointee.first = node.next
        if node.next < 0 { list.pointee.last = -1 }
        list.pointee.count -= 1
        free.give(n)
        bytes -= Int(node.end - node.start)
        return node
    }

    // MARK: Reassembling packets

    /// Resolves whose bytes count in a complete packet; returns the fragment with the packet's first bytes.
    func arrange(_ place: Int32, _ overlap: FragmentOverlap) -> Node {
        let list = list(place)
        var n = list.first
        if !list.isOverlapped {
            while nodes.base[Int(n)].start != 0 { n = nodes.base[Int(n)].next }
            return nodes.base[Int(n)]
        }
        owners.base.update(repeating: -1, count: (Int(list.total) + 7) / 8)
        while n >= 0 {
            lay(n, overlap, total: Int(list.total))
            n = nodes.base[Int(n)].next
        }
        return nodes.base[Int(owners.base[0])]
    }

    /// Lays a fragment over earlier ones.
    private func lay(_ n: Int32, _ overlap: FragmentOverlap, total: Int) {
        let owners = self.owners.base
        let node = nodes.base[Int(n)]
        let blocks = (total + 7) / 8
        let first = Int(node.start) / 8
        let last = (Int(node.end) + 7) / 8
        var from = first
        while from < last {
            let owner = owners[from]
            // The existing piece, which may begin before the fragment and end after it.
            var to = from + 1
            while to < blocks, owners[to] == owner { to += 1 }
            var begin = from
            while owner >= 0, begin > 0, owners[begin - 1] == owner { begin -= 1 }
            let end = min(to * 8, total)
            let yields = owner < 0 || overlap.yields(start: Int(node.start) - begin * 8, end: Int(node.end) - end)
            if yields { for block in from..<min(to, last) { owners[block] = n } }
            from = to
        }
    }

    /// The pieces of an arranged packet: a fragment, and the range of the packet it provides.
    func pieces(of place: Int32, _ body: (_ node: Node, _ from: Int, _ to: Int) -> Void) {
        let list = list(place)
        if !list.isOverlapped {
            var n = list.first
            while n >= 0 {
                let node = nodes.base[Int(n)]
                body(node, Int(node.start), Int(node.end))
                n = node.next
            }
            return
        }
        let blocks = (Int(list.total) + 7) / 8
        var from = 0
        while from < blocks {
            let owner = owners.base[from]
            var to = from + 1
            while to < blocks, owners.base[to] == owner { to += 1 }
            body(nodes.base[Int(owner)], from * 8, min(to * 8, Int(list.total)))
            from = to
        }
    }

    /// The words of the bit set that a fragment touches, and its bits in them.
    @inline(__always)
    private func words(_ fragment: IPFragment, of place: Int32, _ body: (UnsafeMutablePointer<UInt64>, UInt64) -> Void)
    {
        let base = bits.base + Int(place) * HeldFragments.wordsPerPacket
        var block = fragment.start / 8
        let end = (fragment.end + 7) / 8
        while block < end {
            let bit = block & 63
            let count = min(64 - bit, end - block)
            body(base + block / 64, (count == 64 ? ~0 : (1 &<< UInt64(count)) - 1) &<< UInt64(bit))
            block += count
        }
    }
}
