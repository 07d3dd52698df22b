// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The reason no graph can be written from a chain.
public struct NewGraphError: Error, Sendable, CustomStringConvertible {
    /// A sentence without capital or full stop.
    public var message: String
    /// A suggestion of what may have been meant.
    public var suggestion: String?

    public var description: String { message + (suggestion.map { "; did you mean '\($0)'?" } ?? "") }
}

/// Writes a first graph file from a chain such as `wire.rx -> IPCheck -> Counter -> Discard`.
public enum NewGraph {
    /// A complete, commented graph file with every parameter at its default.
    ///
    /// A hop is an element type, or a name that implies its type: `counter` is a Counter, and anything with the ports `rx` or
    /// `tx` is a Wire. Several chains are separated by `;` or line breaks. Required outputs that are not connected lead to a
    /// Discard; required parameters get an example value to replace.
    public static func text(_ chain: String, catalog: Catalog) throws(NewGraphError) -> String {
        var draft = Draft(catalog)
        for chain in chain.split(whereSeparator: { $0 == ";" || $0.isNewline }) where !chain.allSatisfy(\.isWhitespace)
        {
            try draft.add(chain: String(chain))
        }
        if draft.nodes.isEmpty { throw NewGraphError(message: "the chain is empty") }
        return try draft.write()
    }
}

/// A graph under construction, from chains to a file.
private struct Draft {
    struct Node {
        var name: String
        var type: ElementDescriptor
        /// The name was in the chain; otherwise it is generated, or `Type@1`.
        var isNamed: Bool
        var configured: ConfiguredElement?
        var usedInputs: Set<String> = []
        var usedOutputs: Set<String> = []
    }
    struct Hop {
        var node: Int
        var port: String?
    }

    let catalog: Catalog
    var nodes: [Node] = []
    var chains: [[Hop]] = []

    init(_ catalog: Catalog) { self.catalog = catalog }

    mutating func add(chain: String) throws(NewGraphError) {
        var texts: [String] = []
        var rest = chain[...]
        while let arrow = rest.firstRange(of: "->") {
            texts.append(trimmed(rest[..<arrow.lowerBound]))
            rest = rest[arrow.upperBound...]
        }
        texts.append(trimmed(rest))
        if texts.count < 2 {
            throw NewGraphError(message: "'\(texts[0])' is no chain: two elements need '->' between them")
        }
        var hops: [Hop] = []
        for text in texts {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            guard (1...2).contains(parts.count), parts.allSatisfy(isWord) else {
                throw NewGraphError(message: "'\(text)' is not an element, or an element and a port")
            }
            hops.append(
                Hop(node: try node(parts[0], port: parts.count > 1 ? parts[1] : nil), port: parts.dropFirst().first)
            )
        }
        chains.append(hops)
    }

    /// The node of a hop: a new one for a type, the same one for the same name.
    private mutating func node(_ text: String, port: String?) throws(NewGraphError) -> Int {
        if let type = catalog[text] {
            nodes.append(Node(name: type.name, type: type, isNamed: false))
            return nodes.count - 1
        }
        if let known = nodes.firstIndex(where: { $0.isNamed && $0.name == text }) { return known }
        let named = catalog.types.first { $0.name.lowercased() == text.lowercased() || snakeCase($0.name) == text }
        guard let type = named ?? (port == "rx" || port == "tx" ? catalog["Wire"] : nil) else {
            throw NewGraphError(
                message: "there is no element type '\(text)'",
                suggestion: nearest(to: text, among: catalog.types.map(\.name))
            )
        }
        nodes.append(Node(name: text, type: type, isNamed: true))
        return nodes.count - 1
    }

    // MARK: Ports

    /// Configures the elements and determines which ports the chains use.
    private mutating func connect() throws(NewGraphError) {
        for n in nodes.indices {
            let configured = nodes[n].type.configure(examples(n).map { ($0.name, 0, $0.value) }, at: 0)
            guard let element = configured.element else {
                let message = configured.errors.map(\.message).joined(separator: "; ")
                throw NewGraphError(message: "\(nodes[n].type.name) cannot be made with its defaults: \(message)")
            }
            nodes[n].configured = element
        }
        for hops in chains {
            for (i, hop) in hops.enumerated() {
                let element = nodes[hop.node].configured!
                let name = nodes[hop.node].name
                let inputs = element.inputs.map(\.name)
                let outputs = element.outputs.map(\.name)
                let isInput =
                    i == hops.count - 1
                    || i > 0 && hop.port.map { inputs.contains($0) || !outputs.contains($0) } == true
                if i > 0 {
                    guard let port = isInput ? hop.port ?? inputs.first : inputs.first, inputs.contains(port) else {
                        throw noPort(hop.port, name, "input", inputs)
                    }
                    nodes[hop.node].usedInputs.insert(port)
                }
                if i < hops.count - 1 {
                    guard let port = isInput ? outputs.first : hop.port ?? outputs.first, outputs.contains(port) else {
                        throw noPort(isInput ? nil : hop.port, name, "output", outputs)
                    }
                    guard nodes[hop.node].usedOutputs.insert(port).inserted else {
                        throw NewGraphError(message: "'\(name).\(port)' leads to two places; a copy needs a Tee")
                    }
                }
            }
        }
    }

    private func noPort(_ port: String?, _ name: String, _ what: String, _ ports: [String]) -> NewGraphError {
        NewGraphError(
            message: port.map { "'\(name)' has no port '\($0)'" } ?? "'\(name)' has no \(what)",
            suggestion: port.flatMap { nearest(to: $0, among: ports) }.map { "\(name).\($0)" }
        )
    }

    /// Example values for the required parameters.
    private func examples(_ n: Int) -> [(name: String, value: Value)] {
        nodes[n].type.parameters.filter { $0.defaultText == nil }.map { parameter in
            switch parameter.type {
            case .integer(let range): (parameter.name, .scalar(String(range.lowerBound), 0))
            case .boolean: (parameter.name, .scalar("true", 0))
            case .string: (parameter.name, .scalar(parameter.name, 0))
            case .choice(let words): (parameter.name, .scalar(words.first ?? "", 0))
            case .choices(let words): (parameter.name, .list(words.prefix(1).map { .scalar($0, 0) }, 0))
            case .duration(let range): (parameter.name, .scalar(Quantity.duration(range.lowerBound), 0))
            case .size(let range): (parameter.name, .scalar(Quantity.size(range.lowerBound), 0))
            case .rate: (parameter.name, .scalar("1 Mpps", 0))
            case .probability: (parameter.name, .scalar("0", 0))
            case .strings: (parameter.name, .list([.scalar(parameter.name, 0)], 0))
            case .filters:
                // The ports named in the chains must be the filters' names.
                (parameter.name, .map(filterNames(n).map { ($0, 0, .scalar("ip or ip6", 0)) }, 0))
            case .labels: (parameter.name, .map([], 0))
            case .ethernet: (parameter.name, .scalar("02:00:00:00:00:01", 0))
            case .prefixes(let versions):
                // Of documentation (RFC 5737, RFC 3849), as in the tutorial.
                (parameter.name, .list(versions.map { .scalar($0 == 4 ? "192.0.2.1" : "2001:db8::1", 0) }, 0))
            }
        }
    }

    private func filterNames(_ n: Int) -> [String] {
        let fixed = nodes[n].type.defaultInputs.map(\.name) + nodes[n].type.defaultOutputs.map(\.name)
        var names: [String] = []
        for hop in chains.joined() where hop.node == n {
            if let port = hop.port, !fixed.contains(port), !names.contains(port) { names.append(port) }
        }
        return names.isEmpty ? ["match"] : names
    }

    // MARK: Writing

    mutating func write() throws(NewGraphError) -> String {
        try connect()
        let openOutputs = nodes.map { node in
            node.configured!.outputs.filter { !$0.optional && !node.usedOutputs.contains($0.name) }.map(\.name)
        }
        let openInputs = nodes.map { node in
            node.configured!.inputs.filter { !$0.optional && !node.usedInputs.contains($0.name) }.map(\.name)
        }
        // Nodes that need a name get one; the others stay bare types.
        var anonymous: [String: Int] = [:]
        var isDeclared: [Bool] = []
        for n in nodes.indices {
            let type = nodes[n].type
            let needsName = nodes[n].isNamed || type.name == "Wire" || !type.parameters.isEmpty
            isDeclared.append(needsName || !openOutputs[n].isEmpty || !openInputs[n].isEmpty)
            if nodes[n].isNamed { continue }
            if isDeclared[n] {
                nodes[n].name = freeName(snakeCase(type.name))
            } else {
                anonymous[type.name, default: 0] += 1
                nodes[n].name = "\(type.name)@\(anonymous[type.name]!)"
            }
        }

        var out = """
            # For completion and checks in editors: 'spillway schema > graph.schema.json'.
            # yaml-language-server: $schema=graph.schema.json

            """
        out += "graph: new-graph\nabout: What the graph does, in a sentence.\n"
        if isDeclared.contains(true) { out += "elements:\n" }
        for n in nodes.indices where isDeclared[n] { out += declaration(n) }
        out += "chains:\n"
        for hops in chains {
            let texts = hops.map { hop in
                (isDeclared[hop.node] ? nodes[hop.node].name : nodes[hop.node].type.name)
                    + (hop.port.map { ".\($0)" } ?? "")
            }
            out += "  - \(texts.joined(separator: " -> "))\n"
        }
        for n in nodes.indices {
            for port in openOutputs[n] { out += "  - \(nodes[n].name).\(port) -> Discard\n" }
            for port in openInputs[n] { out += "  # Nothing leads to \(nodes[n].name).\(port) yet.\n" }
        }
        out += "placements:\n"
        for (name, side, other) in [("host-only", Side.host, Sides.nic), ("nic-only", Side.nic, Sides.host)] {
            let elsewhere = nodes.filter {
                $0.type.sides == other && $0.type.name != "Wire" || other == .host && writesFile($0.type)
            }.map(\.name)
            let exceptions = elsewhere.isEmpty ? "" : "\(other.rawValue): [\(elsewhere.joined(separator: ", "))], "
            out += "  \(name): {\(exceptions)default: \(side.rawValue)}\n"
        }
        return out
    }

    /// Whether elements of a type write files, which are on the host.
    private func writesFile(_ type: ElementDescriptor) -> Bool {
        type.category == .sinks && type.parameters.contains { $0.name == "file" }
    }

    private func freeName(_ base: String) -> String {
        var name = base
        var n = 2
        while nodes.contains(where: { $0.name == name }) {
            name = "\(base)_\(n)"
            n += 1
        }
        return name
    }

    private func declaration(_ n: Int) -> String {
        let node = nodes[n]
        var out = "  # \(node.type.name) \(node.type.summary).\n"
        if node.type.parameters.isEmpty { return out + "  \(node.name): {type: \(node.type.name)}\n" }
        out += "  \(node.name):\n    type: \(node.type.name)\n"
        if writesFile(node.type) { out += "    place: host  # its file is there\n" }
        let examples = examples(n)
        for parameter in node.type.parameters {
            out += "    # \(parameter.about) (\(parameter.type.description))\n"
            if let text = parameter.defaultText {
                let isYAML =
                    switch parameter.type {
                    case .choices, .strings, .labels, .prefixes: true
                    default: false
                    }
                out += "    \(parameter.name): \(isYAML ? text.replacing("$", with: "$$") : scalar(text))\n"
                continue
            }
            out += "    # This must be given; what stands here is an example.\n"
            switch examples.first(where: { $0.name == parameter.name })?.value {
            case .map(let entries, _)?:
                out += "    \(parameter.name):\n"
                for entry in entries { out += "      \(entry.key): \(scalar(entry.value.text))\n" }
            case let value?: out += "    \(parameter.name): \(value.text)\n"
            case nil: break
            }
        }
        return out
    }

    /// `text` as a YAML scalar that the loader reads back: quoted if it would otherwise be read as something else.
    private func scalar(_ text: String) -> String {
        let escaped = text.replacing("$", with: "$$")
        let isPlain =
            text.first.map { $0.isLetter || $0.isNumber || $0 == "/" || $0 == "." } == true && text.last != " "
            && text.unicodeScalars.allSatisfy {
                $0.isASCII
                    && ($0.properties.isAlphabetic || $0.properties.numericType != nil
                        || "_-./ ".unicodeScalars.contains($0))
            }
        return isPlain ? escaped : "'\(escaped.replacing("'", with: "''"))'"
    }
}

private func trimmed(_ text: Substring) -> String {
    var text = text.drop(while: \.isWhitespace)
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return String(text)
}

private func isWord(_ text: String) -> Bool {
    text.first.map { $0.isLetter || $0 == "_" } == true
        && text.utf8.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || $0 == UInt8(ascii: "_")
        }
}

/// `SYNCookie` as `syn_cookie`.
private func snakeCase(_ name: String) -> String {
    let letters = Array(name)
    var out = ""
    for (i, letter) in letters.enumerated() {
        let nextIsLower = i + 1 < letters.count && letters[i + 1].isLowercase
        if letter.isUppercase, i > 0, letters[i - 1].isLowercase || (letters[i - 1].isUppercase && nextIsLower) {
            out += "_"
        }
        out += letter.lowercased()
    }
    return out
}
