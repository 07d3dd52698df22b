// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A rate of items or bits.
public enum Rate: Sendable, Equatable {
    /// Packets per second.
    case packets(Int)
    /// Bits per second, counting bytes on the wire.
    case bits(Int)
}

/// Numbers with units, read and written exactly: floating point is never involved.
public enum Quantity {
    /// The reason a quantity cannot be read.
    public struct Failure: Error, Sendable {
        /// A sentence without capital or full stop.
        public var message: String
        /// The word probably meant, if one is close enough.
        public var suggestion: String?
    }

    /// Units of time, each with its nanoseconds.
    public static let durations: [(unit: String, factor: Int64)] = [
        ("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("min", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ]
    /// Units of size, each with its bytes.
    public static let sizes: [(unit: String, factor: Int64)] = [
        ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("kB", 1_000), ("MB", 1_000_000),
        ("GB", 1_000_000_000),
    ]
    /// Units of rate, each with its packets or bits per second.
    public static let rates: [(unit: String, factor: Int64)] = [
        ("pps", 1), ("kpps", 1_000), ("Mpps", 1_000_000), ("Gpps", 1_000_000_000), ("bps", 1), ("kbps", 1_000),
        ("Mbps", 1_000_000), ("Gbps", 1_000_000_000), ("Tbps", 1_000_000_000_000),
    ]

    /// Other spellings of units, each with the unit to write and how many of it one is. A spelling of two meanings is not among
    /// them (`KB` is 1000 or 1024 bytes, `Mb` is not `MB`): no suggestion is better than one that changes a value.
    private static let spellings: [(written: [String], unit: String, times: Int64)] = [
        (["nsec", "nanosecond", "nanoseconds"], "ns", 1),
        (["usec", "µs", "μs", "microsecond", "microseconds"], "us", 1),
        (["msec", "millisecond", "milliseconds"], "ms", 1), (["sec", "secs", "second", "seconds"], "s", 1),
        (["m", "mins", "minute", "minutes"], "min", 1), (["hr", "hrs", "hour", "hours"], "h", 1),
        (["d", "day", "days"], "h", 24),
        (["byte", "bytes", "Byte", "Bytes"], "B", 1), (["kib", "kiB", "KIB"], "KiB", 1), (["mib", "MIB"], "MiB", 1),
        (["gib", "GIB"], "GiB", 1), (["TiB"], "GiB", 1_024), (["TB"], "GB", 1_000),
        (["bit/s", "bits/s", "b/s"], "bps", 1), (["kbit/s", "kb/s", "Kbps", "Kbit/s", "Kb/s"], "kbps", 1),
        (["Mbit/s", "Mb/s", "mbps", "Mbit"], "Mbps", 1), (["Gbit/s", "Gb/s", "gbps", "Gbit"], "Gbps", 1),
        (["Tbit/s", "Tb/s", "tbps", "Tbit"], "Tbps", 1),
        (["B/s", "Bps"], "bps", 8), (["kB/s", "kBps"], "kbps", 8), (["MB/s", "MBps"], "Mbps", 8),
        (["GB/s", "GBps"], "Gbps", 8), (["KiB/s"], "bps", 8 << 10), (["MiB/s"], "bps", 8 << 20),
        (["GiB/s"], "bps", 8 << 30),
        (["p/s", "pkt/s", "pkts/s", "packets/s", "PPS"], "pps", 1), (["kp/s", "kpkt/s", "kpkts/s", "Kpps"], "kpps", 1),
        (["Mp/s", "Mpkt/s", "Mpkts/s", "mpps"], "Mpps", 1), (["gpps"], "Gpps", 1),
        (["hz", "HZ"], "Hz", 1), (["khz", "KHz", "KHZ"], "kHz", 1), (["mhz", "Mhz", "MHZ"], "MHz", 1),
        (["ghz", "Ghz", "GHZ"], "GHz", 1),
    ]

    /// A time with unit, in nanoseconds. `0` needs no unit.
    public static func parseDuration(_ text: String) throws(Failure) -> Int64 {
        try parse(text, durations, what: "time", example: "20 us").0
    }

    /// A size with unit, in bytes. `0` needs no unit.
    public static func parseSize(_ text: String) throws(Failure) -> Int {
        Int(try parse(text, sizes, what: "size", example: "64 MiB").0)
    }

    /// A rate with unit.
    public static func parseRate(_ text: String) throws(Failure) -> Rate {
        let (n, unit) = try parse(text, rates, what: "rate", example: "5 Mpps")
        return unit.hasSuffix("pps") ? .packets(Int(n)) : .bits(Int(n))
    }

    /// Reads `text` as a decimal number with one of `units`, and multiplies by its factor. The result must be a whole number.
    public static func parse(
        _ text: String,
        _ units: [(unit: String, factor: Int64)],
        what: String,
        example: String
    ) throws(Failure) -> (Int64, String) {
        let bytes = Array(text.utf8)
        var end = 0
        while end < bytes.count, bytes[end] == UInt8(ascii: ".") || isDigit(bytes[end]) { end += 1 }
        let number = String(decoding: bytes[..<end], as: UTF8.self)
        var start = end
        while start < bytes.count, bytes[start] == UInt8(ascii: " ") { start += 1 }
        let unit = String(decoding: bytes[start...], as: UTF8.self)
        guard let (mantissa, digits) = fraction(number) else {
            throw Failure(message: "'\(text)' is not a \(what), for example '\(example)'")
        }
        if unit.isEmpty {
            if mantissa == 0 { return (0, "") }
            throw Failure(
                message: "'\(text)' needs a unit: " + units.map(\.unit).joined(separator: ", "),
                suggestion: nil
            )
        }
        if unit.first?.isLetter != true {
            let isComma = unit.hasPrefix(",")
            throw Failure(
                message: "'\(text)' is not a \(what), for example '\(example)'"
                    + (isComma ? "; decimals follow a point" : "")
            )
        }
        guard let factor = units.first(where: { $0.unit == unit })?.factor else {
            throw Failure(
                message: "'\(unit)' is not a unit \(what == "quantity" ? "of this figure" : "of \(what)"): "
                    + units.map(\.unit).joined(separator: ", "),
                suggestion: likely(mantissa, digits, unit, units.map(\.unit))
            )
        }
        var scale: Int64 = 1
        for _ in 0..<digits { scale *= 10 }
        let (product, overflow) = mantissa.multipliedReportingOverflow(by: factor)
        if overflow { throw Failure(message: "'\(text)' is too large") }
        guard product % scale == 0 else {
            throw Failure(message: "'\(text)' is not a whole number of \(units[0].unit)")
        }
        return (product / scale, unit)
    }

    /// The same quantity in a known unit, if only one can be meant: another spelling of a unit, or a slip in one of at least three
    /// letters. Units that differ in case alone are different units.
    private static func likely(_ mantissa: Int64, _ digits: Int, _ unit: String, _ units: [String]) -> String? {
        if let known = spellings.first(where: { $0.written.contains(unit) && units.contains($0.unit) }) {
            let (product, overflow) = mantissa.multipliedReportingOverflow(by: known.times)
            return overflow ? nil : "\(decimal(product, digits)) \(known.unit)"
        }
        let written = Array(unit.utf8.prefix(64))
        let near = units.filter {
            written.count > 2 && $0.utf8.count > 2 && $0.utf8.first == written.first
                && $0.lowercased() != unit.lowercased()
                // `Mi` is not a slip for `M`.
                && $0.contains("i") == unit.contains("i")
                && editDistance(written, Array($0.utf8)) == 1
        }
        return near.count == 1 ? "\(decimal(mantissa, digits)) \(near[0])" : nil
    }

    /// `mantissa` with its last `digits` digits behind the point, without zeros at the end.
    private static func decimal(_ mantissa: Int64, _ digits: Int) -> String {
        var text = String(mantissa)
        text = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
        guard digits > 0 else { return text }
        var fraction = text.suffix(digits)
        while fraction.last == "0" { fraction.removeLast() }
        return text.dropLast(digits) + (fraction.isEmpty ? "" : ".\(fraction)")
    }

    /// A whole number in decimal or, with `0x`, hexadecimal; nil if `text` is neither.
    public static func integer(_ text: String) -> Int? {
        if text.hasPrefix("0x") { return Int(text.dropFirst(2), radix: 16) }
        return text.utf8.first == UInt8(ascii: "+") ? nil : Int(text)
    }

    /// A decimal number such as `0.25`; nil if `text` is not one.
    public static func decimal(_ text: String) -> Double? {
        guard fraction(text) != nil else { return nil }
        return Double(text)
    }

    /// `1.25` as mantissa 125 with 2 decimal places; nil if the text is not a decimal number or does not fit.
    private static func fraction(_ text: String) -> (mantissa: Int64, digits: Int)? {
        var mantissa: Int64 = 0
        var digits = 0
        var point = false
        var any = false
        for byte in text.utf8 {
            if byte == UInt8(ascii: ".") {
                if point { return nil }
                point = true
            } else if isDigit(byte) {
                let (tens, o1) = mantissa.multipliedReportingOverflow(by: 10)
                let (sum, o2) = tens.addingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
                if o1 || o2 { return nil }
                mantissa = sum
                any = true
                if point { digits += 1 }
            } else {
                return nil
            }
        }
        return any && digits <= 15 ? (mantissa, digits) : nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// `ns` in the largest unit that gives a whole number.
    public static func duration(_ ns: Int64) -> String { write(ns, durations) }
    /// `bytes` in the largest binary unit that gives a whole number.
    public static func size(_ bytes: Int) -> String { write(Int64(bytes), Array(sizes.prefix(4))) }
    /// A rate in the largest unit that gives a whole number.
    public static func rate(_ rate: Rate) -> String {
        switch rate {
        case .packets(let n): write(Int64(n), Array(rates[0..<4]))
        case .bits(let n): write(Int64(n), Array(rates[4...]))
        }
    }
    /// The shortest text that reads back as the same number.
    public static func number(_ x: Double) -> String { x == x.rounded() ? String(Int(x)) : "\(x)" }

    private static func write(_ n: Int64, _ units: [(unit: String, factor: Int64)]) -> String {
        let best = units.last { n != 0 && n % $0.factor == 0 } ?? units[0]
        return "\(n / best.factor) \(best.unit)"
    }
}

/// The word among `words` nearest to `text` by edit distance, if it is close enough to be meant.
public func nearest(to text: String, among words: [String]) -> String? {
    var best: (word: String, distance: Int)?
    for word in words {
        let distance = editDistance(Array(text.lowercased().utf8.prefix(64)), Array(word.lowercased().utf8.prefix(64)))
        // Of two words of one letter nothing says that one is meant by the other.
        guard distance <= max(1, min(3, word.utf8.count / 2)), distance < max(text.utf8.count, word.utf8.count) else {
            continue
        }
        if distance < best?.distance ?? .max { best = (word, distance) }
    }
    return best?.word
}

/// The number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var before: [Int] = []
    var above = Array(0...b.count)
    for i in 0..<a.count {
        var row = [i + 1]
        for j in 0..<b.count {
            var best = min(above[j] + (a[i] == b[j] ? 0 : 1), above[j + 1] + 1, row[j] + 1)
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
            row.append(best)
        }
        before = above
        above = row
    }
    return above[b.count]
}
