// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// The packets of a network interface.
///
/// Items point into memory that the kernel shares, or that is used again (``ItemFlags/lent``): it is given back when the source is
/// asked next, as everything is at rest then.
public class InterfaceSource: PacketSource {
    /// How a source reads.
    public struct Options: Sendable, Equatable {
        /// Which packets are read.
        public var direction = Direction.both
        /// Receives packets for other stations too.
        public var isPromiscuous = false
        public init() {}
    }

    let socket: PacketSocket
    let linkType: UInt16
    /// Packets that were sent are left out here; otherwise the kernel leaves out what shall not be read.
    private let skipsOutgoing: Bool
    private let skipsIncoming: Bool
    private let clock: LiveClock
    private var dropped: UInt64 = 0
    /// Functional time of the last packet.
    private var latest = Int64.min
    /// How often the interface went down, or away.
    public private(set) var outages = 0
    private var isOut = false

    init(_ interface: Interface, _ options: Options, clock: LiveClock) throws(InterfaceError) {
        guard let linkType = interface.linkType else {
            throw InterfaceError(
                interface: interface.name,
                reason:
                    "its frames are of a kind that is not read here; 'tcpdump -i \(interface.name) -w - | spillway run' may do"
            )
        }
        self.linkType = linkType
        self.clock = clock
        // On a loopback interface every packet that is sent also comes in.
        skipsOutgoing = interface.isLoopback
        skipsIncoming = options.direction == .out
        socket = try PacketSocket(interface, receives: true)
        if options.direction == .in { try socket.require(PACKET_IGNORE_OUTGOING, Int32(1), "leave out what is sent") }
        if options.isPromiscuous { try socket.setPromiscuous() }
        super.init()
    }

    /// Opens an interface.
    ///
    /// - Parameter isPrompt: packets must not wait for others, as they are sent on.
    public static func open(
        _ name: String,
        _ options: Options = Options(),
        isPrompt: Bool,
        clock: LiveClock
    ) throws(InterfaceError) -> InterfaceSource {
        let interface = try Interface(name)
        guard interface.isUp else { throw InterfaceError(interface: name, reason: "is down; 'ip link set \(name) up'") }
        let source: InterfaceSource =
            isPrompt
            ? try MessageSource(interface, options, clock: clock) : try RingSource(interface, options, clock: clock)
        clock.watch(source.socket.descriptor)
        return source
    }

    /// Packets that the kernel dropped since they were not read in time.
    public var kernelDrops: UInt64 {
        dropped += socket.takeDrops()
        return dropped
    }

    public override var linkTypes: [(linkType: UInt16, packets: UInt64)] { packets > 0 ? [(linkType, packets)] : [] }

    /// Whether a packet of this kind (PACKET_OUTGOING and others) is read.
    @inline(__always)
    final func reads(_ kind: UInt8) -> Bool {
        let isOutgoing = kind == UInt8(PACKET_OUTGOING)
        return isOutgoing ? !skipsOutgoing : !skipsIncoming
    }

    /// The functional time of a packet: never before that of the last, nor before a moment that timers have been told of.
    @inline(__always)
    final func functional(_ stamp: Int64) -> Int64 { max(stamp, latest, clock.latest) }

    /// Makes item `i` the packet at `data`, which has `room` bytes before it.
    @inline(__always)
    final func make(_ i: Int32, _ frame: Frame, _ pool: Pool, sequence: UInt64, at time: Int64) {
        var frame = frame
        if frame.tag != 0 { frame.putTagBack() }
        let item = pool[i].item
        item.pointee = Item(
            data: frame.data,
            length: frame.length,
            wireLength: frame.wireLength,
            time: frame.stamp,
            sequence: sequence,
            linkType: linkType,
            interface: 0
        )
        item.pointee.flags = frame.isUnsummed ? [.lent, .unsummed] : .lent
        if time != frame.stamp {
            pool.enter(i, at: time)
            if frame.stamp < latest { counters.pointee.backwards &+= 1 }
        }
        latest = time
        counters.pointee.packets &+= 1
        counters.pointee.bytes &+= UInt64(frame.wireLength)
        counters.pointee.measure(captured: frame.length, wire: frame.wireLength)
        counters.pointee.first = min(counters.pointee.first, time)
        counters.pointee.last = time
    }

    /// A packet as the kernel hands it over.
    struct Frame: BitwiseCopyable {
        /// The first byte; at least four bytes before it may be written.
        var data: UnsafeMutableRawPointer
        var length: UInt32
        var wireLength: UInt32
        /// Nanoseconds since 1970.
        var stamp: Int64
        /// The VLAN tag, TPID and TCI, that the kernel took out; 0 for none.
        var tag: UInt32
        var isUnsummed: Bool

        init(
            data: UnsafeMutableRawPointer,
            length: UInt32,
            wireLength: UInt32,
            stamp: Int64,
            status: UInt32,
            tpid: UInt16,
            tci: UInt16
        ) {
            self.data = data
            self.length = length
            self.wireLength = wireLength
            self.stamp = stamp
            isUnsummed = status & UInt32(TP_STATUS_CSUMNOTREADY) != 0
            tag = 0
            if status & UInt32(TP_STATUS_VLAN_VALID) != 0 {
                let known = status & UInt32(TP_STATUS_VLAN_TPID_VALID) != 0 ? tpid : UInt16(ETH_P_8021Q)
                tag = UInt32(known) << 16 | UInt32(tci)
            }
        }

        /// Puts the VLAN tag back between the addresses and the EtherType, where it was on the wire.
        mutating func putTagBack() {
            let addresses = 12
            guard length >= UInt32(addresses) else { return }
            let start = data - 4
            memmove(start, data, addresses)
            (start + addresses).storeBytes(of: tag.bigEndian, as: UInt32.self)
            data = start
            length += 4
            wireLength += 4
        }
    }

    /// Looks after an interface that is down or gone: packets come in again once it is back.
    final func checkOutage() {
        noteOutage(socket.takeError())
        if isOut, socket.follow() { isOut = false }
    }

    /// Takes note of an error of the socket.
    final func noteOutage(_ error: Int32) {
        guard [ENETDOWN, ENXIO, ENODEV].contains(error) else { return }
        if !isOut { outages += 1 }
        isOut = true
    }

    /// Packets came in.
    @inline(__always)
    final func wake() {
        isOut = false
        clock.wake()
    }
}
