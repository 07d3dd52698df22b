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
    /// The acknowledgment numbers that the lower and the upper end sent last, in memory order; valid if `marks` says that the end
    /// has begun.
    @usableFromInline var acknowledged: (lower: UInt32, upper: UInt32)

    /// Records the acknowledgment number of a packet that has a TCP header, for the lower end (0) or the upper one (1).
    @inline(__always)
    static func acknowledge(_ record: UnsafeMutablePointer<FlowRecord>, _ p: Packet, _ upper: UInt8) {
        let number = p.transportHeader.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        // No branch: which end sends is hard to predict.
        let offset = FlowRecord.acknowledgedOffset &+ 4 &* Int(upper)
        UnsafeMutableRawPointer(record).storeBytes(of: number, toByteOffset: offset, as: UInt32.self)
    }
    /// Where `acknowledged` begins, in bytes; a test checks it.
    @inline(__always) static var acknowledgedOffset: Int { 56 }

    @usableFromInline
    struct Marks: OptionSet, BitwiseCopyable {
        @usableFromInline var rawValue: UInt32
        @usableFromInline init(rawValue: UInt32) { self.rawValue = rawValue }
        /// The slot holds a flow that look-ups can find.
        @inline(__always) static var live: Marks { Marks(rawValue: 1) }
        /// The upper end is the client, so it is the forward side.
        static var upperFirst: Marks { Marks(rawValue: 2) }
        /// Packets of the lower end that are not SYN, FIN or RST say nothing about the flow except that it continues, and what
        /// they acknowledge.
        @inline(__always) static var lowerQuick: Marks { Marks(rawValue: 4) }
        static var upperQuick: Marks { Marks(rawValue: 8) }
        /// No packet says more than that.
        @inline(__always) static var allQuick: Marks { Marks(rawValue: 16) }
        /// It is being cut over: a marker is under way behind its packets on the slow path.
        static var cutOver: Marks { Marks(rawValue: 32) }
        /// Packets took the slow path behind the marker.
        static var overtaken: Marks { Marks(rawValue: 64) }
        /// Every packet is judged: an end has sent a FIN, or two SYNs.
        static var judged: Marks { Marks(rawValue: 128) }
        /// A packet of the lower end was seen.
        static var lowerBegun: Marks { Marks(rawValue: 256) }
        static var upperBegun: Marks { Marks(rawValue: 512) }
        /// Not TCP.
        static var plain: Marks { Marks(rawValue: 1024) }

        /// Says which packets are quick; to be called when one of the other marks has changed.
        mutating func sortOut() {
            subtract([.lowerQuick, .upperQuick, .allQuick])
            if contains(.cutOver) { return }
            if contains(.plain) { insert(.allQuick) }
            if contains(.judged) { return }
            if contains(.lowerBegun) { insert(.lowerQuick) }
            if contains(.upperBegun) { insert(.upperQuick) }
        }
    }
}

/// A bounded map from flow keys to dense indices, with the flows in the order in which they were last checked.
///
/// Open addressing with linear probing over 32-bit slots (8 bits of hash, 24 of index), at most half full; a removal moves
/// later slots back, so there are no tombstones. Records are 64 bytes, each on its own cache line.
///
/// The list of flows supplies the candidates for both ageing and eviction, at no cost per packet: a flow is checked once it has
/// been in the list for the idle time, and moves to the back if it was used since (the second-chance, or CLOCK, rule).
final class FlowMap {
    /// The maximum number of flows: slots hold 24 bits of index.
    static let maximumFlows = 1 << 24 - 2
    /// Records beyond the capacity, for flows that have ended but whose end not all elements have been told.
    static let spare = 1024

    let capacity: Int
    let records: UnsafeMutablePointer<FlowRecord>
    let slots: UnsafeMutablePointer<UInt32>
    private let slotCount: Int
    let mask: UInt64
    private let slotMemory: ZeroedMemory<UInt32>
    private let recordMemory: ZeroedMemory<FlowRecord>
    /// The flows in the order in which they were last checked.
    private var list = IndexList()
    private let links: IndexList.Links
    private let stands: ZeroedMemory<Stand>
    private var free: SlotPool
    let key: HashKey

    private struct Stand: BitwiseCopyable {
        var link: IndexList.Link
        /// Functional time when the flow was last moved to the back.
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

    /// Inserts a flow that is not in the map; -1 when all records are in use by ended flows not yet released. The caller has
    /// ensured that `count < capacity`.
    func insert(_ key: FlowKey, _ hash: UInt64, upperFirst: Bool, time: Int64) -> Int32 {
        guard let i = free.take() else { return -1 }
        let record = records + Int(i)
        record.pointee.key = key
        record.pointee.last = time
        record.pointee.generation &+= 1
        record.pointee.marks = upperFirst ? [.live, .upperFirst] : [.live]
        record.pointee.acknowledged = (0, 0)
        var s = Int(hash & mask)
        while slots[s] != 0 { s = (s + 1) & Int(mask) }
        slots[s] = UInt32(truncatingIfNeeded: hash >> 56) << 24 | UInt32(i + 1)
        stands.base[Int(i)].checked = time
        list.append(i, links)
        return i
    }

    /// Removes a flow from the map and the list. Its record is reused only after ``release(_:)``.
    func remove(_ i: Int32) {
        let record = records + Int(i)
        record.pointee.marks.remove(.live)
        list.remove(i, links)
        var s = Int(hash(record.pointee.key) & mask)
        while slots[s] & 0xff_ffff != UInt32(i + 1) { s = (s + 1) & Int(mask) }
        // Move back later slots of the run that would no longer be found.
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

    /// Frees the record of a removed flow for reuse.
    func release(_ i: Int32) { free.give(i) }

    /// The reference to flow `i` for items.
    @inline(__always)
    func reference(_ i: Int32) -> FlowRef { FlowRef(index: i, generation: records[Int(i)].generation) }

    // MARK: The list

    /// The flow at the front of the list; -1 if the list is empty.
    var oldest: Int32 { list.first }

    /// Functional time when flow `i` was last moved to the back of the list.
    func checked(_ i: Int32) -> Int64 { stands.base[Int(i)].checked }

    /// The flow after `i` in the list; -1 at the end.
    func next(_ i: Int32) -> Int32 { list.next(i, links) }

    /// Moves flow `i` to the back of the list.
    func moveToBack(_ i: Int32, _ time: Int64) {
        stands.base[Int(i)].checked = time
        list.moveToBack(i, links)
    }
}
