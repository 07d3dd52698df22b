// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// Missing and unreadable bytes: which part of a direction can still be read, and where reading resumes.
//
// The cost per byte is bounded: a head that turns out to be none has been read up to a line, and the search goes on there, so a
// line is read at most twice.
extension HTTP1Direction {
    /// Handles `count` missing bytes, or an unknown number. The caller continues with `next`, without bytes.
    mutating func gap(_ count: UInt64?, _ time: Int64, _ parser: HTTP1Parser) -> HTTP1Step? {
        if count == 0 || flags.contains(.ended) { return nil }
        if state == .idle || state == .idleCR { self.time = time }
        let known = count ?? 0
        var step: HTTP1Step?
        flags.remove(.doubtful)
        switch state {
        case .untilClose:
            bodyBytes &+= known
            step = .bodyGap(known)
        case .length, .chunkData:
            if let count, count <= remaining {
                remaining &-= count
                bodyBytes &+= count
                if remaining == 0 { bodyPartEnds() }
                step = .bodyGap(count)
            } else {
                step = lose(isSized: count != nil, parser)
            }
        case .tunnel, .tunnelStart, .presumedTunnel, .finishing: break
        case .over:
            if flags.contains(.lost) { step = lose(isSized: count != nil, parser) }
        case .idle, .idleCR, .head, .chunkLine, .trailers:
            step = lose(isSized: count != nil, parser)
        }
        position &+= known
        return step
    }

    /// Handles missing bytes without which the next message cannot be located.
    private mutating func lose(isSized: Bool, _ parser: HTTP1Parser) -> HTTP1Step? {
        let isFirstLoss = !flags.contains(.lost)
        if isFirstLoss, flags.contains(.switching), state == .idle || state == .idleCR || state == .head {
            return fail(.gap, at: position, parser)
        }
        flags.subtract([.probing, .inside])
        if part.block != nil { flags.insert(.release) }
        let isBoundary = state == .idle
        switch parser.rules.resynchronisation {
        case .never: state = .over
        case .afterGap:
            loseTrack(.gap, at: position, isBoundary: isBoundary, isSized: isSized)
            flags.insert(.probing)
            state = .head
        case .atHead:
            loseTrack(.gap, at: position, isBoundary: isBoundary, isSized: isSized)
            state = .over
        }
        flags.subtract([.last, .afterClose])
        return isFirstLoss ? .failed(.gap, at: position) : nil
    }

    /// From now on the place of the next message is not known.
    mutating func loseTrack(_ cause: HTTP1Error, at position: UInt64, isBoundary: Bool, isSized: Bool = true) {
        if !flags.contains(.passedOver) {
            lossStart = position
            self.cause = cause
            flags.insert(.passedOver)
            if isBoundary { flags.insert(.boundary) }
            lossAcknowledged = .max
            switch state {
            case .length, .chunkLine, .chunkData, .trailers:
                flags.insert(.midBody)
                lossAcknowledged = acknowledged
            default: break
            }
        }
        if !isSized { flags.insert(.unsized) }
        flags.insert(.lost)
    }

    /// A head that was found while lost is none after all: none of what it seemed to say counts.
    mutating func reject() {
        flags.subtract([.doubtful, .switching, .tunnelNext, .last, .afterClose])
        flags.insert(.lost)
        lossAcknowledged = acknowledged
        state = .over
    }

    /// Whether what looks like a message, found after bytes were lost, was sent before anything more was received than when the
    /// bytes before it were: who waits for the other side sends no message then, but the rest of one.
    var isSameTurn: Bool {
        flags.contains(.passedOver) && (cause == .gap || flags.contains(.midBody)) && acknowledged != .max
            && lossAcknowledged != .max && acknowledged <= lossAcknowledged
    }

    // MARK: The search for a head

    /// Whether bytes begin as a message does; if a piece ends within the first word, that far.
    static func mayBegin(_ side: HTTP1Side, _ base: UnsafeRawPointer, _ count: Int) -> Bool {
        if side == .response {
            return count < statusBytes ? isPrefix(base, count, "HTTP/1.") : isStatus(base, count)
        }
        let end = HTTP1Bytes.tokenEnd(base, 0, min(count, HTTP1Detection.longest))
        if end == count { return HTTP1Detection.isMethod(base, end, isPrefix: true) }
        guard end > 0, base.byte(end) == 0x20 else { return false }
        return HTTP1Detection.isMethod(base, end) || endsWithVersion(base, count)
    }

    /// `HTTP/1.1 200` and the byte behind it.
    private static let statusBytes = 13

    private static func isPrefix(_ base: UnsafeRawPointer, _ count: Int, _ text: StaticString) -> Bool {
        for k in 0..<min(count, text.utf8CodeUnitCount) where base.byte(k) != text.utf8Start[k] { return false }
        return true
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    /// Whether bytes begin with a version and a status code.
    static func isStatus(_ base: UnsafeRawPointer, _ count: Int) -> Bool {
        guard count >= statusBytes, isPrefix(base, count, "HTTP/1."), isDigit(base.byte(7)), base.byte(8) == 0x20
        else { return false }
        guard base.byte(9) != 0x30, isDigit(base.byte(9)), isDigit(base.byte(10)), isDigit(base.byte(11)) else {
            return false
        }
        return base.byte(12) == 0x20 || base.byte(12) == 0x0d || base.byte(12) == 0x0a
    }

    /// Whether the first line is complete and ends as a request line does.
    static func endsWithVersion(_ base: UnsafeRawPointer, _ count: Int) -> Bool {
        let lf = HTTP1Bytes.find(0x0a, base, 0, count)
        guard lf < count else { return false }
        let end = lf > 0 && base.byte(lf - 1) == 0x0d ? lf - 1 : lf
        return end > 9 && base.byte(end - 9) == 0x20 && isPrefix(base + (end - 8), 7, "HTTP/1.")
            && isDigit(base.byte(end - 1))
    }

    /// Moves on to what may be the head of a message; false if nothing in this piece may.
    @inline(never)
    mutating func seek(
        _ base: UnsafeRawPointer,
        _ end: Int,
        _ at: inout Int,
        _ side: HTTP1Side,
        _ parser: HTTP1Parser
    ) -> Bool {
        guard parser.rules.resynchronisation == .atHead else { return false }
        let isStart = at == 0 && Self.mayBegin(side, base, end)
        var found = at
        if !isStart {
            let next = side == .request ? Self.nextRequest(base, at, end) : Self.nextResponse(base, at, end)
            guard let next else { return false }
            found = next
        }
        _ = take(found &- at, base, &at)
        state = .head
        flags.insert(.probing)
        if isStart { flags.remove(.inside) } else { flags.insert(.inside) }
        return true
    }

    /// The next place of `HTTP/1.`
    private static func nextName(_ base: UnsafeRawPointer, _ from: Int, _ end: Int) -> Int? {
        var at = from
        while true {
            at = HTTP1Bytes.find(0x48, base, at, end)
            if at &+ 7 > end { return nil }
            if isPrefix(base + at, 7, "HTTP/1.") { return at }
            at += 1
        }
    }

    private static func nextResponse(_ base: UnsafeRawPointer, _ from: Int, _ end: Int) -> Int? {
        var at = from
        while let name = nextName(base, at, end) {
            if isStatus(base + name, end - name) { return name }
            at = name + 7
        }
        return nil
    }

    /// A request line after an empty line: the end of another head, or of a chunked body.
    private static func nextRequest(_ base: UnsafeRawPointer, _ from: Int, _ end: Int) -> Int? {
        var at = from
        while let name = nextName(base, at, end) {
            let lf = name + 8 < end && base.byte(name + 8) == 0x0d ? name + 9 : name + 8
            guard lf < end, base.byte(lf) == 0x0a, isDigit(base.byte(name + 7)), name > 0, base.byte(name - 1) == 0x20
            else {
                at = name + 7
                continue
            }
            var start = name
            while start > at, base.byte(start - 1) != 0x0a { start -= 1 }
            let isAfterEmptyLine =
                start >= 4 && base.byte(start - 1) == 0x0a
                && (base.byte(start - 2) == 0x0a
                    || base.byte(start - 2) == 0x0d && base.byte(start - 3) == 0x0a)
            let methodEnd = HTTP1Bytes.tokenEnd(base, start, min(name, start + HTTP1Detection.longest))
            if isAfterEmptyLine, base.byte(methodEnd) == 0x20, HTTP1Detection.isMethod(base + start, methodEnd - start)
            {
                return start
            }
            at = lf + 1
        }
        return nil
    }

    /// Whether a piece begins with a whole start line, so that the head being tried cannot continue there.
    @inline(never)
    mutating func beginsAnew(
        _ base: UnsafeRawPointer,
        _ count: Int,
        _ side: HTTP1Side,
        _ parser: HTTP1Parser
    ) -> Bool {
        guard parser.rules.resynchronisation == .atHead, Self.mayBegin(side, base, count),
            side == .response ? count >= Self.statusBytes : Self.endsWithVersion(base, count)
        else { return false }
        releasePart(parser.memory)
        flags.subtract([.probing, .inside])
        state = .over
        return true
    }

    /// Whether a whole and valid head, found while lost, is to be believed.
    ///
    /// - Parameter rest: the `count` bytes of the piece behind it: if the message ends there, another must begin.
    func isTrusted(
        _ facts: HTTP1Facts,
        _ section: HTTP1Section,
        _ rest: UnsafeRawPointer,
        _ count: Int,
        _ parser: HTTP1Parser
    ) -> Bool {
        if section == .request {
            if !facts.marks.contains(.host), !facts.version.isOld, !parser.rules.leniency.contains(.noHost) {
                return false
            }
        } else if flags.contains(.inside), facts.marks.isDisjoint(with: [.length, .coding]), !Self.isBodiless(facts) {
            return false
        }
        return parser.rules.resynchronisation != .atHead || Self.isContinued(facts, section, rest, count)
    }

    private static func isBodiless(_ facts: HTTP1Facts) -> Bool {
        facts.status < 200 || facts.status == 204 || facts.status == 304
    }

    /// Whether the bytes behind a head can be a body, or, where that is known to have ended, the next message.
    static func isContinued(
        _ facts: HTTP1Facts,
        _ section: HTTP1Section,
        _ rest: UnsafeRawPointer,
        _ count: Int
    ) -> Bool {
        let isRequest = section == .request
        let hasNoBody = isRequest ? facts.length == 0 : isBodiless(facts)
        guard !facts.marks.contains(.coding), !facts.offersUpgrade, !facts.marks.contains(.connectMethod),
            facts.status != 101, hasNoBody || facts.marks.contains(.length)
        else { return true }
        func begins(after length: UInt64) -> Bool {
            guard length < UInt64(count) else { return true }
            var skipped = Int(length)
            // Empty lines may come before a message.
            while skipped < count, rest.byte(skipped) == 0x0d || rest.byte(skipped) == 0x0a { skipped += 1 }
            return skipped == count || mayBegin(isRequest ? .request : .response, rest + skipped, count - skipped)
        }
        // A response to HEAD has a length, and no body.
        return begins(after: hasNoBody ? 0 : facts.length) || !isRequest && count > 0 && begins(after: 0)
    }

    /// The search goes on after a head that is not believed.
    mutating func rejectProbe(_ parser: HTTP1Parser) -> HTTP1Step? {
        releasePart(parser.memory)
        if parser.rules.resynchronisation == .atHead { lossAcknowledged = acknowledged }
        flags.subtract([.probing, .inside])
        state = .over
        return nil
    }

    /// How many bytes to pass over after an error at `offset` of a head: the lines read, and the wrong one if it is the first.
    /// Without a search all that has come.
    func unreadable(
        _ facts: HTTP1Facts,
        _ base: UnsafeRawPointer,
        _ count: Int,
        _ offset: Int,
        _ parser: HTTP1Parser
    ) -> Int {
        guard parser.rules.resynchronisation == .atHead else { return count }
        if facts.judged > 0 { return Int(facts.judged) }
        return min(HTTP1Bytes.find(0x0a, base, min(offset, count), count) + 1, count)
    }

    // MARK: Bodies

    /// Whether a whole response follows where the body of one whose request is not known would begin: then that was a HEAD.
    @inline(never)
    mutating func isBodyAbsent(_ base: UnsafeRawPointer, _ count: Int, _ parser: HTTP1Parser) -> Bool {
        flags.remove(.doubtful)
        guard Self.isStatus(base, count) else { return false }
        let reader = parser.reader(.response, isProbe: true)
        var facts = reader.start
        guard case .complete = reader.read(&facts, base, count) else { return false }
        state = .finishing
        return true
    }
}
