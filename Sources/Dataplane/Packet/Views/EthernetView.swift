// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// An Ethernet address (MAC), 48 bits.
@frozen
public struct EthernetAddress: BitwiseCopyable, Hashable, Sendable, CustomStringConvertible {
    /// The address as a number; the upper 16 bits are 0.
    public let number: UInt64

    /// The address with the lower 48 bits of a number: `0x0200_0000_0001` is 02:00:00:00:00:01.
    @inlinable @inline(__always)
    public init(_ number: UInt64) { self.number = number & 0xffff_ffff_ffff }

    /// The broadcast address.
    @inlinable @inline(__always) public static var broadcast: EthernetAddress { EthernetAddress(.max) }

    /// Whether this is a group address; broadcast is one.
    @inlinable @inline(__always) public var isMulticast: Bool { number &>> 40 & 1 != 0 }

    /// Six pairs of hexadecimal digits with colons between them.
    public var description: String {
        octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }

    var octets: [UInt8] { (0..<6).map { UInt8(truncatingIfNeeded: number >> UInt64(40 - 8 * $0)) } }

    /// The address in the six bytes at `offset`. The caller has checked that they are there.
    @inlinable @inline(__always)
    init(_ bytes: UnsafeRawPointer, _ offset: Int) {
        number = UInt64(bytes.be16(offset)) &<< 32 | UInt64(bytes.be32(offset &+ 2))
    }

    /// Stores the six bytes at `offset`. The caller has checked that there is room.
    @inlinable @inline(__always)
    func store(_ bytes: UnsafeMutableRawPointer, _ offset: Int) {
        bytes.put(UInt16(truncatingIfNeeded: number &>> 32), offset)
        bytes.put(UInt32(truncatingIfNeeded: number), offset &+ 2)
    }
}

/// An Ethernet header (IEEE 802.3), 14 bytes without preamble, and the frame behind it.
@frozen
public struct EthernetView: HeaderView {
    /// The first byte of the header.
    public let base: UnsafeRawPointer
    /// Bytes at `base`: header and payload, at least 14.
    public let count: Int

    /// The size of the header in bytes.
    @inlinable @inline(__always) public static var size: Int { 14 }

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        self.count = count
    }

    /// The header at the beginning of `bytes`; nil if there are fewer than 14.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count >= EthernetView.size else { return nil }
        self.init(base, bytes.count)
    }

    /// The Ethernet header of a packet; nil for any other link type.
    @inlinable @inline(__always)
    public init?(_ p: Packet) {
        guard p.linkType == LinkType.ethernet else { return nil }
        self.init(p.bytes)
    }

    /// Destination address.
    @inlinable @inline(__always) public var destination: EthernetAddress { EthernetAddress(base, 0) }
    /// Source address.
    @inlinable @inline(__always) public var source: EthernetAddress { EthernetAddress(base, 6) }
    /// An ``EtherType``, perhaps of a tag; below 0x0600 the length of an IEEE 802.2 frame.
    @inlinable @inline(__always) public var etherType: UInt16 { base.be16(12) }
    /// The bytes after the header, including tags.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer { base.slice(EthernetView.size, count, within: count) }

    /// The VLAN tags, the outermost first.
    @inlinable @inline(__always)
    public var tags: VLANTags { VLANTags(base + 14, count &- 14, etherType) }

    /// The frame's content after all tags; nil if the frame ends within a tag.
    @inlinable
    public var content: (etherType: UInt16, bytes: UnsafeRawBufferPointer)? {
        var tags = self.tags
        while tags.next() != nil {}
        return tags.isCut ? nil : (tags.etherType, UnsafeRawBufferPointer(start: tags.base, count: tags.count))
    }
}

/// A writable Ethernet header.
public typealias MutableEthernetView = MutableView<EthernetView>

extension MutableView<EthernetView> {
    /// A new zeroed header at the beginning of `bytes`; nil if there are fewer than 14.
    @inlinable @inline(__always)
    public init?(writing bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.cleared(EthernetView.size) else { return nil }
        self.base = base
        count = bytes.count
    }

    /// The same header, read-only.
    @inlinable @inline(__always) public var view: EthernetView { EthernetView(base, count) }

    /// Destination address.
    @inlinable @inline(__always)
    public var destination: EthernetAddress {
        get { view.destination }
        nonmutating set { newValue.store(base, 0) }
    }
    /// Source address.
    @inlinable @inline(__always)
    public var source: EthernetAddress {
        get { view.source }
        nonmutating set { newValue.store(base, 6) }
    }
    /// An ``EtherType``.
    @inlinable @inline(__always)
    public var etherType: UInt16 {
        get { view.etherType }
        nonmutating set { base.put(newValue, 12) }
    }
}
