// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

@Suite struct PacketSinkTests: RecordBench {
    @Test func aPcapFileTakesOneLinkType() throws {
        let frame = try PacketText.frame("10.0.0.1:1 > 10.0.0.2:2 S").bytes
        let packets = [1, 101, 1].map {
            ElementHarness.Packet(bytes: frame, wireLength: frame.count, time: 0, linkType: $0)
        }
        let pcap = try ElementHarness("PacketSink", "{file: a.pcap}").run(["in": packets])
        #expect(pcap.drops == ["other_link_type": 1])
        #expect(pcap.services.files["a.pcap"]!.bytes.count == 24 + 2 * (16 + frame.count))
        #expect(try ElementHarness("PacketSink", "{file: a.pcapng}").run(["in": packets]).drops.isEmpty)
    }

    /// In the year 2200, and before 1970.
    @Test func aFileHoldsItsFormatsTimes() throws {
        let frame = try PacketText.frame("10.0.0.1:1 > 10.0.0.2:2 S").bytes
        let packets = [7_258_118_400_000_000_000, -1, 5].map {
            ElementHarness.Packet(bytes: frame, wireLength: frame.count, time: $0)
        }
        for (name, refused) in [("a.pcap", 2), ("a.pcapng", 1)] {
            let run = try ElementHarness("PacketSink", "{file: \(name)}").run(["in": packets])
            #expect(run.drops == ["time_out_of_range": UInt64(refused)])
        }
    }
}
