// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Foundation
import SpillwayTesting
import Testing

struct IPAddressTests {
    /// RFC 5952 sections 4 and 5, and the C library where they agree.
    @Test(arguments: [
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:0db8::0001", "2001:db8::1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("0:0:1::", "0:0:1::"), ("2001:DB8::A", "2001:db8::a"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("::ffff:c000:201", "::ffff:192.0.2.1"),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:0:0:2:0:0:3:4", "1::2:0:0:3:4"), ("0:1::", "0:1::"),
        ("192.0.2.1", "192.0.2.1"), ("255.255.255.255", "255.255.255.255"), ("0.0.0.0", "0.0.0.0"),
    ])
    func textIsCanonical(_ text: String, _ canonical: String) {
        #expect(IPAddress(text)?.description == canonical)
    }

    @Test(arguments: [
        "", ":", ":::", "1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1::2::3", "12345::", "g::", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:", ":1", "1.2.3.4::", "::1.2.3",
        "+1::", "::-1",
        "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4",
    ])
    func mistakesAreRefused(_ text: String) { #expect(IPAddress(text) == nil) }

    @Test func agreesWithTheCLibrary() {
        var random = TestRandom(5)
        for _ in 0..<2000 {
            // Many zeros, so that runs of them meet.
            let groups = (0..<8).map { _ in Bool.random(using: &random) ? 0 : UInt16.random(in: 0...300, using: &random)
            }
            // The C library writes all of ::/96 in mixed notation, RFC 5952 only the well-known prefixes.
            if groups[..<6].allSatisfy({ $0 == 0 }) || groups[..<5].allSatisfy({ $0 == 0 }) { continue }
            var bytes = groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
            var text = [CChar](repeating: 0, count: 64)
            inet_ntop(AF_INET6, &bytes, &text, 64)
            let expected = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let words = groups.map(UInt64.init)
            let address = IPAddress(
                v6: words[0] << 48 | words[1] << 32 | words[2] << 16 | words[3],
                words[4] << 48 | words[5] << 32 | words[6] << 16 | words[7]
            )
            #expect(address.description == expected)
            #expect(IPAddress(expected) == address)
        }
    }
}
