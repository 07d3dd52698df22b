// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Recognises the beginning of a ClientHello.
enum HelloSignature {
    /// The most bytes needed to decide.
    static let size = 11

    /// The largest record: 2^14 bytes plus what encryption may add in TLS 1.2 (RFC 5246 section 6.2.3), which some send.
    static let mostRecord = 16_384 + 2048

    enum Answer { case no, needsMore, tls, ssl2 }

    /// Whether a hello begins at `bytes`, of which `available` are there.
    ///
    /// At the beginning of a direction six bytes suffice: a handshake record of version 3.x that holds a client_hello. Or it is
    /// the hello of SSL 2.0 (RFC 5246 appendix E.2). Elsewhere, after what a proxy or another protocol said before, the lengths
    /// must fit too.
    static func look(_ bytes: UnsafeRawPointer, _ available: Int, isBeginning: Bool) -> Answer {
        guard available > 0 else { return .needsMore }
        if bytes.byte(0) == 0x16 { return lookForRecord(bytes, available, isBeginning: isBeginning) }
        return isBeginning && bytes.byte(0) & 0x80 != 0 ? lookForSSL2(bytes, available) : .no
    }

    /// The first place from `start` on where a record may begin other than at the beginning of a direction; the end if there is
    /// none.
    static func nextCandidate(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        guard let base = bytes.baseAddress else { return 0 }
        var at = start
        // Eight bytes at a time: `difference` has a zero byte for each 0x16, and the lowest set bit of `zeros` marks the first.
        while at &+ 8 <= bytes.count {
            let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            let difference = word ^ 0x1616_1616_1616_1616
            let zeros = (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
            if zeros != 0 { return at &+ zeros.trailingZeroBitCount &>> 3 }
            at &+= 8
        }
        while at < bytes.count, base.byte(at) != 0x16 { at &+= 1 }
        return at
    }

    private static func lookForRecord(_ bytes: UnsafeRawPointer, _ available: Int, isBeginning: Bool) -> Answer {
        if available > 1, bytes.byte(1) != 3 { return .no }
        if available > 2, bytes.byte(2) > 4 { return .no }
        let record = available > 4 ? Int(bytes.be16(3)) : 1
        if record == 0 || record > mostRecord { return .no }
        if available > 5, bytes.byte(5) != 1 { return .no }
        if isBeginning { return available > 5 ? .tls : .needsMore }
        // A length of 24 bits, and a version: enough to rule out coincidence.
        if available > 6, bytes.byte(6) != 0 { return .no }
        if available > 8 {
            let message = Int(bytes.be16(7)) + 4
            if message < 42 || record < 6 || record > message { return .no }
        }
        if available > 9, bytes.byte(9) != 3 { return .no }
        if available > 10 { return bytes.byte(10) <= 4 ? .tls : .no }
        return .needsMore
    }

    private static func lookForSSL2(_ bytes: UnsafeRawPointer, _ available: Int) -> Answer {
        if available > 2, bytes.byte(2) != 1 { return .no }
        if available > 4 {
            let version = bytes.be16(3)
            if version != 0x0002, !(0x0300...0x0304).contains(version) { return .no }
        }
        guard available >= size else { return .needsMore }
        let (ciphers, session, challenge) = (Int(bytes.be16(5)), Int(bytes.be16(7)), Int(bytes.be16(9)))
        let isRight =
            ciphers > 0 && ciphers % 3 == 0 && (session == 0 || session == 16) && (16...32).contains(challenge)
            && Int(bytes.be16(0) & 0x7fff) == 9 + ciphers + session + challenge
        return isRight ? .ssl2 : .no
    }
}
