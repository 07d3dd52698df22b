// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Sorts the records of an HTTPParser by method, host, path, header fields and status.
///
/// Each parameter is a list. An empty list, the default, accepts everything; of any other, one value must match. To require
/// several values together, put several HTTPFilters in a row. A record without the tested field (there is no response, no host,
/// no such header field) leaves on `other`.
///
/// - `method`: names, case-sensitive (RFC 9110 section 9.1).
/// - `host`: patterns for the host that the request is for (RFC 9112 section 3.3): that of the target if it names one, as in
///   requests to a proxy, otherwise that of Host. Case-insensitive. A pattern with a port, such as `*:8080`, is compared with
///   host and port as sent, any other with the host alone. IPv6 addresses are in brackets.
/// - `path`: patterns for the path of the target: the part before the query, without scheme and host. Case-sensitive;
///   percent-encoding is compared as sent. `CONNECT` and `OPTIONS *` have no path.
/// - `header`: a name and a pattern for the value, as in `User-Agent: *curl*`. Both case-insensitive. `*` alone accepts every
///   value, even an empty one. Several fields of one name are one value, joined by `, `.
/// - `response_header`: likewise for the response.
/// - `status`: numbers, ranges such as `500-599`, and classes such as `5xx`.
///
/// In a pattern `*` stands for any number of bytes, including none, and `?` for one; a pattern must match the whole value.
///
/// Header fields are compared as records hold them: an HTTPParser has a column for each name in its `request_headers` and
/// `response_headers`, and keeps the first `header_bytes` of a value. Records packed by a Coalescer are sorted one by one, each
/// into an item of its own.
///
/// ```yaml
/// graph: failed-uploads
/// elements:
///   wire: {type: Wire}
///   order: {type: TCPReassembler}
///   http: {type: HTTPParser, request_headers: [User-Agent]}
///   failed:
///     type: HTTPFilter
///     method: [POST, PUT]
///     path: ['/upload/*', '/api/*/file']
///     header: ['User-Agent: *bot*']
///     status: [413, 5xx]
///   sink: {type: RecordSink}
/// chains:
///   - wire.rx -> FlowTable -> order.stream -> http.records -> failed.matched -> sink
///   - order.rest -> Discard
/// ```
public final class HTTPFilter: Element {
    public struct Config: ElementConfig {
        /// Methods.
        public var method: [String] = []
        /// Patterns of hosts.
        public var host: [String] = []
        /// Patterns of paths.
        public var path: [String] = []
        /// Names of request fields, each with a pattern.
        public var header: [String] = []
        /// Names of response fields, each with a pattern.
        public var responseHeader: [String] = []
        /// Numbers, ranges and classes.
        public var status: [String] = []
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case unknownLayout, noColumn, malformed
        public var about: String {
            switch self {
            case .unknownLayout: "its layout is not one of this run"
            case .noColumn:
                "records of its layout lack a column that is asked for: HTTPParser has them with `request_headers` and "
                    + "`response_headers`"
            case .malformed: "its bytes are not whole records"
            }
        }
    }
    public static let summary = "sorts HTTP transactions by method, host, path, header fields and status"
    public static let category = Category.streams
    public static let depends = Depends.item
    public static func inputs(_ config: Config) -> [Input] {
        let columns = ["method", "target", "host", "status"].map {
            NeededColumn($0, hint: "put an HTTPParser before it")
        }
        let headers = [(HTTP1Side.request, config.header), (.response, config.responseHeader)].flatMap { side, texts in
            texts.compactMap(HeaderPattern.init).map { pattern in
                NeededColumn(
                    HTTPParser.column(side, pattern.name),
                    hint: "an HTTPParser has it with '\(side)_headers: [\(pattern.name)]'"
                )
            }
        }
        return [
            Input(
                "in",
                .only(.record("http")),
                reads: .payload,
                columns: columns + headers,
                "records of an HTTPParser, alone or packed by a Coalescer"
            )
        ]
    }
    public static func outputs(_: Config) -> [Output] {
        [
            Output("matched", .sameAs(input: 0), "records that all parameters take"),
            Output("other", .sameAs(input: 0), optional: true, "the others"),
        ]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("method", strings: \.method, "methods, as they are written", flaw: flaw(ofMethod:)),
        .init("host", strings: \.host, "patterns of hosts, such as `*.example.org`", flaw: flaw(ofHost:)),
        .init("path", strings: \.path, "patterns of paths, such as `/api/*`", flaw: flaw(ofPath:)),
        .init(
            "header",
            strings: \.header,
            "names of request fields with a pattern, such as `Accept: *json*`",
            flaw: flaw(ofHeader:)
        ),
        .init(
            "response_header",
            strings: \.responseHeader,
            "names of response fields with a pattern",
            flaw: flaw(ofHeader:)
        ),
        .init("status", strings: \.status, "status codes: `404`, `500-599`, `5xx`", flaw: flaw(ofStatus:)),
    ]
    public static let handlers = [
        Handler<HTTPFilter>("matched", "records that all parameters took") { Int($0.counters.matched) },
        Handler<HTTPFilter>("other", "the others") { Int($0.counters.other) },
        Handler<HTTPFilter>("missed", "packed records that were lost since the pool was empty") {
            Int($0.counters.missed)
        },
    ]
    public static let operations: [Operation] = [.test, .scanned, .copyBytes]
    public static let examples = [
        Example(
            "one of the two transactions in these packets failed",
            config: "{status: [4xx, 5xx]}",
            in: [
                "in": [
                    #"10.0.0.1:1000 > 10.0.0.2:80 A seq=1 data="GET /a HTTP/1.1\r\nHost: x\r\n\r\n""#,
                    #"10.0.0.2:80 > 10.0.0.1:1000 A seq=1 data="HTTP/1.1 204 No Content\r\n\r\n""#,
                    #"10.0.0.1:1000 > 10.0.0.2:80 A seq=29 data="GET /b HTTP/1.1\r\nHost: x\r\n\r\n""#,
                    #"10.0.0.2:80 > 10.0.0.1:1000 A seq=28 data="HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n""#,
                ]
            ],
            out: ["matched": ["target=/b status=404"], "other": ["target=/a status=204"]]
        )
    ]

    // MARK: Parameters

    /// A name with a pattern.
    private struct HeaderPattern {
        var name: String
        var pattern: String

        /// Nil if there is no colon.
        init?(_ text: String) {
            guard let colon = text.firstIndex(of: ":") else { return nil }
            name = String(text[..<colon])
            let value = text[text.index(after: colon)...].drop { $0 == " " }
            pattern = String(value.reversed().drop { $0 == " " }.reversed())
        }
    }

    /// The status codes that a value of `status` stands for; nil if it is invalid.
    private static func codes(_ text: String) -> ClosedRange<UInt16>? {
        func code(_ text: Substring) -> UInt16? {
            guard text.count == 3, let number = UInt16(text), number >= 100 else { return nil }
            return number
        }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        if ends.count == 2, let first = code(ends[0]), let last = code(ends[1]), first <= last { return first...last }
        if let code = code(text[...]) { return code...code }
        guard text.count == 3, text.dropFirst().lowercased() == "xx", let first = code(text.prefix(1) + "00") else {
            return nil
        }
        return first...first + 99
    }

    private static func flaw(ofPattern text: String) -> String? {
        if text.isEmpty { return "a pattern is empty" }
        if text.utf8.count > GlobList.mostBytes {
            return "the pattern has \(text.utf8.count) bytes; \(GlobList.mostBytes) are the most"
        }
        return nil
    }

    @Sendable private static func flaw(ofMethod text: String) -> String? {
        HTTPParser.isToken(text) ? nil : "'\(text)' cannot be a method"
    }

    @Sendable private static func flaw(ofHost text: String) -> String? {
        if let flaw = flaw(ofPattern: text) { return flaw }
        if text.contains(where: { " /@".contains($0) }) {
            return "'\(text)' matches no host: write neither scheme nor path"
        }
        let bytes = Array(text.utf8)
        if !bytes.contains(UInt8(ascii: "[")), !bytes.contains(UInt8(ascii: "]")),
            bytes.count(where: { $0 == UInt8(ascii: ":") }) > 1
        {
            return "'\(text)' matches no host: IPv6 addresses stand in brackets"
        }
        return nil
    }

    @Sendable private static func flaw(ofPath text: String) -> String? {
        if let flaw = flaw(ofPattern: text) { return flaw }
        return "/*?".contains(text.first!) ? nil : "'\(text)' matches no path: they begin with '/'"
    }

    @Sendable private static func flaw(ofHeader text: String) -> String? {
        guard let header = HeaderPattern(text) else { return "'\(text)' has no colon between name and pattern" }
        if !HTTPParser.isToken(header.name) { return "'\(header.name)' cannot be the name of a header field" }
        if header.pattern.isEmpty { return "'\(text)' has no pattern behind the colon; '*' takes every value" }
        return flaw(ofPattern: header.pattern)
    }

    @Sendable private static func flaw(ofStatus text: String) -> String? {
        codes(text) == nil ? "'\(text)' is no status: a code from 100 to 999, a range 500-599 or a class 5xx" : nil
    }

    // MARK: Matching

    /// The conditions, the same for all layouts.
    private final class Question {
        let method: GlobList
        let host: GlobList
        let path: GlobList
        /// The patterns of `header`, then those of `response_header`.
        let header: GlobList
        let requestHeaders: Int
        /// Indexed by status code.
        let status: UnsafeMutablePointer<Bool>
        let asksStatus: Bool
        /// For each pattern of `host`, whether it has a port.
        let hasPort: UnsafeMutablePointer<Bool>
        /// The columns of the header patterns.
        let columns: [String]

        init(_ config: Config) {
            method = GlobList(config.method, .literal)
            host = GlobList(config.host, .ignoringCase)
            path = GlobList(config.path)
            let request = config.header.compactMap(HeaderPattern.init)
            let response = config.responseHeader.compactMap(HeaderPattern.init)
            header = GlobList((request + response).map(\.pattern), .ignoringCase)
            requestHeaders = request.count
            columns =
                request.map { HTTPParser.column(.request, $0.name) }
                + response.map { HTTPParser.column(.response, $0.name) }
            status = .allocate(capacity: 1000)
            status.initialize(repeating: false, count: 1000)
            for codes in config.status.compactMap(HTTPFilter.codes) { for code in codes { status[Int(code)] = true } }
            asksStatus = !config.status.isEmpty
            hasPort = .allocate(capacity: config.host.count)
            for (k, pattern) in config.host.enumerated() {
                let bytes = Array(pattern.utf8)
                (hasPort + k).initialize(to: HTTP1Target.hostEnd(bytes) < bytes.count)
            }
        }

        deinit {
            status.deallocate()
            hasPort.deallocate()
        }
    }

    /// The tested columns in one layout.
    private final class Columns {
        let layout: Layout
        let method: Int
        let target: Int
        let host: Int
        let status: Int
        /// For each pattern of a header field, the column it is compared with.
        let headers: UnsafeMutablePointer<Int>

        /// Nil if the layout lacks one.
        init?(_ layout: Layout, _ question: Question) {
            func offset(_ name: String, _ type: Layout.FieldType) -> Int? {
                layout.fields.first { $0.name == name && $0.type == type }?.offset
            }
            guard let method = offset("method", .text), let target = offset("target", .text),
                let host = offset("host", .text), let status = offset("status", .u16OrNone)
            else { return nil }
            let offsets = question.columns.compactMap { offset($0, .text) }
            guard offsets.count == question.columns.count else { return nil }
            self.layout = layout
            self.method = method
            self.target = target
            self.host = host
            self.status = status
            headers = .allocate(capacity: offsets.count)
            headers.initialize(from: offsets, count: offsets.count)
        }

        deinit { headers.deallocate() }

        @inline(__always)
        func text(_ column: Int, _ record: UnsafeRawPointer) -> UnsafeRawBufferPointer? {
            layout.text(at: column, of: record)
        }
    }
    /// Operations counted for one batch.
    private struct Work: BitwiseCopyable {
        var tests = 0
        var scanned = 0
        var copied = 0
    }
    private struct Counters: BitwiseCopyable {
        var matched: UInt64 = 0
        var other: UInt64 = 0
        var missed: UInt64 = 0
    }

    private let question: Question
    private let layouts: LayoutTable
    /// By layout number; nil until a record of that layout arrives.
    private var known: [Columns?] = []
    @exclusivity(unchecked) private var work = Work()
    @exclusivity(unchecked) private var counters = Counters()

    public init(_ config: Config, _ setup: Setup) {
        question = Question(config)
        layouts = setup.layouts
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        work = Work()
        var k = 0
        while k < batch.count {
            // Columns are reference-counted: retained once for consecutive records of a layout, not for each.
            let number = batch[k].layout
            guard let columns = columns(of: number) else {
                context.drop(batch.index[k], layouts[number] == nil ? Drop.unknownLayout : .noColumn)
                k += 1
                continue
            }
            repeat {
                let data = batch[k].data
                let count = Int(batch[k].length)
                if columns.layout.length(of: data, available: count) == count {
                    context.emit(batch.index[k], sort(data, columns))
                } else {
                    split(batch.index[k], data, count, columns, number, context)
                }
                k += 1
            } while k < batch.count && batch[k].layout == number
        }
        if work.tests > 0 { context.did(.test, work.tests) }
        if work.scanned > 0 { context.did(.scanned, work.scanned) }
        if work.copied > 0 { context.did(.copyBytes, work.copied) }
    }

    @inline(never)
    private func columns(of number: UInt16) -> Columns? {
        while known.count <= Int(number) { known.append(nil) }
        if known[Int(number)] == nil { known[Int(number)] = layouts[number].flatMap { Columns($0, question) } }
        return known[Int(number)]
    }

    /// Emits each record of a transfer separately.
    @inline(never)
    private func split(
        _ i: Int32,
        _ data: UnsafeRawPointer,
        _ count: Int,
        _ columns: Columns,
        _ number: UInt16,
        _ context: borrowing Context
    ) {
        // All or nothing, as elsewhere.
        var at = 0
        while at < count, let size = columns.layout.length(of: data + at, available: count - at) { at += size }
        guard count > 0, at == count else { return context.drop(i, Drop.malformed) }
        at = 0
        while at < count, let size = columns.layout.length(of: data + at, available: count - at) {
            if let j = context.make(from: i, capacity: size) {
                context[j].writableData.copyMemory(from: data + at, byteCount: size)
                context[j].layout = number
                work.copied += size
                context.emit(j, sort(data + at, columns))
            } else {
                counters.missed += 1
            }
            at += size
        }
        context.use(i)
    }

    /// The output for a record.
    private func sort(_ record: UnsafeRawPointer, _ columns: Columns) -> Int {
        if matches(record, columns) {
            counters.matched += 1
            return 0
        }
        counters.other += 1
        return 1
    }

    private func matches(_ record: UnsafeRawPointer, _ columns: Columns) -> Bool {
        let question = self.question
        if question.asksStatus {
            work.tests += 1
            let field = record.loadUnaligned(fromByteOffset: columns.status, as: UInt16.self)
            let status = Int(UInt16(littleEndian: field))
            guard status < 1000, question.status[status] else { return false }
        }
        let method = columns.text(columns.method, record)
        if question.method.count > 0, !isAny(question.method, 0..<question.method.count, of: method) { return false }
        if question.host.count > 0 || question.path.count > 0 {
            let text = columns.text(columns.target, record) ?? UnsafeRawBufferPointer(start: nil, count: 0)
            let target = HTTP1Target(text, method: method)
            if question.host.count > 0, !isHost(target.authority ?? columns.text(columns.host, record)) { return false }
            if question.path.count > 0, !isAny(question.path, 0..<question.path.count, of: target.path) { return false }
        }
        return isAny(headers: 0..<question.requestHeaders, record, columns)
            && isAny(headers: question.requestHeaders..<question.header.count, record, columns)
    }

    private func isAny(_ patterns: GlobList, _ numbers: Range<Int>, of text: UnsafeRawBufferPointer?) -> Bool {
        guard let text else { return false }
        for number in numbers where isMatch(patterns, number, text) { return true }
        return false
    }

    private func isHost(_ authority: UnsafeRawBufferPointer?) -> Bool {
        guard let authority, !authority.isEmpty else { return false }
        let host = UnsafeRawBufferPointer(rebasing: authority[..<HTTP1Target.hostEnd(authority)])
        for number in 0..<question.host.count
        where isMatch(question.host, number, question.hasPort[number] ? authority : host) {
            return true
        }
        return false
    }

    /// True also if there are no conditions.
    private func isAny(headers: Range<Int>, _ record: UnsafeRawPointer, _ columns: Columns) -> Bool {
        if headers.isEmpty { return true }
        for number in headers {
            if let text = columns.text(columns.headers[number], record), isMatch(question.header, number, text) {
                return true
            }
        }
        return false
    }

    @inline(__always)
    private func isMatch(_ patterns: GlobList, _ number: Int, _ text: UnsafeRawBufferPointer) -> Bool {
        work.tests += 1
        work.scanned += text.count
        return patterns.matches(number, text)
    }
}
