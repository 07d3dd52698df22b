// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// Tells the kernel before each frame (PACKET_VNET_HDR, packet(7)) what is left to it: to cut what was joined as it was before, and
/// to fill in checksums. It leaves that to the card if it can.
final class OffloadHeaders {
    private static let size = MemoryLayout<virtio_net_hdr>.size
    /// Bytes for a header and the first bytes of its frame.
    private static let placeBytes = 256

    private let mtu: Int
    private let memory: UnsafeMutableRawPointer
    /// Before a frame to which nothing is done.
    let none: iovec

    /// - Parameters:
    ///   - mtu: the most bytes behind the link header.
    ///   - places: how many frames there are at one time.
    init(mtu: Int, places: Int) {
        self.mtu = mtu
        memory = .allocate(byteCount: (1 + places) * OffloadHeaders.placeBytes, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: OffloadHeaders.placeBytes)
        none = iovec(iov_base: memory, iov_len: OffloadHeaders.size)
    }

    deinit { memory.deallocate() }

    /// What is to be sent before a packet, in place `n`, and how many of the packet's first bytes are in it: its headers are
    /// copied, since the kernel wants the sum of the pseudo-header where the checksum will be. nil if it cannot be left to the kernel.
    func describe(_ p: Packet, at n: Int) -> (iovec, copied: Int)? {
        guard Headers.locate(p) == .ip, p.hasTransport, !p.isFragment, p.ipEnd == p.length,
            let field = Frames.checksumField(p)
        else { return nil }
        let (l3, l4, payload) = (Int(p.l3), Int(p.l4), Int(p.payload))
        guard payload <= Int(p.length), OffloadHeaders.size + payload <= OffloadHeaders.placeBytes else { return nil }
        var header = virtio_net_hdr()
        let size = Frames.segmentSize(p)
        if size > 0, Int(p.length) - payload > size {
            guard payload - l3 + size <= mtu, Frames.isBare(p) else { return nil }
            header.gso_type = kind(p)
            header.gso_size = UInt16(size)
        } else if Int(p.length) - l3 > mtu {
            return nil
        }
        let start = memory + (1 + n) * OffloadHeaders.placeBytes
        let frame = start + OffloadHeaders.size
        frame.copyMemory(from: p.data, byteCount: payload)
        if header.gso_type != 0 || p.flags.contains(.unsummed) {
            header.flags = UInt8(VIRTIO_NET_HDR_F_NEEDS_CSUM)
            header.hdr_len = p.payload
            header.csum_start = p.l4
            header.csum_offset = UInt16(field)
            let sum = Checksum.fold(Frames.pseudoHeader(p.data, p, end: Int(p.length)))
            (frame + l4 + field).storeBytes(of: sum, as: UInt16.self)
        }
        start.storeBytes(of: header, as: virtio_net_hdr.self)
        return (iovec(iov_base: start, iov_len: OffloadHeaders.size + payload), payload)
    }

    /// The kind of what is cut.
    private func kind(_ p: Packet) -> UInt8 {
        guard p.ipProtocol == IPProtocol.tcp else { return UInt8(VIRTIO_NET_HDR_GSO_UDP_L4) }
        let kind = p.ipVersion == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6
        // CWR is for the first segment alone.
        let isReduced = (p.transportHeader + 13).load(as: UInt8.self) & 0x80 != 0
        return UInt8(isReduced ? kind | VIRTIO_NET_HDR_GSO_ECN : kind)
    }
}
