// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Runs a graph as fast as the machine allows, on one thread.
///
/// Batches move along queueing edges, so elements never call each other. A source supplies a batch, then the elements run in
/// topological order, round after round, until every edge is empty.
///
/// The output is what it would be if each packet went all the way through before the next came in, whatever the batch size:
/// - Every queue holds items in order of their ``Turn``. At a merge point items are handed on in that order, and only up to the
///   turn that all paths have reached.
/// - A cycle admits one item at a time: the next waits until everything that one caused is through. An element that rarely
///   sends items round the cycle (a flow table whose flows are known) gets whole batches, and stops itself where it must.
/// - When a flow ends, its table takes nothing further until all elements with state for the flow have been told.
/// - A batch ends before a timer that is armed, or could be armed by its items, is due.
///
/// Only drops caused by an empty pool depend on batches.
public final class DirectRuntime {
    /// The graph being run. Its counters can be read afterwards.
    public let instance: Instance
    /// Notified of every item that moves along an edge; for taps and traces.
    public var observer: (any RunObserver)? {
        get { watcher }
        set { watcher = newValue }
    }
    /// Polled now and then; true ends the run as if the input had ended.
    public var shouldStop: (() -> Bool)? {
        get { stopAsked }
        set { stopAsked = newValue }
    }
    /// Whether the elements are told that the input has ended, and flush their buffers. If not, the instance can be run again.
    public var endsElements = true
    /// How functional time advances while no packet is ready.
    public var clock: any Clock = CaptureTime()
    /// The number of back edges an item may cross before it is dropped as `loop`.
    public static let maximumHops: UInt8 = 64
    /// The number of rounds for which one packet or timer may keep items moving: after that, everything that would go round
    /// again is dropped as `loop`. A conversation between elements can be that long, but not endless.
    public static let maximumRounds = 1 << 20
    /// ``maximumRounds`` for this run alone.
    public var mostRounds = DirectRuntime.maximumRounds

    // Stored privately, so that no batch pays for an exclusivity check.
    private var watcher: (any RunObserver)?
    private var stopAsked: (() -> Bool)?
    private var isObserved = false
    /// Steps since it was last asked whether to stop.
    private var asked = 0
    private let inlets: UnsafeMutablePointer<Inlets>
    /// The most items handed to an element at a time.
    private let batch: Int
    private let stations: UnsafeMutableBufferPointer<Station>
    private let unused: UnsafeMutableBufferPointer<Instance.Unused>
    /// For each cycle its edges.
    private let rounds: [UnsafeMutableBufferPointer<UnsafeMutablePointer<EdgeQueue>>]
    private let nodes: UnsafeMutablePointer<NodeState>
    private let runState: UnsafeMutablePointer<RunState>
    private let borrowed: UnsafeMutablePointer<Unmanaged<ElementBase>>
    private let items: UnsafeMutablePointer<Item>
    private let turns: UnsafeMutablePointer<Turn>
    private let contract: Contract
    /// Room for one batch.
    private let scratch: UnsafeMutablePointer<Int32>
    /// At merge points, only items of earlier turns may pass in the current round.
    private var horizon = UInt64.max
    /// The cycle whose elements are running, and the horizon after it. The cycle's own elements ignore that horizon: they
    /// control what enters.
    private var cycle = -1
    private var cycleHorizon = UInt64.max
    private var isPending = false
    /// Something moved in the current round that may have to wait. Elements with a single edge that never wait are not counted:
    /// what they emit is seen by those downstream in the same round.
    private var hasMoved = false
    /// Rounds since the last packet or timer.
    private var roundCount = 0
    /// For each output of each element, the end of its queue before the current call; for observers.
    private var tails: [Int] = []

    /// Makes a runtime for `instance`, which can be run once.
    public convenience init(_ instance: Instance) { self.init(instance, entering: instance.options.batch) }

    /// The same with a source that may supply more items at a time than are handed to an element.
    init(_ instance: Instance, entering: Int) {
        self.instance = instance
        batch = instance.options.batch
        inlets = .allocate(capacity: 1)
        inlets.initialize(to: Inlets(instance))
        unused = instance.unused
        nodes = instance.nodes
        runState = instance.run
        borrowed = instance.borrowed
        items = instance.pool.items
        turns = instance.pool.turns
        contract = instance.contract
        scratch = .allocate(capacity: max(batch, entering, 1))
        let shape = instance.shape
        let edges = instance.spec.edges
        rounds = (0..<shape.cycles).map { cycle in
            heap(
                edges.indices.filter { shape.isRound(edges[$0]) && shape.cycle[edges[$0].from] == cycle }.map {
                    instance.queues[$0]
                }
            )
        }
        let made = Station.all(instance)
        stations = .allocate(capacity: made.count)
        _ = stations.initialize(from: made)
    }

    deinit {
        scratch.deallocate()
        inlets.deinitialize(count: 1)
        inlets.deallocate()
        for round in rounds { round.deallocate() }
        for station in stations { station.deallocate() }
        stations.deallocate()
    }

    /// State shared by all elements of the run.
    private var shared: RunState {
        @inline(__always) unsafeAddress { UnsafePointer(runState) }
        @inline(__always) unsafeMutableAddress { runState }
    }

    // MARK: Running

    /// Runs until all sources end; then finishes the elements and flushes their buffers.
    public func run() throws {
        begin()
        while step() != .ended {}
        if endsElements { try end() }
    }

    /// What a step did.
    enum Step {
        case worked
        /// Nothing has come.
        case idle
        /// The input has ended.
        case ended
    }

    /// Before the first step.
    func begin() {
        isObserved = watcher != nil
        // An instance that holds nothing may be run again: its packets are counted afresh.
        shared.arrived = 0
        shared.isFinishing = false
        asked = 0
        contract.begin(isOrdered: true)
    }

    /// Takes what has come, as far as one batch, and everything it causes; or fires timers.
    @inline(__always)
    func step() -> Step {
        // Polled only now and then: a signal need not be seen within a batch.
        if asked & 63 == 0 || isObserved, stopAsked?() == true { return .ended }
        asked &+= 1
        let (next, limit) = inlets.pointee.poll()
        switch next {
        case .ready(let time):
            if shared.nextDue <= time {
                fireTimers(until: time)
                return .worked
            }
            let n = inlets.pointee.take(
                isObserved ? min(batch, watcher?.mostPackets ?? batch) : batch,
                // At the end of representable time nothing is later than a packet.
                before: max(min(limit, shared.nextDue, instance.firstTimer(after: time)), time &+ 1),
                into: scratch
            )
            if n > 0 {
                receive(n, at: inlets.pointee.wire)
                drain()
            }
            inlets.pointee.notePassed()
            return .worked
        case .idle(let until):
            guard let time = clock.wait(until: min(until, shared.nextDue)) else { return .ended }
            if shared.nextDue <= time { fireTimers(until: time) }
            // Time has passed: whoever asks for the end need not wait for packets.
            asked = 0
            return .idle
        case .ended: return .ended
        }
    }

    /// After the last step: finishes the elements and flushes their buffers. What they release and tell then is caused by the last
    /// packet of the whole input, which another thread may have seen.
    func end(after last: Origin? = nil) throws {
        if let last { shared.origin = last }
        finish()
        try instance.flush()
    }

    /// The turn of the last packet, and the functional time reached.
    var reached: Turn { Turn(number: shared.origin.turn, now: shared.origin.now) }
    /// The earliest armed timer, in functional nanoseconds.
    var nextDue: Int64 { shared.nextDue }
    /// Packets that have entered.
    var arrived: UInt64 { shared.arrived }

    /// Puts the first `n` items of `scratch` on the wire's `rx`.
    private func receive(_ n: Int, at wire: Int) {
        let node = nodes + wire
        node.made &+= UInt64(n)
        let last = scratch[n - 1]
        let turn = Turn.of(Packet(items + Int(last)), turns + Int(last))
        shared.origin = Origin(time: turn.now, sequence: turn.number, turn: turn.number, now: turn.now)
        let queue = node.outputs
        (queue.buffer + queue.tail).update(from: scratch, count: n)
        queue.tail &+= n
        assert({ (0..<n).allSatisfy { contract.arrived(scratch[$0]) } }())
        contract.batchTime = instance.pool.now(scratch[0])
        if isObserved { for k in 0..<n { watcher?.received(scratch[k], at: wire, edge: Int(queue.edge)) } }
    }

    /// Runs the elements in order until every edge is empty and every ended flow has been reported.
    private func drain() {
        roundCount = 0
        shared.moment &+= 1
        repeat {
            while runOnce() {}
        } while deliverEndedFlows()
        assert(stations.allSatisfy(\.isAtRest), "items wait and nothing moves")
    }

    /// One round over all elements; true if another is needed.
    private func runOnce(before turn: UInt64 = .max) -> Bool {
        horizon = turn
        cycle = -1
        cycleHorizon = .max
        isPending = false
        hasMoved = false
        // Observers see one item at a time.
        let most = isObserved ? -1 : batch
        var station = stations.baseAddress!
        let end = station + stations.count
        while station < end {
            defer { station += 1 }
            guard let queue = station.pointee.single else {
                deliver(station.pointee)
                continue
            }
            let waiting = queue.tail &- queue.head
            if waiting == 0 { continue }
            let node = station.pointee.node
            if waiting <= most, !nodes[node].mustWait {
                // Nearly always one batch empties the queue.
                let index = queue.buffer + queue.head
                queue.moved &+= UInt64(truncatingIfNeeded: waiting)
                let refused = process(UnsafePointer(index), waiting, at: node, station.pointee.input)
                if _fastPath(!nodes[node].mustWait) {
                    queue.head = 0
                    queue.tail = 0
                } else {
                    stop(queue, refused, station.pointee)
                }
                continue
            }
            deliver(queue, to: station.pointee)
        }
        for unused in unused where unused.queue.tail != 0 { discard(unused) }
        roundCount &+= 1
        return isPending && hasMoved
    }

    /// Drops items emitted to unconnected outputs.
    private func discard(_ unused: Instance.Unused) {
        let node = nodes + unused.node
        let queue = unused.queue
        node.drops[instance.loopReason(unused.node) + 1 + unused.output] &+= UInt64(queue.tail)
        for k in 0..<queue.tail {
            assert(contract.lost(queue.buffer[k]))
            node.release(queue.buffer[k])
        }
        queue.tail = 0
    }

    // MARK: One edge

    /// The element has stopped: the items that it gave back remain on the edge.
    @inline(never)
    private func stop(_ queue: UnsafeMutablePointer<EdgeQueue>, _ refused: Int, _ station: Station) {
        hasMoved = true
        station.current.pointee = turn(queue.buffer[queue.tail &- refused &- 1])
        queue.head = queue.tail &- refused
        queue.moved &-= UInt64(refused)
        station.chunk.pointee = 1
        if refused > 0 { wait(before: station.current.pointee &+ 1) }
        moveDown(queue)
    }

    /// Something waits for the next round: until then items of this turn or later do not pass merge points.
    private func wait(before turn: UInt64) {
        if cycle >= 0 { cycleHorizon = min(cycleHorizon, turn) } else { horizon = min(horizon, turn) }
        isPending = true
    }

    /// Hands the items waiting on an edge to its element, batch by batch, as long as the element takes them.
    @inline(never)
    private func deliver(_ queue: UnsafeMutablePointer<EdgeQueue>, to station: Station) {
        let node = nodes + station.node
        while queue.head < queue.tail {
            if node.mustWait {
                wait(before: station.current.pointee &+ 1)
                break
            }
            let n = min(most(station), queue.tail &- queue.head)
            let index = UnsafePointer(queue.buffer + queue.head)
            let refused = handOver(index, n, at: station.node, station.input, edge: Int(queue.edge))
            let taken = n &- refused
            queue.head &+= taken
            queue.moved &+= UInt64(taken)
            station.current.pointee = turn(index[taken &- 1])
            grow(station, refused)
        }
        moveDown(queue)
    }

    /// The number of items to hand over next: fewer after the element has just stopped, as its look-ups for the rest are
    /// wasted.
    private func most(_ station: Station) -> Int { isObserved ? 1 : min(batch, station.chunk.pointee) }

    private func grow(_ station: Station, _ refused: Int) {
        station.chunk.pointee = refused > 0 ? 1 : min(batch, 2 &* station.chunk.pointee)
    }

    /// Moves the items still waiting on a queue to its beginning.
    private func moveDown(_ queue: UnsafeMutablePointer<EdgeQueue>) {
        let waiting = queue.tail &- queue.head
        if waiting > 0 {
            queue.buffer.update(from: queue.buffer + queue.head, count: waiting)
        }
        queue.head = 0
        queue.tail = waiting
    }

    // MARK: Merge points and cycles

    @inline(never)
    private func deliver(_ station: Station) {
        // The elements of a cycle run one after another.
        if station.cycle != cycle {
            horizon = min(horizon, cycleHorizon)
            cycle = station.cycle
            cycleHorizon = .max
        }
        if station.cycle >= 0 { deliverRound(station) }
        gather(station)
        if station.lane.head < station.lane.tail { deliverLane(station) }
        if station.cycle < 0 { return }
        // Until the cycle is empty, nothing passes a merge point with its outputs.
        for queue in rounds[station.cycle] where queue.head != queue.tail {
            wait(before: turn(queue.buffer[queue.head]))
        }
    }

    /// Moves items that arrive from outside a cycle to the element's lane: by turn, then by input, then by origin, up to the
    /// turn that all paths have reached.
    private func gather(_ station: Station) {
        let lane = station.lane
        if lane.head > 0 { moveDown(lane, station) }
        if station.entries.count == 2 { gatherTwo(station) }
        while true {
            // The entry whose first item comes first of all, and the earliest first item of the others.
            var best: UnsafeMutablePointer<Station.Entry>?
            var bestKey = MergeKey()
            var second = MergeKey()
            var isAlone = true
            for k in 0..<station.entries.count {
                let entry = station.entries.baseAddress! + k
                let queue = entry.pointee.queue
                if queue.head == queue.tail { continue }
                let key = mergeKey(queue.buffer[queue.head], entry.pointee.input)
                guard best != nil else {
                    best = entry
                    bestKey = key
                    continue
                }
                isAlone = false
                if key < bestKey {
                    second = bestKey
                    best = entry
                    bestKey = key
                } else if key < second {
                    second = key
                }
            }
            guard let best else { return }
            if bestKey.turn >= horizon { break }
            let queue = best.pointee.queue
            let n =
                isAlone && horizon == .max
                ? queue.tail &- queue.head : countRun(queue, best.pointee, before: second, isAlone)
            let from = queue.buffer + queue.head
            (lane.buffer + lane.tail).update(from: from, count: n)
            (station.laneEntries + lane.tail).update(
                repeating: UInt16(truncatingIfNeeded: best.pointee.number),
                count: n
            )
            lane.tail &+= n
            take(queue, upTo: queue.head &+ n)
        }
        isPending = true
        for entry in station.entries where entry.queue.head > 0 { moveDown(entry.queue) }
    }

    /// ``gather(_:)`` for two edges while items wait on both: these mostly alternate, so each item is moved by itself.
    private func gatherTwo(_ station: Station) {
        let (a, b) = (station.entries[0], station.entries[1])
        let (queueA, queueB) = (a.queue, b.queue)
        if queueA.head == queueA.tail || queueB.head == queueB.tail { return }
        let (numberA, numberB) = (UInt16(truncatingIfNeeded: a.number), UInt16(truncatingIfNeeded: b.number))
        var (atA, atB) = (queueA.head, queueB.head)
        let (endA, endB) = (queueA.tail, queueB.tail)
        var (keyA, keyB) = (mergeKey(queueA.buffer[atA], a.input), mergeKey(queueB.buffer[atB], b.input))
        let lane = station.lane
        var tail = lane.tail
        let (buffer, numbers) = (lane.buffer, station.laneEntries)
        while true {
            if !(keyB < keyA) {
                if keyA.turn >= horizon { break }
                buffer[tail] = queueA.buffer[atA]
                numbers[tail] = numberA
                tail &+= 1
                atA &+= 1
                if atA == endA { break }
                keyA = mergeKey(queueA.buffer[atA], a.input)
            } else {
                if keyB.turn >= horizon { break }
                buffer[tail] = queueB.buffer[atB]
                numbers[tail] = numberB
                tail &+= 1
                atB &+= 1
                if atB == endB { break }
                keyB = mergeKey(queueB.buffer[atB], b.input)
            }
        }
        lane.tail = tail
        take(queueA, upTo: atA)
        take(queueB, upTo: atB)
    }

    /// The items of an edge before `at` have moved on.
    @inline(__always)
    private func take(_ queue: UnsafeMutablePointer<EdgeQueue>, upTo at: Int) {
        queue.moved &+= UInt64(truncatingIfNeeded: at &- queue.head)
        queue.head = at
        if at == queue.tail {
            queue.head = 0
            queue.tail = 0
        }
    }

    /// The number of items of one edge, starting with its first, that precede all others at the merge point.
    private func countRun(
        _ queue: UnsafeMutablePointer<EdgeQueue>,
        _ entry: Station.Entry,
        before second: MergeKey,
        _ isAlone: Bool
    ) -> Int {
        var at = queue.head &+ 1
        while at < queue.tail {
            let key = mergeKey(queue.buffer[at], entry.input)
            if key.turn >= horizon || !isAlone && !(key < second) { break }
            at &+= 1
        }
        return at &- queue.head
    }

    private func moveDown(_ lane: UnsafeMutablePointer<EdgeQueue>, _ station: Station) {
        let waiting = lane.tail &- lane.head
        if waiting > 0 {
            station.laneEntries.update(from: station.laneEntries + lane.head, count: waiting)
        }
        moveDown(lane)
    }

    /// An item's position in the order of a merge point.
    private struct MergeKey {
        var turn: UInt64 = .max
        var input = 0
        var sequence: UInt64 = 0
        var made: UInt16 = 0

        @inline(__always)
        static func < (a: MergeKey, b: MergeKey) -> Bool {
            if a.turn != b.turn { return a.turn < b.turn }
            if a.input != b.input { return a.input < b.input }
            if a.sequence != b.sequence { return a.sequence < b.sequence }
            return a.made < b.made
        }
    }

    @inline(__always)
    private func mergeKey(_ i: Int32, _ input: Int) -> MergeKey {
        let item = Packet(items + Int(i))
        return MergeKey(turn: turn(i), input: input, sequence: item.sequence, made: item.made)
    }

    @inline(__always)
    private func turn(_ i: Int32) -> UInt64 { Turn.of(Packet(items + Int(i)), turns + Int(i)).number }

    /// Hands over the items in an element's lane, as far as they may enter now.
    private func deliverLane(_ station: Station) {
        let lane = station.lane
        let node = nodes + station.node
        while lane.head < lane.tail {
            let head = lane.head
            let next = turn(lane.buffer[head])
            if node.mustWait { return wait(before: station.current.pointee &+ 1) }
            if station.cycle >= 0, let earlier = obstacle(to: station, next) { return wait(before: earlier) }
            let entry = station.entries[Int(station.laneEntries[head])]
            var n = 1
            if entry.takesBatches {
                let most = min(most(station), lane.tail &- head)
                if station.hasOneInput {
                    n = most
                } else {
                    while n < most, station.entries[Int(station.laneEntries[head &+ n])].input == entry.input {
                        n &+= 1
                    }
                }
            }
            let index = UnsafePointer(lane.buffer + head)
            node.isEntering = station.cycle >= 0
            let refused = handOver(index, n, at: station.node, entry.input, edge: Int(entry.queue.edge))
            node.isEntering = false
            let taken = n &- refused
            lane.head = head &+ taken
            station.current.pointee = turn(index[taken &- 1])
            grow(station, refused)
            // An item sent round the cycle is what it stopped for.
            if !node.endsFlows { node.mustWait = false }
        }
        lane.head = 0
        lane.tail = 0
    }

    /// The turn of the item that keeps one of turn `turn` from entering a cycle: something is under way in it, or something
    /// earlier waits to enter elsewhere. Nil if it may enter.
    private func obstacle(to station: Station, _ turn: UInt64) -> UInt64? {
        for queue in rounds[station.cycle] where queue.head != queue.tail {
            return self.turn(queue.buffer[queue.head])
        }
        for number in station.siblings {
            let sibling = stations[number]
            var next = UInt64.max
            for entry in sibling.entries where entry.queue.head != entry.queue.tail {
                next = min(next, self.turn(entry.queue.buffer[entry.queue.head]))
            }
            if sibling.lane.head < sibling.lane.tail {
                next = min(next, self.turn(sibling.lane.buffer[sibling.lane.head]))
            }
            if next < turn || next == turn && next != .max && number < station.number { return next }
        }
        return nil
    }

    /// Hands over the items going round a cycle, input by input: those waiting now. Items the element itself sends round are
    /// for the next round, in which their hops are counted. So no cycle runs forever, and no queue holds more items than the
    /// pool has.
    private func deliverRound(_ station: Station) {
        let node = nodes + station.node
        // A table that has ended flows to report takes nothing further until it has.
        let most = isObserved || node.tells ? 1 : batch
        for feed in station.round {
            for queue in feed.queues {
                countHops(queue, to: station.node)
                queue.end = queue.tail
            }
            while !node.mustWait {
                var n = 0
                var edge = -1
                while n < most {
                    var best: UnsafeMutablePointer<EdgeQueue>?
                    var bestKey = MergeKey()
                    for queue in feed.queues where queue.head < queue.end {
                        let key = mergeKey(queue.buffer[queue.head], 0)
                        if best == nil || key < bestKey {
                            best = queue
                            bestKey = key
                        }
                    }
                    guard let best else { break }
                    scratch[n] = best.buffer[best.head]
                    edge = Int(best.edge)
                    best.head &+= 1
                    best.moved &+= 1
                    best.counted &-= 1
                    n &+= 1
                }
                if n == 0 { break }
                let refused = handOver(UnsafePointer(scratch), n, at: station.node, feed.input, edge: edge)
                precondition(refused == 0, "an element may stop only what comes into a cycle")
            }
            for queue in feed.queues { moveDown(queue) }
        }
    }

    /// Counts a back edge for all items waiting on it; items over the limit are dropped, so no cycle hangs.
    private func countHops(_ queue: UnsafeMutablePointer<EdgeQueue>, to number: Int) {
        let node = nodes + number
        let most = roundCount < mostRounds ? DirectRuntime.maximumHops : 0
        var kept = queue.head &+ queue.counted
        for k in kept..<queue.tail {
            let i = queue.buffer[k]
            if queue.isBack { items[Int(i)].hops += 1 }
            if items[Int(i)].hops <= most {
                queue.buffer[kept] = i
                kept += 1
            } else {
                node.entered &+= 1
                queue.moved &+= 1
                node.drops[instance.loopReason(number)] &+= 1
                assert(contract.lost(i))
                node.release(i)
                hasMoved = true
            }
        }
        queue.tail = kept
        queue.counted = kept &- queue.head
    }

    // MARK: Calls

    /// Hands items to an element, and notifies observers; returns how many it gave back.
    private func handOver(_ index: UnsafePointer<Int32>, _ n: Int, at number: Int, _ input: Int, edge: Int) -> Int {
        hasMoved = true
        guard isObserved, let watcher else { return process(index, n, at: number, input) }
        watcher.moved(Batch(items: items, index: index, count: n), edge: edge)
        noteTails(number)
        let refused = process(index, n, at: number, input)
        tellEmitted(number, watcher)
        watcher.worked(number)
        return refused
    }

    @inline(__always)
    private func process(_ index: UnsafePointer<Int32>, _ n: Int, at number: Int, _ input: Int) -> Int {
        let node = nodes + number
        node.entered &+= UInt64(truncatingIfNeeded: n)
        let batch = Batch(items: items, index: index, count: n)
        let context = Context(items: items, node: node)
        assert(contract.handed(batch, to: Int32(number)))
        assert(contract.processes(true))
        borrowed[number]._withUnsafeGuaranteedRef { $0.process(batch, from: input, context) }
        assert(contract.processes(false))
        // Only an element that must wait gives items back.
        if _fastPath(!node.mustWait) {
            assert(contract.returned(nil, refused: 0, from: Int32(number)))
            return 0
        }
        let refused = node.refused
        assert(contract.returned(batch, refused: refused, from: Int32(number)))
        node.refused = 0
        node.entered &-= UInt64(truncatingIfNeeded: refused)
        return refused
    }

    /// Calls an element without items.
    private func call(_ number: Int, _ body: (ElementBase, Context) -> Void) {
        assert(contract.called(Int32(number)))
        shared.children = 0
        shared.moment &+= 1
        if isObserved { noteTails(number) }
        body(instance.elements[number], instance.context(number))
        assert(contract.returned(nil, refused: 0, from: Int32(number)))
        if isObserved, let watcher {
            watcher.called(number)
            tellEmitted(number, watcher)
            watcher.worked(number)
        }
    }

    private func noteTails(_ number: Int) {
        tails.removeAll(keepingCapacity: true)
        for output in instance.spec.nodes[number].element.outputs.indices {
            tails.append(nodes[number].outputs[output].tail)
        }
    }

    /// Notifies observers of the items an element emitted in the last call.
    private func tellEmitted(_ number: Int, _ watcher: any RunObserver) {
        for output in tails.indices {
            let queue = nodes[number].outputs + output
            if queue.edge < 0 { continue }
            for k in tails[output]..<max(tails[output], queue.tail) {
                watcher.emitted(queue.buffer[k], edge: Int(queue.edge))
            }
        }
    }

    // MARK: Ends and timers

    /// Tells elements of the flows that ended first among those pending; true if there were any.
    private func deliverEndedFlows() -> Bool {
        if shared.endedCount == 0 { return false }
        let origin = shared.origin
        var turn = UInt64.max
        for k in 0..<shared.endedCount { turn = min(turn, shared.ended[k].origin.turn) }
        var next = 0
        var kept = 0
        // More flows may end meanwhile.
        while next < shared.endedCount {
            let ended = shared.ended[next]
            next += 1
            let table = Int(ended.table)
            if ended.origin.turn > turn, nodes[table].tells {
                shared.ended[kept] = ended
                kept += 1
                continue
            }
            tell(ended)
            nodes[table].endsFlows = false
            nodes[table].mustWait = false
        }
        shared.endedCount = kept
        for k in 0..<kept {
            let table = Int(shared.ended[k].table)
            nodes[table].endsFlows = true
            nodes[table].mustWait = true
        }
        shared.origin = origin
        return true
    }

    private func tell(_ ended: EndedFlow) {
        let table = Int(ended.table)
        if isObserved { watcher?.began(.ended(ended), instance.subscribers[table] + [table]) }
        for number in instance.subscribers[table] {
            shared.origin = ended.origin
            call(number) { $0.flowEnded(ended.flow, ended.reason, $1) }
            // Items that the flow's end made an element release reach the next element before the end does.
            while runOnce(before: ended.origin.turn &+ 1) {}
        }
        shared.origin = ended.origin
        call(table) { $0.flowReleased(ended.flow, $1) }
    }

    /// Fires all timers due at or before `time`, earliest first, including those they arm up to then.
    private func fireTimers(until time: Int64) {
        while let timer = instance.takeTimer(until: time) {
            shared.origin.time = timer.due
            shared.origin.now = timer.due
            contract.firing = (Int32(timer.number), timer.due)
            if isObserved { watcher?.began(.timer(due: timer.due), [timer.number]) }
            call(timer.number) { $0.timer(timer.id, due: timer.due, $1) }
            contract.firing = nil
            contract.batchTime = timer.due
            drain()
        }
    }

    /// The end of input: elements release what they hold, upstream first.
    private func finish() {
        contract.batchTime = .min
        shared.isFinishing = true
        instance.finishAll { number in
            if isObserved { watcher?.began(.finish, [number]) }
            call(number) { $0.finish($1) }
            drain()
        }
    }
}

/// An element with inputs, as the direct runtime sees it.
private struct Station: BitwiseCopyable {
    /// The element's number in the graph, and the station's own.
    var node: Int
    var number: Int
    /// The input to hand items to, if there is only one edge.
    var input: Int
    /// The only incoming edge; nil at a merge point, or if the element is part of a cycle.
    var single: UnsafeMutablePointer<EdgeQueue>?
    /// The element's cycle; -1 for none.
    var cycle: Int
    /// All edges lead to one input.
    var hasOneInput: Bool
    /// Edges from outside the cycle, and those within it by input.
    var entries: UnsafeMutableBufferPointer<Entry>
    var round: UnsafeMutableBufferPointer<Feed>
    /// Items from outside in order of entry, and the entry that each came by.
    var lane: UnsafeMutablePointer<EdgeQueue>
    var laneEntries: UnsafeMutablePointer<UInt16>
    /// Other stations where items enter the same cycle.
    var siblings: UnsafeMutableBufferPointer<Int>
    /// The most items to hand over next.
    var chunk: UnsafeMutablePointer<Int>
    var current: UnsafeMutablePointer<UInt64>

    struct Entry: BitwiseCopyable {
        var number: Int
        var input: Int
        var queue: UnsafeMutablePointer<EdgeQueue>
        /// Whole batches may come this way.
        var takesBatches: Bool
    }
    struct Feed: BitwiseCopyable {
        var input: Int
        var queues: UnsafeMutableBufferPointer<UnsafeMutablePointer<EdgeQueue>>
    }

    /// The stations of a graph, in the order in which elements run.
    static func all(_ instance: Instance) -> [Station] {
        let (spec, shape) = (instance.spec, instance.shape)
        var arriving: [[Int]] = Array(repeating: [], count: spec.nodes.count)
        for (number, edge) in spec.edges.enumerated() { arriving[edge.to].append(number) }
        let placed = shape.order.filter { !arriving[$0].isEmpty }
        // For each cycle, the stations where items enter it.
        var doors: [[Int]] = Array(repeating: [], count: shape.cycles)
        for (number, node) in placed.enumerated() where shape.cycle[node] >= 0 {
            if arriving[node].contains(where: { !shape.isRound(spec.edges[$0]) }) {
                doors[shape.cycle[node]].append(number)
            }
        }
        return placed.enumerated().map { number, node in
            Station(
                node,
                number,
                arriving[node],
                siblings: shape.cycle[node] < 0 ? [] : doors[shape.cycle[node]].filter { $0 != number },
                instance
            )
        }
    }

    private init(_ node: Int, _ number: Int, _ arriving: [Int], siblings: [Int], _ instance: Instance) {
        let (edges, shape) = (instance.spec.edges, instance.shape)
        self.node = node
        self.number = number
        let cycle = shape.cycle[node]
        self.cycle = cycle
        self.siblings = heap(siblings)
        let stops = instance.elements[node].outputsThatStop
        let mayBeStopped = cycle >= 0 || instance.nodes[node].tells
        let isPlain = arriving.count == 1 && cycle < 0 && (stops != nil || !mayBeStopped)
        single = isPlain ? instance.queues[arriving[0]] : nil
        input = edges[arriving[0]].input
        hasOneInput = Set(arriving.map { edges[$0].input }).count == 1
        let outer = arriving.filter { !shape.isRound(edges[$0]) }.sorted {
            (edges[$0].input, $0) < (edges[$1].input, $1)
        }
        let leading = edges.filter { $0.from == node && shape.isRound($0) }.map(\.output)
        let takesBatches = !mayBeStopped || stops.map { Set(leading).isSubset(of: $0) } ?? false
        entries = heap(
            outer.enumerated().map { k, edge in
                Entry(number: k, input: edges[edge].input, queue: instance.queues[edge], takesBatches: takesBatches)
            }
        )
        let inner = arriving.filter { shape.isRound(edges[$0]) }
        round = heap(
            Set(inner.map { edges[$0].input }).sorted().map { input in
                Feed(input: input, queues: heap(inner.filter { edges[$0].input == input }.map { instance.queues[$0] }))
            }
        )
        let room = single == nil ? 2 * (instance.pool.capacity + 1) : 1
        lane = .allocate(capacity: 1)
        lane.initialize(to: EdgeQueue(buffer: .allocate(capacity: room)))
        laneEntries = .allocate(capacity: room)
        chunk = .allocate(capacity: 1)
        chunk.initialize(to: instance.options.batch)
        current = .allocate(capacity: 1)
        current.initialize(to: 0)
    }

    func deallocate() {
        entries.deallocate()
        for feed in round { feed.queues.deallocate() }
        round.deallocate()
        lane.buffer.deallocate()
        lane.deallocate()
        laneEntries.deallocate()
        siblings.deallocate()
        chunk.deallocate()
        current.deallocate()
    }

    /// Nothing waits to enter.
    var isAtRest: Bool {
        entries.allSatisfy { $0.queue.head == $0.queue.tail } && lane.head == lane.tail
            && round.allSatisfy { $0.queues.allSatisfy { $0.pointee.head == $0.pointee.tail } }
    }
}

/// A reason for calling elements without items.
public enum RunCall: Sendable {
    case timer(due: Int64)
    case ended(EndedFlow)
    case finish
}

/// Observes a run, for taps, traces and recordings. Items are reported one by one.
public protocol RunObserver: AnyObject {
    /// The most packets that may enter at a time.
    var mostPackets: Int { get }
    /// A packet has entered at a wire and is on its edge; -1 if the wire is not connected.
    func received(_ item: Int32, at wire: Int, edge: Int)
    /// The items of `batch` were taken off an edge and are about to be handed to the element it leads to.
    func moved(_ batch: Batch, edge: Int)
    /// Calls of these elements follow, one after another.
    func began(_ call: RunCall, _ numbers: [Int])
    /// Element `number` was called.
    func called(_ number: Int)
    /// The element that was called, or was handed items, emitted an item on an edge.
    func emitted(_ item: Int32, edge: Int)
    /// Element `number` has finished with the items it was handed.
    func worked(_ number: Int)
}

extension RunObserver {
    /// No limit: whole batches.
    public var mostPackets: Int { .max }
    /// Does nothing.
    public func received(_ item: Int32, at wire: Int, edge: Int) {}
    /// Does nothing.
    public func began(_ call: RunCall, _ numbers: [Int]) {}
    /// Does nothing.
    public func called(_ number: Int) {}
    /// Does nothing.
    public func emitted(_ item: Int32, edge: Int) {}
}
