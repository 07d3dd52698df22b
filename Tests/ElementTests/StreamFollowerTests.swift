// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// Elements that follow streams, behind a flow table and a reassembler.
struct StreamFollowerTests {
    /// What one run gave: what left by output, in text form, and what the element counted.
    struct Run {
        var outputs: [String: [Collector.Seen]]
        var counts: ElementCounts
        func texts(_ port: String) -> [String] { (outputs[port] ?? []).map(\.text) }
        func handler(_ name: String) -> Int? { counts.handlers.first { $0.name == name }?.value }
        func drops(_ reason: String) -> UInt64? { counts.drops.first { $0.reason == reason }?.count }
    }

    /// wire -> FlowTable -> TCPReassembler -> the element, its outputs collected. An input `rest` gets the
    /// reassembler's.
    private func run(
        _ type: String,
        _ config: String,
        _ packets: [ElementHarness.Packet],
        batch: Int = 64,
        services: TestServices = TestServices()
    ) throws -> Run {
        let catalog = Catalog.standard
        var nodes: [GraphSpec.Node] = []
        var edges: [GraphSpec.Edge] = []
        func add(_ type: ElementDescriptor, _ config: String = "") throws -> Int {
            nodes.append(
                GraphSpec.Node(
                    name: "\(type.name)@\(nodes.count)",
                    type: type,
                    element: try ElementHarness.configure(type, config)
                )
            )
            return nodes.count - 1
        }
        let wire = try add(catalog["Wire"]!)
        let flows = try add(catalog["FlowTable"]!, "{capacity: 4096}")
        let order = try add(catalog["TCPReassembler"]!)
        let element = try add(try #require(catalog[type]), config)
        edges.append(.init(from: wire, output: 0, to: flows, input: 0))
        edges.append(.init(from: flows, output: 0, to: order, input: 0))
        edges.append(.init(from: order, output: 0, to: element, input: 0))
        if nodes[element].element.inputs.count > 1 {
            edges.append(.init(from: order, output: 1, to: element, input: 1))
        }
        var collectors: [(port: String, node: Int)] = []
        for (number, output) in nodes[element].element.outputs.enumerated() {
            let collector = try add(ElementDescriptor(Collector.self))
            edges.append(.init(from: element, output: number, to: collector, input: 0))
            collectors.append((output.name, collector))
        }
        var options = Instance.Options()
        options.batch = batch
        options.poolCapacity = 8192
        let instance = try Instance(
            GraphSpec(name: "chain", nodes: nodes, edges: edges),
            bindings: [wire: WireBinding(source: MemorySource(packets))],
            services: services,
            options: options
        )
        for (_, node) in collectors { (instance.elements[node] as! Collector).layouts = instance.layouts }
        try DirectRuntime(instance).run()
        for node in nodes.indices { #expect(instance.counts(node).balances) }
        #expect(instance.lostItems == 0)
        return Run(
            outputs: Dictionary(
                uniqueKeysWithValues: collectors.map { ($0.port, (instance.elements[$0.node] as! Collector).seen) }
            ),
            counts: instance.counts(element)
        )
    }

    private func packet(_ text: String) throws -> ElementHarness.Packet {
        let frame = try PacketText.frame(text)
        return ElementHarness.Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: frame.time ?? 0)
    }

    private func data(
        _ bytes: some Collection<UInt8>,
        _ sequence: Int,
        port: Int = 1000,
        flags: String = "PA",
        back: Bool = false,
        options: String = ""
    ) throws -> ElementHarness.Packet {
        let ends = back ? "10.0.0.2:80 > 10.0.0.1:\(port)" : "10.0.0.1:\(port) > 10.0.0.2:80"
        var packet = try packet("\(ends) \(flags) seq=\(sequence) ack=1 len=\(bytes.count) \(options)")
        packet.bytes.replaceSubrange((packet.bytes.count - bytes.count)..., with: bytes)
        return packet
    }

    // MARK: Patterns

    @Test func anOccurrenceAcrossSegments() throws {
        let found = try run(
            "PatternMatcher",
            "{patterns: [cde, d, xyz]}",
            [data(Array("abc".utf8), 1), data(Array("q".utf8), 1, back: true), data(Array("defg".utf8), 4)]
        )
        let start = "stream=0 src=10.0.0.1 sport=1000 dst=10.0.0.2 dport=80 time_ns=0 direction=forward"
        #expect(
            found.texts("records") == ["\(start) offset=3 pattern=1 text=d", "\(start) offset=2 pattern=0 text=cde"]
        )
        #expect(
            found.texts("totals") == ["pattern=0 text=cde matches=1 packets=1", "pattern=1 text=d matches=1 packets=1"]
        )
        #expect(found.outputs["out"]?.count == 3 && found.handler("scanned") == 8)
    }

    @Test func missingBytesBeginTheSearchAnew() throws {
        let found = try run(
            "PatternMatcher",
            "{patterns: [abcd]}",
            [data(Array("ab".utf8), 1), data(Array("cdabcd".utf8), 13)]
        )
        #expect(found.texts("records").count == 1)
        #expect(found.texts("records").first?.contains("offset=14 ") == true)
    }

    @Test(arguments: [("forward", ["forward"]), ("reverse", ["reverse"]), ("both", ["forward", "reverse"])])
    func directions(_ direction: String, _ found: [String]) throws {
        let seen = try run(
            "PatternMatcher",
            "{patterns: [ab], direction: \(direction)}",
            [data(Array("ab".utf8), 1), data(Array("xab".utf8), 1, back: true)]
        )
        #expect(
            seen.texts("records").compactMap { $0.split(separator: " ").first { $0.hasPrefix("direction=") } }
                == found.map { "direction=\($0)" }
        )
    }

    @Test func recordsAreBounded() throws {
        let found = try run(
            "PatternMatcher",
            "{patterns: [a], records_per_flow: 3}",
            [data(Array("aaaaa".utf8), 1), data(Array("aa".utf8), 1, port: 2000)]
        )
        #expect(found.texts("records").count == 5 && found.handler("matches") == 7)
        #expect(found.handler("connections") == 2 && found.handler("found") == 1)
    }

    @Test func markedPacketsLeaveApart() throws {
        let found = try run(
            "PatternMatcher",
            "{patterns: [ab], action: mark}",
            [data(Array("xa".utf8), 1), data(Array("b".utf8), 3), data(Array("c".utf8), 4)]
        )
        #expect(found.outputs["out"]?.count == 2 && found.outputs["matched"]?.count == 1)
    }

    /// What was dropped and is sent again brings nothing new, and must not get through; cut into batches of any size.
    @Test(arguments: [1, 2, 3, 64])
    func aDroppedConnectionStaysDropped(_ batch: Int) throws {
        let found = try run(
            "PatternMatcher",
            "{patterns: [evil], action: drop}",
            [
                packet("10.0.0.1:1000 > 10.0.0.2:80 S seq=0"), packet("10.0.0.2:80 > 10.0.0.1:1000 SA seq=0 ack=1"),
                packet("10.0.0.1:1000 > 10.0.0.2:80 A seq=1 ack=1"), data(Array("an ev".utf8), 1),
                data(Array("il".utf8), 6), data(Array("il".utf8), 6), data(Array("an ev".utf8), 1),
                data(Array("answer".utf8), 1, back: true), data(Array("more".utf8), 8),
                packet("10.0.0.1:1000 > 10.0.0.2:80 A seq=12 ack=7"), data(Array("fine".utf8), 1, port: 2000),
            ],
            batch: batch
        )
        #expect(found.outputs["out"]?.count == 3)
        #expect(found.outputs["passed"]?.count == 2)
        #expect(found.drops("matched") == 1 && found.drops("flow_dropped") == 5)
    }

    /// Cut at every place, in order and not, with batches of several sizes: always the same records.
    @Test func cutsChangeNothing() throws {
        let text = Array("xxselectselectunionselxunion select".utf8)
        let config = "{patterns: [select, sel, 'union select', nse, t, xx], records_per_flow: 1000}"
        let whole = try run("PatternMatcher", config, [data(text, 1)]).texts("records").sorted()
        #expect(whole.count == 13)
        for cut in 1..<text.count {
            let pieces = try [data(text[..<cut], 1), data(text[cut...], 1 + cut)]
            // The first packet says where the direction begins.
            let syn = try packet("10.0.0.1:1000 > 10.0.0.2:80 S seq=0")
            for packets in [pieces, [syn] + pieces, [syn, pieces[1], pieces[0]]] {
                for batch in [1, 64] {
                    #expect(try run("PatternMatcher", config, packets, batch: batch).texts("records").sorted() == whole)
                }
            }
        }
    }

    @Test func patternsFromAFile() throws {
        let services = TestServices()
        services.readable["list"] = Array("sel\nab\\x63".utf8)
        let packets = try [data(Array("abc".utf8), 1)]
        let found = try run("PatternMatcher", "{patterns: [x], file: list}", packets, services: services)
        #expect(found.texts("totals") == ["pattern=2 text=abc matches=1 packets=1"])
        for (config, message) in [
            ("{patterns: [], file: other}", "there is no file 'other' here"),
            ("{patterns: []}", "there is no pattern to look for"),
        ] {
            let failure = #expect(throws: InstanceError.self) { try run("PatternMatcher", config, []) }
            #expect("\(failure!)".hasSuffix(message))
        }
    }

    /// The first bytes of a direction are missing: what is before them is known from the SYN.
    @Test func missingBytesBehindTheSYNCount() throws {
        let found = try run(
            "PatternMatcher",
            "{patterns: [abcd]}",
            [packet("10.0.0.1:1000 > 10.0.0.2:80 S seq=0"), data(Array("abcd".utf8), 11)]
        )
        #expect(found.texts("records").first?.contains("offset=10 ") == true)
    }

    // MARK: HTTP

    /// A method of which a part is missing is none.
    @Test func aWordWithAHoleIsNoMethod() throws {
        let rest = Array("T / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        for back in [false, true] {
            let whole = try run("HTTPParser", "", [data(Array("GE".utf8), 1, back: back), data(rest, 3, back: back)])
            #expect(whole.texts("records").count == 1)
            let cut = try run("HTTPParser", "", [data(Array("GE".utf8), 1, back: back), data(rest, 13, back: back)])
            #expect(cut.texts("records").isEmpty)
        }
    }

    // MARK: TLS

    /// A packet that no receiver takes comes first, so that nothing of its connection would be read.
    @Test(arguments: ["R", "RA", "F"]) func whatNoReceiverTakesEndsNothing(_ flags: String) throws {
        let found = try run(
            "TLSClientHello",
            "",
            [
                packet("10.0.0.1:1000 > 10.0.0.2:80 \(flags) seq=1"), packet("10.0.0.1:1000 > 10.0.0.2:80 S seq=0"),
                data(hello("example.org"), 1),
            ]
        )
        #expect(found.texts("records").first?.hasSuffix(whole) == true)
    }

    /// A hello for `name`, in records of `recordSize` bytes.
    private func hello(_ name: String, recordSize: Int = 16_384, padding: Int = 0) -> [UInt8] {
        func vector16(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes }
        let names = [0, 0] + vector16(vector16([0] + vector16(Array(name.utf8))))
        let protocols = [0, 16] + vector16(vector16([2] + Array("h2".utf8) + [8] + Array("http/1.1".utf8)))
        let versions: [UInt8] = [0, 43, 0, 3, 2, 3, 4]
        let fill = padding == 0 ? [] : [0, 21] + vector16(Array(repeating: 0, count: padding))
        let body =
            [3, 3] + Array(repeating: UInt8(9), count: 32) + [0] + vector16([0x13, 1]) + [1, 0]
            + vector16(names + protocols + versions + fill)
        let message = [1, 0] + vector16(body)
        return Swift.stride(from: 0, to: message.count, by: recordSize).flatMap {
            [0x16, 3, 1] + vector16(Array(message[$0..<min(message.count, $0 + recordSize)]))
        }
    }

    private func pieces(
        _ bytes: [UInt8],
        _ size: Int,
        _ sequence: Int = 1,
        port: Int = 1000
    ) throws -> [ElementHarness.Packet] {
        try Swift.stride(from: 0, to: bytes.count, by: size).map {
            try data(bytes[$0..<min(bytes.count, $0 + size)], sequence + $0, port: port)
        }
    }

    private let whole =
        "form=tls version=TLS 1.3 sni=example.org alpn=h2,http/1.1 error="

    @Test func aHelloInAnyPieces() throws {
        for (recordSize, before) in [
            (16_384, ""), (1, ""), (7, ""), (16_384, "CONNECT example.org:443 HTTP/1.1\r\n\r\n"),
        ] {
            let bytes = Array(before.utf8) + hello("example.org", recordSize: recordSize)
            for size in [1, 2, 5, 6, 11, 50, bytes.count] {
                let found = try run("TLSClientHello", "", pieces(bytes, size))
                #expect(found.texts("records").count == 1)
                #expect(found.texts("records").first?.hasSuffix(whole) == true, "\(recordSize) \(before) \(size)")
                #expect(found.handler("waiting") == 0)
            }
            if recordSize > 7 {
                for cut in 1..<bytes.count {
                    let packets = try [data(bytes[..<cut], 1), data(bytes[cut...], 1 + cut)]
                    #expect(try run("TLSClientHello", "", packets).texts("records").first?.hasSuffix(whole) == true)
                }
            }
        }
    }

    /// Where the search ends does not depend on pieces: the first byte, which may begin a hello of SSL 2.0, is remembered.
    @Test(arguments: [0, 1, 2, 9]) func theSearchEndsWhereItShould(_ before: Int) throws {
        let bytes = [0xcc] + Array(repeating: 0x16, count: before) + hello("example.org")
        for size in [1, 2, 3, 7, bytes.count] {
            for (search, isFound) in [(before, false), (before + 1, true)] {
                let found = try run("TLSClientHello", "{search: \(search) B}", pieces(bytes, size))
                #expect(found.texts("records").isEmpty != isFound, "\(search) of \(before + 1), \(size)")
            }
        }
    }

    /// What no receiver takes ends nothing for those who follow, although a connection would begin with it.
    @Test(arguments: ["F", "SR"]) func aRefusedPacketIsNoEnd(_ flags: String) throws {
        let forged = try data(Array("x".utf8), 1, flags: flags)
        let found = try run("TLSClientHello", "", [forged] + pieces(hello("example.org"), 50))
        #expect(found.texts("records").first?.hasSuffix(whole) == true)
        #expect(found.handler("streams") == 1)
    }

    /// A segment without ACK is thrown away before its timestamp is looked at: those that follow are not old because of it.
    @Test func aRefusedPacketHasNoTimestamp() throws {
        let bytes = hello("example.org")
        let found = try run(
            "TLSClientHello",
            "",
            [
                data(bytes[..<20], 1, options: "ts=100/0"), data(bytes[20..<40], 21, flags: "P", options: "ts=9000/0"),
                data(bytes[20...], 21, options: "ts=101/0"),
            ]
        )
        #expect(found.texts("records").first?.hasSuffix(whole) == true)
    }

    @Test func theClientMayComeSecond() throws {
        let found = try run(
            "TLSClientHello",
            "",
            [packet("10.0.0.1:1000 > 10.0.0.2:80 A seq=1 ack=1"), data(hello("example.org"), 1, back: true)]
        )
        #expect(
            found.texts("records").first?.hasPrefix("stream=0 src=10.0.0.2 sport=80 dst=10.0.0.1 dport=1000") == true
        )
    }

    @Test func whatIsNotRead() throws {
        let bytes = hello("example.org", padding: 300)
        func error(_ packets: [ElementHarness.Packet], _ config: String = "") throws -> [String] {
            try run("TLSClientHello", config, packets).texts("records").map {
                String($0.split(separator: " ").last { $0.hasPrefix("error=") } ?? "")
            }
        }
        #expect(try error([data(bytes[..<100], 1)]) == ["error=truncated"])
        #expect(try error([data(bytes[..<100], 1, flags: "FPA")]) == ["error=truncated"])
        #expect(try error([data(bytes[..<100], 1), data(bytes[150...], 151)]) == ["error=gap"])
        #expect(try error([data(bytes, 1)], "{hello_bytes: 100 B}") == ["error=too_long"])
        #expect(try error(pieces(bytes, 9), "{hello_bytes: 100 B}") == ["error=too_long"])
        var wrong = bytes
        wrong[43] = 200
        #expect(try error([data(wrong, 1)]) == ["error=malformed"])
        #expect(try error([data(Array("GET / HTTP/1.1\r\n\r\n".utf8), 1)]).isEmpty)
        #expect(try error([data([0x16, 3, 1], 1)]).isEmpty)
        // What came whole before is told.
        #expect(
            try run("TLSClientHello", "", [data(bytes[..<100], 1)]).texts("records").first?.contains("sni=example.org")
                == true
        )
    }

    @Test func theHelloOfSSL2() throws {
        let bytes: [UInt8] = [0x80, 9 + 3 + 16, 1, 3, 1, 0, 3, 0, 0, 0, 16, 0, 0, 5] + Array(repeating: 7, count: 16)
        for size in [1, 5, 100] {
            let found = try run("TLSClientHello", "", pieces(bytes, size))
            #expect(found.texts("records").first?.hasSuffix("form=ssl2 version=TLS 1.0 sni= alpn= error=") == true)
        }
    }

    /// Many hellos that never end take no more than their room; the rest are still read.
    @Test(arguments: ["oldest", "newest"], [1, 64])
    func buffersAreBounded(_ policy: String, _ batch: Int) throws {
        let bytes = hello("example.org")
        var packets: [ElementHarness.Packet] = []
        for port in 1000..<1100 { packets.append(try data(bytes[..<50], 1, port: port)) }
        packets.append(try data(bytes[50...], 51, port: policy == "oldest" ? 1099 : 1000))
        packets.append(try data(bytes, 1, port: 3000))
        let found = try run("TLSClientHello", "{buffer_bytes: 64 KiB, when_full: \(policy)}", packets, batch: batch)
        #expect(found.texts("records").count == 101)
        #expect(found.texts("records").count { $0.hasSuffix("error=no_room") } == 96)
        #expect(found.texts("records").count { $0.hasSuffix("error=truncated") } == 3)
        #expect(found.texts("records").count { $0.hasSuffix(whole) } == 2)
    }
}
