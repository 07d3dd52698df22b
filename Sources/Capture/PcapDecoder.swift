// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Reads pcap files (draft-ietf-opsawg-pcap) of both byte orders and resolutions, and their older relatives.
final class PcapDecoder: Decoder {
    private let isSwapped: Bool
    private let linkType: UInt16
    /// Bytes of a record's header.
    private let headerBytes: Int
    /// Where in it the captured length stands; the length on the wire stands beside it.
    private let capturedOffset: Int
    /// Files of version 2.3 have the two lengths in either order.
    private let lengthsMayBeSwapped: Bool
    /// Nanoseconds in one unit of the stamp's second half.
    private let unit: Int64
    private let limit: UInt32
    /// The number of the capture interface, once there was a packet to look at.
    private var interface: UInt16?

    private static let fileHeaderBytes = 24
    /// Ixia's lcap files, made by hardware and by software: a length follows the file header.
    private static let ixia: Set<UInt32> = [0x1c00_01ac, 0x1c00_01ab]

    /// A decoder for the file whose header is next in `input`, which it takes; nil when it is not a pcap file.
    init?(_ input: Input) throws(CaptureError) {
        let magic = load(input.next, 0, swapped: false, as: UInt32.self)
        let known = PcapDecoder.ixia.union([PcapMagic.microseconds, PcapMagic.nanoseconds, PcapMagic.modified])
        if known.contains(magic) {
            isSwapped = false
        } else if known.contains(magic.byteSwapped) {
            isSwapped = true
        } else {
            return nil
        }
        let kind = isSwapped ? magic.byteSwapped : magic
        let headerSize = PcapDecoder.fileHeaderBytes + (PcapDecoder.ixia.contains(kind) ? 4 : 0)
        if try !input.fetch(headerSize) {
            throw input.damage(
                "truncated_header",
                "the file header is cut short after \(input.available) of \(headerSize) bytes"
            )
        }
        let version = (
            major: load(input.next, 4, swapped: isSwapped, as: UInt16.self),
            minor: load(input.next, 6, swapped: isSwapped, as: UInt16.self)
        )
        if version.major < 2 {
            throw input.damage(
                "unsupported_version",
                "pcap version \(version.major).\(version.minor) is not supported",
                ahead: 4
            )
        }
        // Bits 16 to 25 are reserved; above them stands the length of a frame check sequence, which changes nothing here.
        let network = load(input.next, 20, swapped: isSwapped, as: UInt32.self)
        if network & 0x03ff_0000 != 0 {
            throw input.damage(
                "reserved_bits",
                "the link type 0x\(String(network, radix: 16)) has reserved bits set",
                ahead: 20
            )
        }
        linkType = UInt16(truncatingIfNeeded: network)
        limit = CaptureLimit.packet(linkType: linkType)
        unit = kind == PcapMagic.nanoseconds ? 1 : 1000
        headerBytes = kind == PcapMagic.modified ? 24 : 16
        // Before version 2.3 the length on the wire came first; so it does in DG/UX's version 543.0.
        let isOldOrder = (version.major == 2 && version.minor < 3) || version.major == 543
        capturedOffset = isOldOrder ? 12 : 8
        lengthsMayBeSwapped = version.major == 2 && version.minor == 3
        input.next += headerSize
    }

    func decode(_ input: Input, into reading: inout Reading) throws(CaptureError) -> Stop {
        try isSwapped ? decode(input, &reading, swapped: true) : decode(input, &reading, swapped: false)
    }

    /// The loop over records, once for each byte order. It touches nothing but locals.
    @inline(__always)
    private func decode(_ input: Input, _ reading: inout Reading, swapped: Bool) throws(CaptureError) -> Stop {
        let interface = self.interface ?? nextInterface(&reading)
        let headerBytes = headerBytes
        let capturedOffset = capturedOffset
        let wireOffset = 20 - capturedOffset
        let unit = unit
        let longest = limit
        let lengthsMayBeSwapped = lengthsMayBeSwapped
        let linkType = linkType
        let items = reading.items
        let indices = reading.indices
        let room = reading.room
        let limit = reading.limit
        let end = input.end
        var next = input.next
        var count = reading.count
        let first = count
        var time = reading.time
        var bytes: UInt64 = 0
        var backwards: UInt64 = 0
        var stop = Stop.paused
        var tooLong: UInt32 = 0

        while count < room {
            let left = end - next
            if left < headerBytes {
                stop = .needs(headerBytes, of: "record")
                break
            }
            var captured = load(next, capturedOffset, swapped: swapped, as: UInt32.self)
            var wire = load(next, wireOffset, swapped: swapped, as: UInt32.self)
            if captured > wire && lengthsMayBeSwapped && captured <= longest { swap(&captured, &wire) }
            if captured > longest {
                tooLong = captured
                break
            }
            let size = headerBytes &+ Int(captured)
            if left < size {
                stop = .needs(size, of: "record", size: Int(captured))
                break
            }
            let seconds = Int64(load(next, 0, swapped: swapped, as: UInt32.self))
            let fraction = Int64(load(next, 4, swapped: swapped, as: UInt32.self))
            let stamp = seconds &* 1_000_000_000 &+ fraction &* unit
            let now = max(stamp, time)
            if now >= limit {
                reading.nextTime = now
                break
            }
            backwards &+= stamp < time ? 1 : 0
            time = now
            (items + Int(indices[count])).initialize(
                to: Item(
                    data: next + headerBytes,
                    length: captured,
                    wireLength: wire,
                    time: now,
                    sequence: reading.sequence &+ UInt64(truncatingIfNeeded: count),
                    linkType: linkType,
                    interface: interface
                )
            )
            bytes &+= UInt64(wire)
            next += size
            count &+= 1
        }

        input.next = next
        reading.count = count
        reading.time = time
        reading.bytes &+= bytes
        reading.backwards &+= backwards
        reading.linkTypes.add(linkType, count - first)
        if tooLong > 0 {
            throw input.damage(
                "oversized_record",
                "record of \(tooLong) bytes is longer than the \(longest) that can be"
            )
        }
        return stop
    }

    private func nextInterface(_ reading: inout Reading) -> UInt16 {
        let number = UInt16(clamping: reading.interfaces)
        interface = number
        reading.interfaces += 1
        return number
    }
}
