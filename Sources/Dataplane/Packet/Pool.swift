// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The items of one run: a fixed number, each with a slot for bytes of its own.
///
/// The pool never grows. When it is empty, arriving packets are dropped at their wire, counted as `no_items`, and an element
/// that makes items gets nil and follows its documented policy. A slot's memory is untouched until the slot is written.
public final class Pool {
    /// The most bytes an item can own without a separate block.
    public static let slotBytes = 2048
    /// Bytes kept free before copied or made bytes, so that headers can be prepended.
    public static let headroom = 64

    /// The number of items, not counting the one in reserve.
    public let capacity: Int
    /// The items, by index.
    public let items: UnsafeMutablePointer<Item>
    let slots: UnsafeMutableRawPointer
    /// The turn of each item whose `turnKept` flag is set.
    let turns: UnsafeMutablePointer<Turn>
    let state: UnsafeMutablePointer<PoolState>
    private let itemMemory: ZeroedMemory<Item>
    private let turnMemory: ZeroedMemory<Turn>
    private let slotMemory: ZeroedMemory<UInt8>

    /// A pool of `capacity` free items. Throws if the system lacks the memory.
    public init(capacity: Int) throws(OutOfMemory) {
        precondition(capacity > 0 && capacity < Int(Int32.max), "pool capacity out of range")
        self.capacity = capacity
        // Items are initialised when taken, so no memory is touched before it is needed. One extra item is in reserve, for
        // packets that arrive when none is free.
        itemMemory = try ZeroedMemory(capacity + 1)
        slotMemory = try ZeroedMemory((capacity + 1) * Pool.slotBytes)
        turnMemory = try ZeroedMemory(capacity + 1)
        items = itemMemory.base
        turns = turnMemory.base
        slots = UnsafeMutableRawPointer(slotMemory.base)
        let free = UnsafeMutablePointer<Int32>.allocate(capacity: capacity + 1)
        // The last is handed out first: low indices are used first, and the same few stay in the cache.
        for i in 0..<capacity { free[i] = Int32(capacity - 1 - i) }
        state = .allocate(capacity: 1)
        state.initialize(to: PoolState(items: items, free: free, freeCount: capacity, slots: slots, turns: turns))
    }

    deinit {
        if state.pointee.largeCount > 0 {
            for i in 0...capacity where items[i].flags.contains(.large) { items[i].data.deallocate() }
        }
        state.pointee.free.deallocate()
        state.deallocate()
        itemMemory.deallocate()
        slotMemory.deallocate()
        turnMemory.deallocate()
    }

    /// Lends the reserve item to a source when no other is free, so that it can take one packet, which is then dropped.
    func lendReserve() {
        precondition(state.pointee.freeCount == 0, "items are free")
        state.pointee.free[0] = Int32(capacity)
        state.pointee.freeCount = 1
    }

    /// Takes the reserve item back, whether a source used it or not.
    func takeReserveBack() {
        if state.pointee.freeCount == 0, items[capacity].flags.contains(.large) {
            state.pointee.releaseLarge(Int32(capacity))
        }
        state.pointee.freeCount = 0
    }

    /// The item with index `i`.
    @inlinable
    public subscript(_ i: Int32) -> Packet { Packet(items + Int(i)) }

    /// The number of free items.
    public var freeCount: Int { state.pointee.freeCount }

    /// How often an element wanted a new item, for a copy or a record, and none was free: these are missing from the results, and
    /// which ones depends on the size of batches.
    public var shortages: UInt64 { state.pointee.shortages }

    /// Takes up to `count` free items and writes their indices to `indices`; returns how many there were.
    ///
    /// The caller must initialise each item.
    @inlinable
    public func take(_ count: Int, into indices: UnsafeMutablePointer<Int32>) -> Int {
        unsafeState.pointee.take(count, into: indices)
    }

    /// Returns items that were taken but not needed.
    @inlinable
    public func giveBack(_ indices: UnsafePointer<Int32>, count: Int) {
        unsafeState.pointee.giveBack(indices, count: count)
    }

    /// Item `i`, initialised by a source, comes in at functional time `now`, which is not its own.
    public func enter(_ i: Int32, at now: Int64) {
        items[Int(i)].flags.insert(.turnKept)
        turns[Int(i)] = Turn(number: items[Int(i)].sequence, now: now)
    }

    /// Functional time in nanoseconds at which item `i` came in, or was handled last if an element had held it.
    public func now(_ i: Int32) -> Int64 { Turn.of(self[i], turns + Int(i)).now }

    /// Copies the bytes of item `i` to memory that the item owns, unless it owns them already.
    ///
    /// For sources whose own bytes do not outlive their items.
    public func own(_ i: Int32) { state.pointee.own(i) }

    @usableFromInline
    var unsafeState: UnsafeMutablePointer<PoolState> { state }
}

/// The part of a pool that elements touch; reached by pointer, so that no class property is accessed per item.
@frozen
@usableFromInline
struct PoolState {
    @usableFromInline let items: UnsafeMutablePointer<Item>
    @usableFromInline let free: UnsafeMutablePointer<Int32>
    @usableFromInline var freeCount: Int
    @usableFromInline let slots: UnsafeMutableRawPointer
    @usableFromInline let turns: UnsafeMutablePointer<Turn>
    /// Items with a separate block, which must be freed with them.
    @usableFromInline var largeCount = 0
    /// How often an element wanted a new item and none was free.
    var shortages: UInt64 = 0

    @usableFromInline
    init(
        items: UnsafeMutablePointer<Item>,
        free: UnsafeMutablePointer<Int32>,
        freeCount: Int,
        slots: UnsafeMutableRawPointer,
        turns: UnsafeMutablePointer<Turn>
    ) {
        self.items = items
        self.free = free
        self.freeCount = freeCount
        self.slots = slots
        self.turns = turns
    }

    @inlinable @inline(__always)
    mutating func take(_ count: Int, into indices: UnsafeMutablePointer<Int32>) -> Int {
        let n = min(count, freeCount)
        for k in 0..<n { indices[k] = free[freeCount &- 1 &- k] }
        freeCount &-= n
        return n
    }

    @inlinable @inline(__always)
    mutating func giveBack(_ indices: UnsafePointer<Int32>, count: Int) {
        for k in 0..<count { free[freeCount &+ count &- 1 &- k] = indices[k] }
        freeCount &+= count
    }

    @inlinable @inline(__always)
    mutating func release(_ i: Int32) {
        if items[Int(i)].flags.rawValue & ItemFlags.large.rawValue != 0 { releaseLarge(i) }
        free[freeCount] = i
        freeCount &+= 1
    }

    /// Frees all items of a batch at once.
    @inlinable @inline(__always)
    mutating func release(_ batch: Batch) {
        if largeCount != 0 {
            for k in 0..<batch.count where batch[k].flags.contains(.large) { releaseLarge(batch.index[k]) }
        }
        (free + freeCount).update(from: batch.index, count: batch.count)
        freeCount &+= batch.count
    }

    @usableFromInline @inline(never)
    mutating func releaseLarge(_ i: Int32) {
        items[Int(i)].data.deallocate()
        items[Int(i)].flags.subtract(.large)
        largeCount -= 1
    }

    /// The block of an item changes hands: it is not freed with the item.
    mutating func handOver(_ i: Int32) {
        items[Int(i)].flags.subtract(.large)
        largeCount -= 1
    }

    @inlinable @inline(__always)
    func slot(_ i: Int32) -> UnsafeMutableRawPointer { slots + Int(i) &* Pool.slotBytes }

    /// Makes `i` own its bytes, copying them if necessary.
    @usableFromInline @inline(never)
    mutating func own(_ i: Int32) {
        let item = Packet(items + Int(i))
        if item.isWritable { return }
        let (data, flag) = space(for: i, capacity: Int(item.length))
        data.copyMemory(from: item.data, byteCount: Int(item.length))
        item.writableData = data
        item.flags.insert(flag)
        item.flags.remove(.lent)
    }

    /// Makes `i` own its bytes, and `length` of them: the end is cut off, or zeros are added.
    @usableFromInline @inline(never)
    mutating func own(_ i: Int32, length: Int) {
        let item = Packet(items + Int(i))
        let old = UnsafeRawBufferPointer(start: item.data, count: min(Int(item.length), length))
        // An item made writable may begin anywhere in its slot; a separate block has room for what it was made for.
        let room: Int =
            if item.flags.contains(.owned) {
                slot(i) + Pool.slotBytes - item.writableData
            } else {
                item.flags.contains(.large) ? Int(item.length) : 0
            }
        if length > room || !item.isWritable {
            let block = item.flags.contains(.large) ? item.writableData : nil
            let (data, flag) = space(for: i, capacity: length)
            // Within the slot, old and new bytes may overlap.
            if let base = old.baseAddress { data.copyMemory(from: base, byteCount: old.count) }
            if let block {
                block.deallocate()
                largeCount -= 1
            }
            item.writableData = data
            item.flags.subtract([.owned, .large])
            item.flags.insert(flag)
        }
        if length > old.count {
            (item.writableData + old.count).initializeMemory(as: UInt8.self, repeating: 0, count: length - old.count)
        }
        item.length = UInt32(truncatingIfNeeded: length)
    }

    /// Memory for `capacity` writable bytes of item `i`: its slot, or a separate block if the slot is too small.
    mutating func space(for i: Int32, capacity: Int) -> (UnsafeMutableRawPointer, ItemFlags) {
        if capacity <= Pool.slotBytes - Pool.headroom { return (slot(i) + Pool.headroom, .owned) }
        largeCount += 1
        return (.allocate(byteCount: capacity, alignment: 64), .large)
    }

    /// Takes a free item with `capacity` writable, uninitialised bytes; nil when the pool is empty.
    @usableFromInline @inline(never)
    mutating func make(capacity: Int) -> Int32? {
        if freeCount == 0 {
            shortages &+= 1
            return nil
        }
        freeCount -= 1
        let i = free[freeCount]
        let (data, flag) = space(for: i, capacity: capacity)
        items[Int(i)] = Item(
            data: data,
            length: UInt32(capacity),
            wireLength: UInt32(capacity),
            time: 0,
            sequence: 0,
            linkType: 0,
            interface: 0
        )
        items[Int(i)].flags = flag
        return i
    }
}
