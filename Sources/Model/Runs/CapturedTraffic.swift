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
    }

    private(set) var frames: [Frame] = []
    /// For each pair of hosts, which sent first.
    private var first: [[UInt8]: [UInt8]] = [:]

    deinit { for frame in frames { frame.data.deallocate() } }

    /// Stores a packet of flow `key` that entered at `wire`.
    func append(_ packet: Packet, wire: Int, key: UInt32) {
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
            key: key
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
        let client = first[pair] ?? from
        first[pair] = client
        frame.address = Int32(from == client ? source : source + size)
        if !frame.isIPv6 { frame.headerSum = Int32(l3 + 10) }
        // Only a first fragment has a transport header.
        guard !packet.isLaterFragment else { return }
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

    /// Rewrites a packet's addresses for copy `copy`: the end that sent first is a different host of the same net in each.
    static func readdress(_ data: UnsafeMutableRawPointer, _ frame: Frame, copy: Int32) {
        guard frame.address >= 0, copy != 0 else { return }
        let at = Int(frame.address) + (frame.isIPv6 ? 12 : 0)
        // An odd factor makes all masks of one width different. The first byte of an IPv4 address stays.
        let mask = UInt32(bitPattern: copy) &* 0x9e37_79b1 & (frame.isIPv6 ? .max : 0x00ff_ffff)
        let old = UInt32(bigEndian: data.loadUnaligned(fromByteOffset: at, as: UInt32.self))
        let new = old ^ mask
        data.storeBytes(of: new.bigEndian, toByteOffset: at, as: UInt32.self)
        for sum in [frame.headerSum, frame.transportSum] where sum >= 0 {
            let field = Checksum.update(
                UInt16(bigEndian: data.loadUnaligned(fromByteOffset: Int(sum), as: UInt16.self)),
                old,
                new
            )
            data.storeBytes(of: field.bigEndian, toByteOffset: Int(sum), as: UInt16.self)
        }
    }
}

/// The source of one wire: packets from copies of the captured traffic, each copy with its own flows.
final class CopiedTraffic: PacketSource {
    /// A packet of a copy, and its functional arrival time in nanoseconds.
    struct Arrival: BitwiseCopyable {
        var time: Int64
        var number: Int32
        var copy: Int32
    }

    private let traffic: CapturedTraffic
    private let arrivals: [Arrival]
    private var next = 0
    /// The number of arrivals after which the source ends.
    var end: Int

    /// `arrivals` are in order of time; the source ends after the first `end` of them, until told to continue.
    init(_ traffic: CapturedTraffic, _ arrivals: [Arrival], end: Int) {
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
            CapturedTraffic.readdress(pool.items[Int(i)].data, frame, copy: arrival.copy)
            counters.pointee.packets &+= 1
            counters.pointee.bytes &+= UInt64(frame.wireLength)
            next += 1
            n += 1
        }
        return n
    }
}
