// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

@Suite struct CoalescerTests: RecordBench {
    /// Packing records changes how they travel, not what is written.
    @Test(arguments: ["", "{count: 1}", "{count: 3}", "{size: 64 B}", "{size: 64 KiB}", "{timeout: 1 us}"])
    func coalescingChangesNoRecord(_ config: String) throws {
        let texts = (0..<300).map { "10.0.0.1:\(1000 + $0) > 10.0.0.2:80 A seq=\($0) time=\($0 * 700)ns" }
        let extractor = (type: "MetadataExtractor", config: "{per: packet, fields: [time_ns, sport]}")
        let plain = try run([extractor, ("RecordSink", "")], texts).services.files["-"]!.bytes
        for batch in [1, 64] {
            let packed = try run([extractor, ("Coalescer", config), ("RecordSink", "")], texts, batch: batch)
            #expect(packed.services.files["-"]!.bytes == plain)
            #expect(packed.lost == 0)
        }
    }

    @Test func transfersAreClosedWhenTheyShould() throws {
        // Records of ten bytes, one each millisecond.
        let texts = (0..<100).map { "10.0.0.1:\(1000 + $0) > 10.0.0.2:80 A time=\($0)ms" }
        let chain = { (config: String) in
            try run(
                [
                    ("MetadataExtractor", "{per: packet, fields: [time_ns, sport]}"), ("Coalescer", config),
                    ("RecordSink", ""),
                ],
                texts
            )
        }
        func transfers(_ config: String) throws -> Int? {
            try chain(config).counts[2].handlers.first { $0.name == "transfers" }?.value
        }
        #expect(try transfers("{count: 7, timeout: 10 s}") == 15)
        #expect(try transfers("{size: 64 B, timeout: 10 s}") == 17)
        // The first record of a transfer and those of the four milliseconds after it.
        #expect(try transfers("{timeout: 4500 us}") == 20)
        #expect(try transfers("{timeout: 10 s, count: 1000, size: 64 KiB}") == 1)
    }
}
