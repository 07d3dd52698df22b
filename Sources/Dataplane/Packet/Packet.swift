// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A reference to one ``Item`` of a pool, which elements read and write through it. Just a pointer; owns nothing.
///
/// Valid while the item is with the element it was handed to. Copies refer to the same item.
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
    /// The first byte of the packet, for writing; see ``isWritable``.
    @inlinable @inline(__always)
    public var writableData: UnsafeMutableRawPointer {
        get { item.pointee.data }
        nonmutating set { item.pointee.data = newValue }
    }
    /// The packet's captured bytes.
    @inlinable @inline(__always) public var bytes: UnsafeRawBufferPointer { item.pointee.bytes }
    /// Bytes at ``data``.
    @inlinable @inline(__always)
    public var length: UInt32 {
        get { item.pointee.length }
        nonmutating set { item.pointee.length = newValue }
    }
    /// Length on the wire in bytes; more than `length` if the capture truncated the packet.
    @inlinable @inline(__always)
    public var wireLength: UInt32 {
        get { item.pointee.wireLength }
        nonmutating set { item.pointee.wireLength = newValue }
    }
    /// Whether the bytes may be written. ``Context/own(_:)`` makes it so.
    @inlinable @inline(__always)
    public var isWritable: Bool {
        item.pointee.flags.rawValue & (ItemFlags.owned.rawValue | ItemFlags.large.rawValue) != 0
    }

    // MARK: Headers

    /// Offset of the IP header from ``data``, in bytes; meaningful when ``ipVersion`` is 4 or 6.
    @inlinable @inline(__always)
    public var l3: UInt16 {
        get { item.pointee.l3 }
        nonmutating set { item.pointee.l3 = newValue }
    }
    /// Offset of the header after IP (and its extension headers).
    @inlinable @inline(__always)
    public var l4: UInt16 {
        get { item.pointee.l4 }
        nonmutating set { item.pointee.l4 = newValue }
    }
    /// Offset of the payload after the transport header; the packet's end if unknown.
    @inlinable @inline(__always)
    public var payload: UInt16 {
        get { item.pointee.payload }
        nonmutating set { item.pointee.payload = newValue }
    }
    /// The first byte of the IP header. The caller must check how many bytes are there.
    @inlinable @inline(__always) public var networkHeader: UnsafeRawPointer { data + Int(l3) }
    /// The first byte after IP. If ``hasTransport``, the fixed part of the header is there.
    @inlinable @inline(__always) public var transportHeader: UnsafeRawPointer { data + Int(l4) }
    /// 4 or 6 once the headers have been found, 0 before, ``Item/noIP`` if there is no IP header.
    @inlinable @inline(__always)
    public var ipVersion: UInt8 {
        get { item.pointee.ipVersion }
        nonmutating set { item.pointee.ipVersion = newValue }
    }
    /// The protocol number after IP and its extension headers.
    @inlinable @inline(__always)
    public var ipProtocol: UInt8 {
        get { item.pointee.ipProtocol }
        nonmutating set { item.pointee.ipProtocol = newValue }
    }
    /// Total length of the IP packet in bytes, including its header, as the header states it; 0 when unknown.
    @inlinable @inline(__always)
    public var ipLength: UInt32 {
        get { item.pointee.ipLength }
        nonmutating set { item.pointee.ipLength = newValue }
    }
    /// Offset of the IP packet's end from ``data``, as its header states it: the capture may end before, and the frame after.
    @inlinable @inline(__always) public var ipEnd: UInt32 { UInt32(l3) &+ ipLength }
    /// LINKTYPE_ value of the outermost header.
    @inlinable @inline(__always)
    public var linkType: UInt16 {
        get { item.pointee.linkType }
        nonmutating set { item.pointee.linkType = newValue }
    }
    /// Forgets where the headers are, after a change to bytes that determine it.
    @inlinable @inline(__always)
    public func forgetHeaders() { item.pointee.forgetHeaders() }

    // MARK: One-bit facts

    /// All one-bit facts.
    @inlinable @inline(__always)
    public var flags: ItemFlags {
        get { item.pointee.flags }
        nonmutating set { item.pointee.flags = newValue }
    }
    // No call of OptionSet's own methods: those are slow in debug builds.
    @inlinable @inline(__always)
    func has(_ flag: ItemFlags) -> Bool { item.pointee.flags.rawValue & flag.rawValue != 0 }
    /// Travels towards the client of its flow.
    @inlinable @inline(__always) public var isReverse: Bool { has(.reverse) }
    /// Is an IP fragment: first, middle or last.
    @inlinable @inline(__always) public var isFragment: Bool { has(.fragment) }
    /// Is an IP fragment without the transport header.
    @inlinable @inline(__always) public var isLaterFragment: Bool { has(.laterFragment) }
    /// Has the fixed part of its transport header: 20 bytes of TCP, 8 of UDP and ICMP.
    @inlinable @inline(__always) public var hasTransport: Bool { has(.transport) }
    /// Consists of records packed by a Coalescer.
    @inlinable @inline(__always) public var isCoalesced: Bool { has(.coalesced) }
    /// Is held by an element.
    @inlinable @inline(__always) public var isHeld: Bool { has(.held) }
    /// In a stream: bytes of this direction are missing before the payload.
    @inlinable @inline(__always) public var isBehindGap: Bool { has(.gap) }
    /// In a stream: some of its bytes arrived more than once.
    @inlinable @inline(__always) public var isOverlapped: Bool { has(.overlapped) }
    /// In a stream: some of its bytes arrived more than once, and differed.
    @inlinable @inline(__always) public var isInConflict: Bool { has(.conflict) }
    /// In a stream: shows that a connection begins, but no receiver accepts anything in it.
    @inlinable @inline(__always) public var isRefused: Bool { has(.refused) }
    /// Beside or in a stream: has bytes that the receiver may take, and that were not in the stream.
    @inlinable @inline(__always) public var isUnread: Bool { has(.unread) }
    /// Has a turn other than that of its own arrival at the time of its stamp.
    @inlinable @inline(__always) public var isTurnKept: Bool { has(.turnKept) }

    // MARK: Origin and flow

    /// Its own time in nanoseconds since 1970: its stamp in the capture, or the workload's clock. For how much time has passed,
    /// ask ``Context/now(_:)-(Packet)``.
    @inlinable @inline(__always)
    public var time: Int64 {
        get { item.pointee.time }
        nonmutating set { item.pointee.time = newValue }
    }
    /// Number of the packet from outside, counted from 0; items made from a packet inherit it.
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
    /// The flow that a FlowTable assigned to it.
    @inlinable @inline(__always)
    public var flow: FlowRef {
        get { item.pointee.flow }
        nonmutating set { item.pointee.flow = newValue }
    }
    /// Number of the ``Layout`` of a record or command; 0 for packets.
    @inlinable @inline(__always)
    public var layout: UInt16 {
        get { item.pointee.layout }
        nonmutating set { item.pointee.layout = newValue }
    }
    /// The capture interface it came from, numbered per wire; 0 for what was joined.
    @inlinable @inline(__always) public var interface: UInt16 { item.pointee.interface }
    /// What was joined to it on its way here, in pieces of ``pieceSize``.
    @inlinable @inline(__always) public var joined: Joined { item.pointee.joined }
    /// The size of what was joined to it, in bytes, as ``Joined`` says; 0 if nothing was.
    @inlinable @inline(__always) public var pieceSize: UInt16 { item.pointee.pieceSize }
    /// Number of back edges it has crossed.
    @inlinable @inline(__always)
    public var hops: UInt8 {
        get { item.pointee.hops }
        nonmutating set { item.pointee.hops = newValue }
    }

    // MARK: The whole item

    /// Initialises it as a new packet, with fewer stores than field by field.
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
