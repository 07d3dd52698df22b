// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

extension GraphBuilder {
    /// The names of one file while it is put in place.
    struct Scope {
        var module: Module
        /// `front/`, or nothing in the graph itself.
        var prefix: String
        var bindings: Bindings
        var pin: Side?
        /// The compounds this one is within, outermost first.
        var within: [Module]
        var handles: [String: Handle] = [:]
        /// Names in the order in which they appeared.
        var names: [String] = []
        /// How many elements chains have made of each type: the next is `Counter@3`.
        var numbers: [String: Int] = [:]
        /// False when a hop could not be read: what seems to be unused may stand there.
        var chainsAreWhole = true

        mutating func add(_ name: String, _ handle: Handle) {
            handles[name] = handle
            names.append(name)
        }
    }

    /// What a name means in the chains of one file.
    struct Handle {
        var mark: Mark
        /// What it is: `a Classifier declared here`.
        var what: String
        var inputs: [(name: String, end: Input)] = []
        var outputs: [(name: String, end: Output)] = []
        /// All that belongs to it.
        var members: Range<Int> = 0..<0
        /// It could not be made; that was reported.
        var isFailed = false
        /// Ports have names; those of a compound, seen from within, are plain nodes.
        var hasPorts = true
        var isUsed = false
    }
}
