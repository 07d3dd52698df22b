// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import Testing

/// What is bound to wires.
@Suite struct GraphRunTests {
    /// Two wires on one interface read the same packets, unless each reads one direction.
    @Test(arguments: [
        ("a=if:eth0", "b=if:eth0", true), ("a=if:eth0", "b=if:eth1", false), ("a=if:eth0", "b=file", false),
        ("a=if:eth0,direction=in", "b=if:eth0,direction=out", false),
        ("a=if:eth0,direction=in", "b=if:eth0,direction=in", true),
        ("a=if:eth0,direction=in", "b=libpcap:eth0", true),
    ])
    func interfacesThatAreReadTwiceAreFound(_ one: String, _ other: String, _ isDoubled: Bool) throws {
        let found = WireArgument.doubled([try WireArgument(one), try WireArgument(other)])
        #expect((found != nil) == isDoubled)
        if let found { #expect(found.0.name == "a" && found.1.name == "b") }
    }

    @Test func anUnknownOptionOfAnInterfaceIsNamed() throws {
        let failure = #expect(throws: WireArgument.Failure.self) { _ = try WireArgument("a=if:eth0,promisk") }
        #expect(failure?.description.contains("'promisk' is no option of an interface; there are promisc") == true)
    }
}
