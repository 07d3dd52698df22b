// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The state of both directions of a connection, and its queue of requests: of fixed size, so that an element can keep an array
/// of them by flow index.
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
    /// Requests that were read but not kept, and are not answered yet.
    private var forgotten: UInt32 = 0
    /// The current response has no transaction.
    private var isUntracked = false

    public init() {}

    /// One transaction in the queue.
    private struct Entry: BitwiseCopyable {
        /// First, so that it has the entry's address.
        var record: HTTP1Transaction
        /// Including its text, rounded up.
        var size: Int32 = 0
        var methodCount: Int32 = 0
        var targetCount: Int32 = 0
        var hostCount: Int32 = 0
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

    /// The transaction of the next or current response.
    private var answered: UnsafeMutablePointer<Entry>? {
        var offset = queueStart
        while offset < queueEnd, let entry = entry(offset) {
            if !entry.pointee.responseIsDone { return entry }
            offset += entry.pointee.size
        }
        return nil
    }

    @usableFromInline var requestContext: HTTP1RequestContext {
        if count == 0 { return .other }
        return answered?.pointee.context ?? .other
    }

    /// Stores a transaction and its text; the error if it would exceed a limit.
    private mutating func push(_ entry: inout Entry, _ head: HTTP1Head, _ parser: HTTP1Parser) -> HTTP1Error? {
        let method = head.method
        let target = head.target
        let host = head.host
        let size = (Entry.size + method.count + target.count + host.count + 15) & ~15
        let used = Int(queueEnd - queueStart)
        guard Int(count) < parser.rules.limits.requests, used + size <= parser.rules.limits.requestBytes else {
            return .tooManyRequests
        }
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

    /// The oldest transaction, if it is finished. It stays in place until it is removed.
    @usableFromInline
    mutating func finished(_ parser: HTTP1Parser) -> UnsafePointer<HTTP1Transaction>? {
        guard count > 0, let entry = entry(queueStart), entry.pointee.requestIsDone else { return nil }
        if !entry.pointee.responseIsDone, !response.isOver {
            // Of lost responses, only the one to the newest request can still come.
            guard response.isLost, count > 1 else { return nil }
            entry.pointee.record.fail(.response, .gap, response.position)
        }
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

    /// Removes the oldest transaction.
    @usableFromInline
    mutating func removeFinished(_ parser: HTTP1Parser) {
        guard let entry = entry(queueStart) else { return }
        entry.pointee.record.releaseFields(parser.memory)
        queueStart += entry.pointee.size
        count -= 1
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
    @usableFromInline
    mutating func requestBegan(
        _ head: HTTP1Head,
        _ parser: HTTP1Parser,
        _ orphan: inout HTTP1Transaction?
    ) -> HTTP1Error? {
        if forgotten > 0 {
            forgotten &+= 1
            return nil
        }
        var entry = open < 0 ? requestEntry() : takeBackPartial() ?? requestEntry()
        entry.record.requestVersion = head.version
        entry.requestIsDone = false
        let marks = head.facts.marks
        entry.context = marks.contains(.headMethod) ? .head : marks.contains(.connectMethod) ? .connect : .other
        entry.isSwitch = entry.context == .connect || head.facts.offersUpgrade
        if let fields = parser.requestFields {
            let values = fields.values(of: head, parser.memory)
            if values == nil { entry.record.fail(.request, .noMemory, request.position) }
            entry.record.requestFields = values ?? HTTP1FieldValues()
        }
        guard let error = push(&entry, head, parser) else { return nil }
        entry.record.releaseFields(parser.memory)
        releaseEmptyQueue(parser)
        if parser.rules.depthPolicy == .forget {
            forgotten = 1
            return nil
        }
        let position = request.position &- UInt64(truncatingIfNeeded: head.bytes.count)
        orphan = orphanTransaction(entry.record, head, error, position)
        request.stop(parser)
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
        if forgotten > 0 { return nil }
        var entry = requestEntry()
        entry.record.requestVersion = head.version
        entry.record.fail(.request, error, position)
        return push(&entry, head, parser) == nil ? nil : orphanTransaction(entry.record, head, error, position)
    }

    private func requestEntry() -> Entry {
        var record = HTTP1Transaction()
        record.requestTime = request.time
        return Entry(record: record)
    }

    /// Removes the transaction of a request that was answered before its head was complete, now that it is.
    private mutating func takeBackPartial() -> Entry? {
        guard let queue, open >= 0, let entry = entry(open)?.pointee else { return nil }
        // Responses without request may have been queued after it.
        let place = queue + Int(open)
        place.copyMemory(from: place + Int(entry.size), byteCount: Int(queueEnd - open - entry.size))
        queueEnd -= entry.size
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

    /// The transaction of the current response, created if no request waits; nil if there is no memory for it.
    ///
    /// It may answer a request whose head is still incomplete: with 408, 414, or another refusal.
    private mutating func answering(_ parser: HTTP1Parser) -> UnsafeMutablePointer<Entry>? {
        if let answered { return answered }
        var entry = Entry(record: HTTP1Transaction())
        if forgotten > 0 {
            forgotten &-= 1
        } else if request.isInHead, open < 0 {
            entry = requestEntry()
            entry.requestIsDone = false
        }
        return push(&entry, HTTP1Head(), parser) == nil ? answered : nil
    }

    /// A response began. Returns the error of a request whose verdict depended on it, if any.
    @usableFromInline
    mutating func responseBegan(_ head: HTTP1Head, _ parser: HTTP1Parser) -> (error: HTTP1Error, position: UInt64)? {
        let entry = answering(parser)
        isUntracked = entry == nil
        if let entry {
            entry.pointee.record.responseTime = response.time
            entry.pointee.record.responseVersion = head.version
            entry.pointee.record.status = head.status
            if let fields = parser.responseFields {
                let values = fields.values(of: head, parser.memory)
                if values == nil { entry.pointee.record.fail(.response, .noMemory, response.position) }
                entry.pointee.record.responseFields = values ?? HTTP1FieldValues()
            }
            if !entry.pointee.requestIsDone, head.status >= 300, request.awaitsContinue,
                parser.rules.leniency.contains(.refusedBody)
            {
                request.dropBody()
            }
        }
        let switches = response.flags.contains(.tunnelNext)
        guard let entry, entry.pointee.isSwitch, !switches else { return nil }
        return request.staysHTTP()
    }

    @usableFromInline
    mutating func interimCame() { answered?.pointee.record.interim &+= 1 }

    @usableFromInline
    mutating func responseEnded() {
        guard !isUntracked, let entry = answered else {
            isUntracked = false
            return
        }
        entry.pointee.record.responseBodyBytes = response.bodyBytes
        entry.pointee.responseIsDone = true
    }

    @usableFromInline
    mutating func responseFailed(_ error: HTTP1Error, _ position: UInt64, _ parser: HTTP1Parser) {
        if isUntracked {
            isUntracked = false
            return
        }
        guard let entry = answering(parser) else { return }
        entry.pointee.record.fail(.response, error, position)
        if entry.pointee.record.responseTime != nil { entry.pointee.record.responseBodyBytes = response.bodyBytes }
        entry.pointee.responseIsDone = true
    }

    // MARK: The end

    var keepsMemory: Bool { queue != nil || request.keepsMemory || response.keepsMemory }

    /// Fails the waiting transactions, though the connection is not at fault.
    @usableFromInline
    mutating func failAll(_ error: HTTP1Error) {
        var offset = queueStart
        while offset < queueEnd, let entry = entry(offset) {
            if !entry.pointee.responseIsDone { entry.pointee.record.fail(.response, error, response.position) }
            offset += entry.pointee.size
        }
    }

    /// Nothing more will come: finishes all transactions.
    mutating func endAll(_ parser: HTTP1Parser) {
        requestEnded(parser)
        request.stop(parser)
        response.stop(parser)
    }
}
