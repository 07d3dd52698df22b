// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Equal-sized buffers for unfinished messages, oldest first.
///
/// A buffer's memory is touched only when it is first used; returned buffers are reused before others.
final class HelloBuffers {
    let size: Int
    private let memory: ZeroedMemory<UInt8>
    private var free: SlotPool
    /// The buffers in use, oldest first.
    private var taken = IndexList()
    private let links: IndexList.Links
    private let holds: ZeroedMemory<Hold>

    private struct Hold: BitwiseCopyable {
        var link: IndexList.Link
        var owner: Int32
    }

    init(size: Int, capacity: Int) throws {
        self.size = size
        memory = try ZeroedMemory(size * capacity)
        free = try SlotPool(capacity)
        holds = try ZeroedMemory(capacity)
        links = IndexList.Links(in: holds.base, at: \.link)
    }

    deinit {
        memory.deallocate()
        holds.deallocate()
    }

    var isFull: Bool { free.isFull }
    /// The number of buffers in use.
    var count: Int { free.used }
    /// The buffer taken longest ago; -1 if there is none.
    var oldest: Int32 { taken.first }

    /// A buffer for `owner`; nil if all are taken.
    func take(for owner: Int32) -> Int32? {
        guard let buffer = free.take() else { return nil }
        holds.base[Int(buffer)].owner = owner
        taken.append(buffer, links)
        return buffer
    }

    func giveBack(_ buffer: Int32) {
        taken.remove(buffer, links)
        free.give(buffer)
    }

    /// The owner a buffer was taken for.
    func owner(of buffer: Int32) -> Int32 { holds.base[Int(buffer)].owner }

    func bytes(of buffer: Int32) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: memory.base + Int(buffer) * size, count: size)
    }
}
