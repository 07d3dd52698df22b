// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The meaning of a classic BPF opcode (McCanne and Jacobson, "The BSD Packet Filter", 1993).
///
/// Unknown opcodes have no operation, and programs with them are not run.
enum BPFOperation: Equatable, BitwiseCopyable {
    /// The source of an operand.
    enum Source: Equatable, BitwiseCopyable {
        case k
        case x
    }
    /// One of the two registers.
    enum Register: Equatable, BitwiseCopyable {
        case a
        case x
    }
    enum Arithmetic: Equatable, BitwiseCopyable {
        case add, subtract, multiply, divide, or, and, shiftLeft, shiftRight, modulo, exclusiveOr
    }
    enum Comparison: Equatable, BitwiseCopyable {
        case equal, greater, greaterOrEqual, anyBit
    }

    /// A = the big-endian number of `size` bytes at `k`.
    case load(size: Int)
    /// The same at `X + k`.
    case loadIndexed(size: Int)
    /// X = 4 times the low half of the byte at `k`: the length of an IPv4 header.
    case loadHeaderLength
    case constant(Register)
    case memory(Register)
    /// The length of the packet on the wire.
    case length(Register)
    case store(Register)
    case arithmetic(Arithmetic, Source)
    case negate
    case copyToX
    case copyToA
    /// Skips `k` instructions; backwards if `k` is negative as an Int32.
    case jump
    case branch(Comparison, Source)
    /// Ends the program with the value `k`; the packet matches if it is not 0.
    case end
    /// Ends the program with the value of A.
    case endA

    init?(code: UInt16) {
        let k = code & 0x08 == 0 ? Source.k : Source.x
        switch code {
        case 0x20: self = .load(size: 4)
        case 0x28: self = .load(size: 2)
        case 0x30: self = .load(size: 1)
        case 0x40: self = .loadIndexed(size: 4)
        case 0x48: self = .loadIndexed(size: 2)
        case 0x50: self = .loadIndexed(size: 1)
        case 0xb1: self = .loadHeaderLength
        case 0x00: self = .constant(.a)
        case 0x01: self = .constant(.x)
        case 0x60: self = .memory(.a)
        case 0x61: self = .memory(.x)
        case 0x80: self = .length(.a)
        case 0x81: self = .length(.x)
        case 0x02: self = .store(.a)
        case 0x03: self = .store(.x)
        case 0x04, 0x0c: self = .arithmetic(.add, k)
        case 0x14, 0x1c: self = .arithmetic(.subtract, k)
        case 0x24, 0x2c: self = .arithmetic(.multiply, k)
        case 0x34, 0x3c: self = .arithmetic(.divide, k)
        case 0x44, 0x4c: self = .arithmetic(.or, k)
        case 0x54, 0x5c: self = .arithmetic(.and, k)
        case 0x64, 0x6c: self = .arithmetic(.shiftLeft, k)
        case 0x74, 0x7c: self = .arithmetic(.shiftRight, k)
        case 0x94, 0x9c: self = .arithmetic(.modulo, k)
        case 0xa4, 0xac: self = .arithmetic(.exclusiveOr, k)
        case 0x84: self = .negate
        case 0x07: self = .copyToX
        case 0x87: self = .copyToA
        case 0x05: self = .jump
        case 0x15, 0x1d: self = .branch(.equal, k)
        case 0x25, 0x2d: self = .branch(.greater, k)
        case 0x35, 0x3d: self = .branch(.greaterOrEqual, k)
        case 0x45, 0x4d: self = .branch(.anyBit, k)
        case 0x06: self = .end
        case 0x16: self = .endA
        default: return nil
        }
    }
}

/// A classic BPF program that cannot leave its code, its memory or the packet.
struct BPFProgram {
    /// One instruction, decoded.
    struct Step: BitwiseCopyable {
        var operation: BPFOperation
        var k: UInt32
        /// The next instruction: the target of a jump or of a branch taken, otherwise the one after.
        var next: Int32
        /// The next instruction if a branch is not taken.
        var otherwise: Int32
    }
    let steps: [Step]

    /// Words of memory a program has.
    static let memoryWords = 16

    /// Checks and decodes `instructions`. Nil if an instruction is unknown, leads out of the program, names memory that does
    /// not exist or divides by a constant 0.
    init?(_ instructions: [BPFInstruction]) {
        var steps: [Step] = []
        steps.reserveCapacity(instructions.count)
        guard instructions.count < 1 << 20 else { return nil }
        for (pc, instruction) in instructions.enumerated() {
            guard let operation = BPFOperation(code: instruction.code) else { return nil }
            var next = pc + 1
            var otherwise = pc + 1
            switch operation {
            case .jump: next += Int(Int32(bitPattern: instruction.k))
            case .branch:
                next += Int(instruction.jt)
                otherwise += Int(instruction.jf)
            case .end, .endA:
                next = pc
                otherwise = pc
            case .memory, .store: if instruction.k >= BPFProgram.memoryWords { return nil }
            case .arithmetic(.divide, .k), .arithmetic(.modulo, .k): if instruction.k == 0 { return nil }
            default: break
            }
            guard instructions.indices.contains(next), instructions.indices.contains(otherwise) else { return nil }
            steps.append(Step(operation: operation, k: instruction.k, next: Int32(next), otherwise: Int32(otherwise)))
        }
        if steps.isEmpty { return nil }
        self.steps = steps
    }

    /// The result of the program at `steps` for a packet, 0 to reject it; and the number of branches executed.
    ///
    /// A load that is not entirely within the captured bytes, and a division by 0, reject the packet. A program that jumps back
    /// more often than the packet has bytes (libpcap's loops over header chains consume some each time) rejects it too, so none
    /// can hang.
    @inline(never)
    static func run(
        _ steps: UnsafePointer<Step>,
        _ data: UnsafeRawPointer,
        captured: UInt32,
        wire: UInt32
    ) -> (value: UInt32, branches: Int) {
        var a: UInt32 = 0
        var x: UInt32 = 0
        var memory = InlineArray<16, UInt32>(repeating: 0)
        var pc = 0
        var jumpsBack = 0
        var branches = 0
        while true {
            let step = steps[pc]
            let k = step.k
            var next = Int(step.next)
            switch step.operation {
            case .load(let size):
                guard let value = load(data, captured, at: Int(k), size) else { return (0, branches) }
                a = value
            case .loadIndexed(let size):
                guard let value = load(data, captured, at: Int(x) &+ Int(k), size) else { return (0, branches) }
                a = value
            case .loadHeaderLength:
                guard let value = load(data, captured, at: Int(k), 1) else { return (0, branches) }
                x = (value & 15) &<< 2
            case .constant(.a): a = k
            case .constant(.x): x = k
            case .memory(.a): a = memory[Int(k)]
            case .memory(.x): x = memory[Int(k)]
            case .length(.a): a = wire
            case .length(.x): x = wire
            case .store(.a): memory[Int(k)] = a
            case .store(.x): memory[Int(k)] = x
            case .arithmetic(let operation, let source):
                guard let value = calculate(operation, a, source == .k ? k : x) else { return (0, branches) }
                a = value
            case .negate: a = 0 &- a
            case .copyToX: x = a
            case .copyToA: a = x
            case .jump: break
            case .branch(let comparison, let source):
                branches &+= 1
                if !holds(comparison, a, source == .k ? k : x) { next = Int(step.otherwise) }
            case .end: return (k, branches)
            case .endA: return (a, branches)
            }
            if next <= pc {
                jumpsBack &+= 1
                if jumpsBack > captured { return (0, branches) }
            }
            pc = next
        }
    }

    /// The big-endian number of `size` bytes at `offset`; nil if it was not fully captured.
    @inline(__always)
    static func load(_ data: UnsafeRawPointer, _ captured: UInt32, at offset: Int, _ size: Int) -> UInt32? {
        if offset &+ size > Int(captured) { return nil }
        switch size {
        case 1: return UInt32(data.byte(offset))
        case 2: return UInt32(data.be16(offset))
        default: return data.be32(offset)
        }
    }

    /// The result of an operation; nil for a division by 0.
    @inline(__always)
    static func calculate(_ operation: BPFOperation.Arithmetic, _ a: UInt32, _ b: UInt32) -> UInt32? {
        switch operation {
        case .add: a &+ b
        case .subtract: a &- b
        case .multiply: a &* b
        case .divide: b == 0 ? nil : a / b
        case .modulo: b == 0 ? nil : a % b
        case .or: a | b
        case .and: a & b
        case .exclusiveOr: a ^ b
        // Shifting by 32 or more leaves nothing.
        case .shiftLeft: a << b
        case .shiftRight: a >> b
        }
    }

    /// Whether a comparison of unsigned numbers holds.
    @inline(__always)
    static func holds(_ comparison: BPFOperation.Comparison, _ a: UInt32, _ b: UInt32) -> Bool {
        switch comparison {
        case .equal: a == b
        case .greater: a > b
        case .greaterOrEqual: a >= b
        case .anyBit: a & b != 0
        }
    }
}
