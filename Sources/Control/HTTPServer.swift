// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// Gives a server what it serves.
public protocol HTTPContentSource: Sendable {
    /// The content at one of the paths of a listener. Called on the server's thread.
    ///
    /// - Parameter isLast: nil is an answer then; otherwise it means that there will be something newer when the server is woken, and
    ///   soon.
    func content(at path: String, isLast: Bool) -> HTTPContent?
}

/// A small HTTP/1.1 server on a thread of its own: GET, one request a connection, at most 16 connections at a listener, 5 s and 8 KiB
/// for each.
public final class HTTPServer: Sendable {
    /// The most connections that came by one listener and are open; others wait to be accepted.
    public static let mostConnections = 16
    /// How long a connection may take, in nanoseconds.
    public static let longest: Int64 = 5_000_000_000
    /// How long newer content is waited for, in nanoseconds.
    public static let patience: Int64 = 250_000_000

    private let loop: Loop
    private let thread = Mutex<pthread_t?>(nil)

    /// Serves what `source` gives at `listeners`, until it is closed.
    public init(_ listeners: [Listener], _ source: any HTTPContentSource) throws(SocketError) {
        var ends: [Int32] = [0, 0]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
            throw SocketError("a pair of sockets", system: errno, doing: "make it")
        }
        loop = Loop(listeners, source, wakeEnd: ends[0], wakingEnd: ends[1])
        // Signals are for the thread of the run, whose waiting they end. A thread begins with the mask of its maker.
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var made = pthread_t()
        let error = pthread_create(
            &made,
            nil,
            { context in
                Unmanaged<Loop>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            },
            Unmanaged.passRetained(loop).toOpaque()
        )
        guard error == 0 else {
            Unmanaged.passUnretained(loop).release()
            for end in ends { _ = Glibc.close(end) }
            throw SocketError("a thread", system: error, doing: "start it")
        }
        thread.withLock { $0 = made }
    }

    deinit { close() }

    /// Lets the server ask its source again. It may be called from any thread, and does not wait.
    public func wake() { loop.wake() }

    /// Ends all connections, and removes the files of its sockets.
    public func close() {
        guard let thread = thread.withLock({ $0.take() }) else { return }
        loop.stop()
        pthread_join(thread, nil)
        loop.close()
    }

    /// What runs on the thread.
    private final class Loop: Sendable {
        private let listeners: [Listener]
        private let source: any HTTPContentSource
        private let wakeEnd: Int32
        private let wakingEnd: Int32
        private let isStopping = Atomic(false)

        init(_ listeners: [Listener], _ source: any HTTPContentSource, wakeEnd: Int32, wakingEnd: Int32) {
            self.listeners = listeners
            self.source = source
            self.wakeEnd = wakeEnd
            self.wakingEnd = wakingEnd
        }

        /// Where nothing more fits, the thread is about to wake anyway.
        func wake() {
            var byte: UInt8 = 0
            send(wakingEnd, &byte, 1, Int32(MSG_NOSIGNAL))
        }

        func stop() {
            isStopping.store(true, ordering: .releasing)
            wake()
        }

        func close() {
            for listener in listeners { listener.close() }
            _ = Glibc.close(wakeEnd)
            _ = Glibc.close(wakingEnd)
        }

        func run() {
            var connections: [HTTPConnection] = []
            /// No connections are accepted before: there were no descriptors.
            var rest = Int64.min
            while !isStopping.load(ordering: .acquiring) {
                let now = monotonicNow()
                var watched = [pollfd(fd: wakeEnd, events: Int16(POLLIN), revents: 0)]
                watched += listeners.indices.map { k in
                    let isFull = connections.count { $0.listener == k } >= HTTPServer.mostConnections
                    return pollfd(
                        fd: isFull || now < rest ? -1 : listeners[k].descriptor,
                        events: Int16(POLLIN),
                        revents: 0
                    )
                }
                watched += connections.map { pollfd(fd: $0.descriptor, events: $0.events, revents: 0) }
                var next = connections.map { c in
                    if case .waiting = c.state { return min(c.deadline, c.asked + HTTPServer.patience) }
                    return c.deadline
                }.min()
                if now < rest { next = min(next ?? .max, rest) }
                let pause = next.map { Int32(clamping: max(0, $0 - now) / 1_000_000 + 1) } ?? -1
                if poll(&watched, nfds_t(watched.count), pause) < 0 {
                    for k in watched.indices { watched[k].revents = 0 }
                }
                if watched[0].revents != 0 {
                    var bytes: [UInt8] = Array(repeating: 0, count: 64)
                    while read(wakeEnd, &bytes, bytes.count) == bytes.count {}
                }
                go(&connections, watched.dropFirst(1 + listeners.count).map(\.revents))
                for k in listeners.indices where watched[1 + k].revents != 0 {
                    if !accept(k, &connections) { rest = monotonicNow() + 1_000_000_000 }
                }
            }
            for connection in connections { _ = Glibc.close(connection.descriptor) }
        }

        /// Lets the connections go on, and leaves out those that are over.
        private func go(_ connections: inout [HTTPConnection], _ events: [Int16]) {
            let now = monotonicNow()
            for k in connections.indices {
                if events[k] != 0 { connections[k].advance(listeners[connections[k].listener].paths, at: now) }
                if case .waiting(let path) = connections[k].state {
                    let isLast = now >= connections[k].asked + HTTPServer.patience
                    if let content = source.content(at: path, isLast: isLast) {
                        connections[k].reply(content)
                    } else if isLast {
                        connections[k].reply(nil)
                    }
                }
                if now >= connections[k].deadline { connections[k].end() }
                if connections[k].state == .closed { _ = Glibc.close(connections[k].descriptor) }
            }
            connections.removeAll { $0.state == .closed }
        }

        /// Accepts one connection; false if there is a lack of descriptors or memory.
        private func accept(_ k: Int, _ connections: inout [HTTPConnection]) -> Bool {
            let descriptor = Glibc.accept(listeners[k].descriptor, nil, nil)
            if descriptor < 0 { return ![EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            let deadline = monotonicNow() + HTTPServer.longest
            connections.append(HTTPConnection(descriptor, listener: k, deadline: deadline))
            return true
        }
    }
}

/// Nanoseconds of a clock that nobody sets.
func monotonicNow() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
}
