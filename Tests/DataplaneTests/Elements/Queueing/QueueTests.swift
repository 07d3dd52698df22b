// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

struct QueueTests {
    /// A link of 8 Mbps sends 1000 bytes in 1 ms, and 3 packets a second leave at thirds without drifting.
    @Test func packetsLeaveAtTheRate() throws {
        let link = try ElementHarness("Queue", "{rate: 8 Mbps}")
        let run = try link.run([
            "in": [emptyPacket(0, length: 1000), emptyPacket(0, length: 500), emptyPacket(0), emptyPacket(10_000_000)]
        ])
        #expect(run.outputs["out"]!.map(\.time) == [0, 1_000_000, 1_500_000, 10_000_000])

        let thirds = try ElementHarness("Queue", "{rate: 3 pps}")
        let times = try thirds.run(["in": (0..<10).map { _ in emptyPacket(0) }]).outputs["out"]!.map(\.time)
        #expect(times == (0..<10).map { $0 * 1_000_000_000 / 3 })
    }

    @Test func orderIsThatOfArrival() throws {
        let harness = try ElementHarness("Queue", "{rate: 1 Mbps, capacity: 1000}")
        let run = try harness.run(["in": (0..<500).map { emptyPacket(Int64($0), length: 64 + $0) }])
        #expect(run.outputs["out"]!.map(\.sequence) == (0..<500).map(UInt64.init))
        #expect(run.handler("length") == 0)
        #expect(run.handler("highest") == 499)
    }

    @Test func theTailIsDropped() throws {
        let harness = try ElementHarness("Queue", "{rate: 1 pps, capacity: 3}")
        let run = try harness.run(["in": (0..<10).map { emptyPacket(Int64($0)) }])
        // The first leaves at once, three wait.
        #expect(run.outputs["out"]!.map(\.sequence) == [0, 1, 2, 3])
        #expect(run.drops == ["full": 6])
    }

    @Test func withoutARatePacketsLeaveUnchanged() throws {
        let harness = try ElementHarness("Queue")
        let run = try harness.run(["in": [emptyPacket(5), emptyPacket(5), emptyPacket(6), emptyPacket(9)]])
        #expect(run.outputs["out"]!.map(\.time) == [5, 5, 6, 9])
    }

    @Test func extremesDoNotOverflow() throws {
        for rate in ["1 pps", "1 bps", "1000 Tbps"] {
            var packets = [
                emptyPacket(.min), emptyPacket(0), emptyPacket(.max - 2), emptyPacket(.max - 1), emptyPacket(.max - 1),
            ]
            packets[1].wireLength = Int(UInt32.max)
            let run = try ElementHarness("Queue", "{rate: \(rate)}").run(["in": packets])
            #expect(run.outputs["out"]!.count == 5)
        }
    }
}
