// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

@testable import Dataplane

/// Pieces, gaps and ends of both directions of a connection, for the HTTP/1 parser: all memory is given back, and what is
/// found does not depend on where the streams are cut.
///
/// The first byte of an input chooses the rules, the second how streams are cut. Then come pieces: a byte that says of what
/// kind, one for the length, and the bytes.
enum FuzzHTTP {
    private enum Event {
        /// With how far its sender had received the other direction, if it is not all of that.
        case piece(HTTP1Side, UnsafeRawBufferPointer, acknowledged: UInt64?)
        case gap(HTTP1Side, UInt64?)
        case end(HTTP1Side, HTTP1End)
        case close
    }

    static func run(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 2 else { return }
        var input = FuzzInput(bytes)
        let choices = input.byte()
        let cut = input.byte()
        var rules = choices.bit(0) ? HTTP1Rules.lenient : .strict
        rules.resynchronisation = choices.choice(1, (.never, .afterGap, .atHead, .afterGap))
        if choices.bit(3) { rules.leniency.insert(.noHost) }
        if choices.bit(4) {
            rules.limits.requests = 2
            rules.limits.head = 100
            rules.limits.fieldLine = 40
            rules.limits.trailers = 40
            rules.limits.chunkLine = 10
        }
        if choices.bit(6) {
            rules.keptFields.request = ["Host", "A", "content-length"]
            rules.keptFields.response = ["Content-Length", "B"]
            rules.keptFields.valueBytes = 4
        }
        let hasLittleMemory = choices.bit(5)
        let events = read(&input)
        let limit = hasLittleMemory ? 2048 : 1 << 20
        let whole = parse(events, rules, limit: limit, cut: .max)
        let parts = parse(events, rules, limit: limit, cut: 1 + cut & 15)
        // Memory is only taken for what does not come in one piece, and behind a hole, or an error, pieces may be where reading is
        // taken up again.
        let hasHole = events.contains { if case .gap = $0 { true } else { false } }
        if !hasLittleMemory, rules.resynchronisation == .never || rules.resynchronisation == .afterGap && !hasHole {
            require(whole == parts, "results depend on how streams are cut")
        }
    }

    private static func read(_ input: inout FuzzInput) -> [Event] {
        var events: [Event] = []
        while !input.isEmpty {
            let kind = input.byte()
            let count = input.byte()
            let side = kind.bit(0) ? HTTP1Side.response : .request
            switch kind >> 1 & 15 {
            case 0: events.append(.gap(side, count == 0 ? nil : UInt64(count)))
            case 1: events.append(.gap(side, UInt64.max >> UInt64(count & 63)))
            case 2 where count < 16: events.append(.end(side, count < 8 ? .finished : .reset))
            case 3 where count < 8: events.append(.close)
            default:
                let acknowledged: UInt64? =
                    switch kind >> 5 & 7 {
                    case 0...3: nil
                    case 4: .max
                    case 5: 0
                    default: UInt64(count) << UInt64(kind >> 5 & 1)
                    }
                events.append(.piece(side, input.take(count), acknowledged: acknowledged))
            }
        }
        return events
    }

    /// What is found, with pieces of `cut` bytes at the most.
    private static func parse(_ events: [Event], _ rules: HTTP1Rules, limit: Int, cut: Int) -> FuzzTranscript {
        let memory = HTTP1Memory(limit: limit)
        let parser = HTTP1Parser(rules, memory: memory)
        var connection = HTTP1Connection()
        var log = Log()
        for event in events {
            switch event {
            case .piece(let side, let bytes, let acknowledged):
                var rest = bytes[...]
                repeat {
                    // A block of exactly its size, so that a read beyond it is found.
                    let part = UnsafeMutableRawBufferPointer.allocate(byteCount: min(cut, rest.count), alignment: 1)
                    part.copyBytes(from: rest.prefix(part.count))
                    parser.take(
                        side,
                        UnsafeRawBufferPointer(part),
                        time: 0,
                        acknowledged: acknowledged,
                        of: &connection,
                        to: &log
                    )
                    part.deallocate()
                    rest = rest.dropFirst(part.count)
                } while !rest.isEmpty
            case .gap(let side, let count): parser.gap(side, count, time: 0, of: &connection, to: &log)
            case .end(let side, let end): parser.end(side, end, of: &connection, to: &log)
            case .close: parser.close(&connection, .idle, to: &log)
            }
            require(memory.used <= memory.limit)
        }
        parser.close(&connection, .finished, to: &log)
        require(memory.used == 0, "memory is lost")
        require(memory.peak <= memory.limit, "more memory was taken than there is")
        return log.transcript
    }

    /// Everything that is reported, bodies put together.
    private struct Log: HTTP1Handler {
        private(set) var transcript = FuzzTranscript()
        /// Whose bytes came last, while nothing else was reported.
        private var body = 0

        private mutating func begin(_ event: Int) {
            body = 0
            transcript.add(event)
        }
        private mutating func add(_ bytes: UnsafeRawBufferPointer) {
            transcript.add(bytes.count)
            transcript.add(bytes)
        }
        private mutating func add(_ fields: HTTP1Fields) {
            for field in fields {
                add(UnsafeRawBufferPointer(rebasing: fields.bytes[field.name]))
                add(UnsafeRawBufferPointer(rebasing: fields.bytes[field.value]))
            }
        }
        private mutating func add(_ head: HTTP1Head) {
            add(head.method)
            add(head.target)
            add(head.host)
            transcript.add(head.status)
            transcript.add(head.version.major)
            transcript.add(head.version.minor)
            transcript.add(head.contentLength ?? 0)
            add(head.fields)
        }
        private mutating func add(_ bytes: UnsafeRawBufferPointer, _ kind: Int) {
            if bytes.isEmpty { return }
            if body != kind {
                begin(kind)
                body = kind
            }
            transcript.add(bytesOfSome: bytes)
        }

        mutating func requestHead(_ head: HTTP1Head) {
            begin(1)
            add(head)
        }
        mutating func responseHead(_ head: HTTP1Head) {
            begin(2)
            add(head)
        }
        mutating func interimResponse(_ head: HTTP1Head) {
            begin(3)
            add(head)
        }
        mutating func body(_ side: HTTP1Side, _ bytes: UnsafeRawBufferPointer) { add(bytes, 10 + Int(side.rawValue)) }
        mutating func bodyGap(_ side: HTTP1Side, _ count: UInt64) {
            begin(20 + Int(side.rawValue))
            transcript.add(count)
        }
        mutating func trailers(_ side: HTTP1Side, _ fields: HTTP1Fields) {
            begin(30 + Int(side.rawValue))
            add(fields)
        }
        mutating func messageComplete(_ side: HTTP1Side, bodyBytes: UInt64) {
            begin(40 + Int(side.rawValue))
            transcript.add(bodyBytes)
        }
        mutating func tunnelBegins(_ side: HTTP1Side, at position: UInt64) {
            begin(50 + Int(side.rawValue))
            transcript.add(position)
        }
        mutating func tunnelBytes(_ side: HTTP1Side, _ bytes: UnsafeRawBufferPointer) {
            add(bytes, 60 + Int(side.rawValue))
        }
        mutating func failed(_ side: HTTP1Side, _ error: HTTP1Error, at position: UInt64) {
            begin(70 + Int(side.rawValue))
            transcript.add(error.rawValue)
            transcript.add(position)
        }
        mutating func transaction(_ transaction: HTTP1Transaction) {
            begin(80)
            add(transaction.method)
            add(transaction.target)
            add(transaction.host)
            transcript.add(transaction.status)
            transcript.add(transaction.requestBodyBytes)
            transcript.add(transaction.responseBodyBytes)
            transcript.add(transaction.interim)
            transcript.add(transaction.error?.rawValue ?? 0xff)
            transcript.add(transaction.errorPosition)
            transcript.add(transaction.requestTime == nil ? 0 : 1)
            transcript.add(transaction.responseTime == nil ? 0 : 1)
        }
    }
}

// MARK: Seeds

extension FuzzHTTP {
    private static func piece(_ kind: Int, _ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        return stride(from: 0, to: bytes.count, by: 255).flatMap { start in
            let part = bytes[start..<min(start + 255, bytes.count)]
            return [UInt8(kind), UInt8(part.count)] + part
        }
    }
    private static func request(_ text: String) -> [UInt8] { piece(16, text) }
    private static func response(_ text: String) -> [UInt8] { piece(17, text) }

    static let seeds: [(name: String, bytes: [UInt8])] = {
        let get = request("GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n")
        let ok = response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        let open = response("HTTP/1.1 200 OK\r\n\r\nabc")
        let chunked = response(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n0\r\nEnd: yes\r\n\r\n"
        )
        let post = request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc")
        let switching = "Connection: upgrade\r\nUpgrade: b\r\n\r\n"
        let both = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        return [
            ("get", [2, 0] + get + ok),
            ("pipelined", [2, 2] + get + get + get + chunked + ok + response("HTTP/1.0 304 Not Modified\r\n\r\n")),
            ("continue", [2, 1] + post + response("HTTP/1.1 100 Continue\r\n\r\n") + ok),
            ("connect", [2, 3] + request("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nxyz") + open),
            (
                "upgrade",
                [2, 4] + request("GET / HTTP/1.1\r\nHost: a\r\n" + switching)
                    + response("HTTP/1.1 101 Switching Protocols\r\n" + switching + "abc")
            ),
            (
                "lenient",
                [3, 5] + request("\nGET\t/a b  HTTP/9.9 \nHost : a\nA: b\n c\nno colon\nContent-Length: 1, 1\n\nx")
                    + response("HTTP/1.1 200\nTransfer-Encoding: gzip, chunked\nContent-Length: 9\n\n1 \na\n0\n\n")
            ),
            (
                "limits",
                [24, 6] + get + get + get + request("GET /" + String(repeating: "a", count: 90)) + ok + ok + ok
            ),
            ("little-memory", [58, 7] + get + post + get + chunked),
            ("gap", [2, 8] + post + [0, 40] + get + ok + [1, 0] + ok + [3, 70] + ok),
            ("at-piece", [4, 9] + request("x") + [0, 9] + request("y") + get + ok),
            (
                "holes",
                [4, 9] + get + ok + [0, 60] + [208] + get.dropFirst() + ok + [1, 100] + response("rest of a body") + get
                    + response("x\r\nHTTP/1.1 204 No\r\n\r\n") + ok
            ),
            ("head-and-close", [2, 10] + request("HEAD / HTTP/1.0\r\n\r\n") + ok + open + [5, 0]),
            ("reset", [2, 11] + post.dropLast(2) + [4, 9] + ok + [6, 0] + get),
            ("smuggling", [2, 12] + request("POST / HTTP/1.1\r\nHost: a\r\n" + both + "GET")),
        ]
    }()
}
