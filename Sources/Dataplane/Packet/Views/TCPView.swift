// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The control bits of TCP (RFC 9293 section 3.1, RFC 3168).
@frozen
public struct TCPFlags: OptionSet, Sendable, BitwiseCopyable, CustomStringConvertible {
    /// The flags byte of the header.
    public let rawValue: UInt8

    /// The flags in the header's byte.
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
    /// The acknowledgment number is valid.
    @inlinable @inline(__always) public static var ack: TCPFlags { TCPFlags(rawValue: 0x10) }
    /// The urgent pointer is valid.
    @inlinable @inline(__always) public static var urg: TCPFlags { TCPFlags(rawValue: 0x20) }
    /// ECN echo.
    @inlinable @inline(__always) public static var ece: TCPFlags { TCPFlags(rawValue: 0x40) }
    /// Congestion window reduced.
    @inlinable @inline(__always) public static var cwr: TCPFlags { TCPFlags(rawValue: 0x80) }

    /// ACK, with or without PSH, and nothing else: nearly every segment of an open connection.
    @inlinable @inline(__always)
    var isPlainACK: Bool { rawValue & ~TCPFlags.psh.rawValue == TCPFlags.ack.rawValue }
    // No calls of OptionSet's own methods: those are slow in debug builds.
    @inlinable @inline(__always) var isFIN: Bool { rawValue & TCPFlags.fin.rawValue != 0 }
    /// Beside RST it means nothing: receivers look at RST first (RFC 9293 section 3.10.7).
    @inlinable @inline(__always)
    var isSYN: Bool { rawValue & (TCPFlags.syn.rawValue | TCPFlags.rst.rawValue) == TCPFlags.syn.rawValue }
    @inlinable @inline(__always) var isRST: Bool { rawValue & TCPFlags.rst.rawValue != 0 }
    @inlinable @inline(__always) var isACK: Bool { rawValue & TCPFlags.ack.rawValue != 0 }
    @inlinable @inline(__always) var isURG: Bool { rawValue & TCPFlags.urg.rawValue != 0 }

    /// The set flags as letters of `FSRPAUEC`.
    public var description: String {
        String(unsafeUninitializedCapacity: 8) { writeFlags(rawValue, to: $0.baseAddress!) }
    }
}

/// A TCP header with its options (RFC 9293), and the segment after it.
@frozen
public struct TCPView: HeaderView {
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

    /// The header at the beginning of `bytes`; nil if its length is below 20, or the bytes end before it does.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        self.init(fixedPart: bytes)
        guard headerLength >= TCPView.size, headerLength <= count else { return nil }
    }

    /// The TCP header of a packet; nil if it has none, or one with an impossible length.
    @inlinable @inline(__always)
    public init?(_ p: Packet) { self.init(p.bytesOfTransport(IPProtocol.tcp)) }

    /// A header of which the first 20 bytes are there, whatever length it states, for showing or counting damaged packets.
    /// Options and payload are bounded by the bytes that are there.
    @inlinable @inline(__always)
    public init?(fixedPart bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count >= TCPView.size else { return nil }
        self.init(base, bytes.count)
    }

    /// The TCP header of a packet, whatever length it states; nil if it has none.
    @inlinable @inline(__always)
    public init?(fixedPart p: Packet) { self.init(fixedPart: p.bytesOfTransport(IPProtocol.tcp)) }

    /// The TCP header of a packet already known to have ``Packet/hasTransport`` and that protocol.
    @inlinable @inline(__always)
    init(known p: Packet) {
        assert(p.ipProtocol == IPProtocol.tcp && p.hasTransport, "the packet's headers say that it has no TCP header")
        self.init(p.transportHeader, Int(min(p.length, p.ipEnd)) &- Int(p.l4))
    }

    /// The sender's port.
    @inlinable @inline(__always) public var sourcePort: UInt16 { base.be16(0) }
    /// The receiver's port.
    @inlinable @inline(__always) public var destinationPort: UInt16 { base.be16(2) }
    /// The sequence number of the first payload byte, or of the SYN.
    @inlinable @inline(__always) public var sequenceNumber: UInt32 { base.be32(4) }
    /// The sequence number that the sender expects next; valid with ``TCPFlags/ack``.
    @inlinable @inline(__always) public var acknowledgmentNumber: UInt32 { base.be32(8) }
    /// Bytes of the header, including options.
    @inlinable @inline(__always) public var headerLength: Int { Int(base.byte(12) &>> 4) &* 4 }
    /// The four bits between data offset and flags.
    @inlinable @inline(__always) public var reserved: UInt8 { base.byte(12) & 15 }
    /// The control bits.
    @inlinable @inline(__always) public var flags: TCPFlags { TCPFlags(rawValue: base.byte(13)) }
    /// The receive window as written, unscaled.
    @inlinable @inline(__always) public var window: UInt16 { base.be16(14) }
    /// The checksum field.
    @inlinable @inline(__always) public var checksum: UInt16 { base.be16(16) }
    /// Offset of the end of urgent data from the sequence number; valid with ``TCPFlags/urg``.
    @inlinable @inline(__always) public var urgentPointer: UInt16 { base.be16(18) }
    /// The bytes of the options, including padding.
    @inlinable @inline(__always)
    public var optionBytes: UnsafeRawBufferPointer { base.slice(TCPView.size, headerLength, within: count) }
    /// The bytes after the header; none if its length is below 20.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer {
        base.slice(headerLength >= TCPView.size ? headerLength : count, count, within: count)
    }

    /// The options, in order.
    @inlinable @inline(__always)
    public var options: TCPOptions { TCPOptions(optionBytes) }

    /// Whether timestamps are the only option and stand where senders put them, after two NOPs (RFC 7323 appendix A). The
    /// header must be complete.
    @inlinable @inline(__always)
    var hasTimestampsAlone: Bool { headerLength == 32 && base.be32(20) == 0x0101_080a }
    /// TSval, if ``hasTimestampsAlone``.
    @inlinable @inline(__always)
    var timestampAlone: UInt32 { base.be32(24) }

    /// Maximum segment size (RFC 9293 section 3.7.1); nil if the option is absent.
    @inlinable public var mss: UInt16? { last { $0.mss } }
    /// Window scale shift (RFC 7323 section 2.2) as written: more than 14 means 14. Nil if the option is absent.
    @inlinable public var windowScale: UInt8? { last { $0.windowScale } }
    /// Whether selective acknowledgments are permitted (RFC 2018 section 2).
    @inlinable public var sackPermitted: Bool { last { $0.isSACKPermitted ? true : nil } ?? false }
    /// The blocks of a selective acknowledgment (RFC 2018 section 3); none if the option is absent.
    @inlinable public var sackBlocks: TCPSACKBlocks { last { $0.sackBlocks } ?? TCPSACKBlocks(base, 0) }
    /// Timestamps (RFC 7323 section 3.2); nil if the option is absent.
    @inlinable public var timestamps: TCPTimestamps? { last { $0.timestamps } }

    /// The value of the last option that has one: if an option is sent twice, the later one counts, as in Linux.
    @inlinable @inline(__always)
    func last<T>(_ value: (TCPOption) -> T?) -> T? {
        var found: T?
        var options = self.options
        while let option = options.next() {
            if let value = value(option) { found = value }
        }
        return found
    }

    /// Whether the checksum is correct in a packet with these addresses (``IPv4View/addressSum``). The segment must be
    /// complete.
    @inlinable
    public func isChecksumRight(_ addressSum: UInt64) -> Bool {
        let pseudo = Checksum.pseudoHeader(addressSum, proto: IPProtocol.tcp, length: count)
        return Checksum.fold(Checksum.sum(base, count) &+ pseudo) == 0xffff
    }
}

/// A writable TCP header (RFC 9293).
public typealias MutableTCPView = MutableView<TCPView>

extension MutableView<TCPView> {
    /// A new header at the beginning of `bytes` with room for options: the data offset is set, all else is zero, which also
    /// ends the options. Nil if there are too few bytes, or `optionBytes` is not a multiple of 4 from 0 to 40.
    @inlinable @inline(__always)
    public init?(writing bytes: UnsafeMutableRawBufferPointer, optionBytes: Int = 0) {
        guard (0...40).contains(optionBytes), optionBytes & 3 == 0,
            let base = bytes.cleared(TCPView.size &+ optionBytes)
        else { return nil }
        self.base = base
        count = bytes.count
        base.put(UInt8(truncatingIfNeeded: (TCPView.size &+ optionBytes) &<< 2), 12)
    }

    /// The TCP header of a packet, as ``TCPView/init(known:)``; its bytes must be writable.
    @inline(__always)
    init(known p: Packet) {
        assert(p.isWritable, "the packet's bytes are not its own")
        let view = TCPView(known: p)
        base = UnsafeMutableRawPointer(mutating: view.base)
        count = view.count
    }

    /// The same header, read-only.
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
    /// The sequence number of the first payload byte, or of the SYN.
    @inlinable @inline(__always)
    public var sequenceNumber: UInt32 {
        get { view.sequenceNumber }
        nonmutating set { base.put(newValue, 4) }
    }
    /// The sequence number that the sender expects next.
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
    /// The receive window, unscaled.
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
    /// The bytes of the options: for a ``TCPOptionWriter``, or for changes at ``TCPOption/offset``.
    @inlinable @inline(__always)
    public var optionBytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(mutating: view.optionBytes) }

    /// Sets the checksum for the current bytes of the segment, in a packet with these addresses (``IPv4View/addressSum``).
    @inlinable
    public func fillChecksum(_ addressSum: UInt64) {
        checksum = 0
        let pseudo = Checksum.pseudoHeader(addressSum, proto: IPProtocol.tcp, length: count)
        base.storeBytes(of: Checksum.field(Checksum.sum(base, count) &+ pseudo), toByteOffset: 16, as: UInt16.self)
    }

    /// Removes the FIN flag; a checksum that is filled in stays as right as it was.
    func removeFIN(isSummed: Bool) {
        let old = view.base.be16(12)
        base.put(old & ~UInt16(TCPFlags.fin.rawValue), 12)
        if isSummed { updateChecksum(old, old & ~UInt16(TCPFlags.fin.rawValue)) }
    }

    /// Updates the checksum for a changed 16-bit word that it covers, for example a port (RFC 1624).
    @inlinable @inline(__always)
    public func updateChecksum(_ old: UInt16, _ new: UInt16) { checksum = Checksum.update(checksum, old, new) }

    /// Updates the checksum for a changed 32-bit word that it covers, for example a sequence number or an address (RFC 1624).
    @inlinable @inline(__always)
    public func updateChecksum(_ old: UInt32, _ new: UInt32) { checksum = Checksum.update(checksum, old, new) }
}
