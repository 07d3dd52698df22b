// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Holds packets in order of arrival and releases them as time passes.
///
/// With a `rate` the queue is a link of that speed: a packet leaves when the one before it has been sent, and its time becomes
/// the moment it leaves. Bytes are those of whole frames, without the 24 that an Ethernet port takes beside each. Without a rate,
/// a packet leaves unchanged as soon as time has moved past its arrival, so the queue holds whatever arrives at one moment.
///
/// Packets that find the queue full are dropped (tail drop). At the end of the input the queue empties at its rate.
public final class Queue: Element {
    public struct Config: ElementConfig {
        /// The most packets the queue can hold.
        public var capacity = 1024
        /// The rate at which packets leave; 0 releases them as soon as time has passed.
        public var rate = Rate.packets(0)
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case full
        public var about: String { "the queue is full" }
    }
    public static let summary = "holds packets and lets them go as time passes, at a rate if one is given"
    public static let category = Category.queueing
    public static let depends = Depends.clock
    public static func inputs(_: Config) -> [Input] {
        [Input("in", .only(.packet), reads: .arrival, "packets to queue")]
    }
    public static func outputs(_: Config) -> [Output] {
        [Output("out", .sameAs(input: 0), "the same packets in order")]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("capacity", \.capacity, in: 1...1_000_000, "packets the queue has room for"),
        .init(
            "rate",
            rate: \.rate,
            "packets or bits per second at which packets leave; 0 = as soon as time has passed"
        ),
    ]
    public static let handlers = [
        Handler<Queue>("length", "packets in the queue now") { $0.count },
        Handler<Queue>("highest", "the most packets that were in the queue") { $0.highest },
    ]
    public static let operations: [Operation] = [.update, .timer]
    public static func heldItems(_ config: Config) -> Int { config.capacity }
    // A packet that finds the link busy may have to wait as little as that.
    public static func shortestTimer(_ config: Config) -> ShortestTimer? { .after(1) }
    public static let examples = [
        Example(
            "two packets a second",
            config: "{rate: 2 pps}",
            in: [
                "in": [
                    "10.0.0.1:1000 > 10.0.0.2:80 S seq=1 time=1s", "10.0.0.1:1000 > 10.0.0.2:80 S seq=2 time=1s",
                    "10.0.0.1:1000 > 10.0.0.2:80 S seq=3 time=1.2s",
                ]
            ],
            out: ["out": ["* > * seq=1 time=1s", "* > * seq=2 time=1.5s", "* > * seq=3 time=2s"]]
        ),
        Example(
            "no room for the third",
            config: "{capacity: 2}",
            in: [
                "in": [
                    "10.0.0.1:1000 > 10.0.0.2:80 S seq=1 time=1s", "10.0.0.1:1000 > 10.0.0.2:80 S seq=2 time=1s",
                    "10.0.0.1:1000 > 10.0.0.2:80 S seq=3 time=1s", "10.0.0.1:1000 > 10.0.0.2:80 S seq=4 time=2s",
                ]
            ],
            out: ["out": ["* > * seq=1", "* > * seq=2", "* > * seq=4"]],
            drops: ["full": 1]
        ),
    ]

    private let capacity: Int
    private let ring: HeldItems
    private let pace: Pace?
    /// When the last packet that left was fully sent, as whole nanoseconds and a remainder in shares.
    private var free = Int64.min
    private var rest: UInt64 = 0
    private var count: Int { ring.count }
    private var highest = 0

    public init(_ config: Config, _: Setup) throws {
        capacity = config.capacity
        ring = HeldItems(capacity: config.capacity)
        switch config.rate {
        case .packets(0), .bits(0): pace = nil
        default: pace = try Pace(config.rate, of: "rate")
        }
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            let i = batch.index[k]
            if ring.isFull {
                context.drop(i, Drop.full)
                continue
            }
            let now = context.now(i)
            let due = due(batch[k], now)
            if due <= now {
                // The link is free, so the packet is alone in the queue, for no time.
                highest = max(highest, 1)
                if pace != nil { batch[k].time = due }
                context.did(.timer, 1)
                context.emit(i, 0)
                continue
            }
            if ring.isEmpty { context.arm(0, at: due) }
            ring.push(i, due: due)
            context.hold(i)
            if ring.count > highest { highest = ring.count }
        }
        context.did(.update, batch.count)
    }

    public override func timer(_ id: Int, due: Int64, _ context: borrowing Context) {
        release(until: due, context)
        if let next = ring.due { context.arm(0, at: next) }
    }

    /// A 2 KiB buffer per packet.
    public override var memoryBytes: Int { capacity * 2048 }

    public override func finish(_ context: borrowing Context) { release(until: .max, context) }

    /// When a packet that arrives now will leave.
    private func due(_ p: Packet, _ now: Int64) -> Int64 {
        guard let pace else { return later(now, by: 1) }
        if now > free {
            free = now
            rest = 0
        }
        let due = free
        let (spans, left) = (pace.cost(of: p.wireLength) &+ rest).quotientAndRemainder(
            dividingBy: pace.perNanosecond
        )
        free = later(free, by: Int64(bitPattern: spans))
        rest = left
        return due
    }

    private func release(until time: Int64, _ context: borrowing Context) {
        var released = 0
        while let due = ring.due, due <= time {
            let i = ring.pop()
            context.resume(i, Turn(number: context.origin.turn, now: due))
            if pace != nil { context[i].time = due }
            context.emit(i, 0)
            released &+= 1
        }
        context.did(.timer, released)
    }
}
