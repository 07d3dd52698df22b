// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// A graph that owns addresses, and the kernel as its neighbour.
@Suite(.enabled(if: Lab.isPossible), .serialized) struct AddressTests {
    /// The kernel finds the addresses, and the graph the kernel's: each asks before it sends.
    @Test(arguments: ["if", "libpcap"]) func theKernelReachesAGraph(_ access: String) throws {
        let lab = try Lab()
        try lab.run(
            """
            begin 2 spillway run $GRAPHS/own-address.yaml --wire wire=\(access):m0 --format json \\
                --set ipv4=10.77.0.9 --set ipv6=fd77::9 --set local=fe80::9
            a ping -q -c 3 -i 0.2 10.77.0.9 > ping4
            a ping -6 -q -c 3 -i 0.2 fd77::9 > ping6
            a ping -6 -q -c 3 -i 0.2 fe80::9%a0 > local
            # In fragments, which are answered in fragments.
            a ping -q -c 3 -i 0.2 -s 3000 10.77.0.9 > long4
            a ping -6 -q -c 3 -i 0.2 -s 3000 fd77::9 > long6
            a ip neigh show > neighbours
            end TERM
            """
        )
        for file in ["ping4", "ping6", "local", "long4", "long6"] {
            #expect(try lab.text(file).contains(" 3 received, 0% packet loss"))
        }
        let neighbours = try lab.text("neighbours")
        for address in ["10.77.0.9", "fd77::9", "fe80::9"] {
            #expect(neighbours.contains("\(address) dev a0 lladdr 02:00:00:00:00:0a REACHABLE"), "\(neighbours)")
        }
        let report = try JSONSerialization.jsonObject(with: lab.bytes("out")) as! [String: Any]
        var handlers: [String: [String: Int]] = [:]
        for element in try #require(report["elements"] as? [[String: Any]]) {
            handlers[element["name"] as! String] = element["handlers"] as? [String: Int]
        }
        #expect(handlers["ping"]?["replies"] == 15)
        // An IPv4 and one or two IPv6 addresses of the kernel (it may use one of them for both pings) were asked for and learned.
        let resolver = try #require(handlers["resolve"])
        #expect((2...3).contains(resolver["neighbours"] ?? 0) && (resolver["queries"] ?? 0) >= 2, "\(resolver)")
        #expect((handlers["arp"]?["replies"] ?? 0) >= 1 && (handlers["nd"]?["replies"] ?? 0) >= 2)
        #expect(try lab.text("status") == "0\n")
    }
}
