// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// What follows from a graph and a placement alone: which edges cross, what must cross there, and at which inputs items of a
/// flow may have to wait for older ones on a longer path.
struct Routes {
    /// How much of an item is on the host; the NIC always has all of it.
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
    /// For each edge whether a slow path begins there: it leaves the side of the cycle's first element.
    let isSlow: [Bool]
    /// For each edge whether commands cross there by the control path; and whether that is a separate path.
    let isControl: [Bool]
    let isOutOfBand: Bool
    /// For each edge how much of an item the far side reads before the item crosses again.
    let needs: [Level]
    /// For each node how much of an arriving packet is on its side; the same remains of one that it has held.
    let arriving: [Level]
    /// The merge points: inputs at which items of a flow may have to wait, for those on a longer path or for a marker.
    let merges: [MergePoint]
    /// For each edge its merge point; -1 if it leads to none.
    let merge: [Int]
    /// For each node the merge points that an item can reach after it, as a set of classes: class `2k` is merge point `k`
    /// reached without a back edge, class `2k + 1` reached at all. Nothing follows the input of a wire.
    let after: [UInt64]
    /// For each node what an item that it emits can reach, if it comes from outside.
    let entering: [UInt64]
    /// For each node the route of its markers; nil if it need not send any.
    let markers: [MarkerRoute?]
    /// Packets can go round a cycle that crosses the channel: what they find there depends on when they return.
    let hasSlowPath: Bool

    /// An input of an element where items are put in order.
    struct MergePoint: Hashable {
        var node: Int
        var input: Int
    }

    /// The route of a marker: behind the last packet on the slow path, across the channel and back.
    struct MarkerRoute {
        /// The first element that it reaches on the far side.
        var far: Int
        /// The merge points where packets enter; those that must wait for a marker wait there.
        var waits: [Int]
        /// The merge points where packets return from the slow path: the marker comes after everything that can still arrive
        /// there.
        var returns: [Int]
        /// The elements of the slow path.
        var reached: Set<Int>
    }

    /// The most merge points whose classes fit in a set of 64.
    static let maximum = 32

    /// If the payload of packets can be parked on the NIC, what the host does not read does not cross.
    init(
        _ spec: GraphSpec,
        _ shape: GraphShape,
        _ sides: [Side],
        _ profile: DeviceProfile
    ) throws(ModelError) {
        let plain = profile.plain
        self.sides = sides
        let isPlain = zip(spec.nodes, sides).allSatisfy { $0.isWire || $1 == .host }
        self.isPlain = isPlain
        let parks = plain.parking != nil && (!isPlain || plain.splitsHeaders)
        let edges = spec.edges
        let crosses = edges.map { sides[$0.from] != sides[$0.to] }
        self.crosses = crosses

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
                // What an element makes from packets, such as records, is made there: only the packets themselves are followed.
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

        let crossing = Set(
            edges.indices.filter { crosses[$0] && shape.isRound(edges[$0]) }.map { shape.cycle[edges[$0].from] }
        )
        hasSlowPath = !crossing.isEmpty
        isSlow = edges.indices.map { e in
            guard crosses[e], shape.isRound(edges[e]) else { return false }
            let first = shape.order.first { shape.cycle[$0] == shape.cycle[edges[e].from] }
            return first.map { sides[$0] == sides[edges[e].from] } ?? false
        }
        let slow = spec.nodes.indices.map { Routes.slowPath(of: $0, spec, shape, sides) }
        let control = profile.channel.control
        let isOutOfBand = control.map { !$0.isInBand } ?? false
        self.isOutOfBand = isOutOfBand
        let isControl = edges.indices.map { e in
            control != nil && crosses[e] && shape.kinds[e].isCommand
        }
        self.isControl = isControl
        var points = Routes.findMerges(spec, sides) { isOutOfBand && isControl[$0] }
        for edge in edges where slow[edge.to] != nil {
            let point = MergePoint(node: edge.to, input: edge.input)
            if !points.contains(point) { points.append(point) }
        }
        guard points.count <= Routes.maximum else { throw .tooManyMergePoints(points.count) }
        merges = points
        let merge = edges.map { edge in
            points.firstIndex { $0.node == edge.to && $0.input == edge.input } ?? -1
        }
        self.merge = merge
        entering = Routes.reach(spec, shape, merge)
        let after = zip(spec.nodes, entering).map { $0.isWire ? 0 : $1 }
        self.after = after
        approaching = edges.indices.map { e in
            (shape.kinds[e].isCommand ? 0 : after[edges[e].to]) | (merge[e] >= 0 ? Routes.classes(merge[e]) : 0)
        }
        markers = spec.nodes.indices.map { node in
            guard let (far, back, reached) = slow[node] else { return nil }
            let entering = Set(edges.indices.filter { edges[$0].to == node && !back.contains($0) }.map { merge[$0] })
            let returning = Set(back.map { merge[$0] }).subtracting(entering)
            return MarkerRoute(far: far, waits: entering.sorted(), returns: returning.sorted(), reached: reached)
        }
    }

    /// The slow path of a table: what packets can reach from the output by which they miss, without passing the table again.
    /// Gives its first element on the other side, the edges by which packets come back, and all its elements; nil where it does not
    /// cross.
    private static func slowPath(
        of node: Int,
        _ spec: GraphSpec,
        _ shape: GraphShape,
        _ sides: [Side]
    ) -> (far: Int, back: Set<Int>, reached: Set<Int>)? {
        guard let output = spec.nodes[node].type.slowOutput else { return nil }
        var reached: Set<Int> = []
        var back: Set<Int> = []
        var stack = spec.edges.indices.filter { spec.edges[$0].from == node && spec.edges[$0].output == output }
        while let e = stack.popLast() {
            let to = spec.edges[e].to
            if to == node {
                back.insert(e)
            } else if !spec.nodes[to].isWire, reached.insert(to).inserted {
                stack += spec.edges.indices.filter { spec.edges[$0].from == to }
            }
        }
        guard !back.isEmpty, let far = shape.order.first(where: { reached.contains($0) && sides[$0] != sides[node] })
        else { return nil }
        return (far, back, reached)
    }

    /// All items that have crossed equally often, from the same beginning, travel through the same queues, and those keep a
    /// flow in order. So order can be lost only where items of different such stages meet at one input: items arriving on
    /// different inputs are not ordered against each other.
    private static func findMerges(_ spec: GraphSpec, _ sides: [Side], isControl: (Int) -> Bool) -> [MergePoint] {
        let edges = spec.edges
        let count = spec.nodes.count
        // Stage 0 is outside; the others are identified by their origin.
        enum Birth: Hashable {
            case crossing(Int)
            case control(Int)
            case merge(MergePoint)
        }
        var names: [Birth: Int] = [:]
        func stage(_ birth: Birth) -> Int {
            if let known = names[birth] { return known }
            // In a cycle of crossings stages would never end; the last one stands for the rest.
            let fresh = min(names.count + 1, 4 * count + 4)
            names[birth] = fresh
            return fresh
        }
        let inputs = edges.map { MergePoint(node: $0.to, input: $0.input) }
        var incoming: [MergePoint: Int] = [:]
        for input in inputs { incoming[input, default: 0] += 1 }
        var stages: [MergePoint: Set<Int>] = [:]
        var merges: [MergePoint] = []
        var changed = true
        while changed {
            changed = false
            for (e, edge) in edges.enumerated() {
                // A wire's input is not connected to its output. An element without input, or before items reach it, has no
                // stages; timers may still release items there.
                let leaving: Set<Int> =
                    spec.nodes[edge.from].isWire
                    ? [0]
                    : stages.filter { $0.key.node == edge.from }.reduce(into: []) {
                        $0.formUnion(merges.contains($1.key) ? [stage(.merge($1.key))] : $1.value)
                    }
                let arriving =
                    sides[edge.from] == sides[edge.to]
                    ? leaving : Set(leaving.map { stage(isControl(e) ? .control($0) : .crossing($0)) })
                let new = arriving.subtracting(stages[inputs[e]] ?? [])
                if new.isEmpty { continue }
                stages[inputs[e], default: []].formUnion(new)
                if stages[inputs[e]]!.count > 1, incoming[inputs[e]]! > 1, !merges.contains(inputs[e]) {
                    merges.append(inputs[e])
                }
                changed = true
            }
        }
        return merges.sorted { ($0.node, $0.input) < ($1.node, $1.input) }
    }

    private static func reach(_ spec: GraphSpec, _ shape: GraphShape, _ merge: [Int]) -> [UInt64] {
        var after = Array(repeating: UInt64(0), count: spec.nodes.count)
        var changed = true
        while changed {
            changed = false
            for (e, edge) in spec.edges.enumerated() {
                var classes = spec.nodes[edge.to].isWire || shape.kinds[e].isCommand ? 0 : after[edge.to]
                if shape.isBack[e] { classes &= 0xaaaa_aaaa_aaaa_aaaa }
                if merge[e] >= 0 { classes |= Routes.classes(merge[e], isBack: shape.isBack[e]) }
                if classes & ~after[edge.from] != 0 {
                    after[edge.from] |= classes
                    changed = true
                }
            }
        }
        return after
    }

    static func classes(_ merge: Int, isBack: Bool = false) -> UInt64 {
        (isBack ? 2 : 3) << (2 * UInt64(merge))
    }

    /// For each edge the classes of an item on it. Commands are kept in order at merge points; nothing waits for their effects.
    let approaching: [UInt64]
}

extension Kind? {
    fileprivate var isCommand: Bool { if case .command = self { true } else { false } }
}
