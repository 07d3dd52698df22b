// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Reads as much YAML as the shipped profiles use: maps by indentation, lists of words, flow maps, quotes, `>-`.
/// A mark is the number of the line. The real reader lives above this module.
struct YAMLSubset {
    private var lines: [(indent: Int, text: String, number: Int32)] = []
    private var next = 0

    static func read(_ text: String) -> Value {
        var reader = YAMLSubset()
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let body = line.drop { $0 == " " }
            if body.isEmpty || body.first == "#" { continue }
            reader.lines.append((line.count - body.count, String(body), Int32(number + 1)))
        }
        return reader.block(0)
    }

    private mutating func block(_ indent: Int) -> Value {
        let mark = next < lines.count ? lines[next].number : 0
        if next < lines.count, lines[next].text.hasPrefix("- ") {
            var items: [Value] = []
            while next < lines.count, lines[next].indent == indent, lines[next].text.hasPrefix("- ") {
                items.append(.scalar(Self.unquote(String(lines[next].text.dropFirst(2))), lines[next].number))
                next += 1
            }
            return .list(items, mark)
        }
        var entries: [(key: String, keyMark: Mark, value: Value)] = []
        while next < lines.count, lines[next].indent == indent {
            let line = lines[next]
            let colon = line.text.firstIndex(of: ":")!
            let key = String(line.text[..<colon])
            let rest = line.text[line.text.index(after: colon)...].drop { $0 == " " }
            next += 1
            if rest.isEmpty {
                entries.append((key, line.number, block(lines[next].indent)))
            } else if rest == ">-" {
                var words: [String] = []
                while next < lines.count, lines[next].indent > indent {
                    words.append(lines[next].text)
                    next += 1
                }
                entries.append((key, line.number, .scalar(words.joined(separator: " "), line.number)))
            } else {
                entries.append((key, line.number, Self.flow(String(rest), line.number)))
            }
        }
        return .map(entries, mark)
    }

    private static func flow(_ text: String, _ mark: Mark) -> Value {
        guard text.hasPrefix("{"), text.hasSuffix("}") else { return .scalar(unquote(text), mark) }
        var parts: [String] = [""]
        var quoted = false
        for character in text.dropFirst().dropLast() {
            if character == "\"" { quoted.toggle() }
            if character == ",", !quoted { parts.append("") } else { parts[parts.count - 1].append(character) }
        }
        return .map(
            parts.map { part in
                let colon = part.firstIndex(of: ":")!
                let key = part[..<colon].filter { $0 != " " }
                let value = String(part[part.index(after: colon)...].drop { $0 == " " })
                return (key, mark, .scalar(unquote(value), mark))
            },
            mark
        )
    }

    private static func unquote(_ text: String) -> String {
        text.hasPrefix("\"") && text.hasSuffix("\"") ? String(text.dropFirst().dropLast()) : text
    }
}
