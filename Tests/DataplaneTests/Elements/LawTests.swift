// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// Laws that every element of the catalog keeps, whatever packets come.
@Suite struct LawTests {
    /// Parameters for types that cannot do without, and others worth trying beside those of the examples.
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
        "FlowTable": ["{checksum: verify, min_ttl: 2}", "{capacity: 4, idle: 1 ms}"],
        "TCPReassembler": ["{checksum: verify, min_ttl: 2}"],
        "HTTPParser": ["{request_headers: [Host, User-Agent], response_headers: [Content-Length]}"],
        "HTTPFilter": ["{host: ['*.example'], path: ['/abc*']}"],
        "ARPResponder": ["{addresses: [10.0.0.0/24], mac: 02:00:00:00:00:0a}"],
        "NDResponder": ["{addresses: [2001:db8::2], mac: 02:00:00:00:00:0a, router: true}"],
        "ICMPEchoResponder": ["{addresses: [10.0.0.2, 10.2.0.1, 2001:db8::/32], ttl: 1}"],
        "NeighbourResolver": [
            "{mac: 02:00:00:00:00:0a, addresses: [10.0.0.9/8, 2001:db8::9/64], gateways: [2001:db8::1]}",
            "{mac: 02:00:00:00:00:0a, addresses: [10.0.0.9/8, 2001:db8::9/32], capacity: 3, waiting: 2, packets: 4, "
                + "retry: 1 ms, lifetime: 1 s}",
            "{mac: 02:00:00:00:00:0a, addresses: [10.0.0.9/8], capacity: 2, packets: 2, on_full: drop, unsolicited: ignore}",
        ],
        "PatternMatcher": ["{patterns: [GET, abc]}", "{patterns: [GET, abc], action: mark, case: insensitive}"],
    ]

    /// Packets for what the general traffic does not reach.
    private static let packets: [String: [String]] = [
        "ARPResponder": ["10.0.0.1 > 10.0.0.2 arp dmac=ff:ff:ff:ff:ff:ff", "10.0.0.1 > 10.0.0.3 arp vlan=5"],
        "NDResponder": [
            Neighbours.message(
                135,
                from: "2001:db8::1",
                to: "ff02::1:ff00:2",
                about: "2001:db8::2",
                "dmac=33:33:ff:00:00:02"
            )
        ],
        "NeighbourResolver": (1...4).flatMap { k in
            [
                "10.0.0.9:1 > 10.0.0.\(k):2 S time=\(k)s", "10.0.0.9:1 > 10.0.0.\(k):2 A time=\(k).001s",
                "10.0.0.\(k % 3) > 10.0.0.9 arp op=2 dmac=02:00:00:00:00:0a time=\(k).2s",
                "[2001:db8::9]:1 > [2001:db8::\(k)]:2 S time=\(k).3s",
                Neighbours.message(
                    136,
                    from: "2001:db8::\(k)",
                    to: "2001:db8::9",
                    about: "2001:db8::\(k)",
                    options: Neighbours.option(2, UInt8(k)),
                    flags: 0x60,
                    "time=\(k).4s"
                ), "10.0.0.9:1 > 10.0.0.\(k):2 A time=\(k).9s",
            ]
        },
    ]

    static let types = Catalog.standard.types.map(\.name).filter { $0 != "Wire" }

    @Test(arguments: types)
    func lawsAreKept(_ name: String) throws {
        let type = try #require(Catalog.standard[name])
        let breaches = ElementLaws.breaches(
            of: type,
            configs: LawTests.configs[name] ?? [],
            packets: LawTests.packets[name] ?? [],
            isRandom: name == "FaultInjector"
        )
        for breach in breaches { Issue.record("\(breach)") }
    }

    @Test func whatIsTriedExists() {
        #expect(LawTests.types.count > 20)
        #expect(Set(LawTests.configs.keys).union(LawTests.packets.keys).isSubset(of: LawTests.types))
    }

    @Test(arguments: Catalog.standard.types.map(\.name))
    func parametersKeepTheirRanges(_ name: String) throws {
        let type = try #require(Catalog.standard[name])
        let config = LawTests.configs[name]?.first ?? type.examples.first?.config
        let required = try FlowStyle.parameters(config ?? "").filter { entry in
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
            case .labels:
                #expect(accepts(parameter.name, "{a: b}") && !accepts(parameter.name, "{'a b': c}"))
                #expect(!accepts(parameter.name, "a"))
            case .ethernet(let orNone):
                #expect(accepts(parameter.name, "02:00:00:00:00:01") && accepts(parameter.name, "none") == orNone)
                for text in ["02:00:00:00:00", "02:00:00:00:00:0g", "+2:00:00:00:00:01", ""] {
                    #expect(!accepts(parameter.name, text))
                }
            case .prefixes(let versions):
                #expect(!accepts(parameter.name, "a") && !accepts(parameter.name, "192.0.2.1/33"))
                #expect(!accepts(parameter.name, "192.0.2.1/024") && !accepts(parameter.name, "224.0.0.1"))
                if !versions.contains(6) { #expect(!accepts(parameter.name, "2001:db8::1")) }
                if !versions.contains(4) { #expect(!accepts(parameter.name, "192.0.2.1")) }
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
}
