// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The framing of a response depends on its request: one to HEAD has no body, one to CONNECT may begin a tunnel
/// (RFC 9112 §6.3).
@usableFromInline enum HTTP1RequestContext: UInt8, BitwiseCopyable {
    case other
    case head
    case connect
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
        let rawValue: UInt8
        /// The message is its sender's last.
        static let last = Flags(rawValue: 1 << 0)
        /// The block may be freed: its content was reported.
        static let release = Flags(rawValue: 1 << 1)
        /// A request to switch protocols is not answered yet.
        static let switching = Flags(rawValue: 1 << 2)
        /// The tunnel begins when the message is complete.
        static let tunnelNext = Flags(rawValue: 1 << 3)
        /// Bytes were lost where they mattered.
        static let lost = Flags(rawValue: 1 << 4)
        /// In a head after lost bytes; if it is invalid, it is skipped without an error.
        static let probing = Flags(rawValue: 1 << 5)
        /// The direction has ended.
        static let ended = Flags(rawValue: 1 << 6)
        /// The client waits for 100 (Continue) before it sends the body.
        static let expectsContinue = Flags(rawValue: 1 << 7)
    }

    var state = State.idle
    var flags: Flags = []
    var chunks = HTTP1Chunks()
    var emptyLines: UInt8 = 0
    var deferred = HTTP1Error.gap
    /// Position of the next byte in the stream, not counting gaps of unknown length.
    @usableFromInline var position: UInt64 = 0
    /// Bytes left in the body or chunk; while reading a chunk-size line, the size so far.
    var remaining: UInt64 = 0
    /// Body bytes so far, after dechunking.
    @usableFromInline var bodyBytes: UInt64 = 0
    /// Arrival time of the message's first byte.
    @usableFromInline var time: Int64 = 0
    /// The incomplete head or trailer section.
    private var part = HTTP1PartialSection()
    var keepsMemory: Bool { part.block != nil }

    init() {}

    /// No further message will be read.
    var isOver: Bool { state == .tunnel || state == .over && !flags.contains(.lost) || flags.contains(.ended) }
    /// Messages are missing; reading may resume.
    var isLost: Bool { flags.contains(.lost) }

    /// A head has begun, and not one merely tried after a gap.
    var isInHead: Bool { state == .head && !flags.contains(.probing) }

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
                if flags.contains(.probing), part.block == nil { self.time = time }
                if let step = readSection(base, piece.count, &at, side, context, parser, &head) { return step }
            case .idle:
                if let step = begin(base.byte(at), &at, time, parser) { return step }
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
                guard at == 0, resumes(base, piece.count, side, time, parser) else {
                    _ = take(left, base, &at)
                    return .more
                }
            case .presumedTunnel, .finishing, .tunnelStart:
                _ = take(left, base, &at)
                return .more
            }
        }
    }

    @inline(__always)
    private mutating func take(_ count: Int, _ base: UnsafeRawPointer, _ at: inout Int) -> UnsafeRawBufferPointer {
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

    /// Stops reading. Returns nothing to report if a head was merely being tried; an error after a request to switch protocols
    /// waits for its answer.
    mutating func fail(_ error: HTTP1Error, at position: UInt64, _ parser: HTTP1Parser) -> HTTP1Step? {
        releasePart(parser.memory)
        if flags.contains(.probing) {
            flags.remove(.probing)
            state = .over
            return nil
        }
        if flags.contains(.switching), state == .idle || state == .idleCR || state == .head {
            state = .presumedTunnel
            deferred = error
            remaining = position
            return nil
        }
        state = .over
        return .failed(error, at: position)
    }

    /// Stops reading for a reason outside this direction.
    mutating func stop(_ parser: HTTP1Parser) {
        releasePart(parser.memory)
        state = .over
        flags.subtract([.lost, .probing])
    }

    // MARK: Before a message

    /// Skips empty lines before a message (RFC 9112 §2.2; old servers send them too); anything else begins one.
    private mutating func begin(_ byte: UInt8, _ at: inout Int, _ time: Int64, _ parser: HTTP1Parser) -> HTTP1Step? {
        if byte == 0x0d || byte == 0x0a && parser.rules.leniency.contains(.bareLF) {
            at &+= 1
            position &+= 1
            if byte == 0x0a { return countEmptyLine(parser) }
            state = .idleCR
            return nil
        }
        self.time = time
        bodyBytes = 0
        // A client must not send, a server must not process, requests after one with "close" (RFC 9112 §9.6).
        if flags.contains(.last), !parser.rules.leniency.contains(.dataAfterClose) {
            return fail(.dataAfterClose, at: position, parser)
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
        let reader = section == .request ? parser.requests : section == .response ? parser.responses : parser.trailers
        if let block = part.block { return readOn(block, reader, base, end, &at, context, parser, &head) }
        var facts = reader.start
        switch reader.read(&facts, base + at, end &- at) {
        case .complete:
            head = HTTP1Head(base + at, facts, count: Int(facts.judged))
            _ = take(Int(facts.judged), base, &at)
            return sectionEnds(facts, section, context, parser)
        case .error(let error, let offset):
            head = HTTP1Head(base + at, facts, count: end &- at)
            let start = position
            _ = take(end &- at, base, &at)
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
        case .response: return responseBegins(facts, context)
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
    private mutating func responseBegins(_ facts: HTTP1Facts, _ context: HTTP1RequestContext) -> HTTP1Step {
        let status = facts.status
        if status < 200 && status != 101 {
            // Interim responses are not the answer yet, and end with their head (RFC 9110 §15.2).
            flags.remove(.probing)
            flags.remove(.lost)
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
        return .head
    }

    private mutating func messageBegins(_ facts: HTTP1Facts) {
        flags.subtract([.probing, .lost, .expectsContinue])
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
            _ = take(end &- at, base, &at)
            return fail(error, at: wrong, parser)
        }
    }

    // MARK: Ends

    /// Handles the end of the direction. The caller continues with `next`, without bytes.
    mutating func end(_ end: HTTP1End, _ parser: HTTP1Parser) -> HTTP1Step? {
        if flags.contains(.ended) { return nil }
        let isProbing = flags.contains(.probing)
        flags.insert(.ended)
        flags.subtract([.lost, .probing])
        switch state {
        case .untilClose where end == .finished:
            // Complete "unless an error was indicated by the underlying connection" (RFC 9112 §8).
            state = .finishing
            return nil
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
            flags.subtract([.lost, .probing])
            state = .tunnel
            return true
        case .length, .untilClose, .chunkLine, .chunkData, .trailers, .finishing:
            flags.insert(.tunnelNext)
            return false
        case .tunnelStart, .tunnel, .over: return false
        }
    }

    /// The request to switch protocols was not accepted. Returns the error deferred until now, if any.
    mutating func staysHTTP() -> (error: HTTP1Error, position: UInt64)? {
        flags.remove(.switching)
        guard state == .presumedTunnel else { return nil }
        state = .over
        return (deferred, remaining)
    }

    /// A body is expected but has not begun, and the client waits for 100 (Continue) before sending it.
    var awaitsContinue: Bool {
        guard flags.contains(.expectsContinue), bodyBytes == 0 else { return false }
        return state == .length || state == .chunkLine && chunks.isAtStart
    }

    /// The expected body will not come.
    mutating func dropBody() { state = .finishing }
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

    var error: HTTP1Error {
        switch self {
        case .finished: .truncated
        case .reset: .reset
        case .idle: .idle
        case .noMemory: .noMemory
        }
    }
}
