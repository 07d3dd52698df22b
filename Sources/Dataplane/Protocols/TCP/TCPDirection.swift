// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// One direction of a TCP connection: what its receiver knows, as far as captured segments show it.
///
/// The rules are those of RFC 9293 section 3.10.7, RFC 5961 and RFC 7323, for an observer: packets may be missing, and may have
/// been captured in a different order than they were sent. `other` is always the opposite direction.
///
/// With the key by which a FlowArray finds it, it fills two cache lines; what most segments need is in the first.
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
    /// The highest number acknowledged by the other side of those that were seen; valid with `unacknowledgedKnown`
    /// (RFC 9293, SND.UNA).
    var unacknowledged: UInt32 = 0
    /// When the newest timestamp was accepted, in functional nanoseconds.
    var stamped: Int64 = 0
    // The second cache line.
    /// Its link in the list of directions with holes.
    var link = IndexList.Link()
    /// When the hole opened, in functional nanoseconds.
    var since: Int64 = 0
    /// The first number behind another SYN-ACK than that which opened the direction; valid with `rivalled`.
    var rival: UInt32 = 0
    /// Where its bytes begin, as its SYN says; valid with `synSeen`.
    var start: UInt32 = 0
    /// Bytes that left and are not acknowledged.
    var sent = SentBytes.List()
    /// What the other side acknowledged instead of the SYN; valid with `denied`.
    var denial: UInt32 = 0
    /// The number behind the last byte that left before a SYN-ACK opened the direction anew; valid with `anew`.
    private var left: UInt32 = 0
    /// Fills the line, so that no direction shares one with another.
    private var padding: (UInt32, UInt32) = (0, 0)

    struct Marks: OptionSet, BitwiseCopyable {
        var rawValue: UInt32
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
        /// The other side acknowledged its SYN, so that both agree on where it begins.
        static var answered: Marks { Marks(rawValue: 4096) }
        static var unacknowledgedKnown: Marks { Marks(rawValue: 8192) }
        /// Its SYN was signed, so that all its segments must be.
        static var signed: Marks { Marks(rawValue: 16384) }
        /// The other side has sent two different answers to its SYN.
        static var rivalled: Marks { Marks(rawValue: 1) }
        /// Its SYN-ACK had a wrong checksum: what it says is believed as long as nothing contradicts it.
        static var doubtful: Marks { Marks(rawValue: 65536) }
        /// A SYN came after bytes of the connection were acknowledged, or a RST ended it: another may have begun with the same numbers, so
        /// what was acknowledged before may not be so in that one.
        static var doubted: Marks { Marks(rawValue: 131072) }
        /// The other side acknowledged `denial`, which is no answer to the SYN.
        static var denied: Marks { Marks(rawValue: 262144) }
        /// Segments that do not follow the SYN wait until the other side acknowledges them, or the SYN; `next` is before them.
        static var elsewhere: Marks { Marks(rawValue: 524288) }
        /// A SYN-ACK opened the direction anew after bytes of it had left, and none has left since.
        static var anew: Marks { Marks(rawValue: 1 << 20) }
        /// There was a gap behind these.
        static var gapBefore: Marks { Marks(rawValue: 1 << 21) }
        /// Nothing of it was seen but its SYN, and the other side had acknowledged `denial` before, to which the SYN does not lead.
        static var foreseen: Marks { Marks(rawValue: 1 << 22) }
        /// A hole was filled while segments waited behind it.
        static var filled: Marks { Marks(rawValue: 32768) }
        /// Marks that may accompany `synced` and `seen` without requiring more than a check of the next segment's sequence
        /// number and timestamp.
        static var usual: Marks {
            [.synSeen, .timestamps, .ackSeen, .untimed, .answered, .unacknowledgedKnown]
        }
    }

    /// Segments this far ahead are accepted whatever windows were seen: packets that offered more may not have been captured.
    static let leastWindow: UInt32 = 1 << 20
    static let mostWindow: UInt32 = 1 << 30

    /// How long the answer to a SYN is awaited while nothing of the other side is seen, in nanoseconds: it comes within a round trip,
    /// or was not captured.
    static let answerTime: Int64 = 3_000_000_000

    // MARK: The common segment

    /// The direction is open, its next byte is known, and nothing about it requires a full check.
    @inline(__always)
    var isUsual: Bool {
        marks.rawValue & ~Marks.usual.rawValue == Marks.synced.rawValue | Marks.seen.rawValue && !isUnanswered
    }

    /// Whether the receiver's acknowledgment is usual: of bytes that were seen, and no older than the window (RFC 5961 section
    /// 5.2). Nothing else about it must be checked, or recorded beyond ``acknowledge(_:)``.
    @inline(__always)
    func isUsual(acknowledgment: UInt32) -> Bool {
        marks.contains(.unacknowledgedKnown) && sentEnd &- acknowledgment <= window
    }

    /// Records the timestamp of a segment without other options; false if there are others, or it is older than the newest. The
    /// header must be complete.
    @inline(__always)
    mutating func takesTimestamp(of tcp: TCPView, at time: Int64) -> Bool {
        if tcp.headerLength == TCPView.size { return true }
        guard tcp.hasTimestampsAlone, marks.contains(.timestamps) else { return false }
        if TCPSequence.precedes(tcp.timestampAlone, timestamp) { return false }
        timestamp = tcp.timestampAlone
        stamped = time
        return true
    }

    /// The number after everything that was seen: a FIN takes one.
    @inline(__always)
    private var sentEnd: UInt32 { next &+ UInt32((marks.rawValue & Marks.ended.rawValue) / Marks.ended.rawValue) }

    /// Records an acknowledgment of bytes that were seen.
    @inline(__always)
    mutating func acknowledge(_ number: UInt32) {
        if TCPSequence.precedes(unacknowledged, number) { unacknowledged = number }
    }

    /// Records the window that this side offers to `other`.
    @inline(__always)
    func offer(window: UInt32, isSYN: Bool = false, to other: inout TCPDirection) {
        let bytes = window &<< UInt32(isSYN ? 0 : windowShift)
        if bytes > other.window { other.window = bytes }
    }

    // MARK: Judging a segment

    /// What the receiver makes of a segment of this side, and what follows for the other.
    struct Judgement {
        var place: Place
        /// The other side turns out to begin elsewhere than was thought: nothing of it that was seen until now was taken.
        var movesOther = false
    }

    /// Judges a segment, and records what it says if the receiver takes that: one that changes nothing at the receiver changes
    /// nothing here.
    ///
    /// - Parameters:
    ///   - isFirst: nothing of the connection was seen before.
    ///   - time: functional time in nanoseconds.
    ///   - isCausal: packets that acknowledge bytes not yet emitted have to wait.
    @inline(__always)
    mutating func judge(
        _ segment: TCPSegment,
        other: inout TCPDirection,
        isFirst: Bool = false,
        at time: Int64 = 0,
        isCausal: Bool = true
    ) -> Judgement {
        if isOpenedAnew(by: segment, other: other) { beginAnew() }
        if isUnanswered { seek(segment, other: &other) }
        if !segment.isSYN { marks.remove(.foreseen) }
        var fault = inspect(segment, other: other, at: time, isCausal: isCausal)
        var movesOther = false
        if fault == .wrongAck, other.isForgotten(by: segment) {
            other.forgetSYN()
            movesOther = true
            fault = inspect(segment, other: other, at: time, isCausal: isCausal)
        }
        if let fault {
            if fault == .wrongAck { other.deny(segment) }
            return Judgement(place: .refused(fault), movesOther: movesOther)
        }
        if segment.isRST, !marks.contains(.synced),
            !(isFirst && segment.isACK && segment.size > 0),
            !isPlausible(reset: segment, other: other)
        {
            return Judgement(place: .ignoredReset, movesOther: movesOther)
        }
        if isRepeatedSYN(segment) {
            // Of two answers to one SYN, the client tells which it took.
            if segment.isSYNACK, marks.intersection([.synSeen, .answered]) == .synSeen, other.marks.contains(.synSeen) {
                _ = open(segment, other: &other, at: time)
            }
            return Judgement(place: .repeatedSYN, movesOther: movesOther)
        }
        if !segment.isSYN, marks.contains(.synced) {
            let place = place(of: segment)
            // A number that is known from a bare acknowledgment alone may be wrong, but a RST does not mend it.
            let isKnown = !marks.contains(.tentative) || segment.isRST
            if isKnown, !isCurrent(segment, place) { return Judgement(place: place, movesOther: movesOther) }
        }
        if open(segment, other: &other, at: time) { movesOther = true }
        return Judgement(place: place(of: segment), movesOther: movesOther)
    }

    /// The reason for which a receiver drops a segment.
    enum Fault: CaseIterable {
        case badHeaderLength, noAck, wrongAck, signature, outOfWindow, oldTimestamp, afterEnd
    }

    /// How long a timestamp can be compared with: then the sender's clock may have wrapped (RFC 7323 section 5.5), in ns.
    static let timestampLife: Int64 = 24 * 86_400_000_000_000

    /// Whether this SYN follows the one that opened the direction: it brings nothing (RFC 5961 section 4).
    @inline(__always)
    func isRepeatedSYN(_ segment: TCPSegment) -> Bool {
        segment.isSYN && marks.intersection([.seen, .tentative]) == .seen
    }

    /// The reason for which the receiver would not even look at the sequence number; nil if it would. Records the timestamp.
    ///
    /// - Parameter isCausal: packets that acknowledge bytes not yet emitted have to wait.
    @inline(__always)
    mutating func inspect(_ segment: TCPSegment, other: TCPDirection, at time: Int64, isCausal: Bool) -> Fault? {
        if !segment.isHeaderRight { return .badHeaderLength }
        if segment.size > 0 || segment.isFIN, !segment.isACK, !segment.isSYN, !segment.isRST { return .noAck }
        // RFC 2385 section 2, RFC 5925 section 7.3: both sides know whether segments are signed.
        let isElsewhere = marks.contains(.elsewhere)
        if marks.contains(.synSeen), !isElsewhere, segment.isSigned != marks.contains(.signed), !isRepeatedSYN(segment)
        {
            return .signature
        }
        let opens = marks.isDisjoint(with: [.synced, .ackSeen])
        if segment.isACK, !segment.isRST, !other.mayTake(acknowledgmentOf: segment, opens: opens) { return .wrongAck }
        // A SYN that opens the direction says what time it is.
        guard let timestamp = segment.timestamp, !marks.contains(.untimed), segment.isACK, !segment.isSYN,
            !segment.isRST,
            !isElsewhere
        else {
            return nil
        }
        // PAWS (RFC 7323 section 5). Some systems send 0 in their SYN and the time only afterwards; Linux accepts that.
        if marks.contains(.timestamps), self.timestamp != 0, TCPSequence.precedes(timestamp, self.timestamp),
            time &- stamped <= TCPDirection.timestampLife
        {
            return .oldTimestamp
        }
        // Only a segment that the receiver accepts at once updates it: otherwise it could make all others old.
        if isTakenAtOnce(segment, other: other, isCausal: isCausal) {
            self.timestamp = timestamp
            stamped = time
            marks.insert(.timestamps)
        }
        return nil
    }

    /// Whether this side, as the receiver, can accept the acknowledgment of a segment. What was not captured may have been sent:
    /// numbers that are too high are not refused here, except where they would open the other direction.
    private func mayTake(acknowledgmentOf segment: TCPSegment, opens: Bool) -> Bool {
        let number = segment.acknowledgment
        if isUnanswered {
            if marks.contains(.elsewhere) {
                return number &- start <= (segment.isSYN ? 0 : TCPDirection.leastWindow)
                    || !segment.isSYN && number &- next <= end &- next
            }
            // Before its SYN is acknowledged, anything before the first byte is refused (RFC 9293 sections 3.10.7.3, 3.10.7.4).
            // A SYN-ACK must acknowledge no more than the SYN and its bytes. Where none was captured, nothing else opens the other
            // direction until this side has acknowledged something: otherwise anybody could say where that begins.
            if segment.isSYN { return number &- start <= end &- start }
            if opens { return false }
            return number &- start <= (end &- start) &+ TCPDirection.leastWindow || isRival(number)
        }
        // RFC 5961 section 5.2.
        guard marks.contains(.unacknowledgedKnown), !segment.isSYN else { return true }
        return TCPSequence.distance(number, from: unacknowledged) >= -Int32(min(window, TCPDirection.mostWindow))
    }

    // MARK: A SYN that nobody answers

    // Anybody can send a SYN where a connection is that was silent, or that began before the capture did. Its receiver goes on with
    // that connection (RFC 9293 section 3.10.7.4, RFC 5961 section 4), and so does this as soon as both sides say that they do: one
    // sends what does not follow the SYN, and the other acknowledges it, or just what is before it.

    /// Whether its SYN may have begun nothing: nobody has answered it. Its bytes have to wait: only the answer says where they belong,
    /// whether those of the SYN itself count, and what segments in between may acknowledge (RFC 9293 section 3.10.7.3, RFC 7413
    /// section 4.2).
    var isUnanswered: Bool { marks.intersection([.synSeen, .answered, .doubtful]) == .synSeen }

    /// Whether what waits, and what has left, is of another connection than a segment.
    func isLeftBehind(by segment: TCPSegment, other: TCPDirection) -> Bool {
        if isOpenedAnew(by: segment, other: other) { return true }
        if waiting.isEmpty || !isUnanswered || !segment.isACK || segment.isRST || segment.isSYN { return false }
        return marks.contains(.elsewhere) ? follows(segment) || goesOn(segment) : !hasBegun && goesOn(segment)
    }

    /// Whether a SYN-ACK opens the direction although something came before it, which is nowhere near.
    private func isOpenedAnew(by segment: TCPSegment, other: TCPDirection) -> Bool {
        segment.isSYNACK && marks.intersection([.seen, .synSeen, .ended]) == .seen && other.isUnanswered
            && !other.hasBegun
            && segment.isHeaderRight && other.mayTake(acknowledgmentOf: segment, opens: true)
            && next &- segment.start > TCPDirection.leastWindow
    }

    /// Forgets all but which bytes have left.
    private mutating func beginAnew() {
        if marks.contains(.anew) {
            marks.formIntersection([.gap, .anew, .gapBefore])
        } else if marks.intersection([.synced, .tentative]) == .synced, !marks.contains(.synSeen) || hasBegun {
            left = next
            marks = marks.contains(.gap) ? [.gap, .anew, .gapBefore] : [.gap, .anew]
        } else {
            marks = []
        }
        windowShift = 14
        window = 0
    }

    /// The next byte is at a number, or behind those from there that left before the direction was opened anew.
    private mutating func move(to number: UInt32) {
        next = marks.contains(.anew) && left &- number <= TCPDirection.leastWindow ? left : number
    }

    /// Whether the next packet to leave is to be marked as behind a gap; it is the only one.
    mutating func takesGap() -> Bool {
        if !marks.contains(.gap) { return false }
        let isBack = marks.intersection([.anew, .gapBefore]) == .anew && next == left
        marks.subtract([.gap, .anew, .gapBefore])
        return !isBack
    }

    /// Whether the receiver takes the acknowledgment of a segment that waited, if it is the first that leaves: it is of what the other
    /// side has sent since its SYN.
    func mayBegin(with acknowledgment: UInt32, other: TCPDirection) -> Bool {
        if hasBegun || !marks.contains(.synSeen) || !other.marks.contains(.synSeen) { return true }
        return acknowledgment &- other.start <= other.end &- other.start &+ TCPDirection.leastWindow
    }

    /// Whether a connection that begins with this SYN could come to numbers that were acknowledged in this one.
    func isOverlapped(byConnection syn: TCPSegment) -> Bool {
        hasAcknowledgedBytes && TCPSequence.distance(syn.start, from: unacknowledged) <= 0
    }

    /// Whether a segment may follow the SYN.
    private func follows(_ segment: TCPSegment) -> Bool { segment.start &- start <= TCPDirection.leastWindow }

    /// Whether a segment begins where the other side's acknowledgment was that did not answer the SYN.
    private func goesOn(_ segment: TCPSegment) -> Bool { marks.contains(.denied) && segment.start == denial }

    /// Finds the next byte where a segment says it is, or the SYN.
    private mutating func seek(_ segment: TCPSegment, other: inout TCPDirection) {
        if segment.isSYN || !segment.isACK && !segment.isRST || !segment.isHeaderRight { return }
        if !waiting.isEmpty || isRival(segment.start) { return }
        if follows(segment) {
            if marks.contains(.elsewhere) { next = start }
            marks.remove(.elsewhere)
        } else if !segment.isRST, !hasBegun {
            if goesOn(segment) { giveUpSYN(other: &other) } else { marks.insert(.elsewhere) }
            move(to: segment.start)
        }
    }

    /// Goes on as though the SYN had not been seen.
    mutating func giveUpSYN(other: inout TCPDirection) {
        let opening: Marks = [
            .synSeen, .signed, .untimed, .timestamps, .ackSeen, .unacknowledgedKnown, .denied, .rivalled, .elsewhere,
        ]
        marks.subtract(opening)
        marks.insert(.gap)
        (windowScale, windowShift) = (-1, 14)
        other.marks.remove(.untimed)
        // Where bytes of it have left, none are missing.
        if !other.marks.contains(.seen) || other.marks.contains(.synSeen) && !other.hasBegun {
            other.marks.insert(.gap)
        }
        // All that is known of it is what the SYN acknowledged.
        if !other.marks.contains(.seen) { other.marks.subtract([.synced, .ackSeen, .unacknowledgedKnown]) }
    }

    /// Whether the other side goes on as before a SYN of which alone was anything captured on this side, and of whose bytes none left.
    private func isForgotten(by segment: TCPSegment) -> Bool {
        marks.contains(.foreseen) && isUnanswered && !hasBegun && segment.isACK && !segment.isSYN && !segment.isRST
            && segment.acknowledgment &- denial <= TCPDirection.leastWindow
    }

    /// Goes on as though nothing had been seen of this side.
    private mutating func forgetSYN() {
        marks = [.synced, .ackSeen]
        (next, acknowledged) = (denial, denial)
        (windowScale, windowShift) = (-1, 14)
    }

    /// Records an acknowledgment that does not answer the SYN.
    private mutating func deny(_ segment: TCPSegment) {
        guard isUnanswered, !segment.isSYN, !hasBegun, !marks.contains(.foreseen) else { return }
        denial = segment.acknowledgment
        marks.insert(.denied)
    }

    /// The end of what is known of its bytes.
    private var end: UInt32 { farthest(from: next) }

    /// Whether a number follows the other of two SYN-ACKs.
    private func isRival(_ number: UInt32) -> Bool {
        marks.contains(.rivalled) && number &- rival <= TCPDirection.leastWindow
    }

    /// Whether the segment begins at the receiver's next byte, or brings bytes from there on, and acknowledges what was sent.
    private func isTakenAtOnce(_ segment: TCPSegment, other: TCPDirection, isCausal: Bool) -> Bool {
        guard marks.contains(.synced) else { return true }
        if isCausal, other.isAwaited, TCPSequence.precedes(other.next, segment.acknowledgment) { return false }
        // Some receivers, Linux among them, look no further at one with an old acknowledgment.
        if other.marks.contains(.unacknowledgedKnown),
            TCPSequence.precedes(segment.acknowledgment, other.unacknowledged)
        {
            return false
        }
        return segment.start == next
            || TCPSequence.precedes(segment.start, next) && TCPSequence.precedes(next, segment.end)
    }

    /// Whether a RST can be meant for its connection although the next sequence number of its side is unknown: anybody could
    /// have guessed that the connection exists. A receiver that has sent its SYN requires the same (RFC 9293 section 3.10.7.3).
    func isPlausible(reset segment: TCPSegment, other: TCPDirection) -> Bool {
        segment.isACK && other.marks.contains(.synced)
            && (segment.acknowledgment == other.next || segment.acknowledgment == other.end
                || other.marks.contains(.elsewhere) && segment.acknowledgment == other.start)
            || marks.contains(.ackSeen) && segment.sequence == acknowledged
    }

    /// Records what SYNs, windows and first packets say. Returns whether `other` turns out to begin elsewhere than was thought:
    /// nothing of it that was seen until now was taken.
    @discardableResult
    @inline(__always)
    mutating func open(_ segment: TCPSegment, other: inout TCPDirection, at time: Int64 = 0) -> Bool {
        var movesOther = false
        if segment.isSYN {
            if !marks.contains(.synSeen) {
                movesOther = open(syn: segment, other: &other, at: time)
            } else if segment.isSYNACK, segment.start != start, !marks.contains(.answered) {
                marks.insert(.rivalled)
                rival = segment.start
            }
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
        // What belongs to another connection than the SYN says nothing of the other side.
        if !segment.isACK || marks.contains(.elsewhere) { return movesOther }
        offer(window: segment.window, isSYN: segment.isSYN, to: &other)
        return other.note(acknowledgment: segment.acknowledgment, by: &self) || movesOther
    }

    /// Records an acknowledgment by the other side; true if it shows that the direction begins elsewhere than was thought.
    @inline(__always)
    private mutating func note(acknowledgment number: UInt32, by other: inout TCPDirection) -> Bool {
        var isMoved = false
        if marks.contains(.elsewhere) {
            if number &- start <= TCPDirection.leastWindow {
                next = start
                marks.remove(.elsewhere)
                marks.insert(.answered)
                isMoved = true
            } else {
                giveUpSYN(other: &other)
            }
        } else if marks.contains(.synSeen), !marks.contains(.answered) {
            let isAnswer = number &- start <= end &- start
            isMoved = !isAnswer && !hasBegun && (isRival(number) || marks.contains(.doubtful))
            if isMoved {
                start = isRival(number) ? rival : number
                move(to: start)
            }
            if isAnswer || isMoved {
                marks.insert(.answered)
                marks.remove(.rivalled)
            }
        }
        if !marks.contains(.ackSeen) || TCPSequence.precedes(acknowledged, number) {
            acknowledged = number
            marks.insert(.ackSeen)
        }
        // What was not captured may have been sent, but whoever says so may lie.
        if marks.contains(.synced), TCPSequence.distance(number, from: sentEnd) <= 0 {
            if !marks.contains(.unacknowledgedKnown) { unacknowledged = number }
            marks.insert(.unacknowledgedKnown)
            acknowledge(number)
        }
        return isMoved
    }

    /// Records a SYN; true if `other` began with what does not answer it.
    private mutating func open(syn segment: TCPSegment, other: inout TCPDirection, at time: Int64) -> Bool {
        var movesOther = false
        let isNew = !marks.contains(.seen) && !segment.isACK
        let isKnown = marks.intersection([.synced, .tentative]) == .synced
        if isNew, isKnown || marks.contains(.ackSeen) {
            denial = marks.contains(.ackSeen) ? acknowledged : next
            if denial &- segment.start > TCPDirection.leastWindow { marks.insert(.foreseen) }
        }
        if !isKnown { next = segment.start }
        if isNew, next != segment.start, other.marks.intersection([.synSeen, .ended]) == .synSeen, !other.hasBegun,
            other.waiting.isEmpty
        {
            // A SYN-ACK was captured first, and does not answer this SYN: nobody takes it (RFC 9293 section 3.10.7.3).
            next = segment.start
            other.beginAnew()
            marks.subtract([.ackSeen, .unacknowledgedKnown])
            movesOther = true
        }
        start = segment.start
        // What was acknowledged before is of another connection.
        if marks.contains(.ackSeen), acknowledged &- start > TCPDirection.leastWindow {
            marks.subtract([.ackSeen, .unacknowledgedKnown])
        }
        if marks.contains(.unacknowledgedKnown), unacknowledged == start { marks.insert(.answered) }
        if let timestamp = segment.timestamp, !marks.contains(.untimed) {
            self.timestamp = timestamp
            stamped = time
            marks.insert(.timestamps)
        }
        marks.formUnion([.synced, .synSeen])
        marks.remove(.tentative)
        if segment.isSigned { marks.insert(.signed) }
        if segment.isDoubtful { marks.insert(.doubtful) }
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
        return movesOther
    }

    /// Whether the other side has acknowledged bytes behind its SYN.
    private var hasAcknowledgedBytes: Bool {
        marks.contains(.unacknowledgedKnown) && (!marks.contains(.synSeen) || unacknowledged != start)
    }

    /// Whether bytes behind its SYN have left: where it begins can no longer change.
    private var hasBegun: Bool { next != start && !marks.contains(.elsewhere) }

    // MARK: The place of a segment

    /// The position of a segment relative to its direction.
    enum Place: Equatable {
        case refused(Fault)
        /// All its bytes have been emitted, or it has none.
        case nothingNew
        /// A RST whose sequence number is not the next (RFC 5961 section 3.2).
        case ignoredReset
        /// A SYN behind the one that opened the direction: the receiver answers with a challenge ACK (RFC 5961 section 4.2).
        case repeatedSYN
        /// It brings the next bytes, or ends the direction after them.
        case next(TCPEnding)
        /// It is behind a hole.
        case early(TCPEnding)
    }

    /// The position of a segment that ``inspect(_:other:isCausal:)`` accepted.
    @inline(__always)
    func place(of segment: TCPSegment) -> Place {
        if segment.isRST {
            // Behind a hole it counts if that stays: bytes that arrive later were not there when the RST was.
            let isNext = segment.sequence == next || !waiting.isEmpty && segment.sequence == waiting.farthest
            if !isNext || !marks.isDisjoint(with: [.ended, .elsewhere]) { return .ignoredReset }
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

    /// Whether the receiver processes the acknowledgment and the window of a segment with this place (RFC 9293 section 3.10.7.4:
    /// first the sequence number is checked).
    private func isCurrent(_ segment: TCPSegment, _ place: Place) -> Bool {
        switch place {
        case .next, .early: true
        case .nothingNew: segment.size == 0 && !TCPSequence.precedes(segment.sequence, next)
        case .refused, .ignoredReset, .repeatedSYN: false
        }
    }

    /// `number`, or the end of the waiting segments if that is greater.
    private func farthest(from number: UInt32) -> UInt32 {
        !waiting.isEmpty && TCPSequence.precedes(number, waiting.farthest) ? waiting.farthest : number
    }

    /// How far its sender may be ahead of what is known to have arrived, in bytes.
    private var reach: Int32 {
        Int32(min(max(window &* 2, TCPDirection.leastWindow), TCPDirection.mostWindow))
    }

    /// Whether the receiver has acknowledged the hole before a segment that waits, or the next byte where there is none.
    func isAcknowledged(before start: UInt32?) -> Bool {
        guard marks.contains(.ackSeen) else { return false }
        if let start, TCPSequence.precedes(next, start) { return !TCPSequence.precedes(acknowledged, start) }
        return TCPSequence.precedes(next, acknowledged)
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
