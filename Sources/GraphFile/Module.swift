// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// A graph or compound as written in one file: read once, placed as often as it is used.
final class Module {
    let path: String
    let isCompound: Bool
    let name: String
    let nameMark: Mark
    let about: String
    let parameters: [GraphParameter]
    /// The compounds it may use, by name; filled in by the builder.
    var compounds: [String: Module] = [:]
    /// A file under `use:` could not be read, so an unknown type may be no error of this file.
    var lacksCompounds = false
    let uses: [(text: String, mark: Mark)]
    let inputs: [(text: String, mark: Mark)]
    let outputs: [(text: String, mark: Mark)]
    let elements: [(key: String, keyMark: Mark, value: Value)]
    let chains: [Chain]
    let together: [[(text: String, mark: Mark)]]
    let placements: [(key: String, keyMark: Mark, value: Value)]
    /// The cost of placing it once.
    let work: Int

    static let graphKeys = ["graph", "about", "params", "use", "elements", "chains", "together", "placements"]
    static let compoundKeys = [
        "compound", "about", "params", "use", "inputs", "outputs", "elements", "chains", "together",
    ]

    /// Reads a document whose `kind` is `graph` or `compound`. Nil if it has no name; other errors omit parts.
    init?(_ value: Value, kind: String, path: String, _ session: Session) {
        self.path = path
        isCompound = kind == "compound"
        let keys = isCompound ? Self.compoundKeys : Self.graphKeys
        let required = isCompound ? ["inputs", "outputs", "chains"] : ["chains"]
        guard let fields = session.fields(value, of: "a \(kind)", keys: keys, required: required),
            let nameValue = fields[kind], let name = session.text(nameValue, "'\(kind)'")
        else { return nil }
        self.name = name
        nameMark = nameValue.mark
        let isName =
            isCompound
            ? isElementName(name) && name.utf8.allSatisfy { isWord($0) } && name.first?.isUppercase == true
            : name.utf8.allSatisfy { isWord($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }
        if !isName {
            session.report(
                .badName,
                "'\(name)' cannot be the name of a \(kind): "
                    + (isCompound
                        ? "a capital letter, then letters, digits and '_'" : "letters, digits, '-', '_' and '.'"),
                at: nameMark
            )
        }
        about = fields["about"].flatMap { session.text($0, "'about'") } ?? ""
        parameters = session.parameters(fields["params"])
        uses = session.texts(fields["use"], "'use'")
        inputs = session.texts(fields["inputs"], "'inputs'")
        outputs = session.texts(fields["outputs"], "'outputs'")
        elements = fields["elements"].flatMap { session.entries($0, "'elements'") } ?? []
        chains = fields["chains"].flatMap { session.items($0, "'chains'") }?.map(session.chain) ?? []
        placements = fields["placements"].flatMap { session.entries($0, "'placements'") } ?? []
        together = (fields["together"].flatMap { session.items($0, "'together'") } ?? []).map {
            session.texts($0, "each item of 'together'")
        }
        work =
            1 + elements.reduce(0) { $0 + Self.size($1.value) } + chains.reduce(0) { $0 + $1.hops.count } + inputs.count
            + outputs.count + parameters.count + together.reduce(0) { $0 + 1 + $1.count }
    }

    /// A measure of the memory and time a value takes.
    private static func size(_ value: Value) -> Int {
        switch value {
        case .scalar(let text, _): 1 + text.utf8.count / 32
        case .list(let items, _): items.reduce(1) { $0 + size($1) }
        case .map(let entries, _): entries.reduce(1) { $0 + 1 + size($1.value) }
        }
    }
}

/// The compounds of one load by path; nil for a file that could not be read, so that it is reported only once.
final class ModuleCache {
    var modules: [String: Module?] = [:]

    deinit {
        // Compounds that use each other would keep each other alive.
        for case let module? in modules.values { module.compounds = [:] }
    }
}

/// Words of letters, digits, `_` and `-` that begin with a letter, joined by `/`, with an optional number after `@`: the names
/// that compounds and bare types produce, so that a resolved graph can be read again.
func isElementName(_ name: String) -> Bool {
    guard name.utf8.count <= 255 else { return false }
    return name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { part in
        let pieces = part.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        guard (1...2).contains(pieces.count), let first = pieces[0].first,
            isLetter(first) || first == UInt8(ascii: "_"),
            pieces[0].last != UInt8(ascii: "-")
        else { return false }
        return pieces[0].allSatisfy { isWord($0) || $0 == UInt8(ascii: "-") }
            && (pieces.count == 1 || !pieces[1].isEmpty && pieces[1].allSatisfy(isDigit))
    }
}
