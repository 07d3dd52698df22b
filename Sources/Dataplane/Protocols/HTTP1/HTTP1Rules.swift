// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// What is accepted beyond the grammar of RFC 9112, each rule because common servers or clients do so.
///
/// Without any, a message that two recipients could read differently is an error: request smuggling relies on that difference
/// (RFC 9112 §11.2).
public struct HTTP1Leniency: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Lines may end in LF alone ("a recipient MAY recognize a single LF as a line terminator", RFC 9112 §2.2).
    public static let bareLF = HTTP1Leniency(rawValue: 1 << 0)
    /// A CR without LF in a line counts as a space (RFC 9112 §2.2).
    public static let bareCR = HTTP1Leniency(rawValue: 1 << 1)
    /// Field values may be continued on lines that begin with white space (RFC 9112 §5.2); such lines right after the start
    /// line are skipped (§2.2). Content-Length, Transfer-Encoding and Host are never continued.
    public static let folds = HTTP1Leniency(rawValue: 1 << 2)
    /// White space may stand between a field name and its colon (RFC 9112 §5.1).
    public static let spaceBeforeColon = HTTP1Leniency(rawValue: 1 << 3)
    /// The words of a start line may be separated, preceded and followed by any white space (RFC 9112 §3), and a request-target
    /// may contain some.
    public static let spaces = HTTP1Leniency(rawValue: 1 << 4)
    /// Targets, reasons and field values may contain control bytes, targets also bytes above 127, and field names anything.
    public static let bytes = HTTP1Leniency(rawValue: 1 << 5)
    /// Lines without a colon are skipped.
    public static let junkLines = HTTP1Leniency(rawValue: 1 << 6)
    /// Any major version is read as HTTP/1.1, or as HTTP/1.0 below 1.
    public static let versions = HTTP1Leniency(rawValue: 1 << 7)
    /// Content-Length may be repeated, or be a list, if all values are equal (RFC 9110 §8.6).
    public static let repeatedLength = HTTP1Leniency(rawValue: 1 << 8)
    /// Transfer-Encoding overrides Content-Length (RFC 9112 §6.3).
    public static let lengthAndCoding = HTTP1Leniency(rawValue: 1 << 9)
    /// HTTP/1.0 messages may have a Transfer-Encoding.
    public static let codingInHTTP10 = HTTP1Leniency(rawValue: 1 << 10)
    /// A request whose last transfer coding is not chunked has a body until its connection ends.
    public static let codingNotChunked = HTTP1Leniency(rawValue: 1 << 11)
    /// Host may be repeated, contain anything, and contradict the target; the first counts.
    public static let anyHost = HTTP1Leniency(rawValue: 1 << 12)
    /// White space may end a chunk-size line, and a chunk extension may be anything up to the end of its line.
    public static let chunkLines = HTTP1Leniency(rawValue: 1 << 13)
    /// Messages may follow one that claimed to be the last.
    public static let dataAfterClose = HTTP1Leniency(rawValue: 1 << 14)
    /// A request that expected 100 (Continue) and was answered otherwise before any of its body came has no body.
    public static let refusedBody = HTTP1Leniency(rawValue: 1 << 15)

    /// Requests of HTTP/1.1 may lack Host.
    public static let noHost = HTTP1Leniency(rawValue: 1 << 16)

    /// Every rule.
    public static let all = HTTP1Leniency(rawValue: (1 << 17) - 1)
    /// What makes chance matches in other bytes likely: not accepted in a head with which reading resumes.
    static let sloppy: HTTP1Leniency = [.bareCR, .spaces, .bytes, .junkLines, .versions]
}

/// Limits for one message, or one connection, in bytes unless stated otherwise.
public struct HTTP1Limits: Sendable {
    /// A request line or status line, including its line end.
    public var startLine = 8192
    /// A field line, including its line end.
    public var fieldLine = 16384
    /// Number of field lines in a head, and again in trailers.
    public var fields = 256
    /// A whole head; also the memory for an incomplete one.
    public var head = 65536
    /// A whole trailer section.
    public var trailers = 16384
    /// A chunk-size line, including extensions and line end.
    public var chunkLine = 4096
    /// Number of empty lines before a message.
    public var emptyLines = 16
    /// Number of requests that are incomplete or await their response. The first beyond that is the error `too_many_requests`;
    /// while responses lag that far behind, requests are read and counted but not stored, and their responses are recorded
    /// without a request.
    public var requests = 64

    public init() {}
}

/// When a direction that lost its place is read again.
///
/// An attacker who can make bytes disappear could place a forged message after them, and body bytes can look like a message. So
/// reading resumes only at a completely valid head.
public enum HTTP1Resynchronisation: Sendable {
    /// Never.
    case never
    /// After a gap, if the bytes right after it are a valid head. Does not depend on how the stream is cut.
    case afterGap
    /// After a gap or an error, at the next valid head: at the beginning of a piece, where most senders start messages; and
    /// within one, a request after an empty line, and a response that says where it ends. A response must have a request that
    /// it can answer. Depends on where pieces begin.
    case atHead
}

/// How HTTP/1 is parsed.
public struct HTTP1Rules: Sendable {
    /// What is accepted beyond the grammar; nothing in the strict mode.
    public var leniency: HTTP1Leniency = []
    /// The limits on message parts and queues.
    public var limits = HTTP1Limits()
    /// Where reading resumes after a gap or an error.
    public var resynchronisation = HTTP1Resynchronisation.afterGap
    /// The header fields whose values transactions carry.
    public var keptFields = HTTP1KeptFields()

    public init() {}

    /// Safe against request smuggling; the default.
    public static let strict = HTTP1Rules()

    /// Accepts what common servers and clients accept.
    public static let lenient = {
        var rules = HTTP1Rules()
        rules.leniency = .all
        return rules
    }()
}
