// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// An address that only this machine can reach.
public enum Address: Sendable, Equatable, CustomStringConvertible {
    /// A port of IPv4 on 127.0.0.0/8; 0 for any that is free.
    case loopback4(host: UInt32, port: UInt16)
    /// A port of IPv6 on ::1; 0 for any that is free.
    case loopback6(port: UInt16)
    /// A file.
    case unix(path: String)

    /// The most bytes in the path of a socket: `sun_path` holds one more.
    public static let longestPath = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    /// Parses `127.0.0.1:9100`, `[::1]:9100`, `localhost:9100` (which is the first) or `unix:PATH`.
    public init(_ text: String) throws(SocketError) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            try Address.check(path)
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw SocketError(.address, "'\(text)' is no address as in 127.0.0.1:9100, [::1]:9100 or unix:PATH")
        }
        var host = String(text[..<colon])
        if host == "localhost" { host = "127.0.0.1" }
        var (four, six) = (in_addr(), in6_addr())
        if inet_pton(AF_INET, host, &four) == 1 {
            let number = UInt32(bigEndian: four.s_addr)
            guard number >> 24 == 127 else { throw Address.reachable(host) }
            self = .loopback4(host: number, port: port)
        } else if host.hasPrefix("["), host.hasSuffix("]"),
            inet_pton(AF_INET6, String(host.dropFirst().dropLast()), &six) == 1
        {
            let isLoopback = withUnsafeBytes(of: &six) { $0.dropLast().allSatisfy { $0 == 0 } && $0.last == 1 }
            guard isLoopback else { throw Address.reachable(host) }
            self = .loopback6(port: port)
        } else {
            throw SocketError(
                .address,
                host.isEmpty || host == "*" || host == "[]"
                    ? "'\(text)' is every address of this machine; \(Address.advice)"
                    : "'\(host)' is no address in numbers; \(Address.advice)"
            )
        }
    }

    private static let advice = "write 127.0.0.1:PORT, [::1]:PORT or unix:PATH, which no other machine can reach"

    private static func reachable(_ host: String) -> SocketError {
        SocketError(.address, "other machines may reach \(host), and anybody could read there; \(advice)")
    }

    /// Throws if no socket can have this path.
    static func check(_ path: String) throws(SocketError) {
        guard !path.isEmpty, path.utf8.count <= longestPath, !path.utf8.contains(0) else {
            throw SocketError(.address, "'\(path)' is no path of a socket: those have 1 to \(longestPath) bytes")
        }
    }

    public var description: String {
        switch self {
        case .loopback4(let host, let port):
            [24, 16, 8, 0].map { String(host >> $0 & 0xff) }.joined(separator: ".") + ":\(port)"
        case .loopback6(let port): "[::1]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// A new socket for it.
    func makeSocket() throws(SocketError) -> Int32 {
        let family =
            switch self {
            case .loopback4: AF_INET
            case .loopback6: AF_INET6
            case .unix: AF_UNIX
            }
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, kind, 0)
        guard descriptor >= 0 else { throw SocketError("\(self)", system: errno, doing: "make a socket") }
        return descriptor
    }

    /// Calls `body` with the address as the system takes it.
    func withSystemAddress(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        func lend<A>(_ address: A) -> Int32 {
            withUnsafePointer(to: address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<A>.size)) }
            }
        }
        switch self {
        case .loopback4(let host, let port):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = host.bigEndian
            return lend(address)
        case .loopback6(let port):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &address.sin6_addr) { $0[15] = 1 }
            return lend(address)
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(Address.longestPath)) }
            return lend(address)
        }
    }
}
