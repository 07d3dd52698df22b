// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Runs a graph in the modelled machine: the same elements as ``DirectRuntime``, in virtual time, on two sides.
///
/// Below overload it emits what a direct run emits, in the same order within each flow. The input is run once; if a longer run
/// is needed to measure a steady load, a ``Recording`` of it is replayed.
public final class TimedRuntime {
    /// The graph being run; its counters can be read afterwards.
    public let instance: Instance
    private var simulation: Simulation<LiveWork>

    /// Throws ``ModelError`` if the placement is not possible.
    ///
    /// Items in flight come from the instance's pool: if it is empty the next packet is dropped, as `no_items`. So the pool
    /// should be larger than queues and rings together.
    public convenience init(
        _ instance: Instance,
        placement sides: [Side],
        profile: DeviceProfile,
        load: Pace
    ) throws(ModelError) {
        try checkPlacement(instance.spec, sides, profile)
        self.init(instance, try Routes(instance.spec, instance.shape, sides, profile), profile, load)
    }

    init(_ instance: Instance, _ routes: Routes, _ profile: DeviceProfile, _ load: Pace, owed: OwedEnds? = nil) {
        self.instance = instance
        let work = LiveWork(instance, routes, profile, load, owed)
        simulation = Simulation(work, instance.spec, routes, profile)
    }

    /// Runs until all sources end, then finishes the elements and flushes their buffers.
    ///
    /// The outcome covers the input only: work that its end causes is done, but is not part of the load.
    public func run() throws -> Outcome {
        let outcome = try runLoad()
        instance.finishAll { number in
            let control = simulation.work.finish(number)
            simulation.runToEnd(control)
        }
        try instance.flush()
        return outcome
    }

    /// Runs until all sources end, without finishing the elements.
    func runLoad(shouldStop: StopQuestion? = nil) throws -> Outcome {
        simulation.shouldStop = shouldStop
        simulation.run()
        if simulation.wasStopped { throw ModelError.stopped }
        return simulation.result
    }

    /// The work of the elements themselves.
    struct LiveWork: Work, ~Copyable {
        private var elements: ElementCalls
        private let load: Pace
        private let nicCosts: CostTable
        private let hostCosts: CostTable
        private let isHost: Block<Bool>
        private let isWire: Block<Bool>
        let awaitsSending: Bool
        private var arrived = 0
        /// When the last packet arrived, in virtual and in functional time.
        private var last: (arrival: Int64, time: Int64) = (0, .min)
        /// The functional time reached.
        private var reached = Int64.min
        private let firstTime: Int64
        private(set) var nextArrival: Int64 = .max
        var holds: Bool { !isSending && (isRecorded ? owed?.holds == true : elements.holds) }
        /// The last visit was that of a packet about to be sent.
        private var isSending = false
        /// Ends of flows that are charged though no element sees them, and whether the last visit belongs to one.
        private let owed: OwedEnds?
        private var isRecorded = false
        /// As many as a batch of a direct run, since items they make come from the pool.
        let mostCalls = 64
        private(set) var children: UnsafeMutablePointer<Child>

        /// Calls planned or under way: `stride` places for each control.
        private var calls: [(call: ElementCalls.Call, node: Int32)?] = []
        private var freeCalls: [Int32] = []
        private let stride: Int
        /// Markers under way, by number.
        private var markers: [Int64: CutOver] = [:]
        private var numbers: [CutOver: Int64] = [:]
        private var nextMarker: Int64 = 0
        /// The element of the last visit.
        private var visited: Int32 = 0
        private(set) var awaited: Int64 = -1

        /// A flow being cut over, and its table.
        private struct CutOver: Hashable {
            var table: Int32
            var index: Int32
            var generation: UInt32

            init(_ table: Int32, _ flow: FlowRef) {
                self.table = table
                index = flow.index
                generation = flow.generation
            }
        }
        /// The input has ended: no more timers fire.
        private var isEnding = false
        private var ended: [EndedFlow] = []
        private var nextEnded = 0

        init(
            _ instance: Instance,
            _ routes: Routes,
            _ profile: DeviceProfile,
            _ load: Pace,
            _ owed: OwedEnds?
        ) {
            self.owed = owed
            let sides = routes.sides
            elements = ElementCalls(instance)
            for node in sides.indices where routes.markers[node] != nil { elements.step.split(node) }
            self.load = load
            nicCosts = CostTable(profile.nic)
            hostCosts = CostTable(profile.host)
            isHost = Block(sides.count, false)
            for (k, side) in sides.enumerated() { isHost[k] = side == .host }
            awaitsSending = load == .closedLoop
            isWire = Block(sides.count, false)
            for (k, node) in instance.spec.nodes.enumerated() { isWire[k] = node.isWire }
            children = elements.children
            let step = elements.step
            stride = max(1, instance.spec.nodes.indices.map { step.told(by: $0).count }.max() ?? 1)
            elements.look()
            // In a closed loop time is the machine's.
            firstTime = load == .closedLoop ? 0 : elements.nextTime
            plan()
        }

        private mutating func plan() {
            nextArrival =
                elements.nextTime == .max || isEnding
                ? .max : load.arrival(arrived, elapsed: elements.nextTime &- firstTime)
        }

        /// Time advances evenly between two arrivals. After the last, nothing defines it.
        var nextTimer: Int64 {
            let due = elements.nextDue
            if awaitsSending {
                // An idle source is asked again at the time it gave.
                let next = min(due > reached ? due : .max, elements.idleUntil)
                return next == .max || isEnding ? .max : scale(next, by: 1_000, over: 1)
            }
            guard due > reached, due <= elements.nextTime, nextArrival < .max else { return .max }
            let (gap, rest) = (elements.nextTime &- last.time, due &- last.time)
            if rest <= 0 || gap <= 0 { return last.arrival }
            return last.arrival &+ scale(nextArrival &- last.arrival, by: rest, over: gap)
        }

        mutating func reachTimer(_ time: Int64) {
            if !awaitsSending {
                reached = elements.nextDue
                return
            }
            reached = time / 1_000
            if elements.idleUntil <= reached { look() }
        }

        private mutating func look() {
            elements.look()
            plan()
        }

        mutating func sent(_ job: Job, at time: Int64) {
            elements.stamp(job.ref, time / 1_000)
            reached = max(reached, time / 1_000)
            _ = elements.process(job.ref, on: job.edge, job.order)
            if !isEnding { look() }
        }

        mutating func arrive() -> (job: Job, key: UInt32, time: Int64)? {
            last = (nextArrival, elements.nextTime)
            reached = max(reached, elements.nextTime)
            let taken = elements.arrive()
            arrived += 1
            plan()
            guard let (item, wire, key, headers, isFirst) = taken else { return nil }
            var job = Job()
            job.kind = .arrival
            job.ref = item
            job.node = Int32(wire)
            job.length = elements.length(of: item)
            job.headers = headers
            job.waitsForAll = isFirst
            return (job, key, elements.now(item))
        }

        mutating func beginService() { elements.beginService() }

        mutating func visit(_ job: UnsafePointer<Job>, _ cost: inout Cost) -> Int {
            let n: Int
            isSending = awaitsSending && job.pointee.kind == .item && isWire[Int(job.pointee.node)]
            if isSending { return 0 }
            visited = job.pointee.node
            awaited = -1
            if let owed {
                isRecorded = job.pointee.kind != .marker && OwedEnds.has(job.pointee.ref)
                if isRecorded {
                    let n = owed.visit(job.pointee.ref, &cost)
                    children = owed.children
                    return n
                }
                children = elements.children
            }
            switch job.pointee.kind {
            case .arrival: n = elements.receive(job.pointee.ref, at: Int(job.pointee.node))
            case .item: n = elements.process(job.pointee.ref, on: job.pointee.edge, job.pointee.order)
            case .control: n = calls[Int(job.pointee.ref)].map { elements.make($0.call, of: Int($0.node)) } ?? 0
            case .marker:
                n = 0
                if let cutOver = markers.removeValue(forKey: Int64(job.pointee.ref)) {
                    numbers[cutOver] = nil
                    elements.step.returnMarker(
                        of: FlowRef(index: cutOver.index, generation: cutOver.generation),
                        to: Int(cutOver.table)
                    )
                }
            }
            if n < 0, let flow = elements.step.takeAwaited() {
                // If the marker is unknown there is nothing to wait for.
                awaited = numbers[CutOver(visited, flow)] ?? .max
            }
            let counted = elements.takeCounts(Int(job.pointee.node))
            if isHost[Int(job.pointee.node)] {
                hostCosts.add(&cost, elements.counts.base, counted)
            } else {
                nicCosts.add(&cost, elements.counts.base, counted)
            }
            return max(0, n)
        }

        mutating func takeMarker() -> Int64? {
            guard let flow = elements.step.takeMarker() else { return nil }
            let cutOver = CutOver(visited, flow)
            nextMarker += 1
            markers[nextMarker] = cutOver
            numbers[cutOver] = nextMarker
            return nextMarker
        }

        mutating func abandon(_ job: Job) {
            if job.kind != .control, job.kind != .marker, !OwedEnds.has(job.ref) { elements.step.drop(job.ref) }
        }

        mutating func nextControl(watermark: Int64, newest: Int64, isBusy: Bool) -> Control? {
            if elements.step.hasEndedFlows { elements.step.takeEndedFlows { ended.append($0) } }
            if nextEnded < ended.count {
                let flow = ended[nextEnded]
                nextEnded += 1
                if nextEnded == ended.count {
                    ended.removeAll(keepingCapacity: true)
                    nextEnded = 0
                }
                // Items of the flow may be anywhere, so everything in flight must be through.
                return control(
                    at: Int(flow.table),
                    .ended(flow),
                    elements.step.told(by: Int(flow.table)),
                    key: flow.key,
                    time: flow.origin.now,
                    after: newest
                )
            }
            if let end = owed?.next(at: reached) { return end }
            guard !isBusy, !isEnding, elements.nextDue <= min(watermark, reached),
                let timer = elements.step.takeTimer(until: min(watermark, reached))
            else { return nil }
            return control(
                at: timer.number,
                .timer(id: timer.id, due: timer.due),
                [timer.number],
                key: timerKey(timer.number),
                time: timer.due,
                after: -1
            )
        }

        /// The call that tells one element that the input has ended.
        mutating func finish(_ number: Int) -> Control {
            isEnding = true
            return control(at: number, .finish, [number], key: timerKey(number), time: .max, after: -1)
        }

        private mutating func control(
            at node: Int,
            _ call: ElementCalls.Call,
            _ nodes: [Int],
            key: UInt32,
            time: Int64,
            after: Int64
        ) -> Control {
            if freeCalls.isEmpty {
                freeCalls.append(Int32(calls.count))
                calls.append(contentsOf: Array(repeating: nil, count: stride))
            }
            let first = freeCalls.removeLast()
            for (k, number) in nodes.enumerated() { calls[Int(first) + k] = (call, Int32(number)) }
            return Control(
                node: Int32(node),
                first: first,
                count: Int32(nodes.count),
                key: key,
                time: time,
                after: after
            )
        }

        func call(_ k: Int32) -> (ref: Int32, node: Int32) {
            (k, (OwedEnds.has(k) ? owed?.node(k) : calls[Int(k)]?.node) ?? 0)
        }

        mutating func done(_ control: Control) {
            if OwedEnds.has(control.first) { return }
            freeCalls.append(control.first)
        }
    }
}

/// The key of calls to an element that have no flow.
func timerKey(_ number: Int) -> UInt32 { UInt32(truncatingIfNeeded: mix64(UInt64(number) &+ 1)) }

extension EndedFlow {
    /// The key of calls for a flow's end: spread over cores like flows.
    var key: UInt32 {
        UInt32(truncatingIfNeeded: mix64(UInt64(UInt32(bitPattern: flow.index)) &<< 32 | UInt64(flow.generation)))
    }
}

/// Checks that each element is where its type, the graph and the device allow.
func checkPlacement(_ spec: GraphSpec, _ sides: [Side], _ profile: DeviceProfile) throws(ModelError) {
    let wires = spec.nodes.count { $0.isWire }
    if wires > profile.mac.ports {
        throw .tooManyWires(wires: wires, ports: profile.mac.ports, profile: profile.name)
    }
    for (node, side) in zip(spec.nodes, sides) {
        guard let pin = node.pin, pin.side != side else { continue }
        throw .badPlacement(element: node.name, reason: "cannot be on the \(side): \(pin.reason)")
    }
    if profile.nic.cores == 0, let k = spec.nodes.indices.first(where: { !spec.nodes[$0].isWire && sides[$0] == .nic })
    {
        throw .badPlacement(
            element: spec.nodes[k].name,
            reason: "cannot be on the NIC of profile '\(profile.name)', which has no cores for elements"
        )
    }
}
