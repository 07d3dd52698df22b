// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The counters of a run while it goes on, at one moment.
public struct RunSnapshot: Sendable {
    /// The graph's name.
    public var graph: String
    /// The number of the process.
    public var process: Int32
    /// When the run began, in nanoseconds since 1970.
    public var began: Int64
    /// The moment, in nanoseconds since 1970.
    public var time: Int64
    /// Functional time then, in nanoseconds since 1970; 0 before the first packet.
    public var functionalTime: Int64 = 0
    /// The counters of each element, in the order of the graph, with all reasons and operations that there can be.
    public var elements: [ElementCounts] = []
    /// The counters of each wire, in the order of the graph.
    public var wires: [Wire] = []
    /// What has moved along each edge, in the order of the graph.
    public var edges: [Edge] = []
    /// Items of the pool that are free.
    public var poolFree = 0
    /// Items of the pool.
    public var poolCapacity = 0
    /// Copies and records that are missing because no item was free.
    public var poolShortages: UInt64 = 0
    /// Packets with a stamp before that of an earlier one, over all wires.
    public var backwards: UInt64 = 0
    /// Packets with a stamp too far ahead for time to follow, over all wires.
    public var ahead: UInt64 = 0

    /// A wire's counters.
    public struct Wire: Sendable {
        /// Packets and bytes.
        public var counts: WireCounts
        /// What its interface says of itself; nil for a wire that is bound to none.
        public var interface: RunReport.Interface?

        public init(counts: WireCounts, interface: RunReport.Interface? = nil) {
            self.counts = counts
            self.interface = interface
        }
    }

    /// An edge's counter.
    public struct Edge: Sendable {
        /// Its name: its output port, `sort.syn`.
        public var name: String
        /// Items that have moved along it.
        public var items: UInt64

        public init(name: String, items: UInt64) {
            self.name = name
            self.items = items
        }
    }

    /// A snapshot in which nothing has been counted.
    public init(graph: String, process: Int32, began: Int64, time: Int64) {
        self.graph = graph
        self.process = process
        self.began = began
        self.time = time
    }
}

extension RunSnapshot {
    /// As JSON: elements and wires as in the report of a run; the names are part of the interface.
    public var json: JSON {
        .object([
            ("graph", .string(graph)),
            ("process", .integer(Int64(process))),
            ("began", .integer(began)),
            ("time", .integer(time)),
            ("functional_time", .integer(functionalTime)),
            ("elements", .array(elements.map(\.json))),
            ("wires", .array(wires.map(\.json))),
            (
                "edges",
                .array(edges.map { .object([("name", .string($0.name)), ("items", .unsigned($0.items))]) })
            ),
            (
                "pool",
                .object([
                    ("free", .integer(Int64(poolFree))), ("capacity", .integer(Int64(poolCapacity))),
                    ("shortages", .unsigned(poolShortages)),
                ])
            ),
            ("time_backwards", .unsigned(backwards)),
            ("time_ahead", .unsigned(ahead)),
        ])
    }

    /// What ``json`` wrote; nil if it is something else. Members that are missing count as 0, those that are not known are ignored.
    public init?(_ json: JSON) {
        guard let graph = json["graph"]?.word, let process = json["process"]?.number.flatMap(Int32.init(exactly:)),
            let time = json["time"]?.number
        else { return nil }
        self.init(graph: graph, process: process, began: json["began"]?.number ?? time, time: time)
        functionalTime = json["functional_time"]?.number ?? 0
        elements = json["elements"]?.items.map(ElementCounts.init) ?? []
        wires = json["wires"]?.items.map(Wire.init) ?? []
        edges = json["edges"]?.items.map { Edge(name: $0["name"]?.word ?? "", items: $0.count("items")) } ?? []
        let pool = json["pool"] ?? .null
        poolFree = Int(clamping: pool.count("free"))
        poolCapacity = Int(clamping: pool.count("capacity"))
        poolShortages = pool.count("shortages")
        backwards = json.count("time_backwards")
        ahead = json.count("time_ahead")
    }

    /// Every value by the name by which it is read, in the order of the graph: `ELEMENT.in`, `ELEMENT.drops.REASON`, `ELEMENT.HANDLER`,
    /// `WIRE.packets_in`, `ELEMENT.outputs.PORT` for an edge, `pool.free`. A name stands there once.
    public var values: [(name: String, value: JSON)] {
        var seen: Set<String> = []
        var list: [(name: String, value: JSON)] = []
        func add(_ name: String, _ value: JSON) { if seen.insert(name).inserted { list.append((name, value)) } }
        func addMembers(of json: JSON, _ prefix: String) {
            for (key, value) in json.members {
                switch value {
                case .array: break
                case .object: addMembers(of: value, key == "handlers" ? prefix : "\(prefix)\(key).")
                default: add(prefix + key, value)
                }
            }
        }
        for element in elements {
            let counters = entry(element).members.filter { $0.0 != "name" && $0.0 != "type" }
            addMembers(of: .object(counters), "\(element.name).")
        }
        addMembers(of: json, "")
        return list
    }

    /// The values that `name` names, and the same as JSON: one value, or all of an element, or its drops. Empty if there is no such name.
    public func values(named name: String) -> (values: [(name: String, value: JSON)], json: JSON) {
        let all = values
        if let one = all.first(where: { $0.name == name }) { return ([one], one.value) }
        var json: JSON?
        for element in elements {
            if name == element.name { json = entry(element) }
            if name.hasPrefix("\(element.name).") {
                json = json ?? entry(element)[String(name.dropFirst(element.name.count + 1))]
            }
        }
        return (all.filter { $0.name.hasPrefix("\(name).") }, json ?? self.json[name] ?? .null)
    }

    /// All that is known of an element: if it is a wire, of its interface too, and what moved along the edges behind it.
    private func entry(_ element: ElementCounts) -> JSON {
        let prefix = "\(element.name)."
        var out = element.json
        for wire in wires where wire.counts.name == element.name {
            for (key, value) in wire.json.members where key != "name" { out = out.adding(key, value) }
        }
        let behind = edges.filter { $0.name.hasPrefix(prefix) && !$0.name.dropFirst(prefix.count).contains(".") }
        return out.adding(
            "outputs",
            .object(behind.map { (String($0.name.dropFirst(prefix.count)), .unsigned($0.items)) })
        )
    }
}

extension RunSnapshot.Wire {
    /// As in the report of a run, and what is known of its interface.
    var json: JSON {
        guard let interface else { return counts.json }
        return counts.json.adding("kernel_drops", .unsigned(interface.kernelDrops))
            .adding("outages", .unsigned(interface.outages))
    }

    fileprivate init(_ json: JSON) {
        counts = WireCounts(
            name: json["name"]?.word ?? "",
            packetsIn: json.count("packets_in"),
            bytesIn: json.count("bytes_in"),
            packetsOut: json.count("packets_out"),
            bytesOut: json.count("bytes_out")
        )
        interface = json["kernel_drops"].map { _ in
            RunReport.Interface(kernelDrops: json.count("kernel_drops"), outages: json.count("outages"))
        }
    }
}

extension ElementCounts {
    /// As it stands in reports; the names are part of the interface.
    var json: JSON {
        .object([
            ("name", .string(name)),
            ("type", .string(type)),
            ("in", .unsigned(entered)),
            ("made", .unsigned(made)),
            ("out", .unsigned(left)),
            ("used", .unsigned(used)),
            ("held", .integer(held)),
            ("drops", .object(drops.map { ($0.reason, .unsigned($0.count)) })),
            ("operations", .object(operations.map { ($0.operation.name, .unsigned($0.count)) })),
            ("handlers", .object(handlers.map { ($0.name, .integer(Int64($0.value))) })),
        ])
    }

    fileprivate init(_ json: JSON) {
        func counts(_ key: String) -> [(String, UInt64)] {
            json[key]?.members.map { ($0.0, $0.1.number.flatMap(UInt64.init(exactly:)) ?? 0) } ?? []
        }
        self.init(
            name: json["name"]?.word ?? "",
            type: json["type"]?.word ?? "",
            entered: json.count("in"),
            made: json.count("made"),
            left: json.count("out"),
            used: json.count("used"),
            held: json["held"]?.number ?? 0,
            drops: counts("drops").map { (reason: $0.0, count: $0.1) },
            operations: counts("operations").compactMap { name, count in
                Operation.allCases.first { $0.name == name }.map { (operation: $0, count: count) }
            },
            handlers: json["handlers"]?.members.map { (name: $0.0, value: Int(clamping: $0.1.number ?? 0)) } ?? []
        )
    }
}

extension WireCounts {
    /// As it stands in reports; the names are part of the interface.
    var json: JSON {
        .object([
            ("name", .string(name)),
            ("packets_in", .unsigned(packetsIn)),
            ("bytes_in", .unsigned(bytesIn)),
            ("packets_out", .unsigned(packetsOut)),
            ("bytes_out", .unsigned(bytesOut)),
        ])
    }
}

extension JSON {
    fileprivate var members: [(String, JSON)] { if case .object(let members) = self { members } else { [] } }
    fileprivate var items: [JSON] { if case .array(let items) = self { items } else { [] } }
    fileprivate var word: String? { if case .string(let text) = self { text } else { nil } }

    fileprivate var number: Int64? {
        switch self {
        case .integer(let n): n
        case .unsigned(let n): Int64(clamping: n)
        default: nil
        }
    }

    /// A member that counts something; 0 if it is missing.
    fileprivate func count(_ name: String) -> UInt64 {
        if case .unsigned(let n)? = self[name] { return n }
        return UInt64(clamping: self[name]?.number ?? 0)
    }
}
