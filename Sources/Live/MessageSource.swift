// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// Reads what is there with recvmmsg(2), each packet as soon as it has arrived.
final class MessageSource: InterfaceSource {
    private static let most = 64
    /// The longest packet that an interface hands over: an IP packet of 64 KiB behind its link header.
    private static let bytes = 65_536 + 64
    /// Room before each packet, for its header and a VLAN tag.
    private static let headroom = 16
    private static let headerBytes = MemoryLayout<virtio_net_hdr>.size
    private static let controlBytes = 128

    private let memory: UnsafeMutableRawPointer
    private let controls: UnsafeMutableRawPointer
    private let addresses: UnsafeMutablePointer<sockaddr_ll>
    private let vectors: UnsafeMutablePointer<iovec>
    private let messages: UnsafeMutablePointer<clinux_message>
    private let frames: UnsafeMutablePointer<Frame>
    /// Frames that were read and not supplied yet.
    private var at = 0
    private var end = 0
    /// What the kernel puts before each packet: a header that tells what was joined to it.
    private var before = 0

    override init(_ interface: Interface, _ options: Options, clock: LiveClock) throws(InterfaceError) {
        let most = MessageSource.most
        let stride = MessageSource.headroom + MessageSource.bytes
        memory = .allocate(byteCount: most * stride, alignment: 64)
        controls = .allocate(byteCount: most * MessageSource.controlBytes, alignment: 16)
        addresses = .allocate(capacity: most)
        vectors = .allocate(capacity: most)
        messages = .allocate(capacity: most)
        frames = .allocate(capacity: most)
        for k in 0..<most {
            addresses[k] = sockaddr_ll()
            messages[k] = clinux_message()
        }
        try super.init(interface, options, clock: clock)
        if socket.set(PACKET_VNET_HDR, Int32(1)) {
            before = MessageSource.headerBytes
        } else {
            longest = UInt32(interface.mtu + LiveSource.linkBytes)
        }
        for k in 0..<most {
            let start = memory + k * stride + MessageSource.headroom
            vectors[k] = iovec(iov_base: start - before, iov_len: before + MessageSource.bytes)
        }
        try socket.require(PACKET_AUXDATA, Int32(1), "read its packets")
        _ = socket.set(SO_TIMESTAMPNS, Int32(1), level: SOL_SOCKET)
        // What a burst of a few milliseconds brings; without the right to more, what the system allows.
        if !socket.set(SO_RCVBUFFORCE, Int32(16 << 20), level: SOL_SOCKET) {
            _ = socket.set(SO_RCVBUF, Int32(16 << 20), level: SOL_SOCKET)
        }
        try socket.bind()
    }

    deinit {
        memory.deallocate()
        controls.deallocate()
        addresses.deallocate()
        vectors.deallocate()
        messages.deallocate()
        frames.deallocate()
    }

    override func poll() -> Poll {
        if at == end { receive() }
        return at < end ? .ready(functional(frames[at].stamp)) : quiet
    }

    override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        var count = 0
        while count < max, at < end {
            let time = functional(frames[at].stamp)
            if time >= limit || pool.take(1, into: indices + count) == 0 { break }
            make(indices[count], frames[at], pool, sequence: sequence &+ UInt64(count), at: time)
            count &+= 1
            at &+= 1
        }
        return count
    }

    /// Reads what has arrived; the items of what was read before are at rest.
    private func receive() {
        (at, end) = (0, 0)
        for k in 0..<MessageSource.most {
            messages[k].header.msg_name = UnsafeMutableRawPointer(addresses + k)
            messages[k].header.msg_namelen = socklen_t(MemoryLayout<sockaddr_ll>.size)
            messages[k].header.msg_iov = vectors + k
            messages[k].header.msg_iovlen = 1
            messages[k].header.msg_control = controls + k * MessageSource.controlBytes
            messages[k].header.msg_controllen = MessageSource.controlBytes
        }
        let n = clinux_receive(socket.descriptor, messages, UInt32(MessageSource.most))
        guard n > 0 else { return checkOutage(errno) }
        for k in 0..<Int(n) where reads(addresses[k].sll_pkttype) {
            frames[end] = frame(k)
            end &+= 1
        }
        wake(Int(n), at: end > 0 ? frames[0].stamp : .max)
    }

    private func checkOutage(_ error: Int32) {
        // The error of an interface that went down is told by the call itself, once. A packet joined of what the header has no
        // word for, such as SCTP, is lost with its call.
        if error == EINVAL, before > 0 { noteLoss() } else if error != EAGAIN && error != EINTR { noteOutage(error) }
        checkOutage()
    }

    private func frame(_ k: Int) -> Frame {
        var auxiliary = tpacket_auxdata()
        var stamp = timespec()
        var rest = messages[k].header.msg_controllen
        var at = controls + k * MessageSource.controlBytes
        // cmsg(3): each begins at a multiple of eight bytes.
        while rest >= MemoryLayout<cmsghdr>.size {
            let header = at.assumingMemoryBound(to: cmsghdr.self).pointee
            guard header.cmsg_len >= MemoryLayout<cmsghdr>.size, header.cmsg_len <= rest else { break }
            let content = at + MemoryLayout<cmsghdr>.size
            let size = header.cmsg_len - MemoryLayout<cmsghdr>.size
            if header.cmsg_level == SOL_PACKET, header.cmsg_type == PACKET_AUXDATA,
                size >= MemoryLayout<tpacket_auxdata>.size
            {
                auxiliary = content.loadUnaligned(as: tpacket_auxdata.self)
            } else if header.cmsg_level == SOL_SOCKET, header.cmsg_type == SO_TIMESTAMPNS,
                size >= MemoryLayout<timespec>.size
            {
                stamp = content.loadUnaligned(as: timespec.self)
            }
            let step = min((header.cmsg_len + 7) & ~7, rest)
            at += step
            rest -= step
        }
        let length = max(0, min(Int(messages[k].length) - before, MessageSource.bytes))
        let start = vectors[k].iov_base!
        var frame = Frame(
            data: start + before,
            length: UInt32(length),
            wireLength: max(auxiliary.tp_len, UInt32(length)),
            stamp: Int64(stamp.tv_sec) &* 1_000_000_000 &+ Int64(stamp.tv_nsec),
            status: auxiliary.tp_status,
            tpid: auxiliary.tp_vlan_tpid,
            tci: auxiliary.tp_vlan_tci
        )
        if before > 0 { frame.join(start.loadUnaligned(as: virtio_net_hdr.self)) }
        return frame
    }
}
