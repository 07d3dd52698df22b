// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

@testable import Model
@testable import Placement

/// Packets without content, a microsecond apart.
private final class EvenSource: PacketSource {
    private let data = UnsafeMutableRawPointer.allocate(byteCount: 1000, alignment: 16)
    private var next = 0

    override init() {
        super.init()
        data.initializeMemory(as: UInt8.self, repeating: 0, count: 1000)
    }

    deinit { data.deallocate() }

    override var nextTime: Int64 { next < 200 ? Int64(next) * 1000 : .max }

    override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        guard next < 200, nextTime < limit, pool.take(1, into: indices) == 1 else { return 0 }
        pool.items[Int(indices[0])] = Item(
            data: data,
            length: 1000,
            wireLength: 1000,
            time: nextTime,
            sequence: sequence,
            linkType: 1,
            interface: 0
        )
        next += 1
        return 1
    }
}

/// Counts an operation for each packet and passes it on.
private protocol Worker: ElementType where Config == NoConfig {
    static var work: Dataplane.Operation { get }
}

extension Worker {
    static var summary: String { "works" }
    static var category: Category { .testing }
    static var depends: Depends { .item }
    static func inputs(_: NoConfig) -> [Input] { [Input("in", .only(.packet), reads: .payload, "packets")] }
    static func outputs(_: NoConfig) -> [Output] { [Output("out", .sameAs(input: 0), "packets")] }
    static var operations: [Dataplane.Operation] { [work] }
}

/// Cheap on the NIC, dear on the host.
private final class NICWork: ElementBase, Worker {
    static let work = Dataplane.Operation.hash
    init(_: NoConfig, _: Setup) { super.init() }
    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        context.did(.hash, batch.count)
        context.emit(batch, 0)
    }
}

/// Cheap on the host, dear on the NIC.
private final class HostWork: ElementBase, Worker {
    static let work = Dataplane.Operation.record
    init(_: NoConfig, _: Setup) { super.init() }
    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        context.did(.record, batch.count)
        context.emit(batch, 0)
    }
}

private struct NoServices: Services {
    func openSink(_ name: String) throws -> any ByteSink { throw FilterError("no sinks here") }
    func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? { nil }
}

@Suite struct PlanTests {
    /// wire -> a -> b -> ... -> wire, where letters of `work` say what each element is.
    private static func chain(_ work: String) -> GraphSpec {
        func node(_ name: String, _ type: ElementDescriptor) -> GraphSpec.Node {
            GraphSpec.Node(name: name, type: type, element: type.configure([], at: 0).element!)
        }
        var nodes = [node("w", ElementDescriptor(Wire.self))]
        for (k, letter) in work.enumerated() {
            nodes.append(
                node(
                    "\(letter)\(k)",
                    letter == "n" ? ElementDescriptor(NICWork.self) : ElementDescriptor(HostWork.self)
                )
            )
        }
        let edges = nodes.indices.map {
            GraphSpec.Edge(from: $0, output: 0, to: ($0 + 1) % nodes.count, input: 0)
        }
        return GraphSpec(name: "chain", nodes: nodes, edges: edges)
    }

    private static func executor(_ hash: Int, _ record: Int, _ clock: Int) -> ExecutorProfile {
        var costs = Array(repeating: OperationCost(cycles: 0), count: Dataplane.Operation.allCases.count)
        costs[Dataplane.Operation.hash.rawValue] = OperationCost(cycles: hash * 1000)
        costs[Dataplane.Operation.record.rawValue] = OperationCost(cycles: record * 1000)
        return ExecutorProfile(
            cores: 4,
            threads: 1,
            clock: clock,
            dispatch: .shared,
            perItem: 20_000,
            send: 5_000,
            queue: 512,
            memory: nil,
            flows: nil,
            memoryRate: nil,
            costs: costs
        )
    }

    private static let profile = DeviceProfile(
        name: "test",
        about: "",
        notModelled: [],
        nic: executor(50, 4000, 1_000_000_000),
        host: executor(3000, 60, 2_000_000_000),
        mac: MACProfile(packetRate: 100_000_000, buffer: 64),
        channel: ChannelProfile(
            link: PCIeLink(generation: 3, lanes: 8),
            driver: .dpdk,
            toHost: .init(latency: 300_000, latencyPerByte: 250_000, ring: 4096, inFlight: nil, issueInterval: 0),
            toNIC: .init(latency: 500_000, latencyPerByte: 300_000, ring: 4096, inFlight: nil, issueInterval: 0),
            notification: .polling
        ),
        figures: []
    )

    private static func plan(
        _ spec: GraphSpec,
        _ objective: Objective,
        _ profile: DeviceProfile = profile
    ) throws -> Plan {
        var options = Plan.options
        options.packets = 2000
        return try Plan.make(spec, for: objective, profile: profile, options: options) {
            try Instance(spec, bindings: [0: WireBinding(source: EvenSource())], services: NoServices())
        }
    }

    @Test func eachObjectiveFindsItsBest() throws {
        let spec = Self.chain("nhn")
        for objective in Objective.allCases {
            let plan = try Self.plan(spec, objective)
            #expect(plan.ranked.count == 8)
            let scores = plan.ranked.map { objective.score($0) }
            #expect(scores == scores.sorted())
        }
        // Work goes where it is cheap when only rate counts; nothing crosses when only bytes count.
        #expect(try Self.plan(spec, .rate).best.sides == [.nic, .nic, .host, .nic])
        #expect(try Self.plan(spec, .dmaBytes).best.sides == [.nic, .nic, .nic, .nic])
        #expect(try Self.plan(spec, .hostCycles).best.hostCyclesPerPacket == 0)
        let plan = try Self.plan(spec, .rate)
        #expect(plan.allHost?.sides == [.nic, .host, .host, .host])
        #expect(plan.allNIC?.sides == [.nic, .nic, .nic, .nic])
        #expect(plan.best.name == "nic-n0-n2")
        // The graph's own name for a placement is the better one.
        var named = spec
        named.placements = [
            GraphSpec.Placement(name: "mine", sides: [.nic, .nic, .host, .nic]),
            GraphSpec.Placement(name: "all-nic", sides: [.nic, .host, .host, .nic]),
        ]
        let mine = try Self.plan(named, .rate)
        #expect(mine.best.name == "mine" && mine.allNIC?.name == "all-nic-2")
        #expect(Set(mine.ranked.map(\.name)).count == 8)
        #expect(plan.completeness.hasPrefix("all 8 possible placements were tried"))
        #expect(plan.reasons.map(\.element) == ["w", "n0", "h1", "n2"])
        #expect(plan.reasons[0].text == "a Wire is a port of the NIC")
        #expect(plan.reasons[2].text.contains("moved to the nic alone it is worse: rate"))
        #expect(!plan.isTie)
    }

    @Test func constraintsHold() throws {
        var pinned = Self.chain("nhn")
        pinned.nodes[1].place = .host
        let plan = try Self.plan(pinned, .hostCycles)
        #expect(plan.ranked.count == 4)
        #expect(plan.ranked.allSatisfy { $0.sides[1] == .host })
        #expect(plan.reasons[1].text == "the graph pins it to the host")
        var together = Self.chain("nhn")
        together.together = [[1, 2], [2, 3]]
        let joined = try Self.plan(together, .rate)
        #expect(joined.ranked.count == 2)
        #expect(joined.ranked.allSatisfy { Set($0.sides[1...]).count == 1 })
        #expect(joined.reasons[1].text.contains("with h1, n2"))
        together.nodes[1].place = .host
        together.nodes[3].place = .nic
        #expect(throws: ModelError.self) { try Self.plan(together, .rate) }
    }

    @Test func tooManyAreRefused() throws {
        #expect(try Self.plan(Self.chain("nnnnnn"), .dmaBytes).ranked.count == 64)
        #expect(throws: ModelError.tooManyPlacements(128)) { try Self.plan(Self.chain("nnnnnnn"), .rate) }
        #expect {
            try Self.plan(Self.chain(String(repeating: "n", count: 70)), .rate)
        } throws: {
            "\($0)".hasPrefix("more than 2^62 placements are possible")
        }
    }

    @Test func oneElementAloneIsAPlan() throws {
        let spec = Self.chain("")
        let plan = try Self.plan(spec, .p99)
        #expect(plan.ranked.count == 1 && !plan.isTie)
        #expect(plan.best.latency != nil)
    }
}
