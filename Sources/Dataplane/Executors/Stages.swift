// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The reason a placement cannot be run on two executors.
public struct SplitError: Error, CustomStringConvertible {
    public var description: String
}

/// In which stage of a split graph each element is.
///
/// A placed graph is cut where its edges cross from one side to the other. An element is in stage k if the paths that lead to it
/// cross k times at most: even stages are the NIC's, odd ones the host's. So no edge leads to an earlier stage, and each stage
/// is a graph of its own. A placement in which a cycle crosses cannot be cut.
struct StageNumbers {
    private let spec: GraphSpec
    /// For each node its stage; for wires that in which packets are sent.
    let stage: [Int]
    let count: Int

    init(_ spec: GraphSpec, _ shape: GraphShape, _ sides: [Side]) throws(SplitError) {
        self.spec = spec
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
        count = (stage.max() ?? 0) + 1
    }

    /// The stages that an edge leads from and to.
    func ends(of edge: GraphSpec.Edge) -> (from: Int, to: Int) {
        (spec.nodes[edge.from].isWire ? 0 : stage[edge.from], stage[edge.to])
    }
}

/// One stage of a split graph.
struct Stage {
    let side: Side
    let instance: Instance
    let runtime: DirectRuntime
    /// Where its items come from; nil for the first stage, to which packets come from outside.
    let source: RingSource?
    /// Where its items go.
    let rings: [Ring]
    /// For each node of the whole graph its number here.
    let nodes: [Int: Int]
    /// For each edge of the whole graph whose items leave an element here, the queue that counts them.
    let edges: [Int: UnsafeMutablePointer<EdgeQueue>]
}

extension Stage {
    /// Cuts `spec` and makes the stages ready to run.
    static func all(
        _ spec: GraphSpec,
        _ sides: [Side],
        places: (Side) -> Int,
        bells: [Side: Doorbell],
        bindings: [Int: WireBinding],
        services: any Services,
        options: Instance.Options
    ) throws -> [Stage] {
        let shape = GraphShape(spec)
        let numbers = try StageNumbers(spec, shape, sides)
        let ends = spec.edges.map(numbers.ends)
        let told = try tables(spec, shape, numbers)
        let layouts = LayoutTable()
        /// Rings by the stages they lead from and to.
        var rings: [[Int]: Ring] = [:]
        var stages: [Stage] = []
        for k in 0..<numbers.count {
            let side: Side = k % 2 == 0 ? .nic : .host
            var nodes: [GraphSpec.Node] = []
            var local: [Int: Int] = [:]
            for (number, node) in spec.nodes.enumerated() {
                let receives = node.isWire && k == 0
                if numbers.stage[number] != k, !receives { continue }
                local[number] = nodes.count
                nodes.append(node)
            }
            // The edges that come from earlier stages begin at its head, in their order in the whole graph.
            let arriving = spec.edges.indices.filter { ends[$0].to == k && ends[$0].from < k }
            var source: RingSource?
            var stageBindings: [Int: WireBinding] = [:]
            var head = -1
            var edges: [GraphSpec.Edge] = []
            if !arriving.isEmpty {
                let made = RingSource(Set(arriving.map { ends[$0].from }).sorted().map { rings[[$0, k]]! })
                source = made
                let wire = GraphSpec.Node(
                    name: "ring",
                    type: ElementDescriptor(Wire.self),
                    element: ConfiguredElement(Wire.self, NoConfig())
                )
                stageBindings[nodes.count] = WireBinding(source: made)
                nodes.append(wire)
                var config = RingHead.Config()
                config.source = made
                config.edges = arriving.map { (spec.name(of: spec.edges[$0]), shape.kinds[$0] ?? .packet) }
                head = nodes.count
                nodes.append(
                    GraphSpec.Node(
                        name: "ring head",
                        type: ElementDescriptor(RingHead.self),
                        element: ConfiguredElement(
                            RingHead.self,
                            config,
                            flowCapacity: told[k].flatMap { spec.nodes[$0].element.flowCapacity }
                        )
                    )
                )
                edges.append(GraphSpec.Edge(from: head - 1, output: 0, to: head, input: 0))
            }
            // In their order in the whole graph, which decides where nothing else does.
            var counted: [Int: Int] = [:]
            for (e, edge) in spec.edges.enumerated() where ends[e].to == k {
                let (from, output): (Int, Int)
                if let crossed = arriving.firstIndex(of: e) {
                    (from, output) = (head, crossed)
                } else {
                    (from, output) = (local[edge.from]!, edge.output)
                    counted[e] = edges.count
                }
                edges.append(GraphSpec.Edge(from: from, output: output, to: local[edge.to]!, input: edge.input))
            }
            // Those that lead to a later one end in a tail.
            var sent: [Ring] = []
            for later in k + 1..<max(k + 1, numbers.count) {
                let leaving = spec.edges.indices.filter { ends[$0].from == k && ends[$0].to == later }
                if leaving.isEmpty { continue }
                let all = spec.edges.indices.filter { ends[$0].to == later && ends[$0].from < later }
                let target: Side = later % 2 == 0 ? .nic : .host
                let ring = try Ring(to: target, capacity: places(target), bell: bells[target]!)
                rings[[k, later]] = ring
                sent.append(ring)
                var config = RingTail.Config()
                config.ring = ring
                config.edges = leaving.map { e in Int32(all.firstIndex(of: e)!) }
                var type = ElementDescriptor(RingTail.self)
                // Flows' ends take the way through the last stage before.
                var table: Int?
                if let needed = told[later], ends.filter({ $0.to == later && $0.from < later }).map(\.from).max() == k {
                    type.stateBytesPerFlow = 1
                    table = numbers.stage[needed] == k ? local[needed]! : head
                }
                for (input, e) in leaving.enumerated() {
                    let edge = spec.edges[e]
                    counted[e] = edges.count
                    edges.append(
                        GraphSpec.Edge(from: local[edge.from]!, output: edge.output, to: nodes.count, input: input)
                    )
                }
                var node = GraphSpec.Node(
                    name: "ring tail \(later)",
                    type: type,
                    element: ConfiguredElement(RingTail.self, config)
                )
                node.table = table
                nodes.append(node)
            }
            for (number, node) in spec.nodes.enumerated() where node.isWire {
                guard let here = local[number], let binding = bindings[number] else { continue }
                stageBindings[here] = WireBinding(
                    source: k == 0 ? binding.source : nil,
                    destination: numbers.stage[number] == k ? binding.destination : nil
                )
            }
            let instance = try Instance(
                GraphSpec(name: spec.name, nodes: nodes, edges: edges),
                bindings: stageBindings,
                services: services,
                options: options,
                layouts: layouts
            )
            source?.attach(instance)
            let runtime = DirectRuntime(instance, entering: source == nil ? options.batch : RingSource.most)
            if let source { runtime.clock = RingClock(source) }
            stages.append(
                Stage(
                    side: side,
                    instance: instance,
                    runtime: runtime,
                    source: source,
                    rings: sent,
                    nodes: local,
                    edges: counted.mapValues { instance.queues[$0] }
                )
            )
        }
        return stages
    }

    /// For each stage the table in an earlier one of whose flows' ends it must be told.
    private static func tables(
        _ spec: GraphSpec,
        _ shape: GraphShape,
        _ numbers: StageNumbers
    ) throws(SplitError) -> [Int?] {
        var told: [Int?] = Array(repeating: nil, count: numbers.count)
        func tell(_ stage: Int, of table: Int) throws(SplitError) {
            if told[stage] == table { return }
            if let other = told[stage] {
                throw SplitError(
                    description:
                        "elements of one stage keep state for flows of '\(spec.nodes[other].name)' and of '\(spec.nodes[table].name)', "
                        + "both of which are on the other side"
                )
            }
            told[stage] = table
            // The news passes through the last stage before.
            let before = spec.edges.map(numbers.ends).filter { $0.to == stage && $0.from < stage }.map(\.from).max()
            if let before, before > numbers.stage[table] { try tell(before, of: table) }
        }
        for stage in stride(from: numbers.count - 1, through: 0, by: -1) {
            for (number, node) in spec.nodes.enumerated()
            where numbers.stage[number] == stage && node.type.stateBytesPerFlow > 0 {
                guard let table = shape.table(of: number), numbers.stage[table] < stage else { continue }
                try tell(stage, of: table)
            }
        }
        return told
    }
}
