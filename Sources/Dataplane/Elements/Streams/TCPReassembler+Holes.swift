// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// Segments behind holes: they wait until the hole is filled, or until `on_gap` decides.
extension TCPReassembler {
    /// Holds a segment until those before it have arrived.
    func hold(
        _ i: Int32,
        _ segment: TCPSegment,
        _ ending: TCPEnding,
        at place: Int32,
        _ context: borrowing Context
    ) {
        let own = directions.state(at: place)
        let time = turn.now
        let size = Int(segment.size)
        while true {
            let list = own.pointee.waiting
            let blocked: Int32
            if Int(list.count) >= config.flowSegments || Int(list.bytes) + size > config.flowBytes {
                blocked = list.isEmpty ? -1 : place
            } else if held.isFull || held.bytes + size > config.bytes {
                blocked = holes.first
            } else {
                break
            }
            guard blocked >= 0, !isSkipped(segment, at: place, with: blocked), unblock(blocked, at: time, context)
            else {
                return giveUp(i, segment, ending, at: place, context)
            }
            if own.pointee.marks.contains(.dropped) { return context.drop(i, Drop.flowDropped) }
            // The direction it waits in may have ended by now.
            switch own.pointee.place(of: segment) {
            case .early: continue
            case .next where segment.isACK && isAhead(segment.acknowledgment, at: place): continue
            case let position: return dispatch(i, segment, position, at: place, context)
            }
        }
        switch resolveOverlap(i, segment, at: place, leaves: false, context) {
        case .tooMany: return context.drop(i, Drop.copies)
        case .nothing where ending == .none:
            counters.again &+= 1
            // Whoever follows has not read the bytes of which it is a copy, and the receiver takes either.
            if remembers { context[i].flags.insert(.unread) }
            return bypass(i, context)
        case .nothing, .something: break
        }
        counters.early &+= 1
        if own.pointee.waiting.isEmpty { addToHoleList(place, since: time) }
        held.insert(HeldSegments.Node(i, segment, ending), in: &own.pointee.waiting)
        context.hold(i)
    }

    /// Whether segments wait for bytes before them, not for those of the other side.
    func hasHole(_ direction: UnsafeMutablePointer<TCPDirection>) -> Bool {
        guard let start = held.start(of: direction.pointee.waiting) else { return false }
        return TCPSequence.precedes(direction.pointee.next, start)
    }

    /// Whether a segment's bytes would be skipped together with the hole that others of its direction wait behind.
    private func isSkipped(_ segment: TCPSegment, at place: Int32, with blocked: Int32) -> Bool {
        let own = directions.state(at: place)
        guard blocked == place || blocked == place ^ 1 && !hasHole(directions.state(at: blocked)), hasHole(own),
            let start = held.start(of: own.pointee.waiting)
        else { return false }
        return config.onGap != .wait && TCPSequence.precedes(segment.start, start)
    }

    /// Handles a segment that has to wait when there is no room.
    private func giveUp(
        _ i: Int32,
        _ segment: TCPSegment,
        _ ending: TCPEnding,
        at place: Int32,
        _ context: borrowing Context
    ) {
        let own = directions.state(at: place)
        let isElsewhere = own.pointee.marks.contains(.elsewhere)
        let isNext = !TCPSequence.precedes(own.pointee.next, segment.start)
        if !isNext || isElsewhere {
            switch config.onGap {
            case .wait: return context.drop(i, Drop.noRoom)
            case .dropFlow:
                dropFlow(place, context)
                return context.drop(i, Drop.flowDropped)
            case .skip: break
            }
        }
        if isElsewhere { own.pointee.giveUpSYN(other: &directions.state(at: place ^ 1).pointee) }
        resolveOverlap(i, segment, at: place, leaves: true, context)
        if !isNext { skipGap(of: own, upTo: segment.start) }
        deliver(HeldSegments.Node(i, segment, ending), own, context)
        drain(place, at: turn.now, context)
    }

    /// Continues without the bytes before `start`.
    private func skipGap(of own: UnsafeMutablePointer<TCPDirection>, upTo start: UInt32) {
        counters.gaps &+= 1
        counters.gapBytes &+= UInt64(start &- own.pointee.next)
        own.pointee.marks.insert(.gap)
        own.pointee.next = start
    }

    // MARK: Ends of waiting

    /// Applies `on_gap` to holes that have been open for `gap_timeout`, and goes on without the answer to a SYN that was not captured.
    @inline(__always)
    func expire(_ place: Int32, at time: Int64, _ context: borrowing Context) {
        let own = directions.state(at: place)
        while !own.pointee.waiting.isEmpty {
            guard time &- own.pointee.since > patience(place), unblock(place, at: time, context) else { return }
        }
    }

    /// How long what waits in a direction may do so. A hole that its receiver, if seen, has not acknowledged is nothing that the capture
    /// lost: for that it waits as long as there is room. So does a single segment that acknowledges what was not seen: its sender would
    /// go on.
    private func patience(_ place: Int32) -> Int64 {
        let own = directions.state(at: place)
        let longest = config.gapTimeout == 0 ? Int64.max : config.gapTimeout
        if directions.state(at: place ^ 1).pointee.marks.contains(.seen) || own.pointee.marks.contains(.denied) {
            let isTaken = own.pointee.isAcknowledged(before: held.start(of: own.pointee.waiting))
            let goesOn = !own.pointee.isUnanswered && !hasHole(own) && own.pointee.waiting.count > 1
            return isTaken || goesOn ? longest : .max
        }
        return own.pointee.isUnanswered && !remembers && !hasHole(own) ? min(longest, TCPDirection.answerTime) : longest
    }

    /// Applies `on_gap` to the oldest hole of a direction. Returns false if the policy is to keep waiting.
    func unblock(_ place: Int32, at time: Int64, _ context: borrowing Context) -> Bool {
        for side in [place, place ^ 1] {
            let own = directions.state(at: side)
            guard hasHole(own), let start = held.start(of: own.pointee.waiting) else { continue }
            switch config.onGap {
            case .wait: return false
            case .dropFlow: dropFlow(side, context)
            case .skip:
                skipGap(of: own, upTo: start)
                drain(side, at: time, context)
            }
            return true
        }
        let own = directions.state(at: place)
        let other = directions.state(at: place ^ 1)
        if own.pointee.marks.contains(.elsewhere) {
            own.pointee.giveUpSYN(other: &other.pointee)
        } else {
            // The answer to the SYN was not captured, or the bytes that its packets acknowledge.
            own.pointee.marks.insert(own.pointee.isUnanswered ? .answered : .unawaited)
        }
        drain(place, at: time, context)
        return true
    }

    /// Releases segments that no longer wait, on both sides: those that leave on one may be what the other waits for.
    func drain(_ place: Int32, at time: Int64, _ context: borrowing Context) {
        var isMoving = true
        while isMoving {
            isMoving = advance(place, at: time, context)
            if advance(place ^ 1, at: time, context) { isMoving = true }
        }
    }

    /// Releases segments of a direction that no longer wait; false if all still wait.
    private func advance(_ place: Int32, at time: Int64, _ context: borrowing Context) -> Bool {
        let own = directions.state(at: place)
        var isMoving = false
        while var node = held.first(of: own.pointee.waiting) {
            let flags = TCPView(known: context[node.item]).flags
            let isSYN = flags.isSYN && node.start == own.pointee.start
            let isEnded = own.pointee.marks.contains(.ended)
            let isNew = TCPSequence.precedes(own.pointee.next, node.end)
            let closes = !isEnded && node.ending != .none && node.end == own.pointee.next
            if closes || isNew && !isEnded {
                if hasHole(own) { break }
                if isAhead(node, at: place, context) { break }
                if node.ending != .rst, own.pointee.isUnanswered { break }
            }
            isMoving = true
            held.removeFirst(from: &own.pointee.waiting)
            context.resume(node.item, turn)
            if isSYN, closes || isNew && !isEnded {
                deliverSYN(&node, own, context)
                continue
            }
            // Bytes that came later were not there yet when the RST was, so it was not the next then (RFC 5961 section 3.2).
            if node.ending == .rst, own.pointee.marks.contains(.filled), !isEnded {
                counters.resetsIgnored &+= 1
                bypass(node.item, context)
                continue
            }
            if isEnded, isNew {
                context.drop(node.item, Drop.afterEnd)
            } else if isNew || closes {
                deliver(node, own, context)
            } else {
                counters.again &+= 1
                if remembers, node.ending != .rst, node.end != node.start {
                    compare(node.item, TCPSegment(context[node.item]), upTo: node.end, at: place, context)
                }
                bypass(node.item, context)
            }
        }
        if !isMoving { return false }
        if own.pointee.waiting.isEmpty { own.pointee.marks.remove(.filled) }
        removeFromHoleList(place)
        if !own.pointee.waiting.isEmpty { addToHoleList(place, since: time) }
        return true
    }

    /// Emits a SYN with bytes: those count that were acknowledged, or all if no answer was captured.
    private func deliverSYN(
        _ node: inout HeldSegments.Node,
        _ own: UnsafeMutablePointer<TCPDirection>,
        _ context: borrowing Context
    ) {
        let size = node.end &- node.start
        // So does a FIN.
        if node.ending == .fin, own.pointee.marks.contains(.ackSeen),
            TCPSequence.distance(own.pointee.acknowledged, from: node.end) <= 0
        {
            removeFIN(of: &node, context)
        }
        var taken = own.pointee.marks.contains(.ackSeen) ? min(size, own.pointee.acknowledged &- node.start) : size
        // Bytes from another copy may have left in the meantime.
        taken = max(taken, min(size, own.pointee.next &- node.start))
        if taken < size {
            node.end = node.start &+ taken
            node.captured = min(node.captured, taken)
            let p = context[node.item]
            p.ipLength = UInt32(p.payload) &- UInt32(p.l3) &+ taken
            // They are in the packet all the same, and nobody reads them.
            if remembers { p.flags.insert(.unread) }
            // A FIN behind bytes that were not taken was not taken either.
            removeFIN(of: &node, context)
        }
        deliver(node, own, context)
    }

    private func removeFIN(of node: inout HeldSegments.Node, _ context: borrowing Context) {
        node.ending = .none
        if TCPView(known: context[node.item]).flags.isFIN {
            context.own(node.item)
            let p = context[node.item]
            MutableTCPView(known: p).removeFIN(isSummed: !p.flags.contains(.unsummed))
        }
    }

    /// Drops all waiting segments, and everything further of the connection.
    private func dropFlow(_ place: Int32, _ context: borrowing Context) {
        for side in [place, place ^ 1] {
            directions.state(at: side).pointee.marks.insert(.dropped)
            clear(side, for: .flowDropped, context)
        }
    }

    /// Drops the waiting segments that the receiver did not take, as the answer to their SYN shows: of what it had not sent they could
    /// acknowledge nothing (RFC 9293 section 3.10.7.4).
    func dropRefused(_ place: Int32, _ context: borrowing Context) {
        let own = directions.state(at: place)
        let other = directions.state(at: place ^ 1)
        var n = own.pointee.waiting.first
        var farthest = own.pointee.next
        while n >= 0 {
            let node = held.nodes[Int(n)]
            let tcp = TCPView(known: context[node.item])
            if tcp.flags.isACK, node.ending != .rst,
                !own.pointee.mayBegin(with: tcp.acknowledgmentNumber, other: other.pointee)
            {
                held.remove(n, from: &own.pointee.waiting)
                context.resume(node.item, turn)
                context.drop(node.item, Drop.wrongAck)
            } else {
                farthest = TCPSequence.later(farthest, node.end)
            }
            n = node.next
        }
        own.pointee.waiting.farthest = farthest
        if own.pointee.waiting.isEmpty { removeFromHoleList(place) }
    }

    /// Drops the waiting segments of a direction.
    func clear(_ place: Int32, for reason: Drop, _ context: borrowing Context) {
        let own = directions.state(at: place)
        while let node = held.first(of: own.pointee.waiting) {
            held.removeFirst(from: &own.pointee.waiting)
            context.resume(node.item, turn)
            context.drop(node.item, reason)
        }
        removeFromHoleList(place)
    }

    // MARK: The list of holes

    /// Appends a direction to the list of those with holes.
    private func addToHoleList(_ place: Int32, since time: Int64) {
        directions.state(at: place).pointee.since = time
        holes.append(place, links)
    }

    /// Removes a direction from the list, if it is on it.
    private func removeFromHoleList(_ place: Int32) {
        if directions.state(at: place).pointee.link.isListed { holes.remove(place, links) }
    }
}
