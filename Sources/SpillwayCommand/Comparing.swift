// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import Spillway

/// How what the model says is written.
enum ModelFormat: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
    case markdown
}

/// What the verbs that model a graph share.
struct ModelOptions: ParsableArguments {
    @OptionGroup var input: InputOptions

    @Option(help: ArgumentHelp("The device: a shipped profile or a file.", valueName: "name|file"))
    var profile = "agilio-cx"

    @Option(help: ArgumentHelp("The load at which latency is modelled.", valueName: "2x|5Mpps|capture"))
    var load: String?

    @Option(help: "How the result is written.")
    var format: ModelFormat = .text

    @Option(help: ArgumentHelp("Keeps resolved.yaml, manifest.json, stats.json and report.md.", valueName: "directory"))
    var runDir: String?

    /// What `body` models with.
    struct Means {
        var device: DeviceProfile
        var load: OfferedLoad?
        var progress: (ModelStep) -> Void
        /// Gives the graph with its captures opened; to be called once.
        var makeInstance: () throws -> Instance
    }

    /// Models a graph, writes the report of `body` and keeps it in the run directory, with the placements or the objective
    /// that were asked for. `files` are those that the verb reads and writes itself. Gives what there is to say of the captures, which comes last.
    func model(
        _ verb: String,
        _ graph: GraphSpec,
        _ loaded: LoadedGraph,
        placements: [GraphSpec.Placement] = [],
        objective: Objective? = nil,
        files: (read: [String], written: String?),
        _ body: (Means) throws -> any ModelReport
    ) throws -> InputNotes {
        let (device, bytes) = try loadProfile(profile)
        let wires = try input.bindings()
        if let wire = wires.first(where: { $0.write != nil }) {
            throw Failure.usage(
                "wire '\(wire.name)' has a file to write, but '\(verb)' only models; 'spillway run' writes it"
            )
        }
        return try reporting {
            let load = try load.map(parseLoad)
            var inputs = InputFiles(loaded, wires)
            for file in files.read + [Profiles.path(profile)] { inputs.add(file) }
            if let file = files.written { try inputs.checkOutput(file) }
            let directory = try runDir.map { try RunDirectory($0, inputs: inputs) }
            let progress = Progress("modelling \(graph.name) on \(device.name)")
            let services = ObservedServices(MemoryServices())
            let (report, notes) = try endingWhenInterrupted {
                let instance = try GraphRun.modelInstance(
                    graph,
                    wires: wires,
                    options: input.instance,
                    services: services
                )
                let means = Means(
                    device: device,
                    load: load,
                    progress: { progress("\($0)") },
                    makeInstance: { instance }
                )
                do {
                    return (try body(means), InputNotes(instance))
                } catch ModelError.noPackets {
                    // The damage that stands before the first packet says more.
                    try conclude(InputNotes(instance))
                    throw ModelError.noPackets
                }
            }
            switch format {
            case .text: try Output.result(report.text)
            case .json: try Output.result(report.json.text)
            case .markdown: try Output.result(report.markdown)
            }
            var content = RunDirectory.Content(
                verb: verb,
                graph: loaded,
                wires: wires,
                seed: input.seed,
                statistics: report.statistics,
                markdown: report.markdown
            )
            content.profile = (profile, bytes)
            content.load = load
            content.outputs = services.sinks
            content.placements = placements
            content.objective = objective
            try directory?.write(content, shouldStop: stopAsked)
            return notes
        }
    }
}

struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compares placements of a graph on a device, or the results of earlier runs.",
        discussion: """
            Everything it prints is modelled. Latency is that at half the sustainable rate of the slowest placement, unless \
            --load says another: a factor of the capture's speed (2x), a rate (5Mpps), or 'capture' for its own times.

            With two run directories it sets their statistics side by side; runs of different inputs are refused.
            """
    )
    @Argument(help: "The graph file, or two run directories.")
    var inputs: [String]

    @Option(name: .customLong("set"), help: ArgumentHelp("Sets a parameter of the graph.", valueName: "key=value"))
    var settings: [String] = []

    @OptionGroup var options: ModelOptions

    @Option(help: ArgumentHelp("The placements, by name or file; all of the graph if left out.", valueName: "a,b,c"))
    var placements: String?

    @Flag(help: "Compares run directories even when their inputs differ.")
    var allowDifferentInputs = false

    func run() throws {
        if inputs.count == 2, Files.isDirectory(inputs[0]), Files.isDirectory(inputs[1]) { return try compareRuns() }
        guard inputs.count == 1 else { throw Failure.usage("give one graph, or two run directories") }
        var source = GraphOptions()
        source.graph = inputs[0]
        source.settings = settings
        let (graph, loaded) = try source.load()
        let names = placements.map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) } ?? []
        if names.contains("") { throw Failure.usage("--placements '\(placements ?? "")' has an empty name") }
        let chosen = placements == nil ? graph.placements : try names.map { try placement($0, of: graph) }
        if chosen.isEmpty {
            throw Failure.badGraph(
                "graph '\(graph.name)' has no placements; name files with --placements, or use 'plan'"
            )
        }
        for (k, one) in chosen.enumerated() where chosen[..<k].contains(where: { $0.name == one.name }) {
            throw Failure.usage("placement '\(one.name)' is named twice")
        }
        let files = names.filter { name in !graph.placements.contains { $0.name == name } }
        let notes = try options.model("compare", graph, loaded, placements: chosen, files: (files, nil)) { means in
            var modelOptions = Comparison.Options()
            modelOptions.load = means.load
            let comparison = try Comparison.run(
                chosen,
                profile: means.device,
                options: modelOptions,
                progress: means.progress,
                makeInstance: means.makeInstance
            )
            return ComparisonReport(graph: graph.name, profile: means.device, comparison: comparison)
        }
        try reporting { try conclude(notes) }
    }

    private func compareRuns() throws {
        try reporting {
            let comparison = try RunComparison(inputs[0], inputs[1])
            if !comparison.differentInputs.isEmpty, !allowDifferentInputs {
                throw Failure.notHeld(
                    "the runs had different inputs (\(comparison.differentInputs.joined(separator: ", "))); "
                        + "--allow-different-inputs compares them all the same"
                )
            }
            switch options.format {
            case .text: try Output.result(comparison.table.text)
            case .json: try Output.result(comparison.json.text)
            case .markdown: try Output.result(comparison.table.markdown)
            }
        }
    }
}

struct Plan: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Finds the best placement of a graph on a device, and says why.",
        discussion:
            "Tries every placement that the constraints of the graph allow, up to 64. Everything it prints is modelled."
    )
    @OptionGroup var source: GraphOptions
    @OptionGroup var options: ModelOptions

    @Option(
        help: "What the placement should be best at: \(Objective.allCases.map(\.rawValue).joined(separator: ", "))."
    )
    var objective: Objective = .rate

    @Option(help: ArgumentHelp("Writes the best placement to a file.", valueName: "file"))
    var write: String?

    func run() throws {
        let (graph, loaded) = try source.load()
        var best: PlacementResult?
        let notes = try options.model("plan", graph, loaded, objective: objective, files: ([], write)) { means in
            var modelOptions = Spillway.Plan.options
            modelOptions.load = means.load
            let plan = try Spillway.Plan.make(
                graph,
                for: objective,
                profile: means.device,
                options: modelOptions,
                progress: means.progress,
                makeInstance: means.makeInstance
            )
            best = plan.best
            return PlanReport(graph: graph.name, profile: means.device, plan: plan)
        }
        try reporting {
            if let write, let best {
                let path = Files.relative(source.graph, to: write)
                try Files.write(PlacementFile.text(best, of: graph, graphPath: path), to: write)
            }
            try conclude(notes)
        }
    }
}

extension Objective: ExpressibleByArgument {}

/// Reads a profile; what is wrong with it goes to standard error.
private func loadProfile(_ name: String) throws -> (DeviceProfile, [UInt8]) {
    let path = Profiles.path(name)
    if !path.hasPrefix("profile:"), Files.isMissing(path) {
        let guess = nearest(to: name, among: Profiles.shipped).map { "; did you mean '\($0)'?" } ?? ""
        throw Failure.noFile(
            "there is no profile '\(name)': no such file, and shipped are \(Profiles.shipped.joined(separator: ", "))\(guess)"
        )
    }
    if !path.hasPrefix("profile:") { try requireFile(path) }
    let (profile, diagnostics) = Profiles.load(name, Session.loader)
    for diagnostic in diagnostics { Output.error(diagnostic.rendered) }
    guard let profile else { throw Failure.badGraph() }
    return (profile, try reporting { try Profiles.read(path) })
}

/// Reads `2x`, `1.5x`, `5Mpps` or `capture`.
private func parseLoad(_ text: String) throws -> OfferedLoad {
    if text == "capture" { return .captureTime }
    if text.hasSuffix("x") {
        let parts = text.dropLast().split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        var fraction = parts.count == 2 ? parts[1] : ""
        while fraction.last == "0" { fraction.removeLast() }
        let digits = parts[0] + fraction
        if parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            fraction.count <= 6, let numerator = Int(digits), numerator > 0
        {
            var denominator = 1
            for _ in fraction { denominator *= 10 }
            if numerator <= 1_000_000 * denominator {
                return .factor(numerator: numerator, denominator: denominator)
            }
        }
    } else if text.first?.isNumber == true, case .packets(let rate)? = try? Quantity.parseRate(text), rate > 0,
        rate <= 1_000_000_000_000
    {
        return .rate(rate)
    }
    throw Failure.usage(
        "--load '\(text)' is neither a factor (2x, up to 1000000x), a rate (5Mpps) nor 'capture'"
    )
}
