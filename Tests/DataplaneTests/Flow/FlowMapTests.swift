// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

@Suite struct FlowMapTests {
    private func key(_ n: UInt64) -> FlowKey { FlowKey(ends: n << 8 | 4 << 40, a0: n % 7, a1: 0, b0: 0, b1: 0) }

    /// Against a dictionary, with a load near the bound and many removals, so that runs of slots move back.
    @Test(arguments: [1, 2, 3]) func agreesWithADictionary(_ seed: UInt64) throws {
        let map = try FlowMap(capacity: 600, key: HashKey(seed: seed))
        var expected: [UInt64: Int32] = [:]
        var generator = SeededGenerator(seed)
        for step in 0..<40_000 {
            let n = generator.next() % 900
            let k = key(n)
            let found = map.find(k, map.hash(k))
            #expect(found == expected[n] ?? -1, "step \(step)")
            if found >= 0 {
                if generator.next() % 2 == 0 {
                    map.remove(found)
                    map.release(found)
                    expected[n] = nil
                }
            } else if map.count < map.capacity {
                expected[n] = map.insert(k, map.hash(k), upperFirst: false, time: Int64(step))
            }
            #expect(map.count == expected.count)
        }
        // The list holds every flow once.
        var listed: Set<Int32> = []
        var flow = map.oldest
        while flow >= 0 {
            #expect(listed.insert(flow).inserted)
            flow = map.next(flow)
        }
        #expect(listed == Set(expected.values))
    }

    @Test func aRecordIsOneCacheLine() {
        #expect(MemoryLayout<FlowRecord>.stride == 64)
        #expect(MemoryLayout<FlowRecord>.offset(of: \.acknowledged) == FlowRecord.acknowledgedOffset)
    }

    @Test func aSlotUsedAgainHasAnotherGeneration() throws {
        let map = try FlowMap(capacity: 1, key: HashKey(seed: 1))
        let first = map.insert(key(1), map.hash(key(1)), upperFirst: false, time: 0)
        let old = map.reference(first)
        map.remove(first)
        map.release(first)
        let second = map.insert(key(2), map.hash(key(2)), upperFirst: false, time: 0)
        #expect(second == first)
        #expect(map.reference(second) != old)
    }
}
