// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Capture

@Suite struct GzipSinkTests {
    private let scratch = FileManager.default.temporaryDirectory.appending(path: "spillway-gzip-\(UUID())")

    /// What gzip itself makes of a file: all that was written, whatever the pieces; the same file each time.
    @Test(arguments: [[], [0], [1], [100_000], [10, 0, 300_000, 5], [65_536, 65_536]]) func gzipReadsIt(
        _ pieces: [Int]
    ) throws {
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: scratch) }
        var expected: [UInt8] = []
        var files: [Data] = []
        for name in ["a.gz", "b.gz"] {
            expected = []
            let path = scratch.appending(path: name)
            let sink = try FileSink.open(path.path())
            for (k, count) in pieces.enumerated() {
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3 &+ k) }
                try bytes.withUnsafeBytes { try sink.write($0) }
                expected += bytes
                // Bytes behind a completed member begin another.
                if k == 1 { try sink.flush() }
            }
            try sink.flush()
            files.append(try Data(contentsOf: path))
        }
        #expect(files[0] == files[1])
        let gzip = Process()
        gzip.executableURL = URL(filePath: "/bin/gzip")
        gzip.arguments = ["-dc", scratch.appending(path: "a.gz").path()]
        let pipe = Pipe()
        gzip.standardOutput = pipe
        try gzip.run()
        let read = pipe.fileHandleForReading.readDataToEndOfFile()
        gzip.waitUntilExit()
        #expect(gzip.terminationStatus == 0 && Array(read) == expected)
    }
}
