// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The counters of one run of a graph: measured, and apart from that what the model says of the placement, if one was run.
public struct RunReport: Sendable {
    /// What the model says of the placement whose sides ran as two threads.
    public enum Modelled: Sendable {
        case report(ComparisonReport)
        /// There is nothing, for this reason.
        case nothing(String)
    }

    /// The graph's name.
    public var graph: String
    /// The counters of each element, in the order of the graph.
    public var elements: [ElementCounts]
    /// The counters of each wire, in the order of the graph.
    public var wires: [WireCounts]
    /// What interfaces say of themselves, by the names of their wires.
    public var interfaces: [String: Interface] = [:]
    /// Items that are neither free nor held by an element; if not 0, an element lost some.
    public var lostItems: Int
    /// Packets with a stamp before that of an earlier one, over all wires.
    public var backwards: UInt64
    /// Packets with a stamp too far ahead for time to follow, over all wires.
    public var ahead: UInt64
    /// Unusual things about the input, one sentence each.
    public var warnings: [String]
    /// The user ended the run before the end of its input.
    public var wasInterrupted = false
    /// How many seconds a run on interfaces took, which has no other end than that; nil for one on captures.
    public var liveSeconds: Double?
    /// How several threads ran the graph, as a sentence without its full stop; nil for a run on one.
    public var threads: String?
    /// What crossed between them, by ring.
    public var crossings: [SplitRuntime.Crossing] = []
    /// What the model says of the same placement, in no table with what was counted; nil if nobody asked.
    public var modelled: Modelled?
    /// The titles of the columns of the text's table of elements, behind their names; empty for all.
    public var columns: [String] = []
    /// The titles that ``columns`` can have.
    public static let allColumns = ["type", "in", "made", "out", "used", "held", "dropped", "reasons"]

    /// What an interface says of itself.
    public struct Interface: Sendable {
        /// Packets that the kernel dropped as they were not read in time.
        public var kernelDrops: UInt64
        /// How often it went down, or away.
        public var outages: UInt64

        public init(kernelDrops: UInt64, outages: UInt64) {
            self.kernelDrops = kernelDrops
            self.outages = outages
        }
    }

    public init(
        graph: String,
        elements: [ElementCounts],
        wires: [WireCounts],
        lostItems: Int,
        backwards: UInt64,
        ahead: UInt64 = 0,
        warnings: [String]
    ) {
        self.graph = graph
        self.elements = elements
        self.wires = wires
        self.lostItems = lostItems
        self.backwards = backwards
        self.ahead = ahead
        self.warnings = warnings
    }

    /// Whether every element's counters balance: in + made = out + used + dropped + held.
    public var balances: Bool { lostItems == 0 && elements.allSatisfy(\.balances) }

    /// The counters that do not balance, in sentences.
    public var imbalances: [String] {
        elements.filter { !$0.balances }.map {
            "element '\($0.name)' does not balance: in \($0.entered) + made \($0.made) is not out \($0.left) + used \($0.used) + dropped \($0.dropped) + held \($0.held)"
        } + (lostItems == 0 ? [] : ["\(lostItems) items are neither free nor held by an element"])
    }

    /// One row per element, and one per wire.
    public var table: (elements: Table, wires: Table) { table(isGrouped: true) }

    /// The tables; the digits of large numbers are in groups of three if `isGrouped`.
    private func table(isGrouped: Bool) -> (elements: Table, wires: Table) {
        func grouped(_ n: UInt64) -> String { isGrouped ? Reports.grouped(n) : String(n) }
        var elements = Table([
            ("element", .left), ("type", .left), ("in", .right), ("made", .right), ("out", .right), ("used", .right),
            ("held", .right), ("dropped", .right), ("reasons", .left),
        ])
        for e in self.elements {
            elements.rows.append([
                e.name, e.type, grouped(e.entered), grouped(e.made), grouped(e.left), grouped(e.used), "\(e.held)",
                grouped(e.dropped), e.drops.map { "\($0.reason) \(grouped($0.count))" }.joined(separator: ", "),
            ])
        }
        var wires = Table([
            ("wire", .left), ("packets in", .right), ("bytes in", .right), ("packets out", .right),
            ("bytes out", .right),
        ])
        if !interfaces.isEmpty { wires.columns += [("kernel drops", .right), ("outages", .right)] }
        for w in self.wires {
            var row = [w.name, grouped(w.packetsIn), grouped(w.bytesIn), grouped(w.packetsOut), grouped(w.bytesOut)]
            if !interfaces.isEmpty {
                let interface = interfaces[w.name]
                row.append(interface.map { grouped($0.kernelDrops) } ?? "")
                row.append(interface.map { grouped($0.outages) } ?? "")
            }
            wires.rows.append(row)
        }
        return (elements, wires)
    }

    /// The report as text. For a terminal its lines have at most `width` characters, and large numbers are in groups of three digits;
    /// programs get plain numbers.
    public func text(width: Int?) -> String {
        let (elements, wires) = table(isGrouped: width != nil)
        let most = width ?? .max
        let chosen = columns.isEmpty ? elements : elements.keeping(columns)
        var out = chosen.shown(width: width) + "\n" + wires.text(width: most)
        let values = handlers(isGrouped: width != nil).text(width: most)
        if !values.isEmpty { out += "\n" + values }
        if let threads {
            out += "\n\(threads).\n"
            out += rings(isGrouped: width != nil).text(width: most)
        }
        if let liveSeconds, wasInterrupted {
            out += "\nEnded by a signal after \(fixed(liveSeconds, 1)) s.\n"
        } else if wasInterrupted {
            out += "\nInterrupted: this is counted of the packets before.\n"
        }
        switch modelled {
        case .report(let report):
            out += "\nAll above was counted; what follows is modelled.\n\n" + report.text(width: width)
        case .nothing(let reason): out += "\nNot modelled: \(reason).\n"
        case nil: break
        }
        return out
    }

    /// What crossed from one side to the other, counted.
    private func rings(isGrouped: Bool) -> Table {
        func grouped(_ n: UInt64) -> String { isGrouped ? Reports.grouped(n) : String(n) }
        var table = Table([
            ("ring from", .left), ("to", .left), ("room", .right), ("items", .right), ("bytes", .right),
            ("bytes copied", .right),
            ("flow ends", .right),
            ("batches", .right), ("waits", .right),
        ])
        for ring in crossings {
            table.rows.append([
                ring.from, ring.to, grouped(UInt64(ring.capacity)), grouped(ring.items), grouped(ring.bytes),
                grouped(ring.copied), grouped(ring.flowEnds), grouped(ring.batches), grouped(ring.full),
            ])
        }
        return table
    }

    private func handlers(isGrouped: Bool) -> Table {
        func grouped(_ n: UInt64) -> String { isGrouped ? Reports.grouped(n) : String(n) }
        var table = Table([("handler", .left), ("value", .right)])
        for e in elements {
            for h in e.handlers where h.value != 0 {
                table.rows.append(["\(e.name).\(h.name)", h.value < 0 ? "\(h.value)" : grouped(UInt64(h.value))])
            }
        }
        return table.rows.isEmpty ? Table([]) : table
    }

    /// The report in Markdown.
    public var markdown: String {
        let (elements, wires) = table
        return
            "# Run of \(graph)\n\nCounted while the graph ran on real packets\(wasInterrupted ? ", up to an interrupt" : "").\n\n"
            + elements.markdown + "\n"
            + wires.markdown
            + (threads.map {
                "\n\($0).\n\n" + rings(isGrouped: true).markdown
            } ?? "") + modelledMarkdown
    }

    private var modelledMarkdown: String {
        switch modelled {
        case .report(let report): "\n" + report.markdown
        case .nothing(let reason): "\nNot modelled: \(reason).\n"
        case nil: ""
        }
    }

    private var modelledJSON: JSON {
        switch modelled {
        case .report(let report): report.json
        case .nothing(let reason): .object([("modelled", false), ("reason", .string(reason))])
        case nil: .null
        }
    }

    /// The report as JSON; the names are part of the interface.
    public var json: JSON {
        .object([
            ("graph", .string(graph)),
            ("elements", .array(elements.map(\.json))),
            ("wires", .array(wires.map { RunSnapshot.Wire(counts: $0, interface: interfaces[$0.name]).json })),
            ("threads", threads.map { .string($0) } ?? .null),
            (
                "rings",
                .array(
                    crossings.map { ring in
                        .object([
                            ("from", .string(ring.from)),
                            ("to", .string(ring.to)),
                            ("room", .integer(Int64(ring.capacity))),
                            ("items", .unsigned(ring.items)),
                            ("bytes", .unsigned(ring.bytes)),
                            ("bytes_copied", .unsigned(ring.copied)),
                            ("flow_ends", .unsigned(ring.flowEnds)),
                            ("batches", .unsigned(ring.batches)),
                            ("full", .unsigned(ring.full)),
                        ])
                    }
                )
            ),
            ("model", modelledJSON),
            ("time_backwards", .unsigned(backwards)),
            ("time_ahead", .unsigned(ahead)),
            ("balances", .bool(balances)),
            ("interrupted", .bool(wasInterrupted)),
            ("warnings", .array(warnings.map { .string($0) })),
        ])
    }

    /// The counters as a flat list of statistics: name, value, unit, description. The same input gives the same bytes.
    public var statistics: JSON {
        var list: [JSON] = []
        func add(_ name: String, _ value: JSON, _ unit: String, _ about: String) {
            list.append(
                .object([
                    ("name", .string(name)), ("value", value), ("unit", .string(unit)), ("description", .string(about)),
                ])
            )
        }
        for w in wires {
            add("wire.\(w.name).packets_in", .unsigned(w.packetsIn), "packets", "packets received")
            add("wire.\(w.name).bytes_in", .unsigned(w.bytesIn), "bytes", "bytes received, as on the wire")
            add("wire.\(w.name).packets_out", .unsigned(w.packetsOut), "packets", "packets sent")
            add("wire.\(w.name).bytes_out", .unsigned(w.bytesOut), "bytes", "bytes sent, as on the wire")
        }
        for w in wires {
            guard let interface = interfaces[w.name] else { continue }
            add(
                "wire.\(w.name).kernel_drops",
                .unsigned(interface.kernelDrops),
                "packets",
                "packets that the kernel dropped"
            )
            add(
                "wire.\(w.name).outages",
                .unsigned(interface.outages),
                "",
                "how often the interface went down, or away"
            )
        }
        for e in elements {
            add("element.\(e.name).in", .unsigned(e.entered), "items", "items that arrived")
            add("element.\(e.name).made", .unsigned(e.made), "items", "items the element made")
            add("element.\(e.name).out", .unsigned(e.left), "items", "items that left by an output")
            add("element.\(e.name).used", .unsigned(e.used), "items", "items whose life ended here on purpose")
            add("element.\(e.name).held", .integer(e.held), "items", "items still held")
            for d in e.drops {
                add("element.\(e.name).drops.\(d.reason)", .unsigned(d.count), "items", "items dropped for this reason")
            }
            for o in e.operations {
                add(
                    "element.\(e.name).operations.\(o.operation.name)",
                    .unsigned(o.count),
                    "operations",
                    o.operation.about
                )
            }
            for h in e.handlers {
                add("element.\(e.name).\(h.name)", .integer(Int64(h.value)), "", "a value the element shows")
            }
        }
        add("time_backwards", .unsigned(backwards), "packets", "packets whose stamp lay before that of an earlier one")
        add(
            "time_ahead",
            .unsigned(ahead),
            "packets",
            "packets whose stamp lay more than a day after those around them"
        )
        return .object([("statistics", .array(list))])
    }
}
