// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import TestSupport
import Testing

/// TCPReassembler against published vectors, and the rules of what counts.
@Suite struct ReassemblyTests {
    /// A segment of the forward side; `start` counts from the first byte of the stream.
    struct Segment: Sendable, CustomStringConvertible {
        var start: Int
        var data: [UInt8]
        var flags: UInt8 = 0x10
        var end: Int { start + data.count }
        var description: String { "(\(start) \(String(decoding: data, as: UTF8.self)))" }
    }

    /// A frame of a segment whose stream begins behind `isn`.
    static func frame(_ segment: Segment, isn: UInt32, reverse: Bool = false) -> PacketText.Frame {
        var ip: [UInt8] = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0]
        ip += reverse ? [10, 0, 0, 2, 10, 0, 0, 1] : [10, 0, 0, 1, 10, 0, 0, 2]
        let total = 40 + segment.data.count
        ip[2] = UInt8(total >> 8)
        ip[3] = UInt8(total & 255)
        let syn = segment.flags & 2 != 0
        let sequence = isn &+ UInt32(truncatingIfNeeded: segment.start) &+ (syn ? 0 : 1)
        var tcp: [UInt8] = reverse ? [0, 80, 4, 0] : [4, 0, 0, 80]
        for shift in [24, 16, 8, 0] { tcp.append(UInt8(truncatingIfNeeded: sequence >> UInt32(shift))) }
        tcp += [0, 0, 0, 1, 0x50, segment.flags, 0xff, 0xff, 0, 0, 0, 0]
        let ethernet: [UInt8] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]
        let bytes = ethernet + ip + tcp + segment.data
        return PacketText.Frame(bytes: bytes, wireLength: bytes.count, time: nil)
    }

    struct Result {
        var bytes: [UInt8]
        var drops: [String: UInt64]
        var handlers: [String: Int]
        var isBalanced: Bool
    }

    /// What the forward side's stream is.
    static func stream(
        _ segments: [Segment],
        isn: UInt32 = 1_000,
        _ parameters: String = "",
        batch: Int = 64,
        next: String = "order.stream"
    ) throws -> Result {
        let spec = try graph(
            yaml: """
                graph: order
                elements:
                  wire: {type: Wire}
                  flows: {type: FlowTable, idle: 0 s}
                  order: {type: TCPReassembler\(parameters.isEmpty ? "" : ", " + parameters)}
                  dump: {type: StreamSink, directory: d}
                chains: [wire.rx -> flows -> \(next) -> dump.records -> RecordSink]
                """
        )
        let files = KeptFiles()
        let source = MemorySource(segments.map { frame($0, isn: isn) })
        var options = Instance.Options()
        options.batch = batch
        let wire = try #require(spec.nodes.firstIndex { $0.isWire })
        let instance = try Instance(
            spec,
            bindings: [wire: WireBinding(source: source)],
            services: files,
            options: options
        )
        try DirectRuntime(instance).run()
        let order = try #require(spec.nodes.firstIndex { $0.name == "order" })
        let counts = instance.counts(order)
        let isBalanced = instance.lostItems == 0 && spec.nodes.indices.allSatisfy { instance.counts($0).balances }
        return Result(
            bytes: files.contents.first {
                $0.key.contains("-10.0.0.1-") && $0.key.contains("d/") && $0.key.hasSuffix("-80")
            }?
            .value ?? [],
            drops: Dictionary(uniqueKeysWithValues: counts.drops.map { ($0.reason, $0.count) }),
            handlers: Dictionary(uniqueKeysWithValues: counts.handlers.map { ($0.name, $0.value) }),
            isBalanced: isBalanced
        )
    }

    static let syn = Segment(start: 0, data: [], flags: 0x02)

    // MARK: Published vectors

    /// Suricata's overlap sequences, from the shared conformance cases: the first byte comes last, so that everything waits.
    @Test(.enabled(if: Shared.isThere)) func publishedOverlaps() throws {
        let path = "conformance/tcp-overlap-policies.json"
        let file = try JSONSerialization.jsonObject(with: Shared.data(path))
        let sequences = try #require((file as? [String: Any])?["sequences"] as? [[String: Any]])
        var steps = 0
        for sequence in sequences {
            let policy = (sequence["policy"] as! String).lowercased().replacing("_", with: "-")
            for isn in sequence["initial_sequence_numbers"] as! [Double] {
                var segments: [Segment] = []
                for step in sequence["steps"] as! [[String: Any]] {
                    steps += 1
                    segments.append(
                        // Byte 0 is ours, and missing until the end.
                        Segment(start: step["rel_seq"] as! Int, data: Array((step["data"] as! String).utf8))
                    )
                    // What was never written is filled by a last segment that keeps everything else.
                    let expected = Array(("?" + (step["expect"] as! String)).utf8)
                    let covered = Set(segments.flatMap { Array($0.start..<$0.end) })
                    let holes = (1..<expected.count).filter { !covered.contains($0) }
                    let fill = holes.map { Segment(start: $0, data: [UInt8(ascii: ".")]) }
                    let last = Segment(start: 0, data: [UInt8(ascii: "?")])
                    let result = try Self.stream(
                        [Self.syn] + segments + fill + [last],
                        isn: UInt32(isn) &- 1,
                        "overlap: \(policy)"
                    )
                    let name = sequence["name"] as! String
                    #expect(
                        String(decoding: result.bytes, as: UTF8.self) == String(decoding: expected, as: UTF8.self),
                        "\(name) after \(segments), initial sequence number \(isn)"
                    )
                    #expect(result.isBalanced)
                }
            }
        }
        #expect(steps > 800)
    }

    /// FreeBSD's packetdrill scripts: how many bytes can be read after each segment, whatever the order and overlap.
    @Test(.enabled(if: Shared.isThere)) func packetdrillReassembly() throws {
        let path = "conformance/packetdrill-freebsd-reassembly.json"
        let file = try JSONSerialization.jsonObject(with: Shared.data(path))
        let cases = try #require((file as? [String: Any])?["cases"] as? [[String: Any]])
        var checked = 0
        for test in cases {
            var segments: [Segment] = []
            for event in test["events"] as! [[String: Any]] {
                if event["dir"] as? String == "in", let length = event["len"] as? Int {
                    let flags = event["flags"] as! String
                    let start = event["seq"] as! Int
                    segments.append(
                        Segment(
                            start: flags.contains("S") ? 0 : start - 1,
                            data: Array(repeating: UInt8(ascii: "x"), count: length),
                            flags: (flags.contains("S") ? 2 : 0) | (flags.contains("F") ? 1 : 0)
                                | (flags.contains(".") ? 16 : 0)
                        )
                    )
                } else if let call = event["call"] as? String, call.hasPrefix("recv"),
                    let count = call.split(separator: "=").last.flatMap({ Int($0.trimmingCharacters(in: .whitespaces)) }
                    ),
                    count > 0
                {
                    // Holes at the end are waited for, so that only what is in order counts.
                    let result = try Self.stream(segments, "on_gap: wait")
                    #expect(result.bytes.count == count, "\(test["file"]!) after \(segments.count) segments")
                    checked += 1
                }
            }
        }
        #expect(cases.count == 217 && checked >= 217)
    }

    // MARK: Rules

    @Test func whatNoReceiverTakes() throws {
        let good = Segment(start: 0, data: Array("abc".utf8))
        let noAck = Segment(start: 3, data: Array("QQQ".utf8), flags: 0)
        let farAway = Segment(start: 200_000_000, data: Array("YYY".utf8))
        let rest = Segment(start: 3, data: Array("def".utf8))
        let fin = Segment(start: 6, data: [], flags: 0x11)
        let late = Segment(start: 6, data: Array("ZZZ".utf8))
        let result = try Self.stream([Self.syn, good, noAck, farAway, rest, fin, late])
        #expect(result.bytes == Array("abcdef".utf8))
        #expect(result.drops == ["no_ack": 1, "out_of_window": 1, "after_end": 1])
    }

    /// A first packet that no receiver takes says that there is a connection, and not that its direction has ended.
    @Test(arguments: [0x01, 0x06, 0x16] as [UInt8]) func aRefusedFirstPacket(_ flags: UInt8) throws {
        let spec = try graph(
            yaml: """
                graph: order
                elements: {wire: {type: Wire}, sink: {type: RecordSink, format: json, file: records}}
                chains: [wire.rx -> FlowTable -> TCPReassembler.stream -> HTTPParser.records -> sink]
                """
        )
        let refused = Segment(start: 5, data: flags == 0x01 ? [1, 2] : [], flags: flags)
        let request = Segment(start: 0, data: Array("GET / HTTP/1.0\r\n\r\n".utf8))
        let files = KeptFiles()
        let source = MemorySource([refused, request].map { Self.frame($0, isn: 1_000) })
        let wire = try #require(spec.nodes.firstIndex { $0.isWire })
        let instance = try Instance(spec, bindings: [wire: WireBinding(source: source)], services: files)
        try DirectRuntime(instance).run()
        let records = String(decoding: files.contents["records"] ?? [], as: UTF8.self)
        #expect(records.hasPrefix("{\"stream\":0,") && records.contains("\"target\":\"/\""), "\(records)")
    }

    @Test func aResetCountsWithTheNextNumberOnly() throws {
        let data = Segment(start: 0, data: Array("abc".utf8))
        let wrong = Segment(start: 5, data: [], flags: 0x14)
        let more = Segment(start: 3, data: Array("def".utf8))
        let right = Segment(start: 6, data: Array("bye".utf8), flags: 0x14)
        let late = Segment(start: 9, data: Array("ghi".utf8))
        let result = try Self.stream([Self.syn, data, wrong, more, right, late])
        #expect(result.bytes == Array("abcdefbye".utf8))
        #expect(result.handlers["resets_ignored"] == 1)
        #expect(result.drops == ["after_end": 1])
    }

    /// A capture that lost some bytes goes on far beyond the window behind the hole: the connection must not be lost with it.
    @Test func aLostSegmentDoesNotEndTheStream() throws {
        let piece = [UInt8](repeating: 120, count: 1_000)
        let segments = [Self.syn] + (0..<5_000).filter { $0 != 10 }.map { Segment(start: 1_000 * $0, data: piece) }
        let result = try Self.stream(segments)
        #expect(result.bytes.count == 4_999_000 && result.handlers["gaps"] == 1 && result.drops == [:])
    }

    @Test func holesByPolicy() throws {
        let segments = [
            Self.syn, Segment(start: 0, data: Array("abc".utf8)), Segment(start: 6, data: Array("ghi".utf8)),
            Segment(start: 12, data: Array("mno".utf8)),
        ]
        let skip = try Self.stream(segments)
        #expect(skip.bytes == Array("abcghimno".utf8))
        #expect(skip.handlers["gaps"] == 2 && skip.handlers["gap_bytes"] == 6)
        let wait = try Self.stream(segments, "on_gap: wait")
        #expect(wait.bytes == Array("abc".utf8) && wait.drops == ["gap": 2])
        let dropped = try Self.stream(segments, "on_gap: drop_flow, flow_segments: 1")
        #expect(dropped.bytes == Array("abc".utf8) && dropped.drops == ["flow_dropped": 2])
        for result in [skip, wait, dropped] { #expect(result.isBalanced) }
    }

    /// A second reassembler finds in order what the first has put in order, and of cut segments what was left of them.
    @Test func twoInARow() throws {
        let segments = [(0, "abcdefghij"), (15, "pqrst"), (5, "fghijklmno"), (13, "nopqrstuvw"), (23, "xyz")].map {
            Segment(start: $0, data: Array($1.utf8))
        }
        let result = try Self.stream([Self.syn] + segments, next: "order.stream -> TCPReassembler")
        #expect(result.bytes == Array("abcdefghijklmnopqrstuvwxyz".utf8))
        #expect(result.handlers["overlaps"]! > 0 && result.isBalanced)
    }

    /// One-byte segments that never join stay within what may be held, whatever the bound and the policy.
    @Test func whatIsHeldIsBounded() throws {
        let segments = (0..<20_000).map { Segment(start: 2 + 2 * $0, data: [65]) }
        for parameters in ["flow_segments: 100", "segments: 50", "flow_bytes: 64 B", "bytes: 64 B"] {
            for policy in ["skip", "wait", "drop_flow"] {
                let result = try Self.stream([Self.syn] + segments, "\(parameters), on_gap: \(policy)")
                #expect(result.isBalanced && result.handlers["held"] == 0)
                if policy == "skip" { #expect(result.bytes.count == 20_000) }
            }
        }
    }
}
