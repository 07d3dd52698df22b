// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// Graphs between interfaces, with the kernel's own TCP on both sides.
@Suite(.enabled(if: Lab.isPossible), .serialized) struct BridgeTests {
    /// Two wires, each of which sends what the other receives.
    static let bridge = """
        graph: bridge
        elements:
          left:  {type: Wire}
          right: {type: Wire}
          count: {type: Counter}
        chains:
          - left.rx -> count -> right.tx
          - right.rx -> left.tx
        """

    /// What a transparent bridge must not change: ping, downloads of many sizes, both versions of IP, whatever the cards' offloads;
    /// libpcap does not tell which checksums are left to them.
    @Test(arguments: [("if", "on"), ("if", "off"), ("libpcap", "off")])
    func carriesWhatTheKernelSends(_ access: String, _ offloads: String) throws {
        let lab = try Lab()
        try lab.write(Self.bridge, to: "bridge.yaml")
        try lab.run(
            """
            for n in "$A a0" "$B b0" "$M m0" "$M m1"; do set -- $n
                ip netns exec $1 ethtool -K $2 tso \(offloads) gso \(offloads) gro \(offloads) tx \(offloads) > ethtool 2>&1 || true
            done
            begin 4 spillway run bridge.yaml --wire left=\(access):m0 --wire right=\(access):m1 --format json
            a ping -q -c 3 -i 0.2 10.77.0.2 > ping4
            a ping -q -c 3 -i 0.2 -s 1452 fd77::2 > ping6
            mkdir served; for n in 0 1 1460 100000 104857600; do head -c $n /dev/urandom > served/$n; done
            serve --directory served
            for n in 0 1 1460 100000 104857600; do
                a curl -s -m 60 -o got4 http://10.77.0.2:8000/$n; cmp got4 served/$n
                a curl -s -m 60 -g -o got6 "http://[fd77::2]:8000/$n"; cmp got6 served/$n
            done
            kill $server
            end INT
            """
        )
        #expect(try lab.text("ping4").contains(" 0% packet loss") && lab.text("ping6").contains(" 0% packet loss"))
        let report = try JSONSerialization.jsonObject(with: Data(lab.text("out").utf8)) as! [String: Any]
        let wires = report["wires"] as! [[String: Any]]
        // What came in on one side left on the other, to the packet.
        #expect(wires[0]["packets_in"] as? Int == wires[1]["packets_out"] as? Int)
        #expect(wires[1]["packets_in"] as? Int == wires[0]["packets_out"] as? Int)
        #expect((wires[1]["packets_in"] as? Int ?? 0) > 100)
        #expect(try lab.text("status") == "0\n")
    }

    /// VLAN tags, which arrive beside the packet, are put back.
    @Test(.enabled(if: Program.isThere("tcpdump")), arguments: ["if", "libpcap"])
    func tagsStay(_ access: String) throws {
        let lab = try Lab()
        try lab.write(Self.bridge, to: "bridge.yaml")
        try lab.write(
            """
            import socket
            link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            link.bind(("a0", 0))
            for tag in "8100004d", "88a8004d8100004e", "81006fff":
                link.send(bytes.fromhex("ffffffffffff" + "020000000001" + tag + "88b5") + bytes(1400))
            """,
            to: "send.py"
        )
        try lab.run(
            """
            begin 4 spillway run bridge.yaml --wire left=\(access):m0 --wire right=\(access):m1
            (exec ip netns exec $B tcpdump -i b0 -Q in -w seen.pcap 2> tcpdump.log) & watcher=$!
            await grep -q listening tcpdump.log
            a python3 send.py
            sleep 1.5; kill $watcher; wait $watcher
            end TERM
            """
        )
        let seen = try lab.bytes("seen.pcap")
        for tag in ["8100004d88b5", "88a8004d8100004e88b5", "81006fff88b5"] {
            let header = stride(from: 0, to: tag.count, by: 2).map { k in
                UInt8(tag.dropFirst(k).prefix(2), radix: 16)!
            }
            #expect(seen.firstRange(of: Data(header)) != nil, "\(tag)")
        }
        #expect(try lab.text("status") == "0\n")
    }

    /// The interface is taken down and up again, then away and made anew, then to another namespace and back, where it keeps its number;
    /// what could not be sent meanwhile is counted, and the run goes on.
    @Test(arguments: ["if", "libpcap"]) func interfacesComeBack(_ access: String) throws {
        let lab = try Lab()
        try lab.write(Self.bridge, to: "bridge.yaml")
        try lab.run(
            """
            begin 4 spillway run bridge.yaml --wire left=\(access):m0 --wire right=\(access):m1
            a ping -q -c 1 10.77.0.2 > before
            m ip link set m1 down
            a ping -q -c 2 -i 0.2 -W 1 10.77.0.2 > during || true
            m ip link set m1 up
            await a ping -q -c 1 -W 1 10.77.0.2
            m ip link del m1
            a ping -q -c 2 -i 0.2 -W 1 10.77.0.2 > gone || true
            replug
            await a ping -q -c 1 -W 1 10.77.0.2
            ip -n $M link set m1 netns $A
            a ping -q -c 2 -i 0.2 -W 1 10.77.0.2 > lent || true
            ip -n $A link set m1 netns $M; m ip link set m1 up
            await a ping -q -c 1 -W 1 10.77.0.2
            end INT
            """
        )
        #expect(try lab.text("during").contains("100% packet loss"))
        #expect(try lab.text("gone").contains("100% packet loss"))
        #expect(try lab.text("lent").contains("100% packet loss"))
        #expect(try lab.text("out").contains("down "))
        #expect(try lab.text("out").contains(/\nEnded by a signal after \d+\.\d s\.\n/))
        #expect(try lab.text("err").contains("wire 'right': the interface went down, or away, 3 times\n"))
        #expect(try lab.text("status") == "0\n")
    }
}
