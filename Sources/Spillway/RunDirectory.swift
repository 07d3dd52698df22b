// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Glibc
import GraphFile
import Model
import Placement
import Reports

/// A directory that keeps the inputs and results of a run: `resolved.yaml`, `manifest.json`, `stats.json` and `report.md`. The
/// same inputs give the same bytes of all but the manifest.
public struct RunDirectory {
    /// The directory's path.
    public let path: String

    /// The directory holds an earlier run, which may not be overwritten.
    public struct InUse: Error, CustomStringConvertible {
        let path: String
        public var description: String { "'\(path)' holds an earlier run; --overwrite replaces it" }
    }

    private static let files = ["resolved.yaml", "manifest.json", "stats.json", "report.md"]

    /// Creates the directory, or uses an existing one, unless a file to be written is among `inputs`, or it holds an earlier
    /// run that may not be overwritten. It becomes the `owner`'s, who will write it.
    public init(
        _ path: String,
        inputs: InputFiles = InputFiles(),
        overwrites: Bool = false,
        owner: RunUser? = nil
    ) throws {
        if !overwrites, Files.exists("\(path)/manifest.json") { throw InUse(path: path) }
        for file in RunDirectory.files { try inputs.checkOutput("\(path)/\(file)") }
        try Files.makeDirectory(path)
        try owner?.own(path, files: RunDirectory.files)
        self.path = path
    }

    /// The content to keep.
    public struct Content {
        /// The command that produced it: `run`, `compare`.
        public var verb: String
        /// The graph, with its source files.
        public var graph: LoadedGraph
        /// The bindings of the wires.
        public var wires: [WireArgument]
        /// The seed of the run.
        public var seed: UInt64
        /// The paths and bytes of the profiles used.
        public var profiles: [(path: String, bytes: [UInt8])] = []
        /// The placements that were compared.
        public var placements: [GraphSpec.Placement] = []
        /// The load at which latency was modelled.
        public var load: Load?
        /// The name of the baseline placement.
        public var baseline: String?
        /// The objective of a plan.
        public var objective: Objective?
        /// The user ended the run before the end of its input.
        public var wasInterrupted = false
        /// The names of files that elements write.
        public var sinks: [String] = []
        /// Other files that the verb wrote.
        public var outputs: [String] = []
        /// The content of `stats.json`.
        public var statistics: JSON
        /// The content of `report.md`.
        public var markdown: String

        public init(
            verb: String,
            graph: LoadedGraph,
            wires: [WireArgument],
            seed: UInt64,
            statistics: JSON,
            markdown: String
        ) {
            self.verb = verb
            self.graph = graph
            self.wires = wires
            self.seed = seed
            self.statistics = statistics
            self.markdown = markdown
        }
    }

    /// Writes all files. Inputs are identified by the SHA-256 of their bytes; once `shouldStop` returns true while captures are
    /// being read for that, the rest have none.
    public func write(_ content: Content, shouldStop: () -> Bool = { false }) throws {
        try Files.write(content.graph.resolvedYAML ?? "", to: "\(path)/resolved.yaml")
        try Files.write(content.statistics.text, to: "\(path)/stats.json")
        try Files.write(content.markdown, to: "\(path)/report.md")
        try Files.write(try manifest(content, shouldStop).text, to: "\(path)/manifest.json")
    }

    private func manifest(_ content: Content, _ shouldStop: () -> Bool) throws -> JSON {
        func digest(_ bytes: [UInt8]) -> JSON {
            var hash = SHA256()
            bytes.withUnsafeBytes { hash.update($0) }
            return .string(hash.hexDigest())
        }
        // A capture may be read many times in one run.
        var digests: [String: JSON] = [:]
        func digest(capture path: String) throws -> JSON {
            if let known = digests[path] { return known }
            // A pipe has been consumed and cannot be read again.
            // Nor one that this process has given up the right to.
            let canBeRead = path != "-" && Files.isRegular(path) && Files.isReadable(path)
            let digest = canBeRead ? try Files.sha256(path, shouldStop: shouldStop) : nil
            digests[path] = digest.map { .string($0) } ?? .null
            return digests[path]!
        }
        var inputs: [(String, JSON)] = [
            (
                "graph",
                .array(
                    content.graph.sources.map {
                        .object([("path", .string($0.path)), ("sha256", digest($0.bytes))])
                    }
                )
            ),
            ("parameters", .object(content.graph.params.map { ($0.name, .string($0.value)) })),
            (
                "wires",
                .array(
                    try content.wires.map { wire in
                        .object(
                            [
                                ("name", .string(wire.name)),
                                (
                                    "captures",
                                    .array(
                                        try wire.sources.map {
                                            .object([("path", .string($0)), ("sha256", try digest(capture: $0))])
                                        }
                                    )
                                ),
                            ] + (wire.isMerged ? [("merged", true)] : []) + RunDirectory.interface(of: wire)
                        )
                    }
                )
            ),
            ("seed", .unsigned(content.seed)),
        ]
        let profiles = content.profiles.map { profile in
            JSON.object([("path", .string(profile.path)), ("sha256", digest(profile.bytes))])
        }
        if let one = profiles.first { inputs.append(("profile", profiles.count == 1 ? one : .array(profiles))) }
        if let load = content.load { inputs.append(("load", .string("\(fixed(load.rate, 3)) packets/s"))) }
        if let baseline = content.baseline { inputs.append(("baseline", .string(baseline))) }
        if let objective = content.objective { inputs.append(("objective", .string(objective.rawValue))) }
        if !content.placements.isEmpty {
            let names = content.graph.graph?.nodes.map(\.name) ?? []
            inputs.append(
                (
                    "placements",
                    .array(
                        content.placements.map { placement in
                            .object([
                                ("name", .string(placement.name)),
                                (
                                    "sides",
                                    .object(zip(names, placement.sides).map { ($0, .string($1.rawValue)) })
                                ),
                            ])
                        }
                    )
                )
            )
        }
        return .object([
            ("verb", .string(content.verb)),
            ("version", .string(Version.current)),
            ("arguments", .array(CommandLine.arguments.dropFirst().map { .string($0) })),
            ("inputs", .object(inputs)),
            ("interrupted", .bool(content.wasInterrupted)),
            ("outputs", .array(content.outputs.map { .string($0) })),
            ("sinks", .array(content.sinks.map { .string($0) })),
            ("machine", .object(RunDirectory.machine())),
            ("ended", .string(RunDirectory.now())),
        ])
    }

    /// The interface of a wire, as the user named it, and how it is read.
    private static func interface(of wire: WireArgument) -> [(String, JSON)] {
        guard let name = wire.interface else { return [] }
        return [("interface", .string("\(wire.access.rawValue):\(name)"))]
            + (wire.isPromiscuous ? [("promiscuous", true)] : [])
            + (wire.direction.map { [("direction", .string($0.rawValue))] } ?? [])
    }

    /// The machine, for the manifest only: nothing else may depend on it.
    private static func machine() -> [(String, JSON)] {
        var name = utsname()
        uname(&name)
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return [
            ("system", .string("\(text(name.sysname)) \(text(name.release))")),
            ("architecture", .string(text(name.machine))),
            ("processors", .integer(Int64(sysconf(Int32(_SC_NPROCESSORS_ONLN))))),
        ]
    }

    /// The current time, UTC, in RFC 3339 format.
    private static func now() -> String {
        var seconds = time(nil)
        var fields = tm()
        gmtime_r(&seconds, &fields)
        var buffer = [CChar](repeating: 0, count: 32)
        let n = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%SZ", &fields)
        return String(decoding: buffer[..<n].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
