// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The incarnation of a connection that segments between two ends belong to, as far as SYNs, FINs and RSTs tell (RFC 9293
/// section 3.4.1: a new instance of a connection between the same ends).
///
/// A SYN within a connection does not end it: its receiver answers with a challenge ACK and goes on (RFC 5961 section 4), and
/// if anybody could end it so, he could blind whoever follows it. So such a SYN is a candidate, and is believed:
/// - at once, if both sides have sent FIN and acknowledged the other's, or one has sent a RST that the other takes;
/// - at once, if nothing of the other side was captured, so that no answer will be;
/// - at once, if nothing but a FIN or a RST with bytes came before, with which a stream began and ended;
/// - when the other side answers it, with SYN and ACK or, if ends are trusted, with RST and ACK.
///
/// Every side is `false` for the lower end of the flow's key, `true` for the upper one.
struct TCPIncarnation: BitwiseCopyable {
    /// Numbers of both ends.
    struct Pair: BitwiseCopyable {
        var lower: UInt32 = 0
        var upper: UInt32 = 0

        subscript(_ isUpper: Bool) -> UInt32 {
            @inline(__always) get { isUpper ? upper : lower }
            set { if isUpper { upper = newValue } else { lower = newValue } }
        }
    }
    struct Marks: OptionSet, BitwiseCopyable {
        var rawValue: UInt16
        /// A FIN was seen that the other side had not acknowledged before; `put` for the upper end.
        static var fin: Marks { Marks(rawValue: 1) }
        /// The other side has acknowledged it.
        static var finAcknowledged: Marks { Marks(rawValue: 4) }
        /// The side began with a SYN.
        static var syn: Marks { Marks(rawValue: 16) }
        /// That SYN had an MD5 or AO option.
        static var signed: Marks { Marks(rawValue: 64) }
        static var candidate: Marks { Marks(rawValue: 256) }
        static var candidateIsUpper: Marks { Marks(rawValue: 512) }
        /// A RST was taken.
        static var reset: Marks { Marks(rawValue: 1024) }
        /// The candidate came behind another SYN, and nothing was seen of the other end.
        static var opening: Marks { Marks(rawValue: 2048) }
        /// The SYN that the side began with was an answer.
        static var answered: Marks { Marks(rawValue: 4096) }
        /// The first segment was a FIN, or a RST with bytes, and the other end has acknowledged nothing since.
        static var endOnly: Marks { Marks(rawValue: 16384) }

        /// The mark of one end.
        func of(_ isUpper: Bool) -> Marks { isUpper ? Marks(rawValue: rawValue << 1) : self }
    }
    /// What a segment says of the incarnation that its flow stands for.
    enum Verdict: Equatable {
        /// It belongs to it, or changes nothing.
        case same
        /// It is a SYN that begins another.
        case begins
        /// It answers a SYN that has begun another: the receiver of this segment is the client.
        case answers
    }

    /// The initial sequence numbers, or the numbers before the first that was seen.
    private var starts = Pair()
    /// The numbers behind the FINs.
    private var fins = Pair()
    /// The first number behind a SYN that was not answered, and the end of its bytes.
    private var candidate: UInt32 = 0
    private var candidateEnd: UInt32 = 0
    private(set) var marks: Marks = []

    /// Whether every segment has to be judged, not only those with SYN, FIN or RST.
    var judgesAll: Bool { !marks.isDisjoint(with: [.fin, .fin.of(true), .opening, .endOnly]) }

    /// Whether nothing more can come of it but what is late.
    private var isClosed: Bool {
        marks.contains(.reset) || marks.isSuperset(of: [.finAcknowledged, .finAcknowledged.of(true)])
    }

    /// Records the first segment of an end.
    ///
    /// - Parameter isFirst: nothing of the other end was seen before.
    mutating func begin(_ segment: TCPSegment, isUpper: Bool, isFirst: Bool) {
        starts[isUpper] = segment.isSYN ? segment.sequence : segment.sequence &- 1
        if isFirst, segment.isRST ? segment.size > 0 : segment.isFIN && (segment.isACK || !segment.isSYN) {
            marks.insert(.endOnly)
        }
        guard segment.isSYN else { return }
        marks.insert(.syn.of(isUpper))
        if segment.isACK { marks.insert(.answered.of(isUpper)) }
        if segment.isSigned { marks.insert(.signed.of(isUpper)) }
    }

    /// Records that an end began with a SYN whose answer was seen.
    mutating func begin(answeredBy segment: TCPSegment, isUpper: Bool) {
        starts[isUpper] = segment.acknowledgment &- 1
        marks.insert(.syn.of(isUpper))
    }

    /// Judges a segment that is not the first of all.
    ///
    /// - Parameters:
    ///   - isSeen: anything was seen of the end.
    ///   - isOtherSeen: anything was seen of the other end.
    ///   - hasAcknowledged: the end has acknowledged anything.
    ///   - trustsEnds: the SYN behind the end of a connection is believed; otherwise only one that is answered.
    ///   - next: the number that the other end expects next, as it acknowledged last; nil if it acknowledged nothing.
    mutating func judge(
        _ segment: TCPSegment,
        isUpper: Bool,
        isSeen: Bool,
        isOtherSeen: Bool,
        hasAcknowledged: Bool,
        trustsEnds: Bool,
        next: UInt32?
    ) -> Verdict {
        if segment.isRST {
            return isSeen || segment.isACK
                ? judge(reset: segment, isUpper: isUpper, trustsEnds: trustsEnds, next) : .same
        }
        if marks.contains(.endOnly) {
            if segment.isSYN, !segment.isACK { return .begins }
            if !isSeen, segment.isACK { marks.remove(.endOnly) }
        }
        // The first segment of an end may answer a SYN.
        guard isSeen || segment.isACK else { return .same }
        if segment.isSYN {
            if segment.isACK {
                marks.remove(.opening)
                return isAnswer(segment, isUpper: isUpper) ? .answers : .same
            }
            if segment.sequence == starts[isUpper], hasBegun(isUpper) { return .same }
            // Of two SYNs before any answer the other end tells which it took.
            let isOpening = !isOtherSeen && !hasAcknowledged && marks.contains(.syn.of(isUpper))
            if trustsEnds, isClosed || !isOtherSeen && !isOpening { return .begins }
            note(candidate: segment, isUpper: isUpper, isOpening: isOpening)
            return .same
        }
        guard segment.isACK else { return .same }
        if marks.contains(.opening), marks.contains(.candidateIsUpper) == isUpper, segment.sequence == candidate {
            // It goes on behind the later SYN, whose answer was not captured.
            marks.remove(.opening)
            if trustsEnds { return .begins }
        }
        if marks.contains(.fin.of(!isUpper)), segment.acknowledgment == fins[!isUpper] {
            marks.insert(.finAcknowledged.of(!isUpper))
        }
        if segment.isFIN { note(fin: segment, isUpper: isUpper, next) }
        return .same
    }

    private mutating func note(candidate segment: TCPSegment, isUpper: Bool, isOpening: Bool) {
        candidate = segment.start
        candidateEnd = segment.end
        marks.subtract([.candidateIsUpper, .opening])
        marks.formUnion(isUpper ? [.candidate, .candidateIsUpper] : .candidate)
        if isOpening { marks.insert(.opening) }
    }

    /// Whether a segment acknowledges the other side's candidate, and no more than that sent. The answer to the SYN that began the
    /// connection may come again.
    private func isAnswer(_ segment: TCPSegment, isUpper: Bool) -> Bool {
        marks.contains(.candidate) && marks.contains(.candidateIsUpper) != isUpper
            && segment.acknowledgment &- candidate <= candidateEnd &- candidate
            && !(hasBegun(!isUpper) && segment.acknowledgment == starts[!isUpper] &+ 1)
    }

    /// Whether a side began with a SYN that answers nothing. What else anybody sends first does not say who is the client.
    private func hasBegun(_ isUpper: Bool) -> Bool {
        marks.contains(.syn.of(isUpper)) && !marks.contains(.answered.of(isUpper))
    }

    private mutating func judge(
        reset segment: TCPSegment,
        isUpper: Bool,
        trustsEnds: Bool,
        _ next: UInt32?
    ) -> Verdict {
        // A signature that was not agreed on, or none where one was: its receiver drops it (RFC 2385, RFC 5925 section 7.3).
        if marks.contains(.syn.of(isUpper)), segment.isSigned != marks.contains(.signed.of(isUpper)) { return .same }
        // Who refuses a SYN so may keep the connection that is there: one that was opened by TCP fast open goes on.
        if segment.isACK, trustsEnds, isAnswer(segment, isUpper: isUpper) { return .answers }
        if let next {
            // RFC 5961 section 3.2: exactly the next number.
            if segment.sequence == next { marks.insert(.reset) }
        } else if segment.isACK, marks.contains(.syn.of(!isUpper)),
            segment.acknowledgment == starts[!isUpper] &+ 1
        {
            // The connection is refused (RFC 9293 section 3.10.7.3).
            marks.insert(.reset)
        }
        return .same
    }

    private mutating func note(fin segment: TCPSegment, isUpper: Bool, _ next: UInt32?) {
        let end = segment.end &+ 1
        // What was acknowledged before is no news: its receiver does not look at it.
        if let next, !TCPSequence.precedes(next, end) { return }
        fins[isUpper] = end
        marks.insert(.fin.of(isUpper))
        marks.remove(.finAcknowledged.of(isUpper))
    }
}
