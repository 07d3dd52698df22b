// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Assembles a graph from its files: places compounds, configures elements, follows chains.
///
/// The result is vertices and links. A vertex is an element, or a compound's port, through which links continue.
final class GraphBuilder {
    let session: Session
    let catalog: Catalog
    let services: any Services
    /// The compounds read so far.
    let modules = ModuleCache()

    private(set) var vertices: [Vertex] = []
    private(set) var links: [Link] = []
    /// Sets of vertices that must be on the same side, each with its place in the file.
    private(set) var together: [(members: [Int], mark: Mark)] = []
    /// The names of elements that could not be made, and of compounds that could not be read.
    private(set) var failed: Set<String> = []
    private var linkOf: [Output: Int] = [:]
    /// The place where each element got its name.
    private var paths: [String: Mark] = [:]
    private var work = 0
    private var isTooLarge = false
    let types: [String: ElementDescriptor]

    struct Vertex {
        /// The name in the graph; for ports of compounds in words: `output 'open' of 'front'`.
        var name: String
        /// The place of its declaration, or of the hop that made it.
        var mark: Mark
        /// Nil for a compound's port.
        var element:
            (
                type: ElementDescriptor, configured: ConfiguredElement,
                values: [(name: String, mark: Mark, value: Value)]
            )?
        /// All values of its parameters are valid; if not, the element is only an outline, whose ports are right.
        var isSound = true
        var place: Side?
        /// An error in its connections was reported: they are not checked again.
        var isTainted = false
    }
    struct Link {
        var from: Output
        var to: Input
        /// The places of the hops at its ends.
        var fromMark: Mark
        var toMark: Mark
    }
    struct Output: Hashable {
        var vertex: Int
        var port: Int
    }
    struct Input: Hashable {
        var vertex: Int
        var port: Int
    }

    init(session: Session, catalog: Catalog, services: any Services) {
        self.session = session
        self.catalog = catalog
        self.services = services
        types = Dictionary(catalog.types.map { ($0.name, $0) }) { $1 }
    }

    // MARK: One file

    /// Places `module`: adds its elements under `prefix`. Returns the ports that face outward; nil if there is no room for it.
    @discardableResult
    func place(
        _ module: Module,
        prefix: String = "",
        _ bindings: Bindings,
        pin: Side? = nil,
        within: [Module] = [],
        at mark: Mark
    ) -> (inputs: [(name: String, vertex: Int)], outputs: [(name: String, vertex: Int)])? {
        work += module.work
        guard work <= session.limits.work else {
            if !isTooLarge {
                session.report(.tooLarge, "the graph is too large once all compounds are in place", at: mark)
            }
            isTooLarge = true
            return nil
        }
        var scope = Scope(module: module, prefix: prefix, bindings: bindings, pin: pin, within: within + [module])
        // Ports come first, so that nothing else can take their names.
        func ports(_ names: [(text: String, mark: Mark)], _ isInput: Bool) -> [(name: String, vertex: Int)] {
            names.compactMap { name, mark in
                guard isFree(name, mark, what: "a port", scope) else { return nil }
                let vertex = vertices.count
                let owner = prefix.isEmpty ? module.name : String(prefix.dropLast())
                vertices.append(Vertex(name: "\(isInput ? "input" : "output") '\(name)' of '\(owner)'", mark: mark))
                var handle = Handle(
                    mark: mark,
                    what: "an \(isInput ? "input" : "output") of the compound",
                    members: vertex..<(vertex + 1),
                    hasPorts: false
                )
                if isInput { handle.outputs = [("", Output(vertex: vertex, port: 0))] }
                if !isInput { handle.inputs = [("", Input(vertex: vertex, port: 0))] }
                scope.add(name, handle)
                return (name, vertex)
            }
        }
        let inputs = ports(module.inputs, true)
        let outputs = ports(module.outputs, false)
        for (name, mark, value) in module.elements { declare(name, mark, value, &scope) }
        let nodes = module.chains.map { $0.hops.map { $0.flatMap { node(of: $0, &scope) } } }
        for (chain, nodes) in zip(module.chains, nodes) { follow(chain, nodes, &scope) }
        holdTogether(scope)
        for name in scope.names {
            guard let handle = scope.handles[name], !handle.isUsed else { continue }
            if !handle.hasPorts {
                if scope.chainsAreWhole {
                    let code: Code = handle.inputs.isEmpty ? .unusedInput : .unusedOutput
                    session.report(code, "'\(name)' is \(handle.what), and no chain uses it", at: handle.mark)
                }
            } else if scope.chainsAreWhole, !handle.isFailed {
                session.report(.unusedElement, "no chain uses the element '\(name)'", at: handle.mark)
            }
            taint(handle)
        }
        for parameter in module.parameters where parameter.type != nil && bindings[parameter.name]?.isUsed == false {
            session.report(.unusedParameter, "the parameter '\(parameter.name)' is used nowhere", at: parameter.mark)
        }
        return (inputs, outputs)
    }

    /// Whether `name` is available for something new; reports an error otherwise.
    private func isFree(_ name: String, _ mark: Mark, what: String, _ scope: Scope) -> Bool {
        if !isElementName(name) {
            session.report(
                .badName,
                "'\(name)' cannot name \(what): letters, digits, '_' and '-', a letter first",
                at: mark
            )
        } else if types[name] != nil || scope.module.compounds[name] != nil {
            session.report(.badName, "'\(name)' is the name of an element type, so it cannot name \(what)", at: mark)
        } else if let other = scope.handles[name] {
            let note = Session.Note("'\(name)' is \(other.what)", other.mark)
            session.report(.duplicateName, "the name '\(name)' is taken", at: mark, notes: [note])
        } else {
            return true
        }
        return false
    }

    // MARK: Elements

    /// Adds the element or compound declared by one entry of `elements:`.
    private func declare(_ name: String, _ mark: Mark, _ value: Value, _ scope: inout Scope) {
        guard isFree(name, mark, what: "an element", scope) else {
            // The name is registered all the same, so that chains that use it give no further errors.
            if scope.handles[name] == nil, types[name] == nil, scope.module.compounds[name] == nil {
                fail(name, mark, &scope)
            }
            return
        }
        guard case .map(let entries, _) = value else {
            var suggestion: String?
            if case .scalar(let type, _) = value, types[type] != nil { suggestion = "write {type: \(type)}" }
            session.report(.wrongShape, "an element must be a map with 'type'", at: value.mark, suggestion: suggestion)
            return fail(name, mark, &scope)
        }
        guard let typeValue = entries.first(where: { $0.key == "type" })?.value else {
            session.report(.missingKey, "the element '\(name)' needs 'type'", at: mark)
            return fail(name, mark, &scope)
        }
        guard let type = session.text(typeValue, "'type'") else { return fail(name, mark, &scope) }
        var place = scope.pin
        if let value = entries.first(where: { $0.key == "place" })?.value {
            let side = side(value, "'place'")
            if let side, let pin = scope.pin, pin != side {
                session.report(
                    .badSide,
                    "'\(name)' cannot be on the \(side): the compound it is in is placed on the \(pin)",
                    at: value.mark
                )
            }
            place = side ?? scope.pin
        }
        let given = entries.filter { $0.key != "type" && $0.key != "place" }
        let arguments = given.map { Argument($0.key, $0.keyMark, session.substitute($0.value, scope.bindings)) }
        let written = Dictionary(given.map { ($0.key, $0.value) }) { $1 }
        add(name, type, at: mark, typeMark: typeValue.mark, place: place, arguments, written: written, &scope)
    }

    private func side(_ value: Value, _ what: String) -> Side? {
        guard let text = session.text(value, what) else { return nil }
        if let side = Side(rawValue: text) { return side }
        let suggestion = session.suggest(text, among: ["nic", "host"])
        session.report(.badValue, "'\(text)' is neither nic nor host", at: value.mark, suggestion: suggestion)
        return nil
    }

    private func fail(_ name: String, _ mark: Mark, _ scope: inout Scope) {
        failed.insert(scope.prefix + name)
        scope.add(name, Handle(mark: mark, what: "declared here", isFailed: true))
    }

    /// Adds an element or compound `name` of type `type`; `written` are its values before parameters were put in place.
    func add(
        _ name: String,
        _ type: String,
        at mark: Mark,
        typeMark: Mark,
        place: Side?,
        _ arguments: [Argument],
        written: [String: Value] = [:],
        _ scope: inout Scope
    ) {
        let path = scope.prefix + name
        if let compound = scope.module.compounds[type] {
            addCompound(name, compound, at: mark, place: place, arguments, &scope)
        } else if let type = types[type] {
            guard let (configured, isSound) = configure(type, arguments, written, at: mark) else {
                return fail(name, mark, &scope)
            }
            if let place, type.sides.rawValue != "either", type.sides.rawValue != place.rawValue {
                session.report(.badSide, "'\(name)' is a \(type.name), which cannot be on the \(place)", at: mark)
            }
            // `front/sort` may be both declared and part of a compound `front`.
            if let other = paths.updateValue(mark, forKey: path) {
                session.report(
                    .duplicateName,
                    "the name '\(path)' is taken",
                    at: mark,
                    notes: [Session.Note("first here", other)]
                )
            }
            let vertex = vertices.count
            let values = arguments.compactMap { argument in argument.value.map { (argument.name, argument.mark, $0) } }
            vertices.append(
                Vertex(name: path, mark: mark, element: (type, configured, values), isSound: isSound, place: place)
            )
            scope.add(
                name,
                Handle(
                    mark: mark,
                    what: "\(article(type.name)) declared here",
                    inputs: configured.inputs.enumerated().map { ($1.name, Input(vertex: vertex, port: $0)) },
                    outputs: configured.outputs.enumerated().map { ($1.name, Output(vertex: vertex, port: $0)) },
                    members: vertex..<(vertex + 1)
                )
            )
        } else {
            if !scope.module.lacksCompounds {
                session.report(
                    .unknownType,
                    "there is no element type '\(type)'",
                    at: typeMark,
                    suggestion: session.suggest(type, among: typeNames(scope.module))
                )
            }
            fail(name, mark, &scope)
        }
    }

    private func addCompound(
        _ name: String,
        _ compound: Module,
        at mark: Mark,
        place: Side?,
        _ arguments: [Argument],
        _ scope: inout Scope
    ) {
        if let first = scope.within.firstIndex(where: { $0 === compound }) {
            let names = (scope.within[first...].map(\.name) + [compound.name]).joined(separator: " -> ")
            session.report(.compoundCycle, "the compound \(compound.name) is within itself: \(names)", at: mark)
            return fail(name, mark, &scope)
        }
        guard scope.within.count <= session.limits.compoundDepth else {
            let deepest = session.limits.compoundDepth
            session.report(.compoundsTooDeep, "compounds are more than \(deepest) deep", at: mark)
            return fail(name, mark, &scope)
        }
        let first = vertices.count
        let bindings = session.bind(compound.parameters, arguments, of: compound.name, .reported(mark))
        guard
            let ports = self.place(
                compound,
                prefix: scope.prefix + name + "/",
                bindings,
                pin: place,
                within: scope.within,
                at: mark
            )
        else { return fail(name, mark, &scope) }
        // From here on, an unconnected port is a fault of this use of the compound.
        for port in ports.inputs + ports.outputs { vertices[port.vertex].mark = mark }
        scope.add(
            name,
            Handle(
                mark: mark,
                what: "\(article(compound.name)) declared here",
                inputs: ports.inputs.map { ($0.name, Input(vertex: $0.vertex, port: 0)) },
                outputs: ports.outputs.map { ($0.name, Output(vertex: $0.vertex, port: 0)) },
                members: first..<vertices.count
            )
        )
    }

    /// Reads the parameters of an element. All errors are reported; if there are some, the element is not sound, and nil if its
    /// ports are not known either.
    private func configure(
        _ type: ElementDescriptor,
        _ arguments: [Argument],
        _ written: [String: Value],
        at mark: Mark
    ) -> (element: ConfiguredElement, isSound: Bool)? {
        var values: [(name: String, mark: Mark, value: Value)] = []
        for argument in arguments {
            // One value already known to be invalid does not hide errors in the others.
            guard let value = argument.value else { continue }
            values.append((argument.name, argument.mark, value))
        }
        let poisoned = Set(arguments.filter { $0.value == nil }.map(\.name))
        let (configured, errors) = type.configure(values, at: mark)
        for error in errors {
            if error.code == "missing_parameter", !poisoned.isEmpty { continue }
            let madeUp = session.substitutions[error.mark]?.contains { $0.binding.isPlaceholder } ?? false
            if !madeUp { session.report(error) }
        }
        let filtersAreGood = checkFilters(among: values, of: type)
        for name in poisoned where !type.parameters.contains(where: { $0.name == name }) {
            guard let argument = arguments.first(where: { $0.name == name }) else { continue }
            // Only the name can be reported, since the value is already known to be invalid.
            let (_, errors) = type.configure([(name, argument.mark, .scalar("", argument.mark))], at: mark)
            for error in errors where error.code == "unknown_parameter" { session.report(error) }
        }
        if let configured, poisoned.isEmpty { return (configured, filtersAreGood) }
        if session.isFull { return nil }
        // Of filters one of which has a parameter without value, the names are known, and the others can be checked.
        for parameter in type.parameters where parameter.type == .filters && poisoned.contains(parameter.name) {
            guard let value = written[parameter.name] else { continue }
            _ = checkFilters(among: [(parameter.name, mark, value.withoutParameters)], of: type)
            values.append((parameter.name, mark, value))
        }
        return type.outline(values, unknown: poisoned.subtracting(values.map(\.name))).map { ($0, false) }
    }

    func typeNames(_ module: Module) -> [String] {
        catalog.types.map(\.name) + module.compounds.keys.sorted()
    }

    // MARK: Connections

    /// Adds a link; if its output already has one, returns that instead.
    func connect(_ link: Link) -> Link? {
        if let first = linkOf[link.from] { return links[first] }
        linkOf[link.from] = links.count
        links.append(link)
        return nil
    }

    /// Stops checking the connections of all ports of `handle`.
    func taint(_ handle: Handle) {
        for input in handle.inputs { vertices[input.end.vertex].isTainted = true }
        for output in handle.outputs { vertices[output.end.vertex].isTainted = true }
    }

    /// Stops checking the connections of a vertex.
    func taint(_ vertex: Int) { vertices[vertex].isTainted = true }

    // MARK: Constraints

    private func holdTogether(_ scope: Scope) {
        for names in scope.module.together {
            var members: [Int] = []
            for (name, mark) in names {
                if let handle = scope.handles[name], handle.hasPorts {
                    members += handle.members.filter { vertices[$0].element != nil }
                } else {
                    let names = scope.names.filter { scope.handles[$0]?.hasPorts ?? false }
                    session.report(
                        .unknownElement,
                        "there is no element '\(name)'",
                        at: mark,
                        suggestion: session.suggest(name, among: names)
                    )
                }
            }
            work += members.count
            guard work <= session.limits.work else {
                session.report(.tooLarge, "there is too much to keep together", at: names[0].mark)
                return
            }
            if let first = names.first, members.count > 1 { together.append((members, first.mark)) }
        }
    }
}

func article(_ name: String) -> String {
    // Type names are read aloud: `an IPCheck`, `an HTTPParser`, `a Classifier`.
    let spelled = name.count > 1 && name.prefix(2).allSatisfy(\.isUppercase)
    let vowels = spelled ? "AEFHILMNORSX" : "AEIO"
    return (name.first.map(vowels.contains) ?? false ? "an " : "a ") + name
}

extension Value {
    /// A map without the entries in which a dollar sign stands; any other value as it is.
    fileprivate var withoutParameters: Value {
        guard case .map(let entries, let mark) = self else { return self }
        return .map(
            entries.filter { if case .scalar(let text, _) = $0.value { !text.contains("$") } else { true } },
            mark
        )
    }
}
