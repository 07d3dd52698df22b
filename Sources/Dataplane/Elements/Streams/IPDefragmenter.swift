// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Reassembles fragmented IPv4 and IPv6 packets (RFC 791, RFC 815; RFC 8200 section 4.5): only whole packets leave.
///
/// Packets that are not fragments pass unchanged, whatever they are. When the last missing fragment of a packet has arrived,
/// the packet leaves as a new one in its place: with its time and sequence, the headers of the fragment that holds the first
/// byte, fragment fields cleared, and length and IPv4 header checksum corrected. In IPv6 the fragment header is removed, also
/// from atomic fragments, which leave alone (RFC 6946). A second fragment header behind the removed one is rejected. The link
/// header is unchanged, including the lengths in those of 802.3 and PPPoE. Header checksums must be checked beforehand, by
/// IPCheck.
///
/// Fragments belong together by addresses and identification, in IPv4 by protocol too. If IPv4 fragments overlap, `overlap`
/// decides whose bytes count: an existing piece yields to a new fragment
/// - `first`: never;
/// - `last`: always;
/// - `bsd`: if the new one begins before it;
/// - `linux`: if the new one begins before it or with it;
/// - `windows`: if the new one begins before it and ends after it;
/// - `solaris`: if the new one begins before it and ends with it or after it.
///
/// These are the rules of Shankar and Paxson (2003) and Novak ("Target-Based Fragmentation Reassembly", 2005). Linux has
/// dropped packets with overlaps since 2018: that is `drop`, and what always happens in IPv6, including the fragments still to
/// come (RFC 5722, RFC 8200). A fragment that repeats an earlier one byte for byte is dropped as `duplicate` and is not an
/// overlap, as RFC 8200 allows.
///
/// `tiny: drop` drops fragments that could mislead filters: first ones that do not include all headers up to the transport
/// header, and TCP fragments that begin 8 bytes into it (RFC 1858, RFC 3128). Receivers accept them in IPv4, so to see what a
/// receiver sees use `join`. A fragment that was not captured completely is dropped: the missing bytes would be in the middle
/// of a packet, and no later element could tell.
///
/// A packet that is incomplete `timeout` after its first fragment is given up, as is whatever waits at the end of the input.
/// Waiting is bounded; when `datagrams`, `fragments` or `bytes` is reached, `on_full: evict` gives up the packet that has
/// waited longest, and `on_full: drop` drops the fragment. A packet in more fragments than `datagram_fragments` is dropped,
/// including the fragments still to come.
public final class IPDefragmenter: Element {
    public struct Config: ElementConfig {
        /// What gives way when no more may wait: the packet that has waited longest, or the fragment.
        public enum FullPolicy: String, CaseIterable, Sendable { case evict, drop }
        /// What happens to fragments made to evade filters.
        public enum TinyPolicy: String, CaseIterable, Sendable { case drop, join }
        /// Whose bytes count if IPv4 fragments overlap and differ.
        public var overlap = FragmentOverlap.first
        /// What happens to fragments made to evade filters.
        public var tiny = TinyPolicy.drop
        /// Nanoseconds in which a packet must become complete (60 s in RFC 8200 section 4.5); 0 for no limit.
        public var timeout: Int64 = 60_000_000_000
        /// The most packets that may be incomplete at one time.
        public var datagrams = 4096
        /// The most fragments of one packet.
        public var datagramFragments = 1024
        /// The most fragments that may wait; at most this element's share of half the pool.
        public var fragments = 8192
        /// The most bytes that may wait.
        public var bytes = 16 << 20
        /// What gives way when no more may wait.
        public var onFull = FullPolicy.evict
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case truncated, empty, unaligned, tooLong, tiny, inconsistent, duplicate, overlap, tooMany
        case timedOut, evicted, noRoom, noItems, nested, incomplete
        public var about: String {
            switch self {
            case .truncated: "the capture holds only a part of the fragment"
            case .empty: "the fragment brings no bytes"
            case .unaligned: "more fragments follow and its size is no multiple of 8"
            case .tooLong: "its packet would be longer than 65,535 bytes"
            case .tiny: "`tiny` is drop and the fragment could lead filters astray"
            case .inconsistent: "it contradicts what another fragment says of the packet's end"
            case .duplicate: "the same fragment has come before"
            case .overlap: "fragments of its packet overlap, which IPv6 forbids, and IPv4 with `overlap: drop`"
            case .tooMany: "its packet has more fragments than `datagram_fragments`"
            case .timedOut: "its packet was not complete after `timeout`"
            case .evicted: "its packet had waited longest when no more could wait"
            case .noRoom: "no more may wait and `on_full` is drop, or `bytes` is less than the fragment"
            case .noItems: "the pool was empty when its packet was complete"
            case .nested: "a fragment header stands behind the one that was removed"
            case .incomplete: "its packet was not complete when the input ended"
            }
        }
    }
    public static let summary = "joins the fragments of IP packets"
    public static let category = Category.streams
    public static let depends = Depends.clock
    /// Fragments have no ports.
    public static let divides = Divides.hosts
    public static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .payload, "any packets")] }
    public static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "whole packets")] }
    public static let parameters: [Parameter<Config>] = [
        .init("overlap", \.overlap, "whose bytes count where IPv4 fragments overlap and differ"),
        .init("tiny", \.tiny, "what becomes of fragments made to get around filters"),
        .init(
            "timeout",
            duration: \.timeout,
            in: 0...86_400_000_000_000,
            "how long after its first fragment a packet may become complete; 0 = for ever"
        ),
        .init("datagrams", \.datagrams, in: 1...1_048_576, "packets that may be incomplete at one time"),
        .init("datagram_fragments", \.datagramFragments, in: 2...8192, "fragments that one packet may have"),
        .init(
            "fragments",
            \.fragments,
            in: 1...1_048_576,
            "fragments of all packets that may wait; half of the pool is shared with others that hold packets"
        ),
        .init("bytes", size: \.bytes, in: 1...17_179_869_184, "bytes of all packets that may wait"),
        .init(
            "on_full",
            \.onFull,
            "what gives way when no more may wait: the oldest packet, or the fragment"
        ),
    ]
    public static let handlers = [
        Handler<IPDefragmenter>("fragments", "fragments seen, atomic ones not counted") { Int($0.counters.fragments) },
        Handler<IPDefragmenter>("joined", "packets that became whole") { Int($0.counters.joined) },
        Handler<IPDefragmenter>("atomic", "packets whose fragment header was removed") { Int($0.counters.atomic) },
        Handler<IPDefragmenter>("overlaps", "fragments of which a part had come before") { Int($0.counters.overlaps) },
        Handler<IPDefragmenter>(
            "datagrams",
            "packets that are not complete now, or dropped and more may come"
        ) {
            $0.map.count
        },
        Handler<IPDefragmenter>("held", "fragments that wait now") { $0.held.count },
        Handler<IPDefragmenter>("held_bytes", "bytes that wait now") { $0.held.bytes },
    ]
    public static let operations: [Operation] = [
        .test, .parse, .hash, .lookup, .update, .payloadBytes, .copyBytes, .checksumBytes,
    ]
    public static func heldItems(_ config: Config) -> Int { config.fragments }
    public static func shortestTimer(_ config: Config) -> ShortestTimer? {
        config.timeout == 0 ? nil : .after(config.timeout + 1)
    }
    public static let examples = [
        Example(
            "two fragments, the last one first",
            in: [
                "in": [
                    "10.0.0.1:1000 > 10.0.0.2:53 udp id=7 frag=16 data=\"IJKL\"",
                    "10.0.0.1:1000 > 10.0.0.2:53 udp id=7 frag=0+ data=\"ABCDEFGH\"",
                ]
            ],
            out: ["out": ["10.0.0.1:1000 > 10.0.0.2:53 udp id=7 len=12 data=\"ABCDEFGHIJKL\""]]
        ),
        Example(
            "the second fragment brings some bytes again, and others",
            config: "{overlap: last}",
            in: [
                "in": [
                    "10.0.0.1:1000 > 10.0.0.2:53 udp frag=0+ data=\"ABCDEFGHIJKLMNOP\"",
                    "10.0.0.1:1000 > 10.0.0.2:53 udp frag=16 data=\"ijklmnopqr\"",
                ]
            ],
            out: ["out": ["10.0.0.1:1000 > 10.0.0.2:53 udp len=18 data=\"ABCDEFGHijklmnopqr\""]]
        ),
        Example(
            "IPv6 fragments that overlap",
            in: [
                "in": [
                    "[2001:db8::1]:1000 > [2001:db8::2]:53 udp id=9 frag=0+ len=16",
                    "[2001:db8::1]:1000 > [2001:db8::2]:53 udp id=9 frag=16+ len=16",
                    "[2001:db8::1]:1000 > [2001:db8::2]:53 udp id=9 frag=32 len=8",
                ]
            ],
            out: ["out": []],
            drops: ["overlap": 3]
        ),
        Example(
            "the rest comes too late, and then nothing does",
            config: "{timeout: 30 s}",
            in: [
                "in": [
                    "10.0.0.1:1000 > 10.0.0.2:53 udp frag=0+ len=8 time=1s",
                    "10.0.0.1:1000 > 10.0.0.2:53 udp frag=16 len=8 time=31.1s",
                ]
            ],
            out: ["out": []],
            drops: ["timed_out": 1, "incomplete": 1]
        ),
        Example(
            "a first fragment without the flags of TCP",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S frag=0+ iplen=28"]],
            out: ["out": []],
            drops: ["tiny": 1]
        ),
    ]

    // MARK: State

    private struct Counters: BitwiseCopyable {
        var fragments: UInt64 = 0
        var joined: UInt64 = 0
        var atomic: UInt64 = 0
        var overlaps: UInt64 = 0
    }
    /// Operations beyond the one test that every packet costs.
    private struct Work: BitwiseCopyable {
        var parsed = 0
        var looked = 0
        var updated = 0
        var compared = 0
        var copied = 0
        var summed = 0
    }

    private let config: Config
    /// Incomplete packets, and dropped ones of which more may come, in the order in which they began.
    private let map: FlowMap
    private let held: HeldFragments
    /// For each packet in the map, the drop reason for its fragments still to come, plus one; 0 for none.
    private let refused: ZeroedMemory<UInt8>
    private var counters = Counters()
    private var work = Work()
    /// A timer is armed, for no later than the first packet's time-out.
    private var isArmed = false

    public init(_ config: Config, _ setup: Setup) throws {
        self.config = config
        let places = config.datagrams + FlowMap.spare
        map = try FlowMap(capacity: config.datagrams, key: setup.hashKey)
        held = try HeldFragments(capacity: max(1, min(config.fragments, setup.items)), places: places)
        refused = try ZeroedMemory(places)
        super.init()
    }

    deinit { refused.deallocate() }

    // MARK: Packets

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        var start = 0
        for k in 0..<batch.count {
            let p = batch[k]
            if p.ipVersion == 0 { _ = Headers.locate(p) }
            if IPDefragmenter.isUsual(p) { continue }
            context.emit(batch, from: start, to: k, 0)
            start = k &+ 1
            take(batch.index[k], context)
        }
        context.emit(batch, from: start, to: batch.count, 0)
        context.did(.test, batch.count)
        count(context)
    }

    /// Whether a packet is no fragment, as nearly all are. An atomic fragment is not counted as one, but has extension headers.
    @inline(__always)
    private static func isUsual(_ p: Packet) -> Bool {
        !p.isFragment
            && (p.ipVersion != 6 || Int(p.l4) &- Int(p.l3) == IPv6View.size)
    }

    private func count(_ context: borrowing Context) {
        if work.parsed > 0 { context.did(.parse, work.parsed) }
        if work.looked > 0 {
            context.did(.hash, work.looked)
            context.did(.lookup, work.looked)
        }
        if work.updated > 0 { context.did(.update, work.updated) }
        if work.compared > 0 { context.did(.payloadBytes, work.compared) }
        if work.copied > 0 { context.did(.copyBytes, work.copied) }
        if work.summed > 0 { context.did(.checksumBytes, work.summed) }
        work = Work()
    }

    /// Handles a fragment, or an IPv6 packet with other extension headers.
    @inline(never)
    private func take(_ i: Int32, _ context: borrowing Context) {
        let p = context[i]
        work.parsed += 1
        guard let fragment = IPFragment(p) else { return context.emit(i, 0) }
        if fragment.isAtomic { return unwrap(i, fragment, context) }
        counters.fragments &+= 1
        if let reason = fault(of: fragment, p) { return context.drop(i, reason) }
        let hash = map.hash(fragment.key)
        work.looked += 1
        var place = map.find(fragment.key, hash)
        if place >= 0, let reason = refusal(of: fragment, i, at: place, context) { return context.drop(i, reason) }
        guard makeRoom(for: fragment, &place, context) else { return context.drop(i, Drop.noRoom) }
        if place < 0 {
            place = map.insert(fragment.key, hash, upperFirst: false, time: context.now(i))
            held.begin(place)
            refused.base[Int(place)] = 0
            if !isArmed { arm(context) }
        }
        work.updated += 1
        context.hold(i)
        held.append(i, fragment, to: place)
        if held.list(place).isComplete { join(place, i, context) }
    }

    /// The fault of a fragment by itself; nil if there is none.
    private func fault(of fragment: IPFragment, _ p: Packet) -> Drop? {
        if p.length < p.ipEnd { return .truncated }
        if fragment.size <= 0 { return .empty }
        if fragment.more, fragment.size & 7 != 0 { return .unaligned }
        if fragment.counted + fragment.end > IPFragment.mostBytes { return .tooLong }
        if config.tiny == .drop, fragment.isTiny(p) { return .tiny }
        return nil
    }

    /// The reason for dropping a fragment of a packet already begun; nil if it is kept. The whole packet may have been dropped
    /// with it.
    private func refusal(
        of fragment: IPFragment,
        _ i: Int32,
        at place: Int32,
        _ context: borrowing Context
    ) -> Drop? {
        if refused.base[Int(place)] != 0 { return Drop(rawValue: Int(refused.base[Int(place)]) - 1) }
        let list = held.list(place)
        if list.total > 0, fragment.end > Int(list.total) { return .inconsistent }
        if !fragment.more, list.total > 0 ? fragment.end < Int(list.total) : fragment.end < Int(list.farthest) {
            return .inconsistent
        }
        if held.overlaps(fragment, at: place) {
            if !list.isOverlapped, isDuplicate(fragment, i, at: place, context) { return .duplicate }
            counters.overlaps &+= 1
            if fragment.isIPv6 || config.overlap == .drop { return giveUp(place, .overlap, context) }
        }
        return Int(list.count) < config.datagramFragments ? nil : giveUp(place, .tooMany, context)
    }

    /// Whether a fragment with the same range has brought the same bytes.
    private func isDuplicate(
        _ fragment: IPFragment,
        _ i: Int32,
        at place: Int32,
        _ context: borrowing Context
    ) -> Bool {
        guard let twin = held.twin(of: fragment, at: place) else { return false }
        work.compared += fragment.size
        let one = UnsafeRawBufferPointer(start: context[i].data + fragment.data, count: fragment.size)
        let other = UnsafeRawBufferPointer(
            start: context[twin.item].data + Int(twin.data),
            count: fragment.size
        )
        return one.elementsEqual(other)
    }

    /// Makes room for a fragment by the policy; `place` becomes -1 if its own packet had to give way. False if there is none.
    private func makeRoom(for fragment: IPFragment, _ place: inout Int32, _ context: borrowing Context) -> Bool {
        if fragment.size > config.bytes { return false }
        while held.isFull || held.bytes + fragment.size > config.bytes || place < 0 && map.count == config.datagrams {
            if config.onFull == .drop { return false }
            if map.oldest == place { place = -1 }
            end(map.oldest, .evicted, context)
        }
        return true
    }

    // MARK: Whole packets

    /// Reassembles a packet, whose last missing fragment was item `i`.
    private func join(_ place: Int32, _ i: Int32, _ context: borrowing Context) {
        let total = Int(held.list(place).total)
        let head = context[held.arrange(place, config.overlap).item]
        guard let first = IPFragment(head), first.counted + total <= IPFragment.mostBytes else {
            return end(place, .tooLong, context)
        }
        guard let j = context.make(from: i, capacity: first.headersEnd + total) else {
            return end(place, .noItems, context)
        }
        let q = context[j]
        q.linkType = head.linkType
        let data = q.writableData
        data.copyMemory(from: head.data, byteCount: first.headersEnd)
        let items = context.items
        var longest: UInt32 = 0
        held.pieces(of: place) { node, from, to in
            let fragment = Packet(items + Int(node.item))
            longest = max(longest, fragment.ipLength)
            let source = fragment.data + Int(node.data) + (from - Int(node.start))
            (data + first.headersEnd + from).copyMemory(from: source, byteCount: to - from)
        }
        q.item.pointee.join(.fragments, of: UInt16(truncatingIfNeeded: longest))
        work.copied += first.headersEnd + total
        let l3 = Int(head.l3)
        let bytes = UnsafeMutableRawBufferPointer(start: data + l3, count: first.headersEnd + total - l3)
        if let ip = MutableIPv4View(bytes) {
            ip.totalLength = UInt16(first.counted + total)
            ip.moreFragments = false
            ip.fragmentOffset = 0
            ip.fillChecksum()
            work.summed += first.counted
        } else if let ip = MutableIPv6View(bytes) {
            ip.payloadLength = UInt16(first.counted + total)
            data.storeBytes(of: first.nextHeader, toByteOffset: first.nextHeaderField, as: UInt8.self)
        }
        let turn = context.turn(of: i)
        while let node = held.removeFirst(from: place) {
            context.resume(node.item, turn)
            context.use(node.item)
        }
        remove(place)
        counters.joined &+= 1
        pass(j, context)
    }

    /// Removes the header of an atomic fragment.
    private func unwrap(_ i: Int32, _ fragment: IPFragment, _ context: borrowing Context) {
        let p = context[i]
        if !p.isWritable {
            work.copied += Int(p.length)
            context.own(i)
        }
        let data = p.writableData
        let left = Int(p.length) - fragment.data
        (data + fragment.headersEnd).copyMemory(from: data + fragment.data, byteCount: left)
        work.copied += left
        data.storeBytes(of: fragment.nextHeader, toByteOffset: fragment.nextHeaderField, as: UInt8.self)
        let header = UInt32(fragment.data - fragment.headersEnd)
        let l3 = Int(p.l3)
        if let ip = MutableIPv6View(UnsafeMutableRawBufferPointer(start: data + l3, count: Int(p.length) - l3)),
            ip.payloadLength > 0
        {
            ip.payloadLength &-= UInt16(header)
        }
        p.length -= header
        // A capture may state a smaller wire length than it holds.
        p.wireLength -= min(p.wireLength, header)
        p.forgetHeaders()
        counters.atomic &+= 1
        pass(i, context)
    }

    /// Emits a packet whose fragment header was removed, unless that reveals another one.
    private func pass(_ i: Int32, _ context: borrowing Context) {
        let p = context[i]
        if Headers.locate(p) == .ip, IPFragment(p) != nil {
            context.drop(i, Drop.nested)
        } else {
            context.emit(i, 0)
        }
    }

    // MARK: Packets that do not become whole

    /// Drops the waiting fragments of a packet, but keeps it in the map until its time is up, so that fragments still to come
    /// are dropped for the same reason.
    private func giveUp(_ place: Int32, _ reason: Drop, _ context: borrowing Context) -> Drop {
        clear(place, reason, context)
        refused.base[Int(place)] = UInt8(reason.rawValue + 1)
        return reason
    }

    /// Drops the waiting fragments of a packet, and forgets it.
    private func end(_ place: Int32, _ reason: Drop, _ context: borrowing Context) {
        clear(place, reason, context)
        remove(place)
    }

    private func clear(_ place: Int32, _ reason: Drop, _ context: borrowing Context) {
        while let node = held.removeFirst(from: place) {
            // Whose turn it takes does not matter, since it is dropped.
            context.resume(node.item, context.turn(of: node.item))
            context.drop(node.item, reason)
        }
    }

    private func remove(_ place: Int32) {
        map.remove(place)
        map.release(place)
    }

    // MARK: Time

    /// The first time at which the packet that began first has waited too long.
    private var due: Int64 {
        if map.oldest < 0 || config.timeout == 0 { return .max }
        return later(map.checked(map.oldest), by: config.timeout + 1)
    }

    /// Arms the timer for the packet that began first, as the one it was armed for may have been completed.
    private func arm(_ context: borrowing Context) {
        let due = self.due
        isArmed = due < .max
        if isArmed { context.arm(0, at: due) }
    }

    /// Gives up the packets that have waited too long.
    public override func timer(_ id: Int, due: Int64, _ context: borrowing Context) {
        while self.due <= due {
            end(map.oldest, .timedOut, context)
            work.updated += 1
        }
        arm(context)
        count(context)
    }

    public override var memoryBytes: Int { config.bytes + map.memoryBytes }

    public override func finish(_ context: borrowing Context) {
        while map.oldest >= 0 { end(map.oldest, .incomplete, context) }
    }
}
