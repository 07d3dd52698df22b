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
/// Every byte is read after a check against the captured length. Link headers: Ethernet with VLAN tags (802.1Q, 802.1ad),
/// PPPoE sessions and LLC/SNAP, raw IP, Linux cooked v1 and v2, BSD loopback, PPP. Networks: IPv4 (RFC 791) and IPv6 with
/// extension headers (RFC 8200).
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
        let link = network(data, length, linkType: p.linkType)
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

    /// Where a packet's network header begins; `version` is 4 or 6 as announced, 0 if only the header itself says.
    private static func network(
        _ data: UnsafeRawPointer,
        _ length: Int,
        linkType: UInt16
    ) -> (status: HeaderStatus, offset: Int, version: UInt8) {
        switch linkType {
        case LinkType.ethernet:
            guard length >= 14 else { return (.truncated, 0, 0) }
            return etherType(data, length, at: 12)
        case LinkType.raw, 12, 14:
            return (.ip, 0, 0)
        case LinkType.ipv4:
            return (.ip, 0, 4)
        case LinkType.ipv6:
            return (.ip, 0, 6)
        case LinkType.linuxSLL:
            guard length >= 16 else { return (.truncated, 0, 0) }
            return etherType(data, length, at: 14)
        case LinkType.linuxSLL2:
            guard length >= 20 else { return (.truncated, 0, 0) }
            let kind = etherType(data, length, at: 0)
            // The protocol comes first, the network header after 20 bytes; tags in between move it on.
            return (kind.status, kind.offset == 2 ? 20 : kind.offset, kind.version)
        case LinkType.null, LinkType.loop:
            guard length >= 4 else { return (.truncated, 0, 0) }
            let family = linkType == LinkType.loop ? data.be32(0) : hostOrder(data.be32(0))
            switch family {
            case 2: return (.ip, 4, 4)
            // AF_INET6 of NetBSD and BSD/OS, FreeBSD, Darwin, and Linux.
            case 24, 28, 30, 10: return (.ip, 4, 6)
            default: return (.notIP, 0, 0)
            }
        case LinkType.cHDLC:
            return etherType(data, length, at: 2)
        case LinkType.pppHDLC where length > 0 && data.byte(0) & 0x7f == 0x0f:
            // Cisco HDLC: an address of 0x0f or 0x8f, a zero, and an EtherType (RFC 1547 section 4.3.1).
            return etherType(data, length, at: 2)
        case LinkType.ppp, LinkType.pppHDLC:
            var at = 0
            // RFC 1662: address and control may be present, or omitted by negotiation.
            if length >= 2, data.byte(0) == 0xff, data.byte(1) == 0x03 { at = 2 }
            return ppp(data, length, at: at)
        default:
            return (.linkType, 0, 0)
        }
    }

    /// BSD loopback writes the family in the capturing machine's byte order; families are small numbers.
    private static func hostOrder(_ family: UInt32) -> UInt32 { family > 0xffff ? family.byteSwapped : family }

    /// Follows the EtherType at `at`, through VLAN tags, PPPoE and LLC/SNAP.
    private static func etherType(
        _ data: UnsafeRawPointer,
        _ length: Int,
        at first: Int
    ) -> (status: HeaderStatus, offset: Int, version: UInt8) {
        var at = first
        while true {
            guard at + 2 <= length else { return (.truncated, 0, 0) }
            let type = data.be16(at)
            switch type {
            case 0x0800: return (.ip, at + 2, 4)
            case 0x86dd: return (.ip, at + 2, 6)
            case 0x8100, 0x88a8, 0x9100, 0x9200:
                // In an SLL2 header the tag stands behind the fixed part.
                at = first == 0 && at == 0 ? 22 : at + 4
            case 0x8864:
                // PPPoE session (RFC 2516): 6 bytes, then a PPP protocol number.
                return ppp(data, length, at: (first == 0 && at == 0 ? 20 : at + 2) + 6)
            case ..<0x0600 where first == 12:
                // A length: LLC follows (IEEE 802.2); SNAP with a zero OUI holds an EtherType.
                guard at + 10 <= length else { return (.notIP, 0, 0) }
                guard data.be16(at + 2) == 0xaaaa, data.be32(at + 4) == 0x0300_0000 else { return (.notIP, 0, 0) }
                at += 8
            default: return (.notIP, 0, 0)
            }
        }
    }

    /// Follows the PPP protocol number at `at`, which is one byte if compressed (RFC 1661 section 6.5).
    private static func ppp(
        _ data: UnsafeRawPointer,
        _ length: Int,
        at: Int
    ) -> (status: HeaderStatus, offset: Int, version: UInt8) {
        guard at + 1 <= length else { return (.truncated, 0, 0) }
        var offset = at + 1
        var proto = UInt16(data.byte(at))
        if proto & 1 == 0 {
            guard at + 2 <= length else { return (.truncated, 0, 0) }
            proto = data.be16(at)
            offset = at + 2
        }
        switch proto {
        case 0x21: return (.ip, offset, 4)
        case 0x57: return (.ip, offset, 6)
        default: return (.notIP, 0, 0)
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
