// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Reports server name, protocols and version of each TLS connection, from its ClientHello.
///
/// A hello may come in any number of segments and TLS records (RFC 8446 section 5.1). It is searched for where a direction
/// begins, and in its first `search` bytes: it may follow what a proxy (CONNECT, SOCKS) or another protocol (STARTTLS) said
/// before. Either direction may be the client's. SSL 3.0 and all versions of TLS are read, and the hello of SSL 2.0 is
/// recognised (RFC 5246 appendix E.2).
///
/// One record for each such connection, with its first hello, leaves on `records`; other connections have none. `stream`
/// numbers all connections from 0 in order of their first packets, `src` is the client, and `time_ns` is when the hello was
/// recognised. `version` is the highest offered (`TLS 1.3`, `TLS 1.3 draft 28`, `SSL 3.0` ...), `sni` the host name (RFC 6066
/// section 3), `alpn` the protocols in the client's order, separated by commas (RFC 7301), each without meaningless values
/// (GREASE, RFC 8701). `form` is `ssl2` for a hello in SSL 2.0 format, which has neither name nor protocols. `error` says why a
/// hello was not read completely; what was read before is in the record:
/// - `malformed`: lengths do not fit, an extension appears twice, or something else came between its parts;
/// - `too_long`: it has more than `hello_bytes`;
/// - `truncated`: its direction or connection ended first;
/// - `gap`: bytes of it are missing;
/// - `no_room`: unfinished hellos took up `buffer_bytes`, and this one was given up, as `when_full` says.
public final class TLSClientHello: Element {
    public struct Config: ElementConfig {
        /// Which hello is given up when there is no room for all.
        public enum WhenFull: String, CaseIterable, Sendable { case oldest, newest }
        /// How many bytes of a direction are searched for the beginning of a hello.
        public var search = 4096
        /// The most bytes of a hello.
        public var helloBytes = 16_384
        /// The most bytes of unfinished hellos.
        public var bufferBytes = 16 << 20
        /// Which hello is given up when there is no room for all.
        public var whenFull = WhenFull.oldest
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
    public static let summary = "reads server names, protocols and versions from TLS hellos"
    public static let category = Category.streams
    public static let depends = Depends.flow
    public static func inputs(_: Config) -> [Input] { [Input("in", .only(.stream), reads: .payload, "streams")] }
    public static func outputs(_: Config) -> [Output] {
        [
            Output("records", .kind(.record("tls")), "a record of each TLS connection"),
            Output("out", .sameAs(input: 0), optional: true, "the streams; where not connected, they end here"),
        ]
    }
    public static let parameters: [Parameter<Config>] = [
        .init(
            "search",
            size: \.search,
            in: 0...1_048_576,
            "how far behind the beginning of a direction a hello is looked for; 0 = only there"
        ),
        .init("hello_bytes", size: \.helloBytes, in: 64...262_144, "bytes a hello may have"),
        .init(
            "buffer_bytes",
            size: \.bufferBytes,
            in: 64...17_179_869_184,
            "bytes kept of hellos that have begun and not ended, over all connections"
        ),
        .init("when_full", \.whenFull, "which hello is given up when these are full"),
        .init("labels", labels: \.labels, "columns that hold the same text in every record, behind the others"),
    ]
    public static let handlers = [
        Handler<TLSClientHello>("streams", "connections seen") { Int($0.connections.count) },
        Handler<TLSClientHello>("hellos", "hellos read as a whole") { Int($0.hellos) },
        Handler<TLSClientHello>("errors", "hellos that were not") { Int($0.errors) },
        Handler<TLSClientHello>("waiting", "hellos that have begun and not ended") { $0.buffers.count },
        Handler<TLSClientHello>("missed", "records that were not made since the pool was empty") { Int($0.missed) },
    ]
    public static let operations: [Operation] = [.update, .payloadBytes, .copyBytes, .record]
    public static let stateBytesPerFlow = FlowArray<State>.bytesPerFlow

    // MARK: State

    enum Phase: UInt8, BitwiseCopyable { case searching, reading, over }

    struct Side: BitwiseCopyable {
        var phase = Phase.searching
        /// Bytes that may be the beginning of a hello, if more come.
        var tailCount: UInt8 = 0
        var tail: (UInt64, UInt64) = (0, 0)
        /// Bytes searched before these.
        var searched: UInt32 = 0
        var assembler = HelloAssembler()
        /// The buffer while `phase` is `reading`.
        var buffer: Int32 = -1
    }
    struct State: ConnectionState {
        var connection = Connection()
        /// Its record was made, or both directions have been given up.
        var isOver = false
        var time: Int64 = 0
        var sides = (Side(), Side())
    }
    private enum Failure: String {
        case malformed, truncated, gap
        case tooLong = "too_long"
        case noRoom = "no_room"
    }
    private static let columns: [(String, Layout.FieldType)] =
        Connection.columns + [
            ("time_ns", .time),
            ("form", .word(["tls", "ssl2"])), ("version", .text), ("sni", .text), ("alpn", .text), ("error", .text),
        ]

    private let config: Config
    private let connections: Connections<State>
    private let buffers: HelloBuffers
    /// Room for the bytes that decide whether a hello begins, if they span several packets.
    private let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 32, alignment: 8)
    private let layout: UInt16
    private let recordSize: Int
    private let labels: LabelColumns
    private var hellos: UInt64 = 0
    private var errors: UInt64 = 0
    private var missed: UInt64 = 0
    private var copied = 0

    public init(_ config: Config, _ setup: Setup) throws {
        self.config = config
        connections = try Connections(setup)
        buffers = try HelloBuffers(
            size: config.helloBytes,
            capacity: min(Int(Int32.max), max(1, config.bufferBytes / config.helloBytes))
        )
        labels = try LabelColumns(config.labels, besides: TLSClientHello.columns.map(\.0))
        let layout = Layout("tls", TLSClientHello.columns + labels.columns)
        recordSize = layout.size
        self.layout = setup.layouts.register(layout)
        super.init()
    }

    deinit {
        window.deallocate()
    }

    // MARK: Packets

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        let onward = context.emitIfConnected(1)
        var looked = 0
        context.forEach(batch) { p, context in
            guard let state = connections.find(p) else { return .drop(Drop.noStream) }
            if !state.pointee.isOver { looked &+= look(context.index(of: p), state, context) }
            return onward
        }
        context.did(.update, batch.count)
        context.did(.payloadBytes, looked)
        if copied > 0 { context.did(.copyBytes, copied) }
        copied = 0
    }

    /// Follows a connection whose hello has not been found; returns how many bytes were examined.
    private func look(_ i: Int32, _ state: UnsafeMutablePointer<State>, _ context: borrowing Context) -> Int {
        let piece = StreamPiece(context[i])
        let side = TLSClientHello.side(piece.direction, of: state)
        if side.pointee.phase == .over { return 0 }
        if piece.hasGap {
            if side.pointee.phase == .reading {
                giveUp(.gap, piece.direction, state, i, context)
                return 0
            }
            // What follows is not a beginning.
            side.pointee.searched &+= UInt32(side.pointee.tailCount) &+ 1
            side.pointee.tailCount = 0
        }
        if !piece.bytes.isEmpty {
            if side.pointee.phase == .reading {
                read(piece.bytes, piece.direction, state, i, context)
            } else {
                search(piece.bytes, piece.direction, state, i, context)
            }
        }
        if piece.isFIN || piece.isRST, !state.pointee.isOver {
            if side.pointee.phase == .reading {
                giveUp(.truncated, piece.direction, state, i, context)
            } else {
                end(side, state)
            }
        }
        return piece.bytes.count
    }

    private static func side(_ direction: Int, of state: UnsafeMutablePointer<State>) -> UnsafeMutablePointer<Side> {
        let sides = UnsafeMutableRawPointer(state) + MemoryLayout<State>.offset(of: \State.sides)!
        return sides.assumingMemoryBound(to: Side.self) + direction
    }

    /// Searches for the beginning of a hello.
    private func search(
        _ bytes: UnsafeRawBufferPointer,
        _ direction: Int,
        _ state: UnsafeMutablePointer<State>,
        _ i: Int32,
        _ context: borrowing Context
    ) {
        let side = TLSClientHello.side(direction, of: state)
        if side.pointee.tailCount > 0, searchTail(bytes, direction, state, i, context) { return }
        let base = bytes.baseAddress!
        let searched = Int(side.pointee.searched)
        let places = UnsafeRawBufferPointer(rebasing: bytes.prefix(max(0, config.search + 1 - searched)))
        var at = 0
        while at < places.count {
            let isBeginning = searched &+ at == 0
            if !isBeginning {
                at = HelloSignature.nextCandidate(places, from: at)
                if at == places.count { break }
            }
            switch HelloSignature.look(base + at, bytes.count &- at, isBeginning: isBeginning) {
            case .no: at &+= 1
            case .needsMore:
                side.pointee.searched = UInt32(searched + at)
                keep(UnsafeRawBufferPointer(rebasing: bytes[at...]), side)
                return
            case .tls:
                start(UnsafeRawBufferPointer(rebasing: bytes[at...]), direction, state, i, context)
                return
            case .ssl2: return report(ssl2: base + at, from: direction, state, i, context)
            }
        }
        side.pointee.searched = UInt32(searched + at)
        if searched + at > config.search { end(side, state) }
    }

    /// Looks for a hello that begins in earlier bytes; true if `bytes` needs no further search.
    private func searchTail(
        _ bytes: UnsafeRawBufferPointer,
        _ direction: Int,
        _ state: UnsafeMutablePointer<State>,
        _ i: Int32,
        _ context: borrowing Context
    ) -> Bool {
        let side = TLSClientHello.side(direction, of: state)
        let tailCount = Int(side.pointee.tailCount)
        let more = min(bytes.count, HelloSignature.size)
        let window = UnsafeRawBufferPointer(rebasing: self.window[..<(tailCount + more)])
        withUnsafeBytes(of: &side.pointee.tail) {
            self.window.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<tailCount]))
        }
        (self.window.baseAddress! + tailCount).copyMemory(from: bytes.baseAddress!, byteCount: more)
        side.pointee.tailCount = 0
        for at in 0..<tailCount {
            let isBeginning = side.pointee.searched == 0
            switch HelloSignature.look(window.baseAddress! + at, window.count - at, isBeginning: isBeginning) {
            case .no:
                side.pointee.searched += 1
                if Int(side.pointee.searched) > config.search {
                    end(side, state)
                    return true
                }
            case .needsMore:
                keep(UnsafeRawBufferPointer(rebasing: window[at...]), side)
                return true
            case .tls:
                if start(UnsafeRawBufferPointer(rebasing: window[at..<tailCount]), direction, state, i, context) {
                    read(bytes, direction, state, i, context)
                }
                return true
            case .ssl2:
                report(ssl2: window.baseAddress! + at, from: direction, state, i, context)
                return true
            }
        }
        return false
    }

    /// Keeps a possible beginning of a hello, too short to decide.
    private func keep(_ bytes: UnsafeRawBufferPointer, _ side: UnsafeMutablePointer<Side>) {
        side.pointee.tailCount = UInt8(bytes.count)
        withUnsafeMutableBytes(of: &side.pointee.tail) { $0.copyMemory(from: bytes) }
    }

    /// Stops examining a direction.
    private func end(_ side: UnsafeMutablePointer<Side>, _ state: UnsafeMutablePointer<State>) {
        side.pointee.phase = .over
        side.pointee.tailCount = 0
        state.pointee.isOver = state.pointee.sides.0.phase == .over && state.pointee.sides.1.phase == .over
    }

    // MARK: Hellos

    /// Reads a hello from its beginning; false if nothing more of it is to be read.
    @discardableResult
    private func start(
        _ bytes: UnsafeRawBufferPointer,
        _ direction: Int,
        _ state: UnsafeMutablePointer<State>,
        _ i: Int32,
        _ context: borrowing Context
    ) -> Bool {
        let side = TLSClientHello.side(direction, of: state)
        state.pointee.time = context[i].time
        if bytes.count >= 9, let length = HelloAssembler.length(bytes.baseAddress! + 5, 4),
            length <= config.helloBytes, length <= Int(bytes.baseAddress!.be16(3)), length <= bytes.count - 5
        {
            // Nearly always it is complete, in one record, and is then read in place.
            report(
                UnsafeRawBufferPointer(rebasing: bytes[5..<5 + length]),
                failure: nil,
                from: direction,
                state,
                i,
                context
            )
            return false
        }
        let owner = connections.states.index(of: state) * 2 + Int32(direction)
        if buffers.oldest >= 0, config.whenFull == .oldest, buffers.isFull {
            let other = buffers.owner(of: buffers.oldest)
            giveUp(.noRoom, Int(other & 1), connections.states.state(at: other >> 1), i, context)
        }
        guard let buffer = buffers.take(for: owner) else {
            giveUp(.noRoom, direction, state, i, context)
            return false
        }
        side.pointee.buffer = buffer
        side.pointee.phase = .reading
        side.pointee.assembler = HelloAssembler()
        read(bytes, direction, state, i, context)
        return !state.pointee.isOver
    }

    /// Reads the next bytes of an unfinished hello.
    private func read(
        _ bytes: UnsafeRawBufferPointer,
        _ direction: Int,
        _ state: UnsafeMutablePointer<State>,
        _ i: Int32,
        _ context: borrowing Context
    ) {
        let side = TLSClientHello.side(direction, of: state)
        let before = side.pointee.assembler.count
        let answer = side.pointee.assembler.read(bytes, into: buffers.bytes(of: side.pointee.buffer))
        copied += Int(side.pointee.assembler.count - before)
        switch answer {
        case .needsMore: break
        case .complete:
            let message = buffers.bytes(of: side.pointee.buffer)[..<Int(side.pointee.assembler.count)]
            report(UnsafeRawBufferPointer(rebasing: message), failure: nil, from: direction, state, i, context)
        case .malformed: giveUp(.malformed, direction, state, i, context)
        case .tooLong: giveUp(.tooLong, direction, state, i, context)
        }
    }

    /// Makes the record of an incomplete hello. `i` is the packet that shows it to be incomplete, nil if a flow has ended.
    private func giveUp(
        _ failure: Failure,
        _ direction: Int,
        _ state: UnsafeMutablePointer<State>,
        _ i: Int32?,
        _ context: borrowing Context
    ) {
        let side = TLSClientHello.side(direction, of: state)
        guard side.pointee.phase == .reading else {
            return report(
                UnsafeRawBufferPointer(start: nil, count: 0),
                failure: failure,
                from: direction,
                state,
                i,
                context
            )
        }
        let message = buffers.bytes(of: side.pointee.buffer)[..<Int(side.pointee.assembler.count)]
        report(UnsafeRawBufferPointer(rebasing: message), failure: failure, from: direction, state, i, context)
    }

    /// Makes the record of a hello from as much of its message as there is.
    private func report(
        _ message: UnsafeRawBufferPointer,
        failure: Failure?,
        from direction: Int,
        _ state: UnsafeMutablePointer<State>,
        _ i: Int32?,
        _ context: borrowing Context
    ) {
        let hello = ClientHello(UnsafeRawBufferPointer(rebasing: message.dropFirst(4)))
        let version = hello.version.map { Array(ClientHello.name(of: $0).utf8) }
        let failure = failure ?? (hello.isMalformed ? .malformed : nil)
        record(form: 0, version: version, hello, failure: failure, from: direction, state, i, context)
    }

    /// Makes the record of a hello in SSL 2.0 format.
    private func report(
        ssl2 bytes: UnsafeRawPointer,
        from direction: Int,
        _ state: UnsafeMutablePointer<State>,
        _ i: Int32,
        _ context: borrowing Context
    ) {
        state.pointee.time = context[i].time
        let version = Array(ClientHello.name(of: bytes.be16(3)).utf8)
        record(form: 1, version: version, nil, failure: nil, from: direction, state, i, context)
    }

    private func record(
        form: UInt8,
        version: [UInt8]?,
        _ hello: ClientHello?,
        failure: Failure?,
        from direction: Int,
        _ state: UnsafeMutablePointer<State>,
        _ i: Int32?,
        _ context: borrowing Context
    ) {
        // Buffers are freed once the record is written, and before another hello asks for one.
        defer { close(state) }
        if failure == nil { hellos &+= 1 } else { errors &+= 1 }
        let error = failure.map { Array($0.rawValue.utf8) }
        var size = recordSize + (version?.count ?? 0) + (error?.count ?? 0) + labels.bytes
        size += hello?.serverName?.count ?? 0
        hello?.forEachProtocol { size += $0.count + 1 }
        let made: Int32?
        if let i { made = context.make(from: i, capacity: size) } else { made = context.originate(capacity: size) }
        guard let j = made else {
            missed &+= 1
            return
        }
        let item = context[j]
        var out = TextRecordWriter(item.writableData, size: recordSize)
        out.fields.put(state.pointee.connection, source: direction)
        out.fields.put(state.pointee.time)
        out.fields.put(form)
        put(version, &out)
        out.put(text: hello?.serverName)
        putProtocols(hello, &out)
        put(error, &out)
        labels.put(into: &out)
        item.length = UInt32(out.finish())
        item.wireLength = item.length
        item.layout = layout
        item.flow = connections.states.flow(of: state)
        context.did(.record, 1)
        context.emit(j, 0)
    }

    private func put(_ text: [UInt8]?, _ out: inout TextRecordWriter) {
        guard let text else { return out.put(text: nil) }
        text.withUnsafeBytes { out.put(text: $0) }
    }

    private func putProtocols(_ hello: ClientHello?, _ out: inout TextRecordWriter) {
        guard let hello, hello.hasProtocols else { return out.put(text: nil) }
        out.begin()
        var isFirst = true
        hello.forEachProtocol { name in
            if !isFirst { [UInt8(ascii: ",")].withUnsafeBytes { out.append($0) } }
            isFirst = false
            out.append(name)
        }
    }

    /// Stops examining both directions.
    private func close(_ state: UnsafeMutablePointer<State>) {
        for direction in 0...1 {
            let side = TLSClientHello.side(direction, of: state)
            if side.pointee.phase == .reading { buffers.giveBack(side.pointee.buffer) }
            side.pointee.phase = .over
        }
        state.pointee.isOver = true
    }

    public override var memoryBytes: Int { config.bufferBytes }

    public override func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {
        guard let state = connections.end(flow) else { return }
        if state.pointee.sides.0.phase == .reading {
            giveUp(.truncated, 0, state, nil, context)
        } else if state.pointee.sides.1.phase == .reading {
            giveUp(.truncated, 1, state, nil, context)
        }
    }
}
