// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// A minimal reader of YAML's flow style, for the parameters in examples: `{limit: 3, ports: [80, 443]}`.
public enum FlowStyle {
    /// The entries of a map, as ``ElementDescriptor/configure(_:at:)`` accepts them; none for an empty text. Throws
    /// ``HarnessError`` if the text is not a map.
    public static func parameters(_ text: String) throws -> [(name: String, mark: Mark, value: Value)] {
        if text.isEmpty { return [] }
        var rest = Substring(text)
        guard case .map(let entries, _) = try value(&rest), rest.allSatisfy(\.isWhitespace) else {
            throw HarnessError("parameters are not a map: \(text)")
        }
        return entries.map { ($0.key, $0.keyMark, $0.value) }
    }

    /// The value of one parameter given as text. Throws ``HarnessError`` if a bracket is missing.
    public static func value(_ text: String) throws -> Value {
        var rest = Substring(text)
        return try value(&rest)
    }

    private static func value(_ rest: inout Substring) throws -> Value {
        skip(&rest)
        switch rest.first {
        case "{":
            var entries: [(key: String, keyMark: Mark, value: Value)] = []
            rest.removeFirst()
            while skip(&rest) != "}" {
                let key = scalar(&rest, until: ":")
                guard rest.popFirst() == ":" else { throw HarnessError("':' is missing at '\(rest)'") }
                entries.append((key, 0, try value(&rest)))
                if skip(&rest) == "," { rest.removeFirst() }
                if rest.isEmpty { throw HarnessError("'}' is missing") }
            }
            rest.removeFirst()
            return .map(entries, 0)
        case "[":
            var items: [Value] = []
            rest.removeFirst()
            while skip(&rest) != "]" {
                items.append(try value(&rest))
                if skip(&rest) == "," { rest.removeFirst() }
                if rest.isEmpty { throw HarnessError("']' is missing") }
            }
            rest.removeFirst()
            return .list(items, 0)
        default: return .scalar(scalar(&rest, until: ",}]"), 0)
        }
    }

    @discardableResult
    private static func skip(_ rest: inout Substring) -> Character? {
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        return rest.first
    }

    private static func scalar(_ rest: inout Substring, until stops: String) -> String {
        skip(&rest)
        if let quote = rest.first, quote == "\"" || quote == "'" {
            rest.removeFirst()
            let text = rest.prefix { $0 != quote }
            rest = rest.dropFirst(text.count + 1)
            return String(text)
        }
        let text = rest.prefix { !stops.contains($0) }
        rest = rest.dropFirst(text.count)
        return String(text.reversed().drop(while: \.isWhitespace).reversed())
    }
}
