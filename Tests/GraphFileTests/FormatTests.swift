// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import GraphFile

@Suite struct FormatTests {
    @Test func aGraphIsLaidOut() throws {
        let source = """


            # yaml-language-server: $schema=schema/graph.json
            graph:   syn-front  \u{20}
            elements:
                wire: {type: Wire}      # outside

                # sorts
                sort:
                      type: Classifier
                      rules:                               # first match wins
                          syn: tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn



                          # behind syn
                      # behind rules
                # behind sort
            chains:
            -   wire.rx->IPCheck ->sort
            # a folded one
            - sort.syn ->
                cookie.syn   ->  wire.tx
            placements:
               cookie: {nic: [wire, IPCheck@1,
                      sort], # half
                 default: host
               }


            """
        let expected = """
            # yaml-language-server: $schema=schema/graph.json
            graph:   syn-front
            elements:
              wire: {type: Wire}      # outside

              # sorts
              sort:
                type: Classifier
                rules:                               # first match wins
                  syn: tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn

                  # behind syn
                # behind rules
              # behind sort
            chains:
              - wire.rx -> IPCheck -> sort
              # a folded one
              - sort.syn ->
                cookie.syn -> wire.tx
            placements:
              cookie: {nic: [wire, IPCheck@1,
                  sort], # half
                default: host
                }

            """
        let result = try GraphFormatter.format(source)
        #expect(result == expected)
        #expect(try GraphFormatter.format(result) == result)
    }

    @Test(
        arguments: [
            // Lists of collections, and dashes with room behind them.
            ("a:\n-   x: 1\n    y: 2\n-\n      - z\n", "a:\n  - x: 1\n    y: 2\n  -\n    - z\n"),
            ("-   - 1\n    - 2\n", "- - 1\n  - 2\n"),
            // Arrows outside chains are text.
            ("about: a->b\nx:\n  chains: [a->b]\n", "about: a->b\nx:\n  chains: [a->b]\n"),
            ("chains: [a->b, 'c  ->d', \"->e->\"]\n", "chains: [a -> b, 'c -> d', \"-> e ->\"]\n"),
            ("chains:\n  - \"a->b\\x20\"\n", "chains:\n  - \"a->b\\x20\"\n"),
            ("chains:\n  - >-\n     a->\n     b  ->c\n", "chains:\n  - >-\n    a ->\n    b -> c\n"),
            // Blank lines inside a scalar are content; those kept by `+` too.
            ("a: |+\n    x\n\n\n\n# c\nb: 'p\n\n\n   q'\n", "a: |+\n  x\n\n\n\n# c\nb: 'p\n\n\n  q'\n"),
            ("a: |\n    x\n      y  \n\n\n\nb: 1\n", "a: |\n  x\n    y  \n\nb: 1\n"),
            ("a:\n    - |2\n       x\n", "a:\n  - |2\n     x\n"),
            ("a:\n- |2\n    x\n", "a:\n  - |2\n      x\n"),
            // White space behind a backslash is meant.
            ("a: \"x\\ \n    y\"\n", "a: \"x\\ \n  y\"\n"),
            ("a: \"x\\\\ \n    y\"\n", "a: \"x\\\\\n  y\"\n"),
            ("\u{FEFF}a: 1\r\nb: 2", "a: 1\nb: 2\n"),
            ("a:\n      # only a comment\nb: 1", "a:\n  # only a comment\nb: 1\n"),
            ("? a\n: b\n? - x\n: - y\n", "? a\n: b\n? - x\n: - y\n"),
            ("---\na: 1\n...\n---\nb:\n    - 1\n", "---\na: 1\n...\n---\nb:\n  - 1\n"),
            ("# nothing else\n\n\n", "# nothing else\n"),
            ("", ""), (" \n\n", ""),
        ]
    )
    func layout(source: String, expected: String) throws {
        let result = try GraphFormatter.format(source)
        #expect(result == expected)
        #expect(try GraphFormatter.format(result) == result)
    }

    @Test(
        arguments: [
            ("a: [1, 2\n", "2:1: "), ("a: 1\n b: 2\n", "2:3: "), ("a:\n\t- b\n", "2:1: "), ("a: \"x\n", "2:1: "),
            ("a: b\u{0}c\n", ""), ("a: }\n", "1:4: "),
        ]
    )
    func whatIsNotYAMLIsRefused(source: String, prefix: String) {
        #expect(throws: FormatError.self) { try GraphFormatter.format(source) }
        do { _ = try GraphFormatter.format(source) } catch { #expect("\(error)".hasPrefix(prefix), "\(error)") }
    }

    @Test func nestingAndSizeAreBounded() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: FormatError.self) { try GraphFormatter.format(deep) }
        let dashes = String(repeating: "- ", count: 100_000)
        #expect(throws: FormatError.self) { try GraphFormatter.format(dashes) }
        #expect(throws: FormatError.self) {
            try GraphFormatter.format(String(repeating: "#\n", count: GraphFormatter.maximumSize))
        }
    }

    /// Random YAML, and what becomes of it.
    private func pairs() throws -> [(String, String)] {
        var pairs: [(String, String)] = []
        for seed in 0..<3_000 as Range<UInt64> {
            let source = YAMLGenerator.document(seed: seed)
            // libyaml normalizes CRLF by itself.
            guard (try? YAMLScanner.events(source)) != nil else { continue }
            pairs.append((source, try GraphFormatter.format(source)))
        }
        #expect(pairs.count > 1_500)
        return pairs
    }

    @Test func randomTextsKeepTheirComments() throws {
        for (source, result) in try pairs() {
            #expect(try GraphFormatter.format(result) == result, "\(source)")
            #expect(comments(in: result) == comments(in: source), "\(source)")
            #expect(!result.contains("\r"))
        }
    }

    /// The judge of meaning is PyYAML's own parser, which is not libyaml.
    @Test(.enabled(if: Program.hasPython("yaml"))) func randomTextsKeepTheirMeaning() throws {
        #expect(try compareWithPyYAML(pairs()) == "")
    }

    /// Truncated and mutated texts are formatted or refused, never more.
    @Test func damagedTextsAreRefusedOrKept() throws {
        var random = Seeded(state: 7)
        var kept = 0
        for seed in 0..<150 as Range<UInt64> {
            var scalars = Array(YAMLGenerator.document(seed: seed).unicodeScalars)
            for _ in 0..<8 {
                if scalars.isEmpty { break }
                let at = Int.random(in: 0..<scalars.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: scalars.remove(at: at)
                case 1:
                    scalars.insert(
                        "\n:-?|>{}[],&*!#'\" \t\u{85}%@".unicodeScalars.randomElement(using: &random)!,
                        at: at
                    )
                default: scalars.removeSubrange(at...)
                }
                var text = String.UnicodeScalarView()
                text.append(contentsOf: scalars)
                let source = String(text)
                guard let result = try? GraphFormatter.format(source) else { continue }
                let again = try? GraphFormatter.format(result)
                #expect(again == result, "\(source.debugDescription)")
                kept += 1
            }
        }
        #expect(kept > 100)
    }

    /// The generator's comments in the order they stand.
    private func comments(in text: String) -> [Substring] {
        text.matches(of: /# c[0-9]+\./).map(\.output)
    }

    /// Compares the events of each pair; says where they differ.
    private func compareWithPyYAML(_ pairs: [(String, String)]) throws -> String {
        let script = #"""
            import json, sys, yaml
            def events(text):
                out = []
                for e in yaml.parse(text, Loader=yaml.SafeLoader):
                    value = getattr(e, "value", None)
                    if value is not None and "->" in value:
                        value = " ".join(value.replace("->", " -> ").split())
                    out.append((type(e).__name__, value, getattr(e, "anchor", None), getattr(e, "tag", None),
                                getattr(e, "style", None), bool(getattr(e, "flow_style", None))))
                return out
            for old, new in json.load(sys.stdin):
                try:
                    text = old.replace("\r\n", "\n")
                    before = events(text if text.endswith("\n") else text + "\n")
                except yaml.YAMLError:
                    continue
                try:
                    after = events(new)
                except yaml.YAMLError as error:
                    after = error
                if before != after:
                    print("DIFFERS", repr(old), repr(new), before, after)
                    break
            """#
        let input = try JSONSerialization.data(withJSONObject: pairs.map { [$0.0, $0.1] })
        let result = try Program.run("python3", ["-c", script], input: input)
        #expect(result.status == 0)
        return String(decoding: result.output, as: UTF8.self)
    }
}
