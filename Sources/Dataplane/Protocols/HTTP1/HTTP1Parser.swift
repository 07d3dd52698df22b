// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Parses HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112) from streams in pieces of any size, both directions of any number of
/// connections, and matches responses to requests.
///
/// What it reports does not depend on how a stream is cut into pieces, except for where bodies are divided. Per direction it
/// stores a head or trailer section only while that is incomplete; bodies are counted, not touched.
public final class HTTP1Parser {
    /// The rules given, with limits capped to fit the counters.
    public let rules: HTTP1Rules
    /// Holds the stored parts of unfinished messages.
    public let memory: HTTP1Memory

    let requests: HTTP1HeadReader
    let responses: HTTP1HeadReader
    let trailers: HTTP1HeadReader
    let emptyLines: UInt8
    /// Nil if no fields are kept.
    let requestFields: HTTP1FieldKeeper?
    let responseFields: HTTP1FieldKeeper?

    /// - Parameter rules: what is accepted, and how much. Limits are capped at 16 MiB, or 65535 for a chunk-size line.
    /// - Parameter memory: what all connections of this parser may use; other parsers on the same thread may share it.
    public init(_ rules: HTTP1Rules = .strict, memory: HTTP1Memory = HTTP1Memory()) {
        var rules = rules
        func clamp(_ limit: inout Int, to most: Int = 1 << 24) { limit = min(max(limit, 1), most) }
        clamp(&rules.limits.startLine)
        clamp(&rules.limits.fieldLine)
        clamp(&rules.limits.fields)
        clamp(&rules.limits.head)
        clamp(&rules.limits.trailers)
        clamp(&rules.limits.chunkLine, to: 65534)
        clamp(&rules.limits.emptyLines, to: 254)
        clamp(&rules.limits.requests)
        clamp(&rules.limits.requestBytes)
        self.rules = rules
        self.memory = memory
        requests = HTTP1HeadReader(.request, rules)
        responses = HTTP1HeadReader(.response, rules)
        trailers = HTTP1HeadReader(.trailers, rules)
        emptyLines = UInt8(rules.limits.emptyLines)
        requestFields = HTTP1FieldKeeper(rules.keptFields.request, valueBytes: rules.keptFields.valueBytes)
        responseFields = HTTP1FieldKeeper(rules.keptFields.response, valueBytes: rules.keptFields.valueBytes)
    }

    /// Parses the next bytes of a direction.
    ///
    /// - Parameter time: their arrival time, in the caller's unit; transactions carry it.
    @inlinable
    public func take(
        _ side: HTTP1Side,
        _ piece: UnsafeRawBufferPointer,
        time: Int64,
        of connection: inout HTTP1Connection,
        to handler: inout some HTTP1Handler
    ) {
        switch side {
        case .request: takeRequests(piece, time, &connection, &handler, first: nil)
        case .response: takeResponses(piece, time, &connection, &handler, first: nil)
        }
    }

    /// Reports that the next `count` bytes of a direction are missing, or an unknown number of them.
    ///
    /// Within a body whose framing still says where it ends, nothing else is lost. Anywhere else it is the error `gap`;
    /// `HTTP1Rules.resynchronisation` decides whether reading resumes.
    @inlinable
    public func gap(
        _ side: HTTP1Side,
        _ count: UInt64?,
        time: Int64,
        of connection: inout HTTP1Connection,
        to handler: inout some HTTP1Handler
    ) {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        switch side {
        case .request:
            let step = lose(&connection.request, count, time)
            takeRequests(nothing, time, &connection, &handler, first: step)
        case .response:
            let step = lose(&connection.response, count, time)
            takeResponses(nothing, time, &connection, &handler, first: step)
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
            takeRequests(nothing, 0, &connection, &handler, first: step)
        case .response:
            let step = finish(&connection.response, end)
            takeResponses(nothing, 0, &connection, &handler, first: step)
        }
    }

    /// Ends both directions, reports the remaining transactions, and frees the memory of the connection, which is then as new.
    @inlinable
    public func close(
        _ connection: inout HTTP1Connection,
        _ end: HTTP1End,
        to handler: inout some HTTP1Handler
    ) {
        self.end(.request, end, of: &connection, to: &handler)
        self.end(.response, end, of: &connection, to: &handler)
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
        _ connection: inout HTTP1Connection,
        _ handler: inout some HTTP1Handler,
        first: HTTP1Step?
    ) {
        var at = 0
        var head = HTTP1Head()
        var first = first
        while true {
            let step = first ?? connection.request.next(piece, &at, .request, .other, time, self, &head)
            first = nil
            switch step {
            case .more: return
            case .head:
                var orphan: HTTP1Transaction?
                if let error = connection.requestBegan(head, self, &orphan) {
                    let position = connection.request.position &- UInt64(truncatingIfNeeded: head.bytes.count)
                    handler.failed(.request, error, at: position)
                    if let orphan { handler.transaction(orphan) }
                } else {
                    handler.requestHead(head)
                }
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
                report(&connection, &handler)
            case .interim: break
            }
        }
    }

    @inlinable
    func takeResponses(
        _ piece: UnsafeRawBufferPointer,
        _ time: Int64,
        _ connection: inout HTTP1Connection,
        _ handler: inout some HTTP1Handler,
        first: HTTP1Step?
    ) {
        var at = 0
        var head = HTTP1Head()
        var first = first
        while true {
            let step =
                first ?? connection.response.next(piece, &at, .response, connection.requestContext, time, self, &head)
            first = nil
            switch step {
            case .more:
                // The end of this direction may have been all that the others waited for.
                if piece.count == 0 { report(&connection, &handler) }
                return
            case .head:
                let putOff = connection.responseBegan(head, self)
                handler.responseHead(head)
                if let putOff {
                    handler.failed(.request, putOff.error, at: putOff.position)
                    let none = HTTP1Head()
                    if let orphan = connection.requestFailed(putOff.error, putOff.position, none, self) {
                        handler.transaction(orphan)
                    }
                }
                // A request whose body will not come is now complete.
                takeRequests(UnsafeRawBufferPointer(start: nil, count: 0), time, &connection, &handler, first: nil)
            case .interim:
                connection.interimCame()
                handler.interimResponse(head)
            case .body(let bytes): handler.body(.response, bytes)
            case .bodyGap(let count): handler.bodyGap(.response, count)
            case .trailers: handler.trailers(.response, head.fields)
            case .complete:
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
                connection.responseFailed(error, position, self)
                report(&connection, &handler)
            }
        }
    }

    /// Reports the finished transactions.
    @inlinable
    func report(_ connection: inout HTTP1Connection, _ handler: inout some HTTP1Handler) {
        while let transaction = connection.finished(self) {
            handler.transaction(transaction.pointee)
            connection.removeFinished(self)
        }
    }

    @usableFromInline
    func lose(_ direction: inout HTTP1Direction, _ count: UInt64?, _ time: Int64) -> HTTP1Step? {
        direction.gap(count, time, self)
    }

    @usableFromInline
    func finish(_ direction: inout HTTP1Direction, _ end: HTTP1End) -> HTTP1Step? { direction.end(end, self) }

    @usableFromInline
    func switches(_ direction: inout HTTP1Direction) -> Bool { direction.switches(self) }

    @usableFromInline
    func endAll(_ connection: inout HTTP1Connection) { connection.endAll(self) }
}
