// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The counters and outputs of one element, and what its calls need from the runtime.
@frozen
@usableFromInline
struct NodeState {
    /// One queue for each output.
    @usableFromInline let outputs: UnsafeMutablePointer<EdgeQueue>
    /// For each output, whether it is connected.
    @usableFromInline let connected: UnsafeMutablePointer<Bool>
    /// Items dropped, by reason.
    @usableFromInline let drops: UnsafeMutablePointer<UInt64>
    /// Operations counted, by ``Operation``.
    @usableFromInline let operations: UnsafeMutablePointer<UInt64>
    /// Bits of the operations counted since this was last read and cleared.
    @usableFromInline var touched: UInt32 = 0
    /// Due times by timer id, in functional nanoseconds; ``Context/unarmed`` when not armed.
    @usableFromInline let timers: UnsafeMutablePointer<Int64>
    @usableFromInline let pool: UnsafeMutablePointer<PoolState>
    @usableFromInline let run: UnsafeMutablePointer<RunState>
    /// The element's number in the graph.
    @usableFromInline let index: Int32
    /// How many timers an element has.
    @usableFromInline static let timerCount = 4
    @usableFromInline var entered: UInt64 = 0
    @usableFromInline var made: UInt64 = 0
    @usableFromInline var used: UInt64 = 0
    @usableFromInline var held: Int64 = 0
    /// For each output, whether its items may come back: its edge is part of a cycle.
    @usableFromInline let leadsBack: UnsafeMutablePointer<Bool>
    /// The current items enter a cycle from outside: once one is sent round it, later ones must wait.
    @usableFromInline var isEntering = false
    /// The items behind the current one must wait until everything it caused is through.
    @usableFromInline var mustWait = false
    /// The element announced ends of flows whose subscribers have not been told yet.
    @usableFromInline var endsFlows = false
    /// Items at the end of the current batch that the element gave back.
    @usableFromInline var refused = 0
    /// Items it sends round its cycle travel while others come in: part of the cycle runs elsewhere.
    @usableFromInline var isSplit = false
    @usableFromInline var isTable = false
    /// For a flow table: some element subscribes to the ends of its flows.
    @usableFromInline var tells = false
    /// The parent of the last item made, and how many were made from it.
    @usableFromInline var parent: (sequence: UInt64, made: UInt16, children: UInt16) = (.max, 0, 0)
    /// Checks the element's contract in debug builds.
    @usableFromInline let contract: Unmanaged<Contract>

    /// The number of an item made from `parent` among those of its turn; children of one parent are consecutive.
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

// Nodes are always reached by pointer: with these, `node.pointee.entered` is written `node.entered`.
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
    /// Returns an item to the pool.
    @inline(__always) func release(_ i: Int32) { pointee.pool.pointee.release(i) }
}

/// State shared by all elements of one run.
@frozen
@usableFromInline
struct RunState {
    /// Packets that have entered so far, including lost ones: the number of the next.
    @usableFromInline var arrived: UInt64 = 0
    /// The earliest armed timer of any element.
    @usableFromInline var nextDue: Int64 = .max
    /// The cause of the current call; items made without a parent inherit it.
    @usableFromInline var origin = Origin()
    /// Counts up whenever everything before is through: for what is merged later, elsewhere.
    @usableFromInline var moment: UInt64 = 0
    /// The input has ended, and the elements release what they hold.
    @usableFromInline var isFinishing = false
    /// Items made without a parent since the call began.
    @usableFromInline var children: UInt16 = 0
    /// Flows whose end was announced but not yet told to the elements.
    @usableFromInline var ended: UnsafeMutablePointer<EndedFlow>
    @usableFromInline var endedCount: Int = 0
    @usableFromInline var endedCapacity: Int
    /// The marker sent by the current call, and the flow whose marker its item waits for.
    @usableFromInline var marker: FlowRef?
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

/// The cause of a call: a packet that entered, or a timer after one.
@frozen
public struct Origin: Equatable, Sendable, BitwiseCopyable {
    /// The time of items made by the call, in functional nanoseconds.
    public var time: Int64
    /// The sequence number of items made by the call.
    public var sequence: UInt64
    /// The packet after which, and before whose successor, all of this happens; equals `sequence` unless an item was held.
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
