// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Assembles the first handshake message of a direction, from records and pieces of any size (RFC 8446 section 5.1). The
/// message goes to the caller's buffer; zeroed memory is a valid initial state.
struct HelloAssembler: BitwiseCopyable {
    /// Bytes of the message in the buffer, including its four-byte header.
    private(set) var count: UInt32 = 0
    /// Bytes of the record header read so far, and their number.
    private var headerCount: UInt8 = 0
    private var header: (UInt8, UInt8, UInt8, UInt8, UInt8) = (0, 0, 0, 0, 0)
    /// Bytes still to come of the record.
    private var recordLeft: UInt16 = 0

    enum Answer { case needsMore, complete, malformed, tooLong }

    /// Length of the message including its header; nil until the header is complete.
    static func length(_ message: UnsafeRawPointer, _ count: Int) -> Int? {
        count < 4 ? nil : Int(message.be32(0) & 0xff_ffff) + 4
    }

    /// Reads the next bytes of the direction. `buffer` holds the earlier bytes, and has room for the longest message.
    mutating func read(_ bytes: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) -> Answer {
        var rest = bytes[...]
        while !rest.isEmpty {
            if recordLeft == 0 {
                put(rest.removeFirst())
                if headerCount < 5 { continue }
                headerCount = 0
                recordLeft = UInt16(header.3) << 8 | UInt16(header.4)
                // Records of other types may not come in between, nor empty ones of this type.
                if header.0 != 0x16 || header.1 != 3 || recordLeft == 0 || Int(recordLeft) > HelloSignature.mostRecord {
                    return .malformed
                }
                continue
            }
            let wanted = HelloAssembler.length(buffer.baseAddress!, Int(count)) ?? 4
            if wanted > buffer.count { return .tooLong }
            let n = min(rest.count, Int(recordLeft), wanted - Int(count))
            (buffer.baseAddress! + Int(count)).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: rest).baseAddress!,
                byteCount: n
            )
            rest = rest.dropFirst(n)
            count += UInt32(n)
            recordLeft -= UInt16(n)
            if let length = HelloAssembler.length(buffer.baseAddress!, Int(count)) {
                if length > buffer.count { return .tooLong }
                if Int(count) == length { return .complete }
            }
        }
        return .needsMore
    }

    private mutating func put(_ byte: UInt8) {
        withUnsafeMutableBytes(of: &header) { $0[Int(headerCount)] = byte }
        headerCount += 1
    }
}
