// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import Glibc
import Testing

@Suite struct FilterCompilerTests {
    static func message(_ filter: String, linkType: UInt16 = 1) -> String {
        do {
            _ = try FilterCompiler.compile(filter, linkType: linkType)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func compiles() throws {
        #expect(try FilterCompiler.compile("", linkType: 1)?.count == 1)
        // EtherType IPv4 at byte 12 of Ethernet, at byte 14 of Linux cooked, and the version in raw IP's first byte.
        #expect(try FilterCompiler.compile("ip", linkType: 1)?.first == BPFInstruction(code: 0x28, jt: 0, jf: 0, k: 12))
        #expect(
            try FilterCompiler.compile("ip", linkType: 113)?.first == BPFInstruction(code: 0x28, jt: 0, jf: 0, k: 14)
        )
        #expect(
            try FilterCompiler.compile("ip", linkType: 101)?.first == BPFInstruction(code: 0x30, jt: 0, jf: 0, k: 0)
        )
    }

    @Test(arguments: [
        "tcp and", "foo bar", "tcp port", "((tcp)", "port 65536", "ip[", "tcp[0:3] = 1", "vlan 5000", "\u{e9}",
    ])
    func errorsHaveLibpcapsWords(_ filter: String) {
        #expect(!FilterCompilerTests.message(filter).isEmpty)
        #expect(!FilterCompilerTests.message(filter, linkType: 101).isEmpty)
    }

    @Test func saysWhatLibpcapSays() {
        #expect(FilterCompilerTests.message("tcp and").contains("syntax error"))
        #expect(FilterCompilerTests.message("port nosuchservice").contains("unknown port 'nosuchservice'"))
    }

    /// As `tcpdump -d 'ip broadcast' -r FILE` prints it.
    @Test func broadcastIsThatOfEveryNetwork() throws {
        let program = try #require(try FilterCompiler.compile("ip broadcast", linkType: 1))
        #expect(program.map(\.k) == [12, 0x800, 30, 0, 0xffff_ffff, 262_144, 0])
    }

    @Test func aFilterForOtherLinksTakesNothing() throws {
        #expect(try FilterCompiler.compile("wlan type mgt", linkType: 1) == nil)
        #expect(try FilterCompiler.compile("wlan type mgt", linkType: 105) != nil)
        #expect(try FilterCompiler.compile("ether host 1:2:3:4:5:6", linkType: 101) == nil)
        // No filter at all: USB, and a number nobody has.
        #expect(try FilterCompiler.compile("tcp", linkType: 60_000) == nil)
    }

    @Test(arguments: [
        "host example.com", "example.com", "src www.example.com and tcp", "net loopback", "tcp port 80 and host a.b",
        "host 1.2.3.4.5", "port 80 and (tcp or host web-1)", "host \\tcp", "dst host x or port http",
        "ether host router",
        "gateway router", "host 1example", "not localhost", "host fe80::1 and host fe80.example",
    ])
    func namesAreNotLookedUp(_ filter: String) {
        #expect(FilterCompilerTests.message(filter).contains("names are not looked up"), "\(filter)")
    }

    @Test(arguments: [
        "port http", "tcp port http or https", "port (http or domain)", "portrange ftp-http", "ip proto \\tcp",
        "host 10.0.0.1 and port http", "ip proto ospf", "ether proto \\arp", "tcp[tcpflags] & tcp-syn != 0",
        "icmp[icmptype] = icmp-echo", "host ::ffff:1.2.3.4", "host fe80::1", "net fe80::/10", "ip6 net 2001:db8::/32",
        "ether host 00-11-22-33-44-55", "ether host 001122334455", "ether host 0011.2233.4455", "tcp[0:2] = 0x50",
        "net 10", "net 10.1", "len>=54 and len<=74", "tcp[13:1]&2!=0", "not(tcp)", "tcp||udp", "ip && !udp",
    ])
    func addressesAndPortsAreNotNames(_ filter: String) {
        #expect(FilterCompilerTests.message(filter) == "", "\(filter)")
    }

    /// What excludes itself is valid, and matches nothing.
    @Test(arguments: ["tcp and udp", "ip and arp", "ip proto 6 and ip proto 17", "1 = 0"])
    func whatExcludesItselfMatchesNothing(_ filter: String) throws {
        for linkType in [LinkType.ethernet, LinkType.raw, LinkType.linuxSLL] {
            #expect(try FilterCompiler.compile(filter, linkType: linkType) == [.reject])
        }
    }

    @Test func rejectsNULAndTooLongFilters() {
        #expect(FilterCompilerTests.message("tcp\0 and udp").contains("NUL"))
        let long = Array(repeating: "tcp", count: 3_000).joined(separator: " or ")
        #expect(FilterCompilerTests.message(long).contains("longer than"))
    }

    /// The costliest filters of the length allowed are compiled, or refused, in reasonable time.
    @Test(
        arguments: [
            (" or port 1", "port 1"), (" or host 10.0.0.1", "tcp"), (" and tcp[0] != 1", "tcp"), ("not ", ""),
            ("(", ""),
            (" and vlan", "tcp"), (" + ip[0]", "1 = 1"), (" or a", "tcp"), ("[", "ip"),
        ]
    )
    func hostileFilters(_ part: String, _ first: String) {
        var filter = first
        while filter.utf8.count + part.utf8.count <= FilterCompiler.maximumLength { filter += part }
        // The thread's own time: others may have the cores.
        func used() -> Int {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return time.tv_sec
        }
        let began = used()
        _ = FilterCompilerTests.message(filter)
        #expect(used() - began < 60)
    }
}
