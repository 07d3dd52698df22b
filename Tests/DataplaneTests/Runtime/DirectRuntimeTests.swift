// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// Sources that are idle, timers between sparse packets, a pool that is empty.
@Suite struct DirectRuntimeTests {
    /// Says what it is told to say, and gives a packet when its time has come.
    private final class Script: PacketSource {
        private let frame = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
        private var times: [Int64]
        private let clock: WallTime?
        private let idleUntil: Int64
        private(set) var polls = 0
        var given = 0

        /// - Parameter idleUntil: what it says while no packet is there yet; the last packet is followed by the end.
        init(_ times: [Int64], clock: WallTime? = nil, idleUntil: Int64 = .max) {
            frame.initializeMemory(as: UInt8.self, repeating: 0, count: 64)
            self.times = times
            self.clock = clock
            self.idleUntil = idleUntil
            super.init()
        }

        deinit { frame.deallocate() }

        override func poll() -> Poll {
            polls += 1
            guard let next = times.first else { return .ended }
            if let clock, clock.now < next { return .idle(until: idleUntil) }
            return .ready(next)
        }

        override func fill(
            _ pool: Pool,
            _ indices: UnsafeMutablePointer<Int32>,
            max: Int,
            before limit: Int64,
            sequence: UInt64
        ) -> Int {
            var n = 0
            while n < max, let time = times.first, time < limit, clock.map({ $0.now >= time }) ?? true,
                pool.take(1, into: indices + n) == 1
            {
                pool.items[Int(indices[n])] = Item(
                    data: frame,
                    length: 64,
                    wireLength: 64,
                    time: time,
                    sequence: sequence + UInt64(n),
                    linkType: 1,
                    interface: 0
                )
                times.removeFirst()
                n += 1
            }
            given += n
            counters.pointee.packets += UInt64(n)
            return n
        }
    }

    private func instance(
        _ element: String,
        _ config: String,
        _ source: PacketSource,
        pool: Int? = nil,
        batch: Int = 64
    )
        throws -> Instance
    {
        func node(_ name: String, _ type: String, _ config: String = "") throws -> GraphSpec.Node {
            let type = Catalog.standard[type] ?? ElementDescriptor(Collector.self)
            return GraphSpec.Node(name: name, type: type, element: try ElementHarness.configure(type, config))
        }
        let spec = GraphSpec(
            name: "test",
            nodes: [try node("wire", "Wire"), try node("element", element, config), try node("out", "Collector")],
            edges: [.init(from: 0, output: 0, to: 1, input: 0), .init(from: 1, output: 0, to: 2, input: 0)]
        )
        var options = Instance.Options()
        options.poolCapacity = pool
        options.batch = batch
        return try Instance(
            spec,
            bindings: [0: WireBinding(source: source)],
            services: TestServices(),
            options: options
        )
    }

    /// A source that is idle does not end the run, and timers fire while it is: the time is that of the wall.
    @Test func anIdleSourceEndsNothing() throws {
        let clock = WallTime(longest: 2_000_000)
        let start = clock.now
        let source = Script([start, start + 30_000_000, start + 60_000_000], clock: clock)
        let instance = try instance("FaultInjector", "{delay: 1, delay_by: 10 ms}", source)
        let runtime = DirectRuntime(instance)
        runtime.clock = clock
        try runtime.run()
        let seen = (instance.elements[2] as! Collector).seen
        #expect(source.given == 3 && seen.count == 3)
        #expect(clock.now - start >= 60_000_000)
        // The first two left by their timers, while nothing came; the last when the input ended.
        #expect(seen.prefix(2).map(\.time) == [start + 10_000_000, start + 40_000_000])
        #expect(source.polls < 10_000, "an idle source is not asked without a pause")
    }

    /// Without a clock of its own a run in which every source is idle and no timer armed has nothing to wait for.
    @Test func whereNothingCanHappenARunEnds() throws {
        final class Idle: PacketSource { override func poll() -> Poll { .idle(until: .max) } }
        try DirectRuntime(instance("Counter", "", Idle())).run()
    }

    /// Each timer fires between the right two packets, whatever the batch.
    @Test(arguments: batchSizesOfRuns) func timersFireBetweenSparsePackets(batch: Int) throws {
        let times: [Int64] = [0, 400_000, 5_000_000, 5_000_001, 5_999_999, 6_000_002, 90_000_000]
        let instance = try instance("FaultInjector", "{delay: 1, delay_by: 1 ms}", Script(times), batch: batch)
        try DirectRuntime(instance).run()
        let seen = (instance.elements[2] as! Collector).seen
        #expect(seen.map(\.time) == times.map { $0 + 1_000_000 })
        #expect(seen.map(\.sequence) == Array(0..<7))
    }
    static let batchSizesOfRuns = [1, 2, 7, 64, 256]

    /// A queue that may hold more than there would be room for makes the pool larger, and nothing is lost.
    @Test func whatMayBeHeldEnlargesThePool() throws {
        let source = Script(Array(repeating: 5, count: 30_000))
        let instance = try instance("Queue", "{capacity: 20000}", source)
        try DirectRuntime(instance).run()
        #expect(instance.pool.capacity == Instance.itemsUnderWay + 20_000)
        let (wire, queue) = (instance.counts(0), instance.counts(1))
        #expect(wire.drops.isEmpty && queue.drops.map(\.count) == [10_000] && queue.left == 20_000)
    }

    /// Beyond `--pool` the wire drops, counted with a name and among the packets that came in, and the run goes on.
    @Test(arguments: [1, 64]) func anEmptyPoolIsACountedDrop(batch: Int) throws {
        let source = Script(Array(repeating: 5, count: 3_000) + [7, 8, 9])
        let instance = try instance("Queue", "{capacity: 20000}", source, pool: 1_000, batch: batch)
        try DirectRuntime(instance).run()
        let (wire, queue) = (instance.counts(0), instance.counts(1))
        #expect(wire.drops.map(\.reason) == ["no_items"] && wire.drops[0].count == 2_000)
        #expect(instance.wireCounts()[0].packetsIn == 3_003 && queue.left == 1_003)
        #expect(wire.balances && queue.balances && instance.lostItems == 0)
        // What comes later keeps its number.
        #expect((instance.elements[2] as! Collector).seen.suffix(3).map(\.sequence) == [3_000, 3_001, 3_002])
    }
}
