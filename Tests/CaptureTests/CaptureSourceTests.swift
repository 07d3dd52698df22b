// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import Foundation
import TestSupport
import Testing

/// Files put together by hand, with what must come out of them known beforehand.
@Suite struct CaptureSourceTests {
    private let scratch = Scratch()
    private let a: [UInt8] = Array(1...60)
    private let b: [UInt8] = Array(100..<114)
    private let second: Int64 = 1_000_000_000

    private var records: [(seconds: UInt32, fraction: UInt32, bytes: [UInt8], wire: UInt32)] {
        [(7, 5, a, 60), (8, 999_999, b, 1500), (9, 0, [], 40), (4_000_000_000, 1, a, 60)]
    }

    private func expected(_ unit: Int64, linkType: UInt16 = 1) -> [Packet] {
        records.map {
            let time = Int64($0.seconds) * second + Int64($0.fraction) * unit
            return Packet(time: time, bytes: $0.bytes, wireLength: $0.wire, linkType: linkType)
        }
    }

    // MARK: pcap

    @Test(arguments: [false, true]) func pcapVariants(isBig: Bool) throws {
        let variants: [(name: String, bytes: [UInt8], unit: Int64)] = [
            ("microseconds", pcap(isBig: isBig, records), 1000),
            ("nanoseconds", pcap(magic: 0xa1b2_3c4d, isBig: isBig, records), 1),
            ("modified", pcap(magic: 0xa1b2_cd34, isBig: isBig, headerExtra: 8, records), 1000),
            ("ixia hardware", pcap(magic: 0x1c00_01ac, isBig: isBig, extra: 4, records), 1000),
            ("ixia software", pcap(magic: 0x1c00_01ab, isBig: isBig, extra: 4, records), 1000),
            ("version 2.2", pcap(isBig: isBig, version: (2, 2), lengthsSwapped: true, records), 1000),
            ("version 2.3", pcap(isBig: isBig, version: (2, 3), records), 1000),
            ("version 2.3, other order", pcap(isBig: isBig, version: (2, 3), lengthsSwapped: true, records), 1000),
            ("version 543.0", pcap(isBig: isBig, version: (543, 0), lengthsSwapped: true, records), 1000),
            ("frame check sequence", pcap(isBig: isBig, network: 0x2400_0001, records), 1000),
        ]
        for (name, bytes, unit) in variants {
            for batch in [1, 2, 64] {
                let outcome = try read([scratch.file("v.pcap", bytes)], batch: batch)
                #expect(outcome.packets == expected(unit), "\(name), batches of \(batch)")
                #expect(outcome.error == nil, "\(name)")
                #expect(outcome.bytes == 60 + 1500 + 40 + 60, "\(name)")
                #expect(outcome.linkTypes == [1: 4], "\(name)")
            }
        }
    }

    @Test func linkTypesAreAnnouncedByTheBeginningsOfFiles() throws {
        var blocks = Blocks(isBig: true)
        blocks.section()
        blocks.interface(101)
        blocks.interface(276)
        blocks.interface(101)
        blocks.enhanced(0, 0, a)
        blocks.interface(105)
        var many = Blocks()
        many.section()
        for linkType in 1000..<1100 { many.interface(UInt16(linkType)) }
        let files: [(bytes: [UInt8], announced: [UInt16])] = [
            (pcap(network: 113, records), [113]), (gzip(pcap(isBig: true, network: 147, records)), [147]),
            (blocks.bytes, [101, 276]), (many.bytes, Array(1000..<1016)),
            // Damage is for who reads on.
            (Array(blocks.bytes.prefix(30)), []),
        ]
        var paths: [String] = []
        for (k, file) in files.enumerated() {
            let path = try scratch.file("\(k)", file.bytes)
            paths.append(path)
            #expect(try CaptureSource(paths: [path]).announcedLinkTypes == file.announced, "file \(k)")
        }
        #expect(try CaptureSource(paths: paths).announcedLinkTypes == [101, 113, 147, 276] + Array(1000..<1016))
    }

    @Test func aPacketMayClaimFewerBytesOnTheWireThanWereCaptured() throws {
        let outcome = try read([scratch.file("v.pcap", pcap([(1, 0, a, 20), (2, 0, b, 14)]))])
        #expect(outcome.packets.map(\.wireLength) == [20, 14])
        #expect(outcome.packets.map(\.bytes) == [a, b])
    }

    /// Packets keep their stamps, whatever those are; time is the largest so far, but does not follow a stamp a day ahead that the
    /// next packet does not confirm: in files and streams, of both formats, however batches are cut.
    @Test(arguments: [
        ([5, 3, 4, 6, 6, 2], [5, 5, 5, 6, 6, 6], 3, 0),
        // One from the future: in the middle, first and last.
        ([5, 3_000_000_000, 6, 7], [5, 5, 6, 7], 0, 1), ([3_000_000_000, 5, 6, 7], [5, 5, 6, 7], 0, 1),
        ([5, 6, 3_000_000_000], [5, 6, 6], 0, 1), ([3_000_000_000], [3_000_000_000], 0, 0),
        // Several, but never two together; and one before the future that comes true.
        ([5, 2_000_000_000, 6, 3_000_000_000, 7], [5, 5, 6, 6, 7], 0, 2),
        ([5, 3_000_000_000, 1_000_000, 1_000_001], [5, 5, 1_000_000, 1_000_001], 0, 1),
        // A pause of years, and one of a day, which needs no confirmation.
        ([5, 3_000_000_000, 3_000_000_001], [5, 3_000_000_000, 3_000_000_001], 0, 0),
        ([5, 86_405], [5, 86_405], 0, 0), ([5, 86_406], [5, 86_406], 0, 0), ([86_406, 5], [5, 5], 0, 1),
        ([86_405, 5], [86_405, 86_405], 1, 0),
        // Two together are followed, and time stands still until they are reached.
        ([5, 3_000_000_000, 3_000_000_000, 6], [5, 3_000_000_000, 3_000_000_000, 3_000_000_000], 1, 0),
    ])
    func packetsKeepTheirStampsAndTimeOnlyAdvances(
        _ stamps: [Int],
        _ times: [Int],
        _ backwards: UInt64,
        _ ahead: UInt64
    ) throws {
        let records = stamps.map { (UInt32($0), UInt32(0), a, UInt32(60)) }
        var blocks = Blocks()
        blocks.section()
        blocks.interface()
        for stamp in stamps {
            blocks.enhanced(0, UInt64(stamp) * 1_000_000, a)
            // Other blocks between packets tell nothing of the time.
            blocks.block(5) { $0.put(UInt32(0), UInt32(9), UInt32(0)) }
        }
        for (name, file) in [("pcap", pcap(records)), ("big", pcap(isBig: true, records)), ("pcapng", blocks.bytes)] {
            for (suffix, bytes) in [("", file), (".gz", gzip(file))] {
                let path = try scratch.file(name + suffix, bytes)
                for batch in [1, 2, 3, 64] {
                    let outcome = try read([path], batch: batch)
                    #expect(outcome.packets.map(\.time) == stamps.map { Int64($0) * second }, "\(name)\(suffix)")
                    #expect(outcome.times == times.map { Int64($0) * second }, "\(name)\(suffix)")
                    #expect(outcome.backwards == backwards && outcome.ahead == ahead && outcome.error == nil)
                }
            }
        }
    }

    /// Of two files of different days the second goes on from its first packet; damage after a stamp in doubt is reported.
    @Test func timeGoesOnInTheNextFile() throws {
        let first = try scratch.file("1", pcap([(5, 0, a, 60), (6, 0, b, 14)]))
        let records: [(UInt32, UInt32, [UInt8], UInt32)] = [(9_000_000, 0, a, 60), (9_000_001, 0, b, 14)]
        let second = try scratch.file("2", pcap(records))
        let outcome = try read([first, second])
        #expect(outcome.times == [5, 6, 9_000_000, 9_000_001].map { $0 * self.second })
        for cut in 1...40 {
            let bytes = Array(pcap(records).dropLast(cut))
            for name in ["cut", "cut.gz"] {
                let damaged = try read([first, scratch.file(name, name == "cut" ? bytes : gzip(bytes))])
                #expect(
                    damaged.times.last == (cut <= 30 ? 9_000_000 : 6) * self.second,
                    "\(name) \(cut)"
                )
                #expect(damaged.packets.count == (cut <= 30 ? 3 : 2))
                #expect((damaged.error == nil) == (cut == 30))
            }
        }
    }

    @Test func stampsThatCannotBeHeldAreCounted() throws {
        var blocks = Blocks()
        blocks.section()
        blocks.interface(resolution: 6)
        blocks.enhanced(0, 5_000_000, a)
        blocks.enhanced(0, .max, a)
        blocks.enhanced(0, 6_000_000, a)
        let outcome = try read([scratch.file("far.pcapng", blocks.bytes)])
        #expect(outcome.packets.map(\.time) == [5 * second, .max - 1, 6 * second])
        #expect(outcome.times == [5 * second, 5 * second, 6 * second])
        #expect(outcome.clamped == 1 && outcome.ahead == 1)
    }

    @Test func oversizedRecordsAreErrorsAndAllocateNothing() throws {
        var bytes = pcap([(1, 0, a, 60)])
        bytes.replaceSubrange(bytes.count - 68..<bytes.count - 64, with: [0xff, 0xff, 0xff, 0xff])
        let outcome = try read([scratch.file("v.pcap", pcap([(1, 0, b, 14)]) + bytes[24...])])
        #expect(outcome.packets.count == 1)
        #expect(outcome.error?.code == "oversized_record")
        #expect(outcome.error?.offset == 24 + 30)
    }

    @Test func longestPacketIsRead() throws {
        let long = [UInt8](repeating: 7, count: 262_144)
        let one = try read([scratch.file("v.pcap", pcap([(1, 0, long, 262_144)]))])
        #expect(one.packets.first?.bytes == long)
        let other = try read([scratch.file("v.pcap", pcap([(1, 0, long + [1], 262_145)]))])
        #expect(other.error?.code == "oversized_record")
        let usb = try read([scratch.file("v.pcap", pcap(network: 249, [(1, 0, long + [1], 262_145)]))])
        #expect(usb.packets.count == 1)
    }

    // MARK: pcapng

    /// Two sections of different byte order, with everything that can hold a packet.
    private func sections() -> (bytes: [UInt8], packets: [Packet]) {
        var first = Blocks(isBig: true)
        first.section()
        first.interface(1, snapLength: 20, resolution: 9)
        first.interface(101, resolution: 3, offset: 100)
        first.enhanced(0, 5_000_000_001, b)
        first.block(0x0000_0bad) { $0.put(UInt32(1), 2, 3) }
        first.enhanced(1, 7_000, a, wire: 99)
        first.simple(Array(a[..<20]), wire: 60)
        first.block(5) { $0.put(UInt32(0), 0, 0) }
        first.obsolete(1, 8_000, b)
        var second = Blocks()
        second.section(minor: 2)
        second.interface(113)
        second.enhanced(0, 200_000_003, [])
        let packets = [
            Packet(time: 5_000_000_001, bytes: b),
            Packet(time: 107 * self.second, bytes: a, wireLength: 99, linkType: 101, interface: 1),
            // A simple packet has no stamp, and is cut to the snap length of the first interface.
            Packet(time: 107 * self.second, bytes: Array(a[..<20]), wireLength: 60),
            Packet(time: 108 * self.second, bytes: b, linkType: 101, interface: 1),
            Packet(time: 200 * self.second + 3_000, bytes: [], linkType: 113, interface: 2),
        ]
        return (first.bytes + second.bytes, packets)
    }

    @Test(arguments: [1, 2, 64]) func pcapngSectionsInterfacesAndBlocks(batch: Int) throws {
        let (bytes, packets) = sections()
        let outcome = try read([scratch.file("v.pcapng", bytes)], batch: batch)
        #expect(outcome.packets == packets)
        #expect(outcome.error == nil)
        #expect(outcome.linkTypes == [1: 2, 101: 2, 113: 1])
        #expect(outcome.backwards == 0)
    }

    /// An interface's if_tsresol and if_tsoffset, a stamp, and the nanoseconds it means.
    struct Stamp: Sendable {
        var resolution: UInt8
        var offset: Int64 = 0
        var units: UInt64
        var nanoseconds: Int64
    }

    private static let stamps: [Stamp] = [
        Stamp(resolution: 6, units: 1_234_567, nanoseconds: 1_234_567_000),
        Stamp(resolution: 0, units: 12, nanoseconds: 12_000_000_000),
        Stamp(resolution: 9, units: 1_234_567, nanoseconds: 1_234_567),
        Stamp(resolution: 12, units: 1_999, nanoseconds: 1),
        Stamp(resolution: 28, units: .max, nanoseconds: 1),
        Stamp(resolution: 29, units: .max, nanoseconds: 0),
        Stamp(resolution: 127, units: .max, nanoseconds: 0),
        Stamp(resolution: 0x8a, units: 1536, nanoseconds: 1_500_000_000),
        Stamp(resolution: 0xa0, units: 3 << 31, nanoseconds: 1_500_000_000),
        Stamp(resolution: 0xff, units: .max, nanoseconds: 0),
        Stamp(resolution: 6, offset: 10, units: 1, nanoseconds: 10_000_001_000),
        Stamp(resolution: 6, offset: -10, units: 1, nanoseconds: -9_999_999_000),
        Stamp(resolution: 0, units: .max, nanoseconds: .max - 1),
        Stamp(resolution: 9, offset: .max, units: 0, nanoseconds: .max - 1),
        Stamp(resolution: 9, offset: .min, units: 0, nanoseconds: .min),
    ]

    @Test(arguments: stamps) func stampsOfAnyResolution(stamp: Stamp) throws {
        var blocks = Blocks()
        blocks.section()
        blocks.interface(1, resolution: stamp.resolution, offset: stamp.offset)
        blocks.enhanced(0, stamp.units, a)
        let outcome = try read([scratch.file("v.pcapng", blocks.bytes)])
        #expect(outcome.packets.map(\.time) == [stamp.nanoseconds])
    }

    @Test func damagedBlocks() throws {
        func outcome(_ change: (inout Blocks) -> Void) throws -> Outcome {
            var blocks = Blocks()
            blocks.section()
            blocks.interface()
            blocks.enhanced(0, 1, a)
            change(&blocks)
            return try read([scratch.file("v.pcapng", blocks.bytes)])
        }
        let cases: [(code: String, outcome: Outcome)] = [
            ("unknown_interface", try outcome { $0.enhanced(1, 2, b) }),
            ("block_length", try outcome { $0.out.put(UInt32(6), 30, 0, 0) }),
            ("block_length", try outcome { $0.out.put(UInt32(77), 16, 0, 20) }),
            ("block_length", try outcome { $0.out.put(UInt32(77), 8, 8) }),
            ("block_length", try outcome { $0.block(6) { $0.put(UInt32(0), 0, 0, 5, 5) } }),
            ("oversized_record", try outcome { $0.block(6) { $0.put(UInt32(0), 0, 0, .max, 5) } }),
            ("truncated_block", try outcome { $0.out.put(UInt32(6), 40, 0) }),
            ("truncated_block", try outcome { $0.out.put(UInt32(6)) }),
            ("unsupported_version", try outcome { $0.section(major: 2) }),
            ("byte_order", try outcome { $0.block(0x0a0d_0d0a) { $0.put(UInt32(1), 2, 3, 4) } }),
            ("option_length", try outcome { $0.block(1) { $0.put(UInt32(1), 0, 0x0040_0009, 0) } }),
        ]
        for (code, outcome) in cases {
            #expect(outcome.packets.count == 1, "\(code)")
            #expect(outcome.error?.code == code)
            #expect(outcome.error?.offset != nil, "\(code)")
        }
    }

    // MARK: Damage

    @Test func cutAtEveryByte() throws {
        let micro = pcap(records)
        // Where the records of this file end.
        let ends = [24, 24 + 76, 24 + 76 + 30, 24 + 76 + 30 + 16, 24 + 76 + 30 + 16 + 76]
        for length in 1..<micro.count {
            let outcome = try read([scratch.file("v.pcap", Array(micro[..<length]))])
            #expect(outcome.packets.count == max(0, ends.count(where: { $0 <= length }) - 1), "\(length) bytes")
            #expect(outcome.atStart == (length < 24))
            #expect((outcome.error == nil) == ends.contains(length), "\(length) bytes")
            if let error = outcome.error, length >= 24 {
                #expect(error.code == "truncated_record")
                #expect(error.offset == ends.last { $0 <= length })
            }
        }
    }

    @Test func cutAtEveryByteMappedAndStreamedAlike() throws {
        for whole in [sections().bytes, pcap(records)] {
            for length in 1..<whole.count {
                let cut = Array(whole[..<length])
                let mapped = try read([scratch.file("cut", cut)])
                let streamed = try read([scratch.file("cut", gzip(cut))])
                #expect(mapped.packets == streamed.packets, "\(length) bytes")
                #expect(mapped.error == streamed.error, "\(length) bytes")
            }
        }
    }

    @Test func mutationsNeitherTrapNorDependOnTheWayOfReading() throws {
        var random = Randomness(state: 2026)
        for whole in [sections().bytes, pcap(records), pcap(magic: 0xa1b2_cd34, isBig: true, headerExtra: 8, records)] {
            for _ in 0..<300 {
                var bytes = whole
                for _ in 0...Int.random(in: 0..<3, using: &random) {
                    let values: [UInt8] = [0, 1, 4, 0x7f, 0x80, 0xff, .random(in: 0...255, using: &random)]
                    bytes[.random(in: bytes.indices, using: &random)] = values.randomElement(using: &random)!
                }
                let path = try scratch.file("mutated", bytes)
                let mapped = try read([path])
                let slow = try read([path], batch: 1)
                let streamed = try read([scratch.file("mutated.gz", gzip(bytes))])
                #expect(mapped.packets == slow.packets)
                #expect(mapped.packets == streamed.packets)
                #expect(mapped.error?.code == streamed.error?.code)
                #expect(mapped.error?.offset == streamed.error?.offset)
            }
        }
    }

    // MARK: Streams

    @Test func gzipMembersAndWhatFollowsThem() throws {
        let bytes = pcap(records)
        // A member boundary inside a record.
        let members = gzip(Array(bytes[..<50])) + gzip(Array(bytes[50...]))
        let whole = try read([scratch.file("v", members)])
        #expect(whole.packets == expected(1000))
        #expect(whole.error == nil)
        let trailed = try read([scratch.file("v", members + [0, 0, 0])])
        #expect(trailed.packets == expected(1000))
        #expect(trailed.error == nil)
        #expect(trailed.warnings.count == 1)
        let cut = try read([scratch.file("v", Array(gzip(bytes).dropLast(20)))])
        #expect(cut.error?.code == "truncated_gzip")
        var damaged = members
        damaged[members.count - 6] ^= 0xff
        let broken = try read([scratch.file("v", damaged)])
        #expect(broken.packets == expected(1000))
        #expect(broken.error?.code == "damaged_gzip")
    }

    @Test func aStreamLargerThanItsBufferIsReadInOrder() throws {
        var random = Randomness(state: 1)
        let records: [(seconds: UInt32, fraction: UInt32, bytes: [UInt8], wire: UInt32)] = (0..<3000).map { k in
            let length = k % 500 == 0 ? 200_000 : Int.random(in: 0..<1600, using: &random)
            return (UInt32(k), 0, (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ k) }, UInt32(length))
        }
        let bytes = pcap(records)
        let mapped = try read([scratch.file("v", bytes)])
        let streamed = try read([scratch.file("v.gz", gzip(bytes))])
        #expect(mapped.packets.map(\.bytes) == records.map(\.bytes))
        #expect(mapped.packets == streamed.packets)
    }

    @Test func itemsOfAStreamOutliveItsBuffer() throws {
        let records = (0..<1000).map {
            (UInt32($0), UInt32(0), [UInt8](repeating: UInt8($0 % 251), count: 1000), UInt32(1000))
        }
        let source = try CaptureSource(paths: [scratch.file("v.gz", gzip(pcap(records)))])
        let pool = try Pool(capacity: 1000)
        var held: [Int32] = []
        var indices = [Int32](repeating: 0, count: 64)
        while source.nextTime != .max {
            let n = source.fill(pool, &indices, max: 64, before: .max, sequence: UInt64(held.count))
            held += indices[..<n]
        }
        #expect(held.count == 1000)
        #expect(held.enumerated().allSatisfy { k, i in pool.items[Int(i)].bytes.allSatisfy { $0 == UInt8(k % 251) } })
        // Nothing is free, so a further source must wait.
        let other = try CaptureSource(paths: [scratch.file("w.pcap", pcap(records))])
        #expect(other.fill(pool, &indices, max: 64, before: .max, sequence: 0) == 0)
        #expect(other.nextTime == 0)
    }

    @Test func aPipeGivesWhatItHasBeforeMoreArrives() throws {
        let path = "\(scratch.path)/pipe"
        #expect(mkfifo(path, 0o600) == 0)
        let bytes = pcap(records)
        // Opened for both directions, so that neither end waits for the other.
        let descriptor = open(path, O_RDWR)
        #expect(bytes[..<130].withUnsafeBytes { write(descriptor, $0.baseAddress!, $0.count) } == 130)
        let source = try CaptureSource(paths: [path])
        let pool = try Pool(capacity: 16)
        var indices = [Int32](repeating: 0, count: 16)
        #expect(source.fill(pool, &indices, max: 16, before: .max, sequence: 0) == 2)
        #expect(bytes[130...].withUnsafeBytes { write(descriptor, $0.baseAddress!, $0.count) } == bytes.count - 130)
        close(descriptor)
        #expect(source.nextTime == 9 * second)
        #expect(source.fill(pool, &indices, max: 16, before: .max, sequence: 2) == 1)
        // The last is from the future: whether that is so, another packet would tell.
        #expect(source.nextTime == 9 * second)
        #expect(source.fill(pool, &indices, max: 16, before: .max, sequence: 3) == 1)
        #expect(source.nextTime == .max)
        #expect(source.failure == nil)
    }

    @Test(arguments: [0, 10, 24, 30, 130, 140]) func aStoppedPipeIsNoDamage(_ size: Int) throws {
        let whole = pcap([(1, 0, a, 60), (2, 0, b, 14), (3, 0, a, 60)])
        for bytes in [whole, gzip(whole)] {
            let path = "\(scratch.path)/stopped-\(UUID())"
            #expect(mkfifo(path, 0o600) == 0)
            // Held open, so that the pipe does not end.
            let descriptor = open(path, O_RDWR)
            defer { close(descriptor) }
            let given = bytes.prefix(size)
            #expect(given.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) } == given.count)
            var asked = 0
            let source = try CaptureSource(paths: [path]) {
                asked += 1
                // Not before all that was written is read: a read gives all there is.
                return asked > (size == 0 ? 1 : 2)
            }
            let pool = try Pool(capacity: 16)
            var indices = [Int32](repeating: 0, count: 16)
            while source.nextTime != .max {
                pool.giveBack(indices, count: source.fill(pool, &indices, max: 16, before: .max, sequence: 0))
            }
            #expect(source.failure == nil)
            if bytes == whole { #expect(source.packets == (size >= 130 ? 2 : 0)) }
        }
    }

    // MARK: The contract

    @Test func packetsFromTheLimitOnAreLeft() throws {
        let records = [1, 2, 2, 3, 5].map { (UInt32($0), UInt32(0), a, UInt32(60)) }
        for bytes in [pcap(records), gzip(pcap(records)), pcap(isBig: true, records)] {
            let source = try CaptureSource(paths: [scratch.file("v", bytes)])
            let pool = try Pool(capacity: 16)
            var indices = [Int32](repeating: 0, count: 16)
            func fill(_ limit: Int64) -> Int { source.fill(pool, &indices, max: 16, before: limit, sequence: 0) }
            #expect(fill(1 * second) == 0)
            #expect(fill(1 * second + 1) == 1)
            #expect(source.nextTime == 2 * second)
            #expect(fill(2 * second) == 0)
            #expect(fill(3 * second) == 2)
            #expect(fill(5 * second) == 1)
            #expect(fill(.max) == 1)
            #expect(source.nextTime == .max)
            #expect(fill(.max) == 0)
        }
    }

    @Test func severalFilesAreOneSource() throws {
        let first = try scratch.file("1", pcap([(5, 0, a, 60), (6, 0, b, 14)]))
        let second = try scratch.file("2.gz", gzip(pcap(network: 101, [(4, 0, b, 14), (7, 0, a, 60)])))
        var blocks = Blocks()
        blocks.section()
        blocks.interface()
        blocks.enhanced(0, 8_000_000, a)
        let third = try scratch.file("3", blocks.bytes)
        let empty = try scratch.file("4", pcap([]))
        for batch in [1, 2, 64] {
            let outcome = try read([first, empty, second, third], batch: batch)
            #expect(outcome.packets.map(\.time) == [5, 6, 4, 7, 8].map { $0 * self.second })
            #expect(outcome.times == [5, 6, 6, 7, 8].map { $0 * self.second })
            #expect(outcome.packets.map(\.bytes) == [a, b, b, a, a])
            #expect(outcome.packets.map(\.interface) == [0, 0, 2, 2, 3])
            #expect(outcome.backwards == 1)
            #expect(outcome.linkTypes == [1: 3, 101: 2])
        }
        let damaged = try scratch.file("5", Array(pcap([(5, 0, a, 60)]).dropLast()))
        let outcome = try read([first, damaged, third])
        #expect(outcome.packets.count == 2)
        #expect(outcome.error?.file == damaged)
    }

    @Test func alternatingLinkTypesAreCountedApart() throws {
        var blocks = Blocks()
        blocks.section()
        for linkType in [UInt16(9), 0, 1] { blocks.interface(linkType) }
        for k in 0..<99 { blocks.enhanced(UInt32(k % 3), UInt64(k), b) }
        for batch in [1, 64] {
            let outcome = try read([scratch.file("v.pcapng", blocks.bytes)], batch: batch)
            #expect(outcome.linkTypes == [0: 33, 1: 33, 9: 33])
        }
    }

    // MARK: What is not a capture

    @Test func errorsOfOpeningNameTheTrouble() throws {
        let cases: [(path: String, code: String, words: String)] = [
            ("\(scratch.path)/none.pcap", "no_such_file", "no such file"),
            (scratch.path, "is_directory", "is a directory"),
            (try scratch.file("empty", []), "empty_file", "is empty"),
            (
                try scratch.file("snoop", Array("snoop\0\0\0\0\0\0\u{2}".utf8)), "unsupported_format",
                "is a snoop capture"
            ),
            (try scratch.file("html", Array("\n<!DOCTYPE html><p>".utf8)), "unsupported_format", "HTML"),
            (try scratch.file("text", Array("No. Time Source".utf8)), "unsupported_format", "is text"),
            (try scratch.file("zip", Array("PK\u{3}\u{4}12".utf8)), "unsupported_format", "zip archive"),
            (try scratch.file("junk", [0, 1, 2, 3, 4, 200, 5]), "unsupported_format", "not a capture in pcap"),
            (try scratch.file("short", [0xd4]), "unsupported_format", "not a capture"),
            (try scratch.file("cut", Array(pcap([])[..<20])), "truncated_header", "20 of 24 bytes"),
            (try scratch.file("old", pcap(version: (1, 4), [])), "unsupported_version", "1.4"),
            (try scratch.file("bits", pcap(network: 0x0030_0001, [])), "reserved_bits", "0x300001"),
        ]
        for (path, code, words) in cases {
            let outcome = try read([path])
            #expect(outcome.atStart)
            #expect(outcome.error?.code == code, "\(path)")
            #expect(outcome.error?.file == path)
            #expect(outcome.error?.description.contains(words) == true, "\(outcome.error!)")
        }
        let twice = try read(["-", "-"])
        #expect(twice.error?.code == "repeated_input")
    }

    @Test func descriptionsReadLikeACompilers() {
        let error = CaptureError(
            file: "web.pcap",
            offset: 1204,
            reason: "record is cut short",
            code: "truncated_record"
        )
        #expect(error.description == "web.pcap: byte 1204: record is cut short [truncated_record]")
        #expect(
            CaptureError(file: "-", reason: "is empty", code: "empty_file").description.hasPrefix("standard input: ")
        )
    }
}
