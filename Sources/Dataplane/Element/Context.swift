// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// What an element may do with the items it was handed. Valid during the call only.
///
/// Each item handed to an element, made by it or held by it must leave by exactly one of ``emit(_:_:)``,
/// ``drop(_:_:)`` or ``use(_:)``, or be held: that is the conservation law the runtime checks.
@frozen
public struct Context {
    /// The pool's items, by index.
    public let items: UnsafeMutablePointer<Item>
    @usableFromInline let node: UnsafeMutablePointer<NodeState>

    @usableFromInline
    init(items: UnsafeMutablePointer<Item>, node: UnsafeMutablePointer<NodeState>) {
        self.items = items
        self.node = node
    }

    /// How many timers an element has, identities `0 ..< timerCount`.
    public static var timerCount: Int { NodeState.timerCount }
    /// The due time of a timer that is not armed.
    @inlinable @inline(__always) public static var unarmed: Int64 { .max }

    /// Item `i`.
    @inlinable @inline(__always)
    public subscript(_ i: Int32) -> UnsafeMutablePointer<Item> { items + Int(i) }

    // MARK: Letting items go

    /// The item leaves by `output`.
    @inlinable @inline(__always)
    public func emit(_ i: Int32, _ output: Int) {
        assert(contract.emitted(i, output, by: node.pointee.index))
        let queue = node.pointee.outputs + output
        let tail = queue.pointee.tail
        queue.pointee.buffer[tail] = i
        queue.pointee.tail = tail &+ 1
    }

    /// All items of the batch leave by `output`, in order.
    @inlinable @inline(__always)
    public func emit(_ batch: Batch, _ output: Int) {
        assert(contract.emitted(batch, output, by: node.pointee.index))
        let queue = node.pointee.outputs + output
        let tail = queue.pointee.tail
        (queue.pointee.buffer + tail).update(from: batch.index, count: batch.count)
        queue.pointee.tail = tail &+ batch.count
    }

    /// The items `from ..< to` of the batch leave by `output`, in order.
    ///
    /// Elements that let most items pass emit them in runs: a filter costs nothing for what it does not stop.
    @inlinable @inline(__always)
    public func emit(_ batch: Batch, from: Int, to: Int, _ output: Int) {
        if from < to { emit(Batch(items: batch.items, index: batch.index + from, count: to &- from), output) }
    }

    /// Each item of the batch leaves by the output of its number.
    @inlinable @inline(__always)
    public func emit(_ batch: Batch, by outputs: UnsafePointer<UInt16>) {
        // Kept in a register, for memory that is written could be where it stands.
        let queues = node.pointee.outputs
        for k in 0..<batch.count {
            assert(contract.emitted(batch.index[k], Int(outputs[k]), by: node.pointee.index))
            queues[Int(outputs[k])].append(batch.index[k])
        }
    }

    /// The item is dropped for a reason, an index into the type's list of drop reasons; counted, and its slot is free.
    @inlinable @inline(__always)
    public func drop(_ i: Int32, _ reason: Int) {
        assert(contract.dropped(i, reason, by: node.pointee.index))
        node.pointee.drops[reason] &+= 1
        node.pointee.pool.pointee.release(i)
    }

    /// The item is dropped for a reason named by the element's own enumeration.
    @inlinable @inline(__always)
    public func drop<R: DropReason>(_ i: Int32, _ reason: R) { drop(i, reason.rawValue) }

    /// The item's life ends here on purpose: it reached a sink, was coalesced or joined with others.
    @inlinable @inline(__always)
    public func use(_ i: Int32) {
        assert(contract.used(i, by: node.pointee.index))
        node.pointee.used &+= 1
        node.pointee.pool.pointee.release(i)
    }

    /// The life of all items of the batch ends here on purpose.
    @inlinable @inline(__always)
    public func use(_ batch: Batch) {
        assert(contract.used(batch, by: node.pointee.index))
        node.pointee.used &+= UInt64(batch.count)
        node.pointee.pool.pointee.release(batch)
    }

    /// The item stays in the element until it is resumed.
    @inlinable @inline(__always)
    public func hold(_ i: Int32) {
        assert(contract.held(i, by: node.pointee.index))
        node.pointee.held &+= 1
        items[Int(i)].flags.insert(.held)
    }

    /// A held item is current again, on account of item `cause`, whose turn it takes; it must then leave by `emit`, `drop` or
    /// `use`. For use in `process`.
    @inlinable @inline(__always)
    public func resume(_ i: Int32, because cause: Int32) { resume(i, turn(of: cause)) }

    /// A held item is current again; it must then leave by `emit`, `drop` or `use`. For use outside `process`: its turn is that
    /// of the timer, of the end of the flow or of the input.
    @inlinable @inline(__always)
    public func resume(_ i: Int32) {
        assert(contract.isOutsideOfProcess(node.pointee.index, "resumed item \(i)"))
        let origin = node.pointee.run.pointee.origin
        resume(i, Turn(number: origin.turn, now: origin.now))
    }

    @inlinable @inline(__always)
    func resume(_ i: Int32, _ turn: Turn) {
        assert(contract.resumed(i, by: node.pointee.index))
        node.pointee.held &-= 1
        items[Int(i)].flags.remove(.held)
        items[Int(i)].flags.insert(.resumed)
        node.pointee.pool.pointee.turns[Int(i)] = turn
    }

    /// Whether an edge leads on from `output`; an optional output may have none, and what is emitted there is dropped.
    @inlinable @inline(__always)
    public func isConnected(_ output: Int) -> Bool { node.pointee.connected[output] }

    // MARK: Making items

    /// A new item of `capacity` writable bytes that inherits turn, time and flow of item `i`, and how often that went round a
    /// cycle; nil when the pool is empty. Its `length` is `capacity`; its bytes are not set.
    @inlinable
    public func make(from i: Int32, capacity: Int) -> Int32? {
        guard let j = node.pointee.pool.pointee.make(capacity: capacity) else { return nil }
        assert(contract.made(j, by: node.pointee.index))
        node.pointee.made &+= 1
        let parent = items + Int(i)
        let child = items + Int(j)
        child.pointee.time = parent.pointee.time
        child.pointee.sequence = parent.pointee.sequence
        child.pointee.made = node.pointee.numberOfChild(of: parent)
        child.pointee.flow = parent.pointee.flow
        child.pointee.linkType = parent.pointee.linkType
        child.pointee.interface = parent.pointee.interface
        child.pointee.hops = parent.pointee.hops
        if parent.pointee.flags.contains(.resumed) {
            child.pointee.flags.insert(.resumed)
            node.pointee.pool.pointee.turns[Int(j)] = node.pointee.pool.pointee.turns[Int(i)]
        }
        return j
    }

    /// A new packet of `capacity` writable bytes that answers item `i`: as ``make(from:capacity:)``, but its way begins here, so it
    /// may cross cycles as often as any other; nil when the pool is empty.
    ///
    /// A conversation over a back edge goes on as long as both sides answer, within ``DirectRuntime/maximumRounds`` at one
    /// moment.
    @inlinable
    public func originate(because i: Int32, capacity: Int) -> Int32? {
        guard let j = make(from: i, capacity: capacity) else { return nil }
        items[Int(j)].hops = 0
        return j
    }

    /// A new item of `capacity` writable bytes, caused by what the runtime works on: the end of a flow or of the input, or a timer;
    /// nil when the pool is empty. For use outside `process`.
    @inlinable
    public func originate(capacity: Int) -> Int32? {
        assert(contract.isOutsideOfProcess(node.pointee.index, "made an item"))
        guard let j = node.pointee.pool.pointee.make(capacity: capacity) else { return nil }
        assert(contract.made(j, by: node.pointee.index))
        node.pointee.made &+= 1
        let run = node.pointee.run
        let origin = run.pointee.origin
        items[Int(j)].time = origin.time
        items[Int(j)].sequence = origin.sequence
        items[Int(j)].made = run.pointee.children
        if run.pointee.children < .max { run.pointee.children &+= 1 }
        if origin.turn != origin.sequence || origin.now != origin.time {
            items[Int(j)].flags.insert(.resumed)
            node.pointee.pool.pointee.turns[Int(j)] = Turn(number: origin.turn, now: origin.now)
        }
        return j
    }

    /// A copy of item `i`, with bytes of its own; nil when the pool is empty.
    @inlinable
    public func copy(_ i: Int32) -> Int32? {
        let length = Int(items[Int(i)].length)
        guard let j = make(from: i, capacity: length) else { return nil }
        let (data, flags, made) = (items[Int(j)].data, items[Int(j)].flags, items[Int(j)].made)
        data.copyMemory(from: items[Int(i)].data, byteCount: length)
        items[Int(j)] = items[Int(i)]
        items[Int(j)].data = data
        items[Int(j)].made = made
        items[Int(j)].flags.subtract([.owned, .large, .held])
        items[Int(j)].flags.formUnion(flags)
        return j
    }

    /// Makes the bytes of item `i` writable, copying them out of the capture when they are not.
    @inlinable
    public func own(_ i: Int32) {
        if items[Int(i)].flags.isDisjoint(with: [.owned, .large]) { node.pointee.pool.pointee.own(i) }
    }

    // MARK: Counting and time

    /// Counts `n` operations. What an element counts must not depend on where batches are cut.
    @inlinable @inline(__always)
    public func did(_ operation: Operation, _ n: Int) {
        node.pointee.operations[operation.rawValue] &+= UInt64(truncatingIfNeeded: n)
        node.pointee.touched |= 1 &<< UInt32(truncatingIfNeeded: operation.rawValue)
    }

    /// Functional time in nanoseconds at which item `i` is handled: that of the packet whose turn it is. The item's own time is
    /// earlier where an element had held it.
    @inlinable @inline(__always)
    public func now(_ i: Int32) -> Int64 { turn(of: i).now }

    @inlinable @inline(__always)
    func turn(of i: Int32) -> Turn { Turn.of(items + Int(i), node.pointee.pool.pointee.turns + Int(i)) }

    /// Arms timer `id` of this element at functional time `due`, in nanoseconds; an armed one is moved.
    ///
    /// In `process` it must be due no nearer to ``now(_:)`` of the item in hand than the type's
    /// ``ElementType/shortestTimer(_:)``. A timer that is armed again when it fires must be due later than it was: otherwise it
    /// fires without end.
    @inlinable
    public func arm(_ id: Int, at due: Int64) {
        assert(contract.armed(id, at: due, by: node.pointee.index))
        node.pointee.timers[id] = due
        if due < node.pointee.run.pointee.nextDue { node.pointee.run.pointee.nextDue = due }
    }

    /// Disarms timer `id` of this element.
    @inlinable
    public func disarm(_ id: Int) { node.pointee.timers[id] = Context.unarmed }

    /// What the runtime works on now, outside `process`: the end of a flow or of the input, or a timer.
    public var origin: Origin { node.pointee.run.pointee.origin }

    // MARK: Order

    /// What the item in hand let go, or ended, must be through before the next item of the batch is taken: the element returns, and
    /// gives the rest of its batch back with ``again(_:from:)``.
    @inlinable @inline(__always)
    public var mustWait: Bool { node.pointee.mustWait }

    /// The items of the batch from `k` on were not taken: they are handed over again when all that was let go is through.
    @inlinable @inline(__always)
    public func again(_ batch: Batch, from k: Int) { node.pointee.refused = batch.count &- k }

    /// The item leaves by `output`; where that leads back, ``mustWait`` is true then.
    @inlinable @inline(__always)
    public func emitRound(_ i: Int32, _ output: Int) {
        emit(i, output)
        if node.pointee.isEntering, node.pointee.leadsBack[output] { node.pointee.mustWait = true }
    }

    /// Sends a marker along the cycle that this element is part of, behind all packets of a flow that it let go round before:
    /// ``ElementBase/markerReturned(_:_:)`` is called when none of those is under way any more. At most one for each call; for types
    /// that say ``ElementType/sendsMarkers``. By `spread` flows are given to cores (``FlowKey/spread(_:)``).
    ///
    /// False where none is needed, as nothing is under way: all elements of the cycle run on one executor, and what an item causes is
    /// through before the next is taken.
    public func sendMarker(behind flow: FlowRef, spread: UInt32) -> Bool {
        if !node.pointee.isSplit { return false }
        node.pointee.run.pointee.marker = (flow, spread)
        return true
    }

    /// The last item of the batch, which came in from outside of the cycle, waits for the marker of a flow, in the buffer that keeps
    /// flows in order; it is handed over again when that has returned.
    public func awaitMarker(of flow: FlowRef, _ batch: Batch) {
        node.pointee.run.pointee.awaited = flow
        node.pointee.refused = 1
    }

    /// The last item of the batch waits for a marker.
    @inline(__always)
    var isAwaiting: Bool { node.pointee.run.pointee.awaited != nil }

    /// Announces that a flow of this table has ended, because of item `i`, or of what the runtime works on where `i` is -1. The
    /// elements that keep state for it are told before the next item is taken (``mustWait``). What they make gets the time of the item, or `time`.
    public func endFlow(_ flow: FlowRef, _ reason: FlowEnd, because i: Int32 = -1, time: Int64? = nil) {
        precondition(node.pointee.isTable, "only a flow table ends flows; others send it a flow_end command")
        var origin = self.origin
        if i >= 0 {
            let turn = turn(of: i)
            origin = Origin(
                time: self[i].pointee.time,
                sequence: self[i].pointee.sequence,
                turn: turn.number,
                now: turn.now
            )
        }
        if let time { origin.time = time }
        node.pointee.run.pointee.announce(
            EndedFlow(table: node.pointee.index, flow: flow, reason: reason, origin: origin)
        )
        if node.pointee.tells {
            node.pointee.endsFlows = true
            node.pointee.mustWait = true
        }
    }

    @inlinable @inline(__always)
    var contract: Contract { node.pointee.contract._withUnsafeGuaranteedRef { $0 } }
}
