// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Spillway

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs a graph on captures and reports what every element counted.",
        discussion: """
            The report goes to standard output, or to standard error when an element writes to standard output. A run whose \
            counters do not balance ends with status 1; a damaged capture is read up to the damage and ends with status 65.
            """
    )
    @OptionGroup var source: GraphOptions
    @OptionGroup var options: RunOptions

    @Option(help: "How the report is written.")
    var format: ResultFormat = .text

    @Option(help: ArgumentHelp("Keeps resolved.yaml, manifest.json, stats.json and report.md.", valueName: "directory"))
    var runDir: String?

    func run() throws {
        let (graph, loaded) = try source.load()
        let wires = try options.bindings()
        try reporting {
            let directory = try runDir.map { try RunDirectory($0) }
            let outcome = try GraphRun.run(graph, wires: wires, options: options.instance, shouldStop: stopAsked)
            let report = outcome.report
            let text = format == .json ? report.json.text : report.text
            if outcome.usedStandardOutput { Output.error(text) } else { try Output.result(text) }
            for warning in report.warnings { Output.error("warning: \(warning)\n") }
            try directory?.write(
                RunDirectory.Content(
                    verb: "run",
                    graph: loaded,
                    wires: wires,
                    seed: options.seed,
                    statistics: report.statistics,
                    markdown: report.markdown
                )
            )
            if !report.balances { throw Failure.notHeld(report.imbalances.joined(separator: "\nerror: ")) }
            if let failure = outcome.failure { throw failure }
        }
    }
}

struct Tap: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs a graph and shows what passes one edge.",
        discussion: "An edge is named by its output: 'sort.syn'. One line for each item, or a capture with --write."
    )
    @OptionGroup var source: GraphOptions
    @Argument(help: "The edge, named by its output: ELEMENT.PORT.")
    var edge: String
    @OptionGroup var options: RunOptions

    @Option(help: ArgumentHelp("Writes the packets to a capture (.pcap or .pcapng) instead.", valueName: "file"))
    var write: String?

    @Option(help: ArgumentHelp("Ends after so many items.", valueName: "items"))
    var count: Int?

    func run() throws {
        let (graph, _) = try source.load()
        let number = try edgeNumber(edge, graph)
        let kind = GraphShape(graph).kinds[number]
        if write != nil, kind != .packet, kind != .stream {
            throw Failure.usage("edge '\(edge)' carries \(kind?.description ?? "no items"); only packets fit a capture")
        }
        let wires = try options.bindings()
        try reporting {
            let writer = try write.map { try CaptureWriter(path: $0) }
            var seen = 0
            var failure: (any Error)?
            let outcome = try GraphRun.run(
                graph,
                wires: wires,
                options: options.instance,
                observer: { instance in
                    EdgeTap(edge: number) { item in
                        guard failure == nil, seen < count ?? .max else { return }
                        seen += 1
                        do {
                            if let writer {
                                try writer.write(item)
                            } else {
                                try Output.result(PacketText.describe(item, layouts: instance.layouts) + "\n")
                            }
                        } catch {
                            failure = error
                        }
                    }
                },
                shouldStop: { interrupted.load(ordering: .relaxed) || seen >= count ?? .max || failure != nil }
            )
            try writer?.close()
            if let failure { throw failure }
            Output.error("\(seen) items passed \(edge)\n")
            for warning in outcome.report.warnings { Output.error("warning: \(warning)\n") }
            if let failure = outcome.failure { throw failure }
        }
    }
}

struct Trace: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Follows one packet, and what is made from it, through a graph."
    )
    @OptionGroup var source: GraphOptions
    @OptionGroup var options: RunOptions

    @Option(help: ArgumentHelp("Which packet: its number over all wires, from 0.", valueName: "number"))
    var packet: UInt64 = 0

    func run() throws {
        let (graph, _) = try source.load()
        let wires = try options.bindings()
        try reporting {
            var instanceOptions = options.instance
            // One at a time, so that what an element did with the packet can be told from its counters.
            instanceOptions.batch = 1
            var trace: PacketTrace?
            let outcome = try GraphRun.run(
                graph,
                wires: wires,
                options: instanceOptions,
                observer: { instance in
                    let made = PacketTrace(instance, sequence: packet) { line in try? Output.result(line + "\n") }
                    trace = made
                    return made
                },
                shouldStop: stopAsked
            )
            if let failure = outcome.failure { throw failure }
            if trace?.found != true { throw Failure.notHeld("there is no packet \(packet)") }
        }
    }
}

/// The number of the edge called `name`.
private func edgeNumber(_ name: String, _ graph: GraphSpec) throws -> Int {
    if let number = graph.edge(named: name) { return number }
    let names = graph.edges.map { graph.name(of: $0) }
    let guess = nearest(to: name, among: names).map { "; did you mean '\($0)'?" } ?? ""
    throw Failure.usage("graph '\(graph.name)' has no edge '\(name)'; it has \(names.joined(separator: ", "))\(guess)")
}
