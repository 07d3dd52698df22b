// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A neighbour solicitation or advertisement, the ICMPv6 messages that do what ARP does in IPv4 (RFC 4861 sections 4.3 and 4.4):
/// 24 bytes, and options.
@frozen
public struct NeighbourView: HeaderView {
    /// The first byte of the ICMPv6 header.
    public let base: UnsafeRawPointer
    /// Bytes at `base`: the message with its options, at least 24.
    public let count: Int

    /// The size in bytes of a message without options.
    @inlinable @inline(__always) public static var size: Int { 24 }
    /// `type` of a solicitation, which asks for the link-layer address of a target.
    @inlinable @inline(__always) public static var solicitation: UInt8 { 135 }
    /// `type` of an advertisement, which answers.
    @inlinable @inline(__always) public static var advertisement: UInt8 { 136 }

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        self.count = count
    }

    /// The message at the beginning of `bytes`; nil if there are fewer than 24, or its type is another. Its options are not checked:
    /// see ``NeighbourOptions/isMalformed``.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count >= NeighbourView.size else { return nil }
        self.init(base, bytes.count)
        guard type == NeighbourView.solicitation || type == NeighbourView.advertisement else { return nil }
    }

    /// The message of a packet; nil if it holds none.
    @inlinable @inline(__always)
    public init?(_ p: Packet) {
        guard p.hasIP(), p.ipVersion == 6 else { return nil }
        self.init(p.bytesOfTransport(IPProtocol.icmpV6))
    }

    /// ``solicitation`` or ``advertisement``.
    @inlinable @inline(__always) public var type: UInt8 { base.byte(0) }
    /// 0 in a valid message.
    @inlinable @inline(__always) public var code: UInt8 { base.byte(1) }
    /// In an advertisement, R: its sender is a router.
    @inlinable @inline(__always) public var isRouter: Bool { base.byte(4) & 0x80 != 0 }
    /// In an advertisement, S: it answers a solicitation.
    @inlinable @inline(__always) public var isSolicited: Bool { base.byte(4) & 0x40 != 0 }
    /// In an advertisement, O: its link-layer address replaces the one that is known.
    @inlinable @inline(__always) public var overrides: Bool { base.byte(4) & 0x20 != 0 }
    /// The address asked for, or advertised.
    @inlinable @inline(__always) public var target: IPAddress { IPAddress(v6: base + 8) }
    /// The options.
    @inlinable @inline(__always)
    public var options: NeighbourOptions { NeighbourOptions(base + NeighbourView.size, count &- NeighbourView.size) }

    /// The Ethernet address in the first option of a kind, ``NeighbourOption/source`` or ``NeighbourOption/target``; nil if there is
    /// none, or it has another length.
    @inlinable
    public func ethernet(_ kind: UInt8) -> EthernetAddress? {
        for option in options where option.kind == kind { return option.ethernet }
        return nil
    }
}

/// An option of neighbour discovery (RFC 4861 section 4.6).
@frozen
public struct NeighbourOption: BitwiseCopyable {
    /// The whole option, a multiple of 8 bytes.
    public let bytes: UnsafeRawBufferPointer

    @inlinable @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// `kind` of the link-layer address of the sender.
    @inlinable @inline(__always) public static var source: UInt8 { 1 }
    /// `kind` of the link-layer address of the target.
    @inlinable @inline(__always) public static var target: UInt8 { 2 }

    /// What it says: ``source``, ``target`` or another.
    @inlinable @inline(__always) public var kind: UInt8 { bytes.baseAddress?.byte(0) ?? 0 }
    /// The address in an option of 8 bytes, as options with an Ethernet address are (RFC 2464 section 6).
    @inlinable @inline(__always)
    public var ethernet: EthernetAddress? {
        guard bytes.count == 8, let base = bytes.baseAddress else { return nil }
        return EthernetAddress(base, 2)
    }
}

/// The options of a message, in order. Nothing is allocated; each has at least 8 bytes, so iteration ends with the message.
@frozen
public struct NeighbourOptions: Sequence, IteratorProtocol, BitwiseCopyable {
    @usableFromInline var base: UnsafeRawPointer
    @usableFromInline var count: Int

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        self.count = count
    }

    /// Whether, once ``next()`` has returned nil, something is left: an option without length, or one longer than the message.
    @inlinable @inline(__always) public var isMalformed: Bool { count > 0 }

    /// The next option; nil after the last, and before one that is malformed.
    @inlinable
    public mutating func next() -> NeighbourOption? {
        guard count >= 8 else { return nil }
        let size = Int(base.byte(1)) &* 8
        guard size > 0, size <= count else { return nil }
        let option = NeighbourOption(UnsafeRawBufferPointer(start: base, count: size))
        base += size
        count &-= size
        return option
    }
}

/// A writable neighbour solicitation or advertisement.
public typealias MutableNeighbourView = MutableView<NeighbourView>

extension MutableView<NeighbourView> {
    /// The size in bytes of a message with one Ethernet address.
    @inlinable @inline(__always) public static var sizeWithEthernet: Int { 32 }

    /// A new message with one option at the beginning of `bytes`: the Ethernet address of its sender in a solicitation, of its
    /// target in an advertisement. The rest is zero. Nil if there are fewer than 32 bytes.
    @inlinable @inline(__always)
    public init?(writing bytes: UnsafeMutableRawBufferPointer, type: UInt8, ethernet: EthernetAddress) {
        guard let base = bytes.cleared(MutableNeighbourView.sizeWithEthernet) else { return nil }
        self.base = base
        count = bytes.count
        base.put(type, 0)
        base.put(type == NeighbourView.solicitation ? NeighbourOption.source : NeighbourOption.target, 24)
        base.put(1 as UInt8, 25)
        ethernet.store(base, 26)
    }

    /// The same message, read-only.
    @inlinable @inline(__always) public var view: NeighbourView { NeighbourView(base, count) }

    /// R: the sender is a router.
    @inlinable @inline(__always)
    public var isRouter: Bool {
        get { view.isRouter }
        nonmutating set { base.put(newValue ? 0x80 : 0 as UInt8, mask: 0x80, 4) }
    }
    /// S: it answers a solicitation.
    @inlinable @inline(__always)
    public var isSolicited: Bool {
        get { view.isSolicited }
        nonmutating set { base.put(newValue ? 0x40 : 0 as UInt8, mask: 0x40, 4) }
    }
    /// O: its link-layer address replaces the one that is known.
    @inlinable @inline(__always)
    public var overrides: Bool {
        get { view.overrides }
        nonmutating set { base.put(newValue ? 0x20 : 0 as UInt8, mask: 0x20, 4) }
    }
    /// The address asked for, or advertised, which must be IPv6.
    @inlinable @inline(__always)
    public var target: IPAddress {
        get { view.target }
        nonmutating set { newValue.storeIPv6(base, 8) }
    }
}
