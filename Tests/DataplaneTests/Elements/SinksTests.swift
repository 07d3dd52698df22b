// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// What holds for all elements that write files.
@Suite struct SinksTests: RecordBench {
    @Test func aFailingFileEndsTheRunWithItsError() throws {
        let texts = (0..<3000).map { "10.0.0.1:\($0) > 10.0.0.2:80 A" }
        #expect(throws: InstanceError.self) {
            try run([("MetadataExtractor", "{per: packet}"), ("RecordSink", "{file: small:100000}")], texts)
        }
        #expect(throws: InstanceError.self) { try run([("PacketSink", "{file: small:100000}")], texts) }
    }

    @Test func filesAreWrittenEvenWithoutPackets() throws {
        let services = try run([("PacketSink", "{file: a.pcapng}")], []).services
        #expect(services.files["a.pcapng"]?.bytes.prefix(4) == [0x0a, 0x0d, 0x0d, 0x0a])
        #expect(
            try run([("MetadataExtractor", "{per: packet}"), ("RecordSink", "{file: b}")], []).services.files["b"]?
                .bytes == []
        )
    }
}
