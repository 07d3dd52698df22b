// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The packets that were recorded, for runs of the elements themselves: where a slow path leads across the channel, what becomes of a
/// packet depends on when others come back, and no recording of another run knows.
final class CapturedTraffic: @unchecked Sendable {
    /// One packet, and where its addresses stand.
    struct Frame: BitwiseCopyable {
        var data: UnsafeMutableRawPointer
        var length: UInt32
        var wireLength: UInt32
        var linkType: UInt16
        var interface: UInt16
        /// The wire that it came in by.
        var wire: Int32
        /// Where the address begins that copies change: that of the end that sent first between the two; -1 where there is none.
        var address: Int32 = -1
        /// Where the checksums stand that cover it; -1 where there are none.
        var headerSum: Int32 = -1
        var transportSum: Int32 = -1
        var isIPv6 = false
    }

    private(set) var frames: [Frame] = []
    /// For each pair of hosts that of the two that sent first.
    private var first: [[UInt8]: [UInt8]] = [:]

    deinit { for frame in frames { frame.data.deallocate() } }

    /// Keeps a packet that came in at `wire`; its headers are located.
    func append(_ item: UnsafeMutablePointer<Item>, wire: Int) {
        let length = Int(item.pointee.length)
        let data = UnsafeMutableRawPointer.allocate(byteCount: max(1, length), alignment: 16)
        data.copyMemory(from: item.pointee.data, byteCount: length)
        var frame = Frame(
            data: data,
            length: item.pointee.length,
            wireLength: item.pointee.wireLength,
            linkType: item.pointee.linkType,
            interface: item.pointee.interface,
            wire: Int32(wire)
        )
        if Headers.locate(item) == .ip { findAddress(&frame, item) }
        frames.append(frame)
    }

    private func findAddress(_ frame: inout Frame, _ item: UnsafeMutablePointer<Item>) {
        let l3 = Int(item.pointee.l3)
        frame.isIPv6 = item.pointee.ipVersion == 6
        let (source, size) = frame.isIPv6 ? (l3 + 8, 16) : (l3 + 12, 4)
        func address(_ at: Int) -> [UInt8] { (0..<size).map { frame.data.load(fromByteOffset: at + $0, as: UInt8.self) } }
        let (from, to) = (address(source), address(source + size))
        let pair = from.lexicographicallyPrecedes(to) ? from + to : to + from
        let client = first[pair] ?? from
        first[pair] = client
        frame.address = Int32(from == client ? source : source + size)
        if !frame.isIPv6 { frame.headerSum = Int32(l3 + 10) }
        // Only a first fragment has a transport header.
        guard !item.pointee.flags.contains(.laterFragment) else { return }
        let field: Int? =
            switch item.pointee.ipProtocol {
            case 6: 16
            case 17: 6
            case 58: 2
            default: nil
            }
        if let field, Int(item.pointee.l4) + field + 2 <= Int(frame.length) {
            frame.transportSum = Int32(Int(item.pointee.l4) + field)
            // A UDP checksum of 0 is none.
            if item.pointee.ipProtocol == 17, frame.data.loadUnaligned(fromByteOffset: Int(frame.transportSum), as: UInt16.self) == 0 { frame.transportSum = -1 }
        }
    }

    /// Gives a packet the addresses of copy `copy`: the end that sent first is another host of the same net in each.
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

/// Copies of what came in at one wire, each with flows of its own, as a load makes them.
final class CopiedTraffic: PacketSource {
    private let traffic: CapturedTraffic
    private var arrivals: Arrivals
    /// From picoseconds of virtual time to nanoseconds of functional time, and the virtual time of 0.
    private let scale: (numerator: Int128, denominator: Int128)
    private let start: Int64
    private let limit: Limit

    /// How far the traffic goes on; all wires share it.
    final class Limit {
        /// Virtual time before which packets come.
        var time: Int64 = 0
        /// Packets that still come from there on; nil while it is not reached.
        var packets: Int?
    }

    /// `numbers` are those of the packets that came in at the wire, at least one.
    init(
        _ traffic: CapturedTraffic,
        _ numbers: [Int],
        _ times: Traffic,
        _ schedule: Schedule,
        warmUp: Int,
        _ limit: Limit
    ) {
        self.traffic = traffic
        self.limit = limit
        arrivals = Arrivals(
            numbers.map { (Int32($0), times.times[$0]) },
            schedule,
            period: times.period,
            warmUp: warmUp
        )
        scale = times.functionalTime(schedule)
        start = schedule.start(-warmUp)
        super.init()
    }

    override func poll() -> Poll {
        let next = arrivals.next.time
        let isOver = limit.packets.map { $0 <= 0 } ?? (next >= limit.time)
        return isOver || next >= latestTime ? .ended : .ready(time(next))
    }

    private func time(_ virtual: Int64) -> Int64 {
        Int64(clamping: Int128(virtual &- start) * scale.numerator / scale.denominator)
    }

    override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        var n = 0
        while n < max, case .ready(let time) = poll(), time < limit, pool.take(1, into: indices + n) == 1 {
            let i = indices[n]
            let (number, copy) = (Int(arrivals.next.number), arrivals.next.copy)
            let frame = traffic.frames[number]
            pool.items[Int(i)] = Item(
                data: frame.data,
                length: frame.length,
                wireLength: frame.wireLength,
                time: time,
                sequence: sequence &+ UInt64(n),
                linkType: frame.linkType,
                interface: frame.interface
            )
            pool.own(i)
            CapturedTraffic.readdress(pool.items[Int(i)].data, frame, copy: copy)
            counters.pointee.packets &+= 1
            counters.pointee.bytes &+= UInt64(frame.wireLength)
            if self.limit.packets != nil { self.limit.packets! -= 1 }
            arrivals.advance()
            n += 1
        }
        return n
    }
}
