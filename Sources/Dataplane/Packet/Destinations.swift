// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A destination of bytes, used by one thread.
public protocol ByteSink: AnyObject {
    /// Writes all bytes, or throws.
    func write(_ bytes: UnsafeRawBufferPointer) throws
    /// Flushes buffered bytes.
    func flush() throws
}

/// The destination of a wire's packets.
public protocol PacketDestination: AnyObject {
    /// Writes one packet, timestamped with the item's own time.
    func write(_ item: Packet) throws
    /// Writes the packets of a batch in order, up to the first that fails.
    func write(_ batch: Batch) throws
    /// Completes the output.
    func close() throws
}

extension PacketDestination {
    public func write(_ batch: Batch) throws { for k in 0..<batch.count { try write(batch[k]) } }
}
