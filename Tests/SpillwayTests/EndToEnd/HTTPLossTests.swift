// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import TestSupport
import Testing

/// HTTP/1 after loss: a pair that is recorded is one, and what can be read is read.
@Suite struct HTTPLossTests {
    // MARK: Small captures with right answers

    /// Method and target, status, error, its side, and the bytes skipped, of each record.
    private static let cases: [(name: String, records: [String])] = [
        (
            "http-lost-request",
            ["GET /a 200", "- 404 gap client", "GET /c 500 skipped=42", "GET /d 301"]
        ),
        ("http-first-request-lost", ["- 200 gap client", "GET /b 404 skipped=42", "GET /c 500"]),
        ("http-begins-in-body", ["- 201 gap client", "GET /a 200 skipped=500", "GET /b 404", "GET /c 500"]),
        ("http-tls-hello-first", ["- 400 bad_method client", "GET /a 200 skipped=7", "GET /b 404", "GET /c 500"]),
        (
            "http-hole-in-head",
            ["POST /p 201 gap client", "GET /a 200 skipped=934", "GET /b 404", "GET /c 500", "GET /d 301"]
        ),
        (
            "http-hole-across-chunks",
            ["GET /p 200 gap server", "GET /a 200 skipped=990", "GET /b 404", "GET /c 500", "GET /d 301"]
        ),
        ("http-tls-to-http-port", ["- 400 bad_method client"]),
        ("http-close-delimited-at-end", ["GET /a 200 eof server"]),
        ("http-long-request-line", ["GET /\(String(repeating: "u", count: 12_000)) 414"]),
        ("http-chunk-extension-blank", ["POST /a 200", "GET /secret 200"]),
        ("http-no-host", ["GET / - missing_host client"]),
    ]

    private static func records(_ binding: WireBinding) throws -> [[String: Any]] {
        let files = KeptFiles()
        let graph = try shippedGraph("http-log", [("records", "records"), ("idle", "0 s")])
        let instance = try Instance(graph, bindings: [0: binding], services: files)
        try DirectRuntime(instance).run()
        for number in graph.nodes.indices { #expect(instance.counts(number).balances) }
        return try (files.contents["records"] ?? []).split(separator: UInt8(ascii: "\n")).map {
            try #require(try JSONSerialization.jsonObject(with: Data($0)) as? [String: Any])
        }
    }

    private static func summary(_ record: [String: Any]) -> String {
        var words: [String] = []
        if let method = record["method"] as? String { words = [method, record["target"] as? String ?? ""] }
        if words.isEmpty { words = ["-"] }
        words.append((record["status"] as? Int).map { "\($0)" } ?? "-")
        if let error = record["error"] as? String { words += [error, record["error_side"] as? String ?? "?"] }
        let skipped = (record["request_skipped"] as? Int ?? 0) + (record["response_skipped"] as? Int ?? 0)
        if skipped > 0 { words.append("skipped=\(skipped)") }
        return words.joined(separator: " ")
    }

    @Test(.enabled(if: Shared.isThere), arguments: cases) func aSmallCapture(
        _ each: (name: String, records: [String])
    ) throws {
        let path = URL(filePath: Shared.captures).deletingLastPathComponent().appending(path: "cases/\(each.name).pcap")
        guard FileManager.default.fileExists(atPath: path.path()) else { return }
        let source = try CaptureSource(paths: [path.path()])
        let records = try Self.records(WireBinding(source: source))
        #expect(records.map(Self.summary) == each.records)
    }

    // MARK: Generated connections

    @Test func withoutLossEveryRequestHasItsResponse() throws {
        for seed in 0..<60 {
            let connection = MadeConnection(seed: UInt64(seed), habit: .allCases[seed % 3])
            let found = try Self.pairs(connection.packets)
            #expect(
                found.records.allSatisfy { $0["error"] is NSNull },
                "seed \(seed): \(found.records.map(Self.summary))"
            )
            #expect(found.pairs == connection.pairs, "seed \(seed)")
        }
    }

    /// Any one segment is missing.
    @Test(arguments: [MadeConnection.Habit.waits, .bursts]) func pairsHoldWhateverSegmentIsMissing(
        _ habit: MadeConnection.Habit
    ) throws {
        for seed in 0..<12 {
            let connection = MadeConnection(seed: UInt64(1000 + seed), habit: habit)
            for lost in connection.packets.indices {
                var packets = connection.packets
                packets.remove(at: lost)
                try Self.check(connection, packets, "seed \(seed), without packet \(lost)")
            }
        }
    }

    /// The capture begins anywhere.
    @Test(arguments: [MadeConnection.Habit.waits]) func pairsHoldWhereverACaptureBegins(
        _ habit: MadeConnection.Habit
    ) throws {
        for seed in 0..<12 {
            let connection = MadeConnection(seed: UInt64(2000 + seed), habit: habit)
            for first in connection.packets.indices {
                try Self.check(connection, Array(connection.packets[first...]), "seed \(seed), from packet \(first)")
            }
        }
    }

    /// Several are missing, on both sides.
    @Test(arguments: [MadeConnection.Habit.waits]) func pairsHoldAfterSeveralHoles(_ habit: MadeConnection.Habit) throws
    {
        for seed in 0..<150 {
            var numbers = MadeConnection.Numbers(state: UInt64(seed))
            let connection = MadeConnection(seed: UInt64(3000 + seed), habit: habit)
            let packets = connection.packets.filter { _ in Int.random(in: 0..<8, using: &numbers) > 0 }
            try Self.check(connection, packets, "seed \(seed)")
        }
    }

    private static func pairs(
        _ packets: [MadeConnection.Packet]
    ) throws -> (pairs: [String: Int], records: [[String: Any]]) {
        let source = MemorySource(
            packets.map {
                MemorySource.Packet(
                    bytes: $0.bytes,
                    wireLength: $0.bytes.count,
                    time: $0.time,
                    linkType: LinkType.raw
                )
            }
        )
        let records = try records(WireBinding(source: source))
        var pairs: [String: Int] = [:]
        for record in records {
            if let target = record["target"] as? String, let status = record["status"] as? Int {
                pairs[target] = status
            }
        }
        return (pairs, records)
    }

    private static func check(_ connection: MadeConnection, _ packets: [MadeConnection.Packet], _ what: String) throws {
        let found = try pairs(packets)
        let all = found.records.map(summary)
        for (target, status) in found.pairs {
            #expect(connection.pairs[target] == status, "\(what): \(target) is not answered by \(status): \(all)")
        }
        let targets = found.records.compactMap { $0["target"] as? String }
        #expect(Set(targets).count == targets.count, "\(what): a request has two records: \(all)")
        // A client that waits for its responses loses no pair but those of which bytes are missing.
        guard connection.habit == .waits else { return }
        let kept = Set(packets.map(\.time))
        for exchange in connection.exchanges where exchange.times.allSatisfy(kept.contains) {
            #expect(found.pairs[exchange.target] == exchange.status, "\(what): \(exchange.target) is not found: \(all)")
        }
    }
}

/// A connection with random requests and their responses, as packets.
struct MadeConnection {
    /// How the client sends requests: one after the other, several at a time, or whenever it likes.
    enum Habit: CaseIterable { case waits, bursts, overlaps }

    struct Packet {
        var bytes: [UInt8]
        var time: Int64
    }
    struct Exchange {
        var target: String
        var status: Int
        /// The times of the packets with its bytes.
        var times: Set<Int64> = []
    }
    /// Numbers from a seed (splitmix64).
    struct Numbers: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
            return z ^ z >> 31
        }
    }

    let habit: Habit
    private(set) var packets: [Packet] = []
    private(set) var exchanges: [Exchange] = []
    private var numbers: Numbers
    /// Bytes sent, and received, by client and server.
    private var sent = (0, 0)
    private var received = (0, 0)
    private static let client = MadePacket.End(address: 0xc000_020a, port: 40_000)
    private static let server = MadePacket.End(address: 0xc633_6414, port: 80)

    var pairs: [String: Int] { Dictionary(uniqueKeysWithValues: exchanges.map { ($0.target, $0.status) }) }

    init(seed: UInt64, habit: Habit) {
        self.habit = habit
        numbers = Numbers(state: seed)
        let (syn, ack, fin) = (MadePacket.Flags.syn, MadePacket.Flags.ack, MadePacket.Flags.fin)
        add(MadePacket.tcp(Self.client, Self.server, syn, seq: 1000))
        add(MadePacket.tcp(Self.server, Self.client, syn | ack, seq: 5000, ack: 1001))
        add(MadePacket.tcp(Self.client, Self.server, ack, seq: 1001, ack: 5001))
        var left = Int.random(in: 4...9, using: &numbers)
        var waiting: [(index: Int, response: [UInt8])] = []
        while left > 0 || !waiting.isEmpty {
            let asks: Bool
            switch habit {
            case .waits: asks = waiting.isEmpty
            case .bursts: asks = waiting.isEmpty
            case .overlaps: asks = left > 0 ? waiting.isEmpty || below(2) == 0 : false
            }
            if asks {
                let count =
                    habit == .waits ? 1 : min(left, Int.random(in: 1...(habit == .bursts ? 4 : 2), using: &numbers))
                for _ in 0..<count { waiting.append(ask(isPlain: habit != .waits)) }
                left -= count
                received.1 = sent.0
            } else {
                let (index, response) = waiting.removeFirst()
                send(response, from: 1, of: index)
                // A server may be faster than its acknowledgments, a client that waits has all of its response.
                if habit != .overlaps || below(2) == 0 { received.0 = sent.1 }
            }
        }
        received = (sent.1, sent.0)
        add(MadePacket.tcp(Self.client, Self.server, fin | ack, seq: number(1001, sent.0), ack: number(5001, sent.1)))
        add(MadePacket.tcp(Self.server, Self.client, fin | ack, seq: number(5001, sent.1), ack: number(1002, sent.0)))
    }

    private func number(_ start: Int, _ position: Int) -> UInt32 { UInt32(truncatingIfNeeded: start + position) }

    private mutating func add(_ bytes: [UInt8]) {
        packets.append(Packet(bytes: bytes, time: Int64(packets.count + 1) * 1_000_000))
    }

    private mutating func below(_ n: Int) -> Int { Int.random(in: 0..<n, using: &numbers) }

    /// Sends a request, with an interim response if it asks for one; returns the response to come.
    private mutating func ask(isPlain: Bool) -> (index: Int, response: [UInt8]) {
        let index = exchanges.count
        let kind = isPlain ? below(3) : below(6)
        let method = ["GET", "POST", "HEAD", "POST", "PUT", "GET"][kind]
        var status = 400 + index
        let noBody = below(8)
        if noBody < 2 { status = noBody == 0 ? 204 : 304 }
        exchanges.append(Exchange(target: "/\(index)", status: status))
        let extra = String(repeating: "c", count: below(120))
        var head = "\(method) /\(index) HTTP/1.1\r\nHost: www.example.com\r\nCookie: \(extra)\r\n"
        var body: [UInt8] = []
        switch kind {
        case 1:
            body = content(below(400))
            head += "Content-Length: \(body.count)\r\n"
        case 3:
            body = chunked(content(below(400)))
            head += "Transfer-Encoding: chunked\r\n"
        case 4:
            body = content(1 + below(300))
            head += "Content-Length: \(body.count)\r\nExpect: 100-continue\r\n"
        default: break
        }
        send(Array((head + "\r\n").utf8), from: 0, of: index)
        if kind == 4 {
            received.1 = sent.0
            send(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8), from: 1, of: index)
            received.0 = sent.1
        }
        send(body, from: 0, of: index)
        return (index, response(index, status, isHead: method == "HEAD"))
    }

    private mutating func response(_ index: Int, _ status: Int, isHead: Bool) -> [UInt8] {
        let head = "HTTP/1.1 \(status) Text\r\nServer: made\r\n"
        if status == 204 || status == 304 { return Array((head + "\r\n").utf8) }
        let body = content(below(500))
        if below(2) == 0 {
            let text = Array((head + "Transfer-Encoding: chunked\r\n\r\n").utf8)
            return isHead ? text : text + chunked(body)
        }
        let text = Array((head + "Content-Length: \(body.count)\r\n\r\n").utf8)
        return isHead ? text : text + body
    }

    /// Bytes in which messages seem to be.
    private mutating func content(_ count: Int) -> [UInt8] {
        let text = [
            "\r\n\r\nGET /evil HTTP/1.1\r\nHost: evil\r\n\r\n", "HTTP/1.1 299 Evil\r\nContent-Length: 0\r\n\r\n",
            "a\r\nb\r\n",
            "0\r\n\r\n", "some text ",
        ]
        var bytes: [UInt8] = []
        while bytes.count < count { bytes += Array(text[below(text.count)].utf8) }
        return Array(bytes.prefix(count))
    }

    private mutating func chunked(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(1 + below(90))
            out += Array("\(String(part.count, radix: 16))\r\n".utf8) + part + Array("\r\n".utf8)
            rest = rest.dropFirst(part.count)
        }
        return out + Array("0\r\n\r\n".utf8)
    }

    /// Sends bytes in segments.
    private mutating func send(_ bytes: [UInt8], from side: Int, of exchange: Int) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(below(2) == 0 ? 1400 : 20 + below(200)))
            rest = rest.dropFirst(part.count)
            exchanges[exchange].times.insert(Int64(packets.count + 1) * 1_000_000)
            let ack = MadePacket.Flags.ack
            if side == 0 {
                let (seq, number) = (number(1001, sent.0), number(5001, received.0))
                add(MadePacket.tcp(Self.client, Self.server, ack, seq: seq, ack: number, part))
                sent.0 += part.count
            } else {
                let (seq, number) = (number(5001, sent.1), number(1001, received.1))
                add(MadePacket.tcp(Self.server, Self.client, ack, seq: seq, ack: number, part))
                sent.1 += part.count
            }
        }
    }
}
