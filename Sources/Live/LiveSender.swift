// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Glibc

/// Sends packets on a network interface, in one of several ways.
public class LiveSender: PacketDestination {
    /// The most frames that are sent with one call.
    static let most = 64

    private let linkType: UInt16?
    /// The most bytes of a frame: what the interface takes behind a link header, which may have VLAN tags.
    private let longest: Int
    private let cutter: SegmentCutter
    /// The frames to be sent.
    final let vectors: UnsafeMutablePointer<iovec>

    init(_ linkType: UInt16?, mtu: Int) {
        self.linkType = linkType
        longest = mtu + (linkType == LinkType.ethernet ? 14 + 8 : 0)
        cutter = SegmentCutter(mtu: mtu)
        vectors = .allocate(capacity: LiveSender.most)
        vectors.initialize(repeating: iovec(), count: LiveSender.most)
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
            while n < LiveSender.most, k &+ n < batch.count, isReady(batch[k &+ n]) {
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
            let n = min(LiveSender.most, pieces.count - next)
            for k in 0..<n {
                vectors[k] = iovec(iov_base: pieces[next + k].baseAddress, iov_len: pieces[next + k].count)
            }
            send(n) { fault = $1 }
            next += n
        }
        if let fault { refused(fault) }
    }

    public func close() throws {}
}
