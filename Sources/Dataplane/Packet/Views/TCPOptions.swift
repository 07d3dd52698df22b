// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// One option of a TCP header.
@frozen
public struct TCPOption: BitwiseCopyable {
    /// Option kind (https://www.iana.org/assignments/tcp-parameters).
    public let kind: UInt8
    /// Offset of the option's kind byte from the beginning of the options.
    public let offset: Int
    /// Option data, without kind and length.
    public let bytes: UnsafeRawBufferPointer

    @inlinable @inline(__always)
    init(_ kind: UInt8, _ offset: Int, _ bytes: UnsafeRawBufferPointer) {
        self.kind = kind
        self.offset = offset
        self.bytes = bytes
    }

    /// The option's data, if it has this kind and size.
    @inlinable @inline(__always)
    func data(_ kind: UInt8, _ count: Int) -> UnsafeRawPointer? {
        self.kind == kind && bytes.count == count ? bytes.baseAddress : nil
    }

    /// Maximum segment size (RFC 9293 section 3.7.1); nil if this is another option or its length is wrong.
    @inlinable @inline(__always) public var mss: UInt16? { data(2, 2)?.be16(0) }
    /// Window scale shift (RFC 7323 section 2.2); nil if this is another option or its length is wrong.
    @inlinable @inline(__always) public var windowScale: UInt8? { data(3, 1)?.byte(0) }
    /// Whether the option signs the segment: MD5 (RFC 2385) or TCP-AO (RFC 5925).
    @inlinable @inline(__always) public var isSignature: Bool { kind == 19 || kind == 29 }
    /// Whether the option permits selective acknowledgments (RFC 2018 section 2).
    @inlinable @inline(__always) public var isSACKPermitted: Bool { data(4, 0) != nil }
    /// Blocks of a selective acknowledgment (RFC 2018 section 3); nil if this is another option, or does not hold one to four
    /// whole blocks.
    @inlinable @inline(__always)
    public var sackBlocks: TCPSACKBlocks? {
        guard kind == 5, bytes.count & 7 == 0, bytes.count > 0, let base = bytes.baseAddress else { return nil }
        return TCPSACKBlocks(base, bytes.count &>> 3)
    }
    /// Timestamps (RFC 7323 section 3.2); nil if this is another option or its length is wrong.
    @inlinable @inline(__always)
    public var timestamps: TCPTimestamps? {
        guard let base = data(8, 8) else { return nil }
        return TCPTimestamps(value: base.be32(0), echo: base.be32(4))
    }
}

/// The options of a TCP header, in order (RFC 9293 section 3.1). Nothing is allocated.
///
/// No-operations are skipped. The options end with the header, at an end-of-list option, and before an option with an
/// impossible length; ``isMalformed`` reports the latter.
@frozen
public struct TCPOptions: Sequence, IteratorProtocol, BitwiseCopyable {
    @usableFromInline let bytes: UnsafeRawBufferPointer
    @usableFromInline var _offset = 0
    /// Bytes read so far.
    @inlinable @inline(__always) public var offset: Int { _offset }
    @usableFromInline var _isMalformed = false
    /// Whether an option had no length, a length below 2, or one beyond the header.
    @inlinable @inline(__always) public var isMalformed: Bool { _isMalformed }

    /// The options in these bytes.
    @inlinable @inline(__always)
    public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The next option; nil after the last.
    @inlinable
    public mutating func next() -> TCPOption? {
        guard let base = bytes.baseAddress else { return nil }
        let end = bytes.count
        while _offset < end {
            let kind = base.byte(_offset)
            if kind == 1 {
                _offset &+= 1
                continue
            }
            if kind == 0 { break }
            let size = _offset &+ 1 < end ? Int(base.byte(_offset &+ 1)) : 0
            guard size >= 2, _offset &+ size <= end else {
                _isMalformed = true
                break
            }
            let data = UnsafeRawBufferPointer(start: base + (_offset &+ 2), count: size &- 2)
            let option = TCPOption(kind, _offset, data)
            _offset &+= size
            return option
        }
        return nil
    }
}

/// The two values of a timestamps option (RFC 7323 section 3.2).
@frozen
public struct TCPTimestamps: BitwiseCopyable, Equatable, Sendable {
    /// The sender's clock, TSval.
    public var value: UInt32
    /// The echoed value, TSecr.
    public var echo: UInt32

    /// Both values.
    @inlinable @inline(__always)
    public init(value: UInt32, echo: UInt32) {
        self.value = value
        self.echo = echo
    }
}

/// One block of a selective acknowledgment (RFC 2018 section 3): received bytes.
@frozen
public struct TCPSACKBlock: BitwiseCopyable, Equatable, Sendable {
    /// The sequence number of the first byte.
    public var left: UInt32
    /// The sequence number after the last byte.
    public var right: UInt32

    /// The bytes from `left` up to, but not including, `right`.
    @inlinable @inline(__always)
    public init(left: UInt32, right: UInt32) {
        self.left = left
        self.right = right
    }
}

/// The blocks of a selective acknowledgment, in order. Nothing is allocated.
@frozen
public struct TCPSACKBlocks: Sequence, IteratorProtocol, BitwiseCopyable {
    @usableFromInline var base: UnsafeRawPointer
    @usableFromInline var _count: Int
    /// The number of blocks left.
    @inlinable @inline(__always) public var count: Int { _count }

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        _count = count
    }

    /// The next block; nil after the last.
    @inlinable @inline(__always)
    public mutating func next() -> TCPSACKBlock? {
        guard _count > 0 else { return nil }
        let block = TCPSACKBlock(left: base.be32(0), right: base.be32(4))
        base += 8
        _count &-= 1
        return block
    }
}

/// Writes options one after another. Each call returns false, and writes nothing, if there is no room.
@frozen
public struct TCPOptionWriter {
    /// Room for options.
    public let bytes: UnsafeMutableRawBufferPointer
    @usableFromInline var _count = 0
    /// Bytes written so far.
    @inlinable @inline(__always) public var count: Int { _count }

    /// Writes from the beginning of `bytes`, usually ``MutableTCPView/optionBytes``. Bytes after the last option are unchanged:
    /// in a new header they are zeros, which end the options.
    @inlinable @inline(__always)
    public init(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }

    /// Room for a whole option, with kind and length written; nil if there is none.
    @inlinable @inline(__always)
    mutating func add(_ kind: UInt8, _ size: Int) -> UnsafeMutableRawPointer? {
        guard let base = bytes.baseAddress, size <= bytes.count &- _count else { return nil }
        let option = base + _count
        _count &+= size
        option.put(kind, 0)
        if size > 1 { option.put(UInt8(truncatingIfNeeded: size), 1) }
        return option
    }

    /// A no-operation, to align what follows.
    @inlinable @discardableResult
    public mutating func noOperation() -> Bool { add(1, 1) != nil }

    /// Maximum segment size, 4 bytes.
    @inlinable @discardableResult
    public mutating func mss(_ size: UInt16) -> Bool {
        guard let option = add(2, 4) else { return false }
        option.put(size, 2)
        return true
    }

    /// Window scale, 3 bytes.
    @inlinable @discardableResult
    public mutating func windowScale(_ shift: UInt8) -> Bool {
        guard let option = add(3, 3) else { return false }
        option.put(shift, 2)
        return true
    }

    /// SACK-permitted, 2 bytes.
    @inlinable @discardableResult
    public mutating func sackPermitted() -> Bool { add(4, 2) != nil }

    /// Timestamps, 10 bytes.
    @inlinable @discardableResult
    public mutating func timestamps(_ timestamps: TCPTimestamps) -> Bool {
        guard let option = add(8, 10) else { return false }
        option.put(timestamps.value, 2)
        option.put(timestamps.echo, 6)
        return true
    }

    /// A selective acknowledgment, 2 bytes and 8 per block; also false if there are no blocks.
    @inlinable @discardableResult
    public mutating func sackBlocks(_ blocks: some Collection<TCPSACKBlock>) -> Bool {
        guard (1...4).contains(blocks.count), let option = add(5, 2 &+ 8 &* blocks.count) else { return false }
        var at = 2
        for block in blocks {
            option.put(block.left, at)
            option.put(block.right, at &+ 4)
            at &+= 8
        }
        return true
    }
}
