// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane

/// Services for tests: files in memory, and libpcap's filter compiler.
public final class TestServices: Services, @unchecked Sendable {
    /// A file written by an element.
    public final class File: ByteSink {
        /// The bytes written.
        public private(set) var bytes: [UInt8] = []
        /// The number of bytes that fit; writing more fails.
        public var room = Int.max
        /// The number of write calls.
        public private(set) var writes = 0

        public func write(_ more: UnsafeRawBufferPointer) throws {
            if bytes.count + more.count > room { throw HarnessError("no space left") }
            writes += 1
            bytes += Array(more)
        }
        public func flush() throws {}
        /// The bytes written, as text.
        public var text: String { String(decoding: bytes, as: UTF8.self) }
    }
    /// The files written, by name. One called `small:N` holds N bytes.
    public private(set) var files: [String: File] = [:]
    /// How often a file was opened for writing.
    public private(set) var opened = 0

    /// Files that can be read, by name.
    public var readable: [String: [UInt8]] = [:]

    /// Services without files.
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
