// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Runs a single element: sources before its inputs, collectors behind its outputs.
///
/// Inputs that need more than packets get the elements that provide it: a FlowTable for flows, a MetadataExtractor, HTTPParser
/// or another type of the catalog for records, and for streams a TCPReassembler if ``reassembles`` is set.
///
/// ```swift
/// var harness = try ElementHarness(ElementDescriptor(TTLGuard.self), "{min: 3}")
/// harness.batch = 1
/// let run = try harness.run(["in": ["10.0.0.1:1000 > 10.0.0.2:80 S ttl=2"]])
/// run.drops == ["too_few_hops": 1]
/// ```
public struct ElementHarness {
    /// A packet to feed in.
    public typealias Packet = MemorySource.Packet

    /// The results of one run.
    public struct Run {
        /// The items that left, by output port.
        public var outputs: [String: [Collector.Seen]]
        /// The element's counters.
        public var counts: ElementCounts
        /// The counters of all elements of the run, including those around the element.
        public var all: [ElementCounts]
        /// Items of the pool that are neither free nor held; if not 0, an element lost some.
        public var lostItems: Int
        /// The services with the files the element wrote.
        public var services: TestServices

        /// The value of a handler of the element at the end; nil if it has none of that name.
        public func handler(_ name: String) -> Int? { counts.handlers.first { $0.name == name }?.value }
        /// Items the element dropped, by reason; `unused_NAME` counts those that left by an unconnected output.
        public var drops: [String: UInt64] {
            Dictionary(uniqueKeysWithValues: counts.drops.map { ($0.reason, $0.count) })
        }
        /// The operations that the element counted, as text: `parse=3`.
        public var operations: [String] { counts.operations.map { "\($0.operation.name)=\($0.count)" } }
    }

    /// The element's type.
    public var type: ElementDescriptor
    /// The element with its parameters.
    public var element: ConfiguredElement
    /// The catalog for the types around the element.
    public var catalog: Catalog
    /// The seed for everything random in a run.
    public var seed: UInt64 = 1
    /// The largest batch handed to an element.
    public var batch = 64
    /// The number of items in the pool.
    public var pool = 2048
    /// Optional ports that are connected; nil for all.
    public var optionalPorts: Set<String>?
    /// Puts a TCPReassembler before inputs for streams; what it bypasses goes to an optional input for packets. Otherwise
    /// packets arrive there as they are, and are no streams.
    public var reassembles = false
    /// Puts a Coalescer before inputs for records, which then arrive several in one item.
    public var coalesces = false

    /// An element of a catalog by name; `config` is in YAML flow style. Throws ``HarnessError`` if there is no such type, and
    /// ``ParameterError`` if a parameter is invalid.
    public init(_ name: String, _ config: String = "", catalog: Catalog = .standard) throws {
        guard let type = catalog[name] else { throw HarnessError("no element type is called \(name)") }
        try self.init(type, config, catalog: catalog)
    }

    /// An element of a type; `config` is in YAML flow style. Throws ``ParameterError`` if a parameter is invalid.
    public init(_ type: ElementDescriptor, _ config: String = "", catalog: Catalog = .standard) throws {
        self.catalog = catalog
        self.type = type
        element = try ElementHarness.configure(type, config)
    }

    /// An element ready to be made, with parameters in YAML flow style. Throws ``ParameterError`` if one is invalid.
    public static func configure(_ type: ElementDescriptor, _ config: String) throws -> ConfiguredElement {
        let (element, errors) = type.configure(try FlowStyle.parameters(config), at: 0)
        if let first = errors.first { throw first }
        return element!
    }

    /// Runs packets in the text form of ``PacketText``, by input port. Throws if a text is invalid, and as ``run(_:)-(_)``.
    public func run(_ inputs: [String: [String]]) throws -> Run {
        try run(inputs.mapValues { try ElementHarness.packets($0) })
    }

    /// Packets from their text form; one without a time has that of its predecessor. Throws if a text is invalid.
    public static func packets(_ texts: [String]) throws -> [Packet] {
        var time: Int64 = 0
        return try texts.map { text in
            let frame = try PacketText.frame(text)
            time = max(time, frame.time ?? time)
            return Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: time)
        }
    }

    /// Runs packets, by input port. Throws ``HarnessError`` if nothing in the catalog makes what an input accepts, and whatever
    /// the element throws.
    public func run(_ packets: [String: [Packet]]) throws -> Run {
        func isConnected(_ port: String, _ optional: Bool) -> Bool {
            !optional || optionalPorts?.contains(port) ?? true
        }
        var nodes = [GraphSpec.Node(name: "element", type: type, element: element)]
        var edges: [GraphSpec.Edge] = []
        var bindings: [Int: WireBinding] = [:]
        func add(_ name: String, _ type: ElementDescriptor, _ element: ConfiguredElement) -> Int {
            nodes.append(GraphSpec.Node(name: name, type: type, element: element))
            return nodes.count - 1
        }
        // The bypass of a reassembler before the element.
        var rest: (node: Int, output: Int)?
        func isStream(_ input: Input) -> Bool { input.accepts == .only(.stream) }
        let inputs = element.inputs.enumerated().filter { isConnected($0.element.name, $0.element.optional) }
        for (number, input) in inputs.filter({ isStream($0.element) }) + inputs.filter({ !isStream($0.element) }) {
            if case .only(.command) = input.accepts { continue }
            if let last = rest, input.optional, input.accepts.allows(.packet) {
                edges.append(.init(from: last.node, output: last.output, to: 0, input: number))
                rest = nil
                continue
            }
            let wireType = try standard("Wire")
            let wire = add("wire-\(input.name)", wireType.type, wireType.element)
            bindings[wire] = WireBinding(source: MemorySource(packets[input.name] ?? []))
            var last = (node: wire, output: 0)
            for maker in try makers(for: input, reassembles: reassembles) {
                let node = add("\(maker.type.name)-\(input.name)", maker.type, maker.element)
                edges.append(.init(from: last.node, output: last.output, to: node, input: 0))
                last = (node, maker.output)
                if maker.type.name == "TCPReassembler", isStream(input) { rest = (node, 1) }
            }
            edges.append(.init(from: last.node, output: last.output, to: 0, input: number))
        }
        var collectors: [(port: String, node: Int)] = []
        let collectorType = ElementDescriptor(Collector.self)
        for (number, output) in element.outputs.enumerated() where isConnected(output.name, output.optional) {
            let made = try ElementHarness.configure(collectorType, "")
            let collector = add("out-\(output.name)", collectorType, made)
            edges.append(.init(from: 0, output: number, to: collector, input: 0))
            collectors.append((output.name, collector))
        }
        var options = Instance.Options()
        options.seed = seed
        options.batch = batch
        options.poolCapacity = pool
        let services = TestServices()
        let spec = GraphSpec(name: "harness", nodes: nodes, edges: edges)
        let instance = try Instance(spec, bindings: bindings, services: services, options: options)
        if services.opened != 0 { throw HarnessError("the element opened a file when it was made") }
        for (_, node) in collectors { (instance.elements[node] as! Collector).layouts = instance.layouts }
        try DirectRuntime(instance).run()
        return Run(
            outputs: Dictionary(
                uniqueKeysWithValues: collectors.map { ($0.port, (instance.elements[$0.node] as! Collector).seen) }
            ),
            counts: instance.counts(0),
            all: nodes.indices.map(instance.counts),
            lostItems: instance.lostItems,
            services: services
        )
    }

    // MARK: Elements before an input

    /// An element before an input, and its output that leads there.
    private typealias Maker = (type: ElementDescriptor, element: ConfiguredElement, output: Int)

    private func standard(_ name: String, _ config: String = "", output: Int = 0) throws -> Maker {
        guard let type = catalog[name] ?? Catalog.standard[name] else {
            throw HarnessError("no element type is called \(name)")
        }
        return (type, try ElementHarness.configure(type, config), output)
    }

    /// The elements that turn packets into what an input accepts, in order.
    private func makers(for input: Input, reassembles: Bool) throws -> [Maker] {
        let table = input.needsFlow ? [try standard("FlowTable", "{capacity: 4096}")] : []
        if input.accepts.allows(.packet) { return table }
        switch input.accepts {
        case .only(.stream):
            if !reassembles { return table }
            return try [standard("FlowTable", "{capacity: 4096}"), standard("TCPReassembler")]
        case .only(.record(let layout)):
            guard let maker = recordMaker(layout) else {
                throw HarnessError("nothing in the catalog makes records of '\(layout)' for the input '\(input.name)'")
            }
            return try makers(for: maker.element.inputs[0], reassembles: true) + [maker] + packing()
        default: return table + [try standard("MetadataExtractor", "{per: packet}")] + (try packing())
        }
    }

    private func packing() throws -> [Maker] { coalesces ? [try standard("Coalescer")] : [] }

    private func recordMaker(_ layout: String) -> Maker? {
        if let maker = try? standard("MetadataExtractor", "{per: \(layout)}") { return maker }
        for type in catalog.types where type.name != self.type.name {
            guard let element = try? ElementHarness.configure(type, ""),
                let output = element.outputs.firstIndex(where: { $0.gives == .kind(.record(layout)) }),
                // Others make records from records, and could require each other endlessly.
                let input = element.inputs.first, element.inputs.count == 1,
                input.accepts.allows(.packet) || input.accepts == .only(.stream)
            else { continue }
            return (type, element, output)
        }
        return nil
    }
}

/// The reason a run cannot be made.
public struct HarnessError: Error, CustomStringConvertible {
    public var description: String

    /// The reason, as a phrase without capital or full stop.
    public init(_ description: String) { self.description = description }
}
