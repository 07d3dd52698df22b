// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The fixed IPv6 header (RFC 8200 section 3), 40 bytes, and the packet after it.
@frozen
public struct IPv6View: HeaderView {
    /// The first byte of the header.
    public let base: UnsafeRawPointer
    /// Bytes at `base`, at least 40.
    public let count: Int

    /// The size of the fixed header in bytes.
    @inlinable @inline(__always) public static var size: Int { 40 }

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        self.count = count
    }

    /// The header at the beginning of `bytes`; nil if its version is not 6, or there are fewer than 40. Its payload length is
    /// not checked, as captures may be truncated.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count >= IPv6View.size else { return nil }
        self.init(base, bytes.count)
        guard version == 6 else { return nil }
    }

    /// The IPv6 header of a packet; nil if it has none.
    @inlinable @inline(__always)
    public init?(_ p: Packet) {
        guard p.hasIP(), p.ipVersion == 6 else { return nil }
        self.init(p.bytesOfIP(from: p.l3))
    }

    /// The IPv6 header of a packet whose header has been found.
    @inlinable @inline(__always)
    init(known p: Packet) {
        assert(p.ipVersion == 6, "no IPv6 header was found")
        self.init(p.networkHeader, Int(min(p.length, p.ipEnd)) &- Int(p.l3))
    }

    /// 6.
    @inlinable @inline(__always) public var version: UInt8 { base.byte(0) &>> 4 }
    /// Traffic class: `dscp` and `ecn`.
    @inlinable @inline(__always)
    public var trafficClass: UInt8 { UInt8(truncatingIfNeeded: base.be16(0) &>> 4) }
    /// Differentiated services code point (RFC 2474), 0...63.
    @inlinable @inline(__always) public var dscp: UInt8 { trafficClass &>> 2 }
    /// Explicit congestion notification (RFC 3168), 0...3.
    @inlinable @inline(__always) public var ecn: UInt8 { trafficClass & 3 }
    /// Flow label (RFC 6437), 20 bits.
    @inlinable @inline(__always) public var flowLabel: UInt32 { base.be32(0) & 0x000f_ffff }
    /// Bytes after this header; 0 in a jumbogram (RFC 2675), and if left for a NIC to fill in (segmentation offload).
    @inlinable @inline(__always) public var payloadLength: UInt16 { base.be16(4) }
    /// Number of the header after this one, an ``IPProtocol``; may be an extension header.
    @inlinable @inline(__always) public var nextHeader: UInt8 { base.byte(6) }
    /// Remaining hops.
    @inlinable @inline(__always) public var hopLimit: UInt8 { base.byte(7) }
    /// Source address.
    @inlinable @inline(__always) public var source: IPAddress { IPAddress(v6: base + 8) }
    /// Destination address; with a routing header that of the next stop.
    @inlinable @inline(__always) public var destination: IPAddress { IPAddress(v6: base + 24) }
    /// The bytes after the header, including extension headers, bounded by the payload length and the bytes that are there; all
    /// of them if it is 0 although something follows.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer {
        let isUnknown = payloadLength == 0 && nextHeader != IPProtocol.noNextHeader
        return base.slice(IPv6View.size, isUnknown ? count : IPv6View.size &+ Int(payloadLength), within: count)
    }

    /// The extension headers, in order.
    @inlinable @inline(__always)
    public var extensions: IPv6Extensions {
        let payload = self.payload
        return IPv6Extensions(base + IPv6View.size, payload.count, nextHeader)
    }

    /// The header after all extension headers, and the bytes from there on; nil if an extension header is incomplete, and in a
    /// fragment that is not the first.
    @inlinable
    public var content: (proto: UInt8, bytes: UnsafeRawBufferPointer)? {
        var extensions = self.extensions
        while extensions.next() != nil {}
        if extensions.isMalformed || extensions.isLaterFragment { return nil }
        return (extensions.proto, UnsafeRawBufferPointer(start: extensions.base, count: extensions.count))
    }

    /// The sum of both addresses, for the checksums of the payload.
    @inlinable @inline(__always) public var addressSum: UInt64 { Checksum.sum(base + 8, 32) }
}

/// An IPv6 extension header (RFC 8200 section 4).
@frozen
public struct IPv6Extension: BitwiseCopyable {
    /// The header's number: ``IPProtocol/hopByHop``, ``IPProtocol/routing``, ``IPProtocol/fragment``,
    /// ``IPProtocol/authentication``, ``IPProtocol/destinationOptions``, or mobility, HIP, shim6.
    public let kind: UInt8
    /// The whole header, at least 8 bytes.
    public let bytes: UnsafeRawBufferPointer

    @inlinable @inline(__always)
    init(_ kind: UInt8, _ bytes: UnsafeRawBufferPointer) {
        self.kind = kind
        self.bytes = bytes
    }

    /// Number of the header after this one.
    @inlinable @inline(__always) public var nextHeader: UInt8 { bytes.baseAddress?.byte(0) ?? 0 }
    /// The header as a fragment header; nil if it is another.
    @inlinable @inline(__always)
    public var fragment: IPv6Fragment? {
        guard kind == IPProtocol.fragment, let base = bytes.baseAddress else { return nil }
        return IPv6Fragment(base)
    }
}

/// An IPv6 fragment header (RFC 8200 section 4.5).
@frozen
public struct IPv6Fragment: BitwiseCopyable, Equatable, Sendable {
    /// Offset of this fragment's bytes in the fragmentable part, in bytes.
    public let offset: Int
    /// M flag: another fragment follows.
    public let more: Bool
    /// The same in all fragments of one packet.
    public let identification: UInt32

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer) {
        offset = Int(base.be16(2) & 0xfff8)
        more = base.byte(3) & 1 != 0
        identification = base.be32(4)
    }
}

/// The extension headers of an IPv6 packet, in order (RFC 8200 section 4, RFC 4302 section 2), and the header they lead to.
///
/// Nothing is allocated, and iteration ends with the bytes: each header has at least 8. Their order is not checked.
/// checked.
@frozen
public struct IPv6Extensions: Sequence, IteratorProtocol, BitwiseCopyable {
    @usableFromInline var _base: UnsafeRawPointer
    /// First byte of the next header.
    @inlinable @inline(__always) public var base: UnsafeRawPointer { _base }
    @usableFromInline var _count: Int
    /// Bytes at `base`.
    @inlinable @inline(__always) public var count: Int { _count }
    @usableFromInline var _proto: UInt8
    /// The number of the header at `base`: after the last extension header, the packet's content.
    @inlinable @inline(__always) public var proto: UInt8 { _proto }
    @usableFromInline var _isMalformed = false
    /// Whether an extension header is incomplete, or its length leads out of the packet. Iteration ends before it.
    @inlinable @inline(__always) public var isMalformed: Bool { _isMalformed }
    @usableFromInline var _isLaterFragment = false
    /// Whether the packet is a fragment other than the first, so that `base` points not at a header but into the middle of the
    /// original packet.
    @inlinable @inline(__always) public var isLaterFragment: Bool { _isLaterFragment }

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int, _ proto: UInt8) {
        _base = base
        _count = count
        _proto = proto
    }

    /// The next extension header; nil after the last.
    @inlinable
    public mutating func next() -> IPv6Extension? {
        guard !_isMalformed, !_isLaterFragment, let size = size else { return nil }
        guard size <= _count else {
            _isMalformed = true
            return nil
        }
        let header = IPv6Extension(_proto, UnsafeRawBufferPointer(start: _base, count: size))
        if let fragment = header.fragment, fragment.offset > 0 { _isLaterFragment = true }
        _proto = header.nextHeader
        _base += size
        _count &-= size
        return header
    }

    /// The size of the header at `base`, or 8 if fewer bytes are there; nil if it is no extension header.
    @inlinable @inline(__always)
    var size: Int? {
        switch _proto {
        case IPProtocol.hopByHop, IPProtocol.routing, IPProtocol.destinationOptions, 135, 139, 140:
            // Also mobility (RFC 6275), HIP (RFC 7401) and shim6 (RFC 5533): units of 8 bytes, minus one.
            _count < 8 ? 8 : (Int(_base.byte(1)) &+ 1) &* 8
        case IPProtocol.fragment: 8
        // RFC 4302 section 2.2: units of 4 bytes, minus two. Fewer than 8 bytes would not hold the fixed part.
        case IPProtocol.authentication: _count < 8 ? 8 : (Int(_base.byte(1)) &+ 2) &* 4
        default: nil
        }
    }
}

/// A writable fixed IPv6 header (RFC 8200 section 3).
public typealias MutableIPv6View = MutableView<IPv6View>

extension MutableView<IPv6View> {
    /// A new header at the beginning of `bytes`: the version is set, all else is zero. Nil if there are fewer than 40.
    @inlinable @inline(__always)
    public init?(writing bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.cleared(IPv6View.size) else { return nil }
        self.base = base
        count = bytes.count
        base.put(0x60 as UInt8, 0)
    }

    /// The same header, read-only.
    @inlinable @inline(__always) public var view: IPv6View { IPv6View(base, count) }

    /// Traffic class.
    @inlinable @inline(__always)
    public var trafficClass: UInt8 {
        get { view.trafficClass }
        nonmutating set { base.put(UInt16(newValue) &<< 4, mask: 0x0ff0, 0) }
    }
    /// Flow label; the lower 20 bits are stored.
    @inlinable @inline(__always)
    public var flowLabel: UInt32 {
        get { view.flowLabel }
        nonmutating set {
            base.put(UInt8(truncatingIfNeeded: newValue &>> 16), mask: 0x0f, 1)
            base.put(UInt16(truncatingIfNeeded: newValue), 2)
        }
    }
    /// Bytes after this header.
    @inlinable @inline(__always)
    public var payloadLength: UInt16 {
        get { view.payloadLength }
        nonmutating set { base.put(newValue, 4) }
    }
    /// Number of the header after this one, an ``IPProtocol``.
    @inlinable @inline(__always)
    public var nextHeader: UInt8 {
        get { view.nextHeader }
        nonmutating set { base.put(newValue, 6) }
    }
    /// Remaining hops.
    @inlinable @inline(__always)
    public var hopLimit: UInt8 {
        get { view.hopLimit }
        nonmutating set { base.put(newValue, 7) }
    }
    /// Source address, which must be IPv6.
    @inlinable @inline(__always)
    public var source: IPAddress {
        get { view.source }
        nonmutating set { newValue.storeIPv6(base, 8) }
    }
    /// Destination address, which must be IPv6.
    @inlinable @inline(__always)
    public var destination: IPAddress {
        get { view.destination }
        nonmutating set { newValue.storeIPv6(base, 24) }
    }
}
