// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux

/// The beginning of all edges that lead into a stage of a split graph from earlier ones. To the elements behind it, it stands
/// for the flow table whose flows their items carry.
final class RingHead: ElementBase, ElementType {
    struct Config: ElementConfig {
        var source: RingSource?
        /// For each edge its name and the kind of its items.
        var edges: [(name: String, kind: Kind)] = []
        init() {}
    }
    static let summary = "takes items from the rings of other executors"
    static let category = Category.wires
    static let depends = Depends.order
    static func inputs(_: Config) -> [Input] { [Input("in", .any, reads: .payload, "items that have crossed")] }
    static func outputs(_ config: Config) -> [Output] {
        config.edges.map { Output($0.name, .kind($0.kind), "items of one edge") }
    }

    private let source: RingSource

    init(_ config: Config, _: Setup) { source = config.source! }

    /// It stops where a flow has ended.
    override var outputsThatStop: Set<Int>? { [] }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        let edges = source.edges
        var start = 0
        while start < batch.count {
            let edge = edges[Int(batch.index[start])]
            if edge < 0 {
                end(batch.index[start], edge, context)
                start &+= 1
                if context.mustWait, start < batch.count { return context.again(batch, from: start) }
                continue
            }
            var k = start &+ 1
            while k < batch.count, edges[Int(batch.index[k])] == edge { k &+= 1 }
            context.emit(batch, from: start, to: k, Int(edge))
            start = k
        }
    }

    /// Tells the elements behind it that a flow has ended.
    private func end(_ i: Int32, _ edge: Int32, _ context: borrowing Context) {
        let reason = FlowEnd(rawValue: UInt8(truncatingIfNeeded: -1 - edge))!
        context.endFlow(context[i].flow, reason, because: i)
        context.use(i)
    }
}

/// The items of all rings that lead into a stage: those of one turn after those of the turn before, whichever way they came.
final class RingSource: PacketSource, @unchecked Sendable {
    /// The most items taken at a time: a turn with more is cut, and its items may then merge in another order.
    static let most = 1024
    /// How many places before it is read one is fetched.
    private static let ahead = 8

    /// The edge of each item of the stage's pool; see ``Ring/Mark/edge``.
    private(set) var edges = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
    private let lanes: UnsafeMutableBufferPointer<Lane>
    private let rings: [Ring]
    private var run: UnsafeMutablePointer<RunState>?
    /// What happens at this moment and before is complete on all rings.
    private var complete = Ring.Moment.first
    /// The same as far as all senders say so.
    private var said = Ring.Moment.first
    /// The stage has come so far: what happens at this moment and before is through.
    private(set) var done = Ring.Moment.first
    /// The stage is in the middle of a moment, or at the end of the input: nobody goes on behind it before it has taken the rest in, so it
    /// must, whether there is room for what that sends or not.
    private(set) var isWithin = false
    /// The time that all senders have come to, and the latest that timers were told.
    private var reached = Int64.min
    private var told = Int64.min
    /// The time that it is for the stage's timers.
    var now: Int64 { run?.pointee.isFinishing == true ? .min : told }
    private var isEnded = false
    /// The last item's turn.
    private var last = Turn(number: 0, now: .min)

    /// A ring, and what is known of it.
    private struct Lane: BitwiseCopyable {
        /// Not counted: both threads would write the count all the time.
        var ring: Unmanaged<Ring>
        var items: UnsafeMutablePointer<Item>
        var marks: UnsafeMutablePointer<Ring.Mark>
        var times: UnsafeMutablePointer<Ring.Time>
        var mask: Int
        /// The next entry, and the end of those seen.
        var next = 0
        var end = 0
        /// The number of entries taken but not given back.
        var taken = 0
        /// When the last of them came.
        var last = Ring.Moment.first
        /// Which of several equal stages it comes from, and how many there are: each numbers its flows by itself.
        var share: (number: Int32, of: Int32)

        var hasMore: Bool { next != end }
        /// When the next entry comes; of those at one time, the ring of the earliest stage comes first.
        var moment: Ring.Moment {
            let place = next & mask
            return Ring.Moment(of: items + place, marks[place], times + place)
        }
    }

    /// The rings, those of earlier stages first, each with which of several equal stages it comes from.
    init(_ rings: [(ring: Ring, share: (number: Int, of: Int))]) {
        self.rings = rings.map(\.ring)
        lanes = heap(
            rings.map { ring, share in
                Lane(
                    ring: .passUnretained(ring),
                    items: ring.items,
                    marks: ring.marks,
                    times: ring.times,
                    mask: ring.mask,
                    share: (Int32(share.number), Int32(share.of))
                )
            }
        )
        super.init()
    }

    deinit {
        lanes.deallocate()
        edges.deallocate()
    }

    /// The last packet that came in before all stages, once all have ended; nil if there was none.
    var lastOrigin: Origin? {
        done.now == .min ? nil : Origin(time: done.now, sequence: done.order, turn: done.order, now: done.now)
    }

    /// Its items go to this stage.
    func attach(_ instance: Instance) {
        run = instance.run
        edges.deallocate()
        edges = .allocate(capacity: instance.pool.capacity + 1)
    }

    /// Asks whoever has put in nothing how far they have come, if items of the others wait for that.
    func askTheQuiet() {
        guard lanes.contains(where: { $0.hasMore }) else { return }
        for lane in lanes where !lane.hasMore { lane.ring._withUnsafeGuaranteedRef { $0.ask() } }
    }

    /// Whether there is something to do.
    var hasWork: Bool {
        lanes.contains { lane in
            let view = lane.ring._withUnsafeGuaranteedRef { $0.look(from: lane.taken) }
            return view.count > 0 || view.said.now > told || view.isEnded
        }
    }

    override func poll() -> Poll {
        look()
        let next = first()
        if let next, !lanes[next].moment.isEnd { return .ready(max(lanes[next].moment.now, last.now)) }
        // What was taken may be later than what the senders say of themselves.
        done = max(done, said)
        if told < reached {
            told = reached
            return .idle(until: .max)
        }
        // At the end of the input no time passes: timers that are due by then have come, and others never will.
        if next != nil { return .ready(.min) }
        return isEnded ? .ended : .idle(until: .max)
    }

    /// Finds out what has come. Everything taken before is at rest.
    private func look() {
        complete = .end
        said = .end
        isEnded = true
        var latest = Ring.Moment.first
        for k in 0..<lanes.count {
            let view = lanes[k].ring._withUnsafeGuaranteedRef { ring in
                ring.giveBack(lanes[k].taken)
                lanes[k].next = ring.head
                return ring.look(from: 0)
            }
            lanes[k].taken = 0
            lanes[k].end = lanes[k].next &+ view.count
            latest = max(latest, view.said)
            if view.isEnded { continue }
            isEnded = false
            complete = min(complete, view.complete)
            said = min(said, view.said)
        }
        if isEnded { said = latest }
        reached = max(reached, said.now)
    }

    /// How far the stage has come, where its next timer is `due`: those before the next item have fired.
    func done(_ due: Int64) -> Ring.Moment {
        guard let next = first() else { return done }
        let moment = lanes[next].moment
        return moment.isEnd || due <= moment.now ? done : max(done, moment.before)
    }

    /// The ring with the earliest item that is complete.
    @inline(__always)
    private func first() -> Int? {
        var best: Int?
        var moment = complete
        for k in 0..<lanes.count where lanes[k].hasMore {
            let other = lanes[k].moment
            if best == nil ? !(moment < other) : other < moment {
                moment = other
                best = k
            }
        }
        return best
    }

    /// The last moment whose items may be taken from ring `k` now: those of another ring come next. Of one moment, what comes
    /// from an earlier stage comes first.
    @inline(__always)
    private func bound(of k: Int) -> Ring.Moment {
        var bound = complete
        for other in 0..<lanes.count where other != k && lanes[other].hasMore {
            let moment = lanes[other].moment
            bound = min(bound, other > k ? moment : moment.before)
        }
        return bound
    }

    /// Takes items until `max` are taken and their turn is complete. What a run on one thread does at different moments of one turn
    /// is not taken together.
    override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max most: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        var count = 0
        var last = self.last
        var now = Ring.Moment.first
        var isFull = false
        let (items, turns, edges, state) = (pool.items, pool.turns, self.edges, pool.state)
        while !isFull, let k = first() {
            let bound = bound(of: k)
            let lane = lanes[k]
            let (end, share) = (lane.end, lane.share)
            var next = lane.next
            while next != end {
                if share.of == 1 {
                    let many = takeUsual(
                        lane,
                        next,
                        pool,
                        indices,
                        count,
                        most,
                        bound: bound,
                        before: limit,
                        after: &last
                    )
                    if many > 0 {
                        count &+= many
                        next &+= many
                        now = Ring.Moment(now: last.now, order: last.number)
                        lanes[k].last = now
                        if next == end { break }
                    }
                }
                let place = next & lane.mask
                let (item, mark) = (lane.items + place, lane.marks[place])
                // The sender has written those lines, so they are in its cache.
                clinux_prefetch(lane.items + (next &+ RingSource.ahead) & lane.mask)
                var turn = Turn(number: item.pointee.sequence, now: item.pointee.time)
                var moment = Ring.Moment(now: turn.now, order: turn.number)
                if _slowPath(mark.isKept) { (turn, moment) = (lane.times[place].turn, lane.times[place].moment) }
                if bound < moment { break }
                if count > 0 {
                    // What timers caused has the turn of the packet before.
                    isFull =
                        turn.number > last.number
                        ? count >= most || moment.isEnd
                        : moment.now != now.now || mark.isFirst && lanes[k].last == moment
                    isFull = isFull || count >= RingSource.most || moment.now >= limit && !moment.isEnd
                }
                if isFull || state.pointee.take(1, into: indices + count) == 0 {
                    isFull = true
                    break
                }
                let i = Int(indices[count])
                count &+= 1
                next &+= 1
                now = moment
                lanes[k].last = moment
                Ring.copy(item, items + i)
                if share.of > 1, items[i].flow.index >= 0 {
                    items[i].flow.index = items[i].flow.index &* share.of &+ share.number
                }
                edges[i] = mark.edge
                let flags = item.pointee.flags
                if flags.contains(.large) { state.pointee.largeCount += 1 }
                // What a timer caused has the turn of the last packet that its stage saw, and comes after those it did not see.
                if flags.contains(.turnKept) || turn.number < last.number || turn.now < last.now {
                    last = Turn(number: max(turn.number, last.number), now: max(turn.now, last.now))
                    items[i].flags.insert(.turnKept)
                    turns[i] = last
                } else {
                    last = turn
                }
            }
            lanes[k].taken &+= next &- lane.next
            lanes[k].next = next
        }
        if count > 0 {
            self.last = last
            let isCut = first().map { lanes[$0].moment == now } ?? false
            isWithin = isCut || now.isEnd
            if now.isEnd { run?.pointee.isFinishing = true } else { done = isCut ? now.before : now }
        }
        counters.pointee.packets &+= UInt64(truncatingIfNeeded: count)
        return count
    }

    /// Takes items from one ring as long as each begins a turn of its own and nothing has to be done but to copy it, which is so
    /// nearly always; returns how many. Those before are `count`.
    @inline(__always)
    private func takeUsual(
        _ lane: Lane,
        _ first: Int,
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        _ count: Int,
        _ most: Int,
        bound: Ring.Moment,
        before limit: Int64,
        after last: inout Turn
    ) -> Int {
        let most = min(most &- count, lane.end &- first, pool.state.pointee.freeCount)
        let (items, edges, state) = (pool.items, edges, pool.state)
        let unusual: ItemFlags = [.large, .turnKept]
        var turn = last
        var k = 0
        while k < most {
            let place = (first &+ k) & lane.mask
            let (item, mark) = (lane.items + place, lane.marks[place])
            // The sender has written those lines, so they are in its cache.
            clinux_prefetch(lane.items + ((place &+ RingSource.ahead) & lane.mask))
            clinux_prefetch(lane.marks + ((place &+ 4 &* RingSource.ahead) & lane.mask))
            let (number, now) = (item.pointee.sequence, item.pointee.time)
            if mark.isKept || number <= turn.number || now < turn.now || now >= limit { break }
            if bound < Ring.Moment(now: now, order: number) || item.pointee.flags.rawValue & unusual.rawValue != 0 {
                break
            }
            _ = state.pointee.take(1, into: indices + (count &+ k))
            let i = Int(indices[count &+ k])
            Ring.copy(item, items + i)
            edges[i] = mark.edge
            turn = Turn(number: number, now: now)
            k &+= 1
        }
        last = turn
        return k
    }
}

/// Time as the senders of a stage's rings have come to it. There is no waiting: the thread has other stages to look after.
final class RingClock: Clock {
    private let source: RingSource

    init(_ source: RingSource) { self.source = source }

    func wait(until time: Int64) -> Int64? { source.now }
}
