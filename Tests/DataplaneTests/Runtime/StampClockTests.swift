// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

@Suite struct StampClockTests {
    private let day = StampClock.farthest

    /// The functional times of packets with these stamps.
    private func times(_ stamps: [Int64]) -> (times: [Int64], clock: StampClock) {
        var clock = StampClock()
        let times = stamps.indices.map { k in
            let time = clock.time(of: stamps[k], next: k + 1 < stamps.count ? stamps[k + 1] : nil)
            clock.advance(to: time, stamp: stamps[k])
            return time
        }
        return (times, clock)
    }

    @Test func timeIsTheRunningMaximum() {
        let (times, clock) = times([5, 3, 7, 7, 6, 8])
        #expect(times == [5, 5, 7, 7, 7, 8])
        #expect(clock.backwards == 2 && clock.ahead == 0 && clock.now == 8)
    }

    @Test func oneStampFromTheFutureIsNotFollowed() {
        #expect(times([5, 7 + day, 6]).times == [5, 5, 6])
        #expect(times([5, 5 + day, 6]).times == [5, 5 + day, 5 + day])
        #expect(times([5, .max - 1, 6]).clock.ahead == 1)
        #expect(times([.max - 1, 5, 6]).times == [5, 5, 6])
        #expect(times([5, 6, .max - 1]).times == [5, 6, 6])
        // The packet after it has to be near it, or beyond.
        #expect(times([5, 9 * day, 2 * day, 3 * day]).times == [5, 5, 2 * day, 3 * day])
    }

    @Test func aPauseIsFollowed() {
        #expect(times([5, 400 * day, 400 * day + 1]).times == [5, 400 * day, 400 * day + 1])
        // Each confirms the one before; nothing confirms the last, nor contradicts it.
        #expect(times([0, 2 * day, 4 * day, 6 * day]).times == [0, 2 * day, 4 * day, 6 * day])
        #expect(times([0, 366 * day]).times == [0, 366 * day])
        #expect(times([0, 366 * day + 1]).times == [0, 0])
    }

    @Test func theEndsOfTimeAreTimes() {
        #expect(times([.min, .min]).times == [.min, .min])
        #expect(times([.max - 1]).times == [.max - 1])
        #expect(times([.max - 5, .max - 1]).times == [.max - 5, .max - 1])
    }
}
