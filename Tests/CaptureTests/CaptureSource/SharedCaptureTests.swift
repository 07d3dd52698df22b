// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// Every capture of other projects against what capinfos and tshark counted in it.
@Suite(.enabled(if: Shared.isThere))
struct SharedCaptureTests {
    /// What the other tools made of one capture.
    private struct Oracle: Decodable {
        var file: String
        var packets: Int?
        var tshark_packets: Int?
        var capinfos_error: String?
        var file_type: String?
    }

    private func oracles() throws -> [Oracle] {
        let directory = Shared.captures + "/oracle"
        return try FileManager.default.contentsOfDirectory(atPath: directory).sorted().map { name in
            try JSONDecoder().decode(Oracle.self, from: Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(name)")))
        }
    }

    @Test func countsAreThoseOfCapinfos() throws {
        var seen = 0
        for oracle in try oracles() where oracle.file_type != "snoop" {
            guard let expected = oracle.packets else { continue }
            let outcome = try read(["\(Shared.captures)/\(oracle.file)"])
            #expect(outcome.packets.count == expected, "\(oracle.file): \(outcome.error.map { "\($0)" } ?? "no error")")
            #expect((outcome.error != nil) == (oracle.capinfos_error != nil), "\(oracle.file)")
            seen += 1
        }
        #expect(seen > 500)
    }

    @Test func whatCapinfosRefusesIsAnErrorOrALinkTypeItDoesNotKnow() throws {
        var seen = 0
        for oracle in try oracles() where oracle.packets == nil {
            let outcome = try read(["\(Shared.captures)/\(oracle.file)"])
            let isLinkType = oracle.capinfos_error?.contains("unknown or unsupported") == true
            #expect(outcome.error != nil || isLinkType, "\(oracle.file)")
            // Here tshark takes garbage for a relative of pcap with longer headers; tcpdump reads what this reads.
            let isGuess = oracle.file == "suri-bug-6875-01-fuzz.pcap"
            if !isLinkType && !isGuess { #expect(outcome.packets.count == oracle.tshark_packets, "\(oracle.file)") }
            seen += 1
        }
        #expect(seen > 10)
    }

    @Test func snoopIsNamed() throws {
        let outcome = try read(["\(Shared.captures)/derived-suri-http-sticky-start-snoop.snoop"])
        #expect(outcome.atStart)
        #expect(
            outcome.error?.description.hasSuffix(
                "is a snoop capture, which is not supported; convert it with editcap [unsupported_format]"
            ) == true
        )
    }
}
