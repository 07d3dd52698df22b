// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation

// catalog-tool OUTPUT FILE...: writes OUTPUT, a Swift file with a catalog of the element classes declared in the files,
// each with the words of its doc comment, so that those are written once.
let arguments = CommandLine.arguments.dropFirst()
guard let output = arguments.first else {
    FileHandle.standardError.write(Data("usage: catalog-tool OUTPUT FILE...\n".utf8))
    exit(64)
}
do {
    var found: [(name: String, documentation: [String])] = []
    for path in arguments.dropFirst().sorted() {
        var comment: [String] = []
        for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("///") {
                comment.append(String(line.dropFirst(line.hasPrefix("/// ") ? 4 : 3)))
                continue
            }
            if let match = line.firstMatch(of: /^public final class (\w+): Element\b/) {
                found.append((String(match.1), comment))
            }
            if !line.hasPrefix("@") { comment = [] }
        }
    }
    var text = """
        // Generated from the element files; do not edit.

        extension Catalog {
            /// The elements that come with Spillway, by name.
            public static let standard = Catalog([

        """
    for (name, documentation) in found.sorted(by: { $0.name < $1.name }) {
        text += "        ElementDescriptor(\n            \(name).self,\n            documentation: ##\"\"\"\n"
        for line in documentation { text += line.isEmpty ? "\n" : "                \(line)\n" }
        text += "                \"\"\"##\n        ),\n"
    }
    text += "    ])\n}\n"
    try text.write(toFile: output, atomically: true, encoding: .utf8)
} catch {
    FileHandle.standardError.write(Data("catalog-tool: \(error)\n".utf8))
    exit(1)
}
