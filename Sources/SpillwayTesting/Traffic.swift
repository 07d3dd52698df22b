// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Packets that exercise most elements, the same for the same seed: valid ones, damaged ones, and extremes.
public enum Traffic {
    /// Nanoseconds between dense packets: some share their time, some come after a pause.
    public static let denseGaps: [Int64] = [0, 0, 1, 700, 20_000, 3_000_000]

    /// Nanoseconds between packets around durations: just before each is over, at its end, just after, and more.
    public static func gaps(around spans: [Int64]) -> [Int64] {
        var gaps: [Int64] = [0, 1]
        for span in spans { gaps += [span / 2, span - 1, span, span + 1, 2 * span] }
        return gaps
    }

    // MARK: Noise

    /// Valid packets of many kinds, damaged ones, noise, extreme lengths, and many link types, in random order. Each follows
    /// its predecessor by one of `gaps` nanoseconds.
    public static func noise(_ seed: UInt64, count: Int, gaps: [Int64] = denseGaps) throws -> [ElementHarness.Packet] {
        var random = TestRandom(seed)
        let texts = [
            "10.0.0.1:1000 > 10.0.0.2:80 S seq=1 mss=1460 sack ts=1/0 wscale=7",
            "10.0.0.2:80 > 10.0.0.1:1000 SA seq=9 ack=2 mss=1400",
            "10.0.0.1:1000 > 10.0.0.2:80 PA seq=2 ack=10 data=\"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\"",
            "10.0.0.1:1000 > 10.0.0.2:80 FA seq=30 ack=10", "10.0.0.2:80 > 10.0.0.1:1000 R seq=10",
            "10.0.0.1:1000 > 10.0.0.2:80 S seq=700000",
            "10.0.0.3:5000 > 10.0.0.2:53 udp len=30", "[2001:db8::1]:99 > [2001:db8::2]:443 PA len=200 vlan=5",
            "2001:db8::1 > 2001:db8::2 icmp len=8", "10.0.0.1 > 10.0.0.2 icmp len=56 vlan=100,5",
            "10.0.0.1 > 10.0.0.2 arp", "10.0.0.1 > 10.0.0.2 proto=47 len=9", "10.0.0.1 > 10.0.0.2 udp frag=8+ len=16",
            "[2001:db8::1]:99 > [2001:db8::2]:98 udp frag=0+ len=64", "ether=0x88cc len=46",
            "10.0.0.1:1000 > 10.0.0.2:80 A len=1400 trunc=60",
            "10.0.0.1:1000 > 10.0.0.2:80 A badcsum badipcsum iplen=9",
            "10.0.0.1:1000 > 10.0.0.2:80 S ttl=1", "2001:db8::1 > 2001:db8::2 icmp ttl=0 len=8",
        ]
        let frames = try texts.map { try PacketText.frame($0) }
        var time: Int64 = 1_000_000
        return (0..<count).map { number in
            time += gaps.randomElement(using: &random)!
            var bytes: [UInt8]
            var wireLength: Int?
            switch number % 8 {
            case 0 where number < 24: bytes = []
            case 1 where number < 24: bytes = [UInt8.random(in: 0...255, using: &random)]
            case 2 where number < 24: bytes = Array(repeating: 0x45, count: 65_536)
            case 3:
                bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
            case 4, 5:
                // A valid packet with a few bytes changed, truncated anywhere.
                bytes = frames.randomElement(using: &random)!.bytes
                for _ in 0..<Int.random(in: 0...4, using: &random) {
                    bytes[Int.random(in: 0..<min(80, bytes.count), using: &random)] = UInt8.random(
                        in: 0...255,
                        using: &random
                    )
                }
                wireLength = bytes.count
                bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            default:
                let frame = frames.randomElement(using: &random)!
                bytes = frame.bytes
                wireLength = frame.wireLength
            }
            let linkTypes: [UInt16] = [1, 1, 1, 1, 1, 1, 101, 113, 276, 0, 9, 228, 229, 12_345]
            return ElementHarness.Packet(
                bytes: bytes,
                wireLength: wireLength ?? bytes.count,
                time: time,
                linkType: linkTypes.randomElement(using: &random)!
            )
        }
    }

    // MARK: Conversations

    /// `count` conversations at a time, over IPv4 and IPv6, some with VLAN tags: HTTP and TLS over TCP with segments lost,
    /// repeated, swapped and overlapping, requests and responses over UDP and ICMP, and fragments. Each packet follows its
    /// predecessor by one of `gaps` nanoseconds.
    public static func conversations(
        _ seed: UInt64,
        count: Int,
        gaps: [Int64] = denseGaps
    ) throws -> [ElementHarness.Packet] {
        var random = TestRandom(seed ^ 0x5eed)
        var waiting = (0..<count).map { number -> [String] in
            switch number % 6 {
            case 3: datagrams(number)
            case 4: fragments(number, &random)
            default: connection(number, &random)
            }
        }
        .map { Array($0.reversed()) }
        var packets: [ElementHarness.Packet] = []
        var time: Int64 = 1_000_000
        while let next = waiting.indices.randomElement(using: &random) {
            time += gaps.randomElement(using: &random)!
            if let text = waiting[next].popLast() {
                let frame = try PacketText.frame(text)
                packets.append(.init(bytes: frame.bytes, wireLength: frame.wireLength, time: time))
            }
            if waiting[next].isEmpty { waiting.remove(at: next) }
        }
        return packets
    }

    private struct Ends {
        var client: String
        var server: String
        var tail: String

        init(_ number: Int, _ clientPort: Int?, _ serverPort: Int?) {
            let isNew = number % 5 == 2
            let (a, b) =
                isNew ? ("2001:db8::\(number + 1)", "2001:db8:1::1") : ("10.1.0.\(number % 250 + 1)", "10.2.0.1")
            func end(_ address: String, _ port: Int?) -> String {
                port.map { isNew ? "[\(address)]:\($0)" : "\(address):\($0)" } ?? address
            }
            client = end(a, clientPort)
            server = end(b, serverPort)
            tail = number % 4 == 1 ? " vlan=\(number % 7 + 1)" : ""
        }

        func out(_ words: String) -> String { "\(client) > \(server) \(words)\(tail)" }
        func back(_ words: String) -> String { "\(server) > \(client) \(words)\(tail)" }
    }

    private static func datagrams(_ number: Int) -> [String] {
        let ends = Ends(number, number % 2 == 0 ? 5000 + number : nil, number % 2 == 0 ? 53 : nil)
        let kind = number % 2 == 0 ? "udp" : "icmp"
        return (0..<4).flatMap {
            [
                ends.out("\(kind) len=\(20 + 9 * $0)"),
                ends.back("\(kind) len=\(80 + $0)" + (kind == "icmp" ? " type=0" : "")),
            ]
        }
    }

    private static func fragments(_ number: Int, _ random: inout TestRandom) -> [String] {
        let ends = Ends(number, 6000 + number, 53)
        return (0..<3).flatMap { id -> [String] in
            // The UDP header takes 8 bytes of the first.
            var list = [
                ends.out("udp id=\(number * 8 + id) frag=0+ len=24"),
                ends.out("udp id=\(number * 8 + id) frag=32+ len=32"),
                ends.out("udp id=\(number * 8 + id) frag=64 len=10"),
            ]
            switch Int.random(in: 0..<6, using: &random) {
            case 0: list.removeLast()
            case 1: list.append(list[0])
            case 2: list.append(ends.out("udp id=\(number * 8 + id) frag=24+ len=16"))
            default: break
            }
            list.shuffle(using: &random)
            return list
        }
    }

    private static func connection(_ number: Int, _ random: inout TestRandom) -> [String] {
        let isTLS = number % 3 == 2
        let ends = Ends(number, 4000 + number, isTLS ? 443 : 80)
        // Some sequence numbers wrap.
        let first = (number % 2 == 0 ? 1000 * (number + 1) : 4_294_967_200) & 0xffff_ffff
        let second = 7_000_000 + number
        let requests: [String] = [
            "GET /abc?x=1 HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\n\r\n",
            "POST /upload HTTP/1.1\r\nHost: b.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n"
                + "GET /next HTTP/1.1\r\nHost: b.example\r\n\r\n",
        ]
        let question = isTLS ? hello("\(number).example") : Array(requests[number % 2].utf8)
        let body = String(repeating: "select abc ", count: 40)
        let status = number % 4 == 0 ? "404 Not Found" : "200 OK"
        let answer = Array("HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)

        var texts = [
            ends.out("S seq=\(first) mss=1460 sack wscale=7"),
            ends.back("SA seq=\(second) ack=\(next(first, 1)) mss=1400"),
            ends.out("A seq=\(next(first, 1)) ack=\(second + 1)"),
        ]
        texts += segments(question, &random).map { at, bytes in
            ends.out("PA seq=\(next(first, 1 + at)) ack=\(second + 1) data=\"\(escaped(bytes))\"")
        }
        let read = next(first, 1 + question.count)
        texts += segments(answer, &random).map { at, bytes in
            ends.back("PA seq=\(second + 1 + at) ack=\(read) data=\"\(escaped(bytes))\"")
        }
        switch number % 4 {
        case 0, 1:
            texts.append(ends.out("FA seq=\(read) ack=\(second + 1 + answer.count)"))
            texts.append(ends.back("FA seq=\(second + 1 + answer.count) ack=\(next(read, 1))"))
            texts.append(ends.out("A seq=\(next(read, 1)) ack=\(second + 2 + answer.count)"))
        case 2: texts.append(ends.out("R seq=\(read)"))
        default: break
        }
        return texts
    }

    private static func next(_ sequence: Int, _ bytes: Int) -> Int { (sequence + bytes) & 0xffff_ffff }

    /// The bytes in segments, as a bad network delivers them: the offset and content of each.
    private static func segments(_ bytes: [UInt8], _ random: inout TestRandom) -> [(at: Int, bytes: [UInt8])] {
        var list: [(at: Int, bytes: [UInt8])] = []
        var at = 0
        while at < bytes.count {
            let size = min(bytes.count - at, Int.random(in: 1...160, using: &random))
            list.append((at, Array(bytes[at..<at + size])))
            switch Int.random(in: 0..<12, using: &random) {
            case 0: list.append(list[list.count - 1])
            case 1 where list.count > 1: list.swapAt(list.count - 1, list.count - 2)
            case 2: list.removeLast()
            case 3:
                // Resent from its middle on, with the next bytes and a byte that differs.
                let start = at + size / 2
                var again = Array(bytes[start..<min(bytes.count, at + size + 20)])
                again[0] ^= 0x20
                list.append((start, again))
            case 4 where list.count > 1:
                // Sent before its predecessor, and twice, with bytes that differ.
                let (last, before) = (list.removeLast(), list.removeLast())
                list += [(last.at, last.bytes.map { $0 ^ 0x20 }), last, before]
            default: break
            }
            at += size
        }
        return list
    }

    private static func escaped(_ bytes: [UInt8]) -> String {
        bytes.map { byte in "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    /// A ClientHello of TLS 1.3 for `name`, in one record.
    private static func hello(_ name: String) -> [UInt8] {
        func vector(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes }
        let names = [0, 0] + vector(vector([0] + vector(Array(name.utf8))))
        let versions: [UInt8] = [0, 43, 0, 3, 2, 3, 4]
        let random = Array(repeating: UInt8(9), count: 32)
        let body = [3, 3] + random + [0] + vector([0x13, 1]) + [1, 0] + vector(names + versions)
        return [0x16, 3, 1] + vector([1, 0] + vector(body))
    }
}
