// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// Elements that answer packets, and elements with a timer for every connection.
@Suite struct OriginationTests {
    /// Two ends that answer each other over a back edge go on for as long as they want to: an answer begins its own way, so what
    /// counts is not how often packets went round before it.
    @Test(arguments: [1, 2, 64]) func aConversationMayBeLong(batch: Int) throws {
        let run = try answer(times: 500, batch: batch)
        #expect(run.counts.entered == 3 * 501 && run.counts.made == 3 * 500 && run.counts.drops.isEmpty)
        // Each conversation is over before the next packet is answered, and children are numbered.
        let seen = try #require(run.outputs["done"])
        #expect(seen.map(\.sequence) == [0, 1, 2] && seen.allSatisfy { $0.made == 500 })
    }

    /// One without end is cut off, with a counted drop.
    @Test func aConversationIsNotEndless() throws {
        let run = try answer(times: .max, batch: 64, mostRounds: 1_000)
        #expect(run.counts.drops.map(\.reason) == ["loop"] && run.counts.drops[0].count == 3)
        #expect(run.lostItems == 0)
    }

    /// A timer for every connection, on a wheel: what it does depends neither on batches nor on how sparse packets are.
    @Test func aTimerForEveryConnection() throws {
        #expect(ElementLaws.breaches(of: Linger.self) == [])
    }

    private func answer(
        times: Int,
        batch: Int,
        mostRounds: Int = DirectRuntime.maximumRounds
    ) throws
        -> (counts: ElementCounts, outputs: [String: [Collector.Seen]], lostItems: Int)
    {
        let wire = ElementDescriptor(Wire.self)
        let echo = ElementDescriptor(Echo.self)
        let collector = ElementDescriptor(Collector.self)
        let config = echo.configure([("times", 0, .scalar("\(min(times, 1_000_000_000))", 0))], at: 0).element!
        let spec = GraphSpec(
            name: "echo",
            nodes: [
                .init(name: "wire", type: wire, element: wire.configure([], at: 0).element!),
                .init(name: "echo", type: echo, element: config),
                .init(name: "done", type: collector, element: collector.configure([], at: 0).element!),
            ],
            edges: [
                .init(from: 0, output: 0, to: 1, input: 0), .init(from: 1, output: 0, to: 1, input: 0),
                .init(from: 1, output: 1, to: 2, input: 0),
            ]
        )
        let frame = try PacketText.frame("10.0.0.1:1000 > 10.0.0.2:80 A")
        let packets = (0..<3).map {
            ElementHarness.Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: Int64($0))
        }
        var options = Instance.Options()
        options.batch = batch
        let instance = try Instance(
            spec,
            bindings: [0: WireBinding(source: MemorySource(packets))],
            services: TestServices(),
            options: options
        )
        let runtime = DirectRuntime(instance)
        runtime.mostRounds = mostRounds
        try runtime.run()
        return (
            instance.counts(1), ["done": (instance.elements[2] as! Collector).seen], instance.lostItems
        )
    }
}

/// Answers a packet, and the answer, and so on, some times; then the last answer leaves by `done`.
private final class Echo: Element {
    struct Config: ElementConfig { var times = 1 }
    static let summary = "answers itself"
    static let category = Category.testing
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .payload, "packets")] }
    static func outputs(_: Config) -> [Output] {
        [Output("round", .kind(.packet), "answers"), Output("done", .kind(.packet), "the last")]
    }
    static let parameters: [Parameter<Config>] = [.init("times", \.times, in: 1...1_000_000_000, "how many answers")]
    private let times: Int
    private var answered = 0

    init(_ config: Config, _: Setup) {
        times = config.times
        super.init()
    }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            let i = batch.index[k]
            if answered == times {
                answered = 0
                context.emit(i, 1)
                continue
            }
            answered += 1
            guard let j = context.originate(because: i, capacity: 64) else { continue }
            context[j].writableData.initializeMemory(as: UInt8.self, repeating: 0, count: 64)
            context.emit(j, 0)
            context.use(i)
        }
    }
}

/// Tells of each connection that had no packet for some time: a timer for each, armed anew by every packet.
private final class Linger: Element {
    struct Config: ElementConfig { var after: Int64 = 3_000_000 }
    static let summary = "tells of connections that have gone quiet"
    static let category = Category.testing
    static let depends = Depends.flow
    static let layout = Layout("quiet", [("flow", .u32), ("time_ns", .time)])
    static func inputs(_: Config) -> [Input] {
        [Input("in", .only(.packet), reads: .headers, needsFlow: true, "packets")]
    }
    static func outputs(_: Config) -> [Output] {
        [
            Output("out", .sameAs(input: 0), "the same"),
            Output("quiet", .kind(.record("quiet")), optional: true, "connections that have gone quiet"),
        ]
    }
    static let parameters: [Parameter<Config>] = [
        .init("after", duration: \.after, in: 1_000_000...1_000_000_000, "how long without a packet is quiet")
    ]
    static let operations: [Dataplane.Operation] = [.timer, .record]
    static let stateBytesPerFlow = TimingWheel.bytesPerTimer
    static func shortestTimer(_: Config) -> ShortestTimer? { .tick(1_000_000) }
    private let after: Int64
    private let wheel: TimingWheel
    private let layout: UInt16
    private var planned = Int64.max

    init(_ config: Config, _ setup: Setup) throws {
        after = config.after
        wheel = try TimingWheel(capacity: max(1, setup.flows))
        layout = setup.layouts.register(Linger.layout)
        super.init()
    }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            let flow = batch[k].flow.index
            if flow >= 0 {
                wheel.arm(flow, at: context.now(batch.index[k]) + after)
                plan(context)
            }
        }
        context.did(.timer, batch.count)
        context.emit(batch, 0)
    }

    private func plan(_ context: borrowing Context) {
        let next = wheel.nextTick
        if next == planned { return }
        planned = next
        if next == .max { context.disarm(0) } else { context.arm(0, at: next) }
    }

    override func timer(_ id: Int, due: Int64, _ context: borrowing Context) {
        planned = .max
        let layout = layout
        let call = copy context
        wheel.advance(to: due) { flow in
            guard let i = call.originate(capacity: Linger.layout.size) else { return }
            call[i].writableData.storeBytes(of: flow.littleEndian, as: Int32.self)
            call[i].writableData.storeBytes(of: due.littleEndian, toByteOffset: 4, as: Int64.self)
            call[i].layout = layout
            call.did(.record, 1)
            call.emit(i, 1)
        }
        plan(context)
    }

    override func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {
        wheel.disarm(flow.index)
    }
}
