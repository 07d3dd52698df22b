// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// What is read of an instance while it runs, on its own thread.
extension Instance {
    /// Functional time of what was handled last, in nanoseconds; 0 before anything was.
    public var now: Int64 { run.pointee.origin.now }

    /// Items that have moved along each edge, by its number.
    public var moved: [UInt64] { queues.map { $0.pointee.moved } }

    /// The counters of node `number`, with all that can be counted there: also what has not occurred so far.
    public func allCounts(_ number: Int) -> ElementCounts {
        var counts = counts(number)
        let node = spec.nodes[number]
        let loop = loopReason(number)
        counts.drops = node.dropReasons.enumerated().compactMap { k, reason in
            let count = nodes[number].drops[k]
            let isPossible =
                k < loop || k == loop && shape.cycle[number] >= 0
                || k > loop && !nodes[number].connected[k - loop - 1]
            return isPossible || count > 0 ? (reason, count) : nil
        }
        counts.operations = Operation.allCases.compactMap { operation in
            let count = nodes[number].operations[operation.rawValue]
            return count > 0 || node.type.operations.contains(operation) ? (operation, count) : nil
        }
        return counts
    }
}
