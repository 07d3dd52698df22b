// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Glibc

/// An element that keeps a copy of everything that arrives.
public final class Collector: Element {
    /// A packet or record that arrived: all that is a result. Where its bytes lay is none.
    public struct Seen: Equatable, Sendable, CustomStringConvertible {
        /// The bytes captured, or those of the record.
        public var bytes: [UInt8]
        /// LINKTYPE_ value of the first header.
        public var linkType: UInt16
        /// Bytes on the wire.
        public var wireLength: UInt32
        /// Functional time in nanoseconds.
        public var time: Int64
        /// The number of the packet from outside that it is, or comes from.
        public var sequence: UInt64
        /// Order among the items with one `sequence`.
        public var made: UInt16
        /// The flags that mean something to who comes next; see ``ItemFlags``.
        public var flags: UInt16
        /// Where the payload begins, in bytes; for packets.
        public var payload: UInt16
        /// How the record is laid out; nil for packets.
        public var layout: Layout?

        public init(
            bytes: [UInt8],
            linkType: UInt16,
            wireLength: UInt32,
            time: Int64,
            sequence: UInt64,
            made: UInt16,
            flags: UInt16,
            payload: UInt16 = 0,
            layout: Layout?
        ) {
            self.bytes = bytes
            self.linkType = linkType
            self.wireLength = wireLength
            self.time = time
            self.sequence = sequence
            self.made = made
            self.flags = flags
            self.payload = payload
            self.layout = layout
        }

        public static func == (a: Seen, b: Seen) -> Bool { a.facts == b.facts && same(a.bytes, b.bytes) }

        /// All but the bytes.
        var facts: String {
            "time=\(time) seq=\(sequence)/\(made) wire=\(wireLength) link=\(linkType) flags=\(flags) payload=\(payload) "
                + (layout?.name ?? "packet")
        }

        public var description: String { "\(facts) \(bytes)" }

        /// Calls `body` with an item that holds the same.
        public func withItem<R>(_ body: (Packet) throws -> R) rethrows -> R {
            var bytes = bytes
            return try bytes.withUnsafeMutableBytes { raw in
                var item = Item(
                    data: raw.baseAddress ?? UnsafeMutableRawPointer(bitPattern: 64)!,
                    length: UInt32(raw.count),
                    wireLength: wireLength,
                    time: time,
                    sequence: sequence,
                    linkType: linkType,
                    interface: 0
                )
                return try item.withPacket(body)
            }
        }

        /// The packet or record in text form.
        public var text: String {
            if let layout { return bytes.withUnsafeBytes { layout.describe($0) } }
            return withItem { PacketText.describe($0) }
        }

        /// Whether the packet or record is all that `pattern` says. Throws what is wrong with the pattern.
        public func matches(_ pattern: String) throws -> Bool {
            if let layout { return bytes.withUnsafeBytes { layout.matches(pattern, $0) } }
            let pattern = try PacketText.Pattern(pattern)
            return withItem { pattern.matches($0) }
        }
    }

    public typealias Config = NoConfig
    public static let summary = "keeps a copy of everything"
    public static let category = Category.testing
    public static let depends = Depends.item
    public static func inputs(_: Config) -> [Input] { [Input("in", .any, reads: .payload, "items to keep")] }
    public static func outputs(_: Config) -> [Output] { [] }

    /// The layouts of the run, by which records are read; whoever makes the run sets it before.
    public var layouts: LayoutTable?
    /// What has arrived, in order.
    public private(set) var seen: [Seen] = []

    public init(_: Config, _: Setup) { super.init() }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            let item = batch[k]
            // Which bytes are the pool's own is no result.
            let facts: ItemFlags = [.reverse, .coalesced, .gap, .overlapped, .conflict, .refused]
            seen.append(
                Seen(
                    bytes: Array(item.bytes),
                    linkType: item.linkType,
                    wireLength: item.wireLength,
                    time: item.time,
                    sequence: item.sequence,
                    made: item.made,
                    flags: item.flags.intersection(facts).rawValue,
                    payload: item.payload,
                    layout: layouts?[item.layout]
                )
            )
        }
        context.use(batch)
    }
}

/// Whether the bytes are the same; the comparison of arrays would take most of the time of a debug build.
func same(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    if a.count != b.count { return false }
    if a.isEmpty { return true }
    return a.withUnsafeBytes { a in b.withUnsafeBytes { b in memcmp(a.baseAddress!, b.baseAddress!, a.count) == 0 } }
}
