// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Foundation
import GraphFile
import TestSupport
import Testing

@Suite struct DrawingTests {
    @Test func textReadsFromTheWireOn() {
        let graph = sample()
        #expect(
            GraphDrawing.text(graph, placement: graph.placements[0]) == """
                graph sample, placement split
                Three elements and a loop.

                wire: Wire, on nic
                  rx -> sort.in

                Discard@1: Discard, on host

                sort: Everything, on nic
                  web   => count.in   crosses to host
                  loop  -> sort.more  leads back
                  other -> nothing    dropped, counted as unused_other

                count: Counter, on host, pinned to host
                  out => wire.tx  crosses to nic

                """
        )
        #expect(!GraphDrawing.text(graph).contains("=>"))
    }

    @Test func mermaidShowsSidesAndCrossings() {
        let graph = sample()
        #expect(
            GraphDrawing.mermaid(graph, placement: graph.placements[0]) == """
                flowchart LR
                  subgraph side_nic["nic"]
                    n0_rx(["wire.rx"])
                    n0_tx(["wire.tx"])
                    n1["sort<br/>Everything"]
                  end
                  subgraph side_host["host"]
                    n2["count<br/>Counter<br/>pinned to host"]
                    n3["Discard@1"]
                  end
                  n0_rx --> n1
                  n1 ==>|"web"| n2
                  n2 ==> n0_tx
                  n1 -->|"loop #62; more"| n1

                """
        )
    }

    static let tricky = [
        "a\"b", "back\\", "new\nline", "<b>&lt;x&gt;", "]; evil -> [", "\u{1B}[31mred", "日本 é", "\\N\\G", "end",
        "#35; `code`",
        "\u{202E}rtl", "", "-->|x|", "%% comment", "}\n}", String(repeating: "long ", count: 200),
    ]

    /// Graphviz itself judges: it must take the text and show each name as it is.
    @Test(.enabled(if: Program.isThere("dot")), arguments: tricky) func dotIsAccepted(name: String) throws {
        let graph = sample(names: [name + "w", name + "1", name + "2", name + "3"], name: name)
        for placement in [nil, graph.placements[0]] {
            let svg = try GraphDrawing.svg(graph, placement: placement) { dot in
                let result = try Program.run("dot", ["-Tsvg"], input: dot.utf8)
                #expect(result.status == 0 && result.error.isEmpty, "\(result)")
                return String(decoding: result.output, as: UTF8.self)
            }
            #expect(svg.components(separatedBy: "<g id=\"node").count - 1 == 5)
            #expect(svg.components(separatedBy: "<g id=\"edge").count - 1 == 4)
            if placement != nil { #expect(svg.components(separatedBy: "<g id=\"clust").count - 1 == 2) }
        }
    }

    @Test(.enabled(if: Program.isThere("dot"))) func namesSurviveGraphviz() throws {
        let name = "a\"\\N&lt;<b>x"
        let dot = GraphDrawing.dot(sample(names: ["wire", name, "count", "Discard@1"]))
        let svg = String(decoding: try Program.run("dot", ["-Tsvg"], input: dot.utf8).output, as: UTF8.self)
        // XML of the name as it is; Graphviz writes quotes and hyphens as entities.
        #expect(svg.contains("a&quot;\\N&amp;lt;&lt;b&gt;x"), "\(svg)")
    }

    @Test(arguments: tricky) func noNameBreaksALine(name: String) {
        let plain = sample()
        let graph = sample(names: [name, name + "1", name + "2", name + "3"], name: name)
        func lines(_ text: String) -> Int { text.split(separator: "\n", omittingEmptySubsequences: false).count }
        for placement in [nil, graph.placements[0]] {
            let text = GraphDrawing.text(graph, placement: placement)
            #expect(lines(text) == lines(GraphDrawing.text(plain, placement: placement)))
            #expect(!text.unicodeScalars.contains { $0.value < 32 && $0 != "\n" })
            let mermaid = GraphDrawing.mermaid(graph, placement: placement)
            #expect(lines(mermaid) == lines(GraphDrawing.mermaid(plain, placement: placement)))
            // Quotes come in pairs around labels and nowhere else.
            for line in mermaid.split(separator: "\n") { #expect([0, 2].contains(line.count { $0 == "\"" })) }
        }
    }
}
