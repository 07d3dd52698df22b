// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway

/// What `spillway list --interfaces` writes.
enum InterfaceList {
    /// The titles of the columns.
    static let columns = [
        "interface", "kind", "up", "carrier", "mtu", "mac", "addresses", "offloads", "can be opened",
    ]

    /// One row for each interface.
    static func table(_ states: [InterfaceState]) -> Table {
        var table = Table(columns.map { ($0, $0 == "mtu" ? .right : .left) })
        table.rows = states.map { state in
            [
                state.interface.name, state.interface.kind, state.interface.isUp ? "yes" : "no",
                state.hasCarrier ? "yes" : "no", "\(state.interface.mtu)", state.station.map { "\($0)" } ?? "",
                addresses(state).joined(separator: ", "),
                state.offloads.map { $0.map(\.rawValue).joined(separator: " ") } ?? "?",
                state.obstacle.map { "no: \($0)" } ?? "yes",
            ]
        }
        return table
    }

    /// The same for programs.
    static func json(_ states: [InterfaceState]) -> JSON {
        let list = states.map { state in
            JSON.object([
                ("name", .string(state.interface.name)), ("index", .integer(Int64(state.interface.index))),
                ("kind", .string(state.interface.kind)),
                ("link_type", state.interface.linkType.map { .string(LinkType.name($0)) } ?? .null),
                ("up", .bool(state.interface.isUp)), ("carrier", .bool(state.hasCarrier)),
                ("mtu", .integer(Int64(state.interface.mtu))),
                ("mac", state.station.map { .string("\($0)") } ?? .null),
                ("addresses", .array(addresses(state).map { .string($0) })),
                ("offloads", state.offloads.map { .array($0.map { .string($0.rawValue) }) } ?? .null),
                ("can_be_opened", .bool(state.obstacle == nil)),
                ("obstacle", state.obstacle.map { .string($0) } ?? .null),
            ])
        }
        return .object([("interfaces", .array(list))])
    }

    private static func addresses(_ state: InterfaceState) -> [String] {
        state.addresses.map { "\($0.address)/\($0.length)" }
    }
}
