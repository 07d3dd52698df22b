// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The first 8 bytes of an ICMP message, common to IPv4 (RFC 792) and IPv6 (RFC 4443), and what follows.
@frozen
public struct ICMPView: HeaderView {
    /// The first byte of the header.
    public let base: UnsafeRawPointer
    /// Bytes at `base`, at least 8.
    public let count: Int

    /// The size of the header in bytes.
    @inlinable @inline(__always) public static var size: Int { 8 }

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        self.count = count
    }

    /// The header at the beginning of `bytes`; nil if there are fewer than 8.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count >= ICMPView.size else { return nil }
        self.init(base, bytes.count)
    }

    /// The ICMP header of a packet: ICMP in IPv4, ICMPv6 in IPv6; nil if it has none.
    @inlinable @inline(__always)
    public init?(_ p: Packet) {
        self.init(p.bytesOfTransport(p.hasIP() && p.ipVersion == 4 ? IPProtocol.icmp : IPProtocol.icmpV6))
    }

    /// Message type. IPv4 and IPv6 number them differently.
    @inlinable @inline(__always) public var type: UInt8 { base.byte(0) }
    /// Message code; its meaning depends on the type.
    @inlinable @inline(__always) public var code: UInt8 { base.byte(1) }
    /// The checksum field.
    @inlinable @inline(__always) public var checksum: UInt16 { base.be16(2) }
    /// The second word of the header; its meaning depends on the type.
    @inlinable @inline(__always) public var rest: UInt32 { base.be32(4) }
    /// The identifier of an echo request or reply: the first half of `rest`.
    @inlinable @inline(__always) public var identifier: UInt16 { base.be16(4) }
    /// The sequence number of an echo request or reply: the second half of `rest`.
    @inlinable @inline(__always) public var sequence: UInt16 { base.be16(6) }
    /// The bytes after the header.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer { base.slice(ICMPView.size, count, within: count) }

    /// Whether the checksum of a message in IPv4 is correct. The message must be complete.
    @inlinable
    public var isChecksumRight: Bool { Checksum.fold(Checksum.sum(base, count)) == 0xffff }

    /// Whether the checksum of a message in IPv6 with these addresses (``IPv6View/addressSum``) is correct. The message must be
    /// complete.
    @inlinable
    public func isChecksumRight(_ addressSum: UInt64) -> Bool {
        let pseudo = Checksum.pseudoHeader(addressSum, proto: IPProtocol.icmpV6, length: count)
        return Checksum.fold(Checksum.sum(base, count) &+ pseudo) == 0xffff
    }
}

/// The first 8 bytes of an ICMP message, writable.
public typealias MutableICMPView = MutableView<ICMPView>

extension MutableView<ICMPView> {
    /// A new zeroed header at the beginning of `bytes`; nil if there are fewer than 8.
    @inlinable @inline(__always)
    public init?(writing bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.cleared(ICMPView.size) else { return nil }
        self.base = base
        count = bytes.count
    }

    /// The same header, read-only.
    @inlinable @inline(__always) public var view: ICMPView { ICMPView(base, count) }

    /// Message type.
    @inlinable @inline(__always)
    public var type: UInt8 {
        get { view.type }
        nonmutating set { base.put(newValue, 0) }
    }
    /// Message code; its meaning depends on the type.
    @inlinable @inline(__always)
    public var code: UInt8 {
        get { view.code }
        nonmutating set { base.put(newValue, 1) }
    }
    /// The checksum field; ``fillChecksum()`` or ``fillChecksum(_:)`` computes it.
    @inlinable @inline(__always)
    public var checksum: UInt16 {
        get { view.checksum }
        nonmutating set { base.put(newValue, 2) }
    }
    /// The second word of the header.
    @inlinable @inline(__always)
    public var rest: UInt32 {
        get { view.rest }
        nonmutating set { base.put(newValue, 4) }
    }

    /// Sets the checksum for the current bytes of the message, in IPv4.
    @inlinable
    public func fillChecksum() { fill(0) }

    /// Sets the checksum for the current bytes of the message, in an IPv6 packet with these addresses
    /// (``IPv6View/addressSum``).
    @inlinable
    public func fillChecksum(_ addressSum: UInt64) {
        fill(Checksum.pseudoHeader(addressSum, proto: IPProtocol.icmpV6, length: count))
    }

    @inlinable
    func fill(_ pseudo: UInt64) {
        checksum = 0
        base.storeBytes(of: Checksum.field(Checksum.sum(base, count) &+ pseudo), toByteOffset: 2, as: UInt16.self)
    }
}
