// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// What a fragment says about itself and its packet: IPv4 (RFC 791) and IPv6 (RFC 8200 section 4.5).
///
/// If an IPv6 packet has several fragment headers the first counts. Offsets called places are bytes from the beginning of the
/// frame, the others are within the original packet's fragmented part.
struct IPFragment {
    /// Identifies the fragments of one packet: both addresses and the identification, in IPv4 also the protocol. Unlike the key
    /// of a flow it differs between the two directions.
    let key: FlowKey
    /// The range of the original packet that the fragment brings.
    let start: Int
    let end: Int
    /// Whether further fragments follow.
    let more: Bool
    /// The place of its bytes.
    let data: Int
    /// The place after the headers that the original packet has too: those before the fragment header.
    let headersEnd: Int
    /// Bytes that count towards the maximum packet length, besides those of the fragmented part.
    let counted: Int
    /// The protocol after those headers, and the place of the field that states it; IPv6 only.
    let nextHeader: UInt8
    let nextHeaderField: Int

    /// The largest value of a length field.
    static let mostBytes = 65_535

    var size: Int { end - start }
    /// Whether it is a complete packet in a single fragment (RFC 6946).
    var isAtomic: Bool { start == 0 && !more }
    var isIPv6: Bool { key.ends &>> 40 == 6 }

    /// The fragment in a packet; nil if it has no fragment header and is not one. The headers must have been found.
    init?(_ p: Packet) {
        let l3 = Int(p.l3)
        let packetEnd = l3 + Int(p.ipLength)
        if let ip = IPv4View(p) {
            guard ip.isFragment else { return nil }
            data = l3 + ip.headerLength
            headersEnd = data
            counted = ip.headerLength
            start = ip.fragmentOffset
            more = ip.moreFragments
            nextHeader = ip.proto
            nextHeaderField = l3 + 9
            key = FlowKey(
                ends: UInt64(ip.identification) | UInt64(ip.proto) &<< 32 | 4 &<< 40,
                a0: ip.base.loadUnaligned(fromByteOffset: 12, as: UInt64.self),
                a1: 0,
                b0: 0,
                b1: 0
            )
        } else if let ip = IPv6View(p) {
            var field = l3 + 6
            var place = l3 + IPv6View.size
            var found: IPv6Extension?
            for header in ip.extensions {
                if header.kind == IPProtocol.fragment {
                    found = header
                    break
                }
                field = place
                place += header.bytes.count
            }
            guard let found, let fragment = found.fragment else { return nil }
            data = place + found.bytes.count
            headersEnd = place
            counted = place - l3 - IPv6View.size
            start = fragment.offset
            more = fragment.more
            nextHeader = found.nextHeader
            nextHeaderField = field
            // Next headers may differ between the fragments of one packet (RFC 8200 section 4.5).
            key = FlowKey(
                ends: UInt64(fragment.identification) | 6 &<< 40,
                a0: ip.base.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                a1: ip.base.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
                b0: ip.base.loadUnaligned(fromByteOffset: 24, as: UInt64.self),
                b1: ip.base.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
            )
        } else {
            return nil
        }
        end = start + packetEnd - data
    }

    /// Whether it could mislead filters that look at fragments: it is the first and does not include all headers up to the
    /// transport header (RFC 1858 section 3, RFC 8200 section 4.5), or it could overwrite part of a TCP header that the first
    /// has brought (RFC 1858 section 4, RFC 3128).
    func isTiny(_ p: Packet) -> Bool {
        if start > 0 { return start == 8 && nextHeader == IPProtocol.tcp }
        if let ip = IPv6View(p), ip.content == nil { return true }
        switch p.ipProtocol {
        case IPProtocol.tcp, IPProtocol.udp, IPProtocol.icmp, IPProtocol.icmpV6:
            return !p.hasTransport
        default: return false
        }
    }
}
