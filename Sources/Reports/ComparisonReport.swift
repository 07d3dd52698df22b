// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Model
import Placement

/// What is said about modelled placements, in every form.
public protocol ModelReport {
    /// The report for a terminal.
    var text: String { get }
    /// The report in Markdown.
    var markdown: String { get }
    /// The report as JSON; the names are part of the interface.
    var json: JSON { get }
    /// The figures as a flat list of statistics.
    var statistics: JSON { get }
}

/// What the model says of several placements of a graph: modelled, nothing measured.
public struct ComparisonReport: ModelReport, Sendable {
    /// The graph's name.
    public var graph: String
    /// The device the placements were modelled on.
    public var profile: DeviceProfile
    /// What was found.
    public var comparison: Comparison

    public init(graph: String, profile: DeviceProfile, comparison: Comparison) {
        self.graph = graph
        self.profile = profile
        self.comparison = comparison
    }

    /// One row for each placement.
    public var table: Table { resultTable(comparison.results, baseline: comparison.baseline) }

    private var head: String {
        let c = comparison
        return
            "Modelled on profile \(profile.name): \(recorded(c.recordedPackets, c.isPrefix)), \(fixed(c.bytesPerPacket, 1)) B each; latency at "
            + loadText(c.results[0].load) + "."
    }

    private var tail: String {
        var out = "Best: \(comparison.verdict).\n" + dropLines(comparison.results, comparison.elementDrops)
        let assumptions = profile.assumptions.count
        if assumptions > 0 {
            out +=
                "\(assumptions) of the profile's \(profile.figures.count) numbers are assumptions that nobody measured.\n"
        }
        if !profile.notModelled.isEmpty { out += "Not modelled: \(profile.notModelled.joined(separator: "; ")).\n" }
        return out
    }

    /// The report for a terminal.
    public var text: String { "\(head)\n\n\(table.text)\n\(tail)" }

    /// The report in Markdown.
    public var markdown: String {
        "# Placements of \(graph)\n\n\(head)\n\n\(table.markdown)\n"
            + tail.split(separator: "\n").map { "- \($0)\n" }.joined()
    }

    /// The report as JSON; the names are part of the interface.
    public var json: JSON {
        .object([
            ("graph", .string(graph)),
            ("profile", .string(profile.name)),
            ("modelled", true),
            ("packets", .integer(Int64(comparison.recordedPackets))),
            ("is_prefix", .bool(comparison.isPrefix)),
            ("load", .string(loadText(comparison.results[0].load))),
            ("baseline", .string(comparison.results[comparison.baseline].name)),
            (
                "placements",
                .array(
                    comparison.results.map {
                        resultJSON($0, comparison.results[comparison.baseline], comparison.elementDrops)
                    }
                )
            ),
            ("verdict", .string(comparison.verdict)),
            ("tie", .bool(comparison.isTie)),
            ("assumptions", .array(profile.assumptions.map { .string("\($0.path) = \($0.value): \($0.source)") })),
            ("not_modelled", .array(profile.notModelled.map { .string($0) })),
        ])
    }

    /// The figures as a flat list of statistics.
    public var statistics: JSON { resultStatistics(comparison.results, comparison.elementDrops) }
}

/// What the planner found.
public struct PlanReport: ModelReport, Sendable {
    /// The graph's name.
    public var graph: String
    /// The device the placements were modelled on.
    public var profile: DeviceProfile
    /// What was found.
    public var plan: Plan

    public init(graph: String, profile: DeviceProfile, plan: Plan) {
        self.graph = graph
        self.profile = profile
        self.plan = plan
    }

    /// The best placements and the two extremes, each once.
    private var shown: [PlacementResult] {
        var shown = Array(plan.ranked.prefix(5))
        for extreme in [plan.allHost, plan.allNIC] {
            if let extreme, !shown.contains(where: { $0.sides == extreme.sides }) { shown.append(extreme) }
        }
        return shown
    }

    private var table: Table {
        let base = plan.allHost.flatMap { host in shown.firstIndex { $0.sides == host.sides } } ?? 0
        return resultTable(shown, baseline: base)
    }

    private var head: String {
        "Modelled on profile \(profile.name), objective \(plan.objective.rawValue): "
            + recorded(plan.recordedPackets, plan.isPrefix) + "; latency at " + loadText(plan.best.load)
            + ". \(plan.completeness)"
    }

    private var tail: String {
        (plan.isTie ? "The best two differ by less than the model can tell.\n" : "")
            + dropLines(shown, plan.elementDrops)
    }

    private var reasons: [String] {
        plan.reasons.map { "\($0.element) on \($0.side.rawValue): \($0.text)" }
    }

    /// The report for a terminal.
    public var text: String {
        "\(head)\n\n\(table.text)\n" + (tail.isEmpty ? "" : "\(tail)\n") + "Why, in '\(plan.best.name)':\n"
            + reasons.map { "  \($0)\n" }.joined()
    }

    /// The report in Markdown.
    public var markdown: String {
        "# Plan of \(graph)\n\n\(head)\n\n\(table.markdown)\n" + (tail.isEmpty ? "" : "\(tail)\n")
            + "Why, in '\(plan.best.name)':\n\n" + reasons.map { "- \($0)\n" }.joined()
    }

    /// The figures as a flat list of statistics, of all placements that were tried.
    public var statistics: JSON { resultStatistics(plan.ranked, plan.elementDrops) }

    /// The report as JSON; the names are part of the interface.
    public var json: JSON {
        .object([
            ("graph", .string(graph)),
            ("profile", .string(profile.name)),
            ("objective", .string(plan.objective.rawValue)),
            ("packets", .integer(Int64(plan.recordedPackets))),
            ("is_prefix", .bool(plan.isPrefix)),
            ("completeness", .string(plan.completeness)),
            ("tie", .bool(plan.isTie)),
            ("best", .string(plan.best.name)),
            (
                "placements",
                .array(plan.ranked.map { resultJSON($0, plan.allHost ?? plan.best, plan.elementDrops) })
            ),
            (
                "reasons",
                .array(
                    plan.reasons.map {
                        .object([
                            ("element", .string($0.element)), ("side", .string($0.side.rawValue)),
                            ("reason", .string($0.text)),
                        ])
                    }
                )
            ),
        ])
    }
}

private func recorded(_ packets: Int, _ isPrefix: Bool) -> String {
    "\(grouped(UInt64(packets))) packets recorded" + (isPrefix ? " (the capture goes on)" : "")
}

/// An offered load in words.
public func loadText(_ load: OfferedLoad) -> String {
    switch load {
    case .captureTime: "the capture's own times"
    case .factor(let n, let d):
        "\(trimmed(Double(n) / Double(d)))x the capture's speed"
    case .rate(let rate):
        switch rate {
        case 100_000...: "\(mega(Double(rate))) Mpps"
        case 1_000...: "\(fixed(Double(rate) / 1e3, 3)) kpps"
        default: "\(rate) pps"
        }
    }
}

/// `x` with as many of nine digits behind the point as it needs.
private func trimmed(_ x: Double) -> String {
    var text = fixed(x, 9)
    if text.contains(".") {
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
    }
    return text
}

private func mega(_ rate: Double) -> String { fixed(rate / 1e6, 3) }

private func microseconds(_ picoseconds: Int64) -> String { fixed(Double(picoseconds) / 1e6, 2) }

private func resultTable(_ results: [PlacementResult], baseline: Int) -> Table {
    var table = Table([
        ("placement", .left), ("Mpps", .right), ("relative", .right), ("p50 us", .right), ("p99 us", .right),
        ("p99.9 us", .right), ("host cyc/pkt", .right), ("NIC cyc/pkt", .right), ("B/pkt to host", .right),
        ("B/pkt to NIC", .right), ("DMA/pkt", .right), ("bottleneck", .left),
    ])
    let base = results.indices.contains(baseline) ? Double(results[baseline].sustainableRate) : 0
    for (k, r) in results.enumerated() {
        table.rows.append([
            r.name,
            mega(Double(r.sustainableRate)),
            k == baseline ? "baseline" : base > 0 ? fixed(Double(r.sustainableRate) / base, 2) + "x" : "-",
            r.latency.map { microseconds($0.p50) } ?? "-",
            r.latency.map { microseconds($0.p99) } ?? "-",
            r.latency.map { microseconds($0.p999) } ?? "-",
            fixed(r.hostCyclesPerPacket, 1),
            fixed(r.nicCyclesPerPacket, 1),
            fixed(r.toHost.bytes, 1),
            fixed(r.toNIC.bytes, 1),
            fixed(r.toHost.transfers + r.toNIC.transfers, 3),
            r.bottleneck.rawValue,
        ])
    }
    return table
}

/// Drops of elements, which are those of the recorded packets, and so the same wherever the elements are.
private typealias ElementDrops = [(element: String, reason: String, count: UInt64)]

private func dropLines(_ results: [PlacementResult], _ elementDrops: ElementDrops) -> String {
    var out = ""
    for result in results {
        if result.drops.isEmpty { continue }
        let (offered, completed) = result.packets
        let reasons = result.drops.map { "\($0.reason.name) \(grouped($0.count))" }.joined(separator: ", ")
        out +=
            "'\(result.name)' lost all or part of \(grouped(offered - completed)) of \(grouped(offered)) packets at that "
            + "load; items dropped: \(reasons)\n"
    }
    if !elementDrops.isEmpty {
        let list = elementDrops.map { "\($0.element).\($0.reason) \(grouped($0.count))" }.joined(separator: ", ")
        out += "In every placement elements dropped, of what was recorded: \(list)\n"
    }
    return out
}

/// - Parameter elementDrops: are among the drops by `element.reason`, which no reason of the model looks like.
private func resultJSON(_ r: PlacementResult, _ baseline: PlacementResult, _ elementDrops: ElementDrops) -> JSON {
    func ns(_ ps: Int64?) -> JSON { ps.map { .decimal(Double($0) / 1000, digits: 1) } ?? .null }
    let base = Double(baseline.sustainableRate)
    return .object([
        ("name", .string(r.name)),
        ("sustainable_mpps", .decimal(Double(r.sustainableRate) / 1e6, digits: 6)),
        ("relative", base > 0 ? .decimal(Double(r.sustainableRate) / base, digits: 4) : .null),
        (
            "latency_ns",
            .object([("p50", ns(r.latency?.p50)), ("p99", ns(r.latency?.p99)), ("p999", ns(r.latency?.p999))])
        ),
        ("load", .string(loadText(r.load))),
        (
            "packets_at_load",
            .object([("offered", .unsigned(r.packets.offered)), ("completed", .unsigned(r.packets.completed))])
        ),
        ("host_cycles_per_packet", .decimal(r.hostCyclesPerPacket, digits: 3)),
        ("nic_cycles_per_packet", .decimal(r.nicCyclesPerPacket, digits: 3)),
        (
            "dma_bytes_per_packet",
            .object([("to_host", .decimal(r.toHost.bytes, digits: 3)), ("to_nic", .decimal(r.toNIC.bytes, digits: 3))])
        ),
        (
            "dma_transfers_per_packet",
            .object([
                ("to_host", .decimal(r.toHost.transfers, digits: 4)),
                ("to_nic", .decimal(r.toNIC.transfers, digits: 4)),
            ])
        ),
        (
            "drops",
            .object(
                r.drops.map { ($0.reason.name, .unsigned($0.count)) }
                    + elementDrops.map { ("\($0.element).\($0.reason)", .unsigned($0.count)) }
            )
        ),
        ("bottleneck", .string(r.bottleneck.rawValue)),
        ("first_drop", r.firstDrop.map { .string($0.name) } ?? .null),
        (
            "utilisation",
            .object(r.utilisation.map { ($0.resource.rawValue, .decimal($0.share, digits: 4)) })
        ),
    ])
}

private func resultStatistics(_ results: [PlacementResult], _ elementDrops: ElementDrops) -> JSON {
    let drops = elementDrops.map {
        namedStatistic(
            "recorded.drops.\($0.element).\($0.reason)",
            .unsigned($0.count),
            "items",
            "items of the recorded input that the element dropped"
        )
    }
    return .object([("statistics", .array(results.flatMap(resultStatistics) + drops))])
}

private func namedStatistic(_ name: String, _ value: JSON, _ unit: String, _ about: String) -> JSON {
    .object([("name", .string(name)), ("value", value), ("unit", .string(unit)), ("description", .string(about))])
}

private func resultStatistics(_ r: PlacementResult) -> [JSON] {
    func statistic(_ name: String, _ value: JSON, _ unit: String, _ about: String) -> JSON {
        namedStatistic("placement.\(r.name).\(name)", value, unit, about)
    }
    func ns(_ ps: Int64?) -> JSON { ps.map { .decimal(Double($0) / 1000, digits: 1) } ?? .null }
    return [
        statistic("sustainable_rate", .integer(Int64(r.sustainableRate)), "packets/s", "largest rate without a drop"),
        statistic("latency_p50", ns(r.latency?.p50), "ns", "latency of half the packets at the stated load"),
        statistic("latency_p99", ns(r.latency?.p99), "ns", "latency of 99 % of packets at the stated load"),
        statistic("latency_p999", ns(r.latency?.p999), "ns", "latency of 99.9 % of packets at the stated load"),
        statistic("host_cycles", .decimal(r.hostCyclesPerPacket, digits: 3), "cycles/packet", "host core cycles"),
        statistic("nic_cycles", .decimal(r.nicCyclesPerPacket, digits: 3), "cycles/packet", "NIC core cycles"),
        statistic(
            "dma_bytes_to_host",
            .decimal(r.toHost.bytes, digits: 3),
            "bytes/packet",
            "bytes that cross to the host"
        ),
        statistic(
            "dma_bytes_to_nic",
            .decimal(r.toNIC.bytes, digits: 3),
            "bytes/packet",
            "bytes that cross to the NIC"
        ),
        statistic(
            "dma_transfers_to_host",
            .decimal(r.toHost.transfers, digits: 4),
            "transfers/packet",
            "transfers to the host"
        ),
        statistic(
            "dma_transfers_to_nic",
            .decimal(r.toNIC.transfers, digits: 4),
            "transfers/packet",
            "transfers to the NIC"
        ),
    ]
        + r.drops.map {
            statistic("drops.\($0.reason.name)", .unsigned($0.count), "items", "items dropped at the stated load")
        }
}
