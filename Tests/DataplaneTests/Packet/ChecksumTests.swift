// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

/// A generator with a seed, so that a failure can be seen again.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 1
        return mix64(state)
    }
}

@Suite struct ChecksumTests {
    /// The sum as RFC 1071 section 4.1 writes it, word by word in network order.
    private func slowSum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for k in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[k]) << 8 | UInt32(k + 1 < bytes.count ? bytes[k + 1] : 0)
            while sum > 0xffff { sum = (sum & 0xffff) + sum >> 16 }
        }
        return UInt16(sum)
    }

    @Test func exampleOfRFC1071() {
        let bytes: [UInt8] = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]
        #expect(bytes.withUnsafeBytes { Checksum.fold(Checksum.sum($0.baseAddress!, 8)).bigEndian } == 0xddf2)
    }

    @Test func everyLengthAgreesWithTheSlowSum() {
        var generator = SeededGenerator(1)
        for length in 0...130 {
            for fill: UInt8? in [nil, 0, 0xff] {
                let bytes = (0..<length).map { _ in fill ?? UInt8.random(in: 0...255, using: &generator) }
                let fast = (bytes + [0xaa]).withUnsafeBytes { Checksum.fold(Checksum.sum($0.baseAddress!, length)) }
                // 0 and 0xffff are the same number in ones' complement.
                #expect(fast.bigEndian % 0xffff == slowSum(bytes) % 0xffff, "length \(length)")
            }
        }
    }

    @Test func twentyBytesAgreeWithTheGeneralSum() {
        var generator = SeededGenerator(2)
        for round in 0..<20_000 {
            var bytes = (0..<20).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if round % 3 == 0 { bytes = bytes.map { $0 < 128 ? 0 : 0xff } }
            // As every header has; a header of zeros is not asked about.
            bytes[0] = 0x45
            // Half of them get the right checksum.
            if round % 2 == 0 {
                bytes[10] = 0
                bytes[11] = 0
                let field = ~slowSum(bytes)
                bytes[10] = UInt8(field >> 8)
                bytes[11] = UInt8(field & 0xff)
            }
            bytes.withUnsafeBytes {
                let isRight = Checksum.isRight20($0.baseAddress!)
                #expect(isRight == (Checksum.fold(Checksum.sum($0.baseAddress!, 20)) == 0xffff))
                if round % 2 == 0 { #expect(isRight) }
            }
        }
    }

    @Test func exampleOfRFC1624() {
        // Section 4: equation 3 gives 0x0000 where RFC 1141's gave 0xffff.
        #expect(Checksum.update(0xdd2f, 0x5555 as UInt16, 0x3285) == 0x0000)
    }

    @Test func updatesAgreeWithSummingAgain() {
        var generator = SeededGenerator(3)
        for round in 0..<50_000 {
            var bytes = (0..<24).map { _ in UInt8.random(in: 0...255, using: &generator) }
            bytes[0] |= 1
            bytes[10] = 0
            bytes[11] = 0
            let before = ~slowSum(bytes)
            let at = [12, 16, 20][round % 3]
            let old =
                UInt32(bytes[at]) << 24 | UInt32(bytes[at + 1]) << 16 | UInt32(bytes[at + 2]) << 8
                | UInt32(bytes[at + 3])
            // Additions that wrap are the case that needs care when the update works on 32-bit sums.
            let new =
                round % 2 == 0
                ? old &+ UInt32.random(in: 0xf000_0000...UInt32.max, using: &generator) : generator.next32()
            for k in 0..<4 { bytes[at + k] = UInt8(truncatingIfNeeded: new >> UInt32(24 - 8 * k)) }
            let again = ~slowSum(bytes)
            #expect(Checksum.update(before, old, new) == again)
        }
    }
}

extension SeededGenerator {
    mutating func next32() -> UInt32 { UInt32(truncatingIfNeeded: next()) }
}
