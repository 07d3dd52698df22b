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
    /// The file that could not be read, if that is the problem.
    public var unreadable: String?

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

    /// The diagnostic as text: place and message, the line with the characters marked, then the notes. Ends with a line break.
    public var rendered: String { rendered() }

    /// The diagnostic for a terminal.
    ///
    /// - Parameters:
    ///   - inColour: colours are used, as escape sequences of ECMA-48.
    ///   - width: the characters of the terminal's line. Of a longer source line the part around the marked characters is shown.
    public func rendered(inColour: Bool = false, width: Int = .max) -> String {
        func paint(_ text: String, _ colour: String) -> String { inColour ? "\u{1b}[\(colour)m\(text)\u{1b}[0m" : text }
        let colour =
            switch severity {
            case .error: "1;31"
            case .warning: "1;35"
            case .note: "1;36"
            }
        var text =
            paint("\(file):\(line):\(column):", "1") + " " + paint("\(severity.rawValue):", colour) + " " + message
        if !code.isEmpty { text += " [\(code)]" }
        text += "\n"
        if severity != .note, let sourceLine {
            let number = String(line)
            let margin = String(repeating: " ", count: max(5, number.count))
            let shown = Diagnostic.part(of: sourceLine, around: column - 1, width: width - margin.count - 3)
            text += margin.dropLast(number.count) + number + " | " + shown.text + "\n"
            // Tabs are repeated, so that the marks line up with the characters wherever tab stops are.
            let before = shown.text.unicodeScalars.prefix(shown.column).map { $0 == "\t" ? "\t" : " " }.joined()
            let room = max(1, shown.text.unicodeScalars.count - shown.column)
            text += margin + " | " + before + paint(String(repeating: "^", count: min(length, room)), "1;32")
            if let suggestion {
                let end = margin.count + 3 + shown.column + min(length, room) + 1
                text += end + suggestion.count > width ? "\n" + margin + " | " : " "
                text += paint(suggestion, "32")
            }
            text += "\n"
        } else if let suggestion {
            text += "      | \(paint(suggestion, "32"))\n"
        }
        for note in notes { text += note.rendered(inColour: inColour, width: width) }
        return text
    }

    /// The part of a line that fits `width` and holds the character `column`, from 0; and where that is in the part.
    private static func part(of line: String, around column: Int, width: Int) -> (text: String, column: Int) {
        let scalars = Array(line.unicodeScalars)
        guard scalars.count > max(width, 20) else { return (line, column) }
        let room = max(width, 20) - 2
        // A third of the part comes before the marked characters.
        let start = max(0, min(column - room / 3, scalars.count - room))
        var text = String.UnicodeScalarView()
        if start > 0 { text.append("…") }
        text += scalars[start..<min(scalars.count, start + room)]
        if start + room < scalars.count { text.append("…") }
        return (String(text), column - start + (start > 0 ? 1 : 0))
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

    /// The meaning of a code in its first sentence; nil for an unknown code.
    public static func summary(of code: String) -> String? {
        Code(rawValue: code).map { firstSentence($0.explanation.text) }
    }

    /// The meaning of a code and how to fix the problem, with an example; nil for an unknown code.
    public static func explain(_ code: String) -> String? {
        guard let code = Code(rawValue: code) else { return nil }
        let (text, example) = code.explanation
        let lines = example.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)\n" }
        return "\(code.rawValue)\n\n\(text)\n" + (example.isEmpty ? "" : "\nFor example:\n\n" + lines.joined())
    }
}

/// The text up to its first full stop that ends a sentence.
public func firstSentence(_ text: String) -> String {
    text.firstRange(of: ". ").map { String(text[..<$0.lowerBound]) + "." } ?? text
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
