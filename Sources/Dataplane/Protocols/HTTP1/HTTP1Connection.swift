// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The state of both directions of a connection, and its queue of requests: of fixed size, so that an element can keep an array
/// of them by flow index.
///
/// Responses answer requests in order (RFC 9112 §9.3.2). Which one a response answers is certain unless bytes of the requests,
/// or of responses before it, were not read; `HTTP1Connection+Matching.swift` has the rules for that.
///
/// It may own memory of its parser, which `HTTP1Parser.close` frees.
public struct HTTP1Connection: BitwiseCopyable {
    @usableFromInline var request = HTTP1Direction()
    @usableFromInline var response = HTTP1Direction()

    /// Unfinished transactions, oldest first, each followed by the text that it points to: bytes `queueStart ..< queueEnd` of a
    /// block of `queueCapacity`.
    private var queue: UnsafeMutableRawPointer?
    private var queueStart: Int32 = 0
    private var queueEnd: Int32 = 0
    private var queueCapacity: Int32 = 0
    private var count: Int32 = 0
    /// The transaction whose request has not ended; negative if there is none.
    private var open: Int32 = -1
    /// Requests that were read but not stored, and are not answered yet: behind all that are stored.
    var forgotten: UInt32 = 0
    /// Unanswered requests that were not read.
    var hidden = Hidden()
    /// Responses to requests that were not read, and whose loss is not known yet.
    var ahead: UInt32 = 0
    /// The request whose head is being read is among the hidden ones already.
    var isHeadPassed = false
    var habits: Habits = []
    /// What the current response belongs to.
    private var responding = Responding.nothing
    /// Bytes of the shortest request that this client may send.
    var shortest: UInt16 = 25
    /// A digest of the last request's host; 0 if there is none.
    var host: UInt64 = 0
    /// How far the client had received the responses when it sent its last request; `.max` if unknown.
    var asked: UInt64 = 0
    /// Responses that begin before this position answer requests that are gone.
    var settled: UInt64 = 0
    /// Where the last response ended.
    var answeredEnd: UInt64 = 0
    /// The bytes that were not read before the message that has just begun.
    @usableFromInline var passed: UInt64 = 0
    /// The transaction of the current response, if its request is not known.
    private var alone: UnsafeMutablePointer<Entry>?

    public init() {}

    /// - Parameter isWhole: nothing came before its first bytes; otherwise requests may wait that were sent before.
    public init(isWhole: Bool) {
        if !isWhole { hidden = Hidden(most: .max, isStart: true) }
    }

    private enum Responding: BitwiseCopyable {
        case nothing
        /// The oldest stored request without response.
        case request
        case alone
        /// There was no memory for its transaction.
        case untracked
    }

    /// One transaction in the queue.
    struct Entry: BitwiseCopyable {
        /// First, so that it has the entry's address.
        var record: HTTP1Transaction
        /// Including its text, rounded up.
        var size: Int32 = 0
        var methodCount: Int32 = 0
        var targetCount: Int32 = 0
        var hostCount: Int32 = 0
        /// Position of the request's first byte.
        var start: UInt64 = 0
        /// How far the client had received the responses when it sent that byte; `.max` if unknown.
        var asked: UInt64 = .max
        var context = HTTP1RequestContext.other
        var isSwitch = false
        var requestIsDone = true
        var responseIsDone = false

        static let size = MemoryLayout<Entry>.stride
    }

    // MARK: The queue

    private func entry(_ offset: Int32) -> UnsafeMutablePointer<Entry>? {
        queue.map { ($0 + Int(offset)).assumingMemoryBound(to: Entry.self) }
    }

    /// Calls `body` with the stored requests that have no response yet, oldest first, until it returns false.
    ///
    /// Those with a response are removed when they are reported. Only one of which the end has not come stays, and that is the last.
    @inline(__always)
    func forEachUnanswered(_ body: (UnsafeMutablePointer<Entry>, _ place: Int32) -> Bool) {
        var offset = queueStart
        var place: Int32 = 0
        while offset < queueEnd, let entry = entry(offset) {
            if !entry.pointee.responseIsDone, !body(entry, place) { return }
            offset += entry.pointee.size
            place += 1
        }
    }

    /// The oldest stored request without response, and the number of entries before it.
    var firstUnanswered: (entry: UnsafeMutablePointer<Entry>, place: Int32)? {
        var found: (UnsafeMutablePointer<Entry>, Int32)?
        forEachUnanswered { entry, place in
            found = (entry, place)
            return false
        }
        return found
    }

    /// The number of stored transactions.
    var stored: Int32 { count }
    /// Whether the response to a stored request is being read.
    var isAnswering: Bool { responding == .request }
    /// Whether a response without known request is being read.
    var isAnsweringAlone: Bool { responding == .alone }

    /// What the framing of the next or current response depends on.
    @usableFromInline
    func requestContext(_ acknowledged: UInt64) -> HTTP1RequestContext {
        switch response.state {
        case .idle, .idleCR: context(response.position, acknowledged)
        case .head where response.keepsMemory: context(response.start, response.acknowledged)
        case .head: context(response.position, acknowledged)
        default: .other
        }
    }

    /// Stores a transaction and its text; the error if it would exceed a limit.
    private mutating func push(_ entry: inout Entry, _ head: HTTP1Head, _ parser: HTTP1Parser) -> HTTP1Error? {
        let method = head.method
        let target = head.target
        let host = head.host
        let size = (Entry.size + method.count + target.count + host.count + 15) & ~15
        let used = Int(queueEnd - queueStart)
        guard Int(count) < parser.rules.limits.requests else { return .tooManyRequests }
        guard used + size <= Int(Int32.max) / 4 else { return .noMemory }
        if Int(queueEnd) + size > Int(queueCapacity), !makeRoom(used + size, parser) { return .noMemory }
        guard let queue else { return .noMemory }
        entry.size = Int32(size)
        entry.methodCount = Int32(method.count)
        entry.targetCount = Int32(target.count)
        entry.hostCount = Int32(host.count)
        let start = queue + Int(queueEnd)
        start.storeBytes(of: entry, as: Entry.self)
        var at = start + Entry.size
        Self.copy(method, &at)
        Self.copy(target, &at)
        Self.copy(host, &at)
        if !entry.requestIsDone { open = queueEnd }
        queueEnd += Int32(size)
        count += 1
        return nil
    }

    private static func copy(_ text: UnsafeRawBufferPointer, _ at: inout UnsafeMutableRawPointer) {
        guard let base = text.baseAddress else { return }
        at.copyMemory(from: base, byteCount: text.count)
        at += text.count
    }

    /// Moves the queue to the start of its block, or to a larger one. With a block of twice the size that is rare, however many
    /// requests wait.
    private mutating func makeRoom(_ needed: Int, _ parser: HTTP1Parser) -> Bool {
        let used = Int(queueEnd - queueStart)
        if 2 * needed > Int(queueCapacity), let new = parser.memory.allocate(2 * needed) {
            if let queue {
                new.copyMemory(from: queue + Int(queueStart), byteCount: used)
                parser.memory.release(queue, Int(queueCapacity))
            }
            queue = new
            queueCapacity = Int32(HTTP1Memory.size(for: 2 * needed))
        } else if let queue, needed <= Int(queueCapacity) {
            queue.copyMemory(from: queue + Int(queueStart), byteCount: used)
        } else {
            return false
        }
        if open >= 0 { open -= queueStart }
        queueStart = 0
        queueEnd = Int32(used)
        return true
    }

    /// The oldest transaction, if it is finished; then that of a response without request. It stays in place until it is removed.
    @usableFromInline
    mutating func finished(_ parser: HTTP1Parser) -> UnsafePointer<HTTP1Transaction>? {
        if count > 0, let entry = entry(queueStart), entry.pointee.requestIsDone {
            if entry.pointee.responseIsDone { return text(entry) }
            if response.isOver {
                // Its response may have been among the missing bytes.
                if response.flags.contains(.passedOver), response.cause == .gap {
                    entry.pointee.record.fail(.response, .gap, response.position)
                }
                return text(entry)
            }
        }
        guard let alone, alone.pointee.responseIsDone else { return nil }
        return UnsafeRawPointer(alone).assumingMemoryBound(to: HTTP1Transaction.self)
    }

    /// The transaction of an entry, with its text.
    private func text(_ entry: UnsafeMutablePointer<Entry>) -> UnsafePointer<HTTP1Transaction> {
        let text = UnsafeRawPointer(entry) + Entry.size
        let methodCount = Int(entry.pointee.methodCount)
        let targetCount = Int(entry.pointee.targetCount)
        entry.pointee.record.method = UnsafeRawBufferPointer(start: text, count: methodCount)
        entry.pointee.record.target = UnsafeRawBufferPointer(start: text + methodCount, count: targetCount)
        entry.pointee.record.host = UnsafeRawBufferPointer(
            start: text + methodCount + targetCount,
            count: Int(entry.pointee.hostCount)
        )
        return UnsafeRawPointer(entry).assumingMemoryBound(to: HTTP1Transaction.self)
    }

    /// Removes a transaction that `finished` returned.
    @usableFromInline
    mutating func remove(_ transaction: UnsafePointer<HTTP1Transaction>, _ parser: HTTP1Parser) {
        let place = UnsafeRawPointer(transaction)
        if let alone, alone == place.assumingMemoryBound(to: Entry.self) {
            alone.pointee.record.releaseFields(parser.memory)
            parser.memory.release(UnsafeMutableRawPointer(alone), Entry.size)
            self.alone = nil
            return
        }
        guard let entry = entry(queueStart) else { return }
        entry.pointee.record.releaseFields(parser.memory)
        queueStart += entry.pointee.size
        count -= 1
        if hidden.place > 0 { hidden.place -= 1 }
        releaseEmptyQueue(parser)
    }

    private mutating func releaseEmptyQueue(_ parser: HTTP1Parser) {
        guard count == 0, let queue else { return }
        parser.memory.release(queue, Int(queueCapacity))
        self.queue = nil
        queueStart = 0
        queueEnd = 0
        queueCapacity = 0
    }

    // MARK: Requests

    /// A request began. Anything recorded by an early response is kept. Returns the error if the request cannot be stored;
    /// `orphan` is then its transaction.
    ///
    /// - Parameter isApart: it did not come in one piece with the request before it.
    @usableFromInline
    mutating func requestBegan(
        _ head: HTTP1Head,
        _ flaw: (error: HTTP1Error, position: UInt64)?,
        isApart: Bool,
        _ parser: HTTP1Parser,
        _ orphan: inout HTTP1Transaction?
    ) -> HTTP1Error? {
        passed = 0
        if let loss = request.takeLoss() {
            passed = loss.bytes
            hide(loss)
        }
        ahead = 0
        followed(isApart: isApart)
        if forgotten > 0 {
            forgotten &+= 1
            return nil
        }
        var entry = open < 0 ? requestEntry() : takeBackPartial() ?? requestEntry()
        entry.record.requestVersion = head.version
        entry.record.requestSkipped = passed
        if let flaw { entry.record.fail(.request, flaw.error, flaw.position) }
        entry.requestIsDone = false
        let marks = head.facts.marks
        entry.context = marks.contains(.headMethod) ? .head : marks.contains(.connectMethod) ? .connect : .other
        entry.isSwitch = entry.context == .connect || head.facts.offersUpgrade
        if let fields = parser.requestFields {
            let values = fields.values(of: head, parser.memory)
            if values == nil { entry.record.fail(.request, .noMemory, request.position) }
            entry.record.requestFields = values ?? HTTP1FieldValues()
        }
        settleHead(&entry)
        guard let error = push(&entry, head, parser) else {
            host = HTTP1Bytes.digest(head.host)
            shortest = UInt16(truncatingIfNeeded: 25 + min(head.host.count, 4096))
            return nil
        }
        entry.record.releaseFields(parser.memory)
        releaseEmptyQueue(parser)
        forgotten = 1
        orphan = orphanTransaction(entry.record, head, error, request.start)
        return error
    }

    @usableFromInline
    mutating func requestEnded(_ parser: HTTP1Parser) {
        guard open >= 0, let entry = entry(open) else { return }
        entry.pointee.requestIsDone = true
        entry.pointee.record.requestBodyBytes = request.bodyBytes
        open = -1
    }

    /// A request cannot be read. The part known may still be answered: returns nil, or the transaction if it cannot be stored.
    ///
    /// Missing bytes between requests are the failure of none.
    @usableFromInline
    mutating func requestFailed(
        _ error: HTTP1Error,
        _ position: UInt64,
        _ head: HTTP1Head,
        _ parser: HTTP1Parser
    ) -> HTTP1Transaction? {
        if open >= 0, let entry = entry(open) {
            entry.pointee.record.fail(.request, error, position)
            requestEnded(parser)
            return nil
        }
        if error == .gap, request.flags.contains(.boundary) { return nil }
        followed(isApart: true)
        if forgotten > 0 {
            forgotten &+= 1
            return nil
        }
        var entry = requestEntry()
        entry.record.requestVersion = head.version
        entry.record.fail(.request, error, position)
        let marks = head.facts.marks
        entry.context =
            !marks.contains(.startLine)
            ? .unknown : marks.contains(.headMethod) ? .head : marks.contains(.connectMethod) ? .connect : .other
        settleHead(&entry)
        guard let failure = push(&entry, head, parser) else { return nil }
        forgotten = 1
        return orphanTransaction(entry.record, head, failure == .tooManyRequests ? error : failure, position)
    }

    /// If a response may have answered the request before its head was complete, it gets none.
    private mutating func settleHead(_ entry: inout Entry) {
        guard isHeadPassed else { return }
        isHeadPassed = false
        entry.record.fail(.response, .gap, response.position)
        entry.responseIsDone = true
    }

    private func requestEntry() -> Entry {
        var record = HTTP1Transaction()
        record.requestTime = request.time
        return Entry(record: record, start: request.start, asked: request.acknowledged)
    }

    /// Removes the transaction of a request that was answered before its head was complete, now that it is.
    private mutating func takeBackPartial() -> Entry? {
        // An open request is the last.
        guard open >= 0, let entry = entry(open)?.pointee else { return nil }
        queueEnd = open
        count -= 1
        open = -1
        return entry
    }

    private func orphanTransaction(
        _ record: HTTP1Transaction,
        _ head: HTTP1Head,
        _ error: HTTP1Error,
        _ position: UInt64
    ) -> HTTP1Transaction {
        var record = record
        record.method = head.method
        record.target = head.target
        record.host = head.host
        record.fail(.request, error, position)
        return record
    }

    // MARK: Responses

    /// The transaction of the response that begins, by what is known of its request; nil if there is no memory for it.
    private mutating func answering(_ parser: HTTP1Parser) -> UnsafeMutablePointer<Entry>? {
        let match = match(response.start, response.acknowledged)
        let error = resolve(match)
        responding = .untracked
        if match == .request, let first = firstUnanswered?.entry {
            responding = .request
            return first
        }
        // It may answer a request whose head is still incomplete: with 408, 414, or another refusal.
        if match == .nothing, request.isInHead, open < 0, response.acknowledged > request.start {
            var entry = requestEntry()
            entry.requestIsDone = false
            if push(&entry, HTTP1Head(), parser) == nil, let first = firstUnanswered?.entry {
                responding = .request
                return first
            }
            return nil
        }
        guard alone == nil, let block = parser.memory.allocate(Entry.size) else { return nil }
        let entry = block.bindMemory(to: Entry.self, capacity: 1)
        entry.initialize(to: Entry(record: HTTP1Transaction()))
        if let error { entry.pointee.record.fail(error.side, error.error, response.start) }
        alone = entry
        responding = .alone
        return entry
    }

    /// The transaction of the current response.
    private var answered: UnsafeMutablePointer<Entry>? {
        switch responding {
        case .nothing, .untracked: nil
        case .request: firstUnanswered?.entry
        case .alone: alone
        }
    }

    @usableFromInline enum Beginning {
        case accepted
        /// The verdict on a request depended on it: that was wrong.
        case postponed(HTTP1Error, at: UInt64)
        /// It was found after lost bytes, and there is nothing that it could answer: it is part of a body.
        case rejected
    }

    /// A response began.
    @usableFromInline
    mutating func responseBegan(
        _ head: HTTP1Head,
        _ flaw: (error: HTTP1Error, position: UInt64)?,
        _ parser: HTTP1Parser
    ) -> Beginning {
        if response.flags.contains(.passedOver), isImpossible(response.start, response.acknowledged) {
            response.reject()
            return .rejected
        }
        let entry = answering(parser)
        let switches = response.flags.contains(.tunnelNext)
        let isAlone = responding != .request
        passed = response.takeLoss()?.bytes ?? 0
        if let entry {
            entry.pointee.record.responseTime = response.time
            entry.pointee.record.responseVersion = head.version
            entry.pointee.record.status = head.status
            entry.pointee.record.responseSkipped = passed
            if let flaw { entry.pointee.record.fail(.response, flaw.error, flaw.position) }
            if let fields = parser.responseFields {
                let values = fields.values(of: head, parser.memory)
                if values == nil { entry.pointee.record.fail(.response, .noMemory, response.position) }
                entry.pointee.record.responseFields = values ?? HTTP1FieldValues()
            }
            if !isAlone, !entry.pointee.requestIsDone, head.status >= 300, request.awaitsContinue,
                parser.rules.leniency.contains(.refusedBody)
            {
                request.dropBody()
            }
        }
        if switches { return .accepted }
        if isAlone {
            // The server speaks HTTP still, so the request to switch protocols was refused.
            if request.state == .presumedTunnel { _ = request.staysHTTP(parser) }
            return .accepted
        }
        guard let entry, entry.pointee.isSwitch, let error = request.staysHTTP(parser) else { return .accepted }
        return .postponed(error.error, at: error.position)
    }

    @usableFromInline
    mutating func interimCame() {
        if match(response.start, response.acknowledged) == .request {
            firstUnanswered?.entry.pointee.record.interim &+= 1
        }
    }

    @usableFromInline
    mutating func responseEnded() {
        if let entry = answered {
            entry.pointee.record.responseBodyBytes = response.bodyBytes
            entry.pointee.responseIsDone = true
        }
        responding = .nothing
        answeredEnd = response.position
    }

    /// Missing bytes between responses, or in a head that may have been an interim one, are the failure of none.
    @usableFromInline
    mutating func responseFailed(
        _ error: HTTP1Error,
        _ position: UInt64,
        _ head: HTTP1Head,
        _ parser: HTTP1Parser
    ) {
        if responding == .nothing {
            let isFinal = head.status >= 200 && head.facts.marks.contains(.startLine)
            if error == .gap, response.isLost, !isFinal { return passSettled() }
            let entry = answering(parser)
            if isFinal, let entry {
                entry.pointee.record.status = head.status
                entry.pointee.record.responseVersion = head.version
                entry.pointee.record.responseTime = response.time
            }
        }
        if let entry = answered {
            entry.pointee.record.fail(.response, error, position)
            if entry.pointee.record.responseTime != nil {
                entry.pointee.record.responseBodyBytes = response.bodyBytes
            }
            entry.pointee.responseIsDone = true
        }
        responding = .nothing
        answeredEnd = position
    }

    // MARK: The end

    var keepsMemory: Bool { queue != nil || alone != nil || request.keepsMemory || response.keepsMemory }

    /// Fails the waiting transactions, though the connection is not at fault.
    @usableFromInline
    mutating func failAll(_ error: HTTP1Error) {
        let position = response.position
        forEachUnanswered { entry, _ in
            entry.pointee.record.fail(.response, error, position)
            return true
        }
        alone?.pointee.record.fail(.response, error, position)
    }

    /// Nothing more will come: finishes all transactions.
    mutating func endAll(_ parser: HTTP1Parser) {
        requestEnded(parser)
        request.stop(parser)
        response.stop(parser)
        alone?.pointee.responseIsDone = true
    }
}
