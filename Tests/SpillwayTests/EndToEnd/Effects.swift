// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import Testing

/// What a run does to the world outside, in a form in which two runs can be compared.
struct Effects {
    /// For each wire and each direction of each flow, the packets in the order in which they left.
    private var sent: [String: [[UInt8]: [[UInt8]]]] = [:]
    /// For each file the lines, or packets, without their order.
    private var files: [String: [[UInt8]]] = [:]
    /// What elements counted, where no order and no clock is behind it.
    private var counts: [String] = []
    private var packets = 0

    /// - Parameter strict: names of elements that neither depend on order or clock nor get items from ones that do.
    init(_ bound: Bound, strict: Set<String>) {
        for (wire, collected) in bound.sent {
            for (bytes, item) in collected.packets {
                sent[wire, default: [:]][Effects.flow(bytes, item.linkType), default: []].append(bytes)
            }
            packets += collected.packets.count
        }
        for (name, bytes) in bound.files.contents {
            let pieces = name.hasSuffix("pcap") ? Effects.records(bytes) : bytes.split(separator: 0x0a).map(Array.init)
            files[name] = pieces.sorted { $0.lexicographicallyPrecedes($1) }
        }
        for number in bound.instance.spec.nodes.indices {
            let c = bound.instance.counts(number)
            guard strict.contains(c.name) else { continue }
            let drops = c.drops.map { "\($0.reason)=\($0.count)" }
            counts.append("\(c.name) in=\(c.entered) made=\(c.made) out=\(c.left) used=\(c.used) \(drops)")
        }
    }

    /// The ways in which the runs differ; empty when they do not.
    func differences(_ other: Effects) -> [String] {
        var out: [String] = []
        if packets != other.packets { out.append("\(packets) and \(other.packets) packets sent") }
        for wire in Set(sent.keys).union(other.sent.keys) {
            let flows = Set((sent[wire] ?? [:]).keys).union((other.sent[wire] ?? [:]).keys)
            let different = flows.filter { sent[wire]?[$0] != other.sent[wire]?[$0] }
            if !different.isEmpty { out.append("\(wire): \(different.count) of \(flows.count) flows differ") }
        }
        for name in Set(files.keys).union(other.files.keys) where files[name] != other.files[name] {
            out.append("\(name): \(files[name]?.count ?? -1) and \(other.files[name]?.count ?? -1) pieces differ")
        }
        for (a, b) in zip(counts, other.counts) where a != b { out.append("\(a) | \(b)") }
        return out
    }

    /// Something left the graph, so that a comparison says something.
    var isEmpty: Bool { packets == 0 && files.values.allSatisfy { $0.isEmpty } && counts.isEmpty }

    /// The records of a little-endian pcap file, each with its header.
    private static func records(_ bytes: [UInt8]) -> [[UInt8]] {
        var out: [[UInt8]] = []
        var at = 24
        while at + 16 <= bytes.count {
            let length = (0..<4).reduce(0) { $0 | Int(bytes[at + 8 + $1]) << (8 * $1) }
            let end = min(at + 16 + length, bytes.count)
            out.append(Array(bytes[at..<end]))
            at = end
        }
        return out
    }

    /// Names a direction of a flow: addresses, protocol and ports where they stand in every packet. Other packets have no
    /// flow and no order: each is a flow of its own.
    private static func flow(_ bytes: [UInt8], _ linkType: UInt16) -> [UInt8] {
        // Ethernet (1) with tags, Linux cooked v2 (276): those of the shipped captures.
        var at = linkType == 276 ? 0 : 12
        guard bytes.count >= 34 else { return bytes }
        func word(_ k: Int) -> Int { k + 1 < bytes.count ? Int(bytes[k]) << 8 | Int(bytes[k + 1]) : 0 }
        while linkType != 276, word(at) == 0x8100 || word(at) == 0x88a8 { at += 4 }
        let l3 = linkType == 276 ? 20 : at + 2
        if word(at) == 0x0800, bytes.count >= l3 + 24 {
            let l4 = l3 + 4 * Int(bytes[l3] & 15)
            let isWhole = word(l3 + 6) & 0x3fff == 0
            let hasPorts = isWhole && (bytes[l3 + 9] == 6 || bytes[l3 + 9] == 17) && bytes.count >= l4 + 4
            let key = [bytes[l3 + 9]] + bytes[(l3 + 12)..<(l3 + 20)]
            return hasPorts ? key + bytes[l4..<(l4 + 4)] : isWhole ? key : key + bytes[(l3 + 4)..<(l3 + 6)]
        }
        if word(at) == 0x86dd, bytes.count >= l3 + 44 {
            let next = bytes[l3 + 6]
            let key = [next] + bytes[(l3 + 8)..<(l3 + 40)]
            return next == 6 || next == 17 ? key + bytes[(l3 + 40)..<(l3 + 44)] : key
        }
        return bytes
    }
}

/// The elements that neither depend on order or clock nor get items from ones that do.
func strictElements(_ spec: GraphSpec) -> Set<String> {
    var loose = Set(spec.nodes.indices.filter { [.order, .clock].contains(spec.nodes[$0].type.depends) })
    while true {
        let more = spec.edges.filter { loose.contains($0.from) }.map(\.to)
        if loose.isSuperset(of: more) { break }
        loose.formUnion(more)
    }
    return Set(spec.nodes.indices.filter { !loose.contains($0) }.map { spec.nodes[$0].name })
}

/// Whether all that leaves a graph must be the same in each run. A Coalescer puts records together in another way; the
/// records stay.
func promisesSameEffects(_ spec: GraphSpec) -> Bool {
    spec.nodes.allSatisfy { [.item, .flow].contains($0.type.depends) || $0.type.name == "Coalescer" }
}

/// Runs a graph in every way and compares with the first: every byte and count, in order, whatever the batches; and what leaves
/// each flow, whatever the placement. Where elements look at the order of all packets, or at the clock, packets are so far apart in
/// timed runs that none overtakes another.
func expectInvariance(_ spec: GraphSpec, capture: String, packets: Int = .max, placements: [GraphSpec.Placement]) throws
{
    let isLoose = !promisesSameEffects(spec)
    // Packets of two wires at one time have no order in timed runs.
    let apart: Int64 = isLoose ? 77 : 0
    let strict = isLoose ? Set(spec.nodes.map(\.name)) : strictElements(spec)
    let reference = try runDirect(spec, capture: capture, packets: packets, apart: apart, batch: 64)
    let expected = Effects(reference, strict: strict)
    #expect(!expected.isEmpty)
    #expect(reference.imbalances == [], "\(spec.name)")
    let exact = Exact(reference)
    for batch in [1, 7] {
        let bound = try runDirect(spec, capture: capture, packets: packets, apart: apart, batch: batch)
        #expect(bound.imbalances == [], "\(spec.name), batches of \(batch)")
        #expect(Exact(bound).differences(exact) == [], "\(spec.name), batches of \(batch)")
    }
    for placement in placements {
        let bound = try runTimed(
            spec,
            capture: capture,
            packets: packets,
            apart: apart,
            sides: placement.sides,
            load: isLoose ? .factor(numerator: 1, denominator: 100_000) : .captureTime
        )
        #expect(bound.imbalances == [], "\(spec.name), placement \(placement.name)")
        let differences = expected.differences(Effects(bound, strict: strict))
        #expect(differences == [], "\(spec.name), placement \(placement.name)")
    }
}
