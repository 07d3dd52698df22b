// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Control

/// The server, against curl and against clients that mean it no good.
@Suite(.serialized) struct HTTPServerTests {
    /// Content that is there at once, or only when it must be.
    private final class Source: HTTPContentSource {
        let isReluctant: Bool
        let asked = Atomic(0)
        init(isReluctant: Bool = false) { self.isReluctant = isReluctant }
        func content(at path: String, isLast: Bool) -> HTTPContent? {
            asked.add(1, ordering: .relaxed)
            if isReluctant, !isLast { return nil }
            if path == "/never" { return nil }
            let size = path == "/large" ? 5_000_000 : 5
            return HTTPContent(type: "text/plain", bytes: Array(repeating: UInt8(ascii: "x"), count: size))
        }
    }

    /// A server at a socket and at a port, for as long as `body` runs.
    private func serving(_ source: Source = Source(), _ body: (Address, Address) throws -> Void) throws {
        let scratch = Scratch()
        defer { scratch.remove() }
        let paths: Set = ["/metrics", "/large", "/never"]
        let listeners = [
            try Listener(.unix(path: "\(scratch.path)/s"), paths: paths),
            try Listener(try Address("127.0.0.1:0"), paths: paths),
        ]
        let server = try HTTPServer(listeners, source)
        defer { server.close() }
        try body(listeners[0].address, listeners[1].address)
    }

    /// Sends bytes, and reads until the end.
    private func answer(_ address: Address, _ parts: [[UInt8]], closes: Bool = false) throws -> String {
        let descriptor = try connected(address)
        defer { close(descriptor) }
        for part in parts { _ = send(descriptor, part, part.count, Int32(MSG_NOSIGNAL)) }
        if closes { shutdown(descriptor, Int32(SHUT_WR)) }
        return rest(of: descriptor)
    }

    private func connected(_ address: Address) throws -> Int32 {
        let descriptor = try address.makeSocket()
        let status = address.withSystemAddress { connect(descriptor, $0, $1) }
        if status != 0 { throw SocketError("\(address)", system: errno, doing: "connect") }
        return descriptor
    }

    private func rest(of descriptor: Int32) -> String {
        var all: [UInt8] = []
        var space: [UInt8] = Array(repeating: 0, count: 65536)
        while true {
            let n = recv(descriptor, &space, space.count, 0)
            if n <= 0 { return String(decoding: all, as: UTF8.self) }
            all += space[..<n]
        }
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test(.enabled(if: Program.isThere("curl"))) func curlIsServed() throws {
        try serving { (socket, port) throws in
            func curl(_ arguments: String...) throws -> String {
                try Program.text("curl", ["-s", "-m", "10", "-w", " %{http_code}"] + arguments)
            }
            #expect(try curl("http://\(port)/metrics") == "xxxxx 200")
            #expect(try curl("http://\(port)/metrics?a=b") == "xxxxx 200")
            #expect(try curl("-0", "http://\(port)/metrics") == "xxxxx 200")
            let path = String("\(socket)".dropFirst(5))
            #expect(try curl("--unix-socket", path, "http://any/metrics") == "xxxxx 200")
            #expect(try curl("-o", "/dev/null", "http://\(port)/large") == " 200")
            #expect(try curl("http://\(port)/") == "Not Found\n 404")
            #expect(try curl("http://\(port)/metrics/") == "Not Found\n 404")
            #expect(try curl("-d", String(repeating: "y", count: 30_000), "http://\(port)/metrics").hasSuffix(" 405"))
            #expect(try curl("-X", "DELETE", "http://\(port)/metrics").hasSuffix(" 405"))
            #expect(try curl("-I", "http://\(port)/metrics").contains("Allow: GET\r\n"))
            #expect(
                try curl("-H", "A: \(String(repeating: "y", count: 9000))", "http://\(port)/metrics").hasSuffix(" 431")
            )
            #expect(try curl("http://\(port)/never").hasSuffix(" 503"))
        }
    }

    @Test func clientAndServerAgree() throws {
        try serving { (socket, port) throws in
            #expect(try HTTPClient.get("/metrics", at: socket) == bytes("xxxxx"))
            #expect(try HTTPClient.get("/large", at: port).count == 5_000_000)
            let error = #expect(throws: SocketError.self) { try HTTPClient.get("/none", at: port) }
            #expect(error?.description.hasSuffix("Not Found") == true)
        }
        let gone = #expect(throws: SocketError.self) { try HTTPClient.get("/", at: .unix(path: "/no/s")) }
        #expect(gone?.kind == .missing)
    }

    @Test(
        arguments: [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 200),
            ("\r\nGET /metrics HTTP/1.0\r\n\r\n", 200),
            ("GET /metrics HTTP/1.1\r\nhOST:a\r\nX: \u{e9}\r\n\r\nGET /none HTTP/1.1\r\n\r\n", 200),
            ("GET /metrics HTTP/1.1\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\nHost : a\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\nHost: a\n\r\n\r\n", 400),
            ("GET  /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /metrics\r\n\r\n", 400),
            ("GET metrics HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("G\u{1}T /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /met\u{7f}rics HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\nHost: a\u{0}\r\n\r\n", 400),
            ("\r\n\r\n", 400),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\n\r\n", 505),
            ("get /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ]
    )
    func requestsAreJudged(_ request: String, _ status: Int) throws {
        try serving { (socket, port) throws in
            #expect(try answer(socket, [bytes(request)]).hasPrefix("HTTP/1.1 \(status) "))
            // Byte by byte it is the same.
            #expect(try answer(port, bytes(request).map { [$0] }).hasPrefix("HTTP/1.1 \(status) "))
        }
    }

    @Test func hostileBytesDoNoHarm() throws {
        try serving { (socket, port) throws in
            #expect(try answer(port, [[UInt8](repeating: 0x80, count: 9000)]).hasPrefix("HTTP/1.1 431 "))
            #expect(
                try answer(socket, [bytes("GET /metrics HTTP/1.1\r\nHost: a")], closes: true).hasPrefix("HTTP/1.1 400 ")
            )
            // Half closed behind a request, the answer still comes.
            let whole = bytes("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try answer(port, [whole], closes: true).hasSuffix("\r\n\r\nxxxxx"))
            #expect(try answer(socket, [], closes: true) == "")
            var random = SystemRandomNumberGenerator()
            for _ in 0..<50 {
                let junk = (0..<Int.random(in: 0..<300, using: &random)).map { _ in UInt8.random(in: .min ... .max) }
                let said = try answer(socket, [junk + bytes("\r\n\r\n")], closes: true)
                #expect(said.hasPrefix("HTTP/1.1 4") || said.hasPrefix("HTTP/1.1 505 "), "\(junk)")
            }
            // Whoever goes away in the middle of an answer.
            for _ in 0..<5 {
                let descriptor = try connected(socket)
                let request = bytes("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
                _ = send(descriptor, request, request.count, 0)
                close(descriptor)
            }
            #expect(try HTTPClient.get("/metrics", at: port) == bytes("xxxxx"))
        }
    }

    /// Sixteen who say nothing keep others waiting until their time is over, but not those who come another way.
    @Test func theSlowAreCutOff() throws {
        try serving { (socket, port) throws in
            let began = ContinuousClock.now
            let slow = try (0..<HTTPServer.mostConnections).map { _ in try connected(port) }
            _ = send(slow[0], "GET", 3, 0)
            usleep(200_000)
            #expect(try HTTPClient.get("/metrics", at: socket) == bytes("xxxxx"))
            #expect(ContinuousClock.now - began < .seconds(4))
            #expect(try HTTPClient.get("/metrics", at: port, seconds: 20) == bytes("xxxxx"))
            #expect(ContinuousClock.now - began > .seconds(4))
            #expect(rest(of: slow[0]).hasPrefix("HTTP/1.1 408 "))
            for descriptor in slow {
                #expect(rest(of: descriptor) == "")
                close(descriptor)
            }
        }
    }

    /// Newer content is waited for, but not for long.
    @Test func whatDoesNotComeIsNotWaitedFor() throws {
        let source = Source(isReluctant: true)
        try serving(source) { (socket, _) throws in
            let began = ContinuousClock.now
            #expect(try HTTPClient.get("/metrics", at: socket) == bytes("xxxxx"))
            let span = ContinuousClock.now - began
            #expect(span >= .nanoseconds(HTTPServer.patience) && span < .seconds(3), "\(span)")
        }
        // It is not asked in a loop.
        #expect(source.asked.load(ordering: .relaxed) < 10)
    }

    @Test func closingEndsEverything() throws {
        let scratch = Scratch()
        defer { scratch.remove() }
        let listener = try Listener(.unix(path: "\(scratch.path)/s"), paths: ["/metrics"])
        let server = try HTTPServer([listener], Source())
        let idle = try connected(listener.address)
        defer { close(idle) }
        usleep(50_000)
        server.close()
        server.close()
        #expect(rest(of: idle) == "")
        #expect(throws: SocketError.self) { try HTTPClient.get("/metrics", at: listener.address) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
    }
}
