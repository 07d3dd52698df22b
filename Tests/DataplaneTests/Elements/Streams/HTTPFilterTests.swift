// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import TestSupport
import Testing

/// Records of HTTP transactions, made of packets and sorted.
@Suite struct HTTPFilterTests {
    /// A graph that sorts by these parameters, with whatever stands between parser and filter.
    private func graph(_ parameters: String, between: String = "", http: String? = nil) -> String {
        let http =
            http ?? "{type: HTTPParser, mode: lenient, request_headers: [User-Agent, X-A], response_headers: [Server]}"
        return """
            graph: g
            elements:
              wire: {type: Wire}
              flows: {type: FlowTable, capacity: 16}
              order: {type: TCPReassembler}
              http: \(http)
              pick: {type: HTTPFilter\(parameters.isEmpty ? "" : ", " + parameters)}
              yes: {type: RecordSink, file: one}
              no: {type: RecordSink, file: two}
            chains:
              - wire.rx -> flows -> order.stream -> http.records \(between)-> pick.matched -> yes
              - pick.other -> no
              - order.rest -> Discard
            """
    }

    private func check(_ graph: String) -> [Diagnostic] {
        let loader = GraphLoader(catalog: .standard, services: MemoryServices()) { _ in Array(graph.utf8) }
        return loader.loadGraph("g.yaml").diagnostics
    }

    /// What does not hold of a run.
    private func failures(_ graph: String, packets: [String], matched: [String], other: [String]) -> [String] {
        func list(_ texts: [String]) -> String { "[" + texts.map { "'\($0)'" }.joined(separator: ", ") + "]" }
        let test = """
            graph: g.yaml
            tests:
              - name: t
                in: {wire: \(list(packets))}
                out: {records: {yes: \(list(matched)), no: \(list(other))}}
            """
        let files = ["g.yaml": graph, "g.test.yaml": test]
        let loader = GraphLoader(catalog: .standard, services: MemoryServices()) { Array((files[$0] ?? "").utf8) }
        let (results, _, diagnostics) = GraphTestRunner.run("g.test.yaml", loader)
        return diagnostics.map(\.rendered) + results.flatMap(\.failures).map(\.message)
            + (results.count == 1 ? [] : ["no result"])
    }

    /// Both directions of one connection, CR LF written `|`.
    private func packets(_ request: String, _ response: String, port: Int = 1000) -> [String] {
        func text(_ text: String) -> String {
            text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\r\\n")
        }
        return [
            "10.0.0.1:\(port) > 10.0.0.2:80 A seq=1 data=\"\(text(request))\"",
            "10.0.0.2:80 > 10.0.0.1:\(port) A seq=1 data=\"\(text(response))\"",
        ]
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var parameters: String
        var request = "GET /a/b?c HTTP/1.1|Host: a.example||"
        var response = "HTTP/1.1 204 None||"
        var matches: Bool
        var testDescription: String { "\(parameters) \(request) \(response)" }

        static func yes(_ parameters: String, _ request: String? = nil, _ response: String? = nil) -> Case {
            make(parameters, request, response, true)
        }
        static func no(_ parameters: String, _ request: String? = nil, _ response: String? = nil) -> Case {
            make(parameters, request, response, false)
        }
        private static func make(_ parameters: String, _ request: String?, _ response: String?, _ matches: Bool) -> Case
        {
            var item = Case(parameters: parameters, matches: matches)
            if let request { item.request = request }
            if let response { item.response = response }
            return item
        }
    }

    private static func host(_ host: String, _ target: String = "/") -> String {
        "GET \(target) HTTP/1.1|Host: \(host)||"
    }
    private static let connect = "CONNECT a.example:443 HTTP/1.1|Host: a.example:443||"
    private static let agent = "GET / HTTP/1.1|Host: a|User-Agent: curl/8.5|X-A: 1|x-a: two||"

    static let cases: [Case] = [
        .yes(""), .yes("status: ''"), .yes("status: []"), .yes("", "GET /|", ""),
        // Method.
        .yes("method: GET"), .yes("method: [POST, GET]"), .no("method: [POST, get]"), .no("method: 'G*'"),
        .no("method: GET", "", "HTTP/1.1 204 None||"),
        // Host.
        .yes("host: a.example"), .yes("host: 'A.EX*'"), .yes("host: [b, '?.example']"), .no("host: example"),
        .yes("host: a.example", host("A.example:8080")), .yes("host: '*:8080'", host("a.example:8080")),
        .no("host: 'a.example:80'", host("a.example:8080")), .no("host: 'a.example:80'"),
        .yes("host: '[2001:db8::1]'", host("[2001:DB8::1]:8080")), .yes("host: '[2001:*'", host("[2001:db8::1]")),
        .yes("host: '[2001:db8::1]:80'", host("[2001:db8::1]:80")),
        .no("host: '[2001:db8::1]:80'", host("[2001:db8::1]")),
        .no("host: '*'", "GET / HTTP/1.0||"), .no("host: '*'", "GET / HTTP/1.1|Host:||"),
        .yes("host: b.example", host("a.example", "http://u@b.example:81/")),
        .no("host: a.example", host("a.example", "http://b.example/")),
        .yes("host: a.example", connect, "HTTP/1.1 200 OK||"), .yes("host: '*:443'", connect, "HTTP/1.1 200 OK||"),
        // Path.
        .yes("path: '/a/*'"), .yes("path: /a/b"), .no("path: '/a'"), .no("path: '/A/b'"), .no("path: '*c*'"),
        .yes("path: /x", host("a", "http://b/x?y")), .yes("path: /", host("a", "http://b")),
        .no("path: '*'", connect, "HTTP/1.1 200 OK||"), .no("path: '*'", "OPTIONS * HTTP/1.1|Host: a||"),
        .no("path: '*'", "", "HTTP/1.1 204 None||"),
        // Fields.
        .yes("header: 'user-agent: CURL/*'", agent), .no("header: 'User-Agent: curl'", agent),
        .no("header: 'User-Agent: *'"),
        .yes("header: ['User-Agent: no', 'X-A: 1, two']", agent), .no("response_header: 'Server: *'", agent),
        .yes("response_header: 'Server:  n*x '", nil, "HTTP/1.1 204 None|server: NginX||"),
        .yes("response_header: 'Server: *'", nil, "HTTP/1.1 204 None|server:||"),
        // Status.
        .yes("status: 204"), .yes("status: 2xx"), .yes("status: 200-204"), .yes("status: [404, 2XX]"),
        .no("status: 205-299"),
        .no("status: [1xx, 3xx-4xx]".replacing("3xx-4xx", with: "300-999")), .no("status: 100-999", nil, ""),
        // All together.
        .yes("method: GET, host: a.example, path: /a/b, status: 2xx"),
        .no("method: GET, host: a.example, path: /a/b, status: 4xx"),
        .no("method: GET, host: a.example, path: /b, status: 2xx"),
    ]

    @Test(arguments: cases)
    func records(_ item: Case) {
        let packets = packets(item.request, item.response).filter { !$0.hasSuffix("data=\"\"") }
        let found = failures(
            graph(item.parameters),
            packets: packets,
            matched: item.matches ? [""] : [],
            other: item.matches ? [] : [""]
        )
        #expect(found == [])
    }

    @Test(arguments: ["", "-> Coalescer "])
    func everyRecordIsSorted(_ between: String) {
        let requests = (0..<5).map { "GET /\($0) HTTP/1.1|Host: a||" }.joined()
        let responses = (0..<5).map { "HTTP/1.1 20\($0) X|Content-Length: 0|Server: s\($0)||" }.joined()
        let found = failures(
            graph("status: ['201', '203']", between: between),
            packets: packets(requests, responses),
            matched: ["target=/1 response_server=s1 request_user_agent=", "target=/3 response_server=s3"],
            other: ["target=/0 status=200", "target=/2", "target=/4 error="]
        )
        #expect(found == [])
    }

    /// Values that cannot be meant, at their place.
    @Test(
        arguments: [
            ("status: [5xx, 99]", "'99' is no status: a code from 100 to 999, a range 500-599 or a class 5xx", "99"),
            (
                "status: 599-500", "'599-500' is no status: a code from 100 to 999, a range 500-599 or a class 5xx",
                "599"
            ),
            ("status: 0xx", "'0xx' is no status: a code from 100 to 999, a range 500-599 or a class 5xx", "0xx"),
            ("header: ['A: b', accept]", "'accept' has no colon between name and pattern", "accept"),
            ("header: 'a b: c'", "'a b' cannot be the name of a header field", "'a b: c'"),
            ("header: 'a: '", "'a: ' has no pattern behind the colon; '*' takes every value", "'a: '"),
            ("host: [b, '']", "a pattern is empty", "''"),
            ("host: 'http://b/'", "'http://b/' matches no host: write neither scheme nor path", "'http"),
            ("host: '2001:db8::1'", "'2001:db8::1' matches no host: IPv6 addresses stand in brackets", "'2001"),
            ("path: a/b", "'a/b' matches no path: they begin with '/'", "a/b"),
            ("method: 'GET /'", "'GET /' cannot be a method", "'GET"),
        ]
    )
    func flaws(_ parameters: String, _ message: String, _ start: String) {
        let found = check(graph(parameters))
        #expect(found.map(\.message) == [message])
        let lines = graph(parameters).split(separator: "\n", omittingEmptySubsequences: false)
        let rest = lines[(found.first?.line ?? 1) - 1].dropFirst((found.first?.column ?? 1) - 1)
        #expect(rest.hasPrefix(start))
    }

    @Test func aHeaderNeedsItsColumn() {
        let found = check(
            graph("header: ['Accept: *', 'User-Agent: *'], response_header: 'Via: *'", between: "-> Coalescer ")
        )
        #expect(found.map(\.code) == ["missing_column", "missing_column"])
        #expect(
            found.map { $0.suggestion ?? "" } == [
                "an HTTPParser has it with 'request_headers: [Accept]'",
                "an HTTPParser has it with 'response_headers: [Via]'",
            ]
        )
    }

    /// Columns that HTTPParser cannot have.
    @Test(
        arguments: [
            ("request_headers: [X-A, x_a]", "records would have two columns 'request_x_a'"),
            ("request_headers: [Body-Bytes]", "records would have two columns 'request_body_bytes'"),
            ("response_headers: ['a b']", "'a b' cannot be the name of a header field"),
            (
                "response_headers: [a, b, c], header_bytes: 16 KiB",
                "3 header fields of up to 16 KiB are too much for a record, at most 32 KiB"
            ),
        ]
    )
    func columns(_ parameters: String, _ message: String) {
        let found = check(graph("", http: "{type: HTTPParser, \(parameters)}"))
        #expect(found.map(\.message) == [message])
    }
}
