// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

extension DeviceProfile {
    /// Reads a profile from the value tree of its file, by ``FigureType/all``. All errors are reported at once; the profile is
    /// then nil.
    ///
    /// A number is written as `{value: X, source: "..."}`; one without a source is an error, because a model is only as good as
    /// what is known about its numbers.
    public static func read(_ value: Value) -> (profile: DeviceProfile?, errors: [ParameterError]) {
        var reader = ProfileReader()
        reader.section(value, "")
        let plain = reader.profile.nic.cores == 0
        for type in FigureType.all where !reader.found.contains(type.path) {
            let section = reader.sections[type.section]
            let isNeeded =
                switch type.presence {
                case .always: true
                case .optional: false
                case .withNICCores: !plain
                case .withSection: section != nil
                }
            // A missing section was reported as such; no need to report its figures.
            guard isNeeded, let section else { continue }
            reader.fail("the profile needs '\(type.path)'", at: section)
        }
        let read = reader.profile
        if read.plain.splitsHeaders, read.plain.parking == nil, let mark = reader.sections["nic"] {
            reader.fail("'nic.header_split' needs 'nic.parking', where payload stays", at: mark)
        }
        guard reader.errors.isEmpty else { return (nil, reader.errors.sorted { $0.mark < $1.mark }) }
        var profile = reader.profile
        let order = Dictionary(uniqueKeysWithValues: FigureType.all.enumerated().map { ($1.path, $0) })
        func place(_ figure: Figure) -> Int { order[figure.path] ?? order[FigureType.owner(of: figure.path)] ?? 0 }
        profile.figures = reader.figures.enumerated()
            .sorted { (place($0.element), $0.offset) < (place($1.element), $1.offset) }.map(\.element)
        return (profile, [])
    }

    /// The profile with some numbers multiplied, by path; results outside the permitted range are clamped to it. Choices, and
    /// figures marked free, cannot be scaled.
    public func scaled(_ factors: [String: Double]) -> DeviceProfile {
        var profile = self
        for (path, factor) in factors {
            guard let type = FigureType.at(FigureType.owner(of: path)) else { continue }
            profile.scale(type, path, factor)
        }
        return profile
    }

    private mutating func scale(_ type: FigureType, _ path: String, _ factor: Double) {
        if case .numbers = type.kind { return }
        func scaled(_ n: Int) -> Int {
            let x = (Double(n) * factor).rounded()
            guard case .number(_, let range) = type.kind else { return Int(min(x, Double(FigureType.mostCycles))) }
            return Int(min(max(x, Double(range.lowerBound)), Double(range.upperBound)))
        }
        switch type.store {
        case .number(let place): place.set(&self, scaled(place.get(self)))
        case .optional(let place): place.set(&self, place.get(self).map(scaled))
        case .flag, .word: break
        case .cost(let place):
            var cost = place.get(self)
            if path.hasSuffix(".wait") {
                cost.wait = scaled(cost.wait)
            } else if path.hasSuffix(".accesses") {
                cost.accesses = scaled(cost.accesses)
            } else {
                cost.cycles = scaled(cost.cycles)
            }
            place.set(&self, cost)
        }
    }
}

extension FigureType {
    /// The path of the figure that a number belongs to: `nic.cycles.look_up` for `nic.cycles.look_up.wait`.
    public static func owner(of path: String) -> String {
        for part in [".wait", ".accesses"] where path.hasSuffix(part) { return String(path.dropLast(part.count)) }
        return path
    }

    /// The names in a section, in the order in which they are written: figures and subsections.
    public static func names(in section: String) -> [String] {
        var names: [String] = []
        let prefix = section.isEmpty ? "" : section + "."
        for type in all where type.path.hasPrefix(prefix) {
            let name = String(type.path.dropFirst(prefix.count).prefix { $0 != "." })
            if !names.contains(name) { names.append(name) }
        }
        return names
    }

    /// Sections that are optional.
    public static let optionalSections = ["channel.interrupt", "channel.control"]
    /// Sections that a plain NIC does not have.
    static let sectionsOfCores = ["nic.cycles", "nic.reorder"]
    /// Texts of a profile that are not figures.
    public static let texts = ["profile", "about", "not_modelled"]
}

/// The state of reading a profile.
private struct ProfileReader {
    var profile = DeviceProfile()
    var errors: [ParameterError] = []
    var figures: [DeviceProfile.Figure] = []
    /// Paths that are present, valid or not.
    var found: Set<String> = []
    /// Sections that are present.
    var sections: [String: Mark] = [:]

    mutating func fail(_ message: String, at mark: Mark, suggestion: String? = nil) {
        errors.append(ParameterError(message, at: mark, suggestion: suggestion))
    }

    mutating func attempt<T>(_ body: () throws(ParameterError) -> T) -> T? {
        do throws(ParameterError) { return try body() } catch {
            errors.append(error)
            return nil
        }
    }

    /// Reads a map of figures and nested maps.
    mutating func section(_ value: Value, _ path: String) {
        guard case .map(let entries, let mark) = value else {
            return fail("expected \(path.isEmpty ? "the profile" : "'\(path)'") to be a map", at: value.mark)
        }
        sections[path] = mark
        let names = (path.isEmpty ? FigureType.texts : []) + FigureType.names(in: path)
        var seen: Set<String> = []
        for (key, keyMark, value) in entries {
            let full = path.isEmpty ? key : "\(path).\(key)"
            guard names.contains(key) else {
                fail(
                    "\(path.isEmpty ? "a profile" : "'\(path)'") has no '\(key)'; it has "
                        + names.joined(separator: ", "),
                    at: keyMark,
                    suggestion: nearest(to: key, among: names)
                )
                continue
            }
            if !seen.insert(key).inserted {
                fail("'\(key)' is given twice", at: keyMark)
                continue
            }
            if let type = FigureType.at(full) {
                found.insert(full)
                figure(value, type)
            } else if path.isEmpty, FigureType.texts.contains(key) {
                text(value, key)
            } else {
                section(value, full)
            }
        }
        if path.isEmpty, !seen.contains("profile") { fail("the profile needs 'profile'", at: mark) }
        for name in names where !seen.contains(name) {
            let full = path.isEmpty ? name : "\(path).\(name)"
            let isSection = FigureType.at(full) == nil && !(path.isEmpty && FigureType.texts.contains(name))
            let isOfCores = FigureType.sectionsOfCores.contains(full)
            if isSection, !isOfCores, !FigureType.optionalSections.contains(full) {
                fail("the profile needs '\(full)'", at: mark)
            }
            if isOfCores { sections[full] = mark }
        }
    }

    private mutating func text(_ value: Value, _ key: String) {
        switch key {
        case "profile":
            profile.name = attempt { () throws(ParameterError) in try value.string() } ?? ""
            let isPlain = profile.name.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5a).contains($0 & 0xdf) || "_-.".utf8.contains($0)
            }
            if profile.name.isEmpty || !isPlain {
                fail("a profile's name has letters, digits, '_', '-' and '.', and nothing else", at: value.mark)
            }
        case "about": profile.about = attempt { () throws(ParameterError) in try value.string() } ?? ""
        default:
            profile.notModelled =
                attempt { () throws(ParameterError) in
                    var words: [String] = []
                    for item in try value.items() { words.append(try item.string()) }
                    return words
                } ?? []
        }
    }

    private mutating func figure(_ value: Value, _ type: FigureType) {
        if type.kind == .cost { return cost(value, type) }
        guard let (scalar, source, _) = sourced(value, type, extra: []) else { return }
        var isNumber = false
        switch (type.kind, type.store) {
        case (.number(let unit, let range), let store):
            guard let n = attempt({ () throws(ParameterError) in try ProfileReader.parse(scalar, unit, range) }) else {
                return
            }
            put(n, store)
            // Scaling 0 changes nothing, and nothing depends on a price.
            isNumber = n != 0 && unit != .dollars
        case (.numbers(let unit, let among), let store):
            guard
                let n = attempt({ () throws(ParameterError) in
                    let n = try ProfileReader.parse(scalar, unit, among.min()!...among.max()!)
                    if !among.contains(n) { throw ProfileReader.notAmong(scalar, unit, among) }
                    return n
                })
            else { return }
            put(n, store)
        case (.word(let words), .word(let set)):
            guard let word = attempt({ () throws(ParameterError) in try scalar.choice(of: words) }) else { return }
            set(&profile, word)
        default: break
        }
        figures.append(.init(path: type.path, value: scalar.text, source: source, isNumber: isNumber))
    }

    private mutating func put(_ n: Int, _ store: FigureType.Store) {
        switch store {
        case .number(let place): place.set(&profile, n)
        case .optional(let place): place.set(&profile, n)
        case .flag(let place): place.set(&profile, n == 1)
        case .word, .cost: break
        }
    }

    /// The cost of an operation: cycles, and if given wait and accesses; `free` is 0 cycles.
    private mutating func cost(_ value: Value, _ type: FigureType) {
        guard case .cost(let place) = type.store else { return }
        if case .scalar(let text, _) = value, text.hasPrefix("free: ") {
            figures.append(
                .init(path: type.path, value: "free", source: String(text.dropFirst(6)), isNumber: false)
            )
            return
        }
        let parts = ["wait", "accesses"]
        guard let (scalar, source, others) = sourced(value, type, extra: parts) else { return }
        func read(_ value: Value?) throws(ParameterError) -> Int {
            guard let value else { return 0 }
            if case .scalar("free", _) = value { return 0 }
            return try ProfileReader.parse(value, .cycles, 0...FigureType.mostCycles)
        }
        guard
            let cost = attempt({ () throws(ParameterError) in
                OperationCost(
                    cycles: try read(scalar),
                    wait: try read(others["wait"]),
                    accesses: try read(others["accesses"])
                )
            })
        else { return }
        place.set(&profile, cost)
        figures.append(.init(path: type.path, value: scalar.text, source: source, isNumber: cost.cycles != 0))
        for name in parts {
            guard let other = others[name] else { continue }
            let n = name == "wait" ? cost.wait : cost.accesses
            figures.append(.init(path: "\(type.path).\(name)", value: other.text, source: source, isNumber: n != 0))
        }
    }

    private static func notAmong(_ scalar: Value, _ unit: FigureType.Unit, _ among: [Int]) -> ParameterError {
        let best = unit.table.last { unit in among.allSatisfy { $0 % Int(unit.factor) == 0 } }
        let names = among.map { n in best.map { "\(n / Int($0.factor)) \($0.unit)" } ?? "\(n)" }
        return ParameterError("\(scalar.text) is not one of " + names.joined(separator: ", "), at: scalar.mark)
    }

    /// The parts of `{value: X, source: "..."}`.
    private mutating func sourced(
        _ value: Value,
        _ type: FigureType,
        extra: [String]
    ) -> (value: Value, source: String, others: [String: Value])? {
        guard case .map(let entries, _) = value else {
            fail(
                "'\(type.path)' has no source",
                at: value.mark,
                suggestion: "{value: \(value.text), source: assumption}"
            )
            return nil
        }
        var parts: [String: Value] = [:]
        let names = ["value", "source"] + extra
        for entry in entries {
            guard names.contains(entry.key) else {
                fail(
                    "a number has no '\(entry.key)'; it has " + names.joined(separator: ", "),
                    at: entry.keyMark,
                    suggestion: nearest(to: entry.key, among: names)
                )
                continue
            }
            parts[entry.key] = entry.value
        }
        guard let scalar = parts["value"] else {
            fail("'\(type.path)' has no value", at: value.mark)
            return nil
        }
        guard case .scalar(let source, let sourceMark)? = parts["source"] else {
            fail("'\(type.path)' has no source", at: value.mark)
            return nil
        }
        if source.allSatisfy(\.isWhitespace) { fail("the source of '\(type.path)' is empty", at: sourceMark) }
        return (scalar, source, parts)
    }

    private static func parse(
        _ value: Value,
        _ unit: FigureType.Unit,
        _ range: ClosedRange<Int>
    ) throws(ParameterError) -> Int {
        if unit == .none { return try value.integer(in: range) }
        var text = try value.string()
        var table = unit.table
        // A number without unit is read with one that is never shown.
        if unit == .cycles {
            text += " cycles"
            table = [("cycles", table[0].factor)]
        }
        let n: Int64
        do throws(Quantity.Failure) {
            n = try Quantity.parse(text, table, what: "quantity", example: "2 \(table.last?.unit ?? "")").0
        } catch {
            if unit == .cycles {
                throw ParameterError("'\(value.text)' is not a number with at most three decimals", at: value.mark)
            }
            throw ParameterError(error.message, at: value.mark, suggestion: error.suggestion)
        }
        guard range.contains(Int(n)) else { throw ParameterError("\(value.text) is out of range", at: value.mark) }
        return Int(n)
    }
}
