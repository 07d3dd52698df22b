// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// Which request a response answers, where bytes were not read.
//
// Responses come in the order of requests, so without loss the oldest request without response is answered. Bytes of the client
// that were not read may hide requests; bytes of the server, responses. What is still certain:
//
// - A response answers no request that its sender had not received: its acknowledgment number is beyond the request's start.
// - A response that the client had begun to receive when it sent a request does not answer that request.
// - Bytes that are missing between messages hide at least one, and no more than have room in them.
//
// Clients send requests in bursts, nearly all of them one by one: they wait for all responses before they send more. So a request
// sent after further responses were received begins a burst, and all before it are answered. That is not assumed of a client that
// was seen to do otherwise. Where several requests are possible, the response is recorded without request, and these without
// response: a pair that is recorded is one.
extension HTTP1Connection {
    /// Unanswered requests that nothing is known of. There is one place for them in the queue.
    struct Hidden: BitwiseCopyable {
        /// How many there are; `most` is `.max` if there is no limit.
        var least: UInt32 = 0
        var most: UInt32 = 0
        /// The entries of the queue that come before them.
        var place: Int32 = 0
        /// They were in missing bytes, not in unreadable ones.
        var isMissing = true
        /// They come before all that was captured.
        var isStart = false

        /// Counts another `least` to `most`.
        mutating func add(_ least: UInt32, _ most: UInt32) {
            self.least = sum(self.least, least)
            self.most = sum(self.most, most)
        }

        /// One, or as many as given, were answered.
        mutating func remove(_ least: UInt32 = 1, _ most: UInt32 = 1) {
            self.least -= min(self.least, most)
            if self.most != .max { self.most -= min(self.most, least) }
        }

        private func sum(_ a: UInt32, _ b: UInt32) -> UInt32 {
            let (sum, isTooLarge) = a.addingReportingOverflow(b)
            return isTooLarge ? .max : sum
        }
    }

    /// How a client was seen to send requests.
    struct Habits: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        /// Before earlier ones were answered.
        static let pipelines = Habits(rawValue: 1)
        /// Even after some of several were answered: its bursts overlap.
        static let overlaps = Habits(rawValue: 2)
        /// Before earlier ones, which came in another piece, were answered.
        static let pipelinesApart = Habits(rawValue: 4)
    }

    /// What is known of the request that a response answers.
    enum Match: Equatable {
        /// The oldest stored request without response.
        case request
        /// One that was not read.
        case hidden
        /// One of the oldest stored ones, or one that was not read.
        case unclear
        /// None is known.
        case nothing
    }

    /// `HTTP/1.1 204 ` and two line ends.
    private static let shortestResponse: UInt64 = 17

    // MARK: Requests

    /// Notes what bytes that were not read before a request may hide.
    mutating func hide(_ loss: HTTP1Direction.Loss) {
        let shortest = UInt64(shortest)
        var most = loss.isSized ? UInt32(clamping: loss.bytes / shortest) : .max
        let least: UInt32 = loss.isBoundary && loss.isSized && most > 0 ? 1 : 0
        if most != .max { most -= min(most, ahead) }
        if most == 0 { return }
        if hidden.most > 0, stored > hidden.place {
            // There is one place for hidden requests: those between two join them.
            var joined: UInt32 = 0
            let place = hidden.place
            let position = request.position
            forEachUnanswered { entry, at in
                if at >= place {
                    entry.pointee.record.fail(.request, .gap, position)
                    entry.pointee.responseIsDone = true
                    joined += 1
                }
                return true
            }
            hidden.add(joined, joined)
        }
        hidden.add(least - min(least, ahead), most)
        hidden.place = stored
        hidden.isMissing = loss.cause == .gap
        hidden.isStart = false
    }

    /// A request followed those before it: notes what that says about them, and about the client.
    mutating func followed(isApart: Bool) {
        let asked = request.acknowledged
        defer { self.asked = asked }
        guard asked != .max, self.asked != .max else { return }
        let isLater = asked > self.asked
        let reach = response.position &+ (response.bodyLeft ?? 0)
        let isLossy = response.flags.contains(.passedOver) || asked > reach
        // The response that is being read counts as received if its end was.
        let hasCurrent =
            isAnswering && (asked > response.position || asked == reach && response.bodyLeft != nil)
            || response.isInHead && asked > response.position
        let isWaiting = asked < answeredEnd || unanswered(limit: 2) > (hasCurrent ? 1 : 0)
        if hidden.most == 0, !isLossy {
            if isWaiting {
                if isLater { habits.insert(.overlaps) }
                habits.insert(isApart ? [.pipelines, .pipelinesApart] : .pipelines)
                return
            }
            dropDoubtfulBody(asked)
            return
        }
        // What waits must have been answered in missing bytes; who is known to send several at a time may still be waiting.
        let isBurst =
            isLossy && (!habits.contains(.pipelines) || hasRoom(before: asked)) || !isWaiting && hidden.least == 0
        if isLater, !habits.contains(.overlaps), isBurst {
            settle(asked, isLossy: isLossy)
            dropDoubtfulBody(asked)
        } else if !isLossy, isWaiting || hidden.least > 0 && response.position > 0 {
            habits.insert(isApart ? [.pipelines, .pipelinesApart] : .pipelines)
        }
    }

    /// Whether the missing bytes of responses before `position` have room for those to all requests that wait, if these are few.
    private func hasRoom(before position: UInt64) -> Bool {
        let from = response.flags.contains(.passedOver) ? response.lossStart : response.position
        let waiting = UInt64(unanswered(limit: 17)) + UInt64(hidden.least)
        return waiting < 17 && position > from && position - from >= waiting * Self.shortestResponse
    }

    /// A client that sends a request when it has received a response's head has received all of that, if it waits.
    private mutating func dropDoubtfulBody(_ asked: UInt64) {
        if asked == response.position, response.flags.contains(.doubtful) { response.dropBody() }
    }

    /// The response that was being read is not known any more: those before the last burst are gone.
    mutating func passSettled() {
        let (settled, position) = (settled, response.position)
        forEachUnanswered { entry, _ in
            guard entry.pointee.asked < settled else { return false }
            entry.pointee.record.fail(.response, .gap, position)
            entry.pointee.responseIsDone = true
            return true
        }
    }

    /// The number of stored requests without response; counted up to `limit`.
    private func unanswered(limit: Int) -> Int {
        var count = 0
        forEachUnanswered { _, _ in
            count += 1
            return count < limit
        }
        return count
    }

    /// All requests so far are answered, by responses before `position`; those that are still waiting, by missing ones.
    private mutating func settle(_ position: UInt64, isLossy: Bool) {
        var isCurrent = isAnswering || response.isInHead
        forEachUnanswered { entry, _ in
            if !isCurrent {
                if isLossy { entry.pointee.record.fail(.response, .gap, position) }
                entry.pointee.responseIsDone = true
            }
            isCurrent = false
            return true
        }
        hidden = Hidden()
        forgotten = 0
        settled = position
    }

    // MARK: Responses

    /// Whether a response from `start` on, whose sender had received the client's bytes up to `acknowledged`, can answer a request.
    private func mayAnswer(_ entry: UnsafeMutablePointer<Entry>, _ start: UInt64, _ acknowledged: UInt64) -> Bool {
        entry.pointee.start < acknowledged && (entry.pointee.asked == .max || entry.pointee.asked <= start)
    }

    /// The number of stored requests without response, from the oldest on, that a response can answer; counted up to `limit`.
    private func candidates(_ start: UInt64, _ acknowledged: UInt64, limit: UInt32) -> UInt32 {
        var count: UInt32 = 0
        forEachUnanswered { entry, _ in
            guard mayAnswer(entry, start, acknowledged) else { return false }
            count += 1
            return count < limit
        }
        return count
    }

    /// Whether the server acknowledged bytes in which there may be requests that were not read.
    private func isUnseen(_ acknowledged: UInt64) -> Bool {
        if acknowledged == .max || request.flags.contains(.ended) { return false }
        if request.isInHead, acknowledged > request.start { return true }
        return request.isLost || acknowledged >= request.position &+ (request.bodyLeft ?? 0) &+ UInt64(shortest)
    }

    /// How many responses may have been in the bytes that were not read before `start`.
    private func lostResponses(_ start: UInt64) -> (least: UInt32, most: UInt32) {
        guard response.flags.contains(.passedOver) else { return (0, 0) }
        let loss = response.loss
        if settled >= start, settled > response.lossStart { return (0, 0) }
        if !loss.isSized { return (0, .max) }
        let from = max(response.lossStart, settled)
        return (hasLostHead ? 1 : 0, UInt32(clamping: (start &- from) / Self.shortestResponse))
    }

    /// Bytes that were passed over right before what looks like a response are the rest of one whose head is missing.
    private var hasLostHead: Bool { response.isSameTurn && !response.flags.contains(.midBody) }

    /// The request that a response answers, as far as known.
    @inline(__always)
    func match(_ start: UInt64, _ acknowledged: UInt64) -> Match {
        if hidden.most == 0, !response.flags.contains(.passedOver) {
            return firstUnanswered == nil ? .nothing : .request
        }
        return matchAfterLoss(start, acknowledged)
    }

    @inline(never)
    private func matchAfterLoss(_ start: UInt64, _ acknowledged: UInt64) -> Match {
        let first = firstUnanswered
        let isHiddenFirst = hidden.most > 0 && (first.map { $0.place >= hidden.place } ?? true)
        let lost = lostResponses(start)
        if lost.most == 0 {
            guard isHiddenFirst else {
                guard let first, first.entry.pointee.asked == .max || first.entry.pointee.asked <= start else {
                    return .nothing
                }
                return .request
            }
            guard let first, hidden.least == 0, mayAnswer(first.entry, start, acknowledged) else { return .hidden }
            // Requests in one packet are the first of their burst, as far as is known.
            let habit: Habits = hidden.isStart ? .pipelinesApart : .pipelines
            return habits.contains(habit) ? .unclear : .request
        }
        let count = candidates(start, acknowledged, limit: 2)
        if count == 0 { return isHiddenFirst ? .hidden : .nothing }
        let isKnown = hidden.most == 0 && !isUnseen(acknowledged)
        if count == 1,
            isKnown
                || isHiddenFirst && hidden.least <= lost.most && !habits.contains(.pipelines) && !isUnseen(acknowledged)
        {
            return .request
        }
        return .unclear
    }

    /// The context of a response from `start` on.
    @inline(__always)
    func context(_ start: UInt64, _ acknowledged: UInt64) -> HTTP1RequestContext {
        switch match(start, acknowledged) {
        case .request: return firstUnanswered?.entry.pointee.context ?? .unknown
        case .hidden, .unclear: return .unknown
        case .nothing: return .unknown
        }
    }

    /// Whether a response, found after lost bytes, has nothing to answer though all requests are known.
    func isImpossible(_ start: UInt64, _ acknowledged: UInt64) -> Bool {
        if request.position > 0, response.isSameTurn, !habits.contains(.pipelines) { return true }
        if hasLostHead, hidden.most == 0, forgotten == 0, !isUnseen(acknowledged),
            candidates(start, acknowledged, limit: 2) == 1
        {
            return true
        }
        guard match(start, acknowledged) == .nothing, acknowledged != .max, request.position > 0 else { return false }
        switch request.state {
        case .head, .tunnelStart, .tunnel, .presumedTunnel: return false
        default: return hidden.most == 0 && forgotten == 0 && !isUnseen(acknowledged)
        }
    }

    /// Whether what looks like a request, found after lost bytes, is part of a body.
    @usableFromInline
    func isImpossible(request head: HTTP1Head) -> Bool {
        guard request.isSameTurn else { return false }
        return !habits.contains(.pipelines) || host != 0 && HTTP1Bytes.digest(head.host) != host
    }

    /// Draws the conclusions from what a response answers: then that is the first request without response, or none that is
    /// stored. Returns why it is none, if that is known.
    mutating func resolve(_ match: Match) -> (side: HTTP1Side, error: HTTP1Error)? {
        let start = response.start
        switch match {
        case .request:
            if let first = firstUnanswered, hidden.place <= first.place { hidden = Hidden() }
            return nil
        case .hidden:
            let isMissing = hidden.isMissing
            hidden.remove()
            return isMissing ? (.request, .gap) : nil
        case .unclear:
            let lost = lostResponses(start)
            let count = candidates(start, response.acknowledged, limit: .max)
            pass(Int(count), lost.most > 0 ? .response : .request)
            hidden.add(count, count)
            hidden.remove(lost.least, lost.most)
            if request.isInHead, response.acknowledged > request.start {
                isHeadPassed = true
                hidden.add(1, 1)
                hidden.remove()
            } else if isUnseen(response.acknowledged) {
                ahead &+= 1
            } else {
                hidden.remove()
            }
            hidden.place = firstUnanswered?.place ?? stored
            return (lost.most > 0 ? .response : .request, .gap)
        case .nothing:
            if forgotten > 0 {
                forgotten -= 1
                return nil
            }
            guard isUnseen(response.acknowledged) else { return nil }
            ahead &+= 1
            return request.isLost && request.cause != .gap ? nil : (.request, .gap)
        }
    }

    /// The oldest `count` requests without response get none: which is theirs is not known, for bytes of `side` are missing.
    private mutating func pass(_ count: Int, _ side: HTTP1Side) {
        var left = count
        let position = side == .request ? request.position : response.start
        forEachUnanswered { entry, _ in
            if left == 0 { return false }
            entry.pointee.record.fail(side, .gap, position)
            entry.pointee.responseIsDone = true
            left -= 1
            return true
        }
    }
}
