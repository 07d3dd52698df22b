// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Dataplane

/// Bytes as text, one character each, so that they can be compared and printed.
func latin(_ bytes: some Sequence<UInt8>) -> String {
    String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
}

/// What an HTTP1Parser reported, with the calls for one body put together.
struct HTTP1Log: HTTP1Handler {
    enum Event: Equatable {
        case request(String, String, host: String, HTTP1Version, [[String]])
        case response(Int, String, HTTP1Version, [[String]])
        case interim(Int, [[String]])
        case body(HTTP1Side, [UInt8])
        case bodyGap(HTTP1Side, UInt64)
        case trailers(HTTP1Side, [[String]])
        case complete(HTTP1Side, UInt64)
        case tunnel(HTTP1Side, UInt64)
        case tunnelBytes(HTTP1Side, [UInt8])
        case failed(HTTP1Side, HTTP1Error, UInt64)
        case transaction(Transaction)
    }
    struct Transaction: Equatable {
        var method = ""
        var target = ""
        var host = ""
        var status = 0
        var requestBytes: UInt64 = 0
        var responseBytes: UInt64 = 0
        var interim = 0
        var error: HTTP1Error?
        var hasRequest = true
        /// The values of fields that are kept; empty where a head has none of them.
        var requestFields: [String?] = []
        var responseFields: [String?] = []
    }

    var events: [Event] = []
    /// Bodies of large streams are not worth keeping.
    var keepsBodies = true
    var isQuiet = false

    var transactions: [Transaction] {
        events.compactMap { if case .transaction(let transaction) = $0 { transaction } else { nil } }
    }
    var failures: [HTTP1Error] {
        events.compactMap { if case .failed(_, let error, _) = $0 { error } else { nil } }
    }

    private mutating func add(_ event: Event) { if !isQuiet { events.append(event) } }

    static func list(_ fields: HTTP1Fields) -> [[String]] {
        fields.map { [latin(fields.bytes[$0.name]), latin(fields.bytes[$0.value])] }
    }

    static func list(_ values: HTTP1FieldValues) -> [String?] {
        (0..<values.names).map { values[$0].map { latin($0) } }
    }

    mutating func requestHead(_ head: HTTP1Head) {
        let host = latin(head.host)
        add(.request(latin(head.method), latin(head.target), host: host, head.version, Self.list(head.fields)))
    }
    mutating func responseHead(_ head: HTTP1Head) {
        add(.response(Int(head.status), latin(head.reason), head.version, Self.list(head.fields)))
    }
    mutating func interimResponse(_ head: HTTP1Head) { add(.interim(Int(head.status), Self.list(head.fields))) }
    mutating func body(_ side: HTTP1Side, _ bytes: UnsafeRawBufferPointer) {
        guard keepsBodies else { return }
        if case .body(side, let before) = events.last {
            events[events.count - 1] = .body(side, before + Array(bytes))
        } else {
            add(.body(side, Array(bytes)))
        }
    }
    mutating func bodyGap(_ side: HTTP1Side, _ count: UInt64) { add(.bodyGap(side, count)) }
    mutating func trailers(_ side: HTTP1Side, _ fields: HTTP1Fields) { add(.trailers(side, Self.list(fields))) }
    mutating func messageComplete(_ side: HTTP1Side, bodyBytes: UInt64) { add(.complete(side, bodyBytes)) }
    mutating func tunnelBegins(_ side: HTTP1Side, at position: UInt64) { add(.tunnel(side, position)) }
    mutating func tunnelBytes(_ side: HTTP1Side, _ bytes: UnsafeRawBufferPointer) {
        if case .tunnelBytes(side, let before) = events.last {
            events[events.count - 1] = .tunnelBytes(side, before + Array(bytes))
        } else {
            add(.tunnelBytes(side, Array(bytes)))
        }
    }
    mutating func failed(_ side: HTTP1Side, _ error: HTTP1Error, at position: UInt64) {
        add(.failed(side, error, position))
    }
    mutating func transaction(_ transaction: HTTP1Transaction) {
        add(
            .transaction(
                Transaction(
                    method: latin(transaction.method),
                    target: latin(transaction.target),
                    host: latin(transaction.host),
                    status: Int(transaction.status),
                    requestBytes: transaction.requestBodyBytes,
                    responseBytes: transaction.responseBodyBytes,
                    interim: Int(transaction.interim),
                    error: transaction.error,
                    hasRequest: transaction.requestTime != nil,
                    requestFields: Self.list(transaction.requestFields),
                    responseFields: Self.list(transaction.responseFields)
                )
            )
        )
    }
}

extension HTTP1Rules {
    /// The strict rules, but for heads that are as short as can be: without Host.
    static let brief = {
        var rules = HTTP1Rules()
        rules.leniency = .noHost
        return rules
    }()
}

/// A connection with its parser and log, fed from blocks of exactly the size of each piece.
struct HTTP1Feed {
    let parser: HTTP1Parser
    var connection = HTTP1Connection()
    var log = HTTP1Log()

    init(_ rules: HTTP1Rules = .brief, memory: HTTP1Memory = HTTP1Memory()) {
        parser = HTTP1Parser(rules, memory: memory)
    }

    mutating func take(_ side: HTTP1Side, _ bytes: some Collection<UInt8>, time: Int64 = 0) {
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { block.deallocate() }
        block.copyBytes(from: bytes)
        parser.take(side, UnsafeRawBufferPointer(block), time: time, of: &connection, to: &log)
    }
    mutating func take(_ side: HTTP1Side, _ text: String, time: Int64 = 0) {
        take(side, Array(text.utf8), time: time)
    }
    mutating func gap(_ side: HTTP1Side, _ count: UInt64?) {
        parser.gap(side, count, time: 0, of: &connection, to: &log)
    }
    mutating func end(_ side: HTTP1Side, _ end: HTTP1End = .finished) {
        parser.end(side, end, of: &connection, to: &log)
    }
    mutating func close(_ end: HTTP1End = .finished) { parser.close(&connection, end, to: &log) }

    /// What is reported for pieces of a conversation, up to and with its end.
    static func events(_ pieces: [(HTTP1Side, [UInt8])], _ rules: HTTP1Rules, closes: Bool = true) -> [HTTP1Log.Event] {
        var feed = HTTP1Feed(rules)
        for (side, bytes) in pieces { feed.take(side, bytes) }
        let events = feed.log.events
        feed.close()
        #expect(feed.parser.memory.used == 0)
        return closes ? feed.log.events : events
    }
}

/// Inputs and expectations taken from other projects, beside the package or where SPILLWAY_SHARED says.
enum HTTP1Conformance {
    static func cases(_ name: String) -> [[String: Any]] {
        guard Shared.isThere else { return [] }
        let file = try! JSONSerialization.jsonObject(with: Shared.data("conformance/\(name).json")) as! [String: Any]
        return file["cases"] as! [[String: Any]]
    }

    static func bytes(_ base64: Any?) -> [UInt8] {
        (base64 as? String).flatMap { Data(base64Encoded: $0) }.map { [UInt8]($0) } ?? []
    }

    /// Every conversation of the three sources.
    static let conversations: [[(HTTP1Side, [UInt8])]] = {
        var all: [[(HTTP1Side, [UInt8])]] = []
        for each in cases("llhttp") {
            let isResponse = (each["type"] as? String ?? "").hasPrefix("response")
            all.append([(isResponse ? .response : .request, bytes(each["input_b64"]))])
        }
        for each in cases("picohttpparser") {
            all.append([(each["kind"] as? String == "response" ? .response : .request, bytes(each["input_b64"]))])
        }
        for each in cases("libhtp") {
            all.append(exchange(each))
        }
        return all
    }()

    static func exchange(_ each: [String: Any]) -> [(HTTP1Side, [UInt8])] {
        (each["exchange"] as? [[String: Any]] ?? []).map {
            ($0["dir"] as? String == "server" ? .response : .request, bytes($0["b64"]))
        }
    }
}

/// Hands the bytes of `text` to `body` in a block of exactly their size, so that reading beyond it shows.
func withBytes<R>(_ text: String, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
    defer { block.deallocate() }
    block.copyBytes(from: text.utf8)
    return body(UnsafeRawBufferPointer(block))
}
