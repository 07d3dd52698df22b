// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

@Suite struct ClientHelloTests {
    private func vector8(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count)] + bytes }
    private func vector16(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes }
    private func part(_ type: UInt16, _ content: [UInt8]) -> [UInt8] {
        [UInt8(type >> 8), UInt8(type & 255)] + vector16(content)
    }
    private func name(_ text: String) -> [UInt8] { part(0, vector16([0] + vector16(Array(text.utf8)))) }

    private func body(_ extensions: [UInt8]?, version: [UInt8] = [3, 3]) -> [UInt8] {
        version + Array(repeating: 7, count: 32) + vector8([1, 2]) + vector16([0x13, 1, 0xc0, 0x2f]) + vector8([0])
            + (extensions.map(vector16) ?? [])
    }

    private struct Read: Equatable {
        var version: String?
        var name: String?
        var protocols: [String]
        var isMalformed: Bool
    }

    private func read(_ body: [UInt8]) -> Read {
        body.withUnsafeBytes { bytes in
            let hello = ClientHello(bytes)
            var protocols: [String] = []
            hello.forEachProtocol { protocols.append(String(decoding: $0, as: UTF8.self)) }
            return Read(
                version: hello.version.map(ClientHello.name),
                name: hello.serverName.map { String(decoding: $0, as: UTF8.self) },
                protocols: protocols,
                isMalformed: hello.isMalformed
            )
        }
    }

    @Test func whatIsThere() {
        let list = vector8(Array("h2".utf8)) + vector8([0x3a, 0x3a]) + vector8(Array("http/1.1".utf8))
        let versions = part(43, vector8([0x5a, 0x5a, 3, 3, 3, 4, 3, 1]))
        #expect(
            read(body(part(0x0a0a, []) + name("example.org") + part(16, vector16(list)) + versions))
                == Read(version: "TLS 1.3", name: "example.org", protocols: ["h2", "http/1.1"], isMalformed: false)
        )
    }

    @Test(
        arguments: [
            ([3, 0], "SSL 3.0"), ([3, 1], "TLS 1.0"), ([3, 2], "TLS 1.1"), ([3, 3], "TLS 1.2"), ([3, 9], "0x0309"),
        ] as [([UInt8], String)]
    )
    func versionsWithoutExtensions(_ version: [UInt8], _ text: String) {
        #expect(read(body(nil, version: version)) == Read(version: text, name: nil, protocols: [], isMalformed: false))
    }

    @Test func draftsAreLessThanTheStandard() {
        #expect(read(body(part(43, vector8([0x7f, 28, 3, 3])))).version == "TLS 1.3 draft 28")
        #expect(read(body(part(43, vector8([0x7f, 28, 3, 4])))).version == "TLS 1.3")
    }

    @Test func whatIsWrong() {
        let wrong: [[UInt8]] = [
            name("a") + name("b"), part(0, vector16([0, 0, 9, 1])), part(0, vector16([0] + vector16([]))),
            part(0, vector16([0, 0])), part(16, vector16([])), part(16, vector16([5, 1])),
            part(16, vector16(vector8([]))),
            part(43, vector8([3])), part(43, [2, 3, 4, 5]), [0, 0, 0], part(0, vector16([0] + vector16([65])) + [1]),
        ]
        for extensions in wrong { #expect(read(body(extensions)).isMalformed, "\(extensions)") }
        #expect(read(body(name("a")) + [0]).isMalformed)
        #expect(read(body(name("a") + name("b"))).name == "a")
    }

    /// A body that is cut off is malformed everywhere, and what is whole in it is kept.
    @Test func cutOff() {
        let whole = body(name("example.org") + part(43, vector8([3, 4])) + part(21, [0, 0, 0]))
        for count in 0..<whole.count {
            let found = read(Array(whole[..<count]))
            #expect(found.isMalformed || found.version == "TLS 1.2", "\(count)")
            #expect(found.name == nil || found.name == "example.org")
        }
        #expect(read(Array(whole.dropLast(2))).name == "example.org")
    }

    /// Records of any size and pieces of any size give the same message.
    @Test func assembly() throws {
        let message: [UInt8] = [1, 0, 0, 60] + (0..<60).map { UInt8($0) }
        for recordSize in [1, 3, 4, 5, 63, 64, 100] {
            var stream: [UInt8] = []
            var at = 0
            while at < message.count {
                let part = Array(message[at..<min(message.count, at + recordSize)])
                stream += [0x16, 3, 1] + vector16(part)
                at += recordSize
            }
            for pieceSize in [1, 2, 7, stream.count] {
                var assembler = HelloAssembler()
                var buffer = Array(repeating: UInt8(0), count: 64)
                var last = HelloAssembler.Answer.needsMore
                for start in Swift.stride(from: 0, to: stream.count, by: pieceSize) {
                    #expect(last == .needsMore)
                    let piece = Array(stream[start..<min(stream.count, start + pieceSize)])
                    last = buffer.withUnsafeMutableBytes { buffer in
                        piece.withUnsafeBytes { assembler.read($0, into: buffer) }
                    }
                }
                #expect(last == .complete)
                #expect(Array(buffer[..<Int(assembler.count)]) == message)
            }
        }
    }

    private func assemble(_ bytes: [UInt8]) -> HelloAssembler.Answer {
        var assembler = HelloAssembler()
        var buffer = Array(repeating: UInt8(0), count: 64)
        return buffer.withUnsafeMutableBytes { buffer in bytes.withUnsafeBytes { assembler.read($0, into: buffer) } }
    }

    @Test func whatIsNoMessage() {
        #expect(assemble([0x16, 3, 1, 0, 4, 1, 0, 0, 61]) == .tooLong)
        #expect(assemble([0x16, 3, 1, 0, 4, 1, 0, 0, 60, 0x17]) == .needsMore)
        #expect(assemble([0x16, 3, 1, 0, 4, 1, 0, 0, 60, 0x17, 3, 1, 0, 9]) == .malformed)
        #expect(assemble([0x16, 3, 1, 0, 0]) == .malformed)
    }

    @Test func buffersAreUsedAgain() throws {
        let buffers = try HelloBuffers(size: 8, capacity: 3)
        let taken = (0..<3).map { buffers.take(for: Int32($0)) }
        #expect(taken == [0, 1, 2] && buffers.isFull && buffers.take(for: 9) == nil)
        #expect(buffers.owner(of: buffers.oldest) == 0)
        buffers.giveBack(0)
        buffers.giveBack(2)
        #expect(buffers.owner(of: buffers.oldest) == 1)
        #expect(buffers.take(for: 5) == 2 && buffers.take(for: 6) == 0 && buffers.take(for: 7) == nil)
        buffers.giveBack(1)
        #expect(buffers.owner(of: buffers.oldest) == 5 && buffers.count == 2)
    }
}
