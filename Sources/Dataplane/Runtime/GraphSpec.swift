// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The executor that runs an element.
public enum Side: String, Sendable, CaseIterable {
    case nic
    case host
}

/// A resolved and checked graph, from which both runtimes are built: compounds are flattened, parameters read.
public struct GraphSpec: Sendable {
    /// An element of the graph.
    public struct Node: Sendable {
        /// The name in the graph, e.g. `front/sort` or `Counter@1`.
        public var name: String
        /// The element's type, used to make it.
        public var type: ElementDescriptor
        /// The element with its parameters read.
        public var element: ConfiguredElement
        /// The side the graph pins it to; nil if the placement decides.
        public var place: Side?
        /// The flow table of whose flows it is told; nil for the nearest upstream.
        var table: Int?

        public init(name: String, type: ElementDescriptor, element: ConfiguredElement, place: Side? = nil) {
            self.name = name
            self.type = type
            self.element = element
            self.place = place
        }

        /// Whether this is a wire. Wires stand for the outside world; they are ports of the NIC.
        public var isWire: Bool { type.name == "Wire" }

        /// The names of its drop counters: the type's own, then those of the runtime, for items that went round a cycle too
        /// often and for those that left by an unconnected output.
        public var dropReasons: [String] {
            type.drops.map(\.name) + ["loop"] + element.outputs.map { "unused_\($0.name)" }
        }

        /// The only side the element can be on, and the reason as a clause; nil if the placement decides.
        public var pin: (side: Side, reason: String)? {
            if isWire { return (.nic, "a Wire is a port of the NIC") }
            switch type.sides {
            case .nic: return (.nic, "the type \(type.name) runs on the nic only")
            case .host: return (.host, "the type \(type.name) runs on the host only")
            case .either: return place.map { ($0, "the graph pins it to the \($0)") }
            }
        }
    }

    /// An edge from an output to an input, by numbers.
    public struct Edge: Sendable, Equatable {
        /// Number of the source node.
        public var from: Int
        /// Number of its output.
        public var output: Int
        /// Number of the target node.
        public var to: Int
        /// Number of its input.
        public var input: Int

        public init(from: Int, output: Int, to: Int, input: Int) {
            self.from = from
            self.output = output
            self.to = to
            self.input = input
        }
    }

    /// The order in which elements run, wires last, where it is that of a graph of which this is a part; nil for the one that follows
    /// from the edges.
    var order: [Int]?
    /// The graph's name.
    public var name: String
    /// The author's description of the graph; may be empty.
    public var about: String
    /// The elements, including wires; a node's number is its index here.
    public var nodes: [Node]
    /// The edges; an edge's number is its index here.
    public var edges: [Edge]
    /// Sets of nodes that must be on the same side.
    public var together: [[Int]]
    /// The named placements of the graph.
    public var placements: [Placement]

    /// A side for each element.
    public struct Placement: Sendable, Equatable {
        /// The name in the graph, or of the file the placement came from.
        public var name: String
        /// For each node its side.
        public var sides: [Side]
        public init(name: String, sides: [Side]) {
            self.name = name
            self.sides = sides
        }
    }

    public init(
        name: String,
        about: String = "",
        nodes: [Node],
        edges: [Edge],
        together: [[Int]] = [],
        placements: [Placement] = []
    ) {
        self.name = name
        self.about = about
        self.nodes = nodes
        self.edges = edges
        self.together = together
        self.placements = placements
    }

    /// The number of the node called `name`.
    public func index(of name: String) -> Int? { nodes.firstIndex { $0.name == name } }

    /// The name of an edge: its output port, `sort.syn`.
    public func name(of edge: Edge) -> String {
        "\(nodes[edge.from].name).\(nodes[edge.from].element.outputs[edge.output].name)"
    }

    /// The number of the edge called `name`.
    public func edge(named name: String) -> Int? { edges.firstIndex { self.name(of: $0) == name } }
}

/// What follows from a graph's shape alone: the order in which elements run, back edges, kinds and flow tables.
public struct GraphShape: Sendable {
    /// Node numbers in the order they run: topological except for back edges, wires last.
    public let order: [Int]
    /// For each node its index in `order`.
    public let rank: [Int]
    /// For each edge, whether it leads back to an element that runs earlier.
    public let isBack: [Bool]
    /// For each node the number of its cycle; -1 for nodes that no path leads back to. Cycles that share a node are one.
    public let cycle: [Int]
    /// Strongly connected components of more than one element, or of one with an edge to itself.
    public let cycles: Int
    /// For each edge the kind of its items; nil if it depends only on itself.
    public let kinds: [Kind?]
    /// For each node the nearest upstream flow tables on the paths from a wire; -1 stands for a path without one. More than one
    /// is an error where flows are needed, so of many only some are kept.
    public let nearestTables: [Set<Int>]
    /// The number of nearest tables kept per node: enough to name some, and bounded work for any graph.
    private static let tablesKept = 4

    /// Follows the edges of `spec`.
    public init(_ spec: GraphSpec) {
        let n = spec.nodes.count
        var out: [[Int]] = Array(repeating: [], count: n)
        for (e, edge) in spec.edges.enumerated() { out[edge.from].append(e) }
        // A depth-first search finishes downstream nodes first; the reverse of that is the order. A wire's input is separate
        // from its output, so no path leads through a wire.
        var finished: [Int] = []
        var state = Array(repeating: 0, count: n)
        let starts = (0..<n).filter { spec.nodes[$0].isWire } + (0..<n).filter { !spec.nodes[$0].isWire }
        for start in starts where state[start] == 0 {
            var stack = [(node: start, next: 0)]
            state[start] = 1
            while let top = stack.last {
                if top.next < out[top.node].count {
                    stack[stack.count - 1].next += 1
                    // Later outputs are visited first, so that earlier ones come first in the order.
                    let to = spec.edges[out[top.node][out[top.node].count - 1 - top.next]].to
                    if state[to] == 0, !spec.nodes[to].isWire {
                        state[to] = 1
                        stack.append((to, 0))
                    }
                } else {
                    state[top.node] = 2
                    finished.append(top.node)
                    stack.removeLast()
                }
            }
        }
        let forward = Array(finished.reversed())
        let (cycle, cycles, component) = Self.findCycles(spec, forward)
        self.cycle = cycle
        self.cycles = cycles
        // The first node of a cycle follows everything that leads into it, and the rest of the cycle comes right after.
        var places = Array(repeating: n, count: n)
        for (place, node) in forward.enumerated() { places[component[node]] = min(places[component[node]], place) }
        let grouped = forward.enumerated().sorted {
            (places[component[$0.element]], $0.offset) < (places[component[$1.element]], $1.offset)
        }.map(\.element)
        let order =
            spec.order ?? grouped.filter { !spec.nodes[$0].isWire } + grouped.filter { spec.nodes[$0].isWire }
        var rank = Array(repeating: 0, count: n)
        for (r, node) in order.enumerated() { rank[node] = r }
        self.order = order
        self.rank = rank
        isBack = spec.edges.map {
            !spec.nodes[$0.from].isWire && !spec.nodes[$0.to].isWire && rank[$0.from] >= rank[$0.to]
        }

        var kinds: [Kind?] = Array(repeating: nil, count: spec.edges.count)
        var tables: [Set<Int>] = Array(repeating: [], count: n)
        // For each node and input the kind that arrives there, as far as it is known.
        var arriving: [[Kind?]] = spec.nodes.map { Array(repeating: nil, count: $0.element.inputs.count) }
        for node in spec.nodes.indices where spec.nodes[node].isWire { tables[node] = [-1] }
        // Kinds and tables propagate along edges: a node whose arrivals changed is visited again, so cycles settle too. Wires
        // come first here: everything starts at them.
        var waiting = Array(order.filter { !spec.nodes[$0].isWire }.reversed()) + order.filter { spec.nodes[$0].isWire }
        var isWaiting = Array(repeating: true, count: n)
        while let node = waiting.popLast() {
            isWaiting[node] = false
            let element = spec.nodes[node].element
            for e in out[node] {
                let edge = spec.edges[e]
                switch element.outputs[edge.output].gives {
                case .kind(let fixed): kinds[e] = fixed
                case .sameAs(let input): kinds[e] = arriving[node][input]
                }
                let before = arriving[edge.to][edge.input]
                let after = Self.join(before, kinds[e])
                arriving[edge.to][edge.input] = after
                var changed = before != after
                if !spec.nodes[edge.to].isWire {
                    let add: Set<Int> = element.flowCapacity != nil ? [node] : tables[node]
                    for table in add.sorted() where tables[edge.to].count < Self.tablesKept {
                        if tables[edge.to].insert(table).inserted { changed = true }
                    }
                }
                if changed, !isWaiting[edge.to] {
                    isWaiting[edge.to] = true
                    waiting.append(edge.to)
                }
            }
        }
        self.kinds = kinds
        nearestTables = tables
    }

    /// Whether an edge is part of a cycle.
    public func isRound(_ edge: GraphSpec.Edge) -> Bool { cycle[edge.from] >= 0 && cycle[edge.from] == cycle[edge.to] }

    /// Numbers the strongly connected components that contain an edge. A wire's input and output are separate, so no cycle
    /// leads through a wire.
    private static func findCycles(_ spec: GraphSpec, _ order: [Int]) -> ([Int], Int, [Int]) {
        let n = spec.nodes.count
        // Kosaraju: in reverse order of finishing, whatever reaches a node against the edges and has no component yet is in
        // that node's component.
        var into: [[Int]] = Array(repeating: [], count: n)
        for edge in spec.edges where !spec.nodes[edge.from].isWire && !spec.nodes[edge.to].isWire {
            into[edge.to].append(edge.from)
        }
        var component = Array(repeating: -1, count: n)
        var sizes: [Int] = []
        for start in order where component[start] < 0 {
            component[start] = sizes.count
            var size = 0
            var stack = [start]
            while let node = stack.popLast() {
                size += 1
                for before in into[node] where component[before] < 0 {
                    component[before] = sizes.count
                    stack.append(before)
                }
            }
            sizes.append(size)
        }
        var numbers = sizes.map { $0 > 1 ? 0 : -1 }
        for edge in spec.edges where edge.from == edge.to && !spec.nodes[edge.from].isWire {
            numbers[component[edge.from]] = 0
        }
        var count = 0
        for k in numbers.indices where numbers[k] == 0 {
            numbers[k] = count
            count += 1
        }
        return (component.map { numbers[$0] }, count, component)
    }

    /// The kind of an input where two kinds arrive: streams mixed with packets are packets; otherwise the first stays, and the
    /// checker rejects the mixture where it matters.
    private static func join(_ a: Kind?, _ b: Kind?) -> Kind? {
        a == .stream && b == .packet ? .packet : a ?? b
    }

    /// The flow table whose flows the items of `node` carry; nil if there is none or it differs between paths.
    public func table(of node: Int) -> Int? {
        guard nearestTables[node].count == 1, let only = nearestTables[node].first, only >= 0 else { return nil }
        return only
    }
}
