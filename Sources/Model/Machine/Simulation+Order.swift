// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

extension Simulation where W: ~Copyable {
    /// The classes a job counts in until it is served.
    @inline(__always)
    func classes(_ job: borrowing Job) -> UInt64 {
        switch job.kind {
        case .item: return edges[Int(job.edge)].approaching
        case .arrival: return nodes[Int(job.node)].entering
        case .control: return nodes[Int(job.node)].after
        case .marker: return 0
        }
    }

    @inline(__always)
    mutating func mark(_ j: Int32, _ classes: UInt64) { mark(origin: jobs.base[Int(j)].origin, classes) }

    @inline(__always)
    mutating func mark(origin: Int64, _ classes: UInt64) {
        if merges == 0 { return }
        let base = pending.base + slot(origin) &* 2 &* merges
        var rest = classes
        while rest != 0 {
            base[rest.trailingZeroBitCount] &+= 1
            rest &= rest &- 1
        }
    }

    /// Counts a job in the classes of what is still to come, and as the first of them where it is the oldest.
    mutating func expect(_ j: Int32, _ classes: UInt64) {
        if merges == 0 { return }
        mark(j, classes)
        let origin = jobs.base[Int(j)].origin
        let bucket = Int(origins.base[slot(origin)].bucket)
        var rest = classes & 0xaaaa_aaaa_aaaa_aaaa
        while rest != 0 {
            let place = bucket &* merges &+ rest.trailingZeroBitCount &>> 1
            rest &= rest &- 1
            if first[place] < 0 || first[place] > origin { first[place] = origin }
        }
    }

    @inline(__always)
    mutating func unmark(_ j: Int32, _ classes: UInt64) {
        if merges == 0 || classes == 0 { return }
        unmarkSome(jobs.base[Int(j)].origin, classes)
    }

    mutating func unmarkSome(_ origin: Int64, _ classes: UInt64) {
        let base = pending.base + slot(origin) &* 2 &* merges
        let bucket = Int(origins.base[slot(origin)].bucket)
        var rest = classes
        while rest != 0 {
            let k = rest.trailingZeroBitCount
            rest &= rest &- 1
            base[k] &-= 1
            if base[k] > 0 { continue }
            let merge = k &>> 1
            if k & 1 == 1 { advance(bucket, merge, past: origin) }
            if waiting.base[bucket &* merges &+ merge].head >= 0 { woken.append((bucket, merge)) }
        }
    }

    /// Advances `first` past `origin`, if it is there: that origin can no longer arrive.
    mutating func advance(_ bucket: Int, _ merge: Int, past origin: Int64) {
        let at = bucket &* merges &+ merge
        if first[at] != origin { return }
        var next = origins[slot(origin)].after
        while next >= 0, pending[slot(next) &* 2 &* merges &+ 2 &* merge &+ 1] == 0 {
            next = origins[slot(next)].after
        }
        first[at] = next
        if waiting.base[at].head >= 0 { woken.append((bucket, merge)) }
    }

    /// Whether a job at a merge point must wait for a marker, or for an older or earlier one; `own` of its own origin are
    /// itself.
    func isBlocked(_ job: borrowing Job, _ merge: Int, own: Int32) -> Bool {
        let (awaited, origin) = (job.awaited, job.origin)
        if awaited >= 0, markers[awaited] != nil { return true }
        if pending[slot(origin) &* 2 &* merges &+ 2 &* merge] > own { return true }
        let oldestThere = first[Int(origins.base[slot(origin)].bucket) &* merges &+ merge]
        return oldestThere >= 0 && oldestThere < origin
    }

    /// Makes an item at a merge point wait if it must; true then, or if there is no room for it.
    mutating func mustWait(_ j: Int32, at merge: Int, _ executor: UnsafeMutablePointer<Executor>) -> Bool {
        let bucket = Int(origins.base[slot(jobs.base[Int(j)].origin)].bucket)
        if waiting.base[bucket &* merges &+ merge].head < 0, !isBlocked(jobs[Int(j)], merge, own: 1) { return false }
        wait(j, at: merge, executor)
        return true
    }

    /// Puts an item in the reorder buffer of its side, or drops it if that is full. It then counts as arrived.
    mutating func wait(_ j: Int32, at merge: Int, _ executor: UnsafeMutablePointer<Executor>) {
        let job = jobs.base + Int(j)
        if executor.pointee.reordering >= executor.pointee.reorderLimit, !isUnlimited {
            return drop(j, executor == nic ? .nicReorderFull : .hostReorderFull, classes(job.pointee))
        }
        executor.pointee.reordering &+= 1
        result.reordered &+= 1
        job.pointee.isWaiting = true
        let bucket = Int(origins.base[slot(job.pointee.origin)].bucket)
        insert(j, into: waiting.base + (bucket &* merges &+ merge), byOrigin: true)
        if job.pointee.awaited >= 0 { markers[job.pointee.awaited]?.append((bucket, merge)) }
        unmark(j, passed(job.pointee))
        woken.append((bucket, merge))
    }

    /// The classes that a waiting item no longer counts in: its merge point, and where markers wait for returning items. It may
    /// itself wait for such a marker.
    @inline(__always)
    func passed(_ job: borrowing Job) -> UInt64 {
        let edge = edges[Int(job.edge)]
        return edge.approaching & ~nodes[Int(job.node)].after | edge.approaching & edge.returning
    }

    /// Queues the items that no longer need to wait.
    mutating func admitReady() {
        if isAdmitting || woken.isEmpty { return }
        isAdmitting = true
        while let (bucket, merge) = woken.popLast() {
            let at = bucket &* merges &+ merge
            while waiting.base[at].head >= 0 {
                if isBlocked(jobs[Int(waiting.base[at].head)], merge, own: 0) { break }
                admit(at, bucket)
            }
        }
        isAdmitting = false
    }

    /// Lets the first item of a list continue.
    mutating func admit(_ at: Int, _ bucket: Int) {
        guard let j = waiting.base[at].popFirst(jobs.base) else { return }
        let job = jobs.base + Int(j)
        if job.pointee.kind == .marker {
            job.pointee.passed |= 1 &<< UInt32(truncatingIfNeeded: at &- bucket &* merges)
            return enqueue(j)
        }
        // Until it is served it counts as still to come, so that none passes it in the queue.
        expect(j, passed(job.pointee))
        job.pointee.isAdmitted = true
        job.pointee.awaited = -1
        enqueue(j)
    }

    /// When nothing else can happen, the waiting items wait for each other, as markers of several tables on one slow path may:
    /// lets the oldest marker continue, or the oldest item if there is none. False if nothing waits.
    mutating func goesOn() -> Bool {
        if merges == 0 || oldest == newest { return false }
        var found: (job: Int32, at: Int)?
        for at in 0..<waiting.capacity {
            var j = waiting[at].head
            while j >= 0 {
                let (job, best) = (jobs[Int(j)], found.map { jobs[Int($0.job)] })
                if best == nil || job.isBefore(best!) {
                    found = (j, at)
                }
                j = job.next
            }
        }
        guard let found else { return false }
        result.forced &+= 1
        waiting.base[found.at].remove(found.job, jobs.base)
        waiting.base[found.at].prepend(found.job, jobs.base)
        admit(found.at, found.at / merges)
        admitReady()
        return true
    }

    // MARK: Markers

    /// Sends a marker behind everything its element has released so far, along the path of packets on the slow path.
    mutating func sendMarker(_ number: Int64, from table: Int32, of origin: Int64) -> Int32 {
        markers[number] = []
        var job = Job()
        // With the key that its packets came in by, it takes their queues and keeps their order.
        let (key, time) = (origins[slot(origin)].key, origins[slot(origin)].time)
        job.origin = begin(key, time: time, .marker, 0)
        job.kind = .marker
        job.ref = Int32(truncatingIfNeeded: number)
        job.node = nodes[Int(table)].far
        job.table = table
        job.length = UInt32(WorkSummary.callBytes)
        return add(job)
    }

    /// Serves a marker: on the far side it turns back, at its table it waits until nothing older can return. True if it is
    /// through.
    mutating func serveMarker(
        _ j: Int32,
        _ cost: inout Cost,
        _ out: inout List,
        _ executor: UnsafeMutablePointer<Executor>
    )
        -> Bool
    {
        let job = jobs.base + Int(j)
        if job.pointee.isNew { cost.compute &+= executor.pointee.perItem }
        if job.pointee.interrupts { cost.compute &+= interruptTime }
        job.pointee.isNew = false
        job.pointee.interrupts = false
        if job.pointee.node != job.pointee.table {
            cost.compute &+= executor.pointee.send
            job.pointee.node = job.pointee.table
            out.append(j, jobs.base)
            return false
        }
        let bucket = Int(origins.base[slot(job.pointee.origin)].bucket)
        var rest = nodes[Int(job.pointee.table)].returns & ~job.pointee.passed
        while rest != 0 {
            let merge = rest.trailingZeroBitCount
            rest &= rest &- 1
            let at = bucket &* merges &+ merge
            if waiting.base[at].head >= 0 || isBlocked(job.pointee, merge, own: 0) {
                insert(j, into: waiting.base + at, byOrigin: true)
                woken.append((bucket, merge))
                return false
            }
        }
        return true
    }

    /// A marker has returned: jobs that waited for it may continue.
    mutating func markerReturned(_ number: Int64) {
        result.markers &+= 1
        if let places = markers.removeValue(forKey: number) { woken.append(contentsOf: places) }
    }

    // MARK: Lists

    mutating func insert(_ j: Int32, into list: UnsafeMutablePointer<List>, byOrigin: Bool) {
        let base = jobs.base
        func precedes(_ x: Int32, _ y: Int32) -> Bool {
            let (a, b) = (base + Int(x), base + Int(y))
            if byOrigin, a.pointee.origin != b.pointee.origin { return a.pointee.origin < b.pointee.origin }
            return a.pointee.order < b.pointee.order
        }
        let tail = list.pointee.tail
        if tail < 0 || !precedes(j, tail) {
            list.pointee.append(j, base)
            return
        }
        var before: Int32 = -1
        var at = list.pointee.head
        while !precedes(j, at) {
            before = at
            at = base[Int(at)].next
        }
        base[Int(j)].next = at
        if before < 0 { list.pointee.head = j } else { base[Int(before)].next = j }
        list.pointee.count &+= 1
    }
}
