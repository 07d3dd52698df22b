// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Makes of a TCP segment or UDP datagram, as a host hands it to its network card, what the card would send: segments no longer than
/// the link takes, each with its checksums.
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

    /// The frames that a packet is sent as, valid until the next call; nil if it is too long and cannot be cut.
    func cut(_ p: Packet) -> [UnsafeMutableRawBufferPointer]? {
        pieces.removeAll(keepingCapacity: true)
        guard Headers.locate(p) == .ip, p.hasTransport, !p.isFragment else { return whole(p, isSummed: false) }
        let (l3, l4, payload) = (Int(p.l3), Int(p.l4), Int(p.payload))
        let end = min(l3 + Int(p.ipLength), Int(p.length))
        let room = mtu - (payload - l3)
        if end - l3 <= mtu { return whole(p, isSummed: true) }
        guard p.ipProtocol == IPProtocol.tcp, room > 0, payload <= end else { return nil }
        let count = (end - payload + room - 1) / room
        reserve(count * (payload + room))
        var at = 0
        for k in 0..<count {
            let from = payload + k * room
            let size = min(room, end - from)
            let frame = UnsafeMutableRawBufferPointer(rebasing: memory[at..<at + payload + size])
            frame.baseAddress!.copyMemory(from: p.data, byteCount: payload)
            (frame.baseAddress! + payload).copyMemory(from: p.data + from, byteCount: size)
            let start = frame.baseAddress!
            Frames.setLengths(start, l3: l3, l4: l4, version: p.ipVersion, end: payload + size, number: k)
            let sequence = start + l4 + 4
            let first = UInt32(bigEndian: sequence.loadUnaligned(as: UInt32.self))
            sequence.storeBytes(of: (first &+ UInt32(k * room)).bigEndian, as: UInt32.self)
            // CWR belongs to the first, FIN and PSH to the last (RFC 3168 section 6.1.2, and what cards do).
            let flags = start + l4 + 13
            var value = flags.load(as: UInt8.self)
            if k > 0 { value &= ~0x80 }
            if k < count - 1 { value &= ~0x09 }
            flags.storeBytes(of: value, as: UInt8.self)
            Frames.sum(start, p, end: payload + size)
            pieces.append(frame)
            at += payload + size
        }
        return pieces
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

/// What changes in the headers of a frame that is cut.
private enum Frames {
    /// Sets the lengths in the IP header, and for IPv4 a number of its own.
    static func setLengths(_ start: UnsafeMutableRawPointer, l3: Int, l4: Int, version: UInt8, end: Int, number: Int) {
        if version == 4 {
            let ip = start + l3
            (ip + 2).storeBytes(of: UInt16(truncatingIfNeeded: end - l3).bigEndian, as: UInt16.self)
            let id = UInt16(bigEndian: (ip + 4).loadUnaligned(as: UInt16.self)) &+ UInt16(truncatingIfNeeded: number)
            (ip + 4).storeBytes(of: id.bigEndian, as: UInt16.self)
            (ip + 10).storeBytes(of: 0, as: UInt16.self)
            let sum = Checksum.field(Checksum.sum(ip, l4 - l3))
            (ip + 10).storeBytes(of: sum, as: UInt16.self)
        } else {
            let size = end - l3 - 40
            (start + l3 + 4).storeBytes(of: UInt16(truncatingIfNeeded: size).bigEndian, as: UInt16.self)
        }
    }

    /// Fills in the transport checksum.
    static func sum(_ start: UnsafeMutableRawPointer, _ p: Packet, end: Int) {
        let (l3, l4) = (Int(p.l3), Int(p.l4))
        let field: Int
        switch p.ipProtocol {
        case IPProtocol.tcp: field = 16
        case IPProtocol.udp: field = 6
        default: return
        }
        let place = start + l4 + field
        place.storeBytes(of: 0, as: UInt16.self)
        let (at, size) = p.ipVersion == 4 ? (12, 8) : (8, 32)
        let sum =
            Checksum.pseudoHeader(addresses: start + l3 + at, size, proto: p.ipProtocol, length: end - l4)
            &+ Checksum.sum(start + l4, end - l4)
        var value = Checksum.field(sum)
        // RFC 768: 0 would say that there is none.
        if value == 0, p.ipProtocol == IPProtocol.udp { value = 0xffff }
        place.storeBytes(of: value, as: UInt16.self)
    }
}
