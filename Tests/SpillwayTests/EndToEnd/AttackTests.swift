// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import TestSupport
import Testing

/// Hostile traffic: what elements hold stays within what was configured, every item is accounted for, and whoever asks for
/// something in the meantime is served as if there were no attack.
@Suite struct AttackTests {
    /// The most that elements may show of what they hold.
    static let limits = [
        "whole.datagrams": 500, "whole.held": 600, "whole.held_bytes": 64 << 10, "flows.flows": 2_000,
        "order.held": 1_500, "order.held_bytes": 96 << 10, "names.waiting": 64, "http.memory": 2 << 20,
    ]

    /// What an attack must drive to its limit, or how far, so that the test says something.
    static let aims: [Attack: (handler: String, least: Int)] = [
        .halfOpen: ("flows.flows", 2_000), .bytesReversed: ("order.held", 800),
        .bytesWithHoles: ("order.held", 1_000),
        .bytesBeforeAnother: ("order.held", 1_000), .endlessHead: ("http.memory", 8 << 10),
        .endlessHeads: ("http.memory", 1 << 20), .endlessTrailers: ("http.memory", 1),
        .unansweredRequests: ("http.memory", 512 << 10), .lateResponses: ("http.memory", 512 << 10),
        .openRequest: ("http.transactions", 100_000), .requestsWithHoles: ("http.skipped", 100_000),
        .nearlyLines: ("http.skipped", 10_000_000), .nearlyHeads: ("http.skipped", 10_000_000),
        .unfinishedHellos: ("names.waiting", 64), .firstFragments: ("whole.held", 500),
        .lastFragments: ("whole.held", 500),
    ]

    struct Outcome {
        /// Records of the good connections by file, without the numbers of streams, which count the hostile ones too.
        var records: [String: [String]] = [:]
        /// The largest values that handlers had now and then.
        var peaks: [String: Int] = [:]
        var imbalances: [String] = []
    }

    static func run(_ spec: GraphSpec, _ source: AttackSource) throws -> Outcome {
        let files = KeptFiles()
        // Small batches, so that it is looked often.
        var options = Instance.Options()
        options.batch = 2
        let instance = try Instance(
            spec,
            bindings: [0: WireBinding(source: source)],
            services: files,
            options: options
        )
        let runtime = DirectRuntime(instance)
        var outcome = Outcome()
        func look() {
            for number in spec.nodes.indices {
                let counts = instance.counts(number)
                for (name, value) in counts.handlers {
                    outcome.peaks["\(counts.name).\(name)", default: 0].raise(to: value)
                }
            }
        }
        runtime.shouldStop = {
            look()
            return false
        }
        try runtime.run()
        look()
        for number in spec.nodes.indices {
            let counts = instance.counts(number)
            if !counts.balances || counts.held != 0 { outcome.imbalances.append("\(counts)") }
        }
        if instance.lostItems != 0 { outcome.imbalances.append("\(instance.lostItems) items lost") }
        for (name, bytes) in files.contents {
            outcome.records[name] = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
                .filter { $0.contains("\"192.0.2.") }
                .map { String($0).replacing(/"stream":[0-9]+,/, with: "") }
        }
        return outcome
    }

    @Test(arguments: Attack.allCases) func theRestIsServed(_ attack: Attack) throws {
        let spec = try graph(yaml: Attack.graph)
        let count = 20_000
        let alone = try Self.run(spec, AttackSource(attack, count, isAlone: true))
        #expect(alone.records["http"]?.count == 20 && alone.records["tls"]?.count == 20)
        let attacked = try Self.run(spec, AttackSource(attack, count))
        #expect(attacked.imbalances == [])
        for (name, limit) in Self.limits { #expect(attacked.peaks[name]! <= limit, "\(name)") }
        if let aim = Self.aims[attack] { #expect(attacked.peaks[aim.handler]! >= aim.least, "\(aim.handler)") }
        #expect(attacked.records == alone.records)
    }

    /// A full flow table: with `evict` connections end that are idle for longer than it takes to fill the table, so that
    /// request and response are seen apart; with `drop` nobody has a place who comes when it is full.
    @Test(arguments: ["evict", "drop"]) func whoGivesWayInAFullTable(_ policy: String) throws {
        // Some 290 SYNs come between two packets of a good connection.
        let text = Attack.graph.replacing("capacity: 2000", with: "capacity: 100, on_full: \(policy)")
        let outcome = try Self.run(try graph(yaml: text), AttackSource(.halfOpen, 100_000))
        let log = outcome.records["http"] ?? []
        #expect(outcome.imbalances == [] && outcome.peaks["flows.flows"] == 100)
        if policy == "evict" {
            #expect(outcome.peaks["flows.evicted"]! > 99_000)
            #expect(log.count { $0.contains("\"method\":\"GET\"") && $0.contains("\"status\":null") } == 20)
            #expect(log.count { $0.contains("\"method\":null") && $0.contains("\"status\":200") } == 20)
        } else {
            // The first came before it was full.
            #expect(outcome.peaks["flows.evicted"] == 0)
            #expect(log.count == 1 && log[0].contains("\"target\":\"/0\"") && log[0].contains("\"status\":200"))
        }
    }

    /// What elements may hold together leaves a part of the pool free, whatever each may hold: else no packet can enter.
    @Test func thePoolIsNotTakenByThoseThatHold() throws {
        let spec = try graph(
            yaml: """
                graph: holders
                elements:
                  wire:  {type: Wire}
                  whole: {type: IPDefragmenter, tiny: join}
                  flows: {type: FlowTable}
                  order: {type: TCPReassembler, on_gap: wait}
                  again: {type: TCPReassembler, on_gap: wait}
                  sink:  {type: RecordSink, file: streams}
                chains:
                  - wire.rx -> whole -> flows -> order.stream -> again.stream -> StreamSink -> sink
                """
        )
        let frames = (0..<400).flatMap { k in
            [
                "10.1.0.\(k % 250):1000 > 10.0.0.2:53 udp id=\(k) frag=0+ len=8",
                "10.0.0.1:1000 > 10.0.0.2:80 A seq=\(10 + 2 * k) len=1",
            ]
        }
        var options = Instance.Options()
        options.poolCapacity = 256
        options.batch = 16
        let first = "10.0.0.1:1000 > 10.0.0.2:80 S seq=0"
        let source = MemorySource(try ([first] + frames).map { try PacketText.frame($0) })
        let instance = try Instance(
            spec,
            bindings: [0: WireBinding(source: source)],
            services: KeptFiles(),
            options: options
        )
        try DirectRuntime(instance).run()
        let drops = spec.nodes.indices.flatMap { instance.counts($0).drops }
        #expect(drops.contains { $0.reason == "evicted" && $0.count > 0 })
        #expect(drops.contains { $0.reason == "no_room" && $0.count > 0 })
        #expect(instance.lostItems == 0)
    }

    /// Captures of the attacks for other programs, and to measure with: `SPILLWAY_ATTACKS` names a directory, and
    /// `SPILLWAY_ATTACK_PACKETS` says how many packets each has, 1 000 000 where it says nothing.
    @Test(.enabled(if: environment["SPILLWAY_ATTACKS"] != nil)) func captures() throws {
        let spec = try graph(yaml: "{graph: copy, elements: {wire: {type: Wire}}, chains: [wire.rx -> wire.tx]}")
        let count = Self.environment["SPILLWAY_ATTACK_PACKETS"].flatMap { Int($0) } ?? 1_000_000
        for attack in Attack.allCases {
            let writer = try CaptureWriter(path: "\(Self.environment["SPILLWAY_ATTACKS"]!)/\(attack.rawValue).pcap")
            let binding = WireBinding(source: AttackSource(attack, count), destination: writer)
            try DirectRuntime(Instance(spec, bindings: [0: binding], services: KeptFiles())).run()
            try writer.close()
        }
    }
    static let environment = ProcessInfo.processInfo.environment
}

extension Int {
    fileprivate mutating func raise(to value: Int) { self = Swift.max(self, value) }
}
