// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Finds the byte that ends a run of allowed ones: sixteen at a time, then eight, then one by one.
///
/// Each function reads only bytes `from ..< to` of `base`, and returns `to` if all are allowed. In a word the lowest byte comes
/// first; the borrow tricks are exact for the first hit, which is all that is needed.
enum HTTP1Bytes {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080

    @inline(__always)
    private static func word(_ base: UnsafeRawPointer, _ at: Int) -> UInt64 {
        UInt64(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
    }

    @inline(__always)
    private static func vector(_ base: UnsafeRawPointer, _ at: Int) -> SIMD16<UInt8> {
        base.loadUnaligned(fromByteOffset: at, as: SIMD16<UInt8>.self)
    }

    /// The high bit of each byte that is `bound` or more, for bytes below 128. (Comparisons of vectors become loops.)
    @inline(__always)
    private static func atLeast(_ bytes: SIMD16<UInt8>, _ bound: UInt8) -> SIMD16<UInt8> {
        bytes &+ SIMD16(repeating: 0x80 &- bound)
    }

    /// The first byte with a high bit; 16 when none has.
    @inline(__always)
    private static func first(_ bytes: SIMD16<UInt8>) -> Int {
        let words = unsafeBitCast(bytes, to: SIMD2<UInt64>.self) & SIMD2(repeating: highs)
        let low = UInt64(littleEndian: words[0])
        if low != 0 { return low.trailingZeroBitCount &>> 3 }
        let high = UInt64(littleEndian: words[1])
        return high != 0 ? 8 &+ high.trailingZeroBitCount &>> 3 : 16
    }

    /// The high bit of each byte that is below `bound`, and perhaps of bytes after such a one.
    @inline(__always)
    private static func below(_ word: UInt64, _ bound: UInt64) -> UInt64 { (word &- ones &* bound) & ~word & highs }

    /// The high bit of each byte equal to `byte`, and perhaps of bytes after such a one.
    @inline(__always)
    private static func equal(_ word: UInt64, _ byte: UInt64) -> UInt64 { below(word ^ ones &* byte, 1) }

    /// The high bit of each byte in `low ... high`, exactly; for words without high bits.
    @inline(__always)
    private static func within(_ word: UInt64, _ low: UInt64, _ high: UInt64) -> UInt64 {
        (word &+ ones &* (0x80 - low)) & ~(word &+ ones &* (0x7f - high))
    }

    /// A tchar of RFC 9110 §5.6.2.
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        let mask: UInt64 = byte & 64 == 0 ? 0x03ff_6cfa_0000_0000 : 0x57ff_ffff_c7ff_fffe
        return byte < 128 && mask &>> UInt64(byte & 63) & 1 != 0
    }

    /// The first byte not allowed in a token.
    @inline(__always)
    static func tokenEnd(_ base: UnsafeRawPointer, _ from: Int, _ to: Int) -> Int {
        var at = from
        while at &+ 16 <= to {
            // Nearly all are letters, digits and hyphens; others are checked one by one.
            let bytes = vector(base, at)
            let small = bytes | SIMD16(repeating: 0x20)
            let letters = atLeast(small, 0x61) & ~atLeast(small, 0x7b)
            let digits = atLeast(bytes, 0x30) & ~atLeast(bytes, 0x3a)
            let hyphens = atLeast(bytes, 0x2d) & ~atLeast(bytes, 0x2e)
            let hit = first(~(letters | digits | hyphens) | bytes)
            at &+= hit
            if hit == 16 { continue }
            if !isToken(base.byte(at)) { return at }
            at &+= 1
        }
        while at &+ 8 <= to {
            let word = word(base, at)
            let ascii = word & ~highs
            let usual =
                within(ascii | ones &* 0x20, 0x61, 0x7a) | within(ascii, 0x30, 0x39) | within(ascii, 0x2d, 0x2d)
            let other = ~(usual & ~word) & highs
            if other == 0 {
                at &+= 8
                continue
            }
            at &+= other.trailingZeroBitCount &>> 3
            if !isToken(base.byte(at)) { return at }
            at &+= 1
        }
        while at < to && isToken(base.byte(at)) { at &+= 1 }
        return at
    }

    /// The first control byte other than HTAB: the end of a field value (RFC 9110 §5.5).
    @inline(__always)
    static func valueEnd(_ base: UnsafeRawPointer, _ from: Int, _ to: Int) -> Int {
        var at = from
        while at &+ 16 <= to {
            let bytes = vector(base, at)
            let hit = first((~atLeast(bytes, 0x20) | atLeast(bytes, 0x7f)) & ~bytes)
            at &+= hit
            if hit == 16 { continue }
            if base.byte(at) != 0x09 { return at }
            at &+= 1
        }
        while at &+ 8 <= to {
            let word = word(base, at)
            let hits = below(word, 0x20) | equal(word, 0x7f)
            if hits == 0 {
                at &+= 8
                continue
            }
            at &+= hits.trailingZeroBitCount &>> 3
            if base.byte(at) != 0x09 { return at }
            at &+= 1
        }
        while at < to {
            let byte = base.byte(at)
            if byte < 0x20 && byte != 0x09 || byte == 0x7f { return at }
            at &+= 1
        }
        return at
    }

    /// The first byte that is not a visible ASCII character: the end of a request-target (RFC 9112 §3.2).
    @inline(__always)
    static func visibleEnd(_ base: UnsafeRawPointer, _ from: Int, _ to: Int) -> Int {
        var at = from
        while at &+ 16 <= to {
            let bytes = vector(base, at)
            let hit = first(~atLeast(bytes, 0x21) | atLeast(bytes, 0x7f) | bytes)
            if hit < 16 { return at &+ hit }
            at &+= 16
        }
        while at &+ 8 <= to {
            let word = word(base, at)
            let hits = below(word, 0x21) | equal(word, 0x7f) | word & highs
            if hits != 0 { return at &+ hits.trailingZeroBitCount &>> 3 }
            at &+= 8
        }
        while at < to {
            let byte = base.byte(at)
            if byte < 0x21 || byte > 0x7e { return at }
            at &+= 1
        }
        return at
    }

    /// The first byte equal to `byte`.
    @inline(__always)
    static func find(_ byte: UInt8, _ base: UnsafeRawPointer, _ from: Int, _ to: Int) -> Int {
        var at = from
        while at &+ 16 <= to {
            let other = vector(base, at) ^ SIMD16(repeating: byte)
            let hit = first(~(other & SIMD16(repeating: 0x7f) &+ SIMD16(repeating: 0x7f) | other))
            if hit < 16 { return at &+ hit }
            at &+= 16
        }
        while at &+ 8 <= to {
            let hits = equal(word(base, at), UInt64(byte))
            if hits != 0 { return at &+ hits.trailingZeroBitCount &>> 3 }
            at &+= 8
        }
        while at < to && base.byte(at) != byte { at &+= 1 }
        return at
    }

    /// The word with capital letters converted to lower case.
    @inline(__always)
    private static func lowered(_ word: UInt64) -> UInt64 {
        word | (within(word & ~highs, 0x41, 0x5a) & ~word & highs) &>> 2
    }

    /// Whether the bytes equal `text`, which must be in lower case, ignoring the case of letters.
    @inline(__always)
    static func isSame(_ base: UnsafeRawPointer, _ from: Int, _ count: Int, as text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        let text = UnsafeRawPointer(text.utf8Start)
        if count < 8 {
            for i in 0..<count where lowered(UInt64(base.byte(from &+ i))) != UInt64(text.byte(i)) { return false }
            return true
        }
        var at = 0
        while at &+ 8 < count {
            if lowered(word(base, from &+ at)) != word(text, at) { return false }
            at &+= 8
        }
        // The last eight, some of them a second time.
        return lowered(word(base, from &+ count &- 8)) == word(text, count &- 8)
    }

    /// A number for a text: its size and its first and last bytes; 0 if it is empty.
    static func digest(_ text: UnsafeRawBufferPointer) -> UInt64 {
        guard let base = text.baseAddress, text.count > 0 else { return 0 }
        var sum = UInt64(truncatingIfNeeded: text.count)
        if text.count >= 8 {
            sum ^= word(base, 0) &+ word(base, text.count &- 8) &* 31
        } else {
            for at in 0..<text.count { sum = sum &* 31 &+ UInt64(base.byte(at)) }
        }
        return sum | 1
    }

    /// White space as in RFC 9110 §5.6.3, which is no other byte.
    @inline(__always)
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// The range with white space trimmed from its ends.
    @inline(__always)
    static func trimmed(_ base: UnsafeRawPointer, _ from: Int, _ to: Int) -> Range<Int> {
        var from = from
        var to = to
        while from < to && isSpace(base.byte(from)) { from &+= 1 }
        while from < to && isSpace(base.byte(to &- 1)) { to &-= 1 }
        return Range(uncheckedBounds: (from, to))
    }
}
