// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The header fields whose values a transaction carries.
public struct HTTP1KeptFields: Sendable {
    /// Names of request fields, in any case.
    public var request: [String] = []
    /// Names of response fields, in any case.
    public var response: [String] = []
    /// The most bytes kept of the value of one name, from 1 to 65534; longer values are cut.
    public var valueBytes = 1024

    public init() {}
}

/// The values of the requested fields of one message. They are valid as long as its transaction is.
public struct HTTP1FieldValues: BitwiseCopyable {
    /// The beginning of a block: this header, then the length of each value in 16 bits, `absent` if there is none, then the
    /// values.
    fileprivate struct Header: BitwiseCopyable {
        /// Total bytes of the block.
        var size: Int32
        var names: UInt16
        var cut: UInt16
    }

    fileprivate static let absent = UInt16.max
    /// Offset of the values.
    fileprivate static func start(_ names: Int) -> Int { MemoryLayout<Header>.size + 2 * names }

    /// Nil if there are no values. A single pointer, since transactions are copied even if no fields are kept.
    private var block: UnsafeMutableRawPointer?

    init() {}

    fileprivate init(_ block: UnsafeMutableRawPointer) { self.block = block }

    private static func header(_ block: UnsafeMutableRawPointer) -> Header { block.load(as: Header.self) }

    private static func length(_ index: Int, _ block: UnsafeMutableRawPointer) -> UInt16 {
        block.load(fromByteOffset: start(index), as: UInt16.self)
    }

    /// The number of requested names; 0 if there are no values.
    var names: Int { block.map { Int(Self.header($0).names) } ?? 0 }
    /// The number of values that were cut.
    public var cut: Int { block.map { Int(Self.header($0).cut) } ?? 0 }
    /// Total bytes of all values.
    var bytes: Int { block.map { Int(Self.header($0).size) - Self.start(names) } ?? 0 }

    /// The value of the name with this index, several fields joined by `, ` (RFC 9110 §5.3); nil if there was none.
    public subscript(_ index: Int) -> UnsafeRawBufferPointer? {
        guard let block, index < names, Self.length(index, block) != Self.absent else { return nil }
        var start = Self.start(names)
        for k in 0..<index where Self.length(k, block) != Self.absent { start += Int(Self.length(k, block)) }
        return UnsafeRawBufferPointer(start: block + start, count: Int(Self.length(index, block)))
    }

    /// Frees the memory.
    @inline(__always)
    mutating func release(_ memory: HTTP1Memory) {
        guard let block else { return }
        memory.release(block, Int(Self.header(block).size))
        self.block = nil
    }
}

/// Finds field values by name. The cost is two passes over the field lines.
final class HTTP1FieldKeeper {
    private struct Slot: BitwiseCopyable {
        /// End of the name in `names`.
        var nameEnd: Int32 = 0
        /// The length of the value so far, -1 for none.
        var length: Int32 = -1
        /// Where its next byte goes, and where its room ends.
        var place: Int32 = 0
        var end: Int32 = 0
    }

    private let count: Int
    private let valueBytes: Int
    /// The names in lower case, one after another.
    private let names: UnsafeMutableBufferPointer<UInt8>
    private let slots: UnsafeMutablePointer<Slot>

    /// Nil if no fields are to be kept.
    init?(_ names: [String], valueBytes: Int) {
        guard !names.isEmpty else { return nil }
        count = min(names.count, Int(UInt16.max))
        self.valueBytes = min(max(valueBytes, 1), Int(HTTP1FieldValues.absent) - 1)
        let texts = names.prefix(count).map { Array($0.lowercased().utf8) }
        let all = texts.flatMap { $0 }
        self.names = .allocate(capacity: all.count)
        _ = self.names.initialize(from: all)
        slots = .allocate(capacity: count)
        slots.initialize(repeating: Slot(), count: count)
        var end = 0
        for (k, text) in texts.enumerated() {
            end += text.count
            slots[k].nameEnd = Int32(end)
        }
    }

    deinit {
        names.deallocate()
        slots.deallocate()
    }

    /// The slot of a field name; nil if it was not requested.
    private func slot(_ name: Range<Int>, _ base: UnsafeRawPointer) -> UnsafeMutablePointer<Slot>? {
        var start = 0
        for k in 0..<count {
            let end = Int(slots[k].nameEnd)
            if end - start == name.count {
                var at = 0
                while at < name.count, base.byte(name.lowerBound + at).lowered == names[start + at] { at += 1 }
                if at == name.count { return slots + k }
            }
            start = end
        }
        return nil
    }

    /// The values in a head; nil if there is no memory for them.
    func values(of head: HTTP1Head, _ memory: HTTP1Memory) -> HTTP1FieldValues? {
        guard let base = head.bytes.baseAddress else { return HTTP1FieldValues() }
        for k in 0..<count { slots[k].length = -1 }
        var isAny = false
        for field in head.fields {
            guard let slot = slot(field.name, base) else { continue }
            let before = slot.pointee.length
            slot.pointee.length = (before < 0 ? 0 : before + 2) + Int32(field.value.count)
            isAny = true
        }
        guard isAny else { return HTTP1FieldValues() }
        var size = HTTP1FieldValues.start(count)
        var cut = 0
        for k in 0..<count {
            if Int(slots[k].length) > valueBytes {
                slots[k].length = Int32(valueBytes)
                cut += 1
            }
            slots[k].place = Int32(size)
            size += max(0, Int(slots[k].length))
            slots[k].end = Int32(size)
        }
        guard let block = memory.allocate(size) else { return nil }
        let header = HTTP1FieldValues.Header(size: Int32(size), names: UInt16(count), cut: UInt16(cut))
        block.storeBytes(of: header, as: HTTP1FieldValues.Header.self)
        for k in 0..<count {
            let length = slots[k].length < 0 ? HTTP1FieldValues.absent : UInt16(slots[k].length)
            block.storeBytes(of: length, toByteOffset: HTTP1FieldValues.start(k), as: UInt16.self)
            slots[k].length = -1
        }
        for field in head.fields {
            guard let slot = slot(field.name, base) else { continue }
            if slot.pointee.length == 0 {
                Self.append(0x2c, slot, block)
                Self.append(0x20, slot, block)
            }
            slot.pointee.length = 0
            for at in field.value {
                // A line end within a value is replaced by a space (RFC 9112 §5.2).
                let byte = base.byte(at)
                Self.append(byte == 0x0d || byte == 0x0a ? 0x20 : byte, slot, block)
            }
        }
        return HTTP1FieldValues(block)
    }

    /// Appends a byte to a value if there is room.
    private static func append(_ byte: UInt8, _ slot: UnsafeMutablePointer<Slot>, _ block: UnsafeMutableRawPointer) {
        guard slot.pointee.place < slot.pointee.end else { return }
        block.storeBytes(of: byte, toByteOffset: Int(slot.pointee.place), as: UInt8.self)
        slot.pointee.place += 1
    }
}
