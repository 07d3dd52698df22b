// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Foundation
import SpillwayTesting
import Testing

struct PacketTextTests {
    private func hex(_ text: String) throws -> String {
        try PacketText.frame(text).bytes.map { String(format: "%02x", $0) }.joined()
    }

    private func describe(_ bytes: [UInt8], linkType: UInt16 = 1, wireLength: Int? = nil) -> String {
        bytes.withUnsafeBytes {
            PacketText.describe($0, linkType: linkType, wireLength: wireLength.map(UInt32.init))
        }
    }

    private func matches(_ pattern: String, _ text: String) throws -> Bool {
        let frame = try PacketText.frame(text)
        let seen = Collector.Seen(
            bytes: frame.bytes,
            linkType: 1,
            wireLength: UInt32(frame.wireLength),
            time: frame.time ?? 0,
            sequence: 0,
            made: 0,
            flags: 0,
            layout: nil
        )
        return try seen.matches(pattern)
    }

    /// Packets written out byte by byte; the checksums were computed by another program.
    @Test func bytesAreAsTheStandardsSay() throws {
        #expect(
            try hex("10.0.0.1:1000 > 10.0.0.2:80 S seq=7 win=8192 mss=1460")
                == "020000000002020000000001" + "0800" + "4500002c000000004006" + "66ca" + "0a0000010a000002"
                + "03e80050" + "00000007" + "00000000" + "6002" + "2000" + "5fe5" + "0000" + "020405b4"
        )
        #expect(
            try hex("10.0.0.1:53 > 10.0.0.2:54 udp data=\"ab\" vlan=5")
                == "020000000002020000000001" + "81000005" + "0800" + "4500001e000000004011" + "66cd"
                + "0a0000010a000002"
                + "00350036" + "000a" + "8a0a" + "6162"
        )
        #expect(
            try hex("10.0.0.1 > 10.0.0.2 arp")
                == "020000000002020000000001" + "0806" + "0001080006040001" + "020000000001" + "0a000001"
                + "000000000000" + "0a000002"
        )
    }

    /// What `frame` builds, `describe` says, in words from which the same bytes are built.
    @Test(arguments: [
        "10.0.0.1:1000 > 10.0.0.2:80 S seq=7 mss=1460 sack ts=1/2 wscale=7",
        "10.0.0.1:1000 > 10.0.0.2:80 FSRPAUEC seq=4294967295 ack=1 win=0 urg=9 blocks=1-2,3-4 ttl=1 tos=3 id=77 df",
        "10.0.0.1:1000 > 10.0.0.2:80 - len=20",
        "10.0.0.1:1000 > 10.0.0.2:80 PA len=48 data=\"GET / \\r\\n\\\"\\\\\\0\\xff\"",
        "[2001:db8::1]:5353 > [::ffff:1.2.3.4]:53 udp len=20", "2001:db8::1 > 2001:db8::2 icmp type=135 code=0 rest=5",
        "10.0.0.1 > 10.0.0.2 icmp type=8 code=0 rest=65536 len=56 vlan=100,5",
        "10.0.0.1 > 10.0.0.2 proto=47 len=9", "10.0.0.1 > 10.0.0.2 arp op=2",
        "10.0.0.1:7 > 10.0.0.2:8 udp id=5 frag=0+ len=16", "10.0.0.1 > 10.0.0.2 udp id=5 frag=24 len=16",
        "2001:db8::1 > 2001:db8::2 tcp id=99 frag=1448+ len=16",
        "10.0.0.1:7 > 10.0.0.2:8 udp badipcsum", "10.0.0.1:7 > 10.0.0.2:8 A len=3 badcsum",
        "smac=02:00:00:00:00:09 dmac=ff:ff:ff:ff:ff:ff ether=0x88cc len=46", "hex=00ff12", "hex=",
        "10.0.0.1:7 > 10.0.0.2:8 A len=1000 trunc=100",
    ])
    func textAndBytesAgree(_ text: String) throws {
        let frame = try PacketText.frame(text)
        let described = describe(frame.bytes, wireLength: frame.wireLength)
        #expect(try PacketText.frame(described) == frame, "\(described)")
        #expect(try matches(described, text), "\(described)")
        #expect(try matches(text, text))
    }

    @Test func onlyWhatIsNamedIsCompared() throws {
        let packet = "10.0.0.1:1000 > 10.0.0.2:80 PA seq=7 ack=9 data=\"GET / HTTP\" vlan=5 time=2s ts=1/2"
        for pattern in [
            "", "* > *", "* > *:80", "10.0.0.1 > *", "PA", "seq=7", "data=\"GET\"", "len=10", "vlan=5", "tcp",
            "time=2s",
            "ts=1/2", "goodcsum", "ttl=64",
        ] { #expect(try matches(pattern, packet), "\(pattern)") }
        for pattern in [
            "* > *:81", "10.0.0.2 > *", "A", "seq=8", "data=\"PUT\"", "data=\"GET / HTTP/1\"", "len=9", "vlan=none",
            "vlan=6",
            "udp", "time=1s", "ts=1/3", "badcsum", "mss=1", "df", "arp", "hex=00", "trunc=10", "frag=0",
        ] { #expect(try !matches(pattern, packet), "\(pattern)") }
        #expect(try !matches("goodcsum", packet + " badcsum"))
        #expect(try !matches("goodcsum", packet + " badipcsum"))
        #expect(try matches("badcsum", packet + " badcsum"))
    }

    /// What the header says counts, whatever follows it: in IPv6 the length behind the header.
    @Test func claimedLengthsAreCompared() throws {
        for (packet, length) in [
            ("10.0.0.1:1 > 10.0.0.2:2 udp len=9", 37), ("10.0.0.1:1 > 10.0.0.2:2 udp len=9 iplen=30", 30),
            ("10.0.0.1:1 > 10.0.0.2:2 udp len=9 iplen=0", 0),
            ("[2001:db8::1]:1 > [2001:db8::2]:2 udp len=9", 17),
            ("[2001:db8::1]:1 > [2001:db8::2]:2 udp len=9 iplen=10", 10),
        ] {
            #expect(try matches("iplen=\(length)", packet), "\(packet)")
            #expect(try !matches("iplen=\(length + 1)", packet), "\(packet)")
        }
        #expect(try !matches("iplen=28", "10.0.0.1 > 10.0.0.2 arp"))
        let frame = try PacketText.frame("10.0.0.1:1 > 10.0.0.2:2 udp")
        #expect(describe(frame.bytes) == "10.0.0.1:1 > 10.0.0.2:2 udp")
    }

    @Test(arguments: [
        ("10.0.0.1:1000 > 10.0.0.2:80 S sequ=1", 30), ("10.0.0.1:99999 > 10.0.0.2:80", 9),
        ("10.0.0 > 10.0.0.2 icmp", 0),
        ("10.0.0.1 > 2001:db8::1 icmp", 11), ("10.0.0.1:1 >", 11), ("* > * data=\"abc", 6), ("* > * data=\"ä\\q\"", 13),
        ("* > * win=65536", 10), ("* > * ttl=-1", 10), ("* > * udp tcp", 10), ("* > * frag=3", 6),
        ("* > * vlan=4096", 6),
        ("* > * udp=5", 6), ("* > * df=1", 6), ("* > * proto=6", 6), ("* > * time=5", 11), ("* > * SS", 6),
        ("* > * time=9223372036854775807ns", 11),
        ("* > * hex=0", 10),
        ("* > * blocks=1", 6), ("* > * smac=1:2:3:4:5:6", 11), ("[10.0.0.1]:80 > *", 0), ("* > *:+80", 6),
    ])
    func mistakesAreFoundWhereTheyAre(_ text: String, _ offset: Int) {
        #expect { try PacketText.Pattern(text) } throws: { ($0 as? PacketText.Failure)?.offset == offset }
    }

    @Test(arguments: [
        "", "10.0.0.1 > 10.0.0.2", "* > 10.0.0.2:80 S", "10.0.0.1:1 > 10.0.0.2 S",
        "10.0.0.1:1 > 10.0.0.2:2 udp len=65535",
        "2001:db8::1 > 2001:db8::2 arp",
    ])
    func whatIsNoPacketIsRefused(_ text: String) {
        #expect(throws: PacketText.Failure.self) { try PacketText.frame(text) }
    }

    @Test func anyTextIsReadOrRefused() {
        var random = TestRandom(3)
        let pieces = Array("10.0.0.1:80 > [::]* \"\\=,/-+x0fS data=len= vlan=hex=ts=1frag=8+é")
        for _ in 0..<4000 {
            let text = String(
                (0..<Int.random(in: 0...30, using: &random)).map { _ in pieces.randomElement(using: &random)! }
            )
            _ = try? PacketText.frame(text)
        }
    }

    @Test func anyBytesAreDescribed() throws {
        for packet in try Traffic.noise(11, count: 4000) {
            let text = describe(packet.bytes, linkType: packet.linkType, wireLength: packet.wireLength)
            _ = try PacketText.Pattern(text)
        }
    }
}
