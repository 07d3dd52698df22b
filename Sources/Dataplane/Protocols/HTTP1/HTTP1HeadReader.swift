// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

enum HTTP1Section {
    case request
    case response
    case trailers
}

/// Reads heads and trailers line by line.
///
/// A line is judged only when complete, and as a whole, so that the result does not depend on how the bytes arrived. A normal
/// field line takes two passes over its bytes (name, value); anything else goes to `unusual`.
struct HTTP1HeadReader {
    enum Outcome {
        /// The section ends at `facts.judged`.
        case complete
        /// The line at `facts.judged` is incomplete.
        case more
        case error(HTTP1Error, at: Int)
    }

    /// An error and its offset in the section.
    typealias Fault = (error: HTTP1Error, at: Int)

    let section: HTTP1Section
    let leniency: HTTP1Leniency
    let lineLimit: Int
    let startLineLimit: Int
    let sectionLimit: Int
    let fieldLimit: Int32

    /// - Parameter isProbe: it reads what may be no head at all.
    init(_ section: HTTP1Section, _ rules: HTTP1Rules, isProbe: Bool = false) {
        self.section = section
        leniency = isProbe ? rules.leniency.subtracting(.sloppy) : rules.leniency
        lineLimit = rules.limits.fieldLine
        startLineLimit = rules.limits.startLine
        sectionLimit = section == .trailers ? rules.limits.trailers : rules.limits.head
        fieldLimit = Int32(truncatingIfNeeded: rules.limits.fields)
    }

    /// Trailers have no start line, so it counts as read.
    var start: HTTP1Facts {
        var facts = HTTP1Facts()
        if section == .trailers { facts.marks = .startLine }
        return facts
    }

    /// Reads the complete lines in the first `end` bytes of the section.
    func read(_ facts: inout HTTP1Facts, _ base: UnsafeRawPointer, _ end: Int) -> Outcome {
        if !facts.marks.contains(.startLine) {
            let lf = HTTP1Bytes.find(0x0a, base, 0, end)
            if let fault = tooLong(from: 0, to: min(lf &+ 1, end), limit: startLineLimit) {
                return .error(fault.error, at: fault.at)
            }
            if lf == end { return .more }
            if let fault = section == .request ? requestLine(&facts, base, lf) : statusLine(&facts, base, lf) {
                return .error(fault.error, at: fault.at)
            }
            facts.marks.insert(.startLine)
            facts.judged = Int32(truncatingIfNeeded: lf &+ 1)
            facts.fieldsStart = facts.judged
        }
        while true {
            let start = Int(facts.judged)
            let colon = HTTP1Bytes.tokenEnd(base, start, end)
            if colon > start && colon < end && base.byte(colon) == 0x3a {
                let stop = HTTP1Bytes.valueEnd(base, colon &+ 1, end)
                if stop &+ 1 < end && base.byte(stop) == 0x0d && base.byte(stop &+ 1) == 0x0a {
                    if let fault = tooLong(from: start, to: stop &+ 2, limit: lineLimit)
                        ?? note(&facts, base, start, colon, colon &+ 1, stop)
                    {
                        return .error(fault.error, at: fault.at)
                    }
                    facts.judged = Int32(truncatingIfNeeded: stop &+ 2)
                    continue
                }
            }
            let lf = HTTP1Bytes.find(0x0a, base, start, end)
            if let fault = tooLong(from: start, to: min(lf &+ 1, end), limit: lineLimit) {
                return .error(fault.error, at: fault.at)
            }
            if lf == end { return .more }
            let stop = lf > start && base.byte(lf &- 1) == 0x0d ? lf &- 1 : lf
            if stop == start {
                if stop == lf && !leniency.contains(.bareLF) { return .error(.bareLF, at: lf) }
                facts.judged = Int32(truncatingIfNeeded: lf &+ 1)
                return .complete
            }
            if let fault = unusual(&facts, base, start, stop) ?? bareLF(stop, lf) {
                return .error(fault.error, at: fault.at)
            }
            facts.judged = Int32(truncatingIfNeeded: lf &+ 1)
        }
    }

    /// Reads the first `end` bytes of a section, which end with a line, or part of one, that has just arrived.
    func readOn(_ facts: inout HTTP1Facts, _ base: UnsafeRawPointer, _ end: Int, hasLineEnd: Bool) -> Outcome {
        if hasLineEnd { return read(&facts, base, end) }
        let limit = facts.marks.contains(.startLine) ? lineLimit : startLineLimit
        guard let fault = tooLong(from: Int(facts.judged), to: end, limit: limit) else { return .more }
        return .error(fault.error, at: fault.at)
    }

    // MARK: The whole head

    /// What is wrong with a request that can be read nevertheless, and where.
    @inline(__always)
    func flaw(of head: HTTP1Head) -> Fault? {
        let facts = head.facts
        if !facts.marks.contains(.host) {
            if facts.version.isOld || leniency.contains(.noHost) { return nil }
            return (.missingHost, max(0, Int(facts.judged) - 2))
        }
        // Only absolute-form begins with neither.
        guard let first = head.target.first, first != 0x2f, first != 0x2a else { return nil }
        return mismatch(head)
    }

    /// "The field value for Host MUST be identical to that authority component, excluding any userinfo" (RFC 9112 §3.2).
    @inline(never)
    private func mismatch(_ head: HTTP1Head) -> Fault? {
        if leniency.contains(.anyHost) || head.facts.marks.contains(.connectMethod) { return nil }
        let target = head.target
        guard let authority = HTTP1Target(target, method: head.method).authority else { return nil }
        let isSecure = target.prefix(6).lazy.map(\.lowered).elementsEqual("https:".utf8)
        let usual: StaticString = isSecure ? "443" : "80"
        if HTTP1Target.isSame(authority, head.host, usualPort: usual) { return nil }
        return (.hostMismatch, Int(head.facts.hostStart))
    }

    // MARK: Lines

    /// The first limit broken by a line from `from`, given the section's bytes up to `to`.
    @inline(__always)
    private func tooLong(from: Int, to: Int, limit: Int) -> Fault? {
        if to &- from > limit && from &+ limit <= sectionLimit {
            return (section == .trailers || from > 0 ? .fieldLineTooLong : .startLineTooLong, from &+ limit)
        }
        if to > sectionLimit { return (section == .trailers ? .trailersTooLong : .headTooLong, sectionLimit) }
        return nil
    }

    private func bareLF(_ stop: Int, _ lf: Int) -> Fault? {
        stop == lf && !leniency.contains(.bareLF) ? (.bareLF, lf) : nil
    }

    /// The error for an invalid byte: a CR has its own (RFC 9112 §2.2).
    private func fault(_ error: HTTP1Error, _ base: UnsafeRawPointer, _ at: Int, _ end: Int) -> Fault {
        (at < end && base.byte(at) == 0x0d ? .bareCR : error, at)
    }

    /// The first byte of a range that is not allowed in a value, not even by a rule.
    private func badByte(_ error: HTTP1Error, _ base: UnsafeRawPointer, _ from: Int, _ to: Int) -> Fault? {
        var at = from
        while true {
            at = HTTP1Bytes.valueEnd(base, at, to)
            if at == to { return nil }
            let allowed = base.byte(at) == 0x0d ? HTTP1Leniency.bareCR : .bytes
            guard leniency.contains(allowed) else { return fault(error, base, at, to) }
            at += 1
        }
    }

    /// request-line = method SP request-target SP HTTP-version (RFC 9112 §3).
    private func requestLine(_ facts: inout HTTP1Facts, _ base: UnsafeRawPointer, _ lf: Int) -> Fault? {
        let line = lineRange(base, lf)
        let end = line.upperBound
        let start = line.lowerBound
        let methodEnd = HTTP1Bytes.tokenEnd(base, start, end)
        guard methodEnd > start, methodEnd < end, isSeparator(base.byte(methodEnd)) else {
            return fault(.badMethod, base, methodEnd, end)
        }
        var targetStart = methodEnd + 1
        if leniency.contains(.spaces) {
            while targetStart < end, HTTP1Bytes.isSpace(base.byte(targetStart)) { targetStart += 1 }
        }
        var targetEnd = HTTP1Bytes.visibleEnd(base, targetStart, end)
        var versionStart = targetEnd + 1
        if !leniency.isDisjoint(with: [.spaces, .bytes]) {
            // The version is the last word; the target is everything before it.
            versionStart = end
            while versionStart > targetStart, !isSeparator(base.byte(versionStart - 1)) { versionStart -= 1 }
            targetEnd = max(versionStart - 1, targetStart)
            if leniency.contains(.spaces) {
                while targetEnd > targetStart, HTTP1Bytes.isSpace(base.byte(targetEnd - 1)) { targetEnd -= 1 }
            }
            for at in targetStart..<targetEnd {
                let byte = base.byte(at)
                let isVisible = byte > 0x20 && byte < 0x7f
                let rule: HTTP1Leniency = HTTP1Bytes.isSpace(byte) ? .spaces : byte == 0x0d ? .bareCR : .bytes
                guard isVisible || leniency.contains(rule) else { return fault(.badTarget, base, at, end) }
            }
        }
        guard targetEnd > targetStart else { return fault(.badTarget, base, targetStart, end) }
        guard targetEnd < end, versionStart <= end else { return (.badVersion, end) }
        guard isSeparator(base.byte(targetEnd)) else { return fault(.badTarget, base, targetEnd, end) }
        facts.methodStart = Int32(truncatingIfNeeded: start)
        facts.methodCount = Int32(truncatingIfNeeded: methodEnd - start)
        facts.targetStart = Int32(truncatingIfNeeded: targetStart)
        facts.targetCount = Int32(truncatingIfNeeded: targetEnd - targetStart)
        // Methods are case-sensitive (RFC 9110 §9.1).
        if isExactly(base, start, methodEnd, "HEAD") { facts.marks.insert(.headMethod) }
        if isExactly(base, start, methodEnd, "CONNECT") { facts.marks.insert(.connectMethod) }
        guard end - versionStart == 8, let version = version(base, versionStart) else {
            return fault(.badVersion, base, versionStart, end)
        }
        if version.major == 2, isExactly(base, start, methodEnd, "PRI") { return (.http2Preface, start) }
        guard version.major == 1 || leniency.contains(.versions) else { return (.badVersion, versionStart) }
        facts.version = version
        if leniency.isDisjoint(with: [.spaces, .bytes]), let at = ambiguousAuthority(base, targetStart, targetEnd) {
            return (.badTarget, at)
        }
        return bareLF(end, lf)
    }

    /// status-line = HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112 §4). Without a reason the second space may be
    /// missing, as in many servers' responses; nothing depends on it.
    private func statusLine(_ facts: inout HTTP1Facts, _ base: UnsafeRawPointer, _ lf: Int) -> Fault? {
        let line = lineRange(base, lf)
        let end = line.upperBound
        let start = line.lowerBound
        guard end - start >= 8, let version = version(base, start) else { return fault(.badVersion, base, start, end) }
        guard version.major == 1 || leniency.contains(.versions) else { return (.badVersion, start) }
        var at = start + 8
        guard at < end else { return (.badStatus, end) }
        guard isSeparator(base.byte(at)) else { return fault(.badVersion, base, at, end) }
        at += 1
        if leniency.contains(.spaces) {
            while at < end, HTTP1Bytes.isSpace(base.byte(at)) { at += 1 }
        }
        var status: UInt16 = 0
        for _ in 0..<3 {
            guard at < end, base.byte(at) &- 0x30 < 10 else { return fault(.badStatus, base, at, end) }
            status = status * 10 + UInt16(base.byte(at) &- 0x30)
            at += 1
        }
        guard status >= 100 else { return (.badStatus, at - 3) }
        if at < end {
            guard isSeparator(base.byte(at)) else { return fault(.badStatus, base, at, end) }
            at += 1
            if let fault = badByte(.badReason, base, at, end) { return fault }
            facts.targetStart = Int32(truncatingIfNeeded: at)
            facts.targetCount = Int32(truncatingIfNeeded: end - at)
        }
        facts.version = version
        facts.status = status
        return bareLF(end, lf)
    }

    /// The start line without its line end; if a rule allows it, without surrounding white space.
    private func lineRange(_ base: UnsafeRawPointer, _ lf: Int) -> Range<Int> {
        let end = lf > 0 && base.byte(lf - 1) == 0x0d ? lf - 1 : lf
        return leniency.contains(.spaces) ? HTTP1Bytes.trimmed(base, 0, end) : 0..<end
    }

    private func isSeparator(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 && leniency.contains(.spaces) }

    private func isExactly(_ base: UnsafeRawPointer, _ from: Int, _ to: Int, _ text: StaticString) -> Bool {
        guard to - from == text.utf8CodeUnitCount else { return false }
        for i in 0..<(to - from) where base.byte(from + i) != text.utf8Start[i] { return false }
        return true
    }

    /// HTTP-version = "HTTP" "/" DIGIT "." DIGIT (RFC 9112 §2.3), from eight bytes.
    private func version(_ base: UnsafeRawPointer, _ at: Int) -> HTTP1Version? {
        guard isExactly(base, at, at + 5, "HTTP/"), base.byte(at + 6) == 0x2e else { return nil }
        let major = base.byte(at + 5) &- 0x30
        let minor = base.byte(at + 7) &- 0x30
        return major < 10 && minor < 10 ? HTTP1Version(major: major, minor: minor) : nil
    }

    /// The position at which the host in an absolute-form becomes ambiguous: the second "@" of its authority (RFC 3986 §3.2 has
    /// one at most), or a missing second slash before it (RFC 9110 §4.2.1), so that what follows may be host or path.
    private func ambiguousAuthority(_ base: UnsafeRawPointer, _ from: Int, _ to: Int) -> Int? {
        if base.byte(from) == 0x2f { return nil }
        let colon = HTTP1Bytes.find(0x3a, base, from, to)
        guard colon + 1 < to, base.byte(colon + 1) == 0x2f else { return nil }
        guard colon + 2 < to, base.byte(colon + 2) == 0x2f else { return colon + 2 }
        var seen = false
        for at in (colon + 3)..<to {
            switch base.byte(at) {
            case 0x2f, 0x3f, 0x23: return nil
            case 0x40:
                if seen { return at }
                seen = true
            default: break
            }
        }
        return nil
    }

    /// Handles a field line that is not simply a name, a colon, and a value: an error, or allowed by a rule.
    private func unusual(_ facts: inout HTTP1Facts, _ base: UnsafeRawPointer, _ start: Int, _ stop: Int) -> Fault? {
        if HTTP1Bytes.isSpace(base.byte(start)) {
            // RFC 9112 §2.2 for a line after the start line, §5.2 for one after a field.
            let isFirst = facts.fields == 0
            guard leniency.contains(.folds), !facts.marks.contains(.unfoldable) else {
                return (isFirst ? .spaceBeforeFirstField : .obsoleteFold, start)
            }
            return badByte(.badFieldValue, base, start, stop)
        }
        var nameEnd = HTTP1Bytes.tokenEnd(base, start, stop)
        if leniency.contains(.bytes) {
            nameEnd = HTTP1Bytes.find(0x3a, base, start, stop)
            if nameEnd < stop {
                while nameEnd > start, HTTP1Bytes.isSpace(base.byte(nameEnd - 1)) { nameEnd -= 1 }
            }
        }
        var colon = nameEnd
        while colon < stop, HTTP1Bytes.isSpace(base.byte(colon)) { colon += 1 }
        if colon == stop || base.byte(colon) != 0x3a {
            if leniency.contains(.junkLines), HTTP1Bytes.find(0x3a, base, start, stop) == stop {
                facts.marks.remove(.unfoldable)
                return badByte(.badFieldName, base, start, stop) ?? count(&facts, start)
            }
            return fault(.badFieldName, base, nameEnd, stop)
        }
        if nameEnd == start, !leniency.contains(.bytes) { return (.badFieldName, start) }
        if colon > nameEnd, !leniency.contains(.spaceBeforeColon) { return (.spaceBeforeColon, nameEnd) }
        return badByte(.badFieldValue, base, start, nameEnd) ?? badByte(.badFieldValue, base, colon + 1, stop)
            ?? note(&facts, base, start, nameEnd, colon + 1, stop)
    }

    // MARK: Fields

    @inline(__always)
    private func count(_ facts: inout HTTP1Facts, _ start: Int) -> Fault? {
        facts.fields &+= 1
        return facts.fields > fieldLimit ? (.tooManyFields, start) : nil
    }

    /// Counts a field, and records what it says about framing, routing, and the connection.
    @inline(__always)
    private func note(
        _ facts: inout HTTP1Facts,
        _ base: UnsafeRawPointer,
        _ start: Int,
        _ nameEnd: Int,
        _ valueStart: Int,
        _ valueEnd: Int
    ) -> Fault? {
        // Bit n: some name of n bytes matters. In trailers none does (RFC 9110 §6.5.1).
        let lengths: UInt64 = section == .trailers ? 0 : 1 << 4 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 14 | 1 << 17
        let count = nameEnd &- start
        if count < 64 && lengths &>> UInt64(truncatingIfNeeded: count) & 1 != 0 {
            if let fault = known(&facts, base, start, count, valueStart, valueEnd) { return fault }
        } else {
            facts.marks.remove(.unfoldable)
        }
        return self.count(&facts, start)
    }

    @inline(never)
    private func known(
        _ facts: inout HTTP1Facts,
        _ base: UnsafeRawPointer,
        _ start: Int,
        _ count: Int,
        _ valueStart: Int,
        _ valueEnd: Int
    ) -> Fault? {
        facts.marks.remove(.unfoldable)
        let value = HTTP1Bytes.trimmed(base, valueStart, valueEnd)
        switch count {
        case 4 where HTTP1Bytes.isSame(base, start, count, as: "host"):
            return host(&facts, base, value, start)
        case 6 where HTTP1Bytes.isSame(base, start, count, as: "expect"):
            if HTTP1Bytes.isSame(base, value.lowerBound, value.count, as: "100-continue") {
                facts.marks.insert(.expectsContinue)
            }
        case 7 where HTTP1Bytes.isSame(base, start, count, as: "upgrade"):
            facts.marks.insert(.upgradeField)
        case 10 where HTTP1Bytes.isSame(base, start, count, as: "connection"):
            connection(&facts, base, value)
        case 14 where HTTP1Bytes.isSame(base, start, count, as: "content-length"):
            return length(&facts, base, value, start)
        case 17 where HTTP1Bytes.isSame(base, start, count, as: "transfer-encoding"):
            return coding(&facts, base, value, start)
        default: break
        }
        return nil
    }

    /// "A server MUST respond with a 400 [...] to any request message that contains more than one Host header field line
    /// or a Host header field with an invalid field value" (RFC 9112 §3.2).
    private func host(
        _ facts: inout HTTP1Facts,
        _ base: UnsafeRawPointer,
        _ value: Range<Int>,
        _ start: Int
    ) -> Fault? {
        guard section == .request else { return nil }
        if facts.marks.contains(.host) {
            return leniency.contains(.anyHost) ? nil : (.repeatedHost, start)
        }
        facts.marks.formUnion([.host, .unfoldable])
        facts.hostStart = Int32(truncatingIfNeeded: value.lowerBound)
        facts.hostCount = Int32(truncatingIfNeeded: value.count)
        if leniency.contains(.anyHost) { return nil }
        for at in value {
            switch base.byte(at) {
            case ...0x20, 0x22, 0x23, 0x2f, 0x3c, 0x3e, 0x3f, 0x40, 0x5c, 0x7f...: return (.badHost, at)
            default: break
            }
        }
        return nil
    }

    /// The options of Connection (RFC 9110 §7.6.1).
    private func connection(_ facts: inout HTTP1Facts, _ base: UnsafeRawPointer, _ value: Range<Int>) {
        elements(base, value) { option in
            let from = option.lowerBound
            if HTTP1Bytes.isSame(base, from, option.count, as: "close") { facts.marks.insert(.close) }
            if HTTP1Bytes.isSame(base, from, option.count, as: "keep-alive") { facts.marks.insert(.keepAlive) }
            if HTTP1Bytes.isSame(base, from, option.count, as: "upgrade") { facts.marks.insert(.upgradeOption) }
            return true
        }
    }

    /// Content-Length = 1*DIGIT (RFC 9110 §8.6); if a rule allows it, a list of equal numbers.
    private func length(
        _ facts: inout HTTP1Facts,
        _ base: UnsafeRawPointer,
        _ value: Range<Int>,
        _ start: Int
    ) -> Fault? {
        if facts.marks.contains(.coding), !leniency.contains(.lengthAndCoding) { return (.lengthAndCoding, start) }
        if facts.marks.contains(.length), !leniency.contains(.repeatedLength) { return (.repeatedLength, start) }
        var fault: Fault? = value.isEmpty ? (.badLength, value.lowerBound) : nil
        let mayBeList = leniency.contains(.repeatedLength)
        elements(base, value, splits: mayBeList) { digits in
            var number: UInt64 = 0
            if digits.isEmpty { fault = (.badLength, digits.lowerBound) }
            for at in digits {
                let digit = UInt64(base.byte(at) &- 0x30)
                guard digit < 10 else {
                    let isList = base.byte(at) == 0x2c && at > digits.lowerBound
                    fault = (isList ? .repeatedLength : .badLength, at)
                    return false
                }
                // Up to 2^63 - 1, so that sums with positions do not overflow.
                guard number <= (UInt64(Int64.max) - digit) / 10 else {
                    fault = (.lengthOverflow, at)
                    return false
                }
                number = number * 10 + digit
            }
            if facts.marks.contains(.length), facts.length != number { fault = (.repeatedLength, digits.lowerBound) }
            facts.marks.formUnion([.length, .unfoldable])
            facts.length = number
            return fault == nil
        }
        return fault
    }

    /// Transfer-Encoding = #transfer-coding (RFC 9112 §6.1); only the position of chunked matters here.
    private func coding(
        _ facts: inout HTTP1Facts,
        _ base: UnsafeRawPointer,
        _ value: Range<Int>,
        _ start: Int
    ) -> Fault? {
        if facts.marks.contains(.length), !leniency.contains(.lengthAndCoding) { return (.lengthAndCoding, start) }
        if facts.version.isOld, !leniency.contains(.codingInHTTP10) { return (.codingInHTTP10, start) }
        facts.marks.formUnion([.coding, .unfoldable])
        // A comma in a quoted parameter would be taken for a separator.
        let quote = HTTP1Bytes.find(0x22, base, value.lowerBound, value.upperBound)
        if quote < value.upperBound { return (.badCoding, quote) }
        let isLenient = !leniency.isDisjoint(with: [.codingNotChunked])
        var fault: Fault? = value.isEmpty && !isLenient ? (.badCoding, value.lowerBound) : nil
        elements(base, value) { element in
            let semicolon = HTTP1Bytes.find(0x3b, base, element.lowerBound, element.upperBound)
            let name = HTTP1Bytes.trimmed(base, element.lowerBound, semicolon)
            if name.isEmpty && isLenient && element.isEmpty { return true }
            let tokenEnd = HTTP1Bytes.tokenEnd(base, name.lowerBound, name.upperBound)
            let isToken = !name.isEmpty && tokenEnd == name.upperBound
            let isChunked = HTTP1Bytes.isSame(base, name.lowerBound, name.count, as: "chunked")
            guard isToken && !(isChunked && semicolon < element.upperBound) else {
                fault = (.badCoding, element.lowerBound)
                return false
            }
            // "A sender MUST NOT apply the chunked transfer coding more than once" (RFC 9112 §6.1).
            if isChunked && facts.marks.contains(.chunked) {
                fault = (.repeatedCoding, element.lowerBound)
                return false
            }
            if isChunked { facts.marks.formUnion([.chunked, .chunkedLast]) } else { facts.marks.remove(.chunkedLast) }
            return true
        }
        return fault
    }

    /// Passes the elements of a list, without surrounding white space, to the body until it returns false.
    @inline(__always)
    private func elements(
        _ base: UnsafeRawPointer,
        _ list: Range<Int>,
        splits: Bool = true,
        _ body: (Range<Int>) -> Bool
    ) {
        var from = list.lowerBound
        while from <= list.upperBound {
            let comma = splits ? HTTP1Bytes.find(0x2c, base, from, list.upperBound) : list.upperBound
            guard body(HTTP1Bytes.trimmed(base, from, comma)) else { return }
            from = comma + 1
        }
    }
}
