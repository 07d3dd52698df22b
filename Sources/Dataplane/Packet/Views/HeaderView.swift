// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// Header views: what a header's bytes say, field by field.
//
// A view is a pointer and a count. Its initializer is for bytes that came from outside: it checks once that the header, with the
// lengths it states of itself, is there, and gives nil when not. After that no accessor reads beyond the bytes or traps; where
// an accessor follows a length field it is bounded by the bytes again, so that bytes which were changed after the check are no
// danger either. Views own nothing and are valid as long as the bytes are. Bytes may be more than the header: what is behind
// it is `payload`.
//
// For each view there is a mutable one. `init(_:)` takes a header that is there, as above; `init(writing:)` is for output: it
// looks at no old byte and sets every byte of the header, to zero where the header's own shape does not say otherwise.
//
// `init(_:)` with an item takes the header of a packet, whose headers are looked for unless that was done before. The bytes
// then end with the IP packet, without the padding of its frame.

/// What a header's bytes say, field by field; see ``MutableView`` for writing.
public protocol HeaderView: BitwiseCopyable {
    /// The first byte of the header.
    var base: UnsafeRawPointer { get }
    /// Bytes at `base`, at least those of the header.
    var count: Int { get }
    /// Whether every field stands where a mutable view writes it.
    var isRegular: Bool { get }
    /// The header at the beginning of `bytes`; nil when it is not whole.
    init?(_ bytes: UnsafeRawBufferPointer)
    /// The header of a packet; nil when it has none.
    init?(_ p: Packet)
}

extension HeaderView {
    /// True, for headers whose fields always stand at the same places.
    @inlinable @inline(__always) public var isRegular: Bool { true }
}

/// A header that is written: its fields are in extensions beside those of the view that reads it.
@frozen
public struct MutableView<View: HeaderView>: BitwiseCopyable {
    /// The first byte of the header.
    public let base: UnsafeMutableRawPointer
    /// Bytes at `base`, at least those of the header.
    public let count: Int

    /// The header that stands at the beginning of `bytes`; nil as for `View`, or where it is not regular.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.baseAddress, View(UnsafeRawBufferPointer(bytes))?.isRegular == true else { return nil }
        self.base = base
        count = bytes.count
    }

    /// The header of a packet; nil as for `View`, where it is not regular, and where its bytes may not be written: call
    /// ``Context/own(_:)`` first.
    @inlinable @inline(__always)
    public init?(_ p: Packet) {
        guard p.isWritable, let view = View(p), view.isRegular else { return nil }
        base = UnsafeMutableRawPointer(mutating: view.base)
        count = view.count
    }
}

extension Packet {
    /// Whether the packet has an IP header; looks for it unless that was done before.
    @inlinable @inline(__always)
    func hasIP() -> Bool {
        if ipVersion == 0 { return Headers.locate(self) == .ip }
        return ipVersion != Item.noIP
    }

    /// The bytes from `offset` to the end of the IP packet, as far as they were captured. The headers have been found.
    @inlinable @inline(__always)
    func bytesOfIP(from offset: UInt16) -> UnsafeRawBufferPointer {
        let end = min(Int(length), Int(l3) &+ Int(ipLength))
        return data.slice(Int(offset), end, within: end)
    }

    /// The bytes of the transport header with number `proto` and what is behind it; empty when there is no such header.
    @inlinable @inline(__always)
    func bytesOfTransport(_ proto: UInt8) -> UnsafeRawBufferPointer {
        guard hasIP(), ipProtocol == proto, hasTransport else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return bytesOfIP(from: l4)
    }
}

extension UnsafeRawPointer {
    /// The bytes `from ..< to` of `count` bytes here, as far as they are there. No number is negative.
    @inlinable @inline(__always)
    func slice(_ from: Int, _ to: Int, within count: Int) -> UnsafeRawBufferPointer {
        let end = min(to, count)
        let start = min(from, end)
        return UnsafeRawBufferPointer(start: self + start, count: end &- start)
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Sets the first `size` bytes to zero and gives their address; nil when there are fewer.
    @inlinable @inline(__always)
    func cleared(_ size: Int) -> UnsafeMutableRawPointer? {
        guard let base = baseAddress, count >= size else { return nil }
        base.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        return base
    }
}

extension UnsafeMutableRawPointer {
    /// Stores a number in network order at `offset`. The caller has checked that there is room.
    @inlinable @inline(__always)
    func put<T: FixedWidthInteger & BitwiseCopyable>(_ number: T, _ offset: Int) {
        storeBytes(of: number.bigEndian, toByteOffset: offset, as: T.self)
    }

    /// Replaces the bits of `mask` in the byte at `offset`.
    @inlinable @inline(__always)
    func put(_ bits: UInt8, mask: UInt8, _ offset: Int) {
        let old = load(fromByteOffset: offset, as: UInt8.self)
        storeBytes(of: old & ~mask | bits & mask, toByteOffset: offset, as: UInt8.self)
    }

    /// Replaces the bits of `mask` in the big-endian 16-bit number at `offset`.
    @inlinable @inline(__always)
    func put(_ bits: UInt16, mask: UInt16, _ offset: Int) {
        put(UnsafeRawPointer(self).be16(offset) & ~mask | bits & mask, offset)
    }
}
