// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Searches streams for many fixed byte strings at once, even across packet boundaries.
///
/// Each direction of a connection is searched separately; after missing bytes the search starts afresh. Every occurrence is
/// found, including those that overlap or contain others: of several that end at the same byte, the longest counts first.
///
/// `patterns` and the lines of `file` together are the patterns, numbered from 0 in this order. `\xNN` stands for any byte,
/// `\n`, `\r`, `\t` and `\\` have their usual meanings; in YAML such a pattern is best written in single quotes. There may be
/// 65536 patterns of at most 1024 bytes, together 256 KiB, none twice. `case: insensitive` ignores the case of ASCII letters.
///
/// What `action` does where a pattern ends:
/// - `count`: only counts;
/// - `mark`: the packet leaves on `matched` instead of `out`;
/// - `drop`: that packet and everything further of its connection is dropped, in both directions.
///
/// A firewall that drops must also stop packets without new bytes, or the receiver gets the dropped bytes when they are sent
/// again: such packets come by `rest` and leave on `passed`, until their connection is dropped. With `drop`, packets with bytes
/// that were not searched are dropped too: a TCPReassembler that remembers what left (`remember`) marks copies that differ from
/// it, or that it can no longer compare.
///
/// A record for each occurrence leaves on `records`, at most `records_per_flow` per connection: `stream` numbers connections
/// from 0 in order of their first packets, `src` is the sender, `direction` says whether that is the side seen first, `offset`
/// is where the occurrence begins in what the sender sent, counted as if nothing were missing. At the end of the input,
/// `totals` gives for each pattern found the number of occurrences and of packets with them.
public final class PatternMatcher: Element {
    public struct Config: ElementConfig {
        /// Whether case matters.
        public enum Case: String, CaseIterable, Sendable { case sensitive, insensitive }
        /// Which directions are searched.
        public enum Direction: String, CaseIterable, Sendable { case both, forward, reverse }
        /// What happens where a pattern ends.
        public enum Action: String, CaseIterable, Sendable { case count, mark, drop }
        /// The patterns, in text form.
        public var patterns: [String] = []
        /// A file with more patterns, one per line; none if empty.
        public var file = ""
        /// Whether case matters.
        public var letterCase = Case.sensitive
        /// Which directions are searched.
        public var direction = Direction.both
        /// What happens where a pattern ends.
        public var action = Action.count
        /// The most records made for one connection.
        public var recordsPerFlow = 16
        /// Columns with the same text in every record of an occurrence.
        public var labels: [Label] = []
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case noStream, matched, unsearched, flowDropped
        public var about: String {
            switch self {
            case .noStream: "it belongs to no connection"
            case .matched: "a pattern ends in it and `action` is drop"
            case .unsearched:
                "it has bytes that were not searched, and may differ from those that were; `action` is drop"
            case .flowDropped: "its connection was dropped for a pattern before"
            }
        }
    }
    public static let summary = "finds many byte strings in streams"
    public static let category = Category.streams
    public static let depends = Depends.flow
    public static func inputs(_: Config) -> [Input] {
        [
            Input("in", .only(.stream), reads: .payload, "streams"),
            Input("rest", .only(.packet), reads: .arrival, optional: true, "other packets of the same flows"),
        ]
    }
    public static func outputs(_ config: Config) -> [Output] {
        [
            Output("out", .sameAs(input: 0), "the streams"),
            Output("records", .kind(.record("match")), optional: true, "a record of each occurrence"),
            Output("totals", .kind(.record("pattern")), optional: true, "a record of each pattern found, at the end"),
            Output("passed", .sameAs(input: 1), optional: true, "what came by `rest` and is not dropped"),
        ] + (config.action == .mark ? [Output("matched", .sameAs(input: 0), "packets in which a pattern ends")] : [])
    }
    public static let parameters: [Parameter<Config>] = [
        .init("patterns", strings: \.patterns, required: true, "what to look for; `[]` where all is in `file`") {
            PatternList.flaw($0)
        },
        .init("file", \.file, "a file with more patterns, one a line; empty for none"),
        .init("case", \.letterCase, "whether upper and lower case of ASCII letters differ"),
        .init("direction", \.direction, "the directions searched; forward is what the client sends"),
        .init("action", \.action, "what happens to a packet in which a pattern ends"),
        .init("records_per_flow", \.recordsPerFlow, in: 0...1_000_000, "records made of one connection at the most"),
        .init("labels", labels: \.labels, "columns that hold the same text in every record, behind the others"),
    ]
    public static let handlers = [
        Handler<PatternMatcher>("patterns", "patterns looked for", sum: .greatest) { $0.automaton.count },
        Handler<PatternMatcher>("states", "states of their automaton", sum: .greatest) { $0.automaton.states },
        Handler<PatternMatcher>("scanned", "bytes searched") { Int($0.counters.scanned) },
        Handler<PatternMatcher>("matches", "occurrences found") { Int($0.counters.matches) },
        Handler<PatternMatcher>("connections", "connections in which a pattern was found") {
            Int($0.counters.connections)
        },
        Handler<PatternMatcher>("found", "patterns found at least once", sum: .greatest) { $0.found },
        Handler<PatternMatcher>("missed", "records that were not made since the pool was empty") {
            Int($0.counters.missed)
        },
    ]
    public static let operations: [Operation] = [.update, .scanned, .record]
    public static let stateBytesPerFlow = FlowArray<State>.bytesPerFlow
    public static let examples = [
        Example(
            "what is no stream is dropped",
            config: "{patterns: [select, '\\x00\\x01']}",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 PA data=\"select\""]],
            out: ["out": [], "records": []],
            drops: ["no_stream": 1]
        )
    ]

    // MARK: State

    struct Side: BitwiseCopyable {
        /// The automaton's state after the bytes so far.
        var state: UInt32 = 0
        var position = StreamPosition()
        /// Bytes so far, captured or not.
        var offset: UInt64 = 0
    }
    struct State: ConnectionState {
        var connection = Connection()
        var isDropped = false
        var hasMatch = false
        var records: UInt32 = 0
        var sides = (Side(), Side())
    }
    private struct Counters: BitwiseCopyable {
        var scanned: UInt64 = 0
        var matches: UInt64 = 0
        var connections: UInt64 = 0
        var missed: UInt64 = 0
    }
    /// Counts of one pattern.
    private struct Total: BitwiseCopyable {
        var matches: UInt64 = 0
        var packets: UInt64 = 0
        /// The number of the last packet in which it was found, counted from 1.
        var packet: UInt64 = 0
    }
    private static let matchColumns: [(String, Layout.FieldType)] =
        Connection.columns + [
            ("time_ns", .time),
            ("direction", .word(["forward", "reverse"])), ("offset", .u64), ("pattern", .u32), ("text", .text),
        ]
    private static let patternColumns: [(String, Layout.FieldType)] = [
        ("pattern", .u32), ("text", .text), ("matches", .u64), ("packets", .u64),
    ]

    private let config: Config
    private let patterns: [[UInt8]]
    private let automaton: PatternAutomaton
    private let connections: Connections<State>
    private let totals: ZeroedMemory<Total>
    private let matchLayout: UInt16
    private let matchSize: Int
    private let patternSize: Int
    private let labels: LabelColumns
    private let patternLayout: UInt16
    /// For each direction, whether it is searched.
    private let searched: (Bool, Bool)
    private var counters = Counters()
    private var packets: UInt64 = 0

    public init(_ config: Config, _ setup: Setup) throws {
        self.config = config
        do {
            var list = PatternList()
            var failures: [PatternList.Failure] = []
            for text in config.patterns {
                do throws(PatternList.Failure) { try list.add(text) } catch { failures.append(error) }
            }
            if !config.file.isEmpty {
                // Escapes are longer than what they stand for.
                let lines = try setup.services.readFile(config.file, most: 8 * PatternList.mostBytesInAll)
                failures += list.add(lines: lines, of: config.file)
            }
            failures += list.duplicates(ignoringCase: config.letterCase == .insensitive)
            if !failures.isEmpty {
                var all = failures.map { ParameterError($0.message, at: -1) }
                all[0].others = Array(all.dropFirst())
                throw all[0]
            }
            if list.patterns.isEmpty { throw PatternList.Failure(message: "there is no pattern to look for") }
            patterns = list.patterns
            automaton = try PatternAutomaton(list.patterns, ignoresCase: config.letterCase == .insensitive)
        } catch let failure as PatternList.Failure {
            throw ParameterError(failure.message, at: -1)
        }
        connections = try Connections(setup)
        totals = try ZeroedMemory(patterns.count)
        let (columns, totalColumns) = (PatternMatcher.matchColumns, PatternMatcher.patternColumns)
        labels = try LabelColumns(config.labels, besides: (columns + totalColumns).map(\.0))
        let match = Layout("match", columns + labels.columns)
        matchSize = match.size
        matchLayout = setup.layouts.register(match)
        let total = Layout("pattern", totalColumns + labels.columns)
        patternSize = total.size
        patternLayout = setup.layouts.register(total)
        searched = (config.direction != .reverse, config.direction != .forward)
        super.init()
    }

    deinit {
        totals.deallocate()
    }

    private var found: Int { (0..<patterns.count).count { totals.base[$0].matches > 0 } }

    // MARK: Packets

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        if input == 1 { return pass(batch, context) }
        connections.prefetch(batch)
        let marks = config.action == .mark
        let drops = config.action == .drop
        var scanned = 0
        // A loop of its own: in the body of `forEach` the search takes more instructions.
        for k in 0..<batch.count {
            let p = batch[k]
            guard let state = connections.find(p) else {
                context.drop(batch.index[k], Drop.noStream)
                continue
            }
            if state.pointee.isDropped {
                context.drop(batch.index[k], Drop.flowDropped)
                continue
            }
            let piece = StreamPiece(p)
            var hasMatch = false
            if piece.direction == 0 {
                if searched.0 {
                    hasMatch = search(piece, batch.index[k], state, &state.pointee.sides.0, &scanned, context)
                }
            } else if searched.1 {
                hasMatch = search(piece, batch.index[k], state, &state.pointee.sides.1, &scanned, context)
            }
            if hasMatch, drops {
                state.pointee.isDropped = true
                context.drop(batch.index[k], Drop.matched)
            } else if drops, p.isUnread {
                context.drop(batch.index[k], Drop.unsearched)
            } else {
                context.emit(batch.index[k], hasMatch && marks ? 4 : 0)
            }
        }
        counters.scanned &+= UInt64(scanned)
        context.did(.update, batch.count)
        context.did(.scanned, scanned)
    }

    /// Searches the bytes of a piece; true if a pattern ends in them.
    @inline(__always)
    private func search(
        _ piece: StreamPiece,
        _ i: Int32,
        _ state: UnsafeMutablePointer<State>,
        _ side: inout Side,
        _ scanned: inout Int,
        _ context: borrowing Context
    ) -> Bool {
        side.offset &+= UInt64(side.position.move(over: piece))
        if piece.hasGap { side.state = 0 }
        let count = piece.bytes.count
        if count == 0 { return false }
        let start = side.offset
        side.offset &+= UInt64(count)
        scanned &+= count
        var search = PatternSearch(automaton, piece.bytes, from: side.state)
        let hasMatch = search.next()
        if hasMatch { note(&search, piece, start, i, state, context) }
        side.state = search.state
        return hasMatch
    }

    /// Counts the match at the current position, and all others that end in the piece.
    @inline(never)
    private func note(
        _ search: inout PatternSearch,
        _ piece: StreamPiece,
        _ start: UInt64,
        _ i: Int32,
        _ state: UnsafeMutablePointer<State>,
        _ context: borrowing Context
    ) {
        if !state.pointee.hasMatch {
            state.pointee.hasMatch = true
            counters.connections &+= 1
        }
        packets &+= 1
        repeat {
            var suffix = search.state
            while true {
                if let number = automaton.pattern(at: suffix) {
                    let total = totals.base + number
                    total.pointee.matches &+= 1
                    if total.pointee.packet != packets { total.pointee.packets &+= 1 }
                    total.pointee.packet = packets
                    counters.matches &+= 1
                    let offset = start &+ UInt64(search.position) &- UInt64(patterns[number].count)
                    record(number, offset, piece.direction, i, state, context)
                }
                suffix = automaton.suffix(of: suffix)
                if suffix == 0 { break }
            }
            // Dropped packets are not searched further.
        } while config.action != .drop && search.next()
    }

    private func record(
        _ number: Int,
        _ offset: UInt64,
        _ direction: Int,
        _ i: Int32,
        _ state: UnsafeMutablePointer<State>,
        _ context: borrowing Context
    ) {
        guard context.isConnected(1), state.pointee.records < config.recordsPerFlow else { return }
        state.pointee.records &+= 1
        let text = patterns[number]
        guard let j = context.make(from: i, capacity: matchSize + text.count + labels.bytes) else {
            counters.missed &+= 1
            return
        }
        var out = TextRecordWriter(context[j].writableData, size: matchSize)
        out.fields.put(state.pointee.connection, source: direction)
        out.fields.put(context[i].time)
        out.fields.put(UInt8(truncatingIfNeeded: direction))
        out.fields.put(offset)
        out.fields.put(UInt32(truncatingIfNeeded: number))
        text.withUnsafeBytes { out.put(text: $0) }
        labels.put(into: &out)
        _ = out.finish()
        context[j].layout = matchLayout
        context.did(.record, 1)
        context.emit(j, 1)
    }

    /// Handles packets that bring no new bytes.
    private func pass(_ batch: Batch, _ context: borrowing Context) {
        let drops = config.action == .drop
        context.forEach(batch) { p in
            if let state = connections.peek(p.flow), state.pointee.isDropped { return .drop(Drop.flowDropped) }
            if drops, p.isUnread { return .drop(Drop.unsearched) }
            return .emit(3)
        }
    }

    // MARK: Ends

    public override func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {
        _ = connections.end(flow)
    }

    public override var memoryBytes: Int { automaton.memoryBytes }

    public override func finish(_ context: borrowing Context) {
        guard context.isConnected(2) else { return }
        for (number, text) in patterns.enumerated() where totals.base[number].matches > 0 {
            guard let j = context.originate(capacity: patternSize + text.count + labels.bytes) else {
                counters.missed &+= 1
                continue
            }
            var out = TextRecordWriter(context[j].writableData, size: patternSize)
            out.fields.put(UInt32(truncatingIfNeeded: number))
            text.withUnsafeBytes { out.put(text: $0) }
            out.fields.put(totals.base[number].matches)
            out.fields.put(totals.base[number].packets)
            labels.put(into: &out)
            _ = out.finish()
            context[j].layout = patternLayout
            context.did(.record, 1)
            context.emit(j, 2)
        }
    }
}
