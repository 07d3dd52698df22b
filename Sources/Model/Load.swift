// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// When the packets of a capture arrive in virtual time. Their functional time, which elements see, stays the
/// capture's.
public enum OfferedLoad: Sendable, Equatable {
    /// As they were captured.
    case captureTime
    /// As captured, but `numerator / denominator` times as fast.
    case factor(numerator: Int, denominator: Int)
    /// At even distances, so many per second.
    case rate(Int)

    /// Arrival of the packet number `k` (from 0), in picoseconds, whose functional time is `elapsed` nanoseconds after
    /// that of the first.
    func arrival(_ k: Int, elapsed: Int64) -> Int64 {
        switch self {
        case .captureTime: scale(elapsed, by: 1_000, over: 1)
        case .factor(let numerator, let denominator):
            scale(scale(elapsed, by: 1_000, over: 1), by: Int64(max(1, denominator)), over: Int64(max(1, numerator)))
        case .rate(let rate): scale(Int64(k), by: picosecondsPerSecond, over: Int64(max(1, rate)))
        }
    }
}

let picosecondsPerSecond: Int64 = 1_000_000_000_000

/// The latest virtual time: 53 days. Nothing is later, so sums of times never overflow.
let latestTime: Int64 = 1 << 62

/// `x * factor / divisor` without overflow, at most ``latestTime``.
func scale(_ x: Int64, by factor: Int64, over divisor: Int64) -> Int64 {
    let product = x.multipliedFullWidth(by: factor)
    if product.high == 0, product.low <= UInt64(Int64.max) { return min(Int64(product.low) / divisor, latestTime) }
    // The quotient fits when the high half is smaller than the divisor.
    guard product.high >= 0, product.high < divisor / 2 else { return x < 0 ? 0 : latestTime }
    return min(divisor.dividingFullWidth(product).quotient, latestTime)
}

/// How far modelling has come.
public enum ModelStep: Sendable, CustomStringConvertible {
    case recorded(packets: Int)
    /// Work of the placement number `placement`, from 1, has begun.
    case scoring(placement: Int, of: Int)

    public var description: String {
        switch self {
        case .recorded(let packets): "\(packets) packets recorded"
        case .scoring(let placement, let count): "placement \(placement) of \(count)"
        }
    }
}

/// Why a model cannot be run.
public enum ModelError: Error, Sendable, CustomStringConvertible, Equatable {
    /// Some element is on a side where it cannot be.
    case badPlacement(element: String, reason: String)
    /// Too many elements where paths of different length meet.
    case tooManyJunctions(Int)
    /// There is nothing to replay.
    case noPackets
    /// The input lasts longer, at the load offered, than virtual time can count.
    case tooSlow
    /// A planner has too many placements to try; `Int.max` where there are more than can be counted.
    case tooManyPlacements(Int)
    /// No placement keeps to the constraints.
    case noPlacement(String)

    public var description: String {
        switch self {
        case .badPlacement(let element, let reason): "element '\(element)' \(reason)"
        case .tooManyJunctions(let n):
            "in this placement paths of different length meet at \(n) elements; "
                + "at most \(Routes.maximum) can be kept in order"
        case .noPackets: "the input has no packets, so there is nothing to model"
        case .tooSlow:
            "at this load the input takes longer than the 26 days that are modelled; offer it at a rate or sped up"
        case .tooManyPlacements(let n):
            (n == .max ? "more than 2^62" : "\(n)")
                + " placements are possible, more than can be tried; pin elements with 'place:'"
        case .noPlacement(let reason): "no placement is possible: \(reason)"
        }
    }
}
