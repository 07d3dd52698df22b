// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dataplane

/// Decodes pcap files (draft-ietf-opsawg-pcap) of both byte orders and resolutions, and their older relatives.
final class PcapDecoder: Decoder {
    private let isSwapped: Bool
    private let linkType: UInt16
    /// Bytes of a record's header.
    private let headerBytes: Int
    /// Offset of the captured length in it; the length on the wire is adjacent.
    private let capturedOffset: Int
    /// Files of version 2.3 have the two lengths in either order.
    private let lengthsMayBeSwapped: Bool
    /// Nanoseconds per unit of the timestamp's second half.
    private let unit: Int64
    private let longest: UInt32
    /// Records have the form that `decodePlain` expects.
    let isPlain: Bool
    /// The number of the capture interface, once there has been a packet.
    private var interface: UInt16?

    private static let fileHeaderBytes = 24
    /// Ixia's lcap files, made by hardware and by software: a length follows the file header.
    private static let ixia: Set<UInt32> = [0x1c00_01ac, 0x1c00_01ab]

    /// A decoder for the file whose header is next in `input`, which it consumes; nil if it is not a pcap file.
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
        // Bits 16 to 25 are reserved; above them is the length of a frame check sequence, which is irrelevant here.
        let network = load(input.next, 20, swapped: isSwapped, as: UInt32.self)
        if network & 0x03ff_0000 != 0 {
            throw input.damage(
                "reserved_bits",
                "the link type 0x\(String(network, radix: 16)) has reserved bits set",
                ahead: 20
            )
        }
        linkType = UInt16(truncatingIfNeeded: network)
        longest = CaptureLimit.packet(linkType: linkType)
        unit = kind == PcapMagic.nanoseconds ? 1 : 1000
        headerBytes = kind == PcapMagic.modified ? 24 : 16
        // Before version 2.3 the length on the wire came first, as also in DG/UX's version 543.0.
        let isOldOrder = (version.major == 2 && version.minor < 3) || version.major == 543
        capturedOffset = isOldOrder ? 12 : 8
        lengthsMayBeSwapped = version.major == 2 && version.minor == 3
        isPlain = !isSwapped && headerBytes == 16 && !isOldOrder && !lengthsMayBeSwapped
        input.next += headerSize
    }

    func announcedLinkTypes(_ input: Input) -> [UInt16] { [linkType] }

    /// Decodes as long as nothing is unusual; the file must be plain. Sets ``Reading/nextTime`` when the batch is full.
    func decodeUsual(_ input: Input, into reading: inout Reading) {
        let interface = self.interface ?? nextInterface(&reading)
        let before = reading.count + reading.passed
        decodePlain(input, &reading, interface)
        reading.linkTypes.add(linkType, reading.count + reading.passed - before)
    }

    func decode(_ input: Input, into reading: inout Reading) throws(CaptureError) -> Stop {
        let interface = self.interface ?? nextInterface(&reading)
        let before = reading.count + reading.passed
        defer { reading.linkTypes.add(linkType, reading.count + reading.passed - before) }
        if isPlain { decodePlain(input, &reading, interface) }
        return try decodeAny(input, &reading, interface)
    }

    /// The records of nearly all files, as long as nothing about them is unusual: in the machine's byte order, with another
    /// header after them in the window, not earlier than the last and before the limit.
    private func decodePlain(_ input: Input, _ reading: inout Reading, _ interface: UInt16) {
        if input.available < 16 { return }
        if let shard = reading.shard {
            decodePlain(input, &reading, interface, shard)
        } else {
            decodePlain(input, &reading, interface, nil)
        }
    }

    @inline(__always)
    private func decodePlain(_ input: Input, _ reading: inout Reading, _ interface: UInt16, _ shard: Shard?) {
        let items = reading.items
        // A stamp that may have to be confirmed by the next is unusual.
        // So is a packet that no network carries.
        let (longest, unit, limit) = (
            min(longest, PacketSource.longestFrame), unit, min(reading.limit, reading.clock.trusted)
        )
        let tail = Item.tail(linkType: linkType, interface: interface)
        // One comparison shows that a record and the next header are there.
        let lastEnd = input.end - 16
        // The start of the packet, after its header.
        let start = input.next + 16
        var data = start
        let first = reading.indices + reading.count
        let last = reading.indices + reading.room
        var index = first
        let firstSequence = reading.sequence &+ UInt64(truncatingIfNeeded: reading.count &+ reading.passed)
        var sequence = firstSequence
        let lastSequence = reading.sequence &+ UInt64(truncatingIfNeeded: reading.room &+ reading.mostPassed)
        var time = reading.clock.now
        var bytes: UInt64 = 0
        var ownBytes: UInt64 = 0
        var differing: UInt32 = 0
        while true {
            let captured = data.loadUnaligned(fromByteOffset: -8, as: UInt32.self)
            let end = data + Int(captured)
            if captured > longest || end > lastEnd { break }
            let seconds = Int64(data.loadUnaligned(fromByteOffset: -16, as: UInt32.self))
            let fraction = Int64(data.loadUnaligned(fromByteOffset: -12, as: UInt32.self))
            let stamp = seconds &* 1_000_000_000 &+ fraction &* unit
            if stamp < time || stamp >= limit { break }
            if index == last || shard != nil && sequence == lastSequence {
                // The batch is full, and the next packet's time is known.
                reading.nextTime = stamp
                break
            }
            // Files are read from one end to the other, but the processor does not look beyond a page.
            clinux_prefetch(data + PcapDecoder.ahead)
            let wire = data.loadUnaligned(fromByteOffset: -4, as: UInt32.self)
            time = stamp
            let packet = Packet(items + Int(index.pointee))
            packet.set(
                data: data,
                length: captured,
                wireLength: wire,
                time: stamp,
                sequence: sequence,
                tail: tail
            )
            bytes &+= UInt64(wire)
            differing |= captured ^ wire
            sequence &+= 1
            if let shard {
                // Which are its own is unpredictable, so no branch depends on it.
                let isOwn: UInt64 = shard.holds(packet) ? 1 : 0
                ownBytes &+= UInt64(wire) &* isOwn
                index += Int(truncatingIfNeeded: isOwn)
            } else {
                index += 1
            }
            data = end + 16
        }
        input.next = data - 16
        let (count, own) = (Int(truncatingIfNeeded: sequence &- firstSequence), index - first)
        reading.count += own
        reading.passed += count - own
        if count > 0 { reading.clock.advance(to: time, stamp: time) }
        reading.counters.bytes &+= shard == nil ? bytes : ownBytes
        if shard != nil { reading.counters.otherBytes &+= bytes &- ownBytes }
        // One comparison for all: hardly a capture has packets that are not whole.
        if differing != 0 { measure(count, from: start, &reading.counters) }
    }

    /// How many bytes before it is read a packet is fetched.
    private static let ahead = 1024

    /// Counts the lengths of `count` packets.
    @inline(never)
    private func measure(_ count: Int, from start: UnsafeMutableRawPointer, _ counters: inout PacketSource.Counters) {
        var data = start
        for _ in 0..<count {
            let captured = data.loadUnaligned(fromByteOffset: -8, as: UInt32.self)
            counters.measure(captured: captured, wire: data.loadUnaligned(fromByteOffset: -4, as: UInt32.self))
            data += Int(captured) + 16
        }
    }

    /// The records of every variant, and all their special cases.
    private func decodeAny(
        _ input: Input,
        _ reading: inout Reading,
        _ interface: UInt16
    ) throws(CaptureError) -> Stop {
        let wireOffset = 20 - capturedOffset
        while reading.hasRoom {
            let next = input.next
            if input.available < headerBytes { return .needs(headerBytes, of: "record") }
            var captured = load(next, capturedOffset, swapped: isSwapped, as: UInt32.self)
            var wire = load(next, wireOffset, swapped: isSwapped, as: UInt32.self)
            if captured > wire && lengthsMayBeSwapped && captured <= longest { swap(&captured, &wire) }
            if captured > longest {
                throw input.damage(
                    "oversized_record",
                    "record of \(captured) bytes is longer than the \(longest) that can be"
                )
            }
            let size = headerBytes + Int(captured)
            if input.available < size { return .needs(size, of: "record", size: Int(captured)) }
            let stamp = stamp(next)
            if reading.doubts(stamp), !reading.hasEnded, input.available < size + 8 { return .wishes(size + 8) }
            let isGiven = reading.give(
                next + headerBytes,
                captured: captured,
                wire: wire,
                stamp: stamp,
                next: reading.doubts(stamp) && input.available >= size + 8 ? self.stamp(next + size) : nil,
                linkType: linkType,
                interface: interface
            )
            if !isGiven { return .paused }
            input.next += size
        }
        return .paused
    }

    /// The stamp of a record, in nanoseconds.
    private func stamp(_ record: UnsafeMutableRawPointer) -> Int64 {
        let seconds = Int64(load(record, 0, swapped: isSwapped, as: UInt32.self))
        return seconds * 1_000_000_000 + Int64(load(record, 4, swapped: isSwapped, as: UInt32.self)) * unit
    }

    private func nextInterface(_ reading: inout Reading) -> UInt16 {
        let number = UInt16(clamping: reading.interfaces)
        interface = number
        reading.interfaces += 1
        return number
    }
}
