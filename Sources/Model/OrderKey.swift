// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// What the model reads of a packet before any element does.
struct PacketFacts {
    /// The same for both directions of a flow; packets with one key are kept in order.
    var key: UInt32
    /// Bytes up to and including the transport header; what crosses where only headers are read.
    var headers: UInt16

    /// Reads addresses and ports of `length` bytes. Fragments have no ports in all but the first, so fragments count
    /// without; what is not IP has one common key.
    init(_ data: UnsafeRawPointer, _ length: Int, linkType: UInt16) {
        func byte(_ at: Int) -> Int { Int(data.load(fromByteOffset: at, as: UInt8.self)) }
        func word(_ at: Int) -> Int { byte(at) &<< 8 | byte(at &+ 1) }
        func long(_ at: Int) -> UInt64 { UInt64(data.loadUnaligned(fromByteOffset: at, as: UInt64.self)) }
        func half(_ at: Int) -> UInt64 { UInt64(data.loadUnaligned(fromByteOffset: at, as: UInt32.self)) }

        key = 0
        headers = UInt16(min(length, 54))
        var at: Int
        switch linkType {
        case 1:
            at = 14
            // VLAN tags (IEEE 802.1Q, 802.1ad); a packet with more than four is treated as not IP.
            var tags = 0
            while tags < 4, at <= length, [0x8100, 0x88a8, 0x9100].contains(word(at &- 2)) {
                at &+= 4
                tags &+= 1
            }
            guard at <= length, [0x0800, 0x86dd].contains(word(at &- 2)) else { return }
        case 113: at = 16
        case 276: at = 20
        case 0, 108: at = 4
        case 12, 14, 101, 228, 229: at = 0
        default: return
        }
        guard at < length else { return }
        var mix: (UInt64, UInt64)
        var transport: Int
        var ipProtocol: Int
        var fragment = false
        switch byte(at) &>> 4 {
        case 4:
            let size = (byte(at) & 15) &* 4
            guard size >= 20, at &+ size <= length else { return }
            ipProtocol = byte(at &+ 9)
            fragment = word(at &+ 6) & 0x3fff != 0
            mix = (mix64(half(at &+ 12)), mix64(half(at &+ 16)))
            transport = at &+ size
        case 6:
            guard at &+ 40 <= length else { return }
            ipProtocol = byte(at &+ 6)
            mix = (
                mix64(mix64(long(at &+ 8)) ^ long(at &+ 16)), mix64(mix64(long(at &+ 24)) ^ long(at &+ 32))
            )
            transport = at &+ 40
            // Hop-by-hop, routing, destination options and fragment headers (RFC 8200 section 4); a bounded number.
            var extensions = 0
            while extensions < 8, [0, 43, 44, 60].contains(ipProtocol), transport &+ 8 <= length {
                if ipProtocol == 44 { fragment = true }
                let next = byte(transport)
                transport &+= ipProtocol == 44 ? 8 : (byte(transport &+ 1) &+ 1) &* 8
                ipProtocol = next
                extensions &+= 1
            }
        default: return
        }
        var end = transport
        if !fragment, [6, 17, 132, 136].contains(ipProtocol), transport &+ 4 <= length {
            mix.0 = mix64(mix.0 ^ UInt64(word(transport)))
            mix.1 = mix64(mix.1 ^ UInt64(word(transport &+ 2)))
            end = transport &+ (ipProtocol == 6 ? 20 : 8)
            if ipProtocol == 6, transport &+ 12 < length {
                end = transport &+ max(20, (byte(transport &+ 12) &>> 4) &* 4)
            }
        }
        headers = UInt16(clamping: min(end, length))
        // A sum does not change when the sides are swapped.
        let hash = mix64((mix.0 &+ mix.1) ^ UInt64(ipProtocol))
        key = UInt32(truncatingIfNeeded: hash) | 1
    }
}
