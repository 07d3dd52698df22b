// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Runs of the elements themselves in the modelled machine, under the loads of a comparison.
///
/// A run begins where the copies are under way: what each has sent before has passed the elements in no time, so that they know its
/// flows.
struct LiveExperiment: Sendable {
    private let spec: GraphSpec
    private let options: Instance.Options
    private let services: any FilterServices
    let traffic: CapturedTraffic

    /// Packets that pass before a run at the most. Where copies had sent more, the earlier ones are left out.
    static let mostBefore = 4_000_000

    init(_ instance: Instance, _ traffic: CapturedTraffic) {
        spec = instance.spec
        options = instance.options
        services = QuietServices(instance.services)
        self.traffic = traffic
    }

    /// What one run came to.
    struct Result {
        var outcome: Outcome
        /// Copies whose beginning was left out: their flows were met midway.
        var metMidway: Int64
    }

    /// Runs about `packets` packets of a load in a placement.
    func run(
        _ routes: Routes,
        _ profile: DeviceProfile,
        _ times: Traffic,
        _ schedule: Schedule,
        packets: Int
    ) throws -> Result {
        let wanted = Arrivals.windows(schedule)
        let warmUp = min(wanted, max(1, LiveExperiment.mostBefore / traffic.frames.count))
        let limit = CopiedTraffic.Limit()
        var bindings: [Int: WireBinding] = [:]
        for number in spec.nodes.indices where spec.nodes[number].isWire {
            let own = traffic.frames.indices.filter { Int(traffic.frames[$0].wire) == number }
            if own.isEmpty { continue }
            bindings[number] = WireBinding(
                source: CopiedTraffic(traffic, own, times, schedule, warmUp: warmUp, limit)
            )
        }
        var options = options
        options.poolCapacity = max(options.poolCapacity ?? 0, LiveExperiment.items(profile) + heldItems)
        let instance = try Instance(spec, bindings: bindings, services: services, options: options)
        let before = DirectRuntime(instance)
        before.endsElements = false
        try before.run()
        limit.packets = packets
        var (numerator, denominator) = times.functionalTime(schedule)
        numerator *= 1_000
        while max(numerator, denominator) > Int128(1 << 62) { (numerator, denominator) = (numerator >> 1, denominator >> 1) }
        let pace = Pace.factor(numerator: Int(max(1, numerator)), denominator: Int(max(1, denominator)))
        let runtime = TimedRuntime(instance, routes, profile, pace)
        return Result(outcome: runtime.runLoad(), metMidway: Int64(wanted - warmUp))
    }

    private var heldItems: Int {
        spec.nodes.reduce(0) { min($0 + $1.element.heldItems, Instance.mostItemsHeld) }
    }

    /// Items that queues, rings and buffers of a device hold at the most, twice: the pool is no limit of the model.
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

/// Other services whose sinks keep nothing: what elements write in a trial is no result.
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
