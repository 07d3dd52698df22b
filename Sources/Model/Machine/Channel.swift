// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

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
