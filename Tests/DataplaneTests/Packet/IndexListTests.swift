// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

/// Records with a link among other things, as lists meet them; of zeroed memory.
private final class Records {
    struct Record: BitwiseCopyable {
        var before: UInt8
        var link: IndexList.Link
        var behind: UInt64
    }
    let memory: ZeroedMemory<Record>
    let links: IndexList.Links

    init(_ count: Int) throws {
        memory = try ZeroedMemory(count)
        links = IndexList.Links(in: memory.base, at: \.link)
    }

    deinit { memory.deallocate() }

    func forwards(_ list: IndexList) -> [Int32] {
        var found: [Int32] = []
        var i = list.first
        while i >= 0 {
            found.append(i)
            i = list.next(i, links)
        }
        return found
    }

    func backwards(_ list: IndexList) -> [Int32] {
        var found: [Int32] = []
        var i = list.last
        while i >= 0 {
            found.append(i)
            i = list.previous(i, links)
        }
        return found
    }
}

@Suite struct IndexListTests {
    /// Two lists over the same links, against arrays: each index is in one of them or in none.
    @Test(arguments: [1, 2, 3]) func agreesWithArrays(_ seed: UInt64) throws {
        let records = try Records(20)
        var lists = [IndexList(), IndexList()]
        var expected: [[Int32]] = [[], []]
        var generator = SeededGenerator(seed)
        for step in 0..<20_000 {
            let i = Int32(generator.next() % 20)
            let holder = expected.firstIndex { $0.contains(i) }
            #expect(records.links[i].pointee.isListed == (holder != nil), "step \(step)")
            let k = holder ?? Int(generator.next() % 2)
            switch (holder, generator.next() % 3) {
            case (nil, 0):
                #expect(lists[k].removeFirst(records.links) == expected[k].first ?? -1)
                expected[k] = Array(expected[k].dropFirst())
            case (nil, _):
                lists[k].append(i, records.links)
                expected[k].append(i)
            case (_, 0):
                lists[k].moveToBack(i, records.links)
                expected[k].removeAll { $0 == i }
                expected[k].append(i)
            case (_, _):
                lists[k].remove(i, records.links)
                expected[k].removeAll { $0 == i }
            }
            for (list, members) in zip(lists, expected) {
                #expect(list.count == members.count)
                #expect(list.isEmpty == members.isEmpty)
                #expect(list.first == members.first ?? -1)
                #expect(list.last == members.last ?? -1)
                #expect(records.forwards(list) == members, "step \(step)")
                #expect(records.backwards(list) == members.reversed(), "step \(step)")
            }
        }
    }

    @Test func whatStandsBesideTheLinksIsLeftAlone() throws {
        let records = try Records(3)
        for k in 0..<3 {
            records.memory.base[k].before = 0xa5
            records.memory.base[k].behind = 0xa5a5
        }
        var list = IndexList()
        for i: Int32 in [2, 0, 1] { list.append(i, records.links) }
        list.moveToBack(0, records.links)
        list.remove(1, records.links)
        #expect(records.forwards(list) == [2, 0])
        for k in 0..<3 {
            #expect(records.memory.base[k].before == 0xa5)
            #expect(records.memory.base[k].behind == 0xa5a5)
        }
    }

    #if DEBUG
    @Test func puttingInTwiceTraps() async {
        await #expect(processExitsWith: .failure) {
            let records = try Records(4)
            var list = IndexList()
            list.append(1, records.links)
            list.append(1, records.links)
        }
    }

    @Test func takingOutWhatIsNotThereTraps() async {
        await #expect(processExitsWith: .failure) {
            let records = try Records(4)
            var list = IndexList()
            list.append(1, records.links)
            list.remove(0, records.links)
        }
        await #expect(processExitsWith: .failure) {
            let records = try Records(4)
            var list = IndexList()
            list.append(1, records.links)
            list.remove(1, records.links)
            list.remove(1, records.links)
        }
    }

    /// Both are the only ones of their lists, so that only the ends of the list tell.
    @Test func takingOutOfAnotherListTraps() async {
        await #expect(processExitsWith: .failure) {
            let records = try Records(4)
            var (one, other) = (IndexList(), IndexList())
            one.append(1, records.links)
            other.append(2, records.links)
            other.remove(1, records.links)
        }
    }
    #endif
}
