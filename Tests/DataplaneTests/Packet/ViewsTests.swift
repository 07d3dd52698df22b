// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Dataplane

/// Bytes that end where memory does: a read or write behind them ends the test run.
struct GuardedBytes {
    private let map: UnsafeMutableRawPointer
    private static let page = Int(getpagesize())
    private static let size = 65536

    init() {
        map = mmap(
            nil,
            Self.size + Self.page,
            PROT_READ | PROT_WRITE,
            Int32(MAP_PRIVATE) | Int32(MAP_ANONYMOUS),
            -1,
            0
        )!
        precondition(map != MAP_FAILED && mprotect(map + Self.size, Self.page, PROT_NONE) == 0)
    }

    /// Gives the last `bytes.count` bytes before the end, set to `bytes`.
    func with<T>(_ bytes: some Collection<UInt8>, _ body: (UnsafeMutableRawBufferPointer) throws -> T) rethrows -> T {
        let place = UnsafeMutableRawBufferPointer(start: map + Self.size - bytes.count, count: bytes.count)
        place.copyBytes(from: bytes)
        return try body(place)
    }

    /// Gives `count` bytes of 0xa5: a byte that was not written shows.
    func fresh<T>(_ count: Int, _ body: (UnsafeMutableRawBufferPointer) throws -> T) rethrows -> T {
        try with([UInt8](repeating: 0xa5, count: count), body)
    }

    func free() { munmap(map, Self.size + Self.page) }
}

/// The digits as bytes; blanks are left out.
private func hex(_ text: String) -> [UInt8] {
    let digits = text.filter { $0 != " " }.map { UInt8($0.hexDigitValue!) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// Packets by the standards; the checksums were computed by another program.
private enum Known {
    static let ethernet = hex("0200000000ff 020000000001 0800")
    static let tags = hex("88a8 6064 8100 b005 0800")
    static let arp = hex("0001 0800 06 04 0002 020000000001 0a000001 020000000002 0a000002")
    static let ipv4 = hex("4500002c 00000000 4006 66ca 0a000001 0a000002")
    static let ipv4WithOptions = hex("47b9 0020 1234 6005 ff11 0000 c0000201 c6336402 94040000 01010100")
    static let ipv6 = hex("6b812345 0014 0640 20010db8000000000000000000000001 20010db8000000000000000000000002")
    static let tcp = hex("03e80050 00000007 00000000 6002 2000 5fe5 0000 020405b4")
    static let udp = hex("00350036 000a 8a0a 6162")
    static let icmp = hex("0800 e5ca 1234 0001")
    static let addresses = hex("0a000001 0a000002").withUnsafeBytes { Checksum.sum($0.baseAddress!, 8) }
}

@Suite final class ViewsTests {
    private let memory = GuardedBytes()
    deinit { memory.free() }

    // MARK: Known headers taken apart

    @Test func ethernet() throws {
        try memory.with(Known.ethernet + [7, 8]) { bytes in
            let view = try #require(EthernetView(UnsafeRawBufferPointer(bytes)))
            #expect(view.destination.description == "02:00:00:00:00:ff")
            #expect(view.source == EthernetAddress(0x0200_0000_0001))
            #expect(view.etherType == EtherType.ipv4)
            #expect(Array(view.payload) == [7, 8])
            #expect(try Array(#require(view.content).bytes) == [7, 8])
            #expect(!view.source.isMulticast && EthernetAddress.broadcast.isMulticast)
        }
    }

    @Test func tagBehindTag() throws {
        let frame = Known.ethernet.prefix(12) + Known.tags + [9]
        try memory.with(frame) { bytes in
            let view = try #require(EthernetView(UnsafeRawBufferPointer(bytes)))
            let tags = Array(view.tags)
            #expect(tags.map(\.priority) == [3, 5])
            #expect(tags.map(\.dropEligible) == [false, true])
            #expect(tags.map(\.identifier) == [100, 5])
            #expect(tags.map(\.etherType) == [EtherType.vlan, EtherType.ipv4])
            let content = try #require(view.content)
            #expect(content.etherType == EtherType.ipv4 && Array(content.bytes) == [9])
            #expect(VLANTagView(tags[0].payload)?.identifier == 5)
        }
        for cut in 14..<22 {
            memory.with(frame.prefix(cut)) { bytes in
                let view = EthernetView(UnsafeRawBufferPointer(bytes))
                #expect(view != nil && view?.content == nil)
                #expect(view.map { Array($0.tags).count } == (cut < 18 ? 0 : 1))
            }
        }
    }

    @Test func arp() throws {
        try memory.with(Known.arp) { bytes in
            let view = try #require(ARPView(UnsafeRawBufferPointer(bytes)))
            #expect(view.hardwareType == 1 && view.protocolType == EtherType.ipv4)
            #expect(view.hardwareLength == 6 && view.protocolLength == 4)
            #expect(view.operation == ARPView.reply && view.isIPv4)
            #expect(view.senderEthernet?.number == 0x0200_0000_0001 && view.senderIPv4 == IPAddress("10.0.0.1"))
            #expect(view.targetEthernet?.number == 0x0200_0000_0002 && view.targetIPv4 == IPAddress("10.0.0.2"))
            #expect(Array(view.senderHardware) == [2, 0, 0, 0, 0, 1] && Array(view.senderProtocol) == [10, 0, 0, 1])
            #expect(Array(view.targetHardware) == [2, 0, 0, 0, 0, 2] && Array(view.targetProtocol) == [10, 0, 0, 2])
        }
        // Longer addresses than there are bytes for.
        for (place, length) in [(4, 7), (5, 5), (4, 255)] {
            var bytes = Known.arp
            bytes[place] = UInt8(length)
            memory.with(bytes) { #expect(ARPView(UnsafeRawBufferPointer($0)) == nil) }
        }
    }

    @Test func ipv4() throws {
        try memory.with(Known.ipv4 + Known.tcp) { bytes in
            let view = try #require(IPv4View(UnsafeRawBufferPointer(bytes)))
            #expect(view.version == 4 && view.headerLength == 20 && view.totalLength == 44)
            #expect(view.timeToLive == 64 && view.proto == IPProtocol.tcp && view.checksum == 0x66ca)
            #expect(view.source == IPAddress("10.0.0.1") && view.destination == IPAddress("10.0.0.2"))
            #expect(view.isChecksumRight && !view.isFragment && view.options.isEmpty && view.payload.count == 24)
            #expect(TCPView(view.payload)?.isChecksumRight(view.addressSum) == true)
            bytes[8] ^= 1
            #expect(!view.isChecksumRight)
        }
        try memory.with(Known.ipv4WithOptions + [1, 2, 3, 4, 5, 6]) { bytes in
            let view = try #require(IPv4View(UnsafeRawBufferPointer(bytes)))
            #expect(view.headerLength == 28 && view.typeOfService == 0xb9 && view.dscp == 46 && view.ecn == 1)
            #expect(view.identification == 0x1234 && view.dontFragment && view.moreFragments && view.isFragment)
            #expect(view.fragmentOffset == 40 && view.timeToLive == 255 && view.proto == IPProtocol.udp)
            #expect(Array(view.options) == hex("94040000 01010100"))
            // The total length ends the payload, though there are more bytes; 0 leaves all of them.
            #expect(Array(view.payload) == [1, 2, 3, 4])
            bytes[3] = 0
            #expect(view.payload.count == 6)
            bytes[3] = 27
            #expect(view.payload.isEmpty)
        }
        for (first, count) in [(0x44, 24), (0x46, 23), (0x4f, 59), (0x65, 24), (0x05, 24)] {
            memory.with([UInt8(first)] + [UInt8](repeating: 0, count: count - 1)) {
                #expect(IPv4View(UnsafeRawBufferPointer($0)) == nil)
            }
        }
    }

    @Test func ipv6() throws {
        try memory.with(Known.ipv6 + Known.tcp) { bytes in
            let view = try #require(IPv6View(UnsafeRawBufferPointer(bytes)))
            #expect(view.version == 6 && view.trafficClass == 0xb8 && view.dscp == 46 && view.ecn == 0)
            #expect(view.flowLabel == 0x12345 && view.payloadLength == 20 && view.nextHeader == 6)
            #expect(view.hopLimit == 64 && view.payload.count == 20)
            #expect(view.source == IPAddress("2001:db8::1") && view.destination == IPAddress("2001:db8::2"))
            #expect(Array(view.extensions).isEmpty)
            #expect(view.content?.proto == 6 && view.content?.bytes.count == 20)
        }
        memory.with([0x45] + Known.ipv6.dropFirst()) { #expect(IPv6View(UnsafeRawBufferPointer($0)) == nil) }
    }

    private func packet6(_ next: UInt8, _ rest: [UInt8]) -> [UInt8] {
        [0x60, 0, 0, 0, UInt8(rest.count >> 8), UInt8(rest.count & 255), next, 64] + Known.ipv6.suffix(32) + rest
    }

    @Test func extensionHeaders() throws {
        let chain =
            hex("2b00 010400000000") + hex("3c00 000000000000") + hex("2c01 010c 000000000000000000000000")
            + hex("3300 0001 deadbeef") + hex("0604 0000 00000001 00000002") + [UInt8](repeating: 3, count: 12)
        try memory.with(packet6(0, chain + Known.tcp)) { bytes in
            let view = try #require(IPv6View(UnsafeRawBufferPointer(bytes)))
            let all = Array(view.extensions)
            #expect(all.map(\.kind) == [0, 43, 60, 44, 51])
            #expect(all.map(\.bytes.count) == [8, 8, 16, 8, 24])
            #expect(all.map(\.nextHeader) == [43, 60, 44, 51, 6])
            let fragment = try #require(all[3].fragment)
            #expect(fragment.offset == 0 && fragment.more && fragment.identification == 0xdead_beef)
            #expect(all[0].fragment == nil)
            #expect(view.content?.proto == 6 && view.content?.bytes.count == Known.tcp.count)
        }
        // Behind the header of a later fragment there is no other header.
        try memory.with(packet6(44, hex("0000 0009 00000001") + [0, 0, 0, 0, 0, 0, 0, 0])) { bytes in
            var extensions = try #require(IPv6View(UnsafeRawBufferPointer(bytes))).extensions
            let (first, second) = (extensions.next(), extensions.next())
            #expect(first?.fragment?.offset == 8)
            #expect(second == nil && extensions.isLaterFragment && !extensions.isMalformed)
        }
        // Headers that are cut, or lead out of the packet, at every length.
        for count in 0..<(chain.count) {
            try memory.with(packet6(0, Array(chain.prefix(count)))) { bytes in
                let view = try #require(IPv6View(UnsafeRawBufferPointer(bytes)))
                var extensions = view.extensions
                var sum = 0
                while let next = extensions.next() { sum += next.bytes.count }
                #expect(extensions.isMalformed && sum <= count && view.content == nil)
            }
        }
        for (kind, length) in [(0, 1), (43, 255), (51, 1), (60, 255)] as [(UInt8, UInt8)] {
            try memory.with(packet6(kind, [6, length, 0, 0, 0, 0, 0, 0])) { bytes in
                var extensions = try #require(IPv6View(UnsafeRawBufferPointer(bytes))).extensions
                let first = extensions.next()
                #expect(first == nil && extensions.isMalformed && extensions.proto == kind)
            }
        }
        // Bytes behind the packet are not part of it, as far as it says; a jumbogram says nothing.
        var short = packet6(0, [6, 0, 0, 0, 0, 0, 0, 0])
        short[5] = 7
        memory.with(short) { #expect(IPv6View(UnsafeRawBufferPointer($0))?.content == nil) }
        short[5] = 0
        memory.with(short) { #expect(IPv6View(UnsafeRawBufferPointer($0))?.content?.proto == 6) }
    }

    @Test func tcp() throws {
        try memory.with(Known.tcp + [1, 2]) { bytes in
            let view = try #require(TCPView(UnsafeRawBufferPointer(bytes)))
            #expect(view.sourcePort == 1000 && view.destinationPort == 80)
            #expect(view.sequenceNumber == 7 && view.acknowledgmentNumber == 0)
            #expect(view.headerLength == 24 && view.reserved == 0 && view.flags == .syn && view.window == 8192)
            #expect(view.checksum == 0x5fe5 && view.urgentPointer == 0)
            #expect(view.mss == 1460 && Array(view.payload) == [1, 2])
            #expect(view.windowScale == nil && view.timestamps == nil && !view.sackPermitted)
            #expect(view.sackBlocks.count == 0)
            bytes[13] = 0x11
            #expect(view.flags.description == "FA")
            bytes[12] = 0x7f
            #expect(TCPView(UnsafeRawBufferPointer(bytes)) == nil && view.reserved == 15)
            bytes[12] = 0x40
            #expect(TCPView(UnsafeRawBufferPointer(bytes)) == nil)
            // What is damaged can be shown, within its bytes.
            let damaged = try #require(TCPView(fixedPart: UnsafeRawBufferPointer(bytes)))
            #expect(damaged.sourcePort == 1000 && damaged.optionBytes.isEmpty && damaged.payload.isEmpty)
        }
        try memory.with(Known.tcp) { bytes in
            let view = try #require(TCPView(UnsafeRawBufferPointer(bytes)))
            #expect(view.isChecksumRight(Known.addresses) && !view.isChecksumRight(Known.addresses &+ 1))
        }
    }

    @Test func udpAndPorts() throws {
        try memory.with(Known.udp) { bytes in
            let view = try #require(UDPView(UnsafeRawBufferPointer(bytes)))
            #expect(view.sourcePort == 53 && view.destinationPort == 54 && view.length == 10)
            #expect(view.checksum == 0x8a0a && Array(view.payload) == [0x61, 0x62])
            #expect(view.isChecksumRight(Known.addresses) && !view.isChecksumRight(Known.addresses &+ 1))
            // Lengths that are more than there is, less than the header, and unknown.
            for (length, payload) in [(11, 2), (7, 0), (9, 1), (0, 2)] {
                bytes[5] = UInt8(length)
                #expect(view.payload.count == payload && !view.isChecksumRight(Known.addresses) || length == 0)
            }
            bytes[6] = 0
            bytes[7] = 0
            #expect(view.isChecksumRight(0))
            let ports = try #require(PortsView(UnsafeRawBufferPointer(rebasing: bytes[..<4])))
            #expect(ports.source == 53 && ports.destination == 54)
            #expect(PortsView(UnsafeRawBufferPointer(rebasing: bytes[..<3])) == nil)
        }
    }

    @Test func icmp() throws {
        try memory.with(Known.icmp) { bytes in
            let view = try #require(ICMPView(UnsafeRawBufferPointer(bytes)))
            #expect(view.type == 8 && view.code == 0 && view.checksum == 0xe5ca && view.rest == 0x1234_0001)
            #expect(view.identifier == 0x1234 && view.sequence == 1 && view.payload.isEmpty && view.isChecksumRight)
        }
    }

    // MARK: Lengths

    /// Each view, its known header, and how many of its bytes it needs.
    private static let views: [(name: String, header: [UInt8], make: @Sendable (UnsafeRawBufferPointer) -> Bool)] = [
        ("ethernet", Known.ethernet, { EthernetView($0) != nil }),
        ("tag", Array(Known.tags.prefix(4)), { VLANTagView($0) != nil }),
        ("arp", Known.arp, { ARPView($0) != nil }),
        ("ipv4", Known.ipv4, { IPv4View($0) != nil }),
        ("ipv4 with options", Known.ipv4WithOptions, { IPv4View($0) != nil }),
        ("ipv6", Known.ipv6, { IPv6View($0) != nil }),
        ("tcp", Known.tcp, { TCPView($0) != nil }),
        ("udp", Array(Known.udp.prefix(8)), { UDPView($0) != nil }),
        ("icmp", Known.icmp, { ICMPView($0) != nil }),
    ]

    @Test func headersThatAreCutAreRefused() {
        for view in Self.views {
            for count in 0...view.header.count {
                memory.with(view.header.prefix(count)) {
                    #expect(
                        view.make(UnsafeRawBufferPointer($0)) == (count == view.header.count),
                        "\(view.name) \(count)"
                    )
                }
            }
            #expect(!view.make(UnsafeRawBufferPointer(start: nil, count: 0)))
        }
        let room: [(Int, (UnsafeMutableRawBufferPointer) -> Bool)] = [
            (14, { MutableEthernetView(writing: $0) != nil }), (4, { MutableVLANTagView(writing: $0) != nil }),
            (28, { MutableARPView(writing: $0) != nil }), (20, { MutableIPv4View(writing: $0) != nil }),
            (60, { MutableIPv4View(writing: $0, optionBytes: 40) != nil }),
            (40, { MutableIPv6View(writing: $0) != nil }), (20, { MutableTCPView(writing: $0) != nil }),
            (32, { MutableTCPView(writing: $0, optionBytes: 12) != nil }),
            (8, { MutableUDPView(writing: $0) != nil }), (8, { MutableICMPView(writing: $0) != nil }),
        ]
        for (size, make) in room {
            for count in 0...size { memory.fresh(count) { #expect(make($0) == (count == size), "\(size) \(count)") } }
        }
        for odd in [-4, 1, 2, 44, Int.max] {
            memory.fresh(100) {
                #expect(MutableTCPView(writing: $0, optionBytes: odd) == nil)
                #expect(MutableIPv4View(writing: $0, optionBytes: odd) == nil)
            }
        }
    }

    // MARK: Headers written

    @Test func whatIsWrittenIsAsKnown() throws {
        try memory.fresh(14) { bytes in
            let header = try #require(MutableEthernetView(writing: bytes))
            header.destination = EthernetAddress(0x0200_0000_00ff)
            header.source = EthernetAddress(0x0200_0000_0001)
            header.etherType = EtherType.ipv4
            #expect(Array(bytes) == Known.ethernet)
        }
        try memory.fresh(4) { bytes in
            let tag = try #require(MutableVLANTagView(writing: bytes))
            tag.identifier = 5
            tag.priority = 5
            tag.dropEligible = true
            tag.etherType = EtherType.ipv4
            #expect(Array(bytes) == hex("b005 0800"))
            tag.dropEligible = false
            tag.identifier = 0xf00f
            tag.priority = 15
            #expect(Array(bytes) == hex("e00f 0800"))
        }
        try memory.fresh(28) { bytes in
            let arp = try #require(MutableARPView(writing: bytes))
            arp.operation = ARPView.reply
            arp.senderEthernet = EthernetAddress(0x0200_0000_0001)
            arp.senderIPv4 = IPAddress(v4: 0x0a00_0001)
            arp.targetEthernet = EthernetAddress(0x0200_0000_0002)
            arp.targetIPv4 = IPAddress(v4: 0x0a00_0002)
            #expect(Array(bytes) == Known.arp)
        }
        try memory.fresh(28) { bytes in
            let ip = try #require(MutableIPv4View(writing: bytes, optionBytes: 8))
            ip.typeOfService = 0xb9
            ip.totalLength = 32
            ip.identification = 0x1234
            ip.fragmentOffset = 40
            ip.dontFragment = true
            ip.moreFragments = true
            ip.timeToLive = 255
            ip.proto = IPProtocol.udp
            ip.source = IPAddress(v4: 0xc000_0201)
            ip.destination = IPAddress(v4: 0xc633_6402)
            ip.options.copyBytes(from: hex("94040000 01010100"))
            #expect(Array(bytes) == Known.ipv4WithOptions)
            ip.fillChecksum()
            #expect(ip.view.isChecksumRight)
            ip.updateChecksum(ip.view.identification, 7)
            ip.identification = 7
            ip.updateChecksum(0xc000_0201 as UInt32, 0x0a00_0009)
            ip.source = IPAddress(v4: 0x0a00_0009)
            #expect(ip.view.isChecksumRight)
        }
        try memory.fresh(40) { bytes in
            let ip = try #require(MutableIPv6View(writing: bytes))
            ip.flowLabel = 0xfff1_2345
            ip.trafficClass = 0xb8
            ip.flowLabel = 0x0001_2345
            ip.payloadLength = 20
            ip.nextHeader = IPProtocol.tcp
            ip.hopLimit = 64
            ip.source = try #require(IPAddress("2001:db8::1"))
            ip.destination = try #require(IPAddress("2001:db8::2"))
            #expect(Array(bytes) == Known.ipv6)
        }
        try memory.fresh(24) { bytes in
            let tcp = try #require(MutableTCPView(writing: bytes, optionBytes: 4))
            tcp.sourcePort = 1000
            tcp.destinationPort = 80
            tcp.sequenceNumber = 7
            tcp.flags = .syn
            tcp.window = 8192
            var options = TCPOptionWriter(tcp.optionBytes)
            let (fits, fitsToo) = (options.mss(1460), options.sackPermitted())
            #expect(fits && !fitsToo && options.count == 4)
            tcp.fillChecksum(Known.addresses)
            #expect(Array(bytes) == Known.tcp)
            tcp.updateChecksum(tcp.sequenceNumber, 0xffff_fff0)
            tcp.sequenceNumber = 0xffff_fff0
            tcp.updateChecksum(tcp.destinationPort, 8080)
            tcp.destinationPort = 8080
            #expect(tcp.view.isChecksumRight(Known.addresses))
            tcp.acknowledgmentNumber = 0x0102_0304
            tcp.urgentPointer = 0x0506
            #expect(Array(bytes[8..<12]) == [1, 2, 3, 4] && Array(bytes[18..<20]) == [5, 6])
        }
        try memory.fresh(10) { bytes in
            let udp = try #require(MutableUDPView(writing: bytes))
            udp.sourcePort = 53
            udp.destinationPort = 54
            udp.length = 10
            bytes[8] = 0x61
            bytes[9] = 0x62
            // No checksum stays none.
            udp.updateChecksum(53 as UInt16, 54)
            #expect(udp.checksum == 0)
            udp.fillChecksum(Known.addresses)
            #expect(Array(bytes) == Known.udp)
            udp.updateChecksum(53 as UInt16, 99)
            udp.sourcePort = 99
            #expect(udp.view.isChecksumRight(Known.addresses))
            // A computed zero is stored as all ones.
            bytes[8] = 0
            bytes[9] = 0
            udp.fillChecksum(Known.addresses)
            bytes[8] = UInt8(udp.checksum >> 8)
            bytes[9] = UInt8(udp.checksum & 255)
            udp.fillChecksum(Known.addresses)
            #expect(udp.checksum == 0xffff && udp.view.isChecksumRight(Known.addresses))
        }
        try memory.fresh(8) { bytes in
            let icmp = try #require(MutableICMPView(writing: bytes))
            icmp.type = 8
            icmp.rest = 0x1234_0001
            icmp.fillChecksum()
            #expect(Array(bytes) == Known.icmp)
            icmp.type = 128
            icmp.code = 0
            icmp.fillChecksum(Known.addresses)
            #expect(icmp.view.isChecksumRight(Known.addresses) && !icmp.view.isChecksumRight)
        }
    }

    /// The options of a SYN-ACK, written and read back.
    @Test func optionsRoundTrip() throws {
        try memory.fresh(60) { bytes in
            let tcp = try #require(MutableTCPView(writing: bytes, optionBytes: 40))
            var writer = TCPOptionWriter(tcp.optionBytes)
            let stamps = TCPTimestamps(value: 0x0102_0304, echo: 0xffff_fffe)
            let block = TCPSACKBlock(left: 5, right: 0xffff_ffff)
            let wrote = [
                writer.mss(1460), writer.sackPermitted(), writer.timestamps(stamps), writer.noOperation(),
                writer.windowScale(7), writer.sackBlocks([]), writer.sackBlocks([block, block, block]),
                writer.sackBlocks([block, TCPSACKBlock(left: 9, right: 10)]), writer.mss(1), writer.noOperation(),
            ]
            #expect(wrote == [true, true, true, true, true, false, false, true, false, true] && writer.count == 39)
            let view = tcp.view
            #expect(view.mss == 1460 && view.sackPermitted && view.timestamps == stamps && view.windowScale == 7)
            #expect(Array(view.sackBlocks) == [block, TCPSACKBlock(left: 9, right: 10)])
            #expect(view.options.map(\.kind) == [2, 4, 8, 3, 5])
            #expect(view.options.map(\.offset) == [0, 4, 6, 17, 20])
            // What an offset names can be changed in place.
            tcp.optionBytes[view.options.first { $0.kind == 3 }!.offset + 2] = 9
            #expect(view.windowScale == 9)
        }
    }

    // MARK: TCP options

    @Test(
        arguments: [
            ("", [], false), ("00", [], false), ("01", [], false), ("01010101", [], false),
            ("01010101 020405b4", [2], false),
            // Behind the end of the list nothing counts, also not what is wrong.
            ("00 020405b4", [], false), ("020405b4 00 0200", [2], false),
            // The header ends without an end of list.
            ("0402", [4], false), ("0101 080a 00000001 00000002", [8], false),
            // Lengths 0, 1, beyond the end, and none.
            ("0200 0101", [], true), ("0201 0101", [], true), ("0205 05b4", [], true), ("02ff 05b4", [], true),
            ("020405b4 08", [2], true), ("020405b4 0800", [2], true), ("01 01 01 03", [], true),
            // An option nobody knows, without and with content.
            ("fe02 0303 07", [254, 3], false), ("fe04 aabb 0402", [254, 4], false),
        ] as [(String, [UInt8], Bool)]
    )
    func optionsThatAreMalformed(_ text: String, _ kinds: [UInt8], _ isMalformed: Bool) {
        memory.with(hex(text)) { bytes in
            var options = TCPOptions(UnsafeRawBufferPointer(bytes))
            var found: [UInt8] = []
            while let option = options.next() { found.append(option.kind) }
            #expect(found == kinds && options.isMalformed == isMalformed)
            // It stays at its end.
            let behind = options.next()
            #expect(behind == nil)
        }
    }

    @Test func optionsOfWrongLengthSayNothing() throws {
        // Each known kind with a length that is possible but not its own.
        for text in [
            "0203 05", "0304 0707", "0403 00", "0502", "0503 00", "0509 00000000000000", "0809 00000000000000",
        ] {
            let options = hex(text)
            let padded = options + [UInt8](repeating: 0, count: (4 - options.count % 4) % 4)
            var header = Array(Known.tcp.prefix(20))
            header[12] = UInt8((20 + padded.count) / 4) << 4
            try memory.with(header + padded) { bytes in
                let view = try #require(TCPView(UnsafeRawBufferPointer(bytes)))
                #expect(view.mss == nil && view.windowScale == nil && !view.sackPermitted && view.timestamps == nil)
                #expect(view.sackBlocks.count == 0 && Array(view.options).count == 1, "\(text)")
            }
        }
        // Of two, the later one.
        memory.with(Array(Known.tcp.prefix(12)) + [0x70] + Known.tcp[13..<20] + hex("020405b4 02040200")) { bytes in
            #expect(TCPView(UnsafeRawBufferPointer(bytes))?.mss == 512)
        }
    }

    // MARK: Any bytes

    /// Reads all there is to read of views of `bytes`; gives a number so that nothing is left out.
    private func readAll(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var sum: UInt64 = 0
        func add(_ bytes: UnsafeRawBufferPointer) { for byte in bytes { sum &+= UInt64(byte) } }
        func add(_ number: some BinaryInteger) { sum &+= UInt64(truncatingIfNeeded: number) }
        if let view = EthernetView(bytes) {
            add(view.destination.number &+ view.source.number)
            for tag in view.tags {
                add(tag.identifier)
                add(tag.priority)
                add(tag.payload)
            }
            if let content = view.content { add(content.bytes) }
        }
        if let view = ARPView(bytes) {
            for part in [view.senderHardware, view.senderProtocol, view.targetHardware, view.targetProtocol] {
                add(part)
            }
            add(view.operation)
            if let target = view.targetIPv4 { add(target.low) }
        }
        if let view = IPv4View(bytes) {
            for part in [view.options, view.payload] { add(part) }
            add(view.source.low &+ view.destination.low &+ view.addressSum &+ (view.isChecksumRight ? 1 : 0))
        }
        if let view = IPv6View(bytes) {
            var extensions = view.extensions
            while let header = extensions.next() {
                add(header.bytes)
                if let fragment = header.fragment { add(fragment.identification) }
            }
            add(view.payload)
            add(view.source.low &+ view.destination.low &+ view.addressSum)
            if let content = view.content { add(content.bytes) }
        }
        for view in [TCPView(bytes), TCPView(fixedPart: bytes)] {
            guard let view else { continue }
            for option in view.options { add(option.bytes) }
            for block in view.sackBlocks { add(block.left &+ block.right) }
            add(view.mss ?? 0)
            add(view.windowScale ?? 0)
            add(view.timestamps?.echo ?? 0)
            add(view.payload)
            add(view.urgentPointer)
            add(view.isChecksumRight(1) ? 1 : 0)
        }
        if let view = UDPView(bytes) {
            add(view.payload)
            add(view.isChecksumRight(1) ? 1 : 0)
        }
        if let view = ICMPView(bytes) {
            add(view.payload)
            add(view.isChecksumRight(1) || view.isChecksumRight ? 1 : 0)
        }
        return sum
    }

    @Test func anyBytesAreReadWithinTheirBounds() {
        var generator = SeededGenerator(11)
        let known = Self.views.map(\.header) + [packet6(0, hex("3300 010400000000 0604") + Known.tcp)]
        var sum: UInt64 = 0
        for round in 0..<6000 {
            var bytes = round % 3 == 0 ? [] : known[round % known.count]
            for _ in 0..<Int(generator.next() % 80) { bytes.append(UInt8(truncatingIfNeeded: generator.next())) }
            for _ in 0..<Int(generator.next() % 4) where !bytes.isEmpty {
                bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
            }
            bytes.removeLast(Int(generator.next() % UInt64(bytes.count + 1)))
            memory.with(bytes) { place in
                sum &+= readAll(UnsafeRawBufferPointer(place))
                // Views that were made stay within their bytes when these change.
                guard let tcp = TCPView(UnsafeRawBufferPointer(place)) else { return }
                for byte in [0, 0x40, 0xf0] as [UInt8] {
                    place[12] = byte
                    sum &+= UInt64(tcp.payload.count &+ tcp.optionBytes.count)
                    for option in tcp.options { sum &+= UInt64(option.bytes.first ?? 0) }
                }
            }
        }
        #expect(sum != 0)
    }

    // MARK: Items

    /// A packet of these bytes, valid as long as the call.
    private func packet(_ bytes: UnsafeMutableRawBufferPointer, _ body: (Packet) throws -> Void) rethrows {
        var item = Item(
            data: bytes.baseAddress!,
            length: UInt32(bytes.count),
            wireLength: UInt32(bytes.count),
            time: 0,
            sequence: 0,
            linkType: LinkType.ethernet,
            interface: 0
        )
        try item.withPacket(body)
    }

    @Test func viewsOfItems() throws {
        let tcp = try PacketText.frame("10.0.0.1:1000 > 10.0.0.2:80 SA seq=7 mss=1460 data=\"ab\" vlan=5").bytes
        // A frame is padded; what is behind the IP packet is not payload.
        try memory.with(tcp + [0, 0, 0]) { bytes in
            try packet(bytes) { p in
                let view = try #require(TCPView(p))
                #expect(view.flags == [.syn, .ack] && view.mss == 1460 && Array(view.payload) == Array("ab".utf8))
                #expect(try view.isChecksumRight(#require(IPv4View(p)).addressSum))
                #expect(PortsView(p)?.source == 1000 && VLANTagView(p)?.identifier == 5)
                #expect(IPv6View(p) == nil && UDPView(p) == nil && ICMPView(p) == nil && ARPView(p) == nil)
                // Bytes of a capture are not written.
                #expect(MutableTCPView(p) == nil && MutableIPv4View(p) == nil && MutableEthernetView(p) == nil)
                p.flags.insert(.owned)
                let header = try #require(MutableTCPView(p))
                header.updateChecksum(header.sequenceNumber, 99)
                header.sequenceNumber = 99
                #expect(
                    PacketText.describe(UnsafeRawBufferPointer(rebasing: bytes[..<tcp.count]))
                        == "10.0.0.1:1000 > 10.0.0.2:80 SA seq=99 mss=1460 vlan=5 len=2"
                )
                bytes[4 + 14 + 20 + 12] = 0x10
                p.forgetHeaders()
                #expect(TCPView(p) == nil && TCPView(fixedPart: p)?.sequenceNumber == 99)
            }
        }
        let udp = try PacketText.frame("[2001:db8::1]:5 > [2001:db8::2]:6 udp data=\"abc\"").bytes
        try memory.with(udp) { bytes in
            try packet(bytes) { p in
                let view = try #require(UDPView(p))
                #expect(try view.isChecksumRight(#require(IPv6View(p)).addressSum) && view.payload.count == 3)
                #expect(IPv4View(p) == nil && TCPView(p) == nil && EthernetView(p)?.etherType == EtherType.ipv6)
            }
        }
        for (text, isV6) in [
            ("10.0.0.1 > 10.0.0.2 icmp rest=9", false), ("2001:db8::1 > 2001:db8::2 icmp rest=9", true),
        ] {
            memory.with(try PacketText.frame(text).bytes) { bytes in
                packet(bytes) { p in
                    #expect(ICMPView(p)?.rest == 9 && ICMPView(p)?.type == (isV6 ? 128 : 8) && PortsView(p) == nil)
                }
            }
        }
        memory.with(try PacketText.frame("10.0.0.1 > 10.0.0.2 arp op=2").bytes) { bytes in
            packet(bytes) { p in
                #expect(
                    ARPView(p)?.senderIPv4 == IPAddress("10.0.0.1") && IPv4View(p) == nil && MutableARPView(p) == nil
                )
                p.flags.insert(.owned)
                #expect(MutableARPView(p)?.operation == 2)
            }
        }
        // A later fragment holds no ports.
        memory.with(try PacketText.frame("10.0.0.1 > 10.0.0.2 udp frag=8 len=16").bytes) { bytes in
            packet(bytes) { p in
                #expect(PortsView(p) == nil && UDPView(p) == nil && IPv4View(p)?.fragmentOffset == 8)
            }
        }
    }

    /// Packets cut anywhere, with headers at the end of memory.
    @Test func itemsThatAreCut() throws {
        for text in [
            "10.0.0.1:1000 > 10.0.0.2:80 S mss=1460 ts=1/2 data=\"ab\" vlan=5", "10.0.0.1 > 10.0.0.2 arp",
            "[2001:db8::1]:5 > [2001:db8::2]:6 udp data=\"abc\" frag=0+", "2001:db8::1 > 2001:db8::2 icmp len=9",
        ] {
            let frame = try PacketText.frame(text).bytes
            for count in 1...frame.count {
                memory.with(frame.prefix(count)) { bytes in
                    packet(bytes) { p in
                        p.wireLength = UInt32(frame.count)
                        if let view = TCPView(p) { #expect(view.headerLength <= view.count) }
                        if let view = IPv4View(p) { #expect(view.payload.count + view.headerLength == view.count) }
                        if let view = IPv6View(p) { #expect(view.payload.count + IPv6View.size == view.count) }
                        #expect(ARPView(p) == nil || count == frame.count)
                        _ = (UDPView(p)?.payload, ICMPView(p)?.payload, PortsView(p)?.source, VLANTagView(p)?.payload)
                    }
                }
            }
        }
    }
}

/// Every packet of the shipped captures, field by field, against what tshark reads there. Skips without tshark.
@Suite struct ViewsOracleTests {
    private func tshark(_ arguments: [String]) throws -> Data {
        // Fragments are shown by themselves, and checksums are looked at.
        let options = [
            "ip.defragment:FALSE", "ipv6.defragment:FALSE", "ip.check_checksum:TRUE", "tcp.check_checksum:TRUE",
            "udp.check_checksum:TRUE", "tcp.relative_sequence_numbers:FALSE",
        ]
        let result = try Program.run("tshark", ["-n"] + options.flatMap { ["-o", $0] } + arguments)
        #expect(result.status == 0)
        return result.output
    }

    private static let columns: [String] = [
        "eth.dst", "eth.src", "vlan.id", "ieee8021ad.id", "ip.hdr_len", "ip.dsfield", "ip.len", "ip.id", "ip.ttl",
        "ip.proto",
        "ip.checksum",
        "ip.src", "ip.dst", "ip.checksum.status", "ipv6.tclass", "ipv6.flow", "ipv6.plen", "ipv6.nxt", "ipv6.hlim",
        "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.hdr_len", "tcp.flags",
        "tcp.window_size_value", "tcp.checksum", "tcp.urgent_pointer", "tcp.len", "tcp.checksum.status",
        "tcp.options.mss_val", "tcp.options.wscale.shift", "tcp.options.timestamp.tsval",
        "tcp.options.timestamp.tsecr", "tcp.options.sack_le", "tcp.options.sack_re", "udp.srcport", "udp.dstport",
        "udp.length", "udp.checksum", "udp.checksum.status", "icmp.type", "icmp.code", "icmp.checksum", "icmpv6.type",
        "icmpv6.code", "icmpv6.checksum", "arp.opcode", "arp.src.hw_mac", "arp.src.proto_ipv4", "arp.dst.proto_ipv4",
    ]

    /// What the views say, by column.
    private func fields(_ p: Packet) -> [String: String] {
        var fields: [String: String] = [:]
        func set(_ name: String, _ value: some CustomStringConvertible) { fields[name] = value.description }
        func right(_ isRight: Bool) -> Int { isRight ? 1 : 0 }
        if let ethernet = EthernetView(p) {
            set("eth.dst", ethernet.destination)
            set("eth.src", ethernet.source)
            // Which kind of tag it is stands before it.
            let kinds = [ethernet.etherType] + ethernet.tags.map(\.etherType)
            for (tag, kind) in zip(ethernet.tags, kinds) {
                set(kind == EtherType.serviceVLAN ? "ieee8021ad.id" : "vlan.id", tag.identifier)
            }
        }
        var addressSum: UInt64 = 0
        if let ip = IPv4View(p) {
            addressSum = ip.addressSum
            set("ip.hdr_len", ip.headerLength)
            set("ip.dsfield", ip.typeOfService)
            set("ip.len", ip.totalLength)
            set("ip.id", ip.identification)
            set("ip.ttl", ip.timeToLive)
            set("ip.proto", ip.proto)
            set("ip.checksum", ip.checksum)
            set("ip.src", ip.source)
            set("ip.dst", ip.destination)
            set("ip.checksum.status", right(ip.isChecksumRight))
        }
        if let ip = IPv6View(p) {
            addressSum = ip.addressSum
            set("ipv6.tclass", ip.trafficClass)
            set("ipv6.flow", ip.flowLabel)
            set("ipv6.plen", ip.payloadLength)
            set("ipv6.nxt", ip.nextHeader)
            set("ipv6.hlim", ip.hopLimit)
            set("ipv6.src", ip.source)
            set("ipv6.dst", ip.destination)
        }
        if let tcp = TCPView(p) {
            set("tcp.srcport", tcp.sourcePort)
            set("tcp.dstport", tcp.destinationPort)
            set("tcp.seq_raw", tcp.sequenceNumber)
            set("tcp.ack_raw", tcp.acknowledgmentNumber)
            set("tcp.hdr_len", tcp.headerLength)
            set("tcp.flags", UInt16(tcp.reserved) << 8 | UInt16(tcp.flags.rawValue))
            set("tcp.window_size_value", tcp.window)
            set("tcp.checksum", tcp.checksum)
            set("tcp.urgent_pointer", tcp.urgentPointer)
            set("tcp.len", tcp.payload.count)
            set("tcp.checksum.status", right(tcp.isChecksumRight(addressSum)))
            if let mss = tcp.mss { set("tcp.options.mss_val", mss) }
            if let shift = tcp.windowScale { set("tcp.options.wscale.shift", shift) }
            if let timestamps = tcp.timestamps {
                set("tcp.options.timestamp.tsval", timestamps.value)
                set("tcp.options.timestamp.tsecr", timestamps.echo)
            }
            if tcp.sackBlocks.count > 0 {
                set("tcp.options.sack_le", tcp.sackBlocks.map { "\($0.left)" }.joined(separator: ","))
                set("tcp.options.sack_re", tcp.sackBlocks.map { "\($0.right)" }.joined(separator: ","))
            }
        }
        if let udp = UDPView(p) {
            set("udp.srcport", udp.sourcePort)
            set("udp.dstport", udp.destinationPort)
            set("udp.length", udp.length)
            set("udp.checksum", udp.checksum)
            if !p.isFragment {
                set("udp.checksum.status", right(udp.isChecksumRight(addressSum)))
            }
        }
        if let icmp = ICMPView(p) {
            let name = p.ipVersion == 4 ? "icmp" : "icmpv6"
            set("\(name).type", icmp.type)
            set("\(name).code", icmp.code)
            set("\(name).checksum", icmp.checksum)
        }
        if let arp = ARPView(p), let sender = arp.senderIPv4, let target = arp.targetIPv4 {
            set("arp.opcode", arp.operation)
            set("arp.src.hw_mac", arp.senderEthernet!)
            set("arp.src.proto_ipv4", sender)
            set("arp.dst.proto_ipv4", target)
        }
        return fields
    }

    @Test(.enabled(if: Program.isThere("tshark")), arguments: ["web.pcap", "cooked.pcap", "vlan.pcapng"])
    func viewsAgreeWithTshark(_ name: String) throws {
        let path = shippedCapture(name)
        // As classic pcap in the order of this machine, whose records are simple to walk.
        let scratch = Scratch()
        defer { scratch.remove() }
        let copy = try scratch.file("copy.pcap", [])
        _ = try tshark(["-r", path, "-F", "pcap", "-w", copy])
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: copy)))
        let text = try tshark(["-r", path, "-T", "fields"] + Self.columns.flatMap { ["-e", $0] })
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        let memory = GuardedBytes()
        defer { memory.free() }
        func word(_ at: Int) -> Int {
            bytes.withUnsafeBytes { Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: at, as: UInt32.self))) }
        }
        var at = 24
        var number = 0
        while at + 16 <= bytes.count, number < lines.count {
            let captured = word(at + 8)
            memory.with(bytes[(at + 16)..<(at + 16 + captured)]) { place in
                var item = Item(
                    data: place.baseAddress!,
                    length: UInt32(captured),
                    wireLength: UInt32(word(at + 12)),
                    time: 0,
                    sequence: 0,
                    linkType: UInt16(word(20) & 0xffff),
                    interface: 0
                )
                let ours = item.withPacket(fields)
                let theirs = lines[number].split(separator: "\t", omittingEmptySubsequences: false)
                // An ICMP error quotes a packet, whose fields tshark lists behind those of the packet itself.
                let isQuoting = item.withPacket { ICMPView($0) } != nil
                for (column, value) in zip(Self.columns, theirs) {
                    let values = value.split(separator: ",")
                    if isQuoting, column.hasPrefix("tcp") || column.hasPrefix("udp") { continue }
                    // The fields of later fragments are of what their bytes happen to be.
                    if column.hasSuffix("checksum.status"), ours[column] == nil { continue }
                    let isList = column.hasPrefix("tcp.options.sack")
                    let expected = (isList ? values : Array(values.prefix(1))).map { Self.decimal($0) }
                    #expect((ours[column] ?? "") == expected.joined(separator: ","), "\(name) \(number + 1) \(column)")
                }
            }
            at += 16 + captured
            number += 1
        }
        #expect(number == lines.count && number > 20)
    }

    /// Numbers that tshark writes in hexadecimal.
    private static func decimal(_ text: Substring) -> String {
        guard text.hasPrefix("0x"), let number = UInt64(text.dropFirst(2), radix: 16) else { return String(text) }
        return "\(number)"
    }
}
