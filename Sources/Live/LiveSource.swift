// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// The packets of a network interface, read in one of several ways.
///
/// Items point into memory that the kernel shares, or that is used again (``ItemFlags/lent``): it is given back when the source is
/// asked next, as everything is at rest then.
public class LiveSource: PacketSource {
    /// How packets are read and sent.
    public enum Access: String, Sendable {
        /// Through the kernel's packet sockets.
        case packetSocket = "if"
        /// Through libpcap.
        case libpcap
    }

    /// How a source reads.
    public struct Options {
        /// Which packets are read.
        public var direction = Direction.both
        /// Receives packets for other stations too.
        public var isPromiscuous = false
        /// The group of sockets among which the packets are divided; nil for all of them.
        public var fanout: Fanout?
        public init() {}
    }

    /// The most bytes before IP: an Ethernet header with two VLAN tags.
    static let linkBytes = 14 + 8

    let linkType: UInt16
    let clock: LiveClock
    /// The most bytes of a frame that was not joined, where nobody says which were.
    final var longest = UInt32.max
    /// Functional time of the last packet.
    private var latest = Int64.min
    /// How often the interface went down, or away.
    public private(set) var outages = 0
    private(set) var isOut = false

    init(_ linkType: UInt16, clock: LiveClock) {
        self.linkType = linkType
        self.clock = clock
        super.init()
    }

    /// Opens an interface.
    ///
    /// - Parameter isPrompt: packets must not wait for others, as they are sent on.
    public static func open(
        _ name: String,
        through access: Access = .packetSocket,
        _ options: Options = Options(),
        isPrompt: Bool,
        clock: LiveClock
    ) throws(InterfaceError) -> LiveSource {
        switch access {
        case .libpcap where options.fanout != nil:
            throw InterfaceError(
                interface: name,
                reason: "libpcap cannot share its packets among threads; write if:\(name)"
            )
        case .libpcap: return try PcapSource(name, options, isPrompt: isPrompt, clock: clock)
        case .packetSocket:
            let interface = try Interface(name)
            guard interface.isUp else { throw .down(name) }
            let source: InterfaceSource =
                isPrompt
                ? try MessageSource(interface, options, clock: clock) : try RingSource(interface, options, clock: clock)
            try options.fanout?.add(source.socket, ignoresOutgoing: options.direction == .in)
            return source
        }
    }

    /// Packets that were not read in time, and dropped by the kernel.
    public var kernelDrops: UInt64 { 0 }

    public override var linkTypes: [(linkType: UInt16, packets: UInt64)] { packets > 0 ? [(linkType, packets)] : [] }

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
        if frame.joined != .nothing { item.pointee.join(frame.joined, of: frame.pieceSize) }
        if frame.wireLength > longest { item.pointee.join(.unknown, of: 0) }
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
        /// What the kernel or a card joined to it, in pieces of which size.
        var joined = Joined.nothing
        var pieceSize: UInt16 = 0

        init(
            data: UnsafeMutableRawPointer,
            length: UInt32,
            wireLength: UInt32,
            stamp: Int64,
            status: UInt32 = 0,
            tpid: UInt16 = 0,
            tci: UInt16 = 0
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

        /// Takes what the kernel says of segments that it joined (PACKET_VNET_HDR, packet(7)).
        mutating func join(_ header: virtio_net_hdr) {
            switch Int32(header.gso_type) & ~VIRTIO_NET_HDR_GSO_ECN {
            case VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6: joined = .segments
            case VIRTIO_NET_HDR_GSO_UDP_L4: joined = .datagrams
            default: return
            }
            pieceSize = header.gso_size
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

    /// The interface went down, or away.
    final func noteOutage() {
        if !isOut { outages += 1 }
        isOut = true
    }

    /// The interface is back.
    final func noteReturn() { isOut = false }

    /// Packets came in, so many, the first of them at `stamp`, if that is known.
    @inline(__always)
    final func wake(_ count: Int, at stamp: Int64 = .max) {
        isOut = false
        clock.wake(count, at: stamp)
    }
}
