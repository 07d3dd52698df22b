// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

extension Simulation where W: ~Copyable {
    mutating func enqueue(_ j: Int32) {
        if nodes[Int(jobs.base[Int(j)].node)].isHost {
            enqueue(j, host, .hostQueueFull)
        } else {
            enqueue(j, nic, .nicQueueFull)
        }
    }

    @inline(__always)
    mutating func enqueue(_ j: Int32, _ executor: UnsafeMutablePointer<Executor>, _ reason: Outcome.Drop) {
        let job = jobs.base + Int(j)
        let queue = executor.pointee.queue(origins.base[slot(job.pointee.origin)].key)
        // Jobs that waited for their turn have already been admitted, and calls and markers must not be lost.
        if executor.pointee.queues[queue].count >= executor.pointee.limit, job.pointee.isNew, !job.pointee.isAdmitted,
            job.pointee.kind != .control, job.pointee.kind != .marker, !isUnlimited
        {
            drop(j, reason, classes(job.pointee))
            return
        }
        executor.pointee.queues.base[queue].append(j, jobs.base)
        dispatch(executor, queue)
    }

    /// Starts services as long as items wait and threads are free.
    mutating func dispatch(_ executor: UnsafeMutablePointer<Executor>, _ queue: Int) {
        if isDispatching {
            unserved.append((executor, queue))
            return
        }
        isDispatching = true
        serveAll(executor, queue)
        while let (executor, queue) = unserved.popLast() { serveAll(executor, queue) }
        isDispatching = false
    }

    mutating func serveAll(_ executor: UnsafeMutablePointer<Executor>, _ queue: Int) {
        let outwards = executor == nic ? toHost : toNIC
        while executor.pointee.queues[queue].head >= 0, outwards.pointee.blocked.head < 0,
            let core = executor.pointee.takeThread(queue)
        {
            guard let j = executor.pointee.queues.base[queue].popFirst(jobs.base) else { break }
            serve(j, executor, core)
        }
    }

    mutating func serve(_ j: Int32, _ executor: UnsafeMutablePointer<Executor>, _ core: Int) {
        let origin = jobs.base[Int(j)].origin
        freePlace(j)
        // The service itself is part of the origin's work until it ends.
        origins.base[slot(origin)].jobs &+= 1
        var cost = Cost()
        var out = List()
        var sent = List()
        var visits = 0
        work.beginService()
        worklist.pointee.append(j, jobs.base)
        while let v = worklist.pointee.popFirst(jobs.base) {
            let job = jobs.base + Int(v)
            let node = nodes[Int(job.pointee.node)]
            if job.pointee.kind == .item, !job.pointee.isAdmitted {
                let merge = Int(edges[Int(job.pointee.edge)].merge)
                if merge >= 0, mustWait(v, at: merge, executor) { continue }
            }
            if job.pointee.isWaiting {
                job.pointee.isWaiting = false
                executor.pointee.reordering &-= 1
                cost.compute &+= executor.pointee.reorderTime
            }
            if job.pointee.kind == .marker {
                visits &+= 1
                if serveMarker(v, &cost, &out, executor) {
                    let number = Int64(job.pointee.ref)
                    _ = work.visit(job, &cost)
                    if let next = work.takeMarker() {
                        out.append(sendMarker(next, from: job.pointee.table, of: origin), jobs.base)
                        cost.compute &+= executor.pointee.send
                    }
                    markerReturned(number)
                    remove(v)
                }
                continue
            }
            if job.pointee.isNew { cost.compute &+= executor.pointee.perItem }
            if job.pointee.interrupts { cost.compute &+= interruptTime }
            visits &+= 1
            let isItem = job.pointee.kind == .item
            let at = job.pointee.node
            let before = merges == 0 ? 0 : classes(job.pointee)
            let level = job.pointee.level
            let parked = job.pointee.parked
            let journey = job.pointee.journey
            if journey >= 0 {
                journeys.base[Int(journey)].jobs &+= 1
                travelling.append(journey)
            }
            let n = work.visit(job, &cost)
            if work.awaited >= 0 {
                job.pointee.awaited = work.awaited
                job.pointee.isNew = false
                job.pointee.interrupts = false
                wait(v, at: Int(edges[Int(job.pointee.edge)].merge), executor)
                continue
            }
            var isParked = false
            let isHeld = work.holds
            if isHeld { hold(v) }
            for k in 0..<n {
                let child = work.children[k]
                let edge = edges[Int(child.edge)]
                // The last child reuses the job that produced it.
                let next = k == n &- 1 ? v : add(origin)
                jobs.base[Int(next)].become(child, at: edge.to, child.isSame ? level : .whole)
                if child.isSame, parked > 0 {
                    jobs.base[Int(next)].parked = parked
                    isParked = true
                }
                var way = journey
                if child.isReleased {
                    way = beginJourney(at: at, child.length)
                    resume(next, executor == host ? node.arriving : .whole, from: at)
                }
                if way >= 0 {
                    jobs.base[Int(next)].journey = way
                    journeys.base[Int(way)].jobs &+= 1
                }
                mark(next, edge.approaching)
                if edge.crosses {
                    cost.compute &+= executor.pointee.send
                    out.append(next, jobs.base)
                    if edge.isSlow { result.slowPath &+= 1 }
                } else {
                    insert(next, into: worklist, byOrigin: false)
                }
            }
            if let marker = work.takeMarker() {
                cost.compute &+= executor.pointee.send
                out.append(sendMarker(marker, from: at, of: origin), jobs.base)
            }
            if before != 0 { unmarkSome(origin, before) }
            // Nobody has the packet any more, so nobody will ask for the rest of it.
            if parked > 0, n > 0, !isParked, !isHeld { self.parked &-= Int64(parked) }
            // The last child has reused the job.
            if journey >= 0, n > 0 { leave(journey: journey) }
            if n == 0 {
                if node.wire >= 0, isItem { sent.append(v, jobs.base) } else { remove(v) }
            }
        }
        if visits == 0 {
            executor.pointee.giveThread(core)
            release(origin)
            admitReady()
            return
        }
        let end = executor.pointee.serve(core, now, cost)
        // Two items of a flow leave in the order in which they started, never at the same time.
        let bucket = Int(origins.base[slot(origin)].bucket)
        let leaves = max(end, executor.pointee.lastLeave[bucket] &+ 1)
        executor.pointee.lastLeave[bucket] = leaves
        origins.base[slot(origin)].lastWork = max(origins.base[slot(origin)].lastWork, leaves)
        while let k = travelling.popLast() {
            journeys.base[Int(k)].lastWork = max(journeys.base[Int(k)].lastWork, leaves)
            leave(journey: k)
        }
        while let (node, length, arrival) = holding.popLast() {
            heldAfter[place(node, length)] = leaves &- arrival
            heldLast[Int(node)] = leaves &- arrival
        }
        let s = addService(
            Service(
                origin: origin,
                out: out,
                sent: sent,
                core: Int32(core),
                isHost: executor == host,
                leaves: leaves
            )
        )
        events.plan(.serviceEnd, at: end, s)
        admitReady()
    }

    /// The element holds the packet: the rest of its path becomes a journey, and its parked bytes stay on the NIC.
    mutating func hold(_ j: Int32) {
        let job = jobs.base + Int(j)
        let origin = origins.base + slot(job.pointee.origin)
        if job.pointee.journey >= 0 {
            journeys.base[Int(job.pointee.journey)].isHeld = true
            holding.append((job.pointee.node, job.pointee.length, journeys[Int(job.pointee.journey)].arrival))
        } else {
            origin.pointee.isHeld = true
            holding.append((job.pointee.node, job.pointee.length, origin.pointee.arrival))
        }
        // A packet that returns whole is not parked any more.
        if nodes[Int(job.pointee.node)].arriving == .whole { return unpark(j) }
        heldParked[Int(job.pointee.node)] &+= Int64(job.pointee.parked)
        job.pointee.parked = 0
    }

    /// Bytes that were not on the host when node `node` held the packet still wait on the NIC; for packets held before the
    /// replay none do.
    mutating func resume(_ j: Int32, _ level: Routes.Level, from node: Int32) {
        let job = jobs.base + Int(j)
        job.pointee.level = level
        if level == .whole { return }
        let rest = min(Int64(job.pointee.length) &- Int64(bytes(job.pointee, level)), heldParked[Int(node)])
        heldParked[Int(node)] &-= rest
        job.pointee.parked = UInt32(rest)
    }

    mutating func addService(_ service: Service) -> Int32 {
        let s = freeServices.take(&services)
        services.base[Int(s)] = service
        return s
    }

    mutating func serviceEnded(_ s: Int32) {
        let service = services[Int(s)]
        let executor = service.isHost ? host : nic
        if service.leaves > now {
            events.plan(.leave, at: service.leaves, s)
            if executor.pointee.reordering >= executor.pointee.reorderLimit, !isUnlimited {
                services.base[Int(s)].keepsThread = true
                return
            }
            executor.pointee.reordering &+= 1
            services.base[Int(s)].hasPlace = true
        } else {
            leave(s)
        }
        executor.pointee.giveThread(Int(service.core))
        dispatch(executor, executor.pointee.isShared ? 0 : Int(service.core))
    }

    /// The items that a service released leave its side.
    mutating func leave(_ s: Int32) {
        var service = services[Int(s)]
        freeServices.give(s, services)
        let executor = service.isHost ? host : nic
        if service.hasPlace { executor.pointee.reordering &-= 1 }
        while let j = service.out.popFirst(jobs.base) {
            send(j, to: service.isHost ? .nic : .host)
        }
        while let j = service.sent.popFirst(jobs.base) { transmit(j) }
        release(service.origin)
        admitReady()
        if service.keepsThread {
            executor.pointee.giveThread(Int(service.core))
            dispatch(executor, executor.pointee.isShared ? 0 : Int(service.core))
        }
    }
}
