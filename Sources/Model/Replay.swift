// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

extension Recording {
    /// Puts the recorded work on a device in a placement, under a load of copies of the recording, until about `packets` have
    /// arrived.
    ///
    /// The traffic goes on for ever: a copy that ends is followed by another one, and those that began before the first packet of the
    /// replay are under way when it begins. So a packet costs the same however many there are, and nothing has to warm up but queues.
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
        _ packets: Int
    ) throws -> Outcome {
        let schedule = traffic.schedule(load)
        let wanted = try howMany(packets, schedule)
        let work = ReplayedWork(self, routes.sides, profile, traffic, schedule, wanted)
        var simulation = Simulation(work, spec, routes, profile)
        simulation.run()
        return simulation.result
    }

    /// About as many packets as wanted, fewer where each leads to very much work.
    ///
    /// Of a short recording these are whole windows, so that what a packet costs does not depend on how many are wanted; and they end
    /// before the latest virtual time, since all arrivals after it would come at once.
    private func howMany(_ wanted: Int, _ schedule: Schedule) throws(ModelError) -> Int {
        let affordable = max(1, min(wanted, Recording.mostReplayed / max(1, visits.count / packets)))
        let possible = Int(latestTime / 2 / schedule.window)
        if possible == 0 { throw .tooSlow }
        let windows = min(affordable / packets, possible)
        return windows == 0 ? affordable : windows * packets
    }

    /// Visits of elements in one replay at most, about: loops can make hundreds for each packet.
    private static let mostReplayed = 4_000_000

    /// The work is that of a recorded run.
    struct ReplayedWork: Work, ~Copyable {
        private let recording: Recording
        private let traffic: Traffic
        private let schedule: Schedule
        /// For each of the recorded counts its cost on each side.
        private let nicCosts: [Cost]
        private let hostCosts: [Cost]
        private let isHost: [Bool]
        private var buffer: Block<Child>
        var children: UnsafeMutablePointer<Child> { buffer.base }
        private(set) var holds = false
        /// So many that they are no limit: the cores are.
        let mostCalls = 1 << 16

        private let wanted: Int
        private var arrived = 0
        /// For each packet its root, the window of its copy in which it comes, and when in it.
        private let packets: [(root: Int32, window: Int, phase: Int64)]
        /// The arrivals of the window under way, in order, and which comes next.
        private var arrivals: Block<Arrival>
        private var count = 0
        private var next = 0
        /// The same before they are in order, and where each part of the window begins among those that are.
        private var unordered: [Arrival] = []
        private let parts: Block<Int32>
        /// How many of each part are in order so far.
        private let placed: Block<Int32>
        private var windows = 0
        /// The root after that of the last arrival: calls from here on belong to it.
        private var cursor = 0
        private var copy: Int32 = 0
        private(set) var nextArrival: Int64 = .max
        let nextTimer = Int64.max

        private struct Arrival: BitwiseCopyable {
            var time: Int64
            var root: Int32
            var copy: Int32
        }

        init(
            _ recording: Recording,
            _ sides: [Side],
            _ profile: DeviceProfile,
            _ traffic: Traffic,
            _ schedule: Schedule,
            _ wanted: Int
        ) {
            self.recording = recording
            self.traffic = traffic
            self.schedule = schedule
            nicCosts = recording.costs(CostTable(profile.nic))
            hostCosts = recording.costs(CostTable(profile.host))
            isHost = sides.map { $0 == .host }
            buffer = Block(256, Child(ref: 0, edge: 0, length: 0, headers: 0, isSame: true, order: Order()))
            self.wanted = wanted
            // All copies together take one window for each of them.
            let window = Int128(schedule.window)
            let slowed = window * Int128(schedule.copies)
            var packets: [(root: Int32, window: Int, phase: Int64)] = []
            packets.reserveCapacity(traffic.times.count)
            for (number, root) in recording.roots.enumerated() where root.isPacket {
                let time = Recording.slow(traffic.times[packets.count], slowed, traffic.period)
                packets.append(
                    (Int32(number), Int(truncatingIfNeeded: time / window), Int64(time % window))
                )
            }
            self.packets = packets
            arrivals = Block(2 * packets.count, Arrival(time: 0, root: 0, copy: 0))
            parts = Block(packets.count + 1, 0)
            placed = Block(packets.count, 0)
            unordered.reserveCapacity(2 * packets.count)
            fill()
        }

        /// By how much a copy begins later than its window, so that copies are not in step with each other. A pattern of a few comes
        /// again and again: a longer replay shows nothing that a shorter one does not.
        private func shift(_ copy: Int) -> Int64 {
            if schedule.copies == 1 { return 0 }
            return Int64(
                truncatingIfNeeded: mix64(UInt64(copy & (Schedule.pattern - 1)) &+ 1) % UInt64(schedule.window)
            )
        }

        /// Finds the arrivals of the next window: each packet comes once, on the average, from the copy that has come so far.
        private mutating func fill() {
            unordered.removeAll(keepingCapacity: true)
            next = 0
            let window = schedule.window
            var start: Int64 = 0
            while unordered.isEmpty {
                start = schedule.start(windows)
                for packet in packets {
                    let copy = windows &- packet.window
                    let time = packet.phase &+ shift(copy)
                    if time < window { add(packet.root, copy, time) }
                    let late = packet.phase &+ shift(copy &- 1)
                    if late >= window { add(packet.root, copy &- 1, late &- window) }
                }
                windows &+= 1
            }
            order()
            for k in 0..<count { arrivals.base[k].time = min(start &+ arrivals[k].time, latestTime) }
            plan()
        }

        private mutating func add(_ root: Int32, _ copy: Int, _ time: Int64) {
            unordered.append(Arrival(time: time, root: root, copy: Int32(truncatingIfNeeded: copy)))
        }

        /// Puts the arrivals of a window in order: into as many parts of it as there are packets, and in order within each. What comes at
        /// one time keeps the order of the recording.
        private mutating func order() {
            count = unordered.count
            let last = packets.count
            let scale = Double(last) / Double(schedule.window)
            parts.base.update(repeating: 0, count: last + 1)
            placed.base.update(repeating: 0, count: last)
            for arrival in unordered { parts.base[part(arrival.time, scale) + 1] &+= 1 }
            for k in 0..<last { parts.base[k + 1] &+= parts[k] }
            for arrival in unordered {
                let k = part(arrival.time, scale)
                let begin = Int(parts[k])
                var at = begin + Int(placed[k])
                placed[k] &+= 1
                // Parts hold few.
                while at > begin, arrivals[at - 1].time > arrival.time {
                    arrivals[at] = arrivals[at - 1]
                    at -= 1
                }
                arrivals[at] = arrival
            }
        }

        private func part(_ time: Int64, _ scale: Double) -> Int { min(Int(Double(time) * scale), packets.count - 1) }

        private mutating func plan() { nextArrival = arrived < wanted ? arrivals[next].time : .max }

        mutating func arrive() -> (job: Job, key: UInt32, time: Int64)? {
            let arrival = arrivals[next]
            let root = recording.roots[Int(arrival.root)]
            arrived += 1
            next += 1
            cursor = Int(arrival.root) + 1
            copy = arrival.copy
            if next == count, arrived < wanted { fill() } else { plan() }
            var job = Job()
            job.kind = .arrival
            job.ref = root.visit
            job.node = root.node
            job.length = recording.visits[Int(root.visit)].length
            job.headers = recording.visits[Int(root.visit)].headers
            return (job, key(root.key), 0)
        }

        /// The key of a flow in the copy under way: each copy goes to the next entry of the table by which a hash chooses a core, so
        /// that many copies load all cores alike.
        private func key(_ key: UInt32) -> UInt32 {
            if copy == 0 { return key }
            let number = UInt32(bitPattern: copy)
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
        mutating func takeMarker() -> (number: Int64, key: UInt32)? { nil }

        mutating func visit(_ job: UnsafePointer<Job>, _ cost: inout Cost) -> Int {
            let visit = recording.visits[Int(job.pointee.ref)]
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
                    ref: child,
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
                // What it does is known, so it need not wait until all before it is done, as a call of elements must.
                after: -1
            )
        }

        func call(_ k: Int32) -> (ref: Int32, node: Int32) { (k, recording.visits[Int(k)].node) }

        mutating func done(_ control: Control) {}
    }

    /// `time * slowed / period`; of recordings of many years to 15 digits.
    fileprivate static func slow(_ time: Int64, _ slowed: Int128, _ period: Int64) -> Int128 {
        let (product, overflow) = Int128(time).multipliedReportingOverflow(by: slowed)
        return overflow ? Int128(Double(time) / Double(period) * Double(slowed)) : product / Int128(period)
    }

    /// The cost of each of the different counts.
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
