// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

/// The one judgement of segments as a table: in each state, what the receiver makes of a segment, and the sentence that says so.
///
/// A line is the sender, C or S, the segment (see SegmentWords), an arrow, the verdict. Every line is judged in a fresh state.
@Suite struct JudgementTests {
    struct State: Sendable, CustomStringConvertible {
        var name: String
        /// What was seen before.
        var history: [String]
        /// Lines by the sentence they follow.
        var rules: [(sentence: String, lines: [String])]
        var description: String { name }
    }

    /// Both directions of a connection, as a reassembler keeps them.
    struct Bench {
        var directions = [TCPDirection(), TCPDirection()]
        var isFirst = true

        /// Judges a segment as the text before the arrow gives it, and takes what is next.
        mutating func judge(_ text: Substring, at time: Int64 = 0) throws -> String {
            let words = text.split(separator: " ")
            let side = words[0] == "C" ? 0 : 1
            let segment = try TCPSegment(words: words[1...])
            var (own, other) = (directions[side], directions[1 - side])
            let judgement = own.judge(segment, other: &other, isFirst: isFirst, at: time)
            isFirst = false
            if case .next(let ending) = judgement.place, !own.isUnanswered {
                own.next = segment.end
                if ending != .none { own.marks.insert(.ended) }
            }
            (directions[side], directions[1 - side]) = (own, other)
            return Bench.word(judgement.place)
        }

        static func word(_ place: TCPDirection.Place) -> String {
            switch place {
            case .refused(let fault): "\(fault)"
            case .nothingNew: "nothing"
            case .ignoredReset: "ignored"
            case .repeatedSYN: "again"
            case .next(let ending): ending == .none ? "next" : "next \(ending)"
            case .early(let ending): ending == .none ? "early" : "early \(ending)"
            }
        }
    }

    @Test(arguments: states) func everyLineHolds(_ state: State) throws {
        for (sentence, lines) in state.rules {
            for line in lines {
                var bench = Bench()
                for text in state.history { _ = try bench.judge(text[...]) }
                let halves = line.split(separator: ">").map { $0.trimmingPrefix { $0 == " " } }
                let verdict = try bench.judge(Substring(halves[0].hasSuffix("-") ? halves[0].dropLast() : halves[0]))
                #expect(verdict == halves[1], "\(state.name): \(line) — \(sentence)")
            }
        }
    }

    /// There are enough of them, and none is there twice.
    @Test func theTableIsWide() {
        let lines = Self.states.flatMap { state in state.rules.flatMap(\.lines).map { state.name + $0 } }
        #expect(lines.count >= 200 && Set(lines).count == lines.count, "\(lines.count) lines")
    }

    /// A segment that is refused, or brings nothing, changes nothing: afterwards all others are judged as before.
    @Test(arguments: states.filter { !$0.history.isEmpty }) func whatIsNotTakenDoesNothing(_ state: State) throws {
        let all = state.rules.flatMap(\.lines).map { $0.split(separator: ">").map { $0.trimmingPrefix { $0 == " " } } }
        func segment(_ line: [Substring]) -> Substring { line[0].hasSuffix("-") ? line[0].dropLast() : line[0] }
        let idle = all.filter { line in
            !["next", "early", "nothing", "again"].contains { line[1].hasPrefix($0) }
        }
        for bad in idle {
            for line in all {
                var bench = Bench()
                for text in state.history { _ = try bench.judge(text[...]) }
                _ = try bench.judge(segment(bad))
                let verdict = try bench.judge(segment(line))
                #expect(verdict == line[1], "\(state.name): \(line) behind \(bad)")
            }
        }
    }

    /// RFC 7323 section 5.5: after 24 days a remembered timestamp says nothing.
    @Test func timestampsAgeOut() throws {
        let day: Int64 = 86_400_000_000_000
        for (days, expected) in [(Int64(0), "oldTimestamp"), (24, "oldTimestamp"), (25, "next")] {
            var bench = Bench()
            for text in ["C S 100 ts=10", "S SA 500 101 ts=5", "C A 101 501 ts=11", "C A 101 501 10 ts=12"] {
                _ = try bench.judge(text[...])
            }
            #expect(try bench.judge("C A 111 501 10 ts=3", at: days * day) == expected)
        }
    }

    // MARK: The table

    private static let handshake = ["C S 100", "S SA 500 101", "C A 101 501"]
    private static let open = handshake + ["C A 101 501 10", "S A 501 111 20", "C A 111 521"]

    static let states = [
        State(
            name: "nothing seen",
            history: [],
            rules: [
                (
                    "RFC 9293 3.10.7.2: a SYN opens a connection.",
                    ["C S 100 -> nothing", "C S 100 0 10 -> next", "C S 4294967295 0 1 -> next"]
                ),
                (
                    "A capture may begin midway.",
                    [
                        "C A 101 501 10 -> next", "C A 101 501 -> nothing", "C FA 101 501 -> next fin",
                        "C FA 101 501 5 -> next fin",
                        "S SA 500 101 -> nothing", "S SA 500 101 7 -> next", "C PA 101 501 1 -> next",
                    ]
                ),
                (
                    "RFC 9293 3.10.7.4: if the ACK bit is off, drop the segment.",
                    ["C - 101 0 10 -> noAck", "C P 101 0 10 -> noAck", "C F 101 -> noAck", "C F 101 0 3 -> noAck"]
                ),
                (
                    "RFC 9293 3.1: a header has at least 20 bytes.",
                    [
                        "C A 101 501 10 short -> badHeaderLength", "C S 100 short -> badHeaderLength",
                        "C R 101 short -> badHeaderLength",
                    ]
                ),
                (
                    "A RST is not believed of a connection that nobody has seen.",
                    ["C R 101 -> ignored", "S RA 0 101 -> ignored", "C RA 101 501 -> ignored"]
                ),
                (
                    "But the first packet of a capture may be the one that resets, with the reason as its bytes.",
                    [
                        "C RA 101 501 4 -> next rst"
                    ]
                ),
            ]
        ),
        State(
            name: "SYN-SENT",
            history: ["C S 100"],
            rules: [
                (
                    "RFC 9293 3.10.7.3: an ACK is acceptable if SND.UNA < SEG.ACK =< SND.NXT.",
                    [
                        "S SA 500 101 -> nothing", "S SA 500 101 7 -> next", "S SA 500 100 -> wrongAck",
                        "S SA 500 102 -> wrongAck", "S SA 500 777 30 -> wrongAck", "S SA 500 0 -> wrongAck",
                        "S A 501 100 -> wrongAck", "S A 501 50 20 -> wrongAck", "S FA 501 50 -> wrongAck",
                        "S A 501 4294967200 9 -> wrongAck",
                    ]
                ),
                (
                    "RFC 9293 3.10.7.3: if the RST's ACK was acceptable, the connection is refused.",
                    [
                        "S RA 0 101 -> next rst", "S RA 0 102 -> ignored", "S RA 0 100 -> ignored", "S R 0 -> ignored",
                        "S R 101 -> ignored", "S RA 0 -> ignored",
                    ]
                ),
                (
                    "RFC 9293 3.5: both may open at once.",
                    ["S S 500 -> nothing"]
                ),
                (
                    "RFC 9293 3.10.7.4 and 3.8.1: a SYN that comes again is the same.",
                    ["C S 100 -> again", "C S 100 0 5 -> again", "C S 9999 -> again", "C S 101 -> again"]
                ),
                (
                    "The SYN-ACK may have been lost by the capture.",
                    [
                        "C A 101 501 10 -> next", "C A 101 501 -> nothing", "C FA 101 501 -> next fin",
                        "C A 111 501 10 -> early",
                    ]
                ),
                (
                    "RFC 9293 3.10.7.4: no ACK, no segment.",
                    ["C P 101 0 4 -> noAck", "S P 501 0 4 -> noAck", "S F 501 -> noAck"]
                ),
                (
                    "RFC 2385: a signature that the SYN did not have is dropped.",
                    [
                        "C A 101 501 10 signed -> signature", "C R 101 signed -> signature",
                        "C FA 101 501 signed -> signature",
                    ]
                ),
            ]
        ),
        State(
            name: "SYN with data, not answered",
            history: ["C S 100 0 10"],
            rules: [
                (
                    "RFC 7413 4.2.2: the SYN-ACK acknowledges the SYN, or some or all of its bytes.",
                    ["S SA 500 101 -> nothing", "S SA 500 100 -> wrongAck", "S SA 500 50 -> wrongAck"]
                ),
                ("RFC 9293 3.10.7.3.", ["S RA 0 101 -> next rst", "S RA 0 50 -> ignored", "S R 101 -> ignored"]),
            ]
        ),
        State(
            name: "SYN-RECEIVED",
            history: ["C S 100", "S SA 500 101"],
            rules: [
                (
                    "RFC 9293 3.10.7.4: in SYN-RECEIVED, SND.UNA < SEG.ACK, else a RST is sent and the segment dropped.",
                    [
                        "C A 101 501 -> nothing", "C A 101 501 10 -> next", "C A 101 500 10 -> wrongAck",
                        "C A 101 7 10 -> wrongAck", "C A 101 500 -> wrongAck", "C FA 101 400 -> wrongAck",
                        "C FA 101 501 -> next fin", "C A 101 4294967295 10 -> wrongAck",
                    ]
                ),
                (
                    "RFC 9293 3.10.7.4: SYN-RECEIVED, a SYN again or another: challenge ACK.",
                    [
                        "C S 100 -> again", "C S 200 -> again", "C S 4000000000 -> again", "C SA 100 501 -> again",
                        "C SA 100 501 20 -> again",
                    ]
                ),
                (
                    "RFC 5961 3.2: a RST with exactly the next number.",
                    [
                        "C R 101 -> next rst", "C R 102 -> ignored", "C R 100 -> ignored", "C RA 101 501 -> next rst",
                        "C RA 101 9 -> next rst", "S R 501 -> next rst", "S R 500 -> ignored",
                        "S RA 501 101 -> next rst",
                        "S R 502 -> ignored",
                    ]
                ),
                (
                    "RFC 9293 3.10.7.4: the RST bit is looked at before the SYN bit, which then means nothing.",
                    [
                        "C SR 101 -> next rst", "C SR 100 -> ignored", "S SRA 500 101 -> ignored",
                        "S SRA 9000 77 -> ignored", "S SR 501 -> next rst",
                    ]
                ),
                (
                    "The server repeats its SYN-ACK; another one is a candidate.",
                    [
                        "S SA 500 101 -> again", "S SA 9000 101 -> again", "S SA 9000 101 30 -> again",
                    ]
                ),
                ("Behind a hole.", ["C A 111 501 10 -> early", "C FA 111 501 -> early fin"]),
                (
                    "RFC 9293 3.8.6: beyond any window.",
                    ["C A 1048580 501 100 -> outOfWindow", "C A 2147483000 501 100 -> outOfWindow"]
                ),
                ("Old bytes.", ["C A 91 501 10 -> nothing", "C A 100 501 1 -> nothing", "C A 100 501 -> nothing"]),
                ("RFC 2385.", ["C A 101 501 10 signed -> signature", "S A 501 101 10 signed -> signature"]),
            ]
        ),
        State(
            name: "ESTABLISHED",
            history: open,
            rules: [
                (
                    "RFC 9293 3.10.7.4: the next bytes.",
                    [
                        "C A 111 521 10 -> next", "C PA 111 521 1 -> next", "C A 111 521 1460 -> next",
                        "C A 105 521 10 -> next",
                        "C A 101 521 11 -> next", "S A 521 111 10 -> next", "S A 510 111 20 -> next",
                        "C A 111 501 10 -> next",
                        "C PAU 111 521 3 -> next", "S PA 521 101 5 -> next",
                    ]
                ),
                (
                    "Nothing new.",
                    [
                        "C A 111 521 -> nothing", "C A 101 521 10 -> nothing", "C A 105 521 6 -> nothing",
                        "C A 110 521 -> nothing",
                        "C A 110 521 1 -> nothing", "C A 112 521 -> nothing", "S A 521 111 -> nothing",
                        "S A 501 111 20 -> nothing",
                        "S A 520 111 1 -> nothing", "C FA 110 521 -> nothing", "C A 1000 521 -> nothing",
                    ]
                ),
                (
                    "Behind a hole.",
                    [
                        "C A 112 521 10 -> early", "C A 121 521 10 -> early", "C FA 121 521 -> early fin",
                        "S A 600 111 1 -> early",
                        "S FA 600 111 3 -> early fin", "C A 65000 521 100 -> early",
                    ]
                ),
                (
                    "RFC 9293 3.8.6, 3.10.7.4: beyond any window.",
                    [
                        "C A 1048690 521 100 -> outOfWindow", "C A 2147483700 521 10 -> outOfWindow",
                        "C FA 1100000 521 -> outOfWindow", "S A 3000000 111 10 -> outOfWindow",
                    ]
                ),
                (
                    "RFC 5961 5.2: acknowledgments older than the window are not taken, nor is what comes with them.",
                    [
                        "C A 111 4294902000 10 -> wrongAck", "C A 111 3000000000 10 -> wrongAck",
                        "C A 111 4294901000 -> wrongAck", "C FA 111 4294901000 -> wrongAck",
                        "S A 521 4294901000 10 -> wrongAck",
                        "C A 111 4294902290 10 -> next", "C A 111 1 10 -> next", "C A 111 4294967295 10 -> next",
                        "C A 111 2147484190 10 -> wrongAck",
                    ]
                ),
                (
                    "RFC 9293 3.4: FIN.",
                    [
                        "C FA 111 521 -> next fin", "C FPA 111 521 7 -> next fin", "S FA 521 111 -> next fin",
                        "C FA 101 521 10 -> next fin",
                        "C FA 100 521 10 -> nothing",
                    ]
                ),
                (
                    "RFC 5961 3.2: only the next number resets.",
                    [
                        "C R 111 -> next rst", "C RA 111 521 -> next rst", "C RA 111 7 -> next rst",
                        "C R 110 -> ignored",
                        "C R 112 -> ignored", "C R 101 -> ignored", "C R 0 -> ignored", "C R 2147483759 -> ignored",
                        "S R 521 -> next rst", "S R 520 -> ignored", "S RA 522 111 -> ignored",
                        "S RA 521 111 4 -> next rst",
                        "C RA 112 521 10 -> ignored",
                    ]
                ),
                (
                    "RFC 5961 4.2: a SYN draws a challenge ACK, whatever its number.",
                    [
                        "C S 100 -> again", "C S 111 -> again", "C S 411 -> again", "C S 3000000000 -> again",
                        "C SA 110 521 -> again",
                        "C S 110 0 30 -> again", "C SFA 110 521 30 -> again", "S S 520 -> again",
                        "S SA 520 111 -> again",
                        "S SA 500 101 -> again", "S SA 9000 101 40 -> again",
                    ]
                ),
                (
                    "RFC 9293 3.10.7.4: no ACK, no segment.",
                    [
                        "C - 111 0 10 -> noAck", "C P 111 0 10 -> noAck", "C F 111 -> noAck", "C FPU 111 0 4 -> noAck",
                        "S - 521 0 1 -> noAck", "C - 111 -> nothing",
                    ]
                ),
                (
                    "RFC 2385, RFC 5925 7.3: the connection has no signatures.",
                    [
                        "C A 111 521 10 signed -> signature", "C R 111 signed -> signature",
                        "C RA 111 521 signed -> signature",
                        "C FA 111 521 signed -> signature", "S A 521 111 10 signed -> signature",
                        "S R 521 signed -> signature",
                        "C A 111 521 signed -> signature",
                    ]
                ),
                ("RFC 9293 3.1.", ["C A 111 521 10 short -> badHeaderLength", "C R 111 short -> badHeaderLength"]),
                (
                    "RFC 7323 3.2: without the option in the SYNs a timestamp is ignored.",
                    [
                        "C A 111 521 10 ts=7 -> next", "C A 111 521 10 ts=4000000000 -> next",
                    ]
                ),
            ]
        ),
        State(
            name: "ESTABLISHED with timestamps",
            history: [
                "C S 100 ts=1000", "S SA 500 101 ts=50", "C A 101 501 ts=1001", "C A 101 501 10 ts=1002",
                "S A 501 111 20 ts=60",
            ],
            rules: [
                (
                    "RFC 7323 5.3: a segment with an older timestamp is dropped.",
                    [
                        "C A 111 521 10 ts=1001 -> oldTimestamp", "C A 111 521 10 ts=1 -> oldTimestamp",
                        "C A 111 521 10 ts=4294967295 -> oldTimestamp", "C FA 111 521 ts=9 -> oldTimestamp",
                        "C A 111 521 ts=1000 -> oldTimestamp", "S A 521 111 10 ts=59 -> oldTimestamp",
                        "C A 111 521 10 ts=2147484651 -> oldTimestamp",
                    ]
                ),
                (
                    "One as new, or newer, is taken.",
                    [
                        "C A 111 521 10 ts=1002 -> next", "C A 111 521 10 ts=1003 -> next",
                        "C A 111 521 10 ts=2147484649 -> next",
                        "S A 521 111 10 ts=60 -> next",
                    ]
                ),
                (
                    "RFC 7323 5.2: RSTs are not asked for theirs.",
                    ["C R 111 ts=1 -> next rst", "C RA 111 521 ts=1 -> next rst"]
                ),
                ("RFC 7323 3.2: a segment without is taken by most receivers.", ["C A 111 521 10 -> next"]),
                (
                    "RFC 5961 5.2 comes before the timestamp is recorded.",
                    [
                        "C A 111 3000000000 10 ts=2000000000 -> wrongAck",
                        "C A 111 521 10 ts=2000000000 signed -> signature",
                    ]
                ),
                ("SYNs are not asked for theirs.", ["C S 100 ts=1 -> again", "C S 7777 ts=1 -> again"]),
            ]
        ),
        State(
            name: "FIN-WAIT: the client has sent FIN",
            history: open + ["C FA 111 521"],
            rules: [
                (
                    "RFC 9293 3.10.7.4: text behind the FIN should not occur; it is ignored.",
                    [
                        "C A 111 521 10 -> afterEnd", "C A 112 521 10 -> afterEnd", "C A 500 521 10 -> afterEnd",
                        "C A 105 521 20 -> afterEnd",
                    ]
                ),
                (
                    "What comes again, or is empty, brings nothing.",
                    [
                        "C FA 111 521 -> nothing", "C A 112 521 -> nothing", "C A 101 521 10 -> nothing",
                        "C A 112 600 -> nothing",
                        "C FA 112 521 -> nothing",
                    ]
                ),
                (
                    "The other side goes on.",
                    [
                        "S A 521 112 -> nothing", "S A 521 112 100 -> next", "S FA 521 112 -> next fin",
                        "S A 521 111 9 -> next",
                        "S A 530 112 9 -> early", "S R 521 -> next rst", "S R 522 -> ignored",
                        "S A 521 4294900000 9 -> wrongAck",
                    ]
                ),
                ("The end is an end.", ["C R 111 -> ignored", "C R 112 -> ignored"]),
                ("RFC 5961 4.2.", ["C S 9000 -> again", "S S 521 -> again"]),
            ]
        ),
        State(
            name: "CLOSED: both have sent FIN",
            history: open + ["C FA 111 521", "S FA 521 112", "C A 112 522"],
            rules: [
                (
                    "RFC 9293 3.10.7.4, TIME-WAIT: only the FIN again.",
                    [
                        "S FA 521 112 -> nothing", "S A 522 112 -> nothing", "S A 522 112 5 -> afterEnd",
                        "C A 112 522 -> nothing",
                        "C A 112 522 5 -> afterEnd", "C FA 111 521 -> nothing", "S R 521 -> ignored",
                        "S R 522 -> ignored",
                        "C R 112 -> ignored", "C S 9000 -> again",
                    ]
                )
            ]
        ),
        State(
            name: "reset by the client",
            history: open + ["C R 111"],
            rules: [
                (
                    "RFC 9293 3.10.7.4: all is over on this side.",
                    [
                        "C A 111 521 10 -> afterEnd", "C A 101 521 10 -> nothing", "C R 111 -> ignored",
                        "C FA 111 521 -> nothing",
                    ]
                ),
                ("What the other side had sent may still come.", ["S A 521 111 5 -> next"]),
            ]
        ),
        State(
            name: "signed",
            history: ["C S 100 signed", "S SA 500 101 signed", "C A 101 501 signed"],
            rules: [
                (
                    "RFC 2385: a segment without the signature that was agreed on is dropped.",
                    [
                        "C A 101 501 10 -> signature", "C R 101 -> signature", "C FA 101 501 -> signature",
                        "S A 501 101 10 -> signature",
                        "S R 501 -> signature", "C A 101 501 -> signature",
                    ]
                ),
                (
                    "With it, it is taken.",
                    [
                        "C A 101 501 10 signed -> next", "C R 101 signed -> next rst",
                        "S FA 501 101 signed -> next fin",
                        "C A 111 501 10 signed -> early",
                    ]
                ),
            ]
        ),
        State(
            name: "two SYN-ACKs, the client took the second",
            history: ["C S 100", "S SA 500 101", "S SA 900000 101", "C A 101 900001"],
            rules: [
                (
                    "RFC 9293 3.10.7.3: the client is in ESTABLISHED with the number it acknowledged.",
                    [
                        "S A 900001 101 10 -> next", "S A 501 101 10 -> nothing", "C A 101 900001 10 -> next",
                        "S R 900001 -> next rst",
                        "S R 501 -> ignored", "C A 101 501 10 -> wrongAck",
                    ]
                )
            ]
        ),
        State(
            name: "two SYN-ACKs, the client took the first",
            history: ["C S 100", "S SA 500 101", "S SA 900000 101", "C A 101 501"],
            rules: [
                (
                    "RFC 9293 3.10.7.3.",
                    [
                        "S A 501 101 10 -> next", "S A 900001 101 10 -> early", "C A 101 501 10 -> next",
                        "S R 501 -> next rst",
                        "S R 900001 -> ignored",
                    ]
                )
            ]
        ),
        State(
            name: "picked up midway",
            history: ["C A 101 501 10", "S A 501 111 20"],
            rules: [
                (
                    "Nothing is known of what came before.",
                    [
                        "C A 111 521 10 -> next", "C A 101 521 10 -> nothing", "S A 521 111 10 -> next",
                        "C R 111 -> next rst",
                        "C R 110 -> ignored", "S R 521 -> next rst", "C S 500 -> again", "C A 121 521 10 -> early",
                        "C A 111 521 10 signed -> next", "C FA 111 521 -> next fin",
                    ]
                )
            ]
        ),
        State(
            name: "SYN-ACK captured before its SYN",
            history: ["S SA 500 101", "C S 100"],
            rules: [
                (
                    "RFC 9293 3.10.7.3, whatever the order of the capture.",
                    [
                        "C A 101 501 -> nothing", "C A 101 501 10 -> next", "C A 101 499 10 -> wrongAck",
                        "S A 501 101 10 -> next",
                        "S SA 500 101 -> again", "C S 100 -> again",
                    ]
                )
            ]
        ),
        State(
            name: "a SYN-ACK that does not answer, before the SYN",
            history: ["S SA 500 777", "C S 100"],
            rules: [
                (
                    "RFC 9293 3.10.7.3: nobody takes it.",
                    [
                        "S SA 9000 101 -> nothing", "S SA 500 777 -> wrongAck", "C A 101 9001 10 -> next",
                        "S SA 500 101 -> nothing",
                    ]
                )
            ]
        ),
        State(
            name: "SYN-SENT, and the server acknowledges what is before it",
            history: ["C S 777000", "S A 5001 1001"],
            rules: [
                (
                    "RFC 9293 3.10.7.4: who is asked to begin anew answers with an ACK and goes on, and so does the client.",
                    [
                        "C A 1001 5001 10 -> next", "C A 1001 5001 -> nothing", "C FA 1001 5001 -> next fin",
                        "C A 1001 5001 10 ts=7 -> next", "C A 1001 5001 10 signed -> next",
                    ]
                ),
                (
                    "RFC 9293 3.10.7.3: the SYN may be answered all the same.",
                    ["S SA 9000 777001 -> nothing", "C A 777001 9001 10 -> next", "S RA 0 777001 -> next rst"]
                ),
                (
                    "RFC 9293 3.10.7.3: what answers no SYN opens nothing.",
                    ["S A 5001 1001 10 -> wrongAck", "S FA 5001 1001 -> wrongAck", "S SA 5001 1001 -> wrongAck"]
                ),
            ]
        ),
        State(
            name: "SYN-SENT, and the client goes on before it",
            history: ["C S 777000", "C A 1001 5001"],
            rules: [
                (
                    "RFC 9293 3.10.7.4: the server's acknowledgment says which of both it takes.",
                    [
                        "S A 5001 1001 -> nothing", "S A 5001 1001 10 -> next", "S FA 5001 1001 -> next fin",
                        "S SA 9000 777001 -> nothing", "S RA 0 777001 -> next rst", "S A 5001 1002 10 -> wrongAck",
                        "S SA 5000 1001 -> wrongAck",
                    ]
                ),
                (
                    "RFC 5961 3.2: a RST that is not at the next byte of a connection is ignored, and none is sure yet.",
                    ["C R 1001 -> ignored", "C RA 1001 5001 -> ignored", "C R 777001 -> next rst"]
                ),
                (
                    "What follows either of both is judged as such.",
                    ["C A 1001 5001 10 -> next", "C A 1011 5001 10 -> next", "C A 777001 9001 10 -> next"]
                ),
            ]
        ),
        State(
            name: "a SYN-ACK where another connection is",
            history: ["S SA 777000 888000", "C A 1001 5001 10"],
            rules: [
                (
                    "RFC 9293 3.10.7.4: both go on where they were.",
                    ["S A 5001 1011 -> nothing", "S A 5001 1011 10 -> next", "C A 888000 777001 10 -> next"]
                )
            ]
        ),
    ]
}
