// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// Overlapping segments among those that wait.
extension TCPReassembler {
    /// Makes a segment and the waiting ones agree on every byte they share. True if it brings nothing: the same bytes are
    /// already waiting, with the same range. A segment that `leaves` at once keeps its bytes against those that acknowledge
    /// bytes not yet sent: the receiver may never accept these.
    @discardableResult
    func resolveOverlap(
        _ i: Int32,
        _ segment: TCPSegment,
        at place: Int32,
        leaves: Bool,
        _ context: borrowing Context
    ) -> Bool {
        let own = directions.state(at: place)
        guard segment.size > 0, TCPSequence.precedes(segment.start, own.pointee.waiting.farthest) else { return false }
        let new = HeldSegments.Node(i, segment, .none)
        var isKnown = false
        var isConflict = false
        var isOverlap = false
        // First the segments that keep their bytes write them to the new one, then the new one writes to those that yield, so
        // that a byte kept by any segment is kept by all.
        for keeps in [true, false] {
            var n = own.pointee.waiting.first
            while n >= 0, TCPSequence.precedes(held.nodes[Int(n)].start, segment.end) {
                let old = held.nodes[Int(n)]
                n = old.next
                guard TCPSequence.precedes(segment.start, old.end) else { continue }
                isOverlap = true
                if old.start == segment.start, old.end == segment.end, old.captured >= segment.captured {
                    isKnown = true
                }
                var yields = config.overlap.yields(
                    start: TCPSequence.distance(segment.start, from: old.start),
                    end: TCPSequence.distance(segment.end, from: old.end)
                )
                if leaves, isAhead(old, at: place, context) { yields = true }
                if yields == keeps { continue }
                let (source, target) = keeps ? (old, new) : (new, old)
                if copySharedBytes(from: source, to: target, context) {
                    isConflict = true
                    context[old.item].flags.insert(.conflict)
                    context[i].flags.insert(.conflict)
                }
                context[old.item].flags.insert(.overlapped)
            }
        }
        if isOverlap { counters.overlaps &+= 1 }
        if isConflict { counters.conflicts &+= 1 }
        return isKnown && !isConflict
    }

    /// Sets the bytes that two segments share to the values in `source`; true if `target` had others.
    private func copySharedBytes(
        from source: HeldSegments.Node,
        to target: HeldSegments.Node,
        _ context: borrowing Context
    ) -> Bool {
        let offset = TCPSequence.distance(source.start, from: target.start)
        let from = max(offset, 0)
        let to = min(Int32(target.captured), offset &+ Int32(source.captured))
        guard from < to else { return false }
        let count = Int(to - from)
        let new = context[source.item].payloadBytes + Int(from - offset)
        work.compared += count
        if areEqual(context[target.item].payloadBytes + Int(from), new, count) { return false }
        context.own(target.item)
        let place = context[target.item].writableData + Int(context[target.item].payload) + Int(from)
        place.copyMemory(from: new, byteCount: count)
        work.copied += count
        return true
    }

    private func areEqual(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Bool {
        var k = 0
        while k + 8 <= count {
            if a.loadUnaligned(fromByteOffset: k, as: UInt64.self)
                != b.loadUnaligned(fromByteOffset: k, as: UInt64.self)
            {
                return false
            }
            k += 8
        }
        while k < count {
            if a.byte(k) != b.byte(k) { return false }
            k += 1
        }
        return true
    }
}

extension Packet {
    /// The first byte of the payload. The caller must check how many bytes are there.
    fileprivate var payloadBytes: UnsafeRawPointer { data + Int(payload) }
}
