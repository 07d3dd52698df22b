// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// Wall time for a run with interfaces. It waits for packets too: it asks again at once for a while after packets have come, and then
/// sleeps until there are more.
public final class LiveClock: Clock {
    /// The longest sleep, in nanoseconds: then signals and outages are looked at.
    private static let longest: Int64 = 100_000_000
    /// How long after packets it asks again at once, in nanoseconds: as long as a sleep takes to end.
    private static let patience: Int64 = 50_000
    /// The same where whoever sent a packet may wait for it: a virtual machine's sleep takes hundreds of microseconds to end. A packet a
    /// second costs a quarter of a percent of a core, five hundred cost all of it.
    private static let longPatience: Int64 = 2_500_000
    /// Of more packets than these in that time hardly one is waited for: they come in bursts, and between them it may sleep.
    private static let few: Int64 = 64
    private let isPrompt: Bool

    /// The latest moment that timers were told of.
    public private(set) var latest = Int64.min
    private var watched: [pollfd] = []
    /// The end of its patience; 0 while packets come.
    private var deadline: Int64 = 0
    /// Packets that came since a moment, and whether they were few before.
    private var came: Int64 = 0
    private var since: Int64 = 0
    private var areFew = true

    /// - Parameter isPrompt: what comes is sent on, and each thread has a core for that.
    public init(isPrompt: Bool = false) { self.isPrompt = isPrompt }

    /// Ends a sleep when `descriptor` can be read.
    public func watch(_ descriptor: Int32) {
        if descriptor >= 0 { watched.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)) }
    }

    /// Ends a sleep when `descriptor` can be read, and no longer for another one, which may be closed now.
    func watch(_ descriptor: Int32, insteadOf other: Int32) {
        watched.removeAll { $0.fd == other }
        watch(descriptor)
    }

    /// Packets came.
    @inline(__always)
    func wake(_ count: Int) {
        deadline = 0
        came &+= Int64(count)
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
        if deadline == 0 {
            deadline = now + LiveClock.patience
            let span = now - since
            // A clock that was set back begins anew.
            if span >= LiveClock.longPatience || span < 0 {
                areFew = came <= LiveClock.few * max(1, span / LiveClock.longPatience)
                (came, since) = (0, now)
            }
        }
        if isPrompt, areFew, now >= deadline, now < deadline + LiveClock.longPatience {
            sched_yield()
        } else if now < time, now >= deadline {
            let span = min(LiveClock.longest, time - now)
            clinux_poll(&watched, UInt32(watched.count), span)
            now = self.now
        }
        if now >= time { latest = max(latest, now) }
        return max(now, latest)
    }
}
