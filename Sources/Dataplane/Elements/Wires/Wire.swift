// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A port of the NIC: the graph's connection to the outside world.
///
/// A run binds each wire to a capture with `--wire NAME=FILE`; the capture's packets leave on `rx`. Packets that arrive at `tx`
/// are written to the capture named with `write=FILE`; without one they are counted and released. A wire is always on the NIC
/// side.
public final class Wire: Element {
    public typealias Config = NoConfig
    public enum Drop: Int, DropReason {
        case noItems
        public var about: String { "it came when no item of the pool was free" }
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

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        var bytes: UInt64 = 0
        for k in 0..<batch.count { bytes &+= UInt64(batch[k].wireLength) }
        self.bytes &+= bytes
        packets &+= UInt64(batch.count)
        send(batch)
        context.use(batch)
    }

    @inline(never)
    private func send(_ batch: Batch) {
        guard let destination, failure == nil else { return }
        do { try destination.write(batch) } catch { failure = error }
    }

    public override func flush() throws {
        if let failure { throw failure }
        try destination?.close()
    }
}
