// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

struct VLANStripTests {
    @Test(arguments: [
        ("{levels: 1}", "100,5", "5"), ("{levels: 2}", "100,5", "none"), ("{levels: 4}", "1,2,3,4,5", "5"),
        ("", "none", "none"),
    ])
    func tagsAreRemoved(_ config: String, _ before: String, _ after: String) throws {
        let text = "10.0.0.1:1000 > 10.0.0.2:80 PA data=\"abc\""
        let run = try ElementHarness("VLANStrip", config).run(["in": [text + " vlan=\(before)"]])
        let item = try #require(run.outputs["out"]?.first)
        // The frame is the one that would have been built without those tags.
        let expected = try PacketText.frame(text + " vlan=\(after)").bytes
        // One tag left of two was the inner one, so its type is that of an only tag.
        #expect(item.bytes == expected)
        #expect(Int(item.wireLength) == item.bytes.count)
    }

    @Test func longFramesToo() throws {
        let text = "10.0.0.1:1000 > 10.0.0.2:80 A len=60000"
        let run = try ElementHarness("VLANStrip").run(["in": [text + " vlan=7"]])
        #expect(try run.outputs["out"]!.first!.bytes == PacketText.frame(text).bytes)
    }

    /// What was found of the headers before stays true: records made behind it are those made before it.
    @Test func headersAreFoundWhereTheyMoved() throws {
        let texts = [
            "10.0.0.1:1000 > 10.0.0.2:80 PA len=9 vlan=5,6", "[2001:db8::1]:7 > [2001:db8::2]:8 udp len=4 vlan=5",
        ]
        for text in texts {
            let stripped = try ElementHarness("VLANStrip").run(["in": [text]]).outputs["out"]!
            #expect(try stripped[0].matches(text.replacing(/vlan=\S+/, with: "vlan=none")))
        }
    }
}
