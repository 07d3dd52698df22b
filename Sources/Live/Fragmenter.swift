// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Makes fragments of an IP packet that is longer than the link takes (RFC 791 section 3.2): of an IPv4 packet that allows it, and of
/// any that was joined from fragments, none longer than those were.
final class Fragmenter {
    private let mtu: Int
    private var memory: UnsafeMutableRawBufferPointer
    private var pieces: [UnsafeMutableRawBufferPointer] = []
    /// The identification of the last IPv6 packet. A joined one has lost its own.
    private var identification = UInt32.random(in: .min ... .max)

    private static let dontFragment: UInt16 = 0x4000
    private static let moreFragments: UInt16 = 0x2000
    /// Bytes of an IPv6 header, and of the header of a fragment behind it (RFC 8200 section 4.5).
    private static let headerV6 = 40
    private static let fragmentHeader = 8

    /// - Parameter mtu: the most bytes behind the link header.
    init(mtu: Int) {
        self.mtu = mtu
        // A packet of 64 KiB in fragments of the least MTU there is.
        memory = .allocate(byteCount: 256 << 10, alignment: 64)
    }

    deinit { memory.deallocate() }

    /// The frames that a packet is sent as, valid until the next call; nil if it must not be fragmented.
    func cut(_ p: Packet) -> [UnsafeMutableRawBufferPointer]? {
        pieces.removeAll(keepingCapacity: true)
        // Of joined datagrams each would have to be cut.
        if p.joined == .unknown { return nil }
        guard Headers.locate(p) == .ip, p.ipEnd <= p.length, Frames.isBare(p), Frames.segmentSize(p) == 0 else {
            return nil
        }
        let most = p.joined == .fragments ? min(mtu, Int(p.pieceSize)) : mtu
        if p.ipVersion == 4 { return cutV4(p, most) }
        return p.joined == .fragments ? cutV6(p, most) : nil
    }

    private func cutV4(_ p: Packet, _ most: Int) -> [UnsafeMutableRawBufferPointer]? {
        let ip = p.networkHeader
        let header = Int(ip.load(as: UInt8.self) & 15) * 4
        let field = UInt16(bigEndian: (ip + 6).loadUnaligned(as: UInt16.self))
        guard field & Fragmenter.dontFragment == 0 || p.joined == .fragments else { return nil }
        // A packet that is a fragment itself goes on where that begins, and may not be the last.
        let first = Int(field & 0x1fff) * 8
        let kept = field & Fragmenter.dontFragment
        let more = field & Fragmenter.moreFragments
        let isCut = cut(p, headers: header, added: 0, most) { frame, at, isLast in
            let ip = frame.baseAddress! + Int(p.l3)
            Frames.setLengths(frame.baseAddress!, p, end: frame.count)
            let field = kept | (isLast ? more : Fragmenter.moreFragments) | UInt16(truncatingIfNeeded: (first + at) / 8)
            (ip + 6).storeBytes(of: field.bigEndian, as: UInt16.self)
            if at > 0 { Fragmenter.removeOptions(UnsafeMutableRawBufferPointer(start: ip + 20, count: header - 20)) }
            Frames.sumHeader(ip, header)
        }
        return isCut ? pieces : nil
    }

    private func cutV6(_ p: Packet, _ most: Int) -> [UnsafeMutableRawBufferPointer]? {
        // Some extension headers stay before that of the fragment, others do not.
        guard Int(p.l4) - Int(p.l3) == Fragmenter.headerV6 else { return nil }
        identification &+= 1
        let next = (p.networkHeader + 6).load(as: UInt8.self)
        let isCut = cut(p, headers: Fragmenter.headerV6, added: Fragmenter.fragmentHeader, most) { frame, at, isLast in
            let ip = frame.baseAddress! + Int(p.l3)
            Frames.setLengths(frame.baseAddress!, p, end: frame.count)
            (ip + 6).storeBytes(of: 44, as: UInt8.self)
            let header = ip + Fragmenter.headerV6
            (header + 1).storeBytes(of: 0, as: UInt8.self)
            header.storeBytes(of: next, as: UInt8.self)
            (header + 2).storeBytes(of: (UInt16(truncatingIfNeeded: at) | (isLast ? 0 : 1)).bigEndian, as: UInt16.self)
            (header + 4).storeBytes(of: identification.bigEndian, as: UInt32.self)
        }
        return isCut ? pieces : nil
    }

    /// Cuts what is behind so many bytes of headers into pieces of which all but the last are multiples of eight bytes, each behind a
    /// copy of the headers and `added` bytes, so that `most` bytes are behind the link header. Calls `complete` for each, with where it
    /// begins in the packet. False if there is no room for data.
    private func cut(
        _ p: Packet,
        headers: Int,
        added: Int,
        _ most: Int,
        _ complete: (_ frame: UnsafeMutableRawBufferPointer, _ at: Int, _ isLast: Bool) -> Void
    ) -> Bool {
        let (begin, end) = (Int(p.l3) + headers, Int(p.ipEnd))
        let room = (most - headers - added) & ~7
        guard room > 0, begin < end else { return false }
        let count = (end - begin + room - 1) / room
        reserve(count * (begin + added + room))
        var place = 0
        for k in 0..<count {
            let from = begin + k * room
            let size = min(room, end - from)
            let frame = UnsafeMutableRawBufferPointer(rebasing: memory[place..<place + begin + added + size])
            let start = frame.baseAddress!
            start.copyMemory(from: p.data, byteCount: begin)
            (start + begin + added).copyMemory(from: p.data + from, byteCount: size)
            complete(frame, k * room, k == count - 1)
            pieces.append(frame)
            place += frame.count
        }
        if p.flags.contains(.unsummed), p.hasTransport, !p.isFragment, let field = Frames.checksumField(p) {
            // It sums all of the packet, and stands in the first fragment.
            let sum = Frames.checksum(p.data, p, field: field, end: end)
            (pieces[0].baseAddress! + Int(p.l4) + added + field).storeBytes(of: sum, as: UInt16.self)
        }
        return true
    }

    /// Makes of the options that only the first fragment has some that say nothing.
    private static func removeOptions(_ options: UnsafeMutableRawBufferPointer) {
        var at = 0
        while at < options.count, options[at] != 0 {
            if options[at] == 1 {
                at += 1
                continue
            }
            guard at + 1 < options.count, options[at + 1] >= 2 else { return }
            let end = min(at + Int(options[at + 1]), options.count)
            // The first bit says that every fragment has it.
            if options[at] & 0x80 == 0 { for k in at..<end { options[k] = 1 } }
            at = end
        }
    }

    private func reserve(_ count: Int) {
        if memory.count >= count { return }
        memory.deallocate()
        memory = .allocate(byteCount: 2 * count, alignment: 64)
    }
}
