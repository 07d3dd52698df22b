// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A flow that has ended, on its way to the elements that keep state for it.
@frozen
public struct EndedFlow: Sendable {
    /// The element (a flow table) that announced the end.
    public var table: Int32
    /// The flow, as the table numbers it.
    public var flow: FlowRef
    /// What ended it.
    public var reason: FlowEnd
    /// What caused the end.
    public var origin: Origin
}

/// Why a flow ended.
@frozen
public enum FlowEnd: UInt8, Sendable, CaseIterable {
    /// Its 4-tuple was used again by a new connection.
    case reused
    /// No packet for the idle time-out.
    case idle
    /// The table was full and made room.
    case evicted
    /// The input ended.
    case eof
    /// Both sides of its connection had finished, as an element said that follows it.
    case finished
    /// A RST had ended its connection, as an element said that follows it.
    case reset
}

extension FlowEnd {
    /// The words of records for how a connection ended, by number.
    static let words = ["rst", "fin", "idle", "eof", "evicted"]

    /// The number among ``words`` of the strongest cause: a RST or FIN that was seen, else why the flow ended.
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
