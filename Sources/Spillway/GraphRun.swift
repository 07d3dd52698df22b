// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import Reports
import Synchronization

/// A wire's binding as a user writes it: `NAME=SOURCE[,SOURCE...][,write=FILE]`.
public struct WireArgument: Sendable, Equatable {
    /// The wire's name in the graph.
    public var name: String
    /// Captures, read one after another; `-` is standard input. Empty if the wire only sends.
    public var sources: [String]
    /// The destination of sent packets; nil to only count them.
    public var write: String?

    /// An error in an argument.
    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    public init(name: String, sources: [String], write: String? = nil) {
        self.name = name
        self.sources = sources
        self.write = write
    }

    /// Parses `NAME=SOURCE[,SOURCE...][,write=FILE]`. A source is a file name, optionally prefixed with `file:`.
    public init(_ text: String) throws(Failure) {
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
            throw Failure(description: "'\(text)' is not NAME=FILE[,write=FILE]")
        }
        name = String(text[..<equals])
        sources = []
        let parts = text[text.index(after: equals)...].split(separator: ",", omittingEmptySubsequences: false)
        for part in parts {
            if part.hasPrefix("write=") {
                guard write == nil else { throw Failure(description: "'\(text)' names two files to write") }
                write = String(part.dropFirst(6))
                if write!.isEmpty { throw Failure(description: "'\(text)' names no file to write") }
            } else if part.hasPrefix("iface:") || part.hasPrefix("workload:") {
                throw Failure(
                    description:
                        "'\(part)': only captures can be bound to a wire in this version, not interfaces or workloads"
                )
            } else {
                let path = part.hasPrefix("file:") ? part.dropFirst(5) : part
                guard !path.isEmpty else { throw Failure(description: "'\(text)' has an empty file name") }
                sources.append(String(path))
            }
        }
    }

    /// One argument per wire: several arguments for the same name are merged.
    public static func merged(_ arguments: [WireArgument]) throws(Failure) -> [WireArgument] {
        var out: [WireArgument] = []
        for argument in arguments {
            guard let k = out.firstIndex(where: { $0.name == argument.name }) else {
                out.append(argument)
                continue
            }
            out[k].sources += argument.sources
            if argument.write != nil {
                if out[k].write != nil {
                    throw Failure(description: "wire '\(argument.name)' has two files to write")
                }
                out[k].write = argument.write
            }
        }
        return out
    }
}

/// The reason a graph cannot be run as requested.
public struct BindingError: Error, CustomStringConvertible {
    public var description: String
}

/// One run of a graph on captures, as fast as the machine allows.
public enum GraphRun {
    /// The results of a run.
    public struct Outcome {
        /// The counters of the run.
        public var report: RunReport
        /// Notes on the captures.
        public var input: InputNotes
        /// The names of files written by elements; `-` is standard output.
        public var outputs: [String]
        /// An element or a wire wrote to standard output, or would have.
        public var usedStandardOutput: Bool
    }

    /// Opens the captures of `wires` for the graph's wires. Every wire that leads into the graph must have one.
    ///
    /// - Parameter shouldStop: polled while waiting for a capture; true ends it as if it had reached its end.
    public static func bind(
        _ spec: GraphSpec,
        _ wires: [WireArgument],
        shouldStop: (() -> Bool)? = nil
    ) throws -> [Int: WireBinding] {
        if wires.reduce(0, { $0 + $1.sources.count { $0 == "-" } }) > 1 {
            throw BindingError(description: "standard input ('-') can be read only once, and is named more than once")
        }
        let numbers = spec.nodes.indices.filter { spec.nodes[$0].isWire }
        let names = numbers.map { spec.nodes[$0].name }
        var bindings: [Int: WireBinding] = [:]
        for wire in wires {
            guard let number = numbers.first(where: { spec.nodes[$0].name == wire.name }) else {
                let guess = nearest(to: wire.name, among: names).map { "; did you mean '\($0)'?" } ?? ""
                throw BindingError(
                    description: "graph '\(spec.name)' has no wire '\(wire.name)'; it has "
                        + names.joined(separator: ", ") + guess
                )
            }
            let source = wire.sources.isEmpty ? nil : try CaptureSource(paths: wire.sources, shouldStop: shouldStop)
            bindings[number] = WireBinding(source: source)
        }
        for number in numbers
        where bindings[number]?.source == nil && spec.edges.contains(where: { $0.from == number }) {
            let name = spec.nodes[number].name
            throw BindingError(description: "wire '\(name)' has no capture; give one with --wire \(name)=FILE")
        }
        // Files are created only once all inputs could be opened.
        for wire in wires {
            guard let write = wire.write, let number = numbers.first(where: { spec.nodes[$0].name == wire.name }) else {
                continue
            }
            bindings[number]?.destination = try CaptureWriter(path: write)
        }
        return bindings
    }

    /// Runs `spec` until its captures end or `shouldStop` returns true.
    ///
    /// - Parameters:
    ///   - inputs: other files read besides the captures of `wires`; none of them is written.
    ///   - services: the services for elements; those of the loader that read the graph have its filters compiled.
    ///   - ownsOutput: standard output belongs to the caller: what elements and wires would write there is discarded.
    ///   - progress: called now and then with the number of packets that have entered.
    public static func run(
        _ spec: GraphSpec,
        wires: [WireArgument],
        inputs: InputFiles = InputFiles(),
        services: any Services = SystemServices(),
        ownsOutput: Bool = false,
        options: Instance.Options = Instance.Options(),
        observer: ((Instance) -> any RunObserver)? = nil,
        progress: ((UInt64) -> Void)? = nil,
        shouldStop: (() -> Bool)? = nil
    ) throws -> Outcome {
        var inputs = inputs
        for wire in wires { for source in wire.sources { inputs.add(source) } }
        for wire in wires { if let write = wire.write { try inputs.checkOutput(write) } }
        let senders = wires.indices.filter { wires[$0].write.map(FileSink.isStandardOutput) == true }
        var wires = wires
        if ownsOutput { for k in senders { wires[k].write = nil } }
        let bindings = try bind(spec, wires, shouldStop: shouldStop)
        let services = ObservedServices(
            services,
            inputs: inputs,
            discardsOutput: ownsOutput,
            linkTypes: linkTypes(of: bindings)
        )
        let instance = try Instance(spec, bindings: bindings, services: services, options: options)
        try instance.open()
        let runtime = DirectRuntime(instance)
        runtime.observer = observer?(instance)
        let sources = bindings.values.compactMap(\.source)
        runtime.shouldStop = {
            progress?(sources.reduce(0) { $0 + $1.packets })
            return shouldStop?() ?? false
        }
        try runtime.run()
        let input = InputNotes(instance)
        return Outcome(
            report: report(instance, input),
            input: input,
            outputs: services.sinks,
            usedStandardOutput: !senders.isEmpty || services.sinks.contains(where: FileSink.isStandardOutput)
        )
    }

    /// The distinct link types that captures announce before they are read.
    static func linkTypes(of bindings: [Int: WireBinding]) -> [UInt16] {
        Set(bindings.values.compactMap { $0.source as? CaptureSource }.flatMap(\.announcedLinkTypes)).sorted()
    }

    /// A report of an instance's counters.
    private static func report(_ instance: Instance, _ input: InputNotes) -> RunReport {
        RunReport(
            graph: instance.spec.name,
            elements: instance.spec.nodes.indices.map { instance.counts($0) },
            wires: instance.wireCounts(),
            lostItems: instance.lostItems,
            backwards: input.backwards,
            warnings: input.warnings
        )
    }
}

/// Services that record what elements write to, and refuse forbidden destinations.
public final class ObservedServices: FilterServices {
    /// The link types announced for the packets to come.
    public let linkTypes: [UInt16]
    private let services: any Services
    private let inputs: InputFiles
    private let discardsOutput: Bool
    private let names = Mutex<Set<String>>([])

    /// - Parameters:
    ///   - inputs: files that elements may not write to.
    ///   - discardsOutput: discards what elements write to standard output.
    ///   - linkTypes: link types of the packets to come, as far as they are known.
    public init(
        _ services: any Services,
        inputs: InputFiles = InputFiles(),
        discardsOutput: Bool = false,
        linkTypes: [UInt16] = []
    ) {
        self.services = services
        self.linkTypes = linkTypes
        self.inputs = inputs
        self.discardsOutput = discardsOutput
    }

    /// The filter cache of the underlying services.
    public var filters: FilterCache? { (services as? any FilterServices)?.filters }

    /// The distinct names that elements have opened for writing; `-` is standard output.
    public var sinks: [String] { names.withLock { $0.sorted() } }

    public func openSink(_ name: String) throws -> any ByteSink { try openSink(name, appends: false) }

    public func openSink(_ name: String, appends: Bool) throws -> any ByteSink {
        try inputs.checkOutput(name)
        names.withLock { _ = $0.insert(name) }
        if discardsOutput, FileSink.isStandardOutput(name) { return MemoryServices().openSink(name) }
        return try services.openSink(name, appends: appends)
    }

    public func readFile(_ name: String, most: Int) throws -> [UInt8] { try services.readFile(name, most: most) }

    public func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        try services.compileFilter(filter, linkType: linkType)
    }
}
