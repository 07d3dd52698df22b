// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation

// catalog-tool elements|own|profiles OUTPUT FILE...
//   elements: a catalog of the element classes declared in the files, each with the words of its doc comment, so that those
//             are written once.
//   own:      the same for a module of another package, whose classes need not be public.
//   profiles: the text of each file under its name.

/// Swift source for a string, as a raw literal over several lines.
func literal(_ lines: [Substring], indent: String) -> String {
    lines.reduce("##\"\"\"\n") { $0 + ($1.isEmpty ? "\n" : "\(indent)\($1)\n") } + "\(indent)\"\"\"##"
}

func elements(_ paths: [String], isOwn: Bool) throws -> String {
    var found: [(name: String, documentation: [Substring])] = []
    for path in paths {
        var comment: [Substring] = []
        for line in try String(contentsOfFile: path, encoding: .utf8).split(
            separator: "\n",
            omittingEmptySubsequences: false
        ) {
            if line.hasPrefix("///") {
                comment.append(line.dropFirst(line.hasPrefix("/// ") ? 4 : 3))
                continue
            }
            if let match = line.firstMatch(of: /^(public |package |internal )?final class (\w+): Element\b/),
                isOwn || match.1 == "public "
            {
                found.append((String(match.2), comment))
            }
            if !line.hasPrefix("@") { comment = [] }
        }
    }
    var text =
        isOwn
        ? """
        import Spillway

        extension Catalog {
            /// The elements that this module declares, by name, with the words of their doc comments.
            static let own = Catalog([

        """
        : """
        extension Catalog {
            /// The elements that come with Spillway, by name.
            public static let standard = Catalog([

        """
    for (name, documentation) in found.sorted(by: { $0.name < $1.name }) {
        let words = literal(documentation, indent: "                ")
        text +=
            "        ElementDescriptor(\n            \(name).self,\n            documentation: \(words)\n        ),\n"
    }
    return text + "    ])\n}\n"
}

func profiles(_ paths: [String]) throws -> String {
    var text = """
        /// The device profiles that come with Spillway: name and text.
        let shippedProfiles: [(name: String, text: String)] = [

        """
    for path in paths {
        let name = URL(filePath: path).deletingPathExtension().lastPathComponent
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(
            separator: "\n",
            omittingEmptySubsequences: false
        )
        text += "    (\n        \"\(name)\",\n        \(literal(lines, indent: "        "))\n    ),\n"
    }
    return text + "]\n"
}

do {
    let arguments = Array(CommandLine.arguments.dropFirst())
    guard arguments.count >= 2, ["elements", "own", "profiles"].contains(arguments[0]) else {
        throw CocoaError(
            .featureUnsupported,
            userInfo: [NSLocalizedDescriptionKey: "elements|own|profiles OUTPUT FILE..."]
        )
    }
    let paths = arguments.dropFirst(2).sorted()
    let body = arguments[0] == "profiles" ? try profiles(paths) : try elements(paths, isOwn: arguments[0] == "own")
    try ("// Generated; do not edit.\n\n" + body).write(toFile: arguments[1], atomically: true, encoding: .utf8)
} catch {
    FileHandle.standardError.write(Data("catalog-tool: \(error.localizedDescription)\n".utf8))
    exit(1)
}
