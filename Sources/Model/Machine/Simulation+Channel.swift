// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The way of an item between NIC and host: a place in the ring, the DMAs and the link, then delivery, by interrupt if there are
/// any; commands may have a path of their own. The state of each direction is in `Direction` and `DMAEngine`.
extension Simulation where W: ~Copyable {
    /// Sends an item to the other side once the ring has a place for it and all before it. Calls need none.
    mutating func send(_ j: Int32, to side: Side) {
        if let control, !control.isInBand, isCommand(j) { return command(j) }
        let direction = side == .host ? toHost : toNIC
        if direction.pointee.blocked.head >= 0
            || direction.pointee.places >= direction.pointee.ring && jobs.base[Int(j)].kind != .control && !isUnlimited
        {
            direction.pointee.blocked.append(j, jobs.base)
            direction.pointee.tally.stalls &+= 1
            return
        }
        move(j, to: side)
    }

    /// A place in the ring towards `side` is free: sends the items that waited, and restarts its executor when none are left.
    mutating func unblock(_ side: Side) {
        let direction = side == .host ? toHost : toNIC
        if direction.pointee.blocked.head < 0 { return }
        while direction.pointee.places < direction.pointee.ring || isUnlimited,
            let j = direction.pointee.blocked.popFirst(jobs.base)
        {
            move(j, to: side)
        }
        if direction.pointee.blocked.head >= 0 { return }
        let sender = side == .host ? nic : host
        for queue in 0..<sender.pointee.queues.capacity { dispatch(sender, queue) }
    }

    /// Frees the item's place in the ring towards the host.
    mutating func freePlace(_ j: Int32) {
        if !jobs.base[Int(j)].hasPlace { return }
        jobs.base[Int(j)].hasPlace = false
        toHost.pointee.places &-= 1
        unblock(.host)
    }

    mutating func move(_ j: Int32, to side: Side) {
        let job = jobs.base + Int(j)
        let needs = job.pointee.edge < 0 ? .whole : edges[Int(job.pointee.edge)].needs
        // Bytes that stayed on the NIC need not come back.
        let level = side == .host ? needs : min(needs, job.pointee.level)
        let bytes = bytes(job.pointee, level)
        job.pointee.isNew = true
        if side == .host {
            job.pointee.level = level
            let rest = UInt32(Int(job.pointee.length) &- bytes)
            if rest > 0, level < .whole {
                if parked &+ Int64(rest) > parking, !isUnlimited {
                    drop(j, .parkingFull, classes(job.pointee))
                    return
                }
                parked &+= Int64(rest)
                result.parked = max(result.parked, parked)
                job.pointee.parked = rest
            }
        } else {
            job.pointee.level = .whole
        }
        transfer(j, bytes, side == .host ? toHost : toNIC, isUp: side == .host)
    }

    /// The bytes of an item that cross.
    @inline(__always)
    func bytes(_ job: borrowing Job, _ level: Routes.Level) -> Int {
        switch level {
        case .descriptor: 0
        case .headers: min(Int(job.headers), Int(job.length))
        case .whole: Int(job.length)
        }
    }

    /// Frees the parked bytes of an item.
    @inline(__always)
    mutating func unpark(_ j: Int32) {
        parked &-= Int64(jobs.base[Int(j)].parked)
        jobs.base[Int(j)].parked = 0
    }

    /// Moves an item over the link. Each limit is a server with its own queue: an item that waits for one leaves the others
    /// free for those behind it.
    @inline(__always)
    mutating func transfer(
        _ j: Int32,
        _ bytes: Int,
        _ direction: UnsafeMutablePointer<Direction>,
        isUp: Bool
    ) {
        direction.pointee.places &+= 1
        if isUp { jobs.base[Int(j)].hasPlace = true }
        let steps = direction.pointee.nextSteps(link)
        let moved = steps.link + (isUp ? link.write(bytes) : link.read(bytes))
        let (up, down) = ((Int64(moved.up) &* byteTime) &>> 20, (Int64(moved.down) &* byteTime) &>> 20)
        // Descriptors are prefetched: an item waits until the read of one has begun, not until it has arrived.
        var start = now
        if steps.fetched > 0 { start = reads.pointee.begin(start, steps.fetched) }
        if bytes > 0 {
            start = isUp ? writes.pointee.begin(start, bytes) : reads.pointee.begin(start, bytes)
        }
        var last = start
        if steps.writtenBack > 0 {
            // The host sees a packet when it sees its descriptor; nobody waits for the descriptor of a sent packet, which
            // belongs to an earlier one.
            let begun = writes.pointee.begin(isUp ? start : now, steps.writtenBack)
            if isUp { last = begun }
        }
        // Bytes in the other direction occupy the link, but do not delay this transfer.
        let onLink: Int64
        if isUp {
            linkBusy.up &+= up
            linkBusy.down &+= down
            linkFree.up = max(start, linkFree.up) &+ up
            linkFree.down = max(linkFree.down, now) &+ down
            onLink = linkFree.up
        } else {
            linkBusy.up &+= up
            linkBusy.down &+= down
            linkFree.down = max(start, linkFree.down) &+ down
            linkFree.up = max(linkFree.up, now) &+ up
            onLink = linkFree.down
        }
        let latency = (isUp ? writing : reading).latency(of: bytes)
        let delivered = max(direction.pointee.lastDelivery, onLink, last &+ latency)
        direction.pointee.lastDelivery = delivered
        direction.pointee.tally.transfers &+= 1
        direction.pointee.tally.bytes &+= Int64(bytes)
        jobs.base[Int(j)].time = delivered
        direction.pointee.items.append(j, jobs.base)
        if direction.pointee.items.count == 1 { events.plan(.delivery, at: delivered, isUp ? 0 : 1) }
    }

    mutating func deliver(_ side: Side) {
        if side == .host {
            guard let j = toHost.pointee.items.popFirst(jobs.base) else { return }
            if toHost.pointee.items.head >= 0 {
                events.plan(.delivery, at: jobs.base[Int(toHost.pointee.items.head)].time, 0)
            }
            if control != nil, isCommand(j) {
                freePlace(j)
                return command(j)
            }
            guard let interruption else { return enqueue(j) }
            announced.append(j, jobs.base)
            if announced.count >= interruption.after {
                raiseInterrupt()
            } else if announced.count == 1 {
                events.plan(.interrupt, at: now &+ Int64(interruption.within), interrupt)
            }
        } else {
            guard let j = toNIC.pointee.items.popFirst(jobs.base) else { return }
            if toNIC.pointee.items.head >= 0 {
                events.plan(.delivery, at: jobs.base[Int(toNIC.pointee.items.head)].time, 1)
            }
            toNIC.pointee.places &-= 1
            unpark(j)
            unblock(.nic)
            if control != nil, isCommand(j) { command(j) } else { enqueue(j) }
        }
    }

    /// Whether an item crosses by the control path.
    @inline(__always)
    func isCommand(_ j: Int32) -> Bool {
        let edge = jobs.base[Int(j)].edge
        return edge >= 0 && edges[Int(edge)].isControl
    }

    /// The control path takes one command after another; those that find its queue full are lost.
    mutating func command(_ j: Int32) {
        guard let control else { return }
        let start = max(now, controlFree)
        jobs.base[Int(j)].isNew = true
        if start &- now > controlInterval &* Int64(control.queue), !isUnlimited {
            return drop(j, .controlFull, classes(jobs[Int(j)]))
        }
        controlFree = min(start &+ controlInterval, latestTime)
        result.commands &+= 1
        events.plan(.command, at: min(start &+ Int64(control.latency), latestTime), j)
    }

    mutating func raiseInterrupt() {
        interrupt &+= 1
        result.interrupts &+= 1
        if announced.head >= 0 { jobs.base[Int(announced.head)].interrupts = true }
        while let j = announced.popFirst(jobs.base) { enqueue(j) }
    }
}
