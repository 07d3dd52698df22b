// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// What TCPReassembler lets go is in the order of cause and effect, whatever the order of the capture.
@Suite struct CausalOrderTests {
    private static let handshake = [
        "10.0.0.1:1000 > 10.0.0.2:80 S seq=0", "10.0.0.2:80 > 10.0.0.1:1000 SA seq=0 ack=1",
        "10.0.0.1:1000 > 10.0.0.2:80 A seq=1 ack=1",
    ]
    private static func question(_ words: String) -> String { "10.0.0.1:1000 > 10.0.0.2:80 PA \(words)" }
    private static func answer(_ words: String) -> String { "10.0.0.2:80 > 10.0.0.1:1000 PA \(words)" }

    /// A packet that left: who sent it, and its numbers.
    private struct Left: Equatable, CustomStringConvertible {
        var isClient: Bool
        var sequence: Int
        var acknowledgment: Int
        var size: Int
        var description: String { "\(isClient ? "question" : "answer") \(sequence)" }

        init(_ bytes: [UInt8]) {
            func number(_ at: Int) -> Int { bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) } }
            isClient = bytes[29] == 1
            sequence = number(38)
            acknowledgment = number(42)
            size = bytes.count - 54
        }
    }

    private func run(_ packets: [String], _ config: String = "", batch: Int = 64) throws -> ElementHarness.Run {
        var harness = try ElementHarness("TCPReassembler", config.isEmpty ? "" : "{\(config)}")
        harness.batch = batch
        let run = try harness.run(["in": packets])
        for counts in run.all { #expect(counts.balances, "\(counts)") }
        #expect(run.lostItems == 0 && run.counts.held == 0)
        return run
    }

    /// The packets with bytes, in the order they left.
    private func order(_ run: ElementHarness.Run) -> [String] {
        run.outputs["stream"]!.map { Left($0.bytes) }.filter { $0.size > 0 }.map(\.description)
    }

    @Test func anAnswerWaitsForItsQuestion() throws {
        let packets = Self.handshake + [Self.answer("seq=1 ack=11 len=10"), Self.question("seq=1 ack=1 len=10")]
        #expect(order(try run(packets)) == ["question 1", "answer 1"])
        // Where holes are waited for without end, nothing else may have to.
        #expect(order(try run(packets, "on_gap: wait")) == ["answer 1", "question 1"])
    }

    @Test func nothingIsAwaitedOfASideThatWasNotCaptured() throws {
        let packets = [Self.answer("seq=1 ack=11 len=10"), Self.answer("seq=11 ack=21 len=10")]
        let result = try run(packets)
        #expect(order(result) == ["answer 1", "answer 11"])
        #expect(result.handler("early") == 0)
        // But the answer to a SYN is, for a while.
        let withSYNACK = try run([Self.handshake[1]] + packets)
        #expect(order(withSYNACK) == ["answer 1", "answer 11"])
        #expect(withSYNACK.handler("early") == 2)
    }

    @Test func nothingIsAwaitedBehindFIN() throws {
        let packets =
            Self.handshake + [
                "10.0.0.1:1000 > 10.0.0.2:80 FPA seq=1 ack=1 len=10", Self.answer("seq=1 ack=12 len=10"),
                Self.answer("seq=11 ack=12 len=10"),
            ]
        let result = try run(packets)
        #expect(order(result) == ["question 1", "answer 1", "answer 11"])
        #expect(result.handler("early") == 0)
    }

    /// What acknowledges bytes that were not sent, no receiver takes: it waits until others have brought its bytes, and what
    /// waits behind a hole does not wait for it.
    @Test(arguments: [1000, 100_000_000]) func anImpossibleAcknowledgmentGivesWay(_ number: Int) throws {
        let result = try run(
            Self.handshake + [
                Self.answer("seq=1 ack=\(number) len=10"), Self.answer("seq=11 ack=1 len=10"),
                Self.answer("seq=1 ack=1 len=10"), Self.question("seq=1 ack=1 len=10"),
            ]
        )
        #expect(order(result) == ["answer 1", "answer 11", "question 1"])
        #expect(result.handler("again") == 1 && result.handler("gaps") == 0)
    }

    /// A question that was not captured: the answer waits for `gap_timeout`, those behind it not again.
    @Test func theWaitEnds() throws {
        let lost =
            Self.handshake + [
                Self.answer("seq=1 ack=11 len=10 time=1s"), Self.answer("seq=11 ack=11 len=10 time=1.9s"),
                Self.answer("seq=21 ack=11 len=10 time=2.1s"), Self.answer("seq=31 ack=11 len=10 time=2.2s"),
            ]
        let result = try run(lost, "gap_timeout: 1 s")
        #expect(order(result) == ["answer 1", "answer 11", "answer 21", "answer 31"])
        #expect(result.handler("early") == 2 && result.handler("gaps") == 0)
        // Full: at once.
        let full = try run(lost, "flow_segments: 1")
        #expect(full.handler("early") == 1 && order(full).count == 4)
        let tiny = try run(lost, "flow_bytes: 1 B")
        #expect(tiny.handler("early") == 0 && order(tiny).count == 4)
    }

    /// The answer has waited long enough, and later questions show what is missing.
    @Test func theHoleThatAnAnswerWaitsForIsLeftOut() throws {
        let packets =
            Self.handshake + [
                Self.answer("seq=1 ack=11 len=10 time=1s"), Self.question("seq=11 ack=11 len=10 time=1.1s"),
                Self.answer("seq=11 ack=21 len=10 time=1.2s"), Self.question("seq=21 ack=21 len=10 time=1.3s"),
                Self.answer("seq=21 ack=31 len=10 time=2.2s"),
            ]
        let result = try run(packets, "gap_timeout: 1 s")
        #expect(order(result) == ["answer 1", "question 11", "answer 11", "question 21", "answer 21"])
        #expect(result.handler("gaps") == 1 && result.handler("gap_bytes") == 10)
        let dropped = try run(packets, "gap_timeout: 1 s, on_gap: drop_flow")
        #expect(order(dropped) == [] && dropped.drops == ["flow_dropped": 5])
    }

    /// Two packets that each acknowledge the other, which only a liar sends.
    @Test func aCircleEnds() throws {
        let packets = Self.handshake + [Self.answer("seq=1 ack=11 len=10"), Self.question("seq=1 ack=11 len=10")]
        #expect(order(try run(packets)).sorted() == ["answer 1", "question 1"])
        for policy in ["skip", "wait", "drop_flow"] {
            let full = try run(packets, "flow_segments: 1, segments: 1, on_gap: \(policy)")
            #expect(order(full).sorted() == ["answer 1", "question 1"])
        }
    }

    /// Conversations in which both sides send when they like, captured out of order.
    @Test(arguments: 0..<60) func conversations(_ seed: Int) throws {
        var random = TestRandom(UInt64(seed) &+ 77)
        var sent = [1, 1]
        var packets: [(text: String, due: Int)] = []
        let losses = seed % 3 == 0
        for k in 0..<150 {
            let side = Int.random(in: 0..<2, using: &random)
            // What has arrived of the other side is at most what it sent; what it says has arrived never shrinks.
            let acknowledged = sent[1 - side]
            let size = 1 + Int.random(in: 0..<20, using: &random)
            let words = "seq=\(sent[side]) ack=\(acknowledged) len=\(size)"
            sent[side] += size
            if losses, Int.random(in: 0..<20, using: &random) == 0 { continue }
            let text = side == 0 ? Self.question(words) : Self.answer(words)
            packets.append(
                (
                    text,
                    k + (Int.random(in: 0..<8, using: &random) == 0 ? 1 + Int.random(in: 0..<20, using: &random) : 0)
                )
            )
        }
        let captured = packets.enumerated().sorted { ($0.element.due, $0.offset) < ($1.element.due, $1.offset) }
            .map(\.element.text)
        var first: [Left]?
        for batch in [1, 5, 64] {
            let result = try run(Self.handshake + captured, batch: batch)
            let left = result.outputs["stream"]!.map { Left($0.bytes) }.filter { $0.size > 0 }
            #expect(left.count == packets.count)
            var next = [1, 1]
            for packet in left {
                let side = packet.isClient ? 0 : 1
                #expect(losses ? packet.sequence >= next[side] : packet.sequence == next[side])
                if !losses { #expect(packet.acknowledgment <= next[1 - side], "\(packet)") }
                next[side] = packet.sequence + packet.size
            }
            #expect(first == nil || first == left)
            first = left
        }
    }
}
