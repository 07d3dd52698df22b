// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CZlib
import Capture
import Dataplane
import Foundation

/// One packet, taken out of its item.
struct Packet: Equatable {
    var time: Int64
    var bytes: [UInt8]
    var wireLength: UInt32
    var linkType: UInt16
    var interface: UInt16 = 0

    init(_ item: Item) {
        time = item.time
        bytes = Array(item.bytes)
        wireLength = item.wireLength
        linkType = item.linkType
        interface = item.interface
    }

    init(time: Int64, bytes: [UInt8], wireLength: UInt32? = nil, linkType: UInt16 = 1, interface: UInt16 = 0) {
        self.time = time
        self.bytes = bytes
        self.wireLength = wireLength ?? UInt32(bytes.count)
        self.linkType = linkType
        self.interface = interface
    }
}

/// What a source gave, and how it ended.
struct Outcome {
    var packets: [Packet] = []
    /// Functional time at which each came in.
    var times: [Int64] = []
    var error: CaptureError?
    /// The error came when the source was made.
    var atStart = false
    var backwards: UInt64 = 0
    var ahead: UInt64 = 0
    var clamped: UInt64 = 0
    var bytes: UInt64 = 0
    var linkTypes: [UInt16: UInt64] = [:]
    var warnings: [String] = []
}

/// Reads files to the end, in batches of at most `batch`, and checks what every source must keep.
func read(_ paths: [String], batch: Int = 64, pool capacity: Int = 256) throws -> Outcome {
    var outcome = Outcome()
    let source: CaptureSource
    do {
        source = try CaptureSource(paths: paths)
    } catch let error as CaptureError {
        outcome.error = error
        outcome.atStart = true
        return outcome
    }
    let pool = try Pool(capacity: capacity)
    var indices = [Int32](repeating: 0, count: batch)
    while true {
        let next = source.nextTime
        let sequence = UInt64(outcome.packets.count)
        let n = source.fill(pool, &indices, max: batch, before: .max, sequence: sequence)
        if n == 0 {
            if next != .max { throw Broken("nothing given although a packet is announced for \(next)") }
            break
        }
        for k in 0..<n {
            let item = pool.items[Int(indices[k])]
            let now = pool.now(indices[k])
            if k == 0 && now != next { throw Broken("announced \(next), given \(now)") }
            if let last = outcome.times.last, now < last { throw Broken("time stepped back from \(last) to \(now)") }
            outcome.times.append(now)
            if item.sequence != sequence + UInt64(k) { throw Broken("sequence \(item.sequence)") }
            outcome.packets.append(Packet(item))
        }
        pool.giveBack(indices, count: n)
    }
    if pool.freeCount != capacity { throw Broken("items were lost") }
    if source.packets != UInt64(outcome.packets.count) { throw Broken("packets counted wrongly") }
    if source.linkTypes.reduce(0, { $0 + $1.packets }) != source.packets { throw Broken("link types counted wrongly") }
    outcome.error = source.failure as? CaptureError
    outcome.backwards = source.backwards
    outcome.ahead = source.ahead
    outcome.clamped = source.clamped
    outcome.bytes = source.bytes
    outcome.linkTypes = Dictionary(uniqueKeysWithValues: source.linkTypes.map { ($0.linkType, $0.packets) })
    outcome.warnings = source.warnings
    return outcome
}

/// A law that did not hold.
struct Broken: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Writes numbers in one byte order.
struct Bytes {
    var bytes: [UInt8] = []
    var isBig = false

    mutating func put<T: FixedWidthInteger>(_ values: T...) {
        for value in values { withUnsafeBytes(of: isBig ? value.bigEndian : value.littleEndian) { bytes += $0 } }
    }
}

/// A pcap file put together by hand.
func pcap(
    magic: UInt32 = 0xa1b2_c3d4,
    isBig: Bool = false,
    version: (UInt16, UInt16) = (2, 4),
    network: UInt32 = 1,
    extra: Int = 0,
    headerExtra: Int = 0,
    lengthsSwapped: Bool = false,
    _ records: [(seconds: UInt32, fraction: UInt32, bytes: [UInt8], wire: UInt32)]
) -> [UInt8] {
    var out = Bytes(isBig: isBig)
    out.put(magic)
    out.put(version.0, version.1)
    out.put(UInt32(0), 0, 65_535, network)
    out.bytes += [UInt8](repeating: 0, count: extra)
    for record in records {
        out.put(record.seconds, record.fraction)
        let captured = UInt32(record.bytes.count)
        if lengthsSwapped { out.put(record.wire, captured) } else { out.put(captured, record.wire) }
        out.bytes += [UInt8](repeating: 0xee, count: headerExtra) + record.bytes
    }
    return out.bytes
}

/// Blocks of pcapng put together by hand.
struct Blocks {
    var out: Bytes
    init(isBig: Bool = false) { out = Bytes(isBig: isBig) }
    var bytes: [UInt8] { out.bytes }

    mutating func block(_ type: UInt32, _ body: (inout Bytes) -> Void) {
        var inner = Bytes(isBig: out.isBig)
        body(&inner)
        inner.bytes += [UInt8](repeating: 0, count: (4 - inner.bytes.count % 4) % 4)
        out.put(type, UInt32(inner.bytes.count + 12))
        out.bytes += inner.bytes
        out.put(UInt32(inner.bytes.count + 12))
    }

    mutating func section(major: UInt16 = 1, minor: UInt16 = 0) {
        block(0x0a0d_0d0a) {
            $0.put(UInt32(0x1a2b_3c4d))
            $0.put(major, minor)
            $0.put(UInt64.max)
        }
    }

    mutating func interface(
        _ linkType: UInt16 = 1,
        snapLength: UInt32 = 0,
        resolution: UInt8? = nil,
        offset: Int64? = nil
    ) {
        block(1) {
            $0.put(linkType, 0)
            $0.put(snapLength)
            // if_name, which nobody asks for.
            $0.put(UInt16(2), 3)
            $0.bytes += Array("lo0".utf8) + [0]
            if let resolution {
                $0.put(UInt16(9), 1)
                $0.bytes += [resolution, 0, 0, 0]
            }
            if let offset {
                $0.put(UInt16(14), 8)
                $0.put(offset)
            }
            $0.put(UInt16(0), 0)
        }
    }

    mutating func enhanced(_ interface: UInt32, _ stamp: UInt64, _ bytes: [UInt8], wire: UInt32? = nil) {
        block(6) {
            $0.put(interface, UInt32(stamp >> 32), UInt32(truncatingIfNeeded: stamp))
            $0.put(UInt32(bytes.count), wire ?? UInt32(bytes.count))
            $0.bytes += bytes
        }
    }

    mutating func simple(_ bytes: [UInt8], wire: UInt32? = nil) {
        block(3) {
            $0.put(wire ?? UInt32(bytes.count))
            $0.bytes += bytes
        }
    }

    mutating func obsolete(_ interface: UInt16, _ stamp: UInt64, _ bytes: [UInt8]) {
        block(2) {
            $0.put(interface, 7)
            $0.put(UInt32(stamp >> 32), UInt32(truncatingIfNeeded: stamp))
            $0.put(UInt32(bytes.count), UInt32(bytes.count))
            $0.bytes += bytes
        }
    }
}

/// One gzip member.
func gzip(_ bytes: [UInt8]) -> [UInt8] {
    var stream = z_stream()
    deflateInit2_(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    defer { deflateEnd(&stream) }
    var source = bytes
    var out = [UInt8](repeating: 0, count: bytes.count + bytes.count / 100 + 100)
    let used = source.withUnsafeMutableBufferPointer { input in
        out.withUnsafeMutableBufferPointer { output in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            stream.next_out = output.baseAddress
            stream.avail_out = UInt32(output.count)
            deflate(&stream, Z_FINISH)
            return Int(stream.total_out)
        }
    }
    return Array(out[..<used])
}

/// Numbers that look random and are the same in every run.
struct Randomness: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state ^ (state >> 29)) &* 0x9e37_79b9_7f4a_7c15
    }
}
