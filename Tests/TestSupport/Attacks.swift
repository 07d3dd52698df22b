// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway

/// IPv4 packets without a link header, put together from what tests say of them.
public enum MadePacket {
    public struct Flags {
        public static let fin: UInt8 = 0x01
        public static let syn: UInt8 = 0x02
        public static let ack: UInt8 = 0x10
    }

    /// One end of a connection.
    public struct End: Equatable, Sendable {
        var address: UInt32
        var port: UInt16
        public init(address: UInt32, port: UInt16) {
            self.address = address
            self.port = port
        }
    }

    /// A TCP segment; its checksums are 0.
    public static func tcp(
        _ from: End,
        _ to: End,
        _ flags: UInt8,
        seq: UInt32,
        ack: UInt32 = 0,
        _ data: [UInt8] = []
    ) -> [UInt8] {
        var out = header(from.address, to.address, 20 + data.count)
        put(UInt32(from.port) << 16 | UInt32(to.port), &out)
        put(seq, &out)
        put(ack, &out)
        put(0x5000_ffff | UInt32(flags) << 16, &out)
        put(0, &out)
        return out + data
    }

    /// A part of a packet: of its payload the bytes of `range`.
    static func fragment(_ packet: [UInt8], id: UInt16, _ range: Range<Int>) -> [UInt8] {
        let payload = Array(packet[20...])
        let range = range.clamped(to: 0..<payload.count)
        var out = Array(packet[..<20])
        let size = UInt16(20 + range.count)
        out.replaceSubrange(2..<4, with: [UInt8(size >> 8), UInt8(size & 255)])
        let field = UInt16(range.lowerBound / 8) | (range.upperBound < payload.count ? 0x2000 : 0)
        out.replaceSubrange(4..<8, with: [UInt8(id >> 8), UInt8(id & 255), UInt8(field >> 8), UInt8(field & 255)])
        return out + payload[range]
    }

    private static func header(_ from: UInt32, _ to: UInt32, _ payload: Int) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(40 + payload)
        put(0x4500_0000 | UInt32(20 + payload), &out)
        put(0, &out)
        put(0x4006_0000, &out)
        put(from, &out)
        put(to, &out)
        return out
    }

    private static func put(_ value: UInt32, _ out: inout [UInt8]) {
        out.append(UInt8(value >> 24))
        out.append(UInt8(value >> 16 & 255))
        out.append(UInt8(value >> 8 & 255))
        out.append(UInt8(value & 255))
    }
}

/// A kind of hostile traffic, made packet by packet.
public enum Attack: String, CaseIterable, Sendable {
    /// SYNs of ever new clients.
    case halfOpen
    /// One-byte segments of one connection: in order; the last one first; every second one missing; each before one that waits
    /// far away.
    case bytesInOrder, bytesReversed, bytesWithHoles, bytesBeforeAnother
    /// A thousand one-byte segments that wait, and then copies of one in their middle.
    case copiesOfOne
    /// Segments behind a hole, each a byte further than the one before: with the same bytes, and with others.
    case shiftedCopies, shiftedConflicts
    /// A thousand one-byte segments that wait, and then segments over all of them, with other bytes each time.
    case conflictsWithMany
    /// A head without end, of one connection and of ever new ones.
    case endlessHead, endlessHeads
    /// Chunked bodies: as large as a number can say, in chunks of one byte, in an extension and in trailers without end.
    case hugeChunks, tinyChunks, endlessExtension, endlessTrailers
    /// Requests of one connection: without a response; and each answered when thousands wait before it.
    case unansweredRequests, lateResponses
    /// Answers without end to one request that never ends.
    case openRequest
    /// Requests of one connection, bytes missing before each.
    case requestsWithHoles
    /// After an error, bytes that begin as a head does again and again; and heads that go wrong in their second line.
    case nearlyLines, nearlyHeads
    /// Hellos that have begun and go on no further, of ever new clients.
    case unfinishedHellos
    /// The first fragments of packets that never become whole, and last ones.
    case firstFragments, lastFragments

    /// All elements that keep something of streams, one behind the other, with little room.
    public static let graph = """
        graph: hostile
        elements:
          wire:  {type: Wire}
          check: {type: IPCheck, checksum: count}
          whole: {type: IPDefragmenter, tiny: join, datagrams: 500, fragments: 600, bytes: 64 KiB}
          flows: {type: FlowTable, capacity: 2000}
          order: {type: TCPReassembler, flow_segments: 1000, segments: 1500, flow_bytes: 64 KiB, bytes: 96 KiB}
          match: {type: PatternMatcher, patterns: [/etc/passwd, good.example], action: count}
          names: {type: TLSClientHello, buffer_bytes: 1 MiB}
          http:  {type: HTTPParser, memory: 2 MiB}
          found: {type: RecordSink, file: found, format: json}
          tls:   {type: RecordSink, file: tls, format: json}
          log:   {type: RecordSink, file: http, format: json}
        chains:
          - wire.rx -> check -> whole -> flows -> order.stream -> match.out -> names.out -> http.records -> log
          - order.rest -> Discard
          - match.records -> found
          - names.records -> tls
        """

    static let server = MadePacket.End(address: 0x0aff_0001, port: 80)

    /// The end of the `k`-th hostile client.
    static func client(_ k: Int) -> MadePacket.End {
        MadePacket.End(address: 0x0a00_0000 + UInt32(k / 50_000), port: UInt16(10_000 + k % 50_000))
    }

    /// The packet with number `k` of `count`.
    public func packet(_ k: Int, of count: Int) -> [UInt8] {
        switch self {
        case .halfOpen:
            return MadePacket.tcp(
                Attack.client(k),
                Attack.server,
                MadePacket.Flags.syn,
                seq: UInt32(truncatingIfNeeded: k &* 77_777)
            )
        case .bytesInOrder: return data(k, k - 1, [0x41])
        case .bytesReversed: return data(k, count - k, [0x41])
        case .bytesWithHoles: return data(k, 2 * k, [0x41])
        case .bytesBeforeAnother:
            // A thousand lie before one far away; then they are closed, and it begins again.
            return data(k, k % 1_000 == 1 ? 2 * k + 4_000 : 2 * k, [0x41])
        case .copiesOfOne: return data(k, k <= 990 ? 2 * k : 990, [0x41])
        case .shiftedCopies: return data(k, 1 + k % 4_000, [UInt8](repeating: 0x41, count: 60))
        case .shiftedConflicts: return data(k, 1 + k % 4_000, [UInt8](repeating: UInt8(k & 255), count: 60))
        case .conflictsWithMany:
            return k <= 900 ? data(k, k, [0x41]) : data(k, 1, [UInt8](repeating: UInt8(k & 255), count: 900))
        case .endlessHead:
            return stream(k, "GET / HTTP/1.1\r\nHost: a\r\nA: ", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
        case .endlessHeads:
            let text = "GET / HTTP/1.1\r\nHost: a\r\nA: " + String(repeating: "a", count: 1_000)
            return MadePacket.tcp(Attack.client(k), Attack.server, MadePacket.Flags.ack, seq: 1, Array(text.utf8))
        case .hugeChunks: return stream(k, Attack.post, "ffffffffffffffff\r\na")
        case .tinyChunks: return stream(k, Attack.post, "1\r\na\r\n")
        case .endlessExtension: return stream(k, Attack.post + "1", ";a=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
        case .endlessTrailers: return stream(k, Attack.post + "0\r\n", "A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
        case .unansweredRequests: return stream(k, "", "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        case .lateResponses:
            let request = "GET /\(String(repeating: "a", count: 100)) HTTP/1.1\r\nHost: a\r\n\r\n"
            let response = "HTTP/1.1 204 A\r\n\r\n"
            // As many wait as may.
            let (ahead, each) = (4_000, request.utf8.count)
            if k <= ahead || k % 2 == 1 {
                let sent = k <= ahead ? k - 1 : ahead + (k - ahead) / 2
                return data(k, sent * each, Array(request.utf8))
            }
            let answered = (k - ahead) / 2 - 1
            return MadePacket.tcp(
                Attack.server,
                Attack.client(0),
                MadePacket.Flags.ack,
                seq: UInt32(1 + answered * response.utf8.count),
                ack: UInt32(1 + (answered + 1) * each),
                Array(response.utf8)
            )
        case .openRequest:
            if k < 2 {
                return data(k, 0, Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n".utf8))
            }
            return MadePacket.tcp(
                Attack.server,
                Attack.client(0),
                MadePacket.Flags.ack,
                seq: UInt32(truncatingIfNeeded: 1 + (k - 2) * Attack.answers.count),
                ack: 60,
                Attack.answers
            )
        case .requestsWithHoles:
            let request = "GET /\(String(repeating: "a", count: 60)) HTTP/1.1\r\nHost: a\r\n\r\n"
            return data(k, k * 2 * request.utf8.count, Array(request.utf8))
        case .nearlyLines: return stream(k, "GET / HTTP/1.1\r\nHost: a\r\n\r\n{}\r\n", Attack.lines)
        case .nearlyHeads: return stream(k, "GET / HTTP/1.1\r\nHost: a\r\n\r\n{}\r\n", Attack.heads)
        case .unfinishedHellos:
            let hello: [UInt8] = [22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3]
            return MadePacket.tcp(
                Attack.client(k),
                Attack.server,
                MadePacket.Flags.ack,
                seq: 1,
                hello + [UInt8](repeating: 7, count: 60)
            )
        case .firstFragments, .lastFragments:
            let whole = MadePacket.tcp(
                Attack.client(k),
                Attack.server,
                MadePacket.Flags.ack,
                seq: 1,
                [UInt8](repeating: 65, count: 44)
            )
            return MadePacket.fragment(
                whole,
                id: UInt16(truncatingIfNeeded: k),
                self == .firstFragments ? 0..<40 : 40..<64
            )
        }
    }

    private static let answers = Array(String(repeating: "HTTP/1.1 204 A\r\n\r\n", count: 8).utf8)
    private static let lines = String(repeating: "GET / HTTP/1.1 HTTP/1.", count: 40)
    private static let heads = String(repeating: "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nB b\r\n", count: 20)
    private static let post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

    /// Packet `k` of the one hostile connection: the server's SYN-ACK, then bytes at `position` of the client's stream.
    private func data(_ k: Int, _ position: Int, _ bytes: [UInt8]) -> [UInt8] {
        k == 0
            ? Attack.answer(to: Attack.client(0))
            : MadePacket.tcp(
                Attack.client(0),
                Attack.server,
                MadePacket.Flags.ack,
                seq: UInt32(truncatingIfNeeded: 1 + position),
                ack: 1,
                bytes
            )
    }

    /// The SYN-ACK for a client that began with 0.
    private static func answer(to client: MadePacket.End) -> [UInt8] {
        MadePacket.tcp(server, client, MadePacket.Flags.syn | MadePacket.Flags.ack, seq: 0, ack: 1)
    }

    /// Packet `k` of the one hostile connection, which says `first` once and `rest` again and again.
    private func stream(_ k: Int, _ first: String, _ rest: String) -> [UInt8] {
        k == 1
            ? data(k, 0, Array((first + rest).utf8))
            : data(k, first.utf8.count + (k - 1) * rest.utf8.count, Array(rest.utf8))
    }

    // MARK: Honest traffic to compare with

    /// How many HTTP messages each packet of the honest twin brings; 0 for the bytes of one long body.
    public var messages: Int {
        switch self {
        case .endlessHeads, .unansweredRequests, .lateResponses, .requestsWithHoles, .nearlyLines, .nearlyHeads,
            .unfinishedHellos:
            1
        case .openRequest: 5
        default: 0
        }
    }

    /// Honest traffic of as many flows, in packets of the same sizes.
    public struct Twin {
        private struct Flow {
            var sent: UInt32 = 1
            var received: UInt32 = 1
            var isAsking = false
        }
        private let messages: Int
        private var flows: [UInt64: Flow] = [:]

        /// The twin of an attack.
        public init(_ attack: Attack) { messages = attack.messages }

        /// A packet as large as one of the attack, between the same ends. Requests are answered in the next packet.
        public mutating func packet(like attack: [UInt8]) -> [UInt8] {
            func number(_ at: Int, _ count: Int) -> UInt64 {
                attack[at..<at + count].reduce(0) { $0 << 8 | UInt64($1) }
            }
            // A later fragment shows no ports.
            let isWhole = number(6, 2) & 0x1fff == 0
            var client = MadePacket.End(address: UInt32(number(12, 4)), port: isWhole ? UInt16(number(20, 2)) : 1024)
            let isAnswer = client.port == Attack.server.port
            if isAnswer { client = Attack.client(0) }
            let size = max(0, attack.count - 40)
            let key = UInt64(client.address) << 16 | UInt64(client.port)
            var flow = flows[key] ?? Flow()
            defer { flows[key] = flow }
            if size == 0, isAnswer { return Attack.answer(to: client) }
            if size == 0 { return MadePacket.tcp(client, Attack.server, MadePacket.Flags.syn, seq: 0) }
            if flow.isAsking {
                flow.isAsking = false
                defer { flow.received += UInt32(size) }
                let text = texts(size) { "HTTP/1.1 204 \($0)\r\n\r\n" }
                return MadePacket.tcp(
                    Attack.server,
                    client,
                    MadePacket.Flags.ack,
                    seq: flow.received,
                    ack: flow.sent,
                    text
                )
            }
            var text = [UInt8](repeating: 0x61, count: size)
            if messages > 0 {
                text = texts(size) { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }
                flow.isAsking = true
            } else if flow.sent == 1, size >= Twin.post.count {
                text.replaceSubrange(..<Twin.post.count, with: Twin.post)
            }
            defer { flow.sent += UInt32(size) }
            return MadePacket.tcp(client, Attack.server, MadePacket.Flags.ack, seq: flow.sent, ack: flow.received, text)
        }

        /// Messages that together have `size` bytes.
        private func texts(_ size: Int, _ message: (String) -> String) -> [UInt8] {
            var out: [UInt8] = []
            for k in 0..<messages {
                let own = size * (k + 1) / messages - size * k / messages
                out += message(String(repeating: "a", count: max(0, own - message("").utf8.count))).utf8
            }
            return out
        }
        private static let post = Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n".utf8)
    }

    // MARK: What is to be served all the same

    /// Connections that ask for something and are answered, one behind the other; of every third the packets with bytes come in
    /// two fragments.
    public static let good: [[UInt8]] = (0..<40).flatMap { k in
        let client = MadePacket.End(address: 0xc000_0201 + UInt32(k), port: UInt16(20_000 + k))
        let server = MadePacket.End(address: 0xc633_6401, port: k % 2 == 0 ? 80 : 443)
        let ask = k % 2 == 0 ? Array("GET /\(k) HTTP/1.1\r\nHost: good.example\r\n\r\n".utf8) : hello(k)
        let answer =
            k % 2 == 0
            ? Array("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nan answer \(10 + k)".utf8) : [21, 3, 3, 0, 2, 2, 40]
        let (asked, answered) = (UInt32(101 + ask.count), UInt32(901 + answer.count))
        let (syn, fin, ack) = (MadePacket.Flags.syn, MadePacket.Flags.fin, MadePacket.Flags.ack)
        func part(_ packet: [UInt8], _ id: Int) -> [[UInt8]] {
            if k % 3 != 0 { return [packet] }
            let id = UInt16(2 * k + id)
            return [MadePacket.fragment(packet, id: id, 24..<Int.max), MadePacket.fragment(packet, id: id, 0..<24)]
        }
        return [
            MadePacket.tcp(client, server, syn, seq: 100),
            MadePacket.tcp(server, client, syn | ack, seq: 900, ack: 101),
            MadePacket.tcp(client, server, ack, seq: 101, ack: 901),
        ] + part(MadePacket.tcp(client, server, ack, seq: 101, ack: 901, ask), 0)
            + part(MadePacket.tcp(server, client, ack, seq: 901, ack: asked, answer), 1) + [
                MadePacket.tcp(client, server, ack | fin, seq: asked, ack: answered),
                MadePacket.tcp(server, client, ack | fin, seq: answered, ack: asked + 1),
                MadePacket.tcp(client, server, ack, seq: asked + 1, ack: answered + 1),
            ]
    }

    /// A TLS hello with a name of its own.
    private static func hello(_ k: Int) -> [UInt8] {
        func sized(_ bytes: [UInt8], _ size: Int) -> [UInt8] {
            (0..<size).map { UInt8(bytes.count >> (8 * (size - 1 - $0)) & 255) } + bytes
        }
        let name = sized(sized([0] + sized(Array("\(k).good.example".utf8), 2), 2), 2)
        let extensions = sized([0, 0] + name, 2)
        let body = [3, 3] + [UInt8](repeating: 9, count: 32) + [0] + sized([0x13, 1], 2) + sized([0], 1) + extensions
        return [22, 3, 1] + sized([1] + sized(body, 3), 2)
    }
}

/// Good traffic with an attack in between, or the good traffic alone at the same times.
public final class AttackSource: PacketSource {
    private let attack: Attack
    private let count: Int
    private let isAlone: Bool
    /// Of so many packets the first is a good one, as long as there are any.
    private let stride: Int
    private var next = 0

    /// - Parameter count: packets of the attack.
    public init(_ attack: Attack, _ count: Int, isAlone: Bool = false) {
        self.attack = attack
        self.count = count
        self.isAlone = isAlone
        stride = 1 + count / Attack.good.count
        super.init()
    }

    public override var nextTime: Int64 { next < count + Attack.good.count ? 1_000 * Int64(next + 1) : .max }

    /// The next packet, and how many positions further the one after it is.
    private func packet() -> (bytes: [UInt8], step: Int) {
        if next % stride == 0, next / stride < Attack.good.count {
            let isLast = next / stride == Attack.good.count - 1
            return (Attack.good[next / stride], isAlone ? isLast ? Int(Int32.max) : stride : 1)
        }
        return (attack.packet(next - min(Attack.good.count, next / stride + 1), of: count), 1)
    }

    public override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        var n = 0
        while n < max, nextTime < Swift.min(limit, .max), pool.take(1, into: indices + n) == 1 {
            let time = nextTime
            var (bytes, step) = packet()
            bytes.withUnsafeMutableBytes {
                pool.items[Int(indices[n])] = Item(
                    data: $0.baseAddress!,
                    length: UInt32($0.count),
                    wireLength: UInt32($0.count),
                    time: time,
                    sequence: sequence + UInt64(n),
                    linkType: LinkType.raw,
                    interface: 0
                )
                pool.own(indices[n])
            }
            counters.pointee.packets += 1
            counters.pointee.bytes += UInt64(bytes.count)
            next += step
            n += 1
        }
        return n
    }
}
