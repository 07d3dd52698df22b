// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Live
import Reports

/// The threads that a run uses.
public enum Executors: Sendable {
    /// One thread runs all elements.
    case one
    /// The two sides of a placement are two threads, joined by rings with room for so many items on their way to `nic` and `host`.
    case split(GraphSpec.Placement, ring: @Sendable (String) -> Int)
    /// So many equal threads share the packets.
    case shared(Int)

    /// The placement whose sides are split.
    public var placement: GraphSpec.Placement? { if case .split(let placement, _) = self { placement } else { nil } }

    /// How a graph is cut for them; nil for one thread.
    ///
    /// - Parameter sendsAlone: packets that are sent to this wire leave by an interface.
    func cut(_ spec: GraphSpec, sendsAlone: (GraphSpec.Node) -> Bool) throws -> Cut? {
        do {
            switch self {
            case .one, .shared(1): return nil
            case .split(let placement, _):
                return try Cut(spec, placement: placement.sides, named: placement.name)
            case .shared(let threads): return try Cut(spec, threads: threads, sendsAlone: sendsAlone)
            }
        } catch { throw refusal(error) }
    }

    func refusal(_ error: SplitError) -> BindingError {
        switch self {
        case .split(let placement, _):
            BindingError(description: "placement '\(placement.name)' cannot be split: \(error)")
        default: BindingError(description: "the graph cannot be run on several threads: \(error)")
        }
    }
}

/// What runs a graph: one thread, or several.
enum Engine {
    case one(DirectRuntime)
    case several(SplitRuntime)

    /// - Parameters:
    ///   - cut: how `executors` cut the graph; nil for one thread.
    ///   - bindings: the wires, one set for each part into which packets are divided.
    init(
        _ spec: GraphSpec,
        _ executors: Executors,
        _ cut: Cut?,
        bindings: [[Int: WireBinding]],
        services: any Services,
        options: Instance.Options
    ) throws {
        guard let cut else {
            let instance = try Instance(spec, bindings: bindings[0], services: services, options: options)
            self = .one(DirectRuntime(instance))
            return
        }
        var places: (String) -> Int = { _ in SplitRuntime.ringItems }
        if case .split(_, let ring) = executors { places = ring }
        do {
            self = .several(
                try SplitRuntime(
                    spec,
                    cut,
                    bindings: bindings,
                    services: services,
                    options: options,
                    ring: places
                )
            )
        } catch let error as SplitError {
            throw executors.refusal(error)
        }
    }

    /// All parts of the graph, those with its sources first.
    var instances: [Instance] {
        switch self {
        case .one(let runtime): [runtime.instance]
        case .several(let runtime): runtime.instances
        }
    }

    func open() throws { for instance in instances { try instance.open() } }

    /// Gives each of the threads at which packets come in a clock.
    func setClocks(_ clocks: [LiveClock]) {
        switch self {
        case .one(let runtime): runtime.clock = clocks[0]
        case .several(let runtime):
            runtime.clocks = clocks
            for (copy, clock) in clocks.enumerated() { clock.watch(runtime.doorbell(copy).descriptor) }
        }
    }

    func run(until shouldStop: @escaping () -> Bool) throws {
        switch self {
        case .one(let runtime):
            runtime.shouldStop = shouldStop
            try runtime.run()
        case .several(let runtime):
            runtime.shouldStop = shouldStop
            try runtime.run()
        }
    }

    /// Passes on what elements have buffered.
    func sync() throws {
        switch self {
        case .one(let runtime): try runtime.instance.sync()
        case .several(let runtime): runtime.sync()
        }
    }

    /// The notes on the sources, and what sinks dropped.
    var notes: InputNotes {
        let instances = instances
        var copies = 1
        if case .several(let runtime) = self { copies = runtime.cut.copies }
        var notes = InputNotes(Array(instances[..<copies]))
        for later in instances[copies...] { notes.add(later, linkTypes: instances[0]) }
        for instance in instances { notes.noteDrops(at: instance) }
        return notes
    }

    /// Does something while no thread of the run does anything else. Called on the run's own thread.
    func whileAtRest<T>(_ body: () throws -> T) rethrows -> T {
        switch self {
        case .one: try body()
        case .several(let runtime): try runtime.whileAtRest(body)
        }
    }

    /// The counters of the run, at rest.
    func report(_ input: InputNotes) -> RunReport {
        let (spec, elements, wires, lost): (GraphSpec, [ElementCounts], [WireCounts], Int)
        var crossings: [SplitRuntime.Crossing] = []
        var threads: String?
        switch self {
        case .one(let runtime):
            let instance = runtime.instance
            spec = instance.spec
            elements = spec.nodes.indices.map { instance.counts($0) }
            (wires, lost) = (instance.wireCounts(), instance.lostItems)
        case .several(let runtime):
            spec = runtime.spec
            elements = spec.nodes.indices.map { runtime.counts($0) }
            (wires, lost) = (runtime.wireCounts(), runtime.lostItems)
            crossings = runtime.crossings
            threads = runtime.cut.about
        }
        var report = RunReport(
            graph: spec.name,
            elements: elements,
            wires: wires,
            lostItems: lost,
            backwards: input.backwards,
            ahead: input.ahead,
            warnings: input.warnings
        )
        report.threads = threads
        report.crossings = crossings
        for wire in wires { report.interfaces[wire.name] = interface(of: wire.name) }
        return report
    }

    /// Where packets come in by a wire.
    private func sources(of wire: String) -> [PacketSource] {
        var copies = 1
        if case .several(let runtime) = self { copies = runtime.cut.copies }
        return instances[..<copies].compactMap { instance in
            let number = instance.spec.nodes.firstIndex { $0.name == wire }
            return number.flatMap { instance.bindings[$0]?.source }
        }
    }

    /// What is known of a wire's interface, at rest; nil if it is bound to none.
    private func interface(of wire: String) -> RunReport.Interface? {
        let live = sources(of: wire).compactMap { $0 as? LiveSource }
        if live.isEmpty { return nil }
        return RunReport.Interface(
            kernelDrops: live.reduce(0) { $0 + $1.kernelDrops },
            outages: live.map { UInt64($0.outages) }.max() ?? 0
        )
    }

    /// The counters at this moment, at rest.
    func snapshot(process: Int32, began: Int64) -> RunSnapshot {
        let (spec, copies): (GraphSpec, Int)
        let elements: [ElementCounts]
        let wires: [WireCounts]
        switch self {
        case .one(let runtime):
            let instance = runtime.instance
            (spec, copies) = (instance.spec, 1)
            elements = spec.nodes.indices.map { instance.allCounts($0) }
            wires = instance.wireCounts()
        case .several(let runtime):
            (spec, copies) = (runtime.spec, runtime.cut.copies)
            elements = spec.nodes.indices.map { runtime.counts($0, isAll: true) }
            wires = runtime.wireCounts()
        }
        let instances = instances
        let moved = Dictionary(
            instances.flatMap { instance in zip(instance.spec.edges.map(instance.spec.name(of:)), instance.moved) },
            uniquingKeysWith: +
        )
        var snapshot = RunSnapshot(graph: spec.name, process: process, began: began, time: WallTime().now)
        snapshot.functionalTime = instances[..<copies].map(\.now).max() ?? 0
        snapshot.elements = elements
        snapshot.wires = wires.map { RunSnapshot.Wire(counts: $0, interface: interface(of: $0.name)) }
        snapshot.edges = spec.edges.map(spec.name(of:)).map { RunSnapshot.Edge(name: $0, items: moved[$0] ?? 0) }
        snapshot.poolFree = instances.reduce(0) { $0 + $1.pool.freeCount }
        snapshot.poolCapacity = instances.reduce(0) { $0 + $1.pool.capacity }
        snapshot.poolShortages = instances.reduce(0) { $0 + $1.pool.shortages }
        for source in wires.flatMap({ sources(of: $0.name) }) {
            snapshot.backwards += source.backwards
            snapshot.ahead += source.ahead
        }
        return snapshot
    }
}

/// A graph that runs.
public struct RunningGraph {
    let engine: Engine

    /// Its counters at this moment. Called on the thread of ``GraphRun/run``; others are at rest meanwhile.
    func snapshot(process: Int32, began: Int64) -> RunSnapshot {
        engine.whileAtRest { engine.snapshot(process: process, began: began) }
    }
}
