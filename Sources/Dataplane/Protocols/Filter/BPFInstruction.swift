// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// One instruction of classic BPF (`struct bpf_insn`).
@frozen
public struct BPFInstruction: Equatable, Hashable, Sendable {
    public var code: UInt16
    public var jt: UInt8
    public var jf: UInt8
    public var k: UInt32

    public init(code: UInt16, jt: UInt8, jf: UInt8, k: UInt32) {
        self.code = code
        self.jt = jt
        self.jf = jf
        self.k = k
    }
}
