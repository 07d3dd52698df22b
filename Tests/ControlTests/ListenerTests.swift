// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Control
import Foundation
import TestSupport
import Testing

/// Sockets in the file system.
@Suite struct ListenerTests {
    @Test func aSocketIsItsUsersAlone() throws {
        let scratch = Scratch()
        defer { scratch.remove() }
        let path = "\(scratch.path)/s"
        let before = umask(0)
        defer { umask(before) }
        let listener = try Listener(.unix(path: path), paths: [])
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(status.st_mode & 0o7777 == 0o600)
        listener.close()
        #expect(lstat(path, &status) != 0)
    }

    /// One that nobody listens at is replaced, one in use is not, and no other file ever is.
    @Test func whatIsAbandonedIsReplaced() throws {
        let scratch = Scratch()
        defer { scratch.remove() }
        let path = "\(scratch.path)/s"
        let first = try Listener(.unix(path: path), paths: [])
        #expect(throws: SocketError.self) { try Listener(.unix(path: path), paths: []) }
        // As after the death of its process.
        let kept = "\(scratch.path)/kept"
        #expect(link(path, kept) == 0)
        first.close()
        #expect(rename(kept, path) == 0)
        let second = try Listener(.unix(path: path), paths: [])
        second.close()
        let file = try scratch.file("file", "text".utf8)
        let error = #expect(throws: SocketError.self) { try Listener(.unix(path: file), paths: []) }
        #expect(error?.description.contains("Address already in use") == true)
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "text")
    }

    @Test func theSystemChoosesAPort() throws {
        let listener = try Listener(try Address("127.0.0.1:0"), paths: [])
        defer { listener.close() }
        guard case .loopback4(_, let port) = listener.address else { throw SocketError(.other, "another address") }
        #expect(port > 0)
        let error = #expect(throws: SocketError.self) { try Listener(listener.address, paths: []) }
        #expect(error?.kind == .other)
        let missing = #expect(throws: SocketError.self) { try Listener(.unix(path: "/no/such/s"), paths: []) }
        #expect(missing?.kind == .missing)
    }
}
