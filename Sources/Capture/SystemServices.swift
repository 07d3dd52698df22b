// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Glibc

/// Services for real runs: files, standard output and libpcap's filter compiler.
public struct SystemServices: Services {
    public init() {}

    public func openSink(_ name: String) throws -> any ByteSink { try FileSink.open(name) }

    public func openSink(_ name: String, appends: Bool) throws -> any ByteSink {
        try FileSink.open(name, appends: appends)
    }

    public func readFile(_ name: String, most: Int) throws -> [UInt8] {
        let descriptor = open(name, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { throw FileError("'\(name)' cannot be opened: \(systemMessage(errno))", file: name) }
        defer { close(descriptor) }
        // One byte more than allowed, to detect a file that is too long.
        var bytes = Array(repeating: UInt8(0), count: most + 1)
        var count = 0
        while count < bytes.count {
            let n = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + count, $0.count - count) }
            if n < 0, errno == EINTR { continue }
            if n < 0 { throw FileError("'\(name)' cannot be read: \(systemMessage(errno))", file: name) }
            if n == 0 { break }
            count += n
        }
        if count > most { throw FileError("'\(name)' is longer than \(most) bytes") }
        return Array(bytes[..<count])
    }

    public func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        try FilterCompiler.compile(filter, linkType: linkType)
    }
}
