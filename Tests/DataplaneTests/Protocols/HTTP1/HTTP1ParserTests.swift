// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

/// Requests that one recipient could read differently from another, and how each mode decides.
@Suite struct HTTP1StrictnessTests {
    struct Case: CustomTestStringConvertible {
        var side = HTTP1Side.request
        var text: String
        var error: HTTP1Error
        var position: UInt64
        /// What the lenient mode says; nil when it accepts.
        var lenient: HTTP1Error?
        var testDescription: String { "\(error.name) \(text.debugDescription)" }
    }

    private static func request(
        _ text: String,
        _ error: HTTP1Error,
        _ position: UInt64,
        lenient: HTTP1Error? = nil
    ) -> Case { Case(text: text, error: error, position: position, lenient: lenient) }

    private static func response(
        _ text: String,
        _ error: HTTP1Error,
        _ position: UInt64,
        lenient: HTTP1Error? = nil
    ) -> Case { Case(side: .response, text: text, error: error, position: position, lenient: lenient) }

    private static let post = "POST / HTTP/1.1\r\n"
    private static let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

    static let cases: [Case] = [
        request("GET / HTTP/1.1\n\n", .bareLF, 14),
        request("GET / HTTP/1.1\r\nA: b\n\r\n", .bareLF, 20),
        request("GET / HTTP/1.1\r\nA: b\r\n\n", .bareLF, 22),
        request("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", .bareCR, 20),
        request("GET / HTTP/1.1\r\nA\r: b\r\n\r\n", .bareCR, 17, lenient: nil),
        request("GET /\rx HTTP/1.1\r\n\r\n", .bareCR, 5),
        request("\rGET / HTTP/1.1\r\n\r\n", .bareCR, 0),
        request("GET / HTTP/1.1\r\n A: b\r\n\r\n", .spaceBeforeFirstField, 16),
        request("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", .obsoleteFold, 22),
        request("GET / HTTP/1.1\r\nA : b\r\n\r\n", .spaceBeforeColon, 17),
        request("GET / HTTP/1.1\r\nA\t: b\r\n\r\n", .spaceBeforeColon, 17),
        request("GET / HTTP/1.1\r\nA B: c\r\n\r\n", .badFieldName, 17),
        request("GET / HTTP/1.1\r\n: b\r\n\r\n", .badFieldName, 16),
        request("GET / HTTP/1.1\r\nA\r\n\r\n", .badFieldName, 17),
        request("GET / HTTP/1.1\r\nA\u{0}: b\r\n\r\n", .badFieldName, 17),
        request("GET / HTTP/1.1\r\nA(): b\r\n\r\n", .badFieldName, 17),
        request("GET / HTTP/1.1\r\nA: \u{0}\r\n\r\n", .badFieldValue, 19),
        request("GET / HTTP/1.1\r\nA: b\u{7f}\r\n\r\n", .badFieldValue, 20),
        request("GET  / HTTP/1.1\r\n\r\n", .badTarget, 4),
        request("GET /  HTTP/1.1\r\n\r\n", .badVersion, 6),
        request("GET / HTTP/1.1 \r\n\r\n", .badVersion, 6),
        request("GET /a b HTTP/1.1\r\n\r\n", .badVersion, 7),
        request("GET\t/ HTTP/1.1\r\n\r\n", .badMethod, 3),
        request(" GET / HTTP/1.1\r\n\r\n", .badMethod, 0),
        request("G{T / HTTP/1.1\r\n\r\n", .badMethod, 1, lenient: .badMethod),
        request("GET /\u{7f} HTTP/1.1\r\n\r\n", .badTarget, 5),
        request("GET http://a@b@c/ HTTP/1.1\r\n\r\n", .badTarget, 14),
        request("GET http:/a HTTP/1.1\r\n\r\n", .badTarget, 10),
        request("GET http:/ HTTP/1.1\r\n\r\n", .badTarget, 10),
        request("GET /\r\n\r\n", .badVersion, 5, lenient: .badTarget),
        request("GET / HTTP/2.0\r\n\r\n", .badVersion, 6),
        request("GET / HTTP/0.9\r\n\r\n", .badVersion, 6),
        request("GET / http/1.1\r\n\r\n", .badVersion, 6, lenient: .badVersion),
        request("GET / HTTP/1.10\r\n\r\n", .badVersion, 6, lenient: .badVersion),
        request("GET / HTTP/01.1\r\n\r\n", .badVersion, 6, lenient: .badVersion),
        request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .http2Preface, 0, lenient: .http2Preface),
        request("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", .repeatedHost, 25),
        request("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", .badHost, 23),
        request("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", .obsoleteFold, 25, lenient: .obsoleteFold),
        // Lengths.
        request(post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", .repeatedLength, 36),
        request(
            post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
            .repeatedLength,
            36,
            lenient: .repeatedLength
        ),
        request(post + "Content-Length: 1, 1\r\n\r\na", .repeatedLength, 34),
        request(post + "Content-Length: 1, 2\r\n\r\na", .repeatedLength, 34, lenient: .repeatedLength),
        request(post + "Content-Length: +1\r\n\r\na", .badLength, 33, lenient: .badLength),
        request(post + "Content-Length: -1\r\n\r\na", .badLength, 33, lenient: .badLength),
        request(post + "Content-Length: 0x1\r\n\r\na", .badLength, 34, lenient: .badLength),
        request(post + "Content-Length: 1_0\r\n\r\na", .badLength, 34, lenient: .badLength),
        request(post + "Content-Length: 1 0\r\n\r\na", .badLength, 34, lenient: .badLength),
        request(post + "Content-Length: \r\n\r\na", .badLength, 33, lenient: .badLength),
        request(post + "Content-Length: 9223372036854775808\r\n\r\n", .lengthOverflow, 51, lenient: .lengthOverflow),
        request(post + "Content-Length: 1\r\n 0\r\n\r\na", .obsoleteFold, 36, lenient: .obsoleteFold),
        // Codings.
        request(post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .lengthAndCoding, 36),
        request(post + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", .lengthAndCoding, 45),
        request(post + "Transfer-Encoding: chunked, gzip\r\n\r\n", .codingNotChunked, 53),
        request(post + "Transfer-Encoding: identity\r\n\r\n", .codingNotChunked, 48),
        request(post + "Transfer-Encoding: xchunked\r\n\r\n", .codingNotChunked, 48),
        request(post + "Transfer-Encoding: chunked, chunked\r\n\r\n", .repeatedCoding, 45, lenient: .repeatedCoding),
        request(post + "Transfer-Encoding: chunked;a=b\r\n\r\n", .badCoding, 36, lenient: .badCoding),
        request(post + "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", .badCoding, 36),
        request(post + "Transfer-Encoding: \"chunked\"\r\n\r\n", .badCoding, 36, lenient: .badCoding),
        request(post + "Transfer-Encoding: \u{b}chunked\r\n\r\n", .badFieldValue, 36, lenient: .badCoding),
        request(post + "Transfer-Encoding:\r\n\r\n", .badCoding, 35),
        request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .codingInHTTP10, 17),
        request("GET / HTTP/1.1\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n", .dataAfterClose, 37),
        request("GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", .dataAfterClose, 18),
        // Chunks.
        request(chunked + "0x1\r\na\r\n0\r\n\r\n", .badChunkSize, 48, lenient: .badChunkSize),
        request(chunked + "1_0\r\na\r\n0\r\n\r\n", .badChunkSize, 48, lenient: .badChunkSize),
        request(chunked + "+1\r\na\r\n0\r\n\r\n", .badChunkSize, 47, lenient: .badChunkSize),
        request(chunked + "-1\r\na\r\n0\r\n\r\n", .badChunkSize, 47, lenient: .badChunkSize),
        request(chunked + " 1\r\na\r\n0\r\n\r\n", .badChunkSize, 47, lenient: .badChunkSize),
        request(chunked + "1 \r\na\r\n0\r\n\r\n", .badChunkSize, 49),
        request(chunked + "\r\na\r\n0\r\n\r\n", .badChunkSize, 47, lenient: .badChunkSize),
        request(chunked + ";a\r\na\r\n0\r\n\r\n", .badChunkSize, 47, lenient: .badChunkSize),
        request(chunked + "8000000000000000\r\n", .chunkSizeOverflow, 62, lenient: .chunkSizeOverflow),
        request(chunked + "10000000000000000\r\n", .chunkSizeOverflow, 63, lenient: .chunkSizeOverflow),
        request(chunked + "1\na\r\n0\r\n\r\n", .bareLF, 48),
        request(chunked + "1\r\na\n0\r\n\r\n", .badChunkEnd, 51),
        request(chunked + "1\r\naX\r\n0\r\n\r\n", .badChunkEnd, 51, lenient: .badChunkEnd),
        request(chunked + "1\r\na\rX0\r\n\r\n", .badChunkEnd, 52, lenient: .badChunkEnd),
        request(chunked + "1\rX", .bareCR, 48, lenient: .bareCR),
        request(chunked + "1;\r\na\r\n0\r\n\r\n", .badChunkExtension, 49),
        request(chunked + "1;a\u{0}\r\na\r\n0\r\n\r\n", .badChunkExtension, 50),
        request(chunked + "1;a=\r\na\r\n0\r\n\r\n", .badChunkExtension, 51),
        request(chunked + "1;a\na\r\n0\r\n\r\n", .bareLF, 50),
        request(chunked + "1;a=\"b\n\"\r\na\r\n0\r\n\r\n", .bareLF, 53),
        request(chunked + "1;a=\"b\" c\r\na\r\n0\r\n\r\n", .badChunkExtension, 55),
        request(chunked + "0\r\nA : b\r\n\r\n", .spaceBeforeColon, 51),
        request(chunked + "0\r\nA: b\n\r\n", .bareLF, 54),
        // Responses.
        response("HTTP/1.1  200 OK\r\n\r\n", .badStatus, 9),
        response("HTTP/1.1 20 OK\r\n\r\n", .badStatus, 11, lenient: .badStatus),
        response("HTTP/1.1 2000 OK\r\n\r\n", .badStatus, 12, lenient: .badStatus),
        response("HTTP/1.1 099 OK\r\n\r\n", .badStatus, 9, lenient: .badStatus),
        response("HTTP/1.1 200 O\u{1}K\r\n\r\n", .badReason, 14),
        response("HTTP/2.0 200 OK\r\n\r\n", .badVersion, 0),
        response("XTTP/1.1 200 OK\r\n\r\n", .badVersion, 0, lenient: .badVersion),
        response("HTTP/1.1\r\n\r\n", .badStatus, 8, lenient: .badStatus),
        response(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            .lengthAndCoding,
            36
        ),
        response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .codingInHTTP10, 17),
        response("HTTP/1.1 204 No\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", .dataAfterClose, 38),
    ]

    @Test(arguments: cases)
    func whatCouldBeReadDifferentlyIsAnError(_ each: Case) {
        var feed = HTTP1Feed()
        feed.take(each.side, each.text)
        #expect(
            feed.log.events.last(where: { if case .failed = $0 { true } else { false } })
                == .failed(each.side, each.error, each.position)
        )
        feed.close()
        var lenient = HTTP1Feed(.lenient)
        lenient.take(each.side, each.text)
        #expect(lenient.log.failures == (each.lenient.map { [$0] } ?? []))
        lenient.close()
    }

    /// Each rule accepts what it says, and alone.
    @Test(arguments: [
        ("GET / HTTP/1.1\nA: b\n\n", HTTP1Leniency.bareLF),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", .bareCR),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", .folds),
        ("GET / HTTP/1.1\r\nA \t: b\r\n\r\n", .spaceBeforeColon),
        (" GET \t /a b\t HTTP/1.1 \r\n\r\n", .spaces),
        ("GET /\u{1} HTTP/1.1\r\nA(): b\u{0}\r\n\r\n", .bytes),
        ("GET / HTTP/1.1\r\njunk\r\n\r\n", .junkLines),
        ("GET / HTTP/3.1\r\n\r\n", .versions),
        ("GET / HTTP/1.1\r\nContent-Length: 1, 1\r\nContent-Length: 1\r\n\r\na", .repeatedLength),
        (
            "GET / HTTP/1.1\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            .lengthAndCoding
        ),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", .codingInHTTP10),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc", .codingNotChunked),
        ("GET / HTTP/1.1\r\nHost: a b\r\nHost: c\r\n\r\n", .anyHost),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1 \t\r\na\r\n1;=;;\r\nb\r\n0\r\n\r\n", .chunkLines),
        ("GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", .dataAfterClose),
    ])
    func aRuleAcceptsWhatItSays(_ text: String, _ rule: HTTP1Leniency) {
        for (leniency, accepts) in [(rule, true), (HTTP1Leniency.all.subtracting(rule), false)] {
            var rules = HTTP1Rules.brief
            rules.leniency = leniency.union(.noHost)
            let events = HTTP1Feed.events([(.request, Array(text.utf8))], rules)
            let isAccepted = !events.contains { if case .failed = $0 { true } else { false } }
            // Some texts break more than one rule in ways that another covers.
            if accepts { #expect(isAccepted, "\(events)") }
            if !accepts, ![.spaces, .bytes].contains(rule) { #expect(!isAccepted, "\(text.debugDescription)") }
        }
    }

    @Test func namesOfErrorsAreDistinct() {
        let names = HTTP1Error.allCases.map { "\($0.name)" }
        #expect(Set(names).count == names.count)
        #expect(names.allSatisfy { $0.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "_" } })
    }
}

/// Messages, bodies, and transactions.
@Suite struct HTTP1ParserTests {
    private typealias Transaction = HTTP1Log.Transaction

    @Test func aRequestAndItsResponse() {
        var feed = HTTP1Feed()
        feed.take(.request, "POST /a?b HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\n\r\nabc", time: 5)
        feed.take(.response, "HTTP/1.1 201 Made it\r\nContent-Length: 2\r\n\r\nok", time: 9)
        let version = HTTP1Version(major: 1, minor: 1)
        #expect(
            feed.log.events == [
                .request(
                    "POST",
                    "/a?b",
                    host: "example.org",
                    version,
                    [["Host", "example.org"], ["Content-Length", "3"]]
                ),
                .body(.request, Array("abc".utf8)),
                .complete(.request, 3),
                .response(201, "Made it", version, [["Content-Length", "2"]]),
                .body(.response, Array("ok".utf8)),
                .complete(.response, 2),
                .transaction(
                    Transaction(
                        method: "POST",
                        target: "/a?b",
                        host: "example.org",
                        status: 201,
                        requestBytes: 3,
                        responseBytes: 2
                    )
                ),
            ]
        )
        // Between exchanges a connection holds no memory.
        #expect(feed.parser.memory.used == 0)
    }

    @Test func chunksExtensionsAndTrailers() {
        var feed = HTTP1Feed()
        feed.take(
            .response,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n4;a=\"x\\\"y\";b\r\nabcd\r\n0A\r\n0123456789\r\n"
                + "000\r\nX: y\r\nZ:\r\n\r\nHTTP/1.1 204 \r\n\r\n"
        )
        #expect(
            Array(feed.log.events[1...4]) == [
                .body(.response, Array("abcd0123456789".utf8)),
                .trailers(.response, [["X", "y"], ["Z", ""]]),
                .complete(.response, 14),
                .transaction(Transaction(status: 200, responseBytes: 14, hasRequest: false)),
            ]
        )
        #expect(feed.log.transactions.count == 2)
    }

    @Test func pipelinedRequestsMatchTheirResponsesInOrder() {
        var feed = HTTP1Feed()
        feed.take(.request, "HEAD /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
        feed.take(.request, "GET /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.1\r\n\r\n")
        feed.take(
            .response,
            "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nHTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n"
                + "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n"
                + "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc"
        )
        feed.end(.response)
        #expect(
            feed.log.transactions == [
                Transaction(method: "HEAD", target: "/1", status: 200),
                Transaction(method: "GET", target: "/2", status: 304),
                Transaction(method: "GET", target: "/3", status: 204, interim: 2),
                Transaction(method: "GET", target: "/4", status: 200, responseBytes: 3),
            ]
        )
        #expect(feed.log.failures.isEmpty)
    }

    @Test func connectAndUpgradeBecomeTunnels() {
        for (request, response, status) in [
            (
                "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", 200
            ),
            (
                "GET / HTTP/1.1\r\nConnection: x, Upgrade\r\nUpgrade: ws\r\n\r\n",
                "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: ws\r\n\r\n", 101
            ),
        ] {
            // The client may speak the other protocol at once, or after the answer.
            for early in [true, false] {
                var feed = HTTP1Feed()
                feed.take(.request, request)
                if early { feed.take(.request, "\u{16}\u{3}\r\n\r\n") }
                feed.take(.response, response + "xyz")
                if !early { feed.take(.request, "\u{16}\u{3}\r\n\r\n") }
                #expect(feed.log.failures.isEmpty)
                #expect(feed.log.transactions.map(\.status) == [status])
                #expect(feed.log.events.contains(.tunnelBytes(.response, Array("xyz".utf8))))
                #expect(feed.log.events.contains(.tunnel(.response, UInt64(response.utf8.count))))
                #expect(feed.log.events.contains(.tunnelBytes(.request, Array("\u{16}\u{3}\r\n\r\n".utf8))) != early)
                feed.close()
                #expect(feed.log.failures.isEmpty)
                #expect(feed.log.transactions.count == 1)
            }
            // Refused, the bytes were no request after all, or the next one.
            var feed = HTTP1Feed()
            feed.take(.request, request + "\u{16}\u{3}\r\n\r\n")
            feed.take(.response, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
            #expect(feed.log.events.contains(.failed(.request, .badMethod, UInt64(request.utf8.count))))
            feed = HTTP1Feed()
            feed.take(.request, request + "GET /next HTTP/1.1\r\n\r\n")
            feed.take(.response, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
            feed.take(.response, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            #expect(feed.log.transactions.map(\.target).last == "/next")
            #expect(feed.log.failures.isEmpty)
        }
    }

    /// RFC 9110 §7.8: the protocol changes after the whole request.
    @Test func anUpgradeWaitsForTheEndOfItsRequest() {
        var feed = HTTP1Feed()
        feed.take(.request, "POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 4\r\n\r\nab")
        feed.take(.response, "HTTP/1.1 101 Switching\r\n\r\n")
        feed.take(.request, "cdTUNNEL")
        let tunnel: [HTTP1Log.Event] = [.tunnel(.request, 75), .tunnelBytes(.request, Array("TUNNEL".utf8))]
        #expect(Array(feed.log.events.suffix(2)) == tunnel)
        #expect(feed.log.transactions == [Transaction(method: "POST", target: "/", status: 101, requestBytes: 4)])
    }

    @Test func aResponseBeforeTheEndOfItsRequest() {
        var feed = HTTP1Feed()
        feed.take(.request, "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab")
        feed.take(.response, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")
        #expect(feed.log.transactions.isEmpty)
        feed.take(.request, "cd")
        #expect(feed.log.transactions == [Transaction(method: "POST", target: "/", status: 400, requestBytes: 4)])
        // Even before the end of its head.
        feed.take(.request, "GET /long")
        feed.take(.response, "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n")
        feed.take(.request, "er HTTP/1.1\r\n\r\n")
        #expect(feed.log.transactions.last == Transaction(method: "GET", target: "/longer", status: 408))
        feed.take(.request, "GET /long")
        feed.take(.response, "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n")
        feed.close()
        #expect(feed.log.transactions.last == Transaction(status: 408, error: .truncated))
        #expect(feed.log.transactions.count == 3)
    }

    @Test func aRequestThatCannotBeReadIsAnswered() {
        var feed = HTTP1Feed()
        feed.take(.request, "GET /a HTTP/1.1\r\nA : b\r\n\r\n")
        feed.take(.response, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")
        feed.take(.response, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        #expect(
            feed.log.transactions == [
                Transaction(method: "GET", target: "/a", status: 400, error: .spaceBeforeColon),
                Transaction(status: 200, hasRequest: false),
            ]
        )
    }

    @Test func requestsAfterALostDirectionStillCount() {
        var feed = HTTP1Feed()
        feed.take(.request, "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
        feed.take(.response, "HTTP/1.1 200 OK\r\nX\r\n\r\n")
        feed.take(.request, "GET /3 HTTP/1.1\r\n\r\n")
        #expect(
            feed.log.transactions == [
                Transaction(method: "GET", target: "/1", status: 200, error: .badFieldName),
                Transaction(method: "GET", target: "/2"),
                Transaction(method: "GET", target: "/3"),
            ]
        )
    }

    @Test func endsInTheMiddleOfMessages() {
        for (end, error) in [(HTTP1End.finished, HTTP1Error.truncated), (.reset, .reset), (.idle, .idle)] {
            for text in ["POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab", "POST / HT"] {
                var feed = HTTP1Feed()
                feed.take(.request, text)
                feed.close(end)
                #expect(feed.log.events.contains(.failed(.request, error, UInt64(text.utf8.count))))
                #expect(feed.log.transactions.map(\.error) == [error])
                #expect(feed.parser.memory.used == 0)
            }
            // Until close: complete only when closed in order (RFC 9112 §8).
            var feed = HTTP1Feed()
            feed.take(.response, "HTTP/1.1 200 OK\r\n\r\nabc")
            feed.close(end)
            let wanted: HTTP1Error? = end == .finished ? nil : error
            #expect(
                feed.log.transactions
                    == [Transaction(status: 200, responseBytes: 3, error: wanted, hasRequest: false)]
            )
        }
    }

    @Test func timesAreThoseOfTheFirstByte() {
        struct Times: HTTP1Handler {
            var found: [Int64?] = []
            mutating func transaction(_ transaction: HTTP1Transaction) {
                found += [transaction.requestTime, transaction.responseTime]
            }
        }
        let parser = HTTP1Parser()
        var connection = HTTP1Connection()
        var times = Times()
        var now: Int64 = 0
        for (side, text) in [
            (HTTP1Side.request, "\r\nGET / HTTP/1.1\r\n\r\n"),
            (.response, "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ] {
            for byte in text.utf8 {
                withUnsafeBytes(of: byte) { parser.take(side, $0, time: now, of: &connection, to: &times) }
                now += 1
            }
        }
        #expect(times.found == [2, 39])
    }

    @Test func aRefusedBodyDoesNotCome() {
        let put = "PUT / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        var feed = HTTP1Feed(.lenient)
        feed.take(.request, put)
        feed.take(.response, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
        feed.take(.request, put)
        feed.take(.response, "HTTP/1.1 100 Go\r\n\r\n")
        feed.take(.request, "abc")
        feed.take(.response, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        #expect(
            feed.log.transactions == [
                Transaction(method: "PUT", target: "/", status: 401),
                Transaction(method: "PUT", target: "/", status: 200, requestBytes: 3, interim: 1),
            ]
        )
    }

    // MARK: Gaps

    @Test func gapsInBodiesAreSurvived() {
        var feed = HTTP1Feed()
        feed.take(.response, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
        feed.gap(.response, 8)
        feed.take(.response, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na")
        feed.gap(.response, 3)
        feed.take(.response, "e\r\n5\r\na")
        feed.gap(.response, 4)
        feed.take(.response, "\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc")
        feed.gap(.response, 100)
        feed.gap(.response, nil)
        feed.take(.response, "d")
        feed.end(.response)
        #expect(feed.log.failures.isEmpty)
        #expect(feed.log.transactions.map(\.responseBytes) == [10, 10, 104])
    }

    @Test func otherGapsAreErrorsAndReadingIsTakenUpAgain() {
        let lost: [(String, UInt64?)] = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", 9),
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", nil),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na", 5),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5", 1),
            ("HTTP/1.1 200 O", 1),
            ("", 1),
        ]
        let next = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        for (text, count) in lost {
            for mode in [HTTP1Resynchronisation.never, .afterGap, .atHead] {
                var rules = HTTP1Rules.brief
                rules.resynchronisation = mode
                var feed = HTTP1Feed(rules)
                feed.take(.response, text)
                feed.gap(.response, count)
                #expect(feed.log.failures == [.gap])
                var taken = feed
                taken.take(.response, next)
                // Missing bytes between responses are the failure of none.
                let began = text.contains("\r\n\r\n")
                let failed = began || mode == .never ? 1 : 0
                let isExtra = mode == .never && began && count == 9
                #expect(taken.log.transactions.count == failed + (mode != .never || isExtra ? 1 : 0))
                // A later piece.
                taken = feed
                taken.take(.response, "rest\r\n\r\nof a body")
                taken.take(.response, next + next)
                #expect(taken.log.transactions.count == failed + (mode == .atHead ? 2 : isExtra ? 1 : 0))
                #expect(taken.log.failures == [.gap])
                taken.close()
                #expect(taken.parser.memory.used == 0)
            }
        }
    }

    /// A head that was cut by the gap must not be taken for one, nor a syntax error be forgiven after it.
    @Test func onlyAWholeValidHeadIsTakenUp() {
        var feed = HTTP1Feed()
        feed.gap(.request, 10)
        feed.take(.request, "GET / HTTP/1.1\r\nA : b\r\n\r\nGET / HTTP/1.1\r\n\r\n")
        #expect(feed.log.failures == [.gap])
        feed.gap(.request, 10)
        feed.take(.request, "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nA : b\r\n\r\n")
        #expect(feed.log.failures == [.gap, .spaceBeforeColon])
        feed.gap(.request, 10)
        feed.take(.request, "GET / HTTP/1.1\r\n\r\n")
        feed.close()
        #expect(feed.log.transactions.map(\.error) == [nil, .spaceBeforeColon])
    }

    /// Of two requests sent together, either may have been answered in the missing bytes.
    @Test func whatMayBeTheAnswerToEitherOfTwoIsToNone() {
        var feed = HTTP1Feed()
        feed.take(.request, "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n")
        feed.take(.response, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        feed.gap(.response, 500)
        feed.take(.response, "HTTP/1.1 204 No\r\n\r\n")
        // What was sent when all these had come is another matter.
        feed.take(.request, "GET /4 HTTP/1.1\r\n\r\n")
        feed.take(.response, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
        #expect(
            feed.log.transactions == [
                // Its body ends among the missing bytes.
                Transaction(method: "GET", target: "/1", status: 200, responseBytes: 5),
                Transaction(method: "GET", target: "/2", error: .gap),
                Transaction(method: "GET", target: "/3", error: .gap),
                Transaction(status: 204, error: .gap, hasRequest: false),
                Transaction(method: "GET", target: "/4", status: 404),
            ]
        )
    }

    /// A client that waits for its responses is in doubt no longer than until its next request.
    @Test func theNextRequestSettlesWhatIsMissing() {
        var feed = HTTP1Feed()
        feed.take(.request, "GET /1 HTTP/1.1\r\n\r\n")
        feed.gap(.response, 500)
        feed.take(.request, "GET /2 HTTP/1.1\r\n\r\n")
        feed.take(.response, "HTTP/1.1 204 No\r\n\r\n")
        feed.gap(.request, 60)
        feed.take(.response, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
        feed.take(.request, "GET /4 HTTP/1.1\r\n\r\n")
        feed.take(.response, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        #expect(
            feed.log.transactions == [
                Transaction(method: "GET", target: "/1", error: .gap),
                Transaction(method: "GET", target: "/2", status: 204),
                Transaction(status: 404, error: .gap, hasRequest: false),
                Transaction(method: "GET", target: "/4", status: 500),
            ]
        )
    }

    /// Requests that are read all the same.
    @Test(arguments: [
        ("GET / HTTP/1.1\r\nA: b\r\n\r\n", HTTP1Error.missingHost, 22), ("GET / HTTP/1.0\r\n\r\n", nil, 0),
        ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", .hostMismatch, 30),
        ("GET http://a/ HTTP/1.1\r\nHost: A:80\r\n\r\n", nil, 0),
        ("GET http://u@a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", .hostMismatch, 35),
        ("GET http://u@a:81/ HTTP/1.1\r\nHost: a:81\r\n\r\n", nil, 0),
        ("GET https://a HTTP/1.1\r\nHost: a:443\r\n\r\n", nil, 0), ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", nil, 0),
        ("CONNECT a:1 HTTP/1.1\r\nHost: b\r\n\r\n", nil, 0),
    ])
    func aRequestWithoutTheRightHostIsAnError(_ text: String, _ error: HTTP1Error?, _ position: Int) {
        for rules in [HTTP1Rules.strict, .lenient] {
            let wanted = rules.leniency.isEmpty ? error : nil
            var feed = HTTP1Feed(rules)
            feed.take(.request, text)
            feed.take(.response, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
            #expect(feed.log.failures == (wanted.map { [$0] } ?? []))
            if let wanted { #expect(feed.log.events.contains(.failed(.request, wanted, UInt64(position)))) }
            #expect(feed.log.transactions.map(\.error) == [wanted] && feed.log.transactions[0].status == 404)
        }
    }

    /// "A recipient MUST parse for such bad whitespace" (RFC 9110 §5.6.3).
    @Test func whiteSpaceInChunkExtensionsIsRead() {
        for line in ["2 ; x", "2;x", "2\t;\tx = y", "2;x=\"a\" ; y"] {
            var feed = HTTP1Feed()
            feed.take(.request, "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\(line)\r\nab\r\n0\r\n\r\n")
            feed.take(.request, "GET /b HTTP/1.1\r\n\r\n")
            feed.close()
            #expect(feed.log.transactions.map(\.target) == ["/a", "/b"] && feed.log.failures.isEmpty, "\(line)")
        }
        for line in ["2 ", "2 x", "2;x y", "2; x = ", "2;x= ;y"] {
            var feed = HTTP1Feed()
            feed.take(.request, "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\(line)\r\nab\r\n0\r\n\r\n")
            #expect(feed.log.failures.count == 1, "\(line)")
        }
    }

    /// A response to a request that is not known may be one to HEAD.
    @Test func aResponseWithoutRequestMayHaveNoBody() {
        var rules = HTTP1Rules.brief
        rules.resynchronisation = .atHead
        var feed = HTTP1Feed(rules)
        feed.take(.response, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        feed.take(.response, "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n")
        feed.take(.response, "1\r\na\r\n0\r\n\r\n")
        #expect(feed.log.transactions.map(\.status) == [200, 404])
        #expect(feed.log.transactions.map(\.responseBytes) == [0, 1])
    }

    // MARK: Limits

    @Test func everyLimitHasItsError() {
        func error(_ side: HTTP1Side, _ text: String, _ set: (inout HTTP1Limits) -> Void) -> [HTTP1Log.Event] {
            var rules = HTTP1Rules.brief
            set(&rules.limits)
            let bytes = Array(text.utf8)
            let whole = HTTP1Feed.events([(side, bytes)], rules)
            #expect(HTTP1Feed.events(bytes.map { (side, [$0]) }, rules) == whole)
            return whole.filter { if case .failed = $0 { true } else { false } }
        }
        let head = "GET /12345 HTTP/1.1\r\nA: 12345\r\nB: 1\r\n\r\n"
        #expect(error(.request, head) { $0.startLine = 21 } == [])
        #expect(error(.request, head) { $0.startLine = 20 } == [.failed(.request, .startLineTooLong, 20)])
        #expect(error(.request, head) { $0.fieldLine = 10 } == [])
        #expect(error(.request, head) { $0.fieldLine = 9 } == [.failed(.request, .fieldLineTooLong, 30)])
        #expect(error(.request, head) { $0.fields = 2 } == [])
        #expect(error(.request, head) { $0.fields = 1 } == [.failed(.request, .tooManyFields, 31)])
        #expect(error(.request, head) { $0.head = 39 } == [])
        #expect(error(.request, head) { $0.head = 38 } == [.failed(.request, .headTooLong, 38)])
        #expect(error(.request, head) { $0.head = 5 } == [.failed(.request, .headTooLong, 5)])
        #expect(error(.request, "\r\n\r\n" + head) { $0.emptyLines = 2 } == [])
        #expect(error(.request, "\r\n\r\n" + head) { $0.emptyLines = 1 } == [.failed(.request, .tooManyEmptyLines, 3)])
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\na\r\n0\r\nA: b\r\n\r\n"
        #expect(error(.response, chunked) { $0.chunkLine = 7 } == [])
        #expect(error(.response, chunked) { $0.chunkLine = 6 } == [.failed(.response, .chunkLineTooLong, 53)])
        #expect(error(.response, chunked) { $0.trailers = 8 } == [])
        #expect(error(.response, chunked) { $0.trailers = 7 } == [.failed(.response, .trailersTooLong, 67)])
    }

    @Test func theDepthOfPipeliningIsBoundedByPolicy() {
        let request = "GET /1 HTTP/1.1\r\n\r\n"
        let answer = "HTTP/1.1 204 No\r\n\r\n"
        var rules = HTTP1Rules.brief
        rules.limits.requests = 2
        var feed = HTTP1Feed(rules)
        feed.take(.request, request + request + request + request)
        #expect(feed.log.transactions == [Transaction(method: "GET", target: "/1", error: .tooManyRequests)])
        #expect(feed.log.failures == [.tooManyRequests])
        feed.take(.response, answer + answer + answer)
        #expect(feed.log.transactions.map(\.hasRequest) == [true, true, true, false])
        feed.take(.response, answer)
        // They were counted: so the pairs are right again when the responses have caught up.
        feed.take(.request, request)
        feed.take(.response, answer)
        #expect(feed.log.transactions.last?.hasRequest == true)
        #expect(feed.log.failures == [.tooManyRequests])
    }

    /// One request may be as long as a head may be, however few may wait.
    @Test func theDepthLimitsRequestsAndNotBytes() {
        var rules = HTTP1Rules.brief
        rules.limits.requests = 1
        var feed = HTTP1Feed(rules)
        feed.take(.request, "GET /\(String(repeating: "a", count: 7000)) HTTP/1.1\r\n\r\n")
        feed.take(.response, "HTTP/1.1 204 No\r\n\r\n")
        #expect(feed.log.transactions.map(\.status) == [204] && feed.log.failures.isEmpty)
    }

    /// What cannot be kept is not tried again and again, also where every piece may begin a message.
    @Test(arguments: [HTTP1Resynchronisation.never, .afterGap, .atHead])
    func withoutMemoryPartsOfHeadsArePassedOver(_ resynchronisation: HTTP1Resynchronisation) {
        var rules = HTTP1Rules.brief
        rules.resynchronisation = resynchronisation
        var feed = HTTP1Feed(rules, memory: HTTP1Memory(limit: 0))
        feed.gap(.response, nil)
        feed.gap(.request, nil)
        for part in ["GET / HTTP/1.1\r\n", "Host: a", "GET / HTTP/1.1\r\n", "GET / HTTP/1.0\r\n\r\n"] {
            feed.take(.request, part)
        }
        feed.close()
        #expect(feed.log.transactions.count <= 3)
    }

    @Test func noMemoryIsAnErrorAndOthersAreServed() {
        let memory = HTTP1Memory(limit: 2048)
        var feeds = (0..<8).map { _ in HTTP1Feed(memory: memory) }
        for i in feeds.indices { feeds[i].take(.request, "GET / HT") }
        #expect(feeds.prefix(4).allSatisfy { $0.log.failures == [] })
        #expect(feeds.suffix(4).allSatisfy { $0.log.failures == [.noMemory] })
        for i in feeds.indices { feeds[i].close() }
        #expect(memory.used == 0)
        var feed = HTTP1Feed(memory: memory)
        feed.take(.request, "GET / HTTP/1.1\r\n\r\n")
        feed.take(.response, "HTTP/1.1 204 No\r\n\r\n")
        #expect(feed.log.transactions.count == 1)
    }

    @Test func fieldsCanBeAskedFor() {
        struct Ask: HTTP1Handler {
            var found: [String] = []
            mutating func requestHead(_ head: HTTP1Head) {
                for name: StaticString in ["user-agent", "x", "none"] {
                    found.append(head.fields.first(name).map { latin($0) } ?? "-")
                }
                found.append("\(head.fieldCount) \(head.contentLength ?? 0) \(head.isChunked) \(head.isLast)")
            }
        }
        let parser = HTTP1Parser(.lenient)
        var connection = HTTP1Connection()
        var ask = Ask()
        let text = "GET / HTTP/1.1\r\nUSER-agent:\t me  \r\njunk\r\nX:  a\r\n b\r\nContent-Length: 7\r\n\r\n"
        Array(text.utf8).withUnsafeBytes { parser.take(.request, $0, time: 0, of: &connection, to: &ask) }
        #expect(ask.found == ["me", "a\r\n b", "-", "4 7 false false"])
    }

    /// An element keeps an array of them.
    @Test func aConnectionIsSmall() {
        #expect(MemoryLayout<HTTP1Connection>.stride <= 384)
    }
}
