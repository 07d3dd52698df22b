// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// An IPv4 or IPv6 address, with its text forms.
public struct IPAddress: BitwiseCopyable, Equatable, Hashable, Sendable, CustomStringConvertible {
    /// 4 or 6.
    public var version: UInt8
    /// The first eight bytes of an IPv6 address as a number; 0 for IPv4.
    public var high: UInt64
    /// The last eight bytes of an IPv6 address as a number, or an IPv4 address.
    public var low: UInt64

    /// The IPv4 address with this number, first byte most significant.
    @inlinable @inline(__always)
    public init(v4: UInt32) {
        version = 4
        high = 0
        low = UInt64(v4)
    }

    /// The IPv6 address whose first and last eight bytes are these numbers, first byte most significant in each.
    @inlinable @inline(__always)
    public init(v6 high: UInt64, _ low: UInt64) {
        version = 6
        self.high = high
        self.low = low
    }

    /// The IPv6 address in the 16 bytes at `bytes`. The caller has checked that they are there.
    @inlinable @inline(__always)
    init(v6 bytes: UnsafeRawPointer) {
        self.init(
            v6: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        )
    }

    /// Stores the four bytes of an IPv4 address in network order.
    @inlinable @inline(__always)
    func storeIPv4(_ bytes: UnsafeMutableRawPointer, _ offset: Int) {
        bytes.put(UInt32(truncatingIfNeeded: low), offset)
    }

    /// Stores the sixteen bytes of an IPv6 address in network order.
    @inlinable @inline(__always)
    func storeIPv6(_ bytes: UnsafeMutableRawPointer, _ offset: Int) {
        bytes.put(high, offset)
        bytes.put(low, offset &+ 8)
    }

    /// The longest text of an address, in bytes.
    public static var maximumText: Int { 45 }

    /// Parses an address: dotted decimal without leading zeros, or the forms of RFC 4291 section 2.2. Nil if `text` is neither.
    public init?(_ text: some StringProtocol) { self.init(Array(text.utf8)[...]) }

    init?(_ text: ArraySlice<UInt8>) {
        if let v4 = IPAddress.dotted(text) {
            self.init(v4: v4)
            return
        }
        // Groups before and after a `::`, which stands for as many zeros as are missing.
        var groups: [UInt16] = []
        var gap: Int?
        var at = text.startIndex
        if text.starts(with: [0x3a, 0x3a]) {
            gap = 0
            at += 2
        }
        while at < text.endIndex {
            let end = text[at...].firstIndex(of: 0x3a) ?? text.endIndex
            let part = text[at..<end]
            if end == text.endIndex, let v4 = IPAddress.dotted(part) {
                groups += [UInt16(truncatingIfNeeded: v4 >> 16), UInt16(truncatingIfNeeded: v4)]
            } else {
                guard (1...4).contains(part.count), !part.contains(0x2b), !part.contains(0x2d),
                    let group = UInt16(String(decoding: part, as: UTF8.self), radix: 16)
                else { return nil }
                groups.append(group)
            }
            if groups.count > 8 { return nil }
            if end == text.endIndex { break }
            at = end + 1
            if at == text.endIndex { return nil }
            if text[at] == 0x3a {
                if gap != nil { return nil }
                gap = groups.count
                at += 1
            }
        }
        if let gap {
            // `::` stands for at least one group.
            guard groups.count < 8 else { return nil }
            groups.insert(contentsOf: Array(repeating: 0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        let words = groups.map(UInt64.init)
        self.init(
            v6: words[0] << 48 | words[1] << 32 | words[2] << 16 | words[3],
            words[4] << 48 | words[5] << 32 | words[6] << 16 | words[7]
        )
    }

    private static func dotted(_ text: ArraySlice<UInt8>) -> UInt32? {
        let parts = text.split(separator: 0x2e, omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
                part.count == 1 || part.first != 0x30
            else { return nil }
            let n = part.reduce(0) { $0 * 10 + UInt32($1 - 0x30) }
            if n > 255 { return nil }
            address = address << 8 | n
        }
        return address
    }

    /// Writes the text of the address to `out`, which has room for ``maximumText`` bytes; returns the bytes written.
    ///
    /// IPv6 follows RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups (the first of equals)
    /// compressed, and IPv4-mapped addresses in mixed notation.
    public func write(to out: UnsafeMutablePointer<UInt8>) -> Int {
        if version == 4 { return writeDotted(UInt32(truncatingIfNeeded: low), to: out) }
        var at = 0
        if high == 0, low >> 32 == 0xffff {
            for byte in "::ffff:".utf8 {
                out[at] = byte
                at += 1
            }
            return at + writeDotted(UInt32(truncatingIfNeeded: low), to: out + at)
        }
        var best = (start: 8, count: 1)
        var run = 0
        for k in 0..<8 {
            run = group(k) == 0 ? run + 1 : 0
            if run > best.count { best = (k + 1 - run, run) }
        }
        var k = 0
        while k < 8 {
            if k == best.start {
                // Both colons of the gap: a group writes the colon before it, but not after a gap.
                out[at] = 0x3a
                out[at + 1] = 0x3a
                at += 2
                k += best.count
                continue
            }
            if k > 0, k != best.start + best.count {
                out[at] = 0x3a
                at += 1
            }
            at += writeHexadecimal(group(k), to: out + at)
            k += 1
        }
        return at
    }

    /// The `k`-th of eight groups of an IPv6 address.
    private func group(_ k: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (k < 4 ? high : low) >> UInt64(48 - 16 * (k & 3)))
    }

    public var description: String {
        String(unsafeUninitializedCapacity: IPAddress.maximumText) { write(to: $0.baseAddress!) }
    }
}

private func writeDotted(_ address: UInt32, to out: UnsafeMutablePointer<UInt8>) -> Int {
    var at = writeDecimal(UInt64(address >> 24), to: out)
    for shift: UInt32 in [16, 8, 0] {
        out[at] = 0x2e
        at += 1
        at += writeDecimal(UInt64(address >> shift & 255), to: out + at)
    }
    return at
}

private func writeHexadecimal(_ n: UInt16, to out: UnsafeMutablePointer<UInt8>) -> Int {
    var at = 0
    for shift: UInt16 in [12, 8, 4, 0] {
        let digit = UInt8(truncatingIfNeeded: n >> shift & 15)
        if digit == 0, at == 0, shift > 0 { continue }
        out[at] = digit < 10 ? 0x30 + digit : 0x57 + digit
        at += 1
    }
    return at
}

/// Writes `n` in decimal to `out`, which has room for 20 bytes; returns the bytes written.
func writeDecimal(_ n: UInt64, to out: UnsafeMutablePointer<UInt8>) -> Int {
    var count = 1
    var power: UInt64 = 10
    while n >= power {
        count &+= 1
        if count == 20 { break }
        power &*= 10
    }
    var rest = n
    var k = count
    repeat {
        k &-= 1
        out[k] = 0x30 &+ UInt8(truncatingIfNeeded: rest % 10)
        rest /= 10
    } while k > 0
    return count
}
