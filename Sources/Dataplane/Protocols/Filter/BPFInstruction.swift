// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// One instruction of classic BPF (`struct bpf_insn`).
@frozen
public struct BPFInstruction: Equatable, Hashable, Sendable {
    /// What it does: class, size, mode, as the kernel numbers them.
    public var code: UInt16
    /// Instructions to skip when a test holds.
    public var jt: UInt8
    /// Instructions to skip when it does not.
    public var jf: UInt8
    /// A constant: what to compare with, where to load from, what to return.
    public var k: UInt32

    public init(code: UInt16, jt: UInt8, jf: UInt8, k: UInt32) {
        self.code = code
        self.jt = jt
        self.jf = jf
        self.k = k
    }
}
