// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// When the packets of a live run arrive in virtual time. Their functional time, which elements see, remains the capture's.
public enum Pace: Sendable, Equatable {
    /// As they were captured.
    case captureTime
    /// As captured, but `numerator / denominator` times as fast.
    case factor(numerator: Int, denominator: Int)
    /// Evenly spaced, this many per second.
    case rate(Int)
    /// When the sources say, in the time of the modelled machine, which is what elements see: so arrivals may depend on what
    /// was sent before. Time begins at 0; a wire's destination gets a packet when its last bit leaves.
    case closedLoop

    /// Arrival of packet number `k` (from 0), in picoseconds, if its functional time is `elapsed` nanoseconds after that of the
    /// first.
    func arrival(_ k: Int, elapsed: Int64) -> Int64 {
        switch self {
        case .captureTime: scale(elapsed, by: 1_000, over: 1)
        case .factor(let numerator, let denominator):
            scale(scale(elapsed, by: 1_000, over: 1), by: Int64(max(1, denominator)), over: Int64(max(1, numerator)))
        case .rate(let rate): scale(Int64(k), by: picosecondsPerSecond, over: Int64(max(1, rate)))
        case .closedLoop: scale(elapsed, by: 1_000, over: 1)
        }
    }
}

/// How much traffic is offered: more means more users, never faster ones.
///
/// A load consists of copies of the recorded traffic, each with its own flows and shifted in time: as many as needed, all
/// slowed by one factor of at most 1, so that together they make the load exactly.
public enum OfferedLoad: Sendable, Equatable {
    /// The recording as it was captured.
    case captureTime
    /// This multiple of the recording's own rate.
    case factor(numerator: Int, denominator: Int)
    /// Packets per second.
    case rate(Int)
    /// Bits per second on the wire, all ports together.
    case wireRate(Int)
}

/// The recorded packets' arrival times, limited by what the ports of a NIC can carry.
struct Traffic: Sendable {
    /// Arrival time of each packet, from the first, in units of `1 / perNanosecond`; packets with the same timestamp follow
    /// each other at the rate of their port.
    let times: [Int64]
    /// The length of the recording until it could begin again, in the same units.
    let period: Int64
    /// Time units per nanosecond: 1000, or 1 for a recording of many days.
    let perNanosecond: Int64
    /// Picoseconds that the busiest port needs for the recording.
    let portTime: Int64
    /// Bytes of all packets on the wire.
    let wireBytes: Int

    init(_ recording: Recording, _ mac: MACProfile) {
        let span = recording.span
        perNanosecond = span.length > 1 << 51 ? 1 : 1_000
        var times: [Int64] = []
        times.reserveCapacity(recording.packets)
        var free: [Int32: Int64] = [:]
        var busy: [Int32: Int64] = [:]
        var bytes = 0
        var end: Int64 = 0
        let first = recording.roots.first(where: \.isPacket)?.time ?? 0
        for root in recording.roots where root.isPacket {
            let length = Int(recording.visits[Int(root.visit)].length)
            let wireTime = mac.wireTime(length)
            bytes += MACProfile.wireBytes(length)
            // Timestamps that step back count as equal.
            let time = max(max(0, root.time &- first) &* perNanosecond, free[root.node] ?? 0, times.last ?? 0)
            times.append(time)
            let units = perNanosecond == 1 ? (wireTime + 999) / 1_000 : wireTime
            free[root.node] = time &+ units
            busy[root.node, default: 0] &+= wireTime
            end = max(end, time &+ units)
        }
        self.times = times
        wireBytes = bytes
        portTime = max(1, busy.values.max() ?? 1)
        period = max(end, (span.length &+ span.gap) &* perNanosecond, 1)
    }

    /// The number and spacing of copies for a load.
    func schedule(_ load: OfferedLoad) -> Schedule {
        let packets = Int128(max(1, times.count))
        let second = Int128(picosecondsPerSecond)
        let whole = Int128(period) * Int128(1_000 / perNanosecond)
        var window: (numerator: Int128, denominator: Int128)
        switch load {
        case .captureTime: window = (whole, 1)
        case .factor(let numerator, let denominator):
            window = (whole * Int128(max(1, denominator)), Int128(max(1, numerator)))
        case .rate(let rate): window = (packets * second, Int128(max(1, rate)))
        case .wireRate(let rate): window = (Int128(wireBytes) * 8 * second, Int128(max(1, rate)))
        }
        let isLimited = window.numerator < Int128(portTime) * window.denominator
        if isLimited { window = (Int128(portTime), 1) }
        let copies = (whole * window.denominator + window.numerator - 1) / window.numerator
        return Schedule(
            numerator: window.numerator,
            denominator: window.denominator,
            copies: Int64(clamping: max(1, copies)),
            isLimitedByPorts: isLimited
        )
    }

    /// Functional nanoseconds per picosecond of the load, as a fraction: all copies are slowed by one factor, which elements do
    /// not see.
    func functionalTime(_ schedule: Schedule) -> (numerator: Int128, denominator: Int128) {
        (Int128(period), Int128(schedule.window) * Int128(schedule.copies) * Int128(perNanosecond))
    }

    /// The length of the recording in nanoseconds.
    var length: Double { Double(period) / Double(perNanosecond) }

    /// Packets per second of the recording itself.
    var ownRate: Double { Double(times.count) * 1e9 * Double(perNanosecond) / Double(period) }
}

/// How many copies of a recording make a load, and their spacing: one begins every `window`, so each window holds every
/// recorded packet once.
struct Schedule: Sendable, Equatable {
    /// Picoseconds between the starts of two copies, as a fraction.
    let numerator: Int128
    let denominator: Int128
    /// Concurrent copies.
    let copies: Int64
    /// More was asked for than the ports can carry; this is their limit.
    let isLimitedByPorts: Bool

    /// After this many windows the pattern repeats, except for the cores that a hash selects.
    static let pattern = 8

    /// Picoseconds between the starts of two copies.
    var window: Int64 { max(1, Int64(clamping: numerator / denominator)) }

    /// The start of window `k`, in picoseconds.
    func start(_ k: Int) -> Int64 { Int64(clamping: min(Int128(k) * numerator / denominator, Int128(latestTime))) }

    /// Packets per second, for a recording of this many packets.
    func rate(_ packets: Int) -> Double {
        Double(packets) * Double(picosecondsPerSecond) * Double(denominator) / Double(numerator)
    }
}

let picosecondsPerSecond: Int64 = 1_000_000_000_000

/// The latest virtual time: 53 days. Nothing is later, so sums of times never overflow.
let latestTime: Int64 = 1 << 62

/// `x * factor / divisor` without overflow, at most ``latestTime``.
func scale(_ x: Int64, by factor: Int64, over divisor: Int64) -> Int64 {
    let product = x.multipliedFullWidth(by: factor)
    if product.high == 0, product.low <= UInt64(Int64.max) { return min(Int64(product.low) / divisor, latestTime) }
    // The quotient fits if the high half is smaller than the divisor.
    guard product.high >= 0, product.high < divisor / 2 else { return x < 0 ? 0 : latestTime }
    return min(divisor.dividingFullWidth(product).quotient, latestTime)
}

/// The progress of modelling.
public enum ModelStep: Sendable, CustomStringConvertible {
    case recorded(packets: Int)
    /// The bounds of this many placements are known.
    case bounding(placement: Int, of: Int)
    /// Work on placement number `placement`, from 1, has begun.
    case scoring(placement: Int, of: Int)
    /// This many of a plan's placements have been replayed, and at most so many more may have to be.
    case replaying(done: Int, atMost: Int)
    /// Assumptions are being drawn.
    case drawing

    /// The completed share of this step; nil if unknown.
    public var fraction: Double? {
        switch self {
        case .recorded, .drawing: nil
        case .bounding(let placement, let count): Double(placement) / Double(max(1, count))
        case .scoring(let placement, let count): Double(placement - 1) / Double(max(1, count))
        case .replaying(let done, let rest): Double(done) / Double(max(1, done + rest))
        }
    }

    public var description: String {
        switch self {
        case .recorded(let packets): "\(packets) packets recorded"
        case .bounding(let placement, let count): "bounds of \(placement) of \(count) placement\(count == 1 ? "" : "s")"
        case .scoring(let placement, let count): "placement \(placement) of \(count)"
        case .replaying(let done, let rest): "\(done) placement\(done == 1 ? "" : "s") replayed, at most \(rest) more"
        case .drawing: "what the verdict hangs on"
        }
    }
}

/// Whether the user has ended the work. Asked often, from wherever the work is being done.
public typealias StopQuestion = @Sendable () -> Bool

/// The reason a model cannot be run.
public enum ModelError: Error, Sendable, CustomStringConvertible, Equatable {
    /// An element is on a side where it cannot be.
    case badPlacement(element: String, reason: String)
    /// Too many inputs at which paths of different length meet.
    case tooManyMergePoints(Int)
    /// The graph has more wires than the NIC has ports.
    case tooManyWires(wires: Int, ports: Int, profile: String)
    /// There is nothing to replay.
    case noPackets
    /// At the load offered, the input lasts longer than virtual time can represent.
    case tooSlow
    /// A planner has too many placements to try; `Int.max` if they cannot be counted.
    case tooManyPlacements(Int, most: Int)
    /// No placement satisfies the constraints.
    case noPlacement(String)
    /// The user ended the work before there was a result.
    case stopped

    public var description: String {
        switch self {
        case .badPlacement(let element, let reason): "element '\(element)' \(reason)"
        case .tooManyMergePoints(let n):
            "in this placement paths of different length meet at \(n) inputs; "
                + "at most \(Routes.maximum) can be kept in order"
        case .tooManyWires(let wires, let ports, let profile):
            "the graph has \(wires) wires, and the NIC of profile '\(profile)' has \(ports) port\(ports == 1 ? "" : "s")"
        case .noPackets: "the input has no packets, so there is nothing to model"
        case .tooSlow:
            "at this load the input takes longer than the 26 days that are modelled; offer it at a rate or sped up"
        case .tooManyPlacements(let n, let most):
            (n == .max ? "more than 2^62" : "\(n)")
                + " placements are possible, more than the \(most) that can be tried; pin elements with 'place:'"
        case .noPlacement(let reason): "no placement is possible: \(reason)"
        case .stopped: "interrupted; there is no result"
        }
    }
}
