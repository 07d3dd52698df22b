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
        // Beside the data, the descriptor of a received packet is read and written back, and that of a sent one is: 40 are read, and 8
        // written back, at once.
        let (writes, reads) = (results.map(\.toHost.transfers), results.map(\.toNIC.transfers))
        #expect(writes == [0, 1.125, 2.125, 2.125])
        #expect(reads == [0, 1.025, 2.025, 2.025])
        #expect(results[0].toHost.bytes == 0 && results[0].toNIC.bytes == 0)
        #expect(results[1].toHost.bytes == 32 && results[1].toNIC.bytes == 32)
        #expect(results[2].toHost.bytes == 42 + 32 && results[2].toNIC.bytes == 42 + 32)
        #expect(results[3].toHost.bytes == 1000 + 32 && results[3].toNIC.bytes == 1000 + 32)
        #expect(results[0].hostCyclesPerPacket == 0)
        #expect(results.allSatisfy { $0.drops.isEmpty && $0.latency != nil })
        #expect(comparison.baseline.name == "all-host")
    }

    /// A plain NIC moves whole packets; parking needs a program on the NIC and a buffer, or a NIC that splits headers by itself.
    @Test func onlyAProgramParksPayload() throws {
        let spec = graph(["w": "Wire", "p": "Parity", "d": "Discard"], ["w.rx -> p", "p.even -> d", "p.odd -> d"])
        func bytes(_ profile: DeviceProfile, _ sides: [Side]) throws -> Double {
            try Self.compare(spec, ["x": sides], profile).results[0].toHost.bytes - 16
        }
        var profile = testProfile()
        let plain = spec.onHost("p", "d")
        let program = graph(
            ["w": "Wire", "c": "Counter", "p": "Parity", "d": "Discard"],
            ["w.rx -> c", "c -> p", "p.even -> d", "p.odd -> d"]
        )
        func withProgram(_ profile: DeviceProfile) throws -> Comparison {
            try Self.compare(program, ["x": program.onHost("p", "d")], profile)
        }
        #expect(try bytes(profile, plain) == 1000)
        #expect(try withProgram(profile).results[0].toHost.bytes - 16 == 42)
        profile.plain.splitsHeaders = true
        #expect(try bytes(profile, plain) == 42)
        profile.plain.parking = nil
        #expect(try bytes(profile, plain) == 1000)
        #expect(try withProgram(profile).results[0].toHost.bytes - 16 == 1000)
        // Room for two payloads: what comes while they are taken is dropped, and has a name.
        profile.plain.splitsHeaders = false
        profile.plain.parking = 2 * 958
        let recording = try Recording(makeInstance(program, traffic(300, flows: 20, sizes: [1000])))
        let outcome = try recording.replay(
            placement: program.onHost("p", "d"),
            profile: profile,
            load: .rate(10_000_000),
            packets: 3000
        )
        #expect(outcome.drops[Outcome.Drop.parkingFull.rawValue] == outcome.dropped && outcome.dropped > 100)
        #expect(outcome.parked == 2 * 958)
        #expect(outcome.completed + outcome.dropped == outcome.offered)
        let result = try #require(withProgram(profile).results.first)
        #expect(result.firstDrop == .parkingFull && result.bottleneck == "parking buffer (bursts)")
        #expect(Double(result.sustainableRate) < result.bound * 0.98)
    }

    /// A NIC without cores takes no element; more wires than ports cannot be.
    @Test func plainNICsTakeNoElements() throws {
        let spec = AgreementTests.cases[0].spec
        var profile = testProfile()
        profile.nic = ExecutorProfile()
        profile.nic.cores = 0
        let comparison = try Self.compare(
            spec,
            ["host-only": spec.onHost("a", "b", "c"), "all-nic": spec.onHost()],
            profile
        )
        #expect(comparison.results.map(\.name) == ["host-only"])
        #expect(comparison.results[0].nicCyclesPerPacket == 0)
        #expect(comparison.infeasible.map(\.name) == ["all-nic"])
        #expect(comparison.infeasible[0].reason.contains("no cores for elements"))
        profile.mac.ports = 1
        let two = graph(["v": "Wire", "w": "Wire", "c": "Counter"], ["v.rx -> c", "c -> w.tx"])
        #expect(throws: ModelError.tooManyWires(wires: 2, ports: 1, profile: "test")) {
            try Self.compare(two, ["x": two.onHost("c")], profile)
        }
    }

    /// A copy made on the host is not parked anywhere: it crosses whole.
    @Test func whatTheHostMakesCrossesWhole() throws {
        let spec = graph(["w": "Wire", "d": "Doubler"], ["w.rx -> d", "d.out -> w.tx", "d.copy -> w.tx"])
        let result = try Self.compare(spec, ["host-only": spec.onHost("d")]).results[0]
        // Three descriptors read, and three written back.
        #expect(result.toHost.bytes == 1000 + 48)
        #expect(result.toNIC.bytes == 2000 + 48)
        #expect(abs(result.toNIC.transfers - 3.05) < 1e-9)
    }

    @Test func baselineLoadAndVerdict() throws {
        let spec = AgreementTests.cases[0].spec
        let host = spec.onHost("a", "b", "c")
        let comparison = try Self.compare(spec, ["all-nic": spec.onHost(), "host-only": host])
        #expect(comparison.baseline.name == "host-only")
        #expect(!comparison.isTie)
        let slowest = comparison.results.map(\.sustainableRate).min()!
        #expect(slowest == comparison.baseline.sustainableRate)
        #expect(comparison.results.allSatisfy { $0.load.asked == .rate(slowest / 2) })
        #expect(comparison.verdict.contains("sustains the highest rate"))
        #expect(comparison.results[comparison.ranking[0]].sustainableRate > slowest)
        let tie = try Self.compare(spec, ["one": host, "two": host])
        #expect(tie.isTie && tie.verdict.contains("all sustain the same rate"))
        #expect(tie.ranking == [0, 1])
        #expect(tie.recorded.bytesPerPacket == 1000 && tie.recorded.wireBytesPerPacket == 1024)
    }

    /// Little's law, by hand: a table holds what begins per second, times how long it is there.
    @Test func flowsInATable() throws {
        // 20 flows of two packets 10 ms apart, in 400 ms; each stays 50 ms longer.
        let packets = (0..<20).flatMap { flow in
            [0, 10_000_000].map {
                TestPacket(time: 1_000_000_000 + Int64(flow) * 20_000_000 + $0, flow: flow, size: 64)
            }
        }.sorted { $0.time < $1.time }
        for (idle, stays) in [("50 ms", 0.05), ("300 s", 300), ("0", nil)] as [(String, Double?)] {
            let spec = graph(
                ["w": "Wire", "t": "FlowTable"],
                ["w.rx -> t.in", "t.hit -> w.tx"],
                ["t": ["idle": idle]]
            )
            var options = Comparison.Options()
            options.packets = 2_000
            options.load = .rate(1_000_000)
            let result = try Comparison(
                Recording(makeInstance(spec, packets)),
                [.init(name: "nic", sides: spec.onHost())],
                testProfile(),
                options
            ).results[0]
            let need = try #require(result.flows.first)
            // Half as many flows begin as packets come.
            let begin = Double(result.sustainableRate) / 2
            #expect(abs(Double(need.open) / (begin * 0.010) - 1) < 0.001, "\(need)")
            guard let stays else {
                #expect(need.needed == nil && need.neededAtLoad == nil)
                continue
            }
            #expect(abs(Double(try #require(need.needed)) / (begin * (0.010 + stays)) - 1) < 0.001, "\(need)")
            #expect(abs(Double(try #require(need.neededAtLoad)) / (500_000 * (0.010 + stays)) - 1) < 0.001, "\(need)")
        }
    }

    /// A lead too small for a ratio of two decimal places is given in per cent.
    @Test func smallLeadsAreInPerCent() throws {
        #expect(Comparison.lead(1.5) == "1.50 times that of" && Comparison.lead(1.01) == "1.01 times that of")
        #expect(Comparison.lead(1.003) == "0.3 % more than" && Comparison.lead(1.0014) == "0.1 % more than")
    }

    /// What is said of a placement does not depend on the others.
    @Test func othersChangeNothing() throws {
        let spec = AgreementTests.cases[0].spec
        let sides = spec.onHost("b")
        let alone = try Self.compare(spec, ["x": sides])
        let among = try Self.compare(
            spec,
            ["all-nic": spec.onHost(), "x": sides, "host-only": spec.onHost("a", "b", "c")]
        )
        let (a, b) = (alone.results[0], among.results[1])
        #expect(a.sustainableRate == b.sustainableRate && a.latency == b.latency && a.load == b.load)
        #expect(a.hostCyclesPerPacket == b.hostCyclesPerPacket && a.toHost == b.toHost)
        #expect(alone.baseline.sustainableRate == among.baseline.sustainableRate)
    }

    @Test func impossiblePlacementsAreErrors() throws {
        let spec = AgreementTests.cases[0].spec
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
        small.plain.parking = nil
        small.nic.memory = 63
        #expect(throws: ModelError.self) { try Self.compare(flows, ["x": flows.onHost()], small) }
        #expect(throws: Never.self) { try Self.compare(flows, ["x": flows.onHost("f")], small) }
        small.nic.memory = nil
        small.nic.flows = 7
        #expect(throws: ModelError.self) { try Self.compare(flows, ["x": flows.onHost("f")], small) }
    }
}
