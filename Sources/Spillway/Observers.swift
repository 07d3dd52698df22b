// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Reports

/// An item as shown to users and programs.
public struct ItemText {
    /// The number of the packet that set it in motion, from 1 over all wires; its time, and the packet, record or command as text.
    public var text: String
    /// The item for programs, with its kind, time, lengths and fields.
    public var json: JSON

    /// Describes `item`; `layouts` are those of its run.
    public init(_ item: Packet, _ layouts: LayoutTable) {
        let number = item.sequence + 1
        let time = TimeText.text(item.time)
        let description = PacketText.describe(item, layouts: layouts)
        text = "\(number) \(time) \(description)"
        let layout = layouts[item.layout]
        let fields: (String, JSON) =
            if let layout {
                ("records", .array((layout.values(item.bytes) ?? []).map(ItemText.object)))
            } else {
                ("fields", ItemText.object(PacketText.fields(item)))
            }
        json = .object([
            ("kind", .string(layout?.name ?? "packet")),
            ("packet", .unsigned(number)),
            ("time", .string(time)),
            ("time_ns", .integer(item.time)),
            ("length", .unsigned(UInt64(item.length))),
            ("wire_length", .unsigned(UInt64(item.wireLength))),
            fields,
            ("text", .string(description)),
        ])
    }

    private static func object(_ fields: [(name: String, value: FieldValue)]) -> JSON {
        .object(
            fields.map { name, value in
                switch value {
                case .none: (name, .null)
                case .boolean(let value): (name, .bool(value))
                case .number(let value): (name, .unsigned(value))
                case .signed(let value): (name, .integer(value))
                case .text(let value): (name, .string(value))
                case .numbers(let values): (name, .array(values.map { .unsigned($0) }))
                }
            }
        )
    }
}

/// Passes the items on one edge to a closure.
public final class EdgeTap: RunObserver {
    private let edge: Int
    private let take: (Packet) -> Void

    public init(edge: Int, take: @escaping (Packet) -> Void) {
        self.edge = edge
        self.take = take
    }

    public func moved(_ batch: Batch, edge: Int) {
        guard edge == self.edge else { return }
        for k in 0..<batch.count { take(batch[k]) }
    }

    /// Does nothing.
    public func worked(_ number: Int) {}
}

/// Follows one packet, and everything made from it, through a graph. The run must use batches of one.
public final class PacketTrace: RunObserver {
    private let instance: Instance
    private let sequence: UInt64
    private let show: (Step) -> Void
    private var dropsBefore: [(reason: String, count: UInt64)]?
    /// The packet was seen.
    public private(set) var found = false

    /// An event in the life of the packet, or of an item made from it.
    public enum Step {
        /// It moved along the edge called `edge` to the input `to`.
        case moved(edge: String, to: String, item: ItemText)
        case dropped(element: String, reason: String)

        /// The step as a line of text.
        public var text: String {
            switch self {
            case .moved(let edge, let to, let item): "\(edge) -> \(to): \(item.text)"
            case .dropped(let element, let reason): "\(element) dropped it: \(reason)"
            }
        }

        /// The step for programs.
        public var json: JSON {
            switch self {
            case .moved(let edge, let to, let item):
                .object([("edge", .string(edge)), ("to", .string(to)), ("item", item.json)])
            case .dropped(let element, let reason):
                .object([("element", .string(element)), ("dropped", .string(reason))])
            }
        }
    }

    /// Follows packet `number`, counted from 1 over all wires.
    public init(_ instance: Instance, number: UInt64, show: @escaping (Step) -> Void) {
        self.instance = instance
        sequence = number - 1
        self.show = show
    }

    public func moved(_ batch: Batch, edge: Int) {
        dropsBefore = nil
        for k in 0..<batch.count where batch[k].sequence == sequence {
            found = true
            let e = instance.spec.edges[edge]
            let to = instance.spec.nodes[e.to]
            show(
                .moved(
                    edge: instance.spec.name(of: e),
                    to: "\(to.name).\(to.element.inputs[e.input].name)",
                    item: ItemText(batch[k], instance.layouts)
                )
            )
            dropsBefore = instance.counts(e.to).drops
        }
    }

    /// Shows the packet's drop by element `number`, if it was dropped.
    public func worked(_ number: Int) {
        guard let before = dropsBefore else { return }
        dropsBefore = nil
        for (reason, count) in instance.counts(number).drops
        where count > before.first(where: { $0.reason == reason })?.count ?? 0 {
            show(.dropped(element: instance.spec.nodes[number].name, reason: reason))
        }
    }
}
