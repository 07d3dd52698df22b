// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Removes VLAN tags from Ethernet frames: 802.1Q, 802.1ad (QinQ) and the older tag types 0x9100 and 0x9200.
///
/// Up to `levels` tags are removed, the outermost first. Frames without a tag, frames that end within one, and packets of
/// other link types pass unchanged.
public final class VLANStrip: Element {
    public struct Config: ElementConfig {
        /// The most tags removed from one frame.
        public var levels = 2
        public init() {}
    }
    public static let summary = "removes VLAN tags"
    public static let category = Category.checking
    public static let depends = Depends.item
    public static func inputs(_: Config) -> [Input] {
        [Input("in", .only(.packet), reads: .payload, "frames with or without tags")]
    }
    public static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "frames without the tags")] }
    public static let parameters: [Parameter<Config>] = [
        .init("levels", \.levels, in: 1...4, "the most tags to remove from one frame")
    ]
    public static let handlers = [
        Handler<VLANStrip>("stripped", "tags removed") { Int($0.stripped) }
    ]
    public static let operations: [Operation] = [.test, .copyBytes]
    public static let examples = [
        Example(
            "a tag is removed",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S seq=7 vlan=5", "10.0.0.1:1000 > 10.0.0.2:80 A seq=8"]],
            out: ["out": ["10.0.0.1:1000 > 10.0.0.2:80 S seq=7 vlan=none", "10.0.0.1:1000 > 10.0.0.2:80 A seq=8"]]
        ),
        Example(
            "only the outer of two tags",
            config: "{levels: 1}",
            in: ["in": ["10.0.0.1 > 10.0.0.2 icmp vlan=100,5"]],
            out: ["out": ["10.0.0.1 > 10.0.0.2 icmp vlan=5"]]
        ),
    ]

    private let levels: Int
    private var stripped: UInt64 = 0

    public init(_ config: Config, _: Setup) {
        levels = config.levels
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        let levels = self.levels
        var tests = 0
        var copied = 0
        var stripped = 0
        context.forEach(batch) { p, context in
            guard p.linkType == LinkType.ethernet else { return .emit(0) }
            var tags = 0
            // A tag is four bytes and must be followed by an EtherType.
            while tags < levels, 18 &+ 4 &* tags <= Int(p.length), EtherType.isTag(p.data.be16(12 &+ 4 &* tags)) {
                tags &+= 1
            }
            tests &+= tags &+ 1
            if tags > 0 {
                copied &+= remove(4 &* tags, from: p, context)
                stripped &+= tags
            }
            return .emit(0)
        }
        self.stripped &+= UInt64(stripped)
        context.did(.test, tests)
        context.did(.copyBytes, copied)
    }

    /// Removes `count` bytes after the addresses of a frame; returns how many bytes were copied to do so.
    private func remove(_ count: Int, from p: Packet, _ context: borrowing Context) -> Int {
        var copied = 12
        if !p.isWritable {
            copied &+= Int(p.length)
            context.own(p)
        }
        let data = p.writableData
        let length = Int(p.length) &- count
        if p.flags.contains(.large) {
            // The block is freed by its first byte, so that must stay in place.
            (data + 12).copyMemory(from: data + 12 + count, byteCount: length &- 12)
            copied &+= length &- 24
        } else {
            (data + count).copyMemory(from: data, byteCount: 12)
            p.writableData = data + count
        }
        p.length = UInt32(truncatingIfNeeded: length)
        // A capture may state a smaller wire length than it holds.
        p.wireLength -= min(p.wireLength, UInt32(truncatingIfNeeded: count))
        if p.ipVersion == 4 || p.ipVersion == 6 {
            let shift = UInt16(truncatingIfNeeded: count)
            p.l3 &-= shift
            p.l4 &-= shift
            p.payload &-= shift
        }
        return copied
    }
}
