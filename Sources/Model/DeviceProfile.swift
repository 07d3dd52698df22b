// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The numbers of one NIC, one host and the channel between them, each with its source.
public struct DeviceProfile: Sendable {
    /// The profile's name.
    public var name: String
    /// What it describes, in a sentence.
    public var about: String
    /// What the profile's numbers leave out, in words; shown in every report.
    public var notModelled: [String]
    /// What runs elements on the NIC.
    public var nic: ExecutorProfile
    /// What runs elements on the host.
    public var host: ExecutorProfile
    /// The NIC's ports.
    public var mac: MACProfile
    /// The way between the two.
    public var channel: ChannelProfile
    /// Every number as written, in the order of the file.
    public var figures: [Figure]

    /// A number of a profile with its source.
    public struct Figure: Sendable, Equatable {
        /// Where it stands, for example `nic.cycles.parse`.
        public var path: String
        /// The number as written, with its unit.
        public var value: String
        /// Where the number is from; begins with `assumption` when nobody measured it.
        public var source: String

        /// Nobody measured it.
        public var isAssumption: Bool { source.hasPrefix("assumption") }
    }

    /// The numbers that nobody measured; reports list them.
    public var assumptions: [Figure] { figures.filter(\.isAssumption) }

    /// The executor of one side.
    public func executor(_ side: Side) -> ExecutorProfile { side == .nic ? nic : host }
}

/// What runs the elements of one side.
public struct ExecutorProfile: Sendable, Equatable {
    /// How items are given to cores.
    public enum Dispatch: String, Sendable, CaseIterable {
        /// One queue for all cores; a free hardware thread takes the oldest item.
        case shared
        /// A queue for each core; the hash of addresses and ports chooses.
        case flowHash = "flow_hash"
    }

    /// Cores that run elements.
    public var cores: Int
    /// Hardware threads of each core: items whose waits for memory overlap.
    public var threads: Int
    /// Core clock in hertz.
    public var clock: Int
    /// How items are given to cores.
    public var dispatch: Dispatch
    /// Cycles for each item that enters, in thousandths.
    public var perItem: Int
    /// Cycles for each item handed to the channel, in thousandths.
    public var send: Int
    /// Items that may wait for a core: for each core with `flow_hash`, for all with `shared`.
    public var queue: Int
    /// Bytes for state of elements; nil when not limited.
    public var memory: Int?
    /// Entries of flow tables; nil when not limited.
    public var flows: Int?
    /// Accesses per second the memory behind all cores serves; nil when not limited.
    public var memoryRate: Int?
    /// By ``Operation``.
    public var costs: [OperationCost]
}

/// What one operation costs on one side, in thousandths.
public struct OperationCost: Sendable, Equatable {
    /// Cycles in which the core computes.
    public var cycles: Int
    /// Cycles in which the operation waits for memory; other threads of the core may compute meanwhile.
    public var wait: Int
    /// Accesses to the memory that `memory_rate` limits.
    public var accesses: Int

    public init(cycles: Int, wait: Int = 0, accesses: Int = 0) {
        self.cycles = cycles
        self.wait = wait
        self.accesses = accesses
    }
}

/// The ports of the NIC.
public struct MACProfile: Sendable, Equatable {
    /// Packets per second taken in, all ports together.
    public var packetRate: Int
    /// Packets that may wait at the ports when they come faster.
    public var buffer: Int
}

/// The way between NIC and host.
public struct ChannelProfile: Sendable, Equatable {
    /// One direction.
    public struct Direction: Sendable, Equatable {
        /// From the start of a transfer of 0 bytes to its end, in picoseconds.
        public var latency: Int
        /// What each byte adds to the latency, in femtoseconds.
        public var latencyPerByte: Int
        /// Items between the sender and the taker: a place is held until the far side has taken the item.
        public var ring: Int
        /// Transfers under way at one time; nil when not limited.
        public var inFlight: Int?
        /// The least time between the starts of two transfers, in picoseconds.
        public var issueInterval: Int
    }

    /// How the host learns of items.
    public enum Notification: Sendable, Equatable {
        /// It looks all the time.
        case polling
        /// By an interrupt after so many items, or so many picoseconds after the first; it takes cycles (thousandths).
        case interrupt(after: Int, within: Int, cycles: Int)
    }

    /// The link, which decides what bytes cost.
    public var link: PCIeLink
    /// How driver and device tell each other of transfers.
    public var driver: DriverModel
    /// From the NIC to the host.
    public var toHost: Direction
    /// From the host to the NIC.
    public var toNIC: Direction
    /// How the host learns of items.
    public var notification: Notification
}
