// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Drop reasons of an element that parses headers: one for each ``HeaderStatus`` that is an error, described in its words,
/// besides the element's own.
protocol HeaderDropReason: DropReason {
    static var linkType: Self { get }
    static var notIp: Self { get }
    static var truncated: Self { get }
    static var badVersion: Self { get }
    static var badHeaderLength: Self { get }
    static var badLength: Self { get }
}

extension HeaderDropReason {
    /// The reason for dropping an item with this header status; nil if its headers are fine.
    init?(_ status: HeaderStatus) {
        switch status {
        case .ip: return nil
        case .linkType: self = .linkType
        case .notIP: self = .notIp
        case .truncated: self = .truncated
        case .badVersion: self = .badVersion
        case .badHeaderLength: self = .badHeaderLength
        case .badLength: self = .badLength
        }
    }

    /// The phrase of a reason that comes from a ``HeaderStatus``.
    var aboutHeaders: String {
        HeaderStatus.allCases.first { Self($0)?.rawValue == rawValue }?.about ?? ""
    }
}
