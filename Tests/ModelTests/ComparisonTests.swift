// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

@testable import Model

@Suite struct ComparisonTests {
    static func compare(
        _ spec: GraphSpec,
        _ placements: KeyValuePairs<String, [Side]>,
        _ profile: DeviceProfile = testProfile(),
        sizes: [Int] = [1000]
    ) throws -> Comparison {
        var options = Comparison.Options()
        options.packets = 5_000
        return try Comparison.run(
            placements.map { .init(name: $0, sides: $1) },
            profile: profile,
            options: options,
            makeInstance: { try makeInstance(spec, traffic(300, flows: 20, sizes: sizes)) }
        )
    }

    /// What must cross is what the far side reads; the rest stays on the NIC, and does not come back either.
    @Test func whatIsNotReadDoesNotCross() throws {
        let spec = graph(
            ["w": "Wire", "c": "Counter", "p": "Parity", "t": "Toucher"],
            ["w.rx -> c", "c -> p", "p.even -> t", "t -> w.tx", "p.odd -> w.tx"]
        )
        let comparison = try Self.compare(
            spec,
            [
                "nic": spec.onHost(), "arrival": spec.onHost("c"), "headers": spec.onHost("c", "p"),
                "whole": spec.onHost("c", "p", "t"),
            ]
        )
        let results = comparison.results
        #expect(results.map(\.toHost.transfers) == [0, 1, 1, 1])
        #expect(results.map(\.toNIC.transfers) == [0, 1, 1, 1])
        #expect(results[1].toHost.bytes == 0 && results[1].toNIC.bytes == 0)
        #expect(results[2].toHost.bytes == 42 && results[2].toNIC.bytes == 42)
        #expect(results[3].toHost.bytes == 1000 && results[3].toNIC.bytes == 1000)
        #expect(results[0].hostCyclesPerPacket == 0)
        #expect(results.allSatisfy { $0.drops.isEmpty && $0.latency != nil })
        #expect(comparison.baseline == 0)
    }

    /// A copy made on the host is not parked anywhere: it crosses whole.
    @Test func whatTheHostMakesCrossesWhole() throws {
        let spec = graph(["w": "Wire", "d": "Doubler"], ["w.rx -> d", "d.out -> w.tx", "d.copy -> w.tx"])
        let result = try Self.compare(spec, ["host-only": spec.onHost("d")]).results[0]
        #expect(result.toHost.bytes == 1000 && result.toNIC.bytes == 2000 && result.toNIC.transfers == 2)
    }

    @Test func baselineLoadAndVerdict() throws {
        let spec = InvarianceTests.cases[0].spec
        let host = spec.onHost("a", "b", "c")
        let comparison = try Self.compare(spec, ["all-nic": spec.onHost(), "host-only": host])
        #expect(comparison.baseline == 1)
        #expect(!comparison.isTie)
        let slowest = comparison.results.map(\.sustainableRate).min()!
        #expect(comparison.results.allSatisfy { $0.load == .rate(slowest / 2) })
        #expect(comparison.verdict.contains("sustains the highest rate"))
        #expect(comparison.results[comparison.ranking[0]].sustainableRate > slowest)
        let tie = try Self.compare(spec, ["one": host, "two": host])
        #expect(tie.isTie && tie.verdict.contains("less than the model can tell"))
        #expect(tie.ranking == [0, 1])
        #expect(tie.bytesPerPacket == 1000)
    }

    @Test func impossiblePlacementsAreErrors() throws {
        let spec = InvarianceTests.cases[0].spec
        let all = Array(repeating: Side.host, count: spec.nodes.count)
        #expect(throws: ModelError.self) { try Self.compare(spec, ["x": all]) }
        var pinned = spec
        pinned.nodes[1].place = .host
        #expect(
            throws: ModelError.badPlacement(element: "a", reason: "cannot be on the nic: the graph pins it to the host")
        ) {
            try Self.compare(pinned, ["x": spec.onHost()])
        }
        let flows = graph(
            ["w": "Wire", "t": "SmallTable", "f": "FlowWatcher"],
            ["w.rx -> t", "t.hit -> f", "f -> w.tx"]
        )
        var small = testProfile()
        small.nic.memory = 63
        #expect(throws: ModelError.self) { try Self.compare(flows, ["x": flows.onHost()], small) }
        #expect(throws: Never.self) { try Self.compare(flows, ["x": flows.onHost("f")], small) }
        small.nic.memory = nil
        small.nic.flows = 7
        #expect(throws: ModelError.self) { try Self.compare(flows, ["x": flows.onHost("f")], small) }
    }
}
