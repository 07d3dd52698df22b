// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Puts the handshake message together that a direction begins with, from records and pieces of any size (RFC 8446
/// section 5.1). The message goes to a buffer of the caller's; zero bytes are a state that has read nothing.
struct HelloAssembler: BitwiseCopyable {
    /// Bytes of the message in the buffer, its header of four included.
    private(set) var count: UInt32 = 0
    /// Bytes of the record's header that were read, and these.
    private var headerCount: UInt8 = 0
    private var header: (UInt8, UInt8, UInt8, UInt8, UInt8) = (0, 0, 0, 0, 0)
    /// Bytes of the record that are still to come.
    private var recordLeft: UInt16 = 0

    enum Answer { case needsMore, complete, malformed, tooLong }

    /// Bytes of the message with its header; nil until the header is there.
    static func length(_ message: UnsafeRawPointer, _ count: Int) -> Int? {
        count < 4 ? nil : Int(message.be32(0) & 0xff_ffff) + 4
    }

    /// Reads the next bytes of the direction. `buffer` holds what was read before, and is as long as a message may be.
    mutating func read(_ bytes: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) -> Answer {
        var rest = bytes[...]
        while !rest.isEmpty {
            if recordLeft == 0 {
                put(rest.removeFirst())
                if headerCount < 5 { continue }
                headerCount = 0
                recordLeft = UInt16(header.3) << 8 | UInt16(header.4)
                // Records of other types may not come between, nor empty ones of this.
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
