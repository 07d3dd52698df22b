// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The Internet checksum: sums in ones' complement arithmetic (RFC 1071), and their updates (RFC 1624).
///
/// Sums are kept of 16-bit words in memory order, which RFC 1071 section 2(B) allows: swap the result's bytes once, or
/// store it as it is.
public enum Checksum {
    /// The sum of `count` bytes, not folded, words in memory order. An odd last byte is padded with zero.
    ///
    /// Fits 64 bits for any packet. Add sums of parts only when all parts but the last have even length.
    @inlinable
    public static func sum(_ bytes: UnsafeRawPointer, _ count: Int) -> UInt64 {
        var sum: UInt64 = 0
        // 32-bit words into a 64-bit sum: the compiler makes vector code of this loop.
        for k in 0..<(count &>> 2) {
            sum &+= UInt64(bytes.loadUnaligned(fromByteOffset: k &* 4, as: UInt32.self))
        }
        var k = count & ~3
        if count & 2 != 0 {
            sum &+= UInt64(bytes.loadUnaligned(fromByteOffset: k, as: UInt16.self))
            k &+= 2
        }
        if count & 1 != 0 { sum &+= UInt64(UInt16(littleEndian: UInt16(bytes.byte(k)))) }
        return sum
    }

    /// Folds a sum to 16 bits, adding the carries back in.
    @inlinable @inline(__always)
    public static func fold(_ sum: UInt64) -> UInt16 {
        var s = (sum & 0xffff_ffff) &+ (sum &>> 32)
        s = (s & 0xffff) &+ (s &>> 16)
        s = (s & 0xffff) &+ (s &>> 16)
        s = (s & 0xffff) &+ (s &>> 16)
        return UInt16(truncatingIfNeeded: s)
    }

    /// The checksum field for a sum, to be stored in memory order.
    @inlinable @inline(__always)
    public static func field(_ sum: UInt64) -> UInt16 { ~fold(sum) }

    /// Whether the checksum of an IPv4 header of 20 bytes, without options, is right.
    ///
    /// It is when the sum of the words is a multiple of 0xffff and not 0, which no header's is, as its version is 4. A
    /// number is a multiple of an odd divisor when its product with the divisor's inverse is small (Granlund and
    /// Montgomery, PLDI 1994, section 9): one multiplication instead of folding.
    @inlinable @inline(__always)
    public static func isRight20(_ header: UnsafeRawPointer) -> Bool {
        let a = header.loadUnaligned(as: UInt64.self)
        let b = header.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        let c = header.loadUnaligned(fromByteOffset: 16, as: UInt32.self)
        // With the carries added back in, the sum keeps its remainder by 0xffff, of which 2^64 - 1 is a multiple.
        let (ab, carry) = a.addingReportingOverflow(b)
        let (abc, carry2) = ab.addingReportingOverflow(UInt64(c) &+ (carry ? 1 : 0))
        let sum = abc &+ (carry2 ? 1 : 0)
        // 0xfffe_fffe_fffe_ffff * 0xffff is 1 modulo 2^64.
        return sum &* 0xfffe_fffe_fffe_ffff <= UInt64.max / 0xffff
    }

    /// The sum of the pseudo-header of TCP, UDP and ICMPv6 (RFC 9293 section 3.1, RFC 8200 section 8.1):
    /// `addresses` are both addresses, 8 or 32 bytes.
    @inlinable
    public static func pseudoHeader(
        addresses: UnsafeRawPointer,
        _ addressBytes: Int,
        proto: UInt8,
        length: Int
    ) -> UInt64 {
        pseudoHeader(sum(addresses, addressBytes), proto: proto, length: length)
    }

    /// The sum of the pseudo-header, when that of both addresses is known.
    @inlinable @inline(__always)
    public static func pseudoHeader(_ addressSum: UInt64, proto: UInt8, length: Int) -> UInt64 {
        addressSum &+ UInt64(UInt16(proto).bigEndian)
            &+ UInt64(UInt16(truncatingIfNeeded: length).bigEndian)
            &+ UInt64(UInt16(truncatingIfNeeded: length &>> 16).bigEndian)
    }

    /// The checksum field after a 16-bit word it covers changed from `old` to `new` (RFC 1624 equation 3). All three
    /// in one byte order.
    ///
    /// Unlike RFC 1141's equation it never gives 0xffff for a sum that is not zero.
    @inlinable @inline(__always)
    public static func update(_ field: UInt16, _ old: UInt16, _ new: UInt16) -> UInt16 {
        var s = UInt32(~field) &+ UInt32(~old) &+ UInt32(new)
        s = (s & 0xffff) &+ (s &>> 16)
        s = (s & 0xffff) &+ (s &>> 16)
        return ~UInt16(truncatingIfNeeded: s)
    }

    /// The checksum field after a 32-bit word it covers changed, for example a sequence number or an IPv4 address.
    ///
    /// The word is taken apart into halves, so that a 32-bit addition that wrapped needs no correction.
    @inlinable @inline(__always)
    public static func update(_ field: UInt16, _ old: UInt32, _ new: UInt32) -> UInt16 {
        var s = UInt32(~field) &+ (~old & 0xffff) &+ (~old &>> 16) &+ (new & 0xffff) &+ (new &>> 16)
        s = (s & 0xffff) &+ (s &>> 16)
        s = (s & 0xffff) &+ (s &>> 16)
        return ~UInt16(truncatingIfNeeded: s)
    }
}
