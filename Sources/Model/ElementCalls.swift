// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The elements of an instance, called one at a time: what a live run and a recording have in common.
struct ElementCalls: ~Copyable {
    /// A call that is not an item.
    enum Call {
        case timer(id: Int, due: Int64)
        case ended(EndedFlow)
        case finish
    }

    let step: StepRuntime
    let children: UnsafeMutablePointer<Child>
    private let emitted: UnsafeMutablePointer<StepRuntime.Emitted>
    private let items: UnsafeMutablePointer<Item>
    /// For each edge the input it leads to, whether it leads back, and whether others lead there too.
    private let edges: Block<EdgeEnd>
    /// Bytes of headers of each item of the pool.
    private let headers: Block<UInt16>
    /// What each item of the pool was when it was held last: its place in the order of items tells whether it still is that.
    private let held: Block<(sequence: UInt64, made: UInt32)>
    /// The last call held the item that it was handed.
    private(set) var holds = false
    /// What each node had counted before the last call, by operation.
    private let counted: Block<UInt64>
    private let operations = Operation.allCases.count
    /// For each node what it has counted so far.
    private let totals: Block<UnsafePointer<UInt64>>
    private let key = HashKey(seed: 0)
    /// What the last call counted: only operations that occurred.
    let counts = Block(Operation.allCases.count, OperationCount())
    /// `step` for calls without reference counting.
    private let borrowed: Unmanaged<StepRuntime>
    /// The wires with a source, and their sources, which the instance keeps.
    private let wires: Block<(number: Int, source: Unmanaged<PacketSource>)>
    private let wireCount: Int
    private var sequence: UInt64 = 0

    /// Functional time of the next packet; ``Int64/max`` at the end.
    private(set) var nextTime: Int64 = .max
    private var nextWire = -1
    private var limit: Int64 = .max

    private struct EdgeEnd: BitwiseCopyable {
        var to: Int32 = 0
        var input: Int32 = 0
        var rank: Int32 = 0
        var isBack = false
        var isMerged = false
    }

    init(_ instance: Instance) {
        let spec = instance.spec
        step = StepRuntime(instance)
        borrowed = .passUnretained(step)
        emitted = step.emitted
        items = instance.pool.items
        children = .allocate(capacity: instance.pool.capacity)
        headers = Block(instance.pool.capacity, 0)
        held = Block(instance.pool.capacity, (.max, .max))
        counted = Block(spec.nodes.count * Operation.allCases.count, 0)
        edges = Block(spec.edges.count, EdgeEnd())
        for (e, edge) in spec.edges.enumerated() {
            edges[e] = EdgeEnd(
                to: Int32(edge.to),
                input: Int32(edge.input),
                rank: Int32(instance.shape.rank[edge.to]),
                isBack: instance.shape.isBack[e],
                isMerged: spec.edges.count { $0.to == edge.to && $0.input == edge.input } > 1
            )
        }
        totals = Block(spec.nodes.count, step.operations(0))
        for number in spec.nodes.indices { totals[number] = step.operations(number) }
        let bound = spec.nodes.indices.compactMap { number in
            instance.bindings[number]?.source.map { (number: number, source: Unmanaged.passUnretained($0)) }
        }
        wireCount = bound.count
        wires = Block(bound.count, bound.first ?? (0, Unmanaged.passUnretained(PacketSource())))
        for k in bound.indices { wires[k] = bound[k] }
        look()
    }

    deinit { children.deallocate() }

    /// Finds the wire whose next packet is earliest, and until when it stays that.
    private mutating func look() {
        nextTime = .max
        limit = .max
        for k in 0..<wireCount {
            let next = wires[k].source._withUnsafeGuaranteedRef { $0.nextTime }
            if next < nextTime {
                limit = nextTime
                nextTime = next
                nextWire = k
            } else if next < limit {
                limit = next
            }
        }
        // A tie between two wires must not stop both.
        if limit == nextTime, limit < .max { limit += 1 }
    }

    /// The next packet, at the wire it comes in; nil when the pool is empty.
    mutating func arrive() -> (item: Int32, wire: Int, key: UInt32, headers: UInt16)? {
        let wire = wires[nextWire]
        guard
            let i = borrowed._withUnsafeGuaranteedRef({ $0.take(from: wire.source, before: limit, sequence: sequence) })
        else { return nil }
        sequence &+= 1
        look()
        let facts = order(items + Int(i), key)
        headers[Int(i)] = facts.headers
        return (i, wire.number, facts.key, facts.headers)
    }

    func time(of item: Int32) -> Int64 { items[Int(item)].time }
    func length(of item: Int32) -> UInt32 { items[Int(item)].wireLength }
    func node(at edge: Int32) -> Int32 { edges[Int(edge)].to }

    /// Lets a packet in: its children are what leaves the wire.
    mutating func receive(_ i: Int32, at wire: Int) -> Int {
        holds = false
        return collect(borrowed._withUnsafeGuaranteedRef { $0.receive(i, at: wire) }, from: i, round: 0)
    }

    /// Hands an item to the element at the end of the edge it is on.
    mutating func process(_ i: Int32, on edge: Int32, _ order: Order) -> Int {
        let end = edges[Int(edge)]
        let n = borrowed._withUnsafeGuaranteedRef {
            $0.process(i, at: Int(end.to), from: Int(end.input), isBack: end.isBack)
        }
        let item = items + Int(i)
        holds = item.pointee.flags.contains(.held)
        if holds { held[Int(i)] = (item.pointee.sequence, UInt32(item.pointee.made)) }
        return n == 0 ? 0 : collect(n, from: i, round: order.a &>> 40)
    }

    mutating func make(_ call: Call, of node: Int) -> Int {
        holds = false
        switch call {
        case .timer(let id, let due): return collect(step.fire(id, of: node, due: due), from: -1, round: 0)
        case .ended(let flow): return collect(step.tell(node, flow), from: -1, round: 0)
        case .finish: return collect(step.finish(node), from: -1, round: 0)
        }
    }

    /// Puts what node `number` counted since it was last asked into `counts`; gives how many operations occurred.
    mutating func takeCounts(_ number: Int) -> Int {
        var touched = borrowed._withUnsafeGuaranteedRef { $0.takeTouched(number) }
        let now = totals[number]
        let before = counted.base + number &* operations
        var n = 0
        while touched != 0 {
            let operation = touched.trailingZeroBitCount
            touched &= touched &- 1
            if now[operation] == before[operation] { continue }
            counts[n] = OperationCount(operation: Int32(operation), count: now[operation] &- before[operation])
            before[operation] = now[operation]
            n &+= 1
        }
        return n
    }

    /// Whether an item that leaves is one that its element had held; it is not any more.
    private func wasHeld(_ i: Int32) -> Bool {
        let item = items + Int(i)
        let before = held[Int(i)]
        if before.sequence != item.pointee.sequence || before.made != UInt32(item.pointee.made) { return false }
        held[Int(i)] = (.max, .max)
        return true
    }

    private mutating func collect(_ n: Int, from parent: Int32, round: UInt64) -> Int {
        for k in 0..<n {
            let (i, edge) = (emitted[k].item, emitted[k].edge)
            let end = edges[Int(edge)]
            let item = items + Int(i)
            let isPacket = item.pointee.layout == 0
            let length = isPacket ? max(item.pointee.wireLength, item.pointee.length) : item.pointee.length
            if i != parent {
                headers[Int(i)] = isPacket ? order(item, key).headers : UInt16(clamping: length)
            }
            // As a direct run: round by round, in the order of elements and inputs; where edges merge, by origin.
            let a = (round &+ (end.isBack ? 1 : 0)) &<< 40 | UInt64(end.rank) &<< 16 | UInt64(end.input)
            children[k] = Child(
                ref: i,
                edge: edge,
                length: length,
                headers: headers[Int(i)],
                isSame: i == parent,
                isReleased: i != parent && wasHeld(i),
                order: end.isMerged
                    ? Order(a: a, b: item.pointee.sequence, c: UInt64(item.pointee.made) &<< 32 | UInt64(edge))
                    : Order(a: a)
            )
        }
        return n
    }
}
