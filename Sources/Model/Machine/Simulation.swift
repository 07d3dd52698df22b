// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The modelled machine: ports, two executors and the channel between them, in virtual time of whole picoseconds.
///
/// An item is served run-to-completion through all elements of its side. Its effects take place when its service starts; items
/// that leave that side do so when the service ends. The order within a flow is that of a direct run:
/// - items of one key start in order of arrival, since queues are first in, first out;
/// - they leave an executor in that order, so a short service waits for a longer one that started before (`lastLeave`);
/// - at a merge point of paths with different lengths (``Routes/merges``), an item waits until no older item of its key, and no
///   earlier item of its own origin, can still arrive (`pending`); waiting items take places in the reorder buffer of their
///   side;
/// - a flow that is cut over from a slow path to the fast path waits for a marker, which takes the slow path behind its last
///   packet.
struct Simulation<W: Work & ~Copyable>: ~Copyable {
    var work: W
    let merges: Int

    var events = EventQueue()
    var now: Int64 = 0
    /// Limits of queues and rings do not apply: the input has ended.
    var isUnlimited = false
    /// Asked every few thousand events; true ends the run, whose result is then worthless.
    var shouldStop: StopQuestion?
    private(set) var wasStopped = false
    var result: Outcome

    // Behind pointers, since one step may lead to another while one of them is in use.
    let nic: UnsafeMutablePointer<Executor>
    let host: UnsafeMutablePointer<Executor>
    let toHost: UnsafeMutablePointer<Direction>
    let toNIC: UnsafeMutablePointer<Direction>
    /// Queues in which something may be served; the outermost ``dispatch(_:_:)`` handles them.
    var unserved: [(executor: UnsafeMutablePointer<Executor>, queue: Int)] = []
    var isDispatching = false
    var isAdmitting = false
    let link: PCIeLink
    /// When each direction of the link is free again, and for how long it has been busy.
    var linkFree = (up: Int64(0), down: Int64(0))
    var linkBusy = (up: Int64(0), down: Int64(0))
    /// Picoseconds per byte on the link, in units of 2^-20.
    let byteTime: Int64
    let writes: UnsafeMutablePointer<DMAEngine>
    let reads: UnsafeMutablePointer<DMAEngine>
    let writing: ChannelProfile.Direction
    let reading: ChannelProfile.Direction
    let interruption: ChannelProfile.Interrupt?
    /// Items waiting for the interrupt that announces them.
    var announced = List()
    /// The number of the planned interrupt, so that one that came early is not raised again.
    var interrupt: Int32 = 0
    let interruptTime: Int64
    let mac: MACProfile
    /// For each wire the frames being received, one after another, and when its port will have received, and sent, all of them.
    let receiving: Block<List>
    /// When the first of these will have been received, and on which wire.
    var nextReceived: Int64 = .max
    var nextWire = 0
    let rxFree: Block<Int64>
    let txFree: Block<Int64>
    /// For each wire the time it was busy, in and out.
    let rxBusy: Block<Int64>
    let txBusy: Block<Int64>
    /// For each wire when the last frames leave it, as many as may wait; and the index of the oldest.
    let txLeaves: Block<Int64>
    let txOldest: Block<Int>
    /// The limit on parked bytes, and their number.
    let parking: Int64
    var parked: Int64 = 0
    let macInterval: Int64
    let macSlack: Int64
    var macFree: Int64 = 0
    var macWaiting = List()
    /// Keys whose packets wait until everything before origin `until` is through.
    var pauses: [(key: UInt32, until: Int64, waiting: List)] = []

    var jobs = Block(4096, Job())
    var freeJobs = FreeList()
    var services = Block(1024, Service())
    var freeServices = FreeList()
    /// The journeys of packets that were held, from the call that released them.
    var journeys = Block(256, Journey())
    var freeJourneys = FreeList()
    /// The journeys in the current service, and its elements that hold a packet, with their arrival times.
    var travelling: [Int32] = []
    var holding: [(node: Int32, length: UInt32, arrival: Int64)] = []
    /// For each length the time its last packet had taken to reach a node that holds it, -1 if there was none; and the last of
    /// any.
    let heldAfter: Block<Int64>
    let heldLast: Block<Int64>
    /// For each node the bytes that stay on the NIC for packets that it holds.
    let heldParked: Block<Int64>

    // Origins in flight are `oldest ..< newest`, in a ring.
    var origins = Block(4096, OriginState())
    var pending: Block<Int32>
    var oldest: Int64 = 0
    var newest: Int64 = 0

    /// Markers under way, by number, with the places where jobs wait for them.
    var markers: [Int64: [(bucket: Int, merge: Int)]] = [:]
    /// The control path, and when it can take the next command.
    let control: ChannelProfile.Control?
    let controlInterval: Int64
    var controlFree: Int64 = 0

    /// For each key bucket and merge point the waiting jobs, in order.
    var waiting: Block<List>
    /// For each key bucket and merge point the first origin that can still arrive there; -1 if none can.
    var first: Block<Int64>
    /// For each key bucket the newest origin in flight; -1 if there is none.
    var last: Block<Int64>
    /// Places where a waiting job may be able to continue; checked once the current service is through.
    var woken: [(bucket: Int, merge: Int)] = []

    var controls: [Control] = []
    var nextWaitingControl = 0
    var controlsInFlight = 0
    var isTakingControls = false

    let edges: Block<EdgeFacts>
    let nodes: Block<NodeFacts>
    let worklist: UnsafeMutablePointer<List>

    /// Flows share these; two in one bucket are merely kept in stricter order than necessary.
    static var buckets: Int { 1 << 14 }
    init(_ work: consuming W, _ spec: GraphSpec, _ routes: Routes, _ profile: DeviceProfile) {
        self.work = work
        merges = routes.merges.count
        nic = .allocate(capacity: 1)
        nic.initialize(to: Executor(routes.isPlain ? profile.plainExecutor : profile.nic))
        host = .allocate(capacity: 1)
        host.initialize(to: Executor(profile.host))
        toHost = .allocate(capacity: 1)
        toHost.initialize(to: Direction(profile.channel.toHost, profile.channel.driver.toHost))
        toNIC = .allocate(capacity: 1)
        toNIC.initialize(to: Direction(profile.channel.toNIC, profile.channel.driver.toNIC))
        link = profile.channel.link
        byteTime = scale(8 << 20, by: picosecondsPerSecond, over: Int64(link.tlpBitsPerSecond))
        writing = profile.channel.toHost
        writes = .allocate(capacity: 1)
        writes.initialize(to: DMAEngine(writing))
        reading = profile.channel.toNIC
        reads = .allocate(capacity: 1)
        reads.initialize(to: DMAEngine(reading))
        interruption = profile.channel.interrupt
        interruptTime = CostTable(profile.host).time(Int64(profile.channel.interrupt?.cycles ?? 0))
        control = profile.channel.control
        controlInterval = picosecondsPerSecond / Int64(profile.channel.control?.rate ?? 1)
        mac = profile.mac
        let wires = spec.nodes.count { $0.isWire }
        receiving = Block(wires, List())
        rxFree = Block(wires, 0)
        txFree = Block(wires, 0)
        rxBusy = Block(wires, 0)
        txBusy = Block(wires, 0)
        txLeaves = Block(wires * mac.txQueue, 0)
        txOldest = Block(wires, 0)
        parking = profile.plain.parking.map { Int64($0) } ?? .max
        macInterval = picosecondsPerSecond / Int64(profile.mac.packetRate)
        macSlack = macInterval * Int64(profile.mac.buffer)
        pending = Block(max(1, 4096 * 2 * merges), 0)
        let slots = max(1, Simulation.buckets * merges)
        waiting = Block(slots, List())
        first = Block(slots, -1)
        last = Block(merges == 0 ? 1 : Simulation.buckets, -1)
        edges = Block(spec.edges.count, EdgeFacts())
        nodes = Block(spec.nodes.count, NodeFacts())
        heldAfter = Block(Simulation.lengths * spec.nodes.count, -1)
        heldLast = Block(spec.nodes.count, 0)
        heldParked = Block(spec.nodes.count, 0)
        // What waits before a table is not on its slow path, so neither that table's marker waits for it nor one of a table farther on.
        let returning = routes.markers.map { marker in
            guard let marker else { return UInt64(0) }
            let inner = marker.reached.compactMap { routes.markers[$0] }.flatMap(\.returns)
            return (marker.returns + inner).reduce(0) { $0 | Routes.classes($1) }
        }
        for (e, edge) in spec.edges.enumerated() {
            let isWait = routes.markers[edge.to]?.waits.contains(routes.merge[e]) ?? false
            edges[e] = EdgeFacts(
                to: Int32(edge.to),
                crosses: routes.crosses[e],
                isSlow: routes.isSlow[e],
                isControl: routes.isControl[e],
                needs: routes.needs[e],
                merge: Int32(routes.merge[e]),
                approaching: routes.approaching[e],
                returning: isWait ? returning[edge.to] : 0
            )
        }
        var wire: Int32 = 0
        for (n, node) in spec.nodes.enumerated() {
            if node.isWire { wire += 1 }
            nodes[n] = NodeFacts(
                isHost: routes.sides[n] == .host,
                wire: node.isWire ? wire - 1 : -1,
                arriving: routes.arriving[n],
                far: Int32(routes.markers[n]?.far ?? -1),
                returns: routes.markers[n]?.returns.reduce(0) { $0 | 1 << UInt32($1) } ?? 0,
                after: routes.after[n],
                entering: routes.entering[n]
            )
        }
        worklist = .allocate(capacity: 1)
        worklist.initialize(to: List())
        result = Outcome(nicCores: profile.nic.cores, hostCores: profile.host.cores)
    }

    deinit {
        for executor in [nic, host] {
            executor.deinitialize(count: 1)
            executor.deallocate()
        }
        for direction in [toHost, toNIC] {
            direction.deinitialize(count: 1)
            direction.deallocate()
        }
        for engine in [writes, reads] {
            engine.deinitialize(count: 1)
            engine.deallocate()
        }
        worklist.deallocate()
    }

    // MARK: Running

    /// Runs until nothing more arrives and everything has left.
    mutating func run() {
        var turns = 0
        while true {
            turns &+= 1
            if turns & 4095 == 0, shouldStop?() == true {
                wasStopped = true
                return
            }
            let (arrival, timer) = (work.nextArrival, work.nextTimer)
            if min(events.nextTime, nextReceived) <= min(arrival, timer) {
                if events.count == 0, nextReceived == .max, !goesOn() { break }
                step()
            } else if timer <= arrival {
                now = max(now, timer)
                work.reachTimer(now)
                takeControls()
            } else {
                now = max(now, arrival)
                takeControls()
                arrive()
            }
        }
        settle()
    }

    /// Makes a call once nothing else is left, and runs until its effects are done.
    mutating func runToEnd(_ control: Control) {
        isUnlimited = true
        start(control)
        run()
    }

    mutating func settle() {
        result.end = max(result.end, now)
        for wire in 0..<txFree.capacity { result.end = max(result.end, txFree[wire]) }
        result.nic = nic.pointee.tally
        result.host = host.pointee.tally
        result.toHost = toHost.pointee.tally
        result.toNIC = toNIC.pointee.tally
        result.toHost.dmas = writes.pointee.count
        result.toNIC.dmas = reads.pointee.count
        result.toHost.dmaBytes = writes.pointee.bytes
        result.toNIC.dmaBytes = reads.pointee.bytes
        result.linkBusy = linkBusy
        for wire in 0..<rxBusy.capacity {
            result.busiestRx = max(result.busiestRx, rxBusy[wire])
            result.busiestTx = max(result.busiestTx, txBusy[wire])
        }
        result.rxBusy = (0..<rxBusy.capacity).reduce(0) { $0 &+ rxBusy[$1] }
        result.txBusy = (0..<txBusy.capacity).reduce(0) { $0 &+ txBusy[$1] }
    }

    mutating func step() {
        // Frames of a port arrive in order, so they need no place in the event queue.
        if nextReceived < events.nextTime {
            now = nextReceived
            receive()
            return
        }
        let event = events.next()
        now = event.time
        switch event.kind {
        case .serviceEnd: serviceEnded(event.subject)
        case .leave: leave(event.subject)
        case .delivery: deliver(event.subject == 0 ? .host : .nic)
        case .command: enqueue(event.subject)
        case .interrupt: if event.subject == interrupt { raiseInterrupt() }
        case .wireOut: sent(event.subject)
        case .macDone: if let job = macWaiting.popFirst(jobs.base) { admitArrival(job) }
        }
    }
}
