// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Foundation
import SpillwayTesting
import TestSupport

/// Messages about addresses as text, and what another program makes of the answers.
enum Neighbours {
    /// The text of a neighbour solicitation (135) or advertisement (136); `words` come last, and so win.
    static func message(
        _ type: Int,
        from source: String,
        to destination: String,
        about target: String,
        options: [UInt8] = [],
        flags: UInt32 = 0,
        _ words: String = ""
    ) -> String {
        let data = bytes(of: target) + options
        let text = data.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return "\(source) > \(destination) icmp type=\(type) rest=\(flags << 24) "
            + (words.contains("ttl=") ? "" : "ttl=255 ") + "data=\"\(text)\" \(words)"
    }

    /// An IPv6 address in network order.
    static func bytes(of address: String) -> [UInt8] {
        let ip = IPAddress(address)!
        return [ip.high, ip.low].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
        }
    }

    /// An option with an Ethernet address ending in `last`.
    static func option(_ kind: UInt8, _ last: UInt8) -> [UInt8] { [kind, 1, 2, 0, 0, 0, 0, last] }

    /// The fields that tshark finds in packets, a line for each with a bar behind every field; it checks all sums.
    static func dissect(_ packets: [Collector.Seen], _ fields: [String]) throws -> [String] {
        func number(_ n: UInt32) -> [UInt8] { withUnsafeBytes(of: n.littleEndian) { Array($0) } }
        var file = number(0xa1b2_c3d4) + [2, 0, 4, 0] + number(0) + number(0) + number(262_144)
        file += number(UInt32(packets.first?.linkType ?? 1))
        for packet in packets {
            file += number(UInt32(packet.time / 1_000_000_000)) + number(0)
            file += number(UInt32(packet.bytes.count)) + number(packet.wireLength) + packet.bytes
        }
        let scratch = Scratch()
        defer { scratch.remove() }
        let path = try scratch.file("answers.pcap", file)
        let text = try Program.text(
            "tshark",
            ["-r", path, "-n", "-o", "ip.check_checksum:TRUE", "-T", "fields", "-E", "separator=|"]
                + (fields + ["_ws.malformed"]).flatMap { ["-e", $0] }
        )
        // Some versions write flags as words. Behind the last bar it says what is malformed.
        return text.replacing("True", with: "1").replacing("False", with: "0").split(separator: "\n").map(String.init)
    }
}
