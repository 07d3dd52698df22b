// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Answers ICMP echo requests to its addresses, in IPv4 and IPv6: what `ping` sends (RFC 792, RFC 1122 section 3.2.2.6, RFC 4443
/// section 4.2).
///
/// A request to one of `addresses` becomes the reply and leaves on `reply`: IP and Ethernet addresses change places, TTL or hop limit
/// is `ttl`, the checksums follow, and identifier, sequence number, data, type of service, IPv4 identification and VLAN tags
/// stay. It is answered behind an Ethernet header with or without tags, and in raw IP.
///
/// A request is refused, and dropped with its reason, if its checksum or that of its IPv4 header is wrong, if the capture does not
/// hold all of it, if it came in a frame to a group of stations, or if its source is a group, no host, or one of `addresses`: the reply
/// would go to many, to nobody, or round in a circle. With a network among `addresses` its broadcast address is no exception,
/// since only the frame shows whether it is one. To which single station a frame was sent is not looked at.
///
/// Everything else leaves on `rest`: other packets, requests to other addresses, and those that cannot be answered where they lie,
/// counted as `not_answered`: fragments (put an IPDefragmenter before), and requests with IPv4 options or IPv6 extension headers. How
/// many are answered is not limited; put a RateLimiter behind `reply`.
public final class ICMPEchoResponder: Element {
    public struct Config: ElementConfig {
        /// The addresses and networks that are answered for.
        public var addresses: [IPPrefix] = []
        /// TTL or hop limit of replies.
        public var ttl = 64
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case truncated, badHeaderChecksum, badChecksum, toGroup, badSource
        public var about: String {
            switch self {
            case .truncated: "the capture holds only a part of the request"
            case .badHeaderChecksum: "the IPv4 header checksum of the request is wrong"
            case .badChecksum: "the ICMP checksum of the request is wrong"
            case .toGroup: "the request came in a frame to a group of stations"
            case .badSource: "the source of the request is a group, no host, or one of `addresses`"
            }
        }
    }
    public static let summary = "answers ICMP echo requests to its addresses"
    public static let category = Category.neighbours
    public static let depends = Depends.item
    public static func inputs(_: Config) -> [Input] { Responder.inputs(reads: .payload) }
    public static func outputs(_: Config) -> [Output] { Responder.outputs("echo replies") }
    public static let parameters: [Parameter<Config>] = [
        Responder.addresses(\.addresses, versions: [4, 6]),
        .init("ttl", \.ttl, in: 1...255, "TTL or hop limit of replies"),
    ]
    public static let handlers = [
        Handler<ICMPEchoResponder>("replies", "requests answered") { Int($0.replies) },
        Handler<ICMPEchoResponder>(
            "not_answered",
            "requests that passed: fragments, and those with IPv4 options or IPv6 extension headers"
        ) {
            Int($0.notAnswered)
        },
    ]
    public static let operations: [Operation] = [.test, .parse, .update, .checksumBytes, .copyBytes]
    public static let examples = [
        Example(
            "a request is answered, everything else passes",
            config: "{addresses: [10.0.0.2, 2001:db8::2]}",
            in: [
                "in": [
                    "10.0.0.1 > 10.0.0.2 icmp rest=0x00070001 len=56 ttl=9 vlan=5",
                    "2001:db8::1 > 2001:db8::2 icmp rest=0x00070002 len=3", "10.0.0.1 > 10.0.0.3 icmp",
                    "10.0.0.1:1000 > 10.0.0.2:80 S",
                ]
            ],
            out: [
                "reply": [
                    "10.0.0.2 > 10.0.0.1 icmp type=0 rest=0x00070001 len=56 ttl=64 vlan=5 smac=02:00:00:00:00:02 "
                        + "dmac=02:00:00:00:00:01 goodcsum",
                    "2001:db8::2 > 2001:db8::1 icmp type=129 rest=0x00070002 len=3 ttl=64 goodcsum",
                ],
                "rest": ["* > 10.0.0.3 icmp type=8", "* > 10.0.0.2:80 S"],
            ]
        ),
        Example(
            "no answers to all stations, to itself, or to what is damaged",
            config: "{addresses: [10.0.0.2]}",
            in: [
                "in": [
                    "10.0.0.1 > 10.0.0.2 icmp dmac=ff:ff:ff:ff:ff:ff", "10.0.0.2 > 10.0.0.2 icmp",
                    "10.0.0.1 > 10.0.0.2 icmp badcsum",
                ]
            ],
            out: ["reply": [], "rest": []],
            drops: ["to_group": 1, "bad_source": 1, "bad_checksum": 1]
        ),
    ]

    private let addresses: AddressSet
    private let ttl: UInt8
    private var replies: UInt64 = 0
    private var notAnswered: UInt64 = 0

    public init(_ config: Config, _: Setup) {
        addresses = AddressSet(config.addresses)
        ttl = UInt8(config.ttl)
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        var work = Responder.Work()
        context.forEach(batch) { p, context in
            if p.ipVersion == 0 { _ = Headers.locate(p) }
            let isICMP = p.ipVersion == 4 ? IPProtocol.icmp : p.ipVersion == 6 ? IPProtocol.icmpV6 : nil
            guard isICMP == p.ipProtocol, !p.isLaterFragment else { return .emit(Responder.rest) }
            return take(p, &work, context)
        }
        work.count(batch.count, context)
    }

    /// Types of echo messages.
    private enum Echo {
        static let request4: UInt8 = 8
        static let reply4: UInt8 = 0
        static let request6: UInt8 = 128
        static let reply6: UInt8 = 129
    }

    private func take(_ p: Packet, _ work: inout Responder.Work, _ context: borrowing Context) -> Context.Verdict {
        work.parsed &+= 1
        let isV4 = p.ipVersion == 4
        guard let icmp = ICMPView(p), icmp.type == (isV4 ? Echo.request4 : Echo.request6), icmp.code == 0 else {
            return .emit(Responder.rest)
        }
        let source = isV4 ? IPv4View(known: p).source : IPv6View(known: p).source
        let destination = isV4 ? IPv4View(known: p).destination : IPv6View(known: p).destination
        guard addresses.contains(destination), isBareIP(p) else { return .emit(Responder.rest) }
        if p.isFragment || Int(p.l4) - Int(p.l3) != (isV4 ? IPv4View.size : IPv6View.size) {
            notAnswered &+= 1
            return .emit(Responder.rest)
        }
        if p.length < p.ipEnd { return .drop(Drop.truncated) }
        if let frame = EthernetView(p) {
            if frame.destination.isMulticast { return .drop(Drop.toGroup) }
            if frame.source.isMulticast { return .drop(Drop.badSource) }
        }
        guard source.isUsableSource, !addresses.contains(source) else { return .drop(Drop.badSource) }
        work.summed &+= icmp.count + (isV4 ? IPv4View.size : 0)
        if isV4, !IPv4View(known: p).isChecksumRight { return .drop(Drop.badHeaderChecksum) }
        let isRight = isV4 ? icmp.isChecksumRight : icmp.isChecksumRight(IPv6View(known: p).addressSum)
        if !isRight { return .drop(Drop.badChecksum) }
        answer(p, source, destination, &work, context)
        return .emit(Responder.reply)
    }

    /// Whether the link header says nothing of the packet but its addresses and tags.
    private func isBareIP(_ p: Packet) -> Bool {
        guard p.linkType == LinkType.ethernet else { return p.l3 == 0 }
        let type = EthernetView(p)?.content?.etherType
        return type == (p.ipVersion == 4 ? EtherType.ipv4 : EtherType.ipv6)
    }

    /// Makes a request the reply.
    private func answer(
        _ p: Packet,
        _ source: IPAddress,
        _ destination: IPAddress,
        _ work: inout Responder.Work,
        _ context: borrowing Context
    ) {
        if !p.isWritable {
            work.copied &+= Int(p.length)
            context.own(p)
        }
        // What the capture cut off is padding, which the reply does not have.
        p.wireLength = p.length
        if let frame = MutableEthernetView(p) {
            let station = frame.source
            frame.source = frame.destination
            frame.destination = station
        }
        // Addresses that change places leave every sum as it is.
        if let ip = MutableIPv4View(p) {
            let (old, proto) = (ip.timeToLive, UInt16(ip.proto))
            ip.source = destination
            ip.destination = source
            ip.timeToLive = ttl
            ip.updateChecksum(UInt16(old) << 8 | proto, UInt16(ttl) << 8 | proto)
        } else if let ip = MutableIPv6View(p) {
            ip.source = destination
            ip.destination = source
            ip.hopLimit = ttl
            ip.flowLabel = 0
        }
        if let icmp = MutableICMPView(p) {
            let old = icmp.type
            icmp.type = p.ipVersion == 4 ? Echo.reply4 : Echo.reply6
            // The code is 0.
            icmp.checksum = Checksum.update(icmp.checksum, UInt16(old) << 8, UInt16(icmp.type) << 8)
            // A reply all of whose other bytes are zero has the sum 0xffff, which cannot be told from its request's (RFC 1624).
            if icmp.checksum == 0 {
                work.summed &+= icmp.count
                if let ip = IPv6View(p) { icmp.fillChecksum(ip.addressSum) } else { icmp.fillChecksum() }
            }
        }
        work.updated &+= 1
        replies &+= 1
    }
}
