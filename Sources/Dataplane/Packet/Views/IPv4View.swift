// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// An IPv4 header with its options (RFC 791), and the packet after it.
@frozen
public struct IPv4View: HeaderView {
    /// The first byte of the header.
    public let base: UnsafeRawPointer
    /// Bytes at `base`, at least the header's.
    public let count: Int

    /// The size in bytes of a header without options.
    @inlinable @inline(__always) public static var size: Int { 20 }

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        self.count = count
    }

    /// The header at the beginning of `bytes`; nil if its version is not 4, its length is below 20, or the bytes end before it
    /// does. Its total length is not checked, as captures may be truncated.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count >= IPv4View.size else { return nil }
        self.init(base, bytes.count)
        guard version == 4, headerLength >= IPv4View.size, headerLength <= count else { return nil }
    }

    /// The IPv4 header of a packet; nil if it has none.
    @inlinable @inline(__always)
    public init?(_ p: Packet) {
        guard p.hasIP(), p.ipVersion == 4 else { return nil }
        self.init(p.bytesOfIP(from: p.l3))
    }

    /// The IPv4 header of a packet whose header has been found.
    @inlinable @inline(__always)
    init(known p: Packet) {
        assert(p.ipVersion == 4, "no IPv4 header was found")
        self.init(p.networkHeader, Int(min(p.length, p.ipEnd)) &- Int(p.l3))
    }

    /// 4.
    @inlinable @inline(__always) public var version: UInt8 { base.byte(0) &>> 4 }
    /// Bytes of the header, including options.
    @inlinable @inline(__always) public var headerLength: Int { Int(base.byte(0) & 15) &* 4 }
    /// The former type-of-service byte: `dscp` and `ecn`.
    @inlinable @inline(__always) public var typeOfService: UInt8 { base.byte(1) }
    /// Differentiated services code point (RFC 2474), 0...63.
    @inlinable @inline(__always) public var dscp: UInt8 { typeOfService &>> 2 }
    /// Explicit congestion notification (RFC 3168), 0...3.
    @inlinable @inline(__always) public var ecn: UInt8 { typeOfService & 3 }
    /// Bytes of header and payload; 0 if left for a NIC to fill in (segmentation offload).
    @inlinable @inline(__always) public var totalLength: UInt16 { base.be16(2) }
    /// The same in all fragments of one packet.
    @inlinable @inline(__always) public var identification: UInt16 { base.be16(4) }
    /// DF: routers must not fragment the packet.
    @inlinable @inline(__always) public var dontFragment: Bool { base.byte(6) & 0x40 != 0 }
    /// MF: another fragment follows.
    @inlinable @inline(__always) public var moreFragments: Bool { base.byte(6) & 0x20 != 0 }
    /// Offset of this fragment's payload in that of the whole packet, in bytes.
    @inlinable @inline(__always) public var fragmentOffset: Int { Int(base.be16(6) & 0x1fff) &* 8 }
    /// Whether the packet is a fragment: first, middle or last.
    @inlinable @inline(__always) public var isFragment: Bool { base.be16(6) & 0x3fff != 0 }
    /// Remaining hops.
    @inlinable @inline(__always) public var timeToLive: UInt8 { base.byte(8) }
    /// Protocol of the payload, an ``IPProtocol``.
    @inlinable @inline(__always) public var proto: UInt8 { base.byte(9) }
    /// The header's checksum field.
    @inlinable @inline(__always) public var checksum: UInt16 { base.be16(10) }
    /// Source address.
    @inlinable @inline(__always) public var source: IPAddress { IPAddress(v4: base.be32(12)) }
    /// Destination address.
    @inlinable @inline(__always) public var destination: IPAddress { IPAddress(v4: base.be32(16)) }
    /// The bytes of the options, including padding.
    @inlinable @inline(__always)
    public var options: UnsafeRawBufferPointer { base.slice(IPv4View.size, headerLength, within: count) }
    /// The bytes after the header, bounded by the total length and the bytes that are there; all of them if it is 0.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer {
        base.slice(headerLength, totalLength == 0 ? count : Int(totalLength), within: count)
    }

    /// Whether the header's checksum is correct (RFC 1071).
    @inlinable @inline(__always)
    public var isChecksumRight: Bool { Checksum.fold(Checksum.sum(base, min(headerLength, count))) == 0xffff }

    /// The sum of both addresses, for the checksums of the payload.
    @inlinable @inline(__always) public var addressSum: UInt64 { Checksum.sum(base + 12, 8) }
}

/// A writable IPv4 header (RFC 791).
public typealias MutableIPv4View = MutableView<IPv4View>

extension MutableView<IPv4View> {
    /// A new header at the beginning of `bytes` with room for options: version and header length are set, all else is zero. Nil
    /// if there are too few bytes, or `optionBytes` is not a multiple of 4 from 0 to 40.
    @inlinable @inline(__always)
    public init?(writing bytes: UnsafeMutableRawBufferPointer, optionBytes: Int = 0) {
        guard (0...40).contains(optionBytes), optionBytes & 3 == 0,
            let base = bytes.cleared(IPv4View.size &+ optionBytes)
        else { return nil }
        self.base = base
        count = bytes.count
        base.put(0x45 &+ UInt8(truncatingIfNeeded: optionBytes &>> 2), 0)
    }

    /// The same header, read-only.
    @inlinable @inline(__always) public var view: IPv4View { IPv4View(base, count) }

    /// The former type-of-service byte.
    @inlinable @inline(__always)
    public var typeOfService: UInt8 {
        get { view.typeOfService }
        nonmutating set { base.put(newValue, 1) }
    }
    /// Bytes of header and payload.
    @inlinable @inline(__always)
    public var totalLength: UInt16 {
        get { view.totalLength }
        nonmutating set { base.put(newValue, 2) }
    }
    /// The same in all fragments of one packet.
    @inlinable @inline(__always)
    public var identification: UInt16 {
        get { view.identification }
        nonmutating set { base.put(newValue, 4) }
    }
    /// DF: routers must not fragment the packet.
    @inlinable @inline(__always)
    public var dontFragment: Bool {
        get { view.dontFragment }
        nonmutating set { base.put(newValue ? 0x40 : 0 as UInt8, mask: 0x40, 6) }
    }
    /// MF: another fragment follows.
    @inlinable @inline(__always)
    public var moreFragments: Bool {
        get { view.moreFragments }
        nonmutating set { base.put(newValue ? 0x20 : 0 as UInt8, mask: 0x20, 6) }
    }
    /// Offset of this fragment's payload in that of the whole packet, in bytes; must be a multiple of 8 below 65536.
    @inlinable @inline(__always)
    public var fragmentOffset: Int {
        get { view.fragmentOffset }
        nonmutating set { base.put(UInt16(truncatingIfNeeded: newValue &>> 3), mask: 0x1fff, 6) }
    }
    /// Remaining hops.
    @inlinable @inline(__always)
    public var timeToLive: UInt8 {
        get { view.timeToLive }
        nonmutating set { base.put(newValue, 8) }
    }
    /// Protocol of the payload, an ``IPProtocol``.
    @inlinable @inline(__always)
    public var proto: UInt8 {
        get { view.proto }
        nonmutating set { base.put(newValue, 9) }
    }
    /// The header's checksum field; ``fillChecksum()`` computes it, `updateChecksum` keeps it right.
    @inlinable @inline(__always)
    public var checksum: UInt16 {
        get { view.checksum }
        nonmutating set { base.put(newValue, 10) }
    }
    /// Source address, which must be IPv4.
    @inlinable @inline(__always)
    public var source: IPAddress {
        get { view.source }
        nonmutating set { newValue.storeIPv4(base, 12) }
    }
    /// Destination address, which must be IPv4.
    @inlinable @inline(__always)
    public var destination: IPAddress {
        get { view.destination }
        nonmutating set { newValue.storeIPv4(base, 16) }
    }
    /// The bytes of the options, including padding.
    @inlinable @inline(__always)
    public var options: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(mutating: view.options) }

    /// Sets the checksum for the current bytes of the header (RFC 1071).
    @inlinable @inline(__always)
    public func fillChecksum() {
        checksum = 0
        base.storeBytes(
            of: Checksum.field(Checksum.sum(base, min(view.headerLength, count))),
            toByteOffset: 10,
            as: UInt16.self
        )
    }

    /// Updates the checksum for a changed 16-bit word of the header (RFC 1624).
    @inlinable @inline(__always)
    public func updateChecksum(_ old: UInt16, _ new: UInt16) { checksum = Checksum.update(checksum, old, new) }

    /// Updates the checksum for a changed 32-bit word of the header, for example an address (RFC 1624).
    @inlinable @inline(__always)
    public func updateChecksum(_ old: UInt32, _ new: UInt32) { checksum = Checksum.update(checksum, old, new) }
}
