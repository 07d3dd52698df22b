// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import SpillwayTesting
import Testing

@testable import Dataplane

/// Bytes that are remembered until they are acknowledged.
@Suite struct SentBytesTests {
    private struct Owner: BitwiseCopyable { var sent = SentBytes.List() }

    /// A store with four directions, and what each should remember: bytes by sequence number, counted from its first.
    private final class Bench {
        let owners: FlowArray<Owner>
        let sent: SentBytes
        /// For each direction its next number, and the bytes it may still remember.
        var next: [UInt32]
        var bytes: [[UInt32: UInt8]]

        init(capacity: Int, share: Int, start: UInt32) throws {
            owners = try FlowArray(flows: 4)
            for k in 0..<4 { owners.begin(FlowRef(index: Int32(k), generation: 1), Owner()) }
            sent = try SentBytes(
                capacity: capacity,
                share: share,
                lists: owners.column(at: \.sent),
                links: owners.links(at: \.sent.link)
            )
            next = Array(repeating: start, count: 4)
            bytes = Array(repeating: [:], count: 4)
        }

        func append(_ text: [UInt8], to owner: Int) {
            for (k, byte) in text.enumerated() { bytes[owner][next[owner] &+ UInt32(k)] = byte }
            text.withUnsafeBytes { sent.append($0.baseAddress!, text.count, at: next[owner], of: Int32(owner)) }
            next[owner] &+= UInt32(text.count)
        }

        func compare(_ text: [UInt8], at sequence: UInt32, of owner: Int) -> SentBytes.Comparison {
            text.withUnsafeBytes { sent.compare($0.baseAddress!, text.count, at: sequence, of: Int32(owner)) }
        }
    }

    @Test func copiesAreCompared() throws {
        let bench = try Bench(capacity: 8192, share: 8192, start: 0xffff_fffe)
        bench.append(Array("GET /index".utf8), to: 0)
        #expect(bench.compare(Array("GET /index".utf8), at: 0xffff_fffe, of: 0) == .same)
        #expect(bench.compare(Array("T /in".utf8), at: 0, of: 0) == .same)
        #expect(bench.compare(Array("T /etc".utf8), at: 0, of: 0) == .differs(at: 3))
        // What is not there cannot be judged, but a difference before or behind it is told.
        #expect(bench.compare(Array("index!".utf8), at: 3, of: 0) == .unknown)
        #expect(bench.compare(Array("xndex!".utf8), at: 3, of: 0) == .differs(at: 0))
        #expect(bench.compare(Array("GET".utf8), at: 0xffff_fffe, of: 1) == .unknown)
        #expect(bench.sent.bytes(from: 2, most: 32, of: 0) == Array("/index".utf8))
        #expect(bench.sent.bytes(from: 8, most: 32, of: 0) == [])
    }

    @Test func whatIsAcknowledgedIsFreed() throws {
        let bench = try Bench(capacity: 3 * SentBytes.blockBytes, share: 1 << 20, start: 7)
        for round in 0..<10 {
            bench.append(Array(repeating: UInt8(round), count: 2 * SentBytes.blockBytes), to: 0)
            bench.sent.release(before: bench.next[0], of: 0)
            #expect(bench.sent.memoryBytes == 0)
        }
        #expect(bench.sent.forgotten == 0)
    }

    @Test func theOldestIsForgotten() throws {
        let bench = try Bench(capacity: 2 * SentBytes.blockBytes, share: 1 << 20, start: 0)
        for owner in 0..<3 { bench.append(Array("abc".utf8), to: owner) }
        #expect(bench.compare(Array("abc".utf8), at: 0, of: 0) == .unknown && bench.sent.forgotten == 3)
        #expect(bench.compare(Array("abc".utf8), at: 0, of: 1) == .same)
        #expect(bench.compare(Array("abc".utf8), at: 0, of: 2) == .same)
    }

    @Test func aDirectionHasItsShare() throws {
        let bench = try Bench(capacity: 1 << 20, share: 2 * SentBytes.blockBytes, start: 0)
        let bytes = (0..<5 * SentBytes.blockBytes).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        bench.append(bytes, to: 0)
        #expect(bench.sent.memoryBytes == 2 * SentBytes.blockBytes)
        let kept = bytes.count - 2 * SentBytes.blockBytes
        #expect(bench.compare(Array(bytes[kept...]), at: UInt32(kept), of: 0) == .same)
        #expect(bench.compare(Array(bytes[(kept - 1)...]), at: UInt32(kept - 1), of: 0) == .unknown)
    }

    /// Against a dictionary: what is remembered is right, and what is forgotten is never judged.
    @Test(arguments: 0..<40) func nothingIsMistaken(_ seed: Int) throws {
        var random = TestRandom(UInt64(seed) &+ 5)
        let blocks = 1 + Int.random(in: 0..<6, using: &random)
        let bench = try Bench(
            capacity: blocks * SentBytes.blockBytes,
            share: (1 + seed % 4) * SentBytes.blockBytes,
            start: seed % 2 == 0 ? 0xffff_f000 : 12
        )
        var judged = 0
        for _ in 0..<600 {
            let owner = Int.random(in: 0..<4, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let count = 1 + Int.random(in: 0..<3000, using: &random)
                bench.append((0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }, to: owner)
            case 5: bench.next[owner] &+= 100  // A hole.
            case 6:
                let back = UInt32.random(in: 0..<3000, using: &random)
                bench.sent.release(before: bench.next[owner] &- back, of: Int32(owner))
            default:
                let back = UInt32.random(in: 1..<5000, using: &random)
                let count = min(Int(back), 1 + Int.random(in: 0..<1500, using: &random))
                let start = bench.next[owner] &- back
                let right = (0..<count).map { bench.bytes[owner][start &+ UInt32($0)] }
                var copy = right.map { $0 ?? 0 }
                let same = bench.compare(copy, at: start, of: owner)
                #expect(same == .unknown || same == .same && !right.contains(nil))
                if same == .same {
                    judged += 1
                    let k = Int.random(in: 0..<count, using: &random)
                    copy[k] ^= 1
                    #expect(bench.compare(copy, at: start, of: owner) == .differs(at: k))
                }
            }
            #expect(bench.sent.memoryBytes <= blocks * SentBytes.blockBytes)
        }
        #expect(judged > 0 || blocks == 1)
    }
}
