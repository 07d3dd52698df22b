// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// What an element can do with the items it was handed. Valid only during the call.
///
/// Each item handed to an element, made by it or held by it must leave by exactly one of ``emit(_:_:)``, ``drop(_:_:)`` or
/// ``use(_:)``, or be held: that is the conservation law the runtime checks.
@frozen
public struct Context {
    /// The pool's items, by index.
    public let items: UnsafeMutablePointer<Item>
    @usableFromInline let nodeState: UnsafeMutablePointer<NodeState>

    @usableFromInline
    init(items: UnsafeMutablePointer<Item>, node: UnsafeMutablePointer<NodeState>) {
        self.items = items
        nodeState = node
    }

    @inlinable
    var node: NodeState {
        @inline(__always) unsafeAddress { UnsafePointer(nodeState) }
        @inline(__always) nonmutating unsafeMutableAddress { nodeState }
    }
    @inlinable
    var pool: PoolState {
        @inline(__always) unsafeAddress { UnsafePointer(nodeState.pointee.pool) }
        @inline(__always) nonmutating unsafeMutableAddress { nodeState.pointee.pool }
    }
    @inlinable
    var run: RunState {
        @inline(__always) unsafeAddress { UnsafePointer(nodeState.pointee.run) }
        @inline(__always) nonmutating unsafeMutableAddress { nodeState.pointee.run }
    }

    /// The number of timers of an element; their ids are `0 ..< timerCount`.
    public static var timerCount: Int { NodeState.timerCount }
    /// The due time of a timer that is not armed.
    @inlinable @inline(__always) public static var unarmed: Int64 { .max }

    /// Item `i`.
    @inlinable @inline(__always)
    public subscript(_ i: Int32) -> Packet { Packet(items + Int(i)) }

    /// The index of a packet, needed to hold, resume or copy it.
    @inlinable @inline(__always)
    public func index(of packet: Packet) -> Int32 { Int32(truncatingIfNeeded: packet.item - items) }

    // MARK: One packet at a time

    /// The fate of one packet of a batch.
    @frozen
    public struct Verdict: BitwiseCopyable {
        // An output, or one of those below: -3 and lower are drop reasons.
        @usableFromInline let code: Int

        @inlinable @inline(__always)
        init(code: Int) { self.code = code }

        /// It leaves by `output`.
        @inlinable @inline(__always)
        public static func emit(_ output: Int) -> Verdict { Verdict(code: output) }
        /// It is dropped for `reason`.
        @inlinable @inline(__always)
        public static func drop<R: DropReason>(_ reason: R) -> Verdict { Verdict(code: -3 &- reason.rawValue) }
        /// The packet is used: it ends here on purpose.
        @inlinable @inline(__always)
        public static var use: Verdict { Verdict(code: -1) }
        /// The element holds it, or has already emitted, dropped or used it.
        @inlinable @inline(__always)
        public static var taken: Verdict { Verdict(code: -2) }
    }

    /// Asks `body` for a verdict on each packet of the batch, in order, and carries it out.
    ///
    /// ```swift
    /// context.forEach(batch) { packet in
    ///     guard let ip = IPv4View(packet) else { return .drop(Drop.notIp) }
    ///     return ip.timeToLive >= least ? .emit(0) : .drop(Drop.tooFewHops)
    /// }
    /// ```
    ///
    /// Adjacent packets for the same output are emitted together, so a filter costs nothing for packets it lets pass. Only
    /// `forEach` may emit to an output named in a verdict: what `body` emitted there would overtake the packets before it.
    @inlinable @inline(__always)
    public func forEach(_ batch: Batch, _ body: (Packet) -> Verdict) {
        forEach(batch) { packet, _ in body(packet) }
    }

    /// The same for a body that needs the context.
    @inlinable @inline(__always)
    public func forEach(_ batch: Batch, _ body: (Packet, borrowing Context) -> Verdict) {
        var start = 0
        var output = 0
        for k in 0..<batch.count {
            let code = body(batch[k], self).code
            if code == output { continue }
            emit(batch, from: start, to: k, output)
            if code >= 0 {
                start = k
                output = code
            } else {
                start = k &+ 1
                if code == Verdict.use.code {
                    use(batch.index[k])
                } else if code != Verdict.taken.code {
                    drop(batch.index[k], -3 &- code)
                }
            }
        }
        emit(batch, from: start, to: batch.count, output)
    }

    /// Verdict for an optional output: emits there if it is connected, otherwise uses the packet.
    @inlinable @inline(__always)
    public func emitIfConnected(_ output: Int) -> Verdict { isConnected(output) ? .emit(output) : .use }

    // MARK: Emitting, dropping, using and holding items

    /// Emits the item by `output`.
    @inlinable @inline(__always)
    public func emit(_ i: Int32, _ output: Int) {
        assert(contract.emitted(i, output, by: node.index))
        let queue = node.outputs + output
        let tail = queue.tail
        queue.buffer[tail] = i
        queue.tail = tail &+ 1
    }

    /// Emits all items of the batch by `output`, in order.
    @inlinable @inline(__always)
    public func emit(_ batch: Batch, _ output: Int) {
        assert(contract.emitted(batch, output, by: node.index))
        let queue = node.outputs + output
        let tail = queue.tail
        (queue.buffer + tail).update(from: batch.index, count: batch.count)
        queue.tail = tail &+ batch.count
    }

    /// Emits the items `from ..< to` of the batch by `output`, in order.
    ///
    /// Elements that let most items pass emit them in runs, so that a filter costs nothing for items it lets pass.
    @inlinable @inline(__always)
    public func emit(_ batch: Batch, from: Int, to: Int, _ output: Int) {
        if from < to { emit(Batch(items: batch.items, index: batch.index + from, count: to &- from), output) }
    }

    /// Emits each item of the batch by the output of the same place in `outputs`.
    @inlinable @inline(__always)
    public func emit(_ batch: Batch, by outputs: UnsafePointer<UInt16>) {
        // Kept in a register: otherwise the compiler must assume that stores overwrite it.
        let queues = node.outputs
        for k in 0..<batch.count {
            assert(contract.emitted(batch.index[k], Int(outputs[k]), by: node.index))
            queues[Int(outputs[k])].append(batch.index[k])
        }
    }

    /// Drops the item for a reason, an index into the type's list of drop reasons; counts it and frees its slot.
    @inlinable @inline(__always)
    public func drop(_ i: Int32, _ reason: Int) {
        assert(contract.dropped(i, reason, by: node.index))
        node.drops[reason] &+= 1
        pool.release(i)
    }

    /// Drops the item for a reason from the element's own enumeration.
    @inlinable @inline(__always)
    public func drop<R: DropReason>(_ i: Int32, _ reason: R) { drop(i, reason.rawValue) }

    /// Ends the item's life on purpose: it reached a sink, was coalesced or joined with others.
    @inlinable @inline(__always)
    public func use(_ i: Int32) {
        assert(contract.used(i, by: node.index))
        node.used &+= 1
        pool.release(i)
    }

    /// Ends the life of all items of the batch on purpose.
    @inlinable @inline(__always)
    public func use(_ batch: Batch) {
        assert(contract.used(batch, by: node.index))
        node.used &+= UInt64(batch.count)
        pool.release(batch)
    }

    /// Keeps the item in the element until it is resumed.
    @inlinable @inline(__always)
    public func hold(_ i: Int32) {
        assert(contract.held(i, by: node.index))
        node.held &+= 1
        if self[i].flags.contains(.lent) { pool.own(i) }
        self[i].flags.insert(.held)
    }

    /// Takes up a held item again because of item `cause`, whose turn it takes; it must then leave by `emit`, `drop` or `use`.
    /// For use in `process`.
    @inlinable @inline(__always)
    public func resume(_ i: Int32, because cause: Int32) { resume(i, turn(of: cause)) }

    /// Takes up a held item again; it must then leave by `emit`, `drop` or `use`. For use outside `process`: its turn is that
    /// of the timer, of the end of the flow or of the input.
    @inlinable @inline(__always)
    public func resume(_ i: Int32) {
        assert(contract.isOutsideOfProcess(node.index, "resumed item \(i)"))
        let origin = run.origin
        resume(i, Turn(number: origin.turn, now: origin.now))
    }

    @inlinable @inline(__always)
    func resume(_ i: Int32, _ turn: Turn) {
        assert(contract.resumed(i, by: node.index))
        node.held &-= 1
        self[i].flags.remove(.held)
        self[i].flags.insert(.turnKept)
        pool.turns[Int(i)] = turn
    }

    /// Whether `output` is connected; an optional output need not be, and items emitted there are then dropped.
    @inlinable @inline(__always)
    public func isConnected(_ output: Int) -> Bool { node.connected[output] }

    // MARK: Making items

    /// A new item of `capacity` writable bytes that inherits turn, time, flow and cycle count from item `i`; nil when the pool
    /// is empty. Its `length` is `capacity`; its bytes are uninitialised.
    @inlinable
    public func make(from i: Int32, capacity: Int) -> Int32? {
        guard let j = pool.make(capacity: capacity) else { return nil }
        assert(contract.made(j, by: node.index))
        node.made &+= 1
        let parent = self[i]
        let child = self[j]
        child.time = parent.time
        child.sequence = parent.sequence
        child.made = node.numberOfChild(of: parent)
        child.flow = parent.flow
        child.linkType = parent.linkType
        child.item.pointee.origin = parent.interface
        child.hops = parent.hops
        if parent.isTurnKept {
            child.flags.insert(.turnKept)
            pool.turns[Int(j)] = pool.turns[Int(i)]
        }
        return j
    }

    /// A new packet of `capacity` writable bytes that answers item `i`: like ``make(from:capacity:)``, but its path starts
    /// here, so it may cross cycles as often as any other; nil when the pool is empty.
    ///
    /// A conversation over a back edge continues as long as both sides answer, up to ``DirectRuntime/maximumRounds`` at one
    /// moment.
    @inlinable
    public func originate(because i: Int32, capacity: Int) -> Int32? {
        guard let j = make(from: i, capacity: capacity) else { return nil }
        self[j].hops = 0
        return j
    }

    /// A new item of `capacity` writable bytes, caused by whatever the runtime is handling: the end of a flow or of the input,
    /// or a timer; nil when the pool is empty. For use outside `process`.
    @inlinable
    public func originate(capacity: Int) -> Int32? {
        assert(contract.isOutsideOfProcess(node.index, "made an item"))
        guard let j = pool.make(capacity: capacity) else { return nil }
        assert(contract.made(j, by: node.index))
        node.made &+= 1
        let origin = run.origin
        self[j].time = origin.time
        self[j].sequence = origin.sequence
        self[j].made = run.children
        if run.children < .max { run.children &+= 1 }
        if origin.turn != origin.sequence || origin.now != origin.time {
            self[j].flags.insert(.turnKept)
            pool.turns[Int(j)] = Turn(number: origin.turn, now: origin.now)
        }
        return j
    }

    /// A copy of item `i` with its own bytes; nil when the pool is empty.
    @inlinable
    public func copy(_ i: Int32) -> Int32? {
        let original = self[i]
        guard let j = make(from: i, capacity: Int(original.length)) else { return nil }
        let copy = self[j]
        let (data, flags, made) = (copy.writableData, copy.flags, copy.made)
        data.copyMemory(from: original.data, byteCount: Int(original.length))
        copy.item.pointee = original.item.pointee
        copy.writableData = data
        copy.made = made
        copy.flags.subtract([.owned, .large, .held])
        copy.flags.formUnion(flags)
        return j
    }

    /// Makes the bytes of item `i` writable, copying them out of the capture if necessary.
    @inlinable
    public func own(_ i: Int32) {
        if !self[i].isWritable { pool.own(i) }
    }

    /// Makes the bytes of a packet writable, copying them out of the capture if necessary.
    @inlinable @inline(__always)
    public func own(_ packet: Packet) { own(index(of: packet)) }

    /// Makes the bytes of item `i` writable, and `length` of them: the end is cut off, or zeros are added.
    public func own(_ i: Int32, length: Int) { pool.own(i, length: length) }

    // MARK: Counting and time

    /// Counts `n` operations. Totals must not depend on where batches are cut.
    @inlinable @inline(__always)
    public func did(_ operation: Operation, _ n: Int) {
        node.operations[operation.rawValue] &+= UInt64(truncatingIfNeeded: n)
        node.touched |= 1 &<< UInt32(truncatingIfNeeded: operation.rawValue)
    }

    /// Functional time in nanoseconds at which item `i` is handled: that of the packet whose turn it is. It never steps back. The
    /// item's own time differs if an element held it, or if the capture's stamps step back or far ahead (``StampClock``).
    @inlinable @inline(__always)
    public func now(_ i: Int32) -> Int64 { _slowPath(self[i].isTurnKept) ? keptNow(i) : self[i].time }

    @usableFromInline @inline(never)
    func keptNow(_ i: Int32) -> Int64 { pool.turns[Int(i)].now }

    /// Functional time in nanoseconds at which a packet is handled; see ``now(_:)``.
    @inlinable @inline(__always)
    public func now(_ packet: Packet) -> Int64 { now(index(of: packet)) }

    @inlinable @inline(__always)
    func turn(of i: Int32) -> Turn { Turn.of(self[i], pool.turns + Int(i)) }

    /// Arms timer `id` of this element for functional time `due`, in nanoseconds; moves it if already armed.
    ///
    /// In `process` it must be due no sooner after ``now(_:)`` of the current item than the type's
    /// ``ElementType/shortestTimer(_:)``. A timer that is armed again when it fires must be due later than before: otherwise it
    /// fires without end.
    @inlinable
    public func arm(_ id: Int, at due: Int64) {
        assert(contract.armed(id, at: due, by: node.index))
        node.timers[id] = due
        if due < run.nextDue { run.nextDue = due }
    }

    /// Disarms timer `id` of this element.
    @inlinable
    public func disarm(_ id: Int) { node.timers[id] = Context.unarmed }

    /// Outside `process`, the cause of the call: the end of a flow or of the input, or a timer.
    public var origin: Origin { run.origin }

    // MARK: Order

    /// Everything the current item released or ended must be through before the next item of the batch is taken: the element
    /// returns, and gives back the rest of its batch with ``again(_:from:)``.
    @inlinable @inline(__always)
    public var mustWait: Bool { node.mustWait }

    /// Gives back the items of the batch from `k` on: they are handed over again once everything released so far is through.
    @inlinable @inline(__always)
    public func again(_ batch: Batch, from k: Int) { node.refused = batch.count &- k }

    /// Emits the item by `output`; if that leads back, ``mustWait`` is true afterwards.
    @inlinable @inline(__always)
    public func emitRound(_ i: Int32, _ output: Int) {
        emit(i, output)
        if node.isEntering, node.leadsBack[output] { node.mustWait = true }
    }

    /// Sends a marker along the element's cycle, behind all packets of a flow that it sent round before:
    /// ``ElementBase/markerReturned(_:_:)`` is called when none of those is under way any more. At most one per call; only for
    /// types that declare ``ElementType/slowOutput``.
    ///
    /// False if no marker is needed because nothing is under way: all elements of the cycle run on one executor, and everything
    /// an item causes is through before the next is taken.
    public func sendMarker(behind flow: FlowRef) -> Bool {
        if !node.isSplit { return false }
        run.marker = flow
        return true
    }

    /// The last item of the batch, which entered the cycle from outside, waits in the reorder buffer for the marker of a flow;
    /// it is handed over again once that has returned.
    public func awaitMarker(of flow: FlowRef, _ batch: Batch) {
        run.awaited = flow
        node.refused = 1
    }

    @inline(__always)
    var isAwaiting: Bool { run.awaited != nil }

    /// Announces that a flow of this table has ended because of item `i`, or, if `i` is -1, of whatever the runtime is
    /// handling. The elements that keep state for it are told before the next item is taken (``mustWait``). Items they make get
    /// the time of the item, or `time`.
    public func endFlow(_ flow: FlowRef, _ reason: FlowEnd, because i: Int32 = -1, time: Int64? = nil) {
        precondition(node.isTable, "only a flow table ends flows; others send it a flow_end command")
        var origin = self.origin
        if i >= 0 {
            let turn = turn(of: i)
            origin = Origin(
                time: self[i].time,
                sequence: self[i].sequence,
                turn: turn.number,
                now: turn.now
            )
        }
        if let time { origin.time = time }
        run.announce(
            EndedFlow(table: node.index, flow: flow, reason: reason, origin: origin)
        )
        if node.tells {
            node.endsFlows = true
            node.mustWait = true
        }
    }

    @inlinable @inline(__always)
    var contract: Contract { node.contract._withUnsafeGuaranteedRef { $0 } }
}
