// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#endif

/// The state of a source.
public enum Poll: Equatable, Sendable {
    /// A packet with this functional time in nanoseconds: never earlier than the one before it, nor than the run's clock.
    case ready(Int64)
    /// Nothing now. Ask again at this time, or after something was sent; ``Int64/max`` if only that can bring a packet.
    case idle(until: Int64)
    /// No more packets.
    case ended
}

/// How functional time advances while no packet is ready.
///
/// There are three kinds: capture time, given by packet timestamps (``CaptureTime``); wall time (``WallTime``); and that of the
/// modelled machine, which the timed runtime keeps itself.
public protocol Clock: AnyObject {
    /// Waits until `time`, or until something may have arrived before, and returns functional time then, in nanoseconds. Nil if
    /// `time` is ``Int64/max`` and no wait would end: then nothing more can happen.
    func wait(until time: Int64) -> Int64?
}

/// Time that advances with packets and timers: there is no waiting.
public final class CaptureTime: Clock {
    public init() {}

    /// Returns at once, unless nothing is planned.
    public func wait(until time: Int64) -> Int64? { time == .max ? nil : time }
}

/// Wall-clock time, in nanoseconds since 1970.
public final class WallTime: Clock {
    /// The longest wait in nanoseconds, so that sources are asked, and signals seen, soon enough.
    public let longest: Int64

    public init(longest: Int64 = 10_000_000) { self.longest = longest }

    /// The current time.
    public var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    /// Sleeps until `time`, but no longer than ``longest``.
    public func wait(until time: Int64) -> Int64? {
        let now = now
        let span = min(longest, max(0, time.subtractingReportingOverflow(now).partialValue))
        if time > now {
            var pause = timespec(tv_sec: Int(span / 1_000_000_000), tv_nsec: Int(span % 1_000_000_000))
            nanosleep(&pause, nil)
        }
        return self.now
    }
}
