// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// What a fragment says of itself and of the packet it is a part of: IPv4 (RFC 791) and IPv6 (RFC 8200 section 4.5).
///
/// Of several fragment headers in an IPv6 packet the first counts. Offsets called places are bytes from the beginning of the
/// frame, the others bytes of the whole packet's fragmented part.
struct IPFragment {
    /// What the fragments of one packet have in common: both addresses and the identification, in IPv4 the protocol too.
    /// Unlike the key of a flow it differs for the two directions.
    let key: FlowKey
    /// Bytes of the whole packet that the fragment brings.
    let start: Int
    let end: Int
    /// Whether it is not the last.
    let more: Bool
    /// The place of its bytes.
    let data: Int
    /// The place behind the headers that the whole packet has too: those before the fragment header.
    let headersEnd: Int
    /// Bytes that count towards the greatest length of a packet, beside those of the fragmented part.
    let counted: Int
    /// What follows those headers, and the place of the field that says so; IPv6 only.
    let nextHeader: UInt8
    let nextHeaderField: Int

    /// The most bytes that a length field can state.
    static let mostBytes = 65_535

    var size: Int { end - start }
    /// Whether it is a whole packet all the same (RFC 6946).
    var isAtomic: Bool { start == 0 && !more }
    var isIPv6: Bool { key.ends &>> 40 == 6 }

    /// The fragment that a packet is; nil when it is none and has no fragment header. The headers have been found.
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
            // Next headers may differ among the fragments of one packet (RFC 8200 section 4.5).
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

    /// Whether filters that look at fragments could be led astray by it: it is the first and does not hold the headers up to
    /// that of the transport (RFC 1858 section 3, RFC 8200 section 4.5), or it could replace a part of a TCP header that the
    /// first has brought (RFC 1858 section 4, RFC 3128).
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
