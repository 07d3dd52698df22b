// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// One option of a TCP header.
@frozen
public struct TCPOption: BitwiseCopyable {
    /// Option kind (https://www.iana.org/assignments/tcp-parameters).
    public let kind: UInt8
    /// Bytes from the beginning of the options to its kind.
    public let offset: Int
    /// Option data, without kind and length.
    public let bytes: UnsafeRawBufferPointer

    @inlinable @inline(__always)
    init(_ kind: UInt8, _ offset: Int, _ bytes: UnsafeRawBufferPointer) {
        self.kind = kind
        self.offset = offset
        self.bytes = bytes
    }

    /// The first byte of data, for an option of this kind and size alone.
    @inlinable @inline(__always)
    func data(_ kind: UInt8, _ count: Int) -> UnsafeRawPointer? {
        self.kind == kind && bytes.count == count ? bytes.baseAddress : nil
    }

    /// Maximum segment size (RFC 9293 section 3.7.1); nil when this is another option, or its length is wrong.
    @inlinable @inline(__always) public var mss: UInt16? { data(2, 2)?.be16(0) }
    /// Window scale shift (RFC 7323 section 2.2); nil when this is another option, or its length is wrong.
    @inlinable @inline(__always) public var windowScale: UInt8? { data(3, 1)?.byte(0) }
    /// Whether the option permits selective acknowledgments (RFC 2018 section 2).
    @inlinable @inline(__always) public var isSACKPermitted: Bool { data(4, 0) != nil }
    /// Blocks of a selective acknowledgment (RFC 2018 section 3); nil when this is another option, or it does not hold one to
    /// four whole blocks.
    @inlinable @inline(__always)
    public var sackBlocks: TCPSACKBlocks? {
        guard kind == 5, bytes.count & 7 == 0, bytes.count > 0, let base = bytes.baseAddress else { return nil }
        return TCPSACKBlocks(base, bytes.count &>> 3)
    }
    /// Timestamps (RFC 7323 section 3.2); nil when this is another option, or its length is wrong.
    @inlinable @inline(__always)
    public var timestamps: TCPTimestamps? {
        guard let base = data(8, 8) else { return nil }
        return TCPTimestamps(value: base.be32(0), echo: base.be32(4))
    }
}

/// The options of a TCP header, in order (RFC 9293 section 3.1). Nothing is allocated.
///
/// No-operations are passed over. The options end with the header, at an end of list, and before an option whose length is
/// impossible; ``isMalformed`` tells the latter.
@frozen
public struct TCPOptions: Sequence, IteratorProtocol, BitwiseCopyable {
    @usableFromInline let bytes: UnsafeRawBufferPointer
    @usableFromInline var _offset = 0
    /// Bytes read so far.
    @inlinable @inline(__always) public var offset: Int { _offset }
    @usableFromInline var _isMalformed = false
    /// Whether there was an option without a length, with one below 2, or with one beyond the header.
    @inlinable @inline(__always) public var isMalformed: Bool { _isMalformed }

    /// The options in these bytes.
    @inlinable @inline(__always)
    public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The next option; nil behind the last.
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
    /// The value that is echoed, TSecr.
    public var echo: UInt32

    /// Both values.
    @inlinable @inline(__always)
    public init(value: UInt32, echo: UInt32) {
        self.value = value
        self.echo = echo
    }
}

/// One block of a selective acknowledgment (RFC 2018 section 3): bytes that were received.
@frozen
public struct TCPSACKBlock: BitwiseCopyable, Equatable, Sendable {
    /// The number of the first byte.
    public var left: UInt32
    /// The number behind the last byte.
    public var right: UInt32

    /// The bytes from `left` to before `right`.
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
    /// Blocks that ``next()`` still gives.
    @inlinable @inline(__always) public var count: Int { _count }

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        _count = count
    }

    /// The next block; nil behind the last.
    @inlinable @inline(__always)
    public mutating func next() -> TCPSACKBlock? {
        guard _count > 0 else { return nil }
        let block = TCPSACKBlock(left: base.be32(0), right: base.be32(4))
        base += 8
        _count &-= 1
        return block
    }
}

/// Writes options one behind the other. Each gives false, and writes nothing, when there is no room for it.
@frozen
public struct TCPOptionWriter {
    /// Room for options.
    public let bytes: UnsafeMutableRawBufferPointer
    @usableFromInline var _count = 0
    /// Bytes written so far.
    @inlinable @inline(__always) public var count: Int { _count }

    /// Writes from the beginning of `bytes`, as ``MutableTCPView/optionBytes`` gives them. What is left behind the last option
    /// stays as it is: zeros, the end of the options, in a new header.
    @inlinable @inline(__always)
    public init(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }

    /// Room for a whole option, of which kind and length are written; nil when there is none.
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

    /// Selective acknowledgments are permitted, 2 bytes.
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

    /// A selective acknowledgment, 2 bytes and 8 for each block; false also for no block.
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
