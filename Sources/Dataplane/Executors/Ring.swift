// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
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
    /// What one place of the ring holds, besides its item: 16 in a cache line.
    struct Mark: BitwiseCopyable {
        private var bits: Int32

        init(edge: Int32, isFirst: Bool) { bits = edge << 2 | (isFirst ? 2 : 0) }

        /// The output of the receiving ``RingHead`` by which the item leaves, or ``end(_:)``.
        @inline(__always) var edge: Int32 { bits >> 2 }
        /// What came before was through when this came: the two are not merged, though they be of one turn.
        @inline(__always) var isFirst: Bool {
            get { bits & 2 != 0 }
            set { bits = bits & ~2 | (newValue ? 2 : 0) }
        }
        /// The item's turn and moment are not those of its arrival: they are in ``times``.
        @inline(__always) var isKept: Bool {
            get { bits & 1 != 0 }
            set { bits = bits & ~1 | (newValue ? 1 : 0) }
        }

        /// The edge of a flow's end.
        static func end(_ reason: FlowEnd) -> Int32 { -1 - Int32(reason.rawValue) }
    }

    /// When an item is handled.
    struct Time: BitwiseCopyable {
        var turn: Turn
        /// What a run on one thread does earlier has an earlier moment.
        var moment: Moment
    }

    /// An item on its way.
    struct Entry: BitwiseCopyable {
        var item: Item
        var mark: Mark
        var time: Time
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

        /// That of an item in a ring.
        @inline(__always)
        init(of item: UnsafePointer<Item>, _ mark: Mark, _ time: UnsafePointer<Time>) {
            self = mark.isKept ? time.pointee.moment : Moment(now: item.pointee.time, order: item.pointee.sequence)
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
    /// Place `k` is at `k & mask` of the following.
    let mask: Int
    let items: UnsafeMutablePointer<Item>
    let marks: UnsafeMutablePointer<Mark>
    let times: UnsafeMutablePointer<Time>
    private let slots: ZeroedMemory<UInt8>

    /// What the sender writes and the receiver reads.
    private struct Sent: ~Copyable {
        let published = Atomic(0)
        let doneOrder = Atomic(0)
        let doneTime = Atomic(Int.min)
        let isEnded = Atomic(false)
    }
    private let sent = SharedLine(Sent())
    /// How much the receiver took out: it writes that, and the sender reads it.
    private let consumed = SharedCounter()
    /// Rung when something was put in.
    private let bell: Doorbell
    /// That of the sender's thread.
    private let senderBell: Doorbell

    /// What only the sender's thread needs, on lines of its own, as everything that is written while the run lasts: a thread that
    /// writes beside what another reads takes the line away from it each time.
    private struct Sender {
        var tail = 0
        /// The last that it published, and that it read of the receiver.
        var published = 0
        var seen = 0
        var done = Moment(now: .min, order: 0)
        var moment = UInt64.max
        var counts = Counts()
        /// Items that found no room, those from `firstWaiting` on: the sender takes nothing more in until they have.
        var overflow: [Entry] = []
        var firstWaiting = 0
        var wasTight = false
    }
    private let sender = SharedLine(Sender())
    private let own: UnsafeMutablePointer<Sender>

    /// What has crossed.
    struct Counts: Sendable {
        var items: UInt64 = 0
        var bytes: UInt64 = 0
        var copied: UInt64 = 0
        var ends: UInt64 = 0
        var batches: UInt64 = 0
        /// How often its sender had to wait for room.
        var full: UInt64 = 0
    }
    var counts: Counts { own.pointee.counts }

    /// The first place that the receiver has not given back.
    var head: Int { consumed.own }

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
        own = sender.pointer
        let places = 1 << (Int.bitWidth - max(0, capacity - 1).leadingZeroBitCount)
        mask = places - 1
        items = Ring.lines(places)
        marks = Ring.lines(places)
        times = Ring.lines(places)
        slots = try ZeroedMemory(places * Pool.slotBytes)
    }

    /// Room for `count` values, from the beginning of a cache line on.
    private static func lines<T: BitwiseCopyable>(_ count: Int) -> UnsafeMutablePointer<T> {
        UnsafeMutableRawPointer.allocate(byteCount: count * MemoryLayout<T>.stride, alignment: SharedLine<Sent>.bytes)
            .bindMemory(to: T.self, capacity: count)
    }

    deinit {
        for k in head..<own.pointee.tail where items[k & mask].flags.contains(.large) {
            items[k & mask].data.deallocate()
        }
        for entry in own.pointee.overflow[own.pointee.firstWaiting...] where entry.item.flags.contains(.large) {
            entry.item.data.deallocate()
        }
        items.deallocate()
        marks.deallocate()
        times.deallocate()
        slots.deallocate()
    }

    // MARK: Sending

    /// Whether the sender has to wait: items found no room, or another batch of `count` might not. Counts how often that begins.
    func isTight(_ count: Int) -> Bool {
        let least = min(count, capacity / 2)
        let isTight = !own.pointee.overflow.isEmpty || room(atLeast: least) < least
        if isTight, !own.pointee.wasTight { own.pointee.counts.full &+= 1 }
        own.pointee.wasTight = isTight
        return isTight
    }

    /// The number of places that are free; all of them, or as many as are asked for.
    @inline(__always)
    private func room(atLeast count: Int) -> Int {
        let room = capacity &- (own.pointee.tail &- own.pointee.seen)
        if room >= count { return room }
        own.pointee.seen = consumed.value
        return capacity &- (own.pointee.tail &- own.pointee.seen)
    }

    /// Puts in items that leave the sender's pool by `edge`. Whatever finds no room waits beside the ring.
    func put(_ batch: Batch, _ edge: Int32, _ pool: UnsafeMutablePointer<PoolState>, _ run: borrowing RunState) {
        let hasRoom = own.pointee.overflow.isEmpty && room(atLeast: batch.count) >= batch.count
        let unusual: ItemFlags = [.large, .owned, .lent, .turnKept]
        let isFinishing = run.isFinishing
        let isUsual = hasRoom && !isFinishing
        var mark = Mark(edge: edge, isFirst: isFirst(run))
        var bytes: UInt64 = 0
        var tail = own.pointee.tail
        for k in 0..<batch.count {
            let item = batch.items + Int(batch.index[k])
            bytes &+= UInt64(item.pointee.length)
            if !isUsual || item.pointee.flags.rawValue & unusual.rawValue != 0 {
                own.pointee.tail = tail
                put(batch.index[k], mark, pool, run)
                tail = own.pointee.tail
            } else {
                // The receiver has read those lines, so they are in its cache.
                clinux_prefetch_for_write(items + (tail &+ Ring.ahead) & mask)
                Ring.copy(item, items + tail & mask)
                marks[tail & mask] = mark
                tail &+= 1
            }
            mark.isFirst = false
        }
        own.pointee.tail = tail
        own.pointee.counts.items &+= UInt64(truncatingIfNeeded: batch.count)
        own.pointee.counts.bytes &+= bytes
    }

    /// Copies an item as what it is to the processor, a cache line.
    @inline(__always)
    static func copy(_ item: UnsafePointer<Item>, _ place: UnsafeMutablePointer<Item>) {
        UnsafeMutableRawPointer(place).copyMemory(from: item, byteCount: MemoryLayout<Item>.size)
    }

    /// How many places before it is written one is fetched.
    private static let ahead = 16

    /// Puts in an item that needs more than to be copied.
    @inline(never)
    private func put(_ i: Int32, _ mark: Mark, _ pool: UnsafeMutablePointer<PoolState>, _ run: borrowing RunState) {
        let item = pool.pointee.items + Int(i)
        let turn = Turn.of(Packet(item), pool.pointee.turns + Int(i))
        put(Entry(item: item.pointee, mark: mark, time: Time(turn: turn, moment: Moment(turn, run))))
        if item.pointee.flags.contains(.large) { pool.pointee.handOver(i) }
    }

    /// Tells that a flow has ended, behind all items before.
    func put(endOf flow: FlowRef, _ reason: FlowEnd, _ run: borrowing RunState) {
        let origin = run.origin
        var item = Item(
            data: UnsafeMutableRawPointer(items),
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
        let mark = Mark(edge: Mark.end(reason), isFirst: isFirst(run))
        put(Entry(item: item, mark: mark, time: Time(turn: turn, moment: Moment(turn, run))))
        own.pointee.counts.ends &+= 1
    }

    private func put(_ entry: Entry) {
        if own.pointee.overflow.isEmpty, room(atLeast: 1) > 0 { write(entry) } else { setAside(entry) }
    }

    private func write(_ entry: Entry) {
        let place = own.pointee.tail & mask
        var entry = entry
        if entry.item.flags.rawValue & (ItemFlags.owned.rawValue | ItemFlags.lent.rawValue) != 0 {
            copy(&entry.item, to: place)
        }
        entry.mark.isKept = true
        items[place] = entry.item
        marks[place] = entry.mark
        times[place] = entry.time
        own.pointee.tail &+= 1
    }

    private func isFirst(_ run: borrowing RunState) -> Bool {
        if run.moment == own.pointee.moment { return false }
        own.pointee.moment = run.moment
        return true
    }

    /// Lets an item wait beside the ring, with bytes of its own.
    @inline(never)
    private func setAside(_ entry: Entry) {
        var entry = entry
        let item = entry.item
        if item.flags.contains(.owned) || item.flags.contains(.lent) {
            let block = UnsafeMutableRawPointer.allocate(byteCount: max(1, Int(item.length)), alignment: 64)
            block.copyMemory(from: item.data, byteCount: Int(item.length))
            entry.item.data = block
            entry.item.flags.subtract([.owned, .lent])
            entry.item.flags.insert(.large)
            own.pointee.counts.copied &+= UInt64(item.length)
        }
        own.pointee.overflow.append(entry)
    }

    private func copy(_ item: inout Item, to place: Int) {
        let length = Int(item.length)
        own.pointee.counts.copied &+= UInt64(length)
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

    /// Shows the receiver what was put in, as far as there is room, and tells that all that happens at a moment and before was put in;
    /// true if either is news. The receiver may sleep: ``ring()``.
    @discardableResult
    func publish(done moment: Moment) -> Bool {
        if !own.pointee.overflow.isEmpty { writeWaiting() }
        let isMore = own.pointee.published != own.pointee.tail
        if isMore {
            own.pointee.published = own.pointee.tail
            own.pointee.counts.batches &+= 1
            sent.pointer.pointee.published.store(own.pointee.tail, ordering: .releasing)
        }
        if !own.pointee.overflow.isEmpty || moment == own.pointee.done { return isMore }
        own.pointee.done = moment
        // The two are not read together: an older order with a newer time holds, too.
        sent.pointer.pointee.doneTime.store(Int(moment.now), ordering: .releasing)
        sent.pointer.pointee.doneOrder.store(Int(truncatingIfNeeded: moment.order), ordering: .releasing)
        return true
    }

    @inline(never)
    private func writeWaiting() {
        var room = room(atLeast: own.pointee.overflow.count - own.pointee.firstWaiting)
        while own.pointee.firstWaiting < own.pointee.overflow.count, room > 0 {
            write(own.pointee.overflow[own.pointee.firstWaiting])
            own.pointee.firstWaiting += 1
            room -= 1
        }
        if own.pointee.firstWaiting < own.pointee.overflow.count { return }
        own.pointee.overflow.removeAll(keepingCapacity: own.pointee.overflow.count <= capacity)
        own.pointee.firstWaiting = 0
    }

    /// Wakes the receiver, if it sleeps.
    func ring() { bell.ring() }

    /// Nothing more will be put in.
    func end() {
        sent.pointer.pointee.isEnded.store(true, ordering: .releasing)
        bell.ring()
    }

    /// What was put in has been taken out, and what that caused is through. Any thread may ask.
    var isQuiet: Bool { sent.pointer.pointee.published.load(ordering: .acquiring) == consumed.value }

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
        let order = UInt64(bitPattern: Int64(sent.pointer.pointee.doneOrder.load(ordering: .acquiring)))
        return Moment(now: Int64(sent.pointer.pointee.doneTime.load(ordering: .acquiring)), order: order)
    }

    /// What is there `from` a place on that was not yet given back.
    func look(from: Int) -> View {
        let isEnded = sent.pointer.pointee.isEnded.load(ordering: .acquiring)
        var said = said
        // Read after that: what the sender says is there, is.
        let count = sent.pointer.pointee.published.load(ordering: .acquiring) &- head &- from
        var complete = said
        if count > 0 {
            let last = moment(at: head &+ from &+ count &- 1)
            // If the last moment fills the whole ring, more of it may not fit.
            let isAll = count &+ from == capacity && moment(at: head &+ from) == last
            complete = max(complete, isAll ? last : last.before)
            // The last that it said is said before anything is released at the end.
            if last.isEnd { said = self.said }
        }
        return View(count: count, said: said, complete: complete, isEnded: isEnded)
    }

    /// When what is at place `k` comes.
    @inline(__always)
    func moment(at k: Int) -> Moment {
        let place = k & mask
        return Moment(of: items + place, marks[place], times + place)
    }

    /// Asks the sender, which may be asleep, how far it has come.
    func ask() { senderBell.ring() }

    /// Gives back the first `count` places. A sender that waits for them does not sleep.
    func giveBack(_ count: Int) {
        if count == 0 { return }
        consumed.set(head &+ count)
    }
}

/// Something that one thread writes and others read, on cache lines of its own: processors fetch two at a time.
final class SharedLine<Words: ~Copyable>: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Words>
    static var bytes: Int { 128 }

    init(_ words: consuming Words) {
        let line = UnsafeMutableRawPointer.allocate(byteCount: Self.bytes, alignment: Self.bytes)
        precondition(MemoryLayout<Words>.size <= Self.bytes)
        pointer = line.bindMemory(to: Words.self, capacity: 1)
        pointer.initialize(to: words)
    }

    deinit {
        pointer.deinitialize(count: 1)
        pointer.deallocate()
    }
}

/// A number that one thread writes and others read.
final class SharedCounter: @unchecked Sendable {
    private let line: SharedLine<Atomic<Int>>

    init(_ value: Int = 0) { line = SharedLine(Atomic(value)) }

    /// The number, on the thread that writes it.
    @inline(__always)
    var own: Int { line.pointer.pointee.load(ordering: .relaxed) }

    /// The number; what was written before it can be read after.
    @inline(__always)
    var value: Int { line.pointer.pointee.load(ordering: .acquiring) }

    @inline(__always)
    func set(_ value: Int) {
        line.pointer.pointee.store(value, ordering: .releasing)
    }
}
