// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import PackagePlugin

/// Writes Swift files from what is declared elsewhere, before a target is compiled: a catalog of the element types that the target
/// declares, and the shipped device profiles for the library.
///
/// A target of another package gets `Catalog.own`, with the words of the types' doc comments.
@main
struct CatalogPlugin: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        guard let target = target as? SourceModuleTarget else { return [] }
        let tool = try context.tool(named: "catalog-tool").url
        let sources = target.sourceFiles(withSuffix: "swift").map(\.url)
        let folder = context.pluginWorkDirectoryURL
        guard context.package.displayName == "spillway" else {
            return [command(tool, "own", sources, to: folder.appending(path: "OwnCatalog.swift"))]
        }
        let elements = sources.filter { $0.path().contains("/Elements/") }
        if !elements.isEmpty {
            return [command(tool, "elements", elements, to: folder.appending(path: "Catalog.swift"))]
        }
        let profiles = try FileManager.default.contentsOfDirectory(
            at: context.package.directoryURL.appending(path: "graphs/profiles"),
            includingPropertiesForKeys: nil
        )
        .filter { $0.pathExtension == "yaml" }
        return [command(tool, "profiles", profiles, to: folder.appending(path: "ShippedProfiles.swift"))]
    }

    private func command(_ tool: URL, _ what: String, _ inputs: [URL], to output: URL) -> Command {
        .buildCommand(
            displayName: what == "profiles" ? "Collecting the profiles" : "Collecting the elements",
            executable: tool,
            arguments: [what, output.path(percentEncoded: false)]
                + inputs.map { $0.path(percentEncoded: false) }.sorted(),
            inputFiles: inputs,
            outputFiles: [output]
        )
    }
}
