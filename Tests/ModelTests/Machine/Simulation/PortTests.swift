// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Foundation
import TestSupport
import Testing

@testable import Model

/// What no number may exceed: wires, bus and cores; and loads made of copies.
@Suite struct PortTests {
    private struct Golden: Decodable {
        struct Table: Decodable {
            var rows: [[Double]]
        }
        var ethernet_40g: Table
    }

    private static func mac(_ rate: Int) -> MACProfile {
        var mac = MACProfile()
        mac.lineRate = rate
        return mac
    }

    /// 40GbE of IEEE 802.3: 84 bytes for the shortest frame.
    @Test(arguments: [(60, 59_523_809), (64, 56_818_181), (1514, 3_250_975)]) func framesPerSecond(
        _ captured: Int,
        _ expected: Int
    ) {
        let time = Self.mac(40_000_000_000).wireTime(captured)
        #expect(Int(1e12 / Double(time)) == expected)
    }

    /// Every row of the published table, to 6 digits: what is captured is the frame without its check sequence.
    @Test(.enabled(if: Shared.isThere)) func goldenValues() throws {
        let data = try Shared.data("reference/pcie-model-golden.json")
        let table = try JSONDecoder().decode(Golden.self, from: data).ethernet_40g
        #expect(table.rows.count > 300)
        for row in table.rows {
            let time = Self.mac(40_000_000_000).wireTime(Int(row[0]) - 4)
            #expect(abs(1e12 / Double(time) / row[2] - 1) < 1e-6, "\(row[0])")
        }
    }

    static let sink = graph(["w": "Wire", "d": "Discard"], ["w.rx -> d"])

    /// A port brings no more than its rate, however much is asked for.
    @Test func aPortLimitsWhatComes() throws {
        var profile = testProfile(nic: executor(cores: 64, perItem: 1000))
        profile.mac.lineRate = 10_000_000_000
        for size in [60, 289, 576, 1514] {
            let packets = traffic(300, flows: 20, sizes: [size])
            let result = try TimingTests.capacity(Self.sink, packets, Self.sink.onHost(), profile)
            #expect(result.busiest == .portRx && result.bottleneck == "port rx")
            let wire = Double(result.sustainableRate) * Double(max(size, 60) + 24) * 8
            #expect(wire <= 10e9 && wire > 9.99e9, "\(size)")
            #expect(abs(result.wireRate - wire) < 1)
            let recording = try Recording(makeInstance(Self.sink, packets))
            let outcome = try recording.replay(
                placement: Self.sink.onHost(),
                profile: profile,
                load: .rate(1_000_000_000),
                packets: 3000
            )
            #expect(outcome.dropped == 0 && outcome.rxBusy <= outcome.end - outcome.start)
        }
    }

    /// What a port cannot send waits, and is dropped by name when too much does; the limit is that of the port.
    @Test func aPortLimitsWhatIsSent() throws {
        // Copies double what is sent.
        let spec = graph(["w": "Wire", "d": "Doubler"], ["w.rx -> d", "d.out -> w.tx", "d.copy -> w.tx"])
        var profile = testProfile(nic: executor(cores: 64, perItem: 1000))
        profile.mac.lineRate = 10_000_000_000
        profile.mac.txQueue = 16
        let packets = evenTraffic(300, flows: 20, size: 976)
        let result = try TimingTests.capacity(spec, packets, spec.onHost(), profile)
        #expect(result.busiest == .portTx)
        #expect(abs(result.wireRate / 5e9 - 1) < 0.002)
        let recording = try Recording(makeInstance(spec, packets))
        let outcome = try recording.replay(
            placement: spec.onHost(),
            profile: profile,
            load: .wireRate(8_000_000_000),
            packets: 6000
        )
        #expect(outcome.drops[Outcome.Drop.portTxFull.rawValue] == outcome.dropped)
        // Of sixteen gigabits that are to be sent ten are.
        #expect(abs(Double(outcome.dropped) / (2 * Double(outcome.offered)) - 0.375) < 0.01)
        #expect(outcome.txBusy <= outcome.end - outcome.start)
        // The time to the last bit is part of the latency.
        let slow = try recording.replay(placement: spec.onHost(), profile: profile, load: .captureTime, packets: 300)
        #expect(slow.latency.min >= 2 * 800_000)
    }

    /// Ports are limited each for itself.
    @Test func portsAreLimitedApart() throws {
        let spec = graph(["v": "Wire", "w": "Wire", "c": "Counter"], ["v.rx -> c", "c -> w.tx"])
        var profile = testProfile(nic: executor(cores: 64, perItem: 1000))
        profile.mac.lineRate = 10_000_000_000
        let result = try TimingTests.capacity(spec, traffic(300, flows: 20, sizes: [500]), spec.onHost(), profile)
        #expect(result.utilisation.filter { $0.share > 0.999 }.map(\.resource) == [.portRx, .portTx])
        #expect(abs(result.wireRate / 10e9 - 1) < 0.001)
    }

    /// The rate is that of traffic that goes on for ever: it does not depend on how long is looked.
    @Test(arguments: AgreementTests.cases) func ratesAreSteady(_ test: AgreementTests.Case) throws {
        let recording = try Recording(makeInstance(test.spec, traffic(300, flows: 9, gap: 2000)))
        for sides in test.spec.allPlacements.enumerated().filter({ $0.offset % 3 == 0 }).map(\.element) {
            for small in [false, true] {
                var profile = testProfile()
                if small {
                    profile.nic.queue = 128
                    profile.host.queue = 128
                    profile.channel.toHost.ring = 64
                }
                var options = Comparison.Options()
                options.packets = 4_800
                let short = try Comparison(recording, [.init(name: "x", sides: sides)], profile, options).results[0]
                options.packets = 19_200
                let long = try Comparison(recording, [.init(name: "x", sides: sides)], profile, options).results[0]
                let ratio = Double(long.sustainableRate) / Double(short.sustainableRate)
                #expect(abs(ratio - 1) < 0.005, "\(test) \(sides) \(small): \(ratio)")
                // Something is full, or a queue is named.
                #expect(short.firstDrop != nil || short.utilisation[0].share > 0.997, "\(test) \(sides)")
                for share in short.utilisation.map(\.share) { #expect(share <= 1) }
                let packets = Double(short.sustainableRate)
                #expect(packets * short.hostCyclesPerPacket <= Double(profile.host.cores * profile.host.clock) * 1.0001)
                #expect(packets * short.nicCyclesPerPacket <= Double(profile.nic.cores * profile.nic.clock) * 1.0001)
            }
        }
    }

    /// What an issue-limited transfer leaves of the link is there for the next: small and large transfers in turn fill it.
    @Test func idleLinkTimeIsNotLost() throws {
        let spec = graph(["w": "Wire", "t": "Toucher", "d": "Discard"], ["w.rx -> t", "t -> d"])
        var profile = testProfile(nic: executor(cores: 64, perItem: 1000), host: executor(cores: 512, perItem: 1000))
        profile.channel.toHost.issueInterval = 60_000
        var packets = evenTraffic(400, flows: 40)
        for k in packets.indices where k % 2 == 1 { packets[k].size = 1500 }
        let result = try TimingTests.capacity(spec, packets, spec.onHost("t", "d"), profile)
        // Two writes of 60 ns for each packet: 8.33 M/s. On the link they take 24 + 84 + 40 and 24 + 1644 + 40 bytes, 131 ns on average.
        #expect(result.firstDrop == nil)
        #expect(result.utilisation[0].share > 0.999)
        let link = 57_884_765_626.0 / 8 / ((24 + 88 + 40 + 24 + 1644 + 40) / 2.0)
        #expect(abs(Double(result.sustainableRate) / min(link, 1e12 / 120_000) - 1) < 0.003)
    }

    // MARK: Copies

    /// As many copies as are needed, slowed so that they make the load exactly; in each window every packet comes once.
    @Test func loadsAreCopies() throws {
        let recording = try Recording(makeInstance(Self.sink, evenTraffic(100, flows: 7, gap: 1000)))
        let traffic = Traffic(recording, testProfile().mac)
        #expect(abs(traffic.ownRate - 1e6) < 1)
        for (load, copies, rate) in [
            (OfferedLoad.captureTime, Int64(1), 1e6), (.factor(numerator: 2, denominator: 1), 2, 2e6),
            (.factor(numerator: 3, denominator: 2), 2, 1.5e6), (.rate(500_000), 1, 5e5), (.rate(7_300_000), 8, 7.3e6),
            (.wireRate(704_000_000), 1, 1e6),
        ] {
            let schedule = traffic.schedule(load)
            #expect(schedule.copies == copies && !schedule.isLimitedByPorts, "\(load)")
            #expect(abs(schedule.rate(100) / rate - 1) < 1e-9, "\(load)")
            let outcome = try recording.replay(
                placement: Self.sink.onHost(),
                profile: testProfile(),
                load: load,
                packets: 10_000
            )
            #expect(outcome.offered == 10_000)
            let measured = Double(outcome.offered) / (Double(outcome.end - outcome.start) / 1e12)
            #expect(abs(measured / rate - 1) < 0.02, "\(load): \(measured)")
        }
        // More than the ports carry is not offered.
        var slow = testProfile().mac
        slow.lineRate = 1_000_000_000
        let most = Traffic(recording, slow).schedule(.rate(1_000_000_000))
        #expect(most.isLimitedByPorts && abs(most.rate(100) * 88 * 8 / 1e9 - 1) < 0.001)
    }

    /// Packets with one stamp follow each other at the rate of their port; so a capture without times is one at line rate.
    @Test func equalStampsAreSpaced() throws {
        let packets = (0..<50).map { TestPacket(time: 5, flow: $0, size: 1226) }
        var mac = testProfile().mac
        mac.lineRate = 10_000_000_000
        let traffic = Traffic(try Recording(makeInstance(Self.sink, packets)), mac)
        #expect(traffic.times == (0..<50).map { Int64($0) * 1_000_000 })
        #expect(abs(traffic.ownRate - 1e6) < 1)
        let back = [9, 3, 3, 20].map { TestPacket(time: $0, flow: 1, size: 1226) }
        let ordered = Traffic(try Recording(makeInstance(Self.sink, back)), mac).times
        #expect(zip(ordered, ordered.dropFirst()).allSatisfy { $1 - $0 >= 1_000_000 })
    }

    /// A burst of one flow among others is no faster under a higher load: its packets do not pile up at one core.
    @Test func burstsOfAFlowStayWhatTheyAre() throws {
        let spec = graph(["w": "Wire", "n": "Numberer", "d": "Discard"], ["w.rx -> n", "n -> d"])
        // 200 packets of one flow, 2 us apart, among others that come one in 100 us.
        var packets: [TestPacket] = []
        for k in 0..<2000 {
            let isBurst = (900..<1100).contains(k)
            packets.append(
                TestPacket(
                    time: (packets.last?.time ?? 0) + (isBurst ? 2_000 : 100_000),
                    flow: isBurst ? 1 : 2 + k % 50
                )
            )
        }
        var interleaved = packets
        let flows = packets.indices.map { packets[$0 * 7 % 2000].flow }
        for k in interleaved.indices { interleaved[k].flow = flows[k] }
        var profile = testProfile(host: executor(cores: 8, clock: 1_000_000_000, dispatch: .flowHash, queue: 4096))
        profile.mac.lineRate = 40_000_000_000
        func p99(_ packets: [TestPacket]) throws -> Double {
            var options = Comparison.Options()
            options.packets = 40_000
            let recording = try Recording(makeInstance(spec, packets))
            let result = try Comparison(recording, [.init(name: "x", sides: spec.onHost("n", "d"))], profile, options)
                .results[0]
            return Double(try #require(result.latency).p99)
        }
        let (bursty, even) = (try p99(packets), try p99(interleaved))
        #expect(bursty < 1.5 * even && even < 1.5 * bursty, "\(bursty) and \(even)")
    }

    /// Flows of copies are flows of their own, spread over all cores.
    @Test func copiesLoadAllCores() throws {
        let recording = try Recording(makeInstance(Self.sink, evenTraffic(100, flows: 1, gap: 10_000)))
        let profile = testProfile(host: executor(cores: 8, clock: 1_000_000_000, dispatch: .flowHash))
        let outcome = try recording.replay(
            placement: Self.sink.onHost("d"),
            profile: profile,
            load: .rate(20_000_000),
            packets: 12_800
        )
        let (least, most) = (outcome.host.busy.min()!, outcome.host.busy.max()!)
        #expect(least > 0 && Double(most) < 1.01 * Double(least))
        // One copy of one flow has one core.
        let one = try recording.replay(
            placement: Self.sink.onHost("d"),
            profile: profile,
            load: .captureTime,
            packets: 100
        )
        #expect(one.host.busy.count { $0 > 0 } == 1)
    }

    /// An entry more or less of the table by which a hash chooses makes one core busier than the others.
    @Test func tenCoresShareUnevenly() throws {
        var host = executor(cores: 10, clock: 1_000_000_000, dispatch: .flowHash)
        #expect(host.busiestShare == 13.0 / 128)
        host.cores = 300
        #expect(host.indirections == 512 && host.busiestShare == 2.0 / 512)
        host.dispatch = .shared
        #expect(host.busiestShare == 1.0 / 300)
    }

    // MARK: Verdicts

    /// The bound is what the search finds, within 2 %, or a queue is named; wins add up; the seed decides.
    @Test func verdictsSayWhatTheyHangOn() throws {
        let spec = AgreementTests.cases[0].spec
        var profile = testProfile()
        profile.figures = [
            .init(path: "nic.per_item", value: "50", source: "assumption"),
            .init(path: "host.per_item", value: "50", source: "assumption"),
            .init(path: "host.cycles.payload_bytes", value: "0.5", source: "assumption"),
            .init(path: "nic.dispatch", value: "shared", source: "assumption", isNumber: false),
            .init(path: "nic.send", value: "10", source: "measured"),
        ]
        func compare(_ seed: UInt64) throws -> Comparison {
            var options = Comparison.Options()
            options.packets = 4_000
            options.seed = seed
            let recording = try Recording(makeInstance(spec, traffic(300, flows: 20, sizes: [64])))
            return try Comparison(
                recording,
                spec.allPlacements.enumerated().map { .init(name: "p\($0)", sides: $1) },
                profile,
                options
            )
        }
        let comparison = try compare(1)
        for result in comparison.results {
            #expect(result.firstDrop != nil || Double(result.sustainableRate) > 0.98 * result.bound)
        }
        let s = comparison.sensitivity
        #expect(s.draws >= 30 && s.wins.reduce(0) { $0 + $1.count } == s.draws)
        #expect(s.drawn == ["nic.per_item", "host.per_item", "host.cycles.payload_bytes"])
        #expect(s.notDrawn == ["nic.dispatch"])
        #expect(s.turnedBy.allSatisfy { [0.5, 2].contains($0.factor) && s.drawn.contains($0.number) })
        let again = try compare(1).sensitivity
        #expect(again.wins.map(\.count) == s.wins.map(\.count) && again.turnedBy == s.turnedBy)
        #expect(try compare(2).sensitivity.wins.map(\.count) != s.wins.map(\.count))
        // The first of the ranking is not dominated.
        let best = comparison.results[comparison.ranking[0]]
        for other in comparison.results
        where Merits.isEqual(Double(other.sustainableRate), Double(best.sustainableRate)) {
            #expect(other.hostCyclesPerPacket >= best.hostCyclesPerPacket - 1e-6)
        }
    }

    /// A memory that is half as large may turn a verdict too: what does not fit is no placement.
    @Test func whatDoesNotFitCannotWin() throws {
        let spec = graph(
            ["w": "Wire", "t": "SmallTable", "f": "FlowWatcher"],
            ["w.rx -> t", "t.hit -> f", "f -> w.tx"]
        )
        var profile = testProfile()
        profile.plain.parking = nil
        profile.nic.memory = 100
        profile.figures = [.init(path: "nic.memory", value: "100 B", source: "assumption")]
        let comparison = try ComparisonTests.compare(
            spec,
            ["host-only": spec.onHost("t", "f"), "all-nic": spec.onHost()],
            profile
        )
        #expect(comparison.results[comparison.ranking[0]].name == "all-nic")
        #expect(
            comparison.sensitivity.turnedBy == [.init(number: "nic.memory", factor: 0.5, best: "host-only")]
        )
        #expect(!Merits.isEqual(.infinity, 5) && Merits.isEqual(.infinity, .infinity))
    }

    /// A packet that an element holds for a while takes as long as one that goes through, the time for which it is held on purpose aside.
    @Test func heldPacketsGoAllTheWay() throws {
        let straight = graph(["w": "Wire", "n": "Numberer"], ["w.rx -> n", "n -> w.tx"])
        let holding = graph(["w": "Wire", "h": "Pairs"], ["w.rx -> h", "h -> w.tx"])
        func latency(_ spec: GraphSpec, _ sides: [Side]) throws -> (p50: Int64, outcome: Outcome) {
            let recording = try Recording(makeInstance(spec, evenTraffic(200, flows: 4, gap: 20_000, size: 500)))
            let outcome = try recording.replay(
                placement: sides,
                profile: testProfile(),
                load: .captureTime,
                packets: 400
            )
            return (try #require(outcome.percentiles).p50, outcome)
        }
        for (a, b) in [(straight.onHost(), holding.onHost()), (straight.onHost("n"), holding.onHost("h"))] {
            let (through, held) = (try latency(straight, a), try latency(holding, b))
            // One operation of 100 cycles less, and one service more for those that were held.
            #expect(
                held.p50 >= through.p50 - 130_000 && held.p50 <= through.p50 + 600_000,
                "\(through.p50) \(held.p50)"
            )
            #expect(held.outcome.completed == 400 && held.outcome.latency.totalCount >= 398)
        }
        // What is lost after it was held is lost once.
        var profile = testProfile()
        profile.mac.lineRate = 1_000_000_000
        profile.mac.txQueue = 1
        let recording = try Recording(makeInstance(holding, evenTraffic(200, flows: 4, gap: 4_200, size: 500)))
        let outcome = try recording.replay(
            placement: holding.onHost(),
            profile: profile,
            load: .captureTime,
            packets: 400
        )
        #expect(outcome.completed + outcome.dropped == outcome.offered)
    }
}
