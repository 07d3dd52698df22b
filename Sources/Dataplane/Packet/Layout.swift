// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// How the bytes of a record or command are laid out: named fields, little-endian, at fixed places without padding.
///
/// A record's size is what crosses between NIC and host, so nothing is aligned.
public struct Layout: Sendable, Equatable {
    /// What a field holds.
    public enum FieldType: Sendable, Equatable {
        case u8
        case u16
        case u32
        case u64
        /// Nanoseconds since 1970, signed 64 bits.
        case time
        /// An IP address: one byte 4 or 6, then 16 bytes in network order, of which IPv4 uses the first four.
        case address
        /// The TCP flags that were seen, one byte as in the TCP header.
        case flags
        /// An IP protocol number, one byte.
        case proto
        /// One of these words, one byte that counts from 0.
        case word([String])

        /// Bytes the field takes.
        public var size: Int {
            switch self {
            case .u8, .flags, .proto, .word: 1
            case .u16: 2
            case .u32: 4
            case .u64, .time: 8
            case .address: 17
            }
        }

        /// The most bytes the text of a value takes.
        var maximumText: Int {
            switch self {
            case .u8, .u16, .u32, .u64, .time, .proto: 20
            case .address: IPAddress.maximumText
            case .flags: 8
            case .word(let words): max(20, words.map(\.utf8.count).max() ?? 0)
            }
        }
    }

    /// One field of a layout.
    public struct Field: Sendable, Equatable {
        public let name: String
        public let type: FieldType
        /// Where the field begins, in bytes from the start of the record.
        public let offset: Int
    }

    /// The name in `record(NAME)` and `command(NAME)`.
    public let name: String
    public let fields: [Field]
    /// Bytes of one record.
    public let size: Int

    /// Fields in order, each behind the one before.
    ///
    /// Names and words are plain, letters, digits and `_`, so that no text format has to quote them.
    public init(_ name: String, _ fields: [(name: String, type: FieldType)]) {
        self.name = name
        var offset = 0
        var placed: [Field] = []
        for field in fields {
            var names = [field.name]
            if case .word(let words) = field.type { names += words }
            precondition(
                names.allSatisfy(Layout.isPlain),
                "the field '\(field.name)' has a name or word that is not plain"
            )
            placed.append(Field(name: field.name, type: field.type, offset: offset))
            offset += field.type.size
        }
        self.fields = placed
        size = offset
    }

    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && name.allSatisfy { $0 == "_" || $0.isASCII && ($0.isLetter || $0.isNumber) }
    }
}

/// The layouts of one run, each with a small number that stands in ``Item/layout``.
///
/// Elements register theirs while the run is made; afterwards the table is only read. That is why it can be sent: the
/// making of a run is over before a second thread begins.
public final class LayoutTable: @unchecked Sendable {
    private var layouts: [Layout] = []

    public init() {}

    /// The number of `layout`, from 1; equal layouts have one number.
    public func register(_ layout: Layout) -> UInt16 {
        if let known = layouts.firstIndex(of: layout) { return UInt16(known + 1) }
        precondition(layouts.count < Int(UInt16.max), "too many layouts in one run")
        layouts.append(layout)
        return UInt16(layouts.count)
    }

    /// The layout with a number; nil for 0 and for numbers that were not given.
    public subscript(_ number: UInt16) -> Layout? {
        number > 0 && Int(number) <= layouts.count ? layouts[Int(number) - 1] : nil
    }
}

// MARK: Values as text

extension Layout.Field {
    /// Writes the text of this field of `record` to `out`; returns how many bytes it took, at most `type.maximumText`,
    /// and whether it is a number.
    ///
    /// Times and counts are decimal, addresses as RFC 5952 says, flags the letters of `FSRPAUEC`, protocols `tcp`, `udp`
    /// or the number.
    func write(_ record: UnsafeRawPointer, to out: UnsafeMutablePointer<UInt8>) -> (count: Int, isNumber: Bool) {
        let field = record + offset
        switch type {
        case .u8: return (writeDecimal(UInt64(field.byte(0)), to: out), true)
        case .u16:
            return (writeDecimal(UInt64(UInt16(littleEndian: field.loadUnaligned(as: UInt16.self))), to: out), true)
        case .u32:
            return (writeDecimal(UInt64(UInt32(littleEndian: field.loadUnaligned(as: UInt32.self))), to: out), true)
        case .u64: return (writeDecimal(UInt64(littleEndian: field.loadUnaligned(as: UInt64.self)), to: out), true)
        case .time:
            let time = Int64(littleEndian: field.loadUnaligned(as: Int64.self))
            if time >= 0 { return (writeDecimal(UInt64(time), to: out), true) }
            out[0] = UInt8(ascii: "-")
            return (1 + writeDecimal(time.magnitude, to: out + 1), true)
        case .address: return (IPAddress(record: field).write(to: out), false)
        case .flags: return (writeFlags(field.byte(0), to: out), false)
        case .proto:
            switch field.byte(0) {
            case 6: return (copy("tcp", to: out), false)
            case 17: return (copy("udp", to: out), false)
            case let number: return (writeDecimal(UInt64(number), to: out), true)
            }
        case .word(let words):
            let number = Int(field.byte(0))
            if number < words.count { return (copy(words[number], to: out), false) }
            return (writeDecimal(UInt64(number), to: out), true)
        }
    }

    private func copy(_ text: String, to out: UnsafeMutablePointer<UInt8>) -> Int {
        var at = 0
        for byte in text.utf8 {
            out[at] = byte
            at &+= 1
        }
        return at
    }

    /// The text of this field of `record`.
    func text(_ record: UnsafeRawPointer) -> String {
        String(unsafeUninitializedCapacity: type.maximumText) { write(record, to: $0.baseAddress!).count }
    }
}

extension Layout {
    /// The values of a record's bytes, `name=value` each; records that stand together are divided by `; `.
    public func describe(_ bytes: UnsafeRawBufferPointer) -> String {
        guard size > 0, let base = bytes.baseAddress else { return name }
        return stride(from: 0, through: bytes.count - size, by: size).map { start in
            fields.map { "\($0.name)=\($0.text(base + start))" }.joined(separator: " ")
        }.joined(separator: "; ")
    }

    /// Whether a record is all that `pattern` says: `name=value` words, of which only those named are compared, as text.
    /// For records that stand together the patterns are divided by `;`.
    public func matches(_ pattern: String, _ bytes: UnsafeRawBufferPointer) -> Bool {
        let patterns = pattern.split(separator: ";", omittingEmptySubsequences: false)
        guard size > 0, let base = bytes.baseAddress, bytes.count == patterns.count * size else { return false }
        return patterns.enumerated().allSatisfy { number, pattern in
            pattern.split(separator: " ").allSatisfy { word in
                fields.contains { "\($0.name)=\($0.text(base + number * size))" == word }
            }
        }
    }
}

/// Writes the letters of the TCP flags in `flags`, lowest bit first; returns how many there were, at most 8.
func writeFlags(_ flags: UInt8, to out: UnsafeMutablePointer<UInt8>) -> Int {
    let letters: StaticString = "FSRPAUEC"
    var at = 0
    for bit in 0..<8 where flags &>> UInt8(bit) & 1 != 0 {
        out[at] = letters.utf8Start[bit]
        at &+= 1
    }
    return at
}

extension IPAddress {
    /// Writes the address as a record's field.
    func store(to field: UnsafeMutableRawPointer) {
        field.storeBytes(of: version, as: UInt8.self)
        // The four bytes of IPv4 stand first, zeros behind them.
        let first = version == 4 ? low &<< 32 : high
        field.storeBytes(of: first.bigEndian, toByteOffset: 1, as: UInt64.self)
        field.storeBytes(of: version == 4 ? 0 : low.bigEndian, toByteOffset: 9, as: UInt64.self)
    }

    /// The address in a record's field.
    init(record field: UnsafeRawPointer) {
        if field.byte(0) == 6 {
            self.init(v6: field + 1)
        } else {
            self.init(v4: field.be32(1))
        }
    }
}
