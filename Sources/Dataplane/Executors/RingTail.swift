// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The end of all edges that lead from one stage of a split graph to a later one: its items go into a ring, and so do the ends
/// of flows that elements there have to be told of.
final class RingTail: ElementBase, ElementType {
    struct Config: ElementConfig {
        var ring: Ring?
        /// For each input the number of its edge at the ring's other end.
        var edges: [Int32] = []
        init() {}
    }
    static let summary = "puts items into the ring to another executor"
    static let category = Category.wires
    static let depends = Depends.order
    static func inputs(_ config: Config) -> [Input] {
        config.edges.map { Input("edge\($0)", .any, reads: .payload, "items that cross") }
    }
    static func outputs(_: Config) -> [Output] { [] }

    let ring: Ring
    private let edges: [Int32]

    init(_ config: Config, _: Setup) {
        ring = config.ring!
        edges = config.edges
    }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        ring.put(batch, edges[input], context.nodeState.pointee.pool, context.run)
        context.use(batch)
    }

    override func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {
        ring.put(endOf: flow, reason, context.run)
    }
}
