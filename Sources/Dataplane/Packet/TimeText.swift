// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Times as text in RFC 3339 format, UTC, with nanoseconds: `2026-11-25T12:34:51.592669000Z`.
public enum TimeText {
    /// The bytes of a time.
    public static let length = 30

    /// Nanoseconds since 1970 as text.
    public static func text(_ ns: Int64) -> String {
        String(unsafeUninitializedCapacity: length) {
            write(ns, to: $0.baseAddress!)
            return length
        }
    }

    /// Writes a time to `out`, which has room for ``length`` bytes. Every time that fits has a year of four digits.
    static func write(_ ns: Int64, to out: UnsafeMutablePointer<UInt8>) {
        let day: Int64 = 86_400_000_000_000
        var (days, rest) = ns.quotientAndRemainder(dividingBy: day)
        if rest < 0 { (days, rest) = (days - 1, rest + day) }
        // A year begins in March here, so that the day which is not always there comes last; an era has 400 years.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * ofYear + 2) / 153
        put(era * 400 + yearOfEra + (month >= 10 ? 1 : 0), 4, to: out)
        put(month < 10 ? month + 3 : month - 9, 2, to: out + 5)
        put(ofYear - (153 * month + 2) / 5 + 1, 2, to: out + 8)
        put(rest / 3_600_000_000_000, 2, to: out + 11)
        put(rest / 60_000_000_000 % 60, 2, to: out + 14)
        put(rest / 1_000_000_000 % 60, 2, to: out + 17)
        put(rest % 1_000_000_000, 9, to: out + 20)
        for (at, byte) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (19, "."), (29, "Z")]
            as [(Int, Unicode.Scalar)]
        {
            out[at] = UInt8(ascii: byte)
        }
    }

    private static func put(_ number: Int64, _ digits: Int, to out: UnsafeMutablePointer<UInt8>) {
        var rest = number
        for k in (0..<digits).reversed() {
            out[k] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }
}
