// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

@testable import Dataplane

/// Packets for a run, each in a block of exactly its captured size, so that a read beyond it is found.
final class FuzzPackets {
    struct Packet {
        var bytes: UnsafeMutableRawBufferPointer
        var wireLength: Int
        var time: Int64
        var linkType: UInt16
        var flags: ItemFlags
    }
    private(set) var list: [Packet] = []
    /// Bytes of all packets.
    private(set) var bytes = 0

    init(most: Int) { list.reserveCapacity(most) }

    deinit { for packet in list { packet.bytes.deallocate() } }

    /// Adds a packet of which the first `captured` bytes are there. Times must not run backwards, and stay below
    /// ``FuzzGraph/longest``.
    func add(
        _ frame: FuzzFrame,
        captured: Int = .max,
        time: Int64 = 0,
        linkType: UInt16 = LinkType.ethernet,
        flags: ItemFlags = []
    ) {
        let count = min(captured, frame.count)
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
        block.copyMemory(from: UnsafeRawBufferPointer(rebasing: frame.bytes.prefix(count)))
        bytes += count
        list.append(Packet(bytes: block, wireLength: frame.count, time: time, linkType: linkType, flags: flags))
    }
}

/// Gives packets as a capture does: items point to bytes that nobody may write.
private final class FuzzSource: PacketSource {
    /// What is given next, and how much later than it says.
    var given: FuzzPackets?
    var base: Int64 = 0
    private var next = 0

    override var nextTime: Int64 {
        guard let given, next < given.list.count else { return .max }
        return base + given.list[next].time
    }

    override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        guard let given else { return 0 }
        var count = 0
        while next < given.list.count, count < max, base + given.list[next].time < limit,
            pool.take(1, into: indices + count) == 1
        {
            let packet = given.list[next]
            var item = Item(
                data: packet.bytes.baseAddress!,
                length: UInt32(packet.bytes.count),
                wireLength: UInt32(packet.wireLength),
                time: base + packet.time,
                sequence: sequence + UInt64(count),
                linkType: packet.linkType,
                interface: 0
            )
            item.flags = packet.flags
            pool.items[Int(indices[count])] = item
            next += 1
            count += 1
        }
        return count
    }

    func begin(_ packets: FuzzPackets) {
        given = packets
        next = 0
    }
}

/// Looks at what leaves an output.
class FuzzObserver: @unchecked Sendable {
    func see(_ p: Packet, output: Int) {}
}

/// The end of an edge, where an observer looks.
private final class FuzzWatcher: Element {
    struct Config: ElementConfig {
        var observer: FuzzObserver?
        var output = 0
    }
    static let summary = "lets an observer look at everything"
    static let category = Category.testing
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .any, reads: .payload, "anything")] }
    static func outputs(_: Config) -> [Output] { [] }

    private let config: Config

    init(_ config: Config, _: Setup) {
        self.config = config
        super.init()
    }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count { config.observer?.see(batch[k], output: config.output) }
        context.use(batch)
    }
}

/// A wire and elements behind it, each at the first output of the one before; an observer looks at outputs of the last.
///
/// Making a graph takes longer than an input: so graphs are kept, and run again and again. Nothing of a run may be left in
/// it.
final class FuzzGraph {
    /// Nothing in a run takes longer, in nanoseconds.
    static let longest: Int64 = 1 << 22

    /// Whether each run is later than those before.
    var advances = true
    private let instance: Instance
    private let source = FuzzSource()
    private let last: Int
    private var packets: UInt64 = 0

    private struct NoServices: Services {
        func openSink(_ name: String) throws -> any ByteSink { throw FileError(name) }
        func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? { nil }
    }
    private static let watcher = ElementDescriptor(FuzzWatcher.self)

    /// - Parameters:
    ///   - outputs: those of the last element that `observer` looks at.
    ///   - more: edges besides; the wire is number 0.
    init(
        _ elements: [FuzzNode],
        outputs: [Int],
        _ observer: FuzzObserver,
        batch: Int,
        pool: Int,
        more: [GraphSpec.Edge] = []
    ) {
        var nodes = [FuzzNode(Wire.self, NoConfig()).node] + elements.map(\.node)
        last = nodes.count - 1
        var edges = (1..<nodes.count).map { GraphSpec.Edge(from: $0 - 1, output: 0, to: $0, input: 0) } + more
        for output in outputs {
            let config = FuzzWatcher.Config(observer: observer, output: output)
            edges.append(GraphSpec.Edge(from: last, output: output, to: nodes.count, input: 0))
            nodes.append(
                GraphSpec.Node(
                    name: "output\(output)",
                    type: FuzzGraph.watcher,
                    element: ConfiguredElement(FuzzWatcher.self, config)
                )
            )
        }
        var options = Instance.Options()
        options.batch = batch
        options.poolCapacity = pool
        instance = try! Instance(
            GraphSpec(name: "fuzz", nodes: nodes, edges: edges),
            bindings: [0: WireBinding(source: source)],
            services: NoServices(),
            options: options
        )
    }

    /// Runs packets through, and sees to it that everything that went in has come out or was counted.
    func run(_ given: FuzzPackets) {
        source.begin(given)
        do { try DirectRuntime(instance).run() } catch { fatalError("\(error)") }
        if advances { source.base += 2 * FuzzGraph.longest }
        packets += UInt64(given.list.count)
        require(instance.nodes[0].made == packets, "not all packets were read")
        require(instance.pool.freeCount == instance.pool.capacity, "items were lost")
        require(instance.pool.state.pointee.largeCount == 0, "blocks of items were lost")
        for number in instance.spec.nodes.indices { checkBalance(number) }
    }

    /// As ``ElementCounts/balances``, without text.
    private func checkBalance(_ number: Int) {
        let node = instance.nodes[number]
        let outputs = instance.spec.nodes[number].element.outputs.count
        var gone = node.used
        for output in 0..<outputs { gone += node.outputs[output].moved }
        for reason in 0..<(instance.spec.nodes[number].type.drops.count + 1 + outputs) { gone += node.drops[reason] }
        require(node.held == 0, "something is held for ever")
        require(node.entered + node.made == gone, "\(instance.spec.nodes[number].name) does not balance")
    }

    /// What a handler of the last element shows.
    func read<E: Element>(_ handler: Handler<E>) -> Int { handler.read(instance.elements[last] as! E) }
}

/// An element of a graph, configured without a graph file.
struct FuzzNode {
    let node: GraphSpec.Node

    init<E: Element>(_ type: E.Type, _ config: E.Config) {
        node = GraphSpec.Node(
            name: E.name,
            type: ElementDescriptor(type),
            element: ConfiguredElement(type, config)
        )
    }
}

extension ElementType {
    /// The handler called `name`.
    static func handler(_ name: String) -> Handler<Self> { handlers.first { $0.name == name }! }
}

extension ConfiguredElement {
    fileprivate init<E: Element>(_ type: E.Type, _ config: E.Config) {
        self.init(
            inputs: E.inputs(config),
            outputs: E.outputs(config),
            flowCapacity: E.flowCapacity(config),
            heldItems: E.heldItems(config),
            shortestTimer: E.shortestTimer(config),
            settings: [],
            files: [],
            make: { try E(config, $0) },
            readHandlers: { element in E.handlers.map { ($0.name, $0.read(element as! E)) } }
        )
    }
}
