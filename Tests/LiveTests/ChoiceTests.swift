// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// What is read of an interface, and where packets go that are sent.
@Suite(.enabled(if: Lab.isPossible), .serialized) struct ChoiceTests {
    private static let keep = """
        graph: keep
        elements:
          wire: {type: Wire}
          sink: {type: PacketSink, file: kept.pcap}
        chains: [wire.rx -> sink]
        """

    /// A bridge takes in what is for others only when somebody asks for it.
    @Test(arguments: ["if", "libpcap"]) func whatIsForOthersIsReadWhenAskedFor(_ access: String) throws {
        let lab = try Lab()
        try lab.write(Self.keep, to: "keep.yaml")
        try lab.run(
            """
            m ip link add bridge type bridge; m ip link set m0 master bridge; m ip link set m1 master bridge; m ip link set bridge up
            await a ping -q -c 1 -W 1 10.77.0.2
            for promisc in "" ,promisc; do
                begin 1 spillway run keep.yaml --wire wire=\(access):bridge$promisc
                a python3 frames.py a0 3 others 02:00:00:00:00:99; a python3 frames.py a0 2 all
                sleep 0.5
                end INT
                mv kept.pcap seen$promisc
            done
            """
        )
        #expect(try lab.count("others", in: "seen") == 0)
        #expect(try lab.count("all", in: "seen") == 2)
        #expect(try lab.count("others", in: "seen,promisc") == 3)
        #expect(try lab.count("all", in: "seen,promisc") == 2)
    }

    @Test(arguments: ["if", "libpcap"], [("in", 3, 0), ("out", 0, 5), ("both", 3, 5)])
    func directionsAreLeftOut(_ access: String, _ direction: (name: String, incoming: Int, outgoing: Int)) throws {
        let lab = try Lab()
        try lab.write(Self.keep, to: "keep.yaml")
        try lab.run(
            """
            begin 1 spillway run keep.yaml --wire wire=\(access):m0,direction=\(direction.name)
            a python3 frames.py a0 3 incoming; m python3 frames.py m0 5 outgoing
            sleep 0.5
            end INT
            """
        )
        #expect(try lab.count("incoming", in: "kept.pcap") == direction.incoming)
        #expect(try lab.count("outgoing", in: "kept.pcap") == direction.outgoing)
    }

    /// With a file beside the interface, nothing is sent on that.
    @Test(arguments: ["if", "libpcap"]) func whatIsWrittenIsNotSent(_ access: String) throws {
        let lab = try Lab()
        try lab.write("graph: echo\nelements: {wire: {type: Wire}}\nchains: [wire.rx -> wire.tx]\n", to: "echo.yaml")
        try lab.run(
            """
            begin 1 spillway run echo.yaml --wire wire=\(access):m0,write=sent.pcap
            a python3 frames.py a0 4 echoed
            sleep 1.5; cp sent.pcap while.pcap
            end INT
            m ip -s -j link show m0 > statistics
            """
        )
        #expect(try lab.count("echoed", in: "while.pcap") == 4)
        #expect(try lab.count("echoed", in: "sent.pcap") == 4)
        let statistics = try JSONSerialization.jsonObject(with: lab.bytes("statistics")) as! [[String: Any]]
        let sent = (statistics[0]["stats64"] as! [String: [String: Int]])["tx"]!["packets"]
        #expect(sent == 0)
    }
}
