// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Answers neighbour solicitations for its IPv6 addresses with one Ethernet address (RFC 4861).
///
/// A solicitation for one of `addresses`, sent to the target or to its solicited-node group, becomes the advertisement that
/// answers it, and leaves on `reply`: from the target, with hop limit 255 and the target link-layer address option, R if `router`,
/// O if `override`, and the VLAN tags of the question. It goes to the source, at the Ethernet address that the solicitation names, or
/// else came from; or, if the source is `::` because a host finds out whether the address is taken (RFC 4862), to all nodes, with S
/// clear (section 7.2.4).
///
/// Solicitations are checked as section 7.1.1 asks: hop limit 255, checksum, code, length, options, target and, from `::`, the
/// destination. Those with a fragment header are refused (RFC 6980). What fails is dropped with its reason, if it is about one of
/// `addresses` or cannot be read so far. Everything else leaves on `rest`, which includes advertisements, for a NeighbourResolver.
///
/// Who says that one of `addresses` is its own, as source of a solicitation or in an advertisement, is in conflict with this element:
/// that is counted, and dropped so that nobody behind believes it. Nothing is authenticated (no SEND, RFC 3971).
public final class NDResponder: Element {
    public struct Config: ElementConfig {
        /// The addresses and networks that are answered for.
        public var addresses: [IPPrefix] = []
        /// The Ethernet address in advertisements.
        public var mac = EthernetAddress(0)
        /// R: this is a router.
        public var router = false
        /// O: what a neighbour knows already is replaced.
        public var override = true
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case truncated, tooShort, fragment, hopLimit, badChecksum, badCode, badTarget, badOption, badProbe, badSender
        case conflict
        init(_ fault: NeighbourMessage.Fault) {
            switch fault {
            case .truncated: self = .truncated
            case .short: self = .tooShort
            case .fragment: self = .fragment
            case .hopLimit: self = .hopLimit
            case .checksum: self = .badChecksum
            case .code: self = .badCode
            case .target: self = .badTarget
            case .option: self = .badOption
            case .probe: self = .badProbe
            case .sender: self = .badSender
            }
        }
        public var about: String {
            if self == .conflict { return Responder.conflict }
            return NeighbourMessage.Fault.allCases.first { Drop($0) == self }?.about ?? ""
        }
    }
    public static let summary = "answers neighbour solicitations for its addresses"
    public static let category = Category.neighbours
    public static let depends = Depends.item
    public static func inputs(_: Config) -> [Input] { Responder.inputs(reads: .payload) }
    public static func outputs(_: Config) -> [Output] {
        Responder.outputs("answers to solicitations for its addresses")
    }
    public static let parameters: [Parameter<Config>] = [
        Responder.addresses(\.addresses, versions: [6]),
        Responder.mac(\.mac),
        .init("router", \.router, "answers say that this is a router"),
        .init(
            "override",
            \.override,
            "answers replace what a neighbour knows; false for addresses that others answer for too"
        ),
    ]
    public static let handlers = [
        Handler<NDResponder>("replies", "solicitations answered, probes among them") { Int($0.replies) },
        Handler<NDResponder>("probes", "solicitations answered whose sender has no address yet") { Int($0.probes) },
        Handler<NDResponder>("conflicts", "messages of others that claim one of the addresses") { Int($0.conflicts) },
    ]
    public static let operations: [Operation] = [.test, .parse, .update, .checksumBytes, .copyBytes]
    public static let examples = [
        Example(
            "a solicitation is answered, another passes",
            config: "{addresses: [2001:db8::2], mac: 02:00:00:00:00:0a}",
            in: [
                "in": [
                    #"2001:db8::1 > ff02::1:ff00:2 icmp type=135 ttl=255 vlan=5 dmac=33:33:ff:00:00:02 "#
                        + #"data=" \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x01\x01\x02\0\0\0\0\x01""#,
                    #"2001:db8::1 > ff02::1:ff00:3 icmp type=135 ttl=255 dmac=33:33:ff:00:00:03 "#
                        + #"data=" \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x03""#,
                ]
            ],
            out: [
                "reply": [
                    #"2001:db8::2 > 2001:db8::1 icmp type=136 rest=0x60000000 ttl=255 vlan=5 smac=02:00:00:00:00:0a "#
                        + #"dmac=02:00:00:00:00:01 goodcsum "#
                        + #"data=" \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x02\x01\x02\0\0\0\0\x0a""#
                ],
                "rest": ["* > ff02::1:ff00:3 icmp type=135"],
            ]
        ),
        Example(
            "a host probes whether the address is taken; another solicitation came through a router",
            config: "{addresses: [2001:db8::/64], mac: 02:00:00:00:00:0a}",
            in: [
                "in": [
                    #":: > ff02::1:ff00:2 icmp type=135 ttl=255 dmac=33:33:ff:00:00:02 "#
                        + #"data=" \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02""#,
                    #"2001:db8:1::1 > ff02::1:ff00:2 icmp type=135 ttl=254 dmac=33:33:ff:00:00:02 "#
                        + #"data=" \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02""#,
                ]
            ],
            out: [
                "reply": ["2001:db8::2 > ff02::1 icmp type=136 rest=0x20000000 dmac=33:33:00:00:00:01 goodcsum"],
                "rest": [],
            ],
            drops: ["hop_limit": 1]
        ),
    ]

    private let addresses: AddressSet
    private let mac: EthernetAddress
    private let isRouter: Bool
    private let overrides: Bool
    private var replies: UInt64 = 0
    private var probes: UInt64 = 0
    private var conflicts: UInt64 = 0

    public init(_ config: Config, _: Setup) {
        addresses = AddressSet(config.addresses)
        mac = config.mac
        isRouter = config.router
        overrides = config.override
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        var work = Responder.Work()
        context.forEach(batch) { p, context in
            if p.ipVersion == 0 { _ = Headers.locate(p) }
            guard p.ipVersion == 6, p.ipProtocol == IPProtocol.icmpV6 else { return .emit(Responder.rest) }
            switch NeighbourMessage.find(p) {
            case .other: return .emit(Responder.rest)
            case .bad(let fault): return .drop(Drop(fault))
            case .message(let message): return take(p, message, &work, context)
            }
        }
        work.count(batch.count, context)
    }

    private func take(
        _ p: Packet,
        _ found: NeighbourMessage,
        _ work: inout Responder.Work,
        _ context: borrowing Context
    ) -> Context.Verdict {
        work.parsed &+= 1
        let (source, destination, target) = (found.ip.source, found.ip.destination, found.message.target)
        guard let frame = EthernetView(p), frame.source != mac else { return .emit(Responder.rest) }
        if target.isMulticast { return .drop(Drop.badTarget) }
        let isSolicitation = found.message.type == NeighbourView.solicitation
        let claims = isSolicitation ? addresses.contains(source) : addresses.contains(target)
        guard claims || isSolicitation && addresses.contains(target) else { return .emit(Responder.rest) }
        work.summed &+= found.message.count
        if let fault = found.fault() { return .drop(Drop(fault)) }
        if claims {
            conflicts &+= 1
            return .drop(Drop.conflict)
        }
        guard destination == target.solicitedNode || addresses.contains(destination),
            frame.destination == mac || frame.destination.isMulticast
        else { return .emit(Responder.rest) }
        let isProbe = source.isUnspecified
        let station =
            isProbe
            ? EthernetAddress(multicast: .allNodes)
            : found.message.ethernet(NeighbourOption.source) ?? frame.source
        guard station.isUnicast || isProbe else { return .drop(Drop.badSender) }
        answer(p, target, to: isProbe ? .allNodes : source, station, isSolicited: !isProbe, &work, context)
        replies &+= 1
        if isProbe { probes &+= 1 }
        return .emit(Responder.reply)
    }

    /// Makes a solicitation the advertisement that answers it.
    private func answer(
        _ p: Packet,
        _ target: IPAddress,
        to destination: IPAddress,
        _ station: EthernetAddress,
        isSolicited: Bool,
        _ work: inout Responder.Work,
        _ context: borrowing Context
    ) {
        let l3 = Int(p.l3)
        let length = l3 + IPv6View.size + MutableNeighbourView.sizeWithEthernet
        work.copied &+= p.isWritable ? 0 : length
        context.own(context.index(of: p), length: length)
        p.wireLength = UInt32(length)
        if let header = MutableEthernetView(p) {
            header.destination = station
            header.source = mac
        }
        let bytes = UnsafeMutableRawBufferPointer(start: p.writableData, count: length)
        NeighbourMessage.write(
            UnsafeMutableRawBufferPointer(rebasing: bytes[l3...]),
            type: NeighbourView.advertisement,
            from: target,
            to: destination,
            about: target,
            ethernet: mac
        ) { message in
            message.isRouter = isRouter
            message.isSolicited = isSolicited
            message.overrides = overrides
        }
        work.summed &+= MutableNeighbourView.sizeWithEthernet
        work.updated &+= 1
        p.forgetHeaders()
    }
}
