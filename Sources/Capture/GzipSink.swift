// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CZlib
import Dataplane

/// Compresses bytes with gzip (RFC 1952) on their way to another sink. The same bytes give the same file: no time or name is in it.
final class GzipSink: ByteSink {
    private let sink: any ByteSink
    /// zlib keeps the address of its stream, so the stream must not move.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 64)
    /// Bytes were written since the last member was complete, or there is none yet.
    private var isOpen = true

    init(_ sink: any ByteSink) {
        self.sink = sink
        stream.initialize(to: z_stream())
        // 16 + 15: a gzip header, and the largest window; 8 is zlib's own default for memory.
        let size = Int32(MemoryLayout<z_stream>.size)
        let status = deflateInit2_(stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
        precondition(status == Z_OK, "zlib cannot start")
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
        buffer.deallocate()
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        isOpen = true
        // zlib reads these bytes, and does not write them.
        stream.pointee.next_in = UnsafeMutablePointer(mutating: start.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(bytes.count)
        repeat { try run(Z_NO_FLUSH) } while stream.pointee.avail_in > 0
    }

    /// Completes the member; bytes that follow begin another, as gzip allows.
    func flush() throws {
        if isOpen {
            while try run(Z_FINISH) != Z_STREAM_END {}
            deflateReset(stream)
            isOpen = false
        }
        try sink.flush()
    }

    /// Runs the compressor until the buffer is full or nothing is left to do, and passes on what it gave.
    @discardableResult
    private func run(_ mode: Int32) throws -> Int32 {
        stream.pointee.next_out = buffer.baseAddress!.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(buffer.count)
        let status = deflate(stream, mode)
        let count = buffer.count - Int(stream.pointee.avail_out)
        if count > 0 { try sink.write(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
        return status
    }
}
