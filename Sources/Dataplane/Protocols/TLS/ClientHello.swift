// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Server name, versions and protocols of a ClientHello (RFC 8446 section 4.1.2, and RFC 5246, 4346, 2246 and 6101 before it).
///
/// It points into the message, and is valid as long as that is.
struct ClientHello {
    /// The highest version offered, as on the wire: 0x0304 is TLS 1.3, 0x7f1c its draft 28. Nil if the message ended before it
    /// could be known.
    private(set) var version: UInt16?
    /// The host name of the server_name extension (RFC 6066 section 3).
    private(set) var serverName: UnsafeRawBufferPointer?
    /// The protocol names of the ALPN extension, each after a length byte (RFC 7301 section 3.1).
    private var protocolNames: UnsafeRawBufferPointer?
    /// Lengths do not fit together, or an extension appears twice; what was read before is kept.
    private(set) var isMalformed = false

    /// Parses the body of the message, without the four bytes of its handshake header. Of a truncated body only complete parts
    /// are used.
    init(_ body: UnsafeRawBufferPointer) {
        var bytes = TLSBytes(body)
        guard read(&bytes) else {
            isMalformed = true
            return
        }
    }

    private mutating func read(_ bytes: inout TLSBytes) -> Bool {
        guard let legacy = bytes.number16(), bytes.take(32) != nil, let session = bytes.vector8(), session.count <= 32,
            let suites = bytes.vector16(), suites.count >= 2, suites.count % 2 == 0,
            let compressions = bytes.vector8(), compressions.count >= 1
        else { return false }
        // Before TLS 1.3 extensions are optional.
        if bytes.isEmpty {
            version = legacy
            return true
        }
        guard let size = bytes.number16(), bytes.count <= size else { return false }
        let isWhole = bytes.count == size
        var extensions = bytes
        var hasVersions = false
        while !extensions.isEmpty {
            guard let type = extensions.number16(), let content = extensions.vector16() else { return false }
            switch type {
            case 0:
                guard serverName == nil, readServerName(content) else { return false }
            case 16:
                guard protocolNames == nil, readProtocolNames(content) else { return false }
            case 43:
                guard !hasVersions, readVersions(content) else { return false }
                hasVersions = true
            default: break
            }
        }
        if !isWhole { return false }
        if version == nil { version = legacy }
        return true
    }

    private mutating func readServerName(_ content: UnsafeRawBufferPointer) -> Bool {
        var bytes = TLSBytes(content)
        guard let list = bytes.vector16(), bytes.isEmpty else { return false }
        var names = TLSBytes(list)
        while !names.isEmpty {
            guard let type = names.take(1)?[0], let name = names.vector16(), !name.isEmpty else { return false }
            // 0 is host_name; no other type was ever defined.
            if type == 0, serverName == nil { serverName = name }
        }
        return true
    }

    private mutating func readProtocolNames(_ content: UnsafeRawBufferPointer) -> Bool {
        var bytes = TLSBytes(content)
        guard let list = bytes.vector16(), !list.isEmpty, bytes.isEmpty else { return false }
        var names = TLSBytes(list)
        while !names.isEmpty {
            guard let name = names.vector8(), !name.isEmpty else { return false }
        }
        protocolNames = list
        return true
    }

    /// The supported_versions extension (RFC 8446 section 4.2.1) lists the versions offered; the earlier version field is then
    /// meaningless.
    private mutating func readVersions(_ content: UnsafeRawBufferPointer) -> Bool {
        var bytes = TLSBytes(content)
        guard let list = bytes.vector8(), list.count >= 2, list.count % 2 == 0, bytes.isEmpty else { return false }
        var versions = TLSBytes(list)
        var highest: UInt16 = 0
        while let version = versions.number16() {
            if !ClientHello.isGrease(version), ClientHello.rank(version) > ClientHello.rank(highest) {
                highest = version
            }
        }
        if highest != 0 { version = highest }
        return true
    }

    /// Calls `body` with each protocol name in order, without the meaningless ones (GREASE, RFC 8701).
    func forEachProtocol(_ body: (UnsafeRawBufferPointer) -> Void) {
        guard let protocolNames else { return }
        var names = TLSBytes(protocolNames)
        while let name = names.vector8() {
            let isGrease = name.count == 2 && ClientHello.isGrease(UInt16(name[0]) << 8 | UInt16(name[1]))
            if !isGrease { body(name) }
        }
    }

    /// Whether the ALPN extension is there.
    var hasProtocols: Bool { protocolNames != nil }

    /// Values that clients send so that servers learn to ignore the unknown (RFC 8701 section 2).
    private static func isGrease(_ value: UInt16) -> Bool { value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff }

    /// Orders versions; drafts of TLS 1.3 come before it.
    private static func rank(_ version: UInt16) -> Int {
        version >> 8 == 0x7f ? 0x0303 * 256 + Int(version & 0xff) : Int(version) * 256
    }

    /// The name of a version: `TLS 1.3`, `SSL 2.0`, `TLS 1.3 draft 28`, or hexadecimal if it has none.
    static func name(of version: UInt16) -> String {
        switch version {
        case 0x0002, 0x0200: "SSL 2.0"
        case 0x0300: "SSL 3.0"
        case 0x0301...0x0304: "TLS 1.\(version - 0x0301)"
        case 0x7f00...0x7fff: "TLS 1.3 draft \(version & 0xff)"
        default: "0x" + String(repeating: "0", count: 4 - String(version, radix: 16).count) + String(version, radix: 16)
        }
    }
}

/// Bytes read from the front: numbers in network order, and vectors after their length (RFC 8446 section 3.4).
private struct TLSBytes {
    private var bytes: Slice<UnsafeRawBufferPointer>

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes[...] }

    var isEmpty: Bool { bytes.isEmpty }
    var count: Int { bytes.count }

    mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
        guard bytes.count >= count else { return nil }
        defer { bytes = bytes.dropFirst(count) }
        return UnsafeRawBufferPointer(rebasing: bytes.prefix(count))
    }

    mutating func number16() -> UInt16? { take(2).map { UInt16($0[0]) << 8 | UInt16($0[1]) } }

    mutating func vector8() -> UnsafeRawBufferPointer? {
        guard let count = take(1)?[0] else { return nil }
        return take(Int(count))
    }

    mutating func vector16() -> UnsafeRawBufferPointer? {
        guard let count = number16() else { return nil }
        return take(Int(count))
    }
}
