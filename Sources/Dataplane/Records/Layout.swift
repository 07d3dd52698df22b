// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The byte layout of a record or command: named fields, little-endian, at fixed offsets without padding.
///
/// A record's size is what crosses between NIC and host, so nothing is aligned. If a layout has texts, a record begins with its
/// whole length in 32 bits, and the texts follow the fields, each of which holds an offset from the record's beginning.
public struct Layout: Sendable, Equatable {
    /// The type of a field.
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
        /// One of these words, as one byte that counts from 0.
        case word([String])
        /// A 16-bit number, 0 meaning none.
        case u16OrNone
        /// Like `time`, with the least value meaning none.
        case timeOrNone
        /// A SHA-256 digest, 32 bytes.
        case digest
        /// Bytes of variable length: their offset and count, 16 bits each; offset 0 means none.
        case text

        /// Bytes the field takes in a record.
        public var size: Int {
            switch self {
            case .u8, .flags, .proto, .word: 1
            case .u16, .u16OrNone: 2
            case .u32, .text: 4
            case .u64, .time, .timeOrNone: 8
            case .address: 17
            case .digest: 32
            }
        }

        /// The most bytes the text of a value takes; excludes a `text`, which may take six times its length.
        var maximumText: Int {
            switch self {
            case .u8, .u16, .u32, .u64, .time, .proto, .u16OrNone, .timeOrNone: 20
            case .digest: 64
            case .text: 4
            case .address: IPAddress.maximumText
            case .flags: 8
            case .word(let words): max(20, words.map(\.utf8.count).max() ?? 0)
            }
        }
    }

    /// One field of a layout.
    public struct Field: Sendable, Equatable {
        /// The name shown in records.
        public let name: String
        /// The field's type, and so its size.
        public let type: FieldType
        /// Offset of the field from the start of the record, in bytes.
        public let offset: Int
    }

    /// The name in `record(NAME)` and `command(NAME)`.
    public let name: String
    /// The fields in storage order.
    public let fields: [Field]
    /// Bytes of one record, without its texts.
    public let size: Int
    /// Whether records have texts, and so varying lengths.
    public let hasTexts: Bool

    /// Fields in order, without gaps.
    ///
    /// Names and words consist of letters, digits and `_`, so that no text format has to quote them.
    public init(_ name: String, _ fields: [(name: String, type: FieldType)]) {
        self.name = name
        hasTexts = fields.contains { $0.type == .text }
        var offset = hasTexts ? 4 : 0
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

    /// The length in bytes of the record at `record`, of which `available` are there; nil if it cannot be a record.
    @inline(__always)
    func length(of record: UnsafeRawPointer, available: Int) -> Int? {
        if size == 0 || available < size { return nil }
        if !hasTexts { return size }
        let length = Int(UInt32(littleEndian: record.loadUnaligned(as: UInt32.self)))
        return length >= size && length <= available ? length : nil
    }

    /// The offsets of the records packed in `bytes`; nil if these are not whole records.
    public func starts(in bytes: UnsafeRawBufferPointer) -> [Int]? {
        var starts: [Int] = []
        var at = 0
        while at < bytes.count {
            guard let length = length(of: bytes.baseAddress! + at, available: bytes.count - at) else { return nil }
            starts.append(at)
            at += length
        }
        return starts
    }

    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && name.allSatisfy { $0 == "_" || $0.isASCII && ($0.isLetter || $0.isNumber) }
    }
}

/// The layouts of one run, each with a small number that is stored in ``Item/layout``.
///
/// Elements register theirs while the run is being made; afterwards the table is only read. It is therefore sendable: the run
/// is complete before a second thread begins.
public final class LayoutTable: @unchecked Sendable {
    private var layouts: [Layout] = []

    public init() {}

    /// The number of `layout`, from 1; equal layouts share a number.
    public func register(_ layout: Layout) -> UInt16 {
        if let known = layouts.firstIndex(of: layout) { return UInt16(known + 1) }
        precondition(layouts.count < Int(UInt16.max), "too many layouts in one run")
        layouts.append(layout)
        return UInt16(layouts.count)
    }

    /// All layouts, in the order of their numbers.
    public var all: [Layout] { layouts }

    /// The layout with this number; nil for 0 and for unassigned numbers.
    public subscript(_ number: UInt16) -> Layout? {
        number > 0 && Int(number) <= layouts.count ? layouts[Int(number) - 1] : nil
    }
}

// MARK: Values

/// A value of a packet or record, for programs.
public enum FieldValue: Sendable, Equatable {
    case none
    case boolean(Bool)
    case number(UInt64)
    case signed(Int64)
    case text(String)
    case numbers([UInt64])
}

enum ValueForm {
    case number
    /// Letters, digits, `_`, `.` and `:` only.
    case plain
    /// Any bytes.
    case text
    case none
}

extension Layout.Field {
    /// Writes the text of this field of `record` to `out`; returns the bytes written and their form. A value of form `text` is
    /// not written: use `text(of:)`.
    ///
    /// Times and counts are decimal, addresses follow RFC 5952, flags are letters of `FSRPAUEC`, protocols `tcp`, `udp` or the
    /// number as text, digests hexadecimal.
    func write(_ record: UnsafeRawPointer, to out: UnsafeMutablePointer<UInt8>) -> (count: Int, form: ValueForm) {
        guard case .word(let words) = type else { return Self.write(type.code, record + offset, to: out) }
        let number = Int((record + offset).byte(0))
        if number < words.count { return (copy(words[number], to: out), .plain) }
        return (writeDecimal(UInt64(number), to: out), .number)
    }

    /// Like ``write(_:to:)``, for the field at `field` of any type but `word`.
    @inline(__always)
    static func write(
        _ code: Layout.FieldCode,
        _ field: UnsafeRawPointer,
        to out: UnsafeMutablePointer<UInt8>
    ) -> (count: Int, form: ValueForm) {
        switch code {
        case .u8, .word: return (writeDecimal(UInt64(field.byte(0)), to: out), .number)
        case .u16, .u16OrNone:
            let value = UInt16(littleEndian: field.loadUnaligned(as: UInt16.self))
            if value == 0, code == .u16OrNone { return (0, .none) }
            return (writeDecimal(UInt64(value), to: out), .number)
        case .u32:
            return (writeDecimal(UInt64(UInt32(littleEndian: field.loadUnaligned(as: UInt32.self))), to: out), .number)
        case .u64: return (writeDecimal(UInt64(littleEndian: field.loadUnaligned(as: UInt64.self)), to: out), .number)
        case .time, .timeOrNone:
            let time = Int64(littleEndian: field.loadUnaligned(as: Int64.self))
            if time == .min, code == .timeOrNone { return (0, .none) }
            if time >= 0 { return (writeDecimal(UInt64(time), to: out), .number) }
            out[0] = UInt8(ascii: "-")
            return (1 + writeDecimal(time.magnitude, to: out + 1), .number)
        case .address: return (IPAddress(record: field).write(to: out), .plain)
        case .flags: return (writeFlags(field.byte(0), to: out), .plain)
        case .proto:
            let number = field.byte(0)
            // A text too, so that a column has one type.
            if number != 6, number != 17 { return (writeDecimal(UInt64(number), to: out), .plain) }
            out[0] = UInt8(ascii: number == 6 ? "t" : "u")
            out[1] = UInt8(ascii: number == 6 ? "c" : "d")
            out[2] = UInt8(ascii: "p")
            return (3, .plain)
        case .digest:
            let digits: StaticString = "0123456789abcdef"
            for k in 0..<32 {
                out[2 &* k] = digits.utf8Start[Int(field.byte(k) &>> 4)]
                out[2 &* k &+ 1] = digits.utf8Start[Int(field.byte(k) & 15)]
            }
            return (64, .plain)
        case .text: return (0, field.loadUnaligned(as: UInt16.self) == 0 ? .none : .text)
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

    /// The text of this field of `record`; bytes that are not UTF-8 appear as `\xNN`.
    func text(_ record: UnsafeRawPointer, _ layout: Layout) -> String {
        if type == .text {
            guard let bytes = layout.text(at: offset, of: record) else { return "" }
            var text = ""
            escape(bytes, asJSON: false) { text.unicodeScalars.append(Unicode.Scalar($0)) }
            return String(decoding: text.unicodeScalars.map { UInt8($0.value) }, as: UTF8.self)
        }
        return String(unsafeUninitializedCapacity: type.maximumText) { write(record, to: $0.baseAddress!).count }
    }
}

extension Layout {
    /// A field's type in one byte, for code that writes many records.
    enum FieldCode: UInt8, BitwiseCopyable {
        case u8, u16, u32, u64, time, address, flags, proto, word, u16OrNone, timeOrNone, digest, text
    }

    /// The bytes of the text whose field is at `offset` of `record`; nil if there are none, or the field leads out of the
    /// record.
    @inline(__always)
    func text(at offset: Int, of record: UnsafeRawPointer) -> UnsafeRawBufferPointer? {
        let place = Int(UInt16(littleEndian: record.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
        let count = Int(UInt16(littleEndian: record.loadUnaligned(fromByteOffset: offset &+ 2, as: UInt16.self)))
        let length = Int(UInt32(littleEndian: record.loadUnaligned(as: UInt32.self)))
        guard place >= size, place &+ count <= length else { return nil }
        return UnsafeRawBufferPointer(start: record + place, count: count)
    }
}

extension Layout.FieldType {
    /// The type without its words.
    var code: Layout.FieldCode {
        switch self {
        case .u8: .u8
        case .u16: .u16
        case .u32: .u32
        case .u64: .u64
        case .time: .time
        case .address: .address
        case .flags: .flags
        case .proto: .proto
        case .word: .word
        case .u16OrNone: .u16OrNone
        case .timeOrNone: .timeOrNone
        case .digest: .digest
        case .text: .text
        }
    }
}

/// Passes the bytes of a text to `put` one by one: UTF-8 unchanged, other bytes as `\xNN`. For JSON, quotes, backslashes and
/// control characters are escaped too (RFC 8259 section 7). One byte becomes at most six.
@inline(__always)
func escape(_ bytes: UnsafeRawBufferPointer, asJSON: Bool, _ put: (UInt8) -> Void) {
    let digits: StaticString = "0123456789abcdef"
    func putHex(_ byte: UInt8) {
        put(digits.utf8Start[Int(byte &>> 4)])
        put(digits.utf8Start[Int(byte & 15)])
    }
    var at = 0
    while at < bytes.count {
        let byte = bytes[at]
        if byte < 0x80 {
            at &+= 1
            if !asJSON || byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") {
                put(byte)
            } else {
                put(UInt8(ascii: "\\"))
                switch byte {
                case 0x22, 0x5c: put(byte)
                case 0x0a: put(UInt8(ascii: "n"))
                case 0x0d: put(UInt8(ascii: "r"))
                case 0x09: put(UInt8(ascii: "t"))
                default:
                    put(UInt8(ascii: "u"))
                    put(UInt8(ascii: "0"))
                    put(UInt8(ascii: "0"))
                    putHex(byte)
                }
            }
            continue
        }
        let count = utf8Length(bytes, at)
        if count > 0 {
            for k in at..<at &+ count { put(bytes[k]) }
            at &+= count
        } else {
            put(UInt8(ascii: "\\"))
            if asJSON { put(UInt8(ascii: "\\")) }
            put(UInt8(ascii: "x"))
            putHex(byte)
            at &+= 1
        }
    }
}

/// The length of the well-formed character that begins at `at` with a byte from 0x80 on (Unicode 15, table 3-7); 0 if there is
/// none.
private func utf8Length(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> Int {
    let lead = bytes[at]
    let count: Int
    var range: ClosedRange<UInt8> = 0x80...0xbf
    switch lead {
    case 0xc2...0xdf: count = 2
    case 0xe0: (count, range) = (3, 0xa0...0xbf)
    case 0xed: (count, range) = (3, 0x80...0x9f)
    case 0xe1...0xef: count = 3
    case 0xf0: (count, range) = (4, 0x90...0xbf)
    case 0xf1...0xf3: count = 4
    case 0xf4: (count, range) = (4, 0x80...0x8f)
    default: return 0
    }
    guard at + count <= bytes.count, range.contains(bytes[at + 1]) else { return 0 }
    for k in 2..<max(2, count) where bytes[at + k] & 0xc0 != 0x80 { return 0 }
    return count
}

extension Layout {
    /// The values of a record as `name=value` words; packed records are separated by `; `.
    public func describe(_ bytes: UnsafeRawBufferPointer) -> String {
        guard let starts = starts(in: bytes), let base = bytes.baseAddress else { return name }
        return starts.map { start in
            fields.map { "\($0.name)=\($0.text(base + start, self))" }.joined(separator: " ")
        }.joined(separator: "; ")
    }

    /// The values of each of the records in `bytes`; nil if these are not whole records.
    public func values(_ bytes: UnsafeRawBufferPointer) -> [[(name: String, value: FieldValue)]]? {
        guard let starts = starts(in: bytes), let base = bytes.baseAddress else { return nil }
        return starts.map { start in
            fields.map { field in
                if field.type == .text {
                    let isThere = text(at: field.offset, of: base + start) != nil
                    return (field.name, isThere ? .text(field.text(base + start, self)) : .none)
                }
                var form = ValueForm.none
                let text = String(unsafeUninitializedCapacity: field.type.maximumText) {
                    let written = field.write(base + start, to: $0.baseAddress!)
                    form = written.form
                    return written.count
                }
                switch form {
                case .none: return (field.name, .none)
                case .number:
                    return (
                        field.name, UInt64(text).map { .number($0) } ?? Int64(text).map { .signed($0) } ?? .text(text)
                    )
                case .plain, .text: return (field.name, .text(text))
                }
            }
        }
    }

    /// The name of the first field in a record pattern that the layout lacks; nil if there is none.
    public func unknownField(in pattern: String) -> String? {
        pattern.split(separator: " ").map { $0.prefix { $0 != "=" } }.first { name in
            !fields.contains { $0.name == name }
        }.map(String.init)
    }

    /// Whether a record matches `pattern`: `name=value` words, compared as text; fields not named are ignored. For packed
    /// records the patterns are separated by `;`.
    public func matches(_ pattern: String, _ bytes: UnsafeRawBufferPointer) -> Bool {
        let patterns = pattern.split(separator: ";", omittingEmptySubsequences: false)
        guard let starts = starts(in: bytes), let base = bytes.baseAddress, starts.count == patterns.count else {
            return false
        }
        return zip(starts, patterns).allSatisfy { start, pattern in
            pattern.split(separator: " ").allSatisfy { word in
                fields.contains { "\($0.name)=\($0.text(base + start, self))" == word }
            }
        }
    }
}

/// Writes the letters of the TCP flags in `flags`, lowest bit first; returns their number, at most 8.
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
        // The four bytes of IPv4 come first, followed by zeros.
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
