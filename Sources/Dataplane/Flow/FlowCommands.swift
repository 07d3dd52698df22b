// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Asks a flow table to create a flow, for a connection that an element opens itself before any packet of it has arrived.
///
/// The table writes the new flow to the command, which leaves by `inserted`. `peer` is for the sender's own use: the flow that
/// the new one belongs to, as the other half of a splice does.
/// one belongs to, as the other half of a splice does.
public struct FlowOpenCommand: Equatable, Sendable {
    /// The ends of the flow; its first packet will go from source to destination.
    public var ends: FlowEnds
    /// Another flow that this one belongs to; ``FlowRef/none`` if there is none.
    public var peer: FlowRef
    /// The flow, once the table has created it.
    public var flow: FlowRef

    /// The layout; its name identifies ports for such commands: `command(flow_open)`.
    public static let layout = Layout(
        "flow_open",
        [
            ("source", .address), ("destination", .address), ("source_port", .u16), ("destination_port", .u16),
            ("protocol", .proto), ("peer", .u32), ("peer_generation", .u32), ("flow", .u32), ("flow_generation", .u32),
        ]
    )

    /// A command for a flow that does not exist yet.
    public init(_ ends: FlowEnds, peer: FlowRef = .none) {
        self.ends = ends
        self.peer = peer
        flow = .none
    }

    /// Reads the command of an item; nil if it is too short or its addresses are not of one IP version.
    public init?(_ item: Packet) {
        guard item.length >= FlowOpenCommand.layout.size else { return nil }
        let bytes = item.data
        guard bytes.byte(0) == bytes.byte(17), bytes.byte(0) == 4 || bytes.byte(0) == 6 else { return nil }
        ends = FlowEnds(
            source: IPAddress(record: bytes),
            destination: IPAddress(record: bytes + 17),
            sourcePort: bytes.le16(34),
            destinationPort: bytes.le16(36),
            proto: bytes.byte(38)
        )
        peer = bytes.flow(39)
        flow = bytes.flow(47)
    }

    /// Writes the command to the bytes of an item of ``layout``'s size.
    public func write(to item: Packet) {
        var out = RecordWriter(item.writableData)
        out.put(ends.source)
        out.put(ends.destination)
        out.put(ends.sourcePort)
        out.put(ends.destinationPort)
        out.put(ends.proto)
        out.put(peer)
        out.put(flow)
    }
}

/// Tells a flow table that a flow has ended: its connection was closed or reset.
public struct FlowEndCommand: Equatable, Sendable {
    /// The flow. If it has already ended, the command has no effect, even if its slot has been reused.
    public var flow: FlowRef
    /// True if a RST ended it, false if both sides had finished.
    public var isReset: Bool

    /// The layout; its name identifies ports for such commands: `command(flow_end)`.
    public static let layout = Layout(
        "flow_end",
        [("flow", .u32), ("flow_generation", .u32), ("cause", .word(["finished", "reset"]))]
    )

    /// A command for a flow taken from a packet, or written by a table to a ``FlowOpenCommand``.
    public init(_ flow: FlowRef, isReset: Bool) {
        self.flow = flow
        self.isReset = isReset
    }

    /// Reads the command of an item; nil if it is too short.
    public init?(_ item: Packet) {
        guard item.length >= FlowEndCommand.layout.size else { return nil }
        let bytes = item.data
        flow = bytes.flow(0)
        isReset = bytes.byte(8) == 1
    }

    /// Writes the command to the bytes of an item of ``layout``'s size.
    public func write(to item: Packet) {
        var out = RecordWriter(item.writableData)
        out.put(flow)
        out.put(UInt8(isReset ? 1 : 0))
    }
}

extension RecordWriter {
    fileprivate mutating func put(_ flow: FlowRef) {
        put(flow.index)
        put(flow.generation)
    }
}

extension UnsafeRawPointer {
    fileprivate func flow(_ offset: Int) -> FlowRef {
        FlowRef(
            index: Int32(littleEndian: loadUnaligned(fromByteOffset: offset, as: Int32.self)),
            generation: UInt32(littleEndian: loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
        )
    }

    fileprivate func le16(_ offset: Int) -> UInt16 {
        UInt16(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
}
