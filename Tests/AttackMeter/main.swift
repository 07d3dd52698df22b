// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import TestSupport

/// The run whose instructions callgrind counts: valgrind is told its name, `$s12attack_meter7countedyy9Dataplane13DirectRuntimeCKF`.
@inline(never) @_optimize(none)
func counted(_ runtime: DirectRuntime) throws { try runtime.run() }

/// Puts an attack of some packets, or its honest twin, through the graph that all attacks are tried on.
func measure(_ attack: Attack, _ count: Int, isHonest: Bool) throws {
    var twin = Attack.Twin(attack)
    let packets = (0..<count).map { number in
        var bytes = attack.packet(number, of: count)
        if isHonest { bytes = twin.packet(like: bytes) }
        let time = 1_000 * Int64(number + 1)
        return MemorySource.Packet(bytes: bytes, wireLength: bytes.count, time: time, linkType: LinkType.raw)
    }
    let binding = WireBinding(source: MemorySource(packets))
    let instance = try Instance(graph(yaml: Attack.graph), bindings: [0: binding], services: KeptFiles())
    try counted(DirectRuntime(instance))
}

let names = CommandLine.arguments.dropFirst()
guard let attack = names.first.flatMap(Attack.init) else {
    fatalError("usage: attack-meter ATTACK [honest] PACKETS...")
}
let isHonest = names.dropFirst().first == "honest"
for count in names.compactMap({ Int($0) }) { try measure(attack, count, isHonest: isHonest) }
