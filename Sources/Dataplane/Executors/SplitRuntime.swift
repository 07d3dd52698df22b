// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Synchronization

/// Runs a placement as what it says: its two sides are two threads, joined by rings.
///
/// The graph is cut into stages where edges cross (``StageNumbers``); each stage has its own elements, pool, timers and order, and is
/// run by a ``DirectRuntime``. The stages of one side take turns on its thread. A stage takes items in the order of their turns,
/// and only those of turns that all stages before it have completed: so what comes by two ways is merged as in a run on one
/// thread, and the output is the same, item for item.
///
/// Back-pressure: when a ring is full, its sender takes in nothing more until there is room. So packets wait where they come
/// in, and nothing is lost between the sides.
public final class SplitRuntime {
    /// The graph being run.
    public let spec: GraphSpec
    /// The side of each element.
    public let sides: [Side]
    /// Its parts, one for each stage; the first has the sources.
    public var instances: [Instance] { stages.map(\.instance) }
    /// Polled now and then by the NIC's thread; true ends the run as if the input had ended.
    public var shouldStop: (() -> Bool)?
    /// How functional time advances while no packet is ready.
    public var clock: any Clock = CaptureTime()
    /// Rung when the other side has something for the NIC's thread: to be watched by a clock that sleeps.
    public var doorbell: Doorbell { bells[.nic]! }

    private let stages: [Stage]
    private let bells: [Side: Doorbell]
    private let pinned: Bool
    private let failures = Mutex<[any Error]>([])
    private let hasFailed = Atomic(false)
    /// The earliest timer of the host's stages.
    private let hostDue = SharedCounter(.max)
    private let flushes = SharedCounter()

    /// Room of a ring where no profile says it.
    public static let ringItems = 1024

    /// Cuts the graph and makes its elements. Throws ``SplitError`` if the placement cannot be cut.
    ///
    /// - Parameters:
    ///   - ring: the items on their way to a side.
    ///   - isPinned: each thread stays on one core, if there are two.
    public init(
        _ spec: GraphSpec,
        placement sides: [Side],
        bindings: [Int: WireBinding],
        services: any Services,
        options: Instance.Options = Instance.Options(),
        ring: (Side) -> Int = { _ in SplitRuntime.ringItems },
        isPinned: Bool = true
    ) throws {
        self.spec = spec
        self.sides = sides
        pinned = isPinned
        let bells = [Side.nic: try Doorbell(), .host: try Doorbell()]
        self.bells = bells
        stages = try Stage.all(
            spec,
            sides,
            places: ring,
            bells: bells,
            bindings: bindings,
            services: services,
            options: options
        )
    }

    // MARK: Running

    /// Runs until all sources end; then finishes the elements and flushes their buffers.
    public func run() throws {
        let cores = pinned ? Cores.allowed : []
        let before = Cores.allowed
        let hostStages = stages.filter { $0.side == .host }
        let nicStages = stages.filter { $0.side == .nic }
        let host =
            hostStages.isEmpty
            ? nil
            : Worker { [self] in
                if cores.count > 1 { Cores.pin(to: [cores[1]]) }
                work(hostStages, on: .host)
            }
        if cores.count > 1 { Cores.pin(to: [cores[0]]) }
        let first = stages[0].runtime
        first.clock = SharingClock(clock, bells[.nic]!) { [unowned self] in rest() }
        first.shouldStop = { [unowned self] in
            if hasFailed.load(ordering: .relaxed) { return true }
            return shouldStop?() ?? false
        }
        work(nicStages, on: .nic)
        host?.join()
        if cores.count > 1 { Cores.pin(to: before) }
        if let failure = failures.withLock({ $0.first }) { throw failure }
    }

    /// Runs the stages of one side until all have ended.
    private func work(_ stages: [Stage], on side: Side) {
        var lines = stages.map { StageRun($0) }
        for line in lines { line.stage.runtime.begin() }
        var quiet = 0
        var flushed = flushes.value
        while true {
            var worked = false
            var ended = true
            // Later stages first: they make room.
            for k in lines.indices.reversed() {
                switch lines[k].step(failures: fail) {
                case .worked: (worked, ended) = (true, false)
                case .idle: ended = false
                case .ended: break
                }
            }
            if ended { return }
            if side == .host {
                let due = lines.reduce(Int64.max) { min($0, $1.nextDue) }
                if due != hostDue.own { hostDue.set(Int(due)) }
            }
            let asked = flushes.value
            if asked != flushed {
                flushed = asked
                for line in lines { do { try line.stage.instance.sync() } catch { fail(error) } }
            }
            if worked {
                quiet = 0
                continue
            }
            quiet += 1
            if quiet < SplitRuntime.spins { continue }
            // The clock of the first stage sleeps itself.
            if side == .host || lines[0].isOver { wait(lines, side) } else { sched_yield() }
        }
    }

    /// How often a thread looks for something to do before it sleeps, some tens of microseconds.
    private static let spins = 200

    private func wait(_ lines: [StageRun], _ side: Side) {
        // A full ring is not announced when it has room again.
        let isBlocked = lines.contains { $0.isBlocked }
        bells[side]!.sleep(isBlocked ? 1 : 100) { lines.contains { $0.hasWork } }
    }

    /// The moment up to which the NIC's thread may sleep; nil if it may not, as the others are at work.
    private func rest() -> Int64? {
        if stages.contains(where: { $0.rings.contains { !$0.isQuiet } }) { return nil }
        return Int64(hostDue.value)
    }

    private func fail(_ error: any Error) {
        failures.withLock { $0.append(error) }
        hasFailed.store(true, ordering: .relaxed)
    }

    /// Asks all stages to pass on what they have buffered.
    public func sync() { flushes.set(flushes.own + 1) }

    // MARK: Reading the counters, after a run

    /// The counters of node `number` of the whole graph.
    public func counts(_ number: Int) -> ElementCounts {
        let all = stages.compactMap { stage in stage.nodes[number].map { stage.instance.counts($0) } }
        return all.dropFirst().reduce(all[0]) { $0.adding($1) }
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

    /// What crossed from one side to the other.
    public struct Crossing: Sendable {
        /// The side that it led to.
        public var to: Side
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
        /// Items that found the ring full, and had to wait.
        public var full: UInt64
    }

    /// What crossed, by ring.
    public var crossings: [Crossing] {
        stages.flatMap { stage in
            stage.rings.map { ring in
                let counts = ring.counts
                return Crossing(
                    to: ring.side,
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
private struct StageRun {
    let stage: Stage
    private(set) var isOver = false
    private var isFinished = false

    init(_ stage: Stage) { self.stage = stage }

    var isBlocked: Bool { stage.rings.contains { $0.isBlocked } }
    var hasWork: Bool { !isOver && stage.source?.hasWork ?? true }
    var nextDue: Int64 { isOver ? .max : stage.runtime.nextDue }

    mutating func step(failures fail: (any Error) -> Void) -> DirectRuntime.Step {
        if isOver { return .ended }
        for ring in stage.rings { ring.publish() }
        // Nothing more comes in until what left has found room.
        if isBlocked { return .idle }
        if isFinished {
            for ring in stage.rings { ring.end() }
            isOver = true
            return .ended
        }
        let step = stage.runtime.step()
        let done = done
        for ring in stage.rings { ring.publish(done: done) }
        guard step == .ended else { return step }
        do { try stage.runtime.end() } catch { fail(error) }
        isFinished = true
        return .worked
    }

    /// How far the stage has come.
    private var done: Ring.Moment {
        if let source = stage.source { return source.done }
        let reached = stage.runtime.reached
        let time = (stage.runtime.clock as? SharingClock)?.latest ?? .min
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

    /// `rest` is the moment up to which it may wait; nil for not at all.
    init(_ clock: any Clock, _ bell: Doorbell, _ rest: @escaping () -> Int64?) {
        self.clock = clock
        self.bell = bell
        self.rest = rest
    }

    func wait(until time: Int64) -> Int64? {
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
enum Cores {
    /// Those of the calling thread, by number.
    static var allowed: [Int32] {
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
