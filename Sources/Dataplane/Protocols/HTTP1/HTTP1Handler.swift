// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Receives what an `HTTP1Parser` finds. All pointers are valid only during the call. All calls have a default that does
/// nothing.
public protocol HTTP1Handler {
    /// A request began.
    mutating func requestHead(_ head: HTTP1Head)
    /// A response began: the final one to its request.
    mutating func responseHead(_ head: HTTP1Head)
    /// An interim response came (1xx except 101): part of the exchange, but not the answer.
    mutating func interimResponse(_ head: HTTP1Head)
    /// The next bytes of the body, after dechunking. How a body is divided into calls depends on how the stream is cut.
    mutating func body(_ side: HTTP1Side, _ bytes: UnsafeRawBufferPointer)
    /// `count` bytes of the body are missing; 0 if their number is unknown.
    mutating func bodyGap(_ side: HTTP1Side, _ count: UInt64)
    /// The fields after a chunked body, if there are any.
    mutating func trailers(_ side: HTTP1Side, _ fields: HTTP1Fields)
    /// The message ended; its body had `bodyBytes`, after dechunking.
    mutating func messageComplete(_ side: HTTP1Side, bodyBytes: UInt64)
    /// From `position` of the stream on, the bytes belong to another protocol.
    mutating func tunnelBegins(_ side: HTTP1Side, at position: UInt64)
    /// The next bytes of the other protocol.
    mutating func tunnelBytes(_ side: HTTP1Side, _ bytes: UnsafeRawBufferPointer)
    /// A message has an error; `position` is that of the first wrong byte. Unless it is read all the same, its rest is skipped,
    /// up to where `HTTP1Rules.resynchronisation` lets reading resume.
    mutating func failed(_ side: HTTP1Side, _ error: HTTP1Error, at position: UInt64)
    /// `count` bytes were not read: missing, or passed over after an error. Comes when reading resumes, or at the end.
    mutating func skipped(_ side: HTTP1Side, _ count: UInt64)
    /// A request and its response are finished.
    mutating func transaction(_ transaction: HTTP1Transaction)
}

extension HTTP1Handler {
    /// Does nothing.
    @inlinable public mutating func requestHead(_: HTTP1Head) {}
    /// Does nothing.
    @inlinable public mutating func responseHead(_: HTTP1Head) {}
    /// Does nothing.
    @inlinable public mutating func interimResponse(_: HTTP1Head) {}
    /// Does nothing.
    @inlinable public mutating func body(_: HTTP1Side, _: UnsafeRawBufferPointer) {}
    /// Does nothing.
    @inlinable public mutating func bodyGap(_: HTTP1Side, _: UInt64) {}
    /// Does nothing.
    @inlinable public mutating func trailers(_: HTTP1Side, _: HTTP1Fields) {}
    /// Does nothing.
    @inlinable public mutating func messageComplete(_: HTTP1Side, bodyBytes _: UInt64) {}
    /// Does nothing.
    @inlinable public mutating func tunnelBegins(_: HTTP1Side, at _: UInt64) {}
    /// Does nothing.
    @inlinable public mutating func tunnelBytes(_: HTTP1Side, _: UnsafeRawBufferPointer) {}
    /// Does nothing.
    @inlinable public mutating func failed(_: HTTP1Side, _: HTTP1Error, at _: UInt64) {}
    /// Does nothing.
    @inlinable public mutating func skipped(_: HTTP1Side, _: UInt64) {}
    /// Does nothing.
    @inlinable public mutating func transaction(_: HTTP1Transaction) {}
}

/// A request and its response, as far as they were read. The bytes it points to are valid only during the call.
public struct HTTP1Transaction: BitwiseCopyable {
    /// The method as sent; empty if no request came.
    public internal(set) var method = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The request-target as sent.
    public internal(set) var target = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The value of the request's first Host field; empty if there is none.
    public internal(set) var host = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Arrival time of the request's first byte, in the caller's unit; nil if no request came.
    public internal(set) var requestTime: Int64?
    /// Arrival time of the final response's first byte; nil if none came.
    public internal(set) var responseTime: Int64?
    /// Bytes received of the request's body, after dechunking.
    public internal(set) var requestBodyBytes: UInt64 = 0
    /// Bytes received of the final response's body, after dechunking.
    public internal(set) var responseBodyBytes: UInt64 = 0
    /// Position of the first error in its direction.
    public internal(set) var errorPosition: UInt64 = 0
    /// Bytes before the request that were not read: missing, or passed over after an error.
    public internal(set) var requestSkipped: UInt64 = 0
    /// Bytes before the response that were not read.
    public internal(set) var responseSkipped: UInt64 = 0
    /// Interim responses before the final one.
    public internal(set) var interim: UInt32 = 0
    /// The status code of the final response; 0 if none came.
    public internal(set) var status: UInt16 = 0
    /// The request's version; 0.0 if no request came.
    public internal(set) var requestVersion = HTTP1Version()
    /// The final response's version; 0.0 if none came.
    public internal(set) var responseVersion = HTTP1Version()
    /// The first error in either message.
    public internal(set) var error: HTTP1Error?
    /// The direction of the error.
    public internal(set) var errorSide = HTTP1Side.request
    /// The values of the fields of ``HTTP1KeptFields/request`` in the request's head.
    public internal(set) var requestFields = HTTP1FieldValues()
    /// The values of the fields of ``HTTP1KeptFields/response`` in the head of the final response.
    public internal(set) var responseFields = HTTP1FieldValues()

    init() {}

    /// The version of the request, or of the response if no request came.
    public var version: HTTP1Version { requestVersion.major > 0 ? requestVersion : responseVersion }

    mutating func fail(_ side: HTTP1Side, _ error: HTTP1Error, _ position: UInt64) {
        guard self.error == nil else { return }
        self.error = error
        errorSide = side
        errorPosition = position
    }

    /// Frees the memory of the field values.
    mutating func releaseFields(_ memory: HTTP1Memory) {
        requestFields.release(memory)
        responseFields.release(memory)
    }
}
