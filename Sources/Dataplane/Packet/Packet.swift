// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A reference to one ``Item`` of a pool: what elements read and write. It owns nothing and is a pointer, no more.
///
/// Valid while the item is with the element that was handed it. Copies name the same item.
@frozen
public struct Packet: BitwiseCopyable {
    /// The item itself, in its pool.
    public let item: UnsafeMutablePointer<Item>

    /// A reference to the item at `item`.
    @inlinable @inline(__always)
    public init(_ item: UnsafeMutablePointer<Item>) { self.item = item }

    // MARK: Bytes

    /// The first byte of the packet.
    @inlinable @inline(__always) public var data: UnsafeRawPointer { UnsafeRawPointer(item.pointee.data) }
    /// The first byte of a packet that may be written; see ``isWritable``.
    @inlinable @inline(__always)
    public var writableData: UnsafeMutableRawPointer {
        get { item.pointee.data }
        nonmutating set { item.pointee.data = newValue }
    }
    /// The packet's bytes, as far as they were captured.
    @inlinable @inline(__always) public var bytes: UnsafeRawBufferPointer { item.pointee.bytes }
    /// Bytes at ``data``.
    @inlinable @inline(__always)
    public var length: UInt32 {
        get { item.pointee.length }
        nonmutating set { item.pointee.length = newValue }
    }
    /// Bytes the packet had on the wire; more than `length` where the capture was cut short.
    @inlinable @inline(__always)
    public var wireLength: UInt32 {
        get { item.pointee.wireLength }
        nonmutating set { item.pointee.wireLength = newValue }
    }
    /// Its bytes may be written. ``Context/own(_:)`` makes it so.
    @inlinable @inline(__always)
    public var isWritable: Bool {
        item.pointee.flags.rawValue & (ItemFlags.owned.rawValue | ItemFlags.large.rawValue) != 0
    }

    // MARK: Headers

    /// Where the IP header begins, in bytes from ``data``; meaningful when ``ipVersion`` is 4 or 6.
    @inlinable @inline(__always)
    public var l3: UInt16 {
        get { item.pointee.l3 }
        nonmutating set { item.pointee.l3 = newValue }
    }
    /// Where the header behind IP (and its extension headers) begins.
    @inlinable @inline(__always)
    public var l4: UInt16 {
        get { item.pointee.l4 }
        nonmutating set { item.pointee.l4 = newValue }
    }
    /// Where the payload behind the transport header begins; the packet's end where that cannot be told.
    @inlinable @inline(__always)
    public var payload: UInt16 {
        get { item.pointee.payload }
        nonmutating set { item.pointee.payload = newValue }
    }
    /// The first byte of the IP header. The caller checks how many bytes are there.
    @inlinable @inline(__always) public var networkHeader: UnsafeRawPointer { data + Int(l3) }
    /// The first byte behind IP. With ``hasTransport`` the fixed part of the header is there.
    @inlinable @inline(__always) public var transportHeader: UnsafeRawPointer { data + Int(l4) }
    /// 4 or 6 once the headers were found, 0 before, ``Item/noIP`` when there is no IP header.
    @inlinable @inline(__always)
    public var ipVersion: UInt8 {
        get { item.pointee.ipVersion }
        nonmutating set { item.pointee.ipVersion = newValue }
    }
    /// The protocol number behind IP and its extension headers.
    @inlinable @inline(__always)
    public var ipProtocol: UInt8 {
        get { item.pointee.ipProtocol }
        nonmutating set { item.pointee.ipProtocol = newValue }
    }
    /// Total length of the IP packet in bytes, header included, as the header says; 0 when unknown.
    @inlinable @inline(__always)
    public var ipLength: UInt32 {
        get { item.pointee.ipLength }
        nonmutating set { item.pointee.ipLength = newValue }
    }
    /// The IP packet's end in bytes from ``data``, as its header says: the capture may end before that, and the frame behind.
    @inlinable @inline(__always) public var ipEnd: UInt32 { UInt32(l3) &+ ipLength }
    /// LINKTYPE_ value of the first header.
    @inlinable @inline(__always)
    public var linkType: UInt16 {
        get { item.pointee.linkType }
        nonmutating set { item.pointee.linkType = newValue }
    }
    /// The headers are no longer where they were: after a change of bytes that say where they are.
    @inlinable @inline(__always)
    public func forgetHeaders() { item.pointee.forgetHeaders() }

    // MARK: Facts of one bit

    /// All facts that take one bit.
    @inlinable @inline(__always)
    public var flags: ItemFlags {
        get { item.pointee.flags }
        nonmutating set { item.pointee.flags = newValue }
    }
    // No call of OptionSet's own methods: those are slow in debug builds.
    @inlinable @inline(__always)
    func has(_ flag: ItemFlags) -> Bool { item.pointee.flags.rawValue & flag.rawValue != 0 }
    /// Travels from the side of its flow that was seen second to the side seen first.
    @inlinable @inline(__always) public var isReverse: Bool { has(.reverse) }
    /// Is an IP fragment: first, middle or last.
    @inlinable @inline(__always) public var isFragment: Bool { has(.fragment) }
    /// Is an IP fragment that does not begin with the transport header.
    @inlinable @inline(__always) public var isLaterFragment: Bool { has(.laterFragment) }
    /// Has the fixed part of its transport header: 20 bytes of TCP, 8 of UDP and ICMP.
    @inlinable @inline(__always) public var hasTransport: Bool { has(.transport) }
    /// Is made of records that a Coalescer put together.
    @inlinable @inline(__always) public var isCoalesced: Bool { has(.coalesced) }
    /// Waits in an element.
    @inlinable @inline(__always) public var isHeld: Bool { has(.held) }
    /// In a stream: bytes of its direction are missing before the payload.
    @inlinable @inline(__always) public var isBehindGap: Bool { has(.gap) }
    /// In a stream: some of its bytes came more than once.
    @inlinable @inline(__always) public var isOverlapped: Bool { has(.overlapped) }
    /// In a stream: some of its bytes came more than once, and differed.
    @inlinable @inline(__always) public var isInConflict: Bool { has(.conflict) }
    /// In a stream: shows that a connection begins, while no receiver takes anything of it.
    @inlinable @inline(__always) public var isRefused: Bool { has(.refused) }
    /// Was held, or made of one that was: its turn is no longer that of its own arrival.
    @inlinable @inline(__always) public var isResumed: Bool { has(.resumed) }

    // MARK: Where it comes from and belongs

    /// Functional time in nanoseconds since 1970: the capture's stamp as a running maximum, or the workload's clock.
    @inlinable @inline(__always)
    public var time: Int64 {
        get { item.pointee.time }
        nonmutating set { item.pointee.time = newValue }
    }
    /// Counts the packets that entered from outside, from 0; what is made of a packet has the same.
    @inlinable @inline(__always)
    public var sequence: UInt64 {
        get { item.pointee.sequence }
        nonmutating set { item.pointee.sequence = newValue }
    }
    /// Order among the items with one ``sequence``.
    @inlinable @inline(__always)
    public var made: UInt16 {
        get { item.pointee.made }
        nonmutating set { item.pointee.made = newValue }
    }
    /// The flow a FlowTable found for it.
    @inlinable @inline(__always)
    public var flow: FlowRef {
        get { item.pointee.flow }
        nonmutating set { item.pointee.flow = newValue }
    }
    /// Which ``Layout`` a record or command has; 0 for packets.
    @inlinable @inline(__always)
    public var layout: UInt16 {
        get { item.pointee.layout }
        nonmutating set { item.pointee.layout = newValue }
    }
    /// The capture interface it came from, counted per wire.
    @inlinable @inline(__always)
    public var interface: UInt16 {
        get { item.pointee.interface }
        nonmutating set { item.pointee.interface = newValue }
    }
    /// How many back edges of the graph it has crossed.
    @inlinable @inline(__always)
    public var hops: UInt16 {
        get { item.pointee.hops }
        nonmutating set { item.pointee.hops = newValue }
    }

    // MARK: As a whole

    /// Makes it a new packet, in fewer stores than field by field.
    @inlinable @inline(__always)
    public func set(
        data: UnsafeMutableRawPointer,
        length: UInt32,
        wireLength: UInt32,
        time: Int64,
        sequence: UInt64,
        tail: Item.Tail
    ) {
        writableData = data
        self.time = time
        self.sequence = sequence
        self.length = length
        self.wireLength = wireLength
        UnsafeMutableRawPointer(item).storeBytes(of: tail, toByteOffset: Item.tailOffset, as: Item.Tail.self)
    }
}

extension Item {
    /// Calls `body` with the item as a packet, for an item that is in no pool.
    public mutating func withPacket<R>(_ body: (Packet) throws -> R) rethrows -> R {
        try withUnsafeMutablePointer(to: &self) { try body(Packet($0)) }
    }
}
