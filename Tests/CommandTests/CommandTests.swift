// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CommandSupport
import Foundation
import Testing

/// The command line as its users meet it: help screens, exit codes, results that are the same each time.
@Suite struct CommandTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static let verbs = [
        "", "run", "tap", "trace", "compare", "plan", "check", "test", "format", "new", "explain", "list", "show",
        "graph",
        "docs", "schema",
    ]

    @Test(arguments: verbs) func helpScreens(_ verb: String) throws {
        let outcome = try Tool.run("COLUMNS=100 spillway \(verb) --help", in: Self.root)
        #expect(outcome.status == 0)
        let name = verb.isEmpty ? "spillway" : verb
        let file = Self.root.appending(path: "Tests/CommandTests/Snapshots/\(name).txt")
        if ProcessInfo.processInfo.environment["SPILLWAY_UPDATE_SNAPSHOTS"] == "1" {
            try outcome.output.write(to: file, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == outcome.output)
    }

    static let web = "--wire wire=Examples/captures/web.pcap --set records=/dev/null"

    /// Exit codes are part of the interface; so is the word that says what is wrong.
    @Test(
        arguments: [
            ("spillway run graphs/flow-monitor.yaml \(web)", 0, ""),
            ("spillway fly", 64, "fly"),
            ("spillway run graphs/flow-monitor.yaml --what", 64, "--what"),
            ("spillway run graphs/flow-monitor.yaml", 64, "wire 'wire' has no capture"),
            ("spillway run graphs/flow-monitor.yaml --wire wir=x.pcap", 64, "did you mean 'wire'?"),
            ("spillway run graphs/flow-monitor.yaml --wire wire=iface:eth0", 64, "only captures"),
            ("spillway run graphs/flow-monitor.yaml \(web) --set records", 64, "not key=value"),
            ("spillway run graphs/flow-monitor.yaml \(web) --batch 0", 64, "--batch"),
            ("spillway run graphs/flow-monitor.yaml \(web) --pool 1", 64, "--pool"),
            ("spillway compare graphs/flow-monitor.yaml \(web) --load 0x", 64, "--load"),
            ("spillway tap graphs/flow-monitor.yaml check.uot \(web)", 64, "did you mean 'check.out'?"),
            ("spillway show Countr", 64, "did you mean 'Counter'?"),
            ("spillway run graphs/flow-monitor.yaml --wire wire=README.md", 65, "is text, not a capture"),
            ("spillway run graphs/flow-monitor.yaml --wire wire=/dev/null", 65, ""),
            (
                "head -c 5000 Examples/captures/web.pcap | spillway run graphs/flow-monitor.yaml --wire wire=-", 65,
                "byte "
            ),
            ("spillway run graphs/flow-monitor.yaml --wire wire=missing.pcap", 66, "missing.pcap"),
            ("spillway run missing.yaml", 66, "missing.yaml"),
            ("spillway compare graphs/flow-monitor.yaml \(web) --profile agilio", 66, "did you mean"),
            ("spillway run graphs/flow-monitor.yaml \(web) --set idel=0", 78, "idle"),
            ("spillway run graphs/flow-monitor.yaml \(web) --set idle=ten", 78, "idle"),
            (
                "spillway compare graphs/flow-monitor.yaml \(web) --placements hots-only", 78,
                "did you mean 'host-only'?"
            ),
            ("spillway check graphs/profiles/example-nic.yaml graphs/flow-monitor.yaml", 0, ""),
            ("spillway check Examples/captures/web.pcap", 78, ""),
        ] as [(String, Int32, String)]
    )
    func exitCodes(_ command: String, _ status: Int32, _ word: String) throws {
        let outcome = try Tool.run(command, in: Self.root)
        #expect(outcome.status == status, "\(command): \(outcome.error)")
        #expect(word.isEmpty || outcome.error.contains(word), "\(command): \(outcome.error)")
    }

    /// A test that cannot be run is not passed over: the others run, and the status says that something is wrong.
    @Test func testsThatCannotBeRun() throws {
        let directory = try Workspace(Self.root)
        let tests = """
            graph: graphs/classify.yaml
            tests:
              - {name: good, in: {}, out: {wire: []}}
              - {name: impossible, set: {none: 1}, in: {}, out: {wire: []}}
              - {name: also good, in: {}, out: {wire: []}}
              - {name: does not hold, in: {}, out: {wire: ["* > *"]}}

            """
        try Data(tests.utf8).write(to: directory.url.appending(path: "a.test.yaml"))
        let outcome = try Tool.run("spillway test a.test.yaml", in: directory.url)
        #expect(outcome.status == 78, "\(outcome.error)")
        #expect(outcome.output == "2 passed, 1 failed\n")
        #expect(outcome.error.contains("a.test.yaml:4:12: error: the graph cannot be used"), "\(outcome.error)")
        #expect(try Tool.run("spillway check a.test.yaml", in: directory.url).status == 78)
    }

    /// The same packets by other ways: a pipe, gzip, two files for one wire.
    @Test func waysOfReading() throws {
        let directory = try Workspace(Self.root)
        func records(_ command: String) throws -> [Substring] {
            let outcome = try Tool.run(command, in: directory.url)
            #expect(outcome.status == 0, "\(outcome.error)")
            return outcome.output.split(separator: "\n").sorted()
        }
        let capture = "Examples/captures/web.pcap"
        let plain = try records("spillway run graphs/flow-monitor.yaml --wire wire=\(capture)")
        #expect(plain.count > 100)
        #expect(try records("cat \(capture) | spillway run graphs/flow-monitor.yaml --wire wire=-") == plain)
        #expect(
            try records("gzip -c \(capture) > w.gz && spillway run graphs/flow-monitor.yaml --wire wire=w.gz") == plain
        )
        // The same capture twice is one wire with twice the packets, in the same flows, but for connections that began
        // with a SYN: those are new ones.
        let twice = try Tool.run(
            "spillway run graphs/flow-monitor.yaml --wire wire=\(capture),\(capture) --set records=r --format json",
            in: directory.url
        )
        #expect(twice.status == 0 && twice.output.contains("\"packets_in\": 7586"), "\(twice.error)")
        for batch in [1, 7] {
            #expect(
                try records("spillway run graphs/flow-monitor.yaml --wire wire=\(capture) --batch \(batch)") == plain
            )
        }
        let same = try Tool.run(
            "cp \(capture) w.pcap && spillway run graphs/classify.yaml --wire wire=w.pcap,write=w.pcap",
            in: directory.url
        )
        #expect(same.status == 64 && same.error.contains("read and written at once"), "\(same.error)")
    }

    /// Runs of the same inputs leave the same bytes; runs of others are not compared.
    @Test func runDirectories() throws {
        let directory = try Workspace(Self.root)
        func run(_ command: String) throws -> (output: String, error: String, status: Int32) {
            try Tool.run(command, in: directory.url)
        }
        let compare = "spillway compare graphs/flow-monitor.yaml \(Self.web) --placements host-only,coalesced"
        for (verb, command) in [("run", "spillway run graphs/flow-monitor.yaml \(Self.web)"), ("compare", compare)] {
            for name in ["a", "b"] {
                let outcome = try run("\(command) --run-dir \(verb)-\(name)")
                #expect(outcome.status == 0, "\(outcome.error)")
            }
            for file in ["stats.json", "report.md", "resolved.yaml"] {
                let files = ["a", "b"].map { directory.url.appending(path: "\(verb)-\($0)/\(file)") }
                let first = try Data(contentsOf: files[0])
                #expect(!first.isEmpty)
                #expect(try first == Data(contentsOf: files[1]), "\(verb) \(file)")
            }
            #expect(try run("spillway check \(verb)-a/resolved.yaml").status == 0)
            let same = try run("spillway compare \(verb)-a \(verb)-b")
            #expect(same.status == 0, "\(same.error)")
        }
        let other = try run("spillway run graphs/flow-monitor.yaml \(Self.web) --set idle=1s --run-dir other")
        #expect(other.status == 0, "\(other.error)")
        let refused = try run("spillway compare run-a other")
        #expect(refused.status == 1 && refused.error.contains("parameters"), "\(refused.error)")
        #expect(try run("spillway compare run-a other --allow-different-inputs").status == 0)
    }

    @Test func planWritesAPlacementThatCanBeUsed() throws {
        let directory = try Workspace(Self.root)
        let plan = try Tool.run(
            "spillway plan graphs/flow-monitor.yaml \(Self.web) --objective host-cycles --write best.yaml --format json",
            in: directory.url
        )
        #expect(plan.status == 0 && plan.output.contains("\"objective\": \"host-cycles\""), "\(plan.error)")
        #expect(try Tool.run("spillway check best.yaml", in: directory.url).status == 0)
        let compared = try Tool.run(
            "spillway compare graphs/flow-monitor.yaml \(Self.web) --placements host-only,best.yaml --format json",
            in: directory.url
        )
        #expect(compared.status == 0 && compared.output.contains("\"sustainable_mpps\""), "\(compared.error)")
    }

    @Test func tapAndTrace() throws {
        let tap = try Tool.run("spillway tap graphs/flow-monitor.yaml check.out \(Self.web) --count 3", in: Self.root)
        #expect(tap.status == 0 && tap.error.contains("3 items passed check.out"), "\(tap.error)")
        #expect(tap.output.split(separator: "\n").count == 3)
        let trace = try Tool.run("spillway trace graphs/flow-monitor.yaml \(Self.web) --packet 100", in: Self.root)
        #expect(trace.status == 0, "\(trace.error)")
        #expect(trace.output.hasPrefix("wire.rx -> check.in: ") && trace.output.contains("check.out -> "))
        let none = try Tool.run("spillway trace graphs/flow-monitor.yaml \(Self.web) --packet 99999", in: Self.root)
        #expect(none.status == 1 && none.error.contains("there is no packet 99999"))
    }
}

/// Every capture of the shared collection, where it is there: no crash, conservation, and flows as independent tools count them.
@Suite struct SharedCaptureTests {
    static let shared =
        ProcessInfo.processInfo.environment["SPILLWAY_SHARED"].map { URL(filePath: $0) }
        ?? CommandTests.root.deletingLastPathComponent().appending(path: "shared")
    static let captures = shared.appending(path: "captures")

    /// Captures whose number of TCP streams differs from the oracle's, with the reason, as graphs/README.md lists them.
    static func explained() throws -> Set<String> {
        let text = try String(contentsOf: CommandTests.root.appending(path: "graphs/README.md"), encoding: .utf8)
        return Set(
            text.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { String($0.split(separator: "`")[1]) }
        )
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: captures.path())))
    func flowsAreThoseOfIndependentTools() throws {
        let directory = try Workspace(CommandTests.root)
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.captures.path()).sorted()
        let explained = try Self.explained()
        var different: Set<String> = []
        var compared = 0
        for name in names {
            let oracle = Self.captures.appending(path: "oracle/\(name).json")
            guard let data = try? Data(contentsOf: oracle),
                let facts = try JSONSerialization.jsonObject(with: data) as? [String: Any]
            else { continue }
            let outcome = try Tool.run(
                "spillway run graphs/flow-monitor.yaml --set idle=0 --set records=records --set flows=1000000 "
                    + "--wire wire='\(Self.captures.path())/\(name)'",
                in: directory.url
            )
            // 65: damaged, or of another type; what stands before the damage was read.
            #expect(outcome.status == 0 || outcome.status == 65, "\(name): \(outcome.error)")
            guard let expected = facts["tcp_streams"] as? Int else { continue }
            let file = directory.url.appending(path: "records")
            let records = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
            try? FileManager.default.removeItem(at: file)
            let found = records.split(separator: "\n").count { $0.hasPrefix("{\"proto\":\"tcp\"") }
            compared += 1
            if found != expected { different.insert(name) }
        }
        #expect(compared > 500)
        #expect(different == explained, "not as listed: \(different.symmetricDifference(explained).sorted())")
    }
}
