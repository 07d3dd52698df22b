// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import TestSupport
import Testing

@Suite struct InputNotesTests {
    /// Copies and records that the pool had no item for are missing from results: the run says how many, and only then.
    @Test(arguments: [(64, 3, 64), (64, 2, 0), (256, 3, 0)])
    func shortagesAreTold(pool: Int, outputs: Int, missing: Int) throws {
        let spec = try graph(
            yaml: """
                graph: copies
                elements: {wire: {type: Wire}, all: {type: Tee, outputs: \(outputs)}}
                chains:
                \((1...outputs).map { "  - all.out\($0) -> Discard" }.joined(separator: "\n"))
                  - wire.rx -> all
                """
        )
        var options = Instance.Options()
        options.poolCapacity = pool
        options.batch = 32
        let frames = try (0..<64).map { try PacketText.frame("10.0.0.1:\(1000 + $0) > 10.0.0.2:80 udp len=4") }
        let instance = try Instance(
            spec,
            bindings: [0: WireBinding(source: MemorySource(frames))],
            services: KeptFiles(),
            options: options
        )
        try DirectRuntime(instance).run()
        let told = InputNotes(instance).warnings.filter { $0.hasPrefix("no item of the pool") }
        #expect(instance.pool.shortages == missing)
        #expect(told.count == (missing > 0 ? 1 : 0))
        if missing > 0 { #expect(told[0].contains("which has 64, was free for 64 copies or records")) }
    }
}
