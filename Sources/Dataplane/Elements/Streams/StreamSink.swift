// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Counts and hashes the bytes of both directions of each connection, and can write them to files.
///
/// When a connection ends, a record of each direction leaves on `records`, first that of the side seen first. `stream` numbers
/// connections from 0 in order of their first packets, `src` is the sender of the direction, and `sha256` is the digest of its
/// bytes (FIPS 180-4) without what is missing. `gaps` and `gap_bytes` count what is missing; `overlaps` counts packets with
/// bytes that had come before, and `overlap_conflicts` those in which such bytes differed. `end` is the strongest cause seen,
/// as in flow records.
///
/// With `directory` the bytes of a direction are written to the file `N-SRC-SPORT-DST-DPORT` there, N being the number of the
/// stream; a direction without bytes has no file. Only a few files are open at a time; they are reopened when more bytes come.
public final class StreamSink: Element {
    public struct Config: ElementConfig {
        /// The directory for the files; none are written if empty.
        public var directory = ""
        /// Whether digests are computed; if not, they are those of no bytes.
        public var hash = true
        /// Columns with the same text in every record, behind the others.
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
    public static let summary = "counts, hashes and writes the bytes of streams"
    public static let category = Category.streams
    public static let depends = Depends.flow
    public static func inputs(_: Config) -> [Input] {
        [Input("in", .only(.stream), reads: .payload, needsFlow: true, "streams")]
    }
    public static func outputs(_: Config) -> [Output] {
        [
            Output("records", .kind(.record("stream")), "a record of each direction of each connection"),
            Output("out", .sameAs(input: 0), optional: true, "the streams; where not connected, they end here"),
        ]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("directory", \.directory, "where the bytes of each direction are written as a file; empty for nowhere"),
        .init("hash", \.hash, "make a SHA-256 digest of each direction"),
        .init("labels", labels: \.labels, "columns that hold the same text in every record, behind the others"),
    ]
    public static let handlers = [
        Handler<StreamSink>("streams", "connections seen") { Int($0.connections.count) },
        Handler<StreamSink>("bytes", "bytes of all directions") { Int($0.bytes) },
        Handler<StreamSink>("missed", "records that were not made since the pool was empty") { Int($0.missed) },
    ]
    public static let operations: [Operation] = [.update, .payloadBytes, .record]
    public static let stateBytesPerFlow = FlowArray<State>.bytesPerFlow

    struct Side: BitwiseCopyable {
        var position = StreamPosition()
        var hasFIN = false
        var hasRST = false
        var hasFile = false
        var gaps: UInt32 = 0
        var overlaps: UInt32 = 0
        var conflicts: UInt32 = 0
        var bytes: UInt64 = 0
        var gapBytes: UInt64 = 0
        var hash = SHA256()
    }
    struct State: ConnectionState {
        var connection = Connection()
        var sides = (Side(), Side())
    }
    private static let columns: [(String, Layout.FieldType)] =
        Connection.columns + [
            ("bytes", .u64), ("sha256", .digest), ("gaps", .u32), ("gap_bytes", .u64), ("overlaps", .u32),
            ("overlap_conflicts", .u32),
            ("end", .word(FlowEnd.words)),
        ]

    private let config: Config
    private let connections: Connections<State>
    private let layout: UInt16
    /// Where the first field of a record is, and bytes of all.
    private let (first, size): (Int, Int)
    private let labels: LabelColumns
    private let files: StreamFiles?
    private var bytes: UInt64 = 0
    private var missed: UInt64 = 0

    public init(_ config: Config, _ setup: Setup) throws {
        self.config = config
        connections = try Connections(setup)
        labels = try LabelColumns(config.labels, besides: StreamSink.columns.map(\.0))
        let layout = Layout("stream", StreamSink.columns + labels.columns)
        (first, size) = (layout.fields[0].offset, layout.size)
        self.layout = setup.layouts.register(layout)
        files = config.directory.isEmpty ? nil : StreamFiles(config.directory, setup.services)
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        let onward = context.emitIfConnected(1)
        var bytes = 0
        context.forEach(batch) { p in
            guard let state = connections.find(p) else { return .drop(Drop.noStream) }
            let piece = StreamPiece(p)
            bytes &+= piece.bytes.count
            if piece.direction == 0 {
                take(piece, p, state, &state.pointee.sides.0)
            } else {
                take(piece, p, state, &state.pointee.sides.1)
            }
            return onward
        }
        self.bytes &+= UInt64(bytes)
        context.did(.update, batch.count)
        if config.hash || files != nil { context.did(.payloadBytes, bytes) }
    }

    private func take(
        _ piece: StreamPiece,
        _ p: Packet,
        _ state: UnsafeMutablePointer<State>,
        _ side: inout Side
    ) {
        let missing = side.position.move(over: piece)
        if piece.hasGap {
            side.gaps &+= 1
            side.gapBytes &+= UInt64(missing)
        }
        if p.isOverlapped { side.overlaps &+= 1 }
        if p.isInConflict { side.conflicts &+= 1 }
        if piece.isFIN { side.hasFIN = true }
        if piece.isRST { side.hasRST = true }
        if piece.bytes.isEmpty { return }
        side.bytes &+= UInt64(piece.bytes.count)
        if config.hash { side.hash.update(piece.bytes) }
        if let files {
            files.write(piece.bytes, name(state, piece.direction), isNew: !side.hasFile)
            side.hasFile = true
        }
    }

    /// The file name for a direction.
    private func name(_ state: UnsafeMutablePointer<State>, _ direction: Int) -> String {
        let connection = state.pointee.connection
        let ends = direction == 0 ? connection.ends : connection.ends.reversed
        return "\(connection.number)-\(ends.source)-\(ends.sourcePort)-\(ends.destination)-\(ends.destinationPort)"
    }

    public override func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {
        guard let state = connections.end(flow) else { return }
        let end = reason.strongest(
            rst: state.pointee.sides.0.hasRST || state.pointee.sides.1.hasRST,
            fin: state.pointee.sides.0.hasFIN || state.pointee.sides.1.hasFIN
        )
        record(state, 0, &state.pointee.sides.0, end, flow, context)
        record(state, 1, &state.pointee.sides.1, end, flow, context)
    }

    private func record(
        _ state: UnsafeMutablePointer<State>,
        _ direction: Int,
        _ side: inout Side,
        _ end: UInt8,
        _ flow: FlowRef,
        _ context: borrowing Context
    ) {
        guard let i = context.originate(capacity: size + labels.bytes) else {
            missed &+= 1
            return
        }
        var out = RecordWriter(context[i].writableData + first)
        out.put(state.pointee.connection, source: direction)
        out.put(side.bytes)
        side.hash.digest(to: out.next)
        out.next += 32
        out.put(side.gaps)
        out.put(side.gapBytes)
        out.put(side.overlaps)
        out.put(side.conflicts)
        out.put(end)
        labels.complete(context[i].writableData, size: size)
        context[i].layout = layout
        context[i].flow = flow
        context.did(.record, 1)
        context.emit(i, 0)
    }

    public override func sync() throws { try files?.sync() }

    public override func flush() throws { try files?.close() }
}

/// Files of streams, a few of which are open at a time.
private final class StreamFiles {
    private let directory: String
    private let services: any Services
    /// The open files, least recently used first.
    private var open: [(name: String, sink: any ByteSink)] = []
    private var failure: (any Error)?
    private static let mostOpen = 64

    init(_ directory: String, _ services: any Services) {
        self.directory = directory
        self.services = services
    }

    /// Appends to a file, which is first created or truncated if `isNew`. After a failure nothing is written.
    func write(_ bytes: UnsafeRawBufferPointer, _ name: String, isNew: Bool) {
        if failure != nil { return }
        do {
            let at = try place(of: name, isNew: isNew)
            try open[at].sink.write(bytes)
        } catch {
            failure = error
        }
    }

    private func place(of name: String, isNew: Bool) throws -> Int {
        if let at = open.lastIndex(where: { $0.name == name }) {
            open.append(open.remove(at: at))
            return open.count - 1
        }
        if open.count == StreamFiles.mostOpen { try open.removeFirst().sink.flush() }
        open.append((name, try services.openSink("\(directory)/\(name)", appends: !isNew)))
        return open.count - 1
    }

    func sync() throws {
        if let failure { throw failure }
        for file in open { try file.sink.flush() }
    }

    func close() throws {
        try sync()
        open = []
    }
}
