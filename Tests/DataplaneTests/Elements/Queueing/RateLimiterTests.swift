// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

struct RateLimiterTests {
    /// Over any long time the rate is met to the packet: 3 packets per second do not divide a second evenly.
    @Test func rateIsMetExactly() throws {
        let harness = try ElementHarness("RateLimiter", "{rate: 3 pps, burst: 2}")
        // A packet every 100 ms for 1000 s: the two of the full bucket, and the last of 3000 at the very end.
        let run = try harness.run(["in": (0...10_000).map { emptyPacket(Int64($0) * 100_000_000) }])
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
        let run = try harness.run(["in": (0..<1000).map { emptyPacket(Int64($0) * 10_000_000) }])
        #expect(run.outputs["out"]!.map(\.time) == (0..<100).map { Int64($0) * 100_000_000 })
    }

    @Test func burstPassesAtOnceAndNoMore() throws {
        var harness = try ElementHarness("RateLimiter", "{rate: 1 pps, burst: 5}")
        harness.optionalPorts = []
        let run = try harness.run(["in": (0..<20).map { _ in emptyPacket(7) }])
        #expect(run.outputs["out"]!.count == 5)
        #expect(run.drops == ["over_rate": 15])
    }

    @Test func packetLargerThanTheBucketPassesWhenItIsFull() throws {
        let harness = try ElementHarness("RateLimiter", "{rate: 8 kbps, burst: 100}")
        let run = try harness.run([
            "in": [
                emptyPacket(0, length: 1000), emptyPacket(500_000_000), emptyPacket(999_999_999),
                emptyPacket(1_000_000_000),
            ]
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
                var packets = [emptyPacket(.min), emptyPacket(0), emptyPacket(1), emptyPacket(.max - 1)]
                packets[1].wireLength = Int(UInt32.max)
                let run = try harness.run(["in": packets])
                #expect(run.counts.balances)
            }
        }
    }
}
