// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// What the model says of one placement.
public struct PlacementResult: Sendable {
    /// The placement's name.
    public var name: String
    /// For each node of the graph the side it is on.
    public var sides: [Side]
    /// The largest fixed rate of packets per second at which nothing was dropped, to 0.1 %.
    ///
    /// It is never above what the busiest resource can serve in the long run, even where a short run would fit in
    /// queues.
    public var sustainableRate: Int
    /// What gave way at a rate just above; nil when the busiest resource was full before anything was dropped.
    public var firstDrop: Outcome.Drop?
    /// How busy each resource is at the sustainable rate, 0 to 1, the busiest first.
    public var utilisation: [(resource: Resource, share: Double)]
    /// The load at which latency was measured.
    public var load: OfferedLoad
    /// Latency at that load, in picoseconds; nil when no packet came through.
    public var latency: Percentiles?
    /// Items lost at that load, by reason; those that did not occur are left out.
    public var drops: [(reason: Outcome.Drop, count: UInt64)]
    /// Packets that were offered at that load, and those of which nothing was lost.
    public var packets: (offered: UInt64, completed: UInt64)
    /// Core cycles per packet of which nothing was lost on the way to the host.
    public var hostCyclesPerPacket: Double
    /// Core cycles on the NIC per packet that its cores took.
    public var nicCyclesPerPacket: Double
    /// What crosses per packet that the NIC's cores took.
    public var toHost: Crossing
    /// What crosses to the NIC per packet of which nothing was lost on the way to the host.
    public var toNIC: Crossing

    /// The resource that is busiest at the sustainable rate.
    public var bottleneck: Resource { utilisation[0].resource }

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
        /// Bytes of items, without descriptors and headers of the link.
        public var bytes: Double
        /// Starts of transfers.
        public var transfers: Double
    }
}

/// What can be busy.
public enum Resource: String, Sendable, CaseIterable {
    case mac = "MAC"
    case nicCores = "NIC cores"
    case nicThreads = "NIC threads"
    case nicMemory = "NIC memory"
    case hostCores = "host cores"
    case hostThreads = "host threads"
    case hostMemory = "host memory"
    /// Bytes from the NIC to the host, requests of reads included.
    case linkToHost = "to-host link"
    /// Bytes from the host to the NIC, doorbells included.
    case linkToNIC = "to-NIC link"
    /// Starts of transfers.
    case issueToHost = "to-host transfers"
    case issueToNIC = "to-NIC transfers"
    /// Transfers under way.
    case inFlightToHost = "to-host transfers in flight"
    case inFlightToNIC = "to-NIC transfers in flight"
}

/// Several placements of one graph on one device, under the same packets.
public struct Comparison: Sendable {
    /// In the order given.
    public var results: [PlacementResult]
    /// The placement the others are held against: `host-only` where there is one, else the first.
    public var baseline: Int
    /// By sustainable rate, the best first.
    public var ranking: [Int]
    /// One sentence: which is best, or that the best two cannot be told apart.
    public var verdict: String
    /// The best two differ by less than ``resolution``.
    public var isTie: Bool
    /// Packets recorded, and whether the capture went on after them.
    public var recordedPackets: Int
    /// The capture went on after the packets recorded.
    public var isPrefix: Bool
    /// What elements dropped of the recorded items, the same in every placement.
    public var elementDrops: [(element: String, reason: String, count: UInt64)]
    /// Bytes per packet on the wire, of those recorded.
    public var bytesPerPacket: Double

    /// Rates that differ by less than this share are not told apart. The search itself resolves 0.1 %; the best
    /// published model of a real NIC of this kind is off by up to 1.7 % (Krude et al., CoNEXT 2021), but part of that
    /// error is common to the placements compared, so 1 % is taken.
    public static let resolution = 0.01

    /// How a comparison is made.
    public struct Options: Sendable {
        /// Packets for each measurement; the recording is repeated as often as needed.
        public var packets = 200_000
        /// Visits of elements recorded at most.
        public var recordLimit = Recording.defaultLimit
        /// The load at which latency is measured; nil for half the sustainable rate of the
        /// slowest placement.
        public var load: OfferedLoad?
        public init() {}
    }

    /// Runs the graph once and scores the recorded work in each placement.
    ///
    /// `makeInstance` gives the graph ready to run, its wires bound. Throws ``ModelError`` when a placement is not
    /// possible, and what running the graph throws.
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

    /// Scores a recording in each placement; `progress` is told now and then how far that is.
    public init(
        _ recording: Recording,
        _ placements: [GraphSpec.Placement],
        _ profile: DeviceProfile,
        _ options: Options = Options(),
        progress: (ModelStep) -> Void = { _ in }
    ) throws {
        guard recording.packets > 0 else { throw ModelError.noPackets }
        let scorers = try placements.map { placement in
            try checkPlacement(recording.spec, placement.sides)
            try profile.checkCapacity(recording.spec, recording.shape, placement.sides)
            return Scorer(
                recording,
                try Routes(recording.spec, recording.shape, placement.sides),
                profile,
                packets: max(1, options.packets)
            )
        }
        let capacities = try scorers.enumerated().map { k, scorer in
            try scorer.search { progress(.scoring(placement: k + 1, of: scorers.count)) }
        }
        let load = options.load ?? .rate(max(1, (capacities.map(\.rate).min() ?? 0) / 2))
        results = try zip(zip(placements, scorers), capacities).map { pair, capacity in
            try pair.1.result(pair.0, capacity, load)
        }
        baseline = placements.firstIndex { $0.name == "host-only" } ?? 0
        let results = results
        ranking = results.indices.sorted {
            (results[$1].sustainableRate, $0) < (results[$0].sustainableRate, $1)
        }
        recordedPackets = recording.packets
        isPrefix = recording.isPrefix
        elementDrops = recording.elementDrops
        bytesPerPacket = Double(recording.bytes) / Double(recording.packets)
        (isTie, verdict) = Comparison.judge(results, ranking, baseline)
    }

    private static func judge(_ results: [PlacementResult], _ ranking: [Int], _ baseline: Int) -> (Bool, String) {
        guard ranking.count > 1 else { return (false, "there is only one placement") }
        let (best, second) = (results[ranking[0]], results[ranking[1]])
        let (high, low) = (Double(best.sustainableRate), Double(second.sustainableRate))
        if high - low < resolution * high || high == 0 {
            return (
                true,
                "'\(best.name)' and '\(second.name)' differ by less than the model can tell "
                    + "(\(tenths(resolution * 100)) % of the rate)"
            )
        }
        let base = results[baseline]
        if ranking[0] == baseline {
            return (
                false,
                "'\(best.name)' sustains the highest rate, "
                    + "\(tenths((high / max(low, 1) - 1) * 100)) % above '\(second.name)'"
            )
        }
        return (
            false,
            "'\(best.name)' sustains the highest rate, "
                + "\(tenths(high / max(Double(base.sustainableRate), 1))) times that of '\(base.name)'"
        )
    }

    /// A number with one digit behind the point.
    private static func tenths(_ x: Double) -> String {
        let n = Int((x * 10).rounded())
        return "\(n / 10).\(abs(n % 10))"
    }
}

/// Scores one placement.
private struct Scorer {
    let recording: Recording
    let routes: Routes
    let profile: DeviceProfile
    let packets: Int

    init(_ recording: Recording, _ routes: Routes, _ profile: DeviceProfile, packets: Int) {
        self.recording = recording
        self.routes = routes
        self.profile = profile
        self.packets = packets
    }

    struct Capacity {
        var rate: Int
        var firstDrop: Outcome.Drop?
        /// Packets per second each resource can serve.
        var limits: [(resource: Resource, rate: Double)]
    }

    /// Finds the largest rate without a drop; calls `progress` before each replay.
    func search(progress: () -> Void) throws -> Capacity {
        progress()
        // Far below any limit: what the work costs each resource. Interrupts, which cost less per item the more there
        // are, are left out; the search finds what they take.
        var idle = profile
        idle.channel.notification = .polling
        var work = try recording.replay(routes, idle, .rate(1_000), packets)
        // Slow devices lose packets at that rate already.
        if firstDrop(work) != nil { work = try recording.replay(routes, idle, .rate(1), packets) }
        let limits = limits(work)
        let bound = limits.map(\.rate).min() ?? 0
        var capacity = Capacity(rate: 0, firstDrop: nil, limits: limits)
        // With drops at no load at all there is no rate to look for.
        if let drop = firstDrop(work) {
            capacity.firstDrop = drop
            return capacity
        }
        progress()
        var high = max(1, Int(min(bound, 1e12)))
        guard let drop = firstDrop(try recording.replay(routes, profile, .rate(high), packets)) else {
            capacity.rate = high
            return capacity
        }
        capacity.firstDrop = drop
        var low = 0
        while high - low > max(1, high / 1000) {
            progress()
            let middle = low + (high - low) / 2
            if let drop = firstDrop(try recording.replay(routes, profile, .rate(max(1, middle)), packets)) {
                high = middle
                capacity.firstDrop = drop
            } else {
                low = middle
            }
        }
        capacity.rate = low
        return capacity
    }

    private func firstDrop(_ outcome: Outcome) -> Outcome.Drop? {
        Outcome.Drop.allCases.first { outcome.drops[$0.rawValue] > 0 }
    }

    /// What each resource can serve, from how long it was busy for the packets of a run.
    private func limits(_ run: Outcome) -> [(resource: Resource, rate: Double)] {
        let offered = Double(run.offered)
        var limits: [(resource: Resource, rate: Double)] = []
        func add(_ resource: Resource, _ busy: Double) {
            if busy > 0 { limits.append((resource, offered * Double(picosecondsPerSecond) / busy)) }
        }
        func addExecutor(
            _ side: ExecutorProfile,
            _ tally: Outcome.ExecutorTally,
            _ cores: Resource,
            _ threads: Resource,
            _ memory: Resource
        ) {
            let total = tally.busy.reduce(0) { $0 + Double($1) }
            // A shared queue spreads work evenly when there is enough of it; a hash does not.
            let busiest = side.dispatch == .shared ? total / Double(side.cores) : Double(tally.busy.max() ?? 0)
            add(cores, busiest)
            if tally.waited > 0 { add(threads, (total + Double(tally.waited)) / Double(side.cores * side.threads)) }
            add(memory, Double(tally.memoryBusy))
        }
        addExecutor(profile.nic, run.nic, .nicCores, .nicThreads, .nicMemory)
        addExecutor(profile.host, run.host, .hostCores, .hostThreads, .hostMemory)
        add(.mac, Double(run.macBusy))
        add(.linkToHost, Double(run.linkUpBusy))
        add(.linkToNIC, Double(run.linkDownBusy))
        let channel = profile.channel
        add(.issueToHost, Double(run.toHost.transfers) * Double(channel.toHost.issueInterval))
        add(.issueToNIC, Double(run.toNIC.transfers) * Double(channel.toNIC.issueInterval))
        if let n = channel.toHost.inFlight { add(.inFlightToHost, Double(run.toHost.latencies) / Double(n)) }
        if let n = channel.toNIC.inFlight { add(.inFlightToNIC, Double(run.toNIC.latencies) / Double(n)) }
        return limits
    }

    func result(_ placement: GraphSpec.Placement, _ capacity: Capacity, _ load: OfferedLoad) throws -> PlacementResult {
        let run = try recording.replay(routes, profile, load, packets)
        // Under overload nobody works on most packets, so what a packet costs is taken of those that got there. An item lost
        // is a packet lost at most, and a packet of which nothing was lost got everywhere.
        func served(lostBefore drops: [Outcome.Drop]) -> Double {
            let lost = drops.reduce(0) { $0 + run.drops[$1.rawValue] }
            return Double(max(run.completed, run.offered - min(run.offered, lost), 1))
        }
        let onNIC = served(lostBefore: [.macRate, .nicQueueFull])
        let onHost = served(lostBefore: Outcome.Drop.allCases)
        func cycles(_ side: ExecutorProfile, _ tally: Outcome.ExecutorTally, _ packets: Double) -> Double {
            let busy = tally.busy.reduce(0) { $0 + Double($1) }
            return busy * Double(side.clock) / Double(picosecondsPerSecond) / packets
        }
        func crossing(_ tally: Outcome.DirectionTally, _ packets: Double) -> PlacementResult.Crossing {
            .init(bytes: Double(tally.bytes) / packets, transfers: Double(tally.transfers) / packets)
        }
        let utilisation = capacity.limits.enumerated()
            .map { (place: $0, resource: $1.resource, share: min(1, Double(capacity.rate) / $1.rate)) }
            .sorted { ($1.share, $0.place) < ($0.share, $1.place) }
            .map { (resource: $0.resource, share: $0.share) }
        return PlacementResult(
            name: placement.name,
            sides: placement.sides,
            sustainableRate: capacity.rate,
            firstDrop: capacity.firstDrop,
            utilisation: utilisation,
            load: load,
            latency: run.percentiles,
            drops: Outcome.Drop.allCases.filter { run.drops[$0.rawValue] > 0 }.map { ($0, run.drops[$0.rawValue]) },
            packets: (run.offered, run.completed),
            hostCyclesPerPacket: cycles(profile.host, run.host, onHost),
            nicCyclesPerPacket: cycles(profile.nic, run.nic, onNIC),
            toHost: crossing(run.toHost, onNIC),
            toNIC: crossing(run.toNIC, onHost)
        )
    }
}

extension Outcome {
    /// Latency of half, 99 % and 99.9 % of packets, in picoseconds; nil when no packet came through.
    public var percentiles: PlacementResult.Percentiles? {
        guard completed > 0 else { return nil }
        func at(_ percent: Double) -> Int64 { Int64(latency.valueAtPercentile(percent)) }
        return .init(p50: at(50), p99: at(99), p999: at(99.9))
    }
}

extension DeviceProfile {
    /// Throws when the state of elements does not fit where they are placed.
    public func checkCapacity(_ spec: GraphSpec, _ shape: GraphShape, _ sides: [Side]) throws(ModelError) {
        for side in Side.allCases {
            var bytes = 0
            var flows = 0
            for (number, node) in spec.nodes.enumerated() where sides[number] == side {
                let table =
                    node.element.flowCapacity ?? shape.table(of: number).flatMap { spec.nodes[$0].element.flowCapacity }
                let (state, overflow) = node.type.stateBytesPerFlow.multipliedReportingOverflow(by: table ?? 0)
                let (sum, tooMuch) = bytes.addingReportingOverflow(state)
                bytes = overflow || tooMuch ? .max : sum
                if let memory = executor(side).memory, bytes > memory {
                    throw .badPlacement(
                        element: node.name,
                        reason: "does not fit: state on the \(side.rawValue) would take \(bytes) bytes of \(memory)"
                    )
                }
                guard let own = node.element.flowCapacity else { continue }
                flows = flows.addingReportingOverflow(own).overflow ? .max : flows + own
                if let limit = executor(side).flows, flows > limit {
                    throw .badPlacement(
                        element: node.name,
                        reason:
                            "does not fit: flow tables on the \(side.rawValue) would take \(flows) entries of \(limit)"
                    )
                }
            }
        }
    }
}
