// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Writes the counters of a run as metrics in the text format of Prometheus, version 0.0.4.
public enum MetricsText {
    /// The media type of the text.
    public static let mediaType = "text/plain; version=0.0.4; charset=utf-8"

    /// All metrics of a snapshot.
    ///
    /// - Parameter version: that of the program.
    public static func text(_ run: RunSnapshot, version: String) -> String {
        var out = Families()
        out.add("spillway_run_info", .gauge, "The graph that runs, and the version of the program.") {
            [([("graph", run.graph), ("version", version)], "1")]
        }
        for (name, about, time) in [
            ("spillway_start_time_seconds", "When the run began, in seconds since 1970.", run.began),
            ("spillway_snapshot_time_seconds", "When these values were read, in seconds since 1970.", run.time),
            (
                "spillway_functional_time_seconds",
                "The time by which elements age and time out, in seconds since 1970.",
                run.functionalTime
            ),
        ] {
            out.add(name, .gauge, about) { [([], fixed(Double(time) / 1e9, 3))] }
        }
        addWires(of: run, to: &out)
        addElements(of: run, to: &out)
        out.add("spillway_edge_items_total", .counter, "Items that moved along an edge, named by its output port.") {
            run.edges.map { ([("edge", $0.name)], String($0.items)) }
        }
        out.add("spillway_pool_free_items", .gauge, "Items of the pool that are free.") { [([], String(run.poolFree))] }
        out.add("spillway_pool_capacity_items", .gauge, "Items of the pool.") { [([], String(run.poolCapacity))] }
        for (name, about, count) in [
            (
                "spillway_pool_shortages_total", "Copies and records that are missing because no item was free.",
                run.poolShortages
            ),
            (
                "spillway_time_backwards_packets_total", "Packets with a stamp before that of an earlier one.",
                run.backwards
            ),
            (
                "spillway_time_ahead_packets_total", "Packets with a stamp more than a day after those around them.",
                run.ahead
            ),
        ] {
            out.add(name, .counter, about) { [([], String(count))] }
        }
        return out.text
    }

    private static func addWires(of run: RunSnapshot, to out: inout Families) {
        let families: [(String, String, (RunSnapshot.Wire) -> UInt64?)] = [
            ("received_packets", "Packets that came in by a wire.", { $0.counts.packetsIn }),
            ("received_bytes", "Bytes of the packets that came in by a wire.", { $0.counts.bytesIn }),
            ("sent_packets", "Packets that were sent by a wire.", { $0.counts.packetsOut }),
            ("sent_bytes", "Bytes of the packets that were sent by a wire.", { $0.counts.bytesOut }),
            (
                "kernel_dropped_packets", "Packets that the kernel dropped as they were not read in time.",
                \.interface?.kernelDrops
            ),
            ("outages", "How often the interface of a wire went down, or away.", \.interface?.outages),
        ]
        for (name, about, read) in families {
            out.add("spillway_wire_\(name)_total", .counter, about) {
                run.wires.compactMap { wire in read(wire).map { ([("wire", wire.counts.name)], String($0)) } }
            }
        }
    }

    private static func addElements(of run: RunSnapshot, to out: inout Families) {
        func labels(_ e: ElementCounts) -> [(String, String)] { [("element", e.name), ("type", e.type)] }
        let families: [(String, String, (ElementCounts) -> UInt64)] = [
            ("in", "Items that arrived at an element.", \.entered),
            ("made", "Items that an element made.", \.made),
            ("out", "Items that left an element by an output.", \.left),
            ("used", "Items whose life ended in an element on purpose.", \.used),
        ]
        for (name, about, read) in families {
            out.add("spillway_element_\(name)_items_total", .counter, about) {
                run.elements.map { (labels($0), String(read($0))) }
            }
        }
        out.add("spillway_element_held_items", .gauge, "Items that an element holds.") {
            run.elements.map { (labels($0), String($0.held)) }
        }
        out.add("spillway_element_dropped_items_total", .counter, "Items that an element dropped, by reason.") {
            run.elements.flatMap { e in e.drops.map { (labels(e) + [("reason", $0.reason)], String($0.count)) } }
        }
        out.add("spillway_element_operations_total", .counter, "Operations that an element counted.") {
            run.elements.flatMap { e in
                e.operations.map { (labels(e) + [("operation", $0.operation.name)], String($0.count)) }
            }
        }
        // Some of them count, others are states: the format has a type for what is not known.
        out.add("spillway_element_handler", .untyped, "A value that an element shows.") {
            run.elements.flatMap { e in e.handlers.map { (labels(e) + [("handler", $0.name)], String($0.value)) } }
        }
    }

    /// What a family of metrics is.
    private enum Kind: String {
        case counter
        case gauge
        case untyped
    }

    private struct Families {
        var text = ""

        /// Adds a family with its samples; one without samples is left out.
        mutating func add(
            _ name: String,
            _ kind: Kind,
            _ about: String,
            _ samples: () -> [(labels: [(String, String)], value: String)]
        ) {
            let samples = samples()
            if samples.isEmpty { return }
            text += "# HELP \(name) \(escaped(about, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
            for (labels, value) in samples {
                let list = labels.map { "\($0)=\"\(escaped($1, quotes: true))\"" }.joined(separator: ",")
                text += list.isEmpty ? "\(name) \(value)\n" : "\(name){\(list)} \(value)\n"
            }
        }

        private func escaped(_ text: String, quotes: Bool) -> String {
            var out = ""
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\\": out += "\\\\"
                case "\n": out += "\\n"
                case "\"" where quotes: out += "\\\""
                default: out.unicodeScalars.append(scalar)
                }
            }
            return out
        }
    }
}
