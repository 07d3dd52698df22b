// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The wires by which packets enter, and their order: the source with the earliest next packet goes first. Both runtimes take
/// their packets here.
public struct Inlets: ~Copyable {
    private struct Inlet: BitwiseCopyable {
        /// The wire.
        var node: Int
        var source: Unmanaged<PacketSource>
    }

    // Reached by pointer, as it is used for every batch. The instance owns the objects they point to.
    private let inlets: UnsafeMutableBufferPointer<Inlet>
    private let pool: Unmanaged<Pool>
    private let free: UnsafeMutablePointer<PoolState>
    private let run: UnsafeMutablePointer<RunState>
    private let nodes: UnsafeMutablePointer<NodeState>
    /// The inlet with the next packet.
    private var first = -1

    /// The sources bound to the wires of `instance`, which must outlive it.
    public init(_ instance: Instance) {
        inlets = heap(
            instance.spec.nodes.indices.compactMap { node in
                instance.bindings[node]?.source.map { Inlet(node: node, source: .passUnretained($0)) }
            }
        )
        pool = .passUnretained(instance.pool)
        free = instance.pool.state
        run = instance.run
        nodes = instance.nodes
    }

    deinit { inlets.deallocate() }

    /// The wire of the next packet.
    public var wire: Int { inlets[first].node }

    /// The state of the earliest source, and the time at which a packet of another wire comes first.
    public mutating func poll() -> (next: Poll, limit: Int64) {
        first = -1
        var limit = Int64.max
        var earliest = Int64.max
        var idle: Int64?
        for k in 0..<inlets.count {
            switch inlets[k].source._withUnsafeGuaranteedRef({ $0.poll() }) {
            case .ready(let time):
                if first < 0 || time < earliest {
                    if first >= 0 { limit = earliest }
                    earliest = time
                    first = k
                } else if time < limit {
                    limit = time
                }
            case .idle(let until): idle = min(idle ?? .max, until)
            case .ended: break
            }
        }
        if first < 0 { return (idle.map { .idle(until: $0) } ?? .ended, .max) }
        // A tie between two wires must not stop both.
        if limit == earliest, limit < .max { limit += 1 }
        return (.ready(earliest), limit)
    }

    /// Takes up to `max` packets of the next wire, earlier than `limit`, into items of the pool; returns how many. If no item
    /// is free, the next packet is dropped and counted at the wire as `no_items`.
    public mutating func take(_ max: Int, before limit: Int64, into indices: UnsafeMutablePointer<Int32>) -> Int {
        if free.pointee.freeCount == 0 {
            drop(before: limit, indices)
            return 0
        }
        return fill(max, before: limit, into: indices)
    }

    /// Tells of packets that were left to other threads, behind or between those just taken: time has come to the last of them.
    @inline(__always)
    func notePassed() {
        let counters = inlets[first].source._withUnsafeGuaranteedRef { $0.counters }
        if counters.pointee.passed == 0 { return }
        let (number, time) = (run.pointee.arrived &- 1, counters.pointee.last)
        run.pointee.origin = Origin(time: time, sequence: number, turn: number, now: time)
    }

    @inline(__always)
    private func fill(_ max: Int, before limit: Int64, into indices: UnsafeMutablePointer<Int32>) -> Int {
        inlets[first].source._withUnsafeGuaranteedRef { source in
            let n = pool._withUnsafeGuaranteedRef {
                source.fill($0, indices, max: max, before: limit, sequence: run.pointee.arrived)
            }
            run.pointee.arrived &+= UInt64(truncatingIfNeeded: n) &+ source.counters.pointee.passed
            return n
        }
    }

    @inline(never)
    private mutating func drop(before limit: Int64, _ indices: UnsafeMutablePointer<Int32>) {
        let pool = pool.takeUnretainedValue()
        pool.lendReserve()
        let n = fill(1, before: limit, into: indices)
        pool.takeReserveBack()
        if n == 0 { return }
        let node = nodes + inlets[first].node
        node.made &+= 1
        node.drops[Wire.Drop.noItems.rawValue] &+= 1
    }
}
