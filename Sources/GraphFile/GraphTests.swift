// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The tests of a graph, as a file `NAME.test.yaml` holds them. Packets stay text: who runs the tests reads them.
public struct GraphTests: Sendable {
    /// The file of the tests.
    public var path: String
    /// The graph's file, as a path that can be read from where the tests' path can.
    public var graph: String
    /// Where the file names the graph.
    let graphMark: Mark
    /// The tests, in the order of the file.
    public var cases: [Case]
    let map: SourceMap

    /// Where a mark of these tests stands, for telling what failed.
    public func place(of mark: Mark) -> Place? { map.span(mark).map(map.place) }

    /// One test: packets in, packets and drops expected.
    public struct Case: Sendable {
        public var name: String
        /// Where the name stands, for failures.
        public var mark: Mark
        /// Values for the graph's parameters.
        public var settings: [(key: String, value: String)]
        /// For each wire the packets that arrive there.
        public var inputs: [Packets]
        /// For each wire the packets expected to leave there.
        public var outputs: [Packets]
        /// Drops expected, by `element.reason`.
        public var drops: [Drop]
        /// The graph with the settings of this test; nil where it cannot be used, or lacks what the test names.
        public var graph: GraphSpec?
    }
    /// The packets of one wire.
    public struct Packets: Sendable {
        public var wire: String
        public var mark: Mark
        public var packets: [Text]
    }
    /// One packet in text form, or a pattern for one.
    public struct Text: Sendable {
        public var text: String
        public var mark: Mark
    }
    /// A drop counter of an element and its value after the test.
    public struct Drop: Sendable {
        public var element: String
        public var reason: String
        public var count: Int
        public var mark: Mark
    }
}

extension Session {
    /// Reads a tests file; `resolve` gives the path of a file that is named in it.
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
        for entry in fields["out"].flatMap({ entries($0, "'out'") }) ?? [] {
            if entry.key != "drops" {
                outputs.append(packets(entry))
                continue
            }
            for (key, keyMark, value) in entries(entry.value, "'drops'") ?? [] {
                guard let dot = key.lastIndex(of: ".") else {
                    report(.badValue, "'\(key)' is not an element and a reason, as in 'cookie.bad_cookie'", at: keyMark)
                    continue
                }
                do throws(ParameterError) {
                    let count = try value.integer(in: 0 ... .max)
                    let reason = String(key[key.index(after: dot)...])
                    drops.append(
                        GraphTests.Drop(element: String(key[..<dot]), reason: reason, count: count, mark: keyMark)
                    )
                } catch {
                    report(error)
                }
            }
        }
        return GraphTests.Case(
            name: name,
            mark: nameValue.mark,
            settings: settings,
            inputs: inputs,
            outputs: outputs,
            drops: drops
        )
    }

    private func packets(_ entry: (key: String, keyMark: Mark, value: Value)) -> GraphTests.Packets {
        let texts = texts(entry.value, "the packets of '\(entry.key)'").map {
            GraphTests.Text(text: $0.text, mark: $0.mark)
        }
        return GraphTests.Packets(wire: entry.key, mark: entry.keyMark, packets: texts)
    }

    /// Reports wires, elements and drop reasons of a test that its graph does not have; whether there are none such.
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
        return errorCount == errors && !isFull
    }

    /// The element of the graph that a test names; reported where there is none.
    private func node(_ name: String, _ spec: GraphSpec, at mark: Mark) -> GraphSpec.Node? {
        if let number = spec.index(of: name) { return spec.nodes[number] }
        let suggestion = suggest(name, among: spec.nodes.map(\.name))
        report(.unknownElement, "the graph has no element '\(name)'", at: mark, suggestion: suggestion)
        return nil
    }
}
