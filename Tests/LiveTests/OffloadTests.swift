// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// What the kernel joins, leaves to a card, or cannot send as it is.
@Suite(.enabled(if: Lab.isPossible), .serialized) struct OffloadTests {
    /// `python3 joined.py INTERFACE` prints at its end which sizes joined packets that came in had, by kind, and the longest packet.
    private static let joined = """
        import collections, json, signal, socket, struct, sys
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        link.setsockopt(263, 15, 1)
        link.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)
        link.bind((sys.argv[1], 3))
        sizes, longest = collections.Counter(), 0
        def end(*_):
            print(json.dumps({"longest": longest, **sizes}))
            sys.exit()
        signal.signal(signal.SIGTERM, end)
        print("ready", file=sys.stderr, flush=True)
        while True:
            bytes, address = link.recvfrom(70000)
            if address[2] == 4: continue
            kind, size = bytes[1] & 127, struct.unpack_from("H", bytes, 4)[0]
            if kind: sizes["%d %d" % (kind, size)] += 1
            longest = max(longest, len(bytes) - 10)
        """

    /// Segments leave as they came: joined, and of their own size.
    @Test(arguments: [("10.77.0.2", "1 688"), ("[fd77::2]", "4 688")])
    func segmentsStayJoined(_ server: String, _ expected: String) throws {
        let lab = try Lab()
        try lab.write(BridgeTests.bridge, to: "bridge.yaml")
        try lab.write(Self.joined, to: "joined.py")
        try lab.run(
            """
            # Twelve bytes of them are a time stamp.
            a ip route replace 10.77.0.0/24 dev a0 proto kernel scope link src 10.77.0.1 advmss 700
            a ip -6 route replace fd77::/64 dev a0 proto kernel metric 256 advmss 700
            begin 4 spillway run bridge.yaml --wire left=if:m0 --wire right=if:m1 --format json
            mkdir served; head -c 20000000 /dev/urandom > served/much
            serve --directory served
            (exec ip netns exec $A python3 joined.py a0 > seen 2> joined.log) & watcher=$!; await grep -q ready joined.log
            a curl -s -m 60 -g -o got "http://\(server):8000/much"; cmp got served/much
            kill $watcher; wait $watcher; kill $server
            end INT
            """
        )
        let seen = try JSONSerialization.jsonObject(with: lab.bytes("seen")) as! [String: Int]
        #expect(seen["longest"]! > 1514)
        #expect(Set(seen.keys) == ["longest", expected], "\(seen)")
        let report = try JSONSerialization.jsonObject(with: lab.bytes("out")) as! [String: Any]
        let wires = report["wires"] as! [[String: Any]]
        #expect(wires[0]["packets_in"] as? Int == wires[1]["packets_out"] as? Int)
        #expect(wires[1]["packets_in"] as? Int == wires[0]["packets_out"] as? Int)
        // Many were joined to one.
        #expect((wires[0]["bytes_out"] as! Int) > 3 * 1514 * (wires[0]["packets_out"] as! Int))
        #expect(try lab.text("status") == "0\n")
    }

    /// So do datagrams.
    @Test(arguments: ["10.77.0.2", "fd77::2"]) func datagramsStayJoined(_ server: String) throws {
        let lab = try Lab()
        try lab.write(BridgeTests.bridge, to: "bridge.yaml")
        try lab.write(Self.joined, to: "joined.py")
        try lab.write(
            """
            import socket, sys
            family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
            link = socket.socket(family, socket.SOCK_DGRAM)
            if sys.argv[1] == "send":
                link.setsockopt(17, 103, 700)
                for n in range(20): link.sendto(bytes([n]) * 30000, (sys.argv[2], 9000))
            else:
                link.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)
                link.bind((sys.argv[2], 9000))
                link.settimeout(5)
                print("ready", file=sys.stderr, flush=True)
                for n in range(20): print(*[len(link.recv(65536)) for k in range(43)])
            """,
            to: "datagrams.py"
        )
        try lab.run(
            """
            begin 4 spillway run bridge.yaml --wire left=if:m0 --wire right=if:m1 --format json
            (exec ip netns exec $B python3 joined.py b0 > seen 2> joined.log) & watcher=$!; await grep -q ready joined.log
            (exec ip netns exec $B python3 datagrams.py receive \(server) > received 2> receive.log) & receiver=$!; await grep -q ready receive.log
            # What has to find its neighbour first may wait in vain.
            a ping -q -c 1 \(server) > ping
            a python3 datagrams.py send \(server)
            wait $receiver; kill $watcher; wait $watcher
            end INT
            """
        )
        let sizes = [String](repeating: "700", count: 42) + ["600"]
        #expect(try lab.text("received") == String(repeating: sizes.joined(separator: " ") + "\n", count: 20))
        let seen = try JSONSerialization.jsonObject(with: lab.bytes("seen")) as! [String: Int]
        #expect(seen["5 700"] == 20, "\(seen)")
        #expect(try lab.text("status") == "0\n")
    }

    /// So do segments behind VLAN tags, which move what the kernel is told to cut.
    @Test func taggedSegmentsStayJoined() throws {
        let lab = try Lab()
        try lab.write(BridgeTests.bridge, to: "bridge.yaml")
        try lab.write(Self.joined, to: "joined.py")
        try lab.write(
            """
            import socket, struct
            link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            link.setsockopt(263, 15, 1)
            link.bind(("a0", 0))
            for tags in "", "81000005", "88a8000481000005":
                ethernet = bytes.fromhex("ffffffffffff" + "020000000001" + tags + "0800")
                # IPv4 and TCP with 5,000 bytes; the sum of the pseudo-header stands for the checksum.
                ip = bytes.fromhex("450013b000074000400612a5" + "0a4d0001" + "0a4d0002")
                tcp = bytes.fromhex("0001000200000003000000045090" + "0064" + "283f" + "0000")
                header = struct.pack("=BBHHHH", 1, 0x81, len(ethernet) + 40, 1000, len(ethernet) + 20, 16)
                link.send(header + ethernet + ip + tcp + bytes(5000))
            """,
            to: "send.py"
        )
        try lab.run(
            """
            begin 4 spillway run bridge.yaml --wire left=if:m0 --wire right=if:m1
            (exec ip netns exec $B python3 joined.py b0 > seen 2> joined.log) & watcher=$!; await grep -q ready joined.log
            a python3 send.py
            sleep 1; kill $watcher; wait $watcher
            end INT
            """
        )
        // The outermost tag is not among the bytes that a socket gets.
        let seen = try JSONSerialization.jsonObject(with: lab.bytes("seen")) as! [String: Int]
        #expect(seen == ["longest": 5058, "1 1000": 3])
        #expect(try lab.text("status") == "0\n")
    }

    /// IPv4 packets that are too long for one side become fragments there, unless they say that they must not.
    @Test(arguments: ["if", "libpcap"]) func longPacketsBecomeFragments(_ access: String) throws {
        let lab = try Lab()
        try lab.write(BridgeTests.bridge, to: "bridge.yaml")
        try lab.run(
            """
            ip -n $A link set a0 mtu 9000; ip -n $M link set m0 mtu 9000
            for n in "$A a0" "$B b0" "$M m0" "$M m1"; do set -- $n
                ip netns exec $1 ethtool -K $2 tx off > ethtool 2>&1 || true
            done
            begin 4 spillway run bridge.yaml --wire left=\(access):m0 --wire right=\(access):m1 --format json
            for size in 1473 3000 8900; do a ping -q -c 2 -i 0.2 -M dont -s $size 10.77.0.2 >> some; done
            a ping -q -c 2 -i 0.2 -W 1 -M do -s 3000 10.77.0.2 > none || true
            a ping -6 -q -c 2 -i 0.2 -W 1 -s 3000 fd77::2 >> none || true
            end INT
            """
        )
        #expect(try lab.count(" 0% packet loss", in: "some") == 3)
        #expect(try lab.count(" 100% packet loss", in: "none") == 2)
        let report = try JSONSerialization.jsonObject(with: lab.bytes("out")) as! [String: Any]
        let right = (report["elements"] as! [[String: Any]]).first { $0["name"] as? String == "right" }
        #expect((right?["drops"] as? [String: Int])?["too_long"] == 4)
    }

    /// Frames of 9,000 bytes, and what is joined from them.
    @Test(arguments: ["on", "off"]) func jumboFramesPass(_ offloads: String) throws {
        let lab = try Lab()
        try lab.write(BridgeTests.bridge, to: "bridge.yaml")
        try lab.run(
            """
            for n in "$A a0" "$B b0" "$M m0" "$M m1"; do set -- $n
                ip -n $1 link set $2 mtu 9000
                ip netns exec $1 ethtool -K $2 tso \(offloads) gso \(offloads) gro \(offloads) tx \(offloads) > ethtool 2>&1 || true
            done
            begin 4 spillway run bridge.yaml --wire left=if:m0 --wire right=if:m1
            a ping -q -c 2 -i 0.2 -M do -s 8972 10.77.0.2 > pings
            a ping -6 -q -c 2 -i 0.2 -M do -s 8952 fd77::2 >> pings
            mkdir served; head -c 20000000 /dev/urandom > served/much
            serve --directory served
            a curl -s -m 60 http://10.77.0.2:8000/much | sha256sum > got; sha256sum < served/much | cmp - got
            kill $server
            end INT
            """
        )
        #expect(try lab.count(" 0% packet loss", in: "pings") == 2)
        #expect(try lab.text("status") == "0\n")
    }
}
