// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Sets the source and destination addresses of Ethernet frames.
///
/// `none` leaves an address as it is. VLAN tags and everything else stay. Use it where the next station is always the same one; a
/// NeighbourResolver finds out which it is.
public final class EtherRewrite: Element {
    public struct Config: ElementConfig {
        /// The new source address; nil leaves it.
        public var source: EthernetAddress?
        /// The new destination address; nil leaves it.
        public var destination: EthernetAddress?
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case notEthernet, truncated
        public var about: String {
            switch self {
            case .notEthernet: "its link type is not Ethernet"
            case .truncated: "the frame ends within the Ethernet header"
            }
        }
    }
    public static let summary = "sets the addresses of Ethernet frames"
    public static let category = Category.neighbours
    public static let depends = Depends.item
    public static func inputs(_: Config) -> [Input] {
        [Input("in", .only(.packet), reads: .headers, "Ethernet frames")]
    }
    public static func outputs(_: Config) -> [Output] {
        [Output("out", .sameAs(input: 0), "the frames with those addresses")]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("source", ethernetIfAny: \.source, "the new source address; none = as it is") {
            $0.isUnicast ? nil : "'\($0)' is no address of one station"
        },
        .init("destination", ethernetIfAny: \.destination, "the new destination address; none = as it is"),
    ]
    public static let operations: [Operation] = [.update, .copyBytes]
    public static let examples = [
        Example(
            "both addresses, in a frame with a tag",
            config: "{source: 02:00:00:00:00:0a, destination: 02:00:00:00:00:0b}",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S vlan=5"]],
            out: ["out": ["10.0.0.1:1000 > 10.0.0.2:80 S vlan=5 smac=02:00:00:00:00:0a dmac=02:00:00:00:00:0b"]]
        ),
        Example(
            "only the destination",
            config: "{destination: ff:ff:ff:ff:ff:ff}",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S"]],
            out: ["out": ["* > * S smac=02:00:00:00:00:01 dmac=ff:ff:ff:ff:ff:ff"]]
        ),
    ]

    private let source: EthernetAddress?
    private let destination: EthernetAddress?

    public init(_ config: Config, _: Setup) {
        source = config.source
        destination = config.destination
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        let source = self.source
        let destination = self.destination
        if source == nil, destination == nil { return context.emit(batch, 0) }
        var work = (updated: 0, copied: 0)
        context.forEach(batch) { p, context in
            guard p.linkType == LinkType.ethernet else { return .drop(Drop.notEthernet) }
            guard p.length >= UInt32(EthernetView.size) else { return .drop(Drop.truncated) }
            if !p.isWritable {
                work.copied &+= Int(p.length)
                context.own(p)
            }
            guard let frame = MutableEthernetView(p) else { return .drop(Drop.truncated) }
            if let source { frame.source = source }
            if let destination { frame.destination = destination }
            work.updated &+= 1
            return .emit(0)
        }
        if work.updated > 0 { context.did(.update, work.updated) }
        if work.copied > 0 { context.did(.copyBytes, work.copied) }
    }
}
