// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane

/// What elements get from the outside world in a test: files in memory, and libpcap's filter compiler.
public final class TestServices: Services, @unchecked Sendable {
    /// A file that an element writes.
    public final class File: ByteSink {
        /// What was written.
        public private(set) var bytes: [UInt8] = []
        /// How many bytes fit; writing more fails.
        public var room = Int.max
        /// How often something was written.
        public private(set) var writes = 0

        public func write(_ more: UnsafeRawBufferPointer) throws {
            if bytes.count + more.count > room { throw HarnessError("no space left") }
            writes += 1
            bytes += Array(more)
        }
        public func flush() throws {}
        /// What was written, as text.
        public var text: String { String(decoding: bytes, as: UTF8.self) }
    }
    /// The files written, by name. One called `small:N` takes N bytes.
    public private(set) var files: [String: File] = [:]
    /// How often a file was opened to be written.
    public private(set) var opened = 0

    /// Files that can be read, by name.
    public var readable: [String: [UInt8]] = [:]

    /// Without any file.
    public init() {}

    public func openSink(_ name: String) throws -> any ByteSink {
        opened += 1
        let file = File()
        if name.hasPrefix("small:") { file.room = Int(name.dropFirst(6)) ?? 0 }
        files[name] = file
        return file
    }

    public func readFile(_ name: String, most: Int) throws -> [UInt8] {
        guard let bytes = readable[name] else { throw FileError("there is no file '\(name)' here") }
        return bytes
    }

    public func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        try FilterCompiler.compile(filter, linkType: linkType)
    }
}
