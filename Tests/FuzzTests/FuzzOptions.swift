// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

@testable import Dataplane

/// One packet whose headers, options and extension headers are anything at all: what `Headers` finds, what the views say and what
/// the elements at the beginning of graphs make of it.
///
/// The first byte of an input is the link type, the second says how the rest becomes a packet, the third how much of it was
/// captured.
enum FuzzOptions {
    private static let linkTypes: [UInt16] = [
        LinkType.ethernet, LinkType.raw, LinkType.linuxSLL, LinkType.linuxSLL2, LinkType.null, LinkType.loop,
        LinkType.ppp, LinkType.pppHDLC, LinkType.ipv4, LinkType.ipv6, LinkType.rawDLT, LinkType.usbpcap,
    ]

    static func run(_ bytes: UnsafeRawBufferPointer) {
        var input = FuzzInput(bytes)
        let link = input.byte()
        let shape = input.byte()
        let cut = input.byte()
        let rest = input.take(2000)
        var linkType = LinkType.ethernet
        frame.clear()
        switch shape & 7 {
        case 0:
            // TCP options, and what is left as payload.
            let options = min(40, shape >> 3 * 4, rest.count & ~3)
            frame.appendEthernet(isIPv6: false)
            frame.appendIPv4(1, 2, proto: 6, payload: 20 + rest.count)
            frame.fillIPv4Checksum(at: 14)
            frame.appendTCP(1000, 80, sequence: 1, flags: UInt8(link), words: 5 + options / 4)
        case 1:
            let options = min(40, shape >> 3 * 4, rest.count & ~3)
            frame.appendEthernet(isIPv6: false)
            frame.appendIPv4(1, 2, proto: link, payload: rest.count - options, options: options)
        case 2:
            frame.appendEthernet(isIPv6: true)
            frame.appendIPv6(1, 2, next: link, payload: rest.count)
        case 3:
            frame.append(12, of: 2)
        default:
            linkType = linkTypes[link % linkTypes.count]
        }
        frame.append(rest)
        let packets = FuzzPackets(most: 2)
        packets.add(frame, captured: frame.count - min(frame.count, cut >> 2), linkType: linkType)
        let packet = packets.list[0]
        var item = Item(
            data: packet.bytes.baseAddress!,
            length: UInt32(packet.bytes.count),
            wireLength: UInt32(packet.wireLength),
            time: 0,
            sequence: 0,
            linkType: linkType,
            interface: 0
        )
        item.withPacket(look(at:))
        readBare(UnsafeRawBufferPointer(packet.bytes))
        if cut.bit(0) {
            // A second time, as one whose flow is there.
            packets.add(frame, captured: packet.bytes.count, linkType: linkType)
            graph.run(packets)
        }
        if cut.bit(1) { _ = item.withPacket { PacketText.describe($0) } }
    }

    // MARK: Packets

    private static func look(at p: Packet) {
        var other = p.item.pointee
        let isUsual = other.withPacket(Headers.locateUsual)
        let status = Headers.locateSlowly(p)
        let places = { (p: Item) in
            (p.l3, p.l4, p.payload, UInt16(p.ipProtocol), p.ipLength, p.flags.rawValue) as (_, _, _, _, _, _)
        }
        if isUsual {
            require(status == .ip && places(other) == places(p.item.pointee), "the two ways to headers differ")
        }
        guard status == .ip else {
            require(IPv4View(p) == nil && IPv6View(p) == nil && TCPView(p) == nil && PortsView(p) == nil)
            return
        }
        let (l3, l4, length) = (Int(p.l3), Int(p.l4), Int(p.length))
        let end = min(length, l3 + Int(p.ipLength))
        require(l3 + Int(p.ipLength) <= max(length, Int(p.wireLength)), "beyond the packet")
        if p.hasTransport {
            require(l3 < l4 && l4 + 8 <= end && l4 <= Int(p.payload), "no room for the header")
            require(Int(p.payload) <= end, "the payload begins beyond the packet")
        }
        switch p.ipVersion {
        case 4: lookAtIPv4(p)
        case 6: lookAtIPv6(p)
        default: fatalError("an IP header of no version")
        }
        lookAtTransport(p)
        if FlowKey.isComplete(p) {
            let (key, _) = FlowKey.of(p)
            require(key == FlowKey.of(p).key && key.hash(HashKey(seed: 1)) == key.hash(HashKey(seed: 1)))
        }
        if let fragment = IPFragment(p) {
            require(fragment.data >= fragment.headersEnd && fragment.headersEnd >= l3, "no place for a fragment")
        } else {
            require(!p.isFragment, "a fragment that is none")
        }
    }

    private static func lookAtIPv4(_ p: Packet) {
        guard let ip = IPv4View(p) else { fatalError("an IPv4 header that is none") }
        require(ip.options.count == ip.headerLength - IPv4View.size)
        require(Int(p.l4) == Int(p.l3) + ip.headerLength)
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: ip.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyMemory(from: UnsafeRawBufferPointer(start: ip.base, count: ip.count))
        guard let header = MutableIPv4View(copy) else { fatalError("its copy is none") }
        header.fillChecksum()
        require(header.view.isChecksumRight, "a checksum that was filled in is wrong")
        let old = header.timeToLive
        header.timeToLive = old &- 1
        header.updateChecksum(UInt16(old) << 8 | UInt16(ip.proto), UInt16(old &- 1) << 8 | UInt16(ip.proto))
        require(header.view.isChecksumRight, "a checksum that was kept up is wrong")
    }

    private static func lookAtIPv6(_ p: Packet) {
        guard let ip = IPv6View(p) else { fatalError("an IPv6 header that is none") }
        var extensions = ip.extensions
        var size = 0
        while let header = extensions.next() {
            require(header.bytes.count >= 8 && header.bytes.count % 4 == 0)
            size += header.bytes.count
            var transcript = FuzzTranscript()
            transcript.add(header.bytes)
        }
        require(extensions.count + size == ip.payload.count, "bytes between extension headers are lost")
        if let content = ip.content {
            let place = content.bytes.baseAddress! - ip.base
            require(content.proto == p.ipProtocol, "a view and Headers find different protocols")
            require(place == Int(p.l4 &- p.l3), "a view and Headers find different places")
        }
    }

    private static func lookAtTransport(_ p: Packet) {
        var sum: UInt64 = 0
        if let tcp = TCPView(p) {
            sum &+= UInt64(tcp.payload.count) &+ UInt64(tcp.checksum) &+ UInt64(tcp.reserved)
            require(tcp.headerLength + tcp.payload.count == tcp.count)
            require(Int(p.l4) + tcp.headerLength == Int(p.payload))
            lookAtOptions(tcp)
            sum &+= tcp.isChecksumRight(7) ? 1 : 0
        }
        if let tcp = TCPView(fixedPart: p) { lookAtOptions(tcp) }
        if let udp = UDPView(p) {
            sum &+= UInt64(udp.payload.count) &+ (udp.isChecksumRight(7) ? 1 : 0)
            var transcript = FuzzTranscript()
            transcript.add(udp.payload)
        }
        if let icmp = ICMPView(p) { sum &+= UInt64(icmp.rest) &+ (icmp.isChecksumRight ? 1 : 0) }
        if let ports = PortsView(p) { sum &+= UInt64(ports.source) &+ UInt64(ports.destination) }
        require(sum != .max)
    }

    /// The options of a TCP header, the values they hold, and the same options written anew.
    private static func lookAtOptions(_ tcp: TCPView) {
        let bytes = tcp.optionBytes
        var options = TCPOptions(bytes)
        var place = 0
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: 40, alignment: 1)
        defer { copy.deallocate() }
        var writer = TCPOptionWriter(copy)
        var written: [TCPOption] = []
        while let option = options.next() {
            require(option.offset >= place && option.kind > 1, "an option stands before the one before it")
            place = option.offset + 2 + option.bytes.count
            require(place == options.offset && place <= bytes.count, "an option leads out of its header")
            var isWritten = true
            if let mss = option.mss {
                writer.mss(mss)
            } else if let shift = option.windowScale {
                writer.windowScale(shift)
            } else if option.isSACKPermitted {
                writer.sackPermitted()
            } else if let times = option.timestamps {
                writer.timestamps(times)
            } else if let blocks = option.sackBlocks, blocks.count <= 4 {
                writer.sackBlocks(Array(blocks))
            } else {
                isWritten = false
            }
            if isWritten { written.append(option) }
        }
        var again = TCPOptions(UnsafeRawBufferPointer(rebasing: copy.prefix(writer.count)))
        for option in written {
            guard let other = again.next() else { fatalError("an option that was written is not there") }
            require(other.kind == option.kind && other.bytes.elementsEqual(option.bytes), "it is another option")
        }
        require(again.next() == nil && !again.isMalformed)
        let last = (tcp.mss, tcp.windowScale, tcp.sackPermitted, tcp.timestamps, Array(tcp.sackBlocks).count)
        require(last.4 <= 4)
    }

    // MARK: Bytes that are no packet's

    /// The views of bytes that nobody has looked at.
    private static func readBare(_ bytes: UnsafeRawBufferPointer) {
        var transcript = FuzzTranscript()
        if let ip = IPv4View(bytes) {
            transcript.add(ip.options)
            transcript.add(ip.payload)
        }
        if let ip = IPv6View(bytes) {
            for header in ip.extensions { transcript.add(header.bytes) }
            if let content = ip.content { transcript.add(content.bytes) }
        }
        if let tcp = TCPView(bytes) {
            lookAtOptions(tcp)
            transcript.add(tcp.payload)
        }
        for option in TCPOptions(bytes) { transcript.add(option.bytes) }
        if let udp = UDPView(bytes) { transcript.add(udp.payload) }
        if let arp = ARPView(bytes) {
            transcript.add(arp.senderHardware)
            transcript.add(arp.senderProtocol)
            transcript.add(arp.targetHardware)
            transcript.add(arp.targetProtocol)
            require(arp.isIPv4 == (arp.senderIPv4 != nil) && arp.isIPv4 == (arp.targetEthernet != nil))
        }
        if let ethernet = EthernetView(bytes) {
            var tags = ethernet.tags
            while let tag = tags.next() { transcript.add(tag.payload) }
        }
        if let icmp = ICMPView(bytes) { transcript.add(icmp.payload) }
    }

    // MARK: Elements

    private static let elements = [
        FuzzNode(VLANStrip.self, VLANStrip.Config()),
        FuzzNode(
            IPCheck.self,
            {
                var config = IPCheck.Config()
                config.checksum = .count
                return config
            }()
        ),
        FuzzNode(IPDefragmenter.self, IPDefragmenter.Config()),
        FuzzNode(
            FlowTable.self,
            {
                var config = FlowTable.Config()
                config.capacity = 2
                return config
            }()
        ),
        FuzzNode(TCPReassembler.self, TCPReassembler.Config()),
    ]

    // One thread fuzzes a target.
    nonisolated(unsafe) private static let graph = FuzzGraph(
        elements,
        outputs: [0, 1],
        FuzzObserver(),
        batch: 64,
        pool: 16
    )
    nonisolated(unsafe) private static let frame = FuzzFrame()
}

// MARK: Seeds

extension FuzzOptions {
    static let seeds: [(name: String, bytes: [UInt8])] = {
        let timestamps: [UInt8] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]
        let frame = FuzzFrame()
        frame.appendIPv4(1, 2, proto: 17, payload: 8)
        frame.fillIPv4Checksum(at: 0)
        let ip = [UInt8](frame.bytes) + [4, 0, 0, 53, 0, 8, 0, 0]
        frame.clear()
        frame.appendIPv6(1, 2, next: 58, payload: 8)
        let ip6 = [UInt8](frame.bytes) + [128, 0, 0, 0, 0, 1, 0, 1]
        frame.clear()
        frame.appendTCP(1000, 80, sequence: 1, flags: 2, words: 6)
        let tcp = [UInt8](frame.bytes) + [2, 4, 5, 180]
        let hopByHop: [UInt8] = [43, 0, 1, 4, 0, 0, 0, 0]
        let routing: [UInt8] = [44, 0, 0, 0, 0, 0, 0, 0]
        let fragment: [UInt8] = [51, 0, 0, 1, 0, 0, 0, 9]
        let authentication: [UInt8] = [60, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
        let destination: [UInt8] = [6, 1, 1, 12] + [UInt8](repeating: 0, count: 12)
        return [
            ("syn", [2, 5 << 3, 1] + [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7]),
            ("timestamps", [16, 3 << 3, 3] + timestamps + [UInt8](repeating: 65, count: 20)),
            ("sack", [16, 5 << 3, 1] + [1, 1, 5, 18, 0, 0, 0, 9, 0, 0, 0, 19, 0, 0, 0, 29, 0, 0, 0, 39]),
            ("bad-options", [16, 2 << 3, 1] + [3, 3, 9, 8, 200, 1, 2, 0]),
            ("full-options", [16, 10 << 3, 2] + [UInt8](repeating: 1, count: 36) + [254, 4, 1, 2, 7]),
            ("cut-options", [16, 4 << 3, 0x21] + [2, 4, 1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 0]),
            ("ipv4-options", [17, 1 | 2 << 3, 1] + [0x94, 4, 0, 0, 1, 1, 0, 0] + [4, 0, 0, 53, 0, 8, 0, 0]),
            ("extension-headers", [0, 2, 1] + hopByHop + routing + fragment + authentication + destination + tcp),
            ("atomic", [44, 2, 3] + [6, 0, 0, 0, 0, 0, 0, 9] + tcp),
            ("later-fragment", [44, 2, 1] + [6, 0, 0, 8, 0, 0, 0, 9] + [1, 2, 3]),
            ("no-next-header", [59, 2, 3]),
            ("vlan", [0, 3, 3] + [0x81, 0, 0, 5, 0x88, 0xa8, 0, 6, 8, 0] + ip),
            ("pppoe", [0, 3, 3] + [0x88, 0x64, 0x11, 0, 0, 1, 0, 30, 0, 0x21] + ip),
            ("snap", [0, 3, 3] + [0, 36, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0] + ip),
            ("mpls", [0, 3, 3] + [0x88, 0x47, 0, 6, 0x40, 0x40, 0, 6, 0x41, 0x40] + ip6),
            ("mpls-null", [0, 3, 3] + [0x81, 0, 0, 5, 0x88, 0x48, 0, 0, 1, 0x40] + ip),
            ("llc", [0, 3, 3] + [0x88, 0x70, 6, 6, 3] + ip),
            ("mpls-ppp", [6, 4, 3] + [2, 0x81, 0, 6, 0x41, 0x40] + ip),
            ("arp", [0, 3, 2] + [8, 6, 0, 1, 8, 0, 6, 4, 0, 1] + [UInt8](repeating: 3, count: 20)),
            ("raw", [1, 4, 3] + ip6),
            ("sll", [2, 4, 3] + [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0] + ip),
            ("sll2", [3, 4, 3] + [0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0] + ip6),
            ("null", [4, 4, 3] + [2, 0, 0, 0] + ip),
            ("ppp", [6, 4, 3] + [0xff, 3, 0, 0x57] + ip6),
        ]
    }()
}
