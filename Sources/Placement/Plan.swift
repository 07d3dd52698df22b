// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Model

/// What a placement should be best at.
public enum Objective: String, Sendable, CaseIterable {
    /// Fewest host cycles per packet.
    case hostCycles = "host-cycles"
    /// Highest sustainable rate.
    case rate
    /// Lowest median latency.
    case p50
    /// Lowest latency of 99 % of packets.
    case p99
    /// Fewest bytes across the channel per packet.
    case dmaBytes = "dma-bytes"

    /// The figure of a result; smaller is better. Nothing that came through is as bad as can be.
    func score(_ result: PlacementResult) -> Double {
        switch self {
        case .hostCycles: result.hostCyclesPerPacket
        case .rate: -Double(result.sustainableRate)
        case .p50: result.latency.map { Double($0.p50) } ?? .infinity
        case .p99: result.latency.map { Double($0.p99) } ?? .infinity
        case .dmaBytes: result.toHost.bytes + result.toNIC.bytes
        }
    }
}

/// The best placement of a graph on a device, and why.
///
/// Every placement that the constraints allow is scored with the work of one recorded run, so the result is exact for
/// the model and the capture.
public struct Plan: Sendable {
    /// What the placements were ranked by.
    public var objective: Objective
    /// All placements, the best first. Of those with the same figure the one with the higher rate is first, then the
    /// one with fewer elements on the NIC.
    public var ranked: [PlacementResult]
    /// The placements with everything on the host, and with all that can be on the NIC there; where they are possible.
    public var allHost: PlacementResult?
    /// The placement with all on the NIC that can be there; nil where that is not possible.
    public var allNIC: PlacementResult?
    /// For each element, in the graph's order, why it is where the best placement has it.
    public var reasons: [Reason]
    /// The best two differ by less than ``Comparison/resolution`` in the objective.
    public var isTie: Bool
    /// One sentence about what was tried.
    public var completeness: String
    /// Packets recorded, whose work was replayed.
    public var recordedPackets: Int
    /// The capture went on after them.
    public var isPrefix: Bool
    /// What elements dropped of the recorded items, the same in every placement.
    public var elementDrops: [(element: String, reason: String, count: UInt64)]

    /// The placement that is best by the objective.
    public var best: PlacementResult { ranked[0] }

    /// Why one element is on its side.
    public struct Reason: Sendable, Equatable {
        /// The element's name in the graph.
        public var element: String
        /// The side the best placement has it on.
        public var side: Side
        /// A sentence: what moving it alone to the other side would change, or why it cannot be moved.
        public var text: String
    }

    /// More placements than this are not tried.
    public static let maximum = 64

    /// Options for planning: many placements, so fewer packets for each.
    public static var options: Comparison.Options {
        var options = Comparison.Options()
        options.packets = 50_000
        return options
    }

    /// Finds the best placement of `spec` on a device.
    ///
    /// `makeInstance` gives the graph ready to run, its wires bound; it is called once. Throws ``ModelError`` when no
    /// placement or too many are possible, and what running the graph throws.
    public static func make(
        _ spec: GraphSpec,
        for objective: Objective,
        profile: DeviceProfile,
        options: Comparison.Options = Plan.options,
        progress: (ModelStep) -> Void = { _ in },
        makeInstance: () throws -> Instance
    ) throws -> Plan {
        let groups = try Group.all(spec)
        let free = groups.filter { $0.side == nil }
        guard free.count < 63, 1 << free.count <= maximum else {
            throw ModelError.tooManyPlacements(free.count < 63 ? 1 << free.count : .max)
        }
        let shape = GraphShape(spec)
        var candidates: [[Side]] = []
        var misfit: ModelError?
        for choice in 0..<(1 << free.count) {
            let sides = Group.sides(groups, spec.nodes.count, choice)
            do throws(ModelError) {
                try profile.checkCapacity(spec, shape, sides)
                candidates.append(sides)
            } catch {
                misfit = misfit ?? error
            }
        }
        guard !candidates.isEmpty else { throw ModelError.noPlacement(misfit?.description ?? "there are no elements") }
        let recording = try Recording(makeInstance(), limit: options.recordLimit, progress: progress)
        let comparison = try Comparison(recording, name(candidates, spec, groups), profile, options, progress: progress)
        return Plan(objective, spec, groups, comparison, tried: candidates.count, of: 1 << free.count)
    }

    private init(
        _ objective: Objective,
        _ spec: GraphSpec,
        _ groups: [Group],
        _ comparison: Comparison,
        tried: Int,
        of possible: Int
    ) {
        self.objective = objective
        let results = comparison.results
        let order = results.indices.sorted { a, b in
            let (x, y) = (objective.score(results[a]), objective.score(results[b]))
            if x != y { return x < y }
            if results[a].sustainableRate != results[b].sustainableRate {
                return results[a].sustainableRate > results[b].sustainableRate
            }
            let (m, n) = (results[a].sides.count { $0 == .nic }, results[b].sides.count { $0 == .nic })
            return m != n ? m < n : a < b
        }
        let ranked = order.map { results[$0] }
        self.ranked = ranked
        allHost = results.first { result in
            groups.allSatisfy { group in group.members.allSatisfy { result.sides[$0] == group.side ?? .host } }
        }
        allNIC = results.first { result in
            groups.allSatisfy { group in group.members.allSatisfy { result.sides[$0] == group.side ?? .nic } }
        }
        if ranked.count > 1 {
            let (x, y) = (objective.score(ranked[0]), objective.score(ranked[1]))
            isTie = x == y || abs(y - x) < Comparison.resolution * max(abs(x), abs(y))
        } else {
            isTie = false
        }
        completeness =
            tried == possible
            ? "all \(possible) possible placements were tried, so none is better in this model"
            : "all \(tried) placements that fit were tried, so none is better in this model; "
                + "\(possible - tried) do not fit"
        recordedPackets = comparison.recordedPackets
        isPrefix = comparison.isPrefix
        elementDrops = comparison.elementDrops
        reasons = spec.nodes.indices.map { number in
            let group = groups.first { $0.members.contains(number) }!
            return Reason(
                element: spec.nodes[number].name,
                side: ranked[0].sides[number],
                text: Plan.reason(group, ranked[0], results, objective, spec)
            )
        }
    }

    /// The candidates with names that a file can give them: the graph's own, else by what is on the NIC.
    private static func name(_ candidates: [[Side]], _ spec: GraphSpec, _ groups: [Group]) -> [GraphSpec.Placement] {
        let free = groups.filter { $0.side == nil }.flatMap(\.members).sorted()
        var taken = Set(spec.placements.map(\.name))
        return candidates.map { sides in
            if let own = spec.placements.first(where: { $0.sides == sides }) { return own }
            let onNIC = free.filter { sides[$0] == .nic }.map { spec.nodes[$0].name }
            let name =
                onNIC.isEmpty
                ? "all-host"
                : onNIC.count == free.count
                    ? "all-nic" : (["nic"] + onNIC.map(plain)).joined(separator: "-")
            // Two elements may be told apart by a sign that the name of a placement cannot have.
            var unique = name
            var k = 1
            while !taken.insert(unique).inserted {
                k += 1
                unique = "\(name)-\(k)"
            }
            return GraphSpec.Placement(name: unique, sides: sides)
        }
    }

    /// The name of an element without the signs that placements' names cannot have.
    private static func plain(_ name: String) -> String {
        String(decoding: name.utf8.map { "/@".utf8.contains($0) ? UInt8(ascii: ".") : $0 }, as: UTF8.self)
    }

    private static func reason(
        _ group: Group,
        _ best: PlacementResult,
        _ results: [PlacementResult],
        _ objective: Objective,
        _ spec: GraphSpec
    ) -> String {
        if let why = group.why { return why }
        var sides = best.sides
        for member in group.members { sides[member] = sides[member] == .nic ? .host : .nic }
        let other = sides[group.members[0]].rawValue
        let subject =
            group.members.count == 1
            ? "moved to the \(other) alone"
            : "moved to the \(other) with "
                + group.members.dropFirst().map { spec.nodes[$0].name }.joined(separator: ", ")
        guard let moved = results.first(where: { $0.sides == sides }) else {
            return "\(subject) it does not fit"
        }
        func change(_ what: String, _ before: Double, _ after: Double, _ unit: String) -> String? {
            before == after ? nil : "\(what) \(figure(before)) -> \(figure(after))\(unit)"
        }
        let changes = [
            change("rate", Double(best.sustainableRate) / 1e6, Double(moved.sustainableRate) / 1e6, " Mpps"),
            change("host cycles", best.hostCyclesPerPacket, moved.hostCyclesPerPacket, " per packet"),
            change(
                "crossing bytes",
                best.toHost.bytes + best.toNIC.bytes,
                moved.toHost.bytes + moved.toNIC.bytes,
                " per packet"
            ),
            change("p50", Double(best.latency?.p50 ?? 0) / 1e3, Double(moved.latency?.p50 ?? 0) / 1e3, " ns"),
            change("p99", Double(best.latency?.p99 ?? 0) / 1e3, Double(moved.latency?.p99 ?? 0) / 1e3, " ns"),
        ].compactMap { $0 }
        let verdict =
            objective.score(moved) == objective.score(best) ? "nothing is lost in \(objective.rawValue)" : "it is worse"
        return "\(subject) \(verdict): " + (changes.isEmpty ? "nothing changes" : changes.joined(separator: ", "))
    }

    /// Three digits or more, without exponent.
    private static func figure(_ x: Double) -> String {
        let n = Int((x * 100).rounded())
        if abs(n) >= 100_00 { return "\(Int(x.rounded()))" }
        let digits = "\(abs(n) % 100)"
        return (n < 0 ? "-" : "") + "\(abs(n) / 100)." + (digits.count == 1 ? "0" : "") + digits
    }
}

/// Elements that must be on one side together; most are alone.
private struct Group {
    var members: [Int]
    /// The side they must be on; nil where it is free.
    var side: Side?
    /// Why they must.
    var why: String?

    static func all(_ spec: GraphSpec) throws(ModelError) -> [Group] {
        var group = Array(spec.nodes.indices)
        for set in spec.together {
            guard let first = set.first else { continue }
            for member in set {
                let (from, to) = (group[member], group[first])
                for k in group.indices where group[k] == from { group[k] = to }
            }
        }
        var groups: [Group] = []
        for number in spec.nodes.indices {
            let members = spec.nodes.indices.filter { group[$0] == group[number] }
            if members.first != number { continue }
            var result = Group(members: members, side: nil, why: nil)
            for member in members {
                let node = spec.nodes[member]
                guard let pin = node.pin else { continue }
                if let side = result.side, side != pin.side {
                    throw .noPlacement(
                        "'\(node.name)' must be on the \(pin.side), together with an element that must not"
                    )
                }
                result.side = pin.side
                result.why =
                    members.count == 1
                    ? pin.reason : "'\(node.name)' must be on the \(pin.side) and they stay together"
            }
            groups.append(result)
        }
        return groups
    }

    /// The placement number `choice`: a bit for each free group, set for the NIC.
    static func sides(_ groups: [Group], _ count: Int, _ choice: Int) -> [Side] {
        var sides = Array(repeating: Side.host, count: count)
        var bit = 0
        for group in groups {
            let side: Side
            if let fixed = group.side {
                side = fixed
            } else {
                side = choice >> bit & 1 == 1 ? .nic : .host
                bit += 1
            }
            for member in group.members { sides[member] = side }
        }
        return sides
    }
}
