// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Reads placements of one graph.
struct PlacementReader {
    private let session: Session
    private let spec: GraphSpec
    /// Elements that could not be made, whose names are therefore not unknown.
    private let failed: Set<String>
    /// The nodes for each name: an element, or everything in a compound.
    private var nodes: [String: [Int]] = [:]
    private var names: [String] = []

    static let keys = ["nic", "host", "default"]

    init(_ session: Session, _ spec: GraphSpec, failed: Set<String> = []) {
        self.session = session
        self.spec = spec
        self.failed = failed
        for (n, node) in spec.nodes.enumerated() {
            names.append(node.name)
            nodes[node.name] = [n]
            for (i, byte) in node.name.utf8.enumerated() where byte == UInt8(ascii: "/") {
                let compound = String(decoding: node.name.utf8.prefix(i), as: UTF8.self)
                if nodes[compound] == nil { names.append(compound) }
                nodes[compound, default: []].append(n)
            }
        }
    }

    /// Reads one placement from a map that may also have other keys. Nil if it is unusable; all errors are reported.
    func read(_ name: String, at mark: Mark, _ fields: Fields) -> GraphSpec.Placement? {
        let errors = session.errorCount
        var sides: [Side?] = Array(repeating: nil, count: spec.nodes.count)
        var places: [Mark] = Array(repeating: mark, count: spec.nodes.count)
        for side in Side.allCases {
            guard let list = fields[side.rawValue] else { continue }
            for (name, mark) in session.texts(list, "'\(side)'") {
                guard let members = nodes[name] else {
                    if isFailed(name) { continue }
                    session.report(
                        .unknownElement,
                        "there is no element '\(name)'",
                        at: mark,
                        suggestion: session.suggest(name, among: names)
                    )
                    continue
                }
                for n in members {
                    if sides[n] != nil {
                        let note = Session.Note("first here", places[n])
                        session.report(.placedTwice, "'\(spec.nodes[n].name)' is placed twice", at: mark, notes: [note])
                        break
                    }
                    sides[n] = side
                    places[n] = mark
                }
            }
        }
        var isComplete = true
        if let value = fields["default"] {
            isComplete = false
            if let text = session.text(value, "'default'") {
                if let side = Side(rawValue: text) {
                    isComplete = true
                    for (n, node) in spec.nodes.enumerated() where sides[n] == nil && !node.isWire {
                        sides[n] = side
                        places[n] = value.mark
                    }
                } else {
                    let suggestion = session.suggest(text, among: ["nic", "host"])
                    session.report(
                        .badValue,
                        "'\(text)' is neither nic nor host",
                        at: value.mark,
                        suggestion: suggestion
                    )
                }
            }
        }
        let free = spec.nodes.indices.filter { sides[$0] == nil && !spec.nodes[$0].isWire }
        if isComplete, !free.isEmpty, session.errorCount == errors {
            let some = free.prefix(4).map { "'\(spec.nodes[$0].name)'" }.joined(separator: ", ")
            session.report(
                .notPlaced,
                "the placement '\(name)' gives no side to \(some)\(free.count > 4 ? " and \(free.count - 4) more" : "")",
                at: mark,
                suggestion: "add 'default: host'"
            )
        }
        for (n, node) in spec.nodes.enumerated() {
            guard let side = sides[n] else {
                if node.isWire { sides[n] = .nic }
                continue
            }
            if let pin = node.pin, pin.side != side {
                session.report(.badSide, "'\(node.name)' cannot be on the \(side): \(pin.reason)", at: places[n])
            }
        }
        for set in spec.together where session.errorCount == errors {
            guard let a = set.first(where: { sides[$0] == .nic }), let b = set.first(where: { sides[$0] == .host })
            else { continue }
            session.report(
                .splitTogether,
                "the placement '\(name)' has '\(spec.nodes[a].name)' on the nic and '\(spec.nodes[b].name)' on the host; "
                    + "the graph keeps them together",
                at: mark
            )
        }
        guard session.errorCount == errors else { return nil }
        return GraphSpec.Placement(name: name, sides: sides.map { $0 ?? .host })
    }

    /// Whether the element, or a compound around it, could not be made.
    private func isFailed(_ name: String) -> Bool {
        if failed.isEmpty { return false }
        var name = Substring(name)
        while true {
            if failed.contains(String(name)) { return true }
            guard let slash = name.lastIndex(of: "/") else { return false }
            name = name[..<slash]
        }
    }
}
