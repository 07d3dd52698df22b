// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

@testable import Dataplane

/// Fragments of up to eight IPv4 and IPv6 packets, in any order and with anything wrong, through IPDefragmenter.
///
/// An input is two bytes that say how, then eight for each packet. Every byte of a packet has a value of its own, so that what
/// leaves can be checked: a joined packet is whole, no fragment any more, its lengths and its checksum are right, and each
/// byte is one that some fragment brought for its place. What was no fragment leaves as it came.
enum FuzzDefragmenter {
    private static let mostPackets = 64

    /// Bounds and what they lead to, beside the policy for overlaps.
    private struct Profile {
        var config = IPDefragmenter.Config()
        var batch = 64
        var pool = 2 * mostPackets

        init(_ set: (inout Profile) -> Void) {
            config.tiny = .join
            config.timeout = 1 << 21
            config.datagrams = 16
            set(&self)
        }
    }
    private static let profiles = [
        Profile { _ in },
        Profile { $0.config.tiny = .drop },
        Profile { $0.config.timeout = 1000 },
        Profile { $0.config.timeout = 10 },
        Profile { $0.config.timeout = 0 },
        Profile { $0.config.datagrams = 1 },
        Profile {
            $0.config.datagrams = 2
            $0.config.onFull = .drop
        },
        Profile { $0.config.fragments = 2 },
        Profile {
            $0.config.fragments = 3
            $0.config.onFull = .drop
        },
        Profile { $0.config.bytes = 64 },
        Profile {
            $0.config.bytes = 256
            $0.config.onFull = .drop
        },
        Profile { $0.config.datagramFragments = 2 },
        Profile {
            $0.config.datagramFragments = 3
            $0.config.datagrams = 2
        },
        // A joined packet may find no item.
        Profile {
            $0.pool = 6
            $0.batch = 2
        },
        Profile {
            $0.pool = 3
            $0.config.onFull = .drop
        },
        Profile {
            $0.config.tiny = .drop
            $0.config.timeout = 100
            $0.config.datagrams = 4
            $0.config.fragments = 8
            $0.config.bytes = 4096
            $0.config.datagramFragments = 4
        },
    ]

    /// Graphs for one choice of policy and profile.
    private final class Bench {
        private let observer = Observer()
        private let graphs: [FuzzGraph]

        init(_ number: Int, overlap: FragmentOverlap) {
            let profile = profiles[number]
            var config = profile.config
            config.overlap = overlap
            // Whether there is an item left for a joined packet depends on how many came together.
            let batches = profile.pool < mostPackets ? [profile.batch] : [profile.batch, 1]
            graphs = batches.map { [observer] in
                FuzzGraph(
                    [FuzzNode(IPDefragmenter.self, config)],
                    outputs: [0],
                    observer,
                    batch: $0,
                    pool: profile.pool
                )
            }
        }

        func run(_ packets: FuzzPackets, _ content: FuzzContent, unknown: Int) {
            var first: FuzzTranscript?
            for graph in graphs {
                observer.begin(packets, content, unknown: unknown)
                graph.run(packets)
                for handler in FuzzDefragmenter.waiting {
                    require(graph.read(handler) == 0, "something waits for ever")
                }
                require(first == nil || first == observer.transcript, "results depend on batches")
                first = observer.transcript
            }
        }
    }
    private static let waiting = ["held", "held_bytes", "datagrams"].map(IPDefragmenter.handler)

    // One thread fuzzes a target.
    nonisolated(unsafe) private static var benches: [Int: Bench] = [:]
    nonisolated(unsafe) private static let content = FuzzContent()
    nonisolated(unsafe) private static let frame = FuzzFrame()

    static func run(_ bytes: UnsafeRawBufferPointer) {
        var input = FuzzInput(bytes)
        let policy = input.byte() % FragmentOverlap.allCases.count
        let number = input.byte() & 15
        let packets = FuzzPackets(most: mostPackets)
        content.clear()
        var time: Int64 = 0
        var unknown = 0
        while !input.isEmpty, packets.list.count < mostPackets { unknown |= add(&input, &time, to: packets) }
        let key = policy << 4 | number
        if benches[key] == nil { benches[key] = Bench(number, overlap: FragmentOverlap.allCases[policy]) }
        benches[key]!.run(packets, content, unknown: unknown)
    }

    /// Adds the packet that the next eight bytes describe. Gives a bit for each packet of which nobody can tell any more what
    /// it should hold.
    private static func add(_ input: inout FuzzInput, _ time: inout Int64, to packets: FuzzPackets) -> Int {
        let kind = input.byte()
        var start = input.byte() * 8
        var count = input.byte()
        let oddity = input.byte() & 15
        let later = input.byte()
        let extra = input.byte()
        let place = input.byte()
        let value = input.byte()

        let isIPv6 = kind.bit(0)
        let id = kind >> 2 & 3
        let packet = (isIPv6 ? 4 : 0) + id
        let variant = kind >> 4 & 3
        let proto = kind.choice(6, (253, 6, 17, 1))
        if later > 0 { time += 1 << Int64(later & 15) }
        switch oddity {
        case 6: start = min(start * 32, 0xfff8)
        case 10: start = 0
        // Some long ones; more of them would only be slow.
        case 14 where packets.bytes < 1 << 17: count = min(count * 256, 65_000)
        default: break
        }
        let isFragment = oddity != 12
        let more = kind.bit(1) && oddity != 10
        // Another fragment header, behind the first one.
        let isNested = isIPv6 && oddity == 9 && count >= 8
        var unknown = isFragment && !isNested ? 0 : 1 << packet

        frame.clear()
        frame.appendEthernet(isIPv6: isIPv6)
        if isIPv6 {
            // Destination options may stand before.
            let options = oddity == 8 ? 8 * (1 + extra & 7) : 0
            let size = options + (isFragment ? 8 : 0) + count
            let next = isFragment ? Int(IPProtocol.fragment) : proto
            frame.appendIPv6(
                1,
                2,
                next: options > 0 ? Int(IPProtocol.destinationOptions) : next,
                payload: min(size, 65_535),
                label: id
            )
            if options > 0 {
                frame.append16(next << 8 | (options / 8 - 1))
                frame.append(options - 2, of: 0)
            }
            if isFragment {
                frame.append16((isNested ? Int(IPProtocol.fragment) : proto) << 8)
                frame.append16(start | (more ? 1 : 0))
                frame.append32(UInt32(id))
            }
        } else {
            let options = oddity == 8 ? 4 * (extra % 11) : 0
            frame.appendIPv4(
                1,
                2,
                proto: proto,
                payload: min(count, 65_535 - 20 - options),
                options: options,
                id: id,
                fragment: isFragment ? start / 8 | (more ? 0x2000 : 0) : 0
            )
            frame.append(options, of: 1)
        }
        let data = frame.count
        content.send(count, from: start, of: packet, variant: variant, to: frame)
        if isNested {
            let bytes = [UInt8(proto), 0, UInt8(place), UInt8(value), 0, 0, 0, 9]
            for (k, byte) in bytes.enumerated() { frame.bytes[data + k] = byte }
        }
        var captured = Int.max
        switch oddity {
        case 7: captured = max(0, frame.count - extra)
        case 13: frame.append(4, of: 0xee)
        case 15:
            frame.bytes[place % frame.count] ^= UInt8(value)
            unknown = 0xff
        default: break
        }
        packets.add(frame, captured: captured, time: time)
        return unknown
    }

    /// Checks what leaves.
    private final class Observer: FuzzObserver, @unchecked Sendable {
        private var packets: FuzzPackets?
        private var sent: FuzzContent?
        private var unknown = 0
        private(set) var transcript = FuzzTranscript()

        func begin(_ packets: FuzzPackets, _ content: FuzzContent, unknown: Int) {
            self.packets = packets
            sent = content
            self.unknown = unknown
            transcript = FuzzTranscript()
        }

        override func see(_ p: Packet, output: Int) {
            transcript.add(p.sequence)
            transcript.add(p.made)
            transcript.add(p.bytes)
            if p.made > 0 {
                look(atJoined: p)
            } else {
                let original = packets!.list[Int(p.sequence)].bytes
                if !p.isWritable {
                    require(p.data == UnsafeRawPointer(original.baseAddress) && Int(p.length) == original.count)
                } else {
                    require(Int(p.length) == original.count - 8, "more than a fragment header is gone")
                }
            }
            require(p.wireLength >= p.length)
        }

        private func look(atJoined p: Packet) {
            require(Headers.locate(p) == .ip && !p.isFragment, "it is still a fragment")
            require(p.length == p.ipEnd, "its length is wrong")
            let packet: Int
            let content: UnsafeRawBufferPointer
            if let ip = IPv4View(p) {
                require(ip.isChecksumRight, "its checksum is wrong")
                packet = Int(ip.identification)
                content = ip.payload
            } else if let ip = IPv6View(p) {
                packet = 4 + Int(ip.flowLabel)
                var headers = ip.extensions
                // All that stands before the fragment header.
                while headers.proto == IPProtocol.destinationOptions, headers.next() != nil {}
                content = UnsafeRawBufferPointer(start: headers.base, count: headers.count)
            } else {
                fatalError("it is no IP packet")
            }
            guard packet < 8, !unknown.bit(packet) else { return }
            require(
                sent!.holds(content, from: 0, of: packet),
                "a byte that nobody sent in packet \(packet): \(Array(content))"
            )
        }
    }
}

// MARK: Seeds

extension FuzzDefragmenter {
    /// One packet, as an input has it.
    private static func packet(
        _ start: Int,
        _ count: Int,
        more: Bool = true,
        v6: Bool = false,
        id: Int = 0,
        variant: Int = 0,
        proto: Int = 0,
        oddity: UInt8 = 0,
        later: UInt8 = 0,
        extra: UInt8 = 1
    ) -> [UInt8] {
        let kind = UInt8((v6 ? 1 : 0) | (more ? 2 : 0) | id << 2 | variant << 4 | proto << 6)
        return [kind, UInt8(start / 8), UInt8(count), oddity, later, extra, 9, 1]
    }

    static let seeds: [(name: String, bytes: [UInt8])] = {
        let usual: [UInt8] = [0, 0]
        let three = { (v6: Bool) in
            packet(0, 16, v6: v6) + packet(16, 24, v6: v6) + packet(40, 5, more: false, v6: v6)
        }
        let overlapping = { (v6: Bool) in
            packet(8, 24, v6: v6) + packet(0, 16, v6: v6, variant: 1) + packet(16, 16, v6: v6, variant: 2)
                + packet(24, 13, more: false, v6: v6, variant: 3)
        }
        return [
            ("three", usual + three(false)),
            ("three-v6", usual + three(true)),
            ("backwards", usual + packet(16, 9, more: false) + packet(8, 8) + packet(0, 8)),
            ("overlaps-first", usual + overlapping(false)),
            ("overlaps-windows", [4, 0] + overlapping(false)),
            ("overlaps-solaris", [5, 0] + overlapping(false)),
            ("overlaps-v6", usual + overlapping(true) + packet(32, 8, v6: true)),
            ("duplicate", usual + packet(8, 8) + packet(8, 8) + packet(0, 8) + packet(16, 1, more: false)),
            (
                "tiny",
                [0, 1] + packet(0, 8, proto: 1) + packet(8, 8, proto: 1) + packet(16, 9, more: false, proto: 1)
            ),
            (
                "full",
                [0, 9] + packet(0, 40) + packet(0, 40, id: 1) + packet(0, 40, v6: true, id: 2)
                    + packet(40, 200, id: 1) + packet(40, 8, more: false)
            ),
            ("full-drop", [0, 6] + packet(0, 40) + packet(0, 40, id: 1) + packet(40, 9, more: false)),
            ("too-many", [0, 12] + packet(0, 8) + packet(8, 8) + packet(16, 8) + packet(24, 8) + packet(32, 1)),
            ("late", [0, 3] + packet(0, 8) + packet(8, 8, more: false, later: 9) + packet(0, 8)),
            (
                "long",
                usual + packet(0, 252, oddity: 14) + packet(248, 200, more: false, oddity: 6)
                    + packet(2040, 200, more: false, v6: true, oddity: 6)
            ),
            ("headers", usual + packet(0, 8, v6: true, oddity: 8) + packet(8, 8, more: false, v6: true, oddity: 8)),
            ("options", usual + packet(0, 8, oddity: 8) + packet(8, 8, more: false, oddity: 8, extra: 10)),
            ("atomic", usual + packet(0, 30, v6: true, oddity: 10) + packet(0, 30, v6: true, oddity: 9)),
            (
                "others",
                usual + packet(0, 9, oddity: 12) + packet(0, 9, v6: true, oddity: 12) + packet(0, 16, oddity: 7)
            ),
            ("padded", usual + packet(8, 3, more: false, oddity: 13) + packet(0, 8, oddity: 13)),
            ("few-items", [0, 13] + three(false) + three(true) + packet(0, 8, id: 1) + packet(0, 8, id: 2)),
        ]
    }()
}
