// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import SpillwayTesting
import Testing

@testable import Dataplane

@Suite struct DecapsulateTests {
    private static let inner = "10.0.0.1:4000 > 10.0.0.2:80 PA seq=9 len=5"
    private static let inner6 = "[2001:db8::a]:4000 > [2001:db8::b]:80 PA seq=9 len=5"

    /// A tunnel's packet as text, its kind, and the packet that must leave.
    struct Case: Sendable, CustomTestStringConvertible {
        var kind: String
        var text: String
        var out: String
        var testDescription: String { "\(kind): \(text)" }

        /// In IPv4 from 192.0.2.1 to .2, with `words` before the packet inside.
        init(_ kind: String, _ words: String, _ out: String = DecapsulateTests.inner, as word: String = "inner") {
            self.kind = kind
            let isFrame = words.hasPrefix("ether=")
            let ends = words.hasPrefix("udp") ? "192.0.2.1:5000 > 192.0.2.2:" : "192.0.2.1 > 192.0.2.2 "
            let rest = words.hasPrefix("udp") ? words.dropFirst(4).withUDP : words
            text = (isFrame ? "" : ends) + rest + " \(word)=\"\(out)\""
            self.out = out
        }

        init(_ kind: String, text: String, _ out: String) {
            self.kind = kind
            self.text = text
            self.out = out
        }
    }

    /// The kinds, with what may stand in their headers.
    static let cases = [
        // GRE: nothing, checksum, key, sequence number, all; IPv6; Ethernet (NVGRE with its key).
        Case("gre", #"proto=47 data="\0\0\x08\0""#), Case("gre", #"proto=47 data="\x80\0\x08\0abcd""#),
        Case("gre", #"proto=47 data="\x20\0\x08\0abcd""#), Case("gre", #"proto=47 data="\x10\0\x08\0abcd""#),
        Case("gre", #"proto=47 data="\xb0\0\x08\0abcdabcdabcd""#),
        Case("gre", #"proto=47 data="\0\0\x86\xdd""#, inner6),
        Case("gre", #"proto=47 data="\x20\0\x65\x58\0\x12\x34\0""#, inner + " vlan=7", as: "frame"),
        // ERSPAN I, II and III, and III with its platform's header; WCCP 1 and 2.
        Case("gre", #"proto=47 data="\0\0\x88\xbe""#, inner, as: "frame"),
        Case("gre", #"proto=47 data="\x10\0\x88\xbe\0\0\0\x01\x10\0\0\0\0\0\0\0""#, inner, as: "frame"),
        Case("gre", #"proto=47 data="\x10\0\x22\xeb\0\0\0\x01\x20\0\0\0\0\0\0\0\0\0\0\0""#, inner, as: "frame"),
        Case(
            "gre",
            #"proto=47 data="\x10\0\x22\xeb\0\0\0\x01\x20\0\0\0\0\0\0\0\0\0\0\x01abcdefgh""#,
            inner,
            as: "frame"
        ),
        Case("gre", #"proto=47 data="\0\0\x88\x3e""#), Case("gre", #"proto=47 data="\0\0\x88\x3eabcd""#),
        // PPTP, with and without acknowledgment, PPP with and without its first bytes.
        Case("gre", #"proto=47 data="\x30\x81\x88\x0b\0\x30\0\x01abcdefgh\xff\x03\0\x21""#),
        Case("gre", #"proto=47 data="\x30\x01\x88\x0b\0\x30\0\x01abcd\x21""#),
        // Labels, a tag and a pseudowire in GRE.
        Case("gre", #"proto=47 data="\0\0\x88\x47\0\x06\x41\x40""#),
        Case("gre", #"proto=47 data="\0\0\x81\0\0\x05\x08\0""#),
        Case("gre", #"proto=47 data="\0\0\x88\x47\0\x06\x41\x40\0\0\0\0""#, inner, as: "frame"),
        // VXLAN at both ports, also with reserved fields set; Geneve with and without options, with IP.
        Case("vxlan", #"udp 4789 data="\x08\0\0\0\0\0\x05\0""#, inner, as: "frame"),
        Case("vxlan", #"udp 8472 data="\xff\xff\xff\xff\0\0\x05\xff""#, inner6 + " vlan=9", as: "frame"),
        Case("geneve", #"udp 6081 data="\0\0\x65\x58\0\0\x05\0""#, inner, as: "frame"),
        Case("geneve", #"udp 6081 data="\x02\x40\x65\x58\0\0\x05\0abcdefgh""#, inner, as: "frame"),
        Case("geneve", #"udp 6081 data="\x01\0\x08\0\0\0\x05\0abcd""#),
        // IP in IP, of both versions.
        Case("ipip", "proto=4"), Case("6in4", "proto=41", inner6),
        Case("ipip", text: "[2001:db8::1] > [2001:db8::2] proto=4 inner=\"\(inner)\"", inner),
        Case("6in4", text: "[2001:db8::1] > [2001:db8::2] proto=41 inner=\"\(inner6)\"", inner6),
        // GTP: plain, with sequence number, with two extension headers.
        Case("gtp", #"udp 2152 data="\x30\xff\0\x2d\0\0\0\x01""#),
        Case("gtp", #"udp 2152 data="\x32\xff\0\x31\0\0\0\x01\0\x05\0\0""#),
        Case("gtp", #"udp 2152 data="\x34\xff\0\x3d\0\0\0\x01\0\0\0\x85\x01\x10\x05\x85\x02abcdef\0""#),
        // L2TP: with everything, with nothing, with an offset; PPP compressed or not.
        Case("l2tp", #"udp 1701 data="\x48\x02\0\x3d\0\x01\0\x02abcd\xff\x03\0\x21""#),
        Case("l2tp", #"udp 1701 data="\0\x02\0\x01\0\x02\x21""#),
        Case("l2tp", #"udp 1701 data="\x02\x02\0\x01\0\x02\0\x03xyz\0\x57""#, inner6),
        // Labels before IP, explicit null, a stack; in IP and in UDP.
        Case("mpls", #"ether=0x8847 data="\0\x06\x41\x40""#), Case("mpls", #"ether=0x8848 data="\0\0\x01\x40""#),
        Case("mpls", #"ether=0x8847 data="\0\x06\x40\x40\0\x0c\x81\x40""#, inner6),
        Case("mpls", #"proto=137 data="\0\x06\x41\x40""#),
        Case("mpls", #"udp 6635 data="\0\x06\x41\x40""#),
        // Pseudowires: with control word and without, where addresses begin like an IP header, or like a control word.
        Case("mpls", #"ether=0x8847 data="\0\x06\x41\x40\0\0\0\x07""#, inner, as: "frame"),
        Case("mpls", #"ether=0x8847 data="\0\x06\x41\x40""#, inner, as: "frame"),
        Case("mpls", #"ether=0x8847 data="\0\x06\x41\x40""#, inner + " dmac=45:00:00:28:00:01", as: "frame"),
        Case("mpls", #"ether=0x8847 data="\0\x06\x41\x40""#, inner6 + " dmac=60:00:00:00:00:14", as: "frame"),
        Case("mpls", #"ether=0x8847 data="\0\x06\x41\x40""#, inner + " vlan=4 dmac=00:0c:29:01:02:03", as: "frame"),
        Case("mpls", #"ether=0x8847 data="\0\x06\x41\x40\0\0\0\0""#, "10.0.0.1 > 10.0.0.2 arp", as: "frame"),
        Case("mpls", #"ether=0x8847 data="\0\x06\x41\x40\0\0\0\0""#, "ether=0x88cc len=40", as: "frame"),
    ]

    private func handlers(_ run: ElementHarness.Run) -> [String: Int] {
        Dictionary(uniqueKeysWithValues: run.counts.handlers.filter { $0.value != 0 }.map { ($0.name, $0.value) })
    }

    private func run(
        _ kinds: String,
        _ packets: [ElementHarness.Packet],
        _ more: String = ""
    ) throws -> ElementHarness.Run {
        try ElementHarness("Decapsulate", "{decapsulate: [\(kinds)]\(more)}").run(["in": packets])
    }

    private func packet(
        _ bytes: [UInt8],
        wire: Int? = nil,
        _ linkType: UInt16 = LinkType.ethernet
    ) -> ElementHarness.Packet {
        ElementHarness.Packet(bytes: bytes, wireLength: wire ?? bytes.count, time: 0, linkType: linkType)
    }

    @Test(arguments: cases) func whatIsInsideComesOut(_ test: Case) throws {
        let frame = try PacketText.frame(test.text).bytes
        let inside = try PacketText.frame(test.out).bytes
        for kinds in [test.kind, "all", Config.others(test.kind) + ", " + test.kind] {
            let run = try run(kinds, [packet(frame)])
            let out = try #require(run.outputs["out"]?.first)
            // An IP packet keeps the addresses of the frame around it, which are the same.
            #expect(out.bytes == inside && out.linkType == LinkType.ethernet && Int(out.wireLength) == inside.count)
            #expect(handlers(run) == [test.kind: 1, "packets": 1])
        }
        // Others leave it as it is, and so does the default.
        for kinds in [Config.others(test.kind), "none"] {
            let run = try run(kinds, [packet(frame)])
            #expect(run.outputs["out"]!.map(\.bytes) == [frame] && handlers(run).isEmpty)
        }
    }

    /// Without Ethernet around it, IP leaves as raw IP, and Ethernet as itself.
    @Test(arguments: cases.filter { !$0.text.hasPrefix("ether") }) func withoutAFrameAroundIt(_ test: Case) throws {
        let frame = Array(try PacketText.frame(test.text).bytes.dropFirst(14))
        let whole = try PacketText.frame(test.out).bytes
        let isFrame = test.text.contains(" frame=")
        let version: UInt8 = frame[0] >> 4
        let cooked: [UInt8] = [0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0] + (version == 4 ? [8, 0] : [0x86, 0xdd])
        for (linkType, link) in [(LinkType.raw, []), (LinkType.linuxSLL, cooked)] {
            let run = try run("all", [packet(link + frame, linkType)])
            let out = try #require(run.outputs["out"]?.first)
            #expect(out.bytes == (isFrame ? whole : Array(whole.dropFirst(14))))
            #expect(out.linkType == (isFrame ? LinkType.ethernet : LinkType.raw))
        }
    }

    /// Cut anywhere, what leaves is the packet as it came, or what was captured of the one inside; never anything else. Of a frame whose
    /// addresses begin like an IP header too little is left then to tell it from that.
    @Test(arguments: cases.filter { !$0.text.contains(/dmac=(45|60)/) }) func cutAnywhere(_ test: Case) throws {
        let frame = try PacketText.frame(test.text).bytes
        let inside = try PacketText.frame(test.out).bytes
        for length in 0..<frame.count {
            let cut = Array(frame[..<length])
            // In the capture, and on the wire.
            for wire in [frame.count, length] {
                for drops in [false, true] {
                    let run = try run("all", [packet(cut, wire: wire)], drops ? ", on_bad: drop" : "")
                    let counted = handlers(run)
                    guard let out = run.outputs["out"]!.first else {
                        #expect(drops && run.drops == ["bad_inner": 1] && counted["bad"] == 1)
                        continue
                    }
                    if counted["packets"] == nil {
                        #expect(out.bytes == cut && (counted["bad"] == nil || !drops))
                    } else {
                        #expect(out.bytes == Array(inside[..<(inside.count - (frame.count - length))]))
                        #expect(wire == length || Int(out.wireLength) == inside.count)
                    }
                }
            }
        }
    }

    @Test func tunnelsInTunnels() throws {
        func within(_ text: String, _ levels: Int) -> String {
            // Quotation marks inside are written as bytes, and every backslash once more.
            guard levels > 0 else { return text }
            let escaped = within(text, levels - 1).replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            return "192.0.2.1 > 192.0.2.2 proto=4 inner=\"\(escaped)\""
        }
        for (levels, depth, left) in [(3, 4, 0), (4, 4, 0), (5, 4, 1), (2, 1, 1)] {
            let frame = try PacketText.frame(within(Self.inner, levels)).bytes
            let run = try run("ipip", [packet(frame)], ", depth: \(depth)")
            #expect(try run.outputs["out"]!.map(\.bytes) == [PacketText.frame(within(Self.inner, left)).bytes])
            let expected = ["ipip": levels - left, "packets": 1].merging(left > 0 ? ["too_deep": 1] : [:]) { $1 }
            #expect(handlers(run) == expected)
        }
        // Of different kinds: GRE in VXLAN in GTP; the innermost frame's addresses stay.
        let gre =
            #"192.0.2.1 > 192.0.2.2 proto=47 data=\"\\0\\0\\x08\\0\" inner=\"10.0.0.1:4000 > 10.0.0.2:80 PA seq=9 len=5\" smac=02:00:00:00:00:07"#
        let vxlan =
            "192.0.2.1:5 > 192.0.2.2:4789 udp data=\"\\x08\\0\\0\\0\\0\\0\\x05\\0\" frame=\"\(gre)\" smac=02:00:00:00:00:09"
        let run = try run("gre, vxlan", [packet(try PacketText.frame(vxlan).bytes)])
        #expect(
            try run.outputs["out"]!.map(\.bytes) == [PacketText.frame(Self.inner + " smac=02:00:00:00:00:07").bytes]
        )
    }

    /// What has no packet inside, or is none, passes and is not counted as bad.
    @Test(arguments: [
        #"192.0.2.1 > 192.0.2.2 proto=47 data="\0\0\0\0""#,
        #"192.0.2.1 > 192.0.2.2 proto=47 data="\x20\x81\x88\x0b\0\0\0\x01abcd""#,
        #"192.0.2.1 > 192.0.2.2 proto=47 data="\x40\0\x08\0abcdefgh""#,
        #"192.0.2.1 > 192.0.2.2 proto=47 data="\0\0\x82\0abcd""#,
        #"192.0.2.1:5 > 192.0.2.2:2152 udp data="\x32\x01\0\x04\0\0\0\0\0\x01\0\0""#,
        #"192.0.2.1:5 > 192.0.2.2:1701 udp data="\xc8\x02\0\x0c\0\x01\0\0\0\0\0\0""#,
        #"192.0.2.1:5 > 192.0.2.2:1701 udp data="\0\x02\0\x01\0\x02\xff\x03\xc0\x21\x09\x01\0\x08abcd""#,
        #"192.0.2.1:5 > 192.0.2.2:4789 udp data="just a question of DNS, from that port""#,
        #"192.0.2.1:5 > 192.0.2.2:6081 udp data="\0\x80\x65\x58\0\0\x05\0""#,
        #"ether=0x8847 data="\0\x06\x41\x40\x10\0\0\x07abcdefghijklmnopqrst""#,
        "192.0.2.1:5 > 192.0.2.2:53 udp len=30", "192.0.2.1 > 192.0.2.2 arp", "192.0.2.1:5 > 192.0.2.2:80 S",
    ])
    func whatIsNoTunnelPasses(_ text: String) throws {
        let frame = try PacketText.frame(text).bytes
        let run = try run("all", [packet(frame)], ", on_bad: drop")
        #expect(run.outputs["out"]!.map(\.bytes) == [frame] && handlers(run).isEmpty)
    }

    @Test func fragmentsAreLeftToADefragmenter() throws {
        let texts = ["frag=0+ len=24", "frag=24 len=24"].map { "192.0.2.1 > 192.0.2.2 proto=47 " + $0 }
        let run = try ElementHarness("Decapsulate", "{decapsulate: [all]}").run(["in": texts])
        #expect(handlers(run) == ["fragments": 2] && run.outputs["out"]!.count == 2)
    }

    @Test func longPacketsToo() throws {
        let long = "10.0.0.1:4000 > 10.0.0.2:80 A len=50000"
        for text in [
            "192.0.2.1 > 192.0.2.2 proto=4 inner=\"\(long)\"",
            #"192.0.2.1 > 192.0.2.2 proto=47 data="\0\0\x65\x58" frame="\#(long)""#,
        ] {
            let frame = try PacketText.frame(text)
            let run = try run("all", [packet(frame.bytes)])
            #expect(try run.outputs["out"]!.map(\.bytes) == [PacketText.frame(long).bytes])
        }
    }

    @Test func theWordsThatStandAlone() {
        for list in ["none, gre", "gre, all"] {
            #expect(throws: (any Error).self) { try run(list, []) }
        }
    }

    private enum Config {
        static let kinds = ["gre", "vxlan", "geneve", "ipip", "6in4", "gtp", "l2tp", "mpls"]
        static func others(_ kind: String) -> String { kinds.filter { $0 != kind }.joined(separator: ", ") }
    }
}

extension Substring {
    /// `4789 data=...` as `4789 udp data=...`.
    fileprivate var withUDP: String {
        let blank = firstIndex(of: " ") ?? endIndex
        return "\(self[..<blank]) udp\(self[blank...])"
    }
}
