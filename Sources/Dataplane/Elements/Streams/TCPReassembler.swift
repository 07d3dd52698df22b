// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Puts the segments of TCP connections in order: packets on `stream` carry, as their payload, the next bytes of their
/// direction and nothing else (RFC 9293 section 3.10.7.4).
///
/// A segment that brings the next bytes leaves at once, unchanged and without copying. One that comes early waits for those
/// before it; one that repeats known bytes is cut to what is new, or leaves on `rest` if nothing is. A FIN or RST leaves after
/// the last byte before it, and the first packet of every connection leaves on `stream` too, with an empty payload if it brings
/// no bytes, and marked if no receiver accepts it: so every follower sees each connection begin. All other packets, including
/// those of other protocols, leave on `rest`. If bytes are missing, the packet after the gap is marked; its sequence number
/// tells how many.
///
/// A direction begins at its SYN; if the SYN was not captured, at the number that the other side's SYN-ACK acknowledges;
/// otherwise at its first packet. A SYN that nobody answers is given up where both sides go on with a connection that was there before,
/// after a silence or before the capture: what does not follow the SYN waits until the other side acknowledges it. Only what the receiver
/// would accept counts:
/// - segments with bytes or FIN must carry ACK or SYN, and lie in the window as far as it is known;
/// - SYN must open its direction: segments with a later one bring nothing (RFC 5961 section 4);
/// - timestamps must not run backwards (PAWS, RFC 7323 section 5), if both SYNs had one or were not captured, and none was
///   seen 24 days before;
/// - a RST counts only with exactly the next sequence number (RFC 5961 section 3.2), also behind bytes that are missing, unless
///   these come later; if that number is unknown, only if it
///   acknowledges everything sent, begins where the other side's acknowledgments are, or is the first packet of its connection
///   and has ACK and payload; its payload belongs to the stream;
/// - acknowledgments must be no older than the window (RFC 5961 section 5.2), and before the SYN of the other side is acknowledged
///   none may be of anything before it; a SYN-ACK must answer the SYN that was seen, and of two the client tells which it took; what
///   opens a direction whose SYN-ACK was not captured comes behind an acknowledgment of the client;
/// - segments must have an MD5 or AO option (RFC 2385, RFC 5925) if the SYN had one, and none if not;
/// - bytes wait for the answer to their SYN, and those in the SYN count as far as it acknowledges them;
/// - with `checksum: verify` the TCP checksum must be correct, and with `min_ttl` the packet's TTL must be at least that.
///
/// A receiver may not have got what has left, and may take another copy, which can differ. With `remember`, bytes are
/// remembered until they are acknowledged, at most `flow_bytes` of one direction; a copy that differs is counted
/// (`inconsistent`), a record leaves on `conflicts`, and the packet is marked, as are those of which a part can no longer be
/// compared, copies of bytes that still wait, and, once a RST, the ends of both sides or a further SYN were seen, copies of what had been
/// acknowledged before: so a firewall behind can drop them. When `remember` is reached, the oldest bytes of the direction that has most are
/// forgotten, of the eight remembered for longest and the one that asks.
///
/// Packets may have been captured in a different order than they were sent, such as a response before its request. So a packet
/// that acknowledges bytes of the other side waits, as if behind a hole, until these have left: packets leave in order of cause
/// and effect. Bytes that the capture lost thus hold both sides back, until `gap_timeout` is over. This does not apply if
/// `on_gap` is wait, and nothing is awaited from a side that was not captured; only the answer to a SYN is, for 3 s, or with `remember`
/// for `gap_timeout`.
///
/// If waiting segments overlap and differ, `overlap` decides whose bytes count; bytes that have left cannot change. `on_gap`
/// decides about missing bytes:
/// - `skip`: when a direction has waited for `gap_timeout` and its receiver, if seen, has acknowledged what is missing, holds more
///   than `flow_bytes` or `flow_segments`, or ends, the hole is skipped and the packet after it is marked;
/// - `wait`: holes are waited for; what no longer fits, and what waits at the end, is dropped;
/// - `drop_flow`: where `skip` would skip a hole, the rest of the connection is dropped.
///
/// All connections together hold at most `bytes` and `segments`: beyond that the policy is applied to the oldest hole at once.
/// Captures that lack packets have holes that nobody fills, and those are the oldest. On a wire a hole is filled sooner or
/// later, and whoever opens many can have those of others skipped: there `wait` is right, which drops what finds no room, and it is
/// sent again.
public final class TCPReassembler: Element {
    public struct Config: ElementConfig {
        /// What happens to a hole.
        public enum GapPolicy: String, CaseIterable, Sendable {
            case skip, wait
            case dropFlow = "drop_flow"
        }
        /// What happens to segments with urgent data.
        public enum UrgentPolicy: String, CaseIterable, Sendable { case keep, drop }
        /// Whether TCP checksums are verified.
        public enum ChecksumPolicy: String, CaseIterable, Sendable { case ignore, verify }
        /// Whose bytes count if waiting segments differ.
        public var overlap = OverlapPolicy.first
        /// What happens to a hole.
        public var onGap = GapPolicy.skip
        /// Whether TCP checksums are verified.
        public var checksum = ChecksumPolicy.ignore
        /// Packets with a smaller TTL or hop limit do not reach the receiver.
        public var minTTL = 0
        /// What happens to segments with urgent data, of which receivers take a byte out of the stream, or do not.
        public var urgent = UrgentPolicy.keep
        /// Nanoseconds that a hole may stay open while packets of its connection arrive; 0 for no limit.
        public var gapTimeout: Int64 = 120_000_000_000
        /// The most bytes that one direction may hold.
        public var flowBytes = 1 << 20
        /// The most segments that one direction may hold.
        public var flowSegments = 1024
        /// The most bytes that all connections may hold.
        public var bytes = 64 << 20
        /// The most segments that all connections may hold; at most this element's share of half the pool.
        public var segments = 8192
        /// The most bytes that are remembered of all connections until they are acknowledged; 0 for none.
        public var remember = 0
        /// Columns with the same text in every record of a conflict, behind the others.
        public var labels: [Label] = []
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case badChecksum, lowTtl, urgent, badHeaderLength, noAck, wrongAck, signature, outOfWindow, oldTimestamp,
            afterEnd,
            noRoom, copies, gap, flowDropped
        public var about: String {
            switch self {
            case .badChecksum: "its TCP checksum is wrong and `checksum` is verify"
            case .lowTtl: "its TTL or hop limit is below `min_ttl`"
            case .urgent: "it has urgent data and `urgent` is drop"
            case .badHeaderLength: "its TCP header is stated shorter than 20 bytes, or longer than the packet"
            case .noAck: "it carries bytes or FIN but neither ACK nor SYN, which no receiver takes"
            case .wrongAck:
                "it acknowledges what was acknowledged more than a window before, or a SYN that was not sent"
            case .signature: "it has an MD5 or AO option and its SYN had none, or the reverse"
            case .outOfWindow: "its bytes lie beyond anything that the receiver's window can have allowed"
            case .oldTimestamp: "its timestamp is older than one already seen (PAWS)"
            case .afterEnd: "its direction has ended with FIN or RST before its bytes"
            case .noRoom: "it came early, what may wait is full, and `on_gap` is wait"
            case .copies: "its bytes wait already, in 32 copies or more"
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
            Output(
                "conflicts",
                .kind(.record("conflict")),
                optional: true,
                "a record of each copy of bytes that differs"
            ),
        ]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("overlap", \.overlap, "whose bytes count where waiting segments overlap and differ"),
        .init("on_gap", \.onGap, "what becomes of missing bytes"),
        .init("checksum", \.checksum, "whether segments with a wrong TCP checksum are dropped"),
        .init("min_ttl", \.minTTL, in: 0...255, "the least TTL or hop limit of packets that reach the receiver"),
        .init(
            "urgent",
            \.urgent,
            "what becomes of segments with urgent data, of which receivers take a byte out or do not"
        ),
        .init(
            "gap_timeout",
            duration: \.gapTimeout,
            in: 0...86_400_000_000_000,
            "how long bytes that the capture lost are waited for while their connection goes on; 0 = for ever"
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
        .init(
            "remember",
            size: \.remember,
            in: 0...17_179_869_184,
            "bytes remembered of all connections until they are acknowledged, to compare copies with; 0 = none"
        ),
        .init("labels", labels: \.labels, "columns that hold the same text in every record of `conflicts`"),
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
        Handler<TCPReassembler>(
            "inconsistent",
            "segments whose bytes differed from what had left and is not acknowledged"
        ) {
            Int($0.counters.inconsistent)
        },
        Handler<TCPReassembler>("unknown", "segments of which a part could not be compared, as it was not remembered") {
            Int($0.counters.unknown)
        },
        Handler<TCPReassembler>("forgotten", "bytes forgotten before they were acknowledged, for lack of room") {
            Int($0.sent.forgotten)
        },
        Handler<TCPReassembler>("missed", "records that were not made since the pool was empty") {
            Int($0.counters.missed)
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
    public static let operations: [Operation] = [.parse, .update, .checksumBytes, .payloadBytes, .copyBytes, .record]
    public static func heldItems(_ config: Config) -> Int { config.segments }
    public static let stateBytesPerFlow = 2 * FlowArray<TCPDirection>.bytesPerFlow
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
        Example(
            "a copy that differs from what has left, and is not acknowledged, is recorded",
            config: "{remember: 64 KiB}",
            in: [
                "in": [
                    "10.0.0.1:1000 > 10.0.0.2:80 S seq=99", "10.0.0.2:80 > 10.0.0.1:1000 SA seq=499 ack=100",
                    "10.0.0.1:1000 > 10.0.0.2:80 PA seq=100 ack=500 data=\"GET /index\"",
                    "10.0.0.1:1000 > 10.0.0.2:80 PA seq=100 ack=500 data=\"GET /admin\"",
                ]
            ],
            out: [
                "stream": ["10.0.0.1:1000 > 10.0.0.2:80 S", "10.0.0.1:1000 > 10.0.0.2:80 PA data=\"GET /index\""],
                "rest": ["10.0.0.2:80 > 10.0.0.1:1000 SA", "10.0.0.1:1000 > 10.0.0.2:80 PA data=\"GET /admin\""],
                "conflicts": ["src=10.0.0.1 direction=forward sequence=105 before=index now=admin"],
            ]
        ),
    ]

    // MARK: State

    struct Counters: BitwiseCopyable {
        var connections: UInt64 = 0
        var streamBytes: UInt64 = 0
        var early: UInt64 = 0
        var again: UInt64 = 0
        var overlaps: UInt64 = 0
        var conflicts: UInt64 = 0
        var inconsistent: UInt64 = 0
        var unknown: UInt64 = 0
        var missed: UInt64 = 0
        var gaps: UInt64 = 0
        var gapBytes: UInt64 = 0
        var resetsIgnored: UInt64 = 0
        var urgent: UInt64 = 0
    }
    /// Bytes counted by operations, beyond those of every packet.
    struct Work: BitwiseCopyable {
        var summed = 0
        var compared = 0
        var copied = 0
    }

    let config: Config
    /// Both directions of each flow, as flows of their own: 2 * index for forward, the next for reverse. So `place ^ 1` is the
    /// opposite direction.
    let directions: FlowArray<TCPDirection>
    let held: HeldSegments
    /// Bytes that left and are not acknowledged.
    let sent: SentBytes
    /// Such bytes are remembered.
    let remembers: Bool
    let conflictLayout: UInt16
    /// Bytes of the fields of such a record.
    let conflictSize: Int
    let labels: LabelColumns
    /// Neither checksum nor TTL is checked.
    private let isPlain: Bool
    /// Packets wait for the bytes that they acknowledge.
    let isCausal: Bool
    var counters = Counters()
    var work = Work()
    /// The current turn: a waiting segment that is released takes the turn of what it waited for.
    var turn = Turn(number: 0, now: 0)
    /// Directions with holes, the oldest hole first.
    var holes = IndexList()
    let links: IndexList.Links

    public init(_ config: Config, _ setup: Setup) throws {
        self.config = config
        directions = try FlowArray(flows: 2 * setup.flows)
        links = directions.links(at: \.link)
        held = try HeldSegments(capacity: max(1, min(config.segments, setup.items)))
        remembers = config.remember > 0
        sent = try SentBytes(
            capacity: config.remember,
            share: config.flowBytes,
            lists: directions.column(at: \.sent),
            links: directions.links(at: \.sent.link)
        )
        labels = try LabelColumns(config.labels, besides: TCPReassembler.conflictColumns.map(\.0))
        let layout = Layout("conflict", TCPReassembler.conflictColumns + labels.columns)
        conflictSize = layout.size
        conflictLayout = setup.layouts.register(layout)
        isPlain = config.checksum == .ignore && config.minTTL == 0
        isCausal = config.onGap != .wait
        super.init()
    }

    /// One direction of a flow, as its flow in `directions`: 0 forward, 1 reverse.
    @inline(__always)
    private static func direction(_ side: Int32, of flow: FlowRef) -> FlowRef {
        FlowRef(index: flow.index &<< 1 | side, generation: flow.generation)
    }

    // MARK: The fast path

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        // It has ports, and no earlier reassembler has cut bytes from its front.
        let asked = ItemFlags.transport.rawValue | ItemFlags.overlapped.rawValue
        for k in 0..<batch.count {
            directions.prefetch(TCPReassembler.direction(0, of: batch[k].flow))
        }
        var streamBytes: UInt64 = 0
        // If more than the header is checked, no packet takes the fast path.
        let usual = isPlain ? batch.count : 0
        for k in usual..<batch.count { accept(batch.index[k], context) }
        for k in 0..<usual {
            let p = batch[k]
            let flags = p.flags.rawValue
            let reverse = Int32(flags &>> 2) & 1
            let side = TCPReassembler.direction(reverse, of: p.flow)
            if let own = directions[side], p.ipProtocol == IPProtocol.tcp, flags & asked == ItemFlags.transport.rawValue
            {
                let other = directions.state(own, plus: 1 &- 2 &* Int(reverse))
                let size = p.ipEnd &- UInt32(p.payload)
                let tcp = TCPView(known: p)
                if own.pointee.isUsual, HeldSegments.List.areEmpty(own.pointee.waiting, other.pointee.waiting),
                    tcp.sequenceNumber == own.pointee.next, tcp.flags.isPlainACK,
                    size != 0, p.ipEnd <= p.length, UInt32(p.payload) < p.ipEnd,
                    other.pointee.isUsual(acknowledgment: tcp.acknowledgmentNumber)
                        || !other.pointee.marks.contains(.synced),
                    own.pointee.takesTimestamp(of: tcp, at: p.time)
                {
                    // The next bytes, as nearly always.
                    other.pointee.acknowledge(tcp.acknowledgmentNumber)
                    if remembers { remember(p, p.payloadBytes, Int(size), at: tcp.sequenceNumber, of: own) }
                    own.pointee.next &+= size
                    streamBytes &+= UInt64(size)
                    own.pointee.offer(window: UInt32(tcp.window), to: &other.pointee)
                    context.emit(batch.index[k], 0)
                    continue
                }
            }
            accept(batch.index[k], context)
        }
        counters.streamBytes &+= streamBytes
        context.did(.parse, batch.count)
        context.did(.update, batch.count)
        count(context)
    }

    /// Whether packets that acknowledge the direction's next bytes are waiting for them.
    @inline(__always)
    private func isAwaited(_ direction: TCPDirection) -> Bool { isCausal && direction.isAwaited }

    /// Counts operations beyond the usual ones.
    private func count(_ context: borrowing Context) {
        if work.summed > 0 { context.did(.checksumBytes, work.summed) }
        if work.compared > 0 { context.did(.payloadBytes, work.compared) }
        if work.copied > 0 { context.did(.copyBytes, work.copied) }
        work = Work()
    }

    // MARK: The slow path

    /// Handles a packet that is not simply the next bytes of a known connection.
    @inline(never)
    private func accept(_ i: Int32, _ context: borrowing Context) {
        let p = context[i]
        turn = context.turn(of: i)
        guard p.ipProtocol == IPProtocol.tcp, p.hasTransport, let isFirst = begin(p.flow) else {
            return bypass(i, context)
        }
        let place = TCPReassembler.direction(p.isReverse ? 1 : 0, of: p.flow).index
        let own = directions.state(at: place)
        let other = directions.state(at: place ^ 1)
        expire(place, at: turn.now, context)
        expire(place ^ 1, at: turn.now, context)
        if own.pointee.marks.contains(.dropped) { return reject(i, for: .flowDropped, isFirst: isFirst, context) }
        if p.isRefused { return isFirst ? emitWithoutPayload(i, context) : bypass(i, context) }
        if !TCPReach.hasHops(p, least: config.minTTL) { return reject(i, for: .lowTtl, isFirst: isFirst, context) }
        if config.checksum == .verify, !TCPReach.isChecksumRight(p, summed: &work.summed) {
            return reject(i, for: .badChecksum, isFirst: isFirst, context)
        }
        var segment = TCPSegment(p)
        if segment.isSYNACK, config.checksum == .ignore {
            segment.isDoubtful = !TCPReach.isChecksumRight(p, summed: &work.summed)
        }
        if segment.flags.isURG {
            counters.urgent &+= 1
            // Its receiver would take it: it must not leave even as the first packet of its connection.
            if config.urgent == .drop { return context.drop(i, Drop.urgent) }
        }
        if own.pointee.isLeftBehind(by: segment, other: other.pointee) {
            clear(place, for: .outOfWindow, context)
            sent.forget(place)
        }
        let wasAnswered = other.pointee.marks.contains(.answered)
        let judgement = own.pointee.judge(
            segment,
            other: &other.pointee,
            isFirst: isFirst,
            at: turn.now,
            isCausal: isCausal
        )
        if judgement.movesOther {
            clear(place ^ 1, for: .wrongAck, context)
            sent.forget(place ^ 1)
        }
        var position = judgement.place
        if !wasAnswered, !other.pointee.waiting.isEmpty {
            if other.pointee.marks.contains(.answered) { dropRefused(place ^ 1, context) }
            drain(place ^ 1, at: turn.now, context)
            // What waited for the other side may have left, too.
            switch position {
            case .next, .early: position = own.pointee.place(of: segment)
            case .refused, .nothingNew, .ignoredReset, .repeatedSYN: break
            }
        }
        dispatch(i, segment, position, at: place, isFirst: isFirst, context)
    }

    /// Begins the state of a connection at its first packet here; true if this is that packet, nil if there is no flow.
    @inline(__always)
    private func begin(_ flow: FlowRef) -> Bool? {
        if directions[TCPReassembler.direction(0, of: flow)] != nil { return false }
        for side: Int32 in 0...1 {
            guard directions.begin(TCPReassembler.direction(side, of: flow), TCPDirection()) != nil else { return nil }
        }
        counters.connections &+= 1
        return true
    }

    /// Handles a segment according to its position in its direction.
    func dispatch(
        _ i: Int32,
        _ segment: TCPSegment,
        _ position: TCPDirection.Place,
        at place: Int32,
        isFirst: Bool = false,
        _ context: borrowing Context
    ) {
        let own = directions.state(at: place)
        switch position {
        case .refused(.wrongAck) where segment.size == 0 && !segment.isSYN && !segment.isFIN && !isFirst:
            // It brings nothing, and who is asked what it does not know answers, so that both ends find together again (RFC 9293
            // section 3.5.1).
            bypass(i, context)
        case .refused(let fault): reject(i, for: Drop(fault), isFirst: isFirst, context)
        case .ignoredReset:
            counters.resetsIgnored &+= 1
            if isFirst { emitRefused(i, context) } else { bypass(i, context) }
        case .repeatedSYN:
            // It may begin another connection, and its bytes be the first of that.
            if remembers, segment.size > 0, segment.start != own.pointee.start { context[i].flags.insert(.unread) }
            if own.pointee.isOverlapped(byConnection: segment) { doubt(place) }
            bringsNothing(i, segment, at: place, isFirst: isFirst, context)
        case .nothingNew: bringsNothing(i, segment, at: place, isFirst: isFirst, context)
        case .next(let ending):
            if segment.isACK, isAhead(segment.acknowledgment, at: place) {
                return hold(i, segment, ending, at: place, context)
            }
            if segment.isRST {
                // Its receiver has what waits without a hole before it.
                if !own.pointee.waiting.isEmpty, !hasHole(own), segment.sequence != own.pointee.waiting.farthest {
                    return dispatch(i, segment, .ignoredReset, at: place, context)
                }
            } else if own.pointee.isUnanswered {
                return hold(i, segment, ending, at: place, context)
            }
            if !own.pointee.waiting.isEmpty {
                resolveOverlap(i, segment, at: place, leaves: true, context)
                if hasHole(own) { own.pointee.marks.insert(.filled) }
            }
            deliver(HeldSegments.Node(i, segment, ending), own, context)
            drain(place, at: turn.now, context)
        case .early(let ending): hold(i, segment, ending, at: place, context)
        }
    }

    /// What either side has acknowledged no longer counts.
    private func doubt(_ place: Int32) {
        for side in [place, place ^ 1] { directions.state(at: side).pointee.marks.insert(.doubted) }
    }

    // MARK: Cause and effect

    /// Whether a packet that acknowledges up to `number` has to wait for bytes of the other side.
    func isAhead(_ number: UInt32, at place: Int32) -> Bool {
        let own = directions.state(at: place)
        let other = directions.state(at: place ^ 1)
        guard isAwaited(other.pointee) else { return false }
        if TCPSequence.distance(number, from: other.pointee.next) <= 0 {
            own.pointee.marks.remove(.unawaited)
            return false
        }
        guard other.pointee.mayHaveSent(number) else { return false }
        return !own.pointee.marks.contains(.unawaited) || hasHole(other)
    }

    /// Whether a waiting segment acknowledges bytes of the other side that have not left.
    func isAhead(_ node: HeldSegments.Node, at place: Int32, _ context: borrowing Context) -> Bool {
        let tcp = TCPView(known: context[node.item])
        return tcp.flags.isACK && isAhead(tcp.acknowledgmentNumber, at: place)
    }

    // MARK: Emitting packets

    /// Emits a packet that brings no bytes of a stream.
    func bypass(_ i: Int32, _ context: borrowing Context) {
        if context.isConnected(1) { context.emit(i, 1) } else { context.use(i) }
    }

    /// Emits a segment that brings nothing; it has only changed what it tells about the other side.
    private func bringsNothing(
        _ i: Int32,
        _ segment: TCPSegment,
        at place: Int32,
        isFirst: Bool,
        _ context: borrowing Context
    ) {
        if segment.size > 0 {
            counters.again &+= 1
            if remembers, !segment.isRST { compare(i, segment, upTo: segment.end, at: place, context) }
        }
        if isFirst { emitWithoutPayload(i, context) } else { bypass(i, context) }
    }

    /// The first packet of a connection leaves on `stream` whatever it is, with an empty payload.
    private func emitWithoutPayload(_ i: Int32, _ context: borrowing Context) {
        let p = context[i]
        p.ipLength = UInt32(p.payload) &- UInt32(p.l3)
        context.emit(i, 0)
    }

    /// Emits the first packet of a connection if none of it counts.
    private func emitRefused(_ i: Int32, _ context: borrowing Context) {
        let p = context[i]
        p.flags.insert(.refused)
        if remembers, p.ipEnd > UInt32(p.payload) { p.flags.insert(.unread) }
        emitWithoutPayload(i, context)
    }

    /// Drops a packet that no receiver accepts, unless a connection begins with it.
    private func reject(_ i: Int32, for reason: Drop, isFirst: Bool, _ context: borrowing Context) {
        if isFirst { emitRefused(i, context) } else { context.drop(i, reason) }
    }

    /// Emits the part of a segment that begins with the next byte.
    func deliver(
        _ segment: HeldSegments.Node,
        _ own: UnsafeMutablePointer<TCPDirection>,
        _ context: borrowing Context
    ) {
        let p = context[segment.item]
        let known = own.pointee.next &- segment.start
        if known > 0 {
            if remembers {
                let place = directions.index(of: own)
                compare(segment.item, TCPSegment(p), upTo: own.pointee.next, at: place, context)
            }
            if segment.end != own.pointee.next { counters.overlaps &+= 1 }
            p.flags.insert(.overlapped)
        }
        if own.pointee.takesGap() { p.flags.insert(.gap) }
        let size = segment.end &- segment.start
        if max(segment.captured, known) < size {
            // The capture was truncated: what follows comes after a gap that nothing will fill.
            counters.gaps &+= 1
            counters.gapBytes &+= UInt64(size &- max(segment.captured, known))
            own.pointee.marks.insert(.gap)
        }
        let cut = min(known, segment.captured)
        cutFront(of: segment.item, by: cut, context)
        counters.streamBytes &+= UInt64(segment.captured &- cut)
        if remembers, segment.captured > cut {
            remember(p, p.payloadBytes, Int(segment.captured &- cut), at: segment.start &+ cut, of: own)
        }
        own.pointee.next = segment.end
        if segment.ending != .none { own.pointee.marks.insert(.ended) }
        if segment.ending == .rst { doubt(directions.index(of: own)) }
        context.emit(segment.item, 0)
    }

    /// Removes bytes from the beginning of a payload.
    private func cutFront(of i: Int32, by count: UInt32, _ context: borrowing Context) {
        if count == 0 { return }
        let p = context[i]
        let payload = UInt32(p.payload)
        if payload + count <= UInt32(UInt16.max) {
            p.payload = UInt16(payload + count)
            return
        }
        // Offsets have 16 bits: beyond that the bytes move, and the sequence number with them.
        context.own(i)
        let start = p.writableData + Int(payload)
        let left = max(0, Int(p.length) - Int(payload + count))
        start.copyMemory(from: start + Int(count), byteCount: left)
        let tcp = MutableTCPView(known: p)
        tcp.sequenceNumber = tcp.sequenceNumber &+ count
        p.length -= count
        p.ipLength -= count
        work.copied += left
    }

    // MARK: Ends

    public override var memoryBytes: Int { config.bytes + config.remember }

    public override func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {
        let forward = TCPReassembler.direction(0, of: flow)
        guard directions[forward] != nil else { return }
        let time = context.origin.now
        turn = Turn(number: context.origin.turn, now: context.origin.now)
        // Another connection has begun: what waited for bytes of this one must not reach it unread.
        let isDropped = remembers && reason == .reused
        for place in forward.index...forward.index + 1 where !isDropped {
            while !directions.state(at: place).pointee.waiting.isEmpty, unblock(place, at: time, context) {}
        }
        for side: Int32 in 0...1 {
            clear(forward.index + side, for: .gap, context)
            sent.forget(forward.index + side)
            directions.end(TCPReassembler.direction(side, of: flow))
        }
        count(context)
    }
}

extension TCPReassembler.Drop {
    fileprivate init(_ fault: TCPDirection.Fault) {
        self =
            switch fault {
            case .badHeaderLength: .badHeaderLength
            case .noAck: .noAck
            case .wrongAck: .wrongAck
            case .signature: .signature
            case .outOfWindow: .outOfWindow
            case .oldTimestamp: .oldTimestamp
            case .afterEnd: .afterEnd
            }
    }
}
