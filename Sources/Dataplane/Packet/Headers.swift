// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The result of looking for a packet's headers.
@frozen
public enum HeaderStatus: UInt8, CaseIterable, Sendable {
    /// An IP header was found; the item's fields locate it.
    case ip
    /// The link type is not supported.
    case linkType
    /// Another network protocol, for example ARP.
    case notIP
    /// The capture ends before the headers do.
    case truncated
    /// The version in the IP header contradicts the protocol number before it.
    case badVersion
    /// An IPv4 header length below 20 bytes, or beyond the packet; IPv6 extension headers of 64 KiB.
    case badHeaderLength
    /// An IP length shorter than its header, or longer than what was on the wire.
    case badLength

    /// One phrase about the packet, for drop reasons.
    public var about: String {
        switch self {
        case .ip: "its IP header is right"
        case .linkType: "the headers of its link type are not known"
        case .notIP: "it holds another network protocol than IP"
        case .truncated: "the capture ends within the IP header"
        case .badVersion: "the IP version is not the one announced"
        case .badHeaderLength: "the IPv4 header length is impossible"
        case .badLength: "the IP length is shorter than the header or longer than the packet"
        }
    }
}

/// Finds the IP and transport headers of packets and sets `l3`, `l4`, `payload`, `ipProtocol`, `ipVersion`, `ipLength` and
/// the flags of an item.
///
/// Every byte is read after a check against the captured length. Link headers: Ethernet and Linux cooked v1 and v2 with VLAN tags
/// (802.1Q, 802.1ad), PPPoE sessions and LLC/SNAP, raw IP, BSD loopback, PPP, Cisco HDLC; MPLS label stacks on all that have
/// EtherTypes, and on PPP. Networks: IPv4 (RFC 791) and IPv6 with extension headers (RFC 8200).
public enum Headers {
    /// Finds the headers of `p`, unless already found.
    @inlinable @inline(__always)
    public static func locate(_ p: Packet) -> HeaderStatus {
        if p.ipVersion != 0, p.ipVersion != Item.noIP { return .ip }
        return locateUsual(p) ? .ip : locateSlowly(p)
    }

    /// Finds the headers of the most common packets: Ethernet with IPv4, fully captured, no options, no fragment, and long
    /// enough for a TCP header. Returns false for everything else, leaving the item unchanged. Headers already found are found
    /// again, at the same place.
    @inlinable @inline(__always)
    static func locateUsual(_ p: Packet) -> Bool {
        let length = p.length
        // One branch per condition, all nearly always taken: combining them costs more.
        guard _fastPath(p.linkType == LinkType.ethernet), _fastPath(length >= 54) else { return false }
        let data = p.data
        // EtherType 0x0800, version 4, header of five words.
        guard _fastPath(data.isUsualIPv4(12)) else { return false }
        let end = UInt32(data.be16(16)) &+ 14
        guard _fastPath(end <= length) else { return false }
        // Fragment fields, time to live and protocol in one word: what remains is the protocol, unless it is a fragment.
        let word = UInt32(littleEndian: data.loadUnaligned(fromByteOffset: 20, as: UInt32.self)) & 0xff00_ff3f
        let proto = word &<< 8 | word &>> 24
        guard _fastPath(proto < 64), _fastPath((1 &<< 6 | 1 &<< 17) as UInt64 &>> UInt64(proto) & 1 == 1) else {
            return false
        }
        // TCP (6) or UDP (17) is unpredictable, so no branch depends on it: all bits set for TCP, none for UDP.
        let ifTCP = Int32(truncatingIfNeeded: proto &>> 4) &- 1
        let beyondUDP = (Int32(data.byte(46) &>> 2) & 0x3c &- 8) & ifTCP
        let payload = UInt32(truncatingIfNeeded: beyondUDP &+ 42)
        guard _fastPath(beyondUDP >= 12 & ifTCP), _fastPath(payload <= end) else { return false }
        p.l3 = 14
        p.l4 = 34
        p.payload = UInt16(truncatingIfNeeded: payload)
        p.ipProtocol = UInt8(truncatingIfNeeded: proto)
        p.ipVersion = 4
        p.ipLength = end &- 14
        p.flags = ItemFlags(rawValue: p.flags.rawValue | ItemFlags.transport.rawValue)
        return true
    }

    /// The general case of ``locate(_:)``.
    @usableFromInline @inline(never)
    static func locateSlowly(_ p: Packet) -> HeaderStatus {
        p.ipVersion = Item.noIP
        let data = p.data
        let length = Int(p.length)
        let link = link(data, length, linkType: p.linkType, wire: Int(max(p.wireLength, p.length)))
        guard link.status == .ip else { return link.status }
        // Offsets of headers have 16 bits; thousands of tags do not lead to IP.
        guard link.offset <= Int(Int16.max) else { return .notIP }
        guard link.offset < length else { return .truncated }
        let version = data.byte(link.offset) &>> 4
        if link.version != 0, version != link.version { return .badVersion }
        switch version {
        case 4: return ipv4(p, data, length, link.offset)
        case 6: return ipv6(p, data, length, link.offset)
        default: return .badVersion
        }
    }

    /// What comes before a packet's network header.
    struct Link {
        var status: HeaderStatus
        /// Where the network header begins; with labels before another protocol, what follows them.
        var offset = 0
        /// 4 or 6 as announced, 0 if only the header itself says.
        var version: UInt8 = 0
        /// Where the outermost label stack begins; -1 if there is none.
        var labels = -1
    }

    /// Follows the link header of `length` bytes captured of `wire`.
    static func link(_ data: UnsafeRawPointer, _ length: Int, linkType: UInt16, wire: Int) -> Link {
        switch linkType {
        case LinkType.ethernet:
            guard length >= 14 else { return Link(status: .truncated) }
            return content(data, length, type: data.be16(12), at: 14, wire: wire, lengths: .below1536)
        case LinkType.raw, 12, 14:
            return Link(status: .ip)
        case LinkType.ipv4:
            return Link(status: .ip, version: 4)
        case LinkType.ipv6:
            return Link(status: .ip, version: 6)
        case LinkType.linuxSLL:
            guard length >= 16 else { return Link(status: .truncated) }
            return content(data, length, type: data.be16(14), at: 16, wire: wire, lengths: .cooked)
        case LinkType.linuxSLL2:
            guard length >= 20 else { return Link(status: .truncated) }
            return content(data, length, type: data.be16(0), at: 20, wire: wire, lengths: .cooked)
        case LinkType.null, LinkType.loop:
            guard length >= 4 else { return Link(status: .truncated) }
            let family = linkType == LinkType.loop ? data.be32(0) : hostOrder(data.be32(0))
            switch family {
            case 2: return Link(status: .ip, offset: 4, version: 4)
            // AF_INET6 of NetBSD and BSD/OS, FreeBSD, Darwin, and Linux.
            case 24, 28, 30, 10: return Link(status: .ip, offset: 4, version: 6)
            default: return Link(status: .notIP)
            }
        case LinkType.cHDLC:
            guard length >= 4 else { return Link(status: .truncated) }
            return content(data, length, type: data.be16(2), at: 4, wire: wire)
        case LinkType.pppHDLC where length > 0 && data.byte(0) & 0x7f == 0x0f:
            // Cisco HDLC: an address of 0x0f or 0x8f, a zero, and an EtherType (RFC 1547 section 4.3.1).
            guard length >= 4 else { return Link(status: .truncated) }
            return content(data, length, type: data.be16(2), at: 4, wire: wire)
        case LinkType.ppp, LinkType.pppHDLC:
            var at = 0
            // RFC 1662: address and control may be present, or omitted by negotiation.
            if length >= 2, data.byte(0) == 0xff, data.byte(1) == 0x03 { at = 2 }
            return ppp(data, length, at: at, wire: wire)
        default:
            return Link(status: .linkType)
        }
    }

    /// BSD loopback writes the family in the capturing machine's byte order; families are small numbers.
    private static func hostOrder(_ family: UInt32) -> UInt32 { family > 0xffff ? family.byteSwapped : family }

    /// Which numbers in place of an EtherType announce LLC.
    enum Lengths {
        /// None.
        case none
        /// Those below 0x0600: they are lengths of IEEE 802.3 frames.
        case below1536
        /// 4, as Linux writes it in cooked captures.
        case cooked
    }

    /// Follows what an EtherType announces at `at`, through VLAN tags, PPPoE, LLC/SNAP and label stacks.
    static func content(
        _ data: UnsafeRawPointer,
        _ length: Int,
        type: UInt16,
        at: Int,
        wire: Int,
        lengths: Lengths = .none
    ) -> Link {
        var (type, at, lengths) = (type, at, lengths)
        while true {
            let isLLC: Bool
            switch type {
            case EtherType.ipv4: return Link(status: .ip, offset: at, version: 4)
            case EtherType.ipv6: return Link(status: .ip, offset: at, version: 6)
            case EtherType.vlan, EtherType.serviceVLAN, 0x9100, 0x9200:
                guard at + 4 <= length else { return Link(status: .truncated) }
                type = data.be16(at + 2)
                at += 4
                if lengths == .cooked { lengths = .below1536 }
                continue
            case 0x8864:
                // PPPoE session (RFC 2516): 6 bytes, then a PPP protocol number.
                return ppp(data, length, at: at + 6, wire: wire)
            case 0x8847, 0x8848: return labels(data, length, at: at, wire: wire)
            // A frame too long for a length (draft-ietf-isis-ext-eth).
            case 0x8870: isLLC = true
            case 4: isLLC = lengths != .none
            default: isLLC = lengths == .below1536 && type < 0x0600
            }
            // LLC (IEEE 802.2): SNAP holds an EtherType, if its OUI is 0 or that of bridges (IEEE 802.1H); SAP 6 is IP.
            guard isLLC, at + 3 <= length else { return Link(status: .notIP) }
            if data.be16(at) == 0x0606, data.byte(at + 2) == 3 { return Link(status: .ip, offset: at + 3, version: 4) }
            guard at + 8 <= length, data.be16(at) == 0xaaaa else { return Link(status: .notIP) }
            let organisation = data.be32(at + 2)
            guard organisation == 0x0300_0000 || organisation == 0x0300_00f8 else {
                return Link(status: .notIP)
            }
            type = data.be16(at + 6)
            at += 8
            lengths = .none
        }
    }

    /// Follows the PPP protocol number at `at`, which is one byte if compressed (RFC 1661 section 6.5).
    private static func ppp(_ data: UnsafeRawPointer, _ length: Int, at: Int, wire: Int) -> Link {
        guard at + 1 <= length else { return Link(status: .truncated) }
        var offset = at + 1
        var proto = UInt16(data.byte(at))
        if proto & 1 == 0 {
            guard at + 2 <= length else { return Link(status: .truncated) }
            proto = data.be16(at)
            offset = at + 2
        }
        switch proto {
        case 0x21: return Link(status: .ip, offset: offset, version: 4)
        case 0x57: return Link(status: .ip, offset: offset, version: 6)
        // RFC 3032 section 4.
        case 0x0281, 0x0283: return labels(data, length, at: offset, wire: wire)
        default: return Link(status: .notIP)
        }
    }

    // MARK: Labels

    /// Follows the label stack at `first` (RFC 3032). Only the labels for explicit null say what is behind them; else it is IP if it
    /// looks like that, as routers that share load assume too (RFC 4928).
    private static func labels(_ data: UnsafeRawPointer, _ length: Int, at first: Int, wire: Int) -> Link {
        var at = first
        var entry: UInt32
        repeat {
            guard at + 4 <= length else { return Link(status: .truncated, labels: first) }
            entry = data.be32(at)
            at += 4
        } while entry & 0x100 == 0
        switch entry &>> 12 {
        case 0: return Link(status: .ip, offset: at, version: 4, labels: first)
        case 2: return Link(status: .ip, offset: at, version: 6, labels: first)
        default: break
        }
        guard at < length else { return Link(status: .truncated, labels: first) }
        let version = data.byte(at) &>> 4
        // The address of an Ethernet frame may begin with the same digit. What looks like both is IPv4 if its checksum is right.
        var isIP = version == 4 || version == 6
        if isIP, looksLikeFrame(data, length, at: at, wire: wire) {
            isIP =
                version == 4 && looksLikeIP(data, length, at: at, wire: wire)
                && IPv4View(UnsafeRawBufferPointer(start: data + at, count: length - at))?.isChecksumRight == true
        }
        return Link(status: isIP ? .ip : .notIP, offset: at, version: isIP ? version : 0, labels: first)
    }

    /// Where the Ethernet frame of a pseudowire begins, behind a label stack; nil if it looks like none. Nothing in the packet says
    /// whether a control word comes before it (RFC 4448), so it does if only then there is a frame. One with a tag has the type where
    /// a frame without tag behind a control word would have it, but hardly the other way round.
    static func pseudowire(_ data: UnsafeRawPointer, _ length: Int, at: Int, wire: Int) -> Int? {
        if looksLikeFrame(data, length, at: at, wire: wire) { return at }
        // Four zero bits, and two that say that the frame is whole.
        guard at + 4 <= length, data.be16(at) & 0xf0c0 == 0 else { return nil }
        return looksLikeFrame(data, length, at: at + 4, wire: wire) ? at + 4 : nil
    }

    /// Whether an IP header begins here whose lengths are possible; what was not captured counts for it.
    private static func looksLikeIP(_ data: UnsafeRawPointer, _ length: Int, at: Int, wire: Int) -> Bool {
        guard at < length else { return true }
        switch data.byte(at) &>> 4 {
        case 4:
            guard at + 20 <= length else { return true }
            let (header, total) = (Int(data.byte(at) & 15) * 4, Int(data.be16(at + 2)))
            return header >= 20 && (total == 0 || total >= header && at + total <= wire)
        case 6:
            return at + 40 > length || at + 40 + Int(data.be16(at + 4)) <= wire
        default: return false
        }
    }

    /// Whether an Ethernet frame begins here, with a content that is common there.
    static func looksLikeFrame(_ data: UnsafeRawPointer, _ length: Int, at: Int, wire: Int) -> Bool {
        var at = at + 12
        while true {
            guard at + 4 <= length else { return false }
            let type = data.be16(at)
            switch type {
            case EtherType.ipv4, EtherType.ipv6:
                return data.byte(at + 2) &>> 4 == (type == EtherType.ipv4 ? 4 : 6)
                    && looksLikeIP(data, length, at: at + 2, wire: wire)
            case EtherType.vlan, EtherType.serviceVLAN, 0x9100, 0x9200: at += 4
            // ARP for Ethernet.
            case EtherType.arp: return data.be16(at + 2) == 1
            // MPLS, PPPoE, 802.1X, LLDP, OAM, PTP, loopback.
            case 0x8847, 0x8848, 0x8863, 0x8864, 0x888e, 0x88cc, 0x8902, 0x88f7, 0x9000: return true
            case ..<0x0600:
                // LLC of spanning trees, IS-IS and SNAP.
                let points = data.be16(at + 2)
                return at + 2 + Int(type) <= wire && (points == 0x4242 || points == 0xfefe || points == 0xaaaa)
            default: return false
            }
        }
    }

    private static func ipv4(
        _ p: Packet,
        _ data: UnsafeRawPointer,
        _ length: Int,
        _ l3: Int
    ) -> HeaderStatus {
        guard l3 + 20 <= length else { return .truncated }
        let header = Int(data.byte(l3) & 15) * 4
        guard header >= 20 else { return .badHeaderLength }
        guard l3 + header <= Int(max(p.wireLength, p.length)) else { return .badHeaderLength }
        guard l3 + header <= length else { return .truncated }
        let onWire = Int(max(p.wireLength, p.length)) - l3
        var total = Int(data.be16(l3 + 2))
        // With segmentation offload the length is 0 in packets captured at the sender; use the frame's.
        if total == 0 { total = onWire }
        guard total >= header, total <= onWire else { return .badLength }
        let fragment = data.be16(l3 + 6)
        var flags: ItemFlags = []
        if fragment & 0x3fff != 0 { flags.insert(.fragment) }
        if fragment & 0x1fff != 0 { flags.insert(.laterFragment) }
        set(p, data, 4, l3: l3, l4: l3 + header, proto: data.byte(l3 + 9), ipLength: total, flags)
        return .ip
    }

    private static func ipv6(
        _ p: Packet,
        _ data: UnsafeRawPointer,
        _ length: Int,
        _ l3: Int
    ) -> HeaderStatus {
        guard l3 + 40 <= length else { return .truncated }
        let onWire = Int(max(p.wireLength, p.length)) - l3
        var total = Int(data.be16(l3 + 4)) + 40
        // A jumbogram (RFC 2675), or segmentation offload: use the frame's length.
        if total == 40, data.byte(l3 + 6) != 59 { total = onWire }
        guard total <= onWire else { return .badLength }
        var flags: ItemFlags = []
        var next = data.byte(l3 + 6)
        var at = l3 + 40
        let end = min(length, l3 + total)
        // Each extension header is at least 8 bytes, so the loop ends with the packet.
        chain: while true {
            switch next {
            case 0, 43, 60, 135, 139, 140:
                // Hop-by-hop, routing, destination options, mobility, HIP, shim6: length in units of 8 bytes, minus one.
                guard at + 8 <= end else { break chain }
                next = data.byte(at)
                at += (Int(data.byte(at + 1)) + 1) * 8
            case 51:
                // Authentication header (RFC 4302): length in units of 4 bytes, minus two.
                guard at + 8 <= end else { break chain }
                next = data.byte(at)
                at += (Int(data.byte(at + 1)) + 2) * 4
            case 44:
                guard at + 8 <= end else { break chain }
                let field = data.be16(at + 2)
                // An atomic fragment (RFC 6946) is a whole packet: offset 0 and none to follow.
                if field & 0xfff9 != 0 { flags.insert(.fragment) }
                next = data.byte(at)
                at += 8
                if field & 0xfff8 != 0 {
                    flags.insert(.laterFragment)
                    break chain
                }
            default: break chain
            }
            // Only a jumbogram can hold so many, and the place of its transport header would not fit its field.
            if at > Int(UInt16.max) - 64 { return .badHeaderLength }
        }
        set(p, data, 6, l3: l3, l4: at, proto: next, ipLength: total, flags)
        return .ip
    }

    /// Sets the item's fields, and the payload's place after a transport header if that is complete.
    private static func set(
        _ p: Packet,
        _ data: UnsafeRawPointer,
        _ version: UInt8,
        l3: Int,
        l4: Int,
        proto: UInt8,
        ipLength: Int,
        _ found: ItemFlags
    ) {
        var flags = p.flags.subtracting([.fragment, .laterFragment, .transport]).union(found)
        let end = min(Int(p.length), l3 + ipLength)
        var payload = l4
        if !flags.contains(.laterFragment) {
            switch proto {
            case 6:
                if l4 + 20 <= end {
                    let header = Int(data.byte(l4 + 12) &>> 4) * 4
                    flags.insert(.transport)
                    // With a data offset that is impossible or leads out of the packet there is no telling where the payload
                    // begins.
                    payload = header >= 20 && l4 + header <= end ? l4 + header : end
                }
            case 17, 1, 58:
                if l4 + 8 <= end {
                    payload = l4 + 8
                    flags.insert(.transport)
                }
            default: break
            }
        }
        p.ipVersion = version
        p.l3 = UInt16(truncatingIfNeeded: l3)
        p.l4 = UInt16(truncatingIfNeeded: l4)
        p.payload = UInt16(truncatingIfNeeded: min(payload, Int(UInt16.max)))
        p.ipProtocol = proto
        p.ipLength = UInt32(truncatingIfNeeded: ipLength)
        p.flags = flags
    }
}
