// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The key of the flow hash: unknown to senders, so that they cannot choose colliding packets.
@frozen
public struct HashKey: Sendable, Equatable {
    /// The first half of the key.
    public var k0: UInt64
    /// The second half of the key.
    public var k1: UInt64

    public init(k0: UInt64, k1: UInt64) {
        self.k0 = k0
        self.k1 = k1
    }

    /// The key for captures and workloads: the same seed gives the same key.
    public init(seed: UInt64) {
        // Odd halves keep a product from losing bits.
        k0 = mix64(seed ^ 0x5370_696c_6c77_6179) | 1
        k1 = mix64(k0) | 1
    }
}

/// Stafford's variant 13 of the MurmurHash3 finaliser: every input bit changes every output bit with probability 1/2.
@inlinable @inline(__always)
public func mix64(_ x: UInt64) -> UInt64 {
    var z = x &+ 0x9e37_79b9_7f4a_7c15
    z = (z ^ (z &>> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z &>> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z &>> 31)
}

/// A seed for one element of a run, from the run's seed and the element's path.
public func hash(_ seed: UInt64, _ path: String) -> UInt64 {
    var h = mix64(seed)
    for byte in path.utf8 { h = mix64(h ^ UInt64(byte)) }
    return h
}
