// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Names one flow in a flow table: a dense index for arrays of per-flow state, and the generation of that slot.
///
/// A slot is used again after its flow has ended; the generation then differs, so an old reference never names a new flow.
@frozen
public struct FlowRef: Equatable, Sendable, BitwiseCopyable {
    /// The slot in the flow table, `0 ..< capacity`; -1 for no flow.
    public var index: Int32
    /// How often the slot has been used, this flow included; 0 for no flow.
    public var generation: UInt32

    @inlinable @inline(__always)
    public init(index: Int32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }

    /// The item belongs to no flow.
    @inlinable @inline(__always)
    public static var none: FlowRef { FlowRef(index: -1, generation: 0) }
}

/// Facts about an item that take one bit.
@frozen
public struct ItemFlags: OptionSet, Sendable, BitwiseCopyable {
    public var rawValue: UInt16

    @inlinable @inline(__always)
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The bytes are the pool's own slot and may be written.
    @inlinable @inline(__always) public static var owned: ItemFlags { ItemFlags(rawValue: 1 << 0) }
    /// The bytes are a block of their own, larger than a slot; freed with the item.
    @inlinable @inline(__always) public static var large: ItemFlags { ItemFlags(rawValue: 1 << 1) }
    /// The packet travels from the side of its flow that was seen second to the side seen first.
    @inlinable @inline(__always) public static var reverse: ItemFlags { ItemFlags(rawValue: 1 << 2) }
    /// The packet is an IP fragment (any: first, middle or last).
    @inlinable @inline(__always) public static var fragment: ItemFlags { ItemFlags(rawValue: 1 << 3) }
    /// The packet is an IP fragment that does not begin with the transport header.
    @inlinable @inline(__always) public static var laterFragment: ItemFlags { ItemFlags(rawValue: 1 << 4) }
    /// The transport header is present at `l4`, as far as its fixed part: 20 bytes of TCP, 8 of UDP and ICMP.
    @inlinable @inline(__always) public static var transport: ItemFlags { ItemFlags(rawValue: 1 << 5) }
    /// The bytes are records put together by a Coalescer.
    @inlinable @inline(__always) public static var coalesced: ItemFlags { ItemFlags(rawValue: 1 << 6) }
    /// An element holds the item back.
    @inlinable @inline(__always) public static var held: ItemFlags { ItemFlags(rawValue: 1 << 7) }
    /// In a stream: bytes of its direction are missing before the payload.
    @inlinable @inline(__always) public static var gap: ItemFlags { ItemFlags(rawValue: 1 << 8) }
    /// In a stream: some of the packet's bytes came more than once.
    @inlinable @inline(__always) public static var overlapped: ItemFlags { ItemFlags(rawValue: 1 << 9) }
    /// In a stream: some of the packet's bytes came more than once, and differed.
    @inlinable @inline(__always) public static var conflict: ItemFlags { ItemFlags(rawValue: 1 << 10) }
    /// In a stream: the packet shows that a connection begins, and no receiver takes anything of it, its TCP flags neither.
    @inlinable @inline(__always) public static var refused: ItemFlags { ItemFlags(rawValue: 1 << 11) }
    /// An element had held the item, or what it was made of: its turn is no longer that of its own arrival.
    @inlinable @inline(__always) public static var resumed: ItemFlags { ItemFlags(rawValue: 1 << 12) }
}

/// When an item is handled: items of one turn are those that one packet, or a timer behind it, sets in motion.
@frozen
public struct Turn: Equatable, Sendable, BitwiseCopyable {
    /// The number of that packet.
    public var number: UInt64
    /// Functional time at that moment, in nanoseconds.
    public var now: Int64

    @inlinable @inline(__always)
    init(number: UInt64, now: Int64) {
        self.number = number
        self.now = now
    }

    /// The turn of an item, whose place in the pool's table of turns is `kept`; nearly all have that of their own arrival.
    @inlinable @inline(__always)
    static func of(_ item: Packet, _ kept: UnsafeMutablePointer<Turn>) -> Turn {
        if item.isResumed { return kept.pointee }
        return Turn(number: item.sequence, now: item.time)
    }
}

/// Everything that moves through a graph is an item: a packet, a piece of a stream, a record or a command.
///
/// Items live in one ``Pool`` and are named by their Int32 index there. A packet's bytes point into the mapped
/// capture until an element must write; ``Context/own(_:)`` copies then.
@frozen
public struct Item: BitwiseCopyable {
    /// The first byte. Read-only unless `flags` has `owned` or `large`.
    public var data: UnsafeMutableRawPointer
    /// Functional time in nanoseconds since 1970: the capture's stamp as a running maximum, or the workload's clock.
    public var time: Int64
    /// Counts the packets that entered from outside, from 0. Items made from this one inherit it.
    public var sequence: UInt64
    /// Bytes at `data`.
    public var length: UInt32
    /// Bytes the packet had on the wire; more than `length` where a capture was cut short.
    public var wireLength: UInt32
    /// Where the IP header begins, in bytes from `data`; meaningful when `ipVersion` is 4 or 6.
    public var l3: UInt16
    /// Where the header behind IP (and its extension headers) begins.
    public var l4: UInt16
    /// Where the payload behind the transport header begins; the packet's end where that cannot be told.
    public var payload: UInt16
    /// Order among the items with one `sequence`.
    public var made: UInt16
    /// The flow a FlowTable found for the packet.
    public var flow: FlowRef
    /// Which ``Layout`` a record or command has; 0 for packets.
    public var layout: UInt16
    /// Facts of one bit each.
    public var flags: ItemFlags
    /// LINKTYPE_ value of the packet's first header.
    public var linkType: UInt16
    /// The capture interface the packet came from, counted per wire.
    public var interface: UInt16
    // What follows is zero in a new item, and set with one store.
    /// The protocol number behind IP and its extension headers.
    public var ipProtocol: UInt8
    /// 4 or 6 once the headers were found, 0 before, ``noIP`` when there is no IP header.
    public var ipVersion: UInt8
    /// How many back edges of the graph the item has crossed.
    public var hops: UInt16
    /// Total length of the IP packet in bytes, header included, as the header says; 0 when unknown.
    public var ipLength: UInt32

    /// The value of `ipVersion` for packets that were looked at and have no IP header.
    @inlinable @inline(__always) public static var noIP: UInt8 { 255 }

    /// An item without content at `data`.
    @inlinable @inline(__always)
    public init(
        data: UnsafeMutableRawPointer,
        length: UInt32,
        wireLength: UInt32,
        time: Int64,
        sequence: UInt64,
        linkType: UInt16,
        interface: UInt16
    ) {
        self.data = data
        self.time = time
        self.sequence = sequence
        self.length = length
        self.wireLength = wireLength
        l3 = 0
        l4 = 0
        payload = 0
        made = 0
        flow = .none
        layout = 0
        flags = []
        self.linkType = linkType
        ipProtocol = 0
        ipVersion = 0
        self.interface = interface
        hops = 0
        ipLength = 0
    }

    /// Forgets where the headers are, after bytes were changed that may say something else about them.
    @inlinable @inline(__always)
    public mutating func forgetHeaders() {
        ipVersion = 0
        flags.subtract([.fragment, .laterFragment, .transport])
    }

    /// The half of an item that is the same for all new packets of one capture interface: everything behind `wireLength`.
    public typealias Tail = SIMD4<UInt64>

    /// The tail of new packets.
    public static func tail(linkType: UInt16, interface: UInt16) -> Tail {
        let item = Item(
            data: UnsafeMutableRawPointer(bitPattern: 64)!,
            length: 0,
            wireLength: 0,
            time: 0,
            sequence: 0,
            linkType: linkType,
            interface: interface
        )
        return withUnsafeBytes(of: item) { $0.loadUnaligned(fromByteOffset: tailOffset, as: Tail.self) }
    }

    /// Where the tail begins.
    @inlinable @inline(__always)
    static var tailOffset: Int { 32 }

    /// The item's bytes.
    @inlinable @inline(__always)
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: data, count: Int(length)) }
}

/// Some items of a pool, in order: what elements are handed. It owns nothing.
@frozen
public struct Batch {
    /// The pool's items.
    public let items: UnsafeMutablePointer<Item>
    /// The indices of this batch.
    public let index: UnsafePointer<Int32>
    /// At least 1.
    public let count: Int

    @inlinable @inline(__always)
    public init(items: UnsafeMutablePointer<Item>, index: UnsafePointer<Int32>, count: Int) {
        self.items = items
        self.index = index
        self.count = count
    }

    /// The `k`-th item.
    @inlinable @inline(__always)
    public subscript(_ k: Int) -> Packet { Packet(items + Int(index[k])) }
}
