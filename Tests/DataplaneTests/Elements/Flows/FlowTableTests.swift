// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// The table's ways round, and its commands.
@Suite struct FlowTableTests {
    private static let packets = [
        "10.0.0.1:1000 > 10.0.0.2:80 S seq=1 time=1s", "10.0.0.1:1000 > 10.0.0.2:80 A seq=2 time=1s",
        "10.0.0.3:1000 > 10.0.0.2:80 S seq=1 time=1s", "10.0.0.2:80 > 10.0.0.1:1000 A seq=9 time=1s",
        "10.0.0.3:1000 > 10.0.0.2:80 A seq=2 time=1s",
    ]

    /// The first packet of each flow goes round, creates it and leaves by `inserted`; what follows it waits until then and hits.
    @Test(arguments: [1, 2, 3, 64]) func onlyTheFirstPacketMisses(batch: Int) throws {
        let run = try LoopBench(batch: batch).run(FlowTableTests.packets)
        #expect(run.counts["known"]?.entered == 7)
        #expect(run.counts["slow"]?.entered == 2)
        #expect(run.seen["hit"] == ["A seq=2", "A seq=9", "A seq=2"])
        #expect(run.seen["inserted"] == ["S seq=1", "S seq=1"])
        #expect(run.lost == 0)
    }

    @Test func aFlowEndsByCommand() throws {
        for (isReset, word) in [(false, FlowEnd.finished), (true, .reset)] {
            let run = try CommandBench.run(isReset: isReset, FlowTableTests.packets)
            // The command behind the second packet ends the flow of the first: the fourth packet begins a new one.
            #expect(run.closed == 1 && run.created == 3 && run.ends == [word, .eof, .eof], "\(run.ends)")
        }
    }

    /// A command for a flow that has ended meanwhile, or never was, does nothing; one that is cut is a counted drop.
    @Test func oldAndBrokenCommandsEndNothing() throws {
        for broken in [CommandBench.Fault.oldGeneration, .noSuchFlow, .negative, .short] {
            let run = try CommandBench.run(fault: broken, FlowTableTests.packets)
            #expect(run.closed == 0 && run.created == 2 && run.ends == [.eof, .eof])
            #expect(run.drops == (broken == .short ? ["bad_command"] : []))
        }
    }

    /// A flow that a command opens is the one that packets of its ends then have, in either direction.
    @Test func aFlowIsOpenedByCommand() throws {
        for version in [4, 6] {
            let run = try OpenBench.run(version: version)
            #expect(run.created == 1)
            #expect(run.inserted == 1)
            let opened = try #require(run.opened)
            #expect(opened.flow.index >= 0 && opened.peer == FlowRef(index: 77, generation: 5))
            #expect(run.flows == [opened.flow, opened.flow] && run.isReverse == [false, true])
        }
    }
}

/// wire -> known, known.miss -> slow -> known.insert
private struct LoopBench {
    var batch: Int

    struct Run {
        var seen: [String: [String]] = [:]
        var counts: [String: ElementCounts] = [:]
        var lost = 0
    }

    func run(_ packets: [String]) throws -> Run {
        let table = ElementDescriptor(FlowTable.self)
        func node(_ name: String, _ type: ElementDescriptor) -> GraphSpec.Node {
            GraphSpec.Node(name: name, type: type, element: type.configure([], at: 0).element!)
        }
        let spec = GraphSpec(
            name: "loop",
            nodes: [
                node("wire", ElementDescriptor(Wire.self)), node("known", table),
                node("slow", ElementDescriptor(Counter.self)), node("hit", ElementDescriptor(Collector.self)),
                node("inserted", ElementDescriptor(Collector.self)),
            ],
            edges: [
                .init(from: 0, output: 0, to: 1, input: 0), .init(from: 1, output: 1, to: 2, input: 0),
                .init(from: 2, output: 0, to: 1, input: 1), .init(from: 1, output: 0, to: 3, input: 0),
                .init(from: 1, output: 2, to: 4, input: 0),
            ]
        )
        var options = Instance.Options()
        options.batch = batch
        let instance = try Instance(
            spec,
            bindings: [0: WireBinding(source: MemorySource(try frames(packets)))],
            services: TestServices(),
            options: options
        )
        try DirectRuntime(instance).run()
        var run = Run()
        for (k, node) in spec.nodes.enumerated() {
            run.counts[node.name] = instance.counts(k)
            if let collector = instance.elements[k] as? Collector {
                run.seen[node.name] = collector.seen.map { seen in
                    seen.text.split(separator: " ").drop { $0 != "S" && $0 != "A" }.prefix(2).joined(separator: " ")
                }
            }
        }
        run.lost = instance.lostItems
        return run
    }
}

private func frames(_ packets: [String]) throws -> [ElementHarness.Packet] {
    try packets.map { text in
        let frame = try PacketText.frame(text)
        return ElementHarness.Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: frame.time ?? 0)
    }
}

/// wire -> table.in, table.hit -> commander -> table.end: behind the second packet the commander ends the first one's flow.
private enum CommandBench {
    enum Fault: Int, Sendable { case none, oldGeneration, noSuchFlow, negative, short }

    struct Run {
        var closed = 0
        var created = 0
        var ends: [FlowEnd] = []
        var drops: [String] = []
    }

    static func run(isReset: Bool = false, fault: Fault = .none, _ packets: [String]) throws -> Run {
        let table = ElementDescriptor(FlowTable.self)
        let commander = ElementDescriptor(Commander.self)
        let config = commander.configure(
            [("reset", 0, .scalar("\(isReset)", 0)), ("fault", 0, .scalar("\(fault.rawValue)", 0))],
            at: 0
        ).element!
        let wire = ElementDescriptor(Wire.self)
        let sink = ElementDescriptor(Discard.self)
        let spec = GraphSpec(
            name: "end",
            nodes: [
                .init(name: "wire", type: wire, element: wire.configure([], at: 0).element!),
                .init(name: "table", type: table, element: table.configure([], at: 0).element!),
                .init(name: "commander", type: commander, element: config),
                .init(name: "sink", type: sink, element: sink.configure([], at: 0).element!),
            ],
            edges: [
                .init(from: 0, output: 0, to: 1, input: 0), .init(from: 1, output: 0, to: 2, input: 0),
                .init(from: 2, output: 1, to: 1, input: 2), .init(from: 2, output: 0, to: 3, input: 0),
            ]
        )
        let instance = try Instance(
            spec,
            bindings: [0: WireBinding(source: MemorySource(try frames(packets)))],
            services: TestServices()
        )
        try DirectRuntime(instance).run()
        #expect(instance.lostItems == 0)
        let handlers = Dictionary(uniqueKeysWithValues: instance.counts(1).handlers.map { ($0.name, $0.value) })
        return Run(
            closed: handlers["closed"] ?? -1,
            created: handlers["created"] ?? -1,
            ends: (instance.elements[2] as! Commander).ends,
            drops: instance.counts(1).drops.map(\.reason)
        )
    }

    final class Commander: Element {
        struct Config: ElementConfig {
            var isReset = false
            var fault = 0
        }
        static let summary = "ends a flow"
        static let category = Category.testing
        static let depends = Depends.order
        static let stateBytesPerFlow = 1
        static func inputs(_: Config) -> [Input] {
            [Input("in", .only(.packet), reads: .headers, needsFlow: true, "packets")]
        }
        static func outputs(_: Config) -> [Output] {
            [
                Output("out", .sameAs(input: 0), "the same"),
                Output("end", .kind(.command(FlowEndCommand.layout.name)), "commands"),
            ]
        }
        static let parameters: [Parameter<Config>] = [
            .init("reset", \.isReset, "which cause"), .init("fault", \.fault, in: 0...4, "what is wrong"),
        ]
        private let config: Config
        private let layout: UInt16
        private var seen = 0
        private(set) var ends: [FlowEnd] = []

        init(_ config: Config, _ setup: Setup) {
            self.config = config
            layout = setup.layouts.register(FlowEndCommand.layout)
            super.init()
        }

        override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
            for k in 0..<batch.count {
                seen += 1
                let i = batch.index[k]
                if seen == 2, let j = context.originate(because: i, capacity: FlowEndCommand.layout.size) {
                    var flow = context[i].flow
                    switch Fault(rawValue: config.fault)! {
                    case .oldGeneration: flow.generation &-= 1
                    case .noSuchFlow: flow.index = 1_000_000_000
                    case .negative: flow.index = -1
                    case .none, .short: break
                    }
                    FlowEndCommand(flow, isReset: config.isReset).write(to: context[j])
                    context[j].layout = layout
                    if config.fault == Fault.short.rawValue { context[j].length -= 1 }
                    context.emit(j, 1)
                }
                context.emit(i, 0)
            }
        }

        override func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {
            ends.append(reason)
        }
    }
}

/// wire -> opener, whose first packet makes it open a flow; the others go through the table.
private enum OpenBench {
    struct Run {
        var created = 0
        var inserted = 0
        var opened: FlowOpenCommand?
        var flows: [FlowRef] = []
        var isReverse: [Bool] = []
    }

    static func run(version: Int) throws -> Run {
        let (a, b) = version == 4 ? ("10.0.0.1", "10.0.0.2") : ("[2001:db8::1]", "[2001:db8::2]")
        let packets = [
            "10.9.9.9 > 10.9.9.8 icmp time=1s", "\(a):7 > \(b):80 A seq=1 time=1s", "\(b):80 > \(a):7 A seq=1 time=1s",
        ]
        let nodes = [
            ElementDescriptor(Wire.self), ElementDescriptor(Opener.self), ElementDescriptor(FlowTable.self),
            ElementDescriptor(Watcher.self), ElementDescriptor(Watcher.self),
        ].enumerated().map { k, type in
            let values: [(name: String, mark: Mark, value: Value)] =
                type.name == "Opener" ? [("version", 0, .scalar("\(version)", 0))] : []
            return GraphSpec.Node(name: "n\(k)", type: type, element: type.configure(values, at: 0).element!)
        }
        let spec = GraphSpec(
            name: "open",
            nodes: nodes,
            edges: [
                .init(from: 0, output: 0, to: 1, input: 0), .init(from: 1, output: 0, to: 2, input: 0),
                .init(from: 1, output: 1, to: 2, input: 1), .init(from: 2, output: 2, to: 3, input: 0),
                .init(from: 2, output: 0, to: 4, input: 0),
            ]
        )
        let instance = try Instance(
            spec,
            bindings: [0: WireBinding(source: MemorySource(try frames(packets)))],
            services: TestServices()
        )
        try DirectRuntime(instance).run()
        let handlers = Dictionary(uniqueKeysWithValues: instance.counts(2).handlers.map { ($0.name, $0.value) })
        let (commands, passed) = (instance.elements[3] as! Watcher, instance.elements[4] as! Watcher)
        return Run(
            created: handlers["created"] ?? -1,
            inserted: commands.commands.count,
            opened: commands.commands.first,
            flows: passed.flows,
            isReverse: passed.isReverse
        )
    }

    final class Opener: Element {
        struct Config: ElementConfig { var version = 4 }
        static let summary = "opens a flow"
        static let category = Category.testing
        static let depends = Depends.order
        static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .headers, "packets")] }
        static func outputs(_: Config) -> [Output] {
            [
                Output("out", .sameAs(input: 0), "the same"),
                Output("open", .kind(.command(FlowOpenCommand.layout.name)), "commands"),
            ]
        }
        static let parameters: [Parameter<Config>] = [.init("version", \.version, in: 4...6, "of IP")]
        private let version: Int
        private let layout: UInt16
        private var seen = 0

        init(_ config: Config, _ setup: Setup) {
            version = config.version
            layout = setup.layouts.register(FlowOpenCommand.layout)
            super.init()
        }

        override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
            for k in 0..<batch.count {
                seen += 1
                if seen > 1 {
                    context.emit(batch.index[k], 0)
                    continue
                }
                let ends = FlowEnds(
                    source: version == 4 ? IPAddress(v4: 0x0a00_0001) : IPAddress(v6: 0x2001_0db8_0000_0000, 1),
                    destination: version == 4 ? IPAddress(v4: 0x0a00_0002) : IPAddress(v6: 0x2001_0db8_0000_0000, 2),
                    sourcePort: 7,
                    destinationPort: 80,
                    proto: 6
                )
                let size = FlowOpenCommand.layout.size
                let j = context.originate(because: batch.index[k], capacity: size)!
                FlowOpenCommand(ends, peer: FlowRef(index: 77, generation: 5)).write(to: context[j])
                context[j].layout = layout
                context.emit(j, 1)
                context.use(batch.index[k])
            }
        }
    }

    final class Watcher: Element {
        typealias Config = NoConfig
        static let summary = "watches flows"
        static let category = Category.testing
        static let depends = Depends.item
        static func inputs(_: Config) -> [Input] { [Input("in", .any, reads: .payload, "anything")] }
        static func outputs(_: Config) -> [Output] { [] }
        private(set) var commands: [FlowOpenCommand] = []
        private(set) var flows: [FlowRef] = []
        private(set) var isReverse: [Bool] = []

        init(_: Config, _: Setup) { super.init() }

        override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
            for k in 0..<batch.count {
                if batch[k].layout == 0 {
                    flows.append(batch[k].flow)
                    isReverse.append(batch[k].isReverse)
                } else if let command = FlowOpenCommand(batch[k]) {
                    commands.append(command)
                }
            }
            context.use(batch)
        }
    }
}
