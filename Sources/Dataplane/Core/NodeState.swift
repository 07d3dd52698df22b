// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The counters and outputs of one element, and what its calls need of the runtime.
@frozen
@usableFromInline
struct NodeState {
    /// One queue for each output.
    @usableFromInline let outputs: UnsafeMutablePointer<EdgeQueue>
    /// For each output, whether an edge leads on.
    @usableFromInline let connected: UnsafeMutablePointer<Bool>
    /// Items dropped, by reason.
    @usableFromInline let drops: UnsafeMutablePointer<UInt64>
    /// Operations counted, by ``Operation``.
    @usableFromInline let operations: UnsafeMutablePointer<UInt64>
    /// Bits of the operations counted since somebody last looked.
    @usableFromInline var touched: UInt32 = 0
    /// Due times by timer identity, in functional nanoseconds; ``Context/unarmed`` where none is armed.
    @usableFromInline let timers: UnsafeMutablePointer<Int64>
    @usableFromInline let pool: UnsafeMutablePointer<PoolState>
    @usableFromInline let run: UnsafeMutablePointer<RunState>
    /// The element's place in the graph.
    @usableFromInline let index: Int32
    /// How many timers an element has.
    @usableFromInline static let timerCount = 4
    @usableFromInline var entered: UInt64 = 0
    @usableFromInline var made: UInt64 = 0
    @usableFromInline var used: UInt64 = 0
    @usableFromInline var held: Int64 = 0
    /// For each output, whether what leaves there may come back: its edge is part of a cycle.
    @usableFromInline let leadsBack: UnsafeMutablePointer<Bool>
    /// What is handed over comes into a cycle from outside: when an item is let go round it, later ones must wait.
    @usableFromInline var isEntering = false
    /// The items behind the one in hand must wait until what that one caused is through.
    @usableFromInline var mustWait = false
    /// It has announced ends of flows that were not told yet.
    @usableFromInline var endsFlows = false
    /// Items at the end of the batch in hand that the element did not take.
    @usableFromInline var refused = 0
    /// What it lets go round its cycle is under way while other items come in: part of the cycle runs elsewhere.
    @usableFromInline var isSplit = false
    /// It is a flow table.
    @usableFromInline var isTable = false
    /// For a flow table: other elements are told when a flow ends.
    @usableFromInline var tells = false
    /// The parent of the item that was made last, and how many were made of it.
    @usableFromInline var parent: (sequence: UInt64, made: UInt16, children: UInt16) = (.max, 0, 0)
    /// Watches that the element keeps its contract, in debug builds.
    @usableFromInline let contract: Unmanaged<Contract>

    /// The number of an item made of `parent` among those of its turn; children of one parent follow each other.
    @inlinable @inline(__always)
    mutating func numberOfChild(of parent: Packet) -> UInt16 {
        let isSame = self.parent.sequence == parent.sequence && self.parent.made == parent.made
        self.parent = (
            parent.sequence, parent.made,
            isSame ? max(self.parent.children, self.parent.children &+ 1) : 1
        )
        let (sum, overflow) = parent.made.addingReportingOverflow(self.parent.children)
        return overflow ? .max : sum
    }
}

// Nodes are always reached by pointer: these make `node.entered` of `node.pointee.entered`.
extension UnsafeMutablePointer<NodeState> {
    @inline(__always) var outputs: UnsafeMutablePointer<EdgeQueue> { pointee.outputs }
    @inline(__always) var drops: UnsafeMutablePointer<UInt64> { pointee.drops }
    @inline(__always)
    var entered: UInt64 {
        get { pointee.entered }
        nonmutating set { pointee.entered = newValue }
    }
    @inline(__always)
    var made: UInt64 {
        get { pointee.made }
        nonmutating set { pointee.made = newValue }
    }
    @inline(__always)
    var refused: Int {
        get { pointee.refused }
        nonmutating set { pointee.refused = newValue }
    }
    @inline(__always)
    var isEntering: Bool {
        get { pointee.isEntering }
        nonmutating set { pointee.isEntering = newValue }
    }
    @inline(__always)
    var mustWait: Bool {
        get { pointee.mustWait }
        nonmutating set { pointee.mustWait = newValue }
    }
    @inline(__always)
    var endsFlows: Bool {
        get { pointee.endsFlows }
        nonmutating set { pointee.endsFlows = newValue }
    }
    @inline(__always) var tells: Bool { pointee.tells }
    /// Frees an item of its pool.
    @inline(__always) func release(_ i: Int32) { pointee.pool.pointee.release(i) }
}

/// What all elements of one run share.
@frozen
@usableFromInline
struct RunState {
    /// Packets that came in so far, lost ones too: the number of the next.
    @usableFromInline var arrived: UInt64 = 0
    /// The earliest armed timer of any element.
    @usableFromInline var nextDue: Int64 = .max
    /// What caused the call in progress; items made without a parent inherit it.
    @usableFromInline var origin = Origin()
    /// How many items were made without a parent since the call began.
    @usableFromInline var children: UInt16 = 0
    /// Flows whose end was announced and not yet told to the elements.
    @usableFromInline var ended: UnsafeMutablePointer<EndedFlow>
    @usableFromInline var endedCount: Int = 0
    @usableFromInline var endedCapacity: Int
    /// The marker that the call in progress sent, and the flow whose marker its item waits for.
    @usableFromInline var marker: (flow: FlowRef, spread: UInt32)?
    @usableFromInline var awaited: FlowRef?
}

extension RunState {
    mutating func announce(_ flow: EndedFlow) {
        if endedCount == endedCapacity {
            let larger = UnsafeMutablePointer<EndedFlow>.allocate(capacity: endedCapacity * 2)
            larger.moveInitialize(from: ended, count: endedCount)
            ended.deallocate()
            ended = larger
            endedCapacity *= 2
        }
        ended[endedCount] = flow
        endedCount += 1
    }
}

/// What caused a call: a packet that came in, or a timer behind one.
@frozen
public struct Origin: Equatable, Sendable, BitwiseCopyable {
    /// The time that items made by the call get, in functional nanoseconds.
    public var time: Int64
    /// The number that items made by the call get.
    public var sequence: UInt64
    /// The packet after which, and before the next of which, all of this happens; the same as `sequence` but for what was held.
    public var turn: UInt64
    /// Functional time at that turn, in nanoseconds.
    public var now: Int64

    @inlinable @inline(__always)
    public init(time: Int64 = 0, sequence: UInt64 = 0, turn: UInt64 = 0, now: Int64 = 0) {
        self.time = time
        self.sequence = sequence
        self.turn = turn
        self.now = now
    }
}
