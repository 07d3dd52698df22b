// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

/// What HTTPFilter is made of: patterns, request-targets, and the values of fields.
@Suite struct HTTPFilterPartTests {
    private func withBytes<R>(_ text: String, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        // A block of exactly this size, so that reading beyond it shows.
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
        defer { block.deallocate() }
        block.copyBytes(from: text.utf8)
        return body(UnsafeRawBufferPointer(block))
    }

    private func matches(_ pattern: String, _ text: String, _ mode: GlobList.Mode = .exact) -> Bool {
        withBytes(text) { GlobList(["x", pattern, ""], mode).matches(1, $0) }
    }

    // MARK: Patterns

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

    // MARK: Targets

    struct TargetCase: Sendable {
        var method = "GET"
        var target: String
        var authority: String?
        var path: String?
    }

    @Test(
        arguments: [
            TargetCase(target: "/a/b?c=/d", path: "/a/b"),
            TargetCase(target: "/", path: "/"),
            TargetCase(target: "//a/b", path: "//a/b"),
            TargetCase(target: "/a:b", path: "/a:b"),
            TargetCase(target: "/?x", path: "/"),
            TargetCase(target: "http://a.example:8080/b/c?d", authority: "a.example:8080", path: "/b/c"),
            TargetCase(target: "HTTP://a/", authority: "a", path: "/"),
            TargetCase(target: "http://a", authority: "a", path: "/"),
            TargetCase(target: "http://a?b/c", authority: "a", path: "/"),
            TargetCase(target: "http://user:pass@[2001:db8::1]:80/x", authority: "[2001:db8::1]:80", path: "/x"),
            TargetCase(target: "http://", authority: "", path: "/"),
            TargetCase(target: "http:/", path: "/"),
            TargetCase(target: "urn:a:b", path: "a:b"),
            TargetCase(method: "CONNECT", target: "a.example:443", authority: "a.example:443"),
            TargetCase(method: "OPTIONS", target: "*"),
            TargetCase(method: "OPTIONS", target: "http://a", authority: "a"),
            TargetCase(method: "OPTIONS", target: "http://a/", authority: "a", path: "/"),
            TargetCase(method: "connect", target: "/x", path: "/x"),
            TargetCase(target: "*x", path: "*x"),
            TargetCase(target: "index.html", path: "index.html"),
            TargetCase(target: ""),
        ]
    )
    func targets(_ item: TargetCase) {
        withBytes(item.target) { target in
            withBytes(item.method) { method in
                let parts = HTTP1Target(target, method: method)
                #expect(parts.authority.map { latin($0) } == item.authority)
                #expect(parts.path.map { latin($0) } == item.path)
            }
        }
    }

    @Test(
        arguments: [
            ("a.example", "a.example"), ("a.example:80", "a.example"), ("a.example:", "a.example"),
            ("[2001:db8::1]", "[2001:db8::1]"), ("[2001:db8::1]:443", "[2001:db8::1]"), ("*:80", "*"),
            ("[2001:*", "[2001:*"), ("*]:80", "*]"), ("", ""), (":80", ""),
        ]
    )
    func hostsEndBeforeTheirPort(_ authority: String, _ host: String) {
        #expect(
            String(decoding: Array(authority.utf8)[..<HTTP1Target.hostEnd(Array(authority.utf8))], as: UTF8.self)
                == host
        )
    }

    // MARK: Fields

    private func rules(_ bytes: Int = 1024, _ base: HTTP1Rules = .strict) -> HTTP1Rules {
        var rules = base
        rules.keptFields.request = ["User-Agent", "accept", "X"]
        rules.keptFields.response = ["SERVER"]
        rules.keptFields.valueBytes = bytes
        return rules
    }

    private func transactions(
        _ pieces: [(HTTP1Side, String)],
        _ rules: HTTP1Rules,
        memory: HTTP1Memory = HTTP1Memory()
    ) -> [HTTP1Log.Transaction] {
        var feed = HTTP1Feed(rules, memory: memory)
        for (side, text) in pieces { feed.take(side, text) }
        feed.close()
        #expect(memory.used == 0)
        return feed.log.transactions
    }

    @Test func valuesComeWithTheirTransaction() {
        // Both requests are there before the first response.
        let found = transactions(
            [
                (.request, "GET /1 HTTP/1.1\r\nuser-agent:  a b \r\nAccept: x\r\nX:\r\nACCEPT:y, z\r\n\r\n"),
                (.request, "GET /2 HTTP/1.1\r\nX: "), (.request, "2\r\nUser-Agents: no\r\n\r\n"),
                (.response, "HTTP/1.1 100 Go\r\nServer: no\r\n\r\nHTTP/1.1 204 None\r\nServer: s1\r\n\r\n"),
                (.response, "HTTP/1.1 204 None\r\nserver: s2\r\nServer: \r\nserver: s3\r\n\r\n"),
            ],
            rules()
        )
        #expect(found.map(\.requestFields) == [["a b", "x, y, z", ""], [nil, nil, "2"]])
        #expect(found.map(\.responseFields) == [["s1"], ["s2, , s3"]])
    }

    @Test func longValuesAreCut() {
        let found = transactions(
            [(.request, "GET / HTTP/1.1\r\nX: 12345\r\nAccept: 1234\r\nUser-Agent: 1\r\nUser-Agent: 23\r\n\r\n")],
            rules(4)
        )
        #expect(found.map(\.requestFields) == [["1, 2", "1234", "1234"]])
    }

    @Test func foldsAreSpaces() {
        let found = transactions(
            [
                (.request, "GET / HTTP/1.1\r\nX: a\r\n  b\r\n\r\n"),
                (.response, "HTTP/1.1 204 None\r\nServer: a\rb\r\n\r\n"),
            ],
            rules(1024, .lenient)
        )
        #expect(found.map { $0.requestFields[2] } == ["a    b"] && found.map(\.responseFields) == [["a b"]])
    }

    /// An answer that came before its request was whole, and what a lost memory leaves.
    @Test func valuesOfEarlyAnswers() {
        let found = transactions(
            [
                (.request, "POST / HTTP/1.1\r\nX: 1\r\n"),
                (.response, "HTTP/1.1 408 Slow\r\nServer: s\r\nContent-Length: 0\r\n\r\n"),
                (.request, "\r\n"),
            ],
            rules()
        )
        #expect(found.map(\.requestFields) == [[nil, nil, "1"]] && found.map(\.responseFields) == [["s"]])
    }

    /// A response that came before the rest of its request is told once, though another came behind it.
    @Test func anEarlyAnswerIsToldOnce() {
        let found = transactions(
            [
                (.request, "POST / HTTP/1.1\r\nX: 1\r\n"),
                (.response, "HTTP/1.1 408 Slow\r\nServer: s\r\nContent-Length: 0\r\n\r\n"),
                (.response, "HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 0\r\n\r\n"),
                (.request, "\r\nGET / HTTP/1.1\r\n\r\n"),
                (.response, "HTTP/1.1 204 None\r\n\r\n"),
            ],
            rules()
        )
        #expect(found.map(\.method) == ["", "POST", "GET"] && found.map(\.status) == [200, 408, 204])
        #expect(found.map(\.responseFields) == [["t"], ["s"], []])
    }

    @Test func withoutMemoryThereIsAnError() {
        let value = String(repeating: "v", count: 3000)
        let found = transactions(
            [
                (.request, "GET / HTTP/1.1\r\nX: \(value)\r\n\r\n"),
                (.response, "HTTP/1.1 204 None\r\nServer: s\r\n\r\n"),
            ],
            rules(4000),
            memory: HTTP1Memory(limit: 2048)
        )
        #expect(found.map(\.error) == [.noMemory] && found.map(\.status) == [204])
        #expect(found.map(\.requestFields) == [[]] && found.map(\.responseFields) == [["s"]])
    }

    @Test func valuesDoNotDependOnCuts() {
        let text = "GET / HTTP/1.1\r\nX: 1\r\nx: 2\r\nAccept: a\r\n\r\n"
        let whole = transactions([(.request, text)], rules())
        #expect(whole.map(\.requestFields) == [[nil, "a", "1, 2"]])
        for at in 1..<text.utf8.count {
            let pieces = [String(text.utf8.prefix(at))!, String(text.utf8.dropFirst(at))!]
            #expect(transactions(pieces.map { (.request, $0) }, rules()) == whole)
        }
    }
}
