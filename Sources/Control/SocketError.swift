// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The reason a socket cannot be opened, reached or read.
public struct SocketError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Kinds of reasons, as far as callers distinguish them.
    public enum Kind: Sendable, Equatable {
        /// There is none, or nobody answers there.
        case missing
        /// The process lacks a right.
        case forbidden
        /// Its address is no good.
        case address
        /// Anything else.
        case other
    }
    /// What is missing.
    public var kind: Kind
    /// The whole reason, as a clause without full stop.
    public var description: String

    public init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// A failed system call on what is called `name`.
    init(_ name: String, system number: Int32, doing what: String) {
        let kind: Kind =
            switch number {
            case ENOENT, ENOTDIR, ECONNREFUSED: .missing
            case EPERM, EACCES, EROFS: .forbidden
            default: .other
            }
        self.init(kind, "\(name): cannot \(what): \(String(cString: strerror(number)))")
    }
}
