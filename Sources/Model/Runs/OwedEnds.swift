// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The ends of flows that a live run owes.
///
/// Copies of the traffic go on for ever, so while a run lasts flows begin and hardly any end; under a steady load as many end as
/// begin. So for each flow by which a table grows, the end of a recorded one is charged, with all that it led to.
final class OwedEnds {
    private let recording: Recording
    private var visits: RecordedVisits
    private var tables: [Table]

    private struct Table {
        var element: ElementBase
        /// The recorded ends of its flows, as numbers of roots.
        var ends: [Int32]
        /// Flows in it when the run began.
        var start: Int
        var charged = 0
    }

    /// Visits have negative numbers here: items and calls of live elements have the others.
    private static let base = Int32.min

    init(_ recording: Recording, _ instance: Instance, _ sides: [Side], _ profile: DeviceProfile) {
        self.recording = recording
        visits = RecordedVisits(recording, sides, profile, base: OwedEnds.base)
        tables = []
        for (node, element) in instance.elements.enumerated()
        where instance.spec.nodes[node].element.flowCapacity != nil {
            let ends = recording.roots.indices.filter {
                recording.roots[$0].isEnd && recording.roots[$0].node == Int32(node)
            }
            if ends.isEmpty { continue }
            tables.append(Table(element: element, ends: ends.map { Int32($0) }, start: element.flowCounts.now))
        }
    }

    /// Whether a job or a call is that of a recorded visit.
    @inline(__always)
    static func has(_ ref: Int32) -> Bool { ref < 0 }

    /// The next end to charge, at a functional time; nil if none is owed.
    func next(at time: Int64) -> Control? {
        for k in tables.indices where tables[k].element.flowCounts.now - tables[k].start > tables[k].charged {
            let charged = tables[k].charged
            tables[k].charged += 1
            let root = recording.roots[Int(tables[k].ends[charged % tables[k].ends.count])]
            return Control(
                node: root.node,
                first: root.visit &+ OwedEnds.base,
                count: root.count,
                // Each is that of another flow.
                key: UInt32(truncatingIfNeeded: mix64(UInt64(root.key) << 32 | UInt64(charged))),
                time: time,
                // Its effects are known, so it need not wait until all before it is done.
                after: -1
            )
        }
        return nil
    }

    /// The element that a call is made to.
    func node(_ call: Int32) -> Int32 { visits.node(call) }

    /// Makes a visit; returns the number of ``children``, and adds its cost.
    func visit(_ ref: Int32, _ cost: inout Cost) -> Int { visits.visit(ref, &cost) }

    /// The items that the last visit released.
    var children: UnsafeMutablePointer<Child> { visits.children }

    /// The last visit held its item.
    var holds: Bool { visits.holds }
}
