// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import TestSupport

/// All that a run does and counts, in order: two runs are the same only if every byte is.
struct Exact: Equatable {
    /// For each wire the packets sent, each with its time; for each file its bytes.
    private var sent: [String: [[UInt8]]] = [:]
    private var files: [String: [UInt8]] = [:]
    /// What every element counted, handlers and operations too.
    private var counts: [String] = []

    init(_ bound: Bound, files keepsFiles: Bool = true) {
        let spec = bound.instance.spec
        self.init(bound.sent, bound.files, spec.nodes.indices.map { bound.instance.counts($0) })
        if !keepsFiles { files = [:] }
    }

    /// - Parameter copying: Whether bytes that elements copied count: these depend on whose they were.
    init(_ sent: [String: CollectedPackets], _ files: KeptFiles, _ elements: [ElementCounts], copying: Bool = true) {
        for (wire, collected) in sent {
            self.sent[wire] = collected.packets.map { bytes, item in
                withUnsafeBytes(of: item.time.littleEndian) { Array($0) } + bytes
            }
        }
        self.files = files.contents
        for c in elements {
            counts.append(
                "\(c.name) in=\(c.entered) made=\(c.made) out=\(c.left) used=\(c.used) held=\(c.held) \(c.drops) "
                    + "\(c.operations.filter { copying || $0.operation != .copyBytes }) \(c.handlers)"
            )
        }
    }

    /// The ways in which the runs differ, in words.
    func differences(_ other: Exact) -> [String] {
        var out: [String] = []
        for wire in Set(sent.keys).union(other.sent.keys) where sent[wire] != other.sent[wire] {
            let (a, b) = (sent[wire] ?? [], other.sent[wire] ?? [])
            let at = zip(a, b).enumerated().first { $0.element.0 != $0.element.1 }?.offset
            out.append(
                "\(wire): \(a.count) and \(b.count) packets, different from \(at.map(String.init) ?? "the end") on"
            )
        }
        for name in Set(files.keys).union(other.files.keys) where files[name] != other.files[name] {
            out.append("\(name): \(files[name]?.count ?? -1) and \(other.files[name]?.count ?? -1) bytes differ")
        }
        for (a, b) in zip(counts, other.counts) where a != b { out.append("\(a) | \(b)") }
        return out
    }
}

/// The sizes of batches with which every graph must do the same.
let batchSizes = [1, 2, 7, 64, 256]

/// Random graphs with everything in them that could tell where a batch was cut: cycles, flows that are created on a way round,
/// tables that are full, timers of all lengths, items that are held and copied, elements that look at the order of all packets.
///
/// No span is a whole number of microseconds, as the stamps of captures are: what happens at one time has no order in a machine
/// where it takes time.
enum RandomLoops {
    /// Which are tried.
    static let seeds: Range<Int> = {
        let words = ProcessInfo.processInfo.environment["SPILLWAY_RANDOM_GRAPHS"]?.split(separator: "-").compactMap {
            Int($0)
        }
        if let words, words.count == 2, words[0] <= words[1] { return words[0]..<words[1] + 1 }
        return 0..<40
    }()

    /// A graph that the checker takes, with its text as what it is about.
    static func graph(seed: Int) throws -> GraphSpec {
        var random = Random(mix(UInt64(seed)))
        var parts = Parts(random: random)
        parts.grow()
        random = parts.random
        // Ways back, as long as nothing multiplies on them: copies of copies would fill any pool.
        for _ in 0..<(1 + random.below(3)) {
            guard let from = parts.loose.indices.filter({ !parts.loose[$0].carriesRecords }).randomElement(&random),
                let to = parts.doors.randomElement(&random)
            else { break }
            var more = parts
            more.chains.append("\(parts.loose[from].name) -> \(to)")
            more.loose.remove(at: from)
            if let spec = parse(more.finished(random)), isTame(spec) { parts = more }
        }
        let text = parts.finished(random)
        guard var spec = parse(text) else { throw Refused(text: text) }
        spec.about = text
        return spec
    }

    /// Neighbouring seeds must not give the same numbers one step apart.
    private static func mix(_ seed: UInt64) -> UInt64 {
        let z = (seed &+ 1) &* 0xd134_2543_de82_ef95
        return z ^ z &>> 29
    }

    struct Refused: Error { var text: String }

    fileprivate static func parse(_ text: String) -> GraphSpec? {
        GraphLoader(catalog: .standard, services: SystemServices()) { _ in Array(text.utf8) }.loadGraph("random.yaml")
            .graph
    }

    fileprivate static func isTame(_ spec: GraphSpec) -> Bool {
        let shape = GraphShape(spec)
        return !spec.nodes.indices.contains {
            ["Tee", "FaultInjector"].contains(spec.nodes[$0].type.name) && shape.cycle[$0] >= 0
        }
    }

    private struct Loose {
        var name: String
        var carriesRecords = false
        var isStream = false
        var hasFlows = false
    }

    private struct Parts {
        var random: Random
        var elements = ["wire: {type: Wire}"]
        var chains: [String] = []
        var loose = [Loose(name: "wire.rx")]
        /// Inputs at which edges may meet.
        var doors: [String] = []

        init(random: Random) {
            self.random = random
            if self.random.below(3) == 0 {
                elements.append("side: {type: Wire}")
                loose.append(Loose(name: "side.rx"))
            }
        }

        mutating func add(_ type: String, _ parameters: String = "") -> String {
            let name = "e\(elements.count)"
            elements.append("\(name): {type: \(type)\(parameters.isEmpty ? "" : ", \(parameters)")}")
            return name
        }

        mutating func grow() {
            for _ in 0..<(5 + random.below(9)) where !loose.isEmpty {
                let before = self
                let from = loose.remove(at: random.below(loose.count))
                if from.carriesRecords { growRecords(from) } else { growPackets(from) }
                // What joins may bring packets without flows where flows are needed, or copies of copies.
                if let spec = RandomLoops.parse(finished(random)), RandomLoops.isTame(spec) { continue }
                let random = random
                self = before
                self.random = random
            }
        }

        private mutating func lead(
            _ from: Loose,
            to name: String,
            _ ports: [String],
            isDoor: Bool = true,
            _ change: (inout Loose) -> Void = { _ in }
        ) {
            chains.append("\(from.name) -> \(name)")
            if isDoor { doors.append("\(name)") }
            for port in ports {
                var next = from
                next.name = "\(name.prefix { $0 != "." }).\(port)"
                change(&next)
                loose.append(next)
            }
        }

        private mutating func growRecords(_ from: Loose) {
            switch random.below(4) {
            case 0: lead(from, to: add("Counter"), ["out"], isDoor: false)
            case 1:
                let timeout = random.one(of: ["1300 ns", "100300 ns", "1000300 ns", "50000300 ns", "1 s"])
                let name = add("Coalescer", "size: 256 B, count: \(1 + random.below(8)), timeout: \(timeout)")
                lead(from, to: name, ["out"], isDoor: false)
            case 2: lead(from, to: add("Tee"), ["out1", "out2"], isDoor: false)
            default:
                let name = add("FaultInjector", "delay: 0.3, delay_by: \(random.one(of: ["9700 ns", "2000300 ns"]))")
                lead(from, to: name, ["out"], isDoor: false)
            }
        }

        private mutating func growPackets(_ from: Loose) {
            let durations = ["1300 ns", "20300 ns", "1000300 ns", "20000300 ns", "300000300 ns"]
            switch random.below(15) {
            case 0: lead(from, to: add("Counter"), ["out"])
            case 1: lead(from, to: add("IPCheck", "checksum: \(random.one(of: ["verify", "count"]))"), ["out"])
            case 2, 3:
                let filters = [
                    "tcp", "udp port 53", "ip6", "tcp port 80", "icmp", "less 100", "tcp[tcpflags] & tcp-syn != 0",
                    "ip[5] & 1 = 0",
                ]
                let rules = "rules: {a: \"\(random.one(of: filters))\", b: \"\(random.one(of: filters))\"}"
                lead(from, to: add("Classifier", rules), ["a", "b", "other"])
            case 4: lead(from, to: add("Tee", "outputs: 3"), ["out1", "out2", "out3"])
            case 5:
                let rate = random.one(of: ["0", "1999 pps", "97001 pps", "8 Mbps"])
                let name = add("Queue", "capacity: \(random.one(of: ["2", "8", "1024"])), rate: \(rate)")
                lead(from, to: name, ["out"])
            case 6:
                let name = add("RateLimiter", "rate: \(random.one(of: ["1000 pps", "50000 pps"])), burst: 3")
                lead(from, to: name, ["out", "excess"])
            case 7:
                let what = random.one(of: [
                    "loss: 0.1", "duplicate: 0.1", "corrupt: 0.05",
                    "reorder: 0.2, reorder_by: 2, reorder_within: \(random.one(of: durations))",
                    "delay: 0.2, delay_by: \(random.one(of: durations))",
                ])
                lead(from, to: add("FaultInjector", what), ["out"])
            case 8: lead(from, to: add("IPDefragmenter", "timeout: \(random.one(of: ["1000300 ns", "1 s"]))"), ["out"])
            case 9, 10, 11:
                let table = add("FlowTable", tableParameters())
                lead(from, to: "\(table).in", ["hit"]) { $0.hasFlows = true }
                // The way round on which flows are created.
                if random.below(3) > 0 {
                    var way = Loose(name: "\(table).miss")
                    for _ in 0..<random.below(3) {
                        let step = random.one(of: ["Counter", "IPCheck", "RateLimiter", "Queue"])
                        let name = add(
                            step,
                            step == "RateLimiter" ? "rate: 20000 pps, burst: 2" : step == "Queue" ? "capacity: 4" : ""
                        )
                        chains.append("\(way.name) -> \(name)")
                        way.name = "\(name).out"
                    }
                    chains.append("\(way.name) -> \(table).insert")
                    doors.append("\(table).insert")
                    if random.below(2) == 0 { loose.append(Loose(name: "\(table).inserted", hasFlows: true)) }
                }
            case 12:
                let perFlow = from.hasFlows && random.below(3) > 0
                let name = add("MetadataExtractor", "per: \(perFlow ? "flow" : "packet")")
                lead(from, to: name, ["out", "records"], isDoor: false) {
                    $0.carriesRecords = $0.name.hasSuffix(".records")
                }
            case 13 where from.hasFlows && !from.isStream:
                let name = add(
                    "TCPReassembler",
                    "on_gap: \(random.one(of: ["skip", "wait", "drop_flow"])), gap_timeout: 20 ms"
                )
                lead(from, to: name, ["out", "rest"], isDoor: false) { $0.isStream = $0.name.hasSuffix(".out") }
            case 14 where from.isStream:
                lead(from, to: add("HTTPParser"), ["out", "records"], isDoor: false) {
                    $0.carriesRecords = $0.name.hasSuffix(".records")
                }
            default:
                // Branches that join, forwards or back.
                if let door = doors.randomElement(&random) {
                    chains.append("\(from.name) -> \(door)")
                } else {
                    lead(from, to: add("Counter"), ["out"])
                }
            }
        }

        private mutating func tableParameters() -> String {
            let idle = random.one(of: ["0", "20300 ns", "20000300 ns", "300 s"])
            let capacity = random.one(of: ["2", "5", "64", "65536"])
            return "capacity: \(capacity), idle: \(idle), on_full: \(random.one(of: ["evict", "drop"]))"
        }

        func finished(_ random: Random) -> String {
            var parts = self
            parts.random = random
            for (number, end) in loose.enumerated() {
                if end.carriesRecords {
                    let format = parts.random.one(of: ["json", "csv"])
                    let sink = parts.add("RecordSink", "file: records-\(number), format: \(format)")
                    parts.chains.append("\(end.name) -> \(sink)")
                } else {
                    switch parts.random.below(5) {
                    case 0: parts.chains.append("\(end.name) -> \(parts.add("Discard"))")
                    case 1:
                        parts.chains.append("\(end.name) -> \(parts.add("PacketSink", "file: packets-\(number).pcap"))")
                    default: parts.chains.append("\(end.name) -> wire.tx")
                    }
                }
            }
            return "graph: random\nelements:\n" + parts.elements.map { "  \($0)\n" }.joined() + "chains:\n"
                + parts.chains.map { "  - \($0)\n" }.joined()
        }
    }
}

extension Array {
    fileprivate func randomElement(_ random: inout Random) -> Element? { isEmpty ? nil : self[random.below(count)] }
}
