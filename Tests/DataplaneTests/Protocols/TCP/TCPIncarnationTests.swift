// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

/// Which SYNs begin another connection between the same ends.
@Suite struct TCPIncarnationTests {
    /// A connection, and what a flow table keeps beside it. The client is the lower end.
    private struct Bench {
        var incarnation = TCPIncarnation()
        var acknowledged: [UInt32?] = [nil, nil]
        var hasBegun = [false, false]
        var trustsEnds = true

        mutating func see(_ segment: TCPSegment, of end: Int) -> TCPIncarnation.Verdict {
            var verdict = TCPIncarnation.Verdict.same
            if hasBegun != [false, false] {
                verdict = incarnation.judge(
                    segment,
                    isUpper: end == 1,
                    isSeen: hasBegun[end],
                    isOtherSeen: hasBegun[1 - end],
                    hasAcknowledged: acknowledged[end] != nil,
                    trustsEnds: trustsEnds,
                    next: acknowledged[1 - end]
                )
            }
            if !hasBegun[end] {
                incarnation.begin(segment, isUpper: end == 1, isFirst: !hasBegun[1 - end])
                hasBegun[end] = true
            }
            if segment.isACK, !segment.isRST { acknowledged[end] = segment.acknowledgment }
            return verdict
        }

        /// Segments as "C SA 100 501 10": the end, flags, sequence and acknowledgment numbers, bytes; "signed" behind.
        @discardableResult
        mutating func see(_ texts: String...) throws -> TCPIncarnation.Verdict {
            var verdict = TCPIncarnation.Verdict.same
            for text in texts {
                let words = text.split(separator: " ")
                var segment = try TCPSegment(words: words[1...])
                if words.last == "signed" { segment.isSigned = true }
                verdict = see(segment, of: words[0] == "C" ? 0 : 1)
            }
            return verdict
        }
    }

    private func opened() throws -> Bench {
        var bench = Bench()
        try bench.see("C S 100", "S SA 500 101", "C A 101 501", "C A 101 501 10", "S A 501 111 20", "C A 111 521")
        return bench
    }

    @Test func aSYNWithinAConnectionIsACandidate() throws {
        var bench = try opened()
        for isn in [100, 120, 3_000_000_000] { #expect(try bench.see("C S \(isn)") == .same, "\(isn)") }
        // The challenge ACK is no answer, nor is a SYN-ACK for another number.
        #expect(try bench.see("S A 521 111", "S SA 900 777") == .same)
        #expect(try bench.see("S SA 900 3000000001") == .answers)
    }

    @Test func theAnswerAcknowledgesTheSYNAndAtMostItsBytes() throws {
        for (ack, expected) in [(7000, TCPIncarnation.Verdict.same), (7001, .answers), (7011, .answers), (7012, .same)]
        {
            var bench = try opened()
            #expect(try bench.see("C S 7000 0 10", "S SA 900 \(ack)") == expected, "\(ack)")
            var refused = try opened()
            #expect(try refused.see("C S 7000 0 10", "S RA 0 \(ack)") == expected, "\(ack)")
        }
        // The client does not answer itself.
        var bench = try opened()
        #expect(try bench.see("C S 7000", "C SA 900 7001") == .same)
    }

    /// Its bytes have left in a stream that it ended, and no other is to be taken for that.
    @Test func behindARSTAloneASYNBegins() throws {
        for trustsEnds in [true, false] {
            for (first, expected) in [
                ("S RA 500 101 10", TCPIncarnation.Verdict.begins), ("C RA 99 501 10", .begins),
                ("S RA 500 101", .same),
                ("S A 500 101 10", .same),
            ] {
                var bench = Bench(trustsEnds: trustsEnds)
                #expect(try bench.see(first, "S RA 510 101") == .same)
                #expect(try bench.see("C S 100") == expected, "\(first)")
                // Not where the other end has gone on; that the same one does means nothing.
                let answer = first.hasPrefix("S") ? "C A 101 501" : "S A 501 101"
                var other = Bench(trustsEnds: trustsEnds)
                #expect(try other.see(first, answer, "C S 777") == .same, "\(first)")
                var same = Bench(trustsEnds: trustsEnds)
                #expect(try same.see(first, "\(first.prefix(1)) A 900 101 5", "C S 777") == expected, "\(first)")
            }
        }
    }

    @Test func aClosedConnectionGivesWayAtOnce() throws {
        var bench = try opened()
        try bench.see("C FA 111 521", "S A 521 112", "S FA 521 112")
        #expect(try bench.see("C S 9000") == .same, "the server's FIN is not acknowledged")
        try bench.see("C A 112 522")
        #expect(try bench.see("C S 9001") == .begins)
    }

    @Test func aFINThatItsReceiverDoesNotTakeClosesNothing() throws {
        var bench = try opened()
        // Acknowledged before it was sent: an old number.
        try bench.see("C FA 110 521", "S FA 521 111", "C A 111 522", "S A 522 111")
        #expect(try bench.see("C S 9000") == .same)
        // Never acknowledged: it did not arrive.
        var other = try opened()
        try other.see("C FA 5000 521", "S FA 521 111", "C A 111 522", "S A 522 111")
        #expect(try other.see("C S 9000") == .same)
    }

    @Test func aRSTClosesWithTheNumberThatIsExpected() throws {
        for (reset, expected) in [
            ("S R 521", TCPIncarnation.Verdict.begins), ("S R 520", .same), ("S R 522", .same), ("C R 111", .begins),
            ("C R 110", .same), ("S R 521 0 0 signed", .same),
        ] {
            var bench = try opened()
            #expect(try bench.see(reset, "C S 9000") == expected, "\(reset)")
        }
    }

    @Test func aRefusedConnectionGivesWay() throws {
        var bench = Bench()
        #expect(try bench.see("C S 100", "S RA 0 101", "C S 9000") == .begins)
        var guessed = Bench()
        #expect(try guessed.see("C S 100", "S RA 0 777", "C S 9000") == .same)
    }

    /// Where only one side was captured, no answer will be.
    @Test func withoutTheOtherSideASYNIsBelieved() throws {
        var bench = Bench()
        #expect(try bench.see("C S 100", "C A 101 501 10", "C S 9000") == .begins)
        var again = Bench()
        #expect(try again.see("C S 100", "C A 101 501 10", "C S 100") == .same)
    }

    @Test func whatFollowsAFINIsJudged() throws {
        var bench = try opened()
        #expect(!bench.incarnation.judgesAll)
        try bench.see("S FA 521 111")
        #expect(bench.incarnation.judgesAll)
    }

    /// The SYN-ACK that comes again answers the SYN that it answered before, whatever a later SYN claims to have sent.
    @Test func anAnswerThatComesAgainIsNone() throws {
        var bench = try opened()
        #expect(try bench.see("C S 96 0 10", "S SA 500 101") == .same)
        #expect(try bench.see("C S 8999 0 10", "S SA 900 9000") == .answers)
    }

    /// Of two SYNs before any answer, the answer tells which the server took; if it was not captured, what follows.
    @Test func ofTwoSYNsOneIsAnswered() throws {
        var first = Bench()
        #expect(try first.see("C S 100", "C S 5000") == .same)
        #expect(try first.see("S SA 500 101") == .same && !first.incarnation.judgesAll)
        var second = Bench()
        #expect(try second.see("C S 100", "C S 5000", "S SA 500 5001") == .answers)
        var unseen = Bench()
        #expect(try unseen.see("C S 100", "C S 5000") == .same && unseen.incarnation.judgesAll)
        #expect(try unseen.see("C A 101 501 10") == .same)
        #expect(try unseen.see("C A 5001 501 10") == .begins)
    }

    /// A firewall does not know what the server made of a RST: it believes answers alone.
    @Test func answersAloneAreBelieved() throws {
        for end in [["S R 521"], ["C FA 111 521", "S FA 521 112", "C A 112 522"], ["C R 111"]] {
            var bench = try opened()
            bench.trustsEnds = false
            for text in end { try bench.see(text) }
            #expect(try bench.see("C S 9000") == .same)
            #expect(try bench.see("S SA 700 9001") == .answers)
        }
        var half = Bench()
        half.trustsEnds = false
        #expect(try half.see("C S 100", "C A 101 501 10", "C S 9000", "C A 9001 501 10") == .same)
    }
}
