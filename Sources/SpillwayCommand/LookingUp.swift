// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Spillway

struct Graph: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Draws a graph, with its sides when a placement is named.")
    enum Drawing: String, ExpressibleByArgument, CaseIterable {
        case text
        case dot
        case mermaid
        case svg
    }
    @OptionGroup var source: GraphOptions

    @Option(help: "How it is drawn; svg needs Graphviz.")
    var format: Drawing = .text

    @Option(name: .customLong("placement"), help: ArgumentHelp("Draws the sides of a placement.", valueName: "name|file"))
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

struct Schema: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes the JSON Schema of graph files, for editors and validators."
    )
    func run() throws { try Output.result(GraphSchema.json(Session.catalog)) }
}
