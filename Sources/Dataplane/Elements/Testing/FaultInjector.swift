// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Loses, duplicates, corrupts, reorders and delays items, each with its own probability.
///
/// Which items are affected depends only on the run's seed, the element's name and the item's place in the input: the same run
/// has the same faults, and a change elsewhere in the graph does not move them.
///
/// The faults of one item happen in this order: it is lost; one bit of it is flipped; a copy is made, which leaves at once; it
/// is held until `reorder_by` later items have passed, or `reorder_within` has elapsed; or it is held for `delay_by`. A held
/// item leaves with the time at which it leaves. Up to 4096 items are held for each reason; further ones pass, counted as
/// `not_held`.
public final class FaultInjector: Element {
    public struct Config: ElementConfig {
        /// Share of items that are lost, 0 to 1.
        public var loss = 0.0
        /// Share of items that leave twice, 0 to 1.
        public var duplicate = 0.0
        /// Share of items with one bit flipped, 0 to 1.
        public var corrupt = 0.0
        /// Share of items that later ones overtake, 0 to 1.
        public var reorder = 0.0
        /// How many items overtake one that is reordered.
        public var reorderBy = 3
        /// The longest a reordered item waits, in nanoseconds.
        public var reorderWithin: Int64 = 10_000_000
        /// Share of items that are delayed, 0 to 1.
        public var delay = 0.0
        /// How long a delayed item is held, in nanoseconds.
        public var delayBy: Int64 = 1_000_000
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case lost
        public var about: String { "it was chosen to be lost" }
    }
    public static let summary = "loses, doubles, corrupts, reorders and delays items"
    public static let category = Category.testing
    public static let depends = Depends.clock
    public static func inputs(_: Config) -> [Input] { [Input("in", .any, reads: .payload, "items to harm")] }
    public static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "the items that are left")] }
    public static let parameters: [Parameter<Config>] = [
        .init("loss", probability: \.loss, "share of items that are lost"),
        .init("duplicate", probability: \.duplicate, "share of items that leave twice"),
        .init("corrupt", probability: \.corrupt, "share of items with one bit flipped"),
        .init("reorder", probability: \.reorder, "share of items that later ones overtake"),
        .init("reorder_by", \.reorderBy, in: 1...1000, "how many items overtake one that is reordered"),
        .init(
            "reorder_within",
            duration: \.reorderWithin,
            in: 1...10_000_000_000,
            "a reordered item waits no longer than this"
        ),
        .init("delay", probability: \.delay, "share of items that are delayed"),
        .init("delay_by", duration: \.delayBy, in: 1...10_000_000_000, "how long a delayed item is held back"),
    ]
    public static let handlers = [
        Handler<FaultInjector>("duplicated", "copies made") { Int($0.duplicated) },
        Handler<FaultInjector>("corrupted", "items with a bit flipped") { Int($0.corrupted) },
        Handler<FaultInjector>("reordered", "items held back until others had passed") { Int($0.reordered) },
        Handler<FaultInjector>("delayed", "items held back for a time") { Int($0.delayed) },
        Handler<FaultInjector>("duplicates_missed", "copies left out because the pool was empty") { Int($0.missed) },
        Handler<FaultInjector>("not_held", "items that passed because too many were held back") { Int($0.notHeld) },
    ]
    public static let operations: [Operation] = [.update, .copyBytes, .timer]
    public static func heldItems(_ config: Config) -> Int {
        (config.reorder > 0 ? heldAtMost : 0) + (config.delay > 0 ? heldAtMost : 0)
    }
    public static func shortestTimer(_ config: Config) -> ShortestTimer? {
        switch (config.reorder > 0, config.delay > 0) {
        case (true, true): .after(min(config.reorderWithin, config.delayBy))
        case (true, false): .after(config.reorderWithin)
        case (false, true): .after(config.delayBy)
        case (false, false): nil
        }
    }
    public static let examples = [
        Example(
            "every packet is lost",
            config: "{loss: 1}",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S"]],
            out: ["out": []],
            drops: ["lost": 1]
        ),
        Example(
            "every packet leaves twice",
            config: "{duplicate: 1}",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S seq=1", "10.0.0.1:1000 > 10.0.0.2:80 A seq=2"]],
            out: ["out": ["* > * S seq=1", "* > * S seq=1", "* > * A seq=2", "* > * A seq=2"]]
        ),
        Example(
            "every packet arrives a second late",
            config: "{delay: 1, delay_by: 1 s}",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S time=1s", "10.0.0.1:1000 > 10.0.0.2:80 A time=1.5s"]],
            out: ["out": ["* > * S time=2s", "* > * A time=2.5s"]]
        ),
    ]

    /// The purpose of a random number; part of its seed.
    private enum Purpose: UInt64 {
        case loss = 1
        case duplicate, corrupt, bit, reorder, delay
    }
    /// The most items held for one reason.
    private static let heldAtMost = 4096
    private static let reorderTimer = 0
    private static let delayTimer = 1

    private let config: Config
    private let seed: UInt64
    private let waiting = HeldItems(capacity: heldAtMost)
    private let delaying = HeldItems(capacity: heldAtMost)
    /// Items that passed because no more could be held.
    private var passed: UInt64 = 0
    /// Sequence of the last item, and how many items before it had the same.
    private var lastSequence = UInt64.max
    private var lastMade: UInt16 = 0
    private var sameOrigin: UInt64 = 0
    private var duplicated: UInt64 = 0
    private var corrupted: UInt64 = 0
    private var reordered: UInt64 = 0
    private var delayed: UInt64 = 0
    private var missed: UInt64 = 0
    private var notHeld: UInt64 = 0

    public init(_ config: Config, _ setup: Setup) {
        self.config = config
        seed = setup.elementSeed
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            let i = batch.index[k]
            let p = batch[k]
            let turn = context.turn(of: i)
            take(i, p, turn.now, context)
            while let since = waiting.seen, passed &- since >= UInt64(config.reorderBy) {
                letGo(waiting, turn, context)
            }
        }
        context.did(.update, batch.count)
    }

    /// Applies the chosen faults to one item.
    private func take(_ i: Int32, _ p: Packet, _ now: Int64, _ context: borrowing Context) {
        note(p)
        if chosen(p, .loss, config.loss) {
            context.drop(i, Drop.lost)
            return
        }
        if p.length > 0, chosen(p, .corrupt, config.corrupt) { flip(i, p, context) }
        var copy: Int32?
        if chosen(p, .duplicate, config.duplicate) {
            copy = context.copy(i)
            if copy == nil {
                missed &+= 1
            } else {
                duplicated &+= 1
                context.did(.copyBytes, Int(p.length))
            }
        }
        var isHeld = false
        if chosen(p, .reorder, config.reorder) {
            isHeld = hold(i, FaultInjector.reorderTimer, until: later(now, by: config.reorderWithin), context)
            if isHeld { reordered &+= 1 }
        } else if chosen(p, .delay, config.delay) {
            isHeld = hold(i, FaultInjector.delayTimer, until: later(now, by: config.delayBy), context)
            if isHeld { delayed &+= 1 }
        }
        if !isHeld {
            passed &+= 1
            context.emit(i, 0)
        }
        if let copy { context.emit(copy, 0) }
    }

    public override func timer(_ id: Int, due: Int64, _ context: borrowing Context) {
        release(held(id), until: due, context)
        if let next = held(id).due { context.arm(id, at: next) }
    }

    private func held(_ id: Int) -> HeldItems { id == FaultInjector.reorderTimer ? waiting : delaying }

    public override func finish(_ context: borrowing Context) {
        // Earliest first.
        while let due = [waiting.due, delaying.due].compactMap({ $0 }).min() {
            release(waiting.due == due ? waiting : delaying, until: due, context)
        }
    }

    /// Whether an item is affected, from the seed and the item's place in the input, never from the order of calls.
    @inline(__always)
    private func chosen(_ p: Packet, _ purpose: Purpose, _ probability: Double) -> Bool {
        // 53 bits, as many as a Double holds: 1 is always and 0 never.
        probability > 0 && Double(random(p, purpose) &>> 11) < probability * 0x1p53
    }

    private func random(_ p: Packet, _ purpose: Purpose) -> UInt64 {
        mix64(mix64(mix64(seed ^ purpose.rawValue) ^ p.sequence) ^ (UInt64(p.made) | sameOrigin &<< 16))
    }

    /// Distinguishes items of one origin: records of all flows that end with the input have the last packet's sequence.
    @inline(__always)
    private func note(_ p: Packet) {
        let isSame = p.sequence == lastSequence && p.made == lastMade
        sameOrigin = isSame ? sameOrigin &+ 1 : 0
        lastSequence = p.sequence
        lastMade = p.made
    }

    /// Flips one bit; the headers may not be what they were found to be.
    private func flip(_ i: Int32, _ p: Packet, _ context: borrowing Context) {
        if !p.isWritable { context.did(.copyBytes, Int(p.length)) }
        context.own(i)
        let bit = random(p, .bit) % (UInt64(p.length) &* 8)
        let byte = p.writableData + Int(bit &>> 3)
        byte.storeBytes(of: byte.load(as: UInt8.self) ^ 1 &<< UInt8(bit & 7), as: UInt8.self)
        p.forgetHeaders()
        corrupted &+= 1
    }

    private func hold(_ i: Int32, _ id: Int, until due: Int64, _ context: borrowing Context) -> Bool {
        let held = held(id)
        if held.isFull {
            notHeld &+= 1
            return false
        }
        if held.isEmpty { context.arm(id, at: due) }
        held.push(i, due: due, seen: passed)
        context.hold(i)
        context.did(.timer, 1)
        return true
    }

    /// Releases the items that are due.
    private func release(_ held: HeldItems, until time: Int64, _ context: borrowing Context) {
        while let due = held.due, due <= time {
            letGo(held, Turn(number: context.origin.turn, now: due), context)
        }
    }

    private func letGo(_ held: HeldItems, _ turn: Turn, _ context: borrowing Context) {
        let i = held.pop()
        context.resume(i, turn)
        context[i].time = max(context[i].time, turn.now)
        context.emit(i, 0)
    }
}
