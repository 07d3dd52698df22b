// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// One timer per id, for many ids such as connections by flow index: a hierarchical timing wheel (G. Varghese and T. Lauck,
/// "Hashed and Hierarchical Timing Wheels", SOSP 1987, scheme 7).
///
/// Time is counted in ticks, with boundaries at multiples of a tick of functional time. A timer fires at the first boundary at
/// or after its due time, timers of one boundary in the order in which they were armed. Arming, moving and disarming take
/// constant time however many are armed, and memory is allocated when the wheel is made.
///
/// A tick is a number with digits of 6 bits. A level of the wheel has 64 slots, one for each value of its digit, and a timer is
/// on the level of the highest digit in which its tick differs from the present one. So everything on a level is due before
/// everything on higher ones, and a bit per slot shows which is first. When time reaches a slot of a higher level, its timers
/// are dealt out to the slots below: the cascade. Until then the slot shows only approximately when its timers are due.
/// ``nextTick`` has to know it exactly, though, and so deals out the first slot early, to slots made for it, where new timers
/// then join the existing ones. When its time comes they are put in place as they are. Either way a timer moves down each level
/// at most once, so asking costs no more than the cascades would. Only if long slots have been dealt out all over the wheel,
/// and left to a timer or two, is there no room for more: then the first one is searched.
///
/// Ids must be below the capacity. The caller of ``advance(to:_:)`` decides when time passes.
public final class TimingWheel {
    /// The largest id plus one.
    public let capacity: Int
    /// Nanoseconds between the boundaries at which timers fire.
    public let tick: Int64
    /// The number of armed timers.
    @exclusivity(unchecked) public private(set) var count = 0

    /// Bits of a digit.
    private static let digit: UInt64 = 6
    private static let slots = 64
    /// A slot with no more timers than this is searched rather than dealt out.
    private static let few = 16

    private struct Timer: BitwiseCopyable {
        /// When it fires, counted like ``present``; meaningful only if it is armed, that is, listed.
        var due: UInt64
        var link: IndexList.Link
    }

    /// 64 slots: a level of the wheel, or a slot dealt out early.
    private struct Node: BitwiseCopyable {
        /// A bit for each slot that has timers.
        var occupied: UInt64 = 0
        /// A bit for each of these that was dealt out: its timers are in a node of the level below.
        var dealt: UInt64 = 0
        /// The node and slot that this one was dealt out from; -1 for a level of the wheel.
        var parent: Int32 = -1
        var place: Int32 = 0
    }

    /// The tick up to which timers have fired, counted from the first that an Int64 of nanoseconds can represent: so it is
    /// never negative, and always before any armed timer.
    private var present: UInt64 = 0
    /// The tick of the first boundary in representable time as a multiple of `tick`, and the last, counted like `present`.
    private let origin: Int64
    private let latest: UInt64
    /// The earliest tick with an armed timer, if known.
    private var earliest: UInt64 = 0
    private var isEarliestKnown = false
    private var isFiring = false

    private let timerMemory: ZeroedMemory<Timer>
    private let timers: UnsafeMutablePointer<Timer>
    private let links: IndexList.Links
    private let nodeMemory: ZeroedMemory<Node>
    private let nodes: UnsafeMutablePointer<Node>
    /// For each slot of each node its timers, and the node that it was dealt out to.
    private let listMemory: ZeroedMemory<IndexList>
    private let lists: UnsafeMutablePointer<IndexList>
    private let childMemory: ZeroedMemory<Int32>
    private let children: UnsafeMutablePointer<Int32>
    private var freeNodes: SlotPool
    /// The node of each level, lowest first.
    private let levels: UnsafeMutablePointer<Int32>
    private let levelCount: Int

    /// A wheel in which no timer is armed. Throws if the system lacks the memory.
    ///
    /// - Parameters:
    ///   - capacity: the largest id plus one.
    ///   - tick: nanoseconds between the boundaries at which timers fire, at least 1.
    public init(capacity: Int, tick: Int64 = 1_000_000) throws(OutOfMemory) {
        precondition(capacity >= 0 && capacity < Int(Int32.max), "timer capacity out of range")
        precondition(tick > 0, "a tick must last at least a nanosecond")
        self.capacity = capacity
        self.tick = tick
        origin = Int64.min / tick
        // The last boundary must differ from `Int64.max`, which stands for none.
        latest = UInt64(bitPattern: (Int64.max - 1) / tick &- origin)
        // After it there is one more tick, which never comes: see `arm`.
        levelCount = (64 - (latest + 1).leadingZeroBitCount + Int(Self.digit) - 1) / Int(Self.digit)
        // Only slots with many timers are dealt out, and the node is freed when the last of these is gone: there are seldom
        // more than a few per level. If all nodes are taken, long slots are searched.
        let nodeCount = 4 * levelCount + capacity / 64
        timerMemory = try ZeroedMemory(capacity)
        timers = timerMemory.base
        links = IndexList.Links(in: timers, at: \.link)
        nodeMemory = try ZeroedMemory(nodeCount)
        nodes = nodeMemory.base
        listMemory = try ZeroedMemory(nodeCount * Self.slots)
        lists = listMemory.base
        childMemory = try ZeroedMemory(nodeCount * Self.slots)
        children = childMemory.base
        freeNodes = try SlotPool(nodeCount)
        levels = .allocate(capacity: levelCount)
        for level in 0..<levelCount {
            // There are that many.
            levels[level] = freeNodes.take()!
            nodes[Int(levels[level])] = Node()
        }
    }

    deinit {
        timerMemory.deallocate()
        nodeMemory.deallocate()
        listMemory.deallocate()
        childMemory.deallocate()
        levels.deallocate()
    }

    /// Memory of a timer in bytes, armed or not. For `stateBytesPerFlow`.
    public static var bytesPerTimer: Int { MemoryLayout<Timer>.stride }

    /// Nodes left for dealing out slots, for tests.
    var spareNodes: Int { freeNodes.capacity - freeNodes.used }

    // MARK: Arming

    /// Arms a timer for the first boundary at or after `due`, in functional nanoseconds; moves it if already armed.
    ///
    /// A due time in the past means the next boundary. One beyond the last boundary of representable time means that one; once
    /// even that has passed, timers armed do not fire.
    public func arm(_ id: Int32, at due: Int64) {
        let timer = timer(id)
        if timer.pointee.link.isListed { takeOut(id, timer.pointee.due) }
        // Rounded up.
        let (whole, rest) = due.quotientAndRemainder(dividingBy: tick)
        let wanted = min(UInt64(bitPattern: (rest > 0 ? whole &+ 1 : whole) &- origin), latest)
        let at = max(wanted, present &+ 1)
        timer.pointee.due = at
        put(id, at)
        count &+= 1
        if count == 1 || isEarliestKnown && at < earliest {
            earliest = at
            isEarliestKnown = true
        }
    }

    /// Disarms a timer, if it is armed.
    public func disarm(_ id: Int32) {
        let timer = timer(id)
        guard timer.pointee.link.isListed else { return }
        takeOut(id, timer.pointee.due)
    }

    /// Whether a timer is armed.
    public func isArmed(_ id: Int32) -> Bool { timer(id).pointee.link.isListed }

    /// The boundary up to which timers have fired, or whose timers are firing, in functional nanoseconds.
    public var now: Int64 { time(of: present) }

    /// The boundary at which the next timer fires, in functional nanoseconds; `Int64.max` if none is armed.
    ///
    /// It is exact: times when timers only move to a lower level are not reported. While it stays known, as it does until the
    /// first timer goes, asking costs nothing. Otherwise it is found with one bit mask per level, and the first slot may have
    /// to be dealt out.
    public var nextTick: Int64 {
        guard count > 0 else { return .max }
        if !isEarliestKnown {
            earliest = findEarliest()
            isEarliestKnown = true
        }
        return earliest <= latest ? time(of: earliest) : .max
    }

    // MARK: Time

    /// Fires all timers whose boundary is not after `time`, in order of boundaries and, at each, in the order of arming.
    ///
    /// A timer is disarmed when it fires. `fire` may arm and disarm any; timers it arms for up to `time` fire in the same call,
    /// at their boundary. It must not call this function. Time does not run backwards: an earlier `time` than before has no
    /// effect. However much time has passed, only slots with timers are visited.
    public func advance(to time: Int64, _ fire: (Int32) -> Void) {
        precondition(!isFiring, "a timer that fires must not advance the wheel")
        let (whole, rest) = time.quotientAndRemainder(dividingBy: tick)
        let floor = rest < 0 ? whole &- 1 : whole
        guard floor >= origin else { return }
        let target = min(UInt64(bitPattern: floor &- origin), latest)
        guard target > present else { return }
        isFiring = true
        while count > 0, !(isEarliestKnown && earliest > target) {
            let start = firstSlot()
            if start > target { break }
            move(to: start)
            // Everything in the slot now is due; or a slot was dealt out and there is more to visit.
            fireAll(fire)
        }
        move(to: target)
        isFiring = false
    }

    /// Fires the timers due at the present tick.
    private func fireAll(_ fire: (Int32) -> Void) {
        let node = levels[0]
        let slot = slot(present, 0)
        let list = lists + place(node, slot)
        while !list.pointee.isEmpty {
            let id = list.pointee.first
            takeOut(id, present)
            fire(id)
        }
    }

    // MARK: The wheel

    @inline(__always)
    private func timer(_ id: Int32) -> UnsafeMutablePointer<Timer> {
        precondition(id >= 0 && Int(id) < capacity, "no timer has this id")
        return timers + Int(id)
    }

    @inline(__always)
    private func time(of tick: UInt64) -> Int64 { (Int64(bitPattern: tick) &+ origin) &* self.tick }

    /// The digit of a tick on a level.
    @inline(__always)
    private func slot(_ tick: UInt64, _ level: Int) -> Int {
        Int(truncatingIfNeeded: tick &>> (UInt64(truncatingIfNeeded: level) &* Self.digit)) & (Self.slots &- 1)
    }

    @inline(__always)
    private func place(_ node: Int32, _ slot: Int) -> Int { Int(node) &* Self.slots &+ slot }

    /// The level of the highest digit in which two ticks differ; 0 if they are equal.
    @inline(__always)
    private func level(_ a: UInt64, _ b: UInt64) -> Int { (63 &- ((a ^ b) | 1).leadingZeroBitCount) / Int(Self.digit) }

    /// The list for a tick: on its level, or below if that slot was dealt out.
    @inline(__always)
    private func find(_ tick: UInt64) -> (node: Int32, slot: Int, level: Int) {
        var level = level(tick, present)
        var node = levels[level]
        var slot = slot(tick, level)
        while nodes[Int(node)].dealt &>> UInt64(slot) & 1 != 0 {
            node = children[place(node, slot)]
            level &-= 1
            slot = self.slot(tick, level)
        }
        return (node, slot, level)
    }

    private func put(_ id: Int32, _ tick: UInt64) {
        let (node, slot, _) = find(tick)
        lists[place(node, slot)].append(id, links)
        nodes[Int(node)].occupied |= 1 &<< UInt64(slot)
    }

    /// Removes a timer armed for a tick.
    private func takeOut(_ id: Int32, _ tick: UInt64) {
        let (node, slot, level) = find(tick)
        let list = lists + place(node, slot)
        list.pointee.remove(id, links)
        count &-= 1
        // Others on the lowest level are due at the same tick.
        if tick == earliest, level > 0 || list.pointee.isEmpty { isEarliestKnown = false }
        if list.pointee.isEmpty { clear(slot, of: node) }
    }

    /// Marks a slot as empty. A node made for a slot is freed once it has no timers.
    private func clear(_ slot: Int, of node: Int32) {
        var (node, slot) = (node, slot)
        while true {
            let bit: UInt64 = 1 &<< UInt64(slot)
            nodes[Int(node)].occupied &= ~bit
            nodes[Int(node)].dealt &= ~bit
            let parent = nodes[Int(node)].parent
            guard nodes[Int(node)].occupied == 0, parent >= 0 else { return }
            slot = Int(nodes[Int(node)].place)
            freeNodes.give(node)
            node = parent
        }
    }

    /// The first tick of the first slot with timers; there must be one. None is due earlier.
    private func firstSlot() -> UInt64 {
        var level = 0
        while nodes[Int(levels[level])].occupied == 0 { level &+= 1 }
        let slot = nodes[Int(levels[level])].occupied.trailingZeroBitCount
        let shift = UInt64(truncatingIfNeeded: level) &* Self.digit
        // The digits above are those of the present; the ones below are 0.
        let above = ((present &>> shift) &>> Self.digit) &<< Self.digit
        return (above | UInt64(slot)) &<< shift
    }

    /// The earliest tick with an armed timer; there must be one.
    private func findEarliest() -> UInt64 {
        var level = 0
        while nodes[Int(levels[level])].occupied == 0 { level &+= 1 }
        var node = levels[level]
        while true {
            let slot = nodes[Int(node)].occupied.trailingZeroBitCount
            let place = place(node, slot)
            if nodes[Int(node)].dealt &>> UInt64(slot) & 1 != 0 {
                node = children[place]
            } else if level == 0 || lists[place].count <= Self.few {
                return leastDue(lists[place], isOneTick: level == 0)
            } else if let child = freeNodes.take() {
                nodes[Int(child)] = Node(parent: node, place: Int32(slot))
                deal(place, to: child, level &- 1)
                nodes[Int(node)].dealt |= 1 &<< UInt64(slot)
                children[place] = child
                node = child
            } else {
                return leastDue(lists[place], isOneTick: false)
            }
            level &-= 1
        }
    }

    /// The earliest tick of the timers in a list.
    private func leastDue(_ list: IndexList, isOneTick: Bool) -> UInt64 {
        var id = list.first
        var least = timers[Int(id)].due
        if isOneTick { return least }
        while id >= 0 {
            least = min(least, timers[Int(id)].due)
            id = list.next(id, links)
        }
        return least
    }

    /// Deals out the timers of a slot to the slots of an empty node on the level below, in order.
    private func deal(_ place: Int, to node: Int32, _ level: Int) {
        var id = lists[place].removeFirst(links)
        while id >= 0 {
            let slot = slot(timers[Int(id)].due, level)
            lists[self.place(node, slot)].append(id, links)
            nodes[Int(node)].occupied |= 1 &<< UInt64(slot)
            id = lists[place].removeFirst(links)
        }
    }

    /// Makes a tick the present one; no timer may be armed for an earlier one.
    private func move(to tick: UInt64) {
        var level = level(tick, present)
        present = tick
        // Below the level that advances, everything was due before. The slot that is reached becomes the level below.
        while level > 0 {
            let node = levels[level]
            let slot = slot(tick, level)
            let bit: UInt64 = 1 &<< UInt64(slot)
            guard nodes[Int(node)].occupied & bit != 0 else { return }
            assert(nodes[Int(levels[level &- 1])].occupied == 0, "time has passed a timer")
            if nodes[Int(node)].dealt & bit != 0 {
                freeNodes.give(levels[level &- 1])
                levels[level &- 1] = children[place(node, slot)]
                nodes[Int(levels[level &- 1])].parent = -1
            } else {
                deal(place(node, slot), to: levels[level &- 1], level &- 1)
            }
            nodes[Int(node)].occupied &= ~bit
            nodes[Int(node)].dealt &= ~bit
            level &-= 1
        }
    }
}
