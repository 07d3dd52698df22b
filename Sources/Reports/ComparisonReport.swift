// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Model

/// The model's results for several placements of a graph: modelled, nothing measured.
public struct ComparisonReport: ModelReport, Sendable {
    /// The graph's name.
    public var graph: String
    /// The results.
    public var comparison: Comparison
    /// The titles of the columns of its table; empty for those in which placements differ.
    public var columns: [String] = []

    public init(graph: String, comparison: Comparison) {
        self.graph = graph
        self.comparison = comparison
    }

    /// The load at which latency was modelled.
    public var load: Load { comparison.baseline.load }

    /// One row per placement.
    public var table: Table { resultTable(comparison.results, baseline: comparison.baseline, columns).table }

    private var isBaselineShown: Bool {
        comparison.results.contains { $0.name == comparison.baseline.name && $0.sides == comparison.baseline.sides }
    }

    private var head: [String] {
        let c = comparison
        var lines: [String] = []
        if c.hostsDiffer {
            lines.append("The profiles have different hosts: what is compared is not the NICs alone.")
        }
        lines.append(
            "Modelled on profile\(c.profiles.count > 1 ? "s" : "") \(c.profiles.map(\.name).joined(separator: ", ")): "
                + "\(c.recorded.text)."
        )
        lines.append("Latency is given at \(load.text(c.recorded)).")
        if !isBaselineShown {
            lines.append(
                "Baseline is '\(c.baseline.name)', not shown: \(mega(Double(c.baseline.sustainableRate))) Mpps, "
                    + "\(giga(c.baseline.wireRate)) Gbps, bottleneck \(c.baseline.bottleneck)."
            )
        }
        return lines
    }

    /// How robust the verdict is; nil if there is none, as between one placement and itself.
    private var sensitivity: Sensitivity? {
        comparison.best != nil && comparison.results.count > 1 ? comparison.sensitivity : nil
    }

    private var tail: [String] {
        let c = comparison
        return (resultTable(c.results, baseline: c.baseline, columns).same.map { [$0] } ?? [])
            + ["Best: \(c.verdict)."] + flowLines(c.results)
            + (sensitivity.map(sensitivityLines) ?? [])
            + notes(c.results, c.recorded, c.infeasible)
            + profileLines(c.profiles, hostsDiffer: c.hostsDiffer)
    }

    /// The report as text, in lines of at most `width` characters for a terminal; elsewhere its table is as wide as it is.
    public func text(width: Int?) -> String {
        let most = min(width ?? 120, 120)
        return "\(wrapped(head, width: most))\n\(table.shown(width: width))\n\(wrapped(tail, width: most))"
    }

    /// The report in Markdown.
    public var markdown: String {
        "# Placements of \(graph)\n\n\(head.joined(separator: "\n"))\n\n\(table.markdown)\n"
            + tail.map { "- \($0)\n" }.joined()
    }

    /// The report as JSON; the names are part of the interface.
    public var json: JSON {
        let c = comparison
        return .object(
            [
                ("graph", .string(graph)),
                ("profile", .string(c.profiles.map(\.name).joined(separator: ", "))),
                ("modelled", true),
            ] + recordedJSON(c.recorded) + [
                ("load", .string(rateText(load.rate))),
                ("offered", loadJSON(load)),
                ("baseline", .string(c.baseline.name)),
                ("placements", .array(c.results.map { resultJSON($0, c.baseline, c.recorded) })),
                ("infeasible", infeasibleJSON(c.infeasible)),
                ("best", c.best.map { .string($0.name) } ?? .null),
                ("verdict", .string(c.verdict)),
                ("tie", .bool(c.isTie)),
                ("sensitivity", sensitivity.map(sensitivityJSON) ?? .null),
                ("hosts_differ", .bool(c.hostsDiffer)),
                (
                    "prices_usd",
                    .object(c.profiles.compactMap { p in p.price.map { (p.name, .integer(Int64($0))) } })
                ),
                ("assumptions", assumptionsJSON(c.profiles)),
                ("not_modelled", notModelledJSON(c.profiles)),
            ]
        )
    }

    /// The figures as a flat list of statistics.
    public var statistics: JSON { resultStatistics(comparison.results, load, comparison.recorded) }
}
