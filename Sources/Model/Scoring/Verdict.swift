// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// What decides between placements, in this order. Smaller is better, but for the rate.
package struct Merits: Sendable {
    /// What they are compared by: smaller is better.
    package var objective: Double
    /// Core cycles of the host per packet.
    package var hostCycles: Double
    /// Bytes that cross per packet.
    package var dmaBytes: Double
    /// Picoseconds; infinite where nobody knows.
    package var p99: Double
    /// Packets per second.
    package var rate: Double
    /// Elements on the NIC, wires aside.
    package var nicElements: Int

    /// All of them.
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

    /// Objectives that differ by less than this share are equal: it is what the search for a rate resolves.
    package static let resolution = 0.001

    /// The numbers of placements, the best first: those equal in the objective by fewer host cycles, then fewer bytes that cross, a
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

    /// The search cannot tell two values of an objective apart.
    package static func isEqual(_ x: Double, _ y: Double) -> Bool {
        x == y || x.isFinite && y.isFinite && abs(x - y) <= resolution * max(abs(x), abs(y))
    }

    /// Whether it comes first among those with the same objective; nil where nothing decides.
    private func precedes(_ other: Merits) -> Bool? {
        // Sums are the same whatever the order in which they were added up.
        func tidy(_ x: Double) -> Double { x.isFinite ? (x * 1e6).rounded() : x }
        for (x, y) in [
            (tidy(hostCycles), tidy(other.hostCycles)), (tidy(dmaBytes), tidy(other.dmaBytes)), (p99, other.p99),
            (-rate, -other.rate), (Double(nicElements), Double(other.nicElements)),
        ] where x != y { return x < y }
        return nil
    }
}

/// How far a verdict carries: what becomes of it when the numbers that nobody measured are others.
///
/// It is worked out from what placements ask of each resource, so queues, rings and latencies have no part in it unless latency is
/// what placements are compared by.
public struct Sensitivity: Sendable {
    /// How often all assumptions were drawn together, each by a factor that is log-uniform in [1/2, 2].
    public var draws: Int
    /// In how many draws each placement was best; those that never were are left out.
    public var wins: [(placement: String, count: Int)]
    /// The numbers that alone, halved or doubled, make another placement the best.
    public var turnedBy: [Turn]
    /// Paths of the numbers that were drawn.
    public var drawn: [String]
    /// Paths of the assumptions that were not: choices, and what is free.
    public var notDrawn: [String]

    /// A number that turns the verdict.
    public struct Turn: Sendable, Equatable {
        /// Its path in the profile.
        public var number: String
        /// 0.5 or 2.
        public var factor: Double
        /// The placement that is best then.
        public var best: String
    }

    /// Draws of all assumptions together, unless told otherwise.
    public static let defaultDraws = 100

    /// Nothing was drawn.
    package init() {
        (draws, wins, turnedBy, drawn, notDrawn) = (0, [], [], [], [])
    }

    /// One device and its assumptions.
    private struct Device {
        var profile: DeviceProfile
        /// Paths of its numbers, and the names under which they are drawn.
        var numbers: [(path: String, name: String)]
    }

    /// - Parameter best: the number of the best placement when the devices are these; as many as were given, in their order.
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
        // Sums of powers of two, since the library's functions may round in another way on another machine.
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

    /// All profiles have the same figures for the host.
    package static func haveOneHost(_ profiles: [DeviceProfile]) -> Bool {
        func host(_ profile: DeviceProfile) -> [DeviceProfile.Figure] {
            profile.figures.filter { $0.path.hasPrefix("host.") }
        }
        return profiles.allSatisfy { $0.host == profiles[0].host && host($0) == host(profiles[0]) }
    }
}
