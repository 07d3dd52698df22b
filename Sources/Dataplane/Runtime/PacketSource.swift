// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Where the packets of a wire come from: a capture file, later an interface or a workload.
open class PacketSource {
    /// Packets given so far.
    public final var packets: UInt64 { counters.pointee.packets }
    /// Bytes of those packets as they were on the wire.
    public final var bytes: UInt64 { counters.pointee.bytes }
    /// Packets whose stamp lay before that of an earlier packet; they were given the earlier one's time.
    public final var backwards: UInt64 { counters.pointee.backwards }
    /// Counters in memory of their own, so that a source updates them without access checks.
    public final let counters: UnsafeMutablePointer<Counters>

    /// Counters of a source, which grow while it is read.
    @frozen
    public struct Counters: Sendable {
        /// Packets given so far.
        public var packets: UInt64 = 0
        /// Bytes of those packets, as on the wire.
        public var bytes: UInt64 = 0
        /// Packets that were given an earlier one's time, because their stamp lay before it.
        public var backwards: UInt64 = 0
        public init() {}
    }

    public init() {
        counters = .allocate(capacity: 1)
        counters.initialize(to: Counters())
    }

    deinit { counters.deallocate() }

    /// Functional time of the next packet, never less than that of the last; ``Int64/max`` at the end. For sources that always know
    /// it.
    open var nextTime: Int64 { .max }

    /// What comes next. Sources that can be idle override it.
    open func poll() -> Poll {
        let time = nextTime
        return time == .max ? .ended : .ready(time)
    }

    /// Takes up to `max` items from `pool`, sets them to the next packets whose time is before `limit`, and writes their
    /// indices to `indices`; their sequences count up from `sequence`. Returns how many; 0 at the end, when the
    /// pool is empty, or when the next packet is not before `limit`.
    open func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int { 0 }

    /// Why the source ended before its natural end; nil when it did not.
    open var failure: (any Error)? { nil }

    /// Packets by link type, in order of the type's number.
    open var linkTypes: [(linkType: UInt16, packets: UInt64)] { [] }
}

/// The far end of a wire in a run.
public struct WireBinding {
    /// Gives its packets; nil when none come in.
    public var source: PacketSource?
    /// Takes packets that are sent to it; nil to count them only.
    public var destination: (any PacketDestination)?
    public init(source: PacketSource?, destination: (any PacketDestination)? = nil) {
        self.source = source
        self.destination = destination
    }
}
