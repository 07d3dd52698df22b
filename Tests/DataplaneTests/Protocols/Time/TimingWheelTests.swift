// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

/// A timing wheel as slow and simple as can be: the armed timers by tick, those of a tick in the order of arming.
private struct SlowWheel {
    private(set) var ticks: [Int64: [Int32]] = [:]
    private var due: [Int32: Int64] = [:]
    /// The number of the last boundary, of which `now` is the tick.
    private let latest: Int64
    let tick: Int64
    var now: Int64

    init(tick: Int64) {
        self.tick = tick
        latest = (Int64.max - 1) / tick
        now = Int64.min / tick
    }

    mutating func arm(_ id: Int32, at time: Int64) {
        disarm(id)
        let boundary = time / tick + (time % tick > 0 ? 1 : 0)
        let at = max(min(boundary, latest), now + 1)
        due[id] = at
        ticks[at, default: []].append(id)
    }

    mutating func disarm(_ id: Int32) {
        guard let at = due.removeValue(forKey: id) else { return }
        ticks[at]?.removeAll { $0 == id }
        if ticks[at] == [] { ticks[at] = nil }
    }

    func isArmed(_ id: Int32) -> Bool { due[id] != nil }

    var count: Int { due.count }

    var nextTick: Int64 { ticks.keys.min().flatMap { $0 <= latest ? $0 * tick : nil } ?? .max }

    mutating func advance(to time: Int64, _ fire: (inout SlowWheel, Int32) -> Void) {
        let target = min(time / tick - (time % tick < 0 ? 1 : 0), latest)
        guard target > now else { return }
        while let first = ticks.keys.min(), first <= target {
            now = first
            while let id = ticks[now]?.first {
                disarm(id)
                fire(&self, id)
            }
        }
        now = target
    }
}

@Suite struct TimingWheelTests {
    /// What a timer does when it fires follows from its id and the time, so that both wheels do the same.
    private enum Reaction {
        case nothing
        case arm(Int32, Int64)
        case disarm(Int32)

        init(_ id: Int32, _ now: Int64, _ tick: Int64, _ ids: Int32) {
            let hash = mix64(UInt64(bitPattern: now) ^ UInt64(id) << 40)
            let other = Int32(truncatingIfNeeded: (hash >> 8) & 0xffff) % ids
            switch hash % 8 {
            case 0: self = .arm(id, now &+ tick &* Int64((hash >> 32) % 300))
            case 1: self = .arm(other, now &+ Int64((hash >> 32) % UInt64(3 * tick)))
            case 2: self = .disarm(other)
            // One that never ends must take steps of some length: all of a jump is gone through.
            case 3: self = .arm(id, now / 2 + Int64.max / 2)
            default: self = .nothing
            }
        }
    }

    /// Both wheels side by side; each step is compared.
    private struct Pair {
        let wheel: TimingWheel
        var slow: SlowWheel
        let ids: Int32

        init(_ ids: Int32, tick: Int64) throws {
            wheel = try TimingWheel(capacity: Int(ids), tick: tick)
            slow = SlowWheel(tick: tick)
            self.ids = ids
        }

        mutating func arm(_ id: Int32, at due: Int64) {
            wheel.arm(id, at: due)
            slow.arm(id, at: due)
        }

        mutating func disarm(_ id: Int32) {
            wheel.disarm(id)
            slow.disarm(id)
        }

        mutating func advance(to time: Int64) {
            struct Firing: Equatable {
                var id: Int32
                var now: Int64
                var next: Int64
            }
            var (fired, expected): ([Firing], [Firing]) = ([], [])
            let (wheel, ids) = (wheel, ids)
            wheel.advance(to: time) { id in
                switch Reaction(id, wheel.now, wheel.tick, ids) {
                case .nothing: break
                case .arm(let other, let due): wheel.arm(other, at: due)
                case .disarm(let other): wheel.disarm(other)
                }
                fired.append(Firing(id: id, now: wheel.now, next: wheel.nextTick))
            }
            slow.advance(to: time) { slow, id in
                let now = slow.now * slow.tick
                switch Reaction(id, now, slow.tick, ids) {
                case .nothing: break
                case .arm(let other, let due): slow.arm(other, at: due)
                case .disarm(let other): slow.disarm(other)
                }
                expected.append(Firing(id: id, now: now, next: slow.nextTick))
            }
            #expect(fired == expected)
        }

        func compare(_ step: Int, asks: Bool) {
            #expect(wheel.count == slow.count, "step \(step)")
            #expect(wheel.now == slow.now * slow.tick, "step \(step)")
            if asks { #expect(wheel.nextTick == slow.nextTick, "step \(step)") }
        }
    }

    /// Against the slow wheel. Ticks of a nanosecond reach the highest level; few ids are looked through, many are dealt out.
    @Test(arguments: [1, 1000, 1_000_000, 1_000_000_007] as [Int64], [5, 40, 400] as [Int32])
    func agreesWithASlowWheel(_ tick: Int64, _ ids: Int32) throws {
        for seed: UInt64 in 1...3 {
            var generator = SeededGenerator(seed << 32 ^ UInt64(tick) ^ UInt64(ids))
            var pair = try Pair(ids, tick: tick)
            let spare = pair.wheel.spareNodes
            var now: Int64 = seed == 1 ? -5_000_000_000_000 : 1_700_000_000_000_000_000
            if seed != 3 { pair.advance(to: now) }
            for step in 0..<3000 {
                let id = Int32(generator.next() % UInt64(ids))
                // Spans of every length, so that every level is used, and many timers share what is near.
                let ticks = Int64(generator.next() >> (2 + generator.next() % 62))
                let near = generator.next() % 3 > 0
                let span = near ? (ticks % 5000).multipliedReportingOverflow(by: tick) : (ticks, false)
                let due = now.addingReportingOverflow(span.0)
                switch generator.next() % 16 {
                case 0..<9: pair.arm(id, at: due.overflow ? .max : due.partialValue)
                case 9: pair.arm(id, at: now &- Int64(generator.next() % 1000))
                case 10, 11: pair.disarm(id)
                case 12: #expect(pair.wheel.isArmed(id) == pair.slow.isArmed(id))
                case 13 where pair.slow.nextTick < .max:
                    now = max(now, pair.wheel.nextTick)
                    pair.advance(to: now)
                default:
                    // Small steps, and now and then a jump of up to years.
                    let bits = generator.next() % 64 == 0 ? 56 : generator.next() % 34
                    now = now.addingReportingOverflow(Int64(generator.next() & ((1 << bits) - 1))).partialValue
                    if now < -5_000_000_000_000 { now = .max }
                    pair.advance(to: now)
                }
                pair.compare(step, asks: generator.next() % 4 > 0)
            }
            for id in 0..<ids { pair.disarm(id) }
            pair.compare(3000, asks: true)
            #expect(pair.wheel.spareNodes == spare)
        }
    }

    @Test func firesAtTheFirstBoundaryAtOrAfterItsTime() throws {
        let wheel = try TimingWheel(capacity: 8, tick: 10)
        wheel.advance(to: 100) { _ in }
        let dues: [(due: Int64, fires: Int64)] = [
            (111, 120), (110, 110), (109, 110), (101, 110), (100, 110), (99, 110), (-7, 110), (.min, 110),
        ]
        for (id, (due, _)) in dues.enumerated() { wheel.arm(Int32(id), at: due) }
        var fired: [Int32: Int64] = [:]
        wheel.advance(to: 109) { fired[$0] = wheel.now }
        #expect(fired.isEmpty)
        for time: Int64 in 110...130 { wheel.advance(to: time) { fired[$0] = wheel.now } }
        for (id, (_, fires)) in dues.enumerated() { #expect(fired[Int32(id)] == fires) }
    }

    @Test func boundariesBeforeZero() throws {
        let wheel = try TimingWheel(capacity: 3, tick: 10)
        wheel.advance(to: -95) { _ in }
        #expect(wheel.now == -100)
        wheel.arm(0, at: -89)
        wheel.arm(1, at: -1)
        wheel.arm(2, at: 1)
        var fired: [Int64] = []
        wheel.advance(to: 15) { _ in fired.append(wheel.now) }
        #expect(fired == [-80, 0, 10])
    }

    /// They come to one boundary from different levels, and some of them are moved.
    @Test func ofOneBoundaryTheFirstArmedFiresFirst() throws {
        let wheel = try TimingWheel(capacity: 300, tick: 1)
        wheel.advance(to: 0) { _ in }
        var expected: [Int32] = []
        for id: Int32 in 0..<100 { wheel.arm(id, at: 70_000) }
        expected += 0..<100
        wheel.advance(to: 60_000) { _ in }
        for id: Int32 in 100..<200 { wheel.arm(id, at: 70_000) }
        expected += 100..<200
        wheel.arm(50, at: 70_000)
        expected.removeAll { $0 == 50 }
        expected.append(50)
        #expect(wheel.nextTick == 70_000)
        for id: Int32 in 200..<300 { wheel.arm(id, at: 70_000) }
        expected += 200..<300
        wheel.disarm(7)
        expected.removeAll { $0 == 7 }
        wheel.advance(to: 69_999) { _ in Issue.record("too early") }
        var fired: [Int32] = []
        wheel.advance(to: 80_000) { fired.append($0) }
        #expect(fired == expected)
    }

    /// Between now and the timer lie boundaries at which it moves to a lower level only.
    @Test func cascadesAreNoFirings() throws {
        let wheel = try TimingWheel(capacity: 100, tick: 1)
        wheel.advance(to: 5) { _ in }
        for id: Int32 in 0..<100 { wheel.arm(id, at: 1_000_000 + Int64(id % 50)) }
        for time: Int64 in [6, 64, 4096, 262_144, 786_432, 999_424, 999_999] {
            #expect(wheel.nextTick == 1_000_000)
            wheel.advance(to: time) { _ in Issue.record("too early") }
        }
        #expect(wheel.nextTick == 1_000_000)
        // Joined, left and left again by those that come before the slot that was dealt out.
        wheel.arm(0, at: 1_000_007)
        wheel.arm(50, at: 1_000_007)
        #expect(wheel.nextTick == 1_000_001)
        wheel.arm(99, at: 1_000_000)
        #expect(wheel.nextTick == 1_000_000)
        wheel.disarm(99)
        #expect(wheel.nextTick == 1_000_001)
        var count = 0
        wheel.advance(to: .max - 1) { _ in count += 1 }
        #expect(count == 99)
        #expect(wheel.nextTick == .max)
    }

    @Test func farOffTimesSaturate() throws {
        for tick: Int64 in [1, 1_000_000, .max] {
            let wheel = try TimingWheel(capacity: 2, tick: tick)
            wheel.arm(0, at: .max)
            wheel.arm(1, at: .max - 1)
            #expect(wheel.nextTick == (Int64.max - 1) / tick * tick)
            var fired: [Int32] = []
            wheel.advance(to: .max) { fired.append($0) }
            #expect(fired == [0, 1])
            // No time is left.
            wheel.arm(0, at: 0)
            #expect(wheel.isArmed(0) && wheel.nextTick == .max)
            wheel.advance(to: .max) { _ in Issue.record("after the end of time") }
            wheel.disarm(0)
            #expect(!wheel.isArmed(0) && wheel.count == 0)
        }
    }

    @Test func timeDoesNotRunBackwards() throws {
        let wheel = try TimingWheel(capacity: 1)
        wheel.advance(to: 5_000_000) { _ in }
        wheel.arm(0, at: 6_000_000)
        wheel.advance(to: .min) { _ in Issue.record("fired") }
        wheel.advance(to: 1_000_000) { _ in Issue.record("fired") }
        #expect(wheel.now == 5_000_000)
        #expect(wheel.nextTick == 6_000_000)
    }

    @Test func aWheelOfNothing() throws {
        let wheel = try TimingWheel(capacity: 0)
        wheel.advance(to: 1 << 62) { _ in }
        #expect(wheel.nextTick == .max)
    }

    /// A jump of centuries, with timers spread over it, takes a moment; were it gone through by ticks it would not end.
    @Test func aMillionArmed() throws {
        let wheel = try TimingWheel(capacity: 1_000_000)
        let start: Int64 = 1_700_000_000_000_000_000
        wheel.advance(to: start) { _ in }
        var generator = SeededGenerator(1)
        var due = [Int64](repeating: 0, count: 1_000_000)
        for id in 0..<1_000_000 {
            due[id] = start + Int64(generator.next() % 60_000_000_000)
            wheel.arm(Int32(id), at: due[id])
        }
        // Each is moved while the first is asked for, in the order of the ids: the first one always goes.
        for id in 0..<100_000 {
            due[id] = start + 60_000_000_000 + Int64(id) * 1000
            wheel.arm(Int32(id), at: due[id])
            if id % 64 == 0 { #expect(wheel.nextTick > start) }
        }
        #expect(wheel.count == 1_000_000)
        let boundaries = due.map { ($0 + 999_999) / 1_000_000 * 1_000_000 }
        #expect(wheel.nextTick == boundaries.min())
        var last = start
        var count = 0
        wheel.advance(to: start + 70_000_000_000) { id in
            if boundaries[Int(id)] != wheel.now || wheel.now < last { Issue.record("\(id) fired at \(wheel.now)") }
            last = wheel.now
            count += 1
            if id < 1000 { wheel.arm(id, at: start + Int64(id + 1) << 52) }
        }
        #expect(count == 1_000_000)
        #expect(wheel.count == 1000)
        wheel.advance(to: .max) { _ in count += 1 }
        #expect(count == 1_001_000)
        #expect(wheel.nextTick == .max)
    }

    /// Nodes for slots dealt out run short where they are kept alive by one timer each: then long slots are looked through.
    @Test func withoutRoomToDealItIsExactAllTheSame() throws {
        let ids: Int32 = 3001
        var pair = try Pair(ids, tick: 1)
        pair.advance(to: 0)
        var generator = SeededGenerator(5)
        // The later the slot the earlier it is dealt out, so all stay.
        for round in (1...150).reversed() {
            let base = Int64(round) << 18
            let first = Int32(round - 1) * 20
            for id in first..<first + 20 { pair.arm(id, at: base + Int64(generator.next() % 200_000)) }
            // The first goes unfired, so which is first now has to be found.
            pair.arm(ids - 1, at: base)
            pair.compare(round, asks: true)
            pair.disarm(ids - 1)
            pair.compare(round, asks: true)
        }
        #expect(pair.wheel.spareNodes == 0)
        pair.advance(to: 1 << 40)
        pair.compare(0, asks: true)
    }

    @Test func advancingFromAFiringTimerTraps() async {
        await #expect(processExitsWith: .failure) {
            let wheel = try TimingWheel(capacity: 1, tick: 1)
            wheel.arm(0, at: 0)
            wheel.advance(to: 10) { _ in wheel.advance(to: 20) { _ in } }
        }
    }

    @Test func idsBeyondTheCapacityTrap() async {
        await #expect(processExitsWith: .failure) { try TimingWheel(capacity: 1).arm(1, at: 0) }
        await #expect(processExitsWith: .failure) { try TimingWheel(capacity: 1).disarm(-1) }
    }
}
