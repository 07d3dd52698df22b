// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The recorded work, summed: visits of packets that took the same path become one. From it follows any placement's demand on
/// each resource, exactly and in microseconds, since none of that depends on arrival times.
struct WorkSummary: Sendable {
    /// Visits at one point of a path.
    private struct Visit {
        /// The visit, within the path, that released the item; -1 for an arrival or a call.
        var parent: Int32
        var node: Int32
        /// The edge the items came by; -1 for an arrival or a call.
        var edge: Int32
        var traits: Recording.Traits
        /// The number of visits.
        var count = 0.0
        /// Costs of their items if headers cross, and if everything does.
        var headers = Bytes()
        var whole = Bytes()
        /// Bytes of the items on a wire.
        var wireBytes = 0.0
    }

    /// Costs of items that cross.
    struct Bytes {
        /// Their bytes.
        var data = 0.0
        /// DMAs for them: none for an empty item.
        var dmas = 0.0
        /// Bytes on the link to write them and to read them.
        var written = 0.0
        var requested = 0.0
        var completed = 0.0

        mutating func add(_ bytes: Int, _ link: PCIeLink) {
            data += Double(bytes)
            if bytes > 0 { dmas += 1 }
            written += Double(link.write(bytes).up)
            let read = link.read(bytes)
            requested += Double(read.up)
            completed += Double(read.down)
        }
    }

    /// The visits of packets, or calls, that took the same path.
    private struct Way {
        /// Its visits are `first ..< first + count`, each after its parent.
        var first: Int
        var count: Int
        /// The element that made the call; -1 for packets.
        var caller: Int32
    }

    /// Packets recorded.
    let packets: Double
    private var ways: [Way] = []
    private var visits: [Visit] = []
    /// For each visit the counts of all operations.
    private var operations: [Double] = []
    /// Bytes that arrived at each wire, by node.
    let received: [Double]
    private let spec: GraphSpec
    private static let width = Operation.allCases.count

    init(_ recording: Recording, _ link: PCIeLink) {
        packets = Double(recording.packets)
        spec = recording.spec
        var received = Array(repeating: 0.0, count: recording.spec.nodes.count)
        var known: [[Int32]: Int] = [:]
        var way: [Int32] = []
        var order: [(visit: Int32, parent: Int32)] = []
        let width = WorkSummary.width
        for root in recording.roots {
            way.removeAll(keepingCapacity: true)
            order.removeAll(keepingCapacity: true)
            way.append(root.isPacket ? -1 : root.node)
            for k in 0..<root.count { order.append((root.visit + k, -1)) }
            var at = 0
            while at < order.count {
                let (number, parent) = order[at]
                let visit = recording.visits[Int(number)]
                way.append(visit.edge < 0 ? visit.node : visit.edge)
                way.append(parent << 2 | Int32(visit.traits.rawValue & 3))
                var child = visit.firstChild
                while child >= 0 {
                    order.append((child, Int32(at)))
                    child = recording.visits[Int(child)].nextSibling
                }
                at += 1
            }
            let index: Int
            if let same = known[way] {
                index = same
            } else {
                index = ways.count
                known[way] = index
                ways.append(Way(first: visits.count, count: order.count, caller: root.isPacket ? -1 : root.node))
                for (number, parent) in order {
                    let visit = recording.visits[Int(number)]
                    visits.append(Visit(parent: parent, node: visit.node, edge: visit.edge, traits: visit.traits))
                }
                operations.append(contentsOf: repeatElement(0, count: order.count * width))
            }
            let first = ways[index].first
            for (k, (number, _)) in order.enumerated() {
                let visit = recording.visits[Int(number)]
                let length = visit.edge < 0 && !root.isPacket ? WorkSummary.callBytes : Int(visit.length)
                visits[first + k].count += 1
                visits[first + k].headers.add(min(Int(visit.headers), length), link)
                visits[first + k].whole.add(length, link)
                visits[first + k].wireBytes += Double(MACProfile.wireBytes(length))
                for operation in 0..<width {
                    operations[(first + k) * width + operation] +=
                        Double(min(recording.counts[Int(visit.counts) * width + operation], 1 << 20))
                }
            }
            if root.isPacket {
                received[Int(root.node)] += Double(
                    MACProfile.wireBytes(Int(recording.visits[Int(root.visit)].length))
                )
            }
        }
        self.received = received
    }

    /// Bytes of the command that tells the other side about the end of a flow.
    static let callBytes = 16

    /// A placement's demand on each resource, for all recorded packets.
    func demand(_ routes: Routes) -> Demand {
        var demand = Demand(packets: packets, isPlain: routes.isPlain, received: received)
        demand.sent = Array(repeating: 0, count: spec.nodes.count)
        var levels: [Routes.Level] = []
        for way in ways {
            levels.removeAll(keepingCapacity: true)
            for k in way.first..<way.first + way.count {
                let visit = visits[k]
                let side = routes.sides[Int(visit.node)]
                var level = Routes.Level.whole
                if visit.edge < 0 {
                    if way.caller < 0 {
                        demand.nic.items += visit.count
                    } else if routes.sides[Int(way.caller)] != side {
                        demand.cross(to: side, visit.count, visit.whole)
                    }
                } else {
                    let parent = visits[way.first + Int(visit.parent)]
                    let before =
                        visit.traits.contains(.same)
                        ? levels[Int(visit.parent)]
                        : visit.traits.contains(.released) ? routes.arriving[Int(parent.node)] : .whole
                    level = before
                    if routes.crosses[Int(visit.edge)] {
                        let needs = routes.needs[Int(visit.edge)]
                        let crossing = side == .host ? needs : min(needs, before)
                        let bytes =
                            switch crossing {
                            case .descriptor: Bytes()
                            case .headers: visit.headers
                            case .whole: visit.whole
                            }
                        if routes.isControl[Int(visit.edge)] { demand.commands += visit.count }
                        if routes.isControl[Int(visit.edge)], routes.isOutOfBand {
                            demand.pass(to: side, visit.count)
                        } else {
                            demand.cross(to: side, visit.count, bytes)
                        }
                        if side == .host { demand.nic.sends += visit.count } else { demand.host.sends += visit.count }
                        level = side == .host ? crossing : .whole
                    }
                    if spec.nodes[Int(visit.node)].isWire { demand.sent[Int(visit.node)] += visit.wireBytes }
                }
                levels.append(level)
                let first = k * WorkSummary.width
                if side == .host {
                    for o in 0..<WorkSummary.width { demand.host.operations[o] += operations[first + o] }
                } else {
                    for o in 0..<WorkSummary.width { demand.nic.operations[o] += operations[first + o] }
                }
            }
        }
        return demand
    }
}

/// A placement's demand on each resource for some packets, in operations, items and bytes.
struct Demand: Sendable {
    /// Work of one side.
    struct Work: Sendable {
        var operations = Array(repeating: 0.0, count: Operation.allCases.count)
        /// Items that enter.
        var items = 0.0
        /// Items handed to the channel.
        var sends = 0.0
    }
    /// Traffic in one direction.
    struct Crossing: Sendable {
        var items = 0.0
        var data = 0.0
        var dmas = 0.0
        /// On the link from the device, and to it.
        var up = 0.0
        var down = 0.0
    }

    let packets: Double
    let isPlain: Bool
    /// Bytes on the wire by node, in and out.
    let received: [Double]
    var sent: [Double] = []
    var nic = Work()
    var host = Work()
    var toHost = Crossing()
    var toNIC = Crossing()
    /// Commands that cross by the control path.
    var commands = 0.0

    init(packets: Double, isPlain: Bool, received: [Double]) {
        self.packets = packets
        self.isPlain = isPlain
        self.received = received
    }

    /// Counts items that reach the other side by a path of their own.
    mutating func pass(to side: Side, _ count: Double) {
        if side == .host { host.items += count } else { nic.items += count }
    }

    mutating func cross(to side: Side, _ count: Double, _ bytes: WorkSummary.Bytes) {
        if side == .host {
            host.items += count
            toHost.items += count
            toHost.data += bytes.data
            toHost.dmas += bytes.dmas
            toHost.up += bytes.written
        } else {
            nic.items += count
            toNIC.items += count
            toNIC.data += bytes.data
            toNIC.dmas += bytes.dmas
            toNIC.up += bytes.requested
            toNIC.down += bytes.completed
        }
    }
}

/// The charges of a device, computed once for many placements.
struct Tariff: Sendable {
    /// One side: picoseconds of computing and of waiting, and accesses.
    private struct Charges {
        var compute: [Double]
        var wait: [Double]
        var accesses: [Double]
        var perItem: Double
        var send: Double
        var executor: ExecutorProfile

        init(_ executor: ExecutorProfile) {
            self.executor = executor
            let tick = 1e9 / Double(executor.clock)
            // With one thread nothing can be done while the core waits.
            let alone = executor.threads == 1
            compute = executor.costs.map { Double($0.cycles + (alone ? $0.wait : 0)) * tick }
            wait = executor.costs.map { alone ? 0 : Double($0.wait) * tick }
            accesses = executor.costs.map { Double($0.accesses) / 1_000 }
            perItem = Double(executor.perItem) * tick
            send = Double(executor.send) * tick
        }

        func sum(_ prices: [Double], _ operations: [Double]) -> Double {
            var sum = 0.0
            for k in operations.indices { sum += prices[k] * operations[k] }
            return sum
        }

        func busy(_ work: Demand.Work) -> Double {
            sum(compute, work.operations) + perItem * work.items + send * work.sends
        }
    }

    private let nic: Charges
    private let plain: Charges
    private let host: Charges
    private let profile: DeviceProfile
    /// Picoseconds per byte on the link, and per byte on the wire.
    private let linkByte: Double
    private let wireByte: Double
    /// Link bytes and DMAs of the driver per item, by direction.
    private let steps: (toHost: Steps, toNIC: Steps)

    private struct Steps {
        var up = 0.0
        var down = 0.0
        /// Reads and write-backs of descriptors, and their bytes.
        var fetches = 0.0
        var fetched = 0.0
        var writeBacks = 0.0
        var writtenBack = 0.0

        init(_ driver: DriverModel.Steps, _ link: PCIeLink) {
            func add(_ bytes: LinkBytes, _ every: Int) {
                if every == 0 { return }
                up += Double(bytes.up) / Double(every)
                down += Double(bytes.down) / Double(every)
            }
            add(link.doorbell, driver.doorbellEvery)
            add(link.interrupt, driver.interruptEvery)
            add(link.headRead, driver.headReadEvery)
            if driver.fetch > 0 {
                add(link.read(driver.fetch * PCIeLink.descriptorBytes), driver.fetch)
                fetches = 1 / Double(driver.fetch)
                fetched = Double(PCIeLink.descriptorBytes)
            }
            if driver.writeBack > 0 {
                add(link.write(driver.writeBack * PCIeLink.descriptorBytes), driver.writeBack)
                writeBacks = 1 / Double(driver.writeBack)
                writtenBack = Double(PCIeLink.descriptorBytes)
            }
        }
    }

    init(_ profile: DeviceProfile) {
        self.profile = profile
        nic = Charges(profile.nic.cores == 0 ? profile.plainExecutor : profile.nic)
        plain = Charges(profile.plainExecutor)
        host = Charges(profile.host)
        linkByte = 8e12 / Double(profile.channel.link.tlpBitsPerSecond)
        wireByte = 8e12 / Double(profile.mac.lineRate)
        let driver = profile.channel.driver
        steps = (Steps(driver.toHost, profile.channel.link), Steps(driver.toNIC, profile.channel.link))
    }

    /// Packets per second that each resource can sustain forever.
    func limits(_ demand: Demand) -> [(resource: Resource, rate: Double)] {
        var limits: [(resource: Resource, rate: Double)] = []
        let second = demand.packets * 1e12
        func add(_ resource: Resource, _ busy: Double) {
            if busy > 0 { limits.append((resource, second / busy)) }
        }
        func add(_ side: Charges, _ work: Demand.Work, _ busy: Double, _ names: (Resource, Resource, Resource)) {
            let executor = side.executor
            add(names.0, busy * executor.busiestShare)
            let waited = side.sum(side.wait, work.operations)
            if waited > 0 { add(names.1, (busy + waited) * executor.busiestShare / Double(executor.threads)) }
            if let rate = executor.memoryRate {
                add(names.2, side.sum(side.accesses, work.operations) * 1e12 / Double(rate))
            }
        }
        let nic = demand.isPlain ? plain : nic
        add(nic, demand.nic, nic.busy(demand.nic), (.nicCores, .nicThreads, .nicMemory))
        add(host, demand.host, hostBusy(demand), (.hostCores, .hostThreads, .hostMemory))
        add(.portRx, (demand.received.max() ?? 0) * wireByte)
        add(.portTx, (demand.sent.max() ?? 0) * wireByte)
        add(.mac, demand.packets * 1e12 / Double(profile.mac.packetRate))
        let (a, b) = (demand.toHost, demand.toNIC)
        add(.linkToHost, (a.up + b.up + a.items * steps.toHost.up + b.items * steps.toNIC.up) * linkByte)
        add(.linkToNIC, (a.down + b.down + a.items * steps.toHost.down + b.items * steps.toNIC.down) * linkByte)
        let channel = profile.channel
        if let control = channel.control { add(.controlPath, demand.commands * 1e12 / Double(control.rate)) }
        func addEngine(
            _ direction: ChannelProfile.Direction,
            _ dmas: Double,
            _ bytes: Double,
            _ names: (Resource, Resource)
        ) {
            add(names.0, dmas * Double(direction.issueInterval))
            if let n = direction.inFlight {
                add(
                    names.1,
                    (dmas * Double(direction.latency) + bytes * Double(direction.latencyPerByte) / 1_000) / Double(n)
                )
            }
        }
        let (writes, reads) = (self.writes(demand), self.reads(demand))
        addEngine(channel.toHost, writes.dmas, writes.bytes, (.writeIssue, .writesInFlight))
        addEngine(channel.toNIC, reads.dmas, reads.bytes, (.readIssue, .readsInFlight))
        return limits
    }

    /// The share of time for which each resource is busy, 0 to 1, with the traffic of a run at `rate` packets per second: what
    /// ``limits(_:)`` computes for replays, observed.
    func shares(_ run: Outcome, _ rate: Int) -> [(Resource, Double)] {
        // The run itself took a little longer: it ends when the last packet has left.
        let time = Double(max(1, run.offered)) * 1e12 / Double(max(1, rate))
        var shares: [(Resource, Double)] = []
        func add(_ resource: Resource, _ busy: Double) { if busy > 0 { shares.append((resource, busy / time)) } }
        func add(_ tally: Outcome.ExecutorTally, _ executor: ExecutorProfile, _ names: (Resource, Resource, Resource)) {
            let busy = tally.busy.reduce(0) { $0 + Double($1) }
            add(names.0, busy * executor.busiestShare)
            if tally.waited > 0 {
                add(names.1, (busy + Double(tally.waited)) * executor.busiestShare / Double(executor.threads))
            }
            add(names.2, Double(tally.memoryBusy))
        }
        add(run.nic, profile.nic, (.nicCores, .nicThreads, .nicMemory))
        add(run.host, profile.host, (.hostCores, .hostThreads, .hostMemory))
        add(.portRx, Double(run.busiestRx))
        add(.portTx, Double(run.busiestTx))
        add(.mac, Double(run.offered) * 1e12 / Double(profile.mac.packetRate))
        add(.linkToHost, Double(run.linkBusy.up))
        add(.linkToNIC, Double(run.linkBusy.down))
        let channel = profile.channel
        if let control = channel.control { add(.controlPath, Double(run.commands) * 1e12 / Double(control.rate)) }
        func add(_ direction: ChannelProfile.Direction, _ tally: Outcome.DirectionTally, _ names: (Resource, Resource))
        {
            add(names.0, Double(tally.dmas) * Double(direction.issueInterval))
            if let n = direction.inFlight {
                let latency = Double(tally.dmas) * Double(direction.latency)
                add(names.1, (latency + Double(tally.dmaBytes) * Double(direction.latencyPerByte) / 1_000) / Double(n))
            }
        }
        add(channel.toHost, run.toHost, (.writeIssue, .writesInFlight))
        add(channel.toNIC, run.toNIC, (.readIssue, .readsInFlight))
        return shares
    }

    /// Resources used per packet.
    struct Use {
        var hostCycles: Double
        var nicCycles: Double
        var toHost: PlacementResult.Crossing
        var toNIC: PlacementResult.Crossing
    }

    /// Resources used per packet of a run.
    func use(_ run: Outcome) -> Use {
        let packets = Double(max(1, run.offered))
        func cycles(_ tally: Outcome.ExecutorTally, _ executor: ExecutorProfile) -> Double {
            tally.busy.reduce(0) { $0 + Double($1) } * Double(executor.clock) / 1e12 / packets
        }
        func crossing(_ tally: Outcome.DirectionTally) -> PlacementResult.Crossing {
            .init(bytes: Double(tally.dmaBytes) / packets, transfers: Double(tally.dmas) / packets)
        }
        return Use(
            hostCycles: cycles(run.host, profile.host),
            nicCycles: cycles(run.nic, profile.nic),
            toHost: crossing(run.toHost),
            toNIC: crossing(run.toNIC)
        )
    }

    /// Resources used per packet of a replay.
    func use(_ demand: Demand) -> Use {
        func crossing(_ sum: (dmas: Double, bytes: Double)) -> PlacementResult.Crossing {
            .init(bytes: sum.bytes / demand.packets, transfers: sum.dmas / demand.packets)
        }
        return Use(
            hostCycles: hostCycles(demand),
            nicCycles: nicCycles(demand),
            toHost: crossing(writes(demand)),
            toNIC: crossing(reads(demand))
        )
    }

    /// Picoseconds of the host's cores.
    private func hostBusy(_ demand: Demand) -> Double {
        var busy = host.busy(demand.host)
        // The fewest possible interrupts: one per maximum number of waiting items.
        if let interrupt = profile.channel.interrupt {
            busy +=
                demand.toHost.items / Double(interrupt.after) * Double(interrupt.cycles) * 1e9
                / Double(profile.host.clock)
        }
        return busy
    }

    /// The highest rate at which no resource is too slow.
    func bound(_ demand: Demand) -> Double { limits(demand).map(\.rate).min() ?? 0 }

    /// Core cycles per packet.
    func hostCycles(_ demand: Demand) -> Double {
        hostBusy(demand) * Double(profile.host.clock) / 1e12 / demand.packets
    }

    func nicCycles(_ demand: Demand) -> Double {
        (demand.isPlain ? plain : nic).busy(demand.nic) * Double(profile.nic.clock) / 1e12 / demand.packets
    }

    /// DMAs that write to host memory, and their bytes, including descriptors.
    func writes(_ demand: Demand) -> (dmas: Double, bytes: Double) {
        let (a, b) = (demand.toHost, demand.toNIC)
        return (
            a.dmas + a.items * steps.toHost.writeBacks + b.items * steps.toNIC.writeBacks,
            a.data + a.items * steps.toHost.writtenBack + b.items * steps.toNIC.writtenBack
        )
    }

    /// DMAs that read host memory, and their bytes, including descriptors.
    func reads(_ demand: Demand) -> (dmas: Double, bytes: Double) {
        let (a, b) = (demand.toHost, demand.toNIC)
        return (
            b.dmas + a.items * steps.toHost.fetches + b.items * steps.toNIC.fetches,
            b.data + a.items * steps.toHost.fetched + b.items * steps.toNIC.fetched
        )
    }
}
