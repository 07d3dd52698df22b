// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// How items are announced across the link: the reads and writes besides their bytes.
///
/// `simple`, `kernel` and `dpdk` are the three drivers of Neugebauer et al., "Understanding PCIe performance for end host
/// networking", SIGCOMM 2018, section 3. A count is the number of items per occurrence of a step; 0 is never.
public struct DriverModel: Sendable, Equatable {
    /// The steps of one direction.
    public struct Steps: Sendable, Equatable {
        /// The host writes the 4-byte tail pointer.
        public var doorbellEvery: Int
        /// The device reads this many 16-byte descriptors at once.
        public var fetch: Int
        /// The device writes this many 16-byte descriptors back at once; 0 if it does not.
        public var writeBack: Int
        /// The device raises an interrupt: a 4-byte write.
        public var interruptEvery: Int
        /// The host reads the 4-byte head pointer.
        public var headReadEvery: Int
    }

    /// The name in profiles.
    public var name: String
    /// Receive: from the device to the host.
    public var toHost: Steps
    /// Transmit: from the host to the device.
    public var toNIC: Steps

    /// Every step for every packet.
    public static let simple = DriverModel(
        name: "simple",
        toHost: Steps(doorbellEvery: 1, fetch: 1, writeBack: 1, interruptEvery: 1, headReadEvery: 1),
        toNIC: Steps(doorbellEvery: 1, fetch: 1, writeBack: 0, interruptEvery: 1, headReadEvery: 1)
    )
    /// A kernel driver with descriptor batches and interrupt moderation.
    public static let kernel = DriverModel(
        name: "kernel",
        toHost: Steps(doorbellEvery: 32, fetch: 1, writeBack: 1, interruptEvery: 32, headReadEvery: 8),
        toNIC: Steps(doorbellEvery: 1, fetch: 40, writeBack: 8, interruptEvery: 32, headReadEvery: 1)
    )
    /// A polling driver: no interrupts, no reads of device registers.
    public static let dpdk = DriverModel(
        name: "dpdk",
        toHost: Steps(doorbellEvery: 32, fetch: 1, writeBack: 1, interruptEvery: 0, headReadEvery: 0),
        toNIC: Steps(doorbellEvery: 32, fetch: 40, writeBack: 8, interruptEvery: 0, headReadEvery: 0)
    )
    /// All driver models, as named in profiles.
    public static let all = [simple, kernel, dpdk]
}

/// Bytes on the two directions of the link, including TLP headers.
public struct LinkBytes: Sendable, Equatable {
    /// From the device to the host.
    public var up: Int
    /// From the host to the device.
    public var down: Int

    public init(up: Int, down: Int) {
        self.up = up
        self.down = down
    }

    static func + (a: LinkBytes, b: LinkBytes) -> LinkBytes { LinkBytes(up: a.up &+ b.up, down: a.down &+ b.down) }
}

/// A PCI Express link: the cost of transfers, by the arithmetic of transaction-layer packets (TLPs).
///
/// The formulae are those of Neugebauer et al., SIGCOMM 2018, section 3; transfers are assumed to be aligned.
public struct PCIeLink: Sendable, Equatable {
    /// PCI Express generation, 1 to 5.
    public var generation: Int
    /// Number of lanes, one of ``widths``.
    public var lanes: Int
    /// Maximum payload size of a TLP in bytes: 128, 256 or 512.
    public var maxPayload: Int
    /// Largest read request in bytes.
    public var maxReadRequest: Int
    /// Read completion boundary in bytes: 64 or 128.
    public var completionBoundary: Int
    /// Completions are cut at every completion boundary rather than at the maximum payload: the worst case allowed.
    public var cutsAtBoundary: Bool

    public init(
        generation: Int,
        lanes: Int,
        maxPayload: Int = 256,
        maxReadRequest: Int = 512,
        completionBoundary: Int = 64,
        cutsAtBoundary: Bool = false
    ) {
        self.generation = generation
        self.lanes = lanes
        self.maxPayload = maxPayload
        self.maxReadRequest = maxReadRequest
        self.completionBoundary = completionBoundary
        self.cutsAtBoundary = cutsAtBoundary
    }

    /// Bytes of a memory write with 64-bit address, including framing and link-layer bytes.
    static let writeHeader = 24
    /// Bytes of a memory read request with 64-bit address.
    static let readHeader = 24
    /// Bytes of a completion before its data.
    static let completionHeader = 20
    static let descriptorBytes = 16
    static let pointerBytes = 4

    /// Transfers per second and lane by generation, in units of 100 MT/s.
    static let transferRates = [25, 50, 80, 160, 320]

    /// Bits per second in each direction after the line code: 8b/10b up to generation 2, then 128b/130b.
    public var rawBitsPerSecond: Int {
        let symbols = PCIeLink.transferRates[generation - 1] * 100_000_000 * lanes
        return generation <= 2 ? symbols / 10 * 8 : symbols * 128 / 130
    }

    /// The link widths whose acknowledgement limits are known.
    public static let widths = [1, 2, 4, 8, 16]

    /// Bytes between two acknowledgements, and between two flow-control updates (PCI Express Base Specification, tables of
    /// acknowledgement latency limits and update latency guidelines), by width and by maximum payload.
    private static let acknowledgeLimits: [[[Int]]] = [
        [[237, 416, 559], [128, 217, 289], [73, 118, 154], [67, 107, 86], [48, 72, 86]],
        [[288, 467, 610], [179, 268, 340], [124, 169, 205], [118, 158, 137], [99, 123, 137]],
        [[333, 512, 655], [224, 313, 385], [169, 214, 250], [163, 203, 182], [144, 168, 182]],
    ]

    var acknowledgeLimit: Int {
        let width = PCIeLink.widths.firstIndex { $0 >= lanes } ?? PCIeLink.widths.count - 1
        return PCIeLink.acknowledgeLimits[min(generation, 3) - 1][width][
            maxPayload == 128 ? 0 : maxPayload == 256 ? 1 : 2
        ]
    }

    /// Bits per second left for TLPs after acknowledgements, flow-control updates and skip symbols.
    public var tlpBitsPerSecond: Int {
        // raw * (1 - 8/limit - 8/limit - 4/1538) over the common denominator, in 128 bits.
        let limit = Int128(acknowledgeLimit)
        let numerator = 1538 * limit - 16 * 1538 - 4 * limit
        return Int(Int128(rawBitsPerSecond) * numerator / (1538 * limit))
    }

    // MARK: Bytes of transfers

    /// Link bytes when the device writes `size` bytes to host memory; nothing for 0 bytes.
    public func write(_ size: Int) -> LinkBytes {
        LinkBytes(up: ceilDivide(size, maxPayload) &* PCIeLink.writeHeader &+ size, down: 0)
    }

    /// Link bytes when the device reads `size` bytes of host memory.
    public func read(_ size: Int) -> LinkBytes {
        let cut = cutsAtBoundary ? completionBoundary : maxPayload
        return LinkBytes(
            up: ceilDivide(size, maxReadRequest) &* PCIeLink.readHeader,
            down: ceilDivide(size, cut) &* PCIeLink.completionHeader &+ size
        )
    }

    /// The host writes a pointer to a device register.
    var doorbell: LinkBytes { LinkBytes(up: 0, down: PCIeLink.writeHeader + PCIeLink.pointerBytes) }
    /// The host reads a pointer from a device register.
    var headRead: LinkBytes {
        LinkBytes(up: PCIeLink.completionHeader + PCIeLink.pointerBytes, down: PCIeLink.readHeader)
    }
    /// The device signals an interrupt by a message.
    var interrupt: LinkBytes { LinkBytes(up: PCIeLink.writeHeader + PCIeLink.pointerBytes, down: 0) }

    /// The cost of the `k`-th item of a direction (from 0) besides its bytes: the steps due with it.
    func steps(_ steps: DriverModel.Steps, item k: Int) -> LinkBytes {
        var sum = LinkBytes(up: 0, down: 0)
        func due(_ every: Int) -> Bool { every > 0 && k % every == 0 }
        if due(steps.doorbellEvery) { sum = sum + doorbell }
        if due(steps.fetch) { sum = sum + read(steps.fetch * PCIeLink.descriptorBytes) }
        if due(steps.writeBack) { sum = sum + write(steps.writeBack * PCIeLink.descriptorBytes) }
        if due(steps.interruptEvery) { sum = sum + interrupt }
        if due(steps.headReadEvery) { sum = sum + headRead }
        return sum
    }

    // MARK: Rates

    /// The transfers that fill the link in ``goodput(_:size:)``.
    public enum Transfer: Sendable {
        case write
        case read
        /// A read and a write of the same size.
        case readAndWrite
    }

    /// Payload bits per second and direction when transfers of `size` bytes follow each other without a gap.
    public func goodput(_ transfer: Transfer, size: Int) -> Double {
        let bytes =
            switch transfer {
            case .write: write(size)
            case .read: read(size)
            case .readAndWrite: write(size) + read(size)
            }
        return goodput(size, over: Double(max(bytes.up, bytes.down)))
    }

    /// The packets that a network card moves in ``goodput(_:_:size:compatible:)``.
    public enum Traffic: Sendable {
        case transmit
        case receive
        /// Equally many packets each way.
        case both
    }

    /// Payload bits per second and direction of a network card that moves packets of `size` bytes.
    ///
    /// `compatible` omits the request for the receive descriptor, as the paper's public program does by oversight
    /// (pcie-bench/pcie-model, `model/simple_nic.py` and `niantic.py`), which reproduces its figures exactly.
    public func goodput(_ driver: DriverModel, _ traffic: Traffic, size: Int, compatible: Bool = false) -> Double {
        // Over this many packets every step happens a whole number of times.
        let period = [driver.toHost, driver.toNIC].reduce(1) { n, s in
            [s.doorbellEvery, s.fetch, s.writeBack, s.interruptEvery, s.headReadEvery].reduce(n) {
                $1 == 0 ? $0 : leastCommonMultiple($0, $1)
            }
        }
        var bytes = LinkBytes(up: 0, down: 0)
        for k in 0..<period {
            if traffic != .receive { bytes = bytes + steps(driver.toNIC, item: k) + read(size) }
            if traffic != .transmit {
                bytes = bytes + steps(driver.toHost, item: k) + write(size)
                if compatible, k % driver.toHost.fetch == 0 {
                    bytes.up -= read(driver.toHost.fetch * PCIeLink.descriptorBytes).up
                }
            }
        }
        return goodput(size, over: Double(max(bytes.up, bytes.down)) / Double(period))
    }

    private func goodput(_ size: Int, over bytes: Double) -> Double {
        Double(tlpBitsPerSecond) * Double(size) / bytes
    }
}

func ceilDivide(_ a: Int, _ b: Int) -> Int { (a &+ b &- 1) / b }

private func leastCommonMultiple(_ a: Int, _ b: Int) -> Int {
    var (x, y) = (a, b)
    while y != 0 { (x, y) = (y, x % y) }
    return a / x * b
}
