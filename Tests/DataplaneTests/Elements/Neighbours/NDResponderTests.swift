// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import TestSupport
import Testing

@Suite struct NDResponderTests {
    private func run(_ packets: [ElementHarness.Packet], _ more: String = "") throws -> ElementHarness.Run {
        let config = "{addresses: [2001:db8::2, fe80::/64], mac: 02:00:00:00:00:0a\(more)}"
        let run = try ElementHarness("NDResponder", config).run(["in": packets])
        #expect(run.counts.balances && run.lostItems == 0)
        return run
    }

    private func run(_ texts: [String], _ more: String = "") throws -> ElementHarness.Run {
        try run(ElementHarness.packets(texts), more)
    }

    private static let group = "dmac=33:33:ff:00:00:02"
    private static func ask(
        from source: String = "2001:db8::1",
        to destination: String = "ff02::1:ff00:2",
        about target: String = "2001:db8::2",
        options: [UInt8] = Neighbours.option(1, 7),
        _ words: String = group
    ) -> String {
        Neighbours.message(135, from: source, to: destination, about: target, options: options, words)
    }

    private static let fields = [
        "eth.dst", "eth.src", "vlan.id", "ipv6.src", "ipv6.dst", "ipv6.hlim", "icmpv6.type", "icmpv6.nd.na.flag.r",
        "icmpv6.nd.na.flag.s", "icmpv6.nd.na.flag.o", "icmpv6.nd.na.target_address", "icmpv6.opt.type",
        "icmpv6.opt.linkaddr", "icmpv6.checksum.status",
    ]

    @Test(.enabled(if: Program.isThere("tshark"))) func tsharkReadsTheAnswers() throws {
        let run = try run([
            Self.ask(),
            Self.ask(from: "fe80::1", to: "fe80::2", about: "fe80::2", options: [], "vlan=5 dmac=02:00:00:00:00:0a"),
            Self.ask(from: "::", options: []), Self.ask(options: [200, 2] + [UInt8](repeating: 9, count: 14)),
        ])
        let ours = "02:00:00:00:00:0a"
        let tail = "2|\(ours)|1|"
        // fe80::/64 is all ours, so who says fe80::1 is in conflict.
        #expect(run.drops == ["conflict": 1])
        let seen = try Neighbours.dissect(run.outputs["reply"]!, Self.fields)
        #expect(
            seen == [
                "02:00:00:00:00:07|\(ours)||2001:db8::2|2001:db8::1|255|136|0|1|1|2001:db8::2|\(tail)",
                "33:33:00:00:00:01|\(ours)||2001:db8::2|ff02::1|255|136|0|0|1|2001:db8::2|\(tail)",
                "02:00:00:00:00:01|\(ours)||2001:db8::2|2001:db8::1|255|136|0|1|1|2001:db8::2|\(tail)",
            ]
        )
        #expect(run.handler("replies") == 3 && run.handler("probes") == 1)
    }

    @Test(.enabled(if: Program.isThere("tshark"))) func tagsAndFlagsAreInTheAnswer() throws {
        let text = Self.ask(to: "2001:db8::2", options: [], "vlan=100,5 dmac=02:00:00:00:00:0a")
        let run = try run([text], ", router: true, override: false")
        let ours = "02:00:00:00:00:0a"
        let reply = try #require(run.outputs["reply"]!.first)
        // What is outside of it is another field.
        #expect(try reply.matches("vlan=100,5"))
        let seen = try Neighbours.dissect([reply], Self.fields)
        #expect(
            seen == [
                "02:00:00:00:00:01|\(ours)|5|2001:db8::2|2001:db8::1|255|136|1|1|0|2001:db8::2|2|\(ours)|1|"
            ]
        )
    }

    /// A message whose option makes the answer shorter, of the same length, or longer than the question.
    @Test(arguments: [0, 1, 2, 30]) func theAnswerHasItsOwnLength(_ units: Int) throws {
        let options = units == 0 ? [] : [9, UInt8(units)] + [UInt8](repeating: 1, count: 8 * units - 2)
        let reply = try #require(try run([Self.ask(options: options)]).outputs["reply"]!.first)
        #expect(reply.bytes.count == 86 && reply.wireLength == 86)
        #expect(try reply.matches("2001:db8::2 > 2001:db8::1 icmp type=136 goodcsum len=24"))
    }

    @Test(arguments: [
        ask(about: "2001:db8::3"), "2001:db8::1 > 2001:db8::2 icmp", "10.0.0.1 > 10.0.0.2 arp",
        "2001:db8::1 > 2001:db8::2 icmp type=133 ttl=255", "[2001:db8::1]:1 > [2001:db8::2]:2 S",
        // To a group that the target is not in, to another station, from this one.
        ask(to: "ff02::1"), ask(to: "2001:db8::9"), ask("dmac=02:00:00:00:00:0b"),
        ask("smac=02:00:00:00:00:0a \(group)"),
        // Not valid, but about somebody else.
        ask(about: "2001:db8::3", "ttl=1 badcsum"),
        Neighbours.message(136, from: "fd00::1", to: "ff02::1", about: "fd00::1"),
    ])
    func thisPasses(_ text: String) throws {
        let run = try run([text])
        #expect(try run.outputs["rest"]!.map(\.bytes) == [PacketText.frame(text).bytes])
    }

    @Test(arguments: [
        (ask("ttl=254"), "hop_limit"), (ask("badcsum"), "bad_checksum"), (ask("code=1"), "bad_code"),
        (ask(about: "ff02::1"), "bad_target"), (ask(options: [1, 0, 2, 0, 0, 0, 0, 7]), "bad_option"),
        (ask(options: [1, 2, 2, 0, 0, 0, 0, 7]), "bad_option"), (ask(options: [1, 1, 2]), "bad_option"),
        (ask(options: Neighbours.option(1, 7) + [9, 0, 0, 0, 0, 0, 0, 0]), "bad_option"),
        (ask(from: "::"), "bad_probe"), (ask(from: "::", to: "2001:db8::2", options: []), "bad_probe"),
        (ask(from: "ff02::9"), "bad_sender"), (ask(options: [1, 1, 3, 0, 0, 0, 0, 7]), "bad_sender"),
        (ask(options: [1, 1, 0, 0, 0, 0, 0, 0]), "bad_sender"),
        (ask(options: [], "smac=03:00:00:00:00:01 \(group)"), "bad_sender"),
        (ask("trunc=80"), "truncated"), ("2001:db8::1 > 2001:db8::2 icmp type=135 ttl=255 len=15", "too_short"),
        (ask("frag=0+"), "fragment"), (ask("frag=0"), "fragment"),
        (Neighbours.message(136, from: "2001:db8::2", to: "ff02::1", about: "2001:db8::2"), "conflict"),
        (ask(from: "2001:db8::2", about: "2001:db8::9"), "conflict"),
        (Neighbours.message(136, from: "2001:db8::2", to: "ff02::1", about: "2001:db8::2", flags: 0x40), "bad_probe"),
    ])
    func thisIsDropped(_ text: String, _ reason: String) throws {
        let run = try run([text])
        #expect(run.drops == [reason: 1], "\(text)")
        #expect(run.handler("conflicts") == (reason == "conflict" ? 1 : 0))
    }

    /// Extension headers are no part of the answer.
    @Test func headersBeforeTheMessageAreRemoved() throws {
        var frame = try PacketText.frame(Self.ask()).bytes
        frame.insert(contentsOf: [58, 0, 1, 4, 0, 0, 0, 0], at: 54)
        frame[20] = 0
        frame[19] += 8
        let run = try run([.init(bytes: frame, wireLength: frame.count, time: 0)])
        let reply = try #require(run.outputs["reply"]!.first)
        #expect(try reply.bytes.count == 86 && reply.matches("2001:db8::2 > 2001:db8::1 icmp type=136 goodcsum"))
    }

    @Test func cutAnywhere() throws {
        let frame = try PacketText.frame(Self.ask()).bytes
        for count in 0..<frame.count {
            let run = try run([.init(bytes: Array(frame[..<count]), wireLength: frame.count, time: 0)])
            #expect(run.outputs["reply"]!.isEmpty)
            // The type is the first byte behind Ethernet and IPv6.
            #expect(run.drops == (count <= 54 ? [:] : ["truncated": 1]), "\(count)")
        }
    }
}
