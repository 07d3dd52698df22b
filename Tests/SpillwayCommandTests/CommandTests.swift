// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// The command line as its users meet it: help screens, exit codes, results that are the same each time.
@Suite struct CommandTests {
    static let verbs = [
        "", "run", "tap", "trace", "read", "top", "compare", "plan", "check", "test", "format", "new", "explain",
        "list", "show",
        "graph",
        "docs", "schema",
    ]

    @Test(arguments: verbs) func helpScreens(_ verb: String) throws {
        let outcome = try Tool.run("COLUMNS=100 spillway \(verb) --help", in: root)
        #expect(outcome.status == 0)
        let name = verb.isEmpty ? "spillway" : verb
        let file = root.appending(path: "Tests/SpillwayCommandTests/Snapshots/\(name).txt")
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
            ("spillway fly", 64, "there is no verb 'fly'"),
            ("spillway chekc graphs/mirror.yaml", 64, "did you mean 'check'?"),
            ("spillway help nosuch", 64, "there is no verb 'nosuch'"),
            ("spillway help check", 0, ""),
            ("spillway --generate-completion-script bash", 0, ""),
            ("spillway --version", 0, ""),
            ("spillway help", 0, ""),
            ("spillway run graphs/flow-monitor.yaml --wire Examples/captures/web.pcap --set records=/dev/null", 0, ""),
            (
                "spillway run graphs/lossy-link.yaml --wire Examples/captures/web.pcap", 64,
                "write left=FILE or right=FILE"
            ),
            ("spillway run graphs/mirror.yaml Examples/captures/web.pcap", 64, "--wire Examples/captures/web.pcap"),
            ("spillway run graphs/lossy-link.yaml", 64, "wire 'right' has no capture"),
            ("spillway run graphs/flow-monitor.yaml --wire wire=lo", 64, "'lo' is a network interface"),
            ("spillway new 'wire.rx -> PatternMatcher -> Discard'", 64, "a TCPReassembler between them makes that"),
            ("spillway check - < graphs/mirror.yaml", 0, ""),
            ("spillway run - --wire Examples/captures/web.pcap < graphs/classify.yaml", 0, ""),
            ("spillway run - --wire - < graphs/classify.yaml", 64, "standard input ('-') is the graph"),
            (
                "printf 'graph: p\nelements: {wire: {type: Wire}, m: {type: PatternMatcher, patterns: [], file: none}}\n"
                    + "chains: [wire.rx -> FlowTable -> TCPReassembler -> m.out -> Discard]\n' | spillway check -", 66,
                "'none' cannot be opened"
            ),
            (
                "printf 'graph: p\nelements: {wire: {type: Wire}, m: {type: PatternMatcher, patterns: [], file: graphs}}\n"
                    + "chains: [wire.rx -> FlowTable -> TCPReassembler -> m.out -> Discard]\n' | spillway run - --wire x",
                66, "Is a directory"
            ),
            (
                "spillway run graphs/flow-monitor.yaml \(web) --set records=/dev/null", 0,
                "--set gives 'records' more than once"
            ),
            ("spillway run graphs/flow-monitor.yaml \(web) --wire Examples/captures/web.pcap", 64, "twice"),
            (
                "spillway tap graphs/classify.yaml sort --wire Examples/captures/web.pcap", 64,
                "those of 'sort' are sort.http, sort.dns"
            ),
            ("spillway tap graphs/classify.yaml sort.dns --wire x --write y --format json", 64, "--format"),
            ("spillway plan graphs/classify.yaml --wire x --write -", 64, "--write needs a file"),
            ("spillway plan graphs/classify.yaml --wire x --write README.md", 64, "--overwrite replaces it"),
            ("spillway show graphs/mirror.yaml", 78, "this is a graph file, not a profile file"),
            ("sed s/Counter/Countr/ graphs/classify.yaml | spillway check -", 78, "did you mean 'Counter'?"),
            ("spillway run graphs/flow-monitor.yaml --what", 64, "--what"),
            ("spillway run graphs/flow-monitor.yaml", 64, "wire 'wire' has no capture"),
            ("spillway run graphs/flow-monitor.yaml --wire wir=x.pcap", 64, "did you mean 'wire'?"),
            (
                "spillway run graphs/flow-monitor.yaml --wire wire=if:nosuch", 66,
                "interface 'nosuch': no such interface"
            ),
            ("spillway run graphs/flow-monitor.yaml \(web) --set records", 64, "not key=value"),
            ("spillway run graphs/flow-monitor.yaml \(web) --batch 0", 64, "--batch"),
            ("spillway run graphs/flow-monitor.yaml \(web) --pool 1", 64, "--pool"),
            ("spillway compare graphs/flow-monitor.yaml \(web) --load 0x", 64, "--load"),
            ("spillway compare graphs/flow-monitor.yaml \(web) --load +2x", 64, "neither a factor"),
            ("spillway compare graphs/flow-monitor.yaml \(web) --load 1.+5x", 64, "neither a factor"),
            ("spillway compare graphs/flow-monitor.yaml \(web) --load=-0.5x", 64, "neither a factor"),
            ("spillway compare graphs/flow-monitor.yaml \(web) --load +5Mpps", 64, "neither a factor"),
            ("spillway compare graphs/mirror.yaml --wire wire=Examples/captures/web.pcap,write=x", 64, "only models"),
            ("spillway compare graphs/flow-monitor.yaml \(web) --placements ''", 64, "--placements"),
            ("spillway compare graphs/flow-monitor.yaml \(web) --placements host-only,", 64, "--placements"),
            ("spillway compare graphs/flow-monitor.yaml \(web) --columns mpps,p9", 64, "there are device, Mpps"),
            ("spillway plan graphs/flow-monitor.yaml \(web) --columns 'p90 us'", 64, "did you mean 'p50 us'?"),
            ("spillway run graphs/flow-monitor.yaml \(web) --columns inn", 64, "did you mean 'in'?"),
            ("spillway list --columns nme", 64, "there are name, category, summary; did you mean 'name'?"),
            ("spillway compare graphs", 64, "'graphs' is a directory: give two run directories"),
            ("spillway check graphs", 66, "it is a directory; name the files in it"),
            ("spillway new", 64, "spillway new 'wire.rx -> IPCheck -> Counter -> Discard'"),
            (
                "spillway trace graphs/flow-monitor.yaml \(web) --packet 4000", 1,
                "no packet 4000; 3,793 packets came in"
            ),
            (
                "trap 'rm p,q.yaml' EXIT; printf 'placement: host-only\ngraph: graphs/flow-monitor.yaml\ndefault: host\n' > p,q.yaml; "
                    + #"spillway compare graphs/flow-monitor.yaml --placements 'host-only,p\,q.yaml'"#,
                64, "'host-only' and 'p,q.yaml' are both named 'host-only'"
            ),
            (
                "trap 'rm p.yaml' EXIT; printf 'placement: coalesced\ngraph: graphs/flow-monitor.yaml\ndefault: host\n' > p.yaml; "
                    + "spillway compare graphs/flow-monitor.yaml \(web) --placements host-only,p.yaml",
                64, "'p.yaml' is named 'coalesced', as is another placement of the graph"
            ),
            (
                "trap 'rm coalesced' EXIT; touch coalesced; "
                    + "spillway compare graphs/flow-monitor.yaml \(web) --placements coalesced --columns none",
                64, "warning: 'coalesced' is the graph's placement; the file of that name is './coalesced'"
            ),
            ("spillway tap graphs/flow-monitor.yaml check.out \(web) --count 0", 64, "--count is out of range"),
            ("spillway tap graphs/flow-monitor.yaml check.out \(web) --count=-1", 64, "--count is out of range"),
            ("spillway trace graphs/flow-monitor.yaml \(web) --batch 2", 64, "--batch"),
            ("spillway trace graphs/flow-monitor.yaml \(web) --packet 0", 64, "numbered from 1"),
            ("spillway run graphs/lossy-link.yaml --wire left=- --wire right=-", 64, "read only once"),
            ("spillway run graphs/flow-monitor.yaml --wire wire=-,-", 64, "read only once"),
            ("spillway tap graphs/flow-monitor.yaml check.uot \(web)", 64, "did you mean 'check.out'?"),
            ("spillway run graphs/flow-monitor.yaml \(web) --pool 64", 64, "--pool 128 does, or --batch 32"),
            ("spillway explain second_link_typ", 64, "did you mean 'second_link_type'?"),
            ("spillway explain truncated_record", 0, ""),
            (
                "spillway compare graphs/flow-monitor.yaml \(web) --profile /dev/zero", 78,
                "is longer than 4194304 bytes"
            ),
            ("spillway test graphs/classify.test.yaml --seed 7 --set none=1", 78, "none"),
            ("spillway show Countr", 64, "did you mean 'Counter'?"),
            ("spillway run graphs/flow-monitor.yaml --wire wire=README.md", 65, "is text, not a capture"),
            ("spillway run graphs/flow-monitor.yaml --wire wire=/dev/null", 65, ""),
            (
                #"printf '\x28\xb5\x2f\xfd1234' | spillway run graphs/flow-monitor.yaml --wire -"#, 65,
                "put 'zstd -dc' before it in the pipe"
            ),
            (
                #"spillway run graphs/flow-monitor.yaml --wire <(printf '\xfd7zXZ\0\0')"#, 65, "xz -dc /dev/fd/"
            ),
            (
                #"trap 'rm z' EXIT; printf '\x28\xb5\x2f\xfd1234' > z && PATH=$(dirname $(which spillway)) spillway run graphs/flow-monitor.yaml --wire z"#,
                65, "there is no program 'zstd' to read it"
            ),
            (
                "head -c 5000 Examples/captures/web.pcap | spillway run graphs/flow-monitor.yaml --wire wire=-", 65,
                "byte "
            ),
            ("spillway run graphs/flow-monitor.yaml --wire wire=missing.pcap", 66, "missing.pcap"),
            ("spillway run missing.yaml", 66, "missing.yaml"),
            ("spillway run graphs", 66, "graphs: Is a directory"),
            // What may only be written, also by root.
            ("spillway run /proc/sys/net/ipv4/route/flush", 77, "flush: Permission denied"),
            (
                "spillway compare graphs/flow-monitor.yaml \(web) --profile /proc/sys/net/ipv4/route/flush", 77,
                "flush: "
            ),
            (
                "spillway compare graphs/flow-monitor.yaml \(web) --placements /proc/sys/net/ipv4/route/flush", 77,
                "flush: "
            ),
            ("spillway run graphs/flow-monitor.yaml \(web) --set records=/no/dir/x", 66, "/no/dir/x"),
            ("spillway list > /dev/full", 1, "error: standard output: No space left"),
            ("spillway run graphs/flow-monitor.yaml \(web) --set records=/dev/full", 1, "no_space"),
            ("spillway run graphs/flow-monitor.yaml \(web) --run-dir /proc/x", 66, "/proc/x"),
            ("spillway run graphs/flow-monitor.yaml \(web) --set records=/proc/sys/kernel/ostype", 77, "no_permission"),
            ("spillway run graphs/flow-monitor.yaml \(web) --set records=", 78, "the name of the file is empty"),
            ("spillway run graphs/flow-monitor.yaml \(web) --set records=x.csv.zst", 78, "write .gz, or plain"),
            ("spillway run graphs/mirror.yaml --wire wire=x,write=x.pcap.xz", 64, "write .gz, or plain"),
            ("spillway tap graphs/mirror.yaml wire.rx --wire x --write x.pcap.zst", 64, "write .gz, or plain"),
            ("spillway compare graphs/flow-monitor.yaml \(web) --profile agilio", 66, "did you mean"),
            ("spillway run graphs/flow-monitor.yaml \(web) --set idel=0", 78, "idle"),
            ("spillway run graphs/flow-monitor.yaml \(web) --set idle=ten", 78, "idle"),
            (
                "spillway compare graphs/flow-monitor.yaml \(web) --placements hots-only", 78,
                "did you mean 'host-only'?"
            ),
            ("spillway check graphs/profiles/example-nic.yaml graphs/flow-monitor.yaml", 0, ""),
            ("spillway check Examples/captures/web.pcap", 78, "this is a capture in pcap format, not a graph"),
            ("spillway check Examples/captures/vlan.pcapng", 78, "this is a capture in pcapng format, not a graph"),
            (
                "spillway check missing.yaml graphs/flow-monitor.yaml", 66,
                "cannot read the file: No such file or directory"
            ),
            ("spillway check missing.yaml README.md Makefile /proc/sys/net/ipv4/route/flush", 78, "Makefile:"),
            ("spillway check missing.yaml /proc/sys/net/ipv4/route/flush graphs", 77, "flush:1:1: error"),
        ] as [(String, Int32, String)]
    )
    func exitCodes(_ command: String, _ status: Int32, _ word: String) throws {
        let outcome = try Tool.run(command, in: root)
        #expect(outcome.status == status, "\(command): \(outcome.error)")
        #expect(word.isEmpty || outcome.error.contains(word), "\(command): \(outcome.error)")
    }

    /// A test that cannot be run is not passed over: the others run, and the status says that something is wrong.
    @Test func testsThatCannotBeRun() throws {
        let directory = try Workspace(root)
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
        #expect(outcome.output == "2 passed, 1 failed, 1 could not be run\n")
        #expect(
            outcome.error.contains("a.test.yaml:4:30: error: the graph has no parameter 'none'"),
            "\(outcome.error)"
        )
        let json = try object(try Tool.run("spillway test a.test.yaml --format json", in: directory.url).output)
        #expect(json["not_run"] as? Int == 1 && (json["problems"] as? [Any])?.count == 1)
        let listed = try #require(json["tests"] as? [[String: Any]])
        #expect(listed.filter { $0["run"] as? Bool == false }.map { $0["name"] as? String } == ["impossible"])
        #expect(try Tool.run("spillway check a.test.yaml", in: directory.url).status == 78)
    }

    /// A file without tests proves nothing, and values for parameters can be given for all tests.
    @Test func settingsOfTests() throws {
        let directory = try Workspace(root)
        let test = "tests:\n  - {name: a, in: {}, out: {}}\n"
        try "graph: graphs/none.yaml\ntests: []\n".write(
            to: directory.url.appending(path: "empty.test.yaml"),
            atomically: true,
            encoding: .utf8
        )
        try "graph: graphs/flow-monitor.yaml\n\(test)".write(
            to: directory.url.appending(path: "a.test.yaml"),
            atomically: true,
            encoding: .utf8
        )
        for verb in ["test", "check"] {
            let empty = try Tool.run("spillway \(verb) empty.test.yaml", in: directory.url)
            #expect(empty.status == 78 && empty.error.contains("2:8: error: there are no tests"), "\(empty.error)")
        }
        #expect(try Tool.run("spillway test a.test.yaml --set idle=2s --seed 3", in: directory.url).status == 0)
        let wrong = try Tool.run("spillway test a.test.yaml --set idle=never", in: directory.url)
        #expect(wrong.status == 78 && wrong.error.contains("'never' is not a time"), "\(wrong.error)")
    }

    /// One file that is not there does not hide what is wrong with others.
    @Test func checkReportsEveryFile() throws {
        let outcome = try Tool.run(
            "spillway check graphs/mirror.yaml missing.yaml Makefile --format json",
            in: root
        )
        let found = try #require(JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [[String: Any]])
        #expect(outcome.status == 78)
        #expect(Set(found.compactMap { $0["file"] as? String }) == ["missing.yaml", "Makefile"])
    }

    /// What `new` writes is right, whatever element it is for; what cannot be is refused.
    @Test func newGraphsAreRight() throws {
        let directory = try Workspace(root)
        let outcome = try Tool.run(
            """
            for type in $(spillway list --format json | grep -o '"name": "[A-Za-z]*"' | cut -d'"' -f4); do
                for before in '' 'FlowTable -> ' 'FlowTable -> TCPReassembler -> '; do
                    for after in '' ' -> Discard' ' -> RecordSink'; do
                        spillway new "wire.rx -> $before$type$after" > new.yaml 2> error.txt
                        case $? in 0) echo "$type" >> made; spillway check new.yaml > /dev/null || exit 1;; 64) ;; *) exit 2;; esac
                    done
                done
            done
            grep -q yaml-language-server new.yaml || spillway new 'wire.rx -> Discard' | grep -q yaml-language-server
            sort -u made
            """,
            in: directory.url
        )
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.error)")
        let made = outcome.output.split(separator: "\n")
        #expect(made.count > 15 && made.contains("HTTPParser") && made.contains("Classifier"), "\(made)")
    }

    /// A file of one graph is no placement of another; standard input is laid out to standard output.
    @Test func placementsOfOtherGraphsAndStandardInput() throws {
        let directory = try Self.smallWorkspace()
        let outcome = try Tool.run(
            """
            printf 'placement: x\ngraph: graphs/classify.yaml\ndefault: host\n' > p.yaml
            spillway compare small.yaml \(Self.vlan) --placements p.yaml
            """,
            in: directory.url
        )
        #expect(outcome.status == 78 && outcome.error.contains("the placement is for the graph"), "\(outcome.error)")
        let formatted = try Tool.run("printf 'graph: x\nchains: [a   ->   b]\n' | spillway format -", in: root)
        #expect(formatted.status == 0 && formatted.output == "graph: x\nchains: [a -> b]\n", "\(formatted.output)")
    }

    /// The same packets by other ways: a pipe, gzip, two files for one wire.
    @Test func waysOfReading() throws {
        let directory = try Workspace(root)
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

    /// Beside the report of a split stands what 'compare' says of the placement, and in no table of it.
    @Test func aSplitIsModelledToo() throws {
        let graph = "graphs/flow-monitor.yaml --profile agilio-cx"
        let split = "spillway run \(graph) --executors split --placement flows-on-nic"
        let outcome = try Tool.run("\(split) \(Self.web)", in: root)
        #expect(outcome.status == 0, "\(outcome.error)")
        let parts = outcome.output.components(separatedBy: "\nAll above was counted; what follows is modelled.\n\n")
        try #require(parts.count == 2)
        #expect(!parts[0].contains("odelled") && parts[0].contains("ring from"))
        let compare = "spillway compare \(graph) --placements flows-on-nic \(Self.web)"
        #expect(try parts[1] == Tool.run(compare, in: root).output)
        let program = """
            import json, sys
            run, compare = json.load(open("run.json")), json.load(open("compare.json"))
            compare.pop("warnings")
            assert run["model"] == compare and compare["modelled"] is True, run["model"]
            """
        let directory = try Workspace(root)
        let json = try Tool.run(
            """
            \(split) \(Self.web) --format json --run-dir split > run.json && \(compare) --format json > compare.json \
                && python3 -c '\(program)' && spillway run graphs/flow-monitor.yaml \(Self.web) --run-dir one \
                && spillway compare one split
            """,
            in: directory.url
        )
        #expect(json.status == 0, "\(json.output)\(json.error)")
        let web = "Examples/captures/web.pcap"
        let pipe = try Tool.run("cat \(web) | \(split) --wire wire=- --set records=/dev/null", in: root)
        #expect(pipe.output.contains("\nNot modelled: '-' can be read only once.\n"), "\(pipe.output)")
    }

    /// Runs of the same inputs leave the same bytes; runs of others are not compared.
    @Test func runDirectories() throws {
        let directory = try Workspace(root)
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
        // Where results go is no input, but the load, the captures and the sides are.
        let elsewhere = try run("spillway run graphs/flow-monitor.yaml \(Self.web) --set records=r.json --run-dir else")
        #expect(elsewhere.status == 0, "\(elsewhere.error)")
        #expect(try run("spillway compare run-a else").status == 0)
        #expect(try run("\(compare) --set records=r.json --run-dir compare-else").status == 0)
        #expect(try run("spillway compare compare-a compare-else").status == 0)
        for name in ["pipe-a", "pipe-b"] {
            let piped = try run(
                "cat Examples/captures/web.pcap | spillway run graphs/flow-monitor.yaml --wire wire=- "
                    + "--set records=r --run-dir \(name)"
            )
            #expect(piped.status == 0, "\(piped.error)")
        }
        let piped = try run("spillway compare pipe-a pipe-b")
        #expect(piped.status == 1 && piped.error.contains("no digest is kept"), "\(piped.error)")
        #expect(try run("spillway compare pipe-a pipe-b --allow-different-inputs").status == 0)
        let moved = try run(
            "cp -r compare-b moved && sed -i '0,/\"check\": \"host\"/s//\"check\": \"nic\"/' moved/manifest.json && "
                + "spillway compare compare-a moved"
        )
        #expect(moved.status == 1 && moved.error.contains("placement 'host-only'"), "\(moved.error)")
        // Numbers that this tool would not write.
        for number in ["1e20", "100000000000000.123456", "0." + String(repeating: "1", count: 400), "-1e-30"] {
            let edited = try run(
                "cp -r run-b edited && sed -i '0,/\"value\": [0-9]*/s//\"value\": \(number)/' edited/stats.json && "
                    + "spillway compare run-a edited --format json && spillway compare run-a edited; s=$?; rm -r edited; exit $s"
            )
            #expect(edited.status == 0, "\(number): \(edited.error)")
        }
        let other = try run("spillway run graphs/flow-monitor.yaml \(Self.web) --set idle=1s --run-dir other")
        #expect(other.status == 0, "\(other.error)")
        let refused = try run("spillway compare run-a other")
        #expect(refused.status == 1 && refused.error.contains("parameters"), "\(refused.error)")
        #expect(try run("spillway compare run-a other --allow-different-inputs").status == 0)
    }

    /// A directory with a graph that has few placements, or only one, so that modelling it takes no time.
    private static func smallWorkspace(fixed: Bool = false) throws -> Workspace {
        let directory = try Workspace(root)
        let graph = """
            graph: small
            elements:
              wire: {type: Wire}
              strip: {type: VLANStrip, place: host}
            chains: [wire.rx -> IPCheck -> strip -> Counter -> Discard]
            together: [[strip, Discard@1\(fixed ? ", IPCheck@1, Counter@1" : "")]]
            placements:
              host-only: {default: host}
            """
        try graph.write(to: directory.url.appending(path: "small.yaml"), atomically: true, encoding: .utf8)
        return directory
    }
    static let vlan = "--wire wire=Examples/captures/vlan.pcapng"

    @Test func planWritesAPlacementThatCanBeUsed() throws {
        let directory = try Self.smallWorkspace()
        let outcome = try Tool.run(
            """
            set -e; mkdir -p a/b; ln -s a/b link
            spillway plan small.yaml \(Self.vlan) --objective host-cycles --write link/best.yaml --format json | grep '"best"'
            head -1 link/best.yaml
            spillway check link/best.yaml
            spillway compare small.yaml \(Self.vlan) --placements host-only,link/best.yaml --format json | grep -c sustainable
            """,
            in: directory.url
        )
        #expect(outcome.status == 0, "\(outcome.error)")
        // The graph has no name for the best one.
        #expect(
            outcome.output
                == "  \"best\": \"nic-IPCheck.1\",\nplacement: nic-IPCheck.1\nlink/best.yaml: fine\n2\n",
            "\(outcome.output)"
        )
    }

    /// What compare has, plan has too.
    @Test func planKeepsARunDirectory() throws {
        let directory = try Self.smallWorkspace(fixed: true)
        for (name, load) in [("a", "1Mpps"), ("b", "1Mpps"), ("c", "2Mpps")] {
            let outcome = try Tool.run(
                "spillway plan small.yaml \(Self.vlan) --load \(load) --run-dir \(name) --format markdown",
                in: directory.url
            )
            #expect(outcome.status == 0, "\(outcome.error)")
            #expect(outcome.output.contains("Latency is given at \(load.first!).000 Mpps"), "\(outcome.output)")
        }
        #expect(try Tool.run("spillway compare a b", in: directory.url).status == 0)
        let other = try Tool.run("spillway compare a c", in: directory.url)
        #expect(other.status == 1 && other.error.contains("(load)"), "\(other.error)")
        // Those who insist are told what differs.
        let both = try Tool.run("spillway compare a c --allow-different-inputs", in: directory.url)
        #expect(both.status == 0 && both.error.contains("different inputs: load"), "\(both.error)")
        #expect(both.output.contains("load "), "\(both.output)")
        // An earlier run is not replaced by chance.
        let again = "spillway plan small.yaml \(Self.vlan) --load 1Mpps --run-dir a"
        let refused = try Tool.run(again, in: directory.url)
        #expect(refused.status == 64 && refused.error.contains("holds an earlier run"), "\(refused.error)")
        #expect(try Tool.run("\(again) --overwrite", in: directory.url).status == 0)
    }

    /// Files that a user has arranged stay as they are.
    @Test func writingKeepsLinksAndModes() throws {
        let directory = try Self.smallWorkspace(fixed: true)
        let outcome = try Tool.run(
            """
            set -e; mkdir d; printf 'graph: x\nchains: [wire.rx   ->   Discard]\n' > d/real.yaml; chmod 640 d/real.yaml
            ln -s d/real.yaml soft.yaml; spillway format soft.yaml; test -L soft.yaml; stat -c %a d/real.yaml; ls d
            spillway plan small.yaml \(Self.vlan) --load 1Mpps --write /dev/stdout | grep -c '^placement: '
            """,
            in: directory.url
        )
        #expect(outcome.status == 0, "\(outcome.error)")
        #expect(outcome.output == "soft.yaml: changed\n640\nreal.yaml\n1\n", "\(outcome.output)")
    }

    /// What a run says of its captures, every verb that reads captures says.
    @Test(
        arguments: [
            ("run", ""), ("tap", "IPCheck@1.out"), ("trace", "--packet 3"),
            ("compare", "--placements host-only --load 1Mpps"), ("plan", "--load 1Mpps"),
        ]
    )
    func whatIsWrongWithCaptures(_ verb: String, _ arguments: String) throws {
        let directory = try Self.smallWorkspace(fixed: true)
        func run(_ prepare: String, _ capture: String) throws -> (output: String, error: String, status: Int32) {
            try Tool.run(
                "\(prepare) && spillway \(verb) small.yaml \(arguments) --wire wire=\(capture)",
                in: directory.url
            )
        }
        // Garbage behind gzip, packets of another link type, stamps that run backwards, and damage last.
        let damaged = try run(
            """
            { head -c 20 Examples/captures/web.pcap; printf '\\223\\0\\0\\0'; tail -c +25 Examples/captures/web.pcap; } > user0.pcap && \
            { gzip -c Examples/captures/web.pcap; printf garbage; } > odd.gz && \
            head -c 100000 Examples/captures/web.pcap > cut.pcap
            """,
            "odd.gz,user0.pcap,cut.pcap"
        )
        #expect(damaged.status == 65, "\(damaged.error)")
        #expect(damaged.error.contains("cut.pcap: byte 99891: ") && !damaged.output.isEmpty, "\(damaged.error)")
        for words in ["compressed data at byte", "packets of link type", "a stamp before that of an earlier packet"] {
            #expect(damaged.error.contains("warning: ") && damaged.error.contains(words), "\(damaged.error)")
        }
        // Programs that read the JSON find the same.
        if ["run", "compare", "plan"].contains(verb) {
            let json = try Tool.run(
                "spillway \(verb) small.yaml \(arguments) --wire wire=odd.gz,user0.pcap --format json",
                in: directory.url
            )
            let warnings = try #require(json.output.range(of: "\"warnings\": ["))
            #expect(json.output[warnings.upperBound...].contains("a stamp before that"), "\(json.output)")
        }
        // What comes after it is not read.
        let behind = try run("cp Examples/captures/vlan.pcapng next.pcapng", "cut.pcap,next.pcapng")
        #expect(behind.status == 65, "\(behind.error)")
        #expect(
            behind.error.contains("cut.pcap: is damaged, so what follows it was not read: next.pcapng"),
            "\(behind.error)"
        )
        // Everything behind the file's header is damaged.
        let whole = try run("head -c 100 Examples/captures/web.pcap > cut.pcap", "cut.pcap")
        #expect(whole.status == 65 && whole.error.contains("byte 24: "), "\(whole.error)")
        let empty = try run("head -c 24 Examples/captures/web.pcap > empty.pcap", "empty.pcap")
        #expect(empty.error.contains("warning: wire 'wire': no packet came in"), "\(empty.error)")
    }

    /// An interrupt ends a run with its report, also in the middle of a record that a pipe has not yet given whole.
    @Test(arguments: ["cat", "gzip -c"]) func anInterruptIsNoDamage(_ filter: String) throws {
        let directory = try Workspace(root)
        let outcome = try Tool.run(
            """
            mkfifo pipe; { head -c 100000 Examples/captures/web.pcap | \(filter); sleep 20; } > pipe & writer=$!
            spillway run graphs/flow-monitor.yaml --wire wire=pipe --set records=/dev/null --format json & reader=$!
            up $reader; sleep 2; kill -INT $reader; wait $reader; status=$?; kill $writer; exit $status
            """,
            in: directory.url
        )
        #expect(outcome.status == 130, "\(outcome.error)")
        #expect(outcome.output.contains("\"packets_in\": ") && !outcome.output.contains("\"packets_in\": 0"))
        #expect(outcome.output.contains("\"interrupted\": true") && outcome.error.contains("warning: interrupted"))
    }

    /// The second of the signals that end a run ends it at once, whichever comes first: here where nobody reads its report.
    @Test(arguments: [("INT", "TERM", 143), ("TERM", "INT", 130), ("TERM", "TERM", 143)])
    func theNextSignalEndsItAtOnce(_ first: String, _ second: String, _ status: Int) throws {
        let directory = try Workspace(root)
        let outcome = try Tool.run(
            """
            mkfifo pipe; exec 3<> pipe; dd if=/dev/zero of=pipe bs=4096 oflag=nonblock 2> full
            (exec spillway run graphs/flow-monitor.yaml --wire wire=Examples/captures/web.pcap --set records=/dev/null > pipe) & run=$!
            up $run; sleep 2; kill -\(first) $run; sleep 0.5; kill -0 $run || exit 9
            kill -\(second) $run; wait $run
            """,
            in: directory.url
        )
        #expect(outcome.status == status, "\(outcome.error)")
    }

    /// Columns can be chosen, also those in which placements agree; a table that is too wide for a terminal says so.
    @Test func columnsOfTables() throws {
        let directory = try Self.smallWorkspace(fixed: true)
        let chosen = try Tool.run(
            "spillway compare small.yaml \(Self.vlan) --columns 'bottleneck, mpps' --format markdown",
            in: directory.url
        )
        #expect(chosen.output.contains("\n| placement | bottleneck | Mpps |\n"), "\(chosen.error)\(chosen.output)")
        let run = try Tool.run("spillway run small.yaml \(Self.vlan) --columns dropped,in", in: directory.url)
        #expect((run.output + run.error).contains(/element +dropped +in\n/), "\(run.output)\(run.error)")
        let narrow = try Tool.run(
            "COLUMNS=40 script -qec 'spillway run small.yaml \(Self.vlan)' /dev/null",
            in: directory.url
        )
        #expect(narrow.output.replacing("\r\n", with: " ").contains("--columns chooses"), "\(narrow.output)")
        #expect(narrow.output.split { $0.isNewline }.allSatisfy { $0.count <= 40 }, "\(narrow.output)")
    }

    /// Drops of elements stand beside those of the model, under names that the model's cannot have.
    @Test func comparingReportsWhatElementsDrop() throws {
        let directory = try Self.smallWorkspace(fixed: true)
        let text = try Tool.run("spillway compare small.yaml \(Self.vlan)", in: directory.url)
        let run = try Tool.run("spillway run small.yaml \(Self.vlan) --format json", in: directory.url)
        let json = try Tool.run("spillway compare small.yaml \(Self.vlan) --format json", in: directory.url)
        let elements = try #require(object(run.output)["elements"] as? [[String: Any]])
        var expected: [String: Int] = [:]
        for element in elements {
            for (reason, count) in try #require(element["drops"] as? [String: Int]) {
                expected["\(element["name"]!).\(reason)"] = count
            }
        }
        #expect(!expected.isEmpty)
        let placements = try #require(object(json.output)["placements"] as? [[String: Any]])
        #expect(placements[0]["drops"] as? [String: Int] == expected)
        for (name, count) in expected { #expect(text.output.contains("\(name) \(count)"), "\(text.output)") }
    }

    /// What a packet costs does not depend on the load; what is lost is said, and what the ports do not carry is not offered.
    @Test func loads() throws {
        let directory = try Self.smallWorkspace(fixed: true)
        let command = "spillway compare small.yaml \(Self.vlan) --load"
        func compare(_ load: String) throws -> [String: Any] {
            let json = try Tool.run("\(command) \(load) --format json", in: directory.url)
            return try #require((object(json.output)["placements"] as? [[String: Any]])?.first)
        }
        let (usual, much) = (try compare("1Mpps"), try compare("100Gpps"))
        for figure in ["host_cycles_per_packet", "nic_cycles_per_packet"] {
            let (a, b) = (try #require(usual[figure] as? Double), try #require(much[figure] as? Double))
            #expect(a == b, "\(figure): \(a) and \(b)")
        }
        /// Lines are wrapped.
        func words(_ text: String) -> String { text.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
        let limited = words(try Tool.run("\(command) 100Gpps", in: directory.url).output)
        #expect(limited.contains("(40.00 Gbps on the wire)"), "\(limited)")
        #expect(limited.contains("more was asked for than the ports carry"), "\(limited)")
        let slow = try Tool.run(
            """
            sed '/^host:/,/^mac:/ s/clock: {value: 3.0 GHz/clock: {value: 100 MHz/' graphs/profiles/example-nic.yaml > slow.yaml
            \(command) 5Mpps --profile slow.yaml
            """,
            in: directory.url
        ).output
        #expect(slow.contains("'host-only' lost all or part of ") && slow.contains("; items dropped: "), "\(slow)")
        let plan = try Tool.run("spillway plan small.yaml \(Self.vlan) --load 1pps", in: directory.url)
        #expect(plan.output.contains("Latency is given at 1 pps (3.70 kbps on the wire)"), "\(plan.output)")
        for (load, expected) in [
            ("10Gbps", "(10.00 Gbps on the wire)"), ("2x", "2 copies of the recording."),
            ("capture", "the recording as captured."),
            ("0.5x", "the recording at 0.500 of its pace."),
        ] {
            let text = words(try Tool.run("\(command) \(load)", in: directory.url).output)
            #expect(text.contains(expected), "\(load): \(text)")
        }
    }

    /// A graph without placements is compared with its extremes; profiles, and the baseline, can be chosen.
    @Test func placementsAndProfilesCanBeChosen() throws {
        let graph =
            "printf 'graph: g\nelements: {wire: {type: Wire}}\nchains: [wire.rx -> IPCheck -> Discard]\n' > g.yaml"
        let directory = try Workspace(root)
        func compare(_ options: String) throws -> (output: String, error: String, status: Int32) {
            try Tool.run("\(graph); spillway compare g.yaml \(Self.vlan) \(options) --format json", in: directory.url)
        }
        func names(_ outcome: (output: String, error: String, status: Int32)) throws -> [String] {
            let placements = try #require(object(outcome.output)["placements"] as? [[String: Any]])
            return placements.map { "\($0["name"]!) on \($0["profile"]!)" }
        }
        #expect(try names(compare("")) == ["all-host on agilio-cx", "all-nic on agilio-cx"])
        let both = try compare("--profile all-host=xl710,default=agilio-cx")
        #expect(try names(both) == ["all-host on xl710", "all-nic on agilio-cx"])
        #expect(try object(both.output)["hosts_differ"] as? Bool == false)
        let differ = try compare("--profile all-host=xl710,default=example-nic")
        #expect(try object(differ.output)["hosts_differ"] as? Bool == true)
        let other = try compare("--baseline all-nic")
        #expect(try object(other.output)["baseline"] as? String == "all-nic")
        let plain = try compare("--profile xl710")
        let infeasible = try #require(object(plain.output)["infeasible"] as? [[String: Any]])
        #expect(infeasible.count == 1 && "\(infeasible[0]["reason"]!)".contains("no cores for elements"))
        for (options, words) in [
            ("--profile all-host=xl710", "has none for 'all-nic'"),
            ("--profile all-hots=xl710,default=xl710", "did you mean 'all-host'?"),
            ("--profile all-host=xl710,all-host=xl710", "names 'all-host' twice"), ("--load 10Gb", "--load '10Gb'"),
        ] {
            let outcome = try compare(options)
            #expect(outcome.status == 64 && outcome.error.contains(words), "\(options): \(outcome.error)")
        }
        let shown = try Tool.run(
            "spillway show xl710; spillway show bluefield-2 --format json; spillway show in_flight",
            in: root
        )
        #expect(
            shown.status == 0 && shown.output.contains("line_rate = 40 Gbps")
                && shown.output.contains("to_nic.in_flight: ")
        )
        let new = try Tool.run("spillway new --profile mine > mine.yaml && spillway check mine.yaml", in: directory.url)
        #expect(new.status == 0, "\(new.error)")
    }

    private func object(_ text: String) throws -> [String: Any] {
        try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    /// Results that are data can be had as JSON.
    @Test func resultsAsJSON() throws {
        func json(_ command: String) throws -> [Any] {
            let outcome = try Tool.run("spillway \(command) --format json", in: root)
            // An object, a list, or an object a line.
            if let one = try? JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) { return [one] }
            return try outcome.output.split(separator: "\n").map {
                try JSONSerialization.jsonObject(with: Data($0.utf8))
            }
        }
        func keys(_ value: Any) -> Set<String> { Set((value as? [String: Any])?.keys.map { $0 } ?? []) }
        #expect(
            try keys(json("show FlowTable")[0]).isSuperset(of: ["name", "inputs", "parameters", "drops", "examples"])
        )
        #expect(try keys(json("list")[0]) == ["elements", "profiles"])
        #expect(
            try keys(json("test graphs/mirror.test.yaml")[0]) == ["passed", "failed", "not_run", "problems", "tests"]
        )
        #expect(try keys(json("explain bad_name")[0]) == ["code", "explanation"])
        #expect(try (json("explain")[0] as? [String])?.contains("bad_name") == true)
        let tapped = try json("tap graphs/flow-monitor.yaml check.out \(Self.web) --count 3")
        #expect(tapped.count == 3 && keys(tapped[0]).isSuperset(of: ["time_ns", "packet", "length", "fields"]))
        let traced = try json("trace graphs/flow-monitor.yaml \(Self.web) --packet 100")
        #expect(keys(traced[0]) == ["edge", "to", "item"])
        let found = try #require(try json("check graphs/flow-monitor.yaml --set idel=1")[0] as? [[String: Any]])
        #expect(
            keys(try #require(found.first))
                .isSuperset(of: ["file", "line", "column", "severity", "code", "message", "suggestion"])
        )
    }

    /// What takes longer than a second says how far it is; what does not is quiet.
    @Test func progress() throws {
        let directory = try Workspace(root)
        let long = try Tool.run(
            "for k in $(seq 300); do printf 'Examples/captures/web.pcap,'; done > names && "
                + "spillway run graphs/flow-monitor.yaml --wire wire=$(sed 's/,$//' names) --set records=/dev/null",
            in: directory.url
        )
        #expect(long.status == 0 && long.error.contains("running flow-monitor: "), "\(long.error)")
        #expect(long.error.contains(/packets, [0-9]+ %/), "\(long.error)")
        let short = try Tool.run(
            "spillway run graphs/mirror.yaml --wire wire=Examples/captures/vlan.pcapng --set capture=c.pcap",
            in: directory.url
        )
        #expect(short.status == 0 && !short.error.contains("running"), "\(short.error)")
    }

    /// The fields of packets are those that tshark finds, by its own numbers of packets.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/tshark"))) func fieldsOfPackets() throws {
        let tap = try Tool.run(
            "spillway tap graphs/mirror.yaml wire.rx --wire Examples/captures/web.pcap --set capture=/dev/null --format json",
            in: root
        )
        let fields = [
            "frame.number", "frame.time_epoch", "ip.src", "ip.ttl", "ipv6.dst", "tcp.srcport", "tcp.dstport",
            "tcp.seq_raw",
            "tcp.window_size_value", "udp.dstport", "tcp.len",
        ]
        let oracle = try Tool.run(
            "tshark -r Examples/captures/web.pcap -T fields \(fields.map { "-e \($0)" }.joined(separator: " ")) 2> /dev/null",
            in: root
        )
        let lines = tap.output.split(separator: "\n")
        let rows = oracle.output.split(separator: "\n")
        #expect(lines.count == 3793 && rows.count == 3793)
        for (line, row) in zip(lines, rows) {
            let item = try object(String(line))
            let found = try #require(item["fields"] as? [String: Any])
            let cells = row.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            // An ICMP error quotes the header of another packet, which tshark lists too.
            if cells.contains(where: { $0.contains(",") }) { continue }
            let time = try #require(item["time_ns"] as? Int)
            #expect("\(item["packet"]!)" == cells[0])
            #expect("\(time / 1_000_000_000)." + String(String(time).suffix(9)) == cells[1])
            let pairs = [
                (2, "src"), (3, "ttl"), (4, "dst"), (5, "sport"), (6, "dport"), (7, "seq"), (8, "win"), (9, "dport"),
                (10, "len"),
            ]
            for (k, name) in pairs where !cells[k].isEmpty {
                #expect(found[name].map { "\($0)" } == cells[k], "packet \(cells[0]): \(name)")
            }
        }
    }

    /// Captures of one wire in order of time are the capture that they were taken from; a compressed one is the same.
    @Test func captures() throws {
        let directory = try Workspace(root)
        let outcome = try Tool.run(
            """
            set -e
            run() { spillway run graphs/packet-log.yaml "$@" --set records=- 2> error.txt; }
            web=Examples/captures/web.pcap
            run --wire wire=$web > plain
            spillway run graphs/classify.yaml --wire wire=$web,write=out.pcap.gz > /dev/null
            spillway run graphs/classify.yaml --wire wire=$web,write=out.pcap > /dev/null
            gzip -dc out.pcap.gz | cmp - out.pcap
            spillway run graphs/mirror.yaml --wire wire=$web --set capture=m.pcapng.gz > /dev/null
            run --wire m.pcapng.gz | cmp - plain
            cp $web 'a,b.pcap'
            run --wire 'wire=a\\,b.pcap' | cmp - plain
            run --wire 'a\\,b.pcap' | cmp - plain
            """,
            in: directory.url
        )
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.error)")
    }

    /// Parts of a capture, merged by time, are that capture again; read one after the other they are not.
    @Test(
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/editcap")),
        arguments: [(1, 64), (3, 64), (3, 7), (50, 1)]
    )
    func mergedCaptures(_ step: Int, _ batch: Int) throws {
        let directory = try Workspace(root)
        // Packets by turns, `step` at a time, to three files, one of them compressed.
        var parts: [[String]] = [[], [], []]
        for first in stride(from: 1, through: 3793, by: step) {
            parts[first / step % 3].append(step == 1 ? "\(first)" : "\(first)-\(first + step - 1)")
        }
        var script = "set -e\nweb=Examples/captures/web.pcap\n"
        for (k, part) in parts.enumerated() {
            // editcap takes 512 selections at a time.
            var names: [String] = []
            for (n, start) in stride(from: 0, to: part.count, by: 500).enumerated() {
                let some = part[start..<min(part.count, start + 500)].joined(separator: " ")
                script += "editcap -F nsecpcap -r $web p\(k)-\(n).pcap \(some)\n"
                names.append("p\(k)-\(n).pcap")
            }
            script += "mergecap -F nsecpcap -a -w p\(k).pcap \(names.joined(separator: " "))\n"
        }
        script += """
            gzip p2.pcap
            run() { spillway run graphs/packet-log.yaml --set records=- --batch \(batch) "$@" 2> error.txt; }
            run --wire wire=$web > plain
            run --wire wire=p0.pcap,p1.pcap,p2.pcap.gz --merge > merged
            cmp plain merged
            run --wire p0.pcap --wire p1.pcap,p2.pcap.gz > apart || true
            ! cmp -s plain apart
            model() { spillway compare graphs/classify.yaml --format json "$@" 2> error.txt; }
            model --wire wire=$web > plain.json
            model --wire wire=p0.pcap,p1.pcap,p2.pcap.gz --merge > merged.json
            cmp plain.json merged.json
            """
        let outcome = try Tool.run(script, in: directory.url)
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.error)")
    }

    /// A graph may be begun with nothing in it.
    @Test(arguments: ["{graph: x, chains: []}", "{graph: x, elements: {wire: {type: Wire}}, chains: []}"])
    func graphsWithoutChainsRun(text: String) throws {
        let directory = try Workspace(root)
        try Data(text.utf8).write(to: directory.url.appending(path: "x.yaml"))
        for verb in ["check", "run"] {
            let outcome = try Tool.run("spillway \(verb) x.yaml", in: directory.url)
            #expect(outcome.status == 0, "\(outcome.error)")
        }
    }

    /// As with `write=`, a name that tells no format is one of a pcap file; `tap` says so.
    @Test(arguments: [("d.txt", "pcap"), ("d.pcapng.gz", "pcapng")])
    func tapSaysWhatItWrites(_ name: String, _ format: String) throws {
        let directory = try Workspace(root)
        let outcome = try Tool.run(
            "spillway tap graphs/flow-monitor.yaml check.out \(Self.web) --count 3 --write \(name) && test -s \(name)",
            in: directory.url
        )
        #expect(outcome.status == 0, "\(outcome.error)")
        #expect(
            outcome.error.contains("3 items passed check.out; written as \(format) to '\(name)'"),
            "\(outcome.error)"
        )
    }

    /// A capture that is read twice may be meant so, by whatever names.
    @Test func captureGivenTwice() throws {
        let directory = try Workspace(root)
        let outcome = try Tool.run(
            "cp Examples/captures/vlan.pcapng a; for b in a ./a Examples/captures/vlan.pcapng; do "
                + "spillway run graphs/classify.yaml --wire wire=a,$b > report || exit; grep -c '108  ' report; done",
            in: directory.url
        )
        #expect(outcome.status == 0 && outcome.output.split(separator: "\n").count == 3, "\(outcome.error)")
        #expect(outcome.error.contains("wire 'wire' is given 'a' twice: its packets come in twice"), "\(outcome.error)")
        #expect(outcome.error.contains("is given 'a' twice, also as './a':"), "\(outcome.error)")
        #expect(outcome.error.components(separatedBy: "come in twice").count == 3, "\(outcome.error)")
    }

    /// Of one placement nothing is said that needs others to compare it with.
    @Test(arguments: ["plan", "compare"]) func onePlacementHasNoRank(_ verb: String) throws {
        let directory = try Self.smallWorkspace(fixed: true)
        let outcome = try Tool.run(
            "spillway \(verb) small.yaml \(Self.vlan) --load 1Mpps; "
                + "spillway \(verb) small.yaml \(Self.vlan) --load 1Mpps --format json | grep '\"draws\"'",
            in: directory.url
        )
        #expect(outcome.output.contains("only"), "\(outcome.output)")
        #expect(!outcome.output.contains("How robust") && !outcome.output.contains("draws\": 100"), "\(outcome.output)")
        #expect(!outcome.output.contains("1 possible placements"), "\(outcome.output)")
    }

    @Test func tapAndTrace() throws {
        let tap = try Tool.run("spillway tap graphs/flow-monitor.yaml check.out \(Self.web) --count 3", in: root)
        #expect(tap.status == 0 && tap.error.contains("3 items passed check.out"), "\(tap.error)")
        #expect(tap.output.split(separator: "\n").count == 3)
        #expect(tap.output.hasPrefix("1 2026-11-23T23:29:48.844173000Z "), "\(tap.output)")
        let trace = try Tool.run("spillway trace graphs/flow-monitor.yaml \(Self.web) --packet 100", in: root)
        #expect(trace.status == 0, "\(trace.error)")
        #expect(
            trace.output.hasPrefix("wire.rx -> tunnels.in: 100 2026-11-23T23:29:5")
                && trace.output.contains("check.out -> ")
        )
        let none = try Tool.run("spillway trace graphs/flow-monitor.yaml \(Self.web) --packet 99999", in: root)
        #expect(none.status == 1 && none.error.contains("there is no packet 99999"))
    }
}

/// Every capture of the shared collection, where it is there: no crash, conservation, and flows as independent tools count them.
@Suite struct SharedCaptureTests {
    static let captures = URL(filePath: Shared.captures)

    /// Captures whose number of TCP streams differs from the oracle's, with the reason, as graphs/README.md lists them.
    static func explained() throws -> Set<String> {
        let text = try String(contentsOf: root.appending(path: "graphs/README.md"), encoding: .utf8)
        let section = text.components(separatedBy: "\n## ").filter { $0.hasPrefix("Where flow-monitor differs") }
        return Set(
            section.joined().split(separator: "\n").filter { $0.hasPrefix("| `") }
                .map { String($0.split(separator: "`")[1]) }
        )
    }

    @Test(.enabled(if: Shared.isThere))
    func flowsAreThoseOfIndependentTools() throws {
        let directory = try Workspace(root)
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
                "spillway run graphs/flow-monitor.yaml --set idle=0 --set decapsulate=all --set records=records --set flows=1000000 "
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
