// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

@testable import Dataplane

/// One packet whose content is anything at all, of a protocol or port by which tunnels are known, through Decapsulate.
///
/// The first byte of an input names what announces a tunnel, the second the link type, whether two packets are sent and what
/// becomes of bad ones, the third how much was captured.
enum FuzzTunnels {
    static func run(_ bytes: UnsafeRawBufferPointer) {
        var input = FuzzInput(bytes)
        let kind = input.byte()
        let shape = input.byte()
        let cut = input.byte()
        let rest = input.take(2000)
        var linkType = LinkType.ethernet
        frame.clear()
        let protocols = [4, 41, 47, 137]
        let ports = [4789, 8472, 6081, 2152, 1701, 6635]
        switch kind & 15 {
        case 0..<4 where shape.bit(0):
            if shape.bit(1) { frame.appendEthernet(isIPv6: true) } else { linkType = LinkType.raw }
            frame.appendIPv6(1, 2, next: protocols[kind & 15], payload: rest.count)
        case 0..<4:
            if shape.bit(1) { frame.appendEthernet(isIPv6: false) } else { linkType = LinkType.ipv4 }
            frame.appendIPv4(1, 2, proto: protocols[kind & 15], payload: rest.count)
        case 4..<10:
            if shape.bit(1) { frame.appendEthernet(isIPv6: false) } else { linkType = LinkType.raw }
            frame.appendIPv4(1, 2, proto: 17, payload: 8 + rest.count)
            frame.append16(5000)
            frame.append16(ports[kind & 15 - 4])
            frame.append16(8 + rest.count)
            frame.append16(0)
        case 10:
            frame.append(12, of: 2)
            frame.append16(shape.bit(1) ? 0x8847 : 0x8848)
        case 11:
            linkType = LinkType.ppp
            frame.append16(shape.bit(1) ? 0x0281 : 0x0283)
        case 12: linkType = shape.bit(1) ? LinkType.linuxSLL : LinkType.linuxSLL2
        default: break
        }
        frame.append(rest)
        let packets = FuzzPackets(most: 2)
        for _ in 0...(shape >> 2 & 1) {
            packets.add(frame, captured: frame.count - min(frame.count, cut), linkType: linkType)
        }
        observer.longest = frame.count
        observer.seen = 0
        (shape.bit(3) ? dropping : passing).run(packets)
        require(shape.bit(3) || observer.seen == packets.list.count, "a packet is missing")
    }

    private final class Observer: FuzzObserver, @unchecked Sendable {
        var longest = 0
        var seen = 0

        override func see(_ p: Packet, output: Int) {
            seen += 1
            require(Int(p.length) <= longest && Int(p.wireLength) <= longest, "a packet has grown")
            var transcript = FuzzTranscript()
            transcript.add(p.bytes)
            var fresh = p.item.pointee
            fresh.forgetHeaders()
            let status = fresh.withPacket(Headers.locateSlowly)
            if p.ipVersion == 4 || p.ipVersion == 6 {
                require(status == .ip && fresh.l3 == p.l3 && fresh.l4 == p.l4, "headers are not where they were found")
            }
        }
    }

    private static func decapsulate(_ policy: Decapsulate.Config.Policy) -> FuzzGraph {
        var config = Decapsulate.Config()
        config.decapsulate = [.all]
        config.onBad = policy
        return FuzzGraph([FuzzNode(Decapsulate.self, config)], outputs: [0], observer, batch: 64, pool: 16)
    }

    // One thread fuzzes a target.
    private static let observer = Observer()
    nonisolated(unsafe) private static let passing = decapsulate(.pass)
    nonisolated(unsafe) private static let dropping = decapsulate(.drop)
    nonisolated(unsafe) private static let frame = FuzzFrame()
}

// MARK: Seeds

extension FuzzTunnels {
    static let seeds: [(name: String, bytes: [UInt8])] = {
        let frame = FuzzFrame()
        frame.appendIPv4(1, 2, proto: 17, payload: 8)
        frame.fillIPv4Checksum(at: 0)
        let ip = [UInt8](frame.bytes) + [4, 0, 0, 53, 0, 8, 0, 0]
        let ethernet = [UInt8](repeating: 2, count: 12) + [8, 0] + ip
        frame.clear()
        frame.appendIPv6(1, 2, next: 58, payload: 8)
        let ip6 = [UInt8](frame.bytes) + [128, 0, 0, 0, 0, 1, 0, 1]
        let label: [UInt8] = [0, 6, 0x41, 0x40]
        let length = UInt8(ip.count)
        return [
            ("ipip", [0, 2, 0] + ip), ("6in4", [1, 2, 0] + ip6), ("4in6", [0, 3, 0] + ip), ("6in6", [1, 1, 0] + ip6),
            ("gre", [2, 2, 0] + [0xb0, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] + ip),
            ("nvgre", [2, 2, 0] + [0x20, 0, 0x65, 0x58, 0, 1, 2, 0] + ethernet),
            ("erspan2", [2, 2, 0] + [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0] + ethernet),
            (
                "erspan3",
                [2, 2, 0] + [
                    0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8,
                ]
                    + ethernet
            ),
            (
                "pptp",
                [2, 6, 0] + [0x30, 0x81, 0x88, 0x0b, 0, 30, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21] + ip
            ),
            ("wccp", [2, 0, 0] + [0, 0, 0x88, 0x3e, 0, 0, 0, 0] + ip),
            ("gre-mpls", [2, 2, 0] + [0, 0, 0x88, 0x47] + label + ip),
            ("mpls-in-ip", [3, 2, 0] + label + ip),
            ("vxlan", [4, 2, 0] + [8, 0, 0, 0, 0, 0, 5, 0] + ethernet),
            ("vxlan-cut", [5, 14, 20] + [8, 0, 0, 0, 0, 0, 5, 0] + ethernet),
            ("geneve", [6, 2, 0] + [2, 0x40, 0x65, 0x58, 0, 0, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8] + ethernet),
            ("geneve-ip", [6, 0, 0] + [0, 0, 8, 0, 0, 0, 5, 0] + ip),
            ("gtp", [7, 2, 0] + [0x34, 255, 0, length + 8, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0x10, 5, 0] + ip),
            (
                "l2tp",
                [8, 2, 0] + [0x4a, 2, 0, length + 20, 0, 1, 0, 2, 0, 0, 0, 0, 0, 2, 9, 9, 0xff, 3, 0, 0x21] + ip
            ),
            ("mpls-in-udp", [9, 2, 0] + label + ip), ("mpls", [10, 2, 0] + [0, 6, 0x40, 0x40] + label + ip6),
            ("mpls-null", [10, 0, 0] + [0, 0, 1, 0x40] + ip),
            ("pseudowire", [10, 2, 0] + label + [0, 0, 0, 1] + ethernet),
            ("pseudowire-plain", [10, 10, 0] + label + ethernet), ("mpls-ppp", [11, 2, 0] + label + ip),
            (
                "sll-llc",
                [12, 2, 0] + [0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 0, 4, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0] + ip
            ),
            (
                "twice",
                [4, 6, 0] + [8, 0, 0, 0, 0, 0, 5, 0] + [UInt8](repeating: 2, count: 12) + [0x88, 0x47] + label + ip
            ),
        ]
    }()
}
