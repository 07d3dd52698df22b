// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

/// Values of fields that are asked for come with their transaction.
@Suite struct HTTP1FieldValuesTests {
    private func rules(_ bytes: Int = 1024, _ base: HTTP1Rules = .brief) -> HTTP1Rules {
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
