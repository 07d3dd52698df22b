// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import TestSupport
import Testing

/// The names that tls-names finds in captures of other projects, against those that tshark finds.
struct TLSNameTests {
    /// Captures whose names are within tunnels that are not opened here, and how many they are.
    private static let tunnelled = [
        // GTP-U, VXLAN and Geneve.
        "ndpi-ja3_lots_of_cipher_suites_2_anon.pcap": 1, "ndpi-vxlan.pcap": 2, "zeek-geneve-47101.pcap": 1,
    ]
    /// Captures where tshark misses a hello, and how many: it finds them in the capture that this was made from.
    private static let missedByOthers = ["derived-ndpi-http_connect-seqwrap.pcap": 1]

    private struct Oracle: Decodable {
        struct Name: Decodable, Hashable {
            var stream: Int
            var sni: String
        }
        var tlsSni: [Name]?
    }
    private struct Record: Decodable {
        var stream: Int
        var sni: String?
        var error: String?
    }

    @Test(.enabled(if: Shared.isThere))
    func namesOfOtherTools() throws {
        let directory = Shared.captures
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        var (expected, found) = (0, 0)
        for file in try FileManager.default.contentsOfDirectory(atPath: directory + "/oracle").sorted() {
            let oracle = try decoder.decode(Oracle.self, from: Data(Files.read(directory + "/oracle/" + file)))
            guard let names = oracle.tlsSni, !names.isEmpty else { continue }
            let capture = String(file.dropLast(5))
            // Numbers of streams differ where a capture holds packets twice; a connection with two hellos has one record.
            let wanted = Set(names).map(\.sni).sorted()
            let bound = try runDirect(shippedGraph("tls-names"), capture: "\(directory)/\(capture)", batch: 64)
            #expect(bound.imbalances.isEmpty)
            let lines = String(decoding: bound.files.contents["-"] ?? [], as: UTF8.self).split(separator: "\n")
            let records = try lines.map { try JSONDecoder().decode(Record.self, from: Data($0.utf8)) }
            let given = records.compactMap(\.sni).sorted()
            #expect(records.allSatisfy { $0.error == nil }, "\(capture)")
            #expect(Set(records.map(\.stream)).count == records.count, "\(capture)")
            expected += wanted.count
            found += min(wanted.count, given.count)
            if let count = TLSNameTests.tunnelled[capture] {
                #expect(given.count == wanted.count - count, "\(capture)")
            } else if let count = TLSNameTests.missedByOthers[capture] {
                #expect(Set(given) == Set(wanted) && given.count == wanted.count + count, "\(capture)")
            } else {
                #expect(given == wanted, "\(capture)")
            }
        }
        #expect(found == expected - 4, "\(found) of \(expected) names")
    }
}
