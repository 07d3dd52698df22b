// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// Reads blocks that the kernel fills (TPACKET_V3, packet(7)): cheap for each packet, but a packet may wait until its block is full, or
/// for ``patience``.
final class RingSource: InterfaceSource {
    private static let blockBytes = 1 << 20
    private static let blockCount = 32
    /// The most milliseconds that a packet waits in a block.
    private static let patience: UInt32 = 10

    private var ring = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    /// The number of the block being read, or awaited.
    private var number = 0
    /// The block is ours.
    private var isTaken = false
    /// The next packet of the block, and how many there are from it on.
    private var next = UnsafeMutablePointer<tpacket3_hdr>(bitPattern: 16)!
    private var left: UInt32 = 0

    override init(_ interface: Interface, _ options: Options, clock: LiveClock) throws(InterfaceError) {
        try super.init(interface, options, clock: clock)
        try socket.require(PACKET_VERSION, Int32(TPACKET_V3.rawValue), "share memory with it")
        // Room for a VLAN tag before each packet.
        try socket.require(Int32(PACKET_RESERVE), UInt32(4), "share memory with it")
        var request = tpacket_req3()
        request.tp_block_size = UInt32(RingSource.blockBytes)
        request.tp_block_nr = UInt32(RingSource.blockCount)
        request.tp_frame_size = 2048
        request.tp_frame_nr = request.tp_block_size / request.tp_frame_size * request.tp_block_nr
        request.tp_retire_blk_tov = RingSource.patience
        try socket.require(PACKET_RX_RING, request, "share memory with it")
        let size = RingSource.blockBytes * RingSource.blockCount
        guard let start = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, socket.descriptor, 0), start != MAP_FAILED
        else { throw InterfaceError(interface.name, system: errno, doing: "share memory with it") }
        ring = UnsafeMutableRawBufferPointer(start: start, count: size)
        try socket.bind()
    }

    deinit {
        if let start = ring.baseAddress { munmap(start, ring.count) }
    }

    private var block: UnsafeMutablePointer<tpacket_hdr_v1> {
        let start = ring.baseAddress! + number &* RingSource.blockBytes
        return (start + MemoryLayout<tpacket_block_desc>.offset(of: \.hdr)!).assumingMemoryBound(
            to: tpacket_hdr_v1.self
        )
    }

    private var status: UnsafeMutablePointer<UInt32> {
        UnsafeMutableRawPointer(block).assumingMemoryBound(to: UInt32.self)
    }

    override func poll() -> Poll {
        while true {
            skip()
            if left > 0 { return .ready(functional(stamp)) }
            if isTaken {
                clinux_store_release(status, UInt32(TP_STATUS_KERNEL))
                isTaken = false
                number = (number + 1) % RingSource.blockCount
            }
            if clinux_load_acquire(status) & UInt32(TP_STATUS_USER) == 0 {
                checkOutage()
                return quiet
            }
            isTaken = true
            left = block.pointee.num_pkts
            wake(Int(left))
            let start = ring.baseAddress! + number &* RingSource.blockBytes
            next = (start + Int(block.pointee.offset_to_first_pkt)).assumingMemoryBound(to: tpacket3_hdr.self)
        }
    }

    override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        var count = 0
        while count < max {
            skip()
            if left == 0 { break }
            let time = functional(stamp)
            if time >= limit || pool.take(1, into: indices + count) == 0 { break }
            make(indices[count], frame, pool, sequence: sequence &+ UInt64(count), at: time)
            count &+= 1
            advance()
        }
        return count
    }

    private var stamp: Int64 { Int64(next.pointee.tp_sec) &* 1_000_000_000 &+ Int64(next.pointee.tp_nsec) }

    private var frame: Frame {
        let header = next.pointee
        return Frame(
            data: UnsafeMutableRawPointer(next) + Int(header.tp_mac),
            length: header.tp_snaplen,
            wireLength: header.tp_len,
            stamp: stamp,
            status: header.tp_status,
            tpid: header.hv1.tp_vlan_tpid,
            tci: UInt16(truncatingIfNeeded: header.hv1.tp_vlan_tci)
        )
    }

    /// Passes over packets that are not read.
    @inline(__always)
    private func skip() {
        while left > 0 {
            let aligned = (MemoryLayout<tpacket3_hdr>.size + 15) & ~15
            let address = (UnsafeRawPointer(next) + aligned).assumingMemoryBound(to: sockaddr_ll.self)
            if reads(address.pointee.sll_pkttype) { return }
            advance()
        }
    }

    @inline(__always)
    private func advance() {
        left &-= 1
        let after = UnsafeMutableRawPointer(next) + Int(next.pointee.tp_next_offset)
        next = after.assumingMemoryBound(to: tpacket3_hdr.self)
    }
}
