// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A socket at which connections arrive. An ``HTTPServer`` owns those that it is given.
public struct Listener: Sendable {
    let descriptor: Int32
    /// Where it can be reached, with the port that the system chose.
    public let address: Address
    /// What may be asked for here, such as `/metrics`.
    public let paths: Set<String>

    /// Opens it. A file is for this user alone; where a socket lies at which nobody listens any more, it is replaced.
    public init(_ address: Address, paths: Set<String>) throws(SocketError) {
        let descriptor = try address.makeSocket()
        var bound = address
        do throws(SocketError) {
            try Listener.bind(descriptor, address)
            if listen(descriptor, 64) != 0 { throw SocketError("\(address)", system: errno, doing: "listen there") }
            let flags = fcntl(descriptor, F_GETFL)
            if fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0 {
                throw SocketError("\(address)", system: errno, doing: "listen there")
            }
            bound = Listener.name(of: descriptor, address)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        self.address = bound
        self.paths = paths
    }

    private static func bind(_ descriptor: Int32, _ address: Address) throws(SocketError) {
        if case .unix(let path) = address {
            // What bind makes has the rights of the socket: so there is no moment at which others could connect.
            fchmod(descriptor, 0o600)
            if address.withSystemAddress({ Glibc.bind(descriptor, $0, $1) }) == 0 { return }
            guard errno == EADDRINUSE, isAbandoned(path) else {
                throw SocketError("\(address)", system: errno, doing: "listen there")
            }
            unlink(path)
        } else {
            // A port that was in use a moment ago may be used again.
            var yes: Int32 = 1
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        }
        if address.withSystemAddress({ Glibc.bind(descriptor, $0, $1) }) != 0 {
            throw SocketError("\(address)", system: errno, doing: "listen there")
        }
    }

    /// Whether a socket lies at `path` that nobody listens at; leaves `errno` as it is if not.
    private static func isAbandoned(_ path: String) -> Bool {
        let before = errno
        defer { errno = before }
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK,
            let probe = try? Address.unix(path: path).makeSocket()
        else { return false }
        defer { Glibc.close(probe) }
        return Address.unix(path: path).withSystemAddress { connect(probe, $0, $1) } != 0 && errno == ECONNREFUSED
    }

    /// The address with its port.
    private static func name(of descriptor: Int32, _ address: Address) -> Address {
        // The port stands at the same place for IPv4 and IPv6.
        var name = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let error = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        let port = UInt16(bigEndian: name.sin6_port)
        return switch address {
        case .loopback4(let host, 0) where error == 0: .loopback4(host: host, port: port)
        case .loopback6(0) where error == 0: .loopback6(port: port)
        default: address
        }
    }

    /// Closes it, and removes its file.
    public func close() {
        if case .unix(let path) = address { unlink(path) }
        Glibc.close(descriptor)
    }
}
