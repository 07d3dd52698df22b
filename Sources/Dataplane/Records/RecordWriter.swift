// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Writes the fields of a record one after another, as ``Layout`` defines; the caller must ensure there is room.
struct RecordWriter {
    /// The address of the next field.
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
