// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// One packet of a stream, as emitted by a TCPReassembler: the next bytes of its direction.
struct StreamPiece {
    /// The bytes that were captured.
    let bytes: UnsafeRawBufferPointer
    /// The sequence number of the first of them.
    let sequence: UInt32
    /// The TCP flags; none if a receiver accepts nothing in the packet.
    let flags: TCPFlags
    /// The acknowledgment number, if it is valid.
    let acknowledgment: UInt32?
    let hasGap: Bool
    /// 0 for what the client sends, 1 for what the server sends.
    let direction: Int

    @inline(__always)
    init(_ p: Packet) {
        let payload = Int(p.payload)
        let end = min(Int(p.length), Int(p.l3) &+ Int(p.ipLength))
        bytes = UnsafeRawBufferPointer(start: p.data + payload, count: max(0, end &- payload))
        let tcp = TCPView(known: p)
        flags = p.isRefused ? [] : tcp.flags
        // Bytes may have been cut from the front; a SYN occupies the number before the first byte. A payload that begins before
        // the end of the header was not captured.
        let cut = max(0, payload &- Int(p.l4) &- tcp.headerLength)
        sequence = tcp.sequenceNumber &+ UInt32(truncatingIfNeeded: cut) &+ (flags.isSYN ? 1 : 0)
        acknowledgment = flags.isACK ? tcp.acknowledgmentNumber : nil
        hasGap = p.isBehindGap
        direction = p.isReverse ? 1 : 0
    }

    var isSYN: Bool { flags.isSYN }
    var isFIN: Bool { flags.isFIN }
    var isRST: Bool { flags.isRST }
}

/// A follower's position in one direction of a stream.
struct StreamPosition: BitwiseCopyable {
    /// The sequence number of the next byte, if known.
    private var next: UInt32 = 0
    private(set) var isKnown = false

    /// Advances past a piece; returns how many bytes are missing before it, or 0 if that is unknown. Those before the first piece of a
    /// direction are known if the other side said where it is.
    @inline(__always)
    mutating func move(over piece: StreamPiece) -> Int {
        if piece.bytes.isEmpty, !piece.isSYN, !piece.hasGap { return 0 }
        let missing = isKnown ? Int(TCPSequence.distance(piece.sequence, from: next)) : 0
        isKnown = true
        next = piece.sequence &+ UInt32(truncatingIfNeeded: piece.bytes.count)
        return max(0, missing)
    }

    /// The next byte has this sequence number.
    mutating func begin(at number: UInt32) {
        next = number
        isKnown = true
    }

    /// How far a sequence number is beyond the next byte; negative if before it.
    @inline(__always)
    func distance(to number: UInt32) -> Int32 { TCPSequence.distance(number, from: next) }
}

/// The two ends of a connection, from its first packet.
struct StreamEnds: BitwiseCopyable {
    var source = IPAddress(v4: 0)
    var destination = IPAddress(v4: 0)
    var sourcePort: UInt16 = 0
    var destinationPort: UInt16 = 0

    init() {}

    /// The ends of a packet's connection, with the client as the source.
    init(_ p: Packet) {
        if let ip = IPv4View(p) {
            (source, destination) = (ip.source, ip.destination)
        } else if let ip = IPv6View(p) {
            (source, destination) = (ip.source, ip.destination)
        }
        if let ports = PortsView(p) { (sourcePort, destinationPort) = (ports.source, ports.destination) }
        if p.isReverse { self = reversed }
    }

    /// The same ends, seen from the other side.
    var reversed: StreamEnds {
        var other = self
        (other.source, other.destination) = (destination, source)
        (other.sourcePort, other.destinationPort) = (destinationPort, sourcePort)
        return other
    }
}
