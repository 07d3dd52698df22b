// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Synchronization

/// Runs a graph on several threads, joined by rings: the two sides of a placement, or equal threads that share the packets (``Cut``).
///
/// Each stage of the cut graph has its own elements, pool, timers and order, and is run by a ``DirectRuntime``. The stages of one
/// thread take turns. A stage takes items in the order of their turns, and only those of turns that all stages before it have completed:
/// so what comes by several ways is merged as in a run on one thread, and the output is the same, item for item; among equal
/// threads, what has the same time may come in another order.
///
/// Back-pressure: when a ring is full, its sender takes in nothing more until there is room. So packets wait where they come
/// in, and nothing is lost between the threads.
public final class SplitRuntime {
    /// The graph being run.
    public let spec: GraphSpec
    /// How it was cut.
    public let cut: Cut
    /// Its parts; those of the first stage, which have the sources, come first.
    public var instances: [Instance] { stages.map(\.instance) }
    /// Polled now and then by the first thread; true ends the run as if the input had ended.
    public var shouldStop: (() -> Bool)?
    /// For each of the threads at which packets come in, how functional time advances while none is ready.
    public var clocks: [any Clock]

    private let stages: [Stage]
    private let bells: [Doorbell]
    private let pinned: Bool
    private let failures = Mutex<[any Error]>([])
    private let hasFailed = Atomic(false)
    private let isStopped = Atomic(false)
    /// For each stage behind the first its earliest timer.
    private let due: [SharedCounter]
    private let flushes = SharedCounter()
    /// Odd while the first thread wants all others to be at rest.
    private let rests = SharedCounter()
    /// For each thread the last rest that it kept; the greatest number once it has ended.
    private let rested: [SharedCounter]
    private var isRunning = false

    /// Room of a ring where no profile says it.
    public static let ringItems = 1024

    /// Makes the elements. Throws ``SplitError`` if elements of a later stage need more of earlier ones than rings carry.
    ///
    /// - Parameters:
    ///   - bindings: the wires; one set for each part into which packets are divided (``Cut/copies``).
    ///   - ring: the items on their way to the stage so named: `nic`, `host` or `rest`.
    ///   - isPinned: each thread stays on one core, if there are as many.
    public init(
        _ spec: GraphSpec,
        _ cut: Cut,
        bindings: [[Int: WireBinding]],
        services: any Services,
        options: Instance.Options = Instance.Options(),
        ring: @escaping (String) -> Int = { _ in SplitRuntime.ringItems },
        isPinned: Bool = true
    ) throws {
        self.spec = spec
        self.cut = cut
        pinned = isPinned
        bells = try (0..<cut.threads).map { _ in try Doorbell() }
        due = cut.stages.flatMap(\.threads).map { _ in SharedCounter(.max) }
        rested = (0..<cut.threads).map { _ in SharedCounter() }
        clocks = Array(repeating: CaptureTime(), count: cut.copies)
        var builder = try StageBuilder(
            spec,
            cut,
            places: { ring(cut.stages[$0].name) },
            bells: bells,
            services: services,
            options: options
        )
        stages = try builder.build(bindings)
    }

    /// Rung when there is something for a thread at which packets come in: to be watched by its clock while that sleeps.
    public func doorbell(_ copy: Int) -> Doorbell { bells[cut.stages[0].threads[copy]] }

    // MARK: Running

    /// Runs until all sources end; then finishes the elements and flushes their buffers.
    public func run() throws {
        let cores = Cores.allowed
        let isPinned = pinned && cores.count >= cut.threads
        for copy in 0..<cut.copies {
            let runtime = stages[copy].runtime
            runtime.clock = SharingClock(clocks[copy], doorbell(copy)) { [unowned self] in rest() }
            runtime.shouldStop = { [unowned self] in
                if hasFailed.load(ordering: .relaxed) || isStopped.load(ordering: .relaxed) { return true }
                guard copy == 0, shouldStop?() == true else { return false }
                isStopped.store(true, ordering: .relaxed)
                return true
            }
        }
        isRunning = true
        let runs = zip(stages, due).map { StageRun($0, due: $1, isShared: $0.source != nil && cut.copies > 1) }
        let workers = (1..<cut.threads).map { thread in
            Worker { [self] in
                if isPinned { Cores.pin(to: [cores[thread]]) }
                work(on: thread, runs)
            }
        }
        if isPinned { Cores.pin(to: [cores[0]]) }
        work(on: 0, runs)
        for worker in workers { worker.join() }
        isRunning = false
        if isPinned { Cores.pin(to: cores) }
        if let failure = failures.withLock({ $0.first }) { throw failure }
    }

    /// Runs the stages of one thread until all have ended.
    private func work(on thread: Int, _ runs: [StageRun]) {
        let lines = runs.filter { $0.stage.thread == thread }
        // What a thread whose rings are full looks after meanwhile, instead of waiting for the one that should.
        let others = runs.filter { $0.stage.thread != thread && $0.isShared }
        for line in lines { line.clock?.beforeWaiting = { [unowned line] in line.show() } }
        for line in lines {
            line.stage.runtime.begin()
            line.giveBack()
        }
        var quiet = 0
        var flushed = flushes.value
        while true {
            var worked = false
            var ended = true
            // Later stages first: they make room.
            for line in lines.reversed() {
                guard line.take() else {
                    ended = false
                    continue
                }
                defer { line.giveBack() }
                switch line.step(failures: fail) {
                case .worked: (worked, ended) = (true, false)
                case .idle: ended = false
                case .ended: break
                }
            }
            if ended { return rested[thread].set(.max) }
            keepRest(thread)
            if !worked, lines.contains(where: \.isBlocked) {
                for other in others where other.take() {
                    if other.step(failures: fail) == .worked { worked = true }
                    other.giveBack()
                }
            }
            let asked = flushes.value
            if asked != flushed {
                flushed = asked
                for line in lines {
                    while !line.take() { clinux_relax() }
                    do { try line.stage.instance.sync() } catch { fail(error) }
                    line.giveBack()
                }
            }
            if worked {
                quiet = 0
                continue
            }
            // Nobody else has any of them while this thread may go to sleep.
            let taken = lines.prefix { $0.take() }
            defer { for line in taken { line.giveBack() } }
            if taken.count < lines.count { continue }
            for line in lines { line.stage.source?.askTheQuiet() }
            quiet += 1
            if quiet < SplitRuntime.spins {
                for _ in 0..<SplitRuntime.relaxes { clinux_relax() }
                continue
            }
            // The clock of a stage at which packets come in sleeps itself. Room in a ring is not announced, but will soon be there.
            if lines[0].waitsItself || lines.contains(where: \.isBlocked) {
                sched_yield()
            } else {
                wait(lines, thread)
            }
        }
    }

    /// How often a thread looks for something to do before it sleeps, some tens of microseconds.
    private static let spins = 100
    /// How long it waits before it looks again, in turns of a loop of 10 to 50 ns.
    private static let relaxes = 10

    private func wait(_ lines: [StageRun], _ thread: Int) {
        bells[thread].sleep(100) { isRestWanted || lines.contains { $0.hasWork } }
    }

    /// The moment up to which a thread at which packets come in may sleep; nil if it may not, as others are at work and may wait for
    /// it.
    private func rest() -> Int64? {
        if isRestWanted || stages.contains(where: { $0.rings.contains { !$0.isQuiet } }) { return nil }
        return due.reduce(.max) { min($0, Int64($1.value)) }
    }

    private func fail(_ error: any Error) {
        failures.withLock { $0.append(error) }
        hasFailed.store(true, ordering: .relaxed)
    }

    /// Asks all stages to pass on what they have buffered.
    public func sync() { flushes.set(flushes.own + 1) }

    // MARK: Rest

    /// Does something while all threads are at rest, each between two of its steps: then one may read what belongs to any of them.
    /// Called on the thread of ``run()`` while it runs, as by ``shouldStop``; before and after that there are no others.
    public func whileAtRest<T>(_ body: () throws -> T) rethrows -> T {
        if !isRunning { return try body() }
        let number = rests.own + 1
        rests.set(number)
        defer { rests.set(number + 1) }
        for bell in bells { bell.ring() }
        for other in rested.dropFirst() {
            while other.value < number { sched_yield() }
        }
        return try body()
    }

    private var isRestWanted: Bool { rests.value & 1 != 0 }

    /// Rests as long as the first thread wants it.
    private func keepRest(_ thread: Int) {
        let number = rests.value
        if number & 1 == 0 { return }
        rested[thread].set(number)
        while rests.value == number { sched_yield() }
    }

    // MARK: Reading the counters, at rest

    /// The counters of node `number` of the whole graph; all that can be counted there, if `isAll`.
    public func counts(_ number: Int, isAll: Bool = false) -> ElementCounts {
        let all = stages.compactMap { stage in
            stage.nodes[number].map { isAll ? stage.instance.allCounts($0) : stage.instance.counts($0) }
        }
        return all.dropFirst().reduce(all[0]) { $0.adding($1, greatest: spec.nodes[number].type.greatest) }
    }

    /// Items that exist but are held by no element.
    public var lostItems: Int { stages.reduce(0) { $0 + $1.instance.lostItems } }

    /// The counters of all wires.
    public func wireCounts() -> [WireCounts] {
        spec.nodes.indices.filter { spec.nodes[$0].isWire }.map { number in
            var counts = WireCounts(name: spec.nodes[number].name, packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0)
            for stage in stages {
                guard let local = stage.nodes[number] else { continue }
                let part = stage.instance.wireCounts(local)
                counts.packetsIn += part.packetsIn
                counts.bytesIn += part.bytesIn
                counts.packetsOut += part.packetsOut
                counts.bytesOut += part.bytesOut
            }
            return counts
        }
    }

    /// What crossed from one thread to another.
    public struct Crossing: Sendable {
        /// The stage that it led from: `nic` or `host`, or `share 1` and so on.
        public var from: String
        /// The stage that it led to: `host` or `nic`, or `rest`.
        public var to: String
        /// The room of the ring, in items.
        public var capacity: Int
        /// Items that crossed.
        public var items: UInt64
        /// Their bytes.
        public var bytes: UInt64
        /// Bytes that were copied into the ring.
        public var copied: UInt64
        /// Ends of flows that crossed.
        public var flowEnds: UInt64
        /// How often items were handed over.
        public var batches: UInt64
        /// How often its sender had to wait for room.
        public var full: UInt64
    }

    /// What crossed, by ring.
    public var crossings: [Crossing] {
        stages.flatMap { stage in
            stage.rings.map { ring in
                let counts = ring.counts
                return Crossing(
                    from: ring.from,
                    to: ring.to,
                    capacity: ring.capacity,
                    items: counts.items,
                    bytes: counts.bytes,
                    copied: counts.copied,
                    flowEnds: counts.ends,
                    batches: counts.batches,
                    full: counts.full
                )
            }
        }
    }
}

/// A stage while it runs on its thread.
private final class StageRun {
    let stage: Stage
    /// The stage's, not counted: both threads would write the count all the time.
    private let rings: [Unmanaged<Ring>]
    /// That of a stage at which packets come in.
    let clock: SharingClock?
    private(set) var isOver = false
    private var isFinished = false
    /// The earliest timer, for threads that sleep; of a stage at which no packets come in.
    private let due: SharedCounter
    /// Whether a thread has it, where several may: its own, and those that have to wait for room in the rings to it. A thread keeps it while
    /// it may go to sleep, so that only one at a time reads and writes what belongs to the stage.
    let isShared: Bool
    private let isTaken = SharedLine(Atomic(true))
    /// The most batches of packets that come in before the other stages of the thread have their turn.
    private static let batches = 16
    /// After how many of them the receivers are shown what there is: they should not wait for the last, nor take the line that says it
    /// from this thread for each.
    private static let grain = 4

    /// Taken, if it is shared.
    init(_ stage: Stage, due: SharedCounter, isShared: Bool) {
        self.stage = stage
        self.due = due
        self.isShared = isShared
        rings = stage.rings.map { .passUnretained($0) }
        clock = stage.runtime.clock as? SharingClock
    }

    /// Takes the stage for this thread; false if another has it.
    @inline(__always)
    func take() -> Bool { !isShared || !isTaken.pointer.pointee.exchange(true, ordering: .acquiring) }

    @inline(__always)
    func giveBack() {
        if isShared { isTaken.pointer.pointee.store(false, ordering: .releasing) }
    }

    /// A step waits for packets, if there is nothing else to do; while it is blocked its thread looks for room again and again, as it
    /// is soon there.
    var waitsItself: Bool { stage.source == nil && !isOver }
    /// Nothing more comes in until there is room for what that sends.
    var isBlocked: Bool {
        if !isFinished, stage.source?.isWithin == true { return false }
        return rings.contains { $0._withUnsafeGuaranteedRef { $0.isTight(isFinished ? 0 : batch) } }
    }
    var hasWork: Bool { !isOver && stage.source?.hasWork ?? true }
    var nextDue: Int64 { isOver ? .max : stage.runtime.nextDue }
    private var batch: Int { stage.instance.options.batch }

    func step(failures fail: (any Error) -> Void) -> DirectRuntime.Step {
        if isOver { return .ended }
        defer {
            let next = Int(stage.source == nil ? .max : nextDue)
            if next != due.own { due.set(next) }
        }
        if publish() { ring() }
        if isBlocked { return .idle }
        if isFinished {
            for ring in rings { ring._withUnsafeGuaranteedRef { $0.end() } }
            isOver = true
            return .ended
        }
        var step = DirectRuntime.Step.idle
        // Whatever else the thread looks after costs as much as a batch.
        for k in 1...StageRun.batches {
            step = stage.runtime.step()
            if step != .worked || isBlocked { break }
            if k % StageRun.grain == 0 { publish() }
        }
        show()
        guard step == .ended else { return step }
        do { try stage.runtime.end(after: stage.source?.lastOrigin) } catch { fail(error) }
        isFinished = true
        return .worked
    }

    /// Shows the receivers what is there; true if that is news to any of them.
    @discardableResult
    private func publish() -> Bool {
        let done = done
        var isNews = false
        for ring in rings where ring._withUnsafeGuaranteedRef({ $0.publish(done: done) }) { isNews = true }
        return isNews
    }

    /// Shows the receivers what is there, and wakes those that sleep.
    func show() {
        publish()
        ring()
    }

    private func ring() {
        for ring in rings { ring._withUnsafeGuaranteedRef { $0.ring() } }
    }

    /// How far the stage has come.
    private var done: Ring.Moment {
        if let source = stage.source { return source.done(stage.runtime.nextDue) }
        let reached = stage.runtime.reached
        let time = clock?.latest ?? .min
        if stage.runtime.arrived == 0 { return Ring.Moment(now: time, order: 0) }
        return Ring.Moment(now: max(time, reached.now), order: reached.number)
    }
}

/// The clock of the first stage, which shares its thread with later ones: it waits only while nobody has anything to do.
private final class SharingClock: Clock {
    private let clock: any Clock
    private let bell: Doorbell
    private let rest: () -> Int64?
    /// The last moment that was told: no packet comes in at a functional time before it.
    private(set) var latest = Int64.min
    /// What has to be done before it waits: nobody else will show what was put into rings.
    var beforeWaiting: () -> Void = {}

    /// `rest` is the moment up to which it may wait; nil for not at all.
    init(_ clock: any Clock, _ bell: Doorbell, _ rest: @escaping () -> Int64?) {
        self.clock = clock
        self.bell = bell
        self.rest = rest
    }

    func wait(until time: Int64) -> Int64? {
        beforeWaiting()
        var limit = Int64.min
        if let rest = rest(), bell.goToSleep(unless: { self.rest() == nil }) { limit = min(rest, time) }
        defer { bell.getUp() }
        // A clock that has nothing to wait for says so.
        guard let now = clock.wait(until: limit) else { return nil }
        if now >= limit { latest = max(latest, now) }
        return now
    }
}

/// The cores that a thread may use.
public enum Cores {
    /// Those of the calling thread, by number.
    public static var allowed: [Int32] {
        var cores = Array(repeating: Int32(0), count: 1024)
        let count = clinux_get_cores(&cores, Int32(cores.count))
        return Array(cores[..<Int(count)])
    }

    /// Lets the calling thread use only these.
    static func pin(to cores: [Int32]) { clinux_set_cores(cores, Int32(cores.count)) }
}

/// A thread.
private final class Worker {
    private var thread = pthread_t()
    private final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }

    init(_ run: @escaping () -> Void) {
        let body = Unmanaged.passRetained(Body(run))
        let status = pthread_create(
            &thread,
            nil,
            { raw in
                Unmanaged<Body>.fromOpaque(raw!).takeRetainedValue().run()
                return nil
            },
            body.toOpaque()
        )
        precondition(status == 0, "no thread could be made")
    }

    func join() { pthread_join(thread, nil) }
}
