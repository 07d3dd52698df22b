// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Runs a graph as fast as the machine allows, on one thread.
///
/// Batches move along edges that queue, so elements never call each other. In each round a source gives one batch, then
/// the elements run in topological order until every edge is empty; back edges make further rounds.
public final class DirectRuntime {
    /// What is run; its counters can be read afterwards.
    public let instance: Instance
    /// Sees every item that moves along an edge; for taps and traces.
    public var observer: (any RunObserver)? {
        get { watcher }
        set { watcher = newValue }
    }
    /// Asked now and then; true ends the run as if the input had ended.
    public var shouldStop: (() -> Bool)? {
        get { stopAsked }
        set { stopAsked = newValue }
    }
    /// How often an item may cross back edges before it is dropped.
    public static let maximumHops: UInt16 = 64

    // Stored privately, so that no batch pays for an access check.
    private var watcher: (any RunObserver)?
    private var stopAsked: (() -> Bool)?
    private var isObserved = false
    private let batch: Int
    private var sequence: UInt64 = 0
    // What every batch touches, kept here so that it is reached without reference counting.
    private let feeds: UnsafeMutableBufferPointer<Instance.Feed>
    private let unused: UnsafeMutableBufferPointer<Instance.Unused>
    private let backQueues: UnsafeMutableBufferPointer<UnsafeMutablePointer<EdgeQueue>>
    private let nodes: UnsafeMutablePointer<NodeState>
    private let borrowed: UnsafeMutablePointer<Unmanaged<ElementBase>>
    private let items: UnsafeMutablePointer<Item>
    /// Room for one batch, for inputs with several producers and for sources.
    private let scratch: UnsafeMutablePointer<Int32>

    /// Makes a runtime for `instance`, which can be run once.
    public init(_ instance: Instance) {
        self.instance = instance
        batch = instance.options.batch
        feeds = instance.feeds
        unused = instance.unused
        backQueues = instance.backQueues
        nodes = instance.nodes
        borrowed = instance.borrowed
        items = instance.pool.items
        scratch = .allocate(capacity: batch)
    }

    deinit { scratch.deallocate() }

    /// Runs until all sources end; then ends the elements and writes out what they have buffered.
    public func run() throws {
        let sources = instance.spec.nodes.indices.filter { instance.bindings[$0]?.source != nil }
            .map { (number: $0, source: Unmanaged.passUnretained(instance.bindings[$0]!.source!)) }
        isObserved = watcher != nil
        var rounds = 0
        while true {
            // Asked now and then: a signal need not be seen within a batch.
            if rounds & 63 == 0, stopAsked?() == true { break }
            rounds &+= 1
            // The source whose next packet is earliest goes first, up to the next packet of any other.
            var first = -1
            var limit = Int64.max
            var earliest = Int64.max
            for s in sources.indices {
                let next = sources[s].source._withUnsafeGuaranteedRef { $0.nextTime }
                if next < earliest {
                    limit = earliest
                    earliest = next
                    first = s
                } else if next < limit {
                    limit = next
                }
            }
            if first < 0 { break }
            let nextDue = instance.run.pointee.nextDue
            if nextDue <= earliest {
                fireTimers(until: earliest)
                continue
            }
            // A tie between two wires must not stop both.
            if limit == earliest { limit = earliest + 1 }
            let n = sources[first].source._withUnsafeGuaranteedRef {
                $0.fill(instance.pool, scratch, max: batch, before: min(limit, nextDue), sequence: sequence)
            }
            if n == 0 {
                if instance.pool.freeCount > 0 { continue }
                // Everything that could move has moved, so the items are held for good.
                throw RuntimeError.poolExhausted(capacity: instance.pool.capacity)
            }
            sequence &+= UInt64(n)
            receive(n, at: sources[first].number)
            drain()
        }
        finish()
        try instance.flush()
    }

    /// Puts `n` items of `scratch` on the wire's `rx`.
    private func receive(_ n: Int, at wire: Int) {
        let node = instance.nodes + wire
        node.pointee.made &+= UInt64(n)
        let last = instance.pool.items + Int(scratch[n - 1])
        instance.run.pointee.originTime = last.pointee.time
        instance.run.pointee.originSequence = last.pointee.sequence
        let queue = node.pointee.outputs
        (queue.pointee.buffer + queue.pointee.tail).update(from: scratch, count: n)
        queue.pointee.tail &+= n
    }

    /// Runs the elements in order until every edge is empty and every ended flow was told.
    private func drain() {
        repeat {
            while runOnce() {}
        } while deliverEndedFlows()
    }

    /// One round over all elements; true when items wait on back edges.
    private func runOnce() -> Bool {
        for feed in feeds {
            guard let queue = feed.single else {
                deliverMerged(feed.queues, to: feed.node, feed.input)
                continue
            }
            let waiting = queue.pointee.tail &- queue.pointee.head
            if waiting == 0 { continue }
            if waiting <= batch, !isObserved, !queue.pointee.isBack {
                // Nearly always: one batch, and the queue is empty before the element appends to what may be its own.
                let index = queue.pointee.buffer + queue.pointee.head
                queue.pointee.head = queue.pointee.tail
                queue.pointee.moved &+= UInt64(truncatingIfNeeded: waiting)
                process(UnsafePointer(index), waiting, at: feed.node, feed.input)
                if queue.pointee.head == queue.pointee.tail {
                    queue.pointee.head = 0
                    queue.pointee.tail = 0
                    continue
                }
            }
            deliver(queue, to: feed.node, feed.input)
        }
        for unused in unused where unused.queue.pointee.tail != 0 { discard(unused) }
        for queue in backQueues where queue.pointee.head != queue.pointee.tail { return true }
        return false
    }

    /// Drops what was emitted where no edge leads.
    private func discard(_ unused: Instance.Unused) {
        let node = instance.nodes + unused.node
        let queue = unused.queue
        node.pointee.drops[instance.loopReason(unused.node) + 1 + unused.output] &+= UInt64(queue.pointee.tail)
        for k in 0..<queue.pointee.tail { node.pointee.pool.pointee.release(queue.pointee.buffer[k]) }
        queue.pointee.tail = 0
    }

    /// Hands what waits on one edge to its element, a batch at a time.
    ///
    /// An element that feeds itself appends behind that; it is for the next round, in which its hops are counted. So no cycle
    /// goes on for ever, and no queue holds more than the pool has items.
    @inline(never)
    private func deliver(_ queue: UnsafeMutablePointer<EdgeQueue>, to number: Int, _ input: Int) {
        if queue.pointee.isBack { countHops(queue, to: number) }
        let end = queue.pointee.tail
        while queue.pointee.head < end {
            let n = min(batch, end &- queue.pointee.head)
            let index = queue.pointee.buffer + queue.pointee.head
            queue.pointee.head &+= n
            queue.pointee.moved &+= UInt64(n)
            if isObserved { watcher?.moved(Batch(items: items, index: index, count: n), edge: Int(queue.pointee.edge)) }
            handOver(UnsafePointer(index), n, to: number, input)
        }
        moveDown(queue)
    }

    /// Moves what still waits on a queue to its beginning.
    private func moveDown(_ queue: UnsafeMutablePointer<EdgeQueue>) {
        let waiting = queue.pointee.tail &- queue.pointee.head
        if waiting > 0 {
            queue.pointee.buffer.update(from: queue.pointee.buffer + queue.pointee.head, count: waiting)
        }
        queue.pointee.head = 0
        queue.pointee.tail = waiting
    }

    /// Hands over what several edges bring to one input, in origin order, so that branches cannot reorder a flow.
    private func deliverMerged(
        _ queues: UnsafeMutableBufferPointer<UnsafeMutablePointer<EdgeQueue>>,
        to number: Int,
        _ input: Int
    ) {
        for queue in queues {
            if queue.pointee.isBack { countHops(queue, to: number) }
            queue.pointee.end = queue.pointee.tail
        }
        while true {
            var n = 0
            while n < batch {
                var best = -1
                var bestKey: (UInt64, UInt16) = (.max, .max)
                for q in 0..<queues.count where queues[q].pointee.head < queues[q].pointee.end {
                    let queue = queues[q]
                    let item = items + Int(queue.pointee.buffer[queue.pointee.head])
                    let key = (item.pointee.sequence, item.pointee.made)
                    if best < 0 || key < bestKey {
                        best = q
                        bestKey = key
                    }
                }
                if best < 0 { break }
                scratch[n] = queues[best].pointee.buffer[queues[best].pointee.head]
                if isObserved {
                    watcher?.moved(
                        Batch(items: items, index: scratch + n, count: 1),
                        edge: Int(queues[best].pointee.edge)
                    )
                }
                queues[best].pointee.head &+= 1
                queues[best].pointee.moved &+= 1
                n &+= 1
            }
            if n == 0 { break }
            handOver(UnsafePointer(scratch), n, to: number, input)
        }
        for queue in queues { moveDown(queue) }
    }

    /// Counts a back edge for all items that wait on it; those that went round too often are dropped, so no cycle hangs.
    private func countHops(_ queue: UnsafeMutablePointer<EdgeQueue>, to number: Int) {
        let node = instance.nodes + number
        var kept = queue.pointee.head
        for k in queue.pointee.head..<queue.pointee.tail {
            let i = queue.pointee.buffer[k]
            instance.pool.items[Int(i)].hops += 1
            if instance.pool.items[Int(i)].hops <= DirectRuntime.maximumHops {
                queue.pointee.buffer[kept] = i
                kept += 1
            } else {
                node.pointee.entered &+= 1
                queue.pointee.moved &+= 1
                node.pointee.drops[instance.loopReason(number)] &+= 1
                node.pointee.pool.pointee.release(i)
            }
        }
        queue.pointee.tail = kept
    }

    private func handOver(_ index: UnsafePointer<Int32>, _ n: Int, to number: Int, _ input: Int) {
        process(index, n, at: number, input)
        if isObserved { watcher?.worked(number) }
    }

    @inline(__always)
    private func process(_ index: UnsafePointer<Int32>, _ n: Int, at number: Int, _ input: Int) {
        let node = nodes + number
        node.pointee.entered &+= UInt64(truncatingIfNeeded: n)
        let batch = Batch(items: items, index: index, count: n)
        let context = Context(items: items, node: node)
        borrowed[number]._withUnsafeGuaranteedRef { $0.process(batch, from: input, context) }
    }

    /// Tells elements of ended flows; true when there were any.
    private func deliverEndedFlows() -> Bool {
        let run = instance.run
        if run.pointee.endedCount == 0 { return false }
        let origin = (run.pointee.originTime, run.pointee.originSequence)
        var next = 0
        while next < run.pointee.endedCount {
            // Items made for ended flows must not fill the pool, so edges are emptied after each few.
            let end = min(next + batch, run.pointee.endedCount)
            for k in next..<end {
                let ended = run.pointee.ended[k]
                run.pointee.originTime = ended.time
                run.pointee.originSequence = ended.sequence
                var isFirst = true
                for number in instance.subscribers[Int(ended.table)] {
                    // What the flow's end made an element let go comes to the next element before the end does.
                    if !isFirst { while runOnce() {} }
                    isFirst = false
                    instance.elements[number].flowEnded(ended.flow, ended.reason, instance.context(number))
                }
                let table = Int(ended.table)
                instance.elements[table].flowReleased(ended.flow, instance.context(table))
            }
            next = end
            while runOnce() {}
        }
        run.pointee.endedCount = 0
        run.pointee.originTime = origin.0
        run.pointee.originSequence = origin.1
        return true
    }

    /// Fires all timers due at or before `time`, earliest first, and what they arm up to then.
    private func fireTimers(until time: Int64) {
        while let timer = instance.takeTimer(until: time) {
            instance.run.pointee.originTime = timer.due
            instance.elements[timer.number].timer(timer.id, due: timer.due, instance.context(timer.number))
            drain()
        }
    }

    /// The end of input: elements let go of what they hold, upstream first.
    private func finish() {
        for number in instance.shape.order {
            instance.elements[number].finish(instance.context(number))
            drain()
        }
    }
}

/// Watches items on their way; for taps and traces.
public protocol RunObserver: AnyObject {
    /// The items of `batch` were taken off an edge and are about to be handed to the element it leads to.
    func moved(_ batch: Batch, edge: Int)
    /// Element `number` has done its work on what it was handed.
    func worked(_ number: Int)
}

/// Why a run cannot go on.
public enum RuntimeError: Error, CustomStringConvertible {
    case poolExhausted(capacity: Int)
    public var description: String {
        switch self {
        case .poolExhausted(let capacity):
            "elements hold all \(capacity) items of the pool, so no packet can enter; raise --pool or lower what elements hold"
        }
    }
}
