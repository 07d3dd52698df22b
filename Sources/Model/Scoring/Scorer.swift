// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// A placement that can be modelled, with its demand on each resource.
package struct Candidate: Sendable {
    /// For each node of the graph its side.
    package let sides: [Side]
    let routes: Routes
    let footprint: Footprint
    let demand: Demand
    /// Packets per second at which no resource is too slow: no placement sustains more than its bound.
    package let bound: Double
    /// Host core cycles per packet.
    package let hostCycles: Double
    /// Bytes that cross per packet, both ways, including descriptors.
    package let dmaBytes: Double
    /// Elements on the NIC, excluding wires.
    package let nicElements: Int
}

/// Scores placements of one recording on one device.
package struct Scorer: Sendable {
    /// The recorded run.
    package let recording: Recording
    /// The device.
    package let profile: DeviceProfile
    let traffic: Traffic
    let tariff: Tariff
    private let summary: WorkSummary
    /// Packets per replay.
    private let packets: Int
    /// Ends a replay, which then throws ``ModelError/stopped``.
    private let shouldStop: StopQuestion?

    /// Sums up the recording; `packets` is the approximate length of each replay.
    package init(_ recording: Recording, _ profile: DeviceProfile, packets: Int, shouldStop: StopQuestion? = nil) {
        self.recording = recording
        self.profile = profile
        traffic = Traffic(recording, profile.mac)
        tariff = Tariff(profile)
        summary = WorkSummary(recording, profile.channel.link)
        self.packets = max(1, packets)
        self.shouldStop = shouldStop
    }

    /// Computes a placement's demand; throws the reason if it cannot be modelled.
    package func candidate(_ sides: [Side]) throws(ModelError) -> Candidate {
        try checkPlacement(recording.spec, sides, profile)
        let routes = try Routes(recording.spec, recording.shape, sides, profile)
        let footprint = Footprint(recording, routes)
        if let misfit = footprint.misfit(profile) {
            throw .badPlacement(element: recording.spec.nodes[misfit.node].name, reason: misfit.reason)
        }
        let demand = summary.demand(routes)
        return Candidate(
            sides: sides,
            routes: routes,
            footprint: footprint,
            demand: demand,
            bound: tariff.bound(demand),
            hostCycles: tariff.hostCycles(demand),
            dmaBytes: (tariff.writes(demand).bytes + tariff.reads(demand).bytes) / demand.packets,
            nicElements: zip(recording.spec.nodes, sides).count { !$0.isWire && $1 == .nic }
        )
    }

    /// The highest rate that a placement sustains.
    package struct Capacity: Sendable {
        /// Packets per second.
        package var rate: Int
        /// The queue that overflows in bursts just above it, before any resource is full; nil if a resource is full.
        package var firstDrop: Outcome.Drop?
    }

    /// The reason a rate is too high.
    private enum Excess {
        case drop(Outcome.Drop)
        /// More of a resource would be needed than exists, though no queue is long enough to show it.
        case demand
    }

    /// Packets of a run that tries a rate: no fewer than those of one that gives latency, so that no report shows a loss at a rate that it
    /// calls sustainable.
    private var tried: Int { max(packets, min(2 * packets, Schedule.pattern * recording.packets)) }

    /// Lower rates that are tried as well if a slow path crosses the channel and the bound is not reached, in per cent below. The longer packets wait the more of them
    /// take it, so a backlog feeds itself: a run at one rate may come to its end without a loss, and one at a lower rate not.
    private static let below = [8, 4, 2, 1]

    /// Finds the highest rate without a drop, to 0.1 %; calls `progress` before each replay.
    package func capacity(_ candidate: Candidate, progress: () throws -> Void = {}) throws -> Capacity {
        func excess(_ rate: Int) throws -> Excess? {
            try progress()
            let hasSlowPath = candidate.routes.hasSlowPath
            // A shorter run is nearly the beginning of a longer one: what it loses is lost there too.
            let lengths = hasSlowPath && tried > 4 * recording.packets ? [tried / 4, tried] : [tried]
            for length in lengths {
                let run = try self.run(candidate, .rate(rate), length)
                if let drop = Outcome.Drop.allCases.first(where: { run.drops[$0.rawValue] > 0 }) { return .drop(drop) }
                // The demand of packets on a slow path depends on the rate; that of others is in the bound.
                if length == tried, hasSlowPath, shares(candidate, run, rate).contains(where: { $0.1 > 1 }) {
                    return .demand
                }
            }
            return nil
        }
        // The rates that lost nothing, and the least that is too high.
        var good: [Int] = []
        var excessive: (rate: Int, reason: Excess)?
        func passes(_ rate: Int) throws -> Bool {
            if let excessive, rate >= excessive.rate { return false }
            if good.contains(rate) { return true }
            if let reason = try excess(rate) {
                excessive = (rate, reason)
                good.removeAll { $0 > rate }
                return false
            }
            good.append(rate)
            return true
        }
        // Endless copies of a recording ask no resource for more than its share, so if nothing overflows on the way there, the
        // bound is the rate. If not, it usually is nearly that.
        let full = max(1, Int(min(candidate.bound, 1e12)))
        let step = max(1, full / 1_000)
        if try !passes(full), full > step { _ = try passes(full - step) }
        var low = 0
        var isSure = false
        while !isSure {
            low = good.max() ?? 0
            while let high = excessive?.rate, high - low > step {
                let middle = low + (high - low) / 2
                if try passes(middle) { low = middle }
            }
            isSure =
                try !candidate.routes.hasSlowPath || excessive == nil || low == 0
                || Scorer.below.allSatisfy { try passes(max(1, low - low * $0 / 100)) }
        }
        guard low < full - step, case .drop(let drop)? = excessive?.reason else { return Capacity(rate: low) }
        return Capacity(rate: low, firstDrop: drop)
    }

    /// The share of time for which each resource is busy in a run at this rate. That of ports is known exactly: they carry a packet once,
    /// whichever way it takes.
    private func shares(_ candidate: Candidate, _ run: Outcome, _ rate: Int) -> [(Resource, Double)] {
        let known = tariff.limits(candidate.demand).filter { [.portRx, .portTx].contains($0.resource) }
        return tariff.shares(run, rate).map { resource, share in
            (resource, known.first { $0.resource == resource }.map { Double(rate) / $0.rate } ?? share)
        }
    }

    /// Latency at a load; nil if no packet comes through.
    package func latency(_ candidate: Candidate, _ load: OfferedLoad) throws -> PlacementResult.Percentiles? {
        try run(candidate, load, packets).percentiles
    }

    /// A run of about this many packets: a replay, or, with a slow path across the channel, a run of the elements themselves.
    private func run(_ candidate: Candidate, _ load: OfferedLoad, _ packets: Int) throws -> Outcome {
        try run(candidate, profile, load, packets).outcome
    }

    private func run(
        _ candidate: Candidate,
        _ profile: DeviceProfile,
        _ load: OfferedLoad,
        _ packets: Int
    ) throws -> (outcome: Outcome, metMidway: Int64, bits: Int) {
        if shouldStop?() == true { throw ModelError.stopped }
        guard candidate.routes.hasSlowPath, let live = recording.live else {
            let outcome = try recording.replay(
                candidate.routes,
                profile,
                traffic,
                load,
                packets,
                shouldStop: shouldStop
            )
            return (outcome, 0, 0)
        }
        let schedule = traffic.schedule(load)
        var wanted = try recording.howMany(packets, schedule)
        // Each packet comes equally often in whole patterns of windows.
        let pattern = Schedule.pattern * recording.packets
        if wanted > pattern { wanted -= wanted % pattern }
        let result = try live.run(
            recording,
            candidate.routes,
            profile,
            traffic,
            schedule,
            packets: wanted,
            shouldStop: shouldStop
        )
        return (result.outcome, result.metMidway, result.bits)
    }

    /// Latency if packets are so rare that none waits for another; no load has a lower one.
    package func unloadedLatency(_ candidate: Candidate, packets: Int) throws -> PlacementResult.Percentiles? {
        try unloadedLatency(candidate, profile, packets)
    }

    /// Unloaded latency on a device with other numbers.
    package func unloadedLatency(
        _ candidate: Candidate,
        _ variant: Variant,
        packets: Int
    ) throws -> PlacementResult.Percentiles? {
        try unloadedLatency(candidate, variant.profile, packets)
    }

    private func unloadedLatency(
        _ candidate: Candidate,
        _ profile: DeviceProfile,
        _ packets: Int
    ) throws -> PlacementResult.Percentiles? {
        // Interrupts that wait for more items would make rare packets slower than those under load.
        var quick = profile
        quick.channel.interrupt?.within = 0
        return try run(candidate, quick, .rate(100), min(self.packets, packets)).outcome.percentiles
    }

    /// The device with other numbers, for bounds.
    package struct Variant: Sendable {
        let profile: DeviceProfile
        private let tariff: Tariff

        /// Computes the device's charges.
        package init(_ profile: DeviceProfile) {
            self.profile = profile
            tariff = Tariff(profile)
        }

        /// The placement does not fit.
        package func isMisfit(_ candidate: Candidate) -> Bool { candidate.footprint.misfit(profile) != nil }
        /// Packets per second at which no resource is too slow; 0 if the placement does not fit.
        package func bound(_ candidate: Candidate) -> Double {
            isMisfit(candidate) ? 0 : tariff.bound(candidate.demand)
        }
        /// Host core cycles per packet.
        package func hostCycles(_ candidate: Candidate) -> Double { tariff.hostCycles(candidate.demand) }
    }

    /// The complete result for a placement.
    package func result(
        _ name: String,
        _ candidate: Candidate,
        _ capacity: Capacity,
        _ load: OfferedLoad
    ) throws -> PlacementResult {
        let run = try run(candidate, profile, load, packets)
        let demand = candidate.demand
        // With a slow path the demand of packets depends on the load, and is measured at it.
        let full =
            candidate.routes.hasSlowPath ? try self.run(candidate, profile, .rate(max(1, capacity.rate)), tried) : nil
        // The more copies, the more bits of their clients' addresses differ.
        let copiesDoTheSame =
            try full.map {
                try recording.live?.doesTheSame(bits: max(run.bits, $0.bits), shouldStop: shouldStop) ?? true
            } ?? true
        let shares =
            full.map { self.shares(candidate, $0.outcome, capacity.rate) }
            ?? tariff.limits(demand).map { ($0.resource, Double(capacity.rate) / $0.rate) }
        let utilisation = shares.enumerated()
            .map { (place: $0, resource: $1.0, share: min(1, $1.1)) }
            .sorted { ($1.share, $0.place) < ($0.share, $1.place) }
            .map { (resource: $0.resource, share: $0.share) }
        let use = full.map { tariff.use($0.outcome) } ?? tariff.use(demand)
        let schedule = traffic.schedule(load)
        let copies = traffic.schedule(.rate(max(1, capacity.rate))).copies
        let spec = recording.spec
        return PlacementResult(
            name: name,
            sides: candidate.sides,
            profile: profile.name,
            price: profile.price,
            sustainableRate: capacity.rate,
            wireRate: Double(capacity.rate) * Double(traffic.wireBytes) * 8 / demand.packets,
            bound: candidate.bound,
            firstDrop: capacity.firstDrop,
            utilisation: utilisation,
            load: Load(
                asked: load,
                rate: schedule.rate(recording.packets),
                copies: schedule.copies,
                isLimitedByPorts: schedule.isLimitedByPorts
            ),
            copies: copies,
            flows: spec.nodes.indices.compactMap { n in
                let (counts, times) = (recording.flowCounts[n], recording.flowTimes[n])
                guard counts.most > 0, times.created > 0 else { return nil }
                // Little's law: at one time there are as many as begin in the time for which one is there.
                func flows(_ copies: Int64, _ time: Double) -> Int64 {
                    Int64(min((time / traffic.length * Double(copies)).rounded(), 9e18))
                }
                return .init(
                    table: spec.nodes[n].name,
                    side: candidate.sides[n],
                    open: flows(copies, times.open),
                    needed: times.idle.map { flows(copies, times.open + $0) },
                    neededAtLoad: times.idle.map { flows(schedule.copies, times.open + $0) },
                    stays: counts.stays,
                    room: Int64(counts.most),
                    limit: profile.executor(candidate.sides[n]).flows.map { Int64($0) }
                )
            },
            latency: run.outcome.percentiles,
            drops: Outcome.Drop.allCases.filter { run.outcome.drops[$0.rawValue] > 0 }
                .map { ($0, run.outcome.drops[$0.rawValue]) },
            packets: (run.outcome.offered, run.outcome.completed),
            hostCyclesPerPacket: use.hostCycles,
            hostCoresBusy: use.hostCycles * Double(capacity.rate) / Double(profile.host.clock),
            nicCyclesPerPacket: use.nicCycles,
            toHost: use.toHost,
            toNIC: use.toNIC,
            slowPath: full.map {
                .init(
                    share: Double($0.outcome.slowPath) / Double(max(1, $0.outcome.offered)),
                    shareAtLoad: Double(run.outcome.slowPath) / Double(max(1, run.outcome.offered)),
                    metMidway: run.metMidway,
                    copiesDoTheSame: copiesDoTheSame
                )
            }
        )
    }
}

extension Outcome {
    /// Latency of half, 99 % and 99.9 % of packets, in picoseconds; nil if no packet came through.
    public var percentiles: PlacementResult.Percentiles? {
        guard latency.totalCount > 0 else { return nil }
        func at(_ percent: Double) -> Int64 { Int64(latency.valueAtPercentile(percent)) }
        return .init(p50: at(50), p99: at(99), p999: at(99.9))
    }
}

/// A placement's use of a device's memories and tables, whatever its other numbers are.
struct Footprint: Sendable {
    /// For each side and node on it the bytes of tables, buffers and flow state, and the entries of flow tables.
    private var parts: [(side: Side, node: Int, bytes: Int, flows: Int)] = []
    /// A program is on the NIC: its buffer for parked packets is allocated, full or not.
    private let parks: Bool

    init(_ recording: Recording, _ routes: Routes) {
        parks = !routes.isPlain
        let (spec, shape) = (recording.spec, recording.shape)
        for (number, node) in spec.nodes.enumerated() where !node.isWire {
            let table =
                node.element.flowCapacity ?? shape.table(of: number).flatMap { spec.nodes[$0].element.flowCapacity }
            let (state, overflow) = node.type.stateBytesPerFlow.multipliedReportingOverflow(by: table ?? 0)
            let bytes = overflow ? Int.max : state.addingSaturating(recording.memory[number])
            parts.append((routes.sides[number], number, bytes, node.element.flowCapacity ?? 0))
        }
    }

    /// The node that does not fit on a device, and the reason; nil if all fit.
    func misfit(_ profile: DeviceProfile) -> (node: Int, reason: String)? {
        for side in Side.allCases {
            let parking = side == .nic && parks ? profile.plain.parking ?? 0 : 0
            var (bytes, flows) = (parking, 0)
            let (memory, entries) = (profile.executor(side).memory, profile.executor(side).flows)
            for part in parts where part.side == side {
                bytes = bytes.addingSaturating(part.bytes)
                flows = flows.addingSaturating(part.flows)
                if let memory, bytes > memory {
                    return (
                        part.node,
                        "does not fit: it takes \(size(part.bytes, of: memory)), and with what is before it the \(side) would need "
                            + "\(size(bytes, of: memory)) of \(size(memory, of: memory))"
                            + (parking > 0 ? ", \(size(parking, of: memory)) for parked packets included" : "")
                    )
                }
                if let entries, flows > entries {
                    return (
                        part.node,
                        "does not fit: flow tables on the \(side) would take \(flows) entries of \(entries)"
                    )
                }
            }
        }
        return nil
    }
}

/// Bytes in the unit that suits `whole`, with one decimal place, rounded up.
private func size(_ bytes: Int, of whole: Int) -> String {
    let (unit, name) = whole < 10 << 20 ? (whole < 10 << 10 ? (1.0, "B") : (1_024.0, "KiB")) : (1_048_576.0, "MiB")
    let tenths = Int((min(Double(bytes), 1e17) * 10 / unit).rounded(.up))
    return unit == 1 ? "\(bytes) B" : "\(tenths / 10).\(tenths % 10) \(name)"
}

extension Int {
    fileprivate func addingSaturating(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
