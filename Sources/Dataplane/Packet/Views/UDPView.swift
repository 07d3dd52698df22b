// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A UDP header (RFC 768), 8 bytes, and the datagram behind it.
@frozen
public struct UDPView: HeaderView {
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

    /// The header at the beginning of `bytes`; nil when they are fewer than 8. Its length may be anything, as captures are cut
    /// short; `payload` heeds it.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count >= UDPView.size else { return nil }
        self.init(base, bytes.count)
    }

    /// The UDP header of a packet; nil when it has none.
    @inlinable @inline(__always)
    public init?(_ p: Packet) { self.init(p.bytesOfTransport(IPProtocol.udp)) }

    /// The sender's port.
    @inlinable @inline(__always) public var sourcePort: UInt16 { base.be16(0) }
    /// The receiver's port.
    @inlinable @inline(__always) public var destinationPort: UInt16 { base.be16(2) }
    /// Bytes of header and payload; 0 in a jumbogram (RFC 2675).
    @inlinable @inline(__always) public var length: UInt16 { base.be16(4) }
    /// The checksum field, 0 when the sender made none.
    @inlinable @inline(__always) public var checksum: UInt16 { base.be16(6) }
    /// The bytes of the datagram, as far as they are there and `length` says, all when it says 0.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer { base.slice(UDPView.size, covered, within: count) }

    /// Bytes that `length` speaks of.
    @inlinable @inline(__always)
    var covered: Int { length == 0 ? count : Int(length) }

    /// Whether the checksum is right, or the sender made none, in a packet with these addresses
    /// (``IPv4View/addressSum``). False when the datagram is not wholly there.
    @inlinable
    public func isChecksumRight(_ addressSum: UInt64) -> Bool {
        if checksum == 0 { return true }
        let covered = self.covered
        guard covered >= UDPView.size, covered <= count else { return false }
        let pseudo = Checksum.pseudoHeader(addressSum, proto: IPProtocol.udp, length: covered)
        return Checksum.fold(Checksum.sum(base, covered) &+ pseudo) == 0xffff
    }
}

/// A UDP header (RFC 768) that is written.
public typealias MutableUDPView = MutableView<UDPView>

extension MutableView<UDPView> {
    /// A new header of zeros at the beginning of `bytes`; nil when they are fewer than 8.
    @inlinable @inline(__always)
    public init?(writing bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.cleared(UDPView.size) else { return nil }
        self.base = base
        count = bytes.count
    }

    /// The same header, to be read.
    @inlinable @inline(__always) public var view: UDPView { UDPView(base, count) }

    /// The sender's port.
    @inlinable @inline(__always)
    public var sourcePort: UInt16 {
        get { view.sourcePort }
        nonmutating set { base.put(newValue, 0) }
    }
    /// The receiver's port.
    @inlinable @inline(__always)
    public var destinationPort: UInt16 {
        get { view.destinationPort }
        nonmutating set { base.put(newValue, 2) }
    }
    /// Bytes of header and payload.
    @inlinable @inline(__always)
    public var length: UInt16 {
        get { view.length }
        nonmutating set { base.put(newValue, 4) }
    }
    /// The checksum field; ``fillChecksum(_:)`` computes it.
    @inlinable @inline(__always)
    public var checksum: UInt16 {
        get { view.checksum }
        nonmutating set { base.put(newValue, 6) }
    }

    /// Sets the checksum to that of the datagram as it is, in a packet with these addresses (``IPv4View/addressSum``). A
    /// computed zero is stored as all ones, for zero means that there is none.
    @inlinable
    public func fillChecksum(_ addressSum: UInt64) {
        checksum = 0
        let covered = min(view.covered, count)
        let pseudo = Checksum.pseudoHeader(addressSum, proto: IPProtocol.udp, length: covered)
        let field = Checksum.field(Checksum.sum(base, covered) &+ pseudo)
        base.storeBytes(of: field == 0 ? 0xffff : field, toByteOffset: 6, as: UInt16.self)
    }

    /// Keeps the checksum right when a 16-bit word it covers changes, for example a port (RFC 1624). A checksum that the
    /// sender did not make stays so.
    @inlinable @inline(__always)
    public func updateChecksum(_ old: UInt16, _ new: UInt16) { store(Checksum.update(checksum, old, new)) }

    /// Keeps the checksum right when a 32-bit word it covers changes, for example an address (RFC 1624).
    @inlinable @inline(__always)
    public func updateChecksum(_ old: UInt32, _ new: UInt32) { store(Checksum.update(checksum, old, new)) }

    @inlinable @inline(__always)
    func store(_ updated: UInt16) {
        if checksum != 0 { checksum = updated == 0 ? 0xffff : updated }
    }
}
