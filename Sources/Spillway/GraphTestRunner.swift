// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import GraphFile

/// Runs the tests of a graph: feeds packets written as text, and compares the packets that leave, and the records, with
/// patterns.
public enum GraphTestRunner {
    /// The code of a test's failure.
    public static let failureCode = "test_failed"
    /// What that code means, in a sentence.
    public static let failureMeaning =
        "What a graph did in a test is not what the test says: another packet, record or count came, or none."

    /// The result of one test.
    public struct Result: Sendable {
        /// The test's name.
        public var name: String
        /// The expectations that failed; empty if the test passed.
        public var failures: [Diagnostic]
    }

    /// Runs all tests of a file that can be run. Diagnostics concern the files, and missing things that they name: with an
    /// error among them some tests were not run, whose names are in `notRun` if the file could be read. Failures concern the graph. `progress` is called with the name of each test
    /// before it runs. `settings` override the tests' own parameter values.
    public static func run(
        _ path: String,
        _ loader: GraphLoader,
        settings: [(key: String, value: String)] = [],
        seed: UInt64 = 1,
        progress: (String) -> Void = { _ in }
    ) -> (results: [Result], notRun: [String], diagnostics: [Diagnostic]) {
        let (tests, diagnostics) = loader.loadTests(path, settings: settings)
        guard let tests else { return ([], [], diagnostics) }
        let results = tests.cases.compactMap { test in
            test.graph.map { graph in
                progress(test.name)
                return run(test, tests, graph, seed, MemoryServices(loader.services))
            }
        }
        return (results, tests.cases.filter { $0.graph == nil }.map(\.name), diagnostics)
    }

    private static func run(
        _ test: GraphTests.Case,
        _ tests: GraphTests,
        _ graph: GraphSpec,
        _ seed: UInt64,
        _ services: MemoryServices
    ) -> Result {
        var failures: [Diagnostic] = []
        func fail(_ message: String, _ mark: Mark, suggestion: String? = nil) {
            let place = tests.place(of: mark) ?? Place(file: tests.path, line: 1, column: 1, length: 1)
            let message = "\(test.name): \(message)"
            failures.append(Diagnostic(.error, code: failureCode, message, at: place, suggestion: suggestion))
        }
        do {
            var bindings: [Int: WireBinding] = [:]
            var sent: [Int: CollectedPackets] = [:]
            for number in graph.nodes.indices where graph.nodes[number].isWire {
                let collected = CollectedPackets()
                sent[number] = collected
                let texts = test.inputs.first { $0.wire == graph.nodes[number].name }?.packets ?? []
                var frames: [PacketText.Frame] = []
                for text in texts {
                    do throws(PacketText.Failure) { frames.append(try PacketText.frame(text.text)) } catch {
                        fail("\(error)", text.mark)
                    }
                }
                bindings[number] = WireBinding(source: MemorySource(frames), destination: collected)
            }
            guard failures.isEmpty else { return Result(name: test.name, failures: failures) }
            var options = Instance.Options()
            options.seed = seed
            let instance = try Instance(graph, bindings: bindings, services: services, options: options)
            let arrived = Arrivals(
                instance,
                records: test.records.compactMap { graph.index(of: $0.element) },
                packets: test.arrivals.compactMap { graph.index(of: $0.element) }
            )
            let runtime = DirectRuntime(instance)
            if !test.records.isEmpty || !test.arrivals.isEmpty { runtime.observer = arrived }
            try runtime.run()
            for (number, collected) in sent.sorted(by: { $0.key < $1.key }) {
                let wire = graph.nodes[number].name
                guard let expected = test.outputs.first(where: { $0.wire == wire }) else { continue }
                compare(
                    expected.packets,
                    expected.mark,
                    collected,
                    ("wire '\(wire)' sent", "did not leave wire '\(wire)'")
                ) {
                    fail($0, $1)
                }
            }
            for expected in test.arrivals {
                let name = expected.element
                let collected = graph.index(of: name).flatMap { arrived.packets[$0] } ?? CollectedPackets()
                compare(expected.packets, expected.mark, collected, ("'\(name)' got", "did not reach '\(name)'")) {
                    fail($0, $1)
                }
            }
            for expected in test.records {
                compare(expected, graph.index(of: expected.element).flatMap { arrived.records[$0] } ?? [], fail)
            }
            if instance.lostItems != 0 { fail("\(instance.lostItems) items are lost", test.mark) }
            for number in graph.nodes.indices {
                let counts = instance.counts(number)
                if !counts.balances { fail("element '\(counts.name)' does not balance", test.mark) }
                for drop in test.drops where drop.element == counts.name {
                    let count = counts.drops.first { $0.reason == drop.reason }?.count ?? 0
                    if count != UInt64(drop.count) {
                        fail("\(drop.element) dropped \(count) for \(drop.reason), not \(drop.count)", drop.mark)
                    }
                }
                for counter in test.counters where counter.element == counts.name {
                    let value = counts[counter.name] ?? 0
                    if value != counter.value {
                        fail("\(counter.element).\(counter.name) is \(value), not \(counter.value)", counter.mark)
                    }
                }
            }
        } catch {
            fail("\(error)", test.mark)
        }
        return Result(name: test.name, failures: failures)
    }

    /// Compares the packets that came somewhere with those expected, in order. `words` say in messages that one came, and that one
    /// did not.
    private static func compare(
        _ expected: [GraphTests.Text],
        _ mark: Mark,
        _ collected: CollectedPackets,
        _ words: (came: String, didNot: String),
        _ fail: (String, Mark) -> Void
    ) {
        for (k, text) in expected.enumerated() {
            do throws(PacketText.Failure) {
                let pattern = try PacketText.Pattern(text.text)
                guard k < collected.packets.count else {
                    fail("'\(text.text)' \(words.didNot)", text.mark)
                    continue
                }
                if !collected.withItem(k, { pattern.matches($0) }) {
                    fail(
                        "\(words.came) '\(collected.withItem(k) { PacketText.describe($0, against: pattern) })', not '\(text.text)'",
                        text.mark
                    )
                }
            } catch {
                fail("\(error)", text.mark)
            }
        }
        for k in expected.count..<max(expected.count, collected.packets.count) {
            let (first, last) = (
                words.came.split(separator: " ").dropLast().joined(separator: " "),
                words.came.split(separator: " ").last ?? ""
            )
            fail("\(first) also \(last) '\(collected.withItem(k) { PacketText.describe($0) })'", mark)
        }
    }

    /// Compares the records that reached an element with those expected, in order.
    private static func compare(
        _ expected: GraphTests.Records,
        _ records: [Arrivals.Record],
        _ fail: (String, Mark, _ suggestion: String?) -> Void
    ) {
        for (k, text) in expected.records.enumerated() {
            guard k < records.count else {
                fail("no record '\(text.text)' reached '\(expected.element)'", text.mark, nil)
                continue
            }
            let record = records[k]
            if let name = record.layout.unknownField(in: text.text) {
                let names = record.layout.fields.map(\.name)
                fail(
                    "the records that reach '\(expected.element)' have no field '\(name)'; they have "
                        + names.joined(separator: ", "),
                    text.mark,
                    nearest(to: name, among: names).map { "did you mean '\($0)'?" }
                )
            } else if !record.matches(text.text) {
                fail("'\(record.text)' reached '\(expected.element)', not '\(text.text)'", text.mark, nil)
            }
        }
        for record in records.dropFirst(expected.records.count) {
            fail("'\(record.text)' also reached '\(expected.element)'", expected.mark, nil)
        }
    }
}

extension ElementCounts {
    /// The value of a counter that a test names: one of ``GraphTests/counts``, or a handler.
    fileprivate subscript(_ name: String) -> Int? {
        switch name {
        case "in": Int(entered)
        case "made": Int(made)
        case "out": Int(left)
        case "used": Int(used)
        case "held": Int(held)
        case "dropped": Int(dropped)
        default: handlers.first { $0.name == name }?.value
        }
    }
}

/// Collects the records that arrive at some elements, individually even if they travel together, and the packets at others.
private final class Arrivals: RunObserver {
    /// A record with its layout.
    struct Record {
        var layout: Layout
        var bytes: [UInt8]

        var text: String { bytes.withUnsafeBytes { layout.describe($0) } }

        func matches(_ pattern: String) -> Bool { bytes.withUnsafeBytes { layout.matches(pattern, $0) } }
    }

    /// By node number, in order of arrival.
    private(set) var records: [Int: [Record]] = [:]
    /// By node number, in order of arrival.
    private(set) var packets: [Int: CollectedPackets] = [:]
    private let instance: Instance
    private let watched: Set<Int>

    init(_ instance: Instance, records: [Int], packets: [Int]) {
        self.instance = instance
        watched = Set(records)
        for node in packets { self.packets[node] = CollectedPackets() }
    }

    func moved(_ batch: Batch, edge: Int) {
        let node = instance.spec.edges[edge].to
        if let packets = packets[node] {
            for k in 0..<batch.count where batch[k].layout == 0 { packets.write(batch[k]) }
        }
        guard watched.contains(node) else { return }
        for k in 0..<batch.count {
            guard let layout = instance.layouts[batch[k].layout],
                let starts = layout.starts(in: batch[k].bytes)
            else { continue }
            let bytes = Array(batch[k].bytes)
            records[node, default: []] += zip(starts, starts.dropFirst() + [bytes.count]).map {
                Record(layout: layout, bytes: Array(bytes[$0..<$1]))
            }
        }
    }

    func worked(_: Int) {}
}

extension MemorySource {
    /// The packets described by `frames`, in order, a microsecond apart unless a frame gives its time.
    public convenience init(_ frames: [PacketText.Frame]) {
        var clock: Int64 = 0
        self.init(
            frames.map { frame in
                // Time stops rather than reach the value that stands for the end of the input.
                clock = min(PacketText.latestTime, frame.time ?? clock + 1_000)
                return Packet(bytes: frame.bytes, wireLength: frame.wireLength, time: clock)
            }
        )
    }
}

/// Packets that left a wire, kept in memory.
public final class CollectedPackets: PacketDestination {
    /// The packets in the order in which they left, each with its bytes at that time.
    public private(set) var packets: [(bytes: [UInt8], item: Item)] = []

    public init() {}

    public func write(_ item: Packet) { packets.append((Array(item.bytes), item.item.pointee)) }
    public func close() {}

    /// Passes packet `k` to `body`, as an item whose bytes are valid during the call.
    public func withItem<R>(_ k: Int, _ body: (Packet) -> R) -> R {
        var bytes = packets[k].bytes
        var item = packets[k].item
        return bytes.withUnsafeMutableBytes { raw in
            if let base = raw.baseAddress { item.data = base }
            return item.withPacket(body)
        }
    }
}

/// Services for tests: output of elements is discarded, so that a test leaves nothing behind.
public struct MemoryServices: FilterServices {
    private let services: any Services

    /// - Parameter services: reads files and compiles filters.
    public init(_ services: any Services = SystemServices()) { self.services = services }

    /// The filter cache of the underlying services.
    public var filters: FilterCache? { (services as? any FilterServices)?.filters }

    public func openSink(_ name: String) -> any ByteSink { NowhereSink() }

    public func readFile(_ name: String, most: Int) throws -> [UInt8] {
        try services.readFile(name, most: most)
    }

    public func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        try services.compileFilter(filter, linkType: linkType)
    }

    private final class NowhereSink: ByteSink {
        func write(_ bytes: UnsafeRawBufferPointer) {}
        func flush() {}
    }
}
