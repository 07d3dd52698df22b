// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// TCPReassembler takes what a receiver takes, and nothing else: whoever could make the two differ could hide from what
/// reads the stream.
@Suite struct ReceiverRuleTests {
    private static let handshake = [
        "10.0.0.1:1000 > 10.0.0.2:80 S seq=0", "10.0.0.2:80 > 10.0.0.1:1000 SA seq=0 ack=1",
        "10.0.0.1:1000 > 10.0.0.2:80 A seq=1 ack=1",
    ]
    private static let timed = [
        "10.0.0.1:1000 > 10.0.0.2:80 S seq=0 ts=1/0", "10.0.0.2:80 > 10.0.0.1:1000 SA seq=0 ack=1 ts=1/1",
        "10.0.0.1:1000 > 10.0.0.2:80 A seq=1 ack=1 ts=1/1",
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

    // MARK: Flags

    @Test func aFINWithoutACKEndsNothing() throws {
        let result = try run(Self.handshake + [Self.client("F seq=1"), Self.client("PA seq=1 ack=1 data=\"abc\"")])
        #expect(text(result) == "abc")
        #expect(result.drops == ["no_ack": 1])
    }

    @Test(arguments: ["SA", "SPA", "SFA"]) func onlyTheFirstSYNBringsBytes(_ flags: String) throws {
        let packets = [
            Self.client("\(flags) seq=0 ack=1 data=\"evil\""), Self.client("PA seq=1 ack=1 data=\"good\""),
            Self.client("\(flags) seq=4 ack=1"), Self.client("PA seq=5 ack=1 data=\"!\""),
        ]
        let result = try run(Self.handshake + packets)
        #expect(text(result) == "good!")
        #expect(result.drops == [:])
        // Where the beginning was not captured, too.
        #expect(
            text(try run([Self.client("PA seq=1 ack=1 data=\"a\""), Self.client("SA seq=1 data=\"evil\"")])) == "a"
        )
    }

    @Test func bytesOfTheSYNCount() throws {
        let packets = [Self.client("S seq=0 data=\"early\""), Self.server("SA seq=0 ack=6")]
        #expect(text(try run(packets + [Self.client("A seq=6 ack=1 data=\" late\"")])) == "early late")
    }

    @Test(arguments: ["R seq=7777", "RA seq=7777 ack=9", "RA seq=0"])
    func aGuessedResetBeforeTheAnswerEndsNothing(_ reset: String) throws {
        let packets = [
            Self.handshake[0], Self.server(reset), Self.handshake[1], Self.handshake[2],
            Self.server("PA seq=1 ack=1 data=\"abc\""),
        ]
        let result = try run(packets)
        #expect(text(result) == "abc")
        #expect(result.handler("resets_ignored") == 1 && result.drops == [:])
    }

    /// The connection is refused; or the side that resets it was not captured before.
    @Test func aResetThatFitsTheOtherSideCounts() throws {
        for (before, reset) in [
            (Self.client("S seq=0"), "RA seq=0 ack=1"), (Self.client("PA seq=1 ack=500 data=\"abc\""), "R seq=500"),
        ] {
            let result = try run([before, Self.server(reset), Self.server("PA seq=501 ack=1 data=\"late\"")])
            #expect(result.handler("resets_ignored") == 0 && result.drops == ["after_end": 1])
        }
    }

    @Test(arguments: [0x00, 0x40, 0xf0] as [UInt8]) func anImpossibleHeaderLengthEndsNothing(_ offset: UInt8) throws {
        var packets = try
            (Self.handshake + [Self.client("FA seq=1 ack=1"), Self.client("PA seq=1 ack=1 data=\"abc\"")])
            .map {
                let frame = try PacketText.frame($0)
                return ElementHarness.Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: 0)
            }
        packets[3].bytes[46] = offset
        let result = checked(try ElementHarness("TCPReassembler").run(["in": packets]))
        #expect(text(result) == "abc")
        #expect(result.drops == ["bad_header_length": 1])
    }

    // MARK: Timestamps

    /// A receiver takes nothing of a segment whose bytes it all has, its timestamp neither.
    @Test func anOldSegmentDoesNotSetTheTimestamp() throws {
        let packets = [
            Self.client("PA seq=1 ack=1 ts=10/1 data=\"abc\""),
            Self.client("PA seq=1 ack=1 ts=2000000000/1 data=\"ab\""),
            Self.client("A seq=3 ack=1 ts=2000000000/1"), Self.client("SA seq=3 ack=1 ts=2000000000/1"),
            Self.client("R seq=3 ack=1 ts=2000000000/1"), Self.client("PA seq=4 ack=1 ts=11/1 data=\"def\""),
        ]
        let result = try run(Self.timed + packets)
        #expect(text(result) == "abcdef")
        #expect(result.drops == [:])
    }

    /// Old timestamps are refused where both sides agreed to send them, and ignored where they did not.
    @Test func timestampsCountWhereBothSidesAgreed() throws {
        let packets = [
            Self.client("PA seq=1 ack=1 ts=100/1 data=\"abc\""), Self.client("PA seq=4 ack=1 ts=99/1 data=\"def\""),
        ]
        let agreed = try run(Self.timed + packets)
        #expect(text(agreed) == "abc" && agreed.drops == ["old_timestamp": 1])
        let unknown = try run(packets)
        #expect(text(unknown) == "abc" && unknown.drops == ["old_timestamp": 1])
        for handshake in [
            Self.handshake, [Self.timed[0]] + Self.handshake[1...], [Self.handshake[0]] + Self.timed[1...],
        ] {
            let result = try run(handshake + packets)
            #expect(text(result) == "abcdef" && result.drops == [:])
        }
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

    /// The capture ends within the options of TCP.
    @Test func aHeaderThatWasNotCapturedWhole() throws {
        let packets = [
            Self.client("PA seq=1 ack=1 ts=2/1 len=10 trunc=60"), Self.client("FA seq=11 ack=1 ts=3/1"),
            Self.client("PA seq=11 ack=1 ts=4/1 len=5"),
        ]
        let result = try run(Self.timed + packets)
        #expect(result.handler("gap_bytes") == 10)
        #expect(result.drops == ["after_end": 1])
    }

    /// The bytes that a cut segment lacks have come before: there is no hole.
    @Test func aCutSegmentWithKnownBytes() throws {
        let packets = [
            Self.client("PA seq=1 ack=1 data=\"abc\""), Self.client("FPA seq=1 ack=1 data=\"abc\" trunc=54"),
        ]
        let result = try run(Self.handshake + packets)
        #expect(text(result) == "abc")
        #expect(result.handler("gaps") == 0)
    }

    // MARK: Opening

    /// A SYN-ACK that was damaged, on the wire or as its NIC had yet to fill in the checksum, does not blind.
    @Test func aDamagedSYNACKGivesWay() throws {
        let packets = [
            Self.client("S seq=99"), Self.server("SA seq=7777 ack=100 badcsum"), Self.client("A seq=100 ack=500"),
            Self.client("PA seq=100 ack=500 data=\"ask\""), Self.server("PA seq=500 ack=103 data=\"answer\""),
        ]
        #expect(text(try run(packets)) == "askanswer")
        var right = packets
        right[1] = Self.server("SA seq=7777 ack=100")
        // An ACK without bytes does nothing, and passes: the other end answers it with RST.
        #expect(try run(right).drops == ["wrong_ack": 1])
    }

    @Test func bytesOfTheSYNCountAsFarAsTheyAreAcknowledged() throws {
        for (ack, expected) in [(1, 5), (4, 8), (6, 10)] {
            let result = try run([
                Self.client("S seq=0 data=\"early\""), Self.server("SA seq=0 ack=\(ack)"),
                Self.client("A seq=\(ack) ack=1 data=\" late\""),
            ])
            #expect(result.handler("stream_bytes") == expected && result.drops == [:], "\(ack)")
        }
        // No answer was captured.
        #expect(text(try run([Self.client("S seq=0 data=\"early\"")])) == "early")
        #expect(
            text(try run([Self.client("S seq=0 data=\"early\""), Self.client("A seq=6 ack=1 data=\" late\"")]))
                == "early late"
        )
    }

    // MARK: Copies

    @Test func conflictsHaveLabels() throws {
        let packets =
            Self.handshake + [
                Self.client("PA seq=1 ack=1 data=\"abcdef\""), Self.client("PA seq=1 ack=1 data=\"abXdef\""),
            ]
        let result = try run(packets, "remember: 64 KiB, labels: {site: north, note: ''}")
        let texts = result.outputs["conflicts"]!.map(\.text)
        #expect(texts.count == 1)
        #expect(texts.allSatisfy { $0.hasSuffix(" before=cdef now=Xdef site=north note=") })
        #expect(throws: (any Error).self) { try run([], "labels: {before: x}") }
    }

    /// What has left is compared until it is acknowledged.
    @Test func copiesAreCompared() throws {
        let question = Self.client("PA seq=1 ack=1 data=\"abcdef\"")
        for (copy, isOther) in [
            ("PA seq=1 ack=1 data=\"abcdef\"", false), ("PA seq=3 ack=1 data=\"cd\"", false),
            ("PA seq=1 ack=1 data=\"abXdef\"", true), ("PA seq=3 ack=1 data=\"cX\"", true),
        ] {
            let packets = Self.handshake + [question, Self.client(copy)]
            let result = try run(packets, "remember: 64 KiB")
            #expect(result.handler("inconsistent") == (isOther ? 1 : 0), "\(copy)")
            #expect(result.outputs["conflicts"]!.count == (isOther ? 1 : 0), "\(copy)")
            // Behind the acknowledgment nobody looks at it.
            let late = try run(
                Self.handshake + [question, Self.server("A seq=1 ack=7"), Self.client(copy)],
                "remember: 64 KiB"
            )
            #expect(late.handler("inconsistent") == 0)
        }
        // It brings new bytes too.
        let longer = try run(
            Self.handshake + [question, Self.client("PA seq=5 ack=1 data=\"eXgh\"")],
            "remember: 64 KiB"
        )
        #expect(longer.handler("inconsistent") == 1 && longer.handler("stream_bytes") == 8)
    }

    // MARK: A SYN that nobody answers

    /// Both sides go on with the connection that was there before, whatever of that was captured.
    @Test(
        arguments: [
            // The server's challenge ACK was captured, or not; the client sends first, or the server.
            [
                server("A seq=50 ack=11"), client("PA seq=11 ack=50 data=\"ab\""),
                server("PA seq=50 ack=13 data=\"cd\""),
            ],
            [client("PA seq=11 ack=50 data=\"ab\""), server("PA seq=50 ack=13 data=\"cd\"")],
            [
                client("PA seq=11 ack=50 data=\"a\""), client("PA seq=12 ack=50 data=\"b\""), server("A seq=50 ack=13"),
                server("PA seq=50 ack=13 data=\"cd\""),
            ],
            [
                client("A seq=11 ack=50"), server("PA seq=50 ack=11 data=\"ab\""),
                client("PA seq=11 ack=52 data=\"cd\""),
            ],
        ]
    )
    func whatASYNInterruptsGoesOn(_ packets: [String]) throws {
        for syn in ["S seq=7770000", "S seq=7770000 ts=4000000000/0"] {
            let result = try run([Self.client(syn)] + packets, "on_gap: wait")
            #expect(text(result) == "abcd", "\(syn)")
            #expect(result.drops == [:])
        }
    }

    /// If the SYN is answered, what does not follow it was of no connection.
    @Test func whatTheAnswerContradictsIsDropped() throws {
        let forged = [
            Self.client("PA seq=7770000 ack=99 data=\"evil\""), Self.client("PA seq=7770004 ack=99 data=\"evil\""),
        ]
        let data = [Self.client("PA seq=1 ack=1 data=\"good\"")]
        for forged in [forged, [Self.client("A seq=7770000 ack=99")], [Self.server("A seq=99 ack=7770000")]] {
            let packets = [Self.handshake[0]] + forged + Self.handshake[1...] + data
            #expect(text(try run(packets)) == "good")
            // The answer was not captured.
            #expect(text(try run([Self.handshake[0]] + forged + [Self.handshake[2]] + data)) == "good")
        }
    }

    /// Before the answer nobody says where the server begins but who acknowledges the SYN.
    @Test(arguments: ["PA seq=999 ack=7777777 data=\"evil\"", "FA seq=999 ack=7777777", "A seq=999 ack=7777777"])
    func whatDoesNotAnswerOpensNothing(_ forged: String) throws {
        let packets = [
            Self.handshake[0], Self.server(forged), Self.handshake[1], Self.handshake[2],
            Self.server("PA seq=1 ack=1 data=\"good\""),
        ]
        #expect(text(try run(packets, "on_gap: wait")) == "good")
    }

    /// What anybody sends where a connection is about to begin, or is followed from midway, opens nothing.
    @Test(
        arguments: [
            [server("PA seq=2004318071 ack=858993459 data=\"x\"")] + handshake,
            [handshake[0], client("SA seq=2004318071 ack=858993459")] + handshake[1...],
            [handshake[0], client("SA seq=0 ack=7"), handshake[1], server("R seq=7"), handshake[2]],
            // It ends behind the SYN, and begins before it.
            [handshake[0], client("PA seq=4294967290 ack=7 data=\"junk of ten\"")] + handshake[1...],
            [client("A seq=1 ack=1"), server("A seq=1 ack=1"), client("SA seq=2004318071 ack=858993459")],
        ]
    )
    func aStrangerOpensNothing(_ beginning: [String]) throws {
        let data = [Self.client("PA seq=1 ack=1 data=\"ask\""), Self.server("PA seq=1 ack=4 data=\"tell\"")]
        let result = try run(beginning + data)
        #expect(text(result).hasSuffix("asktell") && text(result).utf8.count <= 8, "\(text(result))")
    }

    /// Ends, stamps and resets from nowhere, before the SYN or between it and its answer.
    private static let strangers: [(at: Int, words: [String], isTimed: Bool)] = [
        (0, [server("FA seq=2004318071 ack=858993459")], false),
        (0, [server("RA seq=2004318071 ack=858993459 len=1")], false),
        (0, [server("SA seq=2004318071 ack=858993459 ts=1000000/0")], true),
        (0, [client("A seq=2004318071 ack=858993459 ts=1000000/0")], true),
        (1, [server("A seq=2004318071 ack=1 ts=1000000/0")], true),
        (1, [client("A seq=2004318071 ack=7"), server("R seq=7")], false),
        (1, [server("FA seq=2004318071 ack=1")], false),
        (1, [server("PA seq=2004318071 ack=1 len=1")], false),
    ]

    @Test(arguments: strangers.indices) func aStrangerEndsNothing(_ number: Int) throws {
        let (place, words, isTimed) = Self.strangers[number]
        let ts = isTimed ? " ts=2/1" : ""
        var packets = isTimed ? Self.timed : Self.handshake
        packets.insert(contentsOf: words, at: place)
        packets.append(Self.client("PA seq=1 ack=1 data=\"ask\"" + ts))
        packets.append(Self.server("PA seq=1 ack=4 data=\"tell\"" + ts))
        let result = try run(packets)
        #expect(text(result).hasSuffix("asktell") && text(result).utf8.count <= 8, "\(words): \(text(result))")
    }

    /// Where both sides go on, a SYN has begun nothing, whatever came with it.
    @Test(
        arguments: [
            [client("SF seq=2004318071"), server("A seq=1 ack=1")],
            [client("SP seq=2004318071 len=1"), server("A seq=1 ack=1")],
            [client("S seq=2004318071"), client("PA seq=2004318072 ack=7 len=1"), server("A seq=1 ack=1")],
            [client("A seq=1 ack=1"), server("SF seq=2004318071"), client("A seq=1 ack=1"), server("A seq=1 ack=1")],
        ]
    )
    func whatBothSidesContradictIsGivenUp(_ beginning: [String]) throws {
        let data = [
            Self.client("PA seq=1 ack=1 data=\"ask\" time=9s"), Self.server("PA seq=1 ack=4 data=\"tell\""),
        ]
        #expect(text(try run(beginning + data)) == "asktell")
    }

    /// Where the SYN-ACK was not captured, the server's bytes are believed once the client has acknowledged something: one that has
    /// sent only its SYN takes nothing but a SYN-ACK (RFC 9293 section 3.10.7.3).
    @Test func whatOpensInsteadOfASYNACKComesBehindTheClient() throws {
        let (ask, tell) = (Self.client("PA seq=1 ack=1 data=\"ask\""), Self.server("PA seq=1 ack=4 data=\"tell\""))
        #expect(text(try run([Self.handshake[0], ask, tell])) == "asktell")
        #expect(text(try run([Self.handshake[0], tell, ask])) == "ask")
        // The answer may have been captured before its question.
        #expect(text(try run([Self.handshake[0], Self.client("A seq=1 ack=1"), tell, ask])) == "asktell")
    }

    /// What is 2^31 away is neither before nor behind, and what the receiver looks no further at sets no timestamp.
    @Test(
        arguments: [
            client("FA seq=2147483649 ack=1"), client("A seq=2147483649 ack=1 ts=1000000/1"),
            client("seq=1 ts=1000000/1"),
        ]
    )
    func nothingFollowsFromWhatIsNotTaken(_ forged: String) throws {
        for opening in [Self.handshake, Self.timed] {
            let ts = opening == Self.timed ? " ts=2/1" : ""
            let packets = [forged, Self.client("PA seq=1 ack=1 data=\"good\"" + ts)]
            #expect(text(try run(opening + packets)) == "good", "\(forged)")
        }
    }

    /// Linux, for one, ends with a segment whose acknowledgment is old before it reads its timestamp.
    @Test func anOldAcknowledgmentSetsNoTimestamp() throws {
        let packets = [
            Self.server("PA seq=1 ack=1 ts=2/1 data=\"hello\""), Self.client("A seq=1 ack=6 ts=2/2"),
            Self.client("A seq=1 ack=3 ts=1000000/2"), Self.client("PA seq=1 ack=6 ts=3/2 data=\"you\""),
        ]
        #expect(text(try run(Self.timed + packets)) == "helloyou")
    }

    /// A hole before which the receiver stands, as its acknowledgments show, is nothing that the capture lost.
    @Test(arguments: [true, false]) func aHoleIsSkippedWhereTheReceiverHasItsBytes(_ hasThem: Bool) throws {
        let packets = [
            Self.client("PA seq=1 ack=1 data=\"one\" time=2s"), Self.server("A seq=1 ack=4"),
            Self.client("PA seq=900000 ack=1 data=\"?\""),
            Self.server("A seq=1 ack=\(hasThem ? 900_001 : 4) time=200s"),
            Self.client("PA seq=4 ack=1 data=\"two\""), Self.server("A seq=1 ack=7"),
        ]
        let result = try run(Self.handshake + packets)
        #expect(text(result) == (hasThem ? "one?" : "onetwo?"))
        #expect(result.handler("gaps") == 1)
    }

    /// Of a side whose answers were not captured, a RST counts behind what waits for them.
    @Test func aResetBeforeWhatWaitsIsOld() throws {
        let data = [Self.handshake[0], Self.handshake[2], Self.client("PA seq=1 ack=1 data=\"abc\"")]
        #expect(text(try run(data + [Self.client("R seq=1"), Self.client("PA seq=4 ack=1 data=\"def\"")])) == "abcdef")
        #expect(text(try run(data + [Self.client("R seq=4"), Self.client("PA seq=4 ack=1 data=\"def\"")])) == "abc")
    }

    /// A decoy that waits for the answer does not settle an overlap with what comes behind that.
    @Test func theAnswerDropsDecoys() throws {
        let packets = [
            Self.handshake[0], Self.client("PA seq=2 ack=3000000000 data=\"vil\""), Self.handshake[1],
            Self.client("PA seq=1 ack=1 data=\"good\""),
        ]
        let result = try run(packets)
        #expect(text(result) == "good" && result.drops == ["wrong_ack": 1] && result.handler("conflicts") == 0)
    }

    /// Bytes that came before the answer to the SYN must acknowledge it, too, as the server will find.
    @Test func bytesBeforeTheAnswerAreJudgedByIt() throws {
        let forged = Self.client("PA seq=1 ack=3000000007 data=\"evil\"")
        let data = [Self.client("PA seq=1 ack=1 data=\"good\"")]
        let result = try run([Self.handshake[0], forged] + Self.handshake[1...] + data, "remember: 64 KiB")
        #expect(text(result) == "good" && result.drops == ["wrong_ack": 1], "\(text(result)) \(result.drops)")
    }
}
