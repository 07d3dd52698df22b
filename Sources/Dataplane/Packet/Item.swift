// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Identifies a flow in a flow table: a dense index for arrays of per-flow state, and the generation of that slot.
///
/// A slot is reused after its flow has ended; the generation then differs, so an old reference never matches a new flow.
@frozen
public struct FlowRef: Equatable, Sendable, BitwiseCopyable {
    /// The slot in the flow table, `0 ..< capacity`; -1 for no flow.
    public var index: Int32
    /// How many flows have used the slot, including this one; 0 for no flow.
    public var generation: UInt32

    @inlinable @inline(__always)
    public init(index: Int32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }

    /// The reference of items without a flow.
    @inlinable @inline(__always)
    public static var none: FlowRef { FlowRef(index: -1, generation: 0) }
}

/// One-bit facts about an item.
@frozen
public struct ItemFlags: OptionSet, Sendable, BitwiseCopyable {
    public var rawValue: UInt16

    @inlinable @inline(__always)
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The bytes are in the pool's own slot and may be written.
    @inlinable @inline(__always) public static var owned: ItemFlags { ItemFlags(rawValue: 1 << 0) }
    /// The bytes are in a separate block, larger than a slot and freed with the item.
    @inlinable @inline(__always) public static var large: ItemFlags { ItemFlags(rawValue: 1 << 1) }
    /// The packet travels towards the client of its flow.
    @inlinable @inline(__always) public static var reverse: ItemFlags { ItemFlags(rawValue: 1 << 2) }
    /// The packet is an IP fragment (any: first, middle or last).
    @inlinable @inline(__always) public static var fragment: ItemFlags { ItemFlags(rawValue: 1 << 3) }
    /// The packet is an IP fragment without the transport header.
    @inlinable @inline(__always) public static var laterFragment: ItemFlags { ItemFlags(rawValue: 1 << 4) }
    /// The fixed part of the transport header is present at `l4`: 20 bytes of TCP, 8 of UDP and ICMP.
    @inlinable @inline(__always) public static var transport: ItemFlags { ItemFlags(rawValue: 1 << 5) }
    /// The bytes are records packed by a Coalescer.
    @inlinable @inline(__always) public static var coalesced: ItemFlags { ItemFlags(rawValue: 1 << 6) }
    /// An element holds the item.
    @inlinable @inline(__always) public static var held: ItemFlags { ItemFlags(rawValue: 1 << 7) }
    /// In a stream: bytes of this direction are missing before the payload.
    @inlinable @inline(__always) public static var gap: ItemFlags { ItemFlags(rawValue: 1 << 8) }
    /// In a stream: some of the packet's bytes arrived more than once.
    @inlinable @inline(__always) public static var overlapped: ItemFlags { ItemFlags(rawValue: 1 << 9) }
    /// In a stream: some of the packet's bytes arrived more than once, and differed.
    @inlinable @inline(__always) public static var conflict: ItemFlags { ItemFlags(rawValue: 1 << 10) }
    /// In a stream: the packet shows that a connection begins, but no receiver accepts anything in it, not even its TCP flags.
    @inlinable @inline(__always) public static var refused: ItemFlags { ItemFlags(rawValue: 1 << 11) }
    /// Beside or in a stream: the packet has bytes that the receiver may take, and that were not in the stream.
    @inlinable @inline(__always) public static var unread: ItemFlags { ItemFlags(rawValue: 1 << 13) }
    /// The bytes are the source's, which takes them back once everything that the packet set in motion has come to rest.
    @inlinable @inline(__always) public static var lent: ItemFlags { ItemFlags(rawValue: 1 << 14) }
    /// The sender of the packet left its transport checksum to the network card, which has not filled it in: it counts as right,
    /// whatever stands there. It is computed where the packet leaves on an interface, of the bytes as they are then, so nobody
    /// who changes them has to keep it up.
    @inlinable @inline(__always) public static var unsummed: ItemFlags { ItemFlags(rawValue: 1 << 15) }
    /// The item's turn is kept in the pool's table: an element had held it, or one it was made from, or it came in at another
    /// functional time than its stamp.
    @inlinable @inline(__always) public static var turnKept: ItemFlags { ItemFlags(rawValue: 1 << 12) }
}

/// What was joined to a packet on its way here, by a network card, the kernel or an element: it leaves on an interface as that
/// again, in pieces of ``Item/pieceSize``.
@frozen
public enum Joined: UInt8, Sendable, BitwiseCopyable {
    /// Nothing, as far as is known.
    case nothing
    /// TCP segments; their size is that of their payload, of which the last may have less.
    case segments
    /// UDP datagrams of one size of payload, of which the last may have less.
    case datagrams
    /// IP fragments; their size is that of the longest, with its IP header.
    case fragments
    /// Something: it is longer than what the interface receives at one time. Nobody said what, and of which size.
    case unknown
}

/// When an item is handled: items of one turn are those set in motion by one packet, or by a timer after it.
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

    /// The turn of an item; `kept` is its entry in the pool's table of turns. Nearly all have the turn of their own arrival, at
    /// the time of their stamp.
    @inlinable @inline(__always)
    static func of(_ item: Packet, _ kept: UnsafeMutablePointer<Turn>) -> Turn {
        if item.isTurnKept { return kept.pointee }
        return Turn(number: item.sequence, now: item.time)
    }
}

/// Everything that moves through a graph is an item: a packet, a piece of a stream, a record or a command.
///
/// Items live in one ``Pool`` and are identified by their Int32 index there. A packet's bytes stay in the mapped capture until
/// an element has to write; ``Context/own(_:)`` copies them then.
@frozen
public struct Item: BitwiseCopyable {
    /// The first byte. Read-only unless `flags` has `owned` or `large`.
    public var data: UnsafeMutableRawPointer
    /// The item's own time in nanoseconds since 1970: its stamp in the capture, or the workload's clock; of what is made at no
    /// packet's arrival, the moment of that. For how much time has passed, ask ``Context/now(_:)-(Int32)``.
    public var time: Int64
    /// Number of the packet from outside, counted from 0. Items made from this one inherit it.
    public var sequence: UInt64
    /// Bytes at `data`.
    public var length: UInt32
    /// Length of the packet on the wire in bytes; more than `length` if the capture truncated it.
    public var wireLength: UInt32
    /// Offset of the IP header from `data`, in bytes; meaningful when `ipVersion` is 4 or 6.
    public var l3: UInt16
    /// Offset of the header after IP (and its extension headers).
    public var l4: UInt16
    /// Offset of the payload after the transport header; the packet's end if unknown.
    public var payload: UInt16
    /// Order among the items with one `sequence`.
    public var made: UInt16
    /// The flow that a FlowTable assigned to the packet.
    public var flow: FlowRef
    /// Number of the ``Layout`` of a record or command; 0 for packets.
    public var layout: UInt16
    /// One-bit facts.
    public var flags: ItemFlags
    /// LINKTYPE_ value of the outermost header.
    public var linkType: UInt16
    /// ``interface``, or ``pieceSize``: what was joined came from a network interface or from an element, which have no numbers.
    @usableFromInline var origin: UInt16
    // The fields from here on are zero in a new item, and set with one store.
    /// The protocol number after IP and its extension headers.
    public var ipProtocol: UInt8
    /// 4 or 6 once the headers have been found, 0 before, ``noIP`` if there is no IP header.
    public var ipVersion: UInt8
    /// Number of back edges the item has crossed.
    public var hops: UInt8
    /// ``joined``.
    @usableFromInline var joining: Joined
    /// Total length of the IP packet in bytes, including its header, as the header states it; 0 when unknown.
    public var ipLength: UInt32

    /// The value of `ipVersion` for packets in which no IP header was found.
    @inlinable @inline(__always) public static var noIP: UInt8 { 255 }

    /// An empty item at `data`.
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
        origin = interface
        hops = 0
        joining = .nothing
        ipLength = 0
    }

    /// The capture interface the packet came from, numbered per wire; 0 for what was joined.
    @inlinable @inline(__always)
    public var interface: UInt16 { joining == .nothing ? origin : 0 }

    /// What was joined to the packet; ``join(_:of:)`` sets it.
    @inlinable @inline(__always)
    public var joined: Joined { joining }

    /// The size of what was joined to the packet, in bytes, as ``Joined`` says; 0 if nothing was.
    @inlinable @inline(__always)
    public var pieceSize: UInt16 { joining == .nothing ? 0 : origin }

    /// Notes that the packet was joined from pieces of `size` bytes.
    public mutating func join(_ joined: Joined, of size: UInt16) {
        joining = joined
        origin = size
    }

    /// Forgets where the headers are, after a change to bytes that determine it.
    @inlinable @inline(__always)
    public mutating func forgetHeaders() {
        ipVersion = 0
        flags.subtract([.fragment, .laterFragment, .transport])
    }

    /// The part of an item that is the same for all new packets of one capture interface: everything after `wireLength`.
    public typealias Tail = SIMD4<UInt64>

    /// The tail of new packets from an interface.
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

    /// The address of the tail.
    @inlinable @inline(__always)
    static var tailOffset: Int { 32 }

    /// The item's bytes, `length` of them.
    @inlinable @inline(__always)
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: data, count: Int(length)) }
}

/// Some items of a pool, in order, as handed to elements. Owns nothing.
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
