// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

@Suite struct HTTPParserTests: StreamBench {
    /// A method of which a part is missing is none.
    @Test func aWordWithAHoleIsNoMethod() throws {
        let rest = Array("T / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        for back in [false, true] {
            let whole = try run("HTTPParser", "", [data(Array("GE".utf8), 1, back: back), data(rest, 3, back: back)])
            #expect(whole.texts("records").count == 1)
            let cut = try run("HTTPParser", "", [data(Array("GE".utf8), 1, back: back), data(rest, 13, back: back)])
            #expect(cut.texts("records").isEmpty)
        }
    }

    /// Labels stand behind the columns of header fields, and cannot have the name of a column.
    @Test func labels() throws {
        let found = try run(
            "HTTPParser",
            "{request_headers: [Host], labels: {site: north, note: ''}}",
            [data(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8), 1)]
        )
        #expect(found.texts("records").first?.hasSuffix(" request_host=a site=north note=") == true)
        for label in ["status", "request_host"] {
            #expect(throws: (any Error).self) {
                try run("HTTPParser", "{request_headers: [Host], labels: {\(label): x}}", [])
            }
        }
    }
}
