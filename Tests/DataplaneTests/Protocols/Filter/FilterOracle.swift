// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CPcap
import Dataplane
import Glibc
import TestSupport

/// Names of the files in the directory of captures, sorted.
func captureNames() -> [String] {
    guard let directory = opendir(Shared.captures) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name.contains("cap") || name.hasSuffix(".snoop") { names.append(name) }
    }
    return names.sorted()
}

/// One packet as libpcap reads it.
struct Captured {
    var bytes: [UInt8]
    var wireLength: UInt32
}

/// A capture opened by libpcap: its link type as a file writes it, and its filters.
final class Oracle {
    private let handle: OpaquePointer
    /// LINKTYPE_ value, from the file's own header.
    let linkType: UInt16

    /// Opens a capture; nil where libpcap refuses it.
    init?(path: String) {
        var error = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard let handle = pcap_open_offline(path, &error) else { return nil }
        guard let linkType = Oracle.readLinkType(path) else {
            pcap_close(handle)
            return nil
        }
        self.handle = handle
        self.linkType = linkType
    }

    /// Ethernet, for packets that come from nowhere.
    init() {
        // A file without packets: filters such as `inbound` differ between files and interfaces.
        var header: [UInt32] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_536, 1]
        var error = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        handle = pcap_fopen_offline(fmemopen(&header, 24, "r"), &error)
        linkType = 1
    }

    deinit { pcap_close(handle) }

    /// The link type as the file's header has it, read without our own reader: pcap at byte 20, pcapng in its first
    /// interface block.
    private static func readLinkType(_ path: String) -> UInt16? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = fread(&bytes, 1, bytes.count, file)
        func number(_ at: Int, _ size: Int, swapped: Bool) -> UInt32 {
            guard at + size <= count else { return 0 }
            let digits = bytes[at..<at + size]
            return (swapped ? Array(digits) : digits.reversed()).reduce(0) { $0 << 8 | UInt32($1) }
        }
        switch number(0, 4, swapped: false) {
        case 0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34:
            return UInt16(truncatingIfNeeded: number(20, 4, swapped: false))
        case 0xd4c3_b2a1, 0x4d3c_b2a1, 0x34cd_b2a1:
            return UInt16(truncatingIfNeeded: number(20, 4, swapped: true))
        case 0x0a0d_0d0a:
            let swapped = number(8, 4, swapped: false) != 0x1a2b_3c4d
            var at = Int(number(4, 4, swapped: swapped))
            while at + 12 <= count {
                if number(at, 4, swapped: swapped) == 1 { return UInt16(number(at + 8, 2, swapped: swapped)) }
                at += max(12, Int(number(at + 4, 4, swapped: swapped)))
            }
            return nil
        default: return nil
        }
    }

    /// Reads up to `limit` packets, until the end or what libpcap refuses.
    func packets(limit: Int) -> [Captured] {
        var packets: [Captured] = []
        var header: UnsafeMutablePointer<pcap_pkthdr>?
        var data: UnsafePointer<UInt8>?
        while packets.count < limit, pcap_next_ex(handle, &header, &data) == 1, let header, let data {
            let bytes = Array(UnsafeBufferPointer(start: data, count: Int(header.pointee.caplen)))
            packets.append(Captured(bytes: bytes, wireLength: header.pointee.len))
        }
        return packets
    }

    /// A filter as libpcap compiles and runs it.
    final class Filter {
        fileprivate var program = bpf_program()
        let isRefused: Bool

        fileprivate init(_ handle: OpaquePointer, _ text: String) {
            isRefused = pcap_compile(handle, &program, text, 1, 0) != 0
        }

        deinit { if !isRefused { pcap_freecode(&program) } }

        /// Whether the filter takes a packet; a refused one takes none.
        func matches(_ packet: UnsafeRawBufferPointer, wireLength: UInt32) -> Bool {
            if isRefused { return false }
            var header = pcap_pkthdr()
            header.caplen = UInt32(packet.count)
            header.len = wireLength
            var none: UInt8 = 0
            guard let start = packet.baseAddress else { return pcap_offline_filter(&program, &header, &none) != 0 }
            return pcap_offline_filter(&program, &header, start.assumingMemoryBound(to: UInt8.self)) != 0
        }
    }

    func filter(_ text: String) -> Filter { Filter(handle, text) }
}
