// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The tests of a graph, from a file `NAME.test.yaml`. Packets stay text: the test runner parses them.
public struct GraphTests: Sendable {
    /// The file of the tests.
    public var path: String
    /// The graph's file, as a path relative to the same directory as the tests' path.
    public var graph: String
    /// The place where the file names the graph.
    let graphMark: Mark
    /// The tests, in the order of the file.
    public var cases: [Case]
    let map: SourceMap

    /// The place of a mark in these tests, for reporting failures.
    public func place(of mark: Mark) -> Place? { map.span(mark).map(map.place) }

    /// One test: packets in; packets, records and drops expected.
    public struct Case: Sendable {
        /// The claim that the test checks, as a sentence.
        public var name: String
        /// The place of the name, for failures.
        public var mark: Mark
        /// Values for the graph's parameters.
        public var settings: [(key: String, value: String)]
        /// The packets that arrive, by wire.
        public var inputs: [Packets]
        /// The packets expected to leave, by wire.
        public var outputs: [Packets]
        /// Drops expected, by `element.reason`.
        public var drops: [Drop]
        /// The records expected, by the element they reach.
        public var records: [Records]
        /// The graph with the settings of this test; nil if it is unusable, or lacks what the test names.
        public var graph: GraphSpec?
    }
    /// The packets of one wire.
    public struct Packets: Sendable {
        /// The wire's name in the graph.
        public var wire: String
        /// The place of the wire's name.
        public var mark: Mark
        /// The packets in order of time.
        public var packets: [Text]
    }
    /// The records that reach one element, in order of arrival.
    public struct Records: Sendable {
        /// The element's name in the graph.
        public var element: String
        /// The place of the element's name.
        public var mark: Mark
        /// Patterns: `name=value` words, all of which a record must match.
        public var records: [Text]
    }
    /// One packet in text form, or a pattern for a packet or record.
    public struct Text: Sendable {
        /// The text as written.
        public var text: String
        /// The place of the text.
        public var mark: Mark
    }
    /// A drop counter of an element and its value after the test.
    public struct Drop: Sendable {
        /// The element's name in the graph.
        public var element: String
        /// One of the element's reasons, in snake case.
        public var reason: String
        /// Items dropped for that reason.
        public var count: Int
        /// The place of the counter's name.
        public var mark: Mark
    }
}

extension Session {
    /// Reads a tests file; `resolve` returns the path of a file that is named in it.
    func tests(_ value: Value, path: String, resolve: (String) -> String) -> GraphTests? {
        let errors = errorCount
        guard
            let fields = fields(
                value,
                of: "a tests file",
                keys: ["graph", "about", "tests"],
                required: ["graph", "tests"]
            ),
            let graphValue = fields["graph"], let graph = text(graphValue, "'graph'"),
            let list = fields["tests"], let items = items(list, "'tests'")
        else { return nil }
        // A file that tests nothing would pass.
        if items.isEmpty { report(.badValue, "there are no tests in this file", at: list.mark) }
        let cases = items.compactMap(testCase)
        return errorCount == errors
            ? GraphTests(path: path, graph: resolve(graph), graphMark: graphValue.mark, cases: cases, map: map) : nil
    }

    private func testCase(_ value: Value) -> GraphTests.Case? {
        let keys = ["name", "about", "set", "in", "out"]
        guard let fields = fields(value, of: "a test", keys: keys, required: ["name", "in", "out"]),
            let nameValue = fields["name"], let name = text(nameValue, "'name'")
        else { return nil }
        let settings = (fields["set"].flatMap { entries($0, "'set'") } ?? []).compactMap { entry in
            text(entry.value, "a value under 'set'").map { (key: entry.key, value: $0) }
        }
        let inputs = (fields["in"].flatMap { entries($0, "'in'") } ?? []).map(packets)
        var outputs: [GraphTests.Packets] = []
        var drops: [GraphTests.Drop] = []
        var records: [GraphTests.Records] = []
        for entry in fields["out"].flatMap({ entries($0, "'out'") }) ?? [] {
            switch entry.key {
            case "drops": drops = (entries(entry.value, "'drops'") ?? []).compactMap(drop)
            case "records":
                records = (entries(entry.value, "'records'") ?? []).map { element, mark, value in
                    GraphTests.Records(element: element, mark: mark, records: patterns(value, of: element))
                }
            default: outputs.append(packets(entry))
            }
        }
        return GraphTests.Case(
            name: name,
            mark: nameValue.mark,
            settings: settings,
            inputs: inputs,
            outputs: outputs,
            drops: drops,
            records: records
        )
    }

    private func packets(_ entry: (key: String, keyMark: Mark, value: Value)) -> GraphTests.Packets {
        GraphTests.Packets(wire: entry.key, mark: entry.keyMark, packets: patterns(entry.value, of: entry.key))
    }

    private func patterns(_ value: Value, of name: String) -> [GraphTests.Text] {
        texts(value, "what is listed for '\(name)'").map { GraphTests.Text(text: $0.text, mark: $0.mark) }
    }

    private func drop(_ key: String, _ mark: Mark, _ value: Value) -> GraphTests.Drop? {
        guard let dot = key.lastIndex(of: ".") else {
            report(.badValue, "'\(key)' is not an element and a reason, as in 'cookie.bad_cookie'", at: mark)
            return nil
        }
        do throws(ParameterError) {
            let count = try value.integer(in: 0 ... .max)
            let reason = String(key[key.index(after: dot)...])
            return GraphTests.Drop(element: String(key[..<dot]), reason: reason, count: count, mark: mark)
        } catch {
            report(error)
            return nil
        }
    }

    /// Reports names in a test that its graph does not have: wires, elements, drop reasons, elements reached by records.
    /// Returns whether there are none.
    func check(_ test: GraphTests.Case, _ spec: GraphSpec) -> Bool {
        let errors = errorCount
        let wires = spec.nodes.filter(\.isWire).map(\.name)
        for packets in test.inputs + test.outputs where !wires.contains(packets.wire) {
            report(
                .unknownElement,
                "the graph has no wire '\(packets.wire)'; it has \(wires.isEmpty ? "none" : wires.joined(separator: ", "))",
                at: packets.mark,
                suggestion: suggest(packets.wire, among: wires)
            )
        }
        for drop in test.drops {
            guard let node = node(drop.element, spec, at: drop.mark), !node.dropReasons.contains(drop.reason) else {
                continue
            }
            let reasons = node.dropReasons
            report(
                .unknownDrop,
                "'\(drop.element)' never drops for '\(drop.reason)'; its reasons are \(reasons.joined(separator: ", "))",
                at: drop.mark,
                suggestion: likely(drop.reason, among: reasons).map { didYouMean("\(drop.element).\($0)") }
            )
        }
        let isReached = test.records.isEmpty ? [] : reachedByRecords(spec)
        for records in test.records {
            guard let node = node(records.element, spec, at: records.mark), !isReached.contains(node.name) else {
                continue
            }
            report(
                .badValue,
                "no records reach '\(node.name)'; they reach "
                    + (isReached.isEmpty ? "no element" : isReached.joined(separator: ", ")),
                at: records.mark
            )
        }
        return errorCount == errors && !isFull
    }

    /// The names of the elements that records reach.
    private func reachedByRecords(_ spec: GraphSpec) -> [String] {
        let kinds = GraphShape(spec).kinds
        let reached = zip(spec.edges, kinds).filter { if case .record = $1 { true } else { false } }.map(\.0.to)
        return Set(reached).sorted().map { spec.nodes[$0].name }
    }

    /// The element of the graph that a test names; reports an error if there is none.
    private func node(_ name: String, _ spec: GraphSpec, at mark: Mark) -> GraphSpec.Node? {
        if let number = spec.index(of: name) { return spec.nodes[number] }
        let suggestion = suggest(name, among: spec.nodes.map(\.name))
        report(.unknownElement, "the graph has no element '\(name)'", at: mark, suggestion: suggestion)
        return nil
    }
}
