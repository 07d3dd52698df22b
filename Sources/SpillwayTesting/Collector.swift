// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Glibc

/// An element that keeps a copy of everything that arrives.
public final class Collector: Element {
    /// The observable part of a packet or record that arrived. Where its bytes were stored is not part of it.
    public struct Seen: Equatable, Sendable, CustomStringConvertible {
        /// The captured bytes, or those of the record.
        public var bytes: [UInt8]
        /// LINKTYPE_ value of the outermost header.
        public var linkType: UInt16
        /// Length on the wire in bytes.
        public var wireLength: UInt32
        /// Functional time in nanoseconds.
        public var time: Int64
        /// The number of the packet from outside that it is, or descends from.
        public var sequence: UInt64
        /// Order among the items with one `sequence`.
        public var made: UInt16
        /// The flags that matter to later elements; see ``ItemFlags``.
        public var flags: UInt16
        /// Offset of the payload in bytes; for packets.
        public var payload: UInt16
        /// The record's layout; nil for packets.
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

        /// Everything except the bytes.
        var facts: String {
            "time=\(time) seq=\(sequence)/\(made) wire=\(wireLength) link=\(linkType) flags=\(flags) payload=\(payload) "
                + (layout?.name ?? "packet")
        }

        public var description: String { "\(facts) \(bytes)" }

        /// Calls `body` with an item of the same contents.
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

        /// Whether the packet or record matches `pattern`. Throws if the pattern is invalid.
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

    /// The layouts of the run, for reading records; set by whoever makes the run.
    public var layouts: LayoutTable?
    /// The items that have arrived, in order.
    public private(set) var seen: [Seen] = []

    public init(_: Config, _: Setup) { super.init() }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            let item = batch[k]
            // Which bytes are the pool's own is not observable.
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

/// Compares bytes faster than arrays do in a debug build, where that would take most of the time.
func same(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    if a.count != b.count { return false }
    if a.isEmpty { return true }
    return a.withUnsafeBytes { a in b.withUnsafeBytes { b in memcmp(a.baseAddress!, b.baseAddress!, a.count) == 0 } }
}
