// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// Wall time for a run with interfaces. It waits for packets too: it asks again at once for a while after packets have come (``Patience``),
/// and then sleeps until there are more.
public final class LiveClock: Clock {
    /// The longest sleep, in nanoseconds: then signals and outages are looked at.
    private static let longest: Int64 = 100_000_000

    /// The latest moment that timers were told of.
    public private(set) var latest = Int64.min
    private var watched: [pollfd] = []
    private var patience: Patience
    /// Since when it waits for packets, when it last looked, and whether it has slept in between.
    private var began: Int64 = 0
    private var looked: Int64 = 0
    private var hasSlept = false
    /// Packets that came since it last waited, and when the first of them did.
    private var came: Int64 = 0
    private var arrived = Int64.max

    /// - Parameter isPrompt: what comes is sent on, and each thread has a core for that.
    public init(isPrompt: Bool = false) { patience = Patience(isPrompt: isPrompt) }

    /// Ends a sleep when `descriptor` can be read.
    public func watch(_ descriptor: Int32) {
        if descriptor >= 0 { watched.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)) }
    }

    /// Ends a sleep when `descriptor` can be read, and no longer for another one, which may be closed now.
    func watch(_ descriptor: Int32, insteadOf other: Int32) {
        watched.removeAll { $0.fd == other }
        watch(descriptor)
    }

    /// Packets came, the first of them at `stamp`, if that is known.
    @inline(__always)
    func wake(_ count: Int, at stamp: Int64 = .max) {
        came &+= Int64(count)
        arrived = min(arrived, stamp)
    }

    /// The current time in nanoseconds since 1970.
    public var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    /// Waits until packets come or a moment has come, at most 100 ms; returns the time then.
    public func wait(until time: Int64) -> Int64? {
        var now = now
        if came > 0 {
            // How long a sleep took to end is no part of what packets let it wait.
            patience.packetsCame(came, after: min(looked, arrived) - began, slept: hasSlept, now: now)
            (came, arrived, hasSlept, began) = (0, .max, false, now)
        }
        // A clock that was set back begins anew.
        began = min(began, now)
        if now < time {
            if now - began >= patience.span {
                clinux_poll(&watched, UInt32(watched.count), min(LiveClock.longest, time - now))
                now = self.now
                hasSlept = true
            } else if now - began >= Patience.short.most {
                sched_yield()
            }
        }
        looked = now
        if now >= time { latest = max(latest, now) }
        return max(now, latest)
    }
}
