// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// One of several equal sources that divide the packets of a capture among threads: each reads all of it and keeps its own share,
/// as the queues of a network card do (receive-side scaling).
///
/// Packets keep the numbers and times that they have in the whole, and those of the others let time pass: so whatever follows
/// does what it would do in a run on one thread.
public final class ShardSource: PacketSource {
    /// All packets.
    public let whole: PacketSource
    private let number: UInt64
    private let count: UInt64
    private let keepsHosts: Bool
    private let key: HashKey

    /// Supplies share `number`, counted from 0, of `count`.
    ///
    /// - Parameters:
    ///   - whole: a source of its own of all packets.
    ///   - divides: what stays together.
    ///   - seed: of the choice of shares, which must be the same for all of them.
    public init(_ whole: PacketSource, number: Int, of count: Int, by divides: Divides, seed: UInt64) {
        self.whole = whole
        self.number = UInt64(number)
        self.count = UInt64(count)
        keepsHosts = divides == .hosts
        key = HashKey(seed: seed)
        super.init()
    }

    public override var nextTime: Int64 { whole.nextTime }
    public override func poll() -> Poll { whole.poll() }
    public override var failure: (any Error)? { whole.failure }
    public override var share: (done: Int, all: Int)? { whole.share }
    public override var linkTypes: [(linkType: UInt16, packets: UInt64)] { whole.linkTypes }

    /// Reads `max` packets for each of the threads, so there must be room for as many.
    public override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max most: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        let n = whole.fill(
            pool,
            indices,
            max: most &* Int(truncatingIfNeeded: count),
            before: limit,
            sequence: sequence
        )
        if n == 0 { return 0 }
        counters.pointee.first = min(counters.pointee.first, pool.now(indices[0]))
        counters.pointee.last = pool.now(indices[n &- 1])
        let own = divide(indices, n, pool.items)
        // Some may have memory of their own: those of a compressed capture that are larger than a slot.
        for k in stride(from: n &- 1, through: own, by: -1) { pool.state.pointee.release(indices[k]) }
        counters.pointee.packets &+= UInt64(truncatingIfNeeded: own)
        counters.pointee.passed &+= UInt64(truncatingIfNeeded: n &- own)
        return own
    }

    /// Moves its own packets to the front, in their order, and the others behind them; returns how many are its own.
    private func divide(_ indices: UnsafeMutablePointer<Int32>, _ n: Int, _ items: UnsafeMutablePointer<Item>) -> Int {
        var own = 0
        var bytes: UInt64 = 0
        for k in 0..<n {
            let i = indices[k]
            // Which are its own is unpredictable, so no branch depends on it.
            let isOwn: UInt64 = share(of: Packet(items + Int(i))) == number ? 1 : 0
            indices[k] = indices[own]
            indices[own] = i
            own &+= Int(truncatingIfNeeded: isOwn)
            bytes &+= UInt64(items[Int(i)].wireLength) &* isOwn
        }
        counters.pointee.bytes &+= bytes
        return own
    }

    /// The share that a packet belongs to: the same for both directions.
    @inline(__always)
    private func share(of p: Packet) -> UInt64 {
        let data = p.data
        // TCP and UDP in IPv4 without options or fragments.
        guard _fastPath(p.linkType == LinkType.ethernet), _fastPath(p.length >= 54), _fastPath(data.isUsualIPv4(12)),
            _fastPath(data.loadUnaligned(fromByteOffset: 20, as: UInt16.self) & UInt16(0x3fff).bigEndian == 0)
        else { return shareOfOther(p) }
        let proto = data.byte(23)
        guard _fastPath(proto == IPProtocol.tcp || proto == IPProtocol.udp) else { return shareOfOther(p) }
        let addresses = data.loadUnaligned(fromByteOffset: 26, as: UInt64.self)
        let ports = data.loadUnaligned(fromByteOffset: 34, as: UInt32.self)
        return share(
            UInt32(truncatingIfNeeded: addresses ^ addresses &>> 32),
            UInt16(truncatingIfNeeded: ports ^ ports &>> 16)
        )
    }

    @inline(__always)
    private func share(_ addresses: UInt32, _ ports: UInt16) -> UInt64 {
        let word = UInt64(addresses) &<< 16 | (keepsHosts ? 0 : UInt64(ports))
        let (high, low) = (word ^ key.k0).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
        return (((high ^ low) &>> 32) &* count) &>> 32
    }

    /// The same for any packet; what is not of IP belongs to the first.
    @inline(never)
    private func shareOfOther(_ p: Packet) -> UInt64 {
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
