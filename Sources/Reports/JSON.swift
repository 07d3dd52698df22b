// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A JSON value whose members keep their order, so that the same results give the same bytes.
public enum JSON: Sendable, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral {
    case object([(String, JSON)])
    case array([JSON])
    case string(String)
    case integer(Int64)
    case unsigned(UInt64)
    /// A number with a fixed number of decimal places, so that its text has a predictable form.
    case decimal(Double, digits: Int)
    case bool(Bool)
    case null

    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }

    /// The value of a member of an object.
    public subscript(_ name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.0 == name }?.1
    }

    /// This object with another member at its end; any other value unchanged.
    public func adding(_ name: String, _ value: JSON) -> JSON {
        guard case .object(let members) = self else { return self }
        return .object(members + [(name, value)])
    }

    /// The text, with two spaces per level and a final newline.
    public var text: String {
        var out = ""
        write(&out, indent: 0)
        return out + "\n"
    }

    /// The text on one line.
    public var line: String {
        var out = ""
        write(&out, indent: nil)
        return out
    }

    private func write(_ out: inout String, indent: Int?) {
        switch self {
        case .object(let members) where members.isEmpty: out += "{}"
        case .array(let items) where items.isEmpty: out += "[]"
        case .object(let members):
            out += "{"
            for (k, (name, value)) in members.enumerated() {
                if k > 0 { out += "," }
                newline(&out, indent.map { $0 + 1 }, space: k > 0)
                JSON.quote(name, &out)
                out += ": "
                value.write(&out, indent: indent.map { $0 + 1 })
            }
            newline(&out, indent, space: false)
            out += "}"
        case .array(let items):
            out += "["
            for (k, value) in items.enumerated() {
                if k > 0 { out += "," }
                newline(&out, indent.map { $0 + 1 }, space: k > 0)
                value.write(&out, indent: indent.map { $0 + 1 })
            }
            newline(&out, indent, space: false)
            out += "]"
        case .string(let text): JSON.quote(text, &out)
        case .integer(let n): out += String(n)
        case .unsigned(let n): out += String(n)
        case .decimal(let x, let digits): out += x.isFinite ? fixed(x, digits) : "null"
        case .bool(let b): out += b ? "true" : "false"
        case .null: out += "null"
        }
    }

    private func newline(_ out: inout String, _ indent: Int?, space: Bool) {
        if let indent {
            out += "\n" + String(repeating: "  ", count: indent)
        } else if space {
            out += " "
        }
    }

    /// Writes a JSON string (RFC 8259 section 7).
    public static func quote(_ text: String, _ out: inout String) {
        out += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let hex = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: out.unicodeScalars.append(scalar)
            }
        }
        out += "\""
    }
}

extension JSON {
    /// Parses JSON (RFC 8259); nil if the text is not JSON, or is nested deeper than 64. Numbers keep their text.
    public init?(_ text: String) {
        var reader = JSONReader(bytes: Array(text.utf8))
        guard let value = reader.value(depth: 0), reader.isAtEnd else { return nil }
        self = value
    }
}

private struct JSONReader {
    let bytes: [UInt8]
    var at = 0

    private mutating func skipSpace() {
        while at < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[at]) { at += 1 }
    }

    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return at == bytes.count
        }
    }

    private mutating func take(_ character: Character) -> Bool {
        skipSpace()
        guard at < bytes.count, bytes[at] == character.asciiValue else { return false }
        at += 1
        return true
    }

    mutating func value(depth: Int) -> JSON? {
        skipSpace()
        guard depth < 64, at < bytes.count else { return nil }
        if take("{") {
            var members: [(String, JSON)] = []
            if take("}") { return .object([]) }
            repeat {
                skipSpace()
                guard let name = string(), take(":"), let value = value(depth: depth + 1) else { return nil }
                members.append((name, value))
            } while take(",")
            return take("}") ? .object(members) : nil
        }
        if take("[") {
            var items: [JSON] = []
            if take("]") { return .array([]) }
            repeat {
                guard let value = value(depth: depth + 1) else { return nil }
                items.append(value)
            } while take(",")
            return take("]") ? .array(items) : nil
        }
        if bytes[at] == UInt8(ascii: "\"") { return string().map { .string($0) } }
        let start = at
        while at < bytes.count, ![0x20, 0x09, 0x0a, 0x0d, 0x2c, 0x5d, 0x7d].contains(bytes[at]) { at += 1 }
        let word = String(decoding: bytes[start..<at], as: UTF8.self)
        switch word {
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "null": return .null
        default: break
        }
        if let n = Int64(word) { return .integer(n) }
        if let n = UInt64(word) { return .unsigned(n) }
        guard let x = Double(word), x.isFinite else { return nil }
        let digits = word.split(separator: ".").dropFirst().first?.prefix { $0.isNumber }.count ?? 0
        return .decimal(x, digits: digits)
    }

    private mutating func string() -> String? {
        guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { return nil }
        at += 1
        var out: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: out, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard at < bytes.count else { return nil }
                let escape = bytes[at]
                at += 1
                switch escape {
                case UInt8(ascii: "n"): out.append(0x0a)
                case UInt8(ascii: "r"): out.append(0x0d)
                case UInt8(ascii: "t"): out.append(0x09)
                case UInt8(ascii: "b"): out.append(0x08)
                case UInt8(ascii: "f"): out.append(0x0c)
                case UInt8(ascii: "u"):
                    guard at + 4 <= bytes.count,
                        let code = UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16),
                        let scalar = Unicode.Scalar(code)
                    else { return nil }
                    at += 4
                    out.append(contentsOf: Array(String(Character(scalar)).utf8))
                default: out.append(escape)
                }
            default: out.append(byte)
            }
        }
        return nil
    }
}

/// `x` with `digits` decimal places, rounded half away from zero; the same on every machine. If that is more than a number can
/// hold, the shortest text that reads back as `x`.
public func fixed(_ x: Double, _ digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<min(digits, 400) { scale *= 10 }
    let n = (abs(x) * scale).rounded(.toNearestOrAwayFromZero)
    guard abs(x) < 1e15, n < 0x1p63 else { return "\(x)" }
    let whole = String(UInt64(n))
    let padded = String(repeating: "0", count: max(0, digits + 1 - whole.count)) + whole
    let sign = x < 0 && n > 0 ? "-" : ""
    if digits == 0 { return sign + padded }
    return sign + padded.dropLast(digits) + "." + padded.suffix(digits)
}

/// So many of something whose plural ends in s: `1 packet`, `2,000 packets`.
public func counted(_ n: UInt64, _ noun: String) -> String { "\(grouped(n)) \(noun)\(n == 1 ? "" : "s")" }

/// `n` in groups of three digits: `2,000,000`.
public func grouped(_ n: UInt64) -> String {
    let digits = String(n)
    var out = ""
    for (k, c) in digits.enumerated() {
        if k > 0, (digits.count - k) % 3 == 0 { out += "," }
        out.append(c)
    }
    return out
}
