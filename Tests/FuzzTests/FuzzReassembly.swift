// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

@testable import Dataplane

/// Segments of up to eight connections, in any order and with anything wrong, through FlowTable and TCPReassembler.
///
/// An input is three bytes that say how, then ten for each packet. Every byte of a stream has a value of its own, so that what
/// leaves can be checked: bytes leave in order, each where it belongs and as some segment brought it, missing ones are
/// marked, nothing comes behind an end, and no copy leaves unmarked ahead of what it is a copy of.
enum FuzzReassembly {
    private static let mostPackets = 64

    /// What a packet says that the receiver of a stream has.
    private struct Acknowledgment {
        var stream: Int
        var number: UInt32
    }

    /// Bounds and checks beside the two policies.
    private struct Profile {
        var reassembler = TCPReassembler.Config()
        var flows = FlowTable.Config()
        /// Results must not depend on batches. Where all connections share bounds, or flows are evicted, it matters when the
        /// end of a flow is told.
        var isIndependent = false
        var batch = 64
        var hasRest = true

        init(_ set: (inout Profile) -> Void) {
            reassembler.gapTimeout = 1 << 21
            flows.capacity = 8
            flows.idle = 0
            set(&self)
        }
    }
    private static let profiles = [
        Profile {
            $0.isIndependent = true
            $0.reassembler.remember = 1 << 20
        },
        Profile {
            $0.isIndependent = true
            $0.reassembler.checksum = .verify
            $0.reassembler.minTTL = 10
            $0.reassembler.remember = 4096
        },
        Profile {
            $0.isIndependent = true
            $0.reassembler.gapTimeout = 1000
            $0.flows.idle = 1 << 20
        },
        Profile {
            $0.isIndependent = true
            $0.reassembler.flowSegments = 1
        },
        Profile {
            $0.isIndependent = true
            $0.reassembler.flowSegments = 3
            $0.reassembler.flowBytes = 100
        },
        Profile { $0.reassembler.flowBytes = 16 },
        Profile { $0.reassembler.segments = 1 },
        Profile {
            $0.reassembler.segments = 3
            $0.batch = 2
        },
        Profile {
            $0.reassembler.bytes = 40
            $0.batch = 1
        },
        Profile {
            $0.reassembler.bytes = 200
            $0.reassembler.flowSegments = 4
        },
        Profile {
            $0.reassembler.segments = 8
            $0.reassembler.gapTimeout = 1
            $0.reassembler.remember = 2048
            $0.batch = 7
        },
        Profile {
            $0.flows.capacity = 1
            $0.batch = 3
        },
        Profile {
            $0.flows.capacity = 2
            $0.flows.onFull = .drop
            $0.reassembler.segments = 3
        },
        Profile {
            $0.flows.capacity = 2
            $0.flows.idle = 1000
        },
        Profile {
            $0.hasRest = false
            $0.reassembler.gapTimeout = 0
        },
        Profile {
            $0.reassembler.checksum = .verify
            $0.reassembler.flowSegments = 2
            $0.reassembler.flowBytes = 100
            $0.reassembler.segments = 3
            $0.reassembler.bytes = 200
            $0.flows.capacity = 2
            $0.flows.idle = 1
            $0.batch = 5
        },
    ]

    /// A graph for one choice of policies and profile.
    private final class Bench {
        let profile: Profile
        let observer = Observer()
        private let graphs: [FuzzGraph]
        private var streamBytes = 0

        init(_ number: Int, overlap: OverlapPolicy, onGap: TCPReassembler.Config.GapPolicy) {
            profile = FuzzReassembly.profiles[number]
            var config = profile.reassembler
            config.overlap = overlap
            config.onGap = onGap
            observer.remembers = config.remember > 0
            let elements = [FuzzNode(FlowTable.self, profile.flows), FuzzNode(TCPReassembler.self, config)]
            let (outputs, observer) = (profile.hasRest ? [0, 1] : [0], observer)
            graphs = (profile.isIndependent ? [profile.batch, 1] : [profile.batch]).map {
                FuzzGraph(elements, outputs: outputs, observer, batch: $0, pool: 2 * mostPackets)
            }
        }

        func run(_ packets: FuzzPackets, _ content: FuzzContent, _ acknowledgments: [Acknowledgment]) {
            var first: UInt64?
            for graph in graphs {
                let before = graph.read(FuzzReassembly.streamBytes)
                observer.begin(content, acknowledgments)
                graph.run(packets)
                require(graph.read(FuzzReassembly.streamBytes) - before == observer.bytes, "wrongly counted")
                require(graph.read(FuzzReassembly.held) == 0 && graph.read(FuzzReassembly.heldBytes) == 0)
                require(first == nil || first == observer.result, "results depend on batches")
                first = observer.result
            }
        }
    }
    private static let streamBytes = TCPReassembler.handler("stream_bytes")
    private static let held = TCPReassembler.handler("held")
    private static let heldBytes = TCPReassembler.handler("held_bytes")

    // One thread fuzzes a target.
    nonisolated(unsafe) private static var benches: [Int: Bench] = [:]
    nonisolated(unsafe) private static let content = FuzzContent()
    nonisolated(unsafe) private static var acknowledgments: [Acknowledgment] = []
    nonisolated(unsafe) private static let frame = FuzzFrame()

    static func run(_ bytes: UnsafeRawBufferPointer) {
        var input = FuzzInput(bytes)
        let policies = input.byte() & 31
        let number = input.byte() & 15
        let base = input.byte().choice(0, (1000, 0xffff_ff80, 0x7fff_ff80, 0)) as UInt32
        let packets = FuzzPackets(most: mostPackets)
        content.clear()
        acknowledgments.removeAll(keepingCapacity: true)
        var time: Int64 = 0
        let verifies = profiles[number].reassembler.checksum == .verify
        while !input.isEmpty, packets.list.count < mostPackets {
            add(&input, base, verifies: verifies, &time, to: packets)
        }
        let key = policies << 4 | number
        if benches[key] == nil {
            benches[key] = Bench(
                number,
                overlap: OverlapPolicy.allCases[policies & 7],
                onGap: policies.choice(3, (.skip, .wait, .dropFlow, .skip))
            )
        }
        benches[key]!.run(packets, content, acknowledgments)
    }

    /// Adds the packet that the next ten bytes describe.
    private static func add(
        _ input: inout FuzzInput,
        _ base: UInt32,
        verifies: Bool,
        _ time: inout Int64,
        to packets: FuzzPackets
    ) {
        let kind = input.byte()
        let flags = UInt8(input.byte())
        let low = input.byte()
        let high = input.byte()
        var count = input.byte()
        let acknowledged = input.byte()
        let later = input.byte()
        let options = input.byte()
        let window = input.byte()
        let oddity = input.byte()

        let flow = kind & 3
        let isReverse = kind.bit(2)
        let isIPv6 = kind.bit(3)
        let stream = (isIPv6 ? 8 : 0) + flow * 2 + (isReverse ? 1 : 0)
        var sequence = base &+ UInt32(low | (high & 7) << 8)
        // Now and then far away.
        if kind.bit(4) { sequence &+= 1 &<< UInt32(window & 31) }
        let start = flags & 6 == 2 ? sequence &+ 1 : sequence
        let variant = high >> 3 & 3
        if later > 0 { time += 1 << Int64(later & 15) }
        // Longer than offsets of 16 bits can name the end of; more than two would only be slow.
        if oddity == 15, packets.bytes < 1 << 16 { count = 65_490 - count }
        let proto = oddity == 12 ? 17 : 6
        let ttl = oddity == 9 ? 3 : 64
        let optionBytes = (options.bit(0) ? 12 : 0) + (options.bit(1) ? 4 : 0) + (options.bit(2) ? 4 : 0)
        let header = 20 + optionBytes
        let words = oddity == 13 ? options >> 4 : header / 4

        frame.clear()
        frame.appendEthernet(isIPv6: isIPv6)
        let (source, destination) = isReverse ? (2, 1) : (1, 2)
        if isIPv6 {
            frame.appendIPv6(source, destination, next: proto, payload: header + count, hops: ttl)
        } else {
            let fragment = oddity == 11 ? 0x2000 : 0
            frame.appendIPv4(source, destination, proto: proto, payload: header + count, fragment: fragment, ttl: ttl)
        }
        let place = frame.count
        let acknowledgment = base &+ UInt32(acknowledged * 8)
        if flags & 0x10 != 0 { acknowledgments.append(Acknowledgment(stream: stream ^ 1, number: acknowledgment)) }
        frame.appendTCP(
            isReverse ? 80 : 1000 + flow,
            isReverse ? 1000 + flow : 80,
            sequence: sequence,
            acknowledgment: acknowledgment,
            flags: flags,
            window: window << 4,
            words: words
        )
        if options.bit(0) {
            frame.append32(0x0101_080a)
            frame.append32(UInt32(options))
            frame.append32(0)
        }
        if options.bit(1) { frame.append32(0x0303_0001 | UInt32(options >> 4) << 8) }
        if options.bit(2) { frame.append32(UInt32(window << 24 | later << 16 | 0x0502)) }
        // Where the header says another length, the payload begins elsewhere.
        let shift = max(words * 4 - header, -optionBytes)
        frame.removeLast(max(0, -shift))
        frame.append(max(0, shift), of: 0)
        if proto == 6, shift < count {
            content.send(count - shift, from: Int(start), of: stream, variant: variant, to: frame)
        } else {
            frame.append(max(0, count - max(0, shift)), of: 0)
        }
        if verifies, oddity != 8 {
            frame.fillTCPChecksum(at: place, header: FuzzReassembly.ipPlace, isIPv6: isIPv6)
        }
        if oddity == 10 { frame.append(6, of: 0xee) }
        let payload = place + header
        let captured: Int
        switch high >> 5 {
        case 4: captured = frame.count - 1
        case 5: captured = payload + count / 2
        case 6: captured = payload
        case 7: captured = payload - 8
        default: captured = .max
        }
        packets.add(frame, captured: captured, time: time)
    }
    private static let ipPlace = 14

    /// Checks what leaves.
    private final class Observer: FuzzObserver, @unchecked Sendable {
        /// One direction of a connection.
        private struct Direction {
            var flow: FlowRef
            var isReverse: Bool
            var next: UInt32 = 0
            /// Where its last segment ends; the capture may have cut it off before.
            var end: UInt32 = 0
            var isKnown = false
            var hasEnded = false
            /// A hole of more than a GiB was left out: of two numbers none is before the other for certain.
            var isRound = false
            var transcript = FuzzTranscript()
        }
        private var directions: [Direction] = []
        private var content: FuzzContent?
        private var acknowledgments: [Acknowledgment] = []
        /// Copies of bytes that the receiver may take are marked.
        var remembers = false
        /// Bytes that left in streams.
        private(set) var bytes = 0
        private var rest: UInt64 = 0

        func begin(_ content: FuzzContent, _ acknowledgments: [Acknowledgment]) {
            self.content = content
            self.acknowledgments = acknowledgments
            directions.removeAll(keepingCapacity: true)
            bytes = 0
            rest = 0
        }

        /// What left, whatever the order among connections.
        var result: UInt64 { directions.reduce(rest) { $0 &+ $1.transcript.value } }

        override func see(_ p: Packet, output: Int) {
            if output == 1 {
                if remembers { checkCopy(p) }
                var transcript = FuzzTranscript()
                transcript.add(p.sequence)
                rest &+= transcript.value
                return
            }
            guard let tcp = TCPView(fixedPart: p) else { fatalError("no TCP in a stream") }
            let piece = StreamPiece(p)
            let isReverse = piece.direction == 1
            var number = directions.firstIndex { $0.flow == p.flow && $0.isReverse == isReverse } ?? -1
            if number < 0 {
                number = directions.count
                directions.append(Direction(flow: p.flow, isReverse: isReverse))
            }
            follow(piece, streamNumber(p, tcp), &directions[number])
            if directions[number].isKnown { directions[number].end = TCPSegment(p).end }
            directions[number].transcript.add(p.sequence)
            directions[number].transcript.add(piece.sequence)
            directions[number].transcript.add(
                p.flags.intersection([.gap, .overlapped, .conflict]).rawValue
            )
            directions[number].transcript.add(piece.bytes)
        }

        /// What is not marked brings nothing that the receiver may take: nothing beyond what has left, or what it says it has and the
        /// capture lacks.
        private func checkCopy(_ p: Packet) {
            guard p.ipProtocol == IPProtocol.tcp, p.hasTransport, !p.isUnread, p.flow.index >= 0 else { return }
            let segment = TCPSegment(p)
            if segment.size == 0 || segment.isRST || segment.isSYN || !segment.isHeaderRight { return }
            // Where nothing has left, the other side may have acknowledged it.
            guard let own = directions.first(where: { $0.flow == p.flow && $0.isReverse == p.isReverse }), own.isKnown,
                !own.isRound
            else { return }
            // Half of all numbers away is before and behind.
            func isBehind(_ end: UInt32) -> Bool {
                let ahead = TCPSequence.distance(segment.end, from: end)
                return ahead <= 0 || ahead > 1 << 30
            }
            let stream = streamNumber(p, TCPView(known: p))
            require(
                isBehind(own.end) || acknowledgments.contains { $0.stream == stream && isBehind($0.number) },
                "a copy ahead of its stream: up to \(segment.end), and \(own.end) is next"
            )
        }

        /// Which stream of the input a packet is of; the flow's forward side need not be the input's.
        private func streamNumber(_ p: Packet, _ tcp: TCPView) -> Int {
            let isReverse = tcp.sourcePort == 80
            let flow = Int(isReverse ? tcp.destinationPort : tcp.sourcePort) - 1000
            return (p.ipVersion == 6 ? 8 : 0) + flow * 2 + (isReverse ? 1 : 0)
        }

        private func follow(_ piece: StreamPiece, _ stream: Int, _ direction: inout Direction) {
            if !piece.bytes.isEmpty {
                require(!direction.hasEnded, "bytes behind the end")
                if direction.isKnown {
                    let distance = TCPSequence.distance(piece.sequence, from: direction.next)
                    // A hole of nearly 2 GiB and what the capture cut off before it are more than half of all numbers. What came before
                    // the SYN-ACK, and is nowhere near, was of another connection.
                    let fromEnd = TCPSequence.distance(piece.sequence, from: direction.end)
                    let isElsewhere = distance > 0 || fromEnd > 0 || fromEnd < -Int32(TCPDirection.leastWindow)
                    require(
                        piece.hasGap ? isElsewhere : distance == 0,
                        "bytes out of order in stream \(stream): \(piece.sequence), not \(direction.next)"
                    )
                }
                require(
                    content!.holds(piece.bytes, from: Int(piece.sequence), of: stream),
                    "a byte that nobody sent in stream \(stream) from \(piece.sequence): \(Array(piece.bytes))"
                )
                bytes += piece.bytes.count
            }
            if !piece.bytes.isEmpty || piece.hasGap {
                if direction.isKnown, piece.sequence &- direction.next > 1 << 30 { direction.isRound = true }
                direction.next = piece.sequence &+ UInt32(truncatingIfNeeded: piece.bytes.count)
                direction.isKnown = true
            }
            if piece.isFIN || piece.isRST { direction.hasEnded = true }
        }
    }
}

// MARK: Seeds

extension FuzzReassembly {
    /// One packet, as an input has it.
    private static func packet(
        _ offset: Int,
        _ count: Int,
        flags: UInt8 = 0x10,
        flow: Int = 0,
        back: Bool = false,
        v6: Bool = false,
        variant: Int = 0,
        cut: Int = 0,
        later: UInt8 = 0,
        options: UInt8 = 0,
        oddity: UInt8 = 0
    ) -> [UInt8] {
        let kind = UInt8(flow | (back ? 4 : 0) | (v6 ? 8 : 0))
        let high = UInt8(offset >> 8 | variant << 3 | cut << 5)
        return [kind, flags, UInt8(offset & 255), high, UInt8(count), 4, later, options, 64, oddity]
    }

    static let seeds: [(name: String, bytes: [UInt8])] = {
        let usual: [UInt8] = [0, 0, 0]
        let opening =
            packet(0, 0, flags: 2, options: 2) + packet(0, 0, flags: 0x12, back: true, options: 2) + packet(1, 0)
        let ending = packet(61, 0, flags: 0x11) + packet(1, 0, flags: 0x11, back: true)
        return [
            ("in-order", usual + opening + packet(1, 30) + packet(31, 30) + ending),
            ("early", usual + opening + packet(31, 30) + packet(11, 20) + packet(1, 10) + ending),
            (
                "overlaps",
                [6, 0, 0] + opening + packet(11, 20) + packet(21, 30, variant: 1)
                    + packet(5, 40, variant: 2) + packet(1, 4) + ending
            ),
            (
                "full",
                [0, 7, 1] + (0..<4).flatMap { packet(20 * $0, 10) + packet(20 * $0, 10, flow: $0) }
            ),
            // A SYN with bytes waits for its answer, and a FIN within them comes first.
            ("fin-in-syn", [6, 0, 0] + packet(0, 248, flags: 2) + packet(0, 4, flags: 0x11, variant: 3)),
            // A copy of what waits comes before the bytes that both follow.
            (
                "copy-of-what-waits",
                usual + opening + packet(1, 10) + packet(21, 10) + packet(21, 10) + packet(11, 10) + ending
            ),
            // What does not follow the SYN finds no room to wait.
            (
                "elsewhere-without-room",
                [0x06, 0x08, 0x00] + packet(0, 0, flags: 2)
                    + [0x30, 0x30, 0x00, 0x00, 0x30, 0x00, 0x00, 0x00, 0xff, 0x00]
                    + [0x30, 0xd0, 0x00, 0x00, 0x78, 0x00, 0x00, 0x00, 0x00, 0x00]
            ),
            // It waits, and the answer says which of both begins the stream.
            (
                "elsewhere-and-answer",
                usual + packet(0, 0, flags: 2) + [0x10, 0x10, 0x00, 0x00, 0x30, 0x04, 0x00, 0x00, 0x1e, 0x00]
                    + packet(0, 0, flags: 0x12, back: true) + packet(1, 10) + ending
            ),
            // A segment answers a SYN with bytes, and what it follows in its own direction waited for those.
            (
                "answer-lets-leave",
                [0x00, 0x00, 0x00]
                    + [0x65, 0x42, 0x00, 0x51, 0x51, 0x00, 0x00, 0x00, 0x00, 0x00]
                    + [0x51, 0x51, 0x51, 0x51, 0x5b, 0x51, 0x00, 0x00, 0x51, 0x00]
                    + [0x65, 0x51, 0x51, 0x51, 0x51, 0x00, 0x00, 0x00, 0x00, 0x00]
                    + [0x51, 0x51, 0x5b, 0x51, 0x51, 0x51, 0x00, 0x00, 0x51, 0x00]
                    + [0x51, 0x51, 0x00, 0x51, 0x51, 0x31, 0x00, 0x00, 0x51, 0x00] as [UInt8]
            ),
            // A copy of what an unanswered SYN-ACK acknowledged.
            (
                "copy-below-a-doubtful-answer",
                [0xb0, 0xb0, 0x51]
                    + [0x04, 0x12, 0x00, 0x00, 0x00, 0x30, 0x00, 0x00, 0x00, 0x00]
                    + [0x00, 0xb0, 0xb0, 0x00, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00]
                    + [0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]
                    + [0x00, 0xb0, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00]
                    + [0x04, 0xb0] as [UInt8]
            ),
            // A RST that is not the next, where the next number is known from a bare segment alone, acknowledges nothing.
            (
                "reset-behind-a-guess",
                usual + packet(1280, 116, flags: 0x6a) + packet(1536, 0, flags: 0, back: true)
                    + [0x74, 0x74, 0x00, 0x00, 0x00, 0x74, 0x00, 0x00, 0x00, 0x00] + packet(1, 0, back: true)
                    + packet(16, 16) + packet(0, 20)
            ),
            // A SYN that the other side contradicts has more bytes than may wait, so they have left.
            (
                "forgotten-behind-its-bytes",
                [0x00, 0x04, 0x00]
                    + [0x02, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]
                    + [0x66, 0x02, 0x00, 0x3e, 0xde, 0x00, 0x00, 0x00, 0x00, 0x00]
                    + [0x92, 0x31, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]
                    + [0x86, 0x22, 0x00, 0x00, 0x42, 0x00, 0x00, 0x00, 0x00, 0x00] as [UInt8]
            ),
            // The capture lacks what the receiver has; part of that comes again when the hole is given up.
            (
                "acknowledged-hole-again",
                [0x00, 0x0a, 0x00] + packet(0, 16)
                    + [0x14, 0x10, 0x00, 0x00, 0x06, 0x7a, 0x00, 0x00, 0x00, 0x00]
                    + [0x10, 0x10, 0x00, 0x00, 0x67, 0x10, 0x10, 0x00, 0x10, 0x00]
                    + [0x14, 0x10, 0x00, 0x00, 0x00, 0x18, 0x10, 0x00, 0x10, 0x00]
                    + packet(0, 40) as [UInt8]
            ),
            // The stream goes round all numbers, and a copy of its first bytes leaves behind them.
            (
                "round",
                usual + packet(16, 80, flags: 2) + [0x10, 0x10, 0x10, 0x00, 0xff, 0x00, 0x00, 0x00, 0xff, 0x00]
                    + packet(17, 16) + [0x10, 0x10, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x10, 0x00] + packet(16, 16)
            ),
            (
                "reset-with-syn",
                usual + packet(0, 9) + packet(0, 0, flags: 0x16) + packet(1, 0, flags: 0x06, back: true) + packet(0, 99)
            ),
            (
                "other-syn",
                usual + packet(1, 14, flags: 0x12, back: true) + packet(0, 99, flags: 2)
                    + packet(1, 78, flags: 0x12, back: true)
            ),
            ("wait", [0x08, 4, 0] + packet(0, 9) + packet(20, 9) + packet(40, 9) + packet(9, 11, later: 9)),
            ("drop-flow", [0x10, 5, 2] + packet(0, 9) + packet(20, 60) + packet(90, 60) + packet(9, 2)),
            (
                "checks",
                [0, 1, 0] + packet(0, 9) + packet(9, 9, oddity: 8) + packet(9, 9, oddity: 9) + packet(9, 9)
            ),
            ("reset", usual + packet(0, 9) + packet(30, 9) + packet(20, 0, flags: 4) + packet(39, 0, flags: 0x14)),
            ("cut", usual + packet(0, 40, cut: 5) + packet(40, 40, cut: 6) + packet(80, 9, cut: 7) + packet(89, 3)),
            (
                "again",
                [1, 13, 0] + opening + packet(1, 9) + packet(7, 0, flags: 2, later: 12) + packet(8, 9)
            ),
            ("v6", usual + packet(8, 8, v6: true) + packet(0, 16, v6: true) + packet(0, 8, back: true, v6: true)),
            ("huge", usual + packet(0, 1) + packet(2, 9) + packet(1, 5, oddity: 15) + packet(0, 5, oddity: 15)),
            (
                "oddities",
                usual + packet(0, 9, oddity: 10) + packet(9, 9, oddity: 11) + packet(0, 20, oddity: 12)
                    + packet(18, 20, options: 0x73, oddity: 13) + packet(18, 9, options: 0x11)
            ),
        ]
    }()
}
