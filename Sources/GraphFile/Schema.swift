// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The JSON Schema (draft 2020-12) of graph files, compounds, placements, device profiles and tests, for editors and other
/// validators. It is generated from the declarations of the element types.
///
/// A schema sees one file and no meaning: ranges of quantities with units, names of elements and ports, and the contents of
/// files under `use:` are left to `check`.
public enum GraphSchema {
    /// A figure of profiles, for the schema.
    public struct Figure: Sendable {
        /// Its path, for example `nic.cores`.
        public var path: String
        /// Its meaning.
        public var about: String
        /// The words allowed; empty for numbers.
        public var words: [String]

        public init(path: String, about: String, words: [String]) {
            self.path = path
            self.about = about
            self.words = words
        }
    }

    /// The schema of all kinds of files, with the element types of `catalog` and the figures of profiles; if none are given,
    /// figures may have any name. The same catalog and figures give the same text.
    public static func json(_ catalog: Catalog, figures named: [Figure] = []) -> String {
        let types = catalog.types.sorted { $0.name < $1.name }
        // Placements and tests name a graph too, so that comes last; it also stands for a file of no kind. The key decides, so that a
        // validator says what is wrong in a file of its kind, not that it is of none.
        let kinds = ["tests", "compound", "placement", "profile", "graph"]
        let choice = kinds.dropLast().reversed().reduce(reference("graph")) { others, kind in
            ["if": ["required": [.string(kind)]], "then": reference(kind), "else": others]
        }
        let schema: JSON = [
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Spillway files",
            "description": "A graph, a compound, a placement, a device profile or the tests of a graph.",
            "type": "object",
            "properties": .object(kinds.map { ($0, true) }),
            "allOf": [choice],
            "$defs": .object(
                [
                    ("graph", graph), ("compound", compound), ("placement", placement), ("profile", profile(named)),
                    ("tests", tests), ("about", described("What it is for, in a sentence.", ["type": "string"])),
                    ("scalar", ["type": ["string", "number", "boolean"]]),
                    ("names", ["type": "array", "items": ["type": "string"]]),
                    ("side", ["enum": ["nic", "host"]]),
                    ("sides", sides), ("params", params), ("use", use), ("chains", chains), ("together", together),
                    ("packets", packets), ("figure", figure), ("figures", figures),
                    ("parameterReference", parameterReference),
                    ("type", typeOfCatalog(types)),
                    ("element", element(types)),
                    ("catalogElements", elements(["properties": ["type": reference("type")]])),
                    (
                        "elements",
                        elements(["properties": ["type": ["anyOf": [reference("type"), compoundName]]]])
                    ),
                ] + types.map { ("element.\($0.name)", body(of: $0)) }
            ),
        ]
        return schema.text() + "\n"
    }

    // MARK: Kinds of files

    private static var graph: JSON {
        object(
            [
                ("graph", described("The graph's name.", ["type": "string", "pattern": "^[A-Za-z0-9_.-]+$"])),
                ("about", reference("about")), ("params", reference("params")), ("use", reference("use")),
                ("elements", elementsByUse), ("chains", reference("chains")), ("together", reference("together")),
                (
                    "placements",
                    described(
                        "Named placements: a side for each element.",
                        ["type": "object", "additionalProperties": reference("sides")]
                    )
                ),
            ],
            required: ["graph", "chains"]
        ).adding(restrictTypes)
    }

    private static var compound: JSON {
        object(
            [
                (
                    "compound",
                    described("The name by which graphs use it as a type.", compoundName)
                ),
                ("about", reference("about")), ("params", reference("params")), ("use", reference("use")),
                ("inputs", described("Its inputs, plain nodes in its chains.", reference("names"))),
                ("outputs", described("Its outputs, plain nodes in its chains.", reference("names"))),
                ("elements", elementsByUse), ("chains", reference("chains")), ("together", reference("together")),
            ],
            required: ["compound", "inputs", "outputs", "chains"]
        ).adding(restrictTypes)
    }

    private static var placement: JSON {
        object(
            [
                ("placement", described("The placement's name.", ["type": "string"])),
                ("about", reference("about")),
                ("graph", described("The graph's file, from here.", ["type": "string"])),
            ] + sideMembers,
            required: ["placement", "graph"]
        )
    }

    private static func profile(_ named: [Figure]) -> JSON {
        object(
            [
                ("profile", described("The device profile's name.", ["type": "string"])),
                ("about", reference("about")),
                ("not_modelled", described("What the model leaves out.", reference("names"))),
            ]
                + (named.isEmpty
                    ? ["nic", "host", "mac", "channel"].map { ($0, reference("figures")) } : members(named, of: "")),
            required: ["profile"]
        )
    }

    /// The members of a profile section: figures, and subsections.
    private static func members(_ figures: [Figure], of section: String) -> [(String, JSON)] {
        var members: [(String, JSON)] = []
        for figure in figures where figure.path.hasPrefix(section) {
            let parts = figure.path.dropFirst(section.count).split(separator: ".").map(String.init)
            if members.contains(where: { $0.0 == parts[0] }) { continue }
            if parts.count > 1 {
                members.append((parts[0], object(self.members(figures, of: "\(section)\(parts[0])."), required: [])))
                continue
            }
            let value: JSON =
                figure.words.isEmpty
                ? reference("figure")
                : [
                    "allOf": [
                        reference("figure"), ["properties": ["value": ["enum": .array(figure.words.map(JSON.string))]]],
                    ]
                ]
            let free: JSON = ["type": "string", "pattern": "^free: "]
            members.append(
                (
                    parts[0],
                    described(figure.about, figure.path.contains(".cycles.") ? ["anyOf": [value, free]] : value)
                )
            )
        }
        return members
    }

    private static var tests: JSON {
        let out: JSON = [
            "type": "object",
            "description":
                "For each wire the packets expected there; what reaches elements, and what they count, have entries of their own.",
            "properties": [
                "drops": [
                    "type": "object",
                    "description": "Counters of drops, by element.reason.",
                    "additionalProperties": ["type": "integer", "minimum": 0],
                ],
                "records": [
                    "type": "object",
                    "description": "For each element the records that reach it, in order: `name=value` words.",
                    "additionalProperties": ["type": "array", "items": ["type": "string"]],
                ],
                "packets": [
                    "type": "object",
                    "description": "For each element the packets that reach it, in order.",
                    "additionalProperties": reference("packets"),
                ],
                "counters": [
                    "type": "object",
                    "description": "Counters of elements, by element.counter.",
                    "additionalProperties": ["type": "integer"],
                ],
            ],
            "additionalProperties": reference("packets"),
        ]
        let test = object(
            [
                ("name", described("What holds, as a sentence.", ["type": "string"])),
                ("about", reference("about")),
                (
                    "set",
                    described(
                        "Values for the graph's parameters.",
                        ["type": "object", "additionalProperties": reference("scalar")]
                    )
                ),
                (
                    "in",
                    described(
                        "For each wire the packets that arrive.",
                        ["type": "object", "additionalProperties": reference("packets")]
                    )
                ),
                ("out", out),
            ],
            required: ["name", "in", "out"]
        )
        return object(
            [
                ("graph", described("The graph's file, from here.", ["type": "string"])),
                ("about", reference("about")), ("tests", ["type": "array", "items": test]),
            ],
            required: ["graph", "tests"]
        )
    }

    // MARK: Parts of graphs

    private static var params: JSON {
        let param = object(
            [
                ("type", ["enum": .array(GraphParameterType.names.map(JSON.string))]),
                ("default", described("Without it the parameter must be given.", reference("scalar"))),
                ("about", reference("about")),
                ("values", described("The words of a choice.", ["type": "array", "items": reference("scalar")])),
            ],
            required: ["type"]
        ).adding([
            "if": ["properties": ["type": ["const": "choice"]]],
            "then": ["required": ["values"]],
            "else": ["properties": ["values": false]],
        ])
        return [
            "type": "object",
            "description": "Parameters, put in place of `$name` in values.",
            "propertyNames": ["pattern": "^[A-Za-z_][A-Za-z0-9_]*$"],
            "additionalProperties": param,
        ]
    }

    private static var use: JSON {
        described("Files with compounds, from here.", reference("names"))
    }

    private static var chains: JSON {
        [
            "type": "array",
            "description": "Edges as chains of elements and ports: `a -> b.port -> Type`.",
            "items": ["type": "string", "pattern": "->"],
        ]
    }

    private static var together: JSON {
        ["type": "array", "description": "Sets of elements that stay on one side.", "items": reference("names")]
    }

    private static var sideMembers: [(String, JSON)] {
        [
            ("nic", described("Elements on the NIC.", reference("names"))),
            ("host", described("Elements on the host.", reference("names"))),
            ("default", described("Where all other elements are; wires stay on the NIC.", reference("side"))),
        ]
    }

    private static var sides: JSON { object(sideMembers, required: []) }

    private static var packets: JSON {
        ["type": "array", "description": "Packets in text form.", "items": ["type": "string"]]
    }

    private static var compoundName: JSON { ["type": "string", "pattern": "^[A-Z][A-Za-z0-9_]*$"] }

    /// `$name` within a value; its type is known only when the parameter is substituted.
    private static var parameterReference: JSON { ["type": "string", "pattern": "\\$"] }

    // MARK: Profiles

    private static var figure: JSON {
        object(
            [
                ("value", reference("scalar")),
                (
                    "source",
                    described("Where the number is from, or `assumption`.", ["type": "string", "minLength": 1])
                ),
                ("wait", described("The part of it other threads can use.", reference("scalar"))),
                ("accesses", described("Memory accesses.", reference("scalar"))),
            ],
            required: ["value", "source"]
        )
    }

    private static var figures: JSON {
        [
            "type": "object",
            "description": "Numbers, each with its source, and groups of them.",
            "additionalProperties": [
                "if": ["type": "object"],
                "then": [
                    "if": ["anyOf": [["required": ["value"]], ["required": ["source"]]]],
                    "then": reference("figure"), "else": reference("figures"),
                ],
                "else": ["type": "string", "pattern": "^free: "],
            ],
        ]
    }

    // MARK: Elements

    private static var elementsByUse: JSON { ["type": "object", "description": "The named elements of the graph."] }

    /// Without compounds a type must be from the catalog.
    private static var restrictTypes: JSON {
        [
            "if": ["required": ["use"]],
            "then": ["properties": ["elements": reference("elements")]],
            "else": ["properties": ["elements": reference("catalogElements")]],
        ]
    }

    private static func elements(_ restriction: JSON) -> JSON {
        [
            "type": "object",
            "propertyNames": [
                "pattern": "^[A-Za-z_][A-Za-z0-9_-]*(@[0-9]+)?(/[A-Za-z_][A-Za-z0-9_-]*(@[0-9]+)?)*$"
            ],
            "additionalProperties": ["allOf": [reference("element"), restriction]],
        ]
    }

    private static func typeOfCatalog(_ types: [ElementDescriptor]) -> JSON {
        ["oneOf": .array(types.map { ["const": .string($0.name), "description": .string($0.summary)] })]
    }

    private static func element(_ types: [ElementDescriptor]) -> JSON {
        [
            "type": "object",
            "required": ["type"],
            "allOf": .array(
                types.map {
                    [
                        "if": ["required": ["type"], "properties": ["type": ["const": .string($0.name)]]],
                        "then": reference("element.\($0.name)"),
                    ]
                }
            ),
        ]
    }

    private static func body(of type: ElementDescriptor) -> JSON {
        var members: [(String, JSON)] = [
            ("type", ["const": .string(type.name)]),
            ("place", described("The only side it may run on.", reference("side"))),
        ]
        for parameter in type.parameters { members.append((parameter.name, schema(of: parameter))) }
        return described(
            type.summary,
            object(members, required: ["type"] + type.parameters.filter { $0.defaultText == nil }.map(\.name))
        )
    }

    private static func schema(of parameter: ElementDescriptor.ParameterInfo) -> JSON {
        let value: JSON
        var defaultValue = parameter.defaultText.map(JSON.string)
        switch parameter.type {
        case .integer(let range):
            value = ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)]
            defaultValue = parameter.defaultText.flatMap(Quantity.integer).map(JSON.integer)
        case .boolean:
            value = ["type": "boolean"]
            defaultValue = parameter.defaultText.map { .boolean($0 == "true") }
        case .string: value = reference("scalar")
        case .choice(let words): value = ["enum": .array(words.flatMap(word))]
        case .choices(let words):
            let one: JSON = ["enum": .array(words.flatMap(word))]
            value = [
                "anyOf": [["type": "array", "items": one, "minItems": 1, "uniqueItems": true], one]
            ]
            // Lists are shown as `[a, b]`.
            defaultValue = parameter.defaultText.map { text in
                .array(text.dropFirst().dropLast().split(separator: ", ").map { .string(String($0)) })
            }
        case .duration: value = quantity(Quantity.durations.map(\.unit))
        case .size: value = quantity(Quantity.sizes.map(\.unit))
        case .rate: value = quantity(Quantity.rates.map(\.unit))
        case .probability:
            value = ["type": "number", "minimum": 0, "maximum": 1]
            defaultValue = parameter.defaultText.flatMap(Quantity.decimal).map(JSON.number)
        case .strings:
            value = ["anyOf": [["type": "array", "items": reference("scalar")], reference("scalar")]]
            // Of the lists of texts only an empty one is a default.
            defaultValue = parameter.defaultText.map { _ in .array([]) }
        case .filters:
            value = ["type": "object", "additionalProperties": ["type": "string"]]
            defaultValue = nil
        case .labels:
            value = ["type": "object", "additionalProperties": reference("scalar")]
            defaultValue = nil
        case .ethernet(let orNone):
            let pattern = "([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}"
            value = ["type": "string", "pattern": .string("^(\(pattern)\(orNone ? "|none" : ""))$")]
        case .prefixes:
            let one: JSON = ["type": "string"]
            value = ["anyOf": [["type": "array", "items": one], one]]
            // Only an empty list is a default.
            defaultValue = parameter.defaultText.map { _ in .array([]) }
        }
        var members: [(name: String, value: JSON)] = [
            ("description", .string("\(parameter.about) (\(parameter.type.description))")),
            ("anyOf", [value, reference("parameterReference")]),
        ]
        if let defaultValue { members.append(("default", defaultValue)) }
        return .object(members)
    }

    /// A word in the forms YAML may give it: `4` is a number unless quoted.
    private static func word(_ text: String) -> [JSON] {
        [.string(text)] + (Quantity.integer(text).map { [.integer($0)] } ?? [])
    }

    /// A number with unit; zero needs none.
    private static func quantity(_ units: [String]) -> JSON {
        let number = "([0-9]+\\.?[0-9]*|\\.[0-9]+)"
        return [
            "anyOf": [
                ["type": "string", "pattern": .string("^\(number) *(\(units.joined(separator: "|")))$")], ["const": 0],
            ]
        ]
    }

    // MARK: Words of the schema language

    private static func reference(_ name: String) -> JSON {
        ["$ref": .string("#/$defs/\(name)")]
    }

    private static func described(_ sentence: String, _ schema: JSON) -> JSON {
        JSON.object([("description", .string(sentence))]).adding(schema)
    }

    /// An object with these members and no others.
    private static func object(_ members: [(String, JSON)], required: [String]) -> JSON {
        [
            "type": "object", "properties": .object(members.map { ($0.0, $0.1) }),
            "required": .array(required.map(JSON.string)), "additionalProperties": false,
        ]
    }
}
