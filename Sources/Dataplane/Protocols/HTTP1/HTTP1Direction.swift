// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The framing of a response depends on its request: one to HEAD has no body, one to CONNECT may begin a tunnel
/// (RFC 9112 §6.3).
@usableFromInline enum HTTP1RequestContext: UInt8, BitwiseCopyable {
    case other
    case head
    case connect
    /// The request is not known: it may even have been a HEAD.
    case unknown
}

@usableFromInline enum HTTP1Step {
    /// All bytes given were consumed.
    case more
    case head
    case interim
    case body(UnsafeRawBufferPointer)
    /// Missing bytes of a body; 0 if their number is unknown.
    case bodyGap(UInt64)
    case trailers
    case complete
    case tunnel
    case tunnelBytes(UnsafeRawBufferPointer)
    case failed(HTTP1Error, at: UInt64)
    /// What may be a head was found after lost bytes; nothing to report yet.
    case again
}

/// One direction of a connection: small, of fixed size, and without memory of its own except for an incomplete head or trailer
/// section.
@usableFromInline struct HTTP1Direction: BitwiseCopyable {
    enum State: UInt8 {
        /// Before a message.
        case idle
        /// Before a message, after a CR that an LF must follow.
        case idleCR
        case head
        /// In a body with `remaining` bytes left.
        case length
        case untilClose
        case chunkLine
        /// In a chunk with `remaining` bytes left.
        case chunkData
        case trailers
        /// The message is over but not yet reported.
        case finishing
        /// A tunnel begins but is not yet reported.
        case tunnelStart
        case tunnel
        /// Bytes that are no request followed a request to switch protocols. Whether that was wrong is known once that is
        /// answered: the error is then `deferred`, at `remaining`.
        case presumedTunnel
        /// Bytes are skipped.
        case over
    }

    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt16
        /// The message is its sender's last.
        static let last = Flags(rawValue: 1 << 0)
        /// The block may be freed: its content was reported.
        static let release = Flags(rawValue: 1 << 1)
        /// A request to switch protocols is not answered yet.
        static let switching = Flags(rawValue: 1 << 2)
        /// The tunnel begins when the message is complete.
        static let tunnelNext = Flags(rawValue: 1 << 3)
        /// Where the next message begins is not known.
        static let lost = Flags(rawValue: 1 << 4)
        /// In a head that was found while lost; if it is invalid, it is skipped without an error.
        static let probing = Flags(rawValue: 1 << 5)
        /// The direction has ended.
        static let ended = Flags(rawValue: 1 << 6)
        /// The client waits for 100 (Continue) before it sends the body.
        static let expectsContinue = Flags(rawValue: 1 << 7)
        /// The message comes after its sender's last.
        static let afterClose = Flags(rawValue: 1 << 8)
        /// Bytes since the last message read were not read, from `lossStart` on.
        static let passedOver = Flags(rawValue: 1 << 9)
        /// These begin between messages.
        static let boundary = Flags(rawValue: 1 << 10)
        /// How many they are is not known.
        static let unsized = Flags(rawValue: 1 << 11)
        /// The head being probed was found within a piece.
        static let inside = Flags(rawValue: 1 << 12)
        /// The body may be absent, as the request may have been a HEAD.
        static let doubtful = Flags(rawValue: 1 << 13)
        /// The bytes that were not read begin within a body.
        static let midBody = Flags(rawValue: 1 << 14)
    }

    /// Bytes that were not read before a message.
    struct Loss: BitwiseCopyable {
        var bytes: UInt64
        /// They begin between messages.
        var isBoundary: Bool
        /// Their number is known.
        var isSized: Bool
        var cause: HTTP1Error
    }

    var state = State.idle
    var flags: Flags = []
    var chunks = HTTP1Chunks()
    var emptyLines: UInt8 = 0
    var deferred = HTTP1Error.gap
    /// Why bytes were not read, with `passedOver`.
    var cause = HTTP1Error.gap
    /// Position of the next byte in the stream, not counting gaps of unknown length.
    @usableFromInline var position: UInt64 = 0
    /// Bytes left in the body or chunk; while reading a chunk-size line, the size so far.
    var remaining: UInt64 = 0
    /// Body bytes so far, after dechunking.
    @usableFromInline var bodyBytes: UInt64 = 0
    /// Arrival time of the message's first byte.
    @usableFromInline var time: Int64 = 0
    /// Position of the message's first byte.
    var start: UInt64 = 0
    /// How far the sender had received the other direction when it sent that byte; `.max` if unknown.
    var acknowledged: UInt64 = 0
    /// Position of the first byte that was not read, with `passedOver`.
    var lossStart: UInt64 = 0
    /// How far the sender had received the other direction when it sent the latest bytes that were passed over, or the message in
    /// whose body they are; `.max` if there are none, or it is unknown.
    var lossAcknowledged: UInt64 = .max
    /// The incomplete head or trailer section.
    var part = HTTP1PartialSection()
    var keepsMemory: Bool { part.block != nil }

    init() {}

    /// No further message will be read.
    var isOver: Bool { state == .tunnel || state == .over && !flags.contains(.lost) || flags.contains(.ended) }
    /// Messages may be missing; reading may resume.
    var isLost: Bool { flags.contains(.lost) }

    /// A head has begun, and not one merely tried.
    var isInHead: Bool { state == .head && !flags.contains(.probing) }

    /// Bytes still to come of a body whose length is known.
    @usableFromInline var bodyLeft: UInt64? { state == .length ? remaining : nil }

    /// What is stored of an incomplete head.
    @usableFromInline var partialHead: HTTP1Head {
        guard state == .head, let block = part.block, !flags.contains(.probing) else { return HTTP1Head() }
        return HTTP1Head(block.bytes, block.facts.pointee, count: block.count)
    }

    /// What was not read before the message that now begins; nil if nothing, or already taken.
    mutating func takeLoss() -> Loss? {
        guard flags.contains(.passedOver) else { return nil }
        defer { flags.subtract([.passedOver, .boundary, .unsized, .midBody]) }
        return loss
    }

    /// What was not read so far.
    var loss: Loss {
        Loss(
            bytes: (flags.contains(.lost) ? position : start) &- lossStart,
            isBoundary: flags.contains(.boundary),
            isSized: !flags.contains(.unsized),
            cause: cause
        )
    }

    // MARK: Bytes

    /// Advances in `piece` from `at` to the next thing to report, which may need no bytes at all.
    ///
    /// - Parameter head: set if the step is a head, an interim response, trailers, or an error in a request's head.
    @usableFromInline
    mutating func next(
        _ piece: UnsafeRawBufferPointer,
        _ at: inout Int,
        _ side: HTTP1Side,
        _ context: HTTP1RequestContext,
        _ time: Int64,
        _ acknowledged: UInt64,
        _ parser: HTTP1Parser,
        _ head: inout HTTP1Head
    ) -> HTTP1Step {
        if flags.contains(.release) { releasePart(parser.memory) }
        while true {
            switch state {
            case .finishing: return finish()
            case .tunnelStart:
                state = .tunnel
                return .tunnel
            default: break
            }
            guard at < piece.count, let base = piece.baseAddress else { return .more }
            let left = piece.count &- at
            if flags.contains(.doubtful), isBodyAbsent(base + at, left, parser) { continue }
            switch state {
            case .length, .chunkData:
                let count = Int(truncatingIfNeeded: min(remaining, UInt64(truncatingIfNeeded: left)))
                remaining &-= UInt64(truncatingIfNeeded: count)
                bodyBytes &+= UInt64(truncatingIfNeeded: count)
                if remaining == 0 { bodyPartEnds() }
                return .body(take(count, base, &at))
            case .untilClose:
                bodyBytes &+= UInt64(truncatingIfNeeded: left)
                return .body(take(left, base, &at))
            case .chunkLine:
                if let step = readChunkLine(base, piece.count, &at, parser) { return step }
            case .head, .trailers:
                if flags.contains(.probing) {
                    if part.block == nil {
                        self.time = time
                        start = position
                        self.acknowledged = acknowledged
                    } else if at == 0, beginsAnew(base, piece.count, side, parser) {
                        continue
                    }
                }
                if let step = readSection(base, piece.count, &at, side, context, parser, &head) { return step }
            case .idle:
                if let step = begin(base.byte(at), &at, time, acknowledged, parser) { return step }
            case .idleCR:
                self.time = time
                if base.byte(at) == 0x0a {
                    _ = take(1, base, &at)
                    state = .idle
                    if let step = countEmptyLine(parser) { return step }
                } else if parser.rules.leniency.contains(.bareCR) {
                    state = .idle
                } else if let step = fail(.bareCR, at: position &- 1, parser) {
                    return step
                }
            case .tunnel:
                return .tunnelBytes(take(left, base, &at))
            case .over:
                if flags.contains(.lost) {
                    let from = at
                    let isFound = seek(base, piece.count, &at, side, parser)
                    if !isFound || at > from { lossAcknowledged = acknowledged }
                    if isFound {
                        self.time = time
                        start = position
                        self.acknowledged = acknowledged
                        return .again
                    }
                }
                _ = take(piece.count &- at, base, &at)
                return .more
            case .presumedTunnel, .finishing, .tunnelStart:
                _ = take(left, base, &at)
                return .more
            }
        }
    }

    @inline(__always)
    mutating func take(_ count: Int, _ base: UnsafeRawPointer, _ at: inout Int) -> UnsafeRawBufferPointer {
        let bytes = UnsafeRawBufferPointer(start: base + at, count: count)
        at &+= count
        position &+= UInt64(truncatingIfNeeded: count)
        return bytes
    }

    /// A body of known length, or a chunk, has ended.
    mutating func bodyPartEnds() {
        if state == .length {
            state = .finishing
        } else {
            state = .chunkLine
            chunks.dataEnded()
        }
    }

    /// Stops reading, if only up to the next head. Returns nothing to report if a head was merely being tried; an error after a
    /// request to switch protocols waits for its answer.
    mutating func fail(_ error: HTTP1Error, at position: UInt64, _ parser: HTTP1Parser) -> HTTP1Step? {
        releasePart(parser.memory)
        if flags.contains(.probing) {
            return rejectProbe(parser)
        }
        if flags.contains(.switching), state == .idle || state == .idleCR || state == .head {
            state = .presumedTunnel
            deferred = error
            remaining = position
            return nil
        }
        if !flags.contains(.ended), parser.rules.resynchronisation == .atHead {
            loseTrack(error, at: position, isBoundary: false)
        }
        state = .over
        return .failed(error, at: position)
    }

    /// Stops reading for a reason outside this direction.
    mutating func stop(_ parser: HTTP1Parser) {
        releasePart(parser.memory)
        state = .over
        flags.subtract([.lost, .probing, .inside])
    }

    /// Bytes that came before all others are wrong.
    mutating func refuse(
        _ error: HTTP1Error,
        _ time: Int64,
        _ acknowledged: UInt64,
        _ parser: HTTP1Parser
    ) -> HTTP1Step? {
        guard state == .idle else { return nil }
        self.time = time
        start = position
        self.acknowledged = acknowledged
        return fail(error, at: position, parser)
    }

    /// Bytes that were not read since the last message.
    @usableFromInline var unread: UInt64 { flags.isSuperset(of: [.passedOver, .lost]) ? loss.bytes : 0 }

    // MARK: Before a message

    /// Skips empty lines before a message (RFC 9112 §2.2; old servers send them too); anything else begins one.
    private mutating func begin(
        _ byte: UInt8,
        _ at: inout Int,
        _ time: Int64,
        _ acknowledged: UInt64,
        _ parser: HTTP1Parser
    ) -> HTTP1Step? {
        if byte == 0x0d || byte == 0x0a && parser.rules.leniency.contains(.bareLF) {
            at &+= 1
            position &+= 1
            if byte == 0x0a { return countEmptyLine(parser) }
            state = .idleCR
            return nil
        }
        self.time = time
        start = position
        self.acknowledged = acknowledged
        bodyBytes = 0
        // A client must not send, a server must not process, requests after one with "close" (RFC 9112 §9.6).
        if flags.contains(.last) {
            flags.remove(.last)
            if !parser.rules.leniency.contains(.dataAfterClose) { flags.insert(.afterClose) }
        }
        state = .head
        return nil
    }

    private mutating func countEmptyLine(_ parser: HTTP1Parser) -> HTTP1Step? {
        emptyLines &+= 1
        return emptyLines > parser.emptyLines ? fail(.tooManyEmptyLines, at: position &- 1, parser) : nil
    }

    // MARK: Heads and trailers

    /// Continues with the head or the trailers: in place while they lie entirely in this piece, otherwise in the block.
    ///
    /// A separate function: inlined, its set-up would be paid for by every step.
    @inline(never)
    private mutating func readSection(
        _ base: UnsafeRawPointer,
        _ end: Int,
        _ at: inout Int,
        _ side: HTTP1Side,
        _ context: HTTP1RequestContext,
        _ parser: HTTP1Parser,
        _ head: inout HTTP1Head
    ) -> HTTP1Step? {
        let section: HTTP1Section = state == .trailers ? .trailers : side == .request ? .request : .response
        let reader = parser.reader(section, isProbe: flags.contains(.probing))
        if let block = part.block { return readOn(block, reader, base, end, &at, context, parser, &head) }
        var facts = reader.start
        switch reader.read(&facts, base + at, end &- at) {
        case .complete:
            head = HTTP1Head(base + at, facts, count: Int(facts.judged))
            _ = take(Int(facts.judged), base, &at)
            if flags.contains(.probing), !isTrusted(facts, section, base + at, end &- at, parser) {
                return rejectProbe(parser)
            }
            return sectionEnds(facts, section, context, parser)
        case .error(let error, let offset):
            head = HTTP1Head(base + at, facts, count: end &- at)
            let start = position
            _ = take(unreadable(facts, base + at, end &- at, offset, parser), base, &at)
            return fail(error, at: start &+ UInt64(truncatingIfNeeded: offset), parser)
        case .more:
            let count = end &- at
            guard let block = part.grow(to: count, reader.sectionLimit, parser.memory) else {
                return failWithoutMemory(base, end, &at, parser)
            }
            block.facts.pointee = facts
            block.append(take(count, base, &at))
            return .more
        }
    }

    /// Continues a section whose beginning is in the block: copies up to the end of each line, and parses it there.
    private mutating func readOn(
        _ first: HTTP1PartialSection.Block,
        _ reader: HTTP1HeadReader,
        _ base: UnsafeRawPointer,
        _ end: Int,
        _ at: inout Int,
        _ context: HTTP1RequestContext,
        _ parser: HTTP1Parser,
        _ head: inout HTTP1Head
    ) -> HTTP1Step? {
        var block = first
        while at < end {
            let lf = HTTP1Bytes.find(0x0a, base, at, end)
            let count = min(lf &+ 1, end) &- at
            let start = position &- UInt64(truncatingIfNeeded: block.count)
            // Bytes beyond the section's limit need not be kept to see that it is exceeded.
            let kept = min(count, reader.sectionLimit &+ 1 &- block.count)
            guard let grown = part.grow(to: block.count &+ kept, reader.sectionLimit, parser.memory) else {
                return failWithoutMemory(base, end, &at, parser)
            }
            block = grown
            block.append(UnsafeRawBufferPointer(start: base + at, count: kept))
            _ = take(count, base, &at)
            switch reader.readOn(&block.facts.pointee, block.bytes, block.count, hasLineEnd: lf < end) {
            case .more: continue
            case .complete:
                let facts = block.facts.pointee
                if flags.contains(.probing), !isTrusted(facts, reader.section, base + at, end &- at, parser) {
                    return rejectProbe(parser)
                }
                head = HTTP1Head(block.bytes, facts, count: block.count)
                flags.insert(.release)
                return sectionEnds(facts, reader.section, context, parser)
            case .error(let error, let offset):
                head = HTTP1Head(block.bytes, block.facts.pointee, count: block.count)
                return failKeepingPart(error, at: start &+ UInt64(truncatingIfNeeded: offset), parser)
            }
        }
        return .more
    }

    /// Skips the rest of the piece: otherwise its beginning could be retried endlessly.
    private mutating func failWithoutMemory(
        _ base: UnsafeRawPointer,
        _ end: Int,
        _ at: inout Int,
        _ parser: HTTP1Parser
    ) -> HTTP1Step? {
        let start = position
        _ = take(end &- at, base, &at)
        return fail(.noMemory, at: start, parser)
    }

    /// Like `fail`, but the partial section may still be read until the next step.
    private mutating func failKeepingPart(_ error: HTTP1Error, at: UInt64, _ parser: HTTP1Parser) -> HTTP1Step? {
        let kept = part
        part = HTTP1PartialSection()
        let step = fail(error, at: at, parser)
        part = kept
        if step == nil { releasePart(parser.memory) } else { flags.insert(.release) }
        return step
    }

    mutating func releasePart(_ memory: HTTP1Memory) {
        flags.remove(.release)
        part.release(memory)
    }

    /// The head of a message, or its trailers, are complete: decides what follows.
    private mutating func sectionEnds(
        _ facts: HTTP1Facts,
        _ section: HTTP1Section,
        _ context: HTTP1RequestContext,
        _ parser: HTTP1Parser
    ) -> HTTP1Step? {
        switch section {
        case .trailers:
            state = .finishing
            // Most chunked bodies have no trailers: no step for them.
            return facts.fields > 0 ? .trailers : finish()
        case .request: return requestBegins(facts, parser)
        case .response: return responseBegins(facts, context, parser)
        }
    }

    private mutating func finish() -> HTTP1Step {
        state = flags.contains(.tunnelNext) ? .tunnelStart : flags.contains(.ended) ? .over : .idle
        emptyLines = 0
        return .complete
    }

    /// The length of a request's body (RFC 9112 §6.3, rules 3 to 7).
    private mutating func requestBegins(_ facts: HTTP1Facts, _ parser: HTTP1Parser) -> HTTP1Step? {
        let isConnect = facts.marks.contains(.connectMethod)
        let hasCoding = facts.marks.contains(.coding)
        if hasCoding, !isConnect, !facts.marks.contains(.chunkedLast),
            !parser.rules.leniency.contains(.codingNotChunked)
        {
            // Rule 4: "the message body length cannot be determined reliably; the server MUST respond with the 400".
            return failKeepingPart(.codingNotChunked, at: position, parser)
        }
        messageBegins(facts)
        if isConnect || facts.offersUpgrade { flags.insert(.switching) }
        if facts.marks.contains(.expectsContinue) { flags.insert(.expectsContinue) }
        if isConnect {
            // "A CONNECT request message does not have content" (RFC 9110 §9.3.6).
            state = .finishing
        } else if hasCoding {
            expectCoded(facts)
        } else {
            expectLength(facts.length)
        }
        return .head
    }

    /// The length of a response's body (RFC 9112 §6.3, rules 1, 2, 4, 6, 8).
    private mutating func responseBegins(
        _ facts: HTTP1Facts,
        _ context: HTTP1RequestContext,
        _ parser: HTTP1Parser
    ) -> HTTP1Step {
        let status = facts.status
        if status < 200 && status != 101 {
            // Interim responses are not the answer yet, and end with their head (RFC 9110 §15.2).
            flags.subtract([.probing, .lost, .inside])
            state = .idle
            emptyLines = 0
            return .interim
        }
        messageBegins(facts)
        if status == 101 || context == .connect && status < 300 {
            state = .finishing
            flags.insert(.tunnelNext)
        } else if context == .head || status == 204 || status == 304 {
            state = .finishing
        } else if facts.marks.contains(.coding) {
            expectCoded(facts)
        } else if facts.marks.contains(.length) {
            expectLength(facts.length)
        } else {
            state = .untilClose
        }
        if context == .unknown, state != .finishing, parser.rules.resynchronisation == .atHead {
            flags.insert(.doubtful)
        }
        return .head
    }

    private mutating func messageBegins(_ facts: HTTP1Facts) {
        flags.subtract([.probing, .lost, .inside, .expectsContinue, .doubtful])
        bodyBytes = 0
        if facts.isLast { flags.insert(.last) }
    }

    private mutating func expectLength(_ length: UInt64) {
        remaining = length
        state = length == 0 ? .finishing : .length
    }

    private mutating func expectCoded(_ facts: HTTP1Facts) {
        guard facts.marks.contains(.chunkedLast) else {
            state = .untilClose
            return
        }
        state = .chunkLine
        chunks = HTTP1Chunks()
        remaining = 0
    }

    /// A separate function: chunk-size lines are rare compared to body bytes.
    @inline(never)
    private mutating func readChunkLine(
        _ base: UnsafeRawPointer,
        _ end: Int,
        _ at: inout Int,
        _ parser: HTTP1Parser
    ) -> HTTP1Step? {
        switch chunks.read(base, from: at, to: end, &remaining, parser.rules.leniency, parser.rules.limits.chunkLine) {
        case .more:
            _ = take(end &- at, base, &at)
            return nil
        case .size(let index):
            state = remaining == 0 ? .trailers : .chunkData
            _ = take(index &- at, base, &at)
            return nil
        case .error(let error, let index):
            let wrong = position &+ UInt64(bitPattern: Int64(index &- at))
            let isSeeking = parser.rules.resynchronisation == .atHead
            _ = take(isSeeking ? max(0, index &- at) : end &- at, base, &at)
            return fail(error, at: wrong, parser)
        }
    }

    // MARK: Ends

    /// Handles the end of the direction. The caller continues with `next`, without bytes.
    mutating func end(_ end: HTTP1End, _ parser: HTTP1Parser) -> HTTP1Step? {
        if flags.contains(.ended) { return nil }
        let isProbing = flags.contains(.probing)
        flags.insert(.ended)
        flags.subtract([.lost, .probing, .inside])
        switch state {
        case .untilClose where end == .finished:
            // Complete "unless an error was indicated by the underlying connection" (RFC 9112 §8).
            state = .finishing
            return nil
        // Whether these are bytes of another protocol is not known.
        case .head where flags.contains(.switching): break
        case .head, .length, .untilClose, .chunkLine, .chunkData, .trailers:
            flags.remove(.switching)
            if !isProbing { return fail(end.error, at: position, parser) }
        case .idle, .idleCR, .finishing, .tunnelStart, .tunnel, .presumedTunnel, .over: break
        }
        stop(parser)
        return nil
    }

    // MARK: Information from the other direction

    /// The request to switch protocols was accepted. Returns whether the tunnel begins now; otherwise after the message.
    mutating func switches(_ parser: HTTP1Parser) -> Bool {
        flags.remove(.switching)
        switch state {
        case .idle, .idleCR, .head, .presumedTunnel:
            releasePart(parser.memory)
            flags.subtract([.lost, .probing, .inside])
            state = .tunnel
            return true
        case .length, .untilClose, .chunkLine, .chunkData, .trailers, .finishing:
            flags.insert(.tunnelNext)
            return false
        case .tunnelStart, .tunnel, .over: return false
        }
    }

    /// The request to switch protocols was not accepted. Returns the error deferred until now, if any.
    mutating func staysHTTP(_ parser: HTTP1Parser) -> (error: HTTP1Error, position: UInt64)? {
        flags.remove(.switching)
        guard state == .presumedTunnel else { return nil }
        state = .over
        if !flags.contains(.ended), parser.rules.resynchronisation == .atHead {
            loseTrack(deferred, at: remaining, isBoundary: false)
        }
        return (deferred, remaining)
    }

    /// A body is expected but has not begun, and the client waits for 100 (Continue) before sending it.
    var awaitsContinue: Bool {
        guard flags.contains(.expectsContinue), bodyBytes == 0 else { return false }
        return state == .length || state == .chunkLine && chunks.isAtStart
    }

    /// The expected body will not come.
    mutating func dropBody() {
        flags.remove(.doubtful)
        state = .finishing
    }
}

/// How a direction, or a connection, ended.
public enum HTTP1End: Sendable {
    /// In order: FIN.
    case finished
    /// RST.
    case reset
    /// The flow timed out without further packets.
    case idle
    /// Its memory was needed for other connections.
    case noMemory
    /// The table of flows was full and needed the room.
    case evicted
    /// The input ended.
    case eof

    var error: HTTP1Error {
        switch self {
        case .evicted: .evicted
        case .eof: .eof
        case .finished: .truncated
        case .reset: .reset
        case .idle: .idle
        case .noMemory: .noMemory
        }
    }
}
