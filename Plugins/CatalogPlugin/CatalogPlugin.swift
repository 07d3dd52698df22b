// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import PackagePlugin

/// Writes Swift files from what is declared elsewhere, before a target is compiled: the catalog of element types of a target
/// with element files, and the shipped device profiles for the library.
@main
struct CatalogPlugin: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        guard let target = target as? SourceModuleTarget else { return [] }
        let tool = try context.tool(named: "catalog-tool").url
        let elements = target.sourceFiles(withSuffix: "swift").map(\.url).filter { $0.path().contains("/Elements/") }
        if !elements.isEmpty {
            return [
                command(tool, "elements", elements, to: context.pluginWorkDirectoryURL.appending(path: "Catalog.swift"))
            ]
        }
        let folder = context.package.directoryURL.appending(path: "graphs/profiles")
        let profiles = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "yaml" }
        return [
            command(
                tool,
                "profiles",
                profiles,
                to: context.pluginWorkDirectoryURL.appending(path: "ShippedProfiles.swift")
            )
        ]
    }

    private func command(_ tool: URL, _ what: String, _ inputs: [URL], to output: URL) -> Command {
        .buildCommand(
            displayName: "Collecting the \(what)",
            executable: tool,
            arguments: [what, output.path()] + inputs.map { $0.path() }.sorted(),
            inputFiles: inputs,
            outputFiles: [output]
        )
    }
}
