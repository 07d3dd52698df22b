// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import SpillwayTesting
import Testing

@testable import Dataplane

@Suite struct IPPrefixTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("192.0.2.77/24", "192.0.2.77/24", "192.0.2.0", "192.0.2.255"),
        ("0.0.0.0/0", "0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
        ("10.0.0.10/31", "10.0.0.10/31", "10.0.0.10", "10.0.0.11"),
        ("2001:db8::1/64", "2001:db8::1/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"),
        ("2001:db8::1/128", "2001:db8::1", "2001:db8::1", "2001:db8::1"),
        ("::/0", "::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8::ff/121", "2001:db8::ff/121", "2001:db8::80", "2001:db8::ff"),
    ])
    func itsEnds(_ text: String, _ shown: String, _ first: String, _ last: String) throws {
        let prefix = try #require(IPPrefix(text))
        #expect(prefix.description == shown && prefix.first == IPAddress(first) && prefix.last == IPAddress(last))
        #expect(prefix.contains(prefix.first) && prefix.contains(prefix.last) && prefix.contains(prefix.address))
    }

    @Test(arguments: [
        "", "/", "192.0.2.1/", "192.0.2.1/33", "192.0.2.1/-1", "192.0.2.1/+8", "192.0.2.1/08", "::/129", "a/8",
        "1.2.3.4/8/8",
    ])
    func thisIsNone(_ text: String) { #expect(IPPrefix(text) == nil) }

    @Test func versionsDiffer() {
        #expect(IPPrefix("0.0.0.0/0")?.contains(IPAddress("::")!) == false)
        #expect(IPPrefix("::/0")?.contains(IPAddress("0.0.0.0")!) == false)
    }

    @Test func kindsOfAddresses() {
        func all(_ texts: [String], _ path: KeyPath<IPAddress, Bool>) -> [Bool] {
            texts.map { IPAddress($0)![keyPath: path] }
        }
        #expect(
            all(["223.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0", "fe80::", "ff00::"], \.isMulticast)
                == [false, true, true, false, false, true]
        )
        #expect(
            all(["169.254.0.0", "169.255.0.0", "fe80::1", "febf::1", "fec0::1"], \.isLinkLocal) == [
                true, false, true, true, false,
            ]
        )
        #expect(
            all(
                [
                    "0.0.0.0", "0.1.0.0", "127.0.0.1", "192.0.2.1", "224.0.0.1", "255.255.255.255", "::", "::1",
                    "2001:db8::1", "ff02::1",
                ],
                \.isUsableSource
            )
                == [false, false, false, true, false, false, false, false, true, false]
        )
        #expect(IPAddress("2001:db8::12:3456")!.solicitedNode == IPAddress("ff02::1:ff12:3456"))
    }

    /// A set against each network in turn.
    @Test func aSetHoldsWhatItsNetworksDo() throws {
        var random = TestRandom(3)
        for _ in 0..<300 {
            func address() -> IPAddress {
                // Few different addresses, so that networks meet.
                let low = UInt64.random(in: 0..<64, using: &random)
                return Bool.random(using: &random)
                    ? IPAddress(v4: UInt32(low)) : IPAddress(v6: low & 1, low << 58 | low)
            }
            let prefixes = (0..<Int.random(in: 0...8, using: &random)).map { _ in
                let address = address()
                return IPPrefix(address, length: address.bits - Int.random(in: 0...5, using: &random))
            }
            let set = AddressSet(prefixes)
            for _ in 0..<50 {
                let address = address()
                #expect(set.contains(address) == prefixes.contains { $0.contains(address) }, "\(prefixes) \(address)")
            }
        }
        #expect(AddressSet([IPPrefix("::/0")!]).contains(IPAddress("ffff::")!))
    }

    @Test func ethernetAddresses() {
        #expect(EthernetAddress("02:00:5e:FF:aB:01")?.number == 0x0200_5eff_ab01)
        for text in [
            "", "02:00:00:00:00", "02:00:00:00:00:01:02", "2:0:0:0:0:1", "+2:00:00:00:00:01", "02-00-00-00-00-01",
        ] {
            #expect(EthernetAddress(text) == nil)
        }
    }
}
