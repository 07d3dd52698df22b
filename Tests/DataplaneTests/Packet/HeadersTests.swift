// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

@Suite struct HeadersTests {
    /// What was found in a frame.
    struct Found: Equatable {
        var status: HeaderStatus
        var version: UInt8 = 0
        var l3: UInt16 = 0
        var l4: UInt16 = 0
        var payload: UInt16 = 0
        var proto: UInt8 = 0
        var ipLength: UInt32 = 0
        var flags: ItemFlags = []
    }

    private func find(
        _ bytes: [UInt8],
        linkType: UInt16 = LinkType.ethernet,
        wireLength: Int? = nil,
        slowly: Bool = false
    ) -> Found {
        // The bytes stand at the very end of their block, so that a checker of memory sees a read behind them.
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
        defer { block.deallocate() }
        block.copyBytes(from: bytes)
        var item = Item(
            data: block.baseAddress!,
            length: UInt32(bytes.count),
            wireLength: UInt32(wireLength ?? bytes.count),
            time: 0,
            sequence: 0,
            linkType: linkType,
            interface: 0
        )
        let status = item.withPacket { slowly ? Headers.locateSlowly($0) : Headers.locate($0) }
        guard status == .ip else { return Found(status: status) }
        return Found(
            status: status,
            version: item.ipVersion,
            l3: item.l3,
            l4: item.l4,
            payload: item.payload,
            proto: item.ipProtocol,
            ipLength: item.ipLength,
            flags: item.flags
        )
    }

    private static let ip4: [UInt8] = [
        0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]
    private static let tcp: [UInt8] = [0x03, 0xe8, 0, 80, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]
    private static let macs = [UInt8](repeating: 2, count: 12)

    /// Each link type in front of the same packet.
    @Test(
        arguments: [
            (LinkType.ethernet, macs + [8, 0]),
            (LinkType.ethernet, macs + [0x81, 0, 0, 5, 8, 0]),
            (LinkType.ethernet, macs + [0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0]),
            (LinkType.ethernet, macs + [0x88, 0x64, 0x11, 0, 0, 1, 0, 42, 0, 0x21]),
            (LinkType.ethernet, macs + [0, 48, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
            // LLC: of bridges, without SNAP, in jumbo frames, behind a tag, and as Linux writes it.
            (LinkType.ethernet, macs + [0, 48, 0xaa, 0xaa, 3, 0, 0, 0xf8, 8, 0]),
            (LinkType.ethernet, macs + [0, 43, 6, 6, 3]),
            (LinkType.ethernet, macs + [0x88, 0x70, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
            (LinkType.ethernet, macs + [0x81, 0, 0, 5, 0, 48, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
            (LinkType.linuxSLL, [0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 0, 4, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
            (
                LinkType.linuxSLL2,
                [0, 4, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]
            ),
            // Labels: one, two, explicit null alone and below another, multicast behind a tag, on other links.
            (LinkType.ethernet, macs + [0x88, 0x47, 0, 6, 0x41, 0x40]),
            (LinkType.ethernet, macs + [0x88, 0x47, 0, 6, 0x40, 0x40, 0, 0x0c, 0x81, 0x40]),
            (LinkType.ethernet, macs + [0x88, 0x47, 0, 0, 1, 0x40]),
            (LinkType.ethernet, macs + [0x88, 0x47, 0, 0, 0x30, 0x40, 0, 0, 1, 0x40]),
            (LinkType.ethernet, macs + [0x81, 0, 0, 3, 0x88, 0x48, 0, 1, 1, 0x40]),
            (LinkType.ethernet, macs + [0x88, 0x64, 0x11, 0, 0, 1, 0, 46, 0x02, 0x81, 0, 6, 0x41, 0x40]),
            (LinkType.ethernet, macs + [0, 52, 0xaa, 0xaa, 3, 0, 0, 0, 0x88, 0x47, 0, 6, 0x41, 0x40]),
            (LinkType.linuxSLL, [0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 0x88, 0x47, 0, 6, 0x41, 0x40]),
            (
                LinkType.linuxSLL2,
                [0x81, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 0, 9, 0x88, 0x47, 0, 6, 0x41, 0x40]
            ),
            (LinkType.cHDLC, [0x0f, 0, 0x88, 0x47, 0, 6, 0x41, 0x40]),
            (LinkType.ppp, [0xff, 0x03, 0x02, 0x81, 0, 6, 0x41, 0x40]),
            (LinkType.pppHDLC, [0x02, 0x83, 0, 6, 0x41, 0x40]),
            (LinkType.raw, []),
            (LinkType.ipv4, []),
            (LinkType.linuxSLL, [0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 8, 0]),
            (LinkType.linuxSLL2, [8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0]),
            (LinkType.null, [2, 0, 0, 0]),
            (LinkType.null, [0, 0, 0, 2]),
            (LinkType.loop, [0, 0, 0, 2]),
            (LinkType.cHDLC, [0x0f, 0, 8, 0]),
            (LinkType.pppHDLC, [0x8f, 0, 8, 0]),
            (LinkType.ppp, [0xff, 0x03, 0, 0x21]),
            (LinkType.ppp, [0, 0x21]),
            (LinkType.ppp, [0x21]),
        ] as [(UInt16, [UInt8])]
    )
    func linkHeaders(_ linkType: UInt16, _ link: [UInt8]) {
        let bytes = link + Self.ip4 + Self.tcp
        let l3 = UInt16(link.count)
        #expect(
            find(bytes, linkType: linkType)
                == Found(
                    status: .ip,
                    version: 4,
                    l3: l3,
                    l4: l3 + 20,
                    payload: l3 + 40,
                    proto: 6,
                    ipLength: 40,
                    flags: .transport
                )
        )
        // Cut anywhere it must not be read further, nor be taken for something else.
        for length in 0..<bytes.count {
            let found = find(Array(bytes[..<length]), linkType: linkType, wireLength: bytes.count)
            #expect(found.status == (length < link.count + 20 ? .truncated : .ip) || length < link.count)
            #expect(!found.flags.contains(.transport))
        }
    }

    /// Behind labels there is IP if it looks like that, or if the label says so; whatever else begins with the same digit is none.
    @Test func whatIsBehindLabels() {
        let label: [UInt8] = Self.macs + [0x88, 0x47, 0, 6, 0x41, 0x40]
        let ip6: [UInt8] = [0x60, 0, 0, 0, 0, 20, 6, 64] + [UInt8](repeating: 0x20, count: 32)
        #expect(find(label + ip6 + Self.tcp).l4 == 58)
        #expect(find(Self.macs + [0x88, 0x47, 0, 0, 0x21, 0x40] + ip6 + Self.tcp).version == 6)
        // The label says the other version.
        #expect(find(Self.macs + [0x88, 0x47, 0, 0, 1, 0x40] + ip6 + Self.tcp).status == .badVersion)
        #expect(find(Self.macs + [0x88, 0x47, 0, 0, 0x21, 0x40] + Self.ip4 + Self.tcp).status == .badVersion)
        // Pseudowires, also with addresses that begin like IP.
        let frame = [0x08, 0] + Self.ip4 + Self.tcp
        for address in [0x02, 0x45, 0x4f, 0x60, 0x6e] as [UInt8] {
            let inner = [address, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1] + frame
            #expect(find(label + inner).status == .notIP)
            #expect(find(label + [0, 0, 0, 7] + inner).status == .notIP)
        }
        // IP that is wrong has the reason of its own.
        var wrong = Self.ip4 + Self.tcp
        wrong[3] = 200
        #expect(find(label + wrong).status == .badLength)
        // A stack without bottom.
        #expect(find(Self.macs + [0x88, 0x47] + [UInt8](repeating: 0, count: 400)).status == .truncated)
        #expect(find(Self.macs + [0x88, 0x47, 0, 6, 0x41, 0x40]).status == .truncated)
    }

    @Test func unknownLinkTypesAndOtherProtocols() {
        #expect(find([1, 2, 3], linkType: 147).status == .linkType)
        #expect(find(Self.macs + [8, 6] + [UInt8](repeating: 0, count: 40)).status == .notIP)
        #expect(find([], linkType: LinkType.raw).status == .truncated)
        #expect(find([0x75] + [UInt8](repeating: 0, count: 30), linkType: LinkType.raw).status == .badVersion)
        #expect(find([0x60] + [UInt8](repeating: 0, count: 60), linkType: LinkType.ipv4).status == .badVersion)
    }

    @Test func wrongLengths() {
        var short = Self.ip4 + Self.tcp
        short[0] = 0x44
        #expect(find(short, linkType: LinkType.raw).status == .badHeaderLength)
        var long = Self.ip4 + Self.tcp
        long[3] = 41
        #expect(find(long, linkType: LinkType.raw).status == .badLength)
        #expect(find(long, linkType: LinkType.raw, wireLength: 41).status == .ip)
        var less = Self.ip4 + Self.tcp
        less[3] = 19
        #expect(find(less, linkType: LinkType.raw).status == .badLength)
        // Length 0: segmentation offload.
        var zero = Self.ip4 + Self.tcp
        zero[3] = 0
        #expect(find(zero, linkType: LinkType.raw).ipLength == 40)
    }

    @Test func fragments() {
        var first = Self.ip4 + Self.tcp
        first[6] = 0x20
        #expect(find(first, linkType: LinkType.raw).flags == [.fragment, .transport])
        var later = Self.ip4 + Self.tcp
        later[7] = 3
        #expect(find(later, linkType: LinkType.raw).flags == [.fragment, .laterFragment])
    }

    @Test func extensionHeadersOfIPv6() {
        func packet(_ next: UInt8, _ rest: [UInt8]) -> [UInt8] {
            [0x60, 0, 0, 0, 0, UInt8(rest.count), next, 64] + [UInt8](repeating: 1, count: 32) + rest
        }
        let options: [UInt8] = [60, 0, 1, 4, 0, 0, 0, 0]
        let destination: [UInt8] = [6, 1, 1, 4, 0, 0, 0, 0, 1, 6, 0, 0, 0, 0, 0, 0]
        #expect(
            find(packet(0, options + destination + Self.tcp), linkType: LinkType.raw)
                == Found(status: .ip, version: 6, l3: 0, l4: 64, payload: 84, proto: 6, ipLength: 84, flags: .transport)
        )
        // An authentication header counts its length in another unit.
        let ah: [UInt8] = [6, 4, 0, 0] + [UInt8](repeating: 0, count: 20)
        #expect(find(packet(51, ah + Self.tcp), linkType: LinkType.raw).l4 == 64)
        // An atomic fragment is whole; others are not.
        #expect(find(packet(44, [6, 0, 0, 0, 0, 0, 0, 1] + Self.tcp), linkType: LinkType.raw).flags == .transport)
        let later = find(packet(44, [6, 0, 0, 8, 0, 0, 0, 1] + Self.tcp), linkType: LinkType.raw)
        #expect(later.flags == [.fragment, .laterFragment])
        #expect(later.l4 == 48)
        // A chain that leads out of the packet ends there.
        #expect(find(packet(0, [0, 255, 0, 0, 0, 0, 0, 0]), linkType: LinkType.raw).status == .ip)
    }

    /// The short way for usual packets must find what the general way finds, also when bytes are damaged.
    @Test func theShortWayAgreesWithTheGeneralOne() throws {
        var generator = SeededGenerator(5)
        let usual = try [
            "10.0.0.1:1000 > 10.0.0.2:80 A seq=1 ack=2 data=\"hello\"",
            "10.0.0.1:1000 > 10.0.0.2:80 S mss=1460 ts=1/2 wscale=7",
            "10.0.0.1:1000 > 10.0.0.2:53 udp data=\"some bytes of a request\"",
        ].map { try PacketText.frame($0).bytes }
        for round in 0..<30_000 {
            var bytes = usual[round % usual.count]
            for _ in 0..<Int(generator.next() % 3) {
                bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
            }
            if generator.next() % 4 == 0 { bytes.removeLast(Int(generator.next() % UInt64(bytes.count))) }
            let wireLength = bytes.count + Int(generator.next() % 3)
            #expect(find(bytes, wireLength: wireLength) == find(bytes, wireLength: wireLength, slowly: true))
        }
    }
}
