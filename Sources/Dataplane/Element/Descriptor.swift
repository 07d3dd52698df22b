// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// An element type with its Swift type erased, for the checker, the documents and the runtimes.
public struct ElementDescriptor: Sendable {
    /// One parameter, for documents and the schema.
    public struct ParameterInfo: Sendable {
        /// The name in graph files.
        public var name: String
        /// Type and range of its values.
        public var type: ParameterType
        /// The default as written in a graph file; nil when the parameter must be given.
        public var defaultText: String?
        /// One phrase on its purpose.
        public var about: String
    }
    /// A name with a phrase.
    public struct Named: Sendable {
        /// The name, in snake case.
        public var name: String
        /// One phrase about it.
        public var about: String
    }

    /// The name in graph files: that of the Swift type.
    public let name: String
    /// One phrase that completes "the element ...".
    public let summary: String
    /// The type's doc comment, in Markdown; empty if there is none.
    public let documentation: String
    /// The family the documents list it under.
    public let category: Category
    /// Everything that the result for an item depends on.
    public let depends: Depends
    /// How packets may be divided among several of it.
    public let divides: Divides
    /// The sides it may be placed on.
    public let sides: Sides
    /// Its parameters, in the order it declares them.
    public let parameters: [ParameterInfo]
    /// The reasons for which it drops items, in the order of their numbers; empty if it never does.
    public let drops: [Named]
    /// The values that can be read from a running element.
    public let handlers: [Named]
    /// Those of which, among equal elements, the greatest value counts.
    let greatest: Set<String>
    /// The operations it counts.
    public let operations: [Operation]
    /// Bytes of state it keeps for each flow of the table upstream.
    public internal(set) var stateBytesPerFlow: Int
    /// The output by which packets take a slow path that leads back; nil where there is none.
    public let slowOutput: Int?
    /// Small runs, for documents and tests.
    public let examples: [Example]
    /// Ports of the default configuration.
    public let defaultInputs: [Input]
    /// Outputs of the default configuration.
    public let defaultOutputs: [Output]
    private let configureValues: @Sendable ([(name: String, mark: Mark, value: Value)], Mark) -> Configured
    private let outlineValues: @Sendable ([(name: String, mark: Mark, value: Value)], Set<String>) -> ConfiguredElement?

    /// The result of configuring: an element ready to be made, or all errors.
    public typealias Configured = (element: ConfiguredElement?, errors: [ParameterError])

    /// Erases `type`; `documentation` is the text of its doc comment.
    public init<E: Element>(_ type: E.Type, documentation: String = "") {
        name = E.name
        summary = E.summary
        self.documentation = documentation
        category = E.category
        depends = E.depends
        divides = E.divides
        sides = E.sides
        let defaults = E.Config()
        let infos = E.parameters.map {
            ParameterInfo(
                name: $0.name,
                type: $0.type,
                defaultText: $0.required ? nil : $0.show(defaults),
                about: $0.about
            )
        }
        parameters = infos
        let reasons =
            E.Drop.self == NeverDrops.self
            ? [] : E.Drop.allCases.map { Named(name: snakeCase("\($0)"), about: $0.about) }
        drops = reasons
        handlers = E.handlers.map { Named(name: $0.name, about: $0.about) }
        greatest = Set(E.handlers.lazy.filter { $0.sum == .greatest }.map(\.name))
        operations = E.operations
        stateBytesPerFlow = E.stateBytesPerFlow
        slowOutput = E.slowOutput
        examples = E.examples
        defaultInputs = E.inputs(defaults)
        defaultOutputs = E.outputs(defaults)
        configureValues = { values, mark in
            var config = defaults
            var errors: [ParameterError] = []
            for (name, nameMark, value) in values {
                guard let parameter = E.parameters.first(where: { $0.name == name }) else {
                    let names = E.parameters.map(\.name)
                    errors.append(
                        ParameterError(
                            "\(E.name) has no parameter '\(name)'; it has "
                                + (names.isEmpty ? "none" : names.joined(separator: ", ")),
                            at: nameMark,
                            suggestion: nearest(to: name, among: names),
                            code: "unknown_parameter"
                        )
                    )
                    continue
                }
                do throws(ParameterError) { try parameter.read(&config, value) } catch { errors += error.all }
            }
            for parameter in E.parameters
            where parameter.required && !values.contains(where: { $0.name == parameter.name }) {
                errors.append(
                    ParameterError(
                        "\(E.name) needs the parameter '\(parameter.name)': \(parameter.about)",
                        at: mark,
                        code: "missing_parameter"
                    )
                )
            }
            guard errors.isEmpty else { return (nil, errors) }
            return (ConfiguredElement(E.self, config), [])
        }
        outlineValues = { values, unknown in
            var config = defaults
            var doubtful = unknown
            for (name, _, value) in values {
                if let parameter = E.parameters.first(where: { $0.name == name }) {
                    do throws(ParameterError) { try parameter.read(&config, value) } catch { doubtful.insert(name) }
                } else if let meant = nearest(to: name, among: E.parameters.map(\.name)) {
                    doubtful.insert(meant)
                }
            }
            let given = Set(values.map(\.name))
            for parameter in E.parameters where parameter.required && !given.contains(parameter.name) {
                doubtful.insert(parameter.name)
            }
            let known = config
            let ports = PortsText(E.inputs(known), E.outputs(known))
            let areKnown = E.parameters.filter { doubtful.contains($0.name) }.allSatisfy { parameter in
                parameter.type.samples.allSatisfy { sample in
                    var other = known
                    do throws(ParameterError) { try parameter.read(&other, sample) } catch { return true }
                    return PortsText(E.inputs(other), E.outputs(other)) == ports
                }
            }
            return areKnown ? ConfiguredElement(E.self, known) : nil
        }
    }

    /// The element as far as its sound values tell, for checking what is connected to it: nil if its ports depend on a value that
    /// is unsound, missing, misspelled or among `unknown`.
    public func outline(
        _ values: [(name: String, mark: Mark, value: Value)],
        unknown: Set<String>
    ) -> ConfiguredElement? {
        outlineValues(values, unknown)
    }

    /// Reads parameter values by declared type and reports all errors at once; `mark` is the element's own place.
    public func configure(_ values: [(name: String, mark: Mark, value: Value)], at mark: Mark) -> Configured {
        configureValues(values, mark)
    }
}

/// What graphs see of an element's ports.
private struct PortsText: Equatable {
    private let ports: [String]

    init(_ inputs: [Input], _ outputs: [Output]) {
        ports =
            inputs.map { "\($0.name) \($0.accepts) \($0.needsFlow) \($0.optional)" }
            + outputs.map { "\($0.name) \($0.gives) \($0.optional)" }
    }
}

extension ConfiguredElement {
    /// An element of type `type` with the values in `config`.
    init<E: Element>(_ type: E.Type, _ config: E.Config, flowCapacity: Int? = nil) {
        let handlers = E.handlers
        self.init(
            inputs: E.inputs(config),
            outputs: E.outputs(config),
            flowCapacity: flowCapacity ?? E.flowCapacity(config),
            heldItems: E.heldItems(config),
            shortestTimer: E.shortestTimer(config),
            settings: E.parameters.map { (name: $0.name, text: $0.show(config)) },
            files: E.parameters.filter(\.isOutput).map { $0.show(config) },
            make: { try E(config, $0) },
            readHandlers: { element in
                guard let element = element as? E else { return [] }
                return handlers.map { (name: $0.name, value: $0.read(element)) }
            }
        )
    }
}

/// An element whose parameters have been read, to be made as often as runs need it.
public struct ConfiguredElement: Sendable {
    /// The inputs of this configuration.
    public let inputs: [Input]
    /// The outputs of this configuration.
    public let outputs: [Output]
    /// The number of flows a flow table can hold; nil for other elements.
    public let flowCapacity: Int?
    /// The most items that it may hold.
    public let heldItems: Int
    /// The earliest due time of timers it arms for an item; nil if it arms none.
    public let shortestTimer: ShortestTimer?
    /// Every parameter with its value, including defaults.
    public let settings: [(name: String, text: String)]
    /// The files it writes, whether named or by default; `-` is standard output.
    public let files: [String]
    /// Makes the element.
    public let make: @Sendable (Setup) throws -> ElementBase
    /// Reads all handlers of an element returned by ``make``.
    public let readHandlers: @Sendable (ElementBase) -> [(name: String, value: Int)]
}

/// `badChecksum` as `bad_checksum`.
func snakeCase(_ name: String) -> String {
    var out = ""
    for character in name {
        if character.isUppercase {
            out += "_" + character.lowercased()
        } else {
            out.append(character)
        }
    }
    return out
}

/// The element types available to graphs.
public struct Catalog: Sendable {
    /// The types, in the order in which documents list them.
    public private(set) var types: [ElementDescriptor]

    public init(_ types: [ElementDescriptor]) { self.types = types }

    /// The type called `name`; nil when there is none.
    public subscript(_ name: String) -> ElementDescriptor? { types.first { $0.name == name } }

    /// This catalog with further types; a type with the same name replaces the old one.
    public func adding(_ more: [ElementDescriptor]) -> Catalog {
        Catalog(types.filter { old in !more.contains { $0.name == old.name } } + more)
    }
}
