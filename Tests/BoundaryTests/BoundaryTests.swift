// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// The build does not enforce which target may import which: an import that is not declared compiles when another target
/// brings it along. So the sources are read.
@Suite struct BoundaryTests {
    /// For each target the modules it may import. Arrows point down only. Foundation stays out of what runs packets.
    static let allowed: [String: Set<String>] = [
        "Dataplane": ["CLinux", "Glibc", "Synchronization"],
        "GraphFile": ["Dataplane", "CYAML"],
        "Capture": ["Dataplane", "CLinux", "CPcap", "CZlib", "Glibc", "Synchronization"],
        "Live": ["Dataplane", "CLinux", "CPcap", "Glibc"],
        "Control": ["Glibc", "Synchronization"],
        "Model": ["Dataplane", "Histogram"],
        "Placement": ["Model", "Dataplane"],
        "Reports": ["Placement", "Model", "Dataplane"],
        "Spillway": [
            "Reports", "Placement", "Model", "Capture", "Live", "Control", "GraphFile", "Dataplane", "CLinux", "Glibc",
            "Foundation", "Synchronization",
        ],
        "SpillwayCommand": ["Spillway", "Control", "ArgumentParser", "Glibc", "Synchronization"],
        "SpillwayTesting": ["Dataplane", "Capture", "Glibc"],
        "spillway": ["SpillwayCommand"],
        "Benchmarks": ["Spillway", "Glibc", "ArgumentParser"],
        // Runs at build time only.
        "catalog-tool": ["Foundation"],
    ]

    /// The folders of Dataplane, lowest first, and for each the others whose types it may name: only such as stand above it.
    static let folders: [(folder: String, mayName: Set<String>)] = [
        ("Packet", []),
        ("Records", ["Packet"]),
        ("Text", ["Packet", "Records"]),
        ("Flow", ["Packet", "Records"]),
        ("Protocols", ["Packet", "Flow"]),
        ("Core", ["Packet"]),
        ("Element", ["Packet", "Records", "Text", "Protocols", "Core"]),
        ("Elements", ["Packet", "Records", "Text", "Flow", "Protocols", "Core", "Element"]),
        ("Runtime", ["Packet", "Records", "Flow", "Core", "Element", "Elements"]),
        ("Executors", ["Packet", "Records", "Flow", "Core", "Element", "Elements", "Runtime"]),
    ]

    @Test func importsFollowTheArrows() throws {
        let files = try sources("Sources")
        #expect(files.count > 20)
        for (path, text) in files {
            let target = String(path.split(separator: "/")[1])
            let allowed = try #require(Self.allowed[target], "\(target) is no known target")
            for (line, module) in imports(in: text) where !allowed.contains(module) {
                Issue.record("\(path):\(line): \(target) must not import \(module)")
            }
        }
    }

    @Test func dataplaneFoldersNameOnlyWhatTheyMay() throws {
        var files: [String: [(path: String, text: String)]] = [:]
        for (path, text) in try sources("Sources/Dataplane") {
            files[String(path.split(separator: "/")[2]), default: []].append((path, code(of: text)))
        }
        #expect(files.keys.sorted() == Self.folders.map(\.folder).sorted(), "each folder has one place")
        for (k, (folder, mayName)) in Self.folders.enumerated() {
            let lower = Self.folders[..<k].map(\.folder)
            #expect(mayName.isSubset(of: lower), "\(folder)/ may name only what stands above it here")
            // A name that is also declared here, or nested in a type here, is not the one above.
            let own = Set((files[folder] ?? []).flatMap { declaredTypes(in: $0.text, nested: true) })
            var forbidden: [String: String] = [:]
            for other in files.keys where other != folder && !mayName.contains(other) {
                for (_, text) in files[other] ?? [] {
                    for name in declaredTypes(in: text, nested: false) where !own.contains(name) {
                        forbidden[name] = other
                    }
                }
            }
            for (path, text) in files[folder] ?? [] {
                for (number, line) in lines(text).enumerated() {
                    for word in words(line) where !word.isMember {
                        if let other = forbidden[word.text] {
                            Issue.record("\(path):\(number + 1): \(folder)/ must not know \(word.text) of \(other)/")
                        }
                    }
                }
            }
        }
    }

    /// The readers of source must find what they look for.
    @Test func theReadersFindWhatIsThere() {
        let text = """
            import A
            @testable import B
            public import struct C.D // import E
            @_exported import F
            // import G
            let s = "import H"
            public final class One: Two { struct Three {} }
            enum Four {
                typealias Five = Int
            }
            /* import I
            actor Six {} */
            func f() { _ = "\\"// class Seven" }
            protocol Eight {}
            """
        #expect(imports(in: text).map(\.module) == ["A", "B", "C", "F"])
        #expect(imports(in: text).map(\.line) == [1, 2, 3, 4])
        #expect(declaredTypes(in: code(of: text), nested: false) == ["One", "Four", "Eight"])
        #expect(declaredTypes(in: code(of: text), nested: true) == ["One", "Three", "Four", "Five", "Eight"])
    }

    // MARK: Reading sources

    private func imports(in text: String) -> [(line: Int, module: String)] {
        lines(code(of: text)).enumerated().compactMap { number, line in
            let words = words(line).map(\.text)
            guard let keyword = words.firstIndex(of: "import"), keyword + 1 < words.count else { return nil }
            // `import struct Module.Name` says what is imported first.
            let isKind = Self.declarations.contains(words[keyword + 1]) && keyword + 2 < words.count
            return (number + 1, words[keyword + (isKind ? 2 : 1)])
        }
    }

    private static let declarations: Set<String> = [
        "class", "struct", "enum", "protocol", "actor", "typealias", "func",
    ]

    /// The types a file declares; without `nested` only those that are in no other.
    private func declaredTypes(in code: String, nested: Bool) -> [String] {
        lines(code).flatMap { line -> [String] in
            // Files are formatted: what is nested is indented, or stands behind a brace.
            if !nested, line.first == UInt8(ascii: " ") { return [] }
            let words = words(line).map(\.text)
            if words.contains("import") { return [] }
            let names = zip(words, words.dropFirst()).filter { word, name in
                Self.declarations.contains(word) && name.first?.isUppercase == true
            }
            return names.prefix(nested ? .max : 1).map(\.1)
        }
    }

    private func lines(_ text: String) -> [Substring.UTF8View] {
        text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Substring($0).utf8 }
    }

    /// The identifiers of a line, and whether each stands behind a dot.
    private func words(_ line: Substring.UTF8View) -> [(text: String, isMember: Bool)] {
        var found: [(text: String, isMember: Bool)] = []
        var word: [UInt8] = []
        var isMember = false
        var last = UInt8(ascii: " ")
        for byte in line + [UInt8(ascii: " ")] {
            let isLetter = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            if isLetter || byte == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                if word.isEmpty { isMember = last == UInt8(ascii: ".") }
                word.append(byte)
            } else if !word.isEmpty {
                found.append((String(decoding: word, as: UTF8.self), isMember))
                word = []
            }
            last = byte
        }
        return found
    }

    /// `text` with comments and the contents of strings blanked out, lines kept. Reads string delimiters of one or three
    /// quotation marks; code inside interpolations is blanked out as well.
    private func code(of text: String) -> String {
        var out: [UInt8] = []
        let bytes = Array(text.utf8) + [0, 0]
        let count = bytes.count - 2
        let newline = UInt8(ascii: "\n")
        let quote = UInt8(ascii: "\"")
        let slash = UInt8(ascii: "/")
        let star = UInt8(ascii: "*")
        var i = 0
        while i < count {
            if bytes[i] == slash, bytes[i + 1] == slash {
                while i < count, bytes[i] != newline { i += 1 }
            } else if bytes[i] == slash, bytes[i + 1] == star {
                while i < count, bytes[i] != star || bytes[i + 1] != slash {
                    if bytes[i] == newline { out.append(newline) }
                    i += 1
                }
                i += 2
            } else if bytes[i] == quote {
                let width = bytes[i + 1] == quote && bytes[i + 2] == quote ? 3 : 1
                func isEnd(_ i: Int) -> Bool {
                    bytes[i] == quote && (width == 1 || bytes[i + 1] == quote && bytes[i + 2] == quote)
                }
                i += width
                while i < count, !isEnd(i), width == 3 || bytes[i] != newline {
                    if bytes[i] == newline { out.append(newline) }
                    i += bytes[i] == UInt8(ascii: "\\") && bytes[i + 1] != newline ? 2 : 1
                }
                if i < count, isEnd(i) { i += width }
                out += [quote, quote]
            } else {
                out.append(bytes[i])
                i += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

/// The root of the package.
let packageRoot = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// The Swift files below a folder of the package, sorted, with their path from the package's root.
func sources(_ folder: String) throws -> [(path: String, text: String)] {
    let files = FileManager.default.enumerator(atPath: packageRoot.appending(path: folder).path())
    var found: [(path: String, text: String)] = []
    while let file = files?.nextObject() as? String {
        guard file.hasSuffix(".swift") else { continue }
        let path = "\(folder)/\(file)"
        found.append((path, try String(contentsOf: packageRoot.appending(path: path), encoding: .utf8)))
    }
    return found.sorted { $0.path < $1.path }
}
