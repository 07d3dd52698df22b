// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The criteria between placements, in this order. Smaller is better, except for the rate.
package struct Merits: Sendable {
    /// The figure being optimised: smaller is better.
    package var objective: Double
    /// Host core cycles per packet.
    package var hostCycles: Double
    /// Bytes that cross per packet.
    package var dmaBytes: Double
    /// Latency of 99 % of packets in picoseconds; infinite if unknown.
    package var p99: Double
    /// Packets per second.
    package var rate: Double
    /// Elements on the NIC, excluding wires.
    package var nicElements: Int

    /// The merits of a placement.
    package init(
        objective: Double,
        hostCycles: Double,
        dmaBytes: Double,
        p99: Double,
        rate: Double,
        nicElements: Int
    ) {
        self.objective = objective
        self.hostCycles = hostCycles
        self.dmaBytes = dmaBytes
        self.p99 = p99
        self.rate = rate
        self.nicElements = nicElements
    }

    /// Objectives that differ by less than this share are equal: it is the resolution of the search for a rate.
    package static let resolution = 0.001

    /// The indices of placements, best first: those equal in the objective by fewer host cycles, then fewer bytes that cross, a
    /// lower p99, a higher rate, and fewer elements on the NIC. So the first is never dominated by another.
    package static func ranking(_ all: [Merits]) -> [Int] {
        let sorted = all.indices.sorted { (all[$0].objective, $0) < (all[$1].objective, $1) }
        var ranking: [Int] = []
        var start = 0
        while start < sorted.count {
            let best = all[sorted[start]].objective
            var end = start + 1
            while end < sorted.count, isEqual(all[sorted[end]].objective, best) { end += 1 }
            ranking += sorted[start..<end].sorted { all[$0].precedes(all[$1]) ?? ($0 < $1) }
            start = end
        }
        return ranking
    }

    /// The first of ``ranking(_:)``.
    package static func best(_ all: [Merits]) -> Int {
        let least = all.map(\.objective).min() ?? 0
        var best = -1
        for k in all.indices where isEqual(all[k].objective, least) {
            if best < 0 || all[k].precedes(all[best]) == true { best = k }
        }
        return max(best, 0)
    }

    /// Whether two values of an objective are equal within the resolution of the search.
    package static func isEqual(_ x: Double, _ y: Double) -> Bool {
        x == y || x.isFinite && y.isFinite && abs(x - y) <= resolution * max(abs(x), abs(y))
    }

    /// Whether it comes first among those with the same objective; nil if nothing decides.
    private func precedes(_ other: Merits) -> Bool? {
        // Makes sums equal whatever the order of addition.
        func tidy(_ x: Double) -> Double { x.isFinite ? (x * 1e6).rounded() : x }
        for (x, y) in [
            (tidy(hostCycles), tidy(other.hostCycles)), (tidy(dmaBytes), tidy(other.dmaBytes)), (p99, other.p99),
            (-rate, -other.rate), (Double(nicElements), Double(other.nicElements)),
        ] where x != y { return x < y }
        return nil
    }
}

/// How robust a verdict is: what happens if the numbers that nobody measured are different.
///
/// It is computed from the demand of placements on each resource, so queues, rings and latencies play no part in it unless
/// latency is the objective.
public struct Sensitivity: Sendable {
    /// The number of times all assumptions were drawn together, each scaled by a factor that is log-uniform in [1/2, 2].
    public var draws: Int
    /// In how many draws each placement was best; those that never were are left out.
    public var wins: [(placement: String, count: Int)]
    /// Numbers that alone, halved or doubled, make another placement the best.
    public var turnedBy: [Turn]
    /// Paths of the numbers that were varied.
    public var drawn: [String]
    /// Paths of the assumptions that were not: choices, and figures marked free.
    public var notDrawn: [String]

    /// A number that changes the verdict.
    public struct Turn: Sendable, Equatable {
        /// Its path in the profile.
        public var number: String
        /// 0.5 or 2.
        public var factor: Double
        /// The placement that is then best.
        public var best: String
    }

    /// The default number of draws.
    public static let defaultDraws = 100

    /// A sensitivity without draws.
    package init() {
        (draws, wins, turnedBy, drawn, notDrawn) = (0, [], [], [], [])
    }

    /// One device and its assumptions.
    private struct Device {
        var profile: DeviceProfile
        /// Paths of its numbers, and the names under which they are drawn.
        var numbers: [(path: String, name: String)]
    }

    /// - Parameter best: the index of the best placement on the given devices, which correspond to `profiles` in order.
    package init(
        _ profiles: [DeviceProfile],
        _ names: [String],
        seed: UInt64,
        draws: Int = Sensitivity.defaultDraws,
        best: ([DeviceProfile]) throws -> Int
    ) rethrows {
        // The same host beside two NICs is one host.
        let isOneHost = Sensitivity.haveOneHost(profiles)
        var drawn: [String] = []
        var notDrawn: [String] = []
        let devices = profiles.map { profile in
            Device(
                profile: profile,
                numbers: profile.assumptions.compactMap { figure in
                    let isShared = profiles.count == 1 || isOneHost && figure.path.hasPrefix("host.")
                    let name = isShared ? figure.path : "\(profile.name): \(figure.path)"
                    if !figure.isNumber {
                        if !notDrawn.contains(name) { notDrawn.append(name) }
                        return nil
                    }
                    if !drawn.contains(name) { drawn.append(name) }
                    return (figure.path, name)
                }
            )
        }
        func changed(_ factor: (String) -> Double?) -> [DeviceProfile] {
            devices.map { device in
                var factors: [String: Double] = [:]
                for number in device.numbers {
                    if let factor = factor(number.name) { factors[number.path] = factor }
                }
                return device.profile.scaled(factors)
            }
        }
        let nominal = try best(profiles)
        var turns: [Turn] = []
        for number in drawn {
            for factor in [0.5, 2] {
                let winner = try best(changed { $0 == number ? factor : nil })
                if winner != nominal { turns.append(Turn(number: number, factor: factor, best: names[winner])) }
            }
        }
        var wins = Array(repeating: 0, count: names.count)
        for draw in 0..<(drawn.isEmpty ? 0 : draws) {
            var factors: [String: Double] = [:]
            for (k, number) in drawn.enumerated() {
                factors[number] = Sensitivity.factor(mix64(mix64(seed ^ UInt64(draw) << 32) ^ UInt64(k)))
            }
            wins[try best(changed { factors[$0] })] += 1
        }
        self.draws = drawn.isEmpty ? 0 : draws
        self.wins = wins.indices.filter { wins[$0] > 0 }.sorted { (wins[$1], $0) < (wins[$0], $1) }
            .map { (names[$0], wins[$0]) }
        turnedBy = turns
        self.drawn = drawn
        self.notDrawn = notDrawn
    }

    /// 2 to the power of a number in [-1, 1), from 20 random bits.
    private static func factor(_ bits: UInt64) -> Double {
        // Sums of powers of two, since library functions may round differently on another machine.
        let x = Int(bits >> 44)
        var result = 0.5
        for (k, root) in roots.enumerated() where x >> (19 - k) & 1 == 1 { result *= root }
        return result
    }

    /// 2 to the powers 1, 1/2, 1/4, ...
    private static let roots: [Double] = {
        var roots = [2.0]
        for _ in 1..<20 { roots.append(roots.last!.squareRoot()) }
        return roots
    }()

    /// Whether all profiles have the same figures for the host.
    package static func haveOneHost(_ profiles: [DeviceProfile]) -> Bool {
        func host(_ profile: DeviceProfile) -> [DeviceProfile.Figure] {
            profile.figures.filter { $0.path.hasPrefix("host.") }
        }
        return profiles.allSatisfy { $0.host == profiles[0].host && host($0) == host(profiles[0]) }
    }
}
