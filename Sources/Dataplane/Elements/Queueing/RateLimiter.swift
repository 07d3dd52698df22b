// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Passes packets up to a rate: a token bucket in functional time.
///
/// The bucket holds `burst` packets for a rate in packets per second, and `burst` bytes for a rate in bits per second; it
/// starts full. A packet passes if the bucket holds what it needs, or is full. Bytes are those of whole frames, even if the capture
/// holds fewer, without the 24 that an Ethernet port takes beside each. Arithmetic is in whole numbers, so a rate is met exactly
/// over any time.
///
/// Packets over the rate leave on `excess` if that is connected, and are dropped otherwise.
public final class RateLimiter: Element {
    public struct Config: ElementConfig {
        /// The maximum rate.
        public var rate = Rate.packets(0)
        /// Packets, or bytes for a rate in bits, that may pass at once; 0 means 10 ms at the rate.
        public var burst = 0
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case overRate
        public var about: String { "it is over the rate and `excess` is not connected" }
    }
    public static let summary = "lets packets pass up to a rate"
    public static let category = Category.queueing
    public static let depends = Depends.order
    public static func inputs(_: Config) -> [Input] {
        [Input("in", .only(.packet), reads: .arrival, "packets to limit")]
    }
    public static func outputs(_: Config) -> [Output] {
        [
            Output("out", .sameAs(input: 0), "packets within the rate"),
            Output("excess", .sameAs(input: 0), optional: true, "packets over the rate"),
        ]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("rate", rate: \.rate, required: true, "packets or bits per second that pass"),
        .init(
            "burst",
            \.burst,
            in: 0...1_000_000_000,
            "packets, or bytes for a rate in bits, that pass at once; 0 = what the rate gives in 10 ms, at least 1 packet"
        ),
    ]
    public static let handlers = [
        Handler<RateLimiter>("passed", "packets within the rate") { Int($0.passed) },
        Handler<RateLimiter>("exceeded", "packets over the rate") { Int($0.exceeded) },
    ]
    public static let operations: [Operation] = [.update]
    public static let examples = [
        Example(
            "one packet a second, one at once",
            config: "{rate: 1 pps, burst: 1}",
            in: [
                "in": [
                    "10.0.0.1:1000 > 10.0.0.2:80 S seq=1 time=1s", "10.0.0.1:1000 > 10.0.0.2:80 S seq=2 time=1.5s",
                    "10.0.0.1:1000 > 10.0.0.2:80 S seq=3 time=2s",
                ]
            ],
            out: ["out": ["* > * seq=1", "* > * seq=3"], "excess": ["* > * seq=2"]]
        )
    ]

    private let pace: Pace
    /// The bucket's size in shares.
    private let capacity: Int64
    /// The bucket's content; negative after a packet larger than the bucket.
    private var level: Int64
    /// When the level was last updated.
    private var last = Int64.min
    private var passed: UInt64 = 0
    private var exceeded: UInt64 = 0

    public init(_ config: Config, _: Setup) throws {
        pace = try Pace(config.rate, of: "rate")
        // A hundredth of a second is 10^7 ns; no bucket is larger than the largest `burst`.
        let own = min(pace.perNanosecond, 800_000_000_000) * 10_000_000
        capacity = Int64(config.burst > 0 ? pace.shares(config.burst) : max(own, 1_000_000_000))
        level = capacity
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        let pace = self.pace
        let capacity = self.capacity
        let excess: Context.Verdict = context.isConnected(1) ? .emit(1) : .drop(Drop.overRate)
        var level = self.level
        var last = self.last
        var passed = 0
        context.forEach(batch) { p, context in
            let time = context.now(p)
            if time > last {
                let missing = UInt64(bitPattern: capacity &- level)
                let elapsed = UInt64(bitPattern: time &- last)
                let (gained, overflow) = elapsed.multipliedReportingOverflow(by: pace.perNanosecond)
                level = overflow || gained >= missing ? capacity : level &+ Int64(bitPattern: gained)
                last = time
            }
            let cost = Int64(bitPattern: pace.cost(of: p.wireLength))
            if level < min(cost, capacity) { return excess }
            level &-= cost
            passed &+= 1
            return .emit(0)
        }
        self.level = level
        self.last = last
        self.passed &+= UInt64(passed)
        exceeded &+= UInt64(batch.count &- passed)
        context.did(.update, batch.count)
    }
}
