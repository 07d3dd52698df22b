// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// One direction of a TCP connection: what its receiver knows, as far as captured segments show it.
///
/// The rules are those of RFC 9293 section 3.10.7.4 and of RFC 7323, for an observer: packets may be missing, and may have been
/// captured in a different order than they were sent. `other` is always the opposite direction.
///
/// With the key by which a FlowArray finds it, it fills a cache line.
struct TCPDirection: BitwiseCopyable {
    /// The sequence number of the next byte; valid when `marks` has `synced`.
    var next: UInt32 = 0
    var marks: Marks = []
    /// The shift count of this side's window scale option; -1 if its SYN had none.
    var windowScale: Int8 = -1
    /// The shift of the windows that this side offers: the maximum, until both SYNs have been seen.
    var windowShift: UInt8 = 14
    /// The largest window offered by the other side, in bytes.
    var window: UInt32 = 0
    /// The highest number acknowledged by the other side, as far as checked; valid with `ackSeen`.
    var acknowledged: UInt32 = 0
    /// The newest timestamp accepted (RFC 7323, TS.Recent).
    var timestamp: UInt32 = 0
    /// The segments that wait for the next byte.
    var waiting = HeldSegments.List()
    /// Its link in the list of directions with holes.
    var link = IndexList.Link()
    /// When the hole opened, in functional nanoseconds.
    var since: Int64 = 0

    struct Marks: OptionSet, BitwiseCopyable {
        var rawValue: UInt16
        /// `next` is known.
        static var synced: Marks { Marks(rawValue: 2) }
        /// `next` is known only from a packet without bytes, which may have been a keep-alive probe.
        static var tentative: Marks { Marks(rawValue: 4) }
        static var synSeen: Marks { Marks(rawValue: 8) }
        /// A FIN or RST has left; nothing follows it.
        static var ended: Marks { Marks(rawValue: 16) }
        static var timestamps: Marks { Marks(rawValue: 32) }
        /// Bytes before `next` were skipped, and no packet has been marked yet.
        static var gap: Marks { Marks(rawValue: 64) }
        static var dropped: Marks { Marks(rawValue: 128) }
        static var ackSeen: Marks { Marks(rawValue: 256) }
        /// A packet of this direction was handled.
        static var seen: Marks { Marks(rawValue: 512) }
        /// Bytes that its packets acknowledge were awaited in vain, and are no longer until they arrive.
        static var unawaited: Marks { Marks(rawValue: 1024) }
        /// One side's SYN had no timestamp, so both ignore those that follow (RFC 7323 section 3.2).
        static var untimed: Marks { Marks(rawValue: 2048) }
        /// Marks that may accompany `synced` and `seen` without requiring more than a check of the next segment's sequence
        /// number and timestamp.
        static var usual: Marks { [.synSeen, .timestamps, .ackSeen, .untimed] }
    }

    /// Segments this far ahead are accepted whatever windows were seen: packets that offered more may not have been captured.
    static let leastWindow: UInt32 = 1 << 20
    static let mostWindow: UInt32 = 1 << 30

    // MARK: The common segment

    /// The direction is open, its next byte is known, and nothing about it requires a full check.
    @inline(__always)
    var isUsual: Bool { marks.rawValue & ~Marks.usual.rawValue == Marks.synced.rawValue | Marks.seen.rawValue }

    /// Records the timestamp of a segment without other options; false if there are others, or it is older than the newest. The
    /// header must be complete.
    @inline(__always)
    mutating func takesTimestamp(of tcp: TCPView) -> Bool {
        if tcp.headerLength == TCPView.size { return true }
        guard tcp.hasTimestampsAlone, marks.contains(.timestamps) else { return false }
        if TCPSequence.precedes(tcp.timestampAlone, timestamp) { return false }
        timestamp = tcp.timestampAlone
        return true
    }

    /// Records the window that this side offers to `other`.
    @inline(__always)
    func offer(window: UInt32, isSYN: Bool = false, to other: inout TCPDirection) {
        let bytes = window &<< UInt32(isSYN ? 0 : windowShift)
        if bytes > other.window { other.window = bytes }
    }

    // MARK: Checking a segment

    /// The reason for which a receiver drops a segment.
    enum Fault { case badHeaderLength, noAck, outOfWindow, oldTimestamp, afterEnd }

    /// Whether this SYN follows the one that opened the direction: it brings nothing (RFC 5961 section 4).
    @inline(__always)
    func isRepeatedSYN(_ segment: TCPSegment) -> Bool {
        segment.isSYN && marks.intersection([.seen, .tentative]) == .seen
    }

    /// The reason for which the receiver would not even look at the sequence number; nil if it would. Records the timestamp.
    ///
    /// - Parameter isCausal: packets that acknowledge bytes not yet emitted have to wait.
    @inline(__always)
    mutating func inspect(_ segment: TCPSegment, other: TCPDirection, isCausal: Bool) -> Fault? {
        if !segment.isHeaderRight { return .badHeaderLength }
        if segment.size > 0 || segment.isFIN, !segment.isACK, !segment.isSYN, !segment.isRST { return .noAck }
        guard let timestamp = segment.timestamp, !marks.contains(.untimed), !segment.isRST, !isRepeatedSYN(segment)
        else {
            return nil
        }
        // PAWS (RFC 7323 section 5).
        if marks.contains(.timestamps), TCPSequence.precedes(timestamp, self.timestamp) { return .oldTimestamp }
        // Only a segment that the receiver accepts at once updates it: otherwise it could make all others old.
        if isTakenAtOnce(segment, other: other, isCausal: isCausal) {
            self.timestamp = timestamp
            marks.insert(.timestamps)
        }
        return nil
    }

    /// Whether the segment begins at the receiver's next byte, or brings bytes from there on, and acknowledges what was sent.
    private func isTakenAtOnce(_ segment: TCPSegment, other: TCPDirection, isCausal: Bool) -> Bool {
        guard marks.contains(.synced) else { return true }
        if segment.isACK, isCausal, other.isAwaited, TCPSequence.precedes(other.next, segment.acknowledgment) {
            return false
        }
        return segment.start == next
            || TCPSequence.precedes(segment.start, next) && TCPSequence.precedes(next, segment.end)
    }

    /// Whether a RST can be meant for its connection although the next sequence number of its side is unknown: anybody could
    /// have guessed that the connection exists. A receiver that has sent its SYN requires the same (RFC 9293 section 3.10.7.3).
    func isPlausible(reset segment: TCPSegment, other: TCPDirection) -> Bool {
        segment.isACK && other.marks.contains(.synced) && segment.acknowledgment == other.next
            || marks.contains(.ackSeen) && segment.sequence == acknowledged
    }

    /// Records what SYNs, windows and first packets say.
    @inline(__always)
    mutating func open(_ segment: TCPSegment, other: inout TCPDirection) {
        if segment.isSYN {
            if !marks.contains(.synSeen) { open(syn: segment, other: &other) }
            if segment.isACK, !other.marks.contains(.synced) {
                other.next = segment.acknowledgment
                other.marks.insert(.synced)
            }
        } else if !marks.contains(.synced) {
            next = segment.start
            marks.insert(.synced)
            if segment.size == 0, !segment.isFIN { marks.insert(.tentative) }
        } else if marks.contains(.tentative), segment.size > 0 {
            // `next` was taken from a keep-alive probe, whose number is one less.
            if segment.start == next &+ 1 { next = segment.start }
            marks.remove(.tentative)
        }
        marks.insert(.seen)
        if segment.isACK {
            offer(window: segment.window, isSYN: segment.isSYN, to: &other)
            if !other.marks.contains(.ackSeen) || TCPSequence.precedes(other.acknowledged, segment.acknowledgment) {
                other.acknowledged = segment.acknowledgment
                other.marks.insert(.ackSeen)
            }
        }
    }

    private mutating func open(syn segment: TCPSegment, other: inout TCPDirection) {
        if !marks.contains(.synced) || marks.contains(.tentative) { next = segment.start }
        marks.formUnion([.synced, .synSeen])
        marks.remove(.tentative)
        windowScale = segment.windowScale.map { Int8($0) } ?? -1
        if segment.timestamp == nil {
            marks = marks.union(.untimed).subtracting(.timestamps)
            other.marks = other.marks.union(.untimed).subtracting(.timestamps)
        }
        if other.marks.contains(.synSeen) {
            // Windows are scaled if both sides have the option (RFC 7323 section 2.2).
            let isScaled = windowScale >= 0 && other.windowScale >= 0
            windowShift = isScaled ? UInt8(windowScale) : 0
            other.windowShift = isScaled ? UInt8(other.windowScale) : 0
        }
    }

    // MARK: The place of a segment

    /// The position of a segment relative to its direction.
    enum Place: Equatable {
        case refused(Fault)
        /// All its bytes have been emitted, or it has none.
        case nothingNew
        /// A RST whose sequence number is not the next (RFC 5961 section 3.2).
        case ignoredReset
        /// It brings the next bytes, or ends the direction after them.
        case next(TCPEnding)
        /// It is behind a hole.
        case early(TCPEnding)
    }

    /// The position of a segment that ``inspect(_:other:isCausal:)`` accepted.
    @inline(__always)
    func place(of segment: TCPSegment) -> Place {
        if segment.isRST {
            let isNext = segment.sequence == next || !waiting.isEmpty && segment.sequence == waiting.farthest
            if !isNext || marks.contains(.ended) { return .ignoredReset }
        }
        if marks.contains(.ended) {
            return TCPSequence.precedes(next, segment.end) && segment.size > 0 ? .refused(.afterEnd) : .nothingNew
        }
        let ending = segment.ending
        if segment.size == 0, ending == .none { return .nothingNew }
        if TCPSequence.distance(segment.start, from: next) <= 0 {
            let isNew = TCPSequence.precedes(next, segment.end) || ending != .none && segment.end == next
            return isNew ? .next(ending) : .nothingNew
        }
        // The receiver's acknowledgments also show how far it is; bytes before that were lost by the capture.
        var reached = next
        if marks.contains(.ackSeen), TCPSequence.precedes(reached, acknowledged) { reached = acknowledged }
        return TCPSequence.distance(segment.end, from: farthest(from: reached)) > reach
            ? .refused(.outOfWindow) : .early(ending)
    }

    /// `number`, or the end of the waiting segments if that is greater.
    private func farthest(from number: UInt32) -> UInt32 {
        !waiting.isEmpty && TCPSequence.precedes(number, waiting.farthest) ? waiting.farthest : number
    }

    /// How far its sender may be ahead of what is known to have arrived, in bytes.
    private var reach: Int32 {
        Int32(min(max(window &* 2, TCPDirection.leastWindow), TCPDirection.mostWindow))
    }

    // MARK: Cause and effect

    /// Whether the next bytes are known and can still come.
    @inline(__always)
    var isAwaited: Bool {
        marks.intersection([.seen, .synced, .tentative, .ended, .dropped]) == [.seen, .synced]
    }

    /// Whether its sender may have sent the bytes before `number`, though they have not arrived.
    ///
    /// No receiver accepts a packet that acknowledges what was not sent (RFC 9293 section 3.10.7.4). Where a direction began is
    /// certain only with its SYN; otherwise it may be far from there.
    func mayHaveSent(_ number: UInt32) -> Bool {
        marks.contains(.synSeen) || TCPSequence.distance(number, from: farthest(from: next)) <= reach
    }
}
