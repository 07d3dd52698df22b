// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A small seeded generator (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// Writes random YAML in as many manners as authors have. Not all of it is valid; most is.
struct YAMLGenerator {
    var random: Seeded
    var out = ""
    /// Comments written so far; each is `# cN.` with its number.
    var comments = 0

    init(seed: UInt64) { random = Seeded(state: seed) }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    mutating func pick<T>(_ items: [T]) -> T { items[Int.random(in: 0..<items.count, using: &random)] }

    static func document(seed: UInt64) -> String {
        var generator = YAMLGenerator(seed: seed)
        return generator.document()
    }

    mutating func document() -> String {
        if chance(10) { out += "---\n" }
        gap(indent: 0)
        mapping(indent: 0, depth: 0, onLine: true)
        gap(indent: 0)
        if chance(10) { while out.last == "\n" { out.removeLast() } }
        return chance(25) ? out.replacing("\n", with: "\r\n") : out
    }

    mutating func word() -> String {
        pick(["a", "sort", "known_2", "FlowTable", "x.y", "10", "true", "é", "日本", "a-b", "9:9"])
    }

    /// Blank lines and comments, anywhere.
    mutating func gap(indent: Int) {
        while chance(25) {
            if chance(50) {
                out += pick(["\n", "   \n", "\n\n\n"])
            } else {
                let column = chance(60) ? indent : Int.random(in: 0...8, using: &random)
                out += String(repeating: " ", count: column)
                comment()
                out += "\n"
            }
        }
    }

    mutating func comment() {
        out += "# c\(comments).\(pick(["", "  ", " -> x", " 'quoted", " {a: ["]))"
        comments += 1
    }

    mutating func endLine() {
        if chance(20) {
            out += pick([" ", "     "])
            comment()
        } else if chance(15) {
            out += "  "
        }
        out += "\n"
    }

    mutating func mapping(indent: Int, depth: Int, onLine: Bool) {
        let keys = ["chains", "elements", "about", "k1", "k 2", "\"q\"", "'r'"].shuffled(using: &random)
        for (n, key) in keys.prefix(Int.random(in: 1...4, using: &random)).enumerated() {
            if n > 0 { gap(indent: indent) }
            if n > 0 || onLine { out += String(repeating: " ", count: indent) }
            out += key + pick([":", ":", ":", " :"])
            if key == "chains", chance(70) { chains(indent: indent) } else { value(indent: indent, depth: depth) }
        }
    }

    mutating func chains(indent: Int) {
        endLine()
        let column = indent + pick([0, 1, 2, 4])
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            gap(indent: column)
            out += String(repeating: " ", count: column) + "-" + pick([" ", "   "])
            let arrow = pick([" -> ", "->", "  ->   ", " ->", "\n" + String(repeating: " ", count: column + 3) + "-> "])
            switch pick([0, 0, 0, 1, 2, 3]) {
            case 0: out += ["wire.rx", "IPCheck", word()].joined(separator: arrow)
            case 1: out += "\"" + ["wire.rx", "IPCheck"].joined(separator: arrow) + "\""
            case 2: out += "'" + ["wire.rx", "IPCheck", "b"].joined(separator: arrow) + "'"
            default:
                let inside = String(repeating: " ", count: column + pick([1, 2, 5]))
                out += pick([">", "|", ">-", "|+"]) + "\n\(inside)wire.rx  ->\n\(inside)IPCheck->b"
            }
            endLine()
        }
    }

    mutating func sequence(indent: Int, depth: Int, onLine: Bool) {
        for n in 0..<Int.random(in: 1...3, using: &random) {
            if n > 0 { gap(indent: indent) }
            if n > 0 || onLine { out += String(repeating: " ", count: indent) }
            out += "-"
            let spaces = pick([1, 1, 3])
            if depth < 4, chance(30) {
                out += String(repeating: " ", count: spaces)
                if chance(60) {
                    mapping(indent: indent + 1 + spaces, depth: depth + 1, onLine: false)
                } else {
                    sequence(indent: indent + 1 + spaces, depth: depth + 1, onLine: false)
                }
            } else {
                value(indent: indent, depth: depth, inSequence: true)
            }
        }
    }

    mutating func value(indent: Int, depth: Int, inSequence: Bool = false) {
        let inner = indent + pick([1, 2, 2, 3, 4, 8])
        let pad = String(repeating: " ", count: inner)
        switch Int.random(in: 0..<12, using: &random) {
        case 0 where depth < 4:
            endLine()
            gap(indent: inner)
            mapping(indent: inner, depth: depth + 1, onLine: true)
        case 1 where depth < 4, 2 where depth < 4:
            endLine()
            let column = !inSequence && chance(40) ? indent : inner
            gap(indent: column)
            sequence(indent: column, depth: depth + 1, onLine: true)
        case 3:
            let width = pick(["", "", "", String(inner - indent)])
            out += " " + pick(["|", ">"]) + width + pick(["", "-", "+"])
            if chance(20) {
                out += " "
                comment()
            }
            out += "\n"
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                out += pick([
                    "\(pad)text # no comment\n", "\(pad)text\n", "\n", "\(pad)key: [x  \n", "\(pad)- a -> b\n",
                ])
            }
        case 4:
            out += " plain -> text\n\(pad)over  lines   \n\n\(pad)  and on"
            endLine()
        case 5:
            out += " \"double \\\n\(pad)  \\ quoted \\\"# no\n\n\(pad)end\\\\\""
            endLine()
        case 6:
            out += " 'single ''\n\(pad)# no comment'"
            endLine()
        case 7, 8:
            out += " "
            flow(pad: pad, depth: 0)
            endLine()
        case 9: endLine()
        case 10:
            out += pick([" ", "   "]) + "!t &a" + String(comments) + " " + word()
            endLine()
        default:
            out += pick([" ", "    "]) + word()
            endLine()
        }
    }

    mutating func flow(pad: String, depth: Int) {
        let isMap = chance(50)
        out += isMap ? "{" : "["
        for n in 0..<Int.random(in: 0...3, using: &random) {
            if n > 0 { out += "," }
            flowBreak(pad)
            if isMap { out += pick(["p", "q", "'r'"]) + String(n) + ": " }
            if depth < 3, chance(30) {
                flow(pad: pad, depth: depth + 1)
            } else {
                out += pick(["1", "\"two\"", "three 3", "a->b"])
            }
        }
        flowBreak(pad)
        out += isMap ? "}" : "]"
    }

    mutating func flowBreak(_ pad: String) {
        guard chance(30) else {
            out += pick(["", " ", "  "])
            return
        }
        if chance(30) {
            out += " "
            comment()
        }
        out += "\n"
        if chance(20) {
            out += pad
            comment()
            out += "\n\n"
        }
        out += pad
    }
}
