// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The wires that packets come in by, and the order in which they do: the source whose next packet is earliest goes first. Both
/// runtimes take their packets here.
public struct Inlets: ~Copyable {
    private struct Inlet {
        /// The wire.
        var node: Int
        var source: Unmanaged<PacketSource>
    }

    private let instance: Instance
    private let inlets: [Inlet]
    /// The inlet of the packet that is next.
    private var first = -1
    /// Packets that came in, lost ones too: the number of the next.
    private var sequence: UInt64 = 0

    /// The sources that the wires of `instance` are bound to.
    public init(_ instance: Instance) {
        self.instance = instance
        inlets = instance.spec.nodes.indices.compactMap { node in
            instance.bindings[node]?.source.map { Inlet(node: node, source: .passUnretained($0)) }
        }
    }

    /// The wire of the packet that is next.
    public var wire: Int { inlets[first].node }

    /// What comes next, and until when it is the first of all: a packet of another wire is next at `limit`.
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

    /// Takes up to `max` packets of the wire that is next, earlier than `limit`, into items of the pool; returns how many. When
    /// no item is free, the next packet is dropped and counted at the wire as `no_items`.
    public mutating func take(_ max: Int, before limit: Int64, into indices: UnsafeMutablePointer<Int32>) -> Int {
        let inlet = inlets[first]
        let pool = instance.pool
        if pool.freeCount == 0 {
            drop(inlet, before: limit, indices)
            return 0
        }
        let n = inlet.source._withUnsafeGuaranteedRef {
            $0.fill(pool, indices, max: max, before: limit, sequence: sequence)
        }
        sequence &+= UInt64(truncatingIfNeeded: n)
        return n
    }

    /// Packets dropped since the run began because no item was free.
    public private(set) var dropped: UInt64 = 0

    private mutating func drop(_ inlet: Inlet, before limit: Int64, _ indices: UnsafeMutablePointer<Int32>) {
        instance.pool.lendReserve()
        let n = inlet.source._withUnsafeGuaranteedRef {
            $0.fill(instance.pool, indices, max: 1, before: limit, sequence: sequence)
        }
        instance.pool.takeReserveBack()
        if n == 0 { return }
        sequence &+= 1
        dropped &+= 1
        instance.nodes[inlet.node].made &+= 1
        instance.nodes[inlet.node].drops[Wire.Drop.noItems.rawValue] &+= 1
    }
}
