// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// What follows from a graph and a placement alone: which edges cross, what must cross there, and at which elements
/// items of a flow may have to wait for older ones that take a longer way.
struct Routes {
    /// How much of an item is on the host; on the NIC there is always all of it.
    enum Level: UInt8, Comparable {
        /// A descriptor; the bytes are parked on the NIC.
        case descriptor
        case headers
        case whole

        static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }

        init(_ reads: Reads) {
            switch reads {
            case .arrival: self = .descriptor
            case .headers: self = .headers
            case .payload: self = .whole
            }
        }
    }

    let sides: [Side]
    /// No element is on the NIC: it is a plain one, and its own firmware moves the packets.
    let isPlain: Bool
    /// For each edge whether its ends are on different sides.
    let crosses: [Bool]
    /// For each edge how much of an item the far side reads before the item crosses again.
    let needs: [Level]
    /// For each node how much of the packets that come to it is on its side; of one that it has held that much still is.
    let arriving: [Level]
    /// The elements at which items may have to wait: their numbers among these; -1 for all others.
    let contest: [Int]
    /// How many elements that are.
    let contests: Int
    /// For each node the contested elements that an item can reach after it, as a set of classes: class `2k` is
    /// contested element `k` reached without a back edge, class `2k + 1` reached at all. Nothing follows the input of a
    /// wire.
    let after: [UInt64]
    /// For each node what an item can reach that comes out of it from outside.
    let entering: [UInt64]

    /// As many contested elements have classes of their own in a set of 64.
    static let maximum = 32

    /// Where the payload of packets can be parked on the NIC, what the host does not read does not cross.
    init(
        _ spec: GraphSpec,
        _ shape: GraphShape,
        _ sides: [Side],
        _ profile: PlainProfile
    ) throws(ModelError) {
        self.sides = sides
        let isPlain = zip(spec.nodes, sides).allSatisfy { $0.isWire || $1 == .host }
        self.isPlain = isPlain
        let parks = profile.parking != nil && (!isPlain || profile.splitsHeaders)
        let edges = spec.edges
        crosses = edges.map { sides[$0.from] != sides[$0.to] }

        var out: [[Int]] = Array(repeating: [], count: spec.nodes.count)
        for (e, edge) in edges.enumerated() { out[edge.from].append(e) }
        func isPacket(_ edge: Int) -> Bool { shape.kinds[edge] == .packet || shape.kinds[edge] == .stream }
        needs = edges.indices.map { first in
            // Records and commands are made to be moved, and are small.
            if !isPacket(first) || !parks && sides[edges[first].to] == .host { return .whole }
            var level = Level.descriptor
            var seen: Set<Int> = []
            var stack = [first]
            while let e = stack.popLast() {
                let edge = edges[e]
                level = max(level, Level(spec.nodes[edge.to].element.inputs[edge.input].reads))
                if spec.nodes[edge.to].isWire { continue }
                // What an element makes of packets, such as records, is made there: only the packets themselves are followed.
                for next in out[edge.to]
                where isPacket(next) && sides[edges[next].to] == sides[edge.to] && seen.insert(next).inserted {
                    stack.append(next)
                }
            }
            return level
        }

        var arriving: [Level] = spec.nodes.indices.map { sides[$0] == .host ? .descriptor : .whole }
        var changed = true
        while changed {
            changed = false
            for (e, edge) in edges.enumerated() where sides[edge.to] == .host {
                let level = !isPacket(e) ? .whole : crosses[e] ? needs[e] : arriving[edge.from]
                if level > arriving[edge.to] {
                    arriving[edge.to] = level
                    changed = true
                }
            }
        }
        self.arriving = arriving

        contest = Routes.findContests(spec, shape, sides)
        contests = (contest.max() ?? -1) + 1
        guard contests <= Routes.maximum else { throw .tooManyJunctions(contests) }
        entering = Routes.reach(spec, shape, contest)
        after = zip(spec.nodes, entering).map { $0.isWire ? 0 : $1 }
    }

    /// All items that have crossed equally often, from the same beginning, travel through the same queues, and those
    /// keep a flow in order. So order can be lost only where items of different such stages meet.
    private static func findContests(_ spec: GraphSpec, _ shape: GraphShape, _ sides: [Side]) -> [Int] {
        let edges = spec.edges
        let count = spec.nodes.count
        var incoming = Array(repeating: 0, count: count)
        for edge in edges { incoming[edge.to] += 1 }
        // Stage 0 is outside; the others are named by how they come about.
        enum Birth: Hashable {
            case crossing(Int)
            case contest(Int)
        }
        var names: [Birth: Int] = [:]
        func stage(_ birth: Birth) -> Int {
            if let known = names[birth] { return known }
            // In a cycle of crossings stages would go on for ever; the last one stands for the rest.
            let fresh = min(names.count + 1, 4 * count + 4)
            names[birth] = fresh
            return fresh
        }
        var stages: [Set<Int>] = Array(repeating: [], count: count)
        var contested = Array(repeating: false, count: count)
        var changed = true
        while changed {
            changed = false
            for (e, edge) in edges.enumerated() {
                let from = edge.from
                // A wire's input is not connected to its output.
                let leaving: Set<Int> =
                    spec.nodes[from].isWire ? [0] : contested[from] ? [stage(.contest(from))] : stages[from]
                let arriving = sides[from] == sides[edge.to] ? leaving : Set(leaving.map { stage(.crossing($0)) })
                // An element without input, or before the items reach it, has no stages; timers may still emit there.
                let new = arriving.subtracting(stages[edges[e].to])
                if new.isEmpty { continue }
                stages[edge.to].formUnion(new)
                if stages[edge.to].count > 1, incoming[edge.to] > 1 { contested[edge.to] = true }
                changed = true
            }
        }
        var number = 0
        return contested.map { isContested in
            guard isContested else { return -1 }
            defer { number += 1 }
            return number
        }
    }

    private static func reach(_ spec: GraphSpec, _ shape: GraphShape, _ contest: [Int]) -> [UInt64] {
        var after = Array(repeating: UInt64(0), count: spec.nodes.count)
        var changed = true
        while changed {
            changed = false
            for (e, edge) in spec.edges.enumerated() {
                var classes = spec.nodes[edge.to].isWire ? 0 : after[edge.to]
                if shape.isBack[e] { classes &= 0xaaaa_aaaa_aaaa_aaaa }
                if contest[edge.to] >= 0 { classes |= Routes.classes(contest[edge.to], isBack: shape.isBack[e]) }
                if classes & ~after[edge.from] != 0 {
                    after[edge.from] |= classes
                    changed = true
                }
            }
        }
        return after
    }

    static func classes(_ contest: Int, isBack: Bool) -> UInt64 {
        (isBack ? 2 : 3) << (2 * UInt64(contest))
    }

    /// The classes of an item that is on its way to `node`.
    func approaching(_ node: Int) -> UInt64 {
        contest[node] >= 0 ? after[node] | Routes.classes(contest[node], isBack: false) : after[node]
    }
}
