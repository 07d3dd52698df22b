// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import TestSupport
import Testing

/// Two threads do what one does: every byte, in order, and every counter.
@Suite struct SplitTests {
    @Test(arguments: shippedGraphs, ["web.pcap", "vlan.pcapng", "cooked.pcap"])
    func shippedGraphsDoTheSame(_ name: String, _ capture: String) throws {
        let spec = try shippedGraph(name)
        for placement in spec.placements {
            try expectSame(spec, placement.sides, capture: capture, packets: 1_200, "\(name), \(placement.name)")
        }
    }

    /// With rings that are nearly always full, too, and with batches of all sizes.
    @Test(arguments: RandomLoops.seeds)
    func randomGraphsDoTheSame(_ seed: Int) throws {
        let spec = try RandomLoops.graph(seed: seed)
        let shape = GraphShape(spec)
        var random = Random(UInt64(seed))
        let capture = ["web.pcap", "vlan.pcapng", "cooked.pcap"][seed % 3]
        for round in 0..<3 {
            let cycles = (0..<shape.cycles).map { _ in Side.allCases[random.below(2)] }
            let sides = spec.nodes.indices.map { node in
                spec.nodes[node].isWire
                    ? .nic : shape.cycle[node] >= 0 ? cycles[shape.cycle[node]] : Side.allCases[random.below(2)]
            }
            let (ring, batch) = ([1024, 256, 64][round], batchSizes[random.below(batchSizes.count)])
            try expectSame(
                spec,
                sides,
                capture: capture,
                packets: 300,
                apart: seed % 2 == 0 ? 0 : 77,
                ring: ring,
                batch: batch,
                "graph \(seed), rings of \(ring), batches of \(batch), \(sides.map { $0 == .nic ? "n" : "h" }.joined())\n\(spec.about)"
            )
        }
    }

    /// What is released at the end is one moment, of more items than a ring has room for, and nobody may go on behind it: whoever is in
    /// the middle of it does not wait for room. Some are lost on the way, so that rings are nearly full of it, and not quite.
    @Test(arguments: [64, 256, 1024], batchSizes)
    func moreThanARingAtTheEndGoesThrough(_ ring: Int, _ batch: Int) throws {
        let spec = try graph(
            yaml: """
                graph: ends
                elements:
                  wire: {type: Wire}
                  hold: {type: FaultInjector, delay: 1, delay_by: 10 s}
                  lose: {type: FaultInjector, loss: 0.03}
                  some: {type: FaultInjector, loss: 0.03}
                chains:
                  - wire.rx -> hold -> lose -> some -> wire.tx
                """
        )
        let sides = spec.nodes.map { $0.name == "lose" ? Side.host : .nic }
        try expectSame(spec, sides, capture: "web.pcap", packets: 3000, ring: ring, batch: batch, "\(ring), \(batch)")
    }

    private func expectSame(
        _ spec: GraphSpec,
        _ sides: [Side],
        capture: String,
        packets: Int,
        apart: Int64 = 77,
        ring: Int = SplitRuntime.ringItems,
        batch: Int = 64,
        _ what: String
    ) throws {
        let path = shippedCapture(capture)
        let one = try runDirect(spec, capture: path, packets: packets, apart: apart, batch: 64)
        let ends = try Ends(spec, capture: path, packets: packets, apart: apart)
        let files = KeptFiles()
        var options = Instance.Options()
        options.batch = batch
        let cut: Cut
        let split: SplitRuntime
        do {
            cut = try Cut(spec, placement: sides)
            split = try SplitRuntime(
                spec,
                cut,
                bindings: [ends.bindings],
                services: files,
                options: options,
                ring: { _ in ring }
            )
        } catch let error as SplitError {
            // What cannot be split is refused, and only that.
            let shape = GraphShape(spec)
            let crosses = spec.edges.contains { shape.isRound($0) && sides[$0.from] != sides[$0.to] }
            #expect(crosses || "\(error)".contains("keep state"), "\(what): \(error)")
            return
        }
        try split.run()
        let counts = spec.nodes.indices.map { split.counts($0) }
        #expect(counts.filter { !$0.balances }.map(\.name) == [], "\(what)")
        #expect(split.lostItems == 0, "\(what)")
        let expected = Exact(one.sent, one.files, spec.nodes.indices.map { one.instance.counts($0) }, copying: false)
        #expect(Exact(ends.sent, files, counts, copying: false).differences(expected) == [], "\(what)")
    }
}
