// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// TCPReassembler on packets that are cut, or wrong, in their header.
@Suite struct CutHeaderTests {
    /// The `number`-th ten bytes of a stream, in a packet with options.
    private func packet(_ number: Int, flags: String = "A") throws -> ElementHarness.Packet {
        let text = "10.0.0.1:1 > 10.0.0.2:80 \(flags) seq=\(1 + 10 * number) ack=1 len=10 ts=1/0"
        let frame = try PacketText.frame(text)
        return ElementHarness.Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: 0)
    }

    /// How long a header is that was not wholly captured, it says itself: what follows is neither missing nor known.
    @Test(arguments: [0, 1, 4, 11, 12, 13]) func aCaptureThatEndsWithinOptions(_ options: Int) throws {
        var short = try packet(1)
        short.bytes.removeLast(short.bytes.count - 54 - options)
        let run = try ElementHarness("TCPReassembler").run(["in": [packet(0), short, packet(2)]])
        let captured = max(0, options - 12)
        #expect(run.handler("stream_bytes") == 20 + captured && run.handler("gap_bytes") == 10 - captured)
        #expect(run.handler("overlaps") == 0 && run.outputs["stream"]?.count == 3)
    }

    @Test(arguments: [0, 4, 15]) func aHeaderOfAnImpossibleLength(_ words: UInt8) throws {
        var wrong = try packet(1, flags: "FA")
        wrong.bytes[46] = words << 4
        // So that with 15 words the header leads out of the packet.
        wrong.bytes[17] = 52
        wrong.bytes.removeLast(words == 15 ? 10 : 1)
        let run = try ElementHarness("TCPReassembler").run(["in": [wrong, packet(0), wrong, packet(1)]])
        #expect(run.handler("stream_bytes") == 20 && run.handler("gaps") == 0 && run.handler("connections") == 1)
        // The first packet says that there is a connection, whatever it is.
        #expect(run.outputs["stream"]?.count == 3 && run.drops == ["bad_header_length": 1])
    }
}
