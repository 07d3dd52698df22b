// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux

/// One flow of a ``FlowMap``: one cache line.
@frozen
@usableFromInline
struct FlowRecord: BitwiseCopyable {
    @usableFromInline var key: FlowKey
    /// Functional time of the last packet, in nanoseconds.
    @usableFromInline var last: Int64
    @usableFromInline var generation: UInt32
    @usableFromInline var marks: Marks
    /// Initial sequence numbers of the lower and the upper end; valid where `marks` says so.
    @usableFromInline var base: (lower: UInt32, upper: UInt32)

    @usableFromInline
    struct Marks: OptionSet, BitwiseCopyable {
        @usableFromInline var rawValue: UInt32
        @usableFromInline init(rawValue: UInt32) { self.rawValue = rawValue }
        /// The slot holds a flow that can be found.
        @inline(__always) static var live: Marks { Marks(rawValue: 1) }
        /// The upper end was seen first: it is the forward side.
        static var upperFirst: Marks { Marks(rawValue: 2) }
        static var lowerBase: Marks { Marks(rawValue: 4) }
        static var upperBase: Marks { Marks(rawValue: 8) }
        /// Packets say nothing about the flow but that it goes on: it is not TCP.
        static var plain: Marks { Marks(rawValue: 16) }
        /// It is being cut over: a marker is under way behind its packets on the slow path. Meanwhile the marks that let packets pass
        /// quickly are kept 8 bits higher.
        static var cutOver: Marks { Marks(rawValue: 32) }
        /// Packets went the slow path behind the marker.
        static var overtaken: Marks { Marks(rawValue: 64) }
        static var quick: Marks { [.lowerBase, .upperBase, .plain] }

        /// The marks so many bits higher.
        func put(by bits: Int) -> Marks { Marks(rawValue: rawValue << bits) }
    }
}

/// A bounded map from flow keys to dense indices, and the flows in the order in which they were last checked.
///
/// Open addressing with linear probing over 32-bit slots (8 bits of hash, 24 of index), at most half full; a removal
/// moves later slots back, so there are no tombstones. Records are 64 bytes, on their own cache lines.
///
/// The list of flows gives both ageing and eviction their candidates, at no cost per packet: a flow is looked at when it
/// has stood in the list for the idle time, and goes to the back if it was used since (the second chance, or CLOCK, rule).
final class FlowMap {
    /// The largest number of flows: slots hold 24 bits of index.
    static let maximumFlows = 1 << 24 - 2
    /// Flows that have ended but not been told to all elements use this many records beyond the capacity.
    static let spare = 1024

    let capacity: Int
    let records: UnsafeMutablePointer<FlowRecord>
    let slots: UnsafeMutablePointer<UInt32>
    private let slotCount: Int
    let mask: UInt64
    private let slotMemory: ZeroedMemory<UInt32>
    private let recordMemory: ZeroedMemory<FlowRecord>
    /// The flows in the order in which they were last checked, and where each stands in it.
    private var list = IndexList()
    private let links: IndexList.Links
    private let stands: ZeroedMemory<Stand>
    private var free: SlotPool
    let key: HashKey

    private struct Stand: BitwiseCopyable {
        var link: IndexList.Link
        /// Functional time when the flow was last put at the back.
        var checked: Int64
    }

    init(capacity: Int, key: HashKey) throws(OutOfMemory) {
        precondition(capacity > 0 && capacity <= FlowMap.maximumFlows - FlowMap.spare, "flow capacity out of range")
        self.capacity = capacity
        self.key = key
        let total = capacity + FlowMap.spare
        var slotCount = 1024
        while slotCount < 2 * capacity { slotCount *= 2 }
        self.slotCount = slotCount
        mask = UInt64(slotCount - 1)
        slotMemory = try ZeroedMemory(slotCount)
        recordMemory = try ZeroedMemory(total)
        slots = slotMemory.base
        records = recordMemory.base
        stands = try ZeroedMemory(total)
        links = IndexList.Links(in: stands.base, at: \.link)
        free = try SlotPool(total)
    }

    deinit {
        slotMemory.deallocate()
        recordMemory.deallocate()
        stands.deallocate()
    }

    /// Bytes of slots, records and lists.
    var memoryBytes: Int {
        slotCount * MemoryLayout<UInt32>.stride
            + (capacity + FlowMap.spare)
            * (MemoryLayout<FlowRecord>.stride + MemoryLayout<Stand>.stride + SlotPool.bytesPerSlot)
    }

    /// Flows in the table.
    var count: Int { list.count }

    @inline(__always)
    func hash(_ key: FlowKey) -> UInt64 { key.hash(self.key) }

    /// The index of the flow with `key`; -1 when there is none.
    func find(_ key: FlowKey, _ hash: UInt64) -> Int32 {
        var s = Int(truncatingIfNeeded: hash & mask)
        let tag = UInt32(truncatingIfNeeded: hash &>> 56) &<< 24
        while true {
            let slot = slots[s]
            if slot == 0 { return -1 }
            if slot & 0xff00_0000 == tag {
                let i = Int(slot & 0xff_ffff) &- 1
                let record = records + i
                if record.pointee.key == key { return Int32(truncatingIfNeeded: i) }
            }
            s = (s &+ 1) & Int(truncatingIfNeeded: mask)
        }
    }

    /// Puts in a flow that is not there; -1 when all records are in use by ended flows not yet released. The caller has
    /// made sure that `count < capacity`.
    func insert(_ key: FlowKey, _ hash: UInt64, upperFirst: Bool, time: Int64) -> Int32 {
        guard let i = free.take() else { return -1 }
        let record = records + Int(i)
        record.pointee.key = key
        record.pointee.last = time
        record.pointee.generation &+= 1
        record.pointee.marks = upperFirst ? [.live, .upperFirst] : [.live]
        record.pointee.base = (0, 0)
        var s = Int(hash & mask)
        while slots[s] != 0 { s = (s + 1) & Int(mask) }
        slots[s] = UInt32(truncatingIfNeeded: hash >> 56) << 24 | UInt32(i + 1)
        stands.base[Int(i)].checked = time
        list.append(i, links)
        return i
    }

    /// Takes a flow out of the map and the list. Its record is used again only after ``release(_:)``.
    func remove(_ i: Int32) {
        let record = records + Int(i)
        record.pointee.marks.remove(.live)
        list.remove(i, links)
        var s = Int(hash(record.pointee.key) & mask)
        while slots[s] & 0xff_ffff != UInt32(i + 1) { s = (s + 1) & Int(mask) }
        // Later slots of the run that would no longer be found move back.
        var hole = s
        var next = (s + 1) & Int(mask)
        while slots[next] != 0 {
            let home = Int(hash(records[Int(slots[next] & 0xff_ffff) - 1].key) & mask)
            if (next - home) & Int(mask) >= (next - hole) & Int(mask) {
                slots[hole] = slots[next]
                hole = next
            }
            next = (next + 1) & Int(mask)
        }
        slots[hole] = 0
    }

    /// The record of a removed flow may be used again.
    func release(_ i: Int32) { free.give(i) }

    /// The reference by which items name flow `i`.
    @inline(__always)
    func reference(_ i: Int32) -> FlowRef { FlowRef(index: i, generation: records[Int(i)].generation) }

    // MARK: The list

    /// The flow at the front of the list; -1 when there is none.
    var oldest: Int32 { list.first }

    /// When flow `i` was last put at the back of the list.
    func checked(_ i: Int32) -> Int64 { stands.base[Int(i)].checked }

    /// The flow behind `i` in the list; -1 at the end.
    func next(_ i: Int32) -> Int32 { list.next(i, links) }

    /// Puts flow `i` at the back of the list.
    func moveToBack(_ i: Int32, _ time: Int64) {
        stands.base[Int(i)].checked = time
        list.moveToBack(i, links)
    }
}
