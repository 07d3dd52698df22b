// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Decodes the packets of one file format from an input's window.
///
/// A decoder never waits or moves the window: it says how many bytes it needs, and is called again.
protocol Decoder: AnyObject {
    /// Link types that the file announces before its first packet, as far as the window shows them. The input must be at its
    /// beginning.
    func announcedLinkTypes(_ input: Input) -> [UInt16]
    /// Initialises items with the next packets of the window and consumes them, until there is a reason to stop.
    func decode(_ input: Input, into reading: inout Reading) throws(CaptureError) -> Stop
}

/// The reason a decoder stopped.
enum Stop {
    /// The batch is full, or the next packet is not before the limit. In the second case, and in the first if it is easily
    /// known, ``Reading/nextTime`` is set.
    case paused
    /// The window must hold the next `count` bytes. They are a whole `what` of `size` bytes, or its header if `size` is 0.
    case needs(_ count: Int, of: String, size: Int = 0)
    /// The window should hold the next `count` bytes, to see the stamp after that of the next packet; if the input ends before,
    /// ``Reading/hasEnded`` says so.
    case wishes(_ count: Int)
}

/// A batch being filled, and the state that continues over all files of a source.
struct Reading {
    // The batch.
    var items: UnsafeMutablePointer<Item>
    /// Indices of items to initialise; there are `room` of them, and the first `count` are done.
    var indices: UnsafeMutablePointer<Int32>
    var count = 0
    var room = 0
    /// Packets from this time on are left for later.
    var limit = Int64.min
    /// The sequence number of the first packet in the batch.
    var sequence: UInt64 = 0
    /// The packets to keep; nil for all. Others get a number, and let time pass.
    var shard: Shard?
    /// Packets of others among those of the batch.
    var passed = 0
    /// A batch ends after so many more packets than there is room for, whoever's they are.
    var mostPassed = 0
    /// Whose items they are; nil if there is room for none.
    var pool: Unmanaged<Pool>?

    // The source.
    /// What its packets were like, so far; the clock has counts of its own.
    var counters = PacketSource.Counters()
    /// Functional time, from the stamps so far.
    var clock = StampClock()
    /// All that is left of the file is in the window.
    var hasEnded = false
    /// The time of the packet after the batch; `Int64.max` if unknown.
    var nextTime = Int64.max
    /// Capture interfaces seen so far.
    var interfaces = 0
    var linkTypes = LinkTypeCounts()

    /// The latest time a packet can have; the next value means that there is none.
    static let lastTime = Int64.max - 1

    /// Whether the batch goes on.
    var hasRoom: Bool { count < room && count &+ passed < room &+ mostPassed }

    /// Whether the stamp of the packet after one with this stamp must be known first.
    @inline(__always)
    func doubts(_ stamp: Int64) -> Bool { stamp > clock.trusted || clock.now == .min }

    /// Initialises the next item with a packet; false, with ``nextTime`` set, if the packet is not before the limit. There must
    /// be room. The caller counts its link type. `next` is the stamp of the packet after it, if this one's is in doubt.
    @inline(__always)
    mutating func give(
        _ data: UnsafeMutableRawPointer,
        captured: UInt32,
        wire: UInt32,
        stamp: Int64,
        next: Int64?,
        linkType: UInt16,
        interface: UInt16
    ) -> Bool {
        let now = clock.time(of: stamp, next: next)
        if now >= limit {
            nextTime = now
            return false
        }
        clock.advance(to: now, stamp: stamp)
        if stamp >= Reading.lastTime || stamp == .min { counters.clamped &+= 1 }
        (items + Int(indices[count])).initialize(
            to: Item(
                data: data,
                length: captured,
                wireLength: wire,
                time: stamp,
                sequence: sequence &+ UInt64(truncatingIfNeeded: count &+ passed),
                linkType: linkType,
                interface: interface
            )
        )
        counters.measure(captured: captured, wire: wire)
        if let shard, !shard.holds(Packet(items + Int(indices[count]))) {
            passed &+= 1
            counters.otherBytes &+= UInt64(wire)
            return true
        }
        if now != stamp { pool?._withUnsafeGuaranteedRef { $0.enter(indices[count], at: now) } }
        counters.bytes &+= UInt64(wire)
        count &+= 1
        return true
    }
}

/// The number of packets of each link type. Counting costs the same for any number of types.
struct LinkTypeCounts {
    /// The type counted last, which is usually the next too.
    private var last: (linkType: UInt16, packets: UInt64) = (0, 0)
    private var others: [UInt16: UInt64] = [:]

    mutating func add(_ linkType: UInt16, _ packets: Int) {
        if linkType != last.linkType {
            if last.packets > 0 { others[last.linkType] = last.packets }
            last = (linkType, others.removeValue(forKey: linkType) ?? 0)
        }
        last.packets &+= UInt64(packets)
    }

    /// In order of the type's number.
    var all: [(linkType: UInt16, packets: UInt64)] {
        let counts = others.map { (linkType: $0.key, packets: $0.value) } + (last.packets > 0 ? [last] : [])
        return counts.sorted { $0.linkType < $1.linkType }
    }
}

/// Reads an unaligned number in either byte order.
@inline(__always)
func load<T: FixedWidthInteger & BitwiseCopyable>(
    _ base: UnsafeMutableRawPointer,
    _ offset: Int,
    swapped: Bool,
    as: T.Type = T.self
) -> T {
    let value = base.loadUnaligned(fromByteOffset: offset, as: T.self)
    return swapped ? value.byteSwapped : value
}
