// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Whether a TCP segment that was seen here is one that its receiver takes, as far as the packet alone can tell.
enum TCPReach {
    /// Whether the packet lives long enough: its TTL or hop limit is at least `least`.
    @inline(__always)
    static func isAlive(_ p: UnsafeMutablePointer<Item>, least: Int) -> Bool {
        let ip = UnsafeRawPointer(p.pointee.data) + Int(p.pointee.l3)
        return Int(ip.byte(p.pointee.ipVersion == 4 ? 8 : 7)) >= least
    }

    /// Whether the TCP checksum is right. A packet that was cut, or is a fragment, cannot be summed and counts as right.
    ///
    /// - Parameter summed: grows by the bytes that were summed.
    static func isChecksumRight(_ p: UnsafeMutablePointer<Item>, summed: inout Int) -> Bool {
        let count = Int(p.pointee.l3) + Int(p.pointee.ipLength) - Int(p.pointee.l4)
        guard !p.pointee.flags.contains(.fragment), count >= 20,
            Int(p.pointee.l4) + count <= Int(p.pointee.length)
        else { return true }
        let data = UnsafeRawPointer(p.pointee.data)
        let (at, size) = p.pointee.ipVersion == 4 ? (12, 8) : (8, 32)
        let sum =
            Checksum.pseudoHeader(addresses: data + Int(p.pointee.l3) + at, size, proto: 6, length: count)
            &+ Checksum.sum(data + Int(p.pointee.l4), count)
        summed += count
        return Checksum.fold(sum) == 0xffff
    }
}
