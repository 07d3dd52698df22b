// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// A range of bytes in one source file.
struct Span: Sendable, Equatable {
    var source: Int32
    var start: Int32
    var end: Int32

    init(source: Int, start: Int, end: Int) {
        self.source = Int32(source)
        self.start = Int32(start)
        self.end = Int32(max(start, end))
    }
}

/// The bytes of one file that was read, and where its lines begin.
struct Source: Sendable {
    let path: String
    let bytes: [UInt8]
    private let lineStarts: [Int]

    init(path: String, bytes: [UInt8]) {
        self.path = path
        self.bytes = bytes
        // Lines end as in editors: at LF, CR LF or CR. (YAML has more kinds of line break.)
        var starts = [0]
        for (i, byte) in bytes.enumerated() {
            let next = i + 1 < bytes.count ? bytes[i + 1] : 0
            if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") && next != UInt8(ascii: "\n") {
                starts.append(i + 1)
            }
        }
        // After the last line break there is a line only if it is not empty.
        if starts.count > 1, starts[starts.count - 1] == bytes.count { starts.removeLast() }
        lineStarts = starts
    }

    /// The longest line shown with a diagnostic, in characters.
    private static let longestLine = 240

    /// Line and column of `span` for users, and the text of the line.
    func place(_ span: Span) -> Place {
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= Int(span.start) { low = middle } else { high = middle }
        }
        let lineStart = lineStarts[low]
        var lineEnd = low + 1 < lineStarts.count ? lineStarts[low + 1] : bytes.count
        while lineEnd > lineStart, bytes[lineEnd - 1] == UInt8(ascii: "\n") || bytes[lineEnd - 1] == UInt8(ascii: "\r")
        {
            lineEnd -= 1
        }
        let start = min(max(Int(span.start), lineStart), lineEnd)
        let end = min(max(Int(span.end), start), lineEnd)
        let column = Self.characters(bytes[lineStart..<start]) + 1
        var line: String?
        if column + 1 < Self.longestLine {
            // Invalid UTF-8, and control characters that a terminal would obey, are shown as U+FFFD.
            let scalars = String(
                decoding: bytes[lineStart..<min(lineEnd, lineStart + 4 * Self.longestLine)],
                as: UTF8.self
            )
            .unicodeScalars
            var shown = String.UnicodeScalarView()
            for scalar in scalars.prefix(Self.longestLine) {
                let obeyed = scalar.value < 32 && scalar != "\t" || (0x7f...0x9f).contains(scalar.value)
                shown.append(obeyed ? "\u{fffd}" : scalar)
            }
            line = String(shown)
            if scalars.count > Self.longestLine { line? += "…" }
        }
        return Place(
            file: path,
            line: low + 1,
            column: column,
            length: max(1, Self.characters(bytes[start..<end])),
            sourceLine: line
        )
    }

    /// The number of characters (Unicode scalars) in UTF-8.
    private static func characters(_ bytes: ArraySlice<UInt8>) -> Int {
        bytes.reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) }
    }
}

/// A place in a file, for users.
public struct Place: Sendable, Equatable {
    /// The file, as it was named.
    public var file: String
    /// The line, from 1.
    public var line: Int
    /// The column, from 1, in characters.
    public var column: Int
    /// The number of characters in the line, at least 1.
    public var length: Int
    /// The text of the line; nil if there is none to show.
    public var sourceLine: String?

    public init(file: String, line: Int, column: Int, length: Int, sourceLine: String? = nil) {
        self.file = file
        self.line = line
        self.column = column
        self.length = length
        self.sourceLine = sourceLine
    }
}

/// All files of one load, and the places that marks refer to.
struct SourceMap: Sendable {
    private(set) var sources: [Source] = []
    private var spans: [Span] = []

    mutating func add(_ source: Source) -> Int {
        sources.append(source)
        return sources.count - 1
    }

    mutating func mark(_ span: Span) -> Mark {
        spans.append(span)
        return Mark(spans.count - 1)
    }

    /// The span of a mark; nil for a mark not issued here.
    func span(_ mark: Mark) -> Span? { spans.indices.contains(Int(mark)) ? spans[Int(mark)] : nil }

    func place(_ span: Span) -> Place { sources[Int(span.source)].place(span) }

    /// The bytes of `span`.
    func bytes(_ span: Span) -> ArraySlice<UInt8> {
        sources[Int(span.source)].bytes[Int(span.start)..<Int(span.end)]
    }
}
