// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import SpillwayTesting
import Testing

/// How decisions are built: what is shared, and that their size stays within bounds.
@Suite struct DecisionProgramTests {
    static func decision(_ filters: [String], linkType: UInt16 = 1) throws -> DecisionProgram {
        DecisionProgram(try filters.map { try FilterCompiler.compile($0, linkType: linkType) })
    }

    static func classify(_ decision: DecisionProgram, _ text: String) throws -> (rule: Int, tests: Int) {
        let frame = try PacketText.frame(text)
        return frame.bytes.withUnsafeBytes { decision.classify($0, wireLength: UInt32(frame.bytes.count)) }
    }

    @Test func sharedTestsAreMadeOnce() throws {
        let decision = try DecisionProgramTests.decision(["tcp dst port 80", "tcp src port 80", "udp"])
        // One look at the headers, then both ports, which usual packets go through in step, as many for each.
        #expect(try DecisionProgramTests.classify(decision, "10.0.0.1:1 > 10.0.0.2:80 A") == (0, 3))
        #expect(try DecisionProgramTests.classify(decision, "10.0.0.1:80 > 10.0.0.2:1 A") == (1, 3))
        #expect(try DecisionProgramTests.classify(decision, "10.0.0.1:1 > 10.0.0.2:2 A") == (3, 3))
        #expect(try DecisionProgramTests.classify(decision, "10.0.0.1:80 > 10.0.0.2:80 udp") == (2, 3))
        #expect(try DecisionProgramTests.classify(decision, "10.0.0.1 > 10.0.0.2 icmp") == (3, 3))
        // Not usual IPv4; then EtherType, protocol, ports.
        #expect(try DecisionProgramTests.classify(decision, "[2001:db8::1]:1 > [2001:db8::2]:2 A") == (3, 5))
        #expect(decision.nodeCount <= 16)
        #expect(decision.description.contains("rule 2"))
    }

    @Test func aRuleThatCannotBeReachedCostsNothing() throws {
        let one = try DecisionProgramTests.decision(["tcp"])
        let same = try DecisionProgramTests.decision(["tcp", "tcp port 80", "tcp[tcpflags] & tcp-syn != 0", "tcp"])
        #expect(same.nodeCount == one.nodeCount)
    }

    @Test func manyPortsAreLookedUp() throws {
        let ports = (0..<256).map { 1000 + 7 * $0 }
        let decision = try DecisionProgramTests.decision(ports.map { "tcp dst port \($0)" })
        for (rule, port) in ports.enumerated() {
            #expect(try DecisionProgramTests.classify(decision, "10.0.0.1:1 > 10.0.0.2:\(port) A") == (rule, 2))
        }
        #expect(try DecisionProgramTests.classify(decision, "10.0.0.1:1 > 10.0.0.2:1001 A") == (256, 2))
        #expect(decision.nodeCount < 1_000)
    }

    @Test func aCutPacketFailsTheRuleAndNotTheNext() throws {
        let decision = try DecisionProgramTests.decision(["tcp[100] = 1", "not tcp[100] = 1", "tcp"])
        let frame = try PacketText.frame("10.0.0.1:1 > 10.0.0.2:2 A")
        #expect(frame.bytes.withUnsafeBytes { decision.classify($0, wireLength: 60).rule } == 2)
    }

    /// Rules that share nothing double what can be known with each rule, so the graph cannot hold every case.
    @Test func sizeIsBounded() throws {
        let filters = (0..<200).map {
            "ether[\(14 + $0):2] & 0x00f0 = \(16 * ($0 % 16)) and ether[\(300 - $0)] > \($0)"
        }
        let oracle = Oracle()
        let decision = try DecisionProgramTests.decision(filters)
        #expect(decision.nodeCount < 12_000)
        let theirs = filters.map { oracle.filter($0) }
        var random = TestRandom(5)
        for _ in 0..<200 {
            let packet = (0..<Int.random(in: 0...400, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            packet.withUnsafeBytes { bytes in
                let expected = theirs.firstIndex { $0.matches(bytes, wireLength: 400) } ?? filters.count
                #expect(decision.classify(bytes, wireLength: 400).rule == expected)
            }
        }
    }

    @Test func noRulesTakeNothing() {
        let decision = DecisionProgram([])
        #expect(decision.classify(UnsafeRawBufferPointer(start: nil, count: 0), wireLength: 0) == (0, 1))
        #expect(
            DecisionProgram([nil, nil]).classify(UnsafeRawBufferPointer(start: nil, count: 0), wireLength: 0).rule == 2
        )
    }
}
