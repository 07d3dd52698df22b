// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Histogram
import Testing

@testable import Model

/// Times against closed forms and against a second, slow simulation.
@Suite struct TimingTests {
    static let sink = graph(["w": "Wire", "d": "Discard"], ["w.rx -> d"])
    static let touch = graph(["w": "Wire", "t": "Toucher", "d": "Discard"], ["w.rx -> t", "t -> d"])

    static func recording(_ spec: GraphSpec, _ packets: [TestPacket]) throws -> Recording {
        try Recording(makeInstance(spec, packets))
    }

    static func capacity(
        _ spec: GraphSpec,
        _ packets: [TestPacket],
        _ sides: [Side],
        _ profile: DeviceProfile
    ) throws
        -> PlacementResult
    {
        var options = Comparison.Options()
        options.packets = 50_000
        return try Comparison(recording(spec, packets), [.init(name: "x", sides: sides)], profile, options).results[0]
    }

    static func histogram(_ values: [Int64]) -> Histogram<UInt64> {
        var histogram = Histogram<UInt64>(
            lowestDiscernibleValue: 1,
            highestTrackableValue: Outcome.longestLatency,
            numberOfSignificantValueDigits: .three
        )
        for value in values { histogram.record(UInt64(value)) }
        return histogram
    }

    /// Even arrivals at half of what one core serves never wait.
    @Test func evenArrivalsDoNotWait() throws {
        let profile = testProfile(nic: executor(cores: 1))
        let recording = try Self.recording(Self.sink, evenTraffic(100, flows: 3, gap: 100))
        let outcome = try recording.replay(
            placement: Self.sink.onHost(),
            profile: profile,
            load: .captureTime,
            packets: 5000
        )
        #expect(outcome.latency == Self.histogram(Array(repeating: 50_000, count: 5000)))
        #expect(outcome.nic.busy == [250_000_000])
    }

    /// cores x clock / cycles, and waits hidden behind the computing of other threads.
    @Test(arguments: [
        (1, 1, 0, 10_000_000), (4, 1, 0, 40_000_000), (1, 1, 300, 2_500_000), (1, 2, 300, 5_000_000),
        (1, 4, 300, 10_000_000), (1, 8, 300, 10_000_000), (3, 2, 300, 15_000_000),
    ]) func capacityOfCores(_ cores: Int, _ threads: Int, _ wait: Int, _ expected: Int) throws {
        for dispatch in ExecutorProfile.Dispatch.allCases where cores == 1 || dispatch == .shared {
            var nic = executor(cores: cores, threads: threads, dispatch: dispatch, perItem: 0)
            nic.costs[Dataplane.Operation.update.rawValue] = OperationCost(cycles: 100_000, wait: wait * 1000)
            let spec = graph(["w": "Wire", "c": "Counter", "d": "Discard"], ["w.rx -> c", "c -> d"])
            let result = try Self.capacity(spec, traffic(200, flows: 50), spec.onHost(), testProfile(nic: nic))
            #expect(abs(Double(result.sustainableRate) / Double(expected) - 1) < 0.001, "\(dispatch)")
            #expect(result.busiest == (wait > 0 && threads > 1 && threads < 4 ? .nicThreads : .nicCores))
        }
    }

    @Test func memoryLimitsAccesses() throws {
        var nic = executor(cores: 100, threads: 4, perItem: 0)
        nic.costs[Dataplane.Operation.update.rawValue] = OperationCost(cycles: 10_000, wait: 100_000, accesses: 10_000)
        nic.memoryRate = 200_000_000
        let spec = graph(["w": "Wire", "c": "Counter", "d": "Discard"], ["w.rx -> c", "c -> d"])
        let result = try Self.capacity(spec, traffic(200, flows: 50), spec.onHost(), testProfile(nic: nic))
        #expect(abs(Double(result.sustainableRate) / 20e6 - 1) < 0.001)
        #expect(result.busiest == .nicMemory && result.bottleneck == "NIC memory")
    }

    @Test func overloadIsDroppedByName() throws {
        let recording = try Self.recording(Self.sink, traffic(100, flows: 30))
        let profile = testProfile(nic: executor(cores: 2))
        // Two cores of 50 ns serve 40 M/s; at 45 M/s a ninth is lost.
        let outcome = try recording.replay(
            placement: Self.sink.onHost(),
            profile: profile,
            load: .rate(45_000_000),
            packets: 100_000
        )
        #expect(outcome.drops[Outcome.Drop.nicQueueFull.rawValue] == outcome.dropped)
        #expect(outcome.completed + outcome.dropped == 100_000)
        #expect(abs(Double(outcome.dropped) - 11_111) < 600)
        // The ports take 50 M/s.
        let fast = testProfile(nic: executor(cores: 64))
        let flooded = try recording.replay(
            placement: Self.sink.onHost(),
            profile: fast,
            load: .rate(100_000_000),
            packets: 100_000
        )
        #expect(flooded.drops[Outcome.Drop.macRate.rawValue] == flooded.dropped)
        #expect(abs(Double(flooded.dropped) - 50_000) < 200)
        // A slow host behind a full ring, which holds the NIC back, and behind a short queue.
        var slow = testProfile(
            nic: executor(cores: 2, queue: 64),
            host: executor(cores: 1, perItem: 10_000_000, queue: 100_000)
        )
        let host = try recording.replay(
            placement: Self.sink.onHost("d"),
            profile: slow,
            load: .rate(1_000_000),
            packets: 10_000
        )
        #expect(host.drops[Outcome.Drop.nicQueueFull.rawValue] == host.dropped && host.dropped > 1000)
        #expect(host.toHost.stalls > 0)
        // What came in and was not dropped at the NIC's queue came through: a full ring loses nothing.
        #expect(host.completed + host.dropped == host.offered)
        slow.host.queue = 64
        let queue = try recording.replay(
            placement: Self.sink.onHost("d"),
            profile: slow,
            load: .rate(1_000_000),
            packets: 10_000
        )
        #expect(queue.drops[Outcome.Drop.hostQueueFull.rawValue] == queue.dropped && queue.dropped > 1000)
        let back = graph(["w": "Wire", "t": "Toucher"], ["w.rx -> t", "t -> w.tx"])
        var narrow = testProfile()
        narrow.channel.toNIC.ring = 1
        narrow.channel.toNIC.latency = 10_000_000
        narrow.host.queue = 64
        let ring = try Self.recording(back, traffic(100, flows: 30))
            .replay(placement: back.onHost("t"), profile: narrow, load: .rate(1_000_000), packets: 1000)
        #expect(ring.drops[Outcome.Drop.hostQueueFull.rawValue] == ring.dropped && ring.dropped > 500)
        #expect(ring.toNIC.stalls > 0)
    }

    /// Lindley's recursion for one core, packet by packet.
    @Test func oneCoreIsALindleyQueue() throws {
        let packets = traffic(2000, flows: 5, gap: 200, sizes: [50, 64, 300, 1500])
        let nic = executor(cores: 1, queue: 100_000)
        let outcome = try Self.recording(Self.touch, packets)
            .replay(placement: Self.touch.onHost(), profile: testProfile(nic: nic), load: .captureTime, packets: 2000)
        var free: Int64 = 0
        var last: Int64 = 0
        let expected = packets.map { packet in
            // A picosecond on the wire for each byte; 50 cycles for the item and half a cycle for each byte, at 1 GHz.
            let arrival = max((packet.time - packets[0].time) * 1000, last) + Int64(max(packet.size, 60) + 24)
            last = arrival
            free = max(free, arrival) + 50_000 + Int64(packet.size) * 500
            return free - arrival
        }
        #expect(Set(expected).count > 500)
        #expect(outcome.latency == Self.histogram(expected))
    }

    /// NIC core, link and host core one behind the other, computed stage by stage.
    @Test func nicLinkAndHostInTandem() throws {
        let packets = traffic(3000, flows: 5, gap: 400, sizes: [64, 300, 1500])
        let profile = testProfile(
            nic: executor(cores: 1, queue: 100_000),
            host: executor(cores: 1, clock: 2_000_000_000, dispatch: .flowHash, queue: 100_000)
        )
        let outcome = try Self.recording(Self.touch, packets)
            .replay(placement: Self.touch.onHost("t", "d"), profile: profile, load: .captureTime, packets: 3000)
        #expect(outcome.dropped == 0)
        var (port, nic, link, issue, delivered, host): (Int64, Int64, Int64, Int64, Int64, Int64) = (0, 0, 0, 0, 0, 0)
        let bitsPerSecond = 57_884_765_626.0
        let expected = packets.map { packet in
            port = max((packet.time - packets[0].time) * 1000, port) + Int64(max(packet.size, 60) + 24)
            let arrival = port
            // 50 cycles for the packet: nothing is on the NIC, so its own firmware moves it.
            nic = max(nic, arrival) + 50_000
            // A read request for the descriptor, the data, a descriptor written back.
            let bytes = 24 + ((packet.size + 255) / 256 * 24 + packet.size) + 40
            let start = max(nic, issue)
            let onLink = Int64(Double(bytes) * 8 / bitsPerSecond * 1e12)
            link = max(link, start) + onLink
            // Two writes, of the data and of the descriptor, which the host waits for.
            issue = start + 20_000
            delivered = max(delivered, link, start + 10_000 + 300_000 + Int64(packet.size) * 250)
            host = max(host, delivered) + (50_000 + Int64(packet.size) * 500) / 2
            return host - arrival
        }
        // Times on the link are rounded differently, by some picoseconds; percentiles have three digits.
        for percent in stride(from: 1.0, through: 99.0, by: 7) {
            let (x, y) = (
                outcome.latency.valueAtPercentile(percent), Self.histogram(expected).valueAtPercentile(percent)
            )
            #expect(abs(Double(x) / Double(y) - 1) < 0.0015, "\(percent)")
        }
        #expect(outcome.toHost.bytes == Int64(packets.reduce(0) { $0 + $1.size }))
        #expect(outcome.toHost.transfers == 3000 && outcome.toHost.dmas == 6000)
        #expect(outcome.toNIC.transfers == 0 && outcome.toNIC.dmas == 3000)
    }

    /// Reads in flight over latency: 34 reads of 64 bytes at 5 us + 64 x 0.3 ns, and of descriptors: one for each packet received, and one
    /// of 640 bytes for 40 packets sent.
    @Test func readsInFlightLimitTheRate() throws {
        let spec = graph(["w": "Wire", "t": "Toucher"], ["w.rx -> t", "t -> w.tx"])
        let profile = testProfile(
            nic: executor(cores: 64, threads: 8, perItem: 0),
            host: executor(cores: 64, perItem: 0)
        )
        var slow = profile
        slow.channel.toNIC.latency = 5_000_000
        let result = try Self.capacity(spec, traffic(200, flows: 50, sizes: [64]), spec.onHost("t"), slow)
        #expect(abs(Double(result.sustainableRate) / (34 / (2.025 * 5e-6 + 96 * 0.3e-9)) - 1) < 0.002)
        #expect(result.busiest == .readsInFlight && result.firstDrop == nil)
    }

    /// With interrupts the first item of a quiet time waits for the time-out; many items share the cost.
    @Test func interruptsAreModerated() throws {
        var profile = testProfile(host: executor(cores: 1, clock: 1_000_000_000, queue: 100_000))
        profile.channel.driver = .kernel
        var interrupt = ChannelProfile.Interrupt()
        interrupt.after = 32
        interrupt.within = 20_000_000
        interrupt.cycles = 1_000_000
        profile.channel.interrupt = interrupt
        let recording = try Self.recording(Self.sink, evenTraffic(100, flows: 3))
        let quiet = try recording.replay(
            placement: Self.sink.onHost("d"),
            profile: profile,
            load: .rate(1_000),
            packets: 100
        )
        let polled = try recording.replay(
            placement: Self.sink.onHost("d"),
            profile: testProfile(),
            load: .rate(1_000),
            packets: 100
        )
        let added = Int64(quiet.latency.max) - Int64(polled.latency.max)
        // 20 us of waiting, 1 us for the interrupt, and a slower host.
        #expect(abs(added - 21_030_000) < 50_000)
        #expect(quiet.host.busy == [100 * 1_050_000])
        let busy = try recording.replay(
            placement: Self.sink.onHost("d"),
            profile: profile,
            load: .rate(5_000_000),
            packets: 3200
        )
        #expect(busy.host.busy == [3200 * 50_000 + 100 * 1_000_000])
    }

    @Test func pacesArePlacedInTime() {
        #expect(Pace.captureTime.arrival(3, elapsed: 7) == 7_000)
        #expect(Pace.factor(numerator: 2, denominator: 1).arrival(3, elapsed: 7) == 3_500)
        #expect(Pace.rate(3).arrival(2, elapsed: 0) == 666_666_666_666)
        #expect(Pace.captureTime.arrival(0, elapsed: .max) == latestTime)
        #expect(Pace.rate(1).arrival(.max, elapsed: 0) == latestTime)
        #expect(Pace.factor(numerator: 1, denominator: .max).arrival(0, elapsed: .max) == latestTime)
    }
}
