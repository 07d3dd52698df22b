// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Model
import Placement

/// The planner's results.
public struct PlanReport: ModelReport, Sendable {
    /// The graph's name.
    public var graph: String
    /// The device the placements were modelled on.
    public var profile: DeviceProfile
    /// The plan.
    public var plan: Plan
    /// The titles of the columns of its table; empty for those in which placements differ.
    public var columns: [String] = []

    public init(graph: String, profile: DeviceProfile, plan: Plan) {
        self.graph = graph
        self.profile = profile
        self.plan = plan
    }

    /// The load at which latency was modelled.
    public var load: Load { plan.baseline.load }

    /// The user ended the search.
    public var wasInterrupted: Bool { plan.wasInterrupted }

    /// The best placements, the two extremes and the baseline, each once.
    private var shown: [PlacementResult] {
        var shown = Array(plan.ranked.prefix(5))
        for extreme in [plan.allHost, plan.allNIC, plan.baseline] {
            if let extreme, !shown.contains(where: { $0.sides == extreme.sides }) { shown.append(extreme) }
        }
        return shown
    }

    private var rows: (table: Table, same: String?) { resultTable(shown, baseline: plan.baseline, columns) }

    private var head: [String] {
        [
            "Modelled on profile \(profile.name), objective \(plan.objective.rawValue): \(plan.recorded.text).",
            "Latency is given at \(load.text(plan.recorded)).",
            "Search: \(plan.completeness).",
        ]
    }

    private var tail: [String] {
        (rows.same.map { [$0] } ?? [])
            + [
                "Best: '\(plan.best.name)'"
                    + (plan.isTie
                        ? ": several are equal in \(plan.objective.rawValue), and ties go to fewer host cycles, then fewer bytes that cross, lower p99, a higher rate, fewer elements on the NIC."
                        : plan.possible.all - plan.possible.infeasible == 1
                            ? ", the only placement that can be modelled." : ".")
            ]
            + flowLines(Array(shown.prefix(1))) + sensitivityLines(plan.sensitivity)
            + notes(shown, plan.recorded, plan.infeasible)
            + (plan.possible.infeasible > plan.infeasible.count
                ? ["\(plan.possible.infeasible - plan.infeasible.count) more cannot be modelled."] : [])
            + profileLines([profile], hostsDiffer: false)
    }

    private var reasons: [String] {
        plan.reasons.map { "\($0.element) on \($0.side == .nic ? "NIC" : "host"): \($0.text)" }
    }

    /// The report as text, in lines of at most `width` characters for a terminal; elsewhere its table is as wide as it is.
    public func text(width: Int?) -> String {
        let most = min(width ?? 120, 120)
        return "\(wrapped(head, width: most))\n\(rows.table.shown(width: width))\n\(wrapped(tail, width: most))"
            + "\nWhy, in '\(plan.best.name)':\n" + wrapped(reasons.map { "  \($0)" }, width: most)
    }

    /// The report in Markdown.
    public var markdown: String {
        "# Plan of \(graph)\n\n\(head.joined(separator: "\n"))\n\n\(rows.table.markdown)\n"
            + tail.map { "- \($0)\n" }.joined() + "\nWhy, in '\(plan.best.name)':\n\n"
            + reasons.map { "- \($0)\n" }.joined()
    }

    /// The figures as a flat list of statistics, of all placements that were replayed.
    public var statistics: JSON { resultStatistics(plan.ranked, load, plan.recorded) }

    /// The report as JSON; the names are part of the interface.
    public var json: JSON {
        .object(
            [
                ("graph", .string(graph)),
                ("profile", .string(profile.name)),
                ("modelled", true),
                ("objective", .string(plan.objective.rawValue)),
            ] + recordedJSON(plan.recorded) + [
                ("load", .string(rateText(load.rate))),
                ("offered", loadJSON(load)),
                ("completeness", .string(plan.completeness)),
                ("interrupted", .bool(plan.wasInterrupted)),
                ("possible", .integer(Int64(plan.possible.all))),
                ("infeasible_count", .integer(Int64(plan.possible.infeasible))),
                ("infeasible", infeasibleJSON(plan.infeasible)),
                ("tie", .bool(plan.isTie)),
                ("best", .string(plan.best.name)),
                ("baseline", .string(plan.baseline.name)),
                ("placements", .array(plan.ranked.map { resultJSON($0, plan.baseline, plan.recorded) })),
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
                ("sensitivity", sensitivityJSON(plan.sensitivity)),
                ("assumptions", assumptionsJSON([profile])),
                ("not_modelled", notModelledJSON([profile])),
            ]
        )
    }
}
