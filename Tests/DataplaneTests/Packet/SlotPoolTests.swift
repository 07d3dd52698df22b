// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

@Suite struct SlotPoolTests {
    /// Against a stack of what was given back, and a number of what was never taken.
    @Test(arguments: [1, 2, 3]) func agreesWithAStack(_ seed: UInt64) throws {
        var pool = try SlotPool(70)
        var free: [Int32] = []
        var fresh: Int32 = 0
        var taken: [Int32] = []
        var generator = SeededGenerator(seed)
        for step in 0..<20_000 {
            // Long runs of either, so that it is full at times, and empty.
            if (generator.next() % 8 < 5) == (step / 200 % 2 == 0) {
                let expected: Int32?
                if let last = free.popLast() {
                    expected = last
                } else if fresh < 70 {
                    expected = fresh
                    fresh += 1
                } else {
                    expected = nil
                }
                let slot = pool.take()
                #expect(slot == expected, "step \(step)")
                if let slot { taken.append(slot) }
            } else if !taken.isEmpty {
                let slot = taken.remove(at: Int(generator.next() % UInt64(taken.count)))
                pool.give(slot)
                free.append(slot)
            }
            let (used, isFull) = (pool.used, pool.isFull)
            #expect(used == taken.count)
            #expect(isFull == (taken.count == 70))
        }
    }

    @Test func aPoolOfNothingIsFull() throws {
        var pool = try SlotPool(0)
        let isFull = pool.isFull
        let slot = pool.take()
        #expect(isFull && slot == nil)
    }

    #if DEBUG
    @Test func givingBackTwiceTraps() async {
        await #expect(processExitsWith: .failure) {
            var pool = try SlotPool(4)
            let slot = pool.take() ?? 0
            _ = pool.take()
            pool.give(slot)
            pool.give(slot)
        }
    }

    @Test func givingBackWhatWasNeverTakenTraps() async {
        await #expect(processExitsWith: .failure) {
            var pool = try SlotPool(4)
            _ = pool.take()
            pool.give(1)
        }
        await #expect(processExitsWith: .failure) {
            var pool = try SlotPool(4)
            _ = pool.take()
            pool.give(-1)
        }
    }
    #endif
}
