// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import TestSupport
import Testing

@Suite struct NeighbourResolverTests {
    private func run(
        _ packets: [String],
        answers: [String] = [],
        _ more: String = "",
        addresses: String = "[10.0.0.10/24, 2001:db8::a/64, fe80::a/64]"
    ) throws -> ElementHarness.Run {
        var runs: [ElementHarness.Run] = []
        for batch in [1, 64] {
            var harness = try ElementHarness(
                "NeighbourResolver",
                "{mac: 02:00:00:00:00:0a, addresses: \(addresses)\(more)}"
            )
            harness.batch = batch
            let run = try harness.run(["in": packets, "answers": answers])
            #expect(run.counts.balances && run.lostItems == 0 && run.counts.held == 0)
            runs.append(run)
        }
        #expect(runs[0].outputs == runs[1].outputs && runs[0].drops == runs[1].drops)
        return runs[0]
    }

    private func packet(_ last: Int, _ seq: Int, _ time: String) -> String {
        "10.0.0.10:1000 > 10.0.0.\(last):80 S seq=\(seq) time=\(time)s"
    }

    private func answer(_ last: Int, _ time: String, _ words: String = "") -> String {
        "10.0.0.\(last) > 10.0.0.10 arp op=2 smac=02:00:00:00:01:0\(last % 10) dmac=02:00:00:00:00:0a time=\(time)s \(words)"
    }

    private func expect(
        _ seen: [Collector.Seen]?,
        _ patterns: [String],
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let seen = seen ?? []
        #expect(seen.count == patterns.count, "\(seen.map(\.text))", sourceLocation: location)
        for (item, pattern) in zip(seen, patterns) {
            #expect(try item.matches(pattern), "\(item.text) at \(item.time), not \(pattern)", sourceLocation: location)
        }
    }

    // MARK: Questions

    @Test(.enabled(if: Program.isThere("tshark"))) func tsharkReadsTheQuestions() throws {
        let run = try run(
            [
                "10.0.0.10:1 > 10.0.0.1:2 S vlan=7 time=1s", "[2001:db8::a]:1 > [2001:db8::1:2:3]:2 S time=1.1s",
                "[fe80::a]:1 > [fe80::7]:2 S vlan=100,5 time=1.2s",
            ],
            ", tries: 1"
        )
        let fields = [
            "eth.dst", "eth.src", "vlan.id", "arp.opcode", "arp.src.hw_mac", "arp.src.proto_ipv4", "arp.dst.hw_mac",
            "arp.dst.proto_ipv4", "ipv6.src", "ipv6.dst", "ipv6.hlim", "icmpv6.type", "icmpv6.nd.ns.target_address",
            "icmpv6.opt.type", "icmpv6.opt.linkaddr", "icmpv6.checksum.status",
        ]
        let ours = "02:00:00:00:00:0a"
        let seen = try Neighbours.dissect(run.outputs["query"]!, fields)
        #expect(
            seen == [
                "ff:ff:ff:ff:ff:ff|\(ours)|7|1|\(ours)|10.0.0.10|00:00:00:00:00:00|10.0.0.1|||||||||",
                "33:33:ff:02:00:03|\(ours)|||||||2001:db8::a|ff02::1:ff02:3|255|135|2001:db8::1:2:3|1|\(ours)|1|",
                "33:33:ff:00:00:07|\(ours)|5||||||fe80::a|ff02::1:ff00:7|255|135|fe80::7|1|\(ours)|1|",
            ]
        )
        #expect(run.drops == ["unfinished": 3])
    }

    @Test func aQuestionIsRepeatedAndThenGivenUp() throws {
        let run = try run(
            [packet(1, 1, "1"), packet(1, 2, "2.5"), packet(1, 3, "4"), packet(9, 4, "30")],
            answers: [answer(9, "30.5")]
        )
        try expect(
            run.outputs["query"],
            [1, 2, 3, 4, 5, 6].map { "* > 10.0.0.1 arp op=1 time=\($0)s" } + ["* > 10.0.0.9 arp time=30s"]
        )
        try expect(run.outputs["out"], ["* > 10.0.0.9:80 S seq=4 time=30.5s"])
        #expect(run.drops == ["unanswered": 3] && run.handler("queries") == 7)
    }

    @Test func answersInTimeReleaseInOrder() throws {
        let run = try run(
            [packet(1, 1, "1"), packet(2, 2, "1.1"), packet(1, 3, "1.2"), packet(1, 4, "3.6")],
            answers: [answer(1, "3.5"), answer(2, "3.55")]
        )
        try expect(
            run.outputs["out"],
            [
                "* > * seq=1 smac=02:00:00:00:00:0a dmac=02:00:00:00:01:01 time=3.5s", "* > * seq=3 time=3.5s",
                "* > * seq=2 dmac=02:00:00:00:01:02 time=3.55s", "* > * seq=4 time=3.6s",
            ]
        )
        #expect(run.drops.isEmpty && run.handler("learned") == 2 && run.handler("queries") == 6)
    }

    @Test func neighbourDiscoveryToo() throws {
        let advertisement = Neighbours.message(
            136,
            from: "2001:db8::1",
            to: "2001:db8::a",
            about: "2001:db8::1",
            options: Neighbours.option(2, 7),
            flags: 0x60,
            "time=1.5s"
        )
        let run = try run(
            ["[2001:db8::a]:1 > [2001:db8::1]:2 S vlan=5 time=1s"],
            answers: [advertisement]
        )
        try expect(run.outputs["out"], ["* > * S dmac=02:00:00:00:00:07 vlan=5 time=1.5s"])
    }

    // MARK: Next hops

    @Test func nextHops() throws {
        let run = try run(
            [
                "10.0.0.10:1 > 192.0.2.1:2 S time=1s", "[2001:db8::a]:1 > [2001:db8:1::1]:2 S time=1s",
                "10.0.0.10:1 > 10.0.0.255:2 udp time=1s", "10.0.0.10:1 > 255.255.255.255:2 udp time=1s",
                "10.0.0.10:1 > 239.129.2.3:2 udp time=1s", "[fe80::a]:1 > [ff02::fb]:2 udp time=1s",
                "10.0.0.10:1 > 10.0.0.10:2 S time=1s", "10.0.0.10:1 > 127.0.0.1:2 S time=1s",
                "10.0.0.10:1 > 0.1.2.3:2 S time=1s", "10.0.0.10:1 > 240.0.0.1:2 S time=1s",
                "[fe80::a]:1 > [::1]:2 S time=1s",
                "10.0.0.10:1 > 169.254.3.4:2 S time=1s", "10.0.0.1 > 10.0.0.2 arp time=1s",
                "ether=0x86dd len=3 time=1s",
            ],
            ", gateways: [10.0.0.1, fe80::1], neighbours: [10.0.0.1 02:00:00:00:01:01, fe80::1 02:00:00:00:01:02, "
                + "169.254.3.4 02:00:00:00:01:03]"
        )
        try expect(
            run.outputs["out"],
            [
                "* > 192.0.2.1:2 dmac=02:00:00:00:01:01", "* > [2001:db8:1::1]:2 dmac=02:00:00:00:01:02",
                "* > 10.0.0.255:2 dmac=ff:ff:ff:ff:ff:ff", "* > 255.255.255.255:2 dmac=ff:ff:ff:ff:ff:ff",
                "* > * dmac=01:00:5e:01:02:03", "* > * dmac=33:33:00:00:00:fb",
                "* > 169.254.3.4:2 dmac=02:00:00:00:01:03",
            ]
        )
        #expect(run.outputs["query"]!.isEmpty)
        #expect(run.drops == ["own_address": 1, "bad_destination": 4, "not_ip": 1, "truncated": 1])
    }

    @Test func withoutAWayThereIsNone() throws {
        let run = try run(
            ["10.0.0.10:1 > 192.0.2.1:2 S", "[2001:db8::1]:1 > [fe80::1]:2 S"],
            addresses: "[10.0.0.10/24]"
        )
        #expect(run.drops == ["no_route": 2])
    }

    /// The link of two hosts has neither a broadcast address nor one of the network (RFC 3021).
    @Test func twoHostsOnALink() throws {
        let run = try run(["10.0.0.10:1 > 10.0.0.11:2 S"], addresses: "[10.0.0.10/31]")
        try expect(run.outputs["query"], ["10.0.0.10 > 10.0.0.11 arp"])
    }

    @Test(arguments: [
        "gateways: [192.0.2.1]", "gateways: [10.0.0.1, 10.0.0.2]", "gateways: [10.0.0.10]", "gateways: [10.0.0.0/24]",
        "neighbours: ['10.0.0.1 02:00:00:00:01:01', '10.0.0.1 02:00:00:00:01:02']", "neighbours: [10.0.0.1]",
        "neighbours: [10.0.0.1 ff:ff:ff:ff:ff:ff]", "neighbours: [224.0.0.1 02:00:00:00:00:01]",
        "capacity: 1, neighbours: ['10.0.0.1 02:00:00:00:01:01', '10.0.0.2 02:00:00:00:01:02']",
        "addresses: [10.0.0.0/8, 224.0.0.1]",
    ])
    func theseParametersAreRefused(_ more: String) {
        #expect(throws: (any Error).self) {
            let base = more.contains("addresses") ? "" : ", addresses: [10.0.0.10/24]"
            _ = try ElementHarness("NeighbourResolver", "{mac: 02:00:00:00:00:0a\(base), \(more)}").run(
                [:] as [String: [String]]
            )
        }
    }

    // MARK: Bounds

    @Test func theOldestOfANeighbourGivesWay() throws {
        let run = try run((1...5).map { packet(1, $0, "1.\($0)") }, answers: [answer(1, "1.9")], ", waiting: 2")
        try expect(run.outputs["out"], ["* > * seq=4", "* > * seq=5"])
        #expect(run.drops == ["displaced": 3])
    }

    @Test func whoHasNotAnsweredGivesWayFirst() throws {
        // 1 answers; then 2, 3 and 4 are asked for, with room for two neighbours.
        let packets = [
            packet(1, 1, "1"), packet(2, 2, "1.2"), packet(3, 3, "1.3"), packet(4, 4, "1.4"), packet(1, 5, "1.5"),
        ]
        let answers = [answer(1, "1.1"), answer(4, "1.6")]
        let evicting = try run(packets, answers: answers, ", capacity: 2")
        try expect(evicting.outputs["out"], ["* > * seq=1", "* > * seq=5", "* > * seq=4"])
        #expect(evicting.drops == ["evicted": 2])
        let dropping = try run(packets, answers: answers, ", capacity: 2, on_full: drop")
        try expect(dropping.outputs["out"], ["* > * seq=1", "* > * seq=5"])
        #expect(dropping.drops == ["table_full": 2, "unfinished": 1, "unsolicited": 1])
        // Only then one that has answered; those that were given stay.
        let few = try run(
            [packet(1, 1, "1"), packet(2, 2, "1.2")],
            answers: [answer(1, "1.1"), answer(2, "1.3")],
            ", capacity: 1"
        )
        try expect(few.outputs["out"], ["* > * seq=1", "* > * seq=2"])
        let given = try run([packet(2, 2, "1.2")], ", capacity: 1, neighbours: [10.0.0.1 02:00:00:00:01:01]")
        #expect(given.drops == ["table_full": 1])
    }

    /// A scan of the network costs the scan its own entries, and those who are known stay.
    @Test func aScanDrivesOutItself() throws {
        let scan = (20...250).map { "10.0.0.10:1 > 10.0.0.\($0):2 S time=2s" }
        let run = try run(
            [packet(1, 1, "1"), packet(2, 2, "1")] + scan + [packet(1, 3, "2.5"), packet(2, 4, "2.5")],
            answers: [answer(1, "1.1"), answer(2, "1.1")],
            ", capacity: 8, packets: 6"
        )
        try expect(run.outputs["out"], ["* > * seq=1", "* > * seq=2", "* > * seq=3", "* > * seq=4"])
        #expect(run.handler("learned") == 2 && run.drops["evicted"] == 225)
    }

    @Test func packetsInAll() throws {
        let packets = [packet(1, 1, "1"), packet(1, 2, "1"), packet(2, 3, "1"), packet(3, 4, "1")]
        let answers = [answer(1, "1.1"), answer(2, "1.1"), answer(3, "1.1")]
        // The packets of 1 give way to that of 3.
        let evicting = try run(packets, answers: answers, ", packets: 3")
        try expect(evicting.outputs["out"], ["* > * seq=3", "* > * seq=4"])
        #expect(evicting.drops == ["evicted": 2, "unsolicited": 1])
        let dropping = try run(packets, answers: answers, ", packets: 3, on_full: drop")
        try expect(dropping.outputs["out"], ["* > * seq=1", "* > * seq=2", "* > * seq=3"])
        #expect(dropping.drops == ["no_room": 1, "unsolicited": 1])
        // One neighbour's own are displaced before anybody is driven out.
        let own = try run([packet(1, 1, "1"), packet(1, 2, "1")], answers: [answer(1, "1.1")], ", packets: 1")
        try expect(own.outputs["out"], ["* > * seq=2"])
        #expect(own.drops == ["displaced": 1])
    }

    // MARK: Ages

    @Test func anEntryInUseIsAskedForDirectly() throws {
        let packets = [
            packet(1, 1, "1"), packet(1, 2, "7"), packet(1, 3, "7.5"), packet(1, 4, "8.2"), packet(1, 5, "12"),
            packet(1, 6, "30"),
        ]
        let answers = [answer(1, "1.1"), answer(1, "8.3")]
        let run = try run(packets, answers: answers, ", lifetime: 10 s")
        try expect(
            run.outputs["query"],
            [
                "10.0.0.10 > 10.0.0.1 arp dmac=ff:ff:ff:ff:ff:ff time=1s", "* > * arp dmac=02:00:00:00:01:01 time=7s",
                "* > * arp dmac=02:00:00:00:01:01 time=8.2s",
                // Confirmed at 8.3 s, it is too old at 30 s.
                "* > * arp dmac=ff:ff:ff:ff:ff:ff time=30s",
            ]
        )
        try expect(run.outputs["out"], (1...5).map { "* > * seq=\($0)" })
        #expect(run.handler("expired") == 1 && run.drops == ["unfinished": 1])
    }

    // MARK: What is believed

    @Test func unsolicitedMessages() throws {
        let moved = "10.0.0.1 > 10.0.0.1 arp op=1 smac=02:00:00:00:02:02 dmac=ff:ff:ff:ff:ff:ff time=2s"
        let packets = [packet(1, 1, "1"), packet(1, 2, "3")]
        let updating = try run(packets, answers: [answer(1, "1.1"), moved])
        try expect(updating.outputs["out"], ["* > * seq=1", "* > * seq=2 dmac=02:00:00:00:02:02"])
        #expect(updating.handler("changed") == 1)
        let ignoring = try run(packets, answers: [answer(1, "1.1"), moved, answer(1, "2.1")], ", unsolicited: ignore")
        try expect(ignoring.outputs["out"], ["* > * seq=1", "* > * seq=2 dmac=02:00:00:00:01:01"])
        #expect(ignoring.drops == ["unsolicited": 2] && ignoring.handler("changed") == 0)
        // A question of the neighbour's resolves it too, but for `ignore` it is no answer.
        let asking = "10.0.0.1 > 10.0.0.10 arp op=1 dmac=ff:ff:ff:ff:ff:ff time=1.1s"
        try expect(try run([packet(1, 1, "1")], answers: [asking]).outputs["out"], ["* > * seq=1"])
        #expect(
            try run([packet(1, 1, "1")], answers: [asking], ", unsolicited: ignore").drops == [
                "unsolicited": 1, "unfinished": 1,
            ]
        )
        let given = try run(
            [packet(1, 1, "3")],
            answers: [answer(1, "2")],
            ", neighbours: [10.0.0.1 02:00:00:00:03:03]"
        )
        try expect(given.outputs["out"], ["* > * seq=1 dmac=02:00:00:00:03:03"])
        #expect(given.drops == ["given": 1])
    }

    /// RFC 4861 section 7.2.5.
    @Test func advertisements() throws {
        func advertise(_ flags: UInt32, _ last: UInt8?, _ time: String, _ words: String = "") -> String {
            Neighbours.message(
                136,
                from: "fe80::1",
                to: flags & 0x40 != 0 ? "fe80::a" : "ff02::1",
                about: "fe80::1",
                options: last.map { Neighbours.option(2, $0) } ?? [],
                flags: flags,
                "time=\(time)s \(words)"
            )
        }
        let packets = ["1", "3"].map { "[fe80::a]:1 > [fe80::1]:2 S time=\($0)s" }
        func stations(_ answers: [String], _ drops: [String: UInt64] = [:]) throws -> [String] {
            let run = try run(packets, answers: answers)
            #expect(run.drops == drops)
            return run.outputs["out"]!.map { String($0.bytes[5]) }
        }
        #expect(try stations([advertise(0x60, 7, "1.1")]) == ["7", "7"])
        // Without an address there is none to learn; a known one stays.
        #expect(
            try stations([advertise(0x40, nil, "1.1"), advertise(0x40, 7, "1.2")], ["bad_answer": 1]) == ["7", "7"]
        )
        #expect(try stations([advertise(0x60, 7, "1.1"), advertise(0x40, nil, "1.2")]) == ["7", "7"])
        // Another address counts only if it overrides.
        #expect(
            try stations([advertise(0x60, 7, "1.1"), advertise(0x40, 8, "1.2")], ["not_overriding": 1]) == ["7", "7"]
        )
        #expect(try stations([advertise(0x60, 7, "1.1"), advertise(0x20, 8, "1.2")]) == ["7", "8"])
        // Not valid, and no answers at all.
        for bad in [
            advertise(0x60, 7, "1.1", "ttl=64"), advertise(0x60, 7, "1.1", "badcsum"),
            advertise(0x60, 7, "1.1", "trunc=85"),
        ] {
            #expect(try run([packets[0]], answers: [bad]).drops == ["bad_answer": 1, "unfinished": 1])
        }
        let others = [
            "10.0.0.1:1 > 10.0.0.2:2 S",
            Neighbours.message(135, from: "fe80::1", to: "ff02::1:ff00:a", about: "fe80::a"),
            "10.0.0.1 > 10.0.0.2 arp trunc=30",
        ]
        #expect(try run([], answers: others).drops == ["not_answer": 2, "bad_answer": 1])
    }

    /// An empty pool: the question is left out, and asked again in time.
    @Test func aQuestionThatIsMissing() throws {
        var harness = try ElementHarness("NeighbourResolver", "{mac: 02:00:00:00:00:0a, addresses: [10.0.0.10/24]}")
        harness.pool = 1
        let run = try harness.run(["in": [packet(1, 1, "1")], "answers": []])
        #expect(run.counts.balances && run.handler("queries_missed")! > 0 && run.handler("queries") == 0)
    }
}
