// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The arrivals of all copies of a recording, in order: in each window every packet comes once, from one copy or another.
struct Arrivals: ~Copyable {
    /// One packet of one copy.
    struct Arrival: BitwiseCopyable {
        /// Virtual time in picoseconds.
        var time: Int64
        /// The packet's number.
        var number: Int32
        var copy: Int64
    }

    /// The next arrival.
    var next: Arrival { arrivals[at] }

    private let schedule: Schedule
    /// For each packet its number, the window of its copy in which it comes, and its offset in that window.
    private let packets: [(number: Int32, window: Int, phase: Int64)]
    /// The arrivals of the current window, in order, and the index of the next.
    private let arrivals: Block<Arrival>
    private var count = 0
    private var at = 0
    /// The arrivals before sorting, and where each part of the window begins in the sorted ones.
    private var unordered: [Arrival] = []
    private let parts: Block<Int32>
    /// How many of each part have been placed so far.
    private let placed: Block<Int32>
    /// The index of the next window.
    private var windows = 0

    /// `packets` are numbers and times, at least one; `period` is the recording's length in the same units.
    init(_ packets: [(number: Int32, time: Int64)], _ schedule: Schedule, period: Int64) {
        self.schedule = schedule
        // All copies together take one window each.
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

    /// Arrival time of packet `k` of those given in a copy, in picoseconds; negative before the first arrival.
    func time(_ k: Int, copy: Int64) -> Int64 {
        let (_, window, phase) = packets[k]
        return schedule.start(Int(copy) &+ window) &+ phase &+ shift(Int(copy))
    }

    /// Advances to the next arrival.
    mutating func advance() {
        at += 1
        if at == count { fill() }
    }

    /// How much later than its window a copy begins, so that copies do not run in step. A short pattern repeats: a longer
    /// replay shows nothing that a shorter one does not.
    private func shift(_ copy: Int) -> Int64 {
        if schedule.copies == 1 { return 0 }
        return Int64(truncatingIfNeeded: mix64(UInt64(copy & (Schedule.pattern - 1)) &+ 1) % UInt64(schedule.window))
    }

    /// Computes the arrivals of the next window: each packet comes once on average, from the copy that has reached it.
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
        unordered.append(Arrival(time: time, number: number, copy: Int64(copy)))
    }

    /// Sorts the arrivals of a window: into as many parts of it as there are packets, then within each. Arrivals at the same
    /// time keep the order of the recording.
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

    /// `time * slowed / period`, to 15 digits for recordings of many years.
    private static func slow(_ time: Int64, _ slowed: Int128, _ period: Int64) -> Int128 {
        let (product, overflow) = Int128(time).multipliedReportingOverflow(by: slowed)
        return overflow ? Int128(Double(time) / Double(period) * Double(slowed)) : product / Int128(period)
    }
}
