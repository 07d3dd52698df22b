// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Spillway

/// The threads of a run.
struct ExecutorOptions: ParsableArguments {
    /// How many executors there are.
    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case one
        case split
    }

    @Option(help: "One thread for all elements, or one for each side of a placement.")
    var executors: Kind = .one

    @Option(help: ArgumentHelp("The placement whose sides are split, by name or file.", valueName: "name|file"))
    var placement: String?

    @Option(
        help: ArgumentHelp(
            "The device whose rings join the sides, and on which the placement is modelled too: a shipped profile or a file.",
            valueName: "name|file"
        )
    )
    var profile: String?

    @Option(help: ArgumentHelp("Equal threads that share the packets, 1 to 64.", valueName: "count"))
    var threads = 1

    /// The device, and the file that describes it, if one is named.
    func device() throws -> (profile: DeviceProfile, path: String, bytes: [UInt8])? {
        try profile.map { name in
            let (profile, bytes) = try loadProfile(name)
            return (profile, Profiles.path(name), bytes)
        }
    }

    /// Reads the placement.
    func chosen(for graph: GraphSpec, _ loaded: LoadedGraph, on device: DeviceProfile?) throws -> Executors {
        guard executors == .split else {
            for (name, value) in [("--placement", placement), ("--profile", profile)] where value != nil {
                throw Failure.usage("\(name) is for a run with --executors split")
            }
            guard (1...64).contains(threads) else { throw Failure.usage("--threads is 1 to 64, not \(threads)") }
            return threads == 1 ? .one : .shared(threads)
        }
        if threads != 1 { throw Failure.usage("--threads is for a run with --executors one: a split has two threads") }
        guard let name = placement else {
            let names = graph.placements.map(\.name)
            throw Failure.usage(
                "--executors split needs --placement: "
                    + (names.isEmpty
                        ? "the graph has none, so give a file" : "the graph has \(names.joined(separator: ", "))")
            )
        }
        let chosen = try graph.extremes.first { $0.name == name } ?? SpillwayCommand.placement(name, of: graph, loaded)
        let channel = device?.channel
        return .split(chosen) { side in
            channel.map { side == Side.host.rawValue ? $0.toHost.ring : $0.toNIC.ring } ?? SplitRuntime.ringItems
        }
    }
}

extension RunReport.Modelled {
    /// What the model says of a placement that was run, from the same captures, read again.
    init(
        _ placement: GraphSpec.Placement,
        of graph: GraphSpec,
        on device: DeviceProfile,
        wires: [WireArgument],
        options: Instance.Options
    ) throws {
        if let wire = wires.first(where: { $0.interface != nil }) {
            self = .nothing("what wire '\(wire.name)' received is gone; 'write=FILE' keeps it for 'spillway compare'")
            return
        }
        if let file = wires.flatMap(\.sources).first(where: { !Files.isRegular($0) }) {
            self = .nothing("'\(file)' can be read only once")
            return
        }
        let progress = Progress("modelling \(graph.name) on \(device.name)")
        func open() throws -> Instance {
            try GraphRun.modelInstance(
                graph,
                wires: wires,
                options: options,
                services: MemoryServices(Session.services),
                shouldStop: stopAsked
            )
        }
        do {
            let comparison = try Comparison.run(
                [placement],
                profile: device,
                progress: { progress("\($0)", $0.fraction) },
                makeInstance: open
            )
            self =
                stopAsked()
                ? .nothing("interrupted") : .report(ComparisonReport(graph: graph.name, comparison: comparison))
        } catch let error as ModelError {
            self = .nothing("\(error)")
        }
    }
}
