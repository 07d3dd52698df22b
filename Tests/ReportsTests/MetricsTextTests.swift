// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Foundation
import Reports
import TestSupport
import Testing

/// The text format of Prometheus, version 0.0.4.
@Suite struct MetricsTextTests {
    /// Names of metrics with their labels, and the types of families. Records an issue for a line that the format does not have.
    private func read(_ text: String) -> (samples: [String: Double], types: [String: String]) {
        let help = /# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\\n]|\\\\|\\n)+)/
        let type = /# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped)/
        let label = #"[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*""#
        let sample = try! Regex<(Substring, Substring, Substring?, Substring)>(
            #"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{\#(label)(?:,\#(label))*\})? (-?[0-9]+(?:\.[0-9]+)?)"#
        )
        var samples: [String: Double] = [:]
        var types: [String: String] = [:]
        var family = ""
        #expect(text.hasSuffix("\n"))
        for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
            if let match = line.wholeMatch(of: help) {
                family = String(match.1)
                #expect(types[family] == nil, "\(family) has help twice")
            } else if let match = line.wholeMatch(of: type) {
                #expect(match.1 == family, "\(line)")
                #expect(types.updateValue(String(match.2), forKey: family) == nil, "\(family) has a type twice")
            } else if let match = line.wholeMatch(of: sample) {
                #expect(match.1 == family && types[family] != nil, "\(line) stands apart from its family")
                let name = "\(match.1)\(match.2 ?? "")"
                #expect(samples.updateValue(Double(match.3)!, forKey: name) == nil, "\(name) stands there twice")
            } else {
                Issue.record("no line of the format: \(line)")
            }
        }
        return (samples, types)
    }

    @Test func followsTheFormat() {
        let (samples, types) = read(MetricsText.text(RunSnapshotTests.sample(after: 2), version: "1.2"))
        #expect(samples["spillway_run_info{graph=\"web\",version=\"1.2\"}"] == 1)
        #expect(samples["spillway_wire_received_packets_total{wire=\"wire\"}"] == 2000)
        #expect(samples["spillway_wire_kernel_dropped_packets_total{wire=\"wire\"}"] == 14)
        let sort = "element=\"guard/sort\",type=\"Classifier\""
        #expect(samples["spillway_element_in_items_total{\(sort)}"] == 2000)
        #expect(samples["spillway_element_dropped_items_total{\(sort),reason=\"no_rule\"}"] == 20)
        #expect(samples["spillway_element_dropped_items_total{\(sort),reason=\"odd\"}"] == 0)
        #expect(samples["spillway_element_handler{\(sort),handler=\"low\"}"] == -4)
        #expect(samples["spillway_edge_items_total{edge=\"guard/sort.web\"}"] == 1980)
        #expect(samples["spillway_start_time_seconds"] == 1_700_000_000)
        #expect(samples["spillway_pool_free_items"] == 900)
        #expect(types.count > 20)
        for (name, type) in types {
            #expect(name.hasPrefix("spillway_"))
            #expect((type == "counter") == name.hasSuffix("_total"), "\(name)")
        }
    }

    /// What a counter says never becomes less.
    @Test func countersGrow() {
        let (first, types) = read(MetricsText.text(RunSnapshotTests.sample(after: 2), version: ""))
        let (second, _) = read(MetricsText.text(RunSnapshotTests.sample(after: 3), version: ""))
        for (name, value) in first where types[String(name.prefix { $0 != "{" })] == "counter" {
            #expect(value <= second[name] ?? -1, "\(name)")
        }
    }

    /// Names of elements come from graphs, where they may be anything.
    private static func odd() -> RunSnapshot {
        var run = RunSnapshotTests.sample(after: 1)
        run.graph = "a\"b\\c\nd\u{e9},{}="
        run.edges[0].name = "\\"
        return run
    }

    @Test func labelsAreEscaped() {
        let text = MetricsText.text(Self.odd(), version: "")
        #expect(text.contains(#"{graph="a\"b\\c\nd"# + "\u{e9}" + #",{}=",version=""} 1"# + "\n"))
        #expect(text.contains(#"spillway_edge_items_total{edge="\\"} 1000"# + "\n"))
        _ = read(text)
    }

    /// An interface counts what a capture does not have.
    @Test func familiesWithoutSamplesAreLeftOut() {
        var run = RunSnapshotTests.sample(after: 1)
        run.wires[0].interface = nil
        run.edges = []
        let text = MetricsText.text(run, version: "")
        for word in ["kernel", "outages", "edge"] { #expect(!text.contains(word)) }
        #expect(text.contains("spillway_wire_"))
        _ = read(text)
    }

    @Test(.enabled(if: Program.hasPython("prometheus_client.parser")))
    func theParserOfPrometheusReadsIt() throws {
        let program = """
            import sys
            from prometheus_client.parser import text_string_to_metric_families as parse
            for f in parse(sys.stdin.read()):
                for s in f.samples:
                    if s.name in ("spillway_run_info", "spillway_edge_items_total"): print(f.type, s.name, repr(s.labels), float(s.value))
            """
        let text = MetricsText.text(Self.odd(), version: "1")
        let outcome = try Program.run("python3", ["-c", program], input: text.utf8)
        #expect(outcome.status == 0, "\(String(decoding: outcome.error, as: UTF8.self))")
        #expect(
            String(decoding: outcome.output, as: UTF8.self) == #"""
                gauge spillway_run_info {'graph': 'a"b\\c\ndé,{}=', 'version': '1'} 1.0
                counter spillway_edge_items_total {'edge': '\\'} 1000.0
                counter spillway_edge_items_total {'edge': 'guard/sort.web'} 990.0
                counter spillway_edge_items_total {'edge': 'guard/sort.rest'} 0.0

                """#
        )
    }
}
