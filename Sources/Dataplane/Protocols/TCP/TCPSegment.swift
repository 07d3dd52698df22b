// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A TCP segment as its receiver sees it: the sequence numbers it occupies, and what the rules of RFC 9293 need to know.
struct TCPSegment {
    var flags: TCPFlags
    /// The sequence number in the header: that of the SYN, if there is one.
    var sequence: UInt32
    var acknowledgment: UInt32
    /// The receive window, unscaled.
    var window: UInt32 = 0
    /// The sequence number of the first byte of payload, and the one after the last.
    var start: UInt32
    var end: UInt32
    /// Captured bytes of payload; fewer than ``size`` if the capture was truncated.
    var captured: UInt32
    /// Whether the header is at least 20 bytes long and ends within the packet.
    var isHeaderRight = true
    /// TSval, if there is a timestamps option.
    var timestamp: UInt32?
    /// 14 at most (RFC 7323 section 2.3).
    var windowScale: UInt8?
    /// Whether there is an MD5 or AO option (RFC 2385, RFC 5925).
    var isSigned = false
    /// Whether its checksum is wrong, which may be the capture's fault: NICs fill it in.
    var isDoubtful = false

    /// Bytes of payload, according to the IP header.
    var size: UInt32 { end &- start }
    var isSYN: Bool { flags.isSYN }
    var isACK: Bool { flags.isACK }
    var isRST: Bool { flags.isRST }
    var isFIN: Bool { flags.isFIN }
    /// SYN and ACK: the answer to a SYN.
    var isSYNACK: Bool { isSYN && isACK }
    /// How it ends its direction, regardless of its place there.
    var ending: TCPEnding { isRST ? .rst : isFIN ? .fin : .none }

    init(flags: TCPFlags, sequence: UInt32, acknowledgment: UInt32 = 0, size: UInt32 = 0) {
        self.flags = flags
        self.sequence = sequence
        self.acknowledgment = acknowledgment
        start = flags.isSYN ? sequence &+ 1 : sequence
        end = start &+ size
        captured = size
    }

    /// The segment of a packet that has a TCP header.
    init(_ p: Packet) {
        let tcp = TCPView(known: p)
        flags = tcp.flags
        sequence = tcp.sequenceNumber
        acknowledgment = tcp.acknowledgmentNumber
        window = UInt32(tcp.window)
        let packetEnd = p.ipEnd
        let headerEnd = UInt32(p.l4) &+ UInt32(tcp.headerLength)
        isHeaderRight = tcp.headerLength >= TCPView.size && headerEnd <= packetEnd
        // The payload's offset is bounded by the captured bytes; the capture may have been truncated within the header.
        let payload = max(UInt32(p.payload), headerEnd)
        let capturedEnd = min(packetEnd, p.length)
        captured = capturedEnd > payload ? capturedEnd &- payload : 0
        start = flags.isSYN ? sequence &+ 1 : sequence
        // An earlier reassembler may have cut bytes from the front.
        if isHeaderRight { start &+= payload &- headerEnd }
        end = start &+ (packetEnd > payload ? packetEnd &- payload : 0)
        for option in tcp.options {
            if let timestamps = option.timestamps { timestamp = timestamps.value }
            if let scale = option.windowScale { windowScale = min(scale, 14) }
            if option.isSignature { isSigned = true }
        }
    }
}

/// How a segment ends its direction.
enum TCPEnding: UInt8, BitwiseCopyable {
    case none, fin, rst
}
