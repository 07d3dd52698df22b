// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// Sockets that share the packets of an interface, one for each of several threads (PACKET_FANOUT, packet(7)).
///
/// By flow the kernel's own hash chooses the socket, which is the same for both directions. By pair of hosts a small program does:
/// the kernel's hash has ports, which fragments lack.
public final class Fanout {
    /// Of several threads, what stays together on one.
    private let divides: Divides
    private let seed: UInt64
    /// The group's number, once its first socket has joined.
    private var number: UInt16?
    /// How it divides packets, and what it leaves out.
    private var kind: Int32 = 0

    /// - Parameters:
    ///   - divides: what stays together.
    ///   - seed: of the choice by hosts.
    public init(by divides: Divides, seed: UInt64) {
        self.divides = divides
        self.seed = seed
    }

    /// A group sees what is sent, whatever its sockets say, unless it is told this (PACKET_FANOUT_FLAG_IGNORE_OUTGOING, since Linux 5.16).
    private static let ignoresOutgoing: Int32 = 0x4000

    /// Adds a socket that is bound. Where the kernel cannot leave out what is sent, the socket has to.
    func add(_ socket: PacketSocket, ignoresOutgoing: Bool) throws(InterfaceError) {
        let what = "share its packets among threads"
        if let number {
            try socket.require(PACKET_FANOUT, UInt32(number) | UInt32(kind) << 16, what)
            return
        }
        // The kernel chooses a number that nobody else has.
        let unique = PACKET_FANOUT_FLAG_UNIQUEID
        kind = divides == .hosts ? PACKET_FANOUT_CBPF : PACKET_FANOUT_HASH
        if ignoresOutgoing, socket.set(PACKET_FANOUT, UInt32(kind | Fanout.ignoresOutgoing | unique) << 16) {
            kind |= Fanout.ignoresOutgoing
        } else {
            try socket.require(PACKET_FANOUT, UInt32(kind | unique) << 16, what)
        }
        guard let made = socket.get(PACKET_FANOUT, UInt32.self) else {
            throw InterfaceError(socket.interface, system: errno, doing: what)
        }
        number = UInt16(truncatingIfNeeded: made)
        if divides == .hosts {
            var program = Fanout.hosts(UInt32(truncatingIfNeeded: mix(seed)) | 1)
            let isSet = program.withUnsafeMutableBufferPointer { code in
                socket.set(PACKET_FANOUT_DATA, sock_fprog(len: UInt16(code.count), filter: code.baseAddress))
            }
            if !isSet { throw InterfaceError(socket.interface, system: errno, doing: what) }
        }
    }

    private func mix(_ x: UInt64) -> UInt64 {
        let (high, low) = (x ^ 0x5370_696c_6c77_6179).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
        return high ^ low
    }

    /// A classic BPF program that gives a number to each pair of hosts, and 0 to what is not of IP: the exclusive or of their addresses,
    /// times `factor`.
    private static func hosts(_ factor: UInt32) -> [sock_filter] {
        // Offsets from here on count from the network header (SKF_NET_OFF in linux/filter.h).
        let network = UInt32(bitPattern: -0x100000)
        func op(_ code: Int32, _ k: UInt32, _ yes: UInt8 = 0, _ no: UInt8 = 0) -> sock_filter {
            sock_filter(code: UInt16(code), jt: yes, jf: no, k: k)
        }
        let (loadByte, load) = (BPF_LD | BPF_B | BPF_ABS, BPF_LD | BPF_W | BPF_ABS)
        let tax = op(BPF_MISC | BPF_TAX, 0)
        let xor = op(BPF_ALU | BPF_XOR | BPF_X, 0)
        var six: [sock_filter] = [op(load, network &+ 8)]
        for word in 1..<8 { six += [tax, op(load, network &+ 8 &+ UInt32(4 * word)), xor] }
        let four = [op(load, network &+ 12), tax, op(load, network &+ 16), xor]
        let end = [
            op(BPF_ALU | BPF_MUL | BPF_K, factor), op(BPF_ALU | BPF_RSH | BPF_K, 16), op(BPF_RET | BPF_A, 0),
        ]
        return [
            op(loadByte, network), op(BPF_ALU | BPF_RSH | BPF_K, 4),
            op(BPF_JMP | BPF_JEQ | BPF_K, 4, 2, 0),
            op(BPF_JMP | BPF_JEQ | BPF_K, 6, UInt8(1 + four.count + 1), 0),
            op(BPF_RET | BPF_K, 0),
        ] + four + [op(BPF_JMP | BPF_JA, UInt32(six.count))] + six + end
    }
}
