// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

@testable import Model

/// Lets packets through, and asks for the flow of each that it sees for the first time.
final class Opener: Element {
    typealias Config = NoConfig
    static let summary = "opens flows by command"
    static let category = Category.testing
    static let depends = Depends.flow
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .headers, "packets")] }
    static func outputs(_: Config) -> [Output] {
        [
            Output("out", .sameAs(input: 0), "the same"),
            Output("open", .kind(.command(FlowOpenCommand.layout.name)), "commands"),
        ]
    }
    static let operations: [Dataplane.Operation] = [.lookup, .record]
    private let layout: UInt16
    private var known: Set<Int> = []
    init(_: Config, _ setup: Setup) {
        layout = setup.layouts.register(FlowOpenCommand.layout)
        super.init()
    }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            context.did(.lookup, 1)
            let (i, flow) = (batch.index[k], flowNumber(batch[k]))
            if known.insert(flow).inserted, let j = context.make(from: i, capacity: FlowOpenCommand.layout.size) {
                context.did(.record, 1)
                let ends = FlowEnds(
                    source: IPAddress(v4: 10 << 24 | UInt32(flow)),
                    destination: IPAddress(v4: 10 << 24 | 1 << 16 | 1),
                    sourcePort: UInt16(1_000 + flow),
                    destinationPort: 53,
                    proto: 17
                )
                FlowOpenCommand(ends).write(to: context[j])
                context[j].layout = layout
                context.emit(j, 1)
            }
            context.emit(i, 0)
        }
    }
}

/// Commands across the channel: so many a second, each with its latency.
@Suite struct ControlPathTests {
    private let spec = graph(
        ["w": "Wire", "known": "FlowTable", "opener": "Opener"],
        [
            "w.rx -> known.in", "known.miss -> opener", "opener.open -> known.insert", "known.hit -> w.tx",
            "opener.out -> w.tx",
        ]
    )

    private func profile(rate: Int, latency: Int = 0, queue: Int = 1_024, isInBand: Bool = false) -> DeviceProfile {
        var profile = testProfile(nic: executor(cores: 64, threads: 4, clock: 800_000_000))
        var control = ChannelProfile.Control()
        control.rate = rate
        control.latency = latency
        control.queue = queue
        control.isInBand = isInBand
        profile.channel.control = control
        return profile
    }

    private func run(
        _ packets: [TestPacket],
        _ profile: DeviceProfile
    ) throws -> (outcome: Outcome, missed: Int, out: [Int]) {
        let out = MemoryDestination()
        let instance = try makeInstance(spec, packets, out)
        let runtime = try TimedRuntime(
            instance,
            placement: spec.onHost("opener"),
            profile: profile,
            load: .captureTime
        )
        let outcome = try runtime.run()
        #expect(instance.lostItems == 0 && outcome.forced == 0)
        let numbers = out.packets.map { p in (0..<4).reduce(0) { $0 | Int(p[42 + $1]) << (8 * $1) } }
        return (outcome, Int(instance.counts(2).entered), numbers)
    }

    /// A rule has an effect when the control path has taken it and its latency is over: until then packets miss.
    @Test func latencyKeepsFlowsOnTheSlowPath() throws {
        let packets = evenTraffic(400, flows: 1, gap: 1_000)
        let quick = try run(packets, profile(rate: 1_000_000_000))
        let slow = try run(packets, profile(rate: 1_000_000_000, latency: 100_000_000))
        #expect((1...3).contains(quick.missed))
        // 100 us more are 100 packets more.
        #expect(abs(slow.missed - quick.missed - 100) <= 2, "\(slow.missed) \(quick.missed)")
        for seen in [quick, slow] {
            #expect(seen.outcome.completed == 400 && seen.out == Array(0..<400) && seen.outcome.commands == 1)
        }
    }

    /// Commands wait for one another: with 100 us for each the hundredth flow is known after 10 ms.
    @Test func commandsTakeTurns() throws {
        // 100 flows, each with a packet every 100 us.
        let packets = evenTraffic(20_000, flows: 100, gap: 1_000)
        let seen = try run(packets, profile(rate: 10_000))
        #expect(seen.outcome.commands == 100 && seen.outcome.completed == 20_000)
        // Flow k is known at k * 100 us and a round trip, so it misses k times or once more: 4950 to 5050.
        #expect((4_950...5_050).contains(seen.missed), "\(seen.missed)")
    }

    /// What finds the queue full is lost and counted; its flow stays on the slow path.
    @Test func theQueueIsBounded() throws {
        let seen = try run(evenTraffic(2_000, flows: 50, gap: 100), profile(rate: 10_000, queue: 4))
        let lost = seen.outcome.drops[Outcome.Drop.controlFull.rawValue]
        #expect(lost >= 40 && seen.outcome.commands + lost == 50)
        // The packets whose commands are lost get through all the same.
        #expect(seen.out.count == 2_000 && seen.outcome.dropped == lost)
    }

    /// Out of band, commands take no room on the link; in band, they do.
    @Test func inBandCommandsShareTheLink() throws {
        let packets = evenTraffic(1_000, flows: 50, gap: 1_000)
        let apart = try run(packets, profile(rate: 1_000_000))
        let shared = try run(packets, profile(rate: 1_000_000, isInBand: true))
        #expect(apart.outcome.commands == 50 && shared.outcome.commands == 50)
        // Packets that come back and markers are the rest.
        let more = shared.outcome.toNIC.transfers - shared.outcome.markers
        let less = apart.outcome.toNIC.transfers - apart.outcome.markers
        #expect(more - UInt64(shared.missed) == 50 && less == UInt64(apart.missed))
    }

    /// A command that waits for the control path has left the ring that it came by.
    @Test func waitingCommandsDoNotHoldTheRing() throws {
        var narrow = profile(rate: 3_000, queue: 1_024, isInBand: true)
        narrow.channel.toHost.ring = 64
        let instance = try makeInstance(spec, evenTraffic(4_000, flows: 300, gap: 1_000))
        // The table is on the host here, and what asks for flows on the NIC.
        let runtime = try TimedRuntime(instance, placement: spec.onHost("known"), profile: narrow, load: .captureTime)
        let outcome = try runtime.run()
        #expect(outcome.drops[Outcome.Drop.nicQueueFull.rawValue] == 0 && outcome.completed == 4_000)
        #expect(outcome.percentiles!.p99 < 1_000_000_000)
    }

    /// In a comparison the control path is a resource like any other.
    @Test func theControlPathIsAResource() throws {
        // One packet in ten begins a flow.
        let packets = (0..<1_000).map { TestPacket(time: 1_000_000_000 + Int64($0) * 10_000, flow: $0 / 10) }
        let recording = try Recording(makeInstance(spec, packets))
        let placement = GraphSpec.Placement(name: "split", sides: spec.onHost("opener"))
        var options = Comparison.Options()
        options.packets = 2_000
        let result = try Comparison(recording, [placement], profile(rate: 5_000), options).results[0]
        // 5,000 flows a second are 50,000 packets.
        #expect(result.bound <= 50_001 && result.sustainableRate > 40_000, "\(result.sustainableRate)")
        #expect(result.busiest == .controlPath)
    }
}
