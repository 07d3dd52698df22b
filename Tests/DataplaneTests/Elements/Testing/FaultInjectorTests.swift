// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

struct FaultInjectorTests {
    private func packets(_ count: Int) -> [ElementHarness.Packet] {
        (0..<count).map { emptyPacket(Int64($0) * 1000) }
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
            .run(["in": packets(10) + [emptyPacket(1_000_000)]])
        // Each leaves 5 us after it came, the last at the end of the input.
        #expect(run.outputs["out"]!.map(\.time) == (0..<10).map { $0 * 1000 + 5000 } + [1_005_000])
    }
}
