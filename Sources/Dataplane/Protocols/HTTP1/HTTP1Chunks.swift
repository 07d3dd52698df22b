// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Parses chunk-size lines, and the line ends after chunks' data, in pieces of any size (RFC 9112 §7.1).
struct HTTP1Chunks: BitwiseCopyable {
    private enum Place: UInt8 {
        case sizeStart
        case size
        case spaceAfterSize
        case nameStart
        case name
        case spaceAfterName
        case valueStart
        case value
        case quoted
        case quotedPair
        case afterQuoted
        case spaceAfterValue
        case anything
        case lineLF
        // After a chunk's data; bytes in these states are not part of a chunk-size line.
        case dataCR
        case dataLF
    }

    enum Outcome {
        /// All bytes were consumed.
        case more
        /// The line ends before `end`, and the size is known.
        case size(end: Int)
        /// The byte `at` is wrong; it may be the one before those given.
        case error(HTTP1Error, at: Int)
    }

    private var place = Place.sizeStart
    /// Bytes of the chunk-size line so far.
    private var lineBytes: UInt32 = 0

    /// No byte of a chunk-size line has arrived.
    var isAtStart: Bool { place == .sizeStart && lineBytes == 0 }

    /// A chunk's data has ended; a line end follows.
    mutating func dataEnded() { place = .dataCR }

    /// Continues up to the end of a chunk-size line.
    ///
    /// - Parameter soFar: the part of the size already read; kept by the caller, who needs its storage for the remaining count.
    mutating func read(
        _ base: UnsafeRawPointer,
        from start: Int,
        to end: Int,
        _ soFar: inout UInt64,
        _ leniency: HTTP1Leniency,
        _ limit: Int
    ) -> Outcome {
        var index = start
        var place = place
        var size = soFar
        var length = Int(lineBytes)
        var error: HTTP1Error?
        scan: while index < end {
            let byte = base.byte(index)
            if place.rawValue < Place.dataCR.rawValue {
                length &+= 1
                if length > limit {
                    error = .chunkLineTooLong
                    break scan
                }
            }
            var ends = false
            switch place {
            case .sizeStart, .size:
                let digit = Self.hexDigit(byte)
                if digit < 16 {
                    // Up to 2^63 - 1, as for Content-Length.
                    if size &>> 59 != 0 {
                        error = .chunkSizeOverflow
                        break scan
                    }
                    size = size &<< 4 | UInt64(digit)
                    place = .size
                } else if place == .sizeStart {
                    error = Self.lineFault(byte, .badChunkSize)
                } else if byte == 0x3b {
                    place = leniency.contains(.chunkLines) ? .anything : .nameStart
                } else if HTTP1Bytes.isSpace(byte) {
                    place = .spaceAfterSize
                } else {
                    (place, ends, error) = Self.lineEnd(byte, .size, leniency, .badChunkSize)
                }
            case .spaceAfterSize:
                if byte == 0x3b {
                    place = leniency.contains(.chunkLines) ? .anything : .nameStart
                } else if HTTP1Bytes.isSpace(byte) {
                    break
                } else if leniency.contains(.chunkLines) {
                    (place, ends, error) = Self.lineEnd(byte, place, leniency, .badChunkSize)
                } else {
                    error = Self.lineFault(byte, .badChunkSize)
                }
            // chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ): "a recipient MUST parse for such bad
            // whitespace" (RFC 9110 §5.6.3).
            case .nameStart, .valueStart:
                if HTTP1Bytes.isToken(byte) {
                    place = place == .nameStart ? .name : .value
                } else if byte == 0x22, place == .valueStart {
                    place = .quoted
                } else if !HTTP1Bytes.isSpace(byte) {
                    error = Self.lineFault(byte, .badChunkExtension)
                }
            case .name, .value, .afterQuoted:
                if byte == 0x3b {
                    place = .nameStart
                } else if byte == 0x3d, place == .name {
                    place = .valueStart
                } else if HTTP1Bytes.isSpace(byte) {
                    place = place == .name ? .spaceAfterName : .spaceAfterValue
                } else if place == .afterQuoted || !HTTP1Bytes.isToken(byte) {
                    (place, ends, error) = Self.lineEnd(byte, place, leniency, .badChunkExtension)
                }
            case .spaceAfterName, .spaceAfterValue:
                if byte == 0x3b {
                    place = .nameStart
                } else if byte == 0x3d, place == .spaceAfterName {
                    place = .valueStart
                } else if !HTTP1Bytes.isSpace(byte) {
                    error = Self.lineFault(byte, .badChunkExtension)
                }
            case .quoted:
                if byte == 0x22 {
                    place = .afterQuoted
                } else if byte == 0x5c {
                    place = .quotedPair
                } else if byte < 0x20 && byte != 0x09 || byte == 0x7f {
                    error = Self.lineFault(byte, .badChunkExtension)
                }
            case .quotedPair:
                if byte < 0x20 && byte != 0x09 || byte == 0x7f { error = Self.lineFault(byte, .badChunkExtension) }
                place = .quoted
            case .anything:
                if byte == 0x0d || byte == 0x0a {
                    (place, ends, error) = Self.lineEnd(byte, place, leniency, .badChunkExtension)
                }
            case .lineLF:
                // The CR is the error, perhaps the last byte of the piece before.
                guard byte == 0x0a else { return .error(.bareCR, at: index &- 1) }
                ends = true
            case .dataCR:
                if byte == 0x0d {
                    place = .dataLF
                } else if byte == 0x0a, leniency.contains(.bareLF) {
                    (place, size, length) = (.sizeStart, 0, 0)
                } else {
                    error = .badChunkEnd
                }
            case .dataLF:
                if byte == 0x0a { (place, size, length) = (.sizeStart, 0, 0) } else { error = .badChunkEnd }
            }
            if error != nil { break scan }
            index &+= 1
            if ends {
                self = HTTP1Chunks()
                soFar = size
                return .size(end: index)
            }
        }
        if let error { return .error(error, at: index) }
        self.place = place
        soFar = size
        lineBytes = UInt32(truncatingIfNeeded: length)
        return .more
    }

    /// Handles a byte that may only begin the line's end: the next state, whether the line ends here, or the error.
    private static func lineEnd(
        _ byte: UInt8,
        _ place: Place,
        _ leniency: HTTP1Leniency,
        _ error: HTTP1Error
    ) -> (Place, Bool, HTTP1Error?) {
        if byte == 0x0d { return (.lineLF, false, nil) }
        if byte == 0x0a { return leniency.contains(.bareLF) ? (place, true, nil) : (place, false, .bareLF) }
        return (place, false, error)
    }

    private static func lineFault(_ byte: UInt8, _ error: HTTP1Error) -> HTTP1Error {
        byte == 0x0a ? .bareLF : error
    }

    /// 0 to 15, or more if `byte` is no hexadecimal digit.
    @inline(__always)
    private static func hexDigit(_ byte: UInt8) -> UInt8 {
        let digit = byte &- 0x30
        if digit < 10 { return digit }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : 255
    }
}
