// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import Testing

/// What `spillway test` does with tests of graphs: nothing that is misspelt holds, and nothing that is given ends the program.
@Suite struct GraphTestTests {
    /// The last time there is stands for the end of the input, so no packet may have it.
    @Test func packetsAtTheEndOfTimeAreSentAllTheSame() throws {
        var frame = try PacketText.frame("10.0.0.1:1 > 10.0.0.2:2 A")
        frame.time = .max
        var next = frame
        next.time = nil
        let source = FrameSource([frame, next])
        let wire = CollectedPackets()
        let spec = try graph(yaml: "graph: g\nelements: {wire: {type: Wire}}\nchains: [wire.rx -> wire.tx]\n")
        let binding = WireBinding(source: source, destination: wire)
        try DirectRuntime(try Instance(spec, bindings: [0: binding], services: MemoryServices())).run()
        #expect(wire.packets.map(\.item.time) == [PacketText.latestTime, PacketText.latestTime])
    }
}
