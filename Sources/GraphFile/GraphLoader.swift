// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// A graph that was read, or the errors in it.
public struct LoadedGraph: Sendable {
    /// The resolved and checked graph; nil if there is an error.
    public var graph: GraphSpec?
    /// All problems found, including those that do not prevent the graph from being used.
    public var diagnostics: [Diagnostic]
    /// The graph's own parameters with their values, in order of declaration.
    public var params: [(name: String, value: String)]
    /// Every file that was read, the graph's own first.
    public var sources: [(path: String, bytes: [UInt8])]
    /// The graph as one file without compounds and parameters, with all defaults: it loads as the same graph.
    public var resolvedYAML: String?
}

/// Reads and checks graphs, compounds, placements, tests and profiles.
///
/// A loader keeps no state between calls except compiled filters. It reads files only through the closure it was given; a path
/// in a file is relative to that file.
public struct GraphLoader: Sendable {
    private let catalog: Catalog
    /// The services with which elements are made for checking. Whoever makes them again with these services, or others based on
    /// them, finds their filters compiled.
    public let services: any FilterServices
    private let readFile: @Sendable (String) throws -> [UInt8]
    var limits = Limits()

    /// The most bytes of a file. Callers need not supply more: one byte more is enough for rejection.
    public static let longestFile = Limits().fileSize

    /// - Parameters:
    ///   - catalog: the element types that a graph may use.
    ///   - services: compiles the filters, each once, and serves elements made for checking.
    ///   - readFile: returns the bytes of a file; errors it throws are shown to the user.
    public init(
        catalog: Catalog,
        services: any Services,
        readFile: @escaping @Sendable (String) throws -> [UInt8]
    ) {
        self.catalog = catalog
        self.services = services.sharingFilters()
        self.readFile = readFile
    }

    // MARK: Graphs

    /// Reads the graph in a file.
    ///
    /// - Parameter settings: values for the graph's parameters, as given on a command line.
    public func loadGraph(_ path: String, settings: [(key: String, value: String)] = []) -> LoadedGraph {
        let session = Session(limits: limits)
        guard let value = read(path, session) else { return unread(session) }
        guard kind(value, session) == .graph else {
            if let kind = kind(value, session, isReported: true) { wrongKind(kind, .graph, value, session) }
            return unread(session)
        }
        return load(value, path: path, settings: settings, session)
    }

    private func unread(_ session: Session) -> LoadedGraph {
        LoadedGraph(
            graph: nil,
            diagnostics: session.diagnostics,
            params: [],
            sources: sources(session),
            resolvedYAML: nil
        )
    }

    private func sources(_ session: Session) -> [(path: String, bytes: [UInt8])] {
        session.map.sources.filter { $0.path != Self.settingsPath }.map { ($0.path, $0.bytes) }
    }

    /// Settings are shown in diagnostics as if they came from a file of this name.
    private static let settingsPath = "--set"

    private func load(
        _ value: Value,
        path: String,
        settings: [(key: String, value: String)],
        _ session: Session
    ) -> LoadedGraph {
        guard let module = Module(value, kind: "graph", path: path, session) else { return unread(session) }
        let builder = builder(session)
        findCompounds(module, session, builder.modules)
        let arguments = settings.map { key, value in
            let source = session.add(Source(path: Self.settingsPath, bytes: Array("\(key)=\(value)".utf8)))
            let count = key.utf8.count
            let keyMark = session.mark(Span(source: source, start: 0, end: count))
            let mark = session.mark(Span(source: source, start: count + 1, end: count + 1 + value.utf8.count))
            return Argument(key, keyMark, .scalar(value, mark))
        }
        let bindings = session.bind(module.parameters, arguments, of: "the graph", .reportedAtDeclaration)
        builder.place(module, bindings, at: module.nameMark)
        let checker = GraphChecker(builder, name: module.name, about: module.about)
        let fits = checker.checkSize()
        checker.checkKinds()
        checker.checkTogether()
        if fits {
            checker.checkFlowTables()
            checker.checkColumns()
            checker.checkFiles()
        }
        var spec = checker.spec
        let reader = PlacementReader(session, spec, failed: builder.failed)
        let sizeOfOne = spec.nodes.count + spec.together.reduce(0) { $0 + $1.count }
        let room = 10 * limits.work / max(1, sizeOfOne)
        if room < module.placements.count {
            let first = module.placements[room].keyMark
            session.report(.tooLarge, "there are too many placements for a graph of this size", at: first)
        }
        for (name, mark, value) in module.placements.prefix(room) where !session.isFull {
            guard isPlacementName(name, mark, session),
                let fields = session.fields(value, of: "a placement", keys: PlacementReader.keys),
                let placement = reader.read(name, at: mark, fields)
            else { continue }
            spec.placements.append(placement)
        }
        if fits, !session.isFull { checker.checkMaking() }
        let isGood = session.errorCount == 0
        return LoadedGraph(
            graph: isGood ? spec : nil,
            diagnostics: session.diagnostics,
            params: module.parameters.compactMap { parameter in
                bindings[parameter.name].map { (parameter.name, $0.text) }
            },
            sources: sources(session),
            resolvedYAML: isGood ? resolvedGraph(spec, builder) : nil
        )
    }

    private func isPlacementName(_ name: String, _ mark: Mark, _ session: Session) -> Bool {
        if name.utf8.allSatisfy({ isWord($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }) { return true }
        session.report(.badName, "'\(name)' cannot name a placement: letters, digits, '-', '_' and '.'", at: mark)
        return false
    }

    private func builder(_ session: Session) -> GraphBuilder {
        GraphBuilder(session: session, catalog: catalog, services: services)
    }

    /// Reads the compounds that `module` uses, and those that they use. `known` caches them by path, so that each is read once.
    private func findCompounds(_ module: Module, _ session: Session, _ known: ModuleCache) {
        var waiting = [module]
        while let module = waiting.popLast() {
            for (text, mark) in module.uses {
                let path = resolve(text, from: module.path)
                let compound: Module
                if let read = known.modules[path] {
                    guard let read else {
                        module.lacksCompounds = true
                        continue
                    }
                    compound = read
                } else {
                    known.modules[path] = .some(nil)
                    guard let value = read(path, session, use: mark),
                        let kind = kind(value, session, isReported: true)
                    else {
                        module.lacksCompounds = true
                        continue
                    }
                    guard kind == .compound else {
                        session.report(.wrongKind, "'\(text)' is a \(kind.rawValue), not a compound", at: mark)
                        module.lacksCompounds = true
                        continue
                    }
                    guard let new = Module(value, kind: "compound", path: path, session) else {
                        module.lacksCompounds = true
                        continue
                    }
                    known.modules[path] = .some(new)
                    compound = new
                    waiting.append(new)
                }
                if catalog[compound.name] != nil {
                    session.report(
                        .badName,
                        "'\(compound.name)' is the name of an element type, so no compound can have it",
                        at: compound.nameMark
                    )
                } else if let other = module.compounds[compound.name], other !== compound {
                    session.report(
                        .duplicateName,
                        "a compound '\(compound.name)' is used already",
                        at: mark,
                        notes: [Session.Note("it is declared here", other.nameMark)]
                    )
                } else {
                    module.compounds[compound.name] = compound
                }
            }
        }
    }

    // MARK: Placements

    /// Reads a placement for a graph from a separate file. One whose file names another graph is refused: a graph is the same if its
    /// file has the same bytes.
    public func loadPlacement(
        _ path: String,
        for loaded: LoadedGraph
    ) -> (
        placement: GraphSpec.Placement?, diagnostics: [Diagnostic]
    ) {
        let session = Session(limits: limits)
        guard let spec = loaded.graph, let value = read(path, session), isKind(.placement, value, session) else {
            return (nil, session.diagnostics)
        }
        guard case .map(let entries, _) = value,
            let named = entries.first(where: { $0.key == "graph" })?.value,
            let text = session.text(named, "'graph'")
        else {
            let placement = placement(value, spec, session)?.placement
            return (session.errorCount == 0 ? placement : nil, session.diagnostics)
        }
        do {
            let bytes = try readFile(resolve(text, from: path))
            if bytes != loaded.sources.first?.bytes {
                session.report(
                    .badGraph,
                    "the placement is for the graph '\(text)', not for '\(loaded.sources.first?.path ?? spec.name)'",
                    at: named.mark
                )
            }
        } catch {
            session.report(.cannotRead, "cannot read '\(text)', the graph it is for: \(error)", at: named.mark)
        }
        // What the sides of another graph's elements would be means nothing.
        let placement = session.errorCount == 0 ? placement(value, spec, session)?.placement : nil
        return (session.errorCount == 0 ? placement : nil, session.diagnostics)
    }

    /// Reads a placement; `graph` is the path of its graph as written. Without a spec only its keys are checked.
    private func placement(
        _ value: Value,
        _ spec: GraphSpec?,
        _ session: Session
    ) -> (
        placement: GraphSpec.Placement?, graph: Value?
    )? {
        let keys = ["placement", "about", "graph"] + PlacementReader.keys
        guard let fields = session.fields(value, of: "a placement", keys: keys, required: ["placement", "graph"]),
            let nameValue = fields["placement"], let name = session.text(nameValue, "'placement'"),
            isPlacementName(name, nameValue.mark, session)
        else { return nil }
        let placement = spec.flatMap { PlacementReader(session, $0).read(name, at: nameValue.mark, fields) }
        return (placement, fields["graph"])
    }

    // MARK: Tests and values

    /// Reads a tests file, and its graph once for each set of settings in it.
    ///
    /// Errors in one test, or in the graph under its settings, leave the others usable. `settings` override those of a test.
    public func loadTests(
        _ path: String,
        settings: [(key: String, value: String)] = []
    ) -> (tests: GraphTests?, diagnostics: [Diagnostic]) {
        let session = Session(limits: limits)
        guard let value = read(path, session), isKind(.tests, value, session) else { return (nil, session.diagnostics) }
        let tests = tests(value, path: path, settings: settings, session)
        return (tests, session.diagnostics)
    }

    /// The tests in `value`; `settings` override those of a test.
    private func tests(
        _ value: Value,
        path: String,
        settings: [(key: String, value: String)],
        _ session: Session
    ) -> GraphTests? {
        guard var tests = session.tests(value, path: path, resolve: { resolve($0, from: path) }) else { return nil }
        var known: [[String]: LoadedGraph] = [:]
        for (k, test) in tests.cases.enumerated() where !session.isFull {
            let isReadable = session.checkPackets(test) && test.isReadable
            let given = settings + test.settings.filter { set in !settings.contains { $0.key == set.key } }
            let key = given.map { "\($0.key)=\($0.value)" }
            let loaded = known[key] ?? loadGraph(tests.graph, settings: given)
            known[key] = loaded
            guard let spec = graph(loaded, at: tests.graphMark, of: test, session) else { continue }
            if session.check(test, spec), isReadable { tests.cases[k].graph = spec }
        }
        return tests
    }

    /// Reads a file as a value, unless it is of a kind that is read here. The interpreter of the value reports its errors to `diagnose`.
    public func loadValue(
        _ path: String
    ) -> (
        value: Value?, diagnose: @Sendable (ParameterError) -> Diagnostic, diagnostics: [Diagnostic]
    ) {
        let session = Session(limits: limits)
        var value = read(path, session)
        if let read = value, let kind = kind(read, session, isReported: false), kind != .profile {
            wrongKind(kind, .profile, read, session)
            value = nil
        }
        return (value, diagnose(session.map, path), session.diagnostics)
    }

    private func diagnose(_ map: SourceMap, _ path: String) -> @Sendable (ParameterError) -> Diagnostic {
        { error in
            let place = map.span(error.mark).map(map.place) ?? Place(file: path, line: 1, column: 1, length: 1)
            let suggestion = error.suggestion.map(didYouMean)
            return Diagnostic(.error, code: error.code, error.message, at: place, suggestion: suggestion)
        }
    }

    // MARK: Checking files of any kind

    /// All problems in a file of any kind; in Markdown, in each of its YAML blocks that is such a file.
    ///
    /// - Parameters:
    ///   - settings: values for the parameters of graphs.
    ///   - profile: returns the errors in a device profile.
    public func check(
        _ path: String,
        settings: [(key: String, value: String)] = [],
        profile: (Value) -> [ParameterError]
    ) -> [Diagnostic] {
        let session = Session(limits: limits)
        guard let source = open(path, session) else { return session.diagnostics }
        guard path.hasSuffix(".md") else {
            guard let value = YAMLReader.read(source, nil, session) else { return session.diagnostics }
            return check(value, path: path, settings: settings, session, profile)
        }
        let bytes = session.map.sources[source].bytes
        return graphBlocks(inMarkdown: bytes).flatMap { range -> [Diagnostic] in
            let session = Session(limits: limits)
            let source = session.add(Source(path: path, bytes: bytes))
            guard let value = YAMLReader.read(source, range, session) else { return session.diagnostics }
            return check(value, path: path, settings: settings, session, profile)
        }
    }

    private func check(
        _ value: Value,
        path: String,
        settings: [(key: String, value: String)],
        _ session: Session,
        _ profile: (Value) -> [ParameterError]
    ) -> [Diagnostic] {
        switch kind(value, session, isReported: true) {
        case nil: break
        case .graph: return load(value, path: path, settings: settings, session).diagnostics
        case .compound: checkCompound(value, path: path, session)
        case .profile: for error in profile(value) { session.report(error) }
        case .placement:
            guard let graph = placement(value, nil, session)?.graph,
                let spec = graphNamed(graph, path, settings, session)
            else { break }
            _ = placement(value, spec, session)
        case .tests: _ = tests(value, path: path, settings: settings, session)
        }
        return session.diagnostics
    }

    private func graphNamed(
        _ value: Value,
        _ path: String,
        _ settings: [(key: String, value: String)],
        _ session: Session
    ) -> GraphSpec? {
        guard let text = session.text(value, "'graph'") else { return nil }
        return graph(loadGraph(resolve(text, from: path), settings: settings), at: value.mark, session)
    }

    /// The graph that another file names at `mark`; its problems are summarised in one line, those with its settings reported
    /// at their place.
    private func graph(
        _ loaded: LoadedGraph,
        at mark: Mark,
        of test: GraphTests.Case? = nil,
        _ session: Session
    ) -> GraphSpec? {
        guard loaded.graph == nil else { return loaded.graph }
        let errors = loaded.diagnostics.filter { $0.severity == .error }
        // A setting is wrong by itself, or where the graph uses it; each has a place of its own in the test.
        func setting(_ error: Diagnostic) -> Diagnostic? {
            ([error] + error.notes).first { $0.file == Self.settingsPath }
        }
        for error in errors {
            guard let name = setting(error)?.sourceLine?.prefix(while: { $0 != "=" }) else { continue }
            session.report(
                Code(rawValue: error.code) ?? .badGraph,
                error.message,
                at: test?.settingMarks.first { $0.key == name }?.mark ?? test?.mark ?? mark,
                suggestion: error.suggestion
            )
        }
        guard let first = errors.first(where: { setting($0) == nil }) else { return nil }
        let place = "\(first.file):\(first.line):\(first.column)"
        // A parameter without a value is a fault of the test that gives none.
        let isMissing = first.code == Code.missingParameter.rawValue
        session.report(
            .badGraph,
            "the graph cannot be used: \(place): \(first.message)",
            at: isMissing ? test?.mark ?? mark : mark
        )
        return nil
    }

    /// Checks a compound outside any graph: placeholder values stand for parameters without default.
    private func checkCompound(_ value: Value, path: String, _ session: Session) {
        guard let module = Module(value, kind: "compound", path: path, session) else { return }
        let builder = builder(session)
        findCompounds(module, session, builder.modules)
        if catalog[module.name] != nil {
            let message = "'\(module.name)' is the name of an element type, so no compound can have it"
            session.report(.badName, message, at: module.nameMark)
        }
        let bindings = session.bind(module.parameters, [], of: module.name, .madeUp)
        guard let ports = builder.place(module, bindings, at: module.nameMark) else { return }
        for port in ports.inputs + ports.outputs { builder.taint(port.vertex) }
        let checker = GraphChecker(builder, name: module.name, about: module.about)
        checker.checkKinds()
        checker.checkTogether()
    }

    // MARK: Files

    /// The kind of a file, determined by its top-level keys.
    private enum FileKind: String, CaseIterable {
        case tests, compound, placement, profile, graph
    }

    /// The kind of a document; reports an error if it is unknown.
    private func kind(_ value: Value, _ session: Session, isReported: Bool = false) -> FileKind? {
        guard case .map(let entries, _) = value else {
            if isReported { _ = session.entries(value, "a file") }
            return nil
        }
        // A placement and a tests file have a `graph` too, so that comes last.
        if let kind = FileKind.allCases.first(where: { kind in entries.contains { $0.key == kind.rawValue } }) {
            return kind
        }
        if isReported, let first = entries.first {
            let names = FileKind.allCases.map(\.rawValue)
            session.report(
                .unknownKind,
                "a file needs one of the keys graph, compound, placement, profile or tests",
                at: first.keyMark,
                suggestion: session.suggest(first.key, among: names)
            )
        } else if isReported {
            session.report(
                .unknownKind,
                "a file needs one of the keys graph, compound, placement, profile or tests",
                at: value.mark
            )
        }
        return nil
    }

    private func isKind(_ wanted: FileKind, _ value: Value, _ session: Session) -> Bool {
        guard let kind = kind(value, session, isReported: true) else { return false }
        if kind != wanted { wrongKind(kind, wanted, value, session) }
        return kind == wanted
    }

    private func wrongKind(_ kind: FileKind, _ wanted: FileKind, _ value: Value, _ session: Session) {
        session.report(.wrongKind, "this is a \(kind.rawValue) file, not a \(wanted.rawValue) file", at: value.mark)
    }

    /// Reads a file as YAML. Nil when there is an error, which is reported: at `use` where another file names it.
    private func read(_ path: String, _ session: Session, use: Mark? = nil) -> Value? {
        open(path, session, use: use).flatMap { YAMLReader.read($0, nil, session) }
    }

    private func open(_ path: String, _ session: Session, use: Mark? = nil) -> Int? {
        do {
            return session.add(Source(path: path, bytes: try readFile(path)))
        } catch {
            if let use {
                session.report(.cannotRead, "cannot read '\(path)': \(error)", at: use, unreadable: path)
            } else {
                session.report(.cannotRead, "cannot read the file: \(error)", file: path)
            }
            return nil
        }
    }

    /// The path of a file that is named `name` in the file at `path`, without `.` and `..` where that can be.
    private func resolve(_ name: String, from path: String) -> String {
        var parts: [Substring] = []
        let isAbsolute = (name.hasPrefix("/") ? name : path).hasPrefix("/")
        if !name.hasPrefix("/") { parts = path.split(separator: "/").dropLast() }
        for part in name.split(separator: "/") where part != "." {
            if part == "..", let last = parts.last, last != ".." { parts.removeLast() } else { parts.append(part) }
        }
        return (isAbsolute ? "/" : "") + parts.joined(separator: "/")
    }
}
