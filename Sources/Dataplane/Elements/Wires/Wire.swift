// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A port of the NIC: the graph's connection to the outside world.
///
/// A run binds each wire to a capture with `--wire NAME=FILE`, or to a network interface with `--wire NAME=if:INTERFACE`; its packets
/// leave on `rx`. Packets that arrive at `tx` are written to the capture named with `write=FILE`, or sent on the interface; without
/// either they are counted and released. A wire is always on the NIC side.
public final class Wire: Element {
    public typealias Config = NoConfig
    public enum Drop: Int, DropReason {
        case noItems, queueFull, tooLong, truncated, linkType, down
        public var about: String {
            switch self {
            case .noItems: "it came when no item of the pool was free"
            case .queueFull:
                "it could not be sent since the interface's queue was full, and stayed so for a millisecond"
            case .tooLong: "it could not be sent since it is longer than the interface takes, and must not be cut"
            case .truncated: "it could not be sent since only a part of it was captured"
            case .linkType: "it could not be sent since its outermost header is not that of the interface"
            case .down: "it could not be sent since the interface was down or gone"
            }
        }

        init(_ fault: SendFault) {
            self =
                switch fault {
                case .queueFull: .queueFull
                case .tooLong: .tooLong
                case .truncated: .truncated
                case .linkType: .linkType
                case .down: .down
                }
        }
    }
    public static let summary = "brings packets in from outside and takes packets out"
    public static let category = Category.wires
    public static let depends = Depends.item
    public static let sides = Sides.nic
    public static func inputs(_: Config) -> [Input] {
        [Input("tx", .only(.packet), reads: .payload, optional: true, "packets to send")]
    }
    public static func outputs(_: Config) -> [Output] {
        [Output("rx", .kind(.packet), optional: true, "packets received")]
    }
    public static let handlers = [
        Handler<Wire>("packets_out", "packets sent") { Int($0.packets) },
        Handler<Wire>("bytes_out", "bytes sent") { Int($0.bytes) },
    ]

    /// The destination of sent packets; bound by the runtime.
    var destination: (any PacketDestination)?
    private(set) var packets: UInt64 = 0
    private(set) var bytes: UInt64 = 0
    private var failure: (any Error)?

    public init(_: Config, _: Setup) {
        super.init()
    }

    /// The packets of a batch that were not sent, in order.
    private var refused: [(index: Int, fault: SendFault)] = []

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        send(batch)
        if !refused.isEmpty { return useSent(batch, context) }
        var bytes: UInt64 = 0
        for k in 0..<batch.count { bytes &+= UInt64(batch[k].wireLength) }
        self.bytes &+= bytes
        packets &+= UInt64(batch.count)
        context.use(batch)
    }

    @inline(never)
    private func send(_ batch: Batch) {
        guard let destination, failure == nil else { return }
        do { try destination.write(batch) { refused.append(($0, $1)) } } catch { failure = error }
    }

    /// Counts a batch of which some packets were not sent.
    private func useSent(_ batch: Batch, _ context: borrowing Context) {
        var next = 0
        for k in 0..<batch.count {
            if next < refused.count, refused[next].index == k {
                context.drop(batch.index[k], Drop(refused[next].fault))
                next += 1
                continue
            }
            bytes &+= UInt64(batch[k].wireLength)
            packets &+= 1
            context.use(batch.index[k])
        }
        refused.removeAll(keepingCapacity: true)
    }

    public override func sync() throws {
        if let failure { throw failure }
        try destination?.flush()
    }

    public override func flush() throws {
        if let failure { throw failure }
        try destination?.close()
    }
}
