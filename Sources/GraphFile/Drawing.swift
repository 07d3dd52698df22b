// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Drawings of a graph: a listing for terminals, DOT for Graphviz and Mermaid for Markdown pages.
///
/// With a placement they also show each element's side and the edges that cross between the sides. A wire is drawn twice, at
/// its receiving and its sending end, so that it does not look like a cycle.
public enum GraphDrawing {
    // MARK: Text

    /// One paragraph per element in running order, with an arrow for each output.
    ///
    /// ```
    /// sort: Classifier, on nic
    ///   syn   -> cookie.syn
    ///   ack   => known.in        crosses to host
    ///   other -> nothing         dropped, counted as unused_other
    /// ```
    public static func text(_ graph: GraphSpec, placement: GraphSpec.Placement? = nil) -> String {
        let shape = GraphShape(graph)
        var out = "graph \(printable(graph.name))"
        if let placement { out += ", placement \(printable(placement.name))" }
        out += "\n"
        if !graph.about.isEmpty { out += printable(graph.about) + "\n" }
        // Wires run last, but reading starts there.
        let order = shape.order.filter { graph.nodes[$0].isWire } + shape.order.filter { !graph.nodes[$0].isWire }
        for number in order {
            let node = graph.nodes[number]
            out += "\n\(printable(node.name)): \(printable(node.type.name))"
            if let side = side(of: number, placement) { out += ", on \(side.rawValue)" }
            if let place = node.place { out += ", pinned to \(place.rawValue)" }
            out += "\n"
            var rows: [(port: String, arrow: String, to: String, note: String)] = []
            for (output, port) in node.element.outputs.enumerated() {
                let name = printable(port.name)
                guard let e = graph.edges.firstIndex(where: { $0.from == number && $0.output == output }) else {
                    if !node.isWire { rows.append((name, "->", "nothing", "dropped, counted as unused_\(name)")) }
                    continue
                }
                let edge = graph.edges[e]
                let to = graph.nodes[edge.to]
                let crossing = crossing(edge, placement)
                var notes: [String] = []
                if let crossing { notes.append("crosses to \(crossing.rawValue)") }
                if shape.isBack[e] { notes.append("leads back") }
                if let kind = shape.kinds[e], kind != .packet { notes.append(kind.description) }
                rows.append(
                    (
                        name, crossing == nil ? "->" : "=>",
                        printable("\(to.name).\(to.element.inputs[edge.input].name)"), notes.joined(separator: ", ")
                    )
                )
            }
            let portWidth = rows.map(\.port.count).max() ?? 0
            let toWidth = rows.map(\.to.count).max() ?? 0
            for row in rows {
                out += "  \(padded(row.port, portWidth)) \(row.arrow) "
                out += row.note.isEmpty ? row.to : "\(padded(row.to, toWidth))  \(row.note)"
                out += "\n"
            }
        }
        return out
    }

    // MARK: Graphviz and Mermaid

    /// The graph in DOT, the language of Graphviz. With a placement each side is a cluster and crossings are bold.
    public static func dot(_ graph: GraphSpec, placement: GraphSpec.Placement? = nil) -> String {
        let boxes = boxes(of: graph)
        var out = "digraph \(dotQuoted(graph.name)) {\n"
        out +=
            "  rankdir=LR\n  node [shape=box, fontname=\"sans-serif\"]\n  edge [fontname=\"sans-serif\", fontsize=10]\n"
        func line(_ box: Box) -> String {
            let label = ([box.title] + box.lines).map(dotEscaped).joined(separator: "\\n")
            return "\(box.id) [label=\"\(label)\"\(box.isWire ? ", shape=cds" : "")]\n"
        }
        if let placement {
            for side in Side.allCases {
                out += "  subgraph cluster_\(side.rawValue) {\n    label=\"\(side.rawValue)\"\n    style=rounded\n"
                for box in boxes where self.side(of: box.node, placement) == side { out += "    " + line(box) }
                out += "  }\n"
            }
        } else {
            for box in boxes { out += "  " + line(box) }
        }
        let shape = GraphShape(graph)
        for (e, edge) in graph.edges.enumerated() {
            var attributes = "label=\"\(dotEscaped(label(of: edge, in: graph)))\""
            if crossing(edge, placement) != nil { attributes += ", style=bold, color=\"#b03000\"" }
            // A back edge must not turn the drawing upside down.
            if shape.isBack[e] { attributes += ", constraint=false" }
            out += "  \(from(edge, graph)) -> \(to(edge, graph)) [\(attributes)]\n"
        }
        return out + "}\n"
    }

    /// The graph as a Mermaid flowchart. With a placement each side is a subgraph and crossings are thick.
    public static func mermaid(_ graph: GraphSpec, placement: GraphSpec.Placement? = nil) -> String {
        let boxes = boxes(of: graph)
        var out = "flowchart LR\n"
        func line(_ box: Box) -> String {
            let label = ([box.title] + box.lines).map(mermaidEscaped).joined(separator: "<br/>")
            return box.isWire ? "\(box.id)([\"\(label)\"])\n" : "\(box.id)[\"\(label)\"]\n"
        }
        if let placement {
            for side in Side.allCases {
                let inside = boxes.filter { self.side(of: $0.node, placement) == side }
                if inside.isEmpty { continue }
                out += "  subgraph side_\(side.rawValue)[\"\(side.rawValue)\"]\n"
                for box in inside { out += "    " + line(box) }
                out += "  end\n"
            }
        } else {
            for box in boxes { out += "  " + line(box) }
        }
        for edge in graph.edges {
            let arrow = crossing(edge, placement) == nil ? "-->" : "==>"
            let label = mermaidEscaped(label(of: edge, in: graph))
            out += "  \(from(edge, graph)) \(arrow)\(label.isEmpty ? "" : "|\"\(label)\"|") \(to(edge, graph))\n"
        }
        return out
    }

    /// The graph in SVG: `layout` converts DOT to SVG, as `dot -Tsvg` does.
    public static func svg<Failure: Error>(
        _ graph: GraphSpec,
        placement: GraphSpec.Placement? = nil,
        layout: (_ dot: String) throws(Failure) -> String
    ) throws(Failure) -> String {
        try layout(dot(graph, placement: placement))
    }

    // MARK: What is drawn

    /// An element as drawn.
    private struct Box {
        var id: String
        var node: Int
        var title: String
        /// The lines below the title.
        var lines: [String]
        var isWire: Bool
    }

    private static func boxes(of graph: GraphSpec) -> [Box] {
        graph.nodes.enumerated().flatMap { number, node -> [Box] in
            if node.isWire {
                var ends: [Box] = []
                if graph.edges.contains(where: { $0.from == number }) {
                    ends.append(
                        Box(id: "n\(number)_rx", node: number, title: "\(node.name).rx", lines: [], isWire: true)
                    )
                }
                if graph.edges.contains(where: { $0.to == number }) {
                    ends.append(
                        Box(id: "n\(number)_tx", node: number, title: "\(node.name).tx", lines: [], isWire: true)
                    )
                }
                return ends
            }
            // `Counter@1` already includes its type.
            var lines = node.name.hasPrefix(node.type.name + "@") ? [] : [node.type.name]
            if let place = node.place { lines.append("pinned to \(place.rawValue)") }
            return [Box(id: "n\(number)", node: number, title: node.name, lines: lines, isWire: false)]
        }
    }

    private static func from(_ edge: GraphSpec.Edge, _ graph: GraphSpec) -> String {
        "n\(edge.from)" + (graph.nodes[edge.from].isWire ? "_rx" : "")
    }

    private static func to(_ edge: GraphSpec.Edge, _ graph: GraphSpec) -> String {
        "n\(edge.to)" + (graph.nodes[edge.to].isWire ? "_tx" : "")
    }

    /// The ports of an edge if they are not the only ones: `syn`, or `miss > insert`.
    private static func label(of edge: GraphSpec.Edge, in graph: GraphSpec) -> String {
        let from = graph.nodes[edge.from]
        let to = graph.nodes[edge.to]
        let output = from.isWire || from.element.outputs.count == 1 ? nil : from.element.outputs[edge.output].name
        let input = to.isWire || edge.input == 0 ? nil : to.element.inputs[edge.input].name
        return [output, input.map { "> " + $0 }].compactMap(\.self).joined(separator: " ")
    }

    private static func side(of node: Int, _ placement: GraphSpec.Placement?) -> Side? {
        placement.map { $0.sides[node] }
    }

    /// The side an edge crosses to, if it does.
    private static func crossing(_ edge: GraphSpec.Edge, _ placement: GraphSpec.Placement?) -> Side? {
        guard let placement, placement.sides[edge.from] != placement.sides[edge.to] else { return nil }
        return placement.sides[edge.to]
    }

    // MARK: Names in other languages

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// Without control characters, so that a name cannot control the terminal or break a line.
    private static func printable(_ text: String) -> String {
        var out = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: out.append("\u{FFFD}")
            default: out.append(scalar)
            }
        }
        return String(out)
    }

    private static func dotQuoted(_ text: String) -> String { "\"\(dotEscaped(text))\"" }

    /// Escapes for a quoted DOT string. Graphviz interprets backslashes and HTML entities in labels.
    private static func dotEscaped(_ text: String) -> String {
        var out = ""
        for character in printable(text) {
            switch character {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "&": out += "&amp;"
            default: out.append(character)
            }
        }
        return out
    }

    /// Escapes for a quoted Mermaid label, which interprets `#35;` as a character code, as well as tags and Markdown.
    private static func mermaidEscaped(_ text: String) -> String {
        var out = ""
        for scalar in printable(text).unicodeScalars {
            let isWord = scalar.properties.isAlphabetic || scalar.properties.numericType != nil
            if isWord || " ./@-:,()".unicodeScalars.contains(scalar) {
                out.unicodeScalars.append(scalar)
            } else {
                out += "#\(scalar.value);"
            }
        }
        return out
    }
}
