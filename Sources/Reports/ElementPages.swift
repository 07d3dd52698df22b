// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Documentation of element types, generated from their declarations: Markdown pages, and text for a terminal.
public enum ElementPages {
    // MARK: Markdown

    /// The first line of every generated page; a page without it is never removed.
    public static let notice = "<!-- Written by `spillway docs --write` from the element's source; do not edit. -->"

    /// The page of one element type.
    public static func page(_ type: ElementDescriptor) -> String {
        var out = "\(notice)\n\n# \(type.name)\n\n"
        out += "*\(type.name)* \(type.summary).\n\n"
        let prose = plainCode(type.documentation)
        if !prose.isEmpty { out += prose + "\n\n" }

        out += "| | |\n|---|---|\n"
        for (name, value) in facts(type) { out += row([name, value]) }

        out += "\n## Ports\n\n"
        if type.defaultInputs.isEmpty, type.defaultOutputs.isEmpty {
            out += "None before its parameters are given.\n"
        } else {
            out += "| | Port | Items | |\n|---|---|---|---|\n"
            for port in type.defaultInputs { out += row(["input", code(port.name), items(port), port.about]) }
            for port in type.defaultOutputs {
                out += row(["output", code(port.name), items(port, of: type), port.about])
            }
        }

        out += "\n## Parameters\n\n"
        if type.parameters.isEmpty {
            out += "None.\n"
        } else {
            out += "| Parameter | Type | Default | |\n|---|---|---|---|\n"
            for parameter in type.parameters {
                out += row([
                    code(parameter.name), parameter.type.description,
                    parameter.defaultText.map(code) ?? "must be given",
                    parameter.about,
                ])
            }
        }
        out += table("Drop reasons", "Reason", "A packet is dropped when", type.drops.map { ($0.name, $0.about) })
        out += table("Handlers", "Handler", "Value", type.handlers.map { ($0.name, $0.about) })
        out += table("Operations counted", "Operation", "One unit is", type.operations.map { ($0.name, $0.about) })
        if !type.examples.isEmpty {
            out += "\n## Examples\n\nThe tests run these.\n"
            for example in type.examples {
                out += "\n### \(sentence(example.title))\n\n```text\n\(text(of: example, type))```\n"
            }
        }
        return out
    }

    /// The page that lists all element types by family.
    public static func index(_ catalog: Catalog) -> String {
        var out = "\(notice)\n\n# Elements\n\n"
        out += "An element is one packet-processing step. `spillway show ELEMENT` prints these pages on a terminal.\n\n"
        out +=
            "Besides its own drop reasons every element has `loop`, for items that went round a cycle too often, and\n"
        out += "`unused_PORT` for items that left by an output that is not connected.\n\n"
        out += "What the figures of device profiles mean stands in [profile-figures](profile-figures.md).\n"
        for (category, types) in families(catalog) {
            out += "\n## \(category.rawValue)\n\n| Element | |\n|---|---|\n"
            for type in types { out += row(["[\(type.name)](\(type.name).md)", type.summary]) }
        }
        return out
    }

    /// All pages by file name, sorted.
    public static func pages(_ catalog: Catalog) -> [(file: String, text: String)] {
        [("README.md", index(catalog)), ("profile-figures.md", ProfilePages.page)]
            + catalog.types.sorted { $0.name < $1.name }.map { ("\($0.name).md", page($0)) }
    }

    // MARK: Terminal

    /// The text that `spillway show` prints for one element type.
    public static func terminal(_ type: ElementDescriptor) -> String {
        var out = "\(type.name) \(type.summary)\n"
        let prose = plainCode(type.documentation)
        if !prose.isEmpty { out += "\n\(prose)\n" }
        func section(_ title: String, _ rows: [[String]]) {
            if !rows.isEmpty { out += "\n\(title)\n" + columns(rows, indent: 2) }
        }
        out += "\n" + columns(facts(type).map { [$0.name, $0.value] })
        section("Inputs", type.defaultInputs.map { [$0.name, items($0), $0.about] })
        section("Outputs", type.defaultOutputs.map { [$0.name, items($0, of: type), $0.about] })
        section(
            "Parameters",
            type.parameters.map {
                [$0.name, $0.type.description, $0.defaultText.map { "default \($0)" } ?? "must be given", $0.about]
            }
        )
        section("Drop reasons", type.drops.map { [$0.name, $0.about] })
        section("Handlers", type.handlers.map { [$0.name, $0.about] })
        section("Operations counted", type.operations.map { [$0.name, $0.about] })
        for example in type.examples {
            out += "\nExample: \(example.title)\n"
            for line in lines(text(of: example, type)).dropLast() { out += "  \(line)\n" }
        }
        return out
    }

    /// The declaration of an element type, for programs.
    public static func json(_ type: ElementDescriptor) -> JSON {
        func named(_ list: [(String, String)]) -> JSON {
            .array(list.map { .object([("name", .string($0.0)), ("about", .string($0.1))]) })
        }
        func packets(_ ports: [(port: String, packets: [String])]) -> JSON {
            .object(ports.map { ($0.port, .array($0.packets.map { .string($0) })) })
        }
        return .object([
            ("name", .string(type.name)),
            ("summary", .string(type.summary)),
            ("documentation", .string(plainCode(type.documentation))),
            ("category", .string(type.category.rawValue)),
            ("sides", .string(type.sides.rawValue)),
            ("depends", .string(type.depends.rawValue)),
            ("divides", .string(type.divides.rawValue)),
            ("state_bytes_per_flow", .integer(Int64(type.stateBytesPerFlow))),
            (
                "inputs",
                .array(
                    type.defaultInputs.map {
                        .object([
                            ("name", .string($0.name)), ("accepts", .string($0.accepts.description)),
                            ("reads", .string($0.reads.rawValue)), ("needs_flow", .bool($0.needsFlow)),
                            ("optional", .bool($0.optional)), ("about", .string($0.about)),
                        ])
                    }
                )
            ),
            (
                "outputs",
                .array(
                    type.defaultOutputs.map {
                        .object([
                            ("name", .string($0.name)), ("gives", .string($0.gives.description)),
                            ("optional", .bool($0.optional)), ("about", .string($0.about)),
                        ])
                    }
                )
            ),
            (
                "parameters",
                .array(
                    type.parameters.map {
                        .object([
                            ("name", .string($0.name)), ("type", .string($0.type.description)),
                            ("default", $0.defaultText.map { .string($0) } ?? .null), ("about", .string($0.about)),
                        ])
                    }
                )
            ),
            ("drops", named(type.drops.map { ($0.name, $0.about) })),
            ("handlers", named(type.handlers.map { ($0.name, $0.about) })),
            ("operations", named(type.operations.map { ($0.name, $0.about) })),
            (
                "examples",
                .array(
                    type.examples.map {
                        .object([
                            ("title", .string($0.title)), ("config", .string($0.config)), ("in", packets($0.inputs)),
                            ("out", packets($0.outputs)),
                            ("drops", .object($0.drops.map { ($0.reason, .integer(Int64($0.count))) })),
                        ])
                    }
                )
            ),
        ])
    }

    /// The titles of the columns of ``list(_:columns:)``.
    public static let listColumns = ["name", "category", "summary"]

    /// The text that `spillway list` prints: name, family and summary of every element type, or its name and the `columns` of these
    /// titles.
    public static func list(_ catalog: Catalog, columns titles: [String] = listColumns) -> String {
        var table = Table(listColumns.map { ($0, .left) })
        table.rows = families(catalog).flatMap { category, types in
            types.map { [$0.name, category.rawValue, $0.summary] }
        }
        return columns(table.keeping(titles).rows)
    }

    // MARK: Wording

    private static func families(_ catalog: Catalog) -> [(Category, [ElementDescriptor])] {
        Category.allCases.compactMap { category in
            let types = catalog.types.filter { $0.category == category }.sorted { $0.name < $1.name }
            return types.isEmpty ? nil : (category, types)
        }
    }

    private static func facts(_ type: ElementDescriptor) -> [(name: String, value: String)] {
        let sides =
            switch type.sides {
            case .either: "NIC or host"
            case .nic: "NIC only"
            case .host: "host only"
            }
        let depends =
            switch type.depends {
            case .item: "the item alone"
            case .flow: "the item and the earlier ones of its flow"
            case .order: "the order of items across flows"
            case .clock: "functional time"
            }
        let divides =
            switch type.divides {
            case .items: "in any way"
            case .flows: "by flow"
            case .hosts: "by pair of hosts"
            case .never: "not at all"
            }
        let state = type.stateBytesPerFlow
        return [
            ("Category", type.category.rawValue), ("Runs on", sides), ("Depends on", depends),
            ("Divided among threads", divides),
            ("State per flow", state == 0 ? "none" : "\(state) bytes"),
        ]
    }

    private static func items(_ input: Input) -> String {
        var out = "\(input.accepts), reads \(input.reads.rawValue)"
        if input.needsFlow { out += ", behind a flow table" }
        return input.optional ? out + ", optional" : out
    }

    private static func items(_ output: Output, of type: ElementDescriptor) -> String {
        let kind: String
        switch output.gives {
        case .kind(let fixed): kind = fixed.description
        case .sameAs(let input):
            kind = type.defaultInputs.indices.contains(input) ? "as at \(type.defaultInputs[input].name)" : "as it came"
        }
        return output.optional ? kind + ", optional" : kind
    }

    /// An example as lines: its parameters, its input, and the expected output and drops.
    private static func text(of example: Example, _ type: ElementDescriptor) -> String {
        var rows: [[String]] = []
        if !example.config.isEmpty { rows.append(["with", "", example.config]) }
        for (port, packets) in example.inputs { rows += packets.map { ["in", port, $0] } }
        for (port, packets) in example.outputs { rows += packets.map { ["out", port, $0] } }
        for (reason, count) in example.drops { rows.append(["drop", reason, "\(count)"]) }
        return columns(rows)
    }

    // MARK: Layout

    private static func table(_ title: String, _ name: String, _ about: String, _ rows: [(String, String)]) -> String {
        if rows.isEmpty { return "" }
        return "\n## \(title)\n\n| \(name) | \(about) |\n|---|---|\n" + rows.map { row([code($0.0), $0.1]) }.joined()
    }

    /// A row of a Markdown table; escapes bars and line breaks, which would end cells.
    private static func row(_ cells: [String]) -> String {
        let cells = cells.map { $0.replacing("|", with: "\\|").replacing("\n", with: " ") }
        return "| " + cells.joined(separator: " | ") + " |\n"
    }

    private static func code(_ text: String) -> String { text.isEmpty ? "empty" : "`\(text)`" }

    private static func sentence(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }

    private static func lines(_ text: String) -> [Substring] {
        text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// Doc comments link to Swift symbols in double backquotes, which mean nothing elsewhere.
    private static func plainCode(_ text: String) -> String {
        text.split(separator: "```", omittingEmptySubsequences: false)
            .map { $0.replacing("``", with: "`") }
            .joined(separator: "```")
    }

    /// Cells in columns, two spaces apart; the last column has no fixed width.
    static func columns(_ rows: [[String]], indent: Int = 0) -> String {
        var widths: [Int] = []
        for row in rows {
            for (n, cell) in row.enumerated() {
                if n == widths.count { widths.append(0) }
                widths[n] = max(widths[n], cell.count)
            }
        }
        var out = ""
        for row in rows {
            var line = String(repeating: " ", count: indent)
            for (n, cell) in row.enumerated() {
                line += cell
                if n < row.count - 1 {
                    line += String(repeating: " ", count: widths[n] - cell.count + (widths[n] > 0 ? 2 : 0))
                }
            }
            while line.last == " " { line.removeLast() }
            out += line + "\n"
        }
        return out
    }
}
