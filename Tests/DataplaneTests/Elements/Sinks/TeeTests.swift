// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

struct TeeTests {
    @Test func copiesAreTheirOwn() throws {
        let run = try ElementHarness("Tee", "{outputs: 16}").run(["in": ["10.0.0.1 > 10.0.0.2 icmp len=3000"]])
        let first = try #require(run.outputs["out1"]?.first)
        var places: Set<UInt16> = []
        for port in 1...16 {
            let item = try #require(run.outputs["out\(port)"]?.first)
            #expect(item.bytes == first.bytes && item.sequence == first.sequence)
            places.insert(item.made)
        }
        #expect(places.count == 16)
    }

    @Test func anEmptyPoolLeavesCopiesOut() throws {
        var harness = try ElementHarness("Tee")
        harness.pool = 10
        harness.batch = 8
        let run = try harness.run(["in": (0..<8).map { "10.0.0.1 > 10.0.0.2 icmp rest=\($0)" }])
        #expect(run.outputs["out1"]!.count == 8)
        #expect(run.outputs["out2"]!.count == 2)
        #expect(run.handler("copies_missed") == 6)
    }
}
