// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

@testable import Dataplane

/// A frame that is put together header by header, in memory that is used again: arrays check more with each byte than a run
/// has time for.
final class FuzzFrame {
    private static let capacity = 1 << 17
    private let base = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
    private(set) var count = 0

    deinit { base.deallocate() }

    /// The bytes so far; valid until something is appended.
    var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base, count: count) }

    func clear() { count = 0 }

    /// Room for `more` bytes behind the others.
    @inline(__always)
    private func grow(_ more: Int) -> UnsafeMutableRawPointer {
        precondition(count + more <= FuzzFrame.capacity)
        defer { count += more }
        return base + count
    }

    func append16(_ number: Int) {
        grow(2).storeBytes(of: UInt16(truncatingIfNeeded: number).bigEndian, as: UInt16.self)
    }
    func append32(_ number: UInt32) { grow(4).storeBytes(of: number.bigEndian, as: UInt32.self) }
    func append(_ count: Int, of byte: UInt8) { memset(grow(count), Int32(byte), count) }
    func append(_ bytes: UnsafeRawBufferPointer) {
        if let start = bytes.baseAddress { memcpy(grow(bytes.count), start, bytes.count) }
    }
    func removeLast(_ less: Int) { count -= less }

    /// The header of an Ethernet frame that holds IPv4 or IPv6.
    func appendEthernet(isIPv6: Bool) {
        for _ in 0..<3 { append32(0x0200_0200) }
        append16(isIPv6 ? 0x86dd : 0x0800)
    }

    /// An IPv4 header without checksum, before its options; `source` and `destination` are the last bytes of addresses.
    func appendIPv4(
        _ source: Int,
        _ destination: Int,
        proto: Int,
        payload: Int,
        options: Int = 0,
        id: Int = 0,
        fragment: Int = 0,
        ttl: Int = 64
    ) {
        append16((0x45 + options / 4) << 8)
        append16(20 + options + payload)
        append16(id)
        append16(fragment)
        append16(ttl << 8 | proto)
        append16(0)
        append32(0x0a00_0000 | UInt32(source))
        append32(0x0a00_0000 | UInt32(destination))
    }

    /// Fills in the checksum of the IPv4 header at `place`.
    func fillIPv4Checksum(at place: Int) {
        MutableIPv4View(UnsafeMutableRawBufferPointer(rebasing: bytes[place...]))?.fillChecksum()
    }

    /// An IPv6 header; `source` and `destination` are the last bytes of addresses.
    func appendIPv6(
        _ source: Int,
        _ destination: Int,
        next: Int,
        payload: Int,
        label: Int = 0,
        hops: Int = 64
    ) {
        append16(0x6000)
        append16(label)
        append16(payload)
        append16(next << 8 | hops)
        for end in [source, destination] {
            append32(0x2001_0db8)
            append32(0)
            append32(0)
            append32(UInt32(end))
        }
    }

    /// A TCP header without checksum, before its options; `words` is what it says of its length.
    func appendTCP(
        _ source: Int,
        _ destination: Int,
        sequence: UInt32,
        acknowledgment: UInt32 = 1,
        flags: UInt8,
        window: Int = 1000,
        words: Int = 5
    ) {
        append16(source)
        append16(destination)
        append32(sequence)
        append32(acknowledgment)
        append16(words << 12 | Int(flags))
        append16(window)
        append32(0)
    }

    /// Fills in the checksum of the TCP segment from `place` on, whose IP header begins at `header`.
    func fillTCPChecksum(at place: Int, header: Int, isIPv6: Bool) {
        let addresses = UnsafeRawPointer(base) + header + (isIPv6 ? 8 : 12)
        let size = count - place
        let pseudo = Checksum.pseudoHeader(
            addresses: addresses,
            isIPv6 ? 32 : 8,
            proto: IPProtocol.tcp,
            length: size
        )
        let field = Checksum.field(Checksum.sum(base + place, size) &+ pseudo)
        base.storeBytes(of: field, toByteOffset: place + 16, as: UInt16.self)
    }
}
