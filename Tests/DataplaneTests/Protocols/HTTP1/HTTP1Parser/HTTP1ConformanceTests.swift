// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Dataplane

/// Other parsers' tests. Where ours decides otherwise, the sentence of the RFC that it follows stands beside the case.
@Suite(.enabled(if: Shared.isThere)) struct HTTP1ConformanceTests {
    // MARK: llhttp

    private static let requestLine =
        "RFC 9112 §3: request-line = method SP request-target SP HTTP-version; §3.2: recipients of an invalid "
        + "request-line SHOULD respond with either a 400 (Bad Request) error or a 301"
    private static let statusLine = "RFC 9112 §4: status-line = HTTP-version SP status-code SP [ reason-phrase ]"
    private static let name = "RFC 9112 §2.3: HTTP-name = %s\"HTTP\" (ICE and RTSP are other protocols)"
    private static let method =
        "RFC 9110 §9.1: method = token; additional methods, outside the scope of this specification, have been "
        + "specified for use in HTTP"
    private static let length =
        "RFC 9112 §6.3 rule 6: if a valid Content-Length header field is present without Transfer-Encoding, its decimal "
        + "value defines the expected message body length in octets"
    private static let invalidLength =
        "RFC 9112 §6.3 rule 5: if a message is received without Transfer-Encoding and with an invalid Content-Length "
        + "header field, then the message framing is invalid and the recipient MUST treat it as an unrecoverable error"

    static let llhttpDepartures = [
        "test/request/content-length.md#16": length,
        "test/request/invalid.md#4": method,
        "test/request/invalid.md#14": method,
        "test/request/method.md#12": name,
        "test/request/method.md#13": name,
        "test/request/method.md#14": name,
        "test/request/method.md#15": "RFC 9113 §3.4: the preface is PRI * HTTP/2.0 (with HTTP/1.1, PRI is a method)",
        "test/request/sample.md#10": requestLine,
        "test/response/sample.md#2": name,
        "test/response/sample.md#3": name,
        "test/response/sample.md#18":
            "RFC 9110 §6.2: a recipient that receives a message with a major version number that it implements [...] "
            + "SHOULD process the message (0 is not implemented: it has no status line)",
    ]

    private static let methods = [
        0: "DELETE", 1: "GET", 2: "HEAD", 3: "POST", 4: "PUT", 5: "CONNECT", 6: "OPTIONS", 14: "SEARCH", 20: "REPORT",
        24: "M-SEARCH", 28: "PATCH", 29: "PURGE", 31: "LINK", 32: "UNLINK", 33: "SOURCE", 36: "ANNOUNCE", 46: "QUERY",
    ]

    private struct Message: Equatable {
        var start: String
        var fields: [[String]]
        var body: [UInt8] = []
        var isComplete = false
    }

    @Test func strictLLHTTP() throws {
        var count = 0
        var differences: [String: String] = [:]
        for each in HTTP1Conformance.cases("llhttp") {
            let id = each["id"] as? String ?? ""
            let type = each["type"] as? String ?? ""
            if type.contains("lenient") { continue }
            count += 1
            var input = HTTP1Conformance.bytes(each["input_b64"])
            let isResponse = type.hasPrefix("response")
            // Of a URL alone, whether a request with it is taken.
            if type == "url" { input = Array("GET ".utf8) + input + Array(" HTTP/1.1\r\n\r\n".utf8) }
            var feed = HTTP1Feed()
            let skipsBody = (each["meta"] as? [String: Any])?["skipBody"] as? Bool == true
            if isResponse && skipsBody { for _ in 0..<2 { feed.take(.request, "HEAD / HTTP/1.1\r\n\r\n") } }
            feed.log.events = []
            feed.take(isResponse ? .response : .request, input)
            let error = each["error"] as? [String: Any]
            // Codes 21 and 22 are pauses where a tunnel may begin.
            let isRejected = error != nil && !(21...22).contains(error?["code"] as? Int ?? 0)
            // A line is judged when its end is there, or will not come.
            if isRejected && feed.log.failures.isEmpty { feed.end(isResponse ? .response : .request) }
            if isRejected != !feed.log.failures.isEmpty {
                differences[id] = "llhttp \(error?["reason"] ?? "accepts"), we \(feed.log.failures)"
                continue
            }
            if type == "url" { continue }
            let all = (each["messages"] as? [[String: Any]] ?? []).compactMap { message -> Message? in
                // Heads that did not come to their end have no version here.
                guard message["v"] is String else { return nil }
                let number = Int(message["method"] as? String ?? "") ?? -1
                let start =
                    isResponse
                    ? message["status"] as? String ?? ""
                    : "\(Self.methods[number] ?? "?") \(message["url"] as? String ?? "")"
                let fields = (message["headers"] as? [[String]] ?? [])
                    .map { [$0[0], $0[1].trimmingCharacters(in: .whitespaces)] }
                let body = Array((message["body"] as? String ?? "").unicodeScalars.map { UInt8($0.value) })
                let isComplete = message["complete"] as? Bool ?? false
                return Message(start: start, fields: fields, body: body, isComplete: isComplete)
            }
            let expected = all.filter { $0.isComplete || !isRejected }
            // Which part of a message stands before the error is no matter of conformance.
            let ours = Self.messages(feed.log.events).filter { $0.isComplete || !isRejected }
            if ours != expected { differences[id] = "llhttp \(expected)\n   we \(ours)" }
        }
        print("llhttp: \(count - differences.count) of \(count)")
        #expect(count == 235)
        for (id, what) in differences.sorted(by: { $0.key < $1.key }) where Self.llhttpDepartures[id] == nil {
            Issue.record("\(id): \(what)")
        }
        #expect(Set(Self.llhttpDepartures.keys).subtracting(differences.keys) == [])
    }

    private static func messages(_ events: [HTTP1Log.Event]) -> [Message] {
        var messages: [Message] = []
        for event in events {
            switch event {
            case .request(let method, let target, _, _, let fields):
                messages.append(Message(start: "\(method) \(target)", fields: fields))
            case .response(let status, _, _, let fields):
                messages.append(Message(start: "\(status)", fields: fields))
            case .interim(let status, let fields):
                messages.append(Message(start: "\(status)", fields: fields, isComplete: true))
            case .body(_, let bytes): messages[messages.count - 1].body += bytes
            case .trailers(_, let fields): messages[messages.count - 1].fields += fields
            case .complete: messages[messages.count - 1].isComplete = true
            case .failed(_, .dataAfterClose, _): return messages
            default: break
            }
        }
        return messages
    }

    // MARK: picohttpparser

    static let picoDepartures = [
        "request: accept MSB chars": requestLine
            + "; RFC 3986 §2: a URI is composed from a limited set of characters consisting of digits, letters, and a few "
            + "graphic symbols (none above 127)",
        "request: accept multiple spaces between tokens":
            "RFC 9112 §3: recipients MAY instead parse on whitespace-delimited word boundaries [...] However, lenient "
            + "parsing can result in request smuggling security vulnerabilities",
        "request: parse multiline":
            "RFC 9112 §5.2: a server that receives an obs-fold in a request message [...] MUST either reject the message",
        "response: accept multiple spaces between tokens": statusLine,
        "response: incomplete 11":
            "RFC 9112 §2.2: a recipient MAY recognize a single LF as a line terminator (and so need not)",
        "response: parse multiline":
            "RFC 9112 §5.2: a proxy or gateway that receives an obs-fold in a response message [...] MUST either discard "
            + "the message and replace it with a 502 (Bad Gateway) response [...] or replace each received obs-fold",
    ]

    @Test func picohttpparser() throws {
        var count = 0
        var differences: [String: String] = [:]
        for each in HTTP1Conformance.cases("picohttpparser") {
            let kind = each["kind"] as? String ?? ""
            let id = "\(kind): \(each["comment"] as? String ?? "")"
            count += 1
            var input = HTTP1Conformance.bytes(each["input_b64"])
            if kind == "headers" { input = Array("GET / HTTP/1.1\r\n".utf8) + input }
            var feed = HTTP1Feed()
            feed.take(kind == "response" ? .response : .request, input)
            let result = !feed.log.failures.isEmpty ? "error" : feed.log.events.isEmpty ? "partial" : "complete"
            if Self.picoDepartures[id] != nil {
                // What other recipients accept, the lenient mode does.
                let side: HTTP1Side = kind == "response" ? .response : .request
                let lenient = HTTP1Feed.events([(side, input)], .lenient, closes: false)
                #expect(lenient.isEmpty == (each["result"] as? String == "partial"), "\(id)")
            }
            if result != each["result"] as? String { differences[id] = "\(each["result"] ?? ""), we \(result)" }
        }
        print("picohttpparser: \(count - differences.count) of \(count)")
        #expect(count == 67)
        for (id, what) in differences.sorted(by: { $0.key < $1.key }) where Self.picoDepartures[id] == nil {
            Issue.record("\(id): \(what)")
        }
        #expect(Set(Self.picoDepartures.keys).subtracting(differences.keys) == [])
    }

    // MARK: libhtp

    static let libhtpDepartures = [
        "10-host-in-headers.t": invalidLength,
        "39-auto-destroy-crash.t": invalidLength,
        "75-response-invalid-cl.t": invalidLength,
        "88-response-multiple-cl-mismatch.t": invalidLength,
        "79-connect-invalid-hostport.t": length,
        "100-response-body-data.t": statusLine,
        "78-response-no-status-headers.t": statusLine,
        "94-compressed-response-multiple.t": statusLine + "; status-code = 3DIGIT",
        "21-http09.t": requestLine,
        "23-http09-multiple.t": requestLine,
        "92-http_0_9-method_only.t": requestLine,
        "42-unknown-method_only.t": requestLine,
        "43-invalid-protocol.t": name,
        "89-get-whitespace.t":
            "RFC 9112 §3: recipients MAY instead parse on whitespace-delimited word boundaries [...] while ignoring "
            + "preceding or trailing whitespace",
        "31-get-request-line-nul.t":
            "RFC 9112 §3.2: a recipient SHOULD NOT attempt to autocorrect and then process the request without a redirect",
        "91-request-unexpected-body.t":
            "RFC 9112 §6.3 rule 7: if this is a request message and none of the above are true, then the message body "
            + "length is zero",
        "99-expect-100.t":
            "RFC 9112 §2.1: HTTP-message = start-line CRLF *( field-line CRLF ) CRLF (the last head is not complete)",
    ]

    @Test func libhtp() throws {
        var count = 0
        var differences: [String: String] = [:]
        for each in HTTP1Conformance.cases("libhtp") {
            let id = each["file"] as? String ?? ""
            count += 1
            var feed = HTTP1Feed(.lenient)
            for (side, bytes) in HTTP1Conformance.exchange(each) { feed.take(side, bytes) }
            feed.close()
            let ours = feed.log.transactions
            var what: [String] = []
            let expected = each["expected"] as? [[String: Any]] ?? []
            for test in expected {
                if let transactions = test["transactions"] as? Int, transactions != ours.count {
                    what.append("\(transactions) transactions, we \(ours.count)")
                }
                // With one or all tests in error the stream cannot be read.
                // (Inputs were cut short by a line end when they were collected: their last message may be truncated.)
                let failures = feed.log.failures.filter { $0 != .truncated }
                if expected.allSatisfy({ $0["run"] as? String == "ok" }), !failures.isEmpty {
                    what.append("read, we \(failures)")
                }
                for pair in test["strings"] as? [[String]] ?? [] where pair[0].hasPrefix("tx") {
                    let found: [String]
                    switch pair[0].split(separator: ">").last {
                    case "request_method": found = ours.map(\.method)
                    case "request_uri": found = ours.map(\.target)
                    default: continue
                    }
                    if !found.contains(pair[1]) { what.append("\(pair), we \(found)") }
                }
                for pair in test["numbers"] as? [[String]] ?? [] {
                    guard let number = Int(pair[1]) else { continue }
                    if pair[0].hasSuffix("response_status_number"), !ours.contains(where: { $0.status == number }) {
                        what.append("\(pair), we \(ours.map(\.status))")
                    }
                    // Of a body before and after dechunking, the latter is ours; decompression is not.
                    if pair[0].hasSuffix("request_entity_len"), !ours.contains(where: { $0.requestBytes == number }) {
                        what.append("\(pair), we \(ours.map(\.requestBytes))")
                    }
                }
            }
            if !what.isEmpty { differences[id] = what.joined(separator: "; ") }
        }
        print("libhtp: \(count - differences.count) of \(count)")
        #expect(count == 103)
        for (id, what) in differences.sorted(by: { $0.key < $1.key }) where Self.libhtpDepartures[id] == nil {
            Issue.record("\(id): \(what)")
        }
        #expect(Set(Self.libhtpDepartures.keys).subtracting(differences.keys) == [])
    }
}
