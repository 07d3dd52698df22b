// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The parts of a request-target, in any of its four forms (RFC 9112 §3.2), as sent.
struct HTTP1Target {
    /// Host and optional port, without user information; nil in origin-form and asterisk-form.
    private(set) var authority: UnsafeRawBufferPointer?
    /// The part before the query; nil if there is none: in authority-form and asterisk-form.
    private(set) var path: UnsafeRawBufferPointer?

    init(_ target: UnsafeRawBufferPointer, method: UnsafeRawBufferPointer?) {
        guard let first = target.first else { return }
        if let method, method.elementsEqual("CONNECT".utf8) {
            authority = target
            return
        }
        if first == UInt8(ascii: "*"), target.count == 1 { return }
        let colon = first == UInt8(ascii: "/") ? nil : Self.schemeEnd(target)
        guard let colon else {
            path = Self.beforeQuery(target, from: 0)
            return
        }
        var at = colon + 1
        if at + 1 < target.count, target[at] == UInt8(ascii: "/"), target[at + 1] == UInt8(ascii: "/") {
            let start = at + 2
            at = start
            while at < target.count, target[at] != UInt8(ascii: "/"), target[at] != UInt8(ascii: "?") { at += 1 }
            let all = UnsafeRawBufferPointer(rebasing: target[start..<at])
            let user = all.lastIndex(of: UInt8(ascii: "@"))
            authority = UnsafeRawBufferPointer(rebasing: all[(user.map { $0 + 1 } ?? 0)...])
        }
        let path = Self.beforeQuery(target, from: at)
        if !path.isEmpty {
            self.path = path
        } else if method?.elementsEqual("OPTIONS".utf8) != true {
            // Except in OPTIONS, an empty path is the same as "/" (RFC 9110 §4.2.3).
            self.path = Self.root
        }
    }

    /// Position of the colon after a scheme (RFC 3986 §3.1); nil if there is none.
    private static func schemeEnd(_ target: UnsafeRawBufferPointer) -> Int? {
        for (at, byte) in target.enumerated() {
            let isLetter = byte.lowered &- UInt8(ascii: "a") < 26
            if isLetter { continue }
            if at == 0 { return nil }
            switch byte {
            case UInt8(ascii: ":"): return at
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
                continue
            default: return nil
            }
        }
        return nil
    }

    private static func beforeQuery(_ target: UnsafeRawBufferPointer, from start: Int) -> UnsafeRawBufferPointer {
        let rest = target[start...]
        return UnsafeRawBufferPointer(rebasing: rest[..<(rest.firstIndex(of: UInt8(ascii: "?")) ?? rest.endIndex)])
    }

    private static var root: UnsafeRawBufferPointer {
        let slash: StaticString = "/"
        return UnsafeRawBufferPointer(start: slash.utf8Start, count: 1)
    }

    /// Whether two authorities name the same host, in any case, and the same port.
    static func isSame(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer, usualPort: StaticString) -> Bool {
        let (hostA, hostB) = (a[..<hostEnd(a)], b[..<hostEnd(b)])
        func port(_ authority: UnsafeRawBufferPointer, _ end: Int) -> UnsafeRawBufferPointer {
            let usual = UnsafeRawBufferPointer(start: usualPort.utf8Start, count: usualPort.utf8CodeUnitCount)
            return end + 1 < authority.count ? UnsafeRawBufferPointer(rebasing: authority[(end + 1)...]) : usual
        }
        return hostA.count == hostB.count && zip(hostA, hostB).allSatisfy { $0.lowered == $1.lowered }
            && port(a, hostA.count).elementsEqual(port(b, hostB.count))
    }

    /// Where the host of an authority, or of a Host field, ends: before the colon of its port, if it has one. Colons of an IPv6
    /// address are within brackets.
    static func hostEnd(_ authority: some RandomAccessCollection<UInt8>) -> Int {
        var at = 0
        var colon: Int?
        for byte in authority {
            if byte == UInt8(ascii: "[") || byte == UInt8(ascii: "]") { colon = nil }
            if byte == UInt8(ascii: ":") { colon = at }
            at += 1
        }
        if let colon, authority.first != UInt8(ascii: "[") || authority.contains(UInt8(ascii: "]")) { return colon }
        return at
    }
}
