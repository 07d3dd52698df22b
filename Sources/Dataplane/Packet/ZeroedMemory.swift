// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux

/// Memory for `count` values of which all bytes are zero, on whole pages of its own.
///
/// It comes from the system untouched: a table made for many flows takes the memory of those that there are. Its owner keeps
/// it to the end and gives it back with ``deallocate()``.
struct ZeroedMemory<T: BitwiseCopyable>: BitwiseCopyable {
    let base: UnsafeMutablePointer<T>
    private let byteCount: Int

    /// `T` must mean something when all its bytes are zero, or not be read before it was written.
    init(_ count: Int) throws(OutOfMemory) {
        byteCount = max(1, count) * MemoryLayout<T>.stride
        guard let raw = clinux_map_zeroed(byteCount) else { throw OutOfMemory(bytes: byteCount) }
        base = raw.bindMemory(to: T.self, capacity: max(1, count))
    }

    func deallocate() { clinux_unmap(base, byteCount) }
}

/// The system has no memory for a table or pool of the size asked for.
public struct OutOfMemory: Error, CustomStringConvertible {
    /// Bytes as asked for; the system gives whole pages.
    public var bytes: Int
    public var description: String { "the system has no \(bytes) bytes of memory left for it" }
}
