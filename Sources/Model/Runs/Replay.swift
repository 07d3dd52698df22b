// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

extension Recording {
    /// Replays the recorded work on a device in a placement, under a load of copies of the recording, until about `packets`
    /// have arrived.
    ///
    /// The traffic never ends: a copy that ends is followed by another, and those that began before the first packet of the
    /// replay are already under way. So the cost per packet does not depend on their number, and only queues need to warm up.
    public func replay(
        placement sides: [Side],
        profile: DeviceProfile,
        load: OfferedLoad,
        packets: Int
    ) throws -> Outcome {
        guard self.packets > 0 else { throw ModelError.noPackets }
        try checkPlacement(spec, sides, profile)
        let routes = try Routes(spec, shape, sides, profile)
        return try replay(routes, profile, Traffic(self, profile.mac), load, packets)
    }

    func replay(
        _ routes: Routes,
        _ profile: DeviceProfile,
        _ traffic: Traffic,
        _ load: OfferedLoad,
        _ packets: Int,
        shouldStop: StopQuestion? = nil
    ) throws -> Outcome {
        let schedule = traffic.schedule(load)
        let wanted = try howMany(packets, schedule)
        let work = ReplayedWork(self, routes.sides, profile, traffic, schedule, wanted)
        var simulation = Simulation(work, spec, routes, profile)
        simulation.shouldStop = shouldStop
        simulation.run()
        if simulation.wasStopped { throw ModelError.stopped }
        return simulation.result
    }

    /// About the number of packets wanted, fewer if each causes very much work.
    ///
    /// Of a short recording these are whole windows, so that the cost per packet does not depend on how many are wanted; and
    /// they end before the latest virtual time, since all arrivals after it would come at once.
    func howMany(_ wanted: Int, _ schedule: Schedule) throws(ModelError) -> Int {
        let affordable = max(1, min(wanted, Recording.mostReplayed / max(1, visits.count / packets)))
        let possible = Int(latestTime / 2 / schedule.window)
        if possible == 0 { throw .tooSlow }
        let windows = min(affordable / packets, possible)
        return windows == 0 ? affordable : windows * packets
    }

    /// The approximate maximum of visits in one replay: loops can make hundreds per packet.
    private static let mostReplayed = 4_000_000

    /// The work of a recorded run.
    struct ReplayedWork: Work, ~Copyable {
        private let recording: Recording
        private var visits: RecordedVisits
        var children: UnsafeMutablePointer<Child> { visits.children }
        var holds: Bool { visits.holds }
        /// So many that they are no limit: the cores are.
        let mostCalls = 1 << 16

        private let wanted: Int
        private var arrived = 0
        private var arrivals: Arrivals
        /// The root after that of the last arrival: calls from here on belong to it.
        private var cursor = 0
        private var copy: Int64 = 0
        private(set) var nextArrival: Int64 = .max
        let nextTimer = Int64.max

        init(
            _ recording: Recording,
            _ sides: [Side],
            _ profile: DeviceProfile,
            _ traffic: Traffic,
            _ schedule: Schedule,
            _ wanted: Int
        ) {
            self.recording = recording
            visits = RecordedVisits(recording, sides, profile)
            self.wanted = wanted
            var packets: [(number: Int32, time: Int64)] = []
            packets.reserveCapacity(traffic.times.count)
            for (number, root) in recording.roots.enumerated() where root.isPacket {
                packets.append((Int32(number), traffic.times[packets.count]))
            }
            arrivals = Arrivals(packets, schedule, period: traffic.period)
            plan()
        }

        private mutating func plan() { nextArrival = arrived < wanted ? arrivals.next.time : .max }

        mutating func arrive() -> (job: Job, key: UInt32, time: Int64)? {
            let arrival = arrivals.next
            let root = recording.roots[Int(arrival.number)]
            arrived += 1
            cursor = Int(arrival.number) + 1
            copy = arrival.copy
            if arrived < wanted { arrivals.advance() }
            plan()
            var job = Job()
            job.kind = .arrival
            job.ref = root.visit
            job.node = root.node
            job.length = recording.visits[Int(root.visit)].length
            job.headers = recording.visits[Int(root.visit)].headers
            return (job, key(root.key), 0)
        }

        /// The key of a flow in the current copy: each copy uses the next entry of the table by which a hash selects a core, so
        /// that many copies load all cores alike.
        private func key(_ key: UInt32) -> UInt32 {
            if copy == 0 { return key }
            let number = UInt32(truncatingIfNeeded: copy)
            var entry: UInt32 = key &>> 16
            entry = (entry &+ number) & 0xffff
            let spread: UInt32 = number &* 0x9e37_79b0
            let rest: UInt32 = (key ^ spread) & 0xffff
            return (entry &<< 16) | rest
        }

        mutating func reachTimer(_ time: Int64) {}
        let awaitsSending = false
        mutating func sent(_ job: Job, at time: Int64) {}

        mutating func beginService() {}
        // A slow path is never replayed.
        let awaited: Int64 = -1
        mutating func takeMarker() -> Int64? { nil }

        mutating func visit(_ job: UnsafePointer<Job>, _ cost: inout Cost) -> Int {
            visits.visit(job.pointee.ref, &cost)
        }

        mutating func abandon(_ job: Job) {}

        mutating func nextControl(watermark: Int64, newest: Int64, isBusy: Bool) -> Control? {
            guard cursor < recording.roots.count, !recording.roots[cursor].isPacket else { return nil }
            let root = recording.roots[cursor]
            cursor += 1
            return Control(
                node: root.node,
                first: root.visit,
                count: root.count,
                key: key(root.key),
                time: 0,
                // Its effects are known, so it need not wait until all before it is done, as a call of elements must.
                after: -1
            )
        }

        func call(_ k: Int32) -> (ref: Int32, node: Int32) { (k, visits.node(k)) }

        mutating func done(_ control: Control) {}
    }
}

/// The visits of a recording, made again: what they cost on each side, and what they released.
struct RecordedVisits: ~Copyable {
    private let recording: Recording
    /// The cost of each recorded count on each side.
    private let nicCosts: [Cost]
    private let hostCosts: [Cost]
    private let isHost: [Bool]
    private var buffer = Block(256, Child(ref: 0, edge: 0, length: 0, headers: 0, isSame: true, order: Order()))
    /// The number of the first visit.
    private let base: Int32
    /// The last visit held its item.
    private(set) var holds = false
    /// The items that the last visit released.
    var children: UnsafeMutablePointer<Child> { buffer.base }

    /// Their numbers begin with `base`.
    init(_ recording: Recording, _ sides: [Side], _ profile: DeviceProfile, base: Int32 = 0) {
        self.recording = recording
        self.base = base
        nicCosts = recording.costs(CostTable(profile.nic))
        hostCosts = recording.costs(CostTable(profile.host))
        isHost = sides.map { $0 == .host }
    }

    /// The element of a visit.
    func node(_ ref: Int32) -> Int32 { recording.visits[Int(ref &- base)].node }

    /// Makes a visit; returns the number of ``children``, and adds its cost.
    @inline(__always)
    mutating func visit(_ ref: Int32, _ cost: inout Cost) -> Int {
        let visit = recording.visits[Int(ref &- base)]
        let own = isHost[Int(visit.node)] ? hostCosts[Int(visit.counts)] : nicCosts[Int(visit.counts)]
        cost.compute &+= own.compute
        cost.wait &+= own.wait
        cost.accesses &+= own.accesses
        holds = visit.traits.contains(.holds)
        var n = 0
        var child = visit.firstChild
        while child >= 0 {
            if n == buffer.capacity { buffer.grow(to: 2 * n) }
            let next = recording.visits[Int(child)]
            buffer[n] = Child(
                ref: child &+ base,
                edge: next.edge,
                length: next.length,
                headers: next.headers,
                isSame: next.traits.contains(.same),
                isReleased: next.traits.contains(.released),
                order: Order(a: UInt64(next.turn))
            )
            n += 1
            child = next.nextSibling
        }
        return n
    }
}

extension Recording {
    /// The cost of each distinct count.
    fileprivate func costs(_ table: borrowing CostTable) -> [Cost] {
        let width = Operation.allCases.count
        return (0..<counts.count / width).map { index in
            var counted: [OperationCount] = []
            for k in 0..<width {
                counted.append(OperationCount(operation: Int32(k), count: UInt64(counts[index * width + k])))
            }
            var cost = Cost()
            table.add(&cost, counted, width)
            return cost
        }
    }
}
