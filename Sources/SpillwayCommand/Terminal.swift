// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What is known of the terminal that a file leads to.
struct Terminal {
    /// The characters of a line; nil if the file leads elsewhere, where lines have no end.
    let width: Int?
    /// Its lines; nil if that is not known.
    let height: Int?
    /// Whether it takes colours: not if `NO_COLOR` has a value (no-color.org), or `TERM` is `dumb`.
    let hasColours: Bool

    /// The terminal behind a descriptor.
    init(_ descriptor: Int32) {
        guard isatty(descriptor) == 1 else {
            (width, height) = (nil, nil)
            hasColours = false
            return
        }
        func variable(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }
        var size = winsize()
        let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        width = Int(variable("COLUMNS")).flatMap { $0 > 0 ? $0 : nil } ?? (isKnown ? Int(size.ws_col) : 80)
        height = isKnown && size.ws_row > 0 ? Int(size.ws_row) : nil
        hasColours = variable("NO_COLOR").isEmpty && variable("TERM") != "dumb"
    }
}
