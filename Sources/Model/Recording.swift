// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The work of one run of a graph, which does not depend on where elements are placed: which item met which element,
/// what was counted there, and what left on which edge.
///
/// Replaying it scores any placement on any device without touching a packet again. What elements do at the end of the
/// input is spread evenly over the packets: under a steady load as many flows end as begin, and no flow waits for the end of
/// the capture to become a record.
public struct Recording: Sendable {
    /// One item at one element.
    struct Visit: BitwiseCopyable, Sendable {
        var node: Int32
        /// The edge it came by; -1 for an arrival or a call.
        var edge: Int32
        /// Which of `counts`.
        var counts: Int32 = 0
        var length: UInt32
        var firstChild: Int32 = -1
        var nextSibling: Int32 = -1
        /// Its place in the order in which visits were made.
        var turn: Int32 = 0
        var headers: UInt16
        var traits: Traits
    }

    /// What a visit was of.
    struct Traits: OptionSet, BitwiseCopyable, Sendable {
        var rawValue: UInt8
        /// The item is the one that came in before, at the visit that let it go.
        static let same = Traits(rawValue: 1)
        /// It had been held there.
        static let released = Traits(rawValue: 2)
        /// It is held here.
        static let holds = Traits(rawValue: 4)
    }

    /// An arrival, or a call with the visits it makes.
    struct Root: BitwiseCopyable, Sendable {
        /// Functional time in nanoseconds.
        var time: Int64
        var visit: Int32
        var count: Int32
        var key: UInt32
        var node: Int32
        var isPacket: Bool
    }

    /// Packets recorded.
    public private(set) var packets = 0
    /// Bytes of those packets as they were before capturing cut them.
    public private(set) var bytes = 0
    /// The input went on when the recording was full: it is a prefix.
    public private(set) var isPrefix = false
    /// For each node the bytes of its tables and buffers.
    let memory: [Int]
    /// For each flow table the most flows that it held at one time; -1 for all other nodes.
    private(set) var flowPeaks: [Int] = []
    /// For each node what flow tables held at the end.
    private(set) var flowCounts: [FlowCounts] = []
    /// What elements dropped of the recorded items, wherever they are placed; in the order of the graph.
    public private(set) var elementDrops: [(element: String, reason: String, count: UInt64)] = []

    private(set) var visits: [Visit] = []
    private(set) var roots: [Root] = []
    /// The different counts of operations that occurred, each as long as there are operations.
    private(set) var counts: [UInt32] = []
    let spec: GraphSpec
    let shape: GraphShape

    /// Visits kept at most, unless told otherwise.
    public static let defaultLimit = 1_000_000

    /// Runs the sources of `instance` through its elements, up to about `limit` visits of elements.
    ///
    /// Throws ``RuntimeError`` when elements hold all items of the pool. `progress` is told now and then how far it is.
    public init(
        _ instance: Instance,
        limit: Int = Recording.defaultLimit,
        progress: (ModelStep) -> Void = { _ in }
    ) throws {
        spec = instance.spec
        shape = instance.shape
        memory = instance.elements.map(\.memoryBytes)
        var recorder = Recorder(instance)
        // Visits are named by 32-bit numbers.
        try recorder.run(min(max(1, limit), 1 << 30), progress)
        roots = recorder.spreadRoots()
        visits = recorder.visits
        counts = recorder.table.counts
        packets = recorder.packets
        bytes = recorder.bytes
        isPrefix = recorder.isPrefix
        flowPeaks = recorder.flowPeaks
        flowCounts = instance.elements.map(\.flowCounts)
        elementDrops = spec.nodes.indices.flatMap { number in
            let counts = instance.counts(number)
            return counts.drops.map { (counts.name, $0.reason, $0.count) }
        }
    }

    /// Functional time from the first to the last packet, and the mean distance of packets, in nanoseconds.
    var span: (length: Int64, gap: Int64) {
        let times = roots.lazy.filter(\.isPacket).map(\.time)
        guard let first = times.first, let last = roots.last(where: \.isPacket)?.time else { return (0, 1) }
        let length = last &- first
        return (length, max(1, length / Int64(max(1, packets - 1))))
    }
}

/// Makes a recording.
private struct Recorder: ~Copyable {
    private var elements: ElementCalls
    private let instance: Instance
    private(set) var visits: [Recording.Visit] = []
    private(set) var roots: [Recording.Root] = []
    private(set) var table = CountTable()
    private(set) var packets = 0
    private(set) var bytes = 0
    private(set) var isPrefix = false
    private(set) var flowPeaks: [Int]
    private var tables: [Int]
    private var turns: Int32 = 0
    /// Where in `roots` the work at the end of the input begins.
    private var firstEnding = 0
    /// Visits to be made, in their order.
    private var pending: [(visit: Int32, child: Child)] = []
    private var nextPending = 0

    init(_ instance: Instance) {
        self.instance = instance
        elements = ElementCalls(instance)
        tables = instance.spec.nodes.indices.filter { instance.spec.nodes[$0].element.flowCapacity != nil }
        flowPeaks = Array(repeating: -1, count: instance.spec.nodes.count)
    }

    mutating func run(_ limit: Int, _ progress: (ModelStep) -> Void) throws {
        try runPackets(limit, progress)
        firstEnding = roots.count
        let time = roots.last(where: \.isPacket)?.time ?? 0
        for number in instance.shape.order {
            begin(time: time, key: timerKey(number), [number], at: number)
            call(.finish, roots[roots.count - 1])
            drain()
        }
    }

    /// The roots in the order of replay: those of the end of input stand evenly between the packets.
    mutating func spreadRoots() -> [Recording.Root] {
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

    /// What an element lets go at the end of the input it would let go bit by bit if the input went on: so each item has a call of its
    /// own.
    private mutating func apart(_ root: Recording.Root) -> [Recording.Root] {
        guard root.count == 1, visits[Int(root.visit)].firstChild >= 0 else { return [root] }
        var calls = [root]
        var child = visits[Int(root.visit)].firstChild
        while visits[Int(child)].nextSibling >= 0 {
            let next = visits[Int(child)].nextSibling
            visits[Int(child)].nextSibling = -1
            var visit = visits[Int(root.visit)]
            visit.counts = Int32(table.index(of: elements.counts.base, 0))
            visit.firstChild = next
            var call = root
            call.visit = Int32(visits.count)
            visits.append(visit)
            calls.append(call)
            child = next
        }
        return calls
    }

    private mutating func runPackets(_ limit: Int, _ progress: (ModelStep) -> Void) throws {
        while elements.nextTime < .max {
            if visits.count >= limit {
                isPrefix = true
                return
            }
            let time = elements.nextTime
            if elements.step.nextDue <= time {
                guard let timer = elements.step.takeTimer(until: time) else { continue }
                begin(time: timer.due, key: timerKey(timer.number), [timer.number], at: timer.number)
                call(.timer(id: timer.id, due: timer.due), roots[roots.count - 1])
                drain()
                continue
            }
            guard let (item, wire, key, headers) = elements.arrive() else {
                throw RuntimeError.poolExhausted(capacity: instance.pool.capacity)
            }
            let length = elements.length(of: item)
            if packets & 1023 == 0 { progress(.recorded(packets: packets)) }
            packets += 1
            bytes += Int(length)
            let visit = Int32(visits.count)
            roots.append(
                Recording.Root(
                    time: time,
                    visit: visit,
                    count: 1,
                    key: key,
                    node: Int32(wire),
                    isPacket: true
                )
            )
            visits.append(
                Recording.Visit(node: Int32(wire), edge: -1, length: length, headers: headers, traits: .same)
            )
            let n = elements.receive(item, at: wire)
            note(visit, n)
            drain()
            for table in tables { flowPeaks[table] = max(flowPeaks[table], instance.elements[table].flowCounts.now) }
        }
    }

    /// Notes a call to some elements.
    private mutating func begin(time: Int64, key: UInt32, _ nodes: [Int], at node: Int) {
        roots.append(
            Recording.Root(
                time: time,
                visit: Int32(visits.count),
                count: Int32(nodes.count),
                key: key,
                node: Int32(node),
                isPacket: false
            )
        )
        for number in nodes {
            visits.append(Recording.Visit(node: Int32(number), edge: -1, length: 0, headers: 0, traits: []))
        }
    }

    private mutating func call(_ call: ElementCalls.Call, _ root: Recording.Root) {
        for visit in root.visit..<root.visit + root.count {
            let n = elements.make(call, of: Int(visits[Int(visit)].node))
            note(visit, n)
            // What it let go comes to the next element before the call does.
            runAll()
        }
    }

    /// Runs until nothing is on an edge and all ends of flows were told.
    private mutating func drain() {
        runAll()
        while elements.step.hasEndedFlows {
            var ended: [EndedFlow] = []
            elements.step.takeEndedFlows { ended.append($0) }
            for flow in ended {
                let table = Int(flow.table)
                begin(time: flow.time, key: flow.key, elements.step.told(by: table), at: table)
                call(.ended(flow), roots[roots.count - 1])
                runAll()
            }
        }
    }

    private mutating func runAll() {
        while nextPending < pending.count {
            let (visit, child) = pending[nextPending]
            nextPending += 1
            let n = elements.process(child.ref, on: child.edge, child.order)
            note(visit, n)
        }
        pending.removeAll(keepingCapacity: true)
        nextPending = 0
    }

    /// Notes what a visit counted and let go.
    private mutating func note(_ visit: Int32, _ n: Int) {
        let node = Int(visits[Int(visit)].node)
        let counted = elements.takeCounts(node)
        visits[Int(visit)].counts = Int32(table.index(of: elements.counts.base, counted))
        visits[Int(visit)].turn = turns
        if elements.holds { visits[Int(visit)].traits.insert(.holds) }
        turns += 1
        var last: Int32 = -1
        for k in 0..<n {
            let child = elements.children[k]
            let number = Int32(visits.count)
            visits.append(
                Recording.Visit(
                    node: elements.node(at: child.edge),
                    edge: child.edge,
                    length: child.length,
                    headers: child.headers,
                    traits: child.isSame ? .same : child.isReleased ? .released : []
                )
            )
            if last < 0 { visits[Int(visit)].firstChild = number } else { visits[Int(last)].nextSibling = number }
            last = number
            // Mostly it comes last.
            var at = pending.count
            while at > nextPending, child.order < pending[at - 1].child.order { at -= 1 }
            pending.insert((number, child), at: at)
        }
    }
}

/// Counts of operations, each different one once.
private struct CountTable {
    private(set) var counts: [UInt32] = []
    private var slots: [Int32] = Array(repeating: -1, count: 1024)
    private let width = Operation.allCases.count

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
