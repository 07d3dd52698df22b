// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Foundation
import GraphFile
import TestSupport
import Testing

@testable import Reports

@Suite struct ElementPagesTests {
    @Test func aPageSaysAllThatIsDeclared() throws {
        let type = try #require(catalog["Everything"])
        let page = ElementPages.page(type)
        #expect(page.hasPrefix(ElementPages.notice))
        #expect(
            page.contains(
                "# Everything\n\n*Everything* has a parameter of every type.\n\nSee `Item` and `x`.\n\n```yaml\n"
            )
        )
        for fact in [
            "| Category | Testing |", "| Runs on | host only |", "| Depends on | functional time |",
            "| State per flow | 16 bytes |", "| input | `in` | packet, reads headers | packets |",
            "| input | `more` | record, reads payload, optional | records |",
            "| output | `other` | as at in, optional | all others |", "| `count` | integer 1 to 100 | `7` | how many |",
            "| `wait` | time 0 ns to 1 s | `20 us` | how long |", "| `speed` | rate | must be given | how fast |",
            "| `too_odd` | it is odd \\| or even |", "| `seen` | packets seen |",
            "| `parse` | headers of one packet read |",
            "### Nothing happens\n\n```text\nwith           {count: 3}\nin    in       a > b S\nout   other    a > b S\ndrop  too_odd  1\n```",
        ] { #expect(page.contains(fact), "\(fact)\n\(page)") }
        // Every row of a table has the columns its head has.
        var columns = 0
        for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("|") else {
                columns = 0
                continue
            }
            let bars = line.replacing("\\|", with: "").count { $0 == "|" }
            if columns == 0 { columns = bars }
            #expect(bars == columns, "\(line)")
        }
    }

    @Test func theTerminalShowsTheSame() throws {
        let text = ElementPages.terminal(try #require(catalog["FlowTable"]))
        #expect(text.hasPrefix("FlowTable "))
        for parameter in ["capacity", "idle", "on_full"] { #expect(text.contains("  \(parameter)")) }
        #expect(!text.split(separator: "\n").contains { $0.hasSuffix(" ") })
    }

    @Test func theListHasEveryElementOnce() {
        let lines = ElementPages.list(catalog).split(separator: "\n")
        #expect(lines.count == catalog.types.count)
        #expect(lines.first?.hasPrefix("Wire ") == true)
        #expect(Set(lines.map { $0.prefix { $0 != " " } }) == Set(catalog.types.map { Substring($0.name) }))
    }

    @Test func theListHasTheColumnsAskedFor() {
        #expect(ElementPages.list(catalog, columns: ["name"]).hasPrefix("Wire\nClassifier\n"))
        let line = ElementPages.list(catalog, columns: ["summary"]).split(separator: "\n").first
        #expect(line?.hasSuffix("  brings packets in from outside and takes packets out") == true)
        #expect(line?.contains("Wires") == false)
    }

    @Test func aNewGraphHasAllDefaults() throws {
        let text = try NewGraph.text(" wire.rx->IPCheck -> flow_table->Counter -> Counter -> wire.tx", catalog: catalog)
        let capacity = try #require(catalog["FlowTable"]?.parameters.first { $0.name == "capacity" }?.defaultText)
        #expect(text.contains("  wire: {type: Wire}\n"))
        #expect(text.contains("  flow_table:\n    type: FlowTable\n    # flows the table has room for (integer 1 to "))
        #expect(text.contains("\n    capacity: \(capacity)\n"))
        #expect(text.contains("  - wire.rx -> ip_check -> flow_table -> Counter -> Counter -> wire.tx\n"))
        #expect(try GraphFormatter.format(text) == text)
    }

    @Test func whatMustBeGivenIsMadeUp() throws {
        let text = try NewGraph.text("a.rx -> Everything.web -> Discard; a2.rx -> everything", catalog: catalog)
        #expect(text.contains("      web: ip or ip6\n"))
        #expect(text.contains("      match: ip or ip6\n"))
        #expect(text.contains("    label: '- a ''b'' $$c'\n"))
        #expect(
            text.contains(
                "  - a.rx -> everything_2.web -> Discard\n  - a2.rx -> everything\n  - everything.match -> Discard\n"
            )
        )
        #expect(text.contains("  nic-only: {host: [everything_2, everything], default: nic}\n"))
        #expect(try GraphFormatter.format(text) == text)
    }

    /// What is written for each element type loads without an error, if the type takes packets, and nothing else that must lead to it.
    @Test func everyNewGraphLoads() throws {
        var loaded = 0
        for type in catalog.types where type.name != "Wire" && type.defaultInputs.first?.accepts.allows(.packet) == true
        {
            if type.defaultInputs.dropFirst().contains(where: { !$0.optional }) { continue }
            let text = try NewGraph.text("wire.rx -> IPCheck -> FlowTable -> \(type.name)", catalog: catalog)
            #expect(try GraphFormatter.format(text) == text)
            let bytes = Array(text.utf8)
            let loader = GraphLoader(catalog: catalog, services: NoServices()) { _ in bytes }
            let result = loader.loadGraph("new.yaml")
            #expect(result.graph != nil, "\(text)\n\(result.diagnostics.map(\.rendered).joined())")
            loaded += 1
        }
        #expect(loaded >= 4)
    }

    private struct NoServices: Services {
        struct Refused: Error {}
        func openSink(_ name: String) throws -> any ByteSink { throw Refused() }
        func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? { [] }
    }

    @Test(
        arguments: [
            ("", "the chain is empty"), ("Counter", "'Counter' is no chain: two elements need '->' between them"),
            ("wire.rx -> Countr", "there is no element type 'Countr'; did you mean 'Counter'?"),
            ("wire.rx -> -> Counter", "'' is not an element, or an element and a port"),
            ("wire.rx -> [0]Counter", "'[0]Counter' is not an element, or an element and a port"),
            ("Discard -> Counter", "'Discard' has no output"),
            ("wire.rxx -> Counter", "'wire' has no port 'rxx'; did you mean 'wire.rx'?"),
            ("wire.rx -> Counter; wire.rx -> Discard", "'wire.rx' leads to two places; a copy needs a Tee"),
            ("wire.rx -> a\u{1B}", "'a\u{1B}' is not an element, or an element and a port"),
        ]
    )
    func badChainsAreExplained(chain: String, message: String) {
        do {
            let text = try NewGraph.text(chain, catalog: catalog)
            Issue.record("\(text)")
        } catch { #expect(error.description == message) }
    }
}
