// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Finds out to which station on the link an IP packet is to be sent, by ARP (RFC 826) and neighbour discovery (RFC 4861), and sets its
/// Ethernet addresses.
///
/// Packets come in at `in` in Ethernet frames whose addresses do not matter, and leave on `out` from `mac` to the next hop: the
/// destination itself if it is on the link, that is, in the network of one of `addresses` or link-local, and else the
/// gateway of that IP version. Groups and broadcasts need no question. TTLs and everything else stay. `query` has the questions,
/// `answers` takes what the link says: feed it with what is left of ARP and ICMPv6.
///
/// Who is not known is asked for `tries` times, `retry` apart. Up to `waiting` packets wait for one neighbour, then the oldest is
/// dropped as `displaced`; up to `packets` wait in all. They leave when the answer comes, with that time. A neighbour that does not
/// answer is forgotten, and its packets are dropped as `unanswered`; no ICMP error is made of them.
///
/// An entry lives for `lifetime` after the neighbour was last confirmed. If it is used in the second half of that, the neighbour is
/// asked directly (RFC 1122 section 2.3.2.1), so one that is there and in use never has to be waited for. There are at most
/// `capacity`. If more are needed, or more packets would have to wait than may, `on_full: evict` gives up the neighbour that was asked
/// least recently of those that have not answered, and only then one that has; `on_full: drop` drops the packet. So scanning a
/// network (RFC 6583) costs the scan its own entries.
///
/// Neither protocol is authenticated: whoever is on the link may answer for anybody. This much is done about it. A message makes no
/// entry; it only changes one for which a packet asked. What names a group as a station, or came through a router, is dropped.
/// Neighbours listed under `neighbours`, as address and Ethernet address with a blank between, are never asked for or changed.
/// With `unsolicited: ignore` only an answer is believed, and only while a question is open; the default is what the RFCs say, by
/// which a neighbour that moves says so to all. `changed` counts how often a known address was replaced.
///
/// Questions have the VLAN tags of the packet that waits, but entries know nothing of tags: use one element for each VLAN.
public final class NeighbourResolver: Element {
    public struct Config: ElementConfig {
        /// What gives way when no more neighbours, or packets, have room.
        public enum FullPolicy: String, CaseIterable, Sendable { case evict, drop }
        /// What becomes of messages that answer no question.
        public enum UnsolicitedPolicy: String, CaseIterable, Sendable { case update, ignore }
        /// The Ethernet address of this station.
        public var mac = EthernetAddress(0)
        /// The IP addresses of this station, each with the network that is on the link.
        public var addresses: [IPPrefix] = []
        /// Where packets go that are for nobody on the link; at most one of each IP version.
        public var gateways: [IPPrefix] = []
        /// Neighbours that are known from the start: texts of an IP and an Ethernet address.
        public var neighbours: [String] = []
        /// The most neighbours.
        public var capacity = 4096
        /// The most packets that wait for one neighbour.
        public var waiting = 3
        /// The most packets that wait; at most this element's share of half the pool.
        public var packets = 1024
        /// What gives way when no more neighbours, or packets, have room.
        public var onFull = FullPolicy.evict
        /// Nanoseconds between two questions (RetransTimer, RFC 4861 section 10).
        public var retry: Int64 = 1_000_000_000
        /// How often a neighbour is asked (MAX_MULTICAST_SOLICIT, RFC 4861 section 10).
        public var tries = 3
        /// Nanoseconds for which an entry may be used after it was confirmed.
        public var lifetime: Int64 = 60_000_000_000
        /// What becomes of messages that answer no question.
        public var unsolicited = UnsolicitedPolicy.update
        public init() {}
    }
    public enum Drop: Int, DropReason, HeaderDropReason {
        case linkType, notIp, truncated, badVersion, badHeaderLength, badLength
        case badDestination, ownAddress, noRoute, tableFull, noRoom, displaced, unanswered, evicted, unfinished
        case notAnswer, badAnswer, unsolicited, given, notOverriding
        public var about: String {
            switch self {
            case .linkType: "its link type is not Ethernet"
            case .badDestination: "its destination is no host that may be on a network"
            case .ownAddress: "its destination is one of `addresses`"
            case .noRoute: "its destination is not on the link and there is no gateway for it"
            case .tableFull: "`capacity` neighbours are in the table and none may give way"
            case .noRoom: "`packets` wait already and none may give way"
            case .displaced: "more came for the same neighbour than may wait"
            case .unanswered: "the neighbour did not answer `tries` questions"
            case .evicted: "its neighbour had not answered when others needed the room"
            case .unfinished: "it waited for an answer when the input ended"
            case .notAnswer: "what came at `answers` is neither ARP nor a neighbour advertisement"
            case .badAnswer: "the ARP message or neighbour advertisement is not valid"
            case .unsolicited: "it is about nobody in the table, or `unsolicited` is ignore and it answers no question"
            case .given: "it is about one of `neighbours`"
            case .notOverriding:
                "the advertisement has another address than the table, and says that it does not replace it"
            default: aboutHeaders
            }
        }
    }
    public static let summary = "finds the Ethernet addresses of next hops by ARP and neighbour discovery"
    public static let category = Category.neighbours
    public static let depends = Depends.clock
    public static func inputs(_: Config) -> [Input] {
        [
            Input("in", .only(.packet), reads: .headers, "IP packets to be sent, in Ethernet frames"),
            Input("answers", .only(.packet), reads: .payload, "ARP and neighbour advertisements from the link"),
        ]
    }
    public static func outputs(_: Config) -> [Output] {
        [
            Output("out", .kind(.packet), "the packets, from this station to the next hop"),
            Output("query", .kind(.packet), "ARP requests and neighbour solicitations"),
        ]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("mac", ethernet: \.mac, required: true, "the Ethernet address of this station"),
        .init(
            "addresses",
            prefixes: \.addresses,
            versions: [4, 6],
            required: true,
            "the IP addresses of this station, each with the length of its network's prefix: 192.0.2.1/24"
        ) {
            $0.address.isUsableSource ? nil : "'\($0)' is no address of one host"
        },
        .init(
            "gateways",
            prefixes: \.gateways,
            versions: [4, 6],
            "next hops of what is not on the link, at most one of each IP version"
        ) {
            $0.isHost && $0.address.isUsableSource ? nil : "'\($0)' is no address of one host"
        },
        .init(
            "neighbours",
            strings: \.neighbours,
            "neighbours that are known from the start: 192.0.2.7 02:00:00:00:00:07"
        ) {
            NeighbourResolver.neighbour($0) == nil
                ? "'\($0)' is no IP address with an Ethernet address behind it, as in 192.0.2.7 02:00:00:00:00:07" : nil
        },
        .init("capacity", \.capacity, in: 1...1_048_576, "neighbours in the table"),
        .init("waiting", \.waiting, in: 1...1024, "packets that wait for one neighbour"),
        .init(
            "packets",
            \.packets,
            in: 1...1_048_576,
            "packets that wait for all neighbours; half of the pool is shared with others that hold packets"
        ),
        .init("on_full", \.onFull, "what gives way when there is no room: a neighbour, or the packet"),
        .init("retry", duration: \.retry, in: 1_000_000...60_000_000_000, "time from one question to the next"),
        .init("tries", \.tries, in: 1...100, "questions before a neighbour is given up"),
        .init(
            "lifetime",
            duration: \.lifetime,
            in: 1_000_000_000...86_400_000_000_000,
            "how long an entry is used after it was confirmed"
        ),
        .init(
            "unsolicited",
            \.unsolicited,
            "what becomes of messages about neighbours in the table that answer no question"
        ),
    ]
    public static let handlers = [
        Handler<NeighbourResolver>("neighbours", "neighbours in the table now, asked-for and given ones among them") {
            $0.table.count
        },
        Handler<NeighbourResolver>("pending", "neighbours that have not answered") { $0.table.pending },
        Handler<NeighbourResolver>("held", "packets that wait now") { $0.table.held },
        Handler<NeighbourResolver>("queries", "questions sent") { Int($0.counters.queries) },
        Handler<NeighbourResolver>("queries_missed", "questions left out because the pool was empty") {
            Int($0.counters.missed)
        },
        Handler<NeighbourResolver>("learned", "neighbours that answered") { Int($0.counters.learned) },
        Handler<NeighbourResolver>("changed", "known addresses that were replaced") { Int($0.counters.changed) },
        Handler<NeighbourResolver>("expired", "entries that were too old when they were needed") {
            Int($0.counters.expired)
        },
    ]
    public static let operations: [Operation] = [
        .parse, .hash, .lookup, .update, .timer, .copyBytes, .checksumBytes,
    ]
    public static func heldItems(_ config: Config) -> Int { config.packets }
    public static func shortestTimer(_ config: Config) -> ShortestTimer? { .after(config.retry) }
    public static let examples = [
        Example(
            "two packets wait for the answer, the third does not",
            config: "{mac: 02:00:00:00:00:0a, addresses: [10.0.0.10/24]}",
            in: [
                "in": [
                    "10.0.0.10:1000 > 10.0.0.1:80 S seq=1 time=1s", "10.0.0.10:1000 > 10.0.0.1:80 S seq=2 time=1.1s",
                    "10.0.0.10:1000 > 10.0.0.1:80 S seq=3 time=1.3s",
                ],
                "answers": ["10.0.0.1 > 10.0.0.10 arp op=2 smac=02:00:00:00:00:01 dmac=02:00:00:00:00:0a time=1.2s"],
            ],
            out: [
                "query": [
                    "10.0.0.10 > 10.0.0.1 arp op=1 smac=02:00:00:00:00:0a dmac=ff:ff:ff:ff:ff:ff time=1s"
                ],
                "out": [
                    "* > * S seq=1 smac=02:00:00:00:00:0a dmac=02:00:00:00:00:01 time=1.2s", "* > * S seq=2 time=1.2s",
                    "* > * S seq=3 time=1.3s",
                ],
            ]
        ),
        Example(
            "a gateway that does not answer in three seconds, one that is given, and a group",
            config:
                "{mac: 02:00:00:00:00:0a, addresses: [10.0.0.10/24, 2001:db8::a/64], gateways: [10.0.0.1, fe80::1], "
                + "neighbours: ['10.0.0.1 02:00:00:00:00:01']}",
            in: [
                "in": [
                    "[2001:db8::a]:1000 > [2001:db8:1::1]:80 S time=1s", "10.0.0.10:1000 > 192.0.2.1:80 S time=2s",
                    "10.0.0.10:1000 > 224.0.0.251:5353 udp time=5s",
                ],
                "answers": [],
            ],
            out: [
                "query": [
                    "2001:db8::a > ff02::1:ff00:1 icmp type=135 ttl=255 dmac=33:33:ff:00:00:01 goodcsum time=1s",
                    "* > ff02::1:ff00:1 icmp type=135 time=2s", "* > ff02::1:ff00:1 icmp type=135 time=3s",
                ],
                "out": ["* > 192.0.2.1:80 S dmac=02:00:00:00:00:01", "* > * udp dmac=01:00:5e:00:00:fb"],
            ],
            drops: ["unanswered": 1]
        ),
        Example(
            "an advertisement that nobody asked for makes no entry",
            config: "{mac: 02:00:00:00:00:0a, addresses: [2001:db8::a/64]}",
            in: [
                "in": [],
                "answers": [
                    #"2001:db8::1 > ff02::1 icmp type=136 rest=0x20000000 ttl=255 "#
                        + #"data=" \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x02\x01\x02\0\0\0\0\x01""#
                ],
            ],
            out: ["query": [], "out": []],
            drops: ["unsolicited": 1]
        ),
    ]

    // MARK: State

    private struct Counters: BitwiseCopyable {
        var queries: UInt64 = 0
        var missed: UInt64 = 0
        var learned: UInt64 = 0
        var changed: UInt64 = 0
        var expired: UInt64 = 0
    }
    /// Operations of one call.
    private struct Work: BitwiseCopyable {
        var parsed = 0
        var looked = 0
        var updated = 0
        var timers = 0
        var copied = 0
        var summed = 0
    }
    private enum Port {
        static let input = 0
        static let out = 0
        static let query = 1
    }

    private let config: Config
    private let mac: EthernetAddress
    /// `addresses`, outside an array: they are looked at for every packet.
    private let own: UnsafeMutableBufferPointer<IPPrefix>
    /// The gateway of each IP version.
    private let gateway4: IPAddress?
    private let gateway6: IPAddress?
    private let table: NeighbourTable
    private var counters = Counters()
    private var work = Work()
    /// A timer is armed, for no later than the first pending neighbour's next question.
    private var isArmed = false

    public init(_ config: Config, _ setup: Setup) throws {
        self.config = config
        mac = config.mac
        let prefixes = config.addresses
        func gateway(_ version: UInt8) throws(ParameterError) -> IPAddress? {
            let all = config.gateways.filter { $0.address.version == version }
            guard let address = all.first?.address else { return nil }
            guard all.count == 1 else {
                throw ParameterError("there are \(all.count) gateways for IPv\(version)", at: 0)
            }
            let same = prefixes.filter { $0.address.version == version }
            guard same.contains(where: { $0.contains(address) }) || address.isLinkLocal && !same.isEmpty else {
                throw ParameterError("the gateway \(address) is in the network of none of `addresses`", at: 0)
            }
            guard !same.contains(where: { $0.address == address }) else {
                throw ParameterError("the gateway \(address) is one of `addresses`", at: 0)
            }
            return address
        }
        gateway4 = try gateway(4)
        gateway6 = try gateway(6)
        guard config.neighbours.count <= config.capacity else {
            throw ParameterError("there are more `neighbours` than `capacity`", at: 0)
        }
        table = try NeighbourTable(
            capacity: config.capacity,
            items: max(1, min(config.packets, setup.items)),
            key: setup.hashKey
        )
        for text in config.neighbours {
            guard let (ip, station) = NeighbourResolver.neighbour(text) else { continue }
            guard table.find(ip) < 0 else { throw ParameterError("the neighbour \(ip) is listed twice", at: 0) }
            table.give(ip, station)
        }
        own = .allocate(capacity: prefixes.count)
        _ = own.initialize(from: prefixes)
        super.init()
    }

    deinit { own.deallocate() }

    /// The words of an entry of `neighbours`; nil if it is none.
    private static func neighbour(_ text: String) -> (IPAddress, EthernetAddress)? {
        let words = text.split(separator: " ")
        guard words.count == 2, let ip = IPAddress(words[0]), let station = EthernetAddress(words[1]),
            ip.isUsableSource, station.isUnicast
        else { return nil }
        return (ip, station)
    }

    public override var memoryBytes: Int { table.memoryBytes + config.packets * Pool.slotBytes }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        if input == Port.input {
            context.forEach(batch) { p, context in send(p, context) }
        } else {
            context.forEach(batch) { p, context in learn(p, context) }
        }
        work.parsed &+= batch.count
        count(context)
    }

    private func count(_ context: borrowing Context) {
        if work.parsed > 0 { context.did(.parse, work.parsed) }
        if work.looked > 0 {
            context.did(.hash, work.looked)
            context.did(.lookup, work.looked)
        }
        if work.updated > 0 { context.did(.update, work.updated) }
        if work.timers > 0 { context.did(.timer, work.timers) }
        if work.copied > 0 { context.did(.copyBytes, work.copied) }
        if work.summed > 0 { context.did(.checksumBytes, work.summed) }
        work = Work()
    }

    private func find(_ ip: IPAddress) -> Int32 {
        work.looked &+= 1
        return table.find(ip)
    }

    // MARK: Packets to be sent

    /// Where a packet goes next.
    private enum Hop {
        case station(EthernetAddress)
        case neighbour(IPAddress)
        case nowhere(Drop)
    }

    private func hop(to ip: IPAddress) -> Hop {
        if ip.isMulticast { return .station(EthernetAddress(multicast: ip)) }
        if ip.version == 4, ip.low == 0xffff_ffff { return .station(.broadcast) }
        guard ip.isUsableSource else { return .nowhere(.badDestination) }
        var isThere = false
        var isOnLink = false
        for prefix in own where prefix.address.version == ip.version {
            isThere = true
            if prefix.address == ip { return .nowhere(.ownAddress) }
            guard prefix.contains(ip) else { continue }
            // A link of two hosts has no broadcast address (RFC 3021).
            if ip.version == 4, prefix.length < 31, prefix.last == ip { return .station(.broadcast) }
            isOnLink = true
        }
        if isOnLink || isThere && ip.isLinkLocal { return .neighbour(ip) }
        guard let gateway = ip.version == 4 ? gateway4 : gateway6 else { return .nowhere(.noRoute) }
        return .neighbour(gateway)
    }

    private func send(_ p: Packet, _ context: borrowing Context) -> Context.Verdict {
        guard p.linkType == LinkType.ethernet else { return .drop(Drop.linkType) }
        if let reason = Drop(Headers.locate(p)) { return .drop(reason) }
        let hop = hop(to: p.ipVersion == 4 ? IPv4View(known: p).destination : IPv6View(known: p).destination)
        switch hop {
        case .nowhere(let reason): return .drop(reason)
        case .station(let station):
            address(p, to: station, context)
            return .emit(Port.out)
        case .neighbour(let ip):
            let place = find(ip)
            if place >= 0 {
                let entry = table[place]
                if isFresh(place, p, context) {
                    address(p, to: EthernetAddress(entry.pointee.station), context)
                    return .emit(Port.out)
                }
            }
            if let reason = wait(p, for: ip, at: place, context) { return .drop(reason) }
            return .taken
        }
    }

    private func address(_ p: Packet, to station: EthernetAddress, _ context: borrowing Context) {
        if !p.isWritable {
            work.copied &+= Int(p.length)
            context.own(p)
        }
        guard let frame = MutableEthernetView(p) else { return }
        frame.source = mac
        frame.destination = station
    }

    /// Whether the entry at `place` may be used for a packet. One that has been used for long is asked for on the way.
    private func isFresh(_ place: Int32, _ p: Packet, _ context: borrowing Context) -> Bool {
        let entry = table[place]
        if entry.pointee.isGiven { return true }
        guard entry.pointee.isKnown else { return false }
        let now = context.now(p)
        if now >= later(entry.pointee.confirmed, by: config.lifetime) {
            counters.expired &+= 1
            return false
        }
        if now >= later(entry.pointee.confirmed, by: config.lifetime / 2), now >= entry.pointee.due,
            Int(entry.pointee.asked) < config.tries
        {
            ask(place, at: EthernetAddress(entry.pointee.station), like: p, because: context.index(of: p), context)
            table.asked(place, due: later(now, by: config.retry))
            work.updated &+= 1
        }
        return true
    }

    /// Holds a packet until the neighbour at `place`, or one that is not in the table, has answered; returns the reason if it
    /// cannot.
    private func wait(_ p: Packet, for ip: IPAddress, at place: Int32, _ context: borrowing Context) -> Drop? {
        var place = place
        let i = context.index(of: p)
        if place >= 0, table.waiting(place) > 0, !table.hasRoomForItems || table.waiting(place) == config.waiting {
            displace(place, context)
        }
        if let reason = makeRoom(isNew: place < 0, context) { return reason }
        let now = context.now(i)
        if place < 0 || table[place].pointee.isKnown {
            let due = later(now, by: config.retry)
            if place < 0 {
                place = table.begin(ip, time: now, due: due)
            } else {
                table.forget(place, time: now, due: due)
            }
            ask(place, at: nil, like: p, because: i, context)
            if !isArmed { arm(context) }
        }
        context.hold(i)
        table.wait(i, for: place)
        work.updated &+= 1
        return nil
    }

    /// Makes room for a packet, and for a neighbour that is new, by the policy; returns the reason if there is none.
    private func makeRoom(isNew: Bool, _ context: borrowing Context) -> Drop? {
        if isNew, table.isFull {
            guard config.onFull == .evict, table.leastWanted >= 0 else { return .tableFull }
            end(table.leastWanted, .evicted, context)
        }
        if !table.hasRoomForItems {
            // Packets wait for pending neighbours only, and for each at least one.
            guard config.onFull == .evict else { return .noRoom }
            end(table.nextPending, .evicted, context)
        }
        return nil
    }

    private func displace(_ place: Int32, _ context: borrowing Context) {
        if let i = table.takeFirst(place) { discard(i, .displaced, context) }
    }

    private func discard(_ i: Int32, _ reason: Drop, _ context: borrowing Context) {
        // Whose turn it takes does not matter, since it is dropped.
        context.resume(i, context.turn(of: i))
        context.drop(i, reason)
    }

    /// Forgets a neighbour, and drops what waits for it.
    private func end(_ place: Int32, _ reason: Drop, _ context: borrowing Context) {
        while let i = table.takeFirst(place) { discard(i, reason, context) }
        table.remove(place)
        work.updated &+= 1
    }

    // MARK: Questions

    /// Asks for the neighbour at `place`: a station that was there before, or all. The question has the tags of the packet
    /// `like`; `i` is what causes it, if it is no timer.
    private func ask(
        _ place: Int32,
        at station: EthernetAddress?,
        like p: Packet,
        because i: Int32?,
        _ context: borrowing Context
    ) {
        let ip = table[place].pointee.ip
        let isV4 = ip.version == 4
        var tags = 0
        if let frame = EthernetView(p) { for _ in frame.tags { tags += 1 } }
        // Addresses and tags as they are, then the type.
        let kept = 12 + 4 * tags
        let size = kept + 2 + (isV4 ? ARPView.sizeForIPv4 : NeighbourMessage.size)
        let made: Int32? =
            if let i { context.originate(because: i, capacity: size) } else { context.originate(capacity: size) }
        guard let j = made else {
            counters.missed &+= 1
            return
        }
        let q = context[j]
        q.linkType = LinkType.ethernet
        q.flow = .none
        let data = q.writableData
        data.copyMemory(from: p.data, byteCount: kept)
        data.put(isV4 ? EtherType.arp : EtherType.ipv6, kept)
        let content = UnsafeMutableRawBufferPointer(start: data + kept + 2, count: size - kept - 2)
        let source = source(for: ip)
        if isV4 {
            if let message = MutableARPView(writing: content) {
                message.operation = ARPView.request
                message.senderEthernet = mac
                message.senderIPv4 = source
                message.targetIPv4 = ip
            }
        } else {
            NeighbourMessage.write(
                content,
                type: NeighbourView.solicitation,
                from: source,
                to: station == nil ? ip.solicitedNode : ip,
                about: ip,
                ethernet: mac
            )
            work.summed &+= MutableNeighbourView.sizeWithEthernet
        }
        if let frame = MutableEthernetView(q) {
            frame.source = mac
            frame.destination = station ?? (isV4 ? .broadcast : EthernetAddress(multicast: ip.solicitedNode))
        }
        work.copied &+= size
        counters.queries &+= 1
        context.emit(j, Port.query)
    }

    /// The address that asks for a neighbour: one in the same network, or link-local as the neighbour is, or the first.
    private func source(for ip: IPAddress) -> IPAddress {
        var best = (rank: -1, address: ip)
        for prefix in own where prefix.address.version == ip.version {
            let rank = prefix.contains(ip) ? 2 : prefix.address.isLinkLocal == ip.isLinkLocal ? 1 : 0
            if rank > best.rank { best = (rank, prefix.address) }
        }
        return best.address
    }

    private func arm(_ context: borrowing Context) {
        let next = table.nextPending
        let due = next < 0 ? .max : table[next].pointee.due
        isArmed = due < .max
        if isArmed {
            context.arm(0, at: due)
            work.timers &+= 1
        }
    }

    public override func timer(_ id: Int, due: Int64, _ context: borrowing Context) {
        work.timers &+= 1
        while case let place = table.nextPending, place >= 0, table[place].pointee.due <= due {
            if Int(table[place].pointee.asked) >= config.tries {
                end(place, .unanswered, context)
                continue
            }
            if let last = table.last(place) { ask(place, at: nil, like: context[last], because: nil, context) }
            table.asked(place, due: later(due, by: config.retry))
            work.updated &+= 1
        }
        arm(context)
        count(context)
    }

    public override func finish(_ context: borrowing Context) {
        while table.nextPending >= 0 { end(table.nextPending, .unfinished, context) }
    }

    // MARK: Answers

    private func learn(_ p: Packet, _ context: borrowing Context) -> Context.Verdict {
        switch ARPMessage(p) {
        case .bad: return .drop(Drop.badAnswer)
        case .message(let message): return learn(message, p, context)
        case .other: break
        }
        _ = Headers.locate(p)
        switch NeighbourMessage.find(p) {
        case .other: return .drop(Drop.notAnswer)
        case .bad: return .drop(Drop.badAnswer)
        case .message(let found):
            guard found.message.type == NeighbourView.advertisement else { return .drop(Drop.notAnswer) }
            work.summed &+= found.message.count
            if found.fault() != nil { return .drop(Drop.badAnswer) }
            return learn(found.message, p, context)
        }
    }

    /// Any ARP message tells where its sender is (RFC 826).
    private func learn(_ message: ARPView, _ p: Packet, _ context: borrowing Context) -> Context.Verdict {
        guard let ip = message.senderIPv4, let station = message.senderEthernet else { return .drop(Drop.badAnswer) }
        let place = find(ip)
        guard place >= 0 else { return .drop(Drop.unsolicited) }
        let isAnswer = message.operation == ARPView.reply && message.targetEthernet == mac
        return learn(place, station, isAnswer: isAnswer, isConfirmed: true, p, context)
    }

    /// RFC 4861 section 7.2.5.
    private func learn(_ message: NeighbourView, _ p: Packet, _ context: borrowing Context) -> Context.Verdict {
        let place = find(message.target)
        guard place >= 0 else { return .drop(Drop.unsolicited) }
        let entry = table[place]
        let named = message.ethernet(NeighbourOption.target)
        guard let station = named ?? (entry.pointee.isKnown ? EthernetAddress(entry.pointee.station) : nil) else {
            return .drop(Drop.badAnswer)
        }
        if !entry.pointee.isGiven, entry.pointee.isKnown, station.number != entry.pointee.station, !message.overrides {
            return .drop(Drop.notOverriding)
        }
        let isSolicited = message.isSolicited
        return learn(place, station, isAnswer: isSolicited, isConfirmed: isSolicited, p, context)
    }

    /// Takes the word of the neighbour at `place`, and sends what waits for it.
    private func learn(
        _ place: Int32,
        _ station: EthernetAddress,
        isAnswer: Bool,
        isConfirmed: Bool,
        _ p: Packet,
        _ context: borrowing Context
    ) -> Context.Verdict {
        let entry = table[place]
        if entry.pointee.isGiven { return .drop(Drop.given) }
        if config.unsolicited == .ignore, !isAnswer || entry.pointee.asked == 0 { return .drop(Drop.unsolicited) }
        let now = context.now(p)
        if !entry.pointee.isKnown {
            counters.learned &+= 1
        } else if entry.pointee.station != station.number {
            counters.changed &+= 1
        }
        table.learn(place, station, time: now, isConfirmed: isConfirmed)
        work.updated &+= 1
        while let i = table.takeFirst(place) {
            context.resume(i, because: context.index(of: p))
            context[i].time = now
            address(context[i], to: station, context)
            context.emit(i, Port.out)
        }
        return .use
    }
}
