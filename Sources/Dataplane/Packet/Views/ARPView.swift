// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// An ARP message (RFC 826), for any kind of address.
@frozen
public struct ARPView: HeaderView {
    /// The first byte of the message.
    public let base: UnsafeRawPointer
    /// Bytes at `base`, at least what the message's address lengths say.
    public let count: Int

    /// The size in bytes of a message about IPv4 over Ethernet.
    @inlinable @inline(__always) public static var sizeForIPv4: Int { 28 }
    /// `operation` of a request.
    @inlinable @inline(__always) public static var request: UInt16 { 1 }
    /// `operation` of a reply.
    @inlinable @inline(__always) public static var reply: UInt16 { 2 }

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        self.count = count
    }

    /// The message at the beginning of `bytes`; nil if they end before the four addresses, whose lengths it states.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count >= 8 else { return nil }
        self.init(base, bytes.count)
        guard bytes.count >= 8 &+ 2 &* (hardwareLength &+ protocolLength) else { return nil }
    }

    /// The ARP message of an Ethernet frame; nil if it holds none.
    @inlinable @inline(__always)
    public init?(_ p: Packet) {
        guard let content = EthernetView(p)?.content, content.etherType == EtherType.arp else { return nil }
        self.init(content.bytes)
    }

    /// Kind of hardware address, 1 for Ethernet.
    @inlinable @inline(__always) public var hardwareType: UInt16 { base.be16(0) }
    /// Kind of protocol address, an ``EtherType``.
    @inlinable @inline(__always) public var protocolType: UInt16 { base.be16(2) }
    /// Bytes of a hardware address.
    @inlinable @inline(__always) public var hardwareLength: Int { Int(base.byte(4)) }
    /// Bytes of a protocol address.
    @inlinable @inline(__always) public var protocolLength: Int { Int(base.byte(5)) }
    /// ``request``, ``reply`` or another.
    @inlinable @inline(__always) public var operation: UInt16 { base.be16(6) }

    /// The sender's hardware address.
    @inlinable @inline(__always)
    public var senderHardware: UnsafeRawBufferPointer { address(8, hardwareLength) }
    /// The sender's protocol address.
    @inlinable @inline(__always)
    public var senderProtocol: UnsafeRawBufferPointer { address(8 &+ hardwareLength, protocolLength) }
    /// The target's hardware address: the one asked for, or the recipient of the answer.
    @inlinable @inline(__always)
    public var targetHardware: UnsafeRawBufferPointer {
        address(8 &+ hardwareLength &+ protocolLength, hardwareLength)
    }
    /// The target's protocol address: the one asked about, or the recipient of the answer.
    @inlinable @inline(__always)
    public var targetProtocol: UnsafeRawBufferPointer {
        address(8 &+ 2 &* hardwareLength &+ protocolLength, protocolLength)
    }

    @inlinable @inline(__always)
    func address(_ offset: Int, _ length: Int) -> UnsafeRawBufferPointer {
        base.slice(offset, offset &+ length, within: count)
    }

    /// Whether the message is about IPv4 over Ethernet.
    @inlinable @inline(__always)
    public var isIPv4: Bool {
        count >= ARPView.sizeForIPv4 && base.be32(0) == 0x0001_0800 && base.be16(4) == 0x0604
    }
    /// The address lengths decide where the addresses are, so only ``isIPv4`` messages can be written.
    @inlinable @inline(__always) public var isRegular: Bool { isIPv4 }

    /// The sender's Ethernet address; nil when the message is not about IPv4 over Ethernet.
    @inlinable @inline(__always)
    public var senderEthernet: EthernetAddress? { isIPv4 ? EthernetAddress(base, 8) : nil }
    /// The sender's IPv4 address; nil when the message is not about IPv4 over Ethernet.
    @inlinable @inline(__always)
    public var senderIPv4: IPAddress? { isIPv4 ? IPAddress(v4: base.be32(14)) : nil }
    /// The target's Ethernet address; nil when the message is not about IPv4 over Ethernet.
    @inlinable @inline(__always)
    public var targetEthernet: EthernetAddress? { isIPv4 ? EthernetAddress(base, 18) : nil }
    /// The target's IPv4 address; nil when the message is not about IPv4 over Ethernet.
    @inlinable @inline(__always)
    public var targetIPv4: IPAddress? { isIPv4 ? IPAddress(v4: base.be32(24)) : nil }
}

/// A writable ARP message about IPv4 over Ethernet (RFC 826).
public typealias MutableARPView = MutableView<ARPView>

extension MutableView<ARPView> {
    /// A new message about IPv4 over Ethernet at the beginning of `bytes`, with operation and addresses zero; nil if there are
    /// fewer than 28 bytes.
    @inlinable @inline(__always)
    public init?(writing bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.cleared(ARPView.sizeForIPv4) else { return nil }
        self.base = base
        count = bytes.count
        base.put(0x0001_0800 as UInt32, 0)
        base.put(0x0604 as UInt16, 4)
    }

    /// The same message, read-only.
    @inlinable @inline(__always) public var view: ARPView { ARPView(base, count) }

    /// ``ARPView/request``, ``ARPView/reply`` or another.
    @inlinable @inline(__always)
    public var operation: UInt16 {
        get { view.operation }
        nonmutating set { base.put(newValue, 6) }
    }
    /// The sender's Ethernet address.
    @inlinable @inline(__always)
    public var senderEthernet: EthernetAddress {
        get { EthernetAddress(base, 8) }
        nonmutating set { newValue.store(base, 8) }
    }
    /// The sender's address, IPv4.
    @inlinable @inline(__always)
    public var senderIPv4: IPAddress {
        get { IPAddress(v4: UnsafeRawPointer(base).be32(14)) }
        nonmutating set { newValue.storeIPv4(base, 14) }
    }
    /// The target's Ethernet address.
    @inlinable @inline(__always)
    public var targetEthernet: EthernetAddress {
        get { EthernetAddress(base, 18) }
        nonmutating set { newValue.store(base, 18) }
    }
    /// The target's address, IPv4.
    @inlinable @inline(__always)
    public var targetIPv4: IPAddress {
        get { IPAddress(v4: UnsafeRawPointer(base).be32(24)) }
        nonmutating set { newValue.storeIPv4(base, 24) }
    }
}
