// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

@testable import Dataplane

/// Packets with ARP, neighbour discovery and echo requests of any content, through the elements that answer them, and through a
/// NeighbourResolver, to which each is both a packet to be sent and an answer.
///
/// An input is packets one after the other. The first byte of each says which protocol and whether it has a tag, whether sums are
/// filled in, and how much is captured; the second how many bytes of content follow, and the third how much later it comes.
enum FuzzNeighbours {
    static func run(_ bytes: UnsafeRawBufferPointer) {
        var input = FuzzInput(bytes)
        let packets = FuzzPackets(most: 8)
        var time: Int64 = 0
        observer.sums.removeAll(keepingCapacity: true)
        while !input.isEmpty, packets.list.count < 8 {
            let shape = input.byte()
            let content = input.take(input.byte() & 127)
            // Some before and some behind a question that is repeated, or an entry that is too old.
            time = min(time + Int64(input.byte()) << 13, FuzzGraph.longest - 1)
            frame.clear()
            append(shape, content)
            packets.add(frame, captured: shape.bit(6) ? frame.count * 3 / 4 : frame.count, time: time)
            var sum = FuzzTranscript()
            sum.add(UnsafeRawBufferPointer(packets.list[packets.list.count - 1].bytes))
            observer.sums.append(sum)
        }
        for graph in responders {
            observer.isResolver = false
            graph.run(packets)
        }
        observer.isResolver = true
        for graph in resolvers { graph.run(packets) }
    }

    /// Ethernet, perhaps with a tag, and what the shape says, with `content` at its end.
    private static func append(_ shape: Int, _ content: UnsafeRawBufferPointer) {
        frame.append16(shape.bit(5) ? 0x0200 : 0x3333)
        frame.append32(0x0000_000a)
        frame.append16(0x0200)
        frame.append32(1)
        if shape.bit(3) {
            frame.append16(0x8100)
            frame.append16(5)
        }
        let header = frame.count + 2
        switch shape & 3 {
        case 0:
            frame.append16(0x0806)
            frame.append32(0x0001_0800)
            frame.append16(0x0604)
            frame.append(content)
        case 1:
            frame.append16(0x0800)
            frame.appendIPv4(1, 2, proto: 1, payload: content.count)
            frame.append(content)
            if shape.bit(4) {
                frame.fillIPv4Checksum(at: header)
                icmp(from: header + 20)?.fillChecksum()
            }
        default:
            frame.append16(0x86dd)
            frame.appendIPv6(1, 2, next: shape & 3 == 2 ? 58 : 0, payload: content.count, hops: 255)
            frame.append(content)
            if shape.bit(4), shape & 3 == 2 {
                let ip = MutableIPv6View(UnsafeMutableRawBufferPointer(rebasing: frame.bytes[header...]))
                if let ip { icmp(from: header + 40)?.fillChecksum(ip.view.addressSum) }
            }
        }
    }

    private static func icmp(from place: Int) -> MutableICMPView? {
        MutableICMPView(UnsafeMutableRawBufferPointer(rebasing: frame.bytes[place...]))
    }

    /// What leaves for the wire is right; what an element passes is what came.
    private final class Observer: FuzzObserver, @unchecked Sendable {
        var isResolver = false
        var sums: [FuzzTranscript] = []

        override func see(_ p: Packet, output: Int) {
            require(p.length <= p.wireLength, "more bytes than there were on the wire")
            if !isResolver, output == 1 {
                var sum = FuzzTranscript()
                sum.add(p.bytes)
                require(sums.contains(sum), "a packet that passes has changed")
                return
            }
            require(EthernetView(p).map { $0.source == FuzzNeighbours.mac } == true, "from another station")
            if isResolver, output == 0 { return }
            if case .message = ARPMessage(p) { return }
            p.forgetHeaders()
            require(Headers.locate(p) == .ip, "neither ARP nor IP")
            if case .message(let found) = NeighbourMessage.find(p) {
                require(found.fault() == nil, "a message that is not valid")
            } else if let ip = IPv4View(p) {
                require(ip.isChecksumRight && ICMPView(p)?.isChecksumRight == true, "wrong sums")
            } else if let ip = IPv6View(p) {
                require(ICMPView(p)?.isChecksumRight(ip.addressSum) == true, "a wrong sum")
            }
        }
    }

    /// The station; frames are sent to it, or to a group.
    private static let mac = EthernetAddress(0x0200_0000_000a)
    private static let addresses4 = [IPPrefix("10.0.0.2")!]
    private static let addresses6 = [IPPrefix("2001:db8::2")!]

    private static func graph(_ node: FuzzNode) -> FuzzGraph {
        FuzzGraph([node], outputs: [0, 1], observer, batch: 64, pool: 16)
    }

    private static func resolver(_ policy: NeighbourResolver.Config.FullPolicy, capacity: Int) -> FuzzGraph {
        var config = NeighbourResolver.Config()
        config.mac = mac
        config.addresses = [IPPrefix("10.0.0.9/24")!, IPPrefix("2001:db8::9/64")!]
        config.capacity = capacity
        config.packets = 4
        config.retry = 1_000_000
        config.onFull = policy
        config.unsolicited = policy == .evict ? .update : .ignore
        let graph = FuzzGraph(
            [FuzzNode(Tee.self, Tee.Config()), FuzzNode(NeighbourResolver.self, config)],
            outputs: [0, 1],
            observer,
            batch: 64,
            pool: 32,
            more: [GraphSpec.Edge(from: 1, output: 1, to: 2, input: 1)]
        )
        return graph
    }

    // One thread fuzzes a target.
    private static let observer = Observer()
    nonisolated(unsafe) private static let frame = FuzzFrame()
    nonisolated(unsafe) private static let responders: [FuzzGraph] = {
        var arp = ARPResponder.Config()
        arp.mac = mac
        arp.addresses = addresses4
        var nd = NDResponder.Config()
        nd.mac = mac
        nd.addresses = addresses6
        var echo = ICMPEchoResponder.Config()
        echo.addresses = addresses4 + addresses6
        return [
            graph(FuzzNode(ARPResponder.self, arp)), graph(FuzzNode(NDResponder.self, nd)),
            graph(FuzzNode(ICMPEchoResponder.self, echo)),
        ]
    }()
    nonisolated(unsafe) private static let resolvers = [resolver(.evict, capacity: 2), resolver(.drop, capacity: 3)]
}

// MARK: Seeds

extension FuzzNeighbours {
    static let seeds: [(name: String, bytes: [UInt8])] = {
        func packet(_ shape: UInt8, _ content: [UInt8], later: UInt8 = 0) -> [UInt8] {
            [shape, UInt8(content.count)] + content + [later]
        }
        func address(_ last: UInt8) -> [UInt8] { [0x20, 1, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [last] }
        func arp(_ operation: UInt8, _ sender: UInt8, _ target: UInt8) -> [UInt8] {
            [0, operation, 2, 0, 0, 0, 0, 1, 10, 0, 0, sender, 0, 0, 0, 0, 0, 0, 10, 0, 0, target]
        }
        let zeros = [UInt8](repeating: 0, count: 6)
        let echo4 = packet(0x31, [8, 0, 0, 0, 0, 1, 0, 1, 65, 66])
        let echo6 = packet(0x32, [128, 0, 0, 0, 0, 1, 0, 1, 65])
        let solicitation = packet(0x12, [135, 0] + zeros + address(2) + [1, 1, 2, 0, 0, 0, 0, 1])
        let advertisement = packet(0x12, [136, 0, 0, 0, 0x60, 0, 0, 0] + address(2) + [2, 1, 2, 0, 0, 0, 0, 1])
        let reply = packet(0x20, arp(2, 2, 9))
        return [
            ("arp", packet(0, arp(1, 1, 2))), ("arp-tagged", packet(8, arp(1, 0, 2))),
            ("arp-conflict", packet(0, arp(1, 2, 2))), ("arp-cut", packet(0x40, arp(1, 1, 2))),
            ("solicitation", solicitation), ("solicitation-tagged", [0x1a] + solicitation.dropFirst()),
            ("extension", packet(0x13, [58, 0, 1, 4, 0, 0, 0, 0, 135, 0] + zeros + address(2))),
            ("option-without-length", packet(0x12, [135, 0] + zeros + address(2) + [1, 0, 2, 0, 0, 0, 0, 1])),
            ("echo", echo4), ("echo-v6", echo6), ("echo-of-zeros", packet(0x31, [8, 0] + zeros)),
            ("resolved", echo4 + echo4 + reply + echo4), ("resolved-v6", echo6 + advertisement + echo6),
            (
                "unanswered",
                packet(0x31, [8, 0] + zeros, later: 200) + packet(0x32, [128, 0] + zeros, later: 250) + echo4
            ),
        ]
    }()
}
