// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#endif

/// The state of a source.
public enum Poll: Equatable, Sendable {
    /// A packet, at this functional time in nanoseconds: never earlier than the one before it, nor than the clock of the run.
    case ready(Int64)
    /// Nothing now. It is to be asked again at this time, or when something was sent; ``Int64/max`` where only that can bring
    /// something.
    case idle(until: Int64)
    /// Nothing any more.
    case ended
}

/// How functional time goes on while no packet is ready.
///
/// There are three: the time of a capture, which is what its packets say (``CaptureTime``); that of the wall (``WallTime``); and
/// that of the modelled machine, which the timed runtime keeps itself.
public protocol Clock: AnyObject {
    /// Waits until `time`, or until something may have come before that, and returns functional time then, in nanoseconds. Nil
    /// when `time` is ``Int64/max`` and no wait would end: then nothing can happen any more.
    func wait(until time: Int64) -> Int64?
}

/// Time that goes on as packets and timers say: nothing is ever waited for.
public final class CaptureTime: Clock {
    public init() {}

    /// At once, unless nothing is planned.
    public func wait(until time: Int64) -> Int64? { time == .max ? nil : time }
}

/// The time of day, in nanoseconds since 1970.
public final class WallTime: Clock {
    /// The longest wait in nanoseconds: so a source is asked, and a signal seen, soon enough.
    public let longest: Int64

    public init(longest: Int64 = 10_000_000) { self.longest = longest }

    /// The time now.
    public var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    /// Sleeps until then, and no longer than ``longest``.
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
