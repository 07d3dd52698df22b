// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Packets in memory; items point into it, as they do into a mapped capture.
public final class MemorySource: PacketSource {
    /// A packet to supply.
    public struct Packet: Sendable {
        /// The captured bytes.
        public var bytes: [UInt8]
        /// Length on the wire in bytes.
        public var wireLength: Int
        /// Its stamp, in nanoseconds.
        public var time: Int64
        /// LINKTYPE_ value of its outermost header; 1 is Ethernet.
        public var linkType: UInt16
        /// Its sender left its transport checksum to a network card; see ``ItemFlags/unsummed``.
        public var isUnsummed = false

        public init(bytes: [UInt8], wireLength: Int, time: Int64, linkType: UInt16 = 1) {
            self.bytes = bytes
            self.wireLength = wireLength
            self.time = time
            self.linkType = linkType
        }
    }

    private let memory: UnsafeMutableRawPointer
    /// A packet in `memory`, and when it is supplied.
    private struct Frame {
        var offset: Int
        var length: Int
        var wireLength: Int
        var stamp: Int64
        var time: Int64
        var linkType: UInt16
        var flags: ItemFlags
    }
    private let frames: [Frame]
    private var next = 0

    /// The packets in the order in which they are supplied.
    public init(_ packets: [Packet]) {
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: packets.reduce(1) { $0 + $1.bytes.count },
            alignment: 64
        )
        var offset = 0
        var clock = StampClock()
        var list: [Frame] = []
        for (number, packet) in packets.enumerated() {
            packet.bytes.withUnsafeBytes { bytes in
                if let base = bytes.baseAddress { (memory + offset).copyMemory(from: base, byteCount: bytes.count) }
            }
            let time = clock.time(of: packet.time, next: number + 1 < packets.count ? packets[number + 1].time : nil)
            clock.advance(to: time, stamp: packet.time)
            list.append(
                Frame(
                    offset: offset,
                    length: packet.bytes.count,
                    wireLength: packet.wireLength,
                    stamp: packet.time,
                    time: time,
                    linkType: packet.linkType,
                    flags: packet.isUnsummed ? .unsummed : []
                )
            )
            offset += packet.bytes.count
        }
        self.memory = memory
        frames = list
        super.init()
    }

    deinit { memory.deallocate() }

    public override var nextTime: Int64 { next < frames.count ? frames[next].time : .max }

    public override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        var count = 0
        while next < frames.count, count < max, frames[next].time < limit, pool.take(1, into: indices + count) == 1 {
            let packet = frames[next]
            pool.items[Int(indices[count])] = Item(
                data: memory + packet.offset,
                length: UInt32(packet.length),
                wireLength: UInt32(packet.wireLength),
                time: packet.stamp,
                sequence: sequence + UInt64(count),
                linkType: packet.linkType,
                interface: 0
            )
            pool.items[Int(indices[count])].flags = packet.flags
            if packet.time != packet.stamp { pool.enter(indices[count], at: packet.time) }
            if packet.stamp < packet.time { counters.pointee.backwards += 1 }
            if packet.stamp > packet.time { counters.pointee.ahead += 1 }
            counters.pointee.first = min(counters.pointee.first, packet.time)
            counters.pointee.last = packet.time
            counters.pointee.packets += 1
            counters.pointee.bytes += UInt64(packet.wireLength)
            counters.pointee.measure(captured: UInt32(packet.length), wire: UInt32(packet.wireLength))
            next += 1
            count += 1
        }
        return count
    }
    public override var linkTypes: [(linkType: UInt16, packets: UInt64)] {
        var seen: [UInt16: UInt64] = [:]
        for frame in frames[..<next] { seen[frame.linkType, default: 0] += 1 }
        return seen.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}
