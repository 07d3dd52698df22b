// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A rate in whole numbers: a packet costs `cost(of:)` shares, and `perNanosecond` shares accrue each nanosecond. With shares
/// of a billionth of a packet or bit, nothing is ever rounded.
struct Pace {
    /// The rate in packets or bits per second, equal to the number of shares per nanosecond.
    let perNanosecond: UInt64
    private let isPackets: Bool

    /// The rates that leave room for 64-bit arithmetic with the longest packets: up to 10^15 per second.
    static let range = 1...1_000_000_000_000_000

    /// Nil if the rate is outside ``range``.
    init?(_ rate: Rate) {
        switch rate {
        case .packets(let n):
            guard Pace.range.contains(n) else { return nil }
            perNanosecond = UInt64(n)
            isPackets = true
        case .bits(let n):
            guard Pace.range.contains(n) else { return nil }
            perNanosecond = UInt64(n)
            isPackets = false
        }
    }

    /// The pace for an element's rate parameter; throws if the rate is out of range.
    init(_ rate: Rate, of parameter: String) throws(ParameterError) {
        guard let pace = Pace(rate) else {
            throw ParameterError("'\(parameter)' is out of range, 1 to 10^15 packets or bits per second", at: 0)
        }
        self = pace
    }

    /// The shares a packet of `bytes` costs; lengths beyond 1 GiB, which no link has, count as that.
    @inline(__always)
    func cost(of bytes: UInt32) -> UInt64 {
        isPackets ? 1_000_000_000 : UInt64(min(bytes, 1 &<< 30)) &* 8_000_000_000
    }

    /// The shares of `n` packets or bytes.
    func shares(_ n: Int) -> UInt64 { isPackets ? UInt64(n) * 1_000_000_000 : UInt64(n) * 8_000_000_000 }
}
