// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A request as far as it matters here: RFC 9112, without content.
struct HTTPRequest: Equatable {
    var method: String
    /// The target without its query.
    var path: String

    /// The most bytes of a request up to the empty line that ends it.
    static let longest = 8 << 10

    /// Reads a request that ends with an empty line. Throws the status of the answer if it is none.
    init(_ bytes: ArraySlice<UInt8>) throws(HTTPStatus) {
        let text = String(decoding: bytes, as: UTF8.self)
        // Carriage return and line feed are one character.
        var lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)[...]
        // An empty line that a client sends after its last request (section 2.2).
        if lines.first == "" { lines = lines.dropFirst() }
        let parts = (lines.popFirst() ?? "").split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, parts[0].utf8.allSatisfy(HTTPRequest.isToken),
            parts[1].hasPrefix("/"), parts[1].utf8.allSatisfy({ (0x21...0x7e).contains($0) }),
            parts[2].hasPrefix("HTTP/")
        else { throw .badRequest }
        guard parts[2] == "HTTP/1.1" || parts[2] == "HTTP/1.0" else { throw .otherVersion }
        var hosts = 0
        for line in lines.prefix(while: { !$0.isEmpty }) {
            let name = line.utf8.prefix { $0 != UInt8(ascii: ":") }
            guard !name.isEmpty, name.count < line.utf8.count, name.allSatisfy(HTTPRequest.isToken),
                line.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 })
            else { throw .badRequest }
            if line.prefix(name.count).lowercased() == "host" { hosts += 1 }
        }
        guard hosts == 1 || hosts == 0 && parts[2] == "HTTP/1.0" else { throw .badRequest }
        method = String(parts[0])
        path = String(parts[1].prefix { $0 != "?" })
    }

    /// The characters of methods and names of fields (RFC 9110, section 5.6.2).
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}

/// The status of an answer.
enum HTTPStatus: Int, Error {
    case fine = 200
    case badRequest = 400
    case notFound = 404
    case otherMethod = 405
    case tooSlow = 408
    case tooLong = 431
    case notYet = 503
    case otherVersion = 505

    var words: String {
        switch self {
        case .fine: "OK"
        case .badRequest: "Bad Request"
        case .notFound: "Not Found"
        case .otherMethod: "Method Not Allowed"
        case .tooSlow: "Request Timeout"
        case .tooLong: "Request Header Fields Too Large"
        case .notYet: "Service Unavailable"
        case .otherVersion: "HTTP Version Not Supported"
        }
    }
}

/// What is served under a path.
public struct HTTPContent: Sendable {
    /// Its media type.
    public var type: String
    /// Its bytes.
    public var bytes: [UInt8]

    public init(type: String, bytes: [UInt8]) {
        self.type = type
        self.bytes = bytes
    }
}

/// The bytes of an answer, after which the connection ends.
func response(_ status: HTTPStatus, _ content: HTTPContent? = nil, hasContent: Bool = true) -> [UInt8] {
    let content = content ?? HTTPContent(type: "text/plain", bytes: Array("\(status.words)\n".utf8))
    var head = "HTTP/1.1 \(status.rawValue) \(status.words)\r\nContent-Type: \(content.type)\r\n"
    head += "Content-Length: \(content.bytes.count)\r\nConnection: close\r\n"
    if status == .otherMethod { head += "Allow: GET\r\n" }
    return Array((head + "\r\n").utf8) + (hasContent ? content.bytes : [])
}
