// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

@Suite struct GlobListTests {
    private func matches(_ pattern: String, _ text: String, _ mode: GlobList.Mode = .exact) -> Bool {
        withBytes(text) { GlobList(["x", pattern, ""], mode).matches(1, $0) }
    }

    /// The definition, tried at every place.
    private func isMatch(_ pattern: Substring, _ text: Substring) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        if first == "*" {
            return text.indices.contains { isMatch(pattern.dropFirst(), text[$0...]) }
                || isMatch(pattern.dropFirst(), "")
        }
        return text.first.map { first == "?" || first == $0 } ?? false && isMatch(pattern.dropFirst(), text.dropFirst())
    }

    @Test func patternsAgreeWithTheirDefinition() {
        func words(_ letters: String, _ most: Int) -> [String] {
            var all = [""]
            var last = [""]
            for _ in 0..<most {
                last = last.flatMap { word in letters.map { word + String($0) } }
                all += last
            }
            return all
        }
        let texts = words("ab*", 4)
        var found = 0
        for pattern in words("ab*?", 4) {
            for text in texts {
                let expected = isMatch(pattern[...], text[...])
                found += expected ? 1 : 0
                if matches(pattern, text) != expected { Issue.record("\(pattern) \(text)") }
            }
        }
        #expect(found > 1000)
    }

    @Test func caseAndStarsByMode() {
        #expect(matches("A*z", "a bZ", .ignoringCase))
        #expect(!matches("A*z", "a bZ"))
        #expect(!matches("[", "{", .ignoringCase) && !matches("@", "`", .ignoringCase))
        #expect(matches("a*", "a*", .literal) && !matches("a*", "ab", .literal) && !matches("a?", "ab", .literal))
    }

    /// With as many stars as there can be and no match: tried at every place, this would not end.
    @Test func manyStarsAreNoTrap() {
        let text = String(repeating: "a", count: 16_384)
        #expect(!matches(String(repeating: "*a", count: 500) + "*b", text))
        #expect(matches(String(repeating: "*a", count: 500) + "*", text))
    }
}
