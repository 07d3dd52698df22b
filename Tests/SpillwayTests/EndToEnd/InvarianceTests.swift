// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import TestSupport
import Testing

/// What leaves a graph depends neither on how batches are cut nor on which side elements run on.
@Suite struct InvarianceTests {
    @Test(arguments: shippedGraphs, ["web.pcap", "vlan.pcapng", "cooked.pcap"])
    func shippedGraphsDoTheSame(_ name: String, _ capture: String) throws {
        let spec = try shippedGraph(name)
        try expectInvariance(spec, capture: shippedCapture(capture), packets: 1_200, placements: spec.placements)
    }

    @Test(arguments: 0..<30)
    func randomGraphsDoTheSame(_ seed: Int) throws {
        var random = Random(UInt64(seed))
        let spec = try graph(yaml: RandomGraph.text(&random))
        let placements = (0..<3).map { number in
            GraphSpec.Placement(
                name: "random-\(number)",
                sides: spec.nodes.map { $0.isWire || random.below(2) == 0 ? .nic : .host }
            )
        }
        try expectInvariance(spec, capture: shippedCapture("web.pcap"), packets: 400, placements: placements)
    }

    /// Every byte, in order, at every batch size; in a recording, which takes one packet after the other; and in the timed runtime,
    /// where packets are so far apart that none overtakes another.
    ///
    /// `SPILLWAY_RANDOM_GRAPHS=FIRST-LAST` tries others than the first few.
    @Test(arguments: RandomLoops.seeds)
    func randomLoopsAndTimersDoTheSame(_ seed: Int) throws {
        let spec = try RandomLoops.graph(seed: seed)
        if RandomLoops.seeds.count == 1 { print(spec.about) }
        let capture = shippedCapture(["web.pcap", "vlan.pcapng", "cooked.pcap"][seed % 3])
        let packets = 300
        // One in three has ties between wires; in the timed runtime these are at one time, so none is first.
        let apart: Int64 = seed % 3 == 0 ? 0 : 77
        let reference = try runDirect(spec, capture: capture, packets: packets, apart: apart, batch: 64)
        #expect(reference.imbalances == [])
        let expected = Exact(reference)
        for batch in batchSizes where batch != 64 {
            let differences = Exact(try runDirect(spec, capture: capture, packets: packets, apart: apart, batch: batch))
                .differences(expected)
            #expect(differences == [], "graph \(seed), batches of \(batch)\n\(spec.about)")
        }
        let recorded = try Bound(spec, capture: capture, packets: packets, apart: apart)
        _ = try Recording(recorded.instance)
        let differences = Exact(recorded).differences(expected)
        #expect(differences == [], "graph \(seed), recorded\n\(spec.about)")
        if apart == 0, spec.nodes.count(where: \.isWire) > 1 { return }
        let sides = [Side](repeating: .nic, count: spec.nodes.count)
        let timed = try runTimed(
            spec,
            capture: capture,
            packets: packets,
            apart: apart,
            sides: sides,
            load: .factor(numerator: 1, denominator: 100_000)
        )
        let timedDifferences = Exact(timed).differences(expected)
        #expect(timedDifferences == [], "graph \(seed), timed\n\(spec.about)")
    }

    /// The random graphs have what they are for.
    @Test func randomLoopsHaveWhatTheyAreFor() throws {
        var (cycles, rounds, timers, ends) = (0, 0, 0, 0)
        for seed in 0..<40 {
            let spec = try RandomLoops.graph(seed: seed)
            let bound = try runDirect(spec, capture: shippedCapture("web.pcap"), packets: 300, batch: 64)
            let counts = spec.nodes.indices.map { bound.instance.counts($0) }
            cycles += GraphShape(spec).cycles
            rounds += spec.nodes.indices.count { node in
                spec.edges.contains { $0.to == node && $0.input == 1 } && counts[node].type == "FlowTable"
            }
            timers += counts.count { $0.operations.contains { $0.operation == .timer } }
            ends += counts.count { $0.operations.contains { $0.operation == .remove } }
        }
        #expect(cycles >= 20 && rounds >= 8 && timers >= 20 && ends >= 10, "\(cycles) \(rounds) \(timers) \(ends)")
    }

    /// The comparison itself can fail: a lost packet, a changed order, another record.
    @Test func differencesAreSeen() throws {
        let spec = try shippedGraph("classify")
        let capture = shippedCapture("web.pcap")
        let strict = strictElements(spec)
        let all = Effects(try runDirect(spec, capture: capture, packets: 400, batch: 64), strict: strict)
        let fewer = Effects(try runDirect(spec, capture: capture, packets: 399, batch: 64), strict: strict)
        #expect(all.differences(all) == [])
        #expect(all.differences(fewer) != [])
        let other = try graph(
            yaml: """
                graph: other
                elements: {wire: {type: Wire}, sink: {type: RecordSink, file: "-"}}
                chains: ["wire.rx -> FlowTable -> MetadataExtractor -> sink"]
                """
        )
        let records = Effects(try runDirect(other, capture: capture, packets: 400, batch: 64), strict: [])
        let fewerRecords = Effects(try runDirect(other, capture: capture, packets: 300, batch: 64), strict: [])
        #expect(records.differences(fewerRecords) != [])
    }
}

/// SplitMix64: the same numbers for a seed on every machine.
struct Random {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1 }

    mutating func below(_ limit: Int) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = (state ^ state &>> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z &>> 27) &* 0x94d0_49bb_1331_11eb
        return Int((z ^ z &>> 31) % UInt64(limit))
    }

    mutating func one<T>(of values: [T]) -> T { values[below(values.count)] }
}

/// Graphs put together at random from the elements whose effects depend on nothing but items and flows.
enum RandomGraph {
    /// An output that leads nowhere yet.
    private struct Loose {
        var name: String
        var carriesRecords = false
        var hasFlows = false
    }

    static func text(_ random: inout Random) -> String {
        var elements = ["wire: {type: Wire}"]
        var chains: [String] = []
        var loose = [Loose(name: "wire.rx")]
        var checks: [String] = []
        func add(_ type: String, _ parameters: String = "") -> String {
            let name = "e\(elements.count)"
            elements.append("\(name): {type: \(type)\(parameters.isEmpty ? "" : ", \(parameters)")}")
            return name
        }
        for _ in 0..<(4 + random.below(9)) where !loose.isEmpty {
            let from = loose.remove(at: random.below(loose.count))
            var next = from
            func lead(to name: String, _ port: String? = nil) {
                chains.append("\(from.name) -> \(name)")
                next.name = "\(name).\(port ?? "out")"
                loose.append(next)
            }
            if from.carriesRecords {
                switch random.below(3) {
                case 0: lead(to: add("Counter"))
                case 1: lead(to: add("Coalescer", "size: 256 B, timeout: \(random.one(of: ["1 us", "1 ms", "1 s"]))"))
                default:
                    let tee = add("Tee")
                    lead(to: tee, "out1")
                    next.name = "\(tee).out2"
                    loose.append(next)
                }
                continue
            }
            switch random.below(9) {
            case 0: lead(to: add("Counter"))
            case 1:
                let check = add("IPCheck", "checksum: \(random.one(of: ["verify", "count"]))")
                checks.append(check)
                lead(to: check)
            case 2: lead(to: add("VLANStrip", "levels: \(1 + random.below(2))"))
            case 3:
                let filters = [
                    "tcp", "udp port 53", "ip6", "tcp port 80", "icmp", "less 100", "tcp[tcpflags] & tcp-syn != 0",
                ]
                let sort = add(
                    "Classifier",
                    "rules: {a: \"\(random.one(of: filters))\", b: \"\(random.one(of: filters))\"}"
                )
                lead(to: sort, "a")
                for port in ["b", "other"] {
                    next.name = "\(sort).\(port)"
                    loose.append(next)
                }
            case 4:
                let tee = add("Tee", "outputs: 3")
                lead(to: tee, "out1")
                for port in ["out2", "out3"] {
                    next.name = "\(tee).\(port)"
                    loose.append(next)
                }
            case 5, 6:
                next.hasFlows = true
                lead(to: add("FlowTable", "idle: \(random.one(of: ["0", "20 ms", "300 s"]))"), "hit")
            case 7:
                let perFlow = from.hasFlows && random.below(3) > 0
                let extract = add("MetadataExtractor", "per: \(perFlow ? "flow" : "packet")")
                lead(to: extract)
                next.name = "\(extract).records"
                next.carriesRecords = true
                loose.append(next)
            default:
                // Branches that join.
                guard let check = checks.last, !from.hasFlows, chains.contains(where: { $0.hasSuffix(" -> \(check)") }),
                    !leads(from.name, backTo: check, chains)
                else {
                    lead(to: add("Counter"))
                    continue
                }
                chains.append("\(from.name) -> \(check)")
            }
        }
        for (number, end) in loose.enumerated() {
            if end.carriesRecords {
                let file = "file: records-\(number), format: \(random.one(of: ["json", "csv"]))"
                chains.append("\(end.name) -> \(add("RecordSink", file))")
            } else {
                switch random.below(4) {
                case 0: chains.append("\(end.name) -> \(add("Discard"))")
                case 1: chains.append("\(end.name) -> \(add("PacketSink", "file: packets-\(number).pcap"))")
                default: chains.append("\(end.name) -> wire.tx")
                }
            }
        }
        return "graph: random\nelements:\n" + elements.map { "  \($0)\n" }.joined() + "chains:\n"
            + chains.map { "  - \($0)\n" }.joined()
    }

    /// Whether `output` is downstream of `element`, so that joining would make a cycle.
    private static func leads(_ output: String, backTo element: String, _ chains: [String]) -> Bool {
        var reached: Set = [element]
        while true {
            var more = reached
            for chain in chains {
                let ends = chain.components(separatedBy: " -> ")
                if more.contains(String(ends[0].prefix { $0 != "." })) { more.insert(ends[1]) }
            }
            if more == reached { return reached.contains(String(output.prefix { $0 != "." })) }
            reached = more
        }
    }
}
