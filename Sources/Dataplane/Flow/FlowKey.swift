// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Identifies one conversation: both addresses, both ports and the protocol, the same for both directions.
///
/// The lower of the two ends, compared as numbers in memory order, comes first; which end that is has no meaning.
@frozen
public struct FlowKey: Hashable, Sendable {
    /// Ports of the lower and upper end in memory order, protocol, IP version.
    public var ends: UInt64
    /// IPv4: both addresses in the first word. IPv6: lower address in `a0` and `a1`, upper in `b0` and `b1`.
    public var a0: UInt64
    /// See ``a0``; 0 for IPv4.
    public var a1: UInt64
    /// See ``a0``; 0 for IPv4.
    public var b0: UInt64
    /// See ``a0``; 0 for IPv4.
    public var b1: UInt64

    @inlinable @inline(__always)
    init(ends: UInt64, a0: UInt64, a1: UInt64, b0: UInt64, b1: UInt64) {
        self.ends = ends
        self.a0 = a0
        self.a1 = a1
        self.b0 = b0
        self.b1 = b1
    }

    /// A hash that assigns flows to cores and keeps them in order, keyed with ``spreadKey`` in every run; never 0.
    public func spread(_ key: HashKey) -> UInt32 { UInt32(truncatingIfNeeded: hash(key)) | 1 }
    /// The key of ``spread(_:)``, for frequent callers to store.
    public static var spreadKey: HashKey { HashKey(seed: 0) }

    /// The key of everything that the two hosts send each other.
    public var hosts: FlowKey { FlowKey(ends: (ends &>> 40) &<< 40, a0: a0, a1: a1, b0: b0, b1: b1) }

    /// The IP protocol number.
    var ipProtocol: UInt8 { UInt8(truncatingIfNeeded: ends &>> 32) }

    /// Whether a packet whose IP header was found holds everything its key needs: a packet of a protocol with ports may be cut
    /// off, or too short, before them.
    @inlinable
    public static func isComplete(_ p: Packet) -> Bool {
        let end = min(Int(p.length), Int(p.l3) &+ Int(p.ipLength))
        return !IPProtocol.hasPorts(p.ipProtocol) || p.isLaterFragment
            || Int(p.l4) &+ 4 <= end
    }

    /// The key of a packet whose headers were found, and whether its source is the upper end.
    ///
    /// Ports are 0 if there are none: in other protocols and later fragments. The caller must have checked ``isComplete(_:)``.
    @inlinable
    public static func of(_ p: Packet) -> (key: FlowKey, upper: Bool) {
        let data = p.data
        let l4 = Int(p.l4)
        let proto = p.ipProtocol
        var ports: UInt32 = 0
        if IPProtocol.hasPorts(proto), !p.isLaterFragment, isComplete(p) {
            ports = data.loadUnaligned(fromByteOffset: l4, as: UInt32.self)
        }
        let swappedPorts = ports &<< 16 | ports &>> 16
        let tail = UInt64(proto) &<< 32
        if p.ipVersion == 4 {
            let addresses = data.loadUnaligned(fromByteOffset: Int(p.l3) &+ 12, as: UInt64.self)
            return of4(addresses, ports, swappedPorts, tail)
        }
        return of6(data + Int(p.l3), ports, swappedPorts, tail)
    }

    /// The words of an IPv4 key and its hash, for a TCP or UDP packet with its whole header and two different addresses.
    ///
    /// Gives the same key as ``of(_:)``, without branches that depend on the direction, which are unpredictable.
    @inlinable @inline(__always)
    static func of4(
        _ data: UnsafeRawPointer,
        l3: Int,
        l4: Int,
        proto: UInt8,
        _ key: HashKey
    ) -> (ends: UInt64, a0: UInt64, hash: UInt64, upper: UInt8) {
        let addresses = data.loadUnaligned(fromByteOffset: l3 &+ 12, as: UInt64.self)
        let ports = data.loadUnaligned(fromByteOffset: l4, as: UInt32.self)
        let swapped = addresses &<< 32 | addresses &>> 32
        let upper: UInt32 = addresses < swapped ? 1 : 0
        let shift = upper &<< 4
        let ends = UInt64(ports &<< shift | ports &>> ((32 &- shift) & 31)) | UInt64(proto) &<< 32 | 4 &<< 40
        let a0 = max(addresses, swapped)
        let m = (a0 ^ key.k0).multipliedFullWidth(by: ends ^ key.k1)
        return (ends, a0, m.high ^ m.low ^ ends, UInt8(truncatingIfNeeded: upper))
    }

    /// Source and destination are the halves of `addresses`; the order of the whole words decides, ports break ties.
    @inlinable @inline(__always)
    static func of4(
        _ addresses: UInt64,
        _ ports: UInt32,
        _ swappedPorts: UInt32,
        _ tail: UInt64
    ) -> (key: FlowKey, upper: Bool) {
        let swapped = addresses &<< 32 | addresses &>> 32
        let upper = addresses < swapped || addresses == swapped && ports < swappedPorts
        let ends = UInt64(upper ? swappedPorts : ports) | tail | 4 &<< 40
        return (FlowKey(ends: ends, a0: upper ? swapped : addresses, a1: 0, b0: 0, b1: 0), upper)
    }

    @usableFromInline @inline(never)
    static func of6(
        _ header: UnsafeRawPointer,
        _ ports: UInt32,
        _ swappedPorts: UInt32,
        _ tail: UInt64
    ) -> (key: FlowKey, upper: Bool) {
        let s0 = header.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        let s1 = header.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
        let d0 = header.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
        let d1 = header.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
        let upper = (s0, s1, ports) < (d0, d1, swappedPorts)
        return upper
            ? (FlowKey(ends: UInt64(swappedPorts) | tail | 6 &<< 40, a0: d0, a1: d1, b0: s0, b1: s1), true)
            : (FlowKey(ends: UInt64(ports) | tail | 6 &<< 40, a0: s0, a1: s1, b0: d0, b1: d1), false)
    }

    /// The key of packets from one end to the other, and whether the source is the upper end, equal to ``of(_:)`` of such a
    /// packet.
    static func of(_ ends: FlowEnds) -> (key: FlowKey, upper: Bool) {
        let ports = UInt32(ends.destinationPort.bigEndian) &<< 16 | UInt32(ends.sourcePort.bigEndian)
        let swappedPorts = ports &<< 16 | ports &>> 16
        let tail = UInt64(ends.proto) &<< 32
        if ends.source.version == 4 {
            let (source, destination) = (UInt32(ends.source.low).bigEndian, UInt32(ends.destination.low).bigEndian)
            let addresses = UInt64(destination) &<< 32 | UInt64(source)
            return of4(addresses, ports, swappedPorts, tail)
        }
        // The addresses' offset in an IPv6 header.
        return withUnsafeTemporaryAllocation(byteCount: 40, alignment: 8) { header in
            for (address, offset) in [(ends.source, 8), (ends.destination, 24)] {
                header.storeBytes(of: address.high.bigEndian, toByteOffset: offset, as: UInt64.self)
                header.storeBytes(of: address.low.bigEndian, toByteOffset: offset + 8, as: UInt64.self)
            }
            return of6(UnsafeRawPointer(header.baseAddress!), ports, swappedPorts, tail)
        }
    }

    /// A keyed hash: without the key nobody can construct packets that collide.
    ///
    /// The halves of a 128-bit product of keyed words together depend on all their bits. If the addresses equal their key, the
    /// product is 0 whatever the ends are, so these are mixed in.
    @inlinable @inline(__always)
    public func hash(_ key: HashKey) -> UInt64 {
        let m = (a0 ^ key.k0).multipliedFullWidth(by: ends ^ key.k1)
        var h = m.high ^ m.low ^ ends
        if ends &>> 40 == 6 {
            let n = (a1 ^ b1 ^ key.k1).multipliedFullWidth(by: b0 ^ h)
            h = n.high ^ n.low ^ mix64(a1 &+ h)
        }
        return h
    }
}
