// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

@Suite struct PatternMatcherTests: StreamBench {
    @Test func anOccurrenceAcrossSegments() throws {
        let found = try run(
            "PatternMatcher",
            "{patterns: [cde, d, xyz]}",
            [data(Array("abc".utf8), 1), data(Array("q".utf8), 1, back: true), data(Array("defg".utf8), 4)]
        )
        let start = "stream=0 src=10.0.0.1 sport=1000 dst=10.0.0.2 dport=80 time_ns=0 direction=forward"
        #expect(
            found.texts("records") == ["\(start) offset=3 pattern=1 text=d", "\(start) offset=2 pattern=0 text=cde"]
        )
        #expect(
            found.texts("totals") == ["pattern=0 text=cde matches=1 packets=1", "pattern=1 text=d matches=1 packets=1"]
        )
        #expect(found.outputs["out"]?.count == 3 && found.handler("scanned") == 8)
    }

    /// Labels stand behind everything else, and cannot have the name of a column.
    @Test func labels() throws {
        let found = try run(
            "PatternMatcher",
            "{patterns: [abcd], labels: {site: north, rack: b}}",
            [data(Array("abcdabcd".utf8), 1)]
        )
        #expect(found.texts("records").count == 2)
        #expect(found.texts("records").allSatisfy { $0.hasSuffix(" pattern=0 text=abcd site=north rack=b") })
        #expect(found.texts("totals") == ["pattern=0 text=abcd matches=2 packets=1 site=north rack=b"])
        for name in ["text", "offset", "matches"] {
            #expect(throws: (any Error).self) {
                try run("PatternMatcher", "{patterns: [a], labels: {\(name): x}}", [])
            }
        }
    }

    @Test func missingBytesBeginTheSearchAnew() throws {
        let found = try run(
            "PatternMatcher",
            "{patterns: [abcd]}",
            [data(Array("ab".utf8), 1), data(Array("cdabcd".utf8), 13)]
        )
        #expect(found.texts("records").count == 1)
        #expect(found.texts("records").first?.contains("offset=14 ") == true)
    }

    @Test(arguments: [("forward", ["forward"]), ("reverse", ["reverse"]), ("both", ["forward", "reverse"])])
    func directions(_ direction: String, _ found: [String]) throws {
        let seen = try run(
            "PatternMatcher",
            "{patterns: [ab], direction: \(direction)}",
            [data(Array("ab".utf8), 1), data(Array("xab".utf8), 1, back: true)]
        )
        #expect(
            seen.texts("records").compactMap { $0.split(separator: " ").first { $0.hasPrefix("direction=") } }
                == found.map { "direction=\($0)" }
        )
    }

    @Test func recordsAreBounded() throws {
        let found = try run(
            "PatternMatcher",
            "{patterns: [a], records_per_flow: 3}",
            [data(Array("aaaaa".utf8), 1), data(Array("aa".utf8), 1, port: 2000)]
        )
        #expect(found.texts("records").count == 5 && found.handler("matches") == 7)
        #expect(found.handler("connections") == 2 && found.handler("found") == 1)
    }

    @Test func markedPacketsLeaveApart() throws {
        let found = try run(
            "PatternMatcher",
            "{patterns: [ab], action: mark}",
            [data(Array("xa".utf8), 1), data(Array("b".utf8), 3), data(Array("c".utf8), 4)]
        )
        #expect(found.outputs["out"]?.count == 2 && found.outputs["matched"]?.count == 1)
    }

    /// What was dropped and is sent again brings nothing new, and must not get through; cut into batches of any size.
    @Test(arguments: [1, 2, 3, 64])
    func aDroppedConnectionStaysDropped(_ batch: Int) throws {
        let found = try run(
            "PatternMatcher",
            "{patterns: [evil], action: drop}",
            [
                packet("10.0.0.1:1000 > 10.0.0.2:80 S seq=0"), packet("10.0.0.2:80 > 10.0.0.1:1000 SA seq=0 ack=1"),
                packet("10.0.0.1:1000 > 10.0.0.2:80 A seq=1 ack=1"), data(Array("an ev".utf8), 1),
                data(Array("il".utf8), 6), data(Array("il".utf8), 6), data(Array("an ev".utf8), 1),
                data(Array("answer".utf8), 1, back: true), data(Array("more".utf8), 8),
                packet("10.0.0.1:1000 > 10.0.0.2:80 A seq=12 ack=7"), data(Array("fine".utf8), 1, port: 2000),
            ],
            batch: batch
        )
        #expect(found.outputs["out"]?.count == 3)
        #expect(found.outputs["passed"]?.count == 2)
        #expect(found.drops("matched") == 1 && found.drops("flow_dropped") == 5)
    }

    /// Cut at every place, in order and not, with batches of several sizes: always the same records.
    @Test func cutsChangeNothing() throws {
        let text = Array("xxselectselectunionselxunion select".utf8)
        let config = "{patterns: [select, sel, 'union select', nse, t, xx], records_per_flow: 1000}"
        let whole = try run("PatternMatcher", config, [data(text, 1)]).texts("records").sorted()
        #expect(whole.count == 13)
        for cut in 1..<text.count {
            let pieces = try [data(text[..<cut], 1), data(text[cut...], 1 + cut)]
            // The first packet says where the direction begins.
            let syn = try packet("10.0.0.1:1000 > 10.0.0.2:80 S seq=0")
            for packets in [pieces, [syn] + pieces, [syn, pieces[1], pieces[0]]] {
                for batch in [1, 64] {
                    #expect(try run("PatternMatcher", config, packets, batch: batch).texts("records").sorted() == whole)
                }
            }
        }
    }

    @Test func patternsFromAFile() throws {
        let services = TestServices()
        services.readable["list"] = Array("sel\nab\\x63".utf8)
        let packets = try [data(Array("abc".utf8), 1)]
        let found = try run("PatternMatcher", "{patterns: [x], file: list}", packets, services: services)
        #expect(found.texts("totals") == ["pattern=2 text=abc matches=1 packets=1"])
        for (config, message) in [
            ("{patterns: [], file: other}", "there is no file 'other' here"),
            ("{patterns: []}", "there is no pattern to look for"),
        ] {
            let failure = #expect(throws: InstanceError.self) { try run("PatternMatcher", config, []) }
            #expect("\(failure!)".hasSuffix(message))
        }
    }

    /// The first bytes of a direction are missing: what is before them is known from the SYN.
    @Test func missingBytesBehindTheSYNCount() throws {
        let found = try run(
            "PatternMatcher",
            "{patterns: [abcd]}",
            [packet("10.0.0.1:1000 > 10.0.0.2:80 S seq=0"), data(Array("abcd".utf8), 11)]
        )
        #expect(found.texts("records").first?.contains("offset=10 ") == true)
    }
}
