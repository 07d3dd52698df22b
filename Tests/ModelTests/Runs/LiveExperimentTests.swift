// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

@testable import Model

/// Comparisons of placements in which packets go round by the channel: their elements are run under every load.
@Suite struct LiveExperimentTests {
    private let spec = graph(
        ["w": "Wire", "known": "FlowTable", "slow": "Toucher"],
        ["w.rx -> known.in", "known.miss -> slow", "slow -> known.insert", "known.hit -> w.tx"]
    )
    private let profile = testProfile(nic: executor(cores: 64, threads: 4, clock: 800_000_000))

    private func recording(_ packets: [TestPacket]) throws -> Recording { try Recording(makeInstance(spec, packets)) }

    private func compare(_ packets: [TestPacket], _ load: OfferedLoad) throws -> [PlacementResult] {
        var options = Comparison.Options()
        options.packets = 4_000
        options.load = load
        let placements = [
            GraphSpec.Placement(name: "nic", sides: spec.onHost()),
            GraphSpec.Placement(name: "split", sides: spec.onHost("slow")),
        ]
        return try Comparison(recording(packets), placements, profile, options).results
    }

    /// As many packets as come in a round trip go round for each flow, whether one user sends fast or many send slowly.
    @Test func theSlowPathIsSeenUnderEveryLoad() throws {
        // Flows of 100 packets: 50 ns apart in one, 10 us apart in the other.
        func flows(_ gap: Int64) -> [TestPacket] {
            evenTraffic(100, flows: 1, gap: gap, size: 64)
        }
        let fast = try compare(flows(50), .captureTime)[1]
        let slowPath = try #require(fast.slowPath)
        // 27 of 100, as the arithmetic of SlowPathTests says; each copy has flows of its own.
        #expect(abs(slowPath.shareAtLoad - 0.27) < 0.02, "\(slowPath)")
        let many = try compare(flows(10_000), .rate(20_000_000))[1]
        #expect(many.load.copies > 100)
        #expect(abs(try #require(many.slowPath).shareAtLoad - 0.01) < 0.002, "\(String(describing: many.slowPath))")
        #expect(many.slowPath?.metMidway == 0)
    }

    /// Of a flow with a pause longer than the table remembers both packets miss, however many copies that takes.
    @Test func billionsOfCopiesAreNotMixedUp() throws {
        let packets = [
            TestPacket(time: 1_000_000_000, flow: 1), TestPacket(time: 401_000_000_000, flow: 1),
        ]
        for rate in [1_000_000, 20_000_000] {
            let result = try compare(packets, .rate(rate))[1]
            #expect(result.load.copies > 100_000_000)
            #expect(abs(try #require(result.slowPath).shareAtLoad - 1) < 0.01, "\(rate)")
        }
    }

    /// On one side nothing goes round by the channel, and a recording is replayed.
    @Test func onlySlowPathsAreRun() throws {
        let results = try compare(traffic(400, flows: 20, gap: 2_000), .captureTime)
        #expect(results[0].slowPath == nil && results[1].slowPath != nil)
    }

    /// What goes round costs: a split placement sustains less the faster its users are, and its figures are those of its runs.
    @Test func figuresAreThoseOfTheRun() throws {
        let results = try compare(evenTraffic(200, flows: 2, gap: 100), .captureTime)
        let split = results[1]
        let share = try #require(split.slowPath).share
        #expect(share > 0.02 && share < 0.5)
        // Each crosses once each way; descriptors and markers come on top.
        #expect(split.toHost.transfers > share && split.toHost.bytes >= share * 64)
        #expect(split.utilisation.allSatisfy { $0.share <= 1 } && !split.utilisation.isEmpty)
        #expect(Double(split.sustainableRate) <= split.bound)
        let line = Double(split.sustainableRate) * 88 * 8
        #expect(abs(split.wireRate - line) < 1e-6 * line)
    }

    /// Under a steady load as many flows end as begin: taking them out of the table costs a live run what it costs a replay.
    @Test func endsOfFlowsAreCharged() throws {
        // 400 packets of 20 flows: one removal for 20 packets.
        let packets = evenTraffic(400, flows: 20, gap: 2_000)
        func results(_ remove: Int) throws -> [PlacementResult] {
            var dear = profile
            dear.nic.costs[Int(Dataplane.Operation.remove.rawValue)].cycles = remove * 1_000
            var options = Comparison.Options()
            options.packets = 3_200
            options.load = .rate(2_000_000)
            let placements = [
                GraphSpec.Placement(name: "nic", sides: spec.onHost()),
                GraphSpec.Placement(name: "split", sides: spec.onHost("slow")),
            ]
            return try Comparison(recording(packets), placements, dear, options).results
        }
        let (free, dear) = (try results(0), try results(20_000))
        for (a, b) in zip(free, dear) {
            // The rate is another, and with it a little the share that goes round.
            let more = b.nicCyclesPerPacket - a.nicCyclesPerPacket
            #expect(abs(more - 20_000.0 / 20) < 20, "\(a.name): \(more)")
            #expect(b.utilisation[0].resource == .nicCores && b.utilisation[0].share > 0.99, "\(b.name)")
            #expect(b.sustainableRate < a.sustainableRate * 9 / 10)
        }
        #expect(dear[1].slowPath != nil && dear[0].slowPath == nil)
    }

    /// A load at or below the sustainable rate loses nothing, though waiting packets add to the slow path and so to the backlog.
    @Test func whatIsSustainedLosesNothing() throws {
        var narrow = profile
        narrow.nic = executor(cores: 8, threads: 4, clock: 800_000_000)
        narrow.nic.reorder.places = 64
        let scorer = Scorer(try recording(traffic(400, flows: 40, gap: 3_000)), narrow, packets: 4_000)
        let candidate = try scorer.candidate(spec.onHost("slow"))
        let capacity = try scorer.capacity(candidate)
        #expect(Double(capacity.rate) < candidate.bound)
        for share in [100, 99, 98, 96, 92, 50] {
            let result = try scorer.result("split", candidate, capacity, .rate(capacity.rate * share / 100))
            #expect(result.drops.isEmpty, "\(share) %")
        }
    }

    /// What a port carries does not depend on the way that packets take: what fills it first sustains its rate exactly.
    @Test func portsAreFilledExactly() throws {
        var slow = profile
        slow.mac.lineRate = 1_000_000_000
        let placement = GraphSpec.Placement(name: "split", sides: spec.onHost("slow"))
        var options = Comparison.Options()
        options.packets = 4_000
        let recording = try recording(traffic(350, flows: 20, gap: 30_000))
        let result = try Comparison(recording, [placement], slow, options).results[0]
        #expect(result.slowPath != nil && result.bottleneck == "port rx")
        #expect(result.utilisation[0].share > 0.999 && Double(result.sustainableRate) > 0.999 * result.bound)
        // Bits on the wire are those of the port.
        #expect(abs(result.wireRate / 1e9 - 1) < 0.001)
    }

    /// If only some placements are run with elements that share state between flows, which one is best cannot be told.
    @Test func sharedStateForbidsAVerdict() throws {
        let shared = graph(
            ["w": "Wire", "known": "FlowTable", "slow": "Toucher", "tick": "Ticker"],
            [
                "w.rx -> known.in", "known.miss -> slow", "slow -> known.insert", "known.hit -> tick",
                "tick -> w.tx",
            ]
        )
        let recording = try Recording(makeInstance(shared, evenTraffic(200, flows: 10, gap: 2_000)))
        func comparison(_ host: [String]...) throws -> Comparison {
            var options = Comparison.Options()
            options.packets = 2_000
            options.load = .captureTime
            let placements = host.map { names in
                let sides = shared.nodes.map { names.contains($0.name) ? Side.host : .nic }
                return GraphSpec.Placement(name: "host \(names.joined(separator: "+"))", sides: sides)
            }
            return try Comparison(recording, placements, profile, options)
        }
        let mixed = try comparison([], ["slow"])
        #expect(!mixed.isComparable && !mixed.isTie)
        #expect(mixed.verdict.hasPrefix("cannot be told, as 'host slow' was run with the elements"))
        #expect(try comparison([], ["tick"]).isComparable && comparison(["slow"], ["slow", "tick"]).isComparable)
    }

    /// The same seeds and inputs give the same results.
    @Test func runsAreReproducible() throws {
        let packets = traffic(300, flows: 17, gap: 300)
        let (a, b) = (try compare(packets, .rate(8_000_000)), try compare(packets, .rate(8_000_000)))
        #expect(a.map(\.sustainableRate) == b.map(\.sustainableRate) && a.map(\.latency) == b.map(\.latency))
        #expect(a.map(\.slowPath) == b.map(\.slowPath))
    }

    /// A copy's packets are of flows of its own, in both directions alike, with checksums that are right where they were.
    @Test func copiesHaveFlowsOfTheirOwn() throws {
        let traffic = CapturedTraffic()
        let pool = try Pool(capacity: 8)
        var frame = [UInt8](repeating: 0, count: 74)
        frame.replaceSubrange(
            12..<34,
            with: [8, 0, 0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0, 10, 1, 2, 3, 192, 168, 0, 9]
        )
        frame.replaceSubrange(34..<38, with: [0xb0, 0x39, 0, 80])
        frame[46] = 0x50
        func sum(_ bytes: ArraySlice<UInt8>, _ start: Int = 0) -> Int {
            var s = start
            for k in stride(from: bytes.startIndex, to: bytes.endIndex, by: 2) {
                s += Int(bytes[k]) << 8 | Int(bytes[k + 1])
            }
            while s > 0xffff { s = (s & 0xffff) + (s >> 16) }
            return s
        }
        func isRight(_ f: [UInt8]) -> Bool {
            sum(f[14..<34]) == 0xffff && sum(f[34..<74], sum(f[26..<34]) + 6 + 40) == 0xffff
        }
        let ip = ~sum(frame[14..<34]) & 0xffff
        frame.replaceSubrange(24..<26, with: [UInt8(ip >> 8), UInt8(ip & 255)])
        let tcp = ~sum(frame[34..<74], sum(frame[26..<34]) + 6 + 40) & 0xffff
        frame.replaceSubrange(50..<52, with: [UInt8(tcp >> 8), UInt8(tcp & 255)])
        #expect(isRight(frame))
        var reply = frame
        reply.replaceSubrange(26..<34, with: frame[30..<34] + frame[26..<30])
        reply.replaceSubrange(34..<38, with: frame[36..<38] + frame[34..<36])
        var index: Int32 = 0
        for bytes in [frame, reply] {
            #expect(pool.take(1, into: &index) == 1)
            bytes.withUnsafeBytes { raw in
                pool.items[Int(index)] = Item(
                    data: UnsafeMutableRawPointer(mutating: raw.baseAddress!),
                    length: 74,
                    wireLength: 74,
                    time: 0,
                    sequence: 0,
                    linkType: 1,
                    interface: 0
                )
                traffic.append(Packet(pool.items + Int(index)), now: pool.now(index), wire: 0, key: 1)
            }
        }
        traffic.finish()
        var seen: Set<[UInt8]> = []
        for copy in [0, 1, 2, 77, -1, -5_000, 1_000_000] as [Int64] {
            var both: [[UInt8]] = []
            for (number, bytes) in [frame, reply].enumerated() {
                var bytes = bytes
                bytes.withUnsafeMutableBytes {
                    CapturedTraffic.readdress($0.baseAddress!, traffic.frames[number], copy: copy, bits: 22)
                }
                #expect(isRight(bytes), "\(copy)")
                both.append(bytes)
            }
            // The client is another, of the same net and with another port; the server is the same.
            #expect(both[0][34..<36] == both[1][36..<38] && Array(both[0][36..<38]) == [0, 80])
            #expect(Array(both[0][26..<30]) == Array(both[1][30..<34]) && both[0][26] == 10)
            #expect(both[0][30..<34] == [192, 168, 0, 9] && both[1][26..<30] == [192, 168, 0, 9])
            #expect(Array(both[0][26..<29]) == [10, 1, 2])
            #expect(seen.insert(Array(both[0][26..<36])).inserted, "\(copy)")
        }
    }
}
