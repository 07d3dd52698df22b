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
    /// It is switched on, and has a link.
    public let isUp: Bool
    /// What is sent on it comes in on it.
    public let isLoopback: Bool
    /// The most bytes that a packet may have behind its link header.
    public let mtu: Int
    /// The LINKTYPE_ value of its frames; nil if they are of a kind that is not read.
    public let linkType: UInt16?

    /// The interface called `name`.
    public init(_ name: String) throws(InterfaceError) {
        guard !name.isEmpty, name.utf8.count < Int(IFNAMSIZ), !name.contains("/") else {
            throw InterfaceError(interface: name, reason: "no such interface", kind: .missing)
        }
        let probe = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard probe >= 0 else { throw InterfaceError(name, system: errno, doing: "ask for it") }
        defer { close(probe) }
        var request = ifreq()
        withUnsafeMutableBytes(of: &request.ifr_ifrn) { $0.copyBytes(from: name.utf8) }
        func ask(_ what: Int32) throws(InterfaceError) {
            if ioctl(probe, UInt(what), &request) != 0 { throw InterfaceError(name, system: errno, doing: "ask for it") }
        }
        try ask(SIOCGIFINDEX)
        index = request.ifr_ifru.ifru_ivalue
        try ask(SIOCGIFMTU)
        mtu = Int(request.ifr_ifru.ifru_mtu)
        try ask(SIOCGIFFLAGS)
        let flags = Int32(request.ifr_ifru.ifru_flags)
        isUp = flags & Int32(IFF_UP.rawValue) != 0 && flags & Int32(IFF_RUNNING.rawValue) != 0
        isLoopback = flags & Int32(IFF_LOOPBACK.rawValue) != 0
        try ask(SIOCGIFHWADDR)
        switch Int32(request.ifr_ifru.ifru_hwaddr.sa_family) {
        case ARPHRD_ETHER, ARPHRD_LOOPBACK: linkType = LinkType.ethernet
        case ARPHRD_NONE, ARPHRD_RAWIP, ARPHRD_TUNNEL, ARPHRD_TUNNEL6, ARPHRD_SIT, ARPHRD_IPGRE: linkType = LinkType.raw
        default: linkType = nil
        }
        self.name = name
    }

    /// All interfaces, in order of their numbers.
    public static var all: [Interface] {
        guard let list = if_nameindex() else { return [] }
        defer { if_freenameindex(list) }
        var found: [Interface] = []
        var entry = list
        while entry.pointee.if_index != 0, let name = entry.pointee.if_name {
            // One that goes away meanwhile is none.
            if let interface = try? Interface(String(cString: name)) { found.append(interface) }
            entry += 1
        }
        return found.sorted { $0.index < $1.index }
    }
}
