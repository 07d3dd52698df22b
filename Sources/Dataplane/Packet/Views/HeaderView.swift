// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// Header views give field-by-field access to the bytes of a header.
//
// A view is a pointer and a count. Its initializer is for bytes from outside: it checks once that the header, with the lengths
// it states for itself, is complete, and returns nil if not. After that no accessor reads beyond the bytes or traps; an
// accessor that follows a length field bounds it by the bytes again, so that bytes changed after the check are no danger
// either. Views own nothing and are valid as long as the bytes are. There may be more bytes than the header; the rest is
// `payload`.
//
// Each view has a mutable counterpart. `init(_:)` takes an existing header, as above; `init(writing:)` is for output: it
// ignores the old bytes and sets every byte of the header, to zero unless the header's format requires another value.
//
// `init(_:)` with a packet takes that packet's header, and looks for its headers first if necessary. The bytes then end with
// the IP packet, without the frame's padding.

/// Field-by-field access to a header's bytes; see ``MutableView`` for writing.
public protocol HeaderView: BitwiseCopyable {
    /// The first byte of the header.
    var base: UnsafeRawPointer { get }
    /// Bytes at `base`, at least the header's.
    var count: Int { get }
    /// Whether every field is where a mutable view writes it.
    var isRegular: Bool { get }
    /// The header at the beginning of `bytes`; nil if it is incomplete.
    init?(_ bytes: UnsafeRawBufferPointer)
    /// The header of a packet; nil if it has none.
    init?(_ p: Packet)
}

extension HeaderView {
    /// True: by default fields have fixed places.
    @inlinable @inline(__always) public var isRegular: Bool { true }
}

/// A writable header: its fields are in extensions beside those of the view that reads it.
@frozen
public struct MutableView<View: HeaderView>: BitwiseCopyable {
    /// The first byte of the header.
    public let base: UnsafeMutableRawPointer
    /// Bytes at `base`, at least the header's.
    public let count: Int

    /// The header at the beginning of `bytes`; nil as for `View`, or if it is not regular.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.baseAddress, View(UnsafeRawBufferPointer(bytes))?.isRegular == true else { return nil }
        self.base = base
        count = bytes.count
    }

    /// The header of a packet; nil as for `View`, if it is not regular, or if its bytes may not be written: call
    /// ``Context/own(_:)`` first.
    @inlinable @inline(__always)
    public init?(_ p: Packet) {
        guard p.isWritable, let view = View(p), view.isRegular else { return nil }
        base = UnsafeMutableRawPointer(mutating: view.base)
        count = view.count
    }
}

extension Packet {
    /// Whether the packet has an IP header; looks for it first if necessary.
    @inlinable @inline(__always)
    func hasIP() -> Bool {
        if ipVersion == 0 { return Headers.locate(self) == .ip }
        return ipVersion != Item.noIP
    }

    /// The captured bytes from `offset` to the end of the IP packet. The headers must have been found.
    @inlinable @inline(__always)
    func bytesOfIP(from offset: UInt16) -> UnsafeRawBufferPointer {
        let end = min(Int(length), Int(l3) &+ Int(ipLength))
        return data.slice(Int(offset), end, within: end)
    }

    /// The bytes of the transport header with number `proto` and everything after it; empty if there is no such header.
    @inlinable @inline(__always)
    func bytesOfTransport(_ proto: UInt8) -> UnsafeRawBufferPointer {
        guard hasIP(), ipProtocol == proto, hasTransport else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return bytesOfIP(from: l4)
    }
}

extension UnsafeRawPointer {
    /// The bytes `from ..< to`, bounded by the `count` bytes here. No argument may be negative.
    @inlinable @inline(__always)
    func slice(_ from: Int, _ to: Int, within count: Int) -> UnsafeRawBufferPointer {
        let end = min(to, count)
        let start = min(from, end)
        return UnsafeRawBufferPointer(start: self + start, count: end &- start)
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Zeroes the first `size` bytes and returns their address; nil if there are fewer.
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
