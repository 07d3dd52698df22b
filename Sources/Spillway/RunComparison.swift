// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import GraphFile
import Model
import Placement
import Reports

/// The statistics of two earlier runs side by side.
///
/// Two runs had the same inputs if the verb, the bytes of the graph and its compounds, its parameters, the bytes of the
/// captures of each wire, the seed, the profile's bytes, the load and the objective are the same, and placements of the same
/// name have the same sides. File locations do not matter. Nor do results: a parameter whose value names an element's output
/// file only says where results go, and is ignored. Input from a pipe has no digest, so it counts as different from everything;
/// so does a run that was interrupted, as it is unknown how much it had read.
public struct RunComparison {
    /// A file of a run directory is not as this tool writes it.
    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    /// The inputs that differ, in words; empty if the runs can be compared.
    public let differentInputs: [String]
    private let rows: [(name: String, unit: String, first: String?, second: String?)]
    private let names: (String, String)

    /// Reads two run directories.
    public init(_ first: String, _ second: String) throws {
        names = (first, second)
        let inputs = (try RunComparison.read(first, "manifest.json"), try RunComparison.read(second, "manifest.json"))
        var different: [String] = []
        for (directory, manifest) in zip([first, second], [inputs.0, inputs.1]) {
            try RunComparison.checkManifest(manifest, "\(directory)/manifest.json")
            if case .bool(true)? = manifest["interrupted"] { different.append("'\(directory)' was interrupted") }
        }
        if inputs.0["verb"]?.line != inputs.1["verb"]?.line { different.append("verb") }
        // What a run counts depends on no device, though the length of its rings may.
        let device = inputs.0["verb"]?.line == JSON.string("run").line ? [] : ["profile"]
        for key in ["graph", "parameters", "wires", "seed", "load", "baseline", "objective"] + device {
            let (a, b) = (RunComparison.input(key, inputs.0), RunComparison.input(key, inputs.1))
            if a?.line != b?.line {
                different.append(key)
            } else if key == "wires", a.map(RunComparison.hasNoDigest) == true {
                different.append(
                    "wires, as no digest is kept of what comes from standard input or a pipe, or was interrupted"
                )
            }
        }
        for (name, sides) in RunComparison.placements(inputs.0) {
            guard let other = RunComparison.placements(inputs.1).first(where: { $0.name == name }) else { continue }
            if other.sides.line != sides.line { different.append("placement '\(name)'") }
        }
        differentInputs = different
        let statistics = (
            try RunComparison.statistics(first), try RunComparison.statistics(second)
        )
        var rows: [(name: String, unit: String, first: String?, second: String?)] = []
        for a in statistics.0 {
            rows.append((a.name, a.unit, a.value, statistics.1.first { $0.name == a.name }?.value))
        }
        for b in statistics.1 where !statistics.0.contains(where: { $0.name == b.name }) {
            rows.append((b.name, b.unit, nil, b.value))
        }
        self.rows = rows
    }

    private static func read(_ directory: String, _ name: String) throws -> JSON {
        let path = "\(directory)/\(name)"
        let bytes = try Files.read(path)
        guard let text = String(validating: bytes, as: UTF8.self), let json = JSON(text) else {
            throw Failure(description: "\(path): is not JSON")
        }
        return json
    }

    /// The part of an input that matters for results.
    private static func input(_ key: String, _ manifest: JSON) -> JSON? {
        guard let value = manifest["inputs"]?[key].map(withoutPaths) else { return nil }
        guard key == "parameters", case .object(let members) = value,
            case .array(let outputs)? = manifest["sinks"] ?? manifest["outputs"]
        else { return value }
        return .object(members.filter { member in !outputs.contains { $0.line == member.1.line } })
    }

    /// Whether an input has no digest.
    private static func hasNoDigest(_ value: JSON) -> Bool {
        switch value {
        case .object(let members):
            members.contains {
                if $0.0 == "sha256", case .null = $0.1 { return true }
                return hasNoDigest($0.1)
            }
        case .array(let items): items.contains(where: hasNoDigest)
        default: false
        }
    }

    private static func placements(_ manifest: JSON) -> [(name: String, sides: JSON)] {
        guard case .array(let list)? = manifest["inputs"]?["placements"] else { return [] }
        return list.compactMap { item in
            guard case .string(let name)? = item["name"], let sides = item["sides"] else { return nil }
            return (name, sides)
        }
    }

    /// Inputs are equal if their bytes are; paths do not matter.
    private static func withoutPaths(_ value: JSON) -> JSON {
        switch value {
        case .object(let members): .object(members.filter { $0.0 != "path" }.map { ($0.0, withoutPaths($0.1)) })
        case .array(let items): .array(items.map(withoutPaths))
        default: value
        }
    }

    private static func checkManifest(_ manifest: JSON, _ path: String) throws(Failure) {
        func isObject(_ value: JSON?) -> Bool { if case .object? = value { true } else { false } }
        func require(_ holds: Bool, _ what: String) throws(Failure) {
            if !holds { throw Failure(description: "\(path): is no manifest of a run: it has no \(what)") }
        }
        if case .string? = manifest["verb"] {} else { try require(false, "text 'verb'") }
        let inputs = manifest["inputs"]
        try require(isObject(inputs), "object 'inputs'")
        for name in ["graph", "wires"] {
            if case .array? = inputs?[name] {} else { try require(false, "list 'inputs.\(name)'") }
        }
        try require(isObject(inputs?["parameters"]), "object 'inputs.parameters'")
    }

    private static func statistics(_ directory: String) throws -> [(name: String, unit: String, value: String)] {
        let path = "\(directory)/stats.json"
        guard case .array(let list)? = try read(directory, "stats.json")["statistics"] else {
            throw Failure(description: "\(path): holds no statistics of a run: it has no list 'statistics'")
        }
        return try list.enumerated().map { k, item in
            guard case .string(let name)? = item["name"] else {
                throw Failure(description: "\(path): statistic \(k + 1) has no text 'name'")
            }
            guard case .string(let unit)? = item["unit"] else {
                throw Failure(description: "\(path): statistic '\(name)' has no text 'unit'")
            }
            switch item["value"] {
            case .integer?, .unsigned?, .decimal?, .null?: return (name, unit, item["value"]!.line)
            default: throw Failure(description: "\(path): statistic '\(name)' has no number 'value'")
            }
        }
    }

    /// One row per statistic, with the change if both are numbers.
    public var table: Table {
        var table = Table([
            ("statistic", .left), ("unit", .left), (names.0, .right), (names.1, .right), ("change", .right),
        ])
        for row in rows {
            table.rows.append([
                row.name, row.unit, row.first ?? "-", row.second ?? "-", change(row.first, row.second) ?? "",
            ])
        }
        return table
    }

    /// The comparison for programs.
    public var json: JSON {
        .object([
            ("different_inputs", .array(differentInputs.map { .string($0) })),
            (
                "statistics",
                .array(
                    rows.map { row in
                        .object([
                            ("name", .string(row.name)), ("unit", .string(row.unit)),
                            ("first", row.first.flatMap { JSON($0) } ?? .null),
                            ("second", row.second.flatMap { JSON($0) } ?? .null),
                        ])
                    }
                )
            ),
        ])
    }

    private func change(_ a: String?, _ b: String?) -> String? {
        guard let a = a.flatMap(Double.init), let b = b.flatMap(Double.init), a != b else { return nil }
        return a == 0 ? "new" : (b > a ? "+" : "") + fixed((b / a - 1) * 100, 2) + " %"
    }
}

/// Placements as files of their own.
public enum PlacementFile {
    /// The text of a placement file, which refers to its graph by `graphPath`.
    public static func text(_ placement: PlacementResult, of graph: GraphSpec, graphPath: String) -> String {
        let nic = graph.nodes.indices.filter { placement.sides[$0] == .nic && !graph.nodes[$0].isWire }
        return """
            placement: \(placement.name)
            graph: \(quoted(graphPath))
            nic: [\(nic.map { graph.nodes[$0].name }.joined(separator: ", "))]
            default: host

            """
    }

    /// A scalar quoted for YAML, where a JSON string has the same meaning.
    private static func quoted(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5a).contains($0 & 0xdf) || "_-./".utf8.contains($0)
        }
        if isPlain, text.hasSuffix(".yaml") { return text }
        var out = ""
        JSON.quote(text, &out)
        return out
    }
}

extension GraphRun {
    /// An instance for the model, which reads its captures; nothing is written if `services` write nothing.
    public static func modelInstance(
        _ spec: GraphSpec,
        wires: [WireArgument],
        options: Instance.Options,
        services: any Services = MemoryServices(),
        shouldStop: StopQuestion? = nil
    ) throws -> Instance {
        let sources = wires.map { wire in
            var source = wire
            source.write = nil
            return source
        }
        let bindings = try bind(spec, sources, shouldStop: shouldStop)
        let known = ObservedServices(services, linkTypes: linkTypes(of: bindings))
        let instance = try Instance(spec, bindings: bindings, services: known, options: options)
        try instance.open()
        return instance
    }
}
