// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Reads HTTP/1.0 and 1.1 in both directions of connections and makes a record of each request with its response (RFC 9110, RFC
/// 9112).
///
/// A connection is HTTP if the first bytes of a direction are a request or response line; others are skipped. If its beginning
/// was not captured, later segments may begin with such a line too. The direction of the requests is the client's, which is `src`
/// in records. `stream` numbers the connections, HTTP or not, from 0 in order of their first packets. Bytes of bodies are counted
/// after dechunking and before decompression. Interim responses (1xx except 101) are counted in `interim`; after a CONNECT or
/// Upgrade that was accepted, the rest is a tunnel.
///
/// With `mode: strict` a message that two readers could interpret differently is an error: that is what request smuggling
/// relies on. `mode: lenient` accepts what common servers accept. `error` is the first error of the two messages of a record, and
/// `error_side` whose it is, `client` or `server`. Strict errors that leave no doubt where the message ends are recorded, and it
/// is read all the same: `missing_host`, `host_mismatch` (Host against a target in absolute form), `data_after_close`. After any
/// other error, the rest of the message is skipped.
///
/// Missing bytes within a body are tolerated if its framing says where it ends; elsewhere they are the error `gap`. After a gap or
/// an error reading resumes at the next whole and valid head of that direction: at the beginning of a segment, or within one after
/// an empty line (requests), or if it says where it ends (responses). A response that no request can have caused is taken for part
/// of a body. `request_skipped` and `response_skipped` count the bytes that were not read before a message.
///
/// Responses are matched to requests in order. Where bytes were not read, acknowledgment numbers say which requests a response
/// can answer. If that leaves no doubt, the pair is recorded; if it does, the response is recorded without a request and the
/// request without a response, both with the error `gap`. A client that waits for its responses is in doubt only until its next
/// request, one that sends several at a time until it has received the responses to these and sends more. It is assumed to wait for
/// them until it is seen to do otherwise: of one that does not, the first pairs after the beginning of a capture, or after missing
/// bytes, may be wrong.
///
/// Each name in `request_headers` adds a column with the value of that field to the records, `request_user_agent` for
/// `User-Agent`, and each in `response_headers` one such as `response_content_type`. It is empty if a head has no such field,
/// and fields of one name are joined by `, ` (RFC 9110 section 5.3). Only the first `header_bytes` of a value are kept; `cut`
/// counts the longer ones. `labels` are columns behind all others that hold the same text in every record. Fields of interim responses, of trailers and of unreadable heads are ignored.
///
/// A request or status line, a header line and a line with a chunk's size may have `line` bytes each, a head and a trailer section
/// `head` bytes and `fields` lines, and at most 16 empty lines may come before a message. The first request beyond `requests` is
/// the error `too_many_requests`; until responses have caught up, later ones are counted but not recorded, and their responses
/// are recorded without a request. What ended a connection within a message is an error too: `truncated` (FIN), `reset`, `idle`,
/// `evicted`, or `eof` (the input ended, or a new connection reused the 4-tuple).
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
        /// The most bytes of one head, or trailer section.
        public var head = 65_536
        /// The most bytes of one line.
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
        /// Columns with the same text in every record.
        public var labels: [Label] = []
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
                columns: columns.map(\.name) + headerColumns(config) + config.labels.map(\.name),
                "a record of each request with its response"
            ),
            Output("out", .sameAs(input: 0), optional: true, "the streams; where not connected, they end here"),
        ]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("mode", \.mode, "how strictly messages are read"),
        .init("memory", size: \.memory, in: 65_536...17_179_869_184, "bytes that unfinished messages may take"),
        .init("head", size: \.head, in: 256...1_048_576, "bytes one head or trailer section may have"),
        .init(
            "line",
            size: \.line,
            in: 128...1_048_576,
            "bytes one line may have: request, status, header or chunk-size line"
        ),
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
        .init("labels", labels: \.labels, "columns that hold the same text in every record, behind the others"),
    ]
    public static let handlers = [
        Handler<HTTPParser>("streams", "connections seen") { Int($0.connections.count) },
        Handler<HTTPParser>("http", "connections that are HTTP") { Int($0.tally.connections) },
        Handler<HTTPParser>("transactions", "records made") { Int($0.tally.records) },
        Handler<HTTPParser>("errors", "records with an error") { Int($0.tally.errors) },
        Handler<HTTPParser>("skipped", "bytes that were not read: missing, or unreadable") { Int($0.tally.skipped) },
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
        /// The beginning of the connection was captured, and no bytes are missing before those that were examined.
        var isWhole = true
        /// The beginning was captured: then also how many bytes are missing from there is known.
        var isFromStart = true
        /// For each direction, how many bytes are missing before its first ones; nil if that is not known.
        var missing: (UInt64?, UInt64?) = (nil, nil)
        /// For each direction, whether its first bytes are not HTTP.
        var isOther = (false, false)
        /// For each direction, whether the parser was given bytes.
        var isParsed = (false, false)
        /// For each direction, bytes that came before it was known that the connection is HTTP.
        var unparsed: (UInt64, UInt64) = (0, 0)
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
        var skipped: UInt64 = 0
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
            ("error", .text), ("error_side", .text), ("request_skipped", .u64), ("response_skipped", .u64),
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

    /// What is wrong with these columns: names that clash, or values that would make records too long.
    private static func errors(_ config: Config, _ columns: [String]) -> [ParameterError] {
        var names: Set<String> = []
        var errors = columns.filter { !names.insert($0).inserted }.map { name in
            ParameterError("records would have two columns '\(name)'", at: 0)
        }
        let count = config.requestHeaders.count + config.responseHeaders.count
        if count * config.headerBytes > mostHeaderBytes {
            errors.append(
                ParameterError(
                    "\(count) header fields of up to \(Quantity.size(config.headerBytes)) are too much for a record, "
                        + "at most \(Quantity.size(mostHeaderBytes))",
                    at: 0
                )
            )
        }
        return errors
    }

    /// Ports on which an unknown first word is accepted as a method.
    private static let usualPorts: [UInt16] = [80, 8000, 8008, 8080, 8088, 3128]

    private let connections: Connections<State>
    private let layout: UInt16
    private let recordSize: Int
    private let labels: LabelColumns
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
        let columns = HTTPParser.columns + HTTPParser.headerColumns(config).map { ($0, .text) }
        let names = columns.map(\.name)
        labels = try LabelColumns(config.labels, besides: names, HTTPParser.errors(config, names))
        let layout = Layout("http", columns + labels.columns)
        connections = try Connections(setup)
        links = connections.states.links(at: \.link)
        self.layout = setup.layouts.register(layout)
        recordSize = layout.size
        headers = (config.requestHeaders.count, config.responseHeaders.count)
        var rules = config.mode == .strict ? HTTP1Rules.strict : .lenient
        rules.limits.requests = config.requests
        rules.limits.head = config.head
        rules.limits.trailers = config.head
        rules.limits.startLine = config.line
        rules.limits.fieldLine = config.line
        rules.limits.chunkLine = config.line
        rules.resynchronisation = .atHead
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
        let own = piece.direction
        if state.pointee.kind == .unknown {
            if !state.pointee.positions.0.isKnown, !state.pointee.positions.1.isKnown {
                state.pointee.isWhole = piece.isSYN
                state.pointee.isFromStart = piece.isSYN
            }
            let missing = state.pointee.move(over: piece)
            if piece.bytes.isEmpty { return }
            return detect(piece, missing, i, time, state, context)
        }
        let side: HTTP1Side = own == Int(state.pointee.client) ? .request : .response
        let acknowledged = state.pointee.acknowledged(by: piece)
        let missing = state.pointee.move(over: piece)
        var emitter = Emitter(self, state, i, context)
        if piece.hasGap || missing != nil {
            parser.gap(side, missing, time: time, of: &state.pointee.http, to: &emitter)
        }
        if !piece.bytes.isEmpty {
            if !state.pointee.isWhole { begin(piece, side, time, state, &emitter) }
            let bytes = piece.bytes
            parser.take(side, bytes, time: time, acknowledged: acknowledged, of: &state.pointee.http, to: &emitter)
        }
        end(piece, side, state, &emitter)
    }

    /// The first bytes of a direction, of a connection whose beginning was not captured, may be in the middle of a message.
    @inline(never)
    private func begin(
        _ piece: StreamPiece,
        _ side: HTTP1Side,
        _ time: Int64,
        _ state: UnsafeMutablePointer<State>,
        _ emitter: inout Emitter
    ) {
        let own = piece.direction
        if own == 0 ? state.pointee.isParsed.0 : state.pointee.isParsed.1 { return }
        if own == 0 { state.pointee.isParsed.0 = true } else { state.pointee.isParsed.1 = true }
        if !parser.isPlausibleStart(side, piece.bytes) {
            parser.gap(side, nil, time: time, of: &state.pointee.http, to: &emitter)
        }
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

    /// Examines the first bytes of both directions, until those of one are HTTP or neither are; where the beginning was not
    /// captured, of every segment.
    @inline(never)
    private func detect(
        _ piece: StreamPiece,
        _ missing: UInt64?,
        _ i: Int32,
        _ time: Int64,
        _ state: UnsafeMutablePointer<State>,
        _ context: borrowing Context
    ) {
        let own = piece.direction
        let ends = state.pointee.connection.ends
        let port = own == 0 ? ends.destinationPort : ends.sourcePort
        let isUsual = HTTPParser.usualPorts.contains(port)
        let isFromUsual = HTTPParser.usualPorts.contains(own == 0 ? ends.sourcePort : ends.destinationPort)
        var (mine, others) =
            own == 0 ? state.pointee.detections : (state.pointee.detections.1, state.pointee.detections.0)
        let (isMineOther, isOtherOther) =
            own == 0 ? state.pointee.isOther : (state.pointee.isOther.1, state.pointee.isOther.0)
        let before = mine.waiting
        var answer = HTTP1Detection.Answer.other
        if isMineOther {
            answer = HTTP1Detection.startLine(piece.bytes)
        } else if !(piece.hasGap && before > 0) {
            // Bytes from before a gap and after it form no word together.
            let isStart = state.pointee.isWhole && !piece.hasGap
            answer = mine.look(piece.bytes, isUsualPort: isUsual && isStart)
            if !isStart, before == 0, answer == .request || answer == .response {
                // The middle of a message can look like the beginning of one.
                if !parser.isPlausibleStart(answer == .request ? .request : .response, piece.bytes) { answer = .other }
            }
        }
        if piece.hasGap, missing == nil || answer == .other || answer == .undecided {
            state.pointee.isWhole = false
            if missing == nil { state.pointee.isFromStart = false }
            if own == 0, state.pointee.unparsed.0 == 0 { state.pointee.missing.0 = missing }
            if own == 1, state.pointee.unparsed.1 == 0 { state.pointee.missing.1 = missing }
        }
        // Where the beginning is missing, messages within bodies must not exchange the sides.
        if isMineOther || !state.pointee.isWhole && before == 0, isUsual != isFromUsual,
            answer == (isUsual ? .response : .request)
        {
            answer = .other
        }
        if own == 0 {
            state.pointee.detections.0 = mine
            state.pointee.isOther.0 = answer == .other
            if answer == .other { state.pointee.unparsed.0 += UInt64(before + piece.bytes.count) }
        } else {
            state.pointee.detections.1 = mine
            state.pointee.isOther.1 = answer == .other
            if answer == .other { state.pointee.unparsed.1 += UInt64(before + piece.bytes.count) }
        }
        if answer == .other, isOtherOther, state.pointee.isWhole { state.pointee.kind = .other }
        guard answer == .request || answer == .response else { return }
        state.pointee.kind = .http
        state.pointee.client = Int8(answer == .request ? own : 1 - own)
        state.pointee.http = HTTP1Connection(isWhole: state.pointee.isFromStart)
        tally.connections &+= 1
        var emitter = Emitter(self, state, i, context)
        let side: HTTP1Side = answer == .request ? .request : .response
        let otherSide: HTTP1Side = answer == .request ? .response : .request
        state.pointee.isParsed = (own == 0 || others.waiting > 0, own == 1 || others.waiting > 0)
        // First what came before on the other side, then what waited on this one, then its piece.
        if isOtherOther {
            if own == 0 { state.pointee.isParsed.1 = true } else { state.pointee.isParsed.0 = true }
            if state.pointee.isWhole {
                let error: HTTP1Error = otherSide == .request ? .badMethod : .badVersion
                parser.reject(otherSide, error, time: time, of: &state.pointee.http, to: &emitter)
            } else {
                let missing = own == 0 ? state.pointee.missing.1 : state.pointee.missing.0
                parser.gap(otherSide, missing, time: time, of: &state.pointee.http, to: &emitter)
            }
            let count = own == 0 ? state.pointee.unparsed.1 : state.pointee.unparsed.0
            parser.gap(otherSide, count, time: time, of: &state.pointee.http, to: &emitter)
        }
        var acknowledged = state.pointee.acknowledged(by: piece)
        if !isOtherOther, acknowledged != .max { acknowledged += UInt64(others.waiting) }
        if isMineOther {
            let missing = own == 0 ? state.pointee.missing.0 : state.pointee.missing.1
            let count = own == 0 ? state.pointee.unparsed.0 : state.pointee.unparsed.1
            if state.pointee.isWhole {
                let error: HTTP1Error = side == .request ? .badMethod : .badVersion
                parser.reject(side, error, time: time, of: &state.pointee.http, to: &emitter)
            } else {
                parser.gap(side, missing, time: time, of: &state.pointee.http, to: &emitter)
            }
            parser.gap(side, count, time: time, of: &state.pointee.http, to: &emitter)
        } else if piece.hasGap {
            parser.gap(side, missing, time: time, of: &state.pointee.http, to: &emitter)
        } else {
            mine.withBytes {
                let first = UnsafeRawBufferPointer(rebasing: $0[..<before])
                parser.take(
                    side,
                    first,
                    time: time,
                    acknowledged: acknowledged,
                    of: &state.pointee.http,
                    to: &emitter
                )
            }
        }
        let bytes = piece.bytes
        parser.take(side, bytes, time: time, acknowledged: acknowledged, of: &state.pointee.http, to: &emitter)
        if !isOtherOther, others.waiting > 0 {
            others.withBytes {
                if state.pointee.isWhole || parser.isPlausibleStart(otherSide, $0) {
                    parser.take(otherSide, $0, time: time, of: &state.pointee.http, to: &emitter)
                } else {
                    parser.gap(otherSide, nil, time: time, of: &state.pointee.http, to: &emitter)
                    parser.gap(otherSide, UInt64($0.count), time: time, of: &state.pointee.http, to: &emitter)
                }
            }
        }
        end(piece, side, state, &emitter)
    }

    public override var memoryBytes: Int { memoryLimit }

    public override func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {
        guard let state = connections.end(flow) else { return }
        guard state.pointee.kind == .http else { return }
        var emitter = Emitter(self, state, -1, context)
        let end: HTTP1End =
            switch reason {
            case .idle: .idle
            case .evicted: .evicted
            case .eof, .reused: .eof
            case .finished: .finished
            case .reset: .reset
            }
        parser.close(&state.pointee.http, end, to: &emitter)
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

        mutating func skipped(_: HTTP1Side, _ count: UInt64) {
            element._withUnsafeGuaranteedRef { $0.tally.skipped &+= count }
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
            + (error.map { $0.utf8CodeUnitCount + 6 } ?? 0) + values + labels.bytes
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
        func word(_ text: StaticString?) -> UnsafeRawBufferPointer? {
            text.map { UnsafeRawBufferPointer(start: $0.utf8Start, count: $0.utf8CodeUnitCount) }
        }
        out.put(text: word(error))
        out.put(text: word(error == nil ? nil : transaction.errorSide == .request ? "client" : "server"))
        out.fields.put(transaction.requestSkipped)
        out.fields.put(transaction.responseSkipped)
        for k in 0..<headers.request { out.put(text: transaction.requestFields[k]) }
        for k in 0..<headers.response { out.put(text: transaction.responseFields[k]) }
        labels.put(into: &out)
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

extension HTTPParser.State {
    /// Advances past a piece; the number of bytes missing before it if it has a gap, nil if unknown.
    @inline(__always)
    fileprivate mutating func move(over piece: StreamPiece) -> UInt64? {
        let own = piece.direction
        if piece.acknowledgment != nil, !(own == 0 ? positions.1.isKnown : positions.0.isKnown) { meet(piece) }
        let isKnown = own == 0 ? positions.0.isKnown : positions.1.isKnown
        let missing = own == 0 ? positions.0.move(over: piece) : positions.1.move(over: piece)
        // A gap before the first bytes is of unknown size if only the other side says where they begin.
        return isKnown && missing > 0 ? UInt64(missing) : nil
    }

    /// The other direction has not been seen: it goes on, or begins, where this piece acknowledges it.
    @inline(never)
    private mutating func meet(_ piece: StreamPiece) {
        guard let number = piece.acknowledgment else { return }
        if piece.direction == 0 { positions.1.begin(at: number) } else { positions.0.begin(at: number) }
    }

    /// The position in the other direction, as the parser counts, up to which the sender of a piece had received it; `.max` if
    /// that is not known.
    @inline(__always)
    fileprivate func acknowledged(by piece: StreamPiece) -> UInt64 {
        guard let number = piece.acknowledgment else { return .max }
        let other = piece.direction == 0 ? positions.1 : positions.0
        guard other.isKnown else { return .max }
        let position = piece.direction == Int(client) ? http.response.position : http.request.position
        let sum = Int64(truncatingIfNeeded: position) &+ Int64(other.distance(to: number))
        // No byte so far ahead of the captured ones is acknowledged by an honest sender who has received some of these.
        return sum < 0 ? .max : UInt64(sum)
    }
}
