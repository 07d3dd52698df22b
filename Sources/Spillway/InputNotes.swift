// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import Reports

/// Notes on the captures of a run or a model, once they have been read.
public struct InputNotes {
    /// Oddities, in sentences.
    public private(set) var warnings: [String] = []
    /// Packets with a timestamp earlier than their predecessor's, over all wires.
    public private(set) var backwards: UInt64 = 0
    /// The error that ended a capture early; nil if there was none. The packets before it were used.
    public private(set) var failure: (any Error)?

    /// Collects the notes of all wires' sources.
    public init(_ instance: Instance) {
        for number in instance.bindings.keys.sorted() {
            guard let source = instance.bindings[number]?.source else { continue }
            let wire = "wire '\(instance.spec.nodes[number].name)'"
            warnings += (source as? any CaptureInput)?.warnings ?? []
            for (linkType, packets) in source.linkTypes where !LinkType.isSupported(linkType) {
                warnings.append(
                    "\(wire): \(packets) packets of link type \(LinkType.name(linkType)) (\(linkType)), "
                        + "whose headers are not known here"
                )
            }
            if source.backwards > 0 {
                warnings.append(
                    "\(wire): \(grouped(source.backwards)) packets had a stamp before that of an earlier packet"
                )
            }
            if source.packets == 0, source.failure == nil { warnings.append("\(wire): no packet came in") }
            backwards += source.backwards
            failure = failure ?? source.failure
        }
    }

    /// Adds what sinks dropped: results that are missing where a user looks for them.
    mutating func noteDrops(at instance: Instance) {
        for number in instance.spec.nodes.indices where instance.spec.nodes[number].type.category == .sinks {
            let counts = instance.counts(number)
            for drop in counts.drops {
                let about = instance.spec.nodes[number].type.drops.first { $0.name == drop.reason }?.about
                warnings.append(
                    "'\(counts.name)' dropped \(grouped(drop.count)) items, which it did not write: \(drop.reason)"
                        + (about.map { " (\($0))" } ?? "")
                )
            }
        }
    }
}
