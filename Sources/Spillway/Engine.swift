// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Live
import Reports

/// The threads that a run uses.
public enum Executors: Sendable {
    /// One thread runs all elements.
    case one
    /// The two sides of a placement are two threads, joined by rings with room for so many items.
    case split(GraphSpec.Placement, ring: @Sendable (Side) -> Int)
}

/// What runs a graph: on one thread, or on one for each side.
enum Engine {
    case one(DirectRuntime)
    case split(SplitRuntime, placement: String)

    init(
        _ spec: GraphSpec,
        _ executors: Executors,
        bindings: [Int: WireBinding],
        services: any Services,
        options: Instance.Options
    ) throws {
        switch executors {
        case .one:
            let instance = try Instance(spec, bindings: bindings, services: services, options: options)
            self = .one(DirectRuntime(instance))
        case .split(let placement, let ring):
            let runtime: SplitRuntime
            do {
                runtime = try SplitRuntime(
                    spec,
                    placement: placement.sides,
                    bindings: bindings,
                    services: services,
                    options: options,
                    ring: ring
                )
            } catch let error as SplitError {
                throw BindingError(description: "placement '\(placement.name)' cannot be split: \(error)")
            }
            self = .split(runtime, placement: placement.name)
        }
    }

    /// All parts of the graph, that with its sources first.
    var instances: [Instance] {
        switch self {
        case .one(let runtime): [runtime.instance]
        case .split(let runtime, _): runtime.instances
        }
    }

    func open() throws { for instance in instances { try instance.open() } }

    func setClock(_ clock: LiveClock) {
        switch self {
        case .one(let runtime): runtime.clock = clock
        case .split(let runtime, _):
            runtime.clock = clock
            clock.watch(runtime.doorbell.descriptor)
        }
    }

    func run(until shouldStop: @escaping () -> Bool) throws {
        switch self {
        case .one(let runtime):
            runtime.shouldStop = shouldStop
            try runtime.run()
        case .split(let runtime, _):
            runtime.shouldStop = shouldStop
            try runtime.run()
        }
    }

    /// Passes on what elements have buffered.
    func sync() throws {
        switch self {
        case .one(let runtime): try runtime.instance.sync()
        case .split(let runtime, _): runtime.sync()
        }
    }

    /// The notes on the sources, and what sinks dropped.
    var notes: InputNotes {
        let instances = instances
        var notes = InputNotes(instances[0])
        for later in instances.dropFirst() { notes.add(later, linkTypes: instances[0]) }
        for instance in instances { notes.noteDrops(at: instance) }
        return notes
    }

    /// The counters of the run. While it goes on, only its own thread may ask, and only if it has just one.
    func report(_ input: InputNotes) -> RunReport {
        let (spec, elements, wires, lost): (GraphSpec, [ElementCounts], [WireCounts], Int)
        var crossings: [SplitRuntime.Crossing] = []
        var placement: String?
        switch self {
        case .one(let runtime):
            let instance = runtime.instance
            spec = instance.spec
            elements = spec.nodes.indices.map { instance.counts($0) }
            (wires, lost) = (instance.wireCounts(), instance.lostItems)
        case .split(let runtime, let name):
            spec = runtime.spec
            elements = spec.nodes.indices.map { runtime.counts($0) }
            (wires, lost) = (runtime.wireCounts(), runtime.lostItems)
            crossings = runtime.crossings
            placement = name
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
        report.placement = placement
        report.crossings = crossings
        return report
    }
}
