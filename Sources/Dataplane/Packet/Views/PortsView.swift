// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The two ports at the beginning of TCP, UDP, DCCP, SCTP and UDP-Lite headers, when nothing else is needed.
@frozen
public struct PortsView: BitwiseCopyable {
    /// The first byte of the header.
    public let base: UnsafeRawPointer

    /// The ports at the beginning of `bytes`; nil if there are fewer than 4.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count >= 4 else { return nil }
        self.base = base
    }

    /// The ports of a packet; nil if its protocol has none, they are cut off, or it is a fragment without them.
    @inlinable @inline(__always)
    public init?(_ p: Packet) {
        guard p.hasIP(), IPProtocol.hasPorts(p.ipProtocol), !p.isLaterFragment else {
            return nil
        }
        self.init(p.bytesOfIP(from: p.l4))
    }

    /// The sender's port.
    @inlinable @inline(__always) public var source: UInt16 { base.be16(0) }
    /// The receiver's port.
    @inlinable @inline(__always) public var destination: UInt16 { base.be16(2) }
}
