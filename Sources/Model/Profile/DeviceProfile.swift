// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The numbers of one NIC, one host and the channel between them, each with its source.
///
/// What each number means stands in ``FigureType/all``, from which profiles are read and their pages are made.
public struct DeviceProfile: Sendable {
    /// The profile's name.
    public var name = ""
    /// What it describes, in a sentence.
    public var about = ""
    /// What the profile's numbers leave out, in words; shown in every report.
    public var notModelled: [String] = []
    /// A published price in US dollars; nil when none is given.
    public var price: Int?
    /// What runs elements on the NIC. A plain NIC has no cores.
    public var nic = ExecutorProfile()
    /// What the NIC does with packets that no element on it handles.
    public var plain = PlainProfile()
    /// What runs elements on the host.
    public var host = ExecutorProfile()
    /// The NIC's ports.
    public var mac = MACProfile()
    /// The way between the two.
    public var channel = ChannelProfile()
    /// Every number as written, in the order in which they are declared.
    public var figures: [Figure] = []

    public init() {}

    /// A number of a profile with its source.
    public struct Figure: Sendable, Equatable {
        /// Where it stands, for example `nic.cycles.parse`.
        public var path: String
        /// The number as written, with its unit.
        public var value: String
        /// Where the number is from; begins with `assumption` when nobody measured it.
        public var source: String
        /// It is a number that results depend on and that can be scaled: no choice, no price, not free and not 0.
        public var isNumber = true

        /// Nobody measured it.
        public var isAssumption: Bool { source.hasPrefix("assumption") }
    }

    /// The numbers that nobody measured; reports list them.
    public var assumptions: [Figure] { figures.filter(\.isAssumption) }

    /// The NIC where no element is on it: its own firmware moves packets between ports and host.
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

/// What runs the elements of one side.
public struct ExecutorProfile: Sendable, Equatable {
    /// How items are given to cores.
    public enum Dispatch: String, Sendable, CaseIterable {
        /// One queue for all cores; a free hardware thread takes the oldest item.
        case shared
        /// A queue for each core; the hash of addresses and ports chooses (receive-side scaling).
        case flowHash = "flow_hash"
    }

    /// Cores that run elements.
    public var cores = 1
    /// Hardware threads of each core: items whose waits for memory overlap.
    public var threads = 1
    /// Core clock in hertz.
    public var clock = 1_000_000_000
    /// How items are given to cores.
    public var dispatch = Dispatch.shared
    /// Cycles for each item that enters, in thousandths.
    public var perItem = 0
    /// Cycles for each item handed to the channel, in thousandths.
    public var send = 0
    /// Items that may wait for a core: for each core with `flow_hash`, for all with `shared`.
    public var queue = 1
    /// Bytes for state and buffers of elements; nil when not limited.
    public var memory: Int?
    /// Entries of flow tables; nil when not limited.
    public var flows: Int?
    /// Accesses per second the memory behind all cores serves; nil when not limited.
    public var memoryRate: Int?
    /// What restores the order of a flow.
    public var reorder = Reorder()
    /// By ``Operation``.
    public var costs = Array(repeating: OperationCost(cycles: 0), count: Operation.allCases.count)

    public init() {}

    /// The buffer in which items wait until they are in order.
    public struct Reorder: Sendable, Equatable {
        /// Items that may wait.
        public var places = 1
        /// Cycles for each item that has waited, in thousandths.
        public var cycles = 0

        public init() {}
    }

    /// Entries of the table by which a hash chooses a core: 128, as in drivers of common NICs, or more where there are more
    /// cores than that. Entry `k` names core `k` modulo ``cores``.
    var indirections: Int {
        var entries = 128
        while entries < cores { entries *= 2 }
        return entries
    }

    /// The part of all items that the core with the most entries gets, where there are very many flows.
    var busiestShare: Double {
        dispatch == .shared ? 1 / Double(cores) : Double(ceilDivide(indirections, cores)) / Double(indirections)
    }
}

/// What the NIC does with packets when no element is on it, and with what stays behind on it when one is.
public struct PlainProfile: Sendable, Equatable {
    /// Cycles of the NIC's own firmware for each packet that no element on the NIC handles, in thousandths.
    public var perItem = 0
    /// Bytes of packets that may be parked on the NIC while only their headers are on the host; nil when none can.
    public var parking: Int?
    /// The NIC splits headers from payload without a program: headers alone cross also where no element is on it.
    public var splitsHeaders = false

    public init() {}
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
    /// Ethernet ports; each wire of a graph is one.
    public var ports = 1
    /// Bits per second of each port, in each direction.
    public var lineRate = 10_000_000_000
    /// Packets per second taken in, all ports together.
    public var packetRate = 1
    /// Packets that may wait at the ports when they come faster.
    public var buffer = 0
    /// Packets that may wait at each port to be sent.
    public var txQueue = 1

    public init() {}

    /// Bytes that a frame takes on the wire beside those that captures hold: the frame check sequence (4), preamble and start
    /// delimiter (8), and the least gap between frames (12). IEEE 802.3, clauses 3 and 4.4.2.
    public static let overhead = 24

    /// Bytes that a captured frame takes on the wire: at least 64 with its frame check sequence, and 20 around it.
    @inline(__always)
    public static func wireBytes(_ captured: Int) -> Int { max(captured, 60) &+ overhead }

    /// Picoseconds that a captured frame takes on the wire.
    @inline(__always)
    func wireTime(_ captured: Int) -> Int64 {
        scale(Int64(MACProfile.wireBytes(captured)), by: 8 &* picosecondsPerSecond, over: Int64(lineRate))
    }
}

/// The way between NIC and host.
public struct ChannelProfile: Sendable, Equatable {
    /// One direction: writes of the device to the host's memory, or reads from it.
    public struct Direction: Sendable, Equatable {
        /// From the start of a DMA of 0 bytes to its end, in picoseconds.
        public var latency = 0
        /// What each byte adds to the latency, in femtoseconds.
        public var latencyPerByte = 0
        /// Items between the sender and the taker: a place is held until the far side has taken the item.
        public var ring = 1
        /// DMAs under way at one time; nil when not limited.
        public var inFlight: Int?
        /// The least time between the starts of two DMAs, in picoseconds.
        public var issueInterval = 0

        public init() {}

        /// Picoseconds from the start of a DMA to its end, the link's own time aside.
        @inline(__always)
        func latency(of bytes: Int) -> Int64 {
            Int64(latency) &+ Int64(bytes) &* Int64(latencyPerByte) / 1_000
        }
    }

    /// How the host learns of items where it does not look all the time.
    public struct Interrupt: Sendable, Equatable {
        /// It is raised after so many items.
        public var after = 1
        /// At the latest so many picoseconds after the first.
        public var within = 0
        /// Cycles of the host for each, in thousandths.
        public var cycles = 0

        public init() {}
    }

    /// How commands cross.
    public struct Control: Sendable, Equatable {
        /// Commands per second.
        public var rate = 1
        /// From when a command is taken until it has an effect, in picoseconds.
        public var latency = 0
        /// Commands that may wait.
        public var queue = 1
        /// Commands cross with the packets, behind them; else by a way of their own.
        public var isInBand = false

        public init() {}
    }

    /// The link, which decides what bytes cost.
    public var link = PCIeLink(generation: 3, lanes: 8)
    /// How driver and device tell each other of transfers.
    public var driver = DriverModel.simple
    /// From the NIC to the host: DMA writes.
    public var toHost = Direction()
    /// From the host to the NIC: DMA reads.
    public var toNIC = Direction()
    /// nil where the host looks all the time.
    public var interrupt: Interrupt?
    /// nil where commands cross as any other item does.
    public var control: Control?

    public init() {}
}
