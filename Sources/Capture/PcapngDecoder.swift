// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Reads pcapng files (draft-ietf-opsawg-pcapng): any number of sections of either byte order and of interfaces.
final class PcapngDecoder: Decoder {
    private var isSwapped = false
    /// The interfaces of the current section.
    private var interfaces: [Interface] = []

    /// What one interface description block says of its packets.
    private struct Interface {
        var linkType: UInt16
        /// Bytes to which packets were cut; 0 for no limit.
        var snapLength: UInt32
        var resolution: Resolution
        /// The number of the interface over all sections and files of the source.
        var number: UInt16
    }

    /// Blocks longer than this are damage: the longest packet any link type may have, and its options.
    private static let longestBlock = 256 << 20
    /// An interface takes 20 bytes of file; a section must not fill the memory with them.
    private static let mostInterfaces = 65_536

    /// A decoder for the file that begins with the next bytes of `input`; nil when it is not a pcapng file.
    init?(_ input: Input) throws(CaptureError) {
        if load(input.next, 0, swapped: false, as: UInt32.self) != PcapngBlock.section { return nil }
        // The byte order stands only inside the block; without it this may be any file with such line ends.
        guard try input.fetch(28) else {
            throw input.damage(
                "truncated_header",
                "the section header is cut short after \(input.available) of at least 28 bytes"
            )
        }
        try beginSection(input)
    }

    func decode(_ input: Input, into reading: inout Reading) throws(CaptureError) -> Stop {
        while true {
            let stop =
                try isSwapped ? packets(input, &reading, swapped: true) : packets(input, &reading, swapped: false)
            if let stop { return stop }
            // Something else than a packet, and its type is in the window.
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
            try checkTrailer(input, size)
            switch type {
            case PcapngBlock.section: try options(input, from: 24, size: size) { _, _ in }
            case PcapngBlock.interface: try addInterface(input, size, &reading)
            default: break
            }
            input.next += size
        }
    }

    // MARK: Packets

    /// The loop over packet blocks, once for each byte order; nil when another block is next.
    @inline(__always)
    private func packets(_ input: Input, _ reading: inout Reading, swapped: Bool) throws(CaptureError) -> Stop? {
        var bytes: UInt64 = 0
        var backwards: UInt64 = 0
        var next = input.next
        let end = input.end
        var count = reading.count
        var time = reading.time
        let limit = reading.limit
        var stop: Stop? = .paused
        var damage: (code: String, reason: String)?
        // The interface of the last packet; its packets are counted when another follows.
        var current = -1
        var firstOfCurrent = count
        var interface = Interface(linkType: 0, snapLength: 0, resolution: .microseconds, number: 0)
        var longest = CaptureLimit.packet

        while count < reading.room {
            let left = end - next
            if left < 8 {
                stop = .needs(left < 4 ? 4 : 8, of: "block")
                if left >= 4 && !isPacket(load(next, 0, swapped: swapped)) { stop = nil }
                break
            }
            let type = load(next, 0, swapped: swapped, as: UInt32.self)
            if !isPacket(type) {
                stop = nil
                break
            }
            let size = Int(load(next, 4, swapped: swapped, as: UInt32.self))
            // Where the packet's bytes begin; the trailer of four bytes comes behind them.
            let header = type == PcapngBlock.simplePacket ? 12 : 28
            if size < header &+ 4 || size & 3 != 0 || size > PcapngDecoder.longestBlock {
                damage = ("block_length", "block of type \(type) has the impossible length \(size)")
                break
            }
            if left < size {
                stop = .needs(size, of: "block", size: size)
                break
            }
            if load(next, size &- 4, swapped: swapped, as: UInt32.self) != UInt32(truncatingIfNeeded: size) {
                damage = ("block_length", "block has other lengths at its beginning (\(size)) and end")
                break
            }
            let id =
                switch type {
                case PcapngBlock.enhancedPacket: Int(load(next, 8, swapped: swapped, as: UInt32.self))
                case PcapngBlock.packet: Int(load(next, 8, swapped: swapped, as: UInt16.self))
                default: 0
                }
            if id != current {
                if id >= interfaces.count {
                    damage = ("unknown_interface", "packet of interface \(id), which was not described")
                    break
                }
                if current >= 0 { reading.linkTypes.add(interface.linkType, count &- firstOfCurrent) }
                current = id
                firstOfCurrent = count
                interface = interfaces[id]
                longest = CaptureLimit.packet(linkType: interface.linkType)
            }
            let captured: UInt32
            let wire: UInt32
            let stamp: Int64
            if type == PcapngBlock.simplePacket {
                wire = load(next, 8, swapped: swapped)
                captured = interface.snapLength == 0 ? wire : min(wire, interface.snapLength)
                // Such a packet has no stamp: it takes that of the last one.
                stamp = time == .min ? 0 : time
            } else {
                let high = load(next, 12, swapped: swapped, as: UInt32.self)
                let low = load(next, 16, swapped: swapped, as: UInt32.self)
                stamp = interface.resolution.nanoseconds(UInt64(high) << 32 | UInt64(low))
                captured = load(next, 20, swapped: swapped)
                wire = load(next, 24, swapped: swapped)
            }
            if captured > longest {
                damage = ("oversized_record", "packet of \(captured) bytes is longer than the \(longest) that can be")
                break
            }
            if Int(captured) > size &- header &- 4 {
                damage = ("block_length", "block of \(size) bytes is too short for a packet of \(captured) bytes")
                break
            }
            let now = max(stamp, time)
            if now >= limit {
                reading.nextTime = now
                break
            }
            backwards &+= stamp < time ? 1 : 0
            time = now
            (reading.items + Int(reading.indices[count])).initialize(
                to: Item(
                    data: next + header,
                    length: captured,
                    wireLength: wire,
                    time: now,
                    sequence: reading.sequence &+ UInt64(truncatingIfNeeded: count),
                    linkType: interface.linkType,
                    interface: interface.number
                )
            )
            bytes &+= UInt64(wire)
            next += size
            count &+= 1
        }

        input.next = next
        if current >= 0 { reading.linkTypes.add(interface.linkType, count - firstOfCurrent) }
        reading.count = count
        reading.time = time
        reading.bytes &+= bytes
        reading.backwards &+= backwards
        if let damage { throw input.damage(damage.code, damage.reason) }
        return stop
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
        // Some writers put 2 where the format has no difference.
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

    private func checkTrailer(_ input: Input, _ size: Int) throws(CaptureError) {
        let trailer = load(input.next, size - 4, swapped: isSwapped, as: UInt32.self)
        if trailer != UInt32(size) {
            throw input.damage(
                "block_length",
                "block has other lengths at its beginning (\(size)) and end (\(trailer))"
            )
        }
    }
}

/// How an interface's stamps become nanoseconds: options if_tsresol and if_tsoffset (section 4.2).
struct Resolution {
    /// nanoseconds = units * multiplier >> shift / divisor + offset
    private var multiplier: UInt64
    private var shift: UInt8
    private var divisor: UInt64
    private var offset: Int64

    static let microseconds = Resolution(tsresol: 6, offset: 0)

    /// Units of 10^-`tsresol` s, or 2^-n s with n in the low seven bits where the high bit is set; `offset` in seconds.
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
            // All the time 64 bits can count is less than a nanosecond.
            multiplier = 0
        }
        let (value, overflow) = offset.multipliedReportingOverflow(by: 1_000_000_000)
        self.offset = overflow ? (offset < 0 ? .min : .max) : value
    }

    /// The time of a stamp in nanoseconds since 1970; times that cannot be held become the nearest that can.
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
