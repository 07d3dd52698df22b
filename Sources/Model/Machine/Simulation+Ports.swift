// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

extension Simulation where W: ~Copyable {
    /// The next packet starts to arrive at its port, which receives one frame after another.
    mutating func arrive() {
        result.offered &+= 1
        if result.offered == 1 { result.start = now }
        guard let (arrived, key, time) = work.arrive() else {
            result.drops[Outcome.Drop.noItems.rawValue] &+= 1
            return
        }
        let node = nodes[Int(arrived.node)]
        let wireTime = mac.wireTime(Int(arrived.length))
        let end = min(max(now, rxFree[Int(node.wire)]) &+ wireTime, latestTime)
        rxFree[Int(node.wire)] = end
        rxBusy[Int(node.wire)] &+= wireTime
        var job = arrived
        job.origin = begin(key, time: time, .packet, 0)
        let j = add(job)
        jobs.base[Int(j)].time = end
        receiving.base[Int(node.wire)].append(j, jobs.base)
        if end < nextReceived {
            nextReceived = end
            nextWire = Int(node.wire)
        }
    }

    /// A port has received a whole frame; packets beyond the MAC's rate wait, or are lost.
    mutating func receive() {
        guard let j = receiving.base[nextWire].popFirst(jobs.base) else { return }
        nextReceived = .max
        for wire in 0..<receiving.capacity where receiving[wire].head >= 0 {
            let time = jobs.base[Int(receiving[wire].head)].time
            if time < nextReceived {
                nextReceived = time
                nextWire = wire
            }
        }
        origins.base[slot(jobs.base[Int(j)].origin)].arrival = now
        // Nothing in the machine, no marker either, waits for a frame that is still on the wire.
        expect(j, classes(jobs[Int(j)]))
        let begin = max(now, macFree)
        if begin &- now > macSlack, !isUnlimited {
            drop(j, .macRate, classes(jobs[Int(j)]))
            return
        }
        macFree = begin &+ macInterval
        if begin == now {
            admitArrival(j)
        } else {
            macWaiting.append(j, jobs.base)
            events.plan(.macDone, at: begin, 0)
        }
    }

    /// Queues a packet that has arrived, unless it or one before it with its key waits for everything older.
    mutating func admitArrival(_ j: Int32) {
        let job = jobs[Int(j)]
        let key = origins.base[slot(job.origin)].key
        if let k = pauses.firstIndex(where: { $0.key == key }) {
            pauses[k].waiting.append(j, jobs.base)
        } else if job.waitsForAll, oldest < job.origin {
            var waiting = List()
            waiting.append(j, jobs.base)
            pauses.append((key, job.origin, waiting))
        } else {
            enqueue(j)
        }
    }

    /// Queues the packets that waited for everything older, if that is through.
    mutating func endPauses() {
        while let k = pauses.firstIndex(where: { $0.until <= oldest }) {
            var waiting = pauses.remove(at: k).waiting
            while let j = waiting.popFirst(jobs.base) { enqueue(j) }
        }
    }

    /// Sends a frame from a port, after waiting if necessary; its time is when its last bit leaves.
    mutating func transmit(_ j: Int32) {
        let job = jobs[Int(j)]
        let wire = Int(nodes[Int(job.node)].wire)
        let places = txLeaves.base + wire &* mac.txQueue
        // The most that may wait, plus the one on the wire, have not left.
        if places[txOldest[wire]] > now, !isUnlimited {
            lose(job, .portTxFull)
            if work.awaitsSending { work.abandon(job) }
        } else {
            let wireTime = mac.wireTime(Int(job.length))
            let start = max(now, txFree[wire])
            txFree[wire] = min(start &+ wireTime, latestTime)
            txBusy[wire] &+= wireTime
            places[txOldest[wire]] = start
            txOldest[wire] = txOldest[wire] &+ 1 == mac.txQueue ? 0 : txOldest[wire] &+ 1
            if job.journey >= 0 {
                let journey = journeys.base + Int(job.journey)
                journey.pointee.emitted = max(journey.pointee.emitted, txFree[wire])
            } else {
                let origin = origins.base + slot(job.origin)
                origin.pointee.emitted = max(origin.pointee.emitted, txFree[wire])
            }
            if work.awaitsSending { return events.plan(.wireOut, at: txFree[wire], j) }
        }
        remove(j)
    }

    /// The last bit of a frame has left, so anyone waiting for it may answer.
    mutating func sent(_ j: Int32) {
        work.sent(jobs[Int(j)], at: now)
        remove(j)
        takeControls()
    }
}
