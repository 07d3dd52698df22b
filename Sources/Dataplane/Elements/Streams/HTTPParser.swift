// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Reads HTTP/1.0 and 1.1 in both directions of connections and makes a record of each request with its response (RFC 9110, RFC
/// 9112).
///
/// A connection is HTTP if the first bytes of a direction are a request or response line; others are skipped. The direction of
/// the requests is the client's, which is `src` in records. `stream` numbers the connections, HTTP or not, from 0 in order of
/// their first packets. Bytes of bodies are counted after dechunking and before decompression. Interim responses (1xx except
/// 101) are counted in `interim`; after a CONNECT or Upgrade that was accepted, the rest is a tunnel.
///
/// With `mode: strict` a message that two readers could interpret differently is an error: that is what request smuggling
/// relies on. `mode: lenient` accepts what common servers accept. A message that cannot be read gives a record with `error`,
/// and the rest of its direction is skipped. Missing bytes within a body are tolerated if the framing says where it ends;
/// elsewhere they are the error `gap`, and reading resumes with the next head after the gap.
///
/// Each name in `request_headers` adds a column with the value of that field to the records, `request_user_agent` for
/// `User-Agent`, and each in `response_headers` one such as `response_content_type`. It is empty if a head has no such field,
/// and fields of one name are joined by `, ` (RFC 9110 section 5.3). Only the first `header_bytes` of a value are kept; `cut`
/// counts the longer ones. Fields of interim responses, of trailers and of unreadable heads are ignored.
///
/// Heads that come in several pieces, requests awaiting their response, and field values awaiting their record are kept for all
/// connections together in at most `memory`. When less than an eighth of it is left, the connection that has kept something for
/// longest gives way: its unfinished messages get the error `no_memory`, and the rest of it is skipped.
public final class HTTPParser: Element {
    public struct Config: ElementConfig {
        /// How strictly messages are read.
        public enum Mode: String, CaseIterable, Sendable { case strict, lenient }
        /// How strictly messages are read.
        public var mode = Mode.strict
        /// The most bytes for unfinished heads and requests without response.
        public var memory = 64 << 20
        /// The most bytes of one head.
        public var head = 65_536
        /// The most bytes of one header line.
        public var line = 16_384
        /// The most header lines of one head.
        public var fields = 256
        /// The most requests of one connection that await their responses.
        public var requests = 4096
        /// Names of request fields whose values records include.
        public var requestHeaders: [String] = []
        /// Names of response fields whose values records include.
        public var responseHeaders: [String] = []
        /// The most bytes kept of one such value.
        public var headerBytes = 1024
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case noStream
        public var about: String {
            switch self {
            case .noStream: "it belongs to no connection"
            }
        }
    }
    public static let summary = "makes a record of each HTTP request with its response"
    public static let category = Category.streams
    public static let depends = Depends.flow
    public static func inputs(_: Config) -> [Input] {
        [Input("in", .only(.stream), reads: .payload, needsFlow: true, "streams")]
    }
    public static func outputs(_ config: Config) -> [Output] {
        [
            Output(
                "records",
                .kind(.record("http")),
                columns: columns.map(\.name) + headerColumns(config),
                "a record of each request with its response"
            ),
            Output("out", .sameAs(input: 0), optional: true, "the streams; where not connected, they end here"),
        ]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("mode", \.mode, "how strictly messages are read"),
        .init("memory", size: \.memory, in: 65_536...17_179_869_184, "bytes that unfinished messages may take"),
        .init("head", size: \.head, in: 256...1_048_576, "bytes one head may have"),
        .init("line", size: \.line, in: 128...1_048_576, "bytes one header line may have"),
        .init("fields", \.fields, in: 1...65_536, "header lines one head may have"),
        .init("requests", \.requests, in: 1...65_536, "requests of one connection that may wait for responses"),
        .init(
            "request_headers",
            strings: \.requestHeaders,
            "request fields that records have a column for",
            flaw: flaw
        ),
        .init(
            "response_headers",
            strings: \.responseHeaders,
            "response fields that records have a column for",
            flaw: flaw
        ),
        .init("header_bytes", size: \.headerBytes, in: 16...16_384, "bytes kept of the value in such a column"),
    ]
    public static let handlers = [
        Handler<HTTPParser>("streams", "connections seen") { Int($0.connections.count) },
        Handler<HTTPParser>("http", "connections that are HTTP") { Int($0.tally.connections) },
        Handler<HTTPParser>("transactions", "records made") { Int($0.tally.records) },
        Handler<HTTPParser>("errors", "records with an error") { Int($0.tally.errors) },
        Handler<HTTPParser>("cut", "values of header fields that were longer than header_bytes") { Int($0.tally.cut) },
        Handler<HTTPParser>(
            "missed",
            "records that were not made: the pool was empty, or they had more than 65535 bytes"
        ) {
            Int($0.tally.missed)
        },
        Handler<HTTPParser>("given_up", "connections that gave way since memory was short") { Int($0.tally.givenUp) },
        Handler<HTTPParser>("memory", "bytes that unfinished messages take now") { $0.parser.memory.used },
    ]
    public static let operations: [Operation] = [.update, .payloadBytes, .copyBytes, .record]
    public static let stateBytesPerFlow = FlowArray<State>.bytesPerFlow

    struct State: ConnectionState {
        enum Kind: BitwiseCopyable {
            /// Not decided yet.
            case unknown
            case http, other
        }
        var connection = Connection()
        var kind = Kind.unknown
        /// The direction of the requests, if it is HTTP.
        var client: Int8 = 0
        /// For each direction, whether its first bytes are not HTTP.
        var isOther = (false, false)
        var positions = (StreamPosition(), StreamPosition())
        var detections = (HTTP1Detection(), HTTP1Detection())
        var http = HTTP1Connection()
        /// Its link in the list of connections that keep memory.
        var link = IndexList.Link()
    }
    private struct Tally: BitwiseCopyable {
        var connections: UInt64 = 0
        var records: UInt64 = 0
        var errors: UInt64 = 0
        var missed: UInt64 = 0
        var cut: UInt64 = 0
        var givenUp: UInt64 = 0
        var headBytes = 0
        var copied = 0
        var made = 0
    }
    private static let columns =
        Connection.columns + [
            ("method", .text), ("target", .text), ("host", .text), ("version", .text), ("status", .u16OrNone),
            ("request_body_bytes", .u64),
            ("response_body_bytes", .u64), ("request_ns", .timeOrNone), ("response_ns", .timeOrNone), ("interim", .u32),
            ("error", .text),
        ]
    /// The most bytes of field values in a record, so that the rest of a usual one fits too.
    private static let mostHeaderBytes = 32_768

    /// The column name for a header field.
    static func column(_ side: HTTP1Side, _ name: String) -> String {
        (side == .request ? "request_" : "response_")
            + String(name.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    }

    private static func headerColumns(_ config: Config) -> [String] {
        config.requestHeaders.map { column(.request, $0) } + config.responseHeaders.map { column(.response, $0) }
    }

    private static let flaw: @Sendable (String) -> String? = {
        isToken($0) ? nil : "'\($0)' cannot be the name of a header field"
    }

    /// Whether a text is a token (RFC 9110 section 5.6.2), as field names and methods are.
    static func isToken(_ text: String) -> Bool { !text.isEmpty && text.utf8.allSatisfy(HTTP1Bytes.isToken) }

    /// Rejects columns whose names clash, or that would make records too long.
    private static func check(_ config: Config, _ layout: Layout) throws(ParameterError) {
        var names: Set<String> = []
        for field in layout.fields where !names.insert(field.name).inserted {
            throw ParameterError("records would have two columns '\(field.name)'", at: 0)
        }
        let count = config.requestHeaders.count + config.responseHeaders.count
        if count * config.headerBytes > mostHeaderBytes {
            throw ParameterError(
                "\(count) header fields of up to \(Quantity.size(config.headerBytes)) are too much for a record, "
                    + "at most \(Quantity.size(mostHeaderBytes))",
                at: 0
            )
        }
    }

    /// Ports on which an unknown first word is accepted as a method.
    private static let usualPorts: [UInt16] = [80, 8000, 8008, 8080, 8088, 3128]

    private let connections: Connections<State>
    private let layout: UInt16
    private let recordSize: Int
    private let headers: (request: Int, response: Int)
    private let parser: HTTP1Parser
    /// Memory is short when more than this is used.
    private let shortage: Int
    private let memoryLimit: Int
    @exclusivity(unchecked) private var tally = Tally()
    /// Connections that keep memory, the one that has done so for longest first.
    private var keepers = IndexList()
    private let links: IndexList.Links

    public init(_ config: Config, _ setup: Setup) throws {
        let layout = Layout("http", HTTPParser.columns + HTTPParser.headerColumns(config).map { ($0, .text) })
        try HTTPParser.check(config, layout)
        connections = try Connections(setup)
        links = connections.states.links(at: \.link)
        self.layout = setup.layouts.register(layout)
        recordSize = layout.size
        headers = (config.requestHeaders.count, config.responseHeaders.count)
        var rules = config.mode == .strict ? HTTP1Rules.strict : .lenient
        rules.limits.requests = config.requests
        rules.limits.requestBytes = 256 * config.requests
        rules.limits.head = config.head
        rules.limits.fieldLine = config.line
        rules.limits.fields = config.fields
        rules.keptFields.request = config.requestHeaders
        rules.keptFields.response = config.responseHeaders
        rules.keptFields.valueBytes = config.headerBytes
        parser = HTTP1Parser(rules, memory: HTTP1Memory(limit: config.memory))
        memoryLimit = config.memory
        shortage = config.memory - config.memory / 8
        super.init()
    }

    // MARK: Streams

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        let onward = context.emitIfConnected(1)
        context.forEach(batch) { p, context in
            guard let state = connections.find(p) else { return .drop(Drop.noStream) }
            if state.pointee.kind != .other {
                let i = context.index(of: p)
                if parser.memory.used > shortage { makeRoom(for: state, i, context) }
                take(StreamPiece(p), i, p.time, state, context)
                if state.pointee.http.keepsMemory != state.pointee.link.isListed { list(state) }
            }
            return onward
        }
        count(context)
        context.did(.update, batch.count)
    }

    /// Counts what the parser read and made since the last call.
    private func count(_ context: borrowing Context) {
        if tally.headBytes > 0 { context.did(.payloadBytes, tally.headBytes) }
        if tally.made > 0 { context.did(.record, tally.made) }
        if tally.copied > 0 { context.did(.copyBytes, tally.copied) }
        tally.headBytes = 0
        tally.made = 0
        tally.copied = 0
    }

    private func take(
        _ piece: StreamPiece,
        _ i: Int32,
        _ time: Int64,
        _ state: UnsafeMutablePointer<State>,
        _ context: borrowing Context
    ) {
        let missing =
            piece.direction == 0
            ? state.pointee.positions.0.move(over: piece) : state.pointee.positions.1.move(over: piece)
        if state.pointee.kind == .unknown {
            if piece.bytes.isEmpty { return }
            return detect(piece, i, time, state, context)
        }
        let side: HTTP1Side = piece.direction == Int(state.pointee.client) ? .request : .response
        var emitter = Emitter(self, state, i, context)
        if piece.hasGap {
            let count = missing > 0 ? UInt64(missing) : nil
            parser.gap(side, count, time: time, of: &state.pointee.http, to: &emitter)
        }
        if !piece.bytes.isEmpty {
            parser.take(side, piece.bytes, time: time, of: &state.pointee.http, to: &emitter)
        }
        end(piece, side, state, &emitter)
    }

    /// Handles a FIN or RST.
    private func end(
        _ piece: StreamPiece,
        _ side: HTTP1Side,
        _ state: UnsafeMutablePointer<State>,
        _ emitter: inout Emitter
    ) {
        if piece.isRST {
            parser.end(.request, .reset, of: &state.pointee.http, to: &emitter)
            parser.end(.response, .reset, of: &state.pointee.http, to: &emitter)
        } else if piece.isFIN {
            parser.end(side, .finished, of: &state.pointee.http, to: &emitter)
        }
    }

    /// Examines the first bytes of both directions, until those of one are HTTP or neither are.
    @inline(never)
    private func detect(
        _ piece: StreamPiece,
        _ i: Int32,
        _ time: Int64,
        _ state: UnsafeMutablePointer<State>,
        _ context: borrowing Context
    ) {
        let own = piece.direction
        let ends = state.pointee.connection.ends
        let port = own == 0 ? ends.destinationPort : ends.sourcePort
        let isUsual = HTTPParser.usualPorts.contains(port)
        let before: Int
        // Bytes from before a gap and after it form no word together.
        let isCut: Bool
        let answer: HTTP1Detection.Answer
        if own == 0 {
            if state.pointee.isOther.0 { return }
            before = state.pointee.detections.0.waiting
            isCut = piece.hasGap && before > 0
            answer = isCut ? .other : state.pointee.detections.0.look(piece.bytes, isUsualPort: isUsual)
            state.pointee.isOther.0 = answer == .other
        } else {
            if state.pointee.isOther.1 { return }
            before = state.pointee.detections.1.waiting
            isCut = piece.hasGap && before > 0
            answer = isCut ? .other : state.pointee.detections.1.look(piece.bytes, isUsualPort: isUsual)
            state.pointee.isOther.1 = answer == .other
        }
        if state.pointee.isOther.0, state.pointee.isOther.1 { state.pointee.kind = .other }
        guard answer == .request || answer == .response else { return }
        state.pointee.kind = .http
        state.pointee.client = Int8(answer == .request ? own : 1 - own)
        tally.connections &+= 1
        var emitter = Emitter(self, state, i, context)
        // First what waited on this side, then the rest of its piece, then what waited on the other side.
        let (mine, others) =
            own == 0 ? state.pointee.detections : (state.pointee.detections.1, state.pointee.detections.0)
        let side: HTTP1Side = answer == .request ? .request : .response
        let otherSide: HTTP1Side = answer == .request ? .response : .request
        mine.withBytes {
            let first = UnsafeRawBufferPointer(rebasing: $0[..<before])
            parser.take(side, first, time: time, of: &state.pointee.http, to: &emitter)
        }
        parser.take(side, piece.bytes, time: time, of: &state.pointee.http, to: &emitter)
        if own == 0 ? state.pointee.isOther.1 : state.pointee.isOther.0 {
            parser.gap(otherSide, nil, time: time, of: &state.pointee.http, to: &emitter)
        } else {
            others.withBytes { parser.take(otherSide, $0, time: time, of: &state.pointee.http, to: &emitter) }
        }
        end(piece, side, state, &emitter)
    }

    public override var memoryBytes: Int { memoryLimit }

    public override func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {
        guard let state = connections.end(flow) else { return }
        guard state.pointee.kind == .http else { return }
        var emitter = Emitter(self, state, -1, context)
        parser.close(&state.pointee.http, .idle, to: &emitter)
        if state.pointee.link.isListed { list(state) }
        count(context)
    }

    // MARK: Memory

    /// Gives up other connections until memory is no longer short.
    @inline(never)
    private func makeRoom(for newcomer: UnsafeMutablePointer<State>, _ i: Int32, _ context: borrowing Context) {
        while parser.memory.used > shortage {
            var victim = keepers.first
            if victim >= 0, connections.states.state(at: victim) == newcomer { victim = keepers.next(victim, links) }
            if victim < 0 { return }
            let state = connections.states.state(at: victim)
            var emitter = Emitter(self, state, i, ofItsFlow: false, context)
            parser.giveUp(&state.pointee.http, to: &emitter)
            state.pointee.kind = .other
            list(state)
            tally.givenUp &+= 1
        }
    }

    /// Appends a connection to those that keep memory, or removes it if it no longer does.
    @inline(never)
    private func list(_ state: UnsafeMutablePointer<State>) {
        let index = connections.states.index(of: state)
        if state.pointee.link.isListed { keepers.remove(index, links) } else { keepers.append(index, links) }
    }

    // MARK: Records

    /// Makes the records of one connection.
    private struct Emitter: HTTP1Handler {
        private let element: Unmanaged<HTTPParser>
        private let state: UnsafeMutablePointer<State>
        /// The item that causes them, -1 for the end of a flow; and whether it belongs to this connection.
        private let parent: Int32
        private let isOfItsFlow: Bool
        private let context: Context

        @inline(__always)
        init(
            _ element: HTTPParser,
            _ state: UnsafeMutablePointer<State>,
            _ parent: Int32,
            ofItsFlow isOfItsFlow: Bool = true,
            _ context: borrowing Context
        ) {
            self.element = .passUnretained(element)
            self.state = state
            self.parent = parent
            self.isOfItsFlow = isOfItsFlow
            self.context = copy context
        }

        mutating func requestHead(_ head: HTTP1Head) { count(head) }
        mutating func responseHead(_ head: HTTP1Head) { count(head) }
        mutating func interimResponse(_ head: HTTP1Head) { count(head) }

        @inline(__always)
        private func count(_ head: HTTP1Head) {
            let bytes = head.bytes.count
            element._withUnsafeGuaranteedRef { $0.tally.headBytes &+= bytes }
        }

        mutating func transaction(_ transaction: HTTP1Transaction) {
            element._withUnsafeGuaranteedRef { $0.record(transaction, state, parent, isOfItsFlow, context) }
        }
    }

    private func record(
        _ transaction: HTTP1Transaction,
        _ state: UnsafeMutablePointer<State>,
        _ parent: Int32,
        _ isOfItsFlow: Bool,
        _ context: borrowing Context
    ) {
        let version = transaction.version
        let error = transaction.error?.name
        let size = recordSize
        let values = transaction.requestFields.bytes + transaction.responseFields.bytes
        let texts =
            transaction.method.count + transaction.target.count + transaction.host.count + 3
            + (error?.utf8CodeUnitCount ?? 0) + values
        guard size + texts <= Int(UInt16.max),
            let i = parent >= 0
                ? context.make(from: parent, capacity: size + texts) : context.originate(capacity: size + texts)
        else {
            tally.missed &+= 1
            return
        }
        func some(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? { text.isEmpty ? nil : text }
        var out = TextRecordWriter(context[i].writableData, size: size)
        out.fields.put(state.pointee.connection, source: Int(state.pointee.client))
        out.put(text: some(transaction.method))
        out.put(text: some(transaction.target))
        out.put(text: some(transaction.host))
        var digits: (UInt8, UInt8, UInt8) = (
            UInt8(ascii: "0") &+ version.major, UInt8(ascii: "."), UInt8(ascii: "0") &+ version.minor
        )
        withUnsafeBytes(of: &digits) { out.put(text: version.major > 0 ? $0 : nil) }
        out.fields.put(transaction.status)
        out.fields.put(transaction.requestBodyBytes)
        out.fields.put(transaction.responseBodyBytes)
        out.fields.put(transaction.requestTime ?? .min)
        out.fields.put(transaction.responseTime ?? .min)
        out.fields.put(transaction.interim)
        out.put(text: error.map { UnsafeRawBufferPointer(start: $0.utf8Start, count: $0.utf8CodeUnitCount) })
        for k in 0..<headers.request { out.put(text: transaction.requestFields[k]) }
        for k in 0..<headers.response { out.put(text: transaction.responseFields[k]) }
        if values > 0 {
            tally.copied &+= values
            tally.cut &+= UInt64(transaction.requestFields.cut + transaction.responseFields.cut)
        }
        if error != nil { tally.errors &+= 1 }
        let length = UInt32(out.finish())
        context[i].length = length
        context[i].wireLength = length
        context[i].layout = layout
        context[i].flow = parent >= 0 && isOfItsFlow ? context[parent].flow : .none
        tally.records &+= 1
        tally.made &+= 1
        context.emit(i, 0)
    }
}
