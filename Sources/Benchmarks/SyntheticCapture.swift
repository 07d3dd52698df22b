// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway

/// A capture for measuring: packets of random flows, one per microsecond, all headers and checksums correct.
///
/// Of the flows, 4 in 10 are TCP to port 80, 2 from port 80, 1 to port 443, and 3 UDP to port 53. The same numbers give the
/// same bytes.
struct SyntheticCapture {
    enum Frames: String, CaseIterable, Sendable {
        /// 60 bytes each.
        case small
        /// 60, 590 and 1514 bytes, 7 to 4 to 1.
        case imix
    }
    var packets: Int
    var flows: Int
    var frames = Frames.small

    private struct Flow {
        var source: UInt32
        var destination: UInt32
        var ports: (source: UInt16, destination: UInt16)
        var isTCP: Bool
        var sequence: UInt32
    }

    func write(to path: String) throws {
        var random = Xorshift()
        var flows = (0..<flows).map { k in
            let ephemeral = UInt16(1024 + random.next(below: 60_000))
            let kind = random.next(below: 10)
            let ports: (UInt16, UInt16) =
                switch kind {
                case 0..<4: (ephemeral, 80)
                case 4..<6: (80, ephemeral)
                case 6: (ephemeral, 443)
                default: (ephemeral, 53)
                }
            return Flow(
                source: 0x0a00_0000 | UInt32(truncatingIfNeeded: k & 0xff_ffff),
                destination: 0xc0a8_0000 | UInt32(random.next(below: 256)),
                ports: ports,
                isTCP: kind < 7,
                sequence: UInt32(random.next(below: 1 << 32))
            )
        }
        let lengths = frames == .small ? [60] : [60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 590, 60]
        let sink = try FileSink(path)
        var out: [UInt8] = []
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1] as [UInt32] { out.appendLittle(word) }
        for k in 0..<packets {
            let length = lengths[k % lengths.count]
            let seconds = 1_700_000_000 + UInt32(k / 1_000_000)
            for word in [seconds, UInt32(k % 1_000_000), UInt32(length), UInt32(length)] { out.appendLittle(word) }
            append(&out, &flows[random.next(below: flows.count)], length, id: UInt16(truncatingIfNeeded: k))
            if out.count > 1 << 20 {
                try out.withUnsafeBytes { try sink.write($0) }
                out.removeAll(keepingCapacity: true)
            }
        }
        try out.withUnsafeBytes { try sink.write($0) }
        try sink.flush()
    }

    /// Adds one frame of `length` bytes.
    private func append(_ out: inout [UInt8], _ flow: inout Flow, _ length: Int, id: UInt16) {
        let start = out.count
        out.append(contentsOf: [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0])
        let ip = out.count
        let total = length - 14
        out.append(contentsOf: [0x45, 0])
        out.appendBig(UInt16(total))
        out.appendBig(id)
        out.append(contentsOf: [0x40, 0, 64, flow.isTCP ? 6 : 17, 0, 0])
        out.appendBig(flow.source)
        out.appendBig(flow.destination)
        let transport = out.count
        let segment = total - 20
        out.appendBig(flow.ports.source)
        out.appendBig(flow.ports.destination)
        if flow.isTCP {
            out.appendBig(flow.sequence)
            flow.sequence &+= UInt32(segment - 20)
            out.append(contentsOf: [0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0])
        } else {
            out.appendBig(UInt16(segment))
            out.append(contentsOf: [0, 0])
        }
        while out.count < start + length { out.append(UInt8(ascii: "a") + UInt8((out.count - start) % 26)) }
        let checksums = out.withUnsafeBytes { bytes in
            let header = bytes.baseAddress! + ip
            let pseudo = Checksum.pseudoHeader(
                addresses: header + 12,
                8,
                proto: flow.isTCP ? 6 : 17,
                length: segment
            )
            return (
                Checksum.field(Checksum.sum(header, 20)),
                Checksum.field(pseudo + Checksum.sum(bytes.baseAddress! + transport, segment))
            )
        }
        out.put(checksums.0, at: ip + 10)
        // In UDP a sum of 0 is written in its other form; 0 would mean that there is no checksum (RFC 768).
        out.put(
            !flow.isTCP && checksums.1 == 0 ? 0xffff : checksums.1,
            at: transport + (flow.isTCP ? 16 : 6)
        )
    }
}

/// A small generator with a fixed seed (Marsaglia, "Xorshift RNGs", 2003).
private struct Xorshift {
    private var state: UInt64 = 0x9e37_79b9_7f4a_7c15

    mutating func next(below limit: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int((state >> 16) % UInt64(limit))
    }
}

extension [UInt8] {
    fileprivate mutating func appendLittle(_ word: UInt32) {
        for shift in stride(from: 0, through: 24, by: 8) { append(UInt8(truncatingIfNeeded: word >> UInt32(shift))) }
    }
    fileprivate mutating func appendBig(_ word: UInt32) {
        appendBig(UInt16(word >> 16))
        appendBig(UInt16(truncatingIfNeeded: word))
    }
    fileprivate mutating func appendBig(_ word: UInt16) {
        append(UInt8(word >> 8))
        append(UInt8(truncatingIfNeeded: word))
    }
    /// Stores a word that is in memory order, as checksums are.
    fileprivate mutating func put(_ word: UInt16, at index: Int) {
        Swift.withUnsafeBytes(of: word) { replaceSubrange(index..<index + 2, with: $0) }
    }
}
