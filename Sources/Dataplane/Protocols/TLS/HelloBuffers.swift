// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Buffers of one size for messages that have begun and not ended, the one taken longest ago first.
///
/// Their memory is taken when a buffer is first used; buffers given back are used again before others.
final class HelloBuffers {
    let size: Int
    private let capacity: Int
    private let memory: ZeroedMemory<UInt8>
    private let links: ZeroedMemory<Link>
    /// Buffers that were used and given back; those from `fresh` on were never used.
    private var free: Int32 = -1
    private var fresh: Int32 = 0
    /// The buffer taken longest ago; -1 when there is none.
    private(set) var oldest: Int32 = -1
    private var newest: Int32 = -1
    private(set) var count = 0

    private struct Link: BitwiseCopyable {
        var before: Int32 = -1
        var after: Int32 = -1
        var owner: Int32 = -1
    }

    init(size: Int, capacity: Int) throws {
        self.size = size
        self.capacity = capacity
        memory = try ZeroedMemory(size * capacity)
        links = try ZeroedMemory(capacity)
    }

    deinit {
        memory.deallocate()
        links.deallocate()
    }

    var isFull: Bool { count == capacity }

    /// A buffer for `owner`; nil when all are taken.
    func take(for owner: Int32) -> Int32? {
        let buffer: Int32
        if free >= 0 {
            buffer = free
            free = links.base[Int(buffer)].after
        } else if Int(fresh) < capacity {
            buffer = fresh
            fresh += 1
        } else {
            return nil
        }
        links.base[Int(buffer)] = Link(before: newest, after: -1, owner: owner)
        if newest >= 0 { links.base[Int(newest)].after = buffer } else { oldest = buffer }
        newest = buffer
        count += 1
        return buffer
    }

    /// Takes a buffer back.
    func giveBack(_ buffer: Int32) {
        let link = links.base[Int(buffer)]
        if link.before >= 0 { links.base[Int(link.before)].after = link.after } else { oldest = link.after }
        if link.after >= 0 { links.base[Int(link.after)].before = link.before } else { newest = link.before }
        links.base[Int(buffer)].after = free
        free = buffer
        count -= 1
    }

    /// Whom a buffer was taken for.
    func owner(of buffer: Int32) -> Int32 { links.base[Int(buffer)].owner }

    /// The bytes of a buffer.
    func bytes(of buffer: Int32) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: memory.base + Int(buffer) * size, count: size)
    }
}
