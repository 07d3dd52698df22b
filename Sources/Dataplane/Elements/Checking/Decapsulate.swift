// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Removes the outer headers of tunnels, so that what comes after sees the packets inside.
///
/// `decapsulate` names the kinds to look into; others pass unchanged, and so does everything by default:
///
/// | kind | what is read |
/// | --- | --- |
/// | `gre` | GRE with checksum, key and sequence number: IP, Ethernet (NVGRE), PPP (PPTP), ERSPAN I to III, WCCP, MPLS |
/// | `vxlan` | VXLAN at UDP ports 4789 and 8472 |
/// | `geneve` | Geneve with options, at UDP port 6081 |
/// | `ipip` | IPv4 in IPv4 or IPv6, protocol 4 |
/// | `6in4` | IPv6 in IPv4 or IPv6, protocol 41 |
/// | `gtp` | GTP-U version 1 with extension headers, at UDP port 2152 |
/// | `l2tp` | data messages of L2TP version 2 with IP in PPP, at UDP port 1701 |
/// | `mpls` | label stacks before IP, and before Ethernet with or without control word; also in IP (protocol 137) and at UDP port 6635 |
///
/// Nothing in a packet says that there is Ethernet behind labels, nor whether a control word comes before it: what looks like
/// neither stays. Tunnels in tunnels are removed to a depth of `depth`. Messages of a tunnel's own, such as GTP's echo or PPP's
/// LCP, pass unchanged. So do fragments of a tunnel's packets; put an IPDefragmenter before, and one behind for fragments inside.
///
/// What leaves is a packet like those of its wire: Ethernet frames have the addresses of the innermost frame. Where there is
/// no frame, on other link types, IP packets leave as raw IP. A flow that a FlowTable has assigned stays that of the tunnel; put the
/// table behind.
public final class Decapsulate: Element {
    public struct Config: ElementConfig {
        /// The kinds of tunnels; `none` and `all` stand alone.
        public enum Kind: String, CaseIterable, Sendable {
            case none, all, gre, vxlan, geneve, ipip
            case sixInFour = "6in4"
            case gtp, l2tp, mpls
        }
        /// A packet whose inner headers are not right passes as it came (`pass`), or is dropped.
        public enum Policy: String, CaseIterable, Sendable { case pass, drop }
        /// The tunnels to look into.
        public var decapsulate = [Kind.none]
        /// The most tunnels removed from one packet.
        public var depth = 4
        /// What becomes of a packet whose inner headers are cut off or not right.
        public var onBad = Policy.pass
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case badInner
        public var about: String { "the headers inside its tunnel are cut off or not right, and `on_bad` says so" }
    }
    public static let summary = "removes the outer headers of tunnels"
    public static let category = Category.checking
    public static let depends = Depends.item
    /// Flows inside a tunnel have other ends than the tunnel.
    public static let divides = Divides.hosts
    public static func inputs(_ config: Config) -> [Input] {
        [
            Input(
                "in",
                .only(.packet),
                reads: config.decapsulate == [.none] ? .arrival : .payload,
                "any packets; whole ones, unless it is to look into none"
            )
        ]
    }
    public static func outputs(_: Config) -> [Output] {
        [Output("out", .sameAs(input: 0), "the packets inside, and those that are in no tunnel")]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("decapsulate", \.decapsulate, "the kinds of tunnels to look into"),
        .init("depth", \.depth, in: 1...16, "the most tunnels removed from one packet"),
        .init("on_bad", \.onBad, "what becomes of a packet whose inner headers are cut off or not right"),
    ]
    public static let handlers =
        Tunnel.allCases.map { tunnel in
            Handler<Decapsulate>(name(of: tunnel), "tunnels of this kind removed") { Int($0.removed[tunnel.rawValue]) }
        } + [
            Handler<Decapsulate>("packets", "packets from which a tunnel was removed") { Int($0.packets) },
            Handler<Decapsulate>("bad", "packets whose inner headers are cut off or not right") { Int($0.bad) },
            Handler<Decapsulate>("too_deep", "packets in which `depth` left a tunnel") { Int($0.tooDeep) },
            Handler<Decapsulate>("fragments", "fragments of packets that may hold a tunnel") { Int($0.fragments) },
        ]
    public static let operations: [Operation] = [.parse, .copyBytes]
    public static let examples = [
        Example(
            "a packet in GRE",
            config: "{decapsulate: [gre]}",
            in: [
                "in": [
                    #"192.0.2.1 > 192.0.2.2 proto=47 data="\0\0\x08\0" inner="10.0.0.1:4000 > 10.0.0.2:80 S seq=9""#
                ]
            ],
            out: ["out": ["10.0.0.1:4000 > 10.0.0.2:80 S seq=9"]]
        ),
        Example(
            "only the kinds named",
            config: "{decapsulate: [vxlan, ipip]}",
            in: ["in": [#"192.0.2.1 > 192.0.2.2 proto=47 data="\0\0\x08\0""#, "10.0.0.1:1000 > 10.0.0.2:80 S"]],
            out: ["out": ["* > * proto=47", "* > * S"]]
        ),
        Example(
            "nothing is inside",
            config: "{decapsulate: [all], on_bad: drop}",
            in: ["in": [#"192.0.2.1 > 192.0.2.2 proto=47 data="\0\0\x08\0""#]],
            out: ["out": []],
            drops: ["bad_inner": 1]
        ),
    ]

    private let kinds: TunnelSet
    private let depth: Int
    private let dropsBad: Bool
    /// By kind.
    private var removed = [UInt64](repeating: 0, count: Tunnel.allCases.count)
    private var packets: UInt64 = 0
    private var bad: UInt64 = 0
    private var tooDeep: UInt64 = 0
    private var fragments: UInt64 = 0

    public init(_ config: Config, _: Setup) throws {
        if config.decapsulate.count > 1, let word = config.decapsulate.first(where: { $0 == .none || $0 == .all }) {
            throw ParameterError("'\(word.rawValue)' stands alone", at: 0)
        }
        kinds = TunnelSet(
            Tunnel.allCases.filter { tunnel in
                config.decapsulate == [.all]
                    || config.decapsulate.contains { $0.rawValue == Decapsulate.name(of: tunnel) }
            }.map { TunnelSet($0) }
        )
        depth = config.depth
        dropsBad = config.onBad == .drop
        super.init()
    }

    private static func name(of tunnel: Tunnel) -> String { tunnel == .sixInFour ? "6in4" : "\(tunnel)" }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        if kinds.isEmpty { return context.emit(batch, 0) }
        var work = (parsed: batch.count, copied: 0)
        context.forEach(batch) { p, context in
            // TCP over IPv4 right behind an Ethernet header is in no tunnel.
            if p.ipVersion == 0 { _ = Headers.locateUsual(p) }
            if p.ipProtocol == IPProtocol.tcp, p.l3 == 14, p.ipVersion == 4, p.linkType == LinkType.ethernet {
                return .emit(0)
            }
            return look(p, &work, context)
        }
        context.did(.parse, work.parsed)
        context.did(.copyBytes, work.copied)
    }

    /// Removes the tunnels of a packet that may have some.
    @inline(never)
    private func look(
        _ p: Packet,
        _ work: inout (parsed: Int, copied: Int),
        _ context: borrowing Context
    ) -> Context.Verdict {
        _ = Headers.locate(p)
        // What has been found inside so far: a packet in the bytes of `p`, which stays as it is.
        var inner = p.item.pointee
        var levels = 0
        // Where the innermost Ethernet frame begins; -1 if there is none.
        var frame = p.linkType == LinkType.ethernet ? 0 : -1
        var isBad = false
        search: while true {
            switch inner.withPacket({ TunnelHeader.find($0, kinds) }) {
            case .nothing: break search
            case .fragment:
                fragments &+= 1
                break search
            case .bad:
                isBad = true
                break search
            case .inner(let tunnel, let offset, let end, let linkType):
                if levels == depth {
                    tooDeep &+= 1
                    break search
                }
                var next = inner
                let captured = min(Int(inner.length), end)
                guard offset < captured else {
                    isBad = true
                    break search
                }
                next.data += offset
                next.length = UInt32(truncatingIfNeeded: captured &- offset)
                next.wireLength = UInt32(truncatingIfNeeded: end &- offset)
                next.linkType = linkType
                next.forgetHeaders()
                work.parsed &+= 1
                let status = next.withPacket { Headers.locate($0) }
                let isFrame = linkType == LinkType.ethernet
                if status == .notIP, !isFrame { break search }
                guard status == .ip || status == .notIP else {
                    isBad = true
                    break search
                }
                if linkType == LinkType.ppp {
                    next.data += Int(next.l3)
                    next.length &-= UInt32(next.l3)
                    next.wireLength &-= UInt32(next.l3)
                    next.linkType = LinkType.raw
                    next.forgetHeaders()
                    _ = next.withPacket { Headers.locate($0) }
                }
                inner = next
                levels &+= 1
                removed[tunnel.rawValue] &+= 1
                if isFrame { frame = inner.data - p.item.pointee.data }
            }
        }
        if isBad {
            bad &+= 1
            if dropsBad { return .drop(Drop.badInner) }
        }
        if levels > 0 {
            packets &+= 1
            work.copied &+= replace(p, by: inner, frame: frame, context)
        }
        return .emit(0)
    }

    /// Makes `p` the packet that was found inside it; returns how many bytes were copied.
    private func replace(_ p: Packet, by inner: Item, frame: Int, _ context: borrowing Context) -> Int {
        let offset = inner.data - p.item.pointee.data
        // An IP packet in a frame, with other headers between: the frame's addresses move up to it.
        let isMoved = inner.linkType != LinkType.ethernet && frame >= 0
        let start = isMoved ? offset - 14 : offset
        var copied = 0
        if isMoved {
            if !p.isWritable {
                copied += Int(p.length)
                context.own(p)
            }
            let data = p.writableData
            copied += 14
            (data + start).copyMemory(from: data + frame, byteCount: 12)
            let type = data.load(fromByteOffset: offset, as: UInt8.self) &>> 4 == 6 ? EtherType.ipv6 : EtherType.ipv4
            data.put(type, start + 12)
        }
        let length = Int(inner.length) + offset - start
        if p.flags.contains(.large) {
            // The block is freed by its first byte, so that must stay in place.
            p.writableData.copyMemory(from: p.writableData + start, byteCount: length)
            copied += length
        } else {
            p.item.pointee.data += start
        }
        p.length = UInt32(truncatingIfNeeded: length)
        p.wireLength = inner.wireLength &+ UInt32(truncatingIfNeeded: offset - start)
        p.linkType = frame >= 0 ? LinkType.ethernet : LinkType.raw
        p.forgetHeaders()
        return copied
    }
}
