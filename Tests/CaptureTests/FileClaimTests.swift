// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import Foundation
import TestSupport
import Testing

/// Who uses a file in this process, and until when.
@Suite struct FileClaimTests {
    private let scratch = Scratch()

    /// A file that was removed while it was read or written leaves its inode, which the system gives to the next file, only when it is
    /// not in use any more: threads that make and remove files of their own do not meet.
    @Test func inodesMayBeUsedAgain() async throws {
        let directory = scratch.path
        try await withThrowingTaskGroup(of: Void.self) { group in
            for thread in 0..<4 {
                group.addTask {
                    for round in 0..<500 {
                        // Read as a mapped file, and through a buffer.
                        let path = "\(directory)/\(thread).pcap\(round % 2 == 0 ? "" : ".gz")"
                        do {
                            let writer = try CaptureWriter(path: path)
                            try writer.close()
                        }
                        let source = try CaptureSource(paths: [path])
                        try FileManager.default.removeItem(atPath: path)
                        withExtendedLifetime(source) {}
                        let sink = try FileSink(path)
                        try FileManager.default.removeItem(atPath: path)
                        withExtendedLifetime(sink) {}
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
