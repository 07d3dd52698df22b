// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CPcap
import Dataplane

/// An interface that libpcap has opened. Its devices are more than the system's interfaces: `any`, `nflog`, and others.
final class PcapHandle {
    /// The most bytes of a packet: 64 KiB of IP behind its link header.
    static let longest = 65_536 + 64
    /// The most milliseconds that a packet waits for others.
    private static let patience: Int32 = 10

    let pointer: OpaquePointer
    let linkType: UInt16
    /// The nanoseconds of a unit of what stands in a stamp beside the seconds.
    let fraction: Int64
    private var lastDrops: UInt32 = 0

    /// Opens the device `name` for receiving.
    ///
    /// - Parameter isPrompt: packets do not wait for others.
    init(_ name: String, _ options: LiveSource.Options, isPrompt: Bool) throws(InterfaceError) {
        (pointer, linkType) = try PcapHandle.open(name) { handle in
            pcap_set_snaplen(handle, Int32(PcapHandle.longest))
            pcap_set_promisc(handle, options.isPromiscuous ? 1 : 0)
            pcap_set_timeout(handle, PcapHandle.patience)
            pcap_set_immediate_mode(handle, isPrompt ? 1 : 0)
            pcap_set_buffer_size(handle, 32 << 20)
            pcap_set_tstamp_precision(handle, PCAP_TSTAMP_PRECISION_NANO)
        }
        fraction = pcap_get_tstamp_precision(pointer) == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000
        let direction =
            switch options.direction {
            case .in: PCAP_D_IN
            case .out: PCAP_D_OUT
            case .both: PCAP_D_INOUT
            }
        if options.direction != .both, pcap_setdirection(pointer, direction) != 0 {
            throw InterfaceError(interface: name, reason: "libpcap does not tell there what is sent: \(words)")
        }
        var error = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        if pcap_setnonblock(pointer, 1, &error) != 0 {
            throw InterfaceError(interface: name, reason: "libpcap cannot read it without waiting: \(words)")
        }
    }

    /// Opens the device `name` for sending alone.
    init(sendingOn name: String) throws(InterfaceError) {
        (pointer, linkType) = try PcapHandle.open(name) { handle in
            pcap_set_snaplen(handle, 64)
            pcap_set_buffer_size(handle, 64 << 10)
        }
        fraction = 1
        // `ret #0`: nothing is received.
        var nothing = bpf_insn(code: 6, jt: 0, jf: 0, k: 0)
        withUnsafeMutablePointer(to: &nothing) {
            var program = bpf_program(bf_len: 1, bf_insns: $0)
            _ = pcap_setfilter(pointer, &program)
        }
    }

    deinit { pcap_close(pointer) }

    /// What tells that packets are there; -1 if nothing does.
    var descriptor: Int32 { pcap_get_selectable_fd(pointer) }

    /// What libpcap says of its last error.
    var words: String { String(cString: pcap_geterr(pointer)) }

    /// Packets dropped for lack of room since the last call.
    func takeDrops() -> UInt64 {
        var statistics = pcap_stat()
        guard pcap_stats(pointer, &statistics) == 0 else { return 0 }
        defer { lastDrops = statistics.ps_drop }
        return UInt64(statistics.ps_drop &- lastDrops)
    }

    private static func open(
        _ name: String,
        _ prepare: (OpaquePointer) -> Void
    ) throws(InterfaceError) -> (OpaquePointer, linkType: UInt16) {
        var error = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard let handle = pcap_create(name, &error) else {
            throw InterfaceError(
                interface: name,
                reason: "libpcap cannot open it: \(error.withUnsafeBufferPointer { String(cString: $0.baseAddress!) })"
            )
        }
        prepare(handle)
        // Positive numbers are warnings.
        let status = pcap_activate(handle)
        if status < 0 {
            defer { pcap_close(handle) }
            switch status {
            case PCAP_ERROR_NO_SUCH_DEVICE: throw .missing(name)
            case PCAP_ERROR_PERM_DENIED, PCAP_ERROR_PROMISC_PERM_DENIED: throw .forbidden(name, "open it with libpcap")
            case PCAP_ERROR_IFACE_NOT_UP: throw .down(name)
            default:
                let words = String(cString: pcap_geterr(handle))
                throw InterfaceError(interface: name, reason: "libpcap cannot open it: \(words)")
            }
        }
        let kind = pcap_datalink(handle)
        // Raw IP is the one whose number in files is not that of libpcap.
        let isRaw = kind == Int32(LinkType.rawDLT) || kind == Int32(LinkType.rawOpenBSD)
        return (handle, isRaw ? LinkType.raw : UInt16(truncatingIfNeeded: kind))
    }
}
