// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// A number or choice in device profiles, declared once: profiles are read from it, and its page, the JSON schema, `show` and a
/// first profile are generated from it.
public struct FigureType: Sendable {
    /// Its path in a profile, for example `nic.cores`.
    public var path: String
    /// Its meaning, in sentences.
    public var about: String
    /// The values allowed.
    public var kind: Kind
    /// Whether it is required.
    public var presence: Presence
    /// An example, as written in a profile.
    public var example: String
    let store: Store

    /// The values allowed for a figure.
    public enum Kind: Sendable, Equatable {
        /// A whole number in this range, with units from the table: `[("ns", 1_000)]` for picoseconds.
        case number(Unit, ClosedRange<Int>)
        /// One of these numbers, with the unit.
        case numbers(Unit, [Int])
        /// One of these words.
        case word([String])
        /// Cycles of an operation, with optional `wait` and `accesses`, or `free: why`.
        case cost
    }

    /// Whether a figure is required.
    public enum Presence: Sendable, Equatable {
        case always
        case optional
        /// If the NIC has cores.
        case withNICCores
        /// If its section is present.
        case withSection
    }

    /// The units of a figure.
    public enum Unit: String, Sendable, CaseIterable {
        case none = "number"
        case cycles
        case frequency
        case transfers = "transfer rate"
        case time
        case byteTime = "time per byte"
        case packetRate = "packet rate"
        case bitRate = "bit rate"
        case accessRate = "access rate"
        case commandRate = "command rate"
        case size
        case dollars = "price"

        /// Each unit with its factor; empty for plain whole numbers.
        public var table: [(unit: String, factor: Int64)] {
            switch self {
            case .none: []
            // Plain decimal numbers, kept in thousandths.
            case .cycles: [("", 1_000)]
            case .frequency: [("Hz", 1), ("kHz", 1_000), ("MHz", 1_000_000), ("GHz", 1_000_000_000)]
            case .transfers: [("MT/s", 1), ("GT/s", 1_000)]
            // In picoseconds.
            case .time: [("ps", 1), ("ns", 1_000), ("us", 1_000_000), ("ms", 1_000_000_000)]
            // In femtoseconds.
            case .byteTime: [("fs", 1), ("ps", 1_000), ("ns", 1_000_000)]
            case .packetRate: Array(Quantity.rates[0..<4])
            case .bitRate: Array(Quantity.rates[4...])
            case .accessRate: [("op/s", 1), ("kop/s", 1_000), ("Mop/s", 1_000_000), ("Gop/s", 1_000_000_000)]
            case .commandRate: [("cmd/s", 1), ("kcmd/s", 1_000), ("Mcmd/s", 1_000_000)]
            case .size: Array(Quantity.sizes[0..<4])
            case .dollars: [("USD", 1)]
            }
        }
    }

    /// Where the value is stored.
    enum Store: Sendable {
        case number(Place<Int>)
        case optional(Place<Int?>)
        case flag(Place<Bool>)
        case word(@Sendable (inout DeviceProfile, String) -> Void)
        case cost(Place<OperationCost>)
    }

    /// A readable and writable part of a profile.
    struct Place<T>: Sendable {
        let get: @Sendable (DeviceProfile) -> T
        let set: @Sendable (inout DeviceProfile, T) -> Void

        init(_ path: WritableKeyPath<DeviceProfile, T> & Sendable) {
            get = { $0[keyPath: path] }
            set = { $0[keyPath: path] = $1 }
        }

        /// A part of one of the repeated parts of a profile.
        init<S>(_ part: WritableKeyPath<DeviceProfile, S> & Sendable, _ path: WritableKeyPath<S, T> & Sendable) {
            get = { $0[keyPath: part][keyPath: path] }
            set = { $0[keyPath: part][keyPath: path] = $1 }
        }
    }

    /// The last part of the path.
    public var name: String { String(path.split(separator: ".").last ?? "") }
    /// The path before it, for example `channel.to_host`; empty at the top.
    public var section: String { path.split(separator: ".").dropLast().joined(separator: ".") }

    private init(
        _ path: String,
        _ kind: Kind,
        _ presence: Presence,
        _ store: Store,
        example: String,
        _ about: String
    ) {
        self.path = path
        self.about = about
        self.kind = kind
        self.presence = presence
        self.example = example
        self.store = store
    }

    static let mostCycles = 100_000_000_000

    /// All figures, in the order in which profiles are written.
    public static let all: [FigureType] =
        [
            FigureType(
                "price",
                .number(.dollars, 0...1_000_000),
                .optional,
                .optional(Place(\.price)),
                example: "610 USD",
                "A published price of what the profile stands for; its source says what it covers. Reports of several profiles show it; nothing is computed from it."
            )
        ] + executor("nic", \.nic, .withNICCores) + executor("host", \.host, .always) + mac + channel

    /// The figure at a path.
    public static func at(_ path: String) -> FigureType? { all.first { $0.path == path } }

    private static func executor(
        _ side: String,
        _ executor: WritableKeyPath<DeviceProfile, ExecutorProfile> & Sendable,
        _ presence: Presence
    ) -> [FigureType] {
        let isNIC = side == "nic"
        let place = isNIC ? "NIC" : "host"
        func path(_ name: String) -> String { "\(side).\(name)" }
        return [
            FigureType(
                path("cores"),
                .number(.none, (isNIC ? 0 : 1)...65_536),
                .always,
                .number(Place(executor, \.cores)),
                example: "8",
                "Cores that run elements on the \(place)."
                    + (isNIC
                        ? " 0 is a plain NIC: no element can be placed on it, and the other figures of `nic` that describe cores are left out."
                        : "")
            ),
            FigureType(
                path("threads"),
                .number(.none, 1...1024),
                presence,
                .number(Place(executor, \.threads)),
                example: isNIC ? "4" : "1",
                "Hardware threads of each core. While one waits for memory (`wait` of an operation) the others compute: a core "
                    + "serves min(1 / computing, threads / (computing + waiting)) items per second. With 1 thread, waiting costs as much as computing."
            ),
            FigureType(
                path("clock"),
                .number(.frequency, 1_000_000...1_000_000_000_000),
                presence,
                .number(Place(executor, \.clock)),
                example: isNIC ? "1 GHz" : "3 GHz",
                "Cycles per second of each core."
            ),
            FigureType(
                path("dispatch"),
                .word(ExecutorProfile.Dispatch.allCases.map(\.rawValue)),
                presence,
                .word { profile, word in
                    profile[keyPath: executor].dispatch = ExecutorProfile.Dispatch(rawValue: word) ?? .shared
                },
                example: isNIC ? "shared" : "flow_hash",
                "How items are given to cores. `shared`: one queue for all, from which a free thread takes the oldest item; the order "
                    + "within a flow is restored behind them. `flow_hash`: a queue for each core, chosen by the hash of addresses "
                    + "and ports through an indirection table of 128 entries, or more where there are more cores, as receive-side scaling does it; a flow keeps its core."
            ),
            FigureType(
                path("per_item"),
                .number(.cycles, 0...mostCycles),
                presence,
                .number(Place(executor, \.perItem)),
                example: "100",
                isNIC
                    ? "Cycles for each packet from a port, and each item from the host, before any element sees it: the firmware's own work in "
                        + "a program that has elements."
                    : "Cycles for each item that comes from the NIC, before any element sees it: the receive path of the driver."
            ),
            FigureType(
                path("send"),
                .number(.cycles, 0...mostCycles),
                presence,
                .number(Place(executor, \.send)),
                example: "60",
                "Cycles for each item that an element on the \(place) hands to the channel."
            ),
            FigureType(
                path("queue"),
                .number(.none, 1...1_048_576),
                presence,
                .number(Place(executor, \.queue)),
                example: "4096",
                "Items that may wait for a core: for each core with `flow_hash`, for all together with `shared`. What comes when it is "
                    + "full is dropped and counted as `\(isNIC ? "nic" : "host")_queue_full`."
            ),
            FigureType(
                path("reorder.places"),
                .number(.none, 1...1_048_576),
                presence,
                .number(Place(executor, \.reorder.places)),
                example: "1024",
                "Items that may wait on the \(place) to be put in order: behind a service that ended before an earlier one of its flow, where "
                    + "paths of different length meet at one input, and for the marker that ends a cut-over. When it is full a thread keeps "
                    + "what it has done until that may leave, and what comes to a merge point and must wait is dropped and counted as "
                    + "`\(isNIC ? "nic" : "host")_reorder_full`."
            ),
            FigureType(
                path("reorder.cycles"),
                .number(.cycles, 0...mostCycles),
                presence,
                .number(Place(executor, \.reorder.cycles)),
                example: "60",
                "Cycles of the \(place) for each item that has waited at a merge point or for a marker: it is put aside and taken up again."
            ),
            FigureType(
                path("memory"),
                .number(.size, 0...(1 << 50)),
                .optional,
                .optional(Place(executor, \.memory)),
                example: "1 GiB",
                "Bytes for flow tables, state of flows, buffers and automata of the elements on the \(place)"
                    + (isNIC ? ", parked payload included" : "")
                    + ". A placement that needs more does not fit. Left out: no limit."
            ),
            FigureType(
                path("flows"),
                .number(.none, 0...(1 << 40)),
                .optional,
                .optional(Place(executor, \.flows)),
                example: "1048576",
                "Entries that all flow tables on the \(place) can have together. A placement that needs more does not fit. Left out: no limit."
            ),
            FigureType(
                path("memory_rate"),
                .number(.accessRate, 1_000...1_000_000_000_000),
                .optional,
                .optional(Place(executor, \.memoryRate)),
                example: "800 Mop/s",
                "Accesses per second that the memory behind all cores serves (`accesses` of operations). Left out: no limit."
            ),
        ] + (isNIC ? plain : [])
            + Operation.allCases.map { operation in
                FigureType(
                    path("cycles.\(operation.name)"),
                    .cost,
                    presence,
                    .cost(Place(executor, \.costs[operation.rawValue])),
                    example: operation.isPerByte ? "0.5" : "50",
                    "Cycles of the \(place) for \(operation.about)\(operation.isPerByte ? ", each" : ""). `wait` are further cycles in which the "
                        + "core only waits for memory, `accesses` the accesses that count against `memory_rate`; both are 0 where they are left "
                        + "out. `{value: free, source: why}` where the hardware does it."
                )
            }
    }

    private static let plain: [FigureType] = [
        FigureType(
            "nic.plain_item",
            .number(.cycles, 0...mostCycles),
            .withNICCores,
            .number(Place(\.plain.perItem)),
            example: "100",
            "Cycles of the NIC's cores for each packet that passes where no element is on the NIC, in either direction: what the firmware "
                + "costs that makes it a plain NIC. 0 where packets pass without the cores."
        ),
        FigureType(
            "nic.parking",
            .number(.size, 0...(1 << 50)),
            .optional,
            .optional(Place(\.plain.parking)),
            example: "64 MiB",
            "Bytes of packets that may stay on the NIC while only their headers, or a descriptor, are on the host. Parking needs a "
                + "program on the NIC, so whole packets cross where no element is on it. What would not fit is dropped and counted as "
                + "`parking_full`. It is part of `nic.memory`. Left out: nothing is parked, whole packets cross."
        ),
        FigureType(
            "nic.header_split",
            .numbers(.none, [0, 1]),
            .optional,
            .flag(Place(\.plain.splitsHeaders)),
            example: "0",
            "1 where the NIC splits headers from payload without a program, and keeps the payload in `nic.parking`: then headers alone "
                + "cross also where no element is on the NIC."
        ),
    ]

    private static let mac: [FigureType] = [
        FigureType(
            "mac.ports",
            .number(.none, 1...1024),
            .always,
            .number(Place(\.mac.ports)),
            example: "2",
            "Ethernet ports of the NIC. Every wire of a graph is one of them."
        ),
        FigureType(
            "mac.line_rate",
            .number(.bitRate, 1_000_000...100_000_000_000_000),
            .always,
            .number(Place(\.mac.lineRate)),
            example: "40 Gbps",
            "Bits per second of each port, in each direction. A frame takes its captured bytes, 60 at least, and 24 more: frame check "
                + "sequence (4), preamble and delimiter (8), gap (12). Packets never come faster than this."
        ),
        FigureType(
            "mac.packet_rate",
            .number(.packetRate, 1...1_000_000_000_000),
            .always,
            .number(Place(\.mac.packetRate)),
            example: "60 Mpps",
            "Packets per second that the ports take in together, however short they are."
        ),
        FigureType(
            "mac.buffer",
            .number(.none, 0...1_000_000),
            .always,
            .number(Place(\.mac.buffer)),
            example: "256",
            "Packets that may wait behind the ports when they come faster than `packet_rate`; further ones are dropped and counted as `mac_rate`."
        ),
        FigureType(
            "mac.tx_queue",
            .number(.none, 1...1_048_576),
            .always,
            .number(Place(\.mac.txQueue)),
            example: "1024",
            "Packets that may wait at each port to be sent; further ones are dropped and counted as `port_tx_full`."
        ),
    ]

    private static let channel: [FigureType] =
        [
            FigureType(
                "channel.rate",
                .numbers(.transfers, PCIeLink.transferRates.map { $0 * 100 }),
                .always,
                .number(Place(\.channel.link.megatransfers)),
                example: "8 GT/s",
                "Transfers per second and lane: the generation of PCI Express."
            ),
            FigureType(
                "channel.lanes",
                .numbers(.none, PCIeLink.widths),
                .always,
                .number(Place(\.channel.link.lanes)),
                example: "8",
                "Lanes of the link."
            ),
            FigureType(
                "channel.max_payload",
                .numbers(.size, [128, 256, 512]),
                .always,
                .number(Place(\.channel.link.maxPayload)),
                example: "256 B",
                "The most bytes in one packet of the link (MPS): a write is cut into as many, each with a header of 24 bytes."
            ),
            FigureType(
                "channel.max_read_request",
                .numbers(.size, [128, 256, 512, 1024, 2048, 4096]),
                .always,
                .number(Place(\.channel.link.maxReadRequest)),
                example: "512 B",
                "The most bytes that one request asks for (MRRS): a read needs as many requests, of 24 bytes each."
            ),
            FigureType(
                "channel.completion_boundary",
                .numbers(.size, [64, 128]),
                .always,
                .number(Place(\.channel.link.completionBoundary)),
                example: "64 B",
                "The read completion boundary (RCB): where the host may cut the answer to a read. It counts only with `cut_at_boundary`."
            ),
            FigureType(
                "channel.cut_at_boundary",
                .numbers(.none, [0, 1]),
                .optional,
                .flag(Place(\.channel.link.cutsAtBoundary)),
                example: "0",
                "1 where the host cuts answers at every boundary, the worst that is allowed, rather than at `max_payload`."
            ),
            FigureType(
                "channel.driver",
                .word(DriverModel.all.map(\.name)),
                .always,
                .word { profile, word in profile.channel.driver = DriverModel.all.first { $0.name == word } ?? .simple
                },
                example: "dpdk",
                "How driver and device tell each other of items: which descriptors are read and written, and how often doorbells are "
                    + "rung. `simple`, `kernel` and `dpdk` are the drivers of Neugebauer et al., SIGCOMM 2018."
            ),
        ]
        + direction(
            "to_host",
            \.channel.toHost,
            "DMA writes",
            "the latency of a write that is then seen by the host",
            "A packet is written as data and a descriptor: two DMAs."
        )
        + direction(
            "to_nic",
            \.channel.toNIC,
            "DMA reads",
            "the latency of a read",
            "Descriptors of received packets are read as well, and count."
        ) + [
            FigureType(
                "channel.interrupt.after",
                .number(.none, 1...4096),
                .withSection,
                .number(Place(\.channel.moderation.after)),
                example: "32",
                "Items after which the host is interrupted. Without the section `interrupt` the host polls."
            ),
            FigureType(
                "channel.interrupt.within",
                .number(.time, 0...1_000_000_000_000),
                .withSection,
                .number(Place(\.channel.moderation.within)),
                example: "20 us",
                "The longest time from the first waiting item to the interrupt."
            ),
            FigureType(
                "channel.interrupt.cycles",
                .number(.cycles, 0...mostCycles),
                .withSection,
                .number(Place(\.channel.moderation.cycles)),
                example: "2000",
                "Cycles of the host for each interrupt."
            ),
            FigureType(
                "channel.control.rate",
                .number(.commandRate, 1...1_000_000_000),
                .withSection,
                .number(Place(\.channel.commands.rate)),
                example: "100 kcmd/s",
                "Commands that the control path takes per second, both ways together: flows that are opened and ended across the channel. "
                    + "Without the section `control` commands cross as any other item does. No shipped element emits commands, so the "
                    + "section is for elements of your own."
            ),
            FigureType(
                "channel.control.latency",
                .number(.time, 0...1_000_000_000_000),
                .withSection,
                .number(Place(\.channel.commands.latency)),
                example: "50 us",
                "From when the control path takes a command until that comes to its element."
            ),
            FigureType(
                "channel.control.queue",
                .number(.none, 1...1_048_576),
                .withSection,
                .number(Place(\.channel.commands.queue)),
                example: "1024",
                "Commands that may wait for the control path; further ones are dropped and counted as `control_full`."
            ),
            FigureType(
                "channel.control.in_band",
                .numbers(.none, [0, 1]),
                .withSection,
                .flag(Place(\.channel.commands.isInBand)),
                example: "0",
                "1 where commands cross the channel with the packets, behind those before them, and come to the control path then; 0 where they "
                    + "have a way of their own, and take no room on the link."
            ),
        ]

    private static func direction(
        _ name: String,
        _ direction: WritableKeyPath<DeviceProfile, ChannelProfile.Direction> & Sendable,
        _ what: String,
        _ latency: String,
        _ note: String
    ) -> [FigureType] {
        let target = name == "to_host" ? "host" : "NIC"
        return [
            FigureType(
                "channel.\(name).latency",
                .number(.time, 0...1_000_000_000_000),
                .always,
                .number(Place(direction, \.latency)),
                example: name == "to_host" ? "200 ns" : "600 ns",
                "From the start of a transfer of 0 bytes to its end: \(latency)."
            ),
            FigureType(
                "channel.\(name).latency_per_byte",
                .number(.byteTime, 0...1_000_000_000_000),
                .always,
                .number(Place(direction, \.latencyPerByte)),
                example: "250 ps",
                "What each byte adds to the latency."
            ),
            FigureType(
                "channel.\(name).ring",
                .number(.none, 1...1_048_576),
                .always,
                .number(Place(direction, \.ring)),
                example: "4096",
                "Items on their way to the \(target): a place is held until the far side has taken the item. A full ring loses nothing; "
                    + "it holds its sender back."
            ),
            FigureType(
                "channel.\(name).in_flight",
                .number(.none, 1...65_536),
                .optional,
                .optional(Place(direction, \.inFlight)),
                example: "64",
                "\(what) that may be under way at one time: no more than in_flight / latency start per second. \(note) Left out: no limit."
            ),
            FigureType(
                "channel.\(name).issue_interval",
                .number(.time, 0...1_000_000_000),
                .optional,
                .number(Place(direction, \.issueInterval)),
                example: "20 ns",
                "The least time between the starts of two \(what). \(note) Left out: no limit."
            ),
        ]
    }
}

extension ChannelProfile {
    /// The interrupt's figures; a profile has the whole section or nothing.
    fileprivate var moderation: Interrupt {
        get { interrupt ?? Interrupt() }
        set { interrupt = newValue }
    }
}

extension ChannelProfile {
    /// The control path's figures; a profile has the whole section or nothing.
    fileprivate var commands: Control {
        get { control ?? Control() }
        set { control = newValue }
    }
}

extension PCIeLink {
    /// Millions of transfers per second and lane.
    fileprivate var megatransfers: Int {
        get { PCIeLink.transferRates[generation - 1] * 100 }
        set { generation = (PCIeLink.transferRates.firstIndex(of: newValue / 100) ?? 0) + 1 }
    }
}
