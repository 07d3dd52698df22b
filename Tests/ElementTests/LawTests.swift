// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

/// Laws that every element of the catalog keeps, whatever packets come.
struct LawTests {
    /// An element with one set of parameters.
    struct Case: CustomTestStringConvertible, Sendable {
        var type: String
        var config: String
        var testDescription: String { config.isEmpty ? type : "\(type) \(config)" }
    }

    /// Parameters for types that cannot do without, and others worth trying.
    private static let configs: [String: [String]] = [
        "FaultInjector": [
            "{loss: 0.1, duplicate: 0.2, corrupt: 0.3, reorder: 0.2, delay: 0.2, delay_by: 5 us}",
            "{reorder: 1, reorder_by: 1000, delay_by: 1 s}",
        ],
        "MetadataExtractor": ["{per: packet}"],
        "RecordSink": ["{format: csv}"],
        "Coalescer": ["{count: 1}", "{size: 64 KiB, timeout: 1 us}"],
        "Queue": ["{rate: 1 Mbps, capacity: 3}"],
        "RateLimiter": ["{rate: 100 kpps}", "{rate: 1 Mbps, burst: 1}"],
        "PacketSink": ["{file: out.pcap}", "{file: out.pcapng}"],
        "Classifier": ["{rules: {a: tcp, b: udp}}"],
        "PatternMatcher": ["{patterns: [GET, abc]}", "{patterns: [GET, abc], action: mark, case: insensitive}"],
    ]

    static let cases = Catalog.standard.types.filter { $0.name != "Wire" }.flatMap { type -> [Case] in
        var list = (configs[type.name] ?? []) + type.examples.map(\.config)
        if !type.parameters.contains(where: { $0.defaultText == nil }) { list.append("") }
        var seen: Set<String> = []
        return list.filter { seen.insert($0).inserted }.map { Case(type: type.name, config: $0) }
    }

    @Test func everyTypeIsTried() {
        #expect(Set(LawTests.cases.map(\.type)) == Set(Catalog.standard.types.map(\.name)).subtracting(["Wire"]))
    }

    /// Valid packets, damaged ones, noise, and the extremes of length.
    static func packets(_ seed: UInt64, count: Int) throws -> [ElementHarness.Packet] {
        var random = TestRandom(seed)
        let texts = [
            "10.0.0.1:1000 > 10.0.0.2:80 S seq=1 mss=1460 sack ts=1/0 wscale=7",
            "10.0.0.2:80 > 10.0.0.1:1000 SA seq=9 ack=2 mss=1400",
            "10.0.0.1:1000 > 10.0.0.2:80 PA seq=2 ack=10 data=\"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\"",
            "10.0.0.1:1000 > 10.0.0.2:80 FA seq=30 ack=10", "10.0.0.2:80 > 10.0.0.1:1000 R seq=10",
            "10.0.0.1:1000 > 10.0.0.2:80 S seq=700000",
            "10.0.0.3:5000 > 10.0.0.2:53 udp len=30", "[2001:db8::1]:99 > [2001:db8::2]:443 PA len=200 vlan=5",
            "2001:db8::1 > 2001:db8::2 icmp len=8", "10.0.0.1 > 10.0.0.2 icmp len=56 vlan=100,5",
            "10.0.0.1 > 10.0.0.2 arp", "10.0.0.1 > 10.0.0.2 proto=47 len=9", "10.0.0.1 > 10.0.0.2 udp frag=8+ len=16",
            "[2001:db8::1]:99 > [2001:db8::2]:98 udp frag=0+ len=64", "ether=0x88cc len=46",
            "10.0.0.1:1000 > 10.0.0.2:80 A len=1400 trunc=60",
            "10.0.0.1:1000 > 10.0.0.2:80 A badcsum badipcsum iplen=9",
        ]
        let frames = try texts.map { try PacketText.frame($0) }
        var time: Int64 = 1_000_000
        return (0..<count).map { number in
            // Some share their time, some come after a pause.
            time += [0, 0, 1, 700, 20_000, 3_000_000][Int.random(in: 0..<6, using: &random)]
            var bytes: [UInt8]
            var wireLength: Int?
            switch number % 8 {
            case 0 where number < 24: bytes = []
            case 1 where number < 24: bytes = [UInt8.random(in: 0...255, using: &random)]
            case 2 where number < 24: bytes = Array(repeating: 0x45, count: 65_536)
            case 3:
                bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
            case 4, 5:
                // A valid packet with a few bytes changed, cut anywhere.
                bytes = frames.randomElement(using: &random)!.bytes
                for _ in 0..<Int.random(in: 0...4, using: &random) {
                    bytes[Int.random(in: 0..<min(80, bytes.count), using: &random)] = UInt8.random(
                        in: 0...255,
                        using: &random
                    )
                }
                wireLength = bytes.count
                bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            default:
                let frame = frames.randomElement(using: &random)!
                bytes = frame.bytes
                wireLength = frame.wireLength
            }
            let linkTypes: [UInt16] = [1, 1, 1, 1, 1, 1, 101, 113, 276, 0, 9, 228, 229, 12_345]
            return ElementHarness.Packet(
                bytes: bytes,
                wireLength: wireLength ?? bytes.count,
                time: time,
                linkType: linkTypes.randomElement(using: &random)!
            )
        }
    }

    private func run(
        _ item: Case,
        batch: Int,
        pool: Int = 2048,
        seed: UInt64 = 1,
        optional: Set<String>? = nil
    ) throws
        -> ElementHarness.Run
    {
        var harness = try ElementHarness(item.type, item.config)
        harness.batch = batch
        harness.pool = pool
        harness.seed = seed
        harness.optionalPorts = optional
        var inputs: [String: [ElementHarness.Packet]] = [:]
        for (number, input) in harness.element.inputs.enumerated() {
            inputs[input.name] = try LawTests.packets(UInt64(number + 1), count: 400)
        }
        return try harness.run(inputs)
    }

    private func expectBalance(_ run: ElementHarness.Run) {
        for counts in run.all { #expect(counts.balances, "\(counts)") }
        #expect(run.lostItems == 0)
        #expect(run.counts.held == 0, "items are held after the end of the input")
    }

    @Test(arguments: cases)
    func itemsAreConserved(_ item: Case) throws {
        expectBalance(try run(item, batch: 64))
        expectBalance(try run(item, batch: 64, optional: []))
    }

    @Test(arguments: cases)
    func smallPoolsLoseNothing(_ item: Case) throws {
        // What is held may fill the pool, which ends the run with an error and not with a trap.
        expectBalance(try run(item, batch: 16, pool: 24))
    }

    @Test(arguments: cases)
    func batchCutsChangeNothing(_ item: Case) throws {
        let whole = try run(item, batch: 64)
        for size in [1, 7] {
            let other = try run(item, batch: size)
            #expect(other.multiset == whole.multiset, "outputs with batches of \(size)")
            #expect(other.operations == whole.operations, "operations with batches of \(size)")
            #expect(other.drops == whole.drops, "drops with batches of \(size)")
        }
    }

    @Test(arguments: cases)
    func sameSeedSameBytes(_ item: Case) throws {
        let first = try run(item, batch: 64, seed: 7)
        let second = try run(item, batch: 64, seed: 7)
        for (port, items) in first.outputs {
            #expect(items.map(\.description) == second.outputs[port]?.map(\.description))
        }
        #expect(first.services.files.mapValues(\.bytes) == second.services.files.mapValues(\.bytes))
    }

    @Test(arguments: Catalog.standard.types.map(\.name))
    func parametersKeepTheirRanges(_ name: String) throws {
        let type = try #require(Catalog.standard[name])
        let required = try FlowStyle.parameters(LawTests.cases.first { $0.type == name }?.config ?? "").filter {
            entry in
            type.parameters.contains { $0.name == entry.name && $0.defaultText == nil }
        }
        func accepts(_ parameter: String, _ text: String) -> Bool {
            let others = required.filter { $0.name != parameter }
            guard let value = try? FlowStyle.value(text) else { return false }
            return type.configure(others + [(parameter, 0, value)], at: 0).element != nil
        }
        for parameter in type.parameters {
            // What a resolved graph writes out can be read back.
            if let text = parameter.defaultText { #expect(accepts(parameter.name, text), "default \(text)") }
            switch parameter.type {
            case .integer(let range):
                #expect(
                    accepts(parameter.name, "\(range.lowerBound)") && accepts(parameter.name, "\(range.upperBound)")
                )
                #expect(
                    !accepts(parameter.name, "\(range.lowerBound - 1)")
                        && !accepts(parameter.name, "\(range.upperBound + 1)")
                )
            case .duration(let range):
                #expect(
                    accepts(parameter.name, "\(range.lowerBound) ns")
                        && accepts(parameter.name, "\(range.upperBound) ns")
                )
                #expect(!accepts(parameter.name, "\(range.upperBound + 1) ns"))
                if range.lowerBound > 0 { #expect(!accepts(parameter.name, "\(range.lowerBound - 1) ns")) }
            case .size(let range):
                #expect(
                    accepts(parameter.name, "\(range.lowerBound) B") && accepts(parameter.name, "\(range.upperBound) B")
                )
                #expect(!accepts(parameter.name, "\(range.upperBound + 1) B"))
                if range.lowerBound > 0 { #expect(!accepts(parameter.name, "\(range.lowerBound - 1) B")) }
            case .probability:
                #expect(accepts(parameter.name, "0") && accepts(parameter.name, "1") && accepts(parameter.name, "0.5"))
                #expect(!accepts(parameter.name, "1.001") && !accepts(parameter.name, "-0.1"))
            case .choice(let words):
                for word in words { #expect(accepts(parameter.name, word)) }
                #expect(!accepts(parameter.name, "no such word"))
            case .choices(let words):
                for word in words { #expect(accepts(parameter.name, word)) }
                #expect(!accepts(parameter.name, "no such word"))
            case .boolean:
                #expect(
                    accepts(parameter.name, "true") && accepts(parameter.name, "false")
                        && !accepts(parameter.name, "yes")
                )
            case .rate:
                #expect(
                    accepts(parameter.name, "1 pps") && accepts(parameter.name, "1 Gbps")
                        && !accepts(parameter.name, "1 GB")
                )
            case .string, .strings, .filters: break
            }
        }
        #expect(type.configure(required + [("no_such_parameter", 0, .scalar("1", 0))], at: 0).element == nil)
    }

    @Test(arguments: Catalog.standard.types.map(\.name))
    func declarationIsComplete(_ name: String) throws {
        let type = try #require(Catalog.standard[name])
        #expect(!type.summary.isEmpty && !type.documentation.isEmpty)
        #expect(!type.examples.isEmpty || type.defaultInputs.contains { !$0.accepts.allows(.packet) } || name == "Wire")
        for drop in type.drops { #expect(!drop.about.isEmpty && !drop.about.hasSuffix(".")) }
        for parameter in type.parameters { #expect(!parameter.about.isEmpty && !parameter.about.hasSuffix(".")) }
        for handler in type.handlers { #expect(!handler.about.isEmpty) }
    }

    @Test(arguments: cases)
    func onlyDeclaredOperationsAreCounted(_ item: Case) throws {
        let type = try #require(Catalog.standard[item.type])
        let counted = try run(item, batch: 64).counts.operations.map(\.operation)
        #expect(Set(counted).isSubset(of: type.operations))
    }
}
