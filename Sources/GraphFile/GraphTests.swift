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
        /// The place of each setting's name.
        var settingMarks: [(key: String, mark: Mark)] = []
        /// The packets that arrive, by wire.
        public var inputs: [Packets]
        /// The packets expected to leave, by wire.
        public var outputs: [Packets]
        /// Drops expected, by `element.reason`.
        public var drops: [Drop]
        /// The records expected, by the element they reach.
        public var records: [Records]
        /// The packets expected to reach an element, in order of arrival.
        public var arrivals: [Arrivals] = []
        /// Counters of elements and their values after the test.
        public var counters: [Counter] = []
        /// Whether all of it could be read; errors are reported.
        var isReadable = true
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
    /// The packets that reach one element, in order of arrival.
    public struct Arrivals: Sendable {
        /// The element's name in the graph.
        public var element: String
        /// The place of the element's name.
        public var mark: Mark
        /// Patterns.
        public var packets: [Text]
    }
    /// A counter of an element and its value after the test.
    public struct Counter: Sendable {
        /// The element's name in the graph.
        public var element: String
        /// One of ``GraphTests/counts``, or of the element's handlers.
        public var name: String
        /// The value expected.
        public var value: Int
        /// The place of the counter's name.
        public var mark: Mark
    }
    /// The counters that every element has, as the report of a run names them.
    public static let counts = ["in", "made", "out", "used", "held", "dropped"]
    /// Keys under `out` that are not wires.
    static let expectations = ["drops", "records", "packets", "counters"]
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
        let cases = items.enumerated().map { k, item in
            let errors = errorCount
            var test =
                testCase(item)
                ?? GraphTests.Case(
                    name: "test \(k + 1)",
                    mark: item.mark,
                    settings: [],
                    inputs: [],
                    outputs: [],
                    drops: [],
                    records: []
                )
            test.isReadable = errorCount == errors
            return test
        }
        return GraphTests(path: path, graph: resolve(graph), graphMark: graphValue.mark, cases: cases, map: map)
    }

    private func testCase(_ value: Value) -> GraphTests.Case? {
        let keys = ["name", "about", "set", "in", "out"]
        guard let fields = fields(value, of: "a test", keys: keys, required: ["name", "in", "out"]),
            let nameValue = fields["name"], let name = text(nameValue, "'name'")
        else { return nil }
        let set = fields["set"].flatMap { entries($0, "'set'") } ?? []
        let settings = set.compactMap { entry in
            text(entry.value, "a value under 'set'").map { (key: entry.key, value: $0) }
        }
        let inputs = (fields["in"].flatMap { entries($0, "'in'") } ?? []).map(packets)
        var outputs: [GraphTests.Packets] = []
        var drops: [GraphTests.Drop] = []
        var records: [GraphTests.Records] = []
        var arrivals: [GraphTests.Arrivals] = []
        var counters: [GraphTests.Counter] = []
        for entry in fields["out"].flatMap({ entries($0, "'out'") }) ?? [] {
            switch entry.key {
            case "drops": drops = (entries(entry.value, "'drops'") ?? []).compactMap(drop)
            case "counters": counters = (entries(entry.value, "'counters'") ?? []).compactMap(counter)
            case "packets":
                arrivals = (entries(entry.value, "'packets'") ?? []).map { element, mark, value in
                    GraphTests.Arrivals(element: element, mark: mark, packets: patterns(value, of: element))
                }
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
            settingMarks: set.map { ($0.key, $0.keyMark) },
            inputs: inputs,
            outputs: outputs,
            drops: drops,
            records: records,
            arrivals: arrivals,
            counters: counters
        )
    }

    private func packets(_ entry: (key: String, keyMark: Mark, value: Value)) -> GraphTests.Packets {
        GraphTests.Packets(wire: entry.key, mark: entry.keyMark, packets: patterns(entry.value, of: entry.key))
    }

    private func patterns(_ value: Value, of name: String) -> [GraphTests.Text] {
        texts(value, "what is listed for '\(name)'").map { GraphTests.Text(text: $0.text, mark: $0.mark) }
    }

    private func drop(_ key: String, _ mark: Mark, _ value: Value) -> GraphTests.Drop? {
        let what = "an element and a reason, as in 'cookie.bad_cookie'"
        return number(key, mark, value, what, in: 0 ... .max).map {
            GraphTests.Drop(element: $0.element, reason: $0.name, count: $0.value, mark: mark)
        }
    }

    private func counter(_ key: String, _ mark: Mark, _ value: Value) -> GraphTests.Counter? {
        let what = "an element and a counter, as in 'flows.created' or 'check.out'"
        return number(key, mark, value, what, in: .min ... .max).map {
            GraphTests.Counter(element: $0.element, name: $0.name, value: $0.value, mark: mark)
        }
    }

    /// An entry `ELEMENT.NAME: NUMBER`.
    private func number(
        _ key: String,
        _ mark: Mark,
        _ value: Value,
        _ what: String,
        in range: ClosedRange<Int>
    ) -> (element: String, name: String, value: Int)? {
        guard let dot = key.lastIndex(of: ".") else {
            report(.badValue, "'\(key)' is not \(what)", at: mark)
            return nil
        }
        do throws(ParameterError) {
            let number = try value.integer(in: range)
            return (String(key[..<dot]), String(key[key.index(after: dot)...]), number)
        } catch {
            report(error)
            return nil
        }
    }

    /// Reports packets and patterns of a test that cannot be read. Returns whether there are none.
    func checkPackets(_ test: GraphTests.Case) -> Bool {
        var isReadable = true
        func check(_ text: GraphTests.Text, _ read: (String) throws(PacketText.Failure) -> Void) {
            do throws(PacketText.Failure) { try read(text.text) } catch {
                isReadable = false
                report(
                    .badPacket,
                    "the packet cannot be read: \(error.message)",
                    at: rest(of: text, from: error.offset)
                )
            }
        }
        for text in test.inputs.flatMap(\.packets) {
            check(text) { text throws(PacketText.Failure) in _ = try PacketText.frame(text) }
        }
        for text in test.outputs.flatMap(\.packets) + test.arrivals.flatMap(\.packets) {
            check(text) { text throws(PacketText.Failure) in _ = try PacketText.Pattern(text) }
        }
        return isReadable
    }

    /// The place of a text's rest from character `offset` on.
    private func rest(of text: GraphTests.Text, from offset: Int) -> Mark {
        let start = String(text.text.unicodeScalars.prefix(offset)).utf8.count
        return part(of: text.mark, Array(text.text.utf8), start, text.text.utf8.count - start)
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
                suggestion: node(named: packets.wire, spec).map { name in
                    "what reaches '\(name)' is listed under 'packets' or 'records'"
                } ?? suggest(packets.wire, among: wires + GraphTests.expectations)
            )
        }
        for counter in test.counters {
            guard let node = node(counter.element, spec, at: counter.mark) else { continue }
            let names = GraphTests.counts + node.type.handlers.map(\.name)
            if names.contains(counter.name) { continue }
            report(
                .badValue,
                "'\(counter.element)' has no counter '\(counter.name)'; it has \(names.joined(separator: ", "))",
                at: counter.mark,
                suggestion: likely(counter.name, among: names).map { didYouMean("\(counter.element).\($0)") }
            )
        }
        let isReachedByPackets = test.arrivals.isEmpty ? [] : reached(spec) { $0 == .packet || $0 == .stream }
        for packets in test.arrivals {
            guard let node = node(packets.element, spec, at: packets.mark), !isReachedByPackets.contains(node.name)
            else { continue }
            report(
                .badValue,
                "no packets reach '\(node.name)'; they reach "
                    + (isReachedByPackets.isEmpty ? "no element" : isReachedByPackets.joined(separator: ", ")),
                at: packets.mark
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
        let isReached =
            test.records.isEmpty ? [] : reached(spec) { if case .record = $0 { true } else { false } }
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

    /// The names of the elements that items of certain kinds reach.
    private func reached(_ spec: GraphSpec, by isMeant: (Kind) -> Bool) -> [String] {
        let kinds = GraphShape(spec).kinds
        let reached = zip(spec.edges, kinds).filter { $1.map(isMeant) ?? false }.map(\.0.to)
        return Set(reached).sorted().map { spec.nodes[$0].name }
    }

    /// The name of an element, if it is one.
    private func node(named name: String, _ spec: GraphSpec) -> String? {
        spec.index(of: name).map { spec.nodes[$0].name }
    }

    /// The element of the graph that a test names; reports an error if there is none.
    private func node(_ name: String, _ spec: GraphSpec, at mark: Mark) -> GraphSpec.Node? {
        if let number = spec.index(of: name) { return spec.nodes[number] }
        let suggestion = suggest(name, among: spec.nodes.map(\.name))
        report(.unknownElement, "the graph has no element '\(name)'", at: mark, suggestion: suggestion)
        return nil
    }
}
