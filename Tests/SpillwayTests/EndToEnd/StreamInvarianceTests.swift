// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import TestSupport
import Testing

/// What is said of streams depends neither on batches, nor on the side elements run on, nor on how many cores there are and
/// how far packets of different connections overtake each other there.
@Suite struct StreamInvarianceTests {
    static let graphs = ["stream-dump", "http-log", "tls-names", "waf"]
    static let captures = ["web.pcap", "vlan.pcapng", "cooked.pcap"]

    @Test(arguments: graphs, captures) func recordsAreTheSame(_ name: String, _ capture: String) throws {
        let spec = try shippedGraph(name, [("records", "records")])
        let path = shippedCapture(capture)
        let strict = strictElements(spec)
        let reference = try runDirect(spec, capture: path, batch: 64)
        let expected = Effects(reference, strict: strict)
        for batch in [1, 7, 256] {
            let bound = try runDirect(spec, capture: path, batch: batch)
            #expect(bound.imbalances == [])
            #expect(expected.differences(Effects(bound, strict: strict)) == [], "\(name), batches of \(batch)")
            // Byte for byte, in one order.
            let isSame = bound.files.contents["records"] == reference.files.contents["records"]
            #expect(isSame, "\(name), batches of \(batch)")
        }
        for placement in spec.placements {
            let bound = try runTimed(spec, capture: path, sides: placement.sides)
            #expect(bound.imbalances == [])
            #expect(expected.differences(Effects(bound, strict: strict)) == [], "\(name), \(placement.name)")
            // So fast that all cores are busy: then the first packets of connections overtake each other, and connections
            // have other numbers. All else is the same.
            let fast = try runTimed(spec, capture: path, sides: placement.sides, load: .rate(50_000_000))
            #expect(fast.imbalances == [])
            let isSame = Self.byStream(fast) == Self.byStream(reference)
            #expect(isSame, "\(name), \(placement.name) under load")
        }
    }

    /// For each connection its records, without its number.
    static func byStream(_ bound: Bound) -> [[String]: Int] {
        var streams: [Substring: [String]] = [:]
        let text = String(decoding: bound.files.contents["records"] ?? [], as: UTF8.self)
        for line in text.split(separator: "\n") {
            let number = line.firstMatch(of: /"stream":([0-9]+),/)
            let record = String(line).replacing(/"stream":[0-9]+,/, with: "")
            streams[number?.output.1 ?? line, default: []].append(record)
        }
        return streams.values.reduce(into: [:]) { $0[$1.sorted(), default: 0] += 1 }
    }
}
