// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Items on their way between two executors: one thread puts them in, another takes them out, in the order of their turns.
///
/// An item's bytes are copied into the ring, as a DMA engine would, unless they outlive the run anyway (those of a mapped
/// capture) or are in a block of their own, which changes hands. So each side keeps its own pool, and nothing has to be sent
/// back when an item's life ends. A place is free again once everything that its item set in motion has come to rest.
///
/// Ends of flows travel between the items. Beside them the sender tells how far it has come, so that the receiver knows which
/// turns are complete, and which timers are due, while no items cross.
final class Ring: @unchecked Sendable {
    /// What one place of the ring holds.
    struct Entry: BitwiseCopyable {
        var item: Item
        var turn: Turn
        /// The output of the receiving ``RingHead`` by which the item leaves, or ``end(_:)``.
        var edge: Int32

        /// The mark of a flow's end.
        static func end(_ reason: FlowEnd) -> Int32 { -1 - Int32(reason.rawValue) }
    }

    /// The side that it leads to.
    let side: Side
    /// The most items that it holds.
    let capacity: Int
    /// Place `k` is at `k & mask`.
    let mask: Int
    let entries: UnsafeMutablePointer<Entry>
    private let slots: ZeroedMemory<UInt8>

    // Counters that one side writes and the other reads, each on a line of its own.
    private let published = SharedCounter()
    private let consumed = SharedCounter()
    private let doneTurns = SharedCounter()
    private let doneTime = SharedCounter(Int.min)
    private let endMark = SharedCounter()
    /// Rung when something was put in.
    private let bell: Doorbell

    // The sender's own.
    private var tail = 0
    private var overflow: [Entry] = []
    /// Items that found no room yet: the sender takes nothing more in until they have.
    var isBlocked: Bool { !overflow.isEmpty }
    private(set) var counts = Counts()

    /// What has crossed.
    struct Counts: Sendable {
        var items: UInt64 = 0
        var bytes: UInt64 = 0
        var copied: UInt64 = 0
        var ends: UInt64 = 0
        var batches: UInt64 = 0
        /// How often the ring was full when an item was to be put in.
        var full: UInt64 = 0
    }

    // The receiver's own.
    private(set) var head = 0

    init(to side: Side, capacity: Int, bell: Doorbell) throws(OutOfMemory) {
        self.side = side
        self.capacity = capacity
        self.bell = bell
        let places = 1 << (Int.bitWidth - max(0, capacity - 1).leadingZeroBitCount)
        mask = places - 1
        entries = .allocate(capacity: places)
        slots = try ZeroedMemory(places * Pool.slotBytes)
    }

    deinit {
        for k in head..<tail where entries[k & mask].item.flags.contains(.large) {
            entries[k & mask].item.data.deallocate()
        }
        for entry in overflow where entry.item.flags.contains(.large) { entry.item.data.deallocate() }
        entries.deallocate()
        slots.deallocate()
    }

    // MARK: Sending

    /// Puts in items that leave the sender's pool by `edge`. Whatever finds no room waits beside the ring.
    func put(_ batch: Batch, _ edge: Int32, _ pool: UnsafeMutablePointer<PoolState>) {
        var room = overflow.isEmpty ? capacity &- (tail &- consumed.value) : 0
        let turns = pool.pointee.turns
        var bytes: UInt64 = 0
        for k in 0..<batch.count {
            let i = Int(batch.index[k])
            var entry = Entry(item: batch.items[i], turn: Turn.of(batch[k], turns + i), edge: edge)
            bytes &+= UInt64(entry.item.length)
            if entry.item.flags.contains(.large) { pool.pointee.handOver(Int32(truncatingIfNeeded: i)) }
            guard room > 0 else {
                setAside(entry)
                continue
            }
            if entry.item.flags.rawValue & (ItemFlags.owned.rawValue | ItemFlags.lent.rawValue) != 0 {
                copy(&entry.item, to: tail & mask)
            }
            entries[tail & mask] = entry
            tail &+= 1
            room &-= 1
        }
        counts.items &+= UInt64(truncatingIfNeeded: batch.count)
        counts.bytes &+= bytes
    }

    /// Tells that a flow has ended, behind all items before.
    func put(endOf flow: FlowRef, _ reason: FlowEnd, _ origin: Origin) {
        var item = Item(
            data: UnsafeMutableRawPointer(entries),
            length: 0,
            wireLength: 0,
            time: origin.time,
            sequence: origin.sequence,
            linkType: 0,
            interface: 0
        )
        item.flow = flow
        item.flags = .turnKept
        let entry = Entry(item: item, turn: Turn(number: origin.turn, now: origin.now), edge: Entry.end(reason))
        counts.ends &+= 1
        if overflow.isEmpty, tail &- consumed.value < capacity {
            entries[tail & mask] = entry
            tail &+= 1
        } else {
            setAside(entry)
        }
    }

    /// Lets an item wait beside the ring, with bytes of its own.
    @inline(never)
    private func setAside(_ entry: Entry) {
        counts.full &+= 1
        var entry = entry
        let item = entry.item
        if item.flags.contains(.owned) || item.flags.contains(.lent) {
            let block = UnsafeMutableRawPointer.allocate(byteCount: max(1, Int(item.length)), alignment: 64)
            block.copyMemory(from: item.data, byteCount: Int(item.length))
            entry.item.data = block
            entry.item.flags.subtract([.owned, .lent])
            entry.item.flags.insert(.large)
            counts.copied &+= UInt64(item.length)
        }
        overflow.append(entry)
    }

    private func copy(_ item: inout Item, to place: Int) {
        let length = Int(item.length)
        counts.copied &+= UInt64(length)
        item.flags.subtract([.owned, .lent])
        if length <= Pool.slotBytes - Pool.headroom {
            let slot = UnsafeMutableRawPointer(slots.base + place &* Pool.slotBytes) + Pool.headroom
            slot.copyMemory(from: item.data, byteCount: length)
            item.data = slot
            item.flags.insert(.lent)
        } else {
            let block = UnsafeMutableRawPointer.allocate(byteCount: length, alignment: 64)
            block.copyMemory(from: item.data, byteCount: length)
            item.data = block
            item.flags.insert(.large)
        }
    }

    /// Shows the receiver what was put in, as far as there is room.
    func publish() {
        if !overflow.isEmpty {
            var moved = 0
            let room = capacity &- (tail &- consumed.value)
            while moved < overflow.count, moved < room {
                entries[tail & mask] = overflow[moved]
                tail &+= 1
                moved += 1
            }
            overflow.removeFirst(moved)
        }
        if published.own == tail { return }
        counts.batches &+= 1
        published.set(tail)
        bell.ring()
    }

    /// Tells that all items of turns before `turns`, and all that happens up to `time`, were put in.
    func publish(done turns: UInt64, at time: Int64) {
        publish()
        let turns = Int(truncatingIfNeeded: turns)
        if !overflow.isEmpty || turns == doneTurns.own && time == doneTime.own { return }
        doneTime.set(Int(time))
        doneTurns.set(turns)
        bell.ring()
    }

    /// Nothing more will be put in.
    func end() {
        endMark.set(1)
        bell.ring()
    }

    /// What was put in has been taken out, and what that caused is through. Any thread may ask.
    var isQuiet: Bool { published.value == consumed.value }

    // MARK: Receiving

    /// What the receiver can see.
    struct View {
        /// Entries that have not been taken.
        var count: Int
        /// All entries of turns before this one are there.
        var turns: UInt64
        /// The sender has come to this time.
        var time: Int64
        var isEnded: Bool
    }

    /// What is there `from` a place on that was not yet given back.
    func look(from: Int) -> View {
        let isEnded = endMark.value != 0
        let turns = UInt64(truncatingIfNeeded: doneTurns.value)
        let time = Int64(doneTime.value)
        // Read last: what the others promise is there.
        let count = published.value &- head &- from
        var view = View(count: count, turns: isEnded ? .max : turns, time: time, isEnded: isEnded)
        if count > 0, !isEnded {
            // Items are in the order of their turns. If the ring is full, the last turn may not fit.
            let last = entries[(head &+ from &+ count &- 1) & mask].turn.number
            view.turns = max(turns, count &+ from == capacity ? last &+ 1 : last)
        }
        return view
    }

    /// Gives back the first `count` places.
    func giveBack(_ count: Int) {
        if count == 0 { return }
        head &+= count
        consumed.set(head)
    }
}

/// A number that one thread writes and another reads, on a cache line of its own.
final class SharedCounter: @unchecked Sendable {
    private let before: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
    private let shared: Atomic<Int>
    /// The writer's copy.
    private(set) var own: Int
    private let after: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)

    init(_ value: Int = 0) {
        shared = Atomic(value)
        own = value
    }

    /// The number; what was written before it can be read after.
    @inline(__always)
    var value: Int { shared.load(ordering: .acquiring) }

    @inline(__always)
    func set(_ value: Int) {
        own = value
        shared.store(value, ordering: .releasing)
    }
}
