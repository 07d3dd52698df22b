// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import TestSupport
import Testing

/// What `spillway test` does with tests of graphs: nothing that is misspelt holds, and nothing that is given ends the program.
@Suite struct GraphTestRunnerTests {
    /// Runs tests of a graph.
    private func run(
        _ tests: String,
        graph: String = check
    ) -> (results: [GraphTestRunner.Result], diagnostics: [Diagnostic]) {
        let files = ["g.yaml": graph, "g.test.yaml": "graph: g.yaml\ntests:\n" + tests]
        let loader = GraphLoader(catalog: .standard, services: MemoryServices()) { Array((files[$0] ?? "").utf8) }
        let outcome = GraphTestRunner.run("g.test.yaml", loader)
        return (outcome.results, outcome.diagnostics)
    }

    /// A drop that cannot happen is never counted, and nothing leaves a wire that is not there: neither proves anything.
    @Test(
        arguments: [
            ("in: {wyre: []}, out: {}", "unknown_element"),
            ("in: {}, out: {wyre: []}", "unknown_element"),
            ("in: {}, out: {drops: {chek.not_ip: 0}}", "unknown_element"),
            ("in: {}, out: {drops: {check.not_up: 0}}", "unknown_drop"),
            ("set: {checksum: never}, in: {}, out: {}", "bad_value"),
            ("set: {sum: never}, in: {}, out: {}", "unknown_parameter"),
            ("in: {wire: ['10.0.0.1 -> 10.0.0.2']}, out: {}", "bad_packet"),
            ("in: {}, out: {wire: ['10.0.0.1 10.0.0.2']}", "bad_packet"),
            ("in: {}, out: {counters: {check.gone: 0}}", "bad_value"),
            ("in: {}, out: {counters: {chek.in: 0}}", "unknown_element"),
            ("in: {}, out: {packets: {chek: []}}", "unknown_element"),
            ("in: {}, out: {packets: {check: ['a b']}}", "bad_packet"),
            ("in: {}, out: {check: []}", "unknown_element"),
        ]
    )
    func misspeltNamesDoNotHold(_ test: String, _ code: String) {
        let (results, diagnostics) = run(
            "  - {name: wrong, \(test)}\n  - {name: fine, in: {wire: []}, out: {wire: []}}\n"
        )
        #expect(diagnostics.map(\.code) == [code])
        #expect(results.map(\.name) == ["fine"])
        #expect(results.allSatisfy { $0.failures.isEmpty })
    }

    /// What reaches an element is compared like what leaves a wire, and counters with the values that a run reports.
    @Test(
        arguments: [
            (#"packets: {check: ["* > * S", ""]}"#, []),
            (#"packets: {check: ["* > *:80 S", ""]}, counters: {check.in: 2}"#, []),
            ("counters: {check.in: 2, check.out: 2, check.dropped: 0, wire.packets_out: 2, check.held: 0}", []),
            (#"packets: {check: [""]}"#, ["a: 'check' also got '10.0.0.1:1000 > 10.0.0.2:81 A'"]),
            (#"packets: {check: ["", "* > * S"]}"#, ["a: 'check' got '10.0.0.1:1000 > 10.0.0.2:81 A', not '* > * S'"]),
            // Fields that texts leave out stand in both.
            (
                #"packets: {check: ["seq=1 ttl=64 time=2.5s", ""]}"#,
                [
                    "a: 'check' got '10.0.0.1:1000 > 10.0.0.2:80 S seq=0 ttl=64 time=0.000001s', not 'seq=1 ttl=64 time=2.5s'"
                ]
            ),
            (
                #"packets: {check: ["smac=00:00:00:00:00:09 win=9", ""]}"#,
                [
                    "a: 'check' got '10.0.0.1:1000 > 10.0.0.2:80 S win=65535 smac=02:00:00:00:00:01', not 'smac=00:00:00:00:00:09 win=9'"
                ]
            ),
            (#"packets: {check: ["", "", "udp"]}"#, ["a: 'udp' did not reach 'check'"]),
            (
                "counters: {check.out: 3, wire.packets_out: 1}",
                ["a: wire.packets_out is 2, not 1", "a: check.out is 2, not 3"]
            ),
        ] as [(String, [String])]
    )
    func arrivalsAndCountersAreCompared(_ expected: String, _ failures: [String]) {
        let packets = #"["10.0.0.1:1000 > 10.0.0.2:80 S", "10.0.0.1:1000 > 10.0.0.2:81 A"]"#
        let (results, diagnostics) = run("  - {name: a, in: {wire: \(packets)}, out: {\(expected)}}\n")
        #expect(diagnostics == [])
        #expect(results.first?.failures.map(\.message) == failures)
    }

    /// What tests say about records is compared in order, one by one though they travel together, by the fields they name.
    @Test(
        arguments: [
            (#"["proto=udp src=10.0.0.1", "dport=2"]"#, []),
            (#"["proto=udp src=10.0.0.1", ""]"#, []),
            (
                #"["proto=udp src=10.0.0.9", ""]"#,
                ["a: 'src=10.0.0.1 proto=udp dport=1' reached 'sink', not 'proto=udp src=10.0.0.9'"]
            ),
            (#"[""]"#, ["a: 'src=10.0.0.1 proto=udp dport=2' also reached 'sink'"]),
            (#"["", "", "proto=udp"]"#, ["a: no record 'proto=udp' reached 'sink'"]),
            (
                #"["", "dprt=2"]"#,
                [
                    "a: the records that reach 'sink' have no field 'dprt'; they have src, proto, dport did you mean 'dport'?"
                ]
            ),
        ] as [(String, [String])]
    )
    func recordsAreCompared(_ patterns: String, _ failures: [String]) throws {
        let packets = #"["10.0.0.1:7 > 10.0.0.2:1 udp", "10.0.0.1:7 > 10.0.0.2:2 udp"]"#
        let test = "  - {name: a, in: {wire: \(packets)}, out: {records: {sink: \(patterns)}}}\n"
        let (results, diagnostics) = run(test, graph: Self.log)
        #expect(diagnostics == [])
        let found = results.flatMap(\.failures).map { $0.message + ($0.suggestion.map { " \($0)" } ?? "") }
        #expect(found == failures)
    }

    @Test func recordsAreExpectedWhereTheyCome() {
        let test = "  - {name: a, in: {}, out: {records: {wire: [], snk: []}}}\n"
        let (results, diagnostics) = run(test, graph: Self.log)
        #expect(results.isEmpty)
        #expect(
            diagnostics.map { $0.message + ($0.suggestion.map { " \($0)" } ?? "") } == [
                "no records reach 'wire'; they reach pack, sink",
                "the graph has no element 'snk' did you mean 'sink'?",
            ]
        )
    }

    private static let log = """
        graph: g
        elements:
          wire: {type: Wire}
          each: {type: MetadataExtractor, per: packet, fields: [src, proto, dport]}
          pack: {type: Coalescer}
          sink: {type: RecordSink}
        chains: [wire.rx -> each.records -> pack -> sink]
        """
    private static let check = """
        graph: g
        params: {checksum: {type: string, default: verify}}
        elements: {wire: {type: Wire}, check: {type: IPCheck, checksum: $checksum}}
        chains: [wire.rx -> check -> wire.tx]
        """

    /// The last time there is stands for the end of the input, so no packet may have it.
    @Test func packetsAtTheEndOfTimeAreSentAllTheSame() throws {
        var frame = try PacketText.frame("10.0.0.1:1 > 10.0.0.2:2 A")
        frame.time = .max
        var next = frame
        next.time = nil
        let source = MemorySource([frame, next])
        let wire = CollectedPackets()
        let spec = try graph(yaml: "graph: g\nelements: {wire: {type: Wire}}\nchains: [wire.rx -> wire.tx]\n")
        let binding = WireBinding(source: source, destination: wire)
        try DirectRuntime(try Instance(spec, bindings: [0: binding], services: MemoryServices())).run()
        #expect(wire.packets.map(\.item.time) == [PacketText.latestTime, PacketText.latestTime])
    }
}
