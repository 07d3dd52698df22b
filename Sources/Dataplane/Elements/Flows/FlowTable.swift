// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux

/// Finds the flow of every packet: one conversation, both directions, by addresses, ports and protocol. VLAN tags and tunnels tell no
/// flows apart: the same ends in two VLANs are one.
///
/// The look-up is done once; the flow then travels with the packet, and elements downstream keep their state in arrays. The
/// forward side is the client: who sent the SYN, or to whom the SYN-ACK was sent; otherwise the side whose port is not among
/// the system ports, 0 to 1023, if the other's is (RFC 6335 section 6); otherwise the side whose packet came first.
///
/// If `miss` is connected, packets of unknown flows leave there, and packets that arrive at `insert` create flows. Otherwise an
/// unknown packet creates its flow and leaves on `hit`.
///
/// A flow ends when it had no packet for longer than `idle`, when its 4-tuple is reused, or when the table is full and needs
/// room. FIN and RST do not end a flow: late packets still belong to it. A TCP SYN without ACK whose initial sequence number
/// differs from the SYN its direction began with, or whose direction began with anything else,
/// begins a new connection and ends the old flow if the old connection is known to be closed: both sides have sent FIN, each
/// acknowledged by the other, or one has sent a RST with the number that the other expected next. Otherwise a receiver would
/// answer that SYN with a challenge ACK and go on (RFC 5961 section 4): the flow goes on, and ends when the other side answers
/// the SYN with SYN-ACK or RST. If nothing was captured of the other side, the SYN is believed at once, or, if only another SYN
/// was before it, when its sender goes on behind it; also if a flow began with a FIN or a RST with bytes, and nothing of
/// the other side followed. With `checksum: verify` segments with a wrong TCP checksum say nothing of all this, nor, with `min_ttl`,
/// those with a smaller TTL: no receiver accepts them.
///
/// Whether a receiver took what seemed to close a connection cannot be seen from here. A firewall, which also drops packets
/// itself, sets `reuse: answered`: then only the SYN-ACK that answers a SYN begins a new flow.
///
/// If the path from `miss` to `insert` crosses the channel, packets of a flow are still on that slow path when its first one
/// returns and creates the flow. None may overtake them, so the flow is cut over in two phases: a marker takes the slow path
/// behind the last of them, and the fast path opens when it has returned. Until then further packets wait in the reorder buffer
/// (`cut_over: wait`), or take the slow path too (`cut_over: slow_path`): then another marker follows those, and a flow whose
/// packets arrive faster than markers return stays on the slow path. On one executor nothing is under way when the flow is
/// created.
///
/// The table is bounded. When it is full, `on_full: evict` ends the flow unused for longest, according to a second-chance list;
/// `on_full: drop` drops the packet: closed connections keep their place until `idle` ends them.
public final class FlowTable: Element {
    public struct Config: ElementConfig {
        /// What a full table gives up: the flow unused for longest, or the packet.
        public enum Policy: String, CaseIterable, Sendable { case evict, drop }
        /// Whether the TCP checksums of SYNs, FINs and RSTs are verified.
        public enum ChecksumPolicy: String, CaseIterable, Sendable { case ignore, verify }
        /// When the SYN of another connection between the same ends is believed.
        public enum Reuse: String, CaseIterable, Sendable { case closed, answered }
        /// What packets of a flow do while it is cut over from the slow path to the fast path.
        public enum CutOver: String, CaseIterable, Sendable {
            case wait
            case slowPath = "slow_path"
        }
        /// The maximum number of flows.
        public var capacity = 65_536
        /// Nanoseconds without a packet after which a flow ends; 0 for never.
        public var idle: Int64 = 300_000_000_000
        /// What a full table gives up.
        public var onFull = Policy.evict
        /// Whether the TCP checksum of a segment is verified before it may end a flow.
        public var checksum = ChecksumPolicy.ignore
        /// Segments with a smaller TTL or hop limit do not end a flow.
        public var minTTL = 0
        /// When the SYN of another connection between the same ends is believed: once the one before is closed, or only when it is
        /// answered.
        public var reuse = Reuse.closed
        /// What packets of a flow do while earlier ones are still on the slow path.
        public var cutOver = CutOver.wait
        public init() {}
    }
    public enum Drop: Int, DropReason, HeaderDropReason {
        case linkType, notIp, truncated, badVersion, badHeaderLength, badLength, noPorts, tableFull, badCommand
        public var about: String {
            switch self {
            case .noPorts: "it is cut, or too short, before its ports, so that no flow can be told"
            case .tableFull: "it would create a flow and the table is full"
            case .badCommand: "it is a command that is too short or names no addresses"
            default: aboutHeaders
            }
        }
    }
    public static let summary = "finds the flow of every packet"
    public static let category = Category.flows
    public static let depends = Depends.flow
    public static func inputs(_ config: Config) -> [Input] {
        let reads = config.checksum == .verify ? Reads.payload : .headers
        return [
            Input("in", .only(.packet), reads: reads, "IP packets"),
            Input(
                "insert",
                .oneOf([.packet, .command(FlowOpenCommand.layout.name)]),
                reads: reads,
                optional: true,
                "packets that create their flow, and commands to create one"
            ),
            Input(
                "end",
                .only(.command(FlowEndCommand.layout.name)),
                reads: .payload,
                optional: true,
                "commands to end a flow, whose connection was closed or reset"
            ),
        ]
    }
    public static func outputs(_: Config) -> [Output] {
        [
            Output("hit", .kind(.packet), "packets with their flow"),
            Output("miss", .kind(.packet), optional: true, "packets of unknown flows; unconnected, they create them"),
            Output(
                "inserted",
                .sameAs(input: 1),
                optional: true,
                "what came by `insert`, with its flow; unconnected, such packets leave on `hit`"
            ),
        ]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("capacity", \.capacity, in: 1...16_000_000, "flows the table has room for"),
        .init(
            "idle",
            duration: \.idle,
            in: 0...86_400_000_000_000,
            "a flow without a packet for longer than this ends; 0 = never"
        ),
        .init(
            "on_full",
            \.onFull,
            "what gives way when the table is full: an old flow, or the packet"
        ),
        .init("checksum", \.checksum, "whether segments with a wrong TCP checksum leave the flow that is there alone"),
        .init("min_ttl", \.minTTL, in: 0...255, "so do segments whose TTL or hop limit is less"),
        .init(
            "reuse",
            \.reuse,
            "when the SYN of another connection between the same ends is believed: once the one before is closed, or only when answered"
        ),
        .init(
            "cut_over",
            \.cutOver,
            "what packets of a new flow do while others are still on the slow path from `miss` to `insert`, across the channel"
        ),
    ]
    public static let handlers = [
        Handler<FlowTable>("flows", "flows in the table now") { $0.map.count },
        Handler<FlowTable>("created", "flows created") { Int($0.created) },
        Handler<FlowTable>("evicted", "flows ended to make room") { Int($0.evicted) },
        Handler<FlowTable>("idle", "flows ended by the idle time-out") { Int($0.idled) },
        Handler<FlowTable>("reused", "flows ended because their 4-tuple was used again") { Int($0.reused) },
        Handler<FlowTable>("cut_over", "flows that were cut over from a slow path behind a marker") { Int($0.cutOver) },
        Handler<FlowTable>("closed", "flows ended by command: their connection was closed or reset") { Int($0.closed) },
    ]
    public static let operations: [Operation] = [
        .parse, .hash, .lookup, .update, .timer, .checksumBytes, .insert, .remove,
    ]
    public static func shortestTimer(_ config: Config) -> ShortestTimer? {
        config.idle == 0 ? nil : .after(config.idle + 1)
    }
    public static let slowOutput: Int? = 1
    public static func flowCapacity(_ config: Config) -> Int? { config.capacity + FlowMap.spare }
    public static let examples = [
        Example(
            "both directions are one flow",
            in: [
                "in": [
                    "10.0.0.1:1000 > 10.0.0.2:80 S seq=7", "10.0.0.2:80 > 10.0.0.1:1000 SA seq=9 ack=8",
                ]
            ],
            out: [
                "hit": ["10.0.0.1:1000 > 10.0.0.2:80 S seq=7", "10.0.0.2:80 > 10.0.0.1:1000 SA seq=9 ack=8"]
            ]
        )
    ]

    private let map: FlowMap
    /// What SYNs, FINs and RSTs said, by flow.
    private let incarnations: ZeroedMemory<TCPIncarnation>
    /// Nanoseconds without a packet after which a flow ends; ``Int64/max`` for never.
    private let idle: Int64
    private let evicts: Bool
    private let verifies: Bool
    private let minTTL: Int
    /// A SYN is believed once the connection before it is closed.
    private let trustsEnds: Bool
    private let waits: Bool
    private var created: UInt64 = 0
    private var evicted: UInt64 = 0
    private var idled: UInt64 = 0
    private var reused: UInt64 = 0
    private var closed: UInt64 = 0
    private var cutOver: UInt64 = 0
    private let openLayout: UInt16
    /// The largest functional time seen.
    private var latest = Int64.min
    private var armed = false
    private let keys: UnsafeMutablePointer<Looked>

    /// The look-up key of a packet. IPv6 keys are longer; they are recomputed when needed.
    private struct Looked {
        var ends: UInt64
        var a0: UInt64
        var hash: UInt64
        /// 1 if the source is the upper end of the key.
        var upper: UInt8
    }
    /// The number of packets looked up together: their slots and records are fetched while others are processed.
    private static let stage = 64

    public init(_ config: Config, _ setup: Setup) throws {
        map = try FlowMap(capacity: config.capacity, key: setup.hashKey)
        incarnations = try ZeroedMemory(config.capacity + FlowMap.spare)
        idle = config.idle == 0 ? .max : config.idle
        evicts = config.onFull == .evict
        verifies = config.checksum == .verify
        minTTL = config.minTTL
        trustsEnds = config.reuse == .closed
        waits = config.cutOver == .wait
        openLayout = setup.layouts.register(FlowOpenCommand.layout)
        keys = .allocate(capacity: FlowTable.stage)
        keys.initialize(
            repeating: Looked(ends: 0, a0: 0, hash: 0, upper: 0),
            count: FlowTable.stage
        )
        super.init()
    }

    deinit {
        keys.deallocate()
        incarnations.deallocate()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        if input == 2 || input == 1 && openLayout == batch[0].layout {
            return obey(batch, from: input, context)
        }
        let missLeaves = context.isConnected(1)
        let insertedLeaves = context.isConnected(2)
        let inserts = input == 1 || !missLeaves
        let output = input == 1 && insertedLeaves ? 2 : 0
        let returns = input == 1 && missLeaves
        var start = 0
        while start < batch.count {
            let n = min(FlowTable.stage, batch.count &- start)
            start &+= look(
                Batch(items: batch.items, index: batch.index + start, count: n),
                inserts: inserts,
                returns: returns,
                output: output,
                context
            )
            // The last of them waits for a marker.
            if context.isAwaiting { break }
            if context.mustWait {
                context.again(batch, from: start)
                break
            }
        }
        let looked = context.isAwaiting ? start &+ 1 : start
        context.did(.parse, looked)
        context.did(.hash, looked)
        context.did(.lookup, looked)
    }

    /// Handles commands, until one of them must be through before the next. Commands and packets arrive on separate edges, and
    /// so in separate batches.
    private func obey(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        var k = 0
        while k < batch.count, !context.mustWait {
            if batch[k].layout == openLayout, input == 1 {
                open(batch.index[k], context)
            } else {
                close(batch.index[k], context)
            }
            k &+= 1
        }
        if k < batch.count { context.again(batch, from: k) }
        context.did(.parse, k)
        context.did(.lookup, k)
    }

    /// Creates, or finds, the flow that a command asks for, and writes it to the command.
    private func open(_ i: Int32, _ context: borrowing Context) {
        guard var command = FlowOpenCommand(context[i]) else { return context.drop(i, Drop.badCommand) }
        let (key, isUpper) = FlowKey.of(command.ends)
        let hash = map.hash(key)
        context.did(.hash, 1)
        let time = context.now(i)
        latest = max(latest, time)
        var flow = map.find(key, hash)
        if flow >= 0, time &- map.records[Int(flow)].last > idle {
            end(flow, .idle, because: i, context)
            flow = -1
        }
        if flow < 0 {
            flow = create(key, hash: hash, upperFirst: isUpper, at: time, because: i, context)
            if flow < 0 { return context.drop(i, Drop.tableFull) }
            if context.isConnected(1) { _ = beginCutOver(flow, context) }
        }
        map.records[Int(flow)].last = time
        command.flow = map.reference(flow)
        context.own(i)
        command.write(to: context[i])
        context[i].flow = command.flow
        context.did(.update, 1)
        if context.isConnected(2) { context.emitRound(i, 2) } else { context.use(i) }
    }

    /// Ends the flow that a command names, if it still exists.
    private func close(_ i: Int32, _ context: borrowing Context) {
        guard let command = FlowEndCommand(context[i]) else { return context.drop(i, Drop.badCommand) }
        if isThere(command.flow) { end(command.flow.index, command.isReset ? .reset : .finished, because: i, context) }
        context.use(i)
    }

    /// A packet that misses may come back and create its flow; the packets after it are then handed over again.
    public override var outputsThatStop: Set<Int>? { [1] }

    /// Looks up packets until one of them must be through before the next; returns how many were looked up.
    private func look(_ batch: Batch, inserts: Bool, returns: Bool, output: Int, _ context: borrowing Context) -> Int {
        let map = self.map
        let records = map.records
        let slots = map.slots
        let mask = map.mask
        let hashKey = map.key
        let keys = self.keys
        let idle = self.idle
        // First the keys of all packets, then all slots, then all records: each prefetched while others are processed.
        for k in 0..<batch.count {
            let p = batch[k]
            if p.ipVersion == 0, !Headers.locateUsual(p) { _ = Headers.locateSlowly(p) }
            let proto = p.ipProtocol
            if p.ipVersion == 4, _fastPath(proto == IPProtocol.tcp) || proto == IPProtocol.udp,
                p.flags.rawValue & (ItemFlags.transport.rawValue | ItemFlags.laterFragment.rawValue)
                    == ItemFlags.transport.rawValue
            {
                let (ends, a0, hash, upper) = FlowKey.of4(
                    p.data,
                    l3: Int(p.l3),
                    l4: Int(p.l4),
                    proto: proto,
                    hashKey
                )
                if a0 &>> 32 != a0 & 0xffff_ffff {
                    keys[k] = Looked(ends: ends, a0: a0, hash: hash, upper: upper)
                    clinux_prefetch(slots + Int(truncatingIfNeeded: hash & mask))
                    continue
                }
            }
            keys[k] = lookUnusual(p)
        }
        for k in 0..<batch.count {
            let slot = slots[Int(truncatingIfNeeded: keys[k].hash & mask)]
            // An empty slot yields the address before the first record; prefetching that is harmless.
            clinux_prefetch_for_write(records + (Int(slot & 0xff_ffff) &- 1))
        }
        var others = 0
        var start = 0
        var end = batch.count
        for k in 0..<batch.count {
            let p = context[batch.index[k]]
            let looked = keys + k
            let time = context.now(batch.index[k])
            var flow = Int(slots[Int(truncatingIfNeeded: looked.pointee.hash & mask)] & 0xff_ffff) &- 1
            var record = records + flow
            if flow < 0 || record.pointee.key.ends != looked.pointee.ends || record.pointee.key.a0 != looked.pointee.a0
            {
                flow = Int(find(p, looked.pointee))
                record = records + flow
            }
            if flow >= 0 {
                let upper = looked.pointee.upper
                let isIdle = time &- record.pointee.last > idle
                if !isIdle, record.pointee.marks.contains(.allQuick) || isQuick(p, record, upper) {
                    record.pointee.last = time
                    mark(p, Int32(truncatingIfNeeded: flow), record, upper)
                    continue
                }
            }
            // Not simply another packet of a known flow.
            context.emit(batch, from: start, to: k, output)
            start = k &+ 1
            others &+= 1
            if flow >= 0, records[flow].marks.contains(.cutOver), !inserts, waits {
                context.awaitMarker(of: map.reference(Int32(truncatingIfNeeded: flow)), batch)
                end = k
                start = k
                others &-= 1
                break
            }
            lookSlowly(
                batch.index[k],
                found: Int32(truncatingIfNeeded: flow),
                looked.pointee,
                inserts: inserts,
                returns: returns,
                output: output,
                context
            )
            if context.mustWait {
                end = start
                break
            }
        }
        context.emit(batch, from: start, to: end, output)
        if end > 0 { latest = max(latest, context.now(batch.index[end &- 1])) }
        context.did(.update, end &- others)
        return end
    }

    /// The key of a packet that is not plain TCP or UDP over IPv4.
    @inline(never)
    private func lookUnusual(_ p: Packet) -> Looked {
        guard p.ipVersion != Item.noIP, FlowKey.isComplete(p) else {
            return Looked(ends: .max, a0: 0, hash: 0, upper: 0)
        }
        let (key, upper) = FlowKey.of(p)
        // IPv6 keys do not fit here: ends that no key has send the packet to the general search.
        return Looked(
            ends: p.ipVersion == 4 ? key.ends : .max,
            a0: key.a0,
            hash: map.hash(key),
            upper: upper ? 1 : 0
        )
    }

    /// The general search, past the first slot and for all kinds of keys.
    @inline(never)
    private func find(_ p: Packet, _ looked: Looked) -> Int32 {
        p.ipVersion == Item.noIP || !FlowKey.isComplete(p) ? -1 : map.find(FlowKey.of(p).key, looked.hash)
    }

    @inline(__always)
    private func mark(
        _ p: Packet,
        _ flow: Int32,
        _ record: UnsafeMutablePointer<FlowRecord>,
        _ upper: UInt8
    ) {
        p.flow = FlowRef(index: flow, generation: record.pointee.generation)
        let upperFirst = UInt16(truncatingIfNeeded: record.pointee.marks.rawValue &>> 1) & 1
        let reverse = (upperFirst ^ UInt16(upper)) &* ItemFlags.reverse.rawValue
        p.flags = ItemFlags(rawValue: p.flags.rawValue & ~ItemFlags.reverse.rawValue | reverse)
    }

    /// Whether a TCP segment changes nothing of what is known of its flow but the last acknowledgment, which this records.
    @inline(__always)
    private func isQuick(_ p: Packet, _ record: UnsafeMutablePointer<FlowRecord>, _ upper: UInt8) -> Bool {
        let quick = FlowRecord.Marks.lowerQuick.rawValue &<< UInt32(upper)
        if record.pointee.marks.rawValue & quick == 0 { return false }
        guard p.hasTransport else { return true }
        if !TCPFlags(rawValue: p.transportHeader.byte(13)).isPlainACK { return false }
        FlowRecord.acknowledge(record, p, upper)
        return true
    }

    /// Handles a packet that is not simply another one of a known flow: it may end a flow, create one, or be dropped.
    @inline(never)
    private func lookSlowly(
        _ i: Int32,
        found: Int32,
        _ looked: Looked,
        inserts: Bool,
        returns: Bool,
        output: Int,
        _ context: borrowing Context
    ) {
        let p = context[i]
        guard Headers.locate(p) == .ip else {
            // A reason exists: its headers were just found to be faulty.
            context.drop(i, Drop(Headers.locateSlowly(p))!)
            return
        }
        guard FlowKey.isComplete(p) else {
            context.drop(i, Drop.noPorts)
            return
        }
        let time = context.now(i)
        let isUpper = looked.upper != 0
        var flow = found
        if flow >= 0, time &- map.records[Int(flow)].last > idle {
            end(flow, .idle, because: i, context)
            flow = -1
        }
        // Nil if it says nothing about a connection.
        var segment: TCPSegment?
        if p.ipProtocol == IPProtocol.tcp, p.hasTransport, isTaken(p, context) {
            let whole = TCPSegment(p)
            if whole.isHeaderRight { segment = whole }
        }
        var isAnswer = false
        if flow >= 0, let segment {
            switch judge(segment, flow, isUpper: isUpper) {
            case .same: break
            case .begins:
                end(flow, .reused, because: i, context)
                flow = -1
            case .answers:
                end(flow, .reused, because: i, context)
                flow = -1
                isAnswer = true
            }
        }
        if flow < 0 {
            if !inserts {
                context.emitRound(i, 1)
                return
            }
            flow = create(
                FlowKey.of(p).key,
                hash: looked.hash,
                upperFirst: !isAnswer && isClient(p, segment) ? isUpper : !isUpper,
                at: time,
                because: i,
                context
            )
            if flow < 0 {
                context.drop(i, Drop.tableFull)
                return
            }
            if isAnswer, let segment {
                incarnations.base[Int(flow)].begin(answeredBy: segment, isUpper: !isUpper)
                map.records[Int(flow)].marks.insert(begun(!isUpper))
            }
            if returns { _ = beginCutOver(flow, context) }
        }
        let record = map.records + Int(flow)
        record.pointee.last = time
        if !inserts, record.pointee.marks.contains(.cutOver) {
            record.pointee.marks.insert(.overtaken)
            return context.emitRound(i, 1)
        }
        mark(p, flow, record, looked.upper)
        if let segment { note(p, segment, flow, isUpper: isUpper) }
        context.did(.update, 1)
        context.emit(i, output)
    }

    /// Whether the sender of a flow's first packet is the client.
    private func isClient(_ p: Packet, _ segment: TCPSegment?) -> Bool {
        if let segment, segment.isSYN { return !segment.isACK }
        guard let ports = PortsView(p) else { return true }
        let systemPorts = 1024
        return ports.source >= systemPorts || ports.destination < systemPorts
    }

    /// The mark that says that a side has begun.
    private func begun(_ isUpper: Bool) -> FlowRecord.Marks { isUpper ? .upperBegun : .lowerBegun }

    /// Judges a segment of a flow that was there before.
    private func judge(_ segment: TCPSegment, _ flow: Int32, isUpper: Bool) -> TCPIncarnation.Verdict {
        let record = map.records + Int(flow)
        let marks = record.pointee.marks
        // 0, which is hardly ever acknowledged, stands for none.
        let next = UInt32(bigEndian: isUpper ? record.pointee.acknowledged.lower : record.pointee.acknowledged.upper)
        return incarnations.base[Int(flow)].judge(
            segment,
            isUpper: isUpper,
            isSeen: marks.contains(begun(isUpper)),
            isOtherSeen: marks.contains(begun(!isUpper)),
            hasAcknowledged: (isUpper ? record.pointee.acknowledged.upper : record.pointee.acknowledged.lower) != 0,
            trustsEnds: trustsEnds,
            next: next == 0 ? nil : next
        )
    }

    /// Records what a segment of a flow says.
    private func note(_ p: Packet, _ segment: TCPSegment, _ flow: Int32, isUpper: Bool) {
        let record = map.records + Int(flow)
        let begun = begun(isUpper)
        if record.pointee.marks.isDisjoint(with: begun) {
            let isFirst = record.pointee.marks.isDisjoint(with: self.begun(!isUpper))
            incarnations.base[Int(flow)].begin(segment, isUpper: isUpper, isFirst: isFirst)
            record.pointee.marks.insert(begun)
        }
        record.pointee.marks.remove(.judged)
        if incarnations.base[Int(flow)].judgesAll { record.pointee.marks.insert(.judged) }
        record.pointee.marks.sortOut()
        if segment.isACK, !segment.isRST { FlowRecord.acknowledge(record, p, isUpper ? 1 : 0) }
    }

    /// Whether a receiver would accept a TCP segment, as far as checked; if not, it says nothing about its connection.
    private func isTaken(_ p: Packet, _ context: borrowing Context) -> Bool {
        guard TCPReach.hasHops(p, least: minTTL) else { return false }
        guard verifies else { return true }
        var summed = 0
        let isRight = TCPReach.isChecksumRight(p, summed: &summed)
        context.did(.checksumBytes, summed)
        return isRight
    }

    @inline(never)
    private func end(_ flow: Int32, _ reason: FlowEnd, because i: Int32, _ context: borrowing Context) {
        switch reason {
        case .idle: idled &+= 1
        case .reused: reused &+= 1
        case .evicted: evicted &+= 1
        case .finished, .reset: closed &+= 1
        case .eof: break
        }
        let reference = map.reference(flow)
        map.remove(flow)
        context.endFlow(reference, reason, because: i)
    }

    @inline(never)
    private func create(
        _ key: FlowKey,
        hash: UInt64,
        upperFirst upper: Bool,
        at time: Int64,
        because i: Int32,
        _ context: borrowing Context
    ) -> Int32 {
        if map.count == map.capacity {
            if !evicts { return -1 }
            // A flow used since it was moved to the back gets a second chance, but the search is bounded.
            for _ in 0..<64 {
                let candidate = map.oldest
                if map.records[Int(candidate)].last <= map.checked(candidate) { break }
                map.moveToBack(candidate, time)
            }
            end(map.oldest, .evicted, because: i, context)
        }
        let flow = map.insert(key, hash, upperFirst: upper, time: time)
        if flow >= 0 {
            created &+= 1
            incarnations.base[Int(flow)] = TCPIncarnation()
            if key.ipProtocol != IPProtocol.tcp {
                map.records[Int(flow)].marks.insert(.plain)
                map.records[Int(flow)].marks.sortOut()
            }
            context.did(.insert, 1)
            if !armed, idle != .max {
                armed = true
                context.arm(0, at: adding(context.now(i), idle))
                context.did(.timer, 1)
            }
        }
        return flow
    }

    /// Checks the flows that have been in the list for the idle time, and ends those not used since.
    public override func timer(_ id: Int, due: Int64, _ context: borrowing Context) {
        context.did(.timer, 1)
        while map.oldest >= 0 {
            let flow = map.oldest
            if due &- map.checked(flow) <= idle { break }
            let last = map.records[Int(flow)].last
            if due &- last > idle {
                idled &+= 1
                let reference = map.reference(flow)
                map.remove(flow)
                context.endFlow(reference, .idle)
            } else {
                map.moveToBack(flow, due)
            }
        }
        armed = false
        guard map.oldest >= 0 else { return }
        // Not one timer per flow: a sixteenth of the idle time late is early enough to reclaim memory. Whether a flow has idled
        // out is decided by its own packets' times, so lateness never shows in a result.
        let next = max(adding(map.checked(map.oldest), idle), adding(due, idle / 16))
        // At the end of representable time nothing is later; `finish` ends the remaining flows.
        armed = next > due
        if armed { context.arm(0, at: next) }
    }

    public override func finish(_ context: borrowing Context) {
        let end = max(latest, context.origin.now)
        while map.oldest >= 0 {
            let flow = map.oldest
            let reason: FlowEnd = end &- map.records[Int(flow)].last > idle ? .idle : .eof
            if reason == .idle { idled &+= 1 }
            let reference = map.reference(flow)
            map.remove(flow)
            context.endFlow(reference, reason, time: end)
        }
    }

    // MARK: Cutting over

    /// Sends a marker behind the packets of a new flow that are still on the slow path; false if none is needed.
    private func beginCutOver(_ flow: Int32, _ context: borrowing Context) -> Bool {
        let record = map.records + Int(flow)
        guard
            context.sendMarker(behind: map.reference(flow))
        else { return false }
        record.pointee.marks.insert(.cutOver)
        record.pointee.marks.sortOut()
        return true
    }

    /// No packet of the flow is on the slow path any more, unless some took it behind the marker: then another marker follows
    /// those.
    public override func markerReturned(_ flow: FlowRef, _ context: borrowing Context) {
        guard isThere(flow) else { return }
        let record = map.records + Int(flow.index)
        guard record.pointee.marks.contains(.cutOver) else { return }
        if record.pointee.marks.contains(.overtaken) {
            record.pointee.marks.remove(.overtaken)
            if context.sendMarker(behind: flow) { return }
        }
        cutOver &+= 1
        record.pointee.marks.remove(.cutOver)
        record.pointee.marks.sortOut()
        context.did(.update, 1)
    }

    /// Whether a reference still refers to a flow in the table.
    private func isThere(_ flow: FlowRef) -> Bool {
        flow.index >= 0 && flow.index < map.capacity + FlowMap.spare
            && map.records[Int(flow.index)].marks.contains(.live) && map.reference(flow.index) == flow
    }

    public override func flowReleased(_ flow: FlowRef, _ context: borrowing Context) {
        map.release(flow.index)
        context.did(.remove, 1)
    }

    public override var memoryBytes: Int {
        map.memoryBytes + (map.capacity + FlowMap.spare) * MemoryLayout<TCPIncarnation>.stride
    }
    public override var flowCounts: FlowCounts {
        var counts = FlowCounts()
        counts.now = map.count
        counts.most = map.capacity
        counts.created = created
        counts.stays = idle == .max ? 0 : idle
        return counts
    }

    /// `time` + `span` + 1, the first moment later than the span; saturates.
    private func adding(_ time: Int64, _ span: Int64) -> Int64 {
        let (sum, overflow) = time.addingReportingOverflow(span + 1)
        return overflow ? Int64.max - 1 : sum
    }
}
