// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The operations counted by the elements of an instance, readable while it runs.
public struct OperationTally {
    private let nodes: UnsafeMutablePointer<NodeState>

    /// A tally of `instance`, which must outlive it.
    public init(_ instance: Instance) { nodes = instance.nodes }

    /// The counts of node `number` so far, indexed by ``Operation``.
    public func operations(_ number: Int) -> UnsafePointer<UInt64> { UnsafePointer(nodes[number].operations) }

    /// The operations that node `number` has counted since the last call: bit `n` stands for the operation with raw value `n`.
    public func takeTouched(_ number: Int) -> UInt32 {
        let touched = nodes[number].touched
        nodes[number].touched = 0
        return touched
    }
}
