// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import Reports

/// What there is to say about the captures of a run or a model, once they were read.
public struct InputNotes {
    /// What was odd, in sentences.
    public private(set) var warnings: [String] = []
    /// Packets whose stamp lay before that of an earlier one, over all wires.
    public private(set) var backwards: UInt64 = 0
    /// Why a capture ended before its natural end; nil when none did. What stands before that was used.
    public private(set) var failure: (any Error)?

    /// Asks the sources of all wires.
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
