// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux

/// An element's per-flow state, found by the ``FlowRef`` that packets carry.
///
/// A slot of the flow table is reused once its flow has ended, so an index alone does not say whose state it holds. Here a
/// state is found only from ``begin(_:_:)`` to ``end(_:)``, and only with the generation that it began with.
///
/// ```swift
/// struct Seen: BitwiseCopyable { var packets: UInt64 = 0 }
/// static let stateBytesPerFlow = FlowArray<Seen>.bytesPerFlow
/// let seen: FlowArray<Seen>               // in init: try FlowArray(flows: setup.flows)
///
/// let flow = batch[k].flow        // in process, for each packet
/// if let state = seen[flow] ?? seen.begin(flow, Seen()) { state.pointee.packets &+= 1 }
///
/// seen.end(flow)                          // in flowEnded
/// ```
///
/// The system supplies the memory untouched, so an array for many flows uses memory only for flows that exist.
public struct FlowArray<State: BitwiseCopyable>: ~Copyable {
    /// The number of flows it can hold: the capacity of the upstream flow table.
    public let flows: Int
    @usableFromInline let base: UnsafeMutableRawPointer
    private let memory: ZeroedMemory<UInt64>

    // A record is a word followed by the state. The word is twice the generation, plus 1 while the state has begun and not
    // ended: one comparison checks both, and zeroed memory means not begun.
    @inlinable @inline(__always)
    static func live(_ generation: UInt32) -> UInt64 { UInt64(generation) &* 2 &+ 1 }
    @inlinable @inline(__always)
    static var stateOffset: Int { max(MemoryLayout<UInt64>.size, MemoryLayout<State>.alignment) }

    /// Bytes that the state of one flow takes, including 8 to find it by: so 56 bytes of state fill a cache line. Use it for
    /// ``ElementType/stateBytesPerFlow``.
    @inlinable @inline(__always)
    public static var bytesPerFlow: Int {
        let alignment = max(MemoryLayout<UInt64>.alignment, MemoryLayout<State>.alignment)
        return (stateOffset + MemoryLayout<State>.size + alignment - 1) / alignment * alignment
    }

    /// An array in which no state has begun. Throws if the system lacks the memory.
    ///
    /// - Parameter flows: the number of flows there may be, ``Setup/flows``; 0 makes an array that holds nothing.
    public init(flows: Int) throws(OutOfMemory) {
        precondition(flows >= 0 && flows <= Int(Int32.max), "number of flows out of range")
        let memory = try ZeroedMemory<UInt64>(flows * Self.bytesPerFlow / MemoryLayout<UInt64>.size)
        self.flows = flows
        self.memory = memory
        base = UnsafeMutableRawPointer(memory.base)
    }

    deinit { memory.deallocate() }

    @inlinable @inline(__always)
    func record(_ index: UInt32) -> UnsafeMutableRawPointer { base + Int(index) &* Self.bytesPerFlow }

    @inlinable @inline(__always)
    static func state(of record: UnsafeMutableRawPointer) -> UnsafeMutablePointer<State> {
        (record + stateOffset).assumingMemoryBound(to: State.self)
    }

    /// The state of a flow; nil if it has not begun, or has ended, or the reference is no flow.
    @inlinable @inline(__always)
    public subscript(_ flow: FlowRef) -> UnsafeMutablePointer<State>? {
        let index = UInt32(bitPattern: flow.index)
        guard Int(index) < flows else { return nil }
        let record = record(index)
        guard record.load(as: UInt64.self) == Self.live(flow.generation) else { return nil }
        return Self.state(of: record)
    }

    /// Begins the state of a flow, replacing whatever its slot held; nil if the reference is no flow.
    @inlinable
    @discardableResult
    public func begin(_ flow: FlowRef, _ state: State) -> UnsafeMutablePointer<State>? {
        let index = UInt32(bitPattern: flow.index)
        guard Int(index) < flows else { return nil }
        let record = record(index)
        record.storeBytes(of: Self.live(flow.generation), as: UInt64.self)
        Self.state(of: record).initialize(to: state)
        return Self.state(of: record)
    }

    /// Ends the state of a flow, which is no longer found; nil if there was none. It stays readable until another flow's state
    /// begins in its slot.
    @inlinable
    @discardableResult
    public func end(_ flow: FlowRef) -> UnsafeMutablePointer<State>? {
        guard let state = self[flow] else { return nil }
        record(UInt32(bitPattern: flow.index)).storeBytes(of: Self.live(flow.generation) &- 1, as: UInt64.self)
        return state
    }

    /// Prefetches the state of a flow for writing. Worthwhile for a whole batch before its first packet is processed.
    @inlinable @inline(__always)
    public func prefetch(_ flow: FlowRef) {
        let index = UInt32(bitPattern: flow.index)
        if Int(index) < flows { clinux_prefetch_for_write(record(index)) }
    }

    // MARK: By index, for lists of flows

    /// The state in a slot, live or not.
    @inline(__always)
    func state(at index: Int32) -> UnsafeMutablePointer<State> {
        assert(index >= 0 && Int(index) < flows, "no flow has the index \(index)")
        return Self.state(of: record(UInt32(bitPattern: index)))
    }

    /// The state `count` slots after another.
    @inline(__always)
    func state(_ state: UnsafeMutablePointer<State>, plus count: Int) -> UnsafeMutablePointer<State> {
        (UnsafeMutableRawPointer(state) + count &* Self.bytesPerFlow).assumingMemoryBound(to: State.self)
    }

    /// The slot of a state.
    @inline(__always)
    func index(of state: UnsafeMutablePointer<State>) -> Int32 {
        Int32(truncatingIfNeeded: (UnsafeMutableRawPointer(state) - base) / Self.bytesPerFlow)
    }

    /// The flow that a state belongs to, or belonged to when it ended.
    func flow(of state: UnsafeMutablePointer<State>) -> FlowRef {
        let word = (UnsafeMutableRawPointer(state) - Self.stateOffset).load(as: UInt64.self)
        return FlowRef(index: index(of: state), generation: UInt32(truncatingIfNeeded: word &>> 1))
    }

    /// The links within the states, for lists of flows.
    func links(at path: KeyPath<State, IndexList.Link>) -> IndexList.Links {
        IndexList.Links(first: column(at: path).first, stride: Self.bytesPerFlow)
    }

    /// One property of all states, by slot.
    func column<Property>(at path: KeyPath<State, Property>) -> FlowColumn<Property> {
        guard let offset = MemoryLayout<State>.offset(of: path) else { preconditionFailure("no stored property") }
        return FlowColumn(first: base + (Self.stateOffset + offset), stride: Self.bytesPerFlow)
    }
}

/// One property of all states of a ``FlowArray``.
struct FlowColumn<Property: BitwiseCopyable>: BitwiseCopyable {
    fileprivate let first: UnsafeMutableRawPointer
    fileprivate let stride: Int

    @inline(__always)
    subscript(_ slot: Int32) -> UnsafeMutablePointer<Property> {
        (first + Int(slot) &* stride).assumingMemoryBound(to: Property.self)
    }
}
