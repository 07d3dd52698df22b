// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

@testable import Model

/// Packets of unknown flows go round by the host, which lets them into the table on the NIC.
@Suite struct SlowPathTests {
    private static let edges = ["w.rx -> known.in", "known.miss -> slow", "slow -> known.insert", "known.hit -> w.tx"]

    private func spec(_ settings: KeyValuePairs<String, String> = [:]) -> GraphSpec {
        graph(["w": "Wire", "known": "FlowTable", "slow": "Toucher"], SlowPathTests.edges, ["known": settings])
    }

    /// A NIC that keeps up with 20 Mpps of one flow.
    private static let profile = testProfile(nic: executor(cores: 64, threads: 4, clock: 800_000_000))

    /// What a run of one placement came to.
    private struct Seen {
        var outcome: Outcome
        var out: MemoryDestination
        var missed: Int
        var cutOver: Int
    }

    private func run(
        _ spec: GraphSpec,
        _ packets: [TestPacket],
        _ sides: [Side],
        _ profile: DeviceProfile = SlowPathTests.profile
    ) throws -> Seen {
        let out = MemoryDestination()
        let instance = try makeInstance(spec, packets, out)
        let outcome = try TimedRuntime(instance, placement: sides, profile: profile, load: .captureTime).run()
        #expect(instance.lostItems == 0)
        for number in spec.nodes.indices { #expect(instance.counts(number).balances) }
        #expect(outcome.forced == 0)
        let known = try #require(spec.index(of: "known"))
        let slow = try #require(spec.index(of: "slow"))
        let cutOver = instance.counts(known).handlers.first { $0.name == "cut_over" }?.value
        return Seen(
            outcome: outcome,
            out: out,
            missed: Int(instance.counts(slow).entered),
            cutOver: try #require(cutOver)
        )
    }

    /// The numbers of the packets that left, of each flow in each direction.
    private func isInOrder(_ out: MemoryDestination) -> Bool {
        out.byFlow.values.allSatisfy { packets in
            let numbers = packets.map { p in (0..<4).reduce(0) { $0 | Int(p[42 + $1]) << (8 * $1) } }
            return numbers == numbers.sorted()
        }
    }

    /// One flow, a packet every 50 ns: as many take the slow path as come until the first has made it back to the table.
    @Test(arguments: [(50, 1_000), (100, 1_000), (250, 500), (1_000_000, 20)])
    func asManyGoRoundAsComeInARoundTrip(_ gap: Int64, _ count: Int) throws {
        let spec = spec()
        let packets = evenTraffic(count, flows: 1, gap: gap)
        let local = try run(spec, packets, spec.onHost())
        #expect(local.missed == 1 && local.cutOver == 0 && local.outcome.completed == UInt64(count))
        // By hand, in nanoseconds: the table on the NIC (an item, three operations, a send), a write of 64 bytes and the link, an item, 64
        // bytes of payload and a send on the host, a read of 64 bytes and the link.
        let roundTrip = 360 * 1.25 + (300 + 64 * 0.25 + 13) + (50 + 64 * 0.5 + 10) * 0.4 + (500 + 64 * 0.3 + 13)
        #expect((1_340...1_360).contains(roundTrip))
        let expected = Int((roundTrip / Double(gap)).rounded(.up))
        let far = try run(spec, packets, spec.onHost("slow"))
        #expect(abs(far.missed - expected) <= 1, "\(far.missed) of \(expected)")
        #expect(far.outcome.completed == UInt64(count) && far.outcome.dropped == 0)
        #expect(far.cutOver == 1 && far.outcome.markers == 1)
        #expect(isInOrder(far.out) && far.out.packets.count == count)
        // Those that come while the marker is under way wait, and so do those behind them until they are through.
        if gap < 1_000 {
            #expect(far.outcome.reordered >= UInt64(expected) / 2)
        } else {
            #expect(far.outcome.reordered == 0)
        }
    }

    /// A flow whose packets come faster than markers return stays on the slow path; one that pauses gets off it. None is overtaken.
    @Test func theSlowPathCanBeKept() throws {
        let spec = spec(["cut_over": "slow_path"])
        let steady = evenTraffic(400, flows: 1, gap: 50)
        let kept = try run(spec, steady, spec.onHost("slow"))
        #expect(kept.missed == 400 && kept.outcome.reordered == 0 && isInOrder(kept.out))
        #expect(kept.outcome.completed == 400 && kept.outcome.markers > 2)
        var pausing = evenTraffic(100, flows: 1, gap: 50)
        pausing += evenTraffic(300, flows: 1, gap: 50).map {
            var packet = $0
            packet.time += 1_000_000
            return packet
        }
        let left = try run(spec, pausing, spec.onHost("slow"))
        #expect(left.missed == 100 && left.cutOver == 1 && isInOrder(left.out))
    }

    /// A marker does not wait for packets that are still on the wire: a burst at a port keeps no flow on the slow path.
    @Test func markersDoNotWaitForTheWire() throws {
        let spec = spec(["cut_over": "slow_path"])
        var slow = Self.profile
        slow.mac.lineRate = 1_000_000_000
        // 60 packets at one time take 42 us to come in; those of one flow then are 14 us apart, ten round trips.
        let packets = (0..<60).map { TestPacket(time: 1_000_000_000, flow: $0 % 20, size: 64) }
        let seen = try run(spec, packets, spec.onHost("slow"), slow)
        #expect(seen.missed == 20 && seen.cutOver == 20, "\(seen.missed) \(seen.cutOver)")
        #expect(seen.outcome.completed == 60 && isInOrder(seen.out))
    }

    /// In every placement packets are conserved and no flow is reordered, however they come, by either choice.
    @Test(arguments: ["wait", "slow_path"]) func flowsStayInOrder(_ choice: String) throws {
        let spec = graph(
            ["w": "Wire", "n": "Numberer", "known": "FlowTable", "a": "Parity", "b": "Toucher", "c": "Toucher"],
            [
                "w.rx -> known.in", "known.miss -> a", "a.even -> b", "a.odd -> c", "b -> known.insert",
                "c -> known.insert",
                "known.hit -> n", "n -> w.tx",
            ],
            ["known": ["cut_over": choice]]
        )
        for gap in [20, 300, 5_000] as [Int64] {
            let packets = traffic(1_500, flows: 37, seed: UInt64(gap), gap: gap, sizes: [64])
            for sides in spec.allPlacements {
                let out = MemoryDestination()
                let instance = try makeInstance(spec, packets, out)
                let outcome = try TimedRuntime(instance, placement: sides, profile: Self.profile, load: .captureTime)
                    .run()
                #expect(instance.lostItems == 0 && outcome.forced == 0)
                #expect(spec.nodes.indices.allSatisfy { instance.counts($0).balances })
                #expect(outcome.completed == 1_500 && out.packets.count == 1_500)
                #expect(isInOrder(out), "\(sides) \(gap)")
            }
        }
    }

    /// The buffer that keeps flows in order is bounded: what finds it full is lost, and counted.
    @Test func theReorderBufferIsBounded() throws {
        let spec = spec()
        var small = Self.profile
        small.nic.reorder.places = 4
        let seen = try run(spec, evenTraffic(400, flows: 1, gap: 50), spec.onHost("slow"), small)
        let lost = seen.outcome.drops[Outcome.Drop.nicReorderFull.rawValue]
        #expect(lost > 5 && lost == seen.outcome.dropped && seen.outcome.completed + lost == 400)
        #expect(isInOrder(seen.out))
    }

    /// What waits costs cycles of its side.
    @Test func waitingCosts() throws {
        let spec = spec()
        var dear = Self.profile
        dear.nic.reorder.cycles = 100_000
        let packets = evenTraffic(200, flows: 1, gap: 100)
        let free = try run(spec, packets, spec.onHost("slow")).outcome
        let costly = try run(spec, packets, spec.onHost("slow"), dear).outcome
        let more = costly.nic.busy.reduce(0, +) - free.nic.busy.reduce(0, +)
        // 100 cycles of 1.25 ns for each.
        #expect(more >= 125_000 * Int64(free.reordered) && costly.reordered >= free.reordered && free.reordered > 10)
    }

    /// A small table before a large one, each with its own slow path, in one cycle: markers of one do not wait for the other's packets.
    @Test(arguments: ["wait", "slow_path"]) func tablesInOneCycleDoNotWaitForEachOther(_ choice: String) throws {
        let spec = graph(
            ["w": "Wire", "a": "FlowTable", "b": "FlowTable", "slow": "Toucher"],
            [
                "w.rx -> a.in", "a.miss -> b.in", "b.hit -> a.insert", "b.miss -> slow", "slow -> b.insert",
                "a.hit -> w.tx",
            ],
            ["a": ["cut_over": choice], "b": ["cut_over": choice]]
        )
        let packets = evenTraffic(4_000, flows: 20, gap: 100)
        for sides in spec.allPlacements {
            let out = MemoryDestination()
            let instance = try makeInstance(spec, packets, out)
            let outcome = try TimedRuntime(instance, placement: sides, profile: Self.profile, load: .captureTime).run()
            #expect(outcome.forced == 0 && outcome.dropped == 0 && outcome.completed == 4_000, "\(sides)")
            #expect(instance.lostItems == 0 && isInOrder(out) && out.packets.count == 4_000, "\(sides)")
            // Those that keep the slow path keep the host busy.
            #expect(choice == "slow_path" || outcome.percentiles!.p999 < 100_000_000, "\(sides)")
        }
    }

    /// Packets that come to the table again by its first input wait for no marker of their own.
    @Test func packetsMayComeAgain() throws {
        let spec = graph(
            ["w": "Wire", "known": "FlowTable", "slow": "Toucher", "again": "Again"],
            [
                "w.rx -> known.in", "known.miss -> slow", "slow -> known.insert", "known.hit -> again",
                "again.back -> known.in",
                "again.out -> w.tx",
            ]
        )
        for sides in spec.allPlacements {
            let out = MemoryDestination()
            let instance = try makeInstance(spec, evenTraffic(2_000, flows: 7, gap: 200), out)
            let outcome = try TimedRuntime(instance, placement: sides, profile: Self.profile, load: .captureTime).run()
            #expect(outcome.forced == 0 && outcome.completed == 2_000 && instance.lostItems == 0, "\(sides)")
        }
    }

    /// Whole datagrams and fragments of one flow, which show no ports, stay in order in every placement, as in a direct run.
    @Test(arguments: ["wait", "slow_path"]) func fragmentsStayInOrder(_ choice: String) throws {
        let spec = graph(
            ["w": "Wire", "d": "IPDefragmenter", "known": "FlowTable", "slow": "Toucher"],
            ["w.rx -> d", "d -> known.in"] + Self.edges.dropFirst(),
            ["known": ["cut_over": choice]]
        )
        for gap in [150, 500, 3_000] as [Int64] {
            let packets = Self.datagrams(1_500, gap: gap)
            func instance(_ out: MemoryDestination) throws -> Instance {
                var options = Instance.Options()
                options.poolCapacity = 65_536
                let binding = WireBinding(source: MemorySource(packets), destination: out)
                return try Instance(spec, bindings: [0: binding], services: NoServices(), options: options)
            }
            let direct = MemoryDestination()
            try DirectRuntime(instance(direct)).run()
            #expect(direct.packets.count == 1_500)
            for sides in spec.allPlacements {
                let out = MemoryDestination()
                let outcome = try TimedRuntime(
                    instance(out),
                    placement: sides,
                    profile: Self.profile,
                    load: .captureTime
                ).run()
                #expect(outcome.dropped == 0 && outcome.forced == 0 && out.packets.count == 1_500)
                let isSame = out.byFlow == direct.byFlow
                #expect(isSame, "\(sides) \(gap)")
            }
        }
    }

    /// UDP datagrams of six flows between three pairs of hosts, of which a third come in two fragments: of the second pair from the
    /// middle on, of the third never. The second fragment may come behind the next datagram.
    private static func datagrams(_ count: Int, gap: Int64) -> [MemorySource.Packet] {
        var packets: [MemorySource.Packet] = []
        for k in 0..<count {
            let random = mix64(UInt64(k))
            let flow = UInt8(random % 6)
            let pair = flow % 3
            var bytes = [UInt8](repeating: 0, count: 14 + 20 + 32)
            bytes[12] = 8
            bytes.replaceSubrange(
                14..<38,
                with: [
                    0x45, 0, 0, 52, UInt8(k >> 8), UInt8(k & 255), 0, 0, 64, 17, 0, 0, 10, 0, 0, pair, 10, 1, 0, 1, 3,
                    flow, 0, 53,
                ]
            )
            for j in 0..<8 { bytes[42 + j] = UInt8(truncatingIfNeeded: k >> (8 * j)) }
            let time = 1_000_000_000 + Int64(k) * gap
            let isFragmented = pair < 2 && (pair == 0 || k > count / 2) && random >> 32 % 3 == 0
            if isFragmented { bytes[20] = 0x20 }
            packets.append(MemorySource.Packet(bytes: bytes, wireLength: bytes.count, time: time))
            guard isFragmented else { continue }
            bytes[20] = 0
            bytes[21] = 4
            packets.append(
                MemorySource.Packet(
                    bytes: bytes,
                    wireLength: bytes.count,
                    time: time + (random >> 40 & 1 == 0 ? gap / 3 : gap * 3 / 2)
                )
            )
        }
        return packets.sorted { $0.time < $1.time }
    }
}
