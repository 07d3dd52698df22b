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
