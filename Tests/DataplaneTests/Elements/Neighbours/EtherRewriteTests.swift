// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

@Suite struct EtherRewriteTests {
    @Test(arguments: [
        ("{source: 02:00:00:00:00:0a, destination: 01:00:5e:00:00:01}", "02:00:00:00:00:0a", "01:00:5e:00:00:01"),
        ("{source: 02:00:00:00:00:0a}", "02:00:00:00:00:0a", "02:00:00:00:00:02"),
        ("{destination: FF:FF:FF:FF:FF:FF}", "02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff"),
        ("{source: none, destination: none}", "02:00:00:00:00:01", "02:00:00:00:00:02"),
    ])
    func onlyTheAddressesChange(_ config: String, _ source: String, _ destination: String) throws {
        let texts = ["10.0.0.1:1 > 10.0.0.2:2 S vlan=100,5", "10.0.0.1 > 10.0.0.2 arp", "ether=0x88cc len=5000"]
        let run = try ElementHarness("EtherRewrite", config).run(["in": texts])
        for (item, text) in zip(run.outputs["out"]!, texts) {
            let old = try PacketText.frame(text).bytes
            let new = try PacketText.frame("ether=0x88cc smac=\(source) dmac=\(destination)").bytes
            #expect(item.bytes == Array(new[..<12]) + Array(old[12...]))
        }
        #expect(run.outputs["out"]!.count == texts.count)
    }

    @Test func whatHasNoSuchHeaderIsDropped() throws {
        let frames: [([UInt8], UInt16)] = [([], 1), ([1, 2, 3], 1), ([UInt8](repeating: 0x45, count: 60), 101)]
        let packets = frames.map { bytes, linkType in
            ElementHarness.Packet(bytes: bytes, wireLength: bytes.count, time: 0, linkType: linkType)
        }
        let run = try ElementHarness("EtherRewrite", "{source: 02:00:00:00:00:0a}").run(["in": packets])
        #expect(run.drops == ["truncated": 2, "not_ethernet": 1])
    }

    @Test func aGroupSendsNothing() {
        #expect(throws: ParameterError.self) { try ElementHarness("EtherRewrite", "{source: ff:ff:ff:ff:ff:ff}") }
    }
}
