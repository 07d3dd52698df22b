// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

@testable import Live

/// Packets that do not fit an interface, or are not finished, without one.
@Suite struct CuttingTests {
    private static let link = 14

    /// Calls `body` with a packet whose checksum is not filled in.
    private func unsummed<R>(
        _ text: String,
        _ joined: Joined = .nothing,
        of size: UInt16 = 0,
        _ body: (Packet) throws -> R
    ) throws -> R {
        var bytes = try PacketText.frame("\(text) badcsum").bytes
        return try bytes.withUnsafeMutableBytes { bytes in
            var item = Item(
                data: bytes.baseAddress!,
                length: UInt32(bytes.count),
                wireLength: UInt32(bytes.count),
                time: 0,
                sequence: 0,
                linkType: LinkType.ethernet,
                interface: 0
            )
            item.flags = .unsummed
            if joined != .nothing { item.join(joined, of: size) }
            return try item.withPacket(body)
        }
    }

    /// Whether frames are what is expected, checksums included.
    private func expect(
        _ frames: [UnsafeMutableRawBufferPointer]?,
        _ expected: [Substring],
        at place: SourceLocation = #_sourceLocation
    ) throws {
        let frames = try #require(frames, sourceLocation: place)
        let texts = frames.map { frame in
            let text = PacketText.describe(UnsafeRawBufferPointer(frame), maximumData: 0)
            return text.split(separator: " data=")[0]
        }
        #expect(texts == expected, sourceLocation: place)
    }

    @Test func segmentsBecomeWhatTheyWere() throws {
        let cutter = SegmentCutter(mtu: 1500)
        try unsummed("10.0.0.1:80 > 10.0.0.2:4000 FPAC seq=7 id=9 df len=1200", .segments, of: 524) {
            try expect(
                cutter.cut($0),
                [
                    "10.0.0.1:80 > 10.0.0.2:4000 AC seq=7 id=9 df len=524",
                    "10.0.0.1:80 > 10.0.0.2:4000 A seq=531 id=10 df len=524",
                    "10.0.0.1:80 > 10.0.0.2:4000 FPA seq=1055 id=11 df len=152",
                ]
            )
        }
        // A link that takes less than that, and a size that nobody knows.
        for (joined, size) in [(Joined.segments, 5000), (.nothing, 0)] as [(Joined, UInt16)] {
            try unsummed("[2001:db8::1]:80 > [2001:db8::2]:4000 A seq=1 len=2000", joined, of: size) {
                try expect(
                    cutter.cut($0),
                    [
                        "[2001:db8::1]:80 > [2001:db8::2]:4000 A seq=1 len=1440",
                        "[2001:db8::1]:80 > [2001:db8::2]:4000 A seq=1441 len=560",
                    ]
                )
            }
        }
    }

    @Test func datagramsBecomeWhatTheyWere() throws {
        let cutter = SegmentCutter(mtu: 1500)
        try unsummed("10.0.0.1:5000 > 10.0.0.2:53 udp id=1 len=1500", .datagrams, of: 700) {
            try expect(
                cutter.cut($0),
                [
                    "10.0.0.1:5000 > 10.0.0.2:53 udp id=1 len=700", "10.0.0.1:5000 > 10.0.0.2:53 udp id=2 len=700",
                    "10.0.0.1:5000 > 10.0.0.2:53 udp id=3 len=100",
                ]
            )
        }
        // One is not cut in two, and several are not one.
        try unsummed("10.0.0.1:5000 > 10.0.0.2:53 udp len=3500", .datagrams, of: 1600) {
            #expect(cutter.cut($0) == nil && Fragmenter(mtu: 1500).cut($0) == nil)
        }
        try unsummed("10.0.0.1:5000 > 10.0.0.2:53 udp len=3500") { #expect(cutter.cut($0) == nil) }
    }

    /// RFC 791: lengths, offsets in units of eight bytes, and the one checksum of it all.
    @Test func packetsBecomeFragments() throws {
        let fragmenter = Fragmenter(mtu: 1500)
        let text = "10.0.0.1:5000 > 10.0.0.2:53 udp id=77 vlan=5 len=3000"
        try unsummed(text) { p in
            let frames = try #require(fragmenter.cut(p))
            #expect(frames.map(\.count) == [1500, 1500, 68].map { $0 + CuttingTests.link + 4 })
            #expect(fragments(frames) == [1480, 2960, 3008])
            // Together they are the packet, its checksum filled in.
            var whole = Array(frames[0])
            for frame in frames.dropFirst() { whole += frame.dropFirst(CuttingTests.link + 4 + 20) }
            var expected = try PacketText.frame(text).bytes
            // The lengths and checksums of the IP headers differ.
            let ip = CuttingTests.link + 4
            for at in [2, 3, 6, 7, 10, 11] { expected[ip + at] = whole[ip + at] }
            #expect(whole == expected)
        }
        // Nor where nobody knows what it was joined from.
        try unsummed(text, .unknown) { #expect(fragmenter.cut($0) == nil) }
        try unsummed("10.0.0.1 > 10.0.0.2 icmp df len=3000") { #expect(fragmenter.cut($0) == nil) }
        try unsummed("2001:db8::1 > 2001:db8::2 icmp len=3000") { #expect(fragmenter.cut($0) == nil) }
    }

    /// A fragment that is too long itself goes on where it began.
    @Test func fragmentsBecomeShorter() throws {
        let fragmenter = Fragmenter(mtu: 600)
        for more in [false, true] {
            try unsummed("10.0.0.1 > 10.0.0.2 udp id=5 frag=1480\(more ? "+" : "") len=800") { p in
                let frames = try #require(fragmenter.cut(p))
                #expect(fragments(frames) == [1480 + 576, 1480 + 800])
                #expect(
                    frames.last!.load(fromByteOffset: CuttingTests.link + 6, as: UInt8.self) & 0x20 == (more ? 0x20 : 0)
                )
            }
        }
    }

    /// What was joined from fragments leaves as fragments no longer than those, whatever its header says, and in IPv6 too.
    @Test func joinedFragmentsAreFragmentedAgain() throws {
        let fragmenter = Fragmenter(mtu: 1500)
        try unsummed("10.0.0.1 > 10.0.0.2 proto=99 df len=2000", .fragments, of: 1020) {
            let frames = try #require(fragmenter.cut($0))
            #expect(fragments(frames) == [1000, 2000])
        }
        try unsummed("2001:db8::1 > 2001:db8::2 proto=99 len=2000", .fragments, of: 1280) { p in
            let frames = try #require(fragmenter.cut(p))
            let text: Substring = "2001:db8::1 > 2001:db8::2 proto=99 id="
            // Both have the identification that was chosen.
            let id = UInt32(bigEndian: frames[0].loadUnaligned(fromByteOffset: 14 + 44, as: UInt32.self))
            #expect(UInt32(bigEndian: frames[1].loadUnaligned(fromByteOffset: 14 + 44, as: UInt32.self)) == id)
            try expect(frames, [text + "\(id & 0xffff) frag=0+ len=1232", text + "\(id & 0xffff) frag=1232 len=768"])
        }
    }

    /// Options stay in the first fragment unless their first bit says otherwise.
    @Test func optionsAreCopiedIfTheySaySo() throws {
        // Record route, no operation, loose source route, end.
        let options: [UInt8] = [7, 3, 4, 1, 0x83, 3, 4, 0]
        var bytes = Array(try PacketText.frame("10.0.0.1 > 10.0.0.2 proto=99 len=1600").bytes)
        bytes.insert(contentsOf: options, at: CuttingTests.link + 20)
        bytes[CuttingTests.link] = 0x47
        (bytes[CuttingTests.link + 2], bytes[CuttingTests.link + 3]) = (UInt8(1628 >> 8), UInt8(1628 & 255))
        let frames = try bytes.withUnsafeMutableBytes { bytes in
            var item = Item(
                data: bytes.baseAddress!,
                length: UInt32(bytes.count),
                wireLength: UInt32(bytes.count),
                time: 0,
                sequence: 0,
                linkType: LinkType.ethernet,
                interface: 0
            )
            let fragmenter = Fragmenter(mtu: 1500)
            return try item.withPacket { try #require(fragmenter.cut($0)).map { Array($0) } }
        }
        let kept = frames.map { Array($0[CuttingTests.link + 20..<CuttingTests.link + 28]) }
        #expect(kept == [options, [1, 1, 1, 1, 0x83, 3, 4, 0]])
        for frame in frames {
            frame.withUnsafeBytes {
                let ip = IPv4View(UnsafeRawBufferPointer(rebasing: $0[CuttingTests.link...]))
                #expect(ip?.isChecksumRight == true)
            }
        }
    }

    /// What the kernel is told, and the sum of the pseudo-header where it expects that.
    @Test func theKernelIsToldWhatToDo() throws {
        let headers = OffloadHeaders(mtu: 1500, places: 2)
        func header(_ p: Packet) throws -> [UInt16] {
            let (vector, copied) = try #require(headers.describe(p, at: 1))
            #expect(vector.iov_len == 10 + copied && copied == Int(p.payload))
            let start = vector.iov_base!
            let field = Int(p.l4) + (p.ipProtocol == IPProtocol.tcp ? 16 : 6)
            let sum = (start + 10 + field).loadUnaligned(as: UInt16.self)
            #expect(sum == Checksum.fold(Frames.pseudoHeader(p.data, p, end: Int(p.length))))
            let (flags, kind) = (start.load(as: UInt8.self), start.load(fromByteOffset: 1, as: UInt8.self))
            return [UInt16(flags), UInt16(kind)] + (1..<5).map { start.load(fromByteOffset: 2 * $0, as: UInt16.self) }
        }
        try unsummed("10.0.0.1:80 > 10.0.0.2:4000 AC len=1200", .segments, of: 524) {
            let told = try header($0)
            #expect(told == [1, 0x81, 54, 524, 34, 16])
        }
        try unsummed("[2001:db8::1]:80 > [2001:db8::2]:4000 A vlan=3 len=9000", .segments, of: 1440) {
            let told = try header($0)
            #expect(told == [1, 4, 78, 1440, 58, 16])
        }
        try unsummed("10.0.0.1:80 > 10.0.0.2:53 udp len=9000", .datagrams, of: 1400) {
            let told = try header($0)
            #expect(told == [1, 5, 42, 1400, 34, 6])
        }
        try unsummed("10.0.0.1:80 > 10.0.0.2:53 udp len=100") {
            let told = try header($0)
            #expect(told == [1, 0, 42, 0, 34, 6])
        }
        // Too long for the link, of unknown size, or of a tunnel.
        try unsummed("10.0.0.1:80 > 10.0.0.2:53 udp len=9000", .datagrams, of: 1473) {
            #expect(headers.describe($0, at: 0) == nil)
        }
        try unsummed("10.0.0.1:80 > 10.0.0.2:53 A len=9000") { #expect(headers.describe($0, at: 0) == nil) }
        try unsummed("10.0.0.1:80 > 10.0.0.2:4789 udp len=9000", .segments, of: 1000) {
            #expect(headers.describe($0, at: 0) == nil)
        }
    }

    /// Where the fragments end in their packet, their IPv4 headers being right.
    private func fragments(_ frames: [UnsafeMutableRawBufferPointer]) -> [Int] {
        frames.map { frame in
            let at = frame[12] == 0x81 ? CuttingTests.link + 4 : CuttingTests.link
            guard let ip = IPv4View(UnsafeRawBufferPointer(rebasing: frame[at...])), ip.isChecksumRight else {
                return -1
            }
            return Int(ip.fragmentOffset) + Int(ip.totalLength) - ip.headerLength
        }
    }
}
