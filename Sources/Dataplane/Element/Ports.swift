// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A kind of item that travels on an edge.
public enum Kind: Equatable, Sendable, CustomStringConvertible {
    case packet
    /// Packets whose payload is the next in-order bytes of their direction.
    case stream
    /// Records of one layout, by name.
    case record(String)
    /// Commands of one layout, by name.
    case command(String)

    public var description: String {
        switch self {
        case .packet: "packet"
        case .stream: "stream"
        case .record(let layout): "record(\(layout))"
        case .command(let layout): "command(\(layout))"
        }
    }
}

/// The kinds that an input accepts.
public enum Accepts: Equatable, Sendable, CustomStringConvertible {
    case any
    case only(Kind)
    /// Records of any layout.
    case records
    /// Any of these, each on its own edges.
    case oneOf([Kind])

    /// Whether items of `kind` may arrive.
    public func allows(_ kind: Kind) -> Bool {
        switch self {
        case .any: true
        // A stream is packets with a promise, so it may go wherever packets may.
        case .only(.packet): kind == .packet || kind == .stream
        case .only(let wanted): kind == wanted
        case .records: if case .record = kind { true } else { false }
        case .oneOf(let kinds): kinds.contains { Accepts.only($0).allows(kind) }
        }
    }

    public var description: String {
        switch self {
        case .any: "any"
        case .only(let kind): kind.description
        case .records: "record"
        case .oneOf(let kinds): kinds.map(\.description).joined(separator: " or ")
        }
    }
}

/// The kind that an output produces.
public enum Gives: Equatable, Sendable, CustomStringConvertible {
    case kind(Kind)
    /// The kind that arrives at the input with this number.
    case sameAs(input: Int)

    public var description: String {
        switch self {
        case .kind(let kind): kind.description
        case .sameAs(let input): "as input \(input)"
        }
    }
}

/// How much of an item an input reads; the rest need not cross the channel.
public enum Reads: String, Sendable, CaseIterable {
    /// Only its arrival, length and time.
    case arrival
    /// Its headers, up to and including the transport header.
    case headers
    /// All of it.
    case payload
}

/// An input of an element.
public struct Input: Sendable {
    /// The name in chains.
    public var name: String
    /// The kinds of items it takes.
    public var accepts: Accepts
    /// How much of an item it reads, and so how much crosses the channel to it.
    public var reads: Reads
    /// Items must have passed a flow table.
    public var needsFlow: Bool
    /// The input need not be connected.
    public var optional: Bool
    /// The columns that records must have here.
    public var columns: [NeededColumn]
    /// Records of one layout only may arrive; those of others would be dropped.
    public var takesOneLayout: Bool
    /// One phrase on what arrives here.
    public var about: String

    public init(
        _ name: String,
        _ accepts: Accepts,
        reads: Reads,
        needsFlow: Bool = false,
        optional: Bool = false,
        columns: [NeededColumn] = [],
        takesOneLayout: Bool = false,
        _ about: String
    ) {
        self.name = name
        self.accepts = accepts
        self.reads = reads
        self.needsFlow = needsFlow
        self.optional = optional
        self.columns = columns
        self.takesOneLayout = takesOneLayout
        self.about = about
    }
}

/// A column that records must have at an input.
public struct NeededColumn: Sendable {
    /// The name of the field in the records' layout.
    public var name: String
    /// How to make records have it, for the error when they do not: `HTTPParser has it with request_headers: [Accept]`.
    public var hint: String

    public init(_ name: String, hint: String) {
        self.name = name
        self.hint = hint
    }
}

/// An output of an element.
public struct Output: Sendable {
    /// The name in chains.
    public var name: String
    /// The kind of the items that leave.
    public var gives: Gives
    /// The output need not be connected; items that leave by it are then dropped and counted as `unused_NAME`.
    public var optional: Bool
    /// The columns of the records that leave; nil if not declared.
    public var columns: [String]?
    /// One phrase on what leaves here.
    public var about: String

    public init(_ name: String, _ gives: Gives, optional: Bool = false, columns: [String]? = nil, _ about: String) {
        self.name = name
        self.gives = gives
        self.optional = optional
        self.columns = columns
        self.about = about
    }
}
