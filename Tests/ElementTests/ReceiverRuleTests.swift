// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

/// TCPReassembler takes what a receiver takes, and nothing else: whoever could make the two differ could hide from what
/// reads the stream.
struct ReceiverRuleTests {
    private static let handshake = [
        "10.0.0.1:1000 > 10.0.0.2:80 S seq=0", "10.0.0.2:80 > 10.0.0.1:1000 SA seq=0 ack=1",
        "10.0.0.1:1000 > 10.0.0.2:80 A seq=1 ack=1",
    ]
    private static func client(_ words: String) -> String { "10.0.0.1:1000 > 10.0.0.2:80 \(words)" }
    private static func server(_ words: String) -> String { "10.0.0.2:80 > 10.0.0.1:1000 \(words)" }

    private func run(_ packets: [String], _ config: String = "") throws -> ElementHarness.Run {
        let harness = try ElementHarness("TCPReassembler", config.isEmpty ? "" : "{\(config)}")
        return checked(try harness.run(["in": packets]))
    }

    private func checked(_ run: ElementHarness.Run) -> ElementHarness.Run {
        for counts in run.all { #expect(counts.balances, "\(counts)") }
        #expect(run.lostItems == 0 && run.counts.held == 0)
        return run
    }

    /// The payloads that left in order, of both sides.
    private func text(_ run: ElementHarness.Run) -> String {
        let bytes = run.outputs["stream"]!.flatMap { $0.bytes.dropFirst(34 + Int($0.bytes[46] >> 4) * 4) }
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: What waits

    /// The room is full: what stands before all that waits must not be left out with the hole.
    @Test func aSegmentBeforeAllThatWaitIsNotLeftOut() throws {
        for limit in ["flow_segments: 1", "segments: 1", "flow_bytes: 12 B", "bytes: 12 B"] {
            let inTheHole = try run(
                Self.handshake + [
                    Self.client("PA seq=9 ack=1 data=\"last\""), Self.client("PA seq=5 ack=1 data=\"next....!\""),
                ],
                limit
            )
            // Where both have bytes, those that came first count.
            #expect(text(inTheHole) == "nextlast!", "\(limit)")
            #expect(inTheHole.handler("gaps") == 1 && inTheHole.handler("gap_bytes") == 4, "\(limit)")
            // It fills the hole, but acknowledges what has not come.
            let filling = try run(
                Self.handshake + [
                    Self.client("PA seq=11 ack=1 data=\"last\""), Self.client("PA seq=1 ack=5 data=\"abcdefghij\""),
                ],
                limit
            )
            #expect(text(filling) == "abcdefghijlast", "\(limit)")
            #expect(filling.handler("gaps") == 0, "\(limit)")
        }
    }

    /// The same FIN twice, before the bytes that come before it.
    @Test func aWaitingFINThatCameTwice() throws {
        let fin = Self.client("FPA seq=4 ack=1 data=\"def\"")
        let result = try run(Self.handshake + [fin, fin, Self.client("PA seq=1 ack=1 data=\"abc\"")])
        #expect(text(result) == "abcdef")
        #expect(result.drops == [:] && result.handler("again") == 1)
    }

    /// An answer waits for its question, which waits behind a hole farther ahead than any window reaches.
    @Test func theCauseMayWaitFarAhead() throws {
        let questions = (0..<30).map { Self.client("PA seq=\(11 + 60_000 * $0) ack=1 len=60000") }
        let answer = Self.server("PA seq=1 ack=\(11 + 60_000 * 30) data=\"answer\"")
        let packets = Self.handshake + questions + [answer, Self.client("PA seq=1 ack=1 data=\"0123456789\"")]
        let result = try run(packets, "flow_bytes: 16 MiB")
        #expect(text(result).hasPrefix("0123456789") && text(result).hasSuffix("answer"))
    }

    // MARK: Cut captures

    /// The bytes that a cut segment lacks have come before: there is no hole.
    @Test func aCutSegmentWithKnownBytes() throws {
        let packets = [
            Self.client("PA seq=1 ack=1 data=\"abc\""), Self.client("FPA seq=1 ack=1 data=\"abc\" trunc=54"),
        ]
        let result = try run(Self.handshake + packets)
        #expect(text(result) == "abc")
        #expect(result.handler("gaps") == 0)
    }
}
