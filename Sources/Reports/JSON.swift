// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A JSON value whose members keep the order in which they were given, so that the same results give the same bytes.
public enum JSON: Sendable, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral {
    case object([(String, JSON)])
    case array([JSON])
    case string(String)
    case integer(Int64)
    case unsigned(UInt64)
    /// A number with a fixed count of digits behind the point, so that its text does not depend on its value.
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

    /// The text, with two spaces a level and a final newline.
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

/// `x` with `digits` digits behind the point, rounded half away from zero; the same on every machine.
public func fixed(_ x: Double, _ digits: Int) -> String {
    guard x.isFinite, abs(x) < 1e15 else { return "\(x)" }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let n = (abs(x) * scale).rounded(.toNearestOrAwayFromZero)
    let whole = String(UInt64(n))
    let padded = String(repeating: "0", count: max(0, digits + 1 - whole.count)) + whole
    let sign = x < 0 && n > 0 ? "-" : ""
    if digits == 0 { return sign + padded }
    return sign + padded.dropLast(digits) + "." + padded.suffix(digits)
}

/// `n` with a thin separation of thousands: `2 000 000`.
public func grouped(_ n: UInt64) -> String {
    let digits = String(n)
    var out = ""
    for (k, c) in digits.enumerated() {
        if k > 0, (digits.count - k) % 3 == 0 { out += " " }
        out.append(c)
    }
    return out
}
