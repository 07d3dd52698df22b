// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// Overlapping segments among those that wait.
extension TCPReassembler {
    /// What a segment brings, beside those that wait.
    enum News {
        case something
        /// The same bytes are already waiting, with the same range.
        case nothing
        /// Its bytes wait in so many copies already that it may not wait, too.
        case tooMany
    }

    /// How many copies of a segment's bytes may wait, on average: what making them agree costs is bounded by that.
    static var mostCopies: Int { 32 }

    /// Makes a segment and the waiting ones agree on every byte they share. Those that acknowledge bytes not yet sent yield to
    /// others: the receiver may never accept them.
    @discardableResult
    func resolveOverlap(
        _ i: Int32,
        _ segment: TCPSegment,
        at place: Int32,
        leaves: Bool,
        _ context: borrowing Context
    ) -> News {
        let list = directions.state(at: place).pointee.waiting
        guard segment.size > 0, TCPSequence.precedes(segment.start, list.farthest) else { return .something }
        let (count, shared) = held.find(segment.start, segment.end, in: list)
        if count == 0 { return .something }
        if !leaves, shared > TCPReassembler.mostCopies * Int(segment.size) { return .tooMany }
        counters.overlaps &+= 1
        var isKnown = false
        for k in 0..<count {
            let old = held.found(k, of: count)
            context[old.pointee.item].flags.insert(.overlapped)
            if old.pointee.start == segment.start, old.pointee.end == segment.end,
                old.pointee.captured >= segment.captured
            {
                isKnown = true
            }
        }
        let new = HeldSegments.Node(i, segment, .none)
        if isInAgreement(new, with: count, context) { return isKnown ? .nothing : .something }
        counters.conflicts &+= 1
        context[i].flags.insert(.conflict)
        let isNewAhead = !leaves && segment.isACK && isAhead(segment.acknowledgment, at: place)
        // First the segments that keep their bytes write them to the new one, then the new one writes to those that yield, so
        // that a byte kept by any segment is kept by all.
        for keeps in [true, false] {
            for k in 0..<count {
                let old = held.found(k, of: count).pointee
                var yields = config.overlap.yields(
                    start: TCPSequence.distance(segment.start, from: old.start),
                    end: TCPSequence.distance(segment.end, from: old.end)
                )
                if isAhead(old, at: place, context) != isNewAhead { yields = !isNewAhead }
                if yields == keeps { continue }
                let (source, target) = keeps ? (old, new) : (new, old)
                if copySharedBytes(from: source, to: target, context) { context[old.item].flags.insert(.conflict) }
            }
        }
        return .something
    }

    /// Whether a segment has the same bytes as those just found. These agree with each other, so each byte is compared once.
    private func isInAgreement(_ new: HeldSegments.Node, with count: Int, _ context: borrowing Context) -> Bool {
        let bytes = context[new.item].payloadBytes
        var done: Int32 = 0
        for k in 0..<count {
            let old = held.found(k, of: count).pointee
            let offset = TCPSequence.distance(old.start, from: new.start)
            let from = max(offset, done)
            let to = min(Int32(new.captured), offset &+ Int32(old.captured))
            if from >= to { continue }
            work.compared += Int(to - from)
            let other = context[old.item].payloadBytes + Int(from - offset)
            if firstDifference(bytes + Int(from), other, Int(to - from)) != nil { return false }
            done = to
        }
        return true
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
        if firstDifference(context[target.item].payloadBytes + Int(from), new, count) == nil { return false }
        context.own(target.item)
        let p = context[target.item]
        let place = p.writableData + Int(p.payload) + Int(from)
        work.copied += count
        // What is not filled in does not change.
        if p.flags.contains(.unsummed) {
            place.copyMemory(from: new, byteCount: count)
            return true
        }
        // The checksum stays as right, or wrong, as it was (RFC 1624 section 3). It sums words from the header's beginning on.
        let isOdd = (Int(p.payload) + Int(from) - Int(p.l4)) & 1 == 1
        let (old, sum) = (Checksum.fold(Checksum.sum(place, count)), Checksum.fold(Checksum.sum(new, count)))
        place.copyMemory(from: new, byteCount: count)
        let tcp = MutableTCPView(known: p)
        let field = Checksum.update(
            tcp.checksum.bigEndian,
            isOdd ? old.byteSwapped : old,
            isOdd ? sum.byteSwapped : sum
        )
        tcp.checksum = field.bigEndian
        return true
    }

    // MARK: Copies of what has left

    /// Remembers bytes that leave, until they are acknowledged.
    @inline(__always)
    func remember(
        _ p: Packet,
        _ bytes: UnsafeRawPointer,
        _ count: Int,
        at sequence: UInt32,
        of own: UnsafeMutablePointer<TCPDirection>
    ) {
        let place = directions.index(of: own)
        if own.pointee.marks.contains(.unacknowledgedKnown), !own.pointee.sent.isEmpty {
            sent.release(before: own.pointee.unacknowledged, of: place)
        }
        sent.append(bytes, count, at: sequence, of: place)
        work.copied += count
    }

    /// Compares the bytes of a segment before `end` with those that left before, if the receiver may still take them. A packet
    /// of which not all are known to be the same is marked.
    @inline(never)
    func compare(_ i: Int32, _ segment: TCPSegment, upTo end: UInt32, at place: Int32, _ context: borrowing Context) {
        let own = directions.state(at: place)
        var from: UInt32 = 0
        let other = directions.state(at: place ^ 1)
        let isClosed = own.pointee.marks.contains(.ended) && other.pointee.marks.contains(.ended)
        // What a SYN-ACK says counts once it is answered.
        let isBelieved = other.pointee.marks.intersection([.synSeen, .answered]) != .synSeen
        if own.pointee.marks.intersection([.unacknowledgedKnown, .doubted]) == .unacknowledgedKnown, isBelieved,
            !isClosed
        {
            from = UInt32(max(0, TCPSequence.distance(own.pointee.unacknowledged, from: segment.start)))
        }
        let size = min(segment.size, end &- segment.start)
        if from >= size { return }
        let p = context[i]
        let count = max(0, Int(min(size, segment.captured)) - Int(from))
        work.compared += count
        let isCut = segment.captured < size
        switch sent.compare(p.payloadBytes + Int(from), count, at: segment.start &+ from, of: place) {
        case .same where !isCut: return
        case .same, .unknown: counters.unknown &+= 1
        case .differs(let at):
            counters.inconsistent &+= 1
            p.flags.insert(.conflict)
            record(i, segment, Int(from) + at, at: place, context)
        }
        p.flags.insert(.unread)
    }

    static let conflictColumns: [(String, Layout.FieldType)] = [
        ("time_ns", .time), ("src", .address), ("sport", .u16), ("dst", .address), ("dport", .u16),
        ("direction", .word(["forward", "reverse"])), ("sequence", .u32), ("before", .text), ("now", .text),
    ]
    /// The most bytes of either copy that a record shows.
    private static let shown = 32

    /// Makes a record of a copy that differs from the byte at `offset` on.
    private func record(
        _ i: Int32,
        _ segment: TCPSegment,
        _ offset: Int,
        at place: Int32,
        _ context: borrowing Context
    ) {
        guard context.isConnected(2) else { return }
        let p = context[i]
        let count = min(TCPReassembler.shown, Int(segment.captured) - offset)
        let before = sent.bytes(from: segment.start &+ UInt32(offset), most: count, of: place)
        guard let j = context.make(from: i, capacity: conflictSize + before.count + count + labels.bytes) else {
            counters.missed &+= 1
            return
        }
        let ends = p.isReverse ? StreamEnds(p).reversed : StreamEnds(p)
        var out = TextRecordWriter(context[j].writableData, size: conflictSize)
        out.fields.put(p.time)
        out.fields.put(ends.source)
        out.fields.put(ends.sourcePort)
        out.fields.put(ends.destination)
        out.fields.put(ends.destinationPort)
        out.fields.put(UInt8(p.isReverse ? 1 : 0))
        out.fields.put(segment.start &+ UInt32(offset))
        before.withUnsafeBytes { out.put(text: $0) }
        out.put(text: UnsafeRawBufferPointer(start: p.payloadBytes + offset, count: count))
        labels.put(into: &out)
        _ = out.finish()
        context[j].layout = conflictLayout
        context.did(.record, 1)
        context.emit(j, 2)
    }
}

extension Packet {
    /// The first byte of the payload. The caller must check how many bytes are there.
    var payloadBytes: UnsafeRawPointer { data + Int(payload) }
}
