// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Testing

@testable import Dataplane

struct FilterServices: Services {
    func openSink(_ name: String) throws -> any ByteSink { throw FilterError("no files here") }
    func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        try FilterCompiler.compile(filter, linkType: linkType)
    }
}

struct ClassifierTests {
    static func make(_ rules: [(String, String)]) throws -> Classifier {
        var config = Classifier.Config()
        config.rules = rules.enumerated().map { NamedFilter(name: $1.0, filter: $1.1, mark: Int32($0) + 10) }
        let setup = Setup(path: "sort", flows: 0, seed: 1, hashKey: HashKey(seed: 1), services: FilterServices())
        return try Classifier(config, setup)
    }

    static func failure(_ rules: [(String, String)]) -> ParameterError? {
        do { _ = try make(rules) } catch { return error as? ParameterError }
        return nil
    }

    @Test func wrongFiltersAreErrorsAtTheirPlace() throws {
        let error = try #require(ClassifierTests.failure([("a", "tcp"), ("b", "tcp and")]))
        #expect(error.mark == 11)
        #expect(error.message.contains("rule 'b'") && error.message.contains("syntax error"))
        #expect(ClassifierTests.failure([("a", "host example.com")])?.message.contains("example.com") == true)
        // Right for another kind of link.
        #expect(ClassifierTests.failure([("a", "wlan type mgt")]) == nil)
    }

    @Test(arguments: ["in", "other", "", "A", "a-b", "a.b", "1a", "_a", "\u{e4}"])
    func namesMustNamePorts(_ name: String) {
        #expect(ClassifierTests.failure([("a", "tcp"), (name, "udp")])?.mark == 11)
    }

    @Test func thereAreRulesAndNotTooMany() {
        #expect(ClassifierTests.failure([]) != nil)
        #expect(ClassifierTests.failure((0..<257).map { ("r\($0)", "tcp port \($0)") }) != nil)
        #expect(ClassifierTests.failure((0..<256).map { ("r\($0)", "tcp port \($0)") }) == nil)
    }

    @Test func outputsAreTheRulesThenOther() {
        var config = Classifier.Config()
        config.rules = [NamedFilter(name: "b", filter: "tcp", mark: 0), NamedFilter(name: "a", filter: "udp", mark: 0)]
        #expect(Classifier.outputs(config).map(\.name) == ["b", "a", "other"])
        #expect(Classifier.outputs(config).map(\.optional) == [false, false, true])
    }

    /// Packets of several link types in one batch: outputs and counts do not depend on where batches are cut.
    @Test func linkTypesMayAlternate() throws {
        let texts = ["10.0.0.1:1 > 10.0.0.2:80 A", "10.0.0.1:53 > 10.0.0.2:53 udp", "10.0.0.1 > 10.0.0.2 icmp"]
        let frames = try texts.map { try PacketText.frame($0).bytes }
        // Ethernet, and the same without its header as raw IP; 60,000 is no link type.
        let packets: [(linkType: UInt16, bytes: [UInt8], rule: Int)] = [
            (1, frames[0], 0), (1, frames[1], 1), (101, Array(frames[0].dropFirst(14)), 0), (101, frames[0], 2),
            (1, frames[2], 2), (60_000, frames[0], 2), (101, Array(frames[1].dropFirst(14)), 1), (1, frames[1], 1),
            (1, [], 2),
        ]
        var counted: Set<UInt64> = []
        for size in 1...packets.count {
            let classifier = try ClassifierTests.make([("web", "tcp port 80"), ("udp", "udp")])
            let (rules, tests) = ClassifierTests.run(classifier, packets.map { ($0.linkType, $0.bytes) }, batch: size)
            #expect(rules == packets.map(\.rule))
            counted.insert(tests)
        }
        #expect(counted.count == 1 && counted.first! > 0)
    }

    /// The output of each packet, and the tests counted.
    static func run(_ element: Classifier, _ packets: [(UInt16, [UInt8])], batch: Int) -> ([Int], UInt64) {
        let pool = try! Pool(capacity: packets.count)
        let indices = UnsafeMutablePointer<Int32>.allocate(capacity: packets.count)
        let storage = packets.map { UnsafeMutableRawPointer.allocate(byteCount: max(1, $0.1.count), alignment: 1) }
        let outputs = 3
        let queues = UnsafeMutablePointer<EdgeQueue>.allocate(capacity: outputs)
        let counters = UnsafeMutablePointer<UInt64>.allocate(capacity: 64)
        counters.initialize(repeating: 0, count: 64)
        let nothing = UnsafeMutablePointer<Bool>.allocate(capacity: outputs)
        let timers = UnsafeMutablePointer<Int64>.allocate(capacity: Context.timerCount)
        let run = UnsafeMutablePointer<RunState>.allocate(capacity: 1)
        let ended = UnsafeMutablePointer<EndedFlow>.allocate(capacity: 1)
        run.initialize(to: RunState(ended: ended, endedCapacity: 1))
        for output in 0..<outputs {
            (queues + output).initialize(to: EdgeQueue(buffer: .allocate(capacity: packets.count)))
        }
        defer {
            for output in 0..<outputs { queues[output].buffer.deallocate() }
            for bytes in storage { bytes.deallocate() }
            ended.deallocate()
            run.deallocate()
            timers.deallocate()
            nothing.deallocate()
            counters.deallocate()
            queues.deallocate()
            indices.deallocate()
        }
        _ = pool.take(packets.count, into: indices)
        for (k, (linkType, bytes)) in packets.enumerated() {
            storage[k].copyMemory(from: bytes, byteCount: bytes.count)
            pool.items[Int(indices[k])] = Item(
                data: storage[k],
                length: UInt32(bytes.count),
                wireLength: UInt32(bytes.count),
                time: 0,
                sequence: UInt64(k),
                linkType: linkType,
                interface: 0
            )
        }
        let names = (0..<outputs).map { "\($0)" }
        let contract = Contract([Contract.Party(name: "sort", outputs: names, drops: [], firstTimer: nil)], pool)
        var node = NodeState(
            outputs: queues,
            connected: nothing,
            drops: counters,
            operations: counters,
            timers: timers,
            pool: pool.state,
            run: run,
            index: 0,
            leadsBack: nothing,
            contract: .passUnretained(contract)
        )
        for start in stride(from: 0, to: packets.count, by: batch) {
            let count = min(batch, packets.count - start)
            let cut = Batch(items: pool.items, index: indices + start, count: count)
            assert(contract.handed(cut, to: 0))
            withUnsafeMutablePointer(to: &node) {
                element.process(cut, from: 0, Context(items: pool.items, node: $0))
            }
        }
        var rules = Array(repeating: -1, count: packets.count)
        for output in 0..<outputs {
            for at in 0..<queues[output].tail {
                rules[Int(pool.items[Int(queues[output].buffer[at])].sequence)] = output
            }
        }
        #expect(counters[Operation.parse.rawValue] == UInt64(packets.count))
        return (rules, counters[Operation.test.rawValue])
    }
}
