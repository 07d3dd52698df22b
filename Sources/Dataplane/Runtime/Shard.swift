// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The packets that one of several equal threads gets: which share a packet belongs to depends on its addresses and ports, as with the
/// queues of a network card (receive-side scaling).
///
/// Each thread reads all packets and leaves out those of the others. Its own keep the numbers and times that they have in the whole,
/// and those of the others let time pass: so whatever follows does what it would do in a run on one thread.
@frozen
public struct Shard: Sendable {
    /// How many threads there are.
    public let count: Int
    @usableFromInline let number: UInt64
    @usableFromInline let keepsHosts: Bool
    @usableFromInline let key: HashKey

    /// Share `number`, counted from 0, of `count`.
    ///
    /// - Parameters:
    ///   - divides: what stays together.
    ///   - seed: of the choice of shares, which must be the same for all of them.
    public init(number: Int, of count: Int, by divides: Divides, seed: UInt64) {
        self.number = UInt64(number)
        self.count = count
        keepsHosts = divides == .hosts
        key = HashKey(seed: seed)
    }

    /// Whether a packet belongs to the share; all packets of a flow do, in both directions, or none.
    @inlinable @inline(__always)
    public func holds(_ p: Packet) -> Bool { share(of: p) == number }

    /// The share that a packet belongs to: the same for both directions.
    @inlinable @inline(__always)
    func share(of p: Packet) -> UInt64 {
        let data = p.data
        // Ethernet, TCP and UDP in IPv4 without options or fragments.
        guard _fastPath(p.linkType == 1), _fastPath(p.length >= 54), _fastPath(data.isUsualIPv4(12)),
            _fastPath(data.loadUnaligned(fromByteOffset: 20, as: UInt16.self) & UInt16(0x3fff).bigEndian == 0)
        else { return shareOfOther(p) }
        // Which of both it is is unpredictable, so no branch depends on it.
        let proto = UInt32(data.byte(23))
        let isEither = (1 &<< UInt32(IPProtocol.tcp) | 1 &<< UInt32(IPProtocol.udp)) &>> proto & 1
        guard _fastPath(proto < 32), _fastPath(isEither != 0) else { return shareOfOther(p) }
        let addresses = data.loadUnaligned(fromByteOffset: 26, as: UInt64.self)
        let ports = data.loadUnaligned(fromByteOffset: 34, as: UInt32.self)
        return share(
            UInt32(truncatingIfNeeded: addresses ^ addresses &>> 32),
            UInt16(truncatingIfNeeded: ports ^ ports &>> 16)
        )
    }

    @inlinable @inline(__always)
    func share(_ addresses: UInt32, _ ports: UInt16) -> UInt64 {
        let word = UInt64(addresses) &<< 16 | (keepsHosts ? 0 : UInt64(ports))
        let (high, low) = (word ^ key.k0).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
        return (((high ^ low) &>> 32) &* UInt64(truncatingIfNeeded: count)) &>> 32
    }

    /// The same for any packet; what is not of IP belongs to the first.
    @usableFromInline @inline(never)
    func shareOfOther(_ p: Packet) -> UInt64 {
        guard Headers.locate(p) == .ip else { return 0 }
        let key = FlowKey.of(p).key
        var addresses: UInt64 = 0
        for word in [key.a0, key.a1, key.b0, key.b1] { addresses ^= word }
        let ports = UInt32(truncatingIfNeeded: key.ends)
        return share(
            UInt32(truncatingIfNeeded: addresses ^ addresses &>> 32),
            UInt16(truncatingIfNeeded: ports ^ ports &>> 16)
        )
    }
}
