// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// One instruction of classic BPF (`struct bpf_insn`).
@frozen
public struct BPFInstruction: Equatable, Hashable, Sendable {
    /// Opcode: class, size, mode, as numbered by the kernel.
    public var code: UInt16
    /// Instructions to skip if a test holds.
    public var jt: UInt8
    /// Instructions to skip if it does not.
    public var jf: UInt8
    /// A constant: comparand, load offset or return value.
    public var k: UInt32

    /// Ends a program with the answer that the packet does not match; alone, the program that no packet matches.
    public static let reject = BPFInstruction(code: 6, jt: 0, jf: 0, k: 0)

    public init(code: UInt16, jt: UInt8, jf: UInt8, k: UInt32) {
        self.code = code
        self.jt = jt
        self.jf = jf
        self.k = k
    }
}
