// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Patterns in which `*` stands for any number of bytes, including none, and `?` for one; everything else is literal.
final class GlobList {
    /// How patterns are compared.
    enum Mode {
        case exact
        /// ASCII letters match in either case.
        case ignoringCase
        /// `*` and `?` are literal too.
        case literal
    }

    private let mode: Mode
    /// The number of patterns.
    let count: Int
    /// The patterns, one after another; in lower case if case is ignored.
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    /// The end of each.
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

    /// Whether the pattern with this number matches all of `text`.
    ///
    /// Only the last star passed needs backtracking: if the rest of the pattern matches after an earlier star, it also does
    /// after the last. So the time is at most text length times pattern length.
    func matches(_ number: Int, _ text: UnsafeRawBufferPointer) -> Bool {
        let start = number == 0 ? 0 : ends[number &- 1]
        let end = ends[number]
        if mode == .literal { return text.elementsEqual(bytes[start..<end]) }
        let ignoresCase = mode == .ignoringCase
        var p = start
        var t = 0
        // After the last star, and the next text position to retry from.
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
