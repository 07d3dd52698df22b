// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// One copy of a stage of a cut graph, ready to run.
struct Stage {
    /// The thread that runs it.
    let thread: Int
    let instance: Instance
    let runtime: DirectRuntime
    /// Where its items come from; nil for the first stage, to which packets come from outside.
    let source: RingSource?
    /// Where its items go.
    let rings: [Ring]
    /// For each node of the whole graph its number here.
    let nodes: [Int: Int]
}

/// Makes the stages of a cut graph, the earliest first: each needs the rings that lead to it.
struct StageBuilder {
    private let spec: GraphSpec
    private let cut: Cut
    private let shape: GraphShape
    /// For each edge of the whole graph the stages that it leads from and to.
    private let ends: [(from: Int, to: Int)]
    /// For each stage the table in an earlier one of whose flows' ends it must be told.
    private let told: [Int?]
    /// The places of the rings that lead to a stage.
    private let places: (Int) -> Int
    private let bells: [Doorbell]
    private let services: any Services
    private let options: Instance.Options
    private let layouts = LayoutTable()
    private var rings: [Way: Ring] = [:]

    /// A ring's beginning and end: copies of stages.
    private struct Way: Hashable {
        var from: Copy
        var to: Copy
    }
    private struct Copy: Hashable {
        var stage: Int
        var number: Int
    }

    init(
        _ spec: GraphSpec,
        _ cut: Cut,
        places: @escaping (Int) -> Int,
        bells: [Doorbell],
        services: any Services,
        options: Instance.Options
    ) throws(SplitError) {
        self.spec = spec
        self.cut = cut
        self.places = places
        self.bells = bells
        self.services = services
        self.options = options
        shape = GraphShape(spec)
        ends = spec.edges.map { cut.ends(of: $0, spec) }
        told = try StageBuilder.tables(spec, shape, cut, ends)
    }

    /// All stages. Packets come from `bindings`, one set for each copy of the first stage; all others have a single copy.
    mutating func build(_ bindings: [[Int: WireBinding]]) throws -> [Stage] {
        var stages: [Stage] = []
        for k in cut.stages.indices {
            for number in cut.stages[k].threads.indices {
                stages.append(try build(Copy(stage: k, number: number), bindings[number]))
            }
        }
        return stages
    }

    /// A stage's graph while it grows.
    private struct Draft {
        var nodes: [GraphSpec.Node] = []
        var edges: [GraphSpec.Edge] = []
        var bindings: [Int: WireBinding] = [:]
        /// For each node of the whole graph its number here.
        var local: [Int: Int] = [:]
        /// The number of the ``RingHead``.
        var head = -1
        var source: RingSource?

        mutating func add(_ node: GraphSpec.Node) -> Int {
            nodes.append(node)
            return nodes.count - 1
        }
    }

    private mutating func build(_ copy: Copy, _ bindings: [Int: WireBinding]) throws -> Stage {
        var draft = Draft()
        for (number, node) in spec.nodes.enumerated()
        where cut.stage[number] == copy.stage || node.isWire && copy.stage == 0 {
            draft.local[number] = draft.add(node)
            guard node.isWire, let binding = bindings[number] else { continue }
            draft.bindings[draft.local[number]!] = WireBinding(
                source: copy.stage == 0 ? binding.source : nil,
                destination: cut.stage[number] == copy.stage ? binding.destination : nil
            )
        }
        addHead(&draft, copy)
        let sent = try addTails(&draft, copy)
        let copies = cut.stages[copy.stage].threads.count
        var part = GraphSpec(name: spec.name, nodes: draft.nodes, edges: draft.edges)
        part.order = order(of: draft)
        let instance = try Instance(
            part,
            bindings: draft.bindings,
            services: services,
            options: options,
            layouts: layouts,
            share: (copy.number, copies)
        )
        draft.source?.attach(instance)
        let entering = draft.source == nil ? options.batch : RingSource.most
        let runtime = DirectRuntime(instance, entering: entering)
        if let source = draft.source { runtime.clock = RingClock(source) }
        return Stage(
            thread: cut.stages[copy.stage].threads[copy.number],
            instance: instance,
            runtime: runtime,
            source: draft.source,
            rings: sent,
            nodes: draft.local
        )
    }

    /// Elements run in their order in the whole graph, between the head and the tails: so the same edges lead back.
    private func order(of draft: Draft) -> [Int] {
        let own = shape.order.compactMap { draft.local[$0] }
        let added = draft.nodes.indices.filter { !own.contains($0) && $0 != draft.head }
        let all = (draft.head < 0 ? [] : [draft.head]) + own + added
        return all.filter { !draft.nodes[$0].isWire } + all.filter { draft.nodes[$0].isWire }
    }

    /// The edges that come from earlier stages, which begin at the stage's head, and those within it, all in their order in the whole
    /// graph: it decides where nothing else does.
    private func addHead(_ draft: inout Draft, _ copy: Copy) {
        let arriving = spec.edges.indices.filter { ends[$0].to == copy.stage && ends[$0].from < copy.stage }
        if !arriving.isEmpty {
            let before = Set(arriving.map { ends[$0].from }).sorted()
            let source = RingSource(
                before.flatMap { stage in
                    cut.stages[stage].threads.indices.map { number in
                        let ring = rings[Way(from: Copy(stage: stage, number: number), to: copy)]!
                        return (ring, (number, cut.stages[stage].threads.count))
                    }
                }
            )
            draft.source = source
            let wire = draft.add(
                GraphSpec.Node(
                    name: "ring",
                    type: ElementDescriptor(Wire.self),
                    element: ConfiguredElement(Wire.self, NoConfig())
                )
            )
            draft.bindings[wire] = WireBinding(source: source)
            var config = RingHead.Config()
            config.source = source
            config.edges = arriving.map { (spec.name(of: spec.edges[$0]), shape.kinds[$0] ?? .packet) }
            // To the elements behind it, it is the table whose flows the items carry, over all copies of that.
            let capacity = told[copy.stage].flatMap { table in
                spec.nodes[table].element.flowCapacity.map { $0 * cut.stages[cut.stage[table]].threads.count }
            }
            draft.head = draft.add(
                GraphSpec.Node(
                    name: "ring head",
                    type: ElementDescriptor(RingHead.self),
                    element: ConfiguredElement(RingHead.self, config, flowCapacity: capacity)
                )
            )
            draft.edges.append(GraphSpec.Edge(from: wire, output: 0, to: draft.head, input: 0))
        }
        for (e, edge) in spec.edges.enumerated() where ends[e].to == copy.stage {
            let output = arriving.firstIndex(of: e)
            draft.edges.append(
                GraphSpec.Edge(
                    from: output == nil ? draft.local[edge.from]! : draft.head,
                    output: output ?? edge.output,
                    to: draft.local[edge.to]!,
                    input: edge.input
                )
            )
        }
    }

    /// A tail for each later stage to which edges lead; returns their rings.
    private mutating func addTails(_ draft: inout Draft, _ copy: Copy) throws -> [Ring] {
        var sent: [Ring] = []
        for later in cut.stages.indices where later > copy.stage {
            let leaving = spec.edges.indices.filter { ends[$0].from == copy.stage && ends[$0].to == later }
            if leaving.isEmpty { continue }
            // The head of that stage numbers the edges of all stages before.
            let all = spec.edges.indices.filter { ends[$0].to == later && ends[$0].from < later }
            let ring = try Ring(
                from: name(copy),
                to: cut.stages[later].name,
                capacity: places(later),
                bell: bells[cut.stages[later].threads[0]],
                senderBell: bells[cut.stages[copy.stage].threads[copy.number]]
            )
            rings[Way(from: copy, to: Copy(stage: later, number: 0))] = ring
            sent.append(ring)
            var config = RingTail.Config()
            config.ring = ring
            config.edges = leaving.map { e in Int32(all.firstIndex(of: e)!) }
            var type = ElementDescriptor(RingTail.self)
            // Flows' ends take the way through the last stage before.
            let last = ends.filter { $0.to == later && $0.from < later }.map(\.from).max()
            var table: Int?
            if let needed = told[later], last == copy.stage {
                type.stateBytesPerFlow = 1
                table = cut.stage[needed] == copy.stage ? draft.local[needed]! : draft.head
            }
            var node = GraphSpec.Node(
                name: "ring tail \(later)",
                type: type,
                element: ConfiguredElement(RingTail.self, config)
            )
            node.table = table
            let tail = draft.add(node)
            for (input, e) in leaving.enumerated() {
                let edge = spec.edges[e]
                draft.edges.append(
                    GraphSpec.Edge(from: draft.local[edge.from]!, output: edge.output, to: tail, input: input)
                )
            }
        }
        return sent
    }

    private func name(_ copy: Copy) -> String {
        let stage = cut.stages[copy.stage]
        return stage.threads.count == 1 ? stage.name : "\(stage.name) \(copy.number + 1)"
    }

    private static func tables(
        _ spec: GraphSpec,
        _ shape: GraphShape,
        _ cut: Cut,
        _ ends: [(from: Int, to: Int)]
    ) throws(SplitError) -> [Int?] {
        var told: [Int?] = Array(repeating: nil, count: cut.stages.count)
        func tell(_ stage: Int, of table: Int) throws(SplitError) {
            if told[stage] == table { return }
            if let other = told[stage] {
                throw SplitError(
                    description:
                        "elements of one stage keep state for flows of '\(spec.nodes[other].name)' and of '\(spec.nodes[table].name)', "
                        + "both of which are before it, on other threads"
                )
            }
            told[stage] = table
            // The news passes through the last stage before.
            let before = ends.filter { $0.to == stage && $0.from < stage }.map(\.from).max()
            if let before, before > cut.stage[table] { try tell(before, of: table) }
        }
        for stage in stride(from: cut.stages.count - 1, through: 0, by: -1) {
            for (number, node) in spec.nodes.enumerated()
            where cut.stage[number] == stage && node.type.stateBytesPerFlow > 0 {
                guard let table = shape.table(of: number), cut.stage[table] < stage else { continue }
                try tell(stage, of: table)
            }
        }
        return told
    }
}
