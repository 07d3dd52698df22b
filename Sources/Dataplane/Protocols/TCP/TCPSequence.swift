// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Arithmetic of TCP sequence numbers, which wrap to 0 after 2^32 - 1 (RFC 9293 section 3.4).
enum TCPSequence {
    /// How far `a` is after `b`, negative if before it; correct for numbers less than 2^31 apart.
    @inline(__always)
    static func distance(_ a: UInt32, from b: UInt32) -> Int32 { Int32(bitPattern: a &- b) }

    /// The later of two numbers.
    @inline(__always)
    static func later(_ a: UInt32, _ b: UInt32) -> UInt32 { precedes(a, b) ? b : a }

    /// Whether `a` comes before `b`. Of two numbers 2^31 apart neither does.
    @inline(__always)
    static func precedes(_ a: UInt32, _ b: UInt32) -> Bool { distance(b, from: a) > 0 }
}
