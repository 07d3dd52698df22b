// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// Segments whose checksum their sender left to a network card: what stands there is the sum of the pseudo-header, to which neither
/// bytes nor flags of the segment count.
@Suite struct UnsummedTests {
    /// The checksum fields, TCP flags and payloads of the segments of a stream, in the order they leave.
    private func run(_ texts: [String], isUnsummed: Bool) throws -> [(sum: [UInt8], flags: UInt8, payload: String)] {
        var packets = try ElementHarness.packets(texts)
        for k in packets.indices {
            packets[k].isUnsummed = isUnsummed
            packets[k].bytes.replaceSubrange(50..<52, with: [0x12, 0x34])
        }
        let run = try ElementHarness("TCPReassembler", "{overlap: last}").run(["in": packets])
        return run.outputs["stream"]!.map { seen in
            (Array(seen.bytes[50..<52]), seen.bytes[47], String(decoding: seen.bytes[54...], as: UTF8.self))
        }
    }

    @Test(arguments: [true, false]) func bytesOfAnotherSegmentLeaveTheSumAlone(_ isUnsummed: Bool) throws {
        let ends = "10.0.0.1:1000 > 10.0.0.2:80"
        let segments = try run(
            [
                "\(ends) S seq=0", "\(ends) A seq=5 data=\"AAAA\"", "\(ends) A seq=7 data=\"BBBB\"",
                "\(ends) A seq=1 data=\"1234\"",
            ],
            isUnsummed: isUnsummed
        )
        #expect(segments.map(\.payload).joined() == "1234AABBBBBB")
        #expect(segments.map(\.sum).contains { $0 != [0x12, 0x34] } == !isUnsummed)
    }

    /// A FIN behind bytes of a SYN that were not taken is removed.
    @Test(arguments: [true, false]) func aRemovedFINLeavesTheSumAlone(_ isUnsummed: Bool) throws {
        let segments = try run(
            [
                "10.0.0.1:1000 > 10.0.0.2:80 SF seq=0 data=\"early\"", "10.0.0.2:80 > 10.0.0.1:1000 SA seq=0 ack=1",
                "10.0.0.1:1000 > 10.0.0.2:80 A seq=1 ack=1",
            ],
            isUnsummed: isUnsummed
        )
        #expect(segments.first?.flags == 2)
        #expect((segments.first?.sum == [0x12, 0x34]) == isUnsummed)
    }
}
