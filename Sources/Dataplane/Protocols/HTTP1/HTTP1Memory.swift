// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The memory of all connections of one parser: blocks, with one bound on their total.
///
/// Freed small blocks are kept for reuse, so that steady traffic does not allocate.
public final class HTTP1Memory {
    /// The most that may be in use at once, in bytes.
    public let limit: Int
    /// Bytes in use now.
    public var used: Int { inUse }
    /// The most that was in use at once, in bytes.
    public var peak: Int { mostInUse }

    private static let smallest = 512
    /// Blocks up to this size are kept when freed, up to `kept` bytes of each size.
    private static let largestKept = 8192
    private static let kept = 1 << 20
    private static let sizes = 5

    /// The freed blocks of one size: each holds the address of the next.
    private struct Free: BitwiseCopyable {
        var first: UnsafeMutableRawPointer?
        var bytes = 0
    }

    @exclusivity(unchecked) private var inUse = 0
    @exclusivity(unchecked) private var mostInUse = 0
    private let free = UnsafeMutablePointer<Free>.allocate(capacity: sizes)

    /// - Parameter limit: bytes that may be in use at once; the default suffices for any load that is not an attack.
    public init(limit: Int = 1 << 30) {
        self.limit = limit
        free.initialize(repeating: Free(), count: Self.sizes)
    }

    deinit {
        for index in 0..<Self.sizes {
            var block = free[index].first
            while let this = block {
                block = this.load(as: UnsafeMutableRawPointer?.self)
                this.deallocate()
            }
        }
        free.deallocate()
    }

    /// The size of the block that `allocate` returns for `bytes`: a power of two, whole pages for large ones.
    static func size(for bytes: Int) -> Int {
        if bytes <= smallest { return smallest }
        if bytes > largestKept { return (bytes + 4095) & ~4095 }
        return 1 << (Int.bitWidth - (bytes - 1).leadingZeroBitCount)
    }

    /// A block of `size(for: bytes)` bytes; nil if that would exceed the limit.
    func allocate(_ bytes: Int) -> UnsafeMutableRawPointer? {
        let size = Self.size(for: bytes)
        guard inUse + size <= limit else { return nil }
        inUse += size
        if inUse > mostInUse { mostInUse = inUse }
        if size <= Self.largestKept {
            let list = free + (size.trailingZeroBitCount - Self.smallest.trailingZeroBitCount)
            if let block = list.pointee.first {
                list.pointee.first = block.load(as: UnsafeMutableRawPointer?.self)
                list.pointee.bytes -= size
                return block
            }
        }
        return .allocate(byteCount: size, alignment: 16)
    }

    /// Frees a block that was allocated for `bytes`.
    func release(_ block: UnsafeMutableRawPointer, _ bytes: Int) {
        let size = Self.size(for: bytes)
        inUse -= size
        if size <= Self.largestKept {
            let list = free + (size.trailingZeroBitCount - Self.smallest.trailingZeroBitCount)
            if list.pointee.bytes + size <= Self.kept {
                block.storeBytes(of: list.pointee.first, as: UnsafeMutableRawPointer?.self)
                list.pointee.first = block
                list.pointee.bytes += size
                return
            }
        }
        block.deallocate()
    }
}
