// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The modelled machine: ports, two executors and the channel between them, in virtual time of whole picoseconds.
///
/// An item is served run-to-completion through all elements of its side. What it does takes effect when its service
/// starts; what leaves that side leaves when the service ends. Order within a flow is that of a direct run:
/// - items of one key start in the order in which they came, since queues are first in, first out;
/// - they leave an executor in that order, so a short service waits for a longer one that started before (`lastLeave`);
/// - where paths of different length meet (``Routes/contest``), an item waits until no older item of its key, and no
///   earlier item of its own origin, can still come there (`pending`).
struct Simulation<W: Work & ~Copyable>: ~Copyable {
    var work: W
    private let contests: Int

    private var events = EventQueue()
    private(set) var now: Int64 = 0
    /// Limits of queues and rings do not count: the input has ended.
    private var isUnlimited = false
    private(set) var result: Outcome

    // Behind pointers, since one step may lead to another while one of them is looked at.
    private let nic: UnsafeMutablePointer<Executor>
    private let host: UnsafeMutablePointer<Executor>
    private let toHost: UnsafeMutablePointer<Direction>
    private let toNIC: UnsafeMutablePointer<Direction>
    /// Queues in which something may be served; the outermost ``dispatch(_:_:)`` sees to them.
    private var unserved: [(executor: UnsafeMutablePointer<Executor>, queue: Int)] = []
    private var isDispatching = false
    private var isAdmitting = false
    private let link: PCIeLink
    /// When each direction of the link is free again.
    private var linkFree = (up: Int64(0), down: Int64(0))
    /// Picoseconds per byte on the link, in units of 2^-20.
    private let byteTime: Int64
    private let writes: UnsafeMutablePointer<DMAEngine>
    private let reads: UnsafeMutablePointer<DMAEngine>
    private let writing: ChannelProfile.Direction
    private let reading: ChannelProfile.Direction
    private let interruption: ChannelProfile.Interrupt?
    /// Items that wait for the interrupt that announces them.
    private var announced = List()
    /// The interrupt that is planned; a number, so that one that came early is not raised again.
    private var interrupt: Int32 = 0
    private let interruptTime: Int64
    private let mac: MACProfile
    /// For each wire the frames that come in, one behind the other, and when its port has taken in, and has sent, all of them.
    private let receiving: Block<List>
    /// When the first of them has come in, and on which wire.
    private var nextReceived: Int64 = .max
    private var nextWire = 0
    private let rxFree: Block<Int64>
    private let txFree: Block<Int64>
    /// For each wire when the last frames leave it, as many as may wait; and where the oldest of them stands.
    private let txLeaves: Block<Int64>
    private let txOldest: Block<Int>
    /// Bytes that may be parked, and that are.
    private let parking: Int64
    private var parked: Int64 = 0
    private let macInterval: Int64
    private let macSlack: Int64
    private var macFree: Int64 = 0
    private var macWaiting = List()

    private var jobs = Block(4096, Job())
    private var freeJobs = FreeList()
    private var services = Block(1024, Service())
    private var freeServices = FreeList()
    /// The ways of packets that were held, from the call that let them go.
    private var journeys = Block(256, Journey())
    private var freeJourneys = FreeList()
    /// Those that the service under way works on, and the elements in it that hold a packet, with when that had come.
    private var travelling: [Int32] = []
    private var holding: [(node: Int32, length: UInt32, arrival: Int64)] = []
    /// How long the last packet of a length had taken to come to a node that holds it, -1 where none has yet; and the last of any.
    private let heldAfter: Block<Int64>
    private let heldLast: Block<Int64>
    /// For each node the bytes that stay on the NIC of the packets that it holds.
    private let heldParked: Block<Int64>

    // Origins in flight are `oldest ..< newest`, in a ring.
    private var epochs = Block(4096, Epoch())
    private var pending: Block<Int32>
    private var oldest: Int64 = 0
    private var newest: Int64 = 0

    /// For each key bucket and contested element the jobs that wait there, in order.
    private var waiting: Block<List>
    /// For each key bucket and contested element the first origin that can still come there; -1 when none can.
    private var first: Block<Int64>
    /// For each key bucket the newest origin in flight; -1 when there is none.
    private var last: Block<Int64>
    /// Where a waiting job may be able to go on; looked at when the service under way is through.
    private var woken: [(bucket: Int, contest: Int)] = []

    private var controls: [Control] = []
    private var nextWaitingControl = 0
    private var controlsInFlight = 0
    private var isTakingControls = false

    private let edges: Block<EdgeFacts>
    private let nodes: Block<NodeFacts>
    private let worklist: UnsafeMutablePointer<List>

    /// Flows share these; two that meet in one bucket are only kept in order more strictly than needed.
    private static var buckets: Int { 1 << 14 }
    init(_ work: consuming W, _ spec: GraphSpec, _ routes: Routes, _ profile: DeviceProfile) {
        self.work = work
        contests = routes.contests
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
        mac = profile.mac
        let wires = spec.nodes.count { $0.isWire }
        receiving = Block(wires, List())
        rxFree = Block(wires, 0)
        txFree = Block(wires, 0)
        txLeaves = Block(wires * mac.txQueue, 0)
        txOldest = Block(wires, 0)
        parking = profile.plain.parking.map { Int64($0) } ?? .max
        macInterval = picosecondsPerSecond / Int64(profile.mac.packetRate)
        macSlack = macInterval * Int64(profile.mac.buffer)
        pending = Block(routes.contests == 0 ? 1 : 4096 * 2 * routes.contests, 0)
        let slots = routes.contests == 0 ? 1 : Simulation.buckets * routes.contests
        waiting = Block(slots, List())
        first = Block(slots, -1)
        last = Block(routes.contests == 0 ? 1 : Simulation.buckets, -1)
        edges = Block(spec.edges.count, EdgeFacts())
        nodes = Block(spec.nodes.count, NodeFacts())
        heldAfter = Block(Simulation.lengths * spec.nodes.count, -1)
        heldLast = Block(spec.nodes.count, 0)
        heldParked = Block(spec.nodes.count, 0)
        for (e, edge) in spec.edges.enumerated() {
            edges[e] = EdgeFacts(to: Int32(edge.to), crosses: routes.crosses[e], needs: routes.needs[e])
        }
        var wire: Int32 = 0
        for (n, node) in spec.nodes.enumerated() {
            if node.isWire { wire += 1 }
            nodes[n] = NodeFacts(
                isHost: routes.sides[n] == .host,
                wire: node.isWire ? wire - 1 : -1,
                arriving: routes.arriving[n],
                contest: Int32(routes.contest[n]),
                after: routes.after[n],
                approaching: routes.approaching(n),
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

    /// Runs until nothing arrives any more and everything has left.
    mutating func run() {
        while true {
            let (arrival, timer) = (work.nextArrival, work.nextTimer)
            if min(events.nextTime, nextReceived) <= min(arrival, timer) {
                if events.count == 0, nextReceived == .max { break }
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

    /// Makes a call when nothing else is left, and runs until what it leads to is done.
    mutating func runToEnd(_ control: Control) {
        isUnlimited = true
        start(control)
        run()
    }

    private mutating func settle() {
        result.end = max(result.end, now)
        for wire in 0..<txFree.capacity { result.end = max(result.end, txFree[wire]) }
        result.nic = nic.pointee.tally
        result.host = host.pointee.tally
        result.toHost = toHost.pointee.tally
        result.toNIC = toNIC.pointee.tally
        result.toHost.dmas = writes.pointee.count
        result.toNIC.dmas = reads.pointee.count
    }

    private mutating func step() {
        // Frames of a port come in in order, so they need no place in the queue of events.
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
        case .interrupt: if event.subject == interrupt { raiseInterrupt() }
        case .wireOut: sent(event.subject)
        case .macDone: if let job = macWaiting.popFirst(jobs.base) { enqueue(job) }
        }
    }

    // MARK: Origins

    @inline(__always)
    private func slot(_ epoch: Int64) -> Int { Int(truncatingIfNeeded: epoch) & (epochs.capacity &- 1) }

    private mutating func begin(_ key: UInt32, time: Int64, isPacket: Bool, _ classes: UInt64) -> Int64 {
        if Int(newest &- oldest) == epochs.capacity { growEpochs() }
        let number = newest
        newest &+= 1
        let bucket = Int(key &>> 1) & (Simulation.buckets &- 1)
        var epoch = Epoch()
        epoch.arrival = now
        epoch.time = time
        epoch.key = key
        epoch.bucket = Int32(bucket)
        epoch.isPacket = isPacket
        if contests > 0 {
            (pending.base + slot(number) &* 2 &* contests).update(repeating: 0, count: 2 &* contests)
            let before = last[bucket]
            epoch.before = before
            if before >= 0 { epochs.base[slot(before)].after = number }
            last[bucket] = number
            for contest in 0..<contests where classes &>> (2 &* UInt64(contest) &+ 1) & 1 == 1 {
                if first[bucket &* contests &+ contest] < 0 { first[bucket &* contests &+ contest] = number }
            }
        }
        epochs[slot(number)] = epoch
        return number
    }

    private mutating func growEpochs() {
        let old = epochs.capacity
        // Numbers keep their place modulo the size, so they are moved to where the new size puts them.
        var larger = Block(2 * old, Epoch())
        var counts = Block(contests == 0 ? 1 : 2 * old * 2 * contests, Int32(0))
        for number in oldest..<newest {
            let (from, to) = (Int(number) & (old - 1), Int(number) & (2 * old - 1))
            larger[to] = epochs[from]
            if contests > 0 {
                (counts.base + to * 2 * contests).update(from: pending.base + from * 2 * contests, count: 2 * contests)
            }
        }
        swap(&epochs, &larger)
        swap(&pending, &counts)
    }

    /// One part of an origin's work has ended.
    private mutating func release(_ number: Int64) {
        let epoch = epochs.base + slot(number)
        epoch.pointee.jobs &-= 1
        if epoch.pointee.jobs == 1, !epoch.pointee.isPacket {
            if epoch.pointee.told < epoch.pointee.control.count { return tellNext(number) }
            epoch.pointee.jobs = 0
        }
        if epoch.pointee.jobs > 0 { return }
        epoch.pointee.isDone = true
        if epoch.pointee.isPacket {
            result.finish(epoch.pointee)
        } else {
            controlsInFlight -= 1
            work.done(epoch.pointee.control)
        }
        if contests > 0 { unlink(number) }
        if number != oldest { return }
        while oldest < newest, epochs[slot(oldest)].isDone { oldest &+= 1 }
        takeControls()
    }

    private mutating func unlink(_ number: Int64) {
        let epoch = epochs[slot(number)]
        let bucket = Int(epoch.bucket)
        for contest in 0..<contests { advance(bucket, contest, past: number) }
        if epoch.before >= 0 { epochs.base[slot(epoch.before)].after = epoch.after }
        if epoch.after >= 0 {
            epochs.base[slot(epoch.after)].before = epoch.before
        } else {
            last[bucket] = epoch.before
        }
    }

    // MARK: Calls

    /// Makes the calls whose time has come, and those they lead to.
    private mutating func takeControls() {
        // A call may end at once and lead back here; the outer loop goes on with what follows, however many there are.
        if isTakingControls { return }
        isTakingControls = true
        while true {
            // Nothing with an earlier functional time can come any more.
            let watermark = oldest == newest ? Int64.max : epochs[slot(oldest)].time
            while let control = work.nextControl(
                watermark: watermark,
                newest: newest &- 1,
                isBusy: controlsInFlight > 0 || nextWaitingControl < controls.count
            ) {
                controls.append(control)
            }
            guard nextWaitingControl < controls.count, controlsInFlight < work.mostCalls,
                controls[nextWaitingControl].after < oldest
            else { break }
            nextWaitingControl += 1
            start(controls[nextWaitingControl - 1])
        }
        if nextWaitingControl > 64, nextWaitingControl * 2 > controls.count {
            controls.removeFirst(nextWaitingControl)
            nextWaitingControl = 0
        }
        isTakingControls = false
    }

    private mutating func start(_ control: Control) {
        controlsInFlight += 1
        var classes: UInt64 = 0
        for k in 0..<control.count { classes |= nodes[Int(work.call(control.first &+ k).node)].after }
        // One bucket keeps all calls in order; a key of their own lets any core make them.
        let epoch = begin(0, time: control.time, isPacket: false, classes)
        epochs.base[slot(epoch)].key = control.key
        epochs.base[slot(epoch)].control = control
        // One part stands for the call as a whole, so that it is not done before all are told.
        epochs.base[slot(epoch)].jobs = 1
        for k in 0..<control.count { mark(epoch: epoch, nodes[Int(work.call(control.first &+ k).node)].after) }
        if control.count == 0 { release(epoch) } else { tellNext(epoch) }
    }

    /// Makes the next call of a control. It comes to its element after all that the call before it led to.
    private mutating func tellNext(_ epoch: Int64) {
        let control = epochs.base[slot(epoch)].control
        let call = work.call(control.first &+ epochs.base[slot(epoch)].told)
        epochs.base[slot(epoch)].told &+= 1
        var job = Job()
        job.epoch = epoch
        job.kind = .control
        job.ref = call.ref
        job.node = call.node
        job.length = UInt32(WorkSummary.callBytes)
        // Nothing is taken in for a call on the side that makes it.
        job.isNew = false
        let j = add(job)
        let isHost = nodes[Int(call.node)].isHost
        if isHost == nodes[Int(control.node)].isHost { enqueue(j) } else { send(j, to: isHost ? .host : .nic) }
    }

    // MARK: Jobs

    /// A job of an origin, whose contents are to be set.
    private mutating func add(_ epoch: Int64) -> Int32 {
        let j = freeJobs.take(&jobs)
        jobs.base[Int(j)].epoch = epoch
        epochs.base[slot(epoch)].jobs &+= 1
        return j
    }

    private mutating func add(_ job: Job) -> Int32 {
        let j = add(job.epoch)
        jobs.base[Int(j)] = job
        return j
    }

    /// The job is over.
    private mutating func remove(_ j: Int32) {
        let epoch = jobs.base[Int(j)].epoch
        unpark(j)
        if jobs.base[Int(j)].journey >= 0 { leave(journey: jobs.base[Int(j)].journey) }
        freeJobs.give(j, jobs)
        release(epoch)
    }

    private mutating func drop(_ j: Int32, _ reason: Outcome.Drop, _ classes: UInt64) {
        let job = jobs[Int(j)]
        lose(job, reason)
        freePlace(j)
        work.abandon(job)
        unmark(j, classes)
        remove(j)
        admitReady()
    }

    private mutating func lose(_ job: Job, _ reason: Outcome.Drop) {
        result.drops[reason.rawValue] &+= 1
        if job.journey >= 0 {
            journeys.base[Int(job.journey)].isDropped = true
        } else {
            epochs.base[slot(job.epoch)].isDropped = true
        }
    }

    // MARK: Packets that were held

    /// A packet that node `node` has held goes on; its time goes on from what it had taken to come there.
    private mutating func beginJourney(at node: Int32, _ length: UInt32) -> Int32 {
        let k = freeJourneys.take(&journeys)
        let known = heldAfter[place(node, length)]
        journeys[Int(k)] = Journey(arrival: now &- (known >= 0 ? known : heldLast[Int(node)]))
        return k
    }

    /// Where it stands how long a packet had taken: by node, and in steps of 16 bytes of length.
    @inline(__always)
    private func place(_ node: Int32, _ length: UInt32) -> Int {
        Int(node) &* Simulation.lengths &+ min(Int(length &>> 4), Simulation.lengths &- 1)
    }
    private static var lengths: Int { 128 }

    /// One of its items has ended, or a service that worked on one.
    private mutating func leave(journey k: Int32) {
        let journey = journeys.base + Int(k)
        journey.pointee.jobs &-= 1
        if journey.pointee.jobs > 0 { return }
        result.finish(journey.pointee)
        freeJourneys.give(k, journeys)
    }

    // MARK: Order where paths meet

    /// The classes a job counts in before it is served.
    @inline(__always)
    private func classes(_ job: borrowing Job) -> UInt64 {
        let node = nodes[Int(job.node)]
        switch job.kind {
        case .item: return node.approaching
        case .arrival: return node.entering
        case .control: return node.after
        }
    }

    @inline(__always)
    private mutating func mark(_ j: Int32, _ classes: UInt64) { mark(epoch: jobs.base[Int(j)].epoch, classes) }

    @inline(__always)
    private mutating func mark(epoch: Int64, _ classes: UInt64) {
        if contests == 0 { return }
        let base = pending.base + slot(epoch) &* 2 &* contests
        var rest = classes
        while rest != 0 {
            base[rest.trailingZeroBitCount] &+= 1
            rest &= rest &- 1
        }
    }

    @inline(__always)
    private mutating func unmark(_ j: Int32, _ classes: UInt64) {
        if contests == 0 || classes == 0 { return }
        unmarkSome(jobs.base[Int(j)].epoch, classes)
    }

    private mutating func unmarkSome(_ epoch: Int64, _ classes: UInt64) {
        let base = pending.base + slot(epoch) &* 2 &* contests
        let bucket = Int(epochs.base[slot(epoch)].bucket)
        var rest = classes
        while rest != 0 {
            let k = rest.trailingZeroBitCount
            rest &= rest &- 1
            base[k] &-= 1
            if base[k] > 0 { continue }
            let contest = k &>> 1
            if k & 1 == 1 { advance(bucket, contest, past: epoch) }
            if waiting.base[bucket &* contests &+ contest].head >= 0 { woken.append((bucket, contest)) }
        }
    }

    /// Moves `first` on when it stands at `epoch`, which can no longer come there.
    private mutating func advance(_ bucket: Int, _ contest: Int, past epoch: Int64) {
        let at = bucket &* contests &+ contest
        if first[at] != epoch { return }
        var next = epochs[slot(epoch)].after
        while next >= 0, pending[slot(next) &* 2 &* contests &+ 2 &* contest &+ 1] == 0 {
            next = epochs[slot(next)].after
        }
        first[at] = next
        if waiting.base[at].head >= 0 { woken.append((bucket, contest)) }
    }

    /// Whether a job at a contested element must wait for an older or earlier one; `own` of its own origin are itself.
    private mutating func isBlocked(_ job: Job, _ contest: Int, own: Int32) -> Bool {
        if pending[slot(job.epoch) &* 2 &* contests &+ 2 &* contest] > own { return true }
        let oldestThere = first[Int(epochs.base[slot(job.epoch)].bucket) &* contests &+ contest]
        return oldestThere >= 0 && oldestThere < job.epoch
    }

    /// Makes a job wait if it must; it then counts as one that has come.
    private mutating func mustWait(_ j: Int32) -> Bool {
        let job = jobs[Int(j)]
        let node = nodes[Int(job.node)]
        let bucket = Int(epochs.base[slot(job.epoch)].bucket)
        let at = bucket &* contests &+ Int(node.contest)
        if waiting.base[at].head < 0, !isBlocked(job, Int(node.contest), own: 1) { return false }
        insert(j, into: waiting.base + at, byEpoch: true)
        unmark(j, node.approaching & ~node.after)
        woken.append((bucket, Int(node.contest)))
        return true
    }

    /// Queues what need not wait any more.
    private mutating func admitReady() {
        if isAdmitting || woken.isEmpty { return }
        isAdmitting = true
        while let (bucket, contest) = woken.popLast() {
            let at = bucket &* contests &+ contest
            while waiting.base[at].head >= 0 {
                let j = waiting.base[at].head
                let job = jobs[Int(j)]
                if isBlocked(job, contest, own: 0) { break }
                _ = waiting.base[at].popFirst(jobs.base)
                // Until it is served it counts as one that still comes, so that none passes it in the queue.
                let node = nodes[Int(job.node)]
                mark(j, node.approaching & ~node.after)
                if first[at] < 0 || first[at] > job.epoch { first[at] = job.epoch }
                jobs.base[Int(j)].isAdmitted = true
                enqueue(j)
            }
        }
        isAdmitting = false
    }

    private mutating func insert(_ j: Int32, into list: UnsafeMutablePointer<List>, byEpoch: Bool) {
        let base = jobs.base
        func precedes(_ x: Int32, _ y: Int32) -> Bool {
            let (a, b) = (base + Int(x), base + Int(y))
            if byEpoch, a.pointee.epoch != b.pointee.epoch { return a.pointee.epoch < b.pointee.epoch }
            return a.pointee.order < b.pointee.order
        }
        let tail = list.pointee.tail
        if tail < 0 || !precedes(j, tail) {
            list.pointee.append(j, base)
            return
        }
        var before: Int32 = -1
        var at = list.pointee.head
        while !precedes(j, at) {
            before = at
            at = base[Int(at)].next
        }
        base[Int(j)].next = at
        if before < 0 { list.pointee.head = j } else { base[Int(before)].next = j }
        list.pointee.count &+= 1
    }

    // MARK: Arrivals

    /// The next packet begins to come in at its port, which takes one frame after the other.
    private mutating func arrive() {
        result.offered &+= 1
        if result.offered == 1 { result.start = now }
        guard let (arrived, key, time) = work.arrive() else {
            result.drops[Outcome.Drop.noItems.rawValue] &+= 1
            return
        }
        let node = nodes[Int(arrived.node)]
        let wireTime = mac.wireTime(Int(arrived.length))
        let end = min(max(now, rxFree[Int(node.wire)]) &+ wireTime, latestTime)
        rxFree[Int(node.wire)] = end
        result.rxBusy &+= wireTime
        var job = arrived
        job.epoch = begin(key, time: time, isPacket: true, node.entering)
        let j = add(job)
        mark(j, node.entering)
        jobs.base[Int(j)].time = end
        receiving.base[Int(node.wire)].append(j, jobs.base)
        if end < nextReceived {
            nextReceived = end
            nextWire = Int(node.wire)
        }
    }

    /// A port has taken in a whole frame; what the MAC cannot take in at its rate waits, or is lost.
    private mutating func receive() {
        guard let j = receiving.base[nextWire].popFirst(jobs.base) else { return }
        nextReceived = .max
        for wire in 0..<receiving.capacity where receiving[wire].head >= 0 {
            let time = jobs.base[Int(receiving[wire].head)].time
            if time < nextReceived {
                nextReceived = time
                nextWire = wire
            }
        }
        epochs.base[slot(jobs.base[Int(j)].epoch)].arrival = now
        let begin = max(now, macFree)
        if begin &- now > macSlack, !isUnlimited {
            drop(j, .macRate, classes(jobs[Int(j)]))
            return
        }
        macFree = begin &+ macInterval
        if begin == now {
            enqueue(j)
        } else {
            macWaiting.append(j, jobs.base)
            events.plan(.macDone, at: begin, 0)
        }
    }

    /// A frame waits at a port to be sent, and is; its time is that at which its last bit leaves.
    private mutating func transmit(_ j: Int32) {
        let job = jobs[Int(j)]
        let wire = Int(nodes[Int(job.node)].wire)
        let places = txLeaves.base + wire &* mac.txQueue
        // As many as may wait, and the one on the wire, have not left.
        if places[txOldest[wire]] > now, !isUnlimited {
            lose(job, .portTxFull)
            if work.awaitsSending { work.abandon(job) }
        } else {
            let wireTime = mac.wireTime(Int(job.length))
            let start = max(now, txFree[wire])
            txFree[wire] = min(start &+ wireTime, latestTime)
            result.txBusy &+= wireTime
            places[txOldest[wire]] = start
            txOldest[wire] = txOldest[wire] &+ 1 == mac.txQueue ? 0 : txOldest[wire] &+ 1
            if job.journey >= 0 {
                let journey = journeys.base + Int(job.journey)
                journey.pointee.emitted = max(journey.pointee.emitted, txFree[wire])
            } else {
                let epoch = epochs.base + slot(job.epoch)
                epoch.pointee.emitted = max(epoch.pointee.emitted, txFree[wire])
            }
            if work.awaitsSending { return events.plan(.wireOut, at: txFree[wire], j) }
        }
        remove(j)
    }

    /// The last bit of a frame has left, and whoever waits for it may answer.
    private mutating func sent(_ j: Int32) {
        work.sent(jobs[Int(j)], at: now)
        remove(j)
        takeControls()
    }

    // MARK: Executors

    private mutating func enqueue(_ j: Int32) {
        if nodes[Int(jobs.base[Int(j)].node)].isHost {
            enqueue(j, host, .hostQueueFull)
        } else {
            enqueue(j, nic, .nicQueueFull)
        }
    }

    @inline(__always)
    private mutating func enqueue(_ j: Int32, _ executor: UnsafeMutablePointer<Executor>, _ reason: Outcome.Drop) {
        let job = jobs.base + Int(j)
        let queue = executor.pointee.queue(epochs.base[slot(job.pointee.epoch)].key)
        // What waited for its turn was already taken in, and calls must be heard.
        if executor.pointee.queues[queue].count >= executor.pointee.limit, job.pointee.isNew, !job.pointee.isAdmitted,
            job.pointee.kind != .control, !isUnlimited
        {
            drop(j, reason, classes(job.pointee))
            return
        }
        executor.pointee.queues.base[queue].append(j, jobs.base)
        dispatch(executor, queue)
    }

    /// Starts services as long as items wait and threads are free.
    private mutating func dispatch(_ executor: UnsafeMutablePointer<Executor>, _ queue: Int) {
        if isDispatching {
            unserved.append((executor, queue))
            return
        }
        isDispatching = true
        serveAll(executor, queue)
        while let (executor, queue) = unserved.popLast() { serveAll(executor, queue) }
        isDispatching = false
    }

    private mutating func serveAll(_ executor: UnsafeMutablePointer<Executor>, _ queue: Int) {
        let outwards = executor == nic ? toHost : toNIC
        while executor.pointee.queues[queue].head >= 0, outwards.pointee.blocked.head < 0,
            let core = executor.pointee.takeThread(queue)
        {
            guard let j = executor.pointee.queues.base[queue].popFirst(jobs.base) else { break }
            serve(j, executor, core)
        }
    }

    private mutating func serve(_ j: Int32, _ executor: UnsafeMutablePointer<Executor>, _ core: Int) {
        let epochNumber = jobs.base[Int(j)].epoch
        freePlace(j)
        // The service itself is part of the origin's work until it ends.
        epochs.base[slot(epochNumber)].jobs &+= 1
        var cost = Cost()
        var out = List()
        var sent = List()
        var visits = 0
        work.beginService()
        worklist.pointee.append(j, jobs.base)
        while let v = worklist.pointee.popFirst(jobs.base) {
            let job = jobs.base + Int(v)
            let node = nodes[Int(job.pointee.node)]
            if node.contest >= 0, job.pointee.kind == .item, !job.pointee.isAdmitted, mustWait(v) { continue }
            if job.pointee.isNew { cost.compute &+= executor.pointee.perItem }
            if job.pointee.interrupts { cost.compute &+= interruptTime }
            visits &+= 1
            let isItem = job.pointee.kind == .item
            let at = job.pointee.node
            let before = contests == 0 ? 0 : classes(job.pointee)
            let level = job.pointee.level
            let parked = job.pointee.parked
            let journey = job.pointee.journey
            if journey >= 0 {
                journeys.base[Int(journey)].jobs &+= 1
                travelling.append(journey)
            }
            let n = work.visit(job, &cost)
            var isParked = false
            let isHeld = work.holds
            if isHeld { hold(v) }
            for k in 0..<n {
                let child = work.children[k]
                let edge = edges[Int(child.edge)]
                // The last child takes the place of the job that made it.
                let next = k == n &- 1 ? v : add(epochNumber)
                jobs.base[Int(next)].become(child, at: edge.to, child.isSame ? level : .whole)
                if child.isSame, parked > 0 {
                    jobs.base[Int(next)].parked = parked
                    isParked = true
                }
                var way = journey
                if child.isReleased {
                    way = beginJourney(at: at, child.length)
                    resume(next, executor == host ? node.arriving : .whole, from: at)
                }
                if way >= 0 {
                    jobs.base[Int(next)].journey = way
                    journeys.base[Int(way)].jobs &+= 1
                }
                mark(next, nodes[Int(edge.to)].approaching)
                if edge.crosses {
                    cost.compute &+= executor.pointee.send
                    out.append(next, jobs.base)
                } else {
                    insert(next, into: worklist, byEpoch: false)
                }
            }
            if before != 0 { unmarkSome(epochNumber, before) }
            // Nobody has the packet any more, so nobody will ask for the rest of it.
            if parked > 0, n > 0, !isParked, !isHeld { self.parked &-= Int64(parked) }
            // The last child has taken the place of the job.
            if journey >= 0, n > 0 { leave(journey: journey) }
            if n == 0 {
                if node.wire >= 0, isItem { sent.append(v, jobs.base) } else { remove(v) }
            }
        }
        if visits == 0 {
            executor.pointee.giveThread(core)
            release(epochNumber)
            admitReady()
            return
        }
        let end = executor.pointee.serve(core, now, cost)
        // Two items of a flow leave in the order in which they started, never at one time.
        let bucket = Int(epochs.base[slot(epochNumber)].bucket)
        let leaves = max(end, executor.pointee.lastLeave[bucket] &+ 1)
        executor.pointee.lastLeave[bucket] = leaves
        epochs.base[slot(epochNumber)].lastWork = max(epochs.base[slot(epochNumber)].lastWork, leaves)
        while let k = travelling.popLast() {
            journeys.base[Int(k)].lastWork = max(journeys.base[Int(k)].lastWork, leaves)
            leave(journey: k)
        }
        while let (node, length, arrival) = holding.popLast() {
            heldAfter[place(node, length)] = leaves &- arrival
            heldLast[Int(node)] = leaves &- arrival
        }
        let s = addService(
            Service(
                epoch: epochNumber,
                out: out,
                sent: sent,
                core: Int32(core),
                isHost: executor == host,
                leaves: leaves
            )
        )
        events.plan(.serviceEnd, at: end, s)
        admitReady()
    }

    /// The element keeps the packet for a while: the rest of its way will be a journey, and what is parked of it stays there.
    private mutating func hold(_ j: Int32) {
        let job = jobs.base + Int(j)
        let epoch = epochs.base + slot(job.pointee.epoch)
        if job.pointee.journey >= 0 {
            journeys.base[Int(job.pointee.journey)].isHeld = true
            holding.append((job.pointee.node, job.pointee.length, journeys[Int(job.pointee.journey)].arrival))
        } else {
            epoch.pointee.isHeld = true
            holding.append((job.pointee.node, job.pointee.length, epoch.pointee.arrival))
        }
        // What comes back whole is taken to be whole.
        if nodes[Int(job.pointee.node)].arriving == .whole { return unpark(j) }
        heldParked[Int(job.pointee.node)] &+= Int64(job.pointee.parked)
        job.pointee.parked = 0
    }

    /// What was not on the host when node `node` held it still waits on the NIC; of what was held before the replay nothing does.
    private mutating func resume(_ j: Int32, _ level: Routes.Level, from node: Int32) {
        let job = jobs.base + Int(j)
        job.pointee.level = level
        if level == .whole { return }
        let rest = min(Int64(job.pointee.length) &- Int64(bytes(job.pointee, level)), heldParked[Int(node)])
        heldParked[Int(node)] &-= rest
        job.pointee.parked = UInt32(rest)
    }

    private mutating func addService(_ service: Service) -> Int32 {
        let s = freeServices.take(&services)
        services.base[Int(s)] = service
        return s
    }

    private mutating func serviceEnded(_ s: Int32) {
        let service = services[Int(s)]
        if service.leaves > now { events.plan(.leave, at: service.leaves, s) } else { leave(s) }
        let executor = service.isHost ? host : nic
        executor.pointee.giveThread(Int(service.core))
        dispatch(executor, executor.pointee.isShared ? 0 : Int(service.core))
    }

    /// What a service let go leaves its side.
    private mutating func leave(_ s: Int32) {
        var service = services[Int(s)]
        freeServices.give(s, services)
        while let j = service.out.popFirst(jobs.base) {
            send(j, to: service.isHost ? .nic : .host)
        }
        while let j = service.sent.popFirst(jobs.base) { transmit(j) }
        release(service.epoch)
        admitReady()
    }

    // MARK: The channel

    /// Sends an item to the other side, when the ring has a place for it and for all before it. Calls need none.
    private mutating func send(_ j: Int32, to side: Side) {
        let direction = side == .host ? toHost : toNIC
        if direction.pointee.blocked.head >= 0
            || direction.pointee.places >= direction.pointee.ring && jobs.base[Int(j)].kind != .control && !isUnlimited
        {
            direction.pointee.blocked.append(j, jobs.base)
            direction.pointee.tally.stalls &+= 1
            return
        }
        move(j, to: side)
    }

    /// A place in the ring towards `side` is free: what waited for it goes, and its executor goes on when nothing waits any more.
    private mutating func unblock(_ side: Side) {
        let direction = side == .host ? toHost : toNIC
        if direction.pointee.blocked.head < 0 { return }
        while direction.pointee.places < direction.pointee.ring || isUnlimited,
            let j = direction.pointee.blocked.popFirst(jobs.base)
        {
            move(j, to: side)
        }
        if direction.pointee.blocked.head >= 0 { return }
        let sender = side == .host ? nic : host
        for queue in 0..<sender.pointee.queues.capacity { dispatch(sender, queue) }
    }

    /// The item leaves its place in the ring towards the host.
    private mutating func freePlace(_ j: Int32) {
        if !jobs.base[Int(j)].hasPlace { return }
        jobs.base[Int(j)].hasPlace = false
        toHost.pointee.places &-= 1
        unblock(.host)
    }

    private mutating func move(_ j: Int32, to side: Side) {
        let job = jobs.base + Int(j)
        let needs = job.pointee.kind == .control ? .whole : edges[Int(job.pointee.edge)].needs
        // What stayed on the NIC need not come back.
        let level = side == .host ? needs : min(needs, job.pointee.level)
        let bytes = bytes(job.pointee, level)
        job.pointee.isNew = true
        if side == .host {
            job.pointee.level = level
            let rest = UInt32(Int(job.pointee.length) &- bytes)
            if rest > 0, level < .whole {
                if parked &+ Int64(rest) > parking, !isUnlimited {
                    drop(j, .parkingFull, classes(job.pointee))
                    return
                }
                parked &+= Int64(rest)
                result.parked = max(result.parked, parked)
                job.pointee.parked = rest
            }
        } else {
            job.pointee.level = .whole
        }
        transfer(j, bytes, side == .host ? toHost : toNIC, isUp: side == .host)
    }

    /// What crosses of an item.
    @inline(__always)
    private func bytes(_ job: borrowing Job, _ level: Routes.Level) -> Int {
        switch level {
        case .descriptor: 0
        case .headers: min(Int(job.headers), Int(job.length))
        case .whole: Int(job.length)
        }
    }

    /// What was parked of an item is not needed any more.
    @inline(__always)
    private mutating func unpark(_ j: Int32) {
        parked &-= Int64(jobs.base[Int(j)].parked)
        jobs.base[Int(j)].parked = 0
    }

    /// Moves an item over the link. Each limit is a server of its own, with a queue before it: what waits for one leaves the others
    /// free for those behind.
    @inline(__always)
    private mutating func transfer(
        _ j: Int32,
        _ bytes: Int,
        _ direction: UnsafeMutablePointer<Direction>,
        isUp: Bool
    ) {
        direction.pointee.places &+= 1
        if isUp { jobs.base[Int(j)].hasPlace = true }
        let steps = direction.pointee.nextSteps(link)
        let moved = steps.link + (isUp ? link.write(bytes) : link.read(bytes))
        let (up, down) = ((Int64(moved.up) &* byteTime) &>> 20, (Int64(moved.down) &* byteTime) &>> 20)
        // Descriptors are read ahead: an item waits until the read of one has begun, not until it has come.
        var start = now
        if steps.fetched > 0 { start = reads.pointee.begin(start, steps.fetched) }
        if bytes > 0 {
            start = isUp ? writes.pointee.begin(start, bytes) : reads.pointee.begin(start, bytes)
        }
        var last = start
        if steps.writtenBack > 0 {
            // The host sees a packet when it sees its descriptor; that of a sent one nobody waits for, and it is of one sent before.
            let begun = writes.pointee.begin(isUp ? start : now, steps.writtenBack)
            if isUp { last = begun }
        }
        // The bytes of the other direction take room there, but do not hold this transfer up.
        let onLink: Int64
        if isUp {
            linkFree.up = max(start, linkFree.up) &+ up
            linkFree.down = max(linkFree.down, now) &+ down
            onLink = linkFree.up
        } else {
            linkFree.down = max(start, linkFree.down) &+ down
            linkFree.up = max(linkFree.up, now) &+ up
            onLink = linkFree.down
        }
        let latency = (isUp ? writing : reading).latency(of: bytes)
        let delivered = max(direction.pointee.lastDelivery, onLink, last &+ latency)
        direction.pointee.lastDelivery = delivered
        direction.pointee.tally.transfers &+= 1
        direction.pointee.tally.bytes &+= Int64(bytes)
        jobs.base[Int(j)].time = delivered
        direction.pointee.items.append(j, jobs.base)
        if direction.pointee.items.count == 1 { events.plan(.delivery, at: delivered, isUp ? 0 : 1) }
    }

    private mutating func deliver(_ side: Side) {
        if side == .host {
            guard let j = toHost.pointee.items.popFirst(jobs.base) else { return }
            if toHost.pointee.items.head >= 0 {
                events.plan(.delivery, at: jobs.base[Int(toHost.pointee.items.head)].time, 0)
            }
            guard let interruption else { return enqueue(j) }
            announced.append(j, jobs.base)
            if announced.count >= interruption.after {
                raiseInterrupt()
            } else if announced.count == 1 {
                events.plan(.interrupt, at: now &+ Int64(interruption.within), interrupt)
            }
        } else {
            guard let j = toNIC.pointee.items.popFirst(jobs.base) else { return }
            if toNIC.pointee.items.head >= 0 {
                events.plan(.delivery, at: jobs.base[Int(toNIC.pointee.items.head)].time, 1)
            }
            toNIC.pointee.places &-= 1
            unpark(j)
            unblock(.nic)
            enqueue(j)
        }
    }

    private mutating func raiseInterrupt() {
        interrupt &+= 1
        result.interrupts &+= 1
        if announced.head >= 0 { jobs.base[Int(announced.head)].interrupts = true }
        while let j = announced.popFirst(jobs.base) { enqueue(j) }
    }
}

/// A list of jobs, linked through them.
struct List: BitwiseCopyable {
    var head: Int32 = -1
    var tail: Int32 = -1
    var count: Int32 = 0

    @inline(__always)
    mutating func append(_ j: Int32, _ jobs: UnsafeMutablePointer<Job>) {
        jobs[Int(j)].next = -1
        if tail < 0 { head = j } else { jobs[Int(tail)].next = j }
        tail = j
        count &+= 1
    }

    @inline(__always)
    mutating func popFirst(_ jobs: UnsafeMutablePointer<Job>) -> Int32? {
        let j = head
        if j < 0 { return nil }
        head = jobs[Int(j)].next
        if head < 0 { tail = -1 }
        count &-= 1
        return j
    }
}

/// An arrival or call and all that it led to, while any of that is under way.
struct Epoch: BitwiseCopyable {
    var arrival: Int64 = 0
    /// Functional time in nanoseconds.
    var time: Int64 = 0
    /// The end of the last service that put something on a wire; -1 when none has.
    var emitted: Int64 = -1
    var lastWork: Int64 = 0
    /// Neighbours among the origins in flight with this bucket; -1 for none.
    var before: Int64 = -1
    var after: Int64 = -1
    var control = Control(node: 0, first: 0, count: 0, time: 0, after: 0)
    var jobs: Int32 = 0
    /// How many calls of the control were made.
    var told: Int32 = 0
    var key: UInt32 = 0
    var bucket: Int32 = 0
    var isPacket = true
    var isDropped = false
    /// An element keeps the packet: its latency is that of its journey.
    var isHeld = false
    var isDone = false
}

/// The way of a packet that was held, from the call that let it go.
struct Journey: Linked {
    /// When it would have come if it had not been held.
    var arrival: Int64 = 0
    var emitted: Int64 = -1
    var lastWork: Int64 = 0
    var jobs: Int32 = 0
    var next: Int32 = -1
    var isDropped = false
    /// Another element keeps it: the rest is another journey.
    var isHeld = false
}

/// One item's stay on a hardware thread.
struct Service: Linked {
    var epoch: Int64 = 0
    /// What leaves the side when it ends.
    var out = List()
    /// What a port sends when it ends.
    var sent = List()
    var core: Int32 = 0
    var isHost = false
    var leaves: Int64 = 0
    var next: Int32 = -1
}

struct EdgeFacts: BitwiseCopyable {
    var to: Int32 = 0
    var crosses = false
    var needs = Routes.Level.whole
}

struct NodeFacts: BitwiseCopyable {
    var isHost = false
    /// The number of the wire that it is; -1 when it is none.
    var wire: Int32 = -1
    var arriving = Routes.Level.whole
    var contest: Int32 = -1
    var after: UInt64 = 0
    var approaching: UInt64 = 0
    var entering: UInt64 = 0
}
