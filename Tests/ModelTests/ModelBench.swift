// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Foundation

@testable import Model

/// A packet for tests: UDP over IPv4 over Ethernet, whose payload starts with its number.
struct TestPacket {
    var time: Int64
    /// Flow `f` runs between 10.0.0.f:1000+f and 10.1.0.1:53.
    var flow: Int
    var isReverse = false
    var size = 64

    func bytes(_ number: Int) -> [UInt8] {
        var b = [UInt8](repeating: 0, count: max(size, 50))
        b[12] = 8
        b[14] = 0x45
        b[23] = 17
        let client: [UInt8] = [10, 0, UInt8(flow >> 8 & 255), UInt8(flow & 255)]
        let server: [UInt8] = [10, 1, 0, 1]
        b.replaceSubrange(26..<30, with: isReverse ? server : client)
        b.replaceSubrange(30..<34, with: isReverse ? client : server)
        let ports: [UInt8] = [UInt8((1000 + flow) >> 8 & 255), UInt8((1000 + flow) & 255)]
        b.replaceSubrange(34..<36, with: isReverse ? [0, 53] : ports)
        b.replaceSubrange(36..<38, with: isReverse ? ports : [0, 53])
        for k in 0..<8 { b[42 + k] = UInt8(truncatingIfNeeded: number >> (8 * k)) }
        return b
    }
}

extension MemorySource {
    convenience init(_ packets: [TestPacket]) {
        self.init(
            packets.enumerated().map { number, packet in
                let bytes = packet.bytes(number)
                return Packet(bytes: bytes, wireLength: bytes.count, time: packet.time)
            }
        )
    }
}

/// Keeps what left a wire: the flow key and all bytes of each packet, in order.
final class MemoryDestination: PacketDestination {
    private(set) var packets: [[UInt8]] = []
    func write(_ item: Packet) throws { packets.append(Array(item.bytes.prefix(64))) }
    func close() throws {}

    /// The packets of each flow in each direction, in order.
    var byFlow: [[UInt8]: [[UInt8]]] { Dictionary(grouping: packets) { Array($0[26..<38]) } }
}

struct NoServices: Services {
    func openSink(_ name: String) throws -> any ByteSink { throw FilterError("no sinks here") }
    func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? { nil }
}

// MARK: Elements for tests

/// The flow of a test packet.
func flowNumber(_ item: Packet) -> Int {
    let b = item.bytes
    let at = b[26] == 10 && b[27] == 0 ? 26 : 30
    return Int(b[at + 2]) << 8 | Int(b[at + 3])
}

/// Writes into each packet how many of its flow came before: shows when a flow was reordered.
final class Numberer: Element {
    typealias Config = NoConfig
    static let summary = "numbers the packets of each flow"
    static let category = Category.testing
    static let depends = Depends.flow
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .payload, "packets")] }
    static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "packets")] }
    static let operations: [Dataplane.Operation] = [.lookup, .update]
    private var counts = [UInt32](repeating: 0, count: 65_536)
    init(_: Config, _: Setup) { super.init() }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            let i = batch.index[k]
            context.own(i)
            let flow = flowNumber(batch[k])
            let at = batch[k].writableData + 46
            at.storeBytes(of: counts[flow] &+ 31 &* at.loadUnaligned(as: UInt32.self), as: UInt32.self)
            counts[flow] &+= 1
            context.did(.lookup, 1)
            context.did(.update, 1)
            context.emit(i, 0)
        }
    }
}

/// Sends packets to `even` or `odd` by the number in their payload.
final class Parity: Element {
    typealias Config = NoConfig
    static let summary = "branches by packet number"
    static let category = Category.testing
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .headers, "packets")] }
    static func outputs(_: Config) -> [Output] {
        [Output("even", .sameAs(input: 0), "even"), Output("odd", .sameAs(input: 0), "odd")]
    }
    static let operations: [Dataplane.Operation] = [.test]
    init(_: Config, _: Setup) { super.init() }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            context.did(.test, 1)
            // Not the same for neighbours of a flow, however flows alternate.
            context.emit(batch.index[k], Int(mix64(UInt64(batch[k].bytes[42])) & 1))
        }
    }
}

/// Costs bytes of payload, as many as the packet has.
final class Toucher: Element {
    typealias Config = NoConfig
    static let summary = "reads the payload"
    static let category = Category.testing
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .any, reads: .payload, "packets")] }
    static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "packets")] }
    static let operations: [Dataplane.Operation] = [.payloadBytes]
    init(_: Config, _: Setup) { super.init() }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count { context.did(.payloadBytes, Int(batch[k].length)) }
        context.emit(batch, 0)
    }
}

/// Copies each packet to a second output.
final class Doubler: Element {
    typealias Config = NoConfig
    static let summary = "copies"
    static let category = Category.testing
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .payload, "packets")] }
    static func outputs(_: Config) -> [Output] {
        [Output("out", .sameAs(input: 0), "originals"), Output("copy", .sameAs(input: 0), "copies")]
    }
    static let operations: [Dataplane.Operation] = [.copyBytes]
    init(_: Config, _: Setup) { super.init() }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            if let j = context.copy(batch.index[k]) {
                context[j].writableData.storeBytes(of: 0xcc, toByteOffset: 45, as: UInt8.self)
                context.did(.copyBytes, Int(batch[k].length))
                context.emit(j, 1)
            }
            context.emit(batch.index[k], 0)
        }
    }
}

/// Sends some packets round once more: those that have not been and whose number is divisible by three.
final class Again: Element {
    typealias Config = NoConfig
    static let summary = "sends some packets round"
    static let category = Category.testing
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .payload, "packets")] }
    static func outputs(_: Config) -> [Output] {
        [Output("out", .sameAs(input: 0), "done"), Output("back", .sameAs(input: 0), "again")]
    }
    static let operations: [Dataplane.Operation] = [.test]
    init(_: Config, _: Setup) { super.init() }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            let i = batch.index[k]
            context.own(i)
            context.did(.test, 1)
            if batch[k].bytes[42] % 3 == 0, batch[k].bytes[44] == 0 {
                batch[k].writableData.storeBytes(of: 1, toByteOffset: 44, as: UInt8.self)
                context.emit(i, 1)
            } else {
                context.emit(i, 0)
            }
        }
    }
}

/// Holds packets in pairs: the first of each pair of a flow waits for the second.
final class Pairs: Element {
    typealias Config = NoConfig
    static let summary = "holds packets until their flow has two"
    static let category = Category.testing
    static let depends = Depends.flow
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .payload, "packets")] }
    static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "packets")] }
    static let operations: [Dataplane.Operation] = [.update]
    private var held = [Int32](repeating: -1, count: 65_536)
    init(_: Config, _: Setup) { super.init() }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            let flow = flowNumber(batch[k])
            context.did(.update, 1)
            if held[flow] < 0 {
                held[flow] = batch.index[k]
                context.hold(batch.index[k])
            } else {
                context.resume(held[flow], because: batch.index[k])
                context.emit(held[flow], 0)
                context.emit(batch.index[k], 0)
                held[flow] = -1
            }
        }
    }

    override func finish(_ context: borrowing Context) {
        for flow in held.indices where held[flow] >= 0 {
            context.resume(held[flow])
            context.emit(held[flow], 0)
            held[flow] = -1
        }
    }
}

/// Every millisecond of functional time sends out what it has kept, in order.
final class Ticker: Element {
    typealias Config = NoConfig
    static let summary = "sends packets at ticks"
    static let category = Category.testing
    static let depends = Depends.clock
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .payload, "packets")] }
    static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "packets")] }
    static let operations: [Dataplane.Operation] = [.timer]
    static func shortestTimer(_: Config) -> ShortestTimer? { .tick(1_000_000) }
    private var held: [Int32] = []
    private var isArmed = false
    init(_: Config, _: Setup) { super.init() }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            held.append(batch.index[k])
            context.hold(batch.index[k])
            if !isArmed {
                isArmed = true
                context.arm(0, at: (batch[k].time / 1_000_000 + 1) * 1_000_000)
            }
        }
    }

    override func timer(_ id: Int, due: Int64, _ context: borrowing Context) {
        context.did(.timer, 1)
        isArmed = false
        for i in held {
            context.resume(i)
            context.emit(i, 0)
        }
        held = []
    }

    override func finish(_ context: borrowing Context) { timer(0, due: 0, context) }
}

/// A flow table for tests: room for `capacity` flows; the oldest is evicted when it is full.
final class SmallTable: Element {
    typealias Config = NoConfig
    static let summary = "finds flows"
    static let category = Category.testing
    static let depends = Depends.order
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .headers, "packets")] }
    static func outputs(_: Config) -> [Output] { [Output("hit", .sameAs(input: 0), "packets")] }
    static func flowCapacity(_: Config) -> Int? { 8 }
    static let operations: [Dataplane.Operation] = [.lookup]
    private var flows: [Int] = Array(repeating: -1, count: 8)
    private var generations: [UInt32] = Array(repeating: 0, count: 8)
    private var free = Array(0..<8)
    private var used: [Int] = []
    private(set) var bypassed = 0
    init(_: Config, _: Setup) { super.init() }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            let flow = flowNumber(batch[k])
            context.did(.lookup, 1)
            var slot = flows.firstIndex(of: flow)
            if slot == nil, let fresh = free.popLast() {
                slot = fresh
                flows[fresh] = flow
                used.append(fresh)
            }
            if slot == nil, !used.isEmpty {
                let old = used.removeFirst()
                flows[old] = -1
                context.endFlow(
                    FlowRef(index: Int32(old), generation: generations[old]),
                    .evicted,
                    because: batch.index[k]
                )
            }
            if let slot {
                batch[k].flow = FlowRef(index: Int32(slot), generation: generations[slot])
            } else {
                bypassed += 1
            }
            context.emit(batch.index[k], 0)
        }
    }

    override func flowReleased(_ flow: FlowRef, _ context: borrowing Context) {
        generations[Int(flow.index)] += 1
        free.append(Int(flow.index))
    }
}

/// Keeps the generation of each flow it sees; complains when one comes after its end.
final class FlowWatcher: Element {
    typealias Config = NoConfig
    static let summary = "watches flows"
    static let category = Category.testing
    static let depends = Depends.flow
    static let stateBytesPerFlow = 8
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .headers, "packets")] }
    static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "packets")] }
    static let handlers = [
        Handler<FlowWatcher>("ends", "flows ended") { $0.ends },
        Handler<FlowWatcher>("late", "packets after the end of their flow") { $0.late },
    ]
    static let operations: [Dataplane.Operation] = [.update]
    private var next: [UInt32] = Array(repeating: 0, count: 8)
    private var ends = 0
    private var late = 0
    init(_: Config, _: Setup) { super.init() }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            let flow = batch[k].flow
            if flow.index >= 0, flow.generation < next[Int(flow.index)] { late += 1 }
        }
        context.did(.update, batch.count)
        context.emit(batch, 0)
    }

    override func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {
        next[Int(flow.index)] = flow.generation + 1
        ends += 1
        context.did(.update, 1)
    }
}

/// Ends very many flows at once, at the end of the input or at the tenth packet.
final class MassEnder: Element {
    typealias Config = NoConfig
    static let summary = "ends flows"
    static let category = Category.testing
    static let depends = Depends.order
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .headers, "packets")] }
    static func outputs(_: Config) -> [Output] { [Output("hit", .sameAs(input: 0), "packets")] }
    static func flowCapacity(_: Config) -> Int? { 8 }
    static let handlers = [Handler<MassEnder>("released", "flows whose slots came back") { $0.released }]
    private var seen = 0
    private var released = 0
    init(_: Config, _: Setup) { super.init() }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for _ in 0..<batch.count {
            seen += 1
            if seen == 10 { endAll(context) }
        }
        context.emit(batch, 0)
    }

    private func endAll(_ context: borrowing Context) {
        for k in 0..<20_000 {
            context.endFlow(FlowRef(index: Int32(k % 8), generation: 0), .eof, time: 0)
        }
    }

    override func flowReleased(_ flow: FlowRef, _ context: borrowing Context) { released += 1 }
    override func finish(_ context: borrowing Context) { endAll(context) }
}

let testCatalog = Catalog([
    ElementDescriptor(Wire.self), ElementDescriptor(Counter.self), ElementDescriptor(Discard.self),
    ElementDescriptor(Numberer.self), ElementDescriptor(Parity.self), ElementDescriptor(Toucher.self),
    ElementDescriptor(Doubler.self), ElementDescriptor(Again.self), ElementDescriptor(Pairs.self),
    ElementDescriptor(Ticker.self), ElementDescriptor(SmallTable.self), ElementDescriptor(FlowWatcher.self),
    ElementDescriptor(MassEnder.self), ElementDescriptor(FlowTable.self), ElementDescriptor(Opener.self),
    ElementDescriptor(IPDefragmenter.self),
])

/// A graph from `name: Type` and `name.port -> name.port`.
///
/// Parameters of elements stand beside: `["known": ["cut_over": "slow_path"]]`.
func graph(
    _ elements: KeyValuePairs<String, String>,
    _ edges: [String],
    _ settings: [String: KeyValuePairs<String, String>] = [:]
) -> GraphSpec {
    let nodes = elements.map { name, type in
        let descriptor = testCatalog[type]!
        let values = (settings[name] ?? [:]).map { (name: $0, mark: Mark(0), value: Value.scalar($1, 0)) }
        return GraphSpec.Node(name: name, type: descriptor, element: descriptor.configure(values, at: 0).element!)
    }
    func port(_ text: Substring) -> (Int, String?) {
        let parts = text.split(separator: ".")
        return (nodes.firstIndex { $0.name == parts[0] }!, parts.count > 1 ? String(parts[1]) : nil)
    }
    return GraphSpec(
        name: "test",
        nodes: nodes,
        edges: edges.map { text in
            let ends = text.split(separator: " ").filter { $0 != "->" }
            let (from, output) = port(ends[0])
            let (to, input) = port(ends[1])
            return GraphSpec.Edge(
                from: from,
                output: output.map { o in nodes[from].element.outputs.firstIndex { $0.name == o }! } ?? 0,
                to: to,
                input: input.map { i in nodes[to].element.inputs.firstIndex { $0.name == i }! } ?? 0
            )
        }
    )
}

extension GraphSpec {
    /// All placements with the wires on the NIC.
    var allPlacements: [[Side]] {
        let free = nodes.indices.filter { !nodes[$0].isWire }
        return (0..<(1 << free.count)).map { bits in
            var sides = Array(repeating: Side.nic, count: nodes.count)
            for (k, node) in free.enumerated() where bits >> k & 1 == 1 { sides[node] = .host }
            return sides
        }
    }

    /// Some names on the host, all else on the NIC.
    func onHost(_ names: String...) -> [Side] { nodes.map { names.contains($0.name) ? .host : .nic } }
}

func makeInstance(
    _ spec: GraphSpec,
    _ packets: [TestPacket],
    _ destination: MemoryDestination? = nil,
    batch: Int = 64
) throws -> Instance {
    var options = Instance.Options()
    options.batch = batch
    options.poolCapacity = 2048
    return try Instance(
        spec,
        bindings: [0: WireBinding(source: MemorySource(packets), destination: destination)],
        services: NoServices(),
        options: options
    )
}

/// Packets of some flows in both directions, at irregular times; reproducible.
func traffic(
    _ count: Int,
    flows: Int,
    seed: UInt64 = 1,
    gap: Int64 = 1_000,
    sizes: [Int] = [64, 200, 1000]
) -> [TestPacket] {
    var state = seed
    func next(_ n: Int) -> Int {
        state = mix64(state)
        return Int(state % UInt64(n))
    }
    var time: Int64 = 1_000_000_000
    return (0..<count).map { _ in
        // Never at one time, nor so near that a port would have to space them.
        time += 2 + Int64(next(Int(2 * gap)))
        return TestPacket(time: time, flow: next(flows), isReverse: next(3) == 0, size: sizes[next(sizes.count)])
    }
}

// MARK: Profiles for tests

func executor(
    cores: Int = 4,
    threads: Int = 1,
    clock: Int = 1_000_000_000,
    dispatch: ExecutorProfile.Dispatch = .shared,
    perItem: Int = 50_000,
    queue: Int = 512,
    cycles: Int = 100_000
) -> ExecutorProfile {
    var profile = ExecutorProfile()
    profile.cores = cores
    profile.threads = threads
    profile.clock = clock
    profile.dispatch = dispatch
    profile.perItem = perItem
    profile.send = 10_000
    profile.queue = queue
    profile.reorder.places = 4096
    profile.costs = Dataplane.Operation.allCases.map { OperationCost(cycles: $0.isPerByte ? 500 : cycles) }
    return profile
}

func testProfile(
    nic: ExecutorProfile = executor(cores: 8, threads: 4, clock: 800_000_000),
    host: ExecutorProfile = executor(cores: 4, clock: 2_500_000_000, dispatch: .flowHash)
) -> DeviceProfile {
    var profile = DeviceProfile()
    profile.name = "test"
    profile.nic = nic
    profile.host = host
    profile.plain.perItem = nic.perItem
    profile.plain.parking = 1 << 30
    profile.mac.ports = 4
    // So fast that only tests of ports meet it: 1 ps per byte, or less.
    profile.mac.lineRate = 8_000_000_000_000
    profile.mac.packetRate = 50_000_000
    profile.mac.buffer = 64
    profile.mac.txQueue = 1024
    profile.channel.driver = .dpdk
    profile.channel.toHost.latency = 300_000
    profile.channel.toHost.latencyPerByte = 250_000
    profile.channel.toHost.ring = 4096
    profile.channel.toHost.issueInterval = 10_000
    profile.channel.toNIC.latency = 500_000
    profile.channel.toNIC.latencyPerByte = 300_000
    profile.channel.toNIC.ring = 4096
    profile.channel.toNIC.inFlight = 34
    return profile
}

/// Packets at even distances, one flow after the other in turn.
func evenTraffic(_ count: Int, flows: Int, gap: Int64 = 1_000, size: Int = 64) -> [TestPacket] {
    (0..<count).map { TestPacket(time: 1_000_000_000 + Int64($0) * gap, flow: $0 % flows, size: size) }
}
