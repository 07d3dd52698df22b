// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

@Suite struct TLSClientHelloTests: StreamBench {
    /// A packet that no receiver takes comes first, so that nothing of its connection would be read.
    @Test(arguments: ["R", "RA", "F"]) func whatNoReceiverTakesEndsNothing(_ flags: String) throws {
        let found = try run(
            "TLSClientHello",
            "",
            [
                packet("10.0.0.1:1000 > 10.0.0.2:80 \(flags) seq=1"), packet("10.0.0.1:1000 > 10.0.0.2:80 S seq=0"),
                data(hello("example.org"), 1),
            ]
        )
        #expect(found.texts("records").first?.hasSuffix(whole) == true)
    }

    /// A hello for `name`, in records of `recordSize` bytes.
    private func hello(_ name: String, recordSize: Int = 16_384, padding: Int = 0) -> [UInt8] {
        func vector16(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes }
        let names = [0, 0] + vector16(vector16([0] + vector16(Array(name.utf8))))
        let protocols = [0, 16] + vector16(vector16([2] + Array("h2".utf8) + [8] + Array("http/1.1".utf8)))
        let versions: [UInt8] = [0, 43, 0, 3, 2, 3, 4]
        let fill = padding == 0 ? [] : [0, 21] + vector16(Array(repeating: 0, count: padding))
        let body =
            [3, 3] + Array(repeating: UInt8(9), count: 32) + [0] + vector16([0x13, 1]) + [1, 0]
            + vector16(names + protocols + versions + fill)
        let message = [1, 0] + vector16(body)
        return Swift.stride(from: 0, to: message.count, by: recordSize).flatMap {
            [0x16, 3, 1] + vector16(Array(message[$0..<min(message.count, $0 + recordSize)]))
        }
    }

    private func pieces(
        _ bytes: [UInt8],
        _ size: Int,
        _ sequence: Int = 1,
        port: Int = 1000
    ) throws -> [ElementHarness.Packet] {
        try Swift.stride(from: 0, to: bytes.count, by: size).map {
            try data(bytes[$0..<min(bytes.count, $0 + size)], sequence + $0, port: port)
        }
    }

    private let whole =
        "form=tls version=TLS 1.3 sni=example.org alpn=h2,http/1.1 error="

    /// Labels stand behind everything else, and cannot have the name of a column.
    @Test func labels() throws {
        let found = try run("TLSClientHello", "{labels: {site: north, note: ''}}", [data(hello("example.org"), 1)])
        #expect(found.texts("records").first?.hasSuffix("\(whole) site=north note=") == true)
        #expect(throws: (any Error).self) { try run("TLSClientHello", "{labels: {sni: x}}", []) }
    }

    @Test func aHelloInAnyPieces() throws {
        for (recordSize, before) in [
            (16_384, ""), (1, ""), (7, ""), (16_384, "CONNECT example.org:443 HTTP/1.1\r\n\r\n"),
        ] {
            let bytes = Array(before.utf8) + hello("example.org", recordSize: recordSize)
            for size in [1, 2, 5, 6, 11, 50, bytes.count] {
                let found = try run("TLSClientHello", "", pieces(bytes, size))
                #expect(found.texts("records").count == 1)
                #expect(found.texts("records").first?.hasSuffix(whole) == true, "\(recordSize) \(before) \(size)")
                #expect(found.handler("waiting") == 0)
            }
            if recordSize > 7 {
                for cut in 1..<bytes.count {
                    let packets = try [data(bytes[..<cut], 1), data(bytes[cut...], 1 + cut)]
                    #expect(try run("TLSClientHello", "", packets).texts("records").first?.hasSuffix(whole) == true)
                }
            }
        }
    }

    /// Where the search ends does not depend on pieces: the first byte, which may begin a hello of SSL 2.0, is remembered.
    @Test(arguments: [0, 1, 2, 9]) func theSearchEndsWhereItShould(_ before: Int) throws {
        let bytes = [0xcc] + Array(repeating: 0x16, count: before) + hello("example.org")
        for size in [1, 2, 3, 7, bytes.count] {
            for (search, isFound) in [(before, false), (before + 1, true)] {
                let found = try run("TLSClientHello", "{search: \(search) B}", pieces(bytes, size))
                #expect(found.texts("records").isEmpty != isFound, "\(search) of \(before + 1), \(size)")
            }
        }
    }

    /// What no receiver takes ends nothing for those who follow, although a connection would begin with it.
    @Test(arguments: ["F", "SR"]) func aRefusedPacketIsNoEnd(_ flags: String) throws {
        let forged = try data(Array("x".utf8), 1, flags: flags)
        let found = try run("TLSClientHello", "", [forged] + pieces(hello("example.org"), 50))
        #expect(found.texts("records").first?.hasSuffix(whole) == true)
        #expect(found.handler("streams") == 1)
    }

    /// A segment without ACK is thrown away before its timestamp is looked at: those that follow are not old because of it.
    @Test func aRefusedPacketHasNoTimestamp() throws {
        let bytes = hello("example.org")
        let found = try run(
            "TLSClientHello",
            "",
            [
                data(bytes[..<20], 1, options: "ts=100/0"), data(bytes[20..<40], 21, flags: "P", options: "ts=9000/0"),
                data(bytes[20...], 21, options: "ts=101/0"),
            ]
        )
        #expect(found.texts("records").first?.hasSuffix(whole) == true)
    }

    @Test func theClientMayComeSecond() throws {
        let found = try run(
            "TLSClientHello",
            "",
            [packet("10.0.0.1:1000 > 10.0.0.2:80 A seq=1 ack=1"), data(hello("example.org"), 1, back: true)]
        )
        #expect(
            found.texts("records").first?.hasPrefix("stream=0 src=10.0.0.2 sport=80 dst=10.0.0.1 dport=1000") == true
        )
    }

    @Test func whatIsNotRead() throws {
        let bytes = hello("example.org", padding: 300)
        func error(_ packets: [ElementHarness.Packet], _ config: String = "") throws -> [String] {
            try run("TLSClientHello", config, packets).texts("records").map {
                String($0.split(separator: " ").last { $0.hasPrefix("error=") } ?? "")
            }
        }
        #expect(try error([data(bytes[..<100], 1)]) == ["error=truncated"])
        #expect(try error([data(bytes[..<100], 1, flags: "FPA")]) == ["error=truncated"])
        #expect(try error([data(bytes[..<100], 1), data(bytes[150...], 151)]) == ["error=gap"])
        #expect(try error([data(bytes, 1)], "{hello_bytes: 100 B}") == ["error=too_long"])
        #expect(try error(pieces(bytes, 9), "{hello_bytes: 100 B}") == ["error=too_long"])
        var wrong = bytes
        wrong[43] = 200
        #expect(try error([data(wrong, 1)]) == ["error=malformed"])
        #expect(try error([data(Array("GET / HTTP/1.1\r\n\r\n".utf8), 1)]).isEmpty)
        #expect(try error([data([0x16, 3, 1], 1)]).isEmpty)
        // What came whole before is told.
        #expect(
            try run("TLSClientHello", "", [data(bytes[..<100], 1)]).texts("records").first?.contains("sni=example.org")
                == true
        )
    }

    @Test func theHelloOfSSL2() throws {
        let bytes: [UInt8] = [0x80, 9 + 3 + 16, 1, 3, 1, 0, 3, 0, 0, 0, 16, 0, 0, 5] + Array(repeating: 7, count: 16)
        for size in [1, 5, 100] {
            let found = try run("TLSClientHello", "", pieces(bytes, size))
            #expect(found.texts("records").first?.hasSuffix("form=ssl2 version=TLS 1.0 sni= alpn= error=") == true)
        }
    }

    /// Many hellos that never end take no more than their room; the rest are still read.
    @Test(arguments: ["oldest", "newest"], [1, 64])
    func buffersAreBounded(_ policy: String, _ batch: Int) throws {
        let bytes = hello("example.org")
        var packets: [ElementHarness.Packet] = []
        for port in 1000..<1100 { packets.append(try data(bytes[..<50], 1, port: port)) }
        packets.append(try data(bytes[50...], 51, port: policy == "oldest" ? 1099 : 1000))
        packets.append(try data(bytes, 1, port: 3000))
        let found = try run("TLSClientHello", "{buffer_bytes: 64 KiB, when_full: \(policy)}", packets, batch: batch)
        #expect(found.texts("records").count == 101)
        #expect(found.texts("records").count { $0.hasSuffix("error=no_room") } == 96)
        #expect(found.texts("records").count { $0.hasSuffix("error=truncated") } == 3)
        #expect(found.texts("records").count { $0.hasSuffix(whole) } == 2)
    }
}
