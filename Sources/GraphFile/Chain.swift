// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// One step of a chain: an element or a type, with an optional port.
struct Hop {
    var node: String
    var port: String?
    /// The place of the whole hop in the file.
    var mark: Mark
    /// The place of its node.
    var nodeMark: Mark
}

/// A chain as written: `a.out -> b -> c.in`.
struct Chain {
    /// Nil for an unreadable hop.
    var hops: [Hop?]
}

extension Session {
    /// Parses a chain: `hop ("->" hop)*` with `hop = node ["." port]`.
    ///
    /// Hops are found in the bytes of the file rather than in the scalar's text, so that their columns are exact even in folded
    /// and quoted scalars. After an error, parsing resumes at the next arrow.
    func chain(_ value: Value) -> Chain {
        if case .map = value {
            // `c :: Counter -> d`, as in other graph languages, and a chain with a stray ': ' are maps in YAML.
            let suggestion = "a chain is a text: 'a.out -> b'; elements are declared under 'elements:'"
            report(.wrongShape, "a chain must be a single value, found a map", at: value.mark, suggestion: suggestion)
            return Chain(hops: [nil])
        }
        guard let text = text(value, "a chain") else { return Chain(hops: [nil]) }
        var reader = ChainReader(self, value.mark, text)
        return reader.read()
    }
}

private struct ChainReader {
    private let session: Session
    private let bytes: [UInt8]
    private let span: Span
    /// Offset of `bytes` in the source; nil if the file does not contain them literally.
    private let base: Int?
    private var i = 0

    init(_ session: Session, _ mark: Mark, _ text: String) {
        self.session = session
        span = session.map.span(mark) ?? Span(source: 0, start: 0, end: 0)
        let written = session.map.bytes(span)
        let quote = written.first == UInt8(ascii: "\"") || written.first == UInt8(ascii: "'")
        if quote,
            written.count < 2 || written.contains(UInt8(ascii: "\\"))
                || written.dropFirst().dropLast().contains(written[written.startIndex])
        {
            bytes = Array(text.utf8)
            base = nil
        } else if quote {
            bytes = Array(written.dropFirst().dropLast())
            base = Int(span.start) + 1
        } else if written.first == UInt8(ascii: ">") || written.first == UInt8(ascii: "|") {
            // The line with a block scalar's indicator may end in a comment.
            let skipped = written.firstIndex(of: UInt8(ascii: "\n")).map { $0 - written.startIndex } ?? written.count
            bytes = Array(written.dropFirst(skipped))
            base = Int(span.start) + skipped
        } else {
            bytes = Array(written)
            base = Int(span.start)
        }
    }

    private func mark(_ start: Int, _ end: Int) -> Mark {
        guard let base else { return session.mark(span) }
        return session.mark(Span(source: Int(span.source), start: base + start, end: base + max(end, start)))
    }

    private mutating func skipSpace() {
        while i < bytes.count, bytes[i] == 0x20 || bytes[i] == 0x09 || bytes[i] == 0x0A || bytes[i] == 0x0D { i += 1 }
    }

    private var atArrow: Bool {
        i + 1 < bytes.count && bytes[i] == UInt8(ascii: "-") && bytes[i + 1] == UInt8(ascii: ">")
    }

    private mutating func word(_ more: [UInt8]) -> String {
        let start = i
        while i < bytes.count, !atArrow, isWord(bytes[i]) || more.contains(bytes[i]) { i += 1 }
        return String(decoding: bytes[start..<i], as: UTF8.self)
    }

    mutating func read() -> Chain {
        var hops: [Hop?] = []
        while true {
            skipSpace()
            hops.append(hop())
            skipSpace()
            if i < bytes.count, !atArrow {
                if hops[hops.count - 1] != nil { unexpected("'->'") }
                hops[hops.count - 1] = nil
                while i < bytes.count, !atArrow { i += 1 }
            }
            guard i < bytes.count else { return Chain(hops: hops) }
            i += 2
        }
    }

    private mutating func hop() -> Hop? {
        let start = i
        let node = word([UInt8(ascii: "-"), UInt8(ascii: "/"), UInt8(ascii: "@")])
        guard !node.isEmpty else {
            unexpected("an element")
            return nil
        }
        let nodeMark = mark(start, i)
        guard i < bytes.count, bytes[i] == UInt8(ascii: ".") else {
            return Hop(node: node, port: nil, mark: nodeMark, nodeMark: nodeMark)
        }
        i += 1
        let port = word([UInt8(ascii: "-")])
        guard !port.isEmpty else {
            unexpected("a port")
            return nil
        }
        return Hop(node: node, port: port, mark: mark(start, i), nodeMark: nodeMark)
    }

    /// Reports that something other than `expected` is here, with advice on syntax from other graph languages.
    private func unexpected(_ expected: String) {
        guard i < bytes.count else {
            return session.report(
                .chainSyntax,
                "expected \(expected) at the end of the chain",
                at: mark(max(0, i - 1), i)
            )
        }
        var end = i + 1
        while end < bytes.count, bytes[end] & 0xC0 == 0x80 { end += 1 }
        if atArrow { end = i + 2 }
        let found = String(decoding: bytes[i..<end], as: UTF8.self)
        let suggestion: String? =
            switch found {
            case "[": "a port is written behind its element: 'sort.syn'"
            case ":": "elements are declared under 'elements:'"
            case "(": "parameters are given under 'elements:'"
            case "=", ">", "→", "-": "did you mean '->'?"
            default: nil
            }
        session.report(.chainSyntax, "expected \(expected), found '\(found)'", at: mark(i, end), suggestion: suggestion)
    }
}
