// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

@Suite struct RecordSinkTests: RecordBench {
    @Test func textIsWrittenInLargePieces() throws {
        let texts = (0..<3000).map { "10.0.0.1:\($0) > 10.0.0.2:80 A" }
        let (_, _, services) = try run([("MetadataExtractor", "{per: packet}"), ("RecordSink", "{file: f}")], texts)
        let file = services.files["f"]!
        #expect(file.bytes.count > 400_000 && file.writes <= file.bytes.count / 65_536 + 1)
    }
}
