// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Calls to the elements of an instance, one at a time: the common part of live runs and recordings.
struct ElementCalls: ~Copyable {
    /// A call without an item.
    enum Call {
        case timer(id: Int, due: Int64)
        case ended(EndedFlow)
        case finish
    }

    let step: StepRuntime
    let children: UnsafeMutablePointer<Child>
    private let emitted: UnsafeMutablePointer<StepRuntime.Emitted>
    private let items: UnsafeMutablePointer<Item>
    /// For each edge its target input, whether it leads back, and whether that is a merge point.
    private let edges: Block<EdgeEnd>
    /// Header bytes of each item of the pool.
    private let headers: Block<UInt16>
    /// The identity of each pool item when it was last held: its place in the order of items shows whether it is still the
    /// same.
    private let held: Block<(sequence: UInt64, made: UInt32)>
    /// The last call held its item.
    private(set) var holds = false
    private var ticks: OperationTicks
    private let key = FlowKey.spreadKey
    private var keys = ArrivalKeys()
    /// Counts of the last call: only operations that occurred.
    let counts = Block(Operation.allCases.count, OperationCount())
    /// For each edge the order of its last item, in this service: later items come no earlier.
    private let lastOrders: Block<(service: UInt64, order: Order)>
    private var service: UInt64 = 0
    /// `step` for calls without reference counting.
    private let borrowed: Unmanaged<StepRuntime>
    private var inlets: Inlets
    private let scratch = Block<Int32>(1, 0)
    private var limit: Int64 = .max
    /// The state of the sources.
    private(set) var next = Poll.ended
    /// Functional time of the next packet; ``Int64/max`` if unknown.
    private(set) var nextTime = Int64.max
    /// When to ask idle sources again, in functional nanoseconds; ``Int64/max`` for never.
    private(set) var idleUntil = Int64.max
    /// A lower bound on the functional due time of the next timer.
    var nextDue: Int64 { borrowed._withUnsafeGuaranteedRef { $0.nextDue } }

    private struct EdgeEnd: BitwiseCopyable {
        var to: Int32 = 0
        var input: Int32 = 0
        var rank: Int32 = 0
        var isBack = false
        var isMerged = false
        /// The cycle it leads into or is part of.
        var cycle: Int32 = -1
        var isRound = false
    }
    /// For each cycle the position of its first element in running order.
    private let firstRank: Block<Int32>

    init(_ instance: Instance) {
        let spec = instance.spec
        step = StepRuntime(instance)
        borrowed = .passUnretained(step)
        emitted = step.emitted
        items = instance.pool.items
        children = .allocate(capacity: instance.pool.capacity + 1)
        headers = Block(instance.pool.capacity + 1, 0)
        held = Block(instance.pool.capacity + 1, (.max, .max))
        ticks = OperationTicks(instance)
        lastOrders = Block(spec.edges.count, (0, Order()))
        firstRank = Block(instance.shape.cycles, 0)
        for (rank, node) in instance.shape.order.enumerated().reversed() where instance.shape.cycle[node] >= 0 {
            firstRank[instance.shape.cycle[node]] = Int32(rank)
        }
        inlets = Inlets(instance)
        edges = Block(spec.edges.count, EdgeEnd())
        for (e, edge) in spec.edges.enumerated() {
            edges[e] = EdgeEnd(
                to: Int32(edge.to),
                input: Int32(edge.input),
                rank: Int32(instance.shape.rank[edge.to]),
                isBack: instance.shape.isBack[e],
                isMerged: spec.edges.count { $0.to == edge.to } > 1,
                cycle: Int32(instance.shape.cycle[edge.to]),
                isRound: instance.shape.isRound(edge)
            )
        }
        look()
    }

    deinit { children.deallocate() }

    /// Polls the sources.
    mutating func look() {
        (next, limit) = inlets.poll()
        nextTime = .max
        idleUntil = .max
        switch next {
        case .ready(let time): nextTime = time
        case .idle(let time): idleUntil = time
        case .ended: break
        }
    }

    /// The next packet, at its wire; nil if no item was free and it was dropped.
    mutating func arrive() -> (item: Int32, wire: Int, key: UInt32, headers: UInt16, isFirst: Bool)? {
        let wire = inlets.wire
        let taken = inlets.take(1, before: limit, into: scratch.base) == 1 ? scratch[0] : nil
        look()
        guard let i = taken else { return nil }
        let facts = keys.take(Packet(items + Int(i)))
        headers[Int(i)] = facts.headers
        return (i, wire, facts.key, facts.headers, facts.isFirst)
    }

    /// Begins a service: the calls from here on belong together, and items of other services have their own order.
    mutating func beginService() { service &+= 1 }

    /// Records the time at which an item leaves.
    func stamp(_ item: Int32, _ time: Int64) { items[Int(item)].time = time }

    /// Functional time at which an item came in.
    func now(_ item: Int32) -> Int64 { step.instance.pool.now(item) }
    func length(of item: Int32) -> UInt32 { items[Int(item)].wireLength }
    func node(at edge: Int32) -> Int32 { edges[Int(edge)].to }

    /// Receives a packet: its children are what leaves the wire.
    mutating func receive(_ i: Int32, at wire: Int) -> Int {
        holds = false
        return collect(borrowed._withUnsafeGuaranteedRef { $0.receive(i, at: wire) }, from: i, round: 0)
    }

    /// Hands an item to the element at the end of its edge.
    mutating func process(_ i: Int32, on edge: Int32, _ order: Order) -> Int {
        let end = edges[Int(edge)]
        let n = borrowed._withUnsafeGuaranteedRef {
            $0.process(
                i,
                at: Int(end.to),
                from: Int(end.input),
                isBack: end.isBack,
                round: Int(truncatingIfNeeded: order.round)
            )
        }
        if n < 0 { return n }
        let item = Packet(items + Int(i))
        holds = item.isHeld
        if holds { held[Int(i)] = (item.sequence, UInt32(item.made)) }
        return n == 0 ? 0 : collect(n, from: i, round: order.round)
    }

    mutating func make(_ call: Call, of node: Int) -> Int {
        holds = false
        switch call {
        case .timer(let id, let due): return collect(step.fire(id, of: node, due: due), from: -1, round: 0)
        case .ended(let flow): return collect(step.tell(node, flow), from: -1, round: 0)
        case .finish: return collect(step.finish(node), from: -1, round: 0)
        }
    }

    /// Moves the counts of node `number` since the last call into `counts`; returns how many operations occurred.
    mutating func takeCounts(_ number: Int) -> Int {
        ticks.take(number) { given, n in
            counts.base.update(from: given, count: n)
            return n
        }
    }

    /// Whether a leaving item is one that its element had held; clears that.
    private func wasHeld(_ i: Int32) -> Bool {
        let item = Packet(items + Int(i))
        let before = held[Int(i)]
        if before.sequence != item.sequence || before.made != UInt32(item.made) { return false }
        held[Int(i)] = (.max, .max)
        return true
    }

    private mutating func collect(_ n: Int, from parent: Int32, round: UInt64) -> Int {
        for k in 0..<n {
            let (i, edge) = (emitted[k].item, emitted[k].edge)
            let end = edges[Int(edge)]
            let item = Packet(items + Int(i))
            let isPacket = item.layout == 0
            let length = isPacket ? max(item.wireLength, item.length) : item.length
            if i != parent {
                headers[Int(i)] = isPacket ? order(item, key).headers : UInt16(clamping: length)
            }
            children[k] = Child(
                ref: i,
                edge: edge,
                length: length,
                headers: headers[Int(i)],
                isSame: i == parent,
                isReleased: i != parent && wasHeld(i),
                order: place(item, edge, end, round)
            )
        }
        return n
    }

    /// The order of a direct run: element by element, in a cycle round by round, and items going round before those that enter;
    /// at merge points, input by input and by origin, on each edge first in, first out.
    private func place(_ item: Packet, _ edge: Int32, _ end: EdgeEnd, _ round: UInt64) -> Order {
        var order = Order()
        if end.cycle >= 0 {
            let isInside: UInt64 = end.isRound ? 0 : 1
            let next = end.isRound ? min(round &+ (end.isBack ? 1 : 0), Order.mostRounds) : 0
            order.a =
                UInt64(firstRank[Int(end.cycle)]) &<< 48 | isInside &<< 47 | next &<< 24
                | UInt64(end.rank) &<< 8 | UInt64(end.input)
        } else {
            order.a = UInt64(end.rank) &<< 48 | UInt64(end.input)
        }
        if !end.isMerged { return order }
        order.b = item.sequence
        order.c = UInt64(item.made) &<< 32
        let last = lastOrders[Int(edge)]
        if last.service == service, last.order.a == order.a {
            if order.b < last.order.b || order.b == last.order.b && order.c < last.order.c { order = last.order }
        }
        lastOrders[Int(edge)] = (service, order)
        order.c |= UInt64(edge)
        return order
    }
}

/// The operations that elements have counted since the last query.
struct OperationTicks: ~Copyable {
    /// The previous counts of each node, by operation.
    private let counted: Block<UInt64>
    private let counts = Block(Operation.allCases.count, OperationCount())
    private let width = Operation.allCases.count
    private let tally: OperationTally

    init(_ instance: Instance) {
        tally = OperationTally(instance)
        counted = Block(instance.spec.nodes.count * Operation.allCases.count, 0)
        // Discard earlier counts.
        for number in instance.spec.nodes.indices { take(number) { _, _ in } }
    }

    /// Passes `body` the counts of node `number` since the last call: only operations that occurred.
    mutating func take<R>(_ number: Int, _ body: (UnsafePointer<OperationCount>, Int) -> R) -> R {
        var touched = tally.takeTouched(number)
        let now = tally.operations(number)
        let before = counted.base + number &* width
        var n = 0
        while touched != 0 {
            let operation = touched.trailingZeroBitCount
            touched &= touched &- 1
            if now[operation] == before[operation] { continue }
            counts[n] = OperationCount(operation: Int32(operation), count: now[operation] &- before[operation])
            before[operation] = now[operation]
            n &+= 1
        }
        return body(counts.base, n)
    }
}
