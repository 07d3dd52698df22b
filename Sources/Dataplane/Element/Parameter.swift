// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A place in a graph file, opaque here: the creator of a ``Value`` numbers its parts and resolves the numbers in errors.
public typealias Mark = Int32

/// A parameter's value as written in a graph file, before it is read by declared type.
public indirect enum Value: Sendable, Equatable {
    case scalar(String, Mark)
    case list([Value], Mark)
    /// Keys in written order, each with its own place.
    case map([(key: String, keyMark: Mark, value: Value)], Mark)

    /// Place in the file.
    public var mark: Mark {
        switch self {
        case .scalar(_, let mark), .list(_, let mark), .map(_, let mark): mark
        }
    }

    public static func == (a: Value, b: Value) -> Bool {
        switch (a, b) {
        case (.scalar(let x, _), .scalar(let y, _)): x == y
        case (.list(let x, _), .list(let y, _)): x == y
        case (.map(let x, _), .map(let y, _)):
            x.count == y.count && zip(x, y).allSatisfy { $0.key == $1.key && $0.value == $1.value }
        default: false
        }
    }

    /// The value in YAML flow style, as reports show it.
    public var text: String {
        switch self {
        case .scalar(let text, _): text
        case .list(let items, _): "[" + items.map(\.text).joined(separator: ", ") + "]"
        case .map(let entries, _): "{" + entries.map { "\($0.key): \($0.value.text)" }.joined(separator: ", ") + "}"
        }
    }
}

/// An error in a parameter's value, with its place.
public struct ParameterError: Error, Sendable {
    /// A sentence without capital or full stop, for example `'ten' is not a whole number`.
    public var message: String
    /// Place of the value, or of its key if that is wrong.
    public var mark: Mark
    /// The word probably meant, if one is close enough.
    public var suggestion: String?
    /// A stable name for this kind of error, in snake case.
    public var code: String
    /// Further errors in the same value, for example in other items of a list.
    public var others: [ParameterError] = []

    public init(_ message: String, at mark: Mark, suggestion: String? = nil, code: String = "bad_value") {
        self.message = message
        self.mark = mark
        self.suggestion = suggestion
        self.code = code
    }

    /// The error and the further ones, each alone.
    public var all: [ParameterError] {
        var alone = self
        alone.others = []
        return [alone] + others
    }

    /// What `read` makes of each item; throws the errors in all of them as one.
    static func collecting<Item, Result>(
        _ items: [Item],
        _ read: (Item) throws(ParameterError) -> Result
    ) throws(ParameterError) -> [Result] {
        var results: [Result] = []
        var errors: [ParameterError] = []
        for item in items {
            do throws(ParameterError) { results.append(try read(item)) } catch { errors += error.all }
        }
        try throwing(errors)
        return results
    }

    /// Throws the errors as one, if there are any.
    static func throwing(_ errors: [ParameterError]) throws(ParameterError) {
        guard var first = errors.first else { return }
        first.others = errors.dropFirst().flatMap(\.all)
        throw first
    }
}

/// The type of a parameter, for documents, the JSON schema and the graph's own `params`.
public enum ParameterType: Sendable, Equatable {
    case integer(ClosedRange<Int>)
    case boolean
    case string
    /// One of these words.
    case choice([String])
    /// Some of these words, in order.
    case choices([String])
    /// A time with unit, in nanoseconds: `20 us`.
    case duration(ClosedRange<Int64>)
    /// A size with unit, in bytes: `64 MiB`.
    case size(ClosedRange<Int>)
    /// A rate with unit: `64 Gbps`, `5 Mpps`.
    case rate
    /// A number between 0 and 1.
    case probability
    /// Any number of texts.
    case strings
    /// Names with a filter each, in pcap-filter syntax.
    case filters
    /// Names with a text each.
    case labels
    /// An Ethernet address, or, if that is so, the word `none`.
    case ethernet(orNone: Bool)
    /// IP addresses and networks of these versions.
    case prefixes([UInt8])

    /// For documents: the type and its range.
    public var description: String {
        switch self {
        case .integer(let range): "integer \(range.lowerBound) to \(range.upperBound)"
        case .boolean: "true or false"
        case .string: "string"
        case .choice(let words): words.joined(separator: ", ")
        case .choices(let words): "list of " + words.joined(separator: ", ")
        case .duration(let range):
            "time \(Quantity.duration(range.lowerBound)) to \(Quantity.duration(range.upperBound))"
        case .size(let range): "size \(Quantity.size(range.lowerBound)) to \(Quantity.size(range.upperBound))"
        case .rate: "rate"
        case .probability: "number 0 to 1"
        case .strings: "list of strings"
        case .filters: "names, each with a filter"
        case .labels: "names, each with a text"
        case .ethernet(let orNone): "Ethernet address\(orNone ? ", or none" : "")"
        case .prefixes(let versions):
            "list of \(versions.map { "IPv\($0)" }.joined(separator: " and ")) addresses or networks"
        }
    }

    /// A few values of the type, so different that whatever depends on a parameter differs for some of them.
    var samples: [Value] {
        let texts: [String] =
            switch self {
            case .integer(let range): [String(range.lowerBound), String(range.upperBound)]
            case .boolean: ["true", "false"]
            case .string: ["x"]
            case .choice(let words), .choices(let words): words
            case .duration(let range): [Quantity.duration(range.lowerBound), Quantity.duration(range.upperBound)]
            case .size(let range): [Quantity.size(range.lowerBound), Quantity.size(range.upperBound)]
            case .rate: ["1 pps", "1 bps"]
            case .probability: ["0", "1"]
            case .strings: ["", "x"]
            case .filters, .labels: []
            case .ethernet(let orNone): ["02:00:00:00:00:01"] + (orNone ? ["none"] : [])
            case .prefixes(let versions): versions.map { $0 == 4 ? "192.0.2.1" : "2001:db8::1" }
            }
        let scalars = texts.map { Value.scalar($0, 0) }
        guard self == .filters || self == .labels else { return scalars }
        return [.map([], 0), .map([("x", 0, .scalar("ip", 0))], 0), .map([("y", 0, .scalar("ip", 0))], 0)]
    }
}

/// A name with a filter in pcap-filter syntax.
public struct NamedFilter: Sendable, Equatable {
    /// The name of an output.
    public var name: String
    /// The filter as written; it may not compile.
    public var filter: String
    /// Place of the filter, for errors found when it is compiled.
    public var mark: Mark
    public init(name: String, filter: String, mark: Mark) {
        self.name = name
        self.filter = filter
        self.mark = mark
    }
}

/// One parameter of an element type: its name, type, range and description; its default is the value in `Config()`.
public struct Parameter<Config>: Sendable {
    /// The name in graph files.
    public let name: String
    /// Type and range of its values.
    public let type: ParameterType
    /// One phrase for documents.
    public let about: String
    /// It must be given; there is no sensible default.
    public let required: Bool
    /// It names a file that the element writes.
    public private(set) var isOutput = false
    let read: @Sendable (inout Config, Value) throws(ParameterError) -> Void
    let show: @Sendable (Config) -> String

    init(
        _ name: String,
        _ type: ParameterType,
        required: Bool,
        _ about: String,
        read: @escaping @Sendable (inout Config, Value) throws(ParameterError) -> Void,
        show: @escaping @Sendable (Config) -> String
    ) {
        self.name = name
        self.type = type
        self.about = about
        self.required = required
        self.read = read
        self.show = show
    }
}

extension Parameter {
    /// A whole number.
    public init(
        _ name: String,
        _ path: WritableKeyPath<Config, Int> & Sendable,
        in range: ClosedRange<Int>,
        required: Bool = false,
        _ about: String
    ) {
        self.init(
            name,
            .integer(range),
            required: required,
            about,
            read: { (c, v) throws(ParameterError) in c[keyPath: path] = try v.integer(in: range) },
            show: { String($0[keyPath: path]) }
        )
    }

    /// True or false.
    public init(_ name: String, _ path: WritableKeyPath<Config, Bool> & Sendable, _ about: String) {
        self.init(
            name,
            .boolean,
            required: false,
            about,
            read: { (c, v) throws(ParameterError) in c[keyPath: path] = try v.boolean() },
            show: { $0[keyPath: path] ? "true" : "false" }
        )
    }

    /// Any text.
    public init(
        _ name: String,
        _ path: WritableKeyPath<Config, String> & Sendable,
        required: Bool = false,
        _ about: String
    ) {
        self.init(
            name,
            .string,
            required: required,
            about,
            read: { (c, v) throws(ParameterError) in c[keyPath: path] = try v.string() },
            show: { $0[keyPath: path] }
        )
    }

    /// The name of a file to write.
    public init(
        _ name: String,
        file path: WritableKeyPath<Config, String> & Sendable,
        required: Bool = false,
        _ about: String
    ) {
        self.init(
            name,
            .string,
            required: required,
            about,
            read: { (c, v) throws(ParameterError) in
                let file = try v.string()
                if let flaw = OutputName.flaw(file) { throw ParameterError(flaw, at: v.mark) }
                c[keyPath: path] = file
            },
            show: { $0[keyPath: path] }
        )
        isOutput = true
    }

    /// One word of an enumeration.
    public init<E: RawRepresentable & CaseIterable & Sendable>(
        _ name: String,
        _ path: WritableKeyPath<Config, E> & Sendable,
        _ about: String
    ) where E.RawValue == String {
        let words = E.allCases.map(\.rawValue)
        self.init(
            name,
            .choice(words),
            required: false,
            about,
            read: { (c, v) throws(ParameterError) in c[keyPath: path] = E(rawValue: try v.choice(of: words))! },
            show: { $0[keyPath: path].rawValue }
        )
    }

    /// Some words of an enumeration, in the order written, each once. A text may list them with commas between, so that a graph
    /// parameter can be used there.
    public init<E: RawRepresentable & CaseIterable & Sendable>(
        _ name: String,
        _ path: WritableKeyPath<Config, [E]> & Sendable,
        _ about: String
    ) where E.RawValue == String {
        let words = E.allCases.map(\.rawValue)
        self.init(
            name,
            .choices(words),
            required: false,
            about,
            read: { (c, v) throws(ParameterError) in
                var seen: [String] = []
                let chosen = try ParameterError.collecting(try v.words()) { item throws(ParameterError) in
                    let word = try item.choice(of: words)
                    if seen.contains(word) { throw ParameterError("'\(word)' is listed twice", at: item.mark) }
                    seen.append(word)
                    return E(rawValue: word)!
                }
                if chosen.isEmpty { throw ParameterError("the list is empty", at: v.mark) }
                c[keyPath: path] = chosen
            },
            show: { "[" + $0[keyPath: path].map(\.rawValue).joined(separator: ", ") + "]" }
        )
    }

    /// A time with unit, kept in nanoseconds.
    public init(
        _ name: String,
        duration path: WritableKeyPath<Config, Int64> & Sendable,
        in range: ClosedRange<Int64>,
        _ about: String
    ) {
        self.init(
            name,
            .duration(range),
            required: false,
            about,
            read: { (c, v) throws(ParameterError) in c[keyPath: path] = try v.duration(in: range) },
            show: { Quantity.duration($0[keyPath: path]) }
        )
    }

    /// A size with unit, kept in bytes.
    public init(
        _ name: String,
        size path: WritableKeyPath<Config, Int> & Sendable,
        in range: ClosedRange<Int>,
        _ about: String
    ) {
        self.init(
            name,
            .size(range),
            required: false,
            about,
            read: { (c, v) throws(ParameterError) in c[keyPath: path] = try v.size(in: range) },
            show: { Quantity.size($0[keyPath: path]) }
        )
    }

    /// A rate with unit.
    public init(
        _ name: String,
        rate path: WritableKeyPath<Config, Rate> & Sendable,
        required: Bool = false,
        _ about: String
    ) {
        self.init(
            name,
            .rate,
            required: required,
            about,
            read: { (c, v) throws(ParameterError) in c[keyPath: path] = try v.rate() },
            show: { Quantity.rate($0[keyPath: path]) }
        )
    }

    /// A number between 0 and 1.
    public init(_ name: String, probability path: WritableKeyPath<Config, Double> & Sendable, _ about: String) {
        self.init(
            name,
            .probability,
            required: false,
            about,
            read: { (c, v) throws(ParameterError) in c[keyPath: path] = try v.probability() },
            show: { Quantity.number($0[keyPath: path]) }
        )
    }

    /// Texts, in the order written; there may be none. An empty text in place of the list means none, so that a graph parameter
    /// can be used there. `flaw` returns what is wrong with a text, as a sentence without capital or full stop; nil if it is
    /// valid.
    public init(
        _ name: String,
        strings path: WritableKeyPath<Config, [String]> & Sendable,
        required: Bool = false,
        _ about: String,
        flaw: @escaping @Sendable (String) -> String? = { _ in nil }
    ) {
        self.init(
            name,
            .strings,
            required: required,
            about,
            read: { (c, v) throws(ParameterError) in
                var texts: [String] = []
                if v != .scalar("", v.mark) {
                    texts = try ParameterError.collecting(try v.items()) { item throws(ParameterError) in
                        let text = try item.string()
                        if let flaw = flaw(text) { throw ParameterError(flaw, at: item.mark) }
                        return text
                    }
                }
                c[keyPath: path] = texts
            },
            // In this kind of quotation marks YAML accepts every character except these as it is.
            show: { config in
                let texts = config[keyPath: path].map { text in
                    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
                }
                return "[" + texts.joined(separator: ", ") + "]"
            }
        )
    }

    /// Names with a filter each.
    public init(
        _ name: String,
        filters path: WritableKeyPath<Config, [NamedFilter]> & Sendable,
        required: Bool = false,
        _ about: String
    ) {
        self.init(
            name,
            .filters,
            required: required,
            about,
            read: { (c, v) throws(ParameterError) in c[keyPath: path] = try v.filters() },
            show: { "{" + $0[keyPath: path].map { "\($0.name): \($0.filter)" }.joined(separator: ", ") + "}" }
        )
    }
}

extension Parameter {
    /// An Ethernet address. `flaw` returns what is wrong with one, as a sentence without capital or full stop; nil if it is valid.
    /// By default a group has none.
    public init(
        _ name: String,
        ethernet path: WritableKeyPath<Config, EthernetAddress> & Sendable,
        required: Bool = false,
        _ about: String,
        flaw: @escaping @Sendable (EthernetAddress) -> String? = {
            $0.isUnicast ? nil : "'\($0)' is no address of one station"
        }
    ) {
        self.init(
            name,
            .ethernet(orNone: false),
            required: required,
            about,
            read: { (c, v) throws(ParameterError) in c[keyPath: path] = try v.ethernet(flaw) },
            show: { "\($0[keyPath: path])" }
        )
    }

    /// An Ethernet address, or nil, written `none`; `flaw` as for one that must be there.
    public init(
        _ name: String,
        ethernetIfAny path: WritableKeyPath<Config, EthernetAddress?> & Sendable,
        _ about: String,
        flaw: @escaping @Sendable (EthernetAddress) -> String? = { _ in nil }
    ) {
        self.init(
            name,
            .ethernet(orNone: true),
            required: false,
            about,
            read: { (c, v) throws(ParameterError) in
                c[keyPath: path] = try v.string() == "none" ? nil : v.ethernet(flaw)
            },
            show: { $0[keyPath: path].map { "\($0)" } ?? "none" }
        )
    }

    /// IP addresses and networks of some versions, in the order written; there may be none, unless the parameter is required. An
    /// empty text in place of the list means none. `flaw` returns what is wrong with one, as a sentence without capital or
    /// full stop; nil if it is valid. By default the address of a network has no bits beyond those that name it, and is no group's.
    public init(
        _ name: String,
        prefixes path: WritableKeyPath<Config, [IPPrefix]> & Sendable,
        versions: [UInt8],
        required: Bool = false,
        _ about: String,
        flaw: @escaping @Sendable (IPPrefix) -> String? = { prefix in
            if prefix.address != prefix.first {
                return "'\(prefix)' is an address in the network \(IPPrefix(prefix.first, length: prefix.length))"
            }
            return prefix.address.isMulticast ? "'\(prefix)' is a group" : nil
        }
    ) {
        self.init(
            name,
            .prefixes(versions),
            required: required,
            about,
            read: { (c, v) throws(ParameterError) in
                var prefixes: [IPPrefix] = []
                if v != .scalar("", v.mark) {
                    prefixes = try ParameterError.collecting(try v.words()) { item throws(ParameterError) in
                        let prefix = try item.prefix(versions)
                        if let flaw = flaw(prefix) { throw ParameterError(flaw, at: item.mark) }
                        return prefix
                    }
                }
                if prefixes.isEmpty, required { throw ParameterError("the list is empty", at: v.mark) }
                c[keyPath: path] = prefixes
            },
            show: { "[" + $0[keyPath: path].map { "'\($0)'" }.joined(separator: ", ") + "]" }
        )
    }

    /// Names with a text each, in the order written; there may be none.
    public init(
        _ name: String,
        labels path: WritableKeyPath<Config, [Label]> & Sendable,
        _ about: String
    ) {
        self.init(
            name,
            .labels,
            required: false,
            about,
            read: { (c, v) throws(ParameterError) in
                guard case .map(let entries, _) = v else {
                    throw ParameterError("expected names with a text each, as in {app: dns}", at: v.mark)
                }
                guard entries.count <= Label.most else {
                    throw ParameterError("there are more than \(Label.most) labels", at: v.mark)
                }
                c[keyPath: path] = try ParameterError.collecting(entries) { entry throws(ParameterError) in
                    let (name, mark, value) = entry
                    let isName = name.unicodeScalars.allSatisfy {
                        $0 == "_" || $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0))
                    }
                    guard isName, !name.isEmpty else {
                        throw ParameterError("'\(name)' cannot name a column: letters, digits and '_'", at: mark)
                    }
                    let text = try value.string()
                    guard text.utf8.count <= Label.longest else {
                        throw ParameterError("a label is longer than \(Label.longest) bytes", at: value.mark)
                    }
                    return Label(name: name, text: text)
                }
            },
            show: { config in
                let texts = config[keyPath: path].map { label in
                    "\(label.name): '"
                        + label.text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''")
                        + "'"
                }
                return "{" + texts.joined(separator: ", ") + "}"
            }
        )
    }
}

/// A column of records that holds the same text in all of them.
public struct Label: Sendable, Equatable {
    /// The most bytes of a text.
    public static let longest = 1_000
    /// The most labels of one element.
    public static let most = 16

    /// The column's name.
    public var name: String
    /// The text.
    public var text: String

    public init(name: String, text: String) {
        self.name = name
        self.text = text
    }
}

// MARK: Reading values

extension Value {
    /// The text of a scalar.
    public func string() throws(ParameterError) -> String {
        guard case .scalar(let text, _) = self else {
            throw ParameterError("expected a single value, found a \(shape)", at: mark)
        }
        return text
    }

    /// The items of a list of words; a scalar counts as one such list with commas between, in brackets or not.
    func words() throws(ParameterError) -> [Value] {
        guard case .scalar(let text, let mark) = self, text.utf8.contains(UInt8(ascii: ",")) || text.hasPrefix("[")
        else {
            return try items()
        }
        let list = text.hasPrefix("[") && text.hasSuffix("]") ? text.dropFirst().dropLast() : text[...]
        return list.split(separator: ",", omittingEmptySubsequences: false).map { word in
            .scalar(String(word.drop { $0 == " " }.prefix { $0 != " " }), mark)
        }
    }

    /// The items of a list; a scalar counts as a list of one.
    public func items() throws(ParameterError) -> [Value] {
        switch self {
        case .list(let items, _): items
        case .scalar: [self]
        case .map: throw ParameterError("expected a list, found a map", at: mark)
        }
    }

    private var shape: String {
        switch self {
        case .scalar: "single value"
        case .list: "list"
        case .map: "map"
        }
    }

    /// A whole number in `range`; the error says what the value is instead.
    public func integer(in range: ClosedRange<Int>) throws(ParameterError) -> Int {
        let text = try string()
        guard let n = Quantity.integer(text) else {
            let hasUnit = text.first?.isNumber == true && text.last?.isLetter == true
            throw ParameterError("'\(text)' is not a whole number\(hasUnit ? "; this one has no unit" : "")", at: mark)
        }
        guard range.contains(n) else {
            throw ParameterError("\(text) is out of range, \(range.lowerBound) to \(range.upperBound)", at: mark)
        }
        return n
    }

    /// `true` or `false`.
    public func boolean() throws(ParameterError) -> Bool {
        switch try string() {
        case "true": true
        case "false": false
        case let text: throw ParameterError("'\(text)' is neither true nor false", at: mark)
        }
    }

    /// One of `words`; the error suggests the closest.
    public func choice(of words: [String]) throws(ParameterError) -> String {
        let text = try string()
        if words.contains(text) { return text }
        throw ParameterError(
            "'\(text)' is not one of " + words.joined(separator: ", "),
            at: mark,
            suggestion: nearest(to: text, among: words)
        )
    }

    /// A time with unit, in nanoseconds; throws if it is outside `range`.
    public func duration(in range: ClosedRange<Int64>) throws(ParameterError) -> Int64 {
        let text = try string()
        let ns: Int64
        do throws(Quantity.Failure) { ns = try Quantity.parseDuration(text) } catch {
            throw ParameterError(error.message, at: mark, suggestion: error.suggestion)
        }
        guard range.contains(ns) else {
            throw ParameterError(
                "\(text) is out of range, \(Quantity.duration(range.lowerBound)) to "
                    + Quantity.duration(range.upperBound),
                at: mark
            )
        }
        return ns
    }

    /// A size with unit, in bytes; throws if it is outside `range`.
    public func size(in range: ClosedRange<Int>) throws(ParameterError) -> Int {
        let text = try string()
        let bytes: Int
        do throws(Quantity.Failure) { bytes = try Quantity.parseSize(text) } catch {
            throw ParameterError(error.message, at: mark, suggestion: error.suggestion)
        }
        guard range.contains(bytes) else {
            throw ParameterError(
                "\(text) is out of range, \(Quantity.size(range.lowerBound)) to \(Quantity.size(range.upperBound))",
                at: mark
            )
        }
        return bytes
    }

    /// A rate with unit.
    public func rate() throws(ParameterError) -> Rate {
        let text = try string()
        do throws(Quantity.Failure) { return try Quantity.parseRate(text) } catch {
            throw ParameterError(error.message, at: mark, suggestion: error.suggestion)
        }
    }

    /// A number from 0 to 1.
    public func probability() throws(ParameterError) -> Double {
        let text = try string()
        guard let p = Quantity.decimal(text) else { throw ParameterError("'\(text)' is not a number", at: mark) }
        guard (0...1).contains(p) else { throw ParameterError("\(text) is out of range, 0 to 1", at: mark) }
        return p
    }

    /// An Ethernet address; `flaw` says what is wrong with one.
    func ethernet(_ flaw: (EthernetAddress) -> String?) throws(ParameterError) -> EthernetAddress {
        let text = try string()
        guard let address = EthernetAddress(text) else {
            throw ParameterError("'\(text)' is no Ethernet address, which looks like 02:00:00:00:00:01", at: mark)
        }
        if let flaw = flaw(address) { throw ParameterError(flaw, at: mark) }
        return address
    }

    /// An IP address or network of one of `versions`.
    func prefix(_ versions: [UInt8]) throws(ParameterError) -> IPPrefix {
        let text = try string()
        if let prefix = IPPrefix(text), versions.contains(prefix.address.version) { return prefix }
        let kinds = versions.map { "IPv\($0)" }.joined(separator: " or ")
        throw ParameterError(
            "'\(text)' is neither an \(kinds) address nor a network with the length of its prefix",
            at: mark
        )
    }

    /// The entries of a map from names to filters; throws if a name appears twice.
    public func filters() throws(ParameterError) -> [NamedFilter] {
        guard case .map(let entries, _) = self else {
            throw ParameterError("expected names with a filter each, found a \(shape)", at: mark)
        }
        var names: Set<String> = []
        return try ParameterError.collecting(entries) { entry throws(ParameterError) in
            if !names.insert(entry.key).inserted {
                throw ParameterError("'\(entry.key)' is named twice", at: entry.keyMark)
            }
            return NamedFilter(name: entry.key, filter: try entry.value.string(), mark: entry.value.mark)
        }
    }
}
