// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// Runs chains of elements that make records and write them.
protocol RecordBench {}

extension RecordBench {
    /// Runs a chain of elements from a wire; gives the instance, for its counters, and the files.
    func run(
        _ chain: [(type: String, config: String)],
        _ texts: [String],
        batch: Int = 64,
        pool: Int = 2048
    ) throws -> (counts: [ElementCounts], lost: Int, services: TestServices) {
        let catalog = Catalog.standard
        var nodes = [
            GraphSpec.Node(
                name: "wire",
                type: catalog["Wire"]!,
                element: try ElementHarness.configure(catalog["Wire"]!, "")
            )
        ]
        for (type, config) in chain {
            let descriptor = try #require(catalog[type])
            nodes.append(
                GraphSpec.Node(
                    name: "\(type)@\(nodes.count)",
                    type: descriptor,
                    element: try ElementHarness.configure(descriptor, config)
                )
            )
        }
        var time: Int64 = 0
        let packets = try texts.map { text in
            let frame = try PacketText.frame(text)
            time = frame.time ?? time
            return ElementHarness.Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: time)
        }
        var options = Instance.Options()
        options.batch = batch
        options.poolCapacity = pool
        let services = TestServices()
        let instance = try Instance(
            GraphSpec(
                name: "chain",
                nodes: nodes,
                edges: (1..<nodes.count).map { .init(from: $0 - 1, output: 0, to: $0, input: 0) }
            ),
            bindings: [0: WireBinding(source: MemorySource(packets))],
            services: services,
            options: options
        )
        var failure: (any Error)?
        do { try DirectRuntime(instance).run() } catch { failure = error }
        let counts = nodes.indices.map(instance.counts)
        for count in counts { #expect(count.balances, "\(count)") }
        if let failure { throw failure }
        return (counts, instance.lostItems, services)
    }

    var conversation: [String] {
        [
            "10.0.0.1:1000 > 10.0.0.2:80 S seq=1 time=1s", "10.0.0.2:80 > 10.0.0.1:1000 SA seq=9 ack=2 time=1.25s",
            "10.0.0.1:1000 > 10.0.0.2:80 PA seq=2 ack=10 len=10 time=1.5s",
            "10.0.0.2:80 > 10.0.0.1:1000 FA seq=10 ack=12 time=2s",
        ]
    }
}
