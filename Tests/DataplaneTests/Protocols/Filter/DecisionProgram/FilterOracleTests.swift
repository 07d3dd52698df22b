// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import SpillwayTesting
import TestSupport
import Testing

/// Our decisions against libpcap's own interpreter, packet by packet.
@Suite struct FilterOracleTests {
    /// Captures grouped by how libpcap reads them: link types are few, packets many.
    struct Corpus {
        var linkType: UInt16
        var oracle: Oracle
        var packets: [Captured]
    }

    /// Up to `limit` packets of each capture, put together by link type.
    static func corpora(limit: Int) -> [Corpus] {
        var byLinkType: [UInt16: Corpus] = [:]
        for name in captureNames() {
            guard let oracle = Oracle(path: "\(Shared.captures)/\(name)") else { continue }
            let packets = oracle.packets(limit: limit)
            byLinkType[oracle.linkType, default: Corpus(linkType: oracle.linkType, oracle: oracle, packets: [])]
                .packets += packets
        }
        return byLinkType.values.sorted { $0.linkType < $1.linkType }
    }

    static func compile(_ filter: String, _ linkType: UInt16) -> [BPFInstruction]? {
        do { return try FilterCompiler.compile(filter, linkType: linkType) } catch { return nil }
    }

    /// Classifies all packets with sets of rules and compares with the first filter that libpcap says matches.
    /// Returns how many decisions were compared.
    static func compare(_ corpus: Corpus, sets: [[Int]], _ filters: [String]) -> Int {
        let programs = filters.map { compile($0, corpus.linkType) }
        let theirs = filters.map { corpus.oracle.filter($0) }
        for (k, filter) in filters.enumerated() {
            // libpcap also refuses what it finds to match nothing; here that is a program, of which there is a warning.
            #expect(
                (programs[k] == nil || programs[k] == [.reject]) == theirs[k].isRefused,
                "link type \(corpus.linkType): '\(filter)' is refused by one of us"
            )
        }
        let decisions = sets.map { set in DecisionProgram(set.map { programs[$0] }) }
        var count = 0
        for packet in corpus.packets {
            packet.bytes.withUnsafeBytes { bytes in
                let matches = theirs.map { $0.matches(bytes, wireLength: packet.wireLength) }
                for (set, decision) in zip(sets, decisions) {
                    let expected = set.firstIndex { matches[$0] } ?? set.count
                    let (rule, tests) = decision.classify(bytes, wireLength: packet.wireLength)
                    count += 1
                    if rule != expected {
                        let rules = set.map { filters[$0] }
                        Issue.record("link type \(corpus.linkType), \(rules): \(rule), not \(expected): \(packet)")
                    }
                    if tests < 0 || tests > 100_000 { Issue.record("\(tests) tests") }
                }
            }
        }
        return count
    }

    /// Each filter alone, then sets of 2 to 24 drawn at random.
    static func sets(_ count: Int, from filters: [String], _ random: inout TestRandom) -> [[Int]] {
        (0..<count).map { _ in
            (0..<Int.random(in: 2...24, using: &random)).map { _ in Int.random(in: filters.indices, using: &random) }
        }
    }

    @Test(.enabled(if: Shared.isThere))
    func everyCapture() {
        var random = TestRandom(7)
        var total = 0
        var packets = 0
        for corpus in FilterOracleTests.corpora(limit: .max) {
            var sets = filters.indices.map { [$0] }
            sets += FilterOracleTests.sets(24, from: filters, &random)
            sets.append(filters.indices.shuffled(using: &random))
            total += FilterOracleTests.compare(corpus, sets: sets, filters)
            packets += corpus.packets.count
        }
        #expect(packets > 5_000 && total > 1_000_000)
    }

    /// Packets of noise, some with the beginning of a real one.
    @Test func noise() throws {
        var random = TestRandom(11)
        let frames = try ["10.0.0.1:1 > 10.0.0.2:80 A", "[2001:db8::1]:1 > [2001:db8::2]:53 udp"].map {
            try PacketText.frame($0).bytes
        }
        let packets = (0..<600).map { number in
            var bytes = (0..<Int.random(in: 0...120, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            if number % 2 == 0 {
                let frame = frames[number / 2 % 2]
                let kept = Int.random(in: 0...min(frame.count, bytes.count), using: &random)
                bytes.replaceSubrange(0..<kept, with: frame[..<kept])
            }
            return Captured(
                bytes: bytes,
                wireLength: UInt32(bytes.count) + UInt32.random(in: 0...1_500, using: &random)
            )
        }
        let sets = filters.indices.map { [$0] } + FilterOracleTests.sets(24, from: filters, &random)
        let corpus = Corpus(linkType: 1, oracle: Oracle(), packets: packets)
        #expect(FilterOracleTests.compare(corpus, sets: sets, filters) == packets.count * sets.count)
    }

    /// Every beginning of packets of all kinds.
    @Test func cutPackets() throws {
        var random = TestRandom(13)
        let texts = [
            "10.0.0.1:1000 > 10.0.0.2:80 S mss=1460", "10.0.0.1:53 > 10.0.0.2:53 udp len=20",
            "10.0.0.1 > 10.0.0.2 icmp len=8",
            "[2001:db8::1]:99 > [2001:db8::2]:443 PA len=20 vlan=5", "10.0.0.1 > 10.0.0.2 arp",
            "10.0.0.1 > 10.0.0.2 udp frag=8+ len=16", "10.0.0.1:80 > 10.0.0.2:80 A vlan=100,5",
        ]
        let packets = try texts.flatMap { text in
            let bytes = try PacketText.frame(text).bytes
            return (0...bytes.count).map { Captured(bytes: Array(bytes[..<$0]), wireLength: UInt32(bytes.count)) }
        }
        let sets = filters.indices.map { [$0] } + FilterOracleTests.sets(24, from: filters, &random)
        let corpus = Corpus(linkType: 1, oracle: Oracle(), packets: packets)
        #expect(FilterOracleTests.compare(corpus, sets: sets, filters) == packets.count * sets.count)
    }

    /// Equalities on one field that ask for different numbers of captured bytes must not become one look-up: a load that is
    /// dead but for its bounds (shifted out, or compared with all its values) still rejects a short packet.
    @Test func equalitiesThatNeedMoreBytes() {
        let rules = [
            "ip proto 1", "ether[46] >> 8 = 0 and ip proto 2", "ip proto 3", "ether[60] < 256 and ip proto 4",
            "ip proto 5",
            "ether[46] >> 8 = 0 and ip proto 6",
        ]
        let packets = [0x45, 0x46].flatMap { first in
            (0...7).flatMap { proto in
                (14...64).map { length in
                    var bytes = [UInt8](repeating: 0, count: length)
                    bytes[12] = 8
                    if length > 14 { bytes[14] = UInt8(first) }
                    if length > 23 { bytes[23] = UInt8(proto) }
                    return Captured(bytes: bytes, wireLength: 64)
                }
            }
        }
        let corpus = Corpus(linkType: 1, oracle: Oracle(), packets: packets)
        let sets = [Array(rules.indices), Array(rules.indices.reversed()), [1, 0, 2, 3, 4, 5]]
        #expect(FilterOracleTests.compare(corpus, sets: sets, rules) == packets.count * sets.count)
    }
}
