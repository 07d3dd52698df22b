// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway

/// A long capture made of a short one: copies of it, one after another, each between hosts of its own.
///
/// A copy moves the two addresses of each packet apart by its number, by as much as leaves all checksums right. Only frames of Ethernet that
/// hold IPv4 or IPv6 without a VLAN tag are taken over.
struct RepeatedCapture {
    var original: String
    /// Packets, at least: the last copy is whole.
    var packets: Int

    private struct Frame {
        var time: Int64
        var wireLength: UInt32
        var bytes: [UInt8]
    }

    func write(to path: String) throws {
        let frames = try frames()
        guard let first = frames.first?.time, let last = frames.last?.time else {
            throw BenchmarkError("\(original) has no packets of IP in Ethernet")
        }
        let writer = try CaptureWriter(path: path)
        let period = last - first + 10_000_000
        let copies = (packets + frames.count - 1) / frames.count
        for copy in 0..<copies {
            for frame in frames {
                var bytes = frame.bytes
                guard RepeatedCapture.moveApart(&bytes, by: copy) else {
                    throw BenchmarkError("the addresses in \(original) leave no room for \(copies) copies")
                }
                try bytes.withUnsafeMutableBytes { bytes in
                    var item = Item(
                        data: bytes.baseAddress!,
                        length: UInt32(bytes.count),
                        wireLength: frame.wireLength,
                        time: frame.time + Int64(copy) * period,
                        sequence: 0,
                        linkType: LinkType.ethernet,
                        interface: 0
                    )
                    try item.withPacket(writer.write)
                }
            }
        }
        try writer.close()
    }

    private func frames() throws -> [Frame] {
        let source = try CaptureSource(paths: [original])
        let pool = try Pool(capacity: 256)
        var indices = [Int32](repeating: 0, count: 64)
        var frames: [Frame] = []
        while true {
            let count = source.fill(pool, &indices, max: 64, before: .max, sequence: UInt64(frames.count))
            if count == 0 { break }
            for k in indices[..<count] {
                let item = pool.items[Int(k)]
                let frame = Frame(time: item.time, wireLength: item.wireLength, bytes: Array(item.bytes))
                if item.linkType == LinkType.ethernet, RepeatedCapture.addresses(frame.bytes) != nil {
                    frames.append(frame)
                }
            }
            pool.giveBack(indices, count: count)
        }
        if let failure = source.failure { throw failure }
        return frames
    }

    /// Where the addresses of a frame are, and their length.
    private static func addresses(_ bytes: [UInt8]) -> (source: Int, length: Int)? {
        if bytes.count >= 34, bytes[12...13] == [0x08, 0x00] { return (26, 4) }
        if bytes.count >= 54, bytes[12...13] == [0x86, 0xdd] { return (22, 16) }
        return nil
    }

    /// Adds to the first word of the lower address, and takes as much from that of the other, so that the sum over both stays; false if
    /// one of the words has no room for that.
    private static func moveApart(_ bytes: inout [UInt8], by distance: Int) -> Bool {
        guard let (source, length) = addresses(bytes) else { return false }
        let destination = source + length
        let isUpward = bytes[source..<destination].lexicographicallyPrecedes(bytes[destination..<destination + length])
        for (address, adds) in [(source, isUpward), (destination, !isUpward)] {
            let word = Int(bytes[address]) << 8 | Int(bytes[address + 1])
            guard let moved = UInt16(exactly: adds ? word + distance : word - distance) else { return false }
            bytes[address] = UInt8(moved >> 8)
            bytes[address + 1] = UInt8(truncatingIfNeeded: moved)
        }
        return true
    }
}
