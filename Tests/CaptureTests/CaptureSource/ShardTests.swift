// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import Foundation
import TestSupport
import Testing

/// Sources of one capture that leave out each other's packets.
@Suite struct ShardTests {
    private let scratch = Scratch()

    /// A source that is read, batch by batch.
    private final class Share {
        let source: PacketSource
        private let pool: Pool
        var packets: [UInt64: Packet] = [:]
        var largest = 0
        private var sequence: UInt64 = 0

        init(_ source: PacketSource) throws {
            self.source = source
            pool = try Pool(capacity: 256)
        }

        /// Reads a batch, and checks it; false at the end.
        func step(batch: Int, before limit: Int64 = .max) throws -> Bool {
            guard case .ready(let time) = source.poll() else {
                if pool.freeCount != 256 { throw Broken("items were lost") }
                return false
            }
            var indices = [Int32](repeating: 0, count: batch)
            let n = source.fill(pool, &indices, max: batch, before: limit, sequence: sequence)
            if time >= limit {
                if n > 0 { throw Broken("more came than was before the limit") }
                return true
            }
            let passed = source.counters.pointee.passed
            if n == 0, passed == 0 { throw Broken("nothing came, although there is more") }
            for k in 0..<n {
                let item = pool.items[Int(indices[k])]
                if !(sequence..<sequence + UInt64(n) + passed ~= item.sequence) { throw Broken("a wrong sequence") }
                let now = pool.now(indices[k])
                if now < time || now >= limit { throw Broken("\(now) is not between \(time) and \(limit)") }
                if packets.updateValue(Packet(item), forKey: item.sequence) != nil { throw Broken("twice") }
            }
            sequence += UInt64(n) + passed
            largest = max(largest, n + Int(passed))
            pool.giveBack(indices, count: n)
            return true
        }

        /// All counters, with those of other shares added to its own.
        func check(against all: PacketSource) {
            var counters = source.counters.pointee
            #expect(counters.packets == packets.count)
            #expect(counters.bytes == packets.values.reduce(0) { $0 + UInt64($1.wireLength) })
            counters.packets += counters.others
            counters.bytes += counters.otherBytes
            #expect(counters.packets == all.packets && counters.bytes == all.bytes)
            #expect(counters.cut == all.cut && counters.missing == all.missing && counters.long == all.long)
            #expect(
                counters.backwards == all.backwards && counters.ahead == all.ahead && counters.pauses == all.pauses
            )
            #expect(source.span == all.span)
            #expect(source.linkTypes.map(\.packets) == all.linkTypes.map(\.packets))
        }
    }

    /// Reads a source to its end.
    private func read(_ source: PacketSource, batch: Int) throws -> Share {
        let share = try Share(source)
        while try share.step(batch: batch) {}
        return share
    }

    /// Mapped and streamed, pcap and pcapng, one and two captures: together the shares are the whole, packet for packet and count for
    /// count, and no batch reads on and on for packets of its own.
    @Test(arguments: ["web.pcap", "vlan.pcapng", "web.pcap.gz", "web.pcap merged with cooked.pcap"], [1, 7, 64])
    func sharesAreTheWhole(_ name: String, _ batch: Int) throws {
        let web = shippedCapture("web.pcap")
        let make: () throws -> PacketSource
        switch name {
        case "web.pcap.gz":
            let path = try scratch.file(name, gzip(Array(try Data(contentsOf: URL(filePath: web)))))
            make = { try CaptureSource(paths: [path]) }
        case "web.pcap", "vlan.pcapng": make = { try CaptureSource(paths: [shippedCapture(name)]) }
        default: make = { try MergedSource(paths: [web, shippedCapture("cooked.pcap")]) }
        }
        let all = try make()
        let whole = try read(all, batch: batch).packets
        var union: [UInt64: Packet] = [:]
        let count = 3
        for number in 0..<count {
            let source = try make()
            source.shard = Shard(number: number, of: count, by: .flows, seed: 5)
            let share = try read(source, batch: batch)
            #expect(share.largest <= batch * (count + 2))
            union.merge(share.packets) { _, _ in preconditionFailure("a packet of two shares") }
            share.check(against: all)
        }
        #expect(union == whole)
    }

    /// A capture in which a part of all is not as usual: packets cut short, longer than on the wire, too long, without bytes, not of IP,
    /// with stamps that step back or forth.
    private func unusual(seed: UInt64, records: Int) throws -> String {
        var random = Randomness(state: seed)
        var made: [(seconds: UInt32, fraction: UInt32, bytes: [UInt8], wire: UInt32)] = []
        let usual = try (0..<64).map {
            try PacketText.frame("10.0.0.\($0 % 5):\(1000 + $0) > 10.0.1.1:80 tcp S seq=1 len=\($0 * 20)").bytes
        }
        var microseconds: UInt64 = 1_700_000_000_000_000
        let oddity = UInt64.random(in: 1...40, using: &random)
        for _ in 0..<records {
            microseconds += .random(in: 0...50, using: &random)
            var bytes = usual.randomElement(using: &random)!
            var wire = UInt32(bytes.count)
            var stamp = microseconds
            if random.next() % 1000 < oddity {
                switch random.next() % 7 {
                case 0: wire += 10
                case 1: wire -= 10
                case 2: (bytes, wire) = ([], 0)
                case 3: (bytes, wire) = ([UInt8](repeating: 7, count: 9_300), 9_300)
                case 4: stamp -= 3_000_000
                case 5: microseconds += 100_000 * 1_000_000
                default: (bytes, wire) = ([UInt8](repeating: 7, count: 9_200), 9_200)
                }
            }
            made.append((UInt32(stamp / 1_000_000), UInt32(stamp % 1_000_000), bytes, wire))
        }
        return try scratch.file("unusual-\(seed).pcap", pcap(made))
    }

    /// Shares that are read at once, in any order, with any limits and whatever the capture holds, are those of the whole.
    @Test(arguments: 0..<12) func sharesReadAtOnceAreTheWhole(seed: Int) throws {
        let path = try unusual(seed: UInt64(seed), records: 20_000)
        let all = try CaptureSource(paths: [path])
        let whole = try read(all, batch: 64).packets
        var random = Randomness(state: UInt64(seed))
        let count = seed % 3 + 2
        let shares = try (0..<count).map { number in
            let source = try CaptureSource(paths: [path])
            source.shard = Shard(number: number, of: count, by: .flows, seed: 5)
            return try Share(source)
        }
        var unfinished = Array(shares.indices)
        while let one = unfinished.randomElement(using: &random) {
            // One may get far ahead of the others, too.
            let steps = random.next() % 50 == 0 ? Int(random.next() % 2000) : Int(random.next() % 4)
            for _ in 0..<steps {
                let batch = Int.random(in: 1...200, using: &random)
                var limit = Int64.max
                if random.next() % 4 == 0, case .ready(let time) = shares[one].source.poll() {
                    limit = time &+ Int64.random(in: 0...2_000_000, using: &random)
                }
                if try !shares[one].step(batch: batch, before: limit) {
                    unfinished.removeAll { $0 == one }
                    break
                }
            }
        }
        var union: [UInt64: Packet] = [:]
        for share in shares {
            share.check(against: all)
            union.merge(share.packets) { _, _ in preconditionFailure("a packet of two shares") }
        }
        #expect(union == whole)
    }

    /// Whoever reads a file at the same time has the same bytes, also when the other has read more, or is gone.
    @Test func sourcesOfOneFileDoNotMind() throws {
        let path = shippedCapture("web.pcap")
        let slow = try CaptureSource(paths: [path])
        #expect(slow.nextTime != .max)
        var fast: CaptureSource? = try CaptureSource(paths: [path])
        let whole = try read(fast!, batch: 64).packets
        fast = nil
        #expect(try read(slow, batch: 64).packets == whole)
    }
}
