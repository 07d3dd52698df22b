// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

@Suite struct FlowKeyTests {
    /// A frame in memory as an item whose headers were found; nil when there is no IP.
    private func withItem<R>(_ bytes: [UInt8], _ body: (Packet) throws -> R) rethrows -> R {
        var bytes = bytes
        return try bytes.withUnsafeMutableBytes { raw in
            var item = Item(
                data: raw.baseAddress!,
                length: UInt32(raw.count),
                wireLength: UInt32(raw.count),
                time: 0,
                sequence: 0,
                linkType: LinkType.ethernet,
                interface: 0
            )
            return try item.withPacket(body)
        }
    }

    @Test(arguments: [
        ("10.0.0.1:1000 > 10.0.0.2:80 S", "10.0.0.2:80 > 10.0.0.1:1000 SA"),
        ("10.0.0.2:1000 > 10.0.0.1:80 udp", "10.0.0.1:80 > 10.0.0.2:1000 udp"),
        ("10.0.0.1:5 > 10.0.0.1:6 A", "10.0.0.1:6 > 10.0.0.1:5 A"),
        ("[2001:db8::1]:1000 > [2001:db8::2]:80 S", "[2001:db8::2]:80 > [2001:db8::1]:1000 SA"),
        ("[2001:db8::1]:1 > [2001:db8::1]:2 udp", "[2001:db8::1]:2 > [2001:db8::1]:1 udp"),
    ])
    func bothDirectionsHaveOneKeyAndDifferInWhoIsUpper(_ there: String, _ back: String) throws {
        let one = withItem(try PacketText.frame(there).bytes) { Headers.locate($0) == .ip ? FlowKey.of($0) : nil }
        let other = withItem(try PacketText.frame(back).bytes) { Headers.locate($0) == .ip ? FlowKey.of($0) : nil }
        let a = try #require(one)
        let b = try #require(other)
        #expect(a.key == b.key)
        #expect(a.upper != b.upper)
        let key = HashKey(seed: 1)
        #expect(a.key.hash(key) == b.key.hash(key))
        #expect(a.key.hash(key) != a.key.hash(HashKey(seed: 2)))
    }

    @Test func theShortWayGivesTheSameKey() throws {
        var generator = SeededGenerator(4)
        for _ in 0..<2000 {
            let a = "10.\(generator.next() % 3).0.\(generator.next() % 4):\(generator.next() % 65536)"
            let b = "10.\(generator.next() % 3).1.\(generator.next() % 4):\(generator.next() % 65536)"
            let key = HashKey(seed: generator.next())
            try withItem(try PacketText.frame("\(a) > \(b) A").bytes) { p in
                try #require(Headers.locate(p) == .ip)
                let long = FlowKey.of(p)
                let short = FlowKey.of4(p.data, l3: 14, l4: 34, proto: 6, key)
                #expect(short.ends == long.key.ends)
                #expect(short.a0 == long.key.a0)
                #expect((short.upper == 1) == long.upper)
                #expect(short.hash == long.key.hash(key))
            }
        }
    }
}
