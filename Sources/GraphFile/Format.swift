// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CYAML

/// The reason a text was left unformatted.
public struct FormatError: Error, Sendable, CustomStringConvertible {
    /// A sentence without capital or full stop.
    public var message: String
    /// The line, from 1.
    public var line: Int
    /// The column, from 1, in characters.
    public var column: Int

    public init(_ message: String, line: Int, column: Int) {
        self.message = message
        self.line = line
        self.column = column
    }

    public var description: String { "\(line):\(column): \(message)" }
}

/// Formats graph files in one style without losing a comment.
///
/// libyaml drops comments, so nothing is reprinted from a tree: the tokens of the text stay as written, and only what lies
/// between them, white space and comments, is laid out again.
///
/// - Indentation is two spaces per level, also for lists under a key.
/// - There is one space on each side of `->` in a chain.
/// - No line ends in white space, there are no two consecutive blank lines, the file ends in one line break.
/// - The order of keys, line breaks, quoting and alignment within a line stay as the author chose them.
public enum GraphFormatter {
    /// Larger texts, in bytes, are rejected, as by the loader.
    public static let maximumSize = 4 << 20

    /// `text` in the standard style. Formatting is idempotent.
    ///
    /// The text must be YAML. Its meaning is compared before and after; if it differs, the text is rejected.
    public static func format(_ text: String) throws(FormatError) -> String {
        guard text.utf8.count <= maximumSize else {
            throw FormatError("the file is larger than \(maximumSize >> 20) MiB", line: 1, column: 1)
        }
        let source = normalizingLineBreaks(text)
        var layout = Reflow(source, tokens: try YAMLScanner.tokens(source))
        let before = try YAMLScanner.events(source)
        let result = layout.run()
        let after: [YAMLScanner.Event]
        do throws(FormatError) { after = try YAMLScanner.events(result) } catch {
            throw FormatError("formatting would break the file: \(error)", line: 1, column: 1)
        }
        let same =
            before.count == after.count
            && zip(before, after).allSatisfy { old, new in
                if old == new { return true }
                var spaced = new
                spaced.value = old.value
                return spaced == old && layout.chains.contains(old.value) && hops(old.value) == hops(new.value)
            }
        guard same else { throw FormatError("formatting would change what the file means", line: 1, column: 1) }
        return result
    }

    /// The hops of a chain as words, ignoring white space.
    private static func hops(_ chain: String) -> [[Substring]] {
        var hops: [[Substring]] = []
        var rest = chain[...]
        while let arrow = rest.firstRange(of: "->") {
            hops.append(rest[..<arrow.lowerBound].split(whereSeparator: \.isWhitespace))
            rest = rest[arrow.upperBound...]
        }
        return hops + [rest.split(whereSeparator: \.isWhitespace)]
    }

    /// The text with every DOS or old Mac line break as `\n`, without byte order mark, and with a final line break.
    private static func normalizingLineBreaks(_ text: String) -> String {
        var out = String.UnicodeScalarView()
        var afterReturn = false
        for scalar in text.unicodeScalars {
            if out.isEmpty, scalar == "\u{FEFF}" { continue }
            if scalar == "\r" {
                out.append("\n")
            } else if !(scalar == "\n" && afterReturn) {
                out.append(scalar)
            }
            afterReturn = scalar == "\r"
        }
        if out.last != "\n" { out.append("\n") }
        return String(out)
    }
}

/// Lays out the tokens of one text.
private struct Reflow {
    typealias Token = YAMLScanner.Token

    /// An open block collection: the old and the new column of its entries.
    private struct Block {
        enum Kind {
            case mapping
            case sequence
            /// A list whose dashes are directly below its key; libyaml gives no tokens for its beginning and end.
            case flushSequence
        }
        var kind: Kind
        var old: Int
        var new: Int
        /// The next scalar is a key.
        var awaitsKey = false
        /// In a mapping, the key of the next value.
        var key = ""
    }

    private let source: [Unicode.Scalar]
    private let tokens: [Token]
    private var out: [Unicode.Scalar] = []
    private var blocks: [Block] = []
    /// Open flow collections: whether each is a list.
    private var flows: [Bool] = []
    /// The base indentation of lines inside the outermost open flow collection.
    private var flowBase = 0
    /// The original text of scalars that were formatted as chains.
    private(set) var chains: Set<String> = []

    init(_ text: String, tokens: [Token]) {
        source = Array(text.unicodeScalars)
        self.tokens = tokens
    }

    /// The new column of the innermost block collection's entries.
    private var blockColumn: Int { blocks.last?.new ?? -2 }

    mutating func run() -> String {
        var position = 0
        var previous: Token?
        var blocksBefore: [Block] = []
        var beginsKey = false
        // The last visible token began its line or followed another indicator that did: `- - ? a`.
        var indicatorRun = false
        for token in tokens {
            follow(token)
            if token.type == YAML_KEY_TOKEN, flows.isEmpty { beginsKey = true }
            guard token.end > token.start else { continue }
            let column = lineColumn(of: token, beginsKey: beginsKey)
            let isIndicator =
                flows.isEmpty
                && (token.type == YAML_BLOCK_ENTRY_TOKEN || token.type == YAML_KEY_TOKEN
                    || token.type == YAML_VALUE_TOKEN)
            let newLine = layOut(
                from: position,
                to: token.start,
                column: column,
                oldColumn: token.column,
                previous: previous,
                before: blocksBefore,
                oneSpace: indicatorRun
            )
            // A value's colon is an indicator to indent from only if it begins a line.
            indicatorRun = isIndicator && (newLine || indicatorRun)
            position = write(token, firstInLine: newLine || previous?.type == YAML_BLOCK_ENTRY_TOKEN)
            beginsKey = false
            previous = token
            blocksBefore = blocks
        }
        _ = layOut(
            from: position,
            to: source.count,
            column: nil,
            oldColumn: 0,
            previous: previous,
            before: blocksBefore,
            oneSpace: false
        )
        var text = String.UnicodeScalarView()
        text.append(contentsOf: out)
        return String(text)
    }

    /// Tracks the open collections, so that `blocks` are those around `token`.
    private mutating func follow(_ token: Token) {
        switch token.type {
        case YAML_BLOCK_MAPPING_START_TOKEN:
            blocks.append(Block(kind: .mapping, old: token.column, new: blockColumn + 2))
        case YAML_BLOCK_SEQUENCE_START_TOKEN:
            blocks.append(Block(kind: .sequence, old: token.column, new: blockColumn + 2))
        case YAML_BLOCK_END_TOKEN:
            endFlushSequence()
            blocks.removeLast()
        case YAML_BLOCK_ENTRY_TOKEN where flows.isEmpty && blocks.last?.kind == .mapping:
            blocks.append(Block(kind: .flushSequence, old: token.column, new: blockColumn + 2))
        case YAML_KEY_TOKEN where flows.isEmpty:
            endFlushSequence()
            if !blocks.isEmpty { blocks[blocks.count - 1].awaitsKey = true }
        case YAML_VALUE_TOKEN where flows.isEmpty:
            endFlushSequence()
            if !blocks.isEmpty { blocks[blocks.count - 1].awaitsKey = false }
        case YAML_SCALAR_TOKEN where flows.isEmpty && blocks.last?.awaitsKey == true:
            blocks[blocks.count - 1].key = token.value
        default: break
        }
    }

    private mutating func endFlushSequence() {
        if blocks.last?.kind == .flushSequence { blocks.removeLast() }
    }

    /// The column `token` gets if it begins a line.
    private func lineColumn(of token: Token, beginsKey: Bool) -> Int {
        if !flows.isEmpty {
            return token.closesFlow ? max(blockColumn + 2, flowBase + 2 * (flows.count - 1)) : flowColumn
        }
        switch token.type {
        case YAML_BLOCK_ENTRY_TOKEN, YAML_KEY_TOKEN, YAML_VALUE_TOKEN: return max(0, blockColumn)
        case YAML_DOCUMENT_START_TOKEN, YAML_DOCUMENT_END_TOKEN, YAML_VERSION_DIRECTIVE_TOKEN,
            YAML_TAG_DIRECTIVE_TOKEN:
            return 0
        default: return beginsKey ? max(0, blockColumn) : blockColumn + 2
        }
    }

    /// The column of lines inside the innermost flow collection.
    private var flowColumn: Int { flowBase + 2 * flows.count }

    // MARK: Between tokens

    /// Writes what lies between two tokens. `column` is where the next token goes if it begins a line, nil at the end of the
    /// text. Returns whether it begins a line.
    private mutating func layOut(
        from: Int,
        to: Int,
        column: Int?,
        oldColumn: Int,
        previous: Token?,
        before: [Block],
        oneSpace: Bool
    ) -> Bool {
        var lines = source[from..<max(from, to)].split(omittingEmptySubsequences: false, whereSeparator: isLineBreak)
        if previous != nil {
            let first = lines.removeFirst()
            if lines.isEmpty {
                if oneSpace { out.append(" ") } else { out.append(contentsOf: first.map { $0 == "\t" ? " " : $0 }) }
                return false
            }
            if let comment = comment(in: first) {
                // Comments at the end of lines keep their distance: they may be aligned.
                out.append(contentsOf: repeatElement(" ", count: max(1, comment.startIndex - first.startIndex)))
                out.append(contentsOf: comment)
            }
            out.append("\n")
        }
        var blankLines = 0
        for line in lines.dropLast() {
            guard let comment = comment(in: line) else {
                blankLines += 1
                continue
            }
            let at = commentColumn(
                comment.startIndex - line.startIndex,
                column: column,
                oldColumn: oldColumn,
                previous: previous,
                before: before
            )
            startLine(at, afterBlank: blankLines > 0)
            out.append(contentsOf: comment)
            out.append("\n")
            blankLines = 0
        }
        // A text without a final line break can only end in white space, which is removed.
        if let column { startLine(column, afterBlank: blankLines > 0) }
        return true
    }

    private mutating func startLine(_ column: Int, afterBlank: Bool) {
        if afterBlank, !out.isEmpty { out.append("\n") }
        out.append(contentsOf: repeatElement(" ", count: column))
    }

    /// The column of a comment on its own line. It stays with the lines whose column it had: those before it, in any collection
    /// that has not ended where the text continues, or the line after it.
    private func commentColumn(
        _ old: Int,
        column: Int?,
        oldColumn: Int,
        previous: Token?,
        before: [Block]
    ) -> Int {
        if !flows.isEmpty { return flowColumn }
        let next = column ?? 0
        if old == oldColumn || next > (before.last?.new ?? 0) { return next }
        if let last = before.last, old > last.old,
            previous?.type == YAML_VALUE_TOKEN || previous?.type == YAML_BLOCK_ENTRY_TOKEN
        {
            // After a key without a value.
            return last.new + 2
        }
        return before.last { $0.old <= old && $0.new >= next }?.new ?? next
    }

    /// The comment in a line between tokens, without trailing white space.
    private func comment(in line: ArraySlice<Unicode.Scalar>) -> ArraySlice<Unicode.Scalar>? {
        line.firstIndex(of: "#").map { trimmingEnd(line[$0...]) }
    }

    // MARK: Tokens

    /// Writes `token` and returns where the text after it begins.
    private mutating func write(_ token: Token, firstInLine: Bool) -> Int {
        switch token.type {
        case YAML_SCALAR_TOKEN:
            let isChain = isInChains && token.value.contains("->")
            if isChain { chains.insert(token.value) }
            if token.style == YAML_LITERAL_SCALAR_STYLE || token.style == YAML_FOLDED_SCALAR_STYLE {
                return writeBlockScalar(token, isChain: isChain)
            }
            writeFlowScalar(token, isChain: isChain)
        case _ where token.opensFlow:
            if flows.isEmpty { flowBase = firstInLine ? blockColumn + 2 : max(0, blockColumn) }
            flows.append(token.type == YAML_FLOW_SEQUENCE_START_TOKEN)
            out.append(contentsOf: source[token.start..<token.end])
        case _ where token.closesFlow:
            if !flows.isEmpty { flows.removeLast() }
            out.append(contentsOf: source[token.start..<token.end])
        default: out.append(contentsOf: trimmingEnd(source[token.start..<token.end]))
        }
        return token.end
    }

    /// Whether a scalar here is an entry of the top-level list `chains`.
    private var isInChains: Bool {
        guard let top = blocks.first, top.kind == .mapping, top.key == "chains" else { return false }
        if blocks.count == 1 { return flows == [true] }
        return blocks.count == 2 && blocks[1].kind != .mapping && flows.isEmpty
    }

    /// A plain or quoted scalar. White space around its line breaks is insignificant, so its lines are reindented.
    private mutating func writeFlowScalar(_ token: Token, isChain: Bool) {
        let lines = source[token.start..<token.end].split(omittingEmptySubsequences: false, whereSeparator: isLineBreak)
        let column = flows.isEmpty ? blockColumn + 2 : flowColumn
        // After a backslash white space can be significant.
        let plain = token.style != YAML_DOUBLE_QUOTED_SCALAR_STYLE || !source[token.start..<token.end].contains("\\")
        for (n, line) in lines.enumerated() {
            var line = line
            if n > 0 {
                out.append("\n")
                line = line.drop(while: isBlank)
                if !line.isEmpty { out.append(contentsOf: repeatElement(" ", count: column)) }
            }
            if n < lines.count - 1 { line = trimmingEnd(line, escapes: !plain) }
            if isChain, plain { writeChain(line) } else { out.append(contentsOf: line) }
        }
    }

    /// A literal or folded scalar: its lines move together. Returns where the text after it begins, at a line break.
    private mutating func writeBlockScalar(_ token: Token, isChain: Bool) -> Int {
        var lines = source[token.start..<token.end].split(omittingEmptySubsequences: false, whereSeparator: isLineBreak)
        let header = lines.removeFirst()
        // The token ends after its last line break, even at the end of the text.
        if lines.last?.isEmpty == true { lines.removeLast() }
        let indicators = header.prefix { $0 != " " && $0 != "\t" && $0 != "#" }
        out.append(contentsOf: trimmingEnd(header))

        let oldIndent: Int
        let newIndent: Int
        if let digit = indicators.first(where: { ("1"..."9").contains($0) }) {
            // Counted from the surrounding collection; a list flush with its key does not count for libyaml.
            let width = Int(digit.value) - 0x30
            oldIndent = max(0, blocks.last { $0.kind != .flushSequence }?.old ?? 0) + width
            newIndent = max(0, blockColumn) + width
        } else {
            let indents = lines.map { $0.prefix { $0 == " " }.count }
            let firstText = lines.indices.first { indents[$0] < lines[$0].count }
            oldIndent = firstText.map { indents[$0] } ?? indents.max() ?? 0
            newIndent = max(0, blockColumn) + 2
        }
        let keepsBlankEnd = indicators.contains("+")
        var contents = lines.map { line in
            line.prefix(oldIndent).allSatisfy { $0 == " " } ? line.dropFirst(oldIndent) : line
        }
        var end = token.end
        if !keepsBlankEnd { while contents.last?.isEmpty == true { contents.removeLast() } }
        for line in contents {
            out.append("\n")
            if line.isEmpty { continue }
            out.append(contentsOf: repeatElement(" ", count: newIndent))
            if isChain {
                out.append(contentsOf: line.prefix(while: isBlank))
                writeChain(trimmingEnd(line.drop(while: isBlank)))
            } else {
                out.append(contentsOf: line)
            }
        }
        // The final line break belongs to what follows, and so do insignificant blank lines.
        while end > token.start, isLineBreak(source[end - 1]) || (!keepsBlankEnd && isBlank(source[end - 1])) {
            end -= 1
            if keepsBlankEnd { break }
        }
        return end
    }

    /// One line of a chain, with one space on each side of every arrow that has a neighbour there.
    private mutating func writeChain(_ line: ArraySlice<Unicode.Scalar>) {
        let begin = out.count
        var i = line.startIndex
        while i < line.endIndex {
            guard line[i] == "-", i + 1 < line.endIndex, line[i + 1] == ">" else {
                out.append(line[i])
                i += 1
                continue
            }
            while out.count > begin, let last = out.last, isBlank(last) { out.removeLast() }
            if out.count > begin, !isQuote(out[out.count - 1]) || out.count > begin + 1 { out.append(" ") }
            out.append("-")
            out.append(">")
            i += 2
            while i < line.endIndex, isBlank(line[i]) { i += 1 }
            if i < line.endIndex, !isQuote(line[i]) || i + 1 < line.endIndex { out.append(" ") }
        }
    }
}

private func isLineBreak(_ scalar: Unicode.Scalar) -> Bool {
    // Those of YAML 1.1, which libyaml reads.
    scalar == "\n" || scalar == "\u{85}" || scalar == "\u{2028}" || scalar == "\u{2029}"
}

private func isBlank(_ scalar: Unicode.Scalar) -> Bool { scalar == " " || scalar == "\t" }

private func isQuote(_ scalar: Unicode.Scalar) -> Bool { scalar == "\"" || scalar == "'" }

/// `line` without trailing white space; with `escapes`, white space after a backslash stays.
private func trimmingEnd(_ line: ArraySlice<Unicode.Scalar>, escapes: Bool = false) -> ArraySlice<Unicode.Scalar> {
    var kept = line
    while let last = kept.last, isBlank(last) { kept.removeLast() }
    guard escapes, kept.count < line.count else { return kept }
    let backslashes = kept.reversed().prefix { $0 == "\\" }.count
    return backslashes % 2 == 1 ? line.prefix(kept.count + 1) : kept
}
