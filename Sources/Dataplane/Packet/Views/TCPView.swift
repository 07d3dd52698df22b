// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The control bits of TCP (RFC 9293 section 3.1, RFC 3168).
@frozen
public struct TCPFlags: OptionSet, Sendable, BitwiseCopyable, CustomStringConvertible {
    /// The byte as it stands in the header.
    public let rawValue: UInt8

    /// The bits of the header's byte.
    @inlinable @inline(__always)
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// No more data from the sender.
    @inlinable @inline(__always) public static var fin: TCPFlags { TCPFlags(rawValue: 0x01) }
    /// Synchronize sequence numbers.
    @inlinable @inline(__always) public static var syn: TCPFlags { TCPFlags(rawValue: 0x02) }
    /// Reset the connection.
    @inlinable @inline(__always) public static var rst: TCPFlags { TCPFlags(rawValue: 0x04) }
    /// Push the data to the application.
    @inlinable @inline(__always) public static var psh: TCPFlags { TCPFlags(rawValue: 0x08) }
    /// The acknowledgment number means something.
    @inlinable @inline(__always) public static var ack: TCPFlags { TCPFlags(rawValue: 0x10) }
    /// The urgent pointer means something.
    @inlinable @inline(__always) public static var urg: TCPFlags { TCPFlags(rawValue: 0x20) }
    /// ECN echo.
    @inlinable @inline(__always) public static var ece: TCPFlags { TCPFlags(rawValue: 0x40) }
    /// Congestion window reduced.
    @inlinable @inline(__always) public static var cwr: TCPFlags { TCPFlags(rawValue: 0x80) }

    /// ACK, with PSH or without, and nothing else: nearly every segment of a connection that is open.
    @inlinable @inline(__always)
    var isPlainACK: Bool { rawValue & ~TCPFlags.psh.rawValue == TCPFlags.ack.rawValue }
    /// SYN without ACK, with which a client opens a connection.
    @inlinable @inline(__always)
    var isInitialSYN: Bool { rawValue & (TCPFlags.syn.rawValue | TCPFlags.ack.rawValue) == TCPFlags.syn.rawValue }
    // No calls of OptionSet's own methods: those are slow in debug builds.
    @inlinable @inline(__always) var isFIN: Bool { rawValue & TCPFlags.fin.rawValue != 0 }
    @inlinable @inline(__always) var isSYN: Bool { rawValue & TCPFlags.syn.rawValue != 0 }
    @inlinable @inline(__always) var isRST: Bool { rawValue & TCPFlags.rst.rawValue != 0 }
    @inlinable @inline(__always) var isACK: Bool { rawValue & TCPFlags.ack.rawValue != 0 }
    @inlinable @inline(__always) var isURG: Bool { rawValue & TCPFlags.urg.rawValue != 0 }

    /// Letters of `FSRPAUEC`.
    public var description: String {
        String(unsafeUninitializedCapacity: 8) { writeFlags(rawValue, to: $0.baseAddress!) }
    }
}

/// A TCP header with its options (RFC 9293), and the segment behind it.
@frozen
public struct TCPView: HeaderView {
    /// The first byte of the header.
    public let base: UnsafeRawPointer
    /// Bytes at `base`, at least the header.
    public let count: Int

    /// The size in bytes of a header without options.
    @inlinable @inline(__always) public static var size: Int { 20 }

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        self.count = count
    }

    /// The header at the beginning of `bytes`; nil when its length is below 20, or the bytes end before it does.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        self.init(fixedPart: bytes)
        guard headerLength >= TCPView.size, headerLength <= count else { return nil }
    }

    /// The TCP header of a packet; nil when it has none, or one with an impossible length.
    @inlinable @inline(__always)
    public init?(_ p: Packet) { self.init(p.bytesOfTransport(IPProtocol.tcp)) }

    /// A header of which the first 20 bytes are there, whatever length it states: for those who show or count what is damaged.
    /// Options and payload are those that are there.
    @inlinable @inline(__always)
    public init?(fixedPart bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count >= TCPView.size else { return nil }
        self.init(base, bytes.count)
    }

    /// The TCP header of a packet, whatever length it states; nil when it has none.
    @inlinable @inline(__always)
    public init?(fixedPart p: Packet) { self.init(fixedPart: p.bytesOfTransport(IPProtocol.tcp)) }

    /// The TCP header of a packet with ``Packet/hasTransport`` and that protocol, which nobody needs to check again.
    @inlinable @inline(__always)
    init(known p: Packet) {
        assert(p.ipProtocol == IPProtocol.tcp && p.hasTransport, "the packet's headers say that it has no TCP header")
        self.init(p.transportHeader, Int(min(p.length, p.ipEnd)) &- Int(p.l4))
    }

    /// The sender's port.
    @inlinable @inline(__always) public var sourcePort: UInt16 { base.be16(0) }
    /// The receiver's port.
    @inlinable @inline(__always) public var destinationPort: UInt16 { base.be16(2) }
    /// The number of the first byte of payload, or of SYN.
    @inlinable @inline(__always) public var sequenceNumber: UInt32 { base.be32(4) }
    /// The number of the byte that the sender expects next, with ``TCPFlags/ack``.
    @inlinable @inline(__always) public var acknowledgmentNumber: UInt32 { base.be32(8) }
    /// Bytes of the header, options included.
    @inlinable @inline(__always) public var headerLength: Int { Int(base.byte(12) &>> 4) &* 4 }
    /// The four bits between data offset and flags.
    @inlinable @inline(__always) public var reserved: UInt8 { base.byte(12) & 15 }
    /// The control bits.
    @inlinable @inline(__always) public var flags: TCPFlags { TCPFlags(rawValue: base.byte(13)) }
    /// The receive window as it stands there, not scaled.
    @inlinable @inline(__always) public var window: UInt16 { base.be16(14) }
    /// The checksum field.
    @inlinable @inline(__always) public var checksum: UInt16 { base.be16(16) }
    /// Offset of the end of urgent data from the sequence number, with ``TCPFlags/urg``.
    @inlinable @inline(__always) public var urgentPointer: UInt16 { base.be16(18) }
    /// The bytes of the options, padding included.
    @inlinable @inline(__always)
    public var optionBytes: UnsafeRawBufferPointer { base.slice(TCPView.size, headerLength, within: count) }
    /// The bytes behind the header; none when its length is below 20.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer {
        base.slice(headerLength >= TCPView.size ? headerLength : count, count, within: count)
    }

    /// The options, in order.
    @inlinable @inline(__always)
    public var options: TCPOptions { TCPOptions(optionBytes) }

    /// Whether timestamps are the only option and stand where senders put them, behind two NOPs (RFC 7323 appendix A). The
    /// header must be wholly there.
    @inlinable @inline(__always)
    var hasTimestampsAlone: Bool { headerLength == 32 && base.be32(20) == 0x0101_080a }
    /// TSval with ``hasTimestampsAlone``.
    @inlinable @inline(__always)
    var timestampAlone: UInt32 { base.be32(24) }

    /// Maximum segment size (RFC 9293 section 3.7.1); nil when the option is not there.
    @inlinable public var mss: UInt16? { last { $0.mss } }
    /// Window scale shift (RFC 7323 section 2.2) as it stands there: more than 14 means 14. Nil when the option is not there.
    @inlinable public var windowScale: UInt8? { last { $0.windowScale } }
    /// Whether selective acknowledgments are permitted (RFC 2018 section 2).
    @inlinable public var sackPermitted: Bool { last { $0.isSACKPermitted ? true : nil } ?? false }
    /// The blocks of a selective acknowledgment (RFC 2018 section 3); none when the option is not there.
    @inlinable public var sackBlocks: TCPSACKBlocks { last { $0.sackBlocks } ?? TCPSACKBlocks(base, 0) }
    /// Timestamps (RFC 7323 section 3.2); nil when the option is not there.
    @inlinable public var timestamps: TCPTimestamps? { last { $0.timestamps } }

    /// What the last option says that says something. Who sends an option twice is taken at the later one, as Linux does.
    @inlinable @inline(__always)
    func last<T>(_ value: (TCPOption) -> T?) -> T? {
        var found: T?
        var options = self.options
        while let option = options.next() {
            if let value = value(option) { found = value }
        }
        return found
    }

    /// Whether the checksum is right in a packet with these addresses (``IPv4View/addressSum``). The segment must be wholly
    /// there.
    @inlinable
    public func isChecksumRight(_ addressSum: UInt64) -> Bool {
        let pseudo = Checksum.pseudoHeader(addressSum, proto: IPProtocol.tcp, length: count)
        return Checksum.fold(Checksum.sum(base, count) &+ pseudo) == 0xffff
    }
}

/// A TCP header (RFC 9293) that is written.
public typealias MutableTCPView = MutableView<TCPView>

extension MutableView<TCPView> {
    /// A new header at the beginning of `bytes` with room for options: the data offset is set, all else is zero, which is also
    /// the end of the options. Nil when there are too few bytes, or `optionBytes` is not a multiple of 4 from 0 to 40.
    @inlinable @inline(__always)
    public init?(writing bytes: UnsafeMutableRawBufferPointer, optionBytes: Int = 0) {
        guard (0...40).contains(optionBytes), optionBytes & 3 == 0,
            let base = bytes.cleared(TCPView.size &+ optionBytes)
        else { return nil }
        self.base = base
        count = bytes.count
        base.put(UInt8(truncatingIfNeeded: (TCPView.size &+ optionBytes) &<< 2), 12)
    }

    /// The TCP header of a packet, as ``TCPView/init(known:)``, whose bytes may be written.
    @inline(__always)
    init(known p: Packet) {
        assert(p.isWritable, "the packet's bytes are not its own")
        let view = TCPView(known: p)
        base = UnsafeMutableRawPointer(mutating: view.base)
        count = view.count
    }

    /// The same header, to be read.
    @inlinable @inline(__always) public var view: TCPView { TCPView(base, count) }

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
    /// The number of the first byte of payload, or of SYN.
    @inlinable @inline(__always)
    public var sequenceNumber: UInt32 {
        get { view.sequenceNumber }
        nonmutating set { base.put(newValue, 4) }
    }
    /// The number of the byte that the sender expects next.
    @inlinable @inline(__always)
    public var acknowledgmentNumber: UInt32 {
        get { view.acknowledgmentNumber }
        nonmutating set { base.put(newValue, 8) }
    }
    /// The control bits.
    @inlinable @inline(__always)
    public var flags: TCPFlags {
        get { view.flags }
        nonmutating set { base.put(newValue.rawValue, 13) }
    }
    /// The receive window, scaled down.
    @inlinable @inline(__always)
    public var window: UInt16 {
        get { view.window }
        nonmutating set { base.put(newValue, 14) }
    }
    /// The checksum field; ``fillChecksum(_:)`` computes it.
    @inlinable @inline(__always)
    public var checksum: UInt16 {
        get { view.checksum }
        nonmutating set { base.put(newValue, 16) }
    }
    /// Offset of the end of urgent data from the sequence number.
    @inlinable @inline(__always)
    public var urgentPointer: UInt16 {
        get { view.urgentPointer }
        nonmutating set { base.put(newValue, 18) }
    }
    /// The bytes of the options: for a ``TCPOptionWriter``, or to change what ``TCPOption/offset`` names.
    @inlinable @inline(__always)
    public var optionBytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(mutating: view.optionBytes) }

    /// Sets the checksum to that of the segment as it is, in a packet with these addresses (``IPv4View/addressSum``).
    @inlinable
    public func fillChecksum(_ addressSum: UInt64) {
        checksum = 0
        let pseudo = Checksum.pseudoHeader(addressSum, proto: IPProtocol.tcp, length: count)
        base.storeBytes(of: Checksum.field(Checksum.sum(base, count) &+ pseudo), toByteOffset: 16, as: UInt16.self)
    }

    /// Keeps the checksum right when a 16-bit word it covers changes, for example a port (RFC 1624).
    @inlinable @inline(__always)
    public func updateChecksum(_ old: UInt16, _ new: UInt16) { checksum = Checksum.update(checksum, old, new) }

    /// Keeps the checksum right when a 32-bit word it covers changes, for example a sequence number or an address (RFC 1624).
    @inlinable @inline(__always)
    public func updateChecksum(_ old: UInt32, _ new: UInt32) { checksum = Checksum.update(checksum, old, new) }
}
