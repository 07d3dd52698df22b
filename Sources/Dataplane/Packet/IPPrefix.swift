// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// An IPv4 or IPv6 address with the number of its leading bits that name a network (RFC 4632, RFC 4291 section 2.3).
public struct IPPrefix: BitwiseCopyable, Hashable, Sendable, CustomStringConvertible {
    /// The address, with all its bits: `192.0.2.1/24` keeps the 1.
    public var address: IPAddress
    /// How many leading bits name the network, 0...32 or 0...128.
    public var length: Int

    /// The network of an address; its length must be one that the IP version has.
    public init(_ address: IPAddress, length: Int) {
        precondition((0...address.bits).contains(length), "an address has no such number of bits")
        self.address = address
        self.length = length
    }

    /// Parses `192.0.2.0/24`, `2001:db8::/32`, or an address alone, which has all its bits. Nil if `text` is neither.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]) else { return nil }
        guard parts.count == 2 else {
            self.init(address, length: address.bits)
            return
        }
        // No sign, and no leading zero: some read that as octal.
        guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), parts[1] == "0" || parts[1].first != "0",
            let length = Int(parts[1]), length <= address.bits
        else { return nil }
        self.init(address, length: length)
    }

    /// Whether it names a single address.
    public var isHost: Bool { length == address.bits }

    /// The lowest address of the network.
    public var first: IPAddress { address.masked(length) }

    /// The highest address of the network; in IPv4 its broadcast address.
    public var last: IPAddress {
        let mask = IPAddress.mask(address.version, length)
        return IPAddress(version: address.version, high: address.high | ~mask.high, low: address.low | ~mask.low)
    }

    /// Whether an address is in the network.
    @inline(__always)
    public func contains(_ other: IPAddress) -> Bool {
        other.version == address.version && other.masked(length) == address.masked(length)
    }

    /// As in graph files; an address alone without its length.
    public var description: String { isHost ? "\(address)" : "\(address)/\(length)" }
}

extension IPAddress {
    /// 32 or 128.
    @inline(__always)
    public var bits: Int { version == 4 ? 32 : 128 }

    /// Whether it names a group of hosts (RFC 1112 section 4, RFC 4291 section 2.7).
    @inline(__always)
    public var isMulticast: Bool { version == 4 ? low &>> 28 == 0xe : high &>> 56 == 0xff }

    /// Whether all bits are zero: the source of a host that has no address yet.
    @inline(__always)
    public var isUnspecified: Bool { high == 0 && low == 0 }

    /// Whether it never leaves a host (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3).
    @inline(__always)
    public var isLoopback: Bool { version == 4 ? low &>> 24 == 127 : high == 0 && low == 1 }

    /// Whether it is valid on one link only (RFC 3927, RFC 4291 section 2.5.6).
    @inline(__always)
    public var isLinkLocal: Bool { version == 4 ? low &>> 16 == 0xa9fe : high &>> 54 == 0x3fa }

    /// Whether a packet may have it as its source, and be answered there: one host, on a network.
    @inline(__always)
    public var isUsableSource: Bool {
        // In IPv4 what begins with 0 is "this network", and from 240 on there is nobody, the last being broadcast.
        version == 4
            ? low &>> 24 != 0 && low &>> 24 != 127 && low &>> 24 < 224
            : !isUnspecified && !isMulticast && !isLoopback
    }

    /// The address with all but its first `length` bits zero.
    @inline(__always)
    func masked(_ length: Int) -> IPAddress {
        let mask = IPAddress.mask(version, length)
        return IPAddress(version: version, high: high & mask.high, low: low & mask.low)
    }

    /// The first `length` bits of an address.
    @inline(__always)
    static func mask(_ version: UInt8, _ length: Int) -> (high: UInt64, low: UInt64) {
        // The upper half of `low` belongs to no IPv4 address, and stays zero.
        if version == 4 { return (.max, ~(UInt64(UInt32.max) >> UInt64(length))) }
        return (~(UInt64.max >> UInt64(length)), length <= 64 ? 0 : ~(UInt64.max >> UInt64(length - 64)))
    }

    @inline(__always)
    init(version: UInt8, high: UInt64, low: UInt64) {
        self.init(v6: high, low)
        self.version = version
    }

    /// The group in which a host with this IPv6 address is asked for it (RFC 4291 section 2.7.1): `ff02::1:ff00:0/104` with the
    /// last 24 bits of the address.
    @inline(__always)
    public var solicitedNode: IPAddress {
        IPAddress(v6: 0xff02_0000_0000_0000, 0x0000_0001_ff00_0000 | low & 0x00ff_ffff)
    }

    /// All hosts of a link, `ff02::1` (RFC 4291 section 2.7.1).
    @inline(__always)
    public static var allNodes: IPAddress { IPAddress(v6: 0xff02_0000_0000_0000, 1) }

    /// Whether it is before another one, in an order in which each network is one range.
    @inline(__always)
    static func precedes(_ a: IPAddress, _ b: IPAddress) -> Bool {
        if a.version != b.version { return a.version < b.version }
        return a.high != b.high ? a.high < b.high : a.low < b.low
    }
}

extension EthernetAddress {
    /// Parses six pairs of hexadecimal digits with colons between them. Nil if `text` is anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 6 else { return nil }
        var number: UInt64 = 0
        for part in parts {
            guard part.utf8.count == 2, part.first?.isHexDigit == true, let byte = UInt8(part, radix: 16) else {
                return nil
            }
            number = number << 8 | UInt64(byte)
        }
        self.init(number)
    }

    /// Whether it names one station: no group, and not all zero.
    @inlinable @inline(__always) public var isUnicast: Bool { !isMulticast && number != 0 }

    /// The address to which packets for a group of hosts are sent (RFC 1112 section 6.4, RFC 2464 section 7).
    @inline(__always)
    init(multicast address: IPAddress) {
        self.init(
            address.version == 4
                ? 0x0100_5e00_0000 | address.low & 0x007f_ffff : 0x3333_0000_0000 | address.low & 0xffff_ffff
        )
    }
}

/// Addresses and networks, for finding out whether an address is among them: whatever their number, in few steps.
struct AddressSet: Sendable {
    /// Ranges of addresses, in order, none meeting another.
    private let ranges: [(first: IPAddress, last: IPAddress)]

    init(_ prefixes: [IPPrefix]) {
        var ranges: [(first: IPAddress, last: IPAddress)] = []
        // Networks meet only if one is inside the other, and then the larger one comes first.
        let inOrder = prefixes.sorted {
            $0.first == $1.first ? $0.length < $1.length : IPAddress.precedes($0.first, $1.first)
        }
        for prefix in inOrder {
            if let before = ranges.last, before.last.version == prefix.address.version,
                !IPAddress.precedes(before.last, prefix.first)
            {
                continue
            }
            ranges.append((prefix.first, prefix.last))
        }
        self.ranges = ranges
    }

    func contains(_ address: IPAddress) -> Bool {
        // The first range that begins behind the address; the one before it may hold it.
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if IPAddress.precedes(address, ranges[middle].first) { high = middle } else { low = middle + 1 }
        }
        guard low > 0 else { return false }
        let range = ranges[low - 1]
        return range.first.version == address.version && !IPAddress.precedes(range.last, address)
    }
}
