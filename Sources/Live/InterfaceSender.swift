// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// Sends packets on a network interface, as many with one call as there are.
public final class InterfaceSender: PacketDestination {
    private static let most = 64
    /// How long a full queue is waited for, in milliseconds, before packets are dropped.
    private static let patience: Int32 = 1

    private let socket: PacketSocket
    private let linkType: UInt16?
    /// The most bytes of a frame: what the interface takes behind a link header, which may have VLAN tags.
    private let longest: Int
    private let vectors: UnsafeMutablePointer<iovec>
    private let messages: UnsafeMutablePointer<clinux_message>
    private let cutter: SegmentCutter

    /// Opens an interface to send on; it may be down.
    public init(_ name: String) throws(InterfaceError) {
        let interface = try Interface(name)
        linkType = interface.linkType
        longest = interface.mtu + (interface.linkType == LinkType.ethernet ? 14 + 8 : 0)
        cutter = SegmentCutter(mtu: interface.mtu)
        vectors = .allocate(capacity: InterfaceSender.most)
        vectors.initialize(repeating: iovec(), count: InterfaceSender.most)
        messages = .allocate(capacity: InterfaceSender.most)
        messages.initialize(repeating: clinux_message(), count: InterfaceSender.most)
        for k in 0..<InterfaceSender.most {
            messages[k].header.msg_iov = vectors + k
            messages[k].header.msg_iovlen = 1
        }
        socket = try PacketSocket(interface, receives: false)
        try socket.bind()
    }

    deinit {
        vectors.deallocate()
        messages.deallocate()
    }

    public func write(_ item: Packet) throws {}

    public func write(_ batch: Batch, refused: (Int, SendFault) -> Void) throws {
        var k = 0
        while k < batch.count {
            // Packets that can leave as they are, up to the first that cannot.
            var n = 0
            while n < InterfaceSender.most, k &+ n < batch.count, isReady(batch[k &+ n]) {
                let p = batch[k &+ n]
                vectors[n] = iovec(iov_base: p.writableData, iov_len: Int(p.length))
                n &+= 1
            }
            if n > 0 {
                send(n) { refused(k &+ $0, $1) }
                k &+= n
                continue
            }
            sendInPieces(batch[k]) { refused(k, $0) }
            k &+= 1
        }
    }

    /// Whether a packet may leave unchanged.
    private func isReady(_ p: Packet) -> Bool {
        p.linkType == linkType && Int(p.length) <= longest && !p.flags.contains(.unsummed) && p.length == p.wireLength
    }

    /// Sends a packet that is longer than the interface takes, or whose checksum is not filled in.
    private func sendInPieces(_ p: Packet, refused: (SendFault) -> Void) {
        if p.linkType != linkType { return refused(.linkType) }
        if p.length < p.wireLength { return refused(.truncated) }
        guard let pieces = cutter.cut(p) else { return refused(.tooLong) }
        var next = 0
        // If one of them is lost its receiver asks for it again, as for any lost segment.
        var fault: SendFault?
        while next < pieces.count {
            let n = min(InterfaceSender.most, pieces.count - next)
            for k in 0..<n {
                vectors[k] = iovec(iov_base: pieces[next + k].baseAddress, iov_len: pieces[next + k].count)
            }
            send(n) { fault = $1 }
            next += n
        }
        if let fault { refused(fault) }
    }

    /// Sends the first messages; reports those that were not.
    private func send(_ count: Int, _ refused: (Int, SendFault) -> Void) {
        var at = 0
        var hasWaited = false
        while at < count {
            let n = clinux_send(socket.descriptor, messages + at, UInt32(count - at))
            if n > 0 {
                at += Int(n)
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN, ENOBUFS:
                if !hasWaited {
                    hasWaited = true
                    var wait = pollfd(fd: socket.descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&wait, 1, InterfaceSender.patience)
                    continue
                }
                refused(at, .queueFull)
            case EMSGSIZE, EINVAL: refused(at, .tooLong)
            case ENETDOWN, ENXIO, ENODEV:
                _ = socket.follow()
                refused(at, .down)
            default: refused(at, .down)
            }
            at += 1
        }
    }

    public func close() throws {}
}
