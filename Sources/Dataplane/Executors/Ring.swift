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
        /// What a run on one thread does earlier has an earlier moment.
        var moment: Moment
        /// The output of the receiving ``RingHead`` by which the item leaves, or ``end(_:)``.
        var edge: Int32
        /// What came before was through when this came: the two are not merged, though they be of one turn.
        var isFirst: Bool

        /// The mark of a flow's end.
        static func end(_ reason: FlowEnd) -> Int32 { -1 - Int32(reason.rawValue) }
    }

    /// When something happens: at which functional time, and then in which order, which is that of the packets. Timers have the
    /// order of a packet before them.
    struct Moment: Comparable, BitwiseCopyable {
        var now: Int64
        var order: UInt64

        static var first: Moment { Moment(now: .min, order: 0) }
        /// That of all that elements release at the end of the input.
        static var end: Moment { Moment(now: .max, order: .max) }
        @inline(__always) var isEnd: Bool { self == .end }

        /// A moment with no other between the two.
        @inline(__always)
        var before: Moment {
            if order > 0 { return Moment(now: now, order: order &- 1) }
            return now > .min ? Moment(now: now &- 1, order: .max) : self
        }

        @inline(__always)
        init(now: Int64, order: UInt64) {
            self.now = now
            self.order = order
        }

        @inline(__always)
        init(_ turn: Turn, _ run: borrowing RunState) {
            self = run.isFinishing ? .end : Moment(now: turn.now, order: turn.number)
        }

        @inline(__always)
        static func < (a: Moment, b: Moment) -> Bool { a.now != b.now ? a.now < b.now : a.order < b.order }
    }

    /// The stages that it leads from and to, as reports name them.
    let from: String
    let to: String
    /// The most items that it holds.
    let capacity: Int
    /// Place `k` is at `k & mask`.
    let mask: Int
    let entries: UnsafeMutablePointer<Entry>
    private let slots: ZeroedMemory<UInt8>

    // Counters that one side writes and the other reads, each on a line of its own.
    private let published = SharedCounter()
    private let consumed = SharedCounter()
    private let doneOrder = SharedCounter()
    private let doneTime = SharedCounter(Int.min)
    private let endMark = SharedCounter()
    /// Rung when something was put in.
    private let bell: Doorbell
    /// That of the sender's thread.
    private let senderBell: Doorbell

    // The sender's own.
    private var tail = 0
    private var moment = UInt64.max
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

    init(
        from: String,
        to: String,
        capacity: Int,
        bell: Doorbell,
        senderBell: Doorbell
    ) throws(OutOfMemory) {
        self.from = from
        self.to = to
        self.capacity = capacity
        self.bell = bell
        self.senderBell = senderBell
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
    func put(_ batch: Batch, _ edge: Int32, _ pool: UnsafeMutablePointer<PoolState>, _ run: borrowing RunState) {
        var room = overflow.isEmpty ? capacity &- (tail &- consumed.value) : 0
        let turns = pool.pointee.turns
        var isFirst = isFirst(run)
        var bytes: UInt64 = 0
        for k in 0..<batch.count {
            let i = Int(batch.index[k])
            let turn = Turn.of(batch[k], turns + i)
            var entry = Entry(
                item: batch.items[i],
                turn: turn,
                moment: Moment(turn, run),
                edge: edge,
                isFirst: isFirst
            )
            isFirst = false
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
    func put(endOf flow: FlowRef, _ reason: FlowEnd, _ run: borrowing RunState) {
        let origin = run.origin
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
        let turn = Turn(number: origin.turn, now: origin.now)
        let entry = Entry(
            item: item,
            turn: turn,
            moment: Moment(turn, run),
            edge: Entry.end(reason),
            isFirst: isFirst(run)
        )
        counts.ends &+= 1
        if overflow.isEmpty, tail &- consumed.value < capacity {
            entries[tail & mask] = entry
            tail &+= 1
        } else {
            setAside(entry)
        }
    }

    private func isFirst(_ run: borrowing RunState) -> Bool {
        if run.moment == moment { return false }
        moment = run.moment
        return true
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

    /// Tells that all that happens at a moment and before was put in.
    func publish(done moment: Moment) {
        publish()
        let order = Int(truncatingIfNeeded: moment.order)
        if !overflow.isEmpty || order == doneOrder.own && Int(moment.now) == doneTime.own { return }
        // The two are not read together: an older order with a newer time holds, too.
        doneTime.set(Int(moment.now))
        doneOrder.set(order)
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
        /// All entries of this moment and of those before are there, as the sender says.
        var said: Moment
        /// The same, as what is there shows.
        var complete: Moment
        var isEnded: Bool
    }

    private var said: Moment {
        let order = UInt64(bitPattern: Int64(doneOrder.value))
        return Moment(now: Int64(doneTime.value), order: order)
    }

    /// What is there `from` a place on that was not yet given back.
    func look(from: Int) -> View {
        let isEnded = endMark.value != 0
        var said = said
        // Read after that: what the sender says is there, is.
        let count = published.value &- head &- from
        var complete = said
        if count > 0 {
            // If the ring is full, more of the last moment may not fit.
            let last = entries[(head &+ from &+ count &- 1) & mask].moment
            complete = max(complete, count &+ from == capacity ? last : last.before)
            // The last that it said is said before anything is released at the end.
            if last.isEnd { said = self.said }
        }
        return View(count: count, said: said, complete: complete, isEnded: isEnded)
    }

    /// Asks the sender, which may be asleep, how far it has come.
    func ask() { senderBell.ring() }

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
