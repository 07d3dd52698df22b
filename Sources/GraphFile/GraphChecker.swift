// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Makes a ``GraphSpec`` from the result of a ``GraphBuilder``, and checks it as a whole.
struct GraphChecker {
    private let session: Session
    private let builder: GraphBuilder
    /// The vertex of each node of the graph.
    private var vertexOf: [Int] = []
    /// The link of each edge of the graph: the one at the output where it begins.
    private var linkOf: [GraphBuilder.Link] = []
    /// The graph, without whatever could not be made.
    private(set) var spec: GraphSpec

    init(_ builder: GraphBuilder, name: String, about: String) {
        self.builder = builder
        session = builder.session
        spec = GraphSpec(name: name, about: about, nodes: [], edges: [])
        var nodeOf: [Int] = []
        for (v, vertex) in builder.vertices.enumerated() {
            nodeOf.append(spec.nodes.count)
            guard let (type, element, _) = vertex.element else { continue }
            vertexOf.append(v)
            spec.nodes.append(GraphSpec.Node(name: vertex.name, type: type, element: element, place: vertex.place))
        }
        spec.together = builder.together.map { $0.members.map { nodeOf[$0] } }
        join(nodeOf)
    }

    // MARK: Connections

    /// The target of a link: an input, or a compound's port from which nothing continues.
    private enum Target {
        case input(GraphBuilder.Input)
        case deadEnd(Int)
    }

    /// Makes the edges, through the ports of compounds. Reports unconnected outputs and inputs.
    private mutating func join(_ nodeOf: [Int]) {
        let vertices = builder.vertices
        let targets = targetsOfPorts()
        var connected: Set<GraphBuilder.Output> = []
        var fed: Set<GraphBuilder.Input> = []
        var isReached = Array(repeating: false, count: vertices.count)
        for link in builder.links {
            isReached[link.to.vertex] = true
            guard vertices[link.from.vertex].element != nil else { continue }
            connected.insert(link.from)
            switch targets[link.to.vertex] ?? .input(link.to) {
            case .input(let to):
                fed.insert(to)
                linkOf.append(link)
                spec.edges.append(
                    GraphSpec.Edge(
                        from: nodeOf[link.from.vertex],
                        output: link.from.port,
                        to: nodeOf[to.vertex],
                        input: to.port
                    )
                )
            case .deadEnd(let port):
                let isOptional = spec.nodes[nodeOf[link.from.vertex]].element.outputs[link.from.port].optional
                if !isOptional, !vertices[port].isTainted {
                    session.report(
                        .unusedOutput,
                        "the \(vertices[port].name) is not connected",
                        at: vertices[port].mark
                    )
                }
            }
        }
        // The compounds' ports through which each input would be fed.
        var through: [GraphBuilder.Input: [Int]] = [:]
        for v in vertices.indices {
            if case .input(let input) = targets[v] { through[input, default: []].append(v) }
        }
        for (node, v) in vertexOf.enumerated() where !vertices[v].isTainted {
            let element = spec.nodes[node].element
            for (o, output) in element.outputs.enumerated() where !output.optional {
                if connected.contains(GraphBuilder.Output(vertex: v, port: o)) { continue }
                session.report(
                    .unusedOutput,
                    "the output '\(output.name)' of '\(vertices[v].name)' is not connected",
                    at: vertices[v].mark,
                    suggestion: "what is not wanted can go to a Discard"
                )
            }
            for (i, input) in element.inputs.enumerated() where !input.optional {
                let here = GraphBuilder.Input(vertex: v, port: i)
                if fed.contains(here) { continue }
                if let ports = through[here] {
                    for port in ports where !isReached[port] && !vertices[port].isTainted {
                        session.report(
                            .unusedInput,
                            "the \(vertices[port].name) is not connected",
                            at: vertices[port].mark
                        )
                    }
                } else {
                    session.report(
                        .unusedInput,
                        "the input '\(input.name)' of '\(vertices[v].name)' is not connected",
                        at: vertices[v].mark
                    )
                }
            }
        }
    }

    /// The final target of each compound's port, through further ports; nil for elements. Ports that form a cycle are reported.
    private func targetsOfPorts() -> [Target?] {
        let vertices = builder.vertices
        var next: [GraphBuilder.Input?] = Array(repeating: nil, count: vertices.count)
        for link in builder.links where vertices[link.from.vertex].element == nil { next[link.from.vertex] = link.to }
        var targets: [Target?] = Array(repeating: nil, count: vertices.count)
        var visit = Array(repeating: -1, count: vertices.count)
        for start in vertices.indices where vertices[start].element == nil && targets[start] == nil {
            var path: [Int] = []
            var at = start
            var target: Target?
            while target == nil {
                if let known = targets[at] {
                    target = known
                } else if visit[at] == start {
                    session.report(
                        .endlessWire,
                        "the \(vertices[at].name) leads back to itself, through no element",
                        at: vertices[at].mark
                    )
                    builder.taint(at)
                    target = .deadEnd(at)
                } else {
                    visit[at] = start
                    path.append(at)
                    guard let to = next[at] else {
                        target = .deadEnd(at)
                        break
                    }
                    if vertices[to.vertex].element != nil { target = .input(to) } else { at = to.vertex }
                }
            }
            for vertex in path { targets[vertex] = target }
        }
        return targets
    }

    // MARK: Size

    /// Reports a graph with more elements, or more outputs, than the limit, at the first that is too many. Returns whether there are
    /// no more.
    func checkSize() -> Bool {
        var outputs = 0
        for (n, node) in spec.nodes.enumerated() {
            outputs += node.element.outputs.count
            let isFull = n >= session.limits.elements
            guard isFull || outputs > session.limits.outputs else { continue }
            session.report(
                .tooManyElements,
                isFull
                    ? "the graph has \(spec.nodes.count) elements; at most \(session.limits.elements) are run"
                    : "the elements of the graph have more outputs than are run, \(session.limits.outputs)",
                at: mark(n)
            )
            return false
        }
        return true
    }

    // MARK: Kinds and flows

    /// The elements to which all that leads was understood: nothing is missing before them because of another error.
    private var isWhole: [Bool] {
        let vertices = builder.vertices
        var next: [[Int]] = Array(repeating: [], count: vertices.count)
        for link in builder.links { next[link.from.vertex].append(link.to.vertex) }
        var isDoubtful = vertices.map(\.isTainted)
        var waiting = vertices.indices.filter { isDoubtful[$0] }
        while let vertex = waiting.popLast() {
            for other in next[vertex] where !isDoubtful[other] {
                isDoubtful[other] = true
                waiting.append(other)
            }
        }
        return vertexOf.map { !isDoubtful[$0] }
    }

    private func mark(_ node: Int) -> Mark { builder.vertices[vertexOf[node]].mark }

    /// Reports edges whose kind the input does not accept, and inputs where kinds mix.
    func checkKinds() {
        let shape = GraphShape(spec)
        var first: [GraphBuilder.Input: Int] = [:]
        for (e, edge) in spec.edges.enumerated() {
            guard let kind = shape.kinds[e] else { continue }
            let node = spec.nodes[edge.to]
            let input = node.element.inputs[edge.input]
            if !input.accepts.allows(kind) {
                session.report(
                    .kindMismatch,
                    "'\(spec.name(of: edge))' gives \(kind), but '\(node.name).\(input.name)' takes \(input.accepts)",
                    at: linkOf[e].toMark,
                    suggestion: maker(from: kind, for: input.accepts),
                    notes: [Session.Note("'\(node.name)' is \(article(node.type.name))", mark(edge.to))]
                )
                continue
            }
            // What arrives determines what leaves, so it must be one kind.
            let decides = node.element.outputs.contains {
                if case .sameAs(edge.input) = $0.gives { true } else { false }
            }
            guard decides else { continue }
            let here = GraphBuilder.Input(vertex: edge.to, port: edge.input)
            guard let other = first[here], let before = shape.kinds[other] else {
                first[here] = e
                continue
            }
            let bothPackets = (before == .packet || before == .stream) && (kind == .packet || kind == .stream)
            if before != kind, !bothPackets {
                session.report(
                    .mixedKinds,
                    "\(kind) and \(before) arrive at '\(node.name).\(input.name)', which passes on what arrives",
                    at: linkOf[e].toMark,
                    notes: [
                        Session.Note(
                            "\(before) arrives from '\(spec.name(of: spec.edges[other]))' here",
                            linkOf[other].toMark
                        )
                    ]
                )
            }
        }
    }

    /// The element types that make of items of `kind` what an input accepts, as advice; nil if there are none.
    private func maker(from kind: Kind, for accepts: Accepts) -> String? {
        let names = builder.catalog.types.filter { type in
            type.defaultInputs.first.map { $0.accepts != .any && $0.accepts.allows(kind) } == true
                && type.defaultOutputs.contains {
                    if case .kind(let made) = $0.gives { made != kind && accepts.allows(made) } else { false }
                }
        }.map { article($0.name) }
        guard let last = names.last else { return nil }
        if names.count == 1 { return "\(last) between them makes that" }
        return "\(names.dropLast().joined(separator: ", ")) or \(last) between them makes that"
    }

    /// Reports inputs that take records of one layout, where records of two would arrive. `layouts` are those that each element
    /// registers when it is made; nil if it could not be made.
    private func checkLayouts(_ layouts: [[Layout]?]) {
        let isWhole = isWhole
        var arriving: [GraphBuilder.Input: [GraphSpec.Edge]] = [:]
        for edge in spec.edges {
            arriving[GraphBuilder.Input(vertex: edge.to, port: edge.input), default: []].append(edge)
        }
        for (n, node) in spec.nodes.enumerated() where isWhole[n] {
            for (i, input) in node.element.inputs.enumerated() where input.takesOneLayout {
                var seen: (edge: GraphSpec.Edge, layout: Layout)?
                for edge in makers(of: GraphBuilder.Input(vertex: n, port: i), arriving) {
                    let output = spec.nodes[edge.from].element.outputs[edge.output]
                    guard case .kind(.record(let name)) = output.gives,
                        let layout = layouts[edge.from]?.first(where: { $0.name == name })
                    else { continue }
                    guard let first = seen else {
                        seen = (edge, layout)
                        continue
                    }
                    if first.layout == layout { continue }
                    let columns = [first.layout, layout].map { $0.fields.map(\.name).joined(separator: ", ") }
                    session.report(
                        .severalLayouts,
                        "records of '\(spec.name(of: first.edge))' (\(columns[0])) and of '\(spec.name(of: edge))' "
                            + "(\(columns[1])) arrive at '\(node.name).\(input.name)', which takes those of one layout",
                        at: mark(n),
                        suggestion: "the same columns in both, JSON lines, or a sink for each",
                        notes: [first.edge, edge].map {
                            Session.Note(
                                "'\(spec.nodes[$0.from].name)' is \(article(spec.nodes[$0.from].type.name))",
                                mark($0.from)
                            )
                        }
                    )
                    break
                }
            }
        }
    }

    /// Reports inputs that need a column which the arriving records do not have.
    func checkColumns() {
        let isWhole = isWhole
        var arriving: [GraphBuilder.Input: [GraphSpec.Edge]] = [:]
        for edge in spec.edges {
            arriving[GraphBuilder.Input(vertex: edge.to, port: edge.input), default: []].append(edge)
        }
        for (n, node) in spec.nodes.enumerated() where isWhole[n] {
            for (i, input) in node.element.inputs.enumerated() where !input.columns.isEmpty {
                for edge in makers(of: GraphBuilder.Input(vertex: n, port: i), arriving) {
                    let maker = spec.nodes[edge.from]
                    guard builder.vertices[vertexOf[edge.from]].isSound,
                        let columns = maker.element.outputs[edge.output].columns
                    else { continue }
                    for needed in input.columns where !columns.contains(needed.name) && !session.isFull {
                        session.report(
                            .missingColumn,
                            "'\(node.name).\(input.name)' needs the column '\(needed.name)', which records of "
                                + "'\(spec.name(of: edge))' do not have",
                            at: mark(n),
                            suggestion: needed.hint,
                            notes: [Session.Note("'\(maker.name)' is \(article(maker.type.name))", mark(edge.from))]
                        )
                    }
                }
            }
        }
    }

    /// The edges at which items arriving at an input originate, before elements that pass them on.
    private func makers(
        of input: GraphBuilder.Input,
        _ arriving: [GraphBuilder.Input: [GraphSpec.Edge]]
    ) -> [GraphSpec.Edge] {
        var found: [GraphSpec.Edge] = []
        var seen: Set<GraphBuilder.Input> = [input]
        var waiting = [input]
        while let at = waiting.popLast() {
            for edge in arriving[at] ?? [] {
                guard case .sameAs(let input) = spec.nodes[edge.from].element.outputs[edge.output].gives else {
                    found.append(edge)
                    continue
                }
                let before = GraphBuilder.Input(vertex: edge.from, port: input)
                if seen.insert(before).inserted { waiting.append(before) }
            }
        }
        return found
    }

    /// Reports elements that need flows and do not have exactly one nearest flow table.
    func checkFlowTables() {
        let shape = GraphShape(spec)
        let isWhole = isWhole
        var isFed: Set<GraphBuilder.Input> = []
        for edge in spec.edges { isFed.insert(GraphBuilder.Input(vertex: edge.to, port: edge.input)) }
        for (n, node) in spec.nodes.enumerated() where node.element.flowCapacity == nil && isWhole[n] {
            let needs = node.element.inputs.enumerated().contains { i, input in
                input.needsFlow && isFed.contains(GraphBuilder.Input(vertex: n, port: i))
            }
            guard needs else { continue }
            let tables = shape.nearestTables[n].filter { $0 >= 0 }.sorted()
            let notes = tables.map { Session.Note("'\(spec.nodes[$0].name)' is a flow table", mark($0)) }
            if tables.count > 1 {
                let names = tables.map { "'\(spec.nodes[$0].name)'" }.joined(separator: " and ")
                session.report(
                    .severalFlowTables,
                    "'\(node.name)' needs the flows of one table, and is reached from \(names)",
                    at: mark(n),
                    notes: notes
                )
            } else if tables.isEmpty || shape.nearestTables[n].contains(-1) {
                session.report(
                    .noFlowTable,
                    tables.isEmpty
                        ? "'\(node.name)' needs flows, and no flow table leads to it"
                        : "'\(node.name)' needs flows, and is also reached past the flow table",
                    at: mark(n),
                    suggestion: tables.isEmpty ? "put a FlowTable before it" : nil,
                    notes: notes
                )
            }
        }
    }

    /// Reports files that several elements write, whether they name them or have them by default. Two names may lead to one file all
    /// the same: that shows when a run opens them.
    func checkFiles() {
        func isAlone(_ node: GraphSpec.Node) -> Bool {
            node.element.inputs.contains { $0.takesOneLayout || $0.accepts.allows(.packet) }
        }
        var writers: [String: [Int]] = [:]
        for (n, node) in spec.nodes.enumerated() where builder.vertices[vertexOf[n]].isSound {
            for file in node.element.files { writers[file == "/dev/stdout" ? "-" : file, default: []].append(n) }
        }
        for (file, nodes) in writers.sorted(by: { $0.value[0] < $1.value[0] }) where nodes.count > 1 {
            let isOutput = file == "-"
            // Other devices keep nothing that could be mixed.
            guard isOutput ? nodes.contains(where: { isAlone(spec.nodes[$0]) }) : !file.hasPrefix("/dev/") else {
                continue
            }
            let names = nodes.map { "'\(spec.nodes[$0].name)'" }
            let alone = nodes.first { isAlone(spec.nodes[$0]) }.map { spec.nodes[$0].name } ?? ""
            session.report(
                .sharedFile,
                "\(names.dropLast().joined(separator: ", ")) and \(names[names.count - 1]) write to "
                    + (isOutput
                        ? "standard output, where what '\(alone)' writes must be alone"
                        : "'\(file)', which only one can"),
                at: mark(nodes[1]),
                suggestion: "give all but one a file of their own",
                notes: [Session.Note("the first is here", mark(nodes[0]))]
            )
        }
    }

    /// Makes each element once, so that errors which only show then are reported here rather than when a run begins.
    ///
    /// Flow tables are left out: they are large, and the ranges of their parameters cover all their errors. So are elements with
    /// errors that are reported already.
    func checkMaking() {
        var layouts: [[Layout]?] = Array(repeating: nil, count: spec.nodes.count)
        defer { checkLayouts(layouts) }
        for (n, node) in spec.nodes.enumerated()
        where node.element.flowCapacity == nil && builder.vertices[vertexOf[n]].isSound {
            let setup = Setup(path: node.name, flows: 1, seed: 1, hashKey: HashKey(seed: 1), services: builder.services)
            do {
                _ = try node.element.make(setup)
                layouts[n] = setup.layouts.all
            } catch let error as ParameterError {
                // An element that rejects a combination of values knows no place; the element's own is used.
                let values = builder.vertices[vertexOf[n]].element?.values ?? []
                for var error in error.all {
                    if !values.contains(where: { $0.value.holds(error.mark) }) { error.mark = mark(n) }
                    session.report(error)
                }
            } catch let error as FileError {
                session.report(.cannotRead, "'\(node.name)': \(error)", at: mark(n), unreadable: error.file)
            } catch {
                session.report(.badElement, "'\(node.name)' cannot be made: \(error)", at: mark(n))
            }
        }
    }

    /// Reports sets of elements to be kept together with members pinned to different sides.
    func checkTogether() {
        for (set, (_, mark)) in zip(spec.together, builder.together) {
            let onHost = set.first { spec.nodes[$0].pin?.side == .host }
            let onNIC = set.first { spec.nodes[$0].pin?.side == .nic }
            guard let onHost, let onNIC else { continue }
            session.report(
                .splitTogether,
                "'\(spec.nodes[onNIC].name)' must be on the nic and '\(spec.nodes[onHost].name)' on the host, so they cannot be together",
                at: mark
            )
        }
    }
}

extension Value {
    /// Whether `mark` belongs to this value or to one within it.
    fileprivate func holds(_ mark: Mark) -> Bool {
        if self.mark == mark { return true }
        return switch self {
        case .scalar: false
        case .list(let items, _): items.contains { $0.holds(mark) }
        case .map(let entries, _): entries.contains { $0.keyMark == mark || $0.value.holds(mark) }
        }
    }
}
