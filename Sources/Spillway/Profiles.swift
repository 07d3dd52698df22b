// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import GraphFile
import Model

/// The version of the tool, in manifests and `--version`.
public enum Version {
    /// The version of this package.
    public static let current = "0.1.0"
}

extension GraphSchema {
    /// The schema of all kinds of files, with the names of all figures.
    public static func complete(_ catalog: Catalog) -> String {
        json(
            catalog,
            figures: FigureType.all.map { type in
                var words: [String] = []
                if case .word(let all) = type.kind { words = all }
                return Figure(path: type.path, about: type.about, words: words)
            }
        )
    }
}

/// Device profiles, by the name of a shipped one or by file name.
public enum Profiles {
    /// The names of the profiles that come with Spillway.
    public static var shipped: [String] { shippedProfiles.map(\.name) }

    /// The path under which ``read(_:)`` finds a profile: a file if it looks like one, otherwise a shipped profile.
    public static func path(_ name: String) -> String {
        shippedProfiles.contains { $0.name == name } && !Files.exists(name) ? "profile:\(name).yaml" : name
    }

    /// The bytes of a file, or of a shipped profile by its path.
    @Sendable
    public static func read(_ path: String) throws -> [UInt8] {
        if path.hasPrefix("profile:"), let shipped = shippedProfiles.first(where: { "profile:\($0.name).yaml" == path })
        {
            return Array(shipped.text.utf8)
        }
        return try Files.read(path, limit: GraphLoader.longestFile)
    }

    /// Reads a profile by name or file.
    public static func load(
        _ name: String,
        _ loader: GraphLoader
    ) -> (profile: DeviceProfile?, diagnostics: [Diagnostic]) {
        let (value, diagnose, diagnostics) = loader.loadValue(path(name))
        guard let value else { return (nil, diagnostics) }
        let (profile, errors) = DeviceProfile.read(value)
        return (profile, diagnostics + errors.map(diagnose))
    }
}
