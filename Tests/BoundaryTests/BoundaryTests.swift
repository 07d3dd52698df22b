// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// The build does not enforce which target may import which: an import that is not declared compiles when another target
/// brings it along. So the sources are read.
@Suite struct BoundaryTests {
    /// For each target the modules it may import. Arrows point down only.
    static let allowed: [String: Set<String>] = [
        "Dataplane": ["CLinux", "Glibc"],
        "GraphFile": ["Dataplane", "CYAML"],
        "Capture": ["Dataplane", "CPcap", "CZlib", "CLinux", "Glibc"],
        "Model": ["Dataplane", "Histogram"],
        "Placement": ["Model", "Dataplane"],
        "Reports": ["Placement", "Model", "GraphFile", "Dataplane", "Foundation"],
        "Spillway": [
            "Reports", "Placement", "Model", "Capture", "GraphFile", "Dataplane", "Foundation", "Glibc",
        ],
        "SpillwayCommand": ["Spillway", "ArgumentParser", "Foundation", "Glibc"],
        "spillway": ["SpillwayCommand"],
        // Runs at build time only.
        "catalog-tool": ["Foundation"],
    ]

    /// The folders of Dataplane, lowest first; those of one row do not know each other's rows above.
    static let folders: [(folder: String, mustNotName: [String])] = [
        ("Packet", ["Flow", "Protocols", "Element", "Elements", "Runtime"]),
        ("Flow", ["Element", "Elements", "Runtime"]),
        ("Protocols", ["Element", "Elements", "Runtime"]),
        ("Element", ["Elements", "Runtime"]),
        ("Elements", ["Runtime"]),
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

    @Test func dataplaneFoldersDoNotLookUp() throws {
        var files: [String: [(path: String, text: String)]] = [:]
        for (path, text) in try sources("Sources/Dataplane") {
            files[String(path.split(separator: "/")[2]), default: []].append((path, code(of: text)))
        }
        #expect(Set(files.keys).isSubset(of: Set(Self.folders.map(\.folder) + ["Runtime"])), "a folder without a place")
        for (folder, upper) in Self.folders {
            // A name that is also declared here, or nested in a type here, is not the one above.
            let own = Set((files[folder] ?? []).flatMap { declaredTypes(in: $0.text, nested: true) })
            var forbidden: [String: String] = [:]
            for above in upper {
                for (_, text) in files[above] ?? [] {
                    for name in declaredTypes(in: text, nested: false) where !own.contains(name) { forbidden[name] = above }
                }
            }
            for (path, text) in files[folder] ?? [] {
                for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                    for word in line.matches(of: /(?<dot>\.)?\b(?<name>[A-Z][A-Za-z0-9_]*)\b/) where word.dot == nil {
                        if let above = forbidden[String(word.name)] {
                            Issue.record("\(path):\(number + 1): \(folder)/ must not know \(word.name) of \(above)/")
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

    /// The Swift files below a folder of the package, sorted, with their path from the package's root.
    private func sources(_ folder: String) throws -> [(path: String, text: String)] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let files = FileManager.default.enumerator(atPath: root.appending(path: folder).path())
        var found: [(path: String, text: String)] = []
        while let file = files?.nextObject() as? String {
            guard file.hasSuffix(".swift") else { continue }
            let path = "\(folder)/\(file)"
            found.append((path, try String(contentsOf: root.appending(path: path), encoding: .utf8)))
        }
        return found.sorted { $0.path < $1.path }
    }

    private func imports(in text: String) -> [(line: Int, module: String)] {
        code(of: text).split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { number, line in
            let pattern = /^\s*(?:@\w+(?:\(\w+\))?\s+)*(?:\w+\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(?<module>\w+)/
            return line.firstMatch(of: pattern).map { (number + 1, String($0.module)) }
        }
    }

    /// The types a file declares; without `nested` only those that are in no other.
    private func declaredTypes(in code: String, nested: Bool) -> [String] {
        code.split(separator: "\n").flatMap { line -> [String] in
            let pattern = /\b(?:class|struct|enum|protocol|actor|typealias)\s+(?<name>[A-Z]\w*)/
            let matches = line.matches(of: pattern)
            if nested { return matches.map { String($0.name) } }
            // Files are formatted: what is nested is indented, or stands behind a brace.
            return line.first?.isWhitespace == true ? [] : matches.prefix(1).map { String($0.name) }
        }
    }

    /// `text` with comments and the contents of strings blanked out, lines kept. Reads string delimiters of one to three
    /// quotation marks; code inside interpolations is blanked out as well.
    private func code(of text: String) -> String {
        var out: [UInt8] = []
        let bytes = Array(text.utf8)
        let newline = UInt8(ascii: "\n")
        let quote = UInt8(ascii: "\"")
        var i = 0
        func at(_ text: String) -> Bool { bytes[i...].starts(with: text.utf8) }
        while i < bytes.count {
            if at("//") {
                while i < bytes.count, bytes[i] != newline { i += 1 }
            } else if at("/*") {
                while i < bytes.count, !at("*/") {
                    if bytes[i] == newline { out.append(newline) }
                    i += 1
                }
                i += 2
            } else if bytes[i] == quote {
                let width = at("\"\"\"") ? 3 : 1
                let end = String(repeating: "\"", count: width)
                i += width
                while i < bytes.count, !at(end), width == 3 || bytes[i] != newline {
                    if bytes[i] == newline { out.append(newline) }
                    i += bytes[i] == UInt8(ascii: "\\") ? 2 : 1
                }
                i += i < bytes.count && bytes[i] == newline ? 0 : width
                out += [quote, quote]
            } else {
                out.append(bytes[i])
                i += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
