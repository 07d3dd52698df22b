// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A problem in a file, with its place and possibly a suggestion, in the style of compilers.
public struct Diagnostic: Sendable, Equatable {
    /// The severity of a problem.
    public enum Severity: String, Sendable, CaseIterable {
        case error
        case warning
        /// Supplements the error or warning before it.
        case note
    }

    /// The severity: only an error keeps a file from being used.
    public var severity: Severity
    /// A stable name for this kind of problem, in snake case; ``explain(_:)`` describes it. Empty for notes.
    public var code: String
    /// A sentence without capital or full stop.
    public var message: String
    /// The place of the problem. One with a whole file is at its first character, without a source line.
    public var place: Place
    /// What to do about it, in words: `did you mean 'sort.syn'?`
    public var suggestion: String?
    /// Related places.
    public var notes: [Diagnostic]

    public init(
        _ severity: Severity,
        code: String,
        _ message: String,
        at place: Place,
        suggestion: String? = nil,
        notes: [Diagnostic] = []
    ) {
        self.severity = severity
        self.code = code
        self.message = message
        self.place = place
        self.suggestion = suggestion
        self.notes = notes
    }

    /// The file, as it was named.
    public var file: String { place.file }
    /// The line, from 1.
    public var line: Int { place.line }
    /// The column, from 1, in characters.
    public var column: Int { place.column }
    /// The number of characters marked.
    public var length: Int { place.length }
    /// The text of the line, if there is one to show.
    public var sourceLine: String? { place.sourceLine }

    /// The diagnostic for a terminal: place and message, the line with the characters marked, then the notes. Ends with a line
    /// break.
    public var rendered: String {
        var text = "\(file):\(line):\(column): \(severity.rawValue): \(message)"
        if !code.isEmpty { text += " [\(code)]" }
        text += "\n"
        if severity != .note, let sourceLine {
            let number = String(line)
            let margin = String(repeating: " ", count: max(5, number.count))
            text += margin.dropLast(number.count) + number + " | " + sourceLine + "\n"
            // Tabs are repeated, so that the marks line up with the characters wherever tab stops are.
            let before = sourceLine.unicodeScalars.prefix(column - 1).map { $0 == "\t" ? "\t" : " " }.joined()
            let room = max(1, sourceLine.unicodeScalars.count - (column - 1))
            text += margin + " | " + before + String(repeating: "^", count: min(length, room))
            if let suggestion { text += " " + suggestion }
            text += "\n"
        } else if let suggestion {
            text += "      | \(suggestion)\n"
        }
        for note in notes { text += note.rendered }
        return text
    }

    /// The diagnostic as one line of JSON.
    public var json: String {
        var fields = [
            ("severity", jsonString(severity.rawValue)), ("code", jsonString(code)), ("message", jsonString(message)),
            ("file", jsonString(file)), ("line", String(line)), ("column", String(column)), ("length", String(length)),
        ]
        if let suggestion { fields.append(("suggestion", jsonString(suggestion))) }
        if let sourceLine { fields.append(("source_line", jsonString(sourceLine))) }
        fields.append(("notes", "[" + notes.map(\.json).joined(separator: ", ") + "]"))
        return "{" + fields.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}"
    }

    /// The codes of all problems in files.
    public static var allCodes: [String] { Code.allCases.map(\.rawValue) }

    /// The meaning of a code and how to fix the problem, with an example; nil for an unknown code.
    public static func explain(_ code: String) -> String? {
        guard let code = Code(rawValue: code) else { return nil }
        let (text, example) = code.explanation
        let lines = example.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)\n" }
        return "\(code.rawValue)\n\n\(text)\n" + (example.isEmpty ? "" : "\nFor example:\n\n" + lines.joined())
    }
}

/// `text` as a JSON string.
func jsonString(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": out += "\\\""
        case "\\": out += "\\\\"
        case "\n": out += "\\n"
        case "\r": out += "\\r"
        case "\t": out += "\\t"
        default:
            if scalar.value < 32 || scalar.value == 127 {
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            } else {
                out.unicodeScalars.append(scalar)
            }
        }
    }
    return out + "\""
}
