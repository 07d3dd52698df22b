// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The cores of one side, with their hardware threads and queues.
///
/// A thread keeps an item for the whole service. Its computing has the core to itself; its waits for memory overlap with the
/// computing of the core's other threads, and are assumed to follow its own computing. So a core serves min(1 / compute,
/// threads / (compute + wait)) items per second.
struct Executor: ~Copyable {
    let isShared: Bool
    /// Items that may wait in one queue.
    let limit: Int32
    /// Picoseconds per item that enters.
    let perItem: Int64
    /// Picoseconds per item handed to the channel.
    let send: Int64
    /// Places in the reorder buffer, and those in use; and picoseconds per item that waited there.
    let reorderLimit: Int
    var reordering = 0
    let reorderTime: Int64
    var queues: Block<List>
    /// For each key bucket the time at which the last item left.
    let lastLeave: Block<Int64>
    private(set) var tally: Outcome.ExecutorTally

    private let cores: Int
    /// For each entry of the table by which a hash selects a core, that core.
    private let indirection: Block<Int32>
    private let threads: Int32
    /// When each core will have finished computing.
    private let coreFree: Block<Int64>
    /// Free threads of each core, if each core has a queue.
    private let freeThreads: Block<Int32>
    /// The cores of free threads, longest free first, if all cores share a queue: as threads of network processors queue up for
    /// work.
    private let line: Block<Int32>
    private var lineHead = 0
    private var lineCount = 0
    /// Picoseconds for a thousandth of an access to the memory shared by all cores, in units of 2^-20.
    private let accessTime: Int64
    private var memoryFree: Int64 = 0

    init(_ profile: ExecutorProfile) {
        let costs = CostTable(profile)
        let entries = profile.indirections
        indirection = Block(entries, 0)
        for k in 0..<entries { indirection[k] = Int32(k % profile.cores) }
        isShared = profile.dispatch == .shared
        limit = Int32(profile.queue)
        perItem = costs.time(Int64(profile.perItem))
        send = costs.time(Int64(profile.send))
        reorderLimit = profile.reorder.places
        reorderTime = costs.time(Int64(profile.reorder.cycles))
        cores = profile.cores
        threads = Int32(profile.threads)
        queues = Block(isShared ? 1 : cores, List())
        lastLeave = Block(1 << 14, 0)
        coreFree = Block(cores, 0)
        freeThreads = Block(cores, Int32(profile.threads))
        line = Block(cores * profile.threads, 0)
        lineCount = cores * profile.threads
        // The first thread of each core comes first.
        for k in 0..<lineCount { line[k] = Int32(k % cores) }
        accessTime = profile.memoryRate.map { scale(1 << 20, by: 1_000_000_000, over: Int64($0)) } ?? 0
        tally = Outcome.ExecutorTally(cores: cores)
    }

    /// The queue of items with this key.
    @inline(__always)
    func queue(_ key: UInt32) -> Int {
        isShared ? 0 : Int(indirection[Int(key &>> 16) & (indirection.capacity &- 1)])
    }

    /// Takes a free thread for the queue; returns its core.
    @inline(__always)
    mutating func takeThread(_ queue: Int) -> Int? {
        if !isShared {
            if freeThreads[queue] == 0 { return nil }
            freeThreads[queue] &-= 1
            return queue
        }
        if lineCount == 0 { return nil }
        let core = Int(line[lineHead])
        lineHead = lineHead &+ 1 == line.capacity ? 0 : lineHead &+ 1
        lineCount &-= 1
        return core
    }

    @inline(__always)
    mutating func giveThread(_ core: Int) {
        if !isShared {
            freeThreads[core] &+= 1
            return
        }
        let tail = lineHead &+ lineCount
        line[tail < line.capacity ? tail : tail &- line.capacity] = Int32(core)
        lineCount &+= 1
    }

    /// Plans a service that starts now on a thread of `core`; returns its end.
    @inline(__always)
    mutating func serve(_ core: Int, _ now: Int64, _ cost: Cost) -> Int64 {
        let computed = min(max(now, coreFree[core]) &+ cost.compute, latestTime)
        coreFree[core] = computed
        var end = min(computed &+ cost.wait, latestTime)
        if cost.accesses > 0, accessTime > 0 {
            let time = (cost.accesses &* accessTime) &>> 20
            memoryFree = min(max(memoryFree, now) &+ time, latestTime)
            end = max(end, memoryFree)
            tally.memoryBusy &+= time
        }
        tally.services &+= 1
        tally.busy[core] &+= cost.compute
        tally.waited &+= cost.wait
        return end
    }
}

/// The DMA engine of one direction: writes to host memory, or reads from it.
///
/// Both limits count DMAs: a received packet is a write of its data and one of its descriptor, plus a read of the descriptor it
/// was given.
struct DMAEngine: ~Copyable {
    /// DMAs begun.
    private(set) var count: UInt64 = 0
    /// Their bytes.
    private(set) var bytes: Int64 = 0
    private let profile: ChannelProfile.Direction
    private var nextIssue: Int64 = 0
    /// End times of the last DMAs, as many as may be in progress, in order from `first` on.
    private let ends: Block<Int64>
    private let inFlight: Int
    private var first = 0

    init(_ profile: ChannelProfile.Direction) {
        self.profile = profile
        inFlight = profile.inFlight ?? 0
        ends = Block(inFlight, 0)
    }

    /// The start of a DMA of this many bytes that could begin at `time`.
    @inline(__always)
    mutating func begin(_ time: Int64, _ bytes: Int) -> Int64 {
        var start = max(time, nextIssue)
        if inFlight > 0 {
            // Replaces the one that ends first; the others stay in order of their ends, which mostly is that of their starts.
            start = max(start, ends[first])
            let end = start &+ profile.latency(of: bytes)
            var hole = first
            first = first &+ 1 == inFlight ? 0 : first &+ 1
            while hole != first {
                let before = hole == 0 ? inFlight &- 1 : hole &- 1
                if ends[before] <= end { break }
                ends[hole] = ends[before]
                hole = before
            }
            ends[hole] = end
        }
        nextIssue = start &+ Int64(profile.issueInterval)
        count &+= 1
        self.bytes &+= Int64(bytes)
        return start
    }
}

/// The driver's work for one item besides moving its bytes.
struct DriverSteps {
    /// Bytes on the link, including TLP headers.
    var link = LinkBytes(up: 0, down: 0)
    /// Bytes of descriptors read with it; 0 if none are.
    var fetched = 0
    /// Bytes of descriptors written back with it; 0 if none are.
    var writtenBack = 0
}

/// One direction of the channel: a queue of items under way.
struct Direction: ~Copyable {
    let ring: Int
    /// Ring places in use.
    var places = 0
    /// Items in transfer, in order.
    var items = List()
    /// Items that wait for a place in the ring, in order. While there are any, the sending side starts no service: that is the
    /// ring's back-pressure, and the backlog behind it is dropped at the queue's limit.
    var blocked = List()
    var tally = Outcome.DirectionTally()
    var lastDelivery: Int64 = 0

    /// Items left until each step of the driver is due.
    private var steps: DriverModel.Steps
    private let every: DriverModel.Steps

    init(_ profile: ChannelProfile.Direction, _ steps: DriverModel.Steps) {
        ring = profile.ring
        every = steps
        self.steps = DriverModel.Steps(doorbellEvery: 1, fetch: 1, writeBack: 1, interruptEvery: 1, headReadEvery: 1)
    }

    /// The driver's steps for the next item.
    @inline(__always)
    mutating func nextSteps(_ link: PCIeLink) -> DriverSteps {
        var sum = DriverSteps()
        @inline(__always) func due(_ left: inout Int, _ every: Int) -> Bool {
            left &-= 1
            if left > 0 { return false }
            left = every
            return every > 0
        }
        if due(&steps.doorbellEvery, every.doorbellEvery) { sum.link = sum.link + link.doorbell }
        if due(&steps.fetch, every.fetch) {
            sum.fetched = every.fetch &* PCIeLink.descriptorBytes
            sum.link = sum.link + link.read(sum.fetched)
        }
        if due(&steps.writeBack, every.writeBack) {
            sum.writtenBack = every.writeBack &* PCIeLink.descriptorBytes
            sum.link = sum.link + link.write(sum.writtenBack)
        }
        if due(&steps.interruptEvery, every.interruptEvery) { sum.link = sum.link + link.interrupt }
        if due(&steps.headReadEvery, every.headReadEvery) { sum.link = sum.link + link.headRead }
        return sum
    }
}
