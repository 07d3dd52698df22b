// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import TestSupport
import Testing

/// TCPReassembler on all that up to four segments can do to each other, against a slow reference.
///
/// Segments that overlap matter to each other by the order of their ends alone. So what is enumerated are the order types
/// of n ranges, one representative each: every way in which the 2n ends can lie, ties included, each range ending behind its
/// beginning. There are 1, 13 (the relations of Allen's algebra), 409 and 23 917 of them (OEIS A055203). The ranges are
/// numbered in the order in which they come, so all orders of arrival are among them. Each is run twice, with bytes of its own
/// for every segment:
/// - *at once*: the foremost range begins at the stream's first byte, so that bytes leave as they come;
/// - *late*: the stream's first byte comes after all ranges, so that all of them wait and are settled with each other. Here
///   the parts between ends are two bytes long, so that words are compared too.
///
/// What stays missing is left out at the end. In half of the connections the sequence numbers pass 2^32.
@Suite struct ReassemblyExhaustiveTests {
    static let most = 4

    /// All order types of up to `most` ranges, each a list of ranges whose ends are 0, 1, 2 ... without a number left out.
    static let orderTypes: [[[Range<Int>]]] = {
        var all: [[[Range<Int>]]] = [[[]]]
        for _ in 0..<most { all.append(all.last!.flatMap(longer)) }
        return all
    }()

    /// The order types that have one range more: its ends lie at ends that are there, or between them.
    static func longer(_ ranges: [Range<Int>]) -> [[Range<Int>]] {
        let ends = (ranges.map(\.upperBound).max() ?? -1) + 1
        // Old ends move to 2, 6, 10 ..., so that 0, 4, 8 ... lie between; there is room for both new ends at those alone.
        let places = Array(stride(from: 0, through: 4 * ends, by: 2))
        let old = ranges.map { (4 * $0.lowerBound + 2)..<(4 * $0.upperBound + 2) }
        return places.flatMap { start in
            places.compactMap { end in
                if end > start { return renumbered(old + [start..<end]) }
                return end == start && end % 4 == 0 ? renumbered(old + [start..<(start + 1)]) : nil
            }
        }
    }

    /// The same order type with the ends 0, 1, 2 ...
    static func renumbered(_ ranges: [Range<Int>]) -> [Range<Int>] {
        let ends = Set(ranges.flatMap { [$0.lowerBound, $0.upperBound] }).sorted()
        return ranges.map { ends.firstIndex(of: $0.lowerBound)!..<ends.firstIndex(of: $0.upperBound)! }
    }

    @Test func everyOrderTypeIsThereOnce() {
        #expect(Self.orderTypes.map(\.count) == [1, 1, 13, 409, 23_917])
        #expect(Set(Self.orderTypes[Self.most]).count == 23_917)
        for ranges in Self.orderTypes[Self.most] {
            let ends = Set(ranges.flatMap { [$0.lowerBound, $0.upperBound] })
            #expect(ends == Set(0..<ends.count))
        }
    }

    /// One connection: ranges of the stream in the order in which they come. The first byte of the stream has number 0.
    static let connections: [[Range<Int>]] = orderTypes.dropFirst().joined().flatMap { ranges in
        [ranges, ranges.map { (1 + 2 * $0.lowerBound)..<(1 + 2 * $0.upperBound) } + [0..<1]]
    }

    /// Bytes that the longest stream has; the byte at `position` in the segment that comes as `number` is its own.
    static let room = 16
    static func byte(_ number: Int, _ position: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: 1 + room * number + position)
    }

    /// The number of a connection's SYN: its stream is some bytes before 2^32 or not.
    static func initial(_ connection: Int) -> UInt32 { connection & 2 == 0 ? 0xffff_fff8 : 7_000 }

    // MARK: Reference

    /// What each byte of the stream is, 0 where it is missing: byte by byte, from all segments that came before.
    ///
    /// A byte that has left stays. One that waits is replaced when none of the segments that brought it keeps it.
    static func reference(_ ranges: [Range<Int>], _ policy: OverlapPolicy, _ stream: inout [UInt8]) {
        for k in 0..<room { stream[k] = 0 }
        var left = 0
        for new in 0..<ranges.count {
            let (start, end) = (ranges[new].lowerBound, ranges[new].upperBound)
            var position = start > left ? start : left
            while position < end {
                var isKept = false
                for old in 0..<new {
                    let (oldStart, oldEnd) = (ranges[old].lowerBound, ranges[old].upperBound)
                    if oldStart <= position, position < oldEnd {
                        isKept = isKept || keeps(policy, oldStart, oldEnd, start, end)
                    }
                }
                if !isKept { stream[position] = byte(new, position) }
                position += 1
            }
            while left < room, stream[left] != 0 { left += 1 }
        }
    }

    /// Whether a segment that waits keeps its bytes against a new one, as receivers are known to decide.
    static func keeps(_ policy: OverlapPolicy, _ oldStart: Int, _ oldEnd: Int, _ start: Int, _ end: Int) -> Bool {
        switch policy {
        case .first, .windows, .vista: true
        case .last: false
        case .bsd: oldStart <= start
        case .linux: oldStart < start || oldStart == start && end <= oldEnd
        case .oldLinux: oldStart < start || oldStart == start && end < oldEnd
        // The new one wins where it covers the old one, or reaches beyond its end.
        case .solaris: !(start <= oldStart && end >= oldEnd || end > oldEnd)
        }
    }

    // MARK: Run

    /// The packets of all connections, one behind the other: IPv4 without a link header.
    private final class Segments: PacketSource {
        private static let headers = 40
        private static let stride = headers + room
        private let memory: UnsafeMutableRawBufferPointer
        private var sizes: [Int] = []
        private var next = 0

        override init() {
            let count = connections.reduce(0) { $0 + $1.count + 2 }
            memory = .allocate(byteCount: count * Self.stride, alignment: 8)
            super.init()
            sizes.reserveCapacity(count)
            for (connection, ranges) in connections.enumerated() {
                add(connection, 0, 0..<0, flags: 0x02)
                answer(connection)
                for (number, range) in ranges.enumerated() { add(connection, number, range, flags: 0x10) }
            }
        }

        deinit { memory.deallocate() }

        /// Writes into the next packet.
        private func put(_ value: Int, at: Int, _ size: Int) {
            let packet = memory.baseAddress! + sizes.count * Self.stride
            for k in 0..<size {
                packet.storeBytes(
                    of: UInt8(value >> (8 * (size - 1 - k)) & 255),
                    toByteOffset: at + k,
                    as: UInt8.self
                )
            }
        }

        /// Adds the SYN-ACK; the next number behind it is 0, which all others acknowledge.
        private func answer(_ connection: Int) {
            add(connection, 0, 0..<0, flags: 0x12)
            sizes.removeLast()
            put(0x0aff_ffff, at: 12, 4)
            put(0x0a00_0000 + connection, at: 16, 4)
            put(80 << 16 | 4_000, at: 20, 4)
            put(0xffff_ffff, at: 24, 4)
            put(Int(initial(connection) &+ 1), at: 28, 4)
            sizes.append(Self.headers)
        }

        private func add(_ connection: Int, _ number: Int, _ range: Range<Int>, flags: UInt8) {
            let packet = memory.baseAddress! + sizes.count * Self.stride
            packet.initializeMemory(as: UInt8.self, repeating: 0, count: Self.headers)
            put(0x45, at: 0, 1)
            put(Self.headers + range.count, at: 2, 2)
            put(0x4006, at: 8, 2)
            put(0x0a00_0000 + connection, at: 12, 4)
            put(0x0aff_ffff, at: 16, 4)
            put(4_000 << 16 | 80, at: 20, 4)
            put(Int(initial(connection) &+ UInt32(range.lowerBound) &+ (flags == 0x02 ? 0 : 1)), at: 24, 4)
            put(0x5000 | Int(flags), at: 32, 2)
            put(0xffff, at: 34, 2)
            for position in range {
                put(Int(byte(number, position)), at: Self.headers + position - range.lowerBound, 1)
            }
            sizes.append(Self.headers + range.count)
        }

        override var nextTime: Int64 { next < sizes.count ? Int64(next) : .max }

        override func fill(
            _ pool: Pool,
            _ indices: UnsafeMutablePointer<Int32>,
            max: Int,
            before limit: Int64,
            sequence: UInt64
        ) -> Int {
            var n = 0
            while n < max, next < sizes.count, Int64(next) < limit, pool.take(1, into: indices + n) == 1 {
                pool.items[Int(indices[n])] = Item(
                    data: memory.baseAddress! + next * Self.stride,
                    length: UInt32(sizes[next]),
                    wireLength: UInt32(sizes[next]),
                    time: Int64(next),
                    sequence: sequence + UInt64(n),
                    linkType: LinkType.raw,
                    interface: 0
                )
                next += 1
                n += 1
            }
            counters.pointee.packets += UInt64(n)
            return n
        }
    }

    /// The bytes of all streams, each at its place; what leaves in a wrong order, or without the mark behind a hole, counts.
    private final class Streams: PacketDestination {
        let bytes = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: connections.count * room)
        private let left = UnsafeMutableBufferPointer<Int>.allocate(capacity: connections.count)
        private(set) var faults = 0

        init() {
            bytes.initialize(repeating: 0)
            left.initialize(repeating: 0)
        }

        deinit {
            bytes.deallocate()
            left.deallocate()
        }

        func write(_ item: Packet) {
            let packet = item.data
            let connection = Int(UInt32(bigEndian: packet.load(fromByteOffset: 12, as: UInt32.self)) & 0xff_ffff)
            let sequence = UInt32(bigEndian: packet.load(fromByteOffset: 24, as: UInt32.self))
            let payload = Int(item.payload)
            let count = Int(item.ipLength) - payload
            if count == 0 { return }
            let start = Int(sequence &- initial(connection) &- 1) + payload - 40
            if start < left[connection] || (start > left[connection]) != item.isBehindGap {
                faults += 1
                return
            }
            for k in 0..<count {
                bytes[connection * room + start + k] = packet.load(fromByteOffset: payload + k, as: UInt8.self)
            }
            left[connection] = start + count
        }

        func close() {}
    }

    @Test(arguments: OverlapPolicy.allCases) func allOrdersAndOverlaps(_ policy: OverlapPolicy) throws {
        let spec = try graph(
            yaml: """
                graph: order
                elements:
                  wire: {type: Wire}
                  flows: {type: FlowTable, idle: 0 s}
                  order: {type: TCPReassembler, overlap: \(policy.rawValue)}
                chains: [wire.rx -> flows -> order.stream -> wire.tx]
                """
        )
        let streams = Streams()
        var options = Instance.Options()
        options.batch = [1, 7, 64][OverlapPolicy.allCases.firstIndex(of: policy)! % 3]
        let instance = try Instance(
            spec,
            bindings: [0: WireBinding(source: Segments(), destination: streams)],
            services: KeptFiles(),
            options: options
        )
        try DirectRuntime(instance).run()
        var different = 0
        var holes = 0
        var expected = [UInt8](repeating: 0, count: Self.room)
        for (connection, ranges) in Self.connections.enumerated() {
            Self.reference(ranges, policy, &expected)
            var isSame = true
            for k in 0..<Self.room {
                if streams.bytes[connection * Self.room + k] != expected[k] { isSame = false }
                if k > 0, expected[k] != 0, expected[k - 1] == 0 { holes += 1 }
            }
            if isSame { continue }
            different += 1
            if different < 5 {
                let bytes = Array(streams.bytes[(connection * Self.room)..<((connection + 1) * Self.room)])
                Issue.record("\(policy) \(ranges): \(bytes), not \(expected)")
            }
        }
        #expect(different == 0 && streams.faults == 0)
        let order = instance.counts(2)
        #expect(order.name == "order" && order.drops.isEmpty)
        #expect(order.handlers.first { $0.name == "gaps" }?.value == holes)
        #expect(instance.lostItems == 0 && order.balances && order.held == 0)
    }
}
