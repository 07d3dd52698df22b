// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// An input of a filter: bytes of the packet, or its length.
enum Field: Hashable {
    case wireLength
    /// The big-endian number of `size` bytes at `offset`, counted from the end of the IPv4 header that begins at `behind`, or
    /// from the first byte.
    case bytes(size: Int, offset: Int, behind: Int?)

    /// The bits that the field can have set.
    var mask: UInt32 {
        switch self {
        case .bytes(1, _, _): 0xff
        case .bytes(2, _, _): 0xffff
        default: .max
        }
    }
}

/// Knowledge about a register while a program is walked without a packet.
enum SymbolicValue: Hashable {
    case constant(UInt32)
    /// `(field & mask) << shift`; to the right if `shift` is negative. No bit of `mask` is shifted out.
    case field(Field, mask: UInt32, shift: Int)
    /// A calculation that is not tracked.
    case opaque

    /// The field itself.
    init(_ field: Field) { self = .field(field, mask: field.mask, shift: 0) }

    /// The value of an arithmetic operation. Nil if it rejects the packet: a division by 0.
    static func calculate(
        _ operation: BPFOperation.Arithmetic,
        _ a: SymbolicValue,
        _ b: SymbolicValue
    ) -> SymbolicValue? {
        switch (a, b) {
        case (.constant(let a), .constant(let b)): BPFProgram.calculate(operation, a, b).map { .constant($0) }
        case (.field(let field, let mask, let shift), .constant(let k)):
            switch operation {
            case .and: masked(field, mask & (k << -shift), shift)
            case .shiftLeft: k >= 32 ? .constant(0) : shifted(field, mask, shift, by: Int(k))
            case .shiftRight: k >= 32 ? .constant(0) : shifted(field, mask, shift, by: -Int(k))
            default: .opaque
            }
        case (.constant, .field) where operation == .and: calculate(operation, b, a)
        default: .opaque
        }
    }

    private static func masked(_ field: Field, _ mask: UInt32, _ shift: Int) -> SymbolicValue {
        mask == 0 ? .constant(0) : .field(field, mask: mask, shift: shift)
    }

    /// Shifts further left, or right if `n` is negative, dropping the bits that fall out.
    private static func shifted(_ field: Field, _ mask: UInt32, _ shift: Int, by n: Int) -> SymbolicValue {
        // The bits that remain after the shift.
        let kept = (((mask << shift) << n) >> n) >> shift
        return masked(field, mask & kept, shift + n)
    }
}

/// A test of a field: whether `low <= field & mask <= low + span`.
///
/// With a span of 0 it is an equality. All BPF comparisons with a constant reduce to this.
struct FieldTest: Hashable {
    var field: Field
    var mask: UInt32
    var low: UInt32
    var span: UInt32

    /// Whether `value`, a value of the field, passes.
    func holds(_ value: UInt32) -> Bool { (value & mask) &- low <= span }
}

/// The condition of a branch.
enum Condition {
    case always(Bool)
    /// The branch is taken if the test holds, or, if `negated`, if it does not.
    case test(FieldTest, negated: Bool)
    /// The operands are not tracked.
    case unknown

    init(_ comparison: BPFOperation.Comparison, _ a: SymbolicValue, _ b: SymbolicValue) {
        switch (a, b) {
        case (.constant(let a), .constant(let b)): self = .always(BPFProgram.holds(comparison, a, b))
        case (.field(let field, let mask, let shift), .constant(let k)):
            self = Condition(comparison, field, mask, shift, k)
        case (.constant, .field) where comparison == .equal || comparison == .anyBit:
            self = Condition(comparison, b, a)
        default: self = .unknown
        }
    }

    private init(
        _ comparison: BPFOperation.Comparison,
        _ field: Field,
        _ mask: UInt32,
        _ shift: Int,
        _ k: UInt32
    ) {
        switch comparison {
        case .equal:
            let value = k << -shift
            if value << shift != k || value & ~mask != 0 {
                self = .always(false)
            } else {
                self = .test(FieldTest(field: field, mask: mask, low: value, span: 0), negated: false)
            }
        case .anyBit:
            let bits = mask & (k << -shift)
            if bits == 0 {
                self = .always(false)
            } else {
                self = .test(FieldTest(field: field, mask: bits, low: 0, span: 0), negated: true)
            }
        case .greater:
            if k == .max {
                self = .always(false)
            } else {
                self = Condition(.greaterOrEqual, field, mask, shift, k + 1)
            }
        case .greaterOrEqual:
            if k == 0 {
                self = .always(true)
                return
            }
            // The smallest field value that is k or more after the shift.
            let low = shift >= 0 ? ((k - 1) >> shift) + 1 : k << -shift
            if low > mask || (shift < 0 && low << shift != k) {
                self = .always(false)
            } else {
                self = .test(FieldTest(field: field, mask: mask, low: low, span: mask - low), negated: false)
            }
        }
    }
}
