// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The reason a graph cannot be run on several threads as asked.
public struct SplitError: Error, CustomStringConvertible {
    public var description: String
}

/// How a graph is cut into stages, each a graph of its own that is run by one thread, or several equal ones.
///
/// An edge within a stage is an edge as in any run; one from a stage to a later one becomes a ring. No edge leads to an earlier stage.
public struct Cut: Sendable {
    /// A stage: what it is called in reports, and the threads that run it, with a copy of its elements each.
    struct Stage: Sendable {
        var name: String
        var threads: [Int]
    }
    let stages: [Stage]
    /// For each node its stage; for wires that in which packets are sent. They come in at the first.
    let stage: [Int]
    /// What stays together where packets are divided among the copies of the first stage; nil if there is only one.
    public let divides: Divides?
    /// How it runs, as a sentence without its full stop.
    public let about: String

    /// The number of threads.
    public var threads: Int { (stages.flatMap(\.threads).max() ?? 0) + 1 }
    /// Into how many parts packets are divided when they come in.
    public var copies: Int { stages[0].threads.count }

    /// The stages that an edge leads from and to.
    func ends(of edge: GraphSpec.Edge, _ spec: GraphSpec) -> (from: Int, to: Int) {
        (spec.nodes[edge.from].isWire ? 0 : stage[edge.from], stage[edge.to])
    }
}

extension Cut {
    /// Cuts where edges cross from one side of a placement to the other, which are a thread each.
    ///
    /// An element is in stage k if the paths that lead to it cross k times at most: even stages are the NIC's, odd ones the host's. A
    /// placement in which a cycle crosses cannot be cut.
    public init(_ spec: GraphSpec, placement sides: [Side], named name: String = "") throws(SplitError) {
        let shape = GraphShape(spec)
        if let edge = spec.edges.first(where: { shape.isRound($0) && sides[$0.from] != sides[$0.to] }) {
            throw SplitError(
                description:
                    "the edge '\(spec.name(of: edge))' crosses from the \(sides[edge.from]) to the \(sides[edge.to]) and is part of a "
                    + "cycle: two executors would have to wait for each other at every packet"
            )
        }
        var stage = sides.map { $0 == .nic ? 0 : 1 }
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for edge in spec.edges {
                let from = spec.nodes[edge.from].isWire ? 0 : stage[edge.from]
                let least = from + (sides[edge.from] == sides[edge.to] ? 0 : 1)
                if stage[edge.to] >= least { continue }
                stage[edge.to] = least
                hasChanged = true
            }
        }
        self.stage = stage
        stages = (0...(stage.max() ?? 0)).map { Stage(name: $0 % 2 == 0 ? "nic" : "host", threads: [$0 % 2]) }
        divides = nil
        about = "The sides of placement '\(name)' ran on two threads"
    }

    /// Cuts before the first elements of which there must be one for all packets; before that, `threads` threads have elements of their
    /// own for their share of the packets. The first of them runs the rest, too.
    ///
    /// - Parameter sendsAlone: on which wires each thread sends its packets itself, as on an interface; on others the first writes
    ///   them in the order of their times.
    public init(
        _ spec: GraphSpec,
        threads: Int,
        sendsAlone: (GraphSpec.Node) -> Bool = { _ in false }
    ) throws(SplitError) {
        var isRest = spec.nodes.indices.map { number in
            let node = spec.nodes[number]
            return node.isWire
                ? !sendsAlone(node) && spec.edges.contains { $0.to == number } : node.type.divides == .never
        }
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for edge in spec.edges where !spec.nodes[edge.from].isWire && isRest[edge.from] && !isRest[edge.to] {
                isRest[edge.to] = true
                hasChanged = true
            }
        }
        let divided = spec.nodes.indices.filter { !isRest[$0] && !spec.nodes[$0].isWire }
        if divided.isEmpty {
            let first = spec.edges.first { spec.nodes[$0.from].isWire }.map { spec.nodes[$0.to] }
            throw SplitError(
                description:
                    "nothing can be divided among threads: the first element"
                    + (first.map { ", '\($0.name)' (\($0.type.name)), is one for all packets" }
                        ?? " is one for all packets")
            )
        }
        stage = isRest.map { $0 ? 1 : 0 }
        let hasRest = spec.edges.contains { isRest[$0.to] }
        stages =
            [Stage(name: "share", threads: Array(0..<threads))] + (hasRest ? [Stage(name: "rest", threads: [0])] : [])
        divides = divided.contains { spec.nodes[$0].type.divides == .hosts } ? .hosts : .flows
        about = "\(threads) threads shared the packets, by \(divides == .hosts ? "pair of hosts" : "flow")"
    }
}
