// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// Several threads share the packets of an interface.
@Suite(.enabled(if: Lab.isPossible), .serialized) struct SharedTests {
    /// By pair of hosts in http-log, which joins fragments, and by flow in flow-monitor without its tunnels: each thread has its share, and
    /// each connection both its directions.
    @Test func eachThreadHasWholeConnections() throws {
        let lab = try Lab()
        let clients = 8
        let requests = 5
        try lab.run(
            """
            m ip link add bridge type bridge; m ip link set m0 master bridge; m ip link set m1 master bridge; m ip link set bridge up
            for n in $(seq \(clients)); do ip -n $A addr add 10.77.0.$((10 + n))/24 dev a0; done
            await a ping -q -c 1 -W 1 10.77.0.2
            serve
            begin 2 spillway run $GRAPHS/http-log.yaml --threads 2 --wire wire=if:m0 --set records=records.json --format json
            for n in $(seq \(clients)); do
                for _ in $(seq \(requests)); do a curl -s -m 20 --interface 10.77.0.$((10 + n)) -o /dev/null http://10.77.0.2:8000/; done
            done
            sleep 2.5; wc -l < records.json > while
            end INT
            kill $server
            """
        )
        #expect(try lab.text("while") == "\(clients * requests)\n")
        let records = try lab.text("records.json").split(separator: "\n").map {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as! [String: Any]
        }
        #expect(records.count == clients * requests)
        #expect(records.allSatisfy { $0["status"] as? Int == 200 && $0["method"] as? String == "GET" })
        let report = try JSONSerialization.jsonObject(with: lab.bytes("out")) as! [String: Any]
        #expect(report["balances"] as? Bool == true)
        let rings = report["rings"] as! [[String: Any]]
        #expect(rings.map { $0["from"] as? String } == ["share 1", "share 2"])
        // One of 2^7 choices of shares would leave a thread without any.
        #expect(rings.reduce(0) { $0 + ($1["items"] as! Int) } == clients * requests)
        #expect(rings.contains { ($0["items"] as! Int) < clients * requests })
        #expect(try lab.text("status") == "0\n")
    }

    /// Each thread sends what it has received.
    @Test func threadsForwardBetweenInterfaces() throws {
        let lab = try Lab()
        try lab.write(
            """
            graph: cable
            elements: {left: {type: Wire}, right: {type: Wire}, there: {type: Counter}, back: {type: Counter}}
            chains: ["left.rx -> there -> right.tx", "right.rx -> back -> left.tx"]
            """,
            to: "cable.yaml"
        )
        try lab.run(
            """
            begin 4 spillway run cable.yaml --threads 2 --wire left=if:m0,promisc --wire right=if:m1,promisc --format json
            await a ping -q -c 1 -W 1 10.77.0.2
            b head -c 5000000 /dev/urandom > sent
            serve
            a curl -s -m 60 -o got http://10.77.0.2:8000/sent
            a curl -s -m 60 -o got6 http://[fd77::2]:8000/sent
            end TERM
            kill $server
            cmp sent got; cmp sent got6
            """
        )
        let report = try JSONSerialization.jsonObject(with: lab.bytes("out")) as! [String: Any]
        #expect(report["balances"] as? Bool == true)
        #expect(try lab.text("status") == "0\n")
    }

    /// Packet sockets that share an interface cannot be bound to another one: the run ends, and says why.
    @Test func oneThatGoesAwayEndsTheRun() throws {
        let lab = try Lab()
        try lab.run(
            """
            begin 2 spillway run $GRAPHS/flow-monitor.yaml --threads 2 --wire if:m1 --set records=flows.json
            m ip link del m1
            wait $runner && echo 0 > status || echo $? > status
            """
        )
        #expect(try lab.text("status") == "1\n")
        #expect(try lab.text("err").contains("interface 'm1': went away"))
        #expect(try lab.text("out").contains("kernel drops"))
    }

    /// With a file beside the interface, the first thread writes the packets of all.
    @Test func oneThreadWritesTheFile() throws {
        let lab = try Lab()
        let graph =
            "graph: echo\nelements: {wire: {type: Wire}, count: {type: Counter}}\nchains: [wire.rx -> count -> wire.tx]\n"
        try lab.write(graph, to: "echo.yaml")
        try lab.run(
            """
            a ip neigh replace 10.77.0.2 lladdr 02:00:00:00:00:99 dev a0
            begin 2 spillway run echo.yaml --threads 2 --wire wire=if:m0,write=sent.pcap --format json
            a bash -c 'for port in $(seq 6001 6040); do echo > /dev/udp/10.77.0.2/$port; done'
            sleep 1; end INT
            tcpdump -nr sent.pcap udp 2> /dev/null | grep -oE '10.77.0.2.60[0-9][0-9]' | sort -u | wc -l > flows
            """
        )
        #expect(try lab.text("flows") == "40\n")
        let report = try JSONSerialization.jsonObject(with: lab.bytes("out")) as! [String: Any]
        let wire = (report["wires"] as! [[String: Any]])[0]
        #expect(wire["packets_out"] as? Int == wire["packets_in"] as? Int)
        // One of 2^39 choices of shares would leave a thread without any.
        #expect((report["rings"] as! [[String: Any]]).allSatisfy { ($0["items"] as! Int) > 0 })
        #expect(report["balances"] as? Bool == true)
    }
}
