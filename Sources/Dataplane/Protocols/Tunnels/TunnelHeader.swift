// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A kind of tunnel: how a packet is carried inside another.
enum Tunnel: Int, CaseIterable, Sendable {
    /// GRE (RFC 2784, 2890), with NVGRE, ERSPAN, PPTP (RFC 2637) and WCCP.
    case gre
    /// VXLAN (RFC 7348).
    case vxlan
    /// Geneve (RFC 8926).
    case geneve
    /// IPv4 in IPv4 or IPv6: protocol 4 (RFC 2003, RFC 2473).
    case ipip
    /// IPv6 in IPv4 or IPv6: protocol 41 (RFC 4213, RFC 2473).
    case sixInFour
    /// GTP-U, version 1 (3GPP TS 29.281).
    case gtp
    /// L2TP, version 2 (RFC 2661), with PPP inside.
    case l2tp
    /// Label stacks (RFC 3032), also in IP (RFC 4023) and UDP (RFC 7510), and Ethernet behind them (RFC 4448).
    case mpls
}

/// Kinds of tunnels.
struct TunnelSet: OptionSet, Sendable {
    var rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }
    init(_ tunnel: Tunnel) { rawValue = 1 << UInt8(tunnel.rawValue) }

    func contains(_ tunnel: Tunnel) -> Bool { rawValue >> UInt8(tunnel.rawValue) & 1 == 1 }
}

/// Finds what is inside tunnels. UDP tunnels are known by their ports, and the first bytes behind must be right too: any program may
/// use a port.
enum TunnelHeader {
    /// UDP ports.
    static let vxlanPorts: [UInt16] = [4789, 8472]
    static let genevePort: UInt16 = 6081
    static let gtpPort: UInt16 = 2152
    static let l2tpPort: UInt16 = 1701
    static let mplsPort: UInt16 = 6635

    /// What a packet is found to be.
    enum Found: Equatable {
        /// No tunnel of these kinds, or nothing is carried: a message of the tunnel's own, another protocol than those read here.
        case nothing
        /// A tunnel whose headers are cut off, or wrong.
        case bad(Tunnel)
        /// A fragment of a tunnel's packet.
        case fragment
        /// A packet of link type `linkType` at `offset` from the outer one's first byte; on the wire it ended before `end`.
        case inner(Tunnel, offset: Int, end: Int, linkType: UInt16)
    }

    /// What `p`, whose headers have been looked for, carries in a tunnel of these kinds.
    static func find(_ p: Packet, _ kinds: TunnelSet) -> Found {
        if kinds.contains(.mpls), let found = labelled(p) { return found }
        guard p.ipVersion == 4 || p.ipVersion == 6 else { return .nothing }
        let bytes = Bytes(p)
        let at = Int(p.l4)
        switch p.ipProtocol {
        case 4 where kinds.contains(.ipip):
            return whole(p, .inner(.ipip, offset: at, end: bytes.end, linkType: LinkType.ipv4))
        case 41 where kinds.contains(.sixInFour):
            return whole(p, .inner(.sixInFour, offset: at, end: bytes.end, linkType: LinkType.ipv6))
        case 47 where kinds.contains(.gre): return p.isFragment ? .fragment : gre(bytes, at)
        case 137 where kinds.contains(.mpls): return p.isFragment ? .fragment : labels(bytes, at)
        case 17 where p.hasTransport: return udp(p, bytes, at, kinds)
        default: return .nothing
        }
    }

    private static func whole(_ p: Packet, _ found: Found) -> Found { p.isFragment ? .fragment : found }

    /// The bytes of a packet: the captured ones, and where its IP packet ended on the wire.
    private struct Bytes {
        let data: UnsafeRawPointer
        let captured: Int
        var end: Int

        init(_ p: Packet) {
            data = p.data
            end = Int(p.ipEnd)
            captured = min(Int(p.length), end)
        }

        func has(_ at: Int, _ count: Int) -> Bool { at + count <= captured }
    }

    // MARK: Ports

    private static func udp(_ p: Packet, _ bytes: Bytes, _ at: Int, _ kinds: TunnelSet) -> Found {
        let (source, destination) = (bytes.data.be16(at), bytes.data.be16(at + 2))
        func isTo(_ port: UInt16) -> Bool { destination == port }
        func isOf(_ port: UInt16) -> Bool { destination == port || source == port }
        let read: (Bytes, Int) -> Found
        if vxlanPorts.contains(destination), kinds.contains(.vxlan) {
            read = vxlan
        } else if isTo(genevePort), kinds.contains(.geneve) {
            read = geneve
        } else if isTo(mplsPort), kinds.contains(.mpls) {
            read = labels
        } else if isOf(gtpPort), kinds.contains(.gtp) {
            read = gtp
        } else if isOf(l2tpPort), kinds.contains(.l2tp) {
            read = l2tp
        } else {
            return .nothing
        }
        if p.isFragment { return .fragment }
        var bytes = bytes
        let length = Int(bytes.data.be16(at + 4))
        // 0 in jumbograms.
        if length >= 8 { bytes.end = min(bytes.end, at + length) }
        return read(bytes, at + 8)
    }

    // MARK: Kinds

    private static func vxlan(_ bytes: Bytes, _ at: Int) -> Found {
        guard bytes.has(at, 8) else { return .bad(.vxlan) }
        // Reserved fields are ignored when received; only the flag for the identifier must be there.
        guard bytes.data.byte(at) & 0x08 != 0 else { return .nothing }
        // That is little to know it by, so a frame without IP must be of a common kind.
        let (frame, captured) = (bytes.data + at + 8, bytes.captured - at - 8)
        let wire = bytes.end - at - 8
        if Headers.link(frame, captured, linkType: LinkType.ethernet, wire: wire).status == .notIP,
            !Headers.looksLikeFrame(frame, captured, at: 0, wire: wire)
        {
            return .nothing
        }
        return .inner(.vxlan, offset: at + 8, end: bytes.end, linkType: LinkType.ethernet)
    }

    private static func geneve(_ bytes: Bytes, _ at: Int) -> Found {
        guard bytes.has(at, 8) else { return .bad(.geneve) }
        // Version 0; control packets carry nothing to forward.
        guard bytes.data.byte(at) &>> 6 == 0, bytes.data.byte(at + 1) & 0x80 == 0 else { return .nothing }
        let options = Int(bytes.data.byte(at) & 0x3f) * 4
        return content(.geneve, bytes.data.be16(at + 2), bytes, at + 8 + options)
    }

    private static func gre(_ bytes: Bytes, _ at: Int) -> Found {
        guard bytes.has(at, 4) else { return .bad(.gre) }
        let flags = bytes.data.be16(at)
        let type = bytes.data.be16(at + 2)
        let hasSequence = flags & 0x1000 != 0
        // Checksum, key, sequence number; routing fields were taken out of the protocol.
        var next = at + 4 + (flags & 0x8000 != 0 ? 4 : 0) + (flags & 0x2000 != 0 ? 4 : 0) + (hasSequence ? 4 : 0)
        switch flags & 7 {
        case 0 where flags & 0x4000 == 0: break
        case 1 where type == 0x880b:
            // Without a sequence number there is only an acknowledgment.
            guard hasSequence else { return .nothing }
            if flags & 0x0080 != 0 { next += 4 }
            return .inner(.gre, offset: next, end: bytes.end, linkType: LinkType.ppp)
        default: return .nothing
        }
        switch type {
        case 0x88be:
            // ERSPAN type II has a header of its own, and GRE's sequence number; type I has neither.
            return .inner(.gre, offset: next + (hasSequence ? 8 : 0), end: bytes.end, linkType: LinkType.ethernet)
        case 0x22eb:
            guard bytes.has(next, 12) else { return .bad(.gre) }
            // The last bit announces eight more bytes. Only frames of Ethernet are read.
            let fields = bytes.data.be16(next + 10)
            guard fields & 0x7c00 == 0 else { return .nothing }
            return .inner(.gre, offset: next + (fields & 1 == 1 ? 20 : 12), end: bytes.end, linkType: LinkType.ethernet)
        case 0x883e:
            // WCCP: version 2 has four bytes before the packet.
            guard bytes.has(next, 1) else { return .bad(.gre) }
            let isPacket = bytes.data.byte(next) &>> 4 == 4
            return .inner(.gre, offset: isPacket ? next : next + 4, end: bytes.end, linkType: LinkType.ipv4)
        case 0x880b: return .inner(.gre, offset: next, end: bytes.end, linkType: LinkType.ppp)
        default: return content(.gre, type, bytes, next)
        }
    }

    private static func gtp(_ bytes: Bytes, _ at: Int) -> Found {
        guard bytes.has(at, 8) else { return .bad(.gtp) }
        let flags = bytes.data.byte(at)
        // Version 1, GTP and not GTP'; message 255 carries a packet.
        guard flags & 0xf0 == 0x30, bytes.data.byte(at + 1) == 255 else { return .nothing }
        let end = min(bytes.end, at + 8 + Int(bytes.data.be16(at + 2)))
        var next = at + 8
        if flags & 7 != 0 {
            guard bytes.has(next, 4) else { return .bad(.gtp) }
            var type = flags & 4 == 0 ? 0 : bytes.data.byte(next + 3)
            next += 4
            while type != 0 {
                // A length in units of four bytes, content, and the type of the next.
                guard bytes.has(next, 1) else { return .bad(.gtp) }
                let size = Int(bytes.data.byte(next)) * 4
                guard size > 0, bytes.has(next, size) else { return .bad(.gtp) }
                type = bytes.data.byte(next + size - 1)
                next += size
            }
        }
        guard bytes.has(next, 1) else { return .bad(.gtp) }
        // What a session carries is said only when it is set up.
        let version = bytes.data.byte(next) &>> 4
        guard version == 4 || version == 6 else { return .nothing }
        return .inner(.gtp, offset: next, end: end, linkType: version == 4 ? LinkType.ipv4 : LinkType.ipv6)
    }

    private static func l2tp(_ bytes: Bytes, _ at: Int) -> Found {
        guard bytes.has(at, 6) else { return .bad(.l2tp) }
        let flags = bytes.data.be16(at)
        // A data message of version 2.
        guard flags & 0x800f == 2 else { return .nothing }
        var end = bytes.end
        var next = at + 2
        if flags & 0x4000 != 0 {
            end = min(end, at + Int(bytes.data.be16(next)))
            next += 2
        }
        next += 4
        if flags & 0x0800 != 0 { next += 4 }
        if flags & 0x0200 != 0 {
            guard bytes.has(next, 2) else { return .bad(.l2tp) }
            next += 2 + Int(bytes.data.be16(next))
        }
        return .inner(.l2tp, offset: next, end: end, linkType: LinkType.ppp)
    }

    /// What an EtherType announces.
    private static func content(_ tunnel: Tunnel, _ type: UInt16, _ bytes: Bytes, _ at: Int) -> Found {
        if type == 0x6558 { return .inner(tunnel, offset: at, end: bytes.end, linkType: LinkType.ethernet) }
        let link = Headers.content(bytes.data, bytes.captured, type: type, at: at, wire: bytes.end)
        return behind(link, in: tunnel, bytes.data, bytes.captured, bytes.end)
    }

    // MARK: Labels

    /// The content of a label stack behind the link header; nil if there is none.
    private static func labelled(_ p: Packet) -> Found? {
        let wire = Int(max(p.wireLength, p.length))
        let link = Headers.link(p.data, Int(p.length), linkType: p.linkType, wire: wire)
        guard link.labels >= 0 else { return nil }
        return behind(link, in: .mpls, p.data, Int(p.length), wire)
    }

    /// The content of a label stack in IP or UDP.
    private static func labels(_ bytes: Bytes, _ at: Int) -> Found {
        let link = Headers.content(bytes.data, bytes.captured, type: 0x8847, at: at, wire: bytes.end)
        return behind(link, in: .mpls, bytes.data, bytes.captured, bytes.end)
    }

    private static func behind(
        _ link: Headers.Link,
        in tunnel: Tunnel,
        _ data: UnsafeRawPointer,
        _ captured: Int,
        _ wire: Int
    ) -> Found {
        switch link.status {
        case .ip:
            let linkType = link.version == 6 ? LinkType.ipv6 : LinkType.ipv4
            return .inner(tunnel, offset: link.offset, end: wire, linkType: linkType)
        case .truncated: return .bad(tunnel)
        default:
            guard link.labels >= 0, let frame = Headers.pseudowire(data, captured, at: link.offset, wire: wire) else {
                return .nothing
            }
            return .inner(tunnel, offset: frame, end: wire, linkType: LinkType.ethernet)
        }
    }
}
