// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Functional time from the stamps of one source's packets: their running maximum, which single wrong stamps do not move.
///
/// Packets keep their own stamps; only ageing and timers go by functional time. So it must neither step back, nor follow one
/// stamp from the future: that would end every flow, and then stand still. A stamp is not followed if it lies more than
/// ``farthest`` after both the time so far and the stamp of the packet after it. A pause of any length is followed, as the next
/// packet confirms it; before a last packet, which none can confirm, one of up to ``longestPause``.
@frozen
public struct StampClock: Sendable, BitwiseCopyable {
    /// How far a stamp may be ahead without being confirmed by the next packet, in nanoseconds: one day.
    public static let farthest: Int64 = 86_400_000_000_000

    /// How far the stamp of a last packet may be ahead, in nanoseconds: 366 days.
    public static let longestPause: Int64 = 366 * farthest

    /// The time so far, in nanoseconds since 1970; `Int64.min` before the first packet.
    public var now = Int64.min
    /// Packets with a stamp before ``now``, for which time stood still.
    public var backwards: UInt64 = 0
    /// Packets with a stamp too far ahead to be followed.
    public var ahead: UInt64 = 0
    /// Steps of ``now`` by more than ``farthest``.
    public var pauses: UInt64 = 0

    @inlinable public init() {}

    /// The time up to which stamps need no confirmation.
    @inlinable @inline(__always)
    public var trusted: Int64 {
        let (sum, overflow) = now.addingReportingOverflow(StampClock.farthest)
        return overflow ? .max : sum
    }

    /// Functional time of the next packet; `next` is the stamp of the one after it, if there is one. It matters only for a stamp
    /// after ``trusted``.
    @inlinable @inline(__always)
    public func time(of stamp: Int64, next: Int64? = nil) -> Int64 {
        stamp <= trusted && now > .min ? max(stamp, now) : time(ofDoubtful: stamp, next: next)
    }

    @usableFromInline @inline(never)
    func time(ofDoubtful stamp: Int64, next: Int64?) -> Int64 {
        let known = max(now, next ?? .min)
        if known == .min { return stamp }
        let most = next == nil ? StampClock.longestPause : StampClock.farthest
        let (limit, overflow) = known.addingReportingOverflow(most)
        if overflow || stamp <= limit { return stamp }
        return now == .min ? known : now
    }

    /// The next packet has this stamp, and this functional time.
    @inlinable @inline(__always)
    public mutating func advance(to time: Int64, stamp: Int64) {
        if stamp < time { backwards &+= 1 }
        if stamp > time { ahead &+= 1 }
        if time > trusted, now > .min { pauses &+= 1 }
        now = time
    }
}
