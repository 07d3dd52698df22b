// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane

/// Runs one element by itself: sources before its inputs, collectors behind its outputs.
///
/// Inputs that need a flow get a FlowTable before them, inputs for records a MetadataExtractor, or what makes records of HTTP.
struct ElementHarness {
    struct Packet {
        var bytes: [UInt8]
        var wireLength: Int
        var time: Int64
        var linkType: UInt16 = 1
    }

    /// What one run gave.
    struct Run {
        /// What left, by output port.
        var outputs: [String: [Collector.Seen]]
        /// What the element counted.
        var counts: ElementCounts
        /// What all elements of the run counted.
        var all: [ElementCounts]
        var lostItems: Int
        var services: TestServices

        func handler(_ name: String) -> Int? { counts.handlers.first { $0.name == name }?.value }
        var drops: [String: UInt64] { Dictionary(uniqueKeysWithValues: counts.drops.map { ($0.reason, $0.count) }) }
        /// Outputs without what may depend on the pool: one line for each item, sorted.
        var multiset: [String] {
            outputs.flatMap { port, items in items.map { "\(port) \($0)" } }.sorted()
        }
        var operations: [String] { counts.operations.map { "\($0.operation.name)=\($0.count)" } }
    }

    var type: ElementDescriptor
    var element: ConfiguredElement
    var catalog: Catalog
    var seed: UInt64 = 1
    var batch = 64
    var pool = 2048
    /// Optional ports that are connected; nil for all.
    var optionalPorts: Set<String>?

    /// An element of the standard catalog; `config` is in YAML flow style.
    init(_ name: String, _ config: String = "", catalog: Catalog = .standard) throws {
        self.catalog = catalog
        type = try requireType(catalog[name], name)
        element = try ElementHarness.configure(type, config)
    }

    static func configure(_ type: ElementDescriptor, _ config: String) throws -> ConfiguredElement {
        let (element, errors) = type.configure(try FlowStyle.parameters(config), at: 0)
        if let first = errors.first { throw first }
        return element!
    }

    /// Runs packets in text form.
    func run(_ inputs: [String: [String]]) throws -> Run {
        var packets: [String: [Packet]] = [:]
        for (port, texts) in inputs {
            var time: Int64 = 0
            packets[port] = try texts.map { text in
                let frame = try PacketText.frame(text)
                time = max(time, frame.time ?? time)
                return Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: time)
            }
        }
        return try run(packets)
    }

    func run(_ inputs: [String: [Packet]]) throws -> Run {
        func isConnected(_ port: String, _ optional: Bool) -> Bool {
            !optional || optionalPorts?.contains(port) ?? true
        }
        var nodes = [GraphSpec.Node(name: "element", type: type, element: element)]
        var edges: [GraphSpec.Edge] = []
        var bindings: [Int: WireBinding] = [:]
        func add(_ name: String, _ type: ElementDescriptor, _ config: String = "") throws -> Int {
            nodes.append(GraphSpec.Node(name: name, type: type, element: try ElementHarness.configure(type, config)))
            return nodes.count - 1
        }
        for (number, input) in element.inputs.enumerated() where isConnected(input.name, input.optional) {
            if case .only(.command) = input.accepts { continue }
            let wire = try add("wire-\(input.name)", catalog["Wire"]!)
            bindings[wire] = WireBinding(source: MemorySource(inputs[input.name] ?? []))
            var last = (node: wire, output: 0)
            if input.needsFlow {
                let table = try add("flows-\(input.name)", catalog["FlowTable"]!, "{capacity: 4096}")
                edges.append(.init(from: last.node, output: last.output, to: table, input: 0))
                last = (table, 0)
            }
            var takesPackets = input.accepts.allows(.packet)
            if case .only(.stream) = input.accepts { takesPackets = true }
            if !takesPackets {
                let makers =
                    input.accepts == .only(.record("http"))
                    ? [("FlowTable", "{capacity: 4096}"), ("TCPReassembler", ""), ("HTTPParser", "")]
                    : [("MetadataExtractor", "{per: packet}")]
                for (type, config) in makers {
                    let maker = try add("\(type)-\(input.name)", catalog[type]!, config)
                    edges.append(.init(from: last.node, output: last.output, to: maker, input: 0))
                    last = (maker, 0)
                }
            }
            edges.append(.init(from: last.node, output: last.output, to: 0, input: number))
        }
        var collectors: [(port: String, node: Int)] = []
        for (number, output) in element.outputs.enumerated() where isConnected(output.name, output.optional) {
            let collector = try add("out-\(output.name)", ElementDescriptor(Collector.self))
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
        if services.opened != 0 { throw HarnessError("an element opened a file when it was made") }
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
}

struct HarnessError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

private func requireType(_ type: ElementDescriptor?, _ name: String) throws -> ElementDescriptor {
    guard let type else { throw HarnessError("no element type is called \(name)") }
    return type
}

/// Keeps a copy of everything that arrives.
final class Collector: Element {
    struct Seen: CustomStringConvertible {
        var bytes: [UInt8]
        var linkType: UInt16
        var wireLength: UInt32
        var time: Int64
        var sequence: UInt64
        var made: UInt16
        var flags: UInt16
        var layout: Layout?

        var description: String {
            "time=\(time) seq=\(sequence)/\(made) wire=\(wireLength) flags=\(flags) \(layout?.name ?? "packet") \(bytes)"
        }

        /// Calls `body` with an item that holds the same.
        func withItem<R>(_ body: (UnsafePointer<Item>) throws -> R) rethrows -> R {
            var bytes = bytes
            return try bytes.withUnsafeMutableBytes { raw in
                var item = Item(
                    data: raw.baseAddress ?? UnsafeMutableRawPointer(bitPattern: 64)!,
                    length: UInt32(raw.count),
                    wireLength: wireLength,
                    time: time,
                    sequence: sequence,
                    linkType: linkType,
                    interface: 0
                )
                return try body(&item)
            }
        }

        /// The packet or record in text form.
        var text: String {
            if let layout { return bytes.withUnsafeBytes { layout.describe($0) } }
            return withItem { PacketText.describe($0) }
        }

        /// Whether the packet or record is all that `pattern` says.
        func matches(_ pattern: String) throws -> Bool {
            if let layout { return bytes.withUnsafeBytes { layout.matches(pattern, $0) } }
            let pattern = try PacketText.Pattern(pattern)
            return withItem { pattern.matches($0) }
        }
    }

    typealias Config = NoConfig
    static let summary = "keeps a copy of everything"
    static let category = Category.testing
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .any, reads: .payload, "items to keep")] }
    static func outputs(_: Config) -> [Output] { [] }

    var layouts: LayoutTable?
    private(set) var seen: [Seen] = []

    init(_: Config, _: Setup) { super.init() }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            let item = batch[k].pointee
            // Which bytes are the pool's own is no result.
            let facts: ItemFlags = [.reverse, .coalesced]
            seen.append(
                Seen(
                    bytes: Array(item.bytes),
                    linkType: item.linkType,
                    wireLength: item.wireLength,
                    time: item.time,
                    sequence: item.sequence,
                    made: item.made,
                    flags: item.flags.intersection(facts).rawValue,
                    layout: layouts?[item.layout]
                )
            )
        }
        context.use(batch)
    }
}

/// Packets in memory; items point into it, as they do into a mapped capture.
final class MemorySource: PacketSource {
    private let memory: UnsafeMutableRawPointer
    private let frames: [(offset: Int, length: Int, wireLength: Int, time: Int64, linkType: UInt16)]
    private var next = 0

    init(_ packets: [ElementHarness.Packet]) {
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: packets.reduce(1) { $0 + $1.bytes.count },
            alignment: 64
        )
        var offset = 0
        var time = Int64.min
        var list: [(offset: Int, length: Int, wireLength: Int, time: Int64, linkType: UInt16)] = []
        for packet in packets {
            packet.bytes.withUnsafeBytes { bytes in
                if let base = bytes.baseAddress { (memory + offset).copyMemory(from: base, byteCount: bytes.count) }
            }
            time = max(time, packet.time)
            list.append((offset, packet.bytes.count, packet.wireLength, time, packet.linkType))
            offset += packet.bytes.count
        }
        self.memory = memory
        frames = list
        super.init()
    }

    deinit { memory.deallocate() }

    override var nextTime: Int64 { next < frames.count ? frames[next].time : .max }

    override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        var count = 0
        while next < frames.count, count < max, frames[next].time < limit, pool.take(1, into: indices + count) == 1 {
            let packet = frames[next]
            pool.items[Int(indices[count])] = Item(
                data: memory + packet.offset,
                length: UInt32(packet.length),
                wireLength: UInt32(packet.wireLength),
                time: packet.time,
                sequence: sequence + UInt64(count),
                linkType: packet.linkType,
                interface: 0
            )
            counters.pointee.packets += 1
            counters.pointee.bytes += UInt64(packet.wireLength)
            next += 1
            count += 1
        }
        return count
    }
}

/// Files in memory.
final class TestServices: Services, @unchecked Sendable {
    final class File: ByteSink {
        var bytes: [UInt8] = []
        /// How many bytes fit; writing more fails.
        var room = Int.max
        var writes = 0
        func write(_ more: UnsafeRawBufferPointer) throws {
            if bytes.count + more.count > room { throw HarnessError("no space left") }
            writes += 1
            bytes += Array(more)
        }
        func flush() throws {}
        var text: String { String(decoding: bytes, as: UTF8.self) }
    }
    private(set) var files: [String: File] = [:]
    private(set) var opened = 0

    func openSink(_ name: String) throws -> any ByteSink {
        opened += 1
        let file = File()
        if name.hasPrefix("small:") { file.room = Int(name.dropFirst(6)) ?? 0 }
        files[name] = file
        return file
    }

    /// What can be read, by name.
    var readable: [String: [UInt8]] = [:]

    func readFile(_ name: String, most: Int) throws -> [UInt8] {
        guard let bytes = readable[name] else { throw FileError("there is no file '\(name)' here") }
        return bytes
    }

    func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        try FilterCompiler.compile(filter, linkType: linkType)
    }
}

/// Just enough of YAML's flow style for the parameters in examples.
enum FlowStyle {
    static func parameters(_ text: String) throws -> [(name: String, mark: Mark, value: Value)] {
        if text.isEmpty { return [] }
        var rest = Substring(text)
        guard case .map(let entries, _) = try value(&rest), rest.allSatisfy(\.isWhitespace) else {
            throw HarnessError("parameters are not a map: \(text)")
        }
        return entries.map { ($0.key, $0.keyMark, $0.value) }
    }

    /// The value of one parameter as text.
    static func value(_ text: String) throws -> Value {
        var rest = Substring(text)
        return try value(&rest)
    }

    private static func value(_ rest: inout Substring) throws -> Value {
        skip(&rest)
        switch rest.first {
        case "{":
            var entries: [(key: String, keyMark: Mark, value: Value)] = []
            rest.removeFirst()
            while skip(&rest) != "}" {
                let key = scalar(&rest, until: ":")
                guard rest.popFirst() == ":" else { throw HarnessError("':' is missing at '\(rest)'") }
                entries.append((key, 0, try value(&rest)))
                if skip(&rest) == "," { rest.removeFirst() }
                if rest.isEmpty { throw HarnessError("'}' is missing") }
            }
            rest.removeFirst()
            return .map(entries, 0)
        case "[":
            var items: [Value] = []
            rest.removeFirst()
            while skip(&rest) != "]" {
                items.append(try value(&rest))
                if skip(&rest) == "," { rest.removeFirst() }
                if rest.isEmpty { throw HarnessError("']' is missing") }
            }
            rest.removeFirst()
            return .list(items, 0)
        default: return .scalar(scalar(&rest, until: ",}]"), 0)
        }
    }

    @discardableResult
    private static func skip(_ rest: inout Substring) -> Character? {
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        return rest.first
    }

    private static func scalar(_ rest: inout Substring, until stops: String) -> String {
        skip(&rest)
        if let quote = rest.first, quote == "\"" || quote == "'" {
            rest.removeFirst()
            let text = rest.prefix { $0 != quote }
            rest = rest.dropFirst(text.count + 1)
            return String(text)
        }
        let text = rest.prefix { !stops.contains($0) }
        rest = rest.dropFirst(text.count)
        return String(text.reversed().drop(while: \.isWhitespace).reversed())
    }
}

/// Random numbers that are the same in every run of the tests.
struct TestRandom: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return mix64(state)
    }
}
