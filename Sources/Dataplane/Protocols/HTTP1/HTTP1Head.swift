// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// One of the two directions of a connection.
public enum HTTP1Side: UInt8, BitwiseCopyable, Sendable {
    case request
    case response
}

/// The version in a message (RFC 9112 §2.3); 0.0 if there is none.
public struct HTTP1Version: Equatable, BitwiseCopyable, Sendable {
    /// The number before the point.
    public var major: UInt8 = 0
    /// The number after the point.
    public var minor: UInt8 = 0

    /// Whether the rules of HTTP/1.0 apply: no transfer codings, and the connection closes unless it says otherwise.
    @inline(__always) var isOld: Bool { major == 0 || major == 1 && minor == 0 }
}

/// Facts from the lines of a head, as far as read. Offsets are from its first byte.
@usableFromInline struct HTTP1Facts: BitwiseCopyable {
    struct Marks: OptionSet, BitwiseCopyable {
        let rawValue: UInt16
        static let startLine = Marks(rawValue: 1 << 0)
        static let length = Marks(rawValue: 1 << 1)
        static let coding = Marks(rawValue: 1 << 2)
        /// The last transfer coding so far is chunked.
        static let chunkedLast = Marks(rawValue: 1 << 3)
        static let chunked = Marks(rawValue: 1 << 4)
        static let close = Marks(rawValue: 1 << 5)
        static let keepAlive = Marks(rawValue: 1 << 6)
        static let upgradeOption = Marks(rawValue: 1 << 7)
        static let upgradeField = Marks(rawValue: 1 << 8)
        static let expectsContinue = Marks(rawValue: 1 << 9)
        static let host = Marks(rawValue: 1 << 10)
        /// The previous line decides how the message is framed or routed, so it must not be folded.
        static let unfoldable = Marks(rawValue: 1 << 11)
        static let connectMethod = Marks(rawValue: 1 << 12)
        static let headMethod = Marks(rawValue: 1 << 13)
    }

    var marks: Marks = []
    var status: UInt16 = 0
    var version = HTTP1Version()
    /// Bytes of the lines already read.
    var judged: Int32 = 0
    var fields: Int32 = 0
    var fieldsStart: Int32 = 0
    var methodStart: Int32 = 0
    var methodCount: Int32 = 0
    /// Start of the request-target, or of a response's reason.
    var targetStart: Int32 = 0
    var targetCount: Int32 = 0
    var hostStart: Int32 = 0
    var hostCount: Int32 = 0
    var length: UInt64 = 0

    /// Whether the sender says that this is its last message (RFC 9112 §9.3).
    var isLast: Bool { marks.contains(.close) || version.isOld && !marks.contains(.keepAlive) }
    /// Whether the sender offers, or accepts, switching to another protocol (RFC 9110 §7.8).
    var offersUpgrade: Bool { marks.isSuperset(of: [.upgradeOption, .upgradeField]) && !version.isOld }
}

/// The head of a message, or its trailers. Its memory is valid only during the call that received it.
public struct HTTP1Head: BitwiseCopyable {
    /// The bytes of the head, including the empty line at its end.
    public let bytes: UnsafeRawBufferPointer
    @usableFromInline let facts: HTTP1Facts

    @usableFromInline init() {
        bytes = UnsafeRawBufferPointer(start: nil, count: 0)
        facts = HTTP1Facts()
    }

    /// - Parameter count: the bytes of the head that have arrived.
    init(_ base: UnsafeRawPointer, _ facts: HTTP1Facts, count: Int) {
        bytes = UnsafeRawBufferPointer(start: base, count: count)
        self.facts = facts
    }

    private func slice(_ start: Int32, _ count: Int32) -> UnsafeRawBufferPointer {
        guard count > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(rebasing: bytes[Int(start)..<Int(start + count)])
    }

    /// The method of a request.
    public var method: UnsafeRawBufferPointer { slice(facts.methodStart, facts.methodCount) }
    /// The target of a request, as sent.
    public var target: UnsafeRawBufferPointer { slice(facts.targetStart, facts.targetCount) }
    /// The reason phrase of a response.
    public var reason: UnsafeRawBufferPointer { slice(facts.targetStart, facts.targetCount) }
    /// The value of the first Host field, empty if there is none.
    public var host: UnsafeRawBufferPointer { slice(facts.hostStart, facts.hostCount) }
    /// The status code of a response; 0 in a request.
    public var status: UInt16 { facts.status }
    /// The version stated in the message.
    public var version: HTTP1Version { facts.version }
    /// The value of Content-Length, if present.
    public var contentLength: UInt64? { facts.marks.contains(.length) ? facts.length : nil }
    /// Whether the body comes in chunks.
    public var isChunked: Bool { facts.marks.contains(.chunkedLast) }
    /// Whether the sender says that this is its last message (RFC 9112 §9.3).
    public var isLast: Bool { facts.isLast }
    /// The field lines in order.
    public var fields: HTTP1Fields { HTTP1Fields(bytes: bytes, start: Int(facts.fieldsStart)) }
    /// The number of field lines.
    public var fieldCount: Int { Int(facts.fields) }
}

/// The field lines of a head or of trailers, parsed lazily: those who do not iterate do not pay.
public struct HTTP1Fields: Sequence {
    /// The head that the ranges of a field point into.
    public let bytes: UnsafeRawBufferPointer
    let start: Int

    /// One field line.
    public struct Field {
        /// The range of its name in the head.
        public var name: Range<Int>
        /// The range of its value in the head, without surrounding white space. With `HTTP1Leniency.folds` it may contain line
        /// ends.
        public var value: Range<Int>
    }

    /// Iterates over the field lines.
    public struct Iterator: IteratorProtocol {
        let bytes: UnsafeRawBufferPointer
        var at: Int

        /// The next field; nil after the last.
        public mutating func next() -> Field? {
            guard let base = bytes.baseAddress else { return nil }
            let end = bytes.count
            while at < end {
                let start = at
                let lf = HTTP1Bytes.find(0x0a, base, start, end)
                guard lf < end else { return nil }
                at = lf + 1
                var stop = lf > start && base.byte(lf - 1) == 0x0d ? lf - 1 : lf
                if stop == start { return nil }
                let colon = HTTP1Bytes.find(0x3a, base, start, stop)
                // Lenient heads may have lines that are not fields.
                if colon == stop || HTTP1Bytes.isSpace(base.byte(start)) { continue }
                while at < end, HTTP1Bytes.isSpace(base.byte(at)) {
                    let next = HTTP1Bytes.find(0x0a, base, at, end)
                    guard next < end else { break }
                    stop = base.byte(next - 1) == 0x0d ? next - 1 : next
                    at = next + 1
                }
                return Field(
                    name: HTTP1Bytes.trimmed(base, start, colon),
                    value: HTTP1Bytes.trimmed(base, colon + 1, stop)
                )
            }
            return nil
        }
    }

    /// Iterates over the fields in order.
    public func makeIterator() -> Iterator { Iterator(bytes: bytes, at: start) }

    /// The value of the first field of this name, which must be in lower case.
    public func first(_ name: StaticString) -> UnsafeRawBufferPointer? {
        guard let base = bytes.baseAddress else { return nil }
        for field in self where HTTP1Bytes.isSame(base, field.name.lowerBound, field.name.count, as: name) {
            return UnsafeRawBufferPointer(rebasing: bytes[field.value])
        }
        return nil
    }
}
