// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

extension PacketFields {
    /// Reads the text form that ``PacketText`` documents.
    init(_ text: String) throws(PacketText.Failure) {
        let reader = PacketTextReader(text)
        let words = try reader.words()
        var rest = words[...]
        if words.count >= 2, words[1].bytes.elementsEqual([UInt8(ascii: ">")]) {
            guard words.count >= 3 else { throw reader.failure("an end is missing behind '>'", words[1]) }
            (source, sourcePort) = try reader.end(words[0])
            (destination, destinationPort) = try reader.end(words[2])
            if let source, let destination, source.version != destination.version {
                throw reader.failure("the addresses are not of one IP version", words[2])
            }
            rest = words[3...]
        }
        let arrows = ["->", "=>", "-->", "→", "<", "<-"].map { Array($0.utf8) }
        if let arrow = rest.first(where: { arrows.contains(Array($0.bytes)) }) {
            throw reader.failure("the arrow between two ends is '>'", arrow)
        }
        // A packet in this one's payload.
        var nested: [UInt8] = []
        for word in rest {
            switch word.key {
            case "inner": nested += try reader.packet(word).dropFirst(14)
            case "frame": nested += try reader.packet(word)
            default: try read(word, reader)
            }
        }
        if !nested.isEmpty { data = (data ?? []) + nested }
        let ports = sourcePort != nil || destinationPort != nil
        // A TCP-only word implies TCP; ports alone do not.
        if transport == nil, flags != nil { transport = .tcp }
        if ports, transport == .icmp || transport == .arp {
            throw reader.failure("this protocol has no ports", words[0])
        }
    }

    private mutating func read(_ word: PacketTextReader.Word, _ reader: PacketTextReader) throws(PacketText.Failure) {
        switch word.key {
        case "tcp": try set(.tcp, word, reader)
        case "udp": try set(.udp, word, reader)
        case "icmp": try set(.icmp, word, reader)
        case "arp": try set(.arp, word, reader)
        case "proto":
            let number = try reader.number(word, UInt8.self)
            if [1, 6, 17, 58].contains(number) {
                throw reader.failure("write 'tcp', 'udp' or 'icmp' for protocol \(number)", word)
            }
            try set(.number(number), word, reader)
        case "seq": seq = try reader.number(word, UInt32.self)
        case "ack": ack = try reader.number(word, UInt32.self)
        case "win": window = try reader.number(word, UInt16.self)
        case "urg": urgent = try reader.number(word, UInt16.self)
        case "mss": mss = try reader.number(word, UInt16.self)
        case "wscale": windowScale = try reader.number(word, UInt8.self)
        case "sack": sackPermitted = try reader.flag(word)
        case "ts":
            let pair = try reader.pair(word, "/")
            timestamps = Timestamps(value: pair.0, echo: pair.1)
        case "blocks":
            var found: [Block] = []
            for part in try reader.parts(word, ",") {
                let pair = try reader.pair(part, "-")
                found.append(Block(left: pair.0, right: pair.1))
            }
            guard found.count <= 4 else { throw reader.failure("a TCP header has room for four SACK blocks", word) }
            blocks = found
        case "type": icmpType = try reader.number(word, UInt8.self)
        case "code": icmpCode = try reader.number(word, UInt8.self)
        case "rest": icmpRest = try reader.number(word, UInt32.self)
        case "op": arpOperation = try reader.number(word, UInt16.self)
        case "ttl": ttl = try reader.number(word, UInt8.self)
        case "tos": tos = try reader.number(word, UInt8.self)
        case "id": id = try reader.number(word, UInt16.self)
        case "df": dontFragment = try reader.flag(word)
        case "frag":
            var value = word
            let more = value.value.last == UInt8(ascii: "+")
            if more { value.value.removeLast() }
            let offset = try reader.number(value, UInt16.self)
            guard offset % 8 == 0 else { throw reader.failure("a fragment begins at a multiple of 8 bytes", word) }
            fragment = Fragment(offset: Int(offset), more: more)
        case "iplen": claimedLength = try reader.number(word, UInt16.self)
        case "len": length = Int(try reader.number(word, UInt16.self))
        case "data": data = try reader.quoted(word)
        case "vlan":
            vlans = []
            if word.value.elementsEqual("none".utf8) { break }
            for part in try reader.parts(word, ",") { vlans!.append(try reader.number(part, UInt16.self)) }
            guard vlans!.count <= 8, vlans!.allSatisfy({ $0 < 4096 }) else {
                throw reader.failure("up to 8 VLAN numbers from 0 to 4095", word)
            }
        case "smac": sourceMAC = try reader.mac(word)
        case "dmac": destinationMAC = try reader.mac(word)
        case "ether": etherType = try reader.number(word, UInt16.self)
        case "badcsum": badChecksum = try reader.flag(word)
        case "badipcsum": badIPChecksum = try reader.flag(word)
        case "goodcsum": goodChecksums = try reader.flag(word)
        case "trunc": captured = Int(try reader.number(word, UInt32.self))
        case "time": time = try reader.time(word)
        case "hex": hex = try reader.hex(word)
        default:
            guard !word.hasValue, let bits = PacketFields.tcpFlags(word.bytes) else {
                let guess =
                    nearest(to: word.key, among: ["tcp", "udp", "icmp"]).map { "; did you mean '\($0)'?" } ?? ""
                throw reader.failure("'\(word.key)' is not a word of packets\(guess)", word)
            }
            flags = bits
        }
    }

    private mutating func set(
        _ transport: Transport,
        _ word: PacketTextReader.Word,
        _ reader: PacketTextReader
    ) throws(PacketText.Failure) {
        if self.transport != nil { throw reader.failure("a packet has one protocol", word) }
        if word.hasValue, word.key != "proto" { throw reader.failure("'\(word.key)' takes no value", word) }
        self.transport = transport
    }

    /// The flags byte for letters such as `SA`; nil if a letter is unknown or repeated.
    private static func tcpFlags(_ bytes: ArraySlice<UInt8>) -> UInt8? {
        if bytes.elementsEqual([UInt8(ascii: "-")]) { return 0 }
        var bits: UInt8 = 0
        for byte in bytes {
            guard let bit = letters.firstIndex(of: byte), bits & (1 << UInt8(bit)) == 0 else { return nil }
            bits |= 1 << UInt8(bit)
        }
        return bits
    }
}

/// Parses the text of a packet.
struct PacketTextReader {
    /// One word: `key`, or `key=value`.
    struct Word {
        /// Offset of the word in the text.
        var start: Int
        var bytes: ArraySlice<UInt8>
        var hasValue: Bool
        var key: String
        var value: ArraySlice<UInt8>
    }

    private let text: [UInt8]

    init(_ text: String) { self.text = Array(text.utf8) }

    /// A failure at byte `at` of the text; reported as a position in characters.
    func failure(_ message: String, at: Int) -> PacketText.Failure {
        PacketText.Failure(message: message, offset: text[..<min(at, text.count)].count { $0 & 0xc0 != 0x80 })
    }

    func failure(_ message: String, _ word: Word) -> PacketText.Failure { failure(message, at: word.start) }

    /// The words between blanks; a quoted value may contain blanks.
    func words() throws(PacketText.Failure) -> [Word] {
        var words: [Word] = []
        var at = 0
        while true {
            while at < text.count, text[at] == UInt8(ascii: " ") { at += 1 }
            if at == text.count { return words }
            let start = at
            var isQuoted = false
            while at < text.count, isQuoted || text[at] != UInt8(ascii: " ") {
                if text[at] == UInt8(ascii: "\"") { isQuoted.toggle() }
                if isQuoted, text[at] == UInt8(ascii: "\\") { at += 1 }
                at += 1
            }
            guard !isQuoted, at <= text.count else { throw failure("the quotation mark is not closed", at: start) }
            let bytes = text[start..<at]
            let equals = bytes.firstIndex(of: UInt8(ascii: "="))
            words.append(
                Word(
                    start: start,
                    bytes: bytes,
                    hasValue: equals != nil,
                    key: String(decoding: bytes[..<(equals ?? at)], as: UTF8.self),
                    value: equals.map { bytes[($0 + 1)...] } ?? []
                )
            )
        }
    }

    /// The address and port of one end.
    func end(_ word: Word) throws(PacketText.Failure) -> (IPAddress?, UInt16?) {
        var bytes = word.bytes
        var port: UInt16?
        // Without brackets, a text with one colon ends in a port, and one with more is an IPv6 address.
        let isBracketed = bytes.first == UInt8(ascii: "[")
        let colons = bytes.count { $0 == UInt8(ascii: ":") }
        if let colon = bytes.lastIndex(of: UInt8(ascii: ":")),
            isBracketed ? bytes[colon - 1] == UInt8(ascii: "]") : colons == 1
        {
            guard
                let number = Quantity.integer(String(decoding: bytes[(colon + 1)...], as: UTF8.self)).flatMap(
                    UInt16.init(exactly:)
                )
            else {
                throw failure("the port is not a number from 0 to 65535", at: colon + 1)
            }
            port = number
            bytes = bytes[..<colon]
        }
        if bytes.elementsEqual([UInt8(ascii: "*")]) { return (nil, port) }
        if isBracketed {
            guard bytes.last == UInt8(ascii: "]") else { throw failure("a ']' is missing", word) }
            bytes = bytes.dropFirst().dropLast()
        }
        guard let address = IPAddress(bytes), !isBracketed || address.version == 6 else {
            throw failure("'\(String(decoding: bytes, as: UTF8.self))' is not an IP address", word)
        }
        return (address, port)
    }

    func flag(_ word: Word) throws(PacketText.Failure) -> Bool {
        if word.hasValue { throw failure("'\(word.key)' takes no value", word) }
        return true
    }

    /// A number that fits `type`.
    func number<T: FixedWidthInteger & UnsignedInteger>(_ word: Word, _ type: T.Type) throws(PacketText.Failure) -> T {
        let text = String(decoding: word.value, as: UTF8.self)
        guard let number = Quantity.integer(text), let value = T(exactly: number) else {
            throw failure("'\(word.key)' needs a whole number from 0 to \(T.max)", at: word.value.startIndex)
        }
        return value
    }

    /// The parts of a value between `separator`s.
    func parts(_ word: Word, _ separator: Character) throws(PacketText.Failure) -> [Word] {
        word.value.split(separator: separator.asciiValue!, omittingEmptySubsequences: false).map {
            Word(start: word.start, bytes: $0, hasValue: true, key: word.key, value: $0)
        }
    }

    /// Two 32-bit numbers separated by `separator`.
    func pair(_ word: Word, _ separator: Character) throws(PacketText.Failure) -> (UInt32, UInt32) {
        let two = try parts(word, separator)
        guard two.count == 2 else {
            throw failure("'\(word.key)' needs two numbers with '\(separator)' between them", word)
        }
        return (try number(two[0], UInt32.self), try number(two[1], UInt32.self))
    }

    /// A functional time no later than ``PacketText/latestTime``.
    func time(_ word: Word) throws(PacketText.Failure) -> Int64 {
        let time: Int64
        do throws(Quantity.Failure) {
            time = try Quantity.parseDuration(String(decoding: word.value, as: UTF8.self))
        } catch {
            throw failure(error.message, at: word.value.startIndex)
        }
        guard time <= PacketText.latestTime else {
            let latest = Quantity.duration(PacketText.latestTime)
            throw failure("'\(word.key)' is at most \(latest), in the year 2255", at: word.value.startIndex)
        }
        return time
    }

    /// `02:00:00:00:00:01`.
    func mac(_ word: Word) throws(PacketText.Failure) -> [UInt8] {
        let bytes = word.value.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).compactMap {
            $0.count == 2 ? PacketTextReader.hexByte($0.first!, $0.last!) : nil
        }
        guard bytes.count == 6, word.value.count == 17 else {
            throw failure("an Ethernet address looks like 02:00:00:00:00:01", at: word.value.startIndex)
        }
        return bytes
    }

    /// Bytes as pairs of hexadecimal digits, at most 65536.
    func hex(_ word: Word) throws(PacketText.Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        var digits = word.value
        while let high = digits.popFirst() {
            guard let low = digits.popFirst(), let byte = PacketTextReader.hexByte(high, low) else {
                throw failure("'\(word.key)' needs pairs of hexadecimal digits", at: word.value.startIndex)
            }
            bytes.append(byte)
        }
        guard bytes.count <= 65536 else { throw failure("a frame has at most 65536 bytes", word) }
        return bytes
    }

    private static func hexByte(_ high: UInt8, _ low: UInt8) -> UInt8? {
        guard let h = Character(UnicodeScalar(high)).hexDigitValue, let l = Character(UnicodeScalar(low)).hexDigitValue,
            high < 0x80, low < 0x80
        else { return nil }
        return UInt8(h << 4 | l)
    }

    /// The frame that a quoted text describes.
    func packet(_ word: Word) throws(PacketText.Failure) -> [UInt8] {
        do throws(PacketText.Failure) {
            return try PacketText.frame(String(decoding: quoted(word), as: UTF8.self)).bytes
        } catch {
            throw failure("'\(word.key)': \(error.message)", word)
        }
    }

    /// The bytes between quotation marks; behind them `...` may say that there were more.
    func quoted(_ whole: Word) throws(PacketText.Failure) -> [UInt8] {
        var word = whole
        if word.value.count >= 5, word.value.suffix(4).elementsEqual("\"...".utf8) { word.value.removeLast(3) }
        guard word.value.count >= 2, word.value.first == UInt8(ascii: "\""), word.value.last == UInt8(ascii: "\"")
        else {
            throw failure("'\(word.key)' needs quotation marks", at: word.value.startIndex)
        }
        var bytes: [UInt8] = []
        var at = word.value.startIndex + 1
        let end = word.value.endIndex - 1
        while at < end {
            guard text[at] == UInt8(ascii: "\\") else {
                if text[at] == UInt8(ascii: "\"") {
                    throw failure("text follows the closing quotation mark", at: at + 1)
                }
                bytes.append(text[at])
                at += 1
                continue
            }
            // The closing mark is not escaped, so a character follows the backslash.
            switch text[at + 1] {
            case UInt8(ascii: "r"): bytes.append(0x0d)
            case UInt8(ascii: "n"): bytes.append(0x0a)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "0"): bytes.append(0)
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(text[at + 1])
            case UInt8(ascii: "x"):
                guard at + 3 < end, let byte = PacketTextReader.hexByte(text[at + 2], text[at + 3]) else {
                    throw failure("'\\x' needs two hexadecimal digits", at: at)
                }
                bytes.append(byte)
                at += 2
            default: throw failure("unknown escape", at: at)
            }
            at += 2
        }
        return bytes
    }
}
