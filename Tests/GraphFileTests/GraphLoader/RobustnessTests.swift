// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

@testable import GraphFile

/// Files that are large, broken or hostile are refused or read, in bounded time, and never end the program.
@Suite struct RobustnessTests {
    /// A generator of numbers that are the same in every run (Steele, Lea and Flood: SplitMix).
    struct Numbers: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    static let seeds = [
        synFront, GraphLoaderTests.front, GraphLoaderTests.tests,
        "placement: mine\ngraph: g.yaml\nnic: [IPCheck@1, sort]\nhost: [known]\ndefault: host\n",
        "graph: g\nuse: [c.yaml]\nelements: {front: {type: Front, vip: 1.2.3.4, place: nic}}\nchains: [Wire -> front -> Counter -> Discard, front.rest -> Discard]\ntogether: [[front, Counter@1]]\nplacements: {p: {nic: [front], default: nic}}\n",
        "profile: x\nnic:\n  clock: {value: 2 GHz, source: \"a\\tb\"}\n  text: >-\n    folded\n    text\n  more: |\n    literal\n",
    ]

    private func check(_ bytes: [UInt8]) -> [Diagnostic] {
        let files = ["f.yaml": bytes, "c.yaml": Array(GraphLoaderTests.front.utf8), "g.yaml": Array(synFront.utf8)]
        return loader(files).check("f.yaml", profile: { _ in [] })
    }

    /// Every diagnostic stands at a place that exists and can be shown.
    private func expectShowable(_ found: [Diagnostic], _ bytes: [UInt8]) {
        let lines = bytes.count(where: { $0 == 0x0A || $0 == 0x0D }) + 1
        for diagnostic in found {
            for part in [diagnostic] + diagnostic.notes {
                #expect(part.line >= 1 && part.column >= 1 && part.length >= 1)
                #expect(part.file != "f.yaml" || part.line <= lines)
                if let line = part.sourceLine { #expect(part.column <= line.unicodeScalars.count + 1) }
            }
            #expect(diagnostic.rendered.hasSuffix("\n"))
            #expect(Diagnostic.explain(diagnostic.code) != nil)
        }
    }

    @Test(arguments: seeds.indices)
    func changedFilesAreReadOrRefused(_ seed: Int) {
        let original = Array(Self.seeds[seed].utf8)
        var numbers = Numbers(state: UInt64(seed))
        let pieces = [
            "{", "}", "[", "]", ": ", "- ", "->", ".", "$", "$$", "&a ", "*a", "!t ", "<<: ", "\n", "\t", "\u{feff}",
            "\"", "'", "#",
            "\r", "|", ">", "%", "? ", "---\n", "...\n", "é", "\u{2028}", "\0", "Counter", "wire", "place: host", ",",
        ].map { Array($0.utf8) }
        for _ in 0..<250 {
            var bytes = original
            for _ in 0...Int.random(in: 0..<3, using: &numbers) {
                let at = Int.random(in: 0...bytes.count, using: &numbers)
                let end = min(bytes.count, at + Int.random(in: 0..<12, using: &numbers))
                switch Int.random(in: 0..<4, using: &numbers) {
                case 0: bytes.insert(contentsOf: pieces.randomElement(using: &numbers)!, at: at)
                case 1: bytes.removeSubrange(at..<end)
                case 2: if at < bytes.count { bytes[at] = UInt8.random(in: 0...255, using: &numbers) }
                default: bytes.insert(contentsOf: bytes[at..<end], at: Int.random(in: 0...bytes.count, using: &numbers))
                }
            }
            expectShowable(check(bytes), bytes)
        }
    }

    @Test(arguments: seeds.indices)
    func filesThatAreCutShortAreReadOrRefused(_ seed: Int) {
        let original = Array(Self.seeds[seed].utf8)
        for count in stride(from: 0, to: original.count, by: 3) {
            let bytes = Array(original.prefix(count))
            expectShowable(check(bytes), bytes)
        }
    }

    /// What loads once loads again to the same graph from its resolved form, however the file was changed.
    @Test func changedGraphsThatLoadComeBackFromTheirResolvedForm() throws {
        let words = synFront.split(separator: " ", omittingEmptySubsequences: false)
        var numbers = Numbers(state: 9)
        var loadedCount = 0
        for _ in 0..<300 {
            var changed = words
            let (a, b) = (
                Int.random(in: 30..<words.count, using: &numbers), Int.random(in: 30..<words.count, using: &numbers)
            )
            changed.swapAt(a, b)
            let loaded = load(changed.joined(separator: " "))
            guard loaded.graph != nil else { continue }
            loadedCount += 1
            let again = load(try #require(loaded.resolvedYAML))
            #expect(again.graph != nil, "\(again.rendered)")
            #expect(again.chains == loaded.chains)
            #expect(again.resolvedYAML == loaded.resolvedYAML)
        }
        #expect(loadedCount > 10)
    }

    /// Shapes that make YAML readers slow or deep.
    @Test(arguments: [
        "[", "{", "{a: ", "[a, ", "- ", "? ", "a: ", "\"", "'", "!a ", "&a ", "*a ", "a\n", "a b ", "a->", "$", "#",
        "\n", "|\n", "\t", "%",
        "- a\n", "---\n", "\r", "é", "\\", "[]", "- [", "a: {\n", "\u{0}",
    ])
    func repeatedPiecesAreReadOrRefusedSoon(_ piece: String) {
        for head in [
            "", "graph: g\nchains:\n  - ", "graph: g\nelements: ", "graph: g\nabout: \"", "graph: g\nchains: [",
        ] {
            let text = head + String(repeating: piece, count: 100_000 / piece.utf8.count)
            let start = ContinuousClock.now
            let found = check(Array(text.utf8))
            #expect(!found.isEmpty)
            #expect(ContinuousClock.now - start < .seconds(60), "\(head)\(piece)")
        }
    }

    /// The text of a graph with `count` elements in rows of a hundred.
    static func large(_ count: Int) -> String {
        var elements = "  wire: {type: Wire}\n"
        var chains = ""
        for row in 0..<(count / 100) {
            for i in 0..<98 { elements += "  c\(row)-\(i): {type: Counter}\n" }
            elements += "  t\(row): {type: FlowTable, capacity: 1024}\n  d\(row): {type: Discard}\n"
            let from = row == 0 ? "wire.rx" : "t\(row - 1).miss"
            chains +=
                "  - \(from) -> " + (0..<98).map { "c\(row)-\($0)" }.joined(separator: " -> ")
                + " -> t\(row) -> d\(row)\n"
        }
        return "graph: large\nelements:\n\(elements)chains:\n\(chains)placements:\n  all: {default: host}\n"
    }

    /// A small file can make many elements and outputs, each of which takes memory in a run.
    @Test func graphsOfManyElementsOrOutputsAreRefused() {
        let chain = "graph: g\nchains: [Wire\(String(repeating: " -> Counter", count: 50_000)) -> Discard]\n"
        #expect(load(chain).codes == ["too_many_elements"])
        #expect(load(chain.replacing(" -> Counter", with: "", maxReplacements: 49_002)).codes == [])
        let names = (0..<4000).map { "r\($0)" }
        let rules = names.map { "\($0): port \($0.dropFirst())" }.joined(separator: ", ")
        let chains = (names + ["other"]).map { "c.\($0) -> d" }.joined(separator: ", ")
        let outputs =
            "graph: g\nelements: {c: {type: Classifier, rules: {\(rules)}}, d: {type: Discard}}\nchains: [Wire -> c, \(chains)]\n"
        #expect(load(outputs).codes == ["too_many_elements"])
    }

    /// A key written tens of thousands of times, and as many elements with wrong values, are refused soon.
    @Test func manyErrorsAreFoundSoon() {
        let twice = "graph: g\n" + String(repeating: "chains: [a -> b]\n", count: 40_000)
        #expect(load(twice).codes.last == "too_many_errors")
        let wrong = (0..<20_000).map { "  e\($0): {type: RecordSink, wait: maybe}\n" }.joined()
        #expect(load("graph: g\nelements:\n\(wrong)chains: []\n").codes.last == "too_many_errors")
    }

    @Test func fiveThousandElementsAreCheckedSoon() {
        let text = Self.large(5000)
        var loader = loader(["g.yaml": text])
        loader.limits.elements = 10_000
        loader.limits.outputs = 10_000
        let start = ContinuousClock.now
        let loaded = loader.loadGraph("g.yaml")
        let taken = ContinuousClock.now - start
        #expect(loaded.rendered == "")
        #expect(loaded.graph?.nodes.count == 5001)
        // It takes under a second; the bound leaves room for a debug build on a busy machine, none for quadratic work.
        #expect(taken < .seconds(30), "\(taken)")
    }
}
