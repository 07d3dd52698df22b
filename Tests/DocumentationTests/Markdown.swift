// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What of a Markdown file can be wrong: its code blocks, and the output that is said to follow from them.
struct Markdown {
    /// A fenced block of code.
    struct Block {
        /// The first word after the fence.
        var language: String
        /// The line of the fence, from 1.
        var line: Int
        var lines: [String]
        /// The lines between the marks of output behind the block; nil where there are none.
        var output: Range<Int>?
    }
    var lines: [String]
    private(set) var blocks: [Block] = []

    init(_ text: String) {
        lines = text.components(separatedBy: "\n")
        var at = 0
        while at < lines.count {
            let line = lines[at].drop { $0 == " " }
            let fence = line.prefix { $0 == "`" }
            if fence.count >= 3 {
                let end = lines[(at + 1)...].firstIndex { $0.drop { $0 == " " } == fence } ?? lines.count
                let language = line.dropFirst(fence.count).prefix { $0 != " " }
                let text = Array(lines[min(at + 1, end)..<end])
                blocks.append(Block(language: String(language), line: at + 1, lines: text))
                at = end
            } else if line == "<!-- output -->", !blocks.isEmpty {
                let end = lines[at...].firstIndex { $0.hasPrefix("<!-- end of output -->") } ?? lines.count
                blocks[blocks.count - 1].output = at + 1..<end
                at = end
            }
            at += 1
        }
    }

    /// The output that stands in the file behind a block: a fenced block's text, or Markdown as it is.
    func output(_ block: Block) -> [String]? {
        guard let range = block.output else { return nil }
        var text = lines[range].drop { $0.isEmpty }
        while text.last == "" { text.removeLast() }
        if text.first?.hasPrefix("```") == true { text = text.dropFirst().dropLast() }
        return Array(text)
    }

    /// Puts `output` where output stands behind block `number`; what comes after moves.
    mutating func setOutput(_ number: Int, _ output: [String]) {
        guard let range = blocks[number].output else { return }
        let isMarkdown = output.contains { $0.hasPrefix("| ---") }
        let text = [""] + (isMarkdown ? output : ["```text"] + output + ["```"]) + [""]
        lines.replaceSubrange(range, with: text)
        for k in blocks.indices where k > number {
            guard let later = blocks[k].output else { continue }
            let shift = text.count - range.count
            blocks[k].output = later.lowerBound + shift..<later.upperBound + shift
        }
        blocks[number].output = range.lowerBound..<range.lowerBound + text.count
    }

    /// The commands of a shell block, a line that ends in `\` joined with the next.
    static func commands(_ block: Block) -> [String] {
        block.lines.joined(separator: "\n").replacingOccurrences(of: "\\\n", with: " ")
            .components(separatedBy: "\n")
            .map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty && !$0.hasPrefix("#") }
    }

    /// The files that links of the text point to: without those to other sites and within the page.
    var linkedFiles: [String] {
        var out: [String] = []
        var isCode = false
        for line in lines {
            if line.hasPrefix("```") { isCode.toggle() }
            if isCode { continue }
            for part in line.components(separatedBy: "](").dropFirst() {
                let target = part.prefix { $0 != ")" && $0 != " " }.prefix { $0 != "#" }
                if !target.isEmpty, !target.contains("://"), !target.hasPrefix("mailto:") { out.append(String(target)) }
            }
        }
        return out
    }
}
