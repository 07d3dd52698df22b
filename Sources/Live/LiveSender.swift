// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Glibc

/// Sends packets on a network interface, in one of several ways.
public class LiveSender: PacketDestination {
    /// The most frames that are sent with one call.
    static let most = 64

    private let linkType: UInt16?
    /// The most bytes of a frame that fits whatever is in it, and of one that may: VLAN tags do not count.
    private let sure: Int
    private let longest: Int
    private let mtu: Int
    private let cutter: SegmentCutter
    private let fragmenter: Fragmenter
    /// What tells the kernel how to cut and to sum; nil where that has to be done here.
    private let headers: OffloadHeaders?
    /// Two for each frame to be sent: what the kernel is told of it, and the frame. The first bytes of that may be with the former.
    final let vectors: UnsafeMutablePointer<iovec>

    /// - Parameter takesHeaders: before each frame the kernel is told what to do to it.
    init(_ linkType: UInt16?, mtu: Int, takesHeaders: Bool) {
        self.linkType = linkType
        self.mtu = mtu
        sure = mtu + (linkType == LinkType.ethernet ? 14 : 0)
        longest = mtu + (linkType == LinkType.ethernet ? 14 + 8 : 0)
        cutter = SegmentCutter(mtu: mtu)
        fragmenter = Fragmenter(mtu: mtu)
        headers = takesHeaders ? OffloadHeaders(mtu: mtu, places: LiveSender.most) : nil
        vectors = .allocate(capacity: 2 * LiveSender.most)
        vectors.initialize(repeating: iovec(), count: 2 * LiveSender.most)
    }

    deinit { vectors.deallocate() }

    /// Opens an interface to send on.
    public static func open(
        _ name: String,
        through access: LiveSource.Access = .packetSocket
    ) throws(InterfaceError) -> LiveSender {
        switch access {
        case .packetSocket: try InterfaceSender(name)
        case .libpcap: try PcapSender(name)
        }
    }

    /// Sends the first frames of ``vectors``; reports those that were not.
    func send(_ count: Int, _ refused: (Int, SendFault) -> Void) {}

    public func write(_ item: Packet) throws {}

    public func write(_ batch: Batch, refused: (Int, SendFault) -> Void) throws {
        var k = 0
        while k < batch.count {
            // Packets that can leave as they are, up to the first that cannot.
            var n = 0
            while n < LiveSender.most, k &+ n < batch.count, place(batch[k &+ n], at: n) { n &+= 1 }
            if n > 0 {
                send(n) { refused(k &+ $0, $1) }
                k &+= n
                continue
            }
            sendInPieces(batch[k]) { refused(k, $0) }
            k &+= 1
        }
    }

    /// Makes a packet the `n`-th frame to be sent; false if it cannot leave as one frame, or not unchanged.
    @inline(__always)
    private func place(_ p: Packet, at n: Int) -> Bool {
        guard p.linkType == linkType, p.length == p.wireLength else { return false }
        if !p.flags.contains(.unsummed), p.joined == .nothing || p.joined == .fragments, fits(p) {
            place(UnsafeMutableRawBufferPointer(start: p.writableData, count: Int(p.length)), at: n)
            return true
        }
        guard let (header, copied) = headers?.describe(p, at: n) else { return false }
        vectors[2 &* n] = header
        vectors[2 &* n &+ 1] = iovec(iov_base: p.writableData + copied, iov_len: Int(p.length) - copied)
        return true
    }

    @inline(__always)
    private func place(_ frame: UnsafeMutableRawBufferPointer, at n: Int) {
        if let headers { vectors[2 &* n] = headers.none }
        vectors[2 &* n &+ 1] = iovec(iov_base: frame.baseAddress, iov_len: frame.count)
    }

    @inline(__always)
    private func fits(_ p: Packet) -> Bool {
        let length = Int(p.length)
        return length <= sure || length <= longest && (Headers.locate(p) != .ip || length - Int(p.l3) <= mtu)
    }

    /// Sends a packet that is longer than the interface takes, or whose checksum is not filled in.
    private func sendInPieces(_ p: Packet, refused: (SendFault) -> Void) {
        if p.linkType != linkType { return refused(.linkType) }
        if p.length < p.wireLength { return refused(.truncated) }
        guard let pieces = cutter.cut(p) ?? fragmenter.cut(p) else { return refused(.tooLong) }
        var next = 0
        // If one of them is lost its receiver asks for it again, as for any lost segment.
        var fault: SendFault?
        while next < pieces.count {
            let n = min(LiveSender.most, pieces.count - next)
            for k in 0..<n { place(pieces[next + k], at: k) }
            send(n) { fault = $1 }
            next += n
        }
        if let fault { refused(fault) }
    }

    public func close() throws {}
}
