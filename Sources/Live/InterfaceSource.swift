// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// The packets of a network interface, through a packet socket.
class InterfaceSource: LiveSource {
    let socket: PacketSocket
    /// Packets that were sent are left out here; otherwise the kernel leaves out what shall not be read.
    private let skipsOutgoing: Bool
    private let skipsIncoming: Bool
    /// It is one of several among which the kernel divides the packets: these cannot be bound again.
    private let isShared: Bool
    private var dropped: UInt64 = 0
    /// How often the error of a silent interface is asked for, in nanoseconds.
    private static let interval: Int64 = 5_000_000
    private var lookAt: Int64 = 0
    private var trouble: InterfaceError?

    init(_ interface: Interface, _ options: Options, clock: LiveClock) throws(InterfaceError) {
        guard let linkType = interface.linkType else {
            throw InterfaceError(
                interface: interface.name,
                reason:
                    "its frames are of a kind that is not read here; 'tcpdump -i \(interface.name) -w - | spillway run' may do"
            )
        }
        // On a loopback interface every packet that is sent also comes in; and a group of sockets may be shown what is sent all the same.
        skipsOutgoing = interface.isLoopback || options.direction == .in
        skipsIncoming = options.direction == .out
        isShared = options.fanout != nil
        socket = try PacketSocket(interface, receives: true)
        if options.direction == .in { try socket.require(PACKET_IGNORE_OUTGOING, Int32(1), "leave out what is sent") }
        if options.isPromiscuous { try socket.setPromiscuous() }
        super.init(linkType, clock: clock)
        clock.watch(socket.descriptor)
    }

    override var kernelDrops: UInt64 {
        dropped += socket.takeDrops()
        return dropped
    }

    /// Whether a packet of this kind (PACKET_OUTGOING and others) is read.
    @inline(__always)
    final func reads(_ kind: UInt8) -> Bool {
        let isOutgoing = kind == UInt8(PACKET_OUTGOING)
        return isOutgoing ? !skipsOutgoing : !skipsIncoming
    }

    /// The kernel had a packet and could not hand it over.
    final func noteLoss() { dropped &+= 1 }

    /// Looks now and then after an interface that is down or gone: packets come in again once it is back.
    final func checkOutage() {
        // The wall clock may be set back, and a system call would cost more than this clock's.
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        let now = Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
        if now < lookAt { return }
        lookAt = now + InterfaceSource.interval
        noteOutage(socket.takeError())
        if !isOut { return }
        if isShared, socket.isOff {
            trouble = InterfaceError(
                interface: socket.interface,
                reason: "went away, and one that comes in its place cannot be shared among the threads of this run"
            )
        } else if socket.follow() {
            noteReturn()
        }
    }

    override final var failure: (any Error)? { trouble }
    /// What `poll` says while nothing has come.
    final var quiet: Poll { trouble == nil ? .idle(until: .max) : .ended }

    /// Takes note of an error of the socket.
    final func noteOutage(_ error: Int32) {
        if [ENETDOWN, ENXIO, ENODEV].contains(error) { noteOutage() }
    }
}
