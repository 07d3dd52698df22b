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

    /// What one source supplied.
    private struct Share {
        var packets: [UInt64: Packet] = [:]
        var largest = 0
    }

    /// Reads a source to its end.
    private func read(_ source: PacketSource, batch: Int) throws -> Share {
        let pool = try Pool(capacity: 256)
        var indices = [Int32](repeating: 0, count: batch)
        var share = Share()
        var sequence: UInt64 = 0
        while case .ready(let time) = source.poll() {
            let n = source.fill(pool, &indices, max: batch, before: .max, sequence: sequence)
            let passed = source.counters.pointee.passed
            if n == 0, passed == 0 { throw Broken("nothing came, although there is more") }
            for k in 0..<n {
                let item = pool.items[Int(indices[k])]
                if !(sequence..<sequence + UInt64(n) + passed ~= item.sequence) { throw Broken("a wrong sequence") }
                if pool.now(indices[k]) < time { throw Broken("time stepped back") }
                if share.packets.updateValue(Packet(item), forKey: item.sequence) != nil { throw Broken("twice") }
            }
            sequence += UInt64(n) + passed
            share.largest = max(share.largest, n + Int(passed))
            pool.giveBack(indices, count: n)
        }
        if pool.freeCount != 256 { throw Broken("items were lost") }
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
            var counters = source.counters.pointee
            #expect(counters.packets == share.packets.count)
            #expect(counters.bytes == share.packets.values.reduce(0) { $0 + UInt64($1.wireLength) })
            counters.packets += counters.others
            counters.bytes += counters.otherBytes
            #expect(counters.packets == all.packets && counters.bytes == all.bytes)
            #expect(counters.cut == all.cut && counters.missing == all.missing && counters.long == all.long)
            #expect(source.span == all.span)
            #expect(source.linkTypes.map(\.packets) == all.linkTypes.map(\.packets))
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
