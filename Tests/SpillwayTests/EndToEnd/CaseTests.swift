// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import TestSupport
import Testing

/// Small captures that once came out wrong, each of a kind of fault; the shared collection's list says what is right.
@Suite(.enabled(if: Shared.isThere)) struct CaseTests {
    private func run(_ graph: String, _ file: String, _ settings: [(String, String)] = []) throws -> Bound {
        let bound = try runDirect(
            shippedGraph(graph, settings + [("records", "records")]),
            capture: "\(Shared.cases)/\(file).pcap",
            batch: 64
        )
        #expect(bound.imbalances == [])
        return bound
    }

    private func records(_ bound: Bound) throws -> [[String: Any]] {
        try String(decoding: bound.files.contents["records"] ?? [], as: UTF8.self).split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    /// Transactions as "target status".
    @Test(arguments: [
        ("tcp-late-fin-of-old-connection", ["/a 200", "/a 200"]), ("tcp-wrong-synack-with-data", ["/a 200"]),
        ("tcp-second-synack-followed", ["/a 200"]),
    ]) func transactions(_ file: String, _ expected: [String]) throws {
        let found = try records(try run("http-log", file)).map { record in
            "\(record["target"] as? String ?? "-") \(record["status"] as? Int ?? 0)"
                + ((record["error"] as? String).map { " \($0)" } ?? "")
        }
        #expect(found == expected)
    }

    @Test func timestampsAfter30Days() throws {
        let found = try records(try run("stream-dump", "tcp-timestamps-after-30-days", [("idle", "0 s")]))
        #expect(found.contains { $0["sport"] as? Int == 40000 && $0["bytes"] as? Int == 42 })
    }

    /// The attack is found, or not forwarded; nothing of it leaves.
    @Test(arguments: [
        "waf-old-ack-decoy", "waf-syn-data-decoy", "waf-syn-in-connection", "waf-far-syn-in-connection",
        "waf-differing-retransmission", "roles-synack-before-syn",
    ]) func attacks(_ file: String) throws {
        let bound = try run("waf", file, [("checksum", "verify"), ("min_ttl", "3")])
        for packet in try #require(bound.sent["wire"]).packets {
            let isAttack = packet.bytes.split(separator: UInt8(ascii: "/")).contains {
                $0.starts(with: Array("passwd".utf8))
            }
            // The copy of waf-differing-retransmission is dropped, and so is all of a connection in which it was found.
            #expect(!isAttack)
        }
        #expect(!(try records(bound)).isEmpty, "somebody is told")
    }

    @Test func whatIsRewrittenHasARightChecksum() throws {
        let bound = try run("waf", "tcp-early-overlap-differs")
        let sent = try #require(bound.sent["wire"])
        #expect(sent.packets.count == 6)
        for k in sent.packets.indices {
            #expect(sent.withItem(k) { $0.hasRightTCPChecksum }, "packet \(k + 1)")
        }
    }

    /// The client is who sent the SYN, in all graphs.
    @Test func roles() throws {
        for graph in ["flow-monitor", "http-log", "stream-dump"] {
            let first = try #require(try records(try run(graph, "roles-synack-before-syn")).first)
            #expect(first["src"] as? String == "192.0.2.10", "\(graph)")
        }
    }
}

extension Packet {
    /// Whether the TCP checksum is right, summed over the pseudo-header and the segment.
    fileprivate var hasRightTCPChecksum: Bool {
        guard let ip = IPv4View(self), let tcp = TCPView(self) else { return false }
        var sum = ip.addressSum &+ UInt64(UInt16(6).bigEndian) &+ UInt64(UInt16(tcp.count).bigEndian)
        sum &+= Checksum.sum(tcp.base, tcp.count)
        return Checksum.fold(sum) == 0xffff
    }
}
