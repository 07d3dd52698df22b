// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import Live
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
    /// The captures are merged by time.
    public var isMerged = false
    /// A network interface, in place of captures.
    public var interface: String?
    /// How that is read and sent on.
    public var access = LiveSource.Access.packetSocket
    /// Receives packets for other stations too.
    public var isPromiscuous = false
    /// Which packets of the interface are read; nil for what suits the graph.
    public var direction: Direction?

    /// An error in an argument.
    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    public init(name: String, sources: [String], write: String? = nil) {
        self.name = name
        self.sources = sources
        self.write = write
    }

    /// Parses `NAME=SOURCE[,SOURCE...][,write=FILE]`, or `NAME=if:INTERFACE[,promisc][,direction=in|out|both][,write=FILE]`, with
    /// `libpcap:` in place of `if:`. A source is a file name, optionally prefixed with `file:`; `\,` in it is a comma and `\\` a backslash. `wires` are those of the graph: the name of the only one may be left out.
    public init(_ text: String, wires: [String] = []) throws(Failure) {
        let prefix = text.firstIndex(of: "=").map { String(text[..<$0]) }
        let rest: Substring
        if let prefix, !prefix.isEmpty, !prefix.contains(","), !prefix.contains("/"),
            prefix != "write" || wires.contains(prefix)
        {
            name = prefix
            rest = text.dropFirst(prefix.count + 1)
        } else if wires.count == 1, prefix != "" {
            name = wires[0]
            rest = text[...]
        } else {
            let names = (wires.isEmpty ? ["NAME"] : wires).map { "\($0)=FILE" }.joined(separator: " or ")
            throw Failure(description: "'\(text)' does not say which wire: write \(names)")
        }
        sources = []
        for part in WireArgument.parts(rest) {
            if part.hasPrefix("write=") {
                guard write == nil else { throw Failure(description: "'\(text)' names two files to write") }
                let file = String(part.dropFirst(6))
                if let flaw = OutputName.flaw(file) { throw Failure(description: "'\(text)': \(flaw)") }
                write = file
            } else if let (access, name) = WireArgument.interface(part) {
                guard interface == nil else { throw Failure(description: "'\(text)' names two interfaces") }
                interface = name
                self.access = access
            } else if part == "promisc", interface != nil {
                isPromiscuous = true
            } else if part.hasPrefix("direction="), interface != nil {
                guard let known = Direction(rawValue: String(part.dropFirst(10))) else {
                    throw Failure(description: "'\(part)': a direction is in, out or both")
                }
                direction = known
            } else if part.hasPrefix("workload:") {
                throw Failure(
                    description:
                        "'\(part)': only captures and interfaces can be bound to a wire in this version, not workloads"
                )
            } else {
                let path = part.hasPrefix("file:") ? String(part.dropFirst(5)) : part
                guard !path.isEmpty else { throw Failure(description: "'\(text)' has an empty file name") }
                sources.append(path)
            }
        }
        if interface != nil, let other = sources.first {
            throw Failure(
                description:
                    "'\(text)': '\(other)' is no option of an interface; there are promisc, direction=in|out|both and write=FILE"
            )
        }
    }

    /// The interface that a part names, and how it is read.
    private static func interface(_ part: String) -> (LiveSource.Access, String)? {
        guard let colon = part.firstIndex(of: ":"), let access = LiveSource.Access(rawValue: String(part[..<colon]))
        else { return nil }
        return (access, String(part[part.index(after: colon)...]))
    }

    /// The parts of a list between commas that no backslash precedes; `\,` is a comma and `\\` a backslash.
    public static func parts(_ text: Substring) -> [String] {
        var parts = [""]
        var isEscaped = false
        for character in text {
            if isEscaped {
                if character != ",", character != "\\" { parts[parts.count - 1].append("\\") }
                parts[parts.count - 1].append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "," {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        if isEscaped { parts[parts.count - 1].append("\\") }
        return parts
    }

    /// Two wires that read the same packets of one interface; nil if there are none.
    public static func doubled(_ wires: [WireArgument]) -> (WireArgument, WireArgument)? {
        for (k, one) in wires.enumerated() where one.interface != nil {
            for other in wires[(k + 1)...] where other.interface == one.interface {
                let directions = [one.direction ?? .both, other.direction ?? .both]
                if directions.contains(.both) || directions[0] == directions[1] { return (one, other) }
            }
        }
        return nil
    }

    /// One argument per wire: several arguments for the same name are merged.
    public static func merged(_ arguments: [WireArgument]) throws(Failure) -> [WireArgument] {
        var out: [WireArgument] = []
        for argument in arguments {
            guard let k = out.firstIndex(where: { $0.name == argument.name }) else {
                out.append(argument)
                continue
            }
            if argument.interface != nil || out[k].interface != nil {
                throw Failure(description: "wire '\(argument.name)' is bound to an interface, and to something else")
            }
            if let twice = argument.sources.first(where: { $0 != "-" && out[k].sources.contains($0) }) {
                throw Failure(description: "wire '\(argument.name)' is given '\(twice)' twice")
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

extension WireArgument {
    /// A capture that is among ``sources`` again, and the name that it has there; nil if each is another file.
    public var repeated: (file: String, again: String)? {
        let files = sources.filter(Files.isRegular).compactMap { name in Files.Identity(name).map { (name, $0) } }
        for (k, file) in files.enumerated() {
            if let other = files[..<k].first(where: { $0.1 == file.1 }) { return (other.0, file.0) }
        }
        return nil
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
        /// The seed of everything random: the one asked for, or that was chosen.
        public var seed: UInt64
        /// The names of files written by elements; `-` is standard output.
        public var outputs: [String]
        /// An element or a wire wrote to standard output, or would have.
        public var usedStandardOutput: Bool
    }

    /// Opens the captures of `wires` for the graph's wires. Every wire that leads into the graph must have one.
    ///
    /// - Parameters:
    ///   - clock: what waits for packets of interfaces; nil if there may be none.
    ///   - shouldStop: polled while waiting for a capture; true ends it as if it had reached its end.
    public static func bind(
        _ spec: GraphSpec,
        _ wires: [WireArgument],
        clock: LiveClock? = nil,
        shouldStop: (() -> Bool)? = nil
    ) throws -> [Int: WireBinding] {
        try bind(spec, wires, clock: clock, share: nil, shouldStop: shouldStop)
    }

    /// The share of the packets that one of several equal threads gets.
    private struct Share {
        var number: Int
        var count: Int
        var divides: Divides
        var seed: UInt64
        /// For each wire how its sockets share its packets.
        var fanouts: [String: Fanout]
    }

    /// The same for one of several equal threads, if `share` is not nil.
    private static func bind(
        _ spec: GraphSpec,
        _ wires: [WireArgument],
        clock: LiveClock?,
        share: Share?,
        shouldStop: (() -> Bool)?
    ) throws -> [Int: WireBinding] {
        if let live = wires.first(where: { $0.interface != nil }) {
            guard clock != nil else {
                throw BindingError(
                    description:
                        "wire '\(live.name)' is bound to an interface; only 'run', 'tap' and 'trace' read those: record a capture first, "
                        + "as 'tcpdump -i \(live.interface!) -s 0 -w FILE' does"
                )
            }
            if let capture = wires.first(where: { !$0.sources.isEmpty }) {
                throw BindingError(
                    description:
                        "wire '\(live.name)' is bound to an interface and wire '\(capture.name)' to a capture, whose times differ; bind "
                        + "all to interfaces, or all to captures"
                )
            }
        }
        if share != nil, let once = wires.flatMap(\.sources).first(where: Files.isReadOnce) {
            throw BindingError(
                description:
                    "'\(once)' can be read only once, and each of several threads reads all of a capture: use a file"
            )
        }
        if wires.reduce(0, { $0 + $1.sources.count { $0 == "-" } }) > 1 {
            throw BindingError(description: "standard input ('-') can be read only once, and is named more than once")
        }
        let numbers = spec.nodes.indices.filter { spec.nodes[$0].isWire }
        let names = numbers.map { spec.nodes[$0].name }
        var problems = wires.filter { !names.contains($0.name) }.map { wire in
            let guess = nearest(to: wire.name, among: names).map { "; did you mean '\($0)'?" } ?? ""
            return "graph '\(spec.name)' has no wire '\(wire.name)'; it has " + names.joined(separator: ", ") + guess
        }
        problems += numbers.filter { number in
            spec.edges.contains { $0.from == number }
                && wires.first { $0.name == spec.nodes[number].name && !($0.sources.isEmpty && $0.interface == nil) }
                    == nil
        }.map { "wire '\(spec.nodes[$0].name)' has no capture; give one with --wire \(spec.nodes[$0].name)=FILE" }
        problems += wires.flatMap(\.sources).filter { Files.isMissing($0) && Files.exists("/sys/class/net/\($0)") }.map
        {
            "'\($0)' is a network interface, not a file: write if:\($0)"
        }
        if !problems.isEmpty { throw BindingError(description: problems.joined(separator: "\nerror: ")) }
        var bindings: [Int: WireBinding] = [:]
        for wire in wires {
            var source: PacketSource?
            if let interface = wire.interface, let clock,
                let number = numbers.first(where: { spec.nodes[$0].name == wire.name })
            {
                let sends = sendsLive(spec, wires)
                bindings[number] = try bind(interface, wire, number, spec, sends: sends, clock, share)
                continue
            }
            if wire.isMerged, wire.sources.count > 1 {
                source = try MergedSource(paths: wire.sources, shouldStop: shouldStop)
            } else if !wire.sources.isEmpty {
                source = try CaptureSource(paths: wire.sources, shouldStop: shouldStop)
            }
            if let share {
                source?.shard = Shard(number: share.number, of: share.count, by: share.divides, seed: share.seed)
            }
            if let number = numbers.first(where: { spec.nodes[$0].name == wire.name }) {
                bindings[number] = WireBinding(source: source)
            }
        }
        // Files are created only once all inputs could be opened; one thread writes them.
        for wire in wires where share == nil || share?.number == 0 {
            guard let write = wire.write, let number = numbers.first(where: { spec.nodes[$0].name == wire.name }) else {
                continue
            }
            bindings[number]?.destination = try CaptureWriter(path: write)
        }
        return bindings
    }

    /// Whether a graph sends on an interface: then no packet may wait for others.
    private static func sendsLive(_ spec: GraphSpec, _ wires: [WireArgument]) -> Bool {
        spec.edges.contains { sends(to: spec.nodes[$0.to], wires) }
    }

    /// Whether packets that are sent to a wire leave by an interface.
    private static func sends(to node: GraphSpec.Node, _ wires: [WireArgument]) -> Bool {
        wires.contains { $0.name == node.name && $0.interface != nil && $0.write == nil }
    }

    /// Opens an interface, for what the graph does with it.
    private static func bind(
        _ interface: String,
        _ wire: WireArgument,
        _ number: Int,
        _ spec: GraphSpec,
        sends: Bool,
        _ clock: LiveClock,
        _ share: Share?
    ) throws -> WireBinding {
        let isRead = spec.edges.contains { $0.from == number }
        let isSent = wire.write == nil && spec.edges.contains { $0.to == number }
        var options = LiveSource.Options()
        options.isPromiscuous = wire.isPromiscuous
        // What the graph sends must not come back to it.
        options.direction = wire.direction ?? (isSent ? .in : .both)
        options.fanout = share?.fanouts[wire.name]
        return WireBinding(
            source: isRead
                ? try LiveSource.open(interface, through: wire.access, options, isPrompt: sends, clock: clock) : nil,
            destination: isSent ? try LiveSender.open(interface, through: wire.access) : nil
        )
    }

    /// Runs `spec` until its captures end or `shouldStop` returns true.
    ///
    /// - Parameters:
    ///   - inputs: other files read besides the captures of `wires`; none of them is written.
    ///   - services: the services for elements; those of the loader that read the graph have its filters compiled.
    ///   - executors: the threads it uses. With several there is no observer.
    ///   - ownsOutput: standard output belongs to the caller: what elements and wires would write there is discarded.
    ///   - started: called when everything is open, before the first packet.
    ///   - opened: called once interfaces and files are open, before the first packet.
    ///   - flush: nanoseconds after which what is buffered is passed on, in a run on interfaces.
    ///   - reportAsked: polled in a run on interfaces; true when the user wants the report so far.
    ///   - soFar: called with that report.
    ///   - progress: called now and then with the number of packets that have entered, and the share of the captures that has been
    ///     read, if known.
    public static func run(
        _ spec: GraphSpec,
        wires: [WireArgument],
        inputs: InputFiles = InputFiles(),
        services: any Services = SystemServices(),
        ownsOutput: Bool = false,
        options: Instance.Options = Instance.Options(),
        executors: Executors = .one,
        opened: (() throws -> Void)? = nil,
        observer: ((Instance) -> any RunObserver)? = nil,
        started: ((RunningGraph) -> Void)? = nil,
        flush: Int64 = 1_000_000_000,
        reportAsked: (() -> Bool)? = nil,
        soFar: ((RunReport) -> Void)? = nil,
        progress: ((() -> UInt64, () -> Double?) -> Void)? = nil,
        shouldStop: (() -> Bool)? = nil
    ) throws -> Outcome {
        var inputs = inputs
        for wire in wires { for source in wire.sources { inputs.add(source) } }
        for wire in wires { if let write = wire.write { try inputs.checkOutput(write) } }
        let senders = wires.indices.filter { wires[$0].write.map(FileSink.isStandardOutput) == true }
        if !ownsOutput { try checkStandardOutput(spec, senders: senders.map { wires[$0].name }) }
        var wires = wires
        if ownsOutput { for k in senders { wires[k].write = nil } }
        let isLive = wires.contains { $0.interface != nil }
        let cut = try executors.cut(spec) { node in sends(to: node, wires) }
        let copies = cut?.copies ?? 1
        // Whoever can send packets must not know where flows are kept.
        let seed = options.seed ?? (isLive ? .random(in: .min ... .max) : 1)
        let isPrompt = sendsLive(spec, wires) && Cores.allowed.count >= (cut?.threads ?? 1)
        let clocks = isLive ? (0..<copies).map { _ in LiveClock(isPrompt: isPrompt) } : []
        let divides = cut?.divides ?? .flows
        let fanouts = Dictionary(uniqueKeysWithValues: wires.map { ($0.name, Fanout(by: divides, seed: seed)) })
        let bindings = try (0..<copies).map { number in
            try bind(
                spec,
                wires,
                clock: isLive ? clocks[number] : nil,
                share: copies == 1
                    ? nil : Share(number: number, count: copies, divides: divides, seed: seed, fanouts: fanouts),
                shouldStop: shouldStop
            )
        }
        let services = ObservedServices(
            services,
            inputs: inputs,
            discardsOutput: ownsOutput,
            linkTypes: linkTypes(of: bindings[0])
        )
        var options = options
        options.seed = seed
        let engine = try Engine(
            spec,
            executors,
            cut,
            bindings: bindings.map { one in
                one.mapValues {
                    WireBinding(source: $0.source, destination: $0.destination.map(services.watched))
                }
            },
            services: services,
            options: options
        )
        try engine.open()
        try opened?()
        started?(RunningGraph(engine: engine))
        if case .one(let runtime) = engine { runtime.observer = observer?(runtime.instance) }
        if isLive { engine.setClocks(clocks) }
        let clock = clocks.first
        var flushAt = clock.map { $0.now + flush } ?? .max
        var failure: (any Error)?
        // Of a shared capture the first thread's progress stands for all, for it reads all.
        let sources = bindings[0].values.compactMap(\.source)
        let others = isLive ? bindings.dropFirst().flatMap { $0.values.compactMap(\.source) } : []
        func packets() -> UInt64 {
            func count(_ sources: [PacketSource]) -> UInt64 {
                sources.reduce(0) { $0 + $1.packets + $1.counters.pointee.others }
            }
            return others.isEmpty ? count(sources) : engine.whileAtRest { count(sources + others) }
        }
        do {
            try engine.run {
                progress?(packets) { share(of: sources) }
                if let clock {
                    if clock.now >= flushAt {
                        flushAt = clock.now + flush
                        do { try engine.sync() } catch { failure = error }
                        // It may not be the only one, and nobody would see that it is over.
                        failure = failure ?? sources.lazy.compactMap(\.failure).first
                    }
                    if reportAsked?() == true { soFar?(engine.whileAtRest { engine.report(engine.notes) }) }
                }
                // There is no use in going on when results are lost.
                return services.hasFailed || failure != nil || shouldStop?() ?? false
            }
        } catch let error {
            failure = failure ?? error
        }
        // Whoever closed the pipe does not want to know what was counted.
        if let failure, GraphRun.isClosedPipe(failure) { throw failure }
        var input = engine.notes
        input.note(failure)
        return Outcome(
            report: engine.report(input),
            input: input,
            seed: seed,
            outputs: services.sinks,
            usedStandardOutput: !senders.isEmpty || services.usesStandardOutput
        )
    }

    private static func isClosedPipe(_ error: any Error) -> Bool {
        let cause = (error as? InstanceError)?.cause ?? error
        return (cause as? OutputError)?.code == OutputError.closedPipe
    }

    /// Throws if packets or a table would be written to standard output beside something else: no program could read that.
    private static func checkStandardOutput(_ spec: GraphSpec, senders: [String]) throws {
        let writers = spec.nodes.filter { node in
            node.element.files.contains(where: FileSink.isStandardOutput)
        }
        let captures =
            senders + writers.filter { $0.type.defaultInputs.first?.accepts.allows(.packet) == true }.map(\.name)
        let names = (senders + writers.map(\.name)).map { "'\($0)'" }
        guard names.count > 1 else { return }
        let tables = writers.filter { $0.element.settings.contains { $0.name == "format" && $0.text == "csv" } }
        if captures.isEmpty, let table = tables.first {
            throw BindingError(
                description:
                    "\(names.joined(separator: " and ")) write to standard output, and '\(table.name)' writes CSV, which is one "
                    + "table; give all but one a file of their own"
            )
        }
        guard !captures.isEmpty else { return }
        throw BindingError(
            description:
                "\(names.joined(separator: " and ")) write to standard output, and '\(captures[0])' writes a capture, with "
                + "which nothing can be mixed; give all but one a file of their own"
        )
    }

    /// The share of all sources' bytes that has been read; nil if it is not known of one.
    private static func share(of sources: [PacketSource]) -> Double? {
        let shares = sources.compactMap(\.share)
        let all = shares.reduce(0) { $0 + $1.all }
        guard shares.count == sources.count, all > 0 else { return nil }
        return Double(shares.reduce(0) { $0 + $1.done }) / Double(all)
    }

    /// The distinct link types that captures announce before they are read.
    static func linkTypes(of bindings: [Int: WireBinding]) -> [UInt16] {
        Set(bindings.values.compactMap { $0.source as? any CaptureInput }.flatMap(\.announcedLinkTypes)).sorted()
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
    private let failed = Atomic(false)
    private let printed = Atomic(false)

    /// Whether something could not be written.
    public var hasFailed: Bool { failed.load(ordering: .relaxed) }

    /// Whether an element writes to standard output, or would have.
    var usesStandardOutput: Bool { printed.load(ordering: .relaxed) }

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
        if FileSink.isStandardOutput(name) {
            printed.store(true, ordering: .relaxed)
            if discardsOutput { return MemoryServices().openSink(name) }
        }
        return WatchedSink(try services.openSink(name, appends: appends)) { [self] in
            failed.store(true, ordering: .relaxed)
        }
    }

    /// A destination for a wire whose failures end the run too.
    func watched(_ destination: any PacketDestination) -> any PacketDestination {
        WatchedDestination(destination) { [self] in failed.store(true, ordering: .relaxed) }
    }

    public func readFile(_ name: String, most: Int) throws -> [UInt8] { try services.readFile(name, most: most) }

    public func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        try services.compileFilter(filter, linkType: linkType)
    }
}

/// A sink that tells when writing fails.
private final class WatchedSink: ByteSink {
    private let sink: any ByteSink
    private let failed: () -> Void

    init(_ sink: any ByteSink, _ failed: @escaping () -> Void) {
        self.sink = sink
        self.failed = failed
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        do { try sink.write(bytes) } catch {
            failed()
            throw error
        }
    }

    func flush() throws { try sink.flush() }
}

/// A wire's destination that tells when writing fails.
private final class WatchedDestination: PacketDestination {
    private let destination: any PacketDestination
    private let failed: () -> Void

    init(_ destination: any PacketDestination, _ failed: @escaping () -> Void) {
        self.destination = destination
        self.failed = failed
    }

    func write(_ item: Packet) throws { try watching { try destination.write(item) } }

    func write(_ batch: Batch, refused: (Int, SendFault) -> Void) throws {
        try watching { try destination.write(batch, refused: refused) }
    }

    func flush() throws { try watching { try destination.flush() } }

    private func watching(_ body: () throws -> Void) throws {
        do { try body() } catch {
            failed()
            throw error
        }
    }

    func close() throws { try destination.close() }
}
