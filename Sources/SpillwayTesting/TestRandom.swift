// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Random numbers that are the same in every test run.
public struct TestRandom: RandomNumberGenerator {
    private var state: UInt64
    /// The sequence determined by `seed`.
    public init(_ seed: UInt64) { state = seed }
    /// The next number, uniform over 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return mix64(state)
    }
}
