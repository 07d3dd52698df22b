// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Synchronization
import Testing

@testable import Model
@testable import Placement

/// Packets without content, a microsecond apart.
private func evenPackets() -> [MemorySource.Packet] {
    (0..<200).map {
        MemorySource.Packet(bytes: [UInt8](repeating: 0, count: 1000), wireLength: 1000, time: 1000 * Int64($0))
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
        var executor = ExecutorProfile()
        executor.cores = 4
        executor.clock = clock
        executor.perItem = 20_000
        executor.send = 5_000
        executor.queue = 512
        executor.costs[Dataplane.Operation.hash.rawValue] = OperationCost(cycles: hash * 1000)
        executor.costs[Dataplane.Operation.record.rawValue] = OperationCost(cycles: record * 1000)
        return executor
    }

    private static let profile: DeviceProfile = {
        var profile = DeviceProfile()
        profile.name = "test"
        profile.nic = executor(50, 4000, 1_000_000_000)
        profile.host = executor(3000, 60, 2_000_000_000)
        profile.mac.lineRate = 800_000_000_000
        profile.mac.packetRate = 100_000_000
        profile.mac.buffer = 64
        profile.mac.txQueue = 1024
        profile.channel.driver = .dpdk
        profile.channel.toHost.latency = 300_000
        profile.channel.toHost.latencyPerByte = 250_000
        profile.channel.toHost.ring = 4096
        profile.channel.toNIC.latency = 500_000
        profile.channel.toNIC.latencyPerByte = 300_000
        profile.channel.toNIC.ring = 4096
        return profile
    }()

    private static func plan(
        _ spec: GraphSpec,
        _ objective: Objective,
        _ profile: DeviceProfile = profile
    ) throws -> Plan {
        var options = Comparison.Options()
        options.packets = 2000
        return try Plan.make(spec, for: objective, profile: profile, options: options) {
            try Instance(spec, bindings: [0: WireBinding(source: MemorySource(evenPackets()))], services: NoServices())
        }
    }

    @Test func eachObjectiveFindsItsBest() throws {
        let spec = Self.chain("nhn")
        // The oracle: all placements, each replayed.
        var options = Comparison.Options()
        options.packets = 2000
        let all = try Comparison.run(
            (0..<8).map { bits in
                GraphSpec.Placement(
                    name: "p\(bits)",
                    sides: [.nic] + (0..<3).map { bits >> $0 & 1 == 1 ? .nic : .host }
                )
            },
            profile: Self.profile,
            options: options
        ) {
            try Instance(spec, bindings: [0: WireBinding(source: MemorySource(evenPackets()))], services: NoServices())
        }
        for objective in Objective.allCases {
            let plan = try Self.plan(spec, objective)
            #expect(plan.possible.all == 8 && plan.possible.infeasible == 0)
            let best = all.results.map(objective.score).min()!
            #expect(Merits.isEqual(objective.score(plan.best), best), "\(objective)")
            // None dominates the best one.
            for other in all.results where Merits.isEqual(objective.score(other), objective.score(plan.best)) {
                #expect(other.hostCyclesPerPacket >= plan.best.hostCyclesPerPacket - 1e-6, "\(objective)")
            }
            for result in plan.ranked {
                let same = try #require(all.results.first { $0.sides == result.sides })
                #expect(same.sustainableRate == result.sustainableRate && same.latency == result.latency)
            }
            #expect(plan.sensitivity.draws == 0 && plan.sensitivity.turnedBy.isEmpty)
        }
        // Work goes where it is cheap when only rate counts; nothing crosses when only bytes count.
        #expect(try Self.plan(spec, .rate).best.sides == [.nic, .nic, .host, .nic])
        #expect(try Self.plan(spec, .dmaBytes).best.sides == [.nic, .nic, .nic, .nic])
        #expect(try Self.plan(spec, .hostCycles).best.hostCyclesPerPacket == 0)
        let plan = try Self.plan(spec, .rate)
        #expect(plan.baseline.name == "all-host")
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
        #expect(Set(mine.ranked.map(\.name)).count == mine.ranked.count)
        #expect(plan.completeness.hasPrefix("all 8 possible placements were looked at"))
        #expect(plan.reasons.map(\.element) == ["w", "n0", "h1", "n2"])
        #expect(plan.reasons[0].text == "a Wire is a port of the NIC")
        #expect(plan.reasons[2].text.contains("on the NIC instead: worse: rate"))
        #expect(!plan.isTie)
    }

    @Test func constraintsHold() throws {
        var pinned = Self.chain("nhn")
        pinned.nodes[1].place = .host
        let plan = try Self.plan(pinned, .hostCycles)
        #expect(plan.possible.all == 4)
        #expect(plan.ranked.allSatisfy { $0.sides[1] == .host })
        #expect(plan.reasons[1].text == "the graph pins it to the host")
        var together = Self.chain("nhn")
        together.together = [[1, 2], [2, 3]]
        let joined = try Self.plan(together, .rate)
        #expect(joined.ranked.count == 2 && joined.possible.all == 2)
        #expect(joined.ranked.allSatisfy { Set($0.sides[1...]).count == 1 })
        #expect(joined.reasons[1].text.contains("instead, with h1, n2"))
        together.nodes[1].place = .host
        together.nodes[3].place = .nic
        #expect(throws: ModelError.self) { try Self.plan(together, .rate) }
    }

    @Test func tooManyAreRefused() throws {
        let seven = try Self.plan(Self.chain("nnnnnnn"), .dmaBytes)
        #expect(seven.possible.all == 128 && seven.best.sides.allSatisfy { $0 == .nic })
        #expect(throws: ModelError.tooManyPlacements(32_768, most: 16_384)) {
            try Self.plan(Self.chain(String(repeating: "n", count: 15)), .rate)
        }
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

    /// A placement that the NIC has no room for is left out with its reason, and is not the end of the plan.
    @Test func whatCannotBeIsLeftOut() throws {
        var profile = Self.profile
        profile.nic.cores = 0
        let plan = try Self.plan(Self.chain("nh"), .rate, profile)
        #expect(plan.possible.all == 4 && plan.possible.infeasible == 3)
        #expect(plan.best.sides == [.nic, .host, .host])
        #expect(plan.infeasible.count == 3 && plan.infeasible.allSatisfy { $0.reason.contains("no cores") })
        #expect(plan.completeness.contains("3 cannot be modelled"))
        #expect(plan.reasons[1].text.contains("it cannot be modelled"))
    }

    /// A search that is interrupted when the model has said `steps` times how far it is.
    private static func interrupted(_ objective: Objective, after steps: Int) throws -> Plan {
        var options = Comparison.Options()
        options.packets = 2000
        let left = Atomic(steps)
        let spec = Self.chain("nhnhn")
        return try Plan.make(
            spec,
            for: objective,
            profile: Self.profile,
            options: options,
            progress: { step in
                if case .replaying = step { left.subtract(1, ordering: .relaxed) }
            },
            shouldStop: { left.load(ordering: .relaxed) <= 0 },
            makeInstance: {
                try Instance(
                    spec,
                    bindings: [0: WireBinding(source: MemorySource(evenPackets()))],
                    services: NoServices()
                )
            }
        )
    }

    /// An interrupt gives the best of what was replayed, and says so; nothing more is replayed.
    @Test(arguments: [Objective.rate, .p99])
    func anInterruptGivesTheBestSoFar(_ objective: Objective) throws {
        let plan = try Self.interrupted(objective, after: 2)
        #expect(plan.wasInterrupted && plan.completeness.hasPrefix("interrupted"))
        #expect((1...2).contains(plan.ranked.count))
    }

    /// Before anything was replayed there is no result.
    @Test(arguments: [0, 1]) func anInterruptBeforeAnyResult(_ steps: Int) {
        #expect(throws: ModelError.stopped) { try Self.interrupted(.rate, after: steps) }
    }

    /// Of one placement nothing is said that needs others.
    @Test func onePlacement() throws {
        var spec = Self.chain("n")
        spec.nodes[1].place = .host
        let plan = try Self.plan(spec, .rate)
        #expect(plan.completeness == "only one placement is possible, and it was replayed")
        #expect(plan.sensitivity.draws == 0 && plan.sensitivity.turnedBy.isEmpty)
    }

    /// Equal in the objective: fewer host cycles, then bytes, p99, rate, elements. What differs by less than the search resolves is equal.
    @Test func noneIsDominated() {
        func merits(_ objective: Double, _ cycles: Double, _ bytes: Double, _ p99: Double, _ nic: Int) -> Merits {
            Merits(objective: objective, hostCycles: cycles, dmaBytes: bytes, p99: p99, rate: 1, nicElements: nic)
        }
        let all = [
            merits(-1000, 5, 1, 1, 1), merits(-1000.5, 9, 1, 1, 1), merits(-999.6, 5, 0, 7, 9),
            merits(-999.6, 5, 0, 6, 3),
            merits(-999.6, 5, 0, 6, 2), merits(-900, 0, 0, 0, 0),
        ]
        #expect(Merits.ranking(all) == [4, 3, 2, 0, 1, 5])
        #expect(Merits.best(all) == 4)
    }
}
