// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import TestSupport
import Testing

/// The captures that come with the repository against what capinfos, tcpdump and tshark found in them. scripts/make-oracles.py wrote
/// that down, so none of them is needed here.
@Suite struct ShippedOracleTests {
    struct Oracle: Decodable, Sendable, CustomTestStringConvertible {
        struct Stream: Decodable, Hashable, Sendable {
            var src: String
            var sport: Int
            var bytes: Int
            var sha256: String
        }
        var capture: String
        var packets: Int
        var bytes: Int
        /// By filter, how many packets it takes; null where it cannot be compiled for the link type.
        var filters: [String: Int?]
        var streams: [Stream]
        var requests: [String: Int]
        var responses: [String: Int]
        var serverNames: [String]
        var joinedPackets: [Int]
        var testDescription: String { capture }
    }
    struct Record: Decodable {
        var src: String?
        var sport: Int?
        var bytes: Int?
        var sha256: String?
        var method: String?
        var target: String?
        var host: String?
        var status: Int?
        var error: String?
        var sni: String?
    }

    static let oracles: [Oracle] = ["web.pcap", "vlan.pcapng", "cooked.pcap"].map { name in
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .custom { path in
            let key = path.last!.stringValue
            let names = ["server_names": "serverNames", "joined_packets": "joinedPackets"]
            return Key(stringValue: names[key] ?? key)
        }
        let file = URL(filePath: shippedCapture("oracle/\(name).json"))
        return try! decoder.decode(Oracle.self, from: Data(contentsOf: file))
    }

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private func run(_ spec: GraphSpec, _ oracle: Oracle) throws -> Bound {
        let bound = try runDirect(spec, capture: shippedCapture(oracle.capture), batch: 64)
        #expect(bound.imbalances == [])
        return bound
    }

    private func records(_ spec: GraphSpec, _ oracle: Oracle) throws -> [Record] {
        let text = try #require(try run(spec, oracle).files.contents["records"])
        return try text.split(separator: UInt8(ascii: "\n")).map {
            try JSONDecoder().decode(Record.self, from: Data($0))
        }
    }

    private func count(_ texts: [String]) -> [String: Int] { Dictionary(texts.map { ($0, 1) }, uniquingKeysWith: +) }

    @Test(arguments: oracles) func packetsAreThoseOfCapinfos(_ oracle: Oracle) throws {
        let spec = try graph(yaml: "graph: g\nelements: {wire: {type: Wire}}\nchains: [wire.rx -> wire.tx]\n")
        let sent = try #require(try run(spec, oracle).sent["wire"]).packets
        #expect(sent.count == oracle.packets)
        #expect(sent.reduce(0) { $0 + Int($1.item.wireLength) } == oracle.bytes)
    }

    @Test(arguments: oracles) func filtersTakeWhatTcpdumpTakes(_ oracle: Oracle) throws {
        #expect(oracle.filters.count > 20)
        for (filter, expected) in oracle.filters {
            let spec = try graph(
                yaml: """
                    graph: g
                    elements: {wire: {type: Wire}, sort: {type: Classifier, rules: {it: "\(filter)"}}}
                    chains: [wire.rx -> sort, sort.it -> wire.tx, sort.other -> Discard]
                    """
            )
            let found = try run(spec, oracle).sent["wire"]?.packets.count
            #expect(found == expected ?? 0, "\(filter)")
        }
    }

    @Test(arguments: oracles) func streamsAreThoseOfTshark(_ oracle: Oracle) throws {
        let spec = try shippedGraph("stream-dump", [("idle", "0 s"), ("records", "records")])
        #expect(try Set(streams(records(spec, oracle))) == Set(oracle.streams))
    }

    /// Packets that come late, twice and in another order make no other streams.
    @Test(arguments: oracles, 1...3) func disturbedStreamsAreTheSame(_ oracle: Oracle, _ seed: Int) throws {
        let spec = try graph(
            yaml: """
                graph: g
                elements:
                  wire: {type: Wire}
                  fault: {type: FaultInjector, duplicate: 0.2, reorder: 0.2, reorder_by: \(seed), reorder_within: 1 ms}
                  flows: {type: FlowTable, idle: 0 s}
                  order: {type: TCPReassembler}
                  dump: {type: StreamSink, directory: d}
                  sink: {type: RecordSink, file: records}
                chains:
                  - wire.rx -> fault -> flows -> order.stream -> dump.records -> sink
                  - order.rest -> Discard
                """
        )
        #expect(try Set(streams(records(spec, oracle))) == Set(oracle.streams))
    }

    private func streams(_ records: [Record]) -> [Oracle.Stream] {
        records.compactMap { record in
            guard let bytes = record.bytes, bytes > 0 else { return nil }
            let digest = String(record.sha256!.prefix(16))
            return Oracle.Stream(src: record.src!, sport: record.sport!, bytes: bytes, sha256: digest)
        }
    }

    @Test(arguments: oracles) func transactionsAreThoseOfTshark(_ oracle: Oracle) throws {
        let records = try records(shippedGraph("http-log", [("idle", "0 s"), ("records", "records")]), oracle)
        let requests = records.filter { $0.method != nil }.map { "\($0.method!) \($0.target ?? "") \($0.host ?? "")" }
        #expect(count(requests) == oracle.requests)
        // A record tells the final response only, and tshark none that is broken off.
        let responses = records.filter { $0.error == nil }.compactMap(\.status).map { "\($0)" }
        #expect(count(responses) == oracle.responses.filter { $0.key != "100" })
    }

    @Test(arguments: oracles) func namesAreThoseOfTshark(_ oracle: Oracle) throws {
        let records = try records(shippedGraph("tls-names", [("records", "records")]), oracle)
        #expect(records.compactMap(\.sni).sorted() == oracle.serverNames)
    }

    @Test(arguments: oracles) func fragmentsAreJoinedAsByTshark(_ oracle: Oracle) throws {
        let spec = try graph(
            yaml: "graph: g\nelements: {wire: {type: Wire}}\nchains: [wire.rx -> IPDefragmenter -> wire.tx]\n"
        )
        // The captures have fragments of IPv4 without options on Ethernet only.
        let joined = try #require(try run(spec, oracle).sent["wire"]).packets.filter { $0.item.made > 0 }
        #expect(joined.map { (Int($0.bytes[16]) << 8 | Int($0.bytes[17])) - 20 }.sorted() == oracle.joinedPackets)
    }
}
