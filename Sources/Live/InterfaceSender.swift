// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// Sends packets through a packet socket, as many with one call as there are.
final class InterfaceSender: LiveSender {
    /// How long a full queue is waited for, in milliseconds, before packets are dropped.
    private static let patience: Int32 = 1

    private let socket: PacketSocket
    private let messages: UnsafeMutablePointer<clinux_message>

    /// Opens an interface to send on; it may be down.
    init(_ name: String) throws(InterfaceError) {
        let interface = try Interface(name)
        socket = try PacketSocket(interface, receives: false)
        let takesHeaders = socket.set(PACKET_VNET_HDR, Int32(1))
        try socket.bind()
        messages = .allocate(capacity: LiveSender.most)
        messages.initialize(repeating: clinux_message(), count: LiveSender.most)
        super.init(interface.linkType, mtu: interface.mtu, takesHeaders: takesHeaders)
        for k in 0..<LiveSender.most {
            messages[k].header.msg_iov = takesHeaders ? vectors + 2 * k : vectors + 2 * k + 1
            messages[k].header.msg_iovlen = takesHeaders ? 2 : 1
        }
    }

    deinit { messages.deallocate() }

    override func send(_ count: Int, _ refused: (Int, SendFault) -> Void) {
        var at = 0
        var hasWaited = false
        var hasFollowed = false
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
                if !hasFollowed, socket.follow() {
                    hasFollowed = true
                    continue
                }
                refused(at, .down)
            default: refused(at, .down)
            }
            at += 1
        }
    }
}
