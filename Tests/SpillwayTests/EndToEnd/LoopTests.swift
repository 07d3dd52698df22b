// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import Testing

/// Elements that feed themselves: every item ends as a counted drop, whatever the batch, and nothing grows.
@Suite struct LoopTests {
    @Test(
        arguments: [
            "elements: {wire: {type: Wire}, c: {type: Counter}}\nchains: [wire.rx -> c, c -> c]",
            "elements: {wire: {type: Wire}, c: {type: Tee}}\nchains: [wire.rx -> c.out1 -> c, c.out2 -> c]",
            "elements: {wire: {type: Wire}, c: {type: Counter}, t: {type: Tee}}\n"
                + "chains: [wire.rx -> c -> t, t.out1 -> c, t.out2 -> Discard]",
            // What a queue of a cycle releases at the end of the input comes back to it.
            "elements: {wire: {type: Wire}, c: {type: Counter}, q: {type: Queue}}\nchains: [wire.rx -> c -> q -> c]",
            "elements: {wire: {type: Wire}, c: {type: Counter}, q: {type: Queue, capacity: 50, rate: 1 Gpps}}\n"
                + "chains: [wire.rx -> c -> q -> c]",
        ],
        [1, 7, 64]
    )
    func cyclesEnd(_ graph: String, _ batch: Int) throws {
        let loader = GraphLoader(catalog: .standard, services: MemoryServices()) { _ in
            Array("graph: g\n\(graph)\n".utf8)
        }
        let spec = try #require(loader.loadGraph("g.yaml").graph)
        let wires = spec.nodes.indices.filter { spec.nodes[$0].isWire }
        let wire = try #require(wires.first)
        let frame = try PacketText.frame("10.0.0.1:1 > 10.0.0.2:2 A")
        var options = Instance.Options()
        options.batch = batch
        options.poolCapacity = 512
        let source = MemorySource(Array(repeating: frame, count: 300))
        let instance = try Instance(
            spec,
            bindings: [wire: WireBinding(source: source)],
            services: MemoryServices(),
            options: options
        )
        try DirectRuntime(instance).run()
        #expect(instance.lostItems == 0)
        let counts = spec.nodes.indices.map { instance.counts($0) }
        #expect(counts.allSatisfy { $0.balances && $0.held == 0 })
        let looped = counts.flatMap { $0.drops }.filter { $0.reason == "loop" }.reduce(0) { $0 + $1.count }
        #expect(looped > 0)
    }
}
