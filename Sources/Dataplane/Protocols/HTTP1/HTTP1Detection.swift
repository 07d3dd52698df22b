// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Decides whether the first bytes of a direction are HTTP/1, as early as possible.
///
/// A response begins with `HTTP/`, a request with a method and a space (RFC 9112 sections 3 and 4). A method is known if it is
/// registered (RFC 9110 section 16.1.1); other protocols also have words followed by a space, so on non-HTTP ports unknown
/// methods are not accepted.
struct HTTP1Detection: BitwiseCopyable {
    enum Answer: BitwiseCopyable {
        case undecided, request, response, other
    }
    /// The first bytes, up to the decision.
    private var bytes: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    private var count: UInt8 = 0

    /// Longer than any method with its space and preceding empty lines.
    private static let most = 32

    /// The number of bytes awaiting the decision.
    var waiting: Int { Int(count) }

    /// Examines the next bytes, and keeps those it needs until the decision.
    mutating func look(_ piece: UnsafeRawBufferPointer, isUsualPort: Bool) -> Answer {
        let before = Int(count)
        let n = min(piece.count, HTTP1Detection.most - before)
        withUnsafeMutableBytes(of: &bytes) { all in
            for k in 0..<n { all[before + k] = piece[k] }
        }
        count = UInt8(before + n)
        return withUnsafeBytes(of: bytes) { HTTP1Detection.answer($0[..<(before + n)], isUsualPort) }
    }

    /// The bytes awaiting the decision.
    func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeBytes(of: bytes) { body(UnsafeRawBufferPointer(rebasing: $0[..<Int(count)])) }
    }

    /// What the first line of a piece is, if it is complete: a request line with a known method, or a status line.
    static func startLine(_ piece: UnsafeRawBufferPointer) -> Answer {
        guard let base = piece.baseAddress else { return .other }
        if HTTP1Direction.isStatus(base, piece.count) { return .response }
        let end = HTTP1Bytes.tokenEnd(base, 0, min(piece.count, longest))
        guard end < piece.count, base.byte(end) == 0x20, isMethod(base, end) else { return .other }
        return HTTP1Direction.endsWithVersion(base, piece.count) ? .request : .other
    }

    /// Longer than any method in ``methods``.
    static let longest = 24

    /// Whether bytes are a method in ``methods``, or with `isPrefix` the beginning of one.
    static func isMethod(_ base: UnsafeRawPointer, _ count: Int, isPrefix: Bool = false) -> Bool {
        let word = UnsafeRawBufferPointer(start: base, count: count)
        return methods.contains { isPrefix ? $0.utf8.starts(with: word) : word.elementsEqual($0.utf8) }
    }

    private static func answer(_ all: Slice<UnsafeRawBufferPointer>, _ isUsualPort: Bool) -> Answer {
        // Skip empty lines before a request line (RFC 9112 section 2.2).
        let text = all.drop { $0 == 0x0d || $0 == 0x0a }
        let end = text.firstIndex { !HTTP1Bytes.isToken($0) } ?? text.endIndex
        let word = text[text.startIndex..<end]
        if end == text.endIndex { return all.count < most ? .undecided : .other }
        if word.elementsEqual("HTTP".utf8), text[end] == UInt8(ascii: "/") { return .response }
        guard !word.isEmpty, text[end] == UInt8(ascii: " ") else { return .other }
        return isUsualPort || methods.contains { word.elementsEqual($0.utf8) } ? .request : .other
    }

    /// The registered methods, and some unregistered ones in use.
    private static let methods: [String] = [
        "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH", "ACL", "BASELINE-CONTROL",
        "BIND",
        "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL",
        "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH", "PROPFIND", "PROPPATCH", "REBIND", "REPORT", "SEARCH",
        "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL", "NOTIFY",
        "M-SEARCH",
        "SUBSCRIBE", "UNSUBSCRIBE", "PURGE", "QUERY",
    ]
}
