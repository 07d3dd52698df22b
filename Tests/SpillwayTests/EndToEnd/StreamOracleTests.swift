// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import TestSupport
import Testing

/// Streams and HTTP against what independent tools make of real captures.
@Suite struct StreamOracleTests {
    /// Why a capture's streams differ from those that tshark, tcpflow and tcptrace agree on.
    static let differences = [
        "derived-suri-http-sticky-start-err0.1.pcap": "a TCP data offset of 8 bytes, which no receiver takes",
        "ppp-650HttpResponses.pcap": "holes of five bytes, which the tools fill with zeros",
        "ppp-cfuzz-5700358767902720.pcap": "a damaged segment without ACK",
        "suri-bug-6875-01-fuzz.pcap": "damaged: the capture ends within its second packet",
        "suri-bug-76.pcap": "packets whose IP length is beyond the frame",
        "tcpdump-bgp_vpn_rt-oobr.pcap": "a damaged header",
        "zeek-fragmented-3.pcap": "a first fragment whose rest never comes",
    ]
    /// Why a capture's HTTP differs from what tshark and llhttp agree on.
    static let httpDifferences = [
        "derived-suri-http-sticky-start-snoop.snoop": "a snoop file, which is not read",
        "libpcap-AH-IPcomp-IPv6.pcap": "inside IPComp",
        "ppp-650HttpResponses.pcap": "responses with holes: theirs end at the first hole, ours go on behind it",
        "suri-filestore-5408.pcap": "they count connections in sFlow's samples too, so `stream` is another",
        "suri-http-missing-protocol.pcap":
            "a request line without version: what looks like HTTP/0.9 with fields is a badly constructed HTTP/1.x request"
            + " (RFC 9112 appendix C.1)",
        "tcpdump-arcnet-rfc1051-arp-icmp-http.pcap": "link type ARCNET_LINUX, whose headers are not known here",
    ]

    /// What to set where a derived capture's segments overlap and differ: there the bytes that came last are the original's.
    static func overlap(_ name: String) -> String { name.contains("seg32-new") ? "last" : "first" }

    /// The two ends that a record, or a stream of an oracle, names.
    private static func ends(_ names: [String: Any]) -> Set<String> {
        ["\(names["src"] ?? "") \(names["sport"] ?? "")", "\(names["dst"] ?? "") \(names["dport"] ?? "")"]
    }

    static func oracles() throws -> [(name: String, facts: [String: Any])] {
        let directory = Shared.captures + "/oracle"
        return try FileManager.default.contentsOfDirectory(atPath: directory).sorted().compactMap { file in
            guard file.hasSuffix(".json"),
                let facts = try JSONSerialization.jsonObject(
                    with: Data(contentsOf: URL(filePath: directory + "/" + file))
                ) as? [String: Any]
            else { return nil }
            return (String(file.dropLast(5)), facts)
        }
    }

    /// The records a graph writes for a capture.
    static func records(_ graph: GraphSpec, _ capture: String) throws -> [[String: Any]] {
        guard let bound = try? Bound(graph, capture: "\(Shared.captures)/\(capture)") else { return [] }
        try DirectRuntime(bound.instance).run()
        #expect(bound.imbalances == [], "\(capture)")
        return try (bound.files.contents["records"] ?? []).split(separator: UInt8(ascii: "\n")).compactMap {
            try JSONSerialization.jsonObject(with: Data($0)) as? [String: Any]
        }
    }

    /// What is said to users is what is tested.
    @Test func theReasonsAreInTheReadme() throws {
        let text = try String(contentsOf: root.appending(path: "graphs/README.md"), encoding: .utf8)
        for (name, why) in StreamOracleTests.differences.merging(
            StreamOracleTests.httpDifferences,
            uniquingKeysWith: { $1 }
        ) {
            #expect(text.contains("| `\(name)` | \(why) |"), "\(name)")
        }
        #expect(text.contains("for 2569 of the 2576 directions") && text.contains("Of the 3204 requests and responses"))
    }

    @Test(.enabled(if: Shared.isThere)) func streamsAreThoseOfOtherTools() throws {
        var (equal, all) = (0, 0)
        for (name, facts) in try StreamOracleTests.oracles() {
            let agreed = ((facts["streams"] as? [[String: Any]]) ?? []).filter { $0["status"] as? String == "agree" }
            if agreed.isEmpty { continue }
            let graph = try shippedGraph(
                "stream-dump",
                [
                    ("idle", "0 s"), ("decapsulate", "all"), ("records", "records"),
                    ("overlap", StreamOracleTests.overlap(name)),
                ]
            )
            var digests: [String: Int] = [:]
            for record in try StreamOracleTests.records(graph, name) {
                digests[record["sha256"] as! String, default: 0] += 1
            }
            var missing = 0
            for stream in agreed {
                all += 1
                let digest = stream["sha256"] as! String
                if digests[digest, default: 0] > 0 {
                    digests[digest]! -= 1
                    equal += 1
                } else {
                    missing += 1
                }
            }
            #expect(
                (missing == 0) == (StreamOracleTests.differences[name] == nil),
                "\(name): \(missing) of \(agreed.count)"
            )
        }
        #expect((equal, all) == (2569, 2576))
    }

    @Test(.enabled(if: Shared.isThere)) func transactionsAreThoseOfOtherTools() throws {
        var (equal, all) = (0, 0)
        for (name, facts) in try StreamOracleTests.oracles() {
            guard let streams = facts["http_llhttp"] as? [[String: Any]], !streams.isEmpty else { continue }
            let graph = try shippedGraph(
                "http-log",
                [
                    ("idle", "0 s"), ("decapsulate", "all"), ("records", "records"),
                    ("overlap", StreamOracleTests.overlap(name)),
                ]
            )
            let records = try StreamOracleTests.records(graph, name)
            var missing = 0
            // Connections by their ends: where a SYN comes within one, the other tools count another.
            var ends: [Int: Set<String>] = [:]
            for side in (facts["streams"] as? [[String: Any]]) ?? [] {
                if let number = side["stream"] as? Int { ends[number] = StreamOracleTests.ends(side) }
            }
            for stream in streams {
                let number = stream["stream"] as? Int
                let own = records.filter { record in
                    record["stream"] as? Int == number
                        || number.flatMap { ends[$0] } == StreamOracleTests.ends(record)
                }
                func compare(
                    _ key: String,
                    _ agree: String,
                    _ theirs: ([String: Any]) -> String?,
                    _ ours: ([String: Any]) -> String?
                ) {
                    guard stream[agree] as? Bool == true else { return }
                    var have: [String: Int] = [:]
                    for record in own { if let text = ours(record) { have[text, default: 0] += 1 } }
                    for text in ((stream[key] as? [[String: Any]]) ?? []).compactMap(theirs) {
                        all += 1
                        if have[text, default: 0] > 0 {
                            have[text]! -= 1
                            equal += 1
                        } else {
                            missing += 1
                        }
                    }
                }
                compare("requests", "requests_agree") {
                    "\($0["method"] ?? "") \($0["uri"] ?? "") \($0["host"] as? String ?? "")"
                } _: {
                    $0["method"] is String
                        ? "\($0["method"]!) \($0["target"] as? String ?? "") \($0["host"] as? String ?? "")" : nil
                }
                compare("responses", "responses_agree") {
                    let status = ($0["status"] ?? $0["code"]) as? Int ?? 0
                    return (100..<200).contains(status) && status != 101 ? nil : "\(status) \($0["body_bytes"] ?? "")"
                } _: {
                    $0["status"] is Int ? "\($0["status"]!) \($0["response_body_bytes"] ?? "")" : nil
                }
            }
            #expect(missing == 0 || StreamOracleTests.httpDifferences[name] != nil, "\(name): \(missing) differ")
        }
        #expect((equal, all) == (3180, 3204))
    }
}
