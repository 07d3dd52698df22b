// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A TCP segment as its receiver sees it: the sequence numbers that it takes, and what the rules of RFC 9293 ask of it.
struct TCPSegment {
    var flags: TCPFlags
    /// The sequence number in the header: that of SYN, where there is one.
    var sequence: UInt32
    var acknowledgment: UInt32
    /// The receive window, not scaled.
    var window: UInt32 = 0
    /// The sequence number of the first byte of payload, and the one behind the last.
    var start: UInt32
    var end: UInt32
    /// Bytes of payload as captured; fewer than ``size`` where the capture was cut.
    var captured: UInt32
    /// The header is at least 20 bytes long and ends within the packet.
    var isHeaderRight = true
    /// TSval, where there is a timestamps option.
    var timestamp: UInt32?
    /// 14 at most (RFC 7323 section 2.3).
    var windowScale: UInt8?

    /// Bytes of payload as the IP header says.
    var size: UInt32 { end &- start }
    var isSYN: Bool { flags.isSYN }
    var isACK: Bool { flags.isACK }
    var isRST: Bool { flags.isRST }
    var isFIN: Bool { flags.isFIN }
    /// How it ends its direction, whatever its place there.
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
        // The payload's place is known as far as was captured only; the capture may have been cut in the header.
        let payload = max(UInt32(p.payload), headerEnd)
        let capturedEnd = min(packetEnd, p.length)
        captured = capturedEnd > payload ? capturedEnd &- payload : 0
        start = flags.isSYN ? sequence &+ 1 : sequence
        // A reassembler before this one may have cut bytes from the front.
        if isHeaderRight { start &+= payload &- headerEnd }
        end = start &+ (packetEnd > payload ? packetEnd &- payload : 0)
        for option in tcp.options {
            if let timestamps = option.timestamps { timestamp = timestamps.value }
            if let scale = option.windowScale { windowScale = min(scale, 14) }
        }
    }
}

/// How a segment ends its direction.
enum TCPEnding: UInt8, BitwiseCopyable {
    case none, fin, rst
}
