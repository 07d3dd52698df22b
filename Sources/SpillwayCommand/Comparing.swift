// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import Spillway

/// The output format of model results.
enum ModelFormat: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
    case markdown
}

/// Options shared by the verbs that model a graph.
struct ModelOptions: ParsableArguments {
    @OptionGroup var input: InputOptions

    @Option(
        help: ArgumentHelp(
            "The device: a shipped profile or a file; for 'compare' also one for each placement, as in 'host-only=xl710,default=agilio-cx'.",
            valueName: "name|file"
        )
    )
    var profile = "agilio-cx"

    @Option(
        help: ArgumentHelp(
            "The load at which latency is modelled: so many times the capture's rate, packets or bits on the wire per second, or its own rate.",
            valueName: "2x|5Mpps|10Gbps|capture"
        )
    )
    var load: String?

    @Option(help: ArgumentHelp("The placement others are held against, by name or file.", valueName: "name|file"))
    var baseline: String?

    @Option(
        help: ArgumentHelp(
            "The columns of the table, in this order; those in which placements differ if left out.",
            valueName: "a,b,c"
        )
    )
    var columns: String?

    @Option(help: "How the result is written.")
    var format: ModelFormat = .text

    @Option(help: ArgumentHelp("Keeps resolved.yaml, manifest.json, stats.json and report.md.", valueName: "directory"))
    var runDir: String?

    @Flag(help: "Replaces what an earlier run left in the run directory, and the file that 'plan' writes.")
    var overwrite = false

    /// What `body` gets to model with.
    struct Means {
        /// The device of a placement, by name.
        var device: (String) -> DeviceProfile
        var baseline: GraphSpec.Placement
        var options: Comparison.Options
        var progress: (ModelStep) -> Void
        /// Returns the graph with its captures opened; call it only once.
        var makeInstance: () throws -> Instance
    }

    /// Models a graph, writes the report of `body` and keeps it in the run directory, with the requested placements or
    /// objective. `files` are read and written by the verb itself. Notes on the captures come last.
    func model(
        _ verb: String,
        _ graph: GraphSpec,
        _ loaded: LoadedGraph,
        placements: [GraphSpec.Placement] = [],
        objective: Objective? = nil,
        files: (read: [String], written: String?),
        isInterruptible: Bool = false,
        _ body: (Means) throws -> any ModelReport
    ) throws -> InputNotes {
        if overwrite, runDir == nil, files.written == nil {
            throw Failure.usage("--overwrite is for --run-dir and what 'plan' writes, which are not given")
        }
        let chosen = try columns.map { try chosenColumns($0, among: placementColumns) } ?? []
        let devices = try Devices(profile, placements: placements.map(\.name) + [baseline ?? "host-only"])
        if isInterruptible, devices.all.count > 1 {
            throw Failure.usage("'\(verb)' takes one profile; 'compare' takes one for each placement")
        }
        let base = try baseline.map { name in
            try placements.first { $0.name == name } ?? graph.extremes.first { $0.name == name }
                ?? placement(name, of: graph, loaded)
        }
        let wires = try input.bindings(of: graph, loaded)
        if let wire = wires.first(where: { $0.write != nil }) {
            throw Failure.usage(
                "wire '\(wire.name)' has a file to write, but '\(verb)' only models; 'spillway run' writes it"
            )
        }
        return try reporting {
            let load = try load.map(parseLoad)
            var inputs = InputFiles(loaded, wires)
            for file in files.read + devices.all.map(\.path) { inputs.add(file) }
            if let file = files.written {
                try inputs.checkOutput(file)
                if Files.isRegular(file), !overwrite {
                    throw Failure.usage("'\(file)' exists; --overwrite replaces it")
                }
            }
            let directory = try runDir.map { try RunDirectory($0, inputs: inputs, overwrites: overwrite) }
            let names = devices.all.map(\.profile.name).joined(separator: ", ")
            let progress = Progress("modelling \(graph.name) on \(names)")
            let services = ObservedServices(MemoryServices(Session.services))
            var options = Comparison.Options()
            options.load = load
            options.baseline = base?.name
            options.seed = input.seed ?? 1
            func work() throws -> (any ModelReport, InputNotes) {
                let instance = try GraphRun.modelInstance(
                    graph,
                    wires: wires,
                    options: input.instance,
                    services: services,
                    shouldStop: isInterruptible ? stopAsked : nil
                )
                let means = Means(
                    device: { devices[$0] },
                    baseline: base ?? Comparison.baseline(graph, placements, nil),
                    options: options,
                    progress: { progress("\($0)", $0.fraction) },
                    makeInstance: { instance }
                )
                do {
                    let report = try body(means)
                    var notes = InputNotes(instance)
                    notes.noteFrames(of: instance)
                    return (report, notes)
                } catch ModelError.noPackets {
                    // Damage before the first packet says more.
                    try conclude(InputNotes(instance))
                    throw ModelError.noPackets
                }
            }
            // An interrupted search returns what it has found; half a comparison is worthless.
            var (report, notes) = try isInterruptible ? work() : endingWhenInterrupted(work)
            report.columns = chosen
            switch format {
            case .text: try Output.result(report.text(width: Terminal(1).width))
            case .json:
                let warnings = JSON.array(notes.warnings.map { .string($0) })
                try Output.result(report.json.adding("warnings", warnings).text)
            case .markdown: try Output.result(report.markdown)
            }
            var content = RunDirectory.Content(
                verb: verb,
                graph: loaded,
                wires: wires,
                seed: input.seed ?? 1,
                statistics: report.statistics,
                markdown: report.markdown
            )
            content.profiles = devices.all.map { ($0.path, $0.bytes) }
            content.load = report.load
            content.baseline = base?.name
            content.sinks = services.sinks
            content.outputs = files.written.map { [$0] } ?? []
            content.wasInterrupted = report.wasInterrupted
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
            Everything it prints is modelled. Latency is that at half the sustainable rate of the baseline, which is 'host-only' \
            or all on the host unless --baseline names another. --load says another load. A load is made of copies of the \
            captured traffic, each with flows of its own and shifted in time: more users, never faster ones. 2x are two copies; \
            5Mpps and 10Gbps are as many as are needed, slowed so that they make it exactly; 'capture' is one.

            A graph without placements is compared with everything on the host and with all that can be on the NIC.

            With two run directories it sets their statistics side by side; runs of different inputs are refused.
            """
    )
    @Argument(help: "The graph file, or two run directories.")
    var inputs: [String]

    @Option(name: .customLong("set"), help: ArgumentHelp("Sets a parameter of the graph.", valueName: "key=value"))
    var settings: [String] = []

    @OptionGroup var options: ModelOptions

    @Option(
        help: ArgumentHelp(
            "The placements, by name or file, all-host and all-nic among them; all of the graph if left out. '\\,' is a comma in a name.",
            valueName: "a,b,c"
        )
    )
    var placements: String?

    @Flag(help: "Compares run directories even when their inputs differ.")
    var allowDifferentInputs = false

    func run() throws {
        if inputs.count == 2, Files.isDirectory(inputs[0]), Files.isDirectory(inputs[1]) {
            let others: [(String, Bool)] = [
                ("--run-dir", options.runDir != nil), ("--load", options.load != nil),
                ("--baseline", options.baseline != nil), ("--columns", options.columns != nil),
                ("--placements", placements != nil), ("--wire", !options.input.wires.isEmpty),
                ("--set", !settings.isEmpty),
                ("--profile", options.profile != "agilio-cx"), ("--overwrite", options.overwrite),
            ]
            if let other = others.first(where: \.1) {
                throw Failure.usage("\(other.0) is for a graph, and these are two run directories")
            }
            return try compareRuns()
        }
        guard inputs.count == 1 else { throw Failure.usage("give one graph, or two run directories") }
        if Files.isDirectory(inputs[0]) {
            throw Failure.usage("'\(inputs[0])' is a directory: give two run directories, or one graph")
        }
        var source = GraphOptions()
        source.graph = inputs[0]
        source.settings = settings
        let (graph, loaded) = try source.load()
        let names = placements.map { WireArgument.parts($0[...]) } ?? []
        if names.contains("") { throw Failure.usage("--placements '\(placements ?? "")' has an empty name") }
        let own = graph.placements.isEmpty ? graph.extremes : graph.placements
        let chosen =
            placements == nil
            ? own
            : try names.map { name in
                try graph.placements.contains { $0.name == name }
                    ? placement(name, of: graph, loaded)
                    : graph.extremes.first { $0.name == name } ?? placement(name, of: graph, loaded)
            }
        for (k, one) in chosen.enumerated() where chosen[..<k].contains(where: { $0.name == one.name }) {
            let first = chosen.firstIndex { $0.name == one.name } ?? k
            let other = names.isEmpty ? one.name : names[first]
            throw Failure.usage(
                names.isEmpty || names[k] == other
                    ? "placement '\(one.name)' is named twice"
                    : "'\(other)' and '\(names[k])' are both named '\(one.name)'"
            )
        }
        let files = names.filter { name in !(graph.placements + graph.extremes).contains { $0.name == name } }
        let notes = try options.model("compare", graph, loaded, placements: chosen, files: (files, nil)) { means in
            let recording = try Recording(means.makeInstance(), progress: means.progress)
            let comparison = try Comparison(
                recording,
                chosen.map { Contender($0, on: means.device($0.name)) },
                baseline: Contender(means.baseline, on: means.device(means.baseline.name)),
                means.options,
                progress: means.progress
            )
            return ComparisonReport(graph: graph.name, comparison: comparison)
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
            case .text: try Output.result(comparison.table.text(width: Terminal(1).width ?? .max))
            case .json: try Output.result(comparison.json.text)
            case .markdown: try Output.result(comparison.table.markdown)
            }
            if !comparison.differentInputs.isEmpty {
                Output.error(
                    "warning: the runs had different inputs: \(comparison.differentInputs.joined(separator: ", "))\n"
                )
            }
        }
    }
}

struct Plan: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Finds the best placement of a graph on a device, and says why.",
        discussion:
            """
            Looks at every placement that the constraints of the graph allow, up to \(Spillway.Plan.maximum), and replays those that may \
            be the best. Everything it prints is modelled. An interrupt ends the search with the best so far, and status 130.
            """
    )
    @OptionGroup var source: GraphOptions
    @OptionGroup var options: ModelOptions

    @Option(
        help: "What the placement should be best at: \(Objective.allCases.map(\.rawValue).joined(separator: ", "))."
    )
    var objective: Objective = .rate

    @Option(help: ArgumentHelp("Writes the best placement to a file.", valueName: "file"))
    var write: String?

    func validate() throws {
        if write == "-" { throw ValidationError("--write needs a file: standard output is for the report") }
    }

    func run() throws {
        let (graph, loaded) = try source.load()
        var best: PlacementResult?
        var wasInterrupted = false
        let notes = try options.model(
            "plan",
            graph,
            loaded,
            objective: objective,
            files: ([], write),
            isInterruptible: true
        ) { means in
            let profile = means.device("")
            let plan = try Spillway.Plan.make(
                graph,
                for: objective,
                profile: profile,
                baseline: means.baseline,
                options: means.options,
                progress: means.progress,
                shouldStop: stopAsked,
                makeInstance: means.makeInstance
            )
            best = plan.best
            wasInterrupted = plan.wasInterrupted
            return PlanReport(graph: graph.name, profile: profile, plan: plan)
        }
        try reporting {
            if let write, let best {
                let path = Files.relative(source.graph, to: write)
                try Files.write(PlacementFile.text(best, of: graph, graphPath: path), to: write)
            }
            try conclude(notes)
        }
        if wasInterrupted { throw Failure(code: 130, message: "interrupted: this is the best so far") }
    }
}

extension GraphSpec {
    /// Everything on the host, and everything possible on the NIC; one placement if these are the same.
    var extremes: [Placement] { allHost.sides == allNIC.sides ? [allHost] : [allHost, allNIC] }
}

/// The profiles of a verb: one for all placements, or one for each.
private struct Devices {
    var all: [(profile: DeviceProfile, path: String, bytes: [UInt8])] = []
    /// For each placement that is named, the index of its profile.
    private var named: [(placement: String, number: Int)] = []
    private var standard: Int?

    /// Parses `NAME` or `PLACEMENT=NAME,...,default=NAME`.
    init(_ text: String, placements: [String]) throws {
        guard text.contains("="), !Files.exists(text) else {
            standard = try add(text)
            return
        }
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let equals = part.firstIndex(of: "=") else {
                throw Failure.usage("--profile '\(text)': '\(part)' is not PLACEMENT=PROFILE")
            }
            let name = String(part[..<equals])
            let number = try add(String(part[part.index(after: equals)...]))
            if name == "default" {
                if standard != nil { throw Failure.usage("--profile '\(text)' names 'default' twice") }
                standard = number
            } else if named.contains(where: { $0.placement == name }) {
                throw Failure.usage("--profile '\(text)' names '\(name)' twice")
            } else {
                named.append((name, number))
            }
        }
        for one in named where !placements.contains(one.placement) {
            let guess = nearest(to: one.placement, among: placements).map { "; did you mean '\($0)'?" } ?? ""
            throw Failure.usage("--profile names the placement '\(one.placement)', which is not compared\(guess)")
        }
        if standard == nil, let missing = placements.first(where: { name in !named.contains { $0.placement == name } })
        {
            throw Failure.usage("--profile has none for '\(missing)'; 'default=PROFILE' gives one to all others")
        }
    }

    private mutating func add(_ name: String) throws -> Int {
        let (profile, bytes) = try loadProfile(name)
        let path = Profiles.path(name)
        if let known = all.firstIndex(where: { $0.profile.name == profile.name }) {
            if all[known].bytes == bytes { return known }
            throw Failure.usage("two different profiles have the name '\(profile.name)'")
        }
        all.append((profile, path, bytes))
        return all.count - 1
    }

    /// The device of a placement.
    subscript(_ placement: String) -> DeviceProfile {
        all[named.first { $0.placement == placement }?.number ?? standard ?? 0].profile
    }
}

extension Objective: ExpressibleByArgument {}

/// Reads a profile; errors in it go to standard error.
func loadProfile(_ name: String) throws -> (DeviceProfile, [UInt8]) {
    let path = Profiles.path(name)
    if !path.hasPrefix("profile:"), Files.isMissing(path) {
        let guess = nearest(to: name, among: Profiles.shipped).map { "; did you mean '\($0)'?" } ?? ""
        throw Failure.noFile(
            "there is no profile '\(name)': no such file, and shipped are \(Profiles.shipped.joined(separator: ", "))\(guess)"
        )
    }
    if !path.hasPrefix("profile:") { try requireFile(path) }
    let (profile, diagnostics) = Profiles.load(name, Session.loader)
    for diagnostic in diagnostics { Output.error(diagnostic) }
    guard let profile else { throw Failure.badGraph() }
    return (profile, try reporting { try Profiles.read(path) })
}

/// Parses `2x`, `1.5x`, `5Mpps`, `10Gbps` or `capture`.
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
    } else if text.first?.isNumber == true, let rate = try? Quantity.parseRate(text) {
        switch rate {
        case .packets(let rate) where (1...1_000_000_000_000).contains(rate): return .rate(rate)
        case .bits(let rate) where (1...1_000_000_000_000_000).contains(rate): return .wireRate(rate)
        default: break
        }
    }
    throw Failure.usage(
        "--load '\(text)' is neither a factor (2x, up to 1000000x), a rate (5Mpps, 10Gbps) nor 'capture'"
    )
}
