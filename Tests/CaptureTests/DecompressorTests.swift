// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import Foundation
import TestSupport
import Testing

/// Captures compressed by programs, where these are installed.
@Suite struct DecompressorTests {
    private static let programs = ["zstd", "xz", "lz4", "bzip2", "pzstd"].filter { name in
        ["/usr/bin", "/bin", "/usr/local/bin"].contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(name)")
        }
    }
    private let scratch = Scratch()

    /// A capture of packets that hardly compress, and the same through a program.
    private func make(_ program: String, packets: Int) throws -> (plain: String, packed: String) {
        var random = Randomness(state: 3)
        let bytes = pcap(
            (0..<packets).map { k in
                (UInt32(k), 0, (0..<1000).map { _ in UInt8.random(in: 0...255, using: &random) }, 1000)
            }
        )
        let plain = try scratch.file("plain-\(program).pcap", bytes)
        let packed = plain + ".packed"
        // lz4 writes nothing of a block that is not complete, and its blocks are large.
        let made = try Tool.run(
            "\(program) \(program == "lz4" ? "-B4" : "") -c '\(plain)' > '\(packed)'",
            in: URL(filePath: "/")
        )
        #expect(made.status == 0, "\(made.error)")
        return (plain, packed)
    }

    @Test(arguments: programs) func whatAProgramCompressedIsReadAsItWas(program: String) throws {
        let (plain, packed) = try make(program, packets: 500)
        let expected = try read([plain])
        let outcome = try read([packed, packed], batch: 7)
        let error = outcome.error
        #expect(error == nil)
        let isSame = outcome.packets.map(\.bytes) == (expected.packets + expected.packets).map(\.bytes)
        #expect(isSame)
        let warnings = outcome.warnings
        #expect(warnings == [])

        let merged = try MergedSource(paths: [packed, plain, packed])
        let pool = try Pool(capacity: 256)
        var indices = [Int32](repeating: 0, count: 64)
        var count = 0
        while case let n = merged.fill(pool, &indices, max: 64, before: .max, sequence: 0), n > 0 {
            count += n
            pool.giveBack(indices, count: n)
        }
        #expect(count == 1500)
        #expect(merged.share.map { $0.done == $0.all } == true)
    }

    @Test(arguments: programs) func aTruncatedOrDamagedFileGivesThePacketsBefore(program: String) throws {
        let (plain, packed) = try make(program, packets: 3000)
        let expected = try read([plain]).packets
        let whole = try [UInt8](Data(contentsOf: URL(filePath: packed)))
        var damaged = whole
        for k in 0..<100 { damaged[whole.count - 200_000 + k] ^= 0x5a }
        for bytes in [damaged, Array(whole.dropLast(200_000)), Array(whole.dropLast(1))] {
            let outcome = try read([scratch.file("bad-\(program)", bytes)])
            let code = outcome.error?.code
            #expect(code == "damaged_compression")
            let (atStart, count) = (outcome.atStart, outcome.packets.count)
            #expect(!atStart)
            #expect(count > 100)
            // That stored bytes are not what they were shows at the end of a frame.
            let isBeginning = bytes.count == whole.count || expected.starts(with: outcome.packets)
            #expect(isBeginning)
        }
        let atStart = try read([scratch.file("short-\(program)", Array(whole[..<20]))])
        #expect(atStart.error?.code == "damaged_compression")
        #expect(atStart.atStart)
    }

    /// The child ends with the source, and nothing of it remains.
    @Test(.enabled(if: programs.contains("zstd"), "zstd is not installed")) func aSourceThatIsLeftEarlyLeavesNoChild()
        throws
    {
        let packed = try make("zstd", packets: 3000).packed
        func children() throws -> Int {
            try Tool.run("ps --no-headers --ppid \(getpid()) -o comm", in: URL(filePath: "/")).output
                .split(separator: "\n").count { $0.hasPrefix("zstd") && $0.contains("defunct") }
        }
        for _ in 0..<20 {
            let source = try CaptureSource(paths: [packed])
            let pool = try Pool(capacity: 64)
            var indices = [Int32](repeating: 0, count: 8)
            #expect(source.fill(pool, &indices, max: 8, before: .max, sequence: 0) == 8)
        }
        #expect(try children() == 0)
    }
}
