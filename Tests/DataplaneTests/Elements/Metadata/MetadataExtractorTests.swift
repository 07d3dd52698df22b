// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// Records of flows and packets, as they stand in a file.
@Suite struct MetadataExtractorTests: RecordBench {
    @Test func aFlowAsJSON() throws {
        let (_, lost, services) = try run(
            [("FlowTable", ""), ("MetadataExtractor", ""), ("RecordSink", "")],
            conversation + ["[2001:db8::1]:53 > [2001:db8::2]:54 udp len=4 time=3s"]
        )
        #expect(lost == 0)
        #expect(
            services.files["-"]?.text == """
                {"proto":"tcp","src":"10.0.0.1","dst":"10.0.0.2","sport":1000,"dport":80,"first_ns":1000000000,\
                "last_ns":2000000000,"packets_fwd":2,"packets_rev":2,"bytes_fwd":90,"bytes_rev":80,"flags_fwd":"SPA",\
                "flags_rev":"FSA","end":"fin"}
                {"proto":"udp","src":"2001:db8::1","dst":"2001:db8::2","sport":53,"dport":54,"first_ns":3000000000,\
                "last_ns":3000000000,"packets_fwd":1,"packets_rev":0,"bytes_fwd":52,"bytes_rev":0,"flags_fwd":"",\
                "flags_rev":"","end":"eof"}

                """
        )
    }

    @Test func aFlowAsCSV() throws {
        let (_, _, services) = try run(
            [
                ("FlowTable", ""), ("MetadataExtractor", "{fields: [src, proto, end, packets_fwd]}"),
                ("RecordSink", "{format: csv, file: flows.csv}"),
            ],
            conversation + ["10.0.0.7 > 10.0.0.8 proto=47 len=4 time=3s"]
        )
        #expect(
            services.files["flows.csv"]?.text
                == "src,proto,end,packets_fwd\r\n10.0.0.1,tcp,fin,2\r\n10.0.0.7,47,eof,1\r\n"
        )
    }

    /// A column of JSON has one type: other protocols than TCP and UDP are text too.
    @Test func protocolsAreText() throws {
        let (_, _, services) = try run(
            [("MetadataExtractor", "{per: packet, fields: [proto]}"), ("RecordSink", "{file: packets}")],
            ["10.0.0.7 > 10.0.0.8 proto=47 len=4", "10.0.0.7 > 10.0.0.8 icmp", "10.0.0.7:1 > 10.0.0.8:2 udp"]
        )
        #expect(
            services.files["packets"]?.text == #"{"proto":"47"}"# + "\n" + #"{"proto":"1"}"# + "\n"
                + #"{"proto":"udp"}"# + "\n"
        )
    }

    @Test func aRecordForEachPacket() throws {
        let (_, _, services) = try run(
            [("MetadataExtractor", "{per: packet}"), ("RecordSink", "{file: packets}")],
            ["10.0.0.1:1000 > 10.0.0.2:80 PA seq=1 len=5 ttl=9 vlan=3 time=1s", "10.0.0.1 > 10.0.0.2 arp time=2s"]
        )
        #expect(
            services.files["packets"]?.text == """
                {"time_ns":1000000000,"proto":"tcp","src":"10.0.0.1","dst":"10.0.0.2","sport":1000,"dport":80,"length":63,\
                "ip_length":45,"payload_length":5,"ttl":9,"flags":"PA","direction":"fwd"}
                {"time_ns":2000000000,"proto":"0","src":"0.0.0.0","dst":"0.0.0.0","sport":0,"dport":0,"length":42,\
                "ip_length":0,"payload_length":0,"ttl":0,"flags":"","direction":"fwd"}

                """
        )
    }

    @Test(arguments: [
        (["10.0.0.1:1 > 10.0.0.2:2 R"], "rst"), (["10.0.0.1:1 > 10.0.0.2:2 FA", "10.0.0.2:2 > 10.0.0.1:1 RA"], "rst"),
        (["10.0.0.2:2 > 10.0.0.1:1 FA"], "fin"), (["10.0.0.1:1 > 10.0.0.2:2 A"], "eof"),
        (["10.0.0.1:1 > 10.0.0.2:2 A time=1s", "10.0.0.1:9 > 10.0.0.2:9 A time=1000s"], "idle"),
        (["10.0.0.1:1 > 10.0.0.2:2 S seq=1", "10.0.0.1:1 > 10.0.0.2:2 S seq=77"], "eof"),
    ])
    func flowsEndForTheStrongestReason(_ packets: [String], _ end: String) throws {
        let (_, _, services) = try run(
            [("FlowTable", ""), ("MetadataExtractor", "{fields: [end]}"), ("RecordSink", "")],
            packets
        )
        let first = services.files["-"]!.text.split(separator: "\n").first
        #expect(first == "{\"end\":\"\(end)\"}")
    }

    @Test func anEvictedFlowSaysSo() throws {
        let (_, _, services) = try run(
            [("FlowTable", "{capacity: 1}"), ("MetadataExtractor", "{fields: [sport, end]}"), ("RecordSink", "")],
            ["10.0.0.1:1 > 10.0.0.2:2 A", "10.0.0.1:2 > 10.0.0.2:2 A"]
        )
        #expect(services.files["-"]?.text == "{\"sport\":1,\"end\":\"evicted\"}\n{\"sport\":2,\"end\":\"eof\"}\n")
    }

    /// Slots are used again all the time, and no flow inherits the counts of the one before it.
    @Test func reusedSlotsBeginAnew() throws {
        let texts = (0..<500).flatMap { n in
            Array(repeating: "10.0.0.1:\(1000 + n) > 10.0.0.2:80 A seq=5 len=10", count: n % 5 + 1)
        }
        for batch in [1, 64] {
            let (_, lost, services) = try run(
                [
                    ("FlowTable", "{capacity: 4}"), ("MetadataExtractor", "{fields: [sport, packets_fwd]}"),
                    ("RecordSink", ""),
                ],
                texts,
                batch: batch
            )
            #expect(lost == 0)
            let lines = services.files["-"]!.text.split(separator: "\n")
            #expect(Set(lines) == Set((0..<500).map { "{\"sport\":\(1000 + $0),\"packets_fwd\":\($0 % 5 + 1)}"[...] }))
            #expect(lines.count == 500)
        }
    }

    /// An IP packet that ends before its ports has none, whatever the frame holds behind it.
    @Test func portsStandWithinTheirPacket() throws {
        let records = try run(
            [("MetadataExtractor", "{per: packet, fields: [dst, sport, dport]}"), ("RecordSink", "")],
            ["10.0.0.1:1000 > 10.0.0.2:53 udp iplen=22", "10.0.0.1:1000 > 10.0.0.2:53 udp iplen=24"]
        )
        #expect(
            records.services.files["-"]?.text == """
                {"dst":"10.0.0.2","sport":0,"dport":0}
                {"dst":"10.0.0.2","sport":1000,"dport":53}

                """
        )
    }

    @Test(arguments: ["{per: packet, fields: [end]}", "{fields: [ttl]}", "{fields: [all, proto]}"])
    func fieldsMustFit(_ config: String) {
        #expect(throws: (any Error).self) { try ElementHarness("MetadataExtractor", config).run([String: [String]]()) }
    }
}
