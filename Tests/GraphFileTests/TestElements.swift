// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

@testable import GraphFile

// Element types for these tests alone: what the checker sees of an element, and nothing that runs.

/// Routes packets by filters: its outputs depend on its parameters.
final class Classifier: Element {
    struct Config: ElementConfig { var rules: [NamedFilter] = [] }
    static let summary = "sorts packets by filters"
    static let category = Category.checking
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .headers, "packets")] }
    static func outputs(_ config: Config) -> [Output] {
        config.rules.map { Output($0.name, .kind(.packet), "packets of the rule") }
            + [Output("other", .kind(.packet), optional: true, "the rest")]
    }
    static let parameters: [Parameter<Config>] = [
        .init("rules", filters: \.rules, required: true, "names with filters")
    ]
    init(_: Config, _: Setup) throws { super.init() }
}

final class IPCheck: Element {
    typealias Config = NoConfig
    static let summary = "checks IP headers"
    static let category = Category.checking
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .headers, "packets")] }
    static func outputs(_: Config) -> [Output] { [Output("out", .kind(.packet), "good packets")] }
    enum Drop: Int, DropReason {
        case badLength, badChecksum
        var about: String { "it is bad" }
    }
    init(_: Config, _: Setup) { super.init() }
}

final class SYNCookie: Element {
    struct Config: ElementConfig { var mss = 1460 }
    static let summary = "answers SYNs"
    static let category = Category.flows
    static let depends = Depends.clock
    static func inputs(_: Config) -> [Input] {
        [
            Input("syn", .only(.packet), reads: .headers, "SYNs"),
            Input("ack", .only(.packet), reads: .headers, "ACKs"),
        ]
    }
    static func outputs(_: Config) -> [Output] {
        [Output("accepted", .kind(.packet), "good ACKs"), Output("reply", .kind(.packet), "SYN-ACKs")]
    }
    static let parameters: [Parameter<Config>] = [.init("mss", \.mss, in: 536...9216, "largest segment, in bytes")]
    enum Drop: Int, DropReason {
        case badCookie
        var about: String { "its cookie is bad" }
    }
    init(_: Config, _: Setup) { super.init() }
}

final class FlowTable: Element {
    struct Config: ElementConfig {
        var capacity = 65_536
        var idle: Int64 = 300_000_000_000
    }
    static let summary = "finds flows"
    static let category = Category.flows
    static let depends = Depends.flow
    static func inputs(_: Config) -> [Input] {
        [
            Input("in", .only(.packet), reads: .headers, "packets"),
            Input("insert", .only(.packet), reads: .headers, optional: true, "packets that create flows"),
        ]
    }
    static func outputs(_: Config) -> [Output] {
        [
            Output("hit", .kind(.packet), "known"), Output("miss", .kind(.packet), optional: true, "unknown"),
            Output("inserted", .kind(.packet), optional: true, "inserted"),
        ]
    }
    static let parameters: [Parameter<Config>] = [
        .init("capacity", \.capacity, in: 1...1_000_000, "flows"),
        .init("idle", duration: \.idle, in: 0...86_400_000_000_000, "idle time"),
    ]
    static func flowCapacity(_ config: Config) -> Int? { config.capacity }
    init(_: Config, _: Setup) { super.init() }
}

/// Keeps state for each flow.
final class Track: Element {
    typealias Config = NoConfig
    static let summary = "keeps state for flows"
    static let category = Category.flows
    static let depends = Depends.flow
    static let stateBytesPerFlow = 8
    static func inputs(_: Config) -> [Input] { [Input("in", .any, reads: .headers, needsFlow: true, "packets")] }
    static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "the same packets")] }
    init(_: Config, _: Setup) { super.init() }
}

/// Makes records of packets.
final class Describe: Element {
    typealias Config = NoConfig
    static let summary = "describes packets"
    static let category = Category.metadata
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .headers, "packets")] }
    static func outputs(_: Config) -> [Output] {
        [Output("out", .kind(.record("packet")), columns: ["src"], "records")]
    }
    init(_: Config, _: Setup) { super.init() }
}

/// Looks at a column of records.
final class Pick: Element {
    typealias Config = NoConfig
    static let summary = "picks records"
    static let category = Category.metadata
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] {
        let columns = ["src", "dst"].map { NeededColumn($0, hint: "Describe has it with \($0): true") }
        return [Input("in", .records, reads: .payload, columns: columns, "records")]
    }
    static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "the same records")] }
    init(_: Config, _: Setup) { super.init() }
}

/// Makes records with a column of a given name, or of each flow.
final class Remark: Element {
    enum Per: String, CaseIterable, Sendable { case packet, flow }
    struct Config: ElementConfig {
        var column = "a"
        var per = Per.packet
        var most = 1
    }
    static let summary = "makes remarks"
    static let category = Category.metadata
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .headers, "packets")] }
    static func outputs(_ config: Config) -> [Output] {
        [Output("out", .kind(.record(config.per.rawValue)), "remarks")]
    }
    static let parameters: [Parameter<Config>] = [
        .init("column", \.column, "name"), .init("per", \.per, "what of"), .init("most", \.most, in: 0...9, "how many"),
    ]
    init(_ config: Config, _ setup: Setup) {
        _ = setup.layouts.register(Layout(config.per.rawValue, [(config.column, .u8)]))
        super.init()
    }
}

/// Has an input and an output of one name, and runs on the host only.
final class Relay: Element {
    typealias Config = NoConfig
    static let summary = "passes on"
    static let category = Category.other
    static let depends = Depends.item
    static let sides = Sides.host
    static func inputs(_: Config) -> [Input] { [Input("data", .any, reads: .arrival, "items")] }
    static func outputs(_: Config) -> [Output] { [Output("data", .sameAs(input: 0), "the same items")] }
    init(_: Config, _: Setup) { super.init() }
}

/// Cannot be made when its values do not go together.
final class Choosy: Element {
    struct Config: ElementConfig {
        var low = 0
        var high = 0
    }
    static let summary = "is choosy"
    static let category = Category.other
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .any, reads: .arrival, "items")] }
    static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "the same items")] }
    static let parameters: [Parameter<Config>] = [
        .init("low", \.low, in: 0...9, "lower bound"), .init("high", \.high, in: 0...9, "upper bound"),
    ]
    struct Failure: Error, CustomStringConvertible { var description: String { "low is above high" } }
    init(_ config: Config, _: Setup) throws {
        if config.low > config.high { throw Failure() }
        if config.high == 9 { throw ParameterError("9 is too high", at: 0) }
        super.init()
    }
}

/// One parameter of every kind.
final class RecordSink: Element {
    enum Format: String, CaseIterable, Sendable { case json, csv }
    struct Config: ElementConfig {
        var file = "-"
        var format = Format.json
        var fields: [Format] = []
        var size = 1 << 20
        var rate = Rate.bits(0)
        var loss = 0.25
        var wait = true
    }
    static let summary = "writes"
    static let category = Category.sinks
    static let depends = Depends.item
    static func inputs(_ config: Config) -> [Input] {
        [Input("in", .any, reads: .payload, takesOneLayout: config.format == .csv, "items")]
    }
    static func outputs(_: Config) -> [Output] { [] }
    static let parameters: [Parameter<Config>] = [
        .init("file", file: \.file, "file name"), .init("format", \.format, "format"),
        .init("fields", \.fields, "fields"),
        .init("size", size: \.size, in: 0...(1 << 40), "size"), .init("rate", rate: \.rate, "rate"),
        .init("loss", probability: \.loss, "loss"), .init("wait", \.wait, "whether to wait"),
    ]
    init(_: Config, _: Setup) { super.init() }
}

let testCatalog = Catalog([
    ElementDescriptor(Classifier.self), ElementDescriptor(Counter.self), ElementDescriptor(Discard.self),
    ElementDescriptor(Wire.self), ElementDescriptor(IPCheck.self), ElementDescriptor(SYNCookie.self),
    ElementDescriptor(FlowTable.self), ElementDescriptor(Track.self), ElementDescriptor(Describe.self),
    ElementDescriptor(Pick.self), ElementDescriptor(Remark.self),
    ElementDescriptor(Relay.self), ElementDescriptor(Choosy.self), ElementDescriptor(RecordSink.self),
])

/// Refuses filters that hold `prot `, as if it knew the syntax.
struct TestServices: Services {
    struct NoFiles: Error {}
    func openSink(_: String) throws -> any ByteSink { throw NoFiles() }
    func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        if filter.contains("prot ") { throw FilterError("syntax error in filter expression") }
        return filter == "tcp and udp" ? [.reject] : []
    }
}

struct NoSuchFile: Error, CustomStringConvertible { var description: String { "no such file" } }

/// A loader that reads `files`.
func loader(_ files: [String: [UInt8]]) -> GraphLoader {
    GraphLoader(catalog: testCatalog, services: TestServices()) { path in
        guard let bytes = files[path] else { throw NoSuchFile() }
        return bytes
    }
}

func loader(_ files: [String: String]) -> GraphLoader { loader(files.mapValues { Array($0.utf8) }) }

/// The graph in `text`, with `files` beside it.
func load(_ text: String, _ files: [String: String] = [:], settings: [(key: String, value: String)] = []) -> LoadedGraph
{
    loader(files.merging(["g.yaml": text]) { $1 }).loadGraph("g.yaml", settings: settings)
}

extension LoadedGraph {
    var codes: [String] { diagnostics.map(\.code) }
    var rendered: String { diagnostics.map(\.rendered).joined() }
    /// The edges as chains of one arrow.
    var chains: [String] {
        (graph?.edges ?? []).map { edge in
            "\(graph!.name(of: edge)) -> \(graph!.nodes[edge.to].name).\(graph!.nodes[edge.to].element.inputs[edge.input].name)"
        }
    }
}

let synFront = """
    # yaml-language-server: $schema=schema/graph.json
    graph: syn-front
    about: Answers SYNs on the NIC; only finished handshakes reach the server.
    params:
      vip:  {type: ipv4, default: 192.0.2.10, about: address clients connect to}
      port: {type: integer, default: 80}
    elements:
      wire: {type: Wire}
      sort:
        type: Classifier
        rules:                               # pcap-filter syntax; first match wins
          syn: tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn and dst host $vip and dst port $port
          ack: tcp[tcpflags] & tcp-ack != 0 and dst host $vip and dst port $port
      cookie: {type: SYNCookie, mss: 1460}
      known:  {type: FlowTable, capacity: 65536}
    chains:
      - wire.rx -> IPCheck -> sort
      - sort.syn -> cookie.syn
      - sort.ack -> known
      - known.miss -> cookie.ack
      - cookie.accepted -> known.insert
      - known.hit -> Counter -> Discard
      - cookie.reply -> wire.tx
      - sort.other -> Discard
    placements:
      host-only:     {default: host}
      cookie-on-nic: {nic: [wire, IPCheck@1, sort, cookie, known], default: host}

    """
