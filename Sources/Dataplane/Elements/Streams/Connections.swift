// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux

/// What everyone who follows streams knows of a connection.
struct Connection: BitwiseCopyable {
    /// It has begun and not ended; of zeroed memory that says no.
    fileprivate var isLive = false
    fileprivate var generation: UInt32 = 0
    /// Connections are counted from 0 in the order of their first packets.
    fileprivate(set) var number: UInt32 = 0
    fileprivate(set) var ends = StreamEnds()

    /// The columns that records of connections begin with.
    static let columns: [(name: String, type: Layout.FieldType)] = [
        ("stream", .u32), ("src", .address), ("sport", .u16), ("dst", .address), ("dport", .u16),
    ]
}

extension RecordWriter {
    /// Writes ``Connection/columns``; `source` is the direction whose sender is `src`.
    mutating func put(_ connection: Connection, source: Int) {
        let ends = source == 0 ? connection.ends : connection.ends.reversed
        put(connection.number)
        put(ends.source)
        put(ends.sourcePort)
        put(ends.destination)
        put(ends.destinationPort)
    }
}

/// What an element keeps of a connection that it follows.
protocol ConnectionState: BitwiseCopyable {
    var connection: Connection { get set }
    init()
}

/// The connections that an element follows, by number of flow: a state begins with the first packet, and ends with the flow.
final class Connections<State: ConnectionState> {
    let states: UnsafeMutablePointer<State>
    /// How many have begun.
    @exclusivity(unchecked) private(set) var count: UInt32 = 0
    private let memory: ZeroedMemory<State>
    private let flows: UInt32

    init(_ setup: Setup) throws {
        flows = UInt32(setup.flows)
        memory = try ZeroedMemory(setup.flows)
        states = memory.base
    }

    deinit { memory.deallocate() }

    /// The state of the connection that a packet belongs to, begun where there is none; nil where it belongs to none.
    @inline(__always)
    func find(_ p: UnsafeMutablePointer<Item>) -> UnsafeMutablePointer<State>? {
        let index = UInt32(bitPattern: p.pointee.flow.index)
        guard index < flows, p.pointee.ipProtocol == 6 else { return nil }
        let state = states + Int(index)
        if !isOf(state, p.pointee.flow) { begin(p, state) }
        return state
    }

    @inline(__always)
    private func isOf(_ state: UnsafeMutablePointer<State>, _ flow: FlowRef) -> Bool {
        state.pointee.connection.isLive && state.pointee.connection.generation == flow.generation
    }

    @inline(never)
    private func begin(_ p: UnsafeMutablePointer<Item>, _ state: UnsafeMutablePointer<State>) {
        state.pointee = State()
        state.pointee.connection = Connection(
            isLive: true,
            generation: p.pointee.flow.generation,
            number: count,
            ends: StreamEnds(p)
        )
        count &+= 1
    }

    /// The state of a flow's connection, if it has begun and not ended.
    @inline(__always)
    func peek(_ flow: FlowRef) -> UnsafeMutablePointer<State>? {
        let index = UInt32(bitPattern: flow.index)
        guard index < flows, isOf(states + Int(index), flow) else { return nil }
        return states + Int(index)
    }

    /// The flow of a state.
    func flow(of state: UnsafeMutablePointer<State>) -> FlowRef {
        FlowRef(index: Int32(state - states), generation: state.pointee.connection.generation)
    }

    /// Ends the connection of a flow; its state, if there was one, is to be read at once.
    func end(_ flow: FlowRef) -> UnsafeMutablePointer<State>? {
        guard let state = peek(flow) else { return nil }
        state.pointee.connection.isLive = false
        return state
    }

    /// Asks the cache for the states that a batch needs.
    @inline(__always)
    func prefetch(_ batch: Batch) {
        for k in 0..<batch.count {
            let index = UInt32(bitPattern: batch[k].pointee.flow.index)
            if index < flows { clinux_prefetch_for_write(states + Int(index)) }
        }
    }
}
