// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The work of one run of a graph, independent of placement: which item met which element, what was counted there, and what
/// left on which edge.
///
/// Replaying it scores any placement on any device without touching a packet again. The work at the end of the input is spread
/// evenly over the packets: under a steady load as many flows end as begin, and no flow waits for the end of the capture to
/// become a record.
public struct Recording: Sendable {
    /// One item at one element.
    struct Visit: BitwiseCopyable, Sendable {
        var node: Int32
        /// The edge it came by; -1 for an arrival or a call.
        var edge: Int32
        /// Index into `counts`.
        var counts: Int32 = 0
        var length: UInt32
        var firstChild: Int32 = -1
        var nextSibling: Int32 = -1
        /// Its position in the order in which visits were made.
        var turn: Int32 = 0
        var headers: UInt16
        var traits: Traits
    }

    /// Properties of the item of a visit.
    struct Traits: OptionSet, BitwiseCopyable, Sendable {
        var rawValue: UInt8
        /// The item is the one that entered at the visit that released it.
        static let same = Traits(rawValue: 1)
        /// It had been held there.
        static let released = Traits(rawValue: 2)
        /// It is held here.
        static let holds = Traits(rawValue: 4)
    }

    /// An arrival, or a call, with its visits.
    struct Root: BitwiseCopyable, Sendable {
        /// Functional time in nanoseconds.
        var time: Int64
        var visit: Int32
        var count: Int32
        var key: UInt32
        var node: Int32
        var isPacket: Bool
        /// The end of a flow of the table `node`.
        var isEnd = false
    }

    /// The flows of a table, for Little's law: how many began, and how long they were there, summed, in nanoseconds.
    struct FlowTimes: Sendable {
        var created = 0.0
        /// From their first packet to their last.
        var open = 0.0
        /// After their last packet; nil if nothing but their table's room limits that.
        var idle: Double? = 0
    }

    /// Packets recorded.
    public private(set) var packets = 0
    /// Bytes of those packets on the wire, before truncation by the capture.
    public private(set) var bytes = 0
    /// The input continued after the recording was full, so this is a prefix.
    public private(set) var isPrefix = false
    /// For each node the memory of its tables and buffers, in bytes.
    let memory: [Int]
    /// For each node the flow counts at the end.
    private(set) var flowCounts: [FlowCounts] = []
    /// For each flow table the times of its flows; nothing of other nodes.
    private(set) var flowTimes: [FlowTimes] = []
    /// Recorded items that elements dropped, whatever the placement; in the order of the graph.
    public private(set) var elementDrops: [(element: String, reason: String, count: UInt64)] = []

    private(set) var visits: [Visit] = []
    private(set) var roots: [Root] = []
    /// The distinct operation counts that occurred, each an array over all operations.
    private(set) var counts: [UInt32] = []
    let spec: GraphSpec
    let shape: GraphShape
    /// For placements with a slow path across the channel: those are run, not replayed. Nil if the graph can have none.
    private(set) var live: LiveExperiment?

    /// The default limit on recorded visits.
    public static let defaultLimit = 1_000_000

    /// Runs the sources of `instance` through its elements, up to about `limit` visits of elements.
    ///
    /// Throws what elements throw when they are flushed, and ``ModelError/stopped`` if `shouldStop` returned true. Calls `progress` now
    /// and then.
    public init(
        _ instance: Instance,
        limit: Int = Recording.defaultLimit,
        progress: (ModelStep) -> Void = { _ in },
        shouldStop: StopQuestion? = nil
    ) throws {
        spec = instance.spec
        shape = instance.shape
        memory = instance.elements.map(\.memoryBytes)
        let traffic = Recording.mayHaveSlowPath(instance) ? CapturedTraffic() : nil
        live = traffic.map { LiveExperiment(instance, $0) }
        try withoutActuallyEscaping(progress) { progress in
            // Visits are indexed by 32-bit numbers.
            let recorder = Recorder(
                instance,
                limit: min(max(1, limit), 1 << 30),
                traffic: traffic,
                progress: progress
            )
            try recorder.run(shouldStop)
            roots = recorder.spreadRoots()
            visits = recorder.visits
            counts = recorder.table.counts
            packets = recorder.packets
            bytes = recorder.bytes
            isPrefix = recorder.isPrefix
            flowCounts = instance.elements.map(\.flowCounts)
            flowTimes = flowCounts.indices.map { recorder.lives[$0].times(flowCounts[$0]) }
        }
        traffic?.finish()
        live?.recorded = LiveExperiment.counts(instance)
        elementDrops = spec.nodes.indices.flatMap { number in
            let counts = instance.counts(number)
            return counts.drops.map { (counts.name, $0.reason, $0.count) }
        }
    }

    /// Whether some placement can lead a cycle across the channel.
    private static func mayHaveSlowPath(_ instance: Instance) -> Bool {
        let (nodes, shape) = (instance.spec.nodes, instance.shape)
        return (0..<shape.cycles).contains { cycle in
            let pins = nodes.indices.filter { shape.cycle[$0] == cycle }.map { nodes[$0].pin?.side }
            return pins.contains(nil) || Set(pins).count > 1
        }
    }

    /// Functional time from the first to the last packet, and the mean gap between packets, in nanoseconds.
    var span: (length: Int64, gap: Int64) {
        let times = roots.lazy.filter(\.isPacket).map(\.time)
        guard let first = times.first, let last = roots.last(where: \.isPacket)?.time else { return (0, 1) }
        let length = last &- first
        return (length, max(1, length / Int64(max(1, packets - 1))))
    }
}

/// Makes a recording: it observes a direct run in which one packet follows the other.
private final class Recorder: RunObserver {
    private let instance: Instance
    private(set) var visits: [Recording.Visit] = []
    private(set) var roots: [Recording.Root] = []
    private(set) var table = CountTable()
    private(set) var packets = 0
    private(set) var bytes = 0
    private(set) var isPrefix = false
    /// For each node the flows in it, if it is a table.
    private(set) var lives: [FlowLives]
    private let limit: Int
    private let traffic: CapturedTraffic?
    private let progress: (ModelStep) -> Void
    private var turns: Int32 = 0
    /// Where in `roots` the work at the end of the input begins; nil before.
    private var firstEnding: Int?
    private var ticks: OperationTicks
    private let key = FlowKey.spreadKey
    private var keys = ArrivalKeys()
    /// For each item of the pool the visit that it is heading for.
    private var visitOf: [Int32]
    /// The identity of each pool item when it was last held: its place in the order of items shows whether it is still the
    /// same.
    private var held: [(sequence: UInt64, made: UInt32)]
    /// The current visit, its item (-1 for a call), and the last child it released.
    private var visit: Int32 = -1
    private var item: Int32 = -1
    private var lastChild: Int32 = -1
    /// Calls announced but not yet made.
    private var nextCall: Int32 = 0
    /// Items released at the end of a flow are processed between the calls, so these are kept until their turn.
    private var calls: [Int32] = []

    init(
        _ instance: Instance,
        limit: Int,
        traffic: CapturedTraffic?,
        progress: @escaping (ModelStep) -> Void
    ) {
        self.instance = instance
        self.traffic = traffic
        self.limit = limit
        self.progress = progress
        lives = instance.spec.nodes.map { FlowLives(isTable: $0.element.flowCapacity != nil) }
        ticks = OperationTicks(instance)
        visitOf = Array(repeating: -1, count: instance.pool.capacity + 1)
        held = Array(repeating: (.max, .max), count: instance.pool.capacity + 1)
    }

    func run(_ userStops: StopQuestion?) throws {
        let runtime = DirectRuntime(instance)
        runtime.observer = self
        runtime.shouldStop = { [unowned self] in
            if userStops?() == true { return true }
            if visits.count < limit { return false }
            isPrefix = instance.bindings.values.contains { $0.source.map { $0.poll() != .ended } ?? false }
            return true
        }
        try runtime.run()
        if userStops?() == true { throw ModelError.stopped }
    }

    // MARK: Events

    let mostPackets = 1

    func received(_ i: Int32, at wire: Int, edge: Int) {
        let item = instance.pool[i]
        let length = item.layout == 0 ? max(item.wireLength, item.length) : item.length
        if packets & 1023 == 0 { progress(.recorded(packets: packets)) }
        packets += 1
        bytes += Int(length)
        let facts = keys.take(item)
        let now = instance.pool.now(i)
        traffic?.append(item, now: now, wire: wire, key: order(item, key).key)
        roots.append(
            Recording.Root(
                time: now,
                visit: Int32(visits.count),
                count: 1,
                key: facts.key,
                node: Int32(wire),
                isPacket: true
            )
        )
        begin(Int32(visits.count), i)
        visits.append(
            Recording.Visit(node: Int32(wire), edge: -1, length: length, headers: facts.headers, traits: .same)
        )
        if edge >= 0 { emitted(i, edge: edge) }
        worked(wire)
    }

    func moved(_ batch: Batch, edge: Int) { begin(visitOf[Int(batch.index[0])], batch.index[0]) }

    func began(_ call: RunCall, _ numbers: [Int]) {
        let time: Int64
        let key: UInt32
        var isEnd = false
        switch call {
        case .timer(let due): (time, key) = (due, timerKey(numbers[0]))
        case .ended(let flow):
            (time, key) = (flow.origin.now, flow.key)
            isEnd = true
            lives[Int(flow.table)].ended(flow)
        case .finish:
            (time, key) = (roots.last(where: \.isPacket)?.time ?? 0, timerKey(numbers[0]))
            firstEnding = firstEnding ?? roots.count
        }
        roots.append(
            Recording.Root(
                time: time,
                visit: Int32(visits.count),
                count: Int32(numbers.count),
                key: key,
                // A table announces the ends of its flows.
                node: Int32(numbers[numbers.count - 1]),
                isPacket: false,
                isEnd: isEnd
            )
        )
        calls.removeAll(keepingCapacity: true)
        for number in numbers {
            calls.append(Int32(visits.count))
            visits.append(Recording.Visit(node: Int32(number), edge: -1, length: 0, headers: 0, traits: []))
        }
        nextCall = 0
    }

    func called(_ number: Int) {
        begin(calls[Int(nextCall)], -1)
        nextCall += 1
    }

    private func begin(_ visit: Int32, _ item: Int32) {
        self.visit = visit
        self.item = item
        lastChild = -1
    }

    func emitted(_ i: Int32, edge: Int) {
        let item = instance.pool[i]
        let isPacket = item.layout == 0
        let length = isPacket ? max(item.wireLength, item.length) : item.length
        let isSame = i == self.item
        let number = Int32(visits.count)
        let from = instance.spec.edges[edge]
        if lives[from.from].isTable, from.output != instance.spec.nodes[from.from].type.slowOutput {
            lives[from.from].saw(item.flow, item.time)
        }
        visits.append(
            Recording.Visit(
                node: Int32(instance.spec.edges[edge].to),
                edge: Int32(edge),
                length: length,
                headers: isSame
                    ? visits[Int(visit)].headers : isPacket ? order(item, key).headers : UInt16(clamping: length),
                traits: isSame ? .same : wasHeld(i) ? .released : []
            )
        )
        if lastChild < 0 { visits[Int(visit)].firstChild = number } else { visits[Int(lastChild)].nextSibling = number }
        lastChild = number
        visitOf[Int(i)] = number
    }

    /// Whether a leaving item is one that its element had held; clears that.
    private func wasHeld(_ i: Int32) -> Bool {
        let item = instance.pool[i]
        let before = held[Int(i)]
        if before.sequence != item.sequence || before.made != UInt32(item.made) { return false }
        held[Int(i)] = (.max, .max)
        return true
    }

    func worked(_ number: Int) {
        visits[Int(visit)].counts = Int32(ticks.take(number) { table.index(of: $0, $1) })
        visits[Int(visit)].turn = turns
        turns += 1
        if item < 0 { return }
        let item = instance.pool[item]
        guard visits[Int(visit)].edge >= 0, item.isHeld else { return }
        visits[Int(visit)].traits.insert(.holds)
        held[Int(self.item)] = (item.sequence, UInt32(item.made))
    }

    // MARK: The end of the input

    /// The roots in replay order: those of the end of input are spread evenly between the packets.
    func spreadRoots() -> [Recording.Root] {
        let firstEnding = firstEnding ?? roots.count
        // Most elements have nothing to do at the end.
        var endings = roots[firstEnding...].filter { root in
            visits[Int(root.visit)..<Int(root.visit + root.count)].contains {
                $0.firstChild >= 0 || table.hasCounts($0.counts)
            }
        }
        endings = endings.flatMap { apart($0) }
        var spread: [Recording.Root] = []
        spread.reserveCapacity(firstEnding + endings.count)
        var seen = 0
        var placed = 0
        var time: Int64 = 0
        func place(upTo n: Int) {
            while placed < n {
                var ending = endings[placed]
                ending.time = time
                spread.append(ending)
                placed += 1
            }
        }
        for root in roots[..<firstEnding] {
            if root.isPacket {
                place(upTo: endings.count * seen / max(1, packets))
                seen += 1
                time = root.time
            }
            spread.append(root)
        }
        place(upTo: endings.count)
        return spread
    }

    /// Items that an element releases at the end of the input it would release gradually if the input went on: so each item
    /// gets its own call.
    private func apart(_ root: Recording.Root) -> [Recording.Root] {
        guard root.count == 1, visits[Int(root.visit)].firstChild >= 0 else { return [root] }
        var calls = [root]
        var child = visits[Int(root.visit)].firstChild
        while visits[Int(child)].nextSibling >= 0 {
            let next = visits[Int(child)].nextSibling
            visits[Int(child)].nextSibling = -1
            var visit = visits[Int(root.visit)]
            visit.counts = Int32(table.indexOfNone)
            visit.firstChild = next
            var call = root
            call.visit = Int32(visits.count)
            visits.append(visit)
            calls.append(call)
            child = next
        }
        return calls
    }
}

/// The flows of one table while a run is recorded.
private struct FlowLives {
    let isTable: Bool
    /// The first and the last packet of those in it, by reference.
    private var present: [UInt64: (first: Int64, last: Int64)] = [:]
    private var open = 0.0
    /// After the last packet, of those that a packet or a command ended; how many those are.
    private var cut = 0.0
    private var cutCount = 0.0

    init(isTable: Bool) { self.isTable = isTable }

    private func number(_ flow: FlowRef) -> UInt64 {
        UInt64(UInt32(bitPattern: flow.index)) << 32 | UInt64(flow.generation)
    }

    mutating func saw(_ flow: FlowRef, _ time: Int64) {
        if flow.index < 0 { return }
        let first = present[number(flow)]?.first ?? time
        present[number(flow)] = (first, max(time, first))
    }

    mutating func ended(_ flow: EndedFlow) {
        guard let life = present.removeValue(forKey: number(flow.flow)) else { return }
        open += Double(life.last &- life.first)
        switch flow.reason {
        case .reused, .finished, .reset:
            cut += Double(max(0, flow.origin.time &- life.last))
            cutCount += 1
        // One that was evicted would have stayed in a table with room for it; so would one that is there at the end.
        case .idle, .evicted, .eof: break
        }
    }

    /// The times of all flows so far.
    func times(_ counts: FlowCounts) -> Recording.FlowTimes {
        var times = Recording.FlowTimes(created: Double(counts.created), open: open)
        for life in present.values { times.open += Double(life.last &- life.first) }
        let rest = max(0, times.created - cutCount)
        times.idle = counts.stays == 0 && rest > 0 ? nil : cut + rest * Double(counts.stays)
        return times
    }
}

/// Distinct operation counts, each stored once.
private struct CountTable {
    private(set) var counts: [UInt32] = []
    private var slots: [Int32] = Array(repeating: -1, count: 1024)
    private let width = Operation.allCases.count

    /// The index of empty counts.
    var indexOfNone: Int { mutating get { withUnsafePointer(to: OperationCount()) { index(of: $0, 0) } } }

    mutating func index(of given: UnsafePointer<OperationCount>, _ n: Int) -> Int {
        let first = counts.count
        for _ in 0..<width { counts.append(0) }
        for k in 0..<n { counts[first + Int(given[k].operation)] = UInt32(clamping: given[k].count) }
        var hash: UInt64 = 0
        for k in 0..<width { hash = mix64(hash ^ UInt64(counts[first + k])) }
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] >= 0 {
            let known = Int(slots[slot])
            if (0..<width).allSatisfy({ counts[known * width + $0] == counts[first + $0] }) {
                counts.removeLast(width)
                return known
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        let index = first / width
        slots[slot] = Int32(index)
        if (index + 1) * 2 > slots.count { grow() }
        return index
    }

    /// Whether anything was counted.
    func hasCounts(_ index: Int32) -> Bool {
        counts[Int(index) * width..<(Int(index) + 1) * width].contains { $0 > 0 }
    }

    private mutating func grow() {
        slots = Array(repeating: -1, count: slots.count * 2)
        for index in 0..<counts.count / width {
            var hash: UInt64 = 0
            for k in 0..<width { hash = mix64(hash ^ UInt64(counts[index * width + k])) }
            var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = Int32(index)
        }
    }
}
