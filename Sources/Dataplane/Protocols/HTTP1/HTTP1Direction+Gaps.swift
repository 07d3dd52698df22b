// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// Missing bytes: which part of a direction can still be read, and where reading resumes.
extension HTTP1Direction {
    /// Handles `count` missing bytes, or an unknown number. The caller continues with `next`, without bytes.
    mutating func gap(_ count: UInt64?, _ time: Int64, _ parser: HTTP1Parser) -> HTTP1Step? {
        if count == 0 || flags.contains(.ended) { return nil }
        if state == .idle || state == .idleCR { self.time = time }
        let known = count ?? 0
        var step: HTTP1Step?
        switch state {
        case .untilClose:
            bodyBytes &+= known
            step = .bodyGap(known)
        case .length, .chunkData:
            if let count, count <= remaining {
                remaining &-= count
                bodyBytes &+= count
                if remaining == 0 { bodyPartEnds() }
                step = .bodyGap(count)
            } else {
                step = lose(parser)
            }
        case .tunnel, .tunnelStart, .presumedTunnel, .finishing: break
        case .over:
            if flags.contains(.lost) { step = lose(parser) }
        case .idle, .idleCR, .head, .chunkLine, .trailers:
            step = lose(parser)
        }
        position &+= known
        return step
    }

    /// Handles missing bytes without which the next message cannot be located.
    private mutating func lose(_ parser: HTTP1Parser) -> HTTP1Step? {
        releasePart(parser.memory)
        let isFirstLoss = !flags.contains(.lost)
        let mayProbe = parser.rules.resynchronisation != .never
        if isFirstLoss, flags.contains(.switching), state == .idle || state == .idleCR || state == .head {
            return fail(.gap, at: position, parser)
        }
        flags.remove(.probing)
        if mayProbe { flags.formUnion([.lost, .probing]) }
        flags.remove(.last)
        state = mayProbe ? .head : .over
        return isFirstLoss ? .failed(.gap, at: position) : nil
    }

    /// Whether reading resumes at the beginning of a piece.
    @inline(never)
    mutating func resumes(
        _ base: UnsafeRawPointer,
        _ count: Int,
        _ side: HTTP1Side,
        _ time: Int64,
        _ parser: HTTP1Parser
    ) -> Bool {
        guard flags.contains(.lost), parser.rules.resynchronisation == .atPiece else { return false }
        let reader = side == .request ? parser.requests : parser.responses
        var facts = reader.start
        _ = reader.read(&facts, base, count)
        guard facts.marks.contains(.startLine) else { return false }
        state = .head
        flags.insert(.probing)
        self.time = time
        return true
    }
}
