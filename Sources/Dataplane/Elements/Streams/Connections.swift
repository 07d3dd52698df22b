// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The part of a connection's state common to all followers of streams.
struct Connection: BitwiseCopyable {
    /// Number of the connection, from 0 in order of first packets; of several threads each counts its own, in steps.
    fileprivate(set) var number: UInt32 = 0
    fileprivate(set) var ends = StreamEnds()

    /// The columns that records of connections begin with.
    static let columns: [(name: String, type: Layout.FieldType)] = [
        ("stream", .u32), ("src", .address), ("sport", .u16), ("dst", .address), ("dport", .u16),
    ]
}

extension RecordWriter {
    /// Writes ``Connection/columns``; `source` is the direction whose sender becomes `src`.
    mutating func put(_ connection: Connection, source: Int) {
        let ends = source == 0 ? connection.ends : connection.ends.reversed
        put(connection.number)
        put(ends.source)
        put(ends.sourcePort)
        put(ends.destination)
        put(ends.destinationPort)
    }
}

/// An element's state for a connection that it follows.
protocol ConnectionState: BitwiseCopyable {
    var connection: Connection { get set }
    init()
}

/// The connections that an element follows, by flow number: a state begins with the first packet, and ends with the flow.
final class Connections<State: ConnectionState> {
    let states: FlowArray<State>
    /// Connections begun so far.
    @exclusivity(unchecked) private(set) var count: UInt32 = 0
    private let share: (number: UInt32, of: UInt32)

    init(_ setup: Setup) throws {
        states = try FlowArray(flows: setup.flows)
        share = (UInt32(setup.share.number), UInt32(setup.share.of))
    }

    /// The state of the connection that a packet belongs to, begun if necessary; nil if it has no flow.
    @inline(__always)
    func find(_ p: Packet) -> UnsafeMutablePointer<State>? {
        guard p.ipProtocol == IPProtocol.tcp, p.hasTransport else { return nil }
        return states[p.flow] ?? begin(p)
    }

    @inline(never)
    private func begin(_ p: Packet) -> UnsafeMutablePointer<State>? {
        guard let state = states.begin(p.flow, State()) else { return nil }
        state.pointee.connection = Connection(number: count &* share.of &+ share.number, ends: StreamEnds(p))
        count &+= 1
        return state
    }

    /// The state of a flow's connection, if it has begun and not ended.
    @inline(__always)
    func peek(_ flow: FlowRef) -> UnsafeMutablePointer<State>? { states[flow] }

    /// Ends the connection of a flow; its state, if any, must be read at once.
    func end(_ flow: FlowRef) -> UnsafeMutablePointer<State>? { states.end(flow) }

    /// Prefetches the states that a batch needs.
    @inline(__always)
    func prefetch(_ batch: Batch) {
        for k in 0..<batch.count { states.prefetch(batch[k].flow) }
    }
}
