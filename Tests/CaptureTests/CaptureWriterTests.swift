// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import Foundation
import TestSupport
import Testing

/// What is written, read back by this project and by others.
@Suite struct CaptureWriterTests {
    private let scratch = Scratch()
    private let packets: [Packet] = (0..<200).map { (k: Int) -> Packet in
        let length = k * 37 % 1500
        let time: Int64 = 1_700_000_000_123_456_789 + Int64(k) * 1_000_000_007
        let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &+ k) }
        return Packet(time: time, bytes: bytes, wireLength: UInt32(length + k % 3))
    }

    private func write(_ packets: [Packet], to name: String) throws -> String {
        let path = name.hasPrefix("/") ? name : "\(scratch.path)/\(name)"
        let writer = try CaptureWriter(path: path)
        for packet in packets {
            var bytes = packet.bytes
            try bytes.withUnsafeMutableBytes { raw in
                let spare = UnsafeMutableRawPointer(bitPattern: 64)!
                var item = Item(
                    data: raw.baseAddress ?? spare,
                    length: UInt32(raw.count),
                    wireLength: packet.wireLength,
                    time: packet.time,
                    sequence: 0,
                    linkType: packet.linkType,
                    interface: packet.interface
                )
                try item.withPacket(writer.write)
            }
        }
        try writer.close()
        return path
    }

    @Test(arguments: ["out.pcap", "out.pcapng"]) func weReadWhatWeWrite(name: String) throws {
        let outcome = try read([write(packets, to: name)])
        #expect(outcome.packets == packets)
        #expect(outcome.error == nil)
    }

    @Test(.enabled(if: Program.isThere("tshark")), arguments: ["out.pcap", "out.pcapng"])
    func tsharkReadsWhatWeWrite(name: String) throws {
        let path = try write(packets, to: name)
        let fields = ["frame.time_epoch", "frame.cap_len", "frame.len"].flatMap { ["-e", $0] }
        let tshark = try Program.text("tshark", ["-r", path, "-T", "fields"] + fields)
        let expected = packets.map { packet in
            let (seconds, nanoseconds) = packet.time.quotientAndRemainder(dividingBy: 1_000_000_000)
            let fraction = String(repeating: "0", count: 9 - "\(nanoseconds)".count) + "\(nanoseconds)"
            return "\(seconds).\(fraction)\t\(packet.bytes.count)\t\(packet.wireLength)"
        }
        #expect(tshark.split(separator: "\n").map(String.init) == expected)
    }

    @Test(arguments: ["out.pcap", "out.pcapng"]) func aFileWithoutPacketsIsOne(name: String) throws {
        let path = try write([], to: name)
        let outcome = try read([path])
        #expect(outcome.packets.isEmpty && outcome.error == nil)
    }

    @Test(.enabled(if: Program.isThere("capinfos")), arguments: ["out.pcap", "out.pcapng"])
    func capinfosAcceptsAFileWithoutPackets(name: String) throws {
        let capinfos = try Program.text("capinfos", ["-c", "-M", write([], to: name)])
        #expect(capinfos.contains("Number of packets:   0"))
    }

    @Test func pcapngTakesSeveralLinkTypesAndPcapOne() throws {
        var mixed = Array(packets[..<6])
        mixed[1].linkType = 101
        mixed[3].linkType = 113
        mixed[4].linkType = 101
        let path = try write(mixed, to: "out.pcapng")
        let outcome = try read([path])
        #expect(outcome.packets.map(\.linkType) == mixed.map(\.linkType))
        #expect(outcome.packets.map(\.bytes) == mixed.map(\.bytes))
        #expect(outcome.packets.map(\.interface) == [0, 1, 0, 2, 1, 0])
        #expect {
            try write(mixed, to: "out.pcap")
        } throws: { error in
            let error = error as? OutputError
            return error?.code == "second_link_type" && error!.description.contains("RAW")
                && error!.description.contains("ETHERNET")
        }
        // What came before it is in the file.
        #expect(try read(["\(scratch.path)/out.pcap"]).packets.count == 1)
    }

    @Test(.enabled(if: Program.isThere("tshark"))) func tsharkFindsTheInterfaces() throws {
        var mixed = Array(packets[..<6])
        for (k, type) in [(1, 101), (3, 113), (4, 101)] { mixed[k].linkType = UInt16(type) }
        let path = try write(mixed, to: "out.pcapng")
        let tshark = try Program.text("tshark", ["-r", path, "-T", "fields", "-e", "frame.interface_id"])
        #expect(tshark.split(separator: "\n") == ["0", "1", "0", "2", "1", "0"])
    }

    @Test func timesThatTheFormatCannotHoldAreRefused() throws {
        let last: Int64 = 4_294_967_295_999_999_999
        let held: [(name: String, times: [Int64])] = [
            ("out.pcap", [0, last]), ("out.pcapng", [0, last + 1, .max - 1]),
        ]
        for (name, times) in held {
            let outcome = try read([write(times.map { Packet(time: $0, bytes: [1, 2, 3]) }, to: name)])
            #expect(outcome.packets.map(\.time) == times)
        }
        for (name, time) in [("out.pcap", -1), ("out.pcap", last + 1), ("out.pcapng", -1)] {
            #expect {
                try write([Packet(time: time, bytes: [1])], to: name)
            } throws: {
                ($0 as? OutputError)?.code == "time_out_of_range"
            }
        }
    }

    @Test(arguments: ["out.pcap", "out.pcapng"]) func packetsTooLongForOthersAreCut(name: String) throws {
        let long = Packet(time: 1, bytes: [UInt8](repeating: 9, count: 300_001))
        let outcome = try read([write([long, packets[7]], to: name)])
        #expect(outcome.packets.map(\.bytes.count) == [262_144, packets[7].bytes.count])
        #expect(outcome.packets.map(\.wireLength) == [300_001, packets[7].wireLength])
    }

    // MARK: Sinks

    @Test func aFullDeviceIsAnError() throws {
        #expect { try write(packets, to: "/dev/full") } throws: { ($0 as? OutputError)?.code == "no_space" }
    }

    @Test func aPipeWithoutReaderIsAnErrorAndNotTheEnd() throws {
        let path = "\(scratch.path)/pipe"
        #expect(mkfifo(path, 0o600) == 0)
        let reader = open(path, O_RDWR)
        let sink = try FileSink(path)
        close(reader)
        #expect {
            try [UInt8](repeating: 0, count: 100_000).withUnsafeBytes { try sink.write($0) }
            try sink.flush()
        } throws: {
            ($0 as? OutputError)?.code == OutputError.closedPipe
        }
    }

    @Test func wrongPathsAreNamed() {
        #expect { try FileSink("\(scratch.path)/no/such/file") } throws: {
            ($0 as? OutputError)?.code == "no_such_directory"
        }
        #expect { try FileSink(scratch.path) } throws: { ($0 as? OutputError)?.code == "is_directory" }
    }

    @Test func aCaptureBeingReadIsNotOverwritten() throws {
        let path = try write(packets, to: "out.pcap")
        do {
            let source = try CaptureSource(paths: [path])
            #expect { try CaptureWriter(path: path) } throws: { ($0 as? OutputError)?.code == "file_in_use" }
            #expect(source.nextTime == packets[0].time)
        }
        do {
            let writer = try CaptureWriter(path: path)
            #expect { try CaptureWriter(path: path) } throws: { ($0 as? OutputError)?.code == "file_in_use" }
            #expect(try read([path]).error != nil)
            try writer.close()
        }
        #expect(try read([path]).packets.isEmpty)
    }

    @Test func smallAndLargeWritesKeepTheirOrder() throws {
        let path = "\(scratch.path)/bytes"
        var expected: [UInt8] = []
        let sink = try FileSink(path)
        for k in 0..<200 {
            let piece = [UInt8](repeating: UInt8(k), count: k % 50 == 0 ? 100_000 : k * 13)
            try piece.withUnsafeBytes { try sink.write($0) }
            expected += piece
        }
        try sink.flush()
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(expected))
    }
}
