// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Makes of what a host hands to its network card, or was joined, what a card would send: segments and datagrams as they were before,
/// but no longer than the link takes, each with its checksums.
final class SegmentCutter {
    private let mtu: Int
    private var memory: UnsafeMutableRawBufferPointer
    private var pieces: [UnsafeMutableRawBufferPointer] = []

    /// - Parameter mtu: the most bytes behind the link header.
    init(mtu: Int) {
        self.mtu = mtu
        memory = .allocate(byteCount: 128 << 10, alignment: 64)
    }

    deinit { memory.deallocate() }

    /// The frames that a packet is sent as, valid until the next call; nil if it is too long and no segments.
    func cut(_ p: Packet) -> [UnsafeMutableRawBufferPointer]? {
        pieces.removeAll(keepingCapacity: true)
        guard Headers.locate(p) == .ip, p.hasTransport, !p.isFragment else { return whole(p, isSummed: false) }
        let (l3, l4, payload) = (Int(p.l3), Int(p.l4), Int(p.payload))
        let end = min(l3 + Int(p.ipLength), Int(p.length))
        let size = Frames.segmentSize(p)
        if end - l3 <= mtu, size == 0 || end - payload <= size { return whole(p, isSummed: true) }
        let most = mtu - (payload - l3)
        let isTCP = p.ipProtocol == IPProtocol.tcp
        // What is one datagram stays one; nobody else knows where it would have to be cut.
        guard isTCP && p.joined != .fragments || size > 0 && size <= most, most > 0, payload <= end, Frames.isBare(p)
        else {
            return nil
        }
        let room = size > 0 ? min(size, most) : most
        let count = (end - payload + room - 1) / room
        reserve(count * (payload + room))
        var at = 0
        for k in 0..<count {
            let from = payload + k * room
            let size = min(room, end - from)
            let frame = UnsafeMutableRawBufferPointer(rebasing: memory[at..<at + payload + size])
            let start = frame.baseAddress!
            start.copyMemory(from: p.data, byteCount: payload)
            (start + payload).copyMemory(from: p.data + from, byteCount: size)
            Frames.setLengths(start, p, end: payload + size)
            if p.ipVersion == 4 {
                let id = start + l3 + 4
                let first = UInt16(bigEndian: id.loadUnaligned(as: UInt16.self))
                id.storeBytes(of: (first &+ UInt16(truncatingIfNeeded: k)).bigEndian, as: UInt16.self)
                Frames.sumHeader(start + l3, l4 - l3)
            }
            if isTCP {
                number(start + l4, offset: k * room, isFirst: k == 0, isLast: k == count - 1)
            } else {
                let length = UInt16(truncatingIfNeeded: payload + size - l4)
                (start + l4 + 4).storeBytes(of: length.bigEndian, as: UInt16.self)
            }
            Frames.sum(start, p, end: payload + size)
            pieces.append(frame)
            at += payload + size
        }
        return pieces
    }

    /// Sets in a segment's header what is its own.
    private func number(_ tcp: UnsafeMutableRawPointer, offset: Int, isFirst: Bool, isLast: Bool) {
        let first = UInt32(bigEndian: (tcp + 4).loadUnaligned(as: UInt32.self))
        (tcp + 4).storeBytes(of: (first &+ UInt32(offset)).bigEndian, as: UInt32.self)
        // CWR belongs to the first, FIN and PSH to the last (RFC 3168 section 6.1.2, and what cards do).
        var flags = (tcp + 13).load(as: UInt8.self)
        if !isFirst { flags &= ~0x80 }
        if !isLast { flags &= ~0x09 }
        (tcp + 13).storeBytes(of: flags, as: UInt8.self)
    }

    /// The packet itself, with its checksum if that is missing; nil if it is too long.
    private func whole(_ p: Packet, isSummed: Bool) -> [UnsafeMutableRawBufferPointer]? {
        guard Int(p.length) - Int(p.l3) <= mtu || p.ipVersion == Item.noIP else { return nil }
        reserve(Int(p.length))
        let frame = UnsafeMutableRawBufferPointer(rebasing: memory[..<Int(p.length)])
        frame.baseAddress!.copyMemory(from: p.data, byteCount: Int(p.length))
        if isSummed, p.flags.contains(.unsummed) {
            Frames.sum(frame.baseAddress!, p, end: min(Int(p.l3) + Int(p.ipLength), Int(p.length)))
        }
        pieces.append(frame)
        return pieces
    }

    private func reserve(_ count: Int) {
        if memory.count >= count { return }
        memory.deallocate()
        memory = .allocate(byteCount: 2 * count, alignment: 64)
    }
}
