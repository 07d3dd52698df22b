// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The bytes of some streams, and which of them were sent.
///
/// Every byte has a value of its own, so that it can be told whether one stands where it belongs. Of each there are four variants,
/// that packets may differ where they overlap. All work is done by the C library for many bytes at once: loops here are
/// instrumented, and would take most of a run.
final class FuzzContent {
    static let streams = 16
    static let variants = 4
    /// Behind so many bytes values begin again.
    private static let period = 8192

    /// For each stream and variant twice the period, so that what begins within the first is one block.
    private let values: UnsafeMutablePointer<UInt8>
    /// 1 for each byte that was sent, by stream and variant.
    private let sent: UnsafeMutablePointer<UInt8>
    private var marked: [(start: Int, count: Int)] = []

    init() {
        let period = FuzzContent.period
        let blocks = FuzzContent.streams * FuzzContent.variants
        values = .allocate(capacity: blocks * 2 * period)
        sent = .allocate(capacity: blocks * period)
        sent.initialize(repeating: 0, count: blocks * period)
        for stream in 0..<FuzzContent.streams {
            let first = values + stream * FuzzContent.variants * 2 * period
            for place in 0..<period {
                let mixed = UInt32(place) &* 0x9e37_79b1 &+ UInt32(stream) &* 0x85eb_ca6b
                for variant in 0..<FuzzContent.variants {
                    let byte = UInt8(truncatingIfNeeded: mixed >> 26) << 2 | UInt8(variant)
                    first[variant * 2 * period + place] = byte
                    first[(variant * 2 + 1) * period + place] = byte
                }
            }
        }
    }

    deinit {
        values.deallocate()
        sent.deallocate()
    }

    /// Nothing was sent.
    func clear() {
        for (start, count) in marked { memset(sent + start, 0, count) }
        marked.removeAll(keepingCapacity: true)
    }

    /// Puts the bytes from `place` on behind `frame`, and marks them as sent.
    func send(_ count: Int, from place: Int, of stream: Int, variant: Int, to frame: FuzzFrame) {
        let block = stream * FuzzContent.variants + variant
        var done = 0
        while done < count {
            let start = (place + done) & (FuzzContent.period - 1)
            let part = min(count - done, FuzzContent.period)
            let bytes = values + block * 2 * FuzzContent.period + start
            frame.append(UnsafeRawBufferPointer(start: bytes, count: part))
            let before = min(part, FuzzContent.period - start)
            mark(block * FuzzContent.period + start, before)
            mark(block * FuzzContent.period, part - before)
            done += part
        }
    }

    private func mark(_ start: Int, _ count: Int) {
        if count == 0 { return }
        memset(sent + start, 1, count)
        marked.append((start, count))
    }

    /// Whether these are bytes of a stream from `place` on, each in a variant that was sent.
    func holds(_ bytes: UnsafeRawBufferPointer, from place: Int, of stream: Int) -> Bool {
        var done = 0
        while done < bytes.count {
            let start = (place + done) & (FuzzContent.period - 1)
            let block = stream * FuzzContent.variants + Int(bytes[done] & 3)
            let found = UnsafeRawPointer(bytes.baseAddress!) + done
            let expected = values + block * 2 * FuzzContent.period + start
            // As many as are of one variant.
            var part = min(bytes.count - done, FuzzContent.period - start)
            if memcmp(found, expected, part) != 0 {
                part = 0
                while bytes[done + part] == expected[part] { part += 1 }
            }
            if part == 0 || memchr(sent + block * FuzzContent.period + start, 0, part) != nil { return false }
            done += part
        }
        return true
    }
}
