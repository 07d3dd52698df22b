// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// A network interface of this machine, as its network namespace shows it.
public struct Interface: Sendable, Equatable {
    /// Its name, at most 15 bytes.
    public let name: String
    /// Its number; it changes when an interface of the same name is made anew.
    public let index: Int32
    /// It is switched on, though it may have no link.
    public let isUp: Bool
    /// What is sent on it comes in on it.
    public let isLoopback: Bool
    /// The most bytes that a packet may have behind its link header.
    public let mtu: Int
    /// The LINKTYPE_ value of its frames; nil if they are of a kind that is not read.
    public let linkType: UInt16?

    /// The interface called `name`.
    public init(_ name: String) throws(InterfaceError) {
        var found = clinux_interface()
        let error = name.isEmpty ? ENODEV : clinux_find_interface(name, &found)
        if error != 0 { throw InterfaceError(name, system: error, doing: "ask for it") }
        self.name = name
        index = found.index
        isUp = found.is_up != 0
        isLoopback = found.is_loopback != 0
        mtu = Int(found.mtu)
        linkType = Interface.linkTypes[found.kind]
    }

    /// The link types of the kinds of frames (ARPHRD_ in linux/if_arp.h) that are read.
    private static let linkTypes: [Int32: UInt16] = [
        // Ethernet, and loopback, which looks like it.
        1: LinkType.ethernet, 772: LinkType.ethernet,
        // IP without a header before it: IPIP, IPv6 tunnels, SIT, GRE, raw IP, and none at all, as TUN devices have.
        768: LinkType.raw, 769: LinkType.raw, 776: LinkType.raw, 778: LinkType.raw, 519: LinkType.raw,
        0xfffe: LinkType.raw,
    ]
}
