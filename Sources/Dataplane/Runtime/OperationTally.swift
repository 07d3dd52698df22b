// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The operations that the elements of an instance count, read while it runs.
public struct OperationTally {
    private let nodes: UnsafeMutablePointer<NodeState>

    /// For an instance that outlives it.
    public init(_ instance: Instance) { nodes = instance.nodes }

    /// What node `number` has counted so far, by ``Operation``.
    public func operations(_ number: Int) -> UnsafePointer<UInt64> { UnsafePointer(nodes[number].operations) }

    /// The operations that node `number` has counted since this was last asked: bit `n` stands for the operation with raw value
    /// `n`.
    public func takeTouched(_ number: Int) -> UInt32 {
        let touched = nodes[number].touched
        nodes[number].touched = 0
        return touched
    }
}
