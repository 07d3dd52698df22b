// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

/// What is public says what it means. The compiler does not ask for it, so the sources are read.
@Suite struct DocCommentTests {
    /// What every element type declares; ``ElementType`` says what each means.
    static let declared: Set<String> = [
        "summary", "category", "depends", "sides", "inputs", "outputs", "parameters", "handlers", "operations",
        "stateBytesPerFlow", "slowOutput", "flowCapacity", "heldItems", "shortestTimer", "examples", "Config", "Drop",
    ]
    /// What protocols ask for, and say themselves: those of the standard library, ByteSink, PacketDestination, Services,
    /// RunObserver.
    static let required: Set<String> = [
        "description", "rawValue", "write", "flush", "close", "openSink", "readFile", "compileFilter", "moved",
        "processed",
    ]

    @Test func publicDeclarationsAreDocumented() throws {
        for (path, text) in try sources("Sources") {
            for line in undocumented(in: text) { Issue.record("\(path):\(line): a public declaration without '///'") }
        }
    }

    @Test func whatLacksWordsIsFound() {
        let text = """
            public struct A {
                /// Said.
                public var b = 1
                public private(set) var c = 2
                @inlinable @inline(__always)
                package func d(_ e: Int) -> Int { e }
                /// Said.
                @inlinable
                public func f() {}
                public override func g() {}
                public static let summary = ""
                public let summary: String
                public var description: String { "" }
                public enum Drop: Int, DropReason {
                    public var about: String {
                }
                public var about: String
                public init() {}
                public init(_ config: Config, _: Setup) { super.init() }
                public init(b: Int) {
                    self.b = b
                }
                public init(
                    c: Int
                ) {
                    self.c = c + 1
                }
                public static func == (a: A, b: A) -> Bool { true }
                func open() { let open = 1 }
            }
            """
        #expect(undocumented(in: text) == [1, 4, 6, 12, 17, 23])
    }

    /// The numbers of lines with a public declaration that has no doc comment and needs one.
    private func undocumented(in text: String) -> [Int] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        // Attributes, modifiers, a keyword, the rest.
        let declaration =
            #/
            \ * (?: @\w+ (?: \([^)]*\) )? \  )*
            ( (?: \w+ (?: \(set\) )? \  )*? )
            ( func | var | let | struct | class | enum | protocol | actor | typealias | subscript | init ) \b
            (.*)
            /#
        return lines.indices.filter { number in
            guard let match = lines[number].wholeMatch(of: declaration) else { return false }
            let modifiers = match.1.split(separator: " ")
            guard !modifiers.contains("override"),
                modifiers.contains(where: { ["public", "package", "open"].contains($0) })
            else { return false }
            let rest = match.3
            let name = String(rest.drop { $0 == " " }.prefix { $0.isLetter || $0.isNumber || $0 == "_" })
            switch match.2 {
            case "init":
                if rest.hasPrefix("()") || rest.contains("Config, _") || rest.contains("Literal value:") {
                    return false
                }
                if isMemberwise(lines[number...]) { return false }
            case "struct", "enum", "typealias":
                if lines[number].hasPrefix(" "), Self.declared.contains(name) { return false }
            default:
                if modifiers.contains("static"), Self.declared.contains(name) || name.isEmpty { return false }
                // A drop reason's phrase is computed; a property is stored.
                if Self.required.contains(name) || name == "about" && rest.contains("{") { return false }
            }
            let above = lines[..<number].last { !$0.drop { $0 == " " }.hasPrefix("@") }
            return above?.drop { $0 == " " }.hasPrefix("///") != true
        }.map { $0 + 1 }
    }

    /// An initializer that only gives each property its value: the properties have their words.
    private func isMemberwise(_ lines: ArraySlice<Substring>) -> Bool {
        guard let first = lines.first, let open = lines.firstIndex(where: { $0.hasSuffix("{") || $0.hasSuffix("}") })
        else { return false }
        let assignment = /\ *self\.(\w+) = (\w+)/
        var body = lines[(open + 1)...].prefix { $0 != first.prefix { $0 == " " } + "}" }
        if lines[open].hasSuffix("}") {
            body = [lines[open].drop { $0 != "{" }.dropFirst().dropLast()]
        }
        return body.allSatisfy { line in
            guard let match = line.prefixMatch(of: assignment) else { return false }
            return match.1 == match.2 && line[match.range.upperBound...].allSatisfy { $0 == " " }
        }
    }
}
