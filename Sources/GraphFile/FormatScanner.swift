// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CYAML

/// libyaml's two views of a text: tokens, which give the place of each thing, and events, which give its meaning.
enum YAMLScanner {
    /// A token and its place, in Unicode scalars from the beginning of the text.
    struct Token {
        var type: yaml_token_type_t
        var start: Int
        var end: Int
        /// Column of `start`, from 0.
        var column: Int
        /// The style and value of scalars.
        var style: yaml_scalar_style_t
        var value: String

        var opensFlow: Bool { type == YAML_FLOW_SEQUENCE_START_TOKEN || type == YAML_FLOW_MAPPING_START_TOKEN }
        var closesFlow: Bool { type == YAML_FLOW_SEQUENCE_END_TOKEN || type == YAML_FLOW_MAPPING_END_TOKEN }
        var opensBlock: Bool { type == YAML_BLOCK_SEQUENCE_START_TOKEN || type == YAML_BLOCK_MAPPING_START_TOKEN }
    }

    /// An event without its place. Two texts with the same events mean the same.
    struct Event: Equatable {
        var type: UInt32
        var value = ""
        var anchor = ""
        var tag = ""
        var style: UInt32 = 0
        var implicit = false
    }

    /// Deeper nesting is rejected: libyaml's time per token grows with its depth.
    static let maximumDepth = 64

    /// The tokens of `text`, whose line breaks must all be `\n`.
    static func tokens(_ text: String) throws(FormatError) -> [Token] {
        var tokens: [Token] = []
        var depth = 0
        try read(text) { (parser) throws(FormatError) in
            var token = yaml_token_t()
            guard yaml_parser_scan(parser, &token) == 1 else { throw problem(parser) }
            defer { yaml_token_delete(&token) }
            var found = Token(
                type: token.type,
                start: token.start_mark.index,
                end: token.end_mark.index,
                column: token.start_mark.column,
                style: YAML_ANY_SCALAR_STYLE,
                value: ""
            )
            if token.type == YAML_SCALAR_TOKEN {
                found.style = token.data.scalar.style
                found.value = string(token.data.scalar.value, token.data.scalar.length)
            }
            if found.opensFlow || found.opensBlock { depth += 1 }
            if found.closesFlow || token.type == YAML_BLOCK_END_TOKEN { depth -= 1 }
            if depth > maximumDepth {
                throw FormatError("more than \(maximumDepth) levels of nesting", token.start_mark)
            }
            tokens.append(found)
            return token.type != YAML_STREAM_END_TOKEN
        }
        return tokens
    }

    /// The events of `text`.
    static func events(_ text: String) throws(FormatError) -> [Event] {
        var events: [Event] = []
        try read(text) { (parser) throws(FormatError) in
            var event = yaml_event_t()
            guard yaml_parser_parse(parser, &event) == 1 else { throw problem(parser) }
            defer { yaml_event_delete(&event) }
            var found = Event(type: event.type.rawValue)
            switch event.type {
            case YAML_SCALAR_EVENT:
                let scalar = event.data.scalar
                found.value = string(scalar.value, scalar.length)
                found.anchor = string(scalar.anchor)
                found.tag = string(scalar.tag)
                found.style = scalar.style.rawValue
                found.implicit = scalar.plain_implicit != 0
            case YAML_SEQUENCE_START_EVENT:
                let sequence = event.data.sequence_start
                found.anchor = string(sequence.anchor)
                found.tag = string(sequence.tag)
                found.style = sequence.style.rawValue
            case YAML_MAPPING_START_EVENT:
                let mapping = event.data.mapping_start
                found.anchor = string(mapping.anchor)
                found.tag = string(mapping.tag)
                found.style = mapping.style.rawValue
            case YAML_ALIAS_EVENT: found.anchor = string(event.data.alias.anchor)
            case YAML_DOCUMENT_START_EVENT: found.implicit = event.data.document_start.implicit != 0
            case YAML_DOCUMENT_END_EVENT: found.implicit = event.data.document_end.implicit != 0
            default: break
            }
            events.append(found)
            return event.type != YAML_STREAM_END_EVENT
        }
        return events
    }

    /// Calls `next` with a parser at the beginning of `text` until it returns false or throws.
    private static func read(
        _ text: String,
        next: (UnsafeMutablePointer<yaml_parser_t>) throws(FormatError) -> Bool
    ) throws(FormatError) {
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        defer { parser.deallocate() }
        guard yaml_parser_initialize(parser) == 1 else { throw FormatError("out of memory", line: 1, column: 1) }
        defer { yaml_parser_delete(parser) }
        // The parser keeps the pointer, so the bytes must live in their own block as long as it does.
        let bytes = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(1, text.utf8.count))
        defer { bytes.deallocate() }
        _ = bytes.initialize(from: text.utf8)
        yaml_parser_set_input_string(parser, bytes.baseAddress, text.utf8.count)
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        while try next(parser) {}
    }

    private static func problem(_ parser: UnsafeMutablePointer<yaml_parser_t>) -> FormatError {
        FormatError(parser.pointee.problem.map { String(cString: $0) } ?? "not YAML", parser.pointee.problem_mark)
    }

    private static func string(_ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int) -> String {
        String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    private static func string(_ bytes: UnsafeMutablePointer<UInt8>?) -> String {
        bytes.map { String(cString: $0) } ?? ""
    }
}

extension FormatError {
    init(_ message: String, _ mark: yaml_mark_t) {
        self.init(message, line: mark.line + 1, column: mark.column + 1)
    }
}
