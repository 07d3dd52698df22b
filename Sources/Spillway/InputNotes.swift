// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import Live
import Reports

/// Notes on the captures of a run or a model, once they have been read.
public struct InputNotes {
    /// Oddities, in sentences.
    public private(set) var warnings: [String] = []
    /// Packets with a stamp before that of an earlier one, over all wires.
    public private(set) var backwards: UInt64 = 0
    /// Packets with a stamp too far ahead for time to follow, over all wires.
    public private(set) var ahead: UInt64 = 0
    /// The error that ended a capture, or the run, early; nil if there was none. The packets before it were used.
    public private(set) var failure: (any Error)?

    /// Collects the notes of all wires' sources.
    public init(_ instance: Instance) { self.init([instance]) }

    /// The same where several equal parts of a graph share the packets.
    init(_ instances: [Instance]) {
        let instance = instances[0]
        for number in instance.bindings.keys.sorted() {
            let sources = InputNotes.sources(of: number, instances)
            guard let source = sources.first else { continue }
            var counters = sources.reduce(into: PacketSource.Counters()) { $0.add($1.counters.pointee) }
            counters.packets += counters.others
            counters.bytes += counters.otherBytes
            let wire = "wire '\(instance.spec.nodes[number].name)'"
            warnings += (source as? any CaptureInput)?.warnings ?? []
            for (linkType, packets) in InputNotes.linkTypes(of: sources) where !LinkType.isSupported(linkType) {
                warnings.append(
                    "\(wire): \(counted(packets, "packet")) of link type \(LinkType.name(linkType)) (\(linkType)), "
                        + "whose headers are not known here"
                )
            }
            if counters.backwards > 0 {
                warnings.append(
                    "\(wire): \(counted(counters.backwards, "packet")) had a stamp before that of an earlier packet"
                )
            }
            if counters.ahead > 0 {
                warnings.append(
                    "\(wire): \(counted(counters.ahead, "packet")) had a stamp more than a day after those around them; "
                        + "nothing aged by it"
                )
            }
            if counters.clamped > 0 {
                warnings.append(
                    "\(wire): \(counted(counters.clamped, "packet")) had a stamp beyond 64 bits of nanoseconds since 1970 (year 2262), "
                        + "and got the nearest"
                )
            }
            if counters.pauses > 0 {
                warnings.append(
                    "\(wire): \(counted(counters.pauses, "pause")) of more than a day between packets: these count in its rate, which may "
                        + "mean nothing"
                )
            }
            if counters.packets > 1, counters.first == counters.last {
                warnings.append(
                    "\(wire): its \(counted(counters.packets, "packet")) have one stamp, so there is no rate at which they came"
                )
            }
            if counters.cut > 0 {
                warnings.append(
                    "\(wire): the capture holds only a part of \(grouped(counters.cut)) of its \(counted(counters.packets, "packet")) "
                        + "(\(grouped(counters.bytes - counters.missing)) of \(grouped(counters.bytes)) bytes): elements that read payload "
                        + "did less work than on the wire, and found less"
                )
            }
            let isKnown = InputNotes.linkTypes(of: sources).contains { LinkType.isSupported($0.linkType) }
            if counters.long > 0, isKnown {
                warnings.append(
                    "\(wire): \(counted(counters.long, "packet")) of more than \(grouped(UInt64(PacketSource.longestFrame))) bytes, longer than "
                        + "any frame: captured behind segmentation offload (or on a loopback interface). Each is several packets "
                        + "on the wire, so rates in packets are too low; before capturing, "
                        + "'ethtool -K INTERFACE gro off lro off tso off gso off'"
                )
            }
            let lives = sources.compactMap { $0 as? LiveSource }
            if let live = lives.first {
                let drops = lives.reduce(0) { $0 + $1.kernelDrops }
                if drops > 0 {
                    warnings.append(
                        "\(wire): the kernel dropped \(counted(drops, "packet")) that were not read in time; no other counter has them"
                    )
                }
                if live.outages > 0 {
                    warnings.append(
                        "\(wire): the interface went down, or away, \(counted(UInt64(live.outages), "time"))"
                    )
                }
            }
            if counters.packets == 0, source.failure == nil { warnings.append("\(wire): no packet came in") }
            backwards += counters.backwards
            ahead += counters.ahead
            failure = failure ?? sources.lazy.compactMap(\.failure).first
        }
        let spans = instance.bindings.sorted { $0.key < $1.key }.compactMap { number, binding in
            binding.source?.span.map { (name: instance.spec.nodes[number].name, span: $0) }
        }
        if let early = spans.min(by: { $0.span.upperBound < $1.span.upperBound }),
            let late = spans.max(by: { $0.span.lowerBound < $1.span.lowerBound }),
            early.span.upperBound < late.span.lowerBound
        {
            warnings.append(
                "the captures of wires '\(early.name)' and '\(late.name)' do not overlap in time: neither answers the other, and the "
                    + "time between them counts in rates"
            )
        }
        for part in instances { add(part, linkTypes: instance) }
    }

    /// The run ended by `failure`, if by any.
    mutating func note(_ failure: (any Error)?) { self.failure = self.failure ?? failure }

    /// The sources that together supply the packets of a wire.
    private static func sources(of wire: Int, _ instances: [Instance]) -> [PacketSource] {
        let sources = instances.compactMap { $0.bindings[wire]?.source }
        // Each of those that share a capture reads all of it.
        return sources.first?.shard == nil ? sources : [sources[0]]
    }

    private static func linkTypes(of sources: [PacketSource]) -> [(linkType: UInt16, packets: UInt64)] {
        var counts: [UInt16: UInt64] = [:]
        for one in sources.flatMap(\.linkTypes) { counts[one.linkType, default: 0] += one.packets }
        return counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Adds those of another part of a graph, whose packets come in at `first`.
    mutating func add(_ instance: Instance, linkTypes first: Instance) {
        if instance.pool.shortages > 0 {
            warnings.append(
                "no item of the pool, which has \(grouped(UInt64(instance.pool.capacity))), was free for "
                    + "\(grouped(instance.pool.shortages)) copies or records: they are missing, and which ones depends on --batch; "
                    + "see --pool"
            )
        }
        let linkTypes = Set(first.bindings.values.flatMap { $0.source?.linkTypes.map(\.linkType) ?? [] }).sorted()
        for number in instance.spec.nodes.indices {
            for linkType in linkTypes where LinkType.isSupported(linkType) {
                for rule in (instance.elements[number] as? Classifier)?.absentRules(linkType) ?? [] {
                    let warning =
                        "element '\(instance.spec.nodes[number].name)': rule '\(rule.name)' (\(rule.filter)) matches no packet of "
                        + "link type \(LinkType.name(linkType)), which has no such filter"
                    if !warnings.contains(warning) { warnings.append(warning) }
                }
            }
            for drop in instance.counts(number).drops where drop.reason == "time_out_of_range" && drop.count > 0 {
                warnings.append(
                    "element '\(instance.spec.nodes[number].name)': \(grouped(drop.count)) packets were not written, "
                        + "as the capture format cannot hold their time; pcap ends in February 2106, and pcapng does not"
                )
            }
        }
    }

    /// Adds what a model of ports takes for more than it is: bytes that only the capture has.
    public mutating func noteFrames(of instance: Instance) {
        for number in instance.bindings.keys.sorted() {
            for (linkType, packets) in instance.bindings[number]?.source?.linkTypes ?? [] {
                guard let header = [LinkType.linuxSLL: 16, LinkType.linuxSLL2: 20][linkType] else { continue }
                warnings.append(
                    "wire '\(instance.spec.nodes[number].name)': \(counted(packets, "packet")) of link type \(LinkType.name(linkType)), "
                        + "whose \(header) bytes before the packet count as bytes on the wire, where an Ethernet header has 14"
                )
            }
        }
    }

    /// Adds what sinks dropped: results that are missing where a user looks for them.
    mutating func noteDrops(at instance: Instance) {
        for number in instance.spec.nodes.indices where instance.spec.nodes[number].type.category == .sinks {
            let counts = instance.counts(number)
            for drop in counts.drops {
                let about = instance.spec.nodes[number].type.drops.first { $0.name == drop.reason }?.about
                warnings.append(
                    "'\(counts.name)' dropped \(counted(drop.count, "item")), missing from its results: \(drop.reason)"
                        + (about.map { " (\($0))" } ?? "")
                )
            }
        }
    }
}
