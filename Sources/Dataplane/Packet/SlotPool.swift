// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The free slots of a table, among `0 ..< capacity`. The slot returned last is taken first, as its memory may still be in the
/// cache; slots never used come last, in order, so their memory is touched only when that many are needed at once.
struct SlotPool: ~Copyable {
    let capacity: Int
    /// Returned slots, the latest at `freeCount - 1`.
    private let free: ZeroedMemory<Int32>
    private var freeCount = 0
    /// Slots from here on were never taken.
    private var fresh: Int32 = 0
    /// One bit per taken slot. Debug builds use it to find misuse; in others its memory is never touched.
    private let taken: ZeroedMemory<UInt64>

    init(_ capacity: Int) throws(OutOfMemory) {
        precondition(capacity >= 0 && capacity < Int(Int32.max), "slot capacity out of range")
        let free = try ZeroedMemory<Int32>(capacity)
        let taken = try ZeroedMemory<UInt64>((capacity + 63) / 64)
        self.capacity = capacity
        self.free = free
        self.taken = taken
    }

    deinit {
        free.deallocate()
        taken.deallocate()
    }

    /// Memory of a pool per slot, in bytes.
    static var bytesPerSlot: Int { MemoryLayout<Int32>.stride }

    @inline(__always)
    var used: Int { Int(fresh) &- freeCount }
    @inline(__always)
    var isFull: Bool { used == capacity }

    /// A free slot; nil when all are taken.
    @inline(__always)
    mutating func take() -> Int32? {
        let slot: Int32
        if freeCount > 0 {
            freeCount &-= 1
            slot = free.base[freeCount]
        } else {
            guard Int(fresh) < capacity else { return nil }
            slot = fresh
            fresh &+= 1
        }
        assert(mark(slot, isTaken: true), "slot \(slot) is handed out twice")
        return slot
    }

    /// Returns a taken slot.
    @inline(__always)
    mutating func give(_ slot: Int32) {
        assert(mark(slot, isTaken: false), "slot \(slot) is given back and is not taken")
        free.base[freeCount] = slot
        freeCount &+= 1
    }

    /// Records whether a slot is taken; false if that changes nothing, or there is no such slot.
    private func mark(_ slot: Int32, isTaken: Bool) -> Bool {
        guard slot >= 0, Int(slot) < capacity else { return false }
        let word = taken.base + Int(slot) / 64
        let bit = 1 << UInt64(slot & 63) as UInt64
        let isChange = (word.pointee & bit != 0) != isTaken
        word.pointee ^= isChange ? bit : 0
        return isChange
    }
}
