// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// What a user wants to know of an interface before a graph runs on it.
public struct InterfaceState: Sendable {
    /// The interface.
    public let interface: Interface
    /// It has a link to another station; false while it is down.
    public let hasCarrier: Bool
    /// Its Ethernet address; nil if it has none.
    public let station: EthernetAddress?
    /// Its IP addresses, with the lengths of their networks' prefixes.
    public let addresses: [(address: IPAddress, length: Int)]
    /// The offloads that are on; nil if the driver does not say.
    public let offloads: [Offload]?
    /// The reason it cannot be opened by this process; nil if it can.
    public let obstacle: String?

    /// Work that a card, or the kernel for it, does on several packets at once: a graph sees these as one.
    public enum Offload: String, CaseIterable, Sendable {
        /// Generic receive offload: the kernel joins segments that come in.
        case gro
        /// Large receive offload: the card joins them.
        case lro
        /// TCP segmentation offload: the card cuts what is sent.
        case tso
        /// Generic segmentation offload: the kernel cuts it, last of all.
        case gso

        /// The command of linux/ethtool.h that asks for it, and its bit in the answer.
        fileprivate var question: (command: UInt32, bit: UInt32) {
            switch self {
            case .gro: (0x2b, 1)
            case .lro: (0x25, 1 << 15)
            case .tso: (0x1e, 1)
            case .gso: (0x23, 1)
            }
        }

        /// Whether it is on; nil if that is not known.
        fileprivate func isOn(_ name: String) -> Bool? {
            var value: UInt32 = 0
            return clinux_ask_ethtool(name, question.command, &value) == 0 ? value & question.bit != 0 : nil
        }
    }

    /// All interfaces, in the order of their numbers.
    public static func all() throws(InterfaceError) -> [InterfaceState] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { throw InterfaceError("all", system: errno, doing: "ask for them") }
        defer { freeifaddrs(first) }
        let entries = sequence(first: first) { $0?.pointee.ifa_next }.compactMap(\.?.pointee)
        let isAllowed = PacketSocket.isAllowed
        var states: [InterfaceState] = []
        for entry in entries {
            let name = String(cString: entry.ifa_name)
            // One that went away meanwhile is none. Names with a colon are those of addresses.
            guard !states.contains(where: { $0.interface.name == name }), let interface = try? Interface(name) else {
                continue
            }
            let own = entries.filter { String(cString: $0.ifa_name) == name }
            states.append(InterfaceState(interface, own, isAllowed: isAllowed))
        }
        return states.sorted { $0.interface.index < $1.interface.index }
    }

    private init(_ interface: Interface, _ entries: [ifaddrs], isAllowed: Bool) {
        self.interface = interface
        hasCarrier = entries.contains { $0.ifa_flags & InterfaceState.lowerUp != 0 }
        station = entries.lazy.compactMap(InterfaceState.station).first
        addresses = entries.compactMap { entry in
            guard let (address, _) = InterfaceState.address(entry.ifa_addr) else { return nil }
            return (address, InterfaceState.address(entry.ifa_netmask)?.ones ?? address.bits)
        }
        let answers = Offload.allCases.map { ($0, $0.isOn(interface.name)) }
        offloads = answers.allSatisfy { $0.1 == nil } ? nil : answers.filter { $0.1 == true }.map(\.0)
        obstacle =
            interface.linkType == nil
            ? "frames are not read" : !isAllowed ? "takes CAP_NET_RAW" : !interface.isUp ? "down" : nil
    }

    /// IFF_LOWER_UP of linux/if.h.
    private static let lowerUp: UInt32 = 1 << 16

    private static func station(_ entry: ifaddrs) -> EthernetAddress? {
        guard let address = entry.ifa_addr, address.pointee.sa_family == UInt16(AF_PACKET) else { return nil }
        let link = UnsafeRawPointer(address).loadUnaligned(as: sockaddr_ll.self)
        guard link.sll_halen == 6 else { return nil }
        let bytes = withUnsafeBytes(of: link.sll_addr) { $0.prefix(6).reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
        return bytes == 0 ? nil : EthernetAddress(bytes)
    }

    /// An address, and how many of its bits are set: of a mask, the length of the prefix.
    private static func address(_ socket: UnsafePointer<sockaddr>?) -> (address: IPAddress, ones: Int)? {
        guard let socket else { return nil }
        switch Int32(socket.pointee.sa_family) {
        case AF_INET:
            let number = UnsafeRawPointer(socket).loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr
            return (IPAddress(v4: UInt32(bigEndian: number)), number.nonzeroBitCount)
        case AF_INET6:
            let bytes = UnsafeRawPointer(socket) + MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr)!
            let (high, low) = (bytes.loadUnaligned(as: UInt64.self), (bytes + 8).loadUnaligned(as: UInt64.self))
            let address = IPAddress(v6: UInt64(bigEndian: high), UInt64(bigEndian: low))
            return (address, high.nonzeroBitCount + low.nonzeroBitCount)
        default: return nil
        }
    }
}
