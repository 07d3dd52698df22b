// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// What one run gave: what left by output, in text form, and what the element counted.
struct FollowerRun {
    var outputs: [String: [Collector.Seen]]
    var counts: ElementCounts
    func texts(_ port: String) -> [String] { (outputs[port] ?? []).map(\.text) }
    func handler(_ name: String) -> Int? { counts.handlers.first { $0.name == name }?.value }
    func drops(_ reason: String) -> UInt64? { counts.drops.first { $0.reason == reason }?.count }
}

/// Runs elements that follow streams, behind a flow table and a reassembler.
protocol StreamBench {}

extension StreamBench {
    /// wire -> FlowTable -> TCPReassembler -> the element, its outputs collected. An input `rest` gets the
    /// reassembler's.
    func run(
        _ type: String,
        _ config: String,
        _ packets: [ElementHarness.Packet],
        batch: Int = 64,
        services: TestServices = TestServices()
    ) throws -> FollowerRun {
        let catalog = Catalog.standard
        var nodes: [GraphSpec.Node] = []
        var edges: [GraphSpec.Edge] = []
        func add(_ type: ElementDescriptor, _ config: String = "") throws -> Int {
            nodes.append(
                GraphSpec.Node(
                    name: "\(type.name)@\(nodes.count)",
                    type: type,
                    element: try ElementHarness.configure(type, config)
                )
            )
            return nodes.count - 1
        }
        let wire = try add(catalog["Wire"]!)
        let flows = try add(catalog["FlowTable"]!, "{capacity: 4096}")
        let order = try add(catalog["TCPReassembler"]!)
        let element = try add(try #require(catalog[type]), config)
        edges.append(.init(from: wire, output: 0, to: flows, input: 0))
        edges.append(.init(from: flows, output: 0, to: order, input: 0))
        edges.append(.init(from: order, output: 0, to: element, input: 0))
        if nodes[element].element.inputs.count > 1 {
            edges.append(.init(from: order, output: 1, to: element, input: 1))
        }
        var collectors: [(port: String, node: Int)] = []
        for (number, output) in nodes[element].element.outputs.enumerated() {
            let collector = try add(ElementDescriptor(Collector.self))
            edges.append(.init(from: element, output: number, to: collector, input: 0))
            collectors.append((output.name, collector))
        }
        var options = Instance.Options()
        options.batch = batch
        options.poolCapacity = 8192
        let instance = try Instance(
            GraphSpec(name: "chain", nodes: nodes, edges: edges),
            bindings: [wire: WireBinding(source: MemorySource(packets))],
            services: services,
            options: options
        )
        for (_, node) in collectors { (instance.elements[node] as! Collector).layouts = instance.layouts }
        try DirectRuntime(instance).run()
        for node in nodes.indices { #expect(instance.counts(node).balances) }
        #expect(instance.lostItems == 0)
        return FollowerRun(
            outputs: Dictionary(
                uniqueKeysWithValues: collectors.map { ($0.port, (instance.elements[$0.node] as! Collector).seen) }
            ),
            counts: instance.counts(element)
        )
    }

    func packet(_ text: String) throws -> ElementHarness.Packet {
        let frame = try PacketText.frame(text)
        return ElementHarness.Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: frame.time ?? 0)
    }

    func data(
        _ bytes: some Collection<UInt8>,
        _ sequence: Int,
        port: Int = 1000,
        flags: String = "PA",
        back: Bool = false,
        options: String = ""
    ) throws -> ElementHarness.Packet {
        let ends = back ? "10.0.0.2:80 > 10.0.0.1:\(port)" : "10.0.0.1:\(port) > 10.0.0.2:80"
        var packet = try packet("\(ends) \(flags) seq=\(sequence) ack=1 len=\(bytes.count) \(options)")
        packet.bytes.replaceSubrange((packet.bytes.count - bytes.count)..., with: bytes)
        return packet
    }
}
