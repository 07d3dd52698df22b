// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// An incomplete head or trailer section, in a block of the parser's memory; its owner frees it.
struct HTTP1PartialSection: BitwiseCopyable {
    private struct Header: BitwiseCopyable {
        /// First, so that they have the block's address.
        var facts: HTTP1Facts
        var count: Int
        var capacity: Int
        static let size = MemoryLayout<Header>.stride
    }

    /// An allocated block: the facts found so far, then the bytes.
    struct Block {
        fileprivate let start: UnsafeMutableRawPointer

        private var header: UnsafeMutablePointer<Header> { start.assumingMemoryBound(to: Header.self) }
        var facts: UnsafeMutablePointer<HTTP1Facts> { start.assumingMemoryBound(to: HTTP1Facts.self) }
        var bytes: UnsafeRawPointer { UnsafeRawPointer(start + Header.size) }
        var count: Int { header.pointee.count }
        fileprivate var capacity: Int { header.pointee.capacity }

        /// There must be room.
        func append(_ bytes: UnsafeRawBufferPointer) {
            guard let from = bytes.baseAddress else { return }
            (start + Header.size + header.pointee.count).copyMemory(from: from, byteCount: bytes.count)
            header.pointee.count += bytes.count
        }
    }

    private var start: UnsafeMutableRawPointer?

    /// Nil if nothing is stored.
    var block: Block? { start.map { Block(start: $0) } }

    /// The block, with room for `count` bytes; nil if there is no memory, in which case the old block stays.
    mutating func grow(to count: Int, _ limit: Int, _ memory: HTTP1Memory) -> Block? {
        var filled = 0
        if let old = block {
            if count <= old.capacity { return old }
            filled = old.count
        }
        // One byte beyond the limit shows that it is exceeded.
        let wanted = min(max(count, 2 * filled), max(limit &+ 1, count)) + Header.size
        guard let new = memory.allocate(wanted) else { return nil }
        let header = new.assumingMemoryBound(to: Header.self)
        if let start {
            new.copyMemory(from: start, byteCount: Header.size + filled)
            release(memory)
        } else {
            header.initialize(to: Header(facts: HTTP1Facts(), count: 0, capacity: 0))
        }
        header.pointee.capacity = HTTP1Memory.size(for: wanted) - Header.size
        start = new
        return Block(start: new)
    }

    /// Frees the block, if there is one.
    mutating func release(_ memory: HTTP1Memory) {
        guard let block else { return }
        memory.release(block.start, block.capacity + Header.size)
        start = nil
    }
}
