// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A JSON document (RFC 8259) for output; members keep their order, so the text is always the same.
indirect enum JSON {
    case string(String)
    case integer(Int)
    case number(Double)
    case boolean(Bool)
    case array([JSON])
    case object([(name: String, value: JSON)])

    /// This object with the members of `other` appended; any other value unchanged.
    func adding(_ other: JSON) -> JSON {
        guard case .object(let mine) = self, case .object(let more) = other else { return self }
        return .object(mine + more)
    }

    /// The document with two spaces per level and short arrays of scalars on one line.
    func text(indent: Int = 0) -> String {
        let pad = String(repeating: " ", count: indent + 2)
        let end = String(repeating: " ", count: indent)
        switch self {
        case .string(let text): return jsonString(text)
        case .integer(let n): return String(n)
        case .number(let x): return "\(x)"
        case .boolean(let value): return value ? "true" : "false"
        case .array(let items):
            let isFlat = items.allSatisfy {
                if case .array = $0 { false } else if case .object = $0 { false } else { true }
            }
            let texts = items.map { $0.text(indent: indent + 2) }
            let line = "[" + texts.joined(separator: ", ") + "]"
            if isFlat, indent + line.count <= 110 { return line }
            return "[\n" + texts.map { pad + $0 }.joined(separator: ",\n") + "\n\(end)]"
        case .object(let members):
            if members.isEmpty { return "{}" }
            let lines = members.map { pad + jsonString($0.name) + ": " + $0.value.text(indent: indent + 2) }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(end)}"
        }
    }
}

extension JSON: ExpressibleByStringLiteral {
    init(stringLiteral text: String) { self = .string(text) }
}

extension JSON: ExpressibleByBooleanLiteral {
    init(booleanLiteral value: Bool) { self = .boolean(value) }
}

extension JSON: ExpressibleByIntegerLiteral {
    init(integerLiteral value: Int) { self = .integer(value) }
}

extension JSON: ExpressibleByArrayLiteral {
    init(arrayLiteral items: JSON...) { self = .array(items) }
}

extension JSON: ExpressibleByDictionaryLiteral {
    init(dictionaryLiteral members: (String, JSON)...) { self = .object(members.map { ($0.0, $0.1) }) }
}
