// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// One direction of a TCP connection: what its receiver knows, as far as captured segments show it.
///
/// The rules are those of RFC 9293 section 3.10.7.4 and of RFC 7323, for one who looks on: packets may be missing, and may
/// have been captured in another order than they were sent in. `other` is always the direction the other way.
///
/// With what a FlowArray finds it by, it fills a cache line.
struct TCPDirection: BitwiseCopyable {
    /// The sequence number of the next byte; valid when `marks` has `synced`.
    var next: UInt32 = 0
    var marks: Marks = []
    /// The power of two of this side's window scale option; -1 where its SYN had none.
    var windowScale: Int8 = -1
    /// By how much the windows that this side offers are shifted: the most there is, until both SYNs were seen.
    var windowShift: UInt8 = 14
    /// The largest window that the other side has offered, in bytes.
    var window: UInt32 = 0
    /// The highest number that the other side has acknowledged, as far as it was looked at; valid with `ackSeen`.
    var acknowledged: UInt32 = 0
    /// The newest timestamp taken (RFC 7323, TS.Recent).
    var timestamp: UInt32 = 0
    /// The segments that wait for the next byte.
    var waiting = HeldSegments.List()
    /// Its place among the directions with holes.
    var link = IndexList.Link()
    /// When the hole opened, in functional nanoseconds.
    var since: Int64 = 0

    struct Marks: OptionSet, BitwiseCopyable {
        var rawValue: UInt16
        /// `next` is known.
        static var synced: Marks { Marks(rawValue: 2) }
        /// It is known from a packet without bytes only, which may have been a keep-alive probe.
        static var tentative: Marks { Marks(rawValue: 4) }
        static var synSeen: Marks { Marks(rawValue: 8) }
        /// A FIN or RST has left; nothing comes behind it.
        static var ended: Marks { Marks(rawValue: 16) }
        static var timestamps: Marks { Marks(rawValue: 32) }
        /// Bytes before `next` were skipped, and no packet was marked yet.
        static var gap: Marks { Marks(rawValue: 64) }
        static var dropped: Marks { Marks(rawValue: 128) }
        static var ackSeen: Marks { Marks(rawValue: 256) }
        /// A packet of this direction was looked at.
        static var seen: Marks { Marks(rawValue: 512) }
        /// Bytes that its packets acknowledge were waited for in vain, and are no longer until they have come.
        static var unawaited: Marks { Marks(rawValue: 1024) }
        /// One side's SYN had no timestamp, so both ignore those that follow (RFC 7323 section 3.2).
        static var untimed: Marks { Marks(rawValue: 2048) }
        /// May be set beside `synced` and `seen` where the next segment needs no more than a look at its sequence number and
        /// timestamp.
        static var usual: Marks { [.synSeen, .timestamps, .ackSeen, .untimed] }
    }

    /// Segments this far ahead are taken whatever windows were seen: packets that offered more may not have been captured.
    static let leastWindow: UInt32 = 1 << 20
    static let mostWindow: UInt32 = 1 << 30

    // MARK: The usual segment

    /// The direction is open and its next byte known, and nothing about it needs a closer look.
    @inline(__always)
    var isUsual: Bool { marks.rawValue & ~Marks.usual.rawValue == Marks.synced.rawValue | Marks.seen.rawValue }

    /// Takes the timestamp of a segment without other options; false where there are others, or it is older than the newest.
    /// The header must be wholly there.
    @inline(__always)
    mutating func takesTimestamp(of tcp: TCPView) -> Bool {
        if tcp.headerLength == TCPView.size { return true }
        guard tcp.hasTimestampsAlone, marks.contains(.timestamps) else { return false }
        if TCPSequence.precedes(tcp.timestampAlone, timestamp) { return false }
        timestamp = tcp.timestampAlone
        return true
    }

    /// Learns the window that this side offers to `other`.
    @inline(__always)
    func offer(window: UInt32, isSYN: Bool = false, to other: inout TCPDirection) {
        let bytes = window &<< UInt32(isSYN ? 0 : windowShift)
        if bytes > other.window { other.window = bytes }
    }

    // MARK: Looking at a segment

    /// Why a receiver drops a segment.
    enum Fault { case badHeaderLength, noAck, outOfWindow, oldTimestamp, afterEnd }

    /// A SYN behind the one that opened the direction: it brings nothing (RFC 5961 section 4).
    @inline(__always)
    func isRepeatedSYN(_ segment: TCPSegment) -> Bool {
        segment.isSYN && marks.intersection([.seen, .tentative]) == .seen
    }

    /// Why the receiver would not even look at the sequence number; nil when it would. Takes the timestamp.
    ///
    /// - Parameter isCausal: packets that acknowledge what has not left have to wait.
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
        // Only a segment that the receiver takes at once sets it: it would make all others old.
        if isTakenAtOnce(segment, other: other, isCausal: isCausal) {
            self.timestamp = timestamp
            marks.insert(.timestamps)
        }
        return nil
    }

    /// The segment begins where the receiver is, or brings bytes from there on, and acknowledges what was sent.
    private func isTakenAtOnce(_ segment: TCPSegment, other: TCPDirection, isCausal: Bool) -> Bool {
        guard marks.contains(.synced) else { return true }
        if segment.isACK, isCausal, other.isAwaited, TCPSequence.precedes(other.next, segment.acknowledgment) {
            return false
        }
        return segment.start == next
            || TCPSequence.precedes(segment.start, next) && TCPSequence.precedes(next, segment.end)
    }

    /// A RST can be meant for its connection although the next sequence number of its side is not known: anybody could have
    /// guessed that there is a connection. A receiver that has sent its SYN asks for the same (RFC 9293 section 3.10.7.3).
    func isPlausible(reset segment: TCPSegment, other: TCPDirection) -> Bool {
        segment.isACK && other.marks.contains(.synced) && segment.acknowledgment == other.next
            || marks.contains(.ackSeen) && segment.sequence == acknowledged
    }

    /// Learns what SYNs, windows and first packets say.
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
            // The number of a keep-alive probe was taken for the next, and is one less.
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
            // Windows are scaled when both sides have said so (RFC 7323 section 2.2).
            let isScaled = windowScale >= 0 && other.windowScale >= 0
            windowShift = isScaled ? UInt8(windowScale) : 0
            other.windowShift = isScaled ? UInt8(other.windowScale) : 0
        }
    }

    // MARK: Its place

    /// Where a segment stands in its direction.
    enum Place: Equatable {
        case refused(Fault)
        /// All its bytes have left, or it has none.
        case nothingNew
        /// A RST whose sequence number is not the next (RFC 5961 section 3.2).
        case ignoredReset
        /// It brings the next bytes, or ends the direction behind them.
        case next(TCPEnding)
        /// It stands behind a hole.
        case early(TCPEnding)
    }

    /// Where a segment stands that was not refused by ``inspect(_:other:isCausal:)``.
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
        // What the receiver has acknowledged shows how far it is too; bytes before that were lost to the capture.
        var reached = next
        if marks.contains(.ackSeen), TCPSequence.precedes(reached, acknowledged) { reached = acknowledged }
        return TCPSequence.distance(segment.end, from: farthest(from: reached)) > reach
            ? .refused(.outOfWindow) : .early(ending)
    }

    /// `number`, or the end of what waits where that is farther.
    private func farthest(from number: UInt32) -> UInt32 {
        !waiting.isEmpty && TCPSequence.precedes(number, waiting.farthest) ? waiting.farthest : number
    }

    /// How far ahead of what is known to have arrived its sender may be, in bytes.
    private var reach: Int32 {
        Int32(min(max(window &* 2, TCPDirection.leastWindow), TCPDirection.mostWindow))
    }

    // MARK: Cause and effect

    /// The next bytes are known and can still come.
    @inline(__always)
    var isAwaited: Bool {
        marks.intersection([.seen, .synced, .tentative, .ended, .dropped]) == [.seen, .synced]
    }

    /// Its sender may have sent the bytes before `number`, though they have not come.
    ///
    /// No receiver takes a packet that acknowledges what was not sent (RFC 9293 section 3.10.7.4). Where a direction began is
    /// known for sure with its SYN only; else it may be far from there.
    func mayHaveSent(_ number: UInt32) -> Bool {
        marks.contains(.synSeen) || TCPSequence.distance(number, from: farthest(from: next)) <= reach
    }
}
