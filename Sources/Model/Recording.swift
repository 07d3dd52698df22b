// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The work of one run of a graph, which does not depend on where elements are placed: which item met which element,
/// what was counted there, and what left on which edge.
///
/// Replaying it scores any placement on any device without touching a packet again. What elements do at the end of the
/// input is spread evenly over the packets: under a steady load as many flows end as begin, and no flow waits for the end of
/// the capture to become a record.
public struct Recording: Sendable {
    /// One item at one element.
    struct Visit: BitwiseCopyable, Sendable {
        var node: Int32
        /// The edge it came by; -1 for an arrival or a call.
        var edge: Int32
        /// Which of `counts`.
        var counts: Int32 = 0
        var length: UInt32
        var firstChild: Int32 = -1
        var nextSibling: Int32 = -1
        /// Its place in the order in which visits were made.
        var turn: Int32 = 0
        var headers: UInt16
        var isSame: Bool
    }

    /// An arrival, or a call with the visits it makes.
    struct Root: BitwiseCopyable, Sendable {
        /// Functional time in nanoseconds.
        var time: Int64
        var visit: Int32
        var count: Int32
        var key: UInt32
        var node: Int32
        var isPacket: Bool
    }

    /// Packets recorded.
    public private(set) var packets = 0
    /// Bytes of those packets on the wire.
    public private(set) var bytes = 0
    /// The input went on when the recording was full: it is a prefix.
    public private(set) var isPrefix = false
    /// What elements dropped of the recorded items, wherever they are placed; in the order of the graph.
    public private(set) var elementDrops: [(element: String, reason: String, count: UInt64)] = []

    private(set) var visits: [Visit] = []
    private(set) var roots: [Root] = []
    /// The different counts of operations that occurred, each as long as there are operations.
    private(set) var counts: [UInt32] = []
    let spec: GraphSpec
    let shape: GraphShape

    /// Visits kept at most, unless told otherwise.
    public static let defaultLimit = 1_000_000

    /// Runs the sources of `instance` through its elements, up to about `limit` visits of elements.
    ///
    /// Throws ``RuntimeError`` when elements hold all items of the pool. `progress` is told now and then how far it is.
    public init(
        _ instance: Instance,
        limit: Int = Recording.defaultLimit,
        progress: (ModelStep) -> Void = { _ in }
    ) throws {
        spec = instance.spec
        shape = instance.shape
        var recorder = Recorder(instance)
        // Visits are named by 32-bit numbers.
        try recorder.run(min(max(1, limit), 1 << 30), progress)
        visits = recorder.visits
        roots = recorder.spreadRoots
        counts = recorder.table.counts
        packets = recorder.packets
        bytes = recorder.bytes
        isPrefix = recorder.isPrefix
        elementDrops = spec.nodes.indices.flatMap { number in
            let counts = instance.counts(number)
            return counts.drops.map { (counts.name, $0.reason, $0.count) }
        }
    }

    /// Functional time from the first to the last packet, and the mean distance of packets, in nanoseconds.
    var span: (length: Int64, gap: Int64) {
        let times = roots.lazy.filter(\.isPacket).map(\.time)
        guard let first = times.first, let last = roots.last(where: \.isPacket)?.time else { return (0, 1) }
        let length = last &- first
        return (length, max(1, length / Int64(max(1, packets - 1))))
    }
}

/// Makes a recording.
private struct Recorder: ~Copyable {
    private var elements: ElementCalls
    private let instance: Instance
    private(set) var visits: [Recording.Visit] = []
    private(set) var roots: [Recording.Root] = []
    private(set) var table = CountTable()
    private(set) var packets = 0
    private(set) var bytes = 0
    private(set) var isPrefix = false
    private var turns: Int32 = 0
    /// Where in `roots` the work at the end of the input begins.
    private var firstEnding = 0
    /// Visits to be made, in their order.
    private var pending: [(visit: Int32, child: Child)] = []
    private var nextPending = 0

    init(_ instance: Instance) {
        self.instance = instance
        elements = ElementCalls(instance)
    }

    mutating func run(_ limit: Int, _ progress: (ModelStep) -> Void) throws {
        try runPackets(limit, progress)
        firstEnding = roots.count
        let time = roots.last(where: \.isPacket)?.time ?? 0
        for number in instance.shape.order {
            begin(time: time, [number], at: number)
            call(.finish, roots[roots.count - 1])
            drain()
        }
    }

    /// The roots in the order of replay: those of the end of input stand evenly between the packets.
    var spreadRoots: [Recording.Root] {
        // Most elements have nothing to do at the end.
        let endings = roots[firstEnding...].filter { root in
            visits[Int(root.visit)..<Int(root.visit + root.count)].contains {
                $0.firstChild >= 0 || table.hasCounts($0.counts)
            }
        }
        var spread: [Recording.Root] = []
        spread.reserveCapacity(firstEnding + endings.count)
        var seen = 0
        var placed = 0
        var time: Int64 = 0
        func place(upTo n: Int) {
            while placed < n {
                var ending = endings[placed]
                ending.time = time
                spread.append(ending)
                placed += 1
            }
        }
        for root in roots[..<firstEnding] {
            if root.isPacket {
                place(upTo: endings.count * seen / max(1, packets))
                seen += 1
                time = root.time
            }
            spread.append(root)
        }
        place(upTo: endings.count)
        return spread
    }

    private mutating func runPackets(_ limit: Int, _ progress: (ModelStep) -> Void) throws {
        while elements.nextTime < .max {
            if visits.count >= limit {
                isPrefix = true
                return
            }
            let time = elements.nextTime
            if elements.step.nextDue <= time {
                guard let timer = elements.step.takeTimer(until: time) else { continue }
                begin(time: timer.due, [timer.number], at: timer.number)
                call(.timer(id: timer.id, due: timer.due), roots[roots.count - 1])
                drain()
                continue
            }
            guard let (item, wire, key, headers) = elements.arrive() else {
                throw RuntimeError.poolExhausted(capacity: instance.pool.capacity)
            }
            let length = elements.length(of: item)
            if packets & 1023 == 0 { progress(.recorded(packets: packets)) }
            packets += 1
            bytes += Int(length)
            let visit = Int32(visits.count)
            roots.append(
                Recording.Root(
                    time: time,
                    visit: visit,
                    count: 1,
                    key: key,
                    node: Int32(wire),
                    isPacket: true
                )
            )
            visits.append(
                Recording.Visit(node: Int32(wire), edge: -1, length: length, headers: headers, isSame: true)
            )
            let n = elements.receive(item, at: wire)
            note(visit, n)
            drain()
        }
    }

    /// Notes a call to some elements.
    private mutating func begin(time: Int64, _ nodes: [Int], at node: Int) {
        roots.append(
            Recording.Root(
                time: time,
                visit: Int32(visits.count),
                count: Int32(nodes.count),
                key: 0,
                node: Int32(node),
                isPacket: false
            )
        )
        for number in nodes {
            visits.append(Recording.Visit(node: Int32(number), edge: -1, length: 0, headers: 0, isSame: false))
        }
    }

    private mutating func call(_ call: ElementCalls.Call, _ root: Recording.Root) {
        for visit in root.visit..<root.visit + root.count {
            let n = elements.make(call, of: Int(visits[Int(visit)].node))
            note(visit, n)
            // What it let go comes to the next element before the call does.
            runAll()
        }
    }

    /// Runs until nothing is on an edge and all ends of flows were told.
    private mutating func drain() {
        runAll()
        while elements.step.hasEndedFlows {
            var ended: [EndedFlow] = []
            elements.step.takeEndedFlows { ended.append($0) }
            for flow in ended {
                begin(time: flow.time, elements.step.subscribers(of: Int(flow.table)), at: Int(flow.table))
                call(.ended(flow), roots[roots.count - 1])
                runAll()
                elements.step.release(flow)
            }
        }
    }

    private mutating func runAll() {
        while nextPending < pending.count {
            let (visit, child) = pending[nextPending]
            nextPending += 1
            let n = elements.process(child.ref, on: child.edge, child.order)
            note(visit, n)
        }
        pending.removeAll(keepingCapacity: true)
        nextPending = 0
    }

    /// Notes what a visit counted and let go.
    private mutating func note(_ visit: Int32, _ n: Int) {
        let node = Int(visits[Int(visit)].node)
        let counted = elements.takeCounts(node)
        visits[Int(visit)].counts = Int32(table.index(of: elements.counts.base, counted))
        visits[Int(visit)].turn = turns
        turns += 1
        var last: Int32 = -1
        for k in 0..<n {
            let child = elements.children[k]
            let number = Int32(visits.count)
            visits.append(
                Recording.Visit(
                    node: elements.node(at: child.edge),
                    edge: child.edge,
                    length: child.length,
                    headers: child.headers,
                    isSame: child.isSame
                )
            )
            if last < 0 { visits[Int(visit)].firstChild = number } else { visits[Int(last)].nextSibling = number }
            last = number
            // Mostly it comes last.
            var at = pending.count
            while at > nextPending, child.order < pending[at - 1].child.order { at -= 1 }
            pending.insert((number, child), at: at)
        }
    }
}

/// Counts of operations, each different one once.
private struct CountTable {
    private(set) var counts: [UInt32] = []
    private var slots: [Int32] = Array(repeating: -1, count: 1024)
    private let width = Operation.allCases.count

    mutating func index(of given: UnsafePointer<OperationCount>, _ n: Int) -> Int {
        let first = counts.count
        for _ in 0..<width { counts.append(0) }
        for k in 0..<n { counts[first + Int(given[k].operation)] = UInt32(clamping: given[k].count) }
        var hash: UInt64 = 0
        for k in 0..<width { hash = mix64(hash ^ UInt64(counts[first + k])) }
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] >= 0 {
            let known = Int(slots[slot])
            if (0..<width).allSatisfy({ counts[known * width + $0] == counts[first + $0] }) {
                counts.removeLast(width)
                return known
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        let index = first / width
        slots[slot] = Int32(index)
        if (index + 1) * 2 > slots.count { grow() }
        return index
    }

    /// Whether anything was counted.
    func hasCounts(_ index: Int32) -> Bool {
        counts[Int(index) * width..<(Int(index) + 1) * width].contains { $0 > 0 }
    }

    private mutating func grow() {
        slots = Array(repeating: -1, count: slots.count * 2)
        for index in 0..<counts.count / width {
            var hash: UInt64 = 0
            for k in 0..<width { hash = mix64(hash ^ UInt64(counts[index * width + k])) }
            var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = Int32(index)
        }
    }
}

extension Recording {
    /// Puts the recorded work on a device in a placement, with the recording repeated until `packets` have arrived.
    ///
    /// Virtual time, queues and what is under way go on from one repetition to the next; the work is the same each
    /// time.
    public func replay(
        placement sides: [Side],
        profile: DeviceProfile,
        load: OfferedLoad,
        packets: Int
    ) throws -> Outcome {
        guard self.packets > 0 else { throw ModelError.noPackets }
        try checkPlacement(spec, sides)
        let routes = try Routes(spec, shape, sides)
        return try replay(routes, profile, load, packets)
    }

    func replay(_ routes: Routes, _ profile: DeviceProfile, _ load: OfferedLoad, _ packets: Int) throws -> Outcome {
        let work = ReplayedWork(self, routes.sides, profile, load, try howMany(packets, load))
        var simulation = Simulation(work, spec, routes, profile)
        try simulation.run()
        return simulation.result
    }

    /// About as many packets as wanted, fewer where each leads to very much work.
    ///
    /// Of a short recording these are whole repetitions, so that what a packet costs does not depend on how many are wanted;
    /// and they end before the latest virtual time, since all arrivals after it would come at once.
    private func howMany(_ wanted: Int, _ load: OfferedLoad) throws(ModelError) -> Int {
        let affordable = max(1, min(wanted, Recording.mostReplayed / max(1, visits.count / packets)))
        var repetitions = affordable / packets
        if case .rate = load {
            return repetitions == 0 ? affordable : repetitions * packets
        }
        let time = max(1, load.arrival(0, elapsed: span.length &+ span.gap))
        let possible = Int(latestTime / 2 / time)
        if possible == 0 { throw .tooSlow }
        repetitions = min(repetitions, possible)
        return repetitions == 0 ? affordable : repetitions * packets
    }

    /// Visits of elements in one replay at most, about: loops can make hundreds for each packet.
    private static let mostReplayed = 4_000_000

    /// The work is that of a recorded run.
    struct ReplayedWork: Work, ~Copyable {
        private let recording: Recording
        private let load: OfferedLoad
        /// For each of the recorded counts its cost on each side.
        private let nicCosts: [Cost]
        private let hostCosts: [Cost]
        private let isHost: [Bool]
        private var buffer: Block<Child>
        var children: UnsafeMutablePointer<Child> { buffer.base }
        let capacity = Int.max

        private let wanted: Int
        private var arrived = 0
        private var cursor = 0
        private var nextPacket = 0
        private let span: (length: Int64, gap: Int64)
        /// Functional time at which this repetition begins.
        private var base: Int64 = 0
        private let firstTime: Int64
        private(set) var nextArrival: Int64 = .max
        private(set) var nextTime: Int64 = .max

        init(_ recording: Recording, _ sides: [Side], _ profile: DeviceProfile, _ load: OfferedLoad, _ packets: Int) {
            self.recording = recording
            self.load = load
            let width = Operation.allCases.count
            func costs(_ table: borrowing CostTable) -> [Cost] {
                (0..<recording.counts.count / width).map { index in
                    let counts = (0..<width).map {
                        OperationCount(operation: Int32($0), count: UInt64(recording.counts[index * width + $0]))
                    }
                    var cost = Cost()
                    table.add(&cost, counts, width)
                    return cost
                }
            }
            nicCosts = costs(CostTable(profile.nic))
            hostCosts = costs(CostTable(profile.host))
            isHost = sides.map { $0 == .host }
            buffer = Block(256, Child(ref: 0, edge: 0, length: 0, headers: 0, isSame: true, order: Order()))
            wanted = packets
            span = recording.span
            firstTime = recording.roots.first(where: \.isPacket)?.time ?? 0
            plan()
        }

        /// Finds the next packet of the recording, from its beginning again at its end.
        private mutating func plan() {
            if arrived >= wanted {
                nextArrival = .max
                nextTime = .max
                return
            }
            while nextPacket < recording.roots.count, !recording.roots[nextPacket].isPacket { nextPacket += 1 }
            if nextPacket == recording.roots.count {
                nextPacket = 0
                base &+= span.length &+ span.gap
                plan()
                return
            }
            nextTime = base &+ (recording.roots[nextPacket].time &- firstTime)
            nextArrival = load.arrival(arrived, elapsed: nextTime)
        }

        mutating func arrive() -> (job: Job, key: UInt32, time: Int64)? {
            let root = recording.roots[nextPacket]
            let time = nextTime
            arrived += 1
            nextPacket += 1
            cursor = nextPacket
            plan()
            var job = Job()
            job.kind = .arrival
            job.ref = root.visit
            job.node = root.node
            job.length = recording.visits[Int(root.visit)].length
            job.headers = recording.visits[Int(root.visit)].headers
            return (job, root.key, time)
        }

        mutating func visit(_ job: UnsafePointer<Job>, _ cost: inout Cost) -> Int {
            let visit = recording.visits[Int(job.pointee.ref)]
            let own = isHost[Int(visit.node)] ? hostCosts[Int(visit.counts)] : nicCosts[Int(visit.counts)]
            cost.compute &+= own.compute
            cost.wait &+= own.wait
            cost.accesses &+= own.accesses
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
                    isSame: next.isSame,
                    order: Order(a: UInt64(next.turn))
                )
                n += 1
                child = next.nextSibling
            }
            return n
        }

        mutating func abandon(_ job: Job) {}

        mutating func nextControl(watermark: Int64, newest: Int64) -> Control? {
            guard cursor < recording.roots.count, !recording.roots[cursor].isPacket else { return nil }
            let root = recording.roots[cursor]
            cursor += 1
            return Control(node: root.node, first: root.visit, count: root.count, time: root.time, after: newest)
        }

        func call(_ k: Int32) -> (ref: Int32, node: Int32) { (k, recording.visits[Int(k)].node) }

        mutating func done(_ control: Control) {}
    }
}
