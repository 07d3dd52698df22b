// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Drop reasons of an element that looks for headers: one for each thing that can be wrong with them, beside its own. Their
/// words are those of ``HeaderStatus``.
protocol HeaderDropReason: DropReason {
    static var linkType: Self { get }
    static var notIp: Self { get }
    static var truncated: Self { get }
    static var badVersion: Self { get }
    static var badHeaderLength: Self { get }
    static var badLength: Self { get }
}

extension HeaderDropReason {
    /// Why an item is dropped whose headers were found to be `status`; nil when nothing is wrong with them.
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

    /// The phrase of a reason that headers have.
    var aboutHeaders: String {
        HeaderStatus.allCases.first { Self($0)?.rawValue == rawValue }?.about ?? ""
    }
}
