// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A UDP header (RFC 768), 8 bytes, and the datagram after it.
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

    /// The header at the beginning of `bytes`; nil if there are fewer than 8. Its length is not checked, as captures may be
    /// truncated; `payload` respects it.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count >= UDPView.size else { return nil }
        self.init(base, bytes.count)
    }

    /// The UDP header of a packet; nil if it has none.
    @inlinable @inline(__always)
    public init?(_ p: Packet) { self.init(p.bytesOfTransport(IPProtocol.udp)) }

    /// The sender's port.
    @inlinable @inline(__always) public var sourcePort: UInt16 { base.be16(0) }
    /// The receiver's port.
    @inlinable @inline(__always) public var destinationPort: UInt16 { base.be16(2) }
    /// Bytes of header and payload; 0 in a jumbogram (RFC 2675).
    @inlinable @inline(__always) public var length: UInt16 { base.be16(4) }
    /// The checksum field, 0 if the sender computed none.
    @inlinable @inline(__always) public var checksum: UInt16 { base.be16(6) }
    /// The bytes of the datagram, bounded by `length` and the bytes that are there; all of them if it is 0.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer { base.slice(UDPView.size, covered, within: count) }

    /// Bytes that `length` covers.
    @inlinable @inline(__always)
    var covered: Int { length == 0 ? count : Int(length) }

    /// Whether the checksum is correct, or the sender computed none, in a packet with these addresses
    /// (``IPv4View/addressSum``). False if the datagram is incomplete.
    @inlinable
    public func isChecksumRight(_ addressSum: UInt64) -> Bool {
        if checksum == 0 { return true }
        let covered = self.covered
        guard covered >= UDPView.size, covered <= count else { return false }
        let pseudo = Checksum.pseudoHeader(addressSum, proto: IPProtocol.udp, length: covered)
        return Checksum.fold(Checksum.sum(base, covered) &+ pseudo) == 0xffff
    }
}

/// A writable UDP header (RFC 768).
public typealias MutableUDPView = MutableView<UDPView>

extension MutableView<UDPView> {
    /// A new zeroed header at the beginning of `bytes`; nil if there are fewer than 8.
    @inlinable @inline(__always)
    public init?(writing bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.cleared(UDPView.size) else { return nil }
        self.base = base
        count = bytes.count
    }

    /// The same header, read-only.
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

    /// Sets the checksum for the current bytes of the datagram, in a packet with these addresses (``IPv4View/addressSum``). A
    /// computed zero is stored as all ones, since zero means that there is none.
    @inlinable
    public func fillChecksum(_ addressSum: UInt64) {
        checksum = 0
        let covered = min(view.covered, count)
        let pseudo = Checksum.pseudoHeader(addressSum, proto: IPProtocol.udp, length: covered)
        let field = Checksum.field(Checksum.sum(base, covered) &+ pseudo)
        base.storeBytes(of: field == 0 ? 0xffff : field, toByteOffset: 6, as: UInt16.self)
    }

    /// Updates the checksum for a changed 16-bit word that it covers, for example a port (RFC 1624). An absent checksum stays
    /// absent.
    @inlinable @inline(__always)
    public func updateChecksum(_ old: UInt16, _ new: UInt16) { store(Checksum.update(checksum, old, new)) }

    /// Updates the checksum for a changed 32-bit word that it covers, for example an address (RFC 1624).
    @inlinable @inline(__always)
    public func updateChecksum(_ old: UInt32, _ new: UInt32) { store(Checksum.update(checksum, old, new)) }

    @inlinable @inline(__always)
    func store(_ updated: UInt16) {
        if checksum != 0 { checksum = updated == 0 ? 0xffff : updated }
    }
}
