// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// What the documents say is tried: graphs are checked, commands run, outputs compared, links followed.
@Suite struct DocumentationTests {
    /// Every Markdown file of the repository, without what was built.
    static let documents: [String] = {
        let files = FileManager.default.enumerator(
            at: root,
            includingPropertiesForKeys: nil,
            options: [.skipsHiddenFiles]
        )
        return (files?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "md" }
            .map { String($0.path().dropFirst(root.path().count)) }.sorted()
    }()

    static let graphs: [String] = {
        let files = FileManager.default.enumerator(at: root.appending(path: "graphs"), includingPropertiesForKeys: nil)
        return (files?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "yaml" }
            .map { String($0.path().dropFirst(root.path().count)) }.sorted()
    }()

    private func read(_ path: String) throws -> Markdown {
        Markdown(try String(contentsOf: root.appending(path: path), encoding: .utf8))
    }

    @Test func documentsAreFound() {
        #expect(Self.documents.contains("README.md"))
        #expect(Self.documents.contains("Examples/captures/README.md"))
        #expect(Self.graphs.contains("graphs/flow-monitor.yaml"))
    }

    @Test(arguments: documents)
    func graphsInDocumentsAreRight(_ path: String) throws {
        let kinds = ["graph:", "compound:", "placement:", "profile:", "tests:"]
        let blocks = try read(path).blocks.filter { $0.language == "yaml" || $0.language == "yml" }
        for block in blocks {
            let first = block.lines.first { !$0.isEmpty && !$0.hasPrefix("#") } ?? ""
            #expect(kinds.contains { first.hasPrefix($0) }, "\(path):\(block.line): not a whole file, so not checked")
        }
        if blocks.isEmpty { return }
        let outcome = try Tool.run("spillway check \(path)", in: root)
        #expect(outcome.status == 0, "\(path): \(outcome.error)")
    }

    @Test(arguments: documents)
    func commandsInDocumentsRun(_ path: String) throws {
        var document = try read(path)
        let goals = try String(contentsOf: root.appending(path: "Makefile"), encoding: .utf8)
        let directory = try Workspace(root)
        for number in document.blocks.indices where document.blocks[number].language == "sh" {
            let block = document.blocks[number]
            var output: [String]?
            for command in Markdown.commands(block) {
                if command.hasPrefix("make ") {
                    let goal = command.split(separator: " ")[1]
                    #expect(goals.contains("\n\(goal):"), "\(path):\(block.line): there is no goal '\(goal)'")
                }
                guard command.hasPrefix("spillway ") else { continue }
                let outcome = try Tool.run(command, in: directory.url)
                #expect(outcome.status == 0, "\(path):\(block.line): \(command)\n\(outcome.error)")
                output = outcome.output.components(separatedBy: "\n")
                while output?.last == "" { output?.removeLast() }
                // A report's title; the document has its own.
                if output?.first?.hasPrefix("# ") == true { output = Array(output!.dropFirst().drop { $0.isEmpty }) }
            }
            guard let expected = document.output(block) else { continue }
            let actual = try #require(output, "\(path):\(block.line): no command that has an output")
            if ProcessInfo.processInfo.environment["SPILLWAY_UPDATE_DOCS"] == "1" {
                document.setOutput(number, actual)
            } else {
                #expect(expected == actual, "\(path):\(block.line): the output is another; see CONTRIBUTING.md")
            }
        }
        let text = document.lines.joined(separator: "\n")
        if ProcessInfo.processInfo.environment["SPILLWAY_UPDATE_DOCS"] == "1" {
            try text.write(to: root.appending(path: path), atomically: true, encoding: .utf8)
        }
    }

    @Test(arguments: documents)
    func linksLeadSomewhere(_ path: String) throws {
        let directory = root.appending(path: path).deletingLastPathComponent()
        for target in try read(path).linkedFiles {
            let there = FileManager.default.fileExists(atPath: directory.appending(path: target).path())
            #expect(there, "\(path): '\(target)' is not there")
        }
    }

    /// `make docs` writes both.
    @Test func generatedFilesAreUpToDate() throws {
        let pages = try Tool.run("spillway docs --check", in: root)
        #expect(pages.status == 0, "\(pages.output)\(pages.error)")
        let schema = try Tool.run("spillway schema | cmp - graphs/schema/graph.json", in: root)
        #expect(schema.status == 0, "\(schema.output)\(schema.error)")
    }

    @Test(arguments: graphs)
    func shippedFilesAreRight(_ path: String) throws {
        let outcome = try Tool.run("spillway check \(path)", in: root)
        #expect(outcome.status == 0, "\(outcome.error)")
        // Warnings count: a shipped graph has none.
        #expect(outcome.error == "", "\(outcome.error)")
        #expect(try Tool.run("spillway format --check \(path)", in: root).status == 0, "\(path): not laid out")
    }

    @Test(arguments: graphs.filter { $0.hasSuffix(".test.yaml") })
    func shippedTestsPass(_ path: String) throws {
        let outcome = try Tool.run("spillway test \(path)", in: root)
        #expect(outcome.status == 0, "\(outcome.error)")
        #expect(outcome.output.contains(" 0 failed"))
        #expect(!outcome.output.hasPrefix("0 passed"))
    }

    /// Each shipped graph has tests, a first placement that is the baseline, and runs on a shipped capture in balance.
    @Test(arguments: graphs.filter { !$0.hasSuffix(".test.yaml") && $0.split(separator: "/").count == 2 })
    func shippedGraphsRun(_ path: String) throws {
        let name = path.dropLast(".yaml".count)
        #expect(Self.graphs.contains("\(name).test.yaml"))
        let text = try String(contentsOf: root.appending(path: path), encoding: .utf8)
        #expect(text.contains("\n  host-only: "))
        #expect(text.hasPrefix("# yaml-language-server: $schema="))
        let directory = try Workspace(root)
        let wires = ["wire", "left", "right"].filter { text.contains("\n  \($0):") }
        let bound = wires.map { "--wire \($0)=Examples/captures/web.pcap" }.joined(separator: " ")
        let outcome = try Tool.run("spillway run \(path) \(bound) --format json", in: directory.url)
        #expect(outcome.status == 0, "\(outcome.error)")
    }

    /// The reference of the language has every key that the schema knows, and every word of packets.
    @Test func theReferenceIsComplete() throws {
        let text = try String(contentsOf: root.appending(path: "graphs/LANGUAGE.md"), encoding: .utf8)
        let data = try Data(contentsOf: root.appending(path: "graphs/schema/graph.json"))
        let schema = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
        let parts = try #require(schema["$defs"] as? [String: [String: Any]])
        func keys(_ value: Any) -> Set<String> {
            guard let value = value as? [String: Any] else {
                return (value as? [Any])?.map(keys).reduce(into: []) { $0.formUnion($1) } ?? []
            }
            let own = Set((value["properties"] as? [String: Any] ?? [:]).keys)
            return value.values.map(keys).reduce(into: own) { $0.formUnion($1) }
        }
        let names = ["graph", "compound", "placement", "tests", "params", "sides"]
        let all = names.map { keys(parts[$0] ?? [:]) }.reduce(into: Set<String>()) { $0.formUnion($1) }
        #expect(all.isSuperset(of: ["together", "use", "inputs", "default", "values", "counters", "packets", "set"]))
        for key in all where !text.contains("`\(key)`") && !text.contains("`out: \(key)`") {
            Issue.record("graphs/LANGUAGE.md does not explain '\(key)'")
        }
        let source = try String(
            contentsOf: root.appending(path: "Sources/Dataplane/Text/PacketText.swift"),
            encoding: .utf8
        )
        let rows = source.components(separatedBy: "\n").filter { $0.hasPrefix("/// | ") }.map {
            String($0.dropFirst(4))
        }
        #expect(rows.count > 15)
        for row in rows where !text.contains(row + "\n") { Issue.record("graphs/LANGUAGE.md lacks: \(row)") }
    }

    /// The tutorial shows the files that its commands use, and README the graph that it draws.
    @Test func documentsShowWhatIsThere() throws {
        let tutorial = try String(contentsOf: root.appending(path: "Examples/tutorial/README.md"), encoding: .utf8)
        for name in ["dns-log.yaml", "dns-log.test.yaml"] {
            let file = try String(contentsOf: root.appending(path: "Examples/tutorial/\(name)"), encoding: .utf8)
            #expect(tutorial.contains("```yaml\n\(file)```"), "\(name) is another in the tutorial")
        }
        let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
        let drawn = try Tool.run("spillway graph graphs/flow-monitor.yaml --format mermaid", in: root)
        #expect(readme.contains("```mermaid\n\(drawn.output)```"), "\(drawn.output)")
    }
}
