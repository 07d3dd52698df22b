// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A VLAN tag (IEEE 802.1Q section 9.6), from after the EtherType that announced it: 2 bytes of control information, and the
/// EtherType of what follows, which may be another tag.
@frozen
public struct VLANTagView: HeaderView {
    /// The first byte of the control information.
    public let base: UnsafeRawPointer
    /// Bytes at `base`: the tag and what follows, at least 4.
    public let count: Int

    /// The size of a tag in bytes.
    @inlinable @inline(__always) public static var size: Int { 4 }

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        self.count = count
    }

    /// The tag at the beginning of `bytes`; nil if there are fewer than 4.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count >= VLANTagView.size else { return nil }
        self.init(base, bytes.count)
    }

    /// The outermost tag of a packet; nil if it has none, or no Ethernet header.
    @inlinable @inline(__always)
    public init?(_ p: Packet) {
        guard let ethernet = EthernetView(p) else { return nil }
        var tags = ethernet.tags
        guard let first = tags.next() else { return nil }
        self = first
    }

    /// Priority code point, 0...7.
    @inlinable @inline(__always) public var priority: UInt8 { base.byte(0) &>> 5 }
    /// DEI: switches drop this frame before others.
    @inlinable @inline(__always) public var dropEligible: Bool { base.byte(0) & 0x10 != 0 }
    /// VLAN identifier, 0...4095; 0 tags the priority only.
    @inlinable @inline(__always) public var identifier: UInt16 { base.be16(0) & 0x0fff }
    /// An ``EtherType``; in QinQ that of another tag.
    @inlinable @inline(__always) public var etherType: UInt16 { base.be16(2) }
    /// The bytes after the tag.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer { base.slice(VLANTagView.size, count, within: count) }
}

/// The VLAN tags of a frame, the outermost first. Nothing is allocated; iteration ends with the frame's bytes.
@frozen
public struct VLANTags: Sequence, IteratorProtocol, BitwiseCopyable {
    @usableFromInline var _base: UnsafeRawPointer
    /// Where the next tag begins, or, after the last one, the content.
    @inlinable @inline(__always) public var base: UnsafeRawPointer { _base }
    @usableFromInline var _count: Int
    /// Bytes at `base`.
    @inlinable @inline(__always) public var count: Int { _count }
    @usableFromInline var _etherType: UInt16
    /// The EtherType of what begins at `base`: after the last tag, the frame's content.
    @inlinable @inline(__always) public var etherType: UInt16 { _etherType }

    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int, _ etherType: UInt16) {
        _base = base
        _count = count
        _etherType = etherType
    }

    /// Whether the frame ends within the next tag, once ``next()`` has returned nil.
    @inlinable @inline(__always) public var isCut: Bool { EtherType.isTag(_etherType) }

    /// The next tag; nil after the last, and if the frame ends within it.
    @inlinable @inline(__always)
    public mutating func next() -> VLANTagView? {
        guard EtherType.isTag(_etherType), _count >= VLANTagView.size else { return nil }
        let tag = VLANTagView(_base, _count)
        _etherType = tag.etherType
        _base += VLANTagView.size
        _count &-= VLANTagView.size
        return tag
    }
}

/// A writable VLAN tag.
public typealias MutableVLANTagView = MutableView<VLANTagView>

extension MutableView<VLANTagView> {
    /// A new zeroed tag at the beginning of `bytes`; nil if there are fewer than 4.
    @inlinable @inline(__always)
    public init?(writing bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.cleared(VLANTagView.size) else { return nil }
        self.base = base
        count = bytes.count
    }

    /// The same tag, read-only.
    @inlinable @inline(__always) public var view: VLANTagView { VLANTagView(base, count) }

    /// Priority code point; the lower 3 bits are stored.
    @inlinable @inline(__always)
    public var priority: UInt8 {
        get { view.priority }
        nonmutating set { base.put(newValue &<< 5, mask: 0xe0, 0) }
    }
    /// DEI: switches drop this frame before others.
    @inlinable @inline(__always)
    public var dropEligible: Bool {
        get { view.dropEligible }
        nonmutating set { base.put(newValue ? 0x10 : 0 as UInt8, mask: 0x10, 0) }
    }
    /// VLAN identifier; the lower 12 bits are stored.
    @inlinable @inline(__always)
    public var identifier: UInt16 {
        get { view.identifier }
        nonmutating set { base.put(newValue, mask: 0x0fff, 0) }
    }
    /// An ``EtherType``.
    @inlinable @inline(__always)
    public var etherType: UInt16 {
        get { view.etherType }
        nonmutating set { base.put(newValue, 2) }
    }
}
