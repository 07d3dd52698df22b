// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Runs an instance one call at a time: the driver decides which item meets which element when.
///
/// The timed runtime is built on it. Every call leaves the items it released in ``emitted``; the driver must hand each of them
/// on with ``process(_:at:from:isBack:)`` or drop it with ``drop(_:)``. The instance's counters are kept as in
/// ``DirectRuntime``, so conservation is checked in the same way.
public final class StepRuntime {
    /// An item that left an element, and the edge it left on.
    @frozen
    public struct Emitted: BitwiseCopyable, Sendable {
        /// The item's index in the pool.
        public var item: Int32
        /// The number of the edge.
        public var edge: Int32

        @inlinable @inline(__always)
        public init(item: Int32, edge: Int32) {
            self.item = item
            self.edge = edge
        }
    }

    /// The graph being run. Its counters can be read at any time.
    public let instance: Instance
    // Read by pointer: the driver asks often.
    private let nodes: UnsafeMutablePointer<NodeState>
    private let borrowed: UnsafeMutablePointer<Unmanaged<ElementBase>>
    private let items: UnsafeMutablePointer<Item>
    @usableFromInline let runState: UnsafeMutablePointer<RunState>
    /// The packet that entered last; what timers and the end of the input cause comes after it.
    private var arrived = Origin()
    /// The items released by the last call, by output, then in order of emission. Valid until the next call.
    public let emitted: UnsafeMutablePointer<Emitted>
    private let scratch: UnsafeMutablePointer<Int32>
    /// For each node, where its outputs begin in `edges`.
    private let firstOutput: UnsafeMutablePointer<Int32>
    /// The edge of each output of each node; -1 if not connected.
    private let edges: UnsafeMutablePointer<Int32>
    private let loopReasons: UnsafeMutablePointer<Int>

    /// State shared by all elements of the run.
    @inlinable
    var shared: RunState {
        @inline(__always) unsafeAddress { UnsafePointer(runState) }
        @inline(__always) unsafeMutableAddress { runState }
    }

    /// Makes a runtime for `instance`, which can be run once.
    public init(_ instance: Instance) {
        self.instance = instance
        nodes = instance.nodes
        borrowed = instance.borrowed
        items = instance.pool.items
        runState = instance.run
        instance.contract.begin(isOrdered: false)
        let spec = instance.spec
        let outputs = spec.nodes.reduce(0) { $0 + $1.element.outputs.count }
        emitted = .allocate(capacity: instance.pool.capacity + 1)
        scratch = .allocate(capacity: 1)
        firstOutput = .allocate(capacity: spec.nodes.count + 1)
        edges = .allocate(capacity: max(1, outputs))
        edges.initialize(repeating: -1, count: max(1, outputs))
        loopReasons = .allocate(capacity: spec.nodes.count + 1)
        var next = 0
        for (number, node) in spec.nodes.enumerated() {
            firstOutput[number] = Int32(next)
            loopReasons[number] = instance.loopReason(number)
            next += node.element.outputs.count
        }
        firstOutput[spec.nodes.count] = Int32(next)
        for (number, edge) in spec.edges.enumerated() {
            edges[Int(firstOutput[edge.from]) + edge.output] = Int32(number)
        }
    }

    deinit {
        emitted.deallocate()
        scratch.deallocate()
        firstOutput.deallocate()
        edges.deallocate()
        loopReasons.deallocate()
    }

    // MARK: Calls; each returns the number of items in `emitted`

    /// Emits item `i`, taken from a source, by the wire's output `rx`.
    public func receive(_ i: Int32, at wire: Int) -> Int {
        let node = nodes + wire
        node.made &+= 1
        assert(instance.contract.arrived(i))
        arrived = origin(of: i)
        // As in a direct run, what the end of the input causes has the time reached, not a packet's stamp.
        arrived.time = arrived.now
        let queue = node.outputs
        queue.buffer[queue.tail] = i
        queue.tail &+= 1
        return collect(wire)
    }

    /// Hands item `i` to an element; items made without a parent inherit its origin. An item that has crossed too many back
    /// edges, or is part of a conversation of too many rounds, is dropped as in a direct run. Returns -1 if the element left
    /// the item where it was: it waits for the marker of ``takeAwaited()``.
    public func process(_ i: Int32, at number: Int, from input: Int, isBack: Bool, round: Int) -> Int {
        let node = nodes + number
        node.entered &+= 1
        let item = Packet(items + Int(i))
        shared.origin = origin(of: i)
        if isBack {
            item.hops &+= 1
            if item.hops > DirectRuntime.maximumHops || round >= DirectRuntime.maximumRounds {
                assert(instance.contract.lost(i))
                node.drops[loopReasons[number]] &+= 1
                node.release(i)
                return 0
            }
        }
        scratch[0] = i
        let batch = Batch(items: items, index: UnsafePointer(scratch), count: 1)
        let context = Context(items: items, node: node)
        assert(instance.contract.handed(batch, to: Int32(number)))
        assert(instance.contract.processes(true))
        borrowed[number]._withUnsafeGuaranteedRef { $0.process(batch, from: input, context) }
        assert(instance.contract.processes(false))
        let refused = node.refused
        assert(instance.contract.returned(batch, refused: refused, from: Int32(number)))
        node.mustWait = false
        if refused > 0 {
            node.refused = 0
            node.entered &-= 1
            if isBack { item.hops &-= 1 }
            return -1
        }
        return collect(number)
    }

    /// Tells element `number` that items it sends round its cycle travel while others come in, so it must send markers.
    public func split(_ number: Int) { nodes[number].isSplit = true }

    /// The marker sent by the last call, if any.
    public func takeMarker() -> FlowRef? {
        if shared.marker == nil { return nil }
        defer { shared.marker = nil }
        return shared.marker
    }

    /// The flow whose marker the item of the last call waits for, if that returned -1.
    public func takeAwaited() -> FlowRef? {
        defer { shared.awaited = nil }
        return shared.awaited
    }

    /// Tells element `number` that the marker it sent behind a flow has returned.
    public func returnMarker(of flow: FlowRef, to number: Int) {
        shared.origin = arrived
        call(number) { $0.markerReturned(flow, $1) }
    }

    /// Fires timer `id`, which was due at `due`.
    public func fire(_ id: Int, of number: Int, due: Int64) -> Int {
        shared.origin = arrived
        shared.origin.time = due
        shared.origin.now = due
        call(number) { $0.timer(id, due: due, $1) }
        return collect(number)
    }

    /// Tells one element that a flow has ended. Tell its table last: then all others know, and the slot may be reused.
    public func tell(_ number: Int, _ ended: EndedFlow) -> Int {
        let origin = shared.origin
        shared.origin = ended.origin
        if number == Int(ended.table) {
            call(number) { $0.flowReleased(ended.flow, $1) }
        } else {
            call(number) { $0.flowEnded(ended.flow, ended.reason, $1) }
        }
        shared.origin = origin
        return collect(number)
    }

    /// Tells one element that the input has ended.
    public func finish(_ number: Int) -> Int {
        shared.origin = arrived
        call(number) { $0.finish($1) }
        return collect(number)
    }

    private func call(_ number: Int, _ body: (ElementBase, Context) -> Void) {
        assert(instance.contract.called(Int32(number)))
        shared.children = 0
        body(instance.elements[number], instance.context(number))
        assert(instance.contract.returned(nil, refused: 0, from: Int32(number)))
        nodes[number].mustWait = false
    }

    /// The origin that a handed-over item passes on.
    private func origin(of i: Int32) -> Origin {
        let item = Packet(items + Int(i))
        let turn = Turn.of(item, instance.pool.turns + Int(i))
        return Origin(time: item.time, sequence: item.sequence, turn: turn.number, now: turn.now)
    }

    /// Drops an item between two elements. No element counts it: the driver must.
    public func drop(_ i: Int32) {
        assert(instance.contract.lost(i))
        instance.pool.state.pointee.release(i)
    }

    // MARK: Requests of elements to the runtime

    /// Takes the flows whose end was announced; the driver must tell the subscribers of their tables, then the table.
    public func takeEndedFlows(_ body: (EndedFlow) -> Void) {
        if shared.endedCount == 0 { return }
        for k in 0..<shared.endedCount { body(shared.ended[k]) }
        shared.endedCount = 0
    }

    /// Whether announced ends of flows have not been taken yet.
    @inlinable
    public var hasEndedFlows: Bool { shared.endedCount > 0 }

    /// The elements to tell, in order, when a flow of `table` ends: those with state for it, then the table.
    public func told(by table: Int) -> [Int] { instance.subscribers[table] + [table] }

    /// A lower bound on the functional time, in nanoseconds, at which the next timer is due.
    @inlinable
    public var nextDue: Int64 { shared.nextDue }

    /// Disarms and returns the earliest timer due at or before `time`; updates ``nextDue``.
    public func takeTimer(until time: Int64) -> (number: Int, id: Int, due: Int64)? {
        instance.takeTimer(until: time)
    }

    // MARK: -

    /// Moves the items on a node's outputs to `emitted`; items on unconnected outputs are dropped and counted.
    @inline(__always)
    private func collect(_ number: Int) -> Int {
        let node = nodes + number
        let first = Int(firstOutput[number])
        let count = Int(firstOutput[number &+ 1]) &- first
        var n = 0
        for output in 0..<count {
            let queue = node.outputs + output
            let tail = queue.tail
            if tail == 0 { continue }
            let edge = edges[first &+ output]
            if edge >= 0 {
                for k in 0..<tail { emitted[n &+ k] = Emitted(item: queue.buffer[k], edge: edge) }
                n &+= tail
                queue.moved &+= UInt64(tail)
            } else {
                node.drops[loopReasons[number] &+ 1 &+ output] &+= UInt64(tail)
                for k in 0..<tail {
                    assert(instance.contract.lost(queue.buffer[k]))
                    node.release(queue.buffer[k])
                }
            }
            queue.tail = 0
        }
        return n
    }
}
