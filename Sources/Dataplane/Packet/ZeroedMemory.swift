// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux

/// Page-aligned memory for `count` values, with all bytes zero.
///
/// The system supplies it untouched, so a table made for many flows uses memory only for flows that exist. The owner keeps it
/// until the end and frees it with ``deallocate()``.
struct ZeroedMemory<T: BitwiseCopyable>: BitwiseCopyable {
    let base: UnsafeMutablePointer<T>
    private let byteCount: Int

    /// `T` must be valid when all its bytes are zero, or not be read before it is written.
    init(_ count: Int) throws(OutOfMemory) {
        byteCount = max(1, count) * MemoryLayout<T>.stride
        guard let raw = clinux_map_zeroed(byteCount) else { throw OutOfMemory(bytes: byteCount) }
        base = raw.bindMemory(to: T.self, capacity: max(1, count))
    }

    func deallocate() { clinux_unmap(base, byteCount) }
}

/// The system lacks the memory for a table or pool of the requested size.
public struct OutOfMemory: Error, CustomStringConvertible {
    /// Bytes requested; the system allocates whole pages.
    public var bytes: Int
    public var description: String { "the system has no \(bytes) bytes of memory left for it" }
}
