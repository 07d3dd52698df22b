// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The model's results for one placement.
public struct PlacementResult: Sendable {
    /// The placement's name.
    public var name: String
    /// For each node of the graph its side.
    public var sides: [Side]
    /// The name of the device it was modelled on.
    public var profile: String
    /// The price in the device's profile, in US dollars; nil if there is none.
    public var price: Int?
    /// Packets per second, all ports together, that the placement sustains forever without losing one; to 0.1 %.
    public var sustainableRate: Int
    /// Bits per second that then arrive on the wires, all ports together: frames, plus the 24 bytes around each.
    public var wireRate: Double
    /// Packets per second at which no resource is too slow. The sustainable rate is lower if a queue overflows first.
    public var bound: Double
    /// The queue that overflows in bursts just above the sustainable rate, before any resource is full; nil if a resource is.
    public var firstDrop: Outcome.Drop?
    /// How busy each resource is at the sustainable rate, 0 to 1, busiest first.
    public var utilisation: [(resource: Resource, share: Double)]
    /// The load at which latency was modelled.
    public var load: Load
    /// Copies of the recording that make up the sustainable rate.
    public var copies: Int64
    /// For each flow table the flows at that rate.
    public var flows: [FlowNeed]
    /// Latency at the load, in picoseconds, from the last bit in to the last work, or the last bit out; nil if no packet came
    /// through.
    public var latency: Percentiles?
    /// Items lost at that load, by reason; reasons that did not occur are left out.
    public var drops: [(reason: Outcome.Drop, count: UInt64)]
    /// Packets offered at that load, and those of which nothing was lost.
    public var packets: (offered: UInt64, completed: UInt64)
    /// Host core cycles per packet of which nothing is lost.
    public var hostCyclesPerPacket: Double
    /// Host cores that are busy at the sustainable rate.
    public var hostCoresBusy: Double
    /// NIC core cycles per packet of which nothing is lost.
    public var nicCyclesPerPacket: Double
    /// Writes of the device to host memory, per packet.
    public var toHost: Crossing
    /// Reads of the device from host memory, per packet.
    public var toNIC: Crossing
    /// The share of packets on a slow path across the channel; nil if there is none. Such a placement is simulated with its
    /// elements, and its figures per packet are those at the sustainable rate.
    public var slowPath: SlowPath?

    /// The resource that is busiest at the sustainable rate.
    public var busiest: Resource { utilisation[0].resource }

    /// What limits the rate, in words.
    public var bottleneck: String { firstDrop.map { "\($0.place) (bursts)" } ?? busiest.rawValue }

    /// Latencies in picoseconds, to three digits.
    public struct Percentiles: Sendable, Equatable {
        /// Half of the packets took no longer.
        public var p50: Int64
        /// 99 % of the packets took no longer.
        public var p99: Int64
        /// 99.9 % of the packets took no longer.
        public var p999: Int64
    }

    /// One direction of the channel, per packet.
    public struct Crossing: Sendable, Equatable {
        /// Bytes of items and descriptors, without link headers.
        public var bytes: Double
        /// DMAs, including those of descriptors.
        public var transfers: Double
    }

    /// Packets on a cycle that crosses the channel.
    public struct SlowPath: Sendable, Equatable {
        /// Items that enter it per packet offered, at the sustainable rate.
        public var share: Double
        /// ``share`` at the load at which latency is modelled.
        public var shareAtLoad: Double
        /// Flows whose beginning was left out, since they had sent too many packets to run them all beforehand: elements met them midway.
        public var metMidway: Int64
        /// The elements do with copies of the packets, which have other client addresses and ports, what they do with the packets recorded.
        public var copiesDoTheSame: Bool
    }

    /// Flows in a table at the sustainable rate, compared with its capacity.
    public struct FlowNeed: Sendable, Equatable {
        /// The table's name in the graph.
        public var table: String
        /// The table's side.
        public var side: Side
        /// Flows between their first packet and their last.
        public var open: Int64
        /// Flows in a table that has room for all: ``open`` ones, and those past their last packet that have not idled out yet; nil if
        /// these stay forever.
        public var needed: Int64?
        /// ``needed`` at the load at which latency is modelled.
        public var neededAtLoad: Int64?
        /// Nanoseconds for which a flow stays after its last packet; 0 means forever.
        public var stays: Int64
        /// The table's capacity in flows.
        public var room: Int64
        /// The most entries that tables on its side can have together; nil if the profile does not say.
        public var limit: Int64?
    }
}

/// A load as it was offered.
public struct Load: Sendable, Equatable {
    /// The load asked for.
    public var asked: OfferedLoad
    /// Packets per second, all ports together.
    public var rate: Double
    /// Copies of the recording that make it up.
    public var copies: Int64
    /// More was asked for than the ports can carry; this is their limit.
    public var isLimitedByPorts: Bool
}

/// A resource that can be busy.
public enum Resource: String, Sendable, CaseIterable {
    case portRx = "port rx"
    case portTx = "port tx"
    case mac = "MAC"
    case nicCores = "NIC cores"
    case nicThreads = "NIC threads"
    case nicMemory = "NIC memory"
    case hostCores = "host cores"
    case hostThreads = "host threads"
    case hostMemory = "host memory"
    /// Bytes from the NIC to the host, including read requests.
    case linkToHost = "to-host link"
    /// Bytes from the host to the NIC, including doorbells.
    case linkToNIC = "to-NIC link"
    /// Starts of DMAs.
    case writeIssue = "DMA writes"
    case readIssue = "DMA reads"
    /// Commands across the channel.
    case controlPath = "control path"
    /// DMAs in progress.
    case writesInFlight = "DMA writes in flight"
    case readsInFlight = "DMA reads in flight"
}

/// A placement on a device.
public struct Contender: Sendable {
    /// The side of each element.
    public var placement: GraphSpec.Placement
    /// The device.
    public var profile: DeviceProfile

    public init(_ placement: GraphSpec.Placement, on profile: DeviceProfile) {
        self.placement = placement
        self.profile = profile
    }
}

/// Several placements of one graph, on one device or several, under the same packets.
///
/// The results for a placement do not depend on which others it is compared with.
public struct Comparison: Sendable {
    /// In the order given, without those that cannot be modelled.
    public var results: [PlacementResult]
    /// The placements that cannot be modelled, and the reasons.
    public var infeasible: [(name: String, reason: String)]
    /// The placement that others are compared with. It need not be among ``results``.
    public var baseline: PlacementResult
    /// Indices into ``results`` by sustainable rate, best first; those that the search cannot distinguish by fewer host cycles,
    /// bytes that cross, p99, rate, and elements on the NIC.
    public var ranking: [Int]
    /// The first of ``ranking``; nil if they cannot be compared, or none carries any rate that was tried.
    public var best: PlacementResult? {
        isComparable && results[ranking[0]].sustainableRate > 0 ? results[ranking[0]] : nil
    }
    /// One sentence: which is best, and in what; or why that cannot be told.
    public var verdict: String
    /// The results can be compared. Not so if elements share state between flows and only some placements were run with them:
    /// there all copies of the traffic share it, in a replay each has its own.
    public var isComparable: Bool
    /// The best two sustain the same rate, within the resolution of the search.
    public var isTie: Bool
    /// What happens to the verdict if assumptions change.
    public var sensitivity: Sensitivity
    /// Facts about the recording.
    public var recorded: Recorded
    /// The devices, each once.
    public var profiles: [DeviceProfile]
    /// The devices' hosts differ.
    public var hostsDiffer: Bool

    /// Options of a comparison.
    public struct Options: Sendable {
        /// Packets for each replay; the recording is repeated as often as needed.
        public var packets = 100_000
        /// The most visits of elements to record.
        public var recordLimit = Recording.defaultLimit
        /// The load at which latency is modelled; nil for half the sustainable rate of the baseline.
        public var load: OfferedLoad?
        /// The name of the baseline placement; nil for `host-only`, or everything on the host.
        public var baseline: String?
        /// The seed for drawing assumptions.
        public var seed: UInt64 = 1
        public init() {}
    }

    /// Runs the graph once and scores the recorded work in each placement on one device.
    ///
    /// `makeInstance` returns the graph ready to run, its wires bound. Throws ``ModelError`` if no placement is possible, and
    /// what running the graph throws.
    public static func run(
        _ placements: [GraphSpec.Placement],
        profile: DeviceProfile,
        options: Options = Options(),
        progress: (ModelStep) -> Void = { _ in },
        makeInstance: () throws -> Instance
    ) throws -> Comparison {
        let recording = try Recording(makeInstance(), limit: options.recordLimit, progress: progress)
        return try Comparison(recording, placements, profile, options, progress: progress)
    }

    /// Scores a recording in each placement on one device.
    public init(
        _ recording: Recording,
        _ placements: [GraphSpec.Placement],
        _ profile: DeviceProfile,
        _ options: Options = Options(),
        progress: (ModelStep) -> Void = { _ in }
    ) throws {
        try self.init(
            recording,
            placements.map { Contender($0, on: profile) },
            baseline: Contender(Comparison.baseline(recording.spec, placements, options.baseline), on: profile),
            options,
            progress: progress
        )
    }

    /// The baseline: the placement named, or `host-only`, or everything on the host that can be.
    public static func baseline(
        _ spec: GraphSpec,
        _ placements: [GraphSpec.Placement],
        _ name: String?
    ) -> GraphSpec.Placement {
        let all = placements + spec.placements
        return all.first { $0.name == name ?? "host-only" } ?? spec.allHost
    }

    /// Scores a recording in each placement on its device; calls `progress` now and then.
    public init(
        _ recording: Recording,
        _ contenders: [Contender],
        baseline: Contender,
        _ options: Options = Options(),
        progress: (ModelStep) -> Void = { _ in }
    ) throws {
        guard recording.packets > 0 else { throw ModelError.noPackets }
        // The baseline is scored once, whether or not it is among those compared.
        let isShown = contenders.contains { Comparison.isSame($0, baseline) }
        let all = isShown ? contenders : contenders + [baseline]
        var scorers: [String: Scorer] = [:]
        var scored: [(contender: Contender, scorer: Scorer, candidate: Candidate, capacity: Scorer.Capacity)] = []
        infeasible = []
        var firstError: ModelError?
        for (k, contender) in all.enumerated() {
            let profile = contender.profile
            let scorer = scorers[profile.name] ?? Scorer(recording, profile, packets: options.packets)
            scorers[profile.name] = scorer
            do throws(ModelError) {
                let candidate = try scorer.candidate(contender.placement.sides)
                scored.append((contender, scorer, candidate, .init(rate: 0)))
            } catch {
                // A baseline that was asked for must be possible; any other is replaced by the first that is.
                if options.baseline != nil, Comparison.isSame(contender, baseline) { throw error }
                firstError = firstError ?? error
                if k < contenders.count || !isShown { infeasible.append((contender.placement.name, error.description)) }
            }
        }
        guard !scored.isEmpty else { throw firstError ?? ModelError.noPlacement("there are no elements") }
        for k in scored.indices {
            scored[k].capacity = try scored[k].scorer.capacity(scored[k].candidate) {
                progress(.scoring(placement: k + 1, of: scored.count))
            }
        }
        // An impossible baseline is replaced by the first placement that is possible.
        let base = scored.firstIndex { Comparison.isSame($0.contender, baseline) } ?? 0
        let load = options.load ?? .rate(max(1, scored[base].capacity.rate / 2))
        let every = try scored.map {
            try $0.scorer.result($0.contender.placement.name, $0.candidate, $0.capacity, load)
        }
        self.baseline = every[base]
        let isBaselineShown = isShown || scored.count == contenders.count - infeasible.count
        let shown = isBaselineShown ? scored : scored.dropLast()
        guard !shown.isEmpty else { throw firstError ?? ModelError.noPlacement("there are no elements") }
        let results = Array(every.prefix(shown.count))
        self.results = results
        let p99 = results.map { $0.latency.map { Double($0.p99) } ?? .infinity }
        ranking = Merits.ranking(
            results.indices.map { k in
                Merits(
                    objective: -Double(results[k].sustainableRate),
                    hostCycles: results[k].hostCyclesPerPacket,
                    dmaBytes: results[k].toHost.bytes + results[k].toNIC.bytes,
                    p99: p99[k],
                    rate: Double(results[k].sustainableRate),
                    nicElements: scored[k].candidate.nicElements
                )
            }
        )
        var profiles: [DeviceProfile] = []
        for contender in shown where !profiles.contains(where: { $0.name == contender.contender.profile.name }) {
            profiles.append(contender.contender.profile)
        }
        self.profiles = profiles
        hostsDiffer = !Sensitivity.haveOneHost(profiles)
        recorded = Recorded(recording, shown[0].scorer.traffic)
        let device = shown.map { one in profiles.firstIndex { $0.name == one.contender.profile.name } ?? 0 }
        sensitivity = Sensitivity(profiles, results.map(\.name), seed: options.seed) { changed in
            let variants = changed.map(Scorer.Variant.init)
            return Merits.best(
                results.indices.map { k in
                    let (variant, candidate) = (variants[device[k]], shown[k].candidate)
                    // If a queue overflows first, it is assumed to do so at the same share of the bound.
                    let rate = variant.bound(candidate) * Double(results[k].sustainableRate) / max(1, results[k].bound)
                    return Merits(
                        objective: -rate,
                        hostCycles: variant.hostCycles(candidate),
                        dmaBytes: candidate.dmaBytes,
                        p99: p99[k],
                        rate: rate,
                        nicElements: candidate.nicElements
                    )
                }
            )
        }
        let live = results.filter { $0.slowPath != nil }.map { "'\($0.name)'" }
        isComparable = recorded.sharedState.isEmpty || live.isEmpty || live.count == results.count
        (isTie, verdict) =
            isComparable
            ? Comparison.judge(results, ranking, every[base])
            : (
                false,
                "cannot be told, as \(live.joined(separator: ", ")) \(live.count == 1 ? "was" : "were") run with the elements, where "
                    + "all copies of the traffic share the state of \(recorded.sharedState.joined(separator: ", ")), and the others were "
                    + "replayed, where each copy has its own"
            )
    }

    private static func isSame(_ a: Contender, _ b: Contender) -> Bool {
        a.placement.sides == b.placement.sides && a.profile.name == b.profile.name
            && a.placement.name == b.placement.name
    }

    private static func judge(
        _ results: [PlacementResult],
        _ ranking: [Int],
        _ baseline: PlacementResult
    ) -> (Bool, String) {
        let best = results[ranking[0]]
        guard ranking.count > 1 else { return (false, "there is only one placement") }
        let equal = ranking.filter {
            Merits.isEqual(Double(results[$0].sustainableRate), Double(best.sustainableRate))
        }
        let against = best.name == baseline.name ? results[ranking[1]] : baseline
        let ratio = Double(best.sustainableRate) / max(1, Double(against.sustainableRate))
        if best.sustainableRate == 0 { return (false, "none; all lose packets at every rate that was tried") }
        if equal.count == 1 {
            return (
                false,
                against.sustainableRate > 0
                    ? "'\(best.name)' sustains the highest rate, \(lead(ratio)) '\(against.name)'"
                    : "'\(best.name)' sustains the highest rate; '\(against.name)' loses packets at every rate that was tried"
            )
        }
        var others = equal.filter { results[$0].name != best.name }
        let who =
            equal.count == results.count
            ? "all sustain the same rate"
            : equal.count == 2
                ? "'\(best.name)' and '\(results[others[0]].name)' sustain the same rate"
                : "\(equal.count) of \(results.count) sustain the same rate"
        // The criteria in order, each applied to those still equal.
        let stages: [(words: String, figure: (PlacementResult) -> Double)] = [
            ("needs the fewest host cycles", { $0.hostCyclesPerPacket }),
            ("moves the fewest bytes", { $0.toHost.bytes + $0.toNIC.bytes }),
            ("has the lowest p99", { Double($0.latency?.p99 ?? .max) }),
            ("is the fastest by a hair", { -Double($0.sustainableRate) }),
            ("has the fewest elements on the NIC", { Double($0.sides.count { $0 == .nic }) }),
        ]
        var by = "is the first of those that nothing tells apart"
        var same: [String] = []
        for (number, stage) in stages.enumerated() {
            others = others.filter { abs(stage.figure(results[$0]) - stage.figure(best)) < 5e-7 }
            if others.isEmpty {
                by = stage.words + (same.isEmpty ? "" : ", of those equal in \(same.joined(separator: ", "))")
                break
            }
            same.append(["host cycles", "bytes", "p99", "rate", "elements"][number])
        }
        return (true, "\(who); '\(best.name)' \(by)")
    }

    /// A rate in words, by its ratio to another.
    static func lead(_ ratio: Double) -> String {
        if ratio < 1.005 {
            let tenths = Int(((ratio - 1) * 1_000).rounded())
            return "\(tenths / 10).\(tenths % 10) % more than"
        }
        let n = Int((min(ratio, 1e12) * 100).rounded())
        return "\(n / 100).\(n % 100 < 10 ? "0" : "")\(n % 100) times that of"
    }
}

/// What reports say about a recording.
public struct Recorded: Sendable {
    /// Packets recorded.
    public var packets: Int
    /// The capture continued after them.
    public var isPrefix: Bool
    /// Bytes per packet as captured.
    public var bytesPerPacket: Double
    /// Bytes per packet on the wire, including everything around a frame.
    public var wireBytesPerPacket: Double
    /// Packets per second of the recording itself; without ``hasDuration`` as many as its ports carry.
    public var ownRate: Double
    /// The packets have more than one stamp, so that they came at a rate.
    public var hasDuration: Bool
    /// Recorded items that elements dropped, the same in every placement.
    public var elementDrops: [(element: String, reason: String, count: UInt64)]
    /// Elements with state shared between flows: their behaviour is that for the recording alone, not for merged copies of it.
    public var sharedState: [String]

    /// The facts about a scorer's recording.
    package init(_ scorer: Scorer) { self.init(scorer.recording, scorer.traffic) }

    init(_ recording: Recording, _ traffic: Traffic) {
        packets = recording.packets
        isPrefix = recording.isPrefix
        bytesPerPacket = Double(recording.bytes) / Double(recording.packets)
        wireBytesPerPacket = Double(traffic.wireBytes) / Double(recording.packets)
        ownRate = traffic.ownRate
        hasDuration = recording.span.length > 0
        elementDrops = recording.elementDrops
        sharedState = recording.spec.nodes.filter { [.order, .clock].contains($0.type.depends) }.map(\.name)
    }
}

extension GraphSpec {
    /// All elements on the host that can be.
    public var allHost: Placement { extreme("all-host", .host) }

    /// All elements on the NIC that can be.
    public var allNIC: Placement { extreme("all-nic", .nic) }

    private func extreme(_ name: String, _ side: Side) -> Placement {
        var sides = nodes.map { $0.isWire ? .nic : $0.pin?.side ?? side }
        // A set to be kept together goes where one of its members must be.
        for set in together {
            if let pinned = set.first(where: { nodes[$0].pin != nil }) {
                for member in set { sides[member] = sides[pinned] }
            }
        }
        return Placement(name: name, sides: sides)
    }
}
