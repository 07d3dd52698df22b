// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

@testable import Dataplane

/// Both directions of up to four connections, in order but with gaps, through TLSClientHello: the records do not depend on
/// where the streams are cut. What may be a hello is also read by itself, in blocks of exactly its size.
///
/// The first byte of an input is the configuration, the second how streams are cut. Then come pieces: a byte that says whose
/// they are and what is special about them, one for the length, and the bytes.
enum FuzzTLS {
    private struct Piece {
        var flow: Int
        var isReverse: Bool
        var bytes: [UInt8]
        /// Bytes are missing before it.
        var hasGap = false
        /// TCP flags beside ACK.
        var flags: UInt8 = 0
    }

    static func run(_ bytes: UnsafeRawBufferPointer) {
        var input = FuzzInput(bytes)
        let choices = input.byte()
        let cut = input.byte()
        let key = choices & 0x7f
        if benches[key] == nil {
            var config = TLSClientHello.Config()
            config.search = key.choice(0, (4096, 0, 12, 64))
            config.helloBytes = key.choice(2, (16_384, 64, 200, 500))
            config.bufferBytes = key.choice(4, (1 << 20, 64, 400, 1 << 20))
            config.whenFull = key.bit(6) ? .newest : .oldest
            benches[key] = Bench(config)
        }
        let bench = benches[key]!
        let pieces = read(&input)
        let whole = records(pieces, bench, cut: 60_000)
        // Not too many packets: runs would be slow.
        let least = pieces.reduce(0) { $0 + $1.bytes.count } / 64
        let parts = records(pieces, bench, cut: max(1 + cut & 31, least))
        // Buffers are only taken for what does not come in one piece.
        if bench.config.bufferBytes / bench.config.helloBytes >= 8 {
            require(whole == parts, "records depend on how streams are cut")
        }
        for piece in pieces { readAlone(piece.bytes, cut: 1 + cut & 31) }
    }

    /// Pieces one behind the other of the same direction become one.
    private static func read(_ input: inout FuzzInput) -> [Piece] {
        var pieces: [Piece] = []
        while !input.isEmpty {
            let kind = input.byte()
            let bytes = [UInt8](input.take(input.byte()))
            var piece = Piece(flow: kind & 3, isReverse: kind.bit(2), bytes: bytes)
            switch kind >> 3 & 7 {
            case 5: piece.hasGap = true
            case 6: piece.flags = 0x01
            case 7: piece.flags = kind.bit(6) ? 0x02 : 0x04
            default: break
            }
            if let last = pieces.last, last.flow == piece.flow, last.isReverse == piece.isReverse, last.flags == 0,
                piece.flags == 0, !piece.hasGap
            {
                pieces[pieces.count - 1].bytes += piece.bytes
            } else {
                pieces.append(piece)
            }
        }
        return pieces
    }

    /// The records of a run with at most `cut` bytes in each packet.
    private static func records(_ pieces: [Piece], _ bench: Bench, cut: Int) -> FuzzTranscript {
        let packets = FuzzPackets(most: 64)
        var next = [UInt32](repeating: 0xffff_fff0, count: 8)
        for piece in pieces {
            var rest = piece.bytes[...]
            var isFirst = true
            repeat {
                let part = rest.prefix(cut)
                rest = rest.dropFirst(part.count)
                let stream = piece.flow * 2 + (piece.isReverse ? 1 : 0)
                if isFirst, piece.hasGap { next[stream] &+= 100 }
                // A SYN stands before the bytes, an end behind them.
                let isSYN = isFirst && piece.flags == 0x02
                let hasFlags = piece.flags == 0x02 ? isFirst : rest.isEmpty
                frame.clear()
                frame.appendEthernet(isIPv6: false)
                let (source, destination) = piece.isReverse ? (2, 1) : (1, 2)
                frame.appendIPv4(source, destination, proto: 6, payload: 20 + part.count)
                frame.appendTCP(
                    piece.isReverse ? 443 : 1000 + piece.flow,
                    piece.isReverse ? 1000 + piece.flow : 443,
                    sequence: isSYN ? next[stream] &- 1 : next[stream],
                    flags: 0x10 | (hasFlags ? piece.flags : 0)
                )
                part.withUnsafeBytes { frame.append($0) }
                packets.add(frame, flags: isFirst && piece.hasGap ? .gap : [])
                next[stream] &+= UInt32(part.count)
                isFirst = false
            } while !rest.isEmpty
        }
        bench.run(packets)
        return bench.observer.transcript
    }

    /// The graph of one configuration.
    private final class Bench {
        let config: TLSClientHello.Config
        let observer = Observer()
        private let graph: FuzzGraph

        init(_ config: TLSClientHello.Config) {
            self.config = config
            var flows = FlowTable.Config()
            flows.capacity = 4
            flows.idle = 0
            graph = FuzzGraph(
                [FuzzNode(FlowTable.self, flows), FuzzNode(TLSClientHello.self, config)],
                outputs: [0],
                observer,
                batch: 64,
                pool: 128
            )
            // Records hold the time.
            graph.advances = false
        }

        func run(_ packets: FuzzPackets) {
            observer.begin(streams: graph.read(FuzzTLS.streams))
            graph.run(packets)
            require(graph.read(FuzzTLS.waiting) == 0, "a buffer was not given back")
            require(graph.read(FuzzTLS.missed) == 0, "there was no item for a record")
        }
    }
    private static let streams = TLSClientHello.handler("streams")
    private static let waiting = TLSClientHello.handler("waiting")
    private static let missed = TLSClientHello.handler("missed")

    // One thread fuzzes a target.
    nonisolated(unsafe) private static var benches: [Int: Bench] = [:]
    nonisolated(unsafe) private static let frame = FuzzFrame()

    private final class Observer: FuzzObserver, @unchecked Sendable {
        private(set) var transcript = FuzzTranscript()
        private var streams: UInt32 = 0

        /// - Parameter streams: how many connections there were before.
        func begin(streams: Int) {
            transcript = FuzzTranscript()
            self.streams = UInt32(truncatingIfNeeded: streams)
        }

        override func see(_ p: Packet, output: Int) {
            // A record begins with its length and the number of its connection.
            let bytes = p.bytes
            transcript.add(bytes.count)
            transcript.add(bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self) &- streams)
            transcript.add(UnsafeRawBufferPointer(rebasing: bytes.dropFirst(8)))
        }
    }

    /// Puts a message together in a buffer of exactly the size of messages, and reads what came of it in a block of its own.
    private static func readAlone(_ bytes: [UInt8], cut: Int) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 400, alignment: 1)
        defer { buffer.deallocate() }
        var assembler = HelloAssembler()
        var answer = HelloAssembler.Answer.needsMore
        var rest = bytes[...]
        while answer == .needsMore, !rest.isEmpty {
            answer = rest.prefix(cut).withUnsafeBytes { assembler.read($0, into: buffer) }
            rest = rest.dropFirst(cut)
            require(assembler.count <= buffer.count)
        }
        for body in [Array(buffer.prefix(Int(assembler.count)).dropFirst(4)), bytes] {
            let block = UnsafeMutableRawBufferPointer.allocate(byteCount: body.count, alignment: 1)
            defer { block.deallocate() }
            block.copyBytes(from: body)
            let hello = ClientHello(UnsafeRawBufferPointer(block))
            var transcript = FuzzTranscript()
            if let name = hello.serverName { transcript.add(name) }
            hello.forEachProtocol { transcript.add($0) }
            require(hello.version != nil || hello.isMalformed, "a whole hello without a version")
            _ = HelloSignature.look(block.baseAddress!, block.count, isBeginning: true)
            _ = HelloSignature.look(block.baseAddress!, block.count, isBeginning: false)
            let place = HelloSignature.nextCandidate(UnsafeRawBufferPointer(block), from: 0)
            require(place == body.firstIndex(of: 0x16) ?? body.count, "a place was passed over")
        }
    }
}

// MARK: Seeds

extension FuzzTLS {
    private static func vector8(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count)] + bytes }
    private static func vector16(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes
    }
    private static func part(_ type: Int, _ content: [UInt8]) -> [UInt8] {
        [UInt8(type >> 8), UInt8(type & 255)] + vector16(content)
    }

    /// A handshake message that holds a hello.
    private static func hello(_ name: String, version: UInt8 = 3, extensions: [UInt8]? = nil) -> [UInt8] {
        let names = part(0, vector16([0] + vector16(Array(name.utf8))))
        let list = vector8(Array("h2".utf8)) + vector8([0x1a, 0x1a]) + vector8(Array("x".utf8))
        let protocols = part(16, vector16(list))
        let versions = part(43, vector8([0x2a, 0x2a, 3, 4, 0x7f, 28]))
        let body =
            [3, version] + [UInt8](repeating: 7, count: 32) + vector8([1, 2]) + vector16([0x13, 1, 0, 47])
            + vector8([0]) + vector16(extensions ?? names + protocols + versions + part(0x3a3a, []))
        return [1, 0] + vector16(body)
    }

    private static func record(_ bytes: some Collection<UInt8>) -> [UInt8] { [22, 3, 1] + vector16(Array(bytes)) }

    /// Pieces with these bytes, the special thing about the first; `whose` is the flow, plus 4 for its other direction.
    private static func piece(_ whose: Int, _ bytes: some Collection<UInt8>, special: Int = 0) -> [UInt8] {
        let bytes = Array(bytes)
        return stride(from: 0, to: max(1, bytes.count), by: 255).flatMap { start in
            let part = bytes[start..<min(start + 255, bytes.count)]
            return [UInt8(whose | (start == 0 ? special << 3 : 0)), UInt8(part.count)] + part
        }
    }

    static let seeds: [(name: String, bytes: [UInt8])] = {
        let usual = hello("www.example.org")
        let one = record(usual)
        let three = record(usual.prefix(3)) + record(usual.dropFirst(3).prefix(50)) + record(usual.dropFirst(53))
        let ssl2: [UInt8] = [0x80, 28, 1, 3, 0, 0, 3, 0, 0, 0, 16, 1, 0, 128] + [UInt8](repeating: 5, count: 16)
        let connect = Array("CONNECT a:443 HTTP/1.1\r\n\r\n".utf8)
        let connected = Array("HTTP/1.1 200 OK\r\n\r\n".utf8)
        return [
            ("one-record", [0, 0] + piece(0, one) + piece(4, [22, 3, 3, 0, 1, 2])),
            ("records", [0, 6] + piece(0, three)),
            ("old", [0, 4] + piece(1, record(hello("", version: 1, extensions: []))) + piece(1, [], special: 6)),
            ("ssl2", [0, 3] + piece(0, ssl2) + piece(1, ssl2.dropLast(1) + [22])),
            ("behind", [0, 9] + piece(0, connect) + piece(4, connected) + piece(0, one)),
            ("behind-too-far", [0x02, 9] + piece(0, connect + one)),
            ("too-long", [0x04, 20] + piece(0, one) + piece(1, record(usual.prefix(9)))),
            (
                "no-room",
                [0x18, 20] + piece(0, one.prefix(30)) + piece(1, one.prefix(40)) + piece(2, one.prefix(50))
                    + piece(0, one.dropFirst(30))
            ),
            ("no-room-newest", [0x58, 20] + (0..<4).flatMap { piece($0, one.prefix(30)) }),
            ("gap", [0, 7] + piece(0, one.prefix(60)) + piece(0, [1, 2, 3], special: 5)),
            ("gap-before", [0, 7] + piece(0, [22, 3], special: 5) + piece(0, one.dropFirst(2))),
            ("ended", [0, 7] + piece(0, one.prefix(99), special: 6) + piece(4, [22], special: 7)),
            (
                "malformed",
                [0, 1] + piece(0, record(hello("a", extensions: [0, 0, 0, 1]))) + piece(1, record([2, 0, 0, 0]))
            ),
            ("two-sides", [0, 2] + piece(3, [22, 3]) + piece(7, one) + piece(3, [1, 2, 3, 4])),
        ]
    }()
}
