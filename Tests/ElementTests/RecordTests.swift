// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// Records on their way from packets to a file.
struct RecordTests {
    /// Runs a chain of elements from a wire; gives the instance, for its counters, and the files.
    private func run(
        _ chain: [(type: String, config: String)],
        _ texts: [String],
        batch: Int = 64,
        pool: Int = 2048
    ) throws -> (counts: [ElementCounts], lost: Int, services: TestServices) {
        let catalog = Catalog.standard
        var nodes = [
            GraphSpec.Node(
                name: "wire",
                type: catalog["Wire"]!,
                element: try ElementHarness.configure(catalog["Wire"]!, "")
            )
        ]
        for (type, config) in chain {
            let descriptor = try #require(catalog[type])
            nodes.append(
                GraphSpec.Node(
                    name: "\(type)@\(nodes.count)",
                    type: descriptor,
                    element: try ElementHarness.configure(descriptor, config)
                )
            )
        }
        var time: Int64 = 0
        let packets = try texts.map { text in
            let frame = try PacketText.frame(text)
            time = frame.time ?? time
            return ElementHarness.Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: time)
        }
        var options = Instance.Options()
        options.batch = batch
        options.poolCapacity = pool
        let services = TestServices()
        let instance = try Instance(
            GraphSpec(
                name: "chain",
                nodes: nodes,
                edges: (1..<nodes.count).map { .init(from: $0 - 1, output: 0, to: $0, input: 0) }
            ),
            bindings: [0: WireBinding(source: MemorySource(packets))],
            services: services,
            options: options
        )
        var failure: (any Error)?
        do { try DirectRuntime(instance).run() } catch { failure = error }
        let counts = nodes.indices.map(instance.counts)
        for count in counts { #expect(count.balances, "\(count)") }
        if let failure { throw failure }
        return (counts, instance.lostItems, services)
    }

    private let conversation = [
        "10.0.0.1:1000 > 10.0.0.2:80 S seq=1 time=1s", "10.0.0.2:80 > 10.0.0.1:1000 SA seq=9 ack=2 time=1.25s",
        "10.0.0.1:1000 > 10.0.0.2:80 PA seq=2 ack=10 len=10 time=1.5s",
        "10.0.0.2:80 > 10.0.0.1:1000 FA seq=10 ack=12 time=2s",
    ]

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

    @Test func aRecordForEachPacket() throws {
        let (_, _, services) = try run(
            [("MetadataExtractor", "{per: packet}"), ("RecordSink", "{file: packets}")],
            ["10.0.0.1:1000 > 10.0.0.2:80 PA seq=1 len=5 ttl=9 vlan=3 time=1s", "10.0.0.1 > 10.0.0.2 arp time=2s"]
        )
        #expect(
            services.files["packets"]?.text == """
                {"time_ns":1000000000,"proto":"tcp","src":"10.0.0.1","dst":"10.0.0.2","sport":1000,"dport":80,"length":63,\
                "ip_length":45,"payload_length":5,"ttl":9,"flags":"PA","direction":"fwd"}
                {"time_ns":2000000000,"proto":0,"src":"0.0.0.0","dst":"0.0.0.0","sport":0,"dport":0,"length":42,\
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

    /// Packing records changes how they travel, not what is written.
    @Test(arguments: ["", "{count: 1}", "{count: 3}", "{size: 64 B}", "{size: 64 KiB}", "{timeout: 1 us}"])
    func coalescingChangesNoRecord(_ config: String) throws {
        let texts = (0..<300).map { "10.0.0.1:\(1000 + $0) > 10.0.0.2:80 A seq=\($0) time=\($0 * 700)ns" }
        let extractor = (type: "MetadataExtractor", config: "{per: packet, fields: [time_ns, sport]}")
        let plain = try run([extractor, ("RecordSink", "")], texts).services.files["-"]!.bytes
        for batch in [1, 64] {
            let packed = try run([extractor, ("Coalescer", config), ("RecordSink", "")], texts, batch: batch)
            #expect(packed.services.files["-"]!.bytes == plain)
            #expect(packed.lost == 0)
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

    @Test func transfersAreClosedWhenTheyShould() throws {
        // Records of ten bytes, one each millisecond.
        let texts = (0..<100).map { "10.0.0.1:\(1000 + $0) > 10.0.0.2:80 A time=\($0)ms" }
        let chain = { (config: String) in
            try run(
                [
                    ("MetadataExtractor", "{per: packet, fields: [time_ns, sport]}"), ("Coalescer", config),
                    ("RecordSink", ""),
                ],
                texts
            )
        }
        func transfers(_ config: String) throws -> Int? {
            try chain(config).counts[2].handlers.first { $0.name == "transfers" }?.value
        }
        #expect(try transfers("{count: 7, timeout: 10 s}") == 15)
        #expect(try transfers("{size: 64 B, timeout: 10 s}") == 17)
        // The first record of a transfer and those of the four milliseconds after it.
        #expect(try transfers("{timeout: 4500 us}") == 20)
        #expect(try transfers("{timeout: 10 s, count: 1000, size: 64 KiB}") == 1)
    }

    @Test func aFailingFileEndsTheRunWithItsError() throws {
        let texts = (0..<3000).map { "10.0.0.1:\($0) > 10.0.0.2:80 A" }
        #expect(throws: InstanceError.self) {
            try run([("MetadataExtractor", "{per: packet}"), ("RecordSink", "{file: small:100000}")], texts)
        }
        #expect(throws: InstanceError.self) { try run([("PacketSink", "{file: small:100000}")], texts) }
    }

    @Test func textIsWrittenInLargePieces() throws {
        let texts = (0..<3000).map { "10.0.0.1:\($0) > 10.0.0.2:80 A" }
        let (_, _, services) = try run([("MetadataExtractor", "{per: packet}"), ("RecordSink", "{file: f}")], texts)
        let file = services.files["f"]!
        #expect(file.bytes.count > 400_000 && file.writes <= file.bytes.count / 65_536 + 1)
    }

    @Test(arguments: ["{per: packet, fields: [end]}", "{fields: [ttl]}", "{fields: [all, proto]}"])
    func fieldsMustFit(_ config: String) {
        #expect(throws: (any Error).self) { try ElementHarness("MetadataExtractor", config).run([String: [String]]()) }
    }

    @Test func filesAreWrittenEvenWithoutPackets() throws {
        let services = try run([("PacketSink", "{file: a.pcapng}")], []).services
        #expect(services.files["a.pcapng"]?.bytes.prefix(4) == [0x0a, 0x0d, 0x0d, 0x0a])
        #expect(
            try run([("MetadataExtractor", "{per: packet}"), ("RecordSink", "{file: b}")], []).services.files["b"]?
                .bytes == []
        )
    }

    @Test func aPcapFileTakesOneLinkType() throws {
        let frame = try PacketText.frame("10.0.0.1:1 > 10.0.0.2:2 S").bytes
        let packets = [1, 101, 1].map {
            ElementHarness.Packet(bytes: frame, wireLength: frame.count, time: 0, linkType: $0)
        }
        let pcap = try ElementHarness("PacketSink", "{file: a.pcap}").run(["in": packets])
        #expect(pcap.drops == ["other_link_type": 1])
        #expect(pcap.services.files["a.pcap"]!.bytes.count == 24 + 2 * (16 + frame.count))
        #expect(try ElementHarness("PacketSink", "{file: a.pcapng}").run(["in": packets]).drops.isEmpty)
    }
}

struct TeeTests {
    @Test func copiesAreTheirOwn() throws {
        let run = try ElementHarness("Tee", "{outputs: 16}").run(["in": ["10.0.0.1 > 10.0.0.2 icmp len=3000"]])
        let first = try #require(run.outputs["out1"]?.first)
        var places: Set<UInt16> = []
        for port in 1...16 {
            let item = try #require(run.outputs["out\(port)"]?.first)
            #expect(item.bytes == first.bytes && item.sequence == first.sequence)
            places.insert(item.made)
        }
        #expect(places.count == 16)
    }

    @Test func anEmptyPoolLeavesCopiesOut() throws {
        var harness = try ElementHarness("Tee")
        harness.pool = 10
        harness.batch = 8
        let run = try harness.run(["in": (0..<8).map { "10.0.0.1 > 10.0.0.2 icmp rest=\($0)" }])
        #expect(run.outputs["out1"]!.count == 8)
        #expect(run.outputs["out2"]!.count == 2)
        #expect(run.handler("copies_missed") == 6)
    }
}
