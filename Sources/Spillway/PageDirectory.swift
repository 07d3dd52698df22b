// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Reports

/// The pages of element types in a directory.
extension ElementPages {
    /// Writes all pages to a directory, creating it if necessary, and removes generated pages of element types that no longer
    /// exist. Returns the files that changed. Throws a ``Files/Failure``.
    @discardableResult
    public static func write(_ catalog: Catalog, to directory: String) throws -> [String] {
        try Files.makeDirectory(directory)
        var changed: [String] = []
        for (file, text) in pages(catalog) where read(directory, file) != text {
            try Files.write(text, to: path(directory, file))
            changed.append(file)
        }
        for file in stale(catalog, directory) {
            try Files.remove(path(directory, file))
            changed.append(file)
        }
        return changed
    }

    /// The differences between a directory and the pages that would be written there, one per line; empty if there are none.
    public static func check(_ catalog: Catalog, _ directory: String) -> [String] {
        var differences: [String] = []
        for (file, text) in pages(catalog) {
            guard let found = read(directory, file) else {
                differences.append("\(file): missing")
                continue
            }
            if found == text { continue }
            let (old, new) = (lines(found), lines(text))
            let line = zip(old, new).enumerated().first { $1.0 != $1.1 }?.offset ?? min(old.count, new.count)
            differences.append("\(file):\(line + 1): differs from what the element declares")
        }
        return differences + stale(catalog, directory).map { "\($0): there is no such element" }
    }

    private static func path(_ directory: String, _ file: String) -> String {
        directory.hasSuffix("/") ? directory + file : "\(directory)/\(file)"
    }

    private static func read(_ directory: String, _ file: String) -> String? {
        (try? Files.read(path(directory, file))).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Generated pages of element types that do not exist.
    private static func stale(_ catalog: Catalog, _ directory: String) -> [String] {
        let known = Set(pages(catalog).map(\.file))
        return ((try? Files.list(directory)) ?? []).filter {
            $0.hasSuffix(".md") && !known.contains($0) && read(directory, $0)?.hasPrefix(notice) == true
        }
    }

    private static func lines(_ text: String) -> [Substring] {
        text.split(separator: "\n", omittingEmptySubsequences: false)
    }
}
