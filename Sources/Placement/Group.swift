// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Model

/// Elements that must be on the same side; most are alone.
struct Group {
    var members: [Int]
    /// The side they must be on; nil if free.
    var side: Side?
    /// The reason they must.
    var why: String?

    static func all(_ spec: GraphSpec) throws(ModelError) -> [Group] {
        var group = Array(spec.nodes.indices)
        for set in spec.together {
            guard let first = set.first else { continue }
            for member in set {
                let (from, to) = (group[member], group[first])
                for k in group.indices where group[k] == from { group[k] = to }
            }
        }
        var groups: [Group] = []
        for number in spec.nodes.indices {
            let members = spec.nodes.indices.filter { group[$0] == group[number] }
            if members.first != number { continue }
            var result = Group(members: members, side: nil, why: nil)
            for member in members {
                let node = spec.nodes[member]
                guard let pin = node.pin else { continue }
                if let side = result.side, side != pin.side {
                    throw .noPlacement(
                        "'\(node.name)' must be on the \(pin.side), together with an element that must not"
                    )
                }
                result.side = pin.side
                result.why =
                    members.count == 1
                    ? pin.reason : "'\(node.name)' must be on the \(pin.side) and they stay together"
            }
            groups.append(result)
        }
        return groups
    }

    /// The sides in placement number `choice`: one bit per free group, set for the NIC.
    static func sides(_ groups: [Group], _ count: Int, _ choice: Int) -> [Side] {
        var sides = Array(repeating: Side.host, count: count)
        var bit = 0
        for group in groups {
            let side: Side
            if let fixed = group.side {
                side = fixed
            } else {
                side = choice >> bit & 1 == 1 ? .nic : .host
                bit += 1
            }
            for member in group.members { sides[member] = side }
        }
        return sides
    }
}
