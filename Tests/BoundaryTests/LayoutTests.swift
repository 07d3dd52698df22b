// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Tests are where their sources are: `Sources/X/Folder/Y.swift` is tested by `Tests/XTests/Folder/YTests.swift`, or by the files
/// of the folder `Tests/XTests/Folder/Y` where that would be too long; a whole folder by `Tests/XTests/FolderTests.swift`.
@Suite struct LayoutTests {
    /// Test targets that test no target, with what they test.
    static let otherTargets = [
        "BoundaryTests": "the sources as text",
        "DocumentationTests": "the documents",
        "FuzzTests": "what reads bytes from outside",
    ]
    /// Files of tests of several sources, and folders of such.
    static let topics = [
        "DataplaneTests/Elements/LawTests.swift": "every element of the catalog",
        "SpillwayCommandTests/CommandTests.swift": "the program, from outside",
        "SpillwayCommandTests/OutputTests.swift": "the program, from outside",
        "LiveTests/": "interfaces, with the kernel on both sides",
        "SpillwayTests/EndToEnd/": "whole graphs",
    ]

    @Test func testsAreWhereTheirSourcesAre() throws {
        let tests = try sources("Tests").map { String($0.path.dropFirst("Tests/".count)) }
        let all = Set(
            try sources("Sources").map { String($0.path.dropFirst("Sources/".count).dropLast(".swift".count)) }
        )
        #expect(Self.misplaced(tests, sources: all) == [])
        for topic in Self.topics.keys { #expect(tests.contains { $0.hasPrefix(topic) }, "there is no \(topic)") }
        let targets = Set(tests.map { String($0.prefix { $0 != "/" }) })
        for target in Self.otherTargets.keys { #expect(targets.contains(target), "there is no \(target)") }
    }

    @Test func whatIsMisplacedIsFound() {
        let sources: Set = ["One/A", "One/Folder/B", "Two/C"]
        let right = ["OneTests/ATests.swift", "OneTests/Folder/BTests.swift", "OneTests/Folder/B/LongTests.swift"]
        #expect(Self.misplaced(right + ["OneTests/FolderTests.swift", "OneTests/Help.swift"], sources: sources) == [])
        let wrong = [
            "OneTests/BTests.swift", "OneTests/CTests.swift", "OneTests/Folder/ATests.swift",
            "OneTests/Fold/BTests.swift",
            "OneTests/Folder/SomeTests.swift", "ThreeTests/ATests.swift",
        ]
        #expect(Self.misplaced(wrong, sources: sources) == wrong)
    }

    /// The files with tests that are not where their source is.
    private static func misplaced(_ tests: [String], sources: Set<String>) -> [String] {
        tests.filter { path in
            guard path.hasSuffix("Tests.swift"), !topics.keys.contains(where: { path.hasPrefix($0) }) else {
                return false
            }
            let parts = path.split(separator: "/").map(String.init)
            if otherTargets[parts[0]] != nil { return false }
            let folder = [String(parts[0].dropLast("Tests".count))] + parts.dropFirst().dropLast()
            let place = folder.joined(separator: "/")
            let tested = place + "/" + parts.last!.dropLast("Tests.swift".count)
            return !sources.contains(tested) && !sources.contains(place)
                && !sources.contains { $0.hasPrefix(tested + "/") }
        }
    }

    /// A run says how many tests it left out because the captures of other projects are not there.
    @Test func whatIsLeftOutIsTold() throws {
        let shared = ProcessInfo.processInfo.environment["SPILLWAY_SHARED"] ?? "\(packageRoot.path())/../shared"
        let count = try sources("Tests").reduce(0) { $0 + testsThatNeedShared(in: $1.text) }
        #expect(count > 15)
        if !FileManager.default.fileExists(atPath: shared + "/captures/oracle") {
            print("skipped: \(count) tests need captures of other projects in ../shared (CONTRIBUTING.md, Tests)")
        }
    }

    @Test func testsThatNeedCapturesAreCounted() {
        let condition = ".enabled(if: Shared.is" + "There)"
        let text = """
            @Suite(\(condition)) struct A {
                @Test func one() {}
                @Test(arguments: [1]) func two() {}
            }
            @Suite struct B {
                @Test func three() {}
                @Test(\(condition)) func four() {}
                @Test(
                    \(condition),
                    arguments: [1]
                ) func five() {}
            }
            """
        #expect(testsThatNeedShared(in: text) == 4)
    }

    /// How many tests a file has that need those captures: the attribute of each, or of its suite, says so.
    private func testsThatNeedShared(in text: String) -> Int {
        var suite = false
        var count = 0
        for match in text.matches(of: /(?m)^( *)@(Suite|Test)\b[^{]*/) {
            let needs = match.output.0.contains(".enabled(if: Shared.is" + "There)")
            if match.output.2 == "Suite" { suite = needs } else if suite || needs { count += 1 }
        }
        return count
    }
}
