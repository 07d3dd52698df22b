// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// How long a run that is waiting for packets asks for them again and again, before it sleeps.
///
/// A sleep costs two switches and, in a virtual machine, a hundred microseconds until it ends; asking costs the core. So it asks for as long
/// as packets have lately let it wait, up to a limit, and hardly at all when they come later than that, as between bursts: the rule by which
/// KVM polls for a halted guest (Documentation/virt/kvm/halt-polling.rst).
struct Patience {
    /// How long it asks, in nanoseconds: the least, when that was in vain, and the most.
    struct Range: Equatable {
        var least: Int64
        var most: Int64
    }
    /// Packets that nobody waits for, or that come in bursts.
    static let short = Range(least: 10_000, most: 50_000)
    /// Whoever sent a packet may wait for it. A packet a second costs a quarter of a percent of a core, fifty and more cost all of it.
    static let long = Range(least: 2_500_000, most: 20_000_000)
    /// Of more packets than these in the least time of ``long``, hardly one is waited for.
    static let few: Int64 = 64

    /// Whether ``long`` is for packets that are few.
    let isPrompt: Bool
    /// Its limits now.
    private(set) var range: Range
    /// For how long it asks, in nanoseconds.
    private(set) var span: Int64
    /// Packets that came since a moment.
    private var came: Int64 = 0
    private var since: Int64 = 0

    init(isPrompt: Bool) {
        self.isPrompt = isPrompt
        range = isPrompt ? Patience.long : Patience.short
        span = range.least
    }

    /// Packets have come after it had waited for `waited` nanoseconds; that it slept shows that it had not asked for long enough.
    mutating func packetsCame(_ count: Int64, after waited: Int64, slept: Bool, now: Int64) {
        came &+= count
        let time = now - since
        // A clock that was set back begins anew.
        if time >= Patience.long.least || time < 0 {
            let areFew = came <= Patience.few * max(1, time / Patience.long.least)
            range = isPrompt && areFew ? Patience.long : Patience.short
            (came, since) = (0, now)
        }
        if slept { span = waited <= range.most ? 2 * span : range.least }
        span = min(max(span, range.least), range.most)
    }
}
