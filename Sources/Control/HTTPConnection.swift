// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// One connection to a server: one request, one answer. Everything is bounded in bytes, and in time from its beginning on.
struct HTTPConnection {
    /// What it does.
    enum State: Equatable {
        /// Its request has not come as a whole.
        case reading
        /// The content at a path is asked for, and may come later.
        case waiting(path: String)
        /// The answer is under way.
        case sending
        /// The answer has been sent, and what else the client sends is thrown away: closed at once, the answer could get lost.
        case draining
        case closed
    }
    let descriptor: Int32
    /// The listener by which it came.
    let listener: Int
    /// In nanoseconds: by then it is over.
    let deadline: Int64
    private(set) var state = State.reading
    /// When its request was complete, in nanoseconds.
    private(set) var asked = Int64.max
    private var received: [UInt8] = []
    private var answer: [UInt8] = []
    private var sent = 0
    /// Bytes that may still be thrown away.
    private var patience = 64 << 10

    init(_ descriptor: Int32, listener: Int, deadline: Int64) {
        self.descriptor = descriptor
        self.listener = listener
        self.deadline = deadline
    }

    /// What it waits for, for `poll`.
    var events: Int16 {
        switch state {
        case .reading, .draining: Int16(POLLIN)
        case .sending: Int16(POLLOUT)
        case .waiting, .closed: 0
        }
    }

    /// Goes on as far as it can, once something has happened to its socket.
    mutating func advance(_ paths: Set<String>, at now: Int64) {
        switch state {
        case .reading: read(paths, at: now)
        case .waiting: state = .closed
        case .sending: send()
        case .draining: drain()
        case .closed: break
        }
    }

    /// Ends what takes too long.
    mutating func end() {
        if state == .reading, !received.isEmpty {
            reply(response(.tooSlow))
        }
        state = .closed
    }

    /// Answers the request that waits.
    mutating func reply(_ content: HTTPContent?) {
        reply(content.map { response(.fine, $0) } ?? response(.notYet))
    }

    private mutating func reply(_ bytes: [UInt8]) {
        answer = bytes
        state = .sending
        send()
    }

    private mutating func read(_ paths: Set<String>, at now: Int64) {
        var space: [UInt8] = Array(repeating: 0, count: 4096)
        let n = recv(descriptor, &space, space.count, Int32(MSG_DONTWAIT))
        if n < 0 {
            if errno != EAGAIN, errno != EINTR { state = .closed }
            return
        }
        // Half closed: what is not complete never will be.
        if n == 0 {
            if received.isEmpty { state = .closed } else { reply(response(.badRequest)) }
            return
        }
        let before = received.count
        received += space[..<n]
        guard let end = endOfRequest(from: max(0, before - 3)) else {
            if received.count > HTTPRequest.longest { reply(response(.tooLong)) }
            return
        }
        guard end <= HTTPRequest.longest else { return reply(response(.tooLong)) }
        do throws(HTTPStatus) {
            let request = try HTTPRequest(received[..<end])
            let hasContent = request.method != "HEAD"
            if !paths.contains(request.path) {
                reply(response(.notFound, hasContent: hasContent))
            } else if request.method != "GET" {
                reply(response(.otherMethod, hasContent: hasContent))
            } else {
                state = .waiting(path: request.path)
                asked = now
            }
        } catch {
            reply(response(error))
        }
    }

    /// Where the empty line ends that ends a request.
    private func endOfRequest(from start: Int) -> Int? {
        var at = start
        while at + 4 <= received.count {
            if received[at] == 0x0d, received[at + 1] == 0x0a, received[at + 2] == 0x0d, received[at + 3] == 0x0a {
                return at + 4
            }
            at += 1
        }
        return nil
    }

    private mutating func send() {
        while sent < answer.count {
            let n = answer[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
            }
            if n < 0 {
                if errno == EINTR { continue }
                if errno != EAGAIN { state = .closed }
                return
            }
            sent += n
        }
        answer = []
        shutdown(descriptor, Int32(SHUT_WR))
        state = .draining
    }

    private mutating func drain() {
        var space: [UInt8] = Array(repeating: 0, count: 4096)
        let n = recv(descriptor, &space, space.count, Int32(MSG_DONTWAIT))
        patience -= max(n, 0)
        if n == 0 || patience <= 0 || n < 0 && errno != EAGAIN && errno != EINTR { state = .closed }
    }
}
