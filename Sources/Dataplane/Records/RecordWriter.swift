// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Writes the fields of a record one behind the other, as ``Layout`` says; whoever uses it has made room for them.
struct RecordWriter {
    /// Where the next field goes.
    var next: UnsafeMutableRawPointer

    @inline(__always)
    init(_ start: UnsafeMutableRawPointer) { next = start }

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
}
