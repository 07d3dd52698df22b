// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Limits on input, so that no file makes a check slow or large.
struct Limits: Sendable {
    /// Bytes of one file.
    var fileSize = 4 << 20
    /// Nesting depth of lists and maps.
    var depth = 64
    /// Values in one file.
    var values = 200_000
    /// Nesting depth of compounds.
    var compoundDepth = 16
    /// Values and hops processed while compounds are placed; a compound counts every time.
    var work = 1_000_000
    /// Elements of a graph, and outputs of all of them, after compounds are placed. Each output has a queue in a run, so these
    /// bound a run's memory; an output has at most one edge, so edges are bounded too.
    var elements = 1_000
    var outputs = 4_000
    /// Errors reported.
    var errors = 200
    /// Names compared in search of suggestions.
    var comparisons = 50_000
}

/// One load: the files read, the marks issued and all problems found.
final class Session {
    let limits: Limits
    private(set) var map = SourceMap()
    private var found: [Found] = []
    private var seen: Set<Key> = []
    private(set) var errorCount = 0
    private var comparisons = 0
    /// Values that were not read, which was reported: nothing else is said of them.
    var isUnread: Set<Mark> = []
    /// For each value with parameters, their names and bindings.
    var substitutions: [Mark: [(name: String, binding: Binding)]] = [:]
    /// Total bytes substituted for parameters; bounded, since a long value can be used often.
    var substitutedBytes = 0

    private struct Found {
        var span: Span?
        var diagnostic: Diagnostic
    }
    /// Identifies an error: a compound that is used twice would report its errors twice.
    private struct Key: Hashable {
        var code: Code
        var source: Int32
        var start: Int32
        var message: String
    }

    init(limits: Limits) { self.limits = limits }

    // MARK: Places

    func add(_ source: Source) -> Int { map.add(source) }

    func mark(_ span: Span) -> Mark { map.mark(span) }

    /// A mark for part of another's place.
    func mark(_ mark: Mark, from start: Int, count: Int) -> Mark {
        guard let span = map.span(mark) else { return mark }
        let first = Int(span.start) + start
        return map.mark(Span(source: Int(span.source), start: first, end: first + count))
    }

    // MARK: Reporting

    /// The limit on errors has been reached, so there is no use in looking for more.
    var isFull: Bool { errorCount >= limits.errors }

    /// A related place.
    struct Note {
        var message: String
        var mark: Mark
        init(_ message: String, _ mark: Mark) {
            self.message = message
            self.mark = mark
        }
    }

    func report(
        _ code: Code,
        _ message: String,
        at mark: Mark,
        suggestion: String? = nil,
        notes: [Note] = [],
        unreadable: String? = nil
    ) {
        guard let span = map.span(mark) else { return }
        guard !isUnread.contains(mark) else { return }
        guard errorCount < limits.errors else { return }
        guard seen.insert(Key(code: code, source: span.source, start: span.start, message: message)).inserted else {
            return
        }
        if code.severity == .error { errorCount += 1 }
        var diagnostic = Diagnostic(
            code.severity,
            code: code.rawValue,
            message,
            at: map.place(span),
            suggestion: suggestion,
            notes: notes.compactMap { note in
                map.span(note.mark).map { Diagnostic(.note, code: "", note.message, at: map.place($0)) }
            }
        )
        diagnostic.unreadable = unreadable
        found.append(Found(span: span, diagnostic: diagnostic))
        guard errorCount == limits.errors else { return }
        let code = Code.tooManyErrors
        found.append(
            Found(
                span: nil,
                diagnostic: Diagnostic(
                    .error,
                    code: code.rawValue,
                    "after \(errorCount) errors the search was ended",
                    at: Place(file: map.sources[0].path, line: 1, column: 1, length: 1)
                )
            )
        )
    }

    /// Reports an error in a value found by an element type or another reader.
    func report(_ error: ParameterError) {
        let code = Code(rawValue: error.code) ?? .badValue
        let notes = (substitutions[error.mark] ?? []).map {
            Note("'$\($0.name)' is '\($0.binding.text)' here", $0.binding.mark)
        }
        report(code, error.message, at: error.mark, suggestion: error.suggestion.map(didYouMean), notes: notes)
    }

    /// Reports a problem with a file as a whole.
    func report(_ code: Code, _ message: String, file: String) {
        errorCount += 1
        let place = Place(file: file, line: 1, column: 1, length: 1)
        found.append(Found(span: nil, diagnostic: Diagnostic(.error, code: code.rawValue, message, at: place)))
    }

    /// All problems reported: file by file in the order they were read, each from top to bottom.
    var diagnostics: [Diagnostic] {
        found.enumerated().sorted { a, b in
            guard let x = a.element.span, let y = b.element.span else {
                return a.element.span == nil && b.element.span == nil ? a.offset < b.offset : a.element.span != nil
            }
            return (x.source, x.start, Int32(a.offset)) < (y.source, y.start, Int32(b.offset))
        }.map(\.element.diagnostic)
    }

    // MARK: Suggestions

    /// The most likely intended one of `names`, as a question.
    func suggest(_ text: String, among names: some Sequence<String>) -> String? {
        likely(text, among: names).map(didYouMean)
    }

    /// The most likely intended one of `names`. With many errors and many names there are no suggestions.
    func likely(_ text: String, among names: some Sequence<String>) -> String? {
        guard comparisons < limits.comparisons, !isFull else { return nil }
        let names = Array(names)
        comparisons += names.count
        return nearest(to: text, among: names)
    }
}

func didYouMean(_ name: String) -> String { "did you mean '\(name)'?" }

// MARK: Reading maps with known keys

/// The entries of a map whose keys have been checked.
struct Fields {
    var mark: Mark
    private let entries: [String: (keyMark: Mark, value: Value)]

    init(mark: Mark, entries: [String: (keyMark: Mark, value: Value)]) {
        self.mark = mark
        self.entries = entries
    }

    subscript(_ key: String) -> Value? { entries[key]?.value }

    /// The place of a key, or of the map if it is missing.
    func keyMark(_ key: String) -> Mark { entries[key]?.keyMark ?? mark }
}

extension Session {
    /// Reads a map that may have `keys` and must have `required`. Reports an error and returns nil if it is no map; other
    /// errors omit the invalid entries.
    func fields(_ value: Value, of what: String, keys: [String], required: [String] = []) -> Fields? {
        guard let entries = entries(value, what) else { return nil }
        var known: [String: (keyMark: Mark, value: Value)] = [:]
        for (key, keyMark, value) in entries {
            if keys.contains(key) {
                known[key] = (keyMark, value)
            } else {
                report(
                    .unknownKey,
                    "\(what) has no '\(key)'; it has \(keys.joined(separator: ", "))",
                    at: keyMark,
                    suggestion: suggest(key, among: keys)
                )
            }
        }
        for key in required where known[key] == nil {
            report(.missingKey, "\(what) needs '\(key)'", at: entries.first?.keyMark ?? value.mark)
        }
        return Fields(mark: value.mark, entries: known)
    }

    /// The entries of a map; reports an error and returns nil if it is none.
    func entries(_ value: Value, _ what: String) -> [(key: String, keyMark: Mark, value: Value)]? {
        if case .map(let entries, _) = value { return entries }
        report(.wrongShape, "\(what) must be a map, found \(shape(value))", at: value.mark)
        return nil
    }

    /// The items of a list; reports an error and returns nil if it is none.
    func items(_ value: Value, _ what: String) -> [Value]? {
        if case .list(let items, _) = value { return items }
        report(.wrongShape, "\(what) must be a list, found \(shape(value))", at: value.mark)
        return nil
    }

    /// The text of a scalar; reports an error and returns nil if it is none or empty.
    func text(_ value: Value, _ what: String) -> String? {
        if case .scalar(let text, _) = value, !isNothing(value) { return text }
        report(.wrongShape, "\(what) must be a single value, found \(shape(value))", at: value.mark)
        return nil
    }

    /// The texts of a list of scalars, each with its place.
    func texts(_ value: Value?, _ what: String) -> [(text: String, mark: Mark)] {
        guard let value, let items = items(value, what) else { return [] }
        return items.compactMap { item in text(item, "each item of \(what)").map { ($0, item.mark) } }
    }

    /// Whether a value is absent, without even quotes.
    func isNothing(_ value: Value) -> Bool {
        guard case .scalar("", let mark) = value, let span = map.span(mark) else { return false }
        return span.start == span.end
    }

    private func shape(_ value: Value) -> String {
        switch value {
        case .scalar(let text, _): isNothing(value) ? "nothing" : "'\(text.prefix(40))'"
        case .list: "a list"
        case .map: "a map"
        }
    }
}
