// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// When the packets of all copies of a recording arrive, in order: in each window every packet comes once, from one copy or another.
struct Arrivals: ~Copyable {
    /// One packet of one copy.
    struct Arrival: BitwiseCopyable {
        /// Virtual time in picoseconds.
        var time: Int64
        /// The packet's number.
        var number: Int32
        var copy: Int32
    }

    /// The next to arrive.
    var next: Arrival { arrivals[at] }

    private let schedule: Schedule
    /// For each packet its number, the window of its copy in which it comes, and when in it.
    private let packets: [(number: Int32, window: Int, phase: Int64)]
    /// The arrivals of the window under way, in order, and which comes next.
    private let arrivals: Block<Arrival>
    private var count = 0
    private var at = 0
    /// The same before they are in order, and where each part of the window begins among those that are.
    private var unordered: [Arrival] = []
    private let parts: Block<Int32>
    /// How many of each part are in order so far.
    private let placed: Block<Int32>
    /// The window that comes next.
    private var windows = 0

    /// `packets` are numbers and times, at least one, in units of which `period` has so many.
    init(_ packets: [(number: Int32, time: Int64)], _ schedule: Schedule, period: Int64) {
        self.schedule = schedule
        // All copies together take one window for each of them.
        let window = Int128(schedule.window)
        let slowed = window * Int128(schedule.copies)
        self.packets = packets.map { number, time in
            let time = Arrivals.slow(time, slowed, period)
            return (number, Int(truncatingIfNeeded: time / window), Int64(time % window))
        }
        arrivals = Block(2 * packets.count, Arrival(time: 0, number: 0, copy: 0))
        parts = Block(packets.count + 1, 0)
        placed = Block(packets.count, 0)
        unordered.reserveCapacity(2 * packets.count)
        fill()
    }

    /// When packet `k` of those given comes in a copy, in picoseconds; before the first arrival it is negative.
    func time(_ k: Int, copy: Int32) -> Int64 {
        let (_, window, phase) = packets[k]
        return schedule.start(Int(copy) &+ window) &+ phase &+ shift(Int(copy))
    }

    /// Goes on to the next arrival.
    mutating func advance() {
        at += 1
        if at == count { fill() }
    }

    /// By how much a copy begins later than its window, so that copies are not in step with each other. A pattern of a few comes
    /// again and again: a longer replay shows nothing that a shorter one does not.
    private func shift(_ copy: Int) -> Int64 {
        if schedule.copies == 1 { return 0 }
        return Int64(truncatingIfNeeded: mix64(UInt64(copy & (Schedule.pattern - 1)) &+ 1) % UInt64(schedule.window))
    }

    /// Finds the arrivals of the next window: each packet comes once, on the average, from the copy that has come so far.
    private mutating func fill() {
        unordered.removeAll(keepingCapacity: true)
        at = 0
        let window = schedule.window
        var start: Int64 = 0
        while unordered.isEmpty {
            start = schedule.start(windows)
            for packet in packets {
                let copy = windows &- packet.window
                let time = packet.phase &+ shift(copy)
                if time < window { add(packet.number, copy, time) }
                let late = packet.phase &+ shift(copy &- 1)
                if late >= window { add(packet.number, copy &- 1, late &- window) }
            }
            windows &+= 1
        }
        order()
        for k in 0..<count { arrivals.base[k].time = min(start &+ arrivals[k].time, latestTime) }
    }

    private mutating func add(_ number: Int32, _ copy: Int, _ time: Int64) {
        unordered.append(Arrival(time: time, number: number, copy: Int32(truncatingIfNeeded: copy)))
    }

    /// Puts the arrivals of a window in order: into as many parts of it as there are packets, and in order within each. What comes at
    /// one time keeps the order of the recording.
    private mutating func order() {
        count = unordered.count
        let last = packets.count
        let scale = Double(last) / Double(schedule.window)
        parts.base.update(repeating: 0, count: last + 1)
        placed.base.update(repeating: 0, count: last)
        for arrival in unordered { parts.base[part(arrival.time, scale) + 1] &+= 1 }
        for k in 0..<last { parts.base[k + 1] &+= parts[k] }
        for arrival in unordered {
            let k = part(arrival.time, scale)
            let begin = Int(parts[k])
            var at = begin + Int(placed[k])
            placed[k] &+= 1
            // Parts hold few.
            while at > begin, arrivals[at - 1].time > arrival.time {
                arrivals[at] = arrivals[at - 1]
                at -= 1
            }
            arrivals[at] = arrival
        }
    }

    private func part(_ time: Int64, _ scale: Double) -> Int { min(Int(Double(time) * scale), packets.count - 1) }

    /// `time * slowed / period`; of recordings of many years to 15 digits.
    private static func slow(_ time: Int64, _ slowed: Int128, _ period: Int64) -> Int128 {
        let (product, overflow) = Int128(time).multipliedReportingOverflow(by: slowed)
        return overflow ? Int128(Double(time) / Double(period) * Double(slowed)) : product / Int128(period)
    }
}
