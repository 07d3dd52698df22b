// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CPcap
import Dataplane
import Glibc

/// Compiles filters in pcap-filter syntax, with libpcap.
public enum FilterCompiler {
    /// The longest filter accepted, in bytes. The time of libpcap's optimiser grows faster than the square of a filter's terms:
    /// a second for this many bytes of ports, a minute for four times as many.
    public static let maximumLength = 2_048

    /// The BPF program of `filter` for packets of a link type (LINKTYPE_ value); nil if libpcap has no filters for that link
    /// type, or rejects this one for it, as `wlan type mgt` on Ethernet: then no such packet matches.
    ///
    /// Throws ``FilterError`` with libpcap's message if the filter is wrong for every common link type, if it is too long, and
    /// if it names a host or network: names are not looked up, so that a filter means the same everywhere and compiling never
    /// waits for a server. Names of ports and protocols are the system's.
    public static func compile(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        guard filter.utf8.count <= maximumLength else {
            throw FilterError("the filter is longer than \(maximumLength) bytes")
        }
        guard !filter.utf8.contains(0) else { throw FilterError("the filter contains a NUL byte") }
        if let name = NameScan.hostName(in: filter) {
            throw FilterError(
                "'\(name)' looks like a name of a host or network; names are not looked up, write its address"
            )
        }
        if case .program(let program) = attempt(filter, linkType) { return program }
        // The filter may be valid for packets of another kind. Ethernet comes first: its message is the one to show.
        var message = ""
        for other in commonLinkTypes {
            switch attempt(filter, other) {
            case .program: return nil
            case .refused(let words): if message.isEmpty { message = words }
            }
        }
        throw FilterError(message)
    }

    /// Link types with their own filters: Ethernet, raw IP, PPP, BSD loopback, FDDI, Token Ring, Linux cooked, 802.11, 802.11
    /// with radiotap, SunATM, PF log, Frame Relay, MTP2, and AppleTalk's LocalTalk.
    private static let commonLinkTypes: [UInt16] = [1, 101, 9, 0, 10, 6, 113, 105, 127, 123, 117, 107, 140, 114]

    enum Attempt {
        case program([BPFInstruction])
        case refused(String)
    }

    /// Compiles a filter without checking for names first.
    static func attempt(_ filter: String, _ linkType: UInt16) -> Attempt {
        guard let handle = open(linkType) else { return .refused("link type \(linkType) is not known to libpcap") }
        defer { pcap_close(handle) }
        var program = bpf_program()
        // The netmask of a capture is not known; with tcpdump's 0 `ip broadcast` is 0.0.0.0 and 255.255.255.255.
        guard pcap_compile(handle, &program, filter, 1, 0) == 0 else {
            let words = String(cString: pcap_geterr(handle))
            // The filter is valid, and its optimiser found that nothing can match it.
            return words == "expression rejects all packets" ? .program([.reject]) : .refused(words)
        }
        defer { pcap_freecode(&program) }
        let instructions = UnsafeBufferPointer(start: program.bf_insns, count: Int(program.bf_len))
        return .program(instructions.map { BPFInstruction(code: $0.code, jt: $0.jt, jf: $0.jf, k: $0.k) })
    }

    /// An empty capture with that link type. It is opened as a file, because only then does libpcap convert the number in files
    /// (LINKTYPE_) to its own (DLT_).
    private static func open(_ linkType: UInt16) -> OpaquePointer? {
        // Magic, version 2.4, two zero fields, maximum packet length, link type: in this machine's byte order.
        var header: [UInt32] = [0xa1b2_c3d4, 0, 0, 0, 262_144, UInt32(linkType)]
        header.withUnsafeMutableBytes {
            $0.storeBytes(of: 2, toByteOffset: 4, as: UInt16.self)
            $0.storeBytes(of: 4, toByteOffset: 6, as: UInt16.self)
        }
        return header.withUnsafeMutableBytes { bytes in
            guard let file = fmemopen(bytes.baseAddress, bytes.count, "r") else { return nil }
            var error = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
            // The header is read here, and nothing after it later; on success the handle owns the file.
            if let handle = pcap_fopen_offline(file, &error) { return handle }
            fclose(file)
            return nil
        }
    }
}

/// Finds words in a filter that libpcap would take for the name of a host or network.
private enum NameScan {
    /// Words followed by the name of a port, a protocol or the like, none of which needs a server.
    private static let local: Set<String> = [
        "port", "portrange", "proto", "protochain", "type", "subtype", "dir", "direction", "llc", "on", "ifname",
        "reason",
        "action", "rset", "ruleset",
    ]
    private static let connectives: Set<String> = ["and", "or", "not"]

    /// The first such word; nil if there is none.
    static func hostName(in filter: String) -> String? {
        var known: [String: Bool] = [:]
        var isLocal = false
        for token in tokens(of: Array(filter.utf8)) {
            if token.escaped {
                if !isLocal { return token.word }
            } else if local.contains(token.word) {
                isLocal = true
            } else if !connectives.contains(token.word), !isAddress(token.word) {
                let name = known[token.word] ?? isName(token.word)
                known[token.word] = name
                if !name { isLocal = false } else if !isLocal { return token.word }
            }
        }
        return nil
    }

    /// Whether libpcap reads a word as a name rather than a word of the language. Port names are allowed where numbers are, and
    /// a name there is at worst unknown; a word of the language is a syntax error, or a number itself.
    private static func isName(_ word: String) -> Bool {
        if case .refused(let words) = FilterCompiler.attempt("port \(word)", 1), words.contains("syntax error") {
            return false
        }
        if case .program = FilterCompiler.attempt("len = \(word)", 1) { return false }
        return true
    }

    /// Splits a filter into words as libpcap does.
    private static func tokens(of filter: [UInt8]) -> [(word: String, escaped: Bool)] {
        var tokens: [(word: String, escaped: Bool)] = []
        var at = 0
        /// The end of the run of `allowed` bytes from `start` on.
        func end(_ start: Int, _ allowed: (UInt8) -> Bool) -> Int {
            filter[start...].firstIndex { !allowed($0) } ?? filter.count
        }
        func text(_ range: Range<Int>) -> String { String(decoding: filter[range], as: UTF8.self) }
        while at < filter.count {
            if filter[at] == UInt8(ascii: "\\") {
                let stop = end(at + 1) { !" !()\n\t".utf8.contains($0) }
                tokens.append((text(at + 1..<stop), true))
                at = stop
            } else if isAlphanumeric(filter[at]) || filter[at] == UInt8(ascii: ":") {
                // IPv6 and Ethernet addresses first, as their colons separate numbers elsewhere.
                let address = end(at) { isAlphanumeric($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") }
                if isColonAddress(text(at..<address)) {
                    at = address
                } else if filter[at] == UInt8(ascii: ":") {
                    at += 1
                } else {
                    var stop = end(at) { isAlphanumeric($0) || "-_.".utf8.contains($0) }
                    while "-_".utf8.contains(filter[stop - 1]) { stop -= 1 }
                    tokens.append((text(at..<stop), false))
                    at = stop
                }
            } else {
                at += 1
            }
        }
        return tokens
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }

    /// Whether a word is an IPv6 or Ethernet address written with colons.
    private static func isColonAddress(_ word: String) -> Bool {
        guard word.utf8.contains(UInt8(ascii: ":")) else { return false }
        var address = in6_addr()
        return inet_pton(AF_INET6, word, &address) == 1 || isGroups(word, ":", count: 6, digits: 1...2)
    }

    /// Whether a word is a number, an IPv4 address or part of one, or an Ethernet address without colons.
    private static func isAddress(_ word: String) -> Bool {
        let parts = word.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count <= 4 && parts.allSatisfy(isNumber)
            || isGroups(word, "-", count: 6, digits: 1...2) || isGroups(word, ".", count: 6, digits: 1...2)
            || isGroups(word, ".", count: 3, digits: 4...4) || isGroups(word, ".", count: 1, digits: 12...12)
    }

    private static func isNumber(_ word: Substring) -> Bool {
        if word.hasPrefix("0x") || word.hasPrefix("0X") { return isHexadecimal(word.dropFirst(2), 1...Int.max) }
        return !word.isEmpty && word.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    }

    private static func isGroups(
        _ word: String,
        _ separator: Character,
        count: Int,
        digits: ClosedRange<Int>
    ) -> Bool {
        let groups = word.split(separator: separator, omittingEmptySubsequences: false)
        return groups.count == count && groups.allSatisfy { isHexadecimal($0, digits) }
    }

    private static func isHexadecimal(_ word: Substring, _ digits: ClosedRange<Int>) -> Bool {
        digits.contains(word.utf8.count) && word.allSatisfy { $0.isASCII && $0.isHexDigit }
    }
}
