// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A unit of work. Elements count these instead of cycles; a device profile gives the cost of each on each side.
public enum Operation: Int, CaseIterable, Sendable {
    /// Reading the headers of one packet.
    case parse
    /// One test of one header field, for classification.
    case test
    /// One look-up in a table of flows.
    case lookup
    /// One update of per-flow or per-element state.
    case update
    /// One keyed hash over a connection's addresses and ports.
    case hash
    /// Bytes summed for a checksum.
    case checksumBytes
    /// Bytes of payload read.
    case payloadBytes
    /// Bytes copied.
    case copyBytes
    /// Arming, firing or cancelling one timer.
    case timer
    /// Building one record, or packing it into another item.
    case record
    /// Bytes compared with patterns.
    case scanned
    /// Inserting one flow into a flow table.
    case insert
    /// Removing one flow from its table, once all elements have been told of its end.
    case remove
    /// Bytes of text written: numbers and addresses converted to digits.
    case textBytes

    /// The name in profiles, statistics and documents.
    public var name: String {
        switch self {
        case .parse: "parse"
        case .test: "test"
        case .lookup: "look_up"
        case .update: "update"
        case .hash: "hash"
        case .checksumBytes: "checksum_bytes"
        case .payloadBytes: "payload_bytes"
        case .copyBytes: "copied_bytes"
        case .timer: "timer"
        case .record: "record"
        case .scanned: "scanned_bytes"
        case .insert: "insert"
        case .remove: "remove"
        case .textBytes: "text_bytes"
        }
    }

    /// Whether the unit is a byte.
    public var isPerByte: Bool {
        [.checksumBytes, .payloadBytes, .copyBytes, .scanned, .textBytes].contains(self)
    }

    /// One unit of it, in words for documents.
    public var about: String {
        switch self {
        case .parse: "headers of one packet read"
        case .test: "one header field tested"
        case .lookup: "one look-up in a flow table"
        case .update: "one update of state"
        case .hash: "one keyed hash of addresses and ports"
        case .checksumBytes: "bytes summed for a checksum"
        case .payloadBytes: "payload bytes read"
        case .copyBytes: "bytes copied"
        case .timer: "one timer armed, fired or cancelled"
        case .record: "one record built, or packed into another item"
        case .scanned: "bytes compared with patterns"
        case .insert: "one flow put into a flow table"
        case .remove: "one flow taken out of its table, after all elements were told of its end"
        case .textBytes: "bytes of text written from records"
        }
    }
}
