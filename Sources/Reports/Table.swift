// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A table of text, for the terminal and for Markdown.
public struct Table: Sendable {
    /// The side on which the cells of a column are flush.
    public enum Alignment: Sendable {
        case left
        case right
    }
    /// The title of each column, and the alignment of its cells.
    public var columns: [(title: String, alignment: Alignment)]
    /// The cells of each row, one per column.
    public var rows: [[String]] = []

    public init(_ columns: [(title: String, alignment: Alignment)]) { self.columns = columns }

    /// Columns padded with spaces, for a terminal.
    public var text: String { text(width: .max) }

    /// Whether its lines have at most `width` characters.
    func fits(_ width: Int) -> Bool { text.split(separator: "\n").allSatisfy { $0.count <= width } }

    /// The table with the columns of these titles, in their order, behind the first one.
    public func keeping(_ titles: [String]) -> Table {
        let kept = [0] + titles.compactMap { title in columns.indices.dropFirst().first { columns[$0].title == title } }
        var table = Table(kept.map { columns[$0] })
        table.rows = rows.map { row in kept.map { row[$0] } }
        return table
    }

    /// What a terminal shows: the table in lines of at most `width` characters, and how to choose columns where it is wider.
    func shown(width: Int?) -> String {
        guard let width, !fits(width) else { return text }
        return text(width: width) + "\n"
            + wrapped(["The table is wider than the terminal; --columns chooses among its columns."], width: width)
    }

    /// Columns padded with spaces, in lines of at most `width` characters if they fit: where they do not, several tables one below the
    /// other, each with the first column.
    public func text(width: Int) -> String {
        guard !columns.isEmpty else { return "" }
        let widths = columns.indices.map { c in
            max(columns[c].title.count, rows.map { $0[c].count }.max() ?? 0)
        }
        var parts: [[Int]] = [[0]]
        var used = widths[0]
        for c in columns.indices.dropFirst() {
            if parts[parts.count - 1].count > 1, used + 2 + widths[c] > width {
                parts.append([0])
                used = widths[0]
            }
            parts[parts.count - 1].append(c)
            used += 2 + widths[c]
        }
        func line(_ cells: [String], _ part: [Int]) -> String {
            var out = ""
            for c in part {
                let padding = String(repeating: " ", count: widths[c] - cells[c].count)
                out += columns[c].alignment == .left ? cells[c] + padding : padding + cells[c]
                if c != part.last { out += "  " }
            }
            while out.last == " " { out.removeLast() }
            return out + "\n"
        }
        return parts.map { part in
            line(columns.map(\.title), part) + rows.map { line($0, part) }.joined()
        }.joined(separator: "\n")
    }

    /// A table in Markdown.
    public var markdown: String {
        func line(_ cells: [String]) -> String {
            "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |\n"
        }
        return line(columns.map(\.title))
            + "|" + columns.map { $0.alignment == .left ? " --- |" : " ---: |" }.joined() + "\n"
            + rows.map(line).joined()
    }
}
