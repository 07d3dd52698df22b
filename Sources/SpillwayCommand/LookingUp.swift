// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Spillway

struct Graph: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draws a graph, with its sides when a placement is named."
    )
    enum Drawing: String, ExpressibleByArgument, CaseIterable {
        case text
        case dot
        case mermaid
        case svg
    }
    @OptionGroup var source: GraphOptions

    @Option(help: "How it is drawn; svg needs Graphviz.")
    var format: Drawing = .text

    @Option(
        name: .customLong("placement"),
        help: ArgumentHelp("Draws the sides of a placement.", valueName: "name|file")
    )
    var placementName: String?

    func run() throws {
        let (graph, _) = try source.load()
        let sides = try placementName.map { try placement($0, of: graph) }
        switch format {
        case .text: try Output.result(GraphDrawing.text(graph, placement: sides))
        case .dot: try Output.result(GraphDrawing.dot(graph, placement: sides))
        case .mermaid: try Output.result(GraphDrawing.mermaid(graph, placement: sides))
        case .svg:
            try reporting { try Output.result(try GraphDrawing.svg(graph, placement: sides) { try Graphviz.svg($0) }) }
        }
    }
}

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the element types, and the shipped device profiles."
    )

    @Option(help: "How the list is written.")
    var format: ResultFormat = .text

    func run() throws {
        let catalog = Session.catalog
        guard format == .json else {
            try Output.result(
                ElementPages.list(catalog) + "\nDevice profiles: " + Profiles.shipped.joined(separator: ", ") + "\n"
            )
            return
        }
        try Output.result(
            JSON.object([
                (
                    "elements",
                    .array(
                        catalog.types.map {
                            .object([
                                ("name", .string($0.name)), ("category", .string($0.category.rawValue)),
                                ("summary", .string($0.summary)),
                            ])
                        }
                    )
                ),
                ("profiles", .array(Profiles.shipped.map { .string($0) })),
            ]).text
        )
    }
}

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows an element type: ports, parameters, handlers, drop reasons."
    )
    @Argument(help: "The element type.")
    var element: String

    @Option(help: "How it is written.")
    var format: ResultFormat = .text

    func run() throws {
        guard let type = Session.catalog[element] else {
            let guess =
                nearest(to: element, among: Session.catalog.types.map(\.name)).map { "; did you mean '\($0)'?" } ?? ""
            throw Failure.usage("there is no element type '\(element)'\(guess)")
        }
        try Output.result(format == .json ? ElementPages.json(type).text : ElementPages.terminal(type))
    }
}

struct Docs: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes the pages of all element types, or checks that they are up to date."
    )
    @Flag(help: "Writes the pages.")
    var write = false

    @Flag(help: "Changes nothing; status 1 when a page is not what the declarations say.")
    var check = false

    @Argument(help: "The directory of the pages.")
    var directory = "elements-docs"

    func validate() throws {
        guard write != check else { throw ValidationError("give one of --write and --check") }
    }

    func run() throws {
        try reporting {
            if write {
                for file in try ElementPages.write(Session.catalog, to: directory) { try Output.result("\(file)\n") }
            } else {
                let differences = ElementPages.check(Session.catalog, directory)
                for difference in differences { Output.error("\(difference)\n") }
                if !differences.isEmpty { throw Failure.notHeld("run 'spillway docs --write \(directory)'") }
            }
        }
    }
}

struct Schema: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes the JSON Schema of graph files, for editors and validators."
    )
    func run() throws { try Output.result(GraphSchema.json(Session.catalog)) }
}
