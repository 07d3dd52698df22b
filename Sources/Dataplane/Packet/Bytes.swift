// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

extension UnsafeRawPointer {
    /// The big-endian 16-bit number at `offset`. The caller has checked that it is there.
    @inlinable @inline(__always)
    func be16(_ offset: Int) -> UInt16 { UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self)) }

    /// The big-endian 32-bit number at `offset`. The caller has checked that it is there.
    @inlinable @inline(__always)
    func be32(_ offset: Int) -> UInt32 { UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }

    /// Whether the bytes at `offset` are 08 00 45: the EtherType of IPv4 and the first byte of a header without options.
    /// Reads a fourth byte, which must be there too; a shift drops it for less than a mask.
    @inlinable @inline(__always)
    func isUsualIPv4(_ offset: Int) -> Bool {
        UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self)) &<< 8 == 0x4500_0800
    }

    /// The byte at `offset`. The caller has checked that it is there.
    @inlinable @inline(__always)
    func byte(_ offset: Int) -> UInt8 { load(fromByteOffset: offset, as: UInt8.self) }
}

extension UInt8 {
    /// The byte, or the small letter where it is a capital one of ASCII.
    @inline(__always)
    var lowered: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }
}
