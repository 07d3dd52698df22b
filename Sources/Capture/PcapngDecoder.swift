// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Decodes pcapng files (draft-ietf-opsawg-pcapng): any number of sections of either byte order and of interfaces.
final class PcapngDecoder: Decoder {
    private var isSwapped = false
    /// The interfaces of the current section.
    private var interfaces: [Interface] = []

    private struct Interface {
        var linkType: UInt16
        /// The length to which packets were truncated; 0 for no limit.
        var snapLength: UInt32
        var resolution: Resolution
        /// The number of the interface over all sections and files of the source.
        var number: UInt16
    }

    /// Longer blocks count as damage: the longest packet of any link type, plus its options.
    private static let longestBlock = 256 << 20
    /// An interface takes 20 bytes of file; a section must not fill the memory with them.
    private static let mostInterfaces = 65_536

    /// The most link types that are announced: preparing for each must come to an end.
    private static let mostAnnounced = 16

    /// A decoder for the file that begins with the next bytes of `input`; nil if it is not a pcapng file.
    init?(_ input: Input) throws(CaptureError) {
        if load(input.next, 0, swapped: false, as: UInt32.self) != PcapngBlock.section { return nil }
        // The byte order is given only inside the block; without it this may be any file with such line ends.
        guard try input.fetch(28) else {
            throw input.damage(
                "truncated_header",
                "the section header is cut short after \(input.available) of at least 28 bytes"
            )
        }
        try beginSection(input)
    }

    /// The link types of interfaces described before the first packet. Damage is left for `decode` to find.
    func announcedLinkTypes(_ input: Input) -> [UInt16] {
        var found: [UInt16] = []
        var at = 0
        while found.count < PcapngDecoder.mostAnnounced, input.available - at >= 12 {
            let type = load(input.next, at, swapped: isSwapped, as: UInt32.self)
            let size = Int(load(input.next, at + 4, swapped: isSwapped, as: UInt32.self))
            if isPacket(type) || size < 12 || size & 3 != 0 || size > PcapngDecoder.longestBlock { break }
            if type == PcapngBlock.interface {
                let linkType = load(input.next, at + 8, swapped: isSwapped, as: UInt16.self)
                if !found.contains(linkType) { found.append(linkType) }
            }
            at += size
        }
        return found
    }

    func decode(_ input: Input, into reading: inout Reading) throws(CaptureError) -> Stop {
        while true {
            let stop =
                try isSwapped ? packets(input, &reading, swapped: true) : packets(input, &reading, swapped: false)
            if let stop { return stop }
            // Not a packet, and its type is in the window.
            let type = load(input.next, 0, swapped: isSwapped, as: UInt32.self)
            if type == PcapngBlock.section {
                if input.available < 28 { return .needs(28, of: "block") }
                try beginSection(input)
            }
            if input.available < 12 { return .needs(12, of: "block") }
            let size = Int(load(input.next, 4, swapped: isSwapped, as: UInt32.self))
            try checkSize(
                input,
                size,
                least: type == PcapngBlock.section ? 28 : type == PcapngBlock.interface ? 20 : 12
            )
            if input.available < size { return .needs(size, of: "block", size: size) }
            try checkTrailer(input, input.next, size, swapped: isSwapped)
            switch type {
            case PcapngBlock.section: try options(input, from: 24, size: size) { _, _ in }
            case PcapngBlock.interface: try addInterface(input, size, &reading)
            default: break
            }
            input.next += size
        }
    }

    // MARK: Packets

    /// The loop over packet blocks, specialised for each byte order; nil if another block is next.
    @inline(__always)
    private func packets(_ input: Input, _ reading: inout Reading, swapped: Bool) throws(CaptureError) -> Stop? {
        var next = input.next
        let end = input.end
        // The interface of the last packet; its packets are counted when another follows.
        var current = -1
        var firstOfCurrent = reading.count + reading.passed
        var interface = Interface(linkType: 0, snapLength: 0, resolution: .microseconds, number: 0)
        var longest = CaptureLimit.packet
        defer {
            input.next = next
            if current >= 0 {
                reading.linkTypes.add(interface.linkType, reading.count + reading.passed - firstOfCurrent)
            }
        }

        while reading.hasRoom {
            let left = end - next
            if left < 4 { return .needs(4, of: "block") }
            let type = load(next, 0, swapped: swapped, as: UInt32.self)
            if !isPacket(type) { return nil }
            if left < 8 { return .needs(8, of: "block") }
            let size = Int(load(next, 4, swapped: swapped, as: UInt32.self))
            // The start of the packet's bytes; the four-byte trailer follows them.
            let header = type == PcapngBlock.simplePacket ? 12 : 28
            if size < header + 4 || size & 3 != 0 || size > PcapngDecoder.longestBlock {
                throw input.damage(
                    "block_length",
                    "block of type \(type) has the impossible length \(size)",
                    ahead: next - input.next
                )
            }
            if left < size { return .needs(size, of: "block", size: size) }
            try checkTrailer(input, next, size, swapped: swapped)
            let id =
                switch type {
                case PcapngBlock.enhancedPacket: Int(load(next, 8, swapped: swapped, as: UInt32.self))
                case PcapngBlock.packet: Int(load(next, 8, swapped: swapped, as: UInt16.self))
                default: 0
                }
            if id != current {
                if id >= interfaces.count {
                    throw input.damage(
                        "unknown_interface",
                        "packet of interface \(id), which was not described",
                        ahead: next - input.next
                    )
                }
                if current >= 0 {
                    reading.linkTypes.add(interface.linkType, reading.count + reading.passed - firstOfCurrent)
                }
                current = id
                firstOfCurrent = reading.count + reading.passed
                interface = interfaces[id]
                longest = CaptureLimit.packet(linkType: interface.linkType)
            }
            let captured: UInt32
            let wire: UInt32
            let stamp: Int64
            if type == PcapngBlock.simplePacket {
                wire = load(next, 8, swapped: swapped)
                captured = interface.snapLength == 0 ? wire : min(wire, interface.snapLength)
                // Such a packet has no timestamp: it gets that of the last one.
                stamp = reading.clock.now == .min ? 0 : reading.clock.now
            } else {
                let high = load(next, 12, swapped: swapped, as: UInt32.self)
                let low = load(next, 16, swapped: swapped, as: UInt32.self)
                stamp = interface.resolution.nanoseconds(UInt64(high) << 32 | UInt64(low))
                captured = load(next, 20, swapped: swapped)
                wire = load(next, 24, swapped: swapped)
            }
            if captured > longest {
                throw input.damage(
                    "oversized_record",
                    "packet of \(captured) bytes is longer than the \(longest) that can be",
                    ahead: next - input.next
                )
            }
            if Int(captured) > size - header - 4 {
                throw input.damage(
                    "block_length",
                    "block of \(size) bytes is too short for a packet of \(captured) bytes",
                    ahead: next - input.next
                )
            }
            var following: Int64?
            if reading.doubts(stamp), type != PcapngBlock.simplePacket {
                switch nextStamp(input, next + size, swapped: swapped) {
                case .stamp(let stamp): following = stamp
                case .beyond(let bytes):
                    if !reading.hasEnded { return .wishes(size + bytes) }
                case .none: break
                }
            }
            let isGiven = reading.give(
                next + header,
                captured: captured,
                wire: wire,
                stamp: stamp,
                next: following,
                linkType: interface.linkType,
                interface: interface.number
            )
            if !isGiven { return .paused }
            next += size
        }
        return .paused
    }

    private enum NextStamp {
        case stamp(Int64)
        /// It takes this many bytes from there.
        case beyond(Int)
        /// The section has no other packet with a stamp, or it is damaged.
        case none
    }

    /// The stamp of the next packet from `start` on in this section, of an interface described by now.
    @inline(never)
    private func nextStamp(_ input: Input, _ start: UnsafeMutableRawPointer, swapped: Bool) -> NextStamp {
        var block = start
        while true {
            let left = input.end - block
            func needed(_ count: Int) -> NextStamp { .beyond(block - start + count) }
            if left < 20 { return needed(20) }
            let type = load(block, 0, swapped: swapped, as: UInt32.self)
            let size = Int(load(block, 4, swapped: swapped, as: UInt32.self))
            if type == PcapngBlock.section || size < 12 || size & 3 != 0 || size > PcapngDecoder.longestBlock {
                return .none
            }
            let isOld = type == PcapngBlock.packet
            if isOld || type == PcapngBlock.enhancedPacket {
                let id =
                    isOld
                    ? Int(load(block, 8, swapped: swapped, as: UInt16.self))
                    : Int(load(block, 8, swapped: swapped, as: UInt32.self))
                if id >= interfaces.count { return .none }
                let high = load(block, 12, swapped: swapped, as: UInt32.self)
                let low = load(block, 16, swapped: swapped, as: UInt32.self)
                return .stamp(interfaces[id].resolution.nanoseconds(UInt64(high) << 32 | UInt64(low)))
            }
            if left < size { return needed(size) }
            block += size
        }
    }

    @inline(__always)
    private func isPacket(_ type: UInt32) -> Bool {
        type == PcapngBlock.enhancedPacket || type == PcapngBlock.simplePacket || type == PcapngBlock.packet
    }

    // MARK: Other blocks

    /// Reads the byte order and version of the section header whose first 28 bytes are in the window.
    private func beginSection(_ input: Input) throws(CaptureError) {
        let mark = load(input.next, 8, swapped: false, as: UInt32.self)
        if mark != PcapngBlock.byteOrderMagic && mark.byteSwapped != PcapngBlock.byteOrderMagic {
            throw input.damage("byte_order", "the section header has no byte-order magic", ahead: 8)
        }
        isSwapped = mark != PcapngBlock.byteOrderMagic
        let major = load(input.next, 12, swapped: isSwapped, as: UInt16.self)
        let minor = load(input.next, 14, swapped: isSwapped, as: UInt16.self)
        // Some writers use 2, with no difference in the format.
        if major != 1 || (minor != 0 && minor != 2) {
            throw input.damage("unsupported_version", "pcapng version \(major).\(minor) is not supported", ahead: 12)
        }
        interfaces.removeAll(keepingCapacity: true)
    }

    private func addInterface(_ input: Input, _ size: Int, _ reading: inout Reading) throws(CaptureError) {
        if interfaces.count == PcapngDecoder.mostInterfaces {
            throw input.damage("too_many_interfaces", "more than \(PcapngDecoder.mostInterfaces) interfaces")
        }
        var interface = Interface(
            linkType: load(input.next, 8, swapped: isSwapped),
            snapLength: load(input.next, 12, swapped: isSwapped),
            resolution: .microseconds,
            number: UInt16(clamping: reading.interfaces)
        )
        var offset: Int64 = 0
        var resolution: UInt8 = 6
        try options(input, from: 16, size: size) { code, value in
            switch (code, value.count) {
            case (9, 1): resolution = value.load(as: UInt8.self)
            case (14, 8):
                let seconds = value.loadUnaligned(as: Int64.self)
                offset = isSwapped ? seconds.byteSwapped : seconds
            default: break
            }
        }
        interface.resolution = Resolution(tsresol: resolution, offset: offset)
        interfaces.append(interface)
        reading.interfaces += 1
    }

    /// Visits the options between `first` and the trailer of a block of `size` bytes (section 3.5).
    private func options(
        _ input: Input,
        from first: Int,
        size: Int,
        _ visit: (UInt16, UnsafeRawBufferPointer) -> Void
    ) throws(CaptureError) {
        var at = first
        while at + 4 <= size - 4 {
            let code = load(input.next, at, swapped: isSwapped, as: UInt16.self)
            let length = Int(load(input.next, at + 2, swapped: isSwapped, as: UInt16.self))
            if code == 0 { return }
            if at + 4 + length > size - 4 {
                throw input.damage("option_length", "option of \(length) bytes is longer than its block", ahead: at)
            }
            visit(code, UnsafeRawBufferPointer(start: input.next + at + 4, count: length))
            at += 4 + (length + 3) & ~3
        }
    }

    private func checkSize(_ input: Input, _ size: Int, least: Int) throws(CaptureError) {
        if size < least || size % 4 != 0 || size > PcapngDecoder.longestBlock {
            throw input.damage("block_length", "block has the impossible length \(size)", ahead: 4)
        }
    }

    /// Checks that the length is repeated at the end of a block.
    @inline(__always)
    private func checkTrailer(
        _ input: Input,
        _ block: UnsafeMutableRawPointer,
        _ size: Int,
        swapped: Bool
    ) throws(CaptureError) {
        let trailer = load(block, size - 4, swapped: swapped, as: UInt32.self)
        if trailer != UInt32(truncatingIfNeeded: size) {
            throw input.damage(
                "block_length",
                "block has other lengths at its beginning (\(size)) and end (\(trailer))",
                ahead: block - input.next
            )
        }
    }
}

/// Converts an interface's timestamps to nanoseconds: options if_tsresol and if_tsoffset (section 4.2).
struct Resolution {
    /// nanoseconds = units * multiplier >> shift / divisor + offset
    private var multiplier: UInt64
    private var shift: UInt8
    private var divisor: UInt64
    private var offset: Int64

    static let microseconds = Resolution(tsresol: 6, offset: 0)

    /// Units of 10^-`tsresol` s, or 2^-n s with n in the low seven bits if the high bit is set; `offset` in seconds.
    init(tsresol: UInt8, offset: Int64) {
        let exponent = tsresol & 0x7f
        (multiplier, shift, divisor) = (1, 0, 1)
        if tsresol & 0x80 != 0 {
            (multiplier, shift) = (1_000_000_000, exponent)
        } else if exponent <= 9 {
            for _ in exponent..<9 { multiplier *= 10 }
        } else if exponent <= 28 {
            for _ in 9..<exponent { divisor *= 10 }
        } else {
            // 64 bits of these units are less than a nanosecond.
            multiplier = 0
        }
        let (value, overflow) = offset.multipliedReportingOverflow(by: 1_000_000_000)
        self.offset = overflow ? (offset < 0 ? .min : .max) : value
    }

    /// The time of a timestamp in nanoseconds since 1970, clamped to the representable range.
    @inline(__always)
    func nanoseconds(_ units: UInt64) -> Int64 {
        let (high, low) = units.multipliedFullWidth(by: multiplier)
        if high | UInt64(shift) == 0 && divisor == 1 && low <= UInt64(Int64.max / 2) && offset == 0 {
            return Int64(truncatingIfNeeded: low)
        }
        return general(high, low)
    }

    @inline(never)
    private func general(_ high: UInt64, _ low: UInt64) -> Int64 {
        let product = (UInt128(high) << 64 | UInt128(low)) >> UInt128(shift)
        let time = Int128(product / UInt128(divisor)) + Int128(offset)
        return min(Int64(clamping: time), Reading.lastTime)
    }
}
