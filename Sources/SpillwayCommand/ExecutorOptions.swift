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
            "The device whose rings join the sides: a shipped profile or a file.",
            valueName: "name|file"
        )
    )
    var profile: String?

    @Option(help: ArgumentHelp("Equal threads that share the packets, 1 to 64.", valueName: "count"))
    var threads = 1

    /// More threads than one run.
    var areSeveral: Bool { executors == .split || threads > 1 }

    /// Reads the placement and the profile.
    func chosen(for graph: GraphSpec, _ loaded: LoadedGraph) throws -> Executors {
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
        let channel = try profile.map { try loadProfile($0).0.channel }
        return .split(chosen) { side in
            channel.map { side == Side.host.rawValue ? $0.toHost.ring : $0.toNIC.ring } ?? SplitRuntime.ringItems
        }
    }
}
