// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Foundation
import Testing

@testable import GraphFile

/// For every code a file that has the problem, `Diagnostics/CODE.yaml`, and what is said about it, `CODE.txt`. Files that
/// others name are called `with_...`. With UPDATE_SNAPSHOTS set in the environment, the texts are written anew.
@Suite struct DiagnosticTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
        "Diagnostics"
    )

    private static func bytes(_ name: String) throws -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: folder.appendingPathComponent(name).path) else {
            throw NoSuchFile()
        }
        return [UInt8](data)
    }

    @Test(arguments: Diagnostic.allCodes)
    func everyCodeHasAnExampleThatFails(_ code: String) throws {
        var loader = GraphLoader(catalog: testCatalog, services: TestServices()) { try Self.bytes($0) }
        let text = String(decoding: try Self.bytes("\(code).yaml"), as: UTF8.self)
        if let match = text.firstMatch(of: /^# limits: (\w+)=(\d+)\n/), let n = Int(match.2) {
            switch match.1 {
            case "fileSize": loader.limits.fileSize = n
            case "depth": loader.limits.depth = n
            case "values": loader.limits.values = n
            case "compoundDepth": loader.limits.compoundDepth = n
            case "work": loader.limits.work = n
            case "elements": loader.limits.elements = n
            case "errors": loader.limits.errors = n
            default: Issue.record("no limit \(match.1)")
            }
        }
        let found = loader.check("\(code).yaml", profile: { _ in [] })
        #expect(found.contains { $0.code == code })
        let shown = found.map(\.rendered).joined()
        let snapshot = Self.folder.appendingPathComponent("\(code).txt")
        if ProcessInfo.processInfo.environment["UPDATE_SNAPSHOTS"] != nil {
            try Data(shown.utf8).write(to: snapshot)
        } else {
            #expect(shown == String(decoding: try Self.bytes("\(code).txt"), as: UTF8.self))
        }

        // What `explain` shows is in the file that fails.
        let explained = try #require(Diagnostic.explain(code))
        #expect(explained.hasPrefix("\(code)\n\n"))
        let lines = text.split(separator: "\n").map(String.init)
        for line in try #require(Code(rawValue: code)).explanation.example.split(separator: "\n") {
            #expect(lines.contains { $0.contains(line) }, "\(line)")
        }
    }

    @Test func thereIsNothingElseInTheFolder() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).filter {
            !$0.hasPrefix("with_")
        }
        #expect(Set(names) == Set(Diagnostic.allCodes.flatMap { ["\($0).yaml", "\($0).txt"] }))
        #expect(Diagnostic.explain("nothing") == nil)
    }
}
