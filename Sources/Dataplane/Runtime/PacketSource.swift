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
    /// Steps of functional time by more than a day.
    public final var pauses: UInt64 { counters.pointee.pauses }
    /// Functional time of the first and the last packet; nil before one, and of sources that do not keep it.
    public final var span: ClosedRange<Int64>? {
        counters.pointee.first <= counters.pointee.last ? counters.pointee.first...counters.pointee.last : nil
    }
    /// Packets of which the capture holds only the beginning.
    public final var cut: UInt64 { counters.pointee.cut }
    /// Bytes that are missing of those.
    public final var missing: UInt64 { counters.pointee.missing }
    /// The longest frame that networks carry, in bytes: the 9,216 that switches take at most, an Ethernet header and two VLAN tags.
    public static let longestFrame: UInt32 = 9_238
    /// Packets longer than any frame (``longestFrame``).
    public final var long: UInt64 { counters.pointee.long }
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
        /// Steps of functional time by more than a day.
        public var pauses: UInt64 = 0
        /// Functional time of the first packet.
        public var first = Int64.max
        /// Functional time of the last packet.
        public var last = Int64.min
        /// Packets of which the capture holds only the beginning.
        public var cut: UInt64 = 0
        /// Bytes that are missing of those.
        public var missing: UInt64 = 0
        /// Packets longer than any frame.
        public var long: UInt64 = 0
        /// Packets left to other threads (``Shard``): not supplied, but counted in everything here that follows `bytes`.
        public var others: UInt64 = 0
        /// Bytes of those, as on the wire.
        public var otherBytes: UInt64 = 0
        /// Those of the latest ``PacketSource/fill(_:_:max:before:sequence:)``; they have numbers, too.
        public var passed: UInt64 = 0
        public init() {}

        /// Counts a packet's lengths, except its bytes.
        @inlinable @inline(__always)
        public mutating func measure(captured: UInt32, wire: UInt32) {
            if captured < wire {
                cut &+= 1
                missing &+= UInt64(wire &- captured)
            }
            if wire > PacketSource.longestFrame { long &+= 1 }
        }

        /// Adds those of another source of the same wire.
        public mutating func add(_ other: Counters) {
            packets &+= other.packets
            bytes &+= other.bytes
            backwards &+= other.backwards
            ahead &+= other.ahead
            clamped &+= other.clamped
            pauses &+= other.pauses
            first = min(first, other.first)
            last = max(last, other.last)
            cut &+= other.cut
            missing &+= other.missing
            long &+= other.long
            others &+= other.others
            otherBytes &+= other.otherBytes
            passed &+= other.passed
        }
    }

    /// The packets that are supplied, where others of the same are left to other threads; nil for all of them. Set before any is
    /// supplied; sources that cannot be read twice ignore it.
    open var shard: Shard?

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
    /// indices to `indices`; their sequences count up from `sequence`. Returns how many; 0 at the end, if the pool is empty, if the
    /// next packet is not before `limit`, or if all were left to other threads: ``Counters/passed`` says how many, which have
    /// sequences between those of the others.
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
