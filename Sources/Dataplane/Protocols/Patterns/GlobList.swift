// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Patterns in which `*` stands for any bytes, none among them, and `?` for one; everything else is itself.
final class GlobList {
    /// How patterns are compared.
    enum Mode {
        case exact
        /// Letters of ASCII match in either case.
        case ignoringCase
        /// `*` and `?` stand for themselves, too.
        case literal
    }

    private let mode: Mode
    /// How many there are.
    let count: Int
    /// The patterns, one behind the other; in lower case where case is ignored.
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    /// Where each ends.
    private let ends: UnsafeMutablePointer<Int>

    static let mostBytes = 1024

    init(_ patterns: [String], _ mode: Mode = .exact) {
        self.mode = mode
        count = patterns.count
        let texts = patterns.map { $0.utf8.map { mode == .ignoringCase ? $0.lowered : $0 } }
        let all = texts.flatMap { $0 }
        bytes = .allocate(capacity: all.count)
        _ = bytes.initialize(from: all)
        ends = .allocate(capacity: count)
        var end = 0
        for (k, text) in texts.enumerated() {
            end += text.count
            (ends + k).initialize(to: end)
        }
    }

    deinit {
        bytes.deallocate()
        ends.deallocate()
    }

    /// Whether the pattern of this number is all of `text`.
    ///
    /// A star that was passed is the only one to come back to: if the rest of the pattern can be found behind an earlier
    /// one, it can behind the last. So the time is at most that of text times pattern.
    func matches(_ number: Int, _ text: UnsafeRawBufferPointer) -> Bool {
        let start = number == 0 ? 0 : ends[number &- 1]
        let end = ends[number]
        if mode == .literal { return text.elementsEqual(bytes[start..<end]) }
        let ignoresCase = mode == .ignoringCase
        var p = start
        var t = 0
        // Behind the last star, and the text that it would let go next.
        var star = -1
        var resume = 0
        while t < text.count {
            if p < end {
                let wanted = bytes[p]
                if wanted == UInt8(ascii: "*") {
                    p &+= 1
                    star = p
                    resume = t
                    continue
                }
                if wanted == UInt8(ascii: "?") || wanted == (ignoresCase ? text[t].lowered : text[t]) {
                    p &+= 1
                    t &+= 1
                    continue
                }
            }
            if star < 0 { return false }
            resume &+= 1
            p = star
            t = resume
        }
        while p < end, bytes[p] == UInt8(ascii: "*") { p &+= 1 }
        return p == end
    }
}
