// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// Set by SIGWINCH: the terminal has another size.
private let hasResized = Atomic(false)

/// A terminal that shows one page which changes. What was there before comes back when it is closed.
final class Screen {
    /// What ended a wait.
    enum Event {
        case timeout
        /// The page must be drawn again.
        case resized
        /// The user wants to leave.
        case leave
    }
    private let readsKeys: Bool
    private var before = termios()
    private var isOpen = true

    /// Nil where standard output leads elsewhere, or to a terminal on which one can only write on.
    init?() {
        guard Terminal(1).width != nil, getenv("TERM").map({ String(cString: $0) }) != "dumb" else { return nil }
        readsKeys = isatty(0) == 1 && tcgetattr(0, &before) == 0
        if readsKeys {
            // Keys come one by one and are not shown; an interrupt is still a signal.
            var keys = before
            keys.c_lflag &= ~tcflag_t(ICANON | ECHO)
            tcsetattr(0, TCSANOW, &keys)
        }
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in hasResized.store(true, ordering: .relaxed) }
        sigaction(SIGWINCH, &action, nil)
        // The alternate screen, without a cursor.
        try? Output.result("\u{1b}[?1049h\u{1b}[?25l")
    }

    /// Brings back what was there.
    func close() {
        guard isOpen else { return }
        isOpen = false
        try? Output.result("\u{1b}[?25h\u{1b}[?1049l")
        if readsKeys { tcsetattr(0, TCSANOW, &before) }
    }

    deinit { close() }

    /// The width of its lines now.
    var width: Int { Terminal(1).width ?? 80 }

    /// Shows a page, the first line as its title; what does not fit below is left out.
    func show(_ text: String) throws {
        let terminal = Terminal(1)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        let height = max(2, terminal.height ?? 24)
        if lines.count > height { lines[(height - 1)...] = ["... (the terminal is too low for \(lines.count) lines)"] }
        lines = lines.map { String($0.prefix(width)) }
        if terminal.hasColours { lines[0] = "\u{1b}[1m\(lines[0])\u{1b}[m" }
        // Each line is cleared behind its end, so that nothing flickers.
        try Output.result("\u{1b}[H" + lines.map { "\($0)\u{1b}[K" }.joined(separator: "\n") + "\u{1b}[J")
    }

    /// Waits until a moment, a key that says something, another size or a signal.
    func wait(until end: ContinuousClock.Instant) -> Event {
        while !stopAsked(), !Output.isClosed {
            if hasResized.exchange(false, ordering: .relaxed) { return .resized }
            let left = milliseconds(until: end)
            if left == 0 { return .timeout }
            var keys = pollfd(fd: readsKeys ? 0 : -1, events: Int16(POLLIN), revents: 0)
            guard poll(&keys, 1, left) > 0 else { continue }
            var byte: UInt8 = 0
            if read(0, &byte, 1) <= 0 || byte == UInt8(ascii: "q") || byte == UInt8(ascii: "Q") { return .leave }
        }
        return .leave
    }
}

/// What is left until a moment; 0 if it is over.
func milliseconds(until end: ContinuousClock.Instant) -> Int32 {
    let left = end - .now
    return left <= .zero ? 0 : Int32(clamping: Int64(left / .milliseconds(1)) + 1)
}
