// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

@testable import Model

/// Arrivals that depend on what was sent, in the timed runtime and in the direct one.
@Suite struct ClosedLoopTests {
    /// Sends one packet, waits for it to come back, and sends the next; what has not come back after `timeout` is sent again.
    private final class Ping: PacketSource, PacketDestination {
        private let frame: UnsafeMutableRawPointer
        private let pings: Int
        private let timeout: Int64
        private let pause: Int64
        /// When the packet under way was sent, and the next is to be.
        private var sentAt: Int64?
        private var next: Int64 = 0
        private(set) var answered = 0
        private(set) var sent = 0
        private(set) var repeated = 0
        /// From the sending of each packet to its return, in nanoseconds.
        private(set) var roundTrips: [Int64] = []

        init(_ pings: Int, timeout: Int64 = .max, pause: Int64 = 0) {
            self.pings = pings
            self.timeout = timeout
            self.pause = pause
            frame = .allocate(byteCount: 64, alignment: 64)
            frame.initializeMemory(as: UInt8.self, repeating: 0, count: 64)
            super.init()
        }

        deinit { frame.deallocate() }

        override func poll() -> Poll {
            if answered == pings { return .ended }
            guard let sentAt else { return .ready(next) }
            return timeout == .max ? .idle(until: .max) : .ready(sentAt + timeout)
        }

        override func fill(
            _ pool: Pool,
            _ indices: UnsafeMutablePointer<Int32>,
            max: Int,
            before limit: Int64,
            sequence: UInt64
        ) -> Int {
            guard case .ready(let time) = poll(), time < limit, pool.take(1, into: indices) == 1 else { return 0 }
            pool.items[Int(indices[0])] = Item(
                data: frame,
                length: 64,
                wireLength: 64,
                time: time,
                sequence: sequence,
                linkType: 1,
                interface: 0
            )
            if sentAt != nil { repeated += 1 }
            sentAt = time
            sent += 1
            counters.pointee.packets += 1
            return 1
        }

        func write(_ item: Packet) {
            guard let from = sentAt else { return }
            roundTrips.append(item.time - from)
            answered += 1
            sentAt = nil
            next = item.time + pause
        }

        func close() {}
    }

    private func instance(_ spec: GraphSpec, _ ping: Ping, batch: Int = 64) throws -> Instance {
        var options = Instance.Options()
        options.batch = batch
        return try Instance(
            spec,
            bindings: [0: WireBinding(source: ping, destination: ping)],
            services: NoServices(),
            options: options
        )
    }

    private let reflector = graph(["w": "Wire", "a": "Toucher"], ["w.rx -> a", "a -> w.tx"])

    @Test func aPingWaitsForItsEcho() throws {
        for sides in reflector.allPlacements {
            let ping = Ping(50, pause: 1_000)
            let instance = try instance(reflector, ping)
            let outcome = try TimedRuntime(
                instance,
                placement: sides,
                profile: testProfile(),
                load: .closedLoop
            ).run()
            #expect(ping.answered == 50 && ping.sent == 50 && ping.repeated == 0)
            #expect(outcome.offered == 50 && outcome.completed == 50 && outcome.dropped == 0)
            #expect(instance.lostItems == 0 && instance.counts(0).balances)
            // Each takes what the machine takes, and that is what the model says a packet takes, whose frame has to come in before.
            let percentiles = try #require(outcome.percentiles)
            let least = (percentiles.p50 + testProfile().mac.wireTime(64)) / 1_000
            #expect(ping.roundTrips.allSatisfy { abs($0 - Int64(least)) <= 2 }, "\(ping.roundTrips) \(least)")
            // One after the other: the run takes as long as all round trips and pauses.
            let span = ping.roundTrips.reduce(0, +) + 49 * 1_000
            #expect(abs(outcome.end / 1_000 - span) <= 100, "\(outcome.end) \(span)")
        }
    }

    /// On the host a round trip takes longer, so a closed loop brings fewer packets: the load follows the machine.
    @Test func theLoadFollowsTheMachine() throws {
        func rate(_ sides: [Side]) throws -> Int64 {
            let ping = Ping(50)
            let outcome = try TimedRuntime(
                instance(reflector, ping),
                placement: sides,
                profile: testProfile(),
                load: .closedLoop
            ).run()
            return outcome.end
        }
        #expect(try rate(reflector.onHost("a")) > 2 * rate(reflector.onHost()))
    }

    @Test(arguments: [1, 64]) func aDirectRunCloses(batch: Int) throws {
        let ping = Ping(50, pause: 7)
        let instance = try instance(reflector, ping, batch: batch)
        try DirectRuntime(instance).run()
        #expect(ping.answered == 50 && ping.sent == 50)
        #expect(ping.roundTrips.allSatisfy { $0 == 0 })
    }

    /// A third is lost, and repeated after a time-out until it comes back.
    @Test func whatIsLostIsRepeated() throws {
        let spec = lossy("{loss: 0.3}")
        var sent: [Int] = []
        for runtime in ["timed on the NIC", "timed on the host", "direct"] {
            let ping = Ping(200, timeout: 50_000, pause: 100)
            let instance = try instance(spec, ping)
            switch runtime {
            case "direct": try DirectRuntime(instance).run()
            default:
                let sides = runtime.hasSuffix("host") ? spec.onHost("f") : spec.onHost()
                let outcome = try TimedRuntime(
                    instance,
                    placement: sides,
                    profile: testProfile(),
                    load: .closedLoop
                ).run()
                #expect(Int(outcome.offered) == ping.sent)
            }
            let lost = instance.counts(1).drops.reduce(0) { $0 + Int($1.count) }
            #expect(ping.answered == 200 && ping.repeated == lost && ping.sent == 200 + lost && lost > 40, "\(runtime)")
            #expect(instance.lostItems == 0)
            sent.append(ping.sent)
        }
        // What is lost follows from the number of a packet alone, so it is the same everywhere.
        #expect(Set(sent).count == 1)
    }

    /// When nobody repeats what was lost, nothing can happen any more, and the run ends.
    @Test func aRunEndsWhenNothingCanHappen() throws {
        let spec = lossy("{loss: 1}")
        let ping = Ping(3)
        let instance = try instance(spec, ping)
        let outcome = try TimedRuntime(
            instance,
            placement: spec.onHost(),
            profile: testProfile(),
            load: .closedLoop
        ).run()
        #expect(ping.sent == 1 && ping.answered == 0 && outcome.offered == 1)
        let again = Ping(3)
        try DirectRuntime(self.instance(spec, again)).run()
        #expect(again.sent == 1 && again.answered == 0)
    }

    /// Timers of elements are events of the machine: a delay of 3 us makes each round trip 3 us longer, while every client waits.
    @Test func timersAreEvents() throws {
        let ping = Ping(20)
        let spec = lossy("{delay: 1, delay_by: 3 us}")
        _ = try TimedRuntime(
            instance(spec, ping),
            placement: spec.onHost(),
            profile: testProfile(),
            load: .closedLoop
        ).run()
        let plain = Ping(20)
        let straight = lossy("{}")
        _ = try TimedRuntime(
            instance(straight, plain),
            placement: straight.onHost(),
            profile: testProfile(),
            load: .closedLoop
        ).run()
        #expect(ping.answered == 20 && plain.answered == 20)
        for (delayed, direct) in zip(ping.roundTrips, plain.roundTrips) {
            // The timer is armed when the packet is handled, which is when it has come in.
            #expect(delayed >= 3_000 && delayed <= 3_000 + 2 * direct, "\(delayed) \(direct)")
        }
    }

    private func lossy(_ config: String) -> GraphSpec {
        var spec = graph(["w": "Wire", "f": "Toucher"], ["w.rx -> f", "f -> w.tx"])
        let injector = Catalog.standard["FaultInjector"]!
        var values: [(name: String, mark: Mark, value: Value)] = []
        for pair in config.dropFirst().dropLast().split(separator: ",") {
            let parts = pair.split(separator: ":").map { $0.trimming(" ") }
            values.append((parts[0], 0, .scalar(parts[1], 0)))
        }
        spec.nodes[1] = GraphSpec.Node(name: "f", type: injector, element: injector.configure(values, at: 0).element!)
        return spec
    }
}

extension Substring {
    fileprivate func trimming(_ character: Character) -> String {
        String(drop { $0 == character }.reversed().drop { $0 == character }.reversed())
    }
}
