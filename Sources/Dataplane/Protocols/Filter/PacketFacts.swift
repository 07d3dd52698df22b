// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Facts that the tests on a path have established about a packet, so that none is made twice.
struct PacketFacts: Hashable {
    /// Knowledge about one field.
    private struct Knowledge: Hashable {
        /// The bits that are known, and their values.
        var knownBits: UInt32 = 0
        var bits: UInt32 = 0
        /// The field lies in `low ... high`.
        var low: UInt32 = 0
        var high: UInt32
    }
    /// Bounds on the number of captured bytes from some place on: at least `minimum`, and fewer than `limit`.
    private struct Extent: Hashable {
        var minimum = 0
        var limit = Int.max
    }

    private var fields: [Field: Knowledge] = [:]
    /// Equalities known not to hold.
    private var excluded: Set<FieldTest> = []
    private var extents: [Int?: Extent] = [:]

    /// The size of the facts, for bounding the work of copying and comparing them.
    var count: Int { fields.count + excluded.count + extents.count }

    /// Whether `count` bytes are captured, from the first byte or behind the IPv4 header at `behind`; nil when unknown.
    func areCaptured(_ count: Int, behind: Int?) -> Bool? {
        guard let extent = extents[behind] else { return nil }
        if count <= extent.minimum { return true }
        return count >= extent.limit ? false : nil
    }

    mutating func learn(captured count: Int, behind: Int?, _ answer: Bool) {
        if answer {
            extents[behind, default: Extent()].minimum = count
        } else {
            extents[behind, default: Extent()].limit = count
        }
    }

    /// The constant that `value` is known to equal, otherwise `value`.
    func resolve(_ value: SymbolicValue) -> SymbolicValue {
        guard case .field(let field, let mask, let shift) = value, let known = fields[field],
            mask & ~known.knownBits == 0
        else { return value }
        return .constant((known.bits & mask) << shift)
    }

    /// Whether `test` holds; nil when unknown.
    func decide(_ test: FieldTest) -> Bool? {
        guard let known = fields[test.field] else { return nil }
        if test.mask & ~known.knownBits == 0 { return test.holds(known.bits) }
        if test.span == 0 {
            if (known.bits ^ test.low) & known.knownBits & test.mask != 0 { return false }
            if excluded.contains(test) { return false }
        }
        if test.mask == test.field.mask {
            let high = test.low + test.span
            if test.low <= known.low && known.high <= high { return true }
            if high < known.low || known.high < test.low { return false }
        }
        return nil
    }

    mutating func learn(_ test: FieldTest, _ answer: Bool) {
        let whole = test.mask == test.field.mask
        let high = test.low + test.span
        var known = fields[test.field] ?? Knowledge(high: test.field.mask)
        switch (answer, test.span) {
        case (true, 0):
            known.knownBits |= test.mask
            known.bits = known.bits & ~test.mask | test.low
        case (false, 0) where test.mask.nonzeroBitCount == 1:
            known.knownBits |= test.mask
            known.bits = known.bits & ~test.mask | ~test.low & test.mask
        case (false, 0):
            excluded.insert(test)
        default: break
        }
        if whole && answer {
            known.low = max(known.low, test.low)
            known.high = min(known.high, high)
        } else if whole && test.low <= known.low {
            known.low = max(known.low, high + 1)
        } else if whole && high >= known.high {
            known.high = min(known.high, test.low - 1)
        }
        // If the field is known, excluded values add nothing: equal knowledge must compare equal.
        if known.knownBits == test.field.mask, answer { excluded = excluded.filter { $0.field != test.field } }
        fields[test.field] = known
    }
}
