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
        let (graph, loaded) = try source.load()
        let sides = try placementName.map { try placement($0, of: graph, loaded) }
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
        abstract:
            "Lists the element types, and the shipped device profiles; or the network interfaces of this machine.",
        discussion: """
            Of an interface: the kind of its link, its state, MTU and addresses, which offloads are on (a graph sees as one what GRO \
            and LRO have joined and TSO and GSO will cut), and whether this user can open it.
            """
    )

    @Flag(help: "Lists network interfaces, for --wire NAME=if:INTERFACE.")
    var interfaces = false

    @Option(help: ArgumentHelp("The columns of the list, in this order.", valueName: "a,b,c"))
    var columns: String?

    @Option(help: "How the list is written.")
    var format: ResultFormat = .text

    func run() throws {
        if interfaces { return try reporting { try listInterfaces() } }
        let catalog = Session.catalog
        let chosen = try columns.map { try chosenColumns($0, among: ElementPages.listColumns) }
        guard format == .json else {
            try Output.result(
                folded(
                    ElementPages.list(catalog, columns: chosen ?? ElementPages.listColumns) + "\nDevice profiles: "
                        + Profiles.shipped.joined(separator: ", ") + "\n",
                    width: Terminal(1).width
                )
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

    private func listInterfaces() throws {
        let states = try InterfaceState.all()
        if format == .json { return try Output.result(InterfaceList.json(states).text) }
        let chosen = try columns.map { try chosenColumns($0, among: InterfaceList.columns) } ?? InterfaceList.columns
        try Output.result(InterfaceList.table(states).keeping(chosen).text(width: Terminal(1).width ?? .max))
    }
}

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Shows an element type, a device profile with the source of each number, or what a figure of profiles means.",
        discussion: """
            An element type shows its ports, parameters, handlers and drop reasons. A profile is a shipped one or a file. A figure is \
            named by its path, the end of it or its section: 'nic.per_item', 'in_flight', 'mac'.
            """
    )
    @Argument(help: "The element type, profile, or figure of profiles.")
    var name: String

    @Option(help: "How it is written.")
    var format: ResultFormat = .text

    func run() throws {
        let width = Terminal(1).width
        if let type = Session.catalog[name] {
            let text = folded(ElementPages.terminal(type), width: width)
            return try Output.result(format == .json ? ElementPages.json(type).text : text)
        }
        let figures = FigureType.all.filter {
            $0.path == name || $0.path.hasSuffix(".\(name)") || $0.section == name || $0.section.hasPrefix("\(name).")
        }
        if !figures.isEmpty {
            let json = JSON.array(
                figures.map { .object([("path", .string($0.path)), ("about", .string($0.about))]) }
            )
            let text = figures.map { ProfilePages.terminal($0, width: width) }.joined(separator: "\n")
            return try Output.result(format == .json ? json.text : text)
        }
        guard Profiles.shipped.contains(name) || Files.exists(name) || name.hasSuffix(".yaml") else {
            let known = Session.catalog.types.map(\.name) + Profiles.shipped + FigureType.all.map(\.name)
            let guess = nearest(to: name, among: known).map { "; did you mean '\($0)'?" } ?? ""
            throw Failure.usage("there is no element type, profile or figure of profiles '\(name)'\(guess)")
        }
        let (profile, _) = try loadProfile(name)
        try Output.result(
            format == .json ? ProfilePages.json(profile).text : ProfilePages.terminal(profile, width: width)
        )
    }
}

struct Docs: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Writes the pages of all element types and of the figures of profiles, or checks that they are up to date."
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
    func run() throws { try Output.result(GraphSchema.complete(Session.catalog)) }
}
