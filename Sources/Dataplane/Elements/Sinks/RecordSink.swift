// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Writes records as text: JSON lines, or CSV with a header line.
///
/// `file: -` is standard output; a file whose name ends in `.gz` is compressed with gzip.
///
/// In JSON, numbers are numbers, and addresses, flags and words are strings; `proto` is `"tcp"`, `"udp"` or the protocol's number
/// as a string, such as `"1"`. Addresses follow RFC 5952. Times are nanoseconds since 1970, under names that end in `_ns`; with `times: iso` they are UTC texts
/// (RFC 3339) such as `2026-11-25T12:34:51.592669000Z`, and the names have no `_ns`. CSV follows RFC 4180, with quotation marks
/// around texts alone; a file has one header, so records of a second layout are dropped.
///
/// After a write error, later records are dropped and the run ends with the error.
public final class RecordSink: Element {
    public struct Config: ElementConfig {
        /// The text format of records.
        public enum Format: String, CaseIterable, Sendable { case json, csv }
        /// How times are written.
        public enum Times: String, CaseIterable, Sendable { case ns, iso }
        /// The text format of records.
        public var format = Format.json
        /// How times are written.
        public var times = Times.ns
        /// The file's name; `-` is standard output.
        public var file = "-"
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case unknownLayout, malformed, otherLayout, writeFailed
        public var about: String {
            switch self {
            case .unknownLayout: "its layout is not one of this run"
            case .malformed: "its bytes are not whole records"
            case .otherLayout: "the CSV file has the header of another layout"
            case .writeFailed: "writing has failed before"
            }
        }
    }
    public static let summary = "writes records as JSON lines or CSV"
    public static let category = Category.sinks
    public static let depends = Depends.item
    /// It writes one file.
    public static let divides = Divides.never
    public static func inputs(_ config: Config) -> [Input] {
        [
            Input(
                "in",
                .records,
                reads: .payload,
                takesOneLayout: config.format == .csv,
                "records, alone or packed by a Coalescer"
            )
        ]
    }
    public static func outputs(_: Config) -> [Output] { [] }
    public static let parameters: [Parameter<Config>] = [
        .init("format", \.format, "how records are written"),
        .init("file", file: \.file, "where to; `-` is standard output"),
        .init("times", \.times, "times as nanoseconds since 1970, or as UTC date and time"),
    ]
    public static let handlers = [
        Handler<RecordSink>("records", "records written") { Int($0.records) },
        Handler<RecordSink>("bytes", "bytes written") { Int($0.bytes) },
    ]
    public static let operations: [Operation] = [.textBytes]

    /// Text is passed to the sink in pieces of at least this size.
    private static let piece = 1 << 16

    private let config: Config
    private let layouts: LayoutTable
    private let services: any Services
    private var sink: (any ByteSink)?
    private var failure: (any Error)?
    /// By layout number; nil until a record of that layout arrives.
    private var texts: [RecordText?] = []
    /// The layout number used last.
    private var number: UInt16 = 0
    @exclusivity(unchecked) private var text: RecordText?
    /// The layout of a CSV file.
    private var only: UInt16 = 0
    private var buffer: UnsafeMutablePointer<UInt8>
    private var capacity = 2 * piece
    private var filled = 0
    /// Bytes of text written for the current batch.
    private var written = 0
    private var records: UInt64 = 0
    private var bytes: UInt64 = 0

    public init(_ config: Config, _ setup: Setup) throws {
        self.config = config
        layouts = setup.layouts
        services = setup.services
        buffer = .allocate(capacity: capacity)
        super.init()
    }

    deinit { buffer.deallocate() }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        written = 0
        context.forEach(batch) { p in
            if failure != nil { return .drop(Drop.writeFailed) }
            return write(p).map { .drop($0) } ?? .use
        }
        context.did(.textBytes, written)
    }

    /// Writes the records of one item; returns the drop reason if that fails.
    private func write(_ p: Packet) -> Drop? {
        if p.layout != number || text == nil { change(to: p.layout) }
        guard let text else { return .unknownLayout }
        let data = p.data
        let length = Int(p.length)
        // All or nothing: bytes that are not whole records are not written in part.
        var at = 0
        while at < length {
            guard let size = text.layout.length(of: data + at, available: length &- at) else { return .malformed }
            at &+= size
        }
        if length == 0 { return .malformed }
        if config.format == .csv {
            if only == 0 {
                only = number
                append(text.header)
                written &+= text.header.count
            }
            if only != number { return .otherLayout }
        }
        at = 0
        while at < length, let size = text.layout.length(of: data + at, available: length &- at) {
            let most = text.maximumLine(size)
            if capacity - filled < most { makeRoom(most) }
            let count = text.write(data + at, to: buffer + filled)
            filled &+= count
            written &+= count
            records &+= 1
            if filled >= RecordSink.piece { handOn() }
            if failure != nil { break }
            at &+= size
        }
        return nil
    }

    /// Prepares to write records of another layout.
    @inline(never)
    private func change(to number: UInt16) {
        self.number = number
        while texts.count <= Int(number) { texts.append(nil) }
        if texts[Int(number)] == nil, let layout = layouts[number] {
            texts[Int(number)] = RecordText(
                layout,
                config.format == .json ? .json : .csv,
                hasISOTimes: config.times == .iso
            )
        }
        text = texts[Int(number)]
    }

    private func append(_ text: [UInt8]) {
        if capacity - filled < text.count { makeRoom(text.count) }
        text.withUnsafeBufferPointer {
            if let base = $0.baseAddress { (buffer + filled).update(from: base, count: $0.count) }
        }
        filled += text.count
    }

    /// Makes room for `count` bytes: flushes the text so far, and enlarges the buffer for a layout with long lines.
    private func makeRoom(_ count: Int) {
        handOn()
        if capacity < count {
            buffer.deallocate()
            capacity = count
            buffer = .allocate(capacity: capacity)
        }
    }

    public override var memoryBytes: Int { capacity }

    /// Opens the file unless it is open.
    public override func open() throws {
        if sink == nil { sink = try services.openSink(config.file) }
    }

    /// Passes the text so far to the sink. After a failure the text is lost.
    private func handOn() {
        do {
            try open()
            if filled > 0 { try sink!.write(UnsafeRawBufferPointer(start: buffer, count: filled)) }
            bytes &+= UInt64(filled)
        } catch {
            failure = error
        }
        filled = 0
    }

    public override func sync() throws { try flush() }

    public override func flush() throws {
        // Even without records, so that the file exists.
        if failure == nil { handOn() }
        if let failure { throw failure }
        try sink?.flush()
    }
}
