// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import Spillway

struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compares placements of a graph on a device, or the results of earlier runs.",
        discussion: """
            Everything it prints is modelled. Latency is that at half the sustainable rate of the slowest placement, unless \
            --load says another: a factor of the capture's speed (2x), a rate (5Mpps), or 'capture' for its own times.

            With two run directories it sets their statistics side by side; runs of different inputs are refused.
            """
    )
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
        case markdown
    }
    @Argument(help: "The graph file, or two run directories.")
    var inputs: [String]

    @Option(name: .customLong("set"), help: ArgumentHelp("Sets a parameter of the graph.", valueName: "key=value"))
    var settings: [String] = []

    @OptionGroup var options: RunOptions

    @Option(help: ArgumentHelp("The placements, by name or file; all of the graph if left out.", valueName: "a,b,c"))
    var placements: String?

    @Option(help: ArgumentHelp("The device: a shipped profile or a file.", valueName: "name|file"))
    var profile = "agilio-cx"

    @Option(help: ArgumentHelp("The load at which latency is modelled.", valueName: "2x|5Mpps|capture"))
    var load: String?

    @Option(help: "How the comparison is written.")
    var format: Format = .text

    @Option(help: ArgumentHelp("Keeps resolved.yaml, manifest.json, stats.json and report.md.", valueName: "directory"))
    var runDir: String?

    @Flag(help: "Compares run directories even when their inputs differ.")
    var allowDifferentInputs = false

    func run() throws {
        if inputs.count == 2, Files.isDirectory(inputs[0]), Files.isDirectory(inputs[1]) { return try compareRuns() }
        guard inputs.count == 1 else { throw Failure.usage("give one graph, or two run directories") }
        var source = GraphOptions()
        source.graph = inputs[0]
        source.settings = settings
        let (graph, loaded) = try source.load()
        let (device, bytes) = try loadProfile(profile)
        var chosen = graph.placements
        if let placements {
            chosen = try placements.split(separator: ",").map { try placement(String($0), of: graph) }
        }
        if chosen.isEmpty {
            throw Failure.badGraph(
                "graph '\(graph.name)' has no placements; name files with --placements, or use 'plan'"
            )
        }
        for (k, one) in chosen.enumerated() where chosen[..<k].contains(where: { $0.name == one.name }) {
            throw Failure.usage("placement '\(one.name)' is named twice")
        }
        let wires = try options.bindings()
        try reporting {
            var modelOptions = Comparison.Options()
            modelOptions.load = try load.map(parseLoad)
            let directory = try runDir.map { try RunDirectory($0) }
            // The model has nothing to show of half its work: an interrupt ends it.
            signal(SIGINT, SIG_DFL)
            Output.progress("modelling \(chosen.count) placements of \(graph.name) on \(device.name) ...")
            let comparison = try Comparison.run(chosen, profile: device, options: modelOptions) {
                try GraphRun.modelInstance(graph, wires: wires, options: options.instance)
            }
            let report = ComparisonReport(graph: graph.name, profile: device, comparison: comparison)
            switch format {
            case .text: try Output.result(report.text)
            case .json: try Output.result(report.json.text)
            case .markdown: try Output.result(report.markdown)
            }
            var content = RunDirectory.Content(
                verb: "compare",
                graph: loaded,
                wires: wires,
                seed: options.seed,
                statistics: report.statistics,
                markdown: report.markdown
            )
            content.profile = (profile, bytes)
            content.placements = chosen
            try directory?.write(content)
        }
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
            switch format {
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
    @OptionGroup var options: RunOptions

    @Option(help: ArgumentHelp("The device: a shipped profile or a file.", valueName: "name|file"))
    var profile = "agilio-cx"

    @Option(
        help: "What the placement should be best at: \(Objective.allCases.map(\.rawValue).joined(separator: ", "))."
    )
    var objective: Objective = .rate

    @Option(help: ArgumentHelp("Writes the best placement to a file.", valueName: "file"))
    var write: String?

    @Option(help: "How the plan is written.")
    var format: ResultFormat = .text

    func run() throws {
        let (graph, _) = try source.load()
        let (device, _) = try loadProfile(profile)
        let wires = try options.bindings()
        try reporting {
            // The model has nothing to show of half its work: an interrupt ends it.
            signal(SIGINT, SIG_DFL)
            Output.progress("modelling the placements of \(graph.name) on \(device.name) ...")
            let plan = try Spillway.Plan.make(graph, for: objective, profile: device) {
                try GraphRun.modelInstance(graph, wires: wires, options: options.instance)
            }
            let report = PlanReport(graph: graph.name, profile: device, plan: plan)
            try Output.result(format == .json ? report.json.text : report.text)
            if let write {
                try Files.write(
                    PlacementFile.text(plan.best, of: graph, graphPath: Files.relative(source.graph, to: write)),
                    to: write
                )
            }
        }
    }
}

extension Objective: ExpressibleByArgument {}

/// Reads a profile; what is wrong with it goes to standard error.
private func loadProfile(_ name: String) throws -> (DeviceProfile, [UInt8]) {
    let path = Profiles.path(name)
    if !path.hasPrefix("profile:"), !Files.exists(path) {
        let guess = nearest(to: name, among: Profiles.shipped).map { "; did you mean '\($0)'?" } ?? ""
        throw Failure.noFile(
            "there is no profile '\(name)': no such file, and shipped are \(Profiles.shipped.joined(separator: ", "))\(guess)"
        )
    }
    let (profile, diagnostics) = Profiles.load(name, Session.loader)
    for diagnostic in diagnostics { Output.error(diagnostic.rendered) }
    guard let profile else { throw Failure.badGraph() }
    return (profile, try reporting { try Profiles.read(path) })
}

/// Reads `2x`, `5Mpps` or `capture`.
private func parseLoad(_ text: String) throws -> OfferedLoad {
    if text == "capture" { return .captureTime }
    if text.hasSuffix("x") {
        let number = text.dropLast()
        let digits = number.split(separator: ".", omittingEmptySubsequences: false)
        if digits.count <= 2, let whole = Int(digits[0].isEmpty ? "0" : digits[0]), whole >= 0, whole <= 1_000_000 {
            let fraction = digits.count == 2 ? digits[1] : ""
            if fraction.count <= 6, fraction.isEmpty || (Int(fraction) ?? -1) >= 0 {
                var denominator = 1
                for _ in 0..<fraction.count { denominator *= 10 }
                let numerator = whole * denominator + (Int(fraction) ?? 0)
                if numerator > 0 { return .factor(numerator: numerator, denominator: denominator) }
            }
        }
    } else if case .packets(let rate)? = try? Quantity.parseRate(text), rate > 0, rate <= 1_000_000_000_000 {
        return .rate(rate)
    }
    throw Failure.usage("--load '\(text)' is neither a factor (2x), a rate (5Mpps) nor 'capture'")
}
