// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Spillway

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says everything that is wrong with graphs, compounds, placements, profiles and tests.",
        discussion: """
            In Markdown files it checks every block of YAML that is one of these. '-' is standard input. Every file is looked at; the status is the worst \
            of them: 78 for what is wrong, before 77 and 66 for what cannot be read.
            """
    )
    @Argument(help: "The files.")
    var files: [String]

    @Option(name: .customLong("set"), help: ArgumentHelp("Sets a parameter of the graphs.", valueName: "key=value"))
    var settings: [String] = []

    @Option(help: "How what is wrong is written: for people on standard error, or as JSON on standard output.")
    var format: ResultFormat = .text

    func run() throws {
        let settings = try pairs(settings)
        var all: [Diagnostic] = []
        var worst: Failure?
        for file in files {
            let found = Session.loader.check(file, settings: settings) { DeviceProfile.read($0).errors }
            all += found
            let isFine = !found.contains { $0.severity == .error }
            if !isFine {
                var failure = Failure(found)
                do { if file != "-" { try requireFile(file) } } catch {
                    failure = Failure(code: Failure(error).code, message: nil)
                }
                if failure.code > worst?.code ?? 0 { worst = failure }
            }
            guard format == .text else { continue }
            for diagnostic in found { Output.error(diagnostic) }
            if isFine { try Output.result("\(file == "-" ? "standard input" : file): fine\n") }
        }
        if format == .json {
            try Output.result("[" + all.map(\.json).joined(separator: ",\n ") + "]\n")
        }
        if let worst { throw worst }
    }
}

struct Test: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the tests of graphs: packets in; packets, records, drops and counters expected.",
        discussion: """
            A directory stands for all its files that end in .test.yaml. Tests that cannot be run are counted too; the status is then 78.
            """
    )
    @Argument(help: "Files of tests, or directories with them.")
    var files: [String] = ["graphs"]

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("Sets a parameter of the graphs, whatever a test sets.", valueName: "key=value")
    )
    var settings: [String] = []

    @Option(help: "Seed of everything random.")
    var seed: UInt64 = 1

    @Option(help: "How results are written: for people, failures on standard error, or as JSON on standard output.")
    var format: ResultFormat = .text

    func run() throws {
        let settings = try pairs(settings)
        try reporting {
            var paths: [String] = []
            for file in files {
                guard Files.isDirectory(file) else {
                    try requireFile(file)
                    paths.append(file)
                    continue
                }
                paths += try Files.list(file).filter { $0.hasSuffix(".test.yaml") }.map { "\(file)/\($0)" }
            }
            if paths.isEmpty {
                throw Failure.usage("no files that end in .test.yaml in \(files.joined(separator: ", "))")
            }
            let progress = Progress("testing")
            var passed = 0
            var failed = 0
            var notRun = 0
            var isBroken = false
            var problems: [Diagnostic] = []
            var tests: [JSON] = []
            for path in paths {
                let (results, others, diagnostics) = GraphTestRunner.run(
                    path,
                    Session.loader,
                    settings: settings,
                    seed: seed
                ) {
                    progress("\(passed) passed, \(failed) failed, now '\($0)' of \(path)")
                }
                problems += diagnostics
                notRun += others.count
                if format == .text { for diagnostic in diagnostics { Output.error(diagnostic) } }
                if diagnostics.contains(where: { $0.severity == .error }) { isBroken = true }
                for result in results {
                    if result.failures.isEmpty {
                        passed += 1
                    } else {
                        failed += 1
                    }
                    guard format == .json else {
                        for failure in result.failures { Output.error(failure) }
                        continue
                    }
                    tests.append(
                        .object([
                            ("file", .string(path)), ("name", .string(result.name)), ("run", .bool(true)),
                            ("passed", .bool(result.failures.isEmpty)),
                            ("failures", .array(result.failures.compactMap { JSON($0.json) })),
                        ])
                    )
                }
                tests += others.map {
                    .object([
                        ("file", .string(path)), ("name", .string($0)), ("run", .bool(false)), ("passed", .bool(false)),
                        ("failures", .array([])),
                    ])
                }
            }
            if format == .json {
                try Output.result(
                    JSON.object([
                        ("passed", .integer(Int64(passed))), ("failed", .integer(Int64(failed))),
                        ("not_run", .integer(Int64(notRun))),
                        ("problems", .array(problems.compactMap { JSON($0.json) })), ("tests", .array(tests)),
                    ]).text
                )
            } else {
                let others = notRun > 0 ? ", \(notRun) could not be run" : ""
                try Output.result("\(passed) passed, \(failed) failed\(others)\n")
            }
            // A test that could not be run is worse than one that failed.
            if isBroken { throw Failure.badGraph() }
            if failed > 0 { throw Failure.notHeld() }
        }
    }
}

struct Format: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lays out graph files: indentation, arrows, blank lines. Comments and meaning stay.",
        discussion: "With '-' it reads standard input and writes the result to standard output."
    )
    @Argument(help: "The files.")
    var files: [String]

    @Flag(help: "Changes nothing; status 1 when a file would be changed.")
    var check = false

    func run() throws {
        for file in files where file != "-" { try requireFile(file) }
        var different: [String] = []
        for file in files {
            try reporting {
                let bytes = try Files.read(file == "-" ? "/dev/stdin" : file)
                guard let text = String(validating: bytes, as: UTF8.self) else {
                    throw Failure.badGraph("\(file): is not UTF-8")
                }
                let formatted: String
                do { formatted = try GraphFormatter.format(text) } catch { throw Failure.badGraph("\(file):\(error)") }
                if file == "-", !check { return try Output.result(formatted) }
                if formatted == text { return }
                different.append(file)
                if !check { try Files.write(formatted, to: file) }
            }
        }
        for file in different { try Output.result("\(file): \(check ? "would be changed" : "changed")\n") }
        if check, !different.isEmpty { throw Failure.notHeld() }
    }
}

struct New: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes a first graph from a chain, every parameter at its default; or a first device profile.",
        discussion: "For example: spillway new 'wire.rx -> IPCheck -> Counter -> Discard'"
    )
    @Argument(help: "The chain, element types joined with '->'.")
    var chain: String?

    @Option(help: ArgumentHelp("Writes a profile of this name instead, every number an assumption.", valueName: "name"))
    var profile: String?

    func validate() throws {
        if chain == nil, profile == nil {
            throw ValidationError(
                "give a chain, as in: spillway new 'wire.rx -> IPCheck -> Counter -> Discard'; or --profile NAME"
            )
        }
        guard chain == nil || profile == nil else { throw ValidationError("give a chain or --profile, not both") }
        if let profile, profile.isEmpty || !profile.utf8.allSatisfy({ isNameByte($0) }) {
            throw ValidationError("a name has letters, digits, '_', '-' and '.', and nothing else")
        }
    }

    private func isNameByte(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte & 0xdf) || "_-.".utf8.contains(byte)
    }

    func run() throws {
        if let profile { return try Output.result(ProfilePages.new(profile)) }
        guard let chain else { return }
        let text: String
        do throws(NewGraphError) {
            text = try NewGraph.text(chain, catalog: Session.catalog)
        } catch {
            throw Failure.usage("\(error)")
        }
        let loader = GraphLoader(catalog: Session.catalog, services: Session.services) { _ in Array(text.utf8) }
        let errors = loader.loadGraph("new").diagnostics.filter { $0.severity == .error }
        guard errors.isEmpty else {
            let reasons = errors.map { $0.message + ($0.suggestion.map { "; \($0)" } ?? "") }
            throw Failure.usage("no graph can be made of this chain: " + reasons.joined(separator: "\nerror: "))
        }
        try Output.result(text)
    }
}

struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Explains the code of an error in a graph, capture or output, or lists all codes with a sentence on each."
    )
    @Argument(help: "The code, as it stands in brackets behind the message.")
    var code: String?

    @Option(help: "How it is written.")
    var format: ResultFormat = .text

    func run() throws {
        // Some codes apply to both graphs and captures.
        let codes = Set(Diagnostic.allCodes + CaptureCodes.all + [GraphTestRunner.failureCode]).sorted()
        guard let code else {
            try Output.result(
                format == .json
                    ? JSON.array(codes.map { .string($0) }).text
                    : folded(
                        codes.map { code in
                            let summary =
                                Diagnostic.summary(of: code) ?? CaptureCodes.text(of: code).map(firstSentence)
                                ?? GraphTestRunner.failureMeaning
                            return "\(code)\n    \(summary)\n"
                        }.joined(),
                        width: Terminal(1).width
                    )
            )
            return
        }
        let failure = code == GraphTestRunner.failureCode ? "\(code)\n\n\(GraphTestRunner.failureMeaning)\n" : nil
        let texts = [Diagnostic.explain(code), CaptureCodes.explain(code), failure].compactMap { $0 }
        if texts.isEmpty {
            let guess = nearest(to: code, among: codes).map { "; did you mean '\($0)'?" } ?? ""
            throw Failure.usage("there is no code '\(code)'\(guess)")
        }
        try Output.result(
            format == .json
                ? JSON.object([("code", .string(code)), ("explanation", .string(texts.joined(separator: "\n")))]).text
                : folded(texts.joined(separator: "\n"), width: Terminal(1).width)
        )
    }
}
