// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// `text` in lines of at most `width` characters, for a terminal; as it is where lines have no end (nil).
///
/// Long lines go on below their last column. Lines of one paragraph are joined first, where they would be broken anyway.
public func folded(_ text: String, width: Int?) -> String {
    guard let width else { return text }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard lines.contains(where: { $0.count > width }) else { return text }
    lines = joined(lines)
    return lines.map { folded($0, width) }.joined(separator: "\n")
}

/// The lines, those of one paragraph as one.
private func joined(_ lines: [String]) -> [String] {
    func isProse(_ line: String) -> Bool {
        guard let first = line.first else { return false }
        return !" |`-*#".contains(first) && !line.contains("  ")
    }
    var out: [String] = []
    var isCode = false
    var wasProse = false
    for line in lines {
        if line.hasPrefix("```") { isCode.toggle() }
        let isProse = !isCode && isProse(line)
        if isProse, wasProse { out[out.count - 1] += " " + line } else { out.append(line) }
        wasProse = isProse
    }
    return out
}

private func folded(_ line: String, _ width: Int) -> String {
    if line.count <= width { return line }
    let characters = Array(line)
    // Where the last column begins, if that leaves room for words.
    var column = characters.prefix { $0 == " " }.count
    let indent = column + 2
    for k in characters.indices.dropFirst(2)
    where k <= width * 2 / 3 && characters[k] != " " && characters[k - 1] == " " && characters[k - 2] == " " {
        column = k
    }
    let hanging = min(column == indent - 2 ? (column == 0 ? 0 : indent) : column, width / 2)
    var out = String(characters[..<column])
    var used = column
    var isFirst = true
    for word in String(characters[column...]).split(separator: " ", omittingEmptySubsequences: false) {
        if !isFirst, used + 1 + word.count > width {
            while out.last == " " { out.removeLast() }
            out += "\n" + String(repeating: " ", count: hanging)
            used = hanging
        } else if !isFirst {
            out += " "
            used += 1
        }
        out += word
        used += word.count
        isFirst = false
    }
    return out
}
