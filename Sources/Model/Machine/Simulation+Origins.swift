// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

extension Simulation where W: ~Copyable {
    // MARK: Origins

    @inline(__always)
    func slot(_ origin: Int64) -> Int { Int(truncatingIfNeeded: origin) & (origins.capacity &- 1) }

    mutating func begin(_ key: UInt32, time: Int64, _ kind: OriginState.Kind, _ classes: UInt64) -> Int64 {
        if Int(newest &- oldest) == origins.capacity { growOrigins() }
        let number = newest
        newest &+= 1
        let bucket = Int(key &>> 1) & (Simulation.buckets &- 1)
        var origin = OriginState()
        origin.arrival = now
        origin.time = time
        origin.key = key
        origin.bucket = Int32(bucket)
        origin.kind = kind
        if merges > 0 {
            (pending.base + slot(number) &* 2 &* merges).update(repeating: 0, count: 2 &* merges)
            let before = last[bucket]
            origin.before = before
            if before >= 0 { origins.base[slot(before)].after = number }
            last[bucket] = number
            for merge in 0..<merges where classes &>> (2 &* UInt64(merge) &+ 1) & 1 == 1 {
                if first[bucket &* merges &+ merge] < 0 { first[bucket &* merges &+ merge] = number }
            }
        }
        origins[slot(number)] = origin
        return number
    }

    mutating func growOrigins() {
        let old = origins.capacity
        // Numbers keep their place modulo the size, so they are moved to their new places.
        var larger = Block(2 * old, OriginState())
        var counts = Block(merges == 0 ? 1 : 2 * old * 2 * merges, Int32(0))
        for number in oldest..<newest {
            let (from, to) = (Int(number) & (old - 1), Int(number) & (2 * old - 1))
            larger[to] = origins[from]
            if merges > 0 {
                (counts.base + to * 2 * merges).update(from: pending.base + from * 2 * merges, count: 2 * merges)
            }
        }
        swap(&origins, &larger)
        swap(&pending, &counts)
    }

    /// One part of an origin's work has ended.
    mutating func release(_ number: Int64) {
        let origin = origins.base + slot(number)
        origin.pointee.jobs &-= 1
        if origin.pointee.jobs == 1, origin.pointee.kind == .control {
            if origin.pointee.told < origin.pointee.control.count { return tellNext(number) }
            origin.pointee.jobs = 0
        }
        if origin.pointee.jobs > 0 { return }
        origin.pointee.isDone = true
        switch origin.pointee.kind {
        case .packet: result.finish(origin.pointee)
        case .control:
            controlsInFlight -= 1
            work.done(origin.pointee.control)
        case .marker: break
        }
        if merges > 0 { unlink(number) }
        if number != oldest { return }
        while oldest < newest, origins[slot(oldest)].isDone { oldest &+= 1 }
        if !pauses.isEmpty { endPauses() }
        takeControls()
    }

    mutating func unlink(_ number: Int64) {
        let origin = origins[slot(number)]
        let bucket = Int(origin.bucket)
        for merge in 0..<merges { advance(bucket, merge, past: number) }
        if origin.before >= 0 { origins.base[slot(origin.before)].after = origin.after }
        if origin.after >= 0 {
            origins.base[slot(origin.after)].before = origin.before
        } else {
            last[bucket] = origin.before
        }
    }

    // MARK: Calls

    /// Makes the calls that are due, and those they lead to.
    mutating func takeControls() {
        // A call may end at once and lead back here; the outer loop continues with what follows, however long that goes on.
        if isTakingControls { return }
        isTakingControls = true
        while true {
            // Nothing with an earlier functional time can arrive any more.
            let watermark = oldest == newest ? Int64.max : origins[slot(oldest)].time
            while let control = work.nextControl(
                watermark: watermark,
                newest: newest &- 1,
                isBusy: controlsInFlight > 0 || nextWaitingControl < controls.count
            ) {
                controls.append(control)
            }
            guard nextWaitingControl < controls.count, controlsInFlight < work.mostCalls,
                controls[nextWaitingControl].after < oldest
            else { break }
            nextWaitingControl += 1
            start(controls[nextWaitingControl - 1])
        }
        if nextWaitingControl > 64, nextWaitingControl * 2 > controls.count {
            controls.removeFirst(nextWaitingControl)
            nextWaitingControl = 0
        }
        isTakingControls = false
    }

    mutating func start(_ control: Control) {
        controlsInFlight += 1
        var classes: UInt64 = 0
        for k in 0..<control.count { classes |= nodes[Int(work.call(control.first &+ k).node)].after }
        // One bucket keeps all calls in order; a key of their own lets any core make them.
        let origin = begin(0, time: control.time, .control, classes)
        origins.base[slot(origin)].key = control.key
        origins.base[slot(origin)].control = control
        // One part stands for the call as a whole, so that it is not done before all have been told.
        origins.base[slot(origin)].jobs = 1
        for k in 0..<control.count { mark(origin: origin, nodes[Int(work.call(control.first &+ k).node)].after) }
        if control.count == 0 { release(origin) } else { tellNext(origin) }
    }

    /// Makes the next call of a control. It reaches its element after everything that the previous call caused.
    mutating func tellNext(_ origin: Int64) {
        let control = origins.base[slot(origin)].control
        let call = work.call(control.first &+ origins.base[slot(origin)].told)
        origins.base[slot(origin)].told &+= 1
        var job = Job()
        job.origin = origin
        job.kind = .control
        job.ref = call.ref
        job.node = call.node
        job.length = UInt32(WorkSummary.callBytes)
        // A call is not charged for entering the side that makes it.
        job.isNew = false
        let j = add(job)
        let isHost = nodes[Int(call.node)].isHost
        if isHost == nodes[Int(control.node)].isHost { enqueue(j) } else { send(j, to: isHost ? .host : .nic) }
    }

    // MARK: Jobs

    /// A new job of an origin; the caller sets its contents.
    mutating func add(_ origin: Int64) -> Int32 {
        let j = freeJobs.take(&jobs)
        jobs.base[Int(j)].origin = origin
        origins.base[slot(origin)].jobs &+= 1
        return j
    }

    mutating func add(_ job: Job) -> Int32 {
        let j = add(job.origin)
        jobs.base[Int(j)] = job
        return j
    }

    mutating func remove(_ j: Int32) {
        let origin = jobs.base[Int(j)].origin
        unpark(j)
        if jobs.base[Int(j)].journey >= 0 { leave(journey: jobs.base[Int(j)].journey) }
        freeJobs.give(j, jobs)
        release(origin)
    }

    /// Drops a job; `classes` are those that it counts in.
    mutating func drop(_ j: Int32, _ reason: Outcome.Drop, _ classes: UInt64) {
        let job = jobs[Int(j)]
        lose(job, reason)
        freePlace(j)
        work.abandon(job)
        unmark(j, classes)
        remove(j)
        admitReady()
    }

    mutating func lose(_ job: Job, _ reason: Outcome.Drop) {
        result.drops[reason.rawValue] &+= 1
        if job.journey >= 0 {
            journeys.base[Int(job.journey)].isDropped = true
        } else {
            origins.base[slot(job.origin)].isDropped = true
        }
    }

    // MARK: Packets that were held

    /// Continues a packet that node `node` has held; its latency continues from the time it had taken to get there.
    mutating func beginJourney(at node: Int32, _ length: UInt32) -> Int32 {
        let k = freeJourneys.take(&journeys)
        let known = heldAfter[place(node, length)]
        journeys[Int(k)] = Journey(arrival: now &- (known >= 0 ? known : heldLast[Int(node)]))
        return k
    }

    /// The place of the time that a packet had taken: by node, and in steps of 16 bytes of length.
    @inline(__always)
    func place(_ node: Int32, _ length: UInt32) -> Int {
        Int(node) &* Simulation.lengths &+ min(Int(length &>> 4), Simulation.lengths &- 1)
    }
    static var lengths: Int { 128 }

    /// Records that one of its items has ended, or a service that worked on one.
    mutating func leave(journey k: Int32) {
        let journey = journeys.base + Int(k)
        journey.pointee.jobs &-= 1
        if journey.pointee.jobs > 0 { return }
        result.finish(journey.pointee)
        freeJourneys.give(k, journeys)
    }
}
