// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// A packet of `length` bytes on the wire at `time`.
private func packet(_ time: Int64, length: Int = 100) -> ElementHarness.Packet {
    ElementHarness.Packet(bytes: Array(repeating: 0, count: min(length, 64)), wireLength: length, time: time)
}

struct RateLimiterTests {
    /// Over any long time the rate is met to the packet: 3 packets per second do not divide a second evenly.
    @Test func rateIsMetExactly() throws {
        let harness = try ElementHarness("RateLimiter", "{rate: 3 pps, burst: 2}")
        // A packet every 100 ms for 1000 s: the two of the full bucket, and the last of 3000 at the very end.
        let run = try harness.run(["in": (0...10_000).map { packet(Int64($0) * 100_000_000) }])
        let times = run.outputs["out"]!.map(\.time)
        #expect(times.count == 3002)
        #expect(times.last == 1_000_000_000_000)
        // Never early: n packets after the first two need n thirds of a second.
        for (n, time) in times.enumerated() { #expect(time * 3 >= (n - 1) * 1_000_000_000) }
        #expect(run.handler("passed") == 3002)
        #expect(run.handler("exceeded") == 10_001 - 3002)
    }

    @Test func bitsAreThoseOnTheWire() throws {
        // 8 kbps are 1000 bytes a second; packets of 100 bytes pass ten times a second.
        let harness = try ElementHarness("RateLimiter", "{rate: 8 kbps, burst: 100}")
        let run = try harness.run(["in": (0..<1000).map { packet(Int64($0) * 10_000_000) }])
        #expect(run.outputs["out"]!.map(\.time) == (0..<100).map { Int64($0) * 100_000_000 })
    }

    @Test func burstPassesAtOnceAndNoMore() throws {
        var harness = try ElementHarness("RateLimiter", "{rate: 1 pps, burst: 5}")
        harness.optionalPorts = []
        let run = try harness.run(["in": (0..<20).map { _ in packet(7) }])
        #expect(run.outputs["out"]!.count == 5)
        #expect(run.drops == ["over_rate": 15])
    }

    @Test func packetLargerThanTheBucketPassesWhenItIsFull() throws {
        let harness = try ElementHarness("RateLimiter", "{rate: 8 kbps, burst: 100}")
        let run = try harness.run([
            "in": [packet(0, length: 1000), packet(500_000_000), packet(999_999_999), packet(1_000_000_000)]
        ])
        // It takes 1000 bytes from a bucket of 100, so that the next 100 bytes are there after a second.
        #expect(run.outputs["out"]!.map(\.time) == [0, 1_000_000_000])
    }

    @Test(arguments: ["{rate: 0}", "{rate: 0 pps}", "{rate: 1000001 Gpps}", "{rate: 1001 Tbps}"])
    func impossibleRatesAreRefused(_ config: String) {
        #expect(throws: (any Error).self) { try ElementHarness("RateLimiter", config).run([String: [String]]()) }
    }

    @Test func extremesDoNotOverflow() throws {
        for rate in ["1 pps", "1 bps", "1000 Tbps", "1000000 Gpps"] {
            for burst in [0, 1, 1_000_000_000] {
                let harness = try ElementHarness("RateLimiter", "{rate: \(rate), burst: \(burst)}")
                var packets = [packet(.min), packet(0), packet(1), packet(.max - 1)]
                packets[1].wireLength = Int(UInt32.max)
                let run = try harness.run(["in": packets])
                #expect(run.counts.balances)
            }
        }
    }
}

struct QueueTests {
    /// A link of 8 Mbps sends 1000 bytes in 1 ms, and 3 packets a second leave at thirds without drifting.
    @Test func packetsLeaveAtTheRate() throws {
        let link = try ElementHarness("Queue", "{rate: 8 Mbps}")
        let run = try link.run(["in": [packet(0, length: 1000), packet(0, length: 500), packet(0), packet(10_000_000)]])
        #expect(run.outputs["out"]!.map(\.time) == [0, 1_000_000, 1_500_000, 10_000_000])

        let thirds = try ElementHarness("Queue", "{rate: 3 pps}")
        let times = try thirds.run(["in": (0..<10).map { _ in packet(0) }]).outputs["out"]!.map(\.time)
        #expect(times == (0..<10).map { $0 * 1_000_000_000 / 3 })
    }

    @Test func orderIsThatOfArrival() throws {
        let harness = try ElementHarness("Queue", "{rate: 1 Mbps, capacity: 1000}")
        let run = try harness.run(["in": (0..<500).map { packet(Int64($0), length: 64 + $0) }])
        #expect(run.outputs["out"]!.map(\.sequence) == (0..<500).map(UInt64.init))
        #expect(run.handler("length") == 0)
        #expect(run.handler("highest") == 499)
    }

    @Test func theTailIsDropped() throws {
        let harness = try ElementHarness("Queue", "{rate: 1 pps, capacity: 3}")
        let run = try harness.run(["in": (0..<10).map { packet(Int64($0)) }])
        // The first leaves at once, three wait.
        #expect(run.outputs["out"]!.map(\.sequence) == [0, 1, 2, 3])
        #expect(run.drops == ["full": 6])
    }

    @Test func withoutARatePacketsLeaveUnchanged() throws {
        let harness = try ElementHarness("Queue")
        let run = try harness.run(["in": [packet(5), packet(5), packet(6), packet(9)]])
        #expect(run.outputs["out"]!.map(\.time) == [5, 5, 6, 9])
    }

    @Test func extremesDoNotOverflow() throws {
        for rate in ["1 pps", "1 bps", "1000 Tbps"] {
            var packets = [packet(.min), packet(0), packet(.max - 2), packet(.max - 1), packet(.max - 1)]
            packets[1].wireLength = Int(UInt32.max)
            let run = try ElementHarness("Queue", "{rate: \(rate)}").run(["in": packets])
            #expect(run.outputs["out"]!.count == 5)
        }
    }
}

struct FaultInjectorTests {
    private func packets(_ count: Int) -> [ElementHarness.Packet] {
        (0..<count).map { packet(Int64($0) * 1000) }
    }

    /// Each fault hits its share of items, within five standard deviations of a fair draw.
    @Test(arguments: ["loss", "duplicate", "corrupt", "reorder", "delay"])
    func faultsHitTheirShare(_ fault: String) throws {
        let n = 4000
        let run = try ElementHarness("FaultInjector", "{\(fault): 0.25}").run(["in": packets(n)])
        let handlers = ["duplicate": "duplicated", "corrupt": "corrupted", "reorder": "reordered", "delay": "delayed"]
        let hit = handlers[fault].flatMap(run.handler) ?? Int(run.drops["lost"] ?? 0)
        #expect(abs(Double(hit) - 1000) < 5 * (Double(n) * 0.25 * 0.75).squareRoot())
        #expect(run.outputs["out"]!.count == n - Int(run.drops["lost"] ?? 0) + (fault == "duplicate" ? hit : 0))
    }

    @Test func exactlyOneBitIsFlippedAndNotInTheCapture() throws {
        let source = packets(200)
        let run = try ElementHarness("FaultInjector", "{corrupt: 1}").run(["in": source])
        for item in run.outputs["out"]! {
            #expect(item.bytes.reduce(0) { $0 + $1.nonzeroBitCount } == 1)
        }
        // The same memory again: it was not written.
        #expect(run.handler("corrupted") == 200)
    }

    @Test func anotherSeedHitsOthers() throws {
        var harness = try ElementHarness("FaultInjector", "{loss: 0.5}")
        let first = try harness.run(["in": packets(200)]).outputs["out"]!.map(\.sequence)
        let again = try harness.run(["in": packets(200)]).outputs["out"]!.map(\.sequence)
        harness.seed = 2
        let other = try harness.run(["in": packets(200)]).outputs["out"]!.map(\.sequence)
        #expect(first == again && first != other)
    }

    @Test func aReorderedItemIsOvertakenByAsManyAsSaid() throws {
        let run = try ElementHarness("FaultInjector", "{reorder: 0.05, reorder_by: 3}").run(["in": packets(1000)])
        let order = run.outputs["out"]!.map { Int($0.sequence) }
        #expect(order.sorted() == Array(0..<1000) && order != Array(0..<1000))
        for (place, number) in order.enumerated() { #expect(abs(place - number) <= 3) }
    }

    @Test func aReorderedItemDoesNotWaitForever() throws {
        let run = try ElementHarness("FaultInjector", "{reorder: 1, reorder_by: 1000, reorder_within: 5 us}")
            .run(["in": packets(10) + [packet(1_000_000)]])
        // Each leaves 5 us after it came, the last at the end of the input.
        #expect(run.outputs["out"]!.map(\.time) == (0..<10).map { $0 * 1000 + 5000 } + [1_005_000])
    }
}

struct VLANStripTests {
    @Test(arguments: [
        ("{levels: 1}", "100,5", "5"), ("{levels: 2}", "100,5", "none"), ("{levels: 4}", "1,2,3,4,5", "5"),
        ("", "none", "none"),
    ])
    func tagsAreRemoved(_ config: String, _ before: String, _ after: String) throws {
        let text = "10.0.0.1:1000 > 10.0.0.2:80 PA data=\"abc\""
        let run = try ElementHarness("VLANStrip", config).run(["in": [text + " vlan=\(before)"]])
        let item = try #require(run.outputs["out"]?.first)
        // The frame is the one that would have been built without those tags.
        let expected = try PacketText.frame(text + " vlan=\(after)").bytes
        // One tag left of two was the inner one, so its type is that of an only tag.
        #expect(item.bytes == expected)
        #expect(Int(item.wireLength) == item.bytes.count)
    }

    @Test func longFramesToo() throws {
        let text = "10.0.0.1:1000 > 10.0.0.2:80 A len=60000"
        let run = try ElementHarness("VLANStrip").run(["in": [text + " vlan=7"]])
        #expect(try run.outputs["out"]!.first!.bytes == PacketText.frame(text).bytes)
    }

    /// What was found of the headers before stays true: records made behind it are those made before it.
    @Test func headersAreFoundWhereTheyMoved() throws {
        let texts = [
            "10.0.0.1:1000 > 10.0.0.2:80 PA len=9 vlan=5,6", "[2001:db8::1]:7 > [2001:db8::2]:8 udp len=4 vlan=5",
        ]
        for text in texts {
            let stripped = try ElementHarness("VLANStrip").run(["in": [text]]).outputs["out"]!
            #expect(try stripped[0].matches(text.replacing(/vlan=\S+/, with: "vlan=none")))
        }
    }
}
