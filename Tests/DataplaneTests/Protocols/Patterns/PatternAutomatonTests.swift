// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

@Suite struct PatternAutomatonTests {
    private struct Found: Hashable, Comparable {
        var end: Int
        var pattern: Int
        static func < (a: Found, b: Found) -> Bool { (a.end, a.pattern) < (b.end, b.pattern) }
    }

    /// What comparing every pattern at every place finds.
    private func naive(_ patterns: [[UInt8]], _ text: [UInt8], ignoresCase: Bool = false) -> [Found] {
        func fold(_ bytes: [UInt8]) -> [UInt8] {
            ignoresCase ? bytes.map { (65...90).contains($0) ? $0 + 32 : $0 } : bytes
        }
        let text = fold(text)
        var found: [Found] = []
        for (number, pattern) in patterns.map(fold).enumerated() where pattern.count <= text.count {
            for start in 0...(text.count - pattern.count)
            where text[start..<start + pattern.count].elementsEqual(pattern) {
                found.append(Found(end: start + pattern.count, pattern: number))
            }
        }
        return found.sorted()
    }

    /// What the automaton finds, and the state it ends in.
    private func search(_ automaton: PatternAutomaton, _ text: [UInt8], cuts: [Int] = []) -> ([Found], UInt32) {
        var found: [Found] = []
        var state: UInt32 = 0
        var start = 0
        for end in cuts + [text.count] {
            // Memory of its own, so that a read beyond it does not find what follows.
            let piece = Array(text[start..<end])
            piece.withUnsafeBytes { bytes in
                var search = PatternSearch(automaton, bytes, from: state)
                while search.next() {
                    var suffix = search.state
                    repeat {
                        if let pattern = automaton.pattern(at: suffix) {
                            found.append(Found(end: start + search.position, pattern: pattern))
                        }
                        suffix = automaton.suffix(of: suffix)
                    } while suffix != 0
                }
                state = search.state
            }
            start = end
        }
        return (found.sorted(), state)
    }

    private func random(_ generator: inout Generator, _ count: ClosedRange<Int>, _ alphabet: [UInt8]) -> [UInt8] {
        (0..<Int.random(in: count, using: &generator)).map { _ in alphabet.randomElement(using: &generator)! }
    }

    /// Small alphabets make patterns overlap, contain and begin each other; each text is cut at every place, and into
    /// bytes.
    @Test(arguments: 0..<60)
    func findsWhatANaiveSearchFinds(_ seed: Int) throws {
        var generator = Generator(state: UInt64(seed))
        let alphabet = Array([UInt8(ascii: "a"), UInt8(ascii: "B"), 0, 0xff, UInt8(ascii: "A")].prefix(2 + seed % 4))
        // Lists whose shortest pattern has one byte up to more than a gram.
        let least = 1 + seed % 9
        var patterns: [[UInt8]] = []
        for _ in 0..<Int.random(in: 1...12, using: &generator) {
            let pattern = random(&generator, least...(least + 5), alphabet)
            if !patterns.contains(pattern) { patterns.append(pattern) }
        }
        // With a row for every state, for some, and for the first alone.
        let rowBytes = [1 << 20, 256, 0][seed / 20]
        let automaton = try PatternAutomaton(patterns, ignoresCase: false, rowBytes: rowBytes)
        for _ in 0..<6 {
            var text = random(&generator, 0...70, alphabet)
            if let pattern = patterns.randomElement(using: &generator) { text += pattern + text.prefix(3) }
            let expected = naive(patterns, text)
            let whole = search(automaton, text)
            #expect(whole.0 == expected)
            for cut in 0...text.count {
                let cut = search(automaton, text, cuts: [cut])
                #expect(cut.0 == expected)
                #expect(cut.1 == whole.1)
            }
            let bytes = search(automaton, text, cuts: Array(1..<max(1, text.count)))
            #expect(bytes.0 == expected)
            #expect(bytes.1 == whole.1)
        }
    }

    /// Long patterns in text in which they are rare, so that the filter jumps; their beginnings and parts are strewn
    /// in.
    @Test(arguments: [(4, 1000), (8, 1000), (12, 100), (30, 3), (3, 200), (5, 9000)])
    func findsWhatIsRare(_ shortest: Int, _ count: Int) throws {
        var generator = Generator(state: UInt64(shortest * count))
        let all = Array(UInt8.min...UInt8.max)
        let patterns = Array(Set((0..<count).map { _ in random(&generator, shortest...(shortest + 20), all) }))
        let automaton = try PatternAutomaton(patterns, ignoresCase: false)
        let known = Dictionary(uniqueKeysWithValues: patterns.enumerated().map { ($1, $0) })
        for _ in 0..<20 {
            var text: [UInt8] = []
            var expected: Set<Found> = []
            for _ in 0..<40 {
                text += random(&generator, 0...60, all)
                let pattern = patterns.randomElement(using: &generator)!
                if Bool.random(using: &generator) {
                    text += pattern
                    expected.insert(Found(end: text.count, pattern: known[pattern]!))
                } else {
                    text += pattern.dropLast().dropFirst(Int.random(in: 0...2, using: &generator))
                }
            }
            let cuts = (0..<5).map { _ in Int.random(in: 0...text.count, using: &generator) }.sorted()
            let found = search(automaton, text, cuts: cuts).0
            #expect(expected.isSubset(of: found))
            #expect(found == search(automaton, text).0)
            // Nothing that is not there.
            for one in found {
                #expect(text[..<one.end].suffix(patterns[one.pattern].count).elementsEqual(patterns[one.pattern]))
            }
            if count <= 200 { #expect(found == naive(patterns, text)) }
        }
    }

    @Test func caseOfASCIIOnly() throws {
        let patterns: [[UInt8]] = [Array("SeLect".utf8), [0xc4, 0x41, 0x5b, 0x7b], Array("@b[c".utf8)]
        let automaton = try PatternAutomaton(patterns, ignoresCase: true)
        for text in ["xselectX", "SELECT", "sElEcTselect", "`b{c", "@B[C"] {
            #expect(search(automaton, Array(text.utf8)).0 == naive(patterns, Array(text.utf8), ignoresCase: true))
        }
        let other: [UInt8] = [0xc4, 0x61, 0x5b, 0x7b, 0xe4, 0x61, 0x5b, 0x7b]
        #expect(search(automaton, other).0 == [Found(end: 4, pattern: 1)])
    }

    @Test func textForm() throws {
        var list = PatternList()
        try list.add(#"a\x00\xfF\\\n\r\tz"#)
        try list.add("ü")
        _ = list.add(lines: Array("one\r\n\n\\x41 b \nlast".utf8), of: "list")
        #expect(
            list.patterns == [
                [0x61, 0, 0xff, 0x5c, 0x0a, 0x0d, 0x09, 0x7a], [0xc3, 0xbc], Array("one".utf8), Array("A b ".utf8),
                Array("last".utf8),
            ]
        )
    }

    @Test(arguments: [
        (#"a\x4"#, #"the pattern 'a\x4' has a '\x' without two hexadecimal digits"#),
        (#"a\q"#, #"the pattern 'a\q' has a backslash before none of x, n, r, t and \"#),
        ("", "the pattern '' is empty"),
        (#"\"#, #"the pattern '\' has a backslash before none of x, n, r, t and \"#),
    ])
    func errors(_ text: String, _ message: String) {
        var list = PatternList()
        let failure = #expect(throws: PatternList.Failure.self) { try list.add(text) }
        #expect(failure?.message == message)
    }

    /// All that is wrong with a file is said, with its lines.
    @Test func filesAreReadToTheEnd() throws {
        var list = PatternList()
        try list.add("abc")
        let failures = list.add(lines: Array("x\\q\nABC\n\\x1\nend\n".utf8), of: "f")
        #expect(
            failures.map(\.message.description).map { $0.prefix(28) } == [
                "the pattern in line 1 of 'f'", "the pattern in line 3 of 'f'",
            ]
        )
        #expect(list.duplicates(ignoringCase: false).isEmpty)
        #expect(
            list.duplicates(ignoringCase: true).map(\.message) == [
                "the pattern in line 2 of 'f' is the same as the pattern 'abc'"
            ]
        )
    }

    @Test func limits() throws {
        var list = PatternList()
        #expect(throws: PatternList.Failure.self) { try list.add(String(repeating: "x", count: 1025)) }
        var lines: [UInt8] = []
        for number in 0..<65_537 { lines += Array("\(number)\n".utf8) }
        #expect(list.add(lines: lines, of: "list").map(\.message) == ["there are more than 65536 patterns"])
        let long = (0..<257).map { number in Array("\(number)".utf8) + Array(repeating: UInt8(0), count: 1020) }
        let bytes = #expect(throws: PatternList.Failure.self) { try PatternAutomaton(long, ignoresCase: false) }
        #expect(bytes?.message.hasSuffix("bytes together; 262144 are the most") == true)
        let twice = #expect(throws: PatternList.Failure.self) {
            try PatternAutomaton([Array("Ab".utf8), Array("aB".utf8)], ignoresCase: true)
        }
        #expect(twice?.message == "pattern 1 is the same as pattern 0")
    }

    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            return mix64(state)
        }
    }
}
