// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The type of a parameter of a graph or compound.
enum GraphParameterType: Sendable, Equatable {
    case ipv4
    case ipv6
    case integer
    case boolean
    case string
    case duration
    case size
    case rate
    case probability
    case choice([String])

    static let names = [
        "ipv4", "ipv6", "integer", "boolean", "string", "duration", "size", "rate", "probability", "choice",
    ]

    init?(_ name: String, values: [String]) {
        switch name {
        case "ipv4": self = .ipv4
        case "ipv6": self = .ipv6
        case "integer": self = .integer
        case "boolean": self = .boolean
        case "string": self = .string
        case "duration": self = .duration
        case "size": self = .size
        case "rate": self = .rate
        case "probability": self = .probability
        case "choice": self = .choice(values)
        default: return nil
        }
    }

    /// The text of `value`, if it can be read as this type; throws if not.
    func read(_ value: Value) throws(ParameterError) -> String {
        let text = try value.string()
        switch self {
        case .ipv4, .ipv6:
            let version: UInt8 = self == .ipv4 ? 4 : 6
            guard IPAddress(text)?.version == version else {
                throw ParameterError("'\(text)' is not an IPv\(version) address", at: value.mark)
            }
        case .integer: _ = try value.integer(in: .min ... .max)
        case .boolean: _ = try value.boolean()
        case .string: break
        case .duration: _ = try value.duration(in: 0 ... .max)
        case .size: _ = try value.size(in: 0 ... .max)
        case .rate: _ = try value.rate()
        case .probability: _ = try value.probability()
        case .choice(let words): _ = try value.choice(of: words)
        }
        return text
    }

    /// A placeholder value of the type, for checking a compound outside any graph.
    var placeholder: String {
        switch self {
        case .ipv4: "192.0.2.1"
        case .ipv6: "2001:db8::1"
        case .integer: "1"
        case .boolean: "true"
        case .string: "x"
        case .duration: "1 s"
        case .size: "1 KiB"
        case .rate: "1 Mpps"
        case .probability: "1"
        case .choice(let words): words.first ?? ""
        }
    }
}

/// A parameter that a graph or compound declares.
struct GraphParameter {
    var name: String
    var mark: Mark
    /// Nil if the declaration is invalid, which was reported.
    var type: GraphParameterType?
    var defaultValue: Value?
}

/// The value of a parameter in one graph or one use of a compound.
final class Binding {
    let text: String
    /// The place where the value is given.
    let mark: Mark
    /// False if there is no valid value; that was reported, and uses of the parameter are not checked.
    let isKnown: Bool
    /// The value is a placeholder; whether it is valid where it is used means nothing.
    let isPlaceholder: Bool
    var isUsed = false

    init(_ text: String, _ mark: Mark, isKnown: Bool = true, isPlaceholder: Bool = false) {
        self.text = text
        self.mark = mark
        self.isKnown = isKnown
        self.isPlaceholder = isPlaceholder
    }
}

/// The parameters that `$name` can refer to at one place.
struct Bindings {
    private(set) var names: [String] = []
    private var byName: [String: Binding] = [:]

    subscript(_ name: String) -> Binding? {
        get { byName[name] }
        set {
            if byName[name] == nil { names.append(name) }
            byName[name] = newValue
        }
    }
}

/// A value given to a parameter; nil if already known to be invalid.
typealias Argument = (name: String, mark: Mark, value: Value?)

extension Session {
    /// Reads the declarations under `params:`.
    func parameters(_ value: Value?) -> [GraphParameter] {
        guard let value, let entries = entries(value, "'params'") else { return [] }
        return entries.map { name, mark, value in
            var parameter = GraphParameter(name: name, mark: mark)
            if !isParameterName(name) {
                report(.badName, "'\(name)' cannot be the name of a parameter: letters, digits and '_'", at: mark)
                return parameter
            }
            if name == "type" || name == "place" {
                report(.badName, "a parameter cannot be called '\(name)', which every element has", at: mark)
                return parameter
            }
            let keys = ["type", "default", "about", "values"]
            guard let fields = fields(value, of: "a parameter", keys: keys, required: ["type"]) else {
                return parameter
            }
            if let about = fields["about"] { _ = text(about, "'about'") }
            let words = fields["values"].map { texts($0, "'values'").map(\.text) } ?? []
            guard let typeValue = fields["type"], let typeName = text(typeValue, "'type'") else { return parameter }
            guard let type = GraphParameterType(typeName, values: words) else {
                report(
                    .unknownParameterType,
                    "'\(typeName)' is not a type of parameter: \(GraphParameterType.names.joined(separator: ", "))",
                    at: typeValue.mark,
                    suggestion: suggest(typeName, among: GraphParameterType.names)
                )
                return parameter
            }
            if (typeName == "choice") == words.isEmpty {
                report(
                    typeName == "choice" ? .missingKey : .unknownKey,
                    typeName == "choice" ? "a choice needs 'values', a list of words" : "only a choice has 'values'",
                    at: typeName == "choice" ? typeValue.mark : fields.keyMark("values")
                )
                return parameter
            }
            if let value = fields["default"] {
                do throws(ParameterError) { _ = try type.read(value) } catch {
                    report(error)
                    return parameter
                }
                parameter.defaultValue = value
            }
            parameter.type = type
            return parameter
        }
    }

    /// How to handle a parameter without value and without default.
    enum Missing {
        case reported(Mark)
        case reportedAtDeclaration
        /// Use a placeholder value.
        case madeUp
    }

    /// Binds each of `parameters` to its value from `arguments`, or its default. `owner` names their owner in messages.
    func bind(_ parameters: [GraphParameter], _ arguments: [Argument], of owner: String, _ missing: Missing) -> Bindings
    {
        var bindings = Bindings()
        let given = Dictionary(arguments.map { ($0.name, $0) }) { $1 }
        for parameter in parameters {
            bindings[parameter.name] = binding(parameter, given[parameter.name], of: owner, missing)
        }
        for (name, mark, _) in arguments where bindings[name] == nil && !isFull {
            let names = bindings.names
            report(
                .unknownParameter,
                "\(owner) has no parameter '\(name)'; it has \(names.isEmpty ? "none" : names.joined(separator: ", "))",
                at: mark,
                suggestion: suggest(name, among: names)
            )
        }
        return bindings
    }

    private func binding(
        _ parameter: GraphParameter,
        _ argument: Argument?,
        of owner: String,
        _ missing: Missing
    ) -> Binding {
        let unknown = Binding("", parameter.mark, isKnown: false)
        guard let type = parameter.type else { return unknown }
        if let argument {
            guard let value = argument.value else { return unknown }
            do throws(ParameterError) { return Binding(try type.read(value), value.mark) } catch {
                report(error)
                return unknown
            }
        }
        if case .scalar(let text, let mark) = parameter.defaultValue { return Binding(text, mark) }
        switch missing {
        case .madeUp: return Binding(type.placeholder, parameter.mark, isPlaceholder: true)
        case .reported(let mark):
            report(
                .missingParameter,
                "\(owner) needs the parameter '\(parameter.name)', which has no default",
                at: mark,
                notes: [Note("'\(parameter.name)' is declared here", parameter.mark)]
            )
        case .reportedAtDeclaration:
            report(
                .missingParameter,
                "\(owner) needs the parameter '\(parameter.name)', which has no default",
                at: parameter.mark,
                suggestion: "give it with '--set \(parameter.name)=...'"
            )
        }
        return unknown
    }

    /// `value` with the parameters in its scalars replaced: `$name` by a value, `$$` by a dollar sign. Nil if one of them has
    /// no valid value.
    func substitute(_ value: Value, _ bindings: Bindings) -> Value? {
        switch value {
        case .list(let items, let mark):
            let items = items.map { substitute($0, bindings) }
            return items.contains { $0 == nil } ? nil : .list(items.compactMap { $0 }, mark)
        case .map(let entries, let mark):
            let entries = entries.map { (key: $0.key, keyMark: $0.keyMark, value: substitute($0.value, bindings)) }
            guard !entries.contains(where: { $0.value == nil }) else { return nil }
            return .map(entries.compactMap { entry in entry.value.map { (entry.key, entry.keyMark, $0) } }, mark)
        case .scalar(let text, let mark):
            let bytes = Array(text.utf8)
            guard bytes.contains(UInt8(ascii: "$")) else { return value }
            var out: [UInt8] = []
            var used: [(name: String, binding: Binding)] = []
            var isGood = true
            var i = 0
            while i < bytes.count {
                guard bytes[i] == UInt8(ascii: "$") else {
                    out.append(bytes[i])
                    i += 1
                    continue
                }
                var end = i + 1
                if end < bytes.count, bytes[end] == UInt8(ascii: "$") {
                    out.append(bytes[end])
                    i += 2
                    continue
                }
                while end < bytes.count, isWord(bytes[end]) { end += 1 }
                let name = String(decoding: bytes[(i + 1)..<end], as: UTF8.self)
                let place = part(of: mark, bytes, i, end - i)
                if !isParameterName(name) {
                    report(
                        .badDollar,
                        "'$' must be followed by the name of a parameter",
                        at: place,
                        suggestion: "write '$$' for a dollar sign"
                    )
                    isGood = false
                } else if let binding = bindings[name] {
                    binding.isUsed = true
                    if !binding.isKnown { isGood = false }
                    substitutedBytes += binding.text.utf8.count
                    if substitutedBytes > limits.fileSize {
                        report(.tooLarge, "parameters put in place make more than \(limits.fileSize) bytes", at: place)
                        isGood = false
                    } else {
                        out += Array(binding.text.utf8)
                        used.append((name, binding))
                    }
                } else if !isFull {
                    let likely = likely(name, among: bindings.names)
                    report(
                        .undefinedParameter,
                        "there is no parameter '\(name)' under 'params'; "
                            + (bindings.names.isEmpty
                                ? "it declares none" : "it declares \(bindings.names.joined(separator: ", "))"),
                        at: place,
                        suggestion: likely.map { didYouMean("$\($0)") }
                    )
                    isGood = false
                } else {
                    isGood = false
                }
                i = end
            }
            guard isGood else { return nil }
            substitutions[mark] = used
            return .scalar(String(decoding: out, as: UTF8.self), mark)
        }
    }

    /// The place of some bytes of a scalar's text; the whole scalar if its text differs from the bytes in the file.
    func part(of mark: Mark, _ text: [UInt8], _ start: Int, _ count: Int) -> Mark {
        guard let span = map.span(mark) else { return mark }
        let written = map.bytes(span)
        if written.elementsEqual(text) { return self.mark(mark, from: start, count: count) }
        if written.count == text.count + 2, written.dropFirst().dropLast().elementsEqual(text) {
            return self.mark(mark, from: start + 1, count: count)
        }
        return mark
    }
}

// MARK: Words

/// Whether a byte is a letter, digit or underscore.
func isWord(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) || byte == UInt8(ascii: "_") }

func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) }

func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

func isParameterName(_ name: String) -> Bool {
    guard let first = name.utf8.first else { return false }
    return !isDigit(first) && name.utf8.allSatisfy(isWord)
}
