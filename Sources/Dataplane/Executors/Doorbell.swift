// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Synchronization

/// Wakes the thread of an executor that sleeps, since it found nothing to do for a while.
public final class Doorbell: @unchecked Sendable {
    /// Can be read once the bell was rung (eventfd(2)); a thread that waits for several things polls it beside them.
    public let descriptor: Int32
    private let state = Atomic(State.awake)

    private enum State: UInt8, AtomicRepresentable {
        case awake
        case asleep
        case rung
    }

    init() throws(OutOfMemory) {
        descriptor = clinux_event()
        if descriptor < 0 { throw OutOfMemory(bytes: MemoryLayout<UInt64>.size) }
    }

    deinit { close(descriptor) }

    /// Something was done that the other thread may wait for. Costs a fence while that is awake.
    @inline(__always)
    func ring() {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if state.load(ordering: .relaxed) == .asleep { wake() }
    }

    @inline(never)
    private func wake() {
        let (isFirst, _) = state.compareExchange(
            expected: .asleep,
            desired: .rung,
            ordering: .sequentiallyConsistent
        )
        if !isFirst { return }
        var one: UInt64 = 1
        _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// Sleeps until the bell is rung, but no longer than `milliseconds`, unless `hasWork` says that there is something to do.
    func sleep(_ milliseconds: Int32, unless hasWork: () -> Bool) {
        if goToSleep(unless: hasWork) {
            var event = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            poll(&event, 1, milliseconds)
        }
        getUp()
    }

    /// Says that the thread is about to sleep; false if there is something to do after all. ``getUp()`` must follow.
    func goToSleep(unless hasWork: () -> Bool) -> Bool {
        state.store(.asleep, ordering: .relaxed)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        return !hasWork()
    }

    /// The thread is awake again.
    func getUp() {
        guard state.exchange(.awake, ordering: .sequentiallyConsistent) == .rung else { return }
        // The write follows the change of state at once.
        var count: UInt64 = 0
        while read(descriptor, &count, MemoryLayout<UInt64>.size) < 0, errno == EINTR || errno == EAGAIN {}
    }
}
