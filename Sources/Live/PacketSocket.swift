// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane
import Glibc

/// Which packets of an interface are read.
public enum Direction: String, CaseIterable, Sendable {
    /// Those that the interface receives.
    case `in`
    /// Those that it sends.
    case out
    /// Both.
    case both
}

/// A packet socket bound to an interface (packet(7)).
final class PacketSocket {
    let interface: String
    let descriptor: Int32
    /// The number of the interface that it is bound to.
    private(set) var index: Int32
    private let receives: Bool
    private var isPromiscuous = false

    /// Opens a socket; one that does not receive is for sending.
    init(_ interface: Interface, receives: Bool) throws(InterfaceError) {
        self.interface = interface.name
        self.receives = receives
        index = interface.index
        // Nothing is received before it is bound: packets of other interfaces must not come in.
        descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        if descriptor < 0 { throw InterfaceError(interface.name, system: errno, doing: "read or send packets") }
    }

    deinit { close(descriptor) }

    /// Whether this process may open one.
    static var isAllowed: Bool {
        let probe = socket(AF_PACKET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        if probe >= 0 { close(probe) }
        return probe >= 0
    }

    /// Binds the socket, after all options are set.
    func bind() throws(InterfaceError) {
        var address = sockaddr_ll()
        address.sll_family = UInt16(AF_PACKET)
        address.sll_protocol = receives ? UInt16(ETH_P_ALL).bigEndian : 0
        address.sll_ifindex = index
        let size = socklen_t(MemoryLayout<sockaddr_ll>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(descriptor, $0, size) }
        }
        if result != 0 { throw InterfaceError(interface, system: errno, doing: "bind to it") }
    }

    func set<T: BitwiseCopyable>(_ option: Int32, _ value: T, level: Int32 = SOL_PACKET) -> Bool {
        var value = value
        return setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<T>.size)) == 0
    }

    /// Sets an option that the source cannot do without.
    func require<T: BitwiseCopyable>(_ option: Int32, _ value: T, _ what: String) throws(InterfaceError) {
        if !set(option, value) { throw InterfaceError(interface, system: errno, doing: what) }
    }

    func get<T: FixedWidthInteger>(_ option: Int32, _: T.Type, level: Int32 = SOL_PACKET) -> T? {
        var value: T = 0
        var size = socklen_t(MemoryLayout<T>.size)
        return getsockopt(descriptor, level, option, &value, &size) == 0 ? value : nil
    }

    /// Asks that packets for other stations be received too. The kernel takes that back when the socket is closed.
    func setPromiscuous() throws(InterfaceError) {
        var request = packet_mreq()
        request.mr_ifindex = index
        request.mr_type = UInt16(PACKET_MR_PROMISC)
        try require(PACKET_ADD_MEMBERSHIP, request, "receive packets for other stations")
        isPromiscuous = true
    }

    /// Takes the pending error of the socket: ENETDOWN when the interface went down.
    func takeError() -> Int32 {
        var error: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size)
        return error
    }

    /// Packets that the kernel dropped for lack of room since the last call.
    func takeDrops() -> UInt64 {
        var statistics = tpacket_stats_v3()
        var size = socklen_t(MemoryLayout<tpacket_stats_v3>.size)
        guard getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, &statistics, &size) == 0 else { return 0 }
        return UInt64(statistics.tp_drops)
    }

    /// Whether its interface went away: the kernel takes the socket off it then, and leaves it off if one with the same number comes.
    var isOff: Bool {
        var address = sockaddr_ll()
        var size = socklen_t(MemoryLayout<sockaddr_ll>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        return result == 0 && address.sll_ifindex != index
    }

    /// Binds again once the interface was made anew under its name, or has come back, and is up; true if it was. That takes no right
    /// that opening the socket took.
    func follow() -> Bool {
        guard let now = try? Interface(interface), now.isUp, now.index != index || isOff else { return false }
        let before = index
        index = now.index
        do {
            try bind()
            if isPromiscuous { try setPromiscuous() }
        } catch {
            index = before
            return false
        }
        return true
    }
}
