// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Writes the fields of a record one behind the other, as ``Layout`` says; whoever uses it has made room for them.
struct RecordWriter {
    /// Where the next field goes.
    var next: UnsafeMutableRawPointer
    /// The record's beginning, and where the next text goes, counted from there.
    private let start: UnsafeMutableRawPointer
    private(set) var texts: Int

    /// A record at `start` whose texts begin at `texts`, which is the size of its layout.
    @inline(__always)
    init(_ start: UnsafeMutableRawPointer, texts: Int = 0) {
        next = start
        self.start = start
        self.texts = texts
    }

    @inline(__always)
    mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        next.storeBytes(of: value.littleEndian, as: T.self)
        next += MemoryLayout<T>.size
    }

    @inline(__always)
    mutating func put(_ address: IPAddress) {
        address.store(to: next)
        next += 17
    }

    /// Puts a text's bytes behind the others, and the field that says where; no bytes count as no text.
    @inline(__always)
    mutating func put(text: UnsafeRawBufferPointer) {
        guard let bytes = text.baseAddress, text.count > 0 else { return put(UInt32(0)) }
        put(UInt16(truncatingIfNeeded: texts))
        put(UInt16(truncatingIfNeeded: text.count))
        (start + texts).copyMemory(from: bytes, byteCount: text.count)
        texts += text.count
    }
}
