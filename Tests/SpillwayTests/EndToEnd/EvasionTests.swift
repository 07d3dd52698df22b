// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import SpillwayTesting
import TestSupport
import Testing

/// The tricks by which a pattern can hide from whoever watches a connection (Ptacek and Newsham 1998; the names are fragroute's),
/// against the shipped firewall with the settings that it names. What the firewall lets through is given to a server that
/// follows the RFCs to the letter: it must never read the pattern, and it must read all that honest clients send.
@Suite struct EvasionTests {
    private static let attack = "GET /etc/passwd HTTP/1.1\r\nHost: www\r\n\r\n"
    private static let decoy = "GET /index.html HTTP/1.1\r\nHost: ww\r\n\r\n"
    private static let honest = "GET /weather/today HTTP/1.1\r\nHost: www.example.com\r\nAccept: */*\r\n\r\n"
    private static let settings = [
        ("checksum", "verify"), ("ip_checksum", "verify"), ("on_gap", "wait"), ("min_ttl", "3"), ("urgent", "drop"),
        ("idle", "0 s"), ("on_full", "drop"),
        ("records", "records"),
    ]

    // MARK: Both ends

    /// A segment of the client.
    struct Segment {
        var flags = "PA"
        var sequence: UInt32
        var acknowledgment: UInt32 = Server.first
        var text = ""
        var ttl = 64
        var isChecksumWrong = false
        var timestamp: UInt32?
        /// It passes the firewall and is lost behind it.
        var isLost = false
        var urgent: Int?

        var words: String {
            var out = "192.0.2.1:40000 > 192.0.2.10:80 \(flags) seq=\(sequence)"
            if flags.contains("A") { out += " ack=\(acknowledgment)" }
            if ttl != 64 { out += " ttl=\(ttl)" }
            if isChecksumWrong { out += " badcsum" }
            if let timestamp { out += " ts=\(timestamp)/1" }
            if let urgent { out += " urg=\(urgent)" }
            if !text.isEmpty {
                out += " data=\""
                for byte in text.utf8 {
                    out +=
                        byte < 0x20 || byte == 0x22 || byte == 0x5c
                        ? "\\x" + hex(byte) : "\(Character(UnicodeScalar(byte)))"
                }
                out += "\""
            }
            return out
        }
        private func hex(_ byte: UInt8) -> String {
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }
    }

    /// A receiver by RFC 9293 section 3.10.7, with RFC 5961 and RFC 7323.
    struct Server {
        static let isn: UInt32 = 4_294_967_000
        static let first = isn &+ 1
        enum Overlap: CaseIterable, Sendable { case first, last }

        var overlap = Overlap.first
        var usesTimestamps = false
        private var next: UInt32?
        private var isOpen = false
        private(set) var isClosed = false
        private var recent: UInt32 = 0
        private var early: [UInt32: UInt8] = [:]
        private(set) var text: [UInt8] = []

        init(_ overlap: Overlap, usesTimestamps: Bool) {
            self.overlap = overlap
            self.usesTimestamps = usesTimestamps
        }

        /// Takes a segment, and answers.
        mutating func receive(_ s: Segment) -> String? {
            if s.isLost || s.ttl < 3 || s.isChecksumWrong || isClosed { return nil }
            let stamp = usesTimestamps ? " ts=1/\(s.timestamp ?? 0)" : ""
            let challenge = next.map { "192.0.2.10:80 > 192.0.2.1:40000 A seq=\(Server.first) ack=\($0)\(stamp)" }
            guard var next else {
                guard s.flags.contains("S"), !s.flags.contains("A"), !s.flags.contains("R") else { return nil }
                self.next = s.sequence &+ 1
                recent = s.timestamp ?? 0
                return "192.0.2.10:80 > 192.0.2.1:40000 SA seq=\(Server.isn) ack=\(s.sequence &+ 1)\(stamp)"
            }
            if usesTimestamps, let timestamp = s.timestamp, !s.flags.contains("R"),
                Int32(bitPattern: timestamp &- recent) < 0
            {
                return challenge
            }
            let size = UInt32(s.text.utf8.count)
            let start = s.sequence
            let isAcceptable =
                size == 0 ? start &- next < 65_535 : start &- next < 65_535 || (start &+ size &- 1) &- next < 65_535
            if !isAcceptable { return s.flags.contains("R") ? nil : challenge }
            if s.flags.contains("R") {
                if start == next { isClosed = true }
                return start == next ? nil : challenge
            }
            if s.flags.contains("S") { return challenge }
            if !s.flags.contains("A") { return nil }
            let ahead = Int32(bitPattern: s.acknowledgment &- Server.first)
            if isOpen ? ahead > 0 || ahead < -65_535 : ahead != 0 { return isOpen ? challenge : nil }
            isOpen = true
            if let timestamp = s.timestamp, Int32(bitPattern: start &- next) <= 0 { recent = timestamp }
            for (k, byte) in s.text.utf8.enumerated() {
                let at = start &+ UInt32(k)
                if Int32(bitPattern: at &- next) < 0 { continue }
                if overlap == .last || early[at] == nil { early[at] = byte }
            }
            while let byte = early.removeValue(forKey: next) {
                text.append(byte)
                next &+= 1
            }
            self.next = next
            return "192.0.2.10:80 > 192.0.2.1:40000 A seq=\(Server.first) ack=\(next)\(stamp)"
        }
    }

    // MARK: Running

    private static let numbers: UInt32 = 99

    /// A client before the firewall, and a server behind it that answers what comes through.
    private final class Network: PacketSource, PacketDestination {
        private let segments: [Segment]
        private(set) var server: Server
        private var sent = 0
        private var answers: [String] = []
        /// For each packet that entered, its segment; nil for those of the server.
        private var origins: [Int?] = []
        private var frames: [MemorySource] = []
        private(set) var passed = 0

        init(_ segments: [Segment], _ server: Server) {
            self.segments = segments
            self.server = server
        }

        var entered: Int { origins.count }

        override var nextTime: Int64 {
            sent < segments.count || !answers.isEmpty ? 1_000_000_000 + Int64(origins.count) * 1000 : .max
        }

        override func fill(
            _ pool: Pool,
            _ indices: UnsafeMutablePointer<Int32>,
            max: Int,
            before limit: Int64,
            sequence: UInt64
        ) -> Int {
            let time = nextTime
            guard time < limit else { return 0 }
            let isAnswer = !answers.isEmpty
            let words = isAnswer ? answers[0] : segments[sent].words
            guard let frame = try? PacketText.frame(words) else { preconditionFailure("no packet: \(words)") }
            let source = MemorySource([
                MemorySource.Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: time)
            ])
            guard source.fill(pool, indices, max: 1, before: .max, sequence: sequence) == 1 else { return 0 }
            frames.append(source)
            origins.append(isAnswer ? nil : sent)
            if isAnswer { answers.removeFirst() } else { sent += 1 }
            counters.pointee.packets += 1
            return 1
        }

        func write(_ item: Packet) {
            passed += 1
            guard let k = origins[Int(item.sequence)], let tcp = TCPView(item) else { return }
            var segment = segments[k]
            segment.text = String(decoding: tcp.payload, as: UTF8.self)
            if let answer = server.receive(segment) { answers.append(answer) }
        }

        func close() {}
    }

    /// Runs what a client sends through the firewall; returns what the server reads of it, and how many packets were dropped.
    private func read(
        _ segments: [Segment],
        _ overlap: Server.Overlap = .first,
        timestamps: Bool = false,
        settings: [(String, String)] = settings
    ) throws -> (text: String, dropped: Int) {
        let network = Network(segments, Server(overlap, usesTimestamps: timestamps))
        var options = Instance.Options()
        options.batch = 1
        let instance = try Instance(
            try shippedGraph("waf", settings),
            bindings: [0: WireBinding(source: network, destination: network)],
            services: KeptFiles(),
            options: options
        )
        try DirectRuntime(instance).run()
        #expect(instance.lostItems == 0)
        return (String(decoding: network.server.text, as: UTF8.self), network.entered - network.passed)
    }

    private static func opened(timestamps: Bool = false) -> [Segment] {
        [
            Segment(flags: "S", sequence: numbers, timestamp: timestamps ? 1000 : nil),
            Segment(flags: "A", sequence: numbers + 1, timestamp: timestamps ? 1000 : nil),
        ]
    }

    /// A text in segments of `size` bytes.
    private static func cut(_ text: String, _ size: Int, at start: UInt32 = numbers + 1) -> [Segment] {
        let bytes = Array(text.utf8)
        return stride(from: 0, to: bytes.count, by: size).map {
            Segment(
                sequence: start &+ UInt32($0),
                text: String(decoding: bytes[$0..<min($0 + size, bytes.count)], as: UTF8.self)
            )
        }
    }

    // MARK: One trick each

    private static let whole = cut(attack, 1000)
    private static func changed(_ segments: [Segment], _ change: (inout Segment) -> Void) -> [Segment] {
        segments.map { segment in
            var segment = segment
            change(&segment)
            return segment
        }
    }
    private static let innocent = cut(decoy, 1000)

    /// The attack in two, and between its parts what would end the connection and begin another, if the server took it.
    private static func split(_ change: (inout Segment) -> Void) -> [Segment] {
        let halves = cut(attack, 9)
        let next = halves[1].sequence
        return [halves[0]]
            + changed([Segment(flags: "R", sequence: next), Segment(flags: "S", sequence: next - 1)], change)
            + halves[1...]
    }

    private static let halves = [
        Segment(sequence: numbers + 1, text: String(attack.prefix(12))),
        Segment(sequence: numbers + 13, text: String(attack.dropFirst(12))),
    ]
    /// A SYN before the second half of the attack, which that then follows.
    private static let again = [Segment(flags: "S", sequence: numbers + 12), halves[1]]

    static let tricks: [(name: String, segments: [Segment])] = [
        ("a RST and a SYN with a wrong checksum", split { $0.isChecksumWrong = true }),
        ("a RST and a SYN that expire", split { $0.ttl = 2 }), ("none", whole), ("tcp_seg 1", cut(attack, 1)),
        ("tcp_seg 8", cut(attack, 8)),
        ("order reverse", cut(attack, 4).reversed()),
        ("dup", cut(attack, 4).flatMap { [$0, $0] }),
        ("dup, order", cut(attack, 4).reversed().flatMap { [$0, $0] }),
        ("dup of what waits", [halves[1], halves[1], halves[0]]),
        (
            "dup of a part of what waits",
            [halves[1], Segment(sequence: numbers + 13, text: String(attack.dropFirst(12).prefix(9))), halves[0]]
        ),
        (
            "order, one byte",
            Array(
                cut(attack, 1).enumerated().sorted { ($0.offset % 3, $0.offset) < ($1.offset % 3, $1.offset) }.map(
                    \.element
                )
            )
        ),
        ("tcp_chaff null", changed(innocent) { $0.flags = "-" } + whole),
        ("tcp_chaff cksum", changed(innocent) { $0.isChecksumWrong = true } + whole),
        ("ip_chaff ttl", changed(innocent) { $0.ttl = 2 } + whole),
        ("tcp_chaff seq", changed(innocent) { $0.sequence &+= 3_000_000 } + whole),
        ("tcp_chaff rexmit", changed(innocent) { $0.isLost = true } + whole),
        ("tcp_chaff rexmit, part", changed(innocent) { $0.isLost = true } + cut(attack, 7)),
        (
            "tcp_chaff rexmit, in the middle",
            changed(innocent) { $0.isLost = true }
                + cut(attack, 1000).map { segment in
                    Segment(sequence: segment.sequence + 3, text: String(segment.text.dropFirst(3)))
                } + whole
        ),
        ("lost, then a longer one", changed(innocent) { $0.isLost = true } + cut(attack + "more", 1000)),
        ("tcp_chaff syn", [Segment(flags: "S", sequence: numbers + 300, text: decoy)] + whole),
        ("a SYN far away", [Segment(flags: "S", sequence: 3_000_000_000)] + whole),
        (
            "a SYN and its bytes",
            [Segment(flags: "S", sequence: 3_000_000_000)] + cut(decoy, 1000, at: 3_000_000_001) + whole
        ),
        (
            "SYNs far and near",
            (0..<20).map { Segment(flags: "S", sequence: numbers &+ UInt32($0) &* 214_748_365) } + whole
        ),
        ("a SYN that expires", [Segment(flags: "S", sequence: 70_000, ttl: 2)] + cut(decoy, 1000, at: 70_001) + whole),
        ("a RST out of place", [Segment(flags: "R", sequence: numbers + 9)] + whole),
        ("a RST that expires", [Segment(flags: "R", sequence: numbers + 1, ttl: 2)] + whole),
        ("a RST with a wrong checksum", [Segment(flags: "R", sequence: numbers + 1, isChecksumWrong: true)] + whole),
        (
            "a RST, then a SYN",
            [Segment(flags: "R", sequence: numbers + 9), Segment(flags: "S", sequence: 7)] + cut(decoy, 99, at: 8)
                + whole
        ),
        (
            "a RST behind a hole",
            [
                Segment(sequence: numbers + 11, text: "x"), Segment(flags: "R", sequence: numbers + 12),
            ] + whole
        ),
        ("a FIN without ACK", [Segment(flags: "F", sequence: numbers + 1)] + whole),
        ("a FIN that expires", [Segment(flags: "FA", sequence: numbers + 1, ttl: 1)] + whole),
        (
            "a FIN with an old ACK",
            [Segment(flags: "FA", sequence: numbers + 1, acknowledgment: Server.first &- 1_000_000)] + whole
        ),
        (
            "FINs and a SYN",
            [
                Segment(flags: "FA", sequence: numbers), Segment(flags: "FA", sequence: numbers + 5000),
                Segment(flags: "S", sequence: 5),
            ] + cut(decoy, 99, at: 6) + whole
        ),
        ("an old acknowledgment", changed(innocent) { $0.acknowledgment = Server.first &- 1_000_000 } + whole),
        (
            "an acknowledgment of what was not sent",
            changed(innocent) { $0.acknowledgment = Server.first &+ 5000 } + whole
        ),
        // The firewall itself drops what would close the connection.
        ("a dropped connection that begins again", halves + [Segment(flags: "R", sequence: numbers + 13)] + again),
        (
            "an urgent RST and a SYN",
            [halves[0], Segment(flags: "RAU", sequence: numbers + 13, urgent: 1)] + again
        ),
        (
            "a RST with a pattern and a SYN",
            [halves[0], Segment(flags: "RA", sequence: numbers + 13, text: "/etc/passwd")] + again
        ),
        (
            "urgent",
            {
                var split = cut("GET /etc/pasXswd HTTP/1.1\r\n\r\n", 1000)
                split[0].flags = "PAU"
                split[0].urgent = 13
                return split
            }()
        ),
        (
            "overlap, early",
            [
                Segment(sequence: numbers + 11, text: "index.html"), Segment(sequence: numbers + 6, text: "etc/passwd"),
                Segment(sequence: numbers + 1, text: "GET /"), Segment(sequence: numbers + 1, text: attack),
            ]
        ),
        (
            "overlap, new before old",
            [
                Segment(sequence: numbers + 6, text: "etc/passwd"), Segment(sequence: numbers + 6, text: "index.html"),
                Segment(sequence: numbers + 1, text: "GET /"),
                Segment(sequence: numbers + 16, text: " HTTP/1.1\r\n\r\n"),
            ]
        ),
        (
            "overlap, old before new",
            [
                Segment(sequence: numbers + 6, text: "index.html"), Segment(sequence: numbers + 6, text: "etc/passwd"),
                Segment(sequence: numbers + 1, text: "GET /"),
                Segment(sequence: numbers + 16, text: " HTTP/1.1\r\n\r\n"),
            ]
        ),
    ]
    private static let timedTricks: [(name: String, segments: [Segment])] = [
        ("tcp_chaff paws", changed(innocent) { $0.timestamp = 3 } + changed(whole) { $0.timestamp = 1001 }),
        (
            "a timestamp of the future",
            changed(innocent) {
                $0.timestamp = 2_000_000_000
                $0.ttl = 2
            } + changed(whole) { $0.timestamp = 1001 }
        ),
        (
            "a timestamp of the future, out of place",
            changed(innocent) {
                $0.timestamp = 2_000_000_000
                $0.sequence += 50
            } + changed(whole) { $0.timestamp = 1001 }
        ),
        (
            "a future timestamp with an old acknowledgment",
            changed(innocent) {
                $0.timestamp = 2_000_000_000
                $0.acknowledgment = Server.first &- 1_000_000
            } + changed(whole) { $0.timestamp = 1001 }
        ),
    ]

    @Test(arguments: tricks.map(\.name), Server.Overlap.allCases)
    func noTrickGetsThrough(_ name: String, _ overlap: Server.Overlap) throws {
        let trick = try #require(Self.tricks.first { $0.name == name })
        // The same right behind the SYN, before and behind bytes that were acknowledged.
        for lead in ["", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let shift = UInt32(lead.utf8.count)
            let segments = Self.changed(trick.segments) { $0.sequence &+= shift }
            let all = Self.opened() + Self.cut(lead, 1000).filter { !$0.text.isEmpty } + segments
            for gaps in ["skip", "wait"] {
                let text = try read(all, overlap, settings: Self.settings + [("on_gap", gaps)]).text
                #expect(!Self.isAttack(text), "\(gaps): \(text)")
            }
        }
    }

    @Test(arguments: timedTricks.map(\.name)) func noTrickWithTimestampsGetsThrough(_ name: String) throws {
        let trick = try #require(Self.timedTricks.first { $0.name == name })
        let text = try read(Self.opened(timestamps: true) + trick.segments, timestamps: true).text
        #expect(!Self.isAttack(text))
    }

    /// An urgent byte may be taken out of the stream by the receiver.
    private static func isAttack(_ text: String) -> Bool {
        text.contains("/etc/passwd") || text.contains("/etc/pasXswd")
    }

    /// Bytes in the SYN count if they are acknowledged; this server does not take any.
    @Test func bytesOfTheSYNHideNothing() throws {
        var segments = Self.opened()
        segments[0].text = Self.decoy
        let text = try read(segments + Self.whole).text
        #expect(!Self.isAttack(text))
    }

    /// The tricks do reach the server where there is no firewall to speak of, so that the tests above say something.
    @Test func theTricksWorkWithoutTheFirewall() throws {
        var stopped: [String] = []
        for trick in Self.tricks {
            let reaches = try Server.Overlap.allCases.contains { overlap in
                let counting = Self.settings.filter { $0.0 != "urgent" } + [("action", "count")]
                return Self.isAttack(try read(Self.opened() + trick.segments, overlap, settings: counting).text)
            }
            if !reaches { stopped.append(trick.name) }
        }
        // These differ from what came first in bytes that wait, and leave as those.
        // Two RSTs reach the server if nothing is dropped.
        #expect(
            stopped == [
                "a RST behind a hole", "an urgent RST and a SYN", "a RST with a pattern and a SYN", "overlap, early",
                "overlap, old before new",
            ]
        )
    }

    /// Each setting that waf.yaml names for what it forwards unsearched is needed; the tests above show that they suffice.
    @Test(arguments: [
        ("tcp_chaff rexmit", "remember", "0 B"),
        ("urgent", "urgent", "keep"),
    ]) func eachSettingIsNeeded(_ name: String, _ setting: String, _ value: String) throws {
        let trick = try #require(Self.tricks.first { $0.name == name })
        let others = Self.settings.filter { $0.0 != setting }
        #expect(Self.isAttack(try read(Self.opened() + trick.segments, settings: others + [(setting, value)]).text))
    }

    /// `checksum` and `min_ttl` are not on that list: without them a segment that does not arrive may block its connection, and hides
    /// nothing.
    @Test(arguments: [("checksum", "ignore"), ("min_ttl", "0")])
    func segmentsThatDoNotArriveHideNothing(_ setting: String, _ value: String) throws {
        let settings = Self.settings.filter { $0.0 != setting } + [(setting, value)]
        for trick in Self.tricks {
            let read = try read(Self.opened() + trick.segments, settings: settings)
            #expect(!Self.isAttack(read.text), "\(trick.name)")
        }
    }

    // MARK: Tricks together, and honest clients

    /// Any tricks in any order before and between the segments of the attack.
    @Test(arguments: 0..<120) func noMixtureGetsThrough(_ seed: Int) throws {
        var random = TestRandom(UInt64(seed) &+ 900)
        var segments = Self.opened()
        let pieces = Self.cut(Self.attack, 1 + Int.random(in: 0..<16, using: &random))
        let again = Self.cut(Self.attack, 1 + Int.random(in: 0..<16, using: &random))
        for piece in (pieces + again + pieces).shuffled(using: &random) + pieces {
            for _ in 0..<Int.random(in: 0..<3, using: &random) {
                var chaff = piece
                if !chaff.text.isEmpty {
                    chaff.text = String(repeating: "y", count: chaff.text.utf8.count)
                }
                switch Int.random(in: 0..<12, using: &random) {
                case 0: chaff.flags = "-"
                case 1: chaff.isChecksumWrong = true
                case 2: chaff.ttl = Int.random(in: 1..<3, using: &random)
                case 3: chaff.isLost = true
                case 4: chaff.sequence &+= UInt32.random(in: 0..<UInt32.max, using: &random)
                case 5:
                    chaff = Segment(
                        flags: "S",
                        sequence: UInt32.random(in: 0..<UInt32.max, using: &random),
                        text: chaff.text
                    )
                case 6:
                    chaff = Segment(flags: "R", sequence: chaff.sequence &+ UInt32.random(in: 1..<99, using: &random))
                case 7: chaff = Segment(flags: "F", sequence: chaff.sequence)
                case 8: chaff.acknowledgment = Server.first &- UInt32.random(in: 70_000..<2_000_000_000, using: &random)
                case 9: chaff = Segment(flags: "SA", sequence: chaff.sequence, text: chaff.text)
                case 10: chaff = Segment(flags: "FA", sequence: chaff.sequence, ttl: 1)
                default:
                    chaff.flags = "A"
                    chaff.sequence &+= UInt32.random(in: 0..<40, using: &random)
                    chaff.isLost = true
                }
                segments.append(chaff)
            }
            segments.append(piece)
        }
        for overlap in Server.Overlap.allCases {
            let settings = Self.settings + [("on_gap", seed % 2 == 0 ? "skip" : "wait")]
            #expect(!Self.isAttack(try read(segments, overlap, settings: settings).text))
        }
    }

    /// Loss, repetition in other segments, and another order, as networks have them.
    @Test(arguments: 0..<60) func honestClientsAreServed(_ seed: Int) throws {
        var random = TestRandom(UInt64(seed) &+ 70)
        let text = String(repeating: Self.honest, count: 3)
        let timestamps = seed % 2 == 0
        var copies = 0
        var segments = Self.cut(text, 1 + Int.random(in: 0..<40, using: &random))
        for k in segments.indices {
            segments[k].isLost = Int.random(in: 0..<5, using: &random) == 0
            if k > 0, Int.random(in: 0..<6, using: &random) == 0 { segments.swapAt(k, k - 1) }
            if Int.random(in: 0..<8, using: &random) == 0 {
                segments.insert(segments[k], at: 0)
                copies += 1
            }
        }
        // Everything again, otherwise cut, until it has arrived.
        segments += Self.cut(text, 1 + Int.random(in: 0..<60, using: &random))
        if timestamps { segments = Self.changed(segments) { $0.timestamp = 1000 } }
        let settings = Self.settings + [("on_gap", seed % 4 < 2 ? "skip" : "wait")]
        let result = try read(
            Self.opened(timestamps: timestamps) + segments,
            timestamps: timestamps,
            settings: settings
        )
        // A copy of what waits is not needed: the server gets the first.
        #expect(result.text == text && result.dropped <= copies)
    }

    /// A client whose segments all wait, and one whose bytes nobody acknowledges, take no room from others: what these send again
    /// after a loss gets through.
    @Test func nobodyIsCrowdedOut() throws {
        let (honest, server) = (
            MadePacket.End(address: 0xc000_0201, port: 40_000), MadePacket.End(address: 0xc633_6401, port: 80)
        )
        let text = [UInt8](repeating: 0x61, count: 1000)
        func hostile(_ connections: Int, _ segment: (Int, MadePacket.End) -> [UInt8]) -> [[UInt8]] {
            (0..<connections).flatMap { k in
                (0..<1000).map { segment($0, MadePacket.End(address: 0xc000_0299, port: UInt16(1024 + k))) }
            }
        }
        func sent(_ part: Int) -> [UInt8] {
            MadePacket.tcp(honest, server, MadePacket.Flags.ack, seq: UInt32(1 + 1000 * part), ack: 1, text)
        }
        let opening = [
            MadePacket.tcp(honest, server, MadePacket.Flags.syn, seq: 0),
            MadePacket.tcp(server, honest, MadePacket.Flags.syn | MadePacket.Flags.ack, seq: 0, ack: 1),
        ]
        // The second segment is lost before the firewall.
        let waiting = hostile(9) { k, client in
            MadePacket.tcp(client, server, MadePacket.Flags.ack, seq: UInt32(10 + 2 * k), ack: 1, [0x61])
        }
        let whole = try run(opening + [sent(0), sent(2)] + waiting + [sent(1)], [("on_gap", "wait")])
        #expect(whole.filter { $0.from == honest }.map(\.start) == [1, 1, 1001, 2001])
        // The only segment is lost behind it.
        let unacknowledged = hostile(3) { k, client in
            MadePacket.tcp(client, server, MadePacket.Flags.ack, seq: UInt32(1 + 1000 * k), ack: 1, text)
        }
        let out = try run(opening + [sent(0)] + unacknowledged + [sent(0)], [("remember", "1 MiB")])
        #expect(out.filter { $0.from == honest }.map(\.start) == [1, 1, 1])
    }

    /// What leaves the firewall of some IP packets: who sent it, and its first sequence number.
    private func run(
        _ packets: [[UInt8]],
        _ settings: [(String, String)]
    ) throws -> [(from: MadePacket.End, start: UInt32)] {
        let source = MemorySource(
            packets.enumerated().map { number, bytes in
                MemorySource.Packet(
                    bytes: bytes,
                    wireLength: bytes.count,
                    time: 1_000 * Int64(number + 1),
                    linkType: LinkType.raw
                )
            }
        )
        let out = CollectedPackets()
        let instance = try Instance(
            try shippedGraph("waf", [("on_full", "drop"), ("records", "records")] + settings),
            bindings: [0: WireBinding(source: source, destination: out)],
            services: KeptFiles()
        )
        try DirectRuntime(instance).run()
        return out.packets.map { packet in
            let bytes = packet.bytes
            func number(_ at: Int, _ count: Int) -> UInt32 { bytes[at..<at + count].reduce(0) { $0 << 8 | UInt32($1) } }
            let isSYN = bytes[33] & 2 != 0
            return (
                MadePacket.End(address: number(12, 4), port: UInt16(number(20, 2))), number(24, 4) + (isSYN ? 1 : 0)
            )
        }
    }

    /// Two connections in turn between the same ports, and a client that fell silent and came back.
    @Test func portsAreUsedAgain() throws {
        let text = try runWords([
            "192.0.2.1:40000 > 192.0.2.10:80 S seq=9", "192.0.2.10:80 > 192.0.2.1:40000 SA seq=5 ack=10",
            "192.0.2.1:40000 > 192.0.2.10:80 PA seq=10 ack=6 data=\"one\"",
            "192.0.2.10:80 > 192.0.2.1:40000 A seq=6 ack=13",
            // The client restarts; the server answers with a challenge, the client resets, and opens anew.
            "192.0.2.1:40000 > 192.0.2.10:80 S seq=5000 time=400s", "192.0.2.10:80 > 192.0.2.1:40000 A seq=6 ack=13",
            "192.0.2.1:40000 > 192.0.2.10:80 R seq=13", "192.0.2.1:40000 > 192.0.2.10:80 S seq=5000",
            "192.0.2.10:80 > 192.0.2.1:40000 SA seq=77 ack=5001",
            "192.0.2.1:40000 > 192.0.2.10:80 PA seq=5001 ack=78 data=\"two\"",
            "192.0.2.1:40000 > 192.0.2.10:80 PA seq=5004 ack=78 data=\"/etc/passwd\"",
        ])
        #expect(text.count == 10, "all but the last")
    }

    /// A SYN in a silence longer than `idle` interrupts nothing, and hides nothing.
    @Test func aSilenceIsNoEnd() throws {
        let text = try runWords([
            "192.0.2.1:40000 > 192.0.2.10:80 S seq=9", "192.0.2.10:80 > 192.0.2.1:40000 SA seq=5 ack=10",
            "192.0.2.1:40000 > 192.0.2.10:80 PA seq=10 ack=6 data=\"one\"",
            "192.0.2.10:80 > 192.0.2.1:40000 A seq=6 ack=13",
            // Not of the client; the server answers with a challenge, which says nothing new to the client.
            "192.0.2.1:40000 > 192.0.2.10:80 S seq=777000 time=400s", "192.0.2.10:80 > 192.0.2.1:40000 A seq=6 ack=13",
            "192.0.2.1:40000 > 192.0.2.10:80 PA seq=13 ack=6 data=\"two\"",
            "192.0.2.10:80 > 192.0.2.1:40000 PA seq=6 ack=16 data=\"three\"",
            "192.0.2.1:40000 > 192.0.2.10:80 PA seq=16 ack=11 data=\"/etc/passwd\"",
        ])
        #expect(text.count == 8, "all but the last")
    }

    /// What the other side of a connection answers makes these possible, each packet as a live server took it. The last packet, of the
    /// client, must not pass.
    @Test(arguments: [
        // After a reset the same numbers again: what was acknowledged before was acknowledged in another connection.
        [
            "C S seq=999", "S SA seq=4999 ack=1000", "C A seq=1000 ack=5000",
            "C PA seq=1000 ack=5000 data=\"GET /weather HTTP/1.0\"", "S A seq=5000 ack=1021", "C R seq=1021",
            "C S seq=999", "S SA seq=8999 ack=1000", "C A seq=1000 ack=9000",
            "C PA seq=1000 ack=9000 data=\"GET /etc/passwd\"",
        ],
        // Behind SYN cookies a SYN is not even needed.
        [
            "C S seq=999", "S SA seq=4999 ack=1000", "C A seq=1000 ack=5000",
            "C PA seq=1000 ack=5000 data=\"GET /weather HTTP/1.0\"", "S A seq=5000 ack=1021", "C R seq=1021",
            "C A seq=1000 ack=5000", "C PA seq=1000 ack=5000 data=\"GET /etc/passwd\"",
        ],
        // Two copies wait for the reply that they acknowledge, and the first is dropped.
        [
            "C S seq=999", "S SA seq=4999 ack=1000", "C A seq=1000 ack=5000",
            "C PA seq=1000 ack=5000 data=\"GET /weather\"", "C PA seq=1000 ack=5019 data=\"GET /etc/passwd HTTP/1.0\"",
            "S PA seq=5000 ack=1000 len=19", "C PA seq=1000 ack=5019 data=\"GET /etc/passwd HTTP\"",
        ],
        // A second answer to the same SYN, and what waited for bytes before it.
        [
            "C S seq=90", "S SA seq=4999 ack=91", "C R seq=91", "C S seq=999", "S SA seq=6999 ack=1000",
            "C PA seq=1011 ack=7000 data=\"sswd\"", "C S seq=999", "S SA seq=6999 ack=1000",
            "C PA seq=1000 ack=7000 data=\"GET /etc/pa\"", "C PA seq=1011 ack=7000 data=\"sswd\"",
        ],
        // Of two answers the server's second counts; an ACK of neither, and its RST, decide nothing.
        [
            "C S seq=999", "S SA seq=136043951 ack=1000", "C S seq=1100", "S RA seq=0 ack=1101", "C S seq=999",
            "S SA seq=149467447 ack=1000", "C A seq=1000 ack=1142676912", "S R seq=1142676912",
            "C A seq=1000 ack=149467448", "C PA seq=1000 ack=149467448 data=\"GET /etc/pa\"",
            "S A seq=149467448 ack=1011",
            "C PA seq=1011 ack=149467448 data=\"sswd\"",
        ],
        // Who answers before asking is the client all the same.
        [
            "C SA seq=999 ack=77", "S R seq=77", "C S seq=999", "S SA seq=4999 ack=1000", "C A seq=1000 ack=5000",
            "C PA seq=1000 ack=5000 data=\"GET /etc/passwd\"",
        ],
        // A connection opened fast survives the SYN that it refuses.
        [
            "C S seq=999", "S SA seq=4999 ack=1000", "C S seq=1099", "C PA seq=1000 ack=5000 data=\"GET /etc/pa\"",
            "S RA seq=0 ack=1100", "C PA seq=1011 ack=5000 data=\"sswd\"",
        ],
    ]) func answersOpenNothing(_ exchange: [String]) throws {
        let (client, server) = ("192.0.2.1:40000 > 192.0.2.10:80", "192.0.2.10:80 > 192.0.2.1:40000")
        let words = exchange.map { "\($0.hasPrefix("C") ? client : server) \($0.dropFirst(2))" }
        let left = try runWords(words)
        #expect(!left.contains(words.count - 1), "\(left)")
        // Nor did a copy of it that came before.
        for k in left where k > 3 { #expect(!words[k].contains("sswd"), "\(words[k])") }
    }

    /// Bytes of a SYN that were not taken do not pass with it, nor those of a packet that nobody takes and that is the first of its
    /// connection.
    @Test func bytesOfNoStreamStay() throws {
        let syn = "192.0.2.1:40000 > 192.0.2.10:80 S seq=99 data=\"GET /etc/passwd\""
        let answer = "192.0.2.10:80 > 192.0.2.1:40000 SA seq=499 ack=100"
        #expect(try runWords([syn, answer]) == [1])
        #expect(try runWords(["192.0.2.1:40000 > 192.0.2.10:80 A seq=99 ack=1 badcsum data=\"/etc/passwd\""]) == [])
    }

    /// Who is the client is said by the SYN that is answered, whatever comes before it, and its ports.
    @Test(arguments: ["SA seq=999 ack=77", "A seq=1000 ack=77", "PA seq=1000 ack=77 len=3"])
    func nobodyElseIsTheClient(_ first: String) throws {
        let (client, server) = ("192.0.2.1:80 > 192.0.2.10:8080", "192.0.2.10:8080 > 192.0.2.1:80")
        let words = [
            "\(client) \(first)", "\(server) R seq=77", "\(client) S seq=999", "\(server) SA seq=4999 ack=1000",
            "\(client) A seq=1000 ack=5000", "\(client) PA seq=1000 ack=5000 data=\"GET /etc/passwd\"",
        ]
        #expect(try !runWords(words, ["direction": "forward"]).contains(5))
    }

    private func runWords(_ words: [String], _ more: [String: String] = [:]) throws -> [Int] {
        var time: Int64 = 0
        let frames = try words.map { text in
            let frame = try PacketText.frame(text)
            time = frame.time ?? time + 1000
            return MemorySource.Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: time)
        }
        let out = CollectedPackets()
        let instance = try Instance(
            try shippedGraph("waf", Self.settings + more.map { ($0.key, $0.value) }),
            bindings: [0: WireBinding(source: MemorySource(frames), destination: out)],
            services: KeptFiles()
        )
        try DirectRuntime(instance).run()
        return out.packets.map { Int($0.item.sequence) }
    }
}
