// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import SpillwayTesting
import Testing

/// Elements that hold packets back leave room in the pool for others to enter, however many such elements there are.
@Suite struct HeldItemsTests {
    @Test func packetsCanAlwaysEnter() throws {
        // Fragments and early segments, more of each than the pool has items: nothing of them ever becomes whole.
        let texts =
            (0..<200).map { "10.0.1.1:1 > 10.0.0.2:2 udp id=\($0) frag=8+ len=8" }
            + ["10.0.0.1:1000 > 10.0.0.2:80 S seq=0"]
            + (0..<200).map { "10.0.0.1:1000 > 10.0.0.2:80 A seq=\(3 + 2 * $0) ack=1 len=1" }
            + (0..<200).map { "10.0.1.1:1 > 10.0.0.2:2 udp id=\($0) frag=24+ len=8" }
            + ["10.0.0.3:1000 > 10.0.0.2:80 A seq=1 ack=1 data=\"last\""]
        let packets = try texts.map {
            let frame = try PacketText.frame($0)
            return ElementHarness.Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: 0)
        }
        let chain: [ElementDescriptor] = try [
            "Wire", "IPDefragmenter", "IPDefragmenter", "FlowTable", "TCPReassembler",
        ]
        .map { try #require(Catalog.standard[$0]) }
        let nodes = try (chain + [ElementDescriptor(Collector.self)]).enumerated().map { number, type in
            GraphSpec.Node(
                name: "\(type.name)@\(number)",
                type: type,
                element: try ElementHarness.configure(type, "")
            )
        }
        let edges = (1..<nodes.count).map { GraphSpec.Edge(from: $0 - 1, output: 0, to: $0, input: 0) }
        var options = Instance.Options()
        options.poolCapacity = 128
        let instance = try Instance(
            GraphSpec(name: "chain", nodes: nodes, edges: edges),
            bindings: [0: WireBinding(source: MemorySource(packets))],
            services: TestServices(),
            options: options
        )
        try DirectRuntime(instance).run()
        for node in nodes.indices { #expect(instance.counts(node).balances) }
        #expect(instance.lostItems == 0)
        let last = try #require((instance.elements.last as? Collector)?.seen.map(\.bytes))
        #expect(last.contains { $0.suffix(4) == Array("last".utf8) })
    }
}
