// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CommandSupport
import Foundation
import Testing

/// What commands write, and what they leave alone.
@Suite struct OutputTests {
    static let root = CommandTests.root

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
            "cp in/p.yaml dir/report.md; compare in/flow-monitor.yaml --placements ./dir/report.md --wire wire=in/a.pcapng "
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
}
