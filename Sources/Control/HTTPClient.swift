// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Asks a server on this machine for what it has at a path.
public enum HTTPClient {
    /// The most bytes of an answer.
    private static let longest = 64 << 20

    /// The content at `path` of the server at `address`. Waits for it no longer than `seconds` at a time.
    public static func get(_ path: String, at address: Address, seconds: Int = 5) throws(SocketError) -> [UInt8] {
        if case .unix(let path) = address { try Address.check(path) }
        let descriptor = try address.makeSocket()
        defer { close(descriptor) }
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
        if address.withSystemAddress({ connect(descriptor, $0, $1) }) != 0 {
            throw SocketError("\(address)", system: errno, doing: "connect")
        }
        let request = Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8)
        // Far less than a socket holds, so it leaves as a whole.
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            throw SocketError("\(address)", system: errno, doing: "ask")
        }
        var answer: [UInt8] = []
        var space: [UInt8] = Array(repeating: 0, count: 64 << 10)
        while true {
            let n = recv(descriptor, &space, space.count, 0)
            if n == 0 { break }
            if n < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN {
                    throw SocketError(.other, "\(address): no answer within \(seconds) s; is it stopped?")
                }
                throw SocketError("\(address)", system: errno, doing: "read the answer")
            }
            answer += space[..<n]
            if answer.count > longest { throw SocketError(.other, "\(address): the answer has no end") }
        }
        return try content(of: answer, address)
    }

    /// The content of a whole answer.
    private static func content(of answer: [UInt8], _ address: Address) throws(SocketError) -> [UInt8] {
        let end = answer.indices.first { answer[$0...].starts(with: "\r\n\r\n".utf8) }
        let head = String(decoding: answer[..<(end ?? 0)], as: UTF8.self)
        let words = head.prefix { $0 != "\r\n" }.split(separator: " ", maxSplits: 2)
        guard let end, words.count == 3, words[0].hasPrefix("HTTP/1.") else {
            // A server that ends takes its connections with it.
            throw SocketError(answer.isEmpty ? .missing : .other, "\(address): the answer is not complete")
        }
        guard words[1] == "200" else { throw SocketError(.other, "\(address): \(words[2])") }
        let content = Array(answer[(end + 4)...])
        let field = head.split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
        guard field.flatMap({ Int($0.dropFirst(16)) }) == content.count else {
            throw SocketError(.missing, "\(address): the answer is not complete")
        }
        return content
    }
}
