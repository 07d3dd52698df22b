// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The text form of packets, used in graph tests and examples and shown by taps and traces.
///
/// ```
/// 198.51.100.7:4000 > 192.0.2.10:80 A seq=1 ack=99 data="GET /"
/// [2001:db8::1]:5353 > [2001:db8::2]:53 udp len=20
/// 10.0.0.1 > 10.0.0.2 icmp type=8 code=0 len=56 vlan=5
/// ```
/// A packet is two ends and words, in any order, separated by blanks:
/// ```
/// packet = [end ">" end] word*        end = address [":" port] | "[" IPv6 "]" [":" port] | "*" [":" port]
/// ```
/// | Word | Meaning | When left out |
/// | --- | --- | --- |
/// | `S`, `SA`, `FPA`, `-` | TCP flags, letters of `FSRPAUEC`; `-` for none | `A` |
/// | `tcp` `udp` `icmp` `arp` `proto=N` | the IP packet's content; `icmp` is ICMPv6 between IPv6 addresses | `tcp` |
/// | `seq=` `ack=` `win=` `urg=` | TCP fields | 0, 0, 65535, 0 |
/// | `mss=` `wscale=` `sack` `ts=VALUE/ECHO` `blocks=A-B,C-D` | TCP options; `sack` permits, `blocks` are SACK blocks | absent |
/// | `type=` `code=` `rest=` | ICMP fields; `rest` is the second word of the header | echo request, 0, 0 |
/// | `op=` | ARP operation | 1 |
/// | `ttl=` `tos=` `id=` `df` | IP fields; for IPv6 hop limit and traffic class | 64, 0, 0, absent |
/// | `frag=OFFSET` `frag=OFFSET+` | a fragment whose bytes begin at OFFSET; `+` if more follow | whole |
/// | `len=` `data="GET "` | payload bytes; escapes `\r \n \t \0 \" \\ \xHH`; `len` beyond `data` is filled with letters | empty |
/// | `inner="..."` `frame="..."` | what follows `data` is this packet, from its IP header on, or this whole frame | nothing |
/// | `vlan=5` `vlan=100,5` `vlan=none` | VLAN tags, outermost first: 802.1Q, and 802.1ad outside of it | none |
/// | `smac=` `dmac=` `ether=TYPE` | Ethernet addresses; `ether` is a frame without IP whose payload is `len`, `data` | 02:00:00:00:00:01, :02 |
/// | `badcsum` `badipcsum` | a wrong TCP, UDP or ICMP checksum, a wrong IPv4 header checksum | correct |
/// | `iplen=` | the length the IP header claims (IPv6: payload length), whatever the actual one | correct |
/// | `trunc=N` | the capture holds only the first N bytes | whole |
/// | `time=1.5s` | its stamp since 1970, up to the year 2255 | that of the packet before |
/// | `hex=00ff` | the whole frame, byte by byte | |
///
/// The same text is a pattern: only what it names is compared. `*` matches any end, `data` the beginning of the payload
/// (`data="GET "...` says that there is more), `goodcsum` requires correct checksums, the empty pattern matches every packet. Numbers are decimal or `0x`.
public enum PacketText {
    /// An error in a text, and its position.
    public struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// A sentence without capital or full stop.
        public var message: String
        /// Characters before the error.
        public var offset: Int
        public var description: String { "\(message) (at character \(offset + 1))" }
    }

    /// A packet built from text.
    public struct Frame: Equatable, Sendable {
        /// The captured bytes; an Ethernet frame without checksum.
        public var bytes: [UInt8]
        /// Length on the wire in bytes; more than `bytes.count` after `trunc=`.
        public var wireLength: Int
        /// Functional time in nanoseconds, if the text gives one.
        public var time: Int64?

        /// A frame of these bytes.
        public init(bytes: [UInt8], wireLength: Int, time: Int64?) {
            self.bytes = bytes
            self.wireLength = wireLength
            self.time = time
        }
    }

    /// The latest functional time a text can give, in nanoseconds: in the year 2255. Later times are reserved for time-outs and
    /// for the end of the input.
    public static let latestTime: Int64 = 9_000_000_000_000_000_000

    /// Builds the Ethernet frame that `text` describes.
    public static func frame(_ text: String) throws(Failure) -> Frame { try PacketFields(text).frame() }

    /// A pattern, read once and compared with many packets.
    public struct Pattern: Sendable {
        let fields: PacketFields

        /// Parses a pattern; throws an error with its position.
        public init(_ text: String) throws(Failure) { fields = try PacketFields(text) }

        /// Whether the packet matches the pattern.
        public func matches(_ item: Packet) -> Bool {
            fields.isMet(
                by: PacketFields(
                    item.bytes,
                    linkType: item.linkType,
                    wireLength: item.wireLength
                ),
                bytes: item.bytes,
                time: item.time
            )
        }
    }

    /// The text of a packet that does not match a pattern: it has every field that the pattern names, and the packet has, also those
    /// that are otherwise left out.
    public static func describe(_ item: Packet, against pattern: Pattern) -> String {
        var fields = PacketFields(item.bytes, linkType: item.linkType, wireLength: item.wireLength)
        if pattern.fields.hex != nil { fields.hex = Array(item.bytes) }
        let text = fields.text(maximumData: PacketText.shownData, naming: pattern.fields)
        guard pattern.fields.time != nil else { return text }
        let (seconds, rest) = item.time.quotientAndRemainder(dividingBy: 1_000_000_000)
        var digits = String(String(1_000_000_000 + rest).dropFirst())
        while digits.last == "0" { digits.removeLast() }
        return "\(text) time=\(seconds)\(digits.isEmpty ? "" : ".\(digits)")s"
    }

    /// The text of a packet's bytes, which may be anything. Values that `frame` would choose by default are left out, and data
    /// beyond `maximumData` bytes.
    public static func describe(
        _ bytes: UnsafeRawBufferPointer,
        linkType: UInt16 = LinkType.ethernet,
        wireLength: UInt32? = nil,
        maximumData: Int = PacketText.shownData
    ) -> String {
        PacketFields(bytes, linkType: linkType, wireLength: wireLength ?? UInt32(truncatingIfNeeded: bytes.count))
            .text(maximumData: maximumData)
    }

    /// The text of an item: a packet, or a record or command whose layout is in `layouts`.
    public static func describe(_ item: Packet, layouts: LayoutTable? = nil) -> String {
        if let layout = layouts?[item.layout] { return layout.describe(item.bytes) }
        return describe(item.bytes, linkType: item.linkType, wireLength: item.wireLength)
    }
}

/// The fields of a packet; nil for those that a text does not give or the packet does not have.
struct PacketFields: Equatable, Sendable {
    /// The content of an IP packet, or ARP.
    enum Transport: Equatable, Sendable {
        case tcp
        case udp
        /// ICMP of either version.
        case icmp
        case arp
        case number(UInt8)
    }
    struct Fragment: Equatable, Sendable {
        /// In bytes.
        var offset: Int
        var more: Bool
    }
    struct Timestamps: Equatable, Sendable {
        var value: UInt32
        var echo: UInt32
    }
    struct Block: Equatable, Sendable {
        var left: UInt32
        var right: UInt32
    }

    var source: IPAddress?
    var destination: IPAddress?
    var sourcePort: UInt16?
    var destinationPort: UInt16?
    var transport: Transport?

    var flags: UInt8?
    var seq: UInt32?
    var ack: UInt32?
    var window: UInt16?
    var urgent: UInt16?
    var mss: UInt16?
    var windowScale: UInt8?
    var sackPermitted: Bool?
    var timestamps: Timestamps?
    var blocks: [Block]?

    var icmpType: UInt8?
    var icmpCode: UInt8?
    var icmpRest: UInt32?
    var arpOperation: UInt16?

    var ttl: UInt8?
    var tos: UInt8?
    var id: UInt16?
    var dontFragment: Bool?
    var fragment: Fragment?
    var claimedLength: UInt16?

    /// Bytes of payload, according to the IP header.
    var length: Int?
    /// The payload, or its beginning.
    var data: [UInt8]?

    var vlans: [UInt16]?
    var sourceMAC: [UInt8]?
    var destinationMAC: [UInt8]?
    var etherType: UInt16?

    var badChecksum: Bool?
    var badIPChecksum: Bool?
    var goodChecksums: Bool?
    var captured: Int?
    var time: Int64?
    var hex: [UInt8]?

    static let letters = Array("FSRPAUEC".utf8)

    /// The byte that fills position `k` when `len` makes a payload longer than `data`.
    static func filler(_ k: Int) -> UInt8 { UInt8(ascii: "a") + UInt8(k % 26) }

    /// Whether a packet with fields `other` matches this pattern.
    func isMet(by other: PacketFields, bytes: UnsafeRawBufferPointer, time: Int64) -> Bool {
        func agree<T: Equatable>(_ path: KeyPath<PacketFields, T?>) -> Bool {
            guard let wanted = self[keyPath: path] else { return true }
            return wanted == other[keyPath: path]
        }
        if let hex, !hex.elementsEqual(bytes) { return false }
        if let wanted = self.time, wanted != time { return false }
        if let data, other.data?.starts(with: data) != true { return false }
        if goodChecksums == true, other.badChecksum == true || other.badIPChecksum == true || other.source == nil {
            return false
        }
        return agree(\.source) && agree(\.destination) && agree(\.sourcePort) && agree(\.destinationPort)
            && agree(\.transport) && agree(\.flags) && agree(\.seq) && agree(\.ack) && agree(\.window)
            && agree(\.urgent)
            && agree(\.mss) && agree(\.windowScale) && agree(\.sackPermitted) && agree(\.timestamps) && agree(\.blocks)
            && agree(\.icmpType) && agree(\.icmpCode) && agree(\.icmpRest) && agree(\.arpOperation)
            && agree(\.ttl) && agree(\.tos) && agree(\.id) && agree(\.dontFragment) && agree(\.fragment)
            && agree(\.claimedLength) && agree(\.length) && agree(\.vlans) && agree(\.sourceMAC)
            && agree(\.destinationMAC) && agree(\.etherType) && agree(\.badChecksum) && agree(\.badIPChecksum)
            && agree(\.captured)
    }
}
