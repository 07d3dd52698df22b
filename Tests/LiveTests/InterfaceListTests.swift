// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// `spillway list --interfaces`.
@Suite(.enabled(if: Lab.isPossible), .serialized) struct InterfaceListTests {
    @Test func interfacesAreListed() throws {
        let lab = try Lab()
        try lab.run(
            """
            ip -n $A link set a0 address 02:00:00:00:00:0a mtu 1400
            a ethtool -K a0 gro on tso off
            m ip link set m0 down
            a spillway list --interfaces --format json > list
            a spillway list --interfaces > text
            m spillway list --interfaces --columns "carrier, can be opened" > chosen
            """
        )
        let list = try JSONSerialization.jsonObject(with: lab.bytes("list")) as! [String: [[String: Any]]]
        let interfaces = try #require(list["interfaces"])
        #expect(interfaces.map { $0["name"] as? String } == ["lo", "a0"])
        #expect(interfaces[0]["kind"] as? String == "loopback" && interfaces[0]["mac"] is NSNull)
        let own = interfaces[1]
        #expect(own["kind"] as? String == "Ethernet" && own["link_type"] as? String == "ETHERNET")
        #expect(own["up"] as? Bool == true && own["mtu"] as? Int == 1400)
        #expect(own["mac"] as? String == "02:00:00:00:00:0a")
        let addresses = own["addresses"] as! [String]
        #expect(addresses.contains("10.77.0.1/24") && addresses.contains("fd77::1/64"))
        let offloads = own["offloads"] as! [String]
        #expect(offloads.contains("gro") && !offloads.contains("tso"))
        #expect(own["can_be_opened"] as? Bool == true && own["obstacle"] is NSNull)
        // The other end of the cable is down.
        #expect(own["carrier"] as? Bool == false)
        #expect(try lab.text("text").contains(/a0 +Ethernet +yes +no +1400 +02:00:00:00:00:0a +10.77.0.1\/24/))
        #expect(try lab.text("chosen").contains(/m0 +no +no: down\n/))
        #expect(try lab.text("chosen").contains(/m1 +yes +yes\n/))
    }

    @Test(.enabled(if: Program.isThere("setpriv"))) func aRightThatLacksIsTold() throws {
        let lab = try Lab()
        try lab.run("m setpriv --reuid nobody --clear-groups spillway list --interfaces > list")
        #expect(try lab.text("list").contains(/m0 +Ethernet .* no: takes CAP_NET_RAW\n/))
    }
}
