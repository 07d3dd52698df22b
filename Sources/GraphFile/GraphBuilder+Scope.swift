// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

extension GraphBuilder {
    /// The names of one file while it is being placed.
    struct Scope {
        var module: Module
        /// `front/`, or empty in the graph itself.
        var prefix: String
        var bindings: Bindings
        var pin: Side?
        /// The compounds around this one, outermost first.
        var within: [Module]
        var handles: [String: Handle] = [:]
        /// Names in order of appearance.
        var names: [String] = []
        /// The number of elements that chains have made of each type: the next is `Counter@3`.
        var numbers: [String: Int] = [:]
        /// False if a hop was unreadable: seemingly unused names may be in it.
        var chainsAreWhole = true

        mutating func add(_ name: String, _ handle: Handle) {
            handles[name] = handle
            names.append(name)
        }
    }

    /// The meaning of a name in the chains of one file.
    struct Handle {
        var mark: Mark
        /// A description: `a Classifier declared here`.
        var what: String
        var inputs: [(name: String, end: Input)] = []
        var outputs: [(name: String, end: Output)] = []
        /// Its vertices.
        var members: Range<Int> = 0..<0
        /// It could not be made, which was reported.
        var isFailed = false
        /// Whether ports have names; those of a compound, seen from within, are plain nodes.
        var hasPorts = true
        var isUsed = false
    }
}
