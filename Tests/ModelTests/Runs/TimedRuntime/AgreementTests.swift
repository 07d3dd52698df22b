// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

@testable import Model

/// Below overload every placement and both runtimes emit the same packets, in the same order within each flow.
@Suite struct AgreementTests {
    struct Case: CustomStringConvertible, Sendable {
        var name: String
        var spec: GraphSpec
        var description: String { name }
    }

    static let cases = [
        Case(
            name: "chain",
            spec: graph(
                ["w": "Wire", "a": "Numberer", "b": "Toucher", "c": "Numberer"],
                ["w.rx -> a", "a -> b", "b -> c", "c -> w.tx"]
            )
        ),
        Case(
            name: "branch that joins",
            spec: graph(
                ["w": "Wire", "p": "Parity", "a": "Toucher", "b": "Numberer", "n": "Numberer"],
                ["w.rx -> p", "p.even -> a", "a -> b", "b -> n", "p.odd -> n", "n -> w.tx"]
            )
        ),
        Case(
            name: "two branches",
            spec: graph(
                ["w": "Wire", "p": "Parity", "a": "Toucher", "q": "Parity", "n": "Numberer", "m": "Numberer"],
                [
                    "w.rx -> p", "p.even -> a", "p.odd -> q", "q.even -> n", "q.odd -> m", "a -> m", "m -> n",
                    "n -> w.tx",
                ]
            )
        ),
        Case(
            name: "copies",
            spec: graph(
                ["w": "Wire", "d": "Doubler", "a": "Toucher", "n": "Numberer", "m": "Numberer"],
                ["w.rx -> d", "d.copy -> a", "a -> n", "d.out -> n", "n -> m", "m -> w.tx"]
            )
        ),
        Case(
            name: "held in pairs",
            spec: graph(
                ["w": "Wire", "p": "Parity", "h": "Pairs", "n": "Numberer"],
                ["w.rx -> p", "p.even -> h", "h -> n", "p.odd -> n", "n -> w.tx"]
            )
        ),
        Case(
            name: "round once more",
            spec: graph(
                ["w": "Wire", "a": "Numberer", "g": "Again", "t": "Toucher", "n": "Numberer"],
                ["w.rx -> a", "a -> g", "g.back -> t", "t -> a", "g.out -> n", "n -> w.tx"]
            )
        ),
    ]

    static func direct(_ spec: GraphSpec, _ packets: [TestPacket], batch: Int) throws -> MemoryDestination {
        let destination = MemoryDestination()
        let instance = try makeInstance(spec, packets, destination, batch: batch)
        try DirectRuntime(instance).run()
        #expect(instance.lostItems == 0)
        return destination
    }

    @Test(arguments: cases) func samePackets(_ test: Case) throws {
        let packets = traffic(600, flows: 7, gap: 300)
        let expected = try Self.direct(test.spec, packets, batch: 64)
        for sides in test.spec.allPlacements {
            for dispatch in ExecutorProfile.Dispatch.allCases {
                let destination = MemoryDestination()
                let instance = try makeInstance(test.spec, packets, destination)
                let profile = testProfile(
                    nic: executor(cores: 8, threads: 4, clock: 800_000_000, dispatch: dispatch),
                    host: executor(cores: 4, threads: 2, clock: 1_500_000_000, dispatch: dispatch)
                )
                let outcome = try TimedRuntime(instance, placement: sides, profile: profile, load: .captureTime).run()
                #expect(outcome.dropped == 0)
                #expect(outcome.completed == 600)
                #expect(instance.lostItems == 0)
                for number in test.spec.nodes.indices { #expect(instance.counts(number).balances) }
                #expect(destination.packets.count == expected.packets.count)
                // Compared first, so that a failure does not print every packet.
                let isSame = destination.byFlow == expected.byFlow
                #expect(isSame, "\(test) \(sides) \(dispatch)")
            }
        }
    }

    /// What is held to the end of the input leaves there in a live run alone.
    @Test(arguments: cases.filter { $0.name != "held in pairs" }) func replayIsTheLiveRun(_ test: Case) throws {
        let packets = traffic(400, flows: 5, seed: 9, gap: 300)
        let recording = try Recording(makeInstance(test.spec, packets))
        for sides in test.spec.allPlacements {
            // More than the recording's own rate are copies of it, which no live run can be; a slower one is one copy.
            for (pace, load) in [
                (Pace.captureTime, OfferedLoad.captureTime),
                (.factor(numerator: 2, denominator: 3), .factor(numerator: 2, denominator: 3)),
            ] {
                let live = try TimedRuntime(
                    makeInstance(test.spec, packets),
                    placement: sides,
                    profile: testProfile(),
                    load: pace
                ).run()
                let replayed = try recording.replay(placement: sides, profile: testProfile(), load: load, packets: 400)
                let isSame = live.latency == replayed.latency
                #expect(isSame, "\(test) \(sides) \(load)")
                #expect(live.nic == replayed.nic)
                #expect(live.host == replayed.host)
                #expect(live.toHost == replayed.toHost)
                #expect(live.toNIC == replayed.toNIC)
                #expect(live.drops == replayed.drops)
                #expect(live.end == replayed.end)
            }
        }
    }
}
