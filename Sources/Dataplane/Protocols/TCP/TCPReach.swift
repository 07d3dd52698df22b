// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Whether a captured TCP segment is one that its receiver accepts, as far as the packet alone can tell.
enum TCPReach {
    /// Whether its TTL or hop limit is at least `least`.
    @inline(__always)
    static func hasHops(_ p: Packet, least: Int) -> Bool {
        Int(p.ipVersion == 4 ? IPv4View(known: p).timeToLive : IPv6View(known: p).hopLimit) >= least
    }

    /// Whether the TCP checksum is correct. A truncated packet, or a fragment, cannot be summed and counts as correct; so does one
    /// whose checksum is not filled in yet.
    ///
    /// - Parameter summed: increased by the number of bytes summed.
    static func isChecksumRight(_ p: Packet, summed: inout Int) -> Bool {
        let count = Int(p.l3) + Int(p.ipLength) - Int(p.l4)
        guard !p.isFragment, count >= 20, !p.flags.contains(.unsummed),
            Int(p.l4) + count <= Int(p.length)
        else { return true }
        let data = p.data
        let (at, size) = p.ipVersion == 4 ? (12, 8) : (8, 32)
        let sum =
            Checksum.pseudoHeader(addresses: data + Int(p.l3) + at, size, proto: IPProtocol.tcp, length: count)
            &+ Checksum.sum(data + Int(p.l4), count)
        summed += count
        return Checksum.fold(sum) == 0xffff
    }
}
