// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Parses HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112) from streams in pieces of any size, both directions of any number of
/// connections, and matches responses to requests.
///
/// What it reports does not depend on how a stream is cut into pieces, except for where bodies are divided. Per direction it
/// stores a head or trailer section only while that is incomplete; bodies are counted, not touched.
///
/// Where bytes are missing or unreadable, a pair that is reported is one: a response of which it is not known what it answers is
/// reported without a request.
public final class HTTP1Parser {
    /// The rules given, with limits capped to fit the counters.
    public let rules: HTTP1Rules
    /// Holds the stored parts of unfinished messages.
    public let memory: HTTP1Memory

    let requests: HTTP1HeadReader
    let responses: HTTP1HeadReader
    let trailers: HTTP1HeadReader
    private let requestProbe: HTTP1HeadReader
    private let responseProbe: HTTP1HeadReader
    let emptyLines: UInt8
    /// Nil if no fields are kept.
    let requestFields: HTTP1FieldKeeper?
    let responseFields: HTTP1FieldKeeper?

    /// - Parameter rules: what is accepted, and how much. Limits are capped at 16 MiB.
    /// - Parameter memory: what all connections of this parser may use; other parsers on the same thread may share it.
    public init(_ rules: HTTP1Rules = .strict, memory: HTTP1Memory = HTTP1Memory()) {
        var rules = rules
        func clamp(_ limit: inout Int, to most: Int = 1 << 24) { limit = min(max(limit, 1), most) }
        clamp(&rules.limits.startLine)
        clamp(&rules.limits.fieldLine)
        clamp(&rules.limits.fields)
        clamp(&rules.limits.head)
        clamp(&rules.limits.trailers)
        clamp(&rules.limits.chunkLine)
        clamp(&rules.limits.emptyLines, to: 254)
        clamp(&rules.limits.requests)
        self.rules = rules
        self.memory = memory
        requests = HTTP1HeadReader(.request, rules)
        responses = HTTP1HeadReader(.response, rules)
        trailers = HTTP1HeadReader(.trailers, rules)
        requestProbe = HTTP1HeadReader(.request, rules, isProbe: true)
        responseProbe = HTTP1HeadReader(.response, rules, isProbe: true)
        emptyLines = UInt8(rules.limits.emptyLines)
        requestFields = HTTP1FieldKeeper(rules.keptFields.request, valueBytes: rules.keptFields.valueBytes)
        responseFields = HTTP1FieldKeeper(rules.keptFields.response, valueBytes: rules.keptFields.valueBytes)
    }

    /// - Parameter isProbe: what is read may be no head at all.
    @inline(__always)
    func reader(_ section: HTTP1Section, isProbe: Bool) -> HTTP1HeadReader {
        switch section {
        case .request: isProbe ? requestProbe : requests
        case .response: isProbe ? responseProbe : responses
        case .trailers: trailers
        }
    }

    /// Whether the first bytes of a direction can be the beginning of a message, if they may also be from the middle of one.
    func isPlausibleStart(_ side: HTTP1Side, _ piece: UnsafeRawBufferPointer) -> Bool {
        guard let base = piece.baseAddress, HTTP1Direction.mayBegin(side, base, piece.count) else { return false }
        let section: HTTP1Section = side == .request ? .request : .response
        let reader = reader(section, isProbe: true)
        var facts = reader.start
        // Errors are to be reported.
        guard case .complete = reader.read(&facts, base, piece.count) else { return true }
        let end = Int(facts.judged)
        return HTTP1Direction.isContinued(facts, section, base + end, piece.count - end)
    }

    /// Parses the next bytes of a direction.
    ///
    /// - Parameter time: their arrival time, in the caller's unit; transactions carry it.
    /// - Parameter acknowledged: the position in the other direction up to which their sender had received it, `.max` if that is
    ///   not known; nil if all that was parsed.
    @inlinable
    public func take(
        _ side: HTTP1Side,
        _ piece: UnsafeRawBufferPointer,
        time: Int64,
        acknowledged: UInt64? = nil,
        of connection: inout HTTP1Connection,
        to handler: inout some HTTP1Handler
    ) {
        switch side {
        case .request:
            let received = acknowledged ?? connection.response.position
            takeRequests(piece, time, received, &connection, &handler, first: nil)
        case .response:
            let received = acknowledged ?? connection.request.position
            takeResponses(piece, time, received, &connection, &handler, first: nil)
        }
    }

    /// Reports that the next `count` bytes of a direction are missing, or an unknown number of them.
    ///
    /// Within a body whose length is known, nothing else is lost. Anywhere else it is the error `gap`;
    /// `HTTP1Rules.resynchronisation` decides whether reading resumes.
    @inlinable
    public func gap(
        _ side: HTTP1Side,
        _ count: UInt64?,
        time: Int64,
        of connection: inout HTTP1Connection,
        to handler: inout some HTTP1Handler
    ) {
        if let count, let left = side == .request ? connection.request.bodyLeft : connection.response.bodyLeft,
            count > left
        {
            // The body ends among them.
            missing(side, left, time, &connection, &handler)
            missing(side, count - left, time, &connection, &handler)
        } else {
            missing(side, count, time, &connection, &handler)
        }
    }

    @inlinable
    func missing(
        _ side: HTTP1Side,
        _ count: UInt64?,
        _ time: Int64,
        _ connection: inout HTTP1Connection,
        _ handler: inout some HTTP1Handler
    ) {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        switch side {
        case .request:
            let head = connection.request.partialHead
            let step = lose(&connection.request, count, time)
            takeRequests(nothing, time, .max, &connection, &handler, first: step, head: head)
        case .response:
            let head = connection.response.partialHead
            let step = loseResponse(&connection.response, count, time)
            takeResponses(nothing, time, .max, &connection, &handler, first: step, head: head)
        }
    }

    /// Reports that bytes of a direction, which came before all others, cannot be read: they are the error `error`.
    @inlinable
    public func reject(
        _ side: HTTP1Side,
        _ error: HTTP1Error,
        time: Int64,
        acknowledged: UInt64? = nil,
        of connection: inout HTTP1Connection,
        to handler: inout some HTTP1Handler
    ) {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        switch side {
        case .request:
            let step = refuse(&connection.request, error, time, acknowledged ?? connection.response.position)
            takeRequests(nothing, time, .max, &connection, &handler, first: step)
        case .response:
            let step = refuse(&connection.response, error, time, acknowledged ?? connection.request.position)
            takeResponses(nothing, time, .max, &connection, &handler, first: step)
        }
    }

    /// Reports that a direction has ended: a body until close is complete if it ended in order, any other message is not.
    @inlinable
    public func end(
        _ side: HTTP1Side,
        _ end: HTTP1End,
        of connection: inout HTTP1Connection,
        to handler: inout some HTTP1Handler
    ) {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        switch side {
        case .request:
            let step = finish(&connection.request, end)
            takeRequests(nothing, 0, .max, &connection, &handler, first: step)
        case .response:
            let step = finish(&connection.response, end)
            takeResponses(nothing, 0, .max, &connection, &handler, first: step)
        }
    }

    /// Ends both directions, reports the remaining transactions, and frees the memory of the connection, which is then as new.
    @inlinable
    public func close(
        _ connection: inout HTTP1Connection,
        _ end: HTTP1End,
        to handler: inout some HTTP1Handler
    ) {
        for side in [HTTP1Side.request, .response] {
            let unread = side == .request ? connection.request.unread : connection.response.unread
            if unread > 0 { handler.skipped(side, unread) }
            self.end(side, end, of: &connection, to: &handler)
        }
        endAll(&connection)
        report(&connection, &handler)
        connection = HTTP1Connection()
    }

    /// Like `close`, if the memory is needed for others: unfinished transactions get the error `no_memory`.
    @inlinable
    public func giveUp(_ connection: inout HTTP1Connection, to handler: inout some HTTP1Handler) {
        connection.failAll(.noMemory)
        close(&connection, .noMemory, to: &handler)
    }

    // MARK: Steps to events

    @inlinable
    func takeRequests(
        _ piece: UnsafeRawBufferPointer,
        _ time: Int64,
        _ acknowledged: UInt64,
        _ connection: inout HTTP1Connection,
        _ handler: inout some HTTP1Handler,
        first: HTTP1Step?,
        head: HTTP1Head = HTTP1Head()
    ) {
        var at = 0
        var head = head
        var first = first
        var isApart = true
        while true {
            let step = first ?? connection.request.next(piece, &at, .request, .other, time, acknowledged, self, &head)
            first = nil
            switch step {
            case .more: return
            case .again: break
            case .head:
                if connection.isImpossible(request: head) {
                    reject(&connection.request)
                    continue
                }
                var orphan: HTTP1Transaction?
                let flaw = flaw(of: head, &connection.request, .request)
                let error = connection.requestBegan(head, flaw, isApart: isApart, self, &orphan)
                isApart = false
                if connection.passed > 0 { handler.skipped(.request, connection.passed) }
                if let flaw { handler.failed(.request, flaw.error, at: flaw.position) }
                if let error {
                    let position = connection.request.position &- UInt64(truncatingIfNeeded: head.bytes.count)
                    handler.failed(.request, error, at: position)
                    if let orphan { handler.transaction(orphan) }
                } else {
                    handler.requestHead(head)
                }
                report(&connection, &handler)
            case .body(let bytes): handler.body(.request, bytes)
            case .bodyGap(let count): handler.bodyGap(.request, count)
            case .trailers: handler.trailers(.request, head.fields)
            case .complete:
                handler.messageComplete(.request, bodyBytes: connection.request.bodyBytes)
                connection.requestEnded(self)
                report(&connection, &handler)
                // The next failure does not concern this message.
                head = HTTP1Head()
            case .tunnel: handler.tunnelBegins(.request, at: connection.request.position)
            case .tunnelBytes(let bytes): handler.tunnelBytes(.request, bytes)
            case .failed(let error, let position):
                handler.failed(.request, error, at: position)
                if let orphan = connection.requestFailed(error, position, head, self) { handler.transaction(orphan) }
                head = HTTP1Head()
                report(&connection, &handler)
            case .interim: break
            }
        }
    }

    @inlinable
    func takeResponses(
        _ piece: UnsafeRawBufferPointer,
        _ time: Int64,
        _ acknowledged: UInt64,
        _ connection: inout HTTP1Connection,
        _ handler: inout some HTTP1Handler,
        first: HTTP1Step?,
        head: HTTP1Head = HTTP1Head()
    ) {
        var at = 0
        var head = head
        var first = first
        while true {
            let step: HTTP1Step
            if let given = first {
                step = given
            } else {
                let context = connection.requestContext(acknowledged)
                step = connection.response.next(piece, &at, .response, context, time, acknowledged, self, &head)
            }
            first = nil
            switch step {
            case .more:
                // The end of this direction may have been all that the others waited for.
                if piece.count == 0 { report(&connection, &handler) }
                return
            case .again: break
            case .head:
                let flaw = flaw(of: head, &connection.response, .response)
                let beginning = connection.responseBegan(head, flaw, self)
                if case .rejected = beginning { continue }
                if connection.passed > 0 { handler.skipped(.response, connection.passed) }
                if let flaw { handler.failed(.response, flaw.error, at: flaw.position) }
                handler.responseHead(head)
                if case .postponed(let error, let position) = beginning {
                    handler.failed(.request, error, at: position)
                    let none = HTTP1Head()
                    if let orphan = connection.requestFailed(error, position, none, self) {
                        handler.transaction(orphan)
                    }
                }
                // Requests of which it is not known any more what answers them; and one whose body will not come is now complete.
                report(&connection, &handler)
                takeRequests(
                    UnsafeRawBufferPointer(start: nil, count: 0),
                    time,
                    .max,
                    &connection,
                    &handler,
                    first: nil
                )
            case .interim:
                connection.interimCame()
                handler.interimResponse(head)
            case .body(let bytes): handler.body(.response, bytes)
            case .bodyGap(let count): handler.bodyGap(.response, count)
            case .trailers: handler.trailers(.response, head.fields)
            case .complete:
                head = HTTP1Head()
                handler.messageComplete(.response, bodyBytes: connection.response.bodyBytes)
                connection.responseEnded()
                report(&connection, &handler)
            case .tunnel:
                handler.tunnelBegins(.response, at: connection.response.position)
                if switches(&connection.request) {
                    handler.tunnelBegins(.request, at: connection.request.position)
                }
                report(&connection, &handler)
            case .tunnelBytes(let bytes): handler.tunnelBytes(.response, bytes)
            case .failed(let error, let position):
                handler.failed(.response, error, at: position)
                connection.responseFailed(error, position, head, self)
                head = HTTP1Head()
                report(&connection, &handler)
            }
        }
    }

    /// Reports the finished transactions.
    @inlinable
    func report(_ connection: inout HTTP1Connection, _ handler: inout some HTTP1Handler) {
        while let transaction = connection.finished(self) {
            handler.transaction(transaction.pointee)
            connection.remove(transaction, self)
        }
    }

    @usableFromInline
    func lose(_ direction: inout HTTP1Direction, _ count: UInt64?, _ time: Int64) -> HTTP1Step? {
        direction.gap(count, time, self)
    }

    @usableFromInline
    func loseResponse(_ direction: inout HTTP1Direction, _ count: UInt64?, _ time: Int64) -> HTTP1Step? {
        // Of a head without a status code it is not known whether it is the answer.
        let isHead = direction.isInHead && direction.partialHead.status < 200
        let step = direction.gap(count, time, self)
        if isHead, step != nil { direction.lossStart = direction.start }
        return step
    }

    @usableFromInline
    func reject(_ direction: inout HTTP1Direction) { direction.reject() }

    @usableFromInline
    func refuse(
        _ direction: inout HTTP1Direction,
        _ error: HTTP1Error,
        _ time: Int64,
        _ acknowledged: UInt64
    ) -> HTTP1Step? {
        direction.refuse(error, time, acknowledged, self)
    }

    /// What is wrong with a message that is read nevertheless.
    @usableFromInline @inline(__always)
    func flaw(
        of head: HTTP1Head,
        _ direction: inout HTTP1Direction,
        _ side: HTTP1Side
    ) -> (error: HTTP1Error, position: UInt64)? {
        if direction.flags.contains(.afterClose) {
            direction.flags.remove(.afterClose)
            return (.dataAfterClose, direction.start)
        }
        guard side == .request, let flaw = requests.flaw(of: head) else { return nil }
        return (flaw.error, direction.start &+ UInt64(truncatingIfNeeded: flaw.at))
    }

    @usableFromInline
    func finish(_ direction: inout HTTP1Direction, _ end: HTTP1End) -> HTTP1Step? { direction.end(end, self) }

    @usableFromInline
    func switches(_ direction: inout HTTP1Direction) -> Bool { direction.switches(self) }

    @usableFromInline
    func endAll(_ connection: inout HTTP1Connection) { connection.endAll(self) }
}
