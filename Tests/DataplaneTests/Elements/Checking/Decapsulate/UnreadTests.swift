// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Foundation
import SpillwayTesting
import TestSupport
import Testing

/// What graphs/README.md says is not read: each line is tried, and no line is missing there.
@Suite struct UnreadTests {
    /// A packet of Ethernet as text, or bytes of another link type.
    enum Example: Sendable {
        case text(String)
        case bytes(UInt16, [UInt8])
    }

    /// What becomes of a packet.
    enum Fate: String {
        case linkType = "dropped as `link_type`, and the run warns"
        case notIP = "dropped as `not_ip`"
        case outer = "the outer packet's flow"
    }

    private static let ip = #" inner="10.0.0.1:4000 > 10.0.0.2:80 S""#

    static let lines: [(what: String, fate: Fate, examples: [Example])] = [
        (
            "link types without a decoder: IEEE 802.11, FDDI, Token Ring, ARCNET, ATM, USB and others", .linkType,
            [105, 127, 10, 6, 129, 100, 220].map { .bytes($0, [UInt8](repeating: 0x45, count: 60)) }
        ),
        (
            "MACsec, provider backbone bridges, TRILL, FabricPath, NSH", .notIP,
            ["0x88e5", "0x88e7", "0x22f3", "0x8903", "0x894f"].map { .text("ether=\($0) data=\"abcdefgh\"\(ip)") }
        ),
        (
            "SNAP of organisations other than 00-00-00 and 00-00-F8, and IPX without LLC", .notIP,
            [
                .text(#"ether=0x0030 data="\xaa\xaa\x03\0\0\x0c\x08\0""# + ip),
                .text(#"ether=0x0030 data="\xaa\xaa\x03\0\x80\xc2\0\x07""# + ip),
                .text(#"ether=0x0030 data="\xff\xff\0\x22""# + ip),
            ]
        ),
        (
            "PPP that is compressed, encrypted, multilink or bridged", .notIP,
            [[0, 0x2d], [0, 0x2f], [0, 0xfd], [0, 0x53], [0, 0x3d], [0, 0x31]].map {
                .bytes(9, $0 + [UInt8](repeating: 0x45, count: 40))
            }
        ),
        (
            "behind MPLS labels anything but IP, and Ethernet of a common kind by Decapsulate: other pseudowires, associated channels",
            .notIP,
            [
                .text(#"ether=0x8847 data="\0\0\xd1\x40\x10\0\0\x07abcdefghijklmnop""#),
                .text(#"ether=0x8847 data="\0\x06\x41\x40\0\0\0\x01\0\x21""# + ip),
                .text(#"ether=0x8847 data="\0\x06\x41\x40\0\0\0\x01\x0f\0\x08\0""# + ip),
            ]
        ),
        (
            "AH over IPv4, ESP, IPComp", .outer,
            [
                .text(#"192.0.2.1 > 192.0.2.2 proto=51 data="\x04\x04\0\0\0\0\0\x01\0\0\0\x01abcdefghijkl""# + ip),
                .text(#"192.0.2.1 > 192.0.2.2 proto=50 data="abcdefgh""# + ip),
                .text(#"192.0.2.1 > 192.0.2.2 proto=108 data="\x04\0\0\x02""# + ip),
            ]
        ),
        (
            "EtherIP, minimal encapsulation, L2TP version 3, IP version 4 by protocol 94", .outer,
            [
                .text(#"192.0.2.1 > 192.0.2.2 proto=97 data="\x30\0" frame="10.0.0.1:4000 > 10.0.0.2:80 S""#),
                .text(#"192.0.2.1 > 192.0.2.2 proto=55 data="\x06\0abcdefghij""#),
                .text(#"192.0.2.1 > 192.0.2.2 proto=115 data="\0\0\0\x01" frame="10.0.0.1:4000 > 10.0.0.2:80 S""#),
                .text(
                    #"192.0.2.1:9 > 192.0.2.2:1701 udp data="\0\x03\0\0\0\0\0\x01" frame="10.0.0.1:4000 > 10.0.0.2:80 S""#
                ),
                .text("192.0.2.1 > 192.0.2.2 proto=94" + ip),
            ]
        ),
        (
            "GRE with routing fields, and in GRE anything but IP, Ethernet, PPP, ERSPAN, WCCP and MPLS, such as IEEE 802.11",
            .outer,
            [
                .text(#"192.0.2.1 > 192.0.2.2 proto=47 data="\x40\0\x08\0\0\0\0\0\0\0\0\0""# + ip),
                .text(#"192.0.2.1 > 192.0.2.2 proto=47 data="\0\0\x82\0\x08\x02""# + ip),
                .text(#"192.0.2.1 > 192.0.2.2 proto=47 data="\0\0\x65\x59\x18\x41\x03\xcc""# + ip),
            ]
        ),
        (
            "GTP version 0 and GTP', and in GTP-U what does not begin like IP", .outer,
            [
                .text(#"192.0.2.1:9 > 192.0.2.2:3386 udp data="\x1e\xff\0\x28abcdefghijklmnop""# + ip),
                .text(#"192.0.2.1:9 > 192.0.2.2:2152 udp data="\x20\xff\0\x28\0\0\0\x01""# + ip),
                .text(
                    #"192.0.2.1:9 > 192.0.2.2:2152 udp data="\x30\xff\0\x36\0\0\0\x01" frame="10.0.0.1:4000 > 10.0.0.2:80 S""#
                ),
            ]
        ),
        (
            "UDP tunnels of other kinds (Teredo, VXLAN-GPE, LISP, CAPWAP, TZSP, sFlow), and any at other ports", .outer,
            [
                .text("192.0.2.1:9 > 192.0.2.2:3544 udp" + ip),
                .text(#"192.0.2.1:9 > 192.0.2.2:4790 udp data="\x0c\0\0\x01\0\0\x05\0""# + ip),
                .text(#"192.0.2.1:9 > 192.0.2.2:4341 udp data="\x80\0\0\x01\0\0\0\x01""# + ip),
                .text(
                    #"192.0.2.1:9 > 192.0.2.2:4788 udp data="\x08\0\0\0\0\0\x05\0" frame="10.0.0.1:4000 > 10.0.0.2:80 S""#
                ),
                .text(#"192.0.2.1:9 > 192.0.2.2:6343 udp data="\0\0\0\x05""# + ip),
            ]
        ),
        (
            "fragments without an IPDefragmenter: later ones have no ports, and Decapsulate looks into none", .outer,
            [
                .text("192.0.2.1 > 192.0.2.2 proto=4 frag=0+" + ip),
                .text("192.0.2.1 > 192.0.2.2 proto=4 frag=40 len=16"),
            ]
        ),
    ]

    @Test func theListIsTheReadmes() throws {
        let text = try String(contentsOf: root.appending(path: "graphs/README.md"), encoding: .utf8)
        let section = text.components(separatedBy: "\n## ").filter { $0.hasPrefix("What is not read") }.joined()
        let rows = section.split(separator: "\n").filter { $0.hasPrefix("| ") }.dropFirst(2)
        #expect(rows.map(String.init) == Self.lines.map { "| \($0.what) | \($0.fate.rawValue) |" })
    }

    @Test(arguments: lines.indices) func whatIsNotReadStays(_ number: Int) throws {
        let line = Self.lines[number]
        #expect(!line.examples.isEmpty)
        for example in line.examples {
            let packet: ElementHarness.Packet
            switch example {
            case .text(let text): packet = try ElementHarness.packets([text])[0]
            case .bytes(let linkType, let bytes):
                packet = .init(bytes: bytes, wireLength: bytes.count, time: 0, linkType: linkType)
            }
            let run = try ElementHarness("Decapsulate", "{decapsulate: all}").run(["in": [packet]])
            #expect(run.outputs["out"]!.map(\.bytes) == [packet.bytes], "\(example)")
            let changed = run.counts.handlers.filter { $0.value != 0 && $0.name != "fragments" }
            #expect(changed.isEmpty, "\(example): \(changed)")
            let checked = try ElementHarness("IPCheck").run(["in": [packet]])
            let fate: [String: UInt64] =
                switch line.fate {
                case .linkType: ["link_type": 1]
                case .notIP: ["not_ip": 1]
                case .outer: [:]
                }
            #expect(checked.drops == fate, "\(example)")
        }
    }
}
