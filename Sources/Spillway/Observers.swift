// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Hands what passes one edge to a closure.
public final class EdgeTap: RunObserver {
    private let edge: Int
    private let take: (UnsafeMutablePointer<Item>) -> Void

    public init(edge: Int, take: @escaping (UnsafeMutablePointer<Item>) -> Void) {
        self.edge = edge
        self.take = take
    }

    public func moved(_ batch: Batch, edge: Int) {
        guard edge == self.edge else { return }
        for k in 0..<batch.count { take(batch[k]) }
    }

    public func processed(_ number: Int) {}
}

/// Follows one packet, and what is made from it, through a graph. The run must use batches of one.
public final class PacketTrace: RunObserver {
    private let instance: Instance
    private let sequence: UInt64
    private let print: (String) -> Void
    private var dropsBefore: [(reason: String, count: UInt64)]?
    /// The packet was seen.
    public private(set) var found = false

    /// Follows the packet with origin number `sequence`, counted from 0 over all wires.
    public init(_ instance: Instance, sequence: UInt64, print: @escaping (String) -> Void) {
        self.instance = instance
        self.sequence = sequence
        self.print = print
    }

    public func moved(_ batch: Batch, edge: Int) {
        dropsBefore = nil
        for k in 0..<batch.count where batch[k].pointee.sequence == sequence {
            found = true
            let e = instance.spec.edges[edge]
            let to = instance.spec.nodes[e.to]
            print(
                "\(instance.spec.name(of: e)) -> \(to.name).\(to.element.inputs[e.input].name): "
                    + PacketText.describe(batch[k], layouts: instance.layouts)
            )
            dropsBefore = instance.counts(e.to).drops
        }
    }

    public func processed(_ number: Int) {
        guard let before = dropsBefore else { return }
        dropsBefore = nil
        for (reason, count) in instance.counts(number).drops
        where count > before.first(where: { $0.reason == reason })?.count ?? 0 {
            print("\(instance.spec.nodes[number].name) dropped it: \(reason)")
        }
    }
}
