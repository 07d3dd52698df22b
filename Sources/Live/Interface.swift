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
    /// The kind of its link, in a word or two.
    public let kind: String
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
        (kind, linkType) = Interface.kinds[found.kind] ?? ("kind \(found.kind)", nil)
    }

    /// The kinds of frames (ARPHRD_ in linux/if_arp.h), and the link types of those that are read.
    private static let kinds: [Int32: (name: String, linkType: UInt16?)] = [
        1: ("Ethernet", LinkType.ethernet),
        // Loopback looks like Ethernet.
        772: ("loopback", LinkType.ethernet),
        // IP without a header before it.
        768: ("IPIP tunnel", LinkType.raw), 769: ("IPv6 tunnel", LinkType.raw), 776: ("SIT tunnel", LinkType.raw),
        778: ("GRE tunnel", LinkType.raw), 519: ("raw IP", LinkType.raw), 0xfffe: ("no header", LinkType.raw),
        32: ("InfiniBand", nil), 280: ("CAN", nil), 512: ("PPP", nil), 801: ("802.11", nil), 803: ("radiotap", nil),
        823: ("GRE tunnel, IPv6", nil), 824: ("netlink", nil), 826: ("vsock", nil),
    ]
}
