// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The source of a wire's packets: a capture file, later an interface or a workload.
open class PacketSource {
    /// Packets supplied so far.
    public final var packets: UInt64 { counters.pointee.packets }
    /// Bytes of those packets, as on the wire.
    public final var bytes: UInt64 { counters.pointee.bytes }
    /// Packets with a stamp before the functional time, which stood still for them.
    public final var backwards: UInt64 { counters.pointee.backwards }
    /// Packets with a stamp too far ahead for functional time to follow (``StampClock``).
    public final var ahead: UInt64 { counters.pointee.ahead }
    /// Packets whose stamp cannot be held in 64 bits of nanoseconds since 1970, which end in 2262: they got the nearest.
    public final var clamped: UInt64 { counters.pointee.clamped }
    /// Counters in separate memory, so that a source updates them without exclusivity checks.
    public final let counters: UnsafeMutablePointer<Counters>

    /// A source's counters, updated while it is read.
    @frozen
    public struct Counters: Sendable {
        /// Packets supplied so far.
        public var packets: UInt64 = 0
        /// Bytes of those packets, as on the wire.
        public var bytes: UInt64 = 0
        /// Packets with a stamp before the functional time, which stood still for them.
        public var backwards: UInt64 = 0
        /// Packets with a stamp too far ahead for functional time to follow.
        public var ahead: UInt64 = 0
        /// Packets that got the nearest stamp that can be held.
        public var clamped: UInt64 = 0
        public init() {}
    }

    public init() {
        counters = .allocate(capacity: 1)
        counters.initialize(to: Counters())
    }

    deinit { counters.deallocate() }

    /// Functional time of the next packet, which need not be its stamp (``StampClock``, ``Pool/enter(_:at:)``): never less than that of the last; ``Int64/max`` at the end. For sources that always
    /// know it.
    open var nextTime: Int64 { .max }

    /// The source's state. Sources that can be idle override this.
    open func poll() -> Poll {
        let time = nextTime
        return time == .max ? .ended : .ready(time)
    }

    /// Takes up to `max` items from `pool`, initialises them with the next packets earlier than `limit`, and writes their
    /// indices to `indices`; their sequences count up from `sequence`. Returns how many; 0 at the end, if the pool is empty, or
    /// if the next packet is not before `limit`.
    open func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int { 0 }

    /// The error that ended the source early; nil if there was none.
    open var failure: (any Error)? { nil }

    /// How much of its input a source has read, and how much there is, in bytes; nil if that is not known.
    open var share: (done: Int, all: Int)? { nil }

    /// Packets by link type, in order of its number.
    open var linkTypes: [(linkType: UInt16, packets: UInt64)] { [] }
}

/// What a wire is bound to in a run.
public struct WireBinding {
    /// The source of its packets; nil if none come in.
    public var source: PacketSource?
    /// The destination of packets sent to it; nil to only count them.
    public var destination: (any PacketDestination)?
    public init(source: PacketSource?, destination: (any PacketDestination)? = nil) {
        self.source = source
        self.destination = destination
    }
}
