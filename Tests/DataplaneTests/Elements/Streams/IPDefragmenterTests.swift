// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import Foundation
import SpillwayTesting
import TestSupport
import Testing

/// IPDefragmenter against an independent reference, the RFCs' cases, hostile packets, and other programs.
@Suite struct IPDefragmenterTests {
    /// One fragment to send: which blocks of 8 bytes it brings, filled with one byte each.
    private struct Part {
        var start: Int
        var end: Int
        var fill: UInt8
        var more = true
    }

    /// The Ethernet frame of a fragment whose bytes are all `fill`; nothing of it looks like a transport header.
    private static func frame(_ part: Part, id: Int, v6: Bool = false) -> [UInt8] {
        let payload = [UInt8](repeating: part.fill, count: part.end - part.start)
        let ends = v6 ? "2001:db8::1 > 2001:db8::2" : "10.0.0.1 > 10.0.0.2"
        let text = "\(ends) proto=253 id=\(id) frag=\(part.start)\(part.more ? "+" : "") len=\(payload.count)"
        var bytes = try! PacketText.frame(text).bytes
        bytes.replaceSubrange((bytes.count - payload.count)..., with: payload)
        return bytes
    }

    private static func packet(_ bytes: [UInt8], time: Int64 = 0) -> ElementHarness.Packet {
        ElementHarness.Packet(bytes: bytes, wireLength: bytes.count, time: time)
    }

    /// What IPv4 packets hold, in order.
    private static func contents(_ run: ElementHarness.Run) -> [(id: Int, bytes: [UInt8])] {
        run.outputs["out"]!.map { (Int($0.bytes[18]) << 8 | Int($0.bytes[19]), Array($0.bytes[34...])) }
    }

    private func expectBalance(_ run: ElementHarness.Run) {
        for counts in run.all { #expect(counts.balances, "\(counts)") }
        #expect(run.lostItems == 0 && run.counts.held == 0)
    }

    // MARK: Overlaps

    /// Pieces of bytes in a list, as the receivers' sources have them: slow, and nothing of it is shared with the element.
    private struct Reference {
        struct Piece {
            var range: Range<Int>
            var fill: UInt8
        }
        let policy: String
        var pieces: [Piece] = []

        private func newWins(_ new: Range<Int>, over old: Range<Int>) -> Bool {
            switch policy {
            case "first": return false
            case "last": return true
            case "bsd": return old.lowerBound > new.lowerBound
            case "linux": return old.lowerBound >= new.lowerBound
            case "windows": return old.lowerBound > new.lowerBound && old.upperBound < new.upperBound
            case "solaris": return old.lowerBound > new.lowerBound && old.upperBound <= new.upperBound
            default: fatalError("no such policy")
            }
        }

        mutating func add(_ range: Range<Int>, _ fill: UInt8) {
            var kept: [Piece] = []
            var rest = [range]
            for old in pieces {
                guard old.range.overlaps(range) else {
                    kept.append(old)
                    continue
                }
                if newWins(range, over: old.range) {
                    for part in subtract(range, from: old.range) { kept.append(Piece(range: part, fill: old.fill)) }
                } else {
                    kept.append(old)
                    rest = rest.flatMap { subtract(old.range, from: $0) }
                }
            }
            pieces = (kept + rest.map { Piece(range: $0, fill: fill) }).sorted {
                $0.range.lowerBound < $1.range.lowerBound
            }
        }

        private func subtract(_ hole: Range<Int>, from range: Range<Int>) -> [Range<Int>] {
            if !hole.overlaps(range) { return [range] }
            return [
                range.lowerBound..<max(range.lowerBound, hole.lowerBound),
                min(range.upperBound, hole.upperBound)..<range.upperBound,
            ].filter { !$0.isEmpty }
        }

        /// The packet's bytes; nil while some are missing.
        func whole(_ total: Int) -> [UInt8]? {
            var bytes: [UInt8] = []
            for piece in pieces {
                if piece.range.lowerBound != bytes.count { return nil }
                bytes += [UInt8](repeating: piece.fill, count: piece.range.count)
            }
            return bytes.count == total ? bytes : nil
        }
    }

    static let policies = ["first", "last", "bsd", "linux", "windows", "solaris"]

    /// All sequences of four fragments of a packet of 30 bytes, which may complete it more than once.
    @Test(arguments: policies)
    func everyOrderAndOverlapOfFourFragments(_ policy: String) throws {
        let total = 30
        let ranges = (0..<4).flatMap { from in ((from + 1)...4).map { from * 8..<min($0 * 8, total) } }
            .filter { $0.count < total }
        var packets: [ElementHarness.Packet] = []
        var expected: [String] = []
        var id = 0
        for number in 0..<(ranges.count * ranges.count * ranges.count * ranges.count) {
            var reference = Reference(policy: policy)
            var rest = number
            for k in 0..<4 {
                let range = ranges[rest % ranges.count]
                rest /= ranges.count
                let part = Part(
                    start: range.lowerBound,
                    end: range.upperBound,
                    fill: UInt8(65 + k),
                    more: range.upperBound < total
                )
                packets.append(Self.packet(Self.frame(part, id: id)))
                reference.add(range, part.fill)
                if let whole = reference.whole(total) {
                    expected.append("\(id) \(whole)")
                    reference = Reference(policy: policy)
                }
            }
            id += 1
        }
        var harness = try ElementHarness(
            "IPDefragmenter",
            "{overlap: \(policy), datagrams: 65536, fragments: 65536, timeout: 0 s}"
        )
        harness.pool = 1 << 17
        let run = try harness.run(["in": packets])
        expectBalance(run)
        let found = Self.contents(run).map { "\($0.id) \($0.bytes)" }
        if let first = zip(found, expected).first(where: { $0 != $1 }) { Issue.record("\(first.0), not \(first.1)") }
        #expect(found.count == expected.count)
        #expect(expected.count > 1000)
        #expect(Set(run.drops.filter { $0.value > 0 }.keys) == ["incomplete"])
    }

    /// The fragments with which Novak told systems apart (Target-Based Fragmentation Reassembly, 2005), and what each makes of
    /// them: a letter for 8 bytes.
    @Test(arguments: [
        ("bsd", "AAAJJBCCCLLLMMMFFFGGHHIQ"), ("linux", "AAAJJBKKKLLLMMMFFFGGPHQQ"),
        ("windows", "AAAJBBCCCLLLMEEFFFGGHHIQ"), ("solaris", "AAAJBBCCCLLLMMMFFFGGHHIQ"),
        ("first", "AAAJBBCCCLDLMEEFFFGGHHIQ"), ("last", "AJJJJBKKKLLLMMMFNFGOPHQQ"),
    ])
    func publishedFragments(_ policy: String, _ expected: String) throws {
        let sent: [(start: Int, size: Int)] = [
            (0, 24), (32, 16), (48, 24), (80, 8), (104, 16), (120, 24), (144, 16), (160, 16), (176, 8), (8, 32),
            (48, 24),
            (72, 24), (96, 24), (128, 8), (152, 8), (160, 8), (176, 16),
        ]
        let packets = sent.enumerated().map { number, one in
            Self.packet(
                Self.frame(
                    Part(
                        start: one.start,
                        end: one.start + one.size,
                        fill: UInt8(65 + number),
                        more: number + 1 < sent.count
                    ),
                    id: 1
                )
            )
        }
        let run = try ElementHarness("IPDefragmenter", "{overlap: \(policy)}").run(["in": packets])
        let bytes = try #require(Self.contents(run).first?.bytes)
        let letters = stride(from: 0, to: bytes.count, by: 8).map { Character(UnicodeScalar(bytes[$0])) }
        #expect(String(letters) == expected && bytes.count == 192)
    }

    @Test func overlapsMayDropIPv4PacketsToo() throws {
        let run = try ElementHarness("IPDefragmenter", "{overlap: drop}").run([
            "in": [
                "10.0.0.1 > 10.0.0.2 proto=9 frag=0+ len=16", "10.0.0.1 > 10.0.0.2 proto=9 frag=8+ len=16",
                "10.0.0.1 > 10.0.0.2 proto=9 frag=24 len=16", "10.0.0.1 > 10.0.0.2 proto=9 frag=8 len=16",
            ]
        ])
        #expect(run.outputs["out"]!.isEmpty && run.drops["overlap"] == 4)
        expectBalance(run)
    }

    // MARK: Headers

    @Test func headersAreThoseOfTheFirstFragment() throws {
        let run = try ElementHarness("IPDefragmenter").run([
            "in": [
                "10.0.0.1:1 > 10.0.0.2:2 udp id=7 ttl=9 frag=24 data=\"Z\" time=1s",
                "10.0.0.1:1 > 10.0.0.2:2 udp id=7 ttl=33 tos=8 frag=0+ len=8 vlan=5 time=2s",
                "10.0.0.1:1 > 10.0.0.2:2 udp id=7 ttl=5 frag=16+ data=\"ABCDEFGH\" time=3s",
            ]
        ])
        let out = try #require(run.outputs["out"]!.first)
        #expect(try out.matches("10.0.0.1:1 > 10.0.0.2:2 udp id=7 ttl=33 tos=8 vlan=5 len=17 time=3s"))
        #expect(out.sequence == 2 && out.wireLength == 18 + 20 + 8 + 17)
        let header = out.bytes[18..<38]
        #expect(Array(header[20...21]) == [0, 45] && Array(header[24...25]) == [0, 0])
        #expect(header.withUnsafeBytes { Checksum.fold(Checksum.sum($0.baseAddress!, 20)) } == 0xffff)
        expectBalance(run)
    }

    /// An IPv6 packet with destination options before and behind the fragment header.
    private static func v6(start: Int, more: Bool, id: UInt32 = 5, _ content: [UInt8], next: UInt8 = 60) -> [UInt8] {
        let options: [UInt8] = [44, 0, 1, 4, 0, 0, 0, 0]
        let field = UInt16(start) | (more ? 1 : 0)
        let length = UInt16(16 + content.count)
        let ends = (0..<2).flatMap { [UInt8](repeating: 0, count: 15) + [UInt8($0 + 1)] }
        return [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd]
            + [0x60, 0, 0, 0, UInt8(length >> 8), UInt8(length & 255), 60, 64] + ends + options
            + [next, 0, UInt8(field >> 8), UInt8(field & 255), 0, 0, 0, UInt8(id)] + content
    }

    /// 8 bytes of options in front of a UDP header and 8 bytes.
    private static let content: [UInt8] = [17, 0, 1, 4, 0, 0, 0, 0, 0, 9, 0, 9, 0, 16, 0, 0] + Array("ABCDEFGH".utf8)

    @Test func fragmentHeadersAreRemoved() throws {
        // Next headers may differ; that of the first fragment counts.
        let packets = [
            Self.packet(Self.v6(start: 16, more: false, Array(Self.content[16...]), next: 99)),
            Self.packet(Self.v6(start: 0, more: true, Array(Self.content[..<16]))),
        ]
        let run = try ElementHarness("IPDefragmenter").run(["in": packets])
        var expected = Self.v6(start: 0, more: false, Self.content)
        expected.removeSubrange(62..<70)
        expected[54] = 60
        expected[19] -= 8
        #expect(run.outputs["out"]!.map(\.bytes) == [expected])
        expectBalance(run)
    }

    @Test func atomicFragmentsStandAlone() throws {
        let atomic = Self.v6(start: 0, more: false, Self.content)
        let packets = [
            Self.packet(Self.v6(start: 0, more: true, Array(Self.content[..<16]))), Self.packet(atomic),
            Self.packet(Self.v6(start: 16, more: false, Array(Self.content[16...]))),
        ]
        let run = try ElementHarness("IPDefragmenter").run(["in": packets])
        let out = run.outputs["out"]!
        #expect(out.count == 2 && out[0].bytes == out[1].bytes && out[0].bytes.count == atomic.count - 8)
        #expect(out.map(\.sequence) == [1, 2] && run.handler("atomic") == 1)
        expectBalance(run)
    }

    @Test func nestedFragmentHeadersAreRefused() throws {
        // A fragment header in front of the content: in an atomic fragment, and in two that are joined.
        let inner: [UInt8] = [17, 0, 0, 1, 0, 0, 0, 9] + Self.content
        let packets = [
            Self.packet(Self.v6(start: 0, more: false, inner, next: 44)),
            Self.packet(Self.v6(start: 0, more: true, Array(inner[..<24]), next: 44)),
            Self.packet(Self.v6(start: 24, more: false, Array(inner[24...]), next: 44)),
        ]
        let run = try ElementHarness("IPDefragmenter", "{tiny: join}").run(["in": packets])
        #expect(run.outputs["out"]!.isEmpty && run.drops["nested"] == 2)
        expectBalance(run)
    }

    /// Two systems may use one identification, and one may for two protocols and in both directions.
    @Test func fragmentsOfOthersAreNotMixed() throws {
        let ends = ["10.0.0.1 > 10.0.0.2", "10.0.0.2 > 10.0.0.1", "10.0.0.1 > 10.0.0.3"]
        let all = ends.flatMap { ["\($0) proto=9 id=1", "\($0) proto=10 id=1", "\($0) proto=9 id=2"] }
        let run = try ElementHarness("IPDefragmenter").run([
            "in": all.map { "\($0) frag=0+ len=8" } + all.map { "\($0) frag=8 len=8" }
        ])
        let out = run.outputs["out"]!
        for (item, text) in zip(out, all) { #expect(try item.matches("\(text) len=16"), "\(item.text)") }
        #expect(out.count == all.count)
    }

    // MARK: Hostile packets

    @Test(arguments: [
        // The ping of death: its last byte would be byte 65,536 of the packet.
        ("too_long", "", ["10.0.0.1 > 10.0.0.2 icmp frag=65512 len=8"]),
        ("too_long", "", ["[::1]:1 > [::2]:2 udp frag=65528 len=8"]),
        ("empty", "", ["10.0.0.1 > 10.0.0.2 proto=9 frag=8+ len=0"]),
        ("empty", "", ["::1 > ::2 proto=9 frag=16 len=0"]),
        ("unaligned", "", ["10.0.0.1 > 10.0.0.2 proto=9 frag=8+ len=9"]),
        ("unaligned", "", ["::1 > ::2 proto=9 frag=0+ len=15"]),
        ("truncated", "", ["10.0.0.1 > 10.0.0.2 proto=9 frag=8+ len=16 trunc=49"]),
        // RFC 1858: without the flags of TCP; over them. RFC 3128: the same with a first fragment that is whole.
        ("tiny", "", ["10.0.0.1:1 > 10.0.0.2:2 frag=0+ iplen=36"]),
        ("tiny", "", ["10.0.0.1 > 10.0.0.2 frag=8 len=16"]),
        ("tiny", "", ["::1 > ::2 frag=8+ len=8"]),
        // RFC 8200: the chain of headers ends in a later fragment.
        ("tiny", "", ["::1 > ::2 proto=60 frag=0+ data=\"\\x06\\x01abcdef\""]),
        (
            "inconsistent", "",
            ["10.0.0.1 > 10.0.0.2 proto=9 frag=16 len=8", "10.0.0.1 > 10.0.0.2 proto=9 frag=8 len=8"]
        ),
        (
            "inconsistent", "",
            ["10.0.0.1 > 10.0.0.2 proto=9 frag=16 len=8", "10.0.0.1 > 10.0.0.2 proto=9 frag=24+ len=8"]
        ),
        (
            "inconsistent", "",
            ["10.0.0.1 > 10.0.0.2 proto=9 frag=16+ len=8", "10.0.0.1 > 10.0.0.2 proto=9 frag=8 len=8"]
        ),
        ("duplicate", "", ["10.0.0.1 > 10.0.0.2 proto=9 frag=16 len=8", "10.0.0.1 > 10.0.0.2 proto=9 frag=16 len=8"]),
        ("duplicate", "", ["::1 > ::2 proto=9 frag=16 len=8", "::1 > ::2 proto=9 frag=16 len=8"]),
        ("no_room", "{bytes: 15 B}", ["10.0.0.1 > 10.0.0.2 proto=9 frag=16 len=16"]),
    ])
    func hostileFragmentsAreCounted(_ reason: String, _ config: String, _ packets: [String]) throws {
        let run = try ElementHarness("IPDefragmenter", config).run(["in": packets])
        #expect(run.drops[reason] == 1, "\(run.drops)")
        #expect(run.outputs["out"]!.isEmpty)
        expectBalance(run)
    }

    @Test func tinyFragmentsAreJoinedWhereThatIsAsked() throws {
        let run = try ElementHarness("IPDefragmenter", "{tiny: join}").run([
            "in": [
                "10.0.0.1:1 > 10.0.0.2:80 S seq=7 frag=0+ iplen=28",
                "10.0.0.1 > 10.0.0.2 frag=8 data=\"\\0\\0\\0\\0P\\x02\\xff\\xff\\0\\0\\0\\0\"",
            ]
        ])
        #expect(run.outputs["out"]!.count == 1 && run.handler("joined") == 1)
        #expect(
            try run.outputs["out"]!.allSatisfy { try $0.matches("10.0.0.1:1 > 10.0.0.2:80 S seq=7 win=65535 len=0") }
        )
    }

    @Test func aPacketHasOnlySoManyFragments() throws {
        let run = try ElementHarness("IPDefragmenter", "{datagram_fragments: 3}").run([
            "in": (1...5).map { "10.0.0.1 > 10.0.0.2 proto=9 frag=\($0 * 8)+ len=8" }
        ])
        #expect(run.drops["too_many"] == 5)
        expectBalance(run)
    }

    /// The longest packet there is, of fragments in any order.
    @Test func theLongestPacket() throws {
        var random = TestRandom(3)
        let size = 65_515
        let parts = stride(from: 0, to: size, by: 1480).map { start in
            let end = min(start + 1480, size)
            return Part(start: start, end: end, fill: UInt8(start / 1480), more: end < size)
        }
        let packets = parts.shuffled(using: &random).map { Self.packet(Self.frame($0, id: 1)) }
        let run = try ElementHarness("IPDefragmenter").run(["in": packets])
        let whole = parts.flatMap { [UInt8](repeating: $0.fill, count: $0.end - $0.start) }
        #expect(Self.contents(run).map(\.bytes) == [whole])
        #expect(run.outputs["out"]!.first.map { Array($0.bytes[16...17]) } == [255, 255])
        expectBalance(run)
    }

    // MARK: Time and room

    /// A packet has until its time is over, whoever tells that it is: a later fragment, or any packet.
    @Test(
        arguments: [
            ("61s", "10.0.0.1 > 10.0.0.2 proto=9 frag=8 len=8", 1, [:]),
            ("61.1s", "10.0.0.1 > 10.0.0.2 proto=9 frag=8 len=8", 0, ["timed_out": 1, "incomplete": 1]),
            ("62s", "10.0.0.1:1 > 10.0.0.2:2 S", 1, ["timed_out": 1]),
            ("62s", "10.0.0.1 > 10.0.0.2 arp", 1, ["timed_out": 1]),
        ] as [(String, String, Int, [String: UInt64])]
    )
    func timeIsThatOfPackets(_ time: String, _ packet: String, _ out: Int, _ drops: [String: UInt64]) throws {
        for batch in [1, 64] {
            var harness = try ElementHarness("IPDefragmenter")
            harness.batch = batch
            let run = try harness.run([
                "in": ["10.0.0.1 > 10.0.0.2 proto=9 frag=0+ len=8 time=1s", "\(packet) time=\(time)"]
            ])
            #expect(run.outputs["out"]!.count == out && run.drops == drops, "\(run.drops)")
        }
    }

    @Test(arguments: ["datagrams: 2", "fragments: 2", "bytes: 17 B"])
    func theOldestGivesWay(_ limit: String) throws {
        let first = (1...3).map { "10.0.0.\($0) > 10.0.0.9 proto=9 frag=0+ len=8" }
        let second = (1...3).map { "10.0.0.\($0) > 10.0.0.9 proto=9 frag=8 len=8" }
        let evicts = try ElementHarness("IPDefragmenter", "{\(limit)}").run(["in": first + [second[2]]])
        #expect(evicts.drops["evicted"] == (limit.hasPrefix("datagrams") ? 1 : 2))
        #expect(evicts.outputs["out"]!.count == 1)
        let drops = try ElementHarness("IPDefragmenter", "{\(limit), on_full: drop}").run(["in": first])
        #expect(drops.drops["no_room"] == 1 && drops.drops["evicted"] == nil && drops.drops["incomplete"] == 2)
        expectBalance(evicts)
        expectBalance(drops)
    }

    /// Fragments of random packets, many of them mixed, doubled, lost and damaged.
    private static func traffic(_ seed: UInt64, count: Int) throws -> [ElementHarness.Packet] {
        var random = TestRandom(seed)
        var time: Int64 = 0
        return (0..<count).map { _ in
            time += [0, 0, 1000, 1_000_000_000][Int.random(in: 0..<4, using: &random)]
            let start = Int.random(in: 0..<6, using: &random) * 8
            let part = Part(
                start: start,
                end: start + Int.random(in: 1...3, using: &random) * 8 - (random.next() % 9 == 0 ? 3 : 0),
                fill: UInt8.random(in: 65...90, using: &random),
                more: random.next() % 4 != 0
            )
            let id = Int.random(in: 0..<12, using: &random)
            var bytes = frame(part, id: id, v6: random.next() % 3 == 0)
            if random.next() % 5 == 0 {
                bytes = try! PacketText.frame("10.0.0.1:1 > 10.0.0.2:\(id + 1) udp len=9").bytes
            }
            return packet(bytes, time: time)
        }
    }

    @Test(arguments: [
        "{}", "{overlap: linux, datagrams: 4, timeout: 5 s}", "{fragments: 9, bytes: 200 B, overlap: solaris}",
    ])
    func batchesChangeNothing(_ config: String) throws {
        let packets = try Self.traffic(11, count: 6000)
        var runs: [ElementHarness.Run] = []
        for batch in [1, 7, 64] {
            var harness = try ElementHarness("IPDefragmenter", config)
            harness.batch = batch
            runs.append(try harness.run(["in": packets]))
            expectBalance(runs.last!)
        }
        #expect(runs[0].handler("joined")! > 10)
        for other in runs.dropFirst() {
            #expect(other.outputs["out"]!.map(\.description) == runs[0].outputs["out"]!.map(\.description))
            #expect(other.operations == runs[0].operations && other.drops == runs[0].drops)
        }
    }

    /// No result depends on where the hash puts a packet.
    @Test func seedsChangeNothing() throws {
        let packets = try Self.traffic(12, count: 3000)
        let runs = try (1...3).map { seed in
            var harness = try ElementHarness("IPDefragmenter", "{datagrams: 5}")
            harness.seed = UInt64(seed)
            return try harness.run(["in": packets])
        }
        for other in runs.dropFirst() {
            #expect(other.outputs["out"]!.map(\.description) == runs[0].outputs["out"]!.map(\.description))
            #expect(other.drops == runs[0].drops)
        }
    }

    /// A flood of fragments that never complete: what waits stays within its bounds, and packets go on being joined.
    @Test func aMillionFragmentsThatNeverComplete() throws {
        let flood = FloodSource(fragments: 1_000_000)
        let run = try RunOfSource(
            flood,
            [
                ("IPDefragmenter", "{datagrams: 1000, fragments: 100000, bytes: 64 KiB}"), ("Counter", ""),
                ("Discard", ""),
            ],
            pool: 4096
        )
        let counts = run.counts[1]
        #expect(flood.whole == 10_000 && counts.handlers.first { $0.name == "joined" }?.value == 10_000)
        // Each tenth of a thousand is followed by a plain packet, which passes.
        #expect(run.counts[2].entered == UInt64(2 * flood.whole))
        #expect(flood.leastFree > 4096 / 2 - 64 - 2)
        #expect(counts.drops.first { $0.reason == "evicted" }!.count > 900_000)
        #expect(run.counts.allSatisfy(\.balances) && run.lostItems == 0)
    }
}

/// A million fragments, each of a packet of its own; each hundredth is followed by the two halves of a packet and one that
/// is no fragment.
private final class FloodSource: PacketSource {
    private let frames: [UnsafeMutableRawBufferPointer]
    private let memory: UnsafeMutableRawPointer
    private let size: Int
    private let total: Int
    private var next = 0
    /// Packets in two halves so far.
    private(set) var whole = 0
    /// The fewest free items that there were.
    private(set) var leastFree = Int.max

    init(fragments: Int) {
        func frame(_ text: String) -> UnsafeMutableRawBufferPointer {
            let bytes = try! PacketText.frame(text).bytes
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
            copy.copyBytes(from: bytes)
            return copy
        }
        frames = [
            frame("10.0.0.1 > 10.0.0.2 proto=9 frag=8+ len=64"), frame("10.9.0.1 > 10.0.0.2 proto=9 frag=0+ len=64"),
            frame("10.9.0.1 > 10.0.0.2 proto=9 frag=64 len=64"), frame("10.8.0.1:1 > 10.0.0.2:2 udp len=64"),
        ]
        size = frames[0].count
        total = fragments + fragments / 100 * 3
        memory = .allocate(byteCount: total * size, alignment: 64)
        super.init()
    }

    deinit {
        memory.deallocate()
        for frame in frames { frame.deallocate() }
    }

    override var nextTime: Int64 { next < total ? Int64(next) : .max }

    override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        leastFree = min(leastFree, pool.freeCount)
        var count = 0
        while next < total, count < max, Int64(next) < limit, pool.take(1, into: indices + count) == 1 {
            let data = memory + next * size
            let kind = Swift.max(0, next % 103 - 99)
            if kind == 1 { whole += 1 }
            data.copyMemory(from: frames[kind].baseAddress!, byteCount: min(size, frames[kind].count))
            // Another source and identification for each of the flood.
            if kind == 0 { data.storeBytes(of: UInt32(next), toByteOffset: 27, as: UInt32.self) }
            pool.items[Int(indices[count])] = Item(
                data: data,
                length: UInt32(min(size, frames[kind].count)),
                wireLength: UInt32(frames[kind].count),
                time: Int64(next),
                sequence: sequence + UInt64(count),
                linkType: 1,
                interface: 0
            )
            next += 1
            count += 1
        }
        return count
    }
}

/// A chain of elements behind a wire, run to the end of its source.
private struct RunOfSource {
    var counts: [ElementCounts] = []
    var lostItems = 0
    var services = TestServices()
    var instance: Instance

    init(_ source: PacketSource, _ chain: [(type: String, config: String)], pool: Int = 16_384) throws {
        var nodes: [GraphSpec.Node] = []
        for (number, one) in ([("Wire", "")] + chain).enumerated() {
            let type = one.0 == "Collector" ? ElementDescriptor(Collector.self) : Catalog.standard[one.0]!
            nodes.append(
                GraphSpec.Node(
                    name: "n\(number)",
                    type: type,
                    element: try ElementHarness.configure(type, one.1)
                )
            )
        }
        let edges = (1..<nodes.count).map { GraphSpec.Edge(from: $0 - 1, output: 0, to: $0, input: 0) }
        var options = Instance.Options()
        options.poolCapacity = pool
        instance = try Instance(
            GraphSpec(name: "chain", nodes: nodes, edges: edges),
            bindings: [0: WireBinding(source: source)],
            services: services,
            options: options
        )
        for element in instance.elements { (element as? Collector)?.layouts = instance.layouts }
        try DirectRuntime(instance).run()
        counts = nodes.indices.map(instance.counts)
        lostItems = instance.lostItems
    }
}

/// Captures with fragments of other projects, against what other programs make of them.
@Suite(.enabled(if: Shared.isThere))
struct IPDefragmenterOracleTests {
    private struct Oracle: Decodable {
        struct Stream: Decodable {
            var status: String
            var src: String
            var bytes: Int?
            var sha256: String?
        }
        var file: String
        var frames_with: [String: Int]?
        var streams: [Stream]?

        var hasFragments: Bool { (frames_with ?? [:]).contains { $0.key.contains("frag") && $0.value > 0 } }
        /// The streams on which all tools agree.
        var agreed: [String] { (streams ?? []).filter { $0.status == "agree" }.map { "\($0.bytes!) \($0.sha256!)" } }
    }

    private func oracle(_ file: String) throws -> Oracle {
        let url = URL(filePath: "\(Shared.captures)/oracle/\(file).json")
        return try JSONDecoder().decode(Oracle.self, from: Data(contentsOf: url))
    }

    /// The captures with fragments.
    private func oracles() throws -> [Oracle] {
        try FileManager.default.contentsOfDirectory(atPath: Shared.captures + "/oracle").sorted()
            .map { try oracle(String($0.dropLast(5))) }.filter(\.hasFragments)
    }

    /// The streams of a capture as graphs/stream-dump.yaml finds them, each as its size and digest.
    private func streams(_ file: String) throws -> [(src: String, stream: String)] {
        let source = try CaptureSource(paths: ["\(Shared.captures)/\(file)"])
        let run = try RunOfSource(
            source,
            [
                ("IPCheck", "{checksum: count}"), ("IPDefragmenter", "{tiny: join}"), ("FlowTable", "{idle: 0 s}"),
                ("TCPReassembler", ""), ("StreamSink", ""), ("RecordSink", "{format: json, file: out}"),
            ]
        )
        #expect(run.counts.allSatisfy(\.balances) && run.lostItems == 0, "\(file)")
        struct Record: Decodable {
            var src: String
            var bytes: Int
            var sha256: String
        }
        return try (run.services.files["out"]?.text ?? "").split(separator: "\n").map {
            let record = try JSONDecoder().decode(Record.self, from: Data($0.utf8))
            return (record.src, "\(record.bytes) \(record.sha256)")
        }
    }

    /// Streams of bytes that no receiver takes, for all that tools agree on them.
    private static let departures: [String: (streams: Int, reason: String)] = [
        "zeek-fragmented-3.pcap": (1, "its only packet is a first fragment without the rest"),
        "derived-suri-http-sticky-start-err0.1.pcap": (
            1, "its data offset is damaged to 8 bytes, less than any TCP header has"
        ),
    ]

    @Test func streamsAreThoseOnWhichToolsAgree() throws {
        var equal = 0
        for oracle in try oracles() {
            var found = try streams(oracle.file).map(\.stream)
            var missing = 0
            for stream in oracle.agreed {
                if let place = found.firstIndex(of: stream) {
                    found.remove(at: place)
                    equal += 1
                } else {
                    missing += 1
                }
            }
            #expect(missing == Self.departures[oracle.file]?.streams ?? 0, "\(oracle.file)")
        }
        #expect(equal == 31)
    }

    /// What fragroute has cut gives the streams of its base. One side of one base was changed on the way.
    @Test(arguments: ["frag8", "frag64", "frag64-old", "frag64-new"])
    func cutCapturesGiveTheStreamsOfTheirBase(_ cut: String) throws {
        for (base, changed) in [("zeek-smuggle-http-request", ""), ("suri-http-sticky-start", "65.55.17.37")] {
            let expected = Set(try streams("\(base).pcap").filter { $0.src != changed }.map(\.stream))
            let agreed = Set(try oracle("\(base).pcap").agreed)
            let found = Set(try streams("derived-\(base)-\(cut).pcap").filter { $0.src != changed }.map(\.stream))
            #expect(found == expected && !expected.isEmpty && expected.isSubset(of: agreed), "\(base)")
        }
    }

    /// What tshark joins and this does not.
    private static let joinedByTshark: [String: (packets: Int, reason: String)] = [
        "zeek-fragmented-1.pcap": (1, "a fragment that is not the last is no multiple of 8 bytes (RFC 791)"),
        "zeek-ipv6-reassembly-state-leak.pcap": (2, "the last fragment ends behind 65,535 bytes (RFC 8200)"),
    ]

    @Test(.enabled(if: Program.isThere("tshark")))
    func packetsAreThoseOfTshark() throws {
        var equal = 0
        for oracle in try oracles() {
            let path = "\(Shared.captures)/\(oracle.file)"
            var expected = try tsharkSizes(path).sorted()
            let run = try RunOfSource(
                try CaptureSource(paths: [path]),
                [("IPDefragmenter", "{tiny: join}"), ("Collector", "")]
            )
            let collector = run.instance.elements[2] as! Collector
            let sizes = collector.seen.filter { $0.made > 0 }.map(Self.fragmentedSize).sorted()
            if let departure = Self.joinedByTshark[oracle.file] {
                #expect(expected.count - sizes.count == departure.packets, "\(oracle.file)")
                expected.removeAll()
            }
            if expected.isEmpty { continue }
            #expect(sizes == expected, "\(oracle.file)")
            equal += sizes.count
        }
        #expect(equal == 183)
    }

    private func tsharkSizes(_ path: String) throws -> [Int] {
        let text = try Program.text(
            "tshark",
            ["-r", path, "-T", "fields", "-e", "ip.reassembled.length", "-e", "ipv6.reassembled.length"]
        )
        return text.split { "\n\t,".contains($0) }.compactMap { Int($0) }
    }

    /// How many bytes of a joined packet came in fragments: no capture has extension headers before its fragment headers.
    private static func fragmentedSize(_ seen: Collector.Seen) -> Int {
        seen.withItem { item in
            _ = Headers.locate(item)
            let header = IPv4View(item)?.headerLength ?? IPv6View.size
            return Int(item.ipLength) - header
        }
    }
}
