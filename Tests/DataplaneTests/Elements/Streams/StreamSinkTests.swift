// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import SpillwayTesting
import Testing

@Suite struct StreamSinkTests: StreamBench {
    /// Labels stand behind everything else, and change nothing there.
    @Test func labels() throws {
        let packets = [try data(Array("abc".utf8), 1), try data(Array("q".utf8), 1, back: true)]
        let plain = try run("StreamSink", "", packets).texts("records")
        let labelled = try run("StreamSink", "{labels: {site: north, note: ''}}", packets).texts("records")
        #expect(plain.count == 2 && plain[0].hasPrefix("stream=0 src=10.0.0.1 "))
        #expect(labelled == plain.map { $0 + " site=north note=" })
        #expect(throws: (any Error).self) { try run("StreamSink", "{labels: {sha256: x}}", []) }
    }
}
