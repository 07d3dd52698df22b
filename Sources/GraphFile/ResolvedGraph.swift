// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The graph as one file without compounds and parameters, with all defaults.
func resolvedGraph(_ spec: GraphSpec, _ builder: GraphBuilder) -> String {
    var out = "graph: \(scalar(spec.name))\n"
    if !spec.about.isEmpty { out += "about: \(scalar(spec.about))\n" }
    let elements = builder.vertices.compactMap { vertex in vertex.element.map { (vertex, $0) } }
    if !elements.isEmpty { out += "elements:\n" }
    for (vertex, element) in elements {
        out += "  \(vertex.name):\n    type: \(element.type.name)\n"
        if let place = vertex.place { out += "    place: \(place)\n" }
        for (name, value) in parameters(element.type, element.configured, element.values) {
            out += "    \(name):"
            if case .map(let entries, _) = value, !entries.isEmpty {
                out += "\n"
                for entry in entries { out += "      \(scalar(entry.key)): \(flow(entry.value))\n" }
            } else {
                out += " \(flow(value))\n"
            }
        }
    }
    out += spec.edges.isEmpty ? "chains: []\n" : "chains:\n"
    for edge in spec.edges {
        let to = spec.nodes[edge.to]
        out += "  - \(spec.name(of: edge)) -> \(to.name).\(to.element.inputs[edge.input].name)\n"
    }
    if !spec.together.isEmpty { out += "together:\n" }
    for set in spec.together {
        out += "  - [" + set.map { spec.nodes[$0].name }.joined(separator: ", ") + "]\n"
    }
    if !spec.placements.isEmpty { out += "placements:\n" }
    for placement in spec.placements {
        out += "  \(scalar(placement.name)):\n"
        for side in Side.allCases {
            let names = spec.nodes.indices.filter { placement.sides[$0] == side }.map { spec.nodes[$0].name }
            if !names.isEmpty { out += "    \(side): [\(names.joined(separator: ", "))]\n" }
        }
        if spec.nodes.isEmpty { out += "    default: host\n" }
    }
    return out
}

/// Every parameter of an element with its value: as written if given, otherwise the default.
private func parameters(
    _ type: ElementDescriptor,
    _ configured: ConfiguredElement,
    _ given: [(name: String, mark: Mark, value: Value)]
) -> [(name: String, value: Value)] {
    var values: [(name: String, value: Value)] = []
    for (name, text) in configured.settings {
        if let value = given.first(where: { $0.name == name })?.value {
            values.append((name, value))
            continue
        }
        guard let info = type.parameters.first(where: { $0.name == name }) else { continue }
        // Lists and maps are already in YAML.
        let isText = info.type == .string || !(text.hasPrefix("[") || text.hasPrefix("{"))
        guard let value = isText ? .scalar(text, 0) : parse(text) else { continue }
        // A default that means "none" may not be a valid written value; omitting it means the same.
        if type.configure(given + [(name, 0, value)], at: 0).element != nil { values.append((name, value)) }
    }
    return values
}

private func parse(_ text: String) -> Value? {
    let session = Session(limits: Limits())
    return YAMLReader.read(session.add(Source(path: "", bytes: Array(text.utf8))), nil, session)
}

/// A value in flow style, with each `$` escaped.
private func flow(_ value: Value) -> String {
    switch value {
    case .scalar(let text, _): scalar(doubled(text))
    case .list(let items, _): "[" + items.map(flow).joined(separator: ", ") + "]"
    case .map(let entries, _):
        "{" + entries.map { "\(scalar($0.key)): \(flow($0.value))" }.joined(separator: ", ") + "}"
    }
}

private func doubled(_ text: String) -> String {
    text.utf8.contains(UInt8(ascii: "$"))
        ? text.split(separator: "$", omittingEmptySubsequences: false).joined(separator: "$$") : text
}

/// A scalar, in double quotes unless it certainly needs none.
private func scalar(_ text: String) -> String {
    let bytes = text.utf8
    if let first = bytes.first, let last = bytes.last, isWord(first) || first == UInt8(ascii: "$"), last != 0x20,
        bytes.allSatisfy({ isWord($0) || " -./@+*=<>$()".utf8.contains($0) })
    {
        return text
    }
    // JSON's escapes are also YAML's; characters that YAML takes for line breaks are escaped as well.
    var out = ""
    for scalar in jsonString(text).unicodeScalars {
        switch scalar.value {
        case 0x85, 0xA0, 0x2028, 0x2029, 0x80...0x9F:
            out += "\\u" + String(repeating: "0", count: scalar.value < 0x100 ? 2 : 0) + String(scalar.value, radix: 16)
        default: out.unicodeScalars.append(scalar)
        }
    }
    return out
}
