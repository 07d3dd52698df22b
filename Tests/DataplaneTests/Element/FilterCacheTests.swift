// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

struct FilterCacheTests {
    @Test func theLongestUnusedGivesWay() {
        var kept = RecentlyUsed<Int, String>(capacity: 3)
        for key in 1...3 { kept.insert("\(key)", for: key) }
        #expect(kept[1] == "1")
        kept.insert("4", for: 4)
        #expect(kept[2] == nil)
        kept.insert("3 again", for: 3)
        kept.insert("5", for: 5)
        #expect(kept[1] == nil && kept[3] == "3 again" && kept[4] == "4" && kept[5] == "5")
        #expect(kept.count == 3)
    }

    @Test func whatIsWrongIsKeptAndWhatWentWrongIsNot() throws {
        struct Passing: Error {}
        let cache = FilterCache()
        var calls = 0
        func ask(_ linkType: UInt16, _ error: (any Error)?) -> String {
            do {
                let program = try cache.program(of: "f", linkType: linkType) {
                    calls += 1
                    if let error { throw error }
                    return nil
                }
                return program == nil ? "none" : "some"
            } catch { return "\(type(of: error))" }
        }
        #expect(ask(1, FilterError("wrong")) == "FilterError" && ask(1, nil) == "FilterError" && calls == 1)
        #expect(ask(2, Passing()) == "Passing" && ask(2, nil) == "none" && ask(2, Passing()) == "none" && calls == 3)
    }

    @Test func equalProgramsHaveOneDecision() throws {
        let cache = FilterCache(decisions: 1)
        let take = [BPFInstruction(code: 6, jt: 0, jf: 0, k: 1)]
        let first = cache.decision(among: [take, nil])
        #expect(cache.decision(among: [take, nil]) === first)
        #expect(cache.decision(among: [nil, take]) !== first)
        #expect(cache.decision(among: [take, nil]) !== first)
    }
}
