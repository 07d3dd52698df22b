// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The recorded packets, for runs of the elements themselves: if a slow path crosses the channel, a packet's fate depends on
/// when others come back, which no recording of another run can know.
final class CapturedTraffic: @unchecked Sendable {
    /// One packet, and the offsets of its addresses.
    struct Frame: BitwiseCopyable {
        var data: UnsafeMutableRawPointer
        var length: UInt32
        var wireLength: UInt32
        var linkType: UInt16
        var interface: UInt16
        /// The wire by which it entered.
        var wire: Int32
        /// The key of its flow; 0 if it has none.
        var key: UInt32
        /// Offset of the address that copies change: of the two ends, that of the first sender; -1 if there is none.
        var address: Int32 = -1
        /// Offsets of the checksums that cover it; -1 if there are none.
        var headerSum: Int32 = -1
        var transportSum: Int32 = -1
        var isIPv6 = false
        /// Where the port of that end begins, if copies change it; -1 otherwise.
        var port: Int32 = -1
        /// Functional time in nanoseconds.
        var time: Int64
        /// The number of the two hosts; -1 if it is no IP packet.
        var pair: Int32 = -1
    }

    private(set) var frames: [Frame] = []
    /// For each pair of hosts, which sent first.
    private var first: [[UInt8]: (client: [UInt8], number: Int32)] = [:]
    /// Pairs that send fragments, of which most show no port.
    private var fragmented: Set<Int32> = []

    deinit { for frame in frames { frame.data.deallocate() } }

    /// Stores a packet of flow `key` that entered at `wire` at functional time `now`.
    func append(_ packet: Packet, now: Int64, wire: Int, key: UInt32) {
        let length = Int(packet.length)
        let data = UnsafeMutableRawPointer.allocate(byteCount: max(1, length), alignment: 16)
        data.copyMemory(from: packet.data, byteCount: length)
        var frame = Frame(
            data: data,
            length: packet.length,
            wireLength: packet.wireLength,
            linkType: packet.linkType,
            interface: packet.interface,
            wire: Int32(wire),
            key: key,
            time: now
        )
        if Headers.locate(packet) == .ip { findAddress(&frame, packet) }
        frames.append(frame)
    }

    private func findAddress(_ frame: inout Frame, _ packet: Packet) {
        let l3 = Int(packet.l3)
        frame.isIPv6 = packet.ipVersion == 6
        let (source, size) = frame.isIPv6 ? (l3 + 8, 16) : (l3 + 12, 4)
        func address(_ at: Int) -> [UInt8] {
            (0..<size).map { frame.data.load(fromByteOffset: at + $0, as: UInt8.self) }
        }
        let (from, to) = (address(source), address(source + size))
        let pair = from.lexicographicallyPrecedes(to) ? from + to : to + from
        let (client, number) = first[pair] ?? (from, Int32(first.count))
        first[pair] = (client, number)
        frame.pair = number
        if packet.isFragment { fragmented.insert(number) }
        frame.address = Int32(from == client ? source : source + size)
        if !frame.isIPv6 { frame.headerSum = Int32(l3 + 10) }
        // Only a first fragment has a transport header.
        guard !packet.isLaterFragment else { return }
        if IPProtocol.hasPorts(packet.ipProtocol), Int(packet.l4) + 4 <= Int(frame.length) {
            let at = Int(packet.l4) + (from == client ? 0 : 2)
            // Low ports say what the traffic is.
            if UInt16(bigEndian: frame.data.loadUnaligned(fromByteOffset: at, as: UInt16.self)) >= 0x4000 {
                frame.port = Int32(at)
            }
        }
        let field: Int? =
            switch packet.ipProtocol {
            case 6: 16
            case 17: 6
            case 58: 2
            default: nil
            }
        if let field, Int(packet.l4) + field + 2 <= Int(frame.length) {
            frame.transportSum = Int32(Int(packet.l4) + field)
            // A UDP checksum of 0 means none.
            if packet.ipProtocol == 17,
                frame.data.loadUnaligned(fromByteOffset: Int(frame.transportSum), as: UInt16.self) == 0
            {
                frame.transportSum = -1
            }
        }
    }

    /// All packets are there.
    func finish() {
        for k in frames.indices where fragmented.contains(frames[k].pair) { frames[k].port = -1 }
        first = [:]
    }

    /// Rewrites a packet for copy `copy`, of which `bits` bits make a difference: as many as the copies of one run need. They change the
    /// port of the end that sent first, and what is left its address from the low end on, so that it stays in as small a net as can be; if
    /// the port is a low one, or cannot be seen, they change the address alone.
    static func readdress(_ data: UnsafeMutableRawPointer, _ frame: Frame, copy: Int64, bits: Int) {
        guard frame.address >= 0, copy != 0 else { return }
        // An odd factor makes all masks of one width different.
        let mask = UInt64(truncatingIfNeeded: copy) &* 0x9e37_79b1 & (1 << UInt64(bits) &- 1)
        let hasPort = frame.port >= 0
        let host = UInt32(truncatingIfNeeded: hasPort ? mask &>> 14 : mask) & (frame.isIPv6 ? .max : 0x00ff_ffff)
        let at = Int(frame.address) + (frame.isIPv6 ? 12 : 0)
        let old = UInt32(bigEndian: data.loadUnaligned(fromByteOffset: at, as: UInt32.self))
        data.storeBytes(of: (old ^ host).bigEndian, toByteOffset: at, as: UInt32.self)
        if frame.headerSum >= 0 { update(data, frame.headerSum, old, old ^ host) }
        if frame.transportSum >= 0 { update(data, frame.transportSum, old, old ^ host) }
        guard hasPort else { return }
        let port = UInt16(bigEndian: data.loadUnaligned(fromByteOffset: Int(frame.port), as: UInt16.self))
        let other = port ^ UInt16(truncatingIfNeeded: mask & 0x3fff)
        data.storeBytes(of: other.bigEndian, toByteOffset: Int(frame.port), as: UInt16.self)
        if frame.transportSum >= 0 { update(data, frame.transportSum, UInt32(port), UInt32(other)) }
    }

    private static func update(_ data: UnsafeMutableRawPointer, _ at: Int32, _ old: UInt32, _ new: UInt32) {
        let field = UInt16(bigEndian: data.loadUnaligned(fromByteOffset: Int(at), as: UInt16.self))
        data.storeBytes(of: Checksum.update(field, old, new).bigEndian, toByteOffset: Int(at), as: UInt16.self)
    }
}

/// The source of one wire: packets from copies of the captured traffic, each copy with its own flows.
final class CopiedTraffic: PacketSource {
    /// A packet of a copy, and its functional arrival time in nanoseconds.
    struct Arrival: BitwiseCopyable {
        var time: Int64
        var number: Int32
        var copy: Int64
    }

    private let traffic: CapturedTraffic
    private let arrivals: [Arrival]
    private let bits: Int
    private var next = 0
    /// The number of arrivals after which the source ends.
    var end: Int

    /// `arrivals` are in order of time; the source ends after the first `end` of them, until told to continue.
    init(_ traffic: CapturedTraffic, _ arrivals: [Arrival], end: Int, bits: Int) {
        self.bits = bits
        self.traffic = traffic
        self.arrivals = arrivals
        self.end = end
        super.init()
    }

    /// Continues with all remaining arrivals.
    func goOn() { end = arrivals.count }

    override var nextTime: Int64 { next < end ? arrivals[next].time : .max }

    override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        var n = 0
        while n < max, next < end, arrivals[next].time < limit, pool.take(1, into: indices + n) == 1 {
            let (i, arrival) = (indices[n], arrivals[next])
            let frame = traffic.frames[Int(arrival.number)]
            pool.items[Int(i)] = Item(
                data: frame.data,
                length: frame.length,
                wireLength: frame.wireLength,
                time: arrival.time,
                sequence: sequence &+ UInt64(n),
                linkType: frame.linkType,
                interface: frame.interface
            )
            pool.own(i)
            CapturedTraffic.readdress(pool.items[Int(i)].data, frame, copy: arrival.copy, bits: bits)
            counters.pointee.packets &+= 1
            counters.pointee.bytes &+= UInt64(frame.wireLength)
            next += 1
            n += 1
        }
        return n
    }
}
