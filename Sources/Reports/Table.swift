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
    public var text: String {
        let widths = columns.indices.map { c in
            max(columns[c].title.count, rows.map { $0[c].count }.max() ?? 0)
        }
        func line(_ cells: [String]) -> String {
            var out = ""
            for c in columns.indices {
                let padding = String(repeating: " ", count: widths[c] - cells[c].count)
                out += columns[c].alignment == .left ? cells[c] + padding : padding + cells[c]
                if c < columns.count - 1 { out += "  " }
            }
            while out.last == " " { out.removeLast() }
            return out + "\n"
        }
        return line(columns.map(\.title)) + rows.map(line).joined()
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
