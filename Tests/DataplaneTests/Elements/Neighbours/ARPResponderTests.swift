// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import TestSupport
import Testing

@Suite struct ARPResponderTests {
    private static let config = "{addresses: [10.0.0.2, 10.0.1.0/24], mac: 02:00:00:00:00:0a}"
    private static let toAll = "dmac=ff:ff:ff:ff:ff:ff"

    private func run(_ packets: [ElementHarness.Packet]) throws -> ElementHarness.Run {
        let run = try ElementHarness("ARPResponder", Self.config).run(["in": packets])
        #expect(run.counts.balances && run.lostItems == 0)
        return run
    }

    private func run(_ texts: [String]) throws -> ElementHarness.Run { try run(ElementHarness.packets(texts)) }

    /// Byte by byte as in RFC 826: addresses change places, and the answer's sender is the one that was asked for.
    @Test func theAnswerHasTheseBytes() throws {
        let request =
            "hex=ffffffffffff020000000001" + "8100a005" + "0806" + "0001080006040001"
            + "0200000000010a000001" + "0000000000000a000002"
        let answer =
            "hex=02000000000102000000000a" + "8100a005" + "0806" + "0001080006040002"
            + "02000000000a0a000002" + "0200000000010a000001"
        let run = try run([request])
        #expect(try run.outputs["reply"]!.map(\.bytes) == [PacketText.frame(answer).bytes])
        #expect(run.outputs["rest"]!.isEmpty && run.handler("replies") == 1 && run.handler("probes") == 0)
    }

    @Test(.enabled(if: Program.isThere("tshark"))) func tsharkReadsTheAnswers() throws {
        let run = try run([
            "10.0.0.1 > 10.0.0.2 arp \(Self.toAll)", "10.0.0.9 > 10.0.1.7 arp \(Self.toAll) vlan=100,5",
            "0.0.0.0 > 10.0.0.2 arp \(Self.toAll)", "10.0.0.1 > 10.0.0.2 arp dmac=02:00:00:00:00:0a",
        ])
        let fields = [
            "eth.dst", "eth.src", "vlan.id", "arp.opcode", "arp.src.hw_mac", "arp.src.proto_ipv4", "arp.dst.hw_mac",
            "arp.dst.proto_ipv4",
        ]
        let ours = "02:00:00:00:00:0a"
        let theirs = "02:00:00:00:00:01"
        let seen = try Neighbours.dissect(run.outputs["reply"]!, fields)
        #expect(
            seen == [
                "\(theirs)|\(ours)||2|\(ours)|10.0.0.2|\(theirs)|10.0.0.1|",
                "\(theirs)|\(ours)|5|2|\(ours)|10.0.1.7|\(theirs)|10.0.0.9|",
                "\(theirs)|\(ours)||2|\(ours)|10.0.0.2|\(theirs)|0.0.0.0|",
                "\(theirs)|\(ours)||2|\(ours)|10.0.0.2|\(theirs)|10.0.0.1|",
            ]
        )
        #expect(run.handler("probes") == 1)
    }

    @Test(arguments: [
        // Others' addresses, an answer, a question to another station, RARP, other packets.
        "10.0.0.1 > 10.0.0.3 arp \(toAll)", "10.0.0.1 > 10.0.0.2 arp op=2 dmac=02:00:00:00:00:0a",
        "10.0.0.1 > 10.0.0.2 arp dmac=02:00:00:00:00:0b", "10.0.0.1 > 10.0.0.2 arp op=3 \(toAll)",
        "10.0.0.1:1 > 10.0.0.2:2 S", "ether=0x88cc len=46", "hex=ff", "10.0.0.1 > 10.0.2.0 arp \(toAll)",
        // Its own question, which came back.
        "10.0.0.2 > 10.0.0.2 arp \(toAll) smac=02:00:00:00:00:0a",
    ])
    func thisPasses(_ text: String) throws {
        let run = try run([text])
        #expect(
            try run.outputs["rest"]!.map(\.bytes) == [PacketText.frame(text).bytes] && run.outputs["reply"]!.isEmpty
        )
    }

    @Test(arguments: [
        // Who has the address too: in an announcement, a question, an answer.
        ("10.0.0.2 > 10.0.0.2 arp \(toAll)", "conflict"), ("10.0.0.2 > 10.0.0.9 arp \(toAll)", "conflict"),
        ("10.0.1.9 > 10.0.0.1 arp op=2", "conflict"),
        // Senders that are no station, or no host.
        ("10.0.0.1 > 10.0.0.2 arp smac=ff:ff:ff:ff:ff:ff", "bad_sender"),
        ("10.0.0.1 > 10.0.0.2 arp smac=00:00:00:00:00:00", "bad_sender"),
        ("224.0.0.1 > 10.0.0.2 arp \(toAll)", "bad_sender"), ("255.255.255.255 > 10.0.0.2 arp \(toAll)", "bad_sender"),
        ("127.0.0.1 > 10.0.0.2 arp \(toAll)", "bad_sender"),
        // Hardware type and length, protocol type and length.
        (message("0006080006040001"), "bad_hardware"), (message("0001080008040001"), "bad_hardware"),
        (message("000186dd06040001"), "bad_protocol"), (message("0001080006100001"), "bad_protocol"),
        ("10.0.0.1 > 10.0.0.2 arp \(toAll) trunc=41", "truncated"),
    ])
    func thisIsDropped(_ text: String, _ reason: String) throws {
        let run = try run([text])
        #expect(run.drops == [reason: 1])
        #expect(run.handler("conflicts") == (reason == "conflict" ? 1 : 0))
    }

    private static func message(_ fixed: String) -> String {
        "hex=ffffffffffff0200000000010806" + fixed + String(repeating: "00", count: 40)
    }

    /// Wherever a capture cuts it.
    @Test func cutAnywhere() throws {
        let frame = try PacketText.frame("10.0.0.1 > 10.0.0.2 arp vlan=5 \(Self.toAll)").bytes
        for count in 0..<frame.count {
            let run = try run([.init(bytes: Array(frame[..<count]), wireLength: frame.count, time: 0)])
            // The EtherType of the content ends at 18.
            #expect(run.outputs["rest"]!.count == (count < 18 ? 1 : 0) && run.outputs["reply"]!.isEmpty, "\(count)")
            #expect(run.drops == (count < 18 ? [:] : ["truncated": 1]), "\(count)")
        }
    }

    /// What came behind a message does not go back, however much; frames have the least length of Ethernet at most.
    @Test(arguments: [42, 50, 60, 61, 1514, 9000]) func paddingIsCleared(_ length: Int) throws {
        var frame = try PacketText.frame("10.0.0.1 > 10.0.0.2 arp \(Self.toAll)").bytes
        frame += [UInt8](repeating: 0xa5, count: length - frame.count)
        let reply = try #require(
            try run([.init(bytes: frame, wireLength: length + 4, time: 0)]).outputs["reply"]!.first
        )
        #expect(reply.bytes.count == min(length, 60) && Int(reply.wireLength) == reply.bytes.count)
        #expect(reply.bytes[42...].allSatisfy { $0 == 0 })
    }
}
