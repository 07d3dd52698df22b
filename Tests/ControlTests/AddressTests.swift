// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Control
import Testing

/// Addresses that only this machine can reach.
@Suite struct AddressTests {
    @Test func whatOnlyThisMachineReaches() throws {
        #expect(try Address("127.0.0.1:9100") == .loopback4(host: 0x7f00_0001, port: 9100))
        #expect(try Address("127.3.2.1:0") == .loopback4(host: 0x7f03_0201, port: 0))
        #expect(try Address("localhost:80") == .loopback4(host: 0x7f00_0001, port: 80))
        #expect(try Address("[::1]:9100") == .loopback6(port: 9100))
        #expect(try Address("[0:0::1]:1") == .loopback6(port: 1))
        #expect(try Address("unix:a/b") == .unix(path: "a/b"))
        for text in ["127.3.2.1:80", "[::1]:9100", "unix:x"] { #expect(try Address(text).description == text) }
    }

    @Test(
        arguments: [
            "0.0.0.0:9100", "10.0.0.1:9100", "[::]:9100", "[::ffff:127.0.0.1]:9100", ":9100", "*:9100", "128.0.0.1:1",
            "[fe80::1]:9100", "host:9100", "127.0.0.1", "9100", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
            "127.1:80", "::1:9100", "", "unix:", "unix:" + String(repeating: "x", count: 108), "[::1]", "127.0.0.1:9 ",
        ]
    )
    func everythingElseIsRefused(_ text: String) {
        let error = #expect(throws: SocketError.self) { try Address(text) }
        #expect(error?.kind == .address)
        #expect(error?.description.isEmpty == false)
    }
}
