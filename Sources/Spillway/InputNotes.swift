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
            warnings += (source as? CaptureSource)?.warnings ?? []
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
}
