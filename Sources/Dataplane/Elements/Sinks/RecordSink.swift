// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Writes records as text: JSON lines, or CSV with a header line.
///
/// `file: -` is standard output. In JSON, numbers are numbers, and addresses, flags and words are strings; `proto` is
/// `"tcp"`, `"udp"` or a number. Addresses are written as RFC 5952 says. CSV is that of RFC 4180,
/// where none of these values needs quotation marks; a file has one header, so records of a second layout are dropped.
///
/// When writing fails, later records are dropped and the run ends with the error.
public final class RecordSink: Element {
    public struct Config: ElementConfig {
        /// How records are written.
        public enum Format: String, CaseIterable, Sendable { case json, csv }
        /// How records are written.
        public var format = Format.json
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
    public static func inputs(_: Config) -> [Input] {
        [Input("in", .records, reads: .payload, "records, alone or packed by a Coalescer")]
    }
    public static func outputs(_: Config) -> [Output] { [] }
    public static let parameters: [Parameter<Config>] = [
        .init("format", \.format, "how records are written"),
        .init("file", \.file, "where to; `-` is standard output"),
    ]
    public static let handlers = [
        Handler<RecordSink>("records", "records written") { Int($0.records) },
        Handler<RecordSink>("bytes", "bytes written") { Int($0.bytes) },
    ]
    public static let operations: [Operation] = [.copyBytes]

    /// How the records of one layout are written: what stands before each value, and the end of the line.
    private struct Plan {
        var layout: Layout
        var prefixes: [[UInt8]]
        var header: [UInt8]
        var end: [UInt8]
        /// The most bytes a line takes.
        var maximumLine: Int
    }
    /// Text is handed on in pieces of at least this size.
    private static let piece = 1 << 16

    private let config: Config
    private let layouts: LayoutTable
    private let services: any Services
    private var sink: (any ByteSink)?
    private var failure: (any Error)?
    /// By layout number; nil until a record of it arrives.
    private var plans: [Plan?] = []
    /// The layout of a CSV file.
    private var only: UInt16 = 0
    private var buffer: UnsafeMutablePointer<UInt8>
    private var capacity = 2 * piece
    private var filled = 0
    private var records: UInt64 = 0
    private var bytes: UInt64 = 0

    public init(_ config: Config, _ setup: Setup) throws {
        if config.file.isEmpty { throw ParameterError("'file' is empty", at: 0) }
        self.config = config
        layouts = setup.layouts
        services = setup.services
        buffer = .allocate(capacity: capacity)
        super.init()
    }

    deinit { buffer.deallocate() }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        var written = 0
        for k in 0..<batch.count {
            let i = batch.index[k]
            if failure != nil {
                context.drop(i, Drop.writeFailed)
                continue
            }
            switch write(batch[k]) {
            case .success(let count):
                written &+= count
                context.use(i)
            case .failure(let refusal): context.drop(i, refusal.reason)
            }
        }
        context.did(.copyBytes, written)
    }

    private struct Refusal: Error { var reason: Drop }

    /// Writes the records of one item; gives the bytes of text, or why not.
    private func write(_ p: UnsafeMutablePointer<Item>) -> Result<Int, Refusal> {
        let number = p.pointee.layout
        guard let plan = plan(number) else { return .failure(Refusal(reason: .unknownLayout)) }
        let size = plan.layout.size
        let length = Int(p.pointee.length)
        guard size > 0, length > 0, length % size == 0 else { return .failure(Refusal(reason: .malformed)) }
        var written = 0
        if config.format == .csv {
            if only == 0 {
                only = number
                append(plan.header)
                written = plan.header.count
            }
            if only != number { return .failure(Refusal(reason: .otherLayout)) }
        }
        let isJSON = config.format == .json
        for start in stride(from: 0, to: length, by: size) {
            if capacity - filled < plan.maximumLine { makeRoom(plan.maximumLine) }
            let begin = filled
            let record = UnsafeRawPointer(p.pointee.data) + start
            for (field, prefix) in zip(plan.layout.fields, plan.prefixes) {
                append(prefix)
                if isJSON {
                    let value = field.write(record, to: buffer + filled + 1)
                    if value.isNumber {
                        (buffer + filled).update(from: buffer + filled + 1, count: value.count)
                        filled += value.count
                    } else {
                        buffer[filled] = UInt8(ascii: "\"")
                        buffer[filled + 1 + value.count] = UInt8(ascii: "\"")
                        filled += value.count + 2
                    }
                } else {
                    filled += field.write(record, to: buffer + filled).count
                }
            }
            append(plan.end)
            written += filled - begin
            records &+= 1
            if filled >= RecordSink.piece { handOn() }
            if failure != nil { break }
        }
        return .success(written)
    }

    private func plan(_ number: UInt16) -> Plan? {
        if Int(number) < plans.count, let plan = plans[Int(number)] { return plan }
        guard let layout = layouts[number] else { return nil }
        let names = layout.fields.map(\.name)
        let plan: Plan
        switch config.format {
        case .json:
            plan = Plan(
                layout: layout,
                prefixes: names.enumerated().map { Array(($0 == 0 ? "{\"" : ",\"").utf8) + Array("\($1)\":".utf8) },
                header: [],
                end: Array("}\n".utf8),
                maximumLine: 3 + layout.fields.reduce(0) { $0 + $1.name.utf8.count + 6 + $1.type.maximumText }
            )
        case .csv:
            plan = Plan(
                layout: layout,
                prefixes: names.indices.map { $0 == 0 ? [] : [UInt8(ascii: ",")] },
                header: Array(names.joined(separator: ",").utf8) + [0x0d, 0x0a],
                end: [0x0d, 0x0a],
                maximumLine: 3 + layout.fields.reduce(0) { $0 + $1.name.utf8.count + 2 + $1.type.maximumText }
            )
        }
        while plans.count <= Int(number) { plans.append(nil) }
        plans[Int(number)] = plan
        return plan
    }

    private func append(_ text: [UInt8]) {
        if capacity - filled < text.count { makeRoom(text.count) }
        text.withUnsafeBufferPointer {
            if let base = $0.baseAddress { (buffer + filled).update(from: base, count: $0.count) }
        }
        filled += text.count
    }

    /// Makes room for `count` bytes: the text so far is handed on, and the buffer grows for a layout with long lines.
    private func makeRoom(_ count: Int) {
        handOn()
        if capacity < count {
            buffer.deallocate()
            capacity = count
            buffer = .allocate(capacity: capacity)
        }
    }

    /// Opens the file, unless it is.
    public override func open() throws {
        if sink == nil { sink = try services.openSink(config.file) }
    }

    /// Hands the text so far to the sink. After a failure the text is gone.
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

    public override func flush() throws {
        // Also without a record, so that the file is there.
        if failure == nil { handOn() }
        if let failure { throw failure }
        try sink?.flush()
    }
}
