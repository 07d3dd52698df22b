// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A flow that has ended, on its way to the elements that keep state for it.
@frozen
public struct EndedFlow: Sendable {
    /// The number of the flow table that announced the end.
    public var table: Int32
    /// The flow's reference in that table.
    public var flow: FlowRef
    /// Why the flow ended.
    public var reason: FlowEnd
    /// The packet or timer that caused the end.
    public var origin: Origin
}

/// Why a flow ended.
@frozen
public enum FlowEnd: UInt8, Sendable, CaseIterable {
    /// A new connection reused its 4-tuple.
    case reused
    /// No packet arrived for the idle time-out.
    case idle
    /// The table was full and needed the room.
    case evicted
    /// The input ended.
    case eof
    /// An element that follows the connection reported that both sides had finished.
    case finished
    /// An element that follows the connection reported a RST.
    case reset
}

extension FlowEnd {
    /// The words records use for the end of a connection, by number.
    static let words = ["rst", "fin", "idle", "eof", "evicted"]

    /// The number in ``words`` of the strongest cause: a RST or FIN if one was seen, else the reason the flow ended.
    func strongest(rst: Bool, fin: Bool) -> UInt8 {
        if rst { return 0 }
        if fin { return 1 }
        return switch self {
        case .reset: 0
        case .finished: 1
        case .idle: 2
        case .eof, .reused: 3
        case .evicted: 4
        }
    }
}
