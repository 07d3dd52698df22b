// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Histogram

/// The counts of one run of the model.
public struct Outcome: Sendable {
    /// Why an item was lost between elements.
    public enum Drop: Int, CaseIterable, Sendable {
        case macRate
        case nicQueueFull
        case hostQueueFull
        case parkingFull
        case portTxFull
        case noItems
        case nicReorderFull
        case hostReorderFull
        case controlFull

        /// The name in reports.
        public var name: String {
            switch self {
            case .macRate: "mac_rate"
            case .nicQueueFull: "nic_queue_full"
            case .hostQueueFull: "host_queue_full"
            case .parkingFull: "parking_full"
            case .portTxFull: "port_tx_full"
            case .noItems: "no_items"
            case .nicReorderFull: "nic_reorder_full"
            case .hostReorderFull: "host_reorder_full"
            case .controlFull: "control_full"
            }
        }

        /// The place that was full, for sentences.
        public var place: String {
            switch self {
            case .macRate: "MAC buffer"
            case .nicQueueFull: "NIC queue"
            case .hostQueueFull: "host queue"
            case .parkingFull: "parking buffer"
            case .portTxFull: "port tx queue"
            case .noItems: "pool"
            case .nicReorderFull: "NIC reorder buffer"
            case .hostReorderFull: "host reorder buffer"
            case .controlFull: "control path"
            }
        }
    }

    /// The work of one executor.
    public struct ExecutorTally: Sendable, Equatable {
        /// Picoseconds that each core computed.
        public internal(set) var busy: [Int64]
        /// Picoseconds of waits for memory that other threads could use.
        public internal(set) var waited: Int64 = 0
        /// Picoseconds the memory behind all cores was busy.
        public internal(set) var memoryBusy: Int64 = 0
        /// Number of services: stays of an item on a thread.
        public internal(set) var services: UInt64 = 0

        init(cores: Int) { busy = Array(repeating: 0, count: cores) }
    }

    /// The traffic in one direction of the channel.
    public struct DirectionTally: Sendable, Equatable {
        /// Items that found the ring full and waited, stalling their executor.
        public internal(set) var stalls: UInt64 = 0
        /// Items moved.
        public internal(set) var transfers: UInt64 = 0
        /// Their bytes; 0 for those of which only a descriptor crossed.
        public internal(set) var bytes: Int64 = 0
        /// DMAs of this direction: writes to host memory, or reads from it, including those of descriptors.
        public internal(set) var dmas: UInt64 = 0
        /// Their bytes.
        public internal(set) var dmaBytes: Int64 = 0
    }

    /// Packets that arrived.
    public internal(set) var offered: UInt64 = 0
    /// Packets of which nothing was lost.
    public internal(set) var completed: UInt64 = 0
    /// Items lost, by ``Drop``.
    public internal(set) var drops: [UInt64]
    /// The work of the NIC's cores.
    public internal(set) var nic: ExecutorTally
    /// The work of the host's cores.
    public internal(set) var host: ExecutorTally
    /// Traffic from the NIC to the host.
    public internal(set) var toHost = DirectionTally()
    /// Traffic from the host to the NIC.
    public internal(set) var toNIC = DirectionTally()
    /// Picoseconds that ports spent receiving frames, summed over all ports.
    public internal(set) var rxBusy: Int64 = 0
    /// Picoseconds that ports spent sending frames, summed over all ports.
    public internal(set) var txBusy: Int64 = 0
    /// Picoseconds that the busiest receiving port spent receiving.
    public internal(set) var busiestRx: Int64 = 0
    /// Picoseconds that the busiest sending port spent sending.
    public internal(set) var busiestTx: Int64 = 0
    /// Picoseconds the link carried bytes, from the NIC to the host and back.
    public internal(set) var linkBusy: (up: Int64, down: Int64) = (0, 0)
    /// Commands that crossed by the control path.
    public internal(set) var commands: UInt64 = 0
    /// Items that entered a slow path, to the other side and back.
    public internal(set) var slowPath: UInt64 = 0
    /// Markers that travelled a slow path and returned.
    public internal(set) var markers: UInt64 = 0
    /// Items that had to wait in a reorder buffer.
    public internal(set) var reordered: UInt64 = 0
    /// Items released out of order, since they and those they waited for waited for each other.
    public internal(set) var forced: UInt64 = 0
    /// Interrupts raised.
    public internal(set) var interrupts: UInt64 = 0
    /// The most bytes parked on the NIC at one time.
    public internal(set) var parked: Int64 = 0
    /// Virtual time of the first arrival, in picoseconds.
    public internal(set) var start: Int64 = 0
    /// Virtual time of the end, in picoseconds.
    public internal(set) var end: Int64 = 0
    /// Time from arrival to the last work on a packet, in picoseconds: its emission, if it is emitted.
    ///
    /// Excludes the time for which an element holds an item on purpose: that is functional and does not depend on the load.
    /// Packets of which something was dropped are left out.
    public internal(set) var latency = Histogram<UInt64>(
        lowestDiscernibleValue: 1,
        highestTrackableValue: Outcome.longestLatency,
        numberOfSignificantValueDigits: .three
    )

    /// 100 s; longer latencies are capped to this.
    static let longestLatency: UInt64 = 100_000_000_000_000

    init(nicCores: Int, hostCores: Int) {
        drops = Array(repeating: 0, count: Drop.allCases.count)
        nic = ExecutorTally(cores: nicCores)
        host = ExecutorTally(cores: hostCores)
    }

    /// Items lost, over all reasons.
    public var dropped: UInt64 { drops.reduce(0, +) }

    mutating func finish(_ origin: OriginState) {
        if origin.isDropped { return }
        completed &+= 1
        if !origin.isHeld { record(origin.arrival, origin.emitted, origin.lastWork) }
    }

    /// The packet was counted as completed when it was held.
    mutating func finish(_ journey: Journey) {
        if journey.isHeld { return }
        if journey.isDropped {
            if completed > 0 { completed &-= 1 }
        } else {
            record(journey.arrival, journey.emitted, journey.lastWork)
        }
    }

    private mutating func record(_ arrival: Int64, _ emitted: Int64, _ lastWork: Int64) {
        let end = emitted >= 0 ? emitted : lastWork
        latency.record(min(UInt64(max(0, end &- arrival)), Outcome.longestLatency))
    }
}
