// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The reason a network interface cannot be used.
public struct InterfaceError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The interface as the user named it.
    public var interface: String
    /// The reason, as a clause without full stop.
    public var reason: String
    /// What is missing, as far as callers distinguish it.
    public var kind: Kind

    /// Kinds of reasons.
    public enum Kind: Sendable, Equatable {
        /// There is no such interface.
        case missing
        /// The process lacks a right.
        case forbidden
        /// Anything else.
        case other
    }

    public init(interface: String, reason: String, kind: Kind = .other) {
        self.interface = interface
        self.reason = reason
        self.kind = kind
    }

    /// A failed system call.
    init(_ interface: String, system number: Int32, doing what: String) {
        switch number {
        case ENODEV, ENXIO: self = .missing(interface)
        case EPERM, EACCES: self = .forbidden(interface, what)
        default:
            self.init(interface: interface, reason: "cannot \(what): \(String(cString: strerror(number)))")
        }
    }

    /// An interface that is not there.
    static func missing(_ interface: String) -> InterfaceError {
        InterfaceError(interface: interface, reason: "no such interface", kind: .missing)
    }

    /// An interface that this process may not use.
    static func forbidden(_ interface: String, _ what: String) -> InterfaceError {
        InterfaceError(
            interface: interface,
            reason: "no right to \(what); it takes CAP_NET_RAW: run as root, or 'setcap cap_net_raw+ep' on the program",
            kind: .forbidden
        )
    }

    /// An interface that is not switched on.
    static func down(_ interface: String) -> InterfaceError {
        InterfaceError(interface: interface, reason: "is down; 'ip link set \(interface) up'")
    }

    public var description: String { "interface '\(interface)': \(reason)" }
}
