// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CYAML
import Dataplane

/// Reads YAML into a ``Value`` whose marks give exact places, from libyaml's events.
///
/// A graph file needs maps, lists and text. Anything that makes a value depend on something elsewhere (anchors, aliases, merge
/// keys, tags, directives) is rejected, and with it every way to make a small file expand.
struct YAMLReader {
    private let session: Session
    private let source: Int
    /// Where the text begins in the source, and, if it is not ASCII, the offset of each character.
    private let base: Int
    private let places: [Int32]?
    private let end: Int
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private var valueCount = 0
    /// Something is missing in the value, so what it lacks is not worth a message.
    private var hasHoles = false

    /// Reading cannot continue; the problem has been reported.
    private struct Stopped: Error {}

    /// Reads the bytes `range` of a source, all by default. Nil if nothing more can be said about its contents. Errors are reported;
    /// where the rest can be read all the same, it is, so that one of them does not hide others.
    static func read(_ source: Int, _ range: Range<Int>? = nil, _ session: Session) -> Value? {
        let bytes = session.map.sources[source].bytes
        let range = range ?? 0..<bytes.count
        guard range.count <= session.limits.fileSize else {
            session.report(
                .fileTooLarge,
                "the file is longer than \(session.limits.fileSize) bytes, the most that is read",
                file: session.map.sources[source].path
            )
            return nil
        }
        if let kind = captureKind(bytes[range]) {
            session.report(
                .wrongKind,
                "this is \(kind), not a graph, compound, placement, profile or tests file; "
                    + "'spillway run GRAPH --wire NAME=FILE' reads captures",
                file: session.map.sources[source].path
            )
            return nil
        }
        guard isText(bytes, range, source, session) else { return nil }
        let value = bytes.withUnsafeBufferPointer { buffer -> Value? in
            let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
            defer { parser.deallocate() }
            guard yaml_parser_initialize(parser) == 1 else { fatalError("out of memory") }
            defer { yaml_parser_delete(parser) }
            let text = UnsafeBufferPointer(rebasing: buffer[range])
            yaml_parser_set_input_string(parser, text.baseAddress, text.count)
            yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
            var reader = YAMLReader(session, source, range, text, parser)
            let value = try? reader.document()
            return reader.hasHoles ? nil : value
        }
        return value
    }

    /// What a file is if it begins like a capture.
    private static func captureKind(_ bytes: ArraySlice<UInt8>) -> String? {
        let magics: [(bytes: [UInt8], kind: String)] = [
            ([0xd4, 0xc3, 0xb2, 0xa1], "a capture in pcap format"),
            ([0xa1, 0xb2, 0xc3, 0xd4], "a capture in pcap format"),
            ([0x4d, 0x3c, 0xb2, 0xa1], "a capture in pcap format"),
            ([0xa1, 0xb2, 0x3c, 0x4d], "a capture in pcap format"),
            ([0x0a, 0x0d, 0x0d, 0x0a], "a capture in pcapng format"), ([0x1f, 0x8b], "a file compressed with gzip"),
            ([0x28, 0xb5, 0x2f, 0xfd], "a file compressed with zstd"),
        ]
        return magics.first { bytes.starts(with: $0.bytes) }?.kind
    }

    private init(
        _ session: Session,
        _ source: Int,
        _ range: Range<Int>,
        _ text: UnsafeBufferPointer<UInt8>,
        _ parser: UnsafeMutablePointer<yaml_parser_t>
    ) {
        self.session = session
        self.source = source
        self.parser = parser
        base = range.lowerBound
        end = range.upperBound
        // libyaml counts characters, not bytes.
        places = text.allSatisfy { $0 < 0x80 } ? nil : text.indices.filter { text[$0] & 0xC0 != 0x80 }.map(Int32.init)
    }

    /// Checks that the bytes are UTF-8 text with characters allowed in YAML, so that libyaml's own reader finds no errors.
    private static func isText(_ bytes: [UInt8], _ range: Range<Int>, _ source: Int, _ session: Session) -> Bool {
        func fail(_ code: Code, _ message: String, _ start: Int, _ count: Int, _ suggestion: String? = nil) -> Bool {
            let mark = session.mark(Span(source: source, start: start, end: start + count))
            session.report(code, message, at: mark, suggestion: suggestion)
            return false
        }
        if bytes[range].starts(with: [0xFF, 0xFE]) || bytes[range].starts(with: [0xFE, 0xFF]) {
            return fail(.notUTF8, "the file is in UTF-16; graph files are UTF-8 text", range.lowerBound, 2)
        }
        var i = range.lowerBound
        while i < range.upperBound {
            let byte = bytes[i]
            if byte >= 0x20 && byte < 0x7F || byte == 0x0A || byte == 0x0D || byte == 0x09 {
                i += 1
                continue
            }
            guard let (scalar, count) = decode(bytes, i, range.upperBound) else {
                return fail(.notUTF8, "byte \(hex(UInt32(byte))) is not UTF-8 text", i, 1)
            }
            if scalar == 0xFEFF {
                return fail(.badCharacter, "there is a byte order mark", i, count, "save the file as UTF-8 without it")
            }
            let known =
                scalar == 0x85 || (0xA0...0xD7FF).contains(scalar) || (0xE000...0xFFFD).contains(scalar)
                || scalar > 0xFFFF
            if !known {
                return fail(.badCharacter, "a control character, \(hex(scalar)), cannot be in a file", i, count)
            }
            i += count
        }
        return true
    }

    /// The character at `i` in UTF-8 and its length; nil if it is malformed, overlong or a surrogate (RFC 3629).
    private static func decode(_ bytes: [UInt8], _ i: Int, _ end: Int) -> (UInt32, Int)? {
        let first = UInt32(bytes[i])
        let count = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0
        guard count > 0, i + count <= end else { return nil }
        if count == 1 { return (first, 1) }
        var scalar = first & (0x7F >> UInt32(count))
        for k in 1..<count {
            guard bytes[i + k] & 0xC0 == 0x80 else { return nil }
            scalar = scalar << 6 | UInt32(bytes[i + k] & 0x3F)
        }
        let least: UInt32 = count == 2 ? 0x80 : count == 3 ? 0x800 : 0x1_0000
        guard scalar >= least, scalar <= 0x10_FFFF, !(0xD800...0xDFFF).contains(scalar) else { return nil }
        return (scalar, count)
    }

    private static func hex(_ n: UInt32) -> String { "0x" + String(n, radix: 16, uppercase: true) }

    // MARK: Events

    private mutating func document() throws -> Value {
        try event { _ in }
        let isEmpty = try event { event in
            if event.type == YAML_STREAM_END_EVENT { return true }
            let start = event.data.document_start
            if start.version_directive != nil || start.tag_directives.start != start.tag_directives.end {
                session.report(.directive, "'%' directives have no use in graph files", at: mark(event))
            }
            return false
        }
        if isEmpty {
            session.report(
                .emptyFile,
                "there is nothing in the file",
                at: session.mark(Span(source: source, start: base, end: base))
            )
            throw Stopped()
        }
        let root = try value(depth: 0)
        try event { _ in }
        try event { event in
            guard event.type != YAML_STREAM_END_EVENT else { return }
            session.report(.severalDocuments, "a second document begins here; a file holds one", at: mark(event))
        }
        return root
    }

    /// The next event, valid only within `body`.
    private func event<R>(_ body: (yaml_event_t) -> R) throws -> R {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else {
            reportSyntax()
            throw Stopped()
        }
        defer { yaml_event_delete(&event) }
        return body(event)
    }

    /// The beginning of a value, with its contents copied.
    private enum Begun {
        case value(Value)
        case list(Mark)
        case map(Mark)
        case end(Mark)
    }

    private mutating func value(depth: Int) throws -> Value {
        let begun = try begin()
        guard let value = try finish(begun, depth: depth) else { throw Stopped() }
        return value
    }

    /// Reads the rest of a value that has begun; nil at the end of a list or map.
    private mutating func finish(_ begun: Begun, depth: Int) throws -> Value? {
        let open: Mark
        switch begun {
        case .value(let value): return value
        case .end: return nil
        case .list(let mark), .map(let mark): open = mark
        }
        guard depth < session.limits.depth else {
            session.report(.tooDeep, "lists and maps are more than \(session.limits.depth) deep", at: open)
            throw Stopped()
        }
        if case .list = begun {
            var items: [Value] = []
            while let item = try finish(try begin(), depth: depth + 1) { items.append(item) }
            return .list(items, open)
        }
        var entries: [(key: String, keyMark: Mark, value: Value)] = []
        var first: [String: Int] = [:]
        while let key = try finish(try begin(), depth: depth + 1) {
            let value = try value(depth: depth + 1)
            guard case .scalar(let name, let keyMark) = key else {
                session.report(.badKey, "a key must be a word, not a list or map", at: key.mark)
                hasHoles = true
                continue
            }
            if name == "<<" {
                session.report(.mergeKey, "merge keys are not read; write the entries out", at: keyMark)
                hasHoles = true
            } else if name.isEmpty {
                session.report(.badKey, "a key is missing before ':'", at: keyMark)
                hasHoles = true
            } else if let earlier = first[name] {
                let note = Session.Note("first here", entries[earlier].keyMark)
                session.report(.duplicateKey, "'\(name)' is written twice", at: keyMark, notes: [note])
                // Once nothing more is reported, this would only cost time.
                if !session.isFull { entries[earlier].value = YAMLReader.united(entries[earlier].value, value) }
            } else {
                first[name] = entries.count
                entries.append((name, keyMark, value))
            }
        }
        return .map(entries, open)
    }

    /// What stands under a key that is written twice, so that both parts are checked and neither seems to be missing.
    private static func united(_ first: Value, _ second: Value) -> Value {
        switch (first, second) {
        case (.list(let a, let mark), .list(let b, _)): return .list(a + b, mark)
        case (.map(let a, let mark), .map(let b, _)):
            let known = Set(a.map(\.key))
            return .map(a + b.filter { !known.contains($0.key) }, mark)
        default: return first
        }
    }

    private mutating func begin() throws -> Begun {
        valueCount += 1
        let count = valueCount
        return try event { event -> Result<Begun, Stopped> in
            let place = mark(event)
            // Ends of lists and maps count too, which only makes the limit slightly tighter for deep files.
            if count > session.limits.values {
                session.report(.tooManyValues, "there are more than \(session.limits.values) values", at: place)
                return .failure(Stopped())
            }
            switch event.type {
            case YAML_SCALAR_EVENT:
                let scalar = event.data.scalar
                refuse(anchor: scalar.anchor, tag: scalar.tag, place)
                let text = String(
                    decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length),
                    as: UTF8.self
                )
                if text.utf8.contains(0) {
                    session.report(.badCharacter, "a text cannot hold the character 0x0", at: place)
                }
                return .success(.value(.scalar(text, place)))
            case YAML_SEQUENCE_START_EVENT:
                refuse(anchor: event.data.sequence_start.anchor, tag: event.data.sequence_start.tag, place)
                return .success(.list(place))
            case YAML_MAPPING_START_EVENT:
                refuse(anchor: event.data.mapping_start.anchor, tag: event.data.mapping_start.tag, place)
                return .success(.map(place))
            case YAML_ALIAS_EVENT:
                session.report(.anchor, "aliases ('*') are not read; write the value out", at: place)
                session.isUnread.insert(place)
                return .success(.value(.scalar("", place)))
            default: return .success(.end(place))
            }
        }.get()
    }

    private func refuse(
        anchor: UnsafeMutablePointer<yaml_char_t>?,
        tag: UnsafeMutablePointer<yaml_char_t>?,
        _ place: Mark
    ) {
        if anchor != nil {
            session.report(.anchor, "anchors ('&') are not read; write values out where they are used", at: place)
        }
        if tag != nil { session.report(.tag, "tags ('!') are not read; values are read by declared type", at: place) }
    }

    // MARK: Places

    private func mark(_ event: yaml_event_t) -> Mark {
        var from = offset(event.start_mark)
        let to = offset(event.end_mark)
        // A missing value gets the place where it should be.
        if from > to { from = to }
        return session.mark(Span(source: source, start: from, end: to))
    }

    /// The source offset of a libyaml mark. Marks can lie beyond the end of the text.
    private func offset(_ mark: yaml_mark_t) -> Int {
        let index = Int(mark.index)
        guard let places else { return min(base + index, end) }
        return index < places.count ? base + Int(places[index]) : end
    }

    // MARK: Syntax errors

    private func reportSyntax() {
        let problem = parser.pointee.problem.map { String(cString: $0) } ?? "the text cannot be read"
        let context = parser.pointee.context.map { String(cString: $0) } ?? ""
        let bytes = session.map.sources[source].bytes
        let at = offset(parser.pointee.problem_mark)
        let opened = offset(parser.pointee.context_mark)
        let here = session.mark(Span(source: source, start: at, end: min(at + 1, end)))
        let opening = session.mark(Span(source: source, start: opened, end: min(opened + 1, end)))
        let isBracket =
            opened < end && [UInt8](arrayLiteral: 0x5B, 0x7B, 0x22, 0x27).contains(bytes[opened]) && !context.isEmpty
        let isLater = isBracket && bytes[opened..<at].contains(UInt8(ascii: "\n"))
        let character = at < end ? String(decoding: bytes[at..<min(at + 4, end)], as: UTF8.self).prefix(1) : ""
        let isAtEnd = bytes[at..<end].allSatisfy { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }
        // If a bracket is still open where a later line makes no sense, the bracket is the error, not that line.
        if isBracket, isAtEnd || isLater {
            let bracket = UnicodeScalar(bytes[opened])
            let notes = isAtEnd ? [] : [Session.Note("the text makes no sense within it from here", here)]
            return session.report(.unclosed, "this \(bracket) is not closed", at: opening, notes: notes)
        }
        if character == "\t" || problem.contains("tab character") {
            return session.report(.tab, "a tab cannot indent or begin a value; write spaces", at: here)
        }
        let message: String
        switch problem {
        case "mapping values are not allowed in this context":
            message = "': ' cannot be here; a text that holds it must be in quotes"
        case "could not find expected ':'": message = "expected ':' behind the key"
        case "did not find expected key", "did not find expected <document start>":
            message = "expected a key; is the indentation as above?"
        case "did not find expected '-' indicator": message = "expected '- '; is the indentation as above?"
        case "found character that cannot start any token":
            message = "'\(character)' cannot begin a value; put the text in quotes"
        case "block sequence entries are not allowed in this context":
            message = "a list cannot begin here; put it on lines of its own"
        case "did not find expected ',' or ']'": message = "expected ',' or ']'"
        case "did not find expected ',' or '}'": message = "expected ',' or '}'"
        default: message = problem
        }
        let notes = isBracket ? [Session.Note("'\(UnicodeScalar(bytes[opened]))' was opened here", opening)] : []
        session.report(.yamlSyntax, message, at: here, notes: notes)
    }
}
