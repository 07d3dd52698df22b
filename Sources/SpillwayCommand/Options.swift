// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Spillway

/// The output format of results. Verbs that show items as they pass write one JSON object per line.
enum ResultFormat: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
}

/// The graph of a verb and values for its parameters.
struct GraphOptions: ParsableArguments {
    @Argument(help: "The graph file; '-' is standard input.")
    var graph: String

    @Option(name: .customLong("set"), help: ArgumentHelp("Sets a parameter of the graph.", valueName: "key=value"))
    var settings: [String] = []

    /// Reads the graph. Problems go to standard error; an error ends the verb.
    func load() throws -> (graph: GraphSpec, loaded: LoadedGraph) {
        if graph != "-" { try requireFile(graph) }
        let loaded = Session.loader.loadGraph(graph, settings: try pairs(settings))
        for diagnostic in loaded.diagnostics { Output.error(diagnostic) }
        guard let spec = loaded.graph else {
            throw Failure(loaded.diagnostics)
        }
        return (spec, loaded)
    }
}

/// Options for reading captures through a graph.
struct InputOptions: ParsableArguments {
    @Option(
        name: .customLong("wire"),
        help: ArgumentHelp(
            "Binds a wire of the graph to captures, or to an interface as if:NAME; '-' is standard input, '\\,' a comma in a name. The name of the only wire may be left out.",
            valueName: "name=file[,file...][,write=file]"
        )
    )
    var wires: [String] = []

    @Flag(help: "Merges the captures of each wire by time; if not, they are read one after another.")
    var merge = false

    @Option(help: "Seed of everything random. (default: 1, on interfaces a random one)")
    var seed: UInt64?

    @Option(
        help: ArgumentHelp(
            "Packets and records that can exist at one time, 64 to 4194304. (default: \(Instance.itemsUnderWay) and what "
                + "elements may hold)",
            valueName: "items"
        )
    )
    var pool: Int?

    func validate() throws {
        guard (64...4_194_304).contains(pool ?? Instance.itemsUnderWay) else {
            throw ValidationError("--pool is out of range, 64 to 4194304")
        }
    }

    /// For elements that get one item at a time.
    var instance: Instance.Options {
        var options = Instance.Options()
        options.seed = seed
        options.batch = 1
        options.poolCapacity = pool
        return options
    }

    func bindings(of graph: GraphSpec, _ loaded: LoadedGraph) throws -> [WireArgument] {
        let names = graph.nodes.filter(\.isWire).map(\.name)
        return try reporting {
            let bound = try WireArgument.merged(try wires.map { try WireArgument($0, wires: names) })
            if let (one, other) = WireArgument.doubled(bound) {
                Output.error(
                    "warning: wires '\(one.name)' and '\(other.name)' are both on interface '\(one.interface!)': its packets come in "
                        + "twice\n"
                )
            }
            return try bound.map { wire in
                var wire = wire
                wire.isMerged = merge && wire.sources.count > 1
                if let (file, again) = wire.repeated {
                    Output.error(
                        "warning: wire '\(wire.name)' is given '\(file)' twice"
                            + (again == file ? "" : ", also as '\(again)'") + ": its packets come in twice\n"
                    )
                }
                if loaded.sources.contains(where: { $0.path == "-" }), wire.sources.contains("-") {
                    throw Failure.usage(
                        "standard input ('-') is the graph, so wire '\(wire.name)' needs another capture"
                    )
                }
                return wire
            }
        }
    }
}

/// Options for running a graph in batches.
struct RunOptions: ParsableArguments {
    @OptionGroup var input: InputOptions

    @Option(
        help: ArgumentHelp(
            "The largest batch handed to an element, 1 to 1024 and half of --pool.",
            valueName: "packets"
        )
    )
    var batch = 64

    func validate() throws {
        guard (1...1024).contains(batch) else { throw ValidationError("--batch is out of range, 1 to 1024") }
        if let pool = input.pool, pool < 2 * batch {
            throw ValidationError(
                "--pool \(pool) holds less than two batches of \(batch): --pool \(2 * batch) does, or "
                    + "--batch \(pool / 2)"
            )
        }
    }

    var instance: Instance.Options {
        var options = input.instance
        options.batch = batch
        return options
    }
}

/// Reports notes on the captures once the results are out: the warnings, then failed checks, then the damage that ended a
/// capture early. The last two end the verb.
func conclude(_ input: InputNotes, _ problems: [String] = []) throws {
    for warning in input.warnings { Output.error("warning: \(warning)\n") }
    if !problems.isEmpty { throw Failure.notHeld(problems.joined(separator: "\nerror: ")) }
    if let failure = input.failure { throw failure }
}

/// The titles in a list such as `Mpps,p99 us`, each of which must be `among` those known.
func chosenColumns(_ list: String, among known: [String]) throws -> [String] {
    try list.split(separator: ",", omittingEmptySubsequences: false).map { part in
        let name = String(part.drop { $0 == " " })
        if let title = known.first(where: { $0.lowercased() == name.lowercased() }) { return title }
        let guess = nearest(to: name, among: known).map { "; did you mean '\($0)'?" } ?? ""
        throw Failure.usage(
            "--columns: there is no column '\(name)'; there are \(known.joined(separator: ", "))\(guess)"
        )
    }
}

/// Ends the verb if a file is missing or unreadable, before anything else is said about it.
func requireFile(_ path: String) throws {
    try reporting { try Files.checkReadable(path) }
}

extension Failure {
    /// The failure for problems that have been reported. A file that cannot be read is no bad graph, if that is all.
    init(_ diagnostics: [Diagnostic]) {
        self = .badGraph()
        let errors = diagnostics.filter { $0.severity == .error }
        guard errors.allSatisfy({ $0.unreadable != nil }) else { return }
        for case let file? in errors.map(\.unreadable) {
            do { try Files.checkReadable(file) } catch { self = Failure(code: Failure(error).code, message: nil) }
        }
    }
}

/// Splits `key=value` arguments.
func pairs(_ settings: [String]) throws -> [(key: String, value: String)] {
    var seen: Set<Substring> = []
    return try settings.map { text in
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
            throw Failure.usage("--set '\(text)' is not key=value")
        }
        if !seen.insert(text[..<equals]).inserted {
            Output.error("warning: --set gives '\(text[..<equals])' more than once; the last one counts\n")
        }
        return (String(text[..<equals]), String(text[text.index(after: equals)...]))
    }
}

/// A placement by its name in the graph, or from a separate file. That may not have the name of another one of the graph, for which
/// the reader of a report would take it.
func placement(_ name: String, of graph: GraphSpec, _ loaded: LoadedGraph) throws -> GraphSpec.Placement {
    if let named = graph.placements.first(where: { $0.name == name }) {
        if Files.isRegular(name) {
            Output.error("warning: '\(name)' is the graph's placement; the file of that name is './\(name)'\n")
        }
        return named
    }
    guard name.contains("/") || name.hasSuffix(".yaml") || !Files.isMissing(name) else {
        let names = graph.placements.map(\.name)
        let guess = nearest(to: name, among: names).map { "; did you mean '\($0)'?" } ?? ""
        throw Failure.badGraph(
            "graph '\(graph.name)' has no placement '\(name)'; it has "
                + (names.isEmpty ? "none" : names.joined(separator: ", ")) + guess
        )
    }
    try requireFile(name)
    let (placement, diagnostics) = Session.loader.loadPlacement(name, for: loaded)
    for diagnostic in diagnostics { Output.error(diagnostic) }
    guard let placement else { throw Failure.badGraph() }
    if graph.placements.contains(where: { $0.name == placement.name && $0.sides != placement.sides }) {
        throw Failure.usage("'\(name)' is named '\(placement.name)', as is another placement of the graph: rename it")
    }
    return placement
}
