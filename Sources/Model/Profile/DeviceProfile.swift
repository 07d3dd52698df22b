// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The numbers of one NIC, one host and the channel between them, each with its source.
///
/// ``FigureType/all`` defines the meaning of each number; profiles are read from it and their pages generated from it.
public struct DeviceProfile: Sendable {
    /// The profile's name.
    public var name = ""
    /// A sentence describing the device.
    public var about = ""
    /// What the profile's numbers leave out, in words; shown in every report.
    public var notModelled: [String] = []
    /// A published price in US dollars; nil if none is given.
    public var price: Int?
    /// The executor of elements on the NIC. A plain NIC has no cores.
    public var nic = ExecutorProfile()
    /// How the NIC handles packets that no element on it handles.
    public var plain = PlainProfile()
    /// The executor of elements on the host.
    public var host = ExecutorProfile()
    /// The NIC's ports.
    public var mac = MACProfile()
    /// The channel between the two.
    public var channel = ChannelProfile()
    /// Every number as written, in the order of declaration.
    public var figures: [Figure] = []

    public init() {}

    /// A number of a profile with its source.
    public struct Figure: Sendable, Equatable {
        /// Its path, for example `nic.cycles.parse`.
        public var path: String
        /// The number as written, with its unit.
        public var value: String
        /// Where the number comes from; begins with `assumption` if nobody measured it.
        public var source: String
        /// Results depend on it and it can be scaled: it is not a choice, a price, free or 0.
        public var isNumber = true

        /// Nobody measured it.
        public var isAssumption: Bool { source.hasPrefix("assumption") }
    }

    /// The numbers that nobody measured; reports list them.
    public var assumptions: [Figure] { figures.filter(\.isAssumption) }

    /// The NIC without elements: its own firmware moves packets between ports and host.
    var plainExecutor: ExecutorProfile {
        var executor = nic
        executor.perItem = plain.perItem
        executor.send = 0
        if executor.cores == 0 {
            executor.cores = 1
            executor.perItem = 0
            executor.queue = Int(Int32.max)
            executor.reorder.places = Int(Int32.max)
        }
        return executor
    }

    /// The executor of one side.
    public func executor(_ side: Side) -> ExecutorProfile { side == .nic ? nic : host }
}

/// The executor of one side.
public struct ExecutorProfile: Sendable, Equatable {
    /// How items are assigned to cores.
    public enum Dispatch: String, Sendable, CaseIterable {
        /// One queue for all cores; a free hardware thread takes the oldest item.
        case shared
        /// A queue per core, selected by a hash of addresses and ports (receive-side scaling).
        case flowHash = "flow_hash"
    }

    /// Cores that run elements.
    public var cores = 1
    /// Hardware threads per core, that is, items whose waits for memory overlap.
    public var threads = 1
    /// Core clock in hertz.
    public var clock = 1_000_000_000
    /// How items are assigned to cores.
    public var dispatch = Dispatch.shared
    /// Cycles per item that enters, in thousandths.
    public var perItem = 0
    /// Cycles per item handed to the channel, in thousandths.
    public var send = 0
    /// Items that may wait for a core: per core with `flow_hash`, overall with `shared`.
    public var queue = 1
    /// Memory for state and buffers of elements, in bytes; nil if not limited.
    public var memory: Int?
    /// Entries of flow tables; nil if not limited.
    public var flows: Int?
    /// Accesses per second that the memory shared by all cores serves; nil if not limited.
    public var memoryRate: Int?
    /// The reorder buffer.
    public var reorder = Reorder()
    /// By ``Operation``.
    public var costs = Array(repeating: OperationCost(cycles: 0), count: Operation.allCases.count)

    public init() {}

    /// The reorder buffer, in which items wait until they are in order.
    public struct Reorder: Sendable, Equatable {
        /// Items that may wait.
        public var places = 1
        /// Cycles per item that has waited, in thousandths.
        public var cycles = 0

        public init() {}
    }

    /// Entries of the table by which a hash selects a core: 128, as in drivers of common NICs, or more if there are more cores
    /// than that. Entry `k` names core `k` modulo ``cores``.
    var indirections: Int {
        var entries = 128
        while entries < cores { entries *= 2 }
        return entries
    }

    /// The share of all items on the core with the most entries, given very many flows.
    var busiestShare: Double {
        dispatch == .shared ? 1 / Double(cores) : Double(ceilDivide(indirections, cores)) / Double(indirections)
    }
}

/// How the NIC handles packets if no element is on it, and payload that stays on it if one is.
public struct PlainProfile: Sendable, Equatable {
    /// Cycles of the NIC's own firmware per packet that no element on the NIC handles, in thousandths.
    public var perItem = 0
    /// Bytes of packets that may be parked on the NIC while only their headers are on the host; nil if none can.
    public var parking: Int?
    /// The NIC splits headers from payload without a program: headers can cross alone even if no element is on it.
    public var splitsHeaders = false

    public init() {}
}

/// The cost of one operation on one side, in thousandths.
public struct OperationCost: Sendable, Equatable {
    /// Cycles in which the core computes.
    public var cycles: Int
    /// Cycles in which the operation waits for memory; other threads of the core may compute meanwhile.
    public var wait: Int
    /// Accesses to the memory limited by `memory_rate`.
    public var accesses: Int

    public init(cycles: Int, wait: Int = 0, accesses: Int = 0) {
        self.cycles = cycles
        self.wait = wait
        self.accesses = accesses
    }
}

/// The ports of the NIC.
public struct MACProfile: Sendable, Equatable {
    /// Ethernet ports; each wire of a graph is one.
    public var ports = 1
    /// Bits per second of each port, in each direction.
    public var lineRate = 10_000_000_000
    /// Packets accepted per second, all ports together.
    public var packetRate = 1
    /// Packets that may wait at the ports if they arrive faster.
    public var buffer = 0
    /// Packets that may wait at each port to be sent.
    public var txQueue = 1

    public init() {}

    /// Bytes that a frame takes on the wire in addition to those in captures: the frame check sequence (4), preamble and start
    /// delimiter (8), and the minimum gap between frames (12). IEEE 802.3, clauses 3 and 4.4.2.
    public static let overhead = 24

    /// Bytes that a captured frame takes on the wire: at least 64 including its frame check sequence, plus 20 around it.
    @inline(__always)
    public static func wireBytes(_ captured: Int) -> Int { max(captured, 60) &+ overhead }

    /// Picoseconds that a captured frame takes on the wire.
    @inline(__always)
    func wireTime(_ captured: Int) -> Int64 {
        scale(Int64(MACProfile.wireBytes(captured)), by: 8 &* picosecondsPerSecond, over: Int64(lineRate))
    }
}

/// The channel between NIC and host.
public struct ChannelProfile: Sendable, Equatable {
    /// One direction: writes of the device to host memory, or reads from it.
    public struct Direction: Sendable, Equatable {
        /// Duration of a DMA of 0 bytes, in picoseconds.
        public var latency = 0
        /// Additional latency per byte, in femtoseconds.
        public var latencyPerByte = 0
        /// Ring size in items: a place is held until the far side has taken the item.
        public var ring = 1
        /// Concurrent DMAs; nil if not limited.
        public var inFlight: Int?
        /// The minimum time between the starts of two DMAs, in picoseconds.
        public var issueInterval = 0

        public init() {}

        /// Duration of a DMA in picoseconds, excluding the link's own time.
        @inline(__always)
        func latency(of bytes: Int) -> Int64 {
            Int64(latency) &+ Int64(bytes) &* Int64(latencyPerByte) / 1_000
        }
    }

    /// Interrupts that notify the host of items, if it does not poll.
    public struct Interrupt: Sendable, Equatable {
        /// Raised after this many items.
        public var after = 1
        /// Raised at the latest this many picoseconds after the first item.
        public var within = 0
        /// Host cycles per interrupt, in thousandths.
        public var cycles = 0

        public init() {}
    }

    /// How commands cross.
    public struct Control: Sendable, Equatable {
        /// Commands per second.
        public var rate = 1
        /// Time from accepting a command until it takes effect, in picoseconds.
        public var latency = 0
        /// Commands that may wait.
        public var queue = 1
        /// Commands cross with the packets, behind them; otherwise on a path of their own.
        public var isInBand = false

        public init() {}
    }

    /// The link, which determines the cost of bytes.
    public var link = PCIeLink(generation: 3, lanes: 8)
    /// How driver and device notify each other of transfers.
    public var driver = DriverModel.simple
    /// From the NIC to the host: DMA writes.
    public var toHost = Direction()
    /// From the host to the NIC: DMA reads.
    public var toNIC = Direction()
    /// Nil if the host polls.
    public var interrupt: Interrupt?
    /// Nil if commands cross like any other item.
    public var control: Control?

    public init() {}
}
