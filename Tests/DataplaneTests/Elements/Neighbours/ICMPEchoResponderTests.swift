// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import TestSupport
import Testing

@Suite struct ICMPEchoResponderTests {
    private func run(_ packets: [ElementHarness.Packet], _ more: String = "") throws -> ElementHarness.Run {
        let config = "{addresses: [10.0.0.2, 10.0.1.0/24, 2001:db8::2]\(more)}"
        let run = try ElementHarness("ICMPEchoResponder", config).run(["in": packets])
        #expect(run.counts.balances && run.lostItems == 0)
        return run
    }

    private func run(_ texts: [String], _ more: String = "") throws -> ElementHarness.Run {
        try run(ElementHarness.packets(texts), more)
    }

    @Test(.enabled(if: Program.isThere("tshark"))) func tsharkReadsTheAnswers() throws {
        let run = try run(
            [
                "10.0.0.1 > 10.0.0.2 icmp rest=0x00070001 len=56 ttl=9 tos=8 id=99 df vlan=5",
                "10.0.0.1 > 10.0.1.255 icmp rest=0x00070002 len=1", "192.0.2.1 > 10.0.0.2 icmp len=60000",
                "2001:db8::1 > 2001:db8::2 icmp rest=0x00070003 len=33 ttl=1",
            ],
            ", ttl: 200"
        )
        let fields = [
            "eth.dst", "eth.src", "vlan.id", "ip.src", "ip.dst", "ip.ttl", "ip.dsfield", "ip.id", "ip.checksum.status",
            "icmp.type", "icmp.ident", "icmp.seq", "icmp.checksum.status", "ipv6.src", "ipv6.dst", "ipv6.hlim",
            "icmpv6.type", "icmpv6.echo.sequence_number", "icmpv6.checksum.status", "frame.len",
        ]
        let answers = try Neighbours.dissect(run.outputs["reply"]!, fields)
        let ends = "02:00:00:00:00:01|02:00:00:00:00:02"
        // tshark gives identifier and sequence number in both byte orders.
        #expect(
            answers.map { $0.replacing(/,\d+/, with: "") } == [
                "\(ends)|5|10.0.0.2|10.0.0.1|200|0x08|0x0063|1|0|7|1|1|||||||102|",
                "\(ends)||10.0.1.255|10.0.0.1|200|0x00|0x0000|1|0|7|2|1|||||||43|",
                "\(ends)||10.0.0.2|192.0.2.1|200|0x00|0x0000|1|0|0|0|1|||||||60042|",
                "\(ends)||||||||||||2001:db8::2|2001:db8::1|200|129|3|1|95|",
            ]
        )
    }

    /// Whatever the data and the old sums are, the new ones are those of the whole message.
    @Test func sumsAreRightForAllData() throws {
        var random = TestRandom(7)
        let texts = (0..<600).map { k in
            let data = (0..<Int.random(in: 0...9, using: &random)).map { _ in
                [0, 0xff, UInt8.random(in: 0...255, using: &random)][Int.random(in: 0...2, using: &random)]
            }
            let text = data.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            let ends = k % 2 == 0 ? "10.\(k % 250).0.1 > 10.0.0.2" : "2001:db8:\(k)::1 > 2001:db8::2"
            let rest = UInt32.random(in: 0...3, using: &random) &* 0x5555_5555
            return "\(ends) icmp rest=\(rest) ttl=\(k % 255 + 1) id=\(k * 109 % 65_536) data=\"\(text)\""
        }
        let run = try run(texts)
        #expect(run.outputs["reply"]!.count == texts.count)
        for (reply, text) in zip(run.outputs["reply"]!, texts) {
            #expect(try reply.matches("* > * icmp goodcsum"), "\(text)")
            // Apart from addresses, TTL, type and sums it is the request.
            let request = try PacketText.frame(text).bytes
            let start = request[12] == 8 ? 38 : 58
            #expect(reply.bytes[start...] == request[start...])
        }
    }

    @Test(arguments: [
        "10.0.0.1 > 10.0.0.3 icmp", "10.0.0.1 > 10.0.0.2 icmp type=0", "10.0.0.1 > 10.0.0.2 icmp code=1",
        "2001:db8::1 > 2001:db8::2 icmp type=129", "10.0.0.1 > 10.0.0.2 proto=50 len=8", "10.0.0.1 > 10.0.0.2 arp",
        "10.0.0.1:1 > 10.0.0.2:2 S", "10.0.0.1 > 224.0.0.1 icmp",
        // To its own addresses, but not as they lie.
        "10.0.0.1 > 10.0.0.2 icmp frag=0+ len=8", "10.0.0.1 > 10.0.0.2 icmp frag=8 len=8",
        "2001:db8::1 > 2001:db8::2 icmp frag=0 len=8",
        // Options for the way, as long as the header says.
        "hex=0200000000020200000000010800" + "4600002000000000400164d8" + "0a0000010a000002" + "94040000"
            + "0800f7ff00000000",
        "10.0.0.1 > 10.0.0.2 icmp trunc=41",
    ])
    func thisPasses(_ text: String) throws {
        let run = try run([text])
        #expect(try run.outputs["rest"]!.map(\.bytes) == [PacketText.frame(text).bytes])
        let isOurs = text.contains("frag=0") || text.hasPrefix("hex")
        #expect(run.handler("not_answered") == (isOurs ? 1 : 0))
    }

    @Test(arguments: [
        ("10.0.0.1 > 10.0.0.2 icmp badcsum", "bad_checksum"),
        ("2001:db8::1 > 2001:db8::2 icmp badcsum", "bad_checksum"),
        ("10.0.0.1 > 10.0.0.2 icmp badipcsum", "bad_header_checksum"),
        ("10.0.0.1 > 10.0.0.2 icmp len=40 trunc=60", "truncated"),
        ("10.0.0.1 > 10.0.0.2 icmp dmac=01:00:5e:00:00:01", "to_group"),
        ("2001:db8::1 > 2001:db8::2 icmp dmac=33:33:00:00:00:01", "to_group"),
        ("224.0.0.1 > 10.0.0.2 icmp", "bad_source"), ("255.255.255.255 > 10.0.0.2 icmp", "bad_source"),
        ("0.0.0.0 > 10.0.0.2 icmp", "bad_source"), ("127.0.0.1 > 10.0.0.2 icmp", "bad_source"),
        ("10.0.0.2 > 10.0.0.2 icmp", "bad_source"), ("10.0.1.1 > 10.0.0.2 icmp", "bad_source"),
        (":: > 2001:db8::2 icmp", "bad_source"), ("ff02::1 > 2001:db8::2 icmp", "bad_source"),
        ("10.0.0.1 > 10.0.0.2 icmp smac=03:00:00:00:00:01", "bad_source"),
    ])
    func thisIsDropped(_ text: String, _ reason: String) throws {
        #expect(try run([text]).drops == [reason: 1], "\(text)")
    }

    /// Without Ethernet, and with a link header that says more than addresses.
    @Test func linkTypes() throws {
        let frame = try PacketText.frame("10.0.0.1 > 10.0.0.2 icmp len=8").bytes
        let ip = Array(frame[14...])
        let cooked: [UInt8] = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0] + ip
        let llc = frame[..<12] + [0, UInt8(ip.count + 8), 0xaa, 0xaa, 3, 0, 0, 0, 8, 0] + ip
        let packets = [(ip, UInt16(101)), (ip, 228), (cooked, 113), (Array(llc), 1)].map { bytes, linkType in
            ElementHarness.Packet(bytes: bytes, wireLength: bytes.count, time: 0, linkType: linkType)
        }
        let run = try run(packets)
        #expect(run.outputs["reply"]!.count == 2 && run.outputs["rest"]!.count == 2)
        for reply in run.outputs["reply"]! { #expect(try reply.matches("10.0.0.2 > 10.0.0.1 icmp type=0 goodcsum")) }
    }
}
