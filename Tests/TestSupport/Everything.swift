// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// An element with a parameter of every type, a required one and a port for each filter.
public final class Everything: Element {
    public enum Policy: String, CaseIterable, Sendable {
        case drop, pass
        case four = "4"
    }
    public enum Drop: Int, DropReason {
        case tooOdd
        public var about: String { "it is odd | or even" }
    }
    public struct Config: ElementConfig {
        public var count = 7
        public var on = true
        public var label = "- a 'b' $c"
        public var policy = Policy.pass
        public var policies = [Policy.drop, .pass]
        public var wait: Int64 = 20_000
        public var room = 1 << 20
        public var speed = Rate.packets(0)
        public var loss = 0.25
        public var rules: [NamedFilter] = []
        public var mac = EthernetAddress(0x0200_0000_0001)
        public var peer: EthernetAddress?
        public var networks: [IPPrefix] = []
        public init() {}
    }
    public static let summary = "has a parameter of every type"
    public static let category = Category.testing
    public static let depends = Depends.clock
    public static let sides = Sides.host
    public static func inputs(_: Config) -> [Input] {
        [
            Input("in", .only(.packet), reads: .headers, "packets"),
            Input("more", .records, reads: .payload, optional: true, "records"),
        ]
    }
    public static func outputs(_ config: Config) -> [Output] {
        config.rules.map { Output($0.name, .kind(.packet), "packets that match") }
            + [Output("other", .sameAs(input: 0), optional: true, "all others")]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("count", \.count, in: 1...100, "how many"), .init("on", \.on, "whether at all"),
        .init("label", \.label, "a name"), .init("policy", \.policy, "what to do"),
        .init("policies", \.policies, "what to do, in order"),
        .init("wait", duration: \.wait, in: 0...1_000_000_000, "how long"),
        .init("room", size: \.room, in: 0...(1 << 30), "how much"),
        .init("speed", rate: \.speed, required: true, "how fast"), .init("loss", probability: \.loss, "how often not"),
        .init("rules", filters: \.rules, required: true, "what goes where"), .init("mac", ethernet: \.mac, "who"),
        .init("peer", ethernetIfAny: \.peer, "who else"),
        .init("networks", prefixes: \.networks, versions: [4, 6], "who together"),
    ]
    public static let handlers = [Handler<Everything>("seen", "packets seen") { _ in 0 }]
    public static let operations: [Dataplane.Operation] = [.parse, .test]
    public static let stateBytesPerFlow = 16
    public static let examples = [
        Example(
            "nothing happens",
            config: "{count: 3}",
            in: ["in": ["a > b S"]],
            out: ["other": ["a > b S"]],
            drops: ["too_odd": 1]
        )
    ]

    public init(_: Config, _: Setup) { super.init() }
}

/// The standard catalog with that element.
public let catalog = Catalog.standard.adding([
    ElementDescriptor(
        Everything.self,
        documentation: "See ``Item`` and `x`.\n\n```yaml\ngraph: a\n```"
    )
])

extension GraphSpec.Node {
    fileprivate init(_ name: String, _ type: String, place: Side? = nil, rules: [String] = []) {
        let type = catalog[type]!
        var values: [(name: String, mark: Mark, value: Value)] = []
        if type.name == "Everything" {
            values = [
                ("speed", 0, .scalar("1 Mpps", 0)), ("rules", 0, .map(rules.map { ($0, 0, .scalar("ip", 0)) }, 0)),
            ]
        }
        self.init(name: name, type: type, element: type.configure(values, at: 0).element!, place: place)
    }
}

/// wire -> sort -> count -> wire, with a loop back to sort and an output nobody takes.
public func sample(names: [String] = ["wire", "sort", "count", "Discard@1"], name: String = "sample") -> GraphSpec {
    GraphSpec(
        name: name,
        about: "Three elements and a loop.",
        nodes: [
            .init(names[0], "Wire"), .init(names[1], "Everything", rules: ["web", "loop"]),
            .init(names[2], "Counter", place: .host), .init(names[3], "Discard"),
        ],
        edges: [
            .init(from: 0, output: 0, to: 1, input: 0), .init(from: 1, output: 0, to: 2, input: 0),
            .init(from: 2, output: 0, to: 0, input: 0), .init(from: 1, output: 1, to: 1, input: 1),
        ],
        placements: [.init(name: "split", sides: [.nic, .nic, .host, .host])]
    )
}
