// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

@Suite struct PoolTests {
    /// Bytes of a capture, of the item's slot, of its end, and of a block of their own, to any length.
    @Test(arguments: [0, 1, 63, 1983, 1984, 1985, 5000]) func anItemOwnsAsManyBytesAsItIsTold(_ length: Int) throws {
        let capture = UnsafeMutableRawBufferPointer.allocate(byteCount: 6000, alignment: 1)
        defer { capture.deallocate() }
        for k in capture.indices { capture[k] = UInt8(truncatingIfNeeded: k &* 7 &+ 1) }
        let pool = try Pool(capacity: 2)
        for old in [0, 1, 40, 1984, 1985, 4000] {
            for way in 0..<3 {
                var i: Int32 = 0
                #expect(pool.take(1, into: &i) == 1)
                pool.items[Int(i)] = Item(
                    data: capture.baseAddress!,
                    length: UInt32(old),
                    wireLength: 0,
                    time: 0,
                    sequence: 0,
                    linkType: 1,
                    interface: 0
                )
                let p = pool[i]
                var start = 0
                if way > 0 { pool.own(i) }
                if way == 2, !p.flags.contains(.large) {
                    // Its first bytes were removed.
                    start = min(old, 30)
                    p.writableData += start
                    p.length -= UInt32(start)
                }
                pool.state.pointee.own(i, length: length)
                #expect(Int(p.length) == length && p.isWritable)
                let kept = min(length, old - start)
                #expect(p.bytes.prefix(kept).elementsEqual(capture[start..<start + kept]), "\(old) \(way)")
                #expect(p.bytes.dropFirst(kept).allSatisfy { $0 == 0 })
                p.bytes.withMemoryRebound(to: UInt8.self) { bytes in
                    UnsafeMutableBufferPointer(mutating: bytes).update(repeating: 0xa5)
                }
                pool.state.pointee.release(i)
                #expect(pool.state.pointee.largeCount == 0)
            }
        }
    }
}
