// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import TestSupport
import Testing

@Suite struct InputNotesTests {
    /// Copies and records that the pool had no item for are missing from results: the run says how many, and only then.
    @Test(arguments: [(64, 3, 64), (64, 2, 0), (256, 3, 0)])
    func shortagesAreTold(pool: Int, outputs: Int, missing: Int) throws {
        let spec = try graph(
            yaml: """
                graph: copies
                elements: {wire: {type: Wire}, all: {type: Tee, outputs: \(outputs)}}
                chains:
                \((1...outputs).map { "  - all.out\($0) -> Discard" }.joined(separator: "\n"))
                  - wire.rx -> all
                """
        )
        var options = Instance.Options()
        options.poolCapacity = pool
        options.batch = 32
        let frames = try (0..<64).map { try PacketText.frame("10.0.0.1:\(1000 + $0) > 10.0.0.2:80 udp len=4") }
        let instance = try Instance(
            spec,
            bindings: [0: WireBinding(source: MemorySource(frames))],
            services: KeptFiles(),
            options: options
        )
        try DirectRuntime(instance).run()
        let told = InputNotes(instance).warnings.filter { $0.hasPrefix("no item of the pool") }
        #expect(instance.pool.shortages == missing)
        #expect(told.count == (missing > 0 ? 1 : 0))
        if missing > 0 { #expect(told[0].contains("which has 64, was free for 64 copies or records")) }
    }

    /// The warnings of a run in which each of two wires gets packets with these stamps, captured and real lengths and link type.
    private func warnings(
        _ wires: [[(time: Int64, captured: Int, wire: Int)]],
        linkType: UInt16 = LinkType.ethernet,
        format: CaptureFormat = .pcap
    ) throws -> [String] {
        let names = ["a", "b"].prefix(wires.count)
        let spec = try graph(
            yaml: "graph: notes\nelements: {\(names.map { "\($0): {type: Wire}" }.joined(separator: ", "))}\nchains:\n"
                + names.map { "  - \($0).rx -> Discard\n" }.joined()
        )
        var bindings: [Int: WireBinding] = [:]
        let scratch = FileManager.default.temporaryDirectory.appending(path: "spillway-notes-\(UUID())")
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: scratch) }
        for (number, packets) in wires.enumerated() {
            let path = scratch.appending(path: "\(number).\(format)").path()
            do {
                let writer = try CaptureWriter(path: path)
                for packet in packets {
                    var bytes = [UInt8](repeating: 0, count: packet.captured)
                    try bytes.withUnsafeMutableBytes { bytes in
                        var item = Item(
                            data: bytes.baseAddress!,
                            length: UInt32(packet.captured),
                            wireLength: UInt32(packet.wire),
                            time: packet.time,
                            sequence: 0,
                            linkType: linkType,
                            interface: 0
                        )
                        try item.withPacket { try writer.write($0) }
                    }
                }
                try writer.close()
            }
            bindings[number] = WireBinding(source: try CaptureSource(paths: [path]))
        }
        let instance = try Instance(spec, bindings: bindings, services: KeptFiles())
        try DirectRuntime(instance).run()
        var notes = InputNotes(instance)
        notes.noteFrames(of: instance)
        return notes.warnings
    }

    private static let second: Int64 = 1_000_000_000
    private static let day = 86_400 * second

    /// What a capture does not show of the wire, or shows wrongly, is told; of an ordinary one nothing.
    @Test(arguments: [CaptureFormat.pcap, .pcapng]) func capturesThatMislead(_ format: CaptureFormat) throws {
        let whole = (0..<300).map { (time: Self.second * Int64($0 + 1), captured: 60 + $0, wire: 60 + $0) }
        #expect(try warnings([whole], format: format) == [])
        var cut = whole
        cut[100].captured = 50
        cut[290].captured = 60
        let ofCut = try warnings([cut], format: format)
        #expect(
            ofCut.count == 1
                && ofCut[0].contains("only a part of 2 of its 300 packets (62,450 of 62,850 bytes)"),
            "\(ofCut)"
        )
        var long = whole
        (long[7].captured, long[7].wire) = (9_238, 9_238)
        (long[8].captured, long[8].wire) = (9_239, 9_239)
        (long[9].captured, long[9].wire) = (60_000, 60_000)
        let ofLong = try warnings([long], format: format)
        #expect(ofLong.count == 1 && ofLong[0].contains("'a': 2 packets of more than 9,238 bytes"), "\(ofLong)")
        #expect(ofLong.allSatisfy { $0.contains("ethtool -K INTERFACE gro off") })
        // Both at once.
        long[9].captured = 96
        let ofBoth = try warnings([long], format: format)
        #expect(ofBoth.count == 2 && ofBoth[1].contains("'a': 2 packets of more"), "\(ofBoth)")
    }

    @Test func timesThatMeanNoRate() throws {
        func packets(_ times: Int64...) -> [(time: Int64, captured: Int, wire: Int)] { times.map { ($0, 60, 60) } }
        let (s, d) = (Self.second, Self.day)
        #expect(try warnings([packets(s, s, s)]).map { $0.contains("its 3 packets have one stamp") } == [true])
        #expect(try warnings([packets(s)]) == [])
        #expect(try warnings([packets(s, d, 2 * d)]) == [])
        #expect(
            try warnings([packets(s, 2 * s, 4 * d, 4 * d + s)]).map { $0.contains("1 pause of more than a day") } == [
                true
            ]
        )
        #expect(try warnings([packets(s, 3 * s), packets(2 * s, 5 * s)]) == [])
        let apart = try warnings([packets(s, 3 * s), packets(4 * s, 5 * s)])
        #expect(apart.count == 1 && apart[0].contains("of wires 'a' and 'b' do not overlap in time"), "\(apart)")
    }

    @Test func pseudoHeadersAreTold() throws {
        let told = try warnings(
            [[(time: 1, captured: 60, wire: 60), (time: 2, captured: 60, wire: 60)]],
            linkType: LinkType.linuxSLL
        )
        #expect(told.count == 1 && told[0].contains("2 packets of link type LINUX_SLL, whose 16 bytes"), "\(told)")
    }
}
