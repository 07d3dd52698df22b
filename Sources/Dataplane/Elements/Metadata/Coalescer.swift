// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Packs records into larger items, so that fewer and larger transfers cross between NIC and host.
///
/// A transfer holds consecutive records of one layout. It is sent when no further record fits in `size`, when it holds `count`
/// records, when its first record is `timeout` old, when a record of another layout arrives, and at the end of the input. A
/// record larger than `size` is sent alone; so is a record for which the pool has no free item to start a transfer, counted as
/// `passed_alone`.
public final class Coalescer: Element {
    public struct Config: ElementConfig {
        /// The most bytes of records in one transfer.
        public var size = 1536
        /// The most records in one transfer.
        public var count = 64
        /// The longest a record waits, in nanoseconds.
        public var timeout: Int64 = 1_000_000
        public init() {}
    }
    public static let summary = "packs records into larger transfers"
    public static let category = Category.metadata
    public static let depends = Depends.order
    public static func inputs(_: Config) -> [Input] {
        [Input("in", .records, reads: .payload, "records of any layout")]
    }
    public static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "transfers of records")] }
    public static let parameters: [Parameter<Config>] = [
        .init("size", size: \.size, in: 64...65_536, "the most bytes of records in one transfer"),
        .init("count", \.count, in: 1...65_536, "the most records in one transfer"),
        .init("timeout", duration: \.timeout, in: 1_000...10_000_000_000, "how long a record waits at most"),
    ]
    public static let handlers = [
        Handler<Coalescer>("transfers", "transfers made") { Int($0.transfers) },
        Handler<Coalescer>("records", "records packed into transfers") { Int($0.records) },
        Handler<Coalescer>("passed_alone", "records not packed because the pool was empty") { Int($0.alone) },
    ]
    public static let operations: [Operation] = [.record, .copyBytes, .timer]
    public static func heldItems(_: Config) -> Int { 1 }
    public static func shortestTimer(_ config: Config) -> ShortestTimer? { .after(config.timeout) }

    private let size: Int
    private let limit: Int
    private let timeout: Int64
    private let layouts: LayoutTable
    /// The held transfer being filled; -1 if there is none.
    private var open: Int32 = -1
    private var filled = 0
    private var count = 0
    private var transfers: UInt64 = 0
    private var records: UInt64 = 0
    private var alone: UInt64 = 0

    public init(_ config: Config, _ setup: Setup) {
        size = config.size
        limit = config.count
        timeout = config.timeout
        layouts = setup.layouts
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count { take(batch.index[k], batch[k], context) }
    }

    private func take(_ i: Int32, _ p: Packet, _ context: borrowing Context) {
        let length = Int(p.length)
        if open >= 0, context[open].layout != p.layout || filled &+ length > size {
            close(at: p.time, because: i, context)
        }
        if length > size {
            context.emit(i, 0)
            return
        }
        if open < 0 {
            guard let new = context.make(from: i, capacity: size) else {
                alone &+= 1
                context.emit(i, 0)
                return
            }
            context[new].layout = p.layout
            context[new].flags.insert(.coalesced)
            context[new].flow = .none
            context.hold(new)
            open = new
            context.arm(0, at: later(context.now(i), by: timeout))
            context.did(.timer, 1)
        }
        (context[open].writableData + filled).copyMemory(from: p.data, byteCount: length)
        filled &+= length
        // A record that is itself a transfer counts as one.
        count &+= 1
        records &+= 1
        context.did(.record, 1)
        context.did(.copyBytes, length)
        // A transfer takes its place after the last record in it.
        context[open].sequence = p.sequence
        context[open].made = p.made
        if count == limit || filled == size { close(at: p.time, because: i, context) }
        context.use(i)
    }

    /// Sends the transfer because of record `i`, or, if `i` is -1, of whatever the runtime is handling.
    private func close(at time: Int64, because i: Int32 = -1, _ context: borrowing Context) {
        if i >= 0 { context.resume(open, because: i) } else { context.resume(open) }
        let transfer = context[open]
        transfer.length = UInt32(truncatingIfNeeded: filled)
        transfer.wireLength = transfer.length
        transfer.time = time
        context.emit(open, 0)
        context.disarm(0)
        transfers &+= 1
        open = -1
        filled = 0
        count = 0
    }

    public override var memoryBytes: Int { size }

    public override func timer(_ id: Int, due: Int64, _ context: borrowing Context) {
        if open >= 0 { close(at: due, context) }
    }

    public override func finish(_ context: borrowing Context) {
        if open >= 0 { close(at: max(context.origin.time, context[open].time), context) }
    }
}
