// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import TestSupport
import Testing

/// A capture whose stamps step back now and then, and of which one is from the future.
@Suite struct TimeTests {
    /// The first packets of a shipped capture, with other stamps: in nanoseconds, by the packet's number and its own stamp.
    private static func restamped(
        _ count: Int,
        _ stamp: (Int, Int64) -> Int64
    ) throws -> (path: String, stamps: [Int64]) {
        let source = try CaptureSource(paths: [shippedCapture("web.pcap")])
        let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).pcapng").path()
        let writer = try CaptureWriter(path: path)
        let pool = try Pool(capacity: 1)
        var stamps: [Int64] = []
        var index: Int32 = 0
        while stamps.count < count,
            source.fill(pool, &index, max: 1, before: .max, sequence: UInt64(stamps.count)) == 1
        {
            pool[index].time = stamp(stamps.count, pool[index].time)
            stamps.append(pool[index].time)
            try writer.write(pool[index])
            pool.giveBack(&index, count: 1)
        }
        try writer.close()
        return (path, stamps)
    }

    /// Every ninth packet three seconds early, and number 200 a century ahead.
    private static func crooked(_ number: Int, _ stamp: Int64) -> Int64 {
        if number == 200 { return stamp + 100 * 365 * StampClock.farthest }
        return number % 9 == 5 ? stamp - 3_000_000_000 : stamp
    }

    private static func files(
        _ graph: String,
        _ path: String,
        _ settings: [(key: String, value: String)] = []
    ) throws -> [String: [UInt8]] {
        try runDirect(shippedGraph(graph, settings), capture: path, batch: 64).files.contents
    }

    private static func rows(_ file: [UInt8]?) -> [[Substring]] {
        String(decoding: file ?? [], as: UTF8.self).split(whereSeparator: \.isNewline).dropFirst().map {
            $0.split(separator: ",", omittingEmptySubsequences: false)
        }
    }

    @Test func recordsAndCopiesCarryEachPacketsStamp() throws {
        let (path, stamps) = try Self.restamped(600, Self.crooked)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let rows = Self.rows(try Self.files("packet-log", path)["-"])
        #expect(rows.count > 500)
        let logged = rows.map { String($0[0]) }
        #expect(Set(logged).isSubset(of: stamps.map(String.init)))
        #expect(zip(rows, rows.dropFirst()).contains { Int64($0[0])! > Int64($1[0])! })
        let copies = try #require(try Self.files("mirror", path, [("capture", "m.pcapng")])["m.pcapng"])
        let copy = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).pcapng")
        defer { try? FileManager.default.removeItem(at: copy) }
        try Data(copies).write(to: copy)
        let source = try CaptureSource(paths: [copy.path()])
        let pool = try Pool(capacity: 1024)
        var indices = [Int32](repeating: 0, count: 1024)
        let n = source.fill(pool, &indices, max: 1024, before: .max, sequence: 0)
        #expect((0..<n).map { pool[indices[$0]].time } == stamps)
    }

    /// No flow ends, and none is divided, because of a stamp that is wrong by more than a day.
    @Test func nothingAgesByOneStamp() throws {
        /// The records without their times.
        func ends(_ stamp: (Int, Int64) -> Int64) throws -> [Substring] {
            let (path, _) = try Self.restamped(600, stamp)
            defer { try? FileManager.default.removeItem(atPath: path) }
            let text = String(decoding: try Self.files("flow-monitor", path)["-"] ?? [], as: UTF8.self)
            return text.replacing(/"(first|last)_ns":[0-9]+,/, with: "").split(separator: "\n")
        }
        let straight = try ends { $1 }
        #expect(straight.count > 10)
        #expect(try ends(Self.crooked) == straight)
        // A first stamp from the future, too.
        #expect(try ends { $0 == 0 ? $1 + 9 * StampClock.farthest : $1 } == straight)
        // While a pause that is one ends what was before it.
        #expect(try ends { $0 < 300 ? $1 : $1 + 9 * StampClock.farthest } != straight)
    }

    /// In flow-offload what takes the slow path depends on when packets arrive, and those for which time stands still arrive at once.
    @Test(arguments: shippedGraphs.filter { $0 != "flow-offload" })
    func resultsDependOnNeitherBatchesNorSides(_ name: String) throws {
        let (path, _) = try Self.restamped(400, Self.crooked)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let spec = try shippedGraph(name)
        try expectInvariance(spec, capture: path, packets: 400, placements: spec.placements)
    }
}
