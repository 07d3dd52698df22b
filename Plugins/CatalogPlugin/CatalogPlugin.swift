// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import PackagePlugin

/// Writes the catalog of element types before a target is compiled, from the element files of that target.
@main
struct CatalogPlugin: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        guard let target = target as? SourceModuleTarget else { return [] }
        let output = context.pluginWorkDirectoryURL.appending(path: "Catalog.swift")
        let elements = target.sourceFiles(withSuffix: "swift").map(\.url).filter { $0.path().contains("/Elements/") }
        return [
            .buildCommand(
                displayName: "Collecting the elements of \(target.name)",
                executable: try context.tool(named: "catalog-tool").url,
                arguments: [output.path()] + elements.map { $0.path() },
                inputFiles: elements,
                outputFiles: [output]
            )
        ]
    }
}
