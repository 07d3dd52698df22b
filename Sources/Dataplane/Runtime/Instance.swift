// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A graph ready to run once: its elements, its edges as queues, its pool and its counters.
///
/// Both runtimes work on an instance; they differ in when they hand which items to which element.
public final class Instance {
    /// The graph this was made from.
    public let spec: GraphSpec
    /// Order, cycles and kinds, computed once.
    public let shape: GraphShape
    /// The items of the run.
    public let pool: Pool
    /// The elements, by node number.
    public let elements: [ElementBase]
    /// Bindings of the wires, by node number.
    public let bindings: [Int: WireBinding]
    /// The layouts of records and commands that the elements registered.
    public let layouts: LayoutTable

    let nodes: UnsafeMutablePointer<NodeState>
    let run: UnsafeMutablePointer<RunState>
    /// Borrowed references for calls without reference counting; `elements` keeps the objects.
    let borrowed: UnsafeMutablePointer<Unmanaged<ElementBase>>
    /// Unconnected outputs; items emitted there are dropped.
    let unused: UnsafeMutableBufferPointer<Unused>
    let contract: Contract
    /// The distinct shortest timers of its elements.
    private let shortestTimers: UnsafeMutableBufferPointer<ShortestTimer>

    /// An unconnected output.
    struct Unused: BitwiseCopyable {
        var node: Int
        var output: Int
        var queue: UnsafeMutablePointer<EdgeQueue>
    }
    /// For each node the nodes with state for its flows, in topological order.
    let subscribers: [[Int]]
    /// Queues by edge number.
    let queues: [UnsafeMutablePointer<EdgeQueue>]
    private var owned: [UnsafeMutableRawPointer] = []

    /// Options of a run.
    public struct Options: Sendable {
        /// The seed for everything random in the run; nil for one that suits the input: 1 for captures.
        public var seed: UInt64?
        /// The most items that can exist at a time; nil for ``Instance/itemsUnderWay`` plus what all elements may hold.
        public var poolCapacity: Int?
        /// The largest batch handed to an element.
        public var batch = 64
        public init() {}
    }
    /// The options it was made with.
    public let options: Options
    /// The services its elements were made with.
    public let services: any Services

    /// Items for packets under way, and for what elements make from them, besides those that elements hold.
    public static let itemsUnderWay = 16_384
    /// Held items enlarge the pool by at most this; elements that may hold more share it.
    public static let mostItemsHeld = 1 << 21

    /// Makes the elements of `spec`. Throws what their initializers throw, with the element's name. Instances between which records
    /// travel share their `layouts`; among equal ones `share` tells which this is.
    public init(
        _ spec: GraphSpec,
        bindings: [Int: WireBinding],
        services: any Services,
        options: Options = Options(),
        layouts: LayoutTable = LayoutTable(),
        share: (number: Int, of: Int) = (0, 1)
    ) throws {
        self.spec = spec
        self.options = options
        self.services = services
        self.bindings = bindings
        let shape = GraphShape(spec)
        self.shape = shape
        let wanted = spec.nodes.reduce(0) { min($0 + $1.element.heldItems, Instance.mostItemsHeld) }
        let pool = try Pool(capacity: options.poolCapacity ?? Instance.itemsUnderWay + wanted)
        self.pool = pool
        let seed = options.seed ?? 1
        let key = HashKey(seed: seed)
        self.layouts = layouts
        let mayBeHeld = max(pool.capacity / 2, pool.capacity - Instance.itemsUnderWay)
        elements = try spec.nodes.enumerated().map { number, node in
            let flows = shape.table(of: number).flatMap { spec.nodes[$0].element.flowCapacity } ?? 0
            var setup = Setup(
                path: node.name,
                flows: flows,
                items: wanted <= mayBeHeld ? node.element.heldItems : node.element.heldItems * mayBeHeld / wanted,
                seed: seed,
                hashKey: key,
                layouts: layouts,
                services: services
            )
            setup.share = share
            do { return try node.element.make(setup) } catch { throw InstanceError(element: node.name, cause: error) }
        }
        for (number, binding) in bindings { (elements[number] as? Wire)?.destination = binding.destination }
        var shortestTimers: [ShortestTimer] = []
        for timer in spec.nodes.compactMap(\.element.shortestTimer) where !shortestTimers.contains(timer) {
            shortestTimers.append(timer)
        }
        self.shortestTimers = heap(shortestTimers)
        contract = Contract(
            spec.nodes.map { node in
                let timer = node.element.shortestTimer
                return Contract.Party(
                    name: "'\(node.name)' (\(node.type.name))",
                    outputs: node.element.outputs.map(\.name),
                    drops: node.type.drops.map(\.name),
                    firstTimer: timer == nil ? nil : { timer!.first(after: $0) }
                )
            },
            pool
        )

        run = .allocate(capacity: 1)
        run.initialize(to: RunState(ended: .allocate(capacity: 256), endedCapacity: 256))
        let count = spec.nodes.count
        nodes = .allocate(capacity: count)
        borrowed = .allocate(capacity: count)
        var queues: [[UnsafeMutablePointer<EdgeQueue>]] = []
        var owned: [UnsafeMutableRawPointer] = []
        func allocate<T: BitwiseCopyable>(_ count: Int, _ value: T) -> UnsafeMutablePointer<T> {
            let pointer = UnsafeMutablePointer<T>.allocate(capacity: max(1, count))
            pointer.initialize(repeating: value, count: max(1, count))
            owned.append(UnsafeMutableRawPointer(pointer))
            return pointer
        }
        for (number, node) in spec.nodes.enumerated() {
            let outputs = node.element.outputs.count
            let first = UnsafeMutablePointer<EdgeQueue>.allocate(capacity: max(1, outputs))
            owned.append(UnsafeMutableRawPointer(first))
            let connected = allocate(outputs, false)
            let leadsBack = allocate(outputs, false)
            for o in 0..<outputs {
                // Written before it is read, so left uninitialised: memory is touched only as items need it.
                let buffer = UnsafeMutablePointer<Int32>.allocate(capacity: 2 * (pool.capacity + 1))
                owned.append(UnsafeMutableRawPointer(buffer))
                (first + o).initialize(to: EdgeQueue(buffer: buffer))
            }
            queues.append((0..<outputs).map { first + $0 })
            (nodes + number).initialize(
                to: NodeState(
                    outputs: first,
                    connected: connected,
                    drops: allocate(node.type.drops.count + 1 + outputs, UInt64(0)),
                    operations: allocate(Operation.allCases.count, UInt64(0)),
                    timers: allocate(Context.timerCount, Context.unarmed),
                    pool: pool.state,
                    run: run,
                    index: Int32(number),
                    leadsBack: leadsBack,
                    isTable: node.element.flowCapacity != nil,
                    contract: .passUnretained(contract)
                )
            )
            (borrowed + number).initialize(to: Unmanaged.passUnretained(elements[number]))
        }
        for (number, edge) in spec.edges.enumerated() {
            nodes[edge.from].connected[edge.output] = true
            nodes[edge.from].leadsBack[edge.output] = shape.isRound(edge)
            queues[edge.from][edge.output].isBack = shape.isBack[number]
            queues[edge.from][edge.output].edge = Int32(number)
        }
        self.owned = owned
        self.queues = spec.edges.map { queues[$0.from][$0.output] }
        let nodes = nodes
        unused = heap(
            spec.nodes.indices.flatMap { number in
                spec.nodes[number].element.outputs.indices.compactMap { output -> Unused? in
                    if nodes[number].connected[output] { return nil }
                    return Unused(node: number, output: output, queue: queues[number][output])
                }
            }
        )
        subscribers = spec.nodes.indices.map { table in
            spec.nodes[table].element.flowCapacity == nil
                ? []
                : shape.order.filter {
                    $0 != table && spec.nodes[$0].type.stateBytesPerFlow > 0
                        && (spec.nodes[$0].table ?? shape.table(of: $0)) == table
                }
        }
        for table in spec.nodes.indices { nodes[table].tells = !subscribers[table].isEmpty }
    }

    deinit {
        run.pointee.ended.deallocate()
        run.deallocate()
        shortestTimers.deallocate()
        nodes.deallocate()
        borrowed.deallocate()
        unused.deallocate()
        for pointer in owned { pointer.deallocate() }
    }

    /// The context for calls of node `number`.
    func context(_ number: Int) -> Context { Context(items: pool.items, node: nodes + number) }

    /// The end of input: calls `finish` for every element, upstream first. What those of a cycle release may reach them again: they are
    /// finished until they hold nothing, which takes no longer than the hops of an item last.
    public func finishAll(_ finish: (Int) -> Void) {
        shape.order.forEach(finish)
        for _ in 0...DirectRuntime.maximumHops {
            let again = shape.order.filter { shape.cycle[$0] >= 0 && nodes[$0].held > 0 }
            if again.isEmpty { return }
            again.forEach(finish)
        }
    }

    /// The earliest due time of a timer armed for a packet of functional time `time` or later.
    func firstTimer(after time: Int64) -> Int64 {
        var first = Int64.max
        for k in 0..<shortestTimers.count { first = min(first, shortestTimers[k].first(after: time)) }
        return first
    }

    /// Disarms and returns the earliest timer due at or before `time`; updates the next due time.
    func takeTimer(until time: Int64) -> (number: Int, id: Int, due: Int64)? {
        var due = Int64.max
        var which: (number: Int, id: Int)?
        for number in shape.order {
            for id in 0..<Context.timerCount where nodes[number].timers[id] < due {
                due = nodes[number].timers[id]
                which = (number, id)
            }
        }
        run.pointee.nextDue = due
        guard let which, due <= time else { return nil }
        nodes[which.number].timers[which.id] = Context.unarmed
        return (which.number, which.id, due)
    }

    // MARK: Reading the counters

    /// The counters of node `number`.
    public func counts(_ number: Int) -> ElementCounts {
        let node = nodes[number]
        let spec = spec.nodes[number]
        var drops: [(reason: String, count: UInt64)] = []
        let reasons = spec.dropReasons
        for (k, reason) in reasons.enumerated() where node.drops[k] > 0 { drops.append((reason, node.drops[k])) }
        return ElementCounts(
            name: spec.name,
            type: spec.type.name,
            entered: node.entered,
            made: node.made,
            left: spec.element.outputs.indices.reduce(0) { $0 &+ node.outputs[$1].moved },
            used: node.used,
            held: node.held,
            drops: drops,
            operations: Operation.allCases.compactMap { operation in
                let n = node.operations[operation.rawValue]
                return n > 0 ? (operation, n) : nil
            },
            handlers: spec.element.readHandlers(elements[number])
        )
    }

    /// The drop reason of node `number` for items that went round a cycle too often.
    func loopReason(_ number: Int) -> Int { spec.nodes[number].type.drops.count }

    /// Items that exist but are held by no element; if not 0 after a run, an element lost some.
    public var lostItems: Int {
        var held = 0
        for number in spec.nodes.indices { held += Int(nodes[number].held) }
        return pool.capacity - pool.freeCount - held
    }

    /// The counters of all wires.
    public func wireCounts() -> [WireCounts] {
        spec.nodes.indices.filter { spec.nodes[$0].isWire }.map(wireCounts)
    }

    /// The counters of the wire that is node `number`.
    func wireCounts(_ number: Int) -> WireCounts {
        let source = bindings[number]?.source
        let wire = elements[number] as? Wire
        return WireCounts(
            name: spec.nodes[number].name,
            packetsIn: source?.packets ?? 0,
            bytesIn: source?.bytes ?? 0,
            packetsOut: wire?.packets ?? 0,
            bytesOut: wire?.bytes ?? 0
        )
    }

    /// Opens the elements' outputs, before a run.
    public func open() throws {
        for (number, element) in elements.enumerated() {
            do { try element.open() } catch { throw InstanceError(element: spec.nodes[number].name, cause: error) }
        }
    }

    /// Passes on what elements have buffered, in a run that goes on; throws the first error.
    public func sync() throws { try every { try $0.sync() } }

    /// Flushes the buffers of all elements at the end of the run, even if some fail; throws the first error.
    public func flush() throws { try every { try $0.flush() } }

    private func every(_ body: (ElementBase) throws -> Void) throws {
        var first: InstanceError?
        for (number, element) in elements.enumerated() {
            do {
                try body(element)
            } catch  where first == nil {
                first = InstanceError(element: spec.nodes[number].name, cause: error)
            } catch {}
        }
        if let first { throw first }
    }
}

/// `values` copied to memory that is read without reference counting.
func heap<T: BitwiseCopyable>(_ values: [T]) -> UnsafeMutableBufferPointer<T> {
    let buffer = UnsafeMutableBufferPointer<T>.allocate(capacity: values.count)
    _ = buffer.initialize(from: values)
    return buffer
}

/// One element's counters after a run.
public struct ElementCounts: Sendable {
    /// The element's name in the graph.
    public var name: String
    /// The element's type.
    public var type: String
    /// Items that arrived.
    public var entered: UInt64
    /// Items the element made.
    public var made: UInt64
    /// Items that left by an output.
    public var left: UInt64
    /// Items whose life ended here on purpose.
    public var used: UInt64
    /// Items the element still holds.
    public var held: Int64
    /// Items dropped, by reason; reasons that did not occur are left out.
    public var drops: [(reason: String, count: UInt64)]
    /// Operations counted, with their counts.
    public var operations: [(operation: Operation, count: UInt64)]
    /// The element's handler values at the end.
    public var handlers: [(name: String, value: Int)]

    /// These counts and those of an equal element; of some handlers the `greatest` value counts, and all else adds up.
    func adding(_ other: ElementCounts, greatest: Set<String>) -> ElementCounts {
        var sum = self
        sum.entered += other.entered
        sum.made += other.made
        sum.left += other.left
        sum.used += other.used
        sum.held += other.held
        for (reason, count) in other.drops {
            if let k = sum.drops.firstIndex(where: { $0.reason == reason }) {
                sum.drops[k].count += count
            } else {
                sum.drops.append((reason, count))
            }
        }
        for (operation, count) in other.operations {
            if let k = sum.operations.firstIndex(where: { $0.operation == operation }) {
                sum.operations[k].count += count
            } else {
                sum.operations.append((operation, count))
            }
        }
        for k in sum.handlers.indices {
            let (a, b) = (sum.handlers[k].value, other.handlers[k].value)
            sum.handlers[k].value = greatest.contains(sum.handlers[k].name) ? max(a, b) : a + b
        }
        return sum
    }

    public init(
        name: String,
        type: String,
        entered: UInt64,
        made: UInt64,
        left: UInt64,
        used: UInt64,
        held: Int64,
        drops: [(reason: String, count: UInt64)],
        operations: [(operation: Operation, count: UInt64)],
        handlers: [(name: String, value: Int)]
    ) {
        self.name = name
        self.type = type
        self.entered = entered
        self.made = made
        self.left = left
        self.used = used
        self.held = held
        self.drops = drops
        self.operations = operations
        self.handlers = handlers
    }

    /// Items dropped, over all reasons.
    public var dropped: UInt64 { drops.reduce(0) { $0 + $1.count } }
    /// Whether conservation holds: in + made = out + used + dropped + held.
    public var balances: Bool { Int64(entered + made) == Int64(left + used + dropped) + held }
}

/// One wire's counters after a run.
public struct WireCounts: Sendable {
    /// The wire's name in the graph.
    public var name: String
    /// Packets that came in.
    public var packetsIn: UInt64
    /// Bytes of those packets, as on the wire.
    public var bytesIn: UInt64
    /// Packets that went out.
    public var packetsOut: UInt64
    /// Bytes of those, as on the wire.
    public var bytesOut: UInt64

    public init(name: String, packetsIn: UInt64, bytesIn: UInt64, packetsOut: UInt64, bytesOut: UInt64) {
        self.name = name
        self.packetsIn = packetsIn
        self.bytesIn = bytesIn
        self.packetsOut = packetsOut
        self.bytesOut = bytesOut
    }
}

/// An element failed while being made, opened or flushed.
public struct InstanceError: Error, CustomStringConvertible {
    /// The element's name in the graph.
    public var element: String
    /// The error the element threw.
    public var cause: any Error
    public var description: String { "element '\(element)': \((cause as? ParameterError)?.message ?? "\(cause)")" }
}
