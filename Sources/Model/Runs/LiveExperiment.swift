// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Runs of the elements themselves in the modelled machine, under the loads of a comparison.
///
/// A run begins with the copies under way: what its flows sent before has passed through the elements in no time, so that they
/// know the flows. Flow tables have room for all of them, as replays assume; the size needed is reported elsewhere.
struct LiveExperiment: Sendable {
    private let spec: GraphSpec
    private let options: Instance.Options
    private let services: any FilterServices
    private let traffic: CapturedTraffic

    /// The most packets that pass before a run. If its flows have sent more, the earliest of each are left out.
    static let mostBefore = 4_000_000

    init(_ instance: Instance, _ traffic: CapturedTraffic) {
        spec = instance.spec
        options = instance.options
        services = QuietServices(instance.services)
        self.traffic = traffic
    }

    /// The result of one run.
    struct Result {
        var outcome: Outcome
        /// Flows whose beginning was left out, so that elements met them midway.
        var metMidway: Int64
        /// Bits of addresses and ports by which its copies differ.
        var bits: Int
    }

    /// What elements did with the recorded packets.
    var recorded: [[UInt64]] = []

    /// What each element took, and what it dropped.
    static func counts(_ instance: Instance) -> [[UInt64]] {
        instance.spec.nodes.indices.map { [instance.counts($0).entered] + instance.counts($0).drops.map(\.count) }
    }

    /// Whether elements do with copies what they did with the recorded packets, whose addresses and ports differ by so many bits.
    func doesTheSame(bits: Int, shouldStop: StopQuestion? = nil) throws -> Bool {
        // Two, as one alone may differ by little.
        for copy in [Int64(1), 2] {
            var bindings: [Int: WireBinding] = [:]
            for number in spec.nodes.indices where spec.nodes[number].isWire {
                var time = Int64.min
                let arrivals = traffic.frames.indices.filter { Int(traffic.frames[$0].wire) == number }.map { k in
                    time = max(time, traffic.frames[k].time)
                    return CopiedTraffic.Arrival(time: time, number: Int32(k), copy: copy)
                }
                bindings[number] = WireBinding(
                    source: CopiedTraffic(traffic, arrivals, end: arrivals.count, bits: bits)
                )
            }
            let instance = try Instance(spec, bindings: bindings, services: services, options: options)
            try LiveExperiment.run(DirectRuntime(instance), shouldStop)
            if LiveExperiment.counts(instance) != recorded { return false }
        }
        return true
    }

    private static func run(_ runtime: DirectRuntime, _ shouldStop: StopQuestion?) throws {
        runtime.shouldStop = shouldStop
        try runtime.run()
        if shouldStop?() == true { throw ModelError.stopped }
    }

    /// Runs `packets` packets of a load in a placement; the recording has the ends of flows.
    func run(
        _ recording: Recording,
        _ routes: Routes,
        _ profile: DeviceProfile,
        _ times: Traffic,
        _ schedule: Schedule,
        packets: Int,
        shouldStop: StopQuestion? = nil
    ) throws -> Result {
        let load = Load(traffic, times, schedule, packets)
        var sources: [CopiedTraffic] = []
        var bindings: [Int: WireBinding] = [:]
        for number in spec.nodes.indices where spec.nodes[number].isWire {
            func own(_ arrivals: [CopiedTraffic.Arrival]) -> [CopiedTraffic.Arrival] {
                arrivals.filter { Int(traffic.frames[Int($0.number)].wire) == number }
            }
            let before = own(load.before)
            let source = CopiedTraffic(traffic, before + own(load.arrivals), end: before.count, bits: load.bits)
            sources.append(source)
            bindings[number] = WireBinding(source: source)
        }
        var options = options
        options.poolCapacity = max(options.poolCapacity ?? 0, LiveExperiment.items(profile) + heldItems)
        let instance = try Instance(
            spec.withRoom(for: load.flows),
            bindings: bindings,
            services: services,
            options: options
        )
        let before = DirectRuntime(instance)
        before.endsElements = false
        try LiveExperiment.run(before, shouldStop)
        for source in sources { source.goOn() }
        let owed = OwedEnds(recording, instance, routes.sides, profile)
        let runtime = TimedRuntime(instance, routes, profile, load.pace, owed: owed)
        return Result(outcome: try runtime.runLoad(shouldStop: shouldStop), metMidway: load.metMidway, bits: load.bits)
    }

    /// The packets of a load, and those that their flows sent before.
    private struct Load {
        var before: [CopiedTraffic.Arrival] = []
        var arrivals: [CopiedTraffic.Arrival] = []
        let pace: Pace
        let flows: Int
        let metMidway: Int64
        let bits: Int

        init(_ traffic: CapturedTraffic, _ times: Traffic, _ schedule: Schedule, _ packets: Int) {
            struct Flow: Hashable {
                var copy: Int64
                var key: UInt32
            }
            var numbers: [UInt32: [Int32]] = [:]
            for (number, frame) in traffic.frames.enumerated() { numbers[frame.key, default: []].append(Int32(number)) }
            var coming = Arrivals(times.times.enumerated().map { (Int32($0), $1) }, schedule, period: times.period)
            var load: [Arrivals.Arrival] = []
            var flows: Set<Flow> = []
            for _ in 0..<packets where coming.next.time < latestTime {
                load.append(coming.next)
                let key = traffic.frames[Int(coming.next.number)].key
                if key != 0 { flows.insert(Flow(copy: coming.next.copy, key: key)) }
                coming.advance()
            }
            var earlier: [Arrivals.Arrival] = []
            var metMidway: Int64 = 0
            let most = max(1, LiveExperiment.mostBefore / max(1, flows.count))
            for flow in flows {
                let own = numbers[flow.key] ?? []
                var (sent, end) = (0, own.count)
                while sent < end {
                    let middle = (sent + end) / 2
                    if coming.time(Int(own[middle]), copy: flow.copy) < 0 { sent = middle + 1 } else { end = middle }
                }
                if sent > most { metMidway += 1 }
                for number in own[..<sent].suffix(most) {
                    earlier.append(
                        .init(time: coming.time(Int(number), copy: flow.copy), number: number, copy: flow.copy)
                    )
                }
            }
            earlier.sort { ($0.time, $0.number, $0.copy) < ($1.time, $1.number, $1.copy) }
            self.metMidway = metMidway
            let copies = (load.map(\.copy).max() ?? 0) - (load.map(\.copy).min() ?? 0) + 1
            bits = max(8, min(32, Int64.bitWidth - copies.leadingZeroBitCount))
            self.flows = flows.count
            // All copies are slowed by one factor, which elements do not see.
            var (numerator, denominator) = times.functionalTime(schedule)
            let start = earlier.first?.time ?? 0
            func arrival(_ arrival: Arrivals.Arrival) -> CopiedTraffic.Arrival {
                let time = Int64(clamping: Int128(arrival.time &- start) * numerator / denominator)
                return .init(time: time, number: arrival.number, copy: arrival.copy)
            }
            before = earlier.map(arrival)
            arrivals = load.map(arrival)
            numerator *= 1_000
            while max(numerator, denominator) > Int128(1 << 62) {
                (numerator, denominator) = (numerator >> 1, denominator >> 1)
            }
            pace = .factor(numerator: Int(max(1, numerator)), denominator: Int(max(1, denominator)))
        }
    }

    private var heldItems: Int {
        spec.nodes.reduce(0) { min($0 + $1.element.heldItems, Instance.mostItemsHeld) }
    }

    /// Twice the most items that queues, rings and buffers of a device hold, so that the pool does not limit the model.
    private static func items(_ profile: DeviceProfile) -> Int {
        func queued(_ executor: ExecutorProfile) -> Int {
            let queues = executor.dispatch == .shared ? 1 : executor.cores
            return executor.queue * queues + executor.reorder.places + executor.cores * executor.threads
        }
        let ports = profile.mac.buffer + profile.mac.txQueue * profile.mac.ports
        let channel = profile.channel.toHost.ring + profile.channel.toNIC.ring + (profile.channel.control?.queue ?? 0)
        return min(2 * (queued(profile.nic) + queued(profile.host) + ports + channel) + 4_096, 1 << 20)
    }
}

extension GraphSpec {
    /// The same graph with flow tables that have room for this many flows, if they can be set.
    fileprivate func withRoom(for flows: Int) -> GraphSpec {
        var spec = self
        for (number, node) in nodes.enumerated() {
            guard let room = node.element.flowCapacity, room < flows,
                let capacity = node.element.settings.firstIndex(where: { $0.name == "capacity" })
            else { continue }
            var settings = node.element.settings.map { (name: $0.name, mark: Mark(0), value: Value.scalar($0.text, 0)) }
            settings[capacity].value = .scalar("\(flows)", 0)
            if let larger = node.type.configure(settings, at: 0).element { spec.nodes[number].element = larger }
        }
        return spec
    }
}

/// Services that discard output: what elements write in a trial is not a result.
private final class QuietServices: FilterServices {
    private let services: any Services

    init(_ services: any Services) { self.services = services }

    var filters: FilterCache? { (services as? any FilterServices)?.filters }
    var linkTypes: [UInt16] { (services as? any FilterServices)?.linkTypes ?? [] }
    func openSink(_ name: String) throws -> any ByteSink { NoSink() }
    func readFile(_ name: String, most: Int) throws -> [UInt8] { try services.readFile(name, most: most) }
    func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        try services.compileFilter(filter, linkType: linkType)
    }

    private final class NoSink: ByteSink {
        func write(_ bytes: UnsafeRawBufferPointer) {}
        func flush() {}
    }
}
