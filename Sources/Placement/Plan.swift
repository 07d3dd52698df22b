// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Model

/// The figure for which a placement is optimised.
public enum Objective: String, Sendable, CaseIterable {
    /// Fewest host cycles per packet.
    case hostCycles = "host-cycles"
    /// Highest sustainable rate.
    case rate
    /// Lowest median latency.
    case p50
    /// Lowest latency of 99 % of packets.
    case p99
    /// Fewest bytes across the channel per packet, including descriptors.
    case dmaBytes = "dma-bytes"

    /// The figure of a result; smaller is better. Infinite if nothing came through.
    func score(_ result: PlacementResult) -> Double {
        switch self {
        case .hostCycles: result.hostCyclesPerPacket
        case .rate: -Double(result.sustainableRate)
        case .p50: result.latency.map { Double($0.p50) } ?? .infinity
        case .p99: result.latency.map { Double($0.p99) } ?? .infinity
        case .dmaBytes: result.toHost.bytes + result.toNIC.bytes
        }
    }

    /// Whether the objective needs a replay even for its bound.
    var isLatency: Bool { self == .p50 || self == .p99 }
}

/// The best placement of a graph on a device, and the reasons.
///
/// Every placement that the constraints allow is considered: its demand on each resource bounds its figures, and only those
/// that the bound does not rule out are replayed. So the result is exact for the model and the capture.
public struct Plan: Sendable {
    /// The figure by which the placements were ranked.
    public var objective: Objective
    /// The placements that were replayed, best first; among those equal in the objective, the one with fewer host cycles, then
    /// fewer bytes that cross, a lower p99, a higher rate, fewer elements on the NIC.
    public var ranked: [PlacementResult]
    /// The baseline placement; latency is modelled at half its rate.
    public var baseline: PlacementResult
    /// The placement with everything on the host; nil if that is not possible.
    public var allHost: PlacementResult?
    /// The placement with everything possible on the NIC; nil if that is not possible.
    public var allNIC: PlacementResult?
    /// For each element, in the graph's order, the reason for its side in the best placement.
    public var reasons: [Reason]
    /// The best two are equal in the objective, within the resolution of the search.
    public var isTie: Bool
    /// One sentence on how much was tried.
    public var completeness: String
    /// The number of placements the constraints allow, and how many of these cannot be modelled.
    public var possible: (all: Int, infeasible: Int)
    /// The first few of those that cannot be modelled, with the reasons.
    public var infeasible: [(name: String, reason: String)]
    /// The user ended the search.
    public var wasInterrupted: Bool
    /// What happens to the verdict if assumptions change.
    public var sensitivity: Sensitivity
    /// Facts about the recording.
    public var recorded: Recorded

    /// The placement that is best by the objective.
    public var best: PlacementResult { ranked[0] }

    /// The reason for an element's side.
    public struct Reason: Sendable, Equatable {
        /// The element's name in the graph.
        public var element: String
        /// Its side in the best placement.
        public var side: Side
        /// A sentence: the effect of moving it alone to the other side, or why it cannot be moved.
        public var text: String
    }

    /// The most placements that are tried.
    public static let maximum = 16_384

    /// Finds the best placement of `spec` on a device.
    ///
    /// `makeInstance` returns the graph ready to run, its wires bound; it is called once. If `shouldStop` returns true, also in the
    /// midst of a replay, the result is the best found so far; if nothing was, ``ModelError/stopped`` is thrown. Throws
    /// ``ModelError`` if no placement or too many are possible, and what running the graph throws.
    public static func make(
        _ spec: GraphSpec,
        for objective: Objective,
        profile: DeviceProfile,
        baseline: GraphSpec.Placement? = nil,
        options: Comparison.Options = Comparison.Options(),
        progress: (ModelStep) -> Void = { _ in },
        shouldStop: @escaping StopQuestion = { false },
        makeInstance: () throws -> Instance
    ) throws -> Plan {
        let groups = try Group.all(spec)
        let free = groups.count { $0.side == nil }
        guard free < 63, 1 << free <= maximum else {
            throw ModelError.tooManyPlacements(free < 63 ? 1 << free : .max, most: maximum)
        }
        let recording = try Recording(
            makeInstance(),
            limit: options.recordLimit,
            progress: progress,
            shouldStop: shouldStop
        )
        guard recording.packets > 0 else { throw ModelError.noPackets }
        var search = Search(
            Scorer(recording, profile, packets: options.packets, shouldStop: shouldStop),
            spec,
            groups,
            objective,
            options,
            against: baseline ?? Comparison.baseline(spec, [], options.baseline)
        )
        try search.run(progress, shouldStop)
        return try search.plan(progress, shouldStop)
    }
}

/// The search for the best of all placements.
private struct Search {
    let scorer: Scorer
    let spec: GraphSpec
    let groups: [Group]
    let objective: Objective
    let options: Comparison.Options
    let against: GraphSpec.Placement
    let possible: Int

    /// Placements that can be modelled, and for each a bound on its objective: no replay gives a smaller value.
    var candidates: [Candidate] = []
    var bounds: [Double] = []
    /// Results of candidates that were replayed.
    var results: [Int: PlacementResult] = [:]
    /// Latencies of candidates at the load, if latency is the objective.
    var latencies: [Int: PlacementResult.Percentiles] = [:]
    /// Candidates that may be better, according to their bound, but were not replayed.
    var unscored = 0
    var infeasible: [(sides: [Side], reason: String)] = []
    var lookedAt = 0
    var isInterrupted = false
    var load = OfferedLoad.rate(1)
    var baseline: PlacementResult?
    private var names: [String: [Side]] = [:]

    init(
        _ scorer: Scorer,
        _ spec: GraphSpec,
        _ groups: [Group],
        _ objective: Objective,
        _ options: Comparison.Options,
        against: GraphSpec.Placement
    ) {
        self.scorer = scorer
        self.spec = spec
        self.groups = groups
        self.objective = objective
        self.options = options
        self.against = against
        possible = 1 << groups.count { $0.side == nil }
        for placement in spec.placements { names[placement.name] = placement.sides }
    }

    mutating func run(_ progress: (ModelStep) -> Void, _ shouldStop: () -> Bool) throws {
        // The extremes first, so that they are done if interrupted.
        let choices = [0, possible - 1] + Array(0..<possible).dropFirst().dropLast()
        for choice in choices.prefix(possible) {
            if lookedAt > 2, shouldStop() {
                isInterrupted = true
                break
            }
            let sides = Group.sides(groups, spec.nodes.count, choice)
            do throws(ModelError) {
                candidates.append(try scorer.candidate(sides))
            } catch {
                infeasible.append((sides, error.description))
            }
            lookedAt += 1
            if lookedAt & 255 == 0 { progress(.bounding(placement: lookedAt, of: possible)) }
        }
        guard !candidates.isEmpty else {
            throw ModelError.noPlacement(infeasible.first?.reason ?? "there are no elements")
        }
        try untilStopped { search throws in
            try search.findLoad(progress)
            try search.bound(progress, shouldStop)
            try search.score(progress, shouldStop)
        }
        // What was not bounded may be the best.
        bounds += Array(repeating: -Double.infinity, count: candidates.count - bounds.count)
        if results.isEmpty { throw ModelError.stopped }
    }

    /// Does work that the user may end: what was found until then stays.
    private mutating func untilStopped(_ work: (inout Search) throws -> Void) throws {
        do {
            try work(&self)
        } catch ModelError.stopped {
            isInterrupted = true
        }
    }

    /// Finds the load, as in every comparison: half of what the baseline sustains.
    private mutating func findLoad(_ progress: (ModelStep) -> Void) throws {
        let candidate: Candidate
        do throws(ModelError) {
            candidate = try scorer.candidate(against.sides)
        } catch {
            // A baseline that was asked for must be possible; any other is replaced by the first that is.
            if options.baseline != nil { throw error }
            candidate = candidates[0]
        }
        progress(.replaying(done: 0, atMost: candidates.count))
        let capacity = try scorer.capacity(candidate)
        load = options.load ?? .rate(max(1, capacity.rate / 2))
        let result = try scorer.result(name(candidate.sides), candidate, capacity, load)
        baseline = result
        if let k = candidates.firstIndex(where: { $0.sides == candidate.sides }) { results[k] = result }
    }

    /// Packets of an unloaded replay, which a search makes for each placement.
    private static let unloadedPackets = 4_000

    private mutating func bound(_ progress: (ModelStep) -> Void, _ shouldStop: () -> Bool) throws {
        for (k, candidate) in candidates.enumerated() {
            if isInterrupted || shouldStop() { isInterrupted = true }
            switch objective {
            case .rate: bounds.append(-candidate.bound)
            case .hostCycles: bounds.append(candidate.hostCycles)
            case .dmaBytes: bounds.append(candidate.dmaBytes)
            case .p50, .p99:
                if isInterrupted { throw ModelError.stopped }
                if k & 15 == 0 { progress(.bounding(placement: k, of: candidates.count)) }
                let packets = candidates.count > 256 ? Search.unloadedPackets : options.packets
                let latency = try scorer.unloadedLatency(
                    candidate,
                    packets: min(packets, max(scorer.recording.packets, Search.unloadedPackets))
                )
                bounds.append(latency.map { Double(objective == .p50 ? $0.p50 : $0.p99) } ?? .infinity)
            }
        }
    }

    /// Replays the candidates that may be best, until no bound leaves room for a better one.
    private mutating func score(_ progress: (ModelStep) -> Void, _ shouldStop: () -> Bool) throws {
        let order = candidates.indices.sorted { a, b in
            let (x, y) = (candidates[a], candidates[b])
            if bounds[a] != bounds[b] { return bounds[a] < bounds[b] }
            if x.hostCycles != y.hostCycles { return x.hostCycles < y.hostCycles }
            if x.dmaBytes != y.dmaBytes { return x.dmaBytes < y.dmaBytes }
            return (x.nicElements, a) < (y.nicElements, b)
        }
        var best: Int?
        for (at, k) in order.enumerated() {
            let value = best.map { merits($0).objective } ?? .infinity
            if let best {
                if bounds[k] > value, !Merits.isEqual(bounds[k], value) { break }
                if !canBeat(k, best, value) { continue }
            }
            let rest = order[at...].prefix { bounds[$0] <= value }.count
            if best != nil, shouldStop() || latencies.count >= Search.mostLatencies {
                isInterrupted = shouldStop()
                unscored = rest
                return
            }
            progress(.replaying(done: max(results.count, latencies.count), atMost: rest))
            try measure(k)
            let now = best ?? k
            best = Merits.ranking([merits(now), merits(k)])[0] == 0 ? now : k
            // In full, so that an interrupt finds a result.
            if best == k { try replay(k) }
        }
    }

    /// Whether a candidate whose bound is no worse than the best figure may beat the best: one that can only be equal must be
    /// no worse in the further criteria.
    private func canBeat(_ k: Int, _ best: Int, _ value: Double) -> Bool {
        if !Merits.isEqual(bounds[k], value) { return true }
        let (x, y) = (candidates[k], candidates[best])
        if abs(x.hostCycles - y.hostCycles) > 1e-6 { return x.hostCycles < y.hostCycles }
        return x.dmaBytes <= y.dmaBytes + 1e-6
    }

    /// The most latency replays: with queues the unloaded latency is a weak bound, so very many could remain.
    private static let mostLatencies = 512

    /// Determines the objective for a candidate.
    private mutating func measure(_ k: Int) throws {
        guard objective.isLatency else { return try replay(k) }
        if results[k] == nil, latencies[k] == nil { latencies[k] = try scorer.latency(candidates[k], load) }
    }

    private mutating func replay(_ k: Int) throws {
        if results[k] != nil { return }
        let capacity = try scorer.capacity(candidates[k])
        results[k] = try scorer.result(name(candidates[k].sides), candidates[k], capacity, load)
    }

    /// The merits of a candidate; if it was not replayed, as far as they are known.
    private func merits(_ k: Int) -> Merits {
        let candidate = candidates[k]
        let result = results[k]
        let latency = result?.latency ?? latencies[k]
        let measured = latency.map { Double(objective == .p50 ? $0.p50 : $0.p99) }
        return Merits(
            objective: objective.isLatency ? measured ?? bounds[k] : result.map(objective.score) ?? bounds[k],
            hostCycles: result?.hostCyclesPerPacket ?? candidate.hostCycles,
            dmaBytes: result.map { $0.toHost.bytes + $0.toNIC.bytes } ?? candidate.dmaBytes,
            p99: latency.map { Double($0.p99) } ?? .infinity,
            rate: result.map { Double($0.sustainableRate) } ?? candidate.bound,
            nicElements: candidate.nicElements
        )
    }

    // MARK: Results

    /// The number of placements shown besides the best.
    private static let shown = 5
    /// The number of placements that cannot be modelled whose reasons are shown.
    private static let shownInfeasible = 5

    mutating func plan(_ progress: (ModelStep) -> Void, _ shouldStop: () -> Bool) throws -> Plan {
        let measured = Set(results.keys).union(latencies.keys).sorted()
        // After an interrupt nothing more is replayed.
        let known = isInterrupted ? results.keys.sorted() : measured
        var best = known[Merits.best(known.map(merits))]
        // The next best, the extremes, and the placements one step from the best, for the reasons.
        func index(_ sides: [Side]) -> Int? { candidates.firstIndex { $0.sides == sides } }
        let host = index(Group.sides(groups, spec.nodes.count, 0))
        let nic = index(Group.sides(groups, spec.nodes.count, possible - 1))
        let next = Merits.ranking(measured.map(merits)).prefix(Search.shown).map { measured[$0] }
        let others = Merits.ranking(candidates.indices.map(merits)).prefix(unscored > 0 ? 0 : Search.shown)
        if !isInterrupted {
            try untilStopped { search throws in
                for k in [best] + [host, nic].compactMap({ $0 }) + next + others { try search.replay(k) }
            }
            if results[best] == nil {
                let known = results.keys.sorted()
                best = known[Merits.best(known.map(merits))]
            }
        }
        var neighbours: [Int: Int] = [:]
        var scored: [Int] = []
        // If not all were considered, one a step from the best may be better, and then is the best.
        while true {
            neighbours = [:]
            for (number, group) in groups.enumerated() where group.side == nil && !isInterrupted {
                guard let k = index(moved(group, candidates[best].sides)) else { continue }
                progress(.replaying(done: results.count, atMost: groups.count - number))
                try untilStopped { search throws in try search.replay(k) }
                if results[k] != nil { neighbours[number] = k }
            }
            let keys = results.keys.sorted()
            scored = Merits.ranking(keys.map(merits)).map { keys[$0] }
            if scored[0] == best { break }
            best = scored[0]
            if isInterrupted {
                neighbours = [:]
                break
            }
        }
        let ranked = scored.map { results[$0]! }
        progress(.drawing)
        let sensitivity: Sensitivity
        do {
            if candidates.count == 1, possible == infeasible.count + 1 {
                // One is the best whatever the numbers are.
                sensitivity = Sensitivity()
            } else {
                sensitivity = try self.sensitivity(scored) { if shouldStop() { throw ModelError.stopped } }
            }
        } catch ModelError.stopped {
            isInterrupted = true
            sensitivity = Sensitivity()
        }
        let reasons = spec.nodes.indices.map { number in
            let at = groups.firstIndex { $0.members.contains(number) }!
            return Plan.Reason(
                element: spec.nodes[number].name,
                side: ranked[0].sides[number],
                text: reason(groups[at], candidates[best].sides, results[best]!, neighbours[at].flatMap { results[$0] })
            )
        }
        return Plan(
            objective: objective,
            ranked: ranked,
            baseline: baseline!,
            allHost: host.flatMap { results[$0] },
            allNIC: nic.flatMap { results[$0] },
            reasons: reasons,
            isTie: ranked.count > 1
                && Merits.isEqual(objective.score(ranked[0]), objective.score(ranked[1])),
            completeness: completeness(measured.count, Set(results.keys).subtracting(measured).count),
            possible: (possible, infeasible.count),
            infeasible: infeasible.prefix(Search.shownInfeasible).map { (name($0.sides), $0.reason) },
            wasInterrupted: isInterrupted,
            sensitivity: sensitivity,
            recorded: Recorded(scorer)
        )
    }

    /// How much was tried: `searched` placements were replayed in the search, `more` for the table and the reasons.
    private func completeness(_ searched: Int, _ more: Int) -> String {
        func were(_ n: Int) -> String { n == 1 ? "was" : "were" }
        let misfits = infeasible.isEmpty ? "" : "; \(infeasible.count) cannot be modelled"
        if isInterrupted {
            return
                "interrupted: the best of what was looked at, \(objective.isLatency ? bounds.count { $0.isFinite } : lookedAt) of \(possible) possible placement\(possible == 1 ? "" : "s"), "
                + "\(searched) of them replayed\(misfits)"
        }
        if possible - infeasible.count == 1 {
            return possible == 1
                ? "only one placement is possible, and it was replayed"
                : "all \(possible) possible placements were looked at\(misfits); the only one that can was replayed"
        }
        let rest = candidates.count - searched - unscored
        let how = objective.isLatency ? "latency without load" : "the bound of what they ask of each resource"
        let sample =
            objective.isLatency && (candidates.count > 256 && scorer.recording.packets > Search.unloadedPackets)
            ? " (of a sample of \(Search.unloadedPackets) packets)" : ""
        return
            "all \(possible) possible placements were looked at\(misfits); \(searched) \(were(searched)) replayed in the search"
            + (rest > 0 ? ", and \(how)\(sample) shows that \(rest) other\(rest == 1 ? "" : "s") cannot be better" : "")
            + (unscored > 0
                ? "; \(unscored) more \(were(unscored)) not scored, and one of them may be better"
                : ", so none is better in this model")
            + (more > 0 ? "; \(more) more \(were(more)) replayed to be shown" : "")
    }

    private func sensitivity(_ scored: [Int], _ check: () throws -> Void) throws -> Sensitivity {
        let known = results
        if objective.isLatency {
            // Latency has no closed form: the replayed placements are replayed again without load, with a sample of packets.
            let contenders = Array(scored.prefix(8))
            func unloaded(_ k: Int, _ variant: Scorer.Variant) throws -> Double {
                if variant.isMisfit(candidates[k]) { return .infinity }
                let latency = try scorer.unloadedLatency(candidates[k], variant, packets: 500)
                return latency.map { Double(objective == .p50 ? $0.p50 : $0.p99) } ?? .infinity
            }
            // The queueing delay is kept as at the nominal numbers.
            let usual = Scorer.Variant(scorer.profile)
            var waiting: [Int: Double] = [:]
            for k in contenders { waiting[k] = try objective.score(known[k]!) - unloaded(k, usual) }
            return try Sensitivity(
                [scorer.profile],
                contenders.map { known[$0]!.name },
                seed: options.seed,
                draws: 30
            ) { changed in
                try check()
                let variant = Scorer.Variant(changed[0])
                let merits = try contenders.map { k in
                    var merits = self.merits(k)
                    merits.objective = try unloaded(k, variant) + (waiting[k]!.isFinite ? waiting[k]! : 0)
                    merits.hostCycles = variant.hostCycles(candidates[k])
                    return merits
                }
                return Merits.best(merits)
            }
        }
        var labels = Array(repeating: "", count: candidates.count)
        var copy = self
        for k in candidates.indices { labels[k] = known[k]?.name ?? copy.name(candidates[k].sides) }
        return try Sensitivity([scorer.profile], labels, seed: options.seed) { changed in
            try check()
            let variant = Scorer.Variant(changed[0])
            return Merits.best(
                candidates.indices.map { k in
                    var merits = self.merits(k)
                    let share = known[k].map { Double($0.sustainableRate) / max(1, $0.bound) } ?? 1
                    merits.rate = variant.bound(candidates[k]) * share
                    merits.hostCycles = variant.hostCycles(candidates[k])
                    switch objective {
                    // A placement that does not fit is excluded.
                    case _ where merits.rate == 0: merits.objective = .infinity
                    case .rate: merits.objective = -merits.rate
                    case .hostCycles: merits.objective = merits.hostCycles
                    default: merits.objective = merits.dmaBytes
                    }
                    return merits
                }
            )
        }
    }

    // MARK: Words

    /// A valid name for a placement: the graph's own, otherwise by the elements on the NIC.
    private mutating func name(_ sides: [Side]) -> String {
        if let own = spec.placements.first(where: { $0.sides == sides }) { return own.name }
        let free = groups.filter { $0.side == nil }.flatMap(\.members).sorted()
        let onNIC = free.filter { sides[$0] == .nic }.map { spec.nodes[$0].name }
        let name =
            onNIC.isEmpty
            ? "all-host" : onNIC.count == free.count ? "all-nic" : (["nic"] + onNIC.map(plain)).joined(separator: "-")
        // The names of two elements may differ only by a character not allowed in the name of a placement.
        var unique = name
        var k = 1
        while let other = names[unique], other != sides {
            k += 1
            unique = "\(name)-\(k)"
        }
        names[unique] = sides
        return unique
    }

    /// An element's name without characters not allowed in placement names.
    private func plain(_ name: String) -> String {
        String(decoding: name.utf8.map { "/@".utf8.contains($0) ? UInt8(ascii: ".") : $0 }, as: UTF8.self)
    }

    private func moved(_ group: Group, _ sides: [Side]) -> [Side] {
        var sides = sides
        for member in group.members { sides[member] = sides[member] == .nic ? .host : .nic }
        return sides
    }

    private func reason(_ group: Group, _ sides: [Side], _ best: PlacementResult, _ moved: PlacementResult?) -> String {
        if let why = group.why { return why }
        let other = self.moved(group, sides)
        let target = other[group.members[0]] == .nic ? "NIC" : "host"
        let subject =
            group.members.count == 1
            ? "on the \(target) instead"
            : "on the \(target) instead, with "
                + group.members.dropFirst().map { spec.nodes[$0].name }.joined(separator: ", ")
        guard let moved else {
            let why = infeasible.first { $0.sides == other }?.reason
            return "\(subject): "
                + (why.map { "it cannot be modelled: \($0)" } ?? "not looked at before the end of the search")
        }
        // Only differences visible in the printed figures count as changes.
        func change(_ what: String, _ before: Double, _ after: Double, _ digits: Int, _ unit: String) -> String? {
            let (x, y) = (decimal(before, digits), decimal(after, digits))
            return x == y ? nil : "\(what) \(x) -> \(y) \(unit)"
        }
        let rate = change(
            "rate",
            Double(best.sustainableRate) / 1e6,
            Double(moved.sustainableRate) / 1e6,
            3,
            "Mpps"
        )
        let cycles = change("host cycles", best.hostCyclesPerPacket, moved.hostCyclesPerPacket, 1, "per packet")
        let bytes = change(
            "crossing",
            best.toHost.bytes + best.toNIC.bytes,
            moved.toHost.bytes + moved.toNIC.bytes,
            1,
            "B per packet"
        )
        guard let before = best.latency, let after = moved.latency else {
            return "\(subject): no packet comes through"
        }
        let p50 = change("p50", Double(before.p50) / 1e6, Double(after.p50) / 1e6, 2, "us")
        let p99 = change("p99", Double(before.p99) / 1e6, Double(after.p99) / 1e6, 2, "us")
        let first: String? =
            switch objective {
            case .rate: rate
            case .hostCycles: cycles
            case .dmaBytes: bytes
            case .p50: p50
            case .p99: p99
            }
        // Differences below the resolution of the search are no change of the objective.
        let isEqual = Merits.isEqual(objective.score(moved), objective.score(best)) || first == nil
        let changes = [first, cycles, bytes, p99, rate, p50].compactMap { $0 }.reduce(into: [String]()) {
            if !$0.contains($1), !(isEqual && $1 == first) { $0.append($1) }
        }
        if changes.isEmpty { return "\(subject): nothing changes" }
        let verdict = isEqual ? "\(objective.rawValue) unchanged, but " : "worse: "
        return "\(subject): \(verdict)\(changes.joined(separator: ", "))"
    }

    /// A number with this many decimal places.
    private func decimal(_ x: Double, _ digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let n = Int((min(max(x, -1e12), 1e12) * Double(scale)).rounded())
        if digits == 0 { return "\(n)" }
        let rest = "\(abs(n) % scale)"
        return (n < 0 ? "-" : "") + "\(abs(n) / scale)." + String(repeating: "0", count: digits - rest.count) + rest
    }
}
