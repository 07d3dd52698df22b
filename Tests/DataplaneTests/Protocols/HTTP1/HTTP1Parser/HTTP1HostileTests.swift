// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

/// Numbers from a seed (splitmix64).
private struct Numbers: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}

@Suite struct HTTP1HostileTests {
    /// Conversations with what the three sources do not have.
    private static let own: [[(HTTP1Side, [UInt8])]] = [
        [
            (.request, Array("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n".utf8)),
            (.response, Array("HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\n\r\ntunnel".utf8)),
            (.request, Array("xyz".utf8)),
        ],
        [
            (.request, Array("GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n\u{1}\u{2}\r\n".utf8)),
            (.response, Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=\"\\\"".utf8)),
            (.response, Array("\"\r\na\r\n0\r\nA: b\r\n\r\n".utf8)),
        ],
    ]
    private static let conversations = HTTP1Conformance.conversations + own

    /// A conversation cut at positions of all its bytes together.
    private func cut(_ pieces: [(HTTP1Side, [UInt8])], _ cuts: [Int]) -> [(HTTP1Side, [UInt8])] {
        var result: [(HTTP1Side, [UInt8])] = []
        var start = 0
        for (side, bytes) in pieces {
            var from = 0
            for cut in cuts where cut > start && cut < start + bytes.count {
                result.append((side, Array(bytes[from..<(cut - start)])))
                from = cut - start
            }
            result.append((side, Array(bytes[from...])))
            start += bytes.count
        }
        return result
    }

    @Test(arguments: [HTTP1Rules.brief, .lenient])
    func aStreamIsTheSameHoweverItIsCut(_ rules: HTTP1Rules) {
        var streams = 0
        for conversation in Self.conversations {
            let whole = HTTP1Feed.events(conversation, rules)
            let length = conversation.reduce(0) { $0 + $1.1.count }
            streams += 1
            #expect(HTTP1Feed.events(conversation.flatMap { piece in piece.1.map { (piece.0, [$0]) } }, rules) == whole)
            // Long conversations are the same few forms again; a stride keeps the time down.
            for at in stride(from: 1, to: length, by: length > 3000 ? 61 : length > 1000 ? 7 : 1) {
                guard HTTP1Feed.events(cut(conversation, [at]), rules) == whole else {
                    Issue.record("\(latin(conversation.flatMap(\.1)).debugDescription) cut at \(at)")
                    break
                }
            }
            if length <= 64 {
                for first in 1..<max(length, 1) {
                    for second in first..<length {
                        if HTTP1Feed.events(cut(conversation, [first, second]), rules) == whole { continue }
                        Issue.record("\(latin(conversation.flatMap(\.1)).debugDescription) cut at \(first), \(second)")
                    }
                }
            }
        }
        #expect(streams >= Self.own.count)
    }

    /// Bytes changed, removed, doubled, exchanged between inputs: no trap, and one result however it is cut.
    @Test(arguments: [HTTP1Rules.brief, .lenient])
    func mutatedStreamsNeitherTrapNorDependOnCuts(_ rules: HTTP1Rules) {
        var numbers = Numbers(state: 7)
        let special = Array("\r\n\r\n\n\r \t:;,\"0aF\u{0}\u{7f}-_x".utf8) + [0x80, 0xff]
        for round in 0..<4000 {
            var conversation = Self.conversations[round % Self.conversations.count]
            guard !conversation.isEmpty else { continue }
            for _ in 0...Int.random(in: 0..<4, using: &numbers) {
                let piece = Int.random(in: 0..<conversation.count, using: &numbers)
                var bytes = conversation[piece].1
                guard !bytes.isEmpty else { continue }
                let at = Int.random(in: 0..<bytes.count, using: &numbers)
                switch Int.random(in: 0..<6, using: &numbers) {
                case 0: bytes[at] = special.randomElement(using: &numbers)!
                case 1: bytes.insert(special.randomElement(using: &numbers)!, at: at)
                case 2: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1..<9, using: &numbers)))
                case 3: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 30)], at: at)
                case 4: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &numbers)
                default:
                    let other = Self.conversations.randomElement(using: &numbers)!.first?.1 ?? []
                    bytes.replaceSubrange(at..., with: other.suffix(max(other.count - at, 0)))
                }
                conversation[piece].1 = bytes
            }
            let whole = HTTP1Feed.events(conversation, rules)
            let length = conversation.reduce(0) { $0 + $1.1.count }
            guard length > 2 else { continue }
            let cuts = (0..<3).map { _ in Int.random(in: 1..<length, using: &numbers) }.sorted()
            if HTTP1Feed.events(cut(conversation, cuts), rules) != whole {
                Issue.record("\(latin(conversation.flatMap(\.1)).debugDescription) cut at \(cuts)")
            }
        }
    }

    /// The words of a scan against a byte at a time, at every length and place.
    @Test func scansAgreeWithTheirDefinition() {
        var numbers = Numbers(state: 3)
        for _ in 0..<4000 {
            let count = Int.random(in: 0...40, using: &numbers)
            // Mostly what runs on, so that all places are met; then anything.
            var bytes = (0..<count).map { _ in UInt8(ascii: "a") + UInt8.random(in: 0..<26, using: &numbers) }
            for _ in 0..<Int.random(in: 0..<4, using: &numbers) where count > 0 {
                bytes[Int.random(in: 0..<count, using: &numbers)] = UInt8.random(in: 0...255, using: &numbers)
            }
            let block = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 1)
            defer { block.deallocate() }
            block.copyBytes(from: bytes)
            let base = UnsafeRawPointer(block.baseAddress!)
            let tokens = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
            #expect(HTTP1Bytes.tokenEnd(base, 0, count) == bytes.firstIndex { !tokens.contains($0) } ?? count)
            #expect(
                HTTP1Bytes.valueEnd(base, 0, count) == bytes.firstIndex { $0 < 32 && $0 != 9 || $0 == 127 } ?? count
            )
            #expect(HTTP1Bytes.visibleEnd(base, 0, count) == bytes.firstIndex { $0 < 33 || $0 > 126 } ?? count)
            #expect(HTTP1Bytes.find(10, base, 0, count) == bytes.firstIndex(of: 10) ?? count)
        }
    }

    // MARK: Without end

    @Test(arguments: ["GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nA: ", "GET /", "", "G"])
    func aHeadWithoutEndStopsAtItsLimit(_ start: String) {
        for filler in ["A: b\r\n", "a", "\r\n", "A: 0123456789012345678901234567890123456789\r\n"] {
            var feed = HTTP1Feed()
            feed.take(.request, start)
            for _ in 0..<20_000 { feed.take(.request, filler) }
            #expect(feed.parser.memory.peak <= 65536 + 3 * 4096 + 32768)
            #expect(feed.log.events.count <= 20_000)
            feed.close()
            #expect(feed.parser.memory.used == 0)
        }
    }

    @Test func aMillionTinyChunksTakeNoMemory() {
        var feed = HTTP1Feed()
        feed.log.keepsBodies = false
        feed.take(.response, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        let piece = Array(String(repeating: "1\r\na\r\n", count: 100).utf8)
        for _ in 0..<10_000 { feed.take(.response, piece) }
        feed.take(.response, "0\r\n\r\n")
        #expect(feed.log.transactions.map(\.responseBytes) == [1_000_000])
        // One transaction, for the time of the response.
        #expect(feed.parser.memory.peak == 512)
    }

    @Test func chunkSizesAndExtensionsWithoutEndStop() {
        let cases: [(String, HTTP1Error)] = [
            ("0", .chunkLineTooLong), ("f", .chunkSizeOverflow), ("1;", .chunkLineTooLong),
        ]
        for (text, error) in cases {
            var feed = HTTP1Feed()
            feed.take(.request, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<20_000 { feed.take(.request, text) }
            #expect(feed.log.failures == [error])
            #expect(feed.parser.memory.peak == 512)
        }
        var feed = HTTP1Feed()
        feed.take(.request, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        for _ in 0..<20_000 { feed.take(.request, "A: b\r\n") }
        #expect(feed.log.failures == [.tooManyFields])
        #expect(feed.parser.memory.peak <= 4096)
    }
}
