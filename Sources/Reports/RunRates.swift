// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// What happened between two snapshots of a run, by the second.
public struct RunRates: Sendable {
    private let before: RunSnapshot
    private let after: RunSnapshot
    private let seconds: Double
    /// Only so many edges are shown: those along which most moves.
    private static let mostEdges = 8

    /// The rates between two snapshots of one run, the earlier one first.
    public init(from before: RunSnapshot, to after: RunSnapshot) {
        self.before = before
        self.after = after
        seconds = Double(after.time - before.time) / 1e9
    }

    /// As text, for a terminal in lines of at most `width` characters.
    public func text(width: Int?) -> String {
        let most = width ?? .max
        let age = max(0, (after.time - after.began) / 1_000_000_000)
        let used = after.poolCapacity - after.poolFree
        let head =
            "\(after.graph), process \(after.process), for \(RunRates.span(age)); items in use: "
            + "\(grouped(UInt64(clamping: used))) of \(grouped(UInt64(clamping: after.poolCapacity)))\n"
        var out = folded(head, width: width) + "\n" + wires.text(width: most) + "\n" + elements.text(width: most)
        let edges = edges
        if !edges.rows.isEmpty { out += "\n" + edges.text(width: most) }
        return out
    }

    private var wires: Table {
        let isLive = after.wires.contains { $0.interface != nil }
        var table = Table([
            ("wire", .left), ("packets/s in", .right), ("bits/s in", .right), ("packets/s out", .right),
            ("bits/s out", .right),
        ])
        if isLive { table.columns += [("kernel drops/s", .right), ("outages", .right)] }
        for wire in after.wires {
            let old = before.wires.first { $0.counts.name == wire.counts.name }
            let (new, past) = (wire.counts, old?.counts)
            var row = [
                new.name, items(past?.packetsIn, new.packetsIn), bits(past?.bytesIn, new.bytesIn),
                items(past?.packetsOut, new.packetsOut), bits(past?.bytesOut, new.bytesOut),
            ]
            if isLive {
                row.append(wire.interface.map { items(old?.interface?.kernelDrops, $0.kernelDrops) } ?? "")
                row.append(wire.interface.map { grouped($0.outages) } ?? "")
            }
            table.rows.append(row)
        }
        return table
    }

    private var elements: Table {
        var table = Table([
            ("element", .left), ("type", .left), ("in/s", .right), ("out/s", .right), ("held", .right),
            ("drops/s", .right), ("reasons", .left),
        ])
        for element in after.elements {
            let old = before.elements.first { $0.name == element.name }
            let drops = element.drops.map { drop in
                (drop.reason, rate(old?.drops.first { $0.reason == drop.reason }?.count, drop.count))
            }.filter { $0.1 > 0 }
            table.rows.append([
                element.name, element.type, items(old?.entered, element.entered), items(old?.left, element.left),
                element.held < 0 ? "\(element.held)" : grouped(UInt64(element.held)),
                RunRates.short(drops.reduce(0) { $0 + $1.1 }),
                drops.map { "\($0.0) \(RunRates.short($0.1))" }.joined(separator: ", "),
            ])
        }
        return table
    }

    /// The edges along which most moves, the busiest first.
    private var edges: Table {
        var table = Table([("edge", .left), ("items/s", .right)])
        let rates = after.edges.map { edge in
            (edge.name, rate(before.edges.first { $0.name == edge.name }?.items, edge.items))
        }
        for (name, rate) in rates.filter({ $0.1 > 0 }).sorted(by: { $0.1 > $1.1 }).prefix(RunRates.mostEdges) {
            table.rows.append([name, RunRates.short(rate)])
        }
        return table
    }

    private func rate(_ before: UInt64?, _ after: UInt64) -> Double {
        let before = before ?? 0
        // A counter that has become less is that of another run.
        return seconds > 0 && after > before ? Double(after - before) / seconds : 0
    }

    private func items(_ before: UInt64?, _ after: UInt64) -> String { RunRates.short(rate(before, after)) }

    private func bits(_ before: UInt64?, _ after: UInt64) -> String {
        let rate = 8 * rate(before, after)
        return rate == 0 ? "0" : rate < 1000 ? "\(fixed(rate, 0)) bps" : bitsText(rate)
    }

    /// A number in few characters: `0`, `2.5`, `12,345`, `1.234 M`.
    private static func short(_ x: Double) -> String {
        switch x {
        case 0: "0"
        case ..<100: fixed(x, 1)
        case ..<1e6: grouped(UInt64(x.rounded()))
        default: "\(mega(x)) M"
        }
    }

    /// A span of whole seconds in words: `4 s`, `12 min 4 s`, `3 h 12 min`.
    private static func span(_ seconds: Int64) -> String {
        switch seconds {
        case ..<60: "\(seconds) s"
        case ..<3600: "\(seconds / 60) min \(seconds % 60) s"
        default: "\(grouped(UInt64(seconds / 3600))) h \(seconds / 60 % 60) min"
        }
    }
}
