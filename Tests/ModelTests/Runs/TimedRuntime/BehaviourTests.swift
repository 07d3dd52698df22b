// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

@testable import Model

@Suite struct BehaviourTests {
    /// Slots of a flow table are used again only when all elements on both sides know of the flow's end.
    @Test func flowEndsReachBothSides() throws {
        let spec = graph(
            ["w": "Wire", "t": "SmallTable", "a": "FlowWatcher", "b": "Toucher", "c": "FlowWatcher"],
            ["w.rx -> t", "t.hit -> a", "a -> b", "b -> c", "c -> w.tx"]
        )
        let packets = traffic(1500, flows: 20, gap: 500)
        for sides in spec.allPlacements {
            let destination = MemoryDestination()
            let instance = try makeInstance(spec, packets, destination)
            let outcome = try TimedRuntime(instance, placement: sides, profile: testProfile(), load: .captureTime).run()
            #expect(outcome.dropped == 0 && destination.packets.count == 1500)
            let handlers = [2, 4].map { number in
                Dictionary(uniqueKeysWithValues: instance.counts(number).handlers.map { ($0.name, $0.value) })
            }
            #expect(handlers.allSatisfy { $0["late"] == 0 }, "\(sides)")
            #expect(handlers[0]["ends"]! > 20)
            #expect(handlers[0]["ends"] == handlers[1]["ends"])
            #expect(instance.lostItems == 0)
        }
        // The same work when it is replayed.
        let recording = try Recording(makeInstance(spec, packets))
        let outcome = try recording.replay(
            placement: spec.onHost("a", "b"),
            profile: testProfile(),
            load: .rate(100_000),
            packets: 4500
        )
        #expect(outcome.completed == 4500)
        // Packets and the commands that tell of ends.
        #expect(outcome.toHost.transfers > 4500)
    }

    /// However many flows end at once, neither the stack nor the number of calls under way grows with them.
    @Test(arguments: [false, true]) func veryManyFlowsEndAtOnce(_ watched: Bool) throws {
        let spec =
            watched
            ? graph(["w": "Wire", "m": "MassEnder", "f": "FlowWatcher"], ["w.rx -> m", "m -> f", "f -> w.tx"])
            : graph(["w": "Wire", "m": "MassEnder"], ["w.rx -> m", "m -> w.tx"])
        for sides in [spec.onHost(), spec.onHost("m"), spec.onHost("f")] {
            let instance = try makeInstance(spec, traffic(50, flows: 3))
            let outcome = try TimedRuntime(instance, placement: sides, profile: testProfile(), load: .captureTime).run()
            #expect(outcome.completed == 50)
            #expect(instance.counts(1).handlers.map(\.value) == [40_000])
        }
    }

    /// Timers fire as functional time passes, on either side; nothing is lost or made up.
    @Test func timersFireOnBothSides() throws {
        let spec = graph(
            ["w": "Wire", "a": "Numberer", "k": "Ticker", "n": "Numberer"],
            ["w.rx -> a", "a -> k", "k -> n", "n -> w.tx"]
        )
        let packets = traffic(1000, flows: 1, gap: 20_000)
        let expected = try AgreementTests.direct(spec, packets, batch: 1)
        for sides in spec.allPlacements {
            let destination = MemoryDestination()
            let instance = try makeInstance(spec, packets, destination)
            let outcome = try TimedRuntime(instance, placement: sides, profile: testProfile(), load: .captureTime).run()
            #expect(outcome.completed == 1000 && outcome.dropped == 0)
            #expect(instance.counts(2).operations.map(\.count) == [21])
            #expect(Set(destination.packets.map { $0[42..<46] }) == Set(expected.packets.map { $0[42..<46] }))
            #expect(destination.packets.count == 1000)
            for number in spec.nodes.indices { #expect(instance.counts(number).balances) }
        }
    }

    /// In overload items are lost between elements, with a name, and nowhere else.
    @Test(arguments: AgreementTests.cases) func overloadConserves(_ test: AgreementTests.Case) throws {
        let packets = traffic(1500, flows: 7)
        for sides in test.spec.allPlacements {
            let destination = MemoryDestination()
            let instance = try makeInstance(test.spec, packets, destination)
            let profile = testProfile(
                nic: executor(cores: 1, threads: 2, clock: 100_000_000, queue: 20),
                host: executor(cores: 2, clock: 100_000_000, dispatch: .flowHash, queue: 20)
            )
            let outcome = try TimedRuntime(instance, placement: sides, profile: profile, load: .rate(5_000_000)).run()
            #expect(outcome.offered == 1500)
            #expect(outcome.dropped > 0 && outcome.completed > 0)
            #expect(instance.lostItems == 0)
            for number in test.spec.nodes.indices { #expect(instance.counts(number).balances) }
        }
    }

    @Test func runsAreRepeatable() throws {
        let spec = AgreementTests.cases[1].spec
        let packets = traffic(800, flows: 9, gap: 200)
        let runs = try (0..<2).map { _ in
            try TimedRuntime(
                makeInstance(spec, packets),
                placement: spec.onHost("a", "n"),
                profile: testProfile(),
                load: .rate(4_000_000)
            ).run()
        }
        #expect(runs[0].latency == runs[1].latency)
        #expect(runs[0].host == runs[1].host && runs[0].nic == runs[1].nic && runs[0].end == runs[1].end)
    }

    @Test func aLongCaptureIsRecordedInPart() throws {
        let spec = AgreementTests.cases[0].spec
        let whole = try Recording(makeInstance(spec, traffic(500, flows: 3)))
        #expect(whole.packets == 500 && !whole.isPrefix && whole.roots.count == 500)
        // Five elements for each packet, and the end of the input for each element.
        #expect(whole.visits.count == 500 * 5 + spec.nodes.count)
        let part = try Recording(makeInstance(spec, traffic(500, flows: 3)), limit: 100)
        #expect(part.packets == 20 && part.isPrefix)
        let outcome = try part.replay(
            placement: spec.onHost(),
            profile: testProfile(),
            load: .captureTime,
            packets: 1000
        )
        #expect(outcome.completed == 1000)
        let none = try Recording(makeInstance(spec, []))
        #expect(throws: ModelError.noPackets) {
            try none.replay(placement: spec.onHost(), profile: testProfile(), load: .captureTime, packets: 1)
        }
        // No packets at all are a run without any.
        let idle = try TimedRuntime(
            makeInstance(spec, []),
            placement: spec.onHost(),
            profile: testProfile(),
            load: .captureTime
        ).run()
        #expect(idle.offered == 0 && idle.percentiles == nil)
    }

    /// A pool of a few items: what comes when none is free is dropped and counted, in every run.
    @Test func aSmallPoolDropsAndCounts() throws {
        func instance(_ spec: GraphSpec) throws -> Instance {
            var options = Instance.Options()
            options.poolCapacity = 3
            return try Instance(
                spec,
                bindings: [0: WireBinding(source: MemorySource(traffic(100, flows: 50)), destination: nil)],
                services: NoServices(),
                options: options
            )
        }
        let chain = AgreementTests.cases[0].spec
        let fast = try instance(chain)
        let outcome = try TimedRuntime(
            fast,
            placement: chain.onHost("b"),
            profile: testProfile(),
            load: .rate(50_000_000)
        ).run()
        let lost = outcome.drops[Outcome.Drop.noItems.rawValue]
        #expect(lost > 0 && outcome.offered == 100 && UInt64(outcome.completed) + lost == 100)
        #expect(fast.counts(0).drops.map(\.reason) == ["no_items"] && fast.counts(0).drops[0].count == lost)
        #expect(fast.counts(0).balances && fast.lostItems == 0)
        let pairs = AgreementTests.cases[4].spec
        let holding = try instance(pairs)
        _ = try TimedRuntime(holding, placement: pairs.onHost(), profile: testProfile(), load: .captureTime).run()
        #expect(holding.spec.nodes.indices.allSatisfy { holding.counts($0).balances } && holding.lostItems == 0)
        let recorded = try instance(pairs)
        _ = try Recording(recorded)
        #expect(recorded.counts(0).drops.map(\.reason) == ["no_items"])
    }

    @Test func hostilePacketsHaveAKey() {
        for length in 0..<80 {
            for first in [0x00, 0x45, 0x4f, 0x60, 0xff] as [UInt8] {
                for linkType in [0, 1, 101, 113, 228, 276, 999] as [UInt16] {
                    var bytes = [UInt8](repeating: first, count: max(1, length))
                    if length > 13 {
                        bytes[12] = 0x81
                        bytes[13] = 0
                    }
                    #expect(Int(facts(&bytes, length, linkType).headers) <= length)
                }
            }
        }
        let a = TestPacket(time: 0, flow: 7).bytes(1)
        let b = TestPacket(time: 0, flow: 7, isReverse: true).bytes(2)
        let c = TestPacket(time: 0, flow: 8).bytes(1)
        let keys = [a, b, c].map { bytes in
            var bytes = bytes
            return facts(&bytes, bytes.count, 1)
        }
        #expect(keys[0].key == keys[1].key)
        #expect(keys[0].key != keys[2].key)
        #expect(keys[0].headers == 42)
    }

    private func facts(_ bytes: inout [UInt8], _ length: Int, _ linkType: UInt16) -> (key: UInt32, headers: UInt16) {
        bytes.withUnsafeMutableBytes { buffer in
            var item = Item(
                data: buffer.baseAddress!,
                length: UInt32(length),
                wireLength: UInt32(length),
                time: 0,
                sequence: 0,
                linkType: linkType,
                interface: 0
            )
            return item.withPacket { order($0, HashKey(seed: 0)) }
        }
    }
}
