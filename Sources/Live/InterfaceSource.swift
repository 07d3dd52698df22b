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
    private var dropped: UInt64 = 0

    init(_ interface: Interface, _ options: Options, clock: LiveClock) throws(InterfaceError) {
        guard let linkType = interface.linkType else {
            throw InterfaceError(
                interface: interface.name,
                reason:
                    "its frames are of a kind that is not read here; 'tcpdump -i \(interface.name) -w - | spillway run' may do"
            )
        }
        // On a loopback interface every packet that is sent also comes in.
        skipsOutgoing = interface.isLoopback
        skipsIncoming = options.direction == .out
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

    /// Looks after an interface that is down or gone: packets come in again once it is back.
    final func checkOutage() {
        noteOutage(socket.takeError())
        if isOut, socket.follow() { noteReturn() }
    }

    /// Takes note of an error of the socket.
    final func noteOutage(_ error: Int32) {
        if [ENETDOWN, ENXIO, ENODEV].contains(error) { noteOutage() }
    }
}
