// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// What commands write, and what they leave alone.
@Suite struct OutputTests {
    /// A directory with copies of what is read, some under a second name, and whether all of it is as it was.
    private static func sandbox() throws -> (directory: Workspace, isUntouched: () throws -> Bool) {
        let directory = try Workspace(root)
        let prepared = try Tool.run(
            """
            mkdir in && cp Examples/captures/vlan.pcapng in/a.pcapng && gzip -c in/a.pcapng > in/b.gz && \
            cp -r graphs/lib in/lib && cp graphs/flow-monitor.yaml graphs/mirror.yaml graphs/rate-guard.yaml in && \
            cp graphs/profiles/example-nic.yaml in/nic.yaml && ln -s in/a.pcapng soft && ln in/a.pcapng hard && \
            printf 'placement: p\\ngraph: flow-monitor.yaml\\ndefault: host\\n' > in/p.yaml && \
            mkdir dir && ln -s ../in/flow-monitor.yaml dir/stats.json && cp -r in before
            """,
            in: directory.url
        )
        #expect(prepared.status == 0, "\(prepared.error)")
        return (directory, { try Tool.run("diff -r in before && test ! -e new", in: directory.url).status == 0 })
    }

    /// What a command reads it does not write, whatever the names, and it says so before it touches anything.
    @Test(
        arguments: [
            "tap in/mirror.yaml wire.rx --wire wire=in/a.pcapng --set capture=c --write in/a.pcapng",
            "tap in/mirror.yaml wire.rx --wire wire=in/a.pcapng --set capture=c --write soft",
            "tap in/mirror.yaml wire.rx --wire wire=hard --set capture=c --write soft",
            "tap in/mirror.yaml wire.rx --wire wire=- --set capture=c --write soft < in/a.pcapng",
            "tap in/mirror.yaml wire.rx --wire wire=in/a.pcapng,in/b.gz --set capture=c --write in/b.gz",
            "run in/mirror.yaml --wire wire=in/a.pcapng,write=in/mirror.yaml --set capture=c",
            "run in/mirror.yaml --wire wire=in/b.gz,in/a.pcapng --set capture=in/b.gz",
            "run in/mirror.yaml --wire wire=in/b.gz,write=in/nic.yaml --set capture=soft --wire wire=soft",
            "run in/rate-guard.yaml --wire wire=in/a.pcapng,write=in/lib/guard.yaml",
            "run in/flow-monitor.yaml --wire wire=in/a.pcapng --set records=in/flow-monitor.yaml",
            "run in/flow-monitor.yaml --wire wire=in/a.pcapng --set records=r --run-dir dir",
            "trace in/flow-monitor.yaml --wire wire=in/a.pcapng --set records=in/flow-monitor.yaml",
            "plan in/flow-monitor.yaml --wire wire=in/a.pcapng --write soft",
            "plan in/flow-monitor.yaml --wire wire=in/a.pcapng --write in/flow-monitor.yaml",
            "plan in/flow-monitor.yaml --wire wire=in/a.pcapng --profile in/nic.yaml --write in/nic.yaml",
            "compare in/flow-monitor.yaml --wire wire=in/a.pcapng --run-dir dir",
            "sed s,flow-,../in/flow-, in/p.yaml > dir/report.md; compare in/flow-monitor.yaml --placements ./dir/report.md --wire wire=in/a.pcapng "
                + "--run-dir dir",
        ]
    )
    func inputsAreNotWritten(_ command: String) throws {
        let (directory, isUntouched) = try Self.sandbox()
        let line =
            command.contains("; ")
            ? command.replacing("; ", with: "; spillway ", maxReplacements: 1) : "spillway \(command)"
        let outcome = try Tool.run(line, in: directory.url)
        #expect(outcome.status == 64, "\(outcome.error)")
        #expect(outcome.error.contains("cannot be read and written at once"), "\(outcome.error)")
        #expect(try isUntouched())
    }

    /// A run that does not begin leaves the files alone that it would have written.
    @Test func outputsStayWhenTheRunDoesNotBegin() throws {
        let (directory, _) = try Self.sandbox()
        let outcome = try Tool.run(
            "echo old > r; spillway run in/mirror.yaml --wire wire=in/a.pcapng,write=r --set capture=r; s=$?; cat r; exit $s",
            in: directory.url
        )
        #expect(outcome.status == 64 && outcome.error.contains("[file_in_use]"), "\(outcome.error)")
        #expect(outcome.output == "old\n")
    }

    /// Standard output holds one thing: the report makes room for a capture or records, also where they go by other names.
    @Test(
        arguments: [
            ("mirror.yaml", ",write=- --set capture=c"), ("mirror.yaml", ",write=/dev/stdout --set capture=c"),
            ("mirror.yaml", ",write=out --set capture=c"), ("mirror.yaml", " --set capture=-"),
            ("mirror.yaml", " --set capture=/proc/self/fd/1"), ("flow-monitor.yaml", " --set records=/dev/stdout"),
        ]
    )
    func theReportMakesRoom(_ graph: String, _ arguments: String) throws {
        let (directory, _) = try Self.sandbox()
        let outcome = try Tool.run(
            """
            set -e; spillway run in/\(graph) --wire wire=in/a.pcapng\(arguments) > out
            spillway run in/\(graph) --wire wire=in/a.pcapng\(arguments) | cat > piped
            spillway run in/\(graph) --wire wire=in/a.pcapng\(arguments) > /dev/null
            cmp out piped; test -s out
            """,
            in: directory.url
        )
        // The name of a file is standard output only while that leads to it.
        #expect(outcome.status == 0 || arguments.contains("=out"), "\(outcome.error)")
        #expect(outcome.error.contains("packets"), "\(outcome.error)")
        let written = try Data(contentsOf: directory.url.appending(path: "out"))
        #expect(!written.contains(Data("packets in".utf8)) && !written.contains(Data("elements".utf8)))
    }

    /// A capture on standard output is alone there.
    @Test(
        arguments: [
            ("  a: {type: PacketSink, file: '-'}\n  b: {type: PacketSink, file: /dev/stdout}", ""),
            ("  a: {type: PacketSink, file: '-'}\n  b: {type: PacketSink, file: b}", ",write=-"),
        ]
    )
    func nothingIsMixedWithACapture(_ sinks: String, _ write: String) throws {
        let (directory, _) = try Self.sandbox()
        let graph = """
            graph: two
            elements:
              wire: {type: Wire}
              copy: {type: Tee, outputs: 3}
            \(sinks)
            chains:
              - wire.rx -> copy.out1 -> a
              - copy.out2 -> b
              - copy.out3 -> wire.tx
            """
        try graph.write(to: directory.url.appending(path: "two.yaml"), atomically: true, encoding: .utf8)
        let outcome = try Tool.run("spillway run two.yaml --wire wire=in/a.pcapng\(write) | wc -c", in: directory.url)
        #expect(
            outcome.error.contains("nothing can be mixed") && outcome.output == "0\n",
            "\(outcome.output)\(outcome.error)"
        )
    }

    /// A reader that goes away ends no work whose results go elsewhere; the status says that not all was written.
    @Test func closedStandardOutput() throws {
        let (directory, _) = try Self.sandbox()
        let outcome = try Tool.run(
            """
            w="--wire wire=Examples/captures/vlan.pcapng"
            spillway run graphs/classify.yaml $w --run-dir r > >(exec true); echo $?
            sleep 0.2; { sleep 0.2; spillway run graphs/classify.yaml $w --run-dir s; echo $? >&2; } | true
            ls s | wc -l
            { sleep 0.2; spillway plan graphs/classify.yaml $w --write best.yaml; echo $? >&2; } | true
            spillway check best.yaml
            { sleep 0.2; spillway tap graphs/classify.yaml wire.rx $w; echo $? >&2; } | true
            """,
            in: directory.url
        )
        #expect(outcome.output.hasSuffix("4\nbest.yaml: fine\n"), "\(outcome.output)")
        #expect(outcome.error.filter { $0 == "1" }.count >= 3 && !outcome.error.contains("error"), "\(outcome.error)")
    }

    /// A table on standard output is alone there.
    @Test func tablesAreNotMixed() throws {
        let (directory, _) = try Self.sandbox()
        let graph = """
            graph: two
            elements:
              wire: {type: Wire}
              a: {type: MetadataExtractor, per: packet}
              b: {type: MetadataExtractor, per: packet}
              copy: {type: Tee, outputs: 2}
              table: {type: RecordSink, format: csv}
            chains:
              - wire.rx -> IPCheck -> copy
              - copy.out1 -> a.records -> table
              - copy.out2 -> b.records -> RecordSink
              - a.out -> Discard
              - b.out -> Discard
            """
        try graph.write(to: directory.url.appending(path: "two.yaml"), atomically: true, encoding: .utf8)
        let outcome = try Tool.run("spillway run two.yaml --wire wire=in/a.pcapng", in: directory.url)
        #expect(outcome.status == 64 && outcome.error.contains("writes CSV, which is one table"), "\(outcome.error)")
    }

    /// What a sink leaves out is a warning, in the text and in the JSON.
    @Test func droppedResultsAreWarnings() throws {
        let (directory, _) = try Self.sandbox()
        let graph = """
            graph: two
            elements:
              wire: {type: Wire}
              a: {type: PacketSink, file: a.pcap}
            chains:
              - wire.rx -> a
            """
        try graph.write(to: directory.url.appending(path: "two.yaml"), atomically: true, encoding: .utf8)
        // A pcap file holds one link type: the second capture says that it has another.
        let outcome = try Tool.run(
            """
            { head -c 20 Examples/captures/web.pcap; printf '\\145\\0\\0\\0'; tail -c +25 Examples/captures/web.pcap; } > raw.pcap
            spillway run two.yaml --wire wire=Examples/captures/web.pcap,raw.pcap --format json
            """,
            in: directory.url
        )
        #expect(
            outcome.error.contains("warning: 'a' dropped 3,793 items") && outcome.error.contains("other_link_type"),
            "\(outcome.error)"
        )
        #expect(outcome.output.contains("'a' dropped 3,793 items"), "\(outcome.output)")
    }

    /// A reader that goes away, or a full disk, ends a run whose input has no end.
    @Test(arguments: [("- | head -1", "closed_pipe"), ("/dev/full", "no_space"), ("/dev/full", "wire")])
    func whatCannotBeWrittenEndsTheRun(_ output: String, _ code: String) throws {
        let (directory, _) = try Self.sandbox()
        let sink =
            code == "wire"
            ? "classify.yaml --wire wire=-,write=/dev/full" : "packet-log.yaml --wire wire=- --set records=\(output)"
        let outcome = try Tool.run(
            "{ cat Examples/captures/web.pcap; while tail -c +25 Examples/captures/web.pcap; do :; done; } 2> /dev/null | timeout 60 spillway run graphs/\(sink)",
            in: directory.url
        )
        #expect(
            outcome.status == 1 && outcome.error.contains(code == "wire" ? "no_space" : code),
            "\(outcome.status) \(outcome.error)"
        )
        // Nobody is there to read the report if it is a pipe.
        #expect((outcome.output + outcome.error).contains("packets in") == (code != "closed_pipe"), "\(outcome.output)")
    }

    /// On a terminal tables fit its lines, digits are grouped, and errors have colours unless they are not wanted.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/script"))) func terminals() throws {
        let (directory, _) = try Self.sandbox()
        func shown(_ command: String, _ columns: Int = 60) throws -> String {
            let inner = "stty cols \(columns); \(command)"
            return try Tool.run("NO_COLOR= TERM=xterm script -qec '\(inner)' /dev/null < /dev/null", in: directory.url)
                .output
                .replacingOccurrences(of: "\r\n", with: "\n")
        }
        let run = "spillway run graphs/flow-monitor.yaml --wire wire=Examples/captures/web.pcap --set records=/dev/null"
        let narrow = try shown(run)
        #expect(narrow.split(separator: "\n").allSatisfy { $0.count <= 60 } && narrow.contains("3,793"), "\(narrow)")
        let piped = try Tool.run(run, in: directory.url).output
        #expect(piped.contains(" 3793 ") && !piped.contains("3,793"))
        let long = "graph: g\\nchains: [\(String(repeating: "Counter -> ", count: 12))Discrd]\\n"
        _ = try Tool.run("printf '\(long)' > long.yaml", in: directory.url)
        let coloured = try shown("spillway check long.yaml")
        #expect(coloured.contains("\u{1b}[1;31merror:") && coloured.contains("…"), "\(coloured)")
        let plain = try shown("NO_COLOR=1 spillway check long.yaml")
        #expect(
            !plain.contains("\u{1b}") && plain.contains("…")
                && plain.components(separatedBy: "\n").filter { $0.hasPrefix(" ") }.allSatisfy { $0.count <= 60 },
            "\(plain)"
        )
    }

    /// Taps and traces show items where a graph would write its results.
    @Test func tapsAndTracesHaveStandardOutputForThemselves() throws {
        for verb in ["tap in/flow-monitor.yaml check.out --count 1", "trace in/flow-monitor.yaml --packet 9"] {
            let (directory, _) = try Self.sandbox()
            let outcome = try Tool.run("spillway \(verb) --format json --wire wire=in/a.pcapng", in: directory.url)
            #expect(outcome.status == 0 && outcome.error.contains("was thrown away"), "\(outcome.error)")
            for line in outcome.output.split(separator: "\n") {
                #expect(line.contains("\"packet\": ") || line.contains("\"dropped\": "), "\(line)")
            }
            if verb.hasPrefix("tap") { #expect(outcome.output.split(separator: "\n").count == 1) }
        }
    }

    /// A full disk behind standard output is told by every verb.
    @Test(
        arguments: [
            "trace in/flow-monitor.yaml --wire wire=in/a.pcapng", "new 'wire.rx -> Counter -> Discard'",
            "docs --write pages", "tap in/flow-monitor.yaml check.out --wire wire=in/a.pcapng",
        ]
    )
    func fullOutputs(_ command: String) throws {
        let (directory, _) = try Self.sandbox()
        let outcome = try Tool.run("spillway \(command) > /dev/full", in: directory.url)
        #expect(outcome.status == 1 && outcome.error.contains("standard output: No space left"), "\(outcome.error)")
    }

    /// Pages are written as everything else is: links stay, and what cannot be written is told in words.
    @Test func pages() throws {
        let (directory, _) = try Self.sandbox()
        let linked = try Tool.run(
            """
            set -e; mkdir -p pages elsewhere; echo old > elsewhere/page; ln -s ../elsewhere/page pages/Counter.md
            spillway docs --write pages/; test -L pages/Counter.md; head -1 elsewhere/page; spillway docs --check pages
            """,
            in: directory.url
        )
        #expect(linked.status == 0 && linked.output.contains("docs --write"), "\(linked.error)")
        let refused = try Tool.run("spillway docs --write /proc/sys/kernel", in: directory.url)
        #expect(refused.status == 77 || refused.status == 66, "\(refused.error)")
        #expect(refused.error.hasPrefix("error: /proc/sys/kernel/README.md: "), "\(refused.error)")
        let missing = try Tool.run("touch file; spillway docs --write file/pages", in: directory.url)
        #expect(missing.status == 66 && missing.error == "error: file: Not a directory\n", "\(missing.error)")
    }

    /// A run that the user ended says so, and is not held against others; captures are not read again for their digests.
    @Test func interruptedRuns() throws {
        let (directory, _) = try Self.sandbox()
        // Packets without bytes, more than can be read or hashed in the time of a test.
        let outcome = try Tool.run(
            """
            head -c 24 Examples/captures/web.pcap > big.pcap && truncate -s 16G big.pcap
            spillway run in/mirror.yaml --wire wire=big.pcap --set capture=/dev/null --run-dir a > report & run=$!
            up $run; sleep 1; kill -INT $run; wait $run; test $? = 130 || exit 9; rm big.pcap; cat a/manifest.json
            spillway compare a a; test $? = 1 || exit 8; spillway compare a a --allow-different-inputs > /dev/null
            """,
            in: directory.url
        )
        #expect(outcome.status == 0, "\(outcome.error)")
        #expect(outcome.output.contains("\"interrupted\": true") && outcome.output.contains("\"sha256\": null"))
        #expect(outcome.error.contains("'a' was interrupted"), "\(outcome.error)")
    }

    /// Half a comparison is worth nothing: an interrupt ends it, and leaves no file.
    @Test func interruptedComparisons() throws {
        let (directory, _) = try Self.sandbox()
        let outcome = try Tool.run(
            """
            spillway compare in/flow-monitor.yaml --wire wire=Examples/captures/web.pcap > report & model=$!
            up $model; sleep 1; kill -INT $model; wait $model; status=$?; cat report; exit $status
            """,
            in: directory.url
        )
        #expect(outcome.status == 130 && outcome.output.isEmpty, "\(outcome.status) \(outcome.output) \(outcome.error)")
        #expect(outcome.error.hasSuffix("error: interrupted; there is no result\n"), "\(outcome.error)")
    }

    /// A search gives the best of what it has looked at, and says so; the manifest too.
    @Test func interruptedPlans() throws {
        let (directory, _) = try Self.sandbox()
        let outcome = try Tool.run(
            """
            spillway plan in/flow-monitor.yaml --wire wire=Examples/captures/web.pcap --objective p99 --write best.yaml \
                --run-dir r --format json > report 2> words & model=$!
            until grep -q ': [1-9][0-9]* placements* replayed' words; do sleep 0.1; done
            began=$(date +%s%N); kill -INT $model; wait $model; status=$?
            cat words >&2; test $(($(date +%s%N) - began)) -lt 1000000000 || exit 9
            grep '"interrupted"' report r/manifest.json; spillway check best.yaml; exit $status
            """,
            in: directory.url
        )
        #expect(outcome.status == 130, "\(outcome.status) \(outcome.output) \(outcome.error)")
        #expect(outcome.output.contains("report:  \"interrupted\": true"), "\(outcome.output)")
        #expect(outcome.output.contains("manifest.json:  \"interrupted\": true"), "\(outcome.output)")
        #expect(outcome.output.contains("best.yaml: fine") && outcome.error.contains("best so far"), "\(outcome.error)")
    }

    /// Before it has looked at anything there is none.
    @Test func plansInterruptedAtOnce() throws {
        let (directory, _) = try Self.sandbox()
        let outcome = try Tool.run(
            """
            mkfifo pipe; sleep 30 > pipe & idle=$!
            spillway plan in/flow-monitor.yaml --wire wire=- < pipe > report & model=$!
            up $model; sleep 1; kill -INT $model; wait $model; status=$?; kill $idle; cat report; exit $status
            """,
            in: directory.url
        )
        #expect(outcome.status == 130 && outcome.output.isEmpty, "\(outcome.status) \(outcome.output) \(outcome.error)")
        #expect(outcome.error.hasSuffix("error: interrupted; there is no result\n"), "\(outcome.error)")
    }

    /// A run directory that is not as a run leaves it is told from one without results.
    @Test func damagedRunDirectories() throws {
        let (directory, _) = try Self.sandbox()
        let run = "spillway run in/mirror.yaml --wire wire=in/a.pcapng --set capture=c --run-dir a > /dev/null"
        #expect(try Tool.run(run, in: directory.url).status == 0)
        for (file, text, words) in [
            ("manifest.json", "{}", "it has no text 'verb'"), ("manifest.json", "[]", "it has no text 'verb'"),
            ("manifest.json", "null", "it has no text 'verb'"),
            ("manifest.json", #"{"verb": "run"}"#, "it has no object 'inputs'"),
            ("manifest.json", #"{"verb": "run", "inputs": {}}"#, "it has no list 'inputs.graph'"),
            ("manifest.json", "verb: run", "is not JSON"), ("stats.json", "{}", "it has no list 'statistics'"),
            ("stats.json", #"{"statistics": {}}"#, "it has no list 'statistics'"),
            ("stats.json", #"{"statistics": [1]}"#, "statistic 1 has no text 'name'"),
            ("stats.json", #"{"statistics": [{"name": "a"}]}"#, "statistic 'a' has no text 'unit'"),
            (
                "stats.json", #"{"statistics": [{"name": "a", "unit": "", "value": "3"}]}"#,
                "statistic 'a' has no number 'value'"
            ),
        ] {
            let outcome = try Tool.run(
                "rm -rf b; cp -r a b; printf '%s' '\(text)' > b/\(file); spillway compare a b",
                in: directory.url
            )
            #expect(outcome.status == 78 && outcome.output.isEmpty, "\(text): \(outcome.error)")
            #expect(outcome.error.hasPrefix("error: b/\(file): "), "\(text): \(outcome.error)")
            #expect(outcome.error.contains(words), "\(text): \(outcome.error)")
        }
    }
}
