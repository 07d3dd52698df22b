// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The capture formats that can be written.
public enum CaptureFormat: String, Sendable, CaseIterable {
    /// libpcap's format with nanosecond timestamps (magic 0xa1b23c4d): one link type per file.
    case pcap
    /// draft-ietf-opsawg-pcapng: any number of link types per file.
    case pcapng

    /// The format of a file by its name: pcapng if that ends in `.pcapng`, whether or not `.gz` follows.
    public init(ofFile name: String) {
        let plain = name.hasSuffix(".gz") ? name.dropLast(3) : name[...]
        self = plain.hasSuffix(".pcapng") ? .pcapng : .pcap
    }

    /// The times it can hold, in nanoseconds since 1970: of pcap, whose seconds have 32 bits, up to 2106.
    public var times: ClosedRange<Int64> {
        switch self {
        case .pcap: 0...Int64(UInt32.max) * 1_000_000_000 + 999_999_999
        case .pcapng: 0...Int64.max
        }
    }
}

/// The names of files that can be written.
public enum OutputName {
    /// What is wrong with `name`, as a sentence without capital or full stop; nil if it names a file as it will be: plain, or
    /// compressed with gzip.
    public static func flaw(_ name: String) -> String? {
        if name.isEmpty { return "the name of the file is empty" }
        guard let ending = [".zst", ".xz", ".lz4", ".bz2"].first(where: name.hasSuffix) else { return nil }
        return "'\(name)' cannot be written, since nothing is compressed as \(ending): write .gz, or plain"
    }
}

/// Maximum packet lengths in capture files. A file that claims more is damaged; libpcap and Wireshark have the same limits.
public enum CaptureLimit {
    /// The most captured bytes of a packet, for most link types.
    public static let packet: UInt32 = 262_144

    /// The most captured bytes of a packet of `linkType`.
    public static func packet(linkType: UInt16) -> UInt32 {
        switch linkType {
        case LinkType.dbus, LinkType.usbpcap: 128 << 20
        case LinkType.ebhscr: 8 << 20
        default: packet
        }
    }
}

/// Encodes packets as a capture file, little-endian on every machine.
///
/// Timestamps are the items' own times in nanoseconds. A packet whose time the format cannot hold (before 1970; in pcap also from
/// the year 2106 on) is refused. Packets longer than ``CaptureLimit/packet`` are truncated, as other tools
/// would reject the file.
public struct CaptureEncoder {
    private let format: CaptureFormat
    private let sink: any ByteSink
    /// Bytes not yet passed to the sink: `buffer[0 ..< used]`.
    private var buffer: [UInt8]
    private var used = 0
    /// The interface numbers of the link types announced so far.
    private var interfaces: [UInt16: UInt32] = [:]
    private var last: (linkType: UInt16, interface: UInt32) = (0, 0)

    /// An encoder that writes to `sink` and does not close it. Nothing is written before the first packet.
    public init(format: CaptureFormat, sink: any ByteSink) {
        self.format = format
        self.sink = sink
        buffer = [UInt8](repeating: 0, count: 64 << 10)
    }

    /// Appends one packet.
    ///
    /// Throws what the sink throws, and a ``CaptureEncoderError`` if a pcap file would need a second link type, or the format
    /// cannot hold the packet's time.
    public mutating func write(_ item: Packet) throws {
        guard format.times.contains(item.time) else { throw CaptureEncoderError.time(item.time, format) }
        if interfaces.isEmpty || item.linkType != last.linkType { try announce(item.linkType) }
        let captured = min(item.length, CaptureLimit.packet)
        switch format {
        case .pcap:
            let (seconds, nanoseconds) = item.time.quotientAndRemainder(dividingBy: 1_000_000_000)
            try append(16 + Int(captured)) { out in
                out.put(UInt32(truncatingIfNeeded: seconds))
                out.put(UInt32(truncatingIfNeeded: nanoseconds))
                out.put(captured)
                out.put(item.wireLength)
                out.put(item.data, Int(captured))
            }
        case .pcapng:
            let time = UInt64(bitPattern: item.time)
            let padded = (captured + 3) & ~3
            let interface = last.interface
            try append(32 + Int(padded)) { out in
                out.put(PcapngBlock.enhancedPacket)
                out.put(32 + padded)
                out.put(interface)
                out.put(UInt32(truncatingIfNeeded: time >> 32))
                out.put(UInt32(truncatingIfNeeded: time))
                out.put(captured)
                out.put(item.wireLength)
                out.put(item.data, Int(captured))
                for _ in captured..<padded { out.put(UInt8(0)) }
                out.put(32 + padded)
            }
        }
    }

    /// Completes the file and passes everything to the sink; a file without packets still gets a header (Ethernet, in pcap).
    public mutating func finish() throws {
        if interfaces.isEmpty { try announce(LinkType.ethernet) }
        try sync()
    }

    /// Passes on the packets so far, if there are any.
    public mutating func sync() throws {
        if interfaces.isEmpty { return }
        try drain()
        try sink.flush()
    }

    /// Writes the header or interface block required before the first packet of `linkType`.
    private mutating func announce(_ linkType: UInt16) throws {
        switch format {
        case .pcap:
            if !interfaces.isEmpty { throw CaptureEncoderError.secondLinkType(linkType, after: last.linkType) }
            try append(24) { out in
                out.put(PcapMagic.nanoseconds)
                out.put(UInt16(2))
                out.put(UInt16(4))
                out.put(UInt64(0))
                out.put(CaptureLimit.packet)
                out.put(UInt32(linkType))
            }
            interfaces[linkType] = 0
            last = (linkType, 0)
        case .pcapng:
            if interfaces.isEmpty {
                try append(28) { out in
                    out.put(PcapngBlock.section)
                    out.put(UInt32(28))
                    out.put(PcapngBlock.byteOrderMagic)
                    out.put(UInt16(1))
                    out.put(UInt16(0))
                    // The section's length is unknown.
                    out.put(UInt64.max)
                    out.put(UInt32(28))
                }
            }
            let interface = interfaces[linkType] ?? UInt32(interfaces.count)
            if interfaces.updateValue(interface, forKey: linkType) == nil {
                try append(32) { out in
                    out.put(PcapngBlock.interface)
                    out.put(UInt32(32))
                    out.put(linkType)
                    out.put(UInt16(0))
                    out.put(CaptureLimit.packet)
                    // if_tsresol: timestamps in units of 10^-9 s; then opt_endofopt.
                    out.put(UInt16(9))
                    out.put(UInt16(1))
                    out.put(UInt32(9))
                    out.put(UInt32(0))
                    out.put(UInt32(32))
                }
            }
            last = (linkType, interface)
        }
    }

    /// Appends `count` bytes, written by `fill`.
    @inline(__always)
    private mutating func append(_ count: Int, _ fill: (inout Output) -> Void) throws {
        if count > buffer.count - used {
            try drain()
            if count > buffer.count { buffer = [UInt8](repeating: 0, count: count) }
        }
        buffer.withUnsafeMutableBytes { bytes in
            var out = Output(next: bytes.baseAddress! + used)
            fill(&out)
        }
        used += count
    }

    /// Passes the buffer to the sink.
    private mutating func drain() throws {
        // Bytes that failed once are not written again.
        let count = used
        used = 0
        if count > 0 { try buffer.withUnsafeBytes { try sink.write(UnsafeRawBufferPointer(rebasing: $0[..<count])) } }
    }

    /// The write position; the caller has made room.
    private struct Output {
        var next: UnsafeMutableRawPointer

        @inline(__always)
        mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
            next.storeBytes(of: value.littleEndian, as: T.self)
            next += MemoryLayout<T>.size
        }

        @inline(__always)
        mutating func put(_ bytes: UnsafeRawPointer, _ count: Int) {
            next.copyMemory(from: bytes, byteCount: count)
            next += count
        }
    }
}

/// A packet that a capture file cannot hold.
public enum CaptureEncoderError: Error, Sendable, CustomStringConvertible {
    /// The packet's link type differs from that of its pcap file, which can have only one.
    case secondLinkType(UInt16, after: UInt16)
    /// The format cannot hold the packet's time, in nanoseconds since 1970.
    case time(Int64, CaptureFormat)

    /// A stable name of the problem.
    public var code: String {
        switch self {
        case .secondLinkType: "second_link_type"
        case .time: "time_out_of_range"
        }
    }
    /// The problem, as a clause without full stop.
    public var reason: String {
        switch self {
        case .secondLinkType(let second, let first):
            "a pcap file holds one link type: a packet of type \(LinkType.name(second)) cannot follow one of type "
                + "\(LinkType.name(first)); write pcapng instead"
        case .time(let time, .pcap) where time > 0:
            "a pcap file holds times up to February 2106, and a packet has one \(time) ns after 1970; write pcapng instead"
        case .time(let time, _): "a capture holds times from 1970 on, and a packet has one \(time.magnitude) ns before"
        }
    }
    public var description: String { "\(reason) [\(code)]" }
}

/// The first four bytes of pcap files, in the byte order of the machine that wrote them.
public enum PcapMagic {
    /// Times in microseconds.
    public static let microseconds: UInt32 = 0xa1b2_c3d4
    /// Times in nanoseconds.
    public static let nanoseconds: UInt32 = 0xa1b2_3c4d
    /// Alexey Kuznetzov's modified tcpdump: record headers of 24 bytes.
    public static let modified: UInt32 = 0xa1b2_cd34
}

/// Block types of pcapng (draft-ietf-opsawg-pcapng section 11.1) and its byte-order mark.
public enum PcapngBlock {
    /// A section header block, which begins a file and may appear again in it.
    public static let section: UInt32 = 0x0a0d_0d0a
    /// An interface description block.
    public static let interface: UInt32 = 1
    /// The obsolete packet block.
    public static let packet: UInt32 = 2
    /// A simple packet block: no time, no interface.
    public static let simplePacket: UInt32 = 3
    /// An enhanced packet block.
    public static let enhancedPacket: UInt32 = 6
    /// The number in a section header that shows the byte order.
    public static let byteOrderMagic: UInt32 = 0x1a2b_3c4d
}
