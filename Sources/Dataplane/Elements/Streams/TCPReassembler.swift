// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Puts the segments of TCP connections in order: what leaves on `stream` carries, in its payload, the next bytes of its
/// direction and nothing else (RFC 9293 section 3.10.7.4).
///
/// A segment that brings the next bytes leaves at once, unchanged and without copying. One that comes early waits for those
/// before it; one that brings known bytes again is cut to what is new, or leaves on `rest` when nothing is. A FIN or RST
/// leaves behind the last byte before it, and the first packet of every connection leaves on `stream` too, with an empty
/// payload where it brings no bytes, marked where no receiver takes it: so whoever follows sees each connection begin. All
/// other packets, those of other protocols among them, leave on `rest`. Where bytes are missing the packet behind the hole
/// is marked; how many they are its sequence number tells.
///
/// A direction begins at its SYN; at the number that the other side's SYN-ACK acknowledges, where the SYN was not captured;
/// else at its first packet. Only what the receiver would take counts:
/// - segments with bytes or FIN must carry ACK or SYN, and lie in the window as far as it is known;
/// - SYN must open its direction: segments with a later one bring nothing (RFC 5961 section 4);
/// - timestamps must not run backwards (PAWS, RFC 7323 section 5), where both SYNs had one or were not captured;
/// - a RST counts only with exactly the next sequence number (RFC 5961 section 3.2); where that is not known, only when it
///   acknowledges all that was sent, begins where the other side's acknowledgments are, or is the first packet of its
///   connection and has ACK and payload; its payload belongs to the stream;
/// - with `checksum: verify` the TCP checksum must be right, and with `min_ttl` the packet must live so long.
///
/// Packets may have been captured in another order than they were sent in, an answer before its question for instance. So a
/// packet that acknowledges bytes of the other side waits, as if behind a hole, until these have left: what leaves is in the
/// order of cause and effect. Bytes that the capture lost so hold both sides back, for `gap_timeout` at most. Not so where
/// `on_gap` is wait, and nothing is awaited of a side that was not captured.
///
/// Where waiting segments overlap and differ, `overlap` says whose bytes count; bytes that have left cannot change. What
/// becomes of missing bytes is said by `on_gap`:
/// - `skip`: when a direction has waited for `gap_timeout`, holds more than `flow_bytes` or `flow_segments`, or ends, the hole
///   is left out and the packet behind it is marked;
/// - `wait`: holes are waited for; what does not fit any more, and what waits at the end, is dropped;
/// - `drop_flow`: where `skip` would leave out a hole, the rest of the connection is dropped.
///
/// All connections together hold at most `bytes` and `segments`: beyond that the hole that has been open longest is treated
/// by the policy at once, so that one connection cannot take the room of the others.
public final class TCPReassembler: Element {
    public struct Config: ElementConfig {
        /// What becomes of a hole.
        public enum GapPolicy: String, CaseIterable, Sendable {
            case skip, wait
            case dropFlow = "drop_flow"
        }
        /// Whether TCP checksums are looked at.
        public enum ChecksumPolicy: String, CaseIterable, Sendable { case ignore, verify }
        /// Whose bytes count where waiting segments differ.
        public var overlap = OverlapPolicy.first
        /// What becomes of a hole.
        public var onGap = GapPolicy.skip
        /// Whether TCP checksums are looked at.
        public var checksum = ChecksumPolicy.ignore
        /// The least TTL or hop limit of packets that reach the receiver.
        public var minTTL = 0
        /// Nanoseconds that a hole may stay open while packets of its connection come; 0 for ever.
        public var gapTimeout: Int64 = 120_000_000_000
        /// Bytes that one direction may hold.
        public var flowBytes = 1 << 20
        /// Segments that one direction may hold.
        public var flowSegments = 1024
        /// Bytes that all connections may hold.
        public var bytes = 64 << 20
        /// Segments that all connections may hold; never more than a part of half the pool.
        public var segments = 8192
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case badChecksum, lowTtl, badHeaderLength, noAck, outOfWindow, oldTimestamp, afterEnd, noRoom, gap, flowDropped
        public var about: String {
            switch self {
            case .badChecksum: "its TCP checksum is wrong and `checksum` is verify"
            case .lowTtl: "its TTL or hop limit is below `min_ttl`"
            case .badHeaderLength: "its TCP header is stated shorter than 20 bytes, or longer than the packet"
            case .noAck: "it carries bytes or FIN but neither ACK nor SYN, which no receiver takes"
            case .outOfWindow: "its bytes lie beyond anything that the receiver's window can have allowed"
            case .oldTimestamp: "its timestamp is older than one already seen (PAWS)"
            case .afterEnd: "its direction has ended with FIN or RST before its bytes"
            case .noRoom: "it came early, what may wait is full, and `on_gap` is wait"
            case .gap: "it waited for bytes that never came"
            case .flowDropped: "its connection had a hole and `on_gap` is drop_flow"
            }
        }
    }
    public static let summary = "puts the segments of TCP connections in order"
    public static let category = Category.streams
    public static let depends = Depends.flow
    public static func inputs(_: Config) -> [Input] {
        [Input("in", .only(.packet), reads: .payload, needsFlow: true, "packets with their flow")]
    }
    public static func outputs(_: Config) -> [Output] {
        [
            Output("stream", .kind(.stream), "packets whose payload is the next bytes of their direction"),
            Output("rest", .kind(.packet), optional: true, "packets that bring no new bytes, and other protocols"),
        ]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("overlap", \.overlap, "whose bytes count where waiting segments overlap and differ"),
        .init("on_gap", \.onGap, "what becomes of missing bytes"),
        .init("checksum", \.checksum, "whether segments with a wrong TCP checksum are dropped"),
        .init("min_ttl", \.minTTL, in: 0...255, "the least TTL or hop limit of packets that reach the receiver"),
        .init(
            "gap_timeout",
            duration: \.gapTimeout,
            in: 0...86_400_000_000_000,
            "how long missing bytes are waited for while their connection goes on; 0 = for ever"
        ),
        .init("flow_bytes", size: \.flowBytes, in: 1...1_073_741_824, "bytes one direction may hold"),
        .init("flow_segments", \.flowSegments, in: 1...65_536, "segments one direction may hold"),
        .init("bytes", size: \.bytes, in: 1...17_179_869_184, "bytes all connections together may hold"),
        .init(
            "segments",
            \.segments,
            in: 1...1_048_576,
            "segments all connections together may hold; half of the pool is shared with others that hold packets"
        ),
    ]
    public static let handlers = [
        Handler<TCPReassembler>("connections", "connections that began") { Int($0.counters.connections) },
        Handler<TCPReassembler>("stream_bytes", "bytes that left in order") { Int($0.counters.streamBytes) },
        Handler<TCPReassembler>("early", "segments that had to wait") { Int($0.counters.early) },
        Handler<TCPReassembler>("again", "segments that brought nothing new") { Int($0.counters.again) },
        Handler<TCPReassembler>("overlaps", "segments of which a part had come before") { Int($0.counters.overlaps) },
        Handler<TCPReassembler>("conflicts", "segments whose bytes differed from those of one that waited") {
            Int($0.counters.conflicts)
        },
        Handler<TCPReassembler>("gaps", "holes that were left out") { Int($0.counters.gaps) },
        Handler<TCPReassembler>("gap_bytes", "bytes of these") { Int($0.counters.gapBytes) },
        Handler<TCPReassembler>("resets_ignored", "RSTs whose sequence number was not the next one") {
            Int($0.counters.resetsIgnored)
        },
        Handler<TCPReassembler>("urgent", "segments with urgent data, which stays in the stream") {
            Int($0.counters.urgent)
        },
        Handler<TCPReassembler>("held", "segments that wait now") { $0.held.count },
        Handler<TCPReassembler>("held_bytes", "bytes that wait now") { $0.held.bytes },
    ]
    public static let operations: [Operation] = [.parse, .update, .checksumBytes, .payloadBytes, .copyBytes]
    public static func heldItems(_ config: Config) -> Int { config.segments }
    public static let stateBytesPerFlow = 2 * FlowArray<Direction>.bytesPerFlow
    public static let examples = [
        Example(
            "a segment that comes early waits, one that comes again brings nothing",
            in: [
                "in": [
                    "10.0.0.1:1000 > 10.0.0.2:80 A seq=100 len=10", "10.0.0.1:1000 > 10.0.0.2:80 A seq=120 len=10",
                    "10.0.0.1:1000 > 10.0.0.2:80 A seq=110 len=10", "10.0.0.1:1000 > 10.0.0.2:80 A seq=100 len=10",
                ]
            ],
            out: [
                "stream": [
                    "10.0.0.1:1000 > 10.0.0.2:80 A seq=100", "10.0.0.1:1000 > 10.0.0.2:80 A seq=110",
                    "10.0.0.1:1000 > 10.0.0.2:80 A seq=120",
                ],
                "rest": ["10.0.0.1:1000 > 10.0.0.2:80 A seq=100"],
            ]
        ),
        Example(
            "an answer that was captured before its question leaves behind it",
            in: [
                "in": [
                    "10.0.0.1:1000 > 10.0.0.2:80 S seq=99", "10.0.0.2:80 > 10.0.0.1:1000 SA seq=499 ack=100",
                    "10.0.0.2:80 > 10.0.0.1:1000 A seq=500 ack=110 len=20",
                    "10.0.0.1:1000 > 10.0.0.2:80 A seq=100 ack=500 len=10",
                ]
            ],
            out: [
                "stream": [
                    "10.0.0.1:1000 > 10.0.0.2:80 S", "10.0.0.1:1000 > 10.0.0.2:80 A seq=100",
                    "10.0.0.2:80 > 10.0.0.1:1000 A seq=500",
                ],
                "rest": ["10.0.0.2:80 > 10.0.0.1:1000 SA"],
            ]
        ),
    ]

    // MARK: State

    /// One direction of a connection: with what it is found by, a cache line.
    struct Direction: BitwiseCopyable {
        /// The sequence number of the next byte; valid when `marks` has `synced`.
        var next: UInt32 = 0
        var marks: Marks = []
        /// The power of two of this side's window scale option; -1 where its SYN had none.
        var windowScale: Int8 = -1
        /// By how much the windows that this side offers are shifted: the most there is, until both SYNs were seen.
        var windowShift: UInt8 = 14
        /// The largest window that the other side has offered, in bytes.
        var window: UInt32 = 0
        /// The highest number that the other side has acknowledged, as far as it was looked at; valid with `ackSeen`.
        var acknowledged: UInt32 = 0
        /// The newest timestamp taken (RFC 7323, TS.Recent).
        var timestamp: UInt32 = 0
        /// What waits.
        var waiting = HeldSegments.List()
        /// Its place among the directions with holes.
        var link = IndexList.Link()
        /// When the hole opened, in functional nanoseconds.
        var since: Int64 = 0
    }
    struct Marks: OptionSet, BitwiseCopyable {
        var rawValue: UInt16
        /// `next` is known.
        static var synced: Marks { Marks(rawValue: 2) }
        /// It is known from a packet without bytes only, which may have been a keep-alive probe.
        static var tentative: Marks { Marks(rawValue: 4) }
        static var synSeen: Marks { Marks(rawValue: 8) }
        /// A FIN or RST has left; nothing comes behind it.
        static var ended: Marks { Marks(rawValue: 16) }
        static var timestamps: Marks { Marks(rawValue: 32) }
        /// Bytes before `next` were left out, and no packet was marked yet.
        static var gap: Marks { Marks(rawValue: 64) }
        static var dropped: Marks { Marks(rawValue: 128) }
        static var ackSeen: Marks { Marks(rawValue: 256) }
        /// A packet of this direction was looked at.
        static var seen: Marks { Marks(rawValue: 512) }
        /// Bytes that its packets acknowledge were waited for in vain, and are no longer until they have come.
        static var unawaited: Marks { Marks(rawValue: 1024) }
        /// One side's SYN had no timestamp, so both ignore those that follow (RFC 7323 section 3.2).
        static var untimed: Marks { Marks(rawValue: 2048) }
        /// What may be set beside `synced` and `seen` where the next segment needs no more than a look at its
        /// sequence number and timestamp.
        static var usual: Marks { [.synSeen, .timestamps, .ackSeen, .untimed] }
    }
    struct Counters: BitwiseCopyable {
        var connections: UInt64 = 0
        var streamBytes: UInt64 = 0
        var early: UInt64 = 0
        var again: UInt64 = 0
        var overlaps: UInt64 = 0
        var conflicts: UInt64 = 0
        var gaps: UInt64 = 0
        var gapBytes: UInt64 = 0
        var resetsIgnored: UInt64 = 0
        var urgent: UInt64 = 0
    }
    /// Bytes counted by operations, beside those of every packet.
    private struct Work: BitwiseCopyable {
        var summed = 0
        var compared = 0
        var copied = 0
    }

    private let config: Config
    /// Both directions of each flow, as flows of their own: 2 * index for the forward one, the reverse one behind it.
    private let directions: FlowArray<Direction>
    private let held: HeldSegments
    /// Neither checksum nor TTL is looked at.
    private let isPlain: Bool
    /// Packets wait for the bytes that they acknowledge.
    private let isCausal: Bool
    private var counters = Counters()
    private var work = Work()
    /// Whose turn it is: what waits and may go takes that of what it waited for.
    private var turn = Turn(number: 0, now: 0)
    /// Directions with holes, the one open longest first.
    private var holes = IndexList()
    private let links: IndexList.Links

    /// Segments this far ahead are taken whatever windows were seen: packets that offered more may not have been captured.
    private static let leastWindow: UInt32 = 1 << 20
    private static let mostWindow: UInt32 = 1 << 30

    public init(_ config: Config, _ setup: Setup) throws {
        self.config = config
        directions = try FlowArray(flows: 2 * setup.flows)
        links = directions.links(at: \.link)
        held = try HeldSegments(capacity: max(1, min(config.segments, setup.items)))
        isPlain = config.checksum == .ignore && config.minTTL == 0
        isCausal = config.onGap != .wait
        super.init()
    }

    // MARK: Packets

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        // It has ports, and no reassembler before this one has cut bytes from its front.
        let asked = ItemFlags.transport.rawValue | ItemFlags.overlapped.rawValue
        for k in 0..<batch.count {
            directions.prefetch(TCPReassembler.direction(0, of: batch[k].flow))
        }
        var streamBytes: UInt64 = 0
        // Where more is looked at than the header, no packet is as usual.
        let usual = isPlain ? batch.count : 0
        for k in usual..<batch.count { take(batch.index[k], context) }
        for k in 0..<usual {
            let p = batch[k]
            let flags = p.flags.rawValue
            let reverse = Int32(flags &>> 2) & 1
            let side = TCPReassembler.direction(reverse, of: p.flow)
            if let own = directions[side], p.ipProtocol == 6, flags & asked == ItemFlags.transport.rawValue {
                let other = directions.state(own, plus: 1 &- 2 &* Int(reverse))
                let end = p.ipEnd
                let size = end &- UInt32(p.payload)
                let tcp = p.transportHeader
                if own.pointee.marks.rawValue & ~Marks.usual.rawValue == Marks.synced.rawValue | Marks.seen.rawValue,
                    own.pointee.waiting.first & other.pointee.waiting.first < 0, tcp.be32(4) == own.pointee.next,
                    tcp.byte(13) & 0xf7 == 0x10,
                    size != 0, end <= p.length, UInt32(p.payload) < end,
                    !TCPSequence.precedes(other.pointee.next, tcp.be32(8)) || !isAwaited(other),
                    isUsualTimestamp(tcp, own)
                {
                    // The next bytes, as nearly always.
                    own.pointee.next &+= size
                    streamBytes &+= UInt64(size)
                    let window = UInt32(tcp.be16(14)) &<< UInt32(own.pointee.windowShift)
                    if window > other.pointee.window { other.pointee.window = window }
                    context.emit(batch.index[k], 0)
                    continue
                }
            }
            take(batch.index[k], context)
        }
        counters.streamBytes &+= streamBytes
        context.did(.parse, batch.count)
        context.did(.update, batch.count)
        count(context)
    }

    /// Whether a segment's timestamp, if it has one in the usual place, is not older than the newest; it is that then.
    @inline(__always)
    private func isUsualTimestamp(_ tcp: UnsafeRawPointer, _ own: UnsafeMutablePointer<Direction>) -> Bool {
        if tcp.byte(12) &>> 4 == 5 { return true }
        // Two NOPs, then the option of ten bytes (RFC 7323 appendix A). Its bytes are captured when those of the payload are.
        guard tcp.byte(12) &>> 4 == 8, tcp.be32(20) == 0x0101_080a, own.pointee.marks.contains(.timestamps) else {
            return false
        }
        let timestamp = tcp.be32(24)
        if TCPSequence.precedes(timestamp, own.pointee.timestamp) { return false }
        own.pointee.timestamp = timestamp
        return true
    }

    /// Counts what was worked on beyond the usual.
    private func count(_ context: borrowing Context) {
        if work.summed > 0 { context.did(.checksumBytes, work.summed) }
        if work.compared > 0 { context.did(.payloadBytes, work.compared) }
        if work.copied > 0 { context.did(.copyBytes, work.copied) }
        work = Work()
    }

    /// A packet that is not just the next bytes of a connection that is there.
    @inline(never)
    private func take(_ i: Int32, _ context: borrowing Context) {
        let p = context[i]
        turn = context.turn(of: i)
        guard p.ipProtocol == 6, p.hasTransport, let isFirst = begin(p.flow)
        else {
            return rest(i, context)
        }
        let place = TCPReassembler.direction(p.isReverse ? 1 : 0, of: p.flow).index
        let own = directions.state(at: place)
        expire(place, p.time, context)
        expire(place ^ 1, p.time, context)
        if own.pointee.marks.contains(.dropped) { return refuse(i, .flowDropped, isFirst: isFirst, context) }
        if p.isRefused { return isFirst ? empty(i, context) : rest(i, context) }
        let other = directions.state(at: place ^ 1)
        let segment = Segment(p)
        let isRepeatedSYN = segment.isSYN && own.pointee.marks.intersection([.seen, .tentative]) == .seen
        if let reason = inspect(segment, p, place, isRepeatedSYN) {
            return refuse(i, reason, isFirst: isFirst, context)
        }
        if segment.isRST, !own.pointee.marks.contains(.synced),
            !(isFirst && segment.isACK && !segment.isSYN && segment.size > 0),
            !isPlausible(reset: segment, own, other)
        {
            counters.resetsIgnored &+= 1
            return isFirst ? begin(i, context) : rest(i, context)
        }
        open(segment, own, other)
        if isRepeatedSYN { return nothingNew(i, segment, isFirst: isFirst, context) }
        put(i, segment, place, isFirst: isFirst, context)
    }

    /// A segment that brings nothing leaves; it has changed no state but what it told of the other side.
    private func nothingNew(_ i: Int32, _ segment: Segment, isFirst: Bool, _ context: borrowing Context) {
        if segment.size > 0 { counters.again &+= 1 }
        if isFirst { empty(i, context) } else { rest(i, context) }
    }

    /// Whether a RST can be meant for its connection where the next sequence number of its side is not known: anybody could
    /// have guessed that there is a connection. A receiver that has sent its SYN asks for the same (RFC 9293 section 3.10.7.3).
    private func isPlausible(
        reset segment: Segment,
        _ own: UnsafeMutablePointer<Direction>,
        _ other: UnsafeMutablePointer<Direction>
    ) -> Bool {
        segment.isACK && other.pointee.marks.contains(.synced) && segment.acknowledgment == other.pointee.next
            || own.pointee.marks.contains(.ackSeen) && segment.sequence == own.pointee.acknowledged
    }

    /// Does with a segment what its place in its direction asks for.
    private func put(
        _ i: Int32,
        _ segment: Segment,
        _ place: Int32,
        isFirst: Bool = false,
        _ context: borrowing Context
    ) {
        let own = directions.state(at: place)
        switch judge(segment, own) {
        case .refuse(let reason): refuse(i, reason, isFirst: isFirst, context)
        case .nothingNew: nothingNew(i, segment, isFirst: isFirst, context)
        case .next(let closing):
            if segment.isACK, isAhead(segment.acknowledgment, place) {
                return hold(i, segment, closing, place, context)
            }
            if !own.pointee.waiting.isEmpty { settle(i, segment, place, leaves: true, context) }
            deliver(i, segment.start, segment.end, segment.captured, closing, own, context)
            drain(place, context[i].time, context)
        case .early(let closing): hold(i, segment, closing, place, context)
        }
    }

    /// What a TCP packet says.
    private struct Segment {
        var flags: UInt8
        /// Sequence numbers of the first byte, behind SYN, and behind the last byte.
        var start: UInt32
        var end: UInt32
        /// Bytes as the IP header says, and those captured.
        var size: UInt32
        var captured: UInt32
        var sequence: UInt32
        var acknowledgment: UInt32
        var window: UInt32
        /// Its header has room in the packet.
        var isHeaderRight: Bool
        var timestamp: UInt32?
        var windowScale: UInt8?

        var isSYN: Bool { flags & 0x02 != 0 }
        var isACK: Bool { flags & 0x10 != 0 }
        var isRST: Bool { flags & 0x04 != 0 }
        var isFIN: Bool { flags & 0x01 != 0 }

        init(_ p: Packet) {
            let tcp = p.transportHeader
            flags = tcp.byte(13)
            sequence = tcp.be32(4)
            acknowledgment = tcp.be32(8)
            window = UInt32(tcp.be16(14))
            let header = Int(tcp.byte(12) &>> 4) * 4
            let end = p.ipEnd
            isHeaderRight = header >= 20 && UInt32(p.l4) &+ UInt32(header) <= end
            // The payload's place is known as far as was captured only; the capture may have been cut in the header.
            let payload = max(UInt32(p.payload), UInt32(p.l4) &+ UInt32(header))
            size = end > payload ? end &- payload : 0
            let there = min(end, p.length)
            captured = there > payload ? there &- payload : 0
            // A reassembler before this one may have cut bytes from the front.
            let cut = payload &- UInt32(p.l4) &- UInt32(header)
            start = (flags & 0x02 != 0 ? sequence &+ 1 : sequence) &+ (isHeaderRight ? cut : 0)
            self.end = start &+ size
            let available = min(Int(there) - Int(p.l4), header)
            var at = 20
            // Options (RFC 9293 section 3.1): a list of kind, length and value; 0 ends it, 1 fills.
            while at < available {
                let kind = tcp.byte(at)
                if kind == 0 { break }
                if kind == 1 {
                    at += 1
                    continue
                }
                guard at + 1 < available else { break }
                let length = Int(tcp.byte(at + 1))
                guard length >= 2, at + length <= available else { break }
                if kind == 8, length == 10 { timestamp = tcp.be32(at + 2) }
                if kind == 3, length == 3 { windowScale = min(tcp.byte(at + 2), 14) }
                at += length
            }
        }
    }

    /// One direction of a flow, as the flow that it is in `directions`: 0 forward, 1 reverse.
    @inline(__always)
    private static func direction(_ side: Int32, of flow: FlowRef) -> FlowRef {
        FlowRef(index: flow.index &<< 1 | side, generation: flow.generation)
    }

    /// Begins the state of a connection at its first packet here; true when this is that, nil where there is no flow.
    @inline(__always)
    private func begin(_ flow: FlowRef) -> Bool? {
        if directions[TCPReassembler.direction(0, of: flow)] != nil { return false }
        for side: Int32 in 0...1 {
            guard directions.begin(TCPReassembler.direction(side, of: flow), Direction()) != nil else { return nil }
        }
        counters.connections &+= 1
        return true
    }

    /// Why the receiver would not even look at the sequence number; nil when it would.
    private func inspect(
        _ segment: Segment,
        _ p: Packet,
        _ place: Int32,
        _ isRepeatedSYN: Bool
    ) -> Drop? {
        let own = directions.state(at: place)
        if !TCPReach.isAlive(p, least: config.minTTL) { return .lowTtl }
        if config.checksum == .verify, !TCPReach.isChecksumRight(p, summed: &work.summed) { return .badChecksum }
        if !segment.isHeaderRight { return .badHeaderLength }
        if segment.size > 0 || segment.isFIN, !segment.isACK, !segment.isSYN, !segment.isRST { return .noAck }
        if let timestamp = segment.timestamp, !own.pointee.marks.contains(.untimed), !segment.isRST, !isRepeatedSYN {
            if own.pointee.marks.contains(.timestamps), TCPSequence.precedes(timestamp, own.pointee.timestamp) {
                return .oldTimestamp
            }
            // Only a segment that the receiver takes at once sets it: it would make all others old.
            if isTaken(segment, place) {
                own.pointee.timestamp = timestamp
                own.pointee.marks.insert(.timestamps)
            }
        }
        return nil
    }

    /// Whether a segment begins where the receiver is, or brings bytes from there on, and acknowledges what was sent.
    private func isTaken(_ segment: Segment, _ place: Int32) -> Bool {
        let own = directions.state(at: place)
        let other = directions.state(at: place ^ 1)
        guard own.pointee.marks.contains(.synced) else { return true }
        if segment.isACK, isAwaited(other), TCPSequence.precedes(other.pointee.next, segment.acknowledgment) {
            return false
        }
        let next = own.pointee.next
        return segment.start == next
            || TCPSequence.precedes(segment.start, next) && TCPSequence.precedes(next, segment.end)
    }

    /// Learns what SYNs, windows and first packets tell.
    private func open(
        _ segment: Segment,
        _ own: UnsafeMutablePointer<Direction>,
        _ other: UnsafeMutablePointer<Direction>
    ) {
        if segment.isSYN {
            if !own.pointee.marks.contains(.synSeen) {
                if !own.pointee.marks.contains(.synced) || own.pointee.marks.contains(.tentative) {
                    own.pointee.next = segment.start
                }
                own.pointee.marks.formUnion([.synced, .synSeen])
                own.pointee.marks.remove(.tentative)
                own.pointee.windowScale = segment.windowScale.map { Int8($0) } ?? -1
                if segment.timestamp == nil {
                    own.pointee.marks = own.pointee.marks.union(.untimed).subtracting(.timestamps)
                    other.pointee.marks = other.pointee.marks.union(.untimed).subtracting(.timestamps)
                }
                if other.pointee.marks.contains(.synSeen) {
                    // Windows are scaled when both sides have said so (RFC 7323 section 2.2).
                    let scaled = own.pointee.windowScale >= 0 && other.pointee.windowScale >= 0
                    own.pointee.windowShift = scaled ? UInt8(own.pointee.windowScale) : 0
                    other.pointee.windowShift = scaled ? UInt8(other.pointee.windowScale) : 0
                }
            }
            if segment.isACK, !other.pointee.marks.contains(.synced) {
                other.pointee.next = segment.acknowledgment
                other.pointee.marks.insert(.synced)
            }
        } else if !own.pointee.marks.contains(.synced) {
            own.pointee.next = segment.start
            own.pointee.marks.insert(.synced)
            if segment.size == 0, !segment.isFIN { own.pointee.marks.insert(.tentative) }
        } else if own.pointee.marks.contains(.tentative), segment.size > 0 {
            // What was taken for the next number was that of a keep-alive probe, one less.
            if segment.start == own.pointee.next &+ 1 { own.pointee.next = segment.start }
            own.pointee.marks.remove(.tentative)
        }
        own.pointee.marks.insert(.seen)
        let window = segment.window &<< UInt32(segment.isSYN ? 0 : own.pointee.windowShift)
        if segment.isACK {
            if window > other.pointee.window { other.pointee.window = window }
            if !other.pointee.marks.contains(.ackSeen)
                || TCPSequence.precedes(other.pointee.acknowledged, segment.acknowledgment)
            {
                other.pointee.acknowledged = segment.acknowledgment
                other.pointee.marks.insert(.ackSeen)
            }
        }
        if segment.flags & 0x20 != 0 { counters.urgent &+= 1 }
    }

    private enum Verdict {
        case refuse(Drop)
        case nothingNew
        /// It brings the next bytes, or ends the direction behind them.
        case next(HeldSegments.Closing)
        case early(HeldSegments.Closing)
    }

    /// Where a segment stands in its direction.
    private func judge(_ segment: Segment, _ own: UnsafeMutablePointer<Direction>) -> Verdict {
        let next = own.pointee.next
        var closing = segment.isFIN ? HeldSegments.Closing.fin : .none
        if segment.isRST {
            let isNext =
                segment.sequence == next
                || !own.pointee.waiting.isEmpty && segment.sequence == own.pointee.waiting.farthest
            if !isNext || own.pointee.marks.contains(.ended) {
                counters.resetsIgnored &+= 1
                return .nothingNew
            }
            closing = .rst
        }
        if own.pointee.marks.contains(.ended) {
            return TCPSequence.precedes(next, segment.end) && segment.size > 0 ? .refuse(.afterEnd) : .nothingNew
        }
        if segment.size == 0, closing == .none { return .nothingNew }
        let ahead = TCPSequence.distance(segment.start, from: next)
        if ahead <= 0 {
            let isNew = TCPSequence.precedes(next, segment.end) || closing != .none && segment.end == next
            return isNew ? .next(closing) : .nothingNew
        }
        // What the receiver has acknowledged, or what waits, shows how far it is; bytes before that were lost to the capture.
        var reached = next
        if own.pointee.marks.contains(.ackSeen), TCPSequence.precedes(reached, own.pointee.acknowledged) {
            reached = own.pointee.acknowledged
        }
        if !own.pointee.waiting.isEmpty, TCPSequence.precedes(reached, own.pointee.waiting.farthest) {
            reached = own.pointee.waiting.farthest
        }
        let beyond = TCPSequence.distance(segment.end, from: reached)
        return beyond > reach(of: own) ? .refuse(.outOfWindow) : .early(closing)
    }

    /// How far ahead of what is known to have arrived a direction may send, in bytes.
    private func reach(of own: UnsafeMutablePointer<Direction>) -> Int32 {
        Int32(min(max(own.pointee.window &* 2, TCPReassembler.leastWindow), TCPReassembler.mostWindow))
    }

    // MARK: Cause and effect

    /// Whether the next bytes of a direction are known and can still come.
    @inline(__always)
    private func isAwaited(_ own: UnsafeMutablePointer<Direction>) -> Bool {
        let marks = own.pointee.marks.intersection([.seen, .synced, .tentative, .ended, .dropped])
        return isCausal && marks == [.seen, .synced]
    }

    /// Whether a packet that acknowledges up to `number` has to wait for bytes of the other side.
    private func isAhead(_ number: UInt32, _ place: Int32) -> Bool {
        let own = directions.state(at: place)
        let other = directions.state(at: place ^ 1)
        guard isAwaited(other) else { return false }
        let ahead = TCPSequence.distance(number, from: other.pointee.next)
        if ahead <= 0 { own.pointee.marks.remove(.unawaited) }
        // No receiver takes a packet that acknowledges what was not sent (RFC 9293 section 3.10.7.4). Where the other side
        // began is known for sure with its SYN only; else it may be far from there. What waits on it has been sent.
        var sent = other.pointee.next
        if !other.pointee.waiting.isEmpty, TCPSequence.precedes(sent, other.pointee.waiting.farthest) {
            sent = other.pointee.waiting.farthest
        }
        let isPossible =
            other.pointee.marks.contains(.synSeen) || TCPSequence.distance(number, from: sent) <= reach(of: other)
        guard ahead > 0, isPossible else { return false }
        return !own.pointee.marks.contains(.unawaited) || hasHole(other)
    }

    private func isAhead(_ node: HeldSegments.Node, _ place: Int32, _ context: borrowing Context) -> Bool {
        let p = context[node.item]
        let tcp = p.transportHeader
        return tcp.byte(13) & 0x10 != 0 && isAhead(tcp.be32(8), place)
    }

    /// Whether segments wait for bytes before them, not for those of the other side.
    private func hasHole(_ own: UnsafeMutablePointer<Direction>) -> Bool {
        !own.pointee.waiting.isEmpty
            && TCPSequence.precedes(own.pointee.next, held.nodes[Int(own.pointee.waiting.first)].start)
    }

    // MARK: Letting packets go

    /// A packet that brings no bytes of a stream.
    private func rest(_ i: Int32, _ context: borrowing Context) {
        if context.isConnected(1) { context.emit(i, 1) } else { context.use(i) }
    }

    /// The first packet of a connection leaves on `stream` whatever it is; its payload counts as empty.
    private func empty(_ i: Int32, _ context: borrowing Context) {
        let p = context[i]
        p.ipLength = UInt32(p.payload) &- UInt32(p.l3)
        context.emit(i, 0)
    }

    /// The first packet of a connection, of which nothing counts.
    private func begin(_ i: Int32, _ context: borrowing Context) {
        context[i].flags.insert(.refused)
        empty(i, context)
    }

    private func refuse(_ i: Int32, _ reason: Drop, isFirst: Bool, _ context: borrowing Context) {
        if isFirst { begin(i, context) } else { context.drop(i, reason) }
    }

    /// Lets the part of a segment go that begins with the next byte.
    private func deliver(
        _ i: Int32,
        _ start: UInt32,
        _ end: UInt32,
        _ captured: UInt32,
        _ closing: HeldSegments.Closing,
        _ own: UnsafeMutablePointer<Direction>,
        _ context: borrowing Context
    ) {
        let p = context[i]
        let known = own.pointee.next &- start
        if known > 0 {
            if end != own.pointee.next { counters.overlaps &+= 1 }
            p.flags.insert(.overlapped)
        }
        if own.pointee.marks.contains(.gap) {
            own.pointee.marks.remove(.gap)
            p.flags.insert(.gap)
        }
        if max(captured, known) < end &- start {
            // The capture was cut: what follows comes behind a hole that nothing will fill.
            let missing = end &- start &- max(captured, known)
            counters.gaps &+= 1
            counters.gapBytes &+= UInt64(missing)
            own.pointee.marks.insert(.gap)
        }
        cut(i, min(known, captured), context)
        counters.streamBytes &+= UInt64(captured &- min(known, captured))
        own.pointee.next = end
        if closing != .none { own.pointee.marks.insert(.ended) }
        context.emit(i, 0)
    }

    /// Cuts `count` bytes from the beginning of a payload.
    private func cut(_ i: Int32, _ count: UInt32, _ context: borrowing Context) {
        if count == 0 { return }
        let p = context[i]
        let payload = UInt32(p.payload)
        if payload + count <= UInt32(UInt16.max) {
            p.payload = UInt16(payload + count)
            return
        }
        // Behind offsets of 16 bits: then the bytes move, and the sequence number with them.
        context.own(i)
        let data = p.writableData
        let left = Int(p.length) - Int(payload + count)
        (data + Int(payload)).copyMemory(from: data + Int(payload + count), byteCount: max(0, left))
        let sequence = data + Int(p.l4) + 4
        sequence.storeBytes(of: (UnsafeRawPointer(sequence).be32(0) &+ count).bigEndian, as: UInt32.self)
        p.length -= count
        p.ipLength -= count
        work.copied += max(0, left)
    }

    // MARK: Waiting

    /// A segment waits for those before it.
    private func hold(
        _ i: Int32,
        _ segment: Segment,
        _ closing: HeldSegments.Closing,
        _ place: Int32,
        _ context: borrowing Context
    ) {
        let own = directions.state(at: place)
        let time = context[i].time
        let size = Int(segment.size)
        while true {
            let list = own.pointee.waiting
            let blocked: Int32
            if Int(list.count) >= config.flowSegments || Int(list.bytes) + size > config.flowBytes {
                blocked = list.isEmpty ? -1 : place
            } else if held.isFull || held.bytes + size > config.bytes {
                blocked = holes.first
            } else {
                break
            }
            guard blocked >= 0, !isLeftBehind(segment, at: place, by: blocked), unblock(blocked, time, context) else {
                return giveUp(i, segment, closing, place, context)
            }
            if own.pointee.marks.contains(.dropped) { return context.drop(i, Drop.flowDropped) }
            // What it waits for may have come to an end now.
            switch judge(segment, own) {
            case .early: continue
            case .next where segment.isACK && isAhead(segment.acknowledgment, place): continue
            default: return put(i, segment, place, context)
            }
        }
        if settle(i, segment, place, leaves: false, context), closing == .none {
            counters.again &+= 1
            return rest(i, context)
        }
        counters.early &+= 1
        if own.pointee.waiting.isEmpty { enlist(place, time) }
        held.insert(
            HeldSegments.Node(
                item: i,
                next: -1,
                start: segment.start,
                end: segment.end,
                captured: segment.captured,
                closing: closing
            ),
            in: &own.pointee.waiting
        )
        context.hold(i)
    }

    /// Whether a segment's bytes would be left out with the hole that has to be, behind which others of its direction wait.
    private func isLeftBehind(_ segment: Segment, at place: Int32, by blocked: Int32) -> Bool {
        let own = directions.state(at: place)
        guard blocked == place || blocked == place ^ 1 && !hasHole(directions.state(at: blocked)), hasHole(own) else {
            return false
        }
        return config.onGap != .wait
            && TCPSequence.precedes(segment.start, held.nodes[Int(own.pointee.waiting.first)].start)
    }

    /// There is no room for a segment that has to wait.
    private func giveUp(
        _ i: Int32,
        _ segment: Segment,
        _ closing: HeldSegments.Closing,
        _ place: Int32,
        _ context: borrowing Context
    ) {
        let own = directions.state(at: place)
        let isNext = !TCPSequence.precedes(own.pointee.next, segment.start)
        switch config.onGap {
        case _ where isNext:
            settle(i, segment, place, leaves: true, context)
            deliver(i, segment.start, segment.end, segment.captured, closing, own, context)
            drain(place, context[i].time, context)
        case .wait: context.drop(i, Drop.noRoom)
        case .dropFlow:
            dropFlow(place, context)
            context.drop(i, Drop.flowDropped)
        case .skip:
            // Not even this one may wait.
            settle(i, segment, place, leaves: true, context)
            leaveOut(own, upTo: segment.start)
            deliver(i, segment.start, segment.end, segment.captured, closing, own, context)
            drain(place, context[i].time, context)
        }
    }

    /// Leaves the bytes out that come before `start`.
    private func leaveOut(_ own: UnsafeMutablePointer<Direction>, upTo start: UInt32) {
        counters.gaps &+= 1
        counters.gapBytes &+= UInt64(start &- own.pointee.next)
        own.pointee.marks.insert(.gap)
        own.pointee.next = start
    }

    /// Ends what a direction has waited for too long.
    @inline(__always)
    private func expire(_ place: Int32, _ time: Int64, _ context: borrowing Context) {
        let own = directions.state(at: place)
        while !own.pointee.waiting.isEmpty {
            if config.gapTimeout == 0 || time &- own.pointee.since <= config.gapTimeout { return }
            guard unblock(place, time, context) else { return }
        }
    }

    /// Ends by the policy what the first waiting segment of a direction waits for; false when that is to be waited for.
    private func unblock(_ place: Int32, _ time: Int64, _ context: borrowing Context) -> Bool {
        for side in [place, place ^ 1] where hasHole(directions.state(at: side)) {
            switch config.onGap {
            case .wait: return false
            case .dropFlow: dropFlow(side, context)
            case .skip:
                let own = directions.state(at: side)
                leaveOut(own, upTo: held.nodes[Int(own.pointee.waiting.first)].start)
                drain(side, time, context)
            }
            return true
        }
        directions.state(at: place).pointee.marks.insert(.unawaited)
        drain(place, time, context)
        return true
    }

    /// Lets go what waits no longer, on both sides: what leaves on one may be what the other waits for.
    private func drain(_ place: Int32, _ time: Int64, _ context: borrowing Context) {
        var isMoving = true
        while isMoving {
            isMoving = advance(place, time, context)
            if advance(place ^ 1, time, context) { isMoving = true }
        }
    }

    /// Lets go what waits no longer in a direction; false when all of it still waits.
    private func advance(_ place: Int32, _ time: Int64, _ context: borrowing Context) -> Bool {
        let own = directions.state(at: place)
        var isMoving = false
        while !own.pointee.waiting.isEmpty {
            let isEnded = own.pointee.marks.contains(.ended)
            let node = held.nodes[Int(own.pointee.waiting.first)]
            let isNew = TCPSequence.precedes(own.pointee.next, node.end)
            let closes = !isEnded && node.closing != .none && node.end == own.pointee.next
            if closes || isNew && !isEnded {
                if hasHole(own) { break }
                if isAhead(node, place, context) { break }
            }
            isMoving = true
            _ = held.removeFirst(from: &own.pointee.waiting)
            context.resume(node.item, turn)
            if isEnded, isNew {
                context.drop(node.item, Drop.afterEnd)
            } else if isNew || closes {
                deliver(node.item, node.start, node.end, node.captured, node.closing, own, context)
            } else {
                counters.again &+= 1
                rest(node.item, context)
            }
        }
        if !isMoving { return false }
        delist(place)
        if !own.pointee.waiting.isEmpty { enlist(place, time) }
        return true
    }

    /// Drops what waits, and all that still comes of the connection.
    private func dropFlow(_ place: Int32, _ context: borrowing Context) {
        for side in [place, place ^ 1] {
            directions.state(at: side).pointee.marks.insert(.dropped)
            clear(side, .flowDropped, context)
        }
    }

    /// Drops what waits in a direction.
    private func clear(_ place: Int32, _ reason: Drop, _ context: borrowing Context) {
        let own = directions.state(at: place)
        while !own.pointee.waiting.isEmpty {
            let node = held.removeFirst(from: &own.pointee.waiting)
            context.resume(node.item, turn)
            context.drop(node.item, reason)
        }
        delist(place)
    }

    /// Puts a direction with a hole behind the others.
    private func enlist(_ place: Int32, _ time: Int64) {
        directions.state(at: place).pointee.since = time
        holes.append(place, links)
    }

    /// Takes a direction out of the list of those with holes, if it is there.
    private func delist(_ place: Int32) {
        let own = directions.state(at: place)
        if own.pointee.link.isListed { holes.remove(place, links) }
    }

    /// Settles a segment with those that wait, so that all agree on every byte they share. True when it brings nothing: the
    /// same bytes wait already, with the same range. One that `leaves` at once keeps its bytes against those that acknowledge
    /// what was not sent yet: these the receiver may never take.
    @discardableResult
    private func settle(
        _ i: Int32,
        _ segment: Segment,
        _ place: Int32,
        leaves: Bool,
        _ context: borrowing Context
    ) -> Bool {
        let own = directions.state(at: place)
        guard segment.size > 0, TCPSequence.precedes(segment.start, own.pointee.waiting.farthest) else { return false }
        var isKnown = false
        var isConflict = false
        var isOverlap = false
        // First the segments that keep their bytes write them to the new one, then the new one writes to those that yield: a
        // byte that any segment keeps is kept by all.
        for keeps in [true, false] {
            var n = own.pointee.waiting.first
            while n >= 0, TCPSequence.precedes(held.nodes[Int(n)].start, segment.end) {
                let node = held.nodes[Int(n)]
                n = node.next
                guard TCPSequence.precedes(segment.start, node.end) else { continue }
                isOverlap = true
                if node.start == segment.start, node.end == segment.end, node.captured >= segment.captured {
                    isKnown = true
                }
                var yields = config.overlap.yields(
                    start: TCPSequence.distance(segment.start, from: node.start),
                    end: TCPSequence.distance(segment.end, from: node.end)
                )
                if leaves, isAhead(node, place, context) { yields = true }
                if yields == keeps { continue }
                let isChanged =
                    keeps
                    ? agree(i, segment.start, segment.captured, node.item, node.start, node.captured, context)
                    : agree(node.item, node.start, node.captured, i, segment.start, segment.captured, context)
                if isChanged {
                    isConflict = true
                    context[node.item].flags.insert(.conflict)
                    context[i].flags.insert(.conflict)
                }
                context[node.item].flags.insert(.overlapped)
            }
        }
        if isOverlap { counters.overlaps &+= 1 }
        if isConflict { counters.conflicts &+= 1 }
        return isKnown && !isConflict
    }

    /// Gives the bytes that two segments share the values they have in the second; true when they had others.
    private func agree(
        _ target: Int32,
        _ targetStart: UInt32,
        _ targetSize: UInt32,
        _ source: Int32,
        _ sourceStart: UInt32,
        _ sourceSize: UInt32,
        _ context: borrowing Context
    ) -> Bool {
        let offset = TCPSequence.distance(sourceStart, from: targetStart)
        let from = max(offset, 0)
        let to = min(Int32(targetSize), offset &+ Int32(sourceSize))
        guard from < to else { return false }
        let count = Int(to - from)
        func bytes(_ i: Int32, _ at: Int32) -> UnsafeMutableRawPointer {
            context[i].writableData + Int(context[i].payload) + Int(at)
        }
        work.compared += count
        let new = bytes(source, from - offset)
        if areEqual(bytes(target, from), new, count) { return false }
        context.own(target)
        bytes(target, from).copyMemory(from: new, byteCount: count)
        work.copied += count
        return true
    }

    private func areEqual(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Bool {
        var k = 0
        while k + 8 <= count {
            if a.loadUnaligned(fromByteOffset: k, as: UInt64.self)
                != b.loadUnaligned(fromByteOffset: k, as: UInt64.self)
            {
                return false
            }
            k += 8
        }
        while k < count {
            if a.byte(k) != b.byte(k) { return false }
            k += 1
        }
        return true
    }

    // MARK: Ends

    public override var memoryBytes: Int { config.bytes }

    public override func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {
        let forward = TCPReassembler.direction(0, of: flow)
        guard directions[forward] != nil else { return }
        let time = context.origin.time
        turn = Turn(number: context.origin.turn, now: context.origin.now)
        for place in forward.index...forward.index + 1 {
            while !directions.state(at: place).pointee.waiting.isEmpty, unblock(place, time, context) {}
        }
        for side: Int32 in 0...1 {
            clear(forward.index + side, .gap, context)
            directions.end(TCPReassembler.direction(side, of: flow))
        }
        count(context)
    }
}
