// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A key for SipHash-2-4, and the hash under it: 64 bits that, as far as is known, nobody without the key can tell from random
/// (J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012).
///
/// Use it for values that others see and must not be able to forge, such as cookies in sequence numbers. The flow table's hash
/// is many times faster, but its values stay inside (``HashKey``).
@frozen
public struct SipKey: Sendable, Equatable {
    /// The first 8 bytes of the key, least significant first.
    public var k0: UInt64
    /// The last 8 bytes of the key, least significant first.
    public var k1: UInt64

    @inlinable
    public init(k0: UInt64, k1: UInt64) {
        self.k0 = k0
        self.k1 = k1
    }

    /// The key for captures and workloads: the same seed gives the same key. Anyone who knows the seed knows the key, so a live
    /// interface needs one from the system. It is unrelated to the ``HashKey`` of the same seed.
    public init(seed: UInt64) {
        k0 = mix64(seed ^ 0x5369_7048_6173_6832)
        k1 = mix64(k0 ^ 0x3453_6970_4861_7368)
    }

    /// The hash of any bytes.
    public func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var state = SipState(self)
        let whole = bytes.count & ~7
        var at = 0
        while at < whole {
            state.take(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)))
            at &+= 8
        }
        var last = SipState.last(count: bytes.count)
        while at < bytes.count {
            last |= UInt64(bytes[at]) &<< UInt64((at &- whole) &* 8)
            at &+= 1
        }
        return state.finish(last)
    }

    /// The hash of 8 bytes, given as a little-endian word; equal to the hash over the bytes.
    @inlinable @inline(__always)
    public func hash(_ a: UInt64) -> UInt64 {
        var state = SipState(self)
        state.take(a)
        return state.finish(SipState.last(count: 8))
    }

    /// The hash of 16 bytes, given as little-endian words; equal to the hash over the bytes.
    @inlinable @inline(__always)
    public func hash(_ a: UInt64, _ b: UInt64) -> UInt64 {
        var state = SipState(self)
        state.take(a)
        state.take(b)
        return state.finish(SipState.last(count: 16))
    }

    /// The hash of 24 bytes, given as little-endian words; equal to the hash over the bytes.
    @inlinable @inline(__always)
    public func hash(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 {
        var state = SipState(self)
        state.take(a)
        state.take(b)
        state.take(c)
        return state.finish(SipState.last(count: 24))
    }

    /// The hash of 32 bytes, given as little-endian words; equal to the hash over the bytes.
    @inlinable @inline(__always)
    public func hash(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) -> UInt64 {
        var state = SipState(self)
        state.take(a)
        state.take(b)
        state.take(c)
        state.take(d)
        return state.finish(SipState.last(count: 32))
    }
}

/// The four words of SipHash's state, named as in its paper.
@frozen
@usableFromInline
struct SipState {
    @usableFromInline var v0: UInt64
    @usableFromInline var v1: UInt64
    @usableFromInline var v2: UInt64
    @usableFromInline var v3: UInt64

    /// The key, XORed with the words "somepseudorandomlygeneratedbytes" in ASCII.
    @inlinable @inline(__always)
    init(_ key: SipKey) {
        v0 = key.k0 ^ 0x736f_6d65_7073_6575
        v1 = key.k1 ^ 0x646f_7261_6e64_6f6d
        v2 = key.k0 ^ 0x6c79_6765_6e65_7261
        v3 = key.k1 ^ 0x7465_6462_7974_6573
    }

    /// The last word without its up to 7 bytes: the total number of bytes, modulo 256, in the top byte.
    @inlinable @inline(__always)
    static func last(count: Int) -> UInt64 { UInt64(truncatingIfNeeded: count) &<< 56 }

    @inlinable @inline(__always)
    mutating func take(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    @inlinable @inline(__always)
    mutating func finish(_ last: UInt64) -> UInt64 {
        take(last)
        v2 ^= 0xff
        round()
        round()
        round()
        round()
        return v0 ^ v1 ^ v2 ^ v3
    }

    @inlinable @inline(__always)
    mutating func round() {
        v0 = v0 &+ v1
        v2 = v2 &+ v3
        v1 = (v1 &<< 13 | v1 &>> 51) ^ v0
        v3 = (v3 &<< 16 | v3 &>> 48) ^ v2
        v0 = v0 &<< 32 | v0 &>> 32
        v2 = v2 &+ v1
        v0 = v0 &+ v3
        v1 = (v1 &<< 17 | v1 &>> 47) ^ v2
        v3 = (v3 &<< 21 | v3 &>> 43) ^ v0
        v2 = v2 &<< 32 | v2 &>> 32
    }
}
