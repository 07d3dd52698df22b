// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Foundation
import Testing

/// Every code that a user can meet is explained. Codes are texts, so the sources are read.
@Suite struct CaptureCodesTests {
    private static let sources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources")

    @Test func everyCodeIsExplained() throws {
        var used: Set<String> = []
        let folder = Self.sources.appending(path: "Capture")
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            + [Self.sources.appending(path: "Dataplane/Protocols/CaptureFormat.swift")]
        where !["CaptureCodes.swift", "FilterCompiler.swift"].contains(file.lastPathComponent) {
            let text = try String(contentsOf: file, encoding: .utf8)
            for match in text.matches(of: /"([a-z]+(?:_[a-z]+)+)"/) { used.insert(String(match.1)) }
            // Of what the file ends within, the code is made.
            for match in text.matches(of: /\.needs\([^"]*of: "([a-z]+)"/) { used.insert("truncated_\(match.1)") }
        }
        #expect(used.count > 20)
        #expect(used == Set(CaptureCodes.all), "\(used.symmetricDifference(CaptureCodes.all).sorted())")
        #expect(CaptureCodes.all.count == Set(CaptureCodes.all).count)
        for code in CaptureCodes.all { #expect(CaptureCodes.explain(code)?.hasPrefix("\(code)\n\n") == true) }
        #expect(CaptureCodes.explain("none") == nil)
    }
}
