// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Spillway

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs a graph on captures or interfaces and reports what every element counted.",
        discussion: """
            The report goes to standard output, or to standard error when an element writes to standard output. A run whose \
            counters do not balance ends with status 1; a damaged capture is read up to the damage and ends with status 65. \
            An interrupt ends the run with its report and status 130, or 0 on interfaces; a second one ends it at once.
            """
    )
    @OptionGroup var source: GraphOptions
    @OptionGroup var options: RunOptions
    @OptionGroup var watching: WatchOptions
    @OptionGroup var userOption: UserOption

    @Option(help: ArgumentHelp("The columns of the report's table of elements, in this order.", valueName: "a,b,c"))
    var columns: String?

    @Option(
        name: .customLong("flush"),
        help: ArgumentHelp(
            "On interfaces: how often records, captures and streams are passed on. (default: 1 s)",
            valueName: "duration"
        )
    )
    var flushText: String?

    /// In nanoseconds.
    private var flush: Int64 {
        get throws {
            guard let flushText else { return 1_000_000_000 }
            guard let span = try? Quantity.parseDuration(flushText), span >= 1_000_000 else {
                throw Failure.usage("--flush '\(flushText)' is no time of at least 1 ms, as in '1 s'")
            }
            return span
        }
    }

    @OptionGroup var executors: ExecutorOptions

    @Option(help: "How the report is written.")
    var format: ResultFormat = .text

    @Option(help: ArgumentHelp("Keeps resolved.yaml, manifest.json, stats.json and report.md.", valueName: "directory"))
    var runDir: String?

    @Flag(help: "Replaces what an earlier run left in the run directory.")
    var overwrite = false

    func run() throws {
        if overwrite, runDir == nil { throw Failure.usage("--overwrite is for --run-dir, which is not given") }
        let chosen = try columns.map { try chosenColumns($0, among: RunReport.allColumns) } ?? []
        let user = try userOption.user()
        let (graph, loaded) = try source.load()
        let wires = try options.input.bindings(of: graph, loaded)
        let device = try executors.device()
        let executors = try executors.chosen(for: graph, loaded, on: device?.profile)
        try reporting {
            let inputs = InputFiles(loaded, wires)
            let directory = try runDir.map {
                try RunDirectory($0, inputs: inputs, overwrites: overwrite, owner: user)
            }
            let isLive = wires.contains { $0.interface != nil }
            let metrics = try watching.openMetrics()
            var watch: RunWatch?
            defer { if let watch { watch.close() } else { metrics?.close() } }
            let progress = Progress("running \(graph.name)")
            let began = ContinuousClock.now
            let outcome = try GraphRun.run(
                graph,
                wires: wires,
                inputs: inputs,
                services: Session.services,
                options: options.instance,
                executors: executors,
                opened: {
                    try user?.become()
                    watch = try watching.open(isLive: isLive, metrics)
                },
                started: { watch?.begin($0) },
                flush: try flush,
                reportAsked: { wantsReport.exchange(false, ordering: .relaxed) },
                soFar: { report in
                    let warnings = report.warnings.map { "warning: \($0)\n" }.joined()
                    Output.error(report.text(width: Terminal(2).width) + warnings)
                },
                progress: { progress("\(grouped($0())) packets", share: $1) },
                shouldStop: {
                    watch?.poll()
                    return stopAsked()
                }
            )
            let wasInterrupted = stopAsked()
            var report = outcome.report
            report.wasInterrupted = wasInterrupted
            if isLive { report.liveSeconds = (ContinuousClock.now - began) / .seconds(1) }
            report.columns = chosen
            let placement = executors.placement
            if let placement, let device {
                report.modelled =
                    wasInterrupted
                    ? .nothing("interrupted")
                    : try .init(placement, of: graph, on: device.profile, wires: wires, options: options.instance)
            }
            let terminal = Terminal(outcome.usedStandardOutput ? 2 : 1)
            let text = format == .json ? report.json.text : report.text(width: terminal.width)
            if outcome.usedStandardOutput { Output.error(text) } else { try Output.result(text) }
            var content = RunDirectory.Content(
                verb: "run",
                graph: loaded,
                wires: wires,
                seed: outcome.seed,
                statistics: report.statistics,
                markdown: report.markdown
            )
            content.sinks = outcome.outputs
            content.outputs = outcome.outputs
            content.placements = placement.map { [$0] } ?? []
            content.profiles = device.map { [($0.path, $0.bytes)] } ?? []
            content.wasInterrupted = wasInterrupted
            try directory?.write(content, shouldStop: stopAsked)
            // A run on interfaces has no other end.
            if !isLive { noteInterrupt(wasInterrupted) }
            try conclude(outcome.input, report.imbalances)
            if !isLive { try endIfInterrupted(wasInterrupted) }
        }
    }
}

struct Tap: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs a graph and shows what passes one edge.",
        discussion: """
            An edge is named by its output: 'sort.syn'. One line for each item, with the number of the packet that set it in motion, \
            from 1 over all wires, and its time; or a capture with --write. Standard output is for these: what the graph itself would write there is thrown away.
            """
    )
    @OptionGroup var source: GraphOptions
    @Argument(help: "The edge, named by its output: ELEMENT.PORT.")
    var edge: String
    @OptionGroup var options: RunOptions
    @OptionGroup var userOption: UserOption

    @Option(
        help: ArgumentHelp(
            "Writes the packets to a capture instead: pcapng if the name ends in .pcapng, else pcap; compressed if .gz follows.",
            valueName: "file"
        )
    )
    var write: String?

    @Option(help: ArgumentHelp("Ends after so many items.", valueName: "items"))
    var count: Int?

    @Option(help: "How items are written; JSON is one object a line.")
    var format: ResultFormat = .text

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count is out of range, at least 1") }
        if write != nil, format == .json {
            throw ValidationError("--write writes a capture, so --format is not for it")
        }
        if let flaw = write.flatMap(OutputName.flaw) { throw ValidationError("--write: \(flaw)") }
    }

    func run() throws {
        let user = try userOption.user()
        let (graph, loaded) = try source.load()
        let number = try edgeNumber(edge, graph)
        let kind = GraphShape(graph).kinds[number]
        if write != nil, kind != .packet, kind != .stream {
            throw Failure.usage("edge '\(edge)' carries \(kind?.description ?? "no items"); only packets fit a capture")
        }
        let wires = try options.input.bindings(of: graph, loaded)
        try reporting {
            let progress = Progress("tapping \(edge)")
            let inputs = InputFiles(loaded, wires)
            if let write { try inputs.checkOutput(write) }
            let writer = try write.map { try CaptureWriter(path: $0) }
            var seen = 0
            var failure: (any Error)?
            let outcome = try GraphRun.run(
                graph,
                wires: wires,
                inputs: inputs,
                services: Session.services,
                ownsOutput: true,
                options: options.instance,
                opened: user?.become,
                observer: { instance in
                    EdgeTap(edge: number) { item in
                        guard failure == nil, seen < count ?? .max else { return }
                        seen += 1
                        do {
                            if let writer {
                                try writer.write(item)
                            } else {
                                let shown = ItemText(item, instance.layouts)
                                try Output.result((format == .json ? shown.json.line : shown.text) + "\n")
                            }
                        } catch {
                            failure = error
                        }
                    }
                },
                progress: { progress("\(grouped($0())) packets, \(counted(UInt64(seen), "item")) passed", share: $1) },
                shouldStop: { stopAsked() || seen >= count ?? .max || failure != nil || Output.isClosed }
            )
            try writer?.close()
            if let failure { throw failure }
            // Whatever the name ends in: the format may not be the one it suggests.
            let place = write.map { "; written as \(CaptureWriter.format(of: $0).rawValue) to '\($0)'" } ?? ""
            Output.error("\(counted(UInt64(seen), "item")) passed \(edge)\(place)\n")
            let wasInterrupted = stopAsked()
            noteInterrupt(wasInterrupted)
            noteDiscards(outcome)
            try conclude(outcome.input)
            try endIfInterrupted(wasInterrupted)
        }
    }
}

struct Trace: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Follows one packet, and what is made from it, through a graph.",
        discussion:
            "Standard output is for the steps: what the graph itself would write there is thrown away."
    )
    @OptionGroup var source: GraphOptions
    // One item at a time, so that the element's counters show what it did with the packet.
    @OptionGroup var input: InputOptions
    @OptionGroup var userOption: UserOption

    @Option(help: ArgumentHelp("Which packet: its number over all wires, from 1.", valueName: "number"))
    var packet: UInt64 = 1

    @Option(help: "How steps are written; JSON is one object a line.")
    var format: ResultFormat = .text

    func validate() throws {
        if packet == 0 { throw ValidationError("packets are numbered from 1, as in tshark") }
    }

    func run() throws {
        let user = try userOption.user()
        let (graph, loaded) = try source.load()
        let wires = try input.bindings(of: graph, loaded)
        try reporting {
            let progress = Progress("tracing packet \(packet)")
            let inputs = InputFiles(loaded, wires)
            var trace: PacketTrace?
            var failure: (any Error)?
            let outcome = try GraphRun.run(
                graph,
                wires: wires,
                inputs: inputs,
                services: Session.services,
                ownsOutput: true,
                options: input.instance,
                opened: user?.become,
                observer: { instance in
                    let made = PacketTrace(instance, number: packet) { step in
                        guard failure == nil else { return }
                        do {
                            try Output.result((format == .json ? step.json.line : step.text) + "\n")
                        } catch {
                            failure = error
                        }
                    }
                    trace = made
                    return made
                },
                progress: { progress("\(grouped($0())) packets", share: $1) },
                shouldStop: { stopAsked() || failure != nil || Output.isClosed }
            )
            if let failure { throw failure }
            noteDiscards(outcome)
            let wasInterrupted = stopAsked()
            noteInterrupt(wasInterrupted)
            try conclude(outcome.input)
            try endIfInterrupted(wasInterrupted)
            if trace?.found != true, !Output.isClosed {
                let count = outcome.report.wires.reduce(0) { $0 + $1.packetsIn }
                throw Failure.notHeld(
                    "there is no packet \(packet); \(count == 1 ? "1 packet" : "\(grouped(count)) packets") came in"
                )
            }
        }
    }
}

/// Reports that the user ended the run.
private func noteInterrupt(_ wasInterrupted: Bool) {
    if wasInterrupted { Output.error("warning: interrupted; what came after is not in the results\n") }
}

/// Ends the verb with the status of an interrupt, once everything else is said.
private func endIfInterrupted(_ wasInterrupted: Bool) throws {
    if wasInterrupted { throw Failure(code: 130, message: nil) }
}

/// Reports that results of the graph are missing, as this verb has standard output to itself.
private func noteDiscards(_ outcome: GraphRun.Outcome) {
    guard outcome.usedStandardOutput else { return }
    Output.error("what the graph writes to standard output was thrown away; 'spillway run' shows it\n")
}

/// The number of the edge called `name`.
private func edgeNumber(_ name: String, _ graph: GraphSpec) throws -> Int {
    if let number = graph.edge(named: name) { return number }
    let names = graph.edges.map { graph.name(of: $0) }
    let own = names.filter { $0.hasPrefix("\(name).") }
    let guess =
        own.isEmpty
        ? nearest(to: name, among: names).map { "; did you mean '\($0)'?" } ?? ""
        : "; those of '\(name)' are \(own.joined(separator: ", "))"
    throw Failure.usage("graph '\(graph.name)' has no edge '\(name)'; it has \(names.joined(separator: ", "))\(guess)")
}
